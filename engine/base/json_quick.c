/* SPDX-License-Identifier: MIT */
/*
 * Plain JSON in one pass over its bytes.  Sound, not complete: what it takes,
 * json_read()'s careful way would take with the same value; where it is not
 * certain it gives up and says nothing.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_int.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"

struct quick {
	const char *at, *end;
	size_t nodes;
};

static json_t *read_value(struct quick *q, size_t depth);

static void skip_space(struct quick *q)
{
	while (q->at < q->end &&
	       (*q->at == ' ' || *q->at == '\n' || *q->at == '\t' || *q->at == '\r'))
		q->at++;
}

/* --- strings ---------------------------------------------------------------- */

const char *json_plain_end(const char *p, const char *end)
{
	const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
	while (end - p >= 8) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		/* A high bit where a byte is below 0x20, a quote, a backslash. */
		uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
		uint64_t odd = ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
		               ((slash - ones) & ~slash);
		if (odd & highs)
			break;
		p += 8;
	}
	while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
		p++;
	return p;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The four digits of \uXXXX at p; 0 for what is none, and for NUL. */
static unsigned int hex_four(const char *p, const char *end)
{
	unsigned int ret = 0;
	if (end - p < 4)
		return 0;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(p[i]);
		if (digit < 0)
			return 0;
		ret = ret << 4 | (unsigned int)digit;
	}
	return ret;
}

static char *put_character(char *out, unsigned int c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* One escape, q->at behind its backslash; NULL: not for us (pairs of surrogates are not). */
static char *read_escape(struct quick *q, char *out)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	if (q->at == q->end)
		return NULL;
	char c = *q->at++;
	if (c == 'u') {
		unsigned int code = hex_four(q->at, q->end);
		if (code == 0 || (code >= 0xd800 && code < 0xe000))
			return NULL;
		q->at += 4;
		return put_character(out, code);
	}
	const char *name = c ? strchr(names, c) : NULL;
	if (!name)
		return NULL;
	*out++ = values[name - names];
	return out;
}

/* The text of a string with escapes, which is never longer than it stands there. */
static char *read_escaped(struct quick *q, size_t *ret_len)
{
	const char *last = q->at;
	while (last < q->end && *last != '"')
		last += *last == '\\' ? 2 : 1;
	if (last >= q->end)
		return NULL;
	char *text = mem_grow(NULL, (size_t)(last - q->at) + 1, 1), *out = text;
	while (out && q->at < last) {
		const char *plain = json_plain_end(q->at, last);
		memcpy(out, q->at, (size_t)(plain - q->at));
		out += plain - q->at;
		q->at = plain;
		if (plain == last)
			break;
		if (*q->at++ != '\\')
			out = NULL; /* a control character */
		else
			out = read_escape(q, out);
	}
	if (!out || q->at != last) {
		free(text);
		return NULL;
	}
	q->at++;
	*ret_len = (size_t)(out - text);
	return text;
}

/* q->at is behind the opening quote. */
static json_t *read_string(struct quick *q)
{
	const char *start = q->at, *end = json_plain_end(start, q->end);
	if (end < q->end && *end == '"') {
		q->at = end + 1;
		return json_stringn_nocheck(start, (size_t)(end - start));
	}
	size_t len;
	char *text = read_escaped(q, &len);
	json_t *ret = text ? json_stringn_nocheck(text, len) : NULL;
	free(text);
	return ret;
}

/* --- numbers ----------------------------------------------------------------- */

static bool is_digit(const struct quick *q)
{
	return q->at < q->end && *q->at >= '0' && *q->at <= '9';
}

static size_t skip_digits(struct quick *q)
{
	const char *start = q->at;
	while (is_digit(q))
		q->at++;
	return (size_t)(q->at - start);
}

static json_t *read_real(const char *start, size_t len)
{
	char number[32];
	if (len >= sizeof(number))
		return NULL;
	memcpy(number, start, len);
	number[len] = '\0';
	double value = strtod(number, NULL);
	/* Zeros and what is too large are for the careful way. */
	return isfinite(value) && value != 0 ? json_real(value) : NULL;
}

static json_t *read_number(struct quick *q)
{
	enum { DIGITS_MAX = 18 }; /* fit into 64 bits, whichever they are */
	const char *start = q->at;
	bool is_negative = *q->at == '-', is_real = false;
	q->at += is_negative;
	const char *first = q->at;
	size_t digits = skip_digits(q);
	if (digits == 0 || digits > DIGITS_MAX || (*first == '0' && digits > 1))
		return NULL;
	if (q->at < q->end && *q->at == '.') {
		is_real = true;
		q->at++;
		if (skip_digits(q) == 0)
			return NULL;
	}
	if (q->at < q->end && (*q->at == 'e' || *q->at == 'E'))
		return NULL;
	if (is_real)
		return read_real(start, (size_t)(q->at - start));
	if (*first == '0' && is_negative)
		return NULL; /* "-0" */
	json_int_t value = 0;
	for (const char *p = first; p < q->at; p++)
		value = value * 10 + (*p - '0');
	return json_integer(is_negative ? -value : value);
}

/* --- values ------------------------------------------------------------------- */

static json_t *read_list(struct quick *q, size_t depth)
{
	json_t *list = json_array();
	skip_space(q);
	if (q->at < q->end && *q->at == ']') {
		q->at++;
		return list;
	}
	while (q->at < q->end) {
		json_t *item = read_value(q, depth);
		if (!item)
			break;
		json_push(list, item);
		skip_space(q);
		char next = q->at < q->end ? *q->at++ : '\0';
		if (next == ']')
			return list;
		if (next != ',')
			break;
	}
	json_decref(list);
	return NULL;
}

/* "name": behind it stands the value. */
static bool read_name(struct quick *q, const char **ret, size_t *ret_len)
{
	skip_space(q);
	if (q->at == q->end || *q->at != '"')
		return false;
	const char *start = q->at + 1, *end = json_plain_end(start, q->end);
	if (end == q->end || *end != '"')
		return false; /* names with escapes are rare */
	*ret = start;
	*ret_len = (size_t)(end - start);
	q->at = end + 1;
	skip_space(q);
	return q->at < q->end && *q->at++ == ':';
}

static json_t *read_object(struct quick *q, size_t depth)
{
	json_t *object = json_object();
	size_t members = 0;
	skip_space(q);
	if (q->at < q->end && *q->at == '}') {
		q->at++;
		return object;
	}
	for (;;) {
		const char *name;
		size_t len;
		json_t *value = read_name(q, &name, &len) ? read_value(q, depth) : NULL;
		if (!value)
			break;
		must(json_object_setn_new_nocheck(object, name, len, value) == 0);
		members++;
		skip_space(q);
		char next = q->at < q->end ? *q->at++ : '\0';
		if (next == '}' && json_object_size(object) == members) /* no name twice */
			return object;
		if (next != ',')
			break;
	}
	json_decref(object);
	return NULL;
}

static json_t *read_word(struct quick *q, struct str word, json_t *value)
{
	if ((size_t)(q->end - q->at) < word.len || memcmp(q->at, word.ptr, word.len) != 0)
		return NULL;
	q->at += word.len;
	return value;
}

static json_t *read_value(struct quick *q, size_t depth)
{
	skip_space(q);
	if (q->at == q->end || ++q->nodes > LIMIT_JSON_NODES)
		return NULL;
	bool is_nested = *q->at == '{' || *q->at == '[';
	if (is_nested && depth >= LIMIT_JSON_DEPTH)
		return NULL;
	switch (*q->at) {
	case '{': q->at++; return read_object(q, depth + 1);
	case '[': q->at++; return read_list(q, depth + 1);
	case '"': q->at++; return read_string(q);
	case 't': return read_word(q, STR_LIT("true"), json_true());
	case 'f': return read_word(q, STR_LIT("false"), json_false());
	case 'n': return read_word(q, STR_LIT("null"), json_null());
	default: return read_number(q);
	}
}

json_t *json_quick(struct str text)
{
	struct quick q = { text.ptr, text.ptr + text.len, 0 };
	json_t *value = text.len > 0 ? read_value(&q, 0) : NULL;
	skip_space(&q);
	if (value && q.at == q.end)
		return value;
	json_decref(value);
	return NULL;
}
