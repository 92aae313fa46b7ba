/* SPDX-License-Identifier: MIT */
/* One trial of the crash test: a scenario, disturbed at one boundary, carried on, looked at. */
#ifndef TESTS_CRASH_H
#define TESTS_CRASH_H

#include "base/attr.h"
#include "base/buf.h"
#include "world.h"

enum { TRIAL_ARGS = 16 };

struct trial {
	struct world *world;
	const struct scenario *scenario;
	const struct fault *fault;
	char *run;             /* id of the run it is about; NULL: not known yet */
	char *task;            /* of the task it is about */
	struct ending first;   /* of the disturbed command */
	struct ending second;  /* of the same command again */
	json_t *accepted;      /* talks: run -> true, those that a 2xx named */
	int refused;           /* talks: requests that were not answered with 2xx */
	struct buf complaints; /* empty: all is well */
	int unsure;            /* tasks of calls that nobody can know of */
};

struct scenario {
	const char *name;
	bool is_shipped;     /* works on graphs/, else on tests/crash/graphs */
	const char *plugins; /* those it needs; NULL: all of them */
	/* Undisturbed, before; may be NULL.  Where nothing is left under way by it, the world it
	 * leaves is kept and brought back for each trial. */
	void (*prepare)(struct trial *trial);
	bool is_kept;
	int full_every;      /* in the full size one of so many boundaries; 0: each */
	bool has_all_faults; /* small enough for every way of every file to fail in the full size */
	/* What is disturbed, and given again: a command, or requests to a server. */
	void (*command)(struct trial *trial, const char **args);
	void (*talk)(struct trial *trial, int port);
	void (*finish)(struct trial *trial); /* in this process, after; may be NULL */
	void (*check)(struct trial *trial);  /* what only this scenario knows; in this process */
};

extern const struct scenario *const scenarios[]; /* NULL-terminated */

void complain(struct trial *trial, const char *format, ...) ATTR_PRINTF(2, 3);
/* Asks the engine in this process; a reply that is an error is a complaint.  The format makes the
 * request's JSON; new. */
json_t *trial_ask(struct trial *trial, const char *format, ...) ATTR_PRINTF(2, 3);
/* One run's row by graph and correlation id; new, NULL when there is none. */
json_t *trial_find(struct trial *trial, const char *graph, const char *correlation_id);
/* After everything: every run, call, message, task and file must be right. */
void trial_check_all(struct trial *trial);

/* --- what scenarios share (scenario_parts.c) -------------------------------------------------- */

void start_args(const char **args, const char *graph, const char *input,
                const char *correlation_id);
/* Starts a run in this process and waits; its id goes to trial->run, its first open task's to
 * trial->task. */
void start_inside(struct trial *trial, const char *graph, const char *input,
                  const char *correlation_id);
void approve_inside(struct trial *trial);
/* The same by the real program, ended at a boundary: another run left half way. */
void start_half_way(struct trial *trial, const char *graph, const char *input,
                    const char *correlation_id, long at);
/* The run's row must say this; want NULL: the member is not looked at. */
void check_row(struct trial *trial, const char *graph, const char *correlation_id,
               const char *status, const char *decision, const char *outcome);
void check_result(struct trial *trial, const char *graph, const char *correlation_id,
                  const char *want);
void check_tenant_count(struct trial *trial, size_t want);
void check_run_count(struct trial *trial, const char *graph, size_t want);

/* --- scenarios of their own files ------------------------------------------------------------- */

extern const struct scenario scenario_errand, scenario_recover, scenario_lost_power,
	scenario_family, scenario_task, scenario_hook, scenario_checkpoint;

#endif
