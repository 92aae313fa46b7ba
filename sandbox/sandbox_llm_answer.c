/* SPDX-License-Identifier: MIT */
/*
 * Answers that fit a JSON Schema.  llm_value_new() walks the schema and takes
 * from a hint (a canned answer) what is of the right type; the rest it makes
 * up, the same each time: the first of an enum's values by a hash of the
 * question, numbers at their lower bound, words for strings.
 */
#include "sandbox/sandbox_llm.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { SCHEMA_DEPTH_MAX = 12, VALUES_MAX = 20000 };

struct maker {
	const json_t *root; /* for $ref */
	const char *question;
	int depth, values;
};

static json_t *make(struct maker *maker, const json_t *schema, const json_t *hint,
                    const char *name);

/* --- the strict subset ------------------------------------------------------------ */

static bool strict(const json_t *schema, int depth, char fault[300])
{
	const char *name;
	json_t *property;
	size_t i;
	const json_t *properties = json_at(schema, "properties");
	static const char *const barred[] = {
		"allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"
	};
	for (i = 0; i < sizeof(barred) / sizeof(*barred); i++)
		if (json_at(schema, barred[i])) {
			snprintf(fault, 300, "'%s' is not permitted", barred[i]);
			return false;
		}
	if (depth > 10) {
		snprintf(fault, 300, "more than 10 levels of nesting");
		return false;
	}
	if (properties && !json_is_false(json_at(schema, "additionalProperties"))) {
		snprintf(fault, 300,
		         "'additionalProperties' is required to be supplied and to be false");
		return false;
	}
	json_object_foreach((json_t *)(uintptr_t)properties, name, property) {
		bool is_required = false;
		json_t *one;
		json_array_foreach(json_at(schema, "required"), i, one)
			is_required |= json_is_string(one) &&
			               strcmp(json_string_value(one), name) == 0;
		if (!is_required) {
			snprintf(fault, 300,
			         "'required' is required to be supplied and to be an array "
			         "including "
			         "every key in properties. Missing '%.100s'",
			         name);
			return false;
		}
		if (!strict(property, depth + 1, fault))
			return false;
	}
	const json_t *items = json_at(schema, "items");
	return !items || strict(items, depth + 1, fault);
}

bool llm_schema_is_strict(const json_t *schema, char fault[300])
{
	if (!json_is_object(schema) || strcmp(json_str(schema, "type", ""), "object") != 0) {
		snprintf(fault, 300, "schema must be a JSON Schema of 'type: \"object\"'");
		return false;
	}
	return strict(schema, 1, fault);
}

/* --- values --------------------------------------------------------------------- */

static bool type_is(const json_t *schema, const char *type)
{
	const json_t *given = json_at(schema, "type");
	if (json_is_string(given))
		return strcmp(json_string_value(given), type) == 0;
	for (size_t i = 0; i < json_array_size(given); i++)
		if (json_is_string(json_array_get(given, i)) &&
		    strcmp(json_string_value(json_array_get(given, i)), type) == 0)
			return true;
	return false;
}

static bool in_bounds(const json_t *schema, double value)
{
	const json_t *min = json_at(schema, "minimum"), *max = json_at(schema, "maximum");
	return (!json_is_number(min) || value >= json_number_value(min)) &&
	       (!json_is_number(max) || value <= json_number_value(max));
}

/* The characters of a text: JSON Schema counts code points. */
static size_t characters(const char *text)
{
	size_t count = 0;
	for (; *text; text++)
		count += ((unsigned char)*text & 0xC0) != 0x80;
	return count;
}

static bool hint_fits(const json_t *schema, const json_t *hint)
{
	if (json_is_string(hint)) {
		int64_t count = (int64_t)characters(json_string_value(hint));
		return type_is(schema, "string") &&
		       count <= json_int(schema, "maxLength", INT64_MAX) &&
		       count >= json_int(schema, "minLength", 0);
	}
	if (json_is_integer(hint))
		return (type_is(schema, "integer") || type_is(schema, "number")) &&
		       in_bounds(schema, json_number_value(hint));
	if (json_is_real(hint))
		return type_is(schema, "number") && in_bounds(schema, json_number_value(hint));
	if (json_is_boolean(hint))
		return type_is(schema, "boolean");
	return json_is_null(hint) && type_is(schema, "null");
}

static json_t *from_enum(struct maker *maker, const json_t *values, const json_t *hint,
                         const char *name)
{
	for (size_t i = 0; i < json_array_size(values); i++)
		if (hint && json_equal(hint, json_array_get(values, i)))
			return json_incref(json_array_get(values, i));
	uint64_t pick = hash_text(maker->question) ^ hash_text(name);
	return json_incref(json_array_get(values, pick % json_array_size(values)));
}

static json_t *number_new(const json_t *schema, bool is_integer)
{
	const json_t *min = json_at(schema, "minimum"),
		     *above = json_at(schema, "exclusiveMinimum");
	const json_t *max = json_at(schema, "maximum");
	double value = json_is_number(min)     ? json_number_value(min)
	               : json_is_number(above) ? floor(json_number_value(above)) + 1
	               : json_is_number(max) && json_number_value(max) < 1 ? json_number_value(max)
	                                                                   : 1;
	return is_integer ? json_integer((json_int_t)ceil(value)) : json_real(value);
}

static json_t *string_new(const json_t *schema, const char *name)
{
	const char *format = json_str(schema, "format", "");
	if (strcmp(format, "date") == 0)
		return json_string("2026-01-31");
	if (strcmp(format, "date-time") == 0)
		return json_string("2026-01-31T00:00:00Z");
	if (strcmp(format, "email") == 0)
		return json_string("someone@sandbox.example");
	if (strcmp(format, "uri") == 0)
		return json_string("https://sandbox.example/");
	char *text = mem_format("The sandbox model's %s for this account.", name);
	for (char *c = text; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	int64_t max = json_int(schema, "maxLength", INT64_MAX);
	size_t len = strlen(text);
	json_t *value = json_text((struct str){ text, (int64_t)len > max ? (size_t)max : len });
	free(text);
	while ((int64_t)json_string_length(value) < json_int(schema, "minLength", 0)) {
		char *longer = mem_format("%s.", json_string_value(value));
		json_string_set(value, longer);
		free(longer);
		if (json_string_length(value) > 10000)
			break;
	}
	return value;
}

static json_t *array_new(struct maker *maker, const json_t *schema, const json_t *hint,
                         const char *name)
{
	json_t *list = json_array();
	const json_t *items = json_at(schema, "items");
	int64_t min = json_int(schema, "minItems", 1), max = json_int(schema, "maxItems", 20);
	int64_t count = json_is_array(hint) ? (int64_t)json_array_size(hint) : min;
	count = count < json_int(schema, "minItems", 0) ? min : count > max ? max : count;
	for (int64_t i = 0; i < count && i < 1000; i++) {
		char own[80];
		snprintf(own, sizeof(own), "%.60s %d", name, (int)i + 1);
		json_push(list, make(maker, items, json_array_get(hint, (size_t)i), own));
	}
	return list;
}

static json_t *object_new(struct maker *maker, const json_t *schema, const json_t *hint)
{
	const char *name;
	json_t *property, *object = json_object();
	json_object_foreach(json_at(schema, "properties"), name, property)
		json_put(object, name, make(maker, property, json_at(hint, name), name));
	return object;
}

/* "#/$defs/name" */
static const json_t *resolved(const struct maker *maker, const json_t *schema)
{
	for (int i = 0; i < SCHEMA_DEPTH_MAX && json_at(schema, "$ref"); i++) {
		const char *ref = json_str(schema, "$ref", "");
		const char *name = str_begins(ref, "#/$defs/") ? ref + 8 : "";
		schema = json_at(json_at(maker->root, "$defs"), name);
	}
	return schema;
}

static json_t *make_any(struct maker *maker, const json_t *choices, const json_t *hint,
                        const char *name)
{
	for (size_t i = 0; hint && i < json_array_size(choices); i++)
		if (hint_fits(resolved(maker, json_array_get(choices, i)), hint))
			return make(maker, json_array_get(choices, i), hint, name);
	for (size_t i = 0; i < json_array_size(choices); i++)
		if (!type_is(json_array_get(choices, i), "null"))
			return make(maker, json_array_get(choices, i), hint, name);
	return json_null();
}

static json_t *make_plain(struct maker *maker, const json_t *schema, const json_t *hint,
                          const char *name)
{
	const json_t *values = json_at(schema, "enum"), *only = json_at(schema, "const");
	const json_t *any = json_at(schema, "anyOf");
	if (only)
		return json_deep_copy(only);
	if (json_array_size(values) > 0)
		return from_enum(maker, values, hint, name);
	if (json_array_size(any) > 0)
		return make_any(maker, any, hint, name);
	if (type_is(schema, "object") || json_at(schema, "properties"))
		return object_new(maker, schema, hint);
	if (type_is(schema, "array"))
		return array_new(maker, schema, hint, name);
	if (hint && hint_fits(schema, hint))
		return json_deep_copy(hint);
	if (type_is(schema, "string"))
		return string_new(schema, name);
	if (type_is(schema, "integer") || type_is(schema, "number"))
		return number_new(schema, !type_is(schema, "number"));
	if (type_is(schema, "boolean"))
		return json_boolean(hash_text(name) & 1);
	if (type_is(schema, "null"))
		return json_null();
	return hint ? json_deep_copy(hint) : json_string("anything");
}

static json_t *make(struct maker *maker, const json_t *schema, const json_t *hint, const char *name)
{
	if (++maker->depth > SCHEMA_DEPTH_MAX || ++maker->values > VALUES_MAX) {
		maker->depth--;
		return json_null();
	}
	json_t *value = make_plain(maker, resolved(maker, schema), hint, name);
	maker->depth--;
	return value ? value : json_null();
}

json_t *llm_value_new(const json_t *schema, const json_t *hint, const char *question)
{
	struct maker maker = { schema, question, 0, 0 };
	return make(&maker, schema, hint, "answer");
}

/* --- answers -------------------------------------------------------------------- */

/* Does the question contain the words, whatever white space stands in either? */
static bool contains(const char *question, const char *words)
{
	for (; *question; question++) {
		const char *at = question, *want = words;
		while (*want) {
			at += strspn(at, " \t\r\n");
			want += strspn(want, " ");
			if (!*want || tolower((unsigned char)*at) != tolower((unsigned char)*want))
				break;
			at++;
			want++;
		}
		if (!*want)
			return true;
	}
	return false;
}

/* The first answer whose "when" the question contains; one without "when" always fits. */
static json_t *fitting(const json_t *file, const char *question)
{
	const json_t *list = json_at(file, "answers");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		const char *when = json_str(one, "when", "");
		if (!*when || contains(question, when))
			return json_at(one, "answer");
	}
	return json_at(file, "answer");
}

/* "onboarding_risk" is served by risk.json when there is no file of its whole name. */
static bool has_word(const char *name, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = name; (at = strcasestr(at, word)); at++)
		if ((at == name || strchr("_-", at[-1])) && (!at[len] || strchr("_-", at[len])))
			return true;
	return false;
}

static json_t *canned_file_new(struct sandbox *box, const char *name)
{
	char *path = mem_format("llm/%s.json", name),
	     *dir = mem_format("%s/llm", box->scenarios.dir);
	json_t *file = scenario_file_new(box, path);
	struct dirent **entries = NULL;
	int count = file ? 0 : scandir(dir, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		char word[256];
		const char *entry = entries[i]->d_name;
		if (!file && str_ends(entry, ".json")) {
			snprintf(word, sizeof(word), "%.*s", (int)(strlen(entry) - 5), entry);
			char *other = mem_format("llm/%s", entry);
			if (*word && has_word(name, word))
				file = scenario_file_new(box, other);
			free(other);
		}
		free(entries[i]);
	}
	free(entries);
	free(path);
	free(dir);
	return file;
}

static char *schema_answer_new(struct sandbox *box, const json_t *format, const json_t *own,
                               const char *question)
{
	const json_t *wanted = json_at(format, "json_schema");
	const char *name = json_str(wanted, "name", "");
	json_t *file = canned_file_new(box, name);
	const json_t *hint = json_at(json_at(own, "answers"), name);
	const json_t *raw = json_at(own, "raw");
	if (json_is_string(raw) || json_is_string(json_at(raw, name))) {
		json_decref(file);
		return mem_dup_str(
			json_string_value(json_is_string(raw) ? raw : json_at(raw, name)));
	}
	json_t *value = llm_value_new(json_at(wanted, "schema"),
	                              hint ? hint : fitting(file, question), question);
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	json_decref(file);
	if (!text)
		mem_out();
	return text;
}

char *llm_answer_new(struct sandbox *box, const json_t *body, const json_t *own,
                     const char *question)
{
	const json_t *format = json_at(body, "response_format");
	const char *type = json_str(format, "type", "text");
	if (strcmp(type, "json_schema") == 0)
		return schema_answer_new(box, format, own, question);
	if (strcmp(type, "json_object") == 0)
		return mem_dup_str("{\"answer\":\"The sandbox model has no opinion.\"}");
	const char *text = json_str(own, "text", NULL);
	if (text)
		return mem_dup_str(text);
	return mem_format("The sandbox model has read %zu characters and says the same each time.",
	                  strlen(question));
}

json_t *llm_tool_calls_new(const json_t *body, const char *question)
{
	const json_t *tools = json_at(body, "tools"), *choice = json_at(body, "tool_choice");
	const char *wanted = json_str(json_at(choice, "function"), "name", NULL);
	bool is_required = json_is_string(choice) &&
	                   strcmp(json_string_value(choice), "required") == 0;
	for (size_t i = 0; (wanted || is_required) && i < json_array_size(tools); i++) {
		const json_t *function = json_at(json_array_get(tools, i), "function");
		const char *name = json_str(function, "name", "");
		if (wanted && strcmp(wanted, name) != 0)
			continue;
		json_t *value = llm_value_new(json_at(function, "parameters"), NULL, question);
		char *arguments = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		json_t *calls = json_array(), *call = json_object(), *made = json_object();
		json_put_str(call, "id", "call_sandbox1");
		json_put_str(call, "type", "function");
		json_put_str(made, "name", name);
		json_put_str(made, "arguments", arguments);
		json_put(call, "function", made);
		json_push(calls, call);
		json_decref(value);
		free(arguments);
		return calls;
	}
	return NULL;
}
