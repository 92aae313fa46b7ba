/* SPDX-License-Identifier: MIT */
/*
 * What the corpus cannot reach: calls and their failures, inline answers and
 * replay, gw:each, advisory calls, limits, cancelling.  The rig restarts the
 * machine after every step and aborts when the snapshot is not exact.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "rig.h"

#define CRM                                                                                    \
	"<datamodel><data id='got'/><data id='who' expr=\"'ada'\"/></datamodel>"               \
	"<state id='ask'><invoke id='crm' type='sf' src='find' gw:timeout='10s'>"              \
	"<param name='who' expr='who'/></invoke>"                                              \
	"<transition event='done.invoke.crm' target='ok'>"                                     \
	"<assign location='got' expr='_event.data'/></transition>"                             \
	"<transition event='error.communication.crm' target='bad'>"                            \
	"<assign location='got' expr='{_event.type, _event.invokeid, _event.data.message}'/>"  \
	"</transition>"                                                                        \
	"<transition event='error.execution.crm' target='never'>"                              \
	"<assign location='got' expr='{_event.type, _event.invokeid, _event.data.message}'/>"  \
	"</transition>"                                                                        \
	"<transition event='leave' target='ok'/></state>"                                      \
	"<state id='ok'/><state id='bad'/><state id='never'/>"

static void test_call(void)
{
	struct rig rig;
	rig_init(&rig, "", CRM);
	CHECK(rig_start(&rig, "{\"who\":\"bob\",\"unknown\":1}") == 0);
	const struct effect *call = rig_effect(&rig, EFFECT_CALL, 0);
	CHECK(call && rig.effects.len == 1);
	CHECK_STR(call->type, "sf");
	CHECK_STR(call->action, "find");
	CHECK_STR(call->id, "crm");
	CHECK_STR(call->state, "ask");
	CHECK_STR(call->session, "r");
	CHECK_STR(rig_json(call->data), "{\"who\":\"bob\"}");
	CHECK(call->dispatch->timeout_ms == 10000 && call->elements == 0);
	json_t *json = effect_to_json(call);
	CHECK_STR(json_str(json, "kind", ""), "call");
	CHECK(json_int(json_at(json, "dispatch"), "timeout_ms", 0) == 10000);
	json_decref(json);
	uint64_t number = call->number;
	CHECK(machine_wants(rig.machine, number) && !machine_wants(rig.machine, number + 1));
	CHECK(machine_listens(rig.machine, "done.invoke.crm"));
	CHECK(!machine_listens(rig.machine, "done.invoke"));
	CHECK(rig_result(&rig, number, "{\"id\":7}") == 0);
	CHECK_STR(rig_states(&rig), "ok");
	CHECK_STR(rig_datum(&rig, "got"), "{\"id\":7}");
	CHECK(!machine_wants(rig.machine, number) && rig.effects.len == 0);
	CHECK(rig_result(&rig, number, "{\"id\":8}") == 0);
	CHECK_STR(rig_datum(&rig, "got"), "{\"id\":7}");
	rig_release(&rig);
}

static void test_call_failures(void)
{
	struct rig rig;
	rig_init(&rig, "", CRM);
	CHECK(rig_start(&rig, NULL) == 0);
	uint64_t number = rig_effect(&rig, EFFECT_CALL, 0)->number;
	CHECK(rig_failure(&rig, number, "{\"message\":\"503\"}") == 0);
	CHECK_STR(rig_states(&rig), "bad");
	CHECK_STR(rig_datum(&rig, "got"), "[\"platform\",\"crm\",\"503\"]");
	rig_release(&rig);

	rig_init(&rig, "", CRM);
	rig.refused = "sf";
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_states(&rig), "never");
	CHECK(rig_count(&rig, EFFECT_CALL) == 0);
	CHECK_STR(rig_datum(&rig, "got"),
	          "[\"platform\",\"crm\",\"rig: there is no plugin 'sf'\"]");
	CHECK_STR(rig_json(json_array_get(json_array_get(rig.made, 0), 0)), "1");
	rig_release(&rig);

	rig_init(&rig, "", CRM);
	rig.unreachable = "sf";
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_states(&rig), "bad");
	rig_release(&rig);
}

static void test_call_cancelled(void)
{
	struct rig rig;
	rig_init(&rig, "", CRM);
	CHECK(rig_start(&rig, NULL) == 0);
	uint64_t number = rig_effect(&rig, EFFECT_CALL, 0)->number;
	CHECK(rig_event(&rig, "leave", NULL) == 0);
	const struct effect *cancel = rig_effect(&rig, EFFECT_CANCEL, 0);
	CHECK(cancel && cancel->number == number && rig.effects.len == 1);
	CHECK(!machine_wants(rig.machine, number));
	CHECK(rig_result(&rig, number, "{}") == 0);
	CHECK(rig_datum(&rig, "got") == NULL);
	rig_release(&rig);
}

/* A refused call is replayed from the record, whatever the world says now. */
static void test_refusal_replayed(void)
{
	struct rig rig;
	rig_init(&rig, "", CRM);
	rig.refused = "sf";
	CHECK(rig_start(&rig, NULL) == 0);
	json_t *made = json_incref(rig.made), *saved = machine_save(rig.machine);
	rig_release(&rig);
	rig_init(&rig, "", CRM);
	rig.answers = made;
	CHECK(rig_start(&rig, NULL) == 0);
	json_t *again = machine_save(rig.machine);
	CHECK(json_equal(saved, again) && json_equal(made, rig.made));
	json_decref(again);
	json_decref(saved);
	json_decref(made);
	rig_release(&rig);
}

#define RULES                                                                                  \
	"<datamodel><data id='got' expr='{}'/></datamodel>"                                    \
	"<state id='check'><invoke id='rules' type='rules' src='x'>"                           \
	"<param name='n' expr='1'/></invoke>"                                                  \
	"<transition event='done.invoke.rules' target='next'>"                                 \
	"<assign location='got' expr='_event.data'/></transition>"                             \
	"<transition event='error.communication.rules' target='bad'/></state>"                 \
	"<state id='next'><invoke id='more' type='rules' src='y'/>"                            \
	"<transition event='done.invoke.more' target='end'/></state>"                          \
	"<state id='bad'/><final id='end'><donedata><param name='got' expr='got'/></donedata></final>"

static void test_inline(void)
{
	struct rig rig;
	rig_init(&rig, "", RULES);
	rig.inlined = "rules";
	rig.inline_result = "{\"verdict\":\"go\"}";
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(machine_is_done(rig.machine) && rig.asked == 2);
	CHECK(rig_count(&rig, EFFECT_CALL) == 0);
	CHECK_STR(rig_json(rig_effect(&rig, EFFECT_DONE, 0)->data),
	          "{\"got\":{\"verdict\":\"go\"}}");
	CHECK_STR(rig_json(rig.made), "[[1,{\"result\":{\"verdict\":\"go\"}}],"
	                              "[2,{\"result\":{\"verdict\":\"go\"}}]]");
	json_t *made = json_incref(rig.made), *saved = machine_save(rig.machine);
	rig_release(&rig);

	rig_init(&rig, "", RULES);
	rig.inlined = "rules";
	rig.answers = made;
	CHECK(rig_start(&rig, NULL) == 0 && rig.asked == 0);
	json_t *again = machine_save(rig.machine);
	CHECK(json_equal(saved, again) && json_equal(made, rig.made));
	json_decref(again);
	json_decref(saved);
	json_decref(made);
	rig_release(&rig);

	rig_init(&rig, "", RULES);
	rig.inlined = "rules";
	rig.inline_failure = "{\"message\":\"no\"}";
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_states(&rig), "bad");
	rig_release(&rig);
}

static void test_inline_blocked(void)
{
	struct rig rig;
	rig_init(&rig, "", RULES);
	rig.inlined = "rules";
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "rule.error");
	CHECK(rig_event(&rig, "x", NULL) == ERR_BLOCKED); /* spoiled */
	rig_release(&rig);

	/* Two states that ask each other for ever. */
	rig_init(&rig, "", "<state id='a'><invoke id='i' type='rules' src='x'/>"
	                   "<transition event='done.invoke.i' target='a'/></state>");
	rig.inlined = "rules";
	rig.inline_result = "1";
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "graph.livelock");
	CHECK(rig.asked == LIMIT_INLINE_MACROSTEPS);
	rig_release(&rig);

	/* The record has to have what the replay asks for. */
	rig_init(&rig, "", RULES);
	rig.inlined = "rules";
	rig.answers = json_array();
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "run.replay");
	json_decref((json_t *)rig.answers);
	rig_release(&rig);
}

#define EACH                                                                                   \
	"<datamodel><data id='got'/><data id='list' expr=\"{'a','b','c'}\"/></datamodel>"      \
	"<state id='s'><invoke id='i' type='mail' src='post' gw:each='list' gw:as='who' "      \
	"gw:parallel='2'><param name='to' expr='who'/></invoke>"                               \
	"<transition event='done.invoke.i' target='t'>"                                        \
	"<assign location='got' expr='_event.data'/></transition>"                             \
	"<transition event='error.execution.i' target='e'/>"                                   \
	"<transition event='leave' target='e'/></state><state id='t'/><state id='e'/>"

static void test_each(void)
{
	struct rig rig;
	rig_init(&rig, "", EACH);
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_count(&rig, EFFECT_CALL) == 2);
	const struct effect *second = rig_effect(&rig, EFFECT_CALL, 1);
	uint64_t number = second->number;
	CHECK(second->element == 1 && second->elements == 3);
	CHECK(rig_effect(&rig, EFFECT_CALL, 0)->number == number);
	CHECK_STR(rig_json(second->data), "{\"to\":\"b\"}");
	CHECK(rig_element(&rig, number, 1, "\"B\"") == 0);
	CHECK(rig_count(&rig, EFFECT_CALL) == 1);
	CHECK(rig_effect(&rig, EFFECT_CALL, 0)->element == 2);
	CHECK_STR(rig_json(rig_effect(&rig, EFFECT_CALL, 0)->data), "{\"to\":\"c\"}");
	CHECK_STR(rig_effect(&rig, EFFECT_CALL, 0)->action, "post");
	CHECK(rig_element(&rig, number, 1, "\"twice\"") == 0 && rig.effects.len == 0);
	CHECK(rig_element(&rig, number, 9, "\"none\"") == 0);
	CHECK(rig_element(&rig, number, 2, NULL) == 0);
	CHECK(rig_failure(&rig, number, "{\"message\":\"m\"}") == 0);
	CHECK_STR(rig_states(&rig), "t");
	CHECK_STR(rig_datum(&rig, "got"),
	          "[{\"error\":{\"message\":\"m\"},\"ok\":false,\"took_ms\":0},"
	          "{\"data\":\"B\",\"ok\":true,\"took_ms\":5},{\"ok\":true,\"took_ms\":5}]");
	rig_release(&rig);
}

static void test_each_ends(void)
{
	struct rig rig;
	rig_init(&rig, "", EACH);
	CHECK(rig_start(&rig, "{\"list\":[]}") == 0);
	CHECK_STR(rig_states(&rig), "t");
	CHECK_STR(rig_datum(&rig, "got"), "[]");
	rig_release(&rig);

	rig_init(&rig, "", EACH);
	CHECK(rig_start(&rig, "{\"list\":7}") == 0);
	CHECK_STR(rig_states(&rig), "e");
	rig_release(&rig);

	rig_init(&rig, "", EACH);
	rig.inlined = "mail";
	rig.inline_result = "\"x\"";
	CHECK(rig_start(&rig, NULL) == 0 && rig.asked == 3);
	CHECK_STR(rig_states(&rig), "t");
	rig_release(&rig);

	rig_init(&rig, "", EACH);
	CHECK(rig_start(&rig, NULL) == 0);
	uint64_t number = rig_effect(&rig, EFFECT_CALL, 0)->number;
	CHECK(rig_element(&rig, number, 0, "1") == 0);
	CHECK(rig_event(&rig, "leave", NULL) == 0);
	CHECK(rig_count(&rig, EFFECT_CANCEL) == 2);
	CHECK(rig_effect(&rig, EFFECT_CANCEL, 0)->element == 1);
	CHECK(rig_effect(&rig, EFFECT_CANCEL, 1)->element == 2);
	rig_release(&rig);
}

#define ADVICE                                                                                 \
	"<datamodel><data id='got' expr='1'/></datamodel>"                                     \
	"<state id='s'><invoke id='i' type='llm' src='risk' gw:advisory='risk' "               \
	"gw:fallback='fb'><param name='p' expr='%s'/></invoke>"                                \
	"<transition event='done.invoke.i' target='t'>"                                        \
	"<assign location='got' expr='_event.data'/></transition>"                             \
	"<transition event='error.*' target='e'/></state><state id='t'/><state id='e'/>"

static void check_advice(const char *param, const char *refused, const char *result,
                         const char *failure)
{
	struct rig rig;
	char *body = mem_format(ADVICE, param);
	rig_init(&rig, "", body);
	free(body);
	rig.refused = refused;
	CHECK(rig_start(&rig, NULL) == 0);
	const struct effect *call = rig_effect(&rig, EFFECT_CALL, 0);
	if (call)
		CHECK_STR(call->dispatch->fallback, "fb");
	if (call && failure)
		CHECK(rig_failure(&rig, call->number, failure) == 0);
	else if (call)
		CHECK(rig_result(&rig, call->number, result) == 0);
	CHECK_STR(rig_states(&rig), "t");
	CHECK(rig_datum(&rig, "got") == NULL);
	rig_release(&rig);
}

/* Whatever an advisory call does, the chart sees one thing. */
static void test_advisory(void)
{
	check_advice("1", NULL, "{\"level\":\"high\"}", NULL);
	check_advice("1", NULL, NULL, "{\"message\":\"down\"}");
	check_advice("1", "llm", NULL, NULL);
	check_advice("nobody.knows", NULL, NULL, NULL);
}

static void test_render(void)
{
	struct rig rig;
	rig_init(&rig, "", "<state id='s'><invoke id='i' type='mail' src='post'>"
	                   "<param name='to' expr=\"'x'\"/><param name='body' gw:render='m.md'/>"
	                   "</invoke></state>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_json(rig_effect(&rig, EFFECT_CALL, 0)->data),
	          "{\"body\":\"<m.md>\",\"to\":\"x\"}");
	CHECK_STR(rig_json(rig_effect(&rig, EFFECT_CALL, 0)->renders), "{\"body\":\"m.md\"}");
	rig_release(&rig);
}

static void test_error_policy(void)
{
	static const char body[] =
		"<state id='s'><transition event='go' target='s'>"
		"<script>error('oops')</script></transition>"
		"<transition event='final' target='f'/></state>"
		"<final id='f'><onentry><script>error('late')</script></onentry></final>";
	struct rig rig;
	rig_init(&rig, "", body);
	CHECK(rig_start(&rig, NULL) == 0 && rig_event(&rig, "go", NULL) == 0);
	CHECK(rig_count(&rig, EFFECT_DROPPED) == 1);
	CHECK_STR(rig_effect(&rig, EFFECT_DROPPED, 0)->label, "error.execution");
	CHECK(rig_event(&rig, "final", NULL) == 0);
	CHECK(rig_count(&rig, EFFECT_DROPPED) == 1 && machine_is_done(rig.machine));
	rig_release(&rig);

	rig_init(&rig, "gw:on-error='block'", body);
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_event(&rig, "go", NULL) == ERR_BLOCKED);
	CHECK(strstr(rig.err.text, "oops") != NULL);
	rig_release(&rig);

	/* An error that nobody could take any more is not a good end. */
	rig_init(&rig, "gw:on-error='block'", body);
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_event(&rig, "final", NULL) == ERR_BLOCKED);
	rig_release(&rig);

	/* The reason is the one the failure names. */
	rig_init(&rig, "gw:on-error='block'",
	         "<state id='s'><invoke id='i' type='t' src='a'/></state>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_failure(&rig, 1, "{\"error_code\":\"E42\",\"message\":\"m\"}") == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "E42");
	rig_release(&rig);
}

static void test_limits(void)
{
	struct rig rig;
	rig_init(&rig, "", "<state id='a'><transition target='b'/></state>"
	                   "<state id='b'><transition target='a'/></state>");
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "graph.livelock");
	rig_release(&rig);

	rig_init(&rig, "", "<state id='a'><transition cond='return' target='a'/></state>");
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "graph.livelock");
	rig_release(&rig);

	rig_init(&rig, "", "<datamodel><data id='l' expr='{}'/></datamodel><script>"
	                   "for i = 1, 1001 do l[i] = i end</script><state id='a'>"
	                   "<transition event='go'><foreach array='l' item='x'>"
	                   "<send event='e'/></foreach></transition></state>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_event(&rig, "go", NULL) == ERR_LIMIT);
	CHECK_STR(rig.err.id, "limit.queue_events");
	rig_release(&rig);

	rig_init(&rig, "", "<datamodel><data id='l' expr='{}'/></datamodel><script>"
	                   "for i = 1, 1000 do l[i] = i end</script><state id='a'>"
	                   "<transition event='go'><foreach array='l' item='x'>"
	                   "<send type='t' event='e'/></foreach></transition></state>");
	rig.restarts = false;
	CHECK(rig_start(&rig, NULL) == 0);
	int status = 0, rounds = 0;
	while (status == 0 && rounds < 11) {
		status = rig_event(&rig, "go", NULL);
		rounds++;
	}
	CHECK(status == ERR_BLOCKED && rounds == 11);
	CHECK_STR(rig.err.id, "run.calls");
	rig_release(&rig);
}

static void test_histories_in_a_circle(void)
{
	struct err err = { 0 };
	struct chart *chart = NULL;
	static const char text[] =
		"<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' datamodel='lua'>"
		"<state id='s' initial='h'><history id='h'><transition target='h'/></history>"
		"<state id='a'/></state></scxml>";
	if (chart_new(str_of(text), "x", NULL, NULL, &chart, &err) < 0) {
		CHECK(err.code == ERR_INPUT); /* better still: it does not even load */
		return;
	}
	chart_unref(chart);
	struct rig rig;
	rig_init_chart(&rig, text);
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	rig_release(&rig);
}

static void test_timers(void)
{
	struct rig rig;
	rig_init(&rig, "", "<datamodel><data id='v' expr='1'/><data id='got'/></datamodel>"
	                   "<state id='s'><onentry>"
	                   "<send event='late' id='x' delay='2s'><param name='v' expr='v'/></send>"
	                   "<send event='soon' delay='10ms'/>"
	                   "<send type='slack' event='post' delay='1s'>"
	                   "<param name='v' expr='v'/></send>"
	                   "<assign location='v' expr='2'/></onentry>"
	                   "<transition event='soon' target='t'/></state>"
	                   "<state id='t'><transition event='stop'><cancel sendid='x'/></transition>"
	                   "<transition event='late'><assign location='got' "
	                   "expr='{_event.data.v, _event.sendid, now()}'/></transition></state>");
	rig.now_ms = 1000;
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_count(&rig, EFFECT_TIMER) == 3);
	uint64_t number = 0;
	CHECK(machine_next_due(rig.machine, &number) == 1010);
	rig.now_ms = 1020;
	CHECK(rig_timer(&rig, number) == 0);
	CHECK_STR(rig_states(&rig), "t");
	CHECK(rig_timer(&rig, number) == 0); /* once is enough */
	CHECK(machine_next_due(rig.machine, &number) == 2000);
	rig.now_ms = 2000;
	CHECK(rig_timer(&rig, number) == 0);
	const struct effect *send = rig_effect(&rig, EFFECT_SEND, 0);
	CHECK_STR(send->type, "slack");
	CHECK_STR(send->action, "post");
	CHECK_STR(rig_json(send->data), "{\"v\":1}");
	CHECK(send->dispatch && send->dispatch->timeout_ms == -1);
	CHECK(machine_next_due(rig.machine, &number) == 3000);
	rig.now_ms = 500; /* the wall clock may jump, now() does not */
	CHECK(rig_event(&rig, "nothing", NULL) == 0);
	CHECK(rig_timer(&rig, number) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[1,\"x\",2000]");
	CHECK(machine_next_due(rig.machine, &number) == INT64_MAX);
	rig_release(&rig);
}

static void test_cancel_of_send(void)
{
	struct rig rig;
	rig_init(&rig, "", "<state id='s'><onentry><send event='e' id='x' delay='1s'/></onentry>"
	                   "<transition event='stop'><cancel sendidexpr=\"'x'\"/></transition>"
	                   "</state>");
	CHECK(rig_start(&rig, NULL) == 0);
	uint64_t number = rig_effect(&rig, EFFECT_TIMER, 0)->number;
	CHECK(rig_event(&rig, "stop", NULL) == 0);
	const struct effect *stop = rig_effect(&rig, EFFECT_TIMER_STOP, 0);
	CHECK(stop && stop->number == number);
	CHECK(machine_next_due(rig.machine, NULL) == INT64_MAX);
	rig_release(&rig);
}

static void test_send_failures(void)
{
	static const char body[] =
		"<datamodel><data id='got'/></datamodel><state id='s'>"
		"<transition event='go'><send id='m' type='slack' event='post'/></transition>"
		"<transition event='bad'><send id='m' target='nowhere' event='e'/></transition>"
		"<transition event='gone'><send id='m' target='#_none' event='e'/></transition>"
		"<transition event='soon'><send id='m' target='#_none' event='e' delay='1s'/>"
		"</transition>"
		"<transition event='internal'><send target='#_internal' event='e' delay='1s'/>"
		"</transition>"
		"<transition event='error.*'><assign location='got' "
		"expr='{_event.name, _event.sendid}'/></transition></state>";
	struct rig rig;
	rig_init(&rig, "", body);
	CHECK(rig_start(&rig, NULL) == 0 && rig_event(&rig, "go", NULL) == 0);
	uint64_t number = rig_effect(&rig, EFFECT_SEND, 0)->number;
	CHECK(rig_failure(&rig, number, "{\"message\":\"m\"}") == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"error.communication\",\"m\"]");
	CHECK(rig_event(&rig, "go", NULL) == 0);
	number = rig_effect(&rig, EFFECT_SEND, 0)->number;
	CHECK(rig_result(&rig, number, "{}") == 0 && !machine_wants(rig.machine, number));
	CHECK(rig_event(&rig, "bad", NULL) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"error.execution\",\"m\"]");
	CHECK(rig_event(&rig, "gone", NULL) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"error.communication\",\"m\"]");
	CHECK(rig_event(&rig, "internal", NULL) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"error.execution\",\"r.send.1\"]");
	CHECK(rig_event(&rig, "soon", NULL) == 0);
	CHECK(rig_timer(&rig, rig_effect(&rig, EFFECT_TIMER, 0)->number) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"error.communication\",\"m\"]");
	rig.refused = "slack";
	CHECK(rig_event(&rig, "go", NULL) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"error.execution\",\"m\"]");
	rig_release(&rig);
}

/* Ten durable steps: each undelayed send of a session to itself is an input of its own. */
static void test_queue(void)
{
	struct rig rig;
	rig_init(&rig, "", "<datamodel><data id='n' expr='0'/></datamodel><state id='s'>"
	                   "<onentry><send event='go'/></onentry>"
	                   "<transition event='go' cond='n &lt; 10'>"
	                   "<assign location='n' expr='n + 1'/><send event='go'/></transition>"
	                   "<transition event='go' target='t'/></state><final id='t'/>");
	CHECK(rig_start(&rig, NULL) == 0);
	int steps = 0;
	while (machine_has_queued(rig.machine) && rig_queued(&rig) == 0)
		steps++;
	CHECK(steps == 11 && machine_is_done(rig.machine));
	CHECK_STR(rig_datum(&rig, "n"), "10");
	CHECK_STR(rig_states(&rig), "t");
	CHECK(rig_queued(&rig) == 0 && rig.effects.len == 0);
	rig_release(&rig);
}

static void test_cancel_of_run(void)
{
	struct rig rig;
	rig_init(&rig, "gw:on-error='block'",
	         "<state id='p'><onexit><log label='p'/></onexit><state id='s'>"
	         "<onentry><send event='e' delay='1s'/><send event='q'/></onentry>"
	         "<invoke id='i' type='t' src='a'/>"
	         "<onexit><log label='s'/><script>error('x')</script></onexit>"
	         "</state></state>");
	CHECK(rig_start(&rig, NULL) == 0 && machine_has_queued(rig.machine));
	CHECK(rig_cancel(&rig) == 0 && machine_is_done(rig.machine));
	CHECK_STR(rig_effect(&rig, EFFECT_LOG, 0)->label, "s");
	CHECK_STR(rig_effect(&rig, EFFECT_LOG, 1)->label, "p");
	CHECK(rig_count(&rig, EFFECT_CANCEL) == 1 && rig_count(&rig, EFFECT_TIMER_STOP) == 1);
	CHECK(rig_count(&rig, EFFECT_DROPPED) == 1);
	CHECK(rig.effects.at[rig.effects.len - 1].kind == EFFECT_DONE);
	CHECK(rig_effect(&rig, EFFECT_DONE, 0)->data == NULL);
	CHECK(!machine_has_queued(rig.machine));
	CHECK(rig_event(&rig, "e", NULL) == 0 && rig.effects.len == 0);
	CHECK(rig_cancel(&rig) == 0 && rig.effects.len == 0);
	rig_release(&rig);
}

#define CHILD(body) "<scxml version='1.0' datamodel='lua'>" body "</scxml>"

static void test_child(void)
{
	struct rig rig;
	rig_init(&rig, "",
	         "<datamodel><data id='got' expr='{}'/><data id='back' expr='0'/></datamodel>"
	         "<state id='s'><invoke id='kid'><param name='n' expr='41'/>"
	         "<param name='back' location='back'/><finalize/><content>"
	         CHILD("<datamodel><data id='n' expr='1'/></datamodel><state id='c'>"
	               "<invoke id='deep' type='t' src='a'/>"
	               "<transition event='add' target='f'/></state>"
	               "<final id='f'><donedata><param name='back' expr='n + 1'/></donedata></final>")
	         "</content></invoke>"
	         "<transition event='go'><send target='#_kid' event='add'/></transition>"
	         "<transition event='leave' target='t'/>"
	         "<transition event='done.invoke.kid' target='t'>"
	         "<assign location='got' expr='{_event.data.back, _event.invokeid}'/>"
	         "</transition></state><state id='t'/>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_effect(&rig, EFFECT_CALL, 0)->session, "r.1");
	CHECK(rig_event(&rig, "go", NULL) == 0 && machine_has_queued(rig.machine));
	CHECK(rig_queued(&rig) == 0);
	CHECK(rig_count(&rig, EFFECT_CANCEL) == 1);
	CHECK(machine_queue_length(rig.machine) == 1);
	CHECK(rig_queued(&rig) == 0);
	CHECK_STR(rig_states(&rig), "t");
	CHECK_STR(rig_datum(&rig, "got"), "[42,\"kid\"]");
	CHECK_STR(rig_datum(&rig, "back"), "42"); /* the empty finalize did it */
	rig_release(&rig);
}

static void test_child_events(void)
{
	struct rig rig;
	rig_init(&rig, "",
	         "<datamodel><data id='got' expr='{}'/></datamodel>"
	         "<state id='s'><invoke id='kid' src='file:kid.scxml'/>"
	         "<transition event='hello'><assign location='got' "
	         "expr='{_event.invokeid, _event.origin}'/>"
	         "<send targetexpr='_event.origin' event='bye'/></transition>"
	         "<transition event='done.invoke' target='t'/></state><state id='t'/>");
	rig.child_name = "kid.scxml";
	rig.child_text = "<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' "
	                 "datamodel='lua'><state id='c'><onentry>"
	                 "<send target='#_parent' event='hello'/></onentry>"
	                 "<transition event='bye' target='f'/></state><final id='f'/></scxml>";
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_queued(&rig) == 0);
	CHECK_STR(rig_datum(&rig, "got"), "[\"kid\",\"#_scxml_r.1\"]");
	/* From outside, to the child by its id. */
	struct input input = { .kind = INPUT_EVENT, .session = "r.1" };
	input.event = (struct event){ .type = EVENT_EXTERNAL, .name = mem_dup_str("other") };
	CHECK(rig_input(&rig, &input) == 0 && machine_queue_length(rig.machine) == 1);
	event_release(&input.event);
	CHECK(rig_queued(&rig) == 0 && rig_queued(&rig) == 0);
	CHECK_STR(rig_states(&rig), "t");
	rig_release(&rig);

	rig_init(&rig, "", "<state id='s'><invoke id='kid' src='none.scxml'/>"
	                   "<transition event='error.execution.kid' target='t'/></state>"
	                   "<state id='t'/>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_states(&rig), "t");
	rig_release(&rig);
}

static void test_children_without_end(void)
{
	struct rig rig;
	rig_init(&rig, "", "<state id='s'><invoke src='kid.scxml'/></state>");
	rig.child_name = "kid.scxml";
	rig.child_text = "<scxml xmlns='http://www.w3.org/2005/07/scxml' version='1.0' "
	                 "datamodel='lua'><state id='c'><invoke src='kid.scxml'/></state></scxml>";
	CHECK(rig_start(&rig, NULL) == ERR_LIMIT);
	CHECK_STR(rig.err.id, "limit.child_sessions");
	rig_release(&rig);
}

static void test_http(void)
{
	struct rig rig;
	rig_init(&rig, "",
	         "<datamodel><data id='got'/></datamodel><state id='s'>"
	         "<transition event='self'><send type='basichttp' event='in' "
	         "targetexpr='_ioprocessors.basichttp.location'><param name='a b' "
	         "expr=\"'1&amp;2=3 ü'\"/><param name='n' expr='5'/></send></transition>"
	         "<transition event='out'><send type='basichttp' event='in' target='http://there/'>"
	         "<param name='n' expr='5'/></send></transition>"
	         "<transition event='in'><assign location='got' expr=\"{_event.data['a b'], "
	         "_event.data.n, _event.raw}\"/></transition></state>");
	CHECK(rig_start(&rig, NULL) == 0 && rig_event(&rig, "self", NULL) == 0);
	CHECK(rig.effects.len == 0 && rig_queued(&rig) == 0);
	CHECK_STR(rig_datum(&rig, "got"),
	          "[\"1&2=3 ü\",\"5\","
	          "\"_scxmleventname=in&a%20b=1%262%3D3%20%C3%BC&n=5\"]");
	CHECK(rig_event(&rig, "out", NULL) == 0);
	const struct effect *out = rig_effect(&rig, EFFECT_HTTP_EVENT, 0);
	CHECK(out != NULL);
	CHECK_STR(out->target, "http://there/");
	CHECK_STR(out->action, "in");
	CHECK_STR(rig_json(out->data), "{\"n\":5}");
	rig_release(&rig);
}

static void test_input_json(void)
{
	struct input input = {
		.kind = INPUT_RESULT,
		.at_ms = 5,
		.number = 9,
		.element = 2,
		.ok = true,
		.data = json_integer(3),
		.took_ms = 4,
	};
	struct input back;
	struct err err = { 0 };
	struct arena arena;
	arena_init(&arena);
	json_t *json = input_to_json(&input);
	CHECK(input_from_json(json, &arena, &back, &err) == 0);
	CHECK(back.kind == INPUT_RESULT && back.number == 9 && back.element == 2 && back.ok);
	CHECK(json_integer_value(back.data) == 3 && back.took_ms == 4 && back.at_ms == 5);
	json_decref(json);
	json_decref(input.data);
	input = (struct input){ .kind = INPUT_EVENT, .session = "r.1" };
	input.event = (struct event){ .type = EVENT_EXTERNAL, .name = mem_dup_str("n") };
	json = input_to_json(&input);
	event_release(&input.event);
	CHECK(input_from_json(json, &arena, &back, &err) == 0);
	CHECK_STR(back.event.name, "n");
	CHECK_STR(back.session, "r.1");
	CHECK(back.event.data == NULL && back.event.type == EVENT_EXTERNAL);
	json_decref(json);
	json = json_pack("{s:s}", "kind", "nonsense");
	CHECK(input_from_json(json, &arena, &back, &err) == ERR_INPUT);
	json_decref(json);
	arena_release(&arena);
}

/* A snapshot in a chart that was mended meanwhile. */
static void test_mended_chart(void)
{
	struct rig rig, mended;
	rig_init(&rig, "", "<state id='a'><transition event='go' target='b'/></state>"
	                   "<state id='b'/>");
	CHECK(rig_start(&rig, NULL) == 0 && rig_event(&rig, "go", NULL) == 0);
	json_t *saved = machine_save(rig.machine);
	rig_init(&mended, "", "<state id='new'/><state id='b'>"
	                      "<transition event='on' target='new'/></state>");
	struct machine *machine = NULL;
	CHECK(machine_restore(&mended.options, saved, &machine, &mended.err) == 0);
	machine_free(mended.machine);
	mended.machine = machine;
	CHECK(rig_event(&mended, "on", NULL) == 0);
	CHECK_STR(rig_states(&mended), "new");
	rig_release(&mended);
	rig_init(&mended, "", "<state id='new'/>");
	CHECK(machine_restore(&mended.options, saved, &machine, &mended.err) == ERR_CONFLICT);
	CHECK_STR(mended.err.id, "run.state_gone");
	rig_release(&mended);
	rig_init(&mended, "", "<state id='b'><state id='c'/></state>");
	CHECK(machine_restore(&mended.options, saved, &machine, &mended.err) == ERR_CONFLICT);
	rig_release(&mended);
	json_decref(saved);
	rig_release(&rig);
}

static void test_misuse(void)
{
	struct rig rig;
	rig_init(&rig, "", "<state id='a'/>");
	CHECK(rig_event(&rig, "x", NULL) == ERR_INPUT);
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_start(&rig, NULL) == ERR_INPUT);
	CHECK(rig_event(&rig, "x", NULL) == 0); /* neither spoiled it */
	rig_release(&rig);
}

int main(void)
{
	mem_install();
	test_call();
	test_call_failures();
	test_call_cancelled();
	test_refusal_replayed();
	test_inline();
	test_inline_blocked();
	test_each();
	test_each_ends();
	test_advisory();
	test_render();
	test_error_policy();
	test_limits();
	test_histories_in_a_circle();
	test_timers();
	test_cancel_of_send();
	test_send_failures();
	test_queue();
	test_cancel_of_run();
	test_child();
	test_child_events();
	test_children_without_end();
	test_http();
	test_input_json();
	test_mended_chart();
	test_misuse();
	return check_done();
}
