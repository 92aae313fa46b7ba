/* SPDX-License-Identifier: MIT */
/*
 * What the world may do next at a place of the search: end a call well, with
 * each result that a story knows, or with an error; let a send fail; let the
 * next timer fire; send an event that is listened to.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_story_search.h"
#include "plugin/plugin.h"

enum { SAMPLE_DEPTH = 6 };

/* --- a result that fits a schema, where no story knows one ------------------------------------ */

static json_t *sample(const json_t *schema, int depth)
{
	static const char *const given[] = { "const", "default" };
	const char *type = json_str(schema, "type", "object"), *key;
	json_t *value;
	for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++)
		if (json_at(schema, given[i]))
			return json_deep_copy(json_at(schema, given[i]));
	if (json_array_size(json_at(schema, "enum")) > 0)
		return json_deep_copy(json_array_get(json_at(schema, "enum"), 0));
	if (json_array_size(json_at(schema, "examples")) > 0)
		return json_deep_copy(json_array_get(json_at(schema, "examples"), 0));
	if (strcmp(type, "string") == 0)
		return json_string("text");
	if (strcmp(type, "integer") == 0 || strcmp(type, "number") == 0)
		return json_integer(json_int(schema, "minimum", 1));
	if (strcmp(type, "boolean") == 0)
		return json_true();
	if (strcmp(type, "array") == 0)
		return json_array();
	json_t *ret = json_object();
	json_object_foreach(json_at(schema, "properties"), key, value)
		if (depth < SAMPLE_DEPTH)
			json_put(ret, key, sample(value, depth + 1));
	return ret;
}

static json_t *sample_result(const struct search *search, const json_t *effect)
{
	const struct plugins *plugins = search->suite->cli->plugins;
	const struct plugin *plugin = plugins ? plugins_find(plugins, json_str(effect, "type", ""))
	                                      : NULL;
	const struct plugin_action *action =
		plugin ? plugin_action_find(plugin, json_str(effect, "action", "")) : NULL;
	return sample(action ? json_at(plugin_action_describe(action), "result") : NULL, 0);
}

/* --- calls ------------------------------------------------------------ */

struct ending {
	bool ok;
	const json_t *value;
	json_t *said_taken;
};

static void try_ending(struct search *search, const struct place *from, size_t at,
                       const struct ending *ending)
{
	const json_t *effect = json_array_get(from->calls, at);
	struct err err = { 0 };
	struct input input = { .kind = INPUT_RESULT,
		               .number = (uint64_t)json_int(effect, "number", 0),
		               .element = (uint32_t)json_int(effect, "element", 0),
		               .ok = ending->ok };
	*(ending->ok ? &input.data : &input.failure) = (json_t *)(uintptr_t)ending->value;
	json_object_update(search->world.advice, from->advice);
	if (world_take_result(&search->world, effect, ending->ok, ending->value, &err) < 0) {
		json_decref(ending->said_taken);
		return;
	}
	const struct attempt attempt = { &input, from->now_ms, at, ending->said_taken };
	search_try(search, from, &attempt);
}

static json_t *say_answer(const json_t *effect, const json_t *given)
{
	json_t *said = json_copy((json_t *)(uintptr_t)given);
	json_put(said, "answer", json_incref(json_at(effect, "id")));
	json_object_del(said, "after");
	return said;
}

static void try_error(struct search *search, const struct place *from, size_t at,
                      const char *error_type)
{
	const json_t *effect = json_array_get(from->calls, at);
	json_t *error = json_pack("{s:s,s:s,s:s}", "error_type", error_type, "error_code",
	                          "made_up", "message", "It did not work");
	json_t *given = json_pack("{s:O}", "error", error);
	const struct ending ending = { false, error, say_answer(effect, given) };
	try_ending(search, from, at, &ending);
	json_decref(given);
	json_decref(error);
}

/* Each answer that stories know; false when they know no good one. */
static bool try_variants(struct search *search, const struct place *from, size_t at,
                         const char *key)
{
	const json_t *effect = json_array_get(from->calls, at),
		     *list = json_at(search->variants, key);
	bool ret = false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i), *answer = json_at(one, "answer");
		const json_t *error = json_at(answer, "error");
		json_t *failure = json_is_string(error) ? json_pack("{s:O}", "message", error)
		                                        : json_incref((json_t *)(uintptr_t)error);
		const struct ending ending = { !error, error ? failure : json_at(answer, "result"),
			                       say_answer(effect, json_at(one, "given")) };
		ret = ret || !error;
		try_ending(search, from, at, &ending);
		json_decref(failure);
	}
	return ret;
}

static void try_result(struct search *search, const struct place *from, size_t at,
                       json_t *result_taken, json_t *said_taken)
{
	const struct ending ending = { true, result_taken, said_taken };
	try_ending(search, from, at, &ending);
	json_decref(result_taken);
}

static void try_plugin_call(struct search *search, const struct place *from, size_t at)
{
	const json_t *effect = json_array_get(from->calls, at);
	const char *type = json_str(effect, "type", ""), *action = json_str(effect, "action", NULL);
	char *key = action ? mem_format("%s.%s", type, action) : mem_dup_str(type);
	char *own = mem_format("#%s", json_str(effect, "id", ""));
	bool knows_own = try_variants(search, from, at, own);
	if (!try_variants(search, from, at, key) && !knows_own) {
		json_t *result = sample_result(search, effect);
		json_t *given = json_pack("{s:O}", "result", result);
		try_result(search, from, at, result, say_answer(effect, given));
		json_decref(given);
	}
	try_error(search, from, at, "server");
	try_error(search, from, at, "execution");
	free(own);
	free(key);
}

static void try_approval(struct search *search, const struct place *from, size_t at)
{
	static const char *const outcomes[] = { "approved", "rejected" };
	const json_t *effect = json_array_get(from->calls, at);
	for (size_t i = 0; i < 2; i++)
		try_result(search, from, at,
		           json_pack("{s:s,s:s,s:s}", "outcome", outcomes[i], "by", "someone", "at",
		                     "2026-01-01T00:00:00.000Z"),
		           json_pack("{s:O,s:s,s:s}", "task", json_at(effect, "id"), "outcome",
		                     outcomes[i], "by", "someone"));
}

/* Told beforehand, as a story answers them by itself: nothing late, one thing, an error. */
static void try_tasks(struct search *search, const struct place *from, size_t at)
{
	json_t *late = json_pack("{s:s,s:s,s:s,s:I}", "id", "late", "title", "A late task", "owner",
	                         "Somebody", "due_ms", (json_int_t)from->now_ms);
	json_t *given[] = { json_pack("{s:{s:i,s:[]}}", "result", "count", 0, "tasks"),
		            json_pack("{s:{s:i,s:[o]}}", "result", "count", 1, "tasks", late),
		            json_pack("{s:{s:s,s:s}}", "error", "error_type", "server", "message",
		                      "It did not work") };
	for (size_t i = 0; i < sizeof(given) / sizeof(*given); i++) {
		const json_t *error = json_at(given[i], "error");
		const struct ending ending = { !error, error ? error : json_at(given[i], "result"),
			                       json_pack("{s:s,s:O}", "canned", "tasks.get_overdue",
			                                 "given", given[i]) };
		try_ending(search, from, at, &ending);
		json_decref(given[i]);
	}
}

static void try_call(struct search *search, const struct place *from, size_t at)
{
	const json_t *effect = json_array_get(from->calls, at);
	const char *type = json_str(effect, "type", "");
	if (strcmp(json_str(effect, "kind", ""), "send") == 0)
		try_error(search, from, at, "server");
	else if (strcmp(type, "approval") == 0)
		try_approval(search, from, at);
	else if (strcmp(type, "checklist") == 0)
		try_result(
			search, from, at,
			json_pack("{s:O}", "items", json_path(effect, "data.items")),
			json_pack("{s:O,s:s}", "task", json_at(effect, "id"), "outcome", "done"));
	else if (strcmp(type, "tasks") == 0)
		try_tasks(search, from, at);
	else
		try_plugin_call(search, from, at);
}

/* The first open call only, unless any order is tried; sends may always fail. */
static void try_calls(struct search *search, const struct place *from)
{
	bool has_call = false;
	for (size_t i = 0; i < json_array_size(from->calls); i++) {
		bool is_send = strcmp(json_str(json_array_get(from->calls, i), "kind", ""),
		                      "send") == 0;
		if (!is_send && has_call && !search->is_any_order)
			continue;
		has_call = has_call || !is_send;
		try_call(search, from, i);
	}
}

static void try_timer(struct search *search, const struct place *from,
                      const struct machine *machine)
{
	uint64_t number = 0;
	int64_t due_ms = machine_next_due(machine, &number);
	struct input input = { .kind = INPUT_TIMER, .number = number };
	if (due_ms == INT64_MAX)
		return;
	int64_t at_ms = due_ms > from->now_ms ? due_ms : from->now_ms;
	const struct attempt attempt = { &input, at_ms, SIZE_MAX,
		                         json_pack("{s:I}", "wait",
		                                   (json_int_t)(at_ms - from->now_ms)) };
	search_try(search, from, &attempt);
}

static void try_event(struct search *search, const struct place *from, const char *name)
{
	struct event event = { .type = EVENT_EXTERNAL };
	const json_t *known = json_at(search->events, name);
	json_t *plain = json_pack("{s:s}", "name", name);
	size_t count = json_array_size(known);
	for (size_t i = 0; i < (count ? count : 1); i++) {
		json_t *given = count ? json_at(json_array_get(known, i), "answer") : plain;
		event.name = mem_dup_str(name);
		event.data = json_incref(json_at(given, "data"));
		struct input input = { .kind = INPUT_EVENT, .event = event };
		const struct attempt attempt = { &input, from->now_ms, SIZE_MAX,
			                         json_pack("{s:O}", "event", given) };
		search_try(search, from, &attempt);
		event_release(&event);
		event.type = EVENT_EXTERNAL;
	}
	json_decref(plain);
}

static bool is_from_outside(const char *name)
{
	return strcmp(name, "*") != 0 && !str_begins(name, "done.") &&
	       !str_begins(name, "error.") && strcmp(name, "done") != 0 &&
	       strcmp(name, "error") != 0;
}

static void try_events(struct search *search, const struct place *from,
                       const struct machine *machine)
{
	const struct chart *chart = machine_chart(machine);
	json_t *active = machine_states(machine, false), *names = json_object();
	const char *name;
	json_t *ignored;
	for (size_t i = 0; i < json_array_size(active); i++) {
		int32_t index = chart_find(chart, json_string_value(json_array_get(active, i)));
		if (index == CHART_NONE)
			continue;
		const struct chart_state *state = &chart->states[index];
		for (size_t k = 0; k < state->transition_count; k++) {
			const struct chart_transition *own =
				&chart->transitions[state->first_transition + (int32_t)k];
			for (size_t e = 0; e < own->event_count; e++)
				if (is_from_outside(own->events[e]))
					json_put(names, own->events[e], json_true());
		}
	}
	json_object_foreach(names, name, ignored)
		try_event(search, from, name);
	json_decref(active);
	json_decref(names);
}

void search_look(struct search *search, const struct place *place)
{
	struct machine *machine = NULL;
	struct err err = { 0 };
	try_calls(search, place);
	if (machine_restore(&search->options, place->saved, &machine, &err) < 0)
		return;
	try_timer(search, place, machine);
	try_events(search, place, machine);
	machine_free(machine);
}
