/* SPDX-License-Identifier: MIT */
/*
 * The box's own words, the same for graphs, rules and templates (docs/guide/
 * rules.md lists them): null, has, missing, dates, money, json, get, random, In.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/rand.h"
#include "script/script_int.h"

enum { DATE_BYTES = 10 };
static const int64_t day_ms = 86400000;

/* --- absent values ---------------------------------------------------- */

/* Empty, or nothing but blanks: people leave fields like this who mean that there is nothing. */
static bool is_blank(lua_State *L, int index)
{
	size_t len;
	const char *text = lua_tolstring(L, index, &len);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1])
		len--;
	return len == 0;
}

static bool is_missing(lua_State *L, int index)
{
	switch (lua_type(L, index)) {
	case LUA_TNONE:
	case LUA_TNIL: return true;
	case LUA_TLIGHTUSERDATA: return true; /* null */
	case LUA_TSTRING: return is_blank(L, index);
	}
	return false;
}

static int helper_has(lua_State *L)
{
	box_charge(L, 0);
	lua_pushboolean(L, !is_missing(L, 1));
	return 1;
}

static int helper_missing(lua_State *L)
{
	box_charge(L, 0);
	lua_pushboolean(L, is_missing(L, 1));
	return 1;
}

/* --- time ------------------------------------------------------------- */

static int helper_now(lua_State *L)
{
	box_charge(L, 0);
	box_of(L)->has_asked = true;
	lua_pushinteger(L, box_of(L)->host.now_ms);
	return 1;
}

static int helper_today(lua_State *L)
{
	box_charge(L, 0);
	char text[CLOCK_ISO_BYTES];
	box_of(L)->has_asked = true;
	clock_iso(box_of(L)->host.now_ms, text);
	lua_pushlstring(L, text, DATE_BYTES);
	return 1;
}

/* A date, a time, or milliseconds such as now() gives. */
static bool read_date(lua_State *L, int arg, int64_t *ret)
{
	if (lua_isinteger(L, arg)) {
		*ret = lua_tointeger(L, arg);
		return *ret > -(INT64_C(1) << 50) && *ret < INT64_C(1) << 50;
	}
	size_t len;
	const char *text = lua_type(L, arg) == LUA_TSTRING ? lua_tolstring(L, arg, &len) : NULL;
	if (!text || len >= CLOCK_ISO_BYTES || strlen(text) != len)
		return false;
	*ret = clock_parse_iso(text);
	return *ret != -1;
}

static int64_t check_date(lua_State *L, int arg, const char *function)
{
	int64_t ret;
	if (read_date(L, arg, &ret))
		return ret;
	const char *what = value_is_null(L, arg) ? "null" : luaL_typename(L, arg);
	if (lua_type(L, arg) == LUA_TSTRING)
		what = lua_pushfstring(L, "\"%s\"", lua_tostring(L, arg));
	return luaL_error(L, "%s: %s is not a date such as 2026-11-21 or 2026-11-21T05:22:00Z",
	                  function, what);
}

static int helper_is_date(lua_State *L)
{
	int64_t unused;
	box_charge(L, 0);
	lua_pushboolean(L, lua_type(L, 1) == LUA_TSTRING && read_date(L, 1, &unused));
	return 1;
}

static int64_t day_of(int64_t at_ms)
{
	return at_ms >= 0 ? at_ms / day_ms : -((day_ms - 1 - at_ms) / day_ms);
}

/* Calendar days in UTC: the time of day does not matter. */
static int helper_days_between(lua_State *L)
{
	box_charge(L, 64);
	int64_t from = check_date(L, 1, "days_between"), to = check_date(L, 2, "days_between");
	lua_pushinteger(L, day_of(to) - day_of(from));
	return 1;
}

static int helper_date_add(lua_State *L)
{
	box_charge(L, 64);
	int64_t at = check_date(L, 1, "date_add");
	lua_Integer days = luaL_checkinteger(L, 2);
	luaL_argcheck(L, days > -1000000 && days < 1000000, 2, "too many days");
	char text[CLOCK_ISO_BYTES];
	clock_iso(at + days * day_ms, text);
	bool is_date = lua_type(L, 1) == LUA_TSTRING && lua_rawlen(L, 1) == DATE_BYTES;
	lua_pushlstring(L, text, is_date ? DATE_BYTES : strlen(text));
	return 1;
}

/* --- numbers and text ------------------------------------------------- */

static bool read_number(lua_State *L, int arg, lua_Number *ret)
{
	int is_number = 0;
	*ret = lua_tonumberx(L, arg, &is_number);
	return is_number && isfinite(*ret);
}

static int helper_number(lua_State *L)
{
	box_charge(L, 0);
	size_t len = 0;
	const char *text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &len) : "";
	if (lua_type(L, 1) == LUA_TNUMBER)
		lua_settop(L, 1);
	else if (lua_stringtonumber(L, text) != len + 1 || len == 0)
		return lua_type(L, 1) == LUA_TSTRING
		               ? luaL_error(L, "number: \"%s\" is not a number", text)
		               : luaL_error(L, "number: a %s is not a number",
		                            value_is_null(L, 1) ? "null" : luaL_typename(L, 1));
	return 1;
}

/* Digits in groups of three: "1234567.50" gives "1,234,567.50". */
static size_t group_digits(const char *plain, char *ret)
{
	size_t used = 0, whole = strcspn(plain, "."), i = 0;
	if (plain[0] == '-')
		ret[used++] = plain[i++];
	for (; plain[i]; i++) {
		ret[used++] = plain[i];
		if (i + 1 < whole && (whole - i - 1) % 3 == 0)
			ret[used++] = ',';
	}
	return used;
}

static int helper_money(lua_State *L)
{
	box_charge(L, 64);
	lua_settop(L, 2);
	if (is_missing(L, 1)) {
		lua_pushliteral(L, "(missing)");
		return 1;
	}
	lua_Number amount;
	if (!read_number(L, 1, &amount) || fabs(amount) >= 1e15)
		return luaL_error(L, "money: the amount is not a number");
	char plain[64], grouped[96];
	if (lua_isinteger(L, 1))
		snprintf(plain, sizeof(plain), LUA_INTEGER_FMT ".00", lua_tointeger(L, 1));
	else
		snprintf(plain, sizeof(plain), "%.2f", amount);
	lua_pushlstring(L, grouped, group_digits(plain, grouped));
	if (!is_missing(L, 2)) {
		lua_pushliteral(L, " ");
		lua_pushstring(L, luaL_checkstring(L, 2));
		lua_concat(L, 3);
	}
	return 1;
}

static int helper_json(lua_State *L)
{
	luaL_checkany(L, 1);
	struct script *script = box_of(L);
	struct err err = { 0 };
	json_t *value = NULL;
	char *text = NULL;
	/* The engine's own work, which can hold memory because nothing raises in it. */
	script->is_guarded = false;
	int status = value_to_json(L, 1, "json", &value, &err);
	if (status == 0)
		text = value ? json_canon(value) : NULL;
	json_decref(value);
	size_t len = text ? strlen(text) : 4;
	if (len <= LIMIT_LUA_STRING_BYTES && status == 0)
		lua_pushlstring(L, text ? text : "null", len);
	free(text);
	script->is_guarded = true;
	box_charge(L, len * 8);
	if (status < 0)
		return luaL_error(L, "%s", err.text);
	if (len > LIMIT_LUA_STRING_BYTES)
		box_spend(L, SPENT_MEMORY);
	return 1;
}

/* --- tables ----------------------------------------------------------- */

static int helper_list(lua_State *L)
{
	box_charge(L, 0);
	lua_settop(L, 1);
	if (lua_isnil(L, 1)) {
		lua_newtable(L);
	} else {
		luaL_checktype(L, 1, LUA_TTABLE);
		if (value_contents(L, 1) != FROZEN_NONE)
			return luaL_error(L, "list: this table cannot be changed");
		lua_settop(L, 1);
	}
	value_mark_list(L, -1);
	return 1;
}

static int helper_count(lua_State *L)
{
	lua_Integer count = 0;
	if (!is_missing(L, 1)) {
		luaL_checktype(L, 1, LUA_TTABLE);
		(void)value_contents(L, 1);
		int contents = lua_gettop(L);
		for (lua_pushnil(L); lua_next(L, contents); lua_pop(L, 1))
			count++;
	}
	box_charge(L, (size_t)count * 8);
	lua_pushinteger(L, count);
	return 1;
}

static int helper_get(lua_State *L)
{
	size_t len;
	const char *path = luaL_checklstring(L, 2, &len);
	box_charge(L, len);
	if (!value_push_path(L, 1, path))
		return luaL_error(L, "get: the path \"%s\" is malformed", path);
	return 1;
}

/* --- chance and states ------------------------------------------------ */

static int helper_random(lua_State *L)
{
	box_charge(L, 0);
	uint64_t fixed = 0;
	struct script *script = box_of(L);
	script->has_asked = true;
	struct rand rand = rand_seeded(script->host.rng ? script->host.rng : &fixed);
	int args = lua_gettop(L);
	if (args == 0) {
		lua_pushnumber(L, (lua_Number)(rand_next(&rand) >> 11) * 0x1p-53);
		return 1;
	}
	lua_Integer low = args == 1 ? 1 : luaL_checkinteger(L, 1);
	lua_Integer high = luaL_checkinteger(L, args == 1 ? 1 : 2);
	luaL_argcheck(L, low <= high, args == 1 ? 1 : 2, "interval is empty");
	lua_Unsigned span = (lua_Unsigned)high - (lua_Unsigned)low + 1;
	lua_Unsigned offset = span == 0 ? rand_next(&rand) : rand_below(&rand, span);
	lua_pushinteger(L, (lua_Integer)((lua_Unsigned)low + offset));
	return 1;
}

static int helper_in(lua_State *L)
{
	box_charge(L, 0);
	const struct box_host *host = &box_of(L)->host;
	const char *state = luaL_checkstring(L, 1);
	if (!host->in)
		return luaL_error(L, "In() is for graphs: there are no states here");
	lua_pushboolean(L, host->in(host->ctx, state));
	return 1;
}

void box_open_helpers(struct script *script, int globals)
{
	static const luaL_Reg functions[] = {
		{ "In", helper_in },
		{ "count", helper_count },
		{ "date_add", helper_date_add },
		{ "days_between", helper_days_between },
		{ "get", helper_get },
		{ "has", helper_has },
		{ "is_date", helper_is_date },
		{ "json", helper_json },
		{ "list", helper_list },
		{ "missing", helper_missing },
		{ "money", helper_money },
		{ "now", helper_now },
		{ "number", helper_number },
		{ "random", helper_random },
		{ "today", helper_today },
		{ NULL, NULL },
	};
	lua_State *L = script->L;
	lua_pushvalue(L, globals);
	luaL_setfuncs(L, functions, 0);
	value_push_null(L);
	lua_setfield(L, -2, "null");
	lua_pop(L, 1);
}
