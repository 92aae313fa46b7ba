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
	bool *is_entered, *is_default;
	bool *is_left_from_inside; /* a transition of the state or one inside it leaves it */
	bool *has_exit;            /* the state has a transition with a target */
	uint32_t *on_way; /* the last transition (counted by stamp) that passed the state */
	uint32_t stamp;
	int32_t *rest; /* of each parallel: its regions not yet entered by default */
	size_t *rest_first, *rest_len;
	VEC(int32_t) work;      /* entered, transitions not yet followed */
	VEC(int32_t) pending;   /* to be entered by default */
	VEC(int32_t) parallels; /* passed by the current transition */
};

static void mark(struct flow *f, int32_t state)
{
	if (f->is_entered[state])
		return;
	f->is_entered[state] = true;
	*vec_add(&f->work) = state;
}

/* The regions without a target are entered by default; the others stay for another transition. */
static void enter_regions(struct flow *f, int32_t parallel)
{
	int32_t *rest = f->rest + f->rest_first[parallel];
	size_t kept = 0;
	for (size_t i = 0; i < f->rest_len[parallel]; i++) {
		if (f->is_default[rest[i]])
			continue;
		if (f->on_way[rest[i]] == f->stamp)
			rest[kept++] = rest[i];
		else
			*vec_add(&f->pending) = rest[i];
	}
	f->rest_len[parallel] = kept;
}

static void enter_targets(struct flow *f, const struct chart_transition *t, int32_t domain)
{
	f->stamp++;
	f->parallels.len = 0;
	for (size_t i = 0; i < t->target_count; i++) {
		*vec_add(&f->pending) = t->targets[i];
		int32_t up = t->targets[i];
		for (; up != CHART_NONE && up != domain && f->on_way[up] != f->stamp;
		     up = f->chart->states[up].parent) {
			f->on_way[up] = f->stamp;
			if (up == t->targets[i])
				continue;
			mark(f, up);
			if (f->chart->states[up].kind == STATE_PARALLEL)
				*vec_add(&f->parallels) = up;
		}
	}
	for (size_t i = 0; i < f->parallels.len; i++)
		enter_regions(f, f->parallels.at[i]);
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
			*vec_add(&f->pending) = state->children[i];
	if (state->initial != CHART_NONE)
		enter_targets(f, &f->chart->transitions[state->initial],
		              state->kind == STATE_HISTORY ? state->parent : index);
}

static void follow_transitions(struct flow *f, int32_t index)
{
	const struct chart_state *state = &f->chart->states[index];
	for (size_t i = 0; i < state->transition_count; i++) {
		const struct chart_transition *t =
			&f->chart->transitions[state->first_transition + (int32_t)i];
		if (t->target_count > 0)
			enter_targets(f, t, tree_domain(f->chart, t));
	}
}

static void follow(struct flow *f)
{
	*vec_add(&f->pending) = 0;
	while (f->pending.len > 0 || f->work.len > 0) {
		if (f->pending.len > 0)
			enter_default(f, f->pending.at[--f->pending.len]);
		else
			follow_transitions(f, f->work.at[--f->work.len]);
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

static void list_regions(struct flow *f)
{
	size_t used = 0;
	for (int32_t i = 0; i < f->chart->state_count; i++) {
		const struct chart_state *state = &f->chart->states[i];
		if (state->kind != STATE_PARALLEL || state->child_count == 0)
			continue;
		f->rest_first[i] = used;
		f->rest_len[i] = state->child_count;
		memcpy(f->rest + used, state->children, state->child_count * sizeof(*f->rest));
		used += state->child_count;
	}
}

void check_flow(struct checker *k)
{
	size_t count = (size_t)k->chart->state_count;
	struct flow f = { .k = k, .chart = k->chart };
	bool *marks = mem_alloc(4 * count * sizeof(*marks));
	size_t *rests = mem_alloc(2 * count * sizeof(*rests));
	f.is_entered = marks;
	f.is_default = marks + count;
	f.is_left_from_inside = marks + 2 * count;
	f.has_exit = marks + 3 * count;
	f.on_way = mem_alloc(count * sizeof(*f.on_way));
	f.rest = mem_alloc(count * sizeof(*f.rest));
	f.rest_first = rests;
	f.rest_len = rests + count;
	list_regions(&f);
	follow(&f);
	find_exits(&f);
	report_unreachable(&f);
	report_traps(&f);
	for (int32_t i = 0; i < k->chart->state_count; i++)
		report_shadowed(&f, &k->chart->states[i]);
	report_empty_parallels(&f);
	vec_release(&f.work);
	vec_release(&f.pending);
	vec_release(&f.parallels);
	free(f.on_way);
	free(f.rest);
	free(rests);
	free(marks);
}
