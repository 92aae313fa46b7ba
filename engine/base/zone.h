/* SPDX-License-Identifier: MIT */
/*
 * Time zones and calendars: which offset holds when, and when a cron expression
 * is due next.  Zones come from the system's database (TZif, RFC 9636); the
 * process's own zone and environment play no part.
 *
 * A local time that does not exist (clocks go forward) is due at the moment the
 * clocks go forward; one that exists twice is due once, at its first.
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct zone;

/* "Europe/Berlin", "UTC".  ERR_INPUT when there is no such zone. */
int zone_open(const char *name, struct zone **ret, struct err *err) ATTR_MUST_USE;
/* A zone from a rule of POSIX alone: "CET-1CEST,M3.5.0,M10.5.0/3". */
int zone_rule(const char *rule, struct zone **ret, struct err *err) ATTR_MUST_USE;
void zone_free(struct zone *zone); /* NULL is fine */
/* Seconds east of UTC at a moment (seconds since the epoch). */
int64_t zone_offset(const struct zone *zone, int64_t utc_s);

/* Minutes, hours, days, months, weekdays that match; bit i is value i. */
struct cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;
	bool is_any_day, is_any_weekday; /* both given: either will do, as cron has it */
};

/*
 * Five fields ("0 6 * * 1-5"; lists, ranges, steps, names of months and days) or
 * @hourly, @daily, @weekly, @monthly, @yearly.  ERR_INPUT says which field.
 */
int cron_read(const char *text, struct cron *ret, struct err *err) ATTR_MUST_USE;
/* The first time it is due after a moment, in ms; -1: never (30 February). */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after_ms);

#endif
