/* SPDX-License-Identifier: MIT */
/*
 * Which transitions are taken, what is left and what is entered: the pure half
 * of SCXML appendix D, under its names.
 *
 * Nothing here looks at all states of the chart.  A state's descendants are a
 * range of indices, so the active ones among them are a range of the sorted
 * configuration, and two exit sets meet exactly when one domain contains the
 * other.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "machine/machine_int.h"

/* Initial and history targets lead downwards; more than this is a circle of histories. */
enum { ENTRY_DEPTH_MAX = 4 * LIMIT_GRAPH_DEPTH };

static const struct chart_state *state_of(const struct session *s, int32_t state)
{
	return &s->chart->states[state];
}

static const struct chart_transition *transition_of(const struct session *s, int32_t transition)
{
	return &s->chart->transitions[transition];
}

static void list_add(struct state_list *list, int32_t state)
{
	*vec_add(list) = state;
}

static int compare_states(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
	return (x > y) - (x < y);
}

void sort_states(struct state_list *list)
{
	if (list->len > 32) {
		qsort(list->at, list->len, sizeof(list->at[0]), compare_states);
		return;
	}
	for (size_t i = 1; i < list->len; i++) {
		int32_t state = list->at[i];
		size_t to = i;
		for (; to > 0 && list->at[to - 1] > state; to--)
			list->at[to] = list->at[to - 1];
		list->at[to] = state;
	}
}

static size_t first_from(const struct session *s, int32_t state)
{
	size_t low = 0, high = s->config.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->config.at[middle] < state)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The active proper descendants of state, as a range of the configuration. */
void active_range(const struct session *s, int32_t state, size_t *ret_begin, size_t *ret_end)
{
	*ret_begin = first_from(s, state + 1);
	*ret_end = first_from(s, state_of(s, state)->last + 1);
}

/* Without child states; a parallel that has none counts too, or it could never be left. */
bool is_atomic(const struct chart_state *state)
{
	return state->child_count == 0 && state->kind != STATE_HISTORY;
}

/* Matching by tokens: "a.b" takes "a.b" and "a.b.c", not "a.bc" (3.12.1). */
bool name_match(const struct chart_transition *transition, const char *event_name)
{
	for (size_t i = 0; i < transition->event_count; i++) {
		const char *descriptor = transition->events[i];
		if (descriptor[0] == '*' && descriptor[1] == '\0')
			return true;
		size_t len = strlen(descriptor);
		if (strncmp(descriptor, event_name, len) == 0 &&
		    (event_name[len] == '\0' || event_name[len] == '.'))
			return true;
	}
	return false;
}

/* The first transition of this state that is enabled, or CHART_NONE. */
static int first_enabled(struct session *s, int32_t state, const char *event_name, int32_t *ret)
{
	const struct chart_state *own = state_of(s, state);
	*ret = CHART_NONE;
	for (size_t i = 0; i < own->transition_count; i++) {
		int32_t index = own->first_transition + (int32_t)i;
		const struct chart_transition *t = transition_of(s, index);
		if (event_name ? !name_match(t, event_name) : t->event_count > 0)
			continue;
		bool is_true = false;
		int status = condition_match(s, &t->cond, &is_true);
		if (status < 0)
			return status;
		if (is_true) {
			*ret = index;
			return 0;
		}
	}
	return 0;
}

/*
 * The same for the state and its ancestors.  An ancestor that was asked before
 * in this selection has nothing to add: what it has is in the set already, and
 * its guards are evaluated once, not once per region.
 */
static int first_enabled_upwards(struct session *s, int32_t atomic, const char *event_name,
                                 int32_t *ret)
{
	int32_t state = atomic;
	*ret = CHART_NONE;
	for (; state != CHART_NONE && s->visits[state] != s->stamp;
	     state = state_of(s, state)->parent) {
		s->visits[state] = s->stamp;
		int status = first_enabled(s, state, event_name, ret);
		if (status < 0)
			return status;
		if (*ret != CHART_NONE)
			break;
	}
	return 0;
}

static int get_effective_target_states(struct session *s, const struct chart_transition *t,
                                       struct state_list *targets, int depth)
{
	if (depth > ENTRY_DEPTH_MAX)
		return err_set_id(s->machine->err, ERR_BLOCKED, "graph.livelock",
		                  "%s:%u: the defaults of histories lead in a circle",
		                  s->chart->file, t->at.line);
	for (size_t i = 0; i < t->target_count; i++) {
		int32_t target = t->targets[i];
		if (state_of(s, target)->kind != STATE_HISTORY) {
			list_add(targets, target);
			continue;
		}
		const struct history_value *value = history_of(s, target);
		for (size_t k = 0; value && k < value->count; k++)
			list_add(targets, value->states[k]);
		if (value)
			continue;
		int status = get_effective_target_states(
			s, transition_of(s, state_of(s, target)->initial), targets, depth + 1);
		if (status < 0)
			return status;
	}
	return 0;
}

static bool are_all_descendants(const struct session *s, const struct state_list *states,
                                int32_t ancestor)
{
	for (size_t i = 0; i < states->len; i++) {
		if (!chart_is_descendant(s->chart, states->at[i], ancestor))
			return false;
	}
	return true;
}

static int32_t find_lcca(const struct session *s, int32_t source, const struct state_list *targets)
{
	int32_t state = state_of(s, source)->parent;
	for (; state != CHART_NONE; state = state_of(s, state)->parent) {
		enum chart_state_kind kind = state_of(s, state)->kind;
		if ((kind == STATE_COMPOUND || kind == STATE_ROOT) &&
		    are_all_descendants(s, targets, state))
			return state;
	}
	return 0; /* the initial transition of the document */
}

/* Leaves the effective targets in s->targets. */
static int get_transition_domain(struct session *s, const struct chart_transition *t, int32_t *ret)
{
	s->targets.len = 0;
	*ret = CHART_NONE;
	if (t->target_count == 0)
		return 0;
	int status = get_effective_target_states(s, t, &s->targets, 0);
	if (status < 0)
		return status;
	if (t->is_internal && state_of(s, t->source)->kind == STATE_COMPOUND &&
	    are_all_descendants(s, &s->targets, t->source))
		*ret = t->source;
	else
		*ret = find_lcca(s, t->source, &s->targets);
	return 0;
}

/* An active domain always has active descendants: exit sets meet when domains nest. */
static bool do_exit_sets_meet(const struct session *s, int32_t a, int32_t b)
{
	return a == b || chart_is_descendant(s->chart, a, b) || chart_is_descendant(s->chart, b, a);
}

/*
 * remove_conflicting_transitions() for one more transition: those before it are
 * free of conflicts, so their domains are disjoint and ascend, and the ones that
 * conflict with the new one stand at the end.
 */
static void add_unless_preempted(struct session *s, struct enabled t1)
{
	size_t keep = s->enabled.len;
	for (size_t i = s->enabled.len; t1.domain != CHART_NONE && i-- > 0;) {
		const struct enabled *t2 = &s->enabled.at[i];
		if (t2->domain == CHART_NONE)
			continue;
		if (!do_exit_sets_meet(s, t1.domain, t2->domain))
			break;
		if (!chart_is_descendant(s->chart, t1.transition->source, t2->transition->source))
			return;
		keep = i;
	}
	size_t to = keep;
	for (size_t i = keep; i < s->enabled.len; i++) {
		if (s->enabled.at[i].domain == CHART_NONE)
			s->enabled.at[to++] = s->enabled.at[i];
	}
	s->enabled.len = to;
	*vec_add(&s->enabled) = t1;
}

/* Forgets who was visited, without touching each of them. */
static void next_stamp(struct session *s)
{
	if (++s->stamp == 0) {
		memset(s->visits, 0, (size_t)s->chart->state_count * sizeof(s->visits[0]));
		s->stamp = 1;
	}
}

/* select_transitions(event), or select_eventless_transitions() when event_name is NULL. */
int select_transitions(struct session *s, const char *event_name)
{
	s->enabled.len = 0;
	next_stamp(s);
	for (size_t i = 0; i < s->config.len; i++) {
		int32_t state = s->config.at[i];
		if (!is_atomic(state_of(s, state)) ||
		    (!event_name && !bits_has(s->eventless, (size_t)state)))
			continue;
		int32_t found = CHART_NONE;
		int status = first_enabled_upwards(s, state, event_name, &found);
		if (status < 0)
			return status;
		if (found != CHART_NONE)
			vec_add(&s->enabled)->transition = transition_of(s, found);
	}
	size_t count = s->enabled.len;
	s->enabled.len = 0;
	for (size_t i = 0; i < count; i++) {
		struct enabled t = s->enabled.at[i];
		int status = get_transition_domain(s, t.transition, &t.domain);
		if (status < 0)
			return status;
		add_unless_preempted(s, t);
	}
	return 0;
}

/* The domains ascend and the configuration does: one walk, then exit order. */
void compute_exit_set(struct session *s)
{
	s->exit_set.len = 0;
	for (size_t i = 0; i < s->enabled.len; i++) {
		size_t begin, end;
		if (s->enabled.at[i].domain == CHART_NONE)
			continue;
		active_range(s, s->enabled.at[i].domain, &begin, &end);
		for (size_t k = begin; k < end; k++)
			list_add(&s->exit_set, s->config.at[k]);
	}
}

/* Sorted by history state. */
static size_t history_slot(const struct session *s, int32_t history)
{
	size_t low = 0, high = s->histories.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->histories.at[middle].history < history)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct history_value *history_of(const struct session *s, int32_t history)
{
	size_t slot = history_slot(s, history);
	if (slot < s->histories.len && s->histories.at[slot].history == history)
		return &s->histories.at[slot];
	return NULL;
}

/* An empty value for it, in place of the old one. */
struct history_value *history_room(struct session *s, int32_t history)
{
	size_t slot = history_slot(s, history);
	if (slot < s->histories.len && s->histories.at[slot].history == history) {
		free(s->histories.at[slot].states);
	} else {
		(void)vec_add(&s->histories);
		memmove(&s->histories.at[slot + 1], &s->histories.at[slot],
		        (s->histories.len - 1 - slot) * sizeof(s->histories.at[0]));
	}
	s->histories.at[slot] = (struct history_value){ .history = history };
	return &s->histories.at[slot];
}

/* What each history of a state that is about to be left remembers. */
void record_history(struct session *s, int32_t state)
{
	const struct chart_state *own = state_of(s, state);
	size_t begin, end;
	if (own->history_count == 0)
		return;
	active_range(s, state, &begin, &end);
	for (size_t h = 0; h < own->history_count; h++) {
		bool is_deep = state_of(s, own->histories[h])->is_deep;
		struct history_value *value = history_room(s, own->histories[h]);
		value->states = mem_grow(NULL, end - begin, sizeof(value->states[0]));
		for (size_t i = begin; i < end; i++) {
			const struct chart_state *below = state_of(s, s->config.at[i]);
			if (is_deep ? is_atomic(below) : below->parent == state)
				value->states[value->count++] = s->config.at[i];
		}
	}
}

/* covered: some state to enter is a proper descendant. */
static void states_to_enter_add(struct session *s, int32_t state)
{
	if (state == 0 || bits_has(s->entering, (size_t)state))
		return;
	bits_set(s->entering, (size_t)state);
	list_add(&s->entry_set, state);
	int32_t above = state_of(s, state)->parent;
	for (; above != CHART_NONE && !bits_has(s->covered, (size_t)above);
	     above = state_of(s, above)->parent) {
		bits_set(s->covered, (size_t)above);
		list_add(&s->covered_list, above);
	}
}

static int add_descendant_states_to_enter(struct session *s, int32_t state, int depth);

static int add_missing_regions(struct session *s, int32_t parallel, int depth)
{
	const struct chart_state *own = state_of(s, parallel);
	for (size_t i = 0; i < own->child_count; i++) {
		if (bits_has(s->covered, (size_t)own->children[i]))
			continue;
		int status = add_descendant_states_to_enter(s, own->children[i], depth + 1);
		if (status < 0)
			return status;
	}
	return 0;
}

static int add_ancestor_states_to_enter(struct session *s, int32_t state, int32_t ancestor,
                                        int depth)
{
	int32_t above = state_of(s, state)->parent;
	for (; above != CHART_NONE && above != ancestor; above = state_of(s, above)->parent) {
		states_to_enter_add(s, above);
		if (state_of(s, above)->kind != STATE_PARALLEL)
			continue;
		int status = add_missing_regions(s, above, depth);
		if (status < 0)
			return status;
	}
	return 0;
}

/* First all the states and what lies below them, then all their ancestors. */
static int add_states_to_enter(struct session *s, const int32_t *states, size_t count,
                               int32_t ancestor, int depth)
{
	int status = 0;
	for (size_t i = 0; status == 0 && i < count; i++)
		status = add_descendant_states_to_enter(s, states[i], depth + 1);
	for (size_t i = 0; status == 0 && i < count; i++)
		status = add_ancestor_states_to_enter(s, states[i], ancestor, depth + 1);
	return status;
}

static void note_default_history(struct session *s, int32_t parent, int32_t transition)
{
	for (size_t i = 0; i < s->default_history_content.len; i++) {
		struct default_history *noted = &s->default_history_content.at[i];
		if (noted->parent == parent) {
			noted->transition = transition;
			return;
		}
	}
	*vec_add(&s->default_history_content) = (struct default_history){ parent, transition };
}

static int enter_history(struct session *s, int32_t history, int depth)
{
	const struct chart_state *own = state_of(s, history);
	const struct history_value *value = history_of(s, history);
	if (value)
		return add_states_to_enter(s, value->states, value->count, own->parent, depth);
	const struct chart_transition *t = transition_of(s, own->initial);
	note_default_history(s, own->parent, own->initial);
	return add_states_to_enter(s, t->targets, t->target_count, own->parent, depth);
}

static int add_descendant_states_to_enter(struct session *s, int32_t state, int depth)
{
	const struct chart_state *own = state_of(s, state);
	if (depth > ENTRY_DEPTH_MAX)
		return err_set_id(s->machine->err, ERR_BLOCKED, "graph.livelock",
		                  "%s:%u: entering '%s' leads in a circle", s->chart->file,
		                  own->at.line, own->id);
	if (own->kind == STATE_HISTORY)
		return enter_history(s, state, depth);
	states_to_enter_add(s, state);
	if (own->kind == STATE_PARALLEL)
		return add_missing_regions(s, state, depth);
	if (own->kind != STATE_COMPOUND)
		return 0;
	bits_set(s->default_entry, (size_t)state);
	const struct chart_transition *t = transition_of(s, own->initial);
	return add_states_to_enter(s, t->targets, t->target_count, state, depth);
}

static int add_transition_targets(struct session *s, const struct chart_transition *t)
{
	int32_t ancestor = CHART_NONE;
	int status = 0;
	for (size_t i = 0; status == 0 && i < t->target_count; i++)
		status = add_descendant_states_to_enter(s, t->targets[i], 0);
	if (status == 0)
		status = get_transition_domain(s, t, &ancestor);
	for (size_t i = 0; status == 0 && i < s->targets.len; i++)
		status = add_ancestor_states_to_enter(s, s->targets.at[i], ancestor, 0);
	return status;
}

/* Fills entry_set (in entry order), default_entry and default_history_content. */
int compute_entry_set(struct session *s)
{
	int status = 0;
	s->entry_set.len = 0;
	s->covered_list.len = 0;
	s->default_history_content.len = 0;
	for (size_t i = 0; status == 0 && i < s->enabled.len; i++) {
		if (s->enabled.at[i].transition->target_count > 0)
			status = add_transition_targets(s, s->enabled.at[i].transition);
	}
	for (size_t i = 0; i < s->entry_set.len; i++)
		bits_clear(s->entering, (size_t)s->entry_set.at[i]);
	for (size_t i = 0; i < s->covered_list.len; i++)
		bits_clear(s->covered, (size_t)s->covered_list.at[i]);
	sort_states(&s->entry_set);
	return status;
}

bool is_in_final_state(const struct session *s, int32_t state)
{
	const struct chart_state *own = state_of(s, state);
	if (own->kind == STATE_COMPOUND) {
		int32_t child = s->active_child[state];
		return child != CHART_NONE && state_of(s, child)->kind == STATE_FINAL;
	}
	if (own->kind != STATE_PARALLEL)
		return false;
	for (size_t i = 0; i < own->child_count; i++) {
		if (!is_in_final_state(s, own->children[i]))
			return false;
	}
	return true;
}
