/* SPDX-License-Identifier: MIT */
/*
 * The allow-list and the masks.  First the tree is cut down to what fields
 * name; then three passes over what is left: values at mask paths become
 * tokens, further occurrences of those texts do, and whatever has the shape of
 * an e-mail address, of an IBAN, a card, tax or phone number does.
 */
#include "release/release_mask.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "release/release_shape.h"

enum { OCCURRENCE_MIN_BYTES = 4, PHONE_DIGITS_MIN = 8, PHONE_DIGITS_MAX = 15 };

struct masking {
	json_t *tokens;  /* token -> original */
	json_t *by_text; /* original -> token, in order of finding */
	json_t *counts;  /* class -> last number */
};

/* --- the allow-list ------------------------------------------------------------------------- */

/* Does path, at most as far as at, allow this place?  Paths look like "a.b[].c". */
static bool is_allowed(const json_t *fields, const char *at)
{
	for (size_t i = 0; i < json_array_size(fields); i++)
		if (strcmp(json_string_value(json_array_get(fields, i)), at) == 0)
			return true;
	return false;
}

static bool is_begun(const json_t *fields, const char *at)
{
	size_t len = strlen(at);
	for (size_t i = 0; i < json_array_size(fields); i++)
		if (strncmp(json_string_value(json_array_get(fields, i)), at, len) == 0)
			return true;
	return len == 0;
}

static json_t *cut(const json_t *value, const json_t *fields, const char *at, size_t list_max);

/* A name that could be read as a path ("a.b", "a[]") is allowed by none. */
static bool is_name(const char *key)
{
	const char *c = key;
	while (isalnum((unsigned char)*c) || *c == '_')
		c++;
	return c > key && *c == '\0';
}

static json_t *cut_object(const json_t *value, const json_t *fields, const char *at,
                          size_t list_max)
{
	json_t *ret = json_object();
	const char *key;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)value, key, member) {
		if (!is_name(key))
			continue;
		char *path = mem_format("%s%s%s", at, *at ? "." : "", key);
		json_put(ret, key, cut(member, fields, path, list_max));
		free(path);
	}
	if (json_object_size(ret) > 0)
		return ret;
	json_decref(ret);
	return NULL;
}

static json_t *cut_list(const json_t *value, const json_t *fields, const char *at, size_t list_max)
{
	json_t *ret = json_array();
	char *path = mem_format("%s[]", at);
	for (size_t i = 0; i < json_array_size(value) && json_array_size(ret) < list_max; i++) {
		json_t *item = cut(json_array_get(value, i), fields, path, list_max);
		if (item)
			json_push(ret, item);
	}
	free(path);
	if (json_array_size(ret) > 0)
		return ret;
	json_decref(ret);
	return NULL;
}

static json_t *cut(const json_t *value, const json_t *fields, const char *at, size_t list_max)
{
	if (!is_begun(fields, at))
		return NULL;
	if (json_is_object(value))
		return cut_object(value, fields, at, list_max);
	if (json_is_array(value))
		return cut_list(value, fields, at, list_max);
	return is_allowed(fields, at) ? json_deep_copy(value) : NULL;
}

/* --- tokens ----------------------------------------------------------------------------------- */

static const char *token_of(struct masking *m, const char *class, const char *text)
{
	const char *known = json_str(m->by_text, text, NULL);
	if (known)
		return known;
	int64_t number = json_int(m->counts, class, 0) + 1;
	json_put_int(m->counts, class, number);
	char token[48];
	snprintf(token, sizeof(token), "[%s_%lld]", class, (long long)number);
	for (char *c = token; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	json_put_str(m->tokens, token, text);
	json_put_str(m->by_text, text, token);
	return json_str(m->by_text, text, "");
}

/* A value that already looks like a token is not trusted: its brackets become parentheses. */
static char *defuse(const char *text)
{
	char *ret = mem_dup_str(text);
	for (char *open = ret; (open = strchr(open, '[')); open++) {
		char *c = open + 1;
		while (isupper((unsigned char)*c))
			c++;
		if (c == open + 1 || *c != '_' || !isdigit((unsigned char)c[1]))
			continue;
		for (c++; isdigit((unsigned char)*c);)
			c++;
		if (*c == ']') {
			*open = '(';
			*c = ')';
		}
	}
	return ret;
}

typedef json_t *visit_fn(struct masking *m, const char *path, json_t *value, const void *arg);

/* Replaces each scalar by what visit answers (NULL: stays); keys in byte order, lists in theirs. */
static void walk(struct masking *m, json_t *value, const char *at, visit_fn *visit, const void *arg)
{
	if (json_is_object(value)) {
		char *text = json_dumps(value, JSON_SORT_KEYS);
		json_t *sorted = json_loads(text, 0, NULL);
		free(text);
		const char *key;
		json_t *ignored;
		json_object_foreach(sorted, key, ignored) {
			char *path = mem_format("%s%s%s", at, *at ? "." : "", key);
			json_t *member = json_object_get(value, key);
			json_t *now = json_is_object(member) || json_is_array(member)
			                      ? NULL
			                      : visit(m, path, member, arg);
			if (now)
				json_put(value, key, now);
			else
				walk(m, member, path, visit, arg);
			free(path);
		}
		json_decref(sorted);
	} else if (json_is_array(value)) {
		char *path = mem_format("%s[]", at);
		for (size_t i = 0; i < json_array_size(value); i++) {
			json_t *item = json_array_get(value, i);
			json_t *now = json_is_object(item) || json_is_array(item)
			                      ? NULL
			                      : visit(m, path, item, arg);
			if (now)
				json_array_set_new(value, i, now);
			else
				walk(m, item, path, visit, arg);
		}
		free(path);
	}
}

static json_t *visit_defuse(struct masking *m, const char *path, json_t *value, const void *arg)
{
	(void)m;
	(void)path;
	(void)arg;
	if (!json_is_string(value))
		return NULL;
	char *text = defuse(json_string_value(value));
	json_t *ret = json_text(str_of(text));
	free(text);
	return ret;
}

static json_t *visit_mask(struct masking *m, const char *path, json_t *value, const void *arg)
{
	const char *class;
	json_t *paths;
	json_object_foreach((json_t *)(uintptr_t)arg, class, paths) {
		if (!is_allowed(paths, path) || json_is_null(value) || json_is_boolean(value))
			continue;
		char *text = json_is_string(value) ? mem_dup_str(json_string_value(value))
		                                   : json_canon(value);
		json_t *ret = *text ? json_string(token_of(m, class, text)) : NULL;
		free(text);
		return ret;
	}
	return NULL;
}

/* --- further occurrences ---------------------------------------------------------------------- */

static void put_replaced(struct buf *out, const char *text, const char *what, const char *token)
{
	size_t len = strlen(what);
	for (const char *found; (found = strcasestr(text, what)); text = found + len) {
		buf_put_len(out, text, (size_t)(found - text));
		buf_put(out, token);
	}
	buf_put(out, text);
}

static json_t *visit_occurrences(struct masking *m, const char *path, json_t *value,
                                 const void *arg)
{
	(void)path;
	(void)arg;
	if (!json_is_string(value))
		return NULL;
	char *text = mem_dup_str(json_string_value(value));
	const char *what;
	json_t *token;
	json_object_foreach(m->by_text, what, token) {
		if (strlen(what) < OCCURRENCE_MIN_BYTES || !strcasestr(text, what) ||
		    json_object_get(m->tokens, text))
			continue;
		struct buf out;
		buf_init(&out, 16 * strlen(text) + 1024);
		put_replaced(&out, text, what, json_string_value(token));
		free(text);
		text = buf_take(&out);
	}
	json_t *ret = json_text(str_of(text));
	free(text);
	return ret;
}

/* --- shapes ----------------------------------------------------------------------------------- */

static bool is_mail_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("._%+-", c));
}

/* An address around the '@' at text[at]: its bounds, or false. */
static bool mail_bounds(const char *text, size_t at, size_t *start, size_t *end)
{
	*start = at;
	while (*start > 0 && is_mail_char(text[*start - 1]))
		(*start)--;
	*end = at + 1;
	bool has_dot = false;
	while (isalnum((unsigned char)text[*end]) || text[*end] == '-' ||
	       (text[*end] == '.' && isalnum((unsigned char)text[*end + 1]))) {
		has_dot = has_dot || text[*end] == '.';
		(*end)++;
	}
	return *start < at && has_dot;
}

static bool is_iso_date(const char *text, size_t len)
{
	return len >= 10 && text[4] == '-' && text[7] == '-' && isdigit((unsigned char)text[9]) &&
	       (len == 10 || text[10] == 'T' || text[10] == ' ');
}

/* A phone number at the start of text: its length, or 0. */
static size_t phone_length(const char *text)
{
	size_t at = text[0] == '+' ? 1 : 0, end = 0;
	int digits = 0;
	if (!isdigit((unsigned char)text[at]) && text[at] != '(')
		return 0;
	for (; isdigit((unsigned char)text[at]) || (text[at] && strchr(" .-()", text[at])); at++) {
		if (!isdigit((unsigned char)text[at]))
			continue;
		digits++;
		end = at + 1;
	}
	bool is_word = isalpha((unsigned char)text[end]);
	if (digits < PHONE_DIGITS_MIN || digits > PHONE_DIGITS_MAX || is_word ||
	    is_iso_date(text, end))
		return 0;
	return end;
}

static json_t *visit_shapes(struct masking *m, const char *path, json_t *value, const void *arg)
{
	(void)path;
	(void)arg;
	if (!json_is_string(value))
		return NULL;
	const char *text = json_string_value(value);
	size_t len = strlen(text);
	struct buf out;
	buf_init(&out, 16 * len + 1024);
	for (size_t i = 0; i < len;) {
		size_t start, end, at = i;
		while (is_mail_char(text[at]))
			at++;
		bool is_word_start = i == 0 || !isalnum((unsigned char)text[i - 1]);
		const char *class = "phone";
		size_t number_len = is_word_start ? shape_length(text + i, &class) : 0;
		if (is_word_start && number_len == 0) {
			class = "phone";
			number_len = phone_length(text + i);
		}
		if (text[at] == '@' && mail_bounds(text, at, &start, &end) && start == i) {
			char *mail = mem_dup(text + start, end - start);
			buf_put(&out, token_of(m, "email", mail));
			free(mail);
			i = end;
		} else if (number_len > 0) {
			char *number = mem_dup(text + i, number_len);
			buf_put(&out, token_of(m, class, number));
			free(number);
			i += number_len;
		} else {
			buf_put_len(&out, text + i++, 1);
		}
	}
	json_t *ret = json_text(buf_str(&out));
	buf_release(&out);
	return ret;
}

/* After masking, so that no cut reveals a part of what was masked. */
static json_t *visit_shorten(struct masking *m, const char *path, json_t *value, const void *arg)
{
	(void)m;
	(void)path;
	size_t max = *(const size_t *)arg;
	if (!json_is_string(value) || json_string_length(value) <= max)
		return NULL;
	const char *text = json_string_value(value);
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	char *cut_text = mem_format("%.*s...", (int)max, text);
	json_t *ret = json_text(str_of(cut_text));
	free(cut_text);
	return ret;
}

json_t *mask_values(const json_t *values, const json_t *fields, const json_t *classes,
                    const struct mask_limits *limits, json_t *tokens)
{
	struct masking m = { tokens, json_object(), json_object() };
	json_t *tree = json_is_object(values) ? cut(values, fields, "", limits->list_items_max)
	                                      : NULL;
	if (!tree)
		tree = json_object();
	walk(&m, tree, "", visit_defuse, NULL);
	walk(&m, tree, "", visit_mask, classes);
	walk(&m, tree, "", visit_occurrences, NULL);
	walk(&m, tree, "", visit_shapes, NULL);
	walk(&m, tree, "", visit_shorten, &limits->text_bytes_max);
	json_decref(m.by_text);
	json_decref(m.counts);
	return tree;
}
