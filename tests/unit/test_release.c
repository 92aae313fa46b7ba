/* SPDX-License-Identifier: MIT */
/*
 * Releases: what a run is pinned to.  Any file that shapes a decision changes
 * the hash, nothing else does; what a run was started with can be had from the
 * store when the files are long changed or gone.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "release/release.h"

#define GRAPH                                                                                      \
	"<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' datamodel='lua' name='g'>\n" \
	"  <state id='a'><invoke id='r' type='rules' src='set#f.x'/>\n"                            \
	"    <invoke id='c' type='scxml' src='child.scxml'/></state>\n</scxml>\n"
#define CHILD                                                                            \
	"<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' datamodel='null'>" \
	"<final id='x'/></scxml>\n"
#define PROMPT "---\nname: p\nversion: 7\nfields:\n---\n# system\ns\n# user\nu\n"

/* --- a tree of files -------------------------------------------------------------------------- */

static char *root;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* As editors save: a new file takes the place of the old one. */
static void save(const char *name, const char *text)
{
	char *path = mem_format("%s/%s", root, name);
	char *beside = mem_format("%s/new", root);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *file = fopen(beside, "w");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0 || rename(beside, path) < 0)
		abort();
	free(path);
	free(beside);
}

static void plant(void)
{
	char folder[] = "/tmp/gangway-release.XXXXXX";
	if (!mkdtemp(folder))
		abort();
	root = mem_dup_str(folder);
	save("graphs/g/g.scxml", GRAPH);
	save("graphs/g/child.scxml", CHILD);
	save("graphs/g/other.scxml", CHILD);
	save("graphs/g/report.md", "a report");
	save("graphs/g/README.md", "for people");
	save("graphs/g/parts/head.html", "<b>");
	save("graphs/g/stories/one.txt", "a test");
	save("graphs/g/picture.png", "no text");
	save("graphs/onboarding/onboarding.scxml", CHILD);
	save("rules/set/ruleset.lua", "return { name = 'set', version = \"2026.1\" }");
	save("rules/set/f.lua", "return { x = function() return 1 end }");
	save("rules/set/cases/f.json", "[]");
	save("rules/unused/f.lua", "return {}");
	save("prompts/p.md", PROMPT);
	save("prompts/README.md", "for people");
}

static void fell(void)
{
	(void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(root);
}

static struct releases *look(const char *version, const char *plugins)
{
	char *graphs = mem_format("%s/graphs", root), *rules = mem_format("%s/rules", root);
	char *prompts = mem_format("%s/prompts", root);
	json_t *pins = json_loads(plugins, 0, NULL);
	struct release_folders folders = { graphs, rules, prompts, version, pins };
	struct releases *ret = releases_new(&folders);
	json_decref(pins);
	free(graphs);
	free(rules);
	free(prompts);
	return ret;
}

static struct release *current(struct releases *releases, const char *graph)
{
	struct release *ret = NULL;
	struct err err = { 0 };
	int status = release_current(releases, graph, &ret, &err);
	CHECK_MSG(status == 0, "%s has a release %s", graph, err.text);
	return ret;
}

static const char *text_at(const json_t *value, const char *path)
{
	const json_t *at = json_path(value, path);
	return json_is_string(at) ? json_string_value(at) : "(none)";
}

/* --- pins ------------------------------------------------------------------------------------- */

static void test_pins(void)
{
	struct releases *releases = look("0.1.0",
	                                 "{\"slack\":{\"version\":\"1\",\"sha256\":\"ab\"}}");
	struct release *release = current(releases, "g");
	char *canon = json_canon(release->pins), hash[SHA256_HEX];
	crypto_sha256_hex(str_of(canon), hash);
	CHECK_STR(release->sha256, hash);
	free(canon);
	CHECK_STR(text_at(release->pins, "engine.version"), "0.1.0");
	CHECK_STR(text_at(release->pins, "graph.name"), "g");
	CHECK_STR(text_at(release->pins, "graph.file"), "g.scxml");
	CHECK_STR(text_at(release->pins, "plugins.slack.sha256"), "ab");
	CHECK_STR(text_at(release->pins, "rules.set.version"), "2026.1");
	CHECK_STR(text_at(release->pins, "prompts.p.version"), "7");
	crypto_sha256_hex(STR_LIT(PROMPT), hash);
	CHECK_STR(text_at(release->pins, "prompts.p.sha256"), hash);
	/* Each file by its own hash; what is for people, for tests, or no text, is none of them. */
	const json_t *files = json_path(release->pins, "graph.files");
	crypto_sha256_hex(STR_LIT("a report"), hash);
	CHECK_STR(json_str(files, "report.md", ""), hash);
	CHECK(json_at(files, "parts/head.html") && json_at(files, "child.scxml"));
	CHECK(json_object_size(files) == 5);
	CHECK(!json_path(release->pins, "rules.unused") &&
	      !json_path(release->pins, "prompts.README"));
	CHECK(json_path(release->pins, "rules.set.files") &&
	      json_at(json_path(release->pins, "rules.set.files"), "cases/f.json"));
	struct release *again = current(releases, "g");
	CHECK(again == release);
	release_unref(again);
	release_unref(release);
	releases_free(releases);
}

/* Is it another release after this edit? */
static bool changes(struct releases *releases, const char *name, const char *text)
{
	struct release *before = current(releases, "g");
	save(name, text);
	struct release *after = current(releases, "g");
	bool ret = strcmp(before->sha256, after->sha256) != 0;
	release_unref(before);
	release_unref(after);
	return ret;
}

static void test_edits(void)
{
	struct releases *releases = look("0.1.0", "{}");
	struct release *first = current(releases, "g");
	char before[65];
	snprintf(before, sizeof(before), "%s", first->sha256);
	CHECK(changes(releases, "graphs/g/g.scxml", GRAPH "<!-- x -->"));
	CHECK(changes(releases, "graphs/g/child.scxml", CHILD " "));
	CHECK(changes(releases, "graphs/g/report.md", "b report"));
	CHECK(changes(releases, "graphs/g/parts/head.html", "<i>"));
	CHECK(changes(releases, "graphs/g/new.txt", "new"));
	CHECK(changes(releases, "rules/set/f.lua", "return { x = function() return 2 end }"));
	CHECK(changes(releases, "rules/set/ruleset.lua",
	              "return { name = 'set', version = \"2026.2\" }"));
	CHECK(changes(releases, "prompts/p.md", PROMPT "more\n"));
	CHECK(!changes(releases, "graphs/g/README.md", "for other people"));
	CHECK(!changes(releases, "graphs/g/stories/one.txt", "another test"));
	CHECK(!changes(releases, "graphs/g/picture.png", "another picture"));
	CHECK(!changes(releases, "rules/unused/f.lua", "return { 1 }"));
	CHECK(!changes(releases, "graphs/g/report.md", "b report"));
	/* What was there first is as it was, in the hands of whoever has it. */
	CHECK_STR(first->sha256, before);
	CHECK_STR(json_str(first->graph_files, "report.md", ""), "a report");
	CHECK(strstr(text_at(first->rules, "set.files.f"),
	             "none")); /* names have dots: not by path */
	CHECK(strstr(json_str(json_path(first->rules, "set.files"), "f.lua", ""), "return 1"));
	release_unref(first);
	/* All as it was in the beginning: the same release again. */
	save("graphs/g/g.scxml", GRAPH);
	save("graphs/g/child.scxml", CHILD);
	save("graphs/g/report.md", "a report");
	save("graphs/g/parts/head.html", "<b>");
	save("rules/set/ruleset.lua", "return { name = 'set', version = \"2026.1\" }");
	save("rules/set/f.lua", "return { x = function() return 1 end }");
	save("prompts/p.md", PROMPT);
	char *new_file = mem_format("%s/graphs/g/new.txt", root);
	unlink(new_file);
	free(new_file);
	struct release *last = current(releases, "g");
	CHECK_STR(last->sha256, before);
	release_unref(last);
	releases_free(releases);
}

/* Changed where it lies, the size as before: seen by its time. */
static void test_edit_in_place(void)
{
	struct releases *releases = look("0.1.0", "{}");
	struct release *before = current(releases, "g");
	char *path = mem_format("%s/graphs/g/report.md", root);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	const struct timespec later[2] = { { 2000000000, 1 }, { 2000000000, 1 } };
	CHECK(fd >= 0 && write(fd, "c", 1) == 1 && futimens(fd, later) == 0);
	close(fd);
	struct release *after = current(releases, "g");
	CHECK(strcmp(before->sha256, after->sha256) != 0);
	CHECK_STR(json_str(after->graph_files, "report.md", ""), "c report");
	release_unref(before);
	release_unref(after);
	save("graphs/g/report.md", "a report");
	free(path);
	releases_free(releases);
}

/* Everything that may happen to a tree under a server is seen at the next look. */
static void turn_link(const char *to)
{
	char *link = mem_format("%s/now", root), *beside = mem_format("%s/beside", root);
	if (symlink(to, beside) < 0 || rename(beside, link) < 0)
		abort();
	free(link);
	free(beside);
}

static void move(const char *from, const char *to)
{
	char *a = mem_format("%s/%s", root, from), *b = mem_format("%s/%s", root, to);
	if (rename(a, b) < 0)
		abort();
	free(a);
	free(b);
}

/* True: the release of g is another than before, which *last is. */
static bool has_moved(struct releases *releases, struct release **last)
{
	struct release *next = current(releases, "g");
	bool ret = strcmp((*last)->sha256, next->sha256) != 0;
	release_unref(*last);
	*last = next;
	return ret;
}

static void test_touches(void)
{
	save("one/graphs/g/g.scxml", GRAPH);
	save("one/graphs/g/child.scxml", CHILD);
	save("one/rules/set/f.lua", "return { x = 1 }");
	save("two/graphs/g/g.scxml", GRAPH);
	save("two/graphs/g/child.scxml", CHILD);
	save("two/graphs/g/more.scxml", CHILD);
	save("two/rules/set/f.lua", "return { x = 1 }");
	turn_link("one");
	char *graphs = mem_format("%s/now/graphs", root), *rules = mem_format("%s/now/rules", root);
	char *prompts = mem_format("%s/now/prompts", root);
	json_t *none = json_object();
	struct release_folders folders = { graphs, rules, prompts, "1", none };
	struct releases *releases = releases_new(&folders);
	struct release *last = current(releases, "g");
	CHECK_MSG(!has_moved(releases, &last), "nothing touched, also with no folder of prompts");
	save("one/graphs/g/parts/head.html", "<b>");
	CHECK_MSG(has_moved(releases, &last), "a new subfolder");
	save("one/graphs/g/parts/head.html", "<i>");
	CHECK_MSG(has_moved(releases, &last), "a file in it");
	save("one/prompts/p.md", PROMPT);
	CHECK_MSG(has_moved(releases, &last), "a folder that was not there");
	move("one/prompts/p.md", "p.md");
	CHECK_MSG(has_moved(releases, &last), "a file that went away");
	move("one/rules/set", "set");
	save("one/rules/set/f.lua", "return { x = 2 }");
	CHECK_MSG(has_moved(releases, &last), "a folder that was replaced");
	save("one/rules/set/f.lua", "return { x = 3 }");
	CHECK_MSG(has_moved(releases, &last), "a file in the new one");
	turn_link("two");
	CHECK_MSG(has_moved(releases, &last), "a link to all of it that was turned");
	save("two/graphs/g/more.scxml", "");
	CHECK_MSG(has_moved(releases, &last), "a file where it leads now");
	CHECK(!has_moved(releases, &last));
	release_unref(last);
	releases_free(releases);
	json_decref(none);
	free(graphs);
	free(rules);
	free(prompts);
}

static void test_other_parts(void)
{
	struct releases *one = look("0.1.0", "{}"), *two = look("0.2.0", "{}");
	struct releases *three = look("0.1.0", "{\"slack\":{\"version\":\"2\",\"sha256\":\"cd\"}}");
	struct release *a = current(one, "g"), *b = current(two, "g"), *c = current(three, "g");
	struct release *d = current(one, "g/other");
	CHECK(strcmp(a->sha256, b->sha256) != 0 && strcmp(a->sha256, c->sha256) != 0);
	CHECK(strcmp(a->sha256, d->sha256) != 0);
	CHECK_STR(text_at(d->pins, "graph.file"), "other.scxml");
	release_unref(a);
	release_unref(b);
	release_unref(c);
	release_unref(d);
	releases_free(one);
	releases_free(two);
	releases_free(three);
}

/* --- the store -------------------------------------------------------------------------------- */

struct filling {
	struct store *store;
	const char *spoil; /* a text that gets other bytes under its hash; NULL: none */
	const char *omit;  /* a text that is left out */
};

static void put_blob(void *arg, struct str bytes)
{
	const struct filling *filling = arg;
	struct err err = { 0 };
	struct store_op op = { .kind = STORE_OP_BLOB, .body = bytes };
	crypto_sha256(bytes, op.hash);
	if (filling->omit && str_is(bytes, filling->omit))
		return;
	if (filling->spoil && str_is(bytes, filling->spoil))
		op.body = STR_LIT("something else");
	struct store_item item = { .ops = &op, .count = 1 };
	CHECK(filling->store->ops->apply(filling->store, &item, 1, &err) == 0);
}

static void test_load(void)
{
	struct releases *releases = look("0.1.0", "{}");
	struct release *release = current(releases, "g");
	struct filling filling = { store_memory_new(), NULL, NULL };
	char hash[65];
	snprintf(hash, sizeof(hash), "%s", release->sha256);
	release_blobs(release, put_blob, &filling);
	release_unref(release);
	releases_free(releases);
	/* Another process, years later: the files are changed or gone. */
	save("graphs/g/g.scxml", "<scxml/>");
	save("graphs/g/report.md", "another report");
	save("rules/set/f.lua", "return nil");
	releases = look("0.9.0", "{}");
	struct err err = { 0 };
	CHECK(release_load(releases, filling.store, hash, &release, &err) == 0);
	CHECK_STR(release->sha256, hash);
	CHECK_STR(text_at(release->pins, "engine.version"), "0.1.0");
	CHECK_STR(json_str(release->graph_files, "report.md", ""), "a report");
	CHECK(strstr(json_str(json_path(release->rules, "set.files"), "f.lua", ""), "return 1"));
	CHECK(strcmp(text_at(release->prompts, "p.text"), PROMPT) == 0);
	CHECK_STR(release->chart->name, "g");
	struct release *again;
	CHECK(release_load(releases, filling.store, hash, &again, &err) == 0 && again == release);
	release_unref(again);
	release_unref(release);
	releases_free(releases);
	filling.store->ops->close(filling.store);
	save("graphs/g/g.scxml", GRAPH);
	save("graphs/g/report.md", "a report");
	save("rules/set/f.lua", "return { x = function() return 1 end }");
}

static void test_load_broken(void)
{
	static const struct {
		const char *spoil, *omit, *id;
	} cases[] = { { "a report", NULL, "release.broken" },
		      { GRAPH, NULL, "release.broken" },
		      { PROMPT, NULL, "release.broken" },
		      { NULL, "a report", "" },
		      { NULL, PROMPT, "" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct releases *releases = look("0.1.0", "{}"), *later = look("0.1.0", "{}");
		struct release *release = current(releases, "g"), *loaded = NULL;
		struct filling filling = { store_memory_new(), cases[i].spoil, cases[i].omit };
		struct err err = { 0 };
		release_blobs(release, put_blob, &filling);
		CHECK(release_load(later, filling.store, release->sha256, &loaded, &err) < 0 &&
		      !loaded);
		CHECK_STR(err.id, cases[i].id);
		CHECK(strstr(err.text, "pinned file") != NULL);
		release_unref(release);
		releases_free(releases);
		releases_free(later);
		filling.store->ops->close(filling.store);
	}
}

/* --- what is wrong ---------------------------------------------------------------------------- */

static void check_wrong(const char *graph, int code, const char *id, const char *text,
                        const char *hint)
{
	struct releases *releases = look("0.1.0", "{}");
	struct release *release = NULL;
	struct err err = { 0 };
	CHECK(release_current(releases, graph, &release, &err) == code && !release);
	if (id)
		CHECK_STR(err.id, id);
	CHECK_MSG(strstr(err.text, text) != NULL, "'%s' has '%s'", err.text, text);
	CHECK_MSG(strstr(err.hint, hint) != NULL, "the hint '%s' has '%s'", err.hint, hint);
	releases_free(releases);
}

static void test_wrong(void)
{
	check_wrong("onbording", ERR_ABSENT, "graph.absent", "'onbording'",
	            "did you mean 'onboarding'?");
	check_wrong("g/nothing", ERR_ABSENT, "graph.absent", "'g/nothing'", "");
	check_wrong("", ERR_INPUT, "graph.name", "''", "");
	check_wrong("../g", ERR_INPUT, "graph.name", "no graph's name", "");
	check_wrong("/etc/passwd", ERR_INPUT, "graph.name", "no graph's name", "");
	check_wrong("g/../g", ERR_INPUT, "graph.name", "no graph's name", "");
	check_wrong("g/a/b", ERR_INPUT, "graph.name", "no graph's name", "");
	check_wrong(".g", ERR_INPUT, "graph.name", "no graph's name", "");
	save("graphs/broken/broken.scxml",
	     "<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0'>\n"
	     "  <state id='a'><transition target='nowhere'/></state>\n</scxml>");
	check_wrong("broken", ERR_INPUT, NULL, "broken.scxml:2:", "");
	save("graphs/norules/norules.scxml",
	     "<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' datamodel='lua'>\n"
	     "  <state id='a'><invoke id='r' type='rules' src='gone'/></state>\n</scxml>");
	check_wrong("norules", ERR_ABSENT, NULL, "rule set 'gone'", "");
	char *big = mem_alloc(2 * 1024 * 1024 + 1);
	memset(big, ' ', 2 * 1024 * 1024);
	save("graphs/big/big.scxml", CHILD);
	save("graphs/big/big.txt", big);
	free(big);
	check_wrong("big", ERR_LIMIT, NULL, "big.txt", "");
}

/* --- charts within ---------------------------------------------------------------------------- */

static void test_children(void)
{
	struct releases *releases = look("0.1.0", "{}");
	struct release *release = current(releases, "g");
	struct chart *one = NULL, *two = NULL, *none = NULL;
	struct err err = { 0 };
	CHECK(release_child(release, "child.scxml", &one, &err) == 0);
	CHECK(release_child(release, "file:child.scxml", &two, &err) == 0 && one == two);
	chart_unref(one);
	chart_unref(two);
	CHECK(release_child(release, "gone.scxml", &none, &err) == ERR_ABSENT && !none);
	CHECK(strstr(err.text, "gone.scxml") != NULL);
	err_clear(&err);
	CHECK(release_child(release, "../onboarding/onboarding.scxml", &none, &err) < 0 && !none);
	release_unref(release);
	json_t *names = release_graphs(releases);
	char *text = json_canon(names);
	CHECK_STR(text,
	          "[\"big\",\"broken\",\"g/child\",\"g\",\"g/other\",\"norules\",\"onboarding\"]");
	free(text);
	json_decref(names);
	releases_free(releases);
}

int main(void)
{
	mem_install();
	plant();
	test_pins();
	test_edits();
	test_edit_in_place();
	test_touches();
	test_other_parts();
	test_load();
	test_load_broken();
	test_wrong();
	test_children();
	fell();
	return check_done();
}
