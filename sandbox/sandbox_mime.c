/* SPDX-License-Identifier: MIT */
/*
 * MIME taken apart: headers unfolded and decoded (RFC 2047), multiparts walked,
 * transfer encodings undone.
 */
#include "sandbox/sandbox_mime.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox.h"

enum { PARTS_DEEP = 8, PARTS_COUNT = 100, BOUNDARY_BYTES = 80 };

static int hex_pair(const char *text)
{
	char digits[3] = { text[0], text[0] ? text[1] : '\0', '\0' };
	if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]))
		return -1;
	return (int)strtol(digits, NULL, 16);
}

/* --- header values ---------------------------------------------------------------- */

/* The text between =?charset?Q? and ?=: _ is a space. */
static void put_q(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		int byte = text.ptr[i] == '=' && text.len - i > 2 ? hex_pair(text.ptr + i + 1) : -1;
		char c = text.ptr[i] == '_' ? ' ' : text.ptr[i];
		if (byte >= 0) {
			c = (char)byte;
			i += 2;
		}
		buf_put_len(out, &c, 1);
	}
}

/* Takes one encoded word at text; its length, or 0 when there is none. */
static size_t put_word(const char *text, struct buf *out)
{
	const char *charset_end = str_begins(text, "=?") ? strchr(text + 2, '?') : NULL;
	if (!charset_end || !charset_end[1] || charset_end[2] != '?')
		return 0;
	char kind = (char)toupper((unsigned char)charset_end[1]);
	const char *start = charset_end + 3, *end = strstr(start, "?=");
	if (!end || (kind != 'B' && kind != 'Q') || memchr(start, ' ', (size_t)(end - start)))
		return 0;
	struct str inner = { start, (size_t)(end - start) };
	size_t before = out->len;
	if (kind == 'Q')
		put_q(inner, out);
	else if (!url_base64_decode(inner, out))
		out->len = before;
	return (size_t)(end + 2 - text);
}

static json_t *decoded_new(const char *text)
{
	struct buf out;
	buf_init(&out, strlen(text) * 2 + 16);
	bool after_word = false;
	while (*text) {
		size_t space = strspn(text, " \t");
		size_t len = put_word(after_word ? text + space : text, &out);
		if (len > 0) {
			/* White space between two encoded words is not part of the text. */
			text += (after_word ? space : 0) + len;
			after_word = true;
			continue;
		}
		after_word = false;
		buf_put_len(&out, text++, 1);
	}
	json_t *value = json_text(buf_str(&out));
	buf_release(&out);
	return value;
}

static void put_header(json_t *headers, struct str name, const char *value)
{
	char key[128];
	snprintf(key, sizeof(key), "%.*s", (int)name.len, name.ptr);
	json_t *clean = json_text(str_of(key)), *decoded = decoded_new(value);
	json_t *known = json_at(headers, json_string_value(clean));
	if (!known) {
		json_put(headers, json_string_value(clean), decoded);
	} else if (json_is_array(known)) {
		json_push(known, decoded);
	} else {
		json_t *list = json_array();
		json_array_append(list, known);
		json_push(list, decoded);
		json_put(headers, json_string_value(clean), list);
	}
	json_decref(clean);
}

/* The first line of text without its CRLF; *rest is behind it. */
static struct str line_of(struct str text, struct str *rest)
{
	const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
	size_t len = end ? (size_t)(end - text.ptr) : text.len;
	size_t step = end ? len + 1 : len;
	*rest = (struct str){ text.ptr + step, text.len - step };
	if (len > 0 && text.ptr[len - 1] == '\r')
		len--;
	return (struct str){ text.ptr, len };
}

/* Reads the header lines; the body is what is left. */
static json_t *headers_new(struct str message, struct str *ret_body)
{
	json_t *headers = json_object();
	struct str rest = message, line = line_of(rest, &rest);
	while (line.len > 0) {
		const char *colon = memchr(line.ptr, ':', line.len);
		struct str name = { line.ptr, colon ? (size_t)(colon - line.ptr) : 0 };
		struct buf value;
		buf_init(&value, message.len + 1);
		if (colon)
			buf_put_len(&value, colon + 1, line.len - name.len - 1);
		struct str next = rest;
		for (line = line_of(rest, &next); line.len > 0 && strchr(" \t", *line.ptr);
		     line = line_of(rest, &next)) {
			buf_put_len(&value, line.ptr, line.len);
			rest = next;
		}
		rest = next;
		const char *text = buf_str(&value).ptr;
		if (colon)
			put_header(headers, name, text + strspn(text, " \t"));
		buf_release(&value);
	}
	*ret_body = rest;
	return headers;
}

static const char *header(const json_t *headers, const char *wanted)
{
	const char *name;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)headers, name, value)
		if (strcasecmp(name, wanted) == 0)
			return json_is_string(value) ? json_string_value(value) : "";
	return "";
}

/* ; name=value or name="value" of a header. */
static bool parameter(const char *value, const char *name, char *ret, size_t size)
{
	size_t len = strlen(name);
	for (const char *at = strchr(value, ';'); at; at = strchr(at, ';')) {
		at += 1 + strspn(at + 1, " \t");
		if (strncasecmp(at, name, len) != 0 || at[len] != '=')
			continue;
		at += len + 1;
		bool is_quoted = *at == '"';
		at += is_quoted;
		size_t text = strcspn(at, is_quoted ? "\"" : "; \t");
		snprintf(ret, size, "%.*s", (int)(text < size ? text : size - 1), at);
		return true;
	}
	return false;
}

/* --- bodies --------------------------------------------------------------------- */

static void put_quoted_printable(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '=') {
			buf_put_len(out, text.ptr + i, 1);
			continue;
		}
		struct str rest = { text.ptr + i + 1, text.len - i - 1 };
		if (rest.len >= 2 && rest.ptr[0] == '\r' && rest.ptr[1] == '\n') {
			i += 2; /* a soft line break */
			continue;
		}
		int byte = rest.len >= 2 ? hex_pair(rest.ptr) : -1;
		char c = byte >= 0 ? (char)byte : '=';
		buf_put_len(out, &c, 1);
		i += byte >= 0 ? 2 : 0;
	}
}

static void put_base64(struct str text, struct buf *out)
{
	struct buf bare;
	buf_init(&bare, text.len + 1);
	for (size_t i = 0; i < text.len; i++)
		if (!isspace((unsigned char)text.ptr[i]))
			buf_put_len(&bare, text.ptr + i, 1);
	if (!url_base64_decode(buf_str(&bare), out)) {
		buf_clear(out);
		buf_put_len(out, text.ptr, text.len);
	}
	buf_release(&bare);
}

static json_t *body_new(struct str body, const char *encoding)
{
	struct buf out;
	buf_init(&out, body.len + 16);
	if (strcasecmp(encoding, "quoted-printable") == 0)
		put_quoted_printable(body, &out);
	else if (strcasecmp(encoding, "base64") == 0)
		put_base64(body, &out);
	else
		buf_put_len(&out, body.ptr, body.len);
	json_t *value = json_text(buf_str(&out));
	buf_release(&out);
	return value;
}

static void put_part(json_t *parts, const json_t *headers, struct str body)
{
	char text[256];
	const char *type = header(headers, "Content-Type");
	const char *disposition = header(headers, "Content-Disposition");
	json_t *part = json_object();
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(type, "; "), type);
	json_put_str(part, "content_type", *text ? text : "text/plain");
	if (parameter(type, "charset", text, sizeof(text)))
		json_put_str(part, "charset", text);
	if (parameter(disposition, "filename", text, sizeof(text)))
		json_put_str(part, "filename", text);
	json_put(part, "body", body_new(body, header(headers, "Content-Transfer-Encoding")));
	json_push(parts, part);
}

static void walk(json_t *parts, const json_t *headers, struct str body, int depth);

/* The bytes up to the next delimiter line; false at the closing one or the end. */
static bool next_part(struct str *rest, const char *delimiter, struct str *ret)
{
	const char *start = rest->ptr;
	size_t len = strlen(delimiter);
	while (rest->len > 0) {
		struct str after, line = line_of(*rest, &after);
		bool is_delimiter = line.len >= len && memcmp(line.ptr, delimiter, len) == 0;
		if (is_delimiter) {
			/* The line end before a delimiter belongs to the delimiter. */
			size_t size = (size_t)(line.ptr - start);
			size -= size >= 2 && start[size - 1] == '\n' && start[size - 2] == '\r' ? 2
			                                                                        : 0;
			*ret = (struct str){ start, size };
			bool is_last = line.len >= len + 2 && memcmp(line.ptr + len, "--", 2) == 0;
			*rest = is_last ? (struct str){ after.ptr, 0 } : after;
			return true;
		}
		*rest = after;
	}
	return false;
}

static void walk_multipart(json_t *parts, const char *boundary, struct str body, int depth)
{
	char *delimiter = mem_format("--%s", boundary);
	struct str rest = body, part;
	bool is_preamble = true;
	while (json_array_size(parts) < PARTS_COUNT && next_part(&rest, delimiter, &part)) {
		if (!is_preamble) {
			struct str inner;
			json_t *headers = headers_new(part, &inner);
			walk(parts, headers, inner, depth + 1);
			json_decref(headers);
		}
		is_preamble = false;
	}
	free(delimiter);
}

static void walk(json_t *parts, const json_t *headers, struct str body, int depth)
{
	char boundary[BOUNDARY_BYTES];
	const char *type = header(headers, "Content-Type");
	bool is_multipart = strncasecmp(type, "multipart/", 10) == 0 &&
	                    parameter(type, "boundary", boundary, sizeof(boundary));
	if (is_multipart && depth < PARTS_DEEP)
		walk_multipart(parts, boundary, body, depth);
	else
		put_part(parts, headers, body);
}

static void put_first(json_t *mail, const json_t *parts, const char *type, const char *key)
{
	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *part = json_array_get(parts, i);
		if (strcasecmp(json_str(part, "content_type", ""), type) != 0)
			continue;
		json_put(mail, key, json_incref(json_at(part, "body")));
		return;
	}
}

json_t *mime_mail_new(struct str message)
{
	struct str body;
	json_t *mail = json_object(), *parts = json_array(), *headers = headers_new(message, &body);
	walk(parts, headers, body, 0);
	json_put(mail, "headers", headers);
	json_put_str(mail, "subject", header(headers, "Subject"));
	json_put(mail, "parts", parts);
	put_first(mail, parts, "text/plain", "text");
	put_first(mail, parts, "text/html", "html");
	return mail;
}
