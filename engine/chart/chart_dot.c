/* SPDX-License-Identifier: MIT */
/*
 * A picture for Graphviz.  Atomic states are rounded boxes, states that hold
 * others are clusters, regions of a parallel are dashed.  A dot begins, a
 * double circle ends, H and H* remember; work for people is a yellow folder.
 *
 * Graphviz draws edges between nodes only.  An edge of a cluster is drawn from
 * or to a node inside and cut at its border (lhead, ltail); an edge from a
 * cluster to something inside it begins at the cluster's dot.
 */
#include <string.h>

#include "chart/chart_int.h"

enum { NAME_CHARS = 60, LABEL_BYTES = 64 * 1024, SENDS_BYTES = 4 * 1024 * 1024 };

struct dot {
	const struct chart *chart;
	const struct chart_paint *paint;
	struct buf *out;
	const char *line_end; /* between the lines of a label; clusters want theirs at the left */
};

static struct chart_look look_of(const struct dot *d, int32_t state)
{
	if (!d->paint)
		return (struct chart_look){ 0 };
	return d->paint->look(d->paint->ctx, state);
}

static void put_html(struct buf *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': buf_put(out, "&amp;"); break;
		case '<': buf_put(out, "&lt;"); break;
		case '>': buf_put(out, "&gt;"); break;
		case '"': buf_put(out, "&quot;"); break;
		case '\n': buf_put(out, "<br align=\"left\"/>&#160;"); break;
		default: buf_put_len(out, text, 1); break;
		}
	}
}

static void put_cut(struct buf *out, const char *text, size_t max)
{
	struct buf cut;
	buf_init(&cut, LABEL_BYTES);
	label_cut(text, max, &cut);
	put_html(out, cut.len ? cut.bytes : "");
	buf_release(&cut);
}

static void indent(const struct dot *d, int32_t state)
{
	for (int32_t i = 0; i <= d->chart->states[state].depth; i++)
		buf_put(d->out, "  ");
}

static bool is_cluster(const struct chart_state *state)
{
	return state->child_count > 0;
}

static void put_line(const struct dot *d, const char *colour, const char *mark, const char *text)
{
	buf_printf(d->out, "%s<font point-size=\"9\" color=\"%s\">%s", d->line_end, colour, mark);
	put_html(d->out, text);
	buf_put(d->out, "</font>");
}

static void put_invokes(const struct dot *d, const struct chart_state *state)
{
	for (size_t i = 0; i < state->invoke_count; i++) {
		struct buf text;
		buf_init(&text, LABEL_BYTES);
		label_invoke(&state->invokes[i], &text);
		put_line(d, invoke_is_task(&state->invokes[i]) ? "#8a5a00" : "#1f5fa8", "&#9654; ",
		         text.len ? text.bytes : "");
		buf_release(&text);
	}
	struct buf sends;
	buf_init(&sends, SENDS_BYTES);
	for (size_t i = 0; i < state->onentry_count; i++)
		label_sends(&state->onentry[i], &sends);
	if (sends.len > 0) {
		struct buf cut;
		buf_init(&cut, LABEL_BYTES);
		label_cut(sends.bytes, NAME_CHARS, &cut);
		put_line(d, "#5b3f8f", "&#9993; ", cut.bytes);
		buf_release(&cut);
	}
	buf_release(&sends);
}

/* Transitions without a target stay in the state: they are lines of its label. */
static void put_stays(const struct dot *d, const struct chart_state *state)
{
	for (size_t i = 0; i < state->transition_count; i++) {
		const struct chart_transition *t =
			&d->chart->transitions[state->first_transition + (int32_t)i];
		if (t->target_count > 0)
			continue;
		struct buf text;
		buf_init(&text, LABEL_BYTES);
		label_transition(t, " ", &text);
		put_line(d, "#666666", "&#8635; ", text.len ? text.bytes : "");
		buf_release(&text);
	}
}

/*
 * The node at which an edge that leaves a cluster begins: a leaf at its end,
 * in the middle of a parallel, so that what follows is drawn below it.
 */
static int32_t exit_of(const struct chart *chart, int32_t state)
{
	while (is_cluster(&chart->states[state])) {
		const struct chart_state *s = &chart->states[state];
		state = s->children[s->kind == STATE_PARALLEL ? s->child_count / 2
		                                              : s->child_count - 1];
	}
	return state;
}

/* Title in bold, the id below it when there is a title, calls, stays, and what the run says. */
static void put_label(struct dot *d, int32_t index)
{
	const struct chart_state *state = &d->chart->states[index];
	d->line_end = is_cluster(state) ? "<br align=\"left\"/>" : "<br/>";
	buf_put(d->out, "label=<<b>");
	put_cut(d->out, label_name(state), NAME_CHARS);
	buf_put(d->out, "</b>");
	if (state->title && state->has_id) {
		buf_printf(d->out, "%s<font point-size=\"8\" color=\"#777777\">", d->line_end);
		put_cut(d->out, state->id, NAME_CHARS);
		buf_put(d->out, "</font>");
	}
	put_invokes(d, state);
	put_stays(d, state);
	struct chart_look look = look_of(d, index);
	if (look.note)
		put_line(d, "#444444", "", look.note);
	buf_printf(d->out, "%s>", is_cluster(state) ? d->line_end : "");
}

static void put_leaf(struct dot *d, int32_t index)
{
	const struct chart_state *state = &d->chart->states[index];
	bool is_task = state_has_task(state);
	struct chart_look look = look_of(d, index);
	indent(d, index);
	buf_printf(d->out, "s%d [", index);
	if (state->kind == STATE_FINAL) {
		buf_printf(d->out,
		           "shape=doublecircle, style=filled, width=0.16, height=0.16, "
		           "fixedsize=true, fillcolor=\"%s\", color=\"%s\", label=\"\", "
		           "xlabel=<<font point-size=\"9\" color=\"#555555\">",
		           look.fill ? look.fill : "#333333",
		           look.border ? look.border : "#333333");
		put_cut(d->out, label_name(state), NAME_CHARS);
		buf_put(d->out, "</font>>];\n");
		return;
	}
	if (state->kind == STATE_HISTORY) {
		buf_printf(d->out,
		           "shape=circle, style=filled, fillcolor=white, fixedsize=true, "
		           "width=0.3, "
		           "label=\"%s\"];\n",
		           state->is_deep ? "H*" : "H");
		return;
	}
	buf_printf(d->out, "shape=%s, style=\"%s\", fillcolor=\"%s\", color=\"%s\", ",
	           is_task ? "folder" : "box", is_task ? "filled" : "rounded,filled",
	           look.fill ? look.fill
	           : is_task ? "#ffe9a8"
	                     : "#f4f8fd",
	           look.border ? look.border
	           : is_task   ? "#b8860b"
	                       : "#5a7ca8");
	put_label(d, index);
	buf_put(d->out, "];\n");
}

static void put_state(struct dot *d, int32_t index);

static void put_inside(struct dot *d, const struct chart_state *state)
{
	/* Graphviz 2.43 lays clusters without edges between them from right to left. */
	bool is_parallel = state->kind == STATE_PARALLEL;
	for (size_t i = 0; i < state->child_count; i++)
		put_state(d, state->children[is_parallel ? state->child_count - 1 - i : i]);
	for (size_t i = 0; i < state->history_count; i++)
		put_state(d, state->histories[i]);
}

static void put_state(struct dot *d, int32_t index)
{
	const struct chart_state *state = &d->chart->states[index];
	if (!is_cluster(state)) {
		put_leaf(d, index);
		return;
	}
	bool is_region = d->chart->states[state->parent].kind == STATE_PARALLEL;
	bool is_parallel = state->kind == STATE_PARALLEL;
	struct chart_look look = look_of(d, index);
	indent(d, index);
	buf_printf(d->out, "subgraph cluster_s%d {\n", index);
	indent(d, index);
	buf_printf(d->out, "  style=\"%s\"; color=\"%s\"; fillcolor=\"%s\"; margin=10; ",
	           is_region ? "dashed,rounded,filled" : "rounded,filled",
	           look.border   ? look.border
	           : is_parallel ? "#7a5ea8"
	                         : "#8a9bb0",
	           look.fill               ? look.fill
	           : state_has_task(state) ? "#fff4d0"
	           : is_parallel           ? "#faf7ff"
	                                   : "#ffffff");
	put_label(d, index);
	buf_put(d->out, ";\n");
	indent(d, index);
	if (is_parallel)
		buf_printf(d->out, "  i%d [shape=point, style=invis, width=0.01];\n", index);
	else
		buf_printf(d->out,
		           "  i%d [shape=circle, style=filled, fillcolor=black, label=\"\", "
		           "fixedsize=true, width=0.12];\n",
		           index);
	put_inside(d, state);
	indent(d, index);
	buf_put(d->out, "}\n");
}

/* Writes the node that stands for a state at one end of an edge: itself, or its cluster's dot. */
static void put_end(const struct dot *d, int32_t state)
{
	buf_printf(d->out, is_cluster(&d->chart->states[state]) ? "i%d" : "s%d", state);
}

static bool is_within(const struct chart *chart, int32_t state, int32_t outer)
{
	return state == outer || chart_is_descendant(chart, state, outer);
}

/* How an edge is drawn: red when it is for errors; what a run took stands out. */
static void put_edge_look(const struct dot *d, const struct chart_transition *t)
{
	bool is_failure = t->event_count > 0;
	for (size_t n = 0; n < t->event_count; n++)
		is_failure &= strncmp(t->events[n], "error", 5) == 0;
	if (!d->paint || !d->paint->taken) {
		if (is_failure)
			buf_put(d->out, "color=\"#b03a2e\", fontcolor=\"#b03a2e\", ");
		return;
	}
	const char *colour = is_failure ? "#b3261e" : "#2e7d32";
	if (d->paint->taken(d->paint->ctx, t->index) > 0)
		buf_printf(d->out, "color=\"%s\", fontcolor=\"%s\", penwidth=2, ", colour, colour);
	else
		buf_put(d->out, "color=\"#c4c4c4\", fontcolor=\"#a0a0a0\", ");
}

static void put_edge_label(const struct dot *d, const struct chart_transition *t)
{
	struct buf text, sends;
	buf_init(&text, LABEL_BYTES);
	buf_init(&sends, SENDS_BYTES);
	label_transition(t, "\n", &text);
	label_sends(&t->block, &sends);
	buf_put(d->out, "label=<&#160;");
	put_html(d->out, text.len ? text.bytes : "");
	if (sends.len > 0) {
		buf_put(d->out, text.len ? "<br align=\"left\"/>&#160;" : "");
		buf_put(d->out, "<font color=\"#5b3f8f\">/ ");
		put_cut(d->out, sends.bytes, NAME_CHARS);
		buf_put(d->out, "</font>");
	}
	buf_put(d->out, "<br align=\"left\"/>>");
	buf_release(&text);
	buf_release(&sends);
}

static void put_edge(const struct dot *d, const struct chart_transition *t, size_t i)
{
	int32_t target = t->targets[i];
	const struct chart_state *states = d->chart->states;
	bool is_leaving = is_cluster(&states[t->source]) && !is_within(d->chart, target, t->source);
	buf_put(d->out, "  ");
	put_end(d, is_leaving ? exit_of(d->chart, t->source) : t->source);
	buf_put(d->out, " -> ");
	put_end(d, target);
	buf_put(d->out, " [");
	if (is_leaving)
		buf_printf(d->out, "ltail=cluster_s%d, ", t->source);
	if (is_cluster(&states[target]) && !is_within(d->chart, t->source, target))
		buf_printf(d->out, "lhead=cluster_s%d, ", target);
	put_edge_look(d, t);
	if (i == 0)
		put_edge_label(d, t);
	buf_put(d->out, "];\n");
}

static void put_initial(const struct dot *d, int32_t index)
{
	const struct chart_state *state = &d->chart->states[index];
	if (state->initial == CHART_NONE)
		return;
	const struct chart_transition *t = &d->chart->transitions[state->initial];
	for (size_t i = 0; i < t->target_count; i++) {
		buf_printf(d->out, state->kind == STATE_HISTORY ? "  s%d -> " : "  i%d -> ", index);
		put_end(d, t->targets[i]);
		buf_put(d->out, " [");
		if (is_cluster(&d->chart->states[t->targets[i]]))
			buf_printf(d->out, "lhead=cluster_s%d, ", t->targets[i]);
		buf_printf(d->out, "style=%s];\n",
		           state->kind == STATE_HISTORY ? "dashed" : "solid");
	}
}

void chart_dot_painted(const struct chart *chart, const struct chart_paint *paint, struct buf *out)
{
	struct dot d = { .chart = chart, .paint = paint, .out = out };
	buf_put(out,
	        "digraph chart {\n"
	        "  graph [compound=true, rankdir=TB, fontname=\"Helvetica\", fontsize=12, "
	        "labeljust=l, nodesep=0.25, ranksep=0.28, forcelabels=true, pad=0.2, label=<<b>");
	put_cut(out, chart->name, NAME_CHARS);
	buf_put(out,
	        "</b>>, labelloc=t];\n"
	        "  node [fontname=\"Helvetica\", fontsize=11, margin=\"0.16,0.08\"];\n"
	        "  edge [fontname=\"Helvetica\", fontsize=9, color=\"#4a4a4a\", arrowsize=0.7];\n"
	        "  i0 [shape=circle, style=filled, fillcolor=black, label=\"\", "
	        "fixedsize=true, width=0.15];\n");
	put_inside(&d, &chart->states[0]);
	for (int32_t i = 0; i < chart->state_count; i++) {
		const struct chart_state *state = &chart->states[i];
		put_initial(&d, i);
		for (size_t n = 0; n < state->transition_count; n++) {
			const struct chart_transition *t =
				&chart->transitions[state->first_transition + (int32_t)n];
			for (size_t k = 0; k < t->target_count; k++)
				put_edge(&d, t, k);
		}
	}
	buf_put(out, "}\n");
}

void chart_dot(const struct chart *chart, struct buf *out)
{
	chart_dot_painted(chart, NULL, out);
}
