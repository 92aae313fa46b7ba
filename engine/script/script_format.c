/* SPDX-License-Identifier: MIT */
/*
 * string.format: d i c x X o e E f F g G s q %.  No %p (an address) and no %a;
 * widths and precisions have two digits at most, anything longer is an attempt
 * on memory and ends the evaluation (row 22).
 */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "script/script_int.h"

struct spec {
	char text[24]; /* as printf wants it, NUL-terminated */
	char kind;
};

enum { NUMBER_BYTES = 512 }; /* %99.99f of the largest double */

static const char *read_spec(lua_State *L, const char *at, struct spec *spec)
{
	size_t len = 0;
	spec->text[len++] = '%';
	while (*at && strchr("-+ #0", *at) && len < 6)
		spec->text[len++] = *at++;
	for (int part = 0; part < 2; part++) {
		if (part == 1) {
			if (*at != '.')
				break;
			spec->text[len++] = *at++;
		}
		for (int digits = 0; isdigit((unsigned char)*at); digits++) {
			if (digits == 2)
				box_spend(L, SPENT_MEMORY);
			spec->text[len++] = *at++;
		}
	}
	spec->text[len] = '\0';
	spec->kind = *at;
	return *at ? at + 1 : at;
}

static void add_integer(lua_State *L, struct out *out, struct spec *spec, int arg)
{
	lua_Integer number = luaL_checkinteger(L, arg);
	char *room = out_room(out, NUMBER_BYTES);
	size_t len = strlen(spec->text);
	snprintf(spec->text + len, sizeof(spec->text) - len, "ll%c", spec->kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	out->len += (size_t)snprintf(room, NUMBER_BYTES, spec->text, (long long)number);
#pragma GCC diagnostic pop
}

static void add_real(lua_State *L, struct out *out, struct spec *spec, int arg)
{
	lua_Number number = luaL_checknumber(L, arg);
	char *room = out_room(out, NUMBER_BYTES);
	size_t len = strlen(spec->text);
	snprintf(spec->text + len, sizeof(spec->text) - len, "%c", spec->kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	out->len += (size_t)snprintf(room, NUMBER_BYTES, spec->text, number);
#pragma GCC diagnostic pop
}

static void add_string(lua_State *L, struct out *out, const struct spec *spec, int arg)
{
	luaL_checkany(L, arg);
	box_tostring(L, arg);
	size_t len;
	const char *text = lua_tolstring(L, -1, &len);
	int width = 0, precision = -1;
	const char *digits = spec->text + 1;
	bool is_left = false;
	for (; *digits && strchr("-+ #0", *digits); digits++)
		is_left |= *digits == '-';
	for (; isdigit((unsigned char)*digits); digits++)
		width = width * 10 + (*digits - '0');
	if (*digits == '.')
		for (precision = 0, digits++; isdigit((unsigned char)*digits); digits++)
			precision = precision * 10 + (*digits - '0');
	if (precision >= 0 && len > (size_t)precision)
		len = (size_t)precision;
	size_t pad = len < (size_t)width ? (size_t)width - len : 0;
	if (is_left)
		out_add(out, text, len);
	char *room = out_room(out, pad);
	memset(room, ' ', pad);
	out->len += pad;
	if (!is_left)
		out_add(out, text, len);
	lua_pop(L, 1);
}

static void add_quoted_string(struct out *out, const char *text, size_t len)
{
	out_add(out, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c == '"' || c == '\\' || c == '\n') {
			out_add(out, "\\", 1);
			out_add(out, &text[i], 1);
		} else if (iscntrl(c)) {
			bool is_digit_next = i + 1 < len && isdigit((unsigned char)text[i + 1]);
			char escaped[8];
			int count = snprintf(escaped, sizeof(escaped),
			                     is_digit_next ? "\\%03d" : "\\%d", c);
			out_add(out, escaped, (size_t)count);
		} else {
			out_add(out, &text[i], 1);
		}
	}
	out_add(out, "\"", 1);
}

/* A real that stays one when it is read again. */
static size_t put_real(char *room, lua_Number number)
{
	int len = snprintf(room, 64, "%.17g", number);
	if (!strpbrk(room, ".e"))
		len += snprintf(room + len, 64 - (size_t)len, ".0");
	return (size_t)len;
}

static void add_quoted_number(lua_State *L, struct out *out, int arg)
{
	char *room = out_room(out, 64);
	lua_Number real = lua_tonumber(L, arg);
	if (lua_isinteger(L, arg))
		out->len += (size_t)snprintf(room, 64, LUA_INTEGER_FMT, lua_tointeger(L, arg));
	else if (isfinite(real))
		out->len += put_real(room, real);
	else
		luaL_argerror(L, arg, "no literal for this number");
}

static void add_quoted(lua_State *L, struct out *out, int arg)
{
	size_t len;
	const char *text;
	switch (lua_type(L, arg)) {
	case LUA_TSTRING:
		text = lua_tolstring(L, arg, &len);
		add_quoted_string(out, text, len);
		return;
	case LUA_TNUMBER: add_quoted_number(L, out, arg); return;
	case LUA_TNIL:
	case LUA_TBOOLEAN:
		text = lua_isnil(L, arg) ? "nil" : lua_toboolean(L, arg) ? "true" : "false";
		out_add(out, text, strlen(text));
		return;
	}
	luaL_argerror(L, arg, "value has no literal form");
}

static void add_value(lua_State *L, struct out *out, struct spec *spec, int arg)
{
	switch (spec->kind) {
	case 'd':
	case 'i':
	case 'x':
	case 'X':
	case 'o': add_integer(L, out, spec, arg); return;
	case 'e':
	case 'E':
	case 'f':
	case 'F':
	case 'g':
	case 'G': add_real(L, out, spec, arg); return;
	case 'c': {
		char byte = (char)luaL_checkinteger(L, arg);
		out_add(out, &byte, 1);
		return;
	}
	case 's': add_string(L, out, spec, arg); return;
	case 'q': add_quoted(L, out, arg); return;
	}
	luaL_error(L, "invalid conversion '%s%c' to 'format'", spec->text, spec->kind);
}

int box_string_format(lua_State *L)
{
	size_t len;
	const char *at = luaL_checklstring(L, 1, &len), *end = at + len;
	int arg = 1, top = lua_gettop(L);
	struct out out;
	out_init(&out, L);
	while (at < end) {
		const char *percent = memchr(at, '%', (size_t)(end - at));
		size_t plain = (size_t)((percent ? percent : end) - at);
		out_add(&out, at, plain);
		at += plain;
		if (!percent)
			break;
		if (at[1] == '%') {
			out_add(&out, "%", 1);
			at += 2;
			continue;
		}
		struct spec spec;
		at = read_spec(L, at + 1, &spec);
		if (++arg > top)
			return luaL_argerror(L, arg, "no value");
		add_value(L, &out, &spec, arg);
	}
	out_push(&out);
	return 1;
}
