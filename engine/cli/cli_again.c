/* SPDX-License-Identifier: MIT */
/* gangway run explain, resume, retry, fork, batch, bulk; task show, assign. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_commands.h"

static json_t *about_run(struct cli *cli, const char *op)
{
	json_t *request = json_pack("{s:s,s:s,s:s}", "op", op, "run", cli->args[0], "by",
	                            cli_by(cli));
	json_put_str(request, "reason", cli_option(cli, "reason"));
	return request;
}

static int number_of(const char *text, int64_t *ret, const char *what, struct err *err)
{
	char *end;
	*ret = strtoll(text, &end, 10);
	if (*text == '\0' || *end != '\0')
		return err_set_id(err, ERR_INPUT, "usage", "'%.40s' is no %s", text, what);
	return 0;
}

/* --- one run --------------------------------------------------------------------------------- */

static void show_explain(const json_t *reply)
{
	char *clean = NULL;
	const char *text = json_str(json_at(reply, "explain"), "text", "");
	/* Line by line: what stands in data must not move the cursor. */
	for (size_t len; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		char *line = mem_dup(text, len);
		clean = cli_clean(line);
		printf("%s\n", clean);
		free(clean);
		free(line);
	}
}

static int run_explain(struct cli *cli)
{
	return cli_ask_and_show(cli, about_run(cli, "run.explain"), show_explain);
}

static int run_resume(struct cli *cli)
{
	return cli_ask_and_show(cli, about_run(cli, "run.resume"), cli_show_run);
}

static int run_retry(struct cli *cli)
{
	return cli_ask_and_show(cli, about_run(cli, "run.retry"), cli_show_run);
}

static int run_fork(struct cli *cli)
{
	struct err err = { 0 };
	int64_t seq;
	if (number_of(cli->args[1], &seq, "record's number", &err) < 0)
		return cli_fail(cli, &err);
	json_t *request = about_run(cli, "run.fork");
	json_put_int(request, "seq", seq);
	json_put_str(request, "correlation_id", cli_option(cli, "correlation-id"));
	return cli_ask_and_show(cli, request, cli_show_run);
}

/* --- many ------------------------------------------------------------------------------------ */

static void show_results(const json_t *reply)
{
	const json_t *results = json_at(reply, "results");
	static const char *const heads[] = { "RUN", "STATUS", "CORRELATION ID", "REFUSED BECAUSE" };
	struct cli_table table;
	cli_table_init(&table, 4);
	for (size_t i = 0; i < 4; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *row = json_array_get(results, i);
		const char *run = json_string_value(row); /* of a dry run */
		cli_table_cell(&table, json_str(row, "run", run ? run : "-"));
		cli_table_cell(&table, json_str(row, "status", "-"));
		cli_table_cell(&table, json_str(row, "correlation_id", "-"));
		cli_table_cell(&table, json_str(json_at(row, "error"), "text", ""));
	}
	cli_table_print(&table);
	printf("%zu in all\n", json_array_size(results));
}

static int run_batch(struct cli *cli)
{
	struct err err = { 0 };
	json_t *starts;
	if (cli_read_json(cli->args[0], &starts, &err) < 0)
		return cli_fail(cli, &err);
	json_t *request = json_pack("{s:s,s:o,s:s}", "op", "run.batch", "starts", starts, "by",
	                            cli_by(cli));
	json_put_str(request, "key", cli_option(cli, "key"));
	return cli_ask_and_show(cli, request, show_results);
}

static int put_time(const struct cli *cli, const char *option, json_t *request, const char *member,
                    struct err *err)
{
	const char *text = cli_option(cli, option);
	int64_t ms = text ? clock_parse_iso(text) : 0;
	if (ms < 0)
		return err_set_id(err, ERR_INPUT, "usage", "--%s: '%.40s' is no date or time",
		                  option, text);
	if (text)
		json_put_int(request, member, ms);
	return 0;
}

static int bulk_request(struct cli *cli, json_t *request, struct err *err)
{
	const char *where = cli_option(cli, "where"), *data = cli_option(cli, "data");
	const char *equals = where ? strchr(where, '=') : NULL;
	json_t *value = NULL;
	static const char *const texts[] = { "graph", "status", "event", "id", "reason" };
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		json_put_str(request, texts[i], cli_option(cli, texts[i]));
	json_put(request, "dry_run", json_boolean(cli_switch(cli, "dry-run")));
	if (where && (!equals || equals == where))
		return err_set(err, ERR_INPUT, "--where takes NAME=VALUE");
	if (where) {
		char *name = mem_dup(where, (size_t)(equals - where));
		json_put(request, "where", json_pack("{s:s}", name, equals + 1));
		free(name);
	}
	if (data && cli_read_json(data, &value, err) < 0)
		return err_wrap(err, "--data");
	json_put(request, "data", value);
	json_put_int(request, "limit", 1000);
	if (put_time(cli, "since", request, "since_ms", err) < 0)
		return err->code;
	return put_time(cli, "until", request, "until_ms", err);
}

static int run_bulk(struct cli *cli)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s,s:s,s:s}", "op", "run.bulk", "action", cli->args[0], "by",
	                            cli_by(cli));
	if (bulk_request(cli, request, &err) < 0) {
		json_decref(request);
		return cli_fail(cli, &err);
	}
	return cli_ask_and_show(cli, request, show_results);
}

/* --- tasks ----------------------------------------------------------------------------------- */

static void show_task(const json_t *reply)
{
	const json_t *task = json_at(reply, "task");
	static const char *const members[] = { "id",   "kind",         "title",   "status",
		                               "role", "owner",        "due_at",  "requested_by",
		                               "run",  "shown_sha256", "comment", "by" };
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		char *clean = cli_clean(json_str(task, members[i], ""));
		if (*clean)
			printf("  %-14s %s\n", members[i], clean);
		free(clean);
	}
	if (json_at(task, "shown")) {
		char *text = json_dumps(json_at(task, "shown"),
		                        JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
		printf("  shown\n%s\n", text);
		free(text);
	}
}

static int task_show(struct cli *cli)
{
	return cli_ask_and_show(
		cli, json_pack("{s:s,s:s}", "op", "task.show", "task", cli->args[0]), show_task);
}

static int task_assign(struct cli *cli)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s,s:s,s:s}", "op", "task.assign", "task", cli->args[0],
	                            "by", cli_by(cli));
	json_put_str(request, "role", cli_option(cli, "role"));
	json_put_str(request, "owner", cli_option(cli, "owner"));
	json_put_str(request, "comment", cli_option(cli, "comment"));
	if (put_time(cli, "due", request, "due_ms", &err) < 0) {
		json_decref(request);
		return cli_fail(cli, &err);
	}
	return cli_ask_and_show(cli, request, show_task);
}

static const char *const no_options[] = { NULL };
static const char *const act_options[] = { "by=", "reason=", NULL };
static const char *const fork_options[] = { "by=", "reason=", "correlation-id=", NULL };
static const char *const batch_options[] = { "by=", "key=", NULL };
static const char *const bulk_options[] = { "graph=",  "status=", "where=", "since=",
	                                    "until=",  "event=",  "data=",  "id=",
	                                    "reason=", "dry-run", "by=",    NULL };
static const char *const assign_options[] = { "role=", "owner=", "due=", "comment=", "by=", NULL };

const struct command command_run_explain = {
	"run",
	"explain",
	"RUN",
	1,
	1,
	no_options,
	"tell in plain language what happened, why, and who must act",
	NULL,
	"gangway run explain 01k9zq3v7w8e6m2x4c5b1n0p9r",
	run_explain
};
const struct command command_run_resume = {
	"run",
	"resume",
	"RUN",
	1,
	1,
	act_options,
	"let a blocked run try the same once more, with the versions in force",
	"For a cause that has gone away by itself.  Mended files are taken by  run repin.",
	"gangway run resume 01k9zq3v7w8e6m2x4c5b1n0p9r --reason 'the machine was overloaded'",
	run_resume
};
const struct command command_run_retry = {
	"run",
	"retry",
	"RUN",
	1,
	1,
	act_options,
	"send the failed call that blocks a run once more, with the key it had",
	NULL,
	"gangway run retry 01k9zq3v7w8e6m2x4c5b1n0p9r --reason 'Salesforce is back'",
	run_retry
};
const struct command command_run_fork = {
	"run",
	"fork",
	"RUN RECORD",
	2,
	2,
	fork_options,
	"begin another run where this one stood after a record",
	"Calls that were open there go out anew, under keys of the new run: what it does, it does\n"
	"again.  --correlation-id names it; the same fork under the same name is made once.",
	"gangway run fork 01k9zq3v7w8e6m2x4c5b1n0p9r 7 --reason 'with the new invoice'",
	run_fork
};
const struct command command_run_batch = {
	"run",
	"batch",
	"STARTS",
	1,
	1,
	batch_options,
	"start up to 1000 runs in one commit",
	"STARTS is JSON text, @FILE, or - : [{\"graph\", \"input\", \"correlation_id\"}]\n"
	"  --key KEY   names starts without a correlation id: KEY/0, KEY/1 ...",
	"gangway run batch @starts.json --key 2026-11-21",
	run_batch
};
const struct command command_run_bulk = {
	"run",
	"bulk",
	"ACTION",
	1,
	1,
	bulk_options,
	"do the same to all runs that a filter finds (at most 1000)",
	"ACTION is cancel, signal, retry, resume or repin\n"
	"  --graph G, --status S, --where NAME=VALUE, --since TIME, --until TIME   which runs\n"
	"  --dry-run                     only tell which\n"
	"  --event NAME, --data JSON, --id ID   of a signal",
	"gangway run bulk retry --status blocked --graph onboarding --dry-run",
	run_bulk
};
const struct command command_task_show = {
	"task",
	"show",
	"TASK",
	1,
	1,
	no_options,
	"show a task, with exactly what its answer will be bound to",
	NULL,
	"gangway task show 01k9zq3v7w8e6m2x4c5b1n0p9r.12",
	task_show
};
const struct command command_task_assign = {
	"task",
	"assign",
	"TASK",
	1,
	1,
	assign_options,
	"give a task to another role, owner or day",
	"  --role ROLE, --owner OWNER   to whom\n"
	"  --due TIME                   until when\n"
	"  --comment T                  why",
	"gangway task assign 01k9zq3v7w8e6m2x4c5b1n0p9r.12 --role cs-director --by ann",
	task_assign
};
