/* SPDX-License-Identifier: MIT */
/*
 * NetSuite SuiteTalk REST: the signature of token-based authentication is
 * computed and compared, never assumed; a nonce serves once.  SuiteQL has a
 * file of its own.
 */
#include "sandbox/sandbox_netsuite.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "base/mem.h"

enum { CLOCK_SKEW_S = 300, TOKEN_LIFE_S = 3600 };

static const char token_path[] = "/services/rest/auth/oauth2/v1/token";

static const char *title_of(int status)
{
	switch (status) {
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 415: return "Unsupported Media Type";
	case 429: return "Too Many Requests";
	case 503: return "Service Unavailable";
	default: return "Internal Server Error";
	}
}

void netsuite_error(struct reply *reply, int status, const char *code, const char *format, ...)
{
	char text[800];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *body = json_object(), *detail = json_object(), *details = json_array();
	json_put_str(body, "type", "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5");
	json_put_str(body, "title", title_of(status));
	json_put_int(body, "status", status);
	json_put_str(detail, "detail", text);
	json_put_str(detail, "o:errorCode", code);
	json_push(details, detail);
	json_put(body, "o:errorDetails", details);
	reply_json(reply, status, body);
	reply->content_type = "application/vnd.oracle.resource+json; type=error";
}

/* --- OAuth 1.0a ----------------------------------------------------------------- */

/* name=value pairs, encoded, ordered by the bytes of name, then value. */
struct parameters {
	char **at;
	size_t len;
};

static void parameter_add(struct parameters *all, const char *name, const char *value)
{
	struct buf pair;
	buf_init(&pair, MAX_BODY_BYTES);
	url_encode_put(str_of(name), &pair);
	/* Below every character of an encoded name, so that the order is by name first. */
	buf_put(&pair, "\x01");
	url_encode_put(str_of(value), &pair);
	all->at[all->len++] = buf_take(&pair);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *parameters_new(const struct pairs *oauth, const struct pairs *query)
{
	struct parameters all = { mem_grow(NULL, oauth->len + query->len + 1, sizeof(char *)), 0 };
	struct buf text;
	buf_init(&text, MAX_BODY_BYTES);
	for (size_t i = 0; i < oauth->len; i++)
		if (strcmp(oauth->at[i].name, "oauth_signature") != 0 &&
		    strcmp(oauth->at[i].name, "realm") != 0)
			parameter_add(&all, oauth->at[i].name, oauth->at[i].value);
	for (size_t i = 0; i < query->len; i++)
		parameter_add(&all, query->at[i].name, query->at[i].value);
	qsort(all.at, all.len, sizeof(char *), by_bytes);
	for (size_t i = 0; i < all.len; i++) {
		*strchr(all.at[i], '\x01') = '=';
		buf_printf(&text, "%s%s", i ? "&" : "", all.at[i]);
		free(all.at[i]);
	}
	free(all.at);
	return buf_take(&text);
}

/* scheme://host[:port]/path, host in lower case, without a default port. */
static void base_url_put(const char *url, struct buf *out)
{
	const char *host = strstr(url, "://");
	host = host ? host + 3 : url;
	const char *path = host + strcspn(host, "/?");
	struct buf plain;
	buf_init(&plain, MAX_BODY_BYTES);
	for (const char *c = url; c < path; c++) {
		char lower = (char)tolower((unsigned char)*c);
		buf_put_len(&plain, &lower, 1);
	}
	const char *port = str_begins(buf_str(&plain).ptr, "https:") ? ":443" : ":80";
	if (str_ends(buf_str(&plain).ptr, port))
		plain.len -= strlen(port);
	buf_put_len(&plain, path, strcspn(path, "?"));
	url_encode_put(buf_str(&plain), out);
	buf_release(&plain);
}

char *netsuite_signature_new(const char *method, const char *url, const struct pairs *oauth,
                             const char *consumer_secret, const char *token_secret)
{
	struct pairs query = { 0 };
	const char *question = strchr(url, '?');
	if (question && !url_form(str_of(question + 1), &query)) {
		pairs_release(&query);
		return NULL;
	}
	struct buf base, key, signature;
	unsigned char digest[SHA256_BYTES];
	buf_init(&base, MAX_BODY_BYTES);
	buf_init(&key, 4096);
	buf_init(&signature, 128);
	char *parameters = parameters_new(oauth, &query);
	buf_printf(&base, "%s&", method);
	base_url_put(url, &base);
	buf_put(&base, "&");
	url_encode_put(str_of(parameters), &base);
	url_encode_put(str_of(consumer_secret), &key);
	buf_put(&key, "&");
	url_encode_put(str_of(token_secret), &key);
	crypto_hmac_sha256(buf_str(&key), buf_str(&base), digest);
	crypto_base64_put((struct str){ (const char *)digest, SHA256_BYTES }, &signature);
	free(parameters);
	buf_release(&base);
	buf_release(&key);
	pairs_release(&query);
	return buf_take(&signature);
}

/* OAuth realm="..", oauth_nonce="..", ...: the values decoded. */
static bool oauth_header(const char *text, struct pairs *ret)
{
	while (*text && ret->len < 20) {
		text += strspn(text, " ,\t");
		size_t name_len = strcspn(text, "=");
		if (text[name_len] != '=' || text[name_len + 1] != '"')
			return false;
		const char *value = text + name_len + 2;
		size_t value_len = strcspn(value, "\"");
		struct buf decoded;
		buf_init(&decoded, value_len + 1);
		bool ok = value[value_len] == '"' &&
		          url_decode((struct str){ value, value_len }, false, &decoded);
		if (ok)
			pairs_add(ret, (struct str){ text, name_len }, buf_str(&decoded));
		buf_release(&decoded);
		if (!ok)
			return false;
		text = value + value_len + 1;
		text += strspn(text, " \t");
	}
	return *text == '\0';
}

static bool is_digits(const char *text)
{
	return *text && strlen(text) < 16 && text[strspn(text, "0123456789")] == '\0';
}

/* Nonces older than any acceptable timestamp need not be remembered. */
static bool nonce_is_new(struct sandbox *box, const char *nonce, int64_t now_s)
{
	const char *key;
	json_t *at;
	void *next;
	if (json_at(box->nonces, nonce))
		return false;
	if (json_object_size(box->nonces) >= MAX_KEPT) {
		json_object_foreach_safe(box->nonces, next, key,
		                         at) if (json_integer_value(at) < now_s - 2 * CLOCK_SKEW_S)
			json_object_del(box->nonces, key);
		if (json_object_size(box->nonces) >= MAX_KEPT)
			json_object_clear(box->nonces);
	}
	json_put_int(box->nonces, nonce, now_s);
	return true;
}

static const char *oauth_text(const struct pairs *oauth, const char *name)
{
	const char *value = pairs_get(oauth, name);
	return value ? value : "";
}

/* Why the signature is refused, or NULL. */
static const char *oauth_fault(struct sandbox *box, const struct request *request,
                               const struct pairs *oauth)
{
	const char *stamp = oauth_text(oauth, "oauth_timestamp"), *version;
	const char *nonce = oauth_text(oauth, "oauth_nonce");
	int64_t now_s = request->now_ms / 1000;
	if (strcmp(oauth_text(oauth, "realm"), NETSUITE_ACCOUNT) != 0)
		return "realm";
	if (strcmp(oauth_text(oauth, "oauth_consumer_key"), NETSUITE_CONSUMER_KEY) != 0)
		return "consumer_key_unknown";
	if (strcmp(oauth_text(oauth, "oauth_token"), NETSUITE_TOKEN_ID) != 0)
		return "token_rejected";
	if (strcmp(oauth_text(oauth, "oauth_signature_method"), "HMAC-SHA256") != 0)
		return "signature_method_rejected";
	version = pairs_get(oauth, "oauth_version");
	if (version && strcmp(version, "1.0") != 0)
		return "version_rejected";
	if (!is_digits(stamp) || llabs(strtoll(stamp, NULL, 10) - now_s) > CLOCK_SKEW_S)
		return "timestamp_refused";
	char *base = request_base_new(request);
	char *url = mem_format("%s%s", base, request->target);
	char *want = netsuite_signature_new(request->method, url, oauth, NETSUITE_CONSUMER_SECRET,
	                                    NETSUITE_TOKEN_SECRET);
	bool same = want &&
	            crypto_equal(str_of(want), str_of(oauth_text(oauth, "oauth_signature")));
	free(base);
	free(url);
	free(want);
	if (!same)
		return "signature_invalid";
	if (strlen(nonce) < 6 || strlen(nonce) > 64 || !nonce_is_new(box, nonce, now_s))
		return "nonce_used";
	return NULL;
}

static void login_refused(struct reply *reply, const char *fault)
{
	netsuite_error(reply, 401, "INVALID_LOGIN",
	               "Invalid login attempt. For more details, see the Login Audit Trail.");
	reply_header(reply, "WWW-Authenticate",
	             "OAuth realm=\"" NETSUITE_ACCOUNT
	             "\", error=\"%s\", error_description=\"Invalid login attempt.\"",
	             fault);
}

static bool login(struct sandbox *box, struct request *request, struct reply *reply)
{
	const char *given = request_header(request, "Authorization");
	const char *bearer = request_bearer(request), *fault = "token_rejected";
	if (bearer) {
		bool good = strcmp(bearer, NETSUITE_TOKEN) == 0 ||
		            token_is_good(box, SYSTEM_NETSUITE, "ns.", bearer, request->now_ms,
		                          TOKEN_LIFE_S);
		fault = good ? NULL : "invalid_token";
	} else if (strncasecmp(given, "OAuth ", 6) == 0) {
		struct pairs oauth = { 0 };
		fault = oauth_header(given + 6, &oauth) ? oauth_fault(box, request, &oauth)
		                                        : "parameter_rejected";
		pairs_release(&oauth);
	}
	request->auth = fault ? AUTH_REFUSED : AUTH_ACCEPTED;
	if (fault)
		login_refused(reply, fault);
	return !fault;
}

/* --- OAuth 2.0, machine to machine ------------------------------------------------- */

static const char *assertion_fault(const struct sandbox *box, const struct request *request,
                                   const char *assertion)
{
	static const char *const algorithms[] = { "PS256", "PS384", "PS512",
		                                  "ES256", "ES384", "ES512" };
	json_t *header, *claims = token_claims_new(box, assertion, &header);
	const char *algorithm = json_str(header, "alg", ""), *fault = NULL;
	char *base = request_base_new(request);
	char *audience = mem_format("%s%s", base, token_path);
	int64_t now_s = request->now_ms / 1000, expires = json_int(claims, "exp", 0);
	bool known = false;
	for (size_t i = 0; i < sizeof(algorithms) / sizeof(*algorithms); i++)
		known |= strcmp(algorithms[i], algorithm) == 0;
	if (!claims || !known || !*json_str(header, "kid", ""))
		fault = "invalid_client";
	else if (strcmp(json_str(claims, "iss", ""), NETSUITE_CLIENT_ID) != 0)
		fault = "invalid_client";
	else if (strcmp(json_str(claims, "aud", ""), audience) != 0 ||
	         !strstr(json_str(claims, "scope", ""), "rest_webservices"))
		fault = "invalid_grant";
	else if (expires < now_s || expires > json_int(claims, "iat", now_s) + 3600)
		fault = "invalid_grant";
	free(base);
	free(audience);
	json_decref(header);
	json_decref(claims);
	return fault;
}

static void token(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply)
{
	(void)parts;
	struct pairs form;
	const char *fault = "invalid_request";
	if (request_form(request, &form)) {
		const char *grant = pairs_get(&form, "grant_type");
		const char *type = pairs_get(&form, "client_assertion_type");
		if (!grant || strcmp(grant, "client_credentials") != 0)
			fault = "unsupported_grant_type";
		else if (type && strcmp(type, "urn:ietf:params:oauth:client-assertion-type:"
		                              "jwt-bearer") == 0)
			fault = assertion_fault(box, request, pairs_get(&form, "client_assertion"));
	}
	pairs_release(&form);
	request->auth = fault ? AUTH_REFUSED : AUTH_ACCEPTED;
	json_t *body = json_object();
	char *issued = token_new(box, SYSTEM_NETSUITE, "ns.", request->now_ms);
	if (fault) {
		json_put_str(body, "error", fault);
	} else {
		json_put_str(body, "access_token", issued);
		json_put_int(body, "expires_in", TOKEN_LIFE_S);
		json_put_str(body, "token_type", "bearer");
	}
	free(issued);
	reply_json(reply, fault ? 400 : 200, body);
}

/* --- serving -------------------------------------------------------------------- */

void netsuite_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "POST", "/services/rest/query/v1/suiteql", netsuite_suiteql },
		{ "GET", "/services/rest/record/v1/metadata-catalog", netsuite_catalog },
		{ "GET", "/services/rest/record/v1/{}", netsuite_record_list },
		{ "POST", "/services/rest/record/v1/{}", netsuite_record_create },
		{ "GET", "/services/rest/record/v1/{}/{}", netsuite_record_show },
		{ "PATCH", "/services/rest/record/v1/{}/{}", netsuite_record_change },
	};
	static const struct route open_routes[] = { { "POST", token_path, token } };
	if (route_serve(open_routes, 1, box, request, reply) == ROUTE_SERVED)
		return;
	if (!login(box, request, reply))
		return;
	switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request, reply)) {
	case ROUTE_SERVED: return;
	case ROUTE_OTHER_METHOD:
		netsuite_error(reply, 405, "METHOD_NOT_ALLOWED", "The method %s is not allowed.",
		               request->method);
		return;
	case ROUTE_NONE:
		netsuite_error(reply, 404, "NONEXISTENT_ENDPOINT", "The endpoint does not exist.");
		return;
	}
}

void netsuite_refuse(struct sandbox *box, const struct request *request, int status,
                     struct reply *reply)
{
	(void)box;
	(void)request;
	switch (status) {
	case 400:
		netsuite_error(
			reply, 400, "INVALID_PARAMETER",
			"Invalid search query. Search error occurred: Invalid or unsupported "
			"search");
		return;
	case 401: login_refused(reply, "token_rejected"); return;
	case 403:
		netsuite_error(
			reply, 403, "INSUFFICIENT_PERMISSION",
			"Permission Violation: You need the 'REST Web Services' permission.");
		return;
	case 404:
		netsuite_error(reply, 404, "RCRD_DSNT_EXIST", "That record does not exist.");
		return;
	case 429:
		netsuite_error(reply, 429, "CONCURRENCY_LIMIT_EXCEEDED",
		               "Concurrent request limit exceeded. Request blocked.");
		return;
	default:
		netsuite_error(reply, status, "UNEXPECTED_ERROR",
		               "An unexpected error occurred. Error ID: sandbox");
		return;
	}
}
