/* SPDX-License-Identifier: MIT */
/* Rule sets: deciding, isolation, the ways in which a set can be wrong, and its cases. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "script/script.h"

static const char manifest[] =
	"return { name = 'shop', version = '1.2', summary = 's', domains = {'account', "
	"'invoice'},\n"
	"  decide = 'decision.decide', decisions = {'PROCEED', 'ESCALATE', 'BLOCK'} }";

static const char account[] =
	"-- Account: is it complete?\n"
	"return { domain = 'account', subject = 'facts.account', rules = {\n"
	"  { id = 'account.id', severity = 'violation', owner = 'Sales', fix = 'Set the Id',\n"
	"    fires = function(a) return missing(a.Id) end, message = 'no Id in {Name} of "
	"{Address.City}' },\n"
	"  { id = 'account.country', severity = 'warning', owner = 'Data', fix = 'Fill it in',\n"
	"    fires = function(a, all) return missing(a.Country), {seen = all.note} end,\n"
	"    message = 'no country; note {seen}' },\n"
	"} }";

static const char invoice[] =
	"local GRACE = 5 -- days\n"
	"return { domain = 'invoice', subject = 'facts.invoices', rules = {\n"
	"  { id = 'invoice.overdue', severity = 'warning', owner = 'Finance', fix = 'Collect',\n"
	"    fires = function(i)\n"
	"      local days = days_between(i.due, today())\n"
	"      return days > GRACE, {days = days}\n"
	"    end,\n"
	"    message = '{no} is {days} days late, {lines[1].amount} open' },\n"
	"} }";

static const char decision[] =
	"return { decide = function(v)\n"
	"  local reasons = {}\n"
	"  for _, f in ipairs(v.violations) do reasons[#reasons + 1] = f.message end\n"
	"  for _, f in ipairs(v.warnings) do reasons[#reasons + 1] = f.id end\n"
	"  if #v.violations > 0 or #v.errors > 0 then return 'BLOCK', reasons end\n"
	"  if #v.warnings > 0 then return 'ESCALATE', reasons end\n"
	"  return 'PROCEED', reasons\n"
	"end }";

static const char tier[] = "return { choose = function(p) return {tier = p.amount >= 100 and "
			   "'Enterprise' or 'Starter', list = list()} end,\n"
			   "  bad = function() return 0/0 end, none = function() end, fail = "
			   "function() error('broken') end,\n"
			   "  spin = function() while true do end end,\n"
			   "  big = function() local t = {} for i = 1, 3000 do t[i] = 'some text "
			   "that takes room' end return t end }";

static int64_t clock_ms;

static struct script *new_script(void)
{
	struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	struct clock clock = clock_fixed(&clock_ms);
	return script_new(&limits, &clock);
}

static json_t *shop_files(void)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s}", "ruleset.lua", manifest, "account.lua", account,
	                 "invoice.lua", invoice, "decision.lua", decision, "tier.lua", tier);
}

/* The shop with one file replaced; each has a hash of its own, as folders do. */
static struct ruleset *shop_with(const char *file, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	static unsigned next;
	char hash[9] = "hash....";
	for (int i = 0; i < 4; i++)
		hash[4 + i] = digits[(next >> (4 * i)) & 15];
	next++;
	json_t *files = shop_files();
	if (file)
		json_object_set_new(files, file, json_string(text));
	struct ruleset *set = ruleset_new("shop", hash, files);
	json_decref(files);
	return set;
}

static json_t *parse(const char *text)
{
	struct err err = { 0 };
	json_t *ret = NULL;
	if (json_read(str_of(text), LIMIT_JSON_BYTES, &ret, &err) < 0)
		printf("# %s: %s\n", err.text, text);
	return ret;
}

static const int64_t day = INT64_C(1795219200000); /* 2026-11-21 */

static json_t *evaluate(struct script *script, struct ruleset *set, const char *params,
                        struct err *err)
{
	json_t *input = parse(params), *ret = NULL;
	struct rule_inputs in = { input, day, 7 };
	*err = (struct err){ 0 };
	if (script_rules_evaluate(script, set, &in, &ret, err) < 0)
		ret = NULL;
	json_decref(input);
	return ret;
}

static void check_json(const json_t *value, const char *want, const char *what)
{
	char *got = value ? json_canon(value) : NULL;
	check_text(got, want, __FILE__, __LINE__, what);
	free(got);
}

static const char good[] =
	"{\"facts\":{\"account\":{\"Id\":\"1\",\"Country\":\"DE\"},\"invoices\":"
	"[{\"no\":\"I1\",\"due\":\"2026-11-20\",\"lines\":[{\"amount\":5}]}]},\"errors\":[]}";
static const char late[] =
	"{\"note\":\"n\",\"facts\":{\"account\":{\"Id\":\"1\",\"Country\":null},\"invoices\":"
	"[{\"no\":\"I1\",\"due\":\"2026-11-20\"},{\"no\":\"I2\",\"due\":\"2026-11-01\",\"lines\":[{"
	"\"amount\":12.5}]},null]}}";

static void test_verdicts(struct script *script)
{
	struct ruleset *set = shop_with(NULL, NULL);
	struct err err;
	json_t *v = evaluate(script, set, good, &err);
	check_json(v,
	           "{\"decision\":\"PROCEED\",\"errors\":[],\"outcomes\":["
	           "{\"domain\":\"account\",\"id\":\"account.id\",\"result\":\"passed\","
	           "\"severity\":\"violation\",\"values\":{\"Address.City\":null,\"Name\":null}},"
	           "{\"domain\":\"account\",\"id\":\"account.country\",\"result\":\"passed\","
	           "\"severity\":\"warning\",\"values\":{\"seen\":null}},"
	           "{\"domain\":\"invoice\",\"element\":1,\"id\":\"invoice.overdue\",\"result\":"
	           "\"passed\",\"severity\":\"warning\",\"values\":{\"days\":1,\"lines[1].amount\":"
	           "5,\"no\":\"I1\"}}],"
	           "\"reasons\":[],\"ruleset\":{\"name\":\"shop\",\"sha256\":\"hash0000\","
	           "\"version\":\"1.2\"},\"violations\":[],\"warnings\":[]}",
	           "verdict");
	json_decref(v);
	v = evaluate(script, set, late, &err);
	CHECK_STR(json_str(v, "decision", NULL), "ESCALATE");
	check_json(json_at(v, "reasons"), "[\"account.country\",\"invoice.overdue\"]", "reasons");
	check_json(json_at(v, "warnings"),
	           "[{\"domain\":\"account\",\"fix\":\"Fill it "
	           "in\",\"id\":\"account.country\",\"message\":\"no country; note "
	           "n\",\"owner\":\"Data\",\"severity\":\"warning\",\"values\":{\"seen\":\"n\"}},"
	           "{\"domain\":\"invoice\",\"element\":2,\"fix\":\"Collect\",\"id\":\"invoice."
	           "overdue\",\"message\":\"I2 is 20 days late, 12.5 "
	           "open\",\"owner\":\"Finance\",\"severity\":\"warning\",\"values\":{\"days\":20,"
	           "\"lines[1].amount\":12.5,\"no\":\"I2\"}}]",
	           "warnings");
	json_decref(v);
	v = evaluate(
		script, set,
		"{\"facts\":{\"account\":{\"Name\":\"Acme\"}},\"errors\":[{\"error_code\":\"X\"}]}",
		&err);
	CHECK_STR(json_str(v, "decision", NULL), "BLOCK");
	CHECK_STR(json_str(json_array_get(json_at(v, "violations"), 0), "message", ""),
	          "no Id in Acme of (missing)");
	CHECK_STR(json_str(json_array_get(json_at(v, "outcomes"), 2), "result", ""), "absent");
	check_json(json_at(v, "errors"), "[{\"error_code\":\"X\"}]", "errors");
	json_decref(v);
	v = evaluate(script, set, "{\"facts\":{\"account\":null},\"errors\":{}}", &err);
	CHECK_STR(json_str(v, "decision", NULL), "PROCEED"); /* nothing there: no rule fires */
	json_decref(v);
	/* In a fresh state, and twice: the same bytes. */
	struct script *other = new_script();
	json_t *a = evaluate(script, set, late, &err), *b = evaluate(other, set, late, &err);
	char *x = json_canon(a), *y = json_canon(b);
	CHECK_STR(x, y);
	free(x);
	free(y);
	json_decref(a);
	json_decref(b);
	ruleset_unref(set);
	script_free(other);
}

static const struct {
	const char *file, *text, *id, *words;
} blocked[] = {
#define RULE(body)                                                                       \
	"account.lua",                                                                   \
		"return {domain = 'account', subject = 'facts.account', rules = {{id = " \
		"'account.x', severity = 'warning',"                                     \
		"owner = 'o', fix = 'f', message = 'm', fires = function(a, all) " body " end}}}"
	{ RULE("while true do end"), "rule.budget", "account.x" },
	{ RULE("while true do pcall(function() while true do end end) end"), "rule.budget", "" },
	{ RULE("return ('a'):rep(3000):find('.-.-.-.-b')"), "rule.budget", "" },
	{ RULE("return ('x'):rep(1e9)"), "rule.memory", "" },
	{ RULE("local s = 'x' while true do s = s .. s end"), "rule.memory", "" },
	{ RULE("return string.format('%99999d', 1)"), "rule.memory", "" },
	{ RULE("return a.b.c"), "rule.error", "account.lua:1:" },
	{ RULE("error('because')"), "rule.error", "because" },
	{ RULE("x = 1"), "rule.error", "'x' is not a local name" },
	{ RULE("_G.x = 1"), "rule.error", "" },
	{ RULE("string.upper = nil"), "rule.error", "library cannot be changed" },
	{ RULE("getmetatable('').__index = nil"), "rule.error", "getmetatable" },
	{ RULE("xpcall(error, error)"), "rule.error", "xpcall" },
	{ RULE("load(string.dump(error))"), "rule.error", "" },
	{ RULE("return os.time()"), "rule.error", "os" },
	{ RULE("return In('x')"), "rule.error", "In" },
	{ RULE("for k in pairs({[{}] = 1}) do end"), "rule.nondeterministic_key", "" },
	{ RULE("return 0/0"), "rule.bad_result", "true or false" },
	{ RULE("return 1"), "rule.bad_result", "" },
	{ RULE("return 'yes'"), "rule.bad_result", "" },
	{ RULE("return {}"), "rule.bad_result", "" },
	{ RULE("return null"), "rule.bad_result", "" },
	{ RULE("return true, {x = 1/0}"), "rule.bad_result", "infinite" },
	{ RULE("return true, {x = pairs}"), "rule.bad_result", "function" },
	{ RULE("return true, 'text'"), "rule.bad_result", "table" },
	{ RULE("local t = {} t.t = t return true, t"), "rule.bad_result", "contains itself" },
	{ RULE("return true, {x = ('y'):rep(70000)}"), "rule.bad_result", "too much" },
	{ "account.lua", "return {", "rule.syntax", "account.lua:1:" },
	{ "account.lua", "\033Lua", "rule.not_text", "" },
	{ "account.lua", "return 5", "rule.error", "does not return a table" },
	{ "account.lua", "_ENV = {} return {}", "rule.environment", "" },
	{ "ruleset.lua", "return {", "rule.syntax", "ruleset.lua:1:" },
	{ "decision.lua", "return {decide = function() return 'MAYBE', {} end}", "rule.bad_result",
	  "MAYBE" },
	{ "decision.lua", "return {decide = function() return end}", "rule.bad_result", "" },
	{ "decision.lua", "return {decide = function() return 'BLOCK', 'because' end}",
	  "rule.bad_result", "" },
	{ "decision.lua", "return {decide = function() return 'BLOCK', {1} end}", "rule.bad_result",
	  "" },
	{ "decision.lua", "return {decide = function() return 'BLOCK' end}", "rule.bad_result",
	  "" },
	{ "decision.lua", "return {decide = 1}", "rule.manifest", "" },
	{ "decision.lua", "return {decide = function(v) error('no idea') end}", "rule.error",
	  "no idea" },
};

/* What nothing may be decided from: each ends with this id. */
static void test_blocked(struct script *script)
{
	for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++) {
		struct ruleset *set = shop_with(blocked[i].file, blocked[i].text);
		struct err err;
		json_t *v = evaluate(script, set, good, &err);
		CHECK_MSG(!v && err.code == ERR_BLOCKED && strcmp(err.id, blocked[i].id) == 0 &&
		                  strstr(err.text, blocked[i].words),
		          "%s: %s", blocked[i].id, blocked[i].text);
		if (v || strcmp(err.id, blocked[i].id) != 0 || !strstr(err.text, blocked[i].words))
			printf("#   got %s: %s\n", err.id, err.text);
		json_decref(v);
		ruleset_unref(set);
	}
	struct ruleset *set = shop_with(NULL, NULL);
	struct err err;
	json_t *v = evaluate(script, set, good, &err);
	CHECK(v != NULL); /* the box is as it was */
	json_decref(v);
	ruleset_unref(set);
}

/* A rule that writes: neither the next rule nor the next evaluation sees it. */
static void test_isolation(struct script *script)
{
	struct ruleset *set = shop_with(
		"account.lua", "local n, seen = 0, {}\n"
			       "local function one(name) return {id = 'account.' .. name, severity "
			       "= 'warning', owner = 'o', fix = 'f',\n"
			       "  message = '{n} {seen} {id} {left}', fires = function(a, all)\n"
			       "    n = n + 1; seen[#seen + 1] = name; a.Id = (a.Id or '') .. "
			       "name; all.left = (all.left or 0) + 1\n"
			       "    table.insert(all.facts.invoices, 'x'); "
			       "table.sort(all.facts.invoices, function() return true end)\n"
			       "    return true, {n = n, seen = #seen, id = a.Id, left = all.left "
			       "+ #all.facts.invoices} end} end\n"
			       "return {domain = 'account', subject = 'facts.account', rules = "
			       "{one('a'), one('b')}}");
	for (int i = 0; i < 2; i++) {
		struct err err;
		json_t *v = evaluate(script, set, good, &err), *w = json_at(v, "warnings");
		CHECK_MSG(v != NULL, "evaluated: %s", err.text);
		CHECK_STR(json_str(json_array_get(w, 0), "message", ""), "1 1 1a 3");
		CHECK_STR(json_str(json_array_get(w, 1), "message", ""), "1 1 1b 3");
		json_decref(v);
	}
	ruleset_unref(set);
	/* Time at the top of a file is the time of each evaluation. */
	set = shop_with("tier.lua",
	                "local T = today() return {choose = function() return {t = T} end}");
	json_t *none = json_object();
	for (int i = 0; i < 2; i++) {
		struct rule_inputs in = { none, day + i * INT64_C(86400000), 1 };
		struct err err = { 0 };
		json_t *r = NULL;
		CHECK(script_rules_call(script, set, "tier.choose", &in, &r, &err) == 0);
		CHECK_STR(json_str(r, "t", ""), i == 0 ? "2026-11-21" : "2026-11-22");
		json_decref(r);
	}
	json_decref(none);
	ruleset_unref(set);
}

static const char *const writes[] = {
	"all.mark = 1",
	"all['mark'] = 1",
	"table.insert(all.facts.invoices, 1)",
	"local t = table t.insert(all.facts.invoices, 1)",
	"local i = table.insert i(all.facts.invoices, 1)",
	"local i = table['ins' .. 'ert'] i(all.facts.invoices, 1)",
	"pcall(table.remove, all.facts.invoices)",
	"for _, f in ipairs({table}) do f.insert(all.facts.invoices, 1) end",
	"local function set(t, k, v) t[k] = v end set(all, 'mark', 1)",
	"all.mark, a.Id = 1, 2",
	"local x, y = all x.mark = 1",
	"(all).mark = 1",
	"a.Id = nil",
	"function all.mark() end",
	"local t <const> = all t.mark = 2",
	"goto e ::e:: all.mark = 1",
	"if has(nil) then else all.mark = 1 end",
	"repeat all.mark = 1 until true",
	"('x'):gsub('x', function() all.mark = 1 end)",
	"list(all)",
	"local l = list l(all)",
	"n = n + 1",
	"(function() n = 5 end)()",
	"consts.x = 1",
	"local c = consts c[1] = 2",
	"for n = 1, 3 do a.Id = n end",
	"while not all.mark do all.mark = 1 end",
	"local s = 'a' --[[ ]] all.mark = s",
	"local s = [[\n]] all.mark = s",
	"return true, (function() all.mark = 1 return {} end)()",
	"local t = {} t[1] = all t[1].mark = 1",
	"local t = {} t = all t.mark = 1",
	"local t = {} or all t.mark = 1",
	"local t = {} table.insert(t, all) table.remove(t).mark = 1",
	"local t = {all.facts.invoices} table.insert(t[1], 2)",
	"local t = {} t = all.facts.invoices table.insert(t, 2)",
	"local t = all or {} t.mark = 1",
	"local t = {} for i = 1, 2 do t.mark = 1 t = all end",
	"local t = {all} local u = t[1] u.mark = 1",
	"local t = {} (function() t = all end)() t.mark = 1",
	"local t = {}, 1 (all).mark = 1",
	"local function f() return all end f().mark = 1",
	"local t = {} do local t = all t.mark = 1 end",
};

/* However a rule writes: the next one must see the parameters as they came. */
static void test_writes(struct script *script)
{
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		char *text = mem_format(
			"local n, consts = 0, {}\n"
			"return {domain = 'account', subject = 'facts.account', rules = {\n"
			"{id = 'account.a', severity = 'warning', owner = 'o', fix = 'f', message "
			"= 'm',\n"
			" fires = function(a, all) %s end},\n"
			"{id = 'account.b', severity = 'violation', owner = 'o', fix = 'f', "
			"message = 'm',\n"
			" fires = function(a, all) return n ~= 0 or count(consts) ~= 0 or all.mark "
			"~= nil or\n"
			"  #all.facts.invoices ~= 1 or a.Id ~= '1' or json(all):sub(1, 1) ~= '{' "
			"end}}}",
			writes[i]);
		struct ruleset *set = shop_with("account.lua", text);
		struct err err;
		bool ok = true;
		for (int round = 0; round < 2; round++) {
			json_t *v = evaluate(script, set, good, &err);
			ok &= v && json_array_size(json_at(v, "violations")) == 0;
			json_decref(v);
		}
		CHECK_MSG(ok, "isolated: way %zu of writing %s", i, err.text);
		ruleset_unref(set);
		free(text);
	}
}

static void test_calls(struct script *script)
{
	struct ruleset *set = shop_with(NULL, NULL);
	json_t *params = parse("{\"amount\":120}");
	struct rule_inputs in = { params, day, 1 };
	struct err err = { 0 };
	json_t *result = NULL;
	CHECK(script_rules_call(script, set, "tier.choose", &in, &result, &err) == 0);
	check_json(result, "{\"list\":[],\"tier\":\"Enterprise\"}", "result");
	json_decref(result);
	static const struct {
		const char *name, *id;
	} rows[] = { { "tier.bad", "rule.bad_result" }, { "tier.none", "rule.bad_result" },
		     { "tier.fail", "rule.error" },     { "tier.spin", "rule.budget" },
		     { "tier.big", "rule.bad_result" }, { "tier.absent", "rule.error" },
		     { "absent.x", "rule.error" },      { "tier", "rule.error" } };
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err = (struct err){ 0 };
		CHECK_MSG(script_rules_call(script, set, rows[i].name, &in, &result, &err) ==
		                          ERR_BLOCKED &&
		                  strcmp(err.id, rows[i].id) == 0,
		          "%s: %s", rows[i].name, rows[i].id);
	}
	json_decref(params);
	ruleset_unref(set);
}

static const struct {
	const char *file, *text, *code, *level;
	int line;
} mistakes[] = {
#define DOMAIN(rules)  \
	"account.lua", \
		"return {domain = 'account', subject = 'facts.account', rules = {\n" rules "}}"
#define WHOLE "owner = 'o', fix = 'f', message = 'm', fires = function() end"
	{ DOMAIN("{id = 'account.a', severity = 'bad', " WHOLE "}"), "rule.severity", "error", 2 },
	{ DOMAIN("{id = 'other.a', severity = 'warning', " WHOLE "}"), "rule.bad_id", "error", 2 },
	{ DOMAIN("{id = 'account.', severity = 'warning', " WHOLE "}"), "rule.bad_id", "error", 2 },
	{ DOMAIN("{id = 'account.a', severity = 'warning', " WHOLE
	         "},\n{id = 'account.a', severity = 'warning', " WHOLE "}"),
	  "rule.duplicate_id", "error", 2 },
	{ DOMAIN("{id = 'account.a', severity = 'warning', fix = 'f', message = 'm', fires "
	         "= pairs}"),
	  "rule.no_text", "error", 2 },
	{ DOMAIN("{id = 'account.a', severity = 'warning', owner = 'o', fix = 'f', message "
	         "= 'm'}"),
	  "rule.no_fires", "error", 2 },
	{ DOMAIN("{id = 'account.a', severity = 'warning', typo = 1, " WHOLE "}"),
	  "rule.unknown_field", "warning", 2 },
	{ DOMAIN("{id = 'account.a', severity = 'warning', owner = 'o', fix = 'f', message "
	         "= 'm {a b}', fires = pairs}"),
	  "rule.message", "warning", 2 },
	{ DOMAIN(""), "rule.no_rules", "error", 0 },
	{ "account.lua", "return {domain = 'acount', subject = 'x', rules = {}}", "rule.domain",
	  "error", 0 },
	{ "account.lua", "return {domain = 'account', rules = {}}", "rule.subject", "error", 0 },
	{ "account.lua", "return {domain = 'account', subject = 'a..b', rules = {}}",
	  "rule.subject", "error", 0 },
	{ "tier.lua", "\n\nreturn {x = function() return oss.time() end}", "rule.unknown_name",
	  "error", 3 },
	{ "tier.lua", "\nfunction x() end return {}", "rule.global", "error", 2 },
	{ "tier.lua", "\nreturn {x = function(a) return 2 ^ a.y end}", "rule.power", "warning", 2 },
	{ "tier.lua", "return {x = ", "rule.syntax", "error", 1 },
	{ "ruleset.lua", "return {version = '1'}", "rule.manifest", "error", 0 },
	{ "ruleset.lua", "return {name = 'n', version = '1', domain = {}}", "rule.manifest",
	  "warning", 0 },
	{ "ruleset.lua",
	  "return {name = 'n', version = '1', domains = {'nope'}, decide = "
	  "'decision.decide', decisions = {'X'}}",
	  "rule.domain", "error", 0 },
	{ "ruleset.lua",
	  "return {name = 'n', version = '1', domains = {'account'}, decide = 'x.y', "
	  "decisions = {'X'}}",
	  "rule.manifest", "error", 0 },
	{ "cases/a.json", "[{]", "rule.cases", "error", 0 },
	{ "cases/a.json", "{}", "rule.cases", "error", 0 },
};

static void test_check(struct script *script)
{
	struct ruleset *set = shop_with(NULL, NULL);
	json_t *info = NULL, *findings = script_ruleset_check(script, set, &info);
	check_json(findings, "[]", "findings of a good set");
	CHECK_STR(json_str(info, "version", ""), "1.2");
	CHECK(json_array_size(json_at(info, "rules")) == 3);
	CHECK(json_int(json_array_get(json_at(info, "rules"), 1), "line", 0) == 5);
	check_json(json_at(info, "functions"),
	           "[\"decision.decide\",\"tier.bad\",\"tier.big\",\"tier.choose\","
	           "\"tier.fail\",\"tier.none\",\"tier.spin\"]",
	           "functions");
	json_decref(info);
	json_decref(findings);
	ruleset_unref(set);
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		set = shop_with(mistakes[i].file, mistakes[i].text);
		findings = script_ruleset_check(script, set, NULL);
		bool found = false;
		for (size_t j = 0; j < json_array_size(findings); j++) {
			const json_t *f = json_array_get(findings, j);
			found |= strcmp(json_str(f, "code", ""), mistakes[i].code) == 0 &&
			         strcmp(json_str(f, "level", ""), mistakes[i].level) == 0 &&
			         json_int(f, "line", -1) == mistakes[i].line;
		}
		CHECK_MSG(found, "%s %s line %d", mistakes[i].level, mistakes[i].code,
		          mistakes[i].line);
		if (!found) {
			char *text = json_canon(findings);
			printf("#   got %s\n", text);
			free(text);
		}
		json_decref(findings);
		ruleset_unref(set);
	}
	json_t *files = json_object();
	set = ruleset_new("empty", "e", files);
	findings = script_ruleset_check(script, set, NULL);
	CHECK_STR(json_str(json_array_get(findings, 0), "code", ""), "rule.no_manifest");
	json_decref(findings);
	json_decref(files);
	ruleset_unref(set);
}

static void test_cases(struct script *script)
{
	struct ruleset *set = shop_with(
		"cases/all.json",
		"[{\"name\":\"no "
		"id\",\"rule\":\"account.id\",\"params\":{\"facts\":{\"account\":{\"Name\":\"A\"}}}"
		",\"fires\":true,\"message\":\"no Id in A\"},"
		"{\"name\":\"id\",\"rule\":\"account.id\",\"params\":{\"facts\":{\"account\":{"
		"\"Id\":\"1\"}}},\"fires\":false},"
		"{\"name\":\"late\",\"rule\":\"invoice.overdue\",\"today\":\"2026-11-21\","
		"\"params\":{\"facts\":{\"invoices\":[{\"due\":\"2026-11-01\"}]}},\"values\":{"
		"\"days\":20}},"
		"{\"name\":\"wrong\",\"rule\":\"account.country\",\"params\":{\"facts\":{"
		"\"account\":{\"Country\":\"DE\"}}},\"fires\":true},"
		"{\"name\":\"decides\",\"decide\":true,\"params\":{\"facts\":{}},\"decision\":"
		"\"PROCEED\",\"violations\":[]},"
		"{\"name\":\"decides wrong\",\"decide\":true,\"params\":{},\"decision\":\"BLOCK\"},"
		"{\"name\":\"tier\",\"call\":\"tier.choose\",\"params\":{\"amount\":1},\"result\":{"
		"\"tier\":\"Starter\"}},"
		"{\"name\":\"tier "
		"wrong\",\"call\":\"tier.choose\",\"params\":{\"amount\":1},\"result\":{\"tier\":"
		"\"X\"}},"
		"{\"name\":\"nothing\"}]");
	json_t *results = script_rules_test(script, set);
	static const struct {
		const char *name, *text;
		bool ok;
	} want[] = {
		{ "all.json: no id", "", true },
		{ "all.json: id", "", true },
		{ "all.json: late", "", true },
		{ "all.json: wrong", "does not fire", false },
		{ "all.json: decides", "", true },
		{ "all.json: decides wrong", "PROCEED", false },
		{ "all.json: tier", "", true },
		{ "all.json: tier wrong", "Starter", false },
		{ "all.json: nothing", "rule", false },
		{ "account.country", "no case fires", false },
		{ "invoice.overdue", "quiet", false },
	};
	CHECK(json_array_size(results) == sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		const json_t *r = json_array_get(results, i);
		CHECK_MSG(strcmp(json_str(r, "case", ""), want[i].name) == 0 &&
		                  json_truth(r, "ok", false) == want[i].ok &&
		                  strstr(json_str(r, "text", ""), want[i].text),
		          "%s: %s", want[i].name, json_str(r, "text", ""));
	}
	json_decref(results);
	ruleset_unref(set);
}

/* More sets than the cache holds, each still right. */
static void test_cache(struct script *script)
{
	bool ok = true;
	for (int i = 0; i < 150; i++) {
		struct ruleset *set = shop_with(NULL, NULL);
		struct err err;
		json_t *v = evaluate(script, set, good, &err);
		ok &= v != NULL;
		json_decref(v);
		ruleset_unref(set);
	}
	CHECK(ok);
}

int main(void)
{
	mem_install();
	static void (*const tests[])(struct script * script) = { test_verdicts,  test_blocked,
		                                                 test_isolation, test_writes,
		                                                 test_calls,     test_check,
		                                                 test_cases,     test_cache };
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		struct script *script = new_script();
		tests[i](script);
		script_free(script);
	}
	return check_done();
}
