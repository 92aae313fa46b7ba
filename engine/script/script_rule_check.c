/* SPDX-License-Identifier: MIT */
/*
 * `gangway rules check` and `gangway rules test`: what is wrong with a rule set
 * before anybody relies on it, and whether its cases hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "script/script_rule_int.h"

/* --- lint: what Lua only finds when it runs --------------------------- */

struct lint {
	json_t *findings;
	const char *file;
};

static void found_name(void *arg, enum scan_use use, struct str name, int line)
{
	const struct lint *lint = arg;
	char text[64];
	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.ptr);
	switch (use) {
	case SCAN_READ:
		rule_find(lint->findings, "error", lint->file, line, "rule.unknown_name",
		          "Is it misspelt? The functions there are stand in docs/guide/rules.md.",
		          "'%s' is neither a local name nor a function of the box", text);
		return;
	case SCAN_WRITE:
		rule_find(lint->findings, "error", lint->file, line, "rule.global",
		          "Write 'local' in front of it.", "'%s' is not a local name", text);
		return;
	case SCAN_POWER:
		rule_find(
			lint->findings, "warning", lint->file, line, "rule.power",
			"Use multiplication, or a whole number as exponent.",
			"'^' with an exponent that is no whole number may differ between machines");
		return;
	}
}

static void lint_files(struct rule_code *code, json_t *findings)
{
	for (size_t i = 0; i < code->files.len; i++) {
		char *file_name = mem_format("%s.lua", code->files.at[i].name);
		struct lint lint = { findings, file_name };
		const json_t *text = json_at(code->set->files, file_name);
		struct str source = { json_string_value(text), json_string_length(text) };
		(void)scan_chunk(source, found_name, &lint);
		free(file_name);
	}
}

static void count_path(void *ctx, struct str path)
{
	(void)path;
	++*(size_t *)ctx;
}

/* A brace that opens no {path} is most likely a slip. */
static void lint_messages(struct rule_code *code, json_t *findings)
{
	for (size_t i = 0; i < code->files.len; i++) {
		for (size_t j = 0; j < code->files.at[i].rules.len; j++) {
			const struct rule *rule = &code->files.at[i].rules.at[j];
			char *file_name = mem_format("%s.lua", code->files.at[i].name);
			size_t paths = 0, braces = 0;
			rule_message_parts(rule->message, NULL, count_path, &paths);
			for (const char *p = rule->message; *p; p++)
				braces += *p == '{';
			if (braces != paths)
				rule_find(findings, "warning", file_name, rule->line,
				          "rule.message",
				          "A value is shown by its path: {tranId} or "
				          "{line[1].amount}.",
				          "the message of '%s' has a '{' that names no value",
				          rule->id);
			free(file_name);
		}
	}
}

static void check_cases(const struct ruleset *set, json_t *findings)
{
	const char *name;
	json_t *text;
	json_object_foreach(set->files, name, text) {
		if (!str_begins(name, "cases/") || !str_ends(name, ".json") ||
		    !json_is_string(text))
			continue;
		struct err err = { 0 };
		json_t *cases = NULL;
		if (json_read(str_of(json_string_value(text)), LIMIT_JSON_BYTES, &cases, &err) < 0)
			rule_find(findings, "error", name, 0, "rule.cases", NULL, "%s", err.text);
		else if (!json_is_array(cases))
			rule_find(findings, "error", name, 0, "rule.cases", NULL,
			          "the cases are no list");
		json_decref(cases);
	}
}

/* --- what there is ---------------------------------------------------- */

static json_t *describe_rules(const struct rule_code *code)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < code->domains.len; i++) {
		const struct rule_file *file = &code->files.at[code->domains.at[i]];
		for (size_t j = 0; j < file->rules.len; j++) {
			const struct rule *rule = &file->rules.at[j];
			json_t *item = json_object();
			char *file_name = mem_format("%s.lua", file->name);
			json_put_str(item, "id", rule->id);
			json_put_str(item, "domain", file->name);
			json_put_str(item, "severity",
			             rule->is_violation ? "violation" : "warning");
			json_put_str(item, "owner", rule->owner);
			json_put_str(item, "message", rule->message);
			json_put_str(item, "fix", rule->fix);
			json_put_str(item, "file", file_name);
			json_put_int(item, "line", rule->line);
			json_push(ret, item);
			free(file_name);
		}
	}
	return ret;
}

/* Functions of files that are no domains: "tier.choose". */
static json_t *describe_functions(struct script *script, struct rule_code *code)
{
	lua_State *L = script->L;
	json_t *ret = json_array();
	uint64_t rng = 0;
	struct box_host host = { .rng = &rng };
	for (size_t i = 0; i < code->files.len; i++) {
		struct rule_file *file = &code->files.at[i];
		struct err unused = { 0 };
		if (file->subject || strcmp(file->name, "ruleset") == 0 ||
		    rule_code_push_module(script, file, &host, &unused) < 0)
			continue;
		struct value_keys keys = { 0 };
		value_keys_read(L, -1, &keys);
		value_keys_sort(&keys);
		for (size_t j = 0; j < keys.len; j++) {
			if (!keys.at[j].text)
				continue;
			lua_getfield(L, -1, keys.at[j].text);
			char *name = mem_format("%s.%s", file->name, keys.at[j].text);
			if (lua_isfunction(L, -1))
				json_push(ret, json_text(str_of(name)));
			free(name);
			lua_pop(L, 1);
		}
		vec_release(&keys);
		lua_pop(L, 1);
	}
	return ret;
}

json_t *script_ruleset_check(struct script *script, struct ruleset *set, json_t **ret_info)
{
	json_t *findings = json_array();
	struct rule_code *code = rule_code_new(script, set, findings);
	lint_files(code, findings);
	lint_messages(code, findings);
	check_cases(set, findings);
	if (ret_info) {
		const json_t *domains = json_at(code->manifest, "domains");
		json_t *info = json_object();
		json_put_str(info, "name", json_str(code->manifest, "name", set->name));
		json_put_str(info, "version", json_str(code->manifest, "version", ""));
		json_put_str(info, "summary", json_str(code->manifest, "summary", ""));
		json_put(info, "domains", domains ? json_deep_copy(domains) : json_array());
		json_put(info, "rules", describe_rules(code));
		json_put(info, "functions", describe_functions(script, code));
		*ret_info = info;
	}
	rule_code_free(script, code);
	return findings;
}

/* --- cases ------------------------------------------------------------ */

/* 2026-01-01: the day of a case that names none. */
static const int64_t default_today_ms = INT64_C(1767225600000);

struct testing {
	struct script *script;
	struct ruleset *set;
	struct rule_code *code;
	json_t *results;
	json_t *fired, *quiet; /* ids of rules with such a case */
};

static bool say(char *why, size_t size, const char *format, ...) ATTR_PRINTF(3, 4);
static bool say(char *why, size_t size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return false;
}

/* Everything that want has stands in got too. */
static bool is_subset(const json_t *want, const json_t *got)
{
	if (json_is_object(want)) {
		const char *key;
		json_t *value;
		json_object_foreach((json_t *)(uintptr_t)want, key, value)
			if (!json_at(got, key) || !is_subset(value, json_at(got, key)))
				return false;
		return json_is_object(got);
	}
	if (json_is_array(want)) {
		if (json_array_size(want) != json_array_size(got))
			return false;
		for (size_t i = 0; i < json_array_size(want); i++)
			if (!is_subset(json_array_get(want, i), json_array_get(got, i)))
				return false;
		return json_is_array(got);
	}
	if (json_is_number(want) && json_is_number(got))
		return json_number_value(want) == json_number_value(got);
	return json_equal(want, got);
}

static struct rule_file *find_rule(struct rule_code *code, const char *id, size_t *index)
{
	for (size_t i = 0; i < code->domains.len; i++) {
		struct rule_file *file = &code->files.at[code->domains.at[i]];
		for (size_t j = 0; j < file->rules.len; j++) {
			if (strcmp(file->rules.at[j].id, id) != 0)
				continue;
			*index = j;
			return file;
		}
	}
	return NULL;
}

static bool has_message(const json_t *findings, const char *message)
{
	for (size_t i = 0; i < json_array_size(findings); i++)
		if (strstr(json_str(json_array_get(findings, i), "message", ""), message))
			return true;
	return false;
}

static bool judge_rule(struct testing *testing, const json_t *item, const struct verdict *verdict,
                       const char *id, char *why, size_t size)
{
	const json_t *findings = json_array_size(verdict->violations) > 0 ? verdict->violations
	                                                                  : verdict->warnings;
	bool fired = json_array_size(findings) > 0;
	bool wanted = json_truth(item, "fires", true);
	json_put(fired ? testing->fired : testing->quiet, id, json_true());
	if (fired != wanted)
		return say(why, size, "%s", fired ? "it fires" : "it does not fire");
	const char *message = json_str(item, "message", NULL);
	if (message && !has_message(findings, message))
		return say(why, size, "the message is: %s",
		           json_str(json_array_get(findings, 0), "message", "(none)"));
	const json_t *values = json_at(item, "values");
	if (values && !is_subset(values, json_at(json_array_get(findings, 0), "values")))
		return say(why, size, "the values differ");
	return true;
}

static bool test_rule(struct testing *testing, const json_t *item, const struct rule_inputs *in,
                      char *why, size_t size)
{
	const char *id = json_str(item, "rule", "");
	struct err err = { 0 };
	struct verdict verdict;
	size_t index;
	if (verdict_begin(&verdict, testing->script, testing->set, in, &err) < 0)
		return say(why, size, "%s", err.text);
	verdict_share_params(&verdict);
	struct rule_file *file = find_rule(verdict.code, id, &index);
	bool ok;
	if (!file)
		ok = say(why, size, "there is no rule '%s'", id);
	else if (verdict_run_rule(&verdict, file, index, &err) < 0)
		ok = say(why, size, "%s", err.text);
	else
		ok = judge_rule(testing, item, &verdict, id, why, size);
	verdict_end(&verdict);
	return ok;
}

/* A list of ids that the case wants to have fired, exactly. */
static bool has_ids(const json_t *want, const json_t *findings)
{
	if (!want)
		return true;
	if (json_array_size(want) != json_array_size(findings))
		return false;
	for (size_t i = 0; i < json_array_size(want); i++)
		if (!json_equal(json_array_get(want, i),
		                json_at(json_array_get(findings, i), "id")))
			return false;
	return true;
}

static bool test_decision(struct testing *testing, const json_t *item, const struct rule_inputs *in,
                          char *why, size_t size)
{
	struct err err = { 0 };
	json_t *verdict = NULL;
	if (script_rules_evaluate(testing->script, testing->set, in, &verdict, &err) < 0)
		return say(why, size, "%s", err.text);
	const char *want = json_str(item, "decision", ""), *got = json_str(verdict, "decision", "");
	bool ok = true;
	if (strcmp(want, got) != 0)
		ok = say(why, size, "the decision is %s, not %s", got, want);
	else if (!has_ids(json_at(item, "violations"), json_at(verdict, "violations")))
		ok = say(why, size, "other violations");
	else if (!has_ids(json_at(item, "warnings"), json_at(verdict, "warnings")))
		ok = say(why, size, "other warnings");
	json_decref(verdict);
	return ok;
}

static bool test_call(struct testing *testing, const json_t *item, const struct rule_inputs *in,
                      char *why, size_t size)
{
	struct err err = { 0 };
	json_t *result = NULL;
	const char *function = json_str(item, "call", "");
	if (script_rules_call(testing->script, testing->set, function, in, &result, &err) < 0)
		return say(why, size, "%s", err.text);
	bool ok = is_subset(json_at(item, "result"), result);
	if (!ok) {
		char *shown = json_canon(result);
		say(why, size, "the result is %.400s", shown);
		free(shown);
	}
	json_decref(result);
	return ok;
}

static bool run_case(struct testing *testing, const json_t *item, char *why, size_t size)
{
	json_t *none = json_object();
	const json_t *params = json_at(item, "params");
	struct rule_inputs in = { params ? params : none, default_today_ms, 1 };
	const char *today = json_str(item, "today", NULL);
	bool ok;
	if (today)
		in.now_ms = clock_parse_iso(today);
	if (today && in.now_ms == -1)
		ok = say(why, size, "\"today\" is no date: %s", today);
	else if (json_at(item, "rule"))
		ok = test_rule(testing, item, &in, why, size);
	else if (json_truth(item, "decide", false))
		ok = test_decision(testing, item, &in, why, size);
	else if (json_at(item, "call"))
		ok = test_call(testing, item, &in, why, size);
	else
		ok = say(why, size, "a case has \"rule\", \"decide\" or \"call\"");
	json_decref(none);
	return ok;
}

static void add_result(json_t *results, const char *name, bool ok, const char *text)
{
	json_t *result = json_object();
	json_put_str(result, "case", name);
	json_put(result, "ok", json_boolean(ok));
	json_put_str(result, "text", text);
	json_push(results, result);
}

static void run_file(struct testing *testing, const char *file)
{
	struct err err = { 0 };
	json_t *cases = NULL;
	struct str text = str_of(json_str(testing->set->files, file, ""));
	if (json_read(text, LIMIT_JSON_BYTES, &cases, &err) < 0 || !json_is_array(cases)) {
		add_result(testing->results, file, false,
		           err.code ? err.text : "the cases are no list");
		json_decref(cases);
		return;
	}
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *item = json_array_get(cases, i);
		char why[600] = "";
		char *name = mem_format("%s: %s", file + strlen("cases/"),
		                        json_str(item, "name", "(no name)"));
		bool ok = run_case(testing, item, why, sizeof(why));
		add_result(testing->results, name, ok, why);
		free(name);
	}
	json_decref(cases);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void run_files(struct testing *testing)
{
	VEC(const char *) names = { 0 };
	const char *name;
	json_t *text;
	json_object_foreach(testing->set->files, name, text)
		if (str_begins(name, "cases/") && str_ends(name, ".json") && json_is_string(text))
			*vec_add(&names) = name;
	if (names.len > 0)
		qsort(names.at, names.len, sizeof(*names.at), compare_names);
	for (size_t i = 0; i < names.len; i++)
		run_file(testing, names.at[i]);
	vec_release(&names);
}

static void check_coverage(struct testing *testing)
{
	for (size_t i = 0; i < testing->code->domains.len; i++) {
		const struct rule_file *file =
			&testing->code->files.at[testing->code->domains.at[i]];
		for (size_t j = 0; j < file->rules.len; j++) {
			const char *id = file->rules.at[j].id;
			bool fires = json_at(testing->fired, id),
			     rests = json_at(testing->quiet, id);
			if (!fires)
				add_result(testing->results, id, false, "no case fires this rule");
			if (!rests)
				add_result(testing->results, id, false,
				           "no case leaves this rule quiet");
		}
	}
}

json_t *script_rules_test(struct script *script, struct ruleset *set)
{
	struct testing testing = { .script = script, .set = set, .results = json_array() };
	struct err err = { 0 };
	testing.code = rule_code_get(script, set, &err);
	if (!testing.code) {
		add_result(testing.results, set->name, false, err.text);
		return testing.results;
	}
	testing.fired = json_object();
	testing.quiet = json_object();
	run_files(&testing);
	check_coverage(&testing);
	json_decref(testing.fired);
	json_decref(testing.quiet);
	return testing.results;
}
