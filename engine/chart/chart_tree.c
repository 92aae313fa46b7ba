/* SPDX-License-Identifier: MIT */
/* Questions about states and events that several parts of the checker and the pictures ask. */
#include <string.h>

#include "chart/chart_int.h"

int32_t tree_common(const struct chart *chart, int32_t a, int32_t z)
{
	const struct chart_state *states = chart->states;
	while (states[a].depth > states[z].depth)
		a = states[a].parent;
	while (states[z].depth > states[a].depth)
		z = states[z].parent;
	while (a != z) {
		a = states[a].parent;
		z = states[z].parent;
	}
	return a;
}

bool tree_is_orthogonal(const struct chart *chart, int32_t a, int32_t z)
{
	int32_t common = tree_common(chart, a, z);
	return common != a && common != z && chart->states[common].kind == STATE_PARALLEL;
}

int32_t tree_domain(const struct chart *chart, const struct chart_transition *transition)
{
	int32_t source = transition->source, common = source;
	bool all_inside = transition->target_count > 0;
	for (size_t i = 0; i < transition->target_count; i++) {
		int32_t target = transition->targets[i];
		all_inside &= chart_is_descendant(chart, target, source);
		common = tree_common(chart, common, target);
	}
	enum chart_state_kind kind = chart->states[source].kind;
	if (all_inside &&
	    (kind == STATE_ROOT || (transition->is_internal && kind == STATE_COMPOUND)))
		return source;
	/* A proper ancestor of source and targets that is compound or the root. */
	bool is_proper = common != source;
	for (size_t i = 0; i < transition->target_count; i++)
		is_proper &= common != transition->targets[i];
	if (!is_proper && common > 0)
		common = chart->states[common].parent;
	while (common > 0 && chart->states[common].kind != STATE_COMPOUND)
		common = chart->states[common].parent;
	return common;
}

bool tree_matches(const char *descriptor, const char *name)
{
	if (strcmp(descriptor, "*") == 0)
		return true;
	size_t len = strlen(descriptor);
	return strncmp(descriptor, name, len) == 0 && (name[len] == '\0' || name[len] == '.');
}
