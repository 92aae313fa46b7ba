/* SPDX-License-Identifier: MIT */
/*
 * Reading Lua without running it: which globals a chunk names, and whether it
 * can change anything that it did not make itself.
 *
 * A tokenizer and a recursive reader of Lua 5.4's grammar that keep scopes and
 * nothing else.  They are given code that Lua has compiled already, so they
 * need no error messages; when something still does not fit, every flag is set,
 * which is the cautious answer.  Operators need no precedence here.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "script/script_scan_int.h"

struct local {
	struct str name;
	int level;     /* how many functions are around it */
	bool is_fresh; /* holds the table that its declaration made, and nothing else ever */
};

struct scan {
	struct lexer lexer;
	struct token now, next; /* one token of look-ahead */
	VEC(struct local) locals;
	int level, depth;
	unsigned flags;
	bool is_lost;
	scan_found *found;
	void *arg;
};

enum { DEPTH_MAX = 400 };

/* --- reading on ------------------------------------------------------- */

static void advance(struct scan *scan)
{
	scan->now = scan->next;
	scan->next = token_read(&scan->lexer);
}

static void start(struct scan *scan, struct str code)
{
	scan->lexer = (struct lexer){ code.ptr, code.ptr + code.len, 1 };
	advance(scan);
	advance(scan);
}

/* Not the grammar that was expected: skip to the end. */
static void lose(struct scan *scan)
{
	scan->is_lost = true;
	scan->lexer.at = scan->lexer.end;
	scan->now.kind = scan->next.kind = TOKEN_END;
	scan->now.text.len = scan->next.text.len = 0;
}

static bool is_at(const struct scan *scan, const char *text)
{
	bool fits = scan->now.kind == TOKEN_WORD || scan->now.kind == TOKEN_MARK;
	return fits && str_is(scan->now.text, text);
}

static bool take(struct scan *scan, const char *text)
{
	if (!is_at(scan, text))
		return false;
	advance(scan);
	return true;
}

static void expect(struct scan *scan, const char *text)
{
	if (!take(scan, text))
		lose(scan);
}

static struct str take_name(struct scan *scan)
{
	struct str name = scan->now.text;
	if (scan->now.kind != TOKEN_NAME)
		lose(scan);
	else
		advance(scan);
	return name;
}

/* --- names ------------------------------------------------------------ */

static void add_local(struct scan *scan, struct str name)
{
	*vec_add(&scan->locals) = (struct local){ name, scan->level, false };
}

static struct local *find_local(const struct scan *scan, struct str name)
{
	for (size_t i = scan->locals.len; i-- > 0;)
		if (str_eq(scan->locals.at[i].name, name))
			return &scan->locals.at[i];
	return NULL;
}

static bool is_box_name(struct str name)
{
	char text[32];
	if (name.len >= sizeof(text))
		return false;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	return box_knows(text);
}

static void write_index(struct scan *scan)
{
	scan->flags |= scan->level > 0 ? SCAN_INDEX_WRITE | SCAN_DEEP_WRITE : SCAN_INDEX_WRITE;
}

static void use_name(struct scan *scan, struct token token, bool is_write)
{
	if (str_is(token.text, "_ENV"))
		scan->flags |= SCAN_ENV;
	struct local *local = find_local(scan, token.text);
	if (local) {
		if (is_write && local->level < scan->level)
			scan->flags |= SCAN_UPVALUE_WRITE;
		if (is_write && local->is_fresh)
			write_index(scan); /* a loop may bring the new value to an earlier write */
		return;
	}
	if (is_write)
		scan->flags |= SCAN_GLOBAL_WRITE;
	else if (str_is(token.text, "list"))
		scan->flags |= SCAN_MUTATOR;
	if (scan->found && (is_write || !is_box_name(token.text)))
		scan->found(scan->arg, is_write ? SCAN_WRITE : SCAN_READ, token.text, token.line);
}

/* --- expressions ------------------------------------------------------ */

static void block(struct scan *scan);
static void expression(struct scan *scan);

static bool enter(struct scan *scan)
{
	if (++scan->depth > DEPTH_MAX)
		lose(scan);
	return !scan->is_lost;
}

static void expressions(struct scan *scan)
{
	do
		expression(scan);
	while (take(scan, ","));
}

static void function_body(struct scan *scan, bool is_method)
{
	size_t outer = scan->locals.len;
	scan->level++;
	if (is_method)
		add_local(scan, STR_LIT("self"));
	expect(scan, "(");
	while (!scan->is_lost && !is_at(scan, ")")) {
		if (!take(scan, "..."))
			add_local(scan, take_name(scan));
		if (!take(scan, ","))
			break;
	}
	expect(scan, ")");
	block(scan);
	expect(scan, "end");
	scan->level--;
	scan->locals.len = outer;
}

static void table_constructor(struct scan *scan)
{
	expect(scan, "{");
	while (!scan->is_lost && !is_at(scan, "}")) {
		if (take(scan, "[")) {
			expression(scan);
			expect(scan, "]");
			expect(scan, "=");
		} else if (scan->now.kind == TOKEN_NAME && scan->next.kind == TOKEN_MARK &&
		           str_is(scan->next.text, "=")) {
			advance(scan);
			advance(scan);
		}
		expression(scan);
		if (!take(scan, ",") && !take(scan, ";"))
			break;
	}
	expect(scan, "}");
}

static bool call_arguments(struct scan *scan)
{
	if (scan->now.kind == TOKEN_STRING) {
		advance(scan);
	} else if (is_at(scan, "{")) {
		table_constructor(scan);
	} else if (take(scan, "(")) {
		if (!is_at(scan, ")"))
			expressions(scan);
		expect(scan, ")");
	} else {
		return false;
	}
	return true;
}

/* SHAPE_FIELD is one .name or [index] behind a name. */
enum shape { SHAPE_NAME, SHAPE_FIELD, SHAPE_INDEX, SHAPE_CALL, SHAPE_OTHER };

/* Only the function that made the table is looked at: others may have got it elsewhere. */
static bool is_fresh(const struct scan *scan, struct str name)
{
	const struct local *local = find_local(scan, name);
	return local && local->is_fresh && local->level == scan->level;
}

/* Behind "table.insert": does it go on with "(t," or "(t)", and is t a fresh table? */
static bool changes_fresh(const struct scan *scan, struct str function)
{
	bool is_change = str_is(function, "insert") || str_is(function, "remove") ||
	                 str_is(function, "sort");
	if (!is_change || !is_at(scan, "(") || scan->next.kind != TOKEN_NAME)
		return false;
	struct lexer ahead = scan->lexer;
	struct token third = token_read(&ahead);
	bool is_whole = third.kind == TOKEN_MARK &&
	                (str_is(third.text, ",") || str_is(third.text, ")"));
	return is_whole && is_fresh(scan, scan->next.text);
}

/* A name or (expression) with its suffixes.  A lone name is not yet used: it may be written. */
static enum shape suffixed(struct scan *scan, struct token *name)
{
	enum shape shape = SHAPE_OTHER;
	*name = scan->now;
	if (take(scan, "(")) {
		expression(scan);
		expect(scan, ")");
	} else {
		take_name(scan);
		shape = SHAPE_NAME;
	}
	bool is_first = true, is_table = shape == SHAPE_NAME && str_is(name->text, "table");
	while (!scan->is_lost) {
		enum shape now = shape == SHAPE_NAME ? SHAPE_FIELD : SHAPE_INDEX;
		bool is_pure = false;
		if (take(scan, ".")) {
			struct str field = take_name(scan);
			is_pure = str_is(field, "concat") || str_is(field, "unpack") ||
			          changes_fresh(scan, field);
		} else if (is_at(scan, "[")) {
			advance(scan);
			expression(scan);
			expect(scan, "]");
		} else if (take(scan, ":")) {
			take_name(scan);
			if (!call_arguments(scan))
				lose(scan);
			now = SHAPE_CALL;
		} else if (call_arguments(scan)) {
			now = SHAPE_CALL;
		} else {
			break;
		}
		if (is_first && shape == SHAPE_NAME)
			use_name(scan, *name, false);
		if (is_first && is_table && !is_pure)
			scan->flags |= SCAN_MUTATOR;
		if (now == SHAPE_CALL)
			scan->flags |= SCAN_CALL;
		is_first = false;
		shape = now;
	}
	if (shape == SHAPE_NAME && is_table)
		scan->flags |= SCAN_MUTATOR;
	return shape;
}

static void simple_expression(struct scan *scan)
{
	if (scan->now.kind == TOKEN_NUMBER || scan->now.kind == TOKEN_STRING ||
	    is_at(scan, "nil") || is_at(scan, "true") || is_at(scan, "false") ||
	    is_at(scan, "...")) {
		advance(scan);
	} else if (is_at(scan, "{")) {
		table_constructor(scan);
	} else if (take(scan, "function")) {
		function_body(scan, false);
	} else {
		struct token name;
		if (suffixed(scan, &name) == SHAPE_NAME)
			use_name(scan, name, false);
	}
}

static bool take_binary(struct scan *scan)
{
	static const char *const operators[] = {
		"+", "-",  "*",  "/",   "//", "%", "^", "..", "==", "~=", "<",
		">", "<=", ">=", "and", "or", "&", "|", "~",  "<<", ">>",
	};
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (!is_at(scan, operators[i]))
			continue;
		struct token mark = scan->now;
		advance(scan);
		bool is_whole = scan->now.kind == TOKEN_NUMBER &&
		                !memchr(scan->now.text.ptr, '.', scan->now.text.len) &&
		                !memchr(scan->now.text.ptr, 'e', scan->now.text.len);
		if (str_is(mark.text, "^") && !is_whole && scan->found)
			scan->found(scan->arg, SCAN_POWER, mark.text, mark.line);
		return true;
	}
	return false;
}

static void expression(struct scan *scan)
{
	if (enter(scan)) {
		do {
			while (take(scan, "not") || take(scan, "-") || take(scan, "#") ||
			       take(scan, "~"))
				continue;
			simple_expression(scan);
		} while (!scan->is_lost && take_binary(scan));
	}
	scan->depth--;
}

/* --- statements ------------------------------------------------------- */

static void scoped_block(struct scan *scan)
{
	size_t outer = scan->locals.len;
	block(scan);
	scan->locals.len = outer;
}

static void if_statement(struct scan *scan)
{
	do {
		expression(scan);
		expect(scan, "then");
		scoped_block(scan);
	} while (take(scan, "elseif"));
	if (take(scan, "else"))
		scoped_block(scan);
	expect(scan, "end");
}

static void for_statement(struct scan *scan)
{
	size_t outer = scan->locals.len;
	struct str names[8];
	size_t count = 0;
	do {
		struct str name = take_name(scan);
		if (count < sizeof(names) / sizeof(names[0]))
			names[count++] = name;
		else
			lose(scan);
	} while (take(scan, ","));
	if (!take(scan, "=")) {
		expect(scan, "in"); /* calls its iterator without looking like a call */
		scan->flags |= SCAN_CALL;
	}
	expressions(scan);
	expect(scan, "do");
	for (size_t i = 0; i < count; i++)
		add_local(scan, names[i]);
	block(scan);
	expect(scan, "end");
	scan->locals.len = outer;
}

/* Reads the values of a declaration: are they one table constructor and nothing else? */
static bool values_are_table(struct scan *scan)
{
	bool is_table = is_at(scan, "{");
	if (is_table)
		table_constructor(scan);
	else
		expressions(scan);
	if (is_table && take_binary(scan)) {
		is_table = false;
		expression(scan);
	}
	if (is_table && take(scan, ",")) {
		is_table = false;
		expressions(scan);
	}
	return is_table;
}

static void local_statement(struct scan *scan)
{
	if (take(scan, "function")) {
		add_local(scan, take_name(scan));
		function_body(scan, false);
		return;
	}
	/* The names count only after their values, so they wait in a list of their own. */
	VEC(struct str) names = { 0 };
	do {
		*vec_add(&names) = take_name(scan);
		if (take(scan, "<")) {
			take_name(scan);
			expect(scan, ">");
		}
	} while (take(scan, ","));
	bool makes_table = take(scan, "=") && values_are_table(scan);
	for (size_t i = 0; i < names.len; i++)
		add_local(scan, names.at[i]);
	if (names.len == 1)
		scan->locals.at[scan->locals.len - 1].is_fresh = makes_table;
	vec_release(&names);
}

static void function_statement(struct scan *scan)
{
	struct token name = scan->now;
	take_name(scan);
	bool is_field = false, is_method = false;
	while (take(scan, ".")) {
		take_name(scan);
		is_field = true;
	}
	if (take(scan, ":")) {
		take_name(scan);
		is_field = is_method = true;
	}
	use_name(scan, name, !is_field);
	if (is_field)
		write_index(scan);
	function_body(scan, is_method);
}

static void repeat_statement(struct scan *scan)
{
	size_t outer = scan->locals.len;
	block(scan);
	expect(scan, "until");
	expression(scan); /* still sees the locals of the block */
	scan->locals.len = outer;
}

static void target(struct scan *scan, enum shape shape, struct token name)
{
	if (shape == SHAPE_NAME)
		use_name(scan, name, true);
	else if (shape == SHAPE_INDEX || (shape == SHAPE_FIELD && !is_fresh(scan, name.text)))
		write_index(scan);
	else if (shape != SHAPE_FIELD)
		lose(scan);
}

static void expression_statement(struct scan *scan)
{
	struct token name;
	enum shape shape = suffixed(scan, &name);
	if (shape == SHAPE_CALL)
		return;
	target(scan, shape, name);
	while (take(scan, ",")) {
		shape = suffixed(scan, &name);
		target(scan, shape, name);
	}
	expect(scan, "=");
	expressions(scan);
}

static void statement(struct scan *scan)
{
	if (take(scan, ";") || take(scan, "break"))
		return;
	if (take(scan, "if")) {
		if_statement(scan);
	} else if (take(scan, "while")) {
		expression(scan);
		expect(scan, "do");
		scoped_block(scan);
		expect(scan, "end");
	} else if (take(scan, "do")) {
		scoped_block(scan);
		expect(scan, "end");
	} else if (take(scan, "for")) {
		for_statement(scan);
	} else if (take(scan, "repeat")) {
		repeat_statement(scan);
	} else if (take(scan, "function")) {
		function_statement(scan);
	} else if (take(scan, "local")) {
		local_statement(scan);
	} else if (take(scan, "::")) {
		take_name(scan);
		expect(scan, "::");
	} else if (take(scan, "goto")) {
		take_name(scan);
	} else {
		expression_statement(scan);
	}
}

static bool at_block_end(const struct scan *scan)
{
	return scan->now.kind == TOKEN_END || is_at(scan, "end") || is_at(scan, "else") ||
	       is_at(scan, "elseif") || is_at(scan, "until");
}

static void block(struct scan *scan)
{
	if (enter(scan)) {
		while (!at_block_end(scan)) {
			if (take(scan, "return")) {
				if (!at_block_end(scan) && !is_at(scan, ";"))
					expressions(scan);
				take(scan, ";");
				break;
			}
			statement(scan);
		}
	}
	scan->depth--;
}

/* --- the interface ---------------------------------------------------- */

static const unsigned all_flags = SCAN_WRITES | SCAN_DEEP_WRITE | SCAN_CALL;

unsigned scan_chunk(struct str code, scan_found *found, void *arg)
{
	struct scan scan = { .found = found, .arg = arg };
	start(&scan, code);
	block(&scan);
	bool is_whole = !scan.is_lost && scan.now.kind == TOKEN_END;
	vec_release(&scan.locals);
	return is_whole ? scan.flags : scan.flags | all_flags;
}

bool scan_expression(struct str code, unsigned *flags, scan_found *found, void *arg)
{
	struct scan scan = { .found = found, .arg = arg };
	start(&scan, code);
	expression(&scan);
	bool is_whole = !scan.is_lost && scan.now.kind == TOKEN_END;
	vec_release(&scan.locals);
	*flags = scan.flags;
	return is_whole;
}

bool scan_location(struct str code, struct str *base, bool *is_plain)
{
	struct scan scan = { 0 };
	struct token name;
	start(&scan, code);
	if (scan.now.kind != TOKEN_NAME)
		return false;
	enum shape shape = suffixed(&scan, &name);
	bool is_location = shape == SHAPE_NAME || shape == SHAPE_FIELD || shape == SHAPE_INDEX;
	bool is_whole = !scan.is_lost && scan.now.kind == TOKEN_END;
	vec_release(&scan.locals);
	*base = name.text;
	*is_plain = shape == SHAPE_NAME;
	return is_location && is_whole && !(scan.flags & SCAN_ENV) && !str_is(name.text, "_ENV");
}

bool scan_is_name(struct str text)
{
	if (text.len == 0 || isdigit((unsigned char)text.ptr[0]) || token_is_word(text))
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!token_is_name_char(text.ptr[i]))
			return false;
	return true;
}
