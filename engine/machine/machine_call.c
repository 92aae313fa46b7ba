/* SPDX-License-Identifier: MIT */
/*
 * Effects, and the calls that wait for an answer.
 *
 * What env decides (may this be dispatched?  what did the inline call give?)
 * goes into the step's answers, one [number, {...}] each, so that a replay with
 * these answers takes the same way without asking again: "refused" for a
 * dispatch that was turned down, "result" or "failure" for an inline call.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "machine/machine_int.h"

uint64_t next_number(struct machine *machine)
{
	return ++machine->number;
}

static void drop_json(void *arg)
{
	json_decref(arg);
}

static void drop_chart(void *arg)
{
	chart_unref(arg);
}

/* Takes over a value that lives as long as the effects. */
json_t *keep_json(struct session *s, json_t *taken)
{
	if (taken)
		arena_defer(s->machine->effects->arena, drop_json, taken);
	return taken;
}

/* The pointer is good until the next effect. */
struct effect *effect_add(struct session *s, enum effect_kind kind, uint64_t number)
{
	struct effects *effects = s->machine->effects;
	struct effect *ret = vec_add(effects);
	ret->kind = kind;
	ret->number = number;
	ret->session = arena_dup_str(effects->arena, s->id);
	/* What the effect points to in the chart of a child may outlive the child. */
	if (s->serial != 0)
		arena_defer(effects->arena, drop_chart, chart_ref(s->chart));
	return ret;
}

int count_call(struct session *s)
{
	if (++s->machine->call_count <= LIMIT_CALLS_PER_RUN)
		return 0;
	return err_set_id(s->machine->err, ERR_BLOCKED, "run.calls",
	                  "the run made more than %d calls", LIMIT_CALLS_PER_RUN);
}

static void note_answer(struct machine *machine, uint64_t number, const char *what, json_t *value)
{
	json_t *object = json_object(), *pair = json_array();
	json_put(object, what, value);
	json_push(pair, json_integer((json_int_t)number));
	json_push(pair, object);
	json_push(machine->made, pair);
}

/* The recorded answer, when it is the next one and has this number. */
static const json_t *recorded_answer(struct machine *machine, uint64_t number)
{
	const json_t *pair = json_array_get(machine->answers, machine->answer_next);
	const json_t *own = json_array_get(pair, 0);
	if (!own || json_integer_value(own) != (json_int_t)number)
		return NULL;
	return json_array_get(pair, 1);
}

static json_t *refusal(const struct err *err)
{
	json_t *ret = json_object();
	json_put_int(ret, "code", err->code);
	json_put_str(ret, "id", err->id);
	json_put(ret, "text", json_text(str_of(err->text)));
	json_put_str(ret, "hint", err->hint);
	return ret;
}

static bool is_refusal(int code)
{
	return code == ERR_INPUT || code == ERR_ABSENT || code == ERR_SYSTEM ||
	       code == ERR_CONFLICT || code == ERR_BUSY || code == ERR_LIMIT;
}

static int ask_env(struct session *s, struct effect *effect, struct err *err)
{
	const struct machine_env *env = s->machine->env;
	/* Nobody offers other sessions: then there are none. */
	if (effect->kind == EFFECT_EVENT && !env->check)
		return err_set(err, ERR_SYSTEM, "there is no session '%s'", effect->target);
	if (env->check && env->check(env->ctx, effect, err) < 0)
		return err->code;
	if (env->render && effect->renders && env->render(env->ctx, effect, s->dm, s->ops, err) < 0)
		return err->code;
	return 0;
}

/*
 * May the effect be dispatched, and are its templates rendered?  0; or a
 * negative code with the reason in machine->attempt, which is fatal unless it is
 * a refusal.
 */
int check_effect(struct session *s, struct effect *effect)
{
	struct machine *machine = s->machine;
	struct err *err = attempt(s);
	if (machine->answers) {
		const json_t *answer = recorded_answer(machine, effect->number);
		const json_t *refused = json_at(answer, "refused");
		if (refused) {
			machine->answer_next++;
			err_set_id(err, (int)json_int(refused, "code", ERR_INPUT),
			           json_str(refused, "id", ""), "%s",
			           json_str(refused, "text", ""));
			err_hint(err, "%s", json_str(refused, "hint", ""));
		} else if (machine->env->render && effect->renders) {
			/* What it gives is for the world only; the state does not know it. */
			(void)machine->env->render(machine->env->ctx, effect, s->dm, s->ops, err);
			err_clear(err);
		}
	} else {
		(void)ask_env(s, effect, err);
	}
	/* A session or a URL that nobody offers is an address nobody answers at (C.1, C.2). */
	bool is_message = effect->kind == EFFECT_EVENT || effect->kind == EFFECT_HTTP_EVENT;
	if (is_message && is_refusal(err->code))
		err->code = ERR_SYSTEM;
	if (err->code != 0 && is_refusal(err->code))
		note_answer(machine, effect->number, "refused", refusal(err));
	return err->code;
}

/* Numbers only grow, so the new one is the last. */
struct call *call_add(struct session *s, uint64_t number, const char *id)
{
	struct call *ret = vec_add(&s->machine->calls);
	ret->number = number;
	ret->session = s;
	ret->id = mem_dup_str(id);
	return ret;
}

struct call *call_find(const struct machine *machine, uint64_t number)
{
	size_t low = 0, high = machine->calls.len;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (machine->calls.at[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < machine->calls.len && machine->calls.at[low].number == number)
		return &machine->calls.at[low];
	return NULL;
}

static struct invocation *invocation_of(struct session *s, uint64_t number)
{
	for (size_t i = 0; i < s->invocations.len; i++) {
		if (s->invocations.at[i].number == number)
			return &s->invocations.at[i];
	}
	return NULL;
}

/*
 * A call is over.  Its answer is the external event done.invoke.<id>; its failure
 * the platform event <error>.<id>; an advisory call shows neither.  data is
 * borrowed, NULL is none.
 */
static int complete_call(struct machine *machine, struct call *call, const char *error,
                         json_t *data)
{
	struct session *s = call->session;
	bool is_done = !error || call->is_advisory;
	struct event event = {
		.type = EVENT_PLATFORM,
		.name = mem_format("%s.%s", is_done ? "done.invoke" : error, call->id),
		.invokeid = mem_dup_str(call->id),
		.data = call->is_advisory ? NULL : json_incref(data),
	};
	struct invocation *invocation = invocation_of(s, call->number);
	must(invocation);
	invocation->is_ended = true;
	call_remove(machine, call);
	if (!is_done) {
		note_event(s, event.name);
		return raise_event(s, &event) < 0 ? machine->err->code : wake(s);
	}
	int status = take_external(s, &event);
	event_release(&event);
	return status;
}

static void ready_add(struct machine *machine, uint64_t number, const struct effect *effect)
{
	*vec_add(&machine->ready) = (struct ready){
		.number = number,
		.is_complete = !effect,
		.effect = effect ? *effect : (struct effect){ 0 },
	};
}

/* An advisory call that never was: it ends like any other, right after the macrostep. */
int complete_unseen(struct session *s, const struct invocation *invocation)
{
	call_add(s, invocation->number, invocation->id)->is_advisory = true;
	ready_add(s->machine, invocation->number, NULL);
	return 0;
}

/* Fills everything of a call but its parameters. */
static void describe_call(struct session *s, const struct invocation *invocation, const char *type,
                          const char *action, struct effect *ret)
{
	struct arena *arena = s->machine->effects->arena;
	*ret = (struct effect){
		.kind = EFFECT_CALL,
		.number = invocation->number,
		.session = s->parent ? arena_dup_str(arena, s->id) : NULL,
		.state = s->chart->states[invocation->state].id,
		.id = arena_dup_str(arena, invocation->id),
		.type = arena_dup_str(arena, type),
		.action = arena_dup_str(arena, action),
		.dispatch = &invocation->invoke->dispatch,
	};
}

/* Out into the world, or onto the list of what is answered in this step. */
static void dispatch_call(struct session *s, const struct effect *effect, struct call *call)
{
	if (call->is_inline) {
		ready_add(s->machine, effect->number, effect);
		return;
	}
	struct effect *out = effect_add(s, EFFECT_CALL, effect->number);
	*out = *effect;
}

static int start_elements(struct session *s, struct effect *effect, struct call *call)
{
	struct each *each = call->each;
	size_t parallel = effect->dispatch->parallel > 0 ? (size_t)effect->dispatch->parallel : 1;
	while (each->next < each->count && each->open_count < parallel) {
		json_t *data = json_array_get(each->data, each->next);
		effect->element = (uint32_t)each->next;
		effect->elements = (uint32_t)each->count;
		effect->data = json_is_null(data) ? NULL : keep_json(s, json_incref(data));
		each->next++;
		each->open_count++;
		if (count_call(s) < 0)
			return s->machine->err->code;
		dispatch_call(s, effect, call);
	}
	return 0;
}

/* Turned down before anything left: error.execution.<id>, or error.communication.<id>. */
static int refuse_call(struct session *s, const struct invocation *invocation)
{
	struct blame blame = { .invokeid = invocation->id };
	if (is_refusal(s->machine->attempt.code) && invocation->invoke->dispatch.advisory)
		return complete_unseen(s, invocation);
	return raise_refusal(s, (struct chart_place){ 0 }, &blame);
}

/* All elements are checked and rendered before the first is started; nothing or all. */
static int check_elements(struct session *s, struct effect *effect, json_t *all)
{
	size_t count = json_array_size(all);
	effect->elements = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		json_t *data = json_array_get(all, i);
		effect->element = (uint32_t)i;
		effect->data = json_is_null(data) ? NULL : json_incref(data);
		int status = check_effect(s, effect);
		json_array_set_new(all, i, effect->data ? effect->data : json_null());
		if (status < 0)
			return status;
	}
	return 0;
}

void each_free(struct each *each)
{
	if (!each)
		return;
	json_decref(each->data);
	json_decref(each->renders);
	json_decref(each->results);
	free(each->type);
	free(each->action);
	free(each);
}

static json_t *nulls(size_t count)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < count; i++)
		json_push(ret, json_null());
	return ret;
}

static int start_each(struct session *s, const struct invocation *invocation, struct effect *effect,
                      json_t *all)
{
	const struct machine_env *env = s->machine->env;
	size_t count = json_array_size(all);
	if (check_elements(s, effect, all) < 0)
		return refuse_call(s, invocation);
	struct call *call = call_add(s, invocation->number, invocation->id);
	call->is_advisory = effect->dispatch->advisory != NULL;
	call->each = mem_alloc(sizeof(*call->each));
	*call->each = (struct each){
		.count = count,
		.type = mem_dup_str(effect->type),
		.action = mem_dup_str(effect->action),
		.data = json_incref(all),
		.renders = json_incref(effect->renders),
		.results = nulls(count),
	};
	if (count == 0) {
		ready_add(s->machine, invocation->number, NULL);
		return 0;
	}
	call->is_inline = env->is_inline && env->is_inline(env->ctx, effect);
	return start_elements(s, effect, call);
}

static int start_one(struct session *s, const struct invocation *invocation, struct effect *effect)
{
	const struct machine_env *env = s->machine->env;
	json_incref(effect->data);
	int status = check_effect(s, effect);
	keep_json(s, effect->data); /* render may have put another there */
	if (status < 0)
		return refuse_call(s, invocation);
	if (count_call(s) < 0)
		return s->machine->err->code;
	struct call *call = call_add(s, invocation->number, invocation->id);
	call->is_advisory = effect->dispatch->advisory != NULL;
	call->is_inline = env->is_inline && env->is_inline(env->ctx, effect);
	dispatch_call(s, effect, call);
	return 0;
}

/* all: the parameters of each element of gw:each, or NULL and then payload has the only ones. */
int start_call(struct session *s, const struct invocation *invocation, const char *type,
               const char *action, const struct payload *payload, json_t *all)
{
	struct effect effect;
	describe_call(s, invocation, type, action, &effect);
	effect.renders = keep_json(s, json_incref(payload->renders));
	if (all)
		return start_each(s, invocation, &effect, all);
	effect.data = payload->data;
	return start_one(s, invocation, &effect);
}

static json_t *element_result(bool is_ok, json_t *data, json_t *failure, int64_t took_ms)
{
	json_t *ret = json_object();
	json_put(ret, "ok", json_boolean(is_ok));
	json_put(ret, "data", json_incref(is_ok ? data : NULL));
	json_put(ret, "error", json_incref(is_ok ? NULL : failure));
	json_put_int(ret, "took_ms", took_ms);
	return ret;
}

/* The next element's call, made as the first ones were; type and action are evaluated no more. */
static int start_next_element(struct session *s, struct call *call)
{
	const struct invocation *invocation = invocation_of(s, call->number);
	struct effect effect;
	must(invocation);
	describe_call(s, invocation, call->each->type, call->each->action, &effect);
	effect.renders = keep_json(s, json_incref(call->each->renders));
	return start_elements(s, &effect, call);
}

/* Takes over result. */
static int take_element(struct machine *machine, struct call *call, uint32_t element,
                        json_t *result)
{
	struct each *each = call->each;
	if (element >= each->next || !json_is_null(json_array_get(each->results, element))) {
		json_decref(result);
		return 0; /* it was answered before */
	}
	json_array_set_new(each->results, element, result);
	each->open_count--;
	if (each->next < each->count)
		return start_next_element(call->session, call);
	if (each->open_count > 0)
		return 0;
	json_t *results = json_incref(each->results);
	int status = complete_call(machine, call, NULL, results);
	json_decref(results);
	return status;
}

/* Nothing left the house when the failure says so; otherwise it did, and failed. */
static const char *error_of(const json_t *failure)
{
	bool is_execution = strcmp(json_str(failure, "error_type", ""), "execution") == 0;
	return is_execution ? "error.execution" : "error.communication";
}

static int finish_send(struct machine *machine, struct call *call, const struct input *input)
{
	struct session *s = call->session;
	struct blame blame = { .sendid = call->id };
	int status = 0;
	if (!input->ok)
		note_event(s, error_of(input->failure));
	if (!input->ok)
		status = raise_failure(s, error_of(input->failure), &blame,
		                       json_incref(input->failure));
	call_remove(machine, call);
	return status < 0 || input->ok ? status : wake(s);
}

int take_result(struct machine *machine, const struct input *input)
{
	struct call *call = call_find(machine, input->number);
	if (!call)
		return 0; /* cancelled meanwhile */
	if (call->is_send)
		return finish_send(machine, call, input);
	if (call->each)
		return take_element(
			machine, call, input->element,
			element_result(input->ok, input->data, input->failure, input->took_ms));
	if (input->ok)
		return complete_call(machine, call, NULL, input->data);
	return complete_call(machine, call, error_of(input->failure), input->failure);
}

static int answer_from_record(struct machine *machine, const struct effect *effect,
                              struct machine_answer *ret)
{
	const json_t *answer = recorded_answer(machine, effect->number);
	if (!answer)
		return err_set_id(machine->err, ERR_BLOCKED, "run.replay",
		                  "the record has no answer for the inline call %llu ('%s')",
		                  (unsigned long long)effect->number, effect->id);
	machine->answer_next++;
	ret->failure = json_incref(json_at(answer, "failure"));
	ret->result = json_incref(json_at(answer, "result"));
	return 0;
}

static int answer_inline(struct machine *machine, struct call *call, const struct effect *effect,
                         struct machine_answer *ret)
{
	const struct machine_env *env = machine->env;
	struct session *s = call->session;
	int status;
	*ret = (struct machine_answer){ 0 };
	if (machine->answers)
		status = answer_from_record(machine, effect, ret);
	else
		status = env->answer(env->ctx, effect, s->dm, s->ops, ret, machine->err);
	if (status < 0)
		return status;
	if (ret->failure)
		note_answer(machine, effect->number, "failure", json_incref(ret->failure));
	else
		note_answer(machine, effect->number, "result",
		            ret->result ? json_incref(ret->result) : json_null());
	if (ret->result && json_is_null(ret->result)) {
		/* "No data" and null are one thing here, so that a replay sees the same. */
		json_decref(ret->result);
		ret->result = NULL;
	}
	return 0;
}

static int complete_ready(struct machine *machine, struct call *call, const struct ready *ready)
{
	if (ready->is_complete) {
		json_t *data = call->each ? json_incref(call->each->results) : NULL;
		int status = complete_call(machine, call, NULL, data);
		json_decref(data);
		return status;
	}
	struct machine_answer answer;
	int status = answer_inline(machine, call, &ready->effect, &answer);
	if (status < 0)
		return status;
	if (call->each)
		status = take_element(
			machine, call, ready->effect.element,
			element_result(!answer.failure, answer.result, answer.failure, 0));
	else
		status = complete_call(machine, call,
		                       answer.failure ? error_of(answer.failure) : NULL,
		                       answer.failure ? answer.failure : answer.result);
	json_decref(answer.result);
	json_decref(answer.failure);
	return status;
}

/* Answers what the macrosteps of this step asked of pure actions, in the order of asking. */
int answer_ready(struct machine *machine)
{
	while (machine->ready.head < machine->ready.len) {
		struct ready ready = machine->ready.at[machine->ready.head++];
		struct call *call = call_find(machine, ready.number);
		if (!call)
			continue; /* its state was left in the meantime */
		const struct each *each = call->each;
		bool is_last = !each || (each->next == each->count && each->open_count <= 1);
		if (is_last && ++machine->inline_count > LIMIT_INLINE_MACROSTEPS)
			return err_set_id(machine->err, ERR_BLOCKED, "graph.livelock",
			                  "more than %d answers of pure actions in one step",
			                  LIMIT_INLINE_MACROSTEPS);
		int status = complete_ready(machine, call, &ready);
		if (status < 0)
			return status;
	}
	return 0;
}
