/* SPDX-License-Identifier: MIT */
/*
 * A machine: a chart with a configuration and data, pure.  It holds the root
 * session and every child session that <invoke> of SCXML started, their queues,
 * their pending delayed sends, and their open invocations; given the same
 * inputs it reaches the same state and asks for the same effects, byte for byte.
 * No clock, no file, no network: time comes with each input, and the checks the
 * Recommendation wants within the step go through struct machine_env.
 *
 * One call of machine_step() takes one input: it runs the macrosteps it causes,
 * the completions of inline (PURE) calls included, and stops when the sessions
 * are stable.  Messages between sessions of the machine, and a session's
 * undelayed sends to itself, wait in one first-in-first-out queue; while
 * machine_has_queued() the caller owes an INPUT_QUEUED step for each (its own
 * record: DESIGN.md 10, W2).
 *
 * A step that fails (ERR_BLOCKED, ERR_LIMIT) spoils the machine: free it and
 * rebuild it from snapshot and records.
 *
 * Source: SCXML appendix D; the functions bear its names.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "chart/chart.h"
#include "machine/datamodel.h"
#include "machine/effect.h"
#include "machine/event.h"

struct machine;

/* What an inline (PURE) call gave: exactly one of result and failure is set, both new. */
struct machine_answer {
	json_t *result;
	/* {error_type, error_code, http_status, message, resolution, owner, ...} */
	json_t *failure;
};

struct machine_env {
	void *ctx;
	/*
	 * May this be dispatched?  Asked for each CALL, SEND, EVENT and HTTP_EVENT, for each
	 * element of gw:each, and for a delayed send when it is sent; sees type, action, data and
	 * renders.  0: yes.  ERR_INPUT, ERR_ABSENT: nothing can be dispatched: error.execution.
	 * ERR_SYSTEM: dispatched but unreachable: error.communication (also for any refusal of
	 * an EVENT or HTTP_EVENT).  The err text becomes _event.data.message, the id error_code,
	 * the hint resolution.  NULL: everything may, but there are no foreign sessions.
	 */
	int (*check)(void *ctx, const struct effect *effect, struct err *err);
	/* Is this call PURE, so that it is answered inline?  NULL: none is. */
	bool (*is_inline)(void *ctx, const struct effect *effect);
	/*
	 * Answers it.  dm is the asking session's data model (templates render from it).
	 * ERR_BLOCKED: nothing can be decided, the step fails.
	 */
	int (*answer)(void *ctx, const struct effect *effect, struct datamodel *dm,
	              const struct datamodel_ops *ops, struct machine_answer *ret, struct err *err);
	/*
	 * Renders the gw:render parameters of a call or send into effect->data, from the data
	 * model: data is an object then, and changed in place.  A failure counts like one of check.
	 * NULL: none.
	 */
	int (*render)(void *ctx, struct effect *effect, struct datamodel *dm,
	              const struct datamodel_ops *ops, struct err *err);
	/* The chart that <invoke type="scxml"> names by src (relative, "file:" removed).
	 * *ret is referenced. */
	int (*child_chart)(void *ctx, const char *src, struct chart **ret, struct err *err);
	/* The data model of this name; NULL when there is none.  *factory goes to create. */
	const struct datamodel_ops *(*datamodel)(void *ctx, const char *name, void **factory);
	/*
	 * A transition is taken (state is CHART_NONE), or a state is entered (transition is
	 * CHART_NONE), in the order in which it happens, transient states included.  For coverage;
	 * may be NULL.
	 */
	void (*trace)(void *ctx, const struct chart *chart, int32_t state, int32_t transition);
};

struct machine_options {
	const struct chart *chart;     /* a reference is taken */
	const struct machine_env *env; /* outlives the machine */
	const char *run_id;            /* sessions are named after it: deterministic */
	uint64_t seed;
	const char *http_location; /* of the BasicHTTP event processor; NULL: none */
};

enum input_kind {
	INPUT_START = 1, /* data: the run's input members, or NULL */
	INPUT_EVENT,     /* event from outside; session NULL: the root's, else the session's id */
	INPUT_RESULT,    /* a CALL or SEND ended: number, element, ok, data or failure */
	INPUT_TIMER,     /* number */
	INPUT_QUEUED,    /* take the next message of the machine's own queue */
	INPUT_CANCEL     /* the run is cancelled: onexit handlers run, then EFFECT_DONE */
};

struct input {
	enum input_kind kind;
	int64_t at_ms;       /* wall clock; the machine never lets now() go back */
	uint64_t number;     /* RESULT, TIMER */
	uint32_t element;    /* RESULT of a gw:each */
	bool ok;             /* RESULT */
	json_t *data;        /* START, RESULT when ok (NULL: no data); borrowed */
	json_t *failure;     /* RESULT when not ok; borrowed */
	int64_t took_ms;     /* RESULT of a gw:each element */
	const char *session; /* EVENT */
	struct event event;  /* EVENT; borrowed */
};

/* Stable JSON of an input, as it stands in records; and back (*arena owns what ret points to). */
json_t *input_to_json(const struct input *input);
int input_from_json(const json_t *json, struct arena *arena, struct input *ret, struct err *err);

int machine_new(const struct machine_options *options, struct machine **ret,
                struct err *err) ATTR_MUST_USE;
void machine_free(struct machine *machine); /* NULL is fine */

/*
 * One input.  Effects are appended to effects.  inline_answers is NULL (env
 * answers) or, for replay, the array that machine_step returned in *inline_made
 * for the same input; then env->answer and env->check are not called (is_inline
 * and render are).  *inline_made is new: one [number, {"result"|"failure": ...}]
 * per inline call and one [number, {"refused": ...}] per dispatch that env
 * refused, in the order they happened; an empty array for none.
 * A RESULT, TIMER for a number that is not open (cancelled) is taken silently.
 * A RESULT's failure whose error_type is "execution" says that nothing was
 * dispatched: the event is error.execution then, otherwise error.communication.
 */
int machine_step(struct machine *machine, const struct input *input, const json_t *inline_answers,
                 json_t **inline_made, struct effects *effects, struct err *err) ATTR_MUST_USE;

/* Has the root session reached a final state, or been cancelled? */
bool machine_is_done(const struct machine *machine);
bool machine_has_queued(const struct machine *machine);
size_t machine_queue_length(const struct machine *machine);
/* The next due delayed send, INT64_MAX when none is armed. */
int64_t machine_next_due(const struct machine *machine, uint64_t *number);
/* Does the call still matter to the chart (its state has not been left)? */
bool machine_wants(const struct machine *machine, uint64_t number);
/* Would any transition of the root's current configuration take an event of this name?
 * (for people) */
bool machine_listens(const struct machine *machine, const char *event_name);

/* Active states of the root session in document order (atomic only, or all), ids; new array.
 * Once it is done: those in which it ended. */
json_t *machine_states(const struct machine *machine, bool atomic_only);
json_t *machine_data(const struct machine *machine); /* the root's data model snapshot; new */
const struct chart *machine_chart(const struct machine *machine);

/* State to JSON and back: everything a restart needs.  Stable bytes for equal states. */
json_t *machine_save(const struct machine *machine);
int machine_restore(const struct machine_options *options, const json_t *saved,
                    struct machine **ret, struct err *err) ATTR_MUST_USE;

#endif
