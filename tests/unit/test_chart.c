/* SPDX-License-Identifier: MIT */
/*
 * chart/: what is refused, what is checked, what the tables hold, what the
 * pictures show.  Most of it is data: tests/cases/chart/<kind>/<name>.scxml
 * with what must come out beside it.  CHART_UPDATE=1 writes those files anew;
 * read the difference before you keep it.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "chart_world.h"

/* ---- cases as data ---- */

static void compare(const char *kind, const char *name, const char *extension, const char *got)
{
	char *path = path_of(kind, name, extension);
	if (getenv("CHART_UPDATE")) {
		FILE *file = fopen(path, "w");
		if (file) {
			fputs(got, file);
			fclose(file);
		}
	}
	char *want = check_file(path);
	bool ok = want && strcmp(want, got) == 0;
	CHECK_MSG(ok, "%s/%s%s", kind, name, extension);
	if (!ok)
		printf("# got:\n%s\n", got);
	free(want);
	free(path);
}

static void diags_compare(const char *kind, const char *name, const struct chart_diags *diags)
{
	struct buf out;
	buf_init(&out, OUT_BYTES);
	buf_put(&out, "");
	char *file = mem_format("%s.scxml", name);
	chart_diags_text(diags, file, &out);
	compare(kind, name, ".txt", out.bytes ? out.bytes : "");
	free(file);
	buf_release(&out);
}

static void case_refused(const char *name, const char *text)
{
	struct chart_diags diags = { 0 };
	struct err err = { 0 };
	struct chart *chart = NULL;
	char *file = mem_format("%s.scxml", name);
	int status = chart_new(str_of(text), file, &folder, &diags, &chart, &err);
	CHECK_MSG(status < 0 && !chart && err.code == status, "%s is refused", name);
	CHECK_MSG(diags.error_count > 0 && diags.len > 0 && strcmp(err.id, diags.at[0].code) == 0,
	          "%s: the error is the first finding", name);
	char *place = diags.len ? mem_format("%s:%u:%u: %s", file, diags.at[0].at.line,
	                                     diags.at[0].at.column, diags.at[0].text)
	                        : mem_dup_str("");
	CHECK_MSG(str_begins(place, err.text), "%s: the error names its place: %s", name, err.text);
	diags_compare("refused", name, &diags);
	free(place);
	free(file);
	chart_diags_release(&diags);
}

static void case_checked(const char *name, const char *text)
{
	struct chart *chart = load(name, text);
	if (!chart)
		return;
	struct toy_world *toy = toy_new();
	struct chart_world world = { toy, toy_compiles, toy_globals, toy_action, toy_names };
	struct chart_diags diags = { 0 };
	chart_check(chart, &folder, &world, &diags);
	diags_compare("checked", name, &diags);
	/* A world that knows nothing asks for nothing. */
	struct chart_diags alone = { 0 };
	chart_check(chart, NULL, NULL, &alone);
	CHECK_MSG(alone.len <= diags.len, "%s without a world finds no more", name);
	chart_diags_release(&alone);
	chart_diags_release(&diags);
	toy_free(toy);
	chart_unref(chart);
}

static void case_drawn(const char *kind, const char *name, const char *extension, const char *text,
                       void (*draw)(const struct chart *chart, struct buf *out))
{
	struct chart *chart = load(name, text);
	if (!chart)
		return;
	struct buf out;
	buf_init(&out, OUT_BYTES);
	draw(chart, &out);
	compare(kind, name, extension, out.bytes);
	buf_release(&out);
	chart_unref(chart);
}

static void case_table(const char *name, const char *text)
{
	case_drawn("tables", name, ".dump", text, chart_dump);
}

static void case_picture(const char *name, const char *text)
{
	case_drawn("pictures", name, ".dot", text, chart_dot);
	case_drawn("pictures", name, ".mmd", text, chart_mermaid);
}

/* Two graphs with equal dumps behave alike; where things stand and blanks in text do not count. */
static char *dump_of(const char *name, const char *text)
{
	struct chart *chart = load(name, text);
	struct buf dump;
	buf_init(&dump, OUT_BYTES);
	if (chart)
		chart_dump(chart, &dump);
	chart_unref(chart);
	char *ret = mem_dup_str(dump.bytes ? dump.bytes : ""), *to = ret;
	for (const char *c = ret; *c; c++) {
		if (c[0] == ' ' && c[1] == '@')
			c += strcspn(c, "\n");
		if (c[0] == '\\' && (c[1] == 'n' || c[1] == 't'))
			c++;
		else if (*c != ' ')
			*to++ = *c;
	}
	*to = '\0';
	buf_release(&dump);
	return ret;
}

static void check_format(const char *name, const char *text, const char *laid)
{
	struct buf again;
	buf_init(&again, OUT_BYTES);
	chart_format(str_of(laid), &again);
	CHECK_MSG(str_is(buf_str(&again), laid), "%s: laid out twice is laid out once", name);
	char *before = dump_of(name, text), *after = dump_of(name, laid);
	CHECK_MSG(strcmp(before, after) == 0, "%s: laid out, it is the same chart", name);
	if (strcmp(before, after) != 0)
		printf("# before:\n%s\n# after:\n%s\n", before, after);
	free(before);
	free(after);
	buf_release(&again);
}

static void case_format(const char *name, const char *text)
{
	struct buf laid;
	buf_init(&laid, OUT_BYTES);
	chart_format(str_of(text), &laid);
	compare("format", name, ".out", laid.bytes);
	check_format(name, text, laid.bytes);
	buf_release(&laid);
}

/* The other cases, however they are written, and what the checks think of them. */
static void case_formatted(const char *name, const char *text)
{
	struct buf laid;
	buf_init(&laid, OUT_BYTES);
	chart_format(str_of(text), &laid);
	check_format(name, text, laid.bytes);
	buf_release(&laid);
}

static void run_cases(const char *kind, size_t least,
                      void (*run)(const char *name, const char *text))
{
	char *path = path_of(kind, "", "");
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, NULL, alphasort);
	size_t ran = 0;
	for (int i = 0; i < count; i++) {
		if (str_ends(entries[i]->d_name, ".scxml")) {
			char *file = mem_format("%s%s", path, entries[i]->d_name),
			     *text = check_file(file);
			entries[i]->d_name[strlen(entries[i]->d_name) - strlen(".scxml")] = '\0';
			run(entries[i]->d_name, text ? text : "");
			ran++;
			free(text);
			free(file);
		}
		free(entries[i]);
	}
	CHECK_MSG(ran >= least, "%zu cases of %s", ran, kind);
	free(entries);
	free(path);
}

/* ---- bytes that a data file cannot hold or would not show ---- */

static void refuses(struct str text, const char *id, int code, const char *what)
{
	struct err err = { 0 };
	struct chart *chart = NULL;
	int status = chart_new(text, "hostile.scxml", NULL, NULL, &chart, &err);
	CHECK_MSG(status == code && strcmp(err.id, id) == 0, "%s: %s", what, id);
	if (strcmp(err.id, id) != 0)
		printf("# got %d %s: %s\n", status, err.id, err.text);
	chart_unref(chart);
}

static void refuses_much(const char *head, const char *part, size_t count, const char *tail,
                         const char *id, const char *what)
{
	char *text = repeat(head, part, count, tail);
	refuses(str_of(text), id, ERR_LIMIT, what);
	free(text);
}

static void test_limits(void)
{
	refuses_much(ROOT, "<state>", 100000, "", "xml.depth", "100,000 open states");
	refuses_much(ROOT, "<!-- -->", 140000, "</scxml>", "xml.bytes", "more than a mebibyte");
	refuses_much(ROOT "<state ", "a='' ", 60000, "/></scxml>", "xml.attributes",
	             "60,000 attributes");
	refuses_much(ROOT "<state ", "xmlns:a='' ", 60000, "/></scxml>", "xml.attributes",
	             "60,000 prefixes");
	refuses_much(ROOT, "<state/>", 100000, "</scxml>", "xml.elements", "100,000 siblings");
	refuses_much(ROOT "<state id='", "a", 70000, "'/></scxml>", "xml.attribute_bytes",
	             "a long attribute");
	char *deep = repeat(ROOT, "<state>", LIMIT_GRAPH_DEPTH - 1, "");
	char *closed = repeat(deep, "</state>", LIMIT_GRAPH_DEPTH - 1, "</scxml>");
	struct chart *chart = load("deep", closed);
	CHECK_MSG(chart && chart->state_count == LIMIT_GRAPH_DEPTH, "the greatest depth is "
	                                                            "allowed");
	chart_unref(chart);
	free(closed);
	free(deep);
	char *wide = repeat(ROOT, "<state/>", LIMIT_GRAPH_ELEMENTS - 1, "</scxml>");
	chart = load("wide", wide);
	CHECK_MSG(chart && chart->state_count == LIMIT_GRAPH_ELEMENTS, "50,000 elements are "
	                                                               "allowed");
	chart_unref(chart);
	free(wide);
}

/* XML in <assign> repeats the namespaces in force: it must not grow without end. */
static void test_namespaces(void)
{
	char *uri = repeat("", "u", 10000, "");
	char *head = mem_format(ROOT "<state xmlns:p=\"%s\"><onentry><assign location=\"x\">", uri);
	refuses_much(head, "<a/>", 20000, "</assign></onentry></state></scxml>", "xml.bytes",
	             "namespaces repeated 20,000 times");
	free(head);
	free(uri);
	struct buf text;
	buf_init(&text, LIMIT_GRAPH_BYTES);
	buf_put(&text, ROOT);
	for (int i = 0; i < 20; i++) {
		buf_put(&text, "<state");
		for (int k = 0; k < 20; k++)
			buf_printf(&text, " xmlns:p%d_%d='u'", i, k);
		buf_put(&text, ">");
	}
	refuses(buf_str(&text), "xml.namespaces", ERR_LIMIT, "400 declarations in force");
	buf_release(&text);
}

static void test_encodings(void)
{
	static const char utf16[] = "\xFE\xFF\0<\0s", utf16le[] = "\xFF\xFE<\0s\0";
	refuses((struct str){ utf16, sizeof(utf16) - 1 }, "xml.encoding", ERR_INPUT,
	        "UTF-16, big end first");
	refuses((struct str){ utf16le, sizeof(utf16le) - 1 }, "xml.encoding", ERR_INPUT,
	        "UTF-16, little end first");
	static const char bare16[] = "<\0s\0c\0x\0m\0l\0";
	refuses((struct str){ bare16, sizeof(bare16) - 1 }, "xml.encoding", ERR_INPUT,
	        "UTF-16 without a mark");
	static const char nul[] = ROOT "<state id='a\0'/></scxml>";
	refuses((struct str){ nul, sizeof(nul) - 1 }, "xml.encoding", ERR_INPUT, "NUL");
	refuses(STR_LIT(ROOT "<state id='\xFF'/></scxml>"), "xml.encoding", ERR_INPUT,
	        "invalid UTF-8");
	refuses(STR_LIT(ROOT "<state id='\xC0\xAF'/></scxml>"), "xml.encoding", ERR_INPUT,
	        "overlong UTF-8");
	refuses(STR_LIT("\x4C\x6F\xA7\x94"), "xml.encoding", ERR_INPUT, "EBCDIC");
	refuses(STR_LIT("<?xml version='1.0' encoding='UTF-7'?>" ROOT "<state/></scxml>"),
	        "xml.encoding", ERR_INPUT, "UTF-7");
	refuses(STR_LIT("+ADw-scxml+AD4-"), "xml.malformed", ERR_INPUT, "UTF-7 undeclared");
	refuses(STR_LIT(""), "xml.malformed", ERR_INPUT, "nothing");
	refuses((struct str){ NULL, 0 }, "xml.malformed", ERR_INPUT, "no bytes at all");
	refuses(STR_LIT("   \n"), "xml.malformed", ERR_INPUT, "blanks");
	static const char *const open_ends[] = { "<?xml ",    "<?x",         "<!--",
		                                 "<![CDATA[", "<",           "</",
		                                 "<a b='",    ROOT "<state", ROOT "<![CDATA[",
		                                 ROOT "<!-",  ROOT "</" };
	for (size_t i = 0; i < sizeof(open_ends) / sizeof(open_ends[0]); i++) {
		bool is_markup = strstr(open_ends[i], "<!-") || strstr(open_ends[i], "<![");
		bool is_whole = strstr(open_ends[i], "<!--") || strstr(open_ends[i], "<![CDATA[");
		refuses(str_of(open_ends[i]),
		        is_markup && !is_whole ? "xml.dtd_forbidden" : "xml.malformed", ERR_INPUT,
		        "markup that never ends");
	}
	struct chart *chart = load("bom", "\xEF\xBB\xBF" ROOT "<state id='\xC3\xA4'/></scxml>");
	CHECK_MSG(chart && chart_find(chart, "\xC3\xA4") == 1 &&
	                  chart->states[1].at.column == strlen(ROOT) + 1,
	          "a byte order mark of UTF-8 is skipped and counts as no column");
	chart_unref(chart);
}

/* No entity is opened, no socket is connected: a watch on the file and a port that listens know. */
static void test_nothing_is_opened(void)
{
	char path[] = "/tmp/test_chart_XXXXXX";
	int file = mkstemp(path), watch = inotify_init1(IN_NONBLOCK);
	int port = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in at = { .sin_family = AF_INET,
		                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	if (file < 0 || watch < 0 || bind(port, (struct sockaddr *)&at, len) < 0 ||
	    listen(port, 1) < 0 || getsockname(port, (struct sockaddr *)&at, &len) < 0 ||
	    inotify_add_watch(watch, path, IN_OPEN) < 0) {
		check_skip("no watch or no port here");
		return;
	}
	static const char *const forms[] = {
		"<!DOCTYPE scxml [<!ENTITY x SYSTEM \"%s\">]>" ROOT "<state id='&x;'/></scxml>",
		"<!DOCTYPE scxml SYSTEM \"%s\">" ROOT "<state/></scxml>",
		"<!DOCTYPE scxml [<!ENTITY %% x SYSTEM \"%s\"> %%x;]>" ROOT "<state/></scxml>",
		"<?xml-stylesheet href=\"%s\"?>" ROOT "<state/></scxml>",
		"<?oasis-xml-catalog catalog=\"%s\"?><!DOCTYPE scxml PUBLIC \"a\" \"b\">" ROOT
		"<state/></scxml>",
		ROOT "<state><x:include xmlns:x='http://www.w3.org/2001/XInclude' "
		     "href='%s'/></state></scxml>",
		ROOT "<script src='%s'/><state/></scxml>",
		ROOT "<datamodel><data id='x' src='%s'/></datamodel><state/></scxml>",
		ROOT "<state><invoke src='%s'/></state></scxml>",
	};
	for (size_t i = 0; i < 2 * sizeof(forms) / sizeof(forms[0]); i++) {
		char *url = i % 2 ? mem_format("http://127.0.0.1:%d/x", ntohs(at.sin_port))
		                  : mem_format("file://%s", path);
		struct buf text;
		buf_init(&text, 4096);
		const char *mark = strstr(forms[i / 2], "%s");
		for (const char *p = forms[i / 2]; *p; p++) {
			if (p == mark)
				buf_put(&text, url);
			else if (p != mark + 1 && !(p[0] == '%' && p[1] == '%'))
				buf_put_len(&text, p, 1);
		}
		struct err err = { 0 };
		struct chart *chart = NULL;
		CHECK_MSG(chart_new(buf_str(&text), "x", &folder, NULL, &chart, &err) == ERR_INPUT,
		          "refused: %s", err.text);
		chart_unref(chart);
		buf_release(&text);
		free(url);
	}
	char event[512];
	CHECK_MSG(read(watch, event, sizeof(event)) < 0 && errno == EAGAIN, "no file was opened");
	CHECK_MSG(accept(port, NULL, NULL) < 0 && errno == EAGAIN, "no connection was made");
	close(port);
	close(watch);
	close(file);
	unlink(path);
}

/* The sanitizer keeps all memory for itself, so that it cannot run out. */
extern void __asan_init(void) __attribute__((weak));

/* Compiles in a child that may have only so many bytes more; 0: the same tables, 70: it stopped. */
static int load_with(const char *text, const char *want, size_t bytes)
{
	pid_t child = fork();
	if (child == 0) {
		long pages = 0;
		FILE *file = fopen("/proc/self/statm", "r");
		malloc_trim(0);
		if (!file || fscanf(file, "%ld", &pages) != 1)
			_exit(3);
		fclose(file);
		rlim_t limit = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + bytes;
		if (!freopen("/dev/null", "w", stderr) ||
		    setrlimit(RLIMIT_AS, &(struct rlimit){ limit, limit }) < 0)
			_exit(3);
		struct chart *chart = NULL;
		struct err err = { 0 };
		if (chart_new(str_of(text), "memory", NULL, NULL, &chart, &err) < 0)
			_exit(1);
		struct buf out;
		buf_init(&out, OUT_BYTES);
		chart_dump(chart, &out);
		_exit(strcmp(out.bytes, want) == 0 ? 0 : 2);
	}
	int status = 0;
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Row 12: when memory runs out the process stops; a graph is never read half. */
static void test_memory(void)
{
	if (__asan_init) {
		check_skip("the sanitizer keeps the memory for itself");
		return;
	}
	char *text = repeat(ROOT,
	                    "<state><transition event='e' cond='x == 1'/><onentry><log "
	                    "expr='a'/></onentry></state>",
	                    3000, "</scxml>");
	struct chart *chart = load("memory", text);
	struct buf want;
	buf_init(&want, OUT_BYTES);
	chart_dump(chart, &want);
	chart_unref(chart);
	size_t stopped = 0, same = 0, other = 0;
	for (size_t i = 0; i < 40; i++) {
		int status = load_with(text, want.bytes, i * 512 * 1024);
		*(status == 70 ? &stopped : status == 0 ? &same : &other) += 1;
	}
	CHECK_MSG(stopped > 0 && same > 0 && other == 0,
	          "memory runs out: %zu times it stopped, %zu times it was the same chart, %zu "
	          "other",
	          stopped, same, other);
	buf_release(&want);
	free(text);
}

int main(void)
{
	mem_install();
	run_cases("refused", 25, case_refused);
	run_cases("checked", 12, case_checked);
	run_cases("tables", 3, case_table);
	run_cases("pictures", 1, case_picture);
	run_cases("format", 3, case_format);
	run_cases("checked", 12, case_formatted);
	run_cases("tables", 3, case_formatted);
	test_limits();
	test_namespaces();
	test_encodings();
	test_nothing_is_opened();
	test_memory();
	return check_done();
}
