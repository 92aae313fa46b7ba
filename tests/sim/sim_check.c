/* SPDX-License-Identifier: MIT */
/*
 * What must hold once the world is well (RELIABILITY.md 5.1):
 *   C1 what was acknowledged exists          C5 the history is a legal one
 *   C2 one key, one body per call            C6 a signal taken is on record
 *   C3 one result per call                   C7 replay gives the same again
 *   C4 a keyed effect happened once          C8 the audit covers everything
 * C2 is checked as requests leave (sim_far.c), P1 as answers come (sim_people.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "sim.h"

/* --- asking ----------------------------------------------------------------------------------- */

struct question {
	json_t *reply;
	bool is_over;
};

static void keep_reply(void *arg, const json_t *reply, bool is_last)
{
	struct question *question = arg;
	json_decref(question->reply);
	question->reply = json_deep_copy(reply);
	question->is_over = is_last;
}

json_t *world_ask(struct world *world, json_t *request_taken)
{
	enum { STEPS_MAX = 100000 };
	struct question question = { 0 };
	engine_request(world->engine, request_taken, keep_reply, &question);
	json_decref(request_taken);
	for (int i = 0; i < STEPS_MAX && !question.is_over; i++)
		if (!time_step(world, INT64_MAX))
			break;
	must(question.is_over);
	return question.reply;
}

/* --- one run's journal ------------------------------------------------------------------------ */

struct reading {
	struct world *world;
	const char *run;
	json_t *calls;   /* {"n.e": {"effect","results","failed","repeats","late","people"}} */
	json_t *signals; /* {id: times} */
	json_t *tasks;   /* {id: last status} */
	json_t *done;    /* {id: true}: answered, though perhaps asked once more (unsure) */
	json_t *kinds;   /* {id: kind} */
	bool is_cancelled;
	int block; /* where the run stands */
	int64_t at;
	long seq;
};

static json_t *call_of(struct reading *reading, const json_t *at, const char *n, const char *e)
{
	char key[48];
	snprintf(key, sizeof(key), "%lld.%lld", (long long)json_int(at, n, 0),
	         (long long)json_int(at, e, 0));
	json_t *call = json_at(reading->calls, key);
	if (!call) {
		call = json_object();
		json_put(reading->calls, key, call);
	}
	return call;
}

static void count(json_t *object, const char *what)
{
	json_put_int(object, what, json_int(object, what, 0) + 1);
}

/* C5, by the graphs' own law: block after block, never back, never past one. */
static void read_states(struct reading *reading, const json_t *record)
{
	const json_t *states = json_at(record, "states");
	int block = -1;
	for (size_t i = 0; i < json_array_size(states); i++) {
		const char *name = json_string_value(json_array_get(states, i));
		if (name && name[0] == 'b')
			block = (int)strtol(name + 1, NULL, 10);
	}
	if (block < 0)
		return;
	if (block < reading->block)
		complain(reading->world, "C5: run %s goes back from block %d to %d", reading->run,
		         reading->block, block);
	reading->block = block;
}

static void read_result(struct reading *reading, const json_t *record)
{
	const json_t *input = json_at(record, "input");
	const char *kind = json_str(record, "kind", "");
	json_t *call = call_of(reading, input, "number", "element");
	if (strcmp(kind, "blocked") == 0) {
		const char *task = json_str(json_at(record, "call"), "task", NULL);
		count(call, "blocked"); /* it is tried again, unless the run is cancelled first */
		if (task)
			json_put(reading->done, task, json_true());
		return;
	}
	count(call, strcmp(kind, "late") == 0 ? "late" : "results");
	if (json_truth(input, "ok", false))
		count(call, "fine");
	if (json_at(json_at(record, "call"), "task"))
		count(call, "people");
}

static void read_effects(struct reading *reading, const json_t *record)
{
	const json_t *effects = json_at(record, "effects");
	for (size_t i = 0; i < json_array_size(effects); i++) {
		json_t *effect = json_array_get(effects, i);
		const char *kind = json_str(effect, "kind", "");
		if (strcmp(kind, "call") == 0 || strcmp(kind, "send") == 0)
			json_put(call_of(reading, effect, "number", "element"), "effect",
			         json_incref(effect));
	}
}

static void read_tasks(struct reading *reading, const json_t *record)
{
	const json_t *tasks = json_at(record, "tasks");
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		const char *id = json_str(task, "id", "");
		json_put_str(reading->tasks, id, json_str(task, "status", ""));
		json_put_str(reading->kinds, id, json_str(task, "kind", ""));
		if (strcmp(json_str(task, "status", ""), "done") == 0)
			json_put(reading->done, id, json_true());
	}
}

static bool read_record(void *arg, int64_t seq, const unsigned char hash[32], struct str body)
{
	struct reading *reading = arg;
	json_t *record = json_loadb(body.ptr, body.len, 0, NULL);
	const char *kind = json_str(record, "kind", "");
	const json_t *input = json_at(record, "input");
	(void)hash;
	if (seq != ++reading->seq)
		complain(reading->world, "C8: run %s has record %lld where %ld belongs",
		         reading->run, (long long)seq, reading->seq);
	if (json_int(record, "at", 0) < reading->at)
		complain(reading->world, "P8: time goes back in run %s at record %lld",
		         reading->run, (long long)seq);
	reading->at = json_int(record, "at", 0);
	read_states(reading, record);
	read_effects(reading, record);
	read_tasks(reading, record);
	if (strcmp(json_str(input, "kind", ""), "result") == 0)
		read_result(reading, record);
	if (strcmp(json_str(input, "kind", ""), "cancel") == 0)
		reading->is_cancelled = true;
	if (json_at(record, "signal"))
		count(reading->signals, json_str(record, "signal", ""));
	if (strcmp(kind, "repeat") == 0)
		count(call_of(reading, record, "n", "e"), "repeats");
	const json_t *artifacts = json_at(record, "artifacts");
	for (size_t i = 0; i < json_array_size(artifacts); i++) {
		const json_t *row = json_array_get(artifacts, i);
		const char *name = json_str(row, "name", "");
		if (!json_at(reading->world->files, name))
			complain(reading->world, "the file %s of run %s was never written", name,
			         reading->run);
	}
	json_decref(record);
	return true;
}

/* C3, C4 */
static void check_call(struct reading *reading, const char *key, const json_t *call)
{
	struct world *world = reading->world;
	const json_t *effect = json_at(call, "effect");
	int64_t results = json_int(call, "results", 0), late = json_int(call, "late", 0);
	if (results + late > 1)
		complain(world, "C3: call %s of run %s has %lld results and %lld late ones", key,
		         reading->run, (long long)results, (long long)late);
	if (strcmp(json_str(effect, "type", ""), "far") != 0)
		return;
	bool takes_risk = strcmp(json_str(json_at(effect, "dispatch"), "on_unsure", ""), "retry") ==
	                  0;
	int64_t allowed = 1 + json_int(call, "repeats", 0);
	for (uint32_t ordinal = 0; ordinal < 2; ordinal++) {
		char mark[65];
		plugin_key(reading->run, (uint64_t)json_int(effect, "number", 0),
		           (uint32_t)json_int(effect, "element", 0), ordinal, mark);
		const json_t *row = json_at(world->services, mark);
		int64_t applied = json_int(row, "applied", 0);
		if (applied > allowed && !(takes_risk && !json_truth(row, "keyed", false)))
			complain(world, "C4: %s of run %s, call %s happened %lld times",
			         json_str(effect, "action", ""), reading->run, key,
			         (long long)applied);
	}
	char first[65];
	plugin_key(reading->run, (uint64_t)json_int(effect, "number", 0),
	           (uint32_t)json_int(effect, "element", 0), 0, first);
	bool is_read = strcmp(json_str(effect, "action", ""), "look") == 0;
	bool is_advice = json_at(json_at(effect, "dispatch"), "advisory") != NULL;
	if (json_int(call, "fine", 0) > 0 && json_int(call, "people", 0) == 0 && !is_read &&
	    !is_advice && !json_at(world->services, first))
		complain(world, "C4: call %s of run %s succeeded and never happened", key,
		         reading->run);
}

static void check_promises(struct reading *reading, int status)
{
	struct world *world = reading->world;
	for (size_t i = 0; i < world->promises.len; i++) {
		const struct sim_promise *promise = &world->promises.at[i];
		if (strcmp(promise->run, reading->run) != 0)
			continue;
		if (strcmp(promise->what, "signal") == 0 &&
		    json_int(reading->signals, promise->value, 0) == 0)
			complain(world, "C6: signal %s of run %s was taken and is not on record",
			         promise->value, promise->run);
		if (strcmp(promise->what, "task") == 0 && !json_at(reading->done, promise->value))
			complain(world, "C1: the answer to task %s was taken, and it is %s",
			         promise->value, json_str(reading->tasks, promise->value, "?"));
		if (strcmp(promise->what, "cancel") == 0 && !reading->is_cancelled &&
		    status < STORE_ENDED)
			complain(world, "C1: run %s was to be cancelled", promise->run);
	}
}

static void check_tasks(struct reading *reading, int status)
{
	const char *id;
	json_t *task;
	json_object_foreach(reading->tasks, id, task) {
		bool is_open = strcmp(json_string_value(task), "done") != 0 &&
		               strcmp(json_string_value(task), "withdrawn") != 0;
		bool is_unsure = strcmp(json_str(reading->kinds, id, ""), "unsure") == 0;
		if (status >= STORE_ENDED && is_open && !is_unsure)
			complain(reading->world, "task %s is %s though its run is over", id,
			         json_string_value(task));
	}
	const char *signal;
	json_t *times;
	json_object_foreach(reading->signals, signal, times) {
		if (json_integer_value(times) > 2) /* blocked, and tried again */
			complain(reading->world, "C6: signal %s of run %s was taken %lld times",
			         signal, reading->run, (long long)json_integer_value(times));
	}
}

/* --- all runs --------------------------------------------------------------------------------- */

struct rows {
	VEC(struct store_run) at;
};

static void keep_row(void *arg, const struct store_run *row)
{
	struct rows *rows = arg;
	struct store_run *copy = vec_add(&rows->at);
	*copy = *row;
	copy->id = mem_dup_str(row->id);
}

static void check_verified(struct world *world, const char *run)
{
	json_t *reply = world_ask(world, json_pack("{s:s,s:s}", "op", "audit.verify", "run", run));
	if (!json_truth(json_at(reply, "verify"), "ok", false)) {
		char *text = json_dumps(reply, JSON_COMPACT);
		complain(world, "C7, C8: run %s does not verify: %.600s", run, text);
		free(text);
	}
	json_decref(reply);
}

static void check_run(struct world *world, const struct store_run *row)
{
	struct err err = { 0 };
	struct reading reading = { .world = world,
		                   .run = row->id,
		                   .calls = json_object(),
		                   .signals = json_object(),
		                   .tasks = json_object(),
		                   .done = json_object(),
		                   .kinds = json_object() };
	must(world->disk->ops->records(world->disk, row->no, 1, read_record, &reading, &err) == 0);
	const char *key;
	json_t *call;
	json_object_foreach(reading.calls, key, call)
		check_call(&reading, key, call);
	check_promises(&reading, row->status);
	check_tasks(&reading, row->status);
	check_verified(world, row->id);
	char *audit = mem_format("audit_%s.json", row->id);
	if (row->status >= STORE_ENDED && !json_at(world->files, audit))
		complain(world, "run %s is over and has no audit file", row->id);
	free(audit);
	json_decref(reading.calls);
	json_decref(reading.signals);
	json_decref(reading.tasks);
	json_decref(reading.done);
	json_decref(reading.kinds);
}

/* C1: each name is one run, and it is the one that was named. */
static void check_starts(struct world *world)
{
	for (size_t i = 0; i < world->starts.len; i++) {
		const struct sim_start *start = world->starts.at[i];
		struct rows rows = { 0 };
		struct err err = { 0 };
		(void)!world->disk->ops->run_by_key(world->disk, graph_name(start->graph),
		                                    start->correlation_id, keep_row, &rows, &err);
		if (start->id && (rows.at.len != 1 || strcmp(rows.at.at[0].id, start->id) != 0))
			complain(world, "C1: run %s was acknowledged and is gone", start->id);
		for (size_t j = 0; j < rows.at.len; j++)
			free((char *)(uintptr_t)rows.at.at[j].id);
		vec_release(&rows.at);
	}
}

void check_world(struct world *world)
{
	struct store_filter filter = { 0 };
	struct err err = { 0 };
	struct rows rows = { 0 };
	check_starts(world);
	must(world->disk->ops->runs(world->disk, &filter, keep_row, &rows, &err) == 0);
	for (size_t i = 0; i < rows.at.len; i++) {
		check_run(world, &rows.at.at[i]);
		free((char *)(uintptr_t)rows.at.at[i].id);
	}
	vec_release(&rows.at);
}
