/* SPDX-License-Identifier: MIT */
/*
 * A session's data to JSON and back, aliases included.
 *
 *	{"data": {name: V}, "empty": [names without a value], "tables": [V, ...],
 *	 "event": V, "slots": [V, ...], "rng": n, "now": ms}
 *
 * V is the JSON of a value, where a table that is referred to more than once
 * stands in "tables" and is {"$ref": n} everywhere; so does one that is nested
 * deep, to keep the text flat.  Other marks: {"$nil": true}, {"$event": {...}} (a
 * frozen _event), {"$io": name} (_ioprocessors, by reference).  A key of the
 * author's that begins with '$' gets one more.
 *
 * Slots are what the functions of the document-level script keep between calls:
 * their upvalues and the fields of their tables.  Functions come back by running
 * that script again; then the slots are set to what they were.
 *
 * Equal sessions give equal JSON: everything is visited in sorted order.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "script/script_int.h"

enum { FLAT_DEPTH = 24, DECODE_DEPTH_MAX = 200 };

/* --- slots: what the chart's functions keep --------------------------- */

/* The value is on top of the stack; true: it was replaced by a new one, to be stored. */
typedef bool slot_visit(void *ctx);

struct slots {
	lua_State *L;
	int seen; /* stack index: functions, tables and upvalues visited */
	slot_visit *visit;
	void *ctx;
	long count;
	bool has_bad;
};

static void visit_value(struct slots *slots, int depth);

/* The key is on top; marks it and pops it. */
static bool is_seen(struct slots *slots)
{
	lua_pushvalue(slots->L, -1);
	lua_rawget(slots->L, slots->seen);
	bool ret = lua_toboolean(slots->L, -1);
	lua_pop(slots->L, 1);
	lua_pushboolean(slots->L, true);
	lua_rawset(slots->L, slots->seen);
	return ret;
}

/* The value on top: a slot (true: replaced), or something to look into. */
static bool visit_slot(struct slots *slots, int depth)
{
	lua_State *L = slots->L;
	struct err unused = { 0 };
	if (value_check(L, -1, "", &unused) < 0) {
		visit_value(slots, depth);
		return false;
	}
	slots->count++;
	return slots->visit && slots->visit(slots->ctx);
}

static void visit_function(struct slots *slots, int depth)
{
	lua_State *L = slots->L;
	const char *name;
	for (int i = 1; (name = lua_getupvalue(L, -1, i)); i++) {
		lua_pushlightuserdata(L, lua_upvalueid(L, -2, i));
		bool skip = strcmp(name, "_ENV") == 0;
		if (skip)
			lua_pop(L, 1);
		else
			skip = is_seen(slots);
		if (!skip && visit_slot(slots, depth))
			must(lua_setupvalue(L, -2, i));
		else
			lua_pop(L, 1);
	}
}

static void visit_table(struct slots *slots, int depth)
{
	lua_State *L = slots->L;
	(void)value_contents(L, -1);
	struct value_keys keys = { 0 };
	value_keys_read(L, -1, &keys);
	value_keys_sort(&keys);
	slots->has_bad |= keys.has_bad;
	for (size_t i = 0; i < keys.len; i++) {
		if (keys.at[i].text)
			lua_pushlstring(L, keys.at[i].text, keys.at[i].len);
		else
			lua_pushinteger(L, keys.at[i].number);
		lua_pushvalue(L, -1);
		lua_rawget(L, -3);
		if (visit_slot(slots, depth))
			lua_rawset(L, -3);
		else
			lua_pop(L, 2);
	}
	vec_release(&keys);
	lua_pop(L, 1);
}

/* Looks into a function or table that is no JSON; other values are constants. */
static void visit_value(struct slots *slots, int depth)
{
	lua_State *L = slots->L;
	bool is_function = lua_isfunction(L, -1) && !lua_iscfunction(L, -1);
	if (depth > 100)
		slots->has_bad = true;
	if ((!is_function && !lua_istable(L, -1)) || slots->has_bad)
		return;
	must(lua_checkstack(L, 16));
	lua_pushvalue(L, -1);
	if (is_seen(slots))
		return;
	if (is_function)
		visit_function(slots, depth + 1);
	else
		visit_table(slots, depth + 1);
}

static long walk_slots(struct datamodel *dm, slot_visit *visit, void *ctx)
{
	static const char *const libraries[] = { "math", "string", "table", "utf8" };
	lua_State *L = dm->script->L;
	if (!dm->has_library)
		return 0;
	struct slots slots = { .L = L, .visit = visit, .ctx = ctx };
	lua_newtable(L);
	slots.seen = lua_gettop(L);
	lua_rawgeti(L, LUA_REGISTRYINDEX, dm->script->globals_ref);
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		lua_getfield(L, -1, libraries[i]);
		(void)is_seen(&slots);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, dm->system_ref);
	struct value_keys keys = { 0 };
	value_keys_read(L, -1, &keys);
	value_keys_sort(&keys);
	for (size_t i = 0; i < keys.len; i++) {
		if (box_knows(keys.at[i].text) && keys.at[i].text[0] == '_')
			continue; /* a system variable */
		lua_pushlstring(L, keys.at[i].text, keys.at[i].len);
		lua_rawget(L, -2);
		visit_value(&slots, 0);
		lua_pop(L, 1);
	}
	vec_release(&keys);
	lua_settop(L, slots.seen - 1);
	return slots.has_bad ? -1 : slots.count;
}

long script_count_slots(struct datamodel *dm)
{
	return walk_slots(dm, NULL, NULL);
}

/* --- saving ----------------------------------------------------------- */

struct saver {
	lua_State *L;
	int refs; /* stack index: table -> how often it is referred to, then -(1 + its number) */
	int system;
	json_t *tables, *slots;
};

/* Pass 1, over the value on top. */
static void count_refs(struct saver *saver)
{
	lua_State *L = saver->L;
	if (!lua_istable(L, -1))
		return;
	must(lua_checkstack(L, 8));
	lua_pushvalue(L, -1);
	lua_rawget(L, saver->refs);
	lua_Integer count = lua_tointeger(L, -1);
	lua_pop(L, 1);
	lua_pushvalue(L, -1);
	lua_pushinteger(L, count + 1);
	lua_rawset(L, saver->refs);
	if (count > 0)
		return;
	if (value_contents(L, -1) != FROZEN_IO)
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
			count_refs(saver);
	lua_pop(L, 1);
}

static bool count_slot(void *ctx)
{
	count_refs(ctx);
	return false;
}

static json_t *encode(struct saver *saver, int depth);

static json_t *encode_list(struct saver *saver, size_t count, int depth)
{
	json_t *ret = json_array();
	for (size_t i = 1; i <= count; i++) {
		lua_rawgeti(saver->L, -1, (lua_Integer)i);
		json_push(ret, encode(saver, depth + 1));
		lua_pop(saver->L, 1);
	}
	return ret;
}

static json_t *encode_object(struct saver *saver, const struct value_keys *keys, int depth)
{
	json_t *ret = json_object();
	for (size_t i = 0; i < keys->len; i++) {
		const struct value_key *key = &keys->at[i];
		char *escaped = key->text[0] == '$' ? mem_format("$%s", key->text) : NULL;
		lua_pushlstring(saver->L, key->text, key->len);
		lua_rawget(saver->L, -2);
		json_put(ret, escaped ? escaped : key->text, encode(saver, depth + 1));
		lua_pop(saver->L, 1);
		free(escaped);
	}
	return ret;
}

/* The raw contents are on top. */
static json_t *encode_contents(struct saver *saver, bool is_marked, int depth)
{
	struct value_keys keys = { 0 };
	value_keys_read(saver->L, -1, &keys);
	value_keys_sort(&keys);
	bool is_list = keys.is_list && (keys.len > 0 || is_marked);
	json_t *ret = is_list ? encode_list(saver, keys.len, depth)
	                      : encode_object(saver, &keys, depth);
	vec_release(&keys);
	return ret;
}

/* The frozen table on top: all processors, or the one of some name. */
static json_t *encode_io(struct saver *saver)
{
	lua_State *L = saver->L;
	const char *name = "";
	int table = lua_gettop(L);
	lua_getfield(L, saver->system, "_ioprocessors");
	(void)value_contents(L, -1);
	for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
		if (lua_rawequal(L, -1, table) && lua_type(L, -2) == LUA_TSTRING &&
		    (*name == '\0' || strcmp(lua_tostring(L, -2), name) < 0))
			name = lua_tostring(L, -2);
	json_t *ret = json_object();
	json_put_str(ret, "$io", name);
	lua_settop(L, table);
	return ret;
}

static json_t *encode_table(struct saver *saver, int depth)
{
	lua_State *L = saver->L;
	bool is_marked = value_is_marked(L, -1);
	enum frozen_kind kind = value_contents(L, -1);
	json_t *ret = NULL;
	switch (kind) {
	case FROZEN_IO: lua_pop(L, 1); return encode_io(saver);
	case FROZEN_EVENT:
		ret = json_object();
		json_put(ret, "$event", encode_contents(saver, false, depth));
		break;
	case FROZEN_NONE:
	case FROZEN_LIBRARY: ret = encode_contents(saver, is_marked, depth); break;
	}
	lua_pop(L, 1);
	return ret;
}

static json_t *encode_shared(struct saver *saver, int depth)
{
	lua_State *L = saver->L;
	lua_pushvalue(L, -1);
	lua_rawget(L, saver->refs);
	lua_Integer count = lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (count >= 0 && count <= 1 && depth < FLAT_DEPTH)
		return encode_table(saver, depth);
	size_t number = (size_t)(-count - 1);
	if (count >= 0) {
		number = json_array_size(saver->tables);
		json_push(saver->tables, json_null());
		lua_pushvalue(L, -1);
		lua_pushinteger(L, -(lua_Integer)number - 1);
		lua_rawset(L, saver->refs);
		must(json_array_set_new(saver->tables, number, encode_table(saver, 0)) == 0);
	}
	json_t *ret = json_object();
	json_put_int(ret, "$ref", (int64_t)number);
	return ret;
}

/* Pass 2, over the value on top: it is JSON-shaped. */
static json_t *encode(struct saver *saver, int depth)
{
	lua_State *L = saver->L;
	must(lua_checkstack(L, 8));
	if (lua_istable(L, -1))
		return encode_shared(saver, depth);
	struct err unused = { 0 };
	json_t *ret = NULL;
	must(value_to_json(L, -1, "", &ret, &unused) == 0);
	if (!ret) {
		ret = json_object();
		json_put(ret, "$nil", json_true());
	}
	return ret;
}

static bool save_slot(void *ctx)
{
	struct saver *saver = ctx;
	json_push(saver->slots, encode(saver, 0));
	return false;
}

/* Pushes the value of a datum when it is one that can be kept. */
static bool push_sound(struct datamodel *dm, int env, const struct value_key *key)
{
	lua_State *L = dm->script->L;
	struct err unused = { 0 };
	lua_pushlstring(L, key->text, key->len);
	lua_rawget(L, env);
	if (!lua_isnil(L, -1) && value_check(L, -1, key->text, &unused) == 0)
		return true;
	lua_pop(L, 1);
	return false;
}

json_t *script_save(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	struct saver saver = {
		.L = L, .refs = 1, .system = 2, .tables = json_array(), .slots = json_array()
	};
	json_t *ret = json_object(), *data = json_object(), *empty = json_array();
	must(lua_gettop(L) == 0);
	datamodel_make_event(dm);
	lua_newtable(L);
	lua_rawgeti(L, LUA_REGISTRYINDEX, dm->system_ref);
	lua_rawgeti(L, LUA_REGISTRYINDEX, dm->env_ref);
	lua_rawgeti(L, LUA_REGISTRYINDEX, dm->declared_ref);
	struct value_keys keys = { 0 };
	value_keys_read(L, 4, &keys);
	value_keys_sort(&keys);
	for (size_t i = 0; i < keys.len; i++) {
		if (push_sound(dm, 3, &keys.at[i])) {
			count_refs(&saver);
			lua_pop(L, 1);
		}
	}
	lua_getfield(L, 2, "_event");
	count_refs(&saver);
	(void)walk_slots(dm, count_slot, &saver);
	for (size_t i = 0; i < keys.len; i++) {
		if (push_sound(dm, 3, &keys.at[i])) {
			json_put(data, keys.at[i].text, encode(&saver, 0));
			lua_pop(L, 1);
		} else {
			json_push(empty,
			          json_text((struct str){ keys.at[i].text, keys.at[i].len }));
		}
	}
	json_put(ret, "data", data);
	json_put(ret, "empty", empty);
	if (!lua_isnil(L, -1))
		json_put(ret, "event", encode(&saver, 0));
	(void)walk_slots(dm, save_slot, &saver);
	json_put(ret, "slots", saver.slots);
	json_put(ret, "tables", saver.tables);
	json_put_int(ret, "rng", (int64_t)dm->rng);
	json_put_int(ret, "now", dm->now_ms);
	vec_release(&keys);
	lua_settop(L, 0);
	return ret;
}

/* --- restoring -------------------------------------------------------- */

struct loader {
	lua_State *L;
	struct datamodel *dm;
	int memo; /* stack index: number -> table */
	const json_t *tables, *slots;
	size_t slot;
	int depth;
	bool is_broken;
};

static void decode(struct loader *loader, const json_t *value);

static void decode_ref(struct loader *loader, lua_Integer number)
{
	lua_State *L = loader->L;
	lua_rawgeti(L, loader->memo, number);
	if (!lua_isnil(L, -1))
		return;
	lua_pop(L, 1);
	const json_t *table = number < 0 ? NULL : json_array_get(loader->tables, (size_t)number);
	if (!table)
		loader->is_broken = true;
	decode(loader, table);
	lua_pushvalue(L, -1);
	lua_rawseti(L, loader->memo, number);
}

static void decode_io(struct loader *loader, const char *name)
{
	lua_State *L = loader->L;
	lua_rawgeti(L, LUA_REGISTRYINDEX, loader->dm->system_ref);
	lua_getfield(L, -1, "_ioprocessors");
	lua_remove(L, -2);
	if (*name == '\0')
		return;
	(void)value_contents(L, -1);
	lua_pushstring(L, name);
	lua_rawget(L, -2);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

static void decode_members(struct loader *loader, const json_t *value)
{
	const char *key;
	json_t *member;
	lua_createtable(loader->L, 0, (int)json_object_size(value));
	json_object_foreach((json_t *)(uintptr_t)value, key, member) {
		lua_pushstring(loader->L, key[0] == '$' ? key + 1 : key);
		decode(loader, member);
		lua_rawset(loader->L, -3);
	}
}

/* A mark is an object of one member whose key has a single '$'. */
static bool decode_mark(struct loader *loader, const json_t *value)
{
	void *first = json_object_iter((json_t *)(uintptr_t)value);
	const char *key = first ? json_object_iter_key(first) : "";
	if (key[0] != '$' || key[1] == '$')
		return false;
	const json_t *member = json_object_iter_value(first);
	if (strcmp(key, "$ref") == 0) {
		decode_ref(loader, json_integer_value(member));
	} else if (strcmp(key, "$io") == 0) {
		decode_io(loader, json_is_string(member) ? json_string_value(member) : "");
	} else if (strcmp(key, "$event") == 0) {
		decode_members(loader, member);
		value_freeze(loader->L, FROZEN_EVENT);
	} else {
		lua_pushnil(loader->L);
	}
	return true;
}

static void decode(struct loader *loader, const json_t *value)
{
	lua_State *L = loader->L;
	must(lua_checkstack(L, 8));
	if (++loader->depth > DECODE_DEPTH_MAX) {
		loader->is_broken = true;
		lua_pushnil(L);
	} else if (json_is_array(value)) {
		lua_createtable(L, (int)json_array_size(value), 0);
		value_mark_list(L, -1);
		for (size_t i = 0; i < json_array_size(value); i++) {
			decode(loader, json_array_get(value, i));
			lua_rawseti(L, -2, (lua_Integer)i + 1);
		}
	} else if (json_is_object(value)) {
		if (!decode_mark(loader, value))
			decode_members(loader, value);
	} else {
		value_push_json(L, value);
	}
	loader->depth--;
}

/* Declares what was declared and gives it its values; other names lose theirs. */
static void load_data(struct loader *loader, const json_t *saved)
{
	lua_State *L = loader->L;
	struct datamodel *dm = loader->dm;
	const char *name;
	json_t *value;
	json_object_foreach(json_at(saved, "data"), name, value) {
		datamodel_declare(dm, name);
		lua_rawgeti(L, LUA_REGISTRYINDEX, dm->env_ref);
		lua_pushstring(L, name);
		decode(loader, value);
		lua_rawset(L, -3);
		lua_pop(L, 1);
	}
	const json_t *empty = json_at(saved, "empty");
	for (size_t i = 0; i < json_array_size(empty); i++) {
		name = json_string_value(json_array_get(empty, i));
		if (!name)
			continue;
		datamodel_declare(dm, name);
		lua_rawgeti(L, LUA_REGISTRYINDEX, dm->env_ref);
		lua_pushstring(L, name);
		lua_pushnil(L);
		lua_rawset(L, -3);
		lua_pop(L, 1);
	}
}

static bool load_slot(void *ctx)
{
	struct loader *loader = ctx;
	const json_t *value = json_array_get(loader->slots, loader->slot++);
	if (!value) {
		loader->is_broken = true;
		return false;
	}
	lua_pop(loader->L, 1);
	decode(loader, value);
	return true;
}

int script_restore(struct datamodel *dm, const json_t *saved, struct err *err)
{
	lua_State *L = dm->script->L;
	struct loader loader = { .L = L,
		                 .dm = dm,
		                 .memo = 1,
		                 .tables = json_at(saved, "tables"),
		                 .slots = json_at(saved, "slots") };
	must(lua_gettop(L) == 0);
	dm->now_ms = json_int(saved, "now", 0);
	if (dm->code->chart->script_count > 0) {
		/* The scripts may read data; what they do to it is overwritten below. */
		lua_newtable(L);
		load_data(&loader, saved);
		lua_settop(L, 0);
		if (datamodel_load_scripts(dm, err) < 0)
			return err->code;
	}
	lua_newtable(L);
	load_data(&loader, saved);
	const json_t *event = json_at(saved, "event");
	if (event) {
		decode(&loader, event);
		datamodel_set_event_value(dm);
	}
	(void)walk_slots(dm, load_slot, &loader);
	lua_settop(L, 0);
	dm->rng = (uint64_t)json_int(saved, "rng", 0);
	dm->is_suspect = false;
	map_release(&dm->suspects);
	if (loader.is_broken || !json_is_object(json_at(saved, "data")) ||
	    loader.slot != json_array_size(loader.slots))
		return err_set(err, ERR_INPUT, "this is not the saved data of this chart");
	return 0;
}
