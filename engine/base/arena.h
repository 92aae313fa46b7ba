/* SPDX-License-Identifier: MIT */
/*
 * Memory by lifetime: allocate freely, free whole.  Cleanups registered with
 * arena_defer() run newest first when the arena is cleared or released, so an
 * arena can also carry JSON values and other counted things.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena_block;
struct arena_cleanup;

struct arena {
	struct arena_block *blocks;
	struct arena_cleanup *cleanups;
};

void arena_init(struct arena *arena);
void arena_clear(struct arena *arena);                /* runs the cleanups, keeps one block */
void arena_release(struct arena *arena);              /* runs the cleanups, frees all */
void *arena_alloc(struct arena *arena, size_t bytes); /* zeroed, aligned */
char *arena_dup(struct arena *arena, const char *bytes, size_t len); /* NUL behind it */
char *arena_dup_str(struct arena *arena, const char *text);          /* NULL gives NULL */
char *arena_format(struct arena *arena, const char *format, ...) ATTR_PRINTF(2, 3);
void arena_defer(struct arena *arena, void (*cleanup)(void *arg), void *arg);

#endif
