/* SPDX-License-Identifier: MIT */
/*
 * Why a value does not fit, in words for the person who wrote it: the place as
 * they would write it, what is there, what is wanted, and a hint where one
 * helps.  Called in the second pass only, so nothing here need be quick.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/must.h"
#include "schema/schema_int.h"

enum {
	NAMES_MAX = 64,      /* property names looked at for "did you mean" */
	NAMES_DEPTH = 8,     /* references followed to find them */
	LISTED_MAX = 12,     /* allowed values named in a hint */
	BRANCH_FINDINGS = 8, /* remembered per branch of anyOf */
	PLACE_BYTES = 16384
};

/* --- showing ------------------------------------------------------------------- */

/* The bytes of the character at p, at most 4; the text is valid UTF-8. */
static size_t character_len(const char *p, const char *end)
{
	size_t len = 1;
	while (p + len < end && ((unsigned char)p[len] & 0xc0) == 0x80)
		len++;
	return len;
}

/*
 * In quotes and at most LIMIT_SHOWN_BYTES long; controls are escaped, so that
 * no value can play with a terminal.
 */
static void put_quoted(struct buf *out, struct str text)
{
	const char *p = text.ptr, *end = p + text.len;
	size_t most = out->len + LIMIT_SHOWN_BYTES - sizeof("...\"");
	buf_put(out, "\"");
	while (p < end) {
		size_t len = character_len(p, end);
		unsigned char c = (unsigned char)*p;
		bool is_c1 = c == 0xc2 && len == 2 && (unsigned char)p[1] < 0xa0;
		char escaped[8] = "";
		if (c < 0x20 || c == 0x7f || is_c1)
			snprintf(escaped, sizeof(escaped), "\\u%04x",
			         is_c1 ? (unsigned char)p[1] : c);
		else if (c == '"' || c == '\\')
			snprintf(escaped, sizeof(escaped), "\\%c", c);
		size_t need = escaped[0] ? strlen(escaped) : len;
		if (out->len + need > most)
			break;
		buf_put_len(out, escaped[0] ? escaped : p, need);
		p += len;
	}
	buf_put(out, p < end ? "...\"" : "\"");
}

static const char *take_text(struct check *check, struct buf *out)
{
	struct str text = buf_str(out);
	char *ret = arena_dup(&check->report->arena, text.ptr, text.len);
	buf_release(out);
	return ret;
}

static const char *quote(struct check *check, struct str text)
{
	struct buf out;
	buf_init(&out, LIMIT_SHOWN_BYTES);
	put_quoted(&out, text);
	return take_text(check, &out);
}

static const char *show(struct check *check, const json_t *value)
{
	if (json_is_string(value))
		return quote(check, value_str(value));
	if (json_is_object(value) || json_is_array(value))
		return json_kind(value);
	struct buf out;
	buf_init(&out, LIMIT_SHOWN_BYTES);
	json_canon_put(value, &out);
	return take_text(check, &out);
}

static bool is_plain(const char *key)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-$0123456789";
	size_t len = strlen(key);
	return len > 0 && len <= LIMIT_SHOWN_BYTES && strspn(key, letters) == len;
}

static void put_place(struct buf *out, const struct place *at)
{
	if (!at->outer)
		return;
	put_place(out, at->outer);
	if (out->len > PLACE_BYTES / 2)
		return; /* deep enough to be found */
	if (!at->key) {
		buf_printf(out, "[%zu]", at->index);
	} else if (is_plain(at->key)) {
		buf_printf(out, "%s%s", out->len > 0 ? "." : "", at->key);
	} else {
		buf_put(out, "[");
		put_quoted(out, str_of(at->key));
		buf_put(out, "]");
	}
}

static const char *show_place(struct check *check, const struct place *at)
{
	struct buf out;
	buf_init(&out, PLACE_BYTES);
	put_place(&out, at);
	return take_text(check, &out);
}

/* --- findings ---------------------------------------------------------------------- */

/* hint may be NULL. */
static void add(struct check *check, const struct place *at, const char *keyword, const char *hint,
                const char *format, ...) ATTR_PRINTF(5, 6);

static void add(struct check *check, const struct place *at, const char *keyword, const char *hint,
                const char *format, ...)
{
	struct report *report = check->report;
	if (report_full(report))
		return;
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	struct finding *finding = vec_add(&report->found);
	finding->at = show_place(check, at);
	finding->keyword = keyword;
	finding->text = arena_dup_str(&report->arena, text);
	finding->hint = hint ? arena_dup_str(&report->arena, hint) : "";
	finding->depth = at->depth;
}

static const char *said(struct check *check, const char *format, ...) ATTR_PRINTF(2, 3);

static const char *said(struct check *check, const char *format, ...)
{
	char text[320];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return arena_dup_str(&check->report->arena, text);
}

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

/* --- names of properties --------------------------------------------------------------- */

struct names {
	const char *at[NAMES_MAX];
	size_t count;
};

/* The properties that node knows, through whatever it applies to the same value. */
static void collect_names(const struct node *node, size_t depth, struct names *names);

static void collect_from_rule(const struct rule *rule, size_t depth, struct names *names)
{
	size_t cursor = 0;
	struct map_entry *entry;
	if (rule->kind == RULE_MEMBERS) {
		while (names->count < NAMES_MAX &&
		       (entry = map_each(&rule->as.members->named, &cursor)))
			names->at[names->count++] = entry->key;
	} else if (rule->kind == RULE_REF) {
		collect_names(rule->as.node, depth + 1, names);
	} else if (rule->kind == RULE_DYNAMIC_REF) {
		collect_names(rule->as.dynamic.node, depth + 1, names);
	} else if (rule->kind == RULE_ALL_OF || rule->kind == RULE_ANY_OF ||
	           rule->kind == RULE_ONE_OF) {
		for (size_t i = 0; i < rule->as.nodes.len; i++)
			collect_names(rule->as.nodes.at[i], depth + 1, names);
	}
}

static void collect_names(const struct node *node, size_t depth, struct names *names)
{
	for (size_t i = 0; depth < NAMES_DEPTH && i < node->rule_count; i++)
		collect_from_rule(&node->rules[i], depth, names);
}

static const char *join_names(struct check *check, const struct names *names)
{
	struct buf out;
	buf_init(&out, (size_t)1 << 20);
	for (size_t i = 0; i < names->count && out.len < 200; i++)
		buf_printf(&out, "%s%.80s", i > 0 ? ", " : "", names->at[i]);
	return take_text(check, &out);
}

void explain_unknown(struct check *check, const struct node *node, const char *keyword,
                     const struct place *at)
{
	struct names names = { .count = 0 };
	collect_names(node, 0, &names);
	const char *near = str_nearest(at->key, names.at, names.count);
	const char *hint = near ? said(check, "did you mean '%.80s'?", near)
	                   : names.count > 0
	                           ? said(check, "known are %s", join_names(check, &names))
	                           : NULL;
	add(check, at, keyword, hint, "is not a known property");
}

static const char *description_of(const struct node *node, const char *name)
{
	for (size_t i = 0; i < node->rule_count; i++) {
		const struct node *named = node->rules[i].kind == RULE_MEMBERS
		                                   ? map_get(&node->rules[i].as.members->named,
		                                             name)
		                                   : NULL;
		if (named)
			return named->description;
	}
	return NULL;
}

/* A member that is not known and whose name is nearly the missing one. */
static const char *misspelt(const struct node *node, const json_t *object, const char *missing)
{
	struct names known = { .count = 0 }, others = { .count = 0 };
	collect_names(node, 0, &known);
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		bool is_known = false;
		for (size_t i = 0; i < known.count; i++)
			is_known |= strcmp(known.at[i], key) == 0;
		if (!is_known && others.count < NAMES_MAX)
			others.at[others.count++] = key;
	}
	return str_nearest(missing, others.at, others.count);
}

static void explain_missing(struct check *check, const struct node *node, const struct str *names,
                            size_t count, const char *because, const json_t *object,
                            const struct place *at)
{
	for (size_t i = 0; i < count; i++) {
		if (json_object_getn(object, names[i].ptr, names[i].len))
			continue;
		struct place inner = { at, names[i].ptr, 0, at->depth + 1 };
		const char *near = misspelt(node, object, names[i].ptr);
		const char *hint = near ? said(check, "there is %s: is it meant?",
		                               quote(check, str_of(near)))
		                        : description_of(node, names[i].ptr);
		if (because)
			add(check, &inner, "dependentRequired", hint,
			    "is missing; '%.80s' needs it", because);
		else
			add(check, &inner, "required", hint, "is missing");
	}
}

/* --- assertions ----------------------------------------------------------------------- */

static const char *type_names(struct check *check, unsigned int types)
{
	static const struct {
		enum type type;
		const char *name;
	} known[] = {
		{ TYPE_STRING, "a string" },  { TYPE_INTEGER, "a whole number" },
		{ TYPE_NUMBER, "a number" },  { TYPE_BOOLEAN, "true or false" },
		{ TYPE_OBJECT, "an object" }, { TYPE_ARRAY, "an array" },
		{ TYPE_NULL, "null" },
	};
	const char *text = "";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (types & known[i].type)
			text = said(check, "%s%s%s", text, text[0] ? " or " : "", known[i].name);
	return text;
}

static void explain_type(struct check *check, unsigned int types, const json_t *value,
                         const struct place *at)
{
	const char *hint = NULL;
	char *end = NULL;
	if (json_is_string(value) && (types & (TYPE_NUMBER | TYPE_INTEGER)) &&
	    json_string_length(value) > 0 && (strtod(json_string_value(value), &end), *end == '\0'))
		hint = "write it without quotes";
	else if (json_is_number(value) && (types & TYPE_STRING))
		hint = "write it in quotes";
	else if (json_is_string(value) && (types & TYPE_BOOLEAN) &&
	         (strcmp(json_string_value(value), "true") == 0 ||
	          strcmp(json_string_value(value), "false") == 0))
		hint = "write it without quotes";
	add(check, at, "type", hint, "%s is not %s", show(check, value), type_names(check, types));
}

static void explain_enum(struct check *check, const json_t *allowed, const json_t *value,
                         const struct place *at)
{
	const char *names[NAMES_MAX];
	size_t count = 0, i;
	json_t *one;
	struct buf list;
	buf_init(&list, (size_t)1 << 20);
	json_array_foreach(allowed, i, one) {
		if (json_is_string(one) && count < NAMES_MAX)
			names[count++] = json_string_value(one);
		if (i < LISTED_MAX && list.len < 160)
			buf_printf(&list, "%s%s", i > 0 ? ", " : "", show(check, one));
		else if (i == LISTED_MAX)
			buf_put(&list, ", ...");
	}
	const char *near = json_is_string(value)
	                           ? str_nearest(json_string_value(value), names, count)
	                           : NULL;
	const char *all = take_text(check, &list);
	const char *hint = near ? said(check, "did you mean %s? allowed: %s",
	                               quote(check, str_of(near)), all)
	                        : said(check, "allowed: %s", all);
	add(check, at, "enum", hint, "%s is not one of the allowed values", show(check, value));
}

static void explain_bound(struct check *check, const struct rule *rule, const char *keyword,
                          const char *relation, const json_t *value, const struct place *at)
{
	add(check, at, keyword, NULL, "%s is %s %s", show(check, value), relation,
	    show(check, rule->as.number));
}

static void explain_size(struct check *check, const struct rule *rule, const char *keyword,
                         const char *what, size_t size, const struct place *at)
{
	add(check, at, keyword, NULL, "has %zu %s%s; %s %zu", size, what, plural(size),
	    size > rule->count ? "at most" : "at least", rule->count);
}

static void explain_length(struct check *check, const struct rule *rule, const char *keyword,
                           const json_t *value, const struct place *at)
{
	size_t length = value_length(value);
	if (length == 0)
		add(check, at, keyword, NULL, "is empty; at least %zu character%s", rule->count,
		    plural(rule->count));
	else
		add(check, at, keyword, NULL, "%s has %zu character%s; %s %zu", show(check, value),
		    length, plural(length), length > rule->count ? "at most" : "at least",
		    rule->count);
}

static void explain_twins(struct check *check, const json_t *array, const struct place *at)
{
	size_t steps = check->steps, first = 0, second = 0;
	if (value_find_twins(array, &steps, &first, &second))
		add(check, at, "uniqueItems", NULL, "items %zu and %zu are equal: %s", first,
		    second, show(check, json_array_get(array, first)));
}

static void explain_dependent(struct check *check, const struct node *node, const struct rule *rule,
                              const json_t *object, const struct place *at)
{
	for (size_t i = 0; i < rule->count; i++) {
		const struct dependent *dependent = &rule->as.dependents[i];
		if (json_object_getn(object, dependent->name.ptr, dependent->name.len))
			explain_missing(check, node, dependent->names, dependent->count,
			                dependent->name.ptr, object, at);
	}
}

void explain_rule(struct check *check, const struct node *node, const struct rule *rule,
                  const json_t *value, const struct place *at)
{
	switch ((int)rule->kind) {
	case RULE_TYPE: explain_type(check, rule->as.types, value, at); return;
	case RULE_CONST:
		add(check, at, "const", node->description, "%s is not %s", show(check, value),
		    show(check, rule->as.value));
		return;
	case RULE_ENUM: explain_enum(check, rule->as.value, value, at); return;
	case RULE_MULTIPLE_OF:
		explain_bound(check, rule, "multipleOf", "not a multiple of", value, at);
		return;
	case RULE_MAXIMUM: explain_bound(check, rule, "maximum", "more than", value, at); return;
	case RULE_EXCLUSIVE_MAXIMUM:
		explain_bound(check, rule, "exclusiveMaximum", "not less than", value, at);
		return;
	case RULE_MINIMUM: explain_bound(check, rule, "minimum", "less than", value, at); return;
	case RULE_EXCLUSIVE_MINIMUM:
		explain_bound(check, rule, "exclusiveMinimum", "not more than", value, at);
		return;
	case RULE_MAX_LENGTH: explain_length(check, rule, "maxLength", value, at); return;
	case RULE_MIN_LENGTH: explain_length(check, rule, "minLength", value, at); return;
	case RULE_PATTERN:
		add(check, at, "pattern", node->description, "%s does not match the pattern %.200s",
		    show(check, value), pattern_text(rule->as.pattern));
		return;
	case RULE_MAX_ITEMS:
		explain_size(check, rule, "maxItems", "item", json_array_size(value), at);
		return;
	case RULE_MIN_ITEMS:
		explain_size(check, rule, "minItems", "item", json_array_size(value), at);
		return;
	case RULE_UNIQUE_ITEMS: explain_twins(check, value, at); return;
	case RULE_MAX_PROPERTIES:
		explain_size(check, rule, "maxProperties", "member", json_object_size(value), at);
		return;
	case RULE_MIN_PROPERTIES:
		explain_size(check, rule, "minProperties", "member", json_object_size(value), at);
		return;
	case RULE_REQUIRED:
		explain_missing(check, node, rule->as.names, rule->count, NULL, value, at);
		return;
	case RULE_DEPENDENT_REQUIRED: explain_dependent(check, node, rule, value, at); return;
	case RULE_NOT:
		add(check, at, "not", rule->as.node->description,
		    "%s is of a form that is excluded", show(check, value));
		return;
	default: must_not_reach();
	}
}

/* --- applicators ------------------------------------------------------------------------ */

void explain_false(struct check *check, const struct place *at)
{
	add(check, at, "false", NULL, "is not allowed");
}

void explain_item(struct check *check, const char *keyword, const struct place *at, size_t expected)
{
	add(check, at, keyword, NULL, "is one item too many; at most %zu", expected);
}

void explain_contains(struct check *check, const struct rule *rule, size_t matching,
                      const struct place *at)
{
	const struct contains *contains = &rule->as.contains;
	bool many = matching > contains->max;
	const char *keyword = many ? "maxContains" : contains->min > 1 ? "minContains" : "contains";
	size_t bound = many ? contains->max : contains->min;
	add(check, at, keyword, contains->node->description,
	    "has %zu item%s of the wanted form; %s %zu", matching, plural(matching),
	    many ? "at most" : "at least", bound);
}

void explain_several(struct check *check, const struct rule *rule, size_t matching,
                     const struct place *at)
{
	add(check, at, "oneOf", NULL, "fits %zu of the %zu forms of which exactly one is wanted",
	    matching, rule->as.nodes.len);
}

/* What a schema says against a value, apart from the report; to be released. */
static void find_apart(struct check *check, const struct node *node, const json_t *value,
                       const struct place *at, struct report *ret)
{
	struct report *outer = check->report;
	*ret = (struct report){ .max = BRANCH_FINDINGS };
	arena_init(&ret->arena);
	check->report = ret;
	(void)check_node(check, node, value, at, NULL); /* it is false */
	check->report = outer;
}

static void release_apart(struct report *report)
{
	vec_release(&report->found);
	arena_release(&report->arena);
}

void explain_name(struct check *check, const struct node *names, const json_t *name,
                  const struct place *at)
{
	struct report found;
	find_apart(check, names, name, at, &found);
	if (found.found.len > 0)
		add(check, at, "propertyNames", found.found.at[0].hint, "the name is wrong: %s",
		    found.found.at[0].text);
	else
		add(check, at, "propertyNames", NULL, "the name is wrong");
	release_apart(&found);
}

/*
 * Was this branch meant?  Not when the value is of another type altogether, or
 * when a member that tells the forms apart (a const or enum) says otherwise.
 */
static bool is_meant(const struct report *report, size_t depth)
{
	for (size_t i = 0; i < report->found.len; i++) {
		const struct finding *finding = &report->found.at[i];
		bool is_tag = strcmp(finding->keyword, "const") == 0 ||
		              strcmp(finding->keyword, "enum") == 0;
		bool is_type = strcmp(finding->keyword, "type") == 0;
		bool is_false = strcmp(finding->keyword, "false") == 0;
		if ((is_tag && finding->depth <= depth + 1) ||
		    ((is_type || is_false) && finding->depth == depth))
			return false;
	}
	return report->found.len > 0;
}

static void copy_findings(struct check *check, const struct report *from)
{
	struct report *into = check->report;
	for (size_t i = 0; i < from->found.len && !report_full(into); i++) {
		const struct finding *one = &from->found.at[i];
		*vec_add(&into->found) = (struct finding){
			arena_dup_str(&into->arena, one->at),
			one->keyword,
			arena_dup_str(&into->arena, one->text),
			arena_dup_str(&into->arena, one->hint),
			one->depth,
		};
	}
}

/* No branch of anyOf or oneOf fits: what the one that was meant says, or all of them in short. */
void explain_none(struct check *check, const struct rule *rule, const json_t *value,
                  const struct place *at)
{
	const struct nodes *nodes = &rule->as.nodes;
	struct report meant = { 0 };
	struct buf hint;
	size_t meant_count = 0;
	arena_init(&meant.arena);
	buf_init(&hint, (size_t)1 << 20);
	const char *here = show_place(check, at);
	for (size_t i = 0; i < nodes->len && !check->limit; i++) {
		struct report found;
		find_apart(check, nodes->at[i], value, at, &found);
		const struct finding *first = found.found.len > 0 ? &found.found.at[0] : NULL;
		if (first && hint.len < 240) {
			bool below = strcmp(first->at, here) != 0;
			buf_printf(&hint, "%s%s%s%s", hint.len > 0 ? "; or " : "either ",
			           below ? first->at : "", below ? " " : "", first->text);
		}
		bool keep = (nodes->len == 1 || is_meant(&found, at->depth)) && meant_count++ == 0;
		struct report *spent = keep ? &meant : &found;
		release_apart(spent);
		if (keep)
			meant = found;
	}
	const char *why = take_text(check, &hint);
	if (meant_count == 1 && meant.found.len > 0)
		copy_findings(check, &meant);
	else
		add(check, at, rule->kind == RULE_ANY_OF ? "anyOf" : "oneOf", why,
		    "%s fits none of the %zu allowed forms", show(check, value), nodes->len);
	release_apart(&meant);
}
