/* SPDX-License-Identifier: MIT */
/*
 * Runs of one graph through the engine without HTTP in front: how many per
 * second with so many in flight, at which CPU per run.  The store is a real
 * SQLite file, every commit durable.
 *
 *   engine_bench FOLDER GRAPH RUNS IN_FLIGHT STORE [INPUT_JSON]
 *
 * FOLDER holds graphs/ and rules/ (bench/ of the source tree).  $STUB_URL is
 * where the connection "stub" goes, $GANGWAY_PLUGIN_DIR where plugins are.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/plugin.h"
#include "run/engine.h"
#include "script/script.h"

struct bench {
	struct engine *engine;
	const char *graph;
	json_t *input;
	long runs, started, ended, failed;
	pthread_mutex_t lock;
	pthread_cond_t done;
};

static void ended(void *arg, const json_t *reply, bool is_last);

static void start_one(struct bench *bench)
{
	json_t *request = json_pack("{s:s,s:s,s:O,s:b}", "op", "run.start", "graph", bench->graph,
	                            "input", bench->input, "wait", 1);
	engine_request(bench->engine, request, ended, bench);
	json_decref(request);
}

static void ended(void *arg, const json_t *reply, bool is_last)
{
	struct bench *bench = arg;
	if (!is_last)
		return;
	pthread_mutex_lock(&bench->lock);
	bench->failed += strcmp(json_str(json_at(reply, "run"), "status", ""), "ended") != 0;
	bench->ended++;
	bool starts = bench->started < bench->runs;
	bench->started += starts;
	if (bench->ended == bench->runs)
		pthread_cond_signal(&bench->done);
	pthread_mutex_unlock(&bench->lock);
	if (starts)
		start_one(bench);
}

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	mem_install();
	if (argc < 6) {
		fprintf(stderr, "usage: engine_bench FOLDER GRAPH RUNS IN_FLIGHT STORE [INPUT]\n");
		return 2;
	}
	struct bench bench = { .graph = argv[2], .runs = strtol(argv[3], NULL, 10) };
	struct err err = { 0 };
	long in_flight = strtol(argv[4], NULL, 10);
	bench.input = argc > 6 ? json_loads(argv[6], 0, NULL) : json_object();
	char *graphs = mem_format("%s/graphs", argv[1]), *rules = mem_format("%s/rules", argv[1]);
	json_t *connections = getenv("STUB_URL") ? json_pack("{s:{s:s,s:s,s:b,s:i}}", "stub", "url",
	                                                     getenv("STUB_URL"), "plugin", "http",
	                                                     "private", 1, "concurrency", 256)
	                                         : json_object();
	struct plugins *plugins = plugins_new();
	json_t *findings = json_array();
	if (getenv("GANGWAY_PLUGIN_DIR") &&
	    plugins_load_folder(plugins, getenv("GANGWAY_PLUGIN_DIR"), findings, &err) < 0) {
		fprintf(stderr, "engine_bench: %s\n", err.text);
		return 1;
	}
	if (json_array_size(findings) > 0)
		json_dumpf(findings, stderr, 0);
	json_decref(findings);
	struct engine_options options = {
		.store_path = argv[5],
		.graphs = graphs,
		.rules = rules,
		.connections = connections,
		.version = "bench",
		.clock = clock_system(),
		.plugins = plugins,
		.scripting = &script_ops,
	};
	pthread_mutex_init(&bench.lock, NULL);
	pthread_cond_init(&bench.done, NULL);
	if (engine_open(&options, &bench.engine, &err) < 0) {
		fprintf(stderr, "engine_bench: %s\n", err.text);
		return 1;
	}
	double cpu = cpu_seconds();
	int64_t from = clock_monotonic_ns(&options.clock);
	bench.started = in_flight < bench.runs ? in_flight : bench.runs;
	for (long i = 0, n = bench.started; i < n; i++)
		start_one(&bench);
	pthread_mutex_lock(&bench.lock);
	while (bench.ended < bench.runs)
		pthread_cond_wait(&bench.done, &bench.lock);
	pthread_mutex_unlock(&bench.lock);
	double seconds = (double)(clock_monotonic_ns(&options.clock) - from) / 1e9;
	cpu = cpu_seconds() - cpu;
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"graph\":\"%s\",\"runs\":%ld,\"failed\":%ld,\"in_flight\":%ld,"
	       "\"runs_per_s\":%.0f,\"cpu_us_per_run\":%.1f,\"rss_mib\":%.1f}\n",
	       bench.graph, bench.runs, bench.failed, in_flight, (double)bench.runs / seconds,
	       cpu * 1e6 / (double)bench.runs, (double)usage.ru_maxrss / 1024);
	engine_close(bench.engine);
	plugins_free(plugins);
	json_decref(connections);
	json_decref(bench.input);
	free(graphs);
	free(rules);
	return bench.failed != 0;
}
