/* SPDX-License-Identifier: MIT */
/*
 * A machine from its snapshot.  The snapshot is ours, but the chart may be a
 * mended one: what is no longer there is an error in words, never a guess.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "machine/machine_int.h"

static int bad(struct err *err, const char *what)
{
	return err_set_id(err, ERR_INPUT, "run.snapshot", "the snapshot's %s cannot be read", what);
}

static int find_state(const struct session *s, const char *id, int32_t *ret, struct err *err)
{
	const char *name = id ? id : "";
	*ret = chart_find(s->chart, name);
	if (*ret > 0)
		return 0;
	return err_set_id(err, ERR_CONFLICT, "run.state_gone",
	                  "the run stands in state '%s', which graph '%s' does not have", name,
	                  s->chart->name);
}

static int read_states(const struct session *s, const json_t *ids, struct state_list *ret,
                       struct err *err)
{
	for (size_t i = 0; i < json_array_size(ids); i++) {
		int32_t state;
		if (find_state(s, json_string_value(json_array_get(ids, i)), &state, err) < 0)
			return err->code;
		*vec_add(ret) = state;
	}
	sort_states(ret);
	return 0;
}

/* A mended chart may nest a state differently; then the old configuration is none. */
static int check_config(const struct session *s, struct err *err)
{
	for (size_t i = 0; i < s->config.len; i++) {
		const struct chart_state *state = &s->chart->states[s->config.at[i]];
		bool has_child = s->active_child[s->config.at[i]] != CHART_NONE;
		bool is_whole = state->kind != STATE_HISTORY &&
		                has_child == (state->child_count > 0);
		bool is_orphan = state->parent != 0 && !bits_has(s->active, (size_t)state->parent);
		if (is_orphan || !is_whole)
			return err_set_id(err, ERR_CONFLICT, "run.state_gone",
			                  "state '%s' of the run is another one in graph '%s'",
			                  state->id, s->chart->name);
	}
	return 0;
}

static int restore_config(struct session *s, const json_t *saved, struct err *err)
{
	if (read_states(s, json_at(saved, "config"), &s->config, err) < 0)
		return err->code;
	for (size_t i = 0; i < s->config.len; i++) {
		int32_t state = s->config.at[i];
		s->active_child[s->chart->states[state].parent] = state;
		bits_set(s->active, (size_t)state);
	}
	if (check_config(s, err) < 0)
		return err->code;
	for (size_t i = 0; !s->is_running && i < s->config.len; i++)
		bits_clear(s->active, (size_t)s->config.at[i]);
	return 0;
}

static int restore_histories(struct session *s, const json_t *saved, struct err *err)
{
	const char *id;
	json_t *ids;
	json_object_foreach(json_at(saved, "history"), id, ids) {
		struct state_list states = { 0 };
		int32_t history = chart_find(s->chart, id);
		if (history == CHART_NONE || s->chart->states[history].kind != STATE_HISTORY)
			continue; /* the chart was mended and remembers less */
		if (read_states(s, ids, &states, err) < 0) {
			free(states.at);
			return err->code;
		}
		struct history_value *value = history_room(s, history);
		value->states = states.at;
		value->count = states.len;
	}
	return 0;
}

static int restore_invocations(struct session *s, const json_t *saved, struct err *err)
{
	size_t i;
	json_t *one;
	json_array_foreach(json_at(saved, "invocations"), i, one) {
		int32_t state;
		int64_t index = json_int(one, "index", 0);
		if (find_state(s, json_str(one, "state", NULL), &state, err) < 0)
			return err->code;
		if (index < 0 || (size_t)index >= s->chart->states[state].invoke_count)
			return err_set_id(err, ERR_CONFLICT, "run.state_gone",
			                  "the invoke '%s' of state '%s' is gone from graph '%s'",
			                  json_str(one, "id", ""), s->chart->states[state].id,
			                  s->chart->name);
		struct invocation *invocation = invocation_add(s, state, (uint32_t)index);
		invocation->id = mem_dup_str(json_str(one, "id", ""));
		invocation->number = (uint64_t)json_int(one, "number", 0);
		invocation->is_ended = json_truth(one, "ended", false);
	}
	return 0;
}

/* The invocation that a child's session belongs to; NULL when it has ended. */
static struct invocation *invocation_of_child(struct session *parent, const json_t *saved_parent,
                                              uint32_t serial)
{
	size_t i;
	json_t *one;
	json_array_foreach(json_at(saved_parent, "invocations"), i, one) {
		if (json_int(one, "child", 0) == (int64_t)serial && i < parent->invocations.len)
			return &parent->invocations.at[i];
	}
	return NULL;
}

static int find_chart(struct session *parent, const struct invocation *invocation,
                      const json_t *saved, enum chart_source *source, struct chart **ret,
                      struct err *err)
{
	const char *name = json_str(saved, "source", ""), *text = json_str(saved, "text", "");
	if (strcmp(name, "file") == 0) {
		*source = SOURCE_FILE;
		return child_chart_file(parent->machine, text, ret, err);
	}
	if (strcmp(name, "text") == 0) {
		*source = SOURCE_TEXT;
		return child_chart_text(text, parent->chart->file, ret, err);
	}
	*source = SOURCE_INLINE;
	if (!invocation->invoke->payload.content.text)
		return bad(err, "child session");
	return child_chart_inline(parent, &invocation->invoke->payload.content, ret, err);
}

static const json_t *saved_session(const json_t *sessions, int64_t serial)
{
	size_t i;
	json_t *one;
	json_array_foreach((json_t *)sessions, i, one) {
		if (json_int(one, "serial", -1) == serial)
			return one;
	}
	return NULL;
}

static int new_child(struct machine *machine, const json_t *sessions, const json_t *saved,
                     struct session **ret, struct err *err)
{
	int64_t above = json_int(saved, "parent", -1);
	uint32_t serial = (uint32_t)json_int(saved, "serial", 0);
	struct session *parent = above < 0 ? NULL : session_find(machine, (uint32_t)above);
	struct invocation *invocation =
		parent ? invocation_of_child(parent, saved_session(sessions, above), serial) : NULL;
	if (!invocation)
		return bad(err, "child session");
	enum chart_source source;
	struct chart *chart = NULL;
	if (find_chart(parent, invocation, saved, &source, &chart, err) < 0)
		return err->code;
	int status = session_new(machine, chart, parent, serial, ret, err);
	chart_unref(chart);
	if (status < 0)
		return status;
	invocation->child = *ret;
	(*ret)->source = source;
	(*ret)->source_text = mem_dup_str(json_str(saved, "text", NULL));
	(*ret)->invokeid = mem_dup_str(json_str(saved, "invokeid", NULL));
	return 0;
}

static int restore_session(struct session *s, const json_t *saved, struct err *err)
{
	size_t i;
	json_t *id;
	s->is_running = json_truth(saved, "running", false);
	s->is_done = json_truth(saved, "done", false);
	s->invoke_count = (uint64_t)json_int(saved, "invokes", 0);
	s->send_count = (uint64_t)json_int(saved, "sends", 0);
	json_array_foreach(json_at(saved, "entered"), i, id) {
		int32_t state = chart_find(s->chart, json_string_value(id));
		if (state != CHART_NONE)
			bits_set(s->entered, (size_t)state);
	}
	if (restore_config(s, saved, err) < 0 || restore_histories(s, saved, err) < 0 ||
	    restore_invocations(s, saved, err) < 0)
		return err->code;
	return s->ops->restore(s->dm, json_at(saved, "data"), err);
}

static int restore_sessions(struct machine *machine, const json_t *sessions, struct err *err)
{
	size_t i;
	json_t *saved;
	json_array_foreach((json_t *)sessions, i, saved) {
		struct session *s = i == 0 ? machine->sessions.at[0] : NULL;
		if (!s && new_child(machine, sessions, saved, &s, err) < 0)
			return err->code;
		if (restore_session(s, saved, err) < 0)
			return err->code;
	}
	return i > 0 ? 0 : bad(err, "list of sessions");
}

static int owner_of(const struct machine *machine, const json_t *saved, struct session **ret,
                    struct err *err)
{
	*ret = session_find(machine, (uint32_t)json_int(saved, "session", 0));
	return *ret ? 0 : bad(err, "reference to a session");
}

static char *copy_of(const json_t *json, const char *key)
{
	return mem_dup_str(json_str(json, key, NULL));
}

static struct each *read_each(const json_t *saved)
{
	if (!saved)
		return NULL;
	struct each *ret = mem_alloc(sizeof(*ret));
	*ret = (struct each){
		.count = (size_t)json_int(saved, "count", 0),
		.next = (size_t)json_int(saved, "next", 0),
		.open_count = (size_t)json_int(saved, "open", 0),
		.type = copy_of(saved, "type"),
		.action = copy_of(saved, "action"),
		.data = json_incref(json_at(saved, "data")),
		.renders = json_incref(json_at(saved, "renders")),
		/* Ours to change, unlike the rest. */
		.results = json_copy(json_at(saved, "results")),
	};
	return ret;
}

static int restore_calls(struct machine *machine, const json_t *saved, struct err *err)
{
	size_t i;
	json_t *one;
	json_array_foreach((json_t *)saved, i, one) {
		struct session *s;
		if (owner_of(machine, one, &s, err) < 0)
			return err->code;
		struct call *call = call_add(s, (uint64_t)json_int(one, "number", 0),
		                             json_str(one, "id", ""));
		call->is_send = json_truth(one, "send", false);
		call->is_advisory = json_truth(one, "advisory", false);
		call->is_inline = json_truth(one, "inline", false);
		call->each = read_each(json_at(one, "each"));
	}
	return 0;
}

static int read_message(const json_t *saved, struct message *ret, struct err *err)
{
	int64_t kind = json_int(saved, "kind", -1);
	if (kind < MESSAGE_SCXML || kind > MESSAGE_PLUGIN)
		return bad(err, "delayed send");
	*ret = (struct message){
		.kind = (enum message_kind)kind,
		.name = copy_of(saved, "name"),
		.target = copy_of(saved, "target"),
		.type = copy_of(saved, "type"),
		.sendid = copy_of(saved, "sendid"),
		.is_named = json_truth(saved, "named", false),
		.data = json_incref(json_at(saved, "data")),
		.renders = json_incref(json_at(saved, "renders")),
		.raw = copy_of(saved, "raw"),
		.dispatch_json = json_incref(json_at(saved, "dispatch")),
	};
	return 0;
}

static int restore_delayed(struct machine *machine, const json_t *saved, struct err *err)
{
	size_t i;
	json_t *one;
	json_array_foreach((json_t *)saved, i, one) {
		struct session *s;
		struct message message;
		if (owner_of(machine, one, &s, err) < 0 ||
		    read_message(json_at(one, "message"), &message, err) < 0)
			return err->code;
		struct delayed *delayed = delayed_add(machine, (uint64_t)json_int(one, "number", 0),
		                                      json_int(one, "due_ms", 0));
		delayed->session = s;
		delayed->message = message;
	}
	return 0;
}

static int restore_queue(struct machine *machine, const json_t *saved, struct err *err)
{
	size_t i;
	json_t *one;
	json_array_foreach((json_t *)saved, i, one) {
		struct event event;
		if (event_from_json(json_at(one, "event"), &event, err) < 0)
			return err->code;
		*vec_add(&machine->queue) = (struct queued){
			.to = (uint32_t)json_int(one, "to", 0),
			.event = event,
		};
	}
	return 0;
}

static int restore_all(struct machine *machine, const json_t *saved, struct err *err)
{
	machine->is_started = json_truth(saved, "started", false);
	machine->now_ms = json_int(saved, "now_ms", INT64_MIN);
	machine->number = (uint64_t)json_int(saved, "number", 0);
	machine->call_count = (uint64_t)json_int(saved, "call_count", 0);
	machine->session_count = (uint32_t)json_int(saved, "session_count", 0);
	if (restore_sessions(machine, json_at(saved, "sessions"), err) < 0 ||
	    restore_calls(machine, json_at(saved, "calls"), err) < 0 ||
	    restore_delayed(machine, json_at(saved, "delayed"), err) < 0)
		return err->code;
	return restore_queue(machine, json_at(saved, "queue"), err);
}

int machine_restore(const struct machine_options *options, const json_t *saved,
                    struct machine **ret, struct err *err)
{
	struct machine_options own = *options;
	struct machine *machine;
	if (json_int(saved, "format", 0) != 1)
		return bad(err, "format");
	own.http_location = json_str(saved, "http_location", NULL); /* as it was at the start */
	if (machine_new(&own, &machine, err) < 0)
		return err->code;
	if (restore_all(machine, saved, err) < 0) {
		machine_free(machine);
		return err->code;
	}
	*ret = machine;
	return 0;
}
