/* SPDX-License-Identifier: MIT */
/*
 * A growing array: struct { T *at; size_t len, size; } and two macros.
 * VEC(T) declares one; vec_add() gives room for one more item, zeroed.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

#define VEC(type)                 \
	struct {                  \
		type *at;         \
		size_t len, size; \
	}

void *vec_room(void *at, size_t len, size_t *size, size_t item_bytes);

/* A pointer to the new last item, zeroed.  Earlier pointers may be stale afterwards. */
#define vec_add(vec)                                                                    \
	((vec)->at = vec_room((vec)->at, (vec)->len, &(vec)->size, sizeof(*(vec)->at)), \
	 &(vec)->at[(vec)->len++])
#define vec_release(vec) (free((vec)->at), (vec)->at = NULL, (vec)->len = (vec)->size = 0)

#endif
