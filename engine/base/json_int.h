/* SPDX-License-Identifier: MIT */
/* What the files of base/json share. */
#ifndef BASE_JSON_INT_H
#define BASE_JSON_INT_H

#include "base/json.h"

/*
 * The value of a text that is valid UTF-8, when it is plain: within the limits of
 * depth and nodes, numbers that are kept exactly, no member twice.  New; NULL
 * says nothing: the text may be fine all the same.
 */
json_t *json_quick(struct str text);

/*
 * The first byte of p that a JSON text may not hold as it is within a string
 * (a quote, a backslash, a control character), or end.
 */
const char *json_plain_end(const char *p, const char *end);

#endif
