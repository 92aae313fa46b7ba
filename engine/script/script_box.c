/* SPDX-License-Identifier: MIT */
/*
 * The box: one Lua state, what it may use, and how an evaluation ends.
 *
 * Three budgets (RELIABILITY.md M2, 7.6).  Steps: the count hook takes 1,000
 * instructions at a time, library functions charge for their work, and large
 * allocations charge for their bytes.  Memory: the allocator refuses what goes
 * beyond the evaluation's share, and any single string beyond
 * LIMIT_LUA_STRING_BYTES.  Time: a backstop that the hook looks at.
 *
 * Spending is sticky: once script->spent is set, the hook fires at every
 * instruction, our pcall throws on, and there is nothing else in the box that
 * catches errors or runs code late (no xpcall, coroutines, __gc, __close).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_int.h"

enum {
	HOOK_STEPS = 1000,
	LONG_STRING_BYTES = 65536,
	REFUSALS_MAX = 8,        /* each may cost a full garbage collection */
	CHARGED_BYTES_MIN = 1024 /* smaller allocations are covered by their instruction */
};

/* The error value of a spent evaluation: needs no memory to be thrown. */
static const char spent_key;

/* --- memory ----------------------------------------------------------- */

/* May the evaluation have this much more?  Sets spent when it may not. */
static bool allow(struct script *script, size_t more, size_t bytes, bool is_string)
{
	if (is_string && bytes > LIMIT_LUA_STRING_BYTES + 64) {
		script->spent = SPENT_MEMORY;
		return false;
	}
	if (is_string && bytes > script->longest)
		script->longest = bytes;
	if (script->bytes_used + more > script->bytes_max) {
		/* Lua collects garbage and asks again, so the first refusals are not the end. */
		if (++script->refusals > REFUSALS_MAX)
			script->spent = SPENT_MEMORY;
		return false;
	}
	if (bytes >= CHARGED_BYTES_MIN) {
		script->steps_left -= (int64_t)(more / 64);
		if (script->steps_left < 0 && script->spent == SPENT_NOTHING)
			script->spent = SPENT_STEPS;
	}
	return script->spent == SPENT_NOTHING || more < CHARGED_BYTES_MIN;
}

static void *allocate(void *ctx, void *old, size_t old_bytes, size_t bytes)
{
	struct script *script = ctx;
	size_t had = old ? old_bytes : 0; /* without old, old_bytes tells the kind of object */
	if (bytes == 0) {
		free(old);
		script->bytes_used -= had;
		return NULL;
	}
	bool is_string = !old && old_bytes == LUA_TSTRING;
	if (script->is_guarded && bytes > had && !allow(script, bytes - had, bytes, is_string))
		return NULL;
	void *ret = realloc(old, bytes);
	if (!ret)
		mem_out();
	script->bytes_used += bytes;
	script->bytes_used -= had;
	return ret;
}

/* --- steps and time --------------------------------------------------- */

static void hook(lua_State *L, lua_Debug *where)
{
	(void)where;
	struct script *script = box_of(L);
	if (script->spent != SPENT_NOTHING)
		box_spend(L, script->spent);
	/* An instruction may compare two long strings, which no function of ours sees. */
	script->steps_left -= HOOK_STEPS * (1 + (int64_t)(script->longest / LONG_STRING_BYTES));
	if (script->steps_left < 0)
		box_spend(L, SPENT_STEPS);
	int64_t now_ns = clock_monotonic_ns(&script->clock);
	if (script->deadline_ns == 0)
		script->deadline_ns = now_ns + script->limits.time_max_ms * 1000000;
	else if (now_ns > script->deadline_ns)
		box_spend(L, SPENT_TIME);
}

void box_spend(lua_State *L, enum box_spent why)
{
	struct script *script = box_of(L);
	if (script->spent == SPENT_NOTHING)
		script->spent = why;
	lua_sethook(L, hook, LUA_MASKCOUNT, 1);
	lua_pushlightuserdata(L, (void *)(uintptr_t)&spent_key);
	lua_error(L);
	must_not_reach();
}

void box_charge_slow(lua_State *L)
{
	box_spend(L, SPENT_STEPS);
}

bool box_is_spent(const struct script *script, struct err *err)
{
	switch (script->spent) {
	case SPENT_NOTHING: return false;
	case SPENT_STEPS:
		err_set_id(err, ERR_BLOCKED, "rule.budget",
		           "the script used up its %lld steps (LIMIT_LUA_STEPS)",
		           (long long)script->limits.steps_max);
		err_hint(err, "Does a loop end? Is a pattern such as '.-.-' matched against a long "
		              "text?");
		return true;
	case SPENT_TIME:
		err_set_id(err, ERR_BLOCKED, "rule.budget",
		           "the script ran for more than %lld ms (LIMIT_LUA_MS)",
		           (long long)script->limits.time_max_ms);
		return true;
	case SPENT_MEMORY:
		err_set_id(err, ERR_BLOCKED, "rule.memory",
		           "the script needed more than %zu bytes (LIMIT_LUA_BYTES), or %d for one "
		           "string (LIMIT_LUA_STRING_BYTES)",
		           script->limits.bytes_max, LIMIT_LUA_STRING_BYTES);
		return true;
	}
	must_not_reach();
}

/* --- protected calls -------------------------------------------------- */

static void begin(struct script *script, int64_t steps)
{
	must(!script->is_guarded); /* evaluations do not nest */
	script->is_guarded = true;
	script->spent = SPENT_NOTHING;
	script->steps_left = steps;
	script->deadline_ns = 0;
	script->refusals = 0;
	script->longest = 0;
	script->bytes_max = script->bytes_used + script->limits.bytes_max;
	lua_sethook(script->L, hook, LUA_MASKCOUNT, HOOK_STEPS);
}

/* Nothing can have caught the error of a spent evaluation; but its status may be another's. */
static int end(struct script *script, int status, int results)
{
	script->is_guarded = false;
	lua_sethook(script->L, NULL, 0, 0);
	if (status == LUA_ERRMEM && script->spent == SPENT_NOTHING)
		script->spent = SPENT_MEMORY;
	if (status == LUA_OK && script->spent != SPENT_NOTHING) {
		lua_pop(script->L, results);
		lua_pushlightuserdata(script->L, (void *)(uintptr_t)&spent_key);
		return LUA_ERRRUN;
	}
	return status;
}

int box_call(struct script *script, int nargs, int nresults, const struct box_host *host,
             int64_t steps)
{
	must(lua_checkstack(script->L, LUA_MINSTACK) && nresults >= 0);
	script->host = *host;
	begin(script, steps);
	return end(script, lua_pcall(script->L, nargs, nresults, 0), nresults);
}

int box_call_any(struct script *script, int nargs, const struct box_host *host, int64_t steps,
                 int *ret_results)
{
	int before = lua_gettop(script->L) - nargs - 1;
	must(lua_checkstack(script->L, LUA_MINSTACK));
	script->host = *host;
	begin(script, steps);
	int status = lua_pcall(script->L, nargs, LUA_MULTRET, 0);
	*ret_results = status == LUA_OK ? lua_gettop(script->L) - before : 0;
	return end(script, status, *ret_results);
}

struct source {
	struct str parts[2];
	size_t next;
};

static const char *read_source(lua_State *L, void *ctx, size_t *len)
{
	(void)L;
	struct source *source = ctx;
	while (source->next < 2) {
		struct str part = source->parts[source->next++];
		*len = part.len;
		if (part.len > 0)
			return part.ptr;
	}
	return NULL;
}

int box_load(struct script *script, const char *prefix, struct str code, const char *chunk_name)
{
	struct source source = { { str_of(prefix), code }, 0 };
	must(lua_checkstack(script->L, LUA_MINSTACK));
	begin(script, script->limits.steps_max);
	/* Text only: "t" refuses bytecode (row 23). */
	return end(script, lua_load(script->L, read_source, &source, chunk_name, "t"), 1);
}

/* --- error values to sentences ---------------------------------------- */

/* "null" reads better than what Lua calls its sentinel. */
static void copy_cleaned(const char *message, char *text, size_t size)
{
	static const char *const words[] = { "light userdata", "userdata" };
	static const char null_word[] = "null";
	size_t used = 0;
	while (*message && used + sizeof(null_word) < size) {
		size_t skip = 0;
		for (size_t i = 0; i < 2 && skip == 0; i++)
			skip = str_begins(message, words[i]) ? strlen(words[i]) : 0;
		if (skip > 0) {
			memcpy(text + used, null_word, sizeof(null_word) - 1);
			used += sizeof(null_word) - 1;
			message += skip;
		} else {
			text[used++] = *message++;
		}
	}
	text[used] = '\0';
}

/* Skips "lua:12: " and answers the 12. */
static int skip_place(const char **message)
{
	if (!str_begins(*message, "lua:"))
		return 0;
	char *end_of_line;
	long line = strtol(*message + 4, &end_of_line, 10);
	if (end_of_line[0] != ':' || end_of_line[1] != ' ')
		return 0;
	*message = end_of_line + 2;
	return (int)line;
}

int box_error_text(struct script *script, char *text, size_t size)
{
	lua_State *L = script->L;
	int line = 0;
	if (lua_type(L, -1) == LUA_TSTRING) {
		const char *message = lua_tostring(L, -1);
		line = skip_place(&message);
		copy_cleaned(message, text, size);
	} else if (lua_istable(L, -1)) {
		struct err err = { 0 };
		json_t *value = NULL;
		char *shown = value_to_json(L, -1, "error", &value, &err) == 0 ? json_canon(value)
		                                                               : NULL;
		snprintf(text, size, "error %s", shown ? shown : "with a table");
		free(shown);
		json_decref(value);
	} else {
		snprintf(text, size, "error with a %s", luaL_typename(L, -1));
	}
	lua_pop(L, 1);
	return line;
}

/* --- the state -------------------------------------------------------- */

/* Only reached when host code breaks its own rules. */
static int panic(lua_State *L)
{
	fprintf(stderr, "gangway: Lua error outside of an evaluation: %s\n",
	        lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(no text)");
	must_not_reach();
}

struct script *script_new(const struct script_limits *limits, const struct clock *clock)
{
	must(limits->steps_max > 0 && limits->bytes_max > 0 && limits->time_max_ms > 0);
	struct script *script = mem_alloc(sizeof(*script));
	script->limits = *limits;
	script->clock = *clock;
	script->L = lua_newstate(allocate, script);
	must(script->L);
	lua_State *L = script->L;
	*(struct script **)lua_getextraspace(L) = script;
	lua_atpanic(L, panic);
	lua_newtable(L);
	script->list_metatable = lua_topointer(L, -1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, script->list_metatable);
	lua_newtable(L);
	int globals = lua_gettop(L);
	box_open_base(script, globals);
	box_open_string(script, globals);
	box_open_table(script, globals);
	box_open_math(script, globals);
	box_open_helpers(script, globals);
	script->globals_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	must(lua_gettop(L) == 0);
	map_init(&script->charts);
	map_init(&script->rulesets);
	map_init(&script->templates);
	return script;
}

void script_free(struct script *script)
{
	if (!script)
		return;
	chart_code_release_all(script);
	rule_code_release_all(script);
	template_code_release_all(script);
	lua_close(script->L);
	map_release(&script->charts);
	map_release(&script->rulesets);
	map_release(&script->templates);
	free(script);
}

void box_library(struct script *script, int globals, const char *name, const luaL_Reg *functions)
{
	lua_State *L = script->L;
	lua_newtable(L);
	int backing = lua_gettop(L);
	luaL_setfuncs(L, functions, 0);
	lua_pushvalue(L, backing);
	value_freeze(L, FROZEN_LIBRARY);
	lua_setfield(L, globals, name);
}

void box_push_functions(struct script *script)
{
	lua_State *L = script->L;
	lua_newtable(L);
	lua_rawgeti(L, LUA_REGISTRYINDEX, script->globals_ref);
	for (lua_pushnil(L); lua_next(L, -2);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -5);
	}
	lua_pop(L, 1);
	lua_pushnil(L);
	lua_setfield(L, -2, "In");
}

/* --- without a script: for the checks of graphs ----------------------- */

static void *plain_allocate(void *ctx, void *old, size_t old_bytes, size_t bytes)
{
	size_t *left = ctx;
	size_t had = old ? old_bytes : 0;
	if (bytes > had && bytes - had > *left)
		return NULL;
	*left += had;
	*left -= bytes;
	if (bytes == 0) {
		free(old);
		return NULL;
	}
	void *ret = realloc(old, bytes);
	if (!ret)
		mem_out();
	return ret;
}

static int set_compile_error(lua_State *L, struct err *err)
{
	const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no memory";
	int line = skip_place(&message);
	if (line > 1)
		return err_set(err, ERR_INPUT, "line %d of the script: %s", line, message);
	return err_set(err, ERR_INPUT, "%s", message);
}

int box_compiles(const char *prefix, struct str code, const char *chunk_name, struct err *err)
{
	size_t left = LIMIT_LUA_BYTES;
	lua_State *L = lua_newstate(plain_allocate, &left);
	must(L);
	struct source source = { { str_of(prefix), code }, 0 };
	int status = 0;
	if (lua_load(L, read_source, &source, chunk_name, "t") != LUA_OK)
		status = set_compile_error(L, err);
	lua_close(L);
	return status;
}

int script_compiles(const char *code, bool is_statement, struct err *err)
{
	struct str text = str_of(code);
	unsigned flags;
	if (box_compiles(is_statement ? "" : "return ", text, "=lua", err) < 0)
		return err->code;
	if (is_statement)
		flags = scan_chunk(text, NULL, NULL);
	else if (!scan_expression(text, &flags, NULL, NULL))
		return err_set(err, ERR_INPUT, "this is not one expression");
	if (flags & SCAN_ENV)
		return err_set(err, ERR_INPUT, "_ENV cannot be used here");
	return 0;
}

struct globals {
	void (*found)(void *arg, const char *name, bool is_write);
	void *arg;
	struct map seen; /* each name once for reading and once for writing */
};

static void add_global(void *arg, enum scan_use use, struct str name, int line)
{
	(void)line;
	struct globals *globals = arg;
	if (use == SCAN_POWER)
		return;
	char *key = mem_format("%s%.*s", use == SCAN_WRITE ? "=" : "", (int)name.len, name.ptr);
	if (!map_get(&globals->seen, key)) {
		map_set(&globals->seen, key, globals);
		globals->found(globals->arg, use == SCAN_WRITE ? key + 1 : key, use == SCAN_WRITE);
	}
	free(key);
}

void script_globals(const char *code, bool is_statement,
                    void (*found)(void *arg, const char *name, bool is_write), void *arg)
{
	struct globals globals = { found, arg, { 0 } };
	map_init(&globals.seen);
	unsigned flags;
	if (is_statement)
		(void)scan_chunk(str_of(code), add_global, &globals);
	else
		(void)scan_expression(str_of(code), &flags, add_global, &globals);
	map_release(&globals.seen);
}
