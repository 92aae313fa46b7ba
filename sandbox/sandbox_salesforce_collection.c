/* SPDX-License-Identifier: MIT */
/*
 * Many records at once: collections of up to 200 to create, change, upsert,
 * delete or read, and trees.  Each record succeeds or fails by itself, unless
 * allOrNone takes the others back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"

enum { COLLECTION_MAX = 200, COLLECTION_READ_MAX = 2000 };

/* The errors of a single write as collections have them: statusCode in place of errorCode. */
static json_t *collection_errors_new(const struct reply *reply)
{
	json_t *given = NULL, *errors = json_array();
	struct err ignored = { 0 };
	if (json_read(buf_str(&reply->body), MAX_REPLY_BYTES, &given, &ignored) < 0)
		given = NULL;
	for (size_t i = 0; i < json_array_size(given); i++) {
		const json_t *one = json_array_get(given, i);
		json_t *error = json_object(), *fields = json_at(one, "fields");
		json_put_str(error, "statusCode", json_str(one, "errorCode", "UNKNOWN_EXCEPTION"));
		json_put_str(error, "message", json_str(one, "message", ""));
		json_put(error, "fields", fields ? json_incref(fields) : json_array());
		json_push(errors, error);
	}
	json_decref(given);
	return errors;
}

static json_t *entry_new(const char *id, bool is_done, const struct reply *refusal)
{
	json_t *entry = json_object();
	if (is_done)
		json_put_str(entry, "id", id);
	json_put(entry, "success", json_boolean(is_done));
	json_put(entry, "errors", is_done ? json_array() : collection_errors_new(refusal));
	return entry;
}

static json_t *written_new(struct sandbox *box, const json_t *record, bool is_create)
{
	const char *type = json_str(json_at(record, "attributes"), "type", "");
	const struct sf_object *object = sf_object_find(type);
	const char *given_id = json_str(record, "Id", json_str(record, "id", ""));
	char id[19] = "";
	bool ok = false;
	struct reply one;
	reply_init(&one);
	json_t *fields = json_deep_copy(record);
	json_object_del(fields, "Id");
	json_object_del(fields, "id");
	if (!object)
		sf_error(&one, 400, "INVALID_TYPE", "sObject type '%s' is not supported.", type);
	else if (is_create)
		ok = sf_create(box, object, fields, &one, id);
	else
		ok = sf_update(box, object, given_id, fields, &one);
	json_t *entry = entry_new(is_create ? id : given_id, ok, &one);
	json_decref(fields);
	reply_release(&one);
	return entry;
}

/* allOrNone: what the others did is taken back, and they say so. */
static void roll_back(json_t *entries)
{
	for (size_t i = 0; i < json_array_size(entries); i++) {
		json_t *entry = json_array_get(entries, i);
		if (!json_truth(entry, "success", false))
			continue;
		json_t *errors = json_array(), *error = json_object();
		json_put_str(error, "statusCode", "ALL_OR_NONE_OPERATION_ROLLED_BACK");
		json_put_str(error, "message",
		             "Record rolled back because not all records were valid and the "
		             "request was using AllOrNone header");
		json_put(error, "fields", json_array());
		json_push(errors, error);
		json_object_del(entry, "id");
		json_put(entry, "success", json_false());
		json_put(entry, "errors", errors);
	}
}

typedef json_t *make_entry(struct sandbox *box, const json_t *record, void *arg);

static bool has_failed(const json_t *entries)
{
	for (size_t i = 0; i < json_array_size(entries); i++)
		if (!json_truth(json_array_get(entries, i), "success", false))
			return true;
	return false;
}

static void each_record(struct sandbox *box, const json_t *records, bool all_or_none,
                        make_entry *make, void *arg, struct reply *reply)
{
	size_t count = json_array_size(records);
	if (count == 0 || count > COLLECTION_MAX) {
		sf_error(reply, 400, "INVALID_INPUT", "records holds 1 to 200 records");
		return;
	}
	json_t *list = json_array();
	json_t *made = json_deep_copy(box->salesforce_created);
	json_t *changes = json_deep_copy(box->salesforce_changes);
	for (size_t i = 0; i < count; i++)
		json_push(list, make(box, json_array_get(records, i), arg));
	if (all_or_none && has_failed(list)) {
		roll_back(list);
		json_decref(box->salesforce_created);
		json_decref(box->salesforce_changes);
		box->salesforce_created = json_incref(made);
		box->salesforce_changes = json_incref(changes);
	}
	json_decref(made);
	json_decref(changes);
	reply_json(reply, 200, list);
}

static json_t *make_written(struct sandbox *box, const json_t *record, void *arg)
{
	return written_new(box, record, *(const bool *)arg);
}

void sf_collection(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	(void)parts;
	bool is_create = strcmp(request->method, "POST") == 0;
	each_record(box, json_at(request->json, "records"),
	            json_truth(request->json, "allOrNone", false), make_written, &is_create, reply);
}

struct upsert {
	const struct sf_object *object;
	const char *field;
};

static json_t *make_upserted(struct sandbox *box, const json_t *record, void *arg)
{
	const struct upsert *upsert = arg;
	struct reply one;
	char id[19] = "";
	bool is_new = false;
	reply_init(&one);
	json_t *fields = json_deep_copy(record);
	char *value = mem_dup_str(json_str(record, upsert->field, ""));
	json_object_del(fields, upsert->field);
	bool ok = sf_put_external(box, upsert->object, upsert->field, value, fields, &one, id,
	                          &is_new);
	json_t *entry = entry_new(id, ok, &one);
	if (ok)
		json_put(entry, "created", json_boolean(is_new));
	free(value);
	json_decref(fields);
	reply_release(&one);
	return entry;
}

void sf_collection_upsert(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	struct upsert upsert = { sf_object_find(parts->at[1]), parts->at[2] };
	if (!upsert.object)
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
	else if ((upsert.field = sf_external_field(upsert.object, parts->at[2], reply)))
		each_record(box, json_at(request->json, "records"),
		            json_truth(request->json, "allOrNone", false), make_upserted, &upsert,
		            reply);
}

/* An id tells its object by its first three characters. */
static const struct sf_object *object_of_id(const char *id)
{
	for (size_t i = 0; sf_object_at(i); i++)
		if (strncmp(sf_object_at(i)->prefix, id, 3) == 0)
			return sf_object_at(i);
	return NULL;
}

static json_t *make_deleted(struct sandbox *box, const json_t *record, void *arg)
{
	(void)arg;
	const char *id = json_string_value(record);
	const struct sf_object *object = object_of_id(id);
	json_t *fields = json_object();
	struct reply one;
	bool ok = false;
	reply_init(&one);
	json_put(fields, "IsDeleted", json_true());
	if (object)
		ok = sf_update(box, object, id, fields, &one);
	else
		sf_error(&one, 404, "MALFORMED_ID", "bad id %.30s", id);
	json_t *entry = entry_new(id, ok, &one);
	json_decref(fields);
	reply_release(&one);
	return entry;
}

/* DELETE ...?ids=a,b&allOrNone=false */
void sf_collection_delete(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	(void)parts;
	const char *ids = pairs_get(&request->query, "ids");
	const char *all_or_none = pairs_get(&request->query, "allOrNone");
	json_t *list = json_array();
	while (ids && *ids) {
		size_t len = strcspn(ids, ",");
		json_push(list, json_text((struct str){ ids, len }));
		ids += len + (ids[len] == ',');
	}
	each_record(box, list, all_or_none && strcmp(all_or_none, "true") == 0, make_deleted, NULL,
	            reply);
	json_decref(list);
}

/* POST {"ids":[..],"fields":[..]}: a record for each id, null where there is none. */
void sf_collection_read(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	const struct sf_object *object = sf_object_find(parts->at[1]);
	const json_t *ids = json_at(request->json, "ids"),
		     *fields = json_at(request->json, "fields");
	if (!object) {
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
		return;
	}
	if (json_array_size(ids) == 0 || json_array_size(fields) == 0 ||
	    json_array_size(ids) > COLLECTION_READ_MAX) {
		sf_error(reply, 400, "INVALID_INPUT", "ids and fields are required");
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(ids); i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		json_t *row = id ? sf_find_new(box, object, id) : NULL, *record = json_object();
		json_put(record, "attributes", sf_attributes_new(parts->at[0], object, id));
		for (size_t k = 0; row && k < json_array_size(fields); k++) {
			const char *name = json_string_value(json_array_get(fields, k));
			const struct sf_field *field = name ? sf_field_find(object, name) : NULL;
			if (field)
				json_put(record, field->name,
				         json_incref(sf_value(row, field->name, false)));
		}
		json_push(list, row ? json_incref(record) : json_null());
		json_decref(record);
		json_decref(row);
	}
	reply_json(reply, 200, list);
}

/* {"records":[{"attributes":{"type","referenceId"},...}]}: all or none, one level deep. */
void sf_tree(struct sandbox *box, struct request *request, const struct parts *parts,
             struct reply *reply)
{
	const struct sf_object *object = sf_object_find(parts->at[1]);
	const json_t *records = json_at(request->json, "records");
	json_t *body = json_object(), *results = json_array();
	json_t *made = json_deep_copy(box->salesforce_created);
	bool has_errors = !object || json_array_size(records) == 0 ||
	                  json_array_size(records) > COLLECTION_MAX;
	for (size_t i = 0; !has_errors && i < json_array_size(records); i++) {
		const json_t *record = json_array_get(records, i);
		struct reply one;
		char id[19];
		json_t *entry = json_object();
		reply_init(&one);
		json_put_str(entry, "referenceId",
		             json_str(json_at(record, "attributes"), "referenceId", ""));
		has_errors = !sf_create(box, object, record, &one, id);
		if (has_errors) {
			json_array_clear(results);
			json_put(entry, "errors", collection_errors_new(&one));
		} else {
			json_put_str(entry, "id", id);
		}
		json_push(results, entry);
		reply_release(&one);
	}
	if (has_errors) {
		json_decref(box->salesforce_created);
		box->salesforce_created = json_incref(made);
	}
	json_put(body, "hasErrors", json_boolean(has_errors));
	json_put(body, "results", results);
	json_decref(made);
	reply_json(reply, has_errors ? 400 : 201, body);
}
