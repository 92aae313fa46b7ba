/* SPDX-License-Identifier: MIT */
/*
 * Eventless cycles.  Two nodes for each state s: "s is active" (its eventless
 * transitions may be taken) and "s is entered by default" (its initial states
 * follow); a third for each parallel, "its regions are entered".  A strongly
 * connected component that contains an eventless transition can repeat.
 *
 * That is an error when it must: each leaf on the way has an unconditional
 * eventless transition before any other.  It is a warning when nothing on the
 * way writes data, so that what its guards say hardly changes.  A loop that
 * computes is a loop the author wanted.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chart/chart_int.h"

struct edge {
	int32_t from, to;
	int32_t transition; /* CHART_NONE: an entry, not a transition */
};

struct cycles {
	struct checker *k;
	const struct chart *chart;
	int32_t count; /* states */
	VEC(struct edge) edges;
	struct edge *sorted; /* by from */
	size_t *first;       /* of each node, into sorted; one more at the end */
	int32_t *component;  /* of each node */
};

static int32_t entered(const struct cycles *y, int32_t state)
{
	return y->count + state;
}

static int32_t regions(const struct cycles *y, int32_t state)
{
	return 2 * y->count + state;
}

static void connect(struct cycles *y, int32_t from, int32_t to, int32_t transition)
{
	*vec_add(&y->edges) = (struct edge){ from, to, transition };
}

/* Entering targets below domain, from a node. */
static void connect_targets(struct cycles *y, int32_t from, const struct chart_transition *t,
                            int32_t domain, int32_t transition)
{
	for (size_t i = 0; i < t->target_count; i++) {
		connect(y, from, entered(y, t->targets[i]), transition);
		int32_t up = y->chart->states[t->targets[i]].parent;
		for (; up > 0 && up != domain; up = y->chart->states[up].parent)
			if (y->chart->states[up].kind == STATE_PARALLEL)
				connect(y, from, regions(y, up), transition);
	}
}

static void connect_state(struct cycles *y, int32_t index)
{
	const struct chart_state *state = &y->chart->states[index];
	if (state->kind != STATE_HISTORY)
		connect(y, entered(y, index), index, CHART_NONE);
	if (state->parent > 0 && state->kind != STATE_HISTORY)
		connect(y, index, state->parent, CHART_NONE);
	if (state->initial != CHART_NONE)
		connect_targets(y, entered(y, index), &y->chart->transitions[state->initial],
		                state->kind == STATE_HISTORY ? state->parent : index, CHART_NONE);
	if (state->kind == STATE_PARALLEL) {
		connect(y, entered(y, index), regions(y, index), CHART_NONE);
		for (size_t i = 0; i < state->child_count; i++)
			connect(y, regions(y, index), entered(y, state->children[i]), CHART_NONE);
	}
	for (size_t i = 0; i < state->transition_count; i++) {
		const struct chart_transition *t =
			&y->chart->transitions[state->first_transition + (int32_t)i];
		if (t->event_count == 0 && t->target_count > 0)
			connect_targets(y, index, t, tree_domain(y->chart, t), t->index);
	}
}

static void sort_edges(struct cycles *y, size_t nodes)
{
	y->first = mem_alloc((nodes + 2) * sizeof(*y->first));
	y->sorted = mem_alloc((y->edges.len + 1) * sizeof(*y->sorted));
	for (size_t i = 0; i < y->edges.len; i++)
		y->first[y->edges.at[i].from + 2]++;
	for (size_t i = 2; i <= nodes + 1; i++)
		y->first[i] += y->first[i - 1];
	for (size_t i = 0; i < y->edges.len; i++)
		y->sorted[y->first[y->edges.at[i].from + 1]++] = y->edges.at[i];
}

/* Tarjan's algorithm with a stack of its own, since a chain can be as long as the graph. */
struct tarjan {
	struct cycles *y;
	int32_t *order, *low; /* order 0: not seen */
	size_t *next;         /* next edge of a node to follow */
	int32_t *path, *open; /* nodes being followed; nodes without a component yet */
	size_t path_len, open_len;
	int32_t seen, components;
};

static void tarjan_enter(struct tarjan *t, int32_t node)
{
	t->order[node] = t->low[node] = ++t->seen;
	t->next[node] = t->y->first[node];
	t->path[t->path_len++] = node;
	t->open[t->open_len++] = node;
}

static void tarjan_leave(struct tarjan *t, int32_t node)
{
	if (t->low[node] == t->order[node]) {
		int32_t member;
		do {
			member = t->open[--t->open_len];
			t->y->component[member] = t->components;
		} while (member != node);
		t->components++;
	}
	t->path_len--;
	if (t->path_len > 0) {
		int32_t above = t->path[t->path_len - 1];
		if (t->low[node] < t->low[above])
			t->low[above] = t->low[node];
	}
}

static void tarjan_from(struct tarjan *t, int32_t root)
{
	tarjan_enter(t, root);
	while (t->path_len > 0) {
		int32_t node = t->path[t->path_len - 1];
		if (t->next[node] == t->y->first[node + 1]) {
			tarjan_leave(t, node);
			continue;
		}
		int32_t to = t->y->sorted[t->next[node]++].to;
		if (t->order[to] == 0)
			tarjan_enter(t, to);
		else if (t->y->component[to] == CHART_NONE && t->order[to] < t->low[node])
			t->low[node] = t->order[to];
	}
}

static void find_components(struct cycles *y, int32_t nodes)
{
	size_t n = (size_t)nodes;
	y->component = mem_alloc(n * sizeof(*y->component));
	for (size_t i = 0; i < n; i++)
		y->component[i] = CHART_NONE;
	int32_t *room = mem_alloc(4 * n * sizeof(*room));
	struct tarjan t = {
		.y = y, .order = room, .low = room + n, .path = room + 2 * n, .open = room + 3 * n
	};
	t.next = mem_alloc(n * sizeof(*t.next));
	for (int32_t i = 0; i < nodes; i++)
		if (t.order[i] == 0)
			tarjan_from(&t, i);
	free(room);
	free(t.next);
}

static bool is_always(const struct chart_expr *cond)
{
	return !cond->text || strcmp(cond->text, "true") == 0;
}

/* The leaf that entering a state by default ends in; CHART_NONE when that is not one leaf. */
static int32_t leaf_of(const struct chart *chart, int32_t state)
{
	while (chart->states[state].kind == STATE_COMPOUND) {
		const struct chart_transition *t =
			&chart->transitions[chart->states[state].initial];
		if (t->target_count != 1)
			return CHART_NONE;
		state = t->targets[0];
	}
	for (int32_t up = state; up > 0; up = chart->states[up].parent)
		if (chart->states[up].kind == STATE_PARALLEL ||
		    chart->states[up].kind == STATE_HISTORY)
			return CHART_NONE;
	return state;
}

/* The leaf that must come next without an event; CHART_NONE when it need not. */
static int32_t next_leaf(const struct chart *chart, int32_t leaf)
{
	for (int32_t at = leaf; at > 0; at = chart->states[at].parent) {
		const struct chart_state *state = &chart->states[at];
		for (size_t i = 0; i < state->transition_count; i++) {
			const struct chart_transition *t =
				&chart->transitions[state->first_transition + (int32_t)i];
			if (t->event_count > 0)
				continue;
			if (!is_always(&t->cond))
				return CHART_NONE;
			if (t->target_count == 0)
				return leaf; /* it stays, and takes the same transition again */
			return t->target_count == 1 ? leaf_of(chart, t->targets[0]) : CHART_NONE;
		}
	}
	return CHART_NONE;
}

/* Does the way from here come back to a leaf it has passed? */
static bool is_endless(const struct cycles *y, int32_t from, size_t steps_max, bool *visited)
{
	int32_t leaf = leaf_of(y->chart, from), first = leaf;
	bool ret = false;
	for (size_t i = 0; i <= steps_max && leaf != CHART_NONE && !ret; i++) {
		ret = visited[leaf];
		visited[leaf] = true;
		leaf = next_leaf(y->chart, leaf);
	}
	for (leaf = first; leaf != CHART_NONE && visited[leaf]; leaf = next_leaf(y->chart, leaf))
		visited[leaf] = false;
	return ret;
}

static bool block_writes(const struct chart_block *block)
{
	for (size_t i = 0; i < block->count; i++) {
		const struct chart_op *op = &block->ops[i];
		if (op->kind == OP_ASSIGN || op->kind == OP_SCRIPT || op->kind == OP_FOREACH)
			return true;
		for (size_t n = 0; op->kind == OP_IF && n < op->choice.count; n++)
			if (block_writes(&op->choice.branches[n].block))
				return true;
	}
	return false;
}

static bool state_writes(const struct chart_state *state)
{
	for (size_t i = 0; i < state->onentry_count; i++)
		if (block_writes(&state->onentry[i]))
			return true;
	for (size_t i = 0; i < state->onexit_count; i++)
		if (block_writes(&state->onexit[i]))
			return true;
	return false;
}

/* What is known of one component; all are filled in one pass. */
struct component {
	size_t size;
	bool writes;
	int32_t transition; /* the first eventless one inside, or CHART_NONE */
};

static struct component *describe(const struct cycles *y, int32_t nodes)
{
	struct component *all = mem_alloc((size_t)nodes * sizeof(*all));
	for (int32_t i = 0; i < nodes; i++)
		all[i].transition = CHART_NONE;
	for (int32_t i = 0; i < nodes; i++) {
		struct component *one = &all[y->component[i]];
		one->size++;
		if (i < y->count)
			one->writes |= state_writes(&y->chart->states[i]);
	}
	for (size_t i = 0; i < y->edges.len; i++) {
		const struct edge *edge = &y->edges.at[i];
		struct component *one = &all[y->component[edge->from]];
		if (edge->transition == CHART_NONE ||
		    y->component[edge->to] != y->component[edge->from])
			continue;
		one->writes |= block_writes(&y->chart->transitions[edge->transition].block);
		if (one->transition == CHART_NONE || edge->transition < one->transition)
			one->transition = edge->transition;
	}
	return all;
}

static void report_cycles(struct cycles *y, int32_t nodes)
{
	struct component *all = describe(y, nodes);
	bool *visited = mem_alloc((size_t)y->count * sizeof(*visited));
	for (int32_t i = 0; i < nodes; i++) {
		if (all[i].transition == CHART_NONE)
			continue;
		const struct chart_transition *t = &y->chart->transitions[all[i].transition];
		const char *source = y->chart->states[t->source].id,
			   *target = y->chart->states[t->targets[0]].id;
		if (is_endless(y, t->source, all[i].size, visited))
			check_error(y->k, "graph.eventless_cycle", t->at,
			            "give one of the transitions an event",
			            "this transition from '%s' to '%s' is part of a cycle that "
			            "never ends: no event and no cond is waited for",
			            source, target);
		else if (!all[i].writes)
			check_warn(y->k, "graph.eventless_cycle", t->at,
			           "give one of the transitions an event, or change data on the "
			           "way",
			           "this transition from '%s' to '%s' is part of a cycle without "
			           "events; nothing on the way changes data, so it may never end",
			           source, target);
	}
	free(visited);
	free(all);
}

/* A transition without event and target whose guard is always true repeats itself. */
static void report_standing(struct cycles *y)
{
	for (int32_t i = 0; i < y->chart->transition_count; i++) {
		const struct chart_transition *t = &y->chart->transitions[i];
		if (t->event_count > 0 || t->target_count > 0 || !t->cond.text)
			continue;
		if (is_always(&t->cond))
			check_error(y->k, "graph.eventless_cycle", t->at,
			            "give it an event or a target",
			            "this transition is taken again and again without end");
		else if (!block_writes(&t->block))
			check_warn(y->k, "graph.eventless_cycle", t->at,
			           "give it an event or a target, or change data in it",
			           "this transition has neither event nor target and changes no "
			           "data: when its cond is true it may repeat without end");
	}
}

void check_cycles(struct checker *k)
{
	struct cycles y = { .k = k, .chart = k->chart, .count = k->chart->state_count };
	int32_t nodes = 3 * y.count;
	for (int32_t i = 1; i < y.count; i++)
		connect_state(&y, i);
	sort_edges(&y, (size_t)nodes);
	find_components(&y, nodes);
	report_cycles(&y, nodes);
	report_standing(&y);
	vec_release(&y.edges);
	free(y.sorted);
	free(y.first);
	free(y.component);
}
