/* SPDX-License-Identifier: MIT */
/*
 * The life of one call: new -> started -> waiting -> ended, or lost.
 *
 * Every way into this file (start, release, an answer, a timer, cancel, free)
 * is bracketed by enter() and leave().  The plugin's code runs in turns inside
 * such a bracket; what a turn asked for is looked at when the turn is over
 * (after_turn), and the end is told when the outermost bracket closes.  So no
 * hook runs while the plugin's code is on the stack, the end is told once and
 * last, and whoever is told may free the call.
 *
 * Invariants: a request is in flight exactly while sending->wire is set; a call
 * that is started and not ended has something pending, or it is lost and ends.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "plugin/plugin_int.h"

static void on_wire_done(void *arg, const struct wire_reply *reply);
static int on_wire_classify(void *arg, const struct wire_reply *reply);
static void arm_timers(struct plugin_call *call);

static const struct plugin_call_hooks no_hooks;

/* --- new and free ------------------------------------------------------- */

int plugin_call_new(const struct plugin_call_options *options, struct plugin_call **ret,
                    struct err *err)
{
	const struct plugin_action *action = options->action;
	if (!options->is_checked && plugin_action_check(action, options->params, err) < 0)
		return err->code;
	struct plugin_call *call = mem_alloc(sizeof(*call));
	arena_init(&call->arena);
	call->face.own = call;
	call->action = action;
	call->wire = options->wire;
	call->connection = options->connection;
	call->loop = options->loop;
	call->is_lookup = options->is_lookup;
	call->hooks = options->hooks ? options->hooks : &no_hooks;
	call->params = options->params ? json_incref((json_t *)(uintptr_t)options->params)
	                               : json_object();
	call->recorded = json_incref((json_t *)(uintptr_t)options->recorded);
	call->run_id = mem_dup_str(options->run_id ? options->run_id : "");
	call->correlation_id = mem_dup_str(options->correlation_id ? options->correlation_id : "");
	call->traceparent = mem_dup_str(options->traceparent);
	call->number = options->number;
	call->element = options->element;
	call->now_ms = options->now_ms;
	call->timeout_ms = options->timeout_ms;
	call->retries = options->retries;
	call->backoff_min_ms = options->backoff_min_ms;
	call->backoff_max_ms = options->backoff_max_ms;
	call->facts = json_object();
	call->notes = json_array();
	call->masks = json_object();
	if (action->own.state_size > 0)
		call->state = arena_alloc(&call->arena, action->own.state_size);
	*ret = call;
	return 0;
}

static void sending_free(struct plugin_sending *sending)
{
	json_decref(sending->json);
	free(sending);
}

/* An answer still in flight finds sending->call NULL and frees what it came for. */
static void sending_release(struct plugin_sending *sending)
{
	if (!sending->wire) {
		sending_free(sending);
		return;
	}
	sending->call = NULL;
	if (sending->phase == PLUGIN_SENT)
		wire_cancel(sending->wire);
}

static void stop_timers(struct plugin_call *call)
{
	for (size_t i = 0; i < call->timers.len; i++) {
		struct plugin_timer *timer = call->timers.at[i];
		if (timer->timer)
			call->loop->ops->timer_stop(call->loop, timer->timer);
		free(timer);
	}
	call->timers.len = 0;
}

static void destroy(struct plugin_call *call)
{
	stop_timers(call);
	vec_release(&call->timers);
	for (size_t i = 0; i < call->requests.len; i++)
		sending_release(call->requests.at[i]);
	vec_release(&call->requests);
	json_decref(call->params);
	json_decref(call->recorded);
	json_decref(call->facts);
	json_decref(call->notes);
	json_decref(call->masks);
	json_decref(call->end);
	free(call->run_id);
	free(call->correlation_id);
	free(call->traceparent);
	arena_release(&call->arena);
	free(call);
}

void plugin_call_free(struct plugin_call *call)
{
	if (!call)
		return;
	must(!call->is_inside);
	if (call->depth > 0)
		call->is_freed = true;
	else
		destroy(call);
}

/* --- what holds now ----------------------------------------------------- */

static bool is_pending(const struct plugin_sending *sending)
{
	return sending->phase == PLUGIN_HELD || sending->phase == PLUGIN_SENT;
}

size_t plugin_pending(const struct plugin_call *call)
{
	size_t count = call->timers.len;
	for (size_t i = 0; i < call->requests.len; i++)
		if (is_pending(call->requests.at[i]))
			count++;
	return count;
}

bool plugin_pending_other_than_read(const struct plugin_call *call)
{
	for (size_t i = 0; i < call->requests.len; i++)
		if (is_pending(call->requests.at[i]) && call->requests.at[i]->effect != WIRE_READ)
			return true;
	return false;
}

const char *plugin_call_name(struct plugin_call *call)
{
	return arena_format(&call->arena, "%s.%s", call->action->plugin->own.name,
	                    call->action->own.name);
}

bool plugin_may_act(struct plugin_call *call, const char *what)
{
	if (call->is_looking)
		plugin_note(call, "classify() may only look at the reply; %s was ignored", what);
	else if (!call->is_inside)
		plugin_note(call, "%s came from outside of a callback and was ignored", what);
	return call->is_inside && !call->is_looking;
}

void plugin_note(struct plugin_call *call, const char *format, ...)
{
	char text[LIMIT_CALL_NOTE_BYTES];
	size_t count = json_array_size(call->notes);
	if (count > LIMIT_CALL_NOTES)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *last = "Further notes were dropped.";
	json_push(call->notes, json_text(str_of(count == LIMIT_CALL_NOTES ? last : text)));
}

/* --- the end ------------------------------------------------------------ */

void plugin_end(struct plugin_call *call, bool ok, json_t *value)
{
	if (call->is_ended) {
		plugin_note(call, "the plugin ended the call a second time (%s); ignored",
		            ok ? "done" : "fail");
		json_decref(value);
		return;
	}
	call->is_ended = true;
	call->end_ok = ok;
	call->end = value;
}

static void end_failed(struct plugin_call *call, struct plugin_failure *failure, const char *format,
                       va_list args) ATTR_PRINTF(3, 0);
static void end_failed(struct plugin_call *call, struct plugin_failure *failure, const char *format,
                       va_list args)
{
	char text[LIMIT_CALL_NOTE_BYTES];
	int put = snprintf(text, sizeof(text), "%s: ", plugin_call_name(call));
	vsnprintf(text + put, sizeof(text) - (size_t)put, format, args);
	failure->message = str_of(text);
	/* A contract broken after the end is said, but the end stands. */
	if (call->is_ended)
		plugin_note(call, "%s", text);
	else
		plugin_end(call, false, plugin_failure_json(call->action->plugin, failure));
}

void plugin_bug(struct plugin_call *call, const char *format, ...)
{
	struct plugin_failure failure = { .status = GW_E_BUG };
	va_list args;
	va_start(args, format);
	end_failed(call, &failure, format, args);
	va_end(args);
}

void plugin_refuse(struct plugin_call *call, const char *format, ...)
{
	struct plugin_failure failure = { .status = GW_E_INPUT };
	va_list args;
	va_start(args, format);
	end_failed(call, &failure, format, args);
	va_end(args);
}

static void end_with(struct plugin_call *call, struct plugin_failure failure, const char *format,
                     ...) ATTR_PRINTF(3, 4);
static void end_with(struct plugin_call *call, struct plugin_failure failure, const char *format,
                     ...)
{
	va_list args;
	va_start(args, format);
	end_failed(call, &failure, format, args);
	va_end(args);
}

/* Something that is not READ was asked for and never left: "done" would be a lie. */
static void check_end(struct plugin_call *call)
{
	if (!call->end_ok || !plugin_pending_other_than_read(call))
		return;
	json_decref(call->end);
	call->end = NULL;
	call->is_ended = false;
	plugin_bug(call, "the plugin said done while its own request had no answer; the request "
	                 "was not sent");
}

/* What the plugin waited for does not matter any more. */
static void drop_pending(struct plugin_call *call)
{
	stop_timers(call);
	for (size_t i = 0; i < call->requests.len; i++) {
		struct plugin_sending *sending = call->requests.at[i];
		if (!is_pending(sending))
			continue;
		bool is_sent = sending->phase == PLUGIN_SENT;
		sending->phase = PLUGIN_DROPPED;
		if (is_sent)
			wire_cancel(sending->wire);
	}
	/* Held ones at the end were never told to anybody: they never were. */
	while (call->requests.len > 0) {
		struct plugin_sending *last = call->requests.at[call->requests.len - 1];
		if (last->is_released || call->requests.len <= call->announced)
			break;
		sending_free(last);
		call->requests.len--;
	}
}

/* --- turns -------------------------------------------------------------- */

static void enter(struct plugin_call *call)
{
	call->depth++;
}

static void tell_end(struct plugin_call *call)
{
	call->is_told = true;
	json_t *end = call->end;
	call->end = NULL;
	enter(call);
	call->hooks->on_end(call->hooks->ctx, call, call->end_ok, end);
	call->depth--;
}

static void leave(struct plugin_call *call)
{
	must(call->depth > 0);
	if (--call->depth > 0)
		return;
	if (call->is_ended && !call->is_told && !call->is_kept && !call->is_freed &&
	    call->hooks->on_end)
		tell_end(call);
	if (call->is_freed)
		destroy(call);
}

static void begin_turn(struct plugin_call *call)
{
	must(!call->is_inside);
	call->is_inside = true;
	if (call->hooks->on_enter)
		call->hooks->on_enter(call->hooks->ctx, plugin_name(call->action->plugin));
}

/* A READ request asked for in a callback leaves at once; the others are told and wait. */
static void announce(struct plugin_call *call)
{
	while (call->announced < call->requests.len && !call->is_ended && !call->is_freed) {
		struct plugin_sending *sending = call->requests.at[call->announced++];
		if (sending->phase == PLUGIN_HELD && sending->effect == WIRE_READ)
			plugin_request_send(sending, on_wire_done, on_wire_classify);
		struct plugin_request request = plugin_call_request(call, call->announced - 1);
		if (call->hooks->on_request)
			call->hooks->on_request(call->hooks->ctx, call, &request);
	}
}

static void after_turn(struct plugin_call *call)
{
	if (call->is_ended)
		check_end(call);
	else if (plugin_pending(call) == 0 && call->is_cancelled)
		end_with(call, (struct plugin_failure){ .status = GW_E_CANCELLED },
		         "the run no longer wants it");
	else if (plugin_pending(call) == 0)
		end_with(call, (struct plugin_failure){ .status = GW_E_BUG, .is_lost = true },
		         "the plugin neither ended the call nor waits for anything");
	if (call->is_ended) {
		drop_pending(call);
		return;
	}
	if (call->is_armed) {
		arm_timers(call);
		announce(call);
	}
}

static void end_turn(struct plugin_call *call)
{
	call->is_inside = false;
	if (call->hooks->on_enter)
		call->hooks->on_enter(call->hooks->ctx, NULL);
	after_turn(call);
}

/* --- start -------------------------------------------------------------- */

void plugin_call_start(struct plugin_call *call)
{
	must(!call->is_started);
	call->is_started = true;
	enter(call);
	begin_turn(call);
	(call->is_lookup ? call->action->own.lookup : call->action->own.start)(&plugin_host,
	                                                                       &call->face);
	end_turn(call);
	call->announced = call->requests.len; /* the caller looks at them itself */
	call->is_kept = call->is_ended;
	leave(call);
}

bool plugin_call_is_ended(const struct plugin_call *call)
{
	return call->is_ended;
}

bool plugin_call_take_end(struct plugin_call *call, bool *ok, json_t **result_or_failure)
{
	if (!call->is_ended || call->is_told)
		return false;
	call->is_told = true;
	*ok = call->end_ok;
	*result_or_failure = call->end;
	call->end = NULL;
	return true;
}

size_t plugin_call_request_count(const struct plugin_call *call)
{
	return call->requests.len;
}

struct plugin_request plugin_call_request(const struct plugin_call *call, size_t i)
{
	must(i < call->requests.len);
	const struct plugin_sending *sending = call->requests.at[i];
	return (struct plugin_request){ .ordinal = sending->ordinal,
		                        .effect = sending->effect,
		                        .json = sending->json,
		                        .is_released = sending->is_released };
}

void plugin_call_release(struct plugin_call *call, uint32_t ordinal)
{
	if (call->is_ended)
		return;
	enter(call);
	call->is_armed = true;
	arm_timers(call);
	for (size_t i = 0; i < call->requests.len; i++) {
		struct plugin_sending *sending = call->requests.at[i];
		if (sending->ordinal <= ordinal && sending->phase == PLUGIN_HELD)
			plugin_request_send(sending, on_wire_done, on_wire_classify);
	}
	leave(call);
}

bool plugin_call_has_left(const struct plugin_call *call)
{
	for (size_t i = 0; i < call->requests.len; i++)
		if (call->requests.at[i]->is_released && call->requests.at[i]->effect != WIRE_READ)
			return true;
	return false;
}

json_t *plugin_call_facts(const struct plugin_call *call)
{
	json_t *json = json_object();
	if (json_object_size(call->facts) > 0)
		json_put(json, "facts", json_deep_copy(call->facts));
	if (json_array_size(call->notes) > 0)
		json_put(json, "notes", json_deep_copy(call->notes));
	return json;
}

/* --- answers ------------------------------------------------------------ */

static struct gw_str find_header(const struct gw_http_reply *reply, const char *name)
{
	const struct wire_reply *wire = reply->own;
	for (size_t i = 0; wire && name && i < wire->header_count; i++)
		if (strcasecmp(wire->headers[i].name, name) == 0)
			return (struct gw_str){ wire->headers[i].value,
				                strlen(wire->headers[i].value) };
	return GW_LIT("");
}

static struct gw_http_reply show_reply(const struct wire_reply *wire)
{
	struct gw_http_reply reply = {
		.size = sizeof(reply),
		.code = wire->code,
		.body = { wire->body.ptr ? wire->body.ptr : "", wire->body.len },
		.attempts = wire->attempts,
		.header = find_header,
		.own = wire,
	};
	reply.content_type = find_header(&reply, "Content-Type");
	return reply;
}

static void deliver(struct plugin_call *call, struct plugin_sending *sending,
                    const struct wire_reply *wire)
{
	struct gw_http_reply reply = show_reply(wire);
	int status = plugin_status(sending, wire);
	call->current = sending;
	call->reply = wire;
	begin_turn(call);
	sending->then(&plugin_host, &call->face, status, &reply);
	call->current = NULL;
	call->reply = NULL; /* its bytes are gone after this */
	end_turn(call);
}

static void on_wire_done(void *arg, const struct wire_reply *reply)
{
	struct plugin_sending *sending = arg;
	struct plugin_call *call = sending->call;
	sending->wire = NULL;
	if (!call) {
		sending_free(sending);
		return;
	}
	if (sending->phase == PLUGIN_DROPPED)
		return;
	sending->phase = PLUGIN_ANSWERED;
	enter(call);
	if (call->hooks->on_answer)
		call->hooks->on_answer(call->hooks->ctx, call, sending->ordinal, reply);
	if (!call->is_ended && !call->is_freed)
		deliver(call, sending, reply);
	leave(call);
}

static int on_wire_classify(void *arg, const struct wire_reply *wire)
{
	struct plugin_sending *sending = arg;
	struct plugin_call *call = sending->call;
	if (!call || !call->action->plugin->own.classify || sending->phase != PLUGIN_SENT)
		return GW_REPLY_DEFAULT;
	struct gw_http_reply reply = show_reply(wire);
	bool was_looking = call->is_looking;
	call->is_looking = true;
	if (call->hooks->on_enter)
		call->hooks->on_enter(call->hooks->ctx, plugin_name(call->action->plugin));
	int verdict = call->action->plugin->own.classify(&plugin_host, &call->face, &reply);
	if (call->hooks->on_enter)
		call->hooks->on_enter(call->hooks->ctx, NULL);
	call->is_looking = was_looking;
	if (verdict < GW_REPLY_DEFAULT || verdict > GW_REPLY_REAUTH) {
		plugin_note(call, "classify() answered %d, which is no verdict", verdict);
		verdict = GW_REPLY_DEFAULT;
	}
	sending->verdict = verdict;
	return verdict;
}

/* --- timers ------------------------------------------------------------- */

static void on_timer(void *arg)
{
	struct plugin_timer *timer = arg;
	struct plugin_call *call = timer->call;
	gw_call_cb *then = timer->then;
	size_t at = 0;
	while (call->timers.at[at] != timer)
		at++;
	call->timers.at[at] = call->timers.at[--call->timers.len];
	free(timer);
	enter(call);
	begin_turn(call);
	then(&plugin_host, &call->face);
	end_turn(call);
	leave(call);
}

static void arm_timers(struct plugin_call *call)
{
	for (size_t i = 0; i < call->timers.len; i++) {
		struct plugin_timer *timer = call->timers.at[i];
		if (!timer->timer)
			timer->timer = call->loop->ops->timer_start(call->loop, timer->delay_ms,
			                                            on_timer, timer);
	}
}

/* --- cancel ------------------------------------------------------------- */

static void cancel_one(struct plugin_call *call, struct plugin_sending *sending)
{
	struct wire_reply nothing = { .status = WIRE_CANCELLED, .text = "the call was cancelled" };
	if (sending->phase == PLUGIN_HELD) {
		sending->phase = PLUGIN_ANSWERED;
		deliver(call, sending, &nothing);
	} else if (sending->phase == PLUGIN_SENT && sending->effect == WIRE_READ) {
		wire_cancel(sending->wire);
	}
}

void plugin_call_cancel(struct plugin_call *call)
{
	if (call->is_ended || call->is_cancelled || call->is_inside)
		return;
	enter(call);
	call->is_cancelled = true;
	stop_timers(call);
	for (size_t i = 0; i < call->requests.len && !call->is_ended; i++)
		cancel_one(call, call->requests.at[i]);
	if (!call->is_ended)
		after_turn(call);
	leave(call);
}

/* --- keys and PURE actions ---------------------------------------------- */

void plugin_key(const char *run_id, uint64_t number, uint32_t element, uint32_t ordinal,
                char ret[65])
{
	char *text = mem_format("gangway-key-1\n%s\n%llu\n%u\n%u\n", run_id,
	                        (unsigned long long)number, element, ordinal);
	crypto_sha256_hex(str_of(text), ret);
	free(text);
}

int plugin_pure(const struct plugin_action *action, const json_t *params, const char *run_id,
                int64_t now_ms, bool *ok, json_t **result_or_failure, struct err *err)
{
	struct plugin_call_options options = {
		.action = action,
		.params = params,
		.run_id = run_id,
		.now_ms = now_ms,
		.timeout_ms = -1,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
	};
	must(plugin_action_is_pure(action));
	struct plugin_call *call = NULL;
	if (plugin_call_new(&options, &call, err) < 0)
		return err->code;
	plugin_call_start(call);
	must(plugin_call_take_end(call, ok, result_or_failure)); /* nothing can be pending */
	plugin_call_free(call);
	return 0;
}
