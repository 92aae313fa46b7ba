/* SPDX-License-Identifier: MIT */
/*
 * What a graph passes to an action and reads from its result, against the
 * action's schemas, as far as it stands there to be seen: names always, values
 * when they are literals.  Schemas that say it in other words than
 * "properties" and "required" are left to the call itself.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chart/chart_int.h"

enum { MEMBERS_MAX = 256 };

/* Does the schema say all there is to say about members by "properties"? */
static bool is_plain(const json_t *schema)
{
	static const char *const others[] = {
		"$ref", "allOf", "anyOf", "oneOf", "patternProperties", "$dynamicRef", "if"
	};
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (json_at(schema, others[i]))
			return false;
	return json_is_object(json_at(schema, "properties"));
}

static const char *nearest_member(struct checker *k, const json_t *schema, const char *name)
{
	const char *names[MEMBERS_MAX];
	size_t count = 0;
	const char *key;
	json_t *value;
	json_object_foreach(json_at(schema, "properties"), key, value)
		if (count < MEMBERS_MAX)
			names[count++] = key;
	return check_nearest(k, name, names, count);
}

/* A literal of Lua as JSON; NULL when the expression is more than that; new. */
static json_t *literal(const char *text)
{
	size_t len = strlen(text);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	while (len > 0 && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	if (len == 4 && memcmp(text, "true", 4) == 0)
		return json_true();
	if (len == 5 && memcmp(text, "false", 5) == 0)
		return json_false();
	if (len >= 2 && (*text == '\'' || *text == '"') && text[len - 1] == *text) {
		for (size_t i = 1; i < len - 1; i++)
			if (text[i] == *text || text[i] == '\\')
				return NULL;
		return json_text((struct str){ text + 1, len - 2 });
	}
	size_t digits = 0, dots = 0, i = len > 0 && *text == '-';
	for (; i < len && (isdigit((unsigned char)text[i]) || text[i] == '.'); i++)
		*(text[i] == '.' ? &dots : &digits) += 1;
	if (i < len || digits == 0 || digits > 15 || dots > 1)
		return NULL;
	return dots ? json_real(strtod(text, NULL)) : json_integer(strtoll(text, NULL, 10));
}

static bool has_type(const json_t *value, const char *type)
{
	if (strcmp(type, "string") == 0)
		return json_is_string(value);
	if (strcmp(type, "boolean") == 0)
		return json_is_boolean(value);
	if (strcmp(type, "number") == 0)
		return json_is_number(value);
	if (strcmp(type, "integer") == 0)
		return json_is_integer(value) ||
		       (json_is_real(value) &&
		        json_real_value(value) == (double)(long long)json_real_value(value));
	return false; /* a literal is no object, array or null */
}

static bool fits_type(const json_t *value, const json_t *type)
{
	if (json_is_string(type))
		return has_type(value, json_string_value(type));
	size_t i;
	json_t *one;
	json_array_foreach(type, i, one)
		if (json_is_string(one) && has_type(value, json_string_value(one)))
			return true;
	return !json_is_array(type);
}

static void check_literal(struct checker *k, const struct chart_param *param, const json_t *schema,
                          const char *what)
{
	json_t *value = param->expr.text && !param->is_location ? literal(param->expr.text) : NULL;
	const json_t *list = json_at(schema, "enum");
	if (value && !fits_type(value, json_at(schema, "type")))
		check_error(k, "invoke.params", param->at, NULL,
		            "the parameter '%.80s' of %.120s cannot be %.80s", param->name, what,
		            param->expr.text);
	bool is_listed = !json_is_array(list);
	for (size_t i = 0; value && i < json_array_size(list); i++)
		is_listed |= json_equal(json_array_get(list, i), value) == 1;
	if (value && !is_listed) {
		char *allowed = json_canon(list);
		check_error(k, "invoke.params", param->at,
		            arena_format(&k->arena, "one of %.200s", allowed),
		            "the parameter '%.80s' of %.120s cannot be %.80s", param->name, what,
		            param->expr.text);
		free(allowed);
	}
	json_decref(value);
}

static void check_name(struct checker *k, const json_t *params, const char *name, const char *what,
                       struct chart_place at)
{
	if (json_at(json_at(params, "properties"), name))
		return;
	const char *hint = nearest_member(k, params, name);
	if (json_is_false(json_at(params, "additionalProperties")))
		check_error(k, "invoke.params", at, hint, "%.120s has no parameter '%.80s'", what,
		            name);
	else if (hint)
		check_warn(k, "invoke.params", at, hint, "%.120s declares no parameter '%.80s'",
		           what, name);
}

static void check_required(struct checker *k, const struct map *given, const json_t *params,
                           const char *what, struct chart_place at)
{
	const json_t *required = json_at(params, "required");
	for (size_t i = 0; i < json_array_size(required); i++) {
		const char *name = json_string_value(json_array_get(required, i));
		if (name && !map_get(given, name))
			check_error(k, "invoke.params", at,
			            arena_format(&k->arena,
			                         "add <param name=\"%.80s\" expr=\"...\"/>", name),
			            "%.120s needs the parameter '%.80s'", what, name);
	}
}

void check_params(struct checker *k, const struct chart_payload *payload, const json_t *action,
                  const char *what, struct chart_place at)
{
	const json_t *params = json_at(action, "params");
	if (!params || payload->content.present || !is_plain(params))
		return;
	struct map given;
	map_init(&given);
	for (size_t i = 0; i < payload->name_count; i++) {
		map_set(&given, payload->names[i].text, k);
		check_name(k, params, payload->names[i].text, what, payload->names[i].at);
	}
	for (size_t i = 0; i < payload->param_count; i++) {
		const struct chart_param *param = &payload->params[i];
		map_set(&given, param->name, k);
		check_name(k, params, param->name, what, param->at);
		check_literal(k, param, json_at(json_at(params, "properties"), param->name), what);
	}
	check_required(k, &given, params, what, at);
	map_release(&given);
}

struct result {
	const char *id;
	const json_t *schema; /* NULL: unknown, or several actions share the id */
	bool is_advisory;
};

struct results {
	struct checker *k;
	struct map by_id; /* invoke id -> struct result */
};

static void collect_result(void *ctx, const struct chart_invoke *invoke)
{
	struct results *r = ctx;
	const struct chart_world *world = r->k->world;
	if (!invoke->id)
		return;
	struct result *result = map_get(&r->by_id, invoke->id);
	if (result) {
		*result = (struct result){ .id = invoke->id };
		return;
	}
	result = arena_alloc(&r->k->arena, sizeof(*result));
	result->id = invoke->id;
	result->is_advisory = invoke->dispatch.advisory != NULL;
	if (world->action && invoke->type.text && invoke->src.text && !invoke->dispatch.each.text)
		result->schema = json_at(
			world->action(world->ctx, invoke->type.text, invoke->src.text), "result");
	map_set(&r->by_id, invoke->id, result);
}

/* The one invocation whose result all events of the transition bring; NULL when there is none. */
static const struct result *result_of(const struct results *r, const struct chart_transition *t)
{
	const struct result *ret = NULL;
	for (size_t i = 0; t && i < t->event_count; i++) {
		if (!str_begins(t->events[i], "done.invoke."))
			return NULL;
		const struct result *one = map_get(&r->by_id,
		                                   t->events[i] + strlen("done.invoke."));
		if (!one || (ret && one != ret))
			return NULL;
		ret = one;
	}
	return ret;
}

static size_t name_length(const char *text)
{
	size_t len = 0;
	if (isalpha((unsigned char)*text) || *text == '_')
		while (isalnum((unsigned char)text[len]) || text[len] == '_')
			len++;
	return len;
}

/* Follows ".a.b.c" through the schema; says where a member is unknown. */
static void check_path(struct checker *k, const char *path, const json_t *schema,
                       const struct code *code, const char *id)
{
	while (*path == '.' && name_length(path + 1) > 0 && is_plain(schema)) {
		size_t len = name_length(path + 1);
		char *name = arena_dup(&k->arena, path + 1, len);
		const json_t *member = json_at(json_at(schema, "properties"), name);
		const json_t *more = json_at(schema, "additionalProperties");
		if (!member && (!more || json_is_false(more)))
			check_warn(k, "invoke.result", code->expr->at,
			           nearest_member(k, schema, name),
			           "the result of '%.80s' has no member '%.80s'", id, name);
		schema = member;
		path += 1 + len;
	}
}

static void on_code(void *ctx, const struct code *code)
{
	static const char data[] = "_event.data";
	struct results *r = ctx;
	const struct result *result = result_of(r, code->transition);
	if (!result)
		return;
	for (const char *p = strstr(code->expr->text, data); p; p = strstr(p, data)) {
		p += strlen(data);
		if (name_length(p) > 0)
			continue; /* _event.database */
		if (result->is_advisory)
			check_warn(r->k, "invoke.advisory_read", code->expr->at,
			           "show the advice to people, in a template; decide without it",
			           "the result of '%.80s' is advice: the graph sees nil",
			           result->id);
		else if (result->schema)
			check_path(r->k, p, result->schema, code, result->id);
	}
}

void check_results(struct checker *k)
{
	struct results r = { .k = k };
	map_init(&r.by_id);
	walk_chart(k->chart, &(struct walker){ .ctx = &r, .invoke = collect_result });
	walk_chart(k->chart, &(struct walker){ .ctx = &r, .code = on_code });
	map_release(&r.by_id);
}
