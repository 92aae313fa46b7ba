/* SPDX-License-Identifier: MIT */
#include "base/vec.h"

#include <string.h>

#include "base/mem.h"

void *vec_room(void *at, size_t len, size_t *size, size_t item_bytes)
{
	if (len == *size) {
		*size = *size ? *size * 2 : 8;
		at = mem_grow(at, *size, item_bytes);
	}
	memset((char *)at + len * item_bytes, 0, item_bytes);
	return at;
}
