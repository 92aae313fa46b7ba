/* SPDX-License-Identifier: MIT */
/*
 * The CLM: DocuSign's login and the table of paths.  Envelopes and CLM documents
 * have files of their own.
 */
#include "sandbox/sandbox_clm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define TOKEN_PREFIX "eyJ0eXAiOiJNVCJ9."

enum { TOKEN_LIFE_S = 3600, CALLS_PER_HOUR = 3000 };

void clm_error(struct reply *reply, int status, const char *code, const char *message)
{
	json_t *body = json_object();
	json_put_str(body, "errorCode", code);
	json_put_str(body, "message", message);
	reply_json(reply, status, body);
}

/* --- login ---------------------------------------------------------------------- */

static const char *assertion_fault(const struct sandbox *box, const struct request *request,
                                   const char *assertion)
{
	json_t *header, *claims = token_claims_new(box, assertion, &header);
	const char *audience = json_str(claims, "aud", ""), *fault = NULL;
	char *base = request_base_new(request);
	int64_t now_s = request->now_ms / 1000, expires = json_int(claims, "exp", 0);
	bool known_audience = strcmp(audience, "account-d.docusign.com") == 0 ||
	                      strcmp(audience, "account.docusign.com") == 0 ||
	                      strcmp(audience, strstr(base, "://") + 3) == 0;
	if (!claims || strcmp(json_str(header, "alg", ""), "RS256") != 0 || !known_audience)
		fault = "invalid_grant";
	else if (strcmp(json_str(claims, "iss", ""), CLM_INTEGRATION_KEY) != 0)
		fault = "issuer_not_found";
	else if (strcmp(json_str(claims, "sub", ""), CLM_USER_ID) != 0)
		fault = "user_not_found";
	else if (!strstr(json_str(claims, "scope", ""), "signature"))
		fault = "consent_required";
	else if (expires < now_s || expires > now_s + 3700)
		fault = "invalid_grant";
	free(base);
	json_decref(header);
	json_decref(claims);
	return fault;
}

static void token(struct sandbox *box, struct request *request, const struct parts *parts,
                  struct reply *reply)
{
	(void)parts;
	struct pairs form;
	const char *fault = "unsupported_grant_type";
	if (request_form(request, &form)) {
		const char *grant = pairs_get(&form, "grant_type");
		if (grant && strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") == 0)
			fault = assertion_fault(box, request, pairs_get(&form, "assertion"));
	}
	pairs_release(&form);
	request->auth = fault ? AUTH_REFUSED : AUTH_ACCEPTED;
	json_t *body = json_object();
	char *issued = token_new(box, SYSTEM_CLM, TOKEN_PREFIX, request->now_ms);
	if (fault) {
		json_put_str(body, "error", fault);
	} else {
		json_put_str(body, "access_token", issued);
		json_put_str(body, "token_type", "Bearer");
		json_put_int(body, "expires_in", TOKEN_LIFE_S);
		json_put_str(body, "scope", "signature impersonation");
	}
	free(issued);
	reply_json(reply, fault ? 400 : 200, body);
}

static void userinfo(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	(void)box;
	(void)parts;
	json_t *body = json_object(), *accounts = json_array(), *account = json_object();
	char *base = request_base_new(request);
	json_put_str(account, "account_id", CLM_ACCOUNT);
	json_put(account, "is_default", json_true());
	json_put_str(account, "account_name", "Gangway Sandbox");
	json_put_str(account, "base_uri", base);
	json_push(accounts, account);
	json_put_str(body, "sub", CLM_USER_ID);
	json_put_str(body, "name", "Integration User");
	json_put_str(body, "email", "integration@gangway.example");
	json_put(body, "accounts", accounts);
	reply_json(reply, 200, body);
	free(base);
}

static void account_show(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	(void)box;
	(void)request;
	if (!clm_account_is_ours(parts, reply))
		return;
	json_t *body = json_object();
	json_put_str(body, "accountIdGuid", CLM_ACCOUNT);
	json_put_str(body, "accountName", "Gangway Sandbox");
	json_put_str(body, "planName", "Sandbox");
	json_put_str(body, "isDowngrade", "false");
	json_put_str(body, "suspensionStatus", "");
	reply_json(reply, 200, body);
}

static void put_limits(const struct request *request, struct reply *reply)
{
	reply_header(reply, "X-RateLimit-Limit", "%d", CALLS_PER_HOUR);
	reply_header(reply, "X-RateLimit-Remaining", "%d", CALLS_PER_HOUR - 1);
	reply_header(reply, "X-RateLimit-Reset", "%lld",
	             (long long)(request->now_ms / 3600000 + 1) * 3600);
	reply_header(reply, "X-BurstLimit-Limit", "500");
	reply_header(reply, "X-BurstLimit-Remaining", "499");
}

void clm_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route open_routes[] = { { "POST", "/oauth/token", token } };
	static const struct route routes[] = {
		{ "GET", "/oauth/userinfo", userinfo },
		{ "GET", "/restapi/v2.1/accounts/{}/envelopes", clm_envelope_list },
		{ "GET", "/restapi/v2.1/accounts/{}/envelopes/{}", clm_envelope_show },
		{ "POST", "/restapi/v2.1/accounts/{}/envelopes", clm_envelope_create },
		{ "PUT", "/restapi/v2.1/accounts/{}/envelopes/status", clm_envelope_statuses },
		{ "PUT", "/restapi/v2.1/accounts/{}/envelopes/{}", clm_envelope_change },
		{ "PUT", "/restapi/v2.1/accounts/{}/envelopes/{}/recipients",
		  clm_recipients_change },
		{ "GET", "/restapi/v2.1/accounts/{}/envelopes/{}/documents", clm_files_list },
		{ "GET", "/restapi/v2.1/accounts/{}/envelopes/{}/documents/{}", clm_file_show },
		{ "POST", "/restapi/v2.1/accounts/{}/envelopes/{}/views/recipient",
		  clm_view_create },
		{ "GET", "/restapi/v2.1/accounts/{}", account_show },
		{ "GET", "/restapi/v2.1/accounts/{}/envelopes/{}/recipients", clm_recipients_show },
		{ "GET", "/restapi/v2.1/accounts/{}/envelopes/{}/custom_fields", clm_fields_show },
		{ "GET", "/v2/{}/documents/{}", clm_document_show },
		{ "PATCH", "/v2/{}/documents/{}", clm_document_change },
		{ "POST", "/v2/{}/documentsearchtasks", clm_document_search },
		{ "POST", "/v2/{}/workflows", clm_workflow_start },
		{ "GET", "/v2/{}/workflows/{}", clm_workflow_show },
	};
	if (route_serve(open_routes, 1, box, request, reply) == ROUTE_SERVED)
		return;
	const char *given = request_bearer(request);
	bool good = given && (strcmp(given, CLM_TOKEN) == 0 ||
	                      token_is_good(box, SYSTEM_CLM, TOKEN_PREFIX, given, request->now_ms,
	                                    TOKEN_LIFE_S));
	request->auth = good ? AUTH_ACCEPTED : AUTH_REFUSED;
	if (!good) {
		clm_error(reply, 401,
		          given ? "AUTHORIZATION_INVALID_TOKEN" : "USER_AUTHENTICATION_FAILED",
		          given ? "The access token provided is expired, revoked or malformed."
		                : "One or both of Username and Password are invalid.");
		return;
	}
	switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request, reply)) {
	case ROUTE_SERVED: put_limits(request, reply); return;
	case ROUTE_OTHER_METHOD:
		clm_error(reply, 405, "METHOD_NOT_ALLOWED", "The method is not allowed here.");
		return;
	case ROUTE_NONE:
		clm_error(reply, 404, "RESOURCE_NOT_FOUND",
		          "The URL provided does not resolve to a resource.");
		return;
	}
}

static void refuse_limit(const struct request *request, struct reply *reply)
{
	clm_error(reply, 429, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED",
	          "The maximum number of hourly API invocations has been exceeded.");
	reply_header(reply, "X-RateLimit-Limit", "%d", CALLS_PER_HOUR);
	reply_header(reply, "X-RateLimit-Remaining", "0");
	/* A second ahead, as if the hour were about to end: tests need not wait for it. */
	reply_header(reply, "X-RateLimit-Reset", "%lld", (long long)(request->now_ms / 1000 + 1));
}

void clm_refuse(struct sandbox *box, const struct request *request, int status, struct reply *reply)
{
	(void)box;
	if (str_begins(request->path, "/v2/")) {
		clm_document_refuse(request, status, reply);
		return;
	}
	switch (status) {
	case 400:
		clm_error(reply, 400, "INVALID_REQUEST_PARAMETER",
		          "The request contained at least one invalid parameter.");
		return;
	case 401:
		clm_error(reply, 401, "AUTHORIZATION_INVALID_TOKEN",
		          "The access token provided is expired, revoked or malformed.");
		return;
	case 403:
		clm_error(reply, 403, "USER_LACKS_PERMISSIONS",
		          "This user lacks sufficient permissions to access this resource.");
		return;
	case 404: /* a missing envelope is a 400 */
		clm_error(reply, 400, "ENVELOPE_DOES_NOT_EXIST",
		          "The envelope specified does not exist in the account.");
		return;
	case 429: refuse_limit(request, reply); return;
	default:
		clm_error(reply, status, "UNSPECIFIED_ERROR", "An unspecified error has occurred.");
		return;
	}
}
