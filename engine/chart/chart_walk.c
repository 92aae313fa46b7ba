/* SPDX-License-Identifier: MIT */
/* Visits every expression, script, action and invocation of a chart, once each. */
#include "chart/chart_int.h"

struct walk {
	const struct walker *walker;
	int32_t state;
	const struct chart_transition *transition;
};

static void visit(const struct walk *w, enum code_kind kind, const struct chart_expr *expr)
{
	if (!expr->text || !w->walker->code)
		return;
	w->walker->code(w->walker->ctx, &(struct code){ kind, expr, w->state, w->transition });
}

static void visit_payload(const struct walk *w, const struct chart_payload *payload)
{
	for (size_t i = 0; i < payload->name_count; i++)
		visit(w, CODE_READ, &payload->names[i]);
	for (size_t i = 0; i < payload->param_count; i++)
		visit(w, payload->params[i].is_location ? CODE_READ : CODE_VALUE,
		      &payload->params[i].expr);
	visit(w, CODE_VALUE, &payload->content.expr);
}

static void visit_block(const struct walk *w, const struct chart_block *block);

static void visit_send(const struct walk *w, const struct chart_send *send)
{
	visit(w, CODE_VALUE, &send->event.expr);
	visit(w, CODE_VALUE, &send->target.expr);
	visit(w, CODE_VALUE, &send->type.expr);
	visit(w, CODE_VALUE, &send->delay.expr);
	visit(w, CODE_PLACE, &send->idlocation);
	visit_payload(w, &send->payload);
}

static void visit_op(const struct walk *w, const struct chart_op *op)
{
	if (w->walker->op)
		w->walker->op(w->walker->ctx, w->state, op);
	switch (op->kind) {
	case OP_RAISE: return;
	case OP_IF:
		for (size_t i = 0; i < op->choice.count; i++) {
			visit(w, CODE_COND, &op->choice.branches[i].cond);
			visit_block(w, &op->choice.branches[i].block);
		}
		return;
	case OP_FOREACH:
		visit(w, CODE_VALUE, &op->foreach.array);
		visit(w, CODE_PLACE, &op->foreach.item);
		visit(w, CODE_PLACE, &op->foreach.index);
		visit_block(w, &op->foreach.block);
		return;
	case OP_LOG: visit(w, CODE_VALUE, &op->log.expr); return;
	case OP_ASSIGN:
		visit(w, CODE_PLACE, &op->assign.location);
		visit(w, CODE_VALUE, &op->assign.expr);
		return;
	case OP_SCRIPT: visit(w, CODE_SCRIPT, &op->script.code); return;
	case OP_SEND: visit_send(w, &op->send); return;
	case OP_CANCEL: visit(w, CODE_VALUE, &op->cancel.sendid.expr); return;
	}
}

static void visit_block(const struct walk *w, const struct chart_block *block)
{
	for (size_t i = 0; i < block->count; i++)
		visit_op(w, &block->ops[i]);
}

static void visit_invoke(const struct walk *w, const struct chart_invoke *invoke)
{
	if (w->walker->invoke)
		w->walker->invoke(w->walker->ctx, invoke);
	visit(w, CODE_PLACE, &invoke->idlocation);
	visit(w, CODE_VALUE, &invoke->type.expr);
	visit(w, CODE_VALUE, &invoke->src.expr);
	visit(w, CODE_VALUE, &invoke->dispatch.each);
	visit_payload(w, &invoke->payload);
	visit_block(w, &invoke->finalize);
}

static void visit_transition(struct walk *w, const struct chart_transition *transition)
{
	w->transition = transition;
	visit(w, CODE_COND, &transition->cond);
	visit_block(w, &transition->block);
	w->transition = NULL;
}

static void visit_state(struct walk *w, const struct chart *chart, const struct chart_state *state)
{
	for (size_t i = 0; i < state->data_count; i++)
		visit(w, CODE_VALUE, &state->data[i].expr);
	for (size_t i = 0; i < state->onentry_count; i++)
		visit_block(w, &state->onentry[i]);
	if (state->initial != CHART_NONE)
		visit_transition(w, &chart->transitions[state->initial]);
	for (size_t i = 0; i < state->invoke_count; i++)
		visit_invoke(w, &state->invokes[i]);
	for (size_t i = 0; i < state->transition_count; i++)
		visit_transition(w, &chart->transitions[state->first_transition + (int32_t)i]);
	for (size_t i = 0; i < state->onexit_count; i++)
		visit_block(w, &state->onexit[i]);
	visit_payload(w, &state->donedata.payload);
}

void walk_chart(const struct chart *chart, const struct walker *walker)
{
	struct walk w = { .walker = walker };
	for (size_t i = 0; i < chart->script_count; i++)
		visit_block(&w, &chart->scripts[i]);
	for (w.state = 0; w.state < chart->state_count; w.state++)
		visit_state(&w, chart, &chart->states[w.state]);
}
