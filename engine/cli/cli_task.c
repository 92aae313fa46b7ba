/* SPDX-License-Identifier: MIT */
/* gangway task ...: what people are asked to do, and their answers. */
#include <stdio.h>
#include <string.h>

#include "cli/cli_commands.h"

static void show_tasks(const json_t *reply)
{
	const json_t *tasks = json_at(reply, "tasks");
	static const char *const heads[] = { "TASK", "STATUS", "WHO", "DUE", "WHAT" };
	struct cli_table table;
	if (json_array_size(tasks) == 0) {
		printf("no tasks\n");
		return;
	}
	cli_table_init(&table, 5);
	for (size_t i = 0; i < 5; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		cli_table_cell(&table, json_str(task, "id", ""));
		cli_table_cell(&table, json_str(task, "status", ""));
		cli_table_cell(&table, json_str(task, "role", json_str(task, "owner", "-")));
		cli_table_cell(&table, json_str(task, "due_at", "-"));
		cli_table_cell(&table, json_str(task, "title", ""));
	}
	cli_table_print(&table);
}

static int task_list(struct cli *cli)
{
	json_t *request = json_pack("{s:s,s:s}", "op", "task.list", "status",
	                            cli_option(cli, "status") ? cli_option(cli, "status") : "open");
	if (cli_switch(cli, "all"))
		json_object_del(request, "status");
	json_put_str(request, "role", cli_option(cli, "role"));
	json_put_str(request, "owner", cli_option(cli, "owner"));
	json_put_str(request, "run", cli_option(cli, "run"));
	if (cli_switch(cli, "overdue"))
		json_put(request, "overdue", json_true());
	return cli_ask_and_show(cli, request, show_tasks);
}

static int answer(struct cli *cli, const char *outcome)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s,s:s,s:s,s:s}", "op", "task.answer", "task", cli->args[0],
	                            "outcome", outcome, "by", cli_by(cli));
	const char *result = cli_option(cli, "result");
	json_t *value = NULL;
	if (result && cli_read_json(result, &value, &err) < 0) {
		json_decref(request);
		err_wrap(&err, "--result");
		return cli_fail(cli, &err);
	}
	json_put(request, "result", value);
	json_put_str(request, "comment", cli_option(cli, "comment"));
	return cli_ask_and_show(cli, request, cli_show_run);
}

static int task_approve(struct cli *cli)
{
	return answer(cli, "approved");
}

static int task_reject(struct cli *cli)
{
	return answer(cli, "rejected");
}

static int task_done(struct cli *cli)
{
	const char *outcome = cli_option(cli, "outcome");
	return answer(cli, outcome ? outcome : "done");
}

static const char *const list_options[] = { "role=",   "owner=", "run=", "status=",
	                                    "overdue", "all",    NULL };
static const char *const answer_options[] = { "by=", "comment=", NULL };
static const char *const done_options[] = { "by=", "comment=", "outcome=", "result=", NULL };

const struct command command_task_list = {
	"task",
	"list",
	"",
	0,
	0,
	list_options,
	"list tasks; the open ones unless told otherwise",
	"  --role ROLE, --owner OWNER, --run RUN   only these\n"
	"  --status STATUS                         waiting, open, done, withdrawn\n"
	"  --overdue                               past their due date\n"
	"  --all                                   in any status",
	"gangway task list --role cs-lead",
	task_list
};
const struct command command_task_approve = {
	"task",
	"approve",
	"TASK",
	1,
	1,
	answer_options,
	"approve what a run waits for",
	"  --by WHO      who approves (default: the login name)\n"
	"  --comment T   why",
	"gangway task approve 01k9zq3v7w8e6m2x4c5b1n0p9r.12 --by ann",
	task_approve
};
const struct command command_task_reject = {
	"task",
	"reject",
	"TASK",
	1,
	1,
	answer_options,
	"reject what a run waits for",
	"  --by WHO      who rejects (default: the login name)\n"
	"  --comment T   why",
	"gangway task reject 01k9zq3v7w8e6m2x4c5b1n0p9r.12 --by ann "
	"--comment 'invoice is disputed'",
	task_reject
};
const struct command command_task_done = {
	"task",
	"done",
	"TASK",
	1,
	1,
	done_options,
	"complete a checklist item, or say what became of an unsure call",
	"  --by WHO        who did it (default: the login name)\n"
	"  --comment T     a remark\n"
	"  --outcome O     for an unsure call: happened, repeat, failed\n"
	"  --result JSON   for an unsure call that happened: its result",
	"gangway task done 01k9zq3v7w8e6m2x4c5b1n0p9r.3.sso --by sam",
	task_done
};
