/* SPDX-License-Identifier: MIT */
/*
 * Rule sets: from files to functions that can be called, and the cache of them.
 * What is wrong with a set is a list of findings, so that an analyst sees all
 * of it at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_rule_int.h"

/* --- the text of a set ------------------------------------------------ */

struct ruleset *ruleset_new(const char *name, const char *hash, const json_t *files)
{
	struct ruleset *set = mem_alloc(sizeof(*set));
	atomic_init(&set->refs, 1);
	set->name = mem_dup_str(name);
	set->hash = mem_dup_str(hash);
	set->files = json_deep_copy(files);
	must(set->files);
	return set;
}

struct ruleset *ruleset_ref(struct ruleset *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

void ruleset_unref(struct ruleset *set)
{
	if (!set || atomic_fetch_sub(&set->refs, 1) > 1)
		return;
	free(set->name);
	free(set->hash);
	json_decref(set->files);
	free(set);
}

/* --- findings --------------------------------------------------------- */

void rule_find(json_t *findings, const char *level, const char *file, int line, const char *code,
               const char *hint, const char *format, ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *finding = json_object();
	json_put_str(finding, "level", level);
	json_put_str(finding, "file", file);
	json_put_int(finding, "line", line);
	json_put_str(finding, "code", code);
	json_put_str(finding, "text", text);
	json_put_str(finding, "hint", hint);
	json_push(findings, finding);
}

bool rule_has_error(const json_t *findings, const json_t **first)
{
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *finding = json_array_get(findings, i);
		if (strcmp(json_str(finding, "level", ""), "error") != 0)
			continue;
		*first = finding;
		return true;
	}
	return false;
}

int rule_line_of(const struct ruleset *set, const char *file, const char *text)
{
	char *name = mem_format("%s.lua", file);
	const char *source = json_str(set->files, name, "");
	int line = 0;
	for (const char *quotes = "\"'"; *quotes && line == 0; quotes++) {
		char *quoted = mem_format("%c%s%c", *quotes, text, *quotes);
		const char *at = strstr(source, quoted);
		if (at) {
			line = 1;
			for (const char *p = source; p < at; p++)
				line += *p == '\n';
		}
		free(quoted);
	}
	free(name);
	return line;
}

/* "account.lua:12: text": the 12, and text moves behind it. */
static int split_line(const char *file, const char **text)
{
	size_t len = strlen(file);
	if (strncmp(*text, file, len) != 0 || (*text)[len] != ':')
		return 0;
	char *end;
	long line = strtol(*text + len + 1, &end, 10);
	if (end[0] != ':' || end[1] != ' ')
		return 0;
	*text = end + 2;
	return (int)line;
}

/* --- calling ---------------------------------------------------------- */

int rule_failed(struct script *script, struct err *err)
{
	if (box_is_spent(script, err)) {
		lua_pop(script->L, 1);
		return err->code;
	}
	char text[500];
	(void)box_error_text(script, text, sizeof(text));
	const char *id = strstr(text, "rule.nondeterministic_key") ? "rule.nondeterministic_key"
	                                                           : "rule.error";
	return err_set_id(err, ERR_BLOCKED, id, "%s", text);
}

int rule_code_push_module(struct script *script, struct rule_file *file,
                          const struct box_host *host, struct err *err)
{
	lua_State *L = script->L;
	if (file->module_ref != LUA_NOREF) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, file->module_ref);
		return 0;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, file->chunk_ref);
	script->has_asked = false;
	if (box_call(script, 0, 1, host, script->limits.steps_max) != LUA_OK)
		return rule_failed(script, err);
	if (!lua_istable(L, -1)) {
		lua_pop(L, 1);
		return err_set_id(err, ERR_BLOCKED, "rule.error", "%s.lua does not return a table",
		                  file->name);
	}
	/* What a file read off the clock holds for this evaluation only. */
	if (file->is_pure && !script->has_asked) {
		lua_pushvalue(L, -1);
		file->module_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	return 0;
}

struct rule_file *rule_code_file(struct rule_code *code, const char *name, size_t len)
{
	for (size_t i = 0; i < code->files.len; i++)
		if (strlen(code->files.at[i].name) == len &&
		    memcmp(code->files.at[i].name, name, len) == 0)
			return &code->files.at[i];
	return NULL;
}

/* --- compiling -------------------------------------------------------- */

static int refuse_global(lua_State *L)
{
	box_charge(L, 0);
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	return luaL_error(L, "'%s' is not a local name: write 'local %s'", name, name);
}

/* The environment of all rule files: the box without In(), for reading. */
static void push_environment(struct script *script)
{
	lua_State *L = script->L;
	lua_newtable(L);
	lua_createtable(L, 0, 2);
	box_push_functions(script);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, refuse_global);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
}

/* The environment is on top of the stack and stays. */
static void compile_file(struct script *script, struct rule_code *code, const char *file_name,
                         struct str text, json_t *findings)
{
	lua_State *L = script->L;
	if (text.len > LIMIT_RULE_BYTES) {
		rule_find(findings, "error", file_name, 0, "rule.too_large", "Split the file.",
		          "more than %d bytes (LIMIT_RULE_BYTES)", LIMIT_RULE_BYTES);
		return;
	}
	char *chunk_name = mem_format("=%s", file_name);
	int status = box_load(script, "", text, chunk_name);
	free(chunk_name);
	if (status != LUA_OK) {
		char message[700];
		const char *what = message;
		bool is_binary = text.len > 0 && text.ptr[0] == '\033';
		struct err spent = { 0 };
		if (box_is_spent(script, &spent)) {
			lua_pop(L, 1);
			snprintf(message, sizeof(message), "%s", spent.text);
		} else {
			(void)box_error_text(script, message, sizeof(message));
		}
		int line = split_line(file_name, &what);
		rule_find(findings, "error", file_name, line,
		          is_binary ? "rule.not_text" : "rule.syntax",
		          is_binary ? "Rules are Lua source text, never compiled chunks." : NULL,
		          "%s", what);
		return;
	}
	unsigned flags = scan_chunk(text, NULL, NULL);
	if (flags & SCAN_ENV) {
		rule_find(findings, "error", file_name, 0, "rule.environment", NULL,
		          "_ENV cannot be used");
		lua_pop(L, 1);
		return;
	}
	lua_pushvalue(L, -2);
	lua_setupvalue(L, -2, 1);
	struct rule_file *file = vec_add(&code->files);
	file->name = mem_dup(file_name, strlen(file_name) - strlen(".lua"));
	file->is_pure = !(flags & SCAN_LATER_WRITES);
	file->chunk_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	file->module_ref = LUA_NOREF;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void compile_files(struct script *script, struct rule_code *code, json_t *findings)
{
	VEC(const char *) names = { 0 };
	const char *name;
	json_t *text;
	json_object_foreach(code->set->files, name, text)
		if (str_ends(name, ".lua") && !strchr(name, '/') && json_is_string(text))
			*vec_add(&names) = name;
	if (names.len > 0)
		qsort(names.at, names.len, sizeof(*names.at), compare_names);
	push_environment(script);
	for (size_t i = 0; i < names.len; i++) {
		text = json_object_get(code->set->files, names.at[i]);
		struct str source = { json_string_value(text), json_string_length(text) };
		compile_file(script, code, names.at[i], source, findings);
	}
	lua_pop(script->L, 1);
	vec_release(&names);
}

/* --- the manifest ----------------------------------------------------- */

static struct box_host reading_host(uint64_t *rng)
{
	*rng = 0;
	return (struct box_host){ .rng = rng };
}

/* Runs a file while the set is read; its table is on top of the stack when true. */
static bool open_module(struct script *script, struct rule_file *file, json_t *findings)
{
	uint64_t rng;
	struct box_host host = reading_host(&rng);
	struct err err = { 0 };
	if (rule_code_push_module(script, file, &host, &err) == 0)
		return true;
	char *file_name = mem_format("%s.lua", file->name);
	const char *text = err.text;
	int line = split_line(file_name, &text);
	rule_find(findings, "error", file_name, line, err.id, NULL, "%s", text);
	free(file_name);
	return false;
}

static bool is_text_list(const json_t *list)
{
	if (json_array_size(list) == 0)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_string_length(json_array_get(list, i)) == 0)
			return false;
	return true;
}

static void check_manifest(const json_t *manifest, json_t *findings)
{
	static const char *const texts[] = { "name", "version" };
	for (size_t i = 0; i < 2; i++)
		if (*json_str(manifest, texts[i], "") == '\0')
			rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest", NULL,
			          "the manifest has no %s (a text)", texts[i]);
	const json_t *domains = json_at(manifest, "domains");
	if (domains && json_array_size(domains) > 0 && !is_text_list(domains))
		rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest", NULL,
		          "domains is a list of names, one for each file");
	if (json_array_size(domains) > 0 && *json_str(manifest, "decide", "") == '\0')
		rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest",
		          "Write decide = \"decision.decide\".",
		          "the manifest does not say which function decides");
	if (json_array_size(domains) > 0 && !is_text_list(json_at(manifest, "decisions")))
		rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest",
		          "Write decisions = {\"PROCEED\", \"ESCALATE\", \"BLOCK\"}.",
		          "the manifest does not list the decisions that there can be");
	static const char *const known[] = { "name",    "version", "summary",
		                             "domains", "decide",  "decisions" };
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)manifest, key, value) {
		bool is_known = false;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			is_known |= strcmp(key, known[i]) == 0;
		const char *near =
			is_known ? NULL : str_nearest(key, known, sizeof(known) / sizeof(known[0]));
		char hint[80] = "";
		if (near)
			snprintf(hint, sizeof(hint), "Did you mean '%s'?", near);
		if (!is_known)
			rule_find(findings, "warning", "ruleset.lua", 0, "rule.manifest",
			          near ? hint : NULL, "the manifest has the unknown field '%s'",
			          key);
	}
}

static void read_manifest(struct script *script, struct rule_code *code, json_t *findings)
{
	struct rule_file *file = rule_code_file(code, "ruleset", strlen("ruleset"));
	code->manifest = json_object();
	if (!file) {
		if (!json_at(code->set->files, "ruleset.lua"))
			rule_find(
				findings, "error", "ruleset.lua", 0, "rule.no_manifest",
				"A rule set's folder has a file ruleset.lua that returns its name, "
				"version and domains.",
				"there is no ruleset.lua");
		return;
	}
	struct err err = { 0 };
	json_t *manifest = NULL;
	if (!open_module(script, file, findings))
		return;
	if (value_to_json(script->L, -1, "the manifest", &manifest, &err) < 0) {
		rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest", NULL, "%s",
		          err.text);
	} else if (!json_is_object(manifest)) {
		rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest", NULL,
		          "the manifest is no table with names");
		json_decref(manifest);
	} else {
		json_decref(code->manifest);
		code->manifest = manifest;
		check_manifest(manifest, findings);
	}
	lua_pop(script->L, 1);
}

/* --- the rules of a domain -------------------------------------------- */

/* A text field of the table on top; "" when it has none. */
static char *text_field(lua_State *L, const char *field)
{
	lua_pushstring(L, field);
	lua_rawget(L, -2);
	char *ret = mem_dup_str(lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
	lua_pop(L, 1);
	return ret;
}

static bool is_known_field(const char *name)
{
	static const char *const fields[] = { "id",      "severity", "owner", "fires",
		                              "message", "fix",      "note" };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(name, fields[i]) == 0)
			return true;
	return false;
}

static void check_fields(lua_State *L, const char *file, const struct rule *rule, json_t *findings)
{
	struct value_keys keys = { 0 };
	value_keys_read(L, -1, &keys);
	value_keys_sort(&keys);
	for (size_t i = 0; i < keys.len; i++)
		if (!keys.at[i].text || !is_known_field(keys.at[i].text))
			rule_find(findings, "warning", file, rule->line, "rule.unknown_field",
			          "The fields of a rule are id, severity, owner, fires, message, "
			          "fix, note.",
			          "rule '%s' has the unknown field '%s'", rule->id,
			          keys.at[i].text ? keys.at[i].text : "[n]");
	vec_release(&keys);
	lua_getfield(L, -1, "fires");
	if (!lua_isfunction(L, -1))
		rule_find(findings, "error", file, rule->line, "rule.no_fires",
		          "Write fires = function(subject, all) return ... end.",
		          "rule '%s' has no function 'fires'", rule->id);
	lua_pop(L, 1);
}

static void check_rule(struct rule_code *code, const struct rule_file *file, const char *file_name,
                       const struct rule *rule, const char *severity, json_t *findings)
{
	size_t len = strlen(file->name);
	bool has_prefix = strncmp(rule->id, file->name, len) == 0 && rule->id[len] == '.' &&
	                  rule->id[len + 1];
	if (!has_prefix)
		rule_find(findings, "error", file_name, rule->line, "rule.bad_id",
		          "An id is the domain, a dot and a name: invoice.overdue.",
		          "the id '%s' does not begin with '%s.'", rule->id, file->name);
	for (size_t i = 0; i < code->files.len; i++)
		for (size_t j = 0; j < code->files.at[i].rules.len; j++)
			if (&code->files.at[i].rules.at[j] != rule &&
			    strcmp(code->files.at[i].rules.at[j].id, rule->id) == 0)
				rule_find(findings, "error", file_name, rule->line,
				          "rule.duplicate_id", NULL, "there are two rules '%s'",
				          rule->id);
	if (strcmp(severity, "violation") != 0 && strcmp(severity, "warning") != 0)
		rule_find(findings, "error", file_name, rule->line, "rule.severity",
		          "A violation blocks, a warning escalates.",
		          "rule '%s': the severity is \"violation\" or \"warning\", not \"%s\"",
		          rule->id, severity);
	const struct {
		const char *name, *text;
	} needed[] = { { "owner", rule->owner },
		       { "message", rule->message },
		       { "fix", rule->fix } };
	for (size_t i = 0; i < 3; i++)
		if (*needed[i].text == '\0')
			rule_find(findings, "error", file_name, rule->line, "rule.no_text", NULL,
			          "rule '%s' has no %s", rule->id, needed[i].name);
}

/* The rule's table is on top. */
static void read_rule(struct script *script, struct rule_code *code, struct rule_file *file,
                      const char *file_name, json_t *findings)
{
	lua_State *L = script->L;
	struct rule *rule = vec_add(&file->rules);
	rule->id = text_field(L, "id");
	rule->owner = text_field(L, "owner");
	rule->message = text_field(L, "message");
	rule->fix = text_field(L, "fix");
	char *severity = text_field(L, "severity");
	rule->is_violation = strcmp(severity, "violation") == 0;
	rule->line = rule_line_of(code->set, file->name, rule->id);
	check_rule(code, file, file_name, rule, severity, findings);
	check_fields(L, file_name, rule, findings);
	free(severity);
}

/* The module's table is on top. */
static void read_rules(struct script *script, struct rule_code *code, struct rule_file *file,
                       const char *file_name, json_t *findings)
{
	lua_State *L = script->L;
	char *domain = text_field(L, "domain");
	file->subject = text_field(L, "subject");
	if (strcmp(domain, file->name) != 0)
		rule_find(findings, "error", file_name, 0, "rule.domain", NULL,
		          "domain is \"%s\", but the file is %s.lua", domain, file->name);
	if (*file->subject == '\0')
		rule_find(findings, "error", file_name, 0, "rule.subject",
		          "Write subject = \"facts.invoice\": where in the parameters the subject "
		          "stands.",
		          "the domain has no subject");
	else if (!value_is_path(file->subject))
		rule_find(findings, "error", file_name, 0, "rule.subject", NULL,
		          "the subject \"%s\" is no path such as facts.invoice", file->subject);
	free(domain);
	lua_getfield(L, -1, "rules");
	size_t count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
	if (count == 0)
		rule_find(findings, "error", file_name, 0, "rule.no_rules", NULL,
		          "rules is no list of rules");
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i);
		if (lua_istable(L, -1))
			read_rule(script, code, file, file_name, findings);
		else
			rule_find(findings, "error", file_name, 0, "rule.no_rules", NULL,
			          "entry %zu of rules is no table", i);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

static void read_domains(struct script *script, struct rule_code *code, json_t *findings)
{
	const json_t *domains = json_at(code->manifest, "domains");
	for (size_t i = 0; i < json_array_size(domains); i++) {
		const char *name = json_string_value(json_array_get(domains, i));
		struct rule_file *file = name ? rule_code_file(code, name, strlen(name)) : NULL;
		char *file_name = mem_format("%s.lua", name ? name : "?");
		if (file && !file->subject) {
			*vec_add(&code->domains) = (size_t)(file - code->files.at);
			if (open_module(script, file, findings)) {
				read_rules(script, code, file, file_name, findings);
				lua_pop(script->L, 1);
			}
		} else if (!json_at(code->set->files, file_name)) {
			rule_find(findings, "error", "ruleset.lua", 0, "rule.domain", NULL,
			          "the manifest names the domain '%s', but there is no %s",
			          name ? name : "?", file_name);
		}
		free(file_name);
	}
}

static void check_decide(struct script *script, struct rule_code *code, json_t *findings)
{
	const char *decide = json_str(code->manifest, "decide", "");
	const char *dot = strchr(decide, '.');
	if (*decide == '\0')
		return;
	struct rule_file *file = dot ? rule_code_file(code, decide, (size_t)(dot - decide)) : NULL;
	bool is_function = false;
	if (file && open_module(script, file, findings)) {
		lua_getfield(script->L, -1, dot + 1);
		is_function = lua_isfunction(script->L, -1);
		lua_pop(script->L, 2);
	}
	if (!is_function)
		rule_find(findings, "error", "ruleset.lua", 0, "rule.manifest", NULL,
		          "decide = \"%s\": there is no such function", decide);
}

struct rule_code *rule_code_new(struct script *script, struct ruleset *set, json_t *findings)
{
	struct rule_code *code = mem_alloc(sizeof(*code));
	code->set = ruleset_ref(set);
	compile_files(script, code, findings);
	read_manifest(script, code, findings);
	read_domains(script, code, findings);
	check_decide(script, code, findings);
	must(lua_gettop(script->L) == 0);
	return code;
}

void rule_code_free(struct script *script, struct rule_code *code)
{
	for (size_t i = 0; i < code->files.len; i++) {
		struct rule_file *file = &code->files.at[i];
		luaL_unref(script->L, LUA_REGISTRYINDEX, file->chunk_ref);
		luaL_unref(script->L, LUA_REGISTRYINDEX, file->module_ref);
		for (size_t j = 0; j < file->rules.len; j++) {
			free(file->rules.at[j].id);
			free(file->rules.at[j].owner);
			free(file->rules.at[j].message);
			free(file->rules.at[j].fix);
		}
		vec_release(&file->rules);
		free(file->name);
		free(file->subject);
	}
	vec_release(&code->files);
	vec_release(&code->domains);
	json_decref(code->manifest);
	ruleset_unref(code->set);
	free(code);
}
