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

enum { TEXT_STEPS = 10000 }; /* for inline text: literals, not programs */

static bool is_system_name(const char *name)
{
	static const char *const names[] = { "_event", "_sessionid", "_name", "_ioprocessors", "_x" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

struct box_host datamodel_host(struct datamodel *dm)
{
	return (struct box_host){ .now_ms = dm->now_ms, .rng = &dm->rng, .in = dm->in, .ctx = dm->ctx };
}

static void push_ref(struct datamodel *dm, int ref)
{
	lua_rawgeti(dm->script->L, LUA_REGISTRYINDEX, ref);
}

/* --- declared names ------------------------------------------------------------ */

bool datamodel_is_declared(struct datamodel *dm, const char *name)
{
	lua_State *L = dm->script->L;
	push_ref(dm, dm->declared_ref);
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
	push_ref(dm, dm->system_ref);
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
	if (is_system_name(name) || datamodel_is_declared(dm, name))
		return;
	lua_State *L = dm->script->L;
	push_ref(dm, dm->declared_ref);
	lua_pushboolean(L, true);
	lua_setfield(L, -2, name);
	push_ref(dm, dm->system_ref); /* data goes before a function of the chart */
	lua_pushstring(L, name);
	lua_pushnil(L);
	lua_rawset(L, -3);
	lua_pop(L, 2);
	if (box_knows(name))
		hide_from_box(dm, name);
}

/* Pops the value. */
static void set_data(struct datamodel *dm, const char *name)
{
	lua_State *L = dm->script->L;
	push_ref(dm, dm->env_ref);
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
	bool may_write = lua_toboolean(L, -1) || (dm->is_loading && !is_system_name(name));
	lua_pop(L, 1);
	if (!may_write && is_system_name(name))
		return luaL_error(L, "'%s' is a system variable and cannot be written", name);
	if (!may_write)
		return luaL_error(L, "'%s' is not declared: there is no <data id=\"%s\"/>", name, name);
	lua_rawset(L, 1);
	return 0;
}

/* --- making a session ------------------------------------------------------------ */

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
	push_ref(dm, dm->script->globals_ref);
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
	push_ref(dm, dm->system_ref);
	lua_setfield(L, -2, "__index");
	push_ref(dm, dm->declared_ref);
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

static void dm_free(struct datamodel *dm)
{
	if (!dm)
		return;
	lua_State *L = dm->script->L;
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

/* --- evaluation --------------------------------------------------------------------- */

/* Pushes the chunk of expr, joined with this session's environment. */
static int push_chunk(struct datamodel *dm, const struct chart_expr *expr, enum chart_role role,
                      struct expr_code **ret, struct err *err)
{
	lua_State *L = dm->script->L;
	if (chart_code_push(dm->script, dm->code, expr, role, ret, err) < 0)
		return err->code;
	push_ref(dm, dm->holder_ref);
	lua_upvaluejoin(L, -2, 1, -1, 1);
	lua_pop(L, 1);
	return 0;
}

/* Code that may have changed data in a way that only a look at all of it can tell. */
static void note_writes(struct datamodel *dm, const struct expr_code *code)
{
	unsigned writes = dm->has_library ? SCAN_WRITES | SCAN_CALL : SCAN_WRITES;
	if (code->flags & writes)
		dm->is_suspect = true;
}

/* Calls the chunk below its nargs arguments. */
static int call(struct datamodel *dm, const struct chart_expr *expr, enum chart_role role,
                const struct expr_code *code, int nargs, int nresults, struct err *err)
{
	struct box_host host = datamodel_host(dm);
	note_writes(dm, code);
	int64_t steps = dm->script->limits.steps_max;
	if (box_call(dm->script, nargs, nresults, &host, steps) != LUA_OK)
		return chart_code_failed(dm->script, expr, role, err);
	return 0;
}

/* Pushes the value of expr. */
static int eval(struct datamodel *dm, const struct chart_expr *expr, struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, expr, ROLE_VALUE, &code, err) < 0)
		return err->code;
	return call(dm, expr, ROLE_VALUE, code, 0, 1, err);
}

/* err_wrap() with the place of expr, where there is one. */
static int wrap_place(struct err *err, const struct chart_expr *expr)
{
	return expr->at.line > 0 ? err_wrap(err, "line %u", expr->at.line) : err->code;
}

static int dm_eval_bool(struct datamodel *dm, const struct chart_expr *expr, bool *ret,
                        struct err *err)
{
	lua_State *L = dm->script->L;
	if (eval(dm, expr, err) < 0)
		return err->code;
	*ret = lua_toboolean(L, -1) && !value_is_null(L, -1);
	lua_pop(L, 1);
	return 0;
}

/* Pops the value. */
static int take_json(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
                     struct err *err)
{
	lua_State *L = dm->script->L;
	json_t *value = NULL;
	int status = value_to_json(L, -1, expr->text, &value, err);
	lua_pop(L, 1);
	if (status < 0)
		return wrap_place(err, expr);
	*ret = value;
	return 0;
}

static int dm_eval_json(struct datamodel *dm, const struct chart_expr *expr, json_t **ret,
                        struct err *err)
{
	return eval(dm, expr, err) < 0 ? err->code : take_json(dm, expr, ret, err);
}

static int dm_eval_string(struct datamodel *dm, const struct chart_expr *expr, char **ret,
                          struct err *err)
{
	lua_State *L = dm->script->L;
	if (eval(dm, expr, err) < 0)
		return err->code;
	struct str text = { 0 };
	if (lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER)
		text.ptr = lua_tolstring(L, -1, &text.len);
	if (!text.ptr)
		err_set(err, ERR_INPUT, "'%.80s' is a %s, not a string", expr->text,
		        value_is_null(L, -1) ? "null" : luaL_typename(L, -1));
	else if (memchr(text.ptr, '\0', text.len) || !str_is_utf8(text))
		err_set(err, ERR_INPUT, "'%.80s' is not valid UTF-8 text", expr->text);
	else
		*ret = mem_dup(text.ptr, text.len);
	lua_pop(L, 1);
	return err->code < 0 ? wrap_place(err, expr) : 0;
}

static int dm_script(struct datamodel *dm, const struct chart_expr *expr, struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, expr, ROLE_SCRIPT, &code, err) < 0)
		return err->code;
	return call(dm, expr, ROLE_SCRIPT, code, 0, 0, err);
}

/* --- inline text ------------------------------------------------------------------------ */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static json_t *normalise_space(const char *text)
{
	struct buf out;
	buf_init(&out, strlen(text) + 1);
	for (const char *p = text; *p;) {
		while (is_space(*p))
			p++;
		size_t len = 0;
		while (p[len] && !is_space(p[len]))
			len++;
		if (len > 0 && out.len > 0)
			buf_put(&out, " ");
		buf_put_len(&out, p, len);
		p += len;
	}
	json_t *ret = json_text(buf_str(&out));
	buf_release(&out);
	return ret;
}

/* The value of text in an empty environment; NULL when it has none. */
static json_t *value_of_text(struct script *script, struct str text)
{
	lua_State *L = script->L;
	unsigned flags;
	json_t *ret = NULL;
	struct err unused = { 0 };
	struct box_host nobody = { 0 };
	if (box_load(script, "return ", text, "=lua") == LUA_OK) {
		lua_newtable(L);
		lua_setupvalue(L, -2, 1);
		if (scan_expression(text, &flags, NULL, NULL) &&
		    box_call(script, 0, 1, &nobody, TEXT_STEPS) == LUA_OK &&
		    value_to_json(L, -1, "", &ret, &unused) < 0)
			ret = NULL;
	}
	lua_settop(L, 0);
	return ret;
}

static int dm_eval_text(struct datamodel *dm, uint32_t id, const char *text, bool is_xml,
                        json_t **ret, struct err *err)
{
	(void)err;
	must(id < dm->code->chart->expr_count && text);
	struct expr_code *code = &dm->code->exprs[id];
	if (!code->is_text_known) {
		code->text = is_xml ? json_text(str_of(text)) : value_of_text(dm->script, str_of(text));
		if (!code->text)
			code->text = normalise_space(text);
		code->is_text_known = true;
	}
	*ret = json_deep_copy(code->text);
	must(*ret);
	return 0;
}

/* --- locations --------------------------------------------------------------------------- */

static int check_base(struct datamodel *dm, const struct chart_expr *location,
                      const struct expr_code *code, bool is_write, struct err *err)
{
	bool is_system = is_system_name(code->base);
	if (is_system && !is_write)
		return 0;
	if (is_system)
		err_set(err, ERR_INPUT, "'%s' is a system variable and cannot be written", code->base);
	else if (!datamodel_is_declared(dm, code->base))
		err_set(err, ERR_INPUT, "'%s' is not declared: there is no <data id=\"%s\"/>", code->base,
		        code->base);
	return err->code < 0 ? wrap_place(err, location) : 0;
}

static int dm_eval_location(struct datamodel *dm, const struct chart_expr *location, json_t **ret,
                            struct err *err)
{
	struct expr_code *code;
	if (push_chunk(dm, location, ROLE_GET, &code, err) < 0)
		return err->code;
	if (check_base(dm, location, code, false, err) < 0) {
		lua_pop(dm->script->L, 1);
		return err->code;
	}
	if (call(dm, location, ROLE_GET, code, 0, 1, err) < 0)
		return err->code;
	return take_json(dm, location, ret, err);
}

/* Stores the value on top of the stack; pops it. */
static int store(struct datamodel *dm, const struct chart_expr *location, struct err *err)
{
	lua_State *L = dm->script->L;
	struct expr_code *code;
	if (push_chunk(dm, location, ROLE_SET, &code, err) < 0) {
		lua_pop(L, 1);
		return err->code;
	}
	if (check_base(dm, location, code, true, err) < 0) {
		lua_pop(L, 2);
		return err->code;
	}
	if (value_check(L, -2, location->text, err) < 0) {
		lua_pop(L, 2);
		return wrap_place(err, location);
	}
	if (code->is_plain) {
		lua_pop(L, 1);
		set_data(dm, code->base);
		return 0;
	}
	map_set(&dm->suspects, code->base, dm);
	lua_insert(L, -2);
	return call(dm, location, ROLE_SET, code, 1, 0, err);
}

static int dm_assign(struct datamodel *dm, const struct chart_expr *location,
                     const struct chart_expr *expr, struct err *err)
{
	return eval(dm, expr, err) < 0 ? err->code : store(dm, location, err);
}

static int dm_assign_json(struct datamodel *dm, const struct chart_expr *location,
                          const json_t *value, struct err *err)
{
	value_push_json(dm->script->L, value);
	return store(dm, location, err);
}

static int dm_assign_text(struct datamodel *dm, const struct chart_expr *location, uint32_t id,
                          const char *text, bool is_xml, struct err *err)
{
	json_t *value;
	if (dm_eval_text(dm, id, text, is_xml, &value, err) < 0)
		return err->code;
	int status = dm_assign_json(dm, location, value, err);
	json_decref(value);
	return status;
}

/* --- <data> and the document-level script ---------------------------------------------------- */

static int dm_init_data(struct datamodel *dm, const struct chart_data *data, const json_t *value,
                        struct err *err)
{
	lua_State *L = dm->script->L;
	datamodel_declare(dm, data->id);
	if (is_system_name(data->id))
		return err_set(err, ERR_INPUT, "'%s' is a system variable and cannot be data", data->id);
	json_t *made = NULL;
	if (value) {
		value_push_json(L, value);
	} else if (data->expr.text) {
		if (eval(dm, &data->expr, err) < 0)
			return err->code;
		if (value_check(L, -1, data->id, err) < 0) {
			lua_pop(L, 1);
			return wrap_place(err, &data->expr);
		}
	} else if (data->text) {
		if (dm_eval_text(dm, data->text_id, data->text, data->is_xml, &made, err) < 0)
			return err->code;
		value_push_json(L, made);
		json_decref(made);
	} else {
		lua_pushnil(L);
	}
	set_data(dm, data->id);
	return 0;
}

/* What the script made: JSON values become data, the rest (functions) belongs to the chart. */
static void sort_out_globals(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	push_ref(dm, dm->env_ref);
	push_ref(dm, dm->system_ref);
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
	int status = dm_script(dm, expr, err);
	dm->is_loading = false;
	sort_out_globals(dm);
	dm->is_suspect = true;
	long slots = script_count_slots(dm);
	dm->slots = slots < 0 ? 0 : (size_t)slots;
	if (status == 0 && slots < 0)
		return err_set_id(err, ERR_BLOCKED, "script.state",
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

/* --- events ------------------------------------------------------------------------------------ */

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
	push_ref(dm, dm->system_ref);
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
	lua_State *L = dm->script->L;
	if (!event) {
		lua_pushnil(L);
		datamodel_set_event_value(dm);
		return;
	}
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
}

/* --- foreach ------------------------------------------------------------------------------------- */

struct iterator {
	int list_ref;
	lua_Integer at, count;
	char *item, *index; /* plain names, or NULL */
	const struct chart_expr *item_location, *index_location;
};

/* A plain name is declared when it is not yet; any other location must have a declared base. */
static int prepare_target(struct datamodel *dm, const struct chart_expr *target, char **name,
                          struct err *err)
{
	struct str base, text = str_of(target->text);
	bool is_plain;
	if (!scan_location(text, &base, &is_plain))
		return err_set(err, ERR_INPUT, "'%.80s' is not a name that foreach can set", target->text);
	char *base_name = mem_dup(base.ptr, base.len);
	int status = 0;
	if (is_system_name(base_name))
		status = err_set(err, ERR_INPUT, "'%s' is a system variable and cannot be written",
		                 base_name);
	else if (is_plain)
		datamodel_declare(dm, base_name);
	else if (!datamodel_is_declared(dm, base_name))
		status = err_set(err, ERR_INPUT, "'%s' is not declared", base_name);
	if (status == 0 && is_plain)
		*name = base_name;
	else
		free(base_name);
	return status;
}

static void iterator_free(struct datamodel *dm, struct iterator *iterator)
{
	luaL_unref(dm->script->L, LUA_REGISTRYINDEX, iterator->list_ref);
	free(iterator->item);
	free(iterator->index);
	free(iterator);
}

/* Pops the array; a copy of its elements goes to the iterator. */
static int take_list(struct datamodel *dm, const struct chart_expr *array,
                     struct iterator *iterator, struct err *err)
{
	lua_State *L = dm->script->L;
	int status = 0;
	if (!lua_istable(L, -1))
		status = err_set(err, ERR_INPUT, "'%.80s' is a %s, not a list", array->text,
		                 value_is_null(L, -1) ? "null" : luaL_typename(L, -1));
	else
		status = value_check(L, -1, array->text, err);
	if (status < 0) {
		lua_pop(L, 1);
		return wrap_place(err, array);
	}
	(void)value_contents(L, -1);
	struct value_keys keys = { 0 };
	value_keys_read(L, -1, &keys);
	if (!keys.is_list)
		status = err_set(err, ERR_INPUT, "'%.80s' is an object, not a list", array->text);
	iterator->count = (lua_Integer)keys.len;
	vec_release(&keys);
	lua_createtable(L, (int)iterator->count, 0);
	for (lua_Integer i = 1; i <= iterator->count && status == 0; i++) {
		lua_rawgeti(L, -2, i);
		lua_rawseti(L, -2, i);
	}
	iterator->list_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 2);
	return status < 0 ? wrap_place(err, array) : 0;
}

static int dm_foreach_begin(struct datamodel *dm, const struct chart_expr *array,
                            const struct chart_expr *item, const struct chart_expr *index,
                            void **ret, struct err *err)
{
	if (eval(dm, array, err) < 0)
		return err->code;
	struct iterator *iterator = mem_alloc(sizeof(*iterator));
	iterator->list_ref = LUA_NOREF;
	iterator->item_location = item;
	iterator->index_location = index && index->text ? index : NULL;
	int status = take_list(dm, array, iterator, err);
	if (status == 0)
		status = prepare_target(dm, item, &iterator->item, err);
	if (status == 0 && iterator->index_location)
		status = prepare_target(dm, index, &iterator->index, err);
	if (status < 0) {
		iterator_free(dm, iterator);
		return status;
	}
	*ret = iterator;
	return 0;
}

static int dm_foreach_next(struct datamodel *dm, void *opaque, bool *more, struct err *err)
{
	struct iterator *iterator = opaque;
	lua_State *L = dm->script->L;
	*more = iterator->at < iterator->count;
	if (!*more)
		return 0;
	iterator->at++;
	push_ref(dm, iterator->list_ref);
	lua_rawgeti(L, -1, iterator->at);
	lua_remove(L, -2);
	if (iterator->item)
		set_data(dm, iterator->item);
	else if (store(dm, iterator->item_location, err) < 0)
		return err->code;
	if (!iterator->index_location)
		return 0;
	lua_pushinteger(L, iterator->at);
	if (!iterator->index)
		return store(dm, iterator->index_location, err);
	set_data(dm, iterator->index);
	return 0;
}

static void dm_foreach_end(struct datamodel *dm, void *iter)
{
	iterator_free(dm, iter);
}

/* --- what is kept ----------------------------------------------------------------------------------- */

/* Pushes declared names in order as a list; answers how many. */
static lua_Integer push_names(struct datamodel *dm)
{
	lua_State *L = dm->script->L;
	push_ref(dm, dm->declared_ref);
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
	push_ref(dm, dm->env_ref);
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
			return err_set_id(err, ERR_BLOCKED, "script.state",
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
	push_ref(dm, dm->env_ref);
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
	.init_data = dm_init_data,
	.set_event = dm_set_event,
	.eval_bool = dm_eval_bool,
	.eval_json = dm_eval_json,
	.eval_string = dm_eval_string,
	.eval_text = dm_eval_text,
	.eval_location = dm_eval_location,
	.assign = dm_assign,
	.assign_text = dm_assign_text,
	.assign_json = dm_assign_json,
	.script = dm_script,
	.foreach_begin = dm_foreach_begin,
	.foreach_next = dm_foreach_next,
	.foreach_end = dm_foreach_end,
	.check = dm_check,
	.snapshot = dm_snapshot,
	.save = script_save,
	.restore = script_restore,
	.render = script_render,
};
