/* SPDX-License-Identifier: MIT */
/*
 * A machine alone with a clock that stands still until nothing is left to do.
 *
 * What comes next, in this order: messages of the machine itself, answers of
 * calls that are due, events of the script that want no time, then whatever is
 * due first: a timer, an answer, an event of the script (timers first when two
 * are due together, because they were armed before).
 */
#include "machine/driver.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "machine/machine_int.h"

/* An answer on its way. */
struct reply {
	uint64_t number;
	uint32_t element;
	int64_t due_ms, took_ms;
	const json_t *answer; /* {"result"} or {"error"}; borrowed of the options */
};

struct driver {
	const struct driver_options *options;
	struct machine_options machine_options;
	struct machine *machine;
	struct arena arena;
	struct effects effects;
	int64_t now_ms;
	size_t script_next;
	int64_t script_ms; /* when the last event of the script came */
	struct map used;   /* "plugin.action" -> how many answers were used, plus one */
	struct {
		struct reply *at;
		size_t len, size;
	} replies; /* in the order they were asked for */
};

/* The next answer to this call; the last one repeats; NULL: it stays open. */
static const json_t *next_answer(struct driver *driver, const struct effect *effect)
{
	char *key = mem_format("%s.%s", effect->type, effect->action ? effect->action : "");
	const json_t *list = json_at(driver->options->answers, key);
	const json_t *ret = list;
	if (json_is_array(list)) {
		size_t used = (uintptr_t)map_get(&driver->used, key);
		size_t last = json_array_size(list) - 1;
		ret = json_array_get(list, used < last ? used : last);
		map_set(&driver->used, key, (void *)(uintptr_t)(used + 1));
	}
	free(key);
	return ret;
}

static void take_call(struct driver *driver, const struct effect *effect)
{
	const json_t *answer = next_answer(driver, effect);
	if (!answer)
		return;
	int64_t took_ms = json_int(answer, "after", 0);
	*vec_add(&driver->replies) = (struct reply){
		.number = effect->number,
		.element = effect->element,
		.due_ms = driver->now_ms + took_ms,
		.took_ms = took_ms,
		.answer = answer,
	};
}

static void take_effects(struct driver *driver)
{
	const struct driver_options *options = driver->options;
	for (size_t i = 0; i < driver->effects.len; i++) {
		const struct effect *effect = &driver->effects.at[i];
		if (options->on_effect) {
			json_t *json = effect_to_json(effect);
			options->on_effect(options->ctx, json);
			json_decref(json);
		}
		if (effect->kind == EFFECT_CALL || effect->kind == EFFECT_SEND)
			take_call(driver, effect);
	}
	driver->effects.len = 0;
	arena_clear(&driver->arena);
}

static void tell_stable(struct driver *driver)
{
	const struct driver_options *options = driver->options;
	const struct machine *machine = driver->machine;
	if (!options->on_stable)
		return;
	json_t *line = json_object();
	json_put_int(line, "at_ms", driver->now_ms);
	json_put(line, "event", machine->last_event ? json_string(machine->last_event)
	                                            : json_null());
	json_put(line, "configuration", machine_states(machine, false));
	json_put(line, "atomic", machine_states(machine, true));
	json_put(line, "final", json_boolean(machine_is_done(machine)));
	json_put(line, "data", machine_data(machine));
	options->on_stable(options->ctx, line);
	json_decref(line);
}

/* Nothing that is not in the snapshot may matter. */
static int restart(struct driver *driver, struct err *err)
{
	json_t *saved = machine_save(driver->machine);
	struct machine *again = NULL;
	if (machine_restore(&driver->machine_options, saved, &again, err) == 0) {
		machine_free(driver->machine);
		driver->machine = again;
	}
	json_decref(saved);
	return err->code;
}

static int step(struct driver *driver, struct input *input, struct err *err)
{
	json_t *made = NULL;
	input->at_ms = driver->now_ms;
	free(driver->machine->last_event);
	driver->machine->last_event = NULL;
	if (machine_step(driver->machine, input, NULL, &made, &driver->effects, err) < 0)
		return err->code;
	json_decref(made);
	tell_stable(driver);
	take_effects(driver);
	return driver->options->restarts ? restart(driver, err) : 0;
}

static int step_reply(struct driver *driver, size_t at, struct err *err)
{
	struct reply reply = driver->replies.at[at];
	json_t *failure = json_at(reply.answer, "error");
	struct input input = {
		.kind = INPUT_RESULT,
		.number = reply.number,
		.element = reply.element,
		.ok = !failure,
		.data = json_at(reply.answer, "result"),
		.failure = json_incref(failure),
		.took_ms = reply.took_ms,
	};
	if (json_is_string(failure)) { /* the short form is the message alone */
		json_decref(input.failure);
		input.failure = json_object();
		json_put_str(input.failure, "message", json_string_value(failure));
	}
	driver->replies.len--;
	memmove(&driver->replies.at[at], &driver->replies.at[at + 1],
	        (driver->replies.len - at) * sizeof(reply));
	int status = step(driver, &input, err);
	json_decref(input.failure);
	return status;
}

static const json_t *script_entry(const struct driver *driver)
{
	return json_array_get(driver->options->script, driver->script_next);
}

static int step_script(struct driver *driver, struct err *err)
{
	const json_t *event = json_at(script_entry(driver), "event");
	struct input input = { .kind = INPUT_EVENT };
	driver->script_next++;
	driver->script_ms = driver->now_ms;
	if (event_from_json(event, &input.event, err) < 0)
		return err_wrap(err, "event %zu of the script", driver->script_next);
	int status = step(driver, &input, err);
	event_release(&input.event);
	return status;
}

/* The first of the replies that are due at the earliest time. */
static int64_t next_reply(const struct driver *driver, size_t *ret_at)
{
	int64_t ret = INT64_MAX;
	for (size_t i = 0; i < driver->replies.len; i++) {
		if (driver->replies.at[i].due_ms < ret) {
			ret = driver->replies.at[i].due_ms;
			*ret_at = i;
		}
	}
	return ret;
}

static int64_t next_script(const struct driver *driver)
{
	const json_t *entry = script_entry(driver);
	if (!entry)
		return INT64_MAX;
	/* Without "after" it does not wait for anything. */
	return json_at(entry, "after") ? driver->script_ms + json_int(entry, "after", 0)
	                               : INT64_MIN;
}

/* Lets the time pass until due_ms; false: that is beyond the end. */
static bool pass_time(struct driver *driver, int64_t due_ms)
{
	int64_t until_ms = driver->options->until_ms;
	if (due_ms == INT64_MAX || (until_ms >= 0 && due_ms > until_ms))
		return false;
	if (due_ms > driver->now_ms)
		driver->now_ms = due_ms;
	return true;
}

/* One input, whichever is next.  *ret_more false: nothing more can happen. */
static int next_step(struct driver *driver, bool *ret_more, struct err *err)
{
	size_t at = 0;
	uint64_t number = 0;
	int64_t reply_ms = next_reply(driver, &at), script_ms = next_script(driver);
	int64_t timer_ms = machine_next_due(driver->machine, &number);
	*ret_more = true;
	if (machine_has_queued(driver->machine)) {
		struct input input = { .kind = INPUT_QUEUED };
		return step(driver, &input, err);
	}
	if (reply_ms <= driver->now_ms)
		return step_reply(driver, at, err);
	if (script_ms == INT64_MIN)
		return step_script(driver, err);
	if (timer_ms <= reply_ms && timer_ms <= script_ms && pass_time(driver, timer_ms)) {
		struct input input = { .kind = INPUT_TIMER, .number = number };
		return step(driver, &input, err);
	}
	if (reply_ms <= script_ms && reply_ms < timer_ms && pass_time(driver, reply_ms))
		return step_reply(driver, at, err);
	if (script_ms < reply_ms && script_ms < timer_ms && pass_time(driver, script_ms))
		return step_script(driver, err);
	*ret_more = false;
	return 0;
}

static int run_to_end(struct driver *driver, struct err *err)
{
	struct input start = { .kind = INPUT_START, .data = (json_t *)driver->options->input };
	bool has_more = true;
	int status = step(driver, &start, err);
	while (status == 0 && has_more && !machine_is_done(driver->machine))
		status = next_step(driver, &has_more, err);
	return status;
}

int driver_run(const struct driver_options *options, bool *is_final, struct err *err)
{
	struct driver driver = {
		.options = options,
		.machine_options = {
			.chart = options->chart,
			.env = options->env,
			.run_id = "exec",
			.seed = 1,
			.http_location = "http://localhost/scxml",
		},
	};
	if (machine_new(&driver.machine_options, &driver.machine, err) < 0)
		return err->code;
	arena_init(&driver.arena);
	effects_init(&driver.effects, &driver.arena);
	map_init(&driver.used);
	int status = run_to_end(&driver, err);
	*is_final = machine_is_done(driver.machine);
	vec_release(&driver.replies);
	map_release(&driver.used);
	effects_release(&driver.effects);
	arena_release(&driver.arena);
	machine_free(driver.machine);
	return status;
}
