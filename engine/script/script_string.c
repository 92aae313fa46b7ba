/* SPDX-License-Identifier: MIT */
/*
 * The string library of the box, reachable as string.x and as ("..."):x().
 * Every function charges for the bytes it touches and refuses results beyond
 * LIMIT_LUA_STRING_BYTES before it makes them.  Letters are ASCII's, so that no
 * locale matters.
 */
#include <string.h>

#include "base/limits.h"
#include "script/script_int.h"

/* A position from the end or the start, as Lua counts: 1 is the first byte. */
static size_t from_position(lua_Integer position, size_t len)
{
	if (position > 0)
		return (size_t)position;
	if (position == 0)
		return 1;
	return position < -(lua_Integer)len ? 1 : len + (size_t)position + 1;
}

static size_t to_position(lua_Integer position, size_t len)
{
	if (position > (lua_Integer)len)
		return len;
	if (position >= 0)
		return (size_t)position;
	return position < -(lua_Integer)len ? 0 : len + (size_t)position + 1;
}

static int string_len(lua_State *L)
{
	size_t len;
	luaL_checklstring(L, 1, &len);
	box_charge(L, 0);
	lua_pushinteger(L, (lua_Integer)len);
	return 1;
}

static int string_sub(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	size_t first = from_position(luaL_checkinteger(L, 2), len);
	size_t last = to_position(luaL_optinteger(L, 3, -1), len);
	size_t count = first <= last ? last - first + 1 : 0;
	box_charge(L, count);
	lua_pushlstring(L, count ? text + first - 1 : "", count);
	return 1;
}

static int string_byte(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	lua_Integer at = luaL_optinteger(L, 2, 1);
	size_t first = from_position(at, len);
	size_t last = to_position(luaL_optinteger(L, 3, at), len);
	if (first > last)
		return 0;
	box_charge(L, last - first + 1);
	if (last - first >= 100000 || !lua_checkstack(L, (int)(last - first + 1)))
		return luaL_error(L, "string slice too long");
	for (size_t i = first; i <= last; i++)
		lua_pushinteger(L, (unsigned char)text[i - 1]);
	return (int)(last - first + 1);
}

static int string_char(lua_State *L)
{
	int count = lua_gettop(L);
	struct out out;
	out_init(&out, L);
	char *room = out_room(&out, (size_t)count);
	for (int i = 1; i <= count; i++) {
		lua_Integer code = luaL_checkinteger(L, i);
		luaL_argcheck(L, code >= 0 && code <= 255, i, "value out of range");
		room[i - 1] = (char)code;
	}
	out.len = (size_t)count;
	out_push(&out);
	return 1;
}

static int string_rep(lua_State *L)
{
	size_t len, between_len = 0;
	const char *text = luaL_checklstring(L, 1, &len);
	lua_Integer count = luaL_checkinteger(L, 2);
	const char *between = luaL_optlstring(L, 3, "", &between_len);
	struct out out;
	out_init(&out, L);
	size_t item = len + between_len;
	if (count > 0 && item > 0) {
		/* Refused before anything is multiplied or made. */
		if ((lua_Unsigned)count > LIMIT_LUA_STRING_BYTES / item + 1)
			box_spend(L, SPENT_MEMORY);
		size_t total = (size_t)count * item - between_len;
		char *room = out_room(&out, total);
		for (size_t at = 0; at < total; at += item) {
			memcpy(room + at, text, len);
			if (at + item < total)
				memcpy(room + at + len, between, between_len);
		}
		out.len = total;
	}
	out_push(&out);
	return 1;
}

static int change_bytes(lua_State *L, char first, char last, int change)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct out out;
	out_init(&out, L);
	char *room = out_room(&out, len);
	for (size_t i = 0; i < len; i++) {
		bool is_inside = text[i] >= first && text[i] <= last;
		room[i] = (char)(is_inside ? text[i] + change : text[i]);
	}
	out.len = len;
	out_push(&out);
	return 1;
}

static int string_lower(lua_State *L)
{
	return change_bytes(L, 'A', 'Z', 'a' - 'A');
}

static int string_upper(lua_State *L)
{
	return change_bytes(L, 'a', 'z', 'A' - 'a');
}

static int string_reverse(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	struct out out;
	out_init(&out, L);
	char *room = out_room(&out, len);
	for (size_t i = 0; i < len; i++)
		room[i] = text[len - 1 - i];
	out.len = len;
	out_push(&out);
	return 1;
}

/* --- arithmetic on numerals: "10" + 1, as in Lua ---------------------- */

static bool push_number(lua_State *L, int index)
{
	if (lua_type(L, index) == LUA_TNUMBER) {
		lua_pushvalue(L, index);
		return true;
	}
	size_t len;
	const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
	return text && lua_stringtonumber(L, text) == len + 1;
}

/* Upvalue: the operation. */
static int string_arith(lua_State *L)
{
	int operation = (int)lua_tointeger(L, lua_upvalueindex(1));
	box_charge(L, 0);
	lua_settop(L, 2);
	for (int i = 1; i <= 2; i++)
		if (!push_number(L, i))
			return luaL_error(L, "attempt to perform arithmetic on a %s value",
			                  value_is_null(L, i) ? "null" : luaL_typename(L, i));
	if (operation == LUA_OPUNM)
		lua_pop(L, 1);
	lua_arith(L, operation);
	return 1;
}

static void set_metatable(lua_State *L, int methods)
{
	static const struct {
		const char *name;
		int operation;
	} operations[] = {
		{ "__add", LUA_OPADD },   { "__sub", LUA_OPSUB }, { "__mul", LUA_OPMUL },
		{ "__mod", LUA_OPMOD },   { "__pow", LUA_OPPOW }, { "__div", LUA_OPDIV },
		{ "__idiv", LUA_OPIDIV }, { "__unm", LUA_OPUNM },
	};
	lua_pushliteral(L, "");
	lua_newtable(L);
	lua_pushvalue(L, methods);
	lua_setfield(L, -2, "__index");
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		lua_pushinteger(L, operations[i].operation);
		lua_pushcclosure(L, string_arith, 1);
		lua_setfield(L, -2, operations[i].name);
	}
	lua_setmetatable(L, -2);
	lua_pop(L, 1);
}

void box_open_string(struct script *script, int globals)
{
	static const luaL_Reg functions[] = {
		{ "byte", string_byte },         { "char", string_char },
		{ "find", box_string_find },     { "format", box_string_format },
		{ "gmatch", box_string_gmatch }, { "gsub", box_string_gsub },
		{ "len", string_len },           { "lower", string_lower },
		{ "match", box_string_match },   { "rep", string_rep },
		{ "reverse", string_reverse },   { "sub", string_sub },
		{ "upper", string_upper },       { NULL, NULL },
	};
	box_library(script, globals, "string", functions);
	set_metatable(script->L, lua_gettop(script->L));
	lua_pop(script->L, 1);
}
