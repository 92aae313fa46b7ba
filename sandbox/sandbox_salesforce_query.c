/* SPDX-License-Identifier: MIT */
/*
 * SOQL over the org's records: names checked as Salesforce checks them, values
 * of the right type, parents read through their ids, pages by nextRecordsUrl.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"
#include "sandbox/sandbox_soql.h"

enum { PAGE_ROWS = 2000, PAGE_ROWS_MIN = 200, PARENTS_DEEP = 5 };

struct query_run {
	struct sandbox *box;
	const struct sf_object *object;
	const struct soql_query *query;
	const char *version;
	bool with_deleted;
	bool is_bad;      /* an inner query failed */
	const char *code; /* of the error found by the checks */
};

/* --- names ---------------------------------------------------------------------- */

/* "a.Name" and "Account.Name" name the object's own field when a or Account is itself. */
static const char *own_path(const struct query_run *run, const char *path)
{
	size_t len = strcspn(path, ".");
	const char *alias = run->query->alias;
	if (!path[len])
		return path;
	if (alias && strlen(alias) == len && strncasecmp(alias, path, len) == 0)
		return path + len + 1;
	if (strlen(run->object->name) == len && strncasecmp(run->object->name, path, len) == 0 &&
	    !sf_parent_find(run->object, path, len))
		return path + len + 1;
	return path;
}

static bool is_custom_field(struct sandbox *box, const struct sf_object *object, const char *name)
{
	if (!str_ends(name, "__c"))
		return false;
	json_t *rows = sf_rows_new(box, object);
	bool found = false;
	for (size_t i = 0; !found && i < json_array_size(rows); i++)
		found = json_at(json_array_get(rows, i), name) != NULL;
	json_decref(rows);
	return found;
}

/* The last step of a path: object and field; false when there is no such column. */
static bool path_end(const struct query_run *run, const char *path,
                     const struct sf_object **ret_object, const char **ret_name)
{
	const struct sf_object *object = run->object;
	path = own_path(run, path);
	for (int depth = 0; object; depth++) {
		size_t len = strcspn(path, ".");
		*ret_object = object;
		*ret_name = path;
		if (!path[len])
			return sf_field_find(object, path) ||
			       is_custom_field(run->box, object, path);
		const struct sf_parent *parent = sf_parent_find(object, path, len);
		if (!parent || depth == PARENTS_DEEP)
			return false;
		object = sf_object_find(parent->object);
		path += len + 1;
	}
	return false;
}

static int check_column(struct query_run *run, const struct soql_expr *expr, struct err *err)
{
	const struct sf_object *object = run->object;
	const char *name = expr->text;
	if (path_end(run, expr->text, &object, &name))
		return 0;
	run->code = "INVALID_FIELD";
	return err_set(
		err, ERR_INPUT,
		"No such column '%.200s' on entity '%s'. If you are attempting to use a custom "
		"field, be sure to append the '__c' after the custom field name.",
		name, object->name);
}

static bool literal_fits(enum sf_type type, const struct soql_expr *value)
{
	if (value->kind == SOQL_NULL)
		return true;
	switch (type) {
	case SF_ID:
	case SF_TEXT: return value->kind == SOQL_STRING;
	case SF_BOOLEAN: return value->kind == SOQL_TRUE || value->kind == SOQL_FALSE;
	case SF_NUMBER: return value->kind == SOQL_NUMBER;
	case SF_DATE:
	case SF_DATETIME:
		return value->kind == SOQL_DATE &&
		       (value->number > 0 || !strchr(value->text, 'T') == (type == SF_DATE));
	}
	return false;
}

static int check_literals(struct query_run *run, const struct soql_expr *test, struct err *err)
{
	const struct sf_object *object;
	const char *name;
	if (!path_end(run, test->args[0]->text, &object, &name))
		return check_column(run, test->args[0], err);
	const struct sf_field *field = sf_field_find(object, name);
	for (size_t i = 1; field && i < test->count; i++) {
		const struct soql_expr *value = test->args[i];
		if (!literal_fits(field->type, value)) {
			run->code = "INVALID_FIELD";
			return err_set(
				err, ERR_INPUT,
				"value of filter criterion for field '%s' must be of type %s "
				"and should%s be enclosed in quotes",
				field->name, sf_type_name(field->type),
				field->type <= SF_TEXT ? "" : " not");
		}
		if (field->type == SF_ID && value->kind == SOQL_STRING &&
		    !salesforce_id_is(value->text)) {
			run->code = "INVALID_QUERY_FILTER_OPERATOR";
			return err_set(err, ERR_INPUT, "invalid ID field: %.100s", value->text);
		}
	}
	return 0;
}

/* The STANDARD of FIELDS(STANDARD). */
static bool is_fields_word(const struct soql_query *query, const struct soql_expr *word)
{
	for (size_t i = 0; i < query->column_count; i++) {
		const struct soql_expr *expr = query->columns[i].expr;
		if (expr->kind == SOQL_CALL && expr->count == 1 && expr->args[0] == word)
			return strcmp(expr->text, "FIELDS") == 0;
	}
	return false;
}

static int check_expr(void *ctx, const struct soql_expr *expr, struct err *err)
{
	struct query_run *run = ctx;
	if (expr->kind == SOQL_COLUMN && is_fields_word(run->query, expr))
		return 0;
	if (expr->kind == SOQL_COLUMN)
		return check_column(run, expr, err);
	if (expr->kind == SOQL_CALL && !run->query->is_count && !soql_is_aggregate(expr) &&
	    strcmp(expr->text, "FIELDS") != 0) {
		run->code = "MALFORMED_QUERY";
		return err_set(err, ERR_INPUT, "the sandbox knows no function %.100s", expr->text);
	}
	if (expr->kind >= SOQL_EQUAL && expr->kind <= SOQL_IN)
		return check_literals(run, expr, err);
	return 0;
}

/* FIELDS(STANDARD): the word is no column. */
static bool is_all_fields(const struct soql_expr *expr)
{
	return expr->kind == SOQL_CALL && strcmp(expr->text, "FIELDS") == 0;
}

/* The object whose records are the children, and its field that names the parent. */
static const struct sf_object *children_of(const struct sf_object *parent, const char *plural,
                                           const char **ret_field)
{
	for (size_t i = 0; sf_object_at(i); i++) {
		const struct sf_object *child = sf_object_at(i);
		if (strcasecmp(child->plural, plural) != 0)
			continue;
		for (size_t k = 0; k < SF_PARENTS_MAX && child->parents[k].name; k++)
			if (strcmp(child->parents[k].object, parent->name) == 0) {
				*ret_field = child->parents[k].id_field;
				return child;
			}
	}
	return NULL;
}

static int check_children(struct query_run *run, struct err *err)
{
	const char *field;
	for (size_t i = 0; i < run->query->column_count; i++) {
		const struct soql_query *inner = run->query->columns[i].inner;
		if (!inner)
			continue;
		struct query_run child = { .box = run->box, .query = inner };
		child.object = children_of(run->object, inner->from, &field);
		run->code = "INVALID_TYPE";
		if (!child.object)
			return err_set(err, ERR_INPUT,
			               "Didn't understand relationship '%.100s' in FROM part of "
			               "query call.",
			               inner->from);
		if (soql_each(inner, check_expr, &child, err) < 0) {
			run->code = child.code;
			return err->code;
		}
	}
	return 0;
}

static int check(struct query_run *run, struct err *err)
{
	run->code = "MALFORMED_QUERY";
	run->object = sf_object_find(run->query->from);
	if (!run->object) {
		run->code = "INVALID_TYPE";
		return err_set(
			err, ERR_INPUT,
			"sObject type '%.100s' is not supported. If you are attempting to use a "
			"custom object, be sure to append the '__c' after the entity name.",
			run->query->from);
	}
	return check_children(run, err) < 0 ? err->code
	                                    : soql_each(run->query, check_expr, run, err);
}

/* --- values --------------------------------------------------------------------- */

/* The record that a path's parents lead to, or NULL; *path becomes the field's own name. */
static json_t *end_row_new(const struct query_run *run, const json_t *row, const char **path)
{
	const struct sf_object *object = run->object;
	json_t *at = json_incref((json_t *)(uintptr_t)row);
	*path = own_path(run, *path);
	for (size_t len; at && (len = strcspn(*path, "."), (*path)[len]); *path += len + 1) {
		const struct sf_parent *parent = sf_parent_find(object, *path, len);
		const json_t *id = parent ? sf_value(at, parent->id_field, true) : NULL;
		object = parent ? sf_object_find(parent->object) : NULL;
		json_t *up = json_is_string(id)
		                     ? sf_find_new(run->box, object, json_string_value(id))
		                     : NULL;
		json_decref(at);
		at = up;
	}
	return at;
}

static const char *own_name(const struct sf_object *object, const char *name)
{
	const struct sf_field *field = sf_field_find(object, name);
	return field ? field->name : name;
}

static json_t *read_new(const struct query_run *run, const json_t *row, const char *path,
                        bool for_filter)
{
	const struct sf_object *object;
	const char *name;
	if (!path_end(run, path, &object, &name))
		return json_null();
	json_t *at = end_row_new(run, row, &path);
	json_t *value = at ? json_incref(sf_value(at, own_name(object, name), for_filter)) : NULL;
	json_decref(at);
	return value ? value : json_null();
}

static json_t *filter_new(void *ctx, const json_t *row, const struct soql_expr *expr)
{
	return read_new(ctx, row, expr->text, true);
}

static json_t *column_new(void *ctx, const json_t *row, const struct soql_expr *expr)
{
	return read_new(ctx, row, expr->text, false);
}

static json_t *found_new(struct query_run *run);

static json_t *inner_new(void *ctx, const struct soql_query *inner)
{
	struct query_run *outer = ctx;
	struct query_run run = { .box = outer->box,
		                 .query = inner,
		                 .version = outer->version,
		                 .with_deleted = outer->with_deleted };
	struct err err = { 0 };
	json_t *values = json_array();
	if (check(&run, &err) < 0) {
		outer->is_bad = true;
		return values;
	}
	json_t *rows = found_new(&run);
	for (size_t i = 0; i < json_array_size(rows); i++)
		json_push(values, read_new(&run, json_array_get(rows, i),
		                           inner->columns[0].expr->text, true));
	json_decref(rows);
	return values;
}

/* The rows of the answer, LIMIT and OFFSET applied. */
static json_t *found_new(struct query_run *run)
{
	struct soql_reader reader = { run, column_new, inner_new, filter_new };
	json_t *rows = sf_rows_new(run->box, run->object);
	for (size_t i = json_array_size(rows); !run->with_deleted && i-- > 0;)
		if (json_truth(json_array_get(rows, i), "IsDeleted", false))
			json_array_remove(rows, i);
	json_t *found = soql_select_new(run->query, rows, &reader);
	json_decref(rows);
	if (soql_is_grouped(run->query)) {
		json_t *groups = soql_group_new(run->query, found, &reader);
		json_decref(found);
		found = groups;
	}
	for (int64_t i = 0; i < run->query->offset && json_array_size(found) > 0; i++)
		json_array_remove(found, 0);
	while (run->query->limit >= 0 && (int64_t)json_array_size(found) > run->query->limit)
		json_array_remove(found, json_array_size(found) - 1);
	return found;
}

/* --- the answer ----------------------------------------------------------------- */

/* Selected parents appear as nested records: {"Account": {"attributes", "Name"}}. */
static void put_column(const struct query_run *run, json_t *record, const struct sf_object *object,
                       const json_t *row, const char *path)
{
	size_t len = strcspn(path, ".");
	if (!path[len]) {
		const char *name = own_name(object, path);
		json_put(record, name, json_incref(sf_value(row, name, false)));
		return;
	}
	const struct sf_parent *parent = sf_parent_find(object, path, len);
	const struct sf_object *up = parent ? sf_object_find(parent->object) : NULL;
	const json_t *id = parent ? sf_value(row, parent->id_field, false) : NULL;
	json_t *above = up && json_is_string(id) ? sf_find_new(run->box, up, json_string_value(id))
	                                         : NULL;
	if (!parent)
		return;
	json_t *nested = json_at(record, parent->name);
	if (!above) {
		json_put(record, parent->name, json_null());
		return;
	}
	if (!nested) {
		nested = json_object();
		json_put(nested, "attributes",
		         sf_attributes_new(run->version, up, json_str(above, "Id", "")));
		json_put(record, parent->name, nested);
	}
	put_column(run, nested, up, above, path + len + 1);
	json_decref(above);
}

static json_t *record_new(const struct query_run *run, const json_t *row);

/* {"totalSize","done","records"} of the children, or null where there are none. */
static json_t *children_new(const struct query_run *run, const struct soql_query *inner,
                            const json_t *row)
{
	struct query_run child = { .box = run->box, .query = inner, .version = run->version };
	const char *field = "", *id = json_str(row, "Id", "");
	child.object = children_of(run->object, inner->from, &field);
	json_t *rows = found_new(&child), *records = json_array(), *answer = json_object();
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *one = json_array_get(rows, i), *tie = sf_value(one, field, true);
		if (json_is_string(tie) && sf_id_equal(json_string_value(tie), id))
			json_push(records, record_new(&child, one));
	}
	json_decref(rows);
	size_t count = json_array_size(records);
	json_put_int(answer, "totalSize", (int64_t)count);
	json_put(answer, "done", json_true());
	json_put(answer, "records", records);
	if (count > 0)
		return answer;
	json_decref(answer);
	return json_null();
}

static void put_all_fields(const struct query_run *run, json_t *record, const json_t *row)
{
	for (size_t i = 0; i < SF_FIELDS_MAX && run->object->fields[i].name; i++)
		put_column(run, record, run->object, row, run->object->fields[i].name);
}

static json_t *group_record_new(const json_t *row)
{
	json_t *record = json_object(), *attributes = json_object();
	json_put_str(attributes, "type", "AggregateResult");
	json_put(record, "attributes", attributes);
	json_object_update(record, (json_t *)(uintptr_t)row);
	return record;
}

static json_t *record_new(const struct query_run *run, const json_t *row)
{
	json_t *record = json_object();
	json_put(record, "attributes",
	         sf_attributes_new(run->version, run->object, json_str(row, "Id", "")));
	for (size_t i = 0; i < run->query->column_count; i++) {
		const struct soql_column *column = &run->query->columns[i];
		if (column->inner)
			json_put(record, column->inner->from,
			         children_new(run, column->inner, row));
		else if (is_all_fields(column->expr))
			put_all_fields(run, record, row);
		else
			put_column(run, record, run->object, row,
			           own_path(run, column->expr->text));
	}
	return record;
}

/* "Sforce-Query-Options: batchSize=200" */
static size_t page_rows(const struct request *request)
{
	const char *option = strstr(request_header(request, "Sforce-Query-Options"), "batchSize=");
	long rows = option ? strtol(option + strlen("batchSize="), NULL, 10) : PAGE_ROWS;
	return rows < PAGE_ROWS_MIN ? PAGE_ROWS_MIN : rows > PAGE_ROWS ? PAGE_ROWS : (size_t)rows;
}

static void put_next(struct query_run *run, json_t *body, const char *soql, size_t position)
{
	char locator[64], url[128];
	snprintf(locator, sizeof(locator), "01gxx%010llxAAA",
	         (unsigned long long)(hash_text(soql) & 0xFFFFFFFFFF));
	snprintf(url, sizeof(url), "/services/data/v%s/query/%s-%zu", run->version, locator,
	         position);
	json_put_str(body, "nextRecordsUrl", url);
	if (json_object_size(run->box->salesforce_cursors) >= 1000)
		json_object_clear(run->box->salesforce_cursors);
	json_t *cursor = json_object();
	json_put_str(cursor, "soql", soql);
	json_put(cursor, "with_deleted", json_boolean(run->with_deleted));
	json_put(run->box->salesforce_cursors, locator, cursor);
}

static void put_answer(struct query_run *run, const struct request *request, const char *soql,
                       size_t position, struct reply *reply)
{
	json_t *rows = found_new(run), *body = json_object(), *records = json_array();
	size_t total = json_array_size(rows), end = position + page_rows(request);
	if (end > total || run->query->is_count)
		end = total;
	json_put_int(body, "totalSize", (int64_t)total);
	json_put(body, "done", json_boolean(end == total));
	if (end < total)
		put_next(run, body, soql, end);
	for (size_t i = position; i < end && !run->query->is_count; i++)
		json_push(records, soql_is_grouped(run->query)
		                           ? group_record_new(json_array_get(rows, i))
		                           : record_new(run, json_array_get(rows, i)));
	json_put(body, "records", records);
	json_decref(rows);
	if (run->is_bad) {
		json_decref(body);
		sf_error(reply, 400, "MALFORMED_QUERY", "the inner query is not valid");
		return;
	}
	reply_json(reply, 200, body);
}

static void answer(struct sandbox *box, const struct request *request, const char *version,
                   const char *soql, bool with_deleted, size_t position, struct reply *reply)
{
	struct arena arena;
	struct err err = { 0 };
	struct soql_query *query = NULL;
	struct query_run run = { .box = box,
		                 .version = version,
		                 .with_deleted = with_deleted,
		                 .code = "MALFORMED_QUERY" };
	arena_init(&arena);
	int status = soql_parse(DIALECT_SOQL, soql, request->now_ms / 1000, &arena, &query, &err);
	run.query = query;
	if (status == 0)
		status = check(&run, &err);
	if (status == 0)
		put_answer(&run, request, soql, position, reply);
	else
		sf_error(reply, 400, run.code, "%s", err.text);
	arena_release(&arena);
}

/* How the query would be run, without running it. */
static void explain(const char *soql, struct reply *reply)
{
	json_t *body = json_object(), *plans = json_array(), *plan = json_object();
	json_put_int(plan, "cardinality", 1);
	json_put(plan, "fields", json_array());
	json_put_str(plan, "leadingOperationType", "TableScan");
	json_put(plan, "relativeCost", json_real(0.1));
	json_put_int(plan, "sobjectCardinality", 1);
	json_push(plans, plan);
	json_put(body, "plans", plans);
	json_put_str(body, "sourceQuery", soql);
	reply_json(reply, 200, body);
}

static void query(struct sandbox *box, struct request *request, const struct parts *parts,
                  bool with_deleted, struct reply *reply)
{
	const char *soql = pairs_get(&request->query, "q");
	const char *explained = pairs_get(&request->query, "explain");
	if (explained)
		explain(explained, reply);
	else if (!soql)
		sf_error(reply, 400, "MALFORMED_QUERY", "A query string has to be specified");
	else
		answer(box, request, parts->at[0], soql, with_deleted, 0, reply);
}

void sf_query(struct sandbox *box, struct request *request, const struct parts *parts,
              struct reply *reply)
{
	query(box, request, parts, false, reply);
}

void sf_query_all(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply)
{
	query(box, request, parts, true, reply);
}

void sf_query_more(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	char locator[PART_BYTES];
	const char *dash = strchr(parts->at[1], '-');
	size_t len = dash ? (size_t)(dash - parts->at[1]) : 0;
	memcpy(locator, parts->at[1], len);
	locator[len] = '\0';
	json_t *cursor = json_incref(json_at(box->salesforce_cursors, locator));
	if (!cursor)
		sf_error(reply, 400, "INVALID_QUERY_LOCATOR", "invalid query locator");
	else
		answer(box, request, parts->at[0], json_str(cursor, "soql", ""),
		       json_truth(cursor, "with_deleted", false), strtoul(dash + 1, NULL, 10),
		       reply);
	json_decref(cursor);
}
