/* SPDX-License-Identifier: MIT */
/* application/x-www-form-urlencoded, both ways.  A blank goes out as %20 and comes in as either. */
#include "machine/http_event.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"

static bool is_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '*';
}

static int put_encoded(struct str text, struct buf *out, struct err *err)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		char code[3] = { '%', digits[c >> 4], digits[c & 15] };
		const char *put = code;
		size_t len = sizeof(code);
		if (is_plain(c)) {
			code[0] = (char)c;
			len = 1;
		}
		if (buf_add(out, put, len, err) < 0)
			return err->code;
	}
	return 0;
}

/* Text as it is, other values as their JSON. */
static int put_value(const json_t *value, struct buf *out, struct err *err)
{
	if (json_is_string(value)) {
		struct str text = { json_string_value(value), json_string_length(value) };
		return put_encoded(text, out, err);
	}
	char *text = json_canon(value);
	int status = put_encoded(str_of(text), out, err);
	free(text);
	return status;
}

static int put_pair(const char *key, const json_t *value, struct buf *out, struct err *err)
{
	if (out->len > 0 && buf_add(out, "&", 1, err) < 0)
		return err->code;
	if (put_encoded(str_of(key), out, err) < 0 || buf_add(out, "=", 1, err) < 0)
		return err->code;
	return put_value(value, out, err);
}

int http_event_encode(const char *name, const json_t *data, struct buf *out, struct err *err)
{
	int status = 0;
	if (name) {
		json_t *text = json_string(name);
		status = put_pair("_scxmleventname", text, out, err);
		json_decref(text);
	}
	if (status < 0 || !data)
		return status;
	if (!json_is_object(data))
		return name ? put_pair("content", data, out, err) : put_value(data, out, err);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)data, key, value) {
		if (put_pair(key, value, out, err) < 0)
			return err->code;
	}
	return 0;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A stray '%' stands for itself, as everywhere on the web. */
static json_t *decoded(struct str text)
{
	char *bytes = mem_alloc(text.len + 1);
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '%' && i + 2 < text.len && hex(text.ptr[i + 1]) >= 0 &&
		    hex(text.ptr[i + 2]) >= 0) {
			c = (char)(hex(text.ptr[i + 1]) * 16 + hex(text.ptr[i + 2]));
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		bytes[len++] = c;
	}
	json_t *ret = json_text((struct str){ bytes, len });
	free(bytes);
	return ret;
}

static struct str cut(struct str *rest, char at)
{
	const char *end = rest->len ? memchr(rest->ptr, at, rest->len) : NULL;
	struct str ret = { rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len };
	size_t used = ret.len + (end ? 1 : 0);
	rest->ptr += used;
	rest->len -= used;
	return ret;
}

/* The last of several values of a name wins; _event.raw has them all. */
static void take_pair(struct str pair, struct event *event)
{
	struct str value = pair;
	struct str name = cut(&value, '=');
	json_t *key = decoded(name), *text = decoded(value);
	if (strcmp(json_string_value(key), "_scxmleventname") == 0) {
		free(event->name);
		event->name = mem_dup_str(json_string_value(text));
		json_decref(text);
	} else {
		if (!event->data)
			event->data = json_object();
		json_put(event->data, json_string_value(key), text);
	}
	json_decref(key);
}

/* Is the media type this one?  Parameters and case do not matter (RFC 9110 8.3.1). */
static bool is_type(const char *type, const char *wanted)
{
	size_t len = strcspn(type, "; \t");
	return len == strlen(wanted) && strncasecmp(type, wanted, len) == 0;
}

static void take_form(struct str body, struct event *event)
{
	struct str rest = body;
	if (body.len > 0 && !memchr(body.ptr, '=', body.len)) {
		event->data = decoded(body);
		return;
	}
	for (struct str pair; rest.len > 0;) {
		pair = cut(&rest, '&');
		if (pair.len > 0)
			take_pair(pair, event);
	}
}

static int take_body(const char *type, struct str body, struct event *event, struct err *err)
{
	if (!type || is_type(type, HTTP_EVENT_FORM))
		take_form(body, event);
	else if (is_type(type, "application/json"))
		return json_read(body, LIMIT_JSON_BYTES, &event->data, err);
	else if (body.len > 0)
		event->data = json_text(body);
	return 0;
}

int http_event_decode(const char *method, const char *type, struct str body, struct event *ret,
                      struct err *err)
{
	struct event event = { .type = EVENT_EXTERNAL };
	if (body.len > LIMIT_JSON_BYTES)
		return err_set_id(err, ERR_LIMIT, "limit.json_bytes",
		                  "the body of an event has more than %d bytes", LIMIT_JSON_BYTES);
	if (!str_is_utf8(body))
		return err_set_id(err, ERR_INPUT, "event.utf8", "the body of an event is no UTF-8");
	if (take_body(type, body, &event, err) < 0)
		return err->code;
	if (!event.name || event.name[0] == '\0') {
		free(event.name);
		event.name = mem_format("HTTP.%s", method);
	}
	event.origintype = mem_dup_str(HTTP_EVENT_TYPE);
	json_t *raw = json_text(body);
	event.raw = mem_dup_str(json_string_value(raw));
	json_decref(raw);
	*ret = event;
	return 0;
}
