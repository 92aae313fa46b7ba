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

enum { STEPS_WITHOUT_TIME = 10000, STEPS_WITHOUT_EVENT = 100000 };

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
	json_t *calls;     /* effects of open calls */
	struct {
		struct reply *at;
		size_t len, size;
	} replies;                     /* in the order they were asked for */
	int64_t steps_now, steps_free; /* since time moved, since the script's last event */
};

/* --- answers --------------------------------------------------------------------------- */

static const json_t *take_from(struct driver *driver, const char *key)
{
	const json_t *list = json_at(driver->options->answers, key);
	if (!json_is_array(list))
		return list;
	size_t used = (uintptr_t)map_get(&driver->used, key);
	size_t count = json_array_size(list);
	map_set(&driver->used, key, (void *)(uintptr_t)(used + 1));
	return json_array_get(list, used < count ? used : count - 1);
}

/* The next answer to this call; the last one repeats; NULL: it stays open. */
static const json_t *next_answer(struct driver *driver, const struct effect *effect)
{
	const char *type = effect->type, *action = effect->action;
	char *key = action ? mem_format("%s.%s", type, action) : mem_dup_str(type);
	char *own = mem_format("%s#%s", key, effect->id ? effect->id : "");
	const json_t *ret = take_from(driver, own);
	if (!ret)
		ret = take_from(driver, key);
	free(own);
	free(key);
	return ret;
}

static void open_call(struct driver *driver, const struct effect *effect)
{
	const json_t *answer = next_answer(driver, effect);
	json_t *call = effect_to_json(effect);
	json_put_int(call, "opened_ms", driver->now_ms);
	json_push(driver->calls, call);
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

static bool is_call(const json_t *effect, uint64_t number, const uint32_t *element)
{
	return (uint64_t)json_int(effect, "number", 0) == number &&
	       (!element || (uint32_t)json_int(effect, "element", 0) == *element);
}

/* Takes the call out of the open ones; new, NULL when it is not open.  element NULL: any. */
static json_t *close_call(struct driver *driver, uint64_t number, const uint32_t *element)
{
	for (size_t i = 0; i < json_array_size(driver->calls); i++) {
		json_t *effect = json_array_get(driver->calls, i);
		if (!is_call(effect, number, element))
			continue;
		json_incref(effect);
		json_array_remove(driver->calls, i);
		return effect;
	}
	return NULL;
}

static void withdraw(struct driver *driver, uint64_t number)
{
	json_t *effect;
	while ((effect = close_call(driver, number, NULL)) != NULL)
		json_decref(effect);
	for (size_t i = driver->replies.len; i-- > 0;) {
		if (driver->replies.at[i].number != number)
			continue;
		driver->replies.len--;
		memmove(&driver->replies.at[i], &driver->replies.at[i + 1],
		        (driver->replies.len - i) * sizeof(driver->replies.at[0]));
	}
}

/* --- a step ------------------------------------------------------------------------------ */

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
			open_call(driver, effect);
		else if (effect->kind == EFFECT_CANCEL)
			withdraw(driver, effect->number);
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
	json_put_int(line, "at_ms", driver->now_ms - options->start_ms);
	json_put(line, "event",
	         machine->last_event ? json_string(machine->last_event) : json_null());
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
	driver->steps_now++;
	driver->steps_free++;
	free(driver->machine->last_event);
	driver->machine->last_event = NULL;
	driver->machine->has_moved = false;
	if (machine_step(driver->machine, input, NULL, &made, &driver->effects, err) < 0)
		return err->code;
	json_decref(made);
	/* The good end of a send, a step of a child: the root is where it was. */
	if (driver->machine->has_moved)
		tell_stable(driver);
	take_effects(driver);
	return driver->options->restarts ? restart(driver, err) : 0;
}

static int step_result(struct driver *driver, const struct reply *reply, struct err *err)
{
	json_t *failure = json_at(reply->answer, "error"),
	       *result = json_at(reply->answer, "result");
	const struct driver_options *options = driver->options;
	json_t *effect = close_call(driver, reply->number, &reply->element);
	struct input input = {
		.kind = INPUT_RESULT,
		.number = reply->number,
		.element = reply->element,
		.ok = !failure,
		.data = result,
		.failure = json_incref(failure),
		.took_ms = reply->took_ms,
	};
	if (json_is_string(failure)) { /* the short form is the message alone */
		json_decref(input.failure);
		input.failure = json_object();
		json_put_str(input.failure, "message", json_string_value(failure));
	}
	int status = 0;
	if (effect && options->on_result)
		status = options->on_result(options->ctx, effect, input.ok,
		                            input.ok ? result : input.failure, err);
	if (status == 0)
		status = step(driver, &input, err);
	json_decref(effect);
	json_decref(input.failure);
	return status;
}

static int step_reply(struct driver *driver, size_t at, struct err *err)
{
	struct reply reply = driver->replies.at[at];
	driver->replies.len--;
	memmove(&driver->replies.at[at], &driver->replies.at[at + 1],
	        (driver->replies.len - at) * sizeof(reply));
	return step_result(driver, &reply, err);
}

static int step_queued(struct driver *driver, struct err *err)
{
	struct input input = { .kind = INPUT_QUEUED };
	return step(driver, &input, err);
}

static int step_timer(struct driver *driver, uint64_t number, struct err *err)
{
	struct input input = { .kind = INPUT_TIMER, .number = number };
	return step(driver, &input, err);
}

int driver_event(struct driver *driver, const json_t *event, struct err *err)
{
	struct input input = { .kind = INPUT_EVENT };
	json_t *named = NULL;
	if (json_is_string(event)) {
		named = json_object();
		json_put_str(named, "name", json_string_value(event));
	}
	int status = event_from_json(named ? named : event, &input.event, err);
	json_decref(named);
	if (status < 0)
		return status;
	driver->steps_free = 0;
	status = step(driver, &input, err);
	event_release(&input.event);
	return status;
}

/* --- what is next -------------------------------------------------------------------------- */

static const json_t *script_entry(const struct driver *driver)
{
	return json_array_get(driver->options->script, driver->script_next);
}

static int step_script(struct driver *driver, struct err *err)
{
	const json_t *event = json_at(script_entry(driver), "event");
	driver->script_next++;
	driver->script_ms = driver->now_ms;
	if (driver_event(driver, event, err) == 0)
		return 0;
	return err->code == ERR_INPUT
	               ? err_wrap(err, "event %zu of the script", driver->script_next)
	               : err->code;
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
static bool pass_time(struct driver *driver, int64_t due_ms, int64_t end_ms)
{
	if (due_ms == INT64_MAX || due_ms > end_ms)
		return false;
	if (due_ms > driver->now_ms) {
		driver->now_ms = due_ms;
		driver->steps_now = 0;
	}
	return true;
}

static int check_end(const struct driver *driver, struct err *err)
{
	bool has_end = driver->options->until_ms >= 0;
	if (driver->steps_now < STEPS_WITHOUT_TIME &&
	    (has_end || driver->steps_free < STEPS_WITHOUT_EVENT))
		return 0;
	if (driver->steps_now >= STEPS_WITHOUT_TIME)
		return err_set_id(err, ERR_LIMIT, "driver.endless",
		                  "the graph goes on without end: %d steps and no time passed",
		                  STEPS_WITHOUT_TIME);
	err_set_id(err, ERR_LIMIT, "driver.endless", "the graph goes on without end: %d steps",
	           STEPS_WITHOUT_EVENT);
	return err_hint(err, "say until when it is to run");
}

/* What needs no time: the machine's own messages, answers that are due. */
static int step_at_once(struct driver *driver, bool *ret_did, struct err *err)
{
	size_t at = 0;
	*ret_did = true;
	if (machine_is_done(driver->machine))
		*ret_did = false;
	else if (machine_has_queued(driver->machine))
		return step_queued(driver, err);
	else if (next_reply(driver, &at) <= driver->now_ms)
		return step_reply(driver, at, err);
	else
		*ret_did = false;
	return 0;
}

/* Whatever is due first until end_ms: a timer, an answer, an event of the script. */
static int step_in_time(struct driver *driver, int64_t script_ms, int64_t end_ms, bool *ret_did,
                        struct err *err)
{
	size_t at = 0;
	uint64_t number = 0;
	int64_t reply_ms = next_reply(driver, &at);
	int64_t timer_ms = machine_next_due(driver->machine, &number);
	*ret_did = !machine_is_done(driver->machine);
	if (!*ret_did)
		return 0;
	if (timer_ms <= reply_ms && timer_ms <= script_ms && pass_time(driver, timer_ms, end_ms))
		return step_timer(driver, number, err);
	if (reply_ms <= script_ms && reply_ms < timer_ms && pass_time(driver, reply_ms, end_ms))
		return step_reply(driver, at, err);
	if (script_ms < reply_ms && script_ms < timer_ms && pass_time(driver, script_ms, end_ms))
		return step_script(driver, err);
	*ret_did = false;
	return 0;
}

int driver_settle(struct driver *driver, struct err *err)
{
	bool did = true;
	int status = 0;
	while (status == 0 && did) {
		status = step_at_once(driver, &did, err);
		if (status == 0)
			status = check_end(driver, err);
	}
	return status;
}

int driver_pass(struct driver *driver, int64_t ms, struct err *err)
{
	int64_t end_ms = driver->now_ms + ms;
	bool did = true;
	int status = driver_settle(driver, err);
	while (status == 0 && did) {
		status = step_in_time(driver, INT64_MAX, end_ms, &did, err);
		if (status == 0)
			status = driver_settle(driver, err);
	}
	if (status == 0 && end_ms > driver->now_ms)
		driver->now_ms = end_ms;
	return status;
}

int driver_end_call(struct driver *driver, uint64_t number, uint32_t element, bool ok,
                    const json_t *value, struct err *err)
{
	json_t *answer = json_object();
	json_put(answer, ok ? "result" : "error", json_incref((json_t *)(uintptr_t)value));
	const struct reply reply = { .number = number, .element = element, .answer = answer };
	int status = step_result(driver, &reply, err);
	json_decref(answer);
	return status;
}

int driver_cancel(struct driver *driver, struct err *err)
{
	struct input input = { .kind = INPUT_CANCEL };
	return step(driver, &input, err);
}

const json_t *driver_calls(const struct driver *driver)
{
	return driver->calls;
}

int64_t driver_next_due(const struct driver *driver)
{
	size_t at;
	int64_t reply_ms = next_reply(driver, &at),
		timer_ms = machine_next_due(driver->machine, NULL);
	return reply_ms < timer_ms ? reply_ms : timer_ms;
}

int64_t driver_now(const struct driver *driver)
{
	return driver->now_ms;
}

const struct machine *driver_machine(const struct driver *driver)
{
	return driver->machine;
}

/* --- a whole story --------------------------------------------------------------------------- */

int driver_new(const struct driver_options *options, struct driver **ret, struct err *err)
{
	struct driver *driver = mem_alloc(sizeof(*driver));
	*driver = (struct driver){
		.options = options,
		.machine_options = {
			.chart = options->chart,
			.env = options->env,
			.run_id = options->run_id ? options->run_id : "exec",
			.seed = 1,
			.http_location = "http://localhost/scxml",
		},
		.now_ms = options->start_ms,
		.script_ms = options->start_ms,
		.calls = json_array(),
	};
	arena_init(&driver->arena);
	effects_init(&driver->effects, &driver->arena);
	map_init(&driver->used);
	if (machine_new(&driver->machine_options, &driver->machine, err) < 0) {
		driver_free(driver);
		return err->code;
	}
	*ret = driver;
	return 0;
}

void driver_free(struct driver *driver)
{
	if (!driver)
		return;
	vec_release(&driver->replies);
	map_release(&driver->used);
	effects_release(&driver->effects);
	arena_release(&driver->arena);
	machine_free(driver->machine);
	json_decref(driver->calls);
	free(driver);
}

int driver_start(struct driver *driver, struct err *err)
{
	struct input start = { .kind = INPUT_START,
		               .data = (json_t *)(uintptr_t)driver->options->input };
	return step(driver, &start, err);
}

int driver_go(struct driver *driver, struct err *err)
{
	const struct driver_options *options = driver->options;
	int64_t end_ms = options->until_ms < 0 ? INT64_MAX : options->start_ms + options->until_ms;
	bool did = true;
	int status = driver_start(driver, err);
	while (status == 0 && did) {
		status = driver_settle(driver, err);
		if (status < 0)
			break;
		int64_t script_ms = next_script(driver);
		if (script_ms == INT64_MIN && !machine_is_done(driver->machine))
			status = step_script(driver, err);
		else
			status = step_in_time(driver, script_ms, end_ms, &did, err);
		if (status == 0)
			status = check_end(driver, err);
	}
	return status;
}

int driver_run(const struct driver_options *options, bool *is_final, struct err *err)
{
	struct driver *driver;
	if (driver_new(options, &driver, err) < 0)
		return err->code;
	int status = driver_go(driver, err);
	*is_final = machine_is_done(driver->machine);
	driver_free(driver);
	return status;
}
