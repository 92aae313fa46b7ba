/* SPDX-License-Identifier: MIT */
/*
 * Text that grows inside guarded code.  The bytes live in a Lua userdata at a
 * fixed stack index, so that an error on the way frees them, and every growth is
 * charged and bounded before it is made.
 */
#include <string.h>

#include "base/limits.h"
#include "script/script_int.h"

enum { FIRST_BYTES = 256 };

void out_init(struct out *out, lua_State *L)
{
	luaL_checkstack(L, 4, "too much work in one call");
	*out = (struct out){ .L = L, .size = FIRST_BYTES };
	out->bytes = lua_newuserdatauv(L, out->size, 0);
	out->index = lua_gettop(L);
}

char *out_room(struct out *out, size_t more)
{
	out->owed += more;
	if (out->owed >= 64) {
		box_charge(out->L, out->owed);
		out->owed = 0;
	}
	if (more > LIMIT_LUA_STRING_BYTES || out->len + more > LIMIT_LUA_STRING_BYTES)
		box_spend(out->L, SPENT_MEMORY);
	if (out->len + more > out->size) {
		size_t size = out->size;
		while (size < out->len + more)
			size *= 2;
		char *bytes = lua_newuserdatauv(out->L, size, 0);
		memcpy(bytes, out->bytes, out->len);
		lua_replace(out->L, out->index);
		out->bytes = bytes;
		out->size = size;
	}
	return out->bytes + out->len;
}

void out_add(struct out *out, const char *bytes, size_t len)
{
	char *room = out_room(out, len);
	if (len > 0)
		memcpy(room, bytes, len);
	out->len += len;
}

void out_push(struct out *out)
{
	lua_pushlstring(out->L, out->bytes, out->len);
}
