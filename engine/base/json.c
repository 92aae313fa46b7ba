/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"

/* --- reading ------------------------------------------------------------ */

/*
 * One pass over the text before jansson builds anything: a tree can take 79
 * times its text (RELIABILITY M7), so depth and nodes are counted here.  It
 * need not be exact about grammar; jansson refuses what is no JSON.
 */
static int scan(struct str text, struct err *err)
{
	size_t depth = 0, nodes = 1;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '[' || c == '{')
			depth++, nodes++;
		else if ((c == ']' || c == '}') && depth > 0)
			depth--;
		else if (c == ',')
			nodes++;
		if (depth > LIMIT_JSON_DEPTH)
			return err_set_id(err, ERR_LIMIT, "json.depth",
			                  "JSON nested deeper than %d (LIMIT_JSON_DEPTH)",
			                  LIMIT_JSON_DEPTH);
		if (nodes > LIMIT_JSON_NODES)
			return err_set_id(err, ERR_LIMIT, "json.nodes",
			                  "JSON with more than %d values (LIMIT_JSON_NODES)",
			                  LIMIT_JSON_NODES);
	}
	return 0;
}

/* A real that jansson rounded to 0 or to infinity was not the number written (row 33). */
static int check_numbers(struct str text, struct err *err)
{
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"') {
			in_string = true;
			continue;
		}
		if (c != '-' && (c < '0' || c > '9'))
			continue;
		size_t start = i;
		bool nonzero = false, in_exponent = false;
		for (; i < text.len && strchr("+-.eE0123456789", text.ptr[i]); i++) {
			if (text.ptr[i] == 'e' || text.ptr[i] == 'E')
				in_exponent = true;
			if (!in_exponent && text.ptr[i] >= '1' && text.ptr[i] <= '9')
				nonzero = true;
		}
		char number[64];
		if (i - start >= sizeof(number))
			return err_set_id(err, ERR_INPUT, "json.number",
			                  "a JSON number of %zu characters cannot be kept exactly",
			                  i - start);
		memcpy(number, text.ptr + start, i - start);
		number[i - start] = '\0';
		double value = strtod(number, NULL);
		if (!isfinite(value) || (value == 0 && nonzero))
			return err_set_id(err, ERR_INPUT, "json.number",
			                  "the JSON number %s cannot be kept exactly", number);
		i--;
	}
	return 0;
}

int json_read(struct str text, size_t max_bytes, json_t **ret, struct err *err)
{
	if (text.len > max_bytes)
		return err_set_id(err, ERR_LIMIT, "json.bytes", "JSON of more than %zu bytes", max_bytes);
	if (!str_is_utf8(text))
		return err_set_id(err, ERR_INPUT, "json.utf8", "JSON that is not valid UTF-8");
	if (scan(text, err) < 0 || check_numbers(text, err) < 0)
		return err->code;
	json_error_t at;
	json_t *value =
		json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
	if (!value)
		return err_set_id(err, ERR_INPUT, "json.syntax", "not JSON: line %d, column %d: %s",
		                  at.line, at.column, at.text);
	*ret = value;
	return 0;
}

int json_read_file(const char *path, size_t max_bytes, json_t **ret, struct err *err)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return err_set(err, errno == ENOENT ? ERR_ABSENT : ERR_SYSTEM, "%s: %s", path,
		               strerror(errno));
	struct buf text;
	buf_init(&text, max_bytes);
	char chunk[8192];
	size_t got;
	int status = 0;
	while (status == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		status = buf_add(&text, chunk, got, err);
	if (status == 0 && ferror(file))
		status = err_set(err, ERR_SYSTEM, "cannot be read: %s", strerror(errno));
	fclose(file);
	if (status == 0)
		status = json_read(buf_str(&text), max_bytes, ret, err);
	buf_release(&text);
	return status < 0 ? err_wrap(err, "%s", path) : 0;
}

/* --- the canonical dump -------------------------------------------------- */

static void put_string(const char *text, size_t len, struct buf *out)
{
	buf_put_len(out, "\"", 1);
	size_t start = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_put_len(out, text + start, i - start);
		start = i + 1;
		switch (c) {
		case '"': buf_put(out, "\\\""); break;
		case '\\': buf_put(out, "\\\\"); break;
		case '\n': buf_put(out, "\\n"); break;
		case '\r': buf_put(out, "\\r"); break;
		case '\t': buf_put(out, "\\t"); break;
		case '\b': buf_put(out, "\\b"); break;
		case '\f': buf_put(out, "\\f"); break;
		default: buf_printf(out, "\\u%04x", c); break;
		}
	}
	buf_put_len(out, text + start, len - start);
	buf_put_len(out, "\"", 1);
}

/* The shortest of 15, 16, 17 digits that reads back the same; always marked as a real. */
static void put_real(double value, struct buf *out)
{
	char text[40];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_put(out, text);
	if (!strpbrk(text, ".e"))
		buf_put(out, ".0");
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_object(const json_t *object, struct buf *out)
{
	enum { KEYS_ON_STACK = 32 };
	const char *few[KEYS_ON_STACK];
	size_t count = json_object_size(object), i = 0;
	const char **keys = count <= KEYS_ON_STACK ? few : mem_grow(NULL, count, sizeof(*keys));
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
		keys[i++] = key;
	qsort(keys, count, sizeof(*keys), compare_keys);
	buf_put_len(out, "{", 1);
	for (i = 0; i < count; i++) {
		if (i > 0)
			buf_put_len(out, ",", 1);
		put_string(keys[i], strlen(keys[i]), out);
		buf_put_len(out, ":", 1);
		json_canon_put(json_object_get(object, keys[i]), out);
	}
	buf_put_len(out, "}", 1);
	if (keys != few)
		free(keys);
}

void json_canon_put(const json_t *value, struct buf *out)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: put_object(value, out); return;
	case JSON_ARRAY:
		buf_put_len(out, "[", 1);
		for (size_t i = 0; i < json_array_size(value); i++) {
			if (i > 0)
				buf_put_len(out, ",", 1);
			json_canon_put(json_array_get(value, i), out);
		}
		buf_put_len(out, "]", 1);
		return;
	case JSON_STRING: put_string(json_string_value(value), json_string_length(value), out); return;
	case JSON_INTEGER: buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value)); return;
	case JSON_REAL: put_real(json_real_value(value), out); return;
	case JSON_TRUE: buf_put(out, "true"); return;
	case JSON_FALSE: buf_put(out, "false"); return;
	case JSON_NULL: buf_put(out, "null"); return;
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

/* --- members -------------------------------------------------------------- */

json_t *json_at(const json_t *value, const char *key)
{
	return json_is_object(value) ? json_object_get(value, key) : NULL;
}

json_t *json_path(const json_t *value, const char *path)
{
	const json_t *at = value;
	while (at && *path) {
		if (*path == '[') {
			char *end;
			unsigned long index = strtoul(path + 1, &end, 10);
			if (*end != ']' || !json_is_array(at))
				return NULL;
			at = json_array_get(at, index);
			path = end + 1;
		} else {
			size_t len = strcspn(path, ".[");
			char key[256];
			if (len >= sizeof(key) || !json_is_object(at))
				return NULL;
			memcpy(key, path, len);
			key[len] = '\0';
			at = json_object_get(at, key);
			path += len;
		}
		if (*path == '.')
			path++;
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
	if (value)
		must(json_object_set_new(object, key, value) == 0);
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

json_t *json_text(struct str bytes)
{
	if (str_is_utf8(bytes))
		return json_stringn(bytes.ptr ? bytes.ptr : "", bytes.len);
	struct buf clean;
	buf_init(&clean, bytes.len * 3 + 1);
	for (size_t i = 0; i < bytes.len;) {
		size_t len = 1;
		while (len < 4 && i + len < bytes.len &&
		       !str_is_utf8((struct str){ bytes.ptr + i, len }))
			len++;
		bool good = str_is_utf8((struct str){ bytes.ptr + i, len });
		if (good)
			buf_put_len(&clean, bytes.ptr + i, len);
		else
			buf_put(&clean, "\xef\xbf\xbd");
		i += good ? len : 1;
	}
	json_t *ret = json_stringn(clean.bytes ? clean.bytes : "", clean.len);
	buf_release(&clean);
	return ret;
}
