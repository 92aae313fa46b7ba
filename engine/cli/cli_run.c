/* SPDX-License-Identifier: MIT */
/* gangway run ...: starting runs, looking at them, acting on them. */
#include "cli/cli_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_int.h"

/* --- showing a run -------------------------------------------------------------------- */

static void print_pair(const char *name, const char *value)
{
	char *clean = cli_clean(value);
	if (*clean)
		printf("  %-14s %s\n", name, clean);
	free(clean);
}

static void print_value(const char *name, const json_t *value)
{
	if (!value || json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
		return;
	char *text = json_is_string(value) ? mem_dup_str(json_string_value(value))
	                                   : json_canon(value);
	print_pair(name, text);
	free(text);
}

static void print_list(const char *name, const json_t *list)
{
	struct buf out;
	buf_init(&out, LIMIT_JSON_BYTES);
	for (size_t i = 0; i < json_array_size(list); i++)
		buf_printf(&out, "%s%s", i ? ", " : "", json_string_value(json_array_get(list, i)));
	if (out.len > 0)
		print_pair(name, out.bytes);
	buf_release(&out);
}

static void print_lines(const char *name, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		print_value(i == 0 ? name : "", json_array_get(list, i));
}

/* What the search values above have not told already, a member a line. */
static void print_result(const json_t *result, const json_t *search)
{
	const char *name;
	json_t *value;
	if (!json_is_object(result)) {
		print_value("result", result);
		return;
	}
	json_object_foreach((json_t *)(uintptr_t)result, name, value) {
		if (json_equal(value, json_at(search, name)))
			continue;
		if (json_is_array(value))
			print_lines(name, value);
		else
			print_value(name, value);
	}
}

static void print_run(const json_t *run)
{
	printf("run %s\n", json_str(run, "id", ""));
	print_pair("graph", json_str(run, "graph", ""));
	print_pair("correlation id", json_str(run, "correlation_id", ""));
	print_pair("status", json_str(run, "status", ""));
	const char *name;
	json_t *value;
	json_object_foreach(json_at(run, "search"), name, value)
		print_value(name, value);
	print_list("states", json_at(run, "states"));
	print_list("waits for", json_at(run, "waits_for"));
	const json_t *reason = json_at(run, "reason");
	if (reason) {
		print_pair("blocked by", json_str(reason, "text", ""));
		print_pair("", json_str(reason, "hint", ""));
	}
	const json_t *tasks = json_at(run, "tasks");
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		char line[512];
		snprintf(line, sizeof(line), "%s  %s (%s)", json_str(task, "id", ""),
		         json_str(task, "title", ""),
		         json_str(task, "role", json_str(task, "owner", "")));
		print_pair(i == 0 ? "open tasks" : "", line);
		if (strcmp(json_str(task, "kind", ""), "approval") != 0)
			continue;
		snprintf(line, sizeof(line), "gangway task approve|reject %s --by YOU",
		         json_str(task, "id", ""));
		print_pair("", line);
	}
	print_result(json_at(run, "result"), json_at(run, "search"));
	const json_t *paths = json_at(run, "artifact_paths");
	for (size_t i = 0; i < json_array_size(paths); i++)
		print_pair(i == 0 ? "artifacts" : "", json_string_value(json_array_get(paths, i)));
	char took[40];
	snprintf(took, sizeof(took), "%.3f s", (double)json_int(run, "took_ms", 0) / 1000.0);
	print_pair("took", took);
}

int cli_ask_and_show(struct cli *cli, json_t *request_taken, void (*show)(const json_t *reply))
{
	struct err err = { 0 };
	json_t *last;
	int status = cli_ask(cli, request_taken, NULL, NULL, &last, &err);
	json_decref(request_taken);
	if (status < 0)
		return cli_fail(cli, &err);
	int code = 0;
	if (json_at(last, "error")) {
		code = cli_fail_json(cli, json_at(last, "error"));
	} else if (cli->is_json) {
		json_object_del(last, "last");
		cli_print_json(last);
	} else {
		show(last);
	}
	json_decref(last);
	return code;
}

void cli_show_run(const json_t *reply)
{
	print_run(json_at(reply, "run"));
}

/* --- start ----------------------------------------------------------------------------------- */

struct starting {
	struct cli_live live;
	bool is_told;
};

static void on_start_reply(void *arg, const json_t *reply)
{
	struct starting *starting = arg;
	const json_t *run = json_at(reply, "run");
	if (json_at(reply, "step"))
		cli_live_step(&starting->live, reply);
	else if (run && !starting->is_told && json_at(reply, "is_new") &&
	         !json_truth(reply, "last", false) && !starting->live.cli->is_json) {
		printf("run %s %s\n", json_str(run, "id", ""),
		       json_truth(reply, "is_new", true) ? "started"
		                                         : "was started before; it goes on");
		fflush(stdout);
		cli_live_open(&starting->live, json_at(reply, "asks"));
	} else {
		return;
	}
	starting->is_told = true;
}

static int waited_code(const json_t *run)
{
	return strcmp(json_str(run, "status", ""), "blocked") == 0 ? EXIT_NO : 0;
}

/* A program gets one JSON text unless it asks for more. */
static bool wants_steps(const struct cli *cli)
{
	return cli->is_json ? cli_switch(cli, "steps") : !cli_switch(cli, "quiet");
}

static json_t *start_request(struct cli *cli, struct err *err)
{
	json_t *input = NULL;
	const char *text = cli_option(cli, "input");
	if (text && cli_read_json(text, &input, err) < 0) {
		err_wrap(err, "--input");
		return NULL;
	}
	json_t *request = json_pack("{s:s,s:s,s:b,s:b}", "op", "run.start", "graph", cli->args[0],
	                            "wait", cli_switch(cli, "wait"), "watch",
	                            cli_switch(cli, "wait") && wants_steps(cli));
	if (input)
		json_put(request, "input", input);
	json_put_str(request, "correlation_id", cli_option(cli, "correlation-id"));
	/* Who is named may not approve what he started; a bare login is only noted. */
	if (cli_named(cli))
		json_put_str(request, "by", cli_named(cli));
	else
		json_put(request, "by", json_sprintf("login:%s", cli_by(cli)));
	return request;
}

static int finish_start(struct cli *cli, const json_t *last)
{
	const json_t *run = json_at(last, "run");
	if (json_at(last, "error"))
		return cli_fail_json(cli, json_at(last, "error"));
	if (cli->is_json)
		cli_print_json(last);
	else
		print_run(run);
	return cli_switch(cli, "wait") ? waited_code(run) : 0;
}

static int run_start(struct cli *cli)
{
	struct err err = { 0 };
	struct starting starting = { 0 };
	json_t *last;
	json_t *request = start_request(cli, &err);
	if (!request)
		return cli_fail(cli, &err);
	cli_live_init(&starting.live, cli);
	int status = cli_ask(cli, request, on_start_reply, &starting, &last, &err);
	json_decref(request);
	cli_live_end(&starting.live);
	if (status < 0)
		return cli_fail(cli, &err);
	int code = finish_start(cli, last);
	json_decref(last);
	return code;
}

/* --- list ------------------------------------------------------------------------------------- */

static void show_list(const json_t *reply)
{
	const json_t *runs = json_at(reply, "runs");
	struct cli_table table;
	if (json_array_size(runs) == 0) {
		printf("no runs\n");
		return;
	}
	cli_table_init(&table, 6);
	static const char *const heads[] = { "RUN",      "GRAPH",   "STATUS",
		                             "DECISION", "STARTED", "CORRELATION ID" };
	for (size_t i = 0; i < 6; i++)
		cli_table_cell(&table, heads[i]);
	for (size_t i = 0; i < json_array_size(runs); i++) {
		const json_t *run = json_array_get(runs, i);
		cli_table_cell(&table, json_str(run, "id", ""));
		cli_table_cell(&table, json_str(run, "graph", ""));
		cli_table_cell(&table, json_str(run, "status", ""));
		cli_table_cell(&table, json_str(json_at(run, "search"), "decision", "-"));
		cli_table_cell(&table, json_str(run, "created_at", ""));
		cli_table_cell(&table, json_str(run, "correlation_id", ""));
	}
	cli_table_print(&table);
}

static int run_list(struct cli *cli)
{
	struct err err = { 0 };
	json_t *request = json_pack("{s:s}", "op", "run.list");
	json_put_str(request, "graph", cli_option(cli, "graph"));
	json_put_str(request, "status", cli_option(cli, "status"));
	const char *where = cli_option(cli, "where"), *limit = cli_option(cli, "limit");
	if (limit)
		json_put_int(request, "limit", strtol(limit, NULL, 10));
	if (where) {
		const char *equals = strchr(where, '=');
		if (!equals || equals == where) {
			json_decref(request);
			err_set(&err, ERR_INPUT,
			        "--where takes NAME=VALUE, such as account_id=ACME-001");
			return cli_fail(cli, &err);
		}
		char *name = mem_dup(where, (size_t)(equals - where));
		json_t *pair = json_object();
		json_put_str(pair, name, equals + 1);
		json_put(request, "where", pair);
		free(name);
	}
	return cli_ask_and_show(cli, request, show_list);
}

/* --- show, events ----------------------------------------------------------------------------- */

static json_t *about(struct cli *cli, const char *op)
{
	json_t *request = json_pack("{s:s,s:s,s:s}", "op", op, "run", cli->args[0], "by",
	                            cli_by(cli));
	json_put_str(request, "reason", cli_option(cli, "reason"));
	return request;
}

static void show_more(const json_t *reply)
{
	const json_t *run = json_at(reply, "run");
	print_run(run);
	const json_t *calls = json_at(run, "calls");
	for (size_t i = 0; i < json_array_size(calls); i++) {
		const json_t *call = json_array_get(calls, i);
		char line[256];
		snprintf(line, sizeof(line), "%s.%s %s since %s", json_str(call, "type", ""),
		         json_str(call, "action", ""), json_str(call, "state", ""),
		         json_str(call, "since", ""));
		print_pair(i == 0 ? "open calls" : "", line);
	}
	const json_t *pins = json_at(run, "pins");
	print_value("graph version", json_path(pins, "graph.sha256"));
	const char *name;
	json_t *pin;
	json_object_foreach(json_at(pins, "rules"), name, pin) {
		char line[256];
		snprintf(line, sizeof(line), "%s@%s %.12s", name, json_str(pin, "version", ""),
		         json_str(pin, "sha256", ""));
		print_pair("rules", line);
	}
	print_value("data", json_at(run, "data"));
}

static int run_show(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "run.show"), show_more);
}

static void show_events(const json_t *reply)
{
	const json_t *records = json_at(reply, "records");
	for (size_t i = 0; i < json_array_size(records); i++) {
		char *text = json_canon(json_array_get(records, i));
		printf("%s\n", text);
		free(text);
	}
}

static int run_events(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "run.events"), show_events);
}

/* --- acting ----------------------------------------------------------------------------------- */

static int run_cancel(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "run.cancel"), cli_show_run);
}

static int run_repin(struct cli *cli)
{
	return cli_ask_and_show(cli, about(cli, "run.repin"), cli_show_run);
}

static int run_signal(struct cli *cli)
{
	struct err err = { 0 };
	json_t *request = about(cli, "run.signal");
	const char *data = cli_option(cli, "data");
	json_t *value = NULL;
	if (data && cli_read_json(data, &value, &err) < 0) {
		json_decref(request);
		err_wrap(&err, "--data");
		return cli_fail(cli, &err);
	}
	json_put(request, "data", value);
	json_put_str(request, "event", cli->args[1]);
	json_put_str(request, "id", cli_option(cli, "id"));
	return cli_ask_and_show(cli, request, cli_show_run);
}

static void show_replay(const json_t *reply)
{
	const json_t *replay = json_at(reply, "replay");
	const json_t *findings = json_at(replay, "findings");
	printf("%lld records of run %s replayed: %s\n", (long long)json_int(replay, "records", 0),
	       json_str(replay, "run", ""),
	       json_truth(replay, "ok", false) ? "each comes out as recorded" : "they differ");
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		printf("  record %lld: %s\n", (long long)json_int(finding, "seq", 0),
		       json_str(finding, "text", ""));
	}
}

static int run_replay(struct cli *cli)
{
	struct err err = { 0 };
	json_t *request = about(cli, "run.replay"), *last;
	int status = cli_ask(cli, request, NULL, NULL, &last, &err);
	json_decref(request);
	if (status < 0)
		return cli_fail(cli, &err);
	const json_t *replay = json_at(last, "replay");
	int code = replay ? (json_truth(replay, "ok", false) ? 0 : EXIT_NO)
	                  : cli_fail_json(cli, json_at(last, "error"));
	if (replay && cli->is_json)
		cli_print_json(last);
	else if (replay)
		show_replay(last);
	json_decref(last);
	return code;
}

/* --- the rows of the table -------------------------------------------------------------------- */

static const char *const start_options[] = { "input=", "correlation-id=", "by=", "wait",
	                                     "quiet",  "steps",           NULL };
static const char *const list_options[] = { "graph=", "status=", "where=", "limit=", NULL };
static const char *const act_options[] = { "by=", "reason=", NULL };
static const char *const signal_options[] = { "data=", "id=", "by=", NULL };
static const char *const no_options[] = { NULL };

const struct command command_run_start = {
	"run",
	"start",
	"GRAPH",
	1,
	1,
	start_options,
	"start a run of a graph",
	"  --input JSON          the run's input: JSON text, @FILE, or - for standard input\n"
	"  --correlation-id ID   names the run once: the same start again answers the same run\n"
	"  --by WHO              who starts it; who is named may not approve it\n"
	"  --wait                return when it ended, is blocked, or waits only for people\n"
	"  --quiet               with --wait: without the steps\n"
	"  --steps               with --wait --json: a line per step before the last\n"
	"exit: 0 done, 1 blocked, 2 wrong input, 4 no such graph, 5 another run has this id or "
	"account",
	"gangway run start onboarding --input '{\"account_id\":\"ACME-001\"}' --correlation-id "
	"first --wait",
	run_start
};
const struct command command_run_list = {
	"run",
	"list",
	"",
	0,
	0,
	list_options,
	"list runs, the newest first",
	"  --graph NAME          of this graph\n"
	"  --status STATUS       running, waiting, waiting_for_people, blocked, ended, cancelled\n"
	"  --where NAME=VALUE    whose searchable datum has this value\n"
	"  --limit N             at most N (50)",
	"gangway run list --where decision=ESCALATE",
	run_list
};
const struct command command_run_show = { "run",
	                                  "show",
	                                  "RUN",
	                                  1,
	                                  1,
	                                  no_options,
	                                  "show where a run stands and what it knows",
	                                  NULL,
	                                  "gangway run show 01k9zq3v7w8e6m2x4c5b1n0p9r",
	                                  run_show };
const struct command command_run_events = { "run",
	                                    "events",
	                                    "RUN",
	                                    1,
	                                    1,
	                                    no_options,
	                                    "print a run's journal, one record a line",
	                                    NULL,
	                                    "gangway run events 01k9zq3v7w8e6m2x4c5b1n0p9r",
	                                    run_events };
const struct command command_run_cancel = {
	"run",
	"cancel",
	"RUN",
	1,
	1,
	act_options,
	"cancel a run; its onexit handlers run",
	NULL,
	"gangway run cancel 01k9zq3v7w8e6m2x4c5b1n0p9r --reason typo",
	run_cancel
};
const struct command command_run_signal = {
	"run",
	"signal",
	"RUN EVENT",
	2,
	2,
	signal_options,
	"send a run an event",
	"  --data JSON   its data: JSON text, @FILE, or -\n"
	"  --id ID       the same id is taken once\n"
	"Events that begin with done. or error. are the engine's own and refused.",
	"gangway run signal 01k9zq3v7w8e6m2x4c5b1n0p9r contract.signed --data '{\"by\":\"ann\"}'",
	run_signal
};
const struct command command_run_replay = {
	"run",
	"replay",
	"RUN",
	1,
	1,
	no_options,
	"replay a run from its journal and compare",
	"exit: 0 each record comes out as recorded, 1 they differ",
	"gangway run replay 01k9zq3v7w8e6m2x4c5b1n0p9r",
	run_replay
};
const struct command command_run_repin = {
	"run",
	"repin",
	"RUN",
	1,
	1,
	act_options,
	"move a run to the graph and rules as they are now",
	"A blocked run tries again what could not be decided.  The move is on record.",
	"gangway run repin 01k9zq3v7w8e6m2x4c5b1n0p9r --reason 'rule mended'",
	run_repin
};
