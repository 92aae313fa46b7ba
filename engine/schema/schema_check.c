/* SPDX-License-Identifier: MIT */
/*
 * Does a value fit?  The first pass only asks yes or no: it stops at the first
 * rule that does not hold and allocates nothing but what PCRE2 needs.  Only
 * when the answer is no does a second pass go through the same code with a
 * report to fill, and then every rule that does not hold explains itself
 * (schema_explain.c).
 *
 * A check is bounded by LIMIT_SCHEMA_STEPS, LIMIT_SCHEMA_DEPTH and the limits
 * of patterns.  Once a limit is passed nothing that was found out counts:
 * every function returns false at once, and the outermost says which it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "schema/schema_int.h"

/* --- what was seen ------------------------------------------------------------- */

void seen_begin(struct seen *seen, const json_t *value)
{
	size_t count = json_is_object(value) ? json_object_size(value) : json_array_size(value);
	*seen = (struct seen){ .count = count };
	seen->bits = count <= 64 * sizeof(seen->few) / sizeof(seen->few[0])
	                     ? seen->few
	                     : mem_alloc(bits_words(count) * sizeof(uint64_t));
}

void seen_end(struct seen *seen)
{
	if (seen->bits != seen->few)
		free(seen->bits);
}

void seen_merge(struct seen *into, const struct seen *from)
{
	must(into->count == from->count);
	for (size_t i = 0; i < bits_words(from->count); i++)
		into->bits[i] |= from->bits[i];
}

void seen_mark(struct seen *seen, size_t i)
{
	if (seen)
		bits_set(seen->bits, i);
}

void seen_mark_all(struct seen *seen)
{
	if (seen)
		memset(seen->bits, 0xff, bits_words(seen->count) * sizeof(uint64_t));
}

/* --- assertions ------------------------------------------------------------------ */

bool check_stop(struct check *check, const char *limit)
{
	if (!check->limit)
		check->limit = limit;
	return false;
}

static bool enum_holds(const json_t *allowed, const json_t *value)
{
	size_t i;
	json_t *one;
	json_array_foreach(allowed, i, one)
		if (value_equal(one, value))
			return true;
	return false;
}

static bool pattern_holds(struct check *check, const struct pattern *pattern, struct str text)
{
	bool ret = pattern_matches(pattern, text, &check->matcher);
	return check->matcher.is_over ? check_stop(check, "LIMIT_PATTERN_STEPS") : ret;
}

static bool unique_holds(struct check *check, const json_t *array)
{
	size_t first, second;
	bool twins = value_find_twins(array, &check->steps, &first, &second);
	return check->steps == 0 ? check_stop(check, "LIMIT_SCHEMA_STEPS") : !twins;
}

static bool has_all(const struct str *names, size_t count, const json_t *object)
{
	for (size_t i = 0; i < count; i++)
		if (!json_object_getn(object, names[i].ptr, names[i].len))
			return false;
	return true;
}

static bool dependent_required_holds(const struct rule *rule, const json_t *object)
{
	for (size_t i = 0; i < rule->count; i++) {
		const struct dependent *dependent = &rule->as.dependents[i];
		if (json_object_getn(object, dependent->name.ptr, dependent->name.len) &&
		    !has_all(dependent->names, dependent->count, object))
			return false;
	}
	return true;
}

static bool assertion_holds(struct check *check, const struct rule *rule, const json_t *value)
{
	switch ((int)rule->kind) {
	case RULE_TYPE: return (rule->as.types & value_types(value)) != 0;
	case RULE_CONST: return value_equal(rule->as.value, value);
	case RULE_ENUM: return enum_holds(rule->as.value, value);
	case RULE_MULTIPLE_OF: return value_is_multiple(value, rule->as.number);
	case RULE_MAXIMUM: return value_compare(value, rule->as.number) <= 0;
	case RULE_EXCLUSIVE_MAXIMUM: return value_compare(value, rule->as.number) < 0;
	case RULE_MINIMUM: return value_compare(value, rule->as.number) >= 0;
	case RULE_EXCLUSIVE_MINIMUM: return value_compare(value, rule->as.number) > 0;
	case RULE_MAX_LENGTH: return value_length(value) <= rule->count;
	case RULE_MIN_LENGTH: return value_length(value) >= rule->count;
	case RULE_PATTERN: return pattern_holds(check, rule->as.pattern, value_str(value));
	case RULE_MAX_ITEMS: return json_array_size(value) <= rule->count;
	case RULE_MIN_ITEMS: return json_array_size(value) >= rule->count;
	case RULE_UNIQUE_ITEMS: return unique_holds(check, value);
	case RULE_MAX_PROPERTIES: return json_object_size(value) <= rule->count;
	case RULE_MIN_PROPERTIES: return json_object_size(value) >= rule->count;
	case RULE_REQUIRED: return has_all(rule->as.names, rule->count, value);
	case RULE_DEPENDENT_REQUIRED: return dependent_required_holds(rule, value);
	default: must_not_reach();
	}
}

/* --- nodes ------------------------------------------------------------------------- */

bool report_full(const struct report *report)
{
	return report->found.len >= report->max;
}

/* After a rule failed: is there anything left to say? */
static bool is_settled(const struct check *check)
{
	return check->limit || !check->report || report_full(check->report);
}

static bool run_rules(struct check *check, const struct node *node, const json_t *value,
                      const struct place *at, struct seen *seen)
{
	unsigned int types = value_types(value);
	bool ok = true;
	for (size_t i = 0; i < node->rule_count; i++) {
		const struct rule *rule = &node->rules[i];
		if (!(rule->applies & types))
			continue;
		if (!ok && rule->kind >= RULE_UNEVALUATED_ITEMS)
			break; /* what a failed rule would have seen is not known */
		bool holds;
		if (rule->kind < RULE_MEMBERS) {
			holds = assertion_holds(check, rule, value);
			if (!holds && check->report && !check->limit)
				explain_rule(check, node, rule, value, at);
		} else {
			holds = check_rule(check, node, rule, value, at, seen);
		}
		ok &= holds;
		if (!holds && is_settled(check))
			break;
	}
	return ok;
}

/* A node that tracks sees only what its own rules saw, and hands that on when it holds. */
static bool run_tracking(struct check *check, const struct node *node, const json_t *value,
                         const struct place *at, struct seen *seen)
{
	struct seen own;
	seen_begin(&own, value);
	bool ok = run_rules(check, node, value, at, &own);
	if (ok && seen)
		seen_merge(seen, &own);
	seen_end(&own);
	return ok;
}

bool check_node(struct check *check, const struct node *node, const json_t *value,
                const struct place *at, struct seen *seen)
{
	if (check->limit)
		return false;
	if (check->steps == 0)
		return check_stop(check, "LIMIT_SCHEMA_STEPS");
	check->steps--;
	if (node->is_boolean) {
		if (!node->boolean && check->report)
			explain_false(check, at);
		return node->boolean;
	}
	if (check->depth == LIMIT_SCHEMA_DEPTH)
		return check_stop(check, "LIMIT_SCHEMA_DEPTH");
	check->depth++;
	const struct scope *outer = check->scope;
	struct scope scope = { outer, node->resource };
	if (check->schema->is_dynamic && (!outer || outer->resource != node->resource))
		check->scope = &scope;
	bool ok = node->tracks ? run_tracking(check, node, value, at, seen)
	                       : run_rules(check, node, value, at, seen);
	check->scope = outer;
	check->depth--;
	return ok && !check->limit;
}

bool check_branch(struct check *check, const struct node *node, const json_t *value,
                  const struct place *at, struct seen *seen)
{
	struct report *report = check->report;
	check->report = NULL;
	bool ok;
	if (seen) {
		struct seen own;
		seen_begin(&own, value);
		ok = check_node(check, node, value, at, &own);
		if (ok)
			seen_merge(seen, &own);
		seen_end(&own);
	} else {
		ok = check_node(check, node, value, at, NULL);
	}
	check->report = report;
	return ok;
}

/* --- the interface ------------------------------------------------------------------ */

static struct check check_begin(const struct schema *schema)
{
	return (struct check){ .schema = schema, .steps = LIMIT_SCHEMA_STEPS };
}

static void report_init(struct report *report, size_t max)
{
	*report = (struct report){ .max = max };
	arena_init(&report->arena);
}

static void report_release(struct report *report)
{
	vec_release(&report->found);
	arena_release(&report->arena);
}

static bool is_valid(const struct schema *schema, const json_t *value, const char **ret_limit)
{
	const struct place root = { 0 };
	struct check check = check_begin(schema);
	bool ok = check_node(&check, schema->root, value, &root, NULL);
	matcher_release(&check.matcher);
	*ret_limit = check.limit;
	return ok;
}

/* Fills report with at least one finding about a value that is known not to fit. */
static void find_reasons(const struct schema *schema, const json_t *value, struct report *report)
{
	const struct place root = { 0 };
	struct check check = check_begin(schema);
	check.report = report;
	(void)check_node(&check, schema->root, value, &root, NULL); /* it is false */
	matcher_release(&check.matcher);
	if (report->found.len == 0)
		*vec_add(&report->found) = (struct finding){ "", "schema",
			                                     "does not fit the schema", "", 0 };
}

static int refuse_limit(const char *limit, struct err *err)
{
	err_set_id(err, ERR_LIMIT, "schema.limit", "is too much work to check (%s)", limit);
	return err_hint(err,
	                "the value is very large, or the schema or one of its patterns has too "
	                "many ways to match");
}

int schema_check(const struct schema *schema, const json_t *value, struct err *err)
{
	const char *limit;
	if (is_valid(schema, value, &limit))
		return 0;
	if (limit)
		return refuse_limit(limit, err);
	struct report report;
	report_init(&report, 1);
	find_reasons(schema, value, &report);
	const struct finding *first = &report.found.at[0];
	char id[sizeof(err->id)];
	snprintf(id, sizeof(id), "schema.%s", first->keyword);
	err_set_id(err, ERR_INPUT, id, "%s%s%s", first->at, first->at[0] ? ": " : "", first->text);
	if (first->hint[0])
		err_hint(err, "%s", first->hint);
	report_release(&report);
	return err->code;
}

static void push_finding(json_t *list, const struct finding *finding)
{
	json_t *ret = json_object();
	json_put_str(ret, "at", finding->at);
	json_put_str(ret, "keyword", finding->keyword);
	json_put_str(ret, "text", finding->text);
	json_put_str(ret, "hint", finding->hint);
	json_push(list, ret);
}

json_t *schema_findings(const struct schema *schema, const json_t *value, size_t max)
{
	json_t *ret = json_array();
	const char *limit;
	if (is_valid(schema, value, &limit) || max == 0)
		return ret;
	if (limit) {
		struct err err = { 0 };
		refuse_limit(limit, &err);
		push_finding(ret, &(struct finding){ "", "limit", err.text, err.hint, 0 });
		return ret;
	}
	struct report report;
	report_init(&report, max);
	find_reasons(schema, value, &report);
	for (size_t i = 0; i < report.found.len; i++)
		push_finding(ret, &report.found.at[i]);
	report_release(&report);
	return ret;
}
