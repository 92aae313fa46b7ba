/* SPDX-License-Identifier: MIT */
/*
 * The basic functions of the box.  What they differ in from Lua's: pairs goes
 * in sorted order, tostring shows no addresses, pcall does not catch the end of
 * a budget, and each charges for its work.
 */
#include <ctype.h>
#include <string.h>

#include "base/must.h"
#include "script/script_int.h"

/* --- errors ----------------------------------------------------------- */

static int base_error(lua_State *L)
{
	box_charge(L, 0);
	int level = (int)luaL_optinteger(L, 2, 1);
	lua_settop(L, 1);
	if (lua_type(L, 1) == LUA_TSTRING && level > 0) {
		luaL_where(L, level);
		lua_pushvalue(L, 1);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int base_assert(lua_State *L)
{
	box_charge(L, 0);
	luaL_checkany(L, 1);
	if (lua_toboolean(L, 1))
		return lua_gettop(L);
	if (lua_isnoneornil(L, 2))
		return luaL_error(L, "assertion failed!");
	lua_settop(L, 2);
	return lua_error(L);
}

/* Errors of a spent evaluation are thrown on: no script survives its budget. */
static int base_pcall(lua_State *L)
{
	box_charge(L, 0);
	luaL_checkany(L, 1);
	lua_pushboolean(L, true);
	lua_insert(L, 1);
	int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
	struct script *script = box_of(L);
	if (status == LUA_ERRMEM)
		box_spend(L, SPENT_MEMORY);
	if (script->spent != SPENT_NOTHING)
		box_spend(L, script->spent);
	if (status != LUA_OK) {
		lua_pushboolean(L, false);
		lua_insert(L, -2);
		return 2;
	}
	return lua_gettop(L);
}

/* --- kinds of values -------------------------------------------------- */

static int base_type(lua_State *L)
{
	box_charge(L, 0);
	luaL_checkany(L, 1);
	if (value_is_null(L, 1))
		lua_pushliteral(L, "null");
	else
		lua_pushstring(L, luaL_typename(L, 1));
	return 1;
}

void box_tostring(lua_State *L, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TSTRING: lua_pushvalue(L, index); return;
	case LUA_TNUMBER:
		lua_pushvalue(L, index);
		(void)lua_tostring(L, -1); /* converts the copy in place */
		return;
	case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false"); return;
	case LUA_TLIGHTUSERDATA: lua_pushliteral(L, "null"); return;
	}
	lua_pushstring(L, luaL_typename(L, index));
}

static int base_tostring(lua_State *L)
{
	box_charge(L, 0);
	luaL_checkany(L, 1);
	box_tostring(L, 1);
	return 1;
}

static int digit_value(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isalpha((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
}

/* Digits of a base other than 10, as Lua reads them: they wrap around. */
static bool read_in_base(struct str text, int base, lua_Integer *ret)
{
	size_t i = 0, last = text.len;
	while (i < last && isspace((unsigned char)text.ptr[i]))
		i++;
	while (last > i && isspace((unsigned char)text.ptr[last - 1]))
		last--;
	bool is_negative = i < last && text.ptr[i] == '-';
	i += is_negative;
	lua_Unsigned number = 0;
	if (i == last)
		return false;
	for (; i < last; i++) {
		int digit = digit_value(text.ptr[i]);
		if (digit >= base)
			return false;
		number = number * (lua_Unsigned)base + (lua_Unsigned)digit;
	}
	*ret = (lua_Integer)(is_negative ? 0u - number : number);
	return true;
}

static int base_tonumber(lua_State *L)
{
	struct str text = { 0 };
	if (lua_type(L, 1) == LUA_TSTRING)
		text.ptr = lua_tolstring(L, 1, &text.len);
	box_charge(L, text.len);
	if (lua_isnoneornil(L, 2)) {
		luaL_checkany(L, 1);
		if (lua_type(L, 1) == LUA_TNUMBER)
			lua_pushvalue(L, 1);
		else if (!text.ptr || lua_stringtonumber(L, text.ptr) != text.len + 1)
			lua_pushnil(L);
		return 1;
	}
	lua_Integer base = luaL_checkinteger(L, 2);
	luaL_checktype(L, 1, LUA_TSTRING);
	luaL_argcheck(L, base >= 2 && base <= 36, 2, "base out of range");
	lua_Integer number;
	if (read_in_base(text, (int)base, &number))
		lua_pushinteger(L, number);
	else
		lua_pushnil(L);
	return 1;
}

static int base_select(lua_State *L)
{
	int count = lua_gettop(L);
	box_charge(L, (size_t)count);
	if (lua_type(L, 1) == LUA_TSTRING && *lua_tostring(L, 1) == '#') {
		lua_pushinteger(L, count - 1);
		return 1;
	}
	lua_Integer at = luaL_checkinteger(L, 1);
	if (at < 0)
		at = count + at;
	else if (at > count)
		at = count;
	luaL_argcheck(L, at >= 1, 1, "index out of range");
	return count - (int)at;
}

/* --- going through tables --------------------------------------------- */

static int ipairs_next(lua_State *L)
{
	box_charge(L, 0);
	lua_Integer i = lua_tointeger(L, 2) + 1;
	lua_pushinteger(L, i);
	return lua_geti(L, 1, i) == LUA_TNIL ? 1 : 2;
}

static int base_ipairs(lua_State *L)
{
	box_charge(L, 0);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_pushcfunction(L, ipairs_next);
	lua_pushvalue(L, 1);
	lua_pushinteger(L, 0);
	return 3;
}

int value_push_sorted_keys(lua_State *L, int index)
{
	index = lua_absindex(L, index);
	size_t count = 0;
	for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
		count++;
	box_charge(L, count * 64);
	/* In a userdata, so that an error below frees it. */
	struct value_keys keys = { .size = count + 1 };
	keys.at = lua_newuserdatauv(L, (count + 1) * sizeof(*keys.at), 0);
	value_keys_read(L, index, &keys);
	if (keys.has_bad) {
		lua_pop(L, 1);
		return -1;
	}
	value_keys_sort(&keys);
	lua_createtable(L, (int)keys.len, 0);
	for (size_t i = 0; i < keys.len; i++) {
		if (keys.at[i].text)
			lua_pushlstring(L, keys.at[i].text, keys.at[i].len);
		else
			lua_pushinteger(L, keys.at[i].number);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_remove(L, -2);
	return 0;
}

/* Upvalues: the keys, the contents, how many keys were visited. */
static int pairs_next(lua_State *L)
{
	lua_Integer at = lua_tointeger(L, lua_upvalueindex(3));
	box_charge(L, 0);
	for (;;) {
		if (lua_rawgeti(L, lua_upvalueindex(1), ++at) == LUA_TNIL)
			return 1;
		lua_pushvalue(L, -1);
		if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL)
			break;
		lua_pop(L, 2); /* removed since */
		box_charge(L, 0);
	}
	lua_pushinteger(L, at);
	lua_replace(L, lua_upvalueindex(3));
	return 2;
}

static int base_pairs(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	(void)value_contents(L, 1);
	if (value_push_sorted_keys(L, 2) < 0)
		return luaL_error(
			L, "pairs: a key is neither a string nor a whole number, so there is "
			   "no order (rule.nondeterministic_key)");
	lua_insert(L, 2);
	lua_pushinteger(L, 0);
	lua_pushcclosure(L, pairs_next, 3);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

void box_open_base(struct script *script, int globals)
{
	static const luaL_Reg functions[] = {
		{ "assert", base_assert },     { "error", base_error },
		{ "ipairs", base_ipairs },     { "pairs", base_pairs },
		{ "pcall", base_pcall },       { "select", base_select },
		{ "tonumber", base_tonumber }, { "tostring", base_tostring },
		{ "type", base_type },         { NULL, NULL },
	};
	lua_pushvalue(script->L, globals);
	luaL_setfuncs(script->L, functions, 0);
	lua_pop(script->L, 1);
}

bool box_knows(const char *name)
{
	static const char *const names[] = {
		"In",       "_event",   "_ioprocessors", "_name",        "_sessionid", "_x",
		"assert",   "count",    "date_add",      "days_between", "error",      "get",
		"has",      "ipairs",   "is_date",       "json",         "list",       "math",
		"missing",  "money",    "now",           "null",         "number",     "pairs",
		"pcall",    "random",   "select",        "string",       "table",      "today",
		"tonumber", "tostring", "type",          "utf8",
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}
