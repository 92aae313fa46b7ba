/* SPDX-License-Identifier: MIT */
/*
 * One request from its last byte to its answer: who asks, what the body says,
 * the question to the engine, the reply.
 *
 * An exchange has two owners: its connection, and the engine while it owes a
 * reply.  Several may want to answer (the engine, a deadline): the first to
 * claim does, the others find it done.
 */
#include <strings.h>

#include "base/crypto.h"
#include "serve/serve_int.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

void exchange_ref(struct exchange *x)
{
	atomic_fetch_add(&x->refs, 1);
}

void exchange_unref(struct exchange *x)
{
	if (atomic_fetch_sub(&x->refs, 1) != 1)
		return;
	json_decref(x->json);
	json_decref((json_t *)(uintptr_t)x->who.teams);
	buf_release(&x->body);
	arena_release(&x->arena);
	free(x->text);
	free(x->location);
	free(x->raw);
	free(x);
}

/* --- the answer ------------------------------------------------------------------------------ */

bool exchange_claim(struct exchange *x)
{
	return !atomic_flag_test_and_set(&x->claimed);
}

void exchange_ready(struct exchange *x)
{
	if (atomic_exchange(&x->phase, PHASE_ANSWERED) == PHASE_SUSPENDED)
		http_resume(x->mhd);
}

static void answer(struct exchange *x, int status, const char *type, char *text_taken, size_t len,
                   char *location_taken)
{
	if (!exchange_claim(x)) {
		free(text_taken);
		free(location_taken);
		return;
	}
	x->status = status;
	x->type = type;
	x->text = text_taken;
	x->len = len;
	x->location = location_taken;
	exchange_ready(x);
}

void exchange_text(struct exchange *x, int status, const char *type, char *text_taken, size_t len)
{
	answer(x, status, type, text_taken, len, NULL);
}

static int add_chunk(const char *bytes, size_t len, void *arg)
{
	buf_put_len(arg, bytes, len);
	return 0;
}

static void answer_json(struct exchange *x, int status, const char *type, const json_t *body,
                        char *location_taken)
{
	struct buf out;
	buf_init(&out, ANSWER_BYTES_MAX);
	must(json_dump_callback(body, add_chunk, &out, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
	buf_put_len(&out, "\n", 1);
	size_t len = out.len;
	answer(x, status, type, buf_take(&out), len, location_taken);
}

void exchange_json(struct exchange *x, int status, const json_t *body)
{
	answer_json(x, status, NULL, body, NULL);
}

void exchange_json_at(struct exchange *x, int status, const json_t *body, char *location_taken)
{
	answer_json(x, status, NULL, body, location_taken);
}

const char *status_text(int status)
{
	switch (status) {
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 408: return "Request Timeout";
	case 409: return "Conflict";
	case 412: return "Precondition Failed";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 417: return "Expectation Failed";
	case 421: return "Misdirected Request";
	case 422: return "Unprocessable Content";
	case 429: return "Too Many Requests";
	case 431: return "Request Header Fields Too Large";
	case 503: return "Service Unavailable";
	case 505: return "HTTP Version Not Supported";
	default: return status < 500 ? "Error" : "Internal Server Error";
	}
}

void exchange_problem(struct exchange *x, int status, const char *code, const char *where,
                      const char *text, const char *hint)
{
	json_t *problem = json_pack("{s:s,s:i,s:s,s:o}", "title", status_text(status), "status",
	                            status, "code", code, "detail", json_text(str_of(text)));
	json_put_str(problem, "where", where);
	json_put_str(problem, "hint", hint && *hint ? hint : NULL);
	answer_json(x, status, "application/problem+json", problem, NULL);
	json_decref(problem);
}

int status_of_error(int code, const char *id)
{
	if (strcmp(id, "task.self_approval") == 0 || strcmp(id, "task.team") == 0)
		return 403;
	if (strcmp(id, "etag.changed") == 0)
		return 412;
	if (strcmp(id, "json.bytes") == 0)
		return 413;
	if (str_begins(id, "json."))
		return 400;
	switch (code) {
	case ERR_INPUT: return 422;
	case ERR_ABSENT: return 404;
	case ERR_CONFLICT:
	case ERR_BLOCKED: return 409;
	case ERR_BUSY:
	case ERR_STORE: return 503;
	case ERR_LIMIT: return 429;
	default: return 500;
	}
}

void exchange_err(struct exchange *x, const struct err *err, const char *where)
{
	exchange_problem(x, status_of_error(err->code, err->id), err->id[0] ? err->id : "error",
	                 where, err->text, err->hint);
}

void exchange_error(struct exchange *x, const json_t *error)
{
	const char *id = json_str(error, "id", "");
	int status = status_of_error((int)json_int(error, "code", 0), id);
	/* What the path names is absent: 404.  What the body names is: the request is wrong. */
	const char *where = NULL;
	if (status == 404 && !x->ids[0]) {
		status = 422;
		where = "body";
	}
	if (status == 429)
		x->retry_after = 1;
	exchange_problem(x, status, *id ? id : "error", where, json_str(error, "text", ""),
	                 json_str(error, "hint", NULL));
}

/* --- asking the engine ----------------------------------------------------------------------- */

static void engine_replied(void *arg, const json_t *reply, bool is_last)
{
	struct exchange *x = arg;
	struct serve *serve = x->serve;
	x->on_reply(x, reply, is_last);
	if (!is_last)
		return;
	exchange_unref(x);
	atomic_fetch_sub(&serve->engine_owes, 1);
}

void exchange_ask(struct exchange *x, json_t *request,
                  void (*on_reply)(struct exchange *x, const json_t *reply, bool is_last))
{
	x->on_reply = on_reply;
	exchange_ref(x);
	atomic_fetch_add(&x->serve->engine_owes, 1);
	engine_request(x->serve->options.engine, request, engine_replied, x);
	json_decref(request);
}

static void answer_member(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	const json_t *member = x->own ? json_at(reply, x->own) : NULL;
	if (member || x->own) {
		exchange_json(x, x->route->ok, member ? member : json_null());
		return;
	}
	json_t *whole = json_copy((json_t *)(uintptr_t)reply);
	json_object_del(whole, "last");
	exchange_json(x, x->route->ok, whole);
	json_decref(whole);
}

void exchange_ask_member(struct exchange *x, json_t *request, const char *member)
{
	x->own = (void *)(uintptr_t)member;
	exchange_ask(x, request, answer_member);
}

void exchange_expire(struct exchange *x)
{
	if (x->stream)
		return;
	if (atomic_load(&x->may_leave) && !atomic_exchange(&x->has_left, true)) {
		engine_leave(x->serve->options.engine, x->run_id, engine_replied, x);
		return;
	}
	x->retry_after = 1;
	exchange_problem(x, 503, "engine.no_answer", NULL, "the engine did not answer in time",
	                 "ask again: starts and signals with the same key are taken once");
}

/* --- who asks -------------------------------------------------------------------------------- */

void exchange_deny(struct exchange *x, int status, const char *code, const char *where,
                   const char *text)
{
	atomic_fetch_add(&x->serve->denied, 1);
	serve_log(x->serve, "warning", "request.denied",
	          json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "method", x->route->method, "path",
	                    x->route->path, "code", code, "by", x->who.owner, "needs",
	                    permission_name(x->route->permission), "from", x->client));
	access_tell(x, "denied", code);
	exchange_problem(x, status, code, where, text, NULL);
}

static bool deny(struct exchange *x, int status, const char *code, const char *where,
                 const char *text)
{
	exchange_deny(x, status, code, where, text);
	return false;
}

static void take_token(void *arg, const json_t *token)
{
	struct principal *who = arg;
	const json_t *roles = json_at(token, "roles");
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const char *name = json_string_value(json_array_get(roles, i));
		int role = name ? role_find(name) : -1;
		if (role >= 0)
			who->roles |= 1u << role;
	}
	who->has_grant = json_truth(token, "data", false);
	json_t *teams = json_at(token, "teams");
	who->teams = json_array_size(teams) > 0 ? json_deep_copy(teams) : NULL;
	snprintf(who->owner, sizeof(who->owner), "%s", json_str(token, "owner", "someone"));
}

static bool know_token(struct exchange *x, const char *token)
{
	char hash[SHA256_HEX];
	crypto_sha256_hex(str_of(token), hash);
	return engine_token_find(x->serve->options.engine, hash, take_token, &x->who);
}

/* "http://HOST" of an Origin against the Host that was asked. */
static bool is_same_origin(const struct frame *frame)
{
	const char *at = strstr(frame->origin, "://");
	return at && frame->host && strcasecmp(at + 3, frame->host) == 0;
}

/* A page that rebinds its name to 127.0.0.1 still sends its own name as Host. */
static bool is_loopback_host(const char *host)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };
	for (size_t i = 0; host && i < sizeof(names) / sizeof(*names); i++) {
		size_t len = strlen(names[i]);
		if (strncasecmp(host, names[i], len) == 0 &&
		    (host[len] == '\0' || host[len] == ':'))
			return true;
	}
	return false;
}

static bool refuse_cross_site(struct exchange *x)
{
	const struct frame *frame = &x->frame;
	bool is_foreign = (frame->origin && !is_same_origin(frame)) ||
	                  (frame->fetch_site && strcmp(frame->fetch_site, "cross-site") == 0);
	return is_foreign && strcmp(x->route->method, "GET") != 0;
}

/* A token of ours, or of the identity provider; false: a problem was answered. */
static bool know_bearer(struct exchange *x, const char *header)
{
	const char *token = header + strlen("Bearer ");
	enum oidc_answer answer = OIDC_BAD;
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return deny(x, 401, "token.unknown", "header Authorization",
		            "a token is sent as  Authorization: Bearer ...");
	if (x->serve->oidc && !str_begins(token, "gw_"))
		answer = oidc_admit(x->serve, token, &x->who);
	else if (know_token(x, token))
		answer = OIDC_GOOD;
	if (answer == OIDC_LATER) {
		x->retry_after = 1;
		exchange_problem(x, 503, "oidc.keys", "header Authorization",
		                 "the identity provider's keys are being read", "ask again");
	} else if (answer == OIDC_BAD) {
		deny(x, 401, "token.unknown", "header Authorization",
		     "this token is not known, or has expired");
	}
	return answer == OIDC_GOOD;
}

bool exchange_admit(struct exchange *x)
{
	const struct serve_config *config = &x->serve->config;
	enum permission needs = x->route->permission;
	if (needs == MAY_ANYONE || needs == MAY_SIGNED)
		return true;
	if (refuse_cross_site(x))
		return deny(x, 403, "http.cross_site", "header Origin",
		            "another site may not ask this");
	const char *header = x->frame.authorization;
	if (header) {
		if (!know_bearer(x, header))
			return false;
	} else if (config->is_anonymous) {
		if (!x->is_local)
			return deny(x, 401, "token.missing", "header X-Forwarded-For",
			            "who comes through a proxy needs a token");
		if (!is_loopback_host(x->frame.host))
			return deny(x, 421, "http.host", "header Host",
			            "this is not the host that was asked");
		x->who.roles = config->anonymous;
		x->who.has_grant = true;
		snprintf(x->who.owner, sizeof(x->who.owner), "anonymous");
	} else {
		return deny(x, 401, "token.missing", "header Authorization",
		            "a token is needed: Authorization: Bearer gw_...");
	}
	if (!role_may(x->who.roles, x->who.has_grant, needs))
		return deny(x, 403, "role.denied", "header Authorization",
		            "the token's role may not do this");
	return true;
}

/* --- what is asked --------------------------------------------------------------------------- */

static bool is_known_param(const struct route *route, const char *name)
{
	for (size_t i = 0; i < ROUTE_QUERY && route->query[i]; i++) {
		size_t len = strlen(route->query[i]);
		if (route->query[i][len - 1] == '*' ? strncmp(name, route->query[i], len - 1) == 0
		                                    : strcmp(name, route->query[i]) == 0)
			return true;
	}
	return false;
}

static bool check_query(struct exchange *x)
{
	for (size_t i = 0; i < x->target.params; i++) {
		if (is_known_param(x->route, x->target.names[i]))
			continue;
		exchange_problem(x, 400, "http.query", "query",
		                 "there is no such query parameter here",
		                 "GET /v1/openapi.json lists them");
		return false;
	}
	return true;
}

static bool is_of_type(const json_t *value, char type)
{
	switch (type) {
	case 's': return json_is_string(value);
	case 'o': return json_is_object(value);
	case 'a': return json_is_array(value);
	case 'i': return json_is_integer(value);
	case 'b': return json_is_boolean(value);
	default: return true; /* any JSON */
	}
}

static bool check_fields(struct exchange *x)
{
	const struct field *fields = x->route->fields;
	const char *name;
	json_t *value;
	char where[64];
	json_object_foreach(x->json, name, value) {
		size_t i = 0;
		while (i < ROUTE_FIELDS && fields[i].name && strcmp(fields[i].name, name) != 0)
			i++;
		snprintf(where, sizeof(where), "body.%.40s", name);
		if (i == ROUTE_FIELDS || !fields[i].name) {
			exchange_problem(x, 422, "body.unknown_member", where,
			                 "the body has a member that is not known here", NULL);
			return false;
		}
		if (!is_of_type(value, fields[i].type)) {
			exchange_problem(x, 422, "body.type", where,
			                 "the member is of another type", fields[i].note);
			return false;
		}
	}
	for (size_t i = 0; i < ROUTE_FIELDS && fields[i].name; i++) {
		if (!fields[i].is_required || json_at(x->json, fields[i].name))
			continue;
		snprintf(where, sizeof(where), "body.%s", fields[i].name);
		exchange_problem(x, 422, "body.missing_member", where, "the member must be there",
		                 fields[i].note);
		return false;
	}
	return true;
}

static bool is_json_type(const char *type)
{
	static const char json[] = "application/json";
	if (!type || strncasecmp(type, json, sizeof(json) - 1) != 0)
		return false;
	const char *rest = type + sizeof(json) - 1;
	return *rest == '\0' || *rest == ';' || *rest == ' ';
}

static bool read_body(struct exchange *x)
{
	struct err err = { 0 };
	if (x->route->is_raw)
		return true;
	if (x->body.len == 0) {
		x->json = json_object();
	} else if (!is_json_type(x->frame.content_type)) {
		exchange_problem(x, 415, "http.content_type", "header Content-Type",
		                 "the body must be application/json", NULL);
		return false;
	} else if (json_read(buf_str(&x->body), LIMIT_JSON_BYTES, &x->json, &err) < 0) {
		exchange_problem(x, err.code == ERR_LIMIT ? 413 : 400, err.id, "body", err.text,
		                 err.hint);
		return false;
	} else if (!json_is_object(x->json)) {
		exchange_problem(x, 422, "body.type", "body", "the body must be a JSON object",
		                 NULL);
		return false;
	}
	return check_fields(x);
}

/* "\"abc\"" or "W/..." or "*": what is compared; NULL: whatever it is now. */
const char *exchange_if_match(struct exchange *x)
{
	const char *header = x->frame.if_match;
	size_t len = header ? strlen(header) : 0;
	if (len == 0 || strcmp(header, "*") == 0)
		return NULL;
	if (len > 2 && header[0] == '"' && header[len - 1] == '"')
		return arena_dup(&x->arena, header + 1, len - 2);
	return "none"; /* a weak or broken one matches nothing (RFC 9110, 13.1.1) */
}

/* What no run's journal tells is told in the access journal. */
static bool is_privileged(const struct route *route)
{
	return route->permission == MAY_TOKENS || route->permission == MAY_AUDIT ||
	       strcmp(route->path, "/v1/runs:bulk") == 0 ||
	       strstr(route->path, "random-errors") != NULL;
}

void exchange_begin(struct exchange *x)
{
	if (!check_query(x) || !read_body(x))
		return;
	if (is_privileged(x->route))
		access_tell(x, "allowed", NULL);
	x->route->handle(x);
}
