/* SPDX-License-Identifier: MIT */
/*
 * A stable machine as JSON.  States are named by their ids and places in the
 * chart by state and order, so that a snapshot fits a mended version of the
 * graph too, as long as the states it stands in are still there.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "machine/machine_int.h"

enum { SAVE_FORMAT = 1 };

static json_t *state_ids(const struct chart *chart, const int32_t *states, size_t count)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < count; i++)
		json_push(ret, json_string(chart->states[states[i]].id));
	return ret;
}

static json_t *save_histories(const struct session *s)
{
	json_t *ret = json_object();
	for (size_t i = 0; i < s->histories.len; i++) {
		const struct history_value *value = &s->histories.at[i];
		json_put(ret, s->chart->states[value->history].id,
		         state_ids(s->chart, value->states, value->count));
	}
	return ret;
}

static json_t *save_invocations(const struct session *s)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < s->invocations.len; i++) {
		const struct invocation *invocation = &s->invocations.at[i];
		json_t *one = json_object();
		json_put_str(one, "state", s->chart->states[invocation->state].id);
		json_put_int(one, "index", invocation->index);
		json_put_str(one, "id", invocation->id);
		if (invocation->number)
			json_put_int(one, "number", (int64_t)invocation->number);
		if (invocation->child)
			json_put_int(one, "child", invocation->child->serial);
		if (invocation->is_ended)
			json_put(one, "ended", json_true());
		json_push(ret, one);
	}
	return ret;
}

static json_t *save_entered(const struct session *s)
{
	json_t *ret = json_array();
	for (int32_t i = 0; i < s->chart->state_count; i++) {
		if (bits_has(s->entered, (size_t)i) && s->chart->states[i].data_count > 0)
			json_push(ret, json_string(s->chart->states[i].id));
	}
	return ret;
}

static const char *source_name(enum chart_source source)
{
	switch (source) {
	case SOURCE_ROOT: return "root";
	case SOURCE_FILE: return "file";
	case SOURCE_INLINE: return "inline";
	case SOURCE_TEXT: return "text";
	}
	must_not_reach();
}

static json_t *save_session(const struct session *s)
{
	json_t *ret = json_object();
	json_put_int(ret, "serial", s->serial);
	json_put_str(ret, "source", source_name(s->source));
	json_put_str(ret, "text", s->source_text);
	if (s->parent)
		json_put_int(ret, "parent", s->parent->serial);
	json_put_str(ret, "invokeid", s->invokeid);
	json_put(ret, "running", json_boolean(s->is_running));
	json_put(ret, "done", json_boolean(s->is_done));
	json_put(ret, "config", state_ids(s->chart, s->config.at, s->config.len));
	json_put(ret, "history", save_histories(s));
	if (s->chart->is_binding_late)
		json_put(ret, "entered", save_entered(s));
	json_put(ret, "invocations", save_invocations(s));
	json_put_int(ret, "invokes", (int64_t)s->invoke_count);
	json_put_int(ret, "sends", (int64_t)s->send_count);
	json_put(ret, "data", s->ops->save(s->dm));
	return ret;
}

static json_t *save_message(const struct message *message)
{
	json_t *ret = json_object();
	json_put_int(ret, "kind", message->kind);
	json_put_str(ret, "name", message->name);
	json_put_str(ret, "target", message->target);
	json_put_str(ret, "type", message->type);
	json_put_str(ret, "sendid", message->sendid);
	json_put(ret, "named", json_boolean(message->is_named));
	json_put(ret, "data", json_incref(message->data));
	json_put(ret, "renders", json_incref(message->renders));
	json_put_str(ret, "raw", message->raw);
	json_put(ret, "dispatch", json_incref(message->dispatch_json));
	return ret;
}

static json_t *save_each(const struct each *each)
{
	json_t *ret = json_object();
	json_put_int(ret, "count", (int64_t)each->count);
	json_put_int(ret, "next", (int64_t)each->next);
	json_put_int(ret, "open", (int64_t)each->open_count);
	json_put_str(ret, "type", each->type);
	json_put_str(ret, "action", each->action);
	json_put(ret, "data", json_incref(each->data));
	json_put(ret, "renders", json_incref(each->renders));
	json_put(ret, "results", json_copy(each->results)); /* it changes under our hands */
	return ret;
}

static json_t *save_calls(const struct machine *machine)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < machine->calls.len; i++) {
		const struct call *call = &machine->calls.at[i];
		json_t *one = json_object();
		json_put_int(one, "number", (int64_t)call->number);
		json_put_int(one, "session", call->session->serial);
		json_put_str(one, "id", call->id);
		json_put(one, "send", json_boolean(call->is_send));
		json_put(one, "advisory", json_boolean(call->is_advisory));
		json_put(one, "inline", json_boolean(call->is_inline));
		if (call->each)
			json_put(one, "each", save_each(call->each));
		json_push(ret, one);
	}
	return ret;
}

static json_t *save_delayed(const struct machine *machine)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < machine->delayed.len; i++) {
		const struct delayed *delayed = &machine->delayed.at[i];
		json_t *one = json_object();
		json_put_int(one, "number", (int64_t)delayed->number);
		json_put_int(one, "due_ms", delayed->due_ms);
		json_put_int(one, "session", delayed->session->serial);
		json_put(one, "message", save_message(&delayed->message));
		json_push(ret, one);
	}
	return ret;
}

static json_t *save_queue(const struct machine *machine)
{
	json_t *ret = json_array();
	for (size_t i = machine->queue.head; i < machine->queue.len; i++) {
		const struct queued *queued = &machine->queue.at[i];
		json_t *one = json_object();
		json_put_int(one, "to", queued->to);
		json_put(one, "event", event_to_json(&queued->event));
		json_push(ret, one);
	}
	return ret;
}

json_t *machine_save(const struct machine *machine)
{
	json_t *ret = json_object(), *sessions = json_array();
	must(!machine->effects); /* never within a step */
	for (size_t i = 0; i < machine->sessions.len; i++)
		json_push(sessions, save_session(machine->sessions.at[i]));
	json_put_int(ret, "format", SAVE_FORMAT);
	json_put_str(ret, "http_location", machine->http_location);
	json_put(ret, "started", json_boolean(machine->is_started));
	json_put_int(ret, "now_ms", machine->now_ms);
	json_put_int(ret, "number", (int64_t)machine->number);
	json_put_int(ret, "call_count", (int64_t)machine->call_count);
	json_put_int(ret, "session_count", machine->session_count);
	json_put(ret, "sessions", sessions);
	json_put(ret, "queue", save_queue(machine));
	json_put(ret, "delayed", save_delayed(machine));
	json_put(ret, "calls", save_calls(machine));
	return ret;
}
