/* SPDX-License-Identifier: MIT */
/*
 * JSON: jansson with our error type and our limits.  The one place that
 * includes <jansson.h>; ownership words are jansson's (new, borrowed, _new
 * steals).
 *
 * json_read() refuses before a tree is built what RELIABILITY.md rows 31-36
 * name: duplicate keys, depth, size, node count, invalid UTF-8, NUL, BOM,
 * trailing bytes, integers beyond 64 bits, "-0", reals that a double would
 * make infinite or zero.  (Digits beyond a double's precision are rounded.)
 *
 * The canonical dump (json_canon) sorts keys, has no spaces, and prints reals
 * in their shortest form that reads back the same (-0.0 stays -0.0); equal
 * values give equal bytes, whatever their history, and what json_read() took
 * comes back as it was.  It is what records and hashes are made of.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Parse one JSON value (any type).  *ret is new.  Text at most max_bytes. */
int json_read(struct str text, size_t max_bytes, json_t **ret, struct err *err) ATTR_MUST_USE;
/* The file's JSON; the error names the path, line and column. */
int json_read_file(const char *path, size_t max_bytes, json_t **ret, struct err *err) ATTR_MUST_USE;

void json_canon_put(const json_t *value, struct buf *out);
char *json_canon(const json_t *value); /* to be freed by the caller */

/* Borrowed member, NULL when absent or when value is no object. */
json_t *json_at(const json_t *value, const char *key);
/* By dotted path with [n]: "a.b[0].c".  Borrowed, NULL when absent. */
json_t *json_path(const json_t *value, const char *path);
/* The member's text; fallback when absent or no string. */
const char *json_str(const json_t *value, const char *key, const char *fallback);
int64_t json_int(const json_t *value, const char *key, int64_t fallback);
bool json_truth(const json_t *value, const char *key, bool fallback);
/* Steals value; a NULL value sets nothing. */
void json_put(json_t *object, const char *key, json_t *value);
void json_put_str(json_t *object, const char *key, const char *text); /* NULL sets nothing */
void json_put_int(json_t *object, const char *key, int64_t number);
void json_push(json_t *array, json_t *value); /* steals */
/* A string value from bytes that need not be UTF-8: bad bytes and NUL become U+FFFD. */
json_t *json_text(struct str bytes);

#endif
