/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

void buf_init(struct buf *buf, size_t max_bytes)
{
	must(max_bytes < SIZE_MAX / 4);
	*buf = (struct buf){ .max = max_bytes };
}

void buf_release(struct buf *buf)
{
	free(buf->bytes);
	*buf = (struct buf){ .max = buf->max };
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->bytes)
		buf->bytes[0] = '\0';
}

void buf_reserve(struct buf *buf, size_t more)
{
	size_t need = buf->len + more + 1;
	if (need <= buf->size)
		return;
	size_t size = buf->size ? buf->size : 64;
	while (size < need)
		size *= 2;
	buf->bytes = mem_grow(buf->bytes, size, 1);
	buf->size = size;
}

int buf_add(struct buf *buf, const void *bytes, size_t len, struct err *err)
{
	if (len > buf->max - buf->len)
		return err_set(err, ERR_LIMIT, "more than %zu bytes", buf->max);
	buf_reserve(buf, len);
	if (len > 0)
		memcpy(buf->bytes + buf->len, bytes, len);
	buf->len += len;
	buf->bytes[buf->len] = '\0';
	return 0;
}

void buf_put_len(struct buf *buf, const void *bytes, size_t len)
{
	must(len <= buf->max - buf->len);
	if (len >= buf->size - buf->len) /* room for the NUL, too */
		buf_reserve(buf, len);
	if (len > 0)
		memcpy(buf->bytes + buf->len, bytes, len);
	buf->len += len;
	buf->bytes[buf->len] = '\0';
}

void buf_put(struct buf *buf, const char *text)
{
	buf_put_len(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	must(len >= 0 && (size_t)len <= buf->max - buf->len);
	buf_reserve(buf, (size_t)len);
	vsnprintf(buf->bytes + buf->len, (size_t)len + 1, format, again);
	va_end(again);
	buf->len += (size_t)len;
}

struct str buf_str(const struct buf *buf)
{
	return (struct str){ buf->bytes ? buf->bytes : "", buf->len };
}

char *buf_take(struct buf *buf)
{
	buf_reserve(buf, 0);
	buf->bytes[buf->len] = '\0';
	char *ret = buf->bytes;
	*buf = (struct buf){ .max = buf->max };
	return ret;
}
