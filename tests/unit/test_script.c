/* SPDX-License-Identifier: MIT */
/* The Lua data model: the conventions of DESIGN.md 3. */
#include "script_session.h"

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
	struct chart_expr body =
		expr(s, "seen[#seen + 1] = {json(v), json(k)} if at and at[1] then at[4] = 9 end");
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
	session_release(s);
	session_init_with(s, script);
	const struct chart_expr *code = &s->chart->scripts[0].ops[0].script.code;
	struct err err = { 0 };
	CHECK(ops->load_script(s->dm, code, &err) == 0);
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

/* Values that are no JSON are found whatever way they came in. */
static void test_suspects(struct session *s)
{
	struct chart_expr library =
		expr(s, "function spoil() t.x = pairs end function fine() return 1 end");
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
	/* A part of spoilt data is looked at like any other value. */
	data(s, "t", "{}");
	data(s, "u", "1");
	struct chart_expr spoils = expr(s, "(function() t.x = {pairs} end)()");
	json_t *nothing = NULL;
	CHECK(ops->eval_json(s->dm, &spoils, &nothing, &err) == 0);
	CHECK(assign(s, "u", "t.x", &err) < 0);
	err = (struct err){ 0 };
	(void)(ops->check(s->dm, &err) < 0);
	/* Aliases: the other name of the spoilt table loses its value too. */
	data(s, "t", "{}");
	data(s, "u", "{t}");
	(void)assign(s, "t.x", "t", &err);
	expect(s, "t == nil and u == nil", "true");
}

int main(void)
{
	mem_install();
	static void (*const tests[])(struct session * s) = {
		test_data,
		test_scripts,
		test_event,
		test_text,
		test_strings_and_locations,
		test_foreach,
		test_save,
		test_sessions_apart,
		test_suspects,
	};
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct session s;
		session_init(&s);
		tests[i](&s);
		session_release(&s);
	}
	return check_done();
}
