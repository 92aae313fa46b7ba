/* SPDX-License-Identifier: MIT */
/*
 * NetSuite's records over REST: invoices and customers read one by one or as a
 * list of links, customers created and changed.  Names in camelCase, references
 * and lists as objects, money as numbers, an empty answer to a write.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_netsuite.h"

enum { LIST_MAX = 1000 };

#define SINGULAR "application/vnd.oracle.resource+json; type=singular"
#define COLLECTION "application/vnd.oracle.resource+json; type=collection"

static json_t *links_new(const char *rel, const char *href)
{
	json_t *links = json_array(), *link = json_object();
	json_put_str(link, "rel", rel);
	json_put_str(link, "href", href);
	json_push(links, link);
	return links;
}

static json_t *reference_new(const char *id, const char *name)
{
	json_t *reference = json_object();
	json_put(reference, "links", json_array());
	json_put_str(reference, "id", id);
	json_put_str(reference, "refName", name);
	return reference;
}

/* --- one record ------------------------------------------------------------------- */

static json_t *invoice_new(const json_t *row)
{
	json_t *invoice = json_object();
	double total = json_number_value(json_at(row, "foreigntotal"));
	double unpaid = json_number_value(json_at(row, "foreignamountunpaid"));
	const char *status = netsuite_status_name(row);
	json_put_str(invoice, "id", json_str(row, "id", NULL));
	json_put_str(invoice, "tranId", json_str(row, "tranid", NULL));
	json_put_str(invoice, "tranDate", json_str(row, "trandate", NULL));
	json_put_str(invoice, "dueDate", json_str(row, "duedate", NULL));
	json_put_str(invoice, "otherRefNum", json_str(row, "otherrefnum", NULL));
	json_put(invoice, "entity",
	         reference_new(json_str(row, "entity", ""), json_str(row, "entityname", "")));
	json_put(invoice, "currency",
	         reference_new(json_str(row, "currency", ""), json_str(row, "currencyname", "")));
	json_put(invoice, "status", reference_new(status, status));
	if (json_is_number(json_at(row, "foreigntotal")))
		json_put(invoice, "total", json_real(total));
	if (json_is_number(json_at(row, "foreignamountunpaid"))) {
		json_put(invoice, "amountPaid", json_real(total - unpaid));
		json_put(invoice, "amountRemaining", json_real(unpaid));
	}
	return invoice;
}

static json_t *customer_new(const json_t *row)
{
	json_t *customer = json_object();
	json_put_str(customer, "id", json_str(row, "id", NULL));
	json_put_str(customer, "entityId", json_str(row, "entityid", NULL));
	json_put_str(customer, "companyName", json_str(row, "companyname", NULL));
	json_put(customer, "isInactive", json_boolean(json_truth(row, "isinactive", false)));
	return customer;
}

/* All records of that type as REST shows them; NULL: there is no such type. */
static json_t *records_new(struct sandbox *box, const char *type)
{
	bool is_invoice = strcasecmp(type, "invoice") == 0;
	if (!is_invoice && strcasecmp(type, "customer") != 0)
		return NULL;
	json_t *rows = is_invoice ? netsuite_transactions_new(box) : netsuite_customers_new(box);
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		json_t *record = is_invoice ? invoice_new(row) : customer_new(row);
		const json_t *changes = json_at(box->netsuite_changes, json_str(record, "id", ""));
		if (changes)
			json_object_update(record, (json_t *)(uintptr_t)changes);
		json_push(list, record);
	}
	for (size_t i = 0; !is_invoice && i < json_array_size(box->netsuite_created); i++)
		json_push(list, json_deep_copy(json_array_get(box->netsuite_created, i)));
	json_decref(rows);
	return list;
}

static void no_type(struct reply *reply, const char *type)
{
	netsuite_error(reply, 404, "NONEXISTENT_ENDPOINT", "Record type '%.100s' does not exist.",
	               type);
}

/* The record, or NULL with the reply filled. */
static json_t *find_new(struct sandbox *box, const struct parts *parts, struct reply *reply)
{
	json_t *records = records_new(box, parts->at[0]), *found = NULL;
	for (size_t i = 0; !found && i < json_array_size(records); i++) {
		json_t *record = json_array_get(records, i);
		if (strcmp(json_str(record, "id", ""), parts->at[1]) == 0)
			found = json_incref(record);
	}
	if (!records)
		no_type(reply, parts->at[0]);
	else if (!found)
		netsuite_error(
			reply, 404, "NONEXISTENT_ID",
			"The record instance does not exist. Provide a valid record instance "
			"ID.");
	json_decref(records);
	return found;
}

static char *href_new(const struct request *request, const char *type, const char *id)
{
	char *base = request_base_new(request);
	char *href = mem_format("%s/services/rest/record/v1/%s%s%s", base, type, id ? "/" : "",
	                        id ? id : "");
	free(base);
	return href;
}

static bool is_named(const char *fields, const char *name)
{
	size_t len = strlen(name);
	while (*fields) {
		size_t part = strcspn(fields, ",");
		if (part == len && strncasecmp(fields, name, len) == 0)
			return true;
		fields += part + (fields[part] == ',');
	}
	return false;
}

void netsuite_record_show(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	json_t *found = find_new(box, parts, reply), *shown = json_object(), *value;
	const char *fields = pairs_get(&request->query, "fields"), *name;
	if (found) {
		char *href = href_new(request, parts->at[0], parts->at[1]);
		json_put(shown, "links", links_new("self", href));
		json_object_foreach(found, name, value)
			if (!fields || is_named(fields, name) || strcmp(name, "id") == 0)
				json_put(shown, name, json_incref(value));
		reply_json(reply, 200, json_incref(shown));
		reply->content_type = SINGULAR;
		free(href);
	}
	json_decref(shown);
	json_decref(found);
}

/* --- lists -------------------------------------------------------------------------- */

/* q=tranId IS "INV-1001": one comparison is what the sandbox knows. */
static bool is_wanted(const json_t *record, const char *q)
{
	static const char *const words[] = { " IS ", " EQUAL ", " START_WITH ", " CONTAIN " };
	for (size_t i = 0; q && i < sizeof(words) / sizeof(*words); i++) {
		const char *at = strcasestr(q, words[i]);
		if (!at)
			continue;
		const char *text = at + strlen(words[i]);
		bool is_quoted = *text == '"';
		size_t len = is_quoted ? strcspn(text + 1, "\"") : strlen(text);
		char *name = mem_dup(q, (size_t)(at - q));
		char *wanted = mem_dup(text + is_quoted, len);
		const char *value = json_str(record, name, "");
		bool fits = i == 3   ? strcasestr(value, wanted) != NULL
		            : i == 2 ? strncasecmp(value, wanted, strlen(wanted)) == 0
		                     : strcasecmp(value, wanted) == 0;
		free(name);
		free(wanted);
		return fits;
	}
	return true;
}

static int64_t number_of(const struct request *request, const char *name, int64_t fallback)
{
	const char *text = pairs_get(&request->query, name);
	return text ? strtoll(text, NULL, 10) : fallback;
}

void netsuite_record_list(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	json_t *records = records_new(box, parts->at[0]), *items = json_array();
	json_t *body = json_object();
	int64_t limit = number_of(request, "limit", LIST_MAX), total = 0;
	int64_t offset = number_of(request, "offset", 0);
	if (!records || limit < 1 || limit > LIST_MAX || offset < 0) {
		if (records)
			netsuite_error(reply, 400, "INVALID_PARAMETER",
			               "limit is 1 to 1000, offset 0 or more.");
		else
			no_type(reply, parts->at[0]);
		json_decref(records);
		json_decref(items);
		json_decref(body);
		return;
	}
	for (size_t i = 0; i < json_array_size(records); i++) {
		const json_t *record = json_array_get(records, i);
		const char *id = json_str(record, "id", "");
		if (!is_wanted(record, pairs_get(&request->query, "q")) || total++ < offset ||
		    total > offset + limit)
			continue;
		json_t *item = json_object();
		char *href = href_new(request, parts->at[0], id);
		json_put(item, "links", links_new("self", href));
		json_put_str(item, "id", id);
		json_push(items, item);
		free(href);
	}
	char *self = href_new(request, parts->at[0], NULL);
	json_put(body, "links", links_new("self", self));
	json_put_int(body, "count", (int64_t)json_array_size(items));
	json_put(body, "hasMore", json_boolean(offset + limit < total));
	json_put(body, "items", items);
	json_put_int(body, "offset", offset);
	json_put_int(body, "totalResults", total);
	json_decref(records);
	reply_json(reply, 200, body);
	reply->content_type = COLLECTION;
	free(self);
}

void netsuite_catalog(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	(void)box;
	(void)parts;
	static const char *const names[] = { "invoice", "customer" };
	json_t *body = json_object(), *items = json_array();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		json_t *item = json_object();
		char *path = mem_format("metadata-catalog/%s", names[i]);
		char *href = href_new(request, path, NULL);
		json_put_str(item, "name", names[i]);
		json_put(item, "links", links_new("canonical", href));
		json_push(items, item);
		free(path);
		free(href);
	}
	json_put(body, "items", items);
	reply_json(reply, 200, body);
	reply->content_type = COLLECTION;
}

/* --- writing ------------------------------------------------------------------------ */

static bool body_is_good(const struct request *request, struct reply *reply)
{
	if (!request_is(request, "application/json", false) &&
	    !request_is(request, "application/vnd.oracle.resource+json", false))
		netsuite_error(reply, 415, "INVALID_CONTENT_TYPE",
		               "Invalid content type. Use application/json.");
	else if (!json_is_object(request->json))
		netsuite_error(reply, 400, "INVALID_CONTENT",
		               "Invalid content in the request body.");
	else
		return true;
	return false;
}

/* 204, and the id only in Location. */
void netsuite_record_create(struct sandbox *box, struct request *request, const struct parts *parts,
                            struct reply *reply)
{
	char id[24];
	if (strcasecmp(parts->at[0], "customer") != 0) {
		no_type(reply, parts->at[0]);
		return;
	}
	if (!body_is_good(request, reply))
		return;
	if (!*json_str(request->json, "companyName", "") &&
	    !*json_str(request->json, "lastName", "")) {
		netsuite_error(reply, 400, "USER_ERROR", "Please enter value(s) for: Company Name");
		return;
	}
	snprintf(id, sizeof(id), "%lld", 900000 + (long long)++box->record_count);
	json_t *record = json_deep_copy(request->json);
	json_put_str(record, "id", id);
	keep_push(box->netsuite_created, record, MAX_KEPT);
	char *href = href_new(request, "customer", id);
	reply_text(reply, 204, NULL, "");
	reply_header(reply, "Location", "%s", href);
	free(href);
}

void netsuite_record_change(struct sandbox *box, struct request *request, const struct parts *parts,
                            struct reply *reply)
{
	json_t *found = body_is_good(request, reply) ? find_new(box, parts, reply) : NULL;
	if (!found)
		return;
	json_t *changes = json_at(box->netsuite_changes, parts->at[1]);
	if (changes)
		json_object_update(changes, request->json);
	else
		json_put(box->netsuite_changes, parts->at[1], json_deep_copy(request->json));
	char *href = href_new(request, parts->at[0], parts->at[1]);
	reply_text(reply, 204, NULL, "");
	reply_header(reply, "Location", "%s", href);
	free(href);
	json_decref(found);
}
