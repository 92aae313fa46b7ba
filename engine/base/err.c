/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "base/str.h"

/* A text that did not fit must not end in half a character. */
static void end_whole(char *text, size_t size)
{
	size_t len = strlen(text), start = len;
	if (len + 1 < size)
		return;
	while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (start > 0 && (unsigned char)text[start - 1] >= 0xc0)
		start--;
	if (!str_is_utf8((struct str){ text + start, len - start }))
		text[start] = '\0';
}

static int set_va(struct err *err, int code, const char *id, const char *format, va_list args)
	ATTR_PRINTF(4, 0);

static int set_va(struct err *err, int code, const char *id, const char *format, va_list args)
{
	must(code < 0);
	if (err->code != 0)
		return err->code;
	err->code = code;
	snprintf(err->id, sizeof(err->id), "%s", id);
	vsnprintf(err->text, sizeof(err->text), format, args);
	end_whole(err->text, sizeof(err->text));
	return code;
}

int err_set(struct err *err, int code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int ret = set_va(err, code, "", format, args);
	va_end(args);
	return ret;
}

int err_set_id(struct err *err, int code, const char *id, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int ret = set_va(err, code, id, format, args);
	va_end(args);
	return ret;
}

int err_wrap(struct err *err, const char *format, ...)
{
	char place[sizeof(err->text)];
	char whole[2 * sizeof(err->text) + 4];
	va_list args;
	va_start(args, format);
	vsnprintf(place, sizeof(place), format, args);
	va_end(args);
	must(err->code < 0);
	snprintf(whole, sizeof(whole), "%s: %s", place, err->text);
	whole[sizeof(err->text) - 1] = '\0';
	memcpy(err->text, whole, sizeof(err->text));
	end_whole(err->text, sizeof(err->text));
	return err->code;
}

int err_hint(struct err *err, const char *format, ...)
{
	must(err->code < 0);
	if (err->hint[0] == '\0') {
		va_list args;
		va_start(args, format);
		vsnprintf(err->hint, sizeof(err->hint), format, args);
		end_whole(err->hint, sizeof(err->hint));
		va_end(args);
	}
	return err->code;
}

void err_clear(struct err *err)
{
	memset(err, 0, sizeof(*err));
}
