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
#include <pthread.h>
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
#include "chart/chart.h"
#include "check.h"

enum { OUT_BYTES = 128 * 1024 * 1024 };

/* The folder beside every graph of this test. */
static int read_file(void *ctx, const char *name, struct buf *ret, struct err *err)
{
	static const struct {
		const char *name, *text;
		size_t len;
	} files[] = {
		{ "rules.lua", "function half(x) return x / 2 end\n", 0 },
		{ "words.txt", "three small words", 0 },
		{ "letter.md", "Dear {{ name }}", 0 },
		{ "note.md", "note", 0 },
		{ "bytes.bin", "a\0b", 3 },
		{ "child.scxml",
		  "<scxml xmlns=\"" CHART_NS_SCXML "\" version=\"1.0\"><final/></scxml>", 0 },
		{ "broken.scxml",
		  "<scxml xmlns=\"" CHART_NS_SCXML "\" version=\"1.0\" "
		  "initial=\"x\"><final/></scxml>",
		  0 },
		{ "input.schema.json", "{\"properties\":{\"account_id\":{},\"amount\":{}}}", 0 },
		{ "broken.json", "{", 0 },
	};
	(void)ctx;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, name) == 0)
			return buf_add(ret, files[i].text,
			               files[i].len ? files[i].len : strlen(files[i].text), err);
	return err_set(err, ERR_ABSENT, "there is no such file");
}

static const struct chart_folder folder = { NULL, read_file };

/* A toy language in place of Lua: brackets must close, and no operator may stand at the end. */
static int toy_compiles(void *ctx, const char *code, bool is_statement, struct err *err)
{
	(void)ctx;
	(void)is_statement;
	int depth = 0;
	char last = ' ';
	for (const char *p = code; *p; p++) {
		depth += (*p == '(') - (*p == ')');
		if (*p != ' ' && *p != '\n')
			last = *p;
	}
	if (depth != 0)
		return err_set(err, ERR_INPUT, "a bracket is not closed");
	if (strchr("=+<>", last))
		return err_set(err, ERR_INPUT, "an expression is expected after '%c'", last);
	return 0;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Every word outside quotes and after no dot is a global; before a single '=' it is written. */
static void toy_globals(void *ctx, const char *code, bool is_statement,
                        void (*found)(void *arg, const char *name, bool is_write), void *arg)
{
	static const char *const words[] = { "and",      "or",     "not", "nil",  "true", "false",
		                             "function", "return", "if",  "then", "end",  "x1" };
	(void)ctx;
	for (const char *p = code; *p;) {
		if (*p == '\'') {
			p = strchrnul(p + 1, '\'');
			p += *p != '\0';
		} else if (is_letter(*p) && (p == code || p[-1] != '.')) {
			char name[64] = "";
			size_t len = 0;
			while (is_letter(*p) || (*p >= '0' && *p <= '9')) {
				if (len < sizeof(name) - 1)
					name[len++] = *p;
				p++;
			}
			bool is_word = false;
			for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
				is_word |= strcmp(words[i], name) == 0;
			const char *next = p + strspn(p, " ");
			if (!is_word)
				found(arg, name, is_statement && next[0] == '=' && next[1] != '=');
		} else {
			p += is_letter(*p) ? 1 + strcspn(p, " .()[]") : 1;
		}
	}
}

struct toy_world {
	json_t *plugins; /* {"plugin":{"action":description}} */
};

static const json_t *toy_action(void *ctx, const char *type, const char *action)
{
	const struct toy_world *toy = ctx;
	const json_t *plugin = json_at(toy->plugins, type);
	return action ? json_at(plugin, action) : plugin;
}

static size_t toy_names(void *ctx, const char *type, const char **ret, size_t max)
{
	const struct toy_world *toy = ctx;
	size_t count = 0;
	const char *key;
	json_t *value;
	json_object_foreach(type ? json_at(toy->plugins, type) : toy->plugins, key, value)
		if (count < max)
			ret[count++] = key;
	return count;
}

static struct toy_world *toy_new(void)
{
	static const char text[] =
		"{\"salesforce\":{\"onboarding\":{\"effect\":\"READ\",\"params\":{\"type\":"
		"\"object\","
		"\"properties\":{\"account_id\":{\"type\":\"string\"},\"region\":{\"enum\":[\"eu\","
		"\"us\"]},"
		"\"note\":{\"type\":\"string\"}},"
		"\"required\":[\"account_id\"],\"additionalProperties\":false},"
		"\"result\":{\"type\":\"object\",\"properties\":{\"name\":{},\"status\":{},"
		"\"address\":{\"type\":\"object\",\"properties\":{\"street\":{}},"
		"\"additionalProperties\":false}}}}},"
		"\"slack\":{\"post\":{\"effect\":\"ONCE\",\"params\":{\"properties\":{\"text\":{"
		"\"type\":\"string\"}}}}},"
		"\"llm\":{\"risk\":{\"effect\":\"READ\"}},\"provision\":{\"tenant\":{}},\"clm\":{"
		"\"contract\":{}},"
		"\"email\":{\"send\":{}}}";
	struct toy_world *toy = mem_alloc(sizeof(*toy));
	struct err err = { 0 };
	if (json_read(str_of(text), LIMIT_JSON_BYTES, &toy->plugins, &err) < 0)
		CHECK_MSG(false, "the toy world: %s", err.text);
	return toy;
}

static void toy_free(struct toy_world *toy)
{
	json_decref(toy->plugins);
	free(toy);
}

/* ---- cases as data ---- */

static char *path_of(const char *kind, const char *name, const char *extension)
{
	return mem_format("%s/tests/cases/chart/%s/%s%s", SRCDIR, kind, name, extension);
}

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

static struct chart *load(const char *name, const char *text)
{
	struct err err = { 0 };
	struct chart *chart = NULL;
	char *file = mem_format("%s.scxml", name);
	if (chart_new(str_of(text), file, &folder, NULL, &chart, &err) < 0)
		CHECK_MSG(false, "%s loads: %s", name, err.text);
	free(file);
	return chart;
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

static char *repeat(const char *head, const char *part, size_t count, const char *tail)
{
	size_t len = strlen(part), before = strlen(head);
	char *ret = mem_alloc(before + len * count + strlen(tail) + 1);
	memcpy(ret, head, before);
	for (size_t i = 0; i < count; i++)
		memcpy(ret + before + i * len, part, len);
	memcpy(ret + before + len * count, tail, strlen(tail));
	return ret;
}

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

#define ROOT "<scxml xmlns=\"" CHART_NS_SCXML "\" xmlns:gw=\"" CHART_NS_GW "\" version=\"1.0\">"

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
	struct chart_paint paint = { NULL, look_of };
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
	run_cases("refused", 25, case_refused);
	run_cases("checked", 12, case_checked);
	run_cases("tables", 3, case_table);
	run_cases("pictures", 1, case_picture);
	test_limits();
	test_namespaces();
	test_encodings();
	test_nothing_is_opened();
	test_memory();
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
