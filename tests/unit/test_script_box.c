/* SPDX-License-Identifier: MIT */
/*
 * The box: its values and functions, one line per case, and the hostile rows
 * 19-28 of RELIABILITY.md.
 */
#include "script_session.h"

static const struct row values[] = {
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
	{ "string.len(null)", "E:string expected, got null" },
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

static void test_values(struct session *s)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		expect(s, values[i].code, values[i].want);
}

static const struct row patterns[] = {
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
	{ "string.format('%10s|%-10s|%.2s', 'ab', 'cd', 'xyz')", "\"        ab|cd        |xy\"" },
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

/* Patterns and formats: against what Lua's manual says. */
static void test_patterns(struct session *s)
{
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		expect(s, patterns[i].code, patterns[i].want);
}

static const struct row hostile[] = {
	{ "(function() while true do end end)()", "B:rule.budget" },
	{ "(function() while true do pcall(function() while true do end end) end end)()",
	  "B:rule.budget" },
	{ "(function() while true do pcall(error) end end)()", "B:rule.budget" },
	{ "(function() local function f() return f() end return f() end)()", "B:rule.budget" },
	{ "(function() local function f() return 1 + f() end return f() end)()", "B:rule." },
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
	{ "(function() for m in ('a'):rep(3000):gmatch('.-.-.-b') do end end)()", "B:rule.budget" },
	{ "('x'):rep(1e9)", "B:rule.memory" },
	{ "('x'):rep(1e9, 'y')", "B:rule.memory" },
	{ "('x'):rep(math.maxinteger)", "B:rule.memory" },
	{ "('x'):rep(-1)", "\"\"" },
	{ "('ab'):rep(3, '-')", "\"ab-ab-ab\"" },
	{ "(function() local s = 'x' while true do s = s .. s end end)()", "B:rule.memory" },
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
	{ "(function() for k in pairs({[{}] = 1}) do end end)()", "E:rule.nondeterministic_key" },
	{ "(function() local x <close> = {} end)()", "E:close" },
	{ "(function() local t = {} t.t = t return json(t) end)()", "E:contains itself" },
	{ "pcall(pcall, pcall, pcall, error)", "true" },
	{ "tostring(pairs) .. tostring({})", "\"functiontable\"" },
};

/* RELIABILITY.md, rows 19-28 and M2: each must end, and in the same way every time. */
static void test_hostile(struct session *s)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
		expect(s, hostile[i].code, hostile[i].want);
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

/* A configuration file: Lua without functions, errors with their line. */
static void test_config(struct session *s)
{
	static const struct row rows[] = {
		{ "return { a = 1, b = { 'x', null } }", "{\"a\":1,\"b\":[\"x\"]}" },
		{ "-- none\nreturn { a = os.time() }", "E:gangway.lua:2: attempt to index" },
		{ "return {\n a = \n", "E:gangway.lua:" },
		{ "return 5", "E:does not return a table" },
		{ "return { f = function() end }", "E:function" },
		{ "while true do end", "E:steps" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { 0 };
		json_t *value = NULL;
		int status = script_config(s->script, "gangway.lua", str_of(rows[i].code), &value,
		                           &err);
		char *text = status == 0 ? json_canon(value) : NULL;
		bool is_error = rows[i].want[0] == 'E';
		CHECK_MSG(is_error ? status < 0 && strstr(err.text, rows[i].want + 2)
		                   : status == 0 && strcmp(text, rows[i].want) == 0,
		          "config row %zu: %s", i, status < 0 ? err.text : text);
		free(text);
		json_decref(value);
	}
}

int main(void)
{
	mem_install();
	static void (*const tests[])(struct session * s) = {
		test_values,       test_patterns, test_hostile,
		test_hostile_code, test_globals,  test_config,
	};
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct session s;
		session_init(&s);
		tests[i](&s);
		session_release(&s);
	}
	return check_done();
}
