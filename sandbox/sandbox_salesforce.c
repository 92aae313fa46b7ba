/* SPDX-License-Identifier: MIT */
/*
 * Salesforce: tokens, records, and the table of paths.  Queries, composite
 * requests and the records themselves have files of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_salesforce.h"

#define TOKEN_PREFIX "00Dxx0000001gER!"

enum { CALLS_PER_DAY = 15000, OLDEST_VERSION = 31, NEWEST_VERSION = 68 };

/* --- tokens --------------------------------------------------------------------- */

static void token_error(struct reply *reply, const char *error, const char *text)
{
	json_t *body = json_object();
	json_put_str(body, "error", error);
	json_put_str(body, "error_description", text);
	reply_json(reply, 400, body);
}

static void token_grant(struct sandbox *box, struct request *request, bool is_jwt,
                        struct reply *reply)
{
	char *base = request_base_new(request);
	char *token = token_new(box, SYSTEM_SALESFORCE, TOKEN_PREFIX, request->now_ms);
	char *identity = mem_format("%s/id/" SALESFORCE_ORG_ID "/" SALESFORCE_USER_ID, base);
	char issued[32];
	json_t *body = json_object();
	snprintf(issued, sizeof(issued), "%lld", (long long)request->now_ms);
	json_put_str(body, "access_token", token);
	json_put_str(body, "instance_url", base);
	json_put_str(body, "id", identity);
	json_put_str(body, "token_type", "Bearer");
	json_put_str(body, "scope", "api");
	if (!is_jwt) {
		json_put_str(body, "issued_at", issued);
		json_put_str(body, "signature", "c2FuZGJveA==");
		json_put_str(body, "api_instance_url", base);
	}
	request->auth = AUTH_ACCEPTED;
	reply_json(reply, 200, body);
	reply_header(reply, "Cache-Control", "no-store");
	free(base);
	free(token);
	free(identity);
}

/* Form fields, or HTTP Basic with both parts form-encoded. */
static bool client_is_known(const struct request *request, const struct pairs *form)
{
	const char *id = pairs_get(form, "client_id"), *secret = pairs_get(form, "client_secret");
	const char *basic = request_header(request, "Authorization");
	if (strncasecmp(basic, "Basic ", 6) != 0)
		return id && secret && strcmp(id, SALESFORCE_CLIENT_ID) == 0 &&
		       strcmp(secret, SALESFORCE_CLIENT_SECRET) == 0;
	struct buf text;
	buf_init(&text, MAX_BODY_BYTES);
	bool known = url_base64_decode(str_of(basic + 6), &text) &&
	             str_is(buf_str(&text), SALESFORCE_CLIENT_ID ":" SALESFORCE_CLIENT_SECRET);
	buf_release(&text);
	return known;
}

static const char *jwt_fault(const struct sandbox *box, const struct request *request,
                             const char *assertion)
{
	json_t *header, *claims = token_claims_new(box, assertion, &header);
	char *base = request_base_new(request);
	const char *audience = json_str(claims, "aud", "");
	int64_t left_s = json_int(claims, "exp", 0) - request->now_ms / 1000;
	const char *fault = NULL;
	if (!claims)
		fault = "invalid assertion";
	else if (strcmp(json_str(header, "alg", ""), "RS256") != 0)
		fault = "algorithm not supported";
	else if (strcmp(json_str(claims, "iss", ""), SALESFORCE_CLIENT_ID) != 0)
		fault = "client identifier invalid";
	else if (!*json_str(claims, "sub", ""))
		fault = "user hasn't approved this consumer";
	else if (strcmp(audience, "https://login.salesforce.com") != 0 &&
	         strcmp(audience, "https://test.salesforce.com") != 0 &&
	         strcmp(audience, base) != 0)
		fault = "audience is invalid";
	else if (left_s < -180 || left_s > 480)
		fault = "expired authorization code";
	json_decref(header);
	json_decref(claims);
	free(base);
	return fault;
}

static void token(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply)
{
	(void)parts;
	struct pairs form;
	bool is_form = request_form(request, &form);
	const char *grant = is_form ? pairs_get(&form, "grant_type") : NULL;
	request->auth = AUTH_REFUSED;
	if (!grant) {
		token_error(reply, "unsupported_grant_type", "grant type not supported");
	} else if (strcmp(grant, "client_credentials") == 0) {
		if (client_is_known(request, &form))
			token_grant(box, request, false, reply);
		else
			token_error(reply, "invalid_client", "invalid client credentials");
	} else if (strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") == 0) {
		const char *fault = jwt_fault(box, request, pairs_get(&form, "assertion"));
		if (fault)
			token_error(reply, "invalid_grant", fault);
		else
			token_grant(box, request, true, reply);
	} else {
		token_error(reply, "unsupported_grant_type", "grant type not supported");
	}
	pairs_release(&form);
}

static void revoke(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	(void)box;
	(void)request;
	(void)parts;
	reply_text(reply, 200, NULL, "");
}

static bool token_is_accepted(struct sandbox *box, struct request *request)
{
	const char *given = request_bearer(request);
	if (!given && strncasecmp(request_header(request, "Authorization"), "OAuth ", 6) == 0)
		given = request_header(request, "Authorization") + 6;
	bool good = given && (strcmp(given, SALESFORCE_TOKEN) == 0 ||
	                      token_is_good(box, SYSTEM_SALESFORCE, TOKEN_PREFIX, given,
	                                    request->now_ms, 0));
	request->auth = good ? AUTH_ACCEPTED : AUTH_REFUSED;
	return good;
}

static void identity(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	(void)box;
	char *base = request_base_new(request);
	char *rest = mem_format("%s/services/data/v{version}/", base);
	json_t *body = json_object(), *urls = json_object();
	json_put_str(body, "user_id", parts->count > 1 ? parts->at[1] : SALESFORCE_USER_ID);
	json_put_str(body, "organization_id", parts->count > 1 ? parts->at[0] : SALESFORCE_ORG_ID);
	json_put_str(body, "username", "integration@gangway.example");
	json_put_str(body, "display_name", "Integration User");
	json_put_str(body, "email", "integration@gangway.example");
	json_put(body, "active", json_true());
	json_put_str(urls, "rest", rest);
	json_put(body, "urls", urls);
	reply_json(reply, 200, body);
	free(base);
	free(rest);
}

/* --- about the org -------------------------------------------------------------- */

int sf_version(const char *text)
{
	char *end;
	long version = strtol(text, &end, 10);
	bool is_served = strcmp(end, ".0") == 0 && version >= OLDEST_VERSION &&
	                 version <= NEWEST_VERSION;
	return is_served ? (int)version : 0;
}

static void versions(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	(void)box;
	(void)request;
	(void)parts;
	json_t *list = json_array();
	for (int version = OLDEST_VERSION; version <= NEWEST_VERSION; version++) {
		char text[32];
		json_t *entry = json_object();
		snprintf(text, sizeof(text), "v%d.0", version);
		json_put_str(entry, "label", text);
		json_put_str(entry, "version", text + 1);
		snprintf(text, sizeof(text), "/services/data/v%d.0", version);
		json_put_str(entry, "url", text);
		json_push(list, entry);
	}
	reply_json(reply, 200, list);
}

static void resources(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	(void)box;
	(void)request;
	static const char *const names[] = {
		"query",  "queryAll", "sobjects", "composite",
		"limits", "search",   "recent",   "parameterizedSearch"
	};
	json_t *body = json_object();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *url = mem_format("/services/data/v%s/%s", parts->at[0], names[i]);
		json_put_str(body, names[i], url);
		free(url);
	}
	reply_json(reply, 200, body);
}

static void limits(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	(void)request;
	(void)parts;
	json_t *body = json_object(), *calls = json_object();
	json_put_int(calls, "Max", CALLS_PER_DAY);
	json_put_int(calls, "Remaining", CALLS_PER_DAY - box->salesforce_calls % CALLS_PER_DAY);
	json_put(body, "DailyApiRequests", calls);
	reply_json(reply, 200, body);
}

/* --- the paths ------------------------------------------------------------------ */

static const struct route routes[] = {
	{ "GET", "/services/data/v{}/query", sf_query },
	{ "GET", "/services/data/v{}/queryAll", sf_query_all },
	{ "GET", "/services/data/v{}/query/{}", sf_query_more },
	{ "POST", "/services/data/v{}/composite", sf_composite },
	{ "POST", "/services/data/v{}/composite/batch", sf_batch },
	{ "POST", "/services/data/v{}/composite/sobjects", sf_collection },
	{ "PATCH", "/services/data/v{}/composite/sobjects", sf_collection },
	{ "DELETE", "/services/data/v{}/composite/sobjects", sf_collection_delete },
	{ "POST", "/services/data/v{}/composite/sobjects/{}", sf_collection_read },
	{ "PATCH", "/services/data/v{}/composite/sobjects/{}/{}", sf_collection_upsert },
	{ "POST", "/services/data/v{}/composite/tree/{}", sf_tree },
	{ "GET", "/services/data/v{}/search", sf_search },
	{ "GET", "/services/data/v{}/parameterizedSearch", sf_search_by_parameters },
	{ "POST", "/services/data/v{}/parameterizedSearch", sf_search_by_parameters },
	{ "GET", "/services/data/v{}/recent", sf_recent },
	{ "GET", "/services/data/v{}/sobjects", sf_objects_list },
	{ "GET", "/services/data/v{}/sobjects/{}", sf_object_show },
	{ "POST", "/services/data/v{}/sobjects/{}", sf_record_create },
	{ "GET", "/services/data/v{}/sobjects/{}/describe", sf_object_describe },
	{ "GET", "/services/data/v{}/sobjects/{}/updated", sf_changed },
	{ "GET", "/services/data/v{}/sobjects/{}/deleted", sf_changed },
	{ "GET", "/services/data/v{}/sobjects/{}/{}", sf_record_show },
	{ "PATCH", "/services/data/v{}/sobjects/{}/{}", sf_record_change },
	{ "DELETE", "/services/data/v{}/sobjects/{}/{}", sf_record_delete },
	{ "GET", "/services/data/v{}/sobjects/{}/{}/{}", sf_external_show },
	{ "PATCH", "/services/data/v{}/sobjects/{}/{}/{}", sf_upsert },
	{ "GET", "/services/data/v{}/limits", limits },
	{ "GET", "/services/data/v{}", resources },
	{ "GET", "/services/data", versions },
	{ "GET", "/services/oauth2/userinfo", identity },
	{ "GET", "/id/{}/{}", identity },
};

static bool version_is_served(const struct request *request, struct reply *reply)
{
	static const char base[] = "/services/data/v";
	if (!str_begins(request->path, base))
		return true;
	char version[16];
	const char *text = request->path + strlen(base);
	snprintf(version, sizeof(version), "%.*s", (int)strcspn(text, "/"), text);
	long number = strtol(version, NULL, 10);
	if (number >= 21 && number < OLDEST_VERSION)
		sf_error(reply, 410, "UNSUPPORTED_API_VERSION",
		         "The requested API version is retired");
	else if (!sf_version(version))
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
	else
		return true;
	return false;
}

void sf_dispatch(struct sandbox *box, struct request *request, struct reply *reply)
{
	bool has_body = strcmp(request->method, "POST") == 0 ||
	                strcmp(request->method, "PATCH") == 0;
	if (!version_is_served(request, reply))
		return;
	if (has_body && !request_is(request, "application/json", false)) {
		sf_error(reply, 415, "UNSUPPORTED_MEDIA_TYPE",
		         "Content type is not supported, application/json expected");
		return;
	}
	if (has_body && !request->json) {
		sf_error(reply, 400, "JSON_PARSER_ERROR", "the body is no JSON object");
		return;
	}
	switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request, reply)) {
	case ROUTE_SERVED: return;
	case ROUTE_OTHER_METHOD:
		sf_error(reply, 405, "METHOD_NOT_ALLOWED", "HTTP Method '%s' not allowed",
		         request->method);
		return;
	case ROUTE_NONE:
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
		return;
	}
}

void salesforce_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route open_routes[] = {
		{ "POST", "/services/oauth2/token", token },
		{ "POST", "/services/oauth2/revoke", revoke },
		{ "GET", "/services/data", versions },
	};
	if (strlen(request->target) > 16384) {
		sf_error(reply, 414, "URI_TOO_LONG", "The URI is longer than 16,384 bytes");
		return;
	}
	if (route_serve(open_routes, sizeof(open_routes) / sizeof(*open_routes), box, request,
	                reply) == ROUTE_SERVED)
		return;
	if (!token_is_accepted(box, request)) {
		sf_error(reply, 401, "INVALID_SESSION_ID", "Session expired or invalid");
		return;
	}
	box->salesforce_calls++;
	sf_dispatch(box, request, reply);
	reply_header(reply, "Sforce-Limit-Info", "api-usage=%lld/%d",
	             (long long)box->salesforce_calls, CALLS_PER_DAY);
}

void salesforce_refuse(struct sandbox *box, const struct request *request, int status,
                       struct reply *reply)
{
	(void)box;
	(void)request;
	switch (status) {
	case 400:
		sf_error(reply, 400, "REQUIRED_FIELD_MISSING",
		         "Required fields are missing: [CloseDate]");
		return;
	case 401: sf_error(reply, 401, "INVALID_SESSION_ID", "Session expired or invalid"); return;
	case 403:
		sf_error(reply, 403, "INSUFFICIENT_ACCESS",
		         "insufficient access rights on cross-reference id");
		return;
	case 404:
		sf_error(reply, 404, "NOT_FOUND", "The requested resource does not exist");
		return;
	case 429: /* Salesforce says it with 403 */
		sf_error(reply, 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.");
		return;
	case 503:
		sf_error(reply, 503, "SERVER_UNAVAILABLE", "The server is temporarily unavailable");
		return;
	default:
		sf_error(reply, status, "UNKNOWN_EXCEPTION",
		         "An unexpected error occurred. Please include this ErrorId if you contact "
		         "support: 1234567890-1 (sandbox)");
		return;
	}
}
