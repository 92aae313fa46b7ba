/* SPDX-License-Identifier: MIT */
#include "chart_gen.h"

#include <stdio.h>
#include <string.h>

#include "base/must.h"

enum { STATES_MAX = 60, CHILDREN_MAX = 5, DEPTH_MAX = 5 };
enum node_kind { NODE_STATE, NODE_PARALLEL, NODE_FINAL, NODE_SHALLOW, NODE_DEEP };

struct node {
	enum node_kind kind;
	int parent, depth;
	int children[CHILDREN_MAX], child_count;
	int last; /* the last descendant: nodes stand in document order */
};

struct gen {
	struct rand rand;
	struct node nodes[STATES_MAX]; /* [0] is the root */
	int count;
	struct buf *out;
	int logs;
};

static const char *const event_names[] = { "a", "b", "c", "a.b", "a.b.c", "x", "y", "z" };
enum { EVENT_COUNT = sizeof(event_names) / sizeof(event_names[0]) };

static int below(const struct gen *gen, int limit)
{
	return (int)rand_below(&gen->rand, (uint64_t)limit);
}

static bool chance(const struct gen *gen, int percent)
{
	return below(gen, 100) < percent;
}

const char *chart_gen_event(const struct rand *rand)
{
	return event_names[rand_below(rand, EVENT_COUNT)];
}

static bool is_real(const struct node *node)
{
	return node->kind == NODE_STATE || node->kind == NODE_PARALLEL || node->kind == NODE_FINAL;
}

static bool is_history(const struct node *node)
{
	return node->kind == NODE_SHALLOW || node->kind == NODE_DEEP;
}

static int grow(struct gen *gen, int parent, enum node_kind kind);

static void grow_children(struct gen *gen, int at)
{
	struct node *node = &gen->nodes[at];
	bool is_parallel = node->kind == NODE_PARALLEL;
	int want = at == 0 ? 2 + below(gen, 3) : 1 + below(gen, CHILDREN_MAX - 1);
	for (int i = 0; i < want && gen->count < STATES_MAX - 2; i++) {
		enum node_kind kind = chance(gen, 25) ? NODE_PARALLEL : NODE_STATE;
		if (i > 0 && !is_parallel && chance(gen, at == 0 ? 8 : 25))
			kind = NODE_FINAL;
		node->children[node->child_count++] = grow(gen, at, kind);
	}
	if (at > 0 && node->child_count > 0 && node->child_count < CHILDREN_MAX &&
	    gen->count < STATES_MAX - 2 && chance(gen, 35))
		node->children[node->child_count++] =
			grow(gen, at, chance(gen, 50) ? NODE_DEEP : NODE_SHALLOW);
}

static int grow(struct gen *gen, int parent, enum node_kind kind)
{
	int at = gen->count++;
	must(at < STATES_MAX);
	struct node *node = &gen->nodes[at];
	*node = (struct node){ .kind = kind, .parent = parent };
	node->depth = at == 0 ? 0 : gen->nodes[parent].depth + 1;
	bool may_nest = (kind == NODE_STATE || kind == NODE_PARALLEL) && node->depth < DEPTH_MAX;
	if (at == 0 || (may_nest && (kind == NODE_PARALLEL || chance(gen, 45))))
		grow_children(gen, at);
	node->last = gen->count - 1;
	return at;
}

/* A random real state strictly below, or CHART_NONE. */
static int pick_below(const struct gen *gen, int ancestor)
{
	int first = ancestor + 1, span = gen->nodes[ancestor].last - ancestor;
	for (int tries = 0; tries < 20 && span > 0; tries++) {
		int at = first + below(gen, span);
		if (is_real(&gen->nodes[at]))
			return at;
	}
	return -1;
}

static int pick_child(const struct gen *gen, int parent)
{
	const struct node *node = &gen->nodes[parent];
	for (int tries = 0; tries < 20 && node->child_count > 0; tries++) {
		int at = node->children[below(gen, node->child_count)];
		if (is_real(&gen->nodes[at]))
			return at;
	}
	return -1;
}

/* One state of each of some regions of a parallel: together they are a legal target. */
static bool put_regions(struct gen *gen, int parallel)
{
	const struct node *node = &gen->nodes[parallel];
	int put = 0;
	for (int i = 0; i < node->child_count; i++) {
		int region = node->children[i];
		if (!is_real(&gen->nodes[region]) || chance(gen, 25))
			continue;
		int at = chance(gen, 70) ? pick_below(gen, region) : region;
		buf_printf(gen->out, "%ss%d", put++ ? " " : "", at < 0 ? region : at);
	}
	return put > 0;
}

static void put_targets(struct gen *gen)
{
	int at = 1 + below(gen, gen->count - 1);
	if (gen->nodes[at].kind == NODE_PARALLEL && chance(gen, 60) && put_regions(gen, at))
		return;
	buf_printf(gen->out, "s%d", at);
}

static void put_guard(struct gen *gen)
{
	int at = 1 + below(gen, gen->count - 1);
	switch (below(gen, 10)) {
	case 0: buf_put(gen->out, "boom"); return;
	case 1:
	case 2: buf_printf(gen->out, "not In(s%d)", at); return;
	case 3: buf_put(gen->out, "false"); return;
	case 4:
	case 5:
	case 6: buf_printf(gen->out, "v%d &lt; %d", below(gen, 4), 1 + below(gen, 5)); return;
	default: buf_printf(gen->out, "In(s%d)", at); return;
	}
}

static void put_content(struct gen *gen, int depth)
{
	for (int count = below(gen, 3); count > 0; count--) {
		int number = below(gen, 4);
		switch (below(gen, 12)) {
		case 0:
			/* Counted out like eventless transitions. */
			buf_printf(gen->out,
			           "<if cond='v%d &lt; %d'><assign location='v%d' expr='v%d + 1'/>"
			           "<%s event='%s'/></if>",
			           number, 1 + below(gen, 5), number, number,
			           chance(gen, 70) ? "raise" : "send", chart_gen_event(&gen->rand));
			break;
		case 1:
			if (chance(gen, 15))
				buf_printf(gen->out, "<raise event='%s'/>",
				           chart_gen_event(&gen->rand));
			break;
		case 2:
		case 3:
			buf_printf(gen->out, "<assign location='v%d' expr='v%d + 1'/>", number,
			           number);
			break;
		case 4:
			if (chance(gen, 30))
				buf_printf(gen->out, "<assign location='v%d' expr='0'/>", number);
			break;
		case 5:
			if (chance(gen, 30))
				buf_put(gen->out, "<assign location='w' expr='1'/>");
			else if (chance(gen, 30))
				buf_put(gen->out, "<send event='q' target='nowhere'/>");
			break;
		case 6:
			if (depth > 1)
				break;
			buf_put(gen->out, "<if cond='");
			put_guard(gen);
			buf_put(gen->out, "'>");
			put_content(gen, depth + 1);
			buf_put(gen->out, "<elseif cond='");
			put_guard(gen);
			buf_put(gen->out, "'/>");
			put_content(gen, depth + 1);
			buf_put(gen->out, "<else/>");
			put_content(gen, depth + 1);
			buf_put(gen->out, "</if>");
			break;
		default: break;
		}
		buf_printf(gen->out, "<log label='%d'/>", ++gen->logs);
	}
}

static void put_descriptors(struct gen *gen)
{
	for (int count = 1 + below(gen, 2); count > 0; count--) {
		switch (below(gen, 12)) {
		case 0: buf_put(gen->out, "*"); break;
		case 1: buf_put(gen->out, "a.*"); break;
		case 2: buf_printf(gen->out, "done.state.s%d", below(gen, gen->count)); break;
		case 3: buf_put(gen->out, "error"); break;
		case 4: buf_put(gen->out, "done.state"); break;
		default: buf_put(gen->out, chart_gen_event(&gen->rand)); break;
		}
		if (count > 1)
			buf_put(gen->out, " ");
	}
}

/* An eventless transition counts itself out, or most charts would not come to rest. */
static void put_eventless(struct gen *gen)
{
	int number = below(gen, 4);
	buf_printf(gen->out, "<transition cond='v%d &lt; %d' target='", number, 1 + below(gen, 4));
	put_targets(gen);
	buf_printf(gen->out, "'><assign location='v%d' expr='v%d + 1'/>", number, number);
	put_content(gen, 0);
	buf_put(gen->out, "</transition>");
}

static void put_transition(struct gen *gen)
{
	if (chance(gen, 12)) {
		put_eventless(gen);
		return;
	}
	buf_put(gen->out, "<transition event='");
	put_descriptors(gen);
	if (chance(gen, 35)) {
		buf_put(gen->out, "' cond='");
		put_guard(gen);
	}
	if (!chance(gen, 15)) {
		buf_put(gen->out, "' target='");
		put_targets(gen);
	}
	if (chance(gen, 25))
		buf_put(gen->out, "' type='internal");
	buf_put(gen->out, "'>");
	put_content(gen, 0);
	buf_put(gen->out, "</transition>");
}

static void put_handlers(struct gen *gen, int at, const char *name)
{
	buf_printf(gen->out, "<%s><log label='%s s%d'/>", name, name, at);
	put_content(gen, 0);
	buf_printf(gen->out, "</%s>", name);
	if (chance(gen, 15)) {
		buf_printf(gen->out, "<%s>", name);
		put_content(gen, 0);
		buf_printf(gen->out, "</%s>", name);
	}
}

static void put_history(struct gen *gen, int at)
{
	const struct node *node = &gen->nodes[at];
	int target = node->kind == NODE_DEEP ? pick_below(gen, node->parent)
	                                     : pick_child(gen, node->parent);
	buf_printf(gen->out, "<history id='s%d' type='%s'><transition target='s%d'>", at,
	           node->kind == NODE_DEEP ? "deep" : "shallow",
	           target < 0 ? gen->nodes[node->parent].children[0] : target);
	put_content(gen, 0);
	buf_put(gen->out, "</transition></history>");
}

/* The initial states of a compound state: as attribute, as element, or left to document order. */
static bool put_initial_targets(struct gen *gen, int at)
{
	int target = pick_below(gen, at);
	if (target < 0)
		return false;
	if (gen->nodes[target].kind == NODE_PARALLEL && chance(gen, 60) && put_regions(gen, target))
		return true;
	buf_printf(gen->out, "s%d", target);
	return true;
}

static bool has_states(const struct gen *gen, int at)
{
	const struct node *node = &gen->nodes[at];
	for (int i = 0; i < node->child_count; i++) {
		if (is_real(&gen->nodes[node->children[i]]))
			return true;
	}
	return false;
}

static void put_node(struct gen *gen, int at)
{
	const struct node *node = &gen->nodes[at];
	static const char *const tags[] = { "state", "parallel", "final" };
	if (is_history(node)) {
		put_history(gen, at);
		return;
	}
	bool is_compound = node->kind == NODE_STATE && has_states(gen, at);
	int initial = is_compound ? below(gen, 3) : 0;
	buf_printf(gen->out, "<%s id='s%d'", tags[node->kind], at);
	if (initial == 1) {
		buf_put(gen->out, " initial='");
		put_initial_targets(gen, at);
		buf_put(gen->out, "'");
	}
	buf_put(gen->out, ">\n");
	if (initial == 2) {
		buf_put(gen->out, "<initial><transition target='");
		put_initial_targets(gen, at);
		buf_put(gen->out, "'>");
		put_content(gen, 0);
		buf_put(gen->out, "</transition></initial>");
	}
	put_handlers(gen, at, "onentry");
	put_handlers(gen, at, "onexit");
	for (int count = node->kind == NODE_FINAL ? 0 : below(gen, 5); count > 0; count--)
		put_transition(gen);
	for (int i = 0; i < node->child_count; i++)
		put_node(gen, node->children[i]);
	buf_printf(gen->out, "</%s>\n", tags[node->kind]);
}

void chart_gen(uint64_t seed, struct buf *out)
{
	struct gen gen = { .out = out };
	uint64_t state = seed;
	gen.rand = rand_seeded(&state);
	grow(&gen, -1, NODE_STATE);
	buf_put(out, "<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' datamodel='lua' "
	             "name='generated'");
	if (chance(&gen, 50)) {
		buf_put(out, " initial='");
		put_initial_targets(&gen, 0);
		buf_put(out, "'");
	}
	buf_put(out, ">\n");
	for (int i = 0; i < gen.nodes[0].child_count; i++)
		put_node(&gen, gen.nodes[0].children[i]);
	buf_put(out, "</scxml>\n");
}
