/* SPDX-License-Identifier: MIT */
/* Many runs at once, runs that did not go as they should, and runs in plain language. */
#include "serve/serve_int.h"

enum { BULK_MAX = 1000 };

static void batch_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error"), *results = json_at(reply, "results");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	size_t started = 0, known = 0;
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *result = json_array_get(results, i);
		started += json_truth(result, "is_new", false);
		known += json_at(result, "run") && !json_truth(result, "is_new", false);
	}
	x->is_replayed = started == 0 && known > 0;
	json_t *body = json_pack("{s:I,s:I,s:I,s:O}", "started", (json_int_t)started, "known",
	                         (json_int_t)known, "refused",
	                         (json_int_t)(json_array_size(results) - started - known),
	                         "results", results);
	exchange_json(x, started > 0 ? 202 : 200, body);
	json_decref(body);
}

void handle_run_batch(struct exchange *x)
{
	json_t *request = exchange_with_body(x, exchange_request(x, "run.batch"));
	json_put_str(request, "key", x->frame.key);
	exchange_ask(x, request, batch_replied);
}

static bool body_time(struct exchange *x, json_t *request, const char *name, const char *member)
{
	const char *text = json_str(x->json, name, NULL);
	int64_t ms = text ? clock_parse_iso(text) : 0;
	char where[40];
	json_object_del(request, name);
	if (ms > 0)
		json_put_int(request, member, ms);
	if (ms >= 0)
		return true;
	snprintf(where, sizeof(where), "body.%s", name);
	exchange_problem(x, 422, "body.time", where, "this is no date or time",
	                 "2026-11-21 or RFC 3339");
	return false;
}

void handle_run_bulk(struct exchange *x)
{
	int64_t limit = json_int(x->json, "limit", BULK_MAX);
	if (limit < 1 || limit > BULK_MAX) {
		exchange_problem(x, 422, "bulk.limit", "body.limit", "1 to 1000 at once", NULL);
		return;
	}
	json_t *request = exchange_with_body(x, exchange_request(x, "run.bulk"));
	json_put_int(request, "limit", limit);
	json_put(request, "before", json_incref(json_at(x->json, "cursor")));
	json_object_del(request, "cursor");
	if (!json_at(request, "id"))
		json_put_str(request, "id", x->frame.key);
	if (body_time(x, request, "since", "since_ms") &&
	    body_time(x, request, "until", "until_ms"))
		exchange_ask_member(x, request, NULL);
	else
		json_decref(request);
}

/* --- once more ---------------------------------------------------------------------------- */

void handle_run_resume(struct exchange *x)
{
	exchange_ask_member(x, exchange_with_body(x, exchange_about(x, "run.resume", "run")),
	                    "run");
}

void handle_run_retry(struct exchange *x)
{
	exchange_ask_member(x, exchange_with_body(x, exchange_about(x, "run.retry", "run")), "run");
}

static void fork_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error"), *run = json_at(reply, "run");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	x->is_replayed = !json_truth(reply, "is_new", false);
	exchange_json_at(x, x->is_replayed ? 200 : 202, run,
	                 mem_format("/v1/runs/%s", json_str(run, "id", "")));
}

void handle_run_fork(struct exchange *x)
{
	json_t *request = exchange_with_body(x, exchange_about(x, "run.fork", "run"));
	json_put(request, "seq", json_incref(json_at(x->json, "record")));
	if (!json_at(request, "correlation_id"))
		json_put_str(request, "correlation_id", x->frame.key);
	exchange_ask(x, request, fork_replied);
}

/* --- in plain language -------------------------------------------------------------------- */

/* Rules and errors speak of what a run knows: that is for who may read data. */
static void explain_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	static const char *const data[] = { "text", "happened", "why", "errors" };
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	json_t *explain = json_copy(json_at(reply, "explain"));
	if (!role_may(x->who.roles, x->who.has_grant, MAY_DATA)) {
		for (size_t i = 0; i < sizeof(data) / sizeof(*data); i++)
			json_object_del(explain, data[i]);
		json_put(explain, "masked", json_true());
	}
	exchange_json(x, 200, explain);
	json_decref(explain);
}

void handle_run_explain(struct exchange *x)
{
	exchange_ask(x, exchange_about(x, "run.explain", "run"), explain_replied);
}
