/* SPDX-License-Identifier: MIT */
/*
 * A SELECT over rows.  Conditions have three values, as in SQL; SOQL differs in
 * that null can be compared with = and !=, that text is compared without regard
 * to case, and that a 15-character id equals its 18-character form.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/must.h"
#include "sandbox/sandbox_soql.h"

enum truth { NO, UNKNOWN, YES };

struct run {
	const struct soql_query *query;
	const struct soql_reader *reader;
};

static json_t *value_new(const struct run *run, const json_t *row, const struct soql_expr *expr)
{
	switch (expr->kind) {
	case SOQL_COLUMN:
	case SOQL_CALL:
		if (run->reader->filter_new)
			return run->reader->filter_new(run->reader->ctx, row, expr);
		return run->reader->value_new(run->reader->ctx, row, expr);
	case SOQL_STRING:
	case SOQL_DATE: return json_text(str_of(expr->text));
	case SOQL_NUMBER: return json_real(expr->number);
	case SOQL_TRUE: return json_true();
	case SOQL_FALSE: return json_false();
	case SOQL_NULL:
	case SOQL_AND:
	case SOQL_OR:
	case SOQL_NOT:
	case SOQL_EQUAL:
	case SOQL_UNEQUAL:
	case SOQL_LESS:
	case SOQL_LESS_EQUAL:
	case SOQL_GREATER:
	case SOQL_GREATER_EQUAL:
	case SOQL_LIKE:
	case SOQL_IN:
	case SOQL_IS_NULL: return json_null();
	}
	return json_null();
}

static bool is_id(const char *text)
{
	size_t len = strlen(text);
	bool has_digit = false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]))
			return false;
		has_digit |= isdigit((unsigned char)text[i]) != 0;
	}
	return has_digit && (len == 15 || len == 18);
}

static int compare_text(enum soql_dialect dialect, const char *a, const char *b)
{
	if (dialect == DIALECT_SUITEQL)
		return strcmp(a, b);
	if (is_id(a) && is_id(b))
		return strncmp(a, b, 15);
	return strcasecmp(a, b);
}

static bool number_of(const json_t *value, double *ret)
{
	if (json_is_number(value)) {
		*ret = json_number_value(value);
		return true;
	}
	char *end;
	if (!json_is_string(value) || json_string_length(value) == 0)
		return false;
	*ret = strtod(json_string_value(value), &end);
	return *end == '\0';
}

/* Of two values that are not null. */
static int compare(enum soql_dialect dialect, const json_t *a, const json_t *b)
{
	double left, right;
	bool is_numeric = json_is_number(a) || json_is_number(b);
	if (is_numeric && number_of(a, &left) && number_of(b, &right))
		return left < right ? -1 : left > right;
	if (json_is_boolean(a) && json_is_boolean(b))
		return (int)json_is_true(a) - (int)json_is_true(b);
	if (json_is_string(a) && json_is_string(b))
		return compare_text(dialect, json_string_value(a), json_string_value(b));
	return (int)json_typeof(a) - (int)json_typeof(b);
}

/* % any text, _ one character, \ before one of them: itself. */
static bool is_like(const char *text, const char *pattern, bool fold)
{
	const char *star = NULL, *retry = NULL;
	while (*text) {
		bool escaped = *pattern == '\\' && pattern[1];
		char want = escaped ? pattern[1] : *pattern;
		bool same = fold ? tolower((unsigned char)want) == tolower((unsigned char)*text)
		                 : want == *text;
		if (!escaped && *pattern == '%') {
			star = ++pattern;
			retry = text;
		} else if (want && (same || (!escaped && want == '_'))) {
			pattern += escaped ? 2 : 1;
			text++;
		} else if (star) {
			pattern = star;
			text = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '%')
		pattern++;
	return *pattern == '\0';
}

static enum truth truth_of(bool yes)
{
	return yes ? YES : NO;
}

static enum truth test_values(const struct run *run, enum soql_kind kind, const json_t *a,
                              const json_t *b)
{
	enum soql_dialect dialect = run->query->dialect;
	if (json_is_null(a) || json_is_null(b)) {
		if (dialect == DIALECT_SUITEQL)
			return UNKNOWN;
		if (kind == SOQL_EQUAL)
			return truth_of(json_is_null(a) && json_is_null(b));
		return truth_of(kind == SOQL_UNEQUAL && !(json_is_null(a) && json_is_null(b)));
	}
	if (kind == SOQL_LIKE)
		return truth_of(json_is_string(a) && json_is_string(b) &&
		                is_like(json_string_value(a), json_string_value(b),
		                        dialect == DIALECT_SOQL));
	int order = compare(dialect, a, b);
	bool yes = (kind == SOQL_EQUAL && order == 0) || (kind == SOQL_UNEQUAL && order != 0) ||
	           (kind == SOQL_LESS && order < 0) || (kind == SOQL_LESS_EQUAL && order <= 0) ||
	           (kind == SOQL_GREATER && order > 0) ||
	           (kind == SOQL_GREATER_EQUAL && order >= 0);
	return truth_of(yes);
}

static enum truth test_in(const struct run *run, const json_t *row, const struct soql_expr *expr)
{
	json_t *value = value_new(run, row, expr->args[0]), *list = json_array();
	for (size_t i = 1; i < expr->count; i++)
		json_push(list, value_new(run, row, expr->args[i]));
	if (expr->inner) {
		json_decref(list);
		list = run->reader->inner_new(run->reader->ctx, expr->inner);
	}
	enum truth found = NO;
	for (size_t i = 0; i < json_array_size(list) && found != YES; i++) {
		enum truth same = test_values(run, SOQL_EQUAL, value, json_array_get(list, i));
		found = same > found ? same : found;
	}
	json_decref(value);
	json_decref(list);
	return found;
}

static enum truth test(const struct run *run, const json_t *row, const struct soql_expr *expr);

static enum truth test_all(const struct run *run, const json_t *row, const struct soql_expr *expr)
{
	enum truth result = expr->kind == SOQL_AND ? YES : NO;
	for (size_t i = 0; i < expr->count; i++) {
		enum truth one = test(run, row, expr->args[i]);
		if (expr->kind == SOQL_AND ? one < result : one > result)
			result = one;
	}
	return result;
}

static enum truth test(const struct run *run, const json_t *row, const struct soql_expr *expr)
{
	if (expr->kind == SOQL_AND || expr->kind == SOQL_OR)
		return test_all(run, row, expr);
	if (expr->kind == SOQL_NOT)
		return (enum truth)(YES - test(run, row, expr->args[0]));
	if (expr->kind == SOQL_IN)
		return test_in(run, row, expr);
	if (expr->count == 0)
		return UNKNOWN;
	json_t *left = value_new(run, row, expr->args[0]);
	enum truth result;
	if (expr->kind == SOQL_IS_NULL) {
		result = truth_of(json_is_null(left));
	} else {
		json_t *right = expr->count > 1 ? value_new(run, row, expr->args[1]) : json_null();
		result = test_values(run, expr->kind, left, right);
		json_decref(right);
	}
	json_decref(left);
	return result;
}

/* --- order ---------------------------------------------------------------------- */

struct sorted {
	json_t *row;
	json_t *keys[SOQL_ORDERS_MAX];
	size_t index;
};

static int by_orders(const void *a, const void *b, void *ctx)
{
	const struct soql_query *query = ctx;
	const struct sorted *left = a, *right = b;
	for (size_t i = 0; i < query->order_count; i++) {
		const struct soql_order *order = &query->orders[i];
		bool left_null = json_is_null(left->keys[i]),
		     right_null = json_is_null(right->keys[i]);
		if (left_null && right_null)
			continue;
		if (left_null || right_null)
			return left_null == order->nulls_first ? -1 : 1;
		int result = compare(query->dialect, left->keys[i], right->keys[i]);
		if (result)
			return order->is_descending ? -result : result;
	}
	return left->index < right->index ? -1 : left->index > right->index;
}

json_t *soql_select_new(const struct soql_query *query, json_t *rows,
                        const struct soql_reader *reader)
{
	struct run run = { query, reader };
	struct sorted *kept = mem_grow(NULL, json_array_size(rows) + 1, sizeof(*kept));
	size_t count = 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		if (query->where && test(&run, row, query->where) != YES)
			continue;
		kept[count] = (struct sorted){ .row = row, .index = count };
		for (size_t k = 0; k < query->order_count; k++)
			kept[count].keys[k] = value_new(&run, row, query->orders[k].expr);
		count++;
	}
	qsort_r(kept, count, sizeof(*kept), by_orders, (void *)(uintptr_t)query);
	json_t *result = json_array();
	for (size_t i = 0; i < count; i++) {
		json_array_append(result, kept[i].row);
		for (size_t k = 0; k < query->order_count; k++)
			json_decref(kept[i].keys[k]);
	}
	free(kept);
	return result;
}

/* --- groups ---------------------------------------------------------------------- */

bool soql_is_aggregate(const struct soql_expr *expr)
{
	static const char *const names[] = {
		"COUNT", "COUNT_DISTINCT", "SUM", "MIN", "MAX", "AVG"
	};
	for (size_t i = 0; expr && expr->kind == SOQL_CALL && i < sizeof(names) / sizeof(*names);
	     i++)
		if (strcmp(expr->text, names[i]) == 0)
			return true;
	return false;
}

bool soql_is_grouped(const struct soql_query *query)
{
	bool is_grouped = query->group_count > 0;
	for (size_t i = 0; i < query->column_count; i++)
		is_grouped |= soql_is_aggregate(query->columns[i].expr);
	return is_grouped && !query->is_count;
}

/* The values that an aggregate is about, null left out. */
static json_t *values_new(const struct run *run, const json_t *rows, const struct soql_expr *expr)
{
	json_t *values = json_array(), *seen = json_object();
	bool is_distinct = strcmp(expr->text, "COUNT_DISTINCT") == 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		json_t *value = expr->count ? value_new(run, row, expr->args[0]) : json_true();
		char *key = json_canon(value);
		if (!json_is_null(value) && !(is_distinct && json_at(seen, key)))
			json_array_append(values, value);
		json_put(seen, key, json_true());
		free(key);
		json_decref(value);
	}
	json_decref(seen);
	return values;
}

static json_t *aggregate_new(const struct run *run, const json_t *rows,
                             const struct soql_expr *expr)
{
	json_t *values = values_new(run, rows, expr), *best = NULL;
	size_t count = json_array_size(values);
	double sum = 0, number;
	bool is_max = strcmp(expr->text, "MAX") == 0;
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_array_get(values, i);
		if (number_of(value, &number))
			sum += number;
		int order = best ? compare(run->query->dialect, value, best) : 0;
		if (!best || (is_max ? order > 0 : order < 0))
			best = json_array_get(values, i);
	}
	json_t *result = best ? json_incref(best) : json_null();
	bool is_sum = strcmp(expr->text, "SUM") == 0, is_mean = strcmp(expr->text, "AVG") == 0;
	if (strncmp(expr->text, "COUNT", strlen("COUNT")) == 0 || (best && (is_sum || is_mean))) {
		json_decref(result);
		result = is_sum    ? json_real(sum)
		         : is_mean ? json_real(sum / (double)count)
		                   : json_integer((json_int_t)count);
	}
	json_decref(values);
	return result;
}

static char *column_name_new(const struct soql_query *query, size_t index, int *unnamed)
{
	const struct soql_column *column = &query->columns[index];
	if (column->name)
		return mem_dup_str(column->name);
	if (column->expr->kind != SOQL_COLUMN) {
		/* Salesforce counts them from 0, NetSuite from 1. */
		int first = query->dialect == DIALECT_SOQL ? 0 : 1;
		return mem_format("expr%d", first + (*unnamed)++);
	}
	const char *dot = strrchr(column->expr->text, '.');
	return mem_dup_str(dot ? dot + 1 : column->expr->text);
}

static json_t *group_row_new(const struct run *run, const json_t *rows)
{
	json_t *made = json_object();
	int unnamed = 0;
	for (size_t i = 0; i < run->query->column_count; i++) {
		const struct soql_expr *expr = run->query->columns[i].expr;
		char *name = column_name_new(run->query, i, &unnamed);
		json_put(made, name,
		         soql_is_aggregate(expr)
		                 ? aggregate_new(run, rows, expr)
		                 : run->reader->value_new(run->reader->ctx, json_array_get(rows, 0),
		                                          expr));
		free(name);
	}
	return made;
}

json_t *soql_group_new(const struct soql_query *query, const json_t *rows,
                       const struct soql_reader *reader)
{
	struct run run = { query, reader };
	json_t *groups = json_object(), *order = json_array(), *result = json_array();
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i), *values = json_array();
		for (size_t k = 0; k < query->group_count; k++)
			json_push(values, value_new(&run, row, query->groups[k]));
		char *key = json_canon(values);
		if (!json_at(groups, key)) {
			json_put(groups, key, json_array());
			json_array_append(order, json_at(groups, key));
		}
		json_array_append(json_at(groups, key), row);
		free(key);
		json_decref(values);
	}
	if (query->group_count == 0 && json_array_size(order) == 0)
		json_push(order, json_array());
	for (size_t i = 0; i < json_array_size(order); i++)
		json_push(result, group_row_new(&run, json_array_get(order, i)));
	json_decref(groups);
	json_decref(order);
	return result;
}

/* --- walking -------------------------------------------------------------------- */

static int each(const struct soql_expr *expr,
                int (*visit)(void *ctx, const struct soql_expr *expr, struct err *err), void *ctx,
                struct err *err)
{
	if (!expr)
		return 0;
	if (visit(ctx, expr, err) < 0)
		return err->code;
	for (size_t i = 0; i < expr->count; i++)
		if (each(expr->args[i], visit, ctx, err) < 0)
			return err->code;
	return 0;
}

int soql_each(const struct soql_query *query,
              int (*visit)(void *ctx, const struct soql_expr *expr, struct err *err), void *ctx,
              struct err *err)
{
	for (size_t i = 0; i < query->column_count; i++)
		if (each(query->columns[i].expr, visit, ctx, err) < 0)
			return err->code;
	for (size_t i = 0; i < query->group_count; i++)
		if (each(query->groups[i], visit, ctx, err) < 0)
			return err->code;
	if (each(query->where, visit, ctx, err) < 0)
		return err->code;
	for (size_t i = 0; i < query->order_count; i++)
		if (each(query->orders[i].expr, visit, ctx, err) < 0)
			return err->code;
	return 0;
}
