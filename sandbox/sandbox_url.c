/* SPDX-License-Identifier: MIT */
/*
 * Names with values, percent encoding, base64, and patterns of paths.  The
 * path of a request stays encoded until a pattern has cut it, so that %2F
 * within a segment does not become a border.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/vec.h"
#include "sandbox/sandbox.h"

void pairs_add(struct pairs *pairs, struct str name, struct str value)
{
	struct pair *pair = vec_add(pairs);
	pair->name = mem_dup(name.ptr, name.len);
	pair->value = mem_dup(value.ptr, value.len);
}

const char *pairs_get(const struct pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->len; i++)
		if (strcmp(pairs->at[i].name, name) == 0)
			return pairs->at[i].value;
	return NULL;
}

const char *pairs_header(const struct pairs *pairs, const char *name)
{
	for (size_t i = 0; i < pairs->len; i++)
		if (strcasecmp(pairs->at[i].name, name) == 0)
			return pairs->at[i].value;
	return NULL;
}

void pairs_release(struct pairs *pairs)
{
	for (size_t i = 0; i < pairs->len; i++) {
		free(pairs->at[i].name);
		free(pairs->at[i].value);
	}
	vec_release(pairs);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool url_decode(struct str text, bool plus_is_space, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '+' && plus_is_space) {
			c = ' ';
		} else if (c == '%') {
			int high = text.len - i > 2 ? hex_digit(text.ptr[i + 1]) : -1;
			int low = text.len - i > 2 ? hex_digit(text.ptr[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0')
			return false;
		buf_put_len(out, &c, 1);
	}
	return true;
}

void url_encode_put(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		                (c >= '0' && c <= '9') || (c && strchr("-._~", c));
		if (is_plain)
			buf_put_len(out, text.ptr + i, 1);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

bool url_base64_decode(struct str text, struct buf *out)
{
	unsigned int group = 0, bits = 0;
	while (text.len > 0 && text.ptr[text.len - 1] == '=')
		text.len--;
	for (size_t i = 0; i < text.len; i++) {
		int digit = base64_digit(text.ptr[i]);
		if (digit < 0)
			return false;
		group = ((group << 6) | (unsigned int)digit) & 0xFFFF;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		char byte = (char)((group >> bits) & 0xFF);
		buf_put_len(out, &byte, 1);
	}
	return text.len % 4 != 1;
}

static bool form_part(struct str part, struct pairs *ret)
{
	const char *equals = part.len ? memchr(part.ptr, '=', part.len) : NULL;
	struct str name = part, value = { "", 0 };
	if (equals) {
		name.len = (size_t)(equals - part.ptr);
		value = (struct str){ equals + 1, part.len - name.len - 1 };
	}
	struct buf name_text, value_text;
	buf_init(&name_text, part.len + 1);
	buf_init(&value_text, part.len + 1);
	bool ok = url_decode(name, true, &name_text) && url_decode(value, true, &value_text);
	if (ok)
		pairs_add(ret, buf_str(&name_text), buf_str(&value_text));
	buf_release(&name_text);
	buf_release(&value_text);
	return ok;
}

bool url_form(struct str text, struct pairs *ret)
{
	enum { FIELDS_MAX = 1000 };
	while (text.len > 0) {
		const char *end = memchr(text.ptr, '&', text.len);
		size_t len = end ? (size_t)(end - text.ptr) : text.len;
		if (len > 0 &&
		    (ret->len >= FIELDS_MAX || !form_part((struct str){ text.ptr, len }, ret)))
			return false;
		size_t step = end ? len + 1 : len;
		text = (struct str){ text.ptr + step, text.len - step };
	}
	return true;
}

static bool part_take(struct parts *parts, const char *text, size_t len)
{
	if (parts->count == PARTS_MAX || len == 0)
		return false;
	struct buf decoded;
	buf_init(&decoded, len + 1);
	bool ok = url_decode((struct str){ text, len }, false, &decoded) &&
	          decoded.len < PART_BYTES;
	if (ok) {
		memcpy(parts->at[parts->count], buf_str(&decoded).ptr, decoded.len);
		parts->at[parts->count++][decoded.len] = '\0';
	}
	buf_release(&decoded);
	return ok;
}

bool path_match(const char *path, const char *pattern, struct parts *ret)
{
	ret->count = 0;
	while (*pattern) {
		if (str_begins(pattern, "{}")) {
			pattern += 2;
			size_t len = strcspn(path, "/");
			const char *stop = *pattern && *pattern != '/' ? memchr(path, *pattern, len)
			                                               : NULL;
			if (stop)
				len = (size_t)(stop - path);
			if (!part_take(ret, path, len))
				return false;
			path += len;
		} else if (*path++ != *pattern++) {
			return false;
		}
	}
	return *path == '\0' || strcmp(path, "/") == 0;
}
