/* SPDX-License-Identifier: MIT */
/*
 * The math library of the box: what is exact on every machine.  No random (the
 * box has its own, seeded), no transcendental functions (libraries differ).
 */
#include <math.h>

#include "script/script_int.h"

static int math_abs(lua_State *L)
{
	box_charge(L, 0);
	if (lua_isinteger(L, 1)) {
		lua_Integer number = lua_tointeger(L, 1);
		lua_pushinteger(L, number < 0 ? (lua_Integer)(0u - (lua_Unsigned)number) : number);
	} else {
		lua_pushnumber(L, fabs(luaL_checknumber(L, 1)));
	}
	return 1;
}

/* An integer when it fits. */
static int push_rounded(lua_State *L, lua_Number number)
{
	lua_Integer whole;
	if (lua_numbertointeger(number, &whole))
		lua_pushinteger(L, whole);
	else
		lua_pushnumber(L, number);
	return 1;
}

static int math_floor(lua_State *L)
{
	box_charge(L, 0);
	if (!lua_isinteger(L, 1))
		return push_rounded(L, floor(luaL_checknumber(L, 1)));
	lua_settop(L, 1);
	return 1;
}

static int math_ceil(lua_State *L)
{
	box_charge(L, 0);
	if (!lua_isinteger(L, 1))
		return push_rounded(L, ceil(luaL_checknumber(L, 1)));
	lua_settop(L, 1);
	return 1;
}

static int math_fmod(lua_State *L)
{
	box_charge(L, 0);
	if (!lua_isinteger(L, 1) || !lua_isinteger(L, 2)) {
		lua_pushnumber(L, fmod(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
		return 1;
	}
	lua_Integer divisor = lua_tointeger(L, 2);
	luaL_argcheck(L, divisor != 0, 2, "zero");
	lua_pushinteger(L, divisor == -1 ? 0 : lua_tointeger(L, 1) % divisor);
	return 1;
}

static int extreme(lua_State *L, bool is_max)
{
	int count = lua_gettop(L), best = 1;
	box_charge(L, (size_t)count);
	luaL_checknumber(L, 1);
	for (int i = 2; i <= count; i++) {
		luaL_checknumber(L, i);
		bool is_better = is_max ? lua_compare(L, best, i, LUA_OPLT)
		                        : lua_compare(L, i, best, LUA_OPLT);
		if (is_better)
			best = i;
	}
	lua_pushvalue(L, best);
	return 1;
}

static int math_max(lua_State *L)
{
	return extreme(L, true);
}

static int math_min(lua_State *L)
{
	return extreme(L, false);
}

static int math_tointeger(lua_State *L)
{
	box_charge(L, 0);
	luaL_checkany(L, 1);
	int is_whole = 0;
	lua_Integer number = lua_tointegerx(L, 1, &is_whole);
	if (is_whole)
		lua_pushinteger(L, number);
	else
		lua_pushnil(L);
	return 1;
}

static int math_type(lua_State *L)
{
	box_charge(L, 0);
	luaL_checkany(L, 1);
	if (lua_type(L, 1) != LUA_TNUMBER)
		lua_pushnil(L);
	else
		lua_pushstring(L, lua_isinteger(L, 1) ? "integer" : "float");
	return 1;
}

static int math_ult(lua_State *L)
{
	box_charge(L, 0);
	lua_pushboolean(L, (lua_Unsigned)luaL_checkinteger(L, 1) <
	                           (lua_Unsigned)luaL_checkinteger(L, 2));
	return 1;
}

void box_open_math(struct script *script, int globals)
{
	static const luaL_Reg functions[] = {
		{ "abs", math_abs },
		{ "ceil", math_ceil },
		{ "floor", math_floor },
		{ "fmod", math_fmod },
		{ "max", math_max },
		{ "min", math_min },
		{ "tointeger", math_tointeger },
		{ "type", math_type },
		{ "ult", math_ult },
		{ NULL, NULL },
	};
	lua_State *L = script->L;
	box_library(script, globals, "math", functions);
	lua_pushnumber(L, HUGE_VAL);
	lua_setfield(L, -2, "huge");
	lua_pushnumber(L, 3.141592653589793);
	lua_setfield(L, -2, "pi");
	lua_pushinteger(L, LUA_MAXINTEGER);
	lua_setfield(L, -2, "maxinteger");
	lua_pushinteger(L, LUA_MININTEGER);
	lua_setfield(L, -2, "mininteger");
	lua_pop(L, 1);
}
