/* SPDX-License-Identifier: MIT */
/*
 * What the files of machine/ share.
 *
 * Two kinds of failure, throughout.  A negative code is fatal: the step fails,
 * machine->err says why.  An error of the author's is raised as an event where
 * it happens and is no failure any more; executable content answers
 * CONTENT_STOPPED after it, which ends the block and nothing else.
 *
 * Invariants between steps: every session is stable (empty internal queue,
 * nothing to invoke); config is sorted and agrees with active; the calls are
 * sorted by number, and each belongs to a session that lives.
 */
#ifndef MACHINE_INT_H
#define MACHINE_INT_H

#include "base/arena.h"
#include "base/bits.h"
#include "base/vec.h"
#include "machine/machine.h"

enum { CONTENT_STOPPED = 1 };

/* First in, first out; at[0 .. head) is used up. */
struct event_queue {
	struct event *at;
	size_t head, len, size;
};

/* A message that waits for a session of this machine. */
struct queued {
	uint32_t to; /* serial of the session */
	struct event event;
};

struct message_queue {
	struct queued *at;
	size_t head, len, size;
};

enum message_kind { MESSAGE_SCXML, MESSAGE_HTTP, MESSAGE_PLUGIN };

/* A <send>, evaluated.  Owns everything but dispatch, which is the chart's. */
struct message {
	enum message_kind kind;
	char *name, *target, *type, *sendid;
	bool is_named; /* the author gave the id: receivers see it */
	json_t *data, *renders;
	char *raw;
	const struct chart_dispatch *dispatch; /* NULL: dispatch_json has it */
	json_t *dispatch_json;
};

struct delayed {
	uint64_t number;
	int64_t due_ms;
	struct session *session;
	struct message message;
};

/* gw:each: what stands open of one call per element. */
struct each {
	size_t count, next; /* next: the first element that was not started */
	size_t open_count;
	char *type, *action; /* evaluated once */
	json_t *data;        /* array: the parameters of each element (null: none) */
	json_t *renders;     /* or NULL */
	json_t *results;     /* array: null while unanswered */
};

/* A CALL, SEND, HTTP_EVENT or EVENT that has no result yet. */
struct call {
	uint64_t number;
	struct session *session;
	bool is_send;
	bool is_advisory;
	bool is_inline;
	char *id; /* invokeid or sendid */
	struct each *each;
};

/* What waits, within a step, for the macrostep to end: an inline call, or a call that is over. */
struct ready {
	uint64_t number;
	bool is_complete;
	struct effect effect; /* of an inline call, in the step's arena */
};

struct invocation {
	int32_t state;
	uint32_t index; /* in the state's invokes */
	const struct chart_invoke *invoke;
	char *id;
	uint64_t number;       /* of the call; 0 for a child session */
	struct session *child; /* NULL: a call, or ended */
	bool is_ended;
};

/* Where the chart of a child session came from, to find it again after a restart. */
enum chart_source { SOURCE_ROOT, SOURCE_FILE, SOURCE_INLINE, SOURCE_TEXT };

struct history_value {
	int32_t history;
	int32_t *states;
	size_t count;
};

struct state_list {
	int32_t *at;
	size_t len, size;
};

struct enabled {
	const struct chart_transition *transition;
	int32_t domain; /* CHART_NONE: no target */
};

struct default_history {
	int32_t parent, transition;
};

struct session {
	struct machine *machine;
	uint32_t serial; /* 0: the root */
	char *id;
	char *location; /* "#_scxml_<id>" */
	const struct chart *chart;
	enum chart_source source;
	char *source_text; /* of FILE and TEXT */
	struct session *parent;
	char *invokeid;    /* at the parent */
	bool is_cancelled; /* the parent no longer hears it */
	bool is_running, is_done;

	const struct datamodel_ops *ops;
	struct datamodel *dm;
	int64_t told_ms; /* what set_now was last given */

	struct event_queue internal;
	struct state_list config;
	uint64_t *active;
	int32_t *active_child; /* of each active compound state */
	struct {
		struct history_value *at;
		size_t len, size;
	} histories;         /* sorted by state */
	uint64_t *entered;   /* late binding: states whose data have their values */
	uint64_t *eventless; /* states that have an eventless transition, or an ancestor has */
	uint64_t *to_invoke;
	struct state_list to_invoke_list;
	struct {
		struct invocation *at;
		size_t len, size;
	} invocations;                     /* sorted by state, index */
	uint64_t invoke_count, send_count; /* for generated ids */

	/* Within a microstep. */
	uint32_t *visits; /* the stamp of the selection that asked the state last */
	uint32_t stamp;
	struct {
		struct enabled *at;
		size_t len, size;
	} enabled;
	struct state_list exit_set, entry_set, targets, covered_list;
	uint64_t *entering, *covered, *default_entry;
	struct {
		struct default_history *at;
		size_t len, size;
	} default_history_content;
	uint32_t iterations; /* of this macrostep */
	bool has_final;      /* a top-level final was left, while exiting */
	json_t *done_data;   /* its result */
};

struct content_chart {
	const struct chart *parent;
	uint32_t content_id;
	struct chart *chart;
};

struct machine {
	const struct chart *chart;
	const struct machine_env *env;
	char *run_id;
	uint64_t seed;
	char *http_location;
	bool is_started, is_spoiled;
	int64_t now_ms;
	uint64_t number;        /* of the last effect */
	uint64_t call_count;    /* calls and sends so far */
	uint32_t session_count; /* sessions so far */
	struct {
		struct session **at;
		size_t len, size;
	} sessions; /* sorted by serial; [0] is the root */
	struct message_queue queue;
	struct {
		struct delayed *at;
		size_t len, size;
	} delayed; /* sorted by due_ms, number */
	struct {
		struct call *at;
		size_t len, size;
	} calls; /* sorted by number */
	struct {
		struct content_chart *at;
		size_t len, size;
	} content_charts;

	/* Within a step. */
	struct effects *effects;
	struct err *err;
	struct err attempt; /* what the data model said last */
	const json_t *answers;
	size_t answer_next;
	json_t *made;
	struct {
		struct ready *at;
		size_t head, len, size;
	} ready;
	uint32_t inline_count;
	/* For the driver: has the root come to a stable configuration, and the external event
	 * that led it there. */
	bool has_moved;
	char *last_event;
};

/* Whose error it is: fields of the error event.  All may be blank. */
struct blame {
	const char *sendid;
	const char *invokeid; /* also the end of the event's name */
	bool is_advisory;     /* nobody is told: it is recorded only */
};

/* machine_session.c */
int session_new(struct machine *machine, const struct chart *chart, struct session *parent,
                uint32_t serial, struct session **ret, struct err *err);
void session_free(struct session *session);
int session_start(struct session *session, const json_t *input);
struct session *session_find(const struct machine *machine, uint32_t serial);
struct session *session_by_id(const struct machine *machine, const char *id);
void session_remove(struct session *session);
int initialize_datamodel(struct session *session, int32_t state, const json_t *values);
void tell_now(struct session *session);
void drop_calls_of(struct session *session);

/* machine_step.c */
int enter_initial(struct session *session);
int main_event_loop(struct session *session);
void note_event(struct session *s, const char *name);
int take_external(struct session *session, const struct event *event);
int wake(struct session *session);
int exit_interpreter(struct session *session, bool is_cancelled);
int raise_event(struct session *session, struct event *event_taken);
void drop_event(struct session *session, const char *name, json_t *json_taken);
int enqueue_message(struct session *to, struct event *event_taken);

/* machine_select.c */
int select_transitions(struct session *session, const char *event_name);
void compute_exit_set(struct session *session);
int compute_entry_set(struct session *session);
bool is_atomic(const struct chart_state *state);
bool is_in_final_state(const struct session *session, int32_t state);
bool name_match(const struct chart_transition *transition, const char *event_name);
const struct history_value *history_of(const struct session *session, int32_t history);
void record_history(struct session *session, int32_t state);
struct history_value *history_room(struct session *session, int32_t history);
void sort_states(struct state_list *list);
void active_range(const struct session *session, int32_t state, size_t *ret_begin, size_t *ret_end);

/* machine_content.c */
int execute_content(struct session *session, const struct chart_block *block);
int condition_match(struct session *session, const struct chart_expr *cond, bool *ret);
struct err *attempt(struct session *session);
int raise_attempt(struct session *session, struct chart_place at, const struct blame *blame);
int raise_refusal(struct session *session, struct chart_place at, const struct blame *blame);
int raise_failure(struct session *session, const char *error, const struct blame *blame,
                  json_t *data_taken);

/* machine_payload.c */
struct payload {
	json_t *data, *renders;
	char *raw;
};
int eval_payload(struct session *session, const struct chart_payload *payload,
                 const struct blame *blame, struct payload *ret);
int eval_donedata(struct session *session, const struct chart_donedata *donedata, json_t **ret);
void payload_release(struct payload *payload);
int eval_value(struct session *session, const struct chart_value *value, const struct blame *blame,
               char **ret);

/* machine_send.c */
int execute_send(struct session *session, const struct chart_send *send, struct chart_place at);
int execute_cancel(struct session *session, const struct chart_value *sendid);
int fire_delayed(struct machine *machine, uint64_t number);
void stop_delayed_of(struct session *session);
void message_release(struct message *message);
struct delayed *delayed_add(struct machine *machine, uint64_t number, int64_t due_ms);

/* machine_invoke.c */
int invoke_all(struct session *session);
int apply_finalize_and_forward(struct session *session, const struct event *event);
int cancel_invokes(struct session *session, int32_t state);
struct invocation *invocation_add(struct session *session, int32_t state, uint32_t index);
void invocation_release(struct invocation *invocation);
int child_chart_inline(struct session *parent, const struct chart_content *content,
                       struct chart **ret, struct err *err);
int child_chart_text(const char *text, const char *name, struct chart **ret, struct err *err);
int child_chart_file(const struct machine *machine, const char *src, struct chart **ret,
                     struct err *err);
int return_done_event(struct session *child, json_t *data_taken);

/* machine_call.c */
struct effect *effect_add(struct session *session, enum effect_kind kind, uint64_t number);
json_t *keep_json(struct session *session, json_t *taken);
uint64_t next_number(struct machine *machine);
int count_call(struct session *session);
int check_effect(struct session *session, struct effect *effect);
struct call *call_add(struct session *session, uint64_t number, const char *id);
struct call *call_find(const struct machine *machine, uint64_t number);
void call_remove(struct machine *machine, struct call *call);
int take_result(struct machine *machine, const struct input *input);
int complete_unseen(struct session *session, const struct invocation *invocation);
int answer_ready(struct machine *machine);
void each_free(struct each *each);
int start_call(struct session *session, const struct invocation *invocation, const char *type,
               const char *action, const struct payload *payload, json_t *all);

/* effect.c */
json_t *dispatch_to_json(const struct chart_dispatch *dispatch);
const struct chart_dispatch *dispatch_from_json(const json_t *json, struct arena *arena);

#endif
