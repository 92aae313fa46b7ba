/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <errno.h>
#include <float.h>
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
 * times its text (RELIABILITY M7), so depth and nodes are counted here, and
 * numbers that jansson would round to something else are found (row 33).  It
 * need not be exact about grammar; jansson refuses what is no JSON.
 */
struct scan {
	struct str text;
	size_t at, depth, nodes;
};

static void skip_string(struct scan *scan)
{
	for (scan->at++; scan->at < scan->text.len; scan->at++) {
		char c = scan->text.ptr[scan->at];
		if (c == '"')
			return;
		if (c == '\\')
			scan->at++;
	}
}

static bool is_numeral(char c)
{
	return (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E';
}

/* Does the double keep the number, but for digits beyond its precision? */
static bool real_is_kept(const char *number)
{
	double value = strtod(number, NULL);
	bool is_zero = true;
	for (const char *p = number; *p && *p != 'e' && *p != 'E'; p++)
		is_zero = is_zero && !(*p >= '1' && *p <= '9');
	return isfinite(value) && (value != 0 || is_zero);
}

static bool integer_is_kept(const char *number)
{
	errno = 0;
	(void)strtoll(number, NULL, 10); /* asked for ERANGE only */
	return errno == 0 && strcmp(number, "-0") != 0;
}

static int scan_number(struct scan *scan, struct err *err)
{
	const char *start = scan->text.ptr + scan->at;
	size_t len = 0;
	char number[64];
	while (scan->at + len < scan->text.len && is_numeral(start[len]))
		len++;
	if (len >= sizeof(number))
		return err_set_id(err, ERR_INPUT, "json.number",
		                  "a JSON number of %zu characters cannot be kept exactly", len);
	memcpy(number, start, len);
	number[len] = '\0';
	if (strpbrk(number, ".eE") ? !real_is_kept(number) : !integer_is_kept(number))
		return err_set_id(err, ERR_INPUT, "json.number",
		                  "the JSON number %s cannot be kept exactly", number);
	scan->at += len - 1;
	return 0;
}

static int scan_one(struct scan *scan, struct err *err)
{
	char c = scan->text.ptr[scan->at];
	char before = scan->at > 0 ? scan->text.ptr[scan->at - 1] : ' ';
	if (c == '"') {
		scan->nodes++;
		skip_string(scan);
	} else if (c == '[' || c == '{') {
		scan->depth++;
		scan->nodes++;
	} else if ((c == ']' || c == '}') && scan->depth > 0) {
		scan->depth--;
	} else if (c == ':' && scan->nodes > 0) {
		scan->nodes--; /* the string before it was a key */
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		scan->nodes++;
		return scan_number(scan, err);
	} else if (c >= 'a' && c <= 'z' && !(before >= 'a' && before <= 'z')) {
		scan->nodes++; /* true, false, null */
	}
	return 0;
}

static int scan_text(struct str text, struct err *err)
{
	struct scan scan = { .text = text };
	for (; scan.at < text.len; scan.at++) {
		if (scan_one(&scan, err) < 0)
			return err->code;
		if (scan.depth > LIMIT_JSON_DEPTH)
			return err_set_id(err, ERR_LIMIT, "json.depth",
			                  "JSON nested deeper than %d (LIMIT_JSON_DEPTH)",
			                  LIMIT_JSON_DEPTH);
		if (scan.nodes > LIMIT_JSON_NODES)
			return err_set_id(err, ERR_LIMIT, "json.nodes",
			                  "JSON with more than %d values (LIMIT_JSON_NODES)",
			                  LIMIT_JSON_NODES);
	}
	return 0;
}

int json_read(struct str text, size_t max_bytes, json_t **ret, struct err *err)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	if (text.len > max_bytes)
		return err_set_id(err, ERR_LIMIT, "json.bytes", "JSON of more than %zu bytes",
		                  max_bytes);
	if (text.len >= 3 && memcmp(text.ptr, byte_order_mark, 3) == 0)
		return err_set_id(err, ERR_INPUT, "json.bom",
		                  "JSON that begins with a byte order mark");
	if (!str_is_utf8(text))
		return err_set_id(err, ERR_INPUT, "json.utf8", "JSON that is not valid UTF-8");
	if (text.len > 0 && memchr(text.ptr, '\0', text.len)) /* jansson takes it for the end */
		return err_set_id(err, ERR_INPUT, "json.nul", "JSON with a NUL byte in it");
	if (scan_text(text, err) < 0)
		return err->code;
	json_error_t at;
	json_t *value = json_loadb(text.len > 0 ? text.ptr : "", text.len,
	                           JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
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
		if (buf_add(&text, chunk, got, err) < 0) {
			err_clear(err);
			status = err_set_id(err, ERR_LIMIT, "json.bytes",
			                    "more than %zu bytes (LIMIT_JSON_BYTES)", max_bytes);
		}
	if (status == 0 && ferror(file))
		status = err_set(err, errno == EISDIR ? ERR_INPUT : ERR_SYSTEM,
		                 "cannot be read: %s", strerror(errno));
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
	case JSON_STRING:
		put_string(json_string_value(value), json_string_length(value), out);
		return;
	case JSON_INTEGER:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
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
		return json_string("");
	if (str_is_utf8(bytes) && !memchr(bytes.ptr, '\0', bytes.len))
		return json_stringn(bytes.ptr, bytes.len);
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
	json_t *ret = json_stringn(clean.bytes, clean.len);
	buf_release(&clean);
	return ret;
}
