/* SPDX-License-Identifier: MIT */
/*
 * A second interpreter of charts, deliberately naive: sets of booleans, loops
 * over all states, the procedures of SCXML appendix D line by line.  It knows
 * one session and what generated charts use (chart_gen.h).  What it does is told
 * in a trace: a line per log, dropped error and end.
 *
 * One thing is not the appendix's: within one selection a guard is evaluated
 * once, as in machine/, because the number of error events depends on it.
 */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include "base/buf.h"
#include "chart/chart.h"

struct reference;

struct reference *reference_new(const struct chart *chart);
void reference_free(struct reference *reference);
void reference_start(struct reference *reference);
void reference_event(struct reference *reference, const char *name);
/* The next of its own sends; false when there is none. */
bool reference_queued(struct reference *reference);
bool reference_is_done(const struct reference *reference);
bool reference_is_stuck(const struct reference *reference); /* a livelock: the trace ends */
bool reference_is_active(const struct reference *reference, int32_t state);
/* The trace since the last call; good until the next one. */
const char *reference_trace(struct reference *reference);

#endif
