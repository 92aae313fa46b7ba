/* SPDX-License-Identifier: MIT */
/*
 * Growing bytes with a maximum given at init.  bytes is always NUL-terminated
 * once something was added, so it can be used as a C string when it holds text.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct buf {
	char *bytes;
	size_t len;
	size_t size;
	size_t max;
};

void buf_init(struct buf *buf, size_t max_bytes);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory */
/* ERR_LIMIT when it would pass the maximum; nothing is added then. */
int buf_add(struct buf *buf, const void *bytes, size_t len, struct err *err) ATTR_MUST_USE;
/* For text of our own making: passing the maximum is a broken invariant. */
void buf_put(struct buf *buf, const char *text);
void buf_put_len(struct buf *buf, const void *bytes, size_t len);
static inline void buf_put_byte(struct buf *buf, char byte);
/* Room for so many more bytes at once, so that adding them moves nothing. */
void buf_reserve(struct buf *buf, size_t more);
void buf_printf(struct buf *buf, const char *format, ...) ATTR_PRINTF(2, 3);
struct str buf_str(const struct buf *buf);
/* The bytes, NUL-terminated, to be freed by the caller; the buf is empty afterwards. */
char *buf_take(struct buf *buf);

static inline void buf_put_byte(struct buf *buf, char byte)
{
	if (buf->size - buf->len < 2 || buf->len >= buf->max) {
		buf_put_len(buf, &byte, 1);
		return;
	}
	buf->bytes[buf->len++] = byte;
	buf->bytes[buf->len] = '\0';
}

#endif
