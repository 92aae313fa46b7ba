/* SPDX-License-Identifier: MIT */
/*
 * Calls of actions: results and failures, refusals, inline answers and their
 * replay, gw:each, gw:advisory, gw:render.  The rig restarts the machine after
 * every step and aborts when the snapshot is not exact.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "rig.h"

#define CRM                                                                                   \
	"<datamodel><data id='got'/><data id='who' expr=\"'ada'\"/></datamodel>"              \
	"<state id='ask'><invoke id='crm' type='sf' src='find' gw:timeout='10s'>"             \
	"<param name='who' expr='who'/></invoke>"                                             \
	"<transition event='done.invoke.crm' target='ok'>"                                    \
	"<assign location='got' expr='_event.data'/></transition>"                            \
	"<transition event='error.communication.crm' target='bad'>"                           \
	"<assign location='got' expr='{_event.type, _event.invokeid, _event.data.message}'/>" \
	"</transition>"                                                                       \
	"<transition event='error.execution.crm' target='never'>"                             \
	"<assign location='got' expr='{_event.type, _event.invokeid, _event.data.message}'/>" \
	"</transition>"                                                                       \
	"<transition event='leave' target='ok'/></state>"                                     \
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
	CHECK(call->session == NULL); /* the root */
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
	"<state id='bad'/><final id='end'><donedata><param name='got' expr='got'/></donedata>" \
	"</final>"

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
	rig_init(&rig, "",
	         "<state id='a'><invoke id='i' type='rules' src='x'/>"
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

#define EACH                                                                              \
	"<datamodel><data id='got'/><data id='list' expr=\"{'a','b','c'}\"/></datamodel>" \
	"<state id='s'><invoke id='i' type='mail' src='post' gw:each='list' gw:as='who' " \
	"gw:parallel='2'><param name='to' expr='who'/></invoke>"                          \
	"<transition event='done.invoke.i' target='t'>"                                   \
	"<assign location='got' expr='_event.data'/></transition>"                        \
	"<transition event='error.execution.i' target='e'/>"                              \
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

#define ADVICE                                                                   \
	"<datamodel><data id='got' expr='1'/></datamodel>"                       \
	"<state id='s'><invoke id='i' type='llm' src='risk' gw:advisory='risk' " \
	"gw:fallback='fb'><param name='p' expr='%s'/></invoke>"                  \
	"<transition event='done.invoke.i' target='t'>"                          \
	"<assign location='got' expr='_event.data'/></transition>"               \
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
	rig_init(&rig, "",
	         "<state id='s'><invoke id='i' type='mail' src='post'>"
	         "<param name='to' expr=\"'x'\"/><param name='body' gw:render='m.md'/>"
	         "</invoke></state>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK_STR(rig_json(rig_effect(&rig, EFFECT_CALL, 0)->data),
	          "{\"body\":\"<m.md>\",\"to\":\"x\"}");
	CHECK_STR(rig_json(rig_effect(&rig, EFFECT_CALL, 0)->renders), "{\"body\":\"m.md\"}");
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
	return check_done();
}
