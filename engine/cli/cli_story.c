/* SPDX-License-Identifier: MIT */
/*
 * gangway graph test: runs the stories beside a graph and tells what differed
 * and what they covered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_commands.h"
#include "cli/cli_story.h"

enum { LOG_LINES = 20 };

/* --- what is printed --------------------------------------------------------------------- */

static void print_clean(const char *before, const char *text)
{
	char *clean = cli_clean(text);
	printf("%s%s\n", before, clean);
	free(clean);
}

/* How a story that failed went: the last configurations. */
static void print_log(const json_t *log)
{
	const json_t *lines = json_at(log, "lines");
	size_t count = json_array_size(lines), from = count > LOG_LINES ? count - LOG_LINES : 0;
	if (count > 0)
		printf("    how it went:\n");
	for (size_t i = from; i < count; i++) {
		const json_t *line = json_array_get(lines, i), *atomic = json_at(line, "atomic");
		printf("      %10.3f s  %-36s", (double)json_int(line, "at_ms", 0) / 1000.0,
		       json_str(line, "event", i == 0 ? "start" : "-"));
		for (size_t k = 0; k < json_array_size(atomic); k++)
			printf(" %s", json_string_value(json_array_get(atomic, k)));
		printf("\n");
	}
}

static void print_story(const json_t *row)
{
	const json_t *differs = json_at(row, "differs");
	const char *name = json_str(row, "name", NULL);
	char *clean = cli_clean(name);
	printf("%-5s %s%s%s\n", json_array_size(differs) ? "FAIL" : "ok",
	       json_str(row, "story", "?"), name ? ": " : "", clean);
	free(clean);
	for (size_t i = 0; i < json_array_size(differs); i++)
		print_clean("    ", json_string_value(json_array_get(differs, i)));
	if (json_array_size(differs) > 0)
		print_log(json_at(row, "log"));
}

static void print_missing(const char *before, const json_t *tally)
{
	const json_t *missing = json_at(tally, "missing");
	for (size_t i = 0; i < json_array_size(missing); i++)
		print_clean(before, json_string_value(json_array_get(missing, i)));
}

static void print_coverage(const json_t *one)
{
	const json_t *states = json_at(one, "states"), *transitions = json_at(one, "transitions");
	printf("%s: %lld of %lld states, %lld of %lld transitions\n", json_str(one, "graph", "?"),
	       (long long)json_int(states, "covered", 0), (long long)json_int(states, "of", 0),
	       (long long)json_int(transitions, "covered", 0),
	       (long long)json_int(transitions, "of", 0));
	print_missing("    no story enters ", states);
	print_missing("    no story takes the transition of ", transitions);
}

static void print_report(const json_t *report)
{
	const json_t *coverage = json_at(report, "coverage");
	printf("%lld passed, %lld failed\n", (long long)json_int(report, "passed", 0),
	       (long long)json_int(report, "failed", 0));
	for (size_t i = 0; i < json_array_size(coverage); i++)
		print_coverage(json_array_get(coverage, i));
}

/* --- running -------------------------------------------------------------------------------- */

static void run_stories(struct suite *suite, const char *only, bool is_json, json_t *report)
{
	json_t *rows = json_array();
	int failed = 0;
	for (size_t i = 0; i < json_array_size(suite->stories); i++) {
		const json_t *story = json_array_get(suite->stories, i);
		if (only && !strstr(json_str(story, "file", ""), only))
			continue;
		json_t *row = json_object(), *differs, *log;
		story_play(suite, story, &differs, &log);
		json_put(row, "story", json_incref(json_at(story, "file")));
		json_put(row, "name", json_incref(json_at(story, "name")));
		json_put(row, "ok", json_boolean(json_array_size(differs) == 0));
		if (json_array_size(differs) > 0) {
			failed++;
			json_put(row, "log", json_incref(log));
		}
		json_put(row, "differs", differs);
		json_push(rows, row);
		if (!is_json)
			print_story(row);
		json_decref(log);
	}
	json_put_int(report, "passed", (int64_t)json_array_size(rows) - failed);
	json_put_int(report, "failed", failed);
	json_put(report, "stories", rows);
}

static void report_coverage(const struct suite *suite, json_t *report)
{
	json_t *list = json_array();
	bool is_full = true;
	for (size_t i = 0; i < suite->graphs.len; i++) {
		const struct coverage *coverage = &suite->graphs.at[i]->coverage;
		json_push(list, coverage_json(coverage));
		/* A variant that a story or two name is shown, but nobody promised to cover it. */
		if (strcmp(suite->graphs.at[i]->file, suite->main_file) == 0)
			is_full = coverage_is_full(coverage);
	}
	json_put(report, "coverage", list);
	json_put(report, "full", json_boolean(is_full));
}

/* --- paths ------------------------------------------------------------------------------------ */

/* A name that nobody uses yet: what people wrote stays. */
static FILE *open_new(const char *folder, char **ret_path, struct err *err)
{
	for (int i = 1; i < 1000; i++) {
		char *path = mem_format("%s/path-%02d.json", folder, i);
		FILE *file = fopen(path, "wxe");
		if (file) {
			*ret_path = path;
			return file;
		}
		int why = errno;
		if (why != EEXIST)
			err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(why));
		free(path);
		if (why != EEXIST)
			return NULL;
	}
	err_set(err, ERR_LIMIT, "%s is full of paths", folder);
	return NULL;
}

static int write_story(const struct cli *cli, const char *folder, const json_t *story,
                       struct err *err)
{
	char *path;
	FILE *file = open_new(folder, &path, err);
	if (!file)
		return err->code;
	json_t *plain = json_copy((json_t *)(uintptr_t)story);
	json_object_del(plain, "covers");
	char *text = json_dumps(plain, JSON_INDENT(2));
	bool is_written = fprintf(file, "%s\n", text) > 0;
	if (fclose(file) != 0 || !is_written)
		err_set(err, ERR_SYSTEM, "%s: %s", path, strerror(errno));
	else if (!cli->is_json)
		printf("wrote %s: %s\n", path, json_str(story, "name", ""));
	free(text);
	json_decref(plain);
	free(path);
	return err->code;
}

static void print_path(const json_t *story)
{
	char *text = json_dumps(story, JSON_INDENT(2));
	printf("%s\n", text);
	free(text);
}

static int show_paths(const struct cli *cli, const json_t *paths, struct err *err)
{
	const json_t *stories = json_at(paths, "stories"), *not_found = json_at(paths, "not_found");
	const char *out = cli_option(cli, "out");
	for (size_t i = 0; i < json_array_size(stories); i++) {
		const json_t *story = json_array_get(stories, i);
		if (out && write_story(cli, out, story, err) < 0)
			return err->code;
		if (!out && !cli->is_json)
			print_path(story);
	}
	for (size_t i = 0; !cli->is_json && i < json_array_size(not_found); i++)
		print_clean("no way was found to take the transition of ",
		            json_string_value(json_array_get(not_found, i)));
	return 0;
}

/* --- the command ------------------------------------------------------------------------------ */

static int test_suite(struct cli *cli, struct suite *suite, json_t *report, struct err *err)
{
	struct story_graph *graph;
	bool wants_paths = cli_switch(cli, "paths");
	if (suite_graph(suite, suite->main_file, &graph, err) < 0)
		return err->code;
	if (json_array_size(suite->stories) == 0 && !wants_paths) {
		err_set(err, ERR_ABSENT, "there are no stories in %s/stories", suite->folder);
		return err_hint(err, "--paths makes some");
	}
	const char *only = cli_option(cli, "only");
	run_stories(suite, only, cli->is_json, report);
	if (only && json_array_size(json_at(report, "stories")) == 0)
		return err_set(err, ERR_ABSENT, "no story has '%.60s' in the name of its file",
		               only);
	report_coverage(suite, report);
	if (!cli->is_json)
		print_report(report);
	if (!wants_paths)
		return 0;
	json_t *paths = suite_paths(suite, err);
	if (!paths)
		return err->code;
	json_put(report, "paths", paths);
	return show_paths(cli, paths, err);
}

static int graph_test(struct cli *cli)
{
	struct err err = { 0 }, ignored = { 0 };
	struct suite suite;
	if (cli_config(cli, &err) < 0)
		return cli_fail(cli, &err);
	if (cli_plugins(cli, &ignored) < 0 && cli->config.file)
		fprintf(stderr, "gangway: parameters and results are not checked: %s\n",
		        ignored.text);
	json_t *report = json_object();
	int status = suite_open(cli, cli->args[0], cli_option(cli, "graph"), &suite, &err);
	if (status == 0)
		status = test_suite(cli, &suite, report, &err);
	int code;
	if (status < 0) {
		code = cli_fail(cli, &err);
	} else {
		bool is_short = cli_switch(cli, "full") && !json_truth(report, "full", false);
		code = json_int(report, "failed", 0) > 0 || is_short ? EXIT_NO : 0;
		if (cli->is_json)
			cli_print_json(report);
	}
	json_decref(report);
	suite_release(&suite);
	return code;
}

static const char *const test_options[] = { "only=", "graph=", "full", "paths", "out=", NULL };

const struct command command_graph_test = {
	"graph",
	"test",
	"DIR",
	1,
	1,
	test_options,
	"run the stories beside a graph, without network or waiting",
	"DIR is a graph's folder, or a name in the configured one; stories are "
	"DIR/stories/*.json:\n"
	"input, canned answers, events, waits and tasks, and what is expected of it.\n"
	"  --only WORD   stories whose file name has this word\n"
	"  --graph FILE  tell them with this graph of the folder, where a story names none\n"
	"  --full        a state or transition that no story covers is a failure\n"
	"  --paths       make the shortest story for each transition that none takes\n"
	"  --out FOLDER  write those as files, instead of printing them\n"
	"exit: 0 all as expected, 1 a story differed or cannot be read, 2 the graph is wrong,\n"
	"      4 there is none",
	"gangway graph test onboarding --full",
	graph_test
};
