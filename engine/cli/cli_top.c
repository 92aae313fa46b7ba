/* SPDX-License-Identifier: MIT */
/* gangway top: the figures of a running engine on a terminal, once a second. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_commands.h"

/* The sum over all samples that have this label (NULL: over all); histograms give their count. */
static double sum_of(const json_t *figures, const char *family, const char *label, const char *want)
{
	const json_t *samples = json_at(json_at(figures, family), "samples");
	double ret = 0;
	for (size_t i = 0; i < json_array_size(samples); i++) {
		const json_t *sample = json_array_get(samples, i);
		if (label && strcmp(json_str(json_at(sample, "labels"), label, ""), want) != 0)
			continue;
		ret += json_number_value(json_at(sample, "value")) +
		       json_number_value(json_at(sample, "count"));
	}
	return ret;
}

/* The mean of a histogram between two looks, in ms. */
static double mean_ms(const json_t *now, const json_t *before, const char *family)
{
	char path[96];
	snprintf(path, sizeof(path), "%s.samples[0].sum", family);
	double sum = json_number_value(json_path(now, path)) -
	             json_number_value(json_path(before, path));
	double count = sum_of(now, family, NULL, NULL) - sum_of(before, family, NULL, NULL);
	return count > 0 ? sum * 1000 / count : 0;
}

struct top {
	const json_t *now, *before;
	double seconds; /* between the two; 0: there is only one */
};

static double rate(const struct top *top, const char *family)
{
	return top->seconds > 0 ? (sum_of(top->now, family, NULL, NULL) -
	                           sum_of(top->before, family, NULL, NULL)) /
	                                  top->seconds
	                        : 0;
}

static void show_runs(const struct top *top)
{
	const json_t *f = top->now;
	printf("runs     %6.0f running  %6.0f waiting  %6.0f for people  %6.0f blocked  %6.0f in "
	       "memory\n",
	       sum_of(f, "gw_runs", "status", "running"), sum_of(f, "gw_runs", "status", "waiting"),
	       sum_of(f, "gw_runs", "status", "waiting_for_people"),
	       sum_of(f, "gw_runs", "status", "blocked"),
	       sum_of(f, "gw_runs_resident", NULL, NULL));
	printf("per s    %6.1f started  %6.1f ended    %6.1f calls       %6.1f steps    %6.1f "
	       "requests\n",
	       rate(top, "gw_runs_started_total"), rate(top, "gw_runs_ended_total"),
	       rate(top, "gw_calls_total"), rate(top, "gw_commit_items_total"),
	       rate(top, "http_server_request_duration_seconds"));
	printf("people   %6.0f tasks    %6.0f overdue\n", sum_of(f, "gw_tasks_open", NULL, NULL),
	       sum_of(f, "gw_tasks_overdue", NULL, NULL));
	printf("store    %6.2f ms per commit   %6.2f ms per sync   "
	       "%6.0f wait for the writer   %6.0f for workers\n",
	       mean_ms(f, top->before, "gw_commit_duration_seconds"),
	       mean_ms(f, top->before, "gw_fsync_duration_seconds"),
	       sum_of(f, "gw_queue_depth", "queue", "writer"),
	       sum_of(f, "gw_queue_depth", "queue", "workers"));
	printf("process  %6.1f MiB      %6.0f files    %6.1f %% of a processor\n\n",
	       sum_of(f, "process_resident_memory_bytes", NULL, NULL) / 1048576,
	       sum_of(f, "process_open_fds", NULL, NULL),
	       rate(top, "process_cpu_seconds_total") * 100);
}

static void show_connections(const struct top *top)
{
	const json_t *samples = json_at(json_at(top->now, "gw_circuit_breaker_state"), "samples");
	struct cli_table table;
	cli_table_init(&table, 4);
	for (const char *const *head =
	             (const char *const[]){ "CONNECTION", "CIRCUIT", "UNDER WAY", "WAITING", NULL };
	     *head; head++)
		cli_table_cell(&table, *head);
	for (size_t i = 0; i < json_array_size(samples); i++) {
		const json_t *sample = json_array_get(samples, i),
			     *labels = json_at(sample, "labels");
		const char *name = json_str(labels, "connection", "");
		char number[24];
		if (json_number_value(json_at(sample, "value")) != 1)
			continue;
		cli_table_cell(&table, name);
		cli_table_cell(&table, json_str(labels, "state", ""));
		snprintf(number, sizeof(number), "%.0f",
		         sum_of(top->now, "gw_connection_requests_in_flight", "connection", name));
		cli_table_cell(&table, number);
		snprintf(number, sizeof(number), "%.0f",
		         sum_of(top->now, "gw_connection_requests_waiting", "connection", name));
		cli_table_cell(&table, number);
	}
	cli_table_print(&table);
}

/* False: somebody pressed a key. */
static bool wait_a_second(void)
{
	struct pollfd key = { STDIN_FILENO, POLLIN, 0 };
	return poll(&key, isatty(STDIN_FILENO) ? 1 : 0, 1000) == 0;
}

static int show(const struct cli *cli, const struct top *top)
{
	if (cli->is_terminal)
		printf("\033[H\033[2J");
	printf("gangway %s   %s   (Enter ends)\n\n", GANGWAY_VERSION, cli->config.store);
	show_runs(top);
	show_connections(top);
	return fflush(stdout);
}

static int top(struct cli *cli)
{
	const struct clock clock = clock_system();
	const json_t *once = cli_switch(cli, "once") ? json_true() : NULL;
	json_t *request = json_pack("{s:s}", "op", "figures"), *before = NULL;
	int64_t before_ms = 0;
	int code = 0;
	for (bool goes_on = true; goes_on && code == 0;) {
		struct err err = { 0 };
		json_t *last = NULL;
		if (cli_ask_owner(cli, request, &last, &err) < 0) {
			code = cli_fail(cli, &err);
			break;
		}
		int64_t now_ms = clock_monotonic_ms(&clock);
		struct top both = { json_at(last, "figures"), json_at(before, "figures"),
			            before ? (double)(now_ms - before_ms) / 1000 : 0 };
		if (cli->is_json)
			cli_print_json(both.now);
		else
			code = show(cli, &both);
		json_decref(before);
		before = last;
		before_ms = now_ms;
		goes_on = !once && wait_a_second();
	}
	json_decref(before);
	json_decref(request);
	return code;
}

static const char *const top_options[] = { "once", NULL };

const struct command command_top = { "top",
	                             NULL,
	                             "",
	                             0,
	                             0,
	                             top_options,
	                             "what the running engine does, once a second",
	                             "  --once   one look; without a second one there are no "
	                             "rates\n\n--json gives all figures "
	                             "(docs/reference/metrics.md).",
	                             "gangway top --once",
	                             top };
