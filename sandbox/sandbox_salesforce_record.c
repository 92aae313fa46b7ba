/* SPDX-License-Identifier: MIT */
/* Single records: read by id or external id, created, changed, deleted, described. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"

static json_t *describe_brief_new(const struct sf_object *object)
{
	json_t *brief = json_object();
	json_put_str(brief, "name", object->name);
	json_put_str(brief, "label", object->name);
	json_put_str(brief, "keyPrefix", object->prefix);
	json_put(brief, "custom", json_false());
	json_put(brief, "queryable", json_true());
	json_put(brief, "createable", json_true());
	json_put(brief, "updateable", json_true());
	return brief;
}

void sf_objects_list(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	(void)box;
	(void)request;
	(void)parts;
	json_t *body = json_object(), *list = json_array();
	for (size_t i = 0; sf_object_at(i); i++)
		json_push(list, describe_brief_new(sf_object_at(i)));
	json_put_str(body, "encoding", "UTF-8");
	json_put_int(body, "maxBatchSize", 200);
	json_put(body, "sobjects", list);
	reply_json(reply, 200, body);
}

/* --- records -------------------------------------------------------------------- */

static const struct sf_object *object_of(const struct parts *parts, struct reply *reply)
{
	const struct sf_object *object = sf_object_find(parts->at[1]);
	if (!object)
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
	return object;
}

void sf_object_show(struct sandbox *box, struct request *request, const struct parts *parts,
                    struct reply *reply)
{
	(void)box;
	(void)request;
	const struct sf_object *object = object_of(parts, reply);
	if (!object)
		return;
	json_t *body = json_object();
	json_put(body, "objectDescribe", describe_brief_new(object));
	json_put(body, "recentItems", json_array());
	reply_json(reply, 200, body);
}

/* A field that names a record of another object. */
static void put_reference(json_t *described, const struct sf_object *object, const char *field)
{
	json_t *targets = json_array();
	for (size_t i = 0; i < SF_PARENTS_MAX && object->parents[i].name; i++) {
		if (strcmp(object->parents[i].id_field, field) != 0)
			continue;
		json_put_str(described, "type", "reference");
		json_put_str(described, "relationshipName", object->parents[i].name);
		json_push(targets, json_string(object->parents[i].object));
	}
	json_put(described, "referenceTo", targets);
}

/* Of the objects that have this one for a parent. */
static json_t *children_new(const struct sf_object *object)
{
	json_t *list = json_array();
	for (size_t i = 0; sf_object_at(i); i++) {
		const struct sf_object *child = sf_object_at(i);
		for (size_t k = 0; k < SF_PARENTS_MAX && child->parents[k].name; k++) {
			if (strcmp(child->parents[k].object, object->name) != 0)
				continue;
			json_t *one = json_object();
			char *name = mem_dup_str(child->plural);
			name[0] = (char)toupper((unsigned char)name[0]);
			json_put_str(one, "childSObject", child->name);
			json_put_str(one, "field", child->parents[k].id_field);
			json_put_str(one, "relationshipName", name);
			json_push(list, one);
			free(name);
		}
	}
	return list;
}

void sf_object_describe(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	(void)box;
	(void)request;
	const struct sf_object *object = object_of(parts, reply);
	if (!object)
		return;
	json_t *body = describe_brief_new(object), *fields = json_array();
	for (size_t i = 0; i < SF_FIELDS_MAX && object->fields[i].name; i++) {
		json_t *field = json_object();
		json_put_str(field, "name", object->fields[i].name);
		json_put_str(field, "type", sf_type_name(object->fields[i].type));
		json_put_str(field, "label", object->fields[i].name);
		json_put(field, "nillable", json_boolean(!object->fields[i].is_required));
		json_put(field, "custom", json_false());
		put_reference(field, object, object->fields[i].name);
		json_push(fields, field);
	}
	json_put(body, "fields", fields);
	json_put(body, "childRelationships", children_new(object));
	json_put(body, "recordTypeInfos", json_array());
	reply_json(reply, 200, body);
}

/* The fields asked for, or all; false with the reply filled for one that does not exist. */
static bool put_fields(const struct request *request, const struct sf_object *object,
                       const json_t *row, json_t *record, struct reply *reply)
{
	const char *asked = pairs_get(&request->query, "fields"), *key;
	json_t *value;
	for (size_t i = 0; !asked && i < SF_FIELDS_MAX && object->fields[i].name; i++)
		json_put(record, object->fields[i].name,
		         json_incref(sf_value(row, object->fields[i].name, false)));
	json_object_foreach((json_t *)(uintptr_t)row, key, value)
		if (!asked && str_ends(key, "__c"))
			json_put(record, key, json_incref(value));
	while (asked && *asked) {
		size_t len = strcspn(asked, ",");
		char name[128];
		snprintf(name, sizeof(name), "%.*s", (int)len, asked);
		const struct sf_field *field = sf_field_find(object, name);
		if (!field && !(str_ends(name, "__c") && json_at(row, name))) {
			sf_error(reply, 400, "INVALID_FIELD", "No such column '%s' on entity '%s'",
			         name, object->name);
			return false;
		}
		const char *own = field ? field->name : name;
		json_put(record, own, json_incref(sf_value(row, own, false)));
		asked += len + (asked[len] == ',');
	}
	return true;
}

static void row_show(const struct request *request, const struct parts *parts,
                     const struct sf_object *object, const json_t *row, struct reply *reply)
{
	if (json_truth(row, "IsDeleted", false)) {
		sf_error(reply, 404, "ENTITY_IS_DELETED", "entity is deleted");
		return;
	}
	json_t *record = json_object();
	json_put(record, "attributes",
	         sf_attributes_new(parts->at[0], object, json_str(row, "Id", "")));
	if (put_fields(request, object, row, record, reply))
		reply_json(reply, 200, json_incref(record));
	json_decref(record);
}

void sf_record_show(struct sandbox *box, struct request *request, const struct parts *parts,
                    struct reply *reply)
{
	const struct sf_object *object = object_of(parts, reply);
	if (!object)
		return;
	json_t *row = sf_find_new(box, object, parts->at[2]);
	if (row)
		row_show(request, parts, object, row, reply);
	else if (!salesforce_id_is(parts->at[2]))
		sf_error(reply, 404, "NOT_FOUND",
		         "Provided external ID field does not exist or is not accessible: %s",
		         parts->at[2]);
	else
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
	json_decref(row);
}

/* The rows whose field has that text. */
static json_t *external_new(struct sandbox *box, const struct sf_object *object, const char *field,
                            const char *value)
{
	json_t *rows = sf_rows_new(box, object), *found = json_array();
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		if (strcmp(json_str(row, field, ""), value) == 0)
			json_array_append(found, row);
	}
	json_decref(rows);
	return found;
}

/* Which fields serve as external ids: the account number, and custom fields. */
const char *sf_external_field(const struct sf_object *object, const char *name, struct reply *reply)
{
	if (strcmp(object->name, "Account") == 0 && strcasecmp(name, "AccountNumber") == 0)
		return "AccountNumber";
	if (strcasecmp(name, "Id") == 0)
		return "Id";
	if (str_ends(name, "__c"))
		return name;
	sf_error(reply, 404, "NOT_FOUND",
	         "Provided external ID field does not exist or is not accessible: %s", name);
	return NULL;
}

void sf_external_show(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	const struct sf_object *object = object_of(parts, reply);
	const char *field = object ? sf_external_field(object, parts->at[2], reply) : NULL;
	if (!field)
		return;
	json_t *found = external_new(box, object, field, parts->at[3]);
	if (json_array_size(found) == 1)
		row_show(request, parts, object, json_array_get(found, 0), reply);
	else if (json_array_size(found) == 0)
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
	else
		sf_error(reply, 300, "MULTIPLE_CHOICES",
		         "more than one record has this external ID");
	json_decref(found);
}

static void created(const struct request *request, const struct parts *parts, const char *object,
                    const char *id, struct reply *reply)
{
	json_t *body = json_object();
	(void)request;
	json_put_str(body, "id", id);
	json_put(body, "success", json_true());
	json_put(body, "errors", json_array());
	reply_json(reply, 201, body);
	reply_header(reply, "Location", "/services/data/v%s/sobjects/%s/%s", parts->at[0], object,
	             id);
}

void sf_record_create(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	char id[19];
	const struct sf_object *object = object_of(parts, reply);
	if (object && sf_create(box, object, request->json, reply, id))
		created(request, parts, object->name, id, reply);
}

void sf_record_change(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	const struct sf_object *object = object_of(parts, reply);
	if (object && sf_update(box, object, parts->at[2], request->json, reply))
		reply_text(reply, 204, NULL, "");
}

void sf_record_delete(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	(void)request;
	const struct sf_object *object = object_of(parts, reply);
	json_t *deleted = json_object();
	json_put(deleted, "IsDeleted", json_true());
	if (object && sf_update(box, object, parts->at[2], deleted, reply))
		reply_text(reply, 204, NULL, "");
	json_decref(deleted);
}

bool sf_put_external(struct sandbox *box, const struct sf_object *object, const char *field,
                     const char *value, const json_t *given, struct reply *reply, char ret_id[19],
                     bool *ret_is_new)
{
	json_t *found = external_new(box, object, field, value);
	bool ok = false;
	*ret_is_new = false;
	if (json_array_size(found) == 1) {
		snprintf(ret_id, 19, "%s", json_str(json_array_get(found, 0), "Id", ""));
		ok = sf_update(box, object, ret_id, given, reply);
	} else if (json_array_size(found) > 1) {
		sf_error(reply, 300, "MULTIPLE_CHOICES",
		         "more than one record has this external ID");
	} else {
		json_t *fields = json_is_object(given) ? json_deep_copy(given) : json_null();
		if (json_is_object(fields))
			json_put_str(fields, field, value);
		ok = *ret_is_new = sf_create(box, object, fields, reply, ret_id);
		json_decref(fields);
	}
	json_decref(found);
	return ok;
}

/* Until API version 45 a change is answered with nothing, since then with the id. */
void sf_upsert(struct sandbox *box, struct request *request, const struct parts *parts,
               struct reply *reply)
{
	enum { TELLS_ID_SINCE = 46 };
	const struct sf_object *object = object_of(parts, reply);
	const char *field = object ? sf_external_field(object, parts->at[2], reply) : NULL;
	bool tells_id = sf_version(parts->at[0]) >= TELLS_ID_SINCE, is_new;
	char id[19];
	if (!field ||
	    !sf_put_external(box, object, field, parts->at[3], request->json, reply, id, &is_new))
		return;
	if (!is_new && !tells_id) {
		reply_text(reply, 204, NULL, "");
		return;
	}
	json_t *body = json_object();
	json_put_str(body, "id", id);
	json_put(body, "success", json_true());
	json_put(body, "errors", json_array());
	if (tells_id)
		json_put(body, "created", json_boolean(is_new));
	reply_json(reply, is_new ? 201 : 200, body);
	if (is_new)
		reply_header(reply, "Location", "/services/data/v%s/sobjects/%s/%s", parts->at[0],
		             object->name, id);
}
