/* SPDX-License-Identifier: MIT */
/* What is disturbed at every boundary: recovery, checkpoints, the server, runs that start runs. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "crash.h"

/* --- one call of each class ------------------------------------------------------------------- */

#define WHO "{\"who\":\"ERRAND-1\"}"

static void command_errand(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "errand", WHO, "c-errand");
}

static void check_errand(struct trial *trial)
{
	check_row(trial, "errand", "c-errand", "ended", NULL, NULL);
	check_result(trial, "errand", "c-errand", "{\"tier\":\"starter\"}");
	check_tenant_count(trial, 1);
}

const struct scenario scenario_errand = {
	.name = "errand",
	.has_all_faults = true,
	.plugins = "provision slack",
	.command = command_errand,
	.check = check_errand,
};

/* --- recovery itself -------------------------------------------------------------------------- */

/* Ended once already, while the message was on its way: what is disturbed is recovery. */
static void prepare_recover(struct trial *trial)
{
	inside_close(trial->world->inside);
	start_half_way(trial, "errand", WHO, "c-errand", 96);
}

const struct scenario scenario_recover = {
	.name = "recover",
	.has_all_faults = true,
	.plugins = "provision slack",
	.prepare = prepare_recover,
	.command = command_errand,
	.check = check_errand,
};

/* The same after a power cut in the middle of the tenant's creation. */
static void prepare_lost_power(struct trial *trial)
{
	const char *args[TRIAL_ARGS];
	const struct fault fault = { .mode = CRASH_POWER, .at = 84, .seed = 5 };
	struct ending ending;
	inside_close(trial->world->inside);
	start_args(args, "errand", WHO, "c-errand");
	world_run(trial->world, args, &fault, &ending);
	if (!ending.is_killed)
		complain(trial, "the power was not lost: %s", ending.errors);
	ending_release(&ending);
}

const struct scenario scenario_lost_power = {
	.name = "lost_power",
	.plugins = "provision slack",
	.prepare = prepare_lost_power,
	.command = command_errand,
	.check = check_errand,
};

/* --- runs that start runs, tasks of a checklist ----------------------------------------------- */

static void command_family(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "family", "{\"name\":\"f\"}", "c-family");
}

static void check_family(struct trial *trial)
{
	check_result(trial, "family", "c-family", "{\"name\":\"f\"}");
	check_result(trial, "relay", "f-second", "{\"n\":9,\"from_child\":8}");
	check_result(trial, "ticks", "f-first",
	             "{\"fired\":[\"tick.first\",\"tick.second\",\"tick.third\"]}");
	check_run_count(trial, "relay", 1);
	check_run_count(trial, "ticks", 1);
}

const struct scenario scenario_family = {
	.name = "family",
	.plugins = "",
	.command = command_family,
	.check = check_family,
};

#define CHECKLIST                                                                                  \
	"{\"tenant_id\":\"t-1\",\"account_id\":\"A-1\",\"account_name\":\"A\",\"onboarding_run\":" \
	"\"r\",\"done\":[\"tenant\",\"api_credentials\",\"welcome_email\",\"training_materials\"]}"

/* All but one are done: with the last one the milestone completes itself, and the run ends. */
static void prepare_task(struct trial *trial)
{
	static const char *const items[] = {
		"schedule_kickoff", "conduct_kickoff", "sso",  "custom_reports",
		"check_in",         "verify_login",    "tour", "invite_team"
	};
	start_inside(trial, "checklist", CHECKLIST, "c-list");
	int len = (int)(strrchr(trial->task, '.') - trial->task);
	for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++)
		json_decref(trial_ask(trial,
		                      "{\"op\":\"task.answer\",\"task\":\"%.*s.%s\","
		                      "\"outcome\":\"done\",\"by\":\"sam\"}",
		                      len, trial->task, items[i]));
	char *last = mem_format("%.*s.first_campaign", len, trial->task);
	free(trial->task);
	trial->task = last;
}

static void command_task(struct trial *trial, const char **args)
{
	const char *const all[] = { "task", "done", trial->task, "--by", "sam", NULL };
	memcpy(args, all, sizeof(all));
}

static void check_task(struct trial *trial)
{
	check_row(trial, "checklist", "c-list", "ended", NULL, NULL);
	json_t *reply = trial_ask(trial, "{\"op\":\"task.list\",\"status\":\"done\"}");
	if (json_array_size(json_at(reply, "tasks")) != 14)
		complain(trial, "%zu tasks are done, not 14",
		         json_array_size(json_at(reply, "tasks")));
	json_decref(reply);
}

const struct scenario scenario_task = {
	.name = "task",
	.is_shipped = true,
	.plugins = "slack",
	.prepare = prepare_task,
	.is_kept = true,
	.command = command_task,
	.check = check_task,
};

/* --- the server ------------------------------------------------------------------------------- */

/* What a 2xx named must be there, whatever happened to the process that said it. */
static void post(struct trial *trial, int port, const char *path, const char *headers,
                 const char *body)
{
	char *reply = NULL;
	int status = world_talk(port, "POST", path, headers, body, &reply);
	json_t *value = reply ? json_loads(reply, 0, NULL) : NULL;
	const json_t *run = json_at(value, "run");
	const char *id = json_is_string(run) ? json_string_value(run)
	                                     : json_str(run, "id", json_str(value, "id", NULL));
	if (status / 100 == 2 && id)
		json_put(trial->accepted, id, json_true());
	else
		trial->refused++;
	json_decref(value);
	free(reply);
}

static void talk_hook(struct trial *trial, int port)
{
	trial->refused = 0;
	post(trial, port, "/webhook/hook",
	     "Content-Type: application/json\r\nX-Webhook-Secret: " HOOK_SECRET "\r\n",
	     "{\"correlation_id\":\"c-hook\",\"paid\":true}");
	post(trial, port, "/v1/runs?wait=20", "Content-Type: application/json\r\n",
	     "{\"graph\":\"relay\",\"input\":{},\"correlation_id\":\"c-api\"}");
	post(trial, port, "/v1/runs", "Content-Type: application/json\r\n",
	     "{\"graph\":\"asks\",\"input\":{},\"correlation_id\":\"c-asks\"}");
}

static void finish_hook(struct trial *trial)
{
	start_inside(trial, "asks", "{}", "c-asks");
	approve_inside(trial);
	start_inside(trial, "ticks", "{\"paid\":true}", "c-hook");
}

static void check_hook(struct trial *trial)
{
	check_result(trial, "ticks", "c-hook",
	             "{\"fired\":[\"tick.first\",\"tick.second\",\"tick.third\"]}");
	check_result(trial, "relay", "c-api", "{\"n\":9,\"from_child\":8}");
	check_result(trial, "asks", "c-asks", "{\"outcome\":\"approved\",\"got\":[]}");
	check_run_count(trial, "ticks", 1);
	check_run_count(trial, "relay", 1);
	check_run_count(trial, "asks", 1);
	if (trial->refused > 0)
		complain(trial, "the server that came back refused %d requests", trial->refused);
}

const struct scenario scenario_hook = {
	.name = "hook",
	.plugins = "slack",
	.talk = talk_hook,
	.finish = finish_hook,
	.check = check_hook,
};

/* --- checkpoints ------------------------------------------------------------------------------ */

enum { WAL_PAGES = 2000, PAGE_BYTES = 4096 + 24, RELAY_PAGES = 110 };

static void fill_log(void *arg, int port)
{
	struct trial *trial = arg;
	char *path = mem_format("%s/state/gw.db-wal", trial->world->folder);
	struct stat st = { 0 };
	for (int i = 0; st.st_size < (WAL_PAGES - RELAY_PAGES) * PAGE_BYTES && i < 1000; i++) {
		char *body = mem_format("{\"graph\":\"relay\",\"input\":{},\"correlation_id\":"
		                        "\"c-%d\"}",
		                        i);
		(void)world_talk(port, "POST", "/v1/runs?wait=20",
		                 "Content-Type: application/json\r\n", body, NULL);
		free(body);
		if (stat(path, &st) < 0)
			st.st_size = 0;
	}
	/* As it is now: an orderly end would leave no log. */
	world_keep(trial->world);
	free(path);
}

/* A log that is nearly full: the command's own commits make a checkpoint due. */
static void prepare_checkpoint(struct trial *trial)
{
	struct ending ending;
	inside_close(trial->world->inside);
	world_serve(trial->world, NULL, fill_log, trial, &ending);
	ending_release(&ending);
	world_restore(trial->world);
}

static void command_checkpoint(struct trial *trial, const char **args)
{
	(void)trial;
	start_args(args, "relay", "{}", "c-relay");
}

static void check_checkpoint(struct trial *trial)
{
	check_result(trial, "relay", "c-relay", "{\"n\":9,\"from_child\":8}");
}

const struct scenario scenario_checkpoint = {
	.name = "checkpoint",
	.plugins = "",
	.prepare = prepare_checkpoint,
	.is_kept = true,
	.command = command_checkpoint,
	.check = check_checkpoint,
};
