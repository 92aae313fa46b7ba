/* SPDX-License-Identifier: MIT */
/*
 * A machine with a virtual clock and canned answers: what `graph exec`, `graph
 * test` and the simulator use.  In memory, deterministic, no network; timers
 * fire when nothing else is due.
 *
 * driver_run() tells one story from beginning to end.  Who wants to look or to
 * interfere on the way takes the steps by hand: driver_new(), driver_start(),
 * then driver_event(), driver_end_call() and driver_pass(), with driver_settle()
 * after each.
 */
#ifndef MACHINE_DRIVER_H
#define MACHINE_DRIVER_H

#include "machine/machine.h"

struct driver;

struct driver_options {
	const struct chart *chart;
	const struct machine_env *env; /* check, is_inline, answer ... */
	const json_t *input;           /* START's data, or NULL */
	/*
	 * For driver_run: [{"event":{"name","data"},"after":ms}] or NULL.  after counts from the
	 * event before it; without it the event comes when the chart is stable, before any timer.
	 */
	const json_t *script;
	/*
	 * {"plugin.action":[{"result":..}|{"error":..}]} or NULL; the last one repeats; missing:
	 * stays open.  "after":ms in an answer makes it wait; a string as error is its message.  A
	 * call with an id looks for "plugin.action#id" first; a type without action is "type".
	 */
	const json_t *answers;
	int64_t until_ms;   /* for driver_run: virtual, from the start; -1: no end */
	int64_t start_ms;   /* what the clock shows at the start, since the epoch */
	const char *run_id; /* NULL: "exec" */
	bool restarts;      /* save and restore after every step: tests */
	/*
	 * Called for each stable configuration with
	 * {"at_ms","event","configuration","atomic","final","data"}; borrowed; may be NULL.  event
	 * is the name of the external event that led there, null at the start; at_ms is 0 then.
	 */
	void (*on_stable)(void *ctx, const json_t *line);
	/* Each effect, as effect_to_json; may be NULL. */
	void (*on_effect)(void *ctx, const json_t *effect);
	/* Before the end of a call is taken, with the call's effect; a failure fails the step. */
	int (*on_result)(void *ctx, const json_t *effect, bool ok, const json_t *value,
	                 struct err *err);
	void *ctx;
};

/*
 * 0 when final or nothing more can happen; ERR_* when the machine failed at run time, ERR_LIMIT
 * (driver.endless) when it goes on without end: 10,000 steps while no time passes, or 100,000
 * after the last event of the script when there is no until_ms.
 */
int driver_run(const struct driver_options *options, bool *is_final, struct err *err) ATTR_MUST_USE;

/* options is borrowed and stays until driver_free. */
int driver_new(const struct driver_options *options, struct driver **ret,
               struct err *err) ATTR_MUST_USE;
void driver_free(struct driver *driver); /* NULL is fine */
/* After a failure of any of these the driver is good for looking at and for driver_free only. */
int driver_start(struct driver *driver, struct err *err) ATTR_MUST_USE;
/* Everything that needs no time: the machine's own messages, answers that are due. */
int driver_settle(struct driver *driver, struct err *err) ATTR_MUST_USE;
/* Lets ms pass: timers and delayed answers come in their order; settled at the end. */
int driver_pass(struct driver *driver, int64_t ms, struct err *err) ATTR_MUST_USE;
/* {"name","data"}, or the name alone. */
int driver_event(struct driver *driver, const json_t *event, struct err *err) ATTR_MUST_USE;
/* Ends an open call; value is borrowed, NULL is none. */
int driver_end_call(struct driver *driver, uint64_t number, uint32_t element, bool ok,
                    const json_t *value, struct err *err) ATTR_MUST_USE;
/* From the start through script until until_ms:
 * what driver_run does between driver_new and driver_free. */
int driver_go(struct driver *driver, struct err *err) ATTR_MUST_USE;
int driver_cancel(struct driver *driver, struct err *err) ATTR_MUST_USE;

/* Calls that have no end yet, with those whose answer is on its way: their effects,
 * each with "opened_ms"; borrowed. */
const json_t *driver_calls(const struct driver *driver);
/* When the next timer or answer is due; INT64_MAX: nothing is. */
int64_t driver_next_due(const struct driver *driver);
int64_t driver_now(const struct driver *driver); /* since the epoch */
const struct machine *driver_machine(const struct driver *driver);

#endif
