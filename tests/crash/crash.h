/* SPDX-License-Identifier: MIT */
/* One trial of the crash test: a scenario, ended at one boundary, carried on, and looked at. */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include "base/attr.h"
#include "base/buf.h"
#include "world.h"

enum { TRIAL_ARGS = 16 };

struct trial {
	struct world *world;
	const struct scenario *scenario;
	long at;
	enum crash_mode mode;
	char *run;             /* id of the run it is about; NULL: not known yet */
	char *task;            /* of the task it is about */
	struct ending first;   /* of the disturbed command */
	struct ending second;  /* of the same command again */
	struct buf complaints; /* empty: all is well */
	int unsure;            /* tasks of calls that nobody can know of */
};

struct scenario {
	const char *name;
	bool is_shipped;                      /* works on graphs/, else on tests/crash/graphs */
	void (*prepare)(struct trial *trial); /* undisturbed, before; may be NULL */
	/* What is disturbed, and given again. */
	void (*command)(struct trial *trial, const char **args);
	void (*finish)(struct trial *trial); /* undisturbed, after; may be NULL */
	void (*check)(struct trial *trial);  /* what only this scenario knows */
	int quick_runs;                      /* how many boundaries --quick samples */
};

extern const struct scenario *const scenarios[]; /* NULL-terminated */

void complain(struct trial *trial, const char *format, ...) ATTR_PRINTF(2, 3);
/* An undisturbed command that must end with this code; its last JSON value, new. */
json_t *trial_run(struct trial *trial, int code, const char *const *args);
/* One run's row by graph and correlation id; new, NULL when there is none. */
json_t *trial_find(struct trial *trial, const char *graph, const char *correlation_id);
/* After everything: every run, call, message, task and file must be right. */
void trial_check_all(struct trial *trial);

#endif
