/* SPDX-License-Identifier: MIT */
/*
 * HTTP calls through the whole chain - parameters against their schema, the
 * plugin, all stages of wire/, JSON both ways, the result against its schema -
 * beside a bare libcurl multi loop that does the same requests: calls per second
 * and CPU per call of both.
 *
 *   wire_bench URL PATH IN_FLIGHT CALLS
 *
 * $GANGWAY_PLUGIN_DIR is where plugins are.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "base/must.h"
#include "plugin/plugin.h"
#include "run/run_int.h"

struct bench {
	const char *url, *path;
	long in_flight, calls, started, ended, failed;
	struct loop *loop;
	struct wire *wire;
	struct wire_connection *connection;
	const struct plugin_action *action;
	json_t *params;
	struct plugin_call_hooks hooks;
};

static double cpu_us(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return ((double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* --- through the chain -------------------------------------------------------- */

static void start_call(struct bench *bench)
{
	struct err err = { 0 };
	struct plugin_call *call;
	struct plugin_call_options options = {
		.action = bench->action,
		.wire = bench->wire,
		.loop = bench->loop,
		.connection = bench->connection,
		.params = bench->params,
		.run_id = "bench",
		.correlation_id = "bench",
		.number = (uint64_t)bench->started++,
		.timeout_ms = -1,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.hooks = &bench->hooks,
	};
	must(plugin_call_new(&options, &call, &err) == 0);
	plugin_call_start(call);
	plugin_call_release(call, UINT32_MAX);
}

static void on_end(void *ctx, struct plugin_call *call, bool ok, json_t *value)
{
	struct bench *bench = ctx;
	bench->failed += !ok || !json_at(value, "body");
	json_decref(value);
	plugin_call_free(call);
	if (++bench->ended == bench->calls)
		run_loop_stop(bench->loop);
	else if (bench->started < bench->calls)
		start_call(bench);
}

static void run_chain(struct bench *bench)
{
	for (long i = 0; i < bench->in_flight; i++)
		start_call(bench);
	run_loop_run(bench->loop);
}

/* --- bare ---------------------------------------------------------------------- */

static size_t swallow(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

static void run_bare(struct bench *bench)
{
	CURLM *multi = curl_multi_init();
	char *url = mem_format("%s%s", bench->url, bench->path);
	long started = 0, ended = 0;
	int running, left;
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, bench->in_flight);
	for (; started < bench->in_flight; started++) {
		CURL *easy = curl_easy_init();
		curl_easy_setopt(easy, CURLOPT_URL, url);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
		curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
		curl_multi_add_handle(multi, easy);
	}
	while (ended < bench->calls) {
		curl_multi_perform(multi, &running);
		for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
			CURL *easy = message->easy_handle;
			long code = 0;
			curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &code);
			bench->failed += message->data.result != CURLE_OK || code != 200;
			curl_multi_remove_handle(multi, easy);
			ended++;
			if (started < bench->calls) {
				started++;
				curl_multi_add_handle(multi, easy);
			} else {
				curl_easy_cleanup(easy);
			}
		}
		if (ended < bench->calls)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	curl_multi_cleanup(multi);
	free(url);
}

/* --- both ------------------------------------------------------------------------- */

struct figures {
	double calls_per_s, cpu_us;
};

static struct figures measure(struct bench *bench, void (*run)(struct bench *bench))
{
	double began = now_us(), cpu = cpu_us();
	run(bench);
	return (struct figures){ (double)bench->calls * 1e6 / (now_us() - began),
		                 (cpu_us() - cpu) / (double)bench->calls };
}

int main(int argc, char **argv)
{
	mem_install();
	if (argc < 5 || !getenv("GANGWAY_PLUGIN_DIR")) {
		fprintf(stderr, "usage: wire_bench URL PATH IN_FLIGHT CALLS\n");
		return 2;
	}
	struct bench bench = { .url = argv[1],
		               .path = argv[2],
		               .in_flight = strtol(argv[3], NULL, 10),
		               .calls = strtol(argv[4], NULL, 10) };
	struct err err = { 0 };
	struct plugins *plugins = plugins_new();
	json_t *findings = json_array();
	json_t *settings = json_pack("{s:s,s:s,s:b,s:i}", "url", bench.url, "plugin", "http",
	                             "private", 1, "concurrency", 256);
	if (plugins_load_folder(plugins, getenv("GANGWAY_PLUGIN_DIR"), findings, &err) < 0 ||
	    wire_connection_new("stub", settings, &bench.connection, &err) < 0) {
		fprintf(stderr, "wire_bench: %s\n", err.text);
		return 1;
	}
	bench.action = plugin_action_find(plugins_find(plugins, "http"), "get");
	must(bench.action);
	bench.params = json_pack("{s:s}", "path", bench.path);
	bench.hooks = (struct plugin_call_hooks){ .ctx = &bench, .on_end = on_end };
	bench.loop = run_loop_new(clock_system());
	bench.wire = wire_new(&(struct wire_options){ .loop = bench.loop });
	struct figures chain = measure(&bench, run_chain), bare = measure(&bench, run_bare);
	printf("{\"calls\":%ld,\"failed\":%ld,\"calls_per_s\":%.0f,\"cpu_us_per_call\":%.1f,"
	       "\"bare_calls_per_s\":%.0f,\"bare_cpu_us_per_call\":%.1f,\"ratio\":%.2f}\n",
	       bench.calls, bench.failed, chain.calls_per_s, chain.cpu_us, bare.calls_per_s,
	       bare.cpu_us, chain.cpu_us / bare.cpu_us);
	wire_free(bench.wire);
	run_loop_free(bench.loop);
	wire_connection_free(bench.connection);
	json_decref(bench.params);
	json_decref(settings);
	json_decref(findings);
	plugins_free(plugins);
	return bench.failed != 0;
}
