/* SPDX-License-Identifier: MIT */
/*
 * gangway graph exec: a graph alone, in memory, on a virtual clock.  Stdout
 * carries one line per stable configuration and nothing else; what <log> says
 * and errors that nobody takes go to stderr.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli_commands.h"
#include "cli/cli_graph.h"

/* --- what is told ---------------------------------------------------------------------- */

static void tell_stable(void *ctx, const json_t *line)
{
	const struct cli *cli = ((const struct world *)ctx)->cli;
	if (cli->is_json || !cli->is_terminal) {
		cli_print_json(line);
		return;
	}
	struct buf states;
	buf_init(&states, LIMIT_JSON_BYTES);
	const json_t *atomic = json_at(line, "atomic");
	for (size_t i = 0; i < json_array_size(atomic); i++)
		buf_printf(&states, "%s%s", i ? ", " : "",
		           json_string_value(json_array_get(atomic, i)));
	printf("%8.3f s  %-24s %s%s\n", (double)json_int(line, "at_ms", 0) / 1000.0,
	       json_str(line, "event", json_int(line, "at_ms", 0) == 0 ? "start" : "-"),
	       states.bytes ? states.bytes : "",
	       json_truth(line, "final", false) ? "  (final)" : "");
	buf_release(&states);
}

static void tell_effect(void *ctx, const json_t *effect)
{
	const char *kind = json_str(effect, "kind", ""), *label = json_str(effect, "label", NULL);
	(void)ctx;
	if (strcmp(kind, "log") != 0 && strcmp(kind, "dropped") != 0)
		return;
	bool is_log = kind[0] == 'l';
	const json_t *data = json_at(effect, "data");
	const char *text = json_string_value(is_log ? data : json_path(data, "data.message"));
	char *json = text || !data ? NULL : json_canon(data);
	char *clean = cli_clean(text ? text : json ? json : "");
	char *clean_label = cli_clean(label);
	fprintf(stderr, "%s%s%s%s\n", is_log ? "" : "nobody takes ", clean_label, label ? ": " : "",
	        clean);
	free(clean_label);
	free(clean);
	free(json);
}

/* --- what is given ------------------------------------------------------------------------- */

static bool is_span(const json_t *value)
{
	return !value || (json_is_integer(value) && json_integer_value(value) >= 0 &&
	                  json_integer_value(value) <= INT64_C(10) * 366 * 24 * 3600 * 1000);
}

static int check_events(const json_t *events, struct err *err)
{
	if (events && !json_is_array(events))
		return err_set(err, ERR_INPUT,
		               "--events: no list of {\"event\":{\"name\",\"data\"},\"after\":ms}");
	for (size_t i = 0; i < json_array_size(events); i++) {
		const json_t *entry = json_array_get(events, i), *event = json_at(entry, "event");
		const char *name = json_is_string(event) ? json_string_value(event)
		                                         : json_str(event, "name", "");
		if (!name[0])
			return err_set(err, ERR_INPUT,
			               "--events: entry %zu has no event with a name", i + 1);
		if (strlen(name) > LIMIT_EVENT_NAME_BYTES)
			return err_set(err, ERR_LIMIT,
			               "--events: the name of event %zu is longer than %d bytes",
			               i + 1, LIMIT_EVENT_NAME_BYTES);
		if (!is_span(json_at(entry, "after")))
			return err_set(
				err, ERR_INPUT,
				"--events: 'after' of event %zu is no number of milliseconds",
				i + 1);
	}
	return 0;
}

static int check_answer(const char *action, const json_t *answer, struct err *err)
{
	bool has_result = json_at(answer, "result"), has_error = json_at(answer, "error");
	if (!json_is_object(answer) || has_result == has_error)
		return err_set(
			err, ERR_INPUT,
			"an answer of '%.60s' is {\"result\":...} or {\"error\":...}, perhaps "
			"with \"after\":ms",
			action);
	if (!is_span(json_at(answer, "after")))
		return err_set(err, ERR_INPUT,
		               "'after' of an answer of '%.60s' is no number of milliseconds",
		               action);
	const json_t *error = json_at(answer, "error");
	if (error && !json_is_string(error) && !json_is_object(error))
		return err_set(err, ERR_INPUT,
		               "the error of '%.60s' is neither a message nor an object", action);
	return 0;
}

int world_check_answers(const json_t *answers, struct err *err)
{
	const char *action;
	json_t *list;
	if (answers && !json_is_object(answers))
		return err_set(err, ERR_INPUT,
		               "answers are an object: {\"plugin.action\":[{\"result\":...}]}");
	json_object_foreach((json_t *)(uintptr_t)answers, action, list) {
		size_t count = json_is_array(list) ? json_array_size(list) : 1;
		for (size_t i = 0; i < count; i++)
			if (check_answer(action,
			                 json_is_array(list) ? json_array_get(list, i) : list,
			                 err) < 0)
				return err->code;
	}
	return 0;
}

/* A time in milliseconds, or a span such as "2s". */
static int read_until(const char *text, int64_t *ret_ms, struct err *err)
{
	*ret_ms = -1;
	if (text && chart_parse_delay(text, ret_ms, err) < 0)
		return err_wrap(err, "--until");
	return 0;
}

static int read_now(const char *text, int64_t *ret_ms, struct err *err)
{
	*ret_ms = text ? clock_parse_iso(text) : 0;
	if (*ret_ms >= 0)
		return 0;
	return err_set(err, ERR_INPUT, "--now: '%.60s' is no date and no RFC 3339 time", text);
}

struct given {
	json_t *events, *answers, *input;
	int64_t until_ms, now_ms;
};

static int read_optional(struct cli *cli, const char *option, json_t **ret, struct err *err)
{
	const char *path = cli_option(cli, option);
	if (path && json_read_file(path, LIMIT_JSON_BYTES, ret, err) < 0)
		return err_wrap(err, "--%s", option);
	return 0;
}

static int read_given(struct cli *cli, struct given *ret, struct err *err)
{
	const char *input = cli_option(cli, "input");
	int status = read_until(cli_option(cli, "until"), &ret->until_ms, err);
	if (status == 0)
		status = read_now(cli_option(cli, "now"), &ret->now_ms, err);
	if (status == 0)
		status = read_optional(cli, "events", &ret->events, err);
	if (status == 0)
		status = read_optional(cli, "answers", &ret->answers, err);
	if (status == 0 && input && cli_read_json(input, &ret->input, err) < 0)
		status = err_wrap(err, "--input");
	if (status == 0 && ret->input && !json_is_object(ret->input))
		status = err_set(err, ERR_INPUT, "--input: no JSON object");
	if (status == 0)
		status = check_events(ret->events, err);
	if (status == 0 && world_check_answers(ret->answers, err) < 0)
		status = err_wrap(err, "--answers");
	if (status < 0)
		err->code = ERR_INPUT;
	return status;
}

static void given_release(struct given *given)
{
	json_decref(given->events);
	json_decref(given->answers);
	json_decref(given->input);
}

/* --- running ---------------------------------------------------------------------------------- */

static int take_result(void *ctx, const json_t *effect, bool ok, const json_t *value,
                       struct err *err)
{
	return world_take_result(ctx, effect, ok, value, err);
}

/* driver_run, with a world that asks the driver for the time. */
static int execute(struct world *world, const struct given *given, struct err *err)
{
	const struct driver_options options = { .chart = world->graph->chart,
		                                .env = &world->env,
		                                .input = given->input,
		                                .script = given->events,
		                                .answers = given->answers,
		                                .until_ms = given->until_ms,
		                                .start_ms = given->now_ms,
		                                .on_stable = tell_stable,
		                                .on_effect = tell_effect,
		                                .on_result = take_result,
		                                .ctx = world };
	struct driver *driver = NULL;
	if (driver_new(&options, &driver, err) < 0)
		return err->code;
	world->driver = driver;
	int status = driver_go(driver, err);
	world->driver = NULL;
	driver_free(driver);
	if (status < 0)
		err->code = ERR_SYSTEM; /* exit code 3: it failed while it ran */
	return status;
}

static int run_graph(struct cli *cli, const struct graph *graph, struct err *err)
{
	struct given given = { 0 };
	struct err ignored = {
		0
	}; /* without plugins their calls fail; the graph may not need any */
	int status = read_given(cli, &given, err);
	if (status == 0) {
		struct world world;
		if (cli_plugins(cli, &ignored) < 0 && cli->config.file && !cli->is_json)
			fprintf(stderr, "gangway: going on without plugins: %s\n", ignored.text);
		world_init(&world, cli, graph);
		world.answers = given.answers;
		world.now_ms = given.now_ms;
		status = execute(&world, &given, err);
		world_release(&world);
	}
	given_release(&given);
	return status;
}

static int graph_exec(struct cli *cli)
{
	struct err err = { 0 };
	struct graph graph = { 0 };
	int code;
	if (cli_config(cli, &err) < 0)
		return cli_fail(cli, &err);
	if (graph_read(cli, cli->args[0], &graph, &err) < 0)
		code = cli_fail(cli, &err);
	else if (!graph.chart)
		code = graph_print_diags(cli, &graph);
	else
		code = run_graph(cli, &graph, &err) < 0 ? cli_fail(cli, &err) : 0;
	graph_release(&graph);
	return code;
}

static const char *const exec_options[] = {
	"events=", "answers=", "input=", "until=", "now=", NULL
};

const struct command command_graph_exec = {
	"graph",
	"exec",
	"FILE",
	1,
	1,
	exec_options,
	"run a graph alone, in memory, on a virtual clock",
	"One JSON line per stable configuration (with --json, or when piped).\n"
	"  --input JSON      the run's input; @FILE reads it, - is standard input\n"
	"  --events FILE     [{\"event\":{\"name\":\"t\",\"data\":{}},\"after\":100}, ...]\n"
	"                    after: ms since the event before; without it, when the graph is "
	"stable\n"
	"  --answers FILE    {\"plugin.action\":[{\"result\":...},{\"error\":...}]}; the last "
	"repeats;\n"
	"                    \"after\":ms delays one; \"plugin.action#id\" is for one invoke or "
	"send only\n"
	"  --until MS        stop at this virtual time\n"
	"  --now TIME        what the clock shows at the start (a date or an RFC 3339 time)\n"
	"Rules and templates are evaluated; a call without an answer stays open.\n"
	"exit: 0 final or nothing more can happen, 2 refused, 3 failed while it ran",
	"gangway graph exec graphs/onboarding/onboarding.scxml --input "
	"'{\"account_id\":\"ACME-001\"}'",
	graph_exec
};
