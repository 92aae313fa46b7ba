/* SPDX-License-Identifier: MIT */
/*
 * The org: which objects and fields there are, and the records of all
 * scenarios together with what was created and changed since the start.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"

#define SYSTEM_FIELDS                                                                      \
	{ "CreatedDate", SF_DATETIME, false }, { "LastModifiedDate", SF_DATETIME, false }, \
	{                                                                                  \
		"SystemModstamp", SF_DATETIME, false                                       \
	}

static const struct sf_object objects[] = {
	{ "Account",
	  "001",
	  "account",
	  "accounts",
	  { { "Id", SF_ID, false },
	    { "IsDeleted", SF_BOOLEAN, false },
	    { "Name", SF_TEXT, true },
	    { "AccountNumber", SF_TEXT, false },
	    { "Type", SF_TEXT, false },
	    { "ParentId", SF_ID, false },
	    { "BillingStreet", SF_TEXT, false },
	    { "BillingCity", SF_TEXT, false },
	    { "BillingState", SF_TEXT, false },
	    { "BillingPostalCode", SF_TEXT, false },
	    { "BillingCountry", SF_TEXT, false },
	    { "Phone", SF_TEXT, false },
	    { "Website", SF_TEXT, false },
	    { "Industry", SF_TEXT, false },
	    { "AnnualRevenue", SF_NUMBER, false },
	    { "NumberOfEmployees", SF_NUMBER, false },
	    { "Description", SF_TEXT, false },
	    { "OwnerId", SF_ID, false },
	    { "CurrencyIsoCode", SF_TEXT, false },
	    SYSTEM_FIELDS },
	  { { "Owner", "OwnerId", "User" }, { "Parent", "ParentId", "Account" } } },
	{ "Opportunity",
	  "006",
	  "opportunity",
	  "opportunities",
	  { { "Id", SF_ID, false },
	    { "IsDeleted", SF_BOOLEAN, false },
	    { "AccountId", SF_ID, false },
	    { "Name", SF_TEXT, true },
	    { "Description", SF_TEXT, false },
	    { "StageName", SF_TEXT, true },
	    { "Amount", SF_NUMBER, false },
	    { "Probability", SF_NUMBER, false },
	    { "CloseDate", SF_DATE, true },
	    { "Type", SF_TEXT, false },
	    { "LeadSource", SF_TEXT, false },
	    { "IsClosed", SF_BOOLEAN, false },
	    { "IsWon", SF_BOOLEAN, false },
	    { "ForecastCategory", SF_TEXT, false },
	    { "CurrencyIsoCode", SF_TEXT, false },
	    { "OwnerId", SF_ID, false },
	    { "ContractId", SF_ID, false },
	    SYSTEM_FIELDS },
	  { { "Account", "AccountId", "Account" },
	    { "Owner", "OwnerId", "User" },
	    { "Contract", "ContractId", "Contract" } } },
	{ "User",
	  "005",
	  "user",
	  "users",
	  { { "Id", SF_ID, false },
	    { "Username", SF_TEXT, true },
	    { "LastName", SF_TEXT, true },
	    { "FirstName", SF_TEXT, false },
	    { "Name", SF_TEXT, false },
	    { "Email", SF_TEXT, true },
	    { "Alias", SF_TEXT, true },
	    { "IsActive", SF_BOOLEAN, false },
	    { "ProfileId", SF_ID, true },
	    { "UserRoleId", SF_ID, false },
	    { "Title", SF_TEXT, false },
	    { "Department", SF_TEXT, false },
	    { "ManagerId", SF_ID, false },
	    { "Phone", SF_TEXT, false },
	    { "CompanyName", SF_TEXT, false },
	    SYSTEM_FIELDS },
	  { { "Manager", "ManagerId", "User" } } },
	{ "Contract",
	  "800",
	  "contract",
	  "contracts",
	  { { "Id", SF_ID, false },
	    { "IsDeleted", SF_BOOLEAN, false },
	    { "AccountId", SF_ID, true },
	    { "ContractNumber", SF_TEXT, false },
	    { "Name", SF_TEXT, false },
	    { "Status", SF_TEXT, false },
	    { "StatusCode", SF_TEXT, false },
	    { "StartDate", SF_DATE, false },
	    { "EndDate", SF_DATE, false },
	    { "ContractTerm", SF_NUMBER, false },
	    { "OwnerId", SF_ID, false },
	    { "CustomerSignedDate", SF_DATE, false },
	    { "CompanySignedDate", SF_DATE, false },
	    { "ActivatedDate", SF_DATETIME, false },
	    { "SpecialTerms", SF_TEXT, false },
	    { "Description", SF_TEXT, false },
	    { "CurrencyIsoCode", SF_TEXT, false },
	    SYSTEM_FIELDS },
	  { { "Account", "AccountId", "Account" }, { "Owner", "OwnerId", "User" } } },
	{ "Contact",
	  "003",
	  "contact",
	  "contacts",
	  { { "Id", SF_ID, false },
	    { "IsDeleted", SF_BOOLEAN, false },
	    { "AccountId", SF_ID, false },
	    { "LastName", SF_TEXT, true },
	    { "FirstName", SF_TEXT, false },
	    { "Name", SF_TEXT, false },
	    { "Email", SF_TEXT, false },
	    { "Phone", SF_TEXT, false },
	    { "Title", SF_TEXT, false },
	    { "Department", SF_TEXT, false },
	    { "OwnerId", SF_ID, false },
	    SYSTEM_FIELDS },
	  { { "Account", "AccountId", "Account" }, { "Owner", "OwnerId", "User" } } },
	{ "Task",
	  "00T",
	  "task",
	  "tasks",
	  { { "Id", SF_ID, false },
	    { "IsDeleted", SF_BOOLEAN, false },
	    { "WhatId", SF_ID, false },
	    { "WhoId", SF_ID, false },
	    { "Subject", SF_TEXT, false },
	    { "Description", SF_TEXT, false },
	    { "Status", SF_TEXT, false },
	    { "Priority", SF_TEXT, false },
	    { "ActivityDate", SF_DATE, false },
	    { "OwnerId", SF_ID, false },
	    SYSTEM_FIELDS },
	  { { "Owner", "OwnerId", "User" } } },
};

const struct sf_object *sf_object_at(size_t i)
{
	return i < sizeof(objects) / sizeof(*objects) ? &objects[i] : NULL;
}

const struct sf_object *sf_object_find(const char *name)
{
	for (size_t i = 0; sf_object_at(i); i++)
		if (strcasecmp(objects[i].name, name) == 0)
			return &objects[i];
	return NULL;
}

const struct sf_field *sf_field_find(const struct sf_object *object, const char *name)
{
	for (size_t i = 0; i < SF_FIELDS_MAX && object->fields[i].name; i++)
		if (strcasecmp(object->fields[i].name, name) == 0)
			return &object->fields[i];
	return NULL;
}

const struct sf_parent *sf_parent_find(const struct sf_object *object, const char *name, size_t len)
{
	for (size_t i = 0; i < SF_PARENTS_MAX && object->parents[i].name; i++)
		if (strlen(object->parents[i].name) == len &&
		    strncasecmp(object->parents[i].name, name, len) == 0)
			return &object->parents[i];
	return NULL;
}

const char *sf_type_name(enum sf_type type)
{
	switch (type) {
	case SF_ID: return "id";
	case SF_TEXT: return "string";
	case SF_BOOLEAN: return "boolean";
	case SF_NUMBER: return "double";
	case SF_DATE: return "date";
	case SF_DATETIME: return "datetime";
	}
	return "string";
}

void sf_error(struct reply *reply, int status, const char *code, const char *format, ...)
{
	char text[1000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *error = json_object(), *list = json_array();
	json_put_str(error, "message", text);
	json_put_str(error, "errorCode", code);
	json_push(list, error);
	reply_json(reply, status, list);
}

/* --- records -------------------------------------------------------------------- */

bool sf_id_equal(const char *a, const char *b)
{
	if (salesforce_id_is(a) && salesforce_id_is(b))
		return strncmp(a, b, 15) == 0;
	return strcmp(a, b) == 0;
}

json_t *sf_value(const json_t *row, const char *field, bool for_filter)
{
	json_t *value = json_at(row, field);
	if (for_filter && (!value || json_is_null(value))) {
		char tie[64];
		snprintf(tie, sizeof(tie), "~%s", field);
		value = json_at(row, tie);
	}
	return value ? value : json_null();
}

static const char *first_field(const struct scenario *scenario, const struct sf_object *object,
                               const char *field)
{
	json_t *records = scenario_records_new(scenario, "salesforce", object->singular,
	                                       object->plural);
	const char *value = NULL;
	for (size_t i = 0; !value && i < json_array_size(records); i++)
		value = json_str(json_array_get(records, i), field, NULL);
	json_decref(records); /* the text lives on in the scenario */
	return value;
}

/* What a record of this scenario belongs to, even where the record itself does not say so. */
static void tie(json_t *row, const struct sf_object *object, const struct scenario *scenario)
{
	static const struct {
		const char *object, *field, *from_object, *from_field;
	} ties[] = { { "Account", "Id", "Opportunity", "AccountId" },
		     { "Opportunity", "AccountId", "Account", "Id" },
		     { "Contract", "AccountId", "Account", "Id" },
		     { "Contract", "Id", "Opportunity", "ContractId" },
		     { "User", "Id", "Account", "OwnerId" },
		     { "User", "Id", "Opportunity", "OwnerId" } };
	for (size_t i = 0; i < sizeof(ties) / sizeof(*ties); i++) {
		if (strcmp(ties[i].object, object->name) != 0)
			continue;
		const char *value = first_field(scenario, sf_object_find(ties[i].from_object),
		                                ties[i].from_field);
		char name[64];
		snprintf(name, sizeof(name), "~%s", ties[i].field);
		if (value && !json_at(row, name))
			json_put_str(row, name, value);
	}
	if (strcmp(object->name, "Account") == 0 && !json_at(row, "AccountNumber"))
		json_put_str(row, "AccountNumber", scenario->account_id);
}

static void fill(json_t *row, const struct sf_object *object)
{
	if (sf_field_find(object, "IsDeleted") && !json_at(row, "IsDeleted"))
		json_put(row, "IsDeleted", json_false());
	const char *stage = json_str(row, "StageName", "");
	bool is_won = strcmp(stage, "Closed Won") == 0;
	if (sf_field_find(object, "IsWon") && !json_at(row, "IsWon"))
		json_put(row, "IsWon", json_boolean(is_won));
	if (sf_field_find(object, "IsClosed") && !json_at(row, "IsClosed"))
		json_put(row, "IsClosed",
		         json_boolean(is_won || strcmp(stage, "Closed Lost") == 0));
}

static void add_row(struct sandbox *box, const struct sf_object *object,
                    const struct scenario *scenario, json_t *record, json_t *rows)
{
	json_t *row = json_copy(record);
	if (scenario)
		tie(row, object, scenario);
	const char *id = json_str(row, "Id", NULL);
	json_t *changes = id ? json_at(box->salesforce_changes, id) : NULL;
	if (json_is_object(changes))
		json_object_update(row, changes);
	fill(row, object);
	json_push(rows, row);
}

json_t *sf_rows_new(struct sandbox *box, const struct sf_object *object)
{
	json_t *rows = json_array();
	for (size_t i = 0; i < box->scenarios.len; i++) {
		const struct scenario *scenario = box->scenarios.at[i];
		json_t *records = scenario_records_new(scenario, "salesforce", object->singular,
		                                       object->plural);
		for (size_t k = 0; k < json_array_size(records); k++)
			add_row(box, object, scenario, json_array_get(records, k), rows);
		json_decref(records);
	}
	for (size_t i = 0; i < json_array_size(box->salesforce_created); i++) {
		const json_t *created = json_array_get(box->salesforce_created, i);
		if (strcmp(json_str(created, "type", ""), object->name) == 0)
			add_row(box, object, NULL, json_at(created, "record"), rows);
	}
	return rows;
}

json_t *sf_find_new(struct sandbox *box, const struct sf_object *object, const char *id)
{
	json_t *rows = sf_rows_new(box, object), *found = NULL;
	for (size_t i = 0; !found && i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		const json_t *own = sf_value(row, "Id", true);
		if (json_is_string(own) && sf_id_equal(json_string_value(own), id))
			found = json_incref(row);
	}
	json_decref(rows);
	return found;
}

json_t *sf_attributes_new(const char *version, const struct sf_object *object, const char *id)
{
	json_t *attributes = json_object();
	char url[256];
	snprintf(url, sizeof(url), "/services/data/v%s/sobjects/%s/%s", version, object->name,
	         id ? id : "");
	json_put_str(attributes, "type", object->name);
	json_put_str(attributes, "url", url);
	return attributes;
}

/* --- writing -------------------------------------------------------------------- */

static bool type_fits(enum sf_type type, const json_t *value)
{
	if (json_is_null(value))
		return true;
	if (type == SF_BOOLEAN)
		return json_is_boolean(value);
	if (type == SF_NUMBER)
		return json_is_number(value);
	if (type == SF_ID)
		return json_is_string(value) && salesforce_id_is(json_string_value(value));
	return json_is_string(value);
}

static bool check_fields(const struct sf_object *object, const json_t *fields, struct reply *reply)
{
	const char *name;
	json_t *value;
	if (!json_is_object(fields)) {
		sf_error(reply, 400, "JSON_PARSER_ERROR", "the body is no JSON object");
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)fields, name, value) {
		const struct sf_field *field = sf_field_find(object, name);
		if (strcmp(name, "attributes") == 0 || str_ends(name, "__c"))
			continue;
		if (!field || strcmp(field->name, "Id") == 0) {
			sf_error(reply, 400, "INVALID_FIELD",
			         "No such column '%s' on sobject of type %s", name, object->name);
			return false;
		}
		if (!type_fits(field->type, value)) {
			sf_error(reply, 400,
			         field->type == SF_ID ? "MALFORMED_ID" : "JSON_PARSER_ERROR",
			         "%s: value of incorrect type, %s expected", name,
			         sf_type_name(field->type));
			return false;
		}
	}
	return true;
}

static bool check_required(const struct sf_object *object, const json_t *fields, bool is_create,
                           struct reply *reply)
{
	json_t *missing = json_array();
	struct buf names;
	buf_init(&names, 4096);
	for (size_t i = 0; i < SF_FIELDS_MAX && object->fields[i].name; i++) {
		const json_t *value = json_at(fields, object->fields[i].name);
		bool is_missing = value ? json_is_null(value) : is_create;
		if (!object->fields[i].is_required || !is_missing)
			continue;
		buf_printf(&names, "%s%s", names.len ? ", " : "", object->fields[i].name);
		json_push(missing, json_string(object->fields[i].name));
	}
	bool ok = names.len == 0;
	if (!ok) {
		json_t *error = json_object(), *list = json_array();
		buf_put(&names, "]");
		char *text = mem_format("Required fields are missing: [%s", names.bytes);
		json_put_str(error, "message", text);
		json_put_str(error, "errorCode", "REQUIRED_FIELD_MISSING");
		json_put(error, "fields", json_incref(missing));
		json_push(list, error);
		reply_json(reply, 400, list);
		free(text);
	}
	json_decref(missing);
	buf_release(&names);
	return ok;
}

bool sf_create(struct sandbox *box, const struct sf_object *object, const json_t *fields,
               struct reply *reply, char ret_id[19])
{
	if (!check_fields(object, fields, reply) || !check_required(object, fields, true, reply))
		return false;
	size_t count = json_array_size(box->salesforce_created);
	if (count >= MAX_KEPT) {
		sf_error(reply, 400, "STORAGE_LIMIT_EXCEEDED", "storage limit exceeded");
		return false;
	}
	snprintf(ret_id, 19, "%sNEW%09zu", object->prefix, count + 1);
	salesforce_id_close(ret_id);
	json_t *created = json_object(), *record = json_deep_copy(fields);
	json_object_del(record, "attributes");
	json_put_str(record, "Id", ret_id);
	json_put_str(created, "type", object->name);
	json_put(created, "record", record);
	json_push(box->salesforce_created, created);
	return true;
}

bool sf_update(struct sandbox *box, const struct sf_object *object, const char *id,
               const json_t *fields, struct reply *reply)
{
	if (!check_fields(object, fields, reply) || !check_required(object, fields, false, reply))
		return false;
	json_t *row = sf_find_new(box, object, id);
	const char *own = json_str(row, "Id", NULL);
	bool is_deleted = json_truth(row, "IsDeleted", false);
	if (!own)
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
	else if (is_deleted)
		sf_error(reply, 404, "ENTITY_IS_DELETED", "entity is deleted");
	if (own && !is_deleted) {
		json_t *changes = json_at(box->salesforce_changes, own);
		if (!changes) {
			changes = json_object();
			json_put(box->salesforce_changes, own, changes);
		}
		json_t *copy = json_deep_copy(fields);
		json_object_del(copy, "attributes");
		json_object_update(changes, copy);
		json_decref(copy);
	}
	json_decref(row);
	return own && !is_deleted;
}
