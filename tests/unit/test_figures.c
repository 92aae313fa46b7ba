/* SPDX-License-Identifier: MIT */
/* What the engine counts of runs, decisions, rules, calls, connections and the store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"
#include "report/report_metrics.h"

#define GRAPH                                                                                    \
	"<datamodel><data id='n'/><data id='path'/></datamodel>"                                 \
	"<state id='a'><invoke id='r' type='rules' src='set'><param name='facts' expr='{n=n}'/>" \
	"<param name='errors' expr='list()'/></invoke>"                                          \
	"<transition event='done.invoke.r' target='b'/></state>"                                 \
	"<state id='b'><invoke id='c' type='http' src='get'>"                                    \
	"<param name='path' expr='path'/></invoke>"                                              \
	"<transition event='done.invoke.c' target='d'/>"                                         \
	"<transition event='error.*' target='d'/></state><final id='d'/>"

#define ASKS                                                                                 \
	"<state id='a'><invoke id='p' type='approval'><param name='role' expr=\"'legal'\"/>" \
	"<param name='title' expr=\"'Look'\"/><param name='due' expr=\"'1m'\"/></invoke>"    \
	"<transition event='done.invoke.p' target='b'/></state><final id='b'/>"

#define RULES                                                                               \
	"return { domain = 'd', subject = 'facts', rules = { { id = 'd.r', severity = "     \
	"'violation', owner = 'o', fires = function(f) return f.n > 5 end, message = 'm', " \
	"fix = 'x' } } }"

static void write_files(struct engine_rig *rig)
{
	engine_rig_graph(rig, "g", "", GRAPH);
	engine_rig_graph(rig, "asks", "", ASKS);
	engine_rig_graph(rig, "idle", "", "<state id='a'/>");
	engine_rig_file(rig, "rules/set/ruleset.lua",
	                "return { name = 'set', version = '1', domains = { 'd' }, decide = "
	                "'decision.decide', decisions = { 'YES', 'NO' } }");
	engine_rig_file(rig, "rules/set/decision.lua",
	                "return { decide = function(v) return #v.violations > 0 and 'NO' or 'YES', "
	                "{} end }");
	engine_rig_file(rig, "rules/set/d.lua", RULES);
}

/* labels: "a=b,c=d", in the family's order; histograms give their count.  -1: there is none. */
static double value_of(const json_t *figures, const char *family, const char *labels)
{
	const json_t *samples = json_at(json_at(figures, family), "samples");
	for (size_t i = 0; i < json_array_size(samples); i++) {
		const json_t *sample = json_array_get(samples, i);
		char text[512] = "";
		const char *name;
		json_t *value;
		json_object_foreach(json_at(sample, "labels"), name, value)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s=%s",
			         *text ? "," : "", name, json_string_value(value));
		if (strcmp(text, labels) == 0)
			return json_at(sample, "count") ? (double)json_int(sample, "count", 0)
			                                : json_real_value(json_at(sample, "value"));
	}
	return -1;
}

static const struct {
	const char *family, *labels;
	double want;
} expected[] = {
	{ "gw_build_info", "version=test", 1 },
	{ "gw_runs_started_total", "graph=g", 4 },
	{ "gw_runs_started_total", "graph=idle", 2 },
	{ "gw_runs_ended_total", "graph=g,outcome=ended", 3 },
	{ "gw_runs_ended_total", "graph=idle,outcome=cancelled", 1 },
	{ "gw_runs_blocked_total", "graph=g", 1 },
	{ "gw_run_duration_seconds", "graph=g", 3 },
	{ "gw_runs", "status=running", 0 },
	{ "gw_runs", "status=waiting", 1 },
	{ "gw_runs", "status=waiting_for_people", 1 },
	{ "gw_runs", "status=blocked", 1 },
	{ "gw_decisions_total", "graph=g,ruleset=set,decision=YES", 2 },
	{ "gw_decisions_total", "graph=g,ruleset=set,decision=NO", 1 },
	{ "gw_rule_firings_total", "ruleset=set,rule=d.r,severity=violation", 1 },
	{ "gw_calls_total", "plugin=http,action=get,outcome=ok", 2 },
	{ "gw_calls_total", "plugin=http,action=get,outcome=validation", 1 },
	{ "gw_call_duration_seconds", "plugin=http,action=get", 3 },
	{ "http_client_request_duration_seconds",
	  "connection=http,http_request_method=GET,http_response_status_code=200,error_type=", 2 },
	{ "http_client_request_duration_seconds",
	  "connection=http,http_request_method=GET,http_response_status_code=400,error_type=status",
	  1 },
	{ "gw_circuit_breaker_state", "connection=http,state=closed", 1 },
	{ "gw_circuit_breaker_state", "connection=http,state=open", 0 },
	{ "gw_connection_requests_in_flight", "connection=http", 0 },
	{ "gw_connection_requests_waiting", "connection=http", 0 },
	{ "gw_queue_depth", "queue=writer", 0 },
	{ "gw_queue_depth", "queue=workers", 0 },
	{ "gw_tasks_open", "role=legal", 1 },
	{ "gw_tasks_overdue", "role=legal", 0 },
};

static json_t *figures_of(struct engine_rig *rig)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"figures\"}");
	json_t *ret = json_incref(json_at(reply, "figures"));
	json_decref(reply);
	return ret;
}

static void check_all(struct engine_rig *rig)
{
	json_t *figures = figures_of(rig);
	for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
		double got = value_of(figures, expected[i].family, expected[i].labels);
		CHECK_MSG(got == expected[i].want, "%s{%s} is %g", expected[i].family,
		          expected[i].labels, got);
	}
	double commits = value_of(figures, "gw_commit_duration_seconds", "");
	double syncs = value_of(figures, "gw_fsync_duration_seconds", "");
	CHECK_MSG(commits > 0 && syncs >= commits, "each commit waits for the disk: %g, %g",
	          commits, syncs);
	CHECK(value_of(figures, "gw_commit_items_total", "") >= commits);
	json_decref(figures);
}

static void run_all(struct engine_rig *rig)
{
	char run[32];
	json_decref(engine_rig_start(rig, "g", "1", "{\"n\":1,\"path\":\"/ok\"}", NULL));
	json_decref(engine_rig_start(rig, "g", "2", "{\"n\":9,\"path\":\"/ok\"}", NULL));
	json_decref(engine_rig_start(rig, "g", "3", "{\"n\":1,\"path\":\"/bad\"}", NULL));
	json_decref(engine_rig_start(rig, "g", "4", "{\"n\":\"x\",\"path\":\"/ok\"}", NULL));
	json_decref(engine_rig_start(rig, "asks", "1", NULL, NULL));
	for (const char *id = "12"; *id; id++) {
		json_t *reply = engine_rig_ask(rig,
		                               "{\"op\":\"run.start\",\"graph\":\"idle\","
		                               "\"correlation_id\":\"%c\"}",
		                               *id);
		snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
		json_decref(reply);
	}
	json_decref(
		engine_rig_ask(rig, "{\"op\":\"run.cancel\",\"run\":\"%s\",\"by\":\"ann\"}", run));
}

static const char *const logged[] = {
	"{\"correlation_id\":\"1\",\"event\":\"run.started\",\"graph\":\"g\",\"level\":\"info\"}",
	"{\"correlation_id\":\"1\",\"event\":\"run.ended\",\"graph\":\"g\",\"level\":\"info\","
	"\"outcome\":\"ended\",\"took_ms\":0}",
	"{\"action\":\"get\",\"attempts\":1,\"correlation_id\":\"3\",\"error_code\":\"no\","
	"\"error_type\":\"validation\",\"event\":\"call.failed\",\"graph\":\"g\",\"level\":"
	"\"warning\",\"plugin\":\"http\",\"took_ms\":0}",
	"{\"correlation_id\":\"4\",\"event\":\"run.blocked\",\"graph\":\"g\",\"level\":\"warning\","
	"\"reason\":\"rule.error\"}",
	"{\"correlation_id\":\"2\",\"event\":\"run.ended\",\"graph\":\"idle\",\"level\":\"info\","
	"\"outcome\":\"cancelled\",\"took_ms\":0}",
};

/* Each line stands in the log; it also names the run. */
static void check_log(struct engine_rig *rig)
{
	pthread_mutex_lock(&rig->lock);
	json_t *lines = json_deep_copy(rig->log);
	pthread_mutex_unlock(&rig->lock);
	for (size_t w = 0; w < sizeof(logged) / sizeof(*logged); w++) {
		bool found = false;
		for (size_t i = 0; i < json_array_size(lines); i++) {
			json_t *line = json_copy(json_array_get(lines, i));
			bool has_run = json_at(line, "run") != NULL;
			json_object_del(line, "run");
			char *text = json_canon(line);
			found = found || (has_run && strcmp(text, logged[w]) == 0);
			free(text);
			json_decref(line);
		}
		CHECK_MSG(found, "logged: %s", logged[w]);
	}
	json_decref(lines);
}

/* Open runs and tasks are there after a restart; what was counted begins anew. */
static void check_restart(struct engine_rig *rig)
{
	engine_rig_reopen(rig);
	atomic_fetch_add(&rig->now_ms, 3600 * 1000);
	json_t *figures = figures_of(rig);
	CHECK(value_of(figures, "gw_runs", "status=waiting") == 1);
	CHECK(value_of(figures, "gw_runs", "status=waiting_for_people") == 1);
	CHECK(value_of(figures, "gw_runs", "status=blocked") == 1);
	CHECK(value_of(figures, "gw_tasks_overdue", "role=legal") == 1);
	CHECK(value_of(figures, "gw_runs_started_total", "graph=g") == -1);
	json_decref(figures);
}

int main(void)
{
	struct engine_rig rig;
	mem_install();
	engine_rig_init(&rig, true);
	write_files(&rig);
	engine_rig_open(&rig);
	run_all(&rig);
	check_all(&rig);
	check_log(&rig);
	check_restart(&rig);
	engine_rig_release(&rig);
	return check_done();
}
