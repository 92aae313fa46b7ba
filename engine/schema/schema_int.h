/* SPDX-License-Identifier: MIT */
/*
 * The compiled form of a schema, shared by the files of schema/ only.
 *
 * Every subschema becomes one node: a list of rules, each with the types of
 * value it looks at.  References are pointers between nodes, so that a check
 * walks nodes and the value and never the schema's JSON.  A resource is what
 * one $id names; nodes know theirs, because $dynamicRef asks through which
 * resources the check has come.
 */
#ifndef SCHEMA_INT_H
#define SCHEMA_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "base/vec.h"
#include "schema/schema.h"

/* --- compiled nodes --------------------------------------------------------- */

enum type {
	TYPE_NULL = 1,
	TYPE_BOOLEAN = 2,
	TYPE_OBJECT = 4,
	TYPE_ARRAY = 8,
	TYPE_STRING = 16,
	TYPE_NUMBER = 32,
	TYPE_INTEGER = 64, /* set together with TYPE_NUMBER on values */
	TYPE_ANY = 127
};

enum rule_kind {
	/* Assertions about the value itself. */
	RULE_TYPE,
	RULE_CONST,
	RULE_ENUM,
	RULE_MULTIPLE_OF,
	RULE_MAXIMUM,
	RULE_EXCLUSIVE_MAXIMUM,
	RULE_MINIMUM,
	RULE_EXCLUSIVE_MINIMUM,
	RULE_MAX_LENGTH,
	RULE_MIN_LENGTH,
	RULE_PATTERN,
	RULE_MAX_ITEMS,
	RULE_MIN_ITEMS,
	RULE_UNIQUE_ITEMS,
	RULE_MAX_PROPERTIES,
	RULE_MIN_PROPERTIES,
	RULE_REQUIRED,
	RULE_DEPENDENT_REQUIRED,
	/* Applicators: they apply other nodes. */
	RULE_MEMBERS, /* properties, patternProperties, additionalProperties */
	RULE_PROPERTY_NAMES,
	RULE_ITEMS, /* prefixItems, items */
	RULE_CONTAINS,
	RULE_REF,
	RULE_DYNAMIC_REF,
	RULE_ALL_OF,
	RULE_ANY_OF,
	RULE_ONE_OF,
	RULE_NOT,
	RULE_IF,
	RULE_DEPENDENT_SCHEMAS,
	/* These look at what the others left over: always last in a node. */
	RULE_UNEVALUATED_ITEMS,
	RULE_UNEVALUATED_PROPERTIES
};

struct pattern; /* one compiled regular expression */
struct node;

struct nodes {
	struct node **at;
	size_t len;
};

struct members_pattern {
	struct pattern *pattern;
	struct node *node;
};

/* properties, patternProperties and additionalProperties are one loop over the object. */
struct members {
	struct map named; /* struct node by property name */
	struct members_pattern *patterns;
	size_t pattern_count;
	struct node *rest; /* NULL: no additionalProperties */
};

struct items {
	struct nodes prefix;
	struct node *rest; /* NULL: no items */
};

struct contains {
	struct node *node;
	size_t min, max;
};

struct conditional {
	struct node *condition, *yes, *no; /* yes and no may be NULL */
};

struct dependent {
	struct str name;
	struct str *names; /* dependentRequired */
	size_t count;
	struct node *node; /* dependentSchemas */
};

struct rule {
	enum rule_kind kind;
	unsigned int applies; /* types of value it looks at */
	size_t count;         /* a limit, or the length of the array below */
	union {
		unsigned int types;
		const json_t *number; /* maximum and its like */
		const json_t *value;  /* const; enum: the array */
		struct pattern *pattern;
		struct str *names; /* required */
		struct dependent *dependents;
		struct members *members;
		struct items items;
		struct contains contains;
		struct conditional conditional;
		struct nodes nodes;
		struct node *node;
		struct {
			struct node
				*node; /* where it leads when no resource on the way says more */
			size_t name;   /* id of the dynamic anchor */
		} dynamic;
	} as;
};

struct resource;

struct node {
	const struct resource *resource; /* NULL for true and false */
	const char *pointer;             /* place within the resource */
	const char *description;         /* for hints; NULL when there is none */
	struct rule *rules;
	size_t rule_count;
	bool is_boolean, boolean;
	bool tracks;        /* has an unevaluated rule: remembers which members were looked at */
	unsigned char mark; /* of the search for loops; compile time only */
};

struct dynamic_anchor {
	size_t name;
	struct node *node;
};

/* What one $id names: the base of its references and the scope of its anchors. */
struct resource {
	const char *uri;
	struct dynamic_anchor *dynamic;
	size_t dynamic_count;
	struct origin *origin; /* compile time only: schema_index.c's view of it */
};

struct schema {
	struct arena arena;
	struct node *root;
	bool is_dynamic; /* some $dynamicRef has more than one place to lead to */
};

/* --- compiling (schema_index.c, schema_compile.c, schema_keywords.c) ------------ */

enum vocabulary {
	VOCABULARY_CORE = 1,
	VOCABULARY_APPLICATOR = 2,
	VOCABULARY_UNEVALUATED = 4,
	VOCABULARY_VALIDATION = 8,
	VOCABULARY_META_DATA = 16,
	VOCABULARY_FORMAT = 32,
	VOCABULARY_CONTENT = 64,
	VOCABULARY_ALL = 127
};

/* A subschema: its JSON, and the JSON pointer to it from the root of its resource. */
struct location {
	struct resource *resource;
	const char *pointer;
	const json_t *json;
};

struct anchor {
	struct location location;
	bool is_dynamic;
	size_t name; /* of a dynamic one: struct dynamic_anchor */
};

/* What is known of a resource while schemas are compiled. */
struct origin {
	size_t id;
	const json_t *json;
	const char *document; /* URI of its file; "" for the schema given to schema_new() */
	const char *prefix;   /* JSON pointer from the file's root to the resource's */
	unsigned int vocabularies;
	struct map anchors; /* struct anchor by name */
};

struct pending {
	struct node *node;
	struct location at;
};

struct compiler {
	struct schema *schema;
	struct arena arena; /* gone after compiling */
	const struct schema_source *source;
	struct err *err;
	struct map resources; /* struct resource by URI */
	struct map walked;    /* struct location by the place it was found at */
	struct map nodes;     /* struct node by location */
	struct map names;     /* of dynamic anchors; struct dynamic_name */
	VEC(struct resource *) all;
	VEC(struct pending) queue;
	VEC(json_t *) built_in;
	size_t node_count;
	bool has_dynamic_refs;
};

/* ERR_INPUT at the place of at (and its keyword, unless NULL), as the author would name it. */
int compile_refuse(struct compiler *compiler, const struct location *at, const char *keyword,
                   const char *format, ...) ATTR_PRINTF(4, 5);
const char *json_kind(const json_t *value); /* "a string", "an object", ... */
/* Reads the schema given to schema_new() and every $id and anchor in it. */
int index_main(struct compiler *compiler, const json_t *json, const char *uri,
               struct location *ret) ATTR_MUST_USE;
/* The subschema below at; key and then index (when key2 is not NULL) lead to it. */
int index_child(struct compiler *compiler, const struct location *at, const char *key,
                const char *key2, const json_t *json, struct location *ret) ATTR_MUST_USE;
/* What a $ref at this place leads to; *ret_anchor is NULL unless it names one. */
int index_target(struct compiler *compiler, const struct location *at, const char *keyword,
                 const char *reference, struct location *ret,
                 const struct anchor **ret_anchor) ATTR_MUST_USE;
bool index_has(const struct location *at, enum vocabulary vocabulary);

/* The node of a location, compiled now or later; NULL when there are too many. */
struct node *compile_node(struct compiler *compiler, const struct location *at);
/* Fills the node from its JSON. */
int keywords_compile(struct compiler *compiler, struct node *node,
                     const struct location *at) ATTR_MUST_USE;

/* --- URIs (schema_uri.c) ------------------------------------------------------ */

/* RFC 3986, 5.2: reference against base, without the fragment. */
char *uri_resolve(struct arena *arena, const char *base, const char *reference);
/* The fragment, percent-decoded; "" when there is none. */
char *uri_fragment(struct arena *arena, const char *reference);

/* --- patterns (schema_pattern.c, schema_ecma.c) -------------------------------- */

/* The work of one check on patterns; zero it, then matcher_release(). */
struct matcher {
	void *data, *context; /* PCRE2's; made at the first match */
	uint64_t steps;       /* LIMIT_PATTERN_STEPS at most */
	size_t last;
	bool is_over; /* a limit was passed: the answer is unknown */
};

struct pattern *pattern_new(struct arena *arena, const char *text, struct err *err);
const char *pattern_text(const struct pattern *pattern);
bool pattern_matches(const struct pattern *pattern, struct str text, struct matcher *matcher);
void matcher_release(struct matcher *matcher);
/* What ECMA-262 (with the flag u) says in PCRE2's words, into out. */
int ecma_translate(const char *text, struct buf *out, struct err *err) ATTR_MUST_USE;

/* --- values (schema_value.c) ---------------------------------------------------- */

unsigned int value_types(const json_t *value);
int value_compare(const json_t *a, const json_t *b); /* of numbers: <0, 0, >0 */
bool value_is_multiple(const json_t *value, const json_t *divisor);
/* JSON Schema's equality: 1 is 1.0, members have no order. */
bool value_equal(const json_t *a, const json_t *b);
/*
 * The first pair of equal items, or false.  *steps counts comparisons down;
 * at 0 the search gives up and says false.
 */
bool value_find_twins(const json_t *array, size_t *steps, size_t *ret_first, size_t *ret_second);
size_t value_length(const json_t *string); /* in characters */
struct str value_str(const json_t *string);

/* --- meta-schemas (schema_meta.c) ------------------------------------------------ */

/* A built-in document, new; NULL when uri names none. */
json_t *meta_new(const char *uri);

/* --- checking (schema_check.c, schema_explain.c) ----------------------------------- */

/* Where in the value: the path of members and items from its root. */
struct place {
	const struct place *outer; /* NULL: the root itself */
	const char *key;           /* NULL: an item */
	size_t index;
	size_t depth;
};

struct finding {
	const char *at, *keyword, *text, *hint; /* hint may be "" */
	size_t depth;
};

struct report {
	struct arena arena;
	VEC(struct finding) found;
	size_t max;
};

struct scope {
	const struct scope *outer;
	const struct resource *resource;
};

/* One check of one value; lives on the caller's stack. */
struct check {
	const struct schema *schema;
	struct report *report; /* NULL while only yes or no is asked */
	const struct scope *scope;
	size_t steps; /* left */
	size_t depth;
	const char *limit; /* the name of the limit that was passed: no answer is to be trusted */
	struct matcher matcher;
};

/* Which members or items of one value some rule has looked at. */
struct seen {
	uint64_t *bits;
	size_t count;
	uint64_t few[4]; /* enough for 256 of them without allocation */
};

void seen_begin(struct seen *seen, const json_t *value);
void seen_end(struct seen *seen);
void seen_merge(struct seen *into, const struct seen *from);
void seen_mark(struct seen *seen, size_t i); /* seen may be NULL */
void seen_mark_all(struct seen *seen);

/* Does node hold for value?  seen (may be NULL) collects what was looked at when it does. */
bool check_node(struct check *check, const struct node *node, const json_t *value,
                const struct place *at, struct seen *seen);
/* The same when a failure is no failure of the whole: nothing reported, nothing left in seen. */
bool check_branch(struct check *check, const struct node *node, const json_t *value,
                  const struct place *at, struct seen *seen);
bool check_rule(struct check *check, const struct node *node, const struct rule *rule,
                const json_t *value, const struct place *at, struct seen *seen);
bool check_stop(struct check *check, const char *limit); /* false, so that it can be returned */
bool report_full(const struct report *report);

/* These say why a rule does not hold; they are called only while check->report is set. */
void explain_rule(struct check *check, const struct node *node, const struct rule *rule,
                  const json_t *value, const struct place *at);
void explain_unknown(struct check *check, const struct node *node, const char *keyword,
                     const struct place *at);
void explain_item(struct check *check, const char *keyword, const struct place *at,
                  size_t expected);
void explain_false(struct check *check, const struct place *at);
void explain_name(struct check *check, const struct node *names, const json_t *name,
                  const struct place *at);
void explain_none(struct check *check, const struct rule *rule, const json_t *value,
                  const struct place *at);
void explain_several(struct check *check, const struct rule *rule, size_t matching,
                     const struct place *at);
void explain_contains(struct check *check, const struct rule *rule, size_t matching,
                      const struct place *at);

#endif
