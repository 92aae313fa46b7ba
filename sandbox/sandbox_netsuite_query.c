/* SPDX-License-Identifier: MIT */
/*
 * SuiteQL over the scenarios' invoices: lower-case keys, every value a string,
 * nulls left out, dates in the account's format unless TO_CHAR says otherwise.
 *
 * An invoice is tied to its account by otherrefnum and by the customer's name;
 * a scenario that leaves them out means its account_id.
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_netsuite.h"
#include "sandbox/sandbox_soql.h"

enum { PAGE_ROWS = 1000 };

static const char *const transaction_columns[] = { "id",
	                                           "tranid",
	                                           "trandate",
	                                           "duedate",
	                                           "type",
	                                           "recordtype",
	                                           "status",
	                                           "entity",
	                                           "otherrefnum",
	                                           "memo",
	                                           "foreigntotal",
	                                           "foreignamountunpaid",
	                                           "foreignamountpaid",
	                                           "voided",
	                                           "void",
	                                           "currency",
	                                           "exchangerate",
	                                           "posting",
	                                           "createddate",
	                                           "lastmodifieddate",
	                                           "closedate",
	                                           "transactionnumber",
	                                           "email" };
static const char *const customer_columns[] = { "id",    "entityid",   "companyname",
	                                        "email", "isinactive", "currency" };

/* --- rows ----------------------------------------------------------------------- */

static void put_default(json_t *row, const char *key, json_t *value_taken)
{
	if (json_at(row, key))
		json_decref(value_taken);
	else
		json_put(row, key, value_taken);
}

static char *customer_id_new(const struct scenario *scenario)
{
	return mem_format("%u", 100 + (unsigned)(hash_text(scenario->account_id) % 900000));
}

/* Ids are strings in every reply, whatever the scenario wrote. */
static void put_text(json_t *row, const char *key)
{
	char text[32];
	const json_t *value = json_at(row, key);
	if (!json_is_integer(value))
		return;
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	json_put_str(row, key, text);
}

/* "USD" or an internal id; column currency holds the id, BUILTIN.DF(currency) the name. */
static void put_currency(json_t *row)
{
	static const char *const known[][2] = { { "USD", "1" }, { "GBP", "2" }, { "CAD", "3" },
		                                { "EUR", "4" }, { "CHF", "5" }, { "JPY", "6" } };
	const char *name = json_str(row, "currency", "USD");
	char id[16];
	snprintf(id, sizeof(id), "%u", 10 + (unsigned)(hash_text(name) % 90));
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(known[i][0], name) == 0)
			snprintf(id, sizeof(id), "%s", known[i][1]);
	json_put_str(row, "currencyname", name);
	json_put_str(row, "currency", id);
}

static void put_entity(json_t *row, const struct scenario *scenario)
{
	json_t *given = json_incref(json_at(row, "entity"));
	char *id = customer_id_new(scenario);
	const char *name = json_is_string(given) ? json_string_value(given)
	                                         : json_str(given, "name", scenario->account_id);
	json_put_str(row, "entityname", name);
	json_put_str(row, "entity", json_str(given, "id", id));
	free(id);
	json_decref(given);
}

static json_t *transaction_new(const struct scenario *scenario, const json_t *record)
{
	json_t *row = json_copy((json_t *)(uintptr_t)record);
	const json_t *total = json_at(row, "foreigntotal");
	const json_t *unpaid = json_at(row, "foreignamountunpaid");
	put_text(row, "id");
	put_default(row, "type", json_string("CustInvc"));
	put_default(row, "recordtype", json_string("invoice"));
	put_default(row, "posting", json_true());
	put_default(row, "voided", json_false());
	put_default(row, "void", json_incref(json_at(row, "voided")));
	put_default(row, "exchangerate", json_integer(1));
	put_default(row, "otherrefnum", json_text(str_of(scenario->account_id)));
	if (json_is_number(total) && json_is_number(unpaid))
		put_default(row, "foreignamountpaid",
		            json_real(json_number_value(total) - json_number_value(unpaid)));
	put_entity(row, scenario);
	put_currency(row);
	return row;
}

json_t *netsuite_transactions_new(struct sandbox *box)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		json_t *records = scenario_records_new(scenario, "netsuite", "invoice", "invoices");
		for (size_t k = 0; k < json_array_size(records); k++)
			json_push(rows, transaction_new(scenario, json_array_get(records, k)));
		json_decref(records);
	}
	return rows;
}

json_t *netsuite_customers_new(struct sandbox *box)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		if (!scenario->data || !json_at(scenario->data, "netsuite"))
			continue;
		json_t *row = json_object();
		char *id = customer_id_new(scenario);
		json_put_str(row, "id", id);
		json_put_str(row, "entityid", scenario->account_id);
		json_put_str(row, "companyname",
		             json_str(json_path(scenario->data, "salesforce.account"), "Name",
		                      scenario->account_id));
		json_put(row, "isinactive", json_false());
		json_push(rows, row);
		free(id);
	}
	return rows;
}

const char *netsuite_status_name(const json_t *transaction)
{
	static const char *const names[][2] = { { "A", "Open" },
		                                { "B", "Paid In Full" },
		                                { "D", "Pending Approval" },
		                                { "E", "Rejected" },
		                                { "V", "Voided" } };
	const char *letter = json_str(transaction, "status", "");
	const char *given = json_str(transaction, "statusname", NULL);
	for (size_t i = 0; !given && i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(names[i][0], letter) == 0)
			given = names[i][1];
	return given ? given : letter;
}

/* --- values --------------------------------------------------------------------- */

struct suiteql {
	struct sandbox *box;
	const struct soql_query *query;
	bool is_bad;
};

/* The column behind a table name or alias. */
static const char *bare_column(const struct soql_query *query, const char *path)
{
	const char *dot = strrchr(path, '.');
	size_t len = dot ? (size_t)(dot - path) : 0;
	const char *alias = query->alias ? query->alias : query->from;
	if (!dot)
		return path;
	return strlen(alias) == len && strncasecmp(alias, path, len) == 0 ? dot + 1 : path;
}

static const char *column_of(const struct soql_query *query, const char *path)
{
	bool is_transaction = strcasecmp(query->from, "transaction") == 0;
	const char *const *columns = is_transaction ? transaction_columns : customer_columns;
	size_t count = is_transaction ? sizeof(transaction_columns) / sizeof(*transaction_columns)
	                              : sizeof(customer_columns) / sizeof(*customer_columns);
	const char *bare = bare_column(query, path);
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(columns[i], bare) == 0)
			return columns[i];
	return NULL;
}

/* What the screen shows for a column: the name behind an id. */
static json_t *display_new(const json_t *row, const char *column)
{
	if (strcmp(column, "status") == 0) {
		char *text = mem_format("Invoice : %s", netsuite_status_name(row));
		json_t *shown = json_text(str_of(text));
		free(text);
		return shown;
	}
	const char *name = strcmp(column, "entity") == 0     ? "entityname"
	                   : strcmp(column, "currency") == 0 ? "currencyname"
	                                                     : column;
	json_t *value = json_at(row, name);
	return value ? json_incref(value) : json_null();
}

/* 2026-02-04 as YYYY-MM-DD, MM/DD/YYYY and the like. */
static json_t *date_new(const json_t *value, const char *format)
{
	const char *date = json_is_string(value) ? json_string_value(value) : "";
	struct buf out;
	if (strlen(date) < 10)
		return json_null();
	buf_init(&out, 1024);
	while (*format && out.len < 100) {
		size_t step = 2;
		if (strncasecmp(format, "YYYY", 4) == 0) {
			buf_put_len(&out, date, 4);
			step = 4;
		} else if (strncasecmp(format, "MM", 2) == 0) {
			buf_put_len(&out, date + 5, 2);
		} else if (strncasecmp(format, "DD", 2) == 0) {
			buf_put_len(&out, date + 8, 2);
		} else {
			buf_put_len(&out, format, 1);
			step = 1;
		}
		format += step;
	}
	json_t *text = json_text(buf_str(&out));
	buf_release(&out);
	return text;
}

static json_t *value_new(void *ctx, const json_t *row, const struct soql_expr *expr);

static json_t *cased_new(json_t *value_taken, int (*change)(int c))
{
	char *text = mem_dup_str(json_is_string(value_taken) ? json_string_value(value_taken)
	                                                     : NULL);
	if (!text)
		return value_taken;
	json_decref(value_taken);
	for (char *c = text; *c; c++)
		*c = (char)change((unsigned char)*c);
	json_t *changed = json_text(str_of(text));
	free(text);
	return changed;
}

static json_t *call_new(struct suiteql *run, const json_t *row, const struct soql_expr *call)
{
	const struct soql_expr *first = call->args[0];
	if (strcmp(call->text, "BUILTIN.DF") == 0)
		return display_new(row, column_of(run->query, first->text));
	json_t *value = value_new(run, row, first);
	if (strcmp(call->text, "UPPER") == 0)
		return cased_new(value, toupper);
	if (strcmp(call->text, "LOWER") == 0)
		return cased_new(value, tolower);
	if (strcmp(call->text, "BUILTIN.CF") == 0) {
		char *text = mem_format("%s:%s", json_str(row, "type", ""),
		                        json_is_string(value) ? json_string_value(value) : "");
		json_decref(value);
		value = json_text(str_of(text));
		free(text);
	} else if (strcmp(call->text, "TO_CHAR") == 0 && call->count == 2) {
		json_t *date = date_new(value, call->args[1]->text);
		json_decref(value);
		value = date;
	} else if (strcmp(call->text, "NVL") == 0 && json_is_null(value)) {
		value = value_new(run, row, call->args[1]);
	}
	return value;
}

static json_t *value_new(void *ctx, const json_t *row, const struct soql_expr *expr)
{
	struct suiteql *run = ctx;
	if (expr->kind == SOQL_CALL)
		return call_new(run, row, expr);
	if (expr->kind == SOQL_STRING)
		return json_text(str_of(expr->text));
	if (expr->kind == SOQL_NUMBER)
		return json_real(expr->number);
	const char *column = expr->kind == SOQL_COLUMN ? column_of(run->query, expr->text) : NULL;
	json_t *value = column ? json_at(row, column) : NULL;
	if (json_is_boolean(value))
		return json_string(json_is_true(value) ? "T" : "F");
	return value ? json_incref(value) : json_null();
}

/* --- checks --------------------------------------------------------------------- */

static int check_call(const struct soql_query *query, const struct soql_expr *call, struct err *err)
{
	static const struct {
		const char *name;
		size_t args_min, args_max;
	} calls[] = { { "BUILTIN.DF", 1, 1 }, { "BUILTIN.CF", 1, 1 }, { "TO_CHAR", 1, 2 },
		      { "UPPER", 1, 1 },      { "LOWER", 1, 1 },      { "NVL", 2, 2 },
		      { "TO_DATE", 1, 2 } };
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		if (strcmp(calls[i].name, call->text) != 0)
			continue;
		if (call->count < calls[i].args_min || call->count > calls[i].args_max)
			return err_set(err, ERR_INPUT, "Invalid number of arguments for %s",
			               call->text);
		if (str_begins(call->text, "BUILTIN.") &&
		    (call->args[0]->kind != SOQL_COLUMN || !column_of(query, call->args[0]->text)))
			return err_set(err, ERR_INPUT, "%s needs a column", call->text);
		if (strcmp(call->text, "TO_CHAR") == 0 && call->count == 2 &&
		    call->args[1]->kind != SOQL_STRING)
			return err_set(err, ERR_INPUT, "TO_CHAR needs a format in quotes");
		return 0;
	}
	return err_set(err, ERR_INPUT, "Unknown identifier '%.100s'", call->text);
}

static int check_expr(void *ctx, const struct soql_expr *expr, struct err *err)
{
	const struct soql_query *query = ctx;
	if (soql_is_aggregate(expr))
		return 0;
	if (expr->kind == SOQL_CALL)
		return check_call(query, expr, err);
	if (expr->kind != SOQL_COLUMN || strcmp(expr->text, "*") == 0)
		return 0;
	if (column_of(query, expr->text))
		return 0;
	return err_set(err, ERR_INPUT, "Field '%.100s' for record '%s' was not found", expr->text,
	               query->from);
}

static int check(const struct soql_query *query, struct err *err)
{
	if (strcasecmp(query->from, "transaction") != 0 && strcasecmp(query->from, "customer") != 0)
		return err_set(err, ERR_INPUT, "Record '%.100s' was not found", query->from);
	return soql_each(query, check_expr, (void *)(uintptr_t)query, err);
}

/* --- the answer ----------------------------------------------------------------- */

static json_t *inner_new(void *ctx, const struct soql_query *inner);

static json_t *found_new(struct suiteql *run)
{
	struct soql_reader reader = { run, value_new, inner_new, NULL };
	bool is_transaction = strcasecmp(run->query->from, "transaction") == 0;
	json_t *rows = is_transaction ? netsuite_transactions_new(run->box)
	                              : netsuite_customers_new(run->box);
	json_t *found = soql_select_new(run->query, rows, &reader);
	json_decref(rows);
	if (soql_is_grouped(run->query)) {
		json_t *groups = soql_group_new(run->query, found, &reader);
		json_decref(found);
		found = groups;
	}
	return found;
}

static json_t *inner_new(void *ctx, const struct soql_query *inner)
{
	struct suiteql *outer = ctx, run = { outer->box, inner, false };
	struct err err = { 0 };
	json_t *values = json_array();
	if (check(inner, &err) < 0) {
		outer->is_bad = true;
		return values;
	}
	json_t *rows = found_new(&run);
	for (size_t i = 0; i < json_array_size(rows); i++)
		json_push(values, value_new(&run, json_array_get(rows, i), inner->columns[0].expr));
	json_decref(rows);
	return values;
}

/* As text: numbers in their shortest form, dates as m/d/yyyy; nothing for null. */
static void put_value(json_t *item, const char *key, const json_t *value, bool is_date)
{
	char name[300], text[64];
	snprintf(name, sizeof(name), "%s", key);
	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (json_is_string(value)) {
		const char *date = json_string_value(value);
		bool is_iso = is_date && strlen(date) >= 10 && date[4] == '-';
		if (is_iso)
			snprintf(text, sizeof(text), "%ld/%ld/%.4s", strtol(date + 5, NULL, 10),
			         strtol(date + 8, NULL, 10), date);
		json_put_str(item, name, is_iso ? text : date);
	} else if (json_is_integer(value)) {
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
		json_put_str(item, name, text);
	} else if (json_is_real(value)) {
		snprintf(text, sizeof(text), "%.15g", json_real_value(value));
		json_put_str(item, name, text);
	} else if (json_is_boolean(value)) {
		json_put_str(item, name, json_is_true(value) ? "T" : "F");
	}
}

static void put_column(struct suiteql *run, json_t *item, const json_t *row, const char *name,
                       const struct soql_expr *expr)
{
	json_t *value = value_new(run, row, expr);
	bool is_date = expr->kind == SOQL_COLUMN && str_ends(expr->text, "date");
	put_value(item, name, value, is_date);
	json_decref(value);
}

static json_t *item_new(struct suiteql *run, const json_t *row)
{
	json_t *item = json_object(), *value;
	const char *key;
	int unnamed = 0;
	json_put(item, "links", json_array());
	if (soql_is_grouped(run->query)) {
		json_object_foreach((json_t *)(uintptr_t)row, key, value)
			put_value(item, key, value, str_ends(key, "date"));
		return item;
	}
	for (size_t i = 0; i < run->query->column_count; i++) {
		const struct soql_column *column = &run->query->columns[i];
		const struct soql_expr *expr = column->expr;
		char name[32];
		if (expr->kind == SOQL_COLUMN && strcmp(expr->text, "*") == 0) {
			for (size_t k = 0;
			     k < sizeof(transaction_columns) / sizeof(*transaction_columns); k++) {
				struct soql_expr one = { .kind = SOQL_COLUMN,
					                 .text = transaction_columns[k] };
				put_column(run, item, row, one.text, &one);
			}
			continue;
		}
		snprintf(name, sizeof(name), "expr%d", unnamed + 1);
		if (!column->name && expr->kind != SOQL_COLUMN)
			unnamed++;
		put_column(run, item, row,
		           column->name                ? column->name
		           : expr->kind == SOQL_COLUMN ? bare_column(run->query, expr->text)
		                                       : name,
		           expr);
	}
	return item;
}

static void put_link(json_t *links, const char *rel, const char *base, int64_t limit,
                     int64_t offset, bool is_there)
{
	if (!is_there)
		return;
	json_t *link = json_object();
	char *href = mem_format("%s/services/rest/query/v1/suiteql?limit=%lld&offset=%lld", base,
	                        (long long)limit, (long long)offset);
	json_put_str(link, "rel", rel);
	json_put_str(link, "href", href);
	json_push(links, link);
	free(href);
}

static void put_page(struct suiteql *run, struct request *request, int64_t limit, int64_t offset,
                     struct reply *reply)
{
	json_t *rows = found_new(run), *items = json_array(), *body = json_object();
	json_t *links = json_array(), *self = json_object();
	char *base = request_base_new(request);
	char *href = mem_format("%s/services/rest/query/v1/suiteql?limit=%lld&offset=%lld", base,
	                        (long long)limit, (long long)offset);
	int64_t total = (int64_t)json_array_size(rows);
	for (int64_t i = offset; i < total && i < offset + limit; i++)
		json_push(items, item_new(run, json_array_get(rows, (size_t)i)));
	json_put_str(self, "rel", "self");
	json_put_str(self, "href", href);
	json_push(links, self);
	put_link(links, "next", base, limit, offset + limit, offset + limit < total);
	put_link(links, "prev", base, limit, offset > limit ? offset - limit : 0, offset > 0);
	json_put(body, "links", links);
	json_put_int(body, "count", (int64_t)json_array_size(items));
	json_put(body, "hasMore", json_boolean(offset + limit < total));
	json_put(body, "items", items);
	json_put_int(body, "offset", offset);
	json_put_int(body, "totalResults", total);
	reply_json(reply, 200, body);
	reply->content_type = "application/vnd.oracle.resource+json; type=collection";
	free(base);
	free(href);
	json_decref(rows);
}

static bool page_number(const struct request *request, const char *name, int64_t min, int64_t max,
                        int64_t fallback, int64_t *ret)
{
	const char *text = pairs_get(&request->query, name);
	char *end = NULL;
	*ret = text ? strtoll(text, &end, 10) : fallback;
	return !text || (*text && !*end && *ret >= min && *ret <= max);
}

static void parameter_error(struct reply *reply, const char *parameter, const char *text)
{
	netsuite_error(reply, 400, "INVALID_PARAMETER", "%s", text);
	json_t *body = NULL;
	struct err ignored = { 0 };
	if (json_read(buf_str(&reply->body), MAX_REPLY_BYTES, &body, &ignored) < 0)
		return;
	json_put_str(json_path(body, "o:errorDetails[0]"), "o:errorQueryParam", parameter);
	reply_json(reply, 400, body);
	reply->content_type = "application/vnd.oracle.resource+json; type=error";
}

static void answer(struct sandbox *box, struct request *request, const char *text, int64_t limit,
                   int64_t offset, struct reply *reply)
{
	struct arena arena;
	struct err err = { 0 };
	struct soql_query *query = NULL;
	arena_init(&arena);
	int status = soql_parse(DIALECT_SUITEQL, text, request->now_ms / 1000, &arena, &query,
	                        &err);
	if (status == 0)
		status = check(query, &err);
	struct suiteql run = { box, query, false };
	if (status == 0)
		put_page(&run, request, limit, offset, reply);
	if (status == 0 && run.is_bad)
		status = err_set(&err, ERR_INPUT, "the inner query is not valid");
	if (status < 0) {
		char *said = mem_format("Invalid search query. Detailed unprocessed description "
		                        "follows. Search error occurred: %s.",
		                        err.text);
		parameter_error(reply, "q", said);
		free(said);
	}
	arena_release(&arena);
}

static bool prefers_transient(const struct request *request)
{
	return strcasestr(request_header(request, "Prefer"), "transient") != NULL;
}

void netsuite_suiteql(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	(void)parts;
	int64_t limit, offset;
	const char *text = json_str(request->json, "q", NULL);
	if (!prefers_transient(request))
		netsuite_error(
			reply, 400, "INVALID_HEADER",
			"The required request header 'Prefer' is missing or invalid. Provide "
			"the header 'Prefer: transient'.");
	else if (!request_is(request, "application/json", true))
		netsuite_error(reply, 415, "INVALID_CONTENT_TYPE",
		               "Invalid content type. Use application/json.");
	else if (!json_is_object(request->json))
		netsuite_error(reply, 400, "INVALID_CONTENT",
		               "Invalid content in the request body.");
	else if (!text)
		netsuite_error(reply, 400, "INVALID_CONTENT",
		               "The request body must hold the query in the field 'q'.");
	else if (!page_number(request, "limit", 1, PAGE_ROWS, PAGE_ROWS, &limit))
		parameter_error(reply, "limit", "The limit must be a number from 1 to 1000.");
	else if (!page_number(request, "offset", 0, 99999, 0, &offset))
		parameter_error(reply, "offset", "The offset must be a number from 0 to 99999.");
	else
		answer(box, request, text, limit, offset, reply);
}
