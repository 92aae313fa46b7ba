/* SPDX-License-Identifier: MIT */
/*
 * What the corpus cannot reach: unhandled errors, limits, timers, queues, child
 * sessions, cancelling, mended charts.  The rig restarts the machine after every
 * step and aborts when the snapshot is not exact.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "rig.h"

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
	rig_init(&rig, "",
	         "<state id='a'><transition target='b'/></state>"
	         "<state id='b'><transition target='a'/></state>");
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "graph.livelock");
	rig_release(&rig);

	rig_init(&rig, "", "<state id='a'><transition cond='return' target='a'/></state>");
	CHECK(rig_start(&rig, NULL) == ERR_BLOCKED);
	CHECK_STR(rig.err.id, "graph.livelock");
	rig_release(&rig);

	rig_init(&rig, "",
	         "<datamodel><data id='l' expr='{}'/></datamodel><script>"
	         "for i = 1, 1001 do l[i] = i end</script><state id='a'>"
	         "<transition event='go'><foreach array='l' item='x'>"
	         "<send event='e'/></foreach></transition></state>");
	CHECK(rig_start(&rig, NULL) == 0);
	CHECK(rig_event(&rig, "go", NULL) == ERR_LIMIT);
	CHECK_STR(rig.err.id, "limit.queue_events");
	rig_release(&rig);

	rig_init(&rig, "",
	         "<datamodel><data id='l' expr='{}'/></datamodel><script>"
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
	rig_init(&rig, "",
	         "<datamodel><data id='v' expr='1'/><data id='got'/></datamodel>"
	         "<state id='s'><onentry>"
	         "<send event='late' id='x' delay='2s'><param name='v' expr='v'/></send>"
	         "<send event='soon' delay='10ms'/>"
	         "<send type='slack' event='post' delay='1s'>"
	         "<param name='v' expr='v'/></send>"
	         "<assign location='v' expr='2'/></onentry>"
	         "<transition event='soon' target='t'/></state>"
	         "<state id='t'><transition event='late'><assign location='got' "
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
	rig_init(&rig, "",
	         "<state id='s'><onentry><send event='e' id='x' delay='1s'/></onentry>"
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
	rig_init(&rig, "",
	         "<datamodel><data id='n' expr='0'/></datamodel><state id='s'>"
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

#define ADDER                                                                              \
	"<scxml version='1.0' datamodel='lua'>"                                            \
	"<datamodel><data id='n' expr='1'/></datamodel><state id='c'>"                     \
	"<invoke id='deep' type='t' src='a'/><transition event='add' target='f'/></state>" \
	"<final id='f'><donedata><param name='back' expr='n + 1'/></donedata></final></scxml>"

static void test_child(void)
{
	struct rig rig;
	rig_init(&rig, "",
	         "<datamodel><data id='got' expr='{}'/><data id='back' expr='0'/></datamodel>"
	         "<state id='s'><invoke id='kid'><param name='n' expr='41'/>"
	         "<param name='back' location='back'/><finalize/><content>" ADDER
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

	rig_init(&rig, "",
	         "<state id='s'><invoke id='kid' src='none.scxml'/>"
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
	CHECK_STR(rig_datum(&rig, "got"), "[\"1&2=3 ü\",\"5\","
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
	rig_init(&rig, "",
	         "<state id='a'><transition event='go' target='b'/></state>"
	         "<state id='b'/>");
	CHECK(rig_start(&rig, NULL) == 0 && rig_event(&rig, "go", NULL) == 0);
	json_t *saved = machine_save(rig.machine);
	rig_init(&mended, "",
	         "<state id='new'/><state id='b'>"
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
