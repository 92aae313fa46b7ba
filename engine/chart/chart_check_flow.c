/* SPDX-License-Identifier: MIT */
/*
 * Which states can be entered, and left again, if every guard could be true
 * and every event could come: a state that fails even so is a mistake.
 *
 * A state is entered as an ancestor of a target, or by default (as the target
 * itself, as a region, or through an initial transition); only the second kind
 * goes on to its initial states.  Each happens once per state, each transition
 * is followed once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chart/chart_int.h"

struct flow {
	struct checker *k;
	const struct chart *chart;
	bool *is_entered, *is_default,
		*is_open;          /* open: all regions of a parallel were entered by default */
	bool *is_left_from_inside; /* a transition of the state or one inside it leaves the state */
	bool *has_exit;            /* the state has a transition with a target */
	VEC(int32_t) work;         /* entered, transitions not yet followed */
};

static void enter_default(struct flow *f, int32_t state);

static void mark(struct flow *f, int32_t state)
{
	if (f->is_entered[state])
		return;
	f->is_entered[state] = true;
	*vec_add(&f->work) = state;
}

static bool holds_target(const struct flow *f, int32_t region, const struct chart_transition *t)
{
	for (size_t i = 0; i < t->target_count; i++)
		if (t->targets[i] == region || chart_is_descendant(f->chart, t->targets[i], region))
			return true;
	return false;
}

/* The regions that no target names are entered by default. */
static void enter_regions(struct flow *f, int32_t parallel, const struct chart_transition *t)
{
	if (f->is_open[parallel])
		return;
	const struct chart_state *state = &f->chart->states[parallel];
	bool is_all = true;
	for (size_t i = 0; i < state->child_count; i++) {
		if (holds_target(f, state->children[i], t) && !f->is_default[state->children[i]])
			is_all = false;
		else
			enter_default(f, state->children[i]);
	}
	f->is_open[parallel] = is_all;
}

static void enter_targets(struct flow *f, const struct chart_transition *t, int32_t domain)
{
	for (size_t i = 0; i < t->target_count; i++) {
		enter_default(f, t->targets[i]);
		int32_t up = f->chart->states[t->targets[i]].parent;
		for (; up != CHART_NONE && up != domain; up = f->chart->states[up].parent) {
			mark(f, up);
			if (f->chart->states[up].kind == STATE_PARALLEL)
				enter_regions(f, up, t);
		}
	}
}

static void enter_default(struct flow *f, int32_t index)
{
	if (f->is_default[index])
		return;
	f->is_default[index] = true;
	const struct chart_state *state = &f->chart->states[index];
	mark(f, index);
	if (state->kind == STATE_PARALLEL)
		for (size_t i = 0; i < state->child_count; i++)
			enter_default(f, state->children[i]);
	if (state->initial != CHART_NONE)
		enter_targets(f, &f->chart->transitions[state->initial],
		              state->kind == STATE_HISTORY ? state->parent : index);
}

static void follow(struct flow *f)
{
	enter_default(f, 0);
	while (f->work.len > 0) {
		const struct chart_state *state = &f->chart->states[f->work.at[--f->work.len]];
		for (size_t i = 0; i < state->transition_count; i++) {
			const struct chart_transition *t =
				&f->chart->transitions[state->first_transition + (int32_t)i];
			if (t->target_count > 0)
				enter_targets(f, t, tree_domain(f->chart, t));
		}
	}
}

static void report_unreachable(struct flow *f)
{
	for (int32_t i = 1; i < f->chart->state_count; i++) {
		const struct chart_state *state = &f->chart->states[i];
		if (f->is_entered[i] || !f->is_entered[state->parent])
			continue; /* what lies inside an unreachable state goes without saying */
		if (state->kind == STATE_HISTORY)
			check_warn(f->k, "graph.unreachable", state->at,
			           "name it as the target of a transition, or remove it",
			           "no transition returns to the history '%s'", state->id);
		else
			check_warn(f->k, "graph.unreachable", state->at,
			           "add a transition to it, or remove it",
			           "the state '%s' can never be entered", state->id);
	}
}

static void find_exits(struct flow *f)
{
	const struct chart *chart = f->chart;
	for (int32_t i = 0; i < chart->state_count; i++)
		for (size_t n = 0; n < chart->states[i].transition_count; n++) {
			const struct chart_transition *t =
				&chart->transitions[chart->states[i].first_transition + (int32_t)n];
			if (t->target_count == 0)
				continue;
			f->has_exit[i] = true;
			int32_t domain = tree_domain(chart, t);
			for (int32_t up = i; up != domain && up > 0; up = chart->states[up].parent)
				f->is_left_from_inside[up] = true;
		}
}

static bool can_leave(const struct flow *f, int32_t state)
{
	for (int32_t up = state; up > 0; up = f->chart->states[up].parent)
		if (f->has_exit[up] ||
		    (f->chart->states[up].kind == STATE_PARALLEL && f->is_left_from_inside[up]))
			return true;
	return false;
}

static void report_traps(struct flow *f)
{
	for (int32_t i = 1; i < f->chart->state_count; i++) {
		const struct chart_state *state = &f->chart->states[i];
		bool is_leaf = state->kind == STATE_ATOMIC ||
		               (state->kind == STATE_PARALLEL && state->child_count == 0);
		if (is_leaf && f->is_entered[i] && !can_leave(f, i))
			check_warn(f->k, "graph.trap", state->at,
			           "add a transition that leaves it, or make it a <final>",
			           "the state '%s' can never be left, and it is not final",
			           state->id);
	}
}

/* Is the event, or a shorter form that takes it too, among what an earlier transition took? */
static bool is_taken(const struct map *taken, const char *event)
{
	if (map_get(taken, "*"))
		return true;
	char *name = mem_dup_str(event);
	bool ret = false;
	for (char *end = name + strlen(name); end && !ret; end = strrchr(name, '.')) {
		*end = '\0';
		ret = map_get(taken, name) != NULL;
	}
	free(name);
	return ret;
}

/* A transition that an earlier one without guard always precedes is never taken. */
static void report_shadowed(struct flow *f, const struct chart_state *state)
{
	struct map taken;
	map_init(&taken);
	const struct chart_transition *eventless = NULL;
	for (size_t i = 0; i < state->transition_count; i++) {
		const struct chart_transition *t =
			&f->chart->transitions[state->first_transition + (int32_t)i];
		bool is_shadowed = t->event_count == 0 && eventless;
		size_t hidden = 0;
		for (size_t n = 0; n < t->event_count; n++)
			hidden += is_taken(&taken, t->events[n]);
		if (is_shadowed || (t->event_count > 0 && hidden == t->event_count))
			check_warn(f->k, "graph.shadowed", t->at,
			           "move it up, or give the earlier one a cond",
			           "this transition is never taken: an earlier one without cond "
			           "takes the same events");
		if (t->cond.text)
			continue;
		if (t->event_count == 0)
			eventless = t;
		for (size_t n = 0; n < t->event_count; n++)
			map_set(&taken, t->events[n], f);
	}
	map_release(&taken);
}

static void report_empty_parallels(struct flow *f)
{
	for (int32_t i = 1; i < f->chart->state_count; i++) {
		const struct chart_state *state = &f->chart->states[i];
		if (state->kind == STATE_PARALLEL && state->child_count < 2)
			check_warn(f->k, "graph.lonely_parallel", state->at,
			           "use <state>, or add a region", "the <parallel> '%s' has %s",
			           state->id,
			           state->child_count == 0 ? "no region" : "only one region");
	}
}

void check_flow(struct checker *k)
{
	size_t count = (size_t)k->chart->state_count;
	struct flow f = { .k = k, .chart = k->chart };
	bool *marks = mem_alloc(5 * count * sizeof(*marks));
	f.is_entered = marks;
	f.is_default = marks + count;
	f.is_open = marks + 2 * count;
	f.is_left_from_inside = marks + 3 * count;
	f.has_exit = marks + 4 * count;
	follow(&f);
	find_exits(&f);
	report_unreachable(&f);
	report_traps(&f);
	for (int32_t i = 0; i < k->chart->state_count; i++)
		report_shadowed(&f, &k->chart->states[i]);
	report_empty_parallels(&f);
	vec_release(&f.work);
	free(marks);
}
