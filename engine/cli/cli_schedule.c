/* SPDX-License-Identifier: MIT */
/* gangway schedule ...: runs that start by the calendar. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_commands.h"

static json_t *about(struct cli *cli, const char *op)
{
	return json_pack("{s:s,s:s,s:s}", "op", op, "name", cli->args[0], "by", cli_by(cli));
}

static void show_schedule(const json_t *reply)
{
	const json_t *schedule = json_at(reply, "schedule");
	static const char *const members[] = { "name",    "graph",   "cron",       "zone",
		                               "missed",  "next_at", "input_from", "last_at",
		                               "started", "skipped", "error" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		const json_t *value = json_at(schedule, members[i]);
		char *text = json_is_string(value) ? mem_dup_str(json_string_value(value))
		             : value               ? json_canon(value)
		                                   : mem_dup_str("");
		char *clean = cli_clean(text);
		if (*clean)
			printf("  %-10s %s\n", members[i], clean);
		free(clean);
		free(text);
	}
	if (json_truth(schedule, "paused", false))
		printf("  it is paused\n");
}

static void show_list(const json_t *reply)
{
	static const char *const heads[] = { "SCHEDULE", "GRAPH", "CRON", "ZONE", "NEXT", "LAST" };
	const json_t *schedules = json_at(reply, "schedules");
	struct cli_table table;
	cli_table_init(&table, 6);
	for (size_t i = 0; i < 6; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < json_array_size(schedules); i++) {
		const json_t *schedule = json_array_get(schedules, i);
		bool is_paused = json_truth(schedule, "paused", false);
		cli_table_cell(&table, json_str(schedule, "name", ""));
		cli_table_cell(&table, json_str(schedule, "graph", ""));
		cli_table_cell(&table, json_str(schedule, "cron", ""));
		cli_table_cell(&table, json_str(schedule, "zone", ""));
		cli_table_cell(&table, is_paused ? "paused" : json_str(schedule, "next_at", "-"));
		cli_table_cell(&table, json_str(schedule, "last_at", "-"));
	}
	if (json_array_size(schedules) == 0)
		printf("no schedules\n");
	cli_table_print(&table);
}

static void show_started(const json_t *reply)
{
	const json_t *results = json_at(reply, "results");
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *row = json_array_get(results, i);
		const char *why = json_str(json_at(row, "error"), "text", NULL);
		printf("%s  %s%s\n", json_str(row, "run", "-"), json_str(row, "correlation_id", ""),
		       why                               ? why
		       : json_truth(row, "is_new", true) ? ""
		                                         : " (was there)");
	}
	printf("%zu in all\n", json_array_size(results));
}

/* The owner of the store reads the file, wherever it was started. */
static int put_file(json_t *request, const char *path, struct err *err)
{
	char absolute[PATH_MAX];
	if (!realpath(path, absolute))
		return err_set_id(err, ERR_ABSENT, "schedule.input", "there is no file %.200s",
		                  path);
	json_put_str(request, "input_from", absolute);
	return 0;
}

static int schedule_add(struct cli *cli)
{
	struct err err = { 0 };
	const char *name = cli_option(cli, "name"), *input = cli_option(cli, "input");
	const char *file = cli_option(cli, "input-from");
	json_t *value = NULL;
	json_t *request = json_pack("{s:s,s:s,s:s,s:s,s:b}", "op",
	                            cli_switch(cli, "replace") ? "schedule.set" : "schedule.add",
	                            "name", name ? name : cli->args[0], "graph", cli->args[0], "by",
	                            cli_by(cli), "paused", (int)cli_switch(cli, "paused"));
	static const char *const texts[] = { "cron", "zone", "missed" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		json_put_str(request, texts[i], cli_option(cli, texts[i]));
	if (!cli_option(cli, "cron")) {
		err_set(&err, ERR_INPUT, "say when: --cron \"0 6 * * *\"");
	} else if (input && cli_read_json(input, &value, &err) < 0) {
		err_wrap(&err, "--input");
	} else if (!file || put_file(request, file, &err) == 0) {
		json_put(request, "input", value);
		return cli_ask_and_show(cli, request, show_schedule);
	}
	json_decref(request);
	return cli_fail(cli, &err);
}

static int schedule_list(struct cli *cli)
{
	return cli_ask_and_show(cli, json_pack("{s:s}", "op", "schedule.list"), show_list);
}

static int schedule_show(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "schedule.show"), show_schedule);
}

static int schedule_pause(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "schedule.pause"), show_schedule);
}

static int schedule_resume(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "schedule.resume"), show_schedule);
}

static int schedule_remove(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "schedule.remove"), show_schedule);
}

static int schedule_trigger(struct cli *cli)
{
	json_t *request = about(cli, "schedule.trigger");
	json_put_str(request, "key", cli_option(cli, "key"));
	return cli_ask_and_show(cli, request, show_started);
}

static int schedule_backfill(struct cli *cli)
{
	struct err err = { 0 };
	const char *from = cli_option(cli, "from"), *to = cli_option(cli, "to");
	int64_t from_ms = from ? clock_parse_iso(from) : -1, to_ms = to ? clock_parse_iso(to) : -1;
	if (from_ms < 0 || to_ms < 0) {
		err_set(&err, ERR_INPUT,
		        "say from when to when: --from 2026-11-01 --to 2026-11-21");
		return cli_fail(cli, &err);
	}
	json_t *request = about(cli, "schedule.backfill");
	json_put_int(request, "from_ms", from_ms);
	json_put_int(request, "to_ms", to_ms);
	return cli_ask_and_show(cli, request, show_started);
}

static const char *const no_options[] = { NULL };
static const char *const by_options[] = { "by=", NULL };
static const char *const add_options[] = { "name=",   "cron=",  "zone=",   "input=", "input-from=",
	                                   "missed=", "paused", "replace", "by=",    NULL };
static const char *const trigger_options[] = { "key=", "by=", NULL };
static const char *const backfill_options[] = { "from=", "to=", "by=", NULL };

const struct command command_schedule_add = {
	"schedule",
	"add",
	"GRAPH",
	1,
	1,
	add_options,
	"start runs of a graph by the calendar, while gangway serve runs",
	"  --cron C           minute hour day month weekday, or @hourly, @daily ...\n"
	"  --zone Z           whose clock (default: UTC), such as Europe/Berlin\n"
	"  --input JSON       what a run is given; of a list each element is a run's\n"
	"  --input-from FILE  the same from a file that is read at each firing\n"
	"  --missed P         what was due while nothing ran: one (the default: the last of\n"
	"                     it), all, skip\n"
	"  --name N           the schedule's name (default: the graph's)\n"
	"  --paused, --replace",
	"gangway schedule add onboarding --cron '0 6 * * *' --input-from due.json",
	schedule_add
};
const struct command command_schedule_list = { "schedule",
	                                       "list",
	                                       "",
	                                       0,
	                                       0,
	                                       no_options,
	                                       "list the schedules",
	                                       NULL,
	                                       "gangway schedule list",
	                                       schedule_list };
const struct command command_schedule_show = { "schedule",
	                                       "show",
	                                       "NAME",
	                                       1,
	                                       1,
	                                       no_options,
	                                       "show a schedule",
	                                       NULL,
	                                       "gangway schedule show onboarding",
	                                       schedule_show };
const struct command command_schedule_pause = { "schedule",
	                                        "pause",
	                                        "NAME",
	                                        1,
	                                        1,
	                                        by_options,
	                                        "let a schedule start nothing for a while",
	                                        NULL,
	                                        "gangway schedule pause onboarding",
	                                        schedule_pause };
const struct command command_schedule_resume = {
	"schedule",
	"resume",
	"NAME",
	1,
	1,
	by_options,
	"let a paused schedule go on, with what is due from now on",
	NULL,
	"gangway schedule resume onboarding",
	schedule_resume
};
const struct command command_schedule_remove = { "schedule",
	                                         "remove",
	                                         "NAME",
	                                         1,
	                                         1,
	                                         by_options,
	                                         "remove a schedule; its runs go on",
	                                         NULL,
	                                         "gangway schedule remove onboarding",
	                                         schedule_remove };
const struct command command_schedule_trigger = {
	"schedule",
	"trigger",
	"NAME",
	1,
	1,
	trigger_options,
	"start what a schedule starts now",
	"  --key KEY   the same key is one trigger, however often it is asked",
	"gangway schedule trigger onboarding",
	schedule_trigger
};
const struct command command_schedule_backfill = {
	"schedule",
	"backfill",
	"NAME",
	1,
	1,
	backfill_options,
	"start what would have been due in a span of the past, each once",
	"  --from TIME, --to TIME   2026-11-21 or RFC 3339; at most 1000 runs",
	"gangway schedule backfill onboarding --from 2026-11-01 --to 2026-11-21",
	schedule_backfill
};
