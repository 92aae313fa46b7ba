/* SPDX-License-Identifier: MIT */
#include "base/str.h"

#include <stdint.h>
#include <string.h>

struct str str_of(const char *text)
{
	return (struct str){ text ? text : "", text ? strlen(text) : 0 };
}

bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_is(struct str a, const char *text)
{
	return str_eq(a, str_of(text));
}

bool str_begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *text, const char *suffix)
{
	size_t text_len = strlen(text), suffix_len = strlen(suffix);
	return text_len >= suffix_len && strcmp(text + text_len - suffix_len, suffix) == 0;
}

/* How many bytes the sequence at p takes; 0 when it is not valid. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	if (p[0] < 0x80)
		return 1;
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || left < len)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
	bool beyond = p[0] == 0xf4 && p[1] >= 0x90;
	return overlong || surrogate || beyond ? 0 : len;
}

bool str_is_utf8(struct str text)
{
	const unsigned char *p = (const unsigned char *)text.ptr;
	for (size_t i = 0; i < text.len;) {
		uint64_t word;
		/* Most text is plain: eight bytes at a time. */
		if (text.len - i >= sizeof(word)) {
			memcpy(&word, p + i, sizeof(word));
			if ((word & 0x8080808080808080) == 0) {
				i += sizeof(word);
				continue;
			}
		}
		size_t len = utf8_len(p + i, text.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

enum { NEAREST_NAME_MAX = 64 };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Levenshtein distance of two short names without regard to case; one row is enough. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NEAREST_NAME_MAX + 1];
	size_t a_len = strlen(a), b_len = strlen(b);
	if (a_len > NEAREST_NAME_MAX || b_len > NEAREST_NAME_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t replace = diagonal + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
			size_t change = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			diagonal = row[j];
			row[j] = replace < change ? replace : change;
		}
	}
	return row[b_len];
}

const char *str_nearest(const char *name, const char *const *candidates, size_t count)
{
	const char *best = NULL;
	size_t name_len = strlen(name);
	size_t best_distance = name_len / 3 + 2;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(candidates[i]);
		size_t d = distance(name, candidates[i]);
		/* Names that share no character are not near, however short they are. */
		if (d < best_distance && d < (len > name_len ? len : name_len)) {
			best_distance = d;
			best = candidates[i];
		}
	}
	return best;
}
