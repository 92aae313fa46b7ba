/* SPDX-License-Identifier: MIT */
/*
 * kill -9 at every boundary (RELIABILITY.md T1).  Each scenario is first run
 * undisturbed, to count its boundaries: every write, sync, rename, send and
 * receive.  Then, for each of them: the same from the beginning, ended with
 * SIGKILL right there; the same command again, undisturbed; and a look at
 * everything the run left behind.
 *
 *   crash [--quick] [--mode before|after|half] [--scenario NAME] [--at N]
 *
 * Prints TAP.  A trial that fails is printed with the options that repeat it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "crash.h"

struct options {
	bool is_quick;
	int mode;             /* -1: before, and in turns after and half */
	const char *scenario; /* NULL: all */
	long at;              /* 0: all */
};

struct tally {
	long boundaries, runs, killed, bad, unsure;
};

static void trial_begin(struct trial *trial, struct world *world, const struct scenario *scenario,
                        long at, enum crash_mode mode)
{
	*trial = (struct trial){ .world = world, .scenario = scenario, .at = at, .mode = mode };
	buf_init(&trial->complaints, 1024 * 1024);
	char *own = mem_format("%s/%s", world->root,
	                       scenario->is_shipped ? "graphs" : "tests/crash/graphs");
	world_reset(world);
	world_graphs(world, own);
	free(own);
	if (scenario->prepare)
		scenario->prepare(trial);
}

static void trial_end(struct trial *trial)
{
	ending_release(&trial->first);
	ending_release(&trial->second);
	buf_release(&trial->complaints);
	free(trial->run);
	free(trial->task);
}

/* A command that was done already when it is given again may say so: a conflict. */
static void check_second(struct trial *trial)
{
	bool is_done_already = trial->second.code == 5 && trial->scenario->prepare;
	if (trial->second.code != 0 && !is_done_already)
		complain(trial, "the command given again ends with %d%s: %s", trial->second.code,
		         trial->second.is_late ? " (hangs)" : "", trial->second.errors);
}

static void one_trial(struct world *world, const struct scenario *scenario, long at,
                      enum crash_mode mode, struct tally *tally)
{
	struct trial trial;
	const char *args[TRIAL_ARGS];
	trial_begin(&trial, world, scenario, at, mode);
	scenario->command(&trial, args);
	world_run(world, args, at, mode, &trial.first, NULL);
	if (trial.first.is_late)
		complain(&trial, "the command hangs");
	world_run(world, args, 0, mode, &trial.second, NULL);
	check_second(&trial);
	if (scenario->finish)
		scenario->finish(&trial);
	scenario->check(&trial);
	trial_check_all(&trial);
	tally->runs++;
	tally->killed += trial.first.is_killed;
	tally->unsure += trial.unsure;
	if (trial.complaints.len > 0) {
		tally->bad++;
		printf("# --scenario %s --mode %s --at %ld\n%s", scenario->name,
		       crash_mode_names[mode], at, trial.complaints.bytes);
	}
	trial_end(&trial);
}

/* How many boundaries there are when nothing happens, and that all is well then. */
static long count_boundaries(struct world *world, const struct scenario *scenario,
                             struct tally *tally)
{
	struct trial trial;
	const char *args[TRIAL_ARGS];
	long count = 0;
	trial_begin(&trial, world, scenario, 0, CRASH_BEFORE);
	scenario->command(&trial, args);
	world_run(world, args, 0, CRASH_BEFORE, &trial.second, &count);
	check_second(&trial);
	if (scenario->finish)
		scenario->finish(&trial);
	scenario->check(&trial);
	trial_check_all(&trial);
	if (trial.complaints.len > 0 || count == 0) {
		tally->bad++;
		printf("# %s, undisturbed (%ld boundaries):\n%s", scenario->name, count,
		       trial.complaints.bytes ? trial.complaints.bytes : "");
	}
	trial_end(&trial);
	return count;
}

static void run_scenario(struct world *world, const struct scenario *scenario,
                         const struct options *options, struct tally *tally)
{
	long count = count_boundaries(world, scenario, tally);
	long step = options->is_quick ? count / scenario->quick_runs + 1 : 1;
	tally->boundaries = count;
	long first = options->is_quick ? 1 + step / 2 : 1;
	for (long at = options->at ? options->at : first; at <= count || options->at; at += step) {
		/* Before a boundary is after the one before it; the others are drawn in turns. */
		enum crash_mode mode = options->mode >= 0 ? (enum crash_mode)options->mode
		                                          : CRASH_BEFORE;
		one_trial(world, scenario, at, mode, tally);
		if (options->mode < 0 && !options->is_quick && at % 8 == 0)
			one_trial(world, scenario, at, at % 16 ? CRASH_AFTER : CRASH_HALF, tally);
		if (options->at)
			break;
	}
}

static int usage(void)
{
	fprintf(stderr,
	        "usage: crash [--quick] [--mode before|after|half] [--scenario NAME] [--at N]\n");
	return 2;
}

static bool read_options(int argc, char **argv, struct options *ret)
{
	*ret = (struct options){ .mode = -1 };
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--quick") == 0) {
			ret->is_quick = true;
			continue;
		}
		if (!value)
			return false;
		i++;
		if (strcmp(argv[i - 1], "--mode") == 0) {
			for (int mode = 0; mode < 3; mode++)
				if (strcmp(crash_mode_names[mode], value) == 0)
					ret->mode = mode;
		} else if (strcmp(argv[i - 1], "--scenario") == 0) {
			ret->scenario = value;
		} else if (strcmp(argv[i - 1], "--at") == 0) {
			ret->at = strtol(value, NULL, 10);
		} else {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options options;
	struct world world;
	struct tally all = { 0 };
	mem_install();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!read_options(argc, argv, &options))
		return usage();
	if (!world_open(&world)) {
		printf("1..0 # SKIP the program, the sandbox or the shim is not there\n");
		return 77;
	}
	int number = 0;
	for (const struct scenario *const *at = scenarios; *at; at++) {
		if (options.scenario && strcmp(options.scenario, (*at)->name) != 0)
			continue;
		struct tally tally = { 0 };
		time_t begin = time(NULL);
		run_scenario(&world, *at, &options, &tally);
		printf("%s %d - %s: %ld boundaries, %ld runs, %ld killed, %ld unsure calls, %ld "
		       "bad, %ld s\n",
		       tally.bad ? "not ok" : "ok", ++number, (*at)->name, tally.boundaries,
		       tally.runs, tally.killed, tally.unsure, tally.bad,
		       (long)(time(NULL) - begin));
		all.boundaries += tally.boundaries;
		all.runs += tally.runs;
		all.killed += tally.killed;
		all.bad += tally.bad;
	}
	world_close(&world);
	printf("# %ld boundaries, %ld runs, %ld killed, %ld bad\n1..%d\n", all.boundaries, all.runs,
	       all.killed, all.bad, number);
	return all.bad > 0 || number == 0;
}
