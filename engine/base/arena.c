/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

/* The first block is small enough for the allocator's fast lists: most arenas need no other. */
enum { FIRST_BYTES = 960, BLOCK_BYTES = 4096 - 64 };

struct arena_block {
	struct arena_block *next;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

struct arena_cleanup {
	struct arena_cleanup *next;
	void (*run)(void *arg);
	void *arg;
};

void arena_init(struct arena *arena)
{
	*arena = (struct arena){ 0 };
}

static void run_cleanups(struct arena *arena)
{
	for (struct arena_cleanup *c = arena->cleanups; c; c = c->next)
		c->run(c->arg);
	arena->cleanups = NULL;
}

void arena_release(struct arena *arena)
{
	run_cleanups(arena);
	while (arena->blocks) {
		struct arena_block *block = arena->blocks;
		arena->blocks = block->next;
		free(block);
	}
}

void arena_clear(struct arena *arena)
{
	run_cleanups(arena);
	while (arena->blocks && arena->blocks->next) {
		struct arena_block *block = arena->blocks;
		arena->blocks = block->next;
		free(block);
	}
	if (arena->blocks)
		arena->blocks->used = 0;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
	size_t need = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	must(need >= bytes);
	struct arena_block *block = arena->blocks;
	if (!block || block->size - block->used < need) {
		size_t size = block ? BLOCK_BYTES : FIRST_BYTES;
		if (size < need)
			size = need;
		block = mem_grow(NULL, 1, sizeof(*block) + size);
		*block = (struct arena_block){ .next = arena->blocks, .size = size };
		arena->blocks = block;
	}
	void *ret = block->bytes + block->used;
	block->used += need;
	memset(ret, 0, need);
	return ret;
}

char *arena_dup(struct arena *arena, const char *bytes, size_t len)
{
	char *ret = arena_alloc(arena, len + 1);
	if (len > 0)
		memcpy(ret, bytes, len);
	return ret;
}

char *arena_dup_str(struct arena *arena, const char *text)
{
	return text ? arena_dup(arena, text, strlen(text)) : NULL;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	must(len >= 0);
	char *ret = arena_alloc(arena, (size_t)len + 1);
	vsnprintf(ret, (size_t)len + 1, format, again);
	va_end(again);
	return ret;
}

void arena_defer(struct arena *arena, void (*cleanup)(void *arg), void *arg)
{
	struct arena_cleanup *c = arena_alloc(arena, sizeof(*c));
	*c = (struct arena_cleanup){ .next = arena->cleanups, .run = cleanup, .arg = arg };
	arena->cleanups = c;
}
