/* SPDX-License-Identifier: MIT */
/* The gw attributes of <invoke> and <send>: how a dispatch is to be done (DESIGN.md 3). */
#include <string.h>

#include "base/limits.h"
#include "chart/chart_int.h"

static void bad_value(struct compile *c, const struct xml_attr *attr, const char *hint)
{
	compile_error(c, "gw.bad_value", attr->at, hint, "gw:%s cannot be '%.80s'", attr->name,
	              attr->value);
}

bool read_truth(struct compile *c, const struct xml_attr *attr)
{
	if (!attr || strcmp(attr->value, "false") == 0)
		return false;
	if (strcmp(attr->value, "true") != 0)
		compile_error(c, attr->space == ATTR_GW ? "gw.bad_value" : "scxml.bad_value",
		              attr->at, "write true or false", "%s%s cannot be '%.80s'",
		              attr->space == ATTR_GW ? "gw:" : "", attr->name, attr->value);
	return true;
}

/* A whole number between min and max; fallback when absent or wrong. */
static int32_t read_number(struct compile *c, const struct xml_attr *attr, int32_t min, int32_t max,
                           int32_t fallback)
{
	if (!attr)
		return fallback;
	int64_t number = 0;
	const char *p = attr->value;
	for (; *p >= '0' && *p <= '9' && number <= max; p++)
		number = number * 10 + (*p - '0');
	if (p > attr->value && *p == '\0' && number >= min && number <= max)
		return (int32_t)number;
	bad_value(c, attr,
	          arena_format(&c->scratch, "write a whole number from %d to %d", min, max));
	return fallback;
}

static int64_t read_timeout(struct compile *c, const struct xml_attr *attr)
{
	struct err err = { 0 };
	int64_t ms = -1;
	if (attr &&
	    (chart_parse_delay(attr->value, &ms, &err) < 0 || ms < 1 || ms > LIMIT_TIMEOUT_MS)) {
		bad_value(c, attr, "write a time such as 10s or 500ms, at most 10 minutes");
		return -1;
	}
	return ms;
}

/* "1s..4s", or one time for both. */
static void read_backoff(struct compile *c, const struct xml_attr *attr, struct chart_dispatch *ret)
{
	if (!attr)
		return;
	const char *dots = strstr(attr->value, "..");
	struct err err = { 0 };
	int64_t min = 0, max = 0;
	const char *first = dots ? arena_dup(&c->scratch, attr->value, (size_t)(dots - attr->value))
	                         : attr->value;
	if (chart_parse_delay(first, &min, &err) < 0 ||
	    chart_parse_delay(dots ? dots + 2 : attr->value, &max, &err) < 0 || min > max ||
	    min < 1 || max > LIMIT_TIMEOUT_MS) {
		bad_value(c, attr,
		          "write two times such as 1s..4s, the smaller first, at most 10 minutes");
		return;
	}
	ret->backoff_min_ms = min;
	ret->backoff_max_ms = max;
}

static bool is_name(const char *text)
{
	if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '_'))
		return false;
	while ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '_' ||
	       (*text >= '0' && *text <= '9'))
		text++;
	return *text == '\0';
}

static const char *copy(struct compile *c, const struct xml_attr *attr, const char *fallback)
{
	return attr ? arena_dup_str(&c->chart->own->arena, attr->value) : fallback;
}

static void read_each(struct compile *c, const struct xml_node *node, struct chart_dispatch *ret)
{
	const struct xml_attr *each = node_gw(node, "each"), *as = node_gw(node, "as");
	const struct xml_attr *parallel = node_gw(node, "parallel");
	if (each)
		ret->each = content_expr(c, each);
	if (as && !is_name(as->value))
		bad_value(c, as, "write a name of letters, digits and _");
	ret->as = copy(c, as, "item");
	ret->parallel = read_number(c, parallel, 1, LIMIT_EACH_ELEMENTS, 1);
	if (!each && (as || parallel))
		compile_error(c, "gw.misplaced", (as ? as : parallel)->at,
		              "add gw:each, or remove it", "gw:%s means nothing without gw:each",
		              (as ? as : parallel)->name);
}

struct chart_dispatch content_dispatch(struct compile *c, const struct xml_node *node)
{
	struct chart_dispatch ret = { .backoff_min_ms = -1, .backoff_max_ms = -1 };
	ret.connection = copy(c, node_gw(node, "connection"), NULL);
	ret.timeout_ms = read_timeout(c, node_gw(node, "timeout"));
	ret.retries = read_number(c, node_gw(node, "retries"), 0, LIMIT_RETRIES, -1);
	read_backoff(c, node_gw(node, "backoff"), &ret);
	read_each(c, node, &ret);
	ret.advisory = copy(c, node_gw(node, "advisory"), NULL);
	ret.fallback = copy(c, node_gw(node, "fallback"), NULL);
	if (ret.fallback && !ret.advisory)
		compile_error(c, "gw.misplaced", node_gw(node, "fallback")->at,
		              "add gw:advisory, or remove it",
		              "gw:fallback means nothing without gw:advisory");
	const struct xml_attr *unsure = node_gw(node, "on-unsure");
	if (unsure && strcmp(unsure->value, "reconcile") != 0 &&
	    strcmp(unsure->value, "retry") != 0 && strcmp(unsure->value, "fail") != 0)
		bad_value(c, unsure, "write reconcile, retry or fail");
	ret.on_unsure = copy(c, unsure, "reconcile");
	return ret;
}
