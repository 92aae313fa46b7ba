/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h on poll(2), for tests.  The clock is the system's plus an offset
 * that a test moves by hand: what is due in half a minute is due at once after
 * loop_poll_skip(), and nothing sleeps.
 */
#ifndef TESTS_LOOP_POLL_H
#define TESTS_LOOP_POLL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

struct loop_poll;

struct loop_poll *loop_poll_new(uint64_t seed);
void loop_poll_free(struct loop_poll *poll);
struct loop *loop_poll_loop(struct loop_poll *poll);
/* One round: waits at most max_ms of real time for whatever is due or ready first. */
void loop_poll_once(struct loop_poll *poll, int max_ms);
/* Until *flag is true; false when that took longer than 10 s of real time (a hang). */
bool loop_poll_until(struct loop_poll *poll, const bool *flag);
/* Until nothing is ready for a few rounds and no timer is due now. */
void loop_poll_settle(struct loop_poll *poll);
/* Moves the clock (wall and monotonic) forward. */
void loop_poll_skip(struct loop_poll *poll, int64_t ms);
/* Until the next timer; -1: there is none. */
int64_t loop_poll_next_ms(struct loop_poll *poll);
/* Timers and watches that are still there. */
int loop_poll_handles(const struct loop_poll *poll);
int loop_poll_timers(const struct loop_poll *poll);

#endif
