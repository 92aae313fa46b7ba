/* SPDX-License-Identifier: MIT */
/*
 * <invoke> (SCXML 6.4, 6.5): calls of actions and child sessions.
 *
 * An invocation lives as long as its state is active, also after it ended: its
 * done.invoke event may still be waiting, and <finalize> is for that one too.
 * A child is made and runs to its first stable configuration right here; it is
 * another session, so nothing of the parent's macrostep depends on it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "machine/machine_int.h"

void invocation_release(struct invocation *invocation)
{
	free(invocation->id);
}

/* A new entry at its place: by state, then by order in the state. */
struct invocation *invocation_add(struct session *s, int32_t state, uint32_t index)
{
	size_t at = s->invocations.len;
	(void)vec_add(&s->invocations);
	while (at > 0 && (s->invocations.at[at - 1].state > state ||
	                  (s->invocations.at[at - 1].state == state &&
	                   s->invocations.at[at - 1].index > index))) {
		s->invocations.at[at] = s->invocations.at[at - 1];
		at--;
	}
	s->invocations.at[at] = (struct invocation){
		.state = state,
		.index = index,
		.invoke = &s->chart->states[state].invokes[index],
	};
	return &s->invocations.at[at];
}

static void invocation_remove(struct session *s, size_t at)
{
	invocation_release(&s->invocations.at[at]);
	memmove(&s->invocations.at[at], &s->invocations.at[at + 1],
	        (s->invocations.len - 1 - at) * sizeof(s->invocations.at[0]));
	s->invocations.len--;
}

/* What an <invoke> says, evaluated. */
struct request {
	int32_t state;
	uint32_t index;
	const struct chart_invoke *invoke;
	char *id, *type, *src;
	bool is_scxml;
	struct payload payload;
	char *document; /* <content expr> of a child chart */
	json_t *all;    /* gw:each: the parameters of every element */
};

static void request_release(struct request *request)
{
	free(request->id);
	free(request->type);
	free(request->src);
	free(request->document);
	payload_release(&request->payload);
	json_decref(request->all);
}

static int eval_id(struct session *s, struct request *request, const struct blame *blame)
{
	const struct chart_expr *location = &request->invoke->idlocation;
	if (!location->text)
		return 0;
	json_t *id = json_string(request->id);
	struct err *err = attempt(s);
	int status = s->ops->assign_json(s->dm, location, id, err);
	json_decref(id);
	return status < 0 ? raise_attempt(s, location->at, blame) : 0;
}

/* The list that gw:each names; *ret is new. */
static int eval_list(struct session *s, const struct chart_expr *each, const struct blame *blame,
                     json_t **ret)
{
	struct err *err = attempt(s);
	*ret = NULL;
	int status = s->ops->eval_json(s->dm, each, ret, err);
	/* An empty table is an empty list here, whatever else it could be. */
	if (status == 0 && json_is_object(*ret) && json_object_size(*ret) == 0) {
		json_decref(*ret);
		*ret = json_array();
	}
	if (status == 0 && !json_is_array(*ret))
		status = err_set_id(err, ERR_INPUT, "graph.each", "gw:each=\"%s\" gives no list",
		                    each->text);
	if (status == 0 && json_array_size(*ret) > LIMIT_EACH_ELEMENTS)
		status = err_set_id(err, ERR_INPUT, "limit.each_elements",
		                    "gw:each=\"%s\" gives more than %d elements", each->text,
		                    LIMIT_EACH_ELEMENTS);
	if (status == 0)
		return 0;
	json_decref(*ret);
	*ret = NULL;
	return raise_attempt(s, each->at, blame);
}

/* The parameters once per element, with the element in the variable that gw:as names. */
static int eval_each(struct session *s, struct request *request, const struct blame *blame)
{
	const struct chart_dispatch *dispatch = &request->invoke->dispatch;
	struct chart_data variable = {
		.id = dispatch->as ? dispatch->as : "item",
		.at = dispatch->each.at,
	};
	json_t *list;
	int status = eval_list(s, &dispatch->each, blame, &list);
	if (status != 0)
		return status;
	request->all = json_array();
	s->ops->declare(s->dm, variable.id);
	for (size_t i = 0; status == 0 && i < json_array_size(list); i++) {
		struct err *err = attempt(s);
		payload_release(&request->payload);
		if (s->ops->init_data(s->dm, &variable, json_array_get(list, i), err) < 0)
			status = raise_attempt(s, variable.at, blame);
		else
			status = eval_payload(s, &request->invoke->payload, blame,
			                      &request->payload);
		if (status == 0)
			json_push(request->all, request->payload.data
			                                ? json_incref(request->payload.data)
			                                : json_null());
	}
	json_decref(list);
	return status;
}

/* The children of <content> are the document itself; only an expression is evaluated. */
static int eval_document(struct session *s, struct request *request, const struct blame *blame)
{
	const struct chart_content *content = &request->invoke->payload.content;
	struct chart_payload others = request->invoke->payload;
	struct err *err = attempt(s);
	if (content->present && content->expr.text &&
	    s->ops->eval_string(s->dm, &content->expr, &request->document, err) < 0)
		return raise_attempt(s, content->expr.at, blame);
	others.content.present = false;
	return eval_payload(s, &others, blame, &request->payload);
}

static int eval_request(struct session *s, struct request *request)
{
	const struct chart_invoke *invoke = request->invoke;
	struct blame blame = {
		.invokeid = request->id,
		.is_advisory = invoke->dispatch.advisory != NULL,
	};
	int status = eval_id(s, request, &blame);
	if (status == 0)
		status = eval_value(s, &invoke->type, &blame, &request->type);
	if (status == 0)
		status = eval_value(s, &invoke->src, &blame, &request->src);
	if (status != 0)
		return status;
	request->is_scxml = chart_is_scxml_type(request->type);
	if (request->is_scxml)
		return eval_document(s, request, &blame);
	if (invoke->dispatch.each.text)
		return eval_each(s, request, &blame);
	return eval_payload(s, &invoke->payload, &blame, &request->payload);
}

static struct chart *cached_chart(const struct machine *machine, const struct chart *parent,
                                  uint32_t content_id)
{
	for (size_t i = 0; i < machine->content_charts.len; i++) {
		const struct content_chart *known = &machine->content_charts.at[i];
		if (known->parent == parent && known->content_id == content_id)
			return known->chart;
	}
	return NULL;
}

int child_chart_text(const char *text, const char *name, struct chart **ret, struct err *err)
{
	return chart_new(str_of(text), name, NULL, NULL, ret, err);
}

/* Compiled once per machine, however often it is invoked. */
int child_chart_inline(struct session *parent, const struct chart_content *content,
                       struct chart **ret, struct err *err)
{
	struct machine *machine = parent->machine;
	struct chart *chart = cached_chart(machine, parent->chart, content->id);
	if (!chart) {
		if (child_chart_text(content->text, parent->chart->file, &chart, err) < 0)
			return err->code;
		*vec_add(&machine->content_charts) = (struct content_chart){
			.parent = chart_ref(parent->chart),
			.content_id = content->id,
			.chart = chart,
		};
	}
	*ret = chart_ref(chart);
	return 0;
}

int child_chart_file(const struct machine *machine, const char *src, struct chart **ret,
                     struct err *err)
{
	const struct machine_env *env = machine->env;
	const char *path;
	if (chart_src_path(src, &path, err) < 0)
		return err->code;
	if (!env->child_chart)
		return err_set(err, ERR_ABSENT, "there is no chart '%s'", path);
	return env->child_chart(env->ctx, path, ret, err);
}

static int find_chart(struct session *s, const struct request *request, enum chart_source *source,
                      struct chart **ret, struct err *err)
{
	const struct chart_content *content = &request->invoke->payload.content;
	if (request->src && request->src[0] != '\0') {
		*source = SOURCE_FILE;
		return child_chart_file(s->machine, request->src, ret, err);
	}
	if (request->document) {
		*source = SOURCE_TEXT;
		return child_chart_text(request->document, s->chart->file, ret, err);
	}
	*source = SOURCE_INLINE;
	if (!content->present || !content->text)
		return err_set_id(err, ERR_INPUT, "graph.invoke_source",
		                  "this invoke names no chart: it needs src or <content>");
	return child_chart_inline(s, content, ret, err);
}

static size_t live_sessions(const struct machine *machine)
{
	size_t ret = 0;
	for (size_t i = 0; i < machine->sessions.len; i++)
		ret += !machine->sessions.at[i]->is_done;
	return ret;
}

static int new_child(struct session *s, const struct request *request, struct session **ret)
{
	struct machine *machine = s->machine;
	struct chart *chart = NULL;
	enum chart_source source = SOURCE_INLINE;
	struct err *err = attempt(s);
	if (live_sessions(machine) > LIMIT_CHILD_SESSIONS)
		return err_set_id(machine->err, ERR_LIMIT, "limit.child_sessions",
		                  "the run has more than %d child sessions", LIMIT_CHILD_SESSIONS);
	if (find_chart(s, request, &source, &chart, err) < 0)
		return err->code;
	int status = session_new(machine, chart, s, machine->session_count + 1, ret, err);
	chart_unref(chart);
	if (status < 0)
		return status;
	machine->session_count++;
	(*ret)->source = source;
	(*ret)->invokeid = mem_dup_str(request->id);
	if (source == SOURCE_FILE)
		(*ret)->source_text = mem_dup_str(request->src);
	else if (source == SOURCE_TEXT)
		(*ret)->source_text = mem_dup_str(request->document);
	return 0;
}

static int invoke_child(struct session *s, const struct request *request)
{
	struct session *child = NULL;
	struct blame blame = { .invokeid = request->id };
	int status = new_child(s, request, &child);
	if (status < 0 && s->machine->err->code != 0)
		return status;
	if (status < 0) {
		/* A chart that breaks a limit is as bad as one that is broken. */
		if (s->machine->attempt.code == ERR_LIMIT)
			s->machine->attempt.code = ERR_INPUT;
		return raise_attempt(s, request->invoke->at, &blame);
	}
	struct invocation *invocation = invocation_add(s, request->state, request->index);
	invocation->id = mem_dup_str(request->id);
	invocation->child = child;
	return session_start(child, request->payload.data);
}

static int invoke_action(struct session *s, const struct request *request)
{
	struct invocation *invocation = invocation_add(s, request->state, request->index);
	invocation->id = mem_dup_str(request->id);
	invocation->number = next_number(s->machine);
	int status = start_call(s, invocation, request->type, request->src, &request->payload,
	                        request->all);
	if (status == CONTENT_STOPPED)
		invocation_remove(s, (size_t)(invocation - s->invocations.at));
	return status;
}

/* The arguments of an advisory call were wrong: recorded, and the chart goes on. */
static int end_advisory(struct session *s, const struct request *request)
{
	struct invocation *invocation = invocation_add(s, request->state, request->index);
	invocation->id = mem_dup_str(request->id);
	invocation->number = next_number(s->machine);
	return complete_unseen(s, invocation);
}

static int invoke(struct session *s, int32_t state, uint32_t index)
{
	const struct chart_state *own = &s->chart->states[state];
	const struct chart_invoke *invoked = &own->invokes[index];
	struct request request = {
		.state = state,
		.index = index,
		.invoke = invoked,
		.id = invoked->id ? mem_dup_str(invoked->id)
		                  : mem_format("%s.%" PRIu64, own->id, ++s->invoke_count),
	};
	int status = eval_request(s, &request);
	if (status == 0)
		status = request.is_scxml ? invoke_child(s, &request) : invoke_action(s, &request);
	else if (status == CONTENT_STOPPED && invoked->dispatch.advisory)
		status = end_advisory(s, &request);
	request_release(&request);
	return status < 0 ? status : 0;
}

/* The states that were entered in this macrostep and not left again, in document order. */
int invoke_all(struct session *s)
{
	int status = 0;
	sort_states(&s->to_invoke_list);
	for (size_t i = 0; status == 0 && i < s->to_invoke_list.len; i++) {
		int32_t state = s->to_invoke_list.at[i];
		if (!bits_has(s->to_invoke, (size_t)state))
			continue;
		bits_clear(s->to_invoke, (size_t)state);
		size_t count = s->chart->states[state].invoke_count;
		for (size_t k = 0; status == 0 && k < count; k++)
			status = invoke(s, state, (uint32_t)k);
	}
	s->to_invoke_list.len = 0;
	return status;
}

static void cancel_call(struct session *s, const struct invocation *invocation)
{
	struct machine *machine = s->machine;
	struct call *call = call_find(machine, invocation->number);
	if (!call)
		return;
	size_t count = call->each ? call->each->next : 1;
	for (size_t i = 0; !call->is_inline && i < count; i++) {
		if (call->each && !json_is_null(json_array_get(call->each->results, i)))
			continue;
		struct effect *effect = effect_add(s, EFFECT_CANCEL, invocation->number);
		effect->state = s->chart->states[invocation->state].id;
		effect->id = arena_dup_str(machine->effects->arena, invocation->id);
		effect->element = (uint32_t)i;
		effect->elements = call->each ? (uint32_t)call->each->count : 0;
	}
	call_remove(machine, call);
}

static int cancel_child(struct session *child)
{
	child->is_cancelled = true;
	tell_now(child);
	child->iterations = 0;
	return child->is_done ? 0 : exit_interpreter(child, true);
}

/* cancelInvoke() for all of a state that is being left. */
int cancel_invokes(struct session *s, int32_t state)
{
	int status = 0;
	size_t i = 0;
	while (i < s->invocations.len && s->invocations.at[i].state < state)
		i++;
	while (status == 0 && i < s->invocations.len && s->invocations.at[i].state == state) {
		struct invocation *invocation = &s->invocations.at[i];
		if (invocation->child)
			status = cancel_child(invocation->child);
		else
			cancel_call(s, invocation);
		invocation_remove(s, i);
	}
	return status;
}

/* The child reached its end: done.invoke.<id> goes the way of its messages.  Takes over data. */
int return_done_event(struct session *child, json_t *data)
{
	struct session *parent = child->parent;
	for (size_t i = 0; i < parent->invocations.len; i++) {
		struct invocation *invocation = &parent->invocations.at[i];
		if (invocation->child == child) {
			invocation->child = NULL;
			invocation->is_ended = true;
		}
	}
	struct event event = {
		.type = EVENT_PLATFORM,
		.name = mem_format("done.invoke.%s", child->invokeid),
		.invokeid = mem_dup_str(child->invokeid),
		.data = data,
	};
	return enqueue_message(parent, &event);
}

static int update_location(struct session *s, const struct chart_expr *location, const char *name,
                           const json_t *data)
{
	const json_t *value = json_at(data, name);
	if (!value)
		return 0;
	struct err *err = attempt(s);
	if (s->ops->assign_json(s->dm, location, value, err) == 0)
		return 0;
	return raise_attempt(s, location->at, NULL);
}

/* Without content, what was sent from a location comes back to it (6.5.2). */
static int update_locations(struct session *s, const struct chart_payload *payload,
                            const json_t *data)
{
	int status = 0;
	for (size_t i = 0; status >= 0 && i < payload->name_count; i++)
		status = update_location(s, &payload->names[i], payload->names[i].text, data);
	for (size_t i = 0; status >= 0 && i < payload->param_count; i++) {
		const struct chart_param *param = &payload->params[i];
		if (param->is_location)
			status = update_location(s, &param->expr, param->name, data);
	}
	return status;
}

static int apply_finalize(struct session *s, const struct chart_invoke *invoke,
                          const struct event *event)
{
	if (!invoke->has_finalize)
		return 0;
	if (invoke->finalize.count > 0)
		return execute_content(s, &invoke->finalize);
	return update_locations(s, &invoke->payload, event->data);
}

/* A copy, field by field the same (6.4.1). */
static int forward(struct session *child, const struct event *event)
{
	struct event copy;
	event_copy(&copy, event);
	return enqueue_message(child, &copy);
}

int apply_finalize_and_forward(struct session *s, const struct event *event)
{
	int status = 0;
	for (size_t i = 0; status >= 0 && i < s->invocations.len; i++) {
		const struct invocation *invocation = &s->invocations.at[i];
		if (event->invokeid && strcmp(invocation->id, event->invokeid) == 0)
			status = apply_finalize(s, invocation->invoke, event);
		if (status >= 0 && invocation->invoke->is_autoforward && invocation->child)
			status = forward(invocation->child, event);
	}
	return status < 0 ? status : 0;
}
