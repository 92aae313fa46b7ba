/* SPDX-License-Identifier: MIT */
/*
 * The Lua data model (DESIGN.md 3): fills machine/datamodel.h.
 *
 * A session is one table, env, the _ENV of all its chunks.  env holds nothing
 * but declared data; what a name means that is no data is looked up behind it:
 *
 *	env (data) -> system (_event, _name, ..., functions of the chart) -> the box
 *
 * Writing a name that env does not hold goes through one function, which lets
 * declared names pass and raises for all others.  So system variables and the
 * box cannot be overwritten, and undeclared names read as nil.
 *
 * Everything in env is JSON-shaped.  Values are checked when they are assigned
 * to a name; what a script or an assignment into a table may have done is
 * checked by check().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "script/script_int.h"

bool datamodel_is_system(const char *name)
{
	static const char *const names[] = { "_event", "_sessionid", "_name", "_ioprocessors",
		                             "_x" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

struct box_host datamodel_host(struct datamodel *dm)
{
	return (struct box_host){
		.now_ms = dm->now_ms, .rng = &dm->rng, .in = dm->in, .ctx = dm->ctx
	};
}

void datamodel_push_ref(struct datamodel *dm, int ref)
{
	lua_rawgeti(dm->script->L, LUA_REGISTRYINDEX, ref);
}

/* --- declared names --------------------------------------------------- */

bool datamodel_is_declared(struct datamodel *dm, const char *name)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->declared_ref);
	lua_pushstring(L, name);
	lua_rawget(L, -2);
	bool ret = lua_toboolean(L, -1);
	lua_pop(L, 2);
	return ret;
}

/*
 * A declared name without a value must read as nil although the box has a
 * function of that name: the session then gets a copy of the box without it.
 */
static void hide_from_box(struct datamodel *dm, const char *name)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->system_ref);
	lua_getmetatable(L, -1);
	lua_getfield(L, -1, "__index");
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, -3);) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -4);
	}
	lua_pushnil(L);
	lua_setfield(L, -2, name);
	lua_newtable(L);
	lua_insert(L, -2);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -4);
	lua_pop(L, 3);
}

void datamodel_declare(struct datamodel *dm, const char *name)
{
	if (datamodel_is_system(name) || datamodel_is_declared(dm, name))
		return;
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->declared_ref);
	lua_pushboolean(L, true);
	lua_setfield(L, -2, name);
	datamodel_push_ref(dm, dm->system_ref); /* data goes before a function of the chart */
	lua_pushstring(L, name);
	lua_pushnil(L);
	lua_rawset(L, -3);
	lua_pop(L, 2);
	if (box_knows(name))
		hide_from_box(dm, name);
}

/* Pops the value. */
void datamodel_set(struct datamodel *dm, const char *name)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->env_ref);
	lua_pushstring(L, name);
	lua_pushvalue(L, -3);
	lua_rawset(L, -3);
	lua_pop(L, 2);
}

/* __newindex of env: a name that has no value yet.  Upvalues: declared, dm. */
static int write_name(lua_State *L)
{
	box_charge(L, 0);
	const struct datamodel *dm = lua_touserdata(L, lua_upvalueindex(2));
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
	lua_pushvalue(L, 2);
	lua_rawget(L, lua_upvalueindex(1));
	bool may_write = lua_toboolean(L, -1) || (dm->is_loading && !datamodel_is_system(name));
	lua_pop(L, 1);
	if (!may_write && datamodel_is_system(name))
		return luaL_error(L, "'%s' is a system variable and cannot be written", name);
	if (!may_write)
		return luaL_error(L, "'%s' is not declared: there is no <data id=\"%s\"/>", name,
		                  name);
	lua_rawset(L, 1);
	return 0;
}

/* --- making a session ------------------------------------------------- */

static void make_system(struct datamodel *dm, const struct datamodel_setup *setup)
{
	lua_State *L = dm->script->L;
	lua_newtable(L);
	lua_pushstring(L, setup->session_id);
	lua_setfield(L, -2, "_sessionid");
	lua_pushstring(L, setup->name);
	lua_setfield(L, -2, "_name");
	value_push_json(L, setup->ioprocessors);
	if (!lua_istable(L, -1)) {
		lua_pop(L, 1);
		lua_newtable(L);
	}
	/* The processors inside are frozen too, so that no location can be bent. */
	for (lua_pushnil(L); lua_next(L, -2);) {
		if (!lua_istable(L, -1)) {
			lua_pop(L, 1);
			continue;
		}
		value_freeze(L, FROZEN_IO);
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -4);
	}
	value_freeze(L, FROZEN_IO);
	lua_setfield(L, -2, "_ioprocessors");
	lua_newtable(L);
	datamodel_push_ref(dm, dm->script->globals_ref);
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, -2);
	dm->system_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static void make_env(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	lua_newtable(L);
	dm->declared_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	lua_createtable(L, 0, 2);
	datamodel_push_ref(dm, dm->system_ref);
	lua_setfield(L, -2, "__index");
	datamodel_push_ref(dm, dm->declared_ref);
	lua_pushlightuserdata(L, dm);
	lua_pushcclosure(L, write_name, 2);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
	must(luaL_loadstring(L, "return _ENV") == LUA_OK);
	lua_pushvalue(L, -2);
	lua_setupvalue(L, -2, 1);
	dm->holder_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	dm->env_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static int dm_create(void *factory, const struct datamodel_setup *setup, struct datamodel **ret,
                     struct err *err)
{
	(void)err;
	struct datamodel *dm = mem_alloc(sizeof(*dm));
	dm->script = factory;
	dm->code = chart_code_get(dm->script, setup->chart);
	dm->rng = setup->seed;
	dm->in = setup->in;
	dm->ctx = setup->ctx;
	map_init(&dm->suspects);
	make_system(dm, setup);
	make_env(dm);
	must(lua_gettop(dm->script->L) == 0);
	*ret = dm;
	return 0;
}

static void forget_event(struct datamodel *dm)
{
	if (dm->has_event)
		event_release(&dm->event);
	dm->has_event = false;
}

static void dm_free(struct datamodel *dm)
{
	if (!dm)
		return;
	lua_State *L = dm->script->L;
	forget_event(dm);
	/* Chunks that ran last for this session still share its _ENV: let go of the data. */
	datamodel_push_ref(dm, dm->holder_ref);
	lua_pushnil(L);
	lua_setupvalue(L, -2, 1);
	lua_pop(L, 1);
	luaL_unref(L, LUA_REGISTRYINDEX, dm->env_ref);
	luaL_unref(L, LUA_REGISTRYINDEX, dm->system_ref);
	luaL_unref(L, LUA_REGISTRYINDEX, dm->declared_ref);
	luaL_unref(L, LUA_REGISTRYINDEX, dm->holder_ref);
	chart_code_put(dm->script, dm->code);
	map_release(&dm->suspects);
	free(dm);
}

static void dm_set_now(struct datamodel *dm, int64_t now_ms)
{
	if (now_ms > dm->now_ms)
		dm->now_ms = now_ms;
}

/* --- the document-level script ---------------------------------------- */

/* What the script made: JSON values become data, the rest (functions) belongs to the chart. */
static void sort_out_globals(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->env_ref);
	datamodel_push_ref(dm, dm->system_ref);
	struct value_keys keys = { 0 };
	value_keys_read(L, -2, &keys);
	for (size_t i = 0; i < keys.len; i++) {
		const char *name = keys.at[i].text;
		if (!name || datamodel_is_declared(dm, name))
			continue;
		struct err unused = { 0 };
		lua_getfield(L, -2, name);
		if (value_check(L, -1, name, &unused) == 0) {
			datamodel_declare(dm, name);
			lua_pop(L, 1);
			continue;
		}
		if (lua_istable(L, -1))
			value_freeze(L, FROZEN_LIBRARY);
		lua_pushstring(L, name); /* keeps name alive while it moves */
		lua_insert(L, -2);
		lua_rawset(L, -3);
		lua_pushstring(L, name);
		lua_pushnil(L);
		lua_rawset(L, -4);
		dm->has_library = true;
	}
	vec_release(&keys);
	lua_pop(L, 2);
}

static int dm_load_script(struct datamodel *dm, const struct chart_expr *expr, struct err *err)
{
	dm->is_loading = true;
	int status = datamodel_script(dm, expr, err);
	dm->is_loading = false;
	sort_out_globals(dm);
	dm->is_suspect = true;
	long slots = script_count_slots(dm);
	dm->slots = slots < 0 ? 0 : (size_t)slots;
	if (status == 0 && slots < 0)
		return err_set_id(
			err, ERR_BLOCKED, "script.state",
			"a function of the document's script keeps a value that cannot be saved");
	return status;
}

int datamodel_load_scripts(struct datamodel *dm, struct err *err)
{
	const struct chart *chart = dm->code->chart;
	for (size_t i = 0; i < chart->script_count; i++) {
		const struct chart_block *block = &chart->scripts[i];
		for (size_t j = 0; j < block->count; j++) {
			struct err own = { 0 };
			if (block->ops[j].kind != OP_SCRIPT || !block->ops[j].script.code.text)
				continue;
			int status = dm_load_script(dm, &block->ops[j].script.code, &own);
			/* What failed when the run started fails now too, and did no more then. */
			if (status < 0 && own.code == ERR_BLOCKED)
				return err_set_id(err, own.code, own.id, "%s", own.text);
		}
	}
	return 0;
}

/* --- events ----------------------------------------------------------- */

static void set_text(lua_State *L, const char *field, const char *text)
{
	if (!text)
		return;
	lua_pushstring(L, text);
	lua_setfield(L, -2, field);
}

void datamodel_set_event_value(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->system_ref);
	lua_insert(L, -2);
	lua_setfield(L, -2, "_event");
	lua_pop(L, 1);
}

static const char *event_type_name(enum event_type type)
{
	switch (type) {
	case EVENT_PLATFORM: return "platform";
	case EVENT_INTERNAL: return "internal";
	case EVENT_EXTERNAL: return "external";
	}
	must_not_reach();
}

static void dm_set_event(struct datamodel *dm, const struct event *event)
{
	forget_event(dm);
	if (event) {
		event_copy(&dm->event, event);
		dm->has_event = true;
		return;
	}
	lua_pushnil(dm->script->L);
	datamodel_set_event_value(dm);
}

void datamodel_make_event(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	const struct event *event = &dm->event;
	if (!dm->has_event)
		return;
	lua_createtable(L, 0, 8);
	set_text(L, "name", event->name);
	set_text(L, "type", event_type_name(event->type));
	set_text(L, "sendid", event->sendid);
	set_text(L, "origin", event->origin);
	set_text(L, "origintype", event->origintype);
	set_text(L, "invokeid", event->invokeid);
	set_text(L, "raw", event->raw);
	if (event->data) {
		value_push_json(L, event->data);
		lua_setfield(L, -2, "data");
	}
	value_freeze(L, FROZEN_EVENT);
	datamodel_set_event_value(dm);
	forget_event(dm);
}

/* --- what is kept ----------------------------------------------------- */

/* Pushes declared names in order as a list; answers how many. */
static lua_Integer push_names(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->declared_ref);
	struct value_keys keys = { 0 };
	value_keys_read(L, -1, &keys);
	value_keys_sort(&keys);
	lua_createtable(L, (int)keys.len, 0);
	for (size_t i = 0; i < keys.len; i++) {
		lua_pushlstring(L, keys.at[i].text, keys.at[i].len);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_Integer count = (lua_Integer)keys.len;
	vec_release(&keys);
	lua_remove(L, -2);
	return count;
}

/* Takes the value of a datum that is no JSON away. */
static void check_name(struct datamodel *dm, const char *name, struct err *err)
{
	lua_State *L = dm->script->L;
	datamodel_push_ref(dm, dm->env_ref);
	lua_pushstring(L, name);
	lua_rawget(L, -2);
	struct err own = { 0 };
	if (value_check(L, -1, name, &own) < 0) {
		err_set(err, ERR_INPUT, "%s", own.text); /* the first one is the one that is told */
		lua_pushstring(L, name);
		lua_pushnil(L);
		lua_rawset(L, -4);
	}
	lua_pop(L, 2);
}

static void check_all(struct datamodel *dm, struct err *err)
{
	lua_State *L = dm->script->L;
	lua_Integer count = push_names(dm);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(L, -1, i);
		check_name(dm, lua_tostring(L, -1), err);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

static int dm_check(struct datamodel *dm, struct err *err)
{
	if (!dm->is_suspect && dm->suspects.live == 0)
		return 0;
	if (!dm->is_suspect) {
		size_t cursor = 0;
		struct map_entry *entry;
		while ((entry = map_each(&dm->suspects, &cursor)))
			check_name(dm, entry->key, err);
		/* Other names may share the table that was found wanting. */
		dm->is_suspect = err->code < 0;
	}
	if (dm->is_suspect) {
		check_all(dm, err);
		if (dm->has_library && script_count_slots(dm) != (long)dm->slots)
			return err_set_id(
				err, ERR_BLOCKED, "script.state",
				"a function of the document's script keeps a value that cannot be "
				"saved (a new function, a table that is no JSON)");
	}
	dm->is_suspect = false;
	map_release(&dm->suspects);
	return err->code;
}

static json_t *dm_snapshot(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	json_t *ret = json_object();
	datamodel_push_ref(dm, dm->env_ref);
	lua_Integer count = push_names(dm);
	for (lua_Integer i = 1; i <= count; i++) {
		struct err unused = { 0 };
		json_t *value = NULL;
		lua_rawgeti(L, -1, i);
		const char *name = lua_tostring(L, -1);
		lua_pushvalue(L, -1);
		lua_rawget(L, -4);
		if (value_to_json(L, -1, name, &value, &unused) == 0)
			json_put(ret, name, value);
		lua_pop(L, 2);
	}
	lua_pop(L, 2);
	return ret;
}

const struct datamodel_ops script_datamodel_ops = {
	.name = "lua",
	.create = dm_create,
	.free = dm_free,
	.set_now = dm_set_now,
	.load_script = dm_load_script,
	.declare = datamodel_declare,
	.init_data = datamodel_init_data,
	.set_event = dm_set_event,
	.eval_bool = datamodel_eval_bool,
	.eval_json = datamodel_eval_json,
	.eval_string = datamodel_eval_string,
	.eval_text = datamodel_eval_text,
	.eval_location = datamodel_eval_location,
	.assign = datamodel_assign,
	.assign_text = datamodel_assign_text,
	.assign_json = datamodel_assign_json,
	.script = datamodel_script,
	.foreach_begin = datamodel_foreach_begin,
	.foreach_next = datamodel_foreach_next,
	.foreach_end = datamodel_foreach_end,
	.check = dm_check,
	.snapshot = dm_snapshot,
	.save = script_save,
	.restore = script_restore,
	.render = script_render,
};
