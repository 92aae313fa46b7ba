/* SPDX-License-Identifier: MIT */
/*
 * One subschema's JSON to one node's rules.  A table says which keyword makes
 * which rule; keywords that only mean something together (properties and its
 * two relatives, prefixItems and items, contains and its two bounds, if) are
 * made by functions of their own.  A keyword whose value is of the wrong kind
 * is refused here; unknown keywords are annotations, as the draft says.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "schema/schema_int.h"

struct build {
	struct compiler *compiler;
	const struct location *at;
	struct arena *arena; /* the schema's */
	VEC(struct rule) rules;
};

struct keyword {
	const char *name;
	enum vocabulary vocabulary;
	enum rule_kind kind;
	unsigned int applies;
	int (*build)(struct build *build, const struct keyword *keyword, const json_t *value);
};

static struct rule *add_rule(struct build *build, enum rule_kind kind, unsigned int applies)
{
	struct rule *rule = vec_add(&build->rules);
	rule->kind = kind;
	rule->applies = applies;
	return rule;
}

static int wrong_kind(struct build *build, const char *keyword, const char *wanted,
                      const json_t *value)
{
	return compile_refuse(build->compiler, build->at, keyword, "must be %s, not %s", wanted,
	                      json_kind(value));
}

static void free_json(void *json)
{
	json_decref(json);
}

/* The schema's JSON is only borrowed: what a check needs of it is copied. */
static json_t *keep(struct build *build, const json_t *value)
{
	json_t *ret = json_deep_copy(value);
	must(ret);
	arena_defer(build->arena, free_json, ret);
	return ret;
}

/* --- assertions --------------------------------------------------------------- */

static int add_type(struct build *build, const json_t *name, unsigned int *types)
{
	static const struct {
		const char *name;
		enum type type;
	} known[] = {
		{ "null", TYPE_NULL },       { "boolean", TYPE_BOOLEAN }, { "object", TYPE_OBJECT },
		{ "array", TYPE_ARRAY },     { "string", TYPE_STRING },   { "number", TYPE_NUMBER },
		{ "integer", TYPE_INTEGER },
	};
	enum { KNOWN = sizeof(known) / sizeof(known[0]) };
	const char *names[KNOWN];
	if (!json_is_string(name))
		return wrong_kind(build, "type", "the name of a type", name);
	for (size_t i = 0; i < KNOWN; i++) {
		names[i] = known[i].name;
		if (strcmp(json_string_value(name), known[i].name) == 0) {
			*types |= known[i].type;
			return 0;
		}
	}
	compile_refuse(build->compiler, build->at, "type", "'%s' is no type",
	               json_string_value(name));
	const char *near = str_nearest(json_string_value(name), names, KNOWN);
	return near ? err_hint(build->compiler->err, "did you mean '%s'?", near)
	            : err_hint(build->compiler->err,
	                       "types are null, boolean, object, array, string, "
	                       "number, integer");
}

static int build_type(struct build *build, const struct keyword *keyword, const json_t *value)
{
	unsigned int types = 0;
	if (!json_is_array(value)) {
		if (add_type(build, value, &types) < 0)
			return build->compiler->err->code;
	} else {
		for (size_t i = 0; i < json_array_size(value); i++)
			if (add_type(build, json_array_get(value, i), &types) < 0)
				return build->compiler->err->code;
		if (types == 0)
			return compile_refuse(build->compiler, build->at, "type",
			                      "must not be empty");
	}
	add_rule(build, keyword->kind, keyword->applies)->as.types = types;
	return 0;
}

static int build_value(struct build *build, const struct keyword *keyword, const json_t *value)
{
	if (keyword->kind == RULE_ENUM && !json_is_array(value))
		return wrong_kind(build, keyword->name, "an array", value);
	add_rule(build, keyword->kind, keyword->applies)->as.value = keep(build, value);
	return 0;
}

static int build_number(struct build *build, const struct keyword *keyword, const json_t *value)
{
	if (!json_is_number(value))
		return wrong_kind(build, keyword->name, "a number", value);
	if (keyword->kind == RULE_MULTIPLE_OF && json_number_value(value) <= 0)
		return compile_refuse(build->compiler, build->at, keyword->name,
		                      "must be more than 0");
	add_rule(build, keyword->kind, keyword->applies)->as.number = keep(build, value);
	return 0;
}

static int read_count(struct build *build, const char *keyword, const json_t *value, size_t *ret)
{
	bool is_whole = value_types(value) & TYPE_INTEGER;
	if (!is_whole || json_number_value(value) < 0 || json_number_value(value) > 1e15)
		return compile_refuse(build->compiler, build->at, keyword,
		                      "must be a whole number from 0 on");
	*ret = (size_t)json_number_value(value);
	return 0;
}

static int build_count(struct build *build, const struct keyword *keyword, const json_t *value)
{
	size_t count;
	if (read_count(build, keyword->name, value, &count) < 0)
		return build->compiler->err->code;
	add_rule(build, keyword->kind, keyword->applies)->count = count;
	return 0;
}

static int build_pattern(struct build *build, const struct keyword *keyword, const json_t *value)
{
	if (!json_is_string(value))
		return wrong_kind(build, keyword->name, "a string", value);
	struct err err = { 0 };
	struct pattern *pattern = pattern_new(build->arena, json_string_value(value), &err);
	if (!pattern)
		return compile_refuse(build->compiler, build->at, keyword->name,
		                      "is no regular expression: %s", err.text);
	add_rule(build, keyword->kind, keyword->applies)->as.pattern = pattern;
	return 0;
}

static int build_unique(struct build *build, const struct keyword *keyword, const json_t *value)
{
	if (!json_is_boolean(value))
		return wrong_kind(build, keyword->name, "a boolean", value);
	if (json_is_true(value))
		add_rule(build, keyword->kind, keyword->applies);
	return 0;
}

static int read_names(struct build *build, const char *keyword, const json_t *value,
                      struct str **ret, size_t *ret_count)
{
	if (!json_is_array(value))
		return wrong_kind(build, keyword, "an array of property names", value);
	size_t count = json_array_size(value);
	*ret = arena_alloc(build->arena, count * sizeof(**ret));
	*ret_count = count;
	for (size_t i = 0; i < count; i++) {
		const json_t *name = json_array_get(value, i);
		if (!json_is_string(name))
			return wrong_kind(build, keyword, "an array of property names", name);
		struct str text = value_str(name);
		(*ret)[i] = (struct str){ arena_dup(build->arena, text.ptr, text.len), text.len };
	}
	return 0;
}

static int build_required(struct build *build, const struct keyword *keyword, const json_t *value)
{
	struct rule *rule = add_rule(build, keyword->kind, keyword->applies);
	return read_names(build, keyword->name, value, &rule->as.names, &rule->count);
}

/* dependentRequired and dependentSchemas. */
static int build_dependent(struct build *build, const struct keyword *keyword, const json_t *value)
{
	if (!json_is_object(value))
		return wrong_kind(build, keyword->name, "an object", value);
	struct rule *rule = add_rule(build, keyword->kind, keyword->applies);
	rule->as.dependents = arena_alloc(build->arena,
	                                  json_object_size(value) * sizeof(*rule->as.dependents));
	const char *name;
	json_t *member;
	json_object_foreach((json_t *)(uintptr_t)value, name, member) {
		struct dependent *dependent = &rule->as.dependents[rule->count++];
		dependent->name = str_of(arena_dup_str(build->arena, name));
		if (keyword->kind == RULE_DEPENDENT_REQUIRED) {
			if (read_names(build, keyword->name, member, &dependent->names,
			               &dependent->count) < 0)
				return build->compiler->err->code;
			continue;
		}
		struct location at;
		if (index_child(build->compiler, build->at, keyword->name, name, member, &at) < 0)
			return build->compiler->err->code;
		dependent->node = compile_node(build->compiler, &at);
	}
	return 0;
}

/* Annotations do nothing here, but a mistake in one is a mistake. */
static int build_annotation(struct build *build, const struct keyword *keyword, const json_t *value)
{
	bool ok = keyword->applies == TYPE_ANY || (value_types(value) & keyword->applies);
	const char *wanted = keyword->applies == TYPE_STRING    ? "a string"
	                     : keyword->applies == TYPE_BOOLEAN ? "a boolean"
	                                                        : "an array";
	return ok ? 0 : wrong_kind(build, keyword->name, wanted, value);
}

/* --- applicators ----------------------------------------------------------------- */

static int child_node(struct build *build, const char *key, const char *key2, const json_t *json,
                      struct node **ret)
{
	struct location at;
	if (index_child(build->compiler, build->at, key, key2, json, &at) < 0)
		return build->compiler->err->code;
	*ret = compile_node(build->compiler, &at);
	return 0;
}

/* The node of a keyword that holds one schema; NULL when it is absent or switched off. */
static int optional_node(struct build *build, const char *keyword, struct node **ret)
{
	const json_t *json = json_at(build->at->json, keyword);
	*ret = NULL;
	return json ? child_node(build, keyword, NULL, json, ret) : 0;
}

static int build_node(struct build *build, const struct keyword *keyword, const json_t *value)
{
	struct rule *rule = add_rule(build, keyword->kind, keyword->applies);
	return child_node(build, keyword->name, NULL, value, &rule->as.node);
}

static int read_list(struct build *build, const char *keyword, struct nodes *ret)
{
	const json_t *list = json_at(build->at->json, keyword);
	size_t count = json_array_size(list);
	ret->at = arena_alloc(build->arena, count * sizeof(struct node *));
	for (ret->len = 0; ret->len < count; ret->len++) {
		char index[24];
		snprintf(index, sizeof(index), "%zu", ret->len);
		if (child_node(build, keyword, index, json_array_get(list, ret->len),
		               &ret->at[ret->len]) < 0)
			return build->compiler->err->code;
	}
	return 0;
}

static int build_list(struct build *build, const struct keyword *keyword, const json_t *value)
{
	(void)value; /* index_main() has made sure that it is an array of schemas */
	struct rule *rule = add_rule(build, keyword->kind, keyword->applies);
	return read_list(build, keyword->name, &rule->as.nodes);
}

static int build_ref(struct build *build, const struct keyword *keyword, const json_t *value)
{
	struct compiler *compiler = build->compiler;
	struct location target;
	const struct anchor *anchor;
	if (!json_is_string(value))
		return wrong_kind(build, keyword->name, "a string", value);
	if (index_target(compiler, build->at, keyword->name, json_string_value(value), &target,
	                 &anchor) < 0)
		return compiler->err->code;
	struct node *node = compile_node(compiler, &target);
	if (keyword->kind == RULE_DYNAMIC_REF && anchor && anchor->is_dynamic) {
		struct rule *rule = add_rule(build, RULE_DYNAMIC_REF, keyword->applies);
		rule->as.dynamic.node = node;
		rule->as.dynamic.name = anchor->name;
		compiler->has_dynamic_refs = true;
		return 0;
	}
	add_rule(build, RULE_REF, keyword->applies)->as.node = node;
	return 0;
}

static void release_map(void *map)
{
	map_release(map);
}

static int read_patterns(struct build *build, struct members *members)
{
	static const char keyword[] = "patternProperties";
	const json_t *patterns = json_at(build->at->json, keyword);
	members->patterns = arena_alloc(build->arena,
	                                json_object_size(patterns) * sizeof(*members->patterns));
	const char *text;
	json_t *schema;
	json_object_foreach((json_t *)(uintptr_t)patterns, text, schema) {
		struct members_pattern *member = &members->patterns[members->pattern_count++];
		struct err err = { 0 };
		member->pattern = pattern_new(build->arena, text, &err);
		if (!member->pattern)
			return compile_refuse(build->compiler, build->at, keyword,
			                      "'%s' is no regular expression: %s", text, err.text);
		if (child_node(build, keyword, text, schema, &member->node) < 0)
			return build->compiler->err->code;
	}
	return 0;
}

static int build_members(struct build *build)
{
	const json_t *named = json_at(build->at->json, "properties");
	if (!named && !json_at(build->at->json, "patternProperties") &&
	    !json_at(build->at->json, "additionalProperties"))
		return 0;
	struct members *members = arena_alloc(build->arena, sizeof(*members));
	map_init(&members->named);
	arena_defer(build->arena, release_map, &members->named);
	add_rule(build, RULE_MEMBERS, TYPE_OBJECT)->as.members = members;
	const char *name;
	json_t *schema;
	json_object_foreach((json_t *)(uintptr_t)named, name, schema) {
		struct node *node = NULL;
		if (child_node(build, "properties", name, schema, &node) < 0)
			return build->compiler->err->code;
		map_set(&members->named, name, node);
	}
	if (read_patterns(build, members) < 0)
		return build->compiler->err->code;
	return optional_node(build, "additionalProperties", &members->rest);
}

static int build_items(struct build *build)
{
	struct items items = { 0 };
	bool has_prefix = json_at(build->at->json, "prefixItems");
	if (has_prefix && read_list(build, "prefixItems", &items.prefix) < 0)
		return build->compiler->err->code;
	if (optional_node(build, "items", &items.rest) < 0)
		return build->compiler->err->code;
	if (has_prefix || items.rest)
		add_rule(build, RULE_ITEMS, TYPE_ARRAY)->as.items = items;
	return 0;
}

static int build_contains(struct build *build)
{
	struct contains contains = { NULL, 1, SIZE_MAX };
	const json_t *min = json_at(build->at->json, "minContains");
	const json_t *max = json_at(build->at->json, "maxContains");
	bool bounded = index_has(build->at, VOCABULARY_VALIDATION);
	if (bounded && min && read_count(build, "minContains", min, &contains.min) < 0)
		return build->compiler->err->code;
	if (bounded && max && read_count(build, "maxContains", max, &contains.max) < 0)
		return build->compiler->err->code;
	if (optional_node(build, "contains", &contains.node) < 0)
		return build->compiler->err->code;
	if (contains.node)
		add_rule(build, RULE_CONTAINS, TYPE_ARRAY)->as.contains = contains;
	return 0;
}

static int build_conditional(struct build *build)
{
	struct conditional conditional;
	if (optional_node(build, "if", &conditional.condition) < 0 ||
	    optional_node(build, "then", &conditional.yes) < 0 ||
	    optional_node(build, "else", &conditional.no) < 0)
		return build->compiler->err->code;
	if (conditional.condition)
		add_rule(build, RULE_IF, TYPE_ANY)->as.conditional = conditional;
	return 0;
}

/* --- all keywords ------------------------------------------------------------------ */

/* In the order in which they are checked: what a value is, before what is in it. */
static const struct keyword keywords[] = {
	{ "type", VOCABULARY_VALIDATION, RULE_TYPE, TYPE_ANY, build_type },
	{ "const", VOCABULARY_VALIDATION, RULE_CONST, TYPE_ANY, build_value },
	{ "enum", VOCABULARY_VALIDATION, RULE_ENUM, TYPE_ANY, build_value },
	{ "multipleOf", VOCABULARY_VALIDATION, RULE_MULTIPLE_OF, TYPE_NUMBER, build_number },
	{ "maximum", VOCABULARY_VALIDATION, RULE_MAXIMUM, TYPE_NUMBER, build_number },
	{ "exclusiveMaximum", VOCABULARY_VALIDATION, RULE_EXCLUSIVE_MAXIMUM, TYPE_NUMBER,
	  build_number },
	{ "minimum", VOCABULARY_VALIDATION, RULE_MINIMUM, TYPE_NUMBER, build_number },
	{ "exclusiveMinimum", VOCABULARY_VALIDATION, RULE_EXCLUSIVE_MINIMUM, TYPE_NUMBER,
	  build_number },
	{ "maxLength", VOCABULARY_VALIDATION, RULE_MAX_LENGTH, TYPE_STRING, build_count },
	{ "minLength", VOCABULARY_VALIDATION, RULE_MIN_LENGTH, TYPE_STRING, build_count },
	{ "pattern", VOCABULARY_VALIDATION, RULE_PATTERN, TYPE_STRING, build_pattern },
	{ "maxItems", VOCABULARY_VALIDATION, RULE_MAX_ITEMS, TYPE_ARRAY, build_count },
	{ "minItems", VOCABULARY_VALIDATION, RULE_MIN_ITEMS, TYPE_ARRAY, build_count },
	{ "uniqueItems", VOCABULARY_VALIDATION, RULE_UNIQUE_ITEMS, TYPE_ARRAY, build_unique },
	{ "maxProperties", VOCABULARY_VALIDATION, RULE_MAX_PROPERTIES, TYPE_OBJECT, build_count },
	{ "minProperties", VOCABULARY_VALIDATION, RULE_MIN_PROPERTIES, TYPE_OBJECT, build_count },
	{ "required", VOCABULARY_VALIDATION, RULE_REQUIRED, TYPE_OBJECT, build_required },
	{ "dependentRequired", VOCABULARY_VALIDATION, RULE_DEPENDENT_REQUIRED, TYPE_OBJECT,
	  build_dependent },
	{ "propertyNames", VOCABULARY_APPLICATOR, RULE_PROPERTY_NAMES, TYPE_OBJECT, build_node },
	{ "$ref", VOCABULARY_CORE, RULE_REF, TYPE_ANY, build_ref },
	{ "$dynamicRef", VOCABULARY_CORE, RULE_DYNAMIC_REF, TYPE_ANY, build_ref },
	{ "allOf", VOCABULARY_APPLICATOR, RULE_ALL_OF, TYPE_ANY, build_list },
	{ "anyOf", VOCABULARY_APPLICATOR, RULE_ANY_OF, TYPE_ANY, build_list },
	{ "oneOf", VOCABULARY_APPLICATOR, RULE_ONE_OF, TYPE_ANY, build_list },
	{ "not", VOCABULARY_APPLICATOR, RULE_NOT, TYPE_ANY, build_node },
	{ "dependentSchemas", VOCABULARY_APPLICATOR, RULE_DEPENDENT_SCHEMAS, TYPE_OBJECT,
	  build_dependent },
	{ "$comment", VOCABULARY_CORE, RULE_TYPE, TYPE_STRING, build_annotation },
	{ "title", VOCABULARY_META_DATA, RULE_TYPE, TYPE_STRING, build_annotation },
	{ "description", VOCABULARY_META_DATA, RULE_TYPE, TYPE_STRING, build_annotation },
	{ "deprecated", VOCABULARY_META_DATA, RULE_TYPE, TYPE_BOOLEAN, build_annotation },
	{ "readOnly", VOCABULARY_META_DATA, RULE_TYPE, TYPE_BOOLEAN, build_annotation },
	{ "writeOnly", VOCABULARY_META_DATA, RULE_TYPE, TYPE_BOOLEAN, build_annotation },
	{ "examples", VOCABULARY_META_DATA, RULE_TYPE, TYPE_ARRAY, build_annotation },
	{ "format", VOCABULARY_FORMAT, RULE_TYPE, TYPE_STRING, build_annotation },
	{ "contentEncoding", VOCABULARY_CONTENT, RULE_TYPE, TYPE_STRING, build_annotation },
	{ "contentMediaType", VOCABULARY_CONTENT, RULE_TYPE, TYPE_STRING, build_annotation },
};

/* The last rules of a node: they look at what all others left over. */
static const struct keyword leftovers[] = {
	{ "unevaluatedItems", VOCABULARY_UNEVALUATED, RULE_UNEVALUATED_ITEMS, TYPE_ARRAY,
	  build_node },
	{ "unevaluatedProperties", VOCABULARY_UNEVALUATED, RULE_UNEVALUATED_PROPERTIES, TYPE_OBJECT,
	  build_node },
};

static int build_keywords(struct build *build, const struct keyword *table, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_at(build->at->json, table[i].name);
		if (value && index_has(build->at, table[i].vocabulary) &&
		    table[i].build(build, &table[i], value) < 0)
			return build->compiler->err->code;
	}
	return 0;
}

int keywords_compile(struct compiler *compiler, struct node *node, const struct location *at)
{
	struct build build = { .compiler = compiler, .at = at, .arena = &compiler->schema->arena };
	bool has_applicators = index_has(at, VOCABULARY_APPLICATOR);
	int status = build_keywords(&build, keywords, sizeof(keywords) / sizeof(keywords[0]));
	if (status == 0 && has_applicators &&
	    (build_members(&build) < 0 || build_items(&build) < 0 || build_contains(&build) < 0 ||
	     build_conditional(&build) < 0))
		status = compiler->err->code;
	size_t before = build.rules.len;
	if (status == 0)
		status = build_keywords(&build, leftovers,
		                        sizeof(leftovers) / sizeof(leftovers[0]));
	if (status == 0) {
		node->tracks = build.rules.len > before;
		node->rule_count = build.rules.len;
		node->rules = arena_alloc(build.arena, build.rules.len * sizeof(struct rule));
		if (build.rules.len > 0)
			memcpy(node->rules, build.rules.at, build.rules.len * sizeof(struct rule));
		node->description = arena_dup_str(build.arena,
		                                  json_str(at->json, "description", NULL));
	}
	vec_release(&build.rules);
	return status;
}
