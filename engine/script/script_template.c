/* SPDX-License-Identifier: MIT */
/*
 * Rendering templates: for people to read, so nothing a template does can reach
 * a run's data.  Its globals are copies, and what it assigns is gone afterwards.
 * The text grows in a buffer of the host, outside of Lua's memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_template_int.h"

enum { CACHED_TEMPLATES_MAX = 64 };

struct template_code {
	char *name, *text; /* of our own; texts point into it */
	size_t len;
	struct template_source source;
	enum template_kind kind;
	int chunk_ref;
	uint64_t last_use;
};

struct rendering {
	const struct template_code *code;
	struct buf out;
	struct err err; /* too much text */
};

/* --- the cache -------------------------------------------------------- */

static void code_free(struct script *script, struct template_code *code)
{
	luaL_unref(script->L, LUA_REGISTRYINDEX, code->chunk_ref);
	template_source_release(&code->source);
	free(code->name);
	free(code->text);
	free(code);
}

void template_code_release_all(struct script *script)
{
	size_t cursor = 0;
	struct map_entry *entry;
	while ((entry = map_each(&script->templates, &cursor)))
		code_free(script, entry->value);
}

static void evict(struct script *script)
{
	size_t cursor = 0;
	struct map_entry *entry, *oldest = NULL;
	if (script->templates.live < CACHED_TEMPLATES_MAX)
		return;
	while ((entry = map_each(&script->templates, &cursor)))
		if (!oldest || ((struct template_code *)entry->value)->last_use <
		                       ((struct template_code *)oldest->value)->last_use)
			oldest = entry;
	struct template_code *code = oldest->value;
	map_remove(&script->templates, oldest->key);
	code_free(script, code);
}

static int compile(struct script *script, struct template_code *code, struct err *err)
{
	struct str text = { code->text, code->len };
	if (template_read(code->name, text, &code->source, err) < 0)
		return err->code;
	struct str lua = buf_str(&code->source.code);
	char *chunk_name = mem_format("=%s", code->name);
	int status = box_load(script, "", lua, chunk_name);
	free(chunk_name);
	if (status != LUA_OK) {
		char message[400];
		if (box_is_spent(script, err)) {
			lua_pop(script->L, 1);
			return err_wrap(err, "%s", code->name);
		}
		(void)box_error_text(script, message, sizeof(message));
		return err_set(err, ERR_INPUT, "%s", message);
	}
	code->chunk_ref = luaL_ref(script->L, LUA_REGISTRYINDEX);
	if (scan_chunk(lua, NULL, NULL) & SCAN_ENV)
		return err_set(err, ERR_INPUT, "%s: _ENV cannot be used", code->name);
	return 0;
}

static uint64_t hash_of(const char *name, struct str source)
{
	uint64_t hash = 14695981039346656037u;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 1099511628211u;
	for (size_t i = 0; i < source.len; i++)
		hash = (hash ^ (unsigned char)source.ptr[i]) * 1099511628211u;
	return hash;
}

static bool is_same(const struct template_code *code, const char *name, struct str source)
{
	return strcmp(code->name, name) == 0 &&
	       str_eq((struct str){ code->text, code->len }, source);
}

static struct template_code *code_get(struct script *script, const char *name, struct str source,
                                      struct err *err)
{
	char key[24];
	snprintf(key, sizeof(key), "%016llx", (unsigned long long)hash_of(name, source));
	struct template_code *code = map_get(&script->templates, key);
	if (code && !is_same(code, name, source)) {
		map_remove(&script->templates, key);
		code_free(script, code);
		code = NULL;
	}
	if (!code) {
		code = mem_alloc(sizeof(*code));
		code->name = mem_dup_str(name);
		code->text = mem_dup(source.ptr ? source.ptr : "", source.len);
		code->len = source.len;
		code->kind = template_kind_of(name);
		code->chunk_ref = LUA_NOREF;
		if (compile(script, code, err) < 0) {
			code_free(script, code);
			return NULL;
		}
		evict(script);
		map_set(&script->templates, key, code);
	}
	code->last_use = ++script->uses;
	return code;
}

/* --- what the chunk calls --------------------------------------------- */

static struct rendering *rendering_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* status: whether the text could be added. */
static int finish(lua_State *L, int status, size_t len)
{
	box_charge(L, len);
	return status < 0 ? luaL_error(L, "too much text") : 0;
}

static int write_text(lua_State *L)
{
	struct rendering *rendering = rendering_of(L);
	lua_Integer number = luaL_checkinteger(L, 1);
	const struct template_source *source = &rendering->code->source;
	luaL_argcheck(L, number >= 1 && (size_t)number <= source->texts.len, 1, "no such text");
	struct str text = source->texts.at[number - 1];
	return finish(L, buf_add(&rendering->out, text.ptr, text.len, &rendering->err), text.len);
}

/* Pushes what a value looks like; nothing for nil and null. */
static struct str show(lua_State *L)
{
	struct str ret = { "", 0 };
	lua_settop(L, 1);
	if (lua_isnil(L, 1) || value_is_null(L, 1))
		return ret;
	if (lua_istable(L, 1)) {
		lua_getfield(L, lua_upvalueindex(2), "json");
		lua_pushvalue(L, 1);
		lua_call(L, 1, 1);
	} else {
		lua_Integer whole;
		bool is_whole = lua_type(L, 1) == LUA_TNUMBER && !lua_isinteger(L, 1) &&
		                lua_numbertointeger(lua_tonumber(L, 1), &whole) &&
		                (lua_Number)whole == lua_tonumber(L, 1);
		if (is_whole) /* people read 48000, not 48000.0 */
			lua_pushinteger(L, whole);
		box_tostring(L, -1);
	}
	ret.ptr = lua_tolstring(L, -1, &ret.len);
	return ret;
}

static int write_value(lua_State *L)
{
	struct rendering *rendering = rendering_of(L);
	struct str text = show(L);
	int status = template_escape(rendering->code->kind, text, &rendering->out, &rendering->err);
	return finish(L, status, text.len * 4);
}

static int write_raw(lua_State *L)
{
	struct rendering *rendering = rendering_of(L);
	struct str text = show(L);
	return finish(L, buf_add(&rendering->out, text.ptr, text.len, &rendering->err), text.len);
}

/* --- rendering -------------------------------------------------------- */

/* Pushes the environment: copies of values, and the box behind them. */
static void push_environment(struct script *script, const json_t *values, const json_t *more)
{
	lua_State *L = script->L;
	const char *name;
	json_t *value;
	lua_newtable(L);
	const json_t *const parts[] = { values, more };
	for (size_t i = 0; i < 2; i++) {
		json_object_foreach((json_t *)(uintptr_t)parts[i], name, value) {
			lua_pushstring(L, name);
			value_push_json(L, value);
			lua_rawset(L, -3);
		}
	}
	lua_newtable(L);
	box_push_functions(script);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
}

static void push_writer(struct script *script, struct rendering *rendering, lua_CFunction function)
{
	lua_pushlightuserdata(script->L, rendering);
	lua_rawgeti(script->L, LUA_REGISTRYINDEX, script->globals_ref);
	lua_pushcclosure(script->L, function, 2);
}

static int failed(struct script *script, const char *name, struct rendering *rendering,
                  struct err *err)
{
	char message[400];
	if (box_is_spent(script, err)) {
		lua_pop(script->L, 1);
		return err_wrap(err, "%s", name);
	}
	(void)box_error_text(script, message, sizeof(message));
	if (rendering->err.code < 0)
		return err_set(err, ERR_LIMIT,
		               "%s: the text has more than %d bytes (LIMIT_ARTIFACT_BYTES)", name,
		               LIMIT_ARTIFACT_BYTES);
	return err_set(err, ERR_INPUT, "%s", message);
}

static int render(struct script *script, const char *name, struct str source, const json_t *values,
                  const json_t *more, const struct box_host *host, char **ret, struct err *err)
{
	lua_State *L = script->L;
	must(lua_gettop(L) == 0);
	struct template_code *code = code_get(script, name, source, err);
	if (!code)
		return err->code;
	struct rendering rendering = { .code = code };
	buf_init(&rendering.out, LIMIT_ARTIFACT_BYTES);
	lua_rawgeti(L, LUA_REGISTRYINDEX, code->chunk_ref);
	push_environment(script, values, more);
	lua_setupvalue(L, -2, 1);
	push_writer(script, &rendering, write_text);
	push_writer(script, &rendering, write_value);
	push_writer(script, &rendering, write_raw);
	int status = 0;
	if (box_call(script, 3, 0, host, script->limits.steps_max) != LUA_OK)
		status = failed(script, name, &rendering, err);
	else if (!str_is_utf8(buf_str(&rendering.out)))
		status = err_set(err, ERR_INPUT, "%s: the text is not valid UTF-8", name);
	else
		*ret = buf_take(&rendering.out);
	buf_release(&rendering.out);
	/* Nothing of this rendering stays behind the cached chunk. */
	lua_rawgeti(L, LUA_REGISTRYINDEX, code->chunk_ref);
	lua_pushnil(L);
	lua_setupvalue(L, -2, 1);
	lua_settop(L, 0);
	return status;
}

int script_template(struct script *script, const char *name, struct str source,
                    const json_t *values, int64_t now_ms, char **ret, struct err *err)
{
	uint64_t rng = 0;
	struct box_host host = { .now_ms = now_ms, .rng = &rng };
	return render(script, name, source, values, NULL, &host, ret, err);
}

int script_render(struct datamodel *dm, const char *name, struct str source, const json_t *extra,
                  char **ret, struct err *err)
{
	uint64_t rng = dm->rng; /* a copy: rendering is no part of the run */
	struct box_host host = { .now_ms = dm->now_ms, .rng = &rng };
	json_t *data = script_datamodel_ops.snapshot(dm);
	int status = render(dm->script, name, source, data, extra, &host, ret, err);
	json_decref(data);
	return status;
}

int script_template_check(const char *name, struct str source, struct err *err)
{
	struct template_source read;
	int status = template_read(name, source, &read, err);
	if (status == 0) {
		struct str code = buf_str(&read.code);
		char *chunk_name = mem_format("=%s", name);
		status = box_compiles("", code, chunk_name, err);
		free(chunk_name);
		if (status == 0 && (scan_chunk(code, NULL, NULL) & SCAN_ENV))
			status = err_set(err, ERR_INPUT, "%s: _ENV cannot be used", name);
	}
	template_source_release(&read);
	return status;
}
