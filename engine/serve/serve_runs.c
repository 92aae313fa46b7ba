/* SPDX-License-Identifier: MIT */
/* Runs, tasks and audits: a request becomes an engine_request(), its reply the answer. */
#include <errno.h>

#include "base/clock.h"
#include "serve/serve_int.h"

enum { WAIT_MAX_S = 300, LIST_MAX = 1000 };

json_t *exchange_request(const struct exchange *x, const char *op)
{
	json_t *ret = json_pack("{s:s}", "op", op);
	json_put_str(ret, "by", x->who.owner);
	return ret;
}

json_t *exchange_about(const struct exchange *x, const char *op, const char *member)
{
	json_t *ret = exchange_request(x, op);
	json_put_str(ret, member, x->ids[0]);
	return ret;
}

/* A number within bounds; the fallback when none is given; -1 when a problem was answered. */
int64_t exchange_number(struct exchange *x, const char *name, int64_t min, int64_t max,
                        int64_t fallback)
{
	const char *text = target_param(&x->target, name);
	char where[64], hint[80];
	if (!text)
		return fallback;
	size_t digits = strspn(text, "0123456789");
	int64_t value = digits > 0 && digits < 19 && text[digits] == '\0' ? strtoll(text, NULL, 10)
	                                                                  : -1;
	if (value >= min && value <= max)
		return value;
	snprintf(where, sizeof(where), "query %s", name);
	snprintf(hint, sizeof(hint), "%lld to %lld", (long long)min, (long long)max);
	exchange_problem(x, 400, "http.query", where, "this is no number that can be taken", hint);
	return -1;
}

void exchange_param(json_t *request, const struct exchange *x, const char *name)
{
	json_put_str(request, name, target_param(&x->target, name));
}

/* --- starting -------------------------------------------------------------------------------- */

static bool is_resting(const json_t *run)
{
	const char *status = json_str(run, "status", "");
	return strcmp(status, "running") != 0 && strcmp(status, "waiting") != 0;
}

/*
 * The first reply says that the start is durable, the last one that the run
 * rests, or that the time to wait was over.
 */
static void start_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error"), *run = json_at(reply, "run");
	const json_t *is_new = json_at(reply, "is_new");
	if (error) {
		exchange_error(x, error);
		return;
	}
	if (is_new && !json_is_true(is_new))
		x->is_replayed = true;
	if (!is_last)
		return;
	bool is_done = x->wait_ms > 0 ? is_resting(run) : x->is_replayed;
	exchange_json_at(x, is_done ? 200 : 202, run,
	                 mem_format("/v1/runs/%s", json_str(run, "id", "")));
}

static void first_reply(struct exchange *x, const json_t *reply, bool is_last)
{
	const char *id = json_str(json_at(reply, "run"), "id", "");
	if (!is_last && !*x->run_id) {
		snprintf(x->run_id, sizeof(x->run_id), "%s", id);
		atomic_store(&x->may_leave, true);
		if (x->wait_ms > 0 && atomic_load(&x->serve->is_draining))
			exchange_expire(
				x); /* who hurries those that wait may have passed already */
	}
	start_replied(x, reply, is_last);
}

void handle_run_start(struct exchange *x)
{
	int64_t wait = exchange_number(x, "wait", 0, WAIT_MAX_S, 0);
	if (wait < 0)
		return;
	x->wait_ms = wait * 1000;
	json_t *request = exchange_request(x, "run.start");
	json_put(request, "wait", json_boolean(wait > 0));
	const char *name;
	json_t *value;
	json_object_foreach(x->json, name, value)
		json_put(request, name, json_incref(value));
	if (!json_at(request, "correlation_id"))
		json_put_str(request, "correlation_id", x->frame.key);
	exchange_ask(x, request, first_reply);
}

/* --- looking -------------------------------------------------------------------------------- */

bool exchange_time(struct exchange *x, json_t *request, const char *name, const char *member)
{
	const char *text = target_param(&x->target, name);
	char where[64];
	if (!text)
		return true;
	int64_t ms = clock_parse_iso(text);
	if (ms >= 0) {
		json_put_int(request, member, ms);
		return true;
	}
	snprintf(where, sizeof(where), "query %s", name);
	exchange_problem(x, 400, "http.query", where, "this is no date or time",
	                 "2026-11-21 or RFC 3339");
	return false;
}

void exchange_where(const struct exchange *x, json_t *request)
{
	json_t *where = json_object();
	for (size_t i = 0; i < x->target.params; i++)
		if (str_begins(x->target.names[i], "where."))
			json_put_str(where, x->target.names[i] + strlen("where."),
			             x->target.values[i]);
	json_put_str(where, "decision", target_param(&x->target, "decision"));
	json_put(request, "where", where);
}

void handle_run_list(struct exchange *x)
{
	json_t *request = exchange_request(x, "run.list");
	int64_t limit = exchange_number(x, "limit", 1, LIST_MAX, 50);
	int64_t cursor = limit < 0 ? -1 : exchange_number(x, "cursor", 0, INT64_MAX, 0);
	exchange_param(request, x, "graph");
	exchange_param(request, x, "status");
	exchange_where(x, request);
	if (cursor < 0 || !exchange_time(x, request, "since", "since_ms") ||
	    !exchange_time(x, request, "until", "until_ms")) {
		json_decref(request);
		return;
	}
	json_put_int(request, "limit", limit);
	json_put_int(request, "before", cursor);
	exchange_ask_member(x, request, NULL);
}

/* What the run knows is for those who may read data (RELIABILITY 7.3). */
static void show_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *run = json_copy(json_at(reply, "run"));
	if (!role_may(x->who.roles, x->who.has_grant, MAY_DATA)) {
		json_object_del(run, "data");
		json_object_del(run, "advice");
		json_put(run, "masked", json_true());
	}
	exchange_json(x, 200, run);
	json_decref(run);
}

void handle_run_show(struct exchange *x)
{
	exchange_ask(x, exchange_about(x, "run.show", "run"), show_replied);
}

struct slice {
	int64_t limit;
	const char *name; /* of an artifact; NULL: all */
};

static void journal_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const struct slice *slice = x->own;
	const json_t *error = json_at(reply, "error"), *records = json_at(reply, "records");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *some = json_array();
	size_t count = json_array_size(records);
	for (size_t i = 0; i < count && i < (size_t)slice->limit; i++)
		json_push(some, json_incref(json_array_get(records, i)));
	json_t *body = json_pack("{s:o}", "records", some);
	if (count > (size_t)slice->limit)
		json_put(
			body, "next",
			json_incref(json_at(json_array_get(records, (size_t)slice->limit), "seq")));
	exchange_json(x, 200, body);
	json_decref(body);
}

void handle_run_journal(struct exchange *x)
{
	int64_t from = exchange_number(x, "from", 1, INT64_MAX, 1);
	int64_t limit = from < 0 ? -1 : exchange_number(x, "limit", 1, LIST_MAX, LIST_MAX);
	if (limit < 0)
		return;
	struct slice *slice = arena_alloc(&x->arena, sizeof(*slice));
	slice->limit = limit;
	x->own = slice;
	json_t *request = exchange_about(x, "run.events", "run");
	json_put_int(request, "from", from);
	exchange_ask(x, request, journal_replied);
}

static const char *type_of(const char *name)
{
	return str_ends(name, ".json") ? "application/json"
	       : str_ends(name, ".md")
	               ? "text/markdown; charset=utf-8"
	               : "text/plain; charset=utf-8"; /* never markup of ours (row 56) */
}

/* Artifacts are told from the journal: what is on record is what was made. */
static void artifacts_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const struct slice *slice = x->own;
	const json_t *error = json_at(reply, "error"), *records = json_at(reply, "records");
	const json_t *found = NULL;
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *names = json_object();
	for (size_t i = 0; i < json_array_size(records); i++) {
		const json_t *made = json_at(json_array_get(records, i), "artifacts");
		for (size_t j = 0; j < json_array_size(made); j++) {
			const json_t *one = json_array_get(made, j);
			const char *name = json_str(one, "name", "");
			json_put(
				names, name,
				json_integer((json_int_t)json_string_length(json_at(one, "text"))));
			if (slice->name && strcmp(name, slice->name) == 0)
				found = json_at(one, "text");
		}
	}
	if (!slice->name) {
		json_t *list = json_array();
		const char *name;
		json_t *bytes;
		json_object_foreach(names, name, bytes)
			json_push(list, json_pack("{s:s,s:O}", "name", name, "bytes", bytes));
		json_t *body = json_pack("{s:o}", "artifacts", list);
		exchange_json(x, 200, body);
		json_decref(body);
	} else if (found) {
		size_t len = json_string_length(found);
		exchange_text(x, 200, type_of(slice->name), mem_dup(json_string_value(found), len),
		              len);
	} else {
		exchange_problem(x, 404, "artifact.absent", "path",
		                 "the run has no artifact of this name", NULL);
	}
	json_decref(names);
}

void handle_run_artifacts(struct exchange *x)
{
	struct slice *slice = arena_alloc(&x->arena, sizeof(*slice));
	slice->name = x->ids[1];
	x->own = slice;
	exchange_ask(x, exchange_about(x, "run.events", "run"), artifacts_replied);
}

void handle_run_artifact(struct exchange *x)
{
	handle_run_artifacts(x);
}

/* --- acting -------------------------------------------------------------------------------- */

json_t *exchange_with_body(const struct exchange *x, json_t *request)
{
	const char *name;
	json_t *value;
	json_object_foreach(x->json, name, value)
		json_put(request, name, json_incref(value));
	return request;
}

void handle_run_cancel(struct exchange *x)
{
	exchange_ask_member(x, exchange_with_body(x, exchange_about(x, "run.cancel", "run")),
	                    "run");
}

void handle_run_signal(struct exchange *x)
{
	json_t *request = exchange_with_body(x, exchange_about(x, "run.signal", "run"));
	if (!json_at(request, "id"))
		json_put_str(request, "id", x->frame.key);
	exchange_ask_member(x, request, "run");
}

/* Who sends events learns no more than that one was taken. */
static void post_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *body = json_object();
	exchange_json(x, x->route->ok, body);
	json_decref(body);
}

/* The session's id begins with its run's; a child's goes on with a dot. */
void handle_session_post(struct exchange *x)
{
	const char *session = x->ids[0];
	if (!str_is_utf8(buf_str(&x->body))) {
		exchange_problem(x, 400, "event.utf8", "body", "the body is no UTF-8", NULL);
		return;
	}
	json_t *request = exchange_request(x, "session.post");
	json_put(request, "run", json_text((struct str){ session, strcspn(session, ".") }));
	json_put_str(request, "session", session);
	json_put_str(request, "method", x->method);
	json_put_str(request, "content_type", x->frame.content_type);
	json_put(request, "body", json_text(buf_str(&x->body)));
	json_put_str(request, "id", x->frame.key);
	exchange_ask(x, request, post_replied);
}

void handle_run_repin(struct exchange *x)
{
	exchange_ask_member(x, exchange_with_body(x, exchange_about(x, "run.repin", "run")), "run");
}

void handle_run_replay(struct exchange *x)
{
	exchange_ask_member(x, exchange_about(x, "run.replay", "run"), "replay");
}

/* --- audits and what there is ---------------------------------------------------------------- */

void handle_audit_show(struct exchange *x)
{
	exchange_ask_member(x, exchange_about(x, "audit.show", "run"), "audit");
}

void handle_audit_verify(struct exchange *x)
{
	exchange_ask_member(x, exchange_with_body(x, exchange_about(x, "audit.verify", "run")),
	                    "verify");
}

static void part_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *part = json_at(json_at(reply, "doctor"), x->own);
	if (!is_last)
		return;
	json_t *body = json_object();
	json_put(body, x->own, part ? json_incref((json_t *)(uintptr_t)part) : json_array());
	exchange_json(x, 200, body);
	json_decref(body);
}

static void ask_part(struct exchange *x, const char *part)
{
	x->own = (void *)(uintptr_t)part;
	exchange_ask(x, exchange_request(x, "doctor"), part_replied);
}

void handle_graphs(struct exchange *x)
{
	ask_part(x, "graphs");
}

void handle_plugins(struct exchange *x)
{
	ask_part(x, "plugins");
}

void handle_connections(struct exchange *x)
{
	ask_part(x, "connections");
}

void handle_tokens(struct exchange *x)
{
	exchange_ask_member(x, exchange_request(x, "token.list"), NULL);
}

void handle_token_revoke(struct exchange *x)
{
	exchange_ask_member(x, exchange_about(x, "token.revoke", "id"), NULL);
}

void handle_health(struct exchange *x)
{
	json_t *body = json_pack("{s:s,s:s}", "status", "ok", "version", x->serve->options.version);
	exchange_json(x, 200, body);
	json_decref(body);
}

void handle_ready(struct exchange *x)
{
	if (atomic_load(&x->serve->is_draining)) {
		exchange_problem(x, 503, "serve.draining", NULL, "the engine is stopping", NULL);
		return;
	}
	json_t *body = json_pack("{s:s}", "status", "ready");
	exchange_json(x, 200, body);
	json_decref(body);
}
