/* SPDX-License-Identifier: MIT */
/*
 * The canonical dump: what records and hashes are made of.  Most of what the
 * engine writes passes here, so it is written straight into the buffer.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_int.h"
#include "base/mem.h"
#include "base/must.h"

static void put_escape(unsigned char c, struct buf *out)
{
	switch (c) {
	case '"': buf_put_len(out, "\\\"", 2); return;
	case '\\': buf_put_len(out, "\\\\", 2); return;
	case '\n': buf_put_len(out, "\\n", 2); return;
	case '\r': buf_put_len(out, "\\r", 2); return;
	case '\t': buf_put_len(out, "\\t", 2); return;
	case '\b': buf_put_len(out, "\\b", 2); return;
	case '\f': buf_put_len(out, "\\f", 2); return;
	default: buf_printf(out, "\\u%04x", c); return;
	}
}

static void put_string(const char *text, size_t len, struct buf *out)
{
	const char *end = text + len;
	buf_put_byte(out, '"');
	for (;;) {
		const char *plain = json_plain_end(text, end);
		buf_put_len(out, text, (size_t)(plain - text));
		if (plain == end)
			break;
		put_escape((unsigned char)*plain, out);
		text = plain + 1;
	}
	buf_put_byte(out, '"');
}

static void put_integer(json_int_t value, struct buf *out)
{
	char text[24], *at = text + sizeof(text);
	unsigned long long left = value < 0 ? 0 - (unsigned long long)value
	                                    : (unsigned long long)value;
	do {
		*--at = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	if (value < 0)
		*--at = '-';
	buf_put_len(out, at, (size_t)(text + sizeof(text) - at));
}

/*
 * The fewest digits that read back the same; always marked as a real.  Every
 * number of 15 digits is kept by a double, but for the very smallest.
 */
static void put_real(double value, struct buf *out)
{
	char text[40];
	for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_put(out, text);
	if (!strpbrk(text, ".e"))
		buf_put(out, ".0");
}

struct member {
	const char *key;
	json_t *value;
};

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->key, ((const struct member *)b)->key);
}

/* Few members, often in order already. */
static void sort_few(struct member *members, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		struct member member = members[i];
		size_t at = i;
		for (; at > 0 && strcmp(members[at - 1].key, member.key) > 0; at--)
			members[at] = members[at - 1];
		members[at] = member;
	}
}

static void put_object(const json_t *const_object, struct buf *out)
{
	enum { FEW = 24 };
	json_t *object = (json_t *)(uintptr_t)const_object;
	struct member few[FEW], *members = few;
	size_t count = json_object_size(object), i = 0;
	if (count > FEW)
		members = mem_grow(NULL, count, sizeof(*members));
	for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
		members[i++] = (struct member){ json_object_iter_key(at),
			                        json_object_iter_value(at) };
	if (count > FEW)
		qsort(members, count, sizeof(*members), compare_members);
	else
		sort_few(members, count);
	buf_put_byte(out, '{');
	for (i = 0; i < count; i++) {
		if (i > 0)
			buf_put_byte(out, ',');
		put_string(members[i].key, strlen(members[i].key), out);
		buf_put_byte(out, ':');
		json_canon_put(members[i].value, out);
	}
	buf_put_byte(out, '}');
	if (members != few)
		free(members);
}

void json_canon_put(const json_t *value, struct buf *out)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: put_object(value, out); return;
	case JSON_ARRAY:
		buf_put_byte(out, '[');
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (i > 0)
				buf_put_byte(out, ',');
			json_canon_put(json_array_get(value, i), out);
		}
		buf_put_byte(out, ']');
		return;
	case JSON_STRING:
		put_string(json_string_value(value), json_string_length(value), out);
		return;
	case JSON_INTEGER: put_integer(json_integer_value(value), out); return;
	case JSON_REAL: put_real(json_real_value(value), out); return;
	case JSON_TRUE: buf_put_len(out, "true", 4); return;
	case JSON_FALSE: buf_put_len(out, "false", 5); return;
	case JSON_NULL: buf_put_len(out, "null", 4); return;
	}
	must_not_reach();
}

char *json_canon(const json_t *value)
{
	struct buf out;
	buf_init(&out, (size_t)1 << 30);
	json_canon_put(value, &out);
	return buf_take(&out);
}
