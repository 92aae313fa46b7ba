/* SPDX-License-Identifier: MIT */
/*
 * JSON Schema, draft 2020-12 (https://json-schema.org/draft/2020-12), with
 * "format" as annotation.  A schema is compiled once and then immutable: it
 * may be shared by threads.
 *
 * Schemas never come from the network: other documents a $ref names are handed
 * in through struct schema_source, and the 2020-12 meta-schemas are built in.
 * Another draft, or a vocabulary that is required and not of the draft, is
 * refused.  Patterns are ECMA-262's with the flag u, translated for PCRE2.
 *
 * A check is bounded (LIMIT_SCHEMA_*, LIMIT_PATTERN_*) whatever the value and
 * the schema: no pattern can be kept busy by a hostile text.
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct schema;

/* Finds the document of an absolute URI (without fragment); borrowed, NULL when it has none. */
struct schema_source {
	void *ctx;
	json_t *(*find)(void *ctx, const char *uri);
};

/*
 * Compiles.  base_uri may be NULL.  source may be NULL (no other documents).
 * A schema that is itself wrong (not an object or boolean, bad $ref, bad
 * pattern, wrong keyword type, a loop) is ERR_INPUT "schema.invalid" with the
 * JSON pointer of the place ("/properties/age/minimum: must be a number, not a
 * string"), in another document after its URI; ERR_LIMIT with too many
 * subschemas.  json and what source finds are borrowed only during the call.
 */
int schema_new(const json_t *json, const char *base_uri, const struct schema_source *source,
               struct schema **ret, struct err *err) ATTR_MUST_USE;
void schema_free(struct schema *schema);

/*
 * 0 when the value is valid; else ERR_INPUT with id "schema.<keyword>", a
 * sentence that names the place as a person would write it ("customer.email:
 * is missing", "lines[2].amount: 12 is not a string"), and a hint where one
 * helps (nearest property name, allowed values, the "description" of what is
 * missing or of the wrong form).  What is shown of the value is at most 80
 * bytes, and control characters are escaped.  ERR_LIMIT "schema.limit" when a
 * limit was passed: then it is not known whether the value fits.
 */
int schema_check(const struct schema *schema, const json_t *value, struct err *err) ATTR_MUST_USE;

/*
 * All findings, at most max, as JSON [{"at","keyword","text","hint"}]; new.  at
 * is the place as a person writes it, "" for the value itself; hint may be "".
 * Empty when the value is valid; one of keyword "limit" when a limit was passed.
 */
json_t *schema_findings(const struct schema *schema, const json_t *value, size_t max);

#endif
