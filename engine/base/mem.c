/* SPDX-License-Identifier: MIT */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/json.h"
#include "base/must.h"

void mem_out(void)
{
	static const char last_words[] = "gangway: out of memory: stopping; nothing is lost\n";
	ssize_t written = write(STDERR_FILENO, last_words, sizeof(last_words) - 1);
	(void)written; /* there is nobody left to tell */
	_exit(70);
}

void *mem_alloc(size_t bytes)
{
	void *ret = calloc(1, bytes ? bytes : 1);
	if (!ret)
		mem_out();
	return ret;
}

void *mem_grow(void *old, size_t count, size_t item_bytes)
{
	must(item_bytes > 0);
	if (count > SIZE_MAX / item_bytes)
		mem_out();
	void *ret = realloc(old, count ? count * item_bytes : 1);
	if (!ret)
		mem_out();
	return ret;
}

char *mem_dup(const char *bytes, size_t len)
{
	char *ret = mem_grow(NULL, len + 1, 1);
	if (len > 0)
		memcpy(ret, bytes, len);
	ret[len] = '\0';
	return ret;
}

char *mem_dup_str(const char *text)
{
	return text ? mem_dup(text, strlen(text)) : NULL;
}

char *mem_format(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	must(len >= 0);
	char *ret = mem_grow(NULL, (size_t)len + 1, 1);
	vsnprintf(ret, (size_t)len + 1, format, again);
	va_end(again);
	return ret;
}

static void *json_alloc(size_t bytes)
{
	void *ret = malloc(bytes ? bytes : 1);
	if (!ret)
		mem_out();
	return ret;
}

void mem_install(void)
{
	json_set_alloc_funcs(json_alloc, free);
	/*
	 * Nobody can prepare colliding keys (row 36).  The order of members is that of
	 * insertion, whatever the seed.
	 */
	size_t seed;
	crypto_random(&seed, sizeof(seed));
	json_object_seed(seed | 1);
}
