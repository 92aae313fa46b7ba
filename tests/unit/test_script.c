/* SPDX-License-Identifier: MIT */
/*
 * The Lua data model and the box: the conventions of DESIGN.md 3, one line per
 * case, and the hostile rows 19-30 of RELIABILITY.md.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "script/script.h"

enum { EXPRS = 4096 };

/* A session over a chart made by hand: expressions are numbered as they come. */
struct session {
	struct chart chart;
	struct script *script;
	struct datamodel *dm;
	uint32_t next;
	int64_t clock_ms;
};

static const struct datamodel_ops *ops = &script_datamodel_ops;

static bool in_state(void *ctx, const char *id)
{
	(void)ctx;
	return strcmp(id, "here") == 0;
}

static struct script *new_script(int64_t *clock_ms)
{
	struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	struct clock clock = clock_fixed(clock_ms);
	return script_new(&limits, &clock);
}

static struct datamodel *new_dm(struct session *s)
{
	json_t *io = json_pack("{s:{s:s},s:{s:s}}", "scxml", "location", "#_scxml_s1",
	                       "http://www.w3.org/TR/scxml/#SCXMLEventProcessor", "location",
	                       "#_scxml_s1");
	struct datamodel_setup setup = { .chart = &s->chart,
		                         .session_id = "s1",
		                         .name = "machine",
		                         .ioprocessors = io,
		                         .seed = 42,
		                         .in = in_state };
	struct err err = { 0 };
	struct datamodel *dm = NULL;
	CHECK(ops->create(s->script, &setup, &dm, &err) == 0);
	json_decref(io);
	return dm;
}

static void session_init(struct session *s)
{
	*s = (struct session){
		.chart = { .name = "t", .file = "t.scxml", .datamodel = "lua", .expr_count = EXPRS }
	};
	s->script = new_script(&s->clock_ms);
	s->dm = new_dm(s);
}

static void session_release(struct session *s)
{
	ops->free(s->dm);
	script_free(s->script);
}

static struct chart_expr expr(struct session *s, const char *text)
{
	return (struct chart_expr){ text, s->next++, { 7, 1 } };
}

static int run_script(struct session *s, const char *code, struct err *err)
{
	struct chart_expr e = expr(s, code);
	*err = (struct err){ 0 };
	int status = ops->script(s->dm, &e, err);
	struct err check = { 0 };
	int checked = ops->check(s->dm, &check);
	if (status == 0 && checked < 0)
		*err = check;
	return status < 0 ? status : checked;
}

static int assign(struct session *s, const char *location, const char *value, struct err *err)
{
	struct chart_expr l = expr(s, location), v = expr(s, value);
	*err = (struct err){ 0 };
	int status = ops->assign(s->dm, &l, &v, err);
	return status < 0 ? status : ops->check(s->dm, err);
}

static void data(struct session *s, const char *id, const char *value)
{
	struct chart_data d = { .id = id };
	struct err err = { 0 };
	if (value)
		d.expr = expr(s, value);
	CHECK_MSG(ops->init_data(s->dm, &d, NULL, &err) == 0, "data %s %s", id, err.text);
}

/* The canonical JSON of an expression, "nil", or "E:" and the error's text, "B:" and its id. */
static char *show(struct session *s, const char *text)
{
	struct chart_expr e = expr(s, text);
	struct err err = { 0 };
	json_t *value = NULL;
	if (ops->eval_json(s->dm, &e, &value, &err) < 0)
		return err.code == ERR_BLOCKED ? mem_format("B:%s", err.id)
		                               : mem_format("E:%s", err.text);
	char *ret = value ? json_canon(value) : mem_dup_str("nil");
	json_decref(value);
	return ret;
}

static void expect(struct session *s, const char *text, const char *want)
{
	char *got = show(s, text);
	bool is_prefix = (want[0] == 'E' || want[0] == 'B') && want[1] == ':';
	bool ok = is_prefix ? strstr(got, want + 2) && got[0] == want[0] : strcmp(got, want) == 0;
	CHECK_MSG(ok, "%.100s -> %s", text, want);
	if (!ok)
		printf("#   got %s\n", got);
	free(got);
}

struct row {
	const char *code, *want;
};

static void test_values(struct session *s)
{
	static const struct row rows[] = {
		{ "1", "1" },
		{ "1.0", "1.0" },
		{ "'a'", "\"a\"" },
		{ "nil", "nil" },
		{ "null", "null" },
		{ "null == nil", "false" },
		{ "{}", "{}" },
		{ "list({})", "[]" },
		{ "list()", "[]" },
		{ "{1,2,{a=null}}", "[1,2,{\"a\":null}]" },
		{ "3.0", "3.0" },
		{ "1/0", "E:infinite" },
		{ "0/0", "E:NaN" },
		{ "{1,nil,3}", "E:holes" },
		{ "{1,x=2}", "E:mixes" },
		{ "{[true]=1}", "E:key" },
		{ "{[1.5]=1}", "E:key" },
		{ "{a={b={function() end}}}", "E:.a.b[1] is a function" },
		{ "string", "E:library" },
		{ "'\\255'", "E:UTF-8" },
		{ "'a\\0b'", "E:NUL" },
		{ "return", "E:unexpected symbol" },
		{ "return#", "E:" },
		{ "1, 2", "E:not one expression" },
		{ "", "E:not one expression" },
		{ "1;", "E:not one expression" },
		{ "undeclared", "nil" },
		{ "undeclared.x", "E:undeclared" },
		{ "_sessionid", "\"s1\"" },
		{ "_name", "\"machine\"" },
		{ "_event", "nil" },
		{ "_ioprocessors.scxml.location", "\"#_scxml_s1\"" },
		{ "In('here')", "true" },
		{ "In('there')", "false" },
		{ "type(null)", "\"null\"" },
		{ "tostring({})", "\"table\"" },
		{ "tostring(print)", "\"nil\"" },
		{ "tostring(pairs)", "\"function\"" },
		{ "tostring(null)", "\"null\"" },
		{ "('x'):upper()", "\"X\"" },
		{ "'10'+1", "11" },
		{ "#'abc'", "3" },
		{ "'a'..1 ..2.0", "\"a12.0\"" },
		{ "null.x", "E:index a null value" },
		{ "null < 1", "E:null" },
		{ "9007199254740993", "9007199254740993" },
		{ "math.maxinteger + 1 == math.mininteger", "true" },
		{ "0x10", "16" },
		{ "7 // 2", "3" },
		{ "_ENV", "E:_ENV" },
		{ "select('#', 1, 2, 3)", "3" },
		{ "select(-1, 1, 2, 3)", "3" },
		{ "{select(2, 'a', 'b', 'c')}", "[\"b\",\"c\"]" },
		{ "tonumber('0x1p4')", "16.0" },
		{ "tonumber('z', 36)", "35" },
		{ "tonumber('8', 8)", "nil" },
		{ "tonumber(' 12 ')", "12" },
		{ "{pcall(error, {1})}", "[false,[1]]" },
		{ "{pcall(error)}", "[false]" },
		{ "select(2, pcall(error, 'm', 0))", "\"m\"" },
		{ "error({code = 4})", "E:error {\"code\":4}" },
		{ "assert(false, 'no')", "E:no" },
		{ "assert(1, 2)", "1" },
		{ "math.type(1)", "\"integer\"" },
		{ "math.floor(-1.5)", "-2" },
		{ "math.max(1, 2.5)", "2.5" },
		{ "math.fmod(-7, 3)", "-1" },
		{ "math.tointeger(3.0)", "3" },
		{ "math.ult(1, -1)", "true" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(s, rows[i].code, rows[i].want);
}

static void test_data(struct session *s)
{
	data(s, "x", NULL);
	data(s, "t", "{1,2,3}");
	data(s, "facts", "{}");
	data(s, "count", NULL); /* the box has a function of this name */
	expect(s, "count", "nil");
	expect(s, "x", "nil");
	static const struct row assigns[] = {
		{ "x=5", "" },
		{ "x=t", "" },
		{ "t[4]='asdf'", "" },
		{ "facts.crm={a=1}", "" },
		{ "facts['b c']=2", "" },
		{ "undeclared=1", "E:not declared" },
		{ "foo.bar.baz =1", "E:" },
		{ "facts.no.way=1", "E:index a nil" },
		{ "_event=1", "E:system variable" },
		{ "_sessionid=1", "E:system variable" },
		{ "_name=1", "E:system variable" },
		{ "_ioprocessors=1", "E:system variable" },
		{ "_event.name=1", "E:system variable" },
		{ "_x.y=1", "E:system variable" },
		{ "x; t=1", "E:not a location" },
		{ "x()=1", "E:not a location" },
		{ "'x'=1", "E:not a location" },
		{ "x=return#", "E:unexpected" },
		{ "x=pairs", "E:x is a function" },
		{ "facts.f=pairs", "E:facts.f is a function" },
		{ "facts.self=facts", "E:facts.self contains itself" },
		{ "string.x=1", "E:not declared" },
	};
	for (size_t i = 0; i < sizeof(assigns) / sizeof(assigns[0]); i++) {
		const char *equals = strchr(assigns[i].code, '=');
		char *location = mem_dup(assigns[i].code, (size_t)(equals - assigns[i].code));
		struct err err;
		int status = assign(s, location, equals + 1, &err);
		const char *want = assigns[i].want;
		bool ok = want[0] ? status == ERR_INPUT && strstr(err.text, want + 2) : status == 0;
		CHECK_MSG(ok, "assign %s: %s", assigns[i].code, err.text);
		free(location);
	}
	expect(s, "facts", "nil"); /* taken away: it contained itself */
	expect(s, "x == t and #x == 4", "true");
}

static void test_scripts(struct session *s)
{
	data(s, "a", "1");
	data(s, "log", "list()");
	static const struct row rows[] = {
		{ "a = a + 1", "" },
		{ "local y = 3; a = y", "" },
		{ "b = 1", "E:not declared" },
		{ "_event = 1", "E:system variable" },
		{ "_x = {}", "E:system variable" },
		{ "string = 1", "E:not declared" },
		{ "string.upper = nil", "E:library cannot be changed" },
		{ "math.pi = 3", "E:cannot be changed" },
		{ "_ioprocessors.scxml.location = 'x'", "E:_ioprocessors cannot" },
		{ "_ioprocessors.new = 1", "E:_ioprocessors cannot" },
		{ "a = function() end", "E:a is a function" },
		{ "table.insert(log, {n = 1})", "" },
		{ "_G.x = 1", "E:_G" },
		{ "_ENV.a = 2", "E:_ENV" },
		{ "function f() end", "E:not declared" },
		{ "log[5] = 1", "E:log is a list with holes" },
		{ "setmetatable({}, {})", "E:setmetatable" },
		{ "a = 0/0", "E:a is not a number" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err;
		int status = run_script(s, rows[i].code, &err);
		const char *want = rows[i].want;
		bool ok = want[0] ? status == ERR_INPUT && strstr(err.text, want + 2) : status == 0;
		CHECK_MSG(ok, "script %s: %s", rows[i].code, err.text);
	}
	struct err err;
	run_script(s, "a = 1\n\nlocal z = nil\nz.x = 1", &err);
	CHECK_STR(err.text, "line 10: attempt to index a nil value (local 'z')");
}

static void test_event(struct session *s)
{
	struct event event = { .type = EVENT_EXTERNAL,
		               .name = "go",
		               .data = json_pack("{s:i,s:[]}", "n", 1, "l") };
	data(s, "old", NULL);
	data(s, "d", NULL);
	ops->set_event(s->dm, &event);
	json_decref(event.data);
	expect(s, "_event.name .. _event.type", "\"goexternal\"");
	expect(s, "_event.sendid", "nil");
	expect(s, "_event", "{\"data\":{\"l\":[],\"n\":1},\"name\":\"go\",\"type\":\"external\"}");
	struct err err;
	CHECK(run_script(s, "_event.name = 'x'", &err) == ERR_INPUT);
	CHECK(run_script(s, "_event.new = 'x'", &err) == ERR_INPUT);
	CHECK(assign(s, "old", "_event", &err) == 0);
	CHECK(assign(s, "d", "_event.data", &err) == 0);
	expect(s, "old == _event and d == _event.data and old.data == d", "true");
	CHECK(run_script(s,
	                 "d.n = 2; local n = 0; for k, v in pairs(_event.data) do n = n + 1 end; "
	                 "d.k = n",
	                 &err) == 0);
	expect(s, "_event.data.n + _event.data.k", "4");
	expect(s,
	       "(function() local r = list() for k in pairs(_event) do r[#r+1] = k end return r "
	       "end)()",
	       "[\"data\",\"name\",\"type\"]");
	struct event blank = { .type = EVENT_INTERNAL, .name = "none" };
	ops->set_event(s->dm, &blank);
	expect(s, "_event.data == nil and old.name == 'go'", "true");
	ops->set_event(s->dm, NULL);
	expect(s, "_event", "nil");
	expect(s, "old.name", "\"go\"");
}

static void test_text(struct session *s)
{
	static const struct row rows[] = {
		{ "foo", "\"foo\"" },
		{ "\n this is  a  \nstring\n", "\"this is a string\"" },
		{ "123", "123" },
		{ "\n{1,2,3}\n", "[1,2,3]" },
		{ "'q'", "\"q\"" },
		{ "{a = {}}", "{\"a\":{}}" },
		{ "nil", "\"nil\"" },
		{ "x", "\"x\"" },
		{ "true", "true" },
		{ "", "\"\"" },
		{ "{\"a\": 1}", "\"{\\\"a\\\": 1}\"" },
		{ "(function() while true do end end)()",
		  "\"(function() while true do end end)()\"" },
		{ "function() end", "\"function() end\"" },
	};
	struct err err = { 0 };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *value = NULL;
		CHECK(ops->eval_text(s->dm, s->next, rows[i].code, false, &value, &err) == 0);
		json_decref(value);
		CHECK(ops->eval_text(s->dm, s->next++, rows[i].code, false, &value, &err) == 0);
		char *got = json_canon(value);
		CHECK_STR(got, rows[i].want);
		free(got);
		json_decref(value);
	}
	json_t *value = NULL;
	CHECK(ops->eval_text(s->dm, s->next++, "<a>  <b/></a>", true, &value, &err) == 0);
	CHECK_STR(json_string_value(value), "<a>  <b/></a>");
	json_decref(value);
	data(s, "xml", NULL);
	struct chart_expr location = expr(s, "xml");
	CHECK(ops->assign_text(s->dm, &location, s->next++, "<c/>", true, &err) == 0);
	expect(s, "xml", "\"<c/>\"");
}

static void test_strings_and_locations(struct session *s)
{
	struct err err = { 0 };
	char *text = NULL;
	struct chart_expr n = expr(s, "12"), r = expr(s, "1.5"), w = expr(s, "'w'"),
			  b = expr(s, "true");
	CHECK(ops->eval_string(s->dm, &n, &text, &err) == 0);
	CHECK_STR(text, "12");
	free(text);
	CHECK(ops->eval_string(s->dm, &r, &text, &err) == 0);
	CHECK_STR(text, "1.5");
	free(text);
	CHECK(ops->eval_string(s->dm, &w, &text, &err) == 0);
	CHECK_STR(text, "w");
	free(text);
	CHECK(ops->eval_string(s->dm, &b, &text, &err) == ERR_INPUT);
	data(s, "loc", "{a={5}}");
	struct chart_expr good = expr(s, "loc.a[1]"), bad = expr(s, "foo.bar.baz "),
			  quoted = expr(s, "\"foo"), none = expr(s, "nothere");
	json_t *value = NULL;
	err = (struct err){ 0 };
	CHECK(ops->eval_location(s->dm, &good, &value, &err) == 0 &&
	      json_integer_value(value) == 5);
	json_decref(value);
	CHECK(ops->eval_location(s->dm, &bad, &value, &err) == ERR_INPUT);
	err = (struct err){ 0 };
	CHECK(ops->eval_location(s->dm, &quoted, &value, &err) == ERR_INPUT);
	err = (struct err){ 0 };
	CHECK(ops->eval_location(s->dm, &none, &value, &err) == ERR_INPUT);
	bool yes = true;
	struct chart_expr is_null = expr(s, "null"), is_true = expr(s, "0"),
			  is_error = expr(s, "return");
	err = (struct err){ 0 };
	CHECK(ops->eval_bool(s->dm, &is_null, &yes, &err) == 0 && !yes);
	CHECK(ops->eval_bool(s->dm, &is_true, &yes, &err) == 0 && yes);
	CHECK(ops->eval_bool(s->dm, &is_error, &yes, &err) == ERR_INPUT);
	CHECK_STR(err.text, "line 7: 'return': unexpected symbol near 'return'");
}

static char *foreach(struct session *s, const char *array, const char *item, const char *index)
{
	struct chart_expr a = expr(s, array), i = expr(s, item), n = { 0 };
	struct chart_expr body = expr(
		s, "seen[#seen + 1] = {json(v), json(k)} if at and at[1] then at[4] = 9 end");
	if (index)
		n = expr(s, index);
	struct err err = { 0 };
	void *iter = NULL;
	data(s, "seen", "list()");
	if (ops->foreach_begin(s->dm, &a, &i, &n, &iter, &err) < 0)
		return mem_format("E:%s", err.text);
	for (bool more = true; more;) {
		CHECK(ops->foreach_next(s->dm, iter, &more, &err) == 0);
		if (more)
			CHECK(ops->script(s->dm, &body, &err) == 0);
	}
	ops->foreach_end(s->dm, iter);
	return show(s, "seen");
}

static void test_foreach(struct session *s)
{
	data(s, "at", "{10,20,30}");
	static const struct {
		const char *array, *item, *index, *want;
	} rows[] = {
		{ "at", "v", "k", "[[\"10\",\"1\"],[\"20\",\"2\"],[\"30\",\"3\"]]" },
		{ "{}", "v", "k", "[]" },
		{ "7", "v", "k", "E:" },
		{ "nil", "v", "k", "E:" },
		{ "{a=1}", "v", "k", "E:" },
		{ "at", "'continue'", "k", "E:" },
		{ "at", "end", "k", "E:" },
		{ "at", "v", "1", "E:" },
		{ "at", "_event", "k", "E:" },
		{ "at", "nope.x", "k", "E:" },
		{ "{pairs}", "v", "k", "E:" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = foreach(s, rows[i].array, rows[i].item, rows[i].index);
		bool ok = rows[i].want[0] == 'E' ? got[0] == 'E' : strcmp(got, rows[i].want) == 0;
		CHECK_MSG(ok, "foreach %s %s: %s", rows[i].array, rows[i].item, got);
		free(got);
	}
	expect(s, "v", "30");
	expect(s, "k", "3");
}

/* Saves, restores into a new session of the chart, and compares: the bytes too. */
static void test_save(struct session *s)
{
	static const char script[] = "local n, limits = 0, {a = {5}}\n"
				     "local function bump() n = n + 1 return n end\n"
				     "util = {next = bump, limits = limits}\n"
				     "function next_id() return bump() end\n"
				     "LIMIT = 3";
	struct chart_op op = { .kind = OP_SCRIPT };
	op.script.code = expr(s, script);
	struct chart_block block = { .ops = &op, .count = 1 };
	s->chart.scripts = &block;
	s->chart.script_count = 1;
	struct err err = { 0 };
	CHECK(ops->load_script(s->dm, &op.script.code, &err) == 0);
	CHECK(ops->check(s->dm, &err) == 0);
	data(s, "p", "{list(), {}, null, 1.0, {['$x'] = 1}}");
	data(s, "q", "p");
	data(s, "r", "{p[5], p}");
	data(s, "none", NULL);
	data(s, "io", "_ioprocessors");
	data(s, "id", "next_id() + util.next()");
	struct event event = { .type = EVENT_INTERNAL,
		               .name = "e",
		               .data = json_pack("{s:i}", "x", 1) };
	ops->set_event(s->dm, &event);
	json_decref(event.data);
	CHECK(assign(s, "none", "{_event, _event.data}", &err) == 0);
	ops->set_now(s->dm, 1000);
	data(s, "deep", "{}");
	CHECK(run_script(s, "local at = deep for i = 1, 50 do at.d = {} at = at.d end", &err) == 0);
	expect(s, "random(1000)", "414");
	json_t *saved = ops->save(s->dm);
	char *bytes = json_canon(saved);
	struct datamodel *first = s->dm;
	s->dm = new_dm(s);
	CHECK_MSG(ops->restore(s->dm, saved, &err) == 0, "restore: %s", err.text);
	json_t *again = ops->save(s->dm);
	char *bytes_again = json_canon(again);
	CHECK_STR(bytes_again, bytes);
	expect(s, "p == q and r[2] == p and r[1] == p[5]", "true");
	expect(s, "p", "[[],{},null,1.0,{\"$x\":1}]");
	expect(s, "none[1] == _event and none[2] == _event.data and _event.name == 'e'", "true");
	expect(s, "io == _ioprocessors", "true");
	expect(s, "{LIMIT, id, next_id(), util.next(), now()}", "[3,3,3,4,1000]");
	char *next = show(s, "random(1000000)");
	struct datamodel *second = s->dm;
	s->dm = first;
	expect(s, "random(1000000)", next);
	free(next);
	CHECK(run_script(s, "util.x = 1", &err) == ERR_INPUT);
	CHECK(run_script(s, "p[1] = next_id", &err) == ERR_INPUT);
	ops->free(second);
	json_decref(saved);
	json_decref(again);
	free(bytes);
	free(bytes_again);
	s->chart.script_count = 0;
}

/* Functions made in one session keep that session's data. */
static void test_sessions_apart(struct session *s)
{
	struct chart_expr define = expr(s, "function get_w() return w end"),
			  call = expr(s, "get_w()");
	struct err err = { 0 };
	struct datamodel *one = s->dm, *two = new_dm(s);
	for (int i = 0; i < 2; i++) {
		s->dm = i == 0 ? one : two;
		CHECK(ops->load_script(s->dm, &define, &err) == 0);
		data(s, "w", i == 0 ? "'one'" : "'two'");
	}
	for (int i = 0; i < 2; i++) {
		char *text = NULL;
		CHECK(ops->eval_string(i == 0 ? one : two, &call, &text, &err) == 0);
		CHECK_STR(text, i == 0 ? "one" : "two");
		free(text);
	}
	ops->free(two);
	s->dm = one;
}

/* RELIABILITY.md, rows 19-28 and M2: each must end, and in the same way every time. */
static void test_hostile(struct session *s)
{
	static const struct row rows[] = {
		{ "(function() while true do end end)()", "B:rule.budget" },
		{ "(function() while true do pcall(function() while true do end end) end end)()",
		  "B:rule.budget" },
		{ "(function() while true do pcall(error) end end)()", "B:rule.budget" },
		{ "(function() local function f() return f() end return f() end)()",
		  "B:rule.budget" },
		{ "(function() local function f() return 1 + f() end return f() end)()",
		  "B:rule." },
		{ "(function() repeat local ok, e = pcall(string.rep, 'x', 1e9) until false end)()",
		  "B:rule.memory" },
		{ "xpcall(error, print)", "E:xpcall" },
		{ "setmetatable({}, {})", "E:setmetatable" },
		{ "getmetatable('').__index", "E:getmetatable" },
		{ "coroutine.wrap(error)", "E:coroutine" },
		{ "debug.sethook()", "E:debug" },
		{ "load('return 1')", "E:load" },
		{ "next({})", "E:next" },
		{ "rawget({}, 1)", "E:rawget" },
		{ "string.dump(pairs)", "E:dump" },
		{ "require('x')", "E:require" },
		{ "collectgarbage()", "E:collectgarbage" },
		{ "print(1)", "E:print" },
		{ "io.open('x')", "E:io" },
		{ "os.time()", "E:os" },
		{ "math.random()", "E:random" },
		{ "string.pack('i', 1)", "E:pack" },
		{ "('a'):rep(3000):find('.-.-.-.-b')", "B:rule.budget" },
		{ "('a'):rep(3000):match(('a*'):rep(30) .. 'b')", "B:rule.budget" },
		{ "('a'):rep(3000):gsub('(.-)(.-)(.-)%3%2%1b', '')", "B:rule.budget" },
		{ "('('):rep(300):find('%b()')", "nil" },
		{ "('a'):rep(300):find(('a?'):rep(300))", "E:too complex" },
		{ "(function() for m in ('a'):rep(3000):gmatch('.-.-.-b') do end end)()",
		  "B:rule.budget" },
		{ "('x'):rep(1e9)", "B:rule.memory" },
		{ "('x'):rep(1e9, 'y')", "B:rule.memory" },
		{ "('x'):rep(math.maxinteger)", "B:rule.memory" },
		{ "('x'):rep(-1)", "\"\"" },
		{ "('ab'):rep(3, '-')", "\"ab-ab-ab\"" },
		{ "(function() local s = 'x' while true do s = s .. s end end)()",
		  "B:rule.memory" },
		{ "string.format('%99999d', 1)", "B:rule.memory" },
		{ "string.format('%.999f', 1)", "B:rule.memory" },
		{ "string.format('%p', {})", "E:invalid conversion" },
		{ "string.format('%a', 1)", "E:invalid conversion" },
		{ "(function() local t = {} while true do t[#t + 1] = {} end end)()", "B:rule." },
		{ "(function() local t = {} for i = 1, 1e9 do table.insert(t, 1, i) end end)()",
		  "B:rule.budget" },
		{ "(function() local t = {} for i = 1, 1e5 do t[i] = i end return select('#', "
		  "table.unpack(t)) end)()",
		  "B:rule.budget" },
		{ "(function() local t = {} for i = 1, 5e4 do t[i] = i end while true do "
		  "select(-1, table.unpack(t)) end end)()",
		  "B:rule.budget" },
		{ "table.unpack({}, 1, 1e8)", "E:too many results" },
		{ "(function() local t = {} for i = 1, 2e4 do t[i] = i % 7 end table.sort(t, "
		  "function() return true end) return 1 end)()",
		  "B:rule.budget" },
		{ "(function() local t = {3, 1, 2} table.sort(t, function(a, b) return true end) "
		  "return #t end)()",
		  "3" },
		{ "(function() local t = {3, 1, 2} table.sort(t, function(a, b) t[4] = a "
		  "error('stop') end) end)()",
		  "E:stop" },
		{ "(function() local s = ('x'):rep(1e6) local u = ('x'):rep(1e6 - 1) .. 'y' local "
		  "n = 0 while s ~= u do n = n + 1 end end)()",
		  "B:rule.budget" },
		{ "(function() local s = ('x'):rep(1e6) while true do s:upper() end end)()",
		  "B:rule.budget" },
		{ "(function() local s = ('x'):rep(1e6) while true do local y = s .. 'y' end "
		  "end)()",
		  "B:rule." },
		{ "(function() local s = ('x'):rep(1e6) while true do utf8.len(s) end end)()",
		  "B:rule.budget" },
		{ "(function() local s = ('x'):rep(1e6) while true do string.format('%s', s) end "
		  "end)()",
		  "B:rule.budget" },
		{ "(function() local t = {} for i = 1, 1e4 do t['k' .. i] = i end while true do "
		  "pairs(t) end end)()",
		  "B:rule.budget" },
		{ "(function() local t = {} for i = 1, 1e4 do t[i] = i end while true do count(t) "
		  "end end)()",
		  "B:rule.budget" },
		{ "(function() local t = {} for i = 1, 1e4 do t[i] = i end while true do json(t) "
		  "end end)()",
		  "B:rule.budget" },
		{ "(function() local t = {} for i = 1, 1e3 do t[i] = 'x' end while true do "
		  "table.concat(t) end end)()",
		  "B:rule.budget" },
		{ "(function() for k in pairs({[{}] = 1}) do end end)()",
		  "E:rule.nondeterministic_key" },
		{ "(function() local x <close> = {} end)()", "E:close" },
		{ "(function() local t = {} t.t = t return json(t) end)()", "E:contains itself" },
		{ "pcall(pcall, pcall, pcall, error)", "true" },
		{ "tostring(pairs) .. tostring({})", "\"functiontable\"" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(s, rows[i].code, rows[i].want);
	expect(s, "('x'):upper()", "\"X\""); /* the box is as it was */
}

/* Compiling: row 27 and bytecode (row 23). */
static void test_hostile_code(struct session *s)
{
	char *parens = mem_alloc(200001), *locals = mem_alloc(8000);
	memset(parens, '(', 100000);
	for (int i = 0; i < 300; i++)
		snprintf(locals + strlen(locals), 24, "local a%d = 1 ", i);
	expect(s, parens, "E:");
	struct err err;
	CHECK(run_script(s, locals, &err) == ERR_INPUT && strstr(err.text, "too many local"));
	CHECK(run_script(s, "\033Lua\x54", &err) == ERR_INPUT && strstr(err.text, "binary"));
	CHECK(script_compiles("a +", false, &err) == ERR_INPUT);
	free(parens);
	free(locals);
}

/* Values that are no JSON are found whatever way they came in. */
static void test_suspects(struct session *s)
{
	struct chart_expr library = expr(
		s, "function spoil() t.x = pairs end function fine() return 1 end");
	struct err err = { 0 };
	CHECK(ops->load_script(s->dm, &library, &err) == 0);
	static const char *const ways[] = {
		"spoil()",
		"pcall(spoil)",
		"('x'):gsub('x', spoil)",
		"(function() for _ in spoil do end end)()",
		"(function() t.x = pairs end)()",
		"(function() local u = t u.x = pairs end)()",
		"table.insert(u, pairs)",
		"(function() t, u = 0/0, 1 end)()",
	};
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		data(s, "t", "{}");
		data(s, "u", "list()");
		struct chart_expr e = expr(s, ways[i]);
		json_t *unused = NULL;
		err = (struct err){ 0 };
		(void)(ops->eval_json(s->dm, &e, &unused, &err) < 0);
		json_decref(unused);
		err = (struct err){ 0 };
		CHECK_MSG(ops->check(s->dm, &err) == ERR_INPUT, "found: %s", ways[i]);
		err = (struct err){ 0 };
		CHECK(ops->check(s->dm, &err) == 0); /* and taken away */
	}
	/* Aliases: the other name of the spoilt table loses its value too. */
	data(s, "t", "{}");
	data(s, "u", "{t}");
	(void)assign(s, "t.x", "t", &err);
	expect(s, "t == nil and u == nil", "true");
}

static void collect(void *arg, const char *name, bool is_write)
{
	char *text = arg;
	size_t len = strlen(text);
	snprintf(text + len, 400 - len, "%s%s%s", len ? " " : "", is_write ? "=" : "", name);
}

/* Which globals code names: what graph check tells the author about. */
static void test_globals(struct session *s)
{
	(void)s;
	static const struct {
		const char *code;
		bool is_statement;
		const char *want;
	} rows[] = {
		{ "a + b.c[d].e", false, "a b d" },
		{ "a.b(c):d('x')", false, "a c" },
		{ "{x = y, [z] = 1, w}", false, "y z w" },
		{ "#items > 0 and not done", false, "items done" },
		{ "function(p, ...) return p + q, ... end", false, "q" },
		{ "_event.data.n == In('s') and string.len(t)", false, "t" },
		{ "'a' .. \"b\" .. [[c]] .. [==[d]==] .. 0x1p4 .. e", false, "e" },
		{ "a -- b\n + c --[[ d ]] + f", false, "a c f" },
		{ "local x, y = 1, x z = x y = z", true, "x =z z" },
		{ "for i, v in pairs(t) do total = total + v end i = 1", true,
		  "t =total total =i" },
		{ "for i = a, b do local c = i end c = 1", true, "a b =c" },
		{ "function f(a) return g(a, b) end local function h() return h() end h()", true,
		  "=f b g" },
		{ "function t.a.b:c() return self.x, y end", true, "t y" },
		{ "if a then local b = 1 elseif c then b = 2 else d() end", true, "a c =b d" },
		{ "repeat local ok = go() until ok", true, "go" },
		{ "while a do break end goto x ::x::", true, "a" },
		{ "a.b.c = 1; a[i], k = f()", true, "a i =k f" },
		{ "local a <const> = b; return a", true, "b" },
		{ "do local a end a()", true, "a" },
		{ "x = x + 1", true, "=x x" },
		{ "f{a = b}'c'", true, "b f" },
		{ "count = 1", true, "=count" },
		{ "", true, "" },
		{ "local t = {function() return u end; v}", true, "u v" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[400] = "";
		script_globals(rows[i].code, rows[i].is_statement, collect, text);
		check_text(text, rows[i].want, __FILE__, __LINE__, "globals");
		struct err err = { 0 };
		CHECK_MSG(script_compiles(rows[i].code, rows[i].is_statement, &err) == 0,
		          "row %zu: %s", i, err.text);
	}
	static const struct row broken[] = {
		{ "a +", "unexpected symbol" },
		{ "return", "unexpected symbol" },
		{ "a, b", "not one expression" },
		{ "", "not one expression" },
		{ "_ENV.x", "_ENV" },
		{ "\033Lua", "unexpected symbol" },
	};
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct err err = { 0 };
		CHECK_MSG(script_compiles(broken[i].code, false, &err) == ERR_INPUT &&
		                  strstr(err.text, broken[i].want),
		          "refused: %s: %s", broken[i].code, err.text);
	}
	struct err err = { 0 };
	CHECK(script_compiles("a = 1\nb = = 2", true, &err) == ERR_INPUT &&
	      strstr(err.text, "line 2"));
}

/* Patterns and formats: against what Lua's manual says. */
static void test_patterns(struct session *s)
{
	static const struct row rows[] = {
		{ "{('hello world'):find('o w')}", "[5,7]" },
		{ "{('hello'):find('l+')}", "[3,4]" },
		{ "{('key = value'):match('^(%w+)%s*=%s*(%w+)$')}", "[\"key\",\"value\"]" },
		{ "('f(a(b)c)d'):match('%b()')", "\"(a(b)c)\"" },
		{ "('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "1" },
		{ "{('abc'):match('()b()')}", "[2,3]" },
		{ "('x.y.z'):gsub('%.', '-')", "\"x-y-z\"" },
		{ "{('abc'):gsub('', '-')}", "[\"-a-b-c-\",4]" },
		{ "{('hello'):gsub('l', {l = 'L'})}", "[\"heLLo\",2]" },
		{ "{('hello'):gsub('(h)(e)', '%2%1%0%%')}", "[\"ehhe%llo\",1]" },
		{ "{('abc'):gsub('%w', function(c) return c == 'b' and 'B' end)}", "[\"aBc\",3]" },
		{ "{('a,b,,c'):gsub(',', ';', 2)}", "[\"a;b;,c\",2]" },
		{ "('a.b'):find('.', 1, true)", "2" },
		{ "(function() local r = list() for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do "
		  "r[#r+1] = k .. v end return r end)()",
		  "[\"a1\",\"b2\"]" },
		{ "(function() local r = list() for p in ('abc'):gmatch('()') do r[#r+1] = p end "
		  "return r end)()",
		  "[1,2,3,4]" },
		{ "('aaab'):match('^a-b')", "\"aaab\"" },
		{ "('aaa'):match('a-')", "\"\"" },
		{ "('[x]'):match('[]x[]+')", "\"[x]\"" },
		{ "('a-b'):match('[a%-]+')", "\"a-\"" },
		{ "('2026-11-21'):match('^(%d%d%d%d)-(%d%d)-(%d%d)$')", "\"2026\"" },
		{ "('abab'):match('(ab)%1')", "\"ab\"" },
		{ "('x'):find('y')", "nil" },
		{ "('abc'):find('b', -1)", "nil" },
		{ "('a'):match('(')", "E:unfinished capture" },
		{ "('a'):match('%')", "E:malformed pattern" },
		{ "('a'):match('[a')", "E:malformed pattern" },
		{ "('a'):match('%1')", "E:invalid capture" },
		{ "('a'):gsub('a', '%2')", "E:invalid capture" },
		{ "('a'):gsub('a', '%x')", "E:invalid use" },
		{ "string.format('%5.2f|%-5d|%05d|%x|%s|%q|%%', 3.14159, 42, 42, 255, {}, 'a\"b')",
		  "\" 3.14|42   |00042|ff|table|\\\"a\\\\\\\"b\\\"|%\"" },
		{ "string.format('%10s|%-10s|%.2s', 'ab', 'cd', 'xyz')",
		  "\"        ab|cd        |xy\"" },
		{ "string.format('%q', 3.0)", "\"3.0\"" },
		{ "string.format('%d', 1.5)", "E:number has no integer" },
		{ "string.format('%d')", "E:no value" },
		{ "string.format('%y', 1)", "E:invalid conversion" },
		{ "{('abc'):byte(1, -1)}", "[97,98,99]" },
		{ "string.char(72, 105)", "\"Hi\"" },
		{ "('abc'):sub(-2)", "\"bc\"" },
		{ "('abc'):sub(2, 10)", "\"bc\"" },
		{ "('abc'):sub(0)", "\"abc\"" },
		{ "('abc'):sub(3, 2)", "\"\"" },
		{ "utf8.char(228, 8364, 128512)", "\"ä€😀\"" },
		{ "utf8.len('ä€😀')", "3" },
		{ "{utf8.codepoint('ä€', 1, -1)}", "[228,8364]" },
		{ "{utf8.len('\\255')}[2]", "E:" },
		{ "select(2, utf8.len('a\\255'))", "2" },
		{ "table.concat({1, 'a', 2.5}, ', ')", "\"1, a, 2.5\"" },
		{ "table.concat({{}})", "E:invalid value" },
		{ "(function() local t = {5, 2, 8, 1} table.sort(t) return t end)()", "[1,2,5,8]" },
		{ "(function() local t = {'b', 'a', 'c'} table.sort(t, function(x, y) return x > y "
		  "end) return t end)()",
		  "[\"c\",\"b\",\"a\"]" },
		{ "(function() local t = {{1,'a'},{0,'b'},{1,'c'},{0,'d'}} table.sort(t, "
		  "function(x, y) return x[1] < y[1] end) "
		  "return t[1][2] .. t[2][2] .. t[3][2] .. t[4][2] end)()",
		  "\"bdac\"" },
		{ "(function() local t = {1, 'a'} table.sort(t) end)()", "E:compare" },
		{ "(function() local t = {1, 2, 3} table.remove(t, 1) table.insert(t, 1, 9) return "
		  "{t, table.remove(t), #t} end)()",
		  "[[9,2],3,2]" },
		{ "table.insert({}, 5, 1)", "E:out of bounds" },
		{ "{table.unpack({1, 2, 3}, 2)}", "[2,3]" },
		{ "(function() local r = list() for k, v in pairs({b = 1, a = 2, [2] = 'y', [1] = "
		  "'x'}) do r[#r+1] = tostring(k) .. v end return r end)()",
		  "[\"1x\",\"2y\",\"a2\",\"b1\"]" },
		{ "(function() local t = {a = 1, b = 2, c = 3} local r = list() for k in pairs(t) "
		  "do t.b = nil r[#r+1] = k end return r end)()",
		  "[\"a\",\"c\"]" },
		{ "(function() local r = list() for i, v in ipairs({1, 2, nil, 4}) do r[#r+1] = v "
		  "end return r end)()",
		  "[1,2]" },
		{ "count({1, 2}) + count({a = 1}) + count(null) + count(nil)", "3" },
		{ "count('x')", "E:table expected" },
		{ "get({a = {{c = 5}}}, 'a[1].c')", "5" },
		{ "get(null, 'a')", "nil" },
		{ "get({}, 'a..b')", "nil" },
		{ "get({a = {}}, 'a..b')", "E:malformed" },
		{ "is_date('2026-02-30')", "false" },
		{ "is_date('2026-02-28')", "true" },
		{ "days_between('2026-11-20T23:59:00Z', '2026-11-21')", "1" },
		{ "days_between('2026-11-21', '2026-11-01')", "-20" },
		{ "date_add('2026-12-31', 1)", "\"2027-01-01\"" },
		{ "has('') or has(nil) or has(null)", "false" },
		{ "has(0) and has(false) and has({})", "true" },
		{ "json({a = 1, b = list()})", "\"{\\\"a\\\":1,\\\"b\\\":[]}\"" },
		{ "random(1, 1)", "1" },
		{ "random(2, 1)", "E:empty" },
		{ "random() < 1", "true" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect(s, rows[i].code, rows[i].want);
}

int main(void)
{
	mem_install();
	static void (*const tests[])(struct session * s) = {
		test_values,  test_data,         test_scripts,
		test_event,   test_text,         test_strings_and_locations,
		test_foreach, test_save,         test_sessions_apart,
		test_hostile, test_hostile_code, test_suspects,
		test_globals, test_patterns,
	};
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct session s;
		session_init(&s);
		tests[i](&s);
		session_release(&s);
	}
	return check_done();
}
