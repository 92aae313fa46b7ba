/* SPDX-License-Identifier: MIT */
/*
 * The rules that apply other schemas: to members and items, to the same value
 * (allOf and its like, references), and to what the others left over.
 *
 * While a report is being filled, loops go on after a failure so that several
 * findings can be had; otherwise the first failure ends them.
 */
#include "base/bits.h"
#include "base/must.h"
#include "schema/schema_int.h"

/* After a failure: go on only to find more. */
static bool goes_on(const struct check *check)
{
	return check->report && !report_full(check->report) && !check->limit;
}

static bool is_false(const struct node *node)
{
	return node->is_boolean && !node->boolean;
}

static struct place member_place(const struct place *outer, const char *key)
{
	return (struct place){ outer, key, 0, outer->depth + 1 };
}

static struct place item_place(const struct place *outer, size_t index)
{
	return (struct place){ outer, NULL, index, outer->depth + 1 };
}

/* --- members ------------------------------------------------------------------- */

/* A member that no rule expects: false says so, any other node looks at it. */
static bool check_extra(struct check *check, const struct node *node, const struct node *rest,
                        const char *keyword, const json_t *value, const struct place *at)
{
	if (!is_false(rest))
		return check_node(check, rest, value, at, NULL);
	if (check->report)
		explain_unknown(check, node, keyword, at);
	return false;
}

static bool check_member(struct check *check, const struct node *node,
                         const struct members *members, const char *key, size_t len,
                         const json_t *value, const struct place *at, bool *ret_seen)
{
	bool ok = true, matched = false;
	const struct node *named = map_get(&members->named, key);
	if (named) {
		matched = true;
		ok = check_node(check, named, value, at, NULL);
	}
	for (size_t i = 0; i < members->pattern_count && (ok || goes_on(check)); i++) {
		struct str name = { key, len };
		if (pattern_matches(members->patterns[i].pattern, name, &check->matcher)) {
			matched = true;
			ok &= check_node(check, members->patterns[i].node, value, at, NULL);
		}
		if (check->matcher.is_over)
			return check_stop(check, "LIMIT_PATTERN_STEPS");
	}
	if (!matched && members->rest) {
		matched = true;
		ok = check_extra(check, node, members->rest, "additionalProperties", value, at);
	}
	*ret_seen = matched;
	return ok;
}

static bool check_members(struct check *check, const struct node *node,
                          const struct members *members, const json_t *object,
                          const struct place *at, struct seen *seen)
{
	bool ok = true;
	size_t i = 0, len;
	const char *key;
	json_t *value;
	json_object_keylen_foreach((json_t *)(uintptr_t)object, key, len, value) {
		struct place inner = member_place(at, key);
		bool matched = false;
		ok &= check_member(check, node, members, key, len, value, &inner, &matched);
		if (matched)
			seen_mark(seen, i);
		i++;
		if (!ok && !goes_on(check))
			break;
	}
	return ok;
}

static bool check_names(struct check *check, const struct node *names, const json_t *object,
                        const struct place *at)
{
	bool ok = true;
	const char *key;
	size_t len;
	json_t *value;
	json_object_keylen_foreach((json_t *)(uintptr_t)object, key, len, value) {
		struct place inner = member_place(at, key);
		json_t *name = json_stringn(key, len);
		must(name);
		bool holds = check_branch(check, names, name, &inner, NULL);
		if (!holds && check->report && !check->limit)
			explain_name(check, names, name, &inner);
		json_decref(name);
		ok &= holds;
		if (!ok && !goes_on(check))
			break;
	}
	return ok;
}

/* --- items ---------------------------------------------------------------------- */

static bool check_items(struct check *check, const struct items *items, const json_t *array,
                        const struct place *at, struct seen *seen)
{
	bool ok = true;
	size_t i;
	json_t *value;
	json_array_foreach(array, i, value) {
		bool in_prefix = i < items->prefix.len;
		const struct node *node = in_prefix ? items->prefix.at[i] : items->rest;
		if (!node)
			break;
		struct place inner = item_place(at, i);
		seen_mark(seen, i);
		if (!is_false(node)) {
			ok &= check_node(check, node, value, &inner, NULL);
		} else {
			ok = false;
			if (check->report)
				explain_item(check, in_prefix ? "prefixItems" : "items", &inner,
				             items->prefix.len);
		}
		if (!ok && !goes_on(check))
			break;
	}
	return ok;
}

static bool check_contains(struct check *check, const struct rule *rule, const json_t *array,
                           const struct place *at, struct seen *seen)
{
	const struct contains *contains = &rule->as.contains;
	size_t matching = 0, i;
	json_t *value;
	json_array_foreach(array, i, value) {
		struct place inner = item_place(at, i);
		if (check_branch(check, contains->node, value, &inner, NULL)) {
			matching++;
			seen_mark(seen, i);
		}
		bool is_enough = matching >= contains->min && contains->max == SIZE_MAX;
		if (check->limit || (is_enough && !seen))
			break;
	}
	bool ok = matching >= contains->min && matching <= contains->max;
	if (!ok && check->report && !check->limit)
		explain_contains(check, rule, matching, at);
	return ok && !check->limit;
}

/* --- the same value ----------------------------------------------------------------- */

static bool check_all(struct check *check, const struct nodes *nodes, const json_t *value,
                      const struct place *at, struct seen *seen)
{
	bool ok = true;
	for (size_t i = 0; i < nodes->len; i++) {
		ok &= check_node(check, nodes->at[i], value, at, seen);
		if (!ok && !goes_on(check))
			break;
	}
	return ok;
}

static bool check_any(struct check *check, const struct rule *rule, const json_t *value,
                      const struct place *at, struct seen *seen)
{
	bool any = false;
	for (size_t i = 0; i < rule->as.nodes.len && !check->limit; i++) {
		any |= check_branch(check, rule->as.nodes.at[i], value, at, seen);
		if (any && !seen)
			break;
	}
	if (!any && check->report && !check->limit)
		explain_none(check, rule, value, at);
	return any && !check->limit;
}

static bool check_one(struct check *check, const struct rule *rule, const json_t *value,
                      const struct place *at, struct seen *seen)
{
	size_t matching = 0;
	for (size_t i = 0; i < rule->as.nodes.len && !check->limit; i++) {
		matching += check_branch(check, rule->as.nodes.at[i], value, at, seen);
		if (matching > 1 && !check->report)
			return false;
	}
	if (check->limit || matching == 1)
		return !check->limit;
	if (check->report && matching == 0)
		explain_none(check, rule, value, at);
	else if (check->report)
		explain_several(check, rule, matching, at);
	return false;
}

static bool check_if(struct check *check, const struct conditional *conditional,
                     const json_t *value, const struct place *at, struct seen *seen)
{
	bool holds = check_branch(check, conditional->condition, value, at, seen);
	if (check->limit)
		return false;
	const struct node *then = holds ? conditional->yes : conditional->no;
	return !then || check_node(check, then, value, at, seen);
}

static bool check_not(struct check *check, const struct node *node, const struct rule *rule,
                      const json_t *value, const struct place *at)
{
	bool holds = check_branch(check, rule->as.node, value, at, NULL);
	if (holds && check->report)
		explain_rule(check, node, rule, value, at);
	return !holds && !check->limit;
}

static bool check_dependents(struct check *check, const struct rule *rule, const json_t *object,
                             const struct place *at, struct seen *seen)
{
	bool ok = true;
	for (size_t i = 0; i < rule->count; i++) {
		const struct dependent *dependent = &rule->as.dependents[i];
		if (!json_object_getn(object, dependent->name.ptr, dependent->name.len))
			continue;
		ok &= check_node(check, dependent->node, object, at, seen);
		if (!ok && !goes_on(check))
			break;
	}
	return ok;
}

/* The outermost resource on the way here that has an anchor of this name decides. */
static const struct node *resolve_dynamic(const struct check *check, const struct rule *rule)
{
	const struct node *ret = rule->as.dynamic.node;
	for (const struct scope *scope = check->scope; scope; scope = scope->outer) {
		const struct resource *resource = scope->resource;
		for (size_t i = 0; i < resource->dynamic_count; i++)
			if (resource->dynamic[i].name == rule->as.dynamic.name)
				ret = resource->dynamic[i].node;
	}
	return ret;
}

/* --- leftovers ------------------------------------------------------------------- */

static bool check_other_items(struct check *check, const struct rule *rule, const json_t *array,
                              const struct place *at, struct seen *seen)
{
	const struct node *rest = rule->as.node;
	bool ok = true;
	size_t i;
	json_t *value;
	json_array_foreach(array, i, value) {
		if (bits_has(seen->bits, i))
			continue;
		struct place inner = item_place(at, i);
		if (!is_false(rest)) {
			ok &= check_node(check, rest, value, &inner, NULL);
		} else {
			ok = false;
			if (check->report)
				explain_item(check, "unevaluatedItems", &inner, i);
		}
		if (!ok && !goes_on(check))
			break;
	}
	seen_mark_all(seen);
	return ok;
}

static bool check_other_members(struct check *check, const struct node *node,
                                const struct rule *rule, const json_t *object,
                                const struct place *at, struct seen *seen)
{
	bool ok = true;
	size_t i = 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)object, key, value) {
		struct place inner = member_place(at, key);
		if (!bits_has(seen->bits, i++))
			ok &= check_extra(check, node, rule->as.node, "unevaluatedProperties",
			                  value, &inner);
		if (!ok && !goes_on(check))
			break;
	}
	seen_mark_all(seen);
	return ok;
}

bool check_rule(struct check *check, const struct node *node, const struct rule *rule,
                const json_t *value, const struct place *at, struct seen *seen)
{
	switch ((int)rule->kind) {
	case RULE_MEMBERS: return check_members(check, node, rule->as.members, value, at, seen);
	case RULE_PROPERTY_NAMES: return check_names(check, rule->as.node, value, at);
	case RULE_ITEMS: return check_items(check, &rule->as.items, value, at, seen);
	case RULE_CONTAINS: return check_contains(check, rule, value, at, seen);
	case RULE_REF: return check_node(check, rule->as.node, value, at, seen);
	case RULE_DYNAMIC_REF:
		return check_node(check, resolve_dynamic(check, rule), value, at, seen);
	case RULE_ALL_OF: return check_all(check, &rule->as.nodes, value, at, seen);
	case RULE_ANY_OF: return check_any(check, rule, value, at, seen);
	case RULE_ONE_OF: return check_one(check, rule, value, at, seen);
	case RULE_NOT: return check_not(check, node, rule, value, at);
	case RULE_IF: return check_if(check, &rule->as.conditional, value, at, seen);
	case RULE_DEPENDENT_SCHEMAS: return check_dependents(check, rule, value, at, seen);
	case RULE_UNEVALUATED_ITEMS: return check_other_items(check, rule, value, at, seen);
	case RULE_UNEVALUATED_PROPERTIES:
		return check_other_members(check, node, rule, value, at, seen);
	default: must_not_reach();
	}
}
