/* SPDX-License-Identifier: MIT */
/* Schedules that fire: what is due, what was missed, a span of the past, and at once. */
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "run/run_schedule.h"

enum {
	ON_TIME_MS = 60 * 1000, /* later than this it was missed */
	LOOK_MS = 60 * 1000     /* the wall clock may jump while we wait */
};

int schedule_next(const json_t *schedule, int64_t after_ms, int64_t *ret, struct err *err)
{
	struct zone *zone;
	struct cron cron;
	if (cron_read(json_str(schedule, "cron", ""), &cron, err) < 0 ||
	    zone_open(json_str(schedule, "zone", "UTC"), &zone, err) < 0)
		return err->code;
	*ret = cron_next(&cron, zone, after_ms);
	zone_free(zone);
	return 0;
}

/* --- what a firing starts ------------------------------------------------------------ */

/* The schedule's input; a file is read each time. */
static int read_input(const json_t *schedule, json_t **ret, struct err *err)
{
	const char *path = json_str(schedule, "input_from", NULL);
	json_t *input = json_at(schedule, "input");
	*ret = NULL;
	if (path && json_read_file(path, LIMIT_JSON_BYTES, ret, err) < 0)
		return err->code;
	if (!path)
		*ret = input ? json_incref(input) : json_object();
	bool is_list = json_is_array(*ret);
	for (size_t i = 0; is_list && i < json_array_size(*ret); i++)
		is_list = json_is_object(json_array_get(*ret, i));
	if (is_list || json_is_object(*ret))
		return 0;
	json_decref(*ret);
	return err_set_id(err, ERR_INPUT, "schedule.input",
	                  "the input is no object and no list of objects");
}

static void add_start(json_t *starts, const json_t *schedule, const char *when, json_t *input,
                      int64_t place)
{
	const char *name = json_str(schedule, "name", "");
	json_t *id = place < 0 ? json_sprintf("schedule:%s:%s", name, when)
	                       : json_sprintf("schedule:%s:%s/%lld", name, when, (long long)place);
	json_push(starts, json_pack("{s:s,s:o,s:O}", "graph", json_str(schedule, "graph", ""),
	                            "correlation_id", id, "input", input));
}

static void add_starts(json_t *starts, const json_t *schedule, const char *when, json_t *input)
{
	if (json_is_object(input))
		add_start(starts, schedule, when, input, -1);
	for (size_t i = 0; i < json_array_size(input); i++)
		add_start(starts, schedule, when, json_array_get(input, i), (int64_t)i);
}

/* "2026-11-21T06:00:00Z" */
static void when_of(int64_t ms, char ret[CLOCK_ISO_BYTES])
{
	clock_iso(ms, ret);
	char *dot = strchr(ret, '.');
	if (dot)
		memcpy(dot, "Z", 2);
}

/* The request that starts a run per time and input; NULL with err. */
static json_t *batch_for(const json_t *schedule, const json_t *times, struct err *err)
{
	json_t *input, *starts = json_array();
	if (read_input(schedule, &input, err) < 0) {
		json_decref(starts);
		return NULL;
	}
	for (size_t i = 0; i < json_array_size(times); i++) {
		char when[CLOCK_ISO_BYTES];
		when_of(json_integer_value(json_array_get(times, i)), when);
		add_starts(starts, schedule, when, input);
	}
	json_decref(input);
	if (json_array_size(starts) > LIMIT_BATCH_STARTS) {
		err_set_id(err, ERR_LIMIT, "schedule.starts",
		           "%zu starts at once are more than %d (LIMIT_BATCH_STARTS)",
		           json_array_size(starts), LIMIT_BATCH_STARTS);
		json_decref(starts);
		return NULL;
	}
	return json_pack("{s:s,s:o,s:o}", "op", "run.batch", "starts", starts, "by",
	                 json_sprintf("schedule:%s", json_str(schedule, "name", "")));
}

/*
 * Due times after `from`, up to `until`: the newest ones, at most one more than
 * may be started at once.  Of a calendar that was due thousands of times those
 * in the middle are passed over.
 */
static json_t *due_times(const json_t *schedule, int64_t from_ms, int64_t until_ms)
{
	enum { STEPS_MAX = 5 * LIMIT_BATCH_STARTS };
	json_t *ret = json_array();
	struct err ignored = { 0 }; /* it was checked when it was added */
	struct zone *zone;
	struct cron cron;
	if (cron_read(json_str(schedule, "cron", ""), &cron, &ignored) < 0 ||
	    zone_open(json_str(schedule, "zone", "UTC"), &zone, &ignored) < 0)
		return ret;
	int64_t at = cron_next(&cron, zone, from_ms);
	for (int step = 1; at >= 0 && at <= until_ms; step++) {
		json_push(ret, json_integer(at));
		if (json_array_size(ret) > LIMIT_BATCH_STARTS + 1)
			json_array_remove(ret, 0);
		int64_t tail_ms = (at - from_ms) * 2 / 5; /* 2000 steps of it */
		if (step == STEPS_MAX && until_ms - tail_ms > at)
			at = until_ms - tail_ms;
		at = cron_next(&cron, zone, at);
	}
	zone_free(zone);
	return ret;
}

/* --- by the calendar ------------------------------------------------------------ */

struct firing {
	struct worker *worker;
	char *name;
	int64_t now_ms, next_ms;
	size_t missed; /* what was due and is not started */
};

/* The table moves on. */
static void move_on(const struct firing *firing, size_t started, const char *error)
{
	struct worker *worker = firing->worker;
	struct schedules *schedules = worker->engine->schedules;
	const json_t *before = json_at(schedules->by_name, firing->name);
	json_object_del(schedules->firing, firing->name);
	if (!before)
		return; /* it was removed meanwhile */
	json_t *schedule = json_copy((json_t *)(uintptr_t)before);
	if (json_int(before, "next_ms", 0) <= firing->now_ms) /* else it was set anew meanwhile */
		json_put_int(schedule, "next_ms", firing->next_ms);
	json_put_int(schedule, "last_ms", firing->now_ms);
	json_put_int(schedule, "started", json_int(before, "started", 0) + (int64_t)started);
	json_put_int(schedule, "skipped", json_int(before, "skipped", 0) + (int64_t)firing->missed);
	json_object_del(schedule, "error");
	json_put_str(schedule, "error", error);
	json_t *after = json_copy(schedules->by_name);
	json_put(after, firing->name, schedule);
	engine_log(worker->engine, error ? "error" : "info", "schedule.fired",
	           json_pack("{s:s,s:I,s:I,s:s*}", "schedule", firing->name, "started",
	                     (json_int_t)started, "skipped", (json_int_t)firing->missed, "text",
	                     error));
	schedules_submit(worker, after, json_object(), &(struct asker){ NULL, NULL });
}

static void fired(void *arg, const json_t *reply, bool is_last)
{
	struct firing *firing = arg;
	const json_t *results = json_at(reply, "results");
	const char *error = NULL;
	size_t started = 0;
	bool is_stopping = false;
	if (!is_last)
		return;
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *failure = json_at(json_array_get(results, i), "error");
		started += failure == NULL;
		error = failure ? json_str(failure, "text", "") : error;
		is_stopping = is_stopping || json_int(failure, "code", 0) == ERR_BUSY;
	}
	if (!is_stopping)
		move_on(firing, started, error);
	free(firing->name);
	free(firing);
}

/* Of what is due, what is to be started. */
static json_t *choose(const json_t *schedule, int64_t now_ms, size_t *ret_missed)
{
	const char *policy = json_str(schedule, "missed", "one");
	json_t *times = due_times(schedule, json_int(schedule, "next_ms", 0) - 1, now_ms);
	size_t count = json_array_size(times);
	int64_t last = count ? json_integer_value(json_array_get(times, count - 1)) : 0;
	size_t keep = strcmp(policy, "all") == 0             ? count
	              : strcmp(policy, "one") == 0           ? 1
	              : now_ms - last <= ON_TIME_MS && count ? 1
	                                                     : 0;
	if (keep > LIMIT_BATCH_STARTS)
		keep = LIMIT_BATCH_STARTS;
	*ret_missed = count > keep ? count - keep : 0;
	while (json_array_size(times) > keep)
		json_array_remove(times, 0); /* the newest ones stay */
	return times;
}

static void fire(struct worker *worker, const json_t *schedule, int64_t now_ms)
{
	struct schedules *schedules = worker->engine->schedules;
	struct firing *firing = mem_alloc(sizeof(*firing));
	struct err err = { 0 };
	*firing = (struct firing){ .worker = worker,
		                   .name = mem_dup_str(json_str(schedule, "name", "")),
		                   .now_ms = now_ms };
	json_t *times = choose(schedule, now_ms, &firing->missed);
	if (schedule_next(schedule, now_ms, &firing->next_ms, &err) < 0)
		firing->next_ms = now_ms + 24LL * 3600 * 1000; /* its zone is gone: look tomorrow */
	json_t *batch = json_array_size(times) > 0 ? batch_for(schedule, times, &err) : NULL;
	json_put(schedules->firing, firing->name, json_true());
	if (batch) {
		many_start(worker, batch, &(struct asker){ fired, firing });
	} else {
		move_on(firing, 0, err.code < 0 ? err.text : NULL);
		free(firing->name);
		free(firing);
	}
	json_decref(batch);
	json_decref(times);
}

static void look(void *arg)
{
	struct worker *worker = arg;
	struct schedules *schedules = worker->engine->schedules;
	int64_t now = engine_now(worker->engine);
	schedules->timer = NULL;
	json_t *table = json_incref(schedules->by_name); /* firing swaps it */
	const char *name;
	json_t *schedule;
	json_object_foreach(table, name, schedule)
		if (!json_truth(schedule, "paused", false) && !json_at(schedules->firing, name) &&
		    json_int(schedule, "next_ms", INT64_MAX) <= now)
			fire(worker, schedule, now);
	json_decref(table);
	schedules_arm(worker);
}

void schedules_arm(struct worker *worker)
{
	struct schedules *schedules = worker->engine->schedules;
	int64_t next = INT64_MAX, now = engine_now(worker->engine);
	const char *name;
	json_t *schedule;
	if (!worker->engine->options.keeps_schedules || worker->is_stopping)
		return;
	json_object_foreach(schedules->by_name, name, schedule)
		if (!json_truth(schedule, "paused", false) && !json_at(schedules->firing, name) &&
		    json_int(schedule, "next_ms", INT64_MAX) < next)
			next = json_int(schedule, "next_ms", INT64_MAX);
	if (schedules->timer)
		worker->loop->ops->timer_stop(worker->loop, schedules->timer);
	schedules->timer = NULL;
	if (next == INT64_MAX)
		return;
	int64_t delay = next <= now ? 0 : next - now < LOOK_MS ? next - now : LOOK_MS;
	schedules->timer = worker->loop->ops->timer_start(worker->loop, delay, look, worker);
}

/* --- by people ------------------------------------------------------------ */

static void start_times(struct worker *worker, const json_t *request, const json_t *schedule,
                        const json_t *times, const struct asker *asker)
{
	struct err err = { 0 };
	json_t *batch = batch_for(schedule, times, &err);
	if (!batch) {
		reply_error(asker, &err);
		return;
	}
	/* A person asked: it is that person's run (who may approve it is another). */
	json_put_str(batch, "by", json_str(request, "by", "someone"));
	many_start(worker, batch, asker);
	json_decref(batch);
}

void schedule_trigger(struct worker *worker, const json_t *request, const json_t *schedule,
                      const struct asker *asker)
{
	int64_t now = engine_now(worker->engine);
	const char *key = json_str(request, "key", NULL), *name = json_str(schedule, "name", "");
	/* Never a name that the calendar gives.  The same key is one trigger, whenever it comes. */
	json_t *times = json_pack("[I]", (json_int_t)(key ? 0 : now));
	json_t *named = json_copy((json_t *)(uintptr_t)schedule);
	json_put(named, "name",
	         key ? json_sprintf("%s:trigger-%.60s", name, key)
	             : json_sprintf("%s:trigger", name));
	start_times(worker, request, named, times, asker);
	json_decref(named);
	json_decref(times);
}

void schedule_backfill(struct worker *worker, const json_t *request, const json_t *schedule,
                       const struct asker *asker)
{
	int64_t from = json_int(request, "from_ms", -1), to = json_int(request, "to_ms", -1);
	struct err err = { 0 };
	if (from < 0 || to < from || to > engine_now(worker->engine)) {
		err_set_id(&err, ERR_INPUT, "schedule.backfill",
		           "say from when to when, in the past");
		reply_error(asker, &err);
		return;
	}
	json_t *times = due_times(schedule, from - 1, to);
	if (json_array_size(times) == 0)
		reply_last(asker, json_pack("{s:[]}", "results"));
	else
		start_times(worker, request, schedule, times, asker);
	json_decref(times);
}
