/* SPDX-License-Identifier: MIT */
/*
 * Comparing what a story wants with what it got.  An object wants its members
 * and allows others; a list wants the same length; {"$contains": x} wants a text
 * with x in it, or a list with such an item; {"$any": true} wants anything at
 * all, {"$absent": true} nothing.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_story.h"

enum { SHOWN_BYTES = 200 };

char *story_show(const json_t *value)
{
	char *text = value ? json_canon(value) : mem_dup_str("nothing");
	size_t len = strlen(text);
	if (len <= SHOWN_BYTES)
		return text;
	len = SHOWN_BYTES;
	while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--; /* no character is cut in two */
	char *cut = mem_format("%.*s...", (int)len, text);
	free(text);
	return cut;
}

void story_differs(json_t *differs, const char *format, ...)
{
	char text[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_push(differs, json_text(str_of(text)));
}

static bool differ(const json_t *wanted, const json_t *got, const char *verb, const char *place,
                   json_t *differs)
{
	char *want = story_show(wanted), *have = story_show(got);
	story_differs(differs, "%s: %s %s, got %s", place, verb, want, have);
	free(want);
	free(have);
	return false;
}

static bool is_same_scalar(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b) && json_typeof(a) != json_typeof(b))
		return json_number_value(a) >= json_number_value(b) &&
		       json_number_value(a) <= json_number_value(b);
	return json_equal((json_t *)(uintptr_t)a, (json_t *)(uintptr_t)b);
}

static bool has_item(const json_t *wanted, const json_t *list)
{
	json_t *ignored = json_array();
	bool ret = false;
	for (size_t i = 0; !ret && i < json_array_size(list); i++)
		ret = story_match(wanted, json_array_get(list, i), "", ignored);
	json_decref(ignored);
	return ret;
}

static bool match_contains(const json_t *wanted, const json_t *got, const char *place,
                           json_t *differs)
{
	bool is_text = json_is_string(wanted) && json_is_string(got);
	if (is_text ? strstr(json_string_value(got), json_string_value(wanted)) != NULL
	            : has_item(wanted, got))
		return true;
	return differ(wanted, got, "wanted something with", place, differs);
}

static bool match_array(const json_t *wanted, const json_t *got, const char *place, json_t *differs)
{
	if (!json_is_array(got) || json_array_size(got) != json_array_size(wanted))
		return differ(wanted, got, "wanted", place, differs);
	bool ret = true;
	for (size_t i = 0; i < json_array_size(wanted); i++) {
		char *at = mem_format("%s[%zu]", place, i);
		ret = story_match(json_array_get(wanted, i), json_array_get(got, i), at, differs) &&
		      ret;
		free(at);
	}
	return ret;
}

static bool match_object(const json_t *wanted, const json_t *got, const char *place,
                         json_t *differs)
{
	const char *key;
	json_t *value;
	if (!json_is_object(got))
		return differ(wanted, got, "wanted", place, differs);
	bool ret = true;
	json_object_foreach((json_t *)(uintptr_t)wanted, key, value) {
		char *at = mem_format("%s%s%s", place, *place ? "." : "", key);
		ret = story_match(value, json_at(got, key), at, differs) && ret;
		free(at);
	}
	return ret;
}

bool story_match(const json_t *wanted, const json_t *got, const char *place, json_t *differs)
{
	if (json_truth(wanted, "$absent", false))
		return !got || differ(wanted, got, "wanted nothing", place, differs);
	if (json_truth(wanted, "$any", false))
		return got || differ(wanted, got, "wanted", place, differs);
	if (json_at(wanted, "$contains"))
		return match_contains(json_at(wanted, "$contains"), got, place, differs);
	if (json_is_object(wanted))
		return match_object(wanted, got, place, differs);
	if (json_is_array(wanted))
		return match_array(wanted, got, place, differs);
	return (got && is_same_scalar(wanted, got)) ||
	       differ(wanted, got, "wanted", place, differs);
}
