/* SPDX-License-Identifier: MIT */
/*
 * <send> and <cancel> (SCXML 6.2, 6.3, C.1, C.2).
 *
 * A message is evaluated completely when it is sent, whatever its delay.  One
 * without delay for a session of this machine goes to the machine's queue (or,
 * "#_internal", to the session's own); what leaves the machine is an effect,
 * checked first.  A delayed one waits in machine->delayed and finds its target
 * when it is due.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "machine/http_event.h"
#include "machine/machine_int.h"

void message_release(struct message *message)
{
	free(message->name);
	free(message->target);
	free(message->type);
	free(message->sendid);
	free(message->raw);
	json_decref(message->data);
	json_decref(message->renders);
	json_decref(message->dispatch_json);
	*message = (struct message){ 0 };
}

/* An id for a send whose author gave none, where somebody wants one. */
static void need_sendid(struct session *s, struct message *message)
{
	if (!message->sendid)
		message->sendid = mem_format("%s.send.%" PRIu64, s->id, ++s->send_count);
}

/* error.execution or error.communication for what machine->attempt says. */
static int raise_send_error(struct session *s, struct message *message, struct chart_place at)
{
	need_sendid(s, message);
	struct blame blame = { .sendid = message->sendid };
	return raise_refusal(s, at, &blame);
}

static bool is_one_of(const char *type, const char *a, const char *b)
{
	return strcmp(type, a) == 0 || strcmp(type, b) == 0;
}

static enum message_kind kind_of(const char *type)
{
	if (!type || type[0] == '\0' || is_one_of(type, "scxml", SCXML_EVENT_TYPE) ||
	    chart_is_scxml_type(type))
		return MESSAGE_SCXML;
	if (is_one_of(type, "basichttp", HTTP_EVENT_TYPE))
		return MESSAGE_HTTP;
	return MESSAGE_PLUGIN;
}

static int eval_sendid(struct session *s, const struct chart_send *send, struct message *message)
{
	if (send->id) {
		message->sendid = mem_dup_str(send->id);
		message->is_named = true;
	}
	if (!send->idlocation.text)
		return 0;
	need_sendid(s, message);
	json_t *id = json_string(message->sendid);
	struct err *err = attempt(s);
	int status = s->ops->assign_json(s->dm, &send->idlocation, id, err);
	json_decref(id);
	struct blame blame = { .sendid = message->sendid };
	return status < 0 ? raise_attempt(s, send->idlocation.at, &blame) : 0;
}

static int eval_delay(struct session *s, const struct chart_send *send, struct message *message,
                      struct chart_place at, int64_t *ret_ms)
{
	struct blame blame = { .sendid = message->sendid };
	char *text = NULL;
	int status = eval_value(s, &send->delay, &blame, &text);
	*ret_ms = 0;
	if (status == 0 && text && text[0] != '\0') {
		struct err *err = attempt(s);
		if (chart_parse_delay(text, ret_ms, err) < 0)
			status = raise_send_error(s, message, at);
	}
	free(text);
	return status;
}

static int eval_message(struct session *s, const struct chart_send *send, struct chart_place at,
                        struct message *ret, int64_t *ret_delay_ms)
{
	struct payload payload = { 0 };
	int status = eval_sendid(s, send, ret);
	struct blame blame = { .sendid = ret->sendid };
	if (status == 0)
		status = eval_value(s, &send->event, &blame, &ret->name);
	if (status == 0)
		status = eval_value(s, &send->target, &blame, &ret->target);
	if (status == 0)
		status = eval_value(s, &send->type, &blame, &ret->type);
	if (status == 0)
		status = eval_delay(s, send, ret, at, ret_delay_ms);
	if (status == 0)
		status = eval_payload(s, &send->payload, &blame, &payload);
	ret->kind = kind_of(ret->type);
	ret->data = payload.data;
	ret->renders = payload.renders;
	ret->raw = payload.raw;
	ret->dispatch = &send->dispatch;
	return status;
}

/* Where a message goes. */
struct route {
	bool is_internal, is_foreign;
	struct session *to; /* of this machine */
};

/* A child of ours, by the id of its invocation. */
static struct session *child_by_id(const struct session *s, const char *invokeid)
{
	for (size_t i = 0; i < s->invocations.len; i++) {
		const struct invocation *invocation = &s->invocations.at[i];
		if (invocation->child && strcmp(invocation->id, invokeid) == 0)
			return invocation->child;
	}
	return NULL;
}

/* ERR_INPUT: no target at all; ERR_SYSTEM: nobody there (C.1). */
static int find_target(struct session *s, const char *target, struct route *ret, struct err *err)
{
	*ret = (struct route){ 0 };
	if (!target || target[0] == '\0') {
		ret->to = s;
	} else if (strcmp(target, "#_internal") == 0) {
		ret->is_internal = true;
	} else if (strcmp(target, "#_parent") == 0) {
		ret->to = s->parent;
	} else if (str_begins(target, SESSION_TARGET)) {
		ret->to = session_by_id(s->machine, target + strlen(SESSION_TARGET));
		ret->is_foreign = !ret->to;
	} else if (str_begins(target, "#_")) {
		ret->to = child_by_id(s, target + 2);
	} else {
		return err_set_id(err, ERR_INPUT, "graph.send_target",
		                  "'%s' is no target of a send", target);
	}
	if (!ret->to && !ret->is_internal && !ret->is_foreign)
		return err_set_id(err, ERR_SYSTEM, "graph.send_unreachable",
		                  "there is no session '%s' here", target);
	return 0;
}

/* Of one of our sessions, when the URL is one that we gave out. */
static struct session *session_by_url(const struct machine *machine, const char *url)
{
	const char *location = machine->http_location;
	size_t len = location ? strlen(location) : 0;
	if (!location || strncmp(url, location, len) != 0 || url[len] != '/')
		return NULL;
	return session_by_id(machine, url + len + 1);
}

/* An event of ours for an SCXML session.  The parts are new. */
static struct event scxml_event(const struct session *s, const struct message *message,
                                bool is_internal)
{
	return (struct event){
		.type = is_internal ? EVENT_INTERNAL : EVENT_EXTERNAL,
		.name = mem_dup_str(message->name),
		.sendid = message->is_named ? mem_dup_str(message->sendid) : NULL,
		.origin = is_internal ? NULL : mem_dup_str(s->location),
		.origintype = is_internal ? NULL : mem_dup_str(SCXML_EVENT_TYPE),
		.raw = mem_dup_str(message->raw),
		.data = json_incref(message->data),
	};
}

/* The parent knows what its children say by their invokeid, and does not hear cancelled ones. */
static bool is_heard(const struct session *s, const struct session *to, struct event *event)
{
	if (to != s->parent)
		return true;
	if (s->is_cancelled)
		return false;
	event->invokeid = mem_dup_str(s->invokeid);
	return true;
}

/* At once, when its time has come; else behind what waits already. */
static int hand_over(struct session *s, struct session *to, struct event *event, bool is_due)
{
	int status = 0;
	if (!is_heard(s, to, event)) {
		event_release(event);
	} else if (is_due) {
		status = take_external(to, event);
		event_release(event);
	} else {
		status = enqueue_message(to, event);
	}
	return status;
}

/* Out of the machine: an effect whose failure comes back as a RESULT. */
static int leave_machine(struct session *s, struct message *message, enum effect_kind kind)
{
	struct arena *arena = s->machine->effects->arena;
	need_sendid(s, message);
	struct effect effect = {
		.kind = kind,
		.number = next_number(s->machine),
		.session = s->parent ? arena_dup_str(arena, s->id) : NULL,
		.id = arena_dup_str(arena, message->sendid),
		.type = arena_dup_str(arena, message->type ? message->type : SCXML_EVENT_TYPE),
		.action = arena_dup_str(arena, message->name),
		.target = arena_dup_str(arena, message->target),
		.data = json_incref(message->data),
		.renders = keep_json(s, json_incref(message->renders)),
		.dispatch = message->dispatch ? message->dispatch
		                              : dispatch_from_json(message->dispatch_json, arena),
	};
	int status = check_effect(s, &effect);
	keep_json(s, effect.data);
	if (status < 0)
		return status;
	if (count_call(s) < 0)
		return s->machine->err->code;
	*effect_add(s, kind, effect.number) = effect;
	call_add(s, effect.number, message->sendid)->is_send = true;
	return 0;
}

static int deliver_scxml(struct session *s, struct message *message, bool is_due)
{
	struct route route;
	struct err *err = attempt(s);
	if (!message->name)
		return err_set_id(err, ERR_INPUT, "graph.send_event",
		                  "a send to a session needs the name of an event");
	if (find_target(s, message->target, &route, err) < 0)
		return err->code;
	if (route.is_foreign)
		return leave_machine(s, message, EFFECT_EVENT);
	struct event event = scxml_event(s, message, route.is_internal);
	if (route.is_internal)
		return raise_event(s, &event);
	return hand_over(s, route.to, &event, is_due);
}

/* A URL of ours takes the way over the encoder and the decoder, but no socket. */
static int deliver_http(struct session *s, struct message *message, bool is_due)
{
	struct err *err = attempt(s);
	if (!message->target || message->target[0] == '\0')
		return err_set_id(err, ERR_SYSTEM, "graph.send_target",
		                  "a send over HTTP needs a target");
	struct session *to = session_by_url(s->machine, message->target);
	if (!to)
		return leave_machine(s, message, EFFECT_HTTP_EVENT);
	struct buf body;
	struct event event = { 0 };
	buf_init(&body, LIMIT_JSON_BYTES);
	int status = http_event_encode(message->name, message->data, &body, err);
	if (status == 0)
		status = http_event_decode("POST", HTTP_EVENT_FORM, buf_str(&body), &event, err);
	buf_release(&body);
	return status < 0 ? status : hand_over(s, to, &event, is_due);
}

/*
 * 0; a negative code with the reason in machine->attempt is an error of the
 * send, one with the reason in machine->err is fatal.
 */
static int deliver(struct session *s, struct message *message, bool is_due)
{
	switch (message->kind) {
	case MESSAGE_SCXML: return deliver_scxml(s, message, is_due);
	case MESSAGE_HTTP: return deliver_http(s, message, is_due);
	case MESSAGE_PLUGIN: break;
	}
	if (!message->name) {
		struct err *err = attempt(s);
		return err_set_id(err, ERR_INPUT, "graph.send_event",
		                  "a send to '%s' needs event=, the name of an action",
		                  message->type);
	}
	return leave_machine(s, message, EFFECT_SEND);
}

static bool is_due_before(const struct delayed *a, int64_t due_ms, uint64_t number)
{
	return a->due_ms < due_ms || (a->due_ms == due_ms && a->number < number);
}

/* A new entry at its place. */
struct delayed *delayed_add(struct machine *machine, uint64_t number, int64_t due_ms)
{
	size_t at = machine->delayed.len;
	(void)vec_add(&machine->delayed);
	while (at > 0 && !is_due_before(&machine->delayed.at[at - 1], due_ms, number)) {
		machine->delayed.at[at] = machine->delayed.at[at - 1];
		at--;
	}
	machine->delayed.at[at] = (struct delayed){ .number = number, .due_ms = due_ms };
	return &machine->delayed.at[at];
}

static void delayed_remove(struct machine *machine, size_t at)
{
	memmove(&machine->delayed.at[at], &machine->delayed.at[at + 1],
	        (machine->delayed.len - 1 - at) * sizeof(machine->delayed.at[0]));
	machine->delayed.len--;
}

/* What can be said against the message now; who is there is seen when it is due. */
static int check_delayed(struct session *s, const struct message *message)
{
	struct err *err = attempt(s);
	const char *target = message->target;
	if (message->kind == MESSAGE_SCXML && !message->name)
		return err_set_id(err, ERR_INPUT, "graph.send_event",
		                  "a send to a session needs the name of an event");
	if (message->kind == MESSAGE_SCXML && target && strcmp(target, "#_internal") == 0)
		return err_set_id(err, ERR_INPUT, "graph.send_delay",
		                  "a send to #_internal cannot be delayed");
	if (message->kind == MESSAGE_SCXML && target && target[0] && !str_begins(target, "#_"))
		return err_set_id(err, ERR_INPUT, "graph.send_target",
		                  "'%s' is no target of a send", target);
	if (message->kind == MESSAGE_HTTP && (!target || !target[0]))
		return err_set_id(err, ERR_SYSTEM, "graph.send_target",
		                  "a send over HTTP needs a target");
	return 0;
}

/* An action that does not exist is an error now, not when the message is due. */
static int check_delayed_action(struct session *s, struct message *message, uint64_t number)
{
	struct effect effect = {
		.kind = EFFECT_SEND,
		.number = number,
		.session = s->parent ? s->id : NULL,
		.id = message->sendid,
		.type = message->type,
		.action = message->name,
		.data = json_incref(message->data),
		.dispatch = message->dispatch,
	};
	int status = check_effect(s, &effect);
	json_decref(effect.data);
	return status;
}

static int send_later(struct session *s, struct message *message, int64_t delay_ms)
{
	struct machine *machine = s->machine;
	uint64_t number = next_number(machine);
	int status = check_delayed(s, message);
	if (status == 0 && message->kind == MESSAGE_PLUGIN)
		status = check_delayed_action(s, message, number);
	if (status < 0)
		return status;
	if (machine->delayed.len >= LIMIT_QUEUE_EVENTS)
		return err_set_id(machine->err, ERR_LIMIT, "limit.queue_events",
		                  "more than %d delayed sends wait in the run", LIMIT_QUEUE_EVENTS);
	struct delayed *delayed = delayed_add(machine, number, machine->now_ms + delay_ms);
	delayed->session = s;
	delayed->message = *message;
	if (message->kind == MESSAGE_PLUGIN)
		delayed->message.dispatch_json = dispatch_to_json(message->dispatch);
	delayed->message.dispatch = NULL; /* the chart may be another when it is due */
	*message = (struct message){ 0 };
	struct effect *effect = effect_add(s, EFFECT_TIMER, number);
	effect->due_ms = delayed->due_ms;
	effect->id = arena_dup_str(machine->effects->arena, delayed->message.sendid);
	return 0;
}

int execute_send(struct session *s, const struct chart_send *send, struct chart_place at)
{
	struct message message = { 0 };
	int64_t delay_ms = 0;
	int status = eval_message(s, send, at, &message, &delay_ms);
	if (status == 0) {
		status = delay_ms > 0 ? send_later(s, &message, delay_ms)
		                      : deliver(s, &message, false);
		if (status < 0 && s->machine->err->code == 0)
			status = raise_send_error(s, &message, at);
	}
	message_release(&message);
	return status;
}

static void stop_delayed(struct session *s, const struct delayed *delayed, size_t at)
{
	struct effect *effect = effect_add(s, EFFECT_TIMER_STOP, delayed->number);
	effect->id = arena_dup_str(s->machine->effects->arena, delayed->message.sendid);
	message_release(&s->machine->delayed.at[at].message);
	delayed_remove(s->machine, at);
}

/* Only what this session sent itself can be cancelled (6.3). */
int execute_cancel(struct session *s, const struct chart_value *sendid)
{
	struct machine *machine = s->machine;
	char *id = NULL;
	int status = eval_value(s, sendid, NULL, &id);
	for (size_t i = machine->delayed.len; status == 0 && id && i-- > 0;) {
		struct delayed *delayed = &machine->delayed.at[i];
		if (delayed->session == s && delayed->message.sendid &&
		    strcmp(delayed->message.sendid, id) == 0)
			stop_delayed(s, delayed, i);
	}
	free(id);
	return status;
}

/* Delayed sends die with their session. */
void stop_delayed_of(struct session *s)
{
	struct machine *machine = s->machine;
	for (size_t i = machine->delayed.len; i-- > 0;) {
		if (machine->delayed.at[i].session == s)
			stop_delayed(s, &machine->delayed.at[i], i);
	}
}

/* INPUT_TIMER.  A number that is not armed any more is nobody's. */
int fire_delayed(struct machine *machine, uint64_t number)
{
	size_t at = 0;
	while (at < machine->delayed.len && machine->delayed.at[at].number != number)
		at++;
	if (at == machine->delayed.len)
		return 0;
	struct delayed delayed = machine->delayed.at[at];
	struct session *s = delayed.session;
	delayed_remove(machine, at);
	tell_now(s);
	int status = deliver(s, &delayed.message, true);
	if (status < 0 && machine->err->code == 0) {
		status = raise_send_error(s, &delayed.message, (struct chart_place){ 0 });
		if (status >= 0)
			status = wake(s);
	}
	message_release(&delayed.message);
	return status;
}
