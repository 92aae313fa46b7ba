/* SPDX-License-Identifier: MIT */
/*
 * Where everything is: documents, resources ($id), anchors, and what a
 * reference leads to.  Each document is walked once, along the keywords that
 * hold subschemas (an $id inside a const is no $id); a JSON pointer that leads
 * somewhere else is walked from there when a $ref asks for it.
 *
 * Invariant: a location is known by its innermost resource and the pointer
 * within it, so one subschema has one location however it is reached.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/must.h"
#include "schema/schema_int.h"

#define DRAFT "https://json-schema.org/draft/2020-12/"

/* What a keyword's value holds. */
enum shape { SHAPE_SCHEMA, SHAPE_LIST, SHAPE_MAP };

struct holder {
	const char *keyword;
	enum vocabulary vocabulary;
	enum shape shape;
};

static const struct holder holders[] = {
	{ "$defs", VOCABULARY_CORE, SHAPE_MAP },
	{ "properties", VOCABULARY_APPLICATOR, SHAPE_MAP },
	{ "patternProperties", VOCABULARY_APPLICATOR, SHAPE_MAP },
	{ "additionalProperties", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "propertyNames", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "prefixItems", VOCABULARY_APPLICATOR, SHAPE_LIST },
	{ "items", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "contains", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "allOf", VOCABULARY_APPLICATOR, SHAPE_LIST },
	{ "anyOf", VOCABULARY_APPLICATOR, SHAPE_LIST },
	{ "oneOf", VOCABULARY_APPLICATOR, SHAPE_LIST },
	{ "not", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "if", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "then", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "else", VOCABULARY_APPLICATOR, SHAPE_SCHEMA },
	{ "dependentSchemas", VOCABULARY_APPLICATOR, SHAPE_MAP },
	{ "unevaluatedItems", VOCABULARY_UNEVALUATED, SHAPE_SCHEMA },
	{ "unevaluatedProperties", VOCABULARY_UNEVALUATED, SHAPE_SCHEMA },
	{ "contentSchema", VOCABULARY_CONTENT, SHAPE_SCHEMA },
};

static int walk(struct compiler *compiler, const struct location *at, size_t depth,
                struct location *ret);

/* --- errors ------------------------------------------------------------------ */

int compile_refuse(struct compiler *compiler, const struct location *at, const char *keyword,
                   const char *format, ...)
{
	const struct origin *origin = at->resource->origin;
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	const char *place = arena_format(&compiler->arena, "%s%s%s%s%s%s", origin->document,
	                                 origin->document[0] ? "#" : "", origin->prefix,
	                                 at->pointer, keyword ? "/" : "", keyword ? keyword : "");
	return err_set_id(compiler->err, ERR_INPUT, "schema.invalid", "%s: %s",
	                  place[0] ? place : "the schema", text);
}

const char *json_kind(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "an array";
	case JSON_STRING: return "a string";
	case JSON_INTEGER:
	case JSON_REAL: return "a number";
	case JSON_TRUE:
	case JSON_FALSE: return "a boolean";
	case JSON_NULL: return "null";
	}
	must_not_reach();
}

/* --- places -------------------------------------------------------------------- */

/* pointer + "/" + key with "~" and "/" escaped (RFC 6901). */
static const char *pointer_add(struct compiler *compiler, const char *pointer, const char *key)
{
	char *ret = arena_alloc(&compiler->arena, strlen(pointer) + 2 * strlen(key) + 2);
	size_t len = strlen(pointer);
	memcpy(ret, pointer, len);
	ret[len++] = '/';
	for (; *key; key++) {
		if (*key == '~' || *key == '/') {
			ret[len++] = '~';
			ret[len++] = *key == '~' ? '0' : '1';
		} else {
			ret[len++] = *key;
		}
	}
	return ret;
}

static const char *place_key(struct compiler *compiler, const struct location *at)
{
	return arena_format(&compiler->arena, "%zu#%s", at->resource->origin->id, at->pointer);
}

bool index_has(const struct location *at, enum vocabulary vocabulary)
{
	return (at->resource->origin->vocabularies & vocabulary) != 0;
}

/* --- vocabularies ---------------------------------------------------------------- */

static const struct {
	const char *uri;
	enum vocabulary vocabulary;
} vocabularies[] = {
	{ DRAFT "vocab/core", VOCABULARY_CORE },
	{ DRAFT "vocab/applicator", VOCABULARY_APPLICATOR },
	{ DRAFT "vocab/unevaluated", VOCABULARY_UNEVALUATED },
	{ DRAFT "vocab/validation", VOCABULARY_VALIDATION },
	{ DRAFT "vocab/meta-data", VOCABULARY_META_DATA },
	{ DRAFT "vocab/format-annotation", VOCABULARY_FORMAT },
	{ DRAFT "vocab/content", VOCABULARY_CONTENT },
};

static int add_vocabulary(struct compiler *compiler, const struct location *at, const char *uri,
                          bool is_required, unsigned int *ret)
{
	for (size_t i = 0; i < sizeof(vocabularies) / sizeof(vocabularies[0]); i++) {
		if (strcmp(vocabularies[i].uri, uri) == 0) {
			*ret |= vocabularies[i].vocabulary;
			return 0;
		}
	}
	return is_required
	               ? compile_refuse(compiler, at, "$schema",
	                                "its meta-schema requires the vocabulary '%s', which is "
	                                "not supported",
	                                uri)
	               : 0;
}

static json_t *find_document(struct compiler *compiler, const char *uri)
{
	json_t *ret = meta_new(uri);
	if (ret) {
		*vec_add(&compiler->built_in) = ret;
		return ret;
	}
	return compiler->source ? compiler->source->find(compiler->source->ctx, uri) : NULL;
}

/* Which keywords a resource's $schema switches on. */
static int read_dialect(struct compiler *compiler, const struct location *at)
{
	const json_t *dialect = json_at(at->json, "$schema");
	struct origin *origin = at->resource->origin;
	if (!dialect)
		return 0;
	if (!json_is_string(dialect))
		return compile_refuse(compiler, at, "$schema", "must be a string, not %s",
		                      json_kind(dialect));
	const char *uri = uri_resolve(&compiler->arena, at->resource->uri,
	                              json_string_value(dialect));
	origin->vocabularies = VOCABULARY_ALL;
	if (strcmp(uri, DRAFT "schema") == 0)
		return 0;
	const json_t *meta = find_document(compiler, uri);
	if (!meta) {
		compile_refuse(compiler, at, "$schema", "the meta-schema '%s' is not known", uri);
		return err_hint(compiler->err, "this engine reads draft 2020-12: \"%s\"",
		                DRAFT "schema");
	}
	json_t *listed = json_at(meta, "$vocabulary");
	if (!json_is_object(listed))
		return 0;
	origin->vocabularies = VOCABULARY_CORE;
	const char *name;
	json_t *is_required;
	json_object_foreach(listed, name, is_required)
		if (add_vocabulary(compiler, at, name, json_is_true(is_required),
		                   &origin->vocabularies) < 0)
			return compiler->err->code;
	return 0;
}

/* --- resources and anchors --------------------------------------------------------- */

static void free_map(void *map)
{
	map_release(map);
}

static struct resource *new_resource(struct compiler *compiler, const char *uri,
                                     const char *document, const char *prefix, const json_t *json)
{
	struct resource *ret = arena_alloc(&compiler->schema->arena, sizeof(*ret));
	struct origin *origin = arena_alloc(&compiler->arena, sizeof(*origin));
	map_init(&origin->anchors);
	arena_defer(&compiler->arena, free_map, &origin->anchors);
	origin->id = compiler->all.len;
	origin->json = json;
	origin->document = document;
	origin->prefix = prefix;
	origin->vocabularies = VOCABULARY_ALL;
	ret->uri = arena_dup_str(&compiler->schema->arena, uri);
	ret->origin = origin;
	*vec_add(&compiler->all) = ret;
	/* The first of a name keeps it: a copy bundled into another file changes nothing. */
	if (!map_get(&compiler->resources, uri))
		map_set(&compiler->resources, uri, ret);
	return ret;
}

/* An $id below the root of a file opens a resource of its own. */
static int enter_resource(struct compiler *compiler, struct location *at)
{
	const json_t *id = json_at(at->json, "$id");
	if (!id)
		return 0;
	if (!json_is_string(id))
		return compile_refuse(compiler, at, "$id", "must be a string, not %s",
		                      json_kind(id));
	if (uri_fragment(&compiler->arena, json_string_value(id))[0] != '\0') {
		compile_refuse(compiler, at, "$id", "must not have a fragment: '%s'",
		               json_string_value(id));
		return err_hint(compiler->err, "a name within a schema is an \"$anchor\"");
	}
	if (at->pointer[0] == '\0')
		return 0; /* the root of a file: walk_document() has read it */
	const struct resource *outer = at->resource;
	const char *uri = uri_resolve(&compiler->arena, outer->uri, json_string_value(id));
	const struct resource *same = map_get(&compiler->resources, uri);
	if (same && strcmp(same->origin->document, outer->origin->document) == 0)
		return compile_refuse(compiler, at, "$id",
		                      "'%s' is the $id of another place already", uri);
	const char *prefix = arena_format(&compiler->arena, "%s%s", outer->origin->prefix,
	                                  at->pointer);
	at->resource = new_resource(compiler, uri, outer->origin->document, prefix, at->json);
	at->resource->origin->vocabularies = outer->origin->vocabularies;
	at->pointer = "";
	return 0;
}

static size_t dynamic_name(struct compiler *compiler, const char *name)
{
	size_t *ret = map_get(&compiler->names, name);
	if (!ret) {
		ret = arena_alloc(&compiler->arena, sizeof(*ret));
		*ret = compiler->names.live;
		map_set(&compiler->names, name, ret);
	}
	return *ret;
}

static bool is_anchor_name(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-.0123456789";
	return name[0] != '\0' && !strchr("-.0123456789", name[0]) &&
	       name[strspn(name, letters)] == '\0';
}

static int add_anchor(struct compiler *compiler, const struct location *at, const char *keyword,
                      bool is_dynamic)
{
	const json_t *name = json_at(at->json, keyword);
	if (!name)
		return 0;
	if (!json_is_string(name) || !is_anchor_name(json_string_value(name)))
		return compile_refuse(compiler, at, keyword,
		                      "must be a name of letters, digits, '_', '-' and '.'");
	struct map *anchors = &at->resource->origin->anchors;
	struct anchor *anchor = map_get(anchors, json_string_value(name));
	if (anchor && strcmp(anchor->location.pointer, at->pointer) != 0)
		return compile_refuse(compiler, at, keyword,
		                      "'%s' is the anchor of another place already",
		                      json_string_value(name));
	if (!anchor) {
		anchor = arena_alloc(&compiler->arena, sizeof(*anchor));
		anchor->location = *at;
		map_set(anchors, json_string_value(name), anchor);
	}
	if (is_dynamic) {
		anchor->is_dynamic = true;
		anchor->name = dynamic_name(compiler, json_string_value(name));
	}
	return 0;
}

/* --- walking --------------------------------------------------------------------- */

static int walk_child(struct compiler *compiler, const struct location *at, const char *key,
                      const char *key2, const json_t *json, size_t depth)
{
	struct location child = *at, ignored;
	child.pointer = pointer_add(compiler, at->pointer, key);
	if (key2)
		child.pointer = pointer_add(compiler, child.pointer, key2);
	child.json = json;
	return walk(compiler, &child, depth + 1, &ignored);
}

static int walk_holder(struct compiler *compiler, const struct location *at,
                       const struct holder *holder, json_t *value, size_t depth)
{
	const char *key = holder->keyword, *name;
	json_t *member;
	switch (holder->shape) {
	case SHAPE_SCHEMA: return walk_child(compiler, at, key, NULL, value, depth);
	case SHAPE_LIST:
		if (!json_is_array(value) || json_array_size(value) == 0)
			return compile_refuse(compiler, at, key,
			                      "must be an array of schemas, not %s",
			                      json_is_array(value) ? "empty" : json_kind(value));
		for (size_t i = 0; i < json_array_size(value); i++) {
			char index[24];
			snprintf(index, sizeof(index), "%zu", i);
			if (walk_child(compiler, at, key, index, json_array_get(value, i), depth) <
			    0)
				return compiler->err->code;
		}
		return 0;
	case SHAPE_MAP:
		if (!json_is_object(value))
			return compile_refuse(compiler, at, key,
			                      "must be an object of schemas, not %s",
			                      json_kind(value));
		json_object_foreach(value, name, member)
			if (walk_child(compiler, at, key, name, member, depth) < 0)
				return compiler->err->code;
		return 0;
	}
	must_not_reach();
}

/* Registers a subschema and all below it; *ret is where it is known to be. */
static int walk(struct compiler *compiler, const struct location *from, size_t depth,
                struct location *ret)
{
	if (!json_is_object(from->json) && !json_is_boolean(from->json))
		return compile_refuse(compiler, from, NULL,
		                      "a schema is an object or a boolean, not %s",
		                      json_kind(from->json));
	if (depth > LIMIT_SCHEMA_NESTING)
		return compile_refuse(compiler, from, NULL,
		                      "nested deeper than %d schemas (LIMIT_SCHEMA_NESTING)",
		                      LIMIT_SCHEMA_NESTING);
	const char *key = place_key(compiler, from);
	struct location *at = arena_alloc(&compiler->arena, sizeof(*at));
	*at = *from;
	if (enter_resource(compiler, at) < 0)
		return compiler->err->code;
	map_set(&compiler->walked, key, at);
	if (at->pointer[0] == '\0' && read_dialect(compiler, at) < 0)
		return compiler->err->code;
	if (add_anchor(compiler, at, "$anchor", false) < 0 ||
	    add_anchor(compiler, at, "$dynamicAnchor", true) < 0)
		return compiler->err->code;
	for (size_t i = 0; i < sizeof(holders) / sizeof(holders[0]); i++) {
		json_t *value = json_at(at->json, holders[i].keyword);
		if (value && index_has(at, holders[i].vocabulary) &&
		    walk_holder(compiler, at, &holders[i], value, depth) < 0)
			return compiler->err->code;
	}
	*ret = *at;
	return 0;
}

static int walk_document(struct compiler *compiler, const json_t *json, const char *uri,
                         const char *document, struct location *ret)
{
	const char *id = json_str(json, "$id", NULL);
	const char *own = id ? uri_resolve(&compiler->arena, uri, id) : uri;
	struct resource *resource = map_get(&compiler->resources, own);
	if (resource) {
		map_set(&compiler->resources, uri, resource);
		*ret = (struct location){ resource, "", resource->origin->json };
		return 0;
	}
	resource = new_resource(compiler, own, document, "", json);
	if (!map_get(&compiler->resources, uri))
		map_set(&compiler->resources, uri, resource);
	struct location root = { resource, "", json };
	return walk(compiler, &root, 0, ret);
}

int index_main(struct compiler *compiler, const json_t *json, const char *uri, struct location *ret)
{
	return walk_document(compiler, json, uri_resolve(&compiler->arena, uri, ""), "", ret);
}

/* A place that is known, or else is walked now. */
static int settle(struct compiler *compiler, const struct location *at, struct location *ret)
{
	const struct location *known = map_get(&compiler->walked, place_key(compiler, at));
	if (!known)
		return walk(compiler, at, 0, ret);
	*ret = *known;
	return 0;
}

int index_child(struct compiler *compiler, const struct location *at, const char *key,
                const char *key2, const json_t *json, struct location *ret)
{
	struct location child = { at->resource, pointer_add(compiler, at->pointer, key), json };
	if (key2)
		child.pointer = pointer_add(compiler, child.pointer, key2);
	return settle(compiler, &child, ret);
}

/* --- references -------------------------------------------------------------------- */

/* One step of a JSON pointer: the next token, unescaped; *pointer moves past it. */
static const char *next_token(struct compiler *compiler, const char **pointer)
{
	size_t len = strcspn(*pointer + 1, "/");
	char *ret = arena_dup(&compiler->arena, *pointer + 1, len);
	size_t out = 0;
	for (size_t i = 0; i < len; i++) {
		char c = ret[i];
		if (c == '~' && (ret[i + 1] == '0' || ret[i + 1] == '1'))
			c = ret[++i] == '0' ? '~' : '/';
		ret[out++] = c;
	}
	ret[out] = '\0';
	*pointer += 1 + len;
	return ret;
}

static const json_t *member_of(const json_t *json, const char *token)
{
	if (json_is_object(json))
		return json_object_get(json, token);
	bool is_index = token[0] != '\0' && token[strspn(token, "0123456789")] == '\0';
	return json_is_array(json) && is_index ? json_array_get(json, strtoul(token, NULL, 10))
	                                       : NULL;
}

static void hint_member(struct compiler *compiler, const json_t *json, const char *token)
{
	const char *names[64];
	size_t count = 0;
	const char *name;
	json_t *member;
	if (!json_is_object(json))
		return;
	json_object_foreach((json_t *)(uintptr_t)json, name, member)
		if (count < sizeof(names) / sizeof(names[0]))
			names[count++] = name;
	const char *near = str_nearest(token, names, count);
	if (near)
		err_hint(compiler->err, "did you mean '%s'?", near);
}

static int follow_pointer(struct compiler *compiler, const struct location *from,
                          const char *keyword, const char *reference, const char *pointer,
                          struct location *at)
{
	while (*pointer == '/') {
		const char *token = next_token(compiler, &pointer);
		const json_t *next = member_of(at->json, token);
		if (!next) {
			compile_refuse(compiler, from, keyword,
			               "'%s' leads nowhere: there is no '%s'", reference, token);
			hint_member(compiler, at->json, token);
			return compiler->err->code;
		}
		at->pointer = pointer_add(compiler, at->pointer, token);
		at->json = next;
		const struct location *known = map_get(&compiler->walked, place_key(compiler, at));
		if (known)
			*at = *known;
	}
	return settle(compiler, at, at);
}

static int find_resource(struct compiler *compiler, const struct location *from,
                         const char *keyword, const char *reference, struct location *ret)
{
	const char *uri = uri_resolve(&compiler->arena, from->resource->uri, reference);
	struct resource *resource = map_get(&compiler->resources, uri);
	if (resource) {
		*ret = (struct location){ resource, "", resource->origin->json };
		return 0;
	}
	const json_t *json = find_document(compiler, uri);
	if (!json) {
		compile_refuse(compiler, from, keyword, "there is no schema '%s'", uri);
		return err_hint(compiler->err,
		                "schemas are never fetched from the network: the file must "
		                "be there, or the \"$id\" in this one");
	}
	return walk_document(compiler, json, uri, uri, ret);
}

int index_target(struct compiler *compiler, const struct location *from, const char *keyword,
                 const char *reference, struct location *ret, const struct anchor **ret_anchor)
{
	struct location at;
	*ret_anchor = NULL;
	if (find_resource(compiler, from, keyword, reference, &at) < 0)
		return compiler->err->code;
	const char *fragment = uri_fragment(&compiler->arena, reference);
	if (fragment[0] == '/') {
		if (follow_pointer(compiler, from, keyword, reference, fragment, &at) < 0)
			return compiler->err->code;
	} else if (fragment[0] != '\0') {
		const struct anchor *anchor = map_get(&at.resource->origin->anchors, fragment);
		if (!anchor)
			return compile_refuse(compiler, from, keyword,
			                      "there is no anchor '%s' in '%s'", fragment,
			                      at.resource->uri);
		at = anchor->location;
		*ret_anchor = anchor;
	}
	*ret = at;
	return 0;
}
