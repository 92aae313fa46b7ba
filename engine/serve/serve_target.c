/* SPDX-License-Identifier: MIT */
/*
 * The request's target, split before it is decoded and decoded once, so that
 * "%2f" can never become a slash and "%00" never ends a name (RELIABILITY row
 * 49).  What is refused here was never routed.
 */
#include "serve/serve_int.h"

static int refuse(struct err *err, const char *text)
{
	return err_set_id(err, ERR_INPUT, "http.target", "%s", text);
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes len bytes; is_query makes '+' a space. */
static char *decode(const char *raw, size_t len, bool is_query, struct arena *arena,
                    struct err *err)
{
	char *ret = arena_alloc(arena, len + 1);
	size_t out = 0;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)raw[i];
		if (c == '%') {
			int high = i + 2 < len ? hex_of(raw[i + 1]) : -1;
			int low = i + 2 < len ? hex_of(raw[i + 2]) : -1;
			if (high < 0 || low < 0) {
				refuse(err, "a percent sign is not followed by two hex digits");
				return NULL;
			}
			c = (unsigned char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && is_query) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f) {
			refuse(err, "the target holds a control character");
			return NULL;
		}
		ret[out++] = (char)c;
	}
	ret[out] = '\0';
	if (!str_is_utf8((struct str){ ret, out })) {
		refuse(err, "the target is not valid UTF-8");
		return NULL;
	}
	return ret;
}

static int read_path(const char *raw, size_t len, struct arena *arena, struct target *ret,
                     struct err *err)
{
	if (len == 0 || raw[0] != '/')
		return refuse(err, "the target must begin with a slash");
	for (size_t at = 1; at <= len;) {
		const char *slash = at < len ? memchr(raw + at, '/', len - at) : NULL;
		size_t end = slash ? (size_t)(slash - raw) : len;
		char *segment = decode(raw + at, end - at, false, arena, err);
		if (!segment)
			return err->code;
		if (*segment == '\0')
			return refuse(err, "the path holds an empty segment");
		if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 ||
		    strpbrk(segment, "/\\"))
			return refuse(err, "the path holds a dot segment, or an encoded slash");
		if (ret->count == TARGET_SEGMENTS)
			return refuse(err, "the path has too many segments");
		ret->segments[ret->count++] = segment;
		at = end + 1;
	}
	return ret->count > 0 ? 0 : refuse(err, "the path is empty");
}

static int read_param(const char *raw, size_t len, struct arena *arena, struct target *ret,
                      struct err *err)
{
	if (len == 0)
		return 0;
	if (ret->params == TARGET_PARAMS)
		return refuse(err, "the query has more than 64 parameters");
	const char *equals = memchr(raw, '=', len);
	size_t name_len = equals ? (size_t)(equals - raw) : len;
	char *name = decode(raw, name_len, true, arena, err);
	char *value = !name     ? NULL
	              : !equals ? arena_dup_str(arena, "")
	                        : decode(equals + 1, len - name_len - 1, true, arena, err);
	if (!value)
		return err->code;
	if (target_param(ret, name))
		return refuse(err, "a query parameter is given twice");
	ret->names[ret->params] = name;
	ret->values[ret->params++] = value;
	return 0;
}

int target_read(const char *raw, struct arena *arena, struct target *ret, struct err *err)
{
	*ret = (struct target){ 0 };
	for (const char *c = raw; *c; c++)
		if ((unsigned char)*c <= 0x20 || *c == 0x7f || *c == '#')
			return refuse(
				err, "the target holds a control character, a space or a fragment");
	size_t len = strcspn(raw, "?");
	if (read_path(raw, len, arena, ret, err) < 0)
		return err->code;
	const char *at = raw[len] ? raw + len + 1 : raw + len;
	while (*at) {
		size_t one = strcspn(at, "&");
		if (read_param(at, one, arena, ret, err) < 0)
			return err->code;
		at += one + (at[one] == '&');
	}
	return 0;
}

const char *target_param(const struct target *target, const char *name)
{
	for (size_t i = 0; i < target->params; i++)
		if (strcmp(target->names[i], name) == 0)
			return target->values[i];
	return NULL;
}
