/* SPDX-License-Identifier: MIT */
/*
 * JSON to Lua and back.
 *
 * JSON null is one light userdata, not nil; integers and reals stay what they
 * are; a list is a table with the keys 1..n, and one that came from JSON is
 * marked so that it stays a list when it is empty.  Everything else that a
 * table can be (holes, mixed keys, cycles, functions, NaN, broken UTF-8) has no
 * JSON and is an error that names the place.
 *
 * Lua's own order of keys differs from process to process (RELIABILITY M3), so
 * nothing that leaves this file depends on it: objects are written in sorted
 * order, and so is the search for the place to name in an error.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_int.h"

static const char null_key;

/* --- null, lists, frozen tables --------------------------------------- */

void value_push_null(lua_State *L)
{
	lua_pushlightuserdata(L, (void *)(uintptr_t)&null_key);
}

bool value_is_null(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TLIGHTUSERDATA && lua_touserdata(L, index) == &null_key;
}

void value_mark_list(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	lua_rawgetp(L, LUA_REGISTRYINDEX, box_of(L)->list_metatable);
	lua_setmetatable(L, index);
}

bool value_is_marked(lua_State *L, int index)
{
	if (!lua_getmetatable(L, index))
		return false;
	bool is_list = lua_topointer(L, -1) == box_of(L)->list_metatable;
	lua_pop(L, 1);
	return is_list;
}

static int refuse_write(lua_State *L)
{
	box_charge(L, 0);
	static const char *const what[] = { "this table", "a library", "_event", "_ioprocessors" };
	lua_Integer kind = lua_tointeger(L, lua_upvalueindex(1));
	return luaL_error(L, "%s cannot be changed", what[kind]);
}

static int frozen_len(lua_State *L)
{
	box_charge(L, 0);
	(void)value_contents(L, 1);
	lua_pushinteger(L, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

/* The metatable's [1] is the backing, its [2] the kind. */
void value_freeze(lua_State *L, enum frozen_kind kind)
{
	int backing = lua_gettop(L);
	lua_createtable(L, 0, 0);
	lua_createtable(L, 2, 3);
	lua_pushvalue(L, backing);
	lua_rawseti(L, -2, 1);
	lua_pushinteger(L, kind);
	lua_rawseti(L, -2, 2);
	lua_pushvalue(L, backing);
	lua_setfield(L, -2, "__index");
	lua_pushinteger(L, kind);
	lua_pushcclosure(L, refuse_write, 1);
	lua_setfield(L, -2, "__newindex");
	lua_pushcfunction(L, frozen_len);
	lua_setfield(L, -2, "__len");
	lua_setmetatable(L, -2);
	lua_replace(L, backing);
}

enum frozen_kind value_contents(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	if (lua_getmetatable(L, index)) {
		if (lua_topointer(L, -1) != box_of(L)->list_metatable) {
			lua_rawgeti(L, -1, 2);
			enum frozen_kind kind = (enum frozen_kind)lua_tointeger(L, -1);
			lua_pop(L, 1);
			lua_rawgeti(L, -1, 1);
			lua_remove(L, -2);
			return kind;
		}
		lua_pop(L, 1);
	}
	lua_pushvalue(L, index);
	return FROZEN_NONE;
}

/* --- keys in order ---------------------------------------------------- */

void value_keys_read(lua_State *L, int index, struct value_keys *keys)
{
	index = lua_absindex(L, index);
	bool has_text = false;
	lua_Integer max = 0;
	keys->len = 0;
	keys->has_bad = false;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
		struct value_key key = { 0 };
		if (lua_type(L, -2) == LUA_TSTRING) {
			key.text = lua_tolstring(L, -2, &key.len);
			has_text = true;
		} else if (lua_isinteger(L, -2)) {
			key.number = lua_tointeger(L, -2);
			if (key.number < 1)
				has_text = true; /* no list either */
			else if (key.number > max)
				max = key.number;
		} else {
			keys->has_bad = true;
			continue;
		}
		*vec_add(keys) = key;
	}
	keys->is_list = !has_text && !keys->has_bad && (lua_Integer)keys->len == max;
}

static int compare_keys(const void *a, const void *b)
{
	const struct value_key *x = a, *y = b;
	if (!x->text || !y->text) {
		if (x->text || y->text)
			return x->text ? 1 : -1;
		return (x->number > y->number) - (x->number < y->number);
	}
	int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

void value_keys_sort(struct value_keys *keys)
{
	enum { FEW = 16 };
	if (keys->len > FEW) {
		qsort(keys->at, keys->len, sizeof(*keys->at), compare_keys);
		return;
	}
	for (size_t i = 1; i < keys->len; i++) {
		struct value_key key = keys->at[i];
		size_t at = i;
		for (; at > 0 && compare_keys(&keys->at[at - 1], &key) > 0; at--)
			keys->at[at] = keys->at[at - 1];
		keys->at[at] = key;
	}
}

/* --- paths ------------------------------------------------------------ */

/* Takes one ".name" or "[n]" off the path and pushes it as a key; false at a malformed one. */
static bool push_key(lua_State *L, const char **path)
{
	const char *at = *path;
	if (*at == '[') {
		char *end;
		long long index = strtoll(at + 1, &end, 10);
		if (end == at + 1 || *end != ']')
			return false;
		lua_pushinteger(L, index);
		*path = end + 1;
		return true;
	}
	if (*at == '.')
		at++;
	size_t len = strcspn(at, ".[");
	if (len == 0)
		return false;
	lua_pushlstring(L, at, len);
	*path = at + len;
	return true;
}

bool value_is_path(const char *path)
{
	while (*path) {
		size_t len = strcspn(path + (*path == '.'), ".[");
		if (*path == '[') {
			len = strspn(path + 1, "0123456789");
			if (len == 0 || path[1 + len] != ']')
				return false;
			path += len + 2;
		} else {
			if (len == 0)
				return false;
			path += len + (*path == '.');
		}
	}
	return true;
}

bool value_push_path(lua_State *L, int index, const char *path)
{
	lua_pushvalue(L, index);
	while (*path) {
		if (!lua_istable(L, -1)) {
			lua_pop(L, 1);
			lua_pushnil(L);
			return true;
		}
		(void)value_contents(L, -1);
		lua_replace(L, -2);
		if (!push_key(L, &path)) {
			lua_pop(L, 1);
			return false;
		}
		lua_rawget(L, -2);
		lua_remove(L, -2);
	}
	return true;
}

/* --- JSON to Lua ------------------------------------------------------ */

static void push_object(lua_State *L, const json_t *object)
{
	const char *key;
	json_t *member;
	lua_createtable(L, 0, (int)json_object_size(object));
	json_object_foreach((json_t *)(uintptr_t)object, key, member) {
		lua_pushstring(L, key);
		value_push_json(L, member);
		lua_rawset(L, -3);
	}
}

static void push_array(lua_State *L, const json_t *array)
{
	size_t count = json_array_size(array);
	lua_createtable(L, (int)count, 0);
	value_mark_list(L, -1);
	for (size_t i = 0; i < count; i++) {
		value_push_json(L, json_array_get(array, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

void value_push_json(lua_State *L, const json_t *json)
{
	must(lua_checkstack(L, 6));
	if (!json) {
		lua_pushnil(L);
		return;
	}
	switch (json_typeof(json)) {
	case JSON_OBJECT: push_object(L, json); return;
	case JSON_ARRAY: push_array(L, json); return;
	case JSON_STRING:
		lua_pushlstring(L, json_string_value(json), json_string_length(json));
		return;
	case JSON_INTEGER: lua_pushinteger(L, json_integer_value(json)); return;
	case JSON_REAL: lua_pushnumber(L, json_real_value(json)); return;
	case JSON_TRUE: lua_pushboolean(L, true); return;
	case JSON_FALSE: lua_pushboolean(L, false); return;
	case JSON_NULL: value_push_null(L); return;
	}
	must_not_reach();
}

/* --- Lua to JSON ------------------------------------------------------ */

struct step {
	const char *key; /* NULL: index */
	lua_Integer index;
	const void *table;
};

struct walk {
	lua_State *L;
	const char *name;
	struct err *err;
	bool is_sorted; /* visit in order: needed where something is written or named */
	bool wants_json;
	size_t nodes;
	int depth;
	struct step steps[LIMIT_JSON_DEPTH + 1];
	struct value_keys spare; /* memory of a table that is done, for the next one */
};

static int refuse(struct walk *walk, const char *format, ...) ATTR_PRINTF(2, 3);
static int refuse(struct walk *walk, const char *format, ...)
{
	char path[300];
	size_t used = (size_t)snprintf(path, sizeof(path), "%s", walk->name);
	for (int i = 0; i < walk->depth && used < sizeof(path); i++) {
		const struct step *step = &walk->steps[i];
		const char *dot = used > 0 ? "." : "";
		int added = step->key ? snprintf(path + used, sizeof(path) - used, "%s%s", dot,
		                                 step->key)
		                      : snprintf(path + used, sizeof(path) - used, "[%lld]",
		                                 (long long)step->index);
		used += (size_t)added;
	}
	char what[200];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return err_set(walk->err, ERR_INPUT, "%s %s", path[0] ? path : "the value", what);
}

static int walk_value(struct walk *walk, int index, json_t **ret);

static int walk_string(struct walk *walk, int index, json_t **ret)
{
	struct str text;
	text.ptr = lua_tolstring(walk->L, index, &text.len);
	if (memchr(text.ptr, '\0', text.len))
		return refuse(walk, "contains a NUL byte");
	if (!str_is_utf8(text))
		return refuse(walk, "is not valid UTF-8");
	if (walk->wants_json)
		*ret = json_stringn_nocheck(text.ptr, text.len);
	return 0;
}

static int walk_number(struct walk *walk, int index, json_t **ret)
{
	if (lua_isinteger(walk->L, index)) {
		if (walk->wants_json)
			*ret = json_integer(lua_tointeger(walk->L, index));
		return 0;
	}
	double value = lua_tonumber(walk->L, index);
	if (!isfinite(value))
		return refuse(walk, isnan(value) ? "is not a number (NaN)" : "is infinite");
	if (walk->wants_json)
		*ret = json_real(value);
	return 0;
}

static int walk_list(struct walk *walk, size_t count, json_t **ret)
{
	json_t *array = walk->wants_json ? json_array() : NULL;
	struct step *step = &walk->steps[walk->depth++];
	int status = 0;
	for (size_t i = 1; i <= count && status == 0; i++) {
		json_t *item = NULL;
		step->key = NULL;
		step->index = (lua_Integer)i;
		lua_rawgeti(walk->L, -1, (lua_Integer)i);
		status = walk_value(walk, -1, &item);
		lua_pop(walk->L, 1);
		if (item)
			json_push(array, item);
	}
	walk->depth--;
	if (status < 0)
		json_decref(array);
	else
		*ret = array;
	return status;
}

static int walk_members(struct walk *walk, const struct value_keys *keys, json_t **ret)
{
	json_t *object = walk->wants_json ? json_object() : NULL;
	struct step *step = &walk->steps[walk->depth++];
	int status = 0;
	for (size_t i = 0; i < keys->len && status == 0; i++) {
		const struct value_key *key = &keys->at[i];
		json_t *item = NULL;
		step->key = key->text;
		lua_pushlstring(walk->L, key->text, key->len);
		lua_rawget(walk->L, -2);
		if (memchr(key->text, '\0', key->len) ||
		    !str_is_utf8((struct str){ key->text, key->len }))
			status = refuse(walk, "has a key that is not valid UTF-8");
		else
			status = walk_value(walk, -1, &item);
		lua_pop(walk->L, 1);
		if (item)
			must(json_object_setn_new_nocheck(object, key->text, key->len, item) == 0);
	}
	walk->depth--;
	if (status < 0)
		json_decref(object);
	else
		*ret = object;
	return status;
}

static int check_keys(struct walk *walk, const struct value_keys *keys, bool is_marked)
{
	size_t texts = 0;
	for (size_t i = 0; i < keys->len; i++)
		texts += keys->at[i].text != NULL;
	if (keys->has_bad)
		return refuse(walk, "has a key that is neither a string nor a whole number");
	if (texts == keys->len && !is_marked)
		return 0;
	if (texts == keys->len)
		return refuse(walk, "is a list and has named members");
	if (texts > 0)
		return refuse(walk, "mixes numbered and named members");
	return refuse(walk, "is a list with holes: its numbers are not 1 to %zu", keys->len);
}

/* The raw contents are on top of the stack. */
static int walk_contents(struct walk *walk, bool is_marked, json_t **ret)
{
	struct value_keys keys = walk->spare;
	walk->spare = (struct value_keys){ 0 };
	value_keys_read(walk->L, -1, &keys);
	int status = 0;
	if (keys.is_list && (keys.len > 0 || is_marked)) {
		status = walk_list(walk, keys.len, ret);
	} else {
		if (keys.len > 0 || keys.has_bad)
			status = check_keys(walk, &keys, is_marked);
		if (walk->is_sorted)
			value_keys_sort(&keys);
		if (status == 0)
			status = walk_members(walk, &keys, ret);
	}
	vec_release(&walk->spare);
	walk->spare = keys;
	return status;
}

static int walk_table(struct walk *walk, int index, json_t **ret)
{
	const void *table = lua_topointer(walk->L, index);
	for (int i = 0; i < walk->depth; i++)
		if (walk->steps[i].table == table)
			return refuse(walk, "contains itself");
	if (walk->depth >= LIMIT_JSON_DEPTH)
		return refuse(walk, "is nested deeper than %d (LIMIT_JSON_DEPTH)",
		              LIMIT_JSON_DEPTH);
	walk->steps[walk->depth].table = table;
	bool is_marked = value_is_marked(walk->L, index);
	if (value_contents(walk->L, index) == FROZEN_LIBRARY) {
		lua_pop(walk->L, 1);
		return refuse(walk, "is a library");
	}
	int status = walk_contents(walk, is_marked, ret);
	lua_pop(walk->L, 1);
	return status;
}

static int walk_value(struct walk *walk, int index, json_t **ret)
{
	lua_State *L = walk->L;
	if (++walk->nodes > LIMIT_JSON_NODES)
		return refuse(walk, "has more than %d values (LIMIT_JSON_NODES)", LIMIT_JSON_NODES);
	if (!lua_checkstack(L, 8))
		return refuse(walk, "is too large");
	index = lua_absindex(L, index);
	switch (lua_type(L, index)) {
	case LUA_TNIL: return 0;
	case LUA_TBOOLEAN:
		if (walk->wants_json)
			*ret = json_boolean(lua_toboolean(L, index));
		return 0;
	case LUA_TNUMBER: return walk_number(walk, index, ret);
	case LUA_TSTRING: return walk_string(walk, index, ret);
	case LUA_TTABLE: return walk_table(walk, index, ret);
	case LUA_TLIGHTUSERDATA:
		if (!value_is_null(L, index))
			break;
		if (walk->wants_json)
			*ret = json_null();
		return 0;
	case LUA_TFUNCTION: return refuse(walk, "is a function; data holds JSON values only");
	}
	return refuse(walk, "is a %s; data holds JSON values only", luaL_typename(L, index));
}

int value_to_json(lua_State *L, int index, const char *name, json_t **ret, struct err *err)
{
	struct walk walk = {
		.L = L, .name = name, .err = err, .is_sorted = true, .wants_json = true
	};
	json_t *json = NULL;
	int status = walk_value(&walk, index, &json);
	vec_release(&walk.spare);
	if (status < 0)
		return status;
	*ret = json;
	return 0;
}

int value_check(lua_State *L, int index, const char *name, struct err *err)
{
	int type = lua_type(L, index);
	if (type == LUA_TNIL || type == LUA_TBOOLEAN)
		return 0;
	struct err unused = { 0 };
	json_t *none = NULL;
	struct walk walk = { .L = L, .name = name, .err = &unused };
	int status = walk_value(&walk, index, &none);
	vec_release(&walk.spare);
	if (status == 0)
		return 0;
	/* Once more in order, so that the same place is named in every process. */
	walk = (struct walk){ .L = L, .name = name, .err = err, .is_sorted = true };
	status = walk_value(&walk, index, &none);
	vec_release(&walk.spare);
	must(status < 0);
	return status;
}
