/* SPDX-License-Identifier: MIT */
/*
 * Several requests in one: composite (with references from one to the next) and
 * batch (independent).  Each part goes through sf_dispatch() as if it had come
 * alone; the parts are served in the order written, which collation allows.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"

enum { COMPOSITE_MAX = 25, COMPOSITE_QUERIES_MAX = 5 };
enum { NULL_IS_EMPTY_SINCE = 52 }; /* API version in which a null field of a row became "" */

struct composite {
	struct sandbox *box;
	json_t *results; /* referenceId -> {status, body, is_row} */
	int version;
};

static json_t *error_new(const char *code, const char *text)
{
	json_t *list = json_array(), *error = json_object();
	json_put_str(error, "errorCode", code);
	json_put_str(error, "message", text);
	json_push(list, error);
	return list;
}

/* Serves one part; its body as JSON (null when empty). */
static int serve_part(struct sandbox *box, const char *method, const char *url, json_t *body,
                      int64_t now_ms, json_t **ret_body)
{
	struct request request = { .system = SYSTEM_SALESFORCE,
		                   .method = mem_dup_str(method),
		                   .target = mem_dup_str(url),
		                   .json = json_incref(body),
		                   .auth = AUTH_ACCEPTED,
		                   .now_ms = now_ms };
	struct reply reply;
	struct err ignored = { 0 };
	reply_init(&reply);
	if (body)
		pairs_add(&request.headers, STR_LIT("Content-Type"), STR_LIT("application/json"));
	if (!request_split(&request) || !str_begins(request.path, "/services/data/v"))
		sf_error(&reply, 404, "NOT_FOUND", "The requested resource does not exist");
	else
		sf_dispatch(box, &request, &reply);
	*ret_body = NULL;
	if (reply.body.len > 0 &&
	    json_read(buf_str(&reply.body), MAX_REPLY_BYTES, ret_body, &ignored) < 0)
		*ret_body = error_new("UNKNOWN_EXCEPTION", ignored.text);
	if (!*ret_body)
		*ret_body = json_null();
	int status = reply.status;
	reply_release(&reply);
	request_release(&request);
	return status;
}

/* --- references ----------------------------------------------------------------- */

/* What @{ref.path} stands for; NULL with the message when it stands for nothing. */
static json_t *referenced(const struct composite *all, const char *inside, char message[400])
{
	char name[128];
	size_t len = strcspn(inside, ".");
	snprintf(name, sizeof(name), "%.*s", (int)len, inside);
	const json_t *result = json_at(all->results, name);
	const char *path = inside[len] ? inside + len + 1 : "";
	json_t *value = result ? json_path(json_at(result, "body"), path) : NULL;
	bool failed = result && json_int(result, "status", 0) >= 300;
	bool null_is_empty = result && json_truth(result, "is_row", false) &&
	                     all->version >= NULL_IS_EMPTY_SINCE;
	bool is_scalar = value && !json_is_object(value) && !json_is_array(value);
	if (is_scalar && !failed && (!json_is_null(value) || null_is_empty))
		return value;
	snprintf(message, 400, "Invalid reference specified. No value for %.100s found in %s. %s",
	         inside, name,
	         result ? "The referenced operation gave no such value."
	                : "There is no earlier request of this referenceId.");
	return NULL;
}

static char *scalar_text_new(const json_t *value)
{
	if (json_is_string(value))
		return mem_dup_str(json_string_value(value));
	return json_is_null(value) ? mem_dup_str("") : json_canon(value);
}

/* The text with every @{...} replaced, or NULL with the message. */
static char *filled_new(const struct composite *all, const char *text, char message[400])
{
	struct buf out;
	struct err err = { 0 };
	const char *open;
	int status = 0;
	buf_init(&out, MAX_BODY_BYTES);
	while (status == 0 && (open = strstr(text, "@{"))) {
		const char *close = strchr(open, '}');
		char inside[256];
		if (!close || close - open - 2 >= (long)sizeof(inside))
			break;
		snprintf(inside, sizeof(inside), "%.*s", (int)(close - open - 2), open + 2);
		const json_t *value = referenced(all, inside, message);
		char *filling = value ? scalar_text_new(value) : NULL;
		status = value ? buf_add(&out, text, (size_t)(open - text), &err) : -1;
		if (status == 0)
			status = buf_add(&out, filling, strlen(filling), &err);
		free(filling);
		text = close + 1;
	}
	if (status == 0)
		status = buf_add(&out, text, strlen(text), &err);
	if (err.code < 0)
		snprintf(message, 400, "the request is too long once its references are filled in");
	if (status == 0)
		return buf_take(&out);
	buf_release(&out);
	return NULL;
}

static bool fill_body(const struct composite *all, json_t *value, char message[400])
{
	const char *key;
	json_t *member;
	size_t i;
	bool ok = true;
	if (json_is_string(value) && strstr(json_string_value(value), "@{")) {
		char *filled = filled_new(all, json_string_value(value), message);
		if (filled)
			json_string_set(value, filled);
		free(filled);
		return filled != NULL;
	}
	json_object_foreach(value, key, member)
		ok = ok && fill_body(all, member, message);
	json_array_foreach(value, i, member)
		ok = ok && fill_body(all, member, message);
	return ok;
}

/* A client may have encoded the braces of a reference. */
static char *plain_url_new(const char *url)
{
	struct buf out;
	buf_init(&out, strlen(url) + 1);
	for (; *url; url++) {
		if (strncasecmp(url, "%40%7B", 6) == 0) {
			buf_put(&out, "@{");
			url += 5;
		} else if (strncasecmp(url, "%7D", 3) == 0) {
			buf_put(&out, "}");
			url += 2;
		} else {
			buf_put_len(&out, url, 1);
		}
	}
	return buf_take(&out);
}

/* --- composite ------------------------------------------------------------------ */

static bool is_query(const json_t *part)
{
	const char *url = json_str(part, "url", "");
	return strstr(url, "/query") || strstr(url, "/composite/sobjects");
}

static const char *composite_fault(const json_t *parts)
{
	json_t *seen = json_object();
	const char *fault = NULL;
	size_t queries = 0;
	if (!json_is_array(parts) || json_array_size(parts) == 0)
		fault = "compositeRequest is missing or empty";
	else if (json_array_size(parts) > COMPOSITE_MAX)
		fault = "Limit of 25 subrequests exceeded";
	for (size_t i = 0; !fault && i < json_array_size(parts); i++) {
		const json_t *part = json_array_get(parts, i);
		const char *name = json_str(part, "referenceId", "");
		queries += is_query(part);
		if (!*name || !isalnum((unsigned char)*name))
			fault = "referenceId must start with a letter or a digit";
		for (const char *c = name; *c; c++)
			if (!isalnum((unsigned char)*c) && *c != '_')
				fault = "referenceId may contain letters, digits and _ only";
		if (json_at(seen, name))
			fault = "referenceId is not unique";
		if (!*json_str(part, "method", "") || !*json_str(part, "url", ""))
			fault = "a subrequest needs method and url";
		json_put(seen, name, json_true());
	}
	if (!fault && queries > COMPOSITE_QUERIES_MAX)
		fault = "Limit of 5 query subrequests exceeded";
	json_decref(seen);
	return fault;
}

static json_t *composite_part_new(struct composite *all, const json_t *part, int64_t now_ms)
{
	char message[400];
	const char *name = json_str(part, "referenceId", "");
	const char *method = json_str(part, "method", "");
	char *plain = plain_url_new(json_str(part, "url", ""));
	char *url = filled_new(all, plain, message);
	json_t *body = json_at(part, "body") ? json_deep_copy(json_at(part, "body")) : NULL;
	json_t *reply_body = NULL, *entry = json_object(), *known = json_object();
	int status = 400;
	if (url && fill_body(all, body, message))
		status = serve_part(all->box, method, url, body, now_ms, &reply_body);
	else
		reply_body = error_new("PROCESSING_HALTED", message);
	json_put_int(known, "status", status);
	json_put(known, "body", json_incref(reply_body));
	json_put(known, "is_row",
	         json_boolean(strcmp(method, "GET") == 0 && url &&
	                      strstr(url, "/sobjects/") != NULL));
	json_put(all->results, name, known);
	json_put(entry, "body", reply_body);
	json_put(entry, "httpHeaders", json_object());
	json_put_int(entry, "httpStatusCode", status);
	json_put_str(entry, "referenceId", name);
	free(url);
	free(plain);
	json_decref(body);
	return entry;
}

/* allOrNone: the first failure takes everything back. */
static void halt_all(json_t *entries, size_t failed)
{
	for (size_t i = 0; i < json_array_size(entries); i++) {
		json_t *entry = json_array_get(entries, i);
		if (i == failed)
			continue;
		json_put(entry, "body",
		         error_new("PROCESSING_HALTED",
		                   "The transaction was rolled back since another "
		                   "operation in the same transaction failed."));
		json_put_int(entry, "httpStatusCode", 400);
	}
}

void sf_composite(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply)
{
	const json_t *requests = json_at(request->json, "compositeRequest");
	const char *fault = composite_fault(requests);
	if (fault) {
		sf_error(reply, 400, "INVALID_INPUT", "%s", fault);
		return;
	}
	struct composite all = { box, json_object(), sf_version(parts->at[0]) };
	json_t *entries = json_array(), *body = json_object();
	json_t *created = json_deep_copy(box->salesforce_created);
	json_t *changes = json_deep_copy(box->salesforce_changes);
	bool all_or_none = json_truth(request->json, "allOrNone", false);
	size_t failed = SIZE_MAX;
	for (size_t i = 0; i < json_array_size(requests); i++) {
		json_t *entry = composite_part_new(&all, json_array_get(requests, i),
		                                   request->now_ms);
		json_push(entries, entry);
		if (failed == SIZE_MAX && json_int(entry, "httpStatusCode", 0) >= 300)
			failed = i;
	}
	if (all_or_none && failed != SIZE_MAX) {
		halt_all(entries, failed);
		json_decref(box->salesforce_created);
		json_decref(box->salesforce_changes);
		box->salesforce_created = json_incref(created);
		box->salesforce_changes = json_incref(changes);
	}
	json_put(body, "compositeResponse", entries);
	reply_json(reply, 200, body);
	json_decref(created);
	json_decref(changes);
	json_decref(all.results);
}

/* --- batch ---------------------------------------------------------------------- */

void sf_batch(struct sandbox *box, struct request *request, const struct parts *parts,
              struct reply *reply)
{
	(void)parts;
	const json_t *requests = json_at(request->json, "batchRequests");
	size_t count = json_array_size(requests);
	bool halt_on_error = json_truth(request->json, "haltOnError", false), has_errors = false;
	if (count == 0 || count > COMPOSITE_MAX) {
		sf_error(reply, 400, "INVALID_INPUT", "batchRequests holds 1 to 25 requests");
		return;
	}
	json_t *results = json_array(), *body = json_object();
	for (size_t i = 0; i < count; i++) {
		const json_t *part = json_array_get(requests, i);
		json_t *entry = json_object(), *result = NULL;
		char *url = mem_format("/services/data/%s", json_str(part, "url", ""));
		int status = 412;
		if (has_errors && halt_on_error)
			result = error_new("BATCH_PROCESSING_HALTED",
			                   "Batch processing has been halted");
		else
			status = serve_part(box, json_str(part, "method", ""), url,
			                    json_at(part, "richInput"), request->now_ms, &result);
		has_errors |= status >= 300;
		json_put_int(entry, "statusCode", status);
		json_put(entry, "result", result);
		json_push(results, entry);
		free(url);
		box->salesforce_calls++;
	}
	json_put(body, "hasErrors", json_boolean(has_errors));
	json_put(body, "results", results);
	reply_json(reply, 200, body);
}
