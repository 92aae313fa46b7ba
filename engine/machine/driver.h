/* SPDX-License-Identifier: MIT */
/*
 * A machine with a virtual clock and canned answers: what `graph exec`, `graph
 * test` and the simulator use.  In memory, deterministic, no network; timers
 * fire when nothing else is due.
 */
#ifndef MACHINE_DRIVER_H
#define MACHINE_DRIVER_H

#include "machine/machine.h"

struct driver_options {
	const struct chart *chart;
	const struct machine_env *env;      /* check, is_inline, answer ... */
	const json_t *input;                /* START's data, or NULL */
	/*
	 * [{"event":{"name","data"},"after":ms}] or NULL.  after counts from the event before it;
	 * without it the event comes when the chart is stable, before any timer.
	 */
	const json_t *script;
	/*
	 * {"plugin.action":[{"result":..}|{"error":..}]} or NULL; the last one repeats; missing: stays
	 * open.  "after":ms in an answer makes it wait; a string as error is its message.
	 */
	const json_t *answers;
	int64_t until_ms;                   /* virtual; -1: no end */
	bool restarts;                      /* save and restore after every step: tests */
	/*
	 * Called for each stable configuration with
	 * {"at_ms","event","configuration","atomic","final","data"}; borrowed.  event is the name of
	 * the external event that led there, null at the start.
	 */
	void (*on_stable)(void *ctx, const json_t *line);
	/* Each effect, as effect_to_json; may be NULL. */
	void (*on_effect)(void *ctx, const json_t *effect);
	void *ctx;
};

/* 0 when final or nothing more can happen; ERR_* when the machine failed at run time. */
int driver_run(const struct driver_options *options, bool *is_final, struct err *err) ATTR_MUST_USE;

#endif
