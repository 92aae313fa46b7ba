/* SPDX-License-Identifier: MIT */
/* Schedules over HTTP.  Files are read by who owns the store, so none is named from here. */
#include "serve/serve_int.h"

static void schedule_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error"), *schedule = json_at(reply, "schedule");
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	snprintf(x->etag, sizeof(x->etag), "%s", json_str(reply, "etag", ""));
	exchange_json_at(x, x->route->ok, schedule,
	                 x->route->ok == 201
	                         ? mem_format("/v1/schedules/%s", json_str(schedule, "name", ""))
	                         : NULL);
}

static json_t *about_schedule(struct exchange *x, const char *op)
{
	json_t *request = exchange_with_body(x, exchange_about(x, op, "name"));
	json_put_str(request, "etag", exchange_if_match(x));
	return request;
}

void handle_schedule_list(struct exchange *x)
{
	exchange_ask_member(x, exchange_request(x, "schedule.list"), NULL);
}

void handle_schedule_add(struct exchange *x)
{
	exchange_ask(x, exchange_with_body(x, exchange_request(x, "schedule.add")),
	             schedule_replied);
}

void handle_schedule_set(struct exchange *x)
{
	exchange_ask(x, about_schedule(x, "schedule.set"), schedule_replied);
}

void handle_schedule_show(struct exchange *x)
{
	exchange_ask(x, exchange_about(x, "schedule.show", "name"), schedule_replied);
}

void handle_schedule_pause(struct exchange *x)
{
	exchange_ask(x, about_schedule(x, "schedule.pause"), schedule_replied);
}

void handle_schedule_resume(struct exchange *x)
{
	exchange_ask(x, about_schedule(x, "schedule.resume"), schedule_replied);
}

void handle_schedule_remove(struct exchange *x)
{
	exchange_ask(x, about_schedule(x, "schedule.remove"), schedule_replied);
}

void handle_schedule_trigger(struct exchange *x)
{
	json_t *request = exchange_about(x, "schedule.trigger", "name");
	json_put_str(request, "key", x->frame.key);
	exchange_ask_member(x, request, NULL);
}

void handle_schedule_backfill(struct exchange *x)
{
	json_t *request = exchange_about(x, "schedule.backfill", "name");
	int64_t from = clock_parse_iso(json_str(x->json, "from", ""));
	int64_t to = clock_parse_iso(json_str(x->json, "to", ""));
	if (from >= 0 && to >= 0) {
		json_put_int(request, "from_ms", from);
		json_put_int(request, "to_ms", to);
		exchange_ask_member(x, request, NULL);
		return;
	}
	json_decref(request);
	exchange_problem(x, 422, "body.time", from < 0 ? "body.from" : "body.to",
	                 "this is no date or time", "2026-11-21 or RFC 3339");
}
