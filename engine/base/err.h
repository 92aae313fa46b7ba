/* SPDX-License-Identifier: MIT */
/*
 * struct err: why something failed, in the user's words.
 *
 * A function that can fail returns 0 or a negative enum err_code and takes a
 * struct err last, never NULL.  The code says what the caller can do, the text
 * what happened and where in the user's file, the hint what to do about it.
 * The first cause wins: setting an err that is set already keeps the old one,
 * err_wrap() adds the place in front of it on the way up.  The buffers are
 * fixed, so that running out of memory can be said too.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>

#include "base/attr.h"

enum err_code {
	ERR_INPUT = -1,    /* what was given is wrong: do not repeat it */
	ERR_ABSENT = -2,   /* the thing named does not exist */
	ERR_CONFLICT = -3, /* it contradicts what is there already */
	ERR_BUSY = -4,     /* try later */
	ERR_LIMIT = -5,    /* a named limit is exceeded */
	ERR_STORE = -6,    /* the store failed: stop taking work */
	ERR_SYSTEM = -7,   /* the operating system refused */
	ERR_BLOCKED = -8   /* nothing can be decided: the run blocks (DESIGN 4) */
};

struct err {
	int code;       /* 0 while nothing failed */
	char id[48];    /* stable name such as "xml.dtd_forbidden"; may be empty */
	char text[640]; /* complete sentence, shown as it is */
	char hint[320]; /* what to do; may be empty */
};

/* Set code and text; returns the code that is in force. */
int err_set(struct err *err, int code, const char *format, ...) ATTR_PRINTF(3, 4);
/* The same with a stable id. */
int err_set_id(struct err *err, int code, const char *id, const char *format, ...)
	ATTR_PRINTF(4, 5);
/* Put "place: " in front of the text; returns err->code. */
int err_wrap(struct err *err, const char *format, ...) ATTR_PRINTF(2, 3);
/* Add a hint where there is none yet; returns err->code. */
int err_hint(struct err *err, const char *format, ...) ATTR_PRINTF(2, 3);
void err_clear(struct err *err);

#endif
