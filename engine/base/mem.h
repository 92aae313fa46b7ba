/* SPDX-License-Identifier: MIT */
/*
 * Allocation that cannot fail: out of memory stops the process (DESIGN 8).
 * Sizes that come from outside are refused by their limit before they get
 * here.  mem_install() puts the same rule under jansson; chart/ does it for
 * libxml2 and script/ for Lua host code.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/attr.h"

void *mem_alloc(size_t bytes);                              /* zeroed */
void *mem_grow(void *old, size_t count, size_t item_bytes); /* realloc, overflow-checked */
char *mem_dup(const char *bytes, size_t len);               /* copy with a NUL behind it */
char *mem_dup_str(const char *text);                        /* NULL gives NULL */
char *mem_format(const char *format, ...) ATTR_PRINTF(1, 2);
void mem_out(void) ATTR_NORETURN; /* says "out of memory" and stops */
/* Call once at the start of main, before the first JSON value is made. */
void mem_install(void);

#endif
