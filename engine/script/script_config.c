/* SPDX-License-Identifier: MIT */
/* A configuration file: Lua that returns one table, in the box, with no names but its own. */
#include "script/script_int.h"

int script_config(struct script *script, const char *name, struct str source, json_t **ret,
                  struct err *err)
{
	lua_State *L = script->L;
	const struct box_host host = { 0 };
	int top = lua_gettop(L);
	char text[256];
	int status = box_load(script, "", source, "=lua");
	if (status == LUA_OK) {
		lua_newtable(
			L); /* an empty environment: a misspelt name is nil, never a function */
		lua_setupvalue(L, -2, 1);
		status = box_call(script, 0, 1, &host, script->limits.steps_max);
	}
	if (status != LUA_OK) {
		if (!box_is_spent(script, err)) {
			int line = box_error_text(script, text, sizeof(text));
			err_set_id(err, ERR_INPUT, "config.lua", "%s:%d: %s", name, line, text);
		} else {
			err_wrap(err, "%s", name);
		}
		lua_settop(L, top);
		return err->code;
	}
	json_t *value = NULL;
	status = value_to_json(L, -1, "config", &value, err);
	lua_settop(L, top);
	if (status < 0)
		return err_wrap(err, "%s", name);
	if (!json_is_object(value)) {
		json_decref(value);
		err_set_id(err, ERR_INPUT, "config.table",
		           "%s: it does not return a table of settings", name);
		return err_hint(err, "write: return { store = \"...\", connections = { ... } }");
	}
	*ret = value;
	return 0;
}
