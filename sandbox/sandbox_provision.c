/* SPDX-License-Identifier: MIT */
/*
 * The tenant-provisioning API.  A key is remembered with a fingerprint of its
 * payload and with the reply, so a repeated request gets the same reply and
 * makes nothing; another key makes another tenant, even for the same
 * externalId: that a caller's keys are stable is what this API is for testing.
 *
 * A scenario's "provision" may say {"mode": "async", "polls": 2} for 202 and an
 * operation to poll, and {"error": "..."} for an operation that fails.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "sandbox/sandbox.h"

enum { KEY_BYTES_MAX = 255 };

static void problem(struct reply *reply, int status, const char *slug, const char *title,
                    const char *detail)
{
	json_t *body = json_object();
	char *type = mem_format("https://provision.example/problems/%s", slug);
	json_put_str(body, "type", type);
	json_put_str(body, "title", title);
	json_put_int(body, "status", status);
	json_put_str(body, "detail", detail);
	reply_json(reply, status, body);
	reply->content_type = "application/problem+json";
	free(type);
}

/* --- tenants -------------------------------------------------------------------- */

static json_t *tenant_find(const struct sandbox *box, const char *id)
{
	for (size_t i = 0; i < json_array_size(box->tenants); i++) {
		json_t *tenant = json_array_get(box->tenants, i);
		if (strcmp(json_str(tenant, "id", ""), id) == 0)
			return tenant;
	}
	return NULL;
}

static char *login_url_new(const char *external_id, const char *tenant_id)
{
	char *slug = mem_dup_str(external_id);
	for (char *c = slug; *c; c++)
		*c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
	/* The tenant's own digits, so that two tenants never share a login. */
	char *url = mem_format("https://%s-%s.app.example/login", slug, tenant_id + strlen("tnt_"));
	free(slug);
	return url;
}

static json_t *tenant_new(const json_t *given, const char *key, bool is_active, int64_t now_ms)
{
	const char *external_id = json_str(given, "externalId", "");
	char hash[SHA256_HEX], id[20], at[CLOCK_ISO_BYTES];
	char *seed = mem_format("%s/%s", external_id, key);
	crypto_sha256_hex(str_of(seed), hash);
	snprintf(id, sizeof(id), "tnt_%.10s", hash);
	clock_iso(now_ms, at);
	char *login_url = login_url_new(external_id, id);
	json_t *tenant = json_object(), *sent = json_deep_copy(given);
	json_put_str(tenant, "id", id);
	json_put_str(tenant, "status", is_active ? "active" : "provisioning");
	json_object_update_missing(tenant, sent);
	json_put_str(tenant, "login_url", login_url);
	json_put_str(tenant, "created_at", at);
	json_put_str(tenant, "idempotency_key", key);
	json_decref(sent);
	free(login_url);
	free(seed);
	return tenant;
}

/* What a caller sees of a tenant; the key it was made with is for inspection only. */
static json_t *tenant_shown_new(const json_t *tenant)
{
	json_t *shown = json_copy((json_t *)(uintptr_t)tenant);
	json_object_del(shown, "idempotency_key");
	return shown;
}

static json_t *operation_shown_new(const json_t *operation)
{
	json_t *shown = json_copy((json_t *)(uintptr_t)operation);
	json_object_del(shown, "polls_left");
	json_object_del(shown, "will_fail");
	json_object_del(shown, "tenant");
	return shown;
}

/* --- creating ------------------------------------------------------------------- */

/* A bare value, or the quoted string of the draft standard; the quotes are taken off. */
static bool key_of(const struct request *request, char ret[KEY_BYTES_MAX + 1])
{
	const char *given = request_header(request, "Idempotency-Key");
	size_t len = strlen(given);
	bool is_quoted = len >= 2 && given[0] == '"' && given[len - 1] == '"';
	if (is_quoted) {
		given++;
		len -= 2;
	}
	if (len == 0 || len > KEY_BYTES_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)given[i]) || given[i] == '"')
			return false;
	memcpy(ret, given, len);
	ret[len] = '\0';
	return true;
}

static void replay(const json_t *stored, struct reply *reply)
{
	reply_json(reply, (int)json_int(stored, "status", 201),
	           json_incref(json_at(stored, "body")));
	const char *location = json_str(stored, "location", NULL);
	if (location)
		reply_header(reply, "Location", "%s", location);
	if (reply->status == 202)
		reply_header(reply, "Retry-After", "1");
	reply_header(reply, "Idempotency-Replayed", "true");
}

static void store_reply(struct sandbox *box, const char *key, const char *fingerprint,
                        const struct reply *reply)
{
	json_t *stored = json_object(), *body = NULL;
	struct err ignored = { 0 };
	if (json_read(buf_str(&reply->body), MAX_REPLY_BYTES, &body, &ignored) < 0)
		body = NULL;
	json_put_str(stored, "fingerprint", fingerprint);
	json_put_int(stored, "status", reply->status);
	json_put(stored, "body", body);
	json_put_str(stored, "location", pairs_header(&reply->headers, "Location"));
	json_put(box->stored_replies, key, stored);
}

static const char *payload_fault(const json_t *body)
{
	if (!*json_str(body, "externalId", ""))
		return "externalId is required";
	if (!*json_str(body, "name", ""))
		return "name is required";
	if (!*json_str(body, "plan", "") && !*json_str(body, "tier", ""))
		return "plan (or tier) is required";
	return NULL;
}

static const json_t *behaviour(struct sandbox *box, const char *external_id)
{
	const struct scenario *scenario = scenario_find(box, external_id);
	return scenario ? json_at(scenario->data, "provision") : NULL;
}

static void create_later(struct sandbox *box, const json_t *tenant, const json_t *how,
                         struct reply *reply)
{
	char id[40];
	json_t *operation = json_object();
	snprintf(id, sizeof(id), "op_%zu", json_object_size(box->operations) + 1);
	json_put_str(operation, "id", id);
	json_put_str(operation, "status", "running");
	json_put(operation, "tenantId", json_null());
	json_put_int(operation, "polls_left", json_int(how, "polls", 1));
	json_put_str(operation, "tenant", json_str(tenant, "id", ""));
	json_put_str(operation, "will_fail", json_str(how, "error", NULL));
	json_put(box->operations, id, operation);
	reply_json(reply, 202, operation_shown_new(operation));
	reply_header(reply, "Location", "/v1/operations/%s", id);
	reply_header(reply, "Retry-After", "1");
}

static void create(struct sandbox *box, const struct request *request, const char *key,
                   struct reply *reply)
{
	const char *external_id = json_str(request->json, "externalId", "");
	const json_t *how = behaviour(box, external_id);
	bool is_async = strcmp(json_str(how, "mode", "direct"), "async") == 0;
	const char *error = json_str(how, "error", NULL);
	if (error && !is_async) {
		problem(reply, 422, "cannot-provision", "The tenant cannot be provisioned", error);
		return;
	}
	json_t *tenant = tenant_new(request->json, key, !is_async, request->now_ms);
	json_push(box->tenants, tenant);
	if (is_async) {
		create_later(box, tenant, how, reply);
		return;
	}
	reply_json(reply, 201, tenant_shown_new(tenant));
	reply_header(reply, "Location", "/v1/tenants/%s", json_str(tenant, "id", ""));
}

static void tenant_create(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	(void)parts;
	char key[KEY_BYTES_MAX + 1], fingerprint[SHA256_HEX];
	const char *fault = payload_fault(request->json);
	if (!request_is(request, "application/json", false)) {
		problem(reply, 415, "unsupported-media-type", "Unsupported Media Type",
		        "Send application/json.");
		return;
	}
	if (!key_of(request, key)) {
		problem(reply, 400, "idempotency-key-missing", "Idempotency-Key is missing",
		        "This operation is idempotent and requires a key of 1 to 255 characters.");
		return;
	}
	if (!json_is_object(request->json) || fault) {
		problem(reply, 400, "invalid-payload", "The payload is not valid",
		        fault && json_is_object(request->json) ? fault
		                                               : "a JSON object is expected");
		return;
	}
	request_account_set(request, json_str(request->json, "externalId", NULL));
	char *canonical = json_canon(request->json);
	crypto_sha256_hex(str_of(canonical), fingerprint);
	free(canonical);
	const json_t *stored = json_at(box->stored_replies, key);
	if (stored && strcmp(json_str(stored, "fingerprint", ""), fingerprint) != 0) {
		problem(reply, 422, "idempotency-key-reused", "Idempotency-Key is already used",
		        "This key was used with another payload.");
	} else if (stored) {
		replay(stored, reply);
	} else if (json_array_size(box->tenants) >= MAX_KEPT) {
		problem(reply, 503, "full", "Service Unavailable",
		        "the sandbox keeps 10,000 tenants");
	} else {
		create(box, request, key, reply);
		store_reply(box, key, fingerprint, reply);
	}
}

/* --- reading -------------------------------------------------------------------- */

static void tenant_list(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	(void)parts;
	const char *external_id = pairs_get(&request->query, "externalId");
	json_t *items = json_array(), *body = json_object();
	for (size_t i = 0; i < json_array_size(box->tenants); i++) {
		const json_t *tenant = json_array_get(box->tenants, i);
		if (!external_id || strcmp(json_str(tenant, "externalId", ""), external_id) == 0)
			json_push(items, tenant_shown_new(tenant));
	}
	if (external_id)
		request_account_set(request, external_id);
	json_put_int(body, "total", (int64_t)json_array_size(items));
	json_put(body, "items", items);
	reply_json(reply, 200, body);
}

static void not_found(struct reply *reply, const char *what)
{
	problem(reply, 404, "not-found", "Not Found", what);
}

static void tenant_show(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	const json_t *tenant = tenant_find(box, parts->at[0]);
	if (!tenant) {
		not_found(reply, "There is no tenant of this id.");
		return;
	}
	request_account_set(request, json_str(tenant, "externalId", NULL));
	reply_json(reply, 200, tenant_shown_new(tenant));
}

static void tenant_delete(struct sandbox *box, struct request *request, const struct parts *parts,
                          struct reply *reply)
{
	for (size_t i = 0; i < json_array_size(box->tenants); i++) {
		const json_t *tenant = json_array_get(box->tenants, i);
		if (strcmp(json_str(tenant, "id", ""), parts->at[0]) != 0)
			continue;
		request_account_set(request, json_str(tenant, "externalId", NULL));
		json_array_remove(box->tenants, i);
		reply_text(reply, 204, NULL, "");
		return;
	}
	not_found(reply, "There is no tenant of this id.");
}

/* An operation that was polled often enough ends. */
static void operation_advance(struct sandbox *box, json_t *operation)
{
	int64_t left = json_int(operation, "polls_left", 0);
	const char *error = json_str(operation, "will_fail", NULL);
	json_t *tenant = tenant_find(box, json_str(operation, "tenant", ""));
	if (strcmp(json_str(operation, "status", ""), "running") != 0)
		return;
	if (left > 0) {
		json_put_int(operation, "polls_left", left - 1);
		return;
	}
	json_put_str(operation, "status", error ? "failed" : "succeeded");
	if (tenant)
		json_put_str(tenant, "status", error ? "failed" : "active");
	if (!error) {
		json_put_str(operation, "tenantId", json_str(operation, "tenant", ""));
		return;
	}
	json_t *details = json_object();
	json_put_str(details, "type", "https://provision.example/problems/cannot-provision");
	json_put_str(details, "title", "The tenant cannot be provisioned");
	json_put_int(details, "status", 422);
	json_put_str(details, "detail", error);
	json_put(operation, "error", details);
}

static void operation_show(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply)
{
	json_t *operation = json_at(box->operations, parts->at[0]);
	if (!operation) {
		not_found(reply, "There is no operation of this id.");
		return;
	}
	operation_advance(box, operation);
	const json_t *tenant = tenant_find(box, json_str(operation, "tenant", ""));
	request_account_set(request, json_str(tenant, "externalId", NULL));
	reply_json(reply, 200, operation_shown_new(operation));
	if (strcmp(json_str(operation, "status", ""), "running") == 0)
		reply_header(reply, "Retry-After", "1");
}

void provision_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "POST", "/v1/tenants", tenant_create },
		{ "GET", "/v1/tenants", tenant_list },
		{ "GET", "/v1/tenants/{}", tenant_show },
		{ "DELETE", "/v1/tenants/{}", tenant_delete },
		{ "GET", "/v1/operations/{}", operation_show },
	};
	const char *given = request_bearer(request);
	bool good = given && strcmp(given, PROVISION_TOKEN) == 0;
	request->auth = good ? AUTH_ACCEPTED : AUTH_REFUSED;
	if (!good) {
		provision_refuse(box, request, 401, reply);
		return;
	}
	switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request, reply)) {
	case ROUTE_SERVED: return;
	case ROUTE_OTHER_METHOD:
		problem(reply, 405, "method-not-allowed", "Method Not Allowed",
		        "This path takes another method.");
		return;
	case ROUTE_NONE: not_found(reply, "There is no such resource."); return;
	}
}

void provision_refuse(struct sandbox *box, const struct request *request, int status,
                      struct reply *reply)
{
	(void)box;
	(void)request;
	switch (status) {
	case 400:
		problem(reply, 400, "invalid-payload", "The payload is not valid",
		        "region is not available");
		return;
	case 401:
		problem(reply, 401, "unauthorized", "Unauthorized",
		        "The bearer token is not valid.");
		reply_header(reply, "WWW-Authenticate", "Bearer error=\"invalid_token\"");
		return;
	case 403:
		problem(reply, 403, "forbidden", "Forbidden",
		        "The token may not provision tenants.");
		return;
	case 404: not_found(reply, "There is no such resource."); return;
	case 429:
		problem(reply, 429, "too-many-requests", "Too Many Requests", "Slow down.");
		reply_header(reply, "Retry-After", "1");
		return;
	case 503:
		problem(reply, 503, "unavailable", "Service Unavailable", "Try again later.");
		reply_header(reply, "Retry-After", "1");
		return;
	default:
		problem(reply, status, "internal", "Internal Server Error",
		        "Something went wrong.");
		return;
	}
}
