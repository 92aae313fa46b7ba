/* SPDX-License-Identifier: MIT */
/*
 * Worlds by seed (sim.h).
 *
 *   sim [--from N] [--seeds N] [--repeat N]   N worlds from seed --from on; each
 *                                             --repeat'th is played twice
 *   sim --seed N [--verbose]                  that one, twice; its options
 *   sim --fresh                               from a seed nobody knows yet
 *
 * Prints TAP; a world in which something is wrong is told with its seed.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/must.h"
#include "plugin_dir.h"
#include "sim.h"

struct arguments {
	uint64_t from, seeds, repeat;
	bool is_single, is_verbose;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static struct plugins *load(const char *folder, const char *build)
{
	struct err err = { 0 };
	struct plugins *plugins = plugins_new();
	char *path = mem_format("%s/%s.so", folder, build);
	if (plugins_load(plugins, path, NULL, &err) < 0) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
	free(path);
	return plugins;
}

static bool read_arguments(int argc, char **argv, struct arguments *ret)
{
	*ret = (struct arguments){ .from = 1, .seeds = 150, .repeat = 50 };
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--verbose") == 0) {
			ret->is_verbose = true;
			continue;
		}
		if (strcmp(argv[i], "--fresh") == 0) {
			struct rand rand = rand_system();
			ret->from = rand_below(&rand, 1000000000) * 1000;
			continue;
		}
		if (!value)
			return false;
		uint64_t number = strtoull(value, NULL, 10);
		if (strcmp(argv[i], "--seed") == 0) {
			*ret = (struct arguments){ number, 1, 1, true, ret->is_verbose };
		} else if (strcmp(argv[i], "--from") == 0) {
			ret->from = number;
		} else if (strcmp(argv[i], "--seeds") == 0) {
			ret->seeds = number;
		} else if (strcmp(argv[i], "--repeat") == 0) {
			ret->repeat = number;
		} else {
			return false;
		}
		i++;
	}
	return true;
}

static void add(struct sim_result *sum, const struct sim_result *one)
{
	sum->virtual_ms += one->virtual_ms;
	sum->events += one->events;
	sum->records += one->records;
	sum->requests += one->requests;
	sum->lives += one->lives;
	sum->crashes += one->crashes;
	sum->runs += one->runs;
	sum->unsure += one->unsure;
	sum->blocked += one->blocked;
	sum->late += one->late;
}

static long play(struct sim_plan *plan, const struct arguments *arguments, struct sim_result *sum)
{
	long bad = 0;
	for (uint64_t i = 0; i < arguments->seeds; i++) {
		struct sim_result first, second;
		plan->seed = arguments->from + i;
		world_play(plan, &first);
		add(sum, &first);
		bool is_same = true;
		if (arguments->repeat > 0 && i % arguments->repeat == 0) {
			plan->is_verbose = false;
			world_play(plan, &second);
			plan->is_verbose = arguments->is_verbose;
			is_same = first.trace == second.trace && first.events == second.events;
			free(second.complaints);
		}
		if (!is_same || first.complaints) {
			bad++;
			printf("# sim --seed %llu%s\n%s", (unsigned long long)plan->seed,
			       is_same ? "" : " (is another world the second time)",
			       first.complaints ? first.complaints : "");
		}
		free(first.complaints);
	}
	return bad;
}

int main(int argc, char **argv)
{
	struct arguments arguments;
	char folder[] = "/tmp/gangway-sim.XXXXXX";
	mem_install();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!read_arguments(argc, argv, &arguments)) {
		fprintf(stderr, "usage: sim [--from N | --fresh] [--seeds N] [--repeat N] | "
		                "--seed N [--verbose]\n");
		return 2;
	}
	char *builds = plugin_dir("GANGWAY_SIM_DIR", ".libs");
	if (!builds || !mkdtemp(folder)) {
		printf("1..0 # SKIP no plugin for the simulator\n");
		return 77;
	}
	setenv("GANGWAY_SIM_SECRET", "not much of one", 1);
	struct sim_plan plan = { .is_verbose = arguments.is_verbose, .folder = folder };
	plan.builds[0] = load(builds, "far_1");
	plan.builds[1] = load(builds, "far_2");
	struct sim_result sum = { 0 };
	struct clock clock = clock_system();
	int64_t begun_ms = clock_monotonic_ms(&clock);
	if (arguments.is_single) {
		struct sim_options options;
		options_choose(&options, arguments.from);
		options_print(&options);
	}
	long bad = play(&plan, &arguments, &sum);
	int64_t took_ms = clock_monotonic_ms(&clock) - begun_ms + 1;
	printf("# %llu worlds from seed %llu in %lld ms, %lld times real time; %ld events, "
	       "%ld lives "
	       "(%ld ended by a crash), %ld runs, %ld records, %ld requests, %ld unsure, %ld "
	       "blocked, %ld late\n",
	       (unsigned long long)arguments.seeds, (unsigned long long)arguments.from,
	       (long long)took_ms, (long long)(sum.virtual_ms / took_ms), sum.events, sum.lives,
	       sum.crashes, sum.runs, sum.records, sum.requests, sum.unsure, sum.blocked, sum.late);
	printf("%s 1 - %ld of %llu worlds are wrong\n1..1\n", bad ? "not ok" : "ok", bad,
	       (unsigned long long)arguments.seeds);
	plugins_free(plan.builds[0]);
	plugins_free(plan.builds[1]);
	free(builds);
	(void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return bad > 0;
}
