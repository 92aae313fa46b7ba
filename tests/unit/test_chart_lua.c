/* SPDX-License-Identifier: MIT */
/*
 * The checker with the real Lua.  No graph of the corpus is accused but those
 * whose broken expression is the point of the test; each of these is.  The
 * graphs that ship have nothing to hide.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chart/chart.h"
#include "check.h"
#include "script/script.h"

static int compiles(void *ctx, const char *code, bool is_statement, struct err *err)
{
	(void)ctx;
	return script_compiles(code, is_statement, err);
}

static void globals(void *ctx, const char *code, bool is_statement,
                    void (*found)(void *arg, const char *name, bool is_write), void *arg)
{
	(void)ctx;
	script_globals(code, is_statement, found, arg);
}

static int read_file(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	char *path = mem_format("%s/%s", (const char *)ctx, name), *text = check_file(path);
	int status = text ? buf_add(ret, text, strlen(text), err)
	                  : err_set(err, ERR_ABSENT, "there is no such file");
	free(text);
	free(path);
	return status;
}

/* Findings of one file; -1 when it is refused. */
static long find(char *dir, const char *name, struct chart_diags *diags)
{
	const struct chart_world world = { .compiles = compiles, .globals = globals };
	struct chart_folder folder = { dir, read_file };
	char *path = mem_format("%s/%s", dir, name), *text = check_file(path);
	struct chart *chart = NULL;
	struct err err = { 0 };
	long ret = -1;
	if (text && chart_new(str_of(text), name, &folder, diags, &chart, &err) == 0) {
		chart_check(chart, &folder, &world, diags);
		ret = (long)diags->error_count;
	}
	chart_unref(chart);
	free(text);
	free(path);
	return ret;
}

/* Charts with an expression that is meant to be wrong. */
static bool is_meant_wrong(const char *name)
{
	static const char *const names[] = {
		"test152", "test156", "test277", "test307", "test313",
		"test314", "test344", "test487", "test528", "test554"
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_begins(name, names[i]))
			return true;
	return false;
}

static void check_corpus_file(char *dir, const char *name)
{
	struct chart_diags diags = { 0 };
	long errors = find(dir, name, &diags);
	if (strcmp(name, "test301.scxml") == 0) {
		CHECK_MSG(errors == -1, "%s is refused", name);
	} else if (is_meant_wrong(name)) {
		bool all_syntax = errors > 0;
		for (size_t i = 0; i < diags.len; i++)
			all_syntax &= !diags.at[i].is_error ||
			              strcmp(diags.at[i].code, "lua.syntax") == 0;
		CHECK_MSG(all_syntax, "%s: its wrong expression is found", name);
	} else {
		CHECK_MSG(errors == 0, "%s has no error", name);
	}
	chart_diags_release(&diags);
}

static void test_corpus(void)
{
	const char *shared = getenv("GANGWAY_SHARED"), *own = getenv("GANGWAY_SCXML_DIR");
	char *dir = own ? mem_dup_str(own)
	                : mem_format("%s/scxml", shared ? shared : SRCDIR "/../shared");
	struct dirent **entries = NULL;
	int count = scandir(dir, &entries, NULL, alphasort);
	if (count < 0)
		check_skip("the SCXML corpus is not here");
	for (int i = 0; i < count; i++) {
		if (str_ends(entries[i]->d_name, ".scxml"))
			check_corpus_file(dir, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	free(dir);
}

static void test_graphs(void)
{
	struct dirent **entries = NULL;
	int count = scandir(SRCDIR "/graphs", &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char *dir = mem_format(SRCDIR "/graphs/%s", entries[i]->d_name);
		char *name = mem_format("%s.scxml", entries[i]->d_name);
		char *path = mem_format("%s/%s", dir, name), *text = check_file(path);
		if (text) {
			struct chart_diags diags = { 0 };
			CHECK_MSG(find(dir, name, &diags) == 0 && diags.len == 0,
			          "%s: no finding %s", name, diags.len ? diags.at[0].text : "");
			chart_diags_release(&diags);
		}
		free(text);
		free(path);
		free(name);
		free(dir);
		free(entries[i]);
	}
	free(entries);
}

int main(void)
{
	mem_install();
	test_corpus();
	test_graphs();
	return check_done();
}
