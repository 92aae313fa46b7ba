/* SPDX-License-Identifier: MIT */
/* Borrowed bytes with a length.  Not NUL-terminated; owns nothing. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>

struct str {
	const char *ptr;
	size_t len;
};

#define STR_LIT(text) ((struct str){ "" text, sizeof(text) - 1 })

struct str str_of(const char *text); /* NULL gives an empty str */
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *text);
bool str_begins(const char *text, const char *prefix);
bool str_ends(const char *text, const char *suffix);
/* Valid UTF-8 without surrogates or overlong forms (RFC 3629)? */
bool str_is_utf8(struct str text);
/* The nearest of the candidates by edit distance, for "did you mean"; NULL when none is near. */
const char *str_nearest(const char *name, const char *const *candidates, size_t count);

#endif
