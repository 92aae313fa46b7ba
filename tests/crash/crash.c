/* SPDX-License-Identifier: MIT */
/*
 * kill -9 and power cuts at every boundary (RELIABILITY.md T1, T2), and files whose
 * calls fail (T3).  Each
 * scenario is first run undisturbed, to count its boundaries: every write, sync,
 * rename, send and receive.  Then, for each of them: the same from the
 * beginning, ended right there; the same command again, undisturbed; and a look
 * at everything the run left behind.
 *
 *   crash [--faults] [--quick | --full | --long] [--jobs N] [--scenario NAME]
 *         [--mode before|after|half|power] [--seed N] [--at N]
 *
 * --faults: calls on files fail, with what --seed says: 0 EIO, 1 EIO from then on, 2 ENOSPC,
 * 3 ENOSPC from then on, 4 EINTR, 5 half a write.
 *
 * Prints TAP.  A trial that fails is printed with the options that repeat it.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "crash.h"

enum size { SIZE_QUICK, SIZE_FULL, SIZE_LONG };

struct options {
	bool is_faults;
	enum size size;
	int jobs;
	int mode;             /* -1: all that the size has */
	const char *scenario; /* NULL: all */
	long at;              /* 0: all */
	unsigned long seed;
};

/* Of one scenario; shared by the processes that work on it. */
struct tally {
	atomic_long next; /* the trial to take */
	atomic_long boundaries, runs, killed, cut, failed, bad, unsure, ms;
};

/* --- one trial -------------------------------------------------------------------------------- */

static void open_inside(struct trial *trial)
{
	char *why = inside_open(trial->world->inside);
	if (why)
		complain(trial, "the store cannot be opened: %s", why);
	free(why);
}

/* What was kept of the prepared world: files, and the ids that the command needs. */
struct kept {
	bool is_there;
	char *run, *task;
};

static void prepare(struct trial *trial, struct kept *kept)
{
	const struct scenario *scenario = trial->scenario;
	if (kept->is_there) {
		world_restore(trial->world);
		trial->run = mem_dup_str(kept->run);
		trial->task = mem_dup_str(kept->task);
		return;
	}
	world_reset(trial->world);
	if (!scenario->prepare)
		return;
	open_inside(trial);
	scenario->prepare(trial);
	inside_close(trial->world->inside);
	if (!scenario->is_kept)
		return;
	world_keep(trial->world);
	world_restore(trial->world);
	*kept = (struct kept){ true, mem_dup_str(trial->run), mem_dup_str(trial->task) };
}

static void trial_release(struct trial *trial)
{
	ending_release(&trial->first);
	ending_release(&trial->second);
	buf_release(&trial->complaints);
	json_decref(trial->accepted);
	free(trial->run);
	free(trial->task);
}

static void talk(void *arg, int port)
{
	struct trial *trial = arg;
	trial->scenario->talk(trial, port);
}

static void carry_out(struct trial *trial, const struct fault *fault, struct ending *ret)
{
	const char *args[TRIAL_ARGS];
	if (trial->scenario->talk) {
		world_serve(trial->world, fault, talk, trial, ret);
		return;
	}
	trial->scenario->command(trial, args);
	world_run(trial->world, args, fault, ret);
}

/* A command that was done already when it is given again may say so: a conflict. */
static void check_second(struct trial *trial)
{
	bool is_done_already = trial->second.code == 5 && trial->scenario->prepare;
	if (trial->second.code != 0 && !is_done_already)
		complain(trial, "the command given again ends with %d%s: %s", trial->second.code,
		         trial->second.is_late ? " (hangs)" : "", trial->second.errors);
}

/* A command that a file failed ends well, or says why; never by a signal. */
static void check_failed(struct trial *trial)
{
	const struct ending *first = &trial->first;
	bool says_why = strstr(first->errors, "gangway: ") || json_at(ending_last(first), "error");
	if (first->code < 0)
		complain(trial, "the command dies: %s", first->errors);
	else if (first->code > 0 && !says_why)
		complain(trial, "the command ends with %d and does not say why: %s", first->code,
		         first->errors);
	if (first->is_written_after)
		complain(trial, "a sync of the log failed and the process went on");
}

/* In this process: what is left to do, and what must hold then. */
static void look(struct trial *trial)
{
	char *why = inside_open(trial->world->inside);
	if (why) {
		complain(trial, "the store cannot be opened: %s", why);
		free(why);
		return;
	}
	if (trial->scenario->finish)
		trial->scenario->finish(trial);
	trial->scenario->check(trial);
	trial_check_all(trial);
	inside_close(trial->world->inside);
	if (!world_store_is_sound(trial->world))
		complain(trial, "the store's file is not sound");
}

static void tell(struct trial *trial)
{
	const struct fault *fault = trial->fault;
	struct buf text;
	if (trial->complaints.len == 0)
		return;
	buf_init(&text, 2 * 1024 * 1024);
	buf_printf(&text, "# --scenario %s --mode %s --at %ld --seed %lu\n%s",
	           trial->scenario->name, crash_mode_names[fault->mode], fault->at, fault->seed,
	           trial->complaints.bytes);
	fwrite(text.bytes, 1, text.len, stdout); /* in one piece: others print too */
	fflush(stdout);
	buf_release(&text);
}

/* at 0: undisturbed; returns how many boundaries there were then. */
static long one_trial(struct world *world, const struct scenario *scenario,
                      const struct fault *fault, struct kept *kept, struct tally *tally)
{
	struct trial trial = {
		.world = world, .scenario = scenario, .fault = fault, .accepted = json_object()
	};
	buf_init(&trial.complaints, 1024 * 1024);
	prepare(&trial, kept);
	carry_out(&trial, fault, &trial.first);
	if (trial.first.is_late)
		complain(&trial, "the command hangs");
	if (fault->at == 0 && (trial.first.code != 0 || trial.first.count == 0))
		complain(&trial, "undisturbed it ends with %d: %s", trial.first.code,
		         trial.first.errors);
	if (fault->mode == CRASH_ERROR)
		check_failed(&trial);
	carry_out(&trial, NULL, &trial.second);
	check_second(&trial);
	look(&trial);
	tell(&trial);
	long count = fault->mode == CRASH_ERROR ? trial.first.file_count : trial.first.count;
	if (fault->at > 0) {
		tally->runs++;
		tally->killed += trial.first.is_killed && fault->mode != CRASH_POWER;
		tally->cut += trial.first.is_killed && fault->mode == CRASH_POWER;
		tally->failed += fault->mode == CRASH_ERROR && trial.first.code > 0;
		tally->unsure += trial.unsure;
	}
	tally->bad += trial.complaints.len > 0;
	trial_release(&trial);
	return count;
}

/* --- which trials ----------------------------------------------------------------------------- */

/*
 * The trials of one boundary.  Before it is after the one before it, so that
 * each comes once; the other modes are drawn in turns, but in the long size.
 */
struct plan {
	int per_boundary, every; /* every: of how many boundaries one is taken */
};

static struct plan plan_of(const struct options *options, const struct scenario *scenario,
                           long count)
{
	enum { QUICK_TRIALS = 12, MODES = 6 };
	if (options->at > 0 || (options->mode >= 0 && options->size != SIZE_QUICK))
		return (struct plan){ 1, 1 };
	switch (options->size) {
	case SIZE_QUICK: return (struct plan){ 1, (int)(count / QUICK_TRIALS) + 1 };
	case SIZE_FULL: return (struct plan){ 2, scenario->full_every ? scenario->full_every : 1 };
	case SIZE_LONG: return (struct plan){ MODES, 1 };
	}
	abort();
}

/* The number-th trial; false: there are no more. */
static bool nth_fault(const struct options *options, const struct scenario *scenario, long count,
                      long number, struct fault *ret)
{
	struct plan plan = plan_of(options, scenario, count);
	long at = 1 + number / plan.per_boundary * plan.every + plan.every / 2;
	long variant = number % plan.per_boundary;
	*ret = (struct fault){ .at = at, .seed = (unsigned long)(at % 3 ? at : 0) };
	if (options->at > 0) {
		*ret = (struct fault){ .at = options->at, .seed = options->seed };
		ret->mode = options->mode >= 0 ? (enum crash_mode)options->mode : CRASH_BEFORE;
		return number == 0;
	}
	if (options->mode >= 0)
		ret->mode = (enum crash_mode)options->mode;
	else if (options->size == SIZE_QUICK)
		ret->mode = number % 3 == 1    ? CRASH_POWER
		            : number % 12 == 2 ? CRASH_HALF
		                               : CRASH_BEFORE;
	else if (options->size == SIZE_FULL)
		ret->mode = variant == 0 ? (at % 16 == 8    ? CRASH_HALF
		                            : at % 16 == 15 ? CRASH_AFTER
		                                            : CRASH_BEFORE)
		                         : CRASH_POWER;
	else
		ret->mode = variant < 3 ? (enum crash_mode)variant : CRASH_POWER;
	if (options->size == SIZE_LONG)
		ret->seed = variant < 4 ? 0 : (unsigned long)(2 * at + variant);
	return at <= count;
}

/* The same for files that fail: each boundary in all ways, or in turns. */
static bool nth_file_fault(const struct options *options, const struct scenario *scenario,
                           long count, long number, struct fault *ret)
{
	enum { WAYS = 6, QUICK_TRIALS = 8 };
	static const char *const errors[WAYS] = {
		"EIO", "EIO", "ENOSPC", "ENOSPC", "EINTR", "SHORT"
	};
	bool all_ways = options->size == SIZE_LONG ||
	                (options->size == SIZE_FULL && scenario->has_all_faults);
	long ways = all_ways ? WAYS : 1;
	long every = options->size == SIZE_QUICK                          ? count / QUICK_TRIALS + 1
	             : options->size == SIZE_FULL && scenario->is_shipped ? 4
	                                                                  : 1;
	long at = 1 + number / ways * every + every / 2;
	long way = number % WAYS;
	if (options->at > 0) {
		at = options->at;
		way = (long)(options->seed % WAYS);
	}
	*ret = (struct fault){ .mode = CRASH_ERROR, .at = at, .seed = (unsigned long)way };
	ret->error = errors[way];
	ret->is_sticky = way == 1 || way == 3;
	return options->at > 0 ? number == 0 : at <= count;
}

static bool nth_trial(const struct options *options, const struct scenario *scenario, long count,
                      long number, struct fault *ret)
{
	return options->is_faults ? nth_file_fault(options, scenario, count, number, ret)
	                          : nth_fault(options, scenario, count, number, ret);
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void run_scenario(struct world *world, const struct scenario *scenario,
                         const struct options *options, struct tally *tally)
{
	struct kept kept = { 0 };
	struct fault fault = { .mode = options->is_faults ? CRASH_ERROR : CRASH_BEFORE };
	int64_t began = now_ms();
	char *graphs = mem_format("%s/%s", world->root,
	                          scenario->is_shipped ? "graphs" : "tests/crash/graphs");
	world_configure(world, graphs, scenario->plugins);
	free(graphs);
	long count = one_trial(world, scenario, &fault, &kept, tally);
	tally->boundaries = count;
	while (count > 0 &&
	       nth_trial(options, scenario, count, atomic_fetch_add(&tally->next, 1), &fault))
		one_trial(world, scenario, &fault, &kept, tally);
	tally->ms += now_ms() - began;
	free(kept.run);
	free(kept.task);
}

/* --- all of them ------------------------------------------------------------------------------ */

static bool is_wanted(const struct options *options, const struct scenario *scenario)
{
	return !options->scenario || strcmp(options->scenario, scenario->name) == 0;
}

/* A process of its own, with a world of its own. */
static int work(const struct options *options, struct tally *tallies)
{
	struct world world;
	if (!world_open(&world)) {
		world_close(&world);
		return 77;
	}
	for (size_t i = 0; scenarios[i]; i++)
		if (is_wanted(options, scenarios[i]))
			run_scenario(&world, scenarios[i], options, &tallies[i]);
	world_close(&world);
	return 0;
}

/* The worst that a worker ended with. */
static int work_side_by_side(const struct options *options, struct tally *tallies)
{
	int worst = 0;
	for (int i = 0; i < options->jobs; i++) {
		pid_t pid = fork();
		if (pid < 0)
			abort();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGTERM);
			exit(work(options, tallies));
		}
	}
	int status;
	while (wait(&status) > 0) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		worst = code > worst ? code : worst;
	}
	return worst;
}

static int report(const struct options *options, struct tally *tallies, int worst)
{
	long boundaries = 0, runs = 0, killed = 0, cut = 0, bad = 0;
	int number = 0;
	for (size_t i = 0; scenarios[i]; i++) {
		struct tally *t = &tallies[i];
		if (!is_wanted(options, scenarios[i]))
			continue;
		printf("%s %d - %s: %ld boundaries, %ld runs, %ld killed, %ld power cuts, %ld "
		       "stopped by a failure, %ld unsure calls, %ld bad, %ld s\n",
		       t->bad || t->boundaries == 0 ? "not ok" : "ok", ++number, scenarios[i]->name,
		       (long)t->boundaries, (long)t->runs, (long)t->killed, (long)t->cut,
		       (long)t->failed, (long)t->unsure, (long)t->bad, (long)t->ms / 1000);
		boundaries += t->boundaries;
		runs += t->runs;
		killed += t->killed;
		cut += t->cut;
		bad += t->bad + (t->boundaries == 0);
	}
	if (worst != 0)
		printf("not ok %d - the workers end well (status %d)\n", ++number, worst);
	printf("# %ld boundaries, %ld runs, %ld killed, %ld power cuts, %ld bad\n1..%d\n",
	       boundaries, runs, killed, cut, bad, number);
	return bad > 0 || number == 0 || worst != 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: crash [--faults] [--quick | --full | --long] [--jobs N]\n"
	                "             [--scenario NAME] [--mode before|after|half|power]\n"
	                "             [--seed N] [--at N]\n");
	return 2;
}

static bool read_value(const char *name, const char *value, struct options *ret)
{
	if (strcmp(name, "--mode") == 0)
		for (int mode = 0; mode < CRASH_ERROR; mode++)
			if (strcmp(crash_mode_names[mode], value) == 0)
				ret->mode = mode;
	if (strcmp(name, "--scenario") == 0)
		ret->scenario = value;
	else if (strcmp(name, "--at") == 0)
		ret->at = strtol(value, NULL, 10);
	else if (strcmp(name, "--seed") == 0)
		ret->seed = strtoul(value, NULL, 10);
	else if (strcmp(name, "--jobs") == 0)
		ret->jobs = (int)strtol(value, NULL, 10);
	else
		return strcmp(name, "--mode") == 0 && ret->mode >= 0;
	return ret->jobs > 0;
}

static bool read_options(int argc, char **argv, struct options *ret)
{
	static const char *const sizes[] = { "--quick", "--full", "--long" };
	*ret = (struct options){ .size = SIZE_FULL, .mode = -1, .jobs = 1 };
	for (int i = 1; i < argc; i++) {
		bool is_size = strcmp(argv[i], "--faults") == 0;
		ret->is_faults = ret->is_faults || is_size;
		for (int size = 0; size < 3; size++)
			if (strcmp(argv[i], sizes[size]) == 0) {
				ret->size = (enum size)size;
				is_size = true;
			}
		if (is_size)
			continue;
		if (i + 1 == argc || !read_value(argv[i], argv[i + 1], ret))
			return false;
		i++;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options options;
	mem_install();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!read_options(argc, argv, &options))
		return usage();
	size_t count = 0;
	while (scenarios[count])
		count++;
	struct tally *tallies = mmap(NULL, count * sizeof(*tallies), PROT_READ | PROT_WRITE,
	                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tallies == MAP_FAILED)
		abort();
	int worst = work_side_by_side(&options, tallies);
	if (worst == 77) {
		printf("1..0 # SKIP the program, the sandbox or the shim is not there\n");
		return 77;
	}
	return report(&options, tallies, worst);
}
