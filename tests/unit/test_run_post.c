/* SPDX-License-Identifier: MIT */
/*
 * Events that leave their run (SCXML C.1, C.2): over HTTP, recorded before they
 * go and never repeated unasked; and to sessions of other runs, which can answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"

#define POST_TO(path, more)                                                                  \
	"<send id='s1' type='http://www.w3.org/TR/scxml/#BasicHTTPEventProcessor' "          \
	"targetexpr=\"'http://127.0.0.1:' .. math.tointeger(port) .. '" path "'\" " more ">" \
	"<param name='n' expr='n'/><param name='text' expr=\"'a b'\"/></send>"

/* Sends, then waits until an error comes or it is told to go on. */
#define SENDER(send)                                                                        \
	"<datamodel><data id='port'/><data id='n' expr='7'/><data id='what'/></datamodel>"  \
	"<state id='a'><onentry>" send "</onentry>"                                         \
	"<transition event='go' target='b'/>"                                               \
	"<transition event='error' target='b'><assign location='what' expr=\"_event.name "  \
	".. ' ' .. _event.data.error_code .. ' ' .. _event.sendid\"/></transition></state>" \
	"<final id='b'><donedata><param name='what' expr='what'/></donedata></final>"

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

static void begin(struct engine_rig *rig, const char *graph, const char *input, char run[32])
{
	json_t *reply = engine_rig_ask(rig,
	                               "{\"op\":\"run.start\",\"graph\":\"%s\","
	                               "\"correlation_id\":\"c\",\"input\":%s}",
	                               graph, input);
	CHECK_STR(rig_error(reply), "");
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

static const char *port_of(const struct engine_rig *rig)
{
	static char ret[32];
	snprintf(ret, sizeof(ret), "{\"port\":%d}", rig->port);
	return ret;
}

static const char *request_at(const struct engine_rig *rig, size_t at)
{
	return json_string_value(json_array_get(rig->requests, at));
}

/* --- over HTTP -------------------------------------------------------------------------------- */

static void test_posted(struct engine_rig *rig)
{
	char run[32];
	size_t before = engine_rig_requests(rig);
	engine_rig_graph(rig, "posted", "", SENDER(POST_TO("/ok/in?x=1", "event='tell me'")));
	begin(rig, "posted", port_of(rig), run);
	engine_rig_seen(rig, before + 1);
	engine_wait_rest(rig->engine);
	const char *request = request_at(rig, before);
	CHECK_MSG(strncmp(request, "POST /ok/in?x=1 ", 16) == 0, "%s", request);
	CHECK_MSG(strstr(request, "_scxmleventname=tell%20me&n=7&text=a%20b"), "%s", request);
	signal_run(rig, run, "go");
	CHECK_STR(engine_rig_status(rig, run), "ended");
	check_verified(rig, run);
}

static void test_failures(struct engine_rig *rig)
{
	static const struct {
		const char *send, *want;
	} cases[] = {
		{ POST_TO("/bad", "event='e'"), "{\"what\":\"error.communication status s1\"}" },
		{ "<send id='s1' type='basichttp' event='e' target='http://elsewhere.example/x'/>",
		  "{\"what\":\"error.communication connection.absent s1\"}" },
		{ POST_TO("/ok", "event='e' gw:connection='none'"),
		  "{\"what\":\"error.communication connection.absent s1\"}" },
		{ "<send id='s1' type='basichttp' event='e'/>",
		  "{\"what\":\"error.communication graph.send_target s1\"}" },
		{ POST_TO("/lost", "event='e' gw:on-unsure='fail'"),
		  "{\"what\":\"error.communication network s1\"}" },
		{ "<send id='s1' event='e' target='#_scxml_nobody'/>",
		  "{\"what\":\"error.communication graph.send_unreachable s1\"}" },
		{ "<send id='s1' event='e' targetexpr=\"'#_scxml_' .. _sessionid .. '.9'\"/>",
		  "{\"what\":\"error.communication graph.send_unreachable s1\"}" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char name[16], run[32], *body = mem_format("%s", cases[i].send);
		snprintf(name, sizeof(name), "fails%zu", i);
		char *graph = mem_format(SENDER("%s"), body);
		engine_rig_graph(rig, name, "", graph);
		json_t *reply = engine_rig_start(rig, name, "c", port_of(rig), run);
		check_result(reply, cases[i].want);
		json_decref(reply);
		check_verified(rig, run);
		free(graph);
		free(body);
	}
}

/* The answer was lost: a person is asked; told to repeat, the same bytes go out. */
static void test_unsure(struct engine_rig *rig)
{
	char run[32], task[96];
	size_t before = engine_rig_requests(rig);
	engine_rig_graph(rig, "unsure", "", SENDER(POST_TO("/lost", "event='e'")));
	begin(rig, "unsure", port_of(rig), run);
	engine_wait_rest(rig->engine);
	CHECK(engine_rig_count(rig, run, "unsure") == 1);
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"task.list\",\"run\":\"%s\"}", run);
	snprintf(task, sizeof(task), "%s",
	         json_str(json_array_get(json_at(reply, "tasks"), 0), "id", ""));
	json_decref(reply);
	reply = engine_rig_ask(rig,
	                       "{\"op\":\"task.answer\",\"task\":\"%s\",\"by\":\"ann\","
	                       "\"outcome\":\"repeat\"}",
	                       task);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	engine_rig_seen(rig, before + 2);
	engine_wait_rest(rig->engine);
	CHECK_STR(request_at(rig, before + 1), request_at(rig, before));
	check_verified(rig, run);
}

/* After a restart it is not sent again unless the author said that it may be. */
static void test_restarted(struct engine_rig *rig, bool may_repeat)
{
	char run[32];
	const char *graph = may_repeat ? "again" : "once";
	size_t before = engine_rig_requests(rig);
	rig->is_released = false;
	engine_rig_graph(rig, graph, "",
	                 may_repeat ? SENDER(POST_TO("/hold", "event='e' gw:on-unsure='retry'"))
	                            : SENDER(POST_TO("/hold", "event='e'")));
	begin(rig, graph, port_of(rig), run);
	engine_rig_seen(rig, before + 1);
	engine_rig_reopen(rig);
	if (may_repeat)
		engine_rig_seen(rig, before + 2);
	engine_rig_let_go(rig);
	engine_wait_rest(rig->engine);
	CHECK(engine_rig_requests(rig) == before + (may_repeat ? 2 : 1));
	CHECK(engine_rig_count(rig, run, "unsure") == (may_repeat ? 0 : 1));
	if (may_repeat)
		CHECK_STR(request_at(rig, before + 1), request_at(rig, before));
	signal_run(rig, run, "go");
	check_verified(rig, run);
}

/* --- between runs ----------------------------------------------------------------------------- */

#define LISTENER                                                                      \
	"<datamodel><data id='got'/></datamodel><state id='a'>"                       \
	"<transition event='ping'><assign location='got' expr='_event.data.n'/>"      \
	"<send targetexpr='_event.origin' typeexpr='_event.origintype' event='pong'>" \
	"<param name='n' expr='_event.data.n + 1'/></send></transition>"              \
	"<transition event='stop' target='b'/></state>"                               \
	"<final id='b'><donedata><param name='got' expr='got'/></donedata></final>"
#define CALLER                                                                              \
	"<datamodel><data id='other'/><data id='n'/></datamodel><state id='a'><onentry>"    \
	"<send targetexpr=\"'#_scxml_' .. other\" event='ping'><param name='n' expr='41'/>" \
	"</send></onentry><transition event='pong' target='b'>"                             \
	"<assign location='n' expr='_event.data.n'/></transition></state>"                  \
	"<final id='b'><donedata><param name='n' expr='n'/></donedata></final>"

static void test_between_runs(struct engine_rig *rig)
{
	char listener[32], caller[32], *input;
	engine_rig_graph(rig, "listener", "", LISTENER);
	engine_rig_graph(rig, "caller", "", CALLER);
	begin(rig, "listener", "{}", listener);
	input = mem_format("{\"other\":\"%s\"}", listener);
	json_t *reply = engine_rig_start(rig, "caller", "c", input, caller);
	check_result(reply, "{\"n\":42}");
	json_decref(reply);
	engine_wait_rest(rig->engine);
	signal_run(rig, listener, "stop");
	reply = engine_rig_start(rig, "listener", "c", NULL, NULL);
	check_result(reply, "{\"got\":41}");
	json_decref(reply);
	check_verified(rig, listener);
	check_verified(rig, caller);
	free(input);
}

/* An event for a child of a run goes to the child, and what it may not be called is refused. */
static void test_signal_session(struct engine_rig *rig)
{
	char run[32];
	engine_rig_graph(
		rig, "family", "",
		"<state id='a'><invoke id='c'><content><scxml xmlns='http://www.w3.org/2005/07/"
		"scxml' version='1.0' datamodel='lua'><state id='x'><transition event='hi' "
		"target='y'/></state><final id='y'/></scxml></content></invoke>"
		"<transition event='hi' target='wrong'/>"
		"<transition event='done.invoke.c' target='b'/></state><state id='wrong'/>"
		"<final id='b'/>");
	begin(rig, "family", "{}", run);
	json_t *reply = engine_rig_ask(rig,
	                               "{\"op\":\"run.signal\",\"run\":\"%s\",\"session\":\"%s.1\","
	                               "\"event\":\"hi\"}",
	                               run, run);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	engine_wait_rest(rig->engine);
	CHECK_STR(engine_rig_status(rig, run), "ended");
	check_verified(rig, run);
}

int main(void)
{
	struct engine_rig rig;
	engine_rig_init(&rig, true);
	engine_rig_open(&rig);
	test_posted(&rig);
	test_failures(&rig);
	test_unsure(&rig);
	test_restarted(&rig, false);
	test_restarted(&rig, true);
	test_between_runs(&rig);
	test_signal_session(&rig);
	engine_rig_close(&rig);
	engine_rig_release(&rig);
	return check_done();
}
