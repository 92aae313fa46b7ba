/* SPDX-License-Identifier: MIT */
/* The words of pictures, in one place so that dot and mermaid say the same. */
#include <string.h>

#include "chart/chart_int.h"

enum { EVENT_CHARS = 44, GUARD_CHARS = 44, CALL_CHARS = 60, EVENTS_MAX = 4 };

void label_cut(const char *text, size_t max, struct buf *out)
{
	size_t chars = 0;
	bool has_blank = false;
	for (const char *p = text; *p; p++) {
		unsigned char byte = (unsigned char)*p;
		if (byte <= ' ') {
			has_blank = chars > 0;
			continue;
		}
		if ((byte & 0xC0) != 0x80 && (chars += 1 + has_blank) > max) {
			buf_put(out, "...");
			return;
		}
		if (has_blank)
			buf_put(out, " ");
		has_blank = false;
		buf_put_len(out, p, 1);
	}
}

const char *label_name(const struct chart_state *state)
{
	return state->title && !is_blank(state->title) ? state->title : state->id;
}

void label_transition(const struct chart_transition *transition, const char *between,
                      struct buf *out)
{
	for (size_t i = 0; i < transition->event_count; i++) {
		if (i > 0)
			buf_put(out, between);
		if (i == EVENTS_MAX) {
			buf_put(out, "...");
			break;
		}
		label_cut(transition->events[i], EVENT_CHARS, out);
	}
	if (!transition->cond.text)
		return;
	if (transition->event_count > 0)
		buf_put(out, between);
	buf_put(out, "[");
	label_cut(transition->cond.text, GUARD_CHARS, out);
	buf_put(out, "]");
}

bool invoke_is_task(const struct chart_invoke *invoke)
{
	const char *type = invoke->type.text;
	return type && (strcmp(type, "approval") == 0 || strcmp(type, "checklist") == 0);
}

bool state_has_task(const struct chart_state *state)
{
	for (size_t i = 0; i < state->invoke_count; i++)
		if (invoke_is_task(&state->invokes[i]))
			return true;
	return false;
}

static void put_value(const struct chart_value *value, struct buf *out)
{
	if (value->expr.text)
		buf_put(out, "=");
	if (value->text || value->expr.text)
		label_cut(value->text ? value->text : value->expr.text, CALL_CHARS, out);
}

void label_invoke(const struct chart_invoke *invoke, struct buf *out)
{
	bool has_src = invoke->src.text || invoke->src.expr.text;
	if (!invoke->type.expr.text && chart_is_scxml_type(invoke->type.text)) {
		buf_put(out, has_src ? "chart " : "chart");
		put_value(&invoke->src, out);
		return;
	}
	put_value(&invoke->type, out);
	if (has_src)
		buf_put(out, invoke_is_task(invoke) ? " " : ".");
	put_value(&invoke->src, out);
	if (invoke->dispatch.each.text)
		buf_put(out, " (each)");
	if (invoke->dispatch.advisory)
		buf_put(out, " (advice)");
}

static bool is_plugin_send(const struct chart_send *send)
{
	const char *type = send->type.text;
	return type && strcmp(type, "scxml") != 0 && !strchr(type, ':');
}

void label_sends(const struct chart_block *block, struct buf *out)
{
	for (size_t i = 0; i < block->count; i++) {
		const struct chart_op *op = &block->ops[i];
		if (op->kind == OP_SEND && is_plugin_send(&op->send)) {
			if (out->len > 0)
				buf_put(out, " ");
			put_value(&op->send.type, out);
			buf_put(out, ".");
			put_value(&op->send.event, out);
		}
		for (size_t n = 0; op->kind == OP_IF && n < op->choice.count; n++)
			label_sends(&op->choice.branches[n].block, out);
		if (op->kind == OP_FOREACH)
			label_sends(&op->foreach.block, out);
	}
}
