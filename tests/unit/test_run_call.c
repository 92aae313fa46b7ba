/* SPDX-License-Identifier: MIT */
/*
 * Calls of plugin actions as a run sees them: what is refused, cancelled, late,
 * repeated after a restart, advice, and answers that come while a run is blocked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"

#define HTTP(id, action, path)                                                              \
	"<invoke id='" id "' type='http' src='" action "'><param name='path' expr=\"'" path \
	"'\"/>"                                                                             \
	"</invoke>"

static void check_result(const json_t *reply, const char *want)
{
	const json_t *result = json_at(json_at(reply, "run"), "result");
	char *got = result ? json_canon(result) : mem_dup_str("(none)");
	CHECK_STR(got, want);
	free(got);
}

static void check_verified(struct engine_rig *rig, const char *run)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"audit.verify\",\"run\":\"%s\"}", run);
	char *text = json_canon(json_at(json_at(reply, "verify"), "findings"));
	CHECK_STR(text, "[]");
	free(text);
	json_decref(reply);
}

/* Starts without waiting; the id goes to run. */
static void begin(struct engine_rig *rig, const char *graph, char run[32])
{
	json_t *reply = engine_rig_ask(
		rig, "{\"op\":\"run.start\",\"graph\":\"%s\",\"correlation_id\":\"c\"}", graph);
	snprintf(run, 32, "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
}

static void signal_run(struct engine_rig *rig, const char *run, const char *event)
{
	json_t *reply = engine_rig_ask(
		rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"%s\"}", run, event);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
}

/* --- answers and refusals --------------------------------------------------------------------- */

#define ANSWERS(invoke)                                                                        \
	"<datamodel><data id='what'/></datamodel><state id='a'>" invoke                        \
	"<transition event='done.invoke.c' target='b'><assign location='what' expr=\"'ok'\"/>" \
	"</transition>"                                                                        \
	"<transition event='error.*' target='b'>"                                              \
	"<assign location='what' expr=\"_event.name .. ' ' .. _event.data.error_code\"/>"      \
	"</transition>"                                                                        \
	"</state><final id='b'><donedata><param name='what' expr='what'/></donedata></final>"

static void test_answers(struct engine_rig *rig)
{
	static const struct {
		const char *body, *want;
	} cases[] = {
		{ ANSWERS(HTTP("c", "get", "/ok")), "{\"what\":\"ok\"}" },
		{ ANSWERS(HTTP("c", "post", "/ok")), "{\"what\":\"ok\"}" },
		{ ANSWERS(HTTP("c", "get", "/bad")), "{\"what\":\"error.communication.c no\"}" },
		{ ANSWERS("<invoke id='c' type='http' src='get'/>"),
		  "{\"what\":\"error.execution.c schema" },
		{ ANSWERS("<invoke id='c' type='http' src='dance'/>"),
		  "{\"what\":\"error.execution.c plugin.no_action\"}" },
		{ ANSWERS("<invoke id='c' type='htp' src='get'/>"),
		  "{\"what\":\"error.execution.c plugin.unavailable\"}" },
		{ ANSWERS("<invoke id='c' type='http' src='get' gw:connection='other'>"
		          "<param name='path' expr=\"'/ok'\"/></invoke>"),
		  "{\"what\":\"error.execution.c connection.absent\"}" },
		{ ANSWERS("<invoke id='c' type='rules' src='gone#a.b'/>"), "(no release)" },
		{ ANSWERS("<invoke id='c' type='template' src='gone.md'/>"),
		  "{\"what\":\"error.execution.c template.absent\"}" },
		{ ANSWERS("<invoke id='c' type='tasks' src='dance'/>"),
		  "{\"what\":\"error.execution.c task.params\"}" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char name[8];
		snprintf(name, sizeof(name), "g%zu", i);
		engine_rig_graph(rig, name, "", cases[i].body);
		json_t *reply = engine_rig_start(rig, name, "c", NULL, NULL);
		const json_t *result = json_at(json_at(reply, "run"), "result");
		char *got = result ? json_canon(result) : mem_dup_str("(no release)");
		CHECK_MSG(strncmp(got, cases[i].want, strlen(cases[i].want)) == 0,
		          "%s begins with %s", got, cases[i].want);
		free(got);
		json_decref(reply);
	}
}

/* --- leaving a state while a call is out ------------------------------------------------------ */

#define LEAVES(action, path)                                                                 \
	"<datamodel><data id='seen' expr='0'/></datamodel><state id='a'>" HTTP(              \
		"c", action,                                                                 \
		path) "<transition event='leave' target='w'/></state>"                       \
		      "<state id='w'><transition event='stop' target='b'/>"                  \
		      "<transition event='done.invoke.c'><assign location='seen' expr='1'/>" \
		      "</transition></state>"                                                \
		      "<final id='b'><donedata><param name='seen' expr='seen'/></donedata></final>"

/* A KEYED call that was sent is filed when it answers, and never applied. */
static void test_late(struct engine_rig *rig)
{
	char run[32];
	size_t before = engine_rig_requests(rig);
	engine_rig_graph(rig, "late", "", LEAVES("post", "/hold"));
	begin(rig, "late", run);
	engine_rig_seen(rig, before + 1);
	signal_run(rig, run, "leave");
	engine_rig_let_go(rig);
	engine_wait_rest(rig->engine);
	CHECK(engine_rig_count(rig, run, "late") == 1);
	signal_run(rig, run, "stop");
	json_t *reply = engine_rig_start(rig, "late", "c", NULL, NULL);
	check_result(reply, "{\"seen\":0}");
	json_decref(reply);
	check_verified(rig, run);
}

/* A READ call is aborted: nobody waits for it, and a restart does not ask again. */
static void test_aborted(struct engine_rig *rig)
{
	char run[32];
	size_t before = engine_rig_requests(rig);
	rig->is_released = false;
	engine_rig_graph(rig, "aborted", "", LEAVES("get", "/hold"));
	begin(rig, "aborted", run);
	engine_rig_seen(rig, before + 1);
	signal_run(rig, run, "leave");
	engine_wait_rest(rig->engine);
	engine_rig_reopen(rig);
	engine_wait_rest(rig->engine);
	CHECK(engine_rig_requests(rig) == before + 1);
	CHECK(engine_rig_count(rig, run, "late") == 0);
	engine_rig_let_go(rig);
	signal_run(rig, run, "stop");
	CHECK_STR(engine_rig_status(rig, run), "ended");
	check_verified(rig, run);
}

/* Released, but waiting for its turn on the connection when its state is left:
 * it finishes, once. */
static void test_waiting_turn(struct engine_rig *rig)
{
	char run[32];
	size_t before = engine_rig_requests(rig);
	rig->is_released = false;
	engine_rig_graph(
		rig, "turn", "",
		"<datamodel><data id='seen' expr='0'/></datamodel><parallel id='p'><state id='x'>"
		"<invoke id='c' type='http' src='post' gw:connection='narrow'>"
		"<param name='path' expr=\"'/hold1'\"/></invoke></state>"
		"<state id='y'><state id='y1'>"
		"<invoke id='d' type='http' src='post' gw:connection='narrow'>"
		"<param name='path' expr=\"'/ok-second'\"/></invoke>"
		"<transition event='leave' target='y2'/></state><state id='y2'/></state>"
		"<transition event='done.invoke.d'><assign location='seen' expr='1'/></transition>"
		"<transition event='done.invoke.c' target='b'/></parallel>"
		"<final id='b'><donedata><param name='seen' expr='seen'/></donedata></final>");
	begin(rig, "turn", run);
	engine_rig_seen(rig, before + 1);
	signal_run(rig, run, "leave");
	CHECK(engine_rig_requests(rig) == before + 1);
	engine_rig_let_go(rig);
	json_t *reply = engine_rig_start(rig, "turn", "c", NULL, NULL);
	check_result(reply, "{\"seen\":0}");
	json_decref(reply);
	engine_wait_rest(rig->engine);
	CHECK_STR(engine_rig_status(rig, run), "ended");
	CHECK(engine_rig_requests(rig) == before + 2);
	check_verified(rig, run);
}

/* --- after a restart -------------------------------------------------------------------------- */

static void test_repeated(struct engine_rig *rig, const char *action)
{
	char run[32], graph[32];
	size_t before = engine_rig_requests(rig);
	rig->is_released = false;
	snprintf(graph, sizeof(graph), "again-%s", action);
	engine_rig_graph(rig, graph, "",
	                 strcmp(action, "get") == 0 ? ANSWERS(HTTP("c", "get", "/hold"))
	                                            : ANSWERS(HTTP("c", "post", "/hold")));
	begin(rig, graph, run);
	engine_rig_seen(rig, before + 1);
	engine_rig_reopen(rig);
	engine_rig_seen(rig, before + 2);
	engine_rig_reopen(rig);
	engine_rig_seen(rig, before + 3);
	engine_rig_let_go(rig);
	json_t *reply = engine_rig_start(rig, graph, "c", NULL, NULL);
	check_result(reply, "{\"what\":\"ok\"}");
	json_decref(reply);
	/* The same key and the same body each time. */
	for (size_t i = 1; i < 3; i++)
		CHECK_STR(json_string_value(json_array_get(rig->requests, before + i)),
		          json_string_value(json_array_get(rig->requests, before)));
	bool has_key = strstr(json_string_value(json_array_get(rig->requests, before)), " - ") ==
	               NULL;
	CHECK(has_key == (strcmp(action, "post") == 0));
	check_verified(rig, run);
}

/* --- advice ----------------------------------------------------------------------------------- */

/* The machine takes the same way, whatever the adviser does; the record says who spoke. */
static void test_advice(struct engine_rig *rig)
{
	static const struct {
		const char *name, *dispatch, *source;
	} cases[] = {
		{ "good", "type='http' src='post'", "http" },
		{ "bad", "type='http' src='post'", "rules" },
		{ "lost", "type='http' src='get'", "rules" },
		{ "none", "type='http' src='post' gw:connection='none'", "rules" },
		{ "nobody", "type='nobody' src='post'", "rules" },
	};
	engine_rig_file(rig, "rules/set/ruleset.lua",
	                "return { name = 'set', version = '1', domains = {}, decide = 'd.d' }");
	engine_rig_file(rig, "rules/set/d.lua", "return { d = function() return 'X', {} end }");
	engine_rig_file(
		rig, "rules/set/advice.lua",
		"return { risk = function(p) return { level = 'from rules', path = p.path } end }");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *path = strcmp(cases[i].name, "good") == 0   ? "/ok"
		                   : strcmp(cases[i].name, "lost") == 0 ? "/lost"
		                                                        : "/bad";
		char *body = mem_format(
			"<datamodel><data id='data'/></datamodel><state id='a'>"
			"<invoke id='c' %s gw:advisory='risk' gw:fallback='set#advice.risk'>"
			"<param name='path' expr=\"'%s'\"/></invoke>"
			"<transition event='done.invoke.c' target='t'>"
			"<assign location='data' expr=\"_event.data == nil and 'nil' or "
			"'something'\"/>"
			"</transition></state>"
			"<state id='t'><invoke id='r' type='template' src='r.txt'/>"
			"<transition event='done.invoke.r' target='b'/></state>"
			"<final id='b'><donedata><param name='data' expr='data'/></donedata>"
			"</final>",
			cases[i].dispatch, path);
		char *template = mem_format("graphs/%s/r.txt", cases[i].name);
		char run[32];
		engine_rig_graph(rig, cases[i].name, "", body);
		engine_rig_file(rig, template, "{{ advice.risk.source }}");
		json_t *reply = engine_rig_start(rig, cases[i].name, "c", NULL, run);
		check_result(reply, "{\"data\":\"nil\"}");
		json_decref(reply);
		char *file = mem_format("out/r_%s.txt", run), *text = engine_rig_read(rig, file);
		CHECK_STR(text, cases[i].source);
		check_verified(rig, run);
		free(text);
		free(file);
		free(template);
		free(body);
	}
}

/* --- answers to a blocked run ----------------------------------------------------------------- */

#define TWO_CALLS(breaks)                                                                         \
	"<datamodel><data id='n' expr='0'/></datamodel><parallel id='p'>"                         \
	"<state id='x'><state id='x1'>" HTTP(                                                     \
		"c", "post",                                                                      \
		"/ok") "<transition event='done.invoke.c' target='x2'>" breaks                    \
		       "<assign location='n' expr='n + 1'/></transition></state><final id='x2'/>" \
		       "</state>"                                                                 \
		       "<state id='y'><state id='y1'>" HTTP(                                      \
			       "d", "post",                                                       \
			       "/hold") "<transition event='done.invoke.d' target='y2'><assign "  \
					"location='n' expr='n + 10'/></transition>"               \
					"</state><final id='y2'/></state>"                        \
					"<transition event='done.state.p' target='b'/>"           \
					"</parallel>"                                             \
					"<final id='b'><donedata><param name='n' expr='n'/>"      \
					"</donedata></final>"

/* It comes while nothing can be decided: kept, and taken after the repin;
 * nobody hangs meanwhile. */
static void test_answer_to_blocked(struct engine_rig *rig, bool restarts)
{
	char run[32];
	const char *graph = restarts ? "stuck2" : "stuck1";
	size_t before = engine_rig_requests(rig);
	struct rig_asker waiting;
	rig->is_released = false;
	engine_rig_graph(rig, graph, "", TWO_CALLS("<assign location='nowhere' expr='1'/>"));
	rig_asker_init(&waiting);
	rig_asker_send(
		&waiting, rig,
		"{\"op\":\"run.start\",\"graph\":\"%s\",\"correlation_id\":\"c\",\"wait\":true}",
		graph);
	const json_t *told = rig_asker_last(&waiting);
	CHECK_STR(json_str(json_at(told, "run"), "status", ""), "blocked");
	snprintf(run, sizeof(run), "%s", json_str(json_at(told, "run"), "id", ""));
	rig_asker_release(&waiting);
	engine_rig_seen(rig, before + 2);
	engine_rig_let_go(rig);
	engine_wait_rest(rig->engine);
	CHECK_STR(engine_rig_status(rig, run), "blocked");
	if (restarts)
		engine_rig_reopen(rig);
	engine_wait_rest(rig->engine);
	engine_rig_graph(rig, graph, "", TWO_CALLS(""));
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}",
	                               run);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	reply = engine_rig_start(rig, graph, "c", NULL, NULL);
	check_result(reply, "{\"n\":11}");
	json_decref(reply);
	CHECK(engine_rig_requests(rig) == before + 2 + restarts);
	check_verified(rig, run);
}

int main(void)
{
	struct engine_rig rig;
	mem_install();
	engine_rig_init(&rig, true);
	json_t *narrow = json_deep_copy(json_at(rig.connections, "http"));
	json_put_str(narrow, "plugin", "http");
	json_put_int(narrow, "concurrency", 1);
	json_put(rig.connections, "narrow", narrow);
	engine_rig_open(&rig);
	if (!rig.has_plugins) {
		check_skip("the plugin http is not built");
		engine_rig_release(&rig);
		return check_done();
	}
	test_answers(&rig);
	test_late(&rig);
	test_aborted(&rig);
	test_waiting_turn(&rig);
	test_repeated(&rig, "get");
	test_repeated(&rig, "post");
	test_advice(&rig);
	test_answer_to_blocked(&rig, false);
	test_answer_to_blocked(&rig, true);
	engine_rig_release(&rig);
	return check_done();
}
