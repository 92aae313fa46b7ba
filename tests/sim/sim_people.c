/* SPDX-License-Identifier: MIT */
/*
 * Who wants something of the engine.  Callers start runs and ask again with the
 * same name until they are told; senders signal with an id and repeat it; the
 * people of tasks answer late, twice, with nonsense, or never; an operator looks
 * at everything every few minutes, edits graphs, cancels, moves what is blocked.
 *
 * What the engine acknowledges is a promise: it is looked for in the store in
 * that very instant, and again at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim.h"

/* A question under way. */
struct ask {
	struct world *world;
	uint64_t life;
	json_t *request;
	struct sim_start *start; /* of a start; NULL */
	bool is_counted;         /* the promise has been noted */
};

static bool is_heard(const struct ask *ask)
{
	return !ask->world->is_dead && ask->life == ask->world->life;
}

static void ask_free(struct ask *ask)
{
	json_decref(ask->request);
	free(ask);
}

static void ask(struct world *world, json_t *request_taken, struct sim_start *start,
                engine_reply_cb *cb)
{
	struct ask *ask = mem_alloc(sizeof(*ask));
	ask->world = world;
	ask->life = world->life;
	ask->request = request_taken;
	ask->start = start;
	engine_request(world->engine, request_taken, cb, ask);
}

/* --- promises --------------------------------------------------------------------------------- */

static void keep_seen(void *arg, const struct store_run *row)
{
	(void)row;
	*(bool *)arg = true;
}

/* P1: acknowledged means durable, at once. */
static void check_is_there(struct world *world, const char *run)
{
	struct err err = { 0 };
	bool is_there = false;
	(void)!world->disk->ops->run_by_id(world->disk, run, keep_seen, &is_there, &err);
	if (!is_there)
		complain(world, "P1: run %s is acknowledged and not in the store", run);
}

static void promise(struct world *world, const char *run, const char *what, const char *value)
{
	*vec_add(&world->promises) = (struct sim_promise){ mem_dup_str(run), mem_dup_str(what),
		                                           mem_dup_str(value) };
	say(world, "promised: %s %s %s", run, what, value);
}

/* --- starting --------------------------------------------------------------------------------- */

static void start_again(struct world *world, void *arg);

static void started(void *arg, const json_t *reply, bool is_last)
{
	struct ask *ask = arg;
	struct world *world = ask->world;
	struct sim_start *start = ask->start;
	const json_t *error = json_at(reply, "error");
	const char *id = json_str(json_at(reply, "run"), "id", NULL);
	if (is_heard(ask) && !boundary(world, "before a start is acknowledged")) {
		if (id && !ask->is_counted) {
			ask->is_counted = true;
			check_is_there(world, id);
			if (start->id && strcmp(start->id, id) != 0)
				complain(world, "C1: %s is run %s and run %s",
				         start->correlation_id, start->id, id);
			if (!start->id) {
				start->id = mem_dup_str(id);
				promise(world, id, "run", start->correlation_id);
			}
		}
		if (error) {
			const char *code = json_str(error, "id", "");
			say(world, "start of %s: %s", start->correlation_id, code);
			start->is_refused = strcmp(code, "run.exclusive") == 0 ||
			                    strcmp(code, "run.conflict") == 0;
			if (strcmp(code, "run.conflict") == 0)
				complain(world, "C1: the same start is called another: %s",
				         start->correlation_id);
		}
		if (is_last) {
			start->is_asking = false;
			if (!start->id && !start->is_refused)
				(void)time_after(world, SIM_PEOPLE, between(world, 100, 60000),
				                 start_again, start);
		}
	}
	if (is_last)
		ask_free(ask);
}

static void start_again(struct world *world, void *arg)
{
	struct sim_start *start = arg;
	if (start->id || start->is_refused || start->is_asking)
		return;
	if (!world->engine || world->is_dead) {
		(void)time_after(world, SIM_PEOPLE, between(world, 100, 60000), start_again, start);
		return;
	}
	json_t *request = json_pack("{s:s,s:s,s:s,s:O,s:b,s:b,s:s}", "op", "run.start", "graph",
	                            graph_name(start->graph), "correlation_id",
	                            start->correlation_id, "input", start->input, "wait",
	                            (int)start->wants_end, "watch", (int)start->wants_end, "by",
	                            "caller");
	bool is_double = !world->is_healed && lucky(world, world->options.person_twice);
	start->is_asking = true;
	if (is_double)
		ask(world, json_deep_copy(request), start, started);
	ask(world, request, start, started);
}

/* --- signals, answers, cancels, repins -------------------------------------------------------- */

/* The journal must have it now, and at the end. */
static void done(void *arg, const json_t *reply, bool is_last)
{
	struct ask *ask = arg;
	struct world *world = ask->world;
	const char *op = json_str(ask->request, "op", "");
	const char *run = json_str(ask->request, "run", "");
	if (is_heard(ask) && is_last && !boundary(world, "before an acknowledgement") &&
	    !json_at(reply, "error")) {
		if (strcmp(op, "run.signal") == 0) {
			promise(world, run, "signal", json_str(ask->request, "id", ""));
			world->seen.signals++;
		} else if (strcmp(op, "task.answer") == 0) {
			promise(world, run, "task", json_str(ask->request, "task", ""));
			world->seen.tasks++;
		} else if (strcmp(op, "run.cancel") == 0) {
			promise(world, run, "cancel", "");
		}
	}
	if (is_last && json_at(reply, "error"))
		say(world, "%s of %s: %s", op, run, json_str(json_at(reply, "error"), "id", ""));
	if (is_last)
		ask_free(ask);
}

static void do_answer(struct world *world, void *arg)
{
	char number[24];
	snprintf(number, sizeof(number), "%zu", (size_t)(uintptr_t)arg);
	json_t *request = json_incref(json_at(world->asked, number));
	json_object_del(world->asked, number);
	bool is_twice = !world->is_healed && lucky(world, world->options.person_twice);
	if (!world->engine || world->is_dead) {
		json_decref(request);
		return;
	}
	if (strcmp(json_str(request, "outcome", ""), "repeat") == 0)
		json_put(world->repeated, json_str(request, "task", ""), json_true());
	if (is_twice)
		ask(world, json_deep_copy(request), NULL, done);
	ask(world, request, NULL, done);
}

/* In a while. */
static void plan(struct world *world, int64_t delay_ms, json_t *request_taken)
{
	char number[24];
	long n = ++world->operator_numbers;
	snprintf(number, sizeof(number), "%ld", n);
	json_put(world->asked, number, request_taken);
	(void)time_after(world, SIM_PEOPLE, delay_ms, do_answer, (void *)(uintptr_t)n);
}

static const char *outcome_of(struct world *world, const char *kind)
{
	static const char *const unsure[] = { "happened", "repeat", "failed" };
	if (strcmp(kind, "approval") == 0)
		return lucky(world, 700) ? "approved" : "rejected";
	if (strcmp(kind, "item") == 0)
		return "done";
	return unsure[chance(world, 3)];
}

static void answer_task(struct world *world, const char *run, const json_t *task)
{
	bool is_wrong = !world->is_healed && lucky(world, world->options.person_wrong);
	if (strcmp(json_str(task, "status", ""), "open") != 0)
		return;
	json_t *request = json_pack(
		"{s:s,s:s,s:O,s:s,s:s}", "op", "task.answer", "run", run, "task",
		json_at(task, "id"), "by", is_wrong ? "ann" : "bob", "outcome",
		is_wrong && lucky(world, 500) ? "perhaps"
					      : outcome_of(world, json_str(task, "kind", "")));
	bool is_late = !world->is_healed && lucky(world, world->options.person_late);
	plan(world, is_late ? between(world, 60000, 8 * 3600000) : 10, request);
}

static void signal_run(struct world *world, const char *run)
{
	char id[32];
	snprintf(id, sizeof(id), "s%ld", ++world->operator_numbers);
	plan(world, 1,
	     json_pack("{s:s,s:s,s:s,s:s,s:{s:i},s:s}", "op", "run.signal", "run", run, "event",
	               lucky(world, 900) ? "go" : "noise", "id", id, "data", "x", 1, "by",
	               "sender"));
}

static void simple(struct world *world, const char *op, const char *run)
{
	plan(world, 1, json_pack("{s:s,s:s,s:s}", "op", op, "run", run, "by", "operator"));
}

/* --- the operator ----------------------------------------------------------------------------- */

static void look_at_run(struct world *world, const json_t *run)
{
	const char *id = json_str(run, "id", ""), *status = json_str(run, "status", "");
	const json_t *tasks = json_at(run, "tasks");
	bool is_healed = world->is_healed;
	if (strcmp(status, "ended") == 0 || strcmp(status, "cancelled") == 0)
		return;
	for (size_t i = 0; i < json_array_size(tasks); i++)
		if (is_healed || lucky(world, 500))
			answer_task(world, id, json_array_get(tasks, i));
	if (strcmp(status, "blocked") == 0 && (is_healed || lucky(world, 400)))
		simple(world, "run.repin", id);
	else if (strcmp(status, "waiting") == 0 && (is_healed || lucky(world, 400)))
		signal_run(world, id);
	else if (!is_healed && lucky(world, 50))
		signal_run(world, id);
	if (!is_healed && lucky(world, world->options.person_cancel))
		simple(world, "run.cancel", id);
}

static void shown(void *arg, const json_t *reply, bool is_last)
{
	struct ask *ask = arg;
	if (is_heard(ask) && json_at(reply, "run"))
		look_at_run(ask->world, json_at(reply, "run"));
	if (is_last)
		ask_free(ask);
}

static void listed(void *arg, const json_t *reply, bool is_last)
{
	struct ask *list = arg;
	struct world *world = list->world;
	const json_t *runs = json_at(reply, "runs");
	if (is_heard(list))
		for (size_t i = 0; i < json_array_size(runs); i++)
			ask(world,
			    json_pack("{s:s,s:O}", "op", "run.show", "run",
			              json_at(json_array_get(runs, i), "id")),
			    NULL, shown);
	if (is_last)
		ask_free(list);
}

static void edit(struct world *world)
{
	int i = (int)chance(world, (uint64_t)world->options.graphs);
	if (world->is_healed)
		return;
	bool may_break = lucky(world, world->options.break_graph);
	if (!may_break && !lucky(world, world->options.edit))
		return;
	world->graph_broken[i] = may_break && !world->graph_broken[i];
	world->graph_version[i]++;
	world->edits++;
	graph_write(world, i);
}

static void look(struct world *world, void *arg)
{
	(void)arg;
	edit(world);
	if (!world->is_healed && lucky(world, world->options.clock_jump)) {
		world->time.wall_off_ms = between(world, -3600000, 3600000);
		say(world, "the clock jumps to %+lld ms", (long long)world->time.wall_off_ms);
	}
	if (world->engine && !world->is_dead)
		ask(world, json_pack("{s:s,s:i}", "op", "run.list", "limit", 1000), NULL, listed);
	int64_t most = world->is_healed ? 4 * 3600000 : world->options.faults_ms / 20 + 60001;
	(void)time_after(world, SIM_PEOPLE, between(world, 60000, most), look, NULL);
}

/* --- the cast --------------------------------------------------------------------------------- */

void people_init(struct world *world)
{
	world->asked = json_object();
	for (int i = 0; i < world->options.starts; i++) {
		struct sim_start *start = mem_alloc(sizeof(*start));
		start->graph = (int)chance(world, (uint64_t)world->options.graphs);
		start->correlation_id = mem_format("c%d", i);
		start->input = json_pack("{s:s}", "who", chance(world, 2) ? "x" : "y");
		start->wants_end = lucky(world, 300);
		*vec_add(&world->starts) = start;
		(void)time_after(world, SIM_PEOPLE,
		                 lucky(world, 500) ? between(world, 0, 50)
		                                   : between(world, 0, world->options.faults_ms),
		                 start_again, start);
	}
	(void)time_after(world, SIM_PEOPLE, 30000, look, NULL);
}

void people_hear_of_death(struct world *world)
{
	for (size_t i = 0; i < world->starts.len; i++) {
		struct sim_start *start = world->starts.at[i];
		if (!start->is_asking)
			continue;
		start->is_asking = false;
		if (!start->id && !start->is_refused)
			(void)time_after(world, SIM_PEOPLE, between(world, 100, 60000), start_again,
			                 start);
	}
}

static void count_open(void *arg, const struct store_run *row)
{
	*(int *)arg += row->status < STORE_ENDED;
}

bool people_are_content(struct world *world)
{
	struct store_filter filter = { 0 };
	struct err err = { 0 };
	int open = 0;
	for (size_t i = 0; i < world->starts.len; i++)
		if (!world->starts.at[i]->id && !world->starts.at[i]->is_refused)
			return false;
	must(world->disk->ops->runs(world->disk, &filter, count_open, &open, &err) == 0);
	return open == 0;
}

void people_release(struct world *world)
{
	for (size_t i = 0; i < world->starts.len; i++) {
		free(world->starts.at[i]->correlation_id);
		free(world->starts.at[i]->id);
		json_decref(world->starts.at[i]->input);
		free(world->starts.at[i]);
	}
	for (size_t i = 0; i < world->promises.len; i++) {
		free(world->promises.at[i].run);
		free(world->promises.at[i].what);
		free(world->promises.at[i].value);
	}
	json_decref(world->asked);
	vec_release(&world->starts);
	vec_release(&world->promises);
}
