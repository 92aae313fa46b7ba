/* SPDX-License-Identifier: MIT */
/* The examples of docs/guide/rules.md and templates.md do what the guides say. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "script/script.h"

/* The blocks of a page that name a file: "```lua file=invoice.lua". */
static json_t *read_blocks(const char *page)
{
	char *path = mem_format("%s/docs/guide/%s", SRCDIR, page);
	char *text = check_file(path);
	json_t *blocks = json_object();
	CHECK_MSG(text != NULL, "%s is there", page);
	for (char *at = text ? strstr(text, " file=") : NULL; at; at = strstr(at, " file=")) {
		at += strlen(" file=");
		size_t name_len = strcspn(at, "\n");
		char *body = at + name_len + 1, *end = strstr(body, "\n```\n");
		if (!CHECK_MSG(end != NULL, "a block of %s ends", page))
			break;
		at[name_len] = '\0';
		json_put(blocks, at, json_stringn(body, (size_t)(end + 1 - body)));
		at = end;
	}
	free(text);
	free(path);
	return blocks;
}

static struct script *new_script(void)
{
	static int64_t now_ms;
	struct script_limits limits = { LIMIT_LUA_STEPS, LIMIT_LUA_BYTES, LIMIT_LUA_MS };
	struct clock clock = clock_fixed(&now_ms);
	return script_new(&limits, &clock);
}

static void test_rules(struct script *script)
{
	json_t *files = read_blocks("rules.md");
	CHECK(json_object_size(files) == 6);
	struct ruleset *set = ruleset_new("shop", "guide", files);
	json_t *findings = script_ruleset_check(script, set, NULL);
	char *text = json_canon(findings);
	CHECK_STR(text, "[]");
	free(text);
	json_decref(findings);
	json_t *results = script_rules_test(script, set);
	CHECK(json_array_size(results) == 11);
	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *result = json_array_get(results, i);
		CHECK_MSG(json_truth(result, "ok", false), "%s: %s", json_str(result, "case", "?"),
		          json_str(result, "text", ""));
	}
	json_decref(results);
	json_decref(files);
	ruleset_unref(set);
}

static void test_templates(struct script *script)
{
	json_t *blocks = read_blocks("templates.md"), *values = NULL;
	struct err err = { 0 };
	char *text = NULL;
	CHECK(json_read(str_of(json_str(blocks, "data", "")), LIMIT_JSON_BYTES, &values, &err) ==
	      0);
	CHECK_MSG(script_template(script, "report.md", str_of(json_str(blocks, "report.md", "")),
	                          values, 0, &text, &err) == 0,
	          "renders: %s", err.text);
	bool is_same = text && strcmp(text, json_str(blocks, "result", "?")) == 0;
	CHECK_MSG(is_same, "the template becomes what the guide shows");
	free(text);
	json_decref(values);
	json_decref(blocks);
}

/* Every function that rules.md names is there, and what it says is absent is not. */
static void test_functions(struct script *script)
{
	static const char source[] = "{% local names = { has, missing, get, count, number, money, "
				     "today, now, days_between, "
				     "date_add, is_date, json, list, random, assert, error, "
				     "ipairs, pairs, pcall, select, tonumber, "
				     "tostring, type, string.byte, string.char, string.find, "
				     "string.format, string.gmatch, "
				     "string.gsub, string.len, string.lower, string.match, "
				     "string.rep, string.reverse, string.sub, "
				     "string.upper, table.concat, table.insert, table.remove, "
				     "table.sort, table.unpack, math.abs, "
				     "math.ceil, math.floor, math.fmod, math.max, math.min, "
				     "math.tointeger, math.type, math.ult, "
				     "utf8.char, utf8.codepoint, utf8.len } %}{{ #names }} {{ "
				     "math.pi > 3 }} {{ type(null) }} "
				     "{{ type(print or require or load or next or rawget or "
				     "setmetatable or getmetatable or os or io "
				     "or debug or coroutine or xpcall or collectgarbage or dofile "
				     "or _G or rawequal or rawlen) }}";
	struct err err = { 0 };
	json_t *none = json_object();
	char *text = NULL;
	CHECK(script_template(script, "a.txt", str_of(source), none, 0, &text, &err) == 0);
	CHECK_STR(text, "53 true null nil");
	free(text);
	json_decref(none);
}

int main(void)
{
	mem_install();
	struct script *script = new_script();
	test_rules(script);
	test_templates(script);
	test_functions(script);
	script_free(script);
	return check_done();
}
