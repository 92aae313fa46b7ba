/* SPDX-License-Identifier: MIT */
/*
 * Deciding: the rules of all domains over one set of parameters, then the
 * function that decides.  A rule that fails or answers nonsense decides nothing:
 * the evaluation ends with ERR_BLOCKED (DESIGN.md 4), never with a default.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_rule_int.h"

enum { VERDICT_BUDGETS = 10 /* all rules of a verdict together, in single budgets */ };

/* --- messages --------------------------------------------------------- */

const json_t *rule_path(const json_t *value, struct str path)
{
	size_t at = 0;
	while (value && at < path.len) {
		char key[256];
		size_t len = 0;
		bool is_index = path.ptr[at] == '[';
		if (is_index || path.ptr[at] == '.')
			at++;
		while (at < path.len && len + 1 < sizeof(key) &&
		       !strchr(is_index ? "]" : ".[", path.ptr[at]))
			key[len++] = path.ptr[at++];
		key[len] = '\0';
		if (is_index) {
			long index = strtol(key, NULL, 10);
			at++; /* the ']' */
			value = index > 0 ? json_array_get(value, (size_t)index - 1) : NULL;
		} else {
			value = json_at(value, key);
		}
	}
	return value;
}

static bool is_path(struct str text)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.[]-";
	for (size_t i = 0; i < text.len; i++)
		if (!memchr(chars, text.ptr[i], sizeof(chars) - 1))
			return false;
	return text.len > 0;
}

void rule_message_parts(const char *message, void (*text)(void *ctx, struct str text),
                        void (*found)(void *ctx, struct str path), void *ctx)
{
	const char *at = message;
	while (*at) {
		const char *open = strchr(at, '{'), *close = open ? strchr(open, '}') : NULL;
		struct str path = { open ? open + 1 : NULL,
			            close ? (size_t)(close - open - 1) : 0 };
		bool is_value = close && is_path(path);
		size_t plain = !open ? strlen(at) : (size_t)(open - at) + (is_value ? 0 : 1);
		if (text && plain > 0)
			text(ctx, (struct str){ at, plain });
		at += plain;
		if (!is_value)
			continue;
		if (found)
			found(ctx, path);
		at = close + 1;
	}
}

struct message {
	const json_t *extra, *subject;
	bool is_shown; /* the rule fires: the text is wanted too */
	struct buf text;
	json_t *values;
};

static void add_text(void *ctx, struct str text)
{
	struct message *message = ctx;
	buf_put_len(&message->text, text.ptr, text.len);
}

/* People read 48000, not 48000.0. */
static bool is_whole(double number)
{
	return number == floor(number) && fabs(number) < 1e15;
}

static void add_value(void *ctx, struct str path)
{
	struct message *message = ctx;
	const json_t *value = rule_path(message->extra, path);
	if (!value)
		value = rule_path(message->subject, path);
	char *name = mem_dup(path.ptr, path.len);
	json_put(message->values, name, value ? json_deep_copy(value) : json_null());
	free(name);
	if (!message->is_shown)
		return;
	bool is_missing = !value || json_is_null(value) ||
	                  (json_is_string(value) && json_string_length(value) == 0);
	if (is_missing) {
		buf_put(&message->text, "(missing)");
	} else if (json_is_string(value)) {
		buf_put_len(&message->text, json_string_value(value), json_string_length(value));
	} else if (json_is_real(value) && is_whole(json_real_value(value))) {
		buf_printf(&message->text, "%.0f", json_real_value(value));
	} else {
		char *shown = json_canon(value);
		buf_put(&message->text, shown);
		free(shown);
	}
}

/* Values that the rule added but its message does not show belong to the record too. */
static void add_extras(struct message *message)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)message->extra, key, value)
		if (!json_at(message->values, key))
			json_put(message->values, key, json_deep_copy(value));
}

/* --- one rule --------------------------------------------------------- */

static void add_outcome(struct verdict *verdict, const struct rule_file *file,
                        const struct rule *rule, const char *result, size_t element, json_t *values)
{
	json_t *outcome = json_object();
	json_put_str(outcome, "id", rule->id);
	json_put_str(outcome, "domain", file->name);
	json_put_str(outcome, "severity", rule->is_violation ? "violation" : "warning");
	json_put_str(outcome, "result", result);
	if (element > 0)
		json_put_int(outcome, "element", (int64_t)element);
	json_put(outcome, "values", values ? json_incref(values) : json_object());
	json_push(verdict->outcomes, outcome);
}

static void add_finding(struct verdict *verdict, const struct rule_file *file,
                        const struct rule *rule, size_t element, const struct message *message)
{
	json_t *finding = json_object();
	json_put_str(finding, "id", rule->id);
	json_put_str(finding, "domain", file->name);
	json_put_str(finding, "severity", rule->is_violation ? "violation" : "warning");
	json_put_str(finding, "owner", rule->owner);
	json_put(finding, "message", json_text(buf_str(&message->text)));
	json_put_str(finding, "fix", rule->fix);
	if (element > 0)
		json_put_int(finding, "element", (int64_t)element);
	json_put(finding, "values", json_incref(message->values));
	json_push(rule->is_violation ? verdict->violations : verdict->warnings, finding);
}

/* Pushes the function fires, the subject and the parameters. */
static int push_rule(struct verdict *verdict, struct rule_file *file, size_t index, size_t element,
                     struct err *err)
{
	lua_State *L = verdict->script->L;
	if (rule_code_push_module(verdict->script, file, &verdict->host, err) < 0)
		return err->code;
	lua_getfield(L, -1, "rules");
	lua_rawgeti(L, -1, (lua_Integer)index + 1);
	if (lua_istable(L, -1))
		lua_getfield(L, -1, "fires");
	else
		lua_pushnil(L);
	lua_replace(L, -4);
	lua_pop(L, 2);
	/* Only a file that writes to no table of others shares the parameters. */
	if (file->is_pure)
		lua_pushvalue(L, verdict->params_index);
	else
		value_push_json(L, verdict->params);
	must(value_push_path(L, -1, file->subject));
	if (element > 0) {
		lua_rawgeti(L, -1, (lua_Integer)element);
		lua_remove(L, -2);
	}
	lua_insert(L, -2);
	return 0;
}

static int bad_result(const struct rule_file *file, const struct rule *rule, struct err *err,
                      const char *what)
{
	return err_set_id(err, ERR_BLOCKED, "rule.bad_result", "%s.lua:%d: rule '%s' %s",
	                  file->name, rule->line, rule->id, what);
}

static bool takes(size_t *left, size_t bytes)
{
	bool fits = bytes <= *left;
	*left -= fits ? bytes : *left;
	return fits;
}

/* Does the value's text take at most *left bytes, about? */
static bool fits(const json_t *value, size_t *left)
{
	const char *key;
	json_t *member;
	if (!takes(left, json_is_string(value) ? json_string_length(value) + 3 : 3))
		return false;
	json_object_foreach((json_t *)(uintptr_t)value, key, member)
		if (!takes(left, strlen(key) + 3) || !fits(member, left))
			return false;
	for (size_t i = 0; i < json_array_size(value); i++)
		if (!fits(json_array_get(value, i), left))
			return false;
	return true;
}

/*
 * Takes the two results of fires off the stack.  A function that ends without
 * `return` has answered nothing, which is "no"; one that returns nil meant to
 * answer and could not: a misspelt field must not pass for a rule that passed.
 */
static int take_result(struct verdict *verdict, const struct rule_file *file,
                       const struct rule *rule, bool is_silent, bool *fires, json_t **extra,
                       struct err *err)
{
	lua_State *L = verdict->script->L;
	struct err own = { 0 };
	json_t *values = NULL;
	if (lua_isnil(L, -2) && !is_silent)
		bad_result(file, rule, err, "answers nil: does a name it reads exist?");
	else if (!lua_isboolean(L, -2) && !is_silent)
		bad_result(file, rule, err, "must answer true or false");
	else if (!lua_isnil(L, -1) && !lua_istable(L, -1))
		bad_result(file, rule, err,
		           "must answer a table of values or nothing behind true or false");
	else if (value_to_json(L, -1, "the values", &values, &own) < 0)
		bad_result(file, rule, err, own.text);
	*fires = lua_toboolean(L, -2);
	lua_pop(L, 2);
	if (err->code == 0 && values) {
		size_t left = LIMIT_RULE_RESULT_BYTES;
		if (!fits(values, &left))
			bad_result(file, rule, err, "answers too much (LIMIT_RULE_RESULT_BYTES)");
	}
	if (err->code < 0) {
		json_decref(values);
		return err->code;
	}
	*extra = values;
	return 0;
}

static int call_rule(struct verdict *verdict, struct rule_file *file, size_t index, size_t element,
                     bool *fires, json_t **extra, struct err *err)
{
	struct script *script = verdict->script;
	const struct rule *rule = &file->rules.at[index];
	if (push_rule(verdict, file, index, element, err) < 0)
		return err_wrap(err, "rule '%s'", rule->id);
	int64_t budget = script->limits.steps_max;
	if (budget > verdict->steps_left)
		budget = verdict->steps_left;
	int results = 0, status = box_call_any(script, 2, &verdict->host, budget, &results);
	verdict->steps_left -= budget - (script->steps_left > 0 ? script->steps_left : 0);
	if (status != LUA_OK) {
		rule_failed(script, err);
		return err_wrap(err, "rule '%s'", rule->id);
	}
	lua_settop(script->L, lua_gettop(script->L) - results + 2);
	return take_result(verdict, file, rule, results == 0, fires, extra, err);
}

static int run_on(struct verdict *verdict, struct rule_file *file, size_t index, size_t element,
                  const json_t *subject, struct err *err)
{
	const struct rule *rule = &file->rules.at[index];
	bool fires = false;
	json_t *extra = NULL;
	if (call_rule(verdict, file, index, element, &fires, &extra, err) < 0)
		return err->code;
	struct message message = { .extra = extra, .subject = subject, .is_shown = fires };
	message.values = json_object();
	buf_init(&message.text, (size_t)1 << 30);
	rule_message_parts(rule->message, fires ? add_text : NULL, add_value, &message);
	add_extras(&message);
	add_outcome(verdict, file, rule, fires ? "fired" : "passed", element, message.values);
	if (fires)
		add_finding(verdict, file, rule, element, &message);
	buf_release(&message.text);
	json_decref(message.values);
	json_decref(extra);
	return 0;
}

int verdict_run_rule(struct verdict *verdict, struct rule_file *file, size_t index, struct err *err)
{
	const struct rule *rule = &file->rules.at[index];
	const json_t *subject = rule_path(verdict->params, str_of(file->subject));
	size_t count = json_array_size(subject), absent = 0;
	if (subject && !json_is_null(subject) && !json_is_array(subject))
		return run_on(verdict, file, index, 0, subject, err);
	for (size_t i = 0; i < count; i++) {
		const json_t *element = json_array_get(subject, i);
		if (json_is_null(element))
			absent++;
		else if (run_on(verdict, file, index, i + 1, element, err) < 0)
			return err->code;
	}
	if (absent == count)
		add_outcome(verdict, file, rule, "absent", 0, NULL);
	return 0;
}

/* --- a verdict -------------------------------------------------------- */

int verdict_begin(struct verdict *verdict, struct script *script, struct ruleset *set,
                  const struct rule_inputs *in, struct err *err)
{
	struct rule_code *code = rule_code_get(script, set, err);
	if (!code)
		return err->code;
	must(lua_gettop(script->L) == 0);
	*verdict = (struct verdict){
		.script = script,
		.code = code,
		.params = in->params,
		.rng = in->seed,
		.steps_left = VERDICT_BUDGETS * script->limits.steps_max,
		.violations = json_array(),
		.warnings = json_array(),
		.outcomes = json_array(),
	};
	verdict->host = (struct box_host){ .now_ms = in->now_ms, .rng = &verdict->rng };
	return 0;
}

void verdict_share_params(struct verdict *verdict)
{
	value_push_json(verdict->script->L, verdict->params);
	verdict->params_index = lua_gettop(verdict->script->L);
}

void verdict_end(struct verdict *verdict)
{
	lua_settop(verdict->script->L, 0);
	json_decref(verdict->violations);
	json_decref(verdict->warnings);
	json_decref(verdict->outcomes);
}

/* Pushes the function "file.name"; ERR_BLOCKED when there is none. */
static int push_function(struct verdict *verdict, const char *name, struct err *err)
{
	lua_State *L = verdict->script->L;
	const char *dot = strchr(name, '.');
	struct rule_file *file = dot ? rule_code_file(verdict->code, name, (size_t)(dot - name))
	                             : NULL;
	if (file && rule_code_push_module(verdict->script, file, &verdict->host, err) < 0)
		return err->code;
	if (file) {
		lua_getfield(L, -1, dot + 1);
		lua_remove(L, -2);
		if (lua_isfunction(L, -1))
			return 0;
		lua_pop(L, 1);
	}
	return err_set_id(err, ERR_BLOCKED, "rule.error", "rule set '%s' has no function '%s'",
	                  verdict->code->set->name, name);
}

/* Calls the function below its one argument; its results are on the stack. */
static int call_function(struct verdict *verdict, const char *name, int results, struct err *err)
{
	struct script *script = verdict->script;
	if (box_call(script, 1, results, &verdict->host, script->limits.steps_max) == LUA_OK)
		return 0;
	rule_failed(script, err);
	return err_wrap(err, "function '%s'", name);
}

/* The JSON of the value at index: bounded, and never nothing. */
static int take_answer(struct verdict *verdict, int index, const char *name, json_t **ret,
                       struct err *err)
{
	json_t *value = NULL;
	struct err own = { 0 };
	if (value_to_json(verdict->script->L, index, "its answer", &value, &own) < 0)
		return err_set_id(err, ERR_BLOCKED, "rule.bad_result", "function '%s': %s", name,
		                  own.text);
	if (!value)
		return err_set_id(err, ERR_BLOCKED, "rule.bad_result",
		                  "function '%s' answered nothing", name);
	size_t left = LIMIT_RULE_RESULT_BYTES;
	if (!fits(value, &left)) {
		json_decref(value);
		return err_set_id(
			err, ERR_BLOCKED, "rule.bad_result",
			"function '%s' answers more than %d bytes (LIMIT_RULE_RESULT_BYTES)", name,
			LIMIT_RULE_RESULT_BYTES);
	}
	*ret = value;
	return 0;
}

static json_t *list_or_empty(const json_t *list)
{
	return json_is_array(list) ? json_deep_copy(list) : json_array();
}

static bool is_listed(const json_t *list, const json_t *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), text))
			return true;
	return false;
}

static int check_decision(struct verdict *verdict, const json_t *decision, const json_t *reasons,
                          struct err *err)
{
	const char *name = json_str(verdict->code->manifest, "decide", "");
	if (!json_is_string(decision) ||
	    !is_listed(json_at(verdict->code->manifest, "decisions"), decision))
		return err_set_id(
			err, ERR_BLOCKED, "rule.bad_result",
			"function '%s' answered '%s', which is none of the manifest's decisions",
			name, json_is_string(decision) ? json_string_value(decision) : "no text");
	bool are_texts = json_is_array(reasons) ||
	                 (json_is_object(reasons) && json_object_size(reasons) == 0);
	for (size_t i = 0; i < json_array_size(reasons); i++)
		are_texts &= json_is_string(json_array_get(reasons, i));
	if (!are_texts)
		return err_set_id(err, ERR_BLOCKED, "rule.bad_result",
		                  "function '%s': the reasons are no list of texts", name);
	return 0;
}

/* Adds decision and reasons to ret, whose lists the deciding function sees. */
static int decide(struct verdict *verdict, json_t *ret, struct err *err)
{
	lua_State *L = verdict->script->L;
	const char *name = json_str(verdict->code->manifest, "decide", "");
	json_t *decision = NULL, *reasons = NULL;
	if (push_function(verdict, name, err) < 0)
		return err->code;
	value_push_json(L, ret);
	if (call_function(verdict, name, 2, err) < 0)
		return err->code;
	int status = take_answer(verdict, -2, name, &decision, err);
	if (status == 0)
		status = take_answer(verdict, -1, name, &reasons, err);
	lua_pop(L, 2);
	if (status == 0)
		status = check_decision(verdict, decision, reasons, err);
	if (status == 0) {
		json_put(ret, "decision", json_incref(decision));
		json_put(ret, "reasons", list_or_empty(reasons));
	}
	json_decref(decision);
	json_decref(reasons);
	return status;
}

static json_t *describe_set(const struct rule_code *code)
{
	json_t *ret = json_object();
	json_put_str(ret, "name", json_str(code->manifest, "name", code->set->name));
	json_put_str(ret, "version", json_str(code->manifest, "version", ""));
	json_put_str(ret, "sha256", code->set->hash);
	return ret;
}

static int run_all(struct verdict *verdict, struct err *err)
{
	struct rule_code *code = verdict->code;
	if (code->domains.len == 0)
		return err_set_id(err, ERR_BLOCKED, "rule.error",
		                  "rule set '%s' has no domains to evaluate", code->set->name);
	for (size_t i = 0; i < code->domains.len; i++) {
		struct rule_file *file = &code->files.at[code->domains.at[i]];
		for (size_t j = 0; j < file->rules.len; j++)
			if (verdict_run_rule(verdict, file, j, err) < 0)
				return err->code;
	}
	return 0;
}

int script_rules_evaluate(struct script *script, struct ruleset *set, const struct rule_inputs *in,
                          json_t **ret, struct err *err)
{
	struct verdict verdict;
	if (verdict_begin(&verdict, script, set, in, err) < 0)
		return err_wrap(err, "rule set '%s'", set->name);
	verdict_share_params(&verdict);
	int status = run_all(&verdict, err);
	if (status == 0) {
		json_t *result = json_object();
		json_put(result, "violations", json_incref(verdict.violations));
		json_put(result, "warnings", json_incref(verdict.warnings));
		json_put(result, "errors", list_or_empty(json_at(in->params, "errors")));
		json_put(result, "outcomes", json_incref(verdict.outcomes));
		status = decide(&verdict, result, err);
		json_put(result, "ruleset", describe_set(verdict.code));
		if (status == 0)
			*ret = result;
		else
			json_decref(result);
	}
	verdict_end(&verdict);
	return status < 0 ? err_wrap(err, "rule set '%s'", set->name) : 0;
}

int script_rules_call(struct script *script, struct ruleset *set, const char *function,
                      const struct rule_inputs *in, json_t **ret, struct err *err)
{
	struct verdict verdict;
	if (verdict_begin(&verdict, script, set, in, err) < 0)
		return err_wrap(err, "rule set '%s'", set->name);
	int status = push_function(&verdict, function, err);
	if (status == 0) {
		value_push_json(script->L, in->params);
		status = call_function(&verdict, function, 1, err);
	}
	if (status == 0)
		status = take_answer(&verdict, -1, function, ret, err);
	verdict_end(&verdict);
	return status < 0 ? err_wrap(err, "rule set '%s'", set->name) : 0;
}
