/* SPDX-License-Identifier: MIT */
/*
 * One input at a time: macrosteps and microsteps, the procedures of SCXML
 * appendix D.  The loops of the appendix that wait for events are turned inside
 * out: main_event_loop() returns where the appendix blocks, and machine_step()
 * goes on with the next input.
 *
 * The configuration is a sorted list and a bit set.  Within a microstep only
 * the bits follow each state that is left or entered, because that is what
 * content can see; the list is put right at the end of each half.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "base/must.h"
#include "machine/machine_int.h"

static const struct chart_state *state_of(const struct session *s, int32_t state)
{
	return &s->chart->states[state];
}

/* Takes over the event's parts, also when it fails. */
int raise_event(struct session *s, struct event *event)
{
	struct event_queue *queue = &s->internal;
	if (queue->len - queue->head >= LIMIT_QUEUE_EVENTS) {
		event_release(event);
		return err_set_id(s->machine->err, ERR_LIMIT, "limit.queue_events",
		                  "more than %d events wait in session '%s'", LIMIT_QUEUE_EVENTS,
		                  s->id);
	}
	*vec_add(queue) = *event;
	return 0;
}

static bool has_internal(const struct session *s)
{
	return s->internal.head < s->internal.len;
}

static struct event take_internal(struct session *s)
{
	struct event_queue *queue = &s->internal;
	struct event ret = queue->at[queue->head++];
	if (queue->head == queue->len)
		queue->head = queue->len = 0;
	return ret;
}

/* The external queues of all sessions are one, in the order of arrival.  Takes over the event. */
int enqueue_message(struct session *to, struct event *event)
{
	struct message_queue *queue = &to->machine->queue;
	if (queue->len - queue->head >= LIMIT_QUEUE_EVENTS) {
		event_release(event);
		return err_set_id(to->machine->err, ERR_LIMIT, "limit.queue_events",
		                  "more than %d events wait in the run", LIMIT_QUEUE_EVENTS);
	}
	if (queue->head > LIMIT_QUEUE_EVENTS) {
		queue->len -= queue->head;
		memmove(queue->at, queue->at + queue->head, queue->len * sizeof(queue->at[0]));
		queue->head = 0;
	}
	*vec_add(queue) = (struct queued){ to->serial, *event };
	return 0;
}

static bool is_error(const char *name)
{
	return strncmp(name, "error", 5) == 0 && (name[5] == '\0' || name[5] == '.');
}

/* Recorded and shown, but not heard by the chart.  Takes over json. */
void drop_event(struct session *s, const char *name, json_t *json)
{
	struct effect *effect = effect_add(s, EFFECT_DROPPED, next_number(s->machine));
	effect->label = arena_dup_str(s->machine->effects->arena, name);
	effect->data = keep_json(s, json);
}

/* An error that no transition takes: forgotten, but not silently; or the end of the step. */
static int drop_error(struct session *s, const struct event *event, bool may_block)
{
	if (!is_error(event->name))
		return 0;
	if (may_block && s->serial == 0 && s->chart->on_error_block) {
		const char *id = json_str(event->data, "error_code", "");
		const char *text = json_str(event->data, "message", NULL);
		return err_set_id(s->machine->err, ERR_BLOCKED,
		                  id[0] ? id : "graph.unhandled_error", "%s: %s", event->name,
		                  text ? text : "no transition takes this error");
	}
	drop_event(s, event->name, event_to_json(event));
	return 0;
}

/* Takes the exit set out of the configuration, children first. */
static int exit_states(struct session *s)
{
	compute_exit_set(s);
	for (size_t i = 0; i < s->exit_set.len; i++)
		record_history(s, s->exit_set.at[i]);
	for (size_t i = s->exit_set.len; i-- > 0;) {
		int32_t state = s->exit_set.at[i];
		const struct chart_state *own = state_of(s, state);
		bits_clear(s->to_invoke, (size_t)state);
		for (size_t k = 0; k < own->onexit_count; k++) {
			int status = execute_content(s, &own->onexit[k]);
			if (status < 0)
				return status;
		}
		int status = own->invoke_count > 0 ? cancel_invokes(s, state) : 0;
		if (status < 0)
			return status;
		bits_clear(s->active, (size_t)state);
		s->active_child[own->parent] = CHART_NONE;
	}
	if (s->exit_set.len > 0) {
		size_t to = 0;
		for (size_t i = 0; i < s->config.len; i++) {
			if (bits_has(s->active, (size_t)s->config.at[i]))
				s->config.at[to++] = s->config.at[i];
		}
		s->config.len = to;
	}
	return 0;
}

static void trace(const struct session *s, int32_t state, int32_t transition)
{
	const struct machine_env *env = s->machine->env;
	if (env->trace)
		env->trace(env->ctx, s->chart, state, transition);
}

static int execute_transition_content(struct session *s)
{
	for (size_t i = 0; i < s->enabled.len; i++) {
		trace(s, CHART_NONE, s->enabled.at[i].transition->index);
		int status = execute_content(s, &s->enabled.at[i].transition->block);
		if (status < 0)
			return status;
	}
	return 0;
}

static int raise_done_state(struct session *s, int32_t state, json_t *data)
{
	struct event event = {
		.type = EVENT_PLATFORM,
		.name = mem_format("done.state.%s", state_of(s, state)->id),
		.data = data,
	};
	return raise_event(s, &event);
}

static int enter_final(struct session *s, int32_t state)
{
	const struct chart_state *own = state_of(s, state);
	if (own->parent == 0) {
		s->is_running = false;
		return 0;
	}
	json_t *data = NULL;
	int status = eval_donedata(s, &own->donedata, &data);
	if (status < 0)
		return status;
	status = raise_done_state(s, own->parent, data);
	int32_t grandparent = state_of(s, own->parent)->parent;
	if (status == 0 && state_of(s, grandparent)->kind == STATE_PARALLEL &&
	    is_in_final_state(s, grandparent))
		status = raise_done_state(s, grandparent, NULL);
	return status;
}

static const struct chart_block *default_history_block(const struct session *s, int32_t parent)
{
	for (size_t i = 0; i < s->default_history_content.len; i++) {
		const struct default_history *noted = &s->default_history_content.at[i];
		if (noted->parent == parent)
			return &s->chart->transitions[noted->transition].block;
	}
	return NULL;
}

static int enter_state(struct session *s, int32_t state)
{
	const struct chart_state *own = state_of(s, state);
	const struct chart_block *history = default_history_block(s, state);
	int status = 0;
	bits_set(s->active, (size_t)state);
	s->active_child[own->parent] = state;
	trace(s, state, CHART_NONE);
	if (own->invoke_count > 0) {
		bits_set(s->to_invoke, (size_t)state);
		*vec_add(&s->to_invoke_list) = state;
	}
	if (s->chart->is_binding_late && !bits_has(s->entered, (size_t)state)) {
		bits_set(s->entered, (size_t)state);
		status = initialize_datamodel(s, state, NULL);
	}
	for (size_t k = 0; status >= 0 && k < own->onentry_count; k++)
		status = execute_content(s, &own->onentry[k]);
	if (status >= 0 && bits_has(s->default_entry, (size_t)state))
		status = execute_content(s, &s->chart->transitions[own->initial].block);
	bits_clear(s->default_entry, (size_t)state);
	if (status >= 0 && history)
		status = execute_content(s, history);
	if (status >= 0 && own->kind == STATE_FINAL)
		status = enter_final(s, state);
	return status < 0 ? status : 0;
}

/* Both are sorted; the merge goes from the end, in place. */
static void merge_entered(struct session *s)
{
	size_t i = s->config.len, k = s->entry_set.len, to = i + k;
	for (size_t n = 0; n < k; n++)
		(void)vec_add(&s->config);
	while (k > 0) {
		int32_t entered = s->entry_set.at[k - 1];
		if (i > 0 && s->config.at[i - 1] > entered) {
			s->config.at[--to] = s->config.at[--i];
		} else {
			s->config.at[--to] = entered;
			k--;
		}
	}
}

/*
 * What is active is not entered (3.13, "entry set").  The appendix adds the
 * ancestors of a history's states up to the history's parent, which may lie
 * above the domain of the transition.
 */
static void skip_active(struct session *s)
{
	size_t to = 0;
	for (size_t i = 0; i < s->entry_set.len; i++) {
		int32_t state = s->entry_set.at[i];
		if (bits_has(s->active, (size_t)state))
			bits_clear(s->default_entry, (size_t)state);
		else
			s->entry_set.at[to++] = state;
	}
	s->entry_set.len = to;
}

static int enter_states(struct session *s)
{
	int status = compute_entry_set(s);
	if (status < 0)
		return status;
	skip_active(s);
	for (size_t i = 0; i < s->entry_set.len; i++) {
		status = enter_state(s, s->entry_set.at[i]);
		if (status < 0)
			return status;
	}
	merge_entered(s);
	return 0;
}

static int microstep(struct session *s)
{
	int status = exit_states(s);
	if (status >= 0)
		status = execute_transition_content(s);
	return status < 0 ? status : enter_states(s);
}

/* The document's initial transition; nothing is active yet. */
int enter_initial(struct session *s)
{
	const struct chart_state *root = state_of(s, 0);
	s->enabled.len = 0;
	*vec_add(&s->enabled) = (struct enabled){ &s->chart->transitions[root->initial], 0 };
	int status = execute_transition_content(s);
	return status < 0 ? status : enter_states(s);
}

static int count_iteration(struct session *s)
{
	if (++s->iterations <= LIMIT_MICROSTEPS)
		return 0;
	return err_set_id(s->machine->err, ERR_BLOCKED, "graph.livelock",
	                  "graph '%s' did not come to rest within %d microsteps, near '%s'",
	                  s->chart->name, LIMIT_MICROSTEPS,
	                  s->config.len ? state_of(s, s->config.at[s->config.len - 1])->id : "");
}

/* Selects for an internal event, or drops it. */
static int take_internal_event(struct session *s)
{
	struct event event = take_internal(s);
	s->ops->set_event(s->dm, &event);
	int status = select_transitions(s, event.name);
	if (status == 0 && s->enabled.len == 0)
		status = drop_error(s, &event, true);
	event_release(&event);
	return status;
}

/* Eventless transitions and internal events, until there are none. */
static int macrostep(struct session *s)
{
	while (s->is_running) {
		int status = select_transitions(s, NULL);
		if (status == 0 && s->enabled.len == 0) {
			if (!has_internal(s))
				return 0;
			status = take_internal_event(s);
		}
		if (status == 0)
			status = count_iteration(s);
		if (status == 0 && s->enabled.len > 0)
			status = microstep(s);
		if (status < 0)
			return status;
	}
	return 0;
}

/* What content wrote must be data, or a restart could not keep it. */
static int check_data(struct session *s)
{
	struct err *err = attempt(s);
	if (s->ops->check(s->dm, err) == 0)
		return 0;
	int status = raise_attempt(s, (struct chart_place){ 0 }, NULL);
	return status < 0 ? status : 0;
}

/* Until the session is stable or ended: the appendix's loop up to its wait for an event. */
int main_event_loop(struct session *s)
{
	s->machine->has_moved |= s->serial == 0;
	do {
		int status = macrostep(s);
		if (status == 0)
			status = check_data(s);
		if (status == 0 && s->is_running && !has_internal(s)) {
			status = invoke_all(s);
			if (status == 0)
				status = check_data(s);
		}
		if (status < 0)
			return status;
	} while (s->is_running && has_internal(s));
	return s->is_running ? 0 : exit_interpreter(s, false);
}

/* What led the root to its next stable configuration; for the driver. */
void note_event(struct session *s, const char *name)
{
	if (s->serial != 0)
		return;
	free(s->machine->last_event);
	s->machine->last_event = mem_dup_str(name);
}

/* One external event of one session, to the next stable configuration. */
int take_external(struct session *s, const struct event *event)
{
	if (!s->is_running)
		return 0;
	note_event(s, event->name);
	s->iterations = 0;
	tell_now(s);
	s->ops->set_event(s->dm, event);
	int status = 0;
	if (s->invocations.len > 0)
		status = apply_finalize_and_forward(s, event);
	if (status >= 0)
		status = select_transitions(s, event->name);
	if (status == 0 && s->enabled.len == 0)
		status = drop_error(s, event, true);
	if (status == 0 && s->enabled.len > 0)
		status = microstep(s);
	return status < 0 ? status : main_event_loop(s);
}

/* Handles what was put into the internal queue from outside. */
int wake(struct session *s)
{
	if (!s->is_running)
		return 0;
	s->iterations = 0;
	tell_now(s);
	return main_event_loop(s);
}

static int exit_state_finally(struct session *s, int32_t state)
{
	const struct chart_state *own = state_of(s, state);
	for (size_t k = 0; k < own->onexit_count; k++) {
		int status = execute_content(s, &own->onexit[k]);
		if (status < 0)
			return status;
	}
	int status = own->invoke_count > 0 ? cancel_invokes(s, state) : 0;
	if (status < 0)
		return status;
	bits_clear(s->active, (size_t)state);
	if (own->kind != STATE_FINAL || own->parent != 0)
		return 0;
	s->has_final = true;
	return eval_donedata(s, &own->donedata, &s->done_data);
}

/*
 * Errors that are still in the queue had no chance to be handled.  A run must
 * not be reported as ended well over them; but cancelling always succeeds.
 */
static int drop_rest(struct session *s, bool is_cancelled)
{
	int status = 0;
	while (has_internal(s)) {
		struct event event = take_internal(s);
		if (status == 0)
			status = drop_error(s, &event, !is_cancelled);
		event_release(&event);
	}
	return status;
}

static void end_root(struct session *s)
{
	struct machine *machine = s->machine;
	struct message_queue *queue = &machine->queue;
	while (queue->head < queue->len)
		event_release(&queue->at[queue->head++].event);
	queue->head = queue->len = 0;
	struct effect *done = effect_add(s, EFFECT_DONE, next_number(machine));
	done->data = keep_json(s, s->done_data);
	s->done_data = NULL;
}

/*
 * The configuration list stays as it was: it says where the session ended.  The
 * session itself is removed by whoever made it run.
 */
int exit_interpreter(struct session *s, bool is_cancelled)
{
	s->is_running = false;
	for (size_t i = s->config.len; i-- > 0;) {
		int status = exit_state_finally(s, s->config.at[i]);
		if (status < 0)
			return status;
	}
	stop_delayed_of(s);
	drop_calls_of(s);
	int status = drop_rest(s, is_cancelled);
	if (status < 0)
		return status;
	s->is_done = true;
	if (s->serial == 0) {
		end_root(s);
		return 0;
	}
	json_t *data = s->done_data;
	s->done_data = NULL;
	if (!is_cancelled && s->has_final)
		return return_done_event(s, data);
	json_decref(data);
	return 0;
}

static int take_queued(struct machine *machine)
{
	struct message_queue *queue = &machine->queue;
	if (queue->head == queue->len)
		return 0;
	struct queued queued = queue->at[queue->head++];
	if (queue->head == queue->len)
		queue->head = queue->len = 0;
	struct session *to = session_find(machine, queued.to);
	int status = to ? take_external(to, &queued.event) : 0;
	event_release(&queued.event);
	return status;
}

static int take_input(struct machine *machine, const struct input *input)
{
	struct session *root = machine->sessions.at[0], *to = root;
	switch (input->kind) {
	case INPUT_START: machine->is_started = true; return session_start(root, input->data);
	case INPUT_EVENT:
		to = input->session ? session_by_id(machine, input->session) : root;
		return to ? take_external(to, &input->event) : 0;
	case INPUT_RESULT: return take_result(machine, input);
	case INPUT_TIMER: return fire_delayed(machine, input->number);
	case INPUT_QUEUED: return take_queued(machine);
	case INPUT_CANCEL:
		if (root->is_done)
			return 0;
		machine->is_started = machine->has_moved = true;
		tell_now(root);
		return exit_interpreter(root, true);
	}
	must_not_reach();
}

/* Children that ended are no longer asked by anybody. */
static void remove_ended(struct machine *machine)
{
	for (size_t i = machine->sessions.len; i-- > 1;) {
		if (machine->sessions.at[i]->is_done)
			session_remove(machine->sessions.at[i]);
	}
}

int machine_step(struct machine *machine, const struct input *input, const json_t *inline_answers,
                 json_t **inline_made, struct effects *effects, struct err *err)
{
	if (machine->is_spoiled)
		return err_set(err, ERR_BLOCKED, "the machine is spoiled by a step that failed");
	if (machine->is_started == (input->kind == INPUT_START) && input->kind != INPUT_CANCEL)
		return err_set(err, ERR_INPUT,
		               machine->is_started ? "the run has started already"
		                                   : "the run has not started yet");
	machine->effects = effects;
	machine->err = err;
	machine->answers = inline_answers;
	machine->answer_next = 0;
	machine->made = json_array();
	machine->inline_count = 0;
	if (input->at_ms > machine->now_ms)
		machine->now_ms = input->at_ms;
	int status = take_input(machine, input);
	if (status >= 0)
		status = answer_ready(machine);
	remove_ended(machine);
	machine->effects = NULL;
	machine->err = NULL;
	machine->ready.head = machine->ready.len = 0;
	if (status < 0) {
		machine->is_spoiled = true;
		json_decref(machine->made);
		machine->made = NULL;
		return status;
	}
	*inline_made = machine->made;
	machine->made = NULL;
	return 0;
}
