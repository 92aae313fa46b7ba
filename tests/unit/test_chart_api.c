/* SPDX-License-Identifier: MIT */
/*
 * chart/ as others use it: durations, paths, sharing, numbering, pictures,
 * findings as JSON; the examples of docs/reference; every graph of the corpus.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "chart_world.h"

/* ---- the interface ---- */

static void delay_is(const char *text, int64_t want)
{
	struct err err = { 0 };
	int64_t ms = -1;
	int status = chart_parse_delay(text, &ms, &err);
	CHECK_MSG(want < 0 ? status == ERR_INPUT : status == 0 && ms == want, "delay '%s'", text);
}

static void test_delays(void)
{
	delay_is("1s", 1000);
	delay_is("1.5s", 1500);
	delay_is(".5s", 500);
	delay_is("10ms", 10);
	delay_is("2m", 120000);
	delay_is("1h", 3600000);
	delay_is("1d", 86400000);
	delay_is("250", 250);
	delay_is("0", 0);
	delay_is(" 0.25s\t", 250);
	delay_is("0.0004s", 0);
	delay_is("3650d", INT64_C(315360000000));
	delay_is("", -1);
	delay_is(".", -1);
	delay_is("s", -1);
	delay_is("-1s", -1);
	delay_is("1e3", -1);
	delay_is("1 s", -1);
	delay_is("1sec", -1);
	delay_is("1S", -1);
	delay_is("1..5s", -1);
	delay_is("inf", -1);
	delay_is("0x10", -1);
	delay_is("1s 2s", -1);
	delay_is("4000d", -1);
	delay_is("99999999999999999999999999999999s", -1);
}

static void src_is(const char *src, const char *want)
{
	struct err err = { 0 };
	const char *got = NULL;
	int status = chart_src_path(src, &got, &err);
	CHECK_MSG(want ? status == 0 && strcmp(got, want) == 0
	               : status == ERR_INPUT && strcmp(err.id, "scxml.foreign_src") == 0,
	          "src '%s'", src);
}

static void test_src(void)
{
	src_is("a.lua", "a.lua");
	src_is("file:a.lua", "a.lua");
	src_is("./a.lua", "a.lua");
	src_is("file:./sub/a.lua", "sub/a.lua");
	src_is("a..b/c..", "a..b/c..");
	src_is("...", "...");
	src_is("", NULL);
	src_is("file:", NULL);
	src_is("/etc/passwd", NULL);
	src_is("file:/etc/passwd", NULL);
	src_is("file:///etc/passwd", NULL);
	src_is("file:file:a", NULL);
	src_is("../a", NULL);
	src_is("a/../b", NULL);
	src_is("a/..", NULL);
	src_is("a/./b", NULL);
	src_is("a//b", NULL);
	src_is("a/", NULL);
	src_is("http://x/a", NULL);
	src_is("data:,x", NULL);
	src_is("D:\\foo", NULL);
	src_is("a\\b", NULL);
	CHECK(chart_is_scxml_type(NULL) && chart_is_scxml_type("scxml"));
	CHECK(chart_is_scxml_type("http://www.w3.org/TR/scxml") &&
	      chart_is_scxml_type("http://www.w3.org/TR/scxml/"));
	CHECK(!chart_is_scxml_type("") && !chart_is_scxml_type("salesforce"));
}

static void *ref_often(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		struct chart *chart = chart_ref(arg);
		if (chart_find(chart, "a") != 1)
			abort();
		chart_unref(chart);
	}
	return NULL;
}

static void test_sharing(void)
{
	struct chart *chart = load("shared",
	                           ROOT "<state id='a'><state id='b'/></state><final/></scxml>");
	pthread_t threads[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, ref_often, chart);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	CHECK(chart_find(chart, "a") == 1 && chart_find(chart, "b") == 2);
	CHECK(chart_find(chart, "c") == CHART_NONE);
	CHECK(chart_find(chart, chart->states[3].id) == 3);
	CHECK_STR(chart->states[3].id, "_state.3");
	CHECK(!chart->states[3].has_id && chart->states[1].has_id);
	CHECK(chart_is_descendant(chart, 2, 1) && !chart_is_descendant(chart, 3, 1));
	CHECK(!chart_is_descendant(chart, 1, 1) && chart_is_descendant(chart, 3, 0));
	CHECK_STR(chart->name, "shared");
	CHECK_STR(chart->datamodel, "lua");
	CHECK(strlen(chart->hash) == 64);
	struct chart *same = load("other",
	                          ROOT "<state id='a'><state id='b'/></state><final/></scxml>");
	CHECK_MSG(strcmp(same->hash, chart->hash) == 0, "the hash is the text's");
	chart_unref(same);
	chart_unref(chart);
	chart_unref(NULL);
}

/* Each expression and each inline text has its own number, and all numbers are used. */
static void test_numbers(void)
{
	char *path = path_of("tables", "everything", ".dump"), *dump = check_file(path);
	char *source_path = path_of("tables", "everything", ".scxml"),
	     *source = check_file(source_path);
	struct chart *chart = load("everything", source ? source : "");
	uint32_t count = chart ? chart->expr_count : 0;
	unsigned char *seen = mem_alloc(count + 1);
	size_t twice = 0, unused = 0, beyond = 0;
	for (const char *p = dump ? strstr(dump, "\"#") : NULL; p; p = strstr(p + 2, "\"#")) {
		if (p[2] < '0' || p[2] > '9')
			continue; /* a target such as "#_internal" */
		unsigned long id = strtoul(p + 2, NULL, 10);
		if (id >= count)
			beyond++;
		else if (seen[id]++)
			twice++;
	}
	for (uint32_t i = 0; i < count; i++)
		unused += seen[i] == 0;
	CHECK_MSG(count > 40 && twice == 0 && unused == 0 && beyond == 0,
	          "numbers of %u pieces of code are dense", count);
	chart_unref(chart);
	free(seen);
	free(source);
	free(source_path);
	free(dump);
	free(path);
}

/* A child chart in <content> is a chart of its own, wherever it stands. */
static void test_inner_chart(void)
{
	struct chart *outer = load(
		"outer",
		"<s:scxml xmlns:s='" CHART_NS_SCXML "' xmlns:gw='" CHART_NS_GW "' version='1.0'>"
		"<s:state><s:invoke><s:content>\n <s:scxml version='1.0' gw:title='t'>"
		"<s:final id='f'/></s:scxml>\n</s:content></s:invoke></s:state></s:scxml>");
	if (!outer)
		return;
	const struct chart_content *content = &outer->states[1].invokes[0].payload.content;
	CHECK(content->present && content->is_xml && !content->expr.text);
	struct chart *inner = load("inner", content->text);
	CHECK_MSG(inner && chart_find(inner, "f") == 1, "the text of <content> compiles");
	chart_unref(inner);
	chart_unref(outer);
}

static struct chart_look look_of(void *ctx, int32_t state)
{
	(void)ctx;
	if (state == 1)
		return (struct chart_look){ "#00ff00", "#123456", "1.2 s <&>" };
	return (struct chart_look){ 0 };
}

static void test_paint(void)
{
	struct chart *chart = load("painted", ROOT "<state id='a'/><state id='b'/></scxml>");
	struct chart_paint paint = { NULL, look_of, NULL };
	struct buf out;
	buf_init(&out, OUT_BYTES);
	chart_dot_painted(chart, &paint, &out);
	CHECK(strstr(out.bytes, "fillcolor=\"#00ff00\", color=\"#123456\""));
	CHECK(strstr(out.bytes, "1.2 s &lt;&amp;&gt;"));
	buf_release(&out);
	chart_unref(chart);
}

static void test_json(void)
{
	struct chart_diags diags = { 0 };
	struct err err = { 0 };
	struct chart *chart = NULL;
	CHECK(chart_new(STR_LIT(ROOT "\n <state id='paid'><transition event='e' "
	                             "target='payed'/></state></scxml>"),
	                "x.scxml", NULL, &diags, &chart, &err) == ERR_INPUT);
	json_t *json = chart_diags_json(&diags, "x.scxml");
	char *text = json_canon(json);
	CHECK_STR(text, "[{\"code\":\"graph.unknown_target\",\"column\":41,\"file\":\"x.scxml\","
	                "\"hint\":\"did you mean 'paid'?\",\"level\":\"error\",\"line\":2,"
	                "\"text\":\"there is no state 'payed'\"}]");
	CHECK_STR(err.text, "x.scxml:2:41: there is no state 'payed'");
	CHECK_STR(err.hint, "did you mean 'paid'?");
	free(text);
	json_decref(json);
	chart_diags_release(&diags);
}

/* A thousand mistakes are counted, five hundred are told, and warnings never hide an error. */
static void test_many(void)
{
	char *text = repeat(ROOT, "<state><transition event='e' target='nowhere'/></state>", 1000,
	                    "</scxml>");
	struct chart_diags diags = { 0 };
	struct err err = { 0 };
	struct chart *chart = NULL;
	CHECK(chart_new(str_of(text), "x", NULL, &diags, &chart, &err) == ERR_INPUT);
	CHECK(diags.error_count == 1000 && diags.len == 500);
	chart_diags_release(&diags);
	free(text);
	text = repeat(ROOT, "<state/>", 1000,
	              "<state><transition event='e' tagret='x'/></state></scxml>");
	chart = load("many", text);
	chart_check(chart, NULL, NULL, &diags);
	CHECK(diags.error_count == 1 && diags.len == 301 && diags.at[300].is_error);
	chart_diags_release(&diags);
	chart_unref(chart);
	free(text);
}

/* ---- the reference of findings ---- */

/* A fragment of the page is put into a root element, so that examples stay short. */
static char *whole_graph(const char *block, size_t len)
{
	static const char *const wholes[] = { "<scxml", "<?xml", "<!DOCTYPE", "<statechart" };
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++)
		if (str_begins(block, wholes[i]))
			return mem_dup(block, len);
	return mem_format("<scxml xmlns=\"%s\" xmlns:gw=\"%s\" version=\"1.0\" datamodel=\"lua\" "
	                  "gw:on-error=\"block\">\n%.*s</scxml>",
	                  CHART_NS_SCXML, CHART_NS_GW, (int)len, block);
}

/* Is the code among all that loading and checking the graph find? */
static bool finds(const char *text, const char *code, bool *ret_loads)
{
	struct chart_diags diags = { 0 };
	struct err err = { 0 };
	struct chart *chart = NULL;
	struct toy_world *toy = toy_new();
	struct chart_world world = { toy, toy_compiles, toy_globals, toy_action, toy_names };
	*ret_loads = chart_new(str_of(text), "x", &folder, &diags, &chart, &err) == 0;
	if (*ret_loads)
		chart_check(chart, &folder, &world, &diags);
	bool ret = false;
	for (size_t i = 0; i < diags.len; i++)
		ret |= strcmp(diags.at[i].code, code) == 0;
	chart_unref(chart);
	chart_diags_release(&diags);
	toy_free(toy);
	return ret;
}

static const char *check_example(const char *page, const char *code, bool is_wrong)
{
	const char *begin = strstr(page, "```xml\n"), *next = strstr(page, "\n## ");
	if (!begin || (next && begin > next)) {
		CHECK_MSG(false, "%s has a %s example", code, is_wrong ? "wrong" : "right");
		return page;
	}
	begin += strlen("```xml\n");
	const char *end = strstr(begin, "```");
	char *text = whole_graph(begin, (size_t)(end - begin));
	bool loads, found = finds(text, code, &loads);
	CHECK_MSG(is_wrong ? found : !found && loads, "%s: the %s example", code,
	          is_wrong ? "wrong" : "right");
	free(text);
	return end + 3;
}

static void test_reference(void)
{
	char *page = check_file(SRCDIR "/docs/reference/graph-findings.md");
	size_t sections = 0;
	CHECK_MSG(page, "docs/reference/graph-findings.md is there");
	for (const char *p = page ? strstr(page, "\n## `") : NULL; p; p = strstr(p, "\n## `")) {
		p += strlen("\n## `");
		char *code = mem_dup(p, strcspn(p, "`"));
		const char *none = strstr(p, "\nNo example:"), *next = strstr(p, "\n## ");
		if (!none || (next && none > next))
			p = check_example(check_example(p, code, true), code, false);
		sections++;
		free(code);
	}
	CHECK_MSG(sections > 60, "%zu sections", sections);
	free(page);
}

/* Every code that the sources can give has a section. */
static void test_reference_is_complete(void)
{
	static const char *const areas[] = { "xml.",  "scxml.", "graph.", "gw.",  "invoke.",
		                             "send.", "lua.",   "data.",  "null." };
	char *page = check_file(SRCDIR "/docs/reference/graph-findings.md");
	struct dirent **entries = NULL;
	int count = scandir(SRCDIR "/engine/chart", &entries, NULL, alphasort);
	size_t codes = 0;
	for (int i = 0; i < count; i++) {
		char *path = mem_format(SRCDIR "/engine/chart/%s", entries[i]->d_name);
		char *source = str_ends(path, ".c") ? check_file(path) : NULL;
		for (const char *p = source ? strchr(source, '"') : NULL; p;
		     p = strchr(p + 1, '"')) {
			size_t len = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_.");
			bool is_code = false;
			for (size_t a = 0; a < sizeof(areas) / sizeof(areas[0]); a++)
				is_code |= str_begins(p + 1, areas[a]) && len > strlen(areas[a]);
			if (!is_code || p[1 + len] != '"')
				continue;
			char *heading = mem_format("\n## `%.*s`", (int)len, p + 1);
			codes++;
			if (!page || !strstr(page, heading))
				CHECK_MSG(false, "graph-findings.md has a section %s", heading + 4);
			free(heading);
		}
		free(source);
		free(path);
		free(entries[i]);
	}
	CHECK_MSG(codes > 50, "%zu uses of codes, each with a section", codes);
	free(entries);
	free(page);
}

/* ---- the corpus ---- */

struct corpus {
	char *path;
};

static int read_corpus_file(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	const struct corpus *corpus = ctx;
	char *path = mem_format("%s/%s", corpus->path, name), *text = check_file(path);
	int status = text ? buf_add(ret, text, strlen(text), err)
	                  : err_set(err, ERR_ABSENT, "no such file");
	free(text);
	free(path);
	return status;
}

/* All graphs load but 301, whose script cannot be had; and the checker accuses none of them. */
static void test_corpus(void)
{
	const char *shared = getenv("GANGWAY_SHARED"), *dir = getenv("GANGWAY_SCXML_DIR");
	struct corpus corpus = { dir ? mem_dup_str(dir)
		                     : mem_format("%s/scxml",
		                                  shared ? shared : SRCDIR "/../shared") };
	struct chart_folder files = { &corpus, read_corpus_file };
	struct dirent **entries = NULL;
	int count = scandir(corpus.path, &entries, NULL, alphasort);
	if (count < 0)
		check_skip("the SCXML corpus is not here");
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;
		char *path = mem_format("%s/%s", corpus.path, name);
		char *text = str_ends(name, ".scxml") ? check_file(path) : NULL;
		struct chart *chart = NULL;
		struct err err = { 0 };
		struct chart_diags diags = { 0 };
		if (text && strcmp(name, "test301.scxml") == 0) {
			CHECK_MSG(chart_new(str_of(text), name, &files, NULL, &chart, &err) ==
			                  ERR_INPUT,
			          "%s is refused", name);
		} else if (text) {
			int status = chart_new(str_of(text), name, &files, NULL, &chart, &err);
			if (status == 0)
				chart_check(chart, &files, NULL, &diags);
			CHECK_MSG(status == 0 && diags.error_count == 0, "%s has no error %s", name,
			          status < 0          ? err.text
			          : diags.error_count ? diags.at[0].text
			                              : "");
		}
		chart_unref(chart);
		chart_diags_release(&diags);
		free(text);
		free(path);
		free(entries[i]);
	}
	free(entries);
	free(corpus.path);
}

int main(void)
{
	mem_install();
	test_delays();
	test_src();
	test_sharing();
	test_numbers();
	test_inner_chart();
	test_paint();
	test_json();
	test_many();
	test_reference();
	test_reference_is_complete();
	test_corpus();
	return check_done();
}
