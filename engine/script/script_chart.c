/* SPDX-License-Identifier: MIT */
/*
 * Compiled charts: every expression of a chart is compiled once per Lua state,
 * when it is first used, and shared by all sessions of the chart.
 *
 * A chunk's only upvalue is _ENV.  Before each call it is joined with the
 * upvalue of a function that belongs to the session, so the chunk runs over the
 * session's data and functions made by it keep that session's environment.
 *
 * A chart that no session uses stays for the next one; beyond IDLE_CHARTS_MAX
 * the oldest goes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_int.h"

enum { IDLE_CHARTS_MAX = 64, SHOWN_BYTES = 80 };

/* --- the cache -------------------------------------------------------- */

static void code_free(struct script *script, struct chart_code *code)
{
	for (uint32_t i = 0; i < code->chart->expr_count; i++) {
		free(code->exprs[i].error);
		free(code->exprs[i].base);
		json_decref(code->exprs[i].text);
	}
	free(code->exprs);
	luaL_unref(script->L, LUA_REGISTRYINDEX, code->chunks_ref);
	chart_unref(code->chart);
	free(code);
}

static void evict(struct script *script)
{
	size_t idle = 0, cursor = 0;
	struct map_entry *entry, *oldest = NULL;
	while ((entry = map_each(&script->charts, &cursor))) {
		struct chart_code *code = entry->value;
		if (code->sessions > 0)
			continue;
		idle++;
		if (!oldest || code->last_use < ((struct chart_code *)oldest->value)->last_use)
			oldest = entry;
	}
	if (idle <= IDLE_CHARTS_MAX)
		return;
	struct chart_code *code = oldest->value;
	char key[24];
	snprintf(key, sizeof(key), "%p", (const void *)code->chart);
	map_remove(&script->charts, key);
	code_free(script, code);
}

struct chart_code *chart_code_get(struct script *script, const struct chart *chart)
{
	char key[24];
	snprintf(key, sizeof(key), "%p", (const void *)chart);
	struct chart_code *code = map_get(&script->charts, key);
	if (!code) {
		code = mem_alloc(sizeof(*code));
		code->chart = chart_ref(chart);
		code->exprs = mem_alloc(chart->expr_count * sizeof(*code->exprs));
		lua_newtable(script->L);
		code->chunks_ref = luaL_ref(script->L, LUA_REGISTRYINDEX);
		map_set(&script->charts, key, code);
	}
	code->sessions++;
	return code;
}

void chart_code_put(struct script *script, struct chart_code *code)
{
	must(code->sessions > 0);
	code->last_use = ++script->uses;
	if (--code->sessions == 0)
		evict(script);
}

void chart_code_release_all(struct script *script)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_each(&script->charts, &cursor))) {
		struct chart_code *code = entry->value;
		must(code->sessions == 0);
		code_free(script, code);
	}
}

/* --- compiling -------------------------------------------------------- */

static void keep_error(struct expr_code *code, int line, const char *text)
{
	code->error = mem_dup_str(text);
	code->error_line = line;
}

/* name or name.field.field: reading it runs no code, and what it gives was there before. */
static bool is_path(struct str text, struct str *base)
{
	struct str rest = text;
	*base = (struct str){ text.ptr, 0 };
	for (;;) {
		const char *dot = memchr(rest.ptr, '.', rest.len);
		struct str name = { rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len };
		if (!scan_is_name(name))
			return false;
		if (base->len == 0)
			base->len = name.len;
		if (!dot)
			return true;
		rest = (struct str){ dot + 1, rest.len - name.len - 1 };
	}
}

/* Reads the code for what Lua's compiler does not tell; sets error when it is something else. */
static void examine(struct expr_code *code, struct str text, enum chart_role role)
{
	struct str base;
	switch (role) {
	case ROLE_VALUE:
		if (!scan_expression(text, &code->flags, NULL, NULL))
			keep_error(code, 0, "this is not one expression");
		code->is_path = !code->error && is_path(text, &base);
		if (code->is_path && !code->base)
			code->base = mem_dup(base.ptr, base.len);
		break;
	case ROLE_SCRIPT: code->flags = scan_chunk(text, NULL, NULL); break;
	case ROLE_SET:
	case ROLE_GET:
		if (!scan_location(text, &base, &code->is_plain))
			keep_error(code, 0, "this is not a location such as name or name.field[1]");
		else if (!code->base)
			code->base = mem_dup(base.ptr, base.len);
		if (!code->error)
			(void)scan_expression(text, &code->flags, NULL, NULL);
		break;
	}
	if (!code->error && (code->flags & SCAN_ENV))
		keep_error(code, 0, "_ENV cannot be used here");
}

/* The function on success, nothing pushed and code->error set otherwise. */
static void compile(struct script *script, struct expr_code *code, struct str text,
                    enum chart_role role)
{
	lua_State *L = script->L;
	if (role == ROLE_SET || role == ROLE_GET) {
		examine(code, text, role);
		if (code->error)
			return;
	}
	char *whole = role == ROLE_SET ? mem_format("%.*s = ...", (int)text.len, text.ptr) : NULL;
	const char *prefix = role == ROLE_VALUE || role == ROLE_GET ? "return " : "";
	if (box_load(script, prefix, whole ? str_of(whole) : text, "=lua") != LUA_OK) {
		char message[400];
		struct err err = { 0 };
		if (box_is_spent(script, &err))
			snprintf(message, sizeof(message), "too large to compile");
		int line = 0;
		if (err.code == 0)
			line = box_error_text(script, message, sizeof(message));
		else
			lua_pop(L, 1);
		keep_error(code, line, message);
	} else if (role == ROLE_VALUE || role == ROLE_SCRIPT) {
		examine(code, text, role);
		if (code->error)
			lua_pop(L, 1);
	}
	free(whole);
}

/* "line 12: 'the expression': what happened" */
static int say(const struct chart_expr *expr, enum chart_role role, int line, const char *what,
               struct err *err)
{
	char place[32] = "", shown[SHOWN_BYTES + 16] = "";
	if (expr->at.line > 0)
		snprintf(place, sizeof(place),
		         "line %u: ", expr->at.line + (unsigned)(line > 1 ? line - 1 : 0));
	size_t len = strlen(expr->text);
	if (role != ROLE_SCRIPT && !memchr(expr->text, '\n', len))
		snprintf(shown, sizeof(shown), "'%.*s%s': ", SHOWN_BYTES, expr->text,
		         len > SHOWN_BYTES ? "..." : "");
	const char *id = strstr(what, "rule.nondeterministic_key") ? "rule.nondeterministic_key"
	                                                           : "";
	return err_set_id(err, ERR_INPUT, id, "%s%s%s", place, shown, what);
}

int chart_code_push(struct script *script, struct chart_code *code, const struct chart_expr *expr,
                    enum chart_role role, struct expr_code **ret, struct err *err)
{
	must(expr->text && expr->id < code->chart->expr_count);
	lua_State *L = script->L;
	struct expr_code *known = &code->exprs[expr->id];
	bool is_ready = role == ROLE_GET ? known->is_readable : known->is_compiled;
	*ret = known;
	if (known->error)
		return say(expr, role, known->error_line, known->error, err);
	lua_Integer key = role == ROLE_GET ? -(lua_Integer)expr->id - 1 : (lua_Integer)expr->id + 1;
	lua_rawgeti(L, LUA_REGISTRYINDEX, code->chunks_ref);
	if (!is_ready) {
		compile(script, known, str_of(expr->text), role);
		if (known->error) {
			lua_pop(L, 1);
			return say(expr, role, known->error_line, known->error, err);
		}
		lua_rawseti(L, -2, key);
		*(role == ROLE_GET ? &known->is_readable : &known->is_compiled) = true;
	}
	lua_rawgeti(L, -1, key);
	lua_remove(L, -2);
	return 0;
}

int chart_code_failed(struct script *script, const struct chart_expr *expr, enum chart_role role,
                      struct err *err)
{
	if (box_is_spent(script, err)) {
		lua_pop(script->L, 1);
		if (expr->at.line > 0)
			err_wrap(err, "line %u", expr->at.line);
		return err->code;
	}
	char message[400];
	int line = box_error_text(script, message, sizeof(message));
	return say(expr, role, line, message, err);
}
