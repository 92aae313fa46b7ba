/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

/* --- members -------------------------------------------------------------- */

json_t *json_at(const json_t *value, const char *key)
{
	return json_is_object(value) ? json_object_get(value, key) : NULL;
}

/* "[n]" at *path: the item; *path moves past it. */
static json_t *path_item(const json_t *at, const char **path)
{
	size_t digits = strspn(*path + 1, "0123456789");
	if (digits == 0 || digits > 9 || (*path)[1 + digits] != ']' || !json_is_array(at))
		return NULL;
	size_t index = strtoul(*path + 1, NULL, 10);
	*path += digits + 2;
	return json_array_get(at, index);
}

static json_t *path_member(const json_t *at, const char **path)
{
	size_t len = strcspn(*path, ".[");
	if (len == 0 || !json_is_object(at))
		return NULL;
	const char *key = *path;
	*path += len;
	return json_object_getn(at, key, len);
}

json_t *json_path(const json_t *value, const char *path)
{
	const json_t *at = value;
	for (const char *p = path; at && *p;) {
		if (*p == '[') {
			at = path_item(at, &p);
			continue;
		}
		if (p > path && *p++ != '.')
			return NULL; /* "a[0]b" */
		at = path_member(at, &p);
	}
	return (json_t *)(uintptr_t)at;
}

const char *json_str(const json_t *value, const char *key, const char *fallback)
{
	const json_t *member = json_at(value, key);
	return json_is_string(member) ? json_string_value(member) : fallback;
}

int64_t json_int(const json_t *value, const char *key, int64_t fallback)
{
	const json_t *member = json_at(value, key);
	return json_is_integer(member) ? json_integer_value(member) : fallback;
}

bool json_truth(const json_t *value, const char *key, bool fallback)
{
	const json_t *member = json_at(value, key);
	return json_is_boolean(member) ? json_is_true(member) : fallback;
}

void json_put(json_t *object, const char *key, json_t *value)
{
	if (!value)
		return;
	struct str name = str_of(key);
	must(str_is_utf8(name) &&
	     json_object_setn_new_nocheck(object, name.ptr, name.len, value) == 0);
}

void json_put_str(json_t *object, const char *key, const char *text)
{
	if (text)
		json_put(object, key, json_text(str_of(text)));
}

void json_put_int(json_t *object, const char *key, int64_t number)
{
	json_put(object, key, json_integer(number));
}

void json_push(json_t *array, json_t *value)
{
	must(value && json_array_append_new(array, value) == 0);
}

/* How many bytes at p are one character that JSON text may hold; 0 for none. */
static size_t good_len(const char *p, size_t left)
{
	if (*p == '\0')
		return 0; /* json_read() refuses NUL, and what is written must be readable */
	for (size_t len = 1; len <= 4 && len <= left; len++)
		if (str_is_utf8((struct str){ p, len }))
			return len;
	return 0;
}

json_t *json_text(struct str bytes)
{
	if (bytes.len == 0)
		return json_stringn_nocheck("", 0);
	if (str_is_utf8(bytes) && !memchr(bytes.ptr, '\0', bytes.len))
		return json_stringn_nocheck(bytes.ptr, bytes.len);
	struct buf clean;
	buf_init(&clean, bytes.len * 3);
	for (size_t i = 0; i < bytes.len;) {
		size_t len = good_len(bytes.ptr + i, bytes.len - i);
		if (len > 0)
			buf_put_len(&clean, bytes.ptr + i, len);
		else
			buf_put(&clean, "\xef\xbf\xbd");
		i += len > 0 ? len : 1;
	}
	json_t *ret = json_stringn_nocheck(clean.bytes, clean.len);
	buf_release(&clean);
	return ret;
}
