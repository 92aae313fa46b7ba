/* SPDX-License-Identifier: MIT */
/* What scenarios share: see crash.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crash.h"

void start_args(const char **args, const char *graph, const char *input, const char *correlation_id)
{
	const char *const all[] = { "run",          "start",  graph,
		                    "--input",      input,    "--correlation-id",
		                    correlation_id, "--wait", NULL };
	memcpy(args, all, sizeof(all));
}

static void take_text(char **to, const json_t *from, const char *key)
{
	free(*to);
	*to = mem_dup_str(json_str(from, key, ""));
}

void start_inside(struct trial *trial, const char *graph, const char *input,
                  const char *correlation_id)
{
	json_t *reply = trial_ask(trial,
	                          "{\"op\":\"run.start\",\"graph\":\"%s\",\"input\":%s,"
	                          "\"correlation_id\":\"%s\",\"wait\":true,\"by\":\"tester\"}",
	                          graph, input, correlation_id);
	take_text(&trial->run, json_at(reply, "run"), "id");
	json_decref(reply);
	reply = trial_ask(trial, "{\"op\":\"task.list\",\"run\":\"%s\",\"status\":\"open\"}",
	                  trial->run);
	const json_t *tasks = json_at(reply, "tasks");
	for (size_t i = json_array_size(tasks); i-- > 0;)
		if (strcmp(json_str(json_array_get(tasks, i), "kind", ""), "unsure") != 0)
			take_text(&trial->task, json_array_get(tasks, i), "id");
	json_decref(reply);
}

void approve_inside(struct trial *trial)
{
	json_decref(trial_ask(trial,
	                      "{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"approved\","
	                      "\"by\":\"lead\"}",
	                      trial->task ? trial->task : ""));
}

void start_half_way(struct trial *trial, const char *graph, const char *input,
                    const char *correlation_id, long at)
{
	const char *args[TRIAL_ARGS];
	const struct fault fault = { .mode = CRASH_BEFORE, .at = at };
	struct ending ending;
	start_args(args, graph, input, correlation_id);
	world_run(trial->world, args, &fault, &ending);
	if (!ending.is_killed)
		complain(trial, "the other run was not left half way: %s", ending.errors);
	ending_release(&ending);
}

void check_row(struct trial *trial, const char *graph, const char *correlation_id,
               const char *status, const char *decision, const char *outcome)
{
	json_t *row = trial_find(trial, graph, correlation_id);
	const json_t *search = json_at(row, "search");
	if (!row)
		complain(trial, "there is no run %s of %s", correlation_id, graph);
	else if (strcmp(json_str(row, "status", ""), status) != 0)
		complain(trial, "the run is %s, not %s", json_str(row, "status", ""), status);
	if (row && decision && strcmp(json_str(search, "decision", ""), decision) != 0)
		complain(trial, "the decision is %s, not %s", json_str(search, "decision", "?"),
		         decision);
	if (row && outcome && strcmp(json_str(search, "outcome", ""), outcome) != 0)
		complain(trial, "the outcome is %s, not %s", json_str(search, "outcome", "?"),
		         outcome);
	json_decref(row);
}

void check_result(struct trial *trial, const char *graph, const char *correlation_id,
                  const char *want)
{
	json_t *row = trial_find(trial, graph, correlation_id);
	json_t *result = json_loads(want, 0, NULL);
	if (!json_equal(json_at(row, "result"), result)) {
		char *text = json_dumps(row, JSON_COMPACT);
		complain(trial, "the result is not %s: %.400s", want, text ? text : "?");
		free(text);
	}
	json_decref(result);
	json_decref(row);
}

void check_tenant_count(struct trial *trial, size_t want)
{
	json_t *tenants = world_heard(trial->world, "/_sandbox/tenants");
	if (json_array_size(tenants) != want)
		complain(trial, "%zu tenants were made, not %zu", json_array_size(tenants), want);
	json_decref(tenants);
}

void check_run_count(struct trial *trial, const char *graph, size_t want)
{
	json_t *reply = trial_ask(trial, "{\"op\":\"run.list\",\"graph\":\"%s\"}", graph);
	size_t count = json_array_size(json_at(reply, "runs"));
	if (count != want)
		complain(trial, "%zu runs of %s were started, not %zu", count, graph, want);
	json_decref(reply);
}
