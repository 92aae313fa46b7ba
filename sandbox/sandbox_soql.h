/* SPDX-License-Identifier: MIT */
/*
 * The little SELECT of the sandbox: Salesforce's SOQL and NetSuite's SuiteQL
 * share one parser (sandbox_soql.c) and one evaluator (sandbox_select.c) over
 * lists of JSON rows.
 *
 *   SELECT column [AS name], ... FROM table [alias] [WHERE condition] [GROUP BY ...]
 *   [ORDER BY expression [ASC|DESC] [NULLS FIRST|LAST], ...] [LIMIT n] [OFFSET n]
 *
 * Conditions: = != <> < <= > >= LIKE IN, NOT, AND, OR, parentheses, IS [NOT]
 * NULL, and IN (SELECT one column ...).  SOQL writes strings with backslash
 * escapes and refuses AND beside OR without parentheses; SuiteQL doubles the
 * quote, calls functions, and has no LIMIT.  COUNT, COUNT_DISTINCT, SUM, MIN, MAX
 * and AVG count over groups, or over all.  SOQL knows dates by name (TODAY,
 * LAST_N_DAYS:30, ...) and queries of children among its columns.  Joins and
 * HAVING are refused.
 */
#ifndef SANDBOX_SOQL_H
#define SANDBOX_SOQL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum soql_dialect { DIALECT_SOQL, DIALECT_SUITEQL };

enum soql_kind {
	SOQL_COLUMN, /* text: "Account.Name" */
	SOQL_STRING,
	SOQL_NUMBER,
	SOQL_DATE, /* SOQL: 2026-01-31 or with a time; number 1: made of a date's name */
	SOQL_TRUE,
	SOQL_FALSE,
	SOQL_NULL,
	SOQL_CALL, /* text: "BUILTIN.DF" in capitals, args */
	SOQL_AND,
	SOQL_OR,
	SOQL_NOT,
	SOQL_EQUAL,
	SOQL_UNEQUAL,
	SOQL_LESS,
	SOQL_LESS_EQUAL,
	SOQL_GREATER,
	SOQL_GREATER_EQUAL,
	SOQL_LIKE,
	SOQL_IN, /* args[0] IN the rest, or IN inner */
	SOQL_IS_NULL
};

struct soql_query;

struct soql_expr {
	enum soql_kind kind;
	const char *text;
	double number;
	struct soql_expr **args;
	size_t count;
	struct soql_query *inner;
};

struct soql_column {
	struct soql_expr *expr;
	const char *name;         /* after AS, or NULL */
	struct soql_query *inner; /* SOQL: (SELECT ... FROM children); expr is null then */
};

struct soql_order {
	struct soql_expr *expr;
	bool is_descending, nulls_first;
};

enum { SOQL_COLUMNS_MAX = 200, SOQL_ORDERS_MAX = 16, SOQL_GROUPS_MAX = 8 };

struct soql_query {
	enum soql_dialect dialect;
	const char *from, *alias; /* alias may be NULL */
	struct soql_column *columns;
	size_t column_count;
	struct soql_expr *where; /* or NULL */
	struct soql_order orders[SOQL_ORDERS_MAX];
	size_t order_count;
	struct soql_expr *groups[SOQL_GROUPS_MAX];
	size_t group_count;
	int64_t limit; /* -1: none */
	int64_t offset;
	bool is_count; /* SELECT COUNT() */
};

/* Everything lives in the arena; dates by name count from now_s.  The error's text says what
 * was not understood. */
int soql_parse(enum soql_dialect dialect, const char *text, int64_t now_s, struct arena *arena,
               struct soql_query **ret, struct err *err) ATTR_MUST_USE;

/* How a dialect reads a row; inner queries are run by it, too. */
struct soql_reader {
	void *ctx;
	/* New value of a column or a call. */
	json_t *(*value_new)(void *ctx, const json_t *row, const struct soql_expr *expr);
	/* New list of the values of the inner query's only column. */
	json_t *(*inner_new)(void *ctx, const struct soql_query *inner);
	/* What a comparison uses in place of value_new's answer; NULL: the same. */
	json_t *(*filter_new)(void *ctx, const json_t *row, const struct soql_expr *expr);
};

/* The rows that fulfil the condition, sorted; LIMIT and OFFSET are the caller's. */
json_t *soql_select_new(const struct soql_query *query, json_t *rows,
                        const struct soql_reader *reader);
/* Is it a call that counts over many rows? */
bool soql_is_aggregate(const struct soql_expr *expr);
/* Does the query answer with groups? */
bool soql_is_grouped(const struct soql_query *query);
/* One object per group of those rows, a member per column: its name, its field's, or exprN. */
json_t *soql_group_new(const struct soql_query *query, const json_t *rows,
                       const struct soql_reader *reader);
/* Calls visit for every column and call of the query's expressions until it returns < 0. */
int soql_each(const struct soql_query *query,
              int (*visit)(void *ctx, const struct soql_expr *expr, struct err *err), void *ctx,
              struct err *err);

#endif
