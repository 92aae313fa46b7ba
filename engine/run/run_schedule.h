/* SPDX-License-Identifier: MIT */
/* Schedules; private to run/.  See run_schedule.c.  All of it on the first worker. */
#ifndef RUN_SCHEDULE_H
#define RUN_SCHEDULE_H

#include "run/run_commit.h"

struct schedules {
	json_t *by_name; /* {name: schedule}; a schedule in it never changes */
	json_t *firing;  /* {name: true}: starts are on their way to the record */
	struct loop_timer *timer;
};

/* When it is due next after a moment (-1: never); ERR_INPUT: cron or zone are wrong. */
int schedule_next(const json_t *schedule, int64_t after_ms, int64_t *ret,
                  struct err *err) ATTR_MUST_USE;
json_t *schedule_reply(const json_t *schedule); /* {"schedule","etag"}; new */
/* Swaps in the new table and has it written; the asker is told once it is durable. */
void schedules_submit(struct worker *worker, json_t *by_name_taken, json_t *reply_taken,
                      const struct asker *asker);
void schedules_arm(struct worker *worker);
/* Starts now, whatever the calendar says; or for every due time of a span, once each. */
void schedule_trigger(struct worker *worker, const json_t *request, const json_t *schedule,
                      const struct asker *asker);
void schedule_backfill(struct worker *worker, const json_t *request, const json_t *schedule,
                       const struct asker *asker);

#endif
