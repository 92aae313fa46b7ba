/* SPDX-License-Identifier: MIT */
/*
 * As much of RFC 3986 as references between schemas need: a reference is
 * resolved against its base and cut into what names a document and what names
 * a place in it.  Nothing is normalised but dot segments: two spellings of one
 * URI are two URIs, as the draft allows.
 */
#include <string.h>

#include "base/must.h"
#include "schema/schema_int.h"

/* Parts keep their delimiters ("http:", "//host", "?a"); an absent part is empty. */
struct uri {
	struct str scheme, authority, path, query, fragment;
};

static struct str cut(const char **text, size_t len)
{
	struct str ret = { *text, len };
	*text += len;
	return ret;
}

static size_t scheme_len(const char *text)
{
	size_t len = strspn(text,
	                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
	bool letter = (text[0] | 32) >= 'a' && (text[0] | 32) <= 'z';
	return letter && text[len] == ':' ? len + 1 : 0;
}

static struct uri uri_parse(const char *text)
{
	struct uri uri;
	uri.scheme = cut(&text, scheme_len(text));
	uri.authority = cut(&text, str_begins(text, "//") ? 2 + strcspn(text + 2, "/?#") : 0);
	uri.path = cut(&text, strcspn(text, "?#"));
	uri.query = cut(&text, strcspn(text, "#"));
	uri.fragment = cut(&text, strlen(text));
	return uri;
}

/* Everything of the base's path up to its last '/', then the reference's (RFC 3986, 5.2.3). */
static char *merge_paths(struct arena *arena, const struct uri *base, struct str path)
{
	size_t keep = base->path.len;
	while (keep > 0 && base->path.ptr[keep - 1] != '/')
		keep--;
	const char *root = base->authority.len > 0 && base->path.len == 0 ? "/" : "";
	return arena_format(arena, "%s%.*s%.*s", root, (int)keep, base->path.ptr, (int)path.len,
	                    path.ptr);
}

/*
 * RFC 3986, 5.2.4, in place: the result is never longer.  A path that was
 * relative stays so, because a schema read from a file may have no base at all.
 */
static void remove_dot_segments(char *path)
{
	bool is_relative = path[0] != '/';
	char *out = path;
	const char *in = path;
	while (*in) {
		size_t len = (*in == '/') + strcspn(in + (*in == '/'), "/");
		struct str segment = { in, len };
		bool last = in[len] == '\0';
		if (str_is(segment, "/.") || str_is(segment, ".")) {
			if (last && *in == '/')
				*out++ = '/';
		} else if (str_is(segment, "/..") || str_is(segment, "..")) {
			while (out > path && *--out != '/')
				;
			if (last && *in == '/')
				*out++ = '/';
		} else {
			memmove(out, in, len);
			out += len;
		}
		in += len;
	}
	*out = '\0';
	if (is_relative && path[0] == '/')
		memmove(path, path + 1, strlen(path));
}

static char *join(struct arena *arena, struct str scheme, struct str authority, const char *path,
                  struct str query)
{
	return arena_format(arena, "%.*s%.*s%s%.*s", (int)scheme.len, scheme.ptr,
	                    (int)authority.len, authority.ptr, path, (int)query.len, query.ptr);
}

char *uri_resolve(struct arena *arena, const char *base_text, const char *reference)
{
	struct uri base = uri_parse(base_text), ref = uri_parse(reference);
	if (ref.scheme.len > 0) {
		char *path = arena_dup(arena, ref.path.ptr, ref.path.len);
		if (path[0] == '/')
			remove_dot_segments(path);
		return join(arena, ref.scheme, ref.authority, path, ref.query);
	}
	if (ref.authority.len == 0 && ref.path.len == 0)
		return join(arena, base.scheme, base.authority,
		            arena_dup(arena, base.path.ptr, base.path.len),
		            ref.query.len > 0 ? ref.query : base.query);
	char *path = ref.authority.len > 0 || ref.path.ptr[0] == '/'
	                     ? arena_dup(arena, ref.path.ptr, ref.path.len)
	                     : merge_paths(arena, &base, ref.path);
	remove_dot_segments(path);
	return join(arena, base.scheme, ref.authority.len > 0 ? ref.authority : base.authority,
	            path, ref.query);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	char lower = (char)(c | 32);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

char *uri_fragment(struct arena *arena, const char *reference)
{
	struct str raw = uri_parse(reference).fragment;
	char *ret = arena_alloc(arena, raw.len + 1);
	size_t len = 0;
	for (size_t i = 1; i < raw.len; i++) {
		int high = raw.ptr[i] == '%' && i + 2 < raw.len ? hex_value(raw.ptr[i + 1]) : -1;
		int low = high >= 0 ? hex_value(raw.ptr[i + 2]) : -1;
		if (low >= 0 && high * 16 + low != 0) {
			ret[len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			ret[len++] = raw.ptr[i];
		}
	}
	must(len <= raw.len);
	return ret;
}
