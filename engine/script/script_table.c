/* SPDX-License-Identifier: MIT */
/*
 * The table and utf8 libraries of the box.  Elements that are moved are
 * charged; sort is a stable merge sort over a copy, so that an order function
 * that contradicts itself, or changes the table, does no harm.
 */
#include <limits.h>
#include <string.h>

#include "base/limits.h"
#include "script/script_int.h"

/* Pushes the raw contents of the list at arg; answers its length. */
static lua_Integer read_list(lua_State *L, int arg)
{
	luaL_checktype(L, arg, LUA_TTABLE);
	(void)value_contents(L, arg);
	return (lua_Integer)lua_rawlen(L, -1);
}

static lua_Integer write_list(lua_State *L, int arg)
{
	luaL_checktype(L, arg, LUA_TTABLE);
	if (value_contents(L, arg) != FROZEN_NONE)
		luaL_argerror(L, arg, "this table cannot be changed");
	lua_pop(L, 1);
	return (lua_Integer)lua_rawlen(L, arg);
}

static int table_concat(lua_State *L)
{
	size_t between_len = 0;
	const char *between = luaL_optlstring(L, 2, "", &between_len);
	lua_settop(L, 4);
	lua_Integer len = read_list(L, 1);
	lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, len);
	struct out out;
	out_init(&out, L);
	for (lua_Integer i = first; i <= last; i++) {
		out.owed += 16; /* looking at an element costs too */
		int type = lua_rawgeti(L, 5, i);
		if (type != LUA_TSTRING && type != LUA_TNUMBER)
			return luaL_error(L,
			                  "invalid value (a %s) at index %I in table for 'concat'",
			                  value_is_null(L, -1) ? "null" : luaL_typename(L, -1), i);
		size_t item_len;
		const char *item = lua_tolstring(L, -1, &item_len);
		out_add(&out, item, item_len);
		lua_pop(L, 1);
		if (i == last)
			break; /* last may be the largest integer */
		out_add(&out, between, between_len);
	}
	out_push(&out);
	return 1;
}

static int table_insert(lua_State *L)
{
	lua_Integer len = write_list(L, 1), at = len + 1;
	if (lua_gettop(L) == 3) {
		at = luaL_checkinteger(L, 2);
		luaL_argcheck(L, at >= 1 && at <= len + 1, 2, "position out of bounds");
	} else if (lua_gettop(L) != 2) {
		return luaL_error(L, "wrong number of arguments to 'insert'");
	}
	box_charge(L, (size_t)(len + 1 - at) * 4);
	for (lua_Integer i = len; i >= at; i--) {
		lua_rawgeti(L, 1, i);
		lua_rawseti(L, 1, i + 1);
	}
	lua_rawseti(L, 1, at);
	return 0;
}

static int table_remove(lua_State *L)
{
	lua_Integer len = write_list(L, 1), at = luaL_optinteger(L, 2, len);
	if (lua_gettop(L) > 1)
		luaL_argcheck(L, (at >= 1 && at <= len + 1) || (len == 0 && at == 0), 2,
		              "position out of bounds");
	box_charge(L, at < len ? (size_t)(len - at) * 4 : 0);
	lua_rawgeti(L, 1, at);
	for (; at < len; at++) {
		lua_rawgeti(L, 1, at + 1);
		lua_rawseti(L, 1, at);
	}
	if (at >= 1 && at == len) {
		lua_pushnil(L);
		lua_rawseti(L, 1, at);
	}
	return 1;
}

static int table_unpack(lua_State *L)
{
	lua_settop(L, 3);
	lua_Integer len = read_list(L, 1);
	lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_optinteger(L, 3, len);
	if (first > last)
		return 0;
	lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
	if (count >= 100000)
		return luaL_error(L, "too many results to unpack");
	box_charge(L, (size_t)count);
	luaL_checkstack(L, (int)count + 2, "too many results to unpack");
	for (lua_Unsigned i = 0; i <= count; i++)
		lua_rawgeti(L, 4, (lua_Integer)((lua_Unsigned)first + i));
	return (int)count + 1;
}

/* --- sort ------------------------------------------------------------- */

/* Stack: 1 the table, 2 the order function or nil, 3 a copy of the elements. */
enum { SORT_ORDER = 2, SORT_COPY = 3 };

static size_t text_len(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TSTRING ? lua_rawlen(L, index) : 0;
}

static bool is_less(lua_State *L, int32_t a, int32_t b)
{
	bool has_order = !lua_isnil(L, SORT_ORDER);
	if (has_order)
		lua_pushvalue(L, SORT_ORDER);
	lua_rawgeti(L, SORT_COPY, a);
	lua_rawgeti(L, SORT_COPY, b);
	bool ret;
	if (has_order) {
		box_charge(L, 0);
		lua_call(L, 2, 1);
		ret = lua_toboolean(L, -1);
		lua_pop(L, 1);
	} else {
		size_t x = text_len(L, -2), y = text_len(L, -1);
		box_charge(L, x < y ? x : y);
		ret = lua_compare(L, -2, -1, LUA_OPLT);
		lua_pop(L, 2);
	}
	return ret;
}

static void merge(lua_State *L, const int32_t *from, int32_t *to, int32_t start, int32_t middle,
                  int32_t end)
{
	int32_t left = start, right = middle;
	for (int32_t i = start; i < end; i++) {
		/* Equal elements stay in order: the right one goes first only when it is less. */
		bool takes_right = left >= middle ||
		                   (right < end && is_less(L, from[right], from[left]));
		to[i] = takes_right ? from[right++] : from[left++];
	}
}

static int32_t least(int32_t a, int32_t b)
{
	return a < b ? a : b;
}

static int table_sort(lua_State *L)
{
	lua_Integer len = write_list(L, 1);
	if (!lua_isnoneornil(L, 2))
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	luaL_argcheck(L, len < INT_MAX / 8, 1, "array too big");
	int32_t count = (int32_t)len;
	box_charge(L, (size_t)count);
	lua_createtable(L, count, 0);
	for (int32_t i = 1; i <= count; i++) {
		lua_rawgeti(L, 1, i);
		lua_rawseti(L, SORT_COPY, i);
	}
	size_t bytes = ((size_t)count + 1) * sizeof(int32_t);
	int32_t *from = lua_newuserdatauv(L, bytes, 0), *to = lua_newuserdatauv(L, bytes, 0);
	for (int32_t i = 0; i < count; i++)
		from[i] = i + 1;
	for (int32_t width = 1; width < count; width *= 2) {
		for (int32_t start = 0; start < count; start += 2 * width)
			merge(L, from, to, start, least(start + width, count),
			      least(start + 2 * width, count));
		int32_t *other = from;
		from = to;
		to = other;
	}
	for (int32_t i = 0; i < count; i++) {
		lua_rawgeti(L, SORT_COPY, from[i]);
		lua_rawseti(L, 1, i + 1);
	}
	return 0;
}

/* --- utf8 ------------------------------------------------------------- */

static size_t encode(lua_Integer code, char bytes[4])
{
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = len - 1; i > 0; i--, code >>= 6)
		bytes[i] = (char)(0x80 | (code & 0x3f));
	static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	bytes[0] = (char)(first[len] | code);
	return len;
}

static int utf8_char(lua_State *L)
{
	int count = lua_gettop(L);
	struct out out;
	out_init(&out, L);
	for (int i = 1; i <= count; i++) {
		lua_Integer code = luaL_checkinteger(L, i);
		luaL_argcheck(L, code >= 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff),
		              i, "value out of range");
		char bytes[4];
		size_t len = encode(code, bytes);
		out_add(&out, bytes, len);
	}
	out_push(&out);
	return 1;
}

/* Bytes of the sequence at the start of text, 0 when it is none; *code is its character. */
static size_t decode(struct str text, lua_Integer *code)
{
	unsigned char first = (unsigned char)text.ptr[0];
	size_t len = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (len > text.len || !str_is_utf8((struct str){ text.ptr, len }))
		return 0;
	*code = len == 1 ? first : first & (0x7f >> len);
	for (size_t i = 1; i < len; i++)
		*code = *code << 6 | (text.ptr[i] & 0x3f);
	return len;
}

static lua_Integer position(lua_State *L, int arg, lua_Integer fallback, size_t len)
{
	lua_Integer at = luaL_optinteger(L, arg, fallback);
	return at < 0 ? (lua_Integer)len + at + 1 : at;
}

static int utf8_len(lua_State *L)
{
	struct str text;
	text.ptr = luaL_checklstring(L, 1, &text.len);
	lua_Integer at = position(L, 2, 1, text.len), last = position(L, 3, -1, text.len),
		    count = 0;
	luaL_argcheck(L, at >= 1 && at <= (lua_Integer)text.len + 1, 2,
	              "initial position out of bounds");
	luaL_argcheck(L, last <= (lua_Integer)text.len, 3, "final position out of bounds");
	box_charge(L, text.len * 4);
	while (at <= last) {
		lua_Integer code;
		size_t len = decode((struct str){ text.ptr + at - 1, text.len - (size_t)at + 1 },
		                    &code);
		if (len == 0) {
			lua_pushnil(L);
			lua_pushinteger(L, at);
			return 2;
		}
		at += (lua_Integer)len;
		count++;
	}
	lua_pushinteger(L, count);
	return 1;
}

static int utf8_codepoint(lua_State *L)
{
	struct str text;
	text.ptr = luaL_checklstring(L, 1, &text.len);
	lua_Integer at = position(L, 2, 1, text.len), last = position(L, 3, at, text.len);
	luaL_argcheck(L, at >= 1, 2, "out of bounds");
	luaL_argcheck(L, last <= (lua_Integer)text.len, 3, "out of bounds");
	if (at > last)
		return 0;
	box_charge(L, (size_t)(last - at));
	luaL_argcheck(L, last - at < 100000, 3, "string slice too long");
	luaL_checkstack(L, (int)(last - at) + 2, "string slice too long");
	int count = 0;
	while (at <= last) {
		lua_Integer code;
		size_t len = decode((struct str){ text.ptr + at - 1, text.len - (size_t)at + 1 },
		                    &code);
		if (len == 0)
			return luaL_error(L, "invalid UTF-8 code");
		lua_pushinteger(L, code);
		at += (lua_Integer)len;
		count++;
	}
	return count;
}

void box_open_table(struct script *script, int globals)
{
	static const luaL_Reg functions[] = {
		{ "concat", table_concat }, { "insert", table_insert }, { "remove", table_remove },
		{ "sort", table_sort },     { "unpack", table_unpack }, { NULL, NULL },
	};
	static const luaL_Reg utf8[] = {
		{ "char", utf8_char },
		{ "codepoint", utf8_codepoint },
		{ "len", utf8_len },
		{ NULL, NULL },
	};
	box_library(script, globals, "table", functions);
	box_library(script, globals, "utf8", utf8);
	lua_pop(script->L, 2);
}
