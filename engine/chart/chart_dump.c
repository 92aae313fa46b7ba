/* SPDX-License-Identifier: MIT */
/*
 * The tables as text: everything that decides what a graph does, one fact per
 * line, in table order.  Two graphs with equal dumps behave alike.
 */
#include <string.h>

#include "chart/chart_int.h"

struct dump {
	const struct chart *chart;
	struct buf *out;
	int depth;
};

static void begin_line(const struct dump *d)
{
	for (int i = 0; i < d->depth; i++)
		buf_put(d->out, "  ");
}

static void put_quoted(const struct dump *d, const char *text)
{
	buf_put(d->out, "\"");
	for (; *text; text++) {
		if (*text == '\n')
			buf_put(d->out, "\\n");
		else if (*text == '\t')
			buf_put(d->out, "\\t");
		else if (*text == '"' || *text == '\\')
			buf_printf(d->out, "\\%c", *text);
		else
			buf_put_len(d->out, text, 1);
	}
	buf_put(d->out, "\"");
}

static void put_text(const struct dump *d, const char *name, const char *text)
{
	if (!text)
		return;
	buf_printf(d->out, " %s ", name);
	put_quoted(d, text);
}

static void put_expr(const struct dump *d, const char *name, const struct chart_expr *expr)
{
	if (!expr->text)
		return;
	buf_printf(d->out, " %s=", name);
	put_quoted(d, expr->text);
	buf_printf(d->out, "#%u", expr->id);
}

static void put_value(const struct dump *d, const char *name, const struct chart_value *value)
{
	put_text(d, name, value->text);
	put_expr(d, name, &value->expr);
}

static void end_line(const struct dump *d, struct chart_place at)
{
	buf_printf(d->out, " @%u:%u\n", at.line, at.column);
}

static void put_content(const struct dump *d, const struct chart_content *content)
{
	if (!content->present)
		return;
	begin_line(d);
	buf_put(d->out, content->is_xml ? "content xml" : "content");
	put_expr(d, "expr", &content->expr);
	if (content->text) {
		put_text(d, "text", content->text);
		buf_printf(d->out, "#%u", content->id);
	}
	end_line(d, content->at);
}

static void put_payload(struct dump *d, const struct chart_payload *payload)
{
	d->depth++;
	for (size_t i = 0; i < payload->name_count; i++) {
		begin_line(d);
		buf_put(d->out, "name");
		put_expr(d, "location", &payload->names[i]);
		end_line(d, payload->names[i].at);
	}
	for (size_t i = 0; i < payload->param_count; i++) {
		const struct chart_param *param = &payload->params[i];
		begin_line(d);
		buf_put(d->out, "param");
		put_text(d, "name", param->name);
		put_expr(d, param->is_location ? "location" : "expr", &param->expr);
		put_text(d, "render", param->render);
		end_line(d, param->at);
	}
	put_content(d, &payload->content);
	d->depth--;
}

static void put_dispatch(const struct dump *d, const struct chart_dispatch *dispatch)
{
	put_text(d, "connection", dispatch->connection);
	if (dispatch->timeout_ms >= 0)
		buf_printf(d->out, " timeout %lld", (long long)dispatch->timeout_ms);
	if (dispatch->retries >= 0)
		buf_printf(d->out, " retries %d", dispatch->retries);
	if (dispatch->backoff_min_ms >= 0)
		buf_printf(d->out, " backoff %lld..%lld", (long long)dispatch->backoff_min_ms,
		           (long long)dispatch->backoff_max_ms);
	put_expr(d, "each", &dispatch->each);
	if (dispatch->each.text)
		buf_printf(d->out, " as %s parallel %d", dispatch->as, dispatch->parallel);
	put_text(d, "advisory", dispatch->advisory);
	put_text(d, "fallback", dispatch->fallback);
	if (strcmp(dispatch->on_unsure, "reconcile") != 0)
		put_text(d, "on-unsure", dispatch->on_unsure);
}

static void put_block(struct dump *d, const struct chart_block *block);

static void put_send(struct dump *d, const struct chart_send *send, struct chart_place at)
{
	buf_put(d->out, "send");
	put_value(d, "event", &send->event);
	put_value(d, "target", &send->target);
	put_value(d, "type", &send->type);
	put_value(d, "delay", &send->delay);
	put_text(d, "id", send->id);
	put_expr(d, "idlocation", &send->idlocation);
	put_dispatch(d, &send->dispatch);
	end_line(d, at);
	put_payload(d, &send->payload);
}

static void put_branches(struct dump *d, const struct chart_op *op)
{
	for (size_t i = 0; i < op->choice.count; i++) {
		const struct chart_branch *branch = &op->choice.branches[i];
		if (i > 0)
			begin_line(d);
		buf_put(d->out, i == 0 ? "if" : branch->cond.text ? "elseif" : "else");
		put_expr(d, "cond", &branch->cond);
		end_line(d, branch->block.at);
		put_block(d, &branch->block);
	}
}

static void put_op(struct dump *d, const struct chart_op *op)
{
	begin_line(d);
	switch (op->kind) {
	case OP_RAISE:
		buf_put(d->out, "raise");
		put_text(d, "event", op->raise.event);
		break;
	case OP_IF: put_branches(d, op); return;
	case OP_FOREACH:
		buf_put(d->out, "foreach");
		put_expr(d, "array", &op->foreach.array);
		put_expr(d, "item", &op->foreach.item);
		put_expr(d, "index", &op->foreach.index);
		end_line(d, op->at);
		put_block(d, &op->foreach.block);
		return;
	case OP_LOG:
		buf_put(d->out, "log");
		put_text(d, "label", op->log.label);
		put_expr(d, "expr", &op->log.expr);
		break;
	case OP_ASSIGN:
		buf_put(d->out, op->assign.is_xml ? "assign xml" : "assign");
		put_expr(d, "location", &op->assign.location);
		put_expr(d, "expr", &op->assign.expr);
		put_text(d, "text", op->assign.text);
		if (op->assign.text)
			buf_printf(d->out, "#%u", op->assign.text_id);
		break;
	case OP_SCRIPT:
		buf_put(d->out, "script");
		put_expr(d, "code", &op->script.code);
		break;
	case OP_SEND: put_send(d, &op->send, op->at); return;
	case OP_CANCEL:
		buf_put(d->out, "cancel");
		put_value(d, "sendid", &op->cancel.sendid);
		break;
	}
	end_line(d, op->at);
}

static void put_block(struct dump *d, const struct chart_block *block)
{
	d->depth++;
	for (size_t i = 0; i < block->count; i++)
		put_op(d, &block->ops[i]);
	d->depth--;
}

static void put_transition(struct dump *d, const char *what, int32_t index)
{
	if (index == CHART_NONE)
		return;
	const struct chart_transition *t = &d->chart->transitions[index];
	begin_line(d);
	buf_printf(d->out, "%s t%d", what, t->index);
	for (size_t i = 0; i < t->event_count; i++)
		buf_printf(d->out, "%s%s", i ? " " : " on ", t->events[i]);
	put_expr(d, "cond", &t->cond);
	if (t->is_internal)
		buf_put(d->out, " internal");
	for (size_t i = 0; i < t->target_count; i++)
		buf_printf(d->out, "%s%s", i ? " " : " -> ", d->chart->states[t->targets[i]].id);
	end_line(d, t->at);
	put_block(d, &t->block);
}

static void put_data(const struct dump *d, const struct chart_data *data)
{
	begin_line(d);
	buf_printf(d->out, "data %s", data->id);
	put_expr(d, "expr", &data->expr);
	put_text(d, data->is_xml ? "xml" : "text", data->text);
	if (data->text)
		buf_printf(d->out, "#%u", data->text_id);
	if (data->is_search)
		buf_put(d->out, " search");
	if (data->is_exclusive)
		buf_put(d->out, " exclusive");
	end_line(d, data->at);
}

static void put_invoke(struct dump *d, const struct chart_invoke *invoke)
{
	begin_line(d);
	buf_put(d->out, "invoke");
	put_text(d, "id", invoke->id);
	put_expr(d, "idlocation", &invoke->idlocation);
	put_value(d, "type", &invoke->type);
	put_value(d, "src", &invoke->src);
	if (invoke->is_autoforward)
		buf_put(d->out, " autoforward");
	put_dispatch(d, &invoke->dispatch);
	end_line(d, invoke->at);
	put_payload(d, &invoke->payload);
	if (!invoke->has_finalize)
		return;
	d->depth++;
	begin_line(d);
	buf_put(d->out, "finalize");
	end_line(d, invoke->finalize.at);
	put_block(d, &invoke->finalize);
	d->depth--;
}

static void put_handlers(struct dump *d, const char *name, const struct chart_block *blocks,
                         size_t count)
{
	for (size_t i = 0; i < count; i++) {
		begin_line(d);
		buf_put(d->out, name);
		end_line(d, blocks[i].at);
		put_block(d, &blocks[i]);
	}
}

static const char *kind_name(const struct chart_state *state)
{
	switch (state->kind) {
	case STATE_ROOT: return "root";
	case STATE_ATOMIC: return "state";
	case STATE_COMPOUND: return "compound";
	case STATE_PARALLEL: return "parallel";
	case STATE_FINAL: return "final";
	case STATE_HISTORY: return state->is_deep ? "history deep" : "history shallow";
	}
	return "?";
}

static void put_state(struct dump *d, int32_t index)
{
	const struct chart_state *state = &d->chart->states[index];
	d->depth = state->depth;
	begin_line(d);
	buf_printf(d->out, "%d %s %s", index, kind_name(state), state->id);
	if (state->last > index)
		buf_printf(d->out, " ..%d", state->last);
	put_text(d, "title", state->title);
	put_text(d, "note", state->note);
	end_line(d, state->at);
	d->depth++;
	for (size_t i = 0; i < state->data_count; i++)
		put_data(d, &state->data[i]);
	put_transition(d, state->kind == STATE_HISTORY ? "default" : "initial", state->initial);
	put_handlers(d, "onentry", state->onentry, state->onentry_count);
	for (size_t i = 0; i < state->invoke_count; i++)
		put_invoke(d, &state->invokes[i]);
	for (size_t i = 0; i < state->transition_count; i++)
		put_transition(d, "transition", state->first_transition + (int32_t)i);
	put_handlers(d, "onexit", state->onexit, state->onexit_count);
	if (state->donedata.present) {
		begin_line(d);
		buf_put(d->out, "donedata");
		end_line(d, state->donedata.at);
		put_payload(d, &state->donedata.payload);
	}
}

void chart_dump(const struct chart *chart, struct buf *out)
{
	struct dump d = { .chart = chart, .out = out };
	buf_printf(out, "chart %s datamodel %s binding %s%s exprs %u", chart->name,
	           chart->datamodel, chart->is_binding_late ? "late" : "early",
	           chart->on_error_block ? " on-error block" : "", chart->expr_count);
	put_text(&d, "input", chart->input_schema);
	put_text(&d, "output", chart->output_schema);
	buf_put(out, "\n");
	put_handlers(&d, "script", chart->scripts, chart->script_count);
	for (int32_t i = 0; i < chart->state_count; i++)
		put_state(&d, i);
}
