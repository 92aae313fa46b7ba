/* SPDX-License-Identifier: MIT */
/* What is ended at every boundary: each scenario is a command of the real program. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "crash.h"

/* --- parts ------------------------------------------------------------------------------------ */

static void start_args(const char **args, const char *graph, const char *input,
                       const char *correlation_id)
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

/* Starts a run undisturbed; its id goes to trial->run, its first open task's to trial->task. */
static void start(struct trial *trial, const char *graph, const char *input,
                  const char *correlation_id, int code)
{
	const char *args[TRIAL_ARGS];
	start_args(args, graph, input, correlation_id);
	json_t *reply = trial_run(trial, code, args);
	const json_t *run = json_at(reply, "run");
	take_text(&trial->run, run, "id");
	take_text(&trial->task, json_array_get(json_at(run, "tasks"), 0), "id");
	json_decref(reply);
}

/* The run's row must say this; want NULL: the member is not looked at. */
static void check_row(struct trial *trial, const char *graph, const char *correlation_id,
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

static void check_result(struct trial *trial, const char *graph, const char *correlation_id,
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

static void check_tenant_count(struct trial *trial, size_t want)
{
	json_t *tenants = world_sandbox(trial->world, "/_sandbox/tenants");
	if (json_array_size(tenants) != want)
		complain(trial, "%zu tenants were made, not %zu", json_array_size(tenants), want);
	json_decref(tenants);
}

static void check_checklist(struct trial *trial)
{
	const char *args[] = { "run", "list", "--graph", "checklist", NULL };
	json_t *reply = trial_run(trial, 0, args);
	const json_t *runs = json_at(reply, "runs");
	if (json_array_size(runs) != 1)
		complain(trial, "%zu checklists were started", json_array_size(runs));
	json_decref(reply);
}

/* The person's command again: done now, or done by the command that was ended. */
static void approve(struct trial *trial, int code)
{
	const char *args[] = { "task", "approve", trial->task, "--by", "lead", NULL };
	json_decref(trial_run(trial, code, args));
}

/* --- onboarding ------------------------------------------------------------------------------- */

#define ACME "{\"account_id\":\"ACME-001\"}"
#define BETA "{\"account_id\":\"BETA-002\"}"
#define GAMMA "{\"account_id\":\"GAMMA-003\"}"

static void command_proceed(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "onboarding", ACME, "c-proceed");
}

static void check_proceed(struct trial *trial)
{
	check_row(trial, "onboarding", "c-proceed", "ended", "PROCEED", "provisioned");
	check_tenant_count(trial, 1);
	check_checklist(trial);
}

static const struct scenario proceed = { "proceed", true,          NULL, command_proceed,
	                                 NULL,      check_proceed, 14 };

static void command_escalate(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "onboarding", GAMMA, "c-escalate");
}

static void finish_escalate(struct trial *trial)
{
	start(trial, "onboarding", GAMMA, "c-escalate", 0);
	json_t *reply = NULL;
	const char *args[] = { "task", "list", "--run", trial->run, NULL };
	reply = trial_run(trial, 0, args);
	const json_t *tasks = json_at(reply, "tasks");
	for (size_t i = 0; i < json_array_size(tasks); i++)
		if (strcmp(json_str(json_array_get(tasks, i), "kind", ""), "approval") == 0)
			take_text(&trial->task, json_array_get(tasks, i), "id");
	json_decref(reply);
	approve(trial, 0);
	start(trial, "onboarding", GAMMA, "c-escalate", 0);
}

static void check_escalate(struct trial *trial)
{
	check_row(trial, "onboarding", "c-escalate", "ended", "ESCALATE", "provisioned");
	check_tenant_count(trial, 1);
	check_checklist(trial);
}

static const struct scenario escalate = { "escalate",      true,           NULL, command_escalate,
	                                  finish_escalate, check_escalate, 10 };

static void prepare_approve(struct trial *trial)
{
	start(trial, "onboarding", GAMMA, "c-escalate", 0);
}

static void command_approve(struct trial *trial, const char **args)
{
	const char *const all[] = { "task", "approve", trial->task, "--by", "lead", NULL };
	memcpy(args, all, sizeof(all));
}

static void finish_approve(struct trial *trial)
{
	start(trial, "onboarding", GAMMA, "c-escalate", 0);
}

static const struct scenario approved = {
	"approve", true, prepare_approve, command_approve, finish_approve, check_escalate, 10
};

/* Another run is in the store, left half way; both are carried by one process then. */
static void prepare_together(struct trial *trial)
{
	enum { HALF_WAY = 300 };
	const char *args[TRIAL_ARGS];
	struct ending ending;
	start_args(args, "onboarding", ACME, "c-proceed");
	world_run(trial->world, args, HALF_WAY, CRASH_BEFORE, &ending, NULL);
	if (!ending.is_killed)
		complain(trial, "the other run was not left half way");
	ending_release(&ending);
}

static void command_together(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "onboarding", BETA, "c-block");
}

static void finish_together(struct trial *trial)
{
	start(trial, "onboarding", ACME, "c-proceed", 0);
}

static void check_together(struct trial *trial)
{
	check_proceed(trial);
	check_row(trial, "onboarding", "c-block", "ended", "BLOCK", "blocked");
}

static const struct scenario together = {
	"together", true, prepare_together, command_together, finish_together, check_together, 8
};

/* --- timers, sends to itself ------------------------------------------------------------------ */

static void command_ticks(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "ticks", "{}", "c-ticks");
}

static void check_ticks(struct trial *trial)
{
	check_result(trial, "ticks", "c-ticks",
	             "{\"fired\":[\"tick.first\",\"tick.second\",\"tick.third\"]}");
}

static const struct scenario ticks = { "ticks", false, NULL, command_ticks, NULL, check_ticks, 6 };

static void command_relay(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "relay", "{}", "c-relay");
}

static void check_relay(struct trial *trial)
{
	check_result(trial, "relay", "c-relay", "{\"n\":9,\"from_child\":8}");
}

static const struct scenario relay = { "relay", false, NULL, command_relay, NULL, check_relay, 6 };

/* --- what people do --------------------------------------------------------------------------- */

static void prepare_asks(struct trial *trial)
{
	start(trial, "asks", "{}", "c-asks", 0);
}

static void command_signal(struct trial *trial, const char **args)
{
	const char *const all[] = { "run", "signal", trial->run, "note", "--id",
		                    "7",   "--data", "\"x\"",    NULL };
	memcpy(args, all, sizeof(all));
}

static void finish_signal(struct trial *trial)
{
	approve(trial, 0);
}

static void check_signal(struct trial *trial)
{
	check_result(trial, "asks", "c-asks", "{\"outcome\":\"approved\",\"got\":[\"x\"]}");
}

static const struct scenario signal_once = {
	"signal", false, prepare_asks, command_signal, finish_signal, check_signal, 4
};

static void command_cancel(struct trial *trial, const char **args)
{
	const char *const all[] = { "run", "cancel", trial->run, "--reason", "test", NULL };
	memcpy(args, all, sizeof(all));
}

static void check_cancel(struct trial *trial)
{
	check_row(trial, "asks", "c-asks", "cancelled", NULL, NULL);
}

static const struct scenario cancel = { "cancel",     false, prepare_asks, command_cancel, NULL,
	                                check_cancel, 4 };

/* The graph in the world's own folder: broken at first. */
static void write_stuck(struct trial *trial, bool is_mended)
{
	char *path = mem_format("%s/tests/crash/graphs/stuck/stuck.scxml", trial->world->root);
	char *text = world_read(path);
	char *at = strstr(text, "return false");
	if (is_mended)
		memcpy(at, "return true ", strlen("return false"));
	world_write(trial->world, "graphs/stuck/stuck.scxml", text);
	free(text);
	free(path);
}

static void prepare_repin(struct trial *trial)
{
	char *folder = mem_format("%s/graphs", trial->world->folder);
	write_stuck(trial, false);
	world_graphs(trial->world, folder);
	start(trial, "stuck", "{}", "c-stuck", 1);
	write_stuck(trial, true);
	free(folder);
}

static void command_repin(struct trial *trial, const char **args)
{
	const char *const all[] = { "run", "repin", trial->run, "--reason", "mended", NULL };
	memcpy(args, all, sizeof(all));
}

static void finish_repin(struct trial *trial)
{
	start(trial, "stuck", "{}", "c-stuck", 0);
}

static void check_repin(struct trial *trial)
{
	check_result(trial, "stuck", "c-stuck", "{\"outcome\":\"provisioned\"}");
	check_tenant_count(trial, 1);
}

static const struct scenario repin = {
	"repin", false, prepare_repin, command_repin, finish_repin, check_repin, 4
};

const struct scenario *const scenarios[] = { &proceed, &escalate,    &approved, &together, &ticks,
	                                     &relay,   &signal_once, &cancel,   &repin,    NULL };
