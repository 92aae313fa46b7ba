/* SPDX-License-Identifier: MIT */
/*
 * What the engine counts, for who operates it (docs/reference/metrics.md); and
 * the word to who follows records.  Counted is what is durable: a step that the
 * store refused never happened.  Gauges are looked at when somebody asks.
 */
#include <stdio.h>
#include <string.h>

#include "report/report_metrics.h"
#include "run/run_int.h"

static const struct metric_family families[] = {
	[FIGURE_BUILD] = { .name = "gw_build_info",
	                   .help = "The engine's version; always 1.",
	                   .type = METRIC_GAUGE,
	                   .labels = { "version" } },
	[FIGURE_STARTED] = { .name = "gw_runs_started_total",
	                     .help = "Runs that were started.",
	                     .type = METRIC_COUNTER,
	                     .labels = { "graph" } },
	[FIGURE_ENDED] = { .name = "gw_runs_ended_total",
	                   .help = "Runs that came to an end: ended or cancelled.",
	                   .type = METRIC_COUNTER,
	                   .labels = { "graph", "outcome" } },
	[FIGURE_BLOCKED] = { .name = "gw_runs_blocked_total",
	                     .help = "Times that a run was blocked: nothing could be decided.",
	                     .type = METRIC_COUNTER,
	                     .labels = { "graph" } },
	[FIGURE_RUN_SECONDS] = { .name = "gw_run_duration_seconds",
	                         .help = "From the start of a run to its end.",
	                         .type = METRIC_HISTOGRAM,
	                         .labels = { "graph" },
	                         .bounds = { 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14400,
	                                     86400, 604800, 2592000 } },
	[FIGURE_RUNS] = { .name = "gw_runs",
	                  .help = "Runs that have not ended, by status.",
	                  .type = METRIC_GAUGE,
	                  .labels = { "status" } },
	[FIGURE_RESIDENT] = { .name = "gw_runs_resident",
	                      .help = "Runs in memory.",
	                      .type = METRIC_GAUGE },
	[FIGURE_DECISIONS] = { .name = "gw_decisions_total",
	                       .help = "Decisions of rule sets, by kind.",
	                       .type = METRIC_COUNTER,
	                       .labels = { "graph", "ruleset", "decision" } },
	[FIGURE_RULES] = { .name = "gw_rule_firings_total",
	                   .help = "Rules that fired.",
	                   .type = METRIC_COUNTER,
	                   .labels = { "ruleset", "rule", "severity" } },
	[FIGURE_CALLS] = { .name = "gw_calls_total",
	                   .help = "Calls of actions by outcome: ok, late, unsure, or the error's "
	                           "type.",
	                   .type = METRIC_COUNTER,
	                   .labels = { "plugin", "action", "outcome" } },
	[FIGURE_CALL_SECONDS] = { .name = "gw_call_duration_seconds",
	                          .help = "From asking for a call to its answer, retries included.",
	                          .type = METRIC_HISTOGRAM,
	                          .labels = { "plugin", "action" },
	                          .bounds = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
	                                      10, 30, 60, 300 } },
	[FIGURE_ATTEMPTS] = { .name = "http_client_request_duration_seconds",
	                      .help = "Attempts of outgoing requests; the status is empty when no "
	                              "answer came.",
	                      .type = METRIC_HISTOGRAM,
	                      .labels = { "connection", "http_request_method",
	                                  "http_response_status_code", "error_type" },
	                      .bounds = { 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1,
	                                  2.5, 5, 7.5, 10 } },
	[FIGURE_BREAKER] = { .name = "gw_circuit_breaker_state",
	                     .help = "1 for the state a connection's circuit breaker is in.",
	                     .type = METRIC_GAUGE,
	                     .labels = { "connection", "state" } },
	[FIGURE_IN_FLIGHT] = { .name = "gw_connection_requests_in_flight",
	                       .help = "Requests under way.",
	                       .type = METRIC_GAUGE,
	                       .labels = { "connection" } },
	[FIGURE_WAITING] = { .name = "gw_connection_requests_waiting",
	                     .help = "Requests that wait for the connection's limits.",
	                     .type = METRIC_GAUGE,
	                     .labels = { "connection" } },
	[FIGURE_QUEUE] = { .name = "gw_queue_depth",
	                   .help = "What waits: for the writer, for the worker loops.",
	                   .type = METRIC_GAUGE,
	                   .labels = { "queue" } },
	[FIGURE_COMMIT] = { .name = "gw_commit_duration_seconds",
	                    .help = "Transactions of the writer, each of many runs' steps.",
	                    .type = METRIC_HISTOGRAM,
	                    .bounds = { 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
	                                0.5, 1, 2.5, 5, 10 } },
	[FIGURE_SYNC] = { .name = "gw_fsync_duration_seconds",
	                  .help = "Waiting for the disk: commits and checkpoints.",
	                  .type = METRIC_HISTOGRAM,
	                  .bounds = { 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
	                              0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10 } },
	[FIGURE_ITEMS] = { .name = "gw_commit_items_total",
	                   .help = "Steps that were committed.",
	                   .type = METRIC_COUNTER },
	[FIGURE_TASKS] = { .name = "gw_tasks_open",
	                   .help = "Tasks that wait for a person, by role.",
	                   .type = METRIC_GAUGE,
	                   .labels = { "role" } },
	[FIGURE_OVERDUE] = { .name = "gw_tasks_overdue",
	                     .help = "Open tasks past their due date, by role.",
	                     .type = METRIC_GAUGE,
	                     .labels = { "role" } },
	[FIGURE_TOKENS] = { .name = "gen_ai_client_token_usage",
	                    .help = "Tokens of one answer of a model.",
	                    .type = METRIC_HISTOGRAM,
	                    .labels = { "gen_ai_operation_name", "gen_ai_provider_name",
	                                "gen_ai_response_model", "gen_ai_token_type" },
	                    .bounds = { 1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144,
	                                1048576, 4194304, 16777216, 67108864 } },
	[FIGURE_GEN_AI] = { .name = "gen_ai_client_operation_duration_seconds",
	                    .help = "Calls of models, retries included.",
	                    .type = METRIC_HISTOGRAM,
	                    .labels = { "gen_ai_operation_name", "gen_ai_provider_name",
	                                "gen_ai_response_model", "error_type" },
	                    .bounds = { 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12,
	                                10.24, 20.48, 40.96, 81.92 } },
	[FIGURE_COST] = { .name = "gw_llm_cost_total",
	                  .help = "What models cost by the configured prices, in the currency.",
	                  .type = METRIC_COUNTER,
	                  .labels = { "model", "currency" } },
	[FIGURE_RELOADS] = { .name = "gw_reloads_total",
	                     .help = "Changed files that were taken (ok) or refused.",
	                     .type = METRIC_COUNTER,
	                     .labels = { "what", "outcome" } },
};

static struct metric *figure(struct engine *engine, enum figure which,
                             const char *const values[METRIC_LABELS])
{
	return metrics_get(engine->metrics, &families[which], values);
}

void figures_open(struct engine *engine)
{
	const char *version[METRIC_LABELS] = { engine->options.version };
	engine->metrics = metrics_new();
	engine->task_roles = json_object();
	metrics_declare(engine->metrics, families, sizeof(families) / sizeof(*families));
	metrics_process_declare(engine->metrics);
	metric_set(figure(engine, FIGURE_BUILD, version), 1);
	engine->commit_seconds = figure(engine, FIGURE_COMMIT, NULL);
	engine->commit_items = figure(engine, FIGURE_ITEMS, NULL);
	engine->sync_seconds = figure(engine, FIGURE_SYNC, NULL);
}

void figures_close(struct engine *engine)
{
	if (engine->store)
		engine->store->on_sync = NULL;
	metrics_free(engine->metrics);
	json_decref(engine->task_roles);
}

struct metrics *engine_metrics(struct engine *engine)
{
	return engine->metrics;
}

static void synced(void *arg, int64_t took_ns)
{
	struct engine *engine = arg;
	metric_observe(engine->sync_seconds, (double)took_ns / 1e9);
}

static void keep_count(void *arg, const struct store_count *count)
{
	struct engine *engine = arg;
	if (count->status > 0 && count->status < STORE_ENDED)
		atomic_store(&engine->open_runs[count->status], count->count);
}

int figures_store(struct engine *engine, struct err *err)
{
	engine->store->on_sync_arg = engine;
	engine->store->on_sync = synced;
	return engine->store->ops->run_counts(engine->store, keep_count, engine, err);
}

void figures_commit(struct engine *engine, size_t items, int64_t took_ns)
{
	metric_observe(engine->commit_seconds, (double)took_ns / 1e9);
	metric_add(engine->commit_items, (double)items);
}

/* --- a durable step -------------------------------------------------------------- */

static void count_verdict(struct engine *engine, const struct run *run, const json_t *result)
{
	const json_t *outcomes = json_at(result, "outcomes");
	const char *set = json_str(json_at(result, "ruleset"), "name", "");
	const char *decided[METRIC_LABELS] = { run->graph, set,
		                               json_str(result, "decision", NULL) };
	if (!outcomes)
		return;
	if (decided[2])
		metric_add(figure(engine, FIGURE_DECISIONS, decided), 1);
	for (size_t i = 0; i < json_array_size(outcomes); i++) {
		const json_t *outcome = json_array_get(outcomes, i);
		const char *fired[METRIC_LABELS] = { set, json_str(outcome, "id", ""),
			                             json_str(outcome, "severity", "") };
		if (strcmp(json_str(outcome, "result", ""), "fired") == 0)
			metric_add(figure(engine, FIGURE_RULES, fired), 1);
	}
}

static void count_model(struct engine *engine, const char *type, const json_t *facts,
                        const char *error, double seconds)
{
	static const char *const kinds[2][2] = { { "prompt_tokens", "input" },
		                                 { "completion_tokens", "output" } };
	const json_t *usage = json_at(facts, "usage"), *cost = json_at(facts, "cost");
	const char *values[METRIC_LABELS] = { "chat", json_str(facts, "provider", type),
		                              json_str(facts, "model", ""), error };
	if (!json_at(facts, "model") && !json_at(facts, "prompt"))
		return;
	metric_observe(figure(engine, FIGURE_GEN_AI, values), seconds);
	for (size_t i = 0; usage && i < 2; i++) {
		values[3] = kinds[i][1];
		metric_observe(figure(engine, FIGURE_TOKENS, values),
		               (double)json_int(usage, kinds[i][0], 0));
	}
	const char *priced[METRIC_LABELS] = { values[2], json_str(cost, "currency", "") };
	if (cost)
		metric_add(figure(engine, FIGURE_COST, priced),
		           (double)json_int(cost, "micros", 0) / 1e6);
}

/* What happened to a run, in the log; without what it knows. */
static void log_run(struct engine *engine, const struct run *run, const char *level,
                    const char *event, json_t *more_taken)
{
	if (engine_logs(engine, level)) {
		json_t *line = json_pack("{s:s,s:s,s:s}", "run", run->id, "graph", run->graph,
		                         "correlation_id", run->correlation_id);
		json_object_update(line, more_taken);
		engine_log(engine, level, event, line);
	}
	json_decref(more_taken);
}

static void log_call(struct engine *engine, const struct run *run, const struct commit *commit)
{
	const json_t *failure = json_path(commit->body, "input.failure");
	if (!failure || !engine_logs(engine, "warning"))
		return;
	json_t *more = json_pack("{s:s,s:s,s:s,s:s}", "plugin", json_str(commit->call, "type", ""),
	                         "action", json_str(commit->call, "action", ""), "error_type",
	                         json_str(failure, "error_type", ""), "error_code",
	                         json_str(failure, "error_code", ""));
	json_put(more, "attempts", json_incref(json_path(commit->body, "call.attempts")));
	json_put(more, "took_ms", json_incref(json_path(commit->body, "call.took_ms")));
	log_run(engine, run, "warning", "call.failed", more);
}

static void count_call(struct engine *engine, const struct commit *commit)
{
	const json_t *input = json_at(commit->body, "input"),
		     *extra = json_at(commit->body, "call");
	const char *kind = json_str(commit->body, "kind", "");
	const char *type = json_str(commit->call, "type", "");
	bool ok = json_truth(input, "ok", false);
	const char *error = ok ? "" : json_str(json_at(input, "failure"), "error_type", "error");
	double seconds = (double)json_int(extra, "took_ms", 0) / 1000;
	const char *values[METRIC_LABELS] = { type, json_str(commit->call, "action", ""),
		                              strcmp(kind, "late") == 0     ? "late"
		                              : strcmp(kind, "unsure") == 0 ? "unsure"
		                              : ok                          ? "ok"
		                                                            : error };
	metric_add(figure(engine, FIGURE_CALLS, values), 1);
	if (strcmp(kind, "unsure") == 0 || !json_at(extra, "took_ms"))
		return;
	metric_observe(figure(engine, FIGURE_CALL_SECONDS, values), seconds);
	count_model(engine, type, json_at(extra, "facts"), error, seconds);
}

static void count_status(struct engine *engine, const struct run *run, const struct commit *commit)
{
	int before = commit->status_before, after = commit->status_after;
	if (before == after)
		return;
	if (before > 0 && before < STORE_ENDED)
		atomic_fetch_sub(&engine->open_runs[before], 1);
	if (after > 0 && after < STORE_ENDED)
		atomic_fetch_add(&engine->open_runs[after], 1);
	const char *values[METRIC_LABELS] = { run->graph, status_name(after) };
	if (after == STORE_BLOCKED) {
		metric_add(figure(engine, FIGURE_BLOCKED, values), 1);
		log_run(engine, run, "warning", "run.blocked",
		        json_pack("{s:O*}", "reason", json_at(run->reason, "id")));
	}
	if (after < STORE_ENDED)
		return;
	log_run(engine, run, "info", "run.ended",
	        json_pack("{s:s,s:I}", "outcome", status_name(after), "took_ms",
	                  (json_int_t)(run->updated_ms - run->created_ms)));
	metric_add(figure(engine, FIGURE_ENDED, values), 1);
	metric_observe(figure(engine, FIGURE_RUN_SECONDS, values),
	               (double)(run->updated_ms - run->created_ms) / 1000);
}

void run_count(const struct run *run, const struct commit *commit)
{
	struct engine *engine = run->worker->engine;
	const char *values[METRIC_LABELS] = { run->graph };
	const json_t *made = json_at(commit->body, "inline");
	if (commit->is_start) {
		metric_add(figure(engine, FIGURE_STARTED, values), 1);
		log_run(engine, run, "info", "run.started", json_object());
	}
	count_status(engine, run, commit);
	for (size_t i = 0; i < json_array_size(made); i++)
		count_verdict(engine, run,
		              json_at(json_array_get(json_array_get(made, i), 1), "result"));
	if (commit->call) {
		count_call(engine, commit);
		log_call(engine, run, commit);
	}
	engine_record_cb *cb = atomic_load(&engine->on_record);
	if (cb)
		cb(engine->on_record_arg, run->id, run->head.seq);
}

void figures_reload(struct engine *engine, const char *what, bool ok)
{
	const char *values[METRIC_LABELS] = { what, ok ? "ok" : "refused" };
	metric_add(figure(engine, FIGURE_RELOADS, values), 1);
}

/* --- outgoing requests -------------------------------------------------------------- */

void figures_attempt(struct engine *engine, const json_t *span)
{
	char code[16] = "";
	int64_t number = json_int(span, "code", 0);
	const char *status = json_str(span, "status", "");
	if (number > 0)
		snprintf(code, sizeof(code), "%d", (int)number);
	const char *values[METRIC_LABELS] = { json_str(span, "connection", ""),
		                              json_str(span, "method", "mail"), code,
		                              strcmp(status, "ok") == 0 ? "" : status };
	metric_observe(figure(engine, FIGURE_ATTEMPTS, values),
	               (double)json_int(span, "took_ms", 0) / 1000);
}

/* --- what is looked at when somebody asks ------------------------------------------- */

static size_t length_of(struct message_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	size_t ret = queue->len;
	pthread_mutex_unlock(&queue->lock);
	return ret;
}

static void look_at_queues(struct engine *engine)
{
	const char *writer[METRIC_LABELS] = { "writer" }, *workers[METRIC_LABELS] = { "workers" };
	size_t waiting = 0;
	for (int i = 0; i < engine->worker_count; i++)
		waiting += length_of(&engine->workers[i].inbox);
	metric_set(figure(engine, FIGURE_QUEUE, writer), (double)length_of(&engine->writer.queue));
	metric_set(figure(engine, FIGURE_QUEUE, workers), (double)waiting);
}

static void look_at_connections(struct engine *engine)
{
	static const char *const states[] = { "closed", "half_open", "open" };
	json_t *all = connections_describe(engine);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *now = json_array_get(all, i);
		const char *name[METRIC_LABELS] = { json_str(now, "name", "") };
		metric_set(figure(engine, FIGURE_IN_FLIGHT, name),
		           (double)json_int(now, "in_flight", 0));
		metric_set(figure(engine, FIGURE_WAITING, name),
		           (double)json_int(now, "waiting", 0));
		for (size_t s = 0; s < sizeof(states) / sizeof(*states); s++) {
			const char *state[METRIC_LABELS] = { name[0], states[s] };
			metric_set(figure(engine, FIGURE_BREAKER, state),
			           strcmp(json_str(now, "state", ""), states[s]) == 0);
		}
	}
	json_decref(all);
}

struct task_counts {
	json_t *open, *overdue; /* by role; roles seen before count 0 */
};

static void add_tasks(void *arg, const struct store_count *count)
{
	struct task_counts *counts = arg;
	const char *role = count->role ? count->role : "";
	json_put_int(counts->open, role, json_int(counts->open, role, 0) + count->count);
	json_put_int(counts->overdue, role, json_int(counts->overdue, role, 0) + count->overdue);
}

static void look_at_tasks(struct engine *engine)
{
	struct err ignored = { 0 }; /* the other figures stand */
	struct task_counts counts = { json_object(), json_object() };
	const char *role;
	json_t *number;
	pthread_mutex_lock(&engine->lock);
	json_object_foreach(engine->task_roles, role, number) {
		json_put_int(counts.open, role, 0);
		json_put_int(counts.overdue, role, 0);
	}
	(void)engine->store->ops->task_counts(engine->store, engine_now(engine), add_tasks, &counts,
	                                      &ignored);
	json_object_foreach(counts.open, role, number) {
		const char *values[METRIC_LABELS] = { role };
		json_put(engine->task_roles, role, json_true());
		metric_set(figure(engine, FIGURE_TASKS, values),
		           (double)json_integer_value(number));
		metric_set(figure(engine, FIGURE_OVERDUE, values),
		           (double)json_int(counts.overdue, role, 0));
	}
	pthread_mutex_unlock(&engine->lock);
	json_decref(counts.open);
	json_decref(counts.overdue);
}

static void look(struct engine *engine)
{
	static const int statuses[] = { STORE_RUNNING, STORE_WAITING, STORE_PEOPLE, STORE_BLOCKED };
	for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++) {
		const char *values[METRIC_LABELS] = { status_name(statuses[i]) };
		metric_set(figure(engine, FIGURE_RUNS, values),
		           (double)atomic_load(&engine->open_runs[statuses[i]]));
	}
	metric_set(figure(engine, FIGURE_RESIDENT, NULL), (double)atomic_load(&engine->resident));
	look_at_queues(engine);
	look_at_connections(engine);
	look_at_tasks(engine);
	metrics_process(engine->metrics);
}

json_t *engine_figures(struct engine *engine, const char *as)
{
	struct buf text;
	look(engine);
	if (!as)
		return json_pack("{s:o}", "figures", metrics_json(engine->metrics));
	buf_init(&text, (size_t)64 << 20);
	metrics_text(engine->metrics, strcmp(as, "openmetrics") == 0, &text);
	json_t *ret = json_pack("{s:o}", "text", json_text(buf_str(&text)));
	buf_release(&text);
	return ret;
}

json_t *engine_plugins(const struct engine *engine)
{
	enum { NAMES_MAX = 256 };
	const char *names[NAMES_MAX];
	const struct plugins *plugins = engine->options.plugins;
	size_t count = plugins ? plugins_names(plugins, names, NAMES_MAX) : 0;
	json_t *ret = json_array();
	for (size_t i = 0; i < count; i++) {
		const struct plugin *plugin = plugins_find(plugins, names[i]);
		if (plugin)
			json_push(ret, json_pack("{s:s,s:s,s:s}", "name", names[i], "version",
			                         plugin_version(plugin), "sha256",
			                         plugin_sha256(plugin)));
	}
	return ret;
}
