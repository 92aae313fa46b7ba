/* SPDX-License-Identifier: MIT */
/*
 * The API against a running server: what the routes answer, who may (every
 * route by every role), and that the OpenAPI document says what the table says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

static const char open_config[] =
	"{\"anonymous\":[\"operator\",\"approver\",\"admin\"],\"per_address\":0}";

/* Status and code of one request; code NULL: not looked at. */
static void expect(struct served *served, const char *method, const char *path, const char *more,
                   const char *body, int status, const char *code)
{
	struct reply reply = client_call(served->port, method, path, NULL, more, body);
	CHECK_MSG(reply.status == status && (!code || strcmp(reply_code(&reply), code) == 0),
	          "%s %s %.60s: %d %s", method, path, body ? body : "", reply.status,
	          reply_code(&reply));
	if (status >= 400)
		CHECK_MSG(strstr(reply.text, "application/problem+json") &&
		                  json_str(reply.json, "title", NULL) &&
		                  json_int(reply.json, "status", 0) == status,
		          "and it is a problem (RFC 9457)");
	reply_release(&reply);
}

static char *start(struct served *served, const char *path, const char *body, int status)
{
	struct reply reply = client_call(served->port, "POST", path, NULL, NULL, body);
	CHECK_MSG(reply.status == status, "POST %s %.70s: %d", path, body, reply.status);
	char *ret = mem_dup_str(json_str(reply.json, "id", ""));
	reply_release(&reply);
	return ret;
}

static void path_of(char ret[200], const char *before, const char *id, const char *after)
{
	snprintf(ret, 200, "%s%s%s", before, id, after);
}

/* --- runs ---------------------------------------------------------------------------------- */

static void check_starts(struct served *served)
{
	struct reply reply = client_call(
		served->port, "POST", "/v1/runs?wait=20", NULL, NULL,
		"{\"graph\":\"echo\",\"input\":{\"say\":\"hello\"},\"correlation_id\":\"c1\"}");
	CHECK(reply.status == 200);
	CHECK_STR(json_str(reply.json, "status", ""), "ended");
	CHECK_STR(json_str(json_at(reply.json, "result"), "said", ""), "hello");
	CHECK(strstr(reply.text, "\r\nLocation: /v1/runs/"));
	char *id = mem_dup_str(json_str(reply.json, "id", ""));
	reply_release(&reply);

	char *again = start(
		served, "/v1/runs?wait=20",
		"{\"graph\":\"echo\",\"input\":{\"say\":\"hello\"},\"correlation_id\":\"c1\"}",
		200);
	CHECK_STR(again, id);
	free(again);
	again = start(
		served, "/v1/runs",
		"{\"graph\":\"echo\",\"input\":{\"say\":\"hello\"},\"correlation_id\":\"c1\"}",
		200);
	CHECK_STR(again, id);
	free(again);
	expect(served, "POST", "/v1/runs", NULL,
	       "{\"graph\":\"echo\",\"input\":{\"say\":\"else\"},\"correlation_id\":\"c1\"}", 409,
	       "run.conflict");

	reply = client_call(served->port, "POST", "/v1/runs", NULL, "Idempotency-Key: key-7\r\n",
	                    "{\"graph\":\"echo\"}");
	CHECK(reply.status == 202);
	CHECK_STR(json_str(reply.json, "correlation_id", ""), "key-7");
	reply_release(&reply);
	reply = client_call(served->port, "POST", "/v1/runs", NULL, "Idempotency-Key: key-7\r\n",
	                    "{\"graph\":\"echo\"}");
	CHECK_MSG(reply.status == 200 && strstr(reply.text, "Idempotent-Replayed: true"),
	          "the same key answers the same run");
	reply_release(&reply);

	char path[200];
	path_of(path, "/v1/runs/", id, "");
	reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK(reply.status == 200);
	CHECK_STR(json_str(json_at(reply.json, "data"), "say", ""), "hello");
	reply_release(&reply);
	path_of(path, "/v1/runs/", id, "/journal");
	reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK(reply.status == 200 && json_array_size(json_at(reply.json, "records")) >= 1);
	reply_release(&reply);
	path_of(path, "/v1/runs/", id, "/replay");
	reply = client_call(served->port, "POST", path, NULL, NULL, NULL);
	CHECK(reply.status == 200 && json_truth(reply.json, "ok", false));
	reply_release(&reply);
	path_of(path, "/v1/audit/", id, "/verify");
	reply = client_call(served->port, "POST", path, NULL, NULL, "{}");
	CHECK(reply.status == 200 && json_truth(reply.json, "ok", false));
	reply_release(&reply);
	path_of(path, "/v1/audit/", id, "");
	expect(served, "GET", path, NULL, NULL, 200, NULL);
	path_of(path, "/v1/runs/", id, "/artifacts");
	expect(served, "GET", path, NULL, NULL, 200, NULL);
	path_of(path, "/v1/runs/", id, "/artifacts/none.md");
	expect(served, "GET", path, NULL, NULL, 404, "artifact.absent");
	path_of(path, "/v1/runs/", id, "/repin");
	expect(served, "POST", path, NULL, "{}", 409, "run.ended");
	free(id);
}

static void check_waiting(struct served *served)
{
	char path[200];
	/* It will not end by itself: the time to wait passes. */
	char *id = start(served, "/v1/runs?wait=1", "{\"graph\":\"idle\"}", 202);
	path_of(path, "/v1/runs/", id, "/signal");
	expect(served, "POST", path, NULL, "{\"event\":\"tick\",\"id\":\"one\"}", 200, NULL);
	expect(served, "POST", path, NULL, "{\"event\":\"tick\",\"id\":\"one\"}", 200, NULL);
	expect(served, "POST", path, "Idempotency-Key: two\r\n", "{\"event\":\"tick\"}", 200, NULL);
	expect(served, "POST", path, NULL, "{\"event\":\"done.invoke.x\"}", 422, "signal.reserved");
	expect(served, "POST", path, NULL, "{\"event\":\"error.x\"}", 422, "signal.reserved");
	expect(served, "POST", path, NULL, "{}", 422, "body.missing_member");
	expect(served, "POST", path, NULL, "{\"event\":\"go\"}", 200, NULL);
	path_of(path, "/v1/runs/", id, "");
	struct reply reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK_STR(json_str(reply.json, "status", ""), "ended");
	CHECK_MSG(json_int(json_at(reply.json, "result"), "n", -1) == 2,
	          "each signal's id was taken once");
	reply_release(&reply);
	free(id);

	id = start(served, "/v1/runs", "{\"graph\":\"idle\"}", 202);
	path_of(path, "/v1/runs/", id, "/cancel");
	reply = client_call(served->port, "POST", path, NULL, NULL, "{\"reason\":\"enough\"}");
	CHECK(reply.status == 200);
	CHECK_STR(json_str(reply.json, "status", ""), "cancelled");
	reply_release(&reply);
	free(id);
}

static void check_lists(struct served *served)
{
	struct reply reply = client_call(served->port, "GET", "/v1/runs?graph=echo&where.say=hello",
	                                 NULL, NULL, NULL);
	CHECK(json_array_size(json_at(reply.json, "runs")) == 1);
	reply_release(&reply);
	reply = client_call(served->port, "GET", "/v1/runs?limit=1", NULL, NULL, NULL);
	int64_t next = json_int(reply.json, "next", 0);
	const char *newest = json_str(json_array_get(json_at(reply.json, "runs"), 0), "id", "");
	CHECK(json_array_size(json_at(reply.json, "runs")) == 1 && next > 0);
	char path[200], number[32];
	snprintf(number, sizeof(number), "%lld", (long long)next);
	path_of(path, "/v1/runs?limit=1&cursor=", number, "");
	struct reply second = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK(json_array_size(json_at(second.json, "runs")) == 1 &&
	      strcmp(newest, json_str(json_array_get(json_at(second.json, "runs"), 0), "id", "")) !=
	              0);
	reply_release(&second);
	reply_release(&reply);
	expect(served, "GET", "/v1/runs?status=running", NULL, NULL, 200, NULL);
	expect(served, "GET", "/v1/runs?status=odd", NULL, NULL, 422, "run.status");
	expect(served, "GET", "/v1/runs?since=2020-01-01&until=2999-01-01T00:00:00Z", NULL, NULL,
	       200, NULL);
	expect(served, "GET", "/v1/runs?since=yesterday", NULL, NULL, 400, "http.query");
	expect(served, "GET", "/v1/runs?limit=0", NULL, NULL, 400, "http.query");
	expect(served, "GET", "/v1/runs?limit=-1", NULL, NULL, 400, "http.query");
	expect(served, "GET", "/v1/runs?colour=red", NULL, NULL, 400, "http.query");
	expect(served, "GET", "/v1/runs?limit=1&limit=2", NULL, NULL, 400, "http.framing");
	expect(served, "GET", "/v1/graphs", NULL, NULL, 200, NULL);
	expect(served, "GET", "/v1/plugins", NULL, NULL, 200, NULL);
	expect(served, "GET", "/v1/connections", NULL, NULL, 200, NULL);
}

static void check_bodies(struct served *served)
{
	static const char *const syntax[] = {
		"{",
		"{\"graph\":\"echo\",\"graph\":\"echo\"}",
		"{\"graph\":1e400}",
		"{\"graph\":\"\\ud800\"}",
		"{\"graph\":\"echo\"} x",
		"\xef\xbb\xbf{\"graph\":\"echo\"}",
		"{\"graph\":\"\xc0\xaf\"}",
		"{\"input\":{\"x\":9223372036854775808}}",
		"{\"input\":{\"x\":-0}}",
		"{\"input\":{\"x\":NaN}}",
	};
	for (size_t i = 0; i < sizeof(syntax) / sizeof(*syntax); i++)
		expect(served, "POST", "/v1/runs", NULL, syntax[i], 400, NULL);
	char deep[400] = "{\"graph\":\"echo\",\"input\":{\"x\":";
	memset(deep + strlen(deep), '[', 100);
	expect(served, "POST", "/v1/runs", NULL, deep, 413, "json.depth");
	expect(served, "POST", "/v1/runs", NULL, "[]", 422, "body.type");
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":1}", 422, "body.type");
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"input\":[]}", 422,
	       "body.type");
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"by\":\"root\"}", 422,
	       "body.unknown_member");
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"role\":\"admin\"}", 422,
	       "body.unknown_member");
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":\"absent\"}", 422, "graph.absent");
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":\"../echo\"}", 422, NULL);
	expect(served, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"correlation_id\":\"a b\"}",
	       422, "run.correlation_id");
	expect(served, "POST", "/v1/runs", "Content-Type: text/plain\r\n", "{\"graph\":\"echo\"}",
	       415, "http.content_type");
	expect(served, "POST", "/v1/runs", "Content-Type: application/jsonx\r\n",
	       "{\"graph\":\"echo\"}", 415, "http.content_type");
	expect(served, "POST", "/v1/runs", "Content-Type: application/json; charset=utf-8\r\n",
	       "{\"graph\":\"echo\"}", 202, NULL);
	expect(served, "POST", "/v1/runs?wait=301", NULL, "{\"graph\":\"echo\"}", 400,
	       "http.query");
	expect(served, "POST", "/v1/runs?wait=1e9", NULL, "{\"graph\":\"echo\"}", 400,
	       "http.query");
	expect(served, "POST", "/v1/runs", "Origin: https://evil.example\r\n",
	       "{\"graph\":\"echo\"}", 403, "http.cross_site");
	expect(served, "POST", "/v1/runs", "Sec-Fetch-Site: cross-site\r\n", "{\"graph\":\"echo\"}",
	       403, "http.cross_site");
	expect(served, "GET", "/v1/runs/nope", NULL, NULL, 404, "run.absent");
	expect(served, "GET", "/v1/runs/nope/journal", NULL, NULL, 404, "run.absent");
	expect(served, "GET", "/v1/runs/nope/events", NULL, NULL, 404, "run.absent");
	expect(served, "POST", "/v1/runs/nope/cancel", NULL, "{}", 404, "run.absent");
	expect(served, "POST", "/v1/tasks/nope.1/approve", NULL, "{}", 404, NULL);
	expect(served, "GET", "/v1/nothing", NULL, NULL, 404, "http.path");
	expect(served, "PUT", "/v1/runs", NULL, "{}", 405, "http.method");
	expect(served, "GET", "/v1/runs/x/cancel", NULL, NULL, 405, "http.method");
	expect(served, "POST", "/webhook/none", NULL, "{}", 404, "http.path");
}

/* --- people ----------------------------------------------------------------------------------- */

static char *open_task(struct served *served, const char *run)
{
	char path[200];
	path_of(path, "/v1/tasks?status=open&run=", run, "");
	struct reply reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	char *ret =
		mem_dup_str(json_str(json_array_get(json_at(reply.json, "tasks"), 0), "id", ""));
	CHECK_MSG(*ret, "there is an open task");
	reply_release(&reply);
	return ret;
}

static void check_tasks(struct served *served)
{
	char path[200], approver[SERVE_TOKEN_BYTES], self[SERVE_TOKEN_BYTES];
	served_token(served, "approver", "ann", false, approver);
	served_token(served, "approver", "bob", false, self);
	char *run = start(served, "/v1/runs?wait=20",
	                  "{\"graph\":\"ask\",\"input\":{\"requested_by\":\"bob\"}}", 200);
	char *task = open_task(served, run);
	path_of(path, "/v1/tasks/", task, "/complete");
	expect(served, "POST", path, NULL, "{\"outcome\":\"approved\"}", 422, "task.outcome");
	expect(served, "POST", path, NULL, "{}", 422, "task.outcome");
	path_of(path, "/v1/tasks/", task, "/approve");
	struct reply reply = client_call(served->port, "POST", path, self, NULL, "{}");
	CHECK_MSG(reply.status == 403 && strcmp(reply_code(&reply), "task.self_approval") == 0,
	          "who asked may not approve: %d %s", reply.status, reply_code(&reply));
	reply_release(&reply);
	reply = client_call(served->port, "POST", path, approver, NULL,
	                    "{\"shown_sha256\":\"another\"}");
	CHECK_MSG(reply.status == 409, "what was shown has changed");
	reply_release(&reply);
	reply = client_call(served->port, "POST", path, approver, NULL, "{\"comment\":\"fine\"}");
	CHECK(reply.status == 200);
	reply_release(&reply);
	reply = client_call(served->port, "POST", path, approver, NULL, "{\"comment\":\"fine\"}");
	CHECK_MSG(reply.status == 409 || reply.status == 200, "a second click does nothing: %d",
	          reply.status);
	reply_release(&reply);
	path_of(path, "/v1/runs/", run, "");
	reply = client_call(served->port, "GET", path, NULL, NULL, NULL);
	CHECK_STR(json_str(json_at(reply.json, "result"), "outcome", ""), "approved");
	CHECK_STR(json_str(json_at(reply.json, "result"), "by", ""), "ann");
	reply_release(&reply);
	free(task);
	free(run);
}

/* --- events for sessions ------------------------------------------------------------------ */

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static int post_event(struct served *served, const char *token, const char *session,
                      const char *more, const char *body)
{
	char path[200];
	path_of(path, "/v1/scxml/", session, "");
	struct reply reply = client_call(served->port, "POST", path, token, more, body);
	CHECK_MSG(reply.status >= 400 || !json_at(reply.json, "id"),
	          "who sends is told nothing about the run");
	int ret = reply.status;
	reply_release(&reply);
	return ret;
}

/* SCXML C.2: the inbound door of the BasicHTTP event processor. */
static void check_session_posts(void)
{
	struct served served;
	char token[SERVE_TOKEN_BYTES], operator[SERVE_TOKEN_BYTES], path[200];
	served_start(&served, "{\"per_address\":0}");
	served_token(&served, "sender", "other-system", false, token);
	served_token(&served, "operator", "otto", true, operator);
	struct reply reply = client_call(served.port, "POST", "/v1/runs", operator, NULL,
	                                 "{\"graph\":\"door\"}");
	char *run = mem_dup_str(json_str(reply.json, "id", ""));
	reply_release(&reply);
	CHECK(post_event(&served, operator, run, FORM, "_scxmleventname=go") == 403);
	CHECK(post_event(&served, token, "nobody", FORM, "_scxmleventname=go") == 404);
	CHECK(post_event(&served, token, run, FORM, "_scxmleventname=done.invoke.x") == 422);
	CHECK(post_event(&served, token, run, FORM, "_scxmleventname=error") == 422);
	CHECK(post_event(&served, token, run, FORM, "a=\xff") == 400);
	CHECK(post_event(&served, token, run, "Content-Type: application/json\r\n", "{") == 400);
	CHECK(post_event(&served, token, run, FORM, "_scxmleventname=go&text=a%20b+c&n=1") == 202);
	CHECK(post_event(&served, token, run, "Content-Type: application/json\r\n", "{\"n\":2}") ==
	      202);
	CHECK(post_event(&served, token, run, "Content-Type: text/plain\r\n", "plain") == 202);
	path_of(path, "/v1/runs/", run, "");
	reply = client_call(served.port, "GET", path, operator, NULL, NULL);
	char *result = json_canon(json_at(reply.json, "result"));
	CHECK_STR(result, "{\"all\":\"go a b c 1; HTTP.POST 2; HTTP.POST plain; \"}");
	reply_release(&reply);
	free(result);
	free(run);
	served_stop(&served);
}

/* --- who may ---------------------------------------------------------------------------------- */

/* RELIABILITY 7.3, written down once more: g is "by grant". */
static const struct {
	enum permission permission;
	const char
		*may[ROLE_COUNT]; /* viewer, operator, approver, analyst, engineer, admin, sender */
} wanted[] = {
	{ MAY_READ, { "x", "x", "x", "x", "x", "x", "-" } },
	{ MAY_DATA, { "-", "g", "-", "g", "-", "g", "-" } },
	{ MAY_RUN, { "-", "x", "-", "-", "-", "-", "-" } },
	{ MAY_APPROVE, { "-", "-", "x", "-", "-", "-", "-" } },
	{ MAY_COMPLETE, { "-", "x", "x", "-", "-", "-", "-" } },
	{ MAY_AUDIT, { "-", "x", "-", "-", "-", "x", "-" } },
	{ MAY_TOKENS, { "-", "-", "-", "-", "-", "x", "-" } },
	{ MAY_SEND, { "-", "-", "-", "-", "-", "-", "x" } },
};

static char wanted_of(enum permission permission, int role)
{
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (wanted[i].permission == permission)
			return wanted[i].may[role][0];
	return '?';
}

/* The route's path with names that do not exist. */
static void fill_path(const struct route *route, char ret[200])
{
	size_t len = 0;
	for (const char *c = route->path; *c && len < 190; c++) {
		if (*c != '{') {
			ret[len++] = *c;
			continue;
		}
		ret[len++] = 'q';
		c += strcspn(c, "}");
	}
	ret[len] = '\0';
}

static void check_role(struct served *served, const struct route *route, int role, bool has_grant)
{
	char path[200], token[SERVE_TOKEN_BYTES];
	char want = wanted_of(route->permission, role);
	bool may = want == 'x' || (want == 'g' && has_grant);
	served_token(served, role_name(role), "someone", has_grant, token);
	fill_path(route, path);
	struct reply reply = client_call(served->port, route->method, path, token, NULL,
	                                 route->body_max > 0 ? "{\"q\":1}" : NULL);
	CHECK_MSG(want != '?', "%s %s has a row in the matrix", route->method, route->path);
	CHECK_MSG(may ? reply.status != 403 && reply.status != 401 : reply.status == 403,
	          "%s%s %s %s: %d", role_name(role), has_grant ? " with grant" : "", route->method,
	          route->path, reply.status);
	CHECK_MSG(reply.status < 500, "and no 5xx");
	reply_release(&reply);
}

static void check_roles(void)
{
	struct served served;
	served_start(&served, "{\"per_address\":0}");
	for (size_t i = 0; i < serve_route_count; i++) {
		const struct route *route = &serve_routes[i];
		char path[200];
		fill_path(route, path);
		struct reply reply = client_call(served.port, route->method, path, NULL, NULL,
		                                 NULL);
		if (route->permission == MAY_ANYONE)
			CHECK_MSG(reply.status == 200, "%s is open", route->path);
		else if (route->permission == MAY_SIGNED)
			CHECK_MSG(reply.status == 404, "%s is open to signatures of known sources",
			          route->path);
		else
			CHECK_MSG(reply.status == 401 &&
			                  strstr(reply.text, "WWW-Authenticate: Bearer"),
			          "%s %s is closed without a token: %d", route->method, route->path,
			          reply.status);
		reply_release(&reply);
		if (route->permission == MAY_ANYONE || route->permission == MAY_SIGNED)
			continue;
		for (int role = 0; role < ROLE_COUNT; role++) {
			check_role(&served, route, role, false);
			check_role(&served, route, role, true);
		}
	}
	served_stop(&served);
}

static void check_tokens(void)
{
	struct served served;
	char token[SERVE_TOKEN_BYTES], admin[SERVE_TOKEN_BYTES], path[200];
	served_start(&served, "{}");
	served_token(&served, "viewer", "eve", false, token);
	served_token(&served, "admin", "ada", false, admin);
	CHECK(str_begins(token, "gw_test_") && strlen(token) == strlen("gw_test_") + 49);
	struct reply reply = client_call(served.port, "GET", "/v1/runs", token, NULL, NULL);
	CHECK(reply.status == 200);
	reply_release(&reply);
	token[20] ^= 1;
	reply = client_call(served.port, "GET", "/v1/runs", token, NULL, NULL);
	CHECK_MSG(reply.status == 401, "a token with another character is none");
	reply_release(&reply);
	token[20] ^= 1;
	reply = client_call(served.port, "GET", "/v1/runs", NULL, "Authorization: Basic eDp5\r\n",
	                    NULL);
	CHECK(reply.status == 401);
	reply_release(&reply);
	reply = client_call(served.port, "GET", "/v1/runs", NULL,
	                    "X-User-Id: ada\r\nX-Forwarded-For: 127.0.0.1\r\n", NULL);
	CHECK_MSG(reply.status == 401, "headers that name a user are not believed");
	reply_release(&reply);

	reply = client_call(served.port, "GET", "/v1/tokens", admin, NULL, NULL);
	CHECK(json_array_size(json_at(reply.json, "tokens")) == 2 && !strstr(reply.text, token));
	char id[64] = "";
	for (size_t i = 0; i < 2; i++) {
		const json_t *row = json_array_get(json_at(reply.json, "tokens"), i);
		if (strcmp(json_str(row, "owner", ""), "eve") == 0)
			snprintf(id, sizeof(id), "%s", json_str(row, "id", ""));
	}
	reply_release(&reply);
	path_of(path, "/v1/tokens/", id, "");
	reply = client_call(served.port, "DELETE", path, admin, NULL, NULL);
	CHECK(reply.status == 200);
	reply_release(&reply);
	reply = client_call(served.port, "GET", "/v1/runs", token, NULL, NULL);
	CHECK_MSG(reply.status == 401, "a revoked token is refused at once");
	reply_release(&reply);
	json_t *made = served_ask(
		&served,
		json_pack("{s:s,s:s,s:s,s:[s],s:i}", "op", "token.new", "sha256",
	                  "0000000000000000000000000000000000000000000000000000000000000000",
	                  "owner", "old", "roles", "viewer", "expires_ms", 1));
	CHECK(json_at(made, "token"));
	json_decref(made);
	CHECK_MSG(!engine_token_find(
			  served.engine,
			  "0000000000000000000000000000000000000000000000000000000000000000", NULL,
			  NULL),
	          "an expired token is not found");
	served_stop(&served);
}

static void check_masks(void)
{
	struct served served;
	char viewer[SERVE_TOKEN_BYTES], operator[SERVE_TOKEN_BYTES], granted[SERVE_TOKEN_BYTES],
		path[200];
	served_start(&served, "{\"per_address\":0}");
	served_token(&served, "viewer", "v", false, viewer);
	served_token(&served, "operator", "o", false, operator);
	served_token(&served, "operator", "g", true, granted);
	struct reply reply = client_call(served.port, "POST", "/v1/runs?wait=20", operator, NULL,
	                                 "{\"graph\":\"echo\",\"input\":{\"say\":\"secret\"}}");
	path_of(path, "/v1/runs/", json_str(reply.json, "id", ""), "");
	reply_release(&reply);
	reply = client_call(served.port, "GET", path, viewer, NULL, NULL);
	CHECK_MSG(reply.status == 200 && !json_at(reply.json, "data"),
	          "a viewer does not see data");
	reply_release(&reply);
	reply = client_call(served.port, "GET", path, granted, NULL, NULL);
	CHECK_MSG(json_at(reply.json, "data") != NULL, "who was granted it does");
	reply_release(&reply);
	reply = client_call(served.port, "GET", "/v1/runs", NULL, "Host: x\r\n", NULL);
	CHECK(reply.status == 400);
	reply_release(&reply);
	served_stop(&served);
}

/* --- the document ----------------------------------------------------------------------------- */

static void check_openapi(struct served *served)
{
	struct reply reply = client_call(served->port, "GET", "/v1/openapi.json", NULL, NULL, NULL);
	size_t operations = 0;
	const char *path;
	json_t *item;
	CHECK_STR(json_str(reply.json, "openapi", ""), "3.1.0");
	json_object_foreach(json_at(reply.json, "paths"), path, item)
		operations += json_object_size(item);
	CHECK_MSG(operations == serve_route_count, "as many operations as routes: %zu", operations);
	for (size_t i = 0; i < serve_route_count; i++) {
		char method[16] = "", text[8];
		for (size_t c = 0; serve_routes[i].method[c]; c++)
			method[c] = (char)(serve_routes[i].method[c] | 0x20);
		const json_t *operation = json_at(
			json_at(json_at(reply.json, "paths"), serve_routes[i].path), method);
		snprintf(text, sizeof(text), "%d", serve_routes[i].ok);
		CHECK_MSG(json_at(json_at(operation, "responses"), text), "%s %s", method,
		          serve_routes[i].path);
		size_t ids = 0, params = 0;
		for (const char *c = serve_routes[i].path; *c; c++)
			ids += *c == '{';
		for (size_t p = 0; p < json_array_size(json_at(operation, "parameters")); p++)
			params += json_truth(json_array_get(json_at(operation, "parameters"), p),
			                     "required", false);
		CHECK_MSG(ids == params, "and its names in the path");
	}
	reply_release(&reply);
}

static void check_metrics(struct served *served)
{
	struct reply reply = client_call(served->port, "GET", "/metrics", NULL, NULL, NULL);
	CHECK(reply.status == 200 && strstr(reply.text, "text/plain; version=0.0.4"));
	CHECK(strstr(reply.text, "http_server_request_duration_seconds_count{"
	                         "http_request_method=\"POST\",http_route=\"/v1/runs\","
	                         "http_response_status_code=\"422\",url_scheme=\"http\"}"));
	CHECK(strstr(reply.text, "\ngw_runs_started_total{graph=\""));
	reply_release(&reply);
	reply = client_call(served->port, "GET", "/metrics", NULL,
	                    "Accept: application/openmetrics-text; version=1.0.0\r\n", NULL);
	CHECK(strstr(reply.text, "Content-Type: application/openmetrics-text; version=1.0.0"));
	CHECK(str_ends(reply.text, "\n# EOF\n"));
	reply_release(&reply);
}

static void check_config(void)
{
	CHECK_STR(served_refusal("{\"prot\":1}"), "config.unknown_key");
	CHECK_STR(served_refusal("{\"port\":\"80\"}"), "config.type");
	CHECK_STR(served_refusal("{\"connections\":0}"), "config.type");
	CHECK_STR(served_refusal("{\"address\":\"not.an.address\"}"), "serve.address");
	CHECK_STR(served_refusal("{\"anonymous\":\"god\"}"), "config.type");
	CHECK_STR(served_refusal("{\"anonymous\":\"viewer\",\"address\":\"0.0.0.0\"}"),
	          "config.anonymous");
	CHECK_STR(served_refusal("[1]"), "config.type");
}

/* Stopping answers who waits, and takes nobody new. */
static void check_drain(void)
{
	struct served served;
	served_start(&served, open_config);
	static const char wait[] =
		"POST /v1/runs?wait=300 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
		"Content-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"graph\":\"idle\"}";
	int fd = client_dial(served.port);
	client_send(fd, wait, strlen(wait));
	/* Once the run is listed it is waited for. */
	for (size_t runs = 0; runs == 0;) {
		json_t *list = served_ask(
			&served, json_pack("{s:s,s:s}", "op", "run.list", "status", "waiting"));
		runs = json_array_size(json_at(list, "runs"));
		json_decref(list);
	}
	serve_drain(served.serve);
	char *reply = client_response(fd);
	CHECK_MSG(reply && str_begins(reply, "HTTP/1.1 202"),
	          "who waits is told how it stands: %.60s", reply ? reply : "nothing");
	CHECK(client_is_closed(fd));
	free(reply);
	close(fd);
	served_release(&served);
}

int main(void)
{
	struct served served;
	mem_install();
	served_start(&served, open_config);
	check_starts(&served);
	check_waiting(&served);
	check_lists(&served);
	check_bodies(&served);
	check_tasks(&served);
	check_openapi(&served);
	check_metrics(&served);
	served_stop(&served);
	check_config();
	check_tokens();
	check_masks();
	check_session_posts();
	check_roles();
	check_drain();
	return check_done();
}
