/* SPDX-License-Identifier: MIT */
/*
 * The W3C's conformance tests, in their Lua form, with the virtual clock.
 *
 *	w3c [--verbose] [NUMBER ... | SECTION.NAME]
 *
 * Each test runs three times: straight; with the machine saved and restored
 * after every step, which must tell the same story, line for line; and from the
 * file as `graph fmt` lays it out, which must end the same.  passes.tsv
 * beside this file lists the tests that pass, and the reason for each exception;
 * a listed test that fails is a failure, one that passes and is not listed is
 * reported, and the file may only grow.
 *
 * tests/cases/scxml has cases of our own, by section; SECTION.NAME is a part of a
 * file's name there ("3.10-").  They run always.
 *
 * The corpus is no part of the repository: GANGWAY_SCXML_DIR, or the folder
 * scxml of GANGWAY_SHARED, or ../shared/scxml.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "machine/driver.h"
#include "script/script.h"

struct corpus {
	char *dir;
	struct script *script;
	bool is_verbose;
	bool is_formatted; /* files are laid out before they are read */
};

static char *corpus_dir(void)
{
	const char *own = getenv("GANGWAY_SCXML_DIR"), *shared = getenv("GANGWAY_SHARED");
	if (own)
		return mem_dup_str(own);
	return shared ? mem_format("%s/scxml", shared) : mem_dup_str(SRCDIR "/../shared/scxml");
}

static int read_file(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	const struct corpus *corpus = ctx;
	char *path = mem_format("%s/%s", corpus->dir, name);
	char *text = check_file(path);
	free(path);
	if (!text)
		return err_set(err, ERR_ABSENT, "there is no file '%s'", name);
	int status = 0;
	if (corpus->is_formatted && str_ends(name, ".scxml"))
		chart_format(str_of(text), ret);
	else
		status = buf_add(ret, text, strlen(text), err);
	free(text);
	return status;
}

static int load_chart(struct corpus *corpus, const char *name, struct chart **ret, struct err *err)
{
	struct chart_folder folder = { .ctx = corpus, .read = read_file };
	struct chart_diags diags = { 0 };
	struct buf text;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	int status = read_file(corpus, name, &text, err);
	if (status == 0)
		status = chart_new(buf_str(&text), name, &folder, &diags, ret, err);
	chart_diags_release(&diags);
	buf_release(&text);
	return status;
}

static int child_chart(void *ctx, const char *src, struct chart **ret, struct err *err)
{
	return load_chart(ctx, src, ret, err);
}

/* No plugins, no other sessions. */
static int check_effect(void *ctx, const struct effect *effect, struct err *err)
{
	(void)ctx;
	if (effect->kind == EFFECT_CALL || effect->kind == EFFECT_SEND)
		return err_set(err, ERR_ABSENT, "there is no plugin '%s'", effect->type);
	return err_set(err, ERR_SYSTEM, "'%s' cannot be reached", effect->target);
}

static const struct datamodel_ops *find_datamodel(void *ctx, const char *name, void **factory)
{
	struct corpus *corpus = ctx;
	if (strcmp(name, script_datamodel_ops.name) != 0)
		return NULL;
	*factory = corpus->script;
	return &script_datamodel_ops;
}

/* What a run told: every line, and where it ended. */
struct story {
	struct buf lines;
	char *end; /* the atomic states of the last line, as JSON */
	bool is_verbose;
};

static void add_line(struct story *story, const json_t *line)
{
	json_canon_put(line, &story->lines);
	buf_put(&story->lines, "\n");
	if (story->is_verbose) {
		char *text = json_canon(line);
		printf("# %s\n", text);
		free(text);
	}
}

static void on_stable(void *ctx, const json_t *line)
{
	struct story *story = ctx;
	add_line(story, line);
	free(story->end);
	story->end = json_canon(json_at(line, "atomic"));
}

static void on_effect(void *ctx, const json_t *effect)
{
	add_line(ctx, effect);
}

static int tell(struct corpus *corpus, const struct chart *chart, bool restarts,
                struct story *story, struct err *err)
{
	struct machine_env env = {
		.ctx = corpus,
		.check = check_effect,
		.child_chart = child_chart,
		.datamodel = find_datamodel,
	};
	struct driver_options options = {
		.chart = chart,
		.env = &env,
		.until_ms = 120000,
		.restarts = restarts,
		.on_stable = on_stable,
		.on_effect = on_effect,
		.ctx = story,
	};
	bool is_final = false;
	buf_init(&story->lines, 64 * 1024 * 1024);
	return driver_run(&options, &is_final, err);
}

static void story_release(struct story *story)
{
	buf_release(&story->lines);
	free(story->end);
}

/* Why the test did not pass, in words to be freed; NULL when it did. */
static char *play(struct corpus *corpus, const struct chart *chart, const char *want)
{
	struct story straight = { .is_verbose = corpus->is_verbose }, restarted = { 0 };
	struct err err = { 0 };
	char *why = NULL;
	int status = tell(corpus, chart, false, &straight, &err);
	if (status == 0 && (!straight.end || strcmp(straight.end, want) != 0))
		why = mem_format("it ended in %s", straight.end ? straight.end : "nothing");
	if (status == 0 && !why) {
		status = tell(corpus, chart, true, &restarted, &err);
		if (status == 0 && !str_eq(buf_str(&straight.lines), buf_str(&restarted.lines)))
			why = mem_format("it went another way after restarts:\n%s---\n%s",
			                 straight.lines.bytes, restarted.lines.bytes);
		story_release(&restarted);
	}
	if (status < 0 && !why)
		why = mem_format("%s", err.text);
	story_release(&straight);
	return why;
}

/* The end that means success: see the README of the corpus. */
static const char *wanted_end(int number)
{
	static const int ends_in_final[] = { 178, 230, 250, 307, 415 };
	for (size_t i = 0; i < sizeof(ends_in_final) / sizeof(ends_in_final[0]); i++) {
		if (ends_in_final[i] == number)
			return "[\"final\"]";
	}
	return "[\"pass\"]";
}

/* The same from the file as it is laid out. */
static char *play_formatted(struct corpus *corpus, const char *name, const char *want)
{
	struct chart *chart = NULL;
	struct err err = { 0 };
	char *why;
	corpus->is_formatted = true;
	if (load_chart(corpus, name, &chart, &err) < 0)
		why = mem_format("laid out: %s", err.text);
	else
		why = play(corpus, chart, want);
	corpus->is_formatted = false;
	chart_unref(chart);
	return why;
}

/* Straight, restarted, laid out. */
static char *play_file(struct corpus *corpus, const char *name, const char *want)
{
	struct chart *chart = NULL;
	struct err err = { 0 };
	char *why = load_chart(corpus, name, &chart, &err) < 0 ? mem_dup_str(err.text)
	                                                       : play(corpus, chart, want);
	chart_unref(chart);
	return why ? why : play_formatted(corpus, name, want);
}

static char *run_test(struct corpus *corpus, int number)
{
	char *name = mem_format("test%d.scxml", number), *why = NULL;
	struct chart *chart = NULL;
	struct err err = { 0 };
	if (number != 301)
		why = play_file(corpus, name, wanted_end(number));
	else if (load_chart(corpus, name, &chart, &err) == 0)
		why = mem_dup_str("it was not rejected");
	chart_unref(chart);
	free(name);
	return why;
}

/* The second column of passes.tsv for this test, to be freed; NULL when it is not listed. */
static char *listed_as(const char *list, int number)
{
	char *key = mem_format("%d\t", number);
	char *ret = NULL;
	for (const char *line = list; line && *line && !ret;) {
		const char *end = strchr(line, '\n');
		size_t len = end ? (size_t)(end - line) : strlen(line);
		if (str_begins(line, key))
			ret = mem_dup(line + strlen(key), len - strlen(key));
		line = end ? end + 1 : NULL;
	}
	free(key);
	return ret;
}

static void report(const char *list, int number, char *why)
{
	char *listed = listed_as(list, number);
	bool must_pass = listed && str_begins(listed, "pass");
	if (!why)
		CHECK_MSG(listed, "%d passes%s", number, listed ? "" : "; add it to passes.tsv");
	else if (must_pass || !listed)
		CHECK_MSG(false, "%d: %s", number, why);
	else
		check_skip(listed);
	free(listed);
	free(why);
}

static bool is_asked_for(int count, char **args, int number)
{
	bool has_numbers = false;
	for (int i = 1; i < count; i++) {
		if (args[i][0] == '-')
			continue;
		has_numbers = true;
		if (strtol(args[i], NULL, 10) == number)
			return true;
	}
	return !has_numbers;
}

static void run_all(struct corpus *corpus, const char *manifest, const char *list, int count,
                    char **args)
{
	const char *line = strchr(manifest, '\n'); /* the first one names the columns */
	for (; line && line[1]; line = strchr(line, '\n')) {
		line++;
		int number = (int)strtol(line, NULL, 10);
		if (number > 0 && is_asked_for(count, args, number))
			report(list, number, run_test(corpus, number));
	}
}

/* Our own, named after sections of the Recommendation: each must end in "pass". */
static void run_own(struct corpus *corpus, const char *only)
{
	struct dirent **entries = NULL;
	int count, ran = 0;
	free(corpus->dir);
	corpus->dir = mem_dup_str(SRCDIR "/tests/cases/scxml");
	count = scandir(corpus->dir, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		if (str_ends(name, ".scxml") && (!only || strstr(name, only))) {
			char *why = play_file(corpus, name, "[\"pass\"]");
			CHECK_MSG(!why, "%s: %s", name, why ? why : "passes");
			free(why);
			ran++;
		}
		free(entries[i]);
	}
	free(entries);
	CHECK_MSG(only || ran >= 50, "%d cases of our own", ran);
}

int main(int count, char **args)
{
	struct clock clock = clock_system();
	struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	mem_install();
	struct corpus corpus = {
		.dir = corpus_dir(),
		.script = script_new(&limits, &clock),
		.is_verbose = count > 1 && strcmp(args[1], "--verbose") == 0,
	};
	char *path = mem_format("%s/manifest.tsv", corpus.dir);
	char *manifest = check_file(path), *list = check_file(SRCDIR "/tests/w3c/passes.tsv");
	if (manifest)
		run_all(&corpus, manifest, list, count, args);
	else
		check_skip("the corpus is not here");
	const char *last = count > 1 ? args[count - 1] : NULL;
	if (!last || last[0] == '-' || strchr(last, '.'))
		run_own(&corpus, last && last[0] != '-' ? last : NULL);
	script_free(corpus.script);
	free(corpus.dir);
	free(path);
	free(manifest);
	free(list);
	return check_done();
}
