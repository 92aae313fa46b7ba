/* SPDX-License-Identifier: MIT */
/* Time as a parameter: nobody else asks the system for it. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "base/str.h"

struct clock {
	void *ctx;
	int64_t (*wall_ms)(void *ctx);      /* since the epoch, UTC; may jump */
	int64_t (*monotonic_ns)(void *ctx); /* never goes back */
};

struct clock clock_system(void);
/* A clock that stands still until it is set; *now_ms is the caller's. */
struct clock clock_fixed(int64_t *now_ms);
int64_t clock_wall_ms(const struct clock *clock);
int64_t clock_monotonic_ms(const struct clock *clock);
int64_t clock_monotonic_ns(const struct clock *clock);
/* So many milliseconds from now by the system's own monotonic clock: for waits of pthread. */
struct timespec clock_deadline(int64_t ms);
/* A condition whose timed waits take such a deadline. */
void clock_cond_init(pthread_cond_t *cond);

enum { CLOCK_ISO_BYTES = 64 };
/* "2026-11-21T05:22:52.123Z" (RFC 3339). */
void clock_iso(int64_t wall_ms, char ret[CLOCK_ISO_BYTES]);
/* "Tue, 13 Jan 2026 10:30:00 +0000" (RFC 5322). */
void clock_rfc5322(int64_t wall_ms, char ret[CLOCK_ISO_BYTES]);
/*
 * "2026-11-21" (midnight UTC) or a full RFC 3339 time to milliseconds; -1 when it is
 * neither.  Times before 1970 are negative, the last millisecond of 1969 is lost.
 */
int64_t clock_parse_iso(const char *text);

#endif
