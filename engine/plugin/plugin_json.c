/* SPDX-License-Identifier: MIT */
/*
 * The JSON table of struct gw_host, over base/json.
 *
 * A struct gw_json is a view: the value, its call, and whether the plugin may
 * change it.  Views and all they show live until the call ends, also a value
 * that was replaced in the meantime; so no pointer a plugin holds goes stale
 * under it.  Putting a value into another shares it.  What would make a value
 * contain itself is refused, so every value is a tree when it is written out.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "plugin/plugin_int.h"

static struct gw_str lit(const char *text)
{
	return (struct gw_str){ text, strlen(text) };
}

static struct str str_from(struct gw_str text)
{
	return text.ptr ? (struct str){ text.ptr, text.len } : (struct str){ "", 0 };
}

/* --- views -------------------------------------------------------------- */

static struct gw_json *view(struct plugin_call *call, json_t *json, bool is_built)
{
	if (!json)
		return NULL;
	struct gw_json *ret = arena_alloc(&call->arena, sizeof(*ret));
	*ret = (struct gw_json){ json, call, is_built };
	return ret;
}

struct gw_json *plugin_json(struct plugin_call *call, json_t *json)
{
	return view(call, json, false);
}

static void decref(void *json)
{
	json_decref(json);
}

/* The call holds a reference from now on. */
static void keep(struct plugin_call *call, json_t *json)
{
	arena_defer(&call->arena, decref, json);
}

struct gw_json *plugin_json_take(struct plugin_call *call, json_t *json)
{
	if (!json)
		return NULL;
	keep(call, json);
	return view(call, json, false);
}

/* --- depth and size ----------------------------------------------------- */

/* Nodes of the value; more than the limit when it is too deep, too large or contains `not_in`. */
static size_t weigh(const json_t *json, const json_t *not_in, int depth)
{
	if (json == not_in || depth > LIMIT_JSON_DEPTH)
		return LIMIT_JSON_NODES + 1;
	size_t nodes = 1, index;
	const char *key;
	json_t *item;
	if (json_is_object(json)) {
		json_object_foreach((json_t *)(uintptr_t)json, key, item) {
			nodes += weigh(item, not_in, depth + 1);
			if (nodes > LIMIT_JSON_NODES)
				break;
		}
	} else if (json_is_array(json)) {
		json_array_foreach(json, index, item) {
			nodes += weigh(item, not_in, depth + 1);
			if (nodes > LIMIT_JSON_NODES)
				break;
		}
	}
	return nodes;
}

bool plugin_json_is_sane(const json_t *json)
{
	return weigh(json, NULL, 1) <= LIMIT_JSON_NODES;
}

/* --- reading ------------------------------------------------------------ */

static const struct gw_json *parse(struct gw_call *call, struct gw_str text)
{
	struct err err = { 0 };
	json_t *json = NULL;
	if (!text.ptr || json_read(str_from(text), LIMIT_REPLY_BYTES, &json, &err) < 0)
		return NULL;
	return plugin_json_take(call->own, json);
}

static int32_t type(const struct gw_json *value)
{
	if (!value)
		return GW_JSON_ABSENT;
	switch (json_typeof(value->json)) {
	case JSON_NULL: return GW_JSON_NULL;
	case JSON_TRUE:
	case JSON_FALSE: return GW_JSON_BOOL;
	case JSON_INTEGER: return GW_JSON_INT;
	case JSON_REAL: return GW_JSON_REAL;
	case JSON_STRING: return GW_JSON_STR;
	case JSON_ARRAY: return GW_JSON_LIST;
	case JSON_OBJECT: return GW_JSON_OBJECT;
	}
	return GW_JSON_ABSENT;
}

static const struct gw_json *get(const struct gw_json *value, const char *path)
{
	if (!value || !path)
		return NULL;
	if (path[0] == '\0')
		return value;
	return view(value->call, json_path(value->json, path), value->is_built);
}

static const struct gw_json *member(const struct gw_json *value, struct gw_str name)
{
	if (!value || !name.ptr)
		return NULL;
	return view(value->call, json_object_getn(value->json, name.ptr, name.len),
	            value->is_built);
}

static struct gw_str str(const struct gw_json *value)
{
	if (!value || !json_is_string(value->json))
		return lit("");
	return (struct gw_str){ json_string_value(value->json), json_string_length(value->json) };
}

/* A number, or a string that is one from its first to its last byte. */
static bool as_number(const struct gw_json *value, double *ret)
{
	if (!value)
		return false;
	if (json_is_number(value->json)) {
		*ret = json_number_value(value->json);
		return true;
	}
	const char *text = json_string_value(value->json);
	if (!text || strlen(text) != json_string_length(value->json) ||
	    text[strspn(text, "0123456789+-.eE")] != '\0')
		return false;
	char *end;
	double number = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(number))
		return false;
	*ret = number;
	return true;
}

static int64_t integer(const struct gw_json *value, int64_t fallback)
{
	double number;
	if (value && json_is_integer(value->json))
		return json_integer_value(value->json);
	if (!as_number(value, &number) || trunc(number) != number)
		return fallback;
	const char *text = json_string_value(value->json);
	if (text) {
		char *end;
		errno = 0;
		long long exact = strtoll(text, &end, 10);
		if (*end == '\0')
			return errno == 0 ? exact : fallback;
	}
	return fabs(number) < 9.0e18 ? (int64_t)number : fallback;
}

static double number(const struct gw_json *value, double fallback)
{
	double ret;
	return as_number(value, &ret) ? ret : fallback;
}

static int32_t truth(const struct gw_json *value)
{
	const char *text = value ? json_string_value(value->json) : NULL;
	if (text)
		return strcmp(text, "true") == 0 || strcmp(text, "T") == 0;
	return value && json_is_true(value->json);
}

static size_t count(const struct gw_json *value)
{
	if (!value)
		return 0;
	return json_is_array(value->json) ? json_array_size(value->json)
	                                  : json_object_size(value->json);
}

/* The iterator of an object's member by index. */
static void *iter_at(const struct gw_json *value, size_t index)
{
	if (!value || !json_is_object(value->json))
		return NULL;
	void *iter = json_object_iter(value->json);
	while (iter && index-- > 0)
		iter = json_object_iter_next(value->json, iter);
	return iter;
}

static const struct gw_json *at(const struct gw_json *value, size_t index)
{
	if (!value)
		return NULL;
	if (json_is_array(value->json))
		return view(value->call, json_array_get(value->json, index), value->is_built);
	void *iter = iter_at(value, index);
	return iter ? view(value->call, json_object_iter_value(iter), value->is_built) : NULL;
}

static struct gw_str key(const struct gw_json *value, size_t index)
{
	void *iter = iter_at(value, index);
	if (!iter)
		return lit("");
	return (struct gw_str){ json_object_iter_key(iter), json_object_iter_key_len(iter) };
}

/* --- building ----------------------------------------------------------- */

static struct gw_json *built(struct gw_call *call, json_t *json)
{
	keep(call->own, json);
	return view(call->own, json, true);
}

static struct gw_json *object(struct gw_call *call)
{
	return built(call, json_object());
}

static struct gw_json *list(struct gw_call *call)
{
	return built(call, json_array());
}

/* Steals json. */
static void put(struct gw_json *into, const char *name, json_t *json)
{
	if (!into || !json || !name || !into->is_built || !json_is_object(into->json) ||
	    !str_is_utf8(str_of(name))) {
		json_decref(json);
		if (into)
			plugin_bug(into->call, "json->set on what is no object built by this call, "
			                       "or with a key that is no text");
		return;
	}
	json_t *old = json_object_get(into->json, name);
	if (old)
		keep(into->call, json_incref(old));
	json_put(into->json, name, json);
}

static void push_new(struct gw_json *into, json_t *json)
{
	if (into && into->is_built && json_is_array(into->json)) {
		json_push(into->json, json);
		return;
	}
	json_decref(json);
	if (into)
		plugin_bug(into->call, "json->push on what is no list built by this call");
}

/* May this value stand inside of that one?  Shared, never within itself. */
static bool may_contain(const struct gw_json *into, const struct gw_json *value)
{
	if (!into || weigh(value->json, into->json, 2) <= LIMIT_JSON_NODES)
		return true;
	plugin_bug(into->call,
	           "a JSON value would contain itself, be deeper than %d levels or have "
	           "more than %d parts",
	           LIMIT_JSON_DEPTH, LIMIT_JSON_NODES);
	return false;
}

static void set(struct gw_json *into, const char *name, const struct gw_json *value)
{
	if (value && may_contain(into, value))
		put(into, name, json_incref(value->json));
}

static void set_str(struct gw_json *into, const char *name, struct gw_str value)
{
	put(into, name, json_text(str_from(value)));
}

static void set_int(struct gw_json *into, const char *name, int64_t value)
{
	put(into, name, json_integer(value));
}

static void set_num(struct gw_json *into, const char *name, double value)
{
	put(into, name, isfinite(value) ? json_real(value) : json_null());
}

static void set_bool(struct gw_json *into, const char *name, int32_t value)
{
	put(into, name, json_boolean(value));
}

static void set_null(struct gw_json *into, const char *name)
{
	put(into, name, json_null());
}

static void push(struct gw_json *into, const struct gw_json *value)
{
	if (value && may_contain(into, value))
		push_new(into, json_incref(value->json));
}

static void push_str(struct gw_json *into, struct gw_str value)
{
	push_new(into, json_text(str_from(value)));
}

/* --- writing ------------------------------------------------------------ */

static void put_canon(const json_t *json, struct buf *out)
{
	json_canon_put(json, out);
}

static void put_key(const char *name, size_t len, struct buf *out)
{
	json_t *text = json_stringn(name, len);
	put_canon(text, out);
	json_decref(text);
	buf_put(out, ":");
}

/*
 * Like the canonical form, but members stay in the order they were set: some
 * services read an order into them (the schema of an answer, for one), and a
 * call that is started anew sets them in the same order.
 */
static void put_text(const json_t *json, struct buf *out)
{
	size_t index;
	json_t *item;
	bool is_first = true;
	if (json_is_object(json)) {
		buf_put(out, "{");
		json_t *source = (json_t *)(uintptr_t)json;
		for (void *i = json_object_iter(source); i; i = json_object_iter_next(source, i)) {
			buf_put(out, is_first ? "" : ",");
			put_key(json_object_iter_key(i), json_object_iter_key_len(i), out);
			put_text(json_object_iter_value(i), out);
			is_first = false;
		}
		buf_put(out, "}");
	} else if (json_is_array(json)) {
		buf_put(out, "[");
		json_array_foreach(json, index, item) {
			buf_put(out, index == 0 ? "" : ",");
			put_text(item, out);
		}
		buf_put(out, "]");
	} else {
		put_canon(json, out);
	}
}

struct gw_str plugin_json_text(struct plugin_call *call, const json_t *json)
{
	struct buf out;
	buf_init(&out, SIZE_MAX / 8); /* bounded where it is used */
	put_text(json, &out);
	char *text = arena_dup(&call->arena, out.bytes, out.len);
	struct gw_str ret = { text, out.len };
	buf_release(&out);
	return ret;
}

static struct gw_str text(struct gw_call *call, const struct gw_json *value)
{
	if (!value)
		return lit("");
	if (!plugin_json_is_sane(value->json)) {
		plugin_bug(call->own,
		           "a JSON value is deeper than %d levels or has more than %d parts",
		           LIMIT_JSON_DEPTH, LIMIT_JSON_NODES);
		return lit("null");
	}
	return plugin_json_text(call->own, value->json);
}

/* --- schemas ------------------------------------------------------------ */

static int check(const json_t *schema_json, const json_t *value, struct err *err)
{
	struct schema *schema = NULL;
	if (schema_new(schema_json, NULL, NULL, &schema, err) < 0)
		return err_wrap(err, "the schema itself is wrong");
	int status = schema_check(schema, value, err);
	schema_free(schema);
	return status;
}

static struct gw_str invalid(struct gw_call *call, const struct gw_json *schema,
                             const struct gw_json *value)
{
	struct err err = { 0 };
	json_t *parsed = NULL;
	if (!schema || !value)
		return lit(schema ? "there is no value" : "there is no schema");
	if (json_is_string(schema->json) &&
	    json_read(str_from(str(schema)), LIMIT_JSON_BYTES, &parsed, &err) < 0)
		err_wrap(&err, "the schema itself is wrong");
	else if (plugin_json_is_sane(schema->json) && plugin_json_is_sane(value->json))
		(void)check(parsed ? parsed : schema->json, value->json, &err); /* err says it */
	else
		err_set(&err, ERR_LIMIT, "it is too deep or too large");
	json_decref(parsed);
	return err.code == 0 ? lit("") : lit(arena_dup_str(&call->own->arena, err.text));
}

const struct gw_json_ops plugin_json_ops = {
	.size = sizeof(plugin_json_ops),
	.parse = parse,
	.type = type,
	.get = get,
	.member = member,
	.str = str,
	.integer = integer,
	.number = number,
	.truth = truth,
	.count = count,
	.at = at,
	.key = key,
	.object = object,
	.list = list,
	.set = set,
	.set_str = set_str,
	.set_int = set_int,
	.set_num = set_num,
	.set_bool = set_bool,
	.set_null = set_null,
	.push = push,
	.push_str = push_str,
	.text = text,
	.invalid = invalid,
};
