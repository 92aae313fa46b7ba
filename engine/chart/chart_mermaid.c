/* SPDX-License-Identifier: MIT */
/*
 * The same picture for Mermaid (stateDiagram-v2), which renders inside
 * Markdown.  An edge stands in the innermost block that contains both ends:
 * Mermaid draws no edges between the insides of different blocks otherwise.
 */
#include <string.h>

#include "base/arena.h"
#include "chart/chart_int.h"

enum { NAME_CHARS = 60, LABEL_BYTES = 64 * 1024 };

struct mermaid {
	const struct chart *chart;
	struct buf *out;
	struct arena arena;
	const struct chart_transition ***edges; /* of each state's block, NULL-terminated */
};

/* Mermaid gives meaning to these; it reads #code; as a character. */
static void put_text(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (strchr("\"#:;<>{}[]`%&", *text))
			buf_printf(out, "#%d;", (unsigned char)*text);
		else
			buf_put_len(out, text, 1);
	}
}

static void put_cut(struct buf *out, const char *text)
{
	struct buf cut;
	buf_init(&cut, LABEL_BYTES);
	label_cut(text, NAME_CHARS, &cut);
	put_text(out, cut.len ? cut.bytes : "");
	buf_release(&cut);
}

static void indent(const struct mermaid *m, int32_t state)
{
	for (int32_t i = 0; i <= m->chart->states[state].depth; i++)
		buf_put(m->out, "  ");
}

static void put_name(const struct mermaid *m, const struct chart_state *state)
{
	buf_put(m->out, "\"");
	put_cut(m->out, label_name(state));
	for (size_t i = 0; i < state->invoke_count; i++) {
		struct buf text;
		buf_init(&text, LABEL_BYTES);
		label_invoke(&state->invokes[i], &text);
		buf_put(m->out, "<br/>");
		put_text(m->out, text.len ? text.bytes : "");
		buf_release(&text);
	}
	buf_put(m->out, "\"");
}

/* The block that holds an edge: the innermost state that contains both ends. */
static int32_t block_of(const struct chart *chart, const struct chart_transition *t)
{
	int32_t block = chart->states[t->source].parent;
	for (size_t i = 0; i < t->target_count; i++)
		while (block > 0 && !chart_is_descendant(chart, t->targets[i], block))
			block = chart->states[block].parent;
	return block;
}

static void sort_edges(struct mermaid *m)
{
	const struct chart *chart = m->chart;
	size_t count = (size_t)chart->state_count;
	size_t *counts = arena_alloc(&m->arena, count * sizeof(*counts));
	m->edges = arena_alloc(&m->arena, count * sizeof(*m->edges));
	for (int pass = 0; pass < 2; pass++) {
		for (int32_t i = 1; i < chart->state_count; i++) {
			const struct chart_state *state = &chart->states[i];
			for (size_t n = 0; n < state->transition_count; n++) {
				const struct chart_transition *t =
					&chart->transitions[state->first_transition + (int32_t)n];
				int32_t block = t->target_count ? block_of(chart, t) : CHART_NONE;
				if (block == CHART_NONE)
					continue;
				if (pass == 0)
					counts[block]++;
				else
					m->edges[block][--counts[block]] = t;
			}
		}
		for (size_t i = 0; pass == 0 && i < count; i++)
			m->edges[i] = arena_alloc(&m->arena, (counts[i] + 1) * sizeof(**m->edges));
	}
}

static void put_edges(const struct mermaid *m, int32_t block)
{
	size_t count = 0;
	while (m->edges[block][count])
		count++;
	for (size_t i = count; i-- > 0;) { /* they were filled from the end */
		const struct chart_transition *t = m->edges[block][i];
		struct buf text;
		buf_init(&text, LABEL_BYTES);
		label_transition(t, " ", &text);
		for (size_t k = 0; k < t->target_count; k++) {
			indent(m, block);
			buf_printf(m->out, "s%d --> s%d", t->source, t->targets[k]);
			if (text.len > 0 && k == 0) {
				buf_put(m->out, " : ");
				put_text(m->out, text.bytes);
			}
			buf_put(m->out, "\n");
		}
		buf_release(&text);
	}
}

static void put_state(const struct mermaid *m, int32_t index);

static void put_block(const struct mermaid *m, int32_t index)
{
	const struct chart_state *state = &m->chart->states[index];
	const struct chart_transition *initial = state->initial == CHART_NONE
	                                                 ? NULL
	                                                 : &m->chart->transitions[state->initial];
	for (size_t i = 0; initial && i < initial->target_count; i++) {
		indent(m, index);
		buf_printf(m->out, "[*] --> s%d\n", initial->targets[i]);
	}
	for (size_t i = 0; i < state->child_count; i++) {
		if (i > 0 && state->kind == STATE_PARALLEL) {
			indent(m, index);
			buf_put(m->out, "--\n");
		}
		put_state(m, state->children[i]);
	}
	for (size_t i = 0; i < state->history_count; i++)
		put_state(m, state->histories[i]);
	put_edges(m, index);
}

static void put_state(const struct mermaid *m, int32_t index)
{
	const struct chart_state *state = &m->chart->states[index];
	int32_t outer = state->parent;
	indent(m, outer);
	if (state->kind == STATE_HISTORY) {
		buf_printf(m->out, "state \"%s\" as s%d\n", state->is_deep ? "H*" : "H", index);
		return;
	}
	buf_put(m->out, "state ");
	put_name(m, state);
	buf_printf(m->out, " as s%d\n", index);
	if (state->kind == STATE_FINAL) {
		indent(m, outer);
		buf_printf(m->out, "s%d --> [*]\n", index);
	}
	if (state_has_task(state)) {
		indent(m, outer);
		buf_printf(m->out, "class s%d task\n", index);
	}
	if (state->child_count == 0)
		return;
	indent(m, outer);
	buf_printf(m->out, "state s%d {\n", index);
	put_block(m, index);
	indent(m, outer);
	buf_put(m->out, "}\n");
}

void chart_mermaid(const struct chart *chart, struct buf *out)
{
	struct mermaid m = { .chart = chart, .out = out };
	arena_init(&m.arena);
	sort_edges(&m);
	buf_put(out, "stateDiagram-v2\n"
	             "  classDef task fill:#ffe9a8,stroke:#b8860b\n");
	put_block(&m, 0);
	arena_release(&m.arena);
}
