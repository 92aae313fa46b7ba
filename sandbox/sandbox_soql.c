/* SPDX-License-Identifier: MIT */
/*
 * SELECT text to a tree.  A tokenizer that knows both dialects' strings, and a
 * descent with one function per level.  Depth and counts are bounded; what is
 * not understood is an error with the token in it, as the services say it.
 */
#include "sandbox/sandbox_soql.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"

enum { DEPTH_MAX = 30, LIST_MAX = 4000, TEXT_MAX = 100000, NAME_BYTES = 256 };

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_DATE, TOKEN_SYMBOL };

struct token {
	enum token_kind kind;
	const char *text;
	size_t position;
};

struct parser {
	enum soql_dialect dialect;
	const char *text;
	size_t at;
	struct token token;
	struct arena *arena;
	int64_t now_s;
	int depth;
};

static struct soql_expr *parse_or(struct parser *parser, struct err *err);
static struct soql_query *parse_select(struct parser *parser, struct err *err);

/* --- tokens --------------------------------------------------------------------- */

static int unexpected(struct parser *parser, struct err *err)
{
	if (parser->token.kind == TOKEN_END)
		return err_set(err, ERR_INPUT, "unexpected token: '<EOF>'");
	return err_set(err, ERR_INPUT, "unexpected token: '%.100s' at column %zu",
	               parser->token.text, parser->token.position + 1);
}

static int put_utf8(unsigned int code, struct buf *out)
{
	char bytes[3];
	if (code == 0 || (code >= 0xD800 && code <= 0xDFFF))
		return -1;
	if (code < 0x80) {
		bytes[0] = (char)code;
		buf_put_len(out, bytes, 1);
	} else if (code < 0x800) {
		bytes[0] = (char)(0xC0 | (code >> 6));
		bytes[1] = (char)(0x80 | (code & 63));
		buf_put_len(out, bytes, 2);
	} else {
		bytes[0] = (char)(0xE0 | (code >> 12));
		bytes[1] = (char)(0x80 | ((code >> 6) & 63));
		bytes[2] = (char)(0x80 | (code & 63));
		buf_put_len(out, bytes, 3);
	}
	return 0;
}

/* SOQL: the character behind a backslash; anything not listed is an error.  Returns the length. */
static int put_escape(const char *at, struct buf *out)
{
	static const char from[] = "nNrRtTbBfF\"'\\%_", to[] = "\n\n\r\r\t\t\b\b\f\f\"'\\%_";
	if (*at == 'u') {
		char digits[5] = { 0 };
		for (int i = 0; i < 4; i++) {
			if (!isxdigit((unsigned char)at[1 + i]))
				return -1;
			digits[i] = at[1 + i];
		}
		return put_utf8((unsigned int)strtoul(digits, NULL, 16), out) < 0 ? -1 : 5;
	}
	const char *known = *at ? strchr(from, *at) : NULL;
	if (!known)
		return -1;
	/* LIKE must still see which % and _ were escaped. */
	if (*at == '%' || *at == '_')
		buf_put(out, "\\");
	buf_put_len(out, &to[known - from], 1);
	return 1;
}

static int read_string(struct parser *parser, struct err *err)
{
	struct buf value;
	buf_init(&value, TEXT_MAX * 3);
	size_t at = parser->at + 1;
	for (;; at++) {
		char c = parser->text[at];
		if (c == '\0')
			break;
		if (c == '\'' && parser->dialect == DIALECT_SUITEQL &&
		    parser->text[at + 1] == '\'') {
			at++;
		} else if (c == '\'') {
			break;
		} else if (c == '\\' && parser->dialect == DIALECT_SOQL) {
			int len = put_escape(parser->text + at + 1, &value);
			if (len < 0) {
				buf_release(&value);
				return err_set(err, ERR_INPUT,
				               "invalid string literal at column %zu: illegal "
				               "character sequence '\\%c'",
				               at + 1, parser->text[at + 1]);
			}
			at += (size_t)len;
			continue;
		}
		buf_put_len(&value, &c, 1);
	}
	parser->token.kind = TOKEN_STRING;
	parser->token.text = arena_dup(parser->arena, buf_str(&value).ptr, value.len);
	buf_release(&value);
	if (parser->text[at] != '\'')
		return err_set(err, ERR_INPUT,
		               "line 1:%zu no viable alternative at character '<EOF>'", at);
	parser->at = at + 1;
	return 0;
}

static bool is_date(const char *text)
{
	static const char shape[] = "dddd-dd-dd";
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	return true;
}

static void read_span(struct parser *parser, enum token_kind kind, const char *more)
{
	size_t len = 1;
	const char *start = parser->text + parser->at;
	while (start[len] && (isalnum((unsigned char)start[len]) || strchr(more, start[len])))
		len++;
	parser->token.kind = kind;
	parser->token.text = arena_dup(parser->arena, start, len);
	parser->at += len;
}

static void read_symbol(struct parser *parser)
{
	static const char *const pairs[] = { "!=", "<>", "<=", ">=" };
	const char *start = parser->text + parser->at;
	size_t len = 1;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (str_begins(start, pairs[i]))
			len = 2;
	parser->token.kind = TOKEN_SYMBOL;
	parser->token.text = arena_dup(parser->arena, start, len);
	parser->at += len;
}

static int next(struct parser *parser, struct err *err)
{
	while (parser->text[parser->at] && strchr(" \t\r\n", parser->text[parser->at]))
		parser->at++;
	const char *start = parser->text + parser->at;
	parser->token = (struct token){ TOKEN_END, "", parser->at };
	if (*start == '\0')
		return 0;
	if (*start == '\'')
		return read_string(parser, err);
	if (isalpha((unsigned char)*start) || *start == '_')
		read_span(parser, TOKEN_NAME, "_.");
	else if (is_date(start) && parser->dialect == DIALECT_SOQL)
		read_span(parser, TOKEN_DATE, "-+:.");
	else if (isdigit((unsigned char)*start) ||
	         ((*start == '-' || *start == '+') && isdigit((unsigned char)start[1])))
		read_span(parser, TOKEN_NUMBER, ".");
	else
		read_symbol(parser);
	return strlen(parser->token.text) < NAME_BYTES ? 0 : unexpected(parser, err);
}

static bool is_word(const struct parser *parser, const char *word)
{
	return parser->token.kind == TOKEN_NAME && strcasecmp(parser->token.text, word) == 0;
}

static bool is_symbol(const struct parser *parser, const char *symbol)
{
	return parser->token.kind == TOKEN_SYMBOL && strcmp(parser->token.text, symbol) == 0;
}

/* Takes the word when it is there. */
static bool take_word(struct parser *parser, const char *word, struct err *err)
{
	return is_word(parser, word) && next(parser, err) == 0;
}

static bool take_symbol(struct parser *parser, const char *symbol, struct err *err)
{
	return is_symbol(parser, symbol) && next(parser, err) == 0;
}

static int expect_symbol(struct parser *parser, const char *symbol, struct err *err)
{
	if (err->code == 0 && !is_symbol(parser, symbol))
		return unexpected(parser, err);
	return err->code == 0 ? next(parser, err) : err->code;
}

/* --- expressions ---------------------------------------------------------------- */

static struct soql_expr *expr_new(struct parser *parser, enum soql_kind kind)
{
	struct soql_expr *expr = arena_alloc(parser->arena, sizeof(*expr));
	expr->kind = kind;
	return expr;
}

static void expr_add(struct parser *parser, struct soql_expr *expr, struct soql_expr *arg)
{
	/* Doubling at powers of two; the arena keeps the old ones until the end. */
	if ((expr->count & (expr->count - 1)) == 0) {
		size_t room = expr->count ? expr->count * 2 : 1;
		struct soql_expr **args = arena_alloc(parser->arena,
		                                      room * sizeof(struct soql_expr *));
		if (expr->count)
			memcpy(args, expr->args, expr->count * sizeof(struct soql_expr *));
		expr->args = args;
	}
	expr->args[expr->count++] = arg;
}

static struct soql_expr *literal(struct parser *parser, enum soql_kind kind, struct err *err)
{
	struct soql_expr *expr = expr_new(parser, kind);
	expr->text = parser->token.text;
	if (kind == SOQL_NUMBER) {
		char *end;
		expr->number = strtod(expr->text, &end);
		if (*end)
			unexpected(parser, err);
	}
	if (err->code == 0)
		(void)next(parser, err);
	return expr;
}

static struct soql_expr *parse_operand(struct parser *parser, struct err *err);

static struct soql_expr *parse_call(struct parser *parser, const char *name, struct err *err)
{
	struct soql_expr *call = expr_new(parser, SOQL_CALL);
	char *upper = arena_dup_str(parser->arena, name);
	for (char *c = upper; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	call->text = upper;
	if (parser->dialect == DIALECT_SUITEQL && strcmp(upper, "COUNT") == 0) {
		if (take_word(parser, "DISTINCT", err))
			call->text = "COUNT_DISTINCT";
		else
			(void)take_symbol(parser, "*", err);
	}
	while (err->code == 0 && !is_symbol(parser, ")")) {
		expr_add(parser, call, parse_operand(parser, err));
		if (call->count > 10)
			unexpected(parser, err);
		if (!take_symbol(parser, ",", err))
			break;
	}
	(void)expect_symbol(parser, ")", err);
	return call;
}

static struct soql_expr *parse_operand(struct parser *parser, struct err *err)
{
	if (err->code < 0 || ++parser->depth > DEPTH_MAX) {
		unexpected(parser, err);
		return expr_new(parser, SOQL_NULL);
	}
	struct soql_expr *expr = NULL;
	if (parser->token.kind == TOKEN_STRING)
		expr = literal(parser, SOQL_STRING, err);
	else if (parser->token.kind == TOKEN_NUMBER)
		expr = literal(parser, SOQL_NUMBER, err);
	else if (parser->token.kind == TOKEN_DATE)
		expr = literal(parser, SOQL_DATE, err);
	else if (is_word(parser, "null"))
		expr = literal(parser, SOQL_NULL, err);
	else if (is_word(parser, "true") && parser->dialect == DIALECT_SOQL)
		expr = literal(parser, SOQL_TRUE, err);
	else if (is_word(parser, "false") && parser->dialect == DIALECT_SOQL)
		expr = literal(parser, SOQL_FALSE, err);
	else if (parser->token.kind == TOKEN_NAME)
		expr = literal(parser, SOQL_COLUMN, err);
	else
		unexpected(parser, err);
	if (expr && expr->kind == SOQL_COLUMN && take_symbol(parser, "(", err))
		expr = parse_call(parser, expr->text, err);
	parser->depth--;
	return expr ? expr : expr_new(parser, SOQL_NULL);
}

static void parse_list(struct parser *parser, struct soql_expr *in, struct err *err)
{
	(void)expect_symbol(parser, "(", err);
	if (is_word(parser, "SELECT")) {
		in->inner = parse_select(parser, err);
		if (err->code == 0 && in->inner->column_count != 1)
			err_set(err, ERR_INPUT, "a semi join selects exactly one field");
	} else {
		do {
			expr_add(parser, in, parse_operand(parser, err));
			if (in->count > LIST_MAX)
				unexpected(parser, err);
		} while (take_symbol(parser, ",", err));
	}
	(void)expect_symbol(parser, ")", err);
}

static struct soql_expr *negate(struct parser *parser, struct soql_expr *expr)
{
	struct soql_expr *not = expr_new(parser, SOQL_NOT);
	expr_add(parser, not, expr);
	return not ;
}

static struct soql_expr *parse_is_null(struct parser *parser, struct soql_expr *left,
                                       struct err *err)
{
	bool negated = take_word(parser, "NOT", err);
	struct soql_expr *test = expr_new(parser, SOQL_IS_NULL);
	expr_add(parser, test, left);
	if (!take_word(parser, "NULL", err))
		unexpected(parser, err);
	return negated ? negate(parser, test) : test;
}

/* --- dates by name ---------------------------------------------------------------- */

/* Days from..to-1, counted from 1970, that the name stands for. */
struct days {
	int64_t from, to;
};

static int64_t day_of(int year, int month, int day)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month, .tm_mday = day };
	return (int64_t)timegm(&tm) / 86400;
}

static bool days_of(const char *name, int64_t n, int64_t now_s, struct days *ret)
{
	time_t time = (time_t)now_s;
	struct tm tm;
	gmtime_r(&time, &tm);
	int year = tm.tm_year + 1900, month = tm.tm_mon;
	int64_t today = day_of(year, month, tm.tm_mday), monday = today - (tm.tm_wday + 6) % 7;
	const struct {
		const char *name;
		struct days days;
	} names[] = {
		{ "TODAY", { today, today + 1 } },
		{ "YESTERDAY", { today - 1, today } },
		{ "TOMORROW", { today + 1, today + 2 } },
		{ "THIS_WEEK", { monday - 1, monday + 6 } },
		{ "LAST_WEEK", { monday - 8, monday - 1 } },
		{ "NEXT_WEEK", { monday + 6, monday + 13 } },
		{ "THIS_MONTH", { day_of(year, month, 1), day_of(year, month + 1, 1) } },
		{ "LAST_MONTH", { day_of(year, month - 1, 1), day_of(year, month, 1) } },
		{ "NEXT_MONTH", { day_of(year, month + 1, 1), day_of(year, month + 2, 1) } },
		{ "THIS_YEAR", { day_of(year, 0, 1), day_of(year + 1, 0, 1) } },
		{ "LAST_YEAR", { day_of(year - 1, 0, 1), day_of(year, 0, 1) } },
		{ "NEXT_YEAR", { day_of(year + 1, 0, 1), day_of(year + 2, 0, 1) } },
		{ "LAST_90_DAYS", { today - 90, today + 1 } },
		{ "NEXT_90_DAYS", { today + 1, today + 91 } },
		{ "LAST_N_DAYS", { today - n, today + 1 } },
		{ "NEXT_N_DAYS", { today + 1, today + n + 1 } },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(names[i].name, name) == 0 && (n > 0) == !!strstr(name, "_N_")) {
			*ret = names[i].days;
			return true;
		}
	return false;
}

static struct soql_expr *day_test(struct parser *parser, enum soql_kind kind,
                                  struct soql_expr *left, int64_t day)
{
	char text[16];
	time_t time = (time_t)(day * 86400);
	struct tm tm;
	struct soql_expr *test = expr_new(parser, kind), *value = expr_new(parser, SOQL_DATE);
	gmtime_r(&time, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d", &tm);
	value->text = arena_dup_str(parser->arena, text);
	value->number = 1;
	expr_add(parser, test, left);
	expr_add(parser, test, value);
	return test;
}

static struct soql_expr *negate(struct parser *parser, struct soql_expr *expr);

/* CloseDate = THIS_MONTH is a test of two days; NULL: there is no date's name here. */
static struct soql_expr *parse_days(struct parser *parser, enum soql_kind kind,
                                    struct soql_expr *left, struct err *err)
{
	struct days days;
	struct parser before = *parser;
	const char *name = parser->token.text;
	int64_t n = 0;
	if (parser->dialect != DIALECT_SOQL || parser->token.kind != TOKEN_NAME ||
	    next(parser, err) < 0)
		return NULL;
	if (take_symbol(parser, ":", err)) {
		n = strtoll(parser->token.text, NULL, 10);
		if (parser->token.kind != TOKEN_NUMBER || n < 1 || next(parser, err) < 0)
			unexpected(parser, err);
	}
	if (!days_of(name, n, parser->now_s, &days)) {
		*parser = before;
		return NULL;
	}
	struct soql_expr *both = expr_new(parser, SOQL_AND);
	switch ((int)kind) {
	case SOQL_LESS: return day_test(parser, SOQL_LESS, left, days.from);
	case SOQL_LESS_EQUAL: return day_test(parser, SOQL_LESS, left, days.to);
	case SOQL_GREATER: return day_test(parser, SOQL_GREATER_EQUAL, left, days.to);
	case SOQL_GREATER_EQUAL: return day_test(parser, SOQL_GREATER_EQUAL, left, days.from);
	default:
		expr_add(parser, both, day_test(parser, SOQL_GREATER_EQUAL, left, days.from));
		expr_add(parser, both, day_test(parser, SOQL_LESS, left, days.to));
		return kind == SOQL_EQUAL ? both : negate(parser, both);
	}
}

static struct soql_expr *parse_comparison(struct parser *parser, struct err *err)
{
	static const struct {
		const char *symbol;
		enum soql_kind kind;
	} symbols[] = { { "=", SOQL_EQUAL },         { "!=", SOQL_UNEQUAL },
		        { "<>", SOQL_UNEQUAL },      { "<", SOQL_LESS },
		        { "<=", SOQL_LESS_EQUAL },   { ">", SOQL_GREATER },
		        { ">=", SOQL_GREATER_EQUAL } };
	struct soql_expr *left = parse_operand(parser, err), *test = NULL;
	if (err->code == 0 && parser->dialect == DIALECT_SOQL && left->kind != SOQL_COLUMN)
		unexpected(parser, err);
	if (parser->dialect == DIALECT_SUITEQL && take_word(parser, "IS", err))
		return parse_is_null(parser, left, err);
	for (size_t i = 0; !test && i < sizeof(symbols) / sizeof(*symbols); i++)
		if (take_symbol(parser, symbols[i].symbol, err))
			test = expr_new(parser, symbols[i].kind);
	struct soql_expr *days = test ? parse_days(parser, test->kind, left, err) : NULL;
	if (days)
		return days;
	bool negated = !test && take_word(parser, "NOT", err);
	if (!test && take_word(parser, "LIKE", err))
		test = expr_new(parser, SOQL_LIKE);
	if (!test && take_word(parser, "IN", err))
		test = expr_new(parser, SOQL_IN);
	if (!test) {
		unexpected(parser, err);
		return left;
	}
	expr_add(parser, test, left);
	if (test->kind == SOQL_IN)
		parse_list(parser, test, err);
	else
		expr_add(parser, test, parse_operand(parser, err));
	if (err->code == 0 && parser->dialect == DIALECT_SOQL)
		for (size_t i = 1; i < test->count; i++)
			if (test->args[i]->kind == SOQL_COLUMN || test->args[i]->kind == SOQL_CALL)
				err_set(err, ERR_INPUT, "unexpected token: '%.100s'",
				        test->args[i]->text);
	return negated ? negate(parser, test) : test;
}

static struct soql_expr *parse_not(struct parser *parser, struct err *err)
{
	if (err->code < 0 || ++parser->depth > DEPTH_MAX) {
		unexpected(parser, err);
		return expr_new(parser, SOQL_NULL);
	}
	struct soql_expr *expr;
	if (take_word(parser, "NOT", err)) {
		expr = negate(parser, parse_not(parser, err));
	} else if (take_symbol(parser, "(", err)) {
		expr = parse_or(parser, err);
		(void)expect_symbol(parser, ")", err);
	} else {
		expr = parse_comparison(parser, err);
	}
	parser->depth--;
	return expr;
}

static struct soql_expr *parse_and(struct parser *parser, struct err *err)
{
	struct soql_expr *first = parse_not(parser, err), *all = NULL;
	while (err->code == 0 && take_word(parser, "AND", err)) {
		if (!all) {
			all = expr_new(parser, SOQL_AND);
			expr_add(parser, all, first);
		}
		expr_add(parser, all, parse_not(parser, err));
	}
	return all ? all : first;
}

static struct soql_expr *parse_or(struct parser *parser, struct err *err)
{
	/* A term that began with ( is not a bare AND. */
	bool is_bare = !is_symbol(parser, "(");
	struct soql_expr *first = parse_and(parser, err), *any = NULL;
	while (err->code == 0 && is_word(parser, "OR")) {
		if (parser->dialect == DIALECT_SOQL && first->kind == SOQL_AND && is_bare)
			unexpected(parser, err);
		(void)take_word(parser, "OR", err);
		if (!any) {
			any = expr_new(parser, SOQL_OR);
			expr_add(parser, any, first);
		}
		is_bare = !is_symbol(parser, "(");
		first = parse_and(parser, err);
		if (err->code == 0 && parser->dialect == DIALECT_SOQL && is_bare &&
		    first->kind == SOQL_AND)
			err_set(err, ERR_INPUT, "unexpected token: 'AND'");
		expr_add(parser, any, first);
	}
	return any ? any : first;
}

/* --- the query ------------------------------------------------------------------ */

static bool is_keyword(const struct parser *parser)
{
	static const char *const words[] = { "FROM",   "WHERE", "ORDER", "LIMIT", "OFFSET", "GROUP",
		                             "HAVING", "WITH",  "FOR",   "JOIN",  "INNER",  "LEFT",
		                             "RIGHT",  "ON",    "FETCH", "UNION", "USING",  "ALL" };
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (is_word(parser, words[i]))
			return true;
	return false;
}

static void parse_columns(struct parser *parser, struct soql_query *query, struct err *err)
{
	query->columns = arena_alloc(parser->arena, SOQL_COLUMNS_MAX * sizeof(*query->columns));
	do {
		if (query->column_count == SOQL_COLUMNS_MAX || is_keyword(parser)) {
			unexpected(parser, err);
			return;
		}
		struct soql_column *column = &query->columns[query->column_count++];
		if (parser->dialect == DIALECT_SUITEQL && take_symbol(parser, "*", err)) {
			column->expr = expr_new(parser, SOQL_COLUMN);
			column->expr->text = "*";
			continue;
		}
		if (parser->dialect == DIALECT_SOQL && take_symbol(parser, "(", err)) {
			column->expr = expr_new(parser, SOQL_NULL);
			column->inner = parse_select(parser, err);
			(void)expect_symbol(parser, ")", err);
			continue;
		}
		column->expr = parse_operand(parser, err);
		bool may_have_name = parser->dialect == DIALECT_SUITEQL ||
		                     column->expr->kind == SOQL_CALL;
		bool with_as = parser->dialect == DIALECT_SUITEQL && take_word(parser, "AS", err);
		if (may_have_name && parser->token.kind == TOKEN_NAME &&
		    (with_as || !is_keyword(parser))) {
			column->name = parser->token.text;
			(void)next(parser, err);
		}
	} while (err->code == 0 && take_symbol(parser, ",", err));
	const struct soql_expr *only = query->columns[0].expr;
	query->is_count = query->column_count == 1 && only && only->kind == SOQL_CALL &&
	                  only->count == 0 && strcmp(only->text, "COUNT") == 0 &&
	                  parser->dialect == DIALECT_SOQL;
}

static void parse_group(struct parser *parser, struct soql_query *query, struct err *err)
{
	if (!take_word(parser, "GROUP", err))
		return;
	if (!take_word(parser, "BY", err))
		unexpected(parser, err);
	do {
		if (err->code < 0 || query->group_count == SOQL_GROUPS_MAX) {
			unexpected(parser, err);
			return;
		}
		query->groups[query->group_count++] = parse_operand(parser, err);
	} while (take_symbol(parser, ",", err));
}

static void parse_order(struct parser *parser, struct soql_query *query, struct err *err)
{
	if (!take_word(parser, "ORDER", err))
		return;
	if (!take_word(parser, "BY", err))
		unexpected(parser, err);
	do {
		if (err->code < 0 || query->order_count == SOQL_ORDERS_MAX) {
			unexpected(parser, err);
			return;
		}
		struct soql_order *order = &query->orders[query->order_count++];
		order->expr = parse_operand(parser, err);
		order->is_descending = take_word(parser, "DESC", err);
		if (!order->is_descending)
			(void)take_word(parser, "ASC", err);
		/* Salesforce puts nulls first, Oracle takes them for the largest. */
		order->nulls_first = parser->dialect == DIALECT_SOQL || order->is_descending;
		if (take_word(parser, "NULLS", err)) {
			order->nulls_first = take_word(parser, "FIRST", err);
			if (!order->nulls_first && !take_word(parser, "LAST", err))
				unexpected(parser, err);
		}
	} while (take_symbol(parser, ",", err));
}

static int64_t parse_count(struct parser *parser, struct err *err)
{
	char *end = NULL;
	long long count = parser->token.kind == TOKEN_NUMBER ? strtoll(parser->token.text, &end, 10)
	                                                     : -1;
	if (err->code == 0 && (count < 0 || *end))
		unexpected(parser, err);
	if (err->code == 0)
		(void)next(parser, err);
	return count;
}

static struct soql_query *parse_select(struct parser *parser, struct err *err)
{
	struct soql_query *query = arena_alloc(parser->arena, sizeof(*query));
	query->dialect = parser->dialect;
	query->limit = -1;
	if (++parser->depth > DEPTH_MAX || !take_word(parser, "SELECT", err))
		unexpected(parser, err);
	if (err->code == 0)
		parse_columns(parser, query, err);
	if (err->code == 0 && !take_word(parser, "FROM", err))
		unexpected(parser, err);
	if (err->code == 0 && (parser->token.kind != TOKEN_NAME || is_keyword(parser)))
		unexpected(parser, err);
	query->from = parser->token.text;
	if (err->code == 0)
		(void)next(parser, err);
	(void)(parser->dialect == DIALECT_SUITEQL && take_word(parser, "AS", err));
	if (err->code == 0 && parser->token.kind == TOKEN_NAME && !is_keyword(parser)) {
		query->alias = parser->token.text;
		(void)next(parser, err);
	}
	if (err->code == 0 && take_word(parser, "WHERE", err))
		query->where = parse_or(parser, err);
	if (err->code == 0)
		parse_group(parser, query, err);
	if (err->code == 0)
		parse_order(parser, query, err);
	if (parser->dialect == DIALECT_SOQL && take_word(parser, "LIMIT", err))
		query->limit = parse_count(parser, err);
	if (parser->dialect == DIALECT_SOQL && take_word(parser, "OFFSET", err))
		query->offset = parse_count(parser, err);
	parser->depth--;
	return query;
}

int soql_parse(enum soql_dialect dialect, const char *text, int64_t now_s, struct arena *arena,
               struct soql_query **ret, struct err *err)
{
	struct parser parser = { .dialect = dialect, .text = text, .arena = arena, .now_s = now_s };
	if (strlen(text) > TEXT_MAX)
		return err_set(err, ERR_LIMIT, "the query has more than %d characters", TEXT_MAX);
	if (next(&parser, err) < 0)
		return err->code;
	struct soql_query *query = parse_select(&parser, err);
	/* FOR VIEW, FOR REFERENCE and the like change nothing that is seen here. */
	if (err->code == 0 && dialect == DIALECT_SOQL && take_word(&parser, "FOR", err))
		(void)next(&parser, err);
	if (err->code == 0 && parser.token.kind != TOKEN_END)
		unexpected(&parser, err);
	if (err->code < 0)
		return err->code;
	*ret = query;
	return 0;
}
