/* SPDX-License-Identifier: MIT */
/*
 * Executable content (SCXML 4) and how errors of the author's become events.
 *
 * An error ends the block it happens in, from the innermost <if> or <foreach>
 * up to the handler, and nothing else (4.9); it is in the internal queue when
 * execute_content() returns.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "machine/machine_int.h"

/* A clean err for the next question to the data model. */
struct err *attempt(struct session *s)
{
	if (s->machine->attempt.code != 0)
		err_clear(&s->machine->attempt);
	return &s->machine->attempt;
}

/* An error that no chart may catch. */
static int fatal(struct session *s, int code)
{
	const struct err *from = &s->machine->attempt;
	if (from->code != 0 && s->machine->err->code == 0)
		*s->machine->err = *from;
	return err_set(s->machine->err, code < 0 ? code : ERR_BLOCKED, "session '%s' cannot go on",
	               s->id);
}

static bool is_author_error(int code)
{
	return code == ERR_INPUT || code == ERR_ABSENT || code == ERR_CONFLICT;
}

/* What _event.data of an error event says: the form of every failure (DESIGN 3). */
static json_t *failure_data(const struct err *err, const char *type)
{
	json_t *ret = json_object();
	json_put_str(ret, "error_type", type);
	json_put_str(ret, "error_code", err->id[0] ? err->id : "graph.error");
	json_put(ret, "message", json_text(str_of(err->text)));
	if (err->hint[0])
		json_put(ret, "resolution", json_text(str_of(err->hint)));
	return ret;
}

/* An error event on the internal queue; CONTENT_STOPPED.  Takes over data. */
int raise_failure(struct session *s, const char *error, const struct blame *blame, json_t *data)
{
	static const struct blame nobody = { 0 };
	if (!blame)
		blame = &nobody;
	struct event event = {
		.type = EVENT_PLATFORM,
		.name = blame->invokeid ? mem_format("%s.%s", error, blame->invokeid)
		                        : mem_dup_str(error),
		.sendid = mem_dup_str(blame->sendid),
		.invokeid = mem_dup_str(blame->invokeid),
		.data = data,
	};
	if (blame->is_advisory) {
		drop_event(s, event.name, event_to_json(&event));
		event_release(&event);
		return CONTENT_STOPPED;
	}
	return raise_event(s, &event) < 0 ? s->machine->err->code : CONTENT_STOPPED;
}

/*
 * The last attempt failed: error.execution, with the place in the author's
 * file; CONTENT_STOPPED.  Or it is fatal.
 */
int raise_attempt(struct session *s, struct chart_place at, const struct blame *blame)
{
	struct err *err = &s->machine->attempt;
	if (!is_author_error(err->code))
		return fatal(s, err->code);
	/* The graph's name, not its file: what a chart can see must not depend on where it lies. */
	if (at.line > 0 && !str_begins(err->text, "line "))
		err_wrap(err, "%s: line %u", s->chart->name, at.line);
	else
		err_wrap(err, "%s", s->chart->name);
	return raise_failure(s, "error.execution", blame, failure_data(err, "execution"));
}

/*
 * The last attempt was to dispatch something: error.communication when the far
 * side cannot be reached, error.execution when there is no such thing to do.
 */
int raise_refusal(struct session *s, struct chart_place at, const struct blame *blame)
{
	struct err *err = &s->machine->attempt;
	if (err->code == ERR_SYSTEM || err->code == ERR_BUSY)
		return raise_failure(s, "error.communication", blame,
		                     failure_data(err, "communication"));
	if (err->code == ERR_LIMIT)
		err->code = ERR_INPUT;
	return raise_attempt(s, at, blame);
}

/* An absent guard is true; one that cannot be evaluated is false, and an error (5.9.1). */
int condition_match(struct session *s, const struct chart_expr *cond, bool *ret)
{
	*ret = true;
	if (!cond->text)
		return 0;
	*ret = false;
	struct err *err = attempt(s);
	if (s->ops->eval_bool(s->dm, cond, ret, err) == 0)
		return 0;
	*ret = false;
	int status = raise_attempt(s, cond->at, NULL);
	return status < 0 ? status : 0;
}

static int execute_ops(struct session *s, const struct chart_block *block);

static int execute_raise(struct session *s, const char *name)
{
	struct event event = { .type = EVENT_INTERNAL, .name = mem_dup_str(name) };
	return raise_event(s, &event);
}

static int execute_if(struct session *s, const struct chart_branch *branches, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool is_true = false;
		int status = condition_match(s, &branches[i].cond, &is_true);
		if (status < 0)
			return status;
		if (is_true)
			return execute_ops(s, &branches[i].block);
	}
	return 0;
}

static int execute_foreach(struct session *s, const struct chart_op *op)
{
	void *iter = NULL;
	struct err *err = attempt(s);
	if (s->ops->foreach_begin(s->dm, &op->foreach.array, &op->foreach.item, &op->foreach.index,
	                          &iter, err) < 0)
		return raise_attempt(s, op->at, NULL);
	int status = 0;
	while (status == 0) {
		bool has_more = false;
		err = attempt(s);
		if (s->ops->foreach_next(s->dm, iter, &has_more, err) < 0)
			status = raise_attempt(s, op->at, NULL);
		else if (!has_more)
			break;
		else
			status = execute_ops(s, &op->foreach.block);
	}
	s->ops->foreach_end(s->dm, iter);
	return status;
}

static int execute_log(struct session *s, const struct chart_op *op)
{
	json_t *value = NULL;
	struct err *err = attempt(s);
	if (op->log.expr.text && s->ops->eval_json(s->dm, &op->log.expr, &value, err) < 0)
		return raise_attempt(s, op->log.expr.at, NULL);
	struct effect *effect = effect_add(s, EFFECT_LOG, next_number(s->machine));
	effect->label = arena_dup_str(s->machine->effects->arena, op->log.label);
	effect->data = keep_json(s, value);
	return 0;
}

static int execute_assign(struct session *s, const struct chart_op *op)
{
	struct err *err = attempt(s);
	int status;
	if (op->assign.expr.text || !op->assign.text)
		status = s->ops->assign(s->dm, &op->assign.location, &op->assign.expr, err);
	else
		status = s->ops->assign_text(s->dm, &op->assign.location, op->assign.text_id,
		                             op->assign.text, op->assign.is_xml, err);
	return status < 0 ? raise_attempt(s, op->at, NULL) : 0;
}

static int execute_script(struct session *s, const struct chart_op *op)
{
	struct err *err = attempt(s);
	if (!op->script.code.text || s->ops->script(s->dm, &op->script.code, err) == 0)
		return 0;
	return raise_attempt(s, op->at, NULL);
}

static int execute_op(struct session *s, const struct chart_op *op)
{
	switch (op->kind) {
	case OP_RAISE: return execute_raise(s, op->raise.event);
	case OP_IF: return execute_if(s, op->choice.branches, op->choice.count);
	case OP_FOREACH: return execute_foreach(s, op);
	case OP_LOG: return execute_log(s, op);
	case OP_ASSIGN: return execute_assign(s, op);
	case OP_SCRIPT: return execute_script(s, op);
	case OP_SEND: return execute_send(s, &op->send, op->at);
	case OP_CANCEL: return execute_cancel(s, &op->cancel.sendid);
	}
	must_not_reach();
}

static int execute_ops(struct session *s, const struct chart_block *block)
{
	for (size_t i = 0; i < block->count; i++) {
		int status = execute_op(s, &block->ops[i]);
		if (status != 0)
			return status;
	}
	return 0;
}

/* One handler.  0 also when an error ended it: that error is an event now. */
int execute_content(struct session *s, const struct chart_block *block)
{
	int status = execute_ops(s, block);
	return status < 0 ? status : 0;
}
