/* SPDX-License-Identifier: MIT */
/* The driver: what comes before what, with a virtual clock and canned answers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "machine/driver.h"
#include "rig.h"

/* What was told: "at:event:atomic states" for each stable configuration. */
struct story {
	char text[4096];
	json_t *data; /* of the last line */
	char logs[1024];
};

static void on_stable(void *ctx, const json_t *line)
{
	struct story *story = ctx;
	size_t len = strlen(story->text);
	snprintf(story->text + len, sizeof(story->text) - len, "%s%lld:%s:%s", len ? " " : "",
	         (long long)json_int(line, "at_ms", -1), json_str(line, "event", "-"),
	         rig_json(json_at(line, "atomic")));
	json_decref(story->data);
	story->data = json_incref(json_at(line, "data"));
}

static void on_effect(void *ctx, const json_t *effect)
{
	struct story *story = ctx;
	size_t len = strlen(story->logs);
	snprintf(story->logs + len, sizeof(story->logs) - len, "%s%s", len ? " " : "",
	         json_str(effect, "kind", ""));
}

static json_t *parsed(const char *text)
{
	struct err err = { 0 };
	json_t *ret = NULL;
	if (text && json_read(str_of(text), LIMIT_JSON_BYTES, &ret, &err) < 0)
		abort();
	return ret;
}

/* Both with and without restarts; the stories must be the same. */
static void tell(const char *body, const char *script, const char *answers, int64_t until_ms,
                 bool want_final, struct story *story)
{
	struct rig rig;
	struct story again = { .data = NULL };
	struct err err = { 0 };
	bool is_final = !want_final;
	rig_init(&rig, "", body);
	*story = (struct story){ .data = NULL };
	json_t *events = parsed(script), *canned = parsed(answers);
	struct driver_options options = {
		.chart = rig.chart,
		.env = &rig.env,
		.script = events,
		.answers = canned,
		.until_ms = until_ms,
		.on_stable = on_stable,
		.on_effect = on_effect,
		.ctx = story,
	};
	CHECK_MSG(driver_run(&options, &is_final, &err) == 0, "runs: %s", err.text);
	CHECK(is_final == want_final);
	options.restarts = true;
	options.ctx = &again;
	CHECK(driver_run(&options, &is_final, &err) == 0);
	CHECK_STR(again.text, story->text);
	json_decref(again.data);
	json_decref(events);
	json_decref(canned);
	rig_release(&rig);
}

static void test_order(void)
{
	struct story story;
	tell("<state id='a'><onentry><send event='late' delay='100ms'/><send event='self'/>"
	     "</onentry>"
	     "<transition event='self' target='b'/></state>"
	     "<state id='b'><transition event='now' target='c'/></state>"
	     "<state id='c'><transition event='late' target='d'/></state>"
	     "<state id='d'><transition event='then' target='e'/></state><final id='e'/>",
	     "[{\"event\":{\"name\":\"now\"}},{\"event\":{\"name\":\"then\"},\"after\":100}]", NULL,
	     -1, true, &story);
	CHECK_STR(story.text, "0:-:[\"a\"] 0:self:[\"b\"] 0:now:[\"c\"] 100:late:[\"d\"] "
	                      "100:then:[\"e\"]");
	json_decref(story.data);
}

static void test_answers(void)
{
	struct story story;
	tell("<datamodel><data id='got' expr='{}'/></datamodel>"
	     "<state id='a'><invoke id='i' type='t' src='x'/>"
	     "<transition event='done.invoke.i' target='b'><assign location='got.first' "
	     "expr='_event.data'/></transition></state>"
	     "<state id='b'><invoke id='j' type='t' src='x'/>"
	     "<transition event='error.communication.j' target='c'><assign location='got.second' "
	     "expr='_event.data.message'/></transition></state>"
	     "<state id='c'><invoke id='k' type='t' src='none'/></state>",
	     NULL, "{\"t.x\":[{\"result\":1,\"after\":20},{\"error\":\"down\"}]}", -1, false,
	     &story);
	CHECK_STR(story.text,
	          "0:-:[\"a\"] 20:done.invoke.i:[\"b\"] 20:error.communication.j:[\"c\"]");
	CHECK_STR(rig_json(json_at(story.data, "got")), "{\"first\":1,\"second\":\"down\"}");
	CHECK_STR(story.logs, "call call call");
	json_decref(story.data);
}

static void test_until(void)
{
	static const char body[] =
		"<state id='a'><onentry><send event='tick' delay='1s'/></onentry>"
		"<transition event='tick' target='a'/></state>";
	struct story story;
	tell(body, NULL, NULL, 2500, false, &story);
	CHECK_STR(story.text, "0:-:[\"a\"] 1000:tick:[\"a\"] 2000:tick:[\"a\"]");
	json_decref(story.data);
}

/* The last answer repeats; each element of a list takes one. */
static void test_each(void)
{
	struct story story;
	tell("<datamodel><data id='got' expr='{}'/></datamodel>"
	     "<state id='a'><invoke id='i' type='t' src='x' gw:each='{1,2,3}'/>"
	     "<transition event='done.invoke.i' target='b'><assign location='got' "
	     "expr='{_event.data[1].data, _event.data[2].ok, _event.data[3].ok}'/></transition>"
	     "</state><final id='b'/>",
	     NULL, "{\"t.x\":[{\"result\":1},{\"error\":{\"message\":\"m\"}}]}", -1, true, &story);
	CHECK_STR(rig_json(json_at(story.data, "got")), "[1,false,false]");
	json_decref(story.data);
}

static void test_failures(void)
{
	struct rig rig;
	struct err err = { 0 };
	bool is_final = true;
	rig_init(&rig, "", "<state id='a'><transition target='a'/></state>");
	struct driver_options options = { .chart = rig.chart, .env = &rig.env, .until_ms = -1 };
	CHECK(driver_run(&options, &is_final, &err) == ERR_BLOCKED && !is_final);
	CHECK_STR(err.id, "graph.livelock");
	rig_release(&rig);

	rig_init(&rig, "", "<state id='a'/>");
	json_t *script = parsed("[{\"event\":{\"nome\":\"x\"}}]");
	options = (struct driver_options){
		.chart = rig.chart, .env = &rig.env, .until_ms = -1, .script = script
	};
	err_clear(&err);
	CHECK(driver_run(&options, &is_final, &err) == ERR_INPUT);
	CHECK(strstr(err.text, "event 1 of the script") != NULL);
	json_decref(script);
	rig_release(&rig);
}

/* Neither without time nor with it, unless somebody says until when. */
static void test_endless(void)
{
	static const char at_once[] = "<state id='a'><onentry><send event='e'/></onentry>"
				      "<transition event='e' target='a'/></state>";
	static const char in_time[] =
		"<state id='a'><onentry><send event='e' delay='1ms'/></onentry>"
		"<transition event='e' target='a'/></state>";
	struct rig rig;
	struct err err = { 0 };
	bool is_final = true;
	rig_init(&rig, "", at_once);
	struct driver_options options = { .chart = rig.chart, .env = &rig.env, .until_ms = 1000 };
	CHECK(driver_run(&options, &is_final, &err) == ERR_LIMIT && !is_final);
	CHECK_STR(err.id, "driver.endless");
	rig_release(&rig);
	rig_init(&rig, "", in_time);
	options.chart = rig.chart;
	err_clear(&err);
	CHECK_MSG(driver_run(&options, &is_final, &err) == 0, "a clock that ticks may tick");
	options.until_ms = -1;
	CHECK(driver_run(&options, &is_final, &err) == ERR_LIMIT);
	rig_release(&rig);
}

static int note_result(void *ctx, const json_t *effect, bool ok, const json_t *value,
                       struct err *err)
{
	struct story *story = ctx;
	size_t len = strlen(story->logs);
	(void)err;
	snprintf(story->logs + len, sizeof(story->logs) - len, "[%s %s %s]",
	         json_str(effect, "id", "?"), ok ? "ok" : "failed", rig_json(value));
	return 0;
}

/* By hand: calls stay open until they are answered or withdrawn, time passes when told. */
static void test_by_hand(void)
{
	struct rig rig;
	struct story story = { .data = NULL };
	struct err err = { 0 };
	struct driver *driver = NULL;
	rig_init(&rig, "",
	         "<state id='a'><invoke id='i' type='t' src='x'/><invoke id='j' type='t' src='x'/>"
	         "<transition event='done.invoke.i' target='b'/></state>"
	         "<state id='b'><onentry><send event='late' delay='10ms'/></onentry>"
	         "<invoke id='k' type='people'/>"
	         "<transition event='late' target='c'/></state>"
	         "<state id='c'><transition event='go' target='d'/></state><final id='d'/>");
	json_t *answers =
		parsed("{\"t.x#j\":[{\"result\":1,\"after\":5}],\"people\":{\"error\":\"no\"}}");
	const struct driver_options options = { .chart = rig.chart,
		                                .env = &rig.env,
		                                .answers = answers,
		                                .start_ms = 1000,
		                                .on_stable = on_stable,
		                                .on_result = note_result,
		                                .ctx = &story };
	CHECK(driver_new(&options, &driver, &err) == 0);
	CHECK(driver_start(driver, &err) == 0 && driver_settle(driver, &err) == 0);
	CHECK(json_array_size(driver_calls(driver)) == 2);
	const json_t *first = json_array_get(driver_calls(driver), 0);
	CHECK_STR(json_str(first, "id", ""), "i");
	json_t *result = parsed("7");
	CHECK(driver_end_call(driver, (uint64_t)json_int(first, "number", 0), 0, true, result,
	                      &err) == 0);
	CHECK_MSG(json_array_size(driver_calls(driver)) == 1, "j was withdrawn, k is open");
	CHECK(driver_settle(driver, &err) == 0 && driver_pass(driver, 9, &err) == 0);
	CHECK(driver_now(driver) == 1009);
	CHECK(driver_pass(driver, 11, &err) == 0 && driver_now(driver) == 1020);
	json_t *go = json_string("go");
	CHECK(driver_event(driver, go, &err) == 0 && machine_is_done(driver_machine(driver)));
	CHECK_STR(story.text, "0:-:[\"a\"] 0:done.invoke.i:[\"b\"] 0:error.communication.k:[\"b\"] "
	                      "10:late:[\"c\"] 20:go:[\"d\"]");
	CHECK_STR(story.logs, "[i ok 7][k failed {\"message\":\"no\"}]");
	driver_free(driver);
	json_decref(go);
	json_decref(result);
	json_decref(answers);
	json_decref(story.data);
	rig_release(&rig);
}

/* Every transition and every state, also those that are left at once. */
static void note_trace(void *ctx, const struct chart *chart, int32_t state, int32_t transition)
{
	struct story *story = ctx;
	size_t len = strlen(story->logs);
	if (state != CHART_NONE)
		snprintf(story->logs + len, sizeof(story->logs) - len, " %s",
		         chart->states[state].id);
	else if (chart->transitions[transition].source != 0)
		snprintf(story->logs + len, sizeof(story->logs) - len, " >%s",
		         chart->states[chart->transitions[transition].source].id);
}

struct traced {
	struct rig rig;
	struct story story;
};

static const struct datamodel_ops *traced_datamodel(void *ctx, const char *name, void **factory)
{
	struct traced *traced = ctx;
	(void)name;
	*factory = traced->rig.script;
	return &script_datamodel_ops;
}

static void trace_story(void *ctx, const struct chart *chart, int32_t state, int32_t transition)
{
	note_trace(&((struct traced *)ctx)->story, chart, state, transition);
}

static void test_trace(void)
{
	struct traced traced = { .story = { .data = NULL } };
	struct err err = { 0 };
	bool is_final = false;
	rig_init(&traced.rig, "",
	         "<state id='a'><transition target='p'/></state><parallel id='p'><state id='x'/>"
	         "<state id='y'><transition event='e'/></state><transition target='b' event='f'/>"
	         "</parallel><final id='b'/>");
	json_t *script = parsed("[{\"event\":\"e\"},{\"event\":\"f\"}]");
	const struct machine_env env = { .ctx = &traced,
		                         .datamodel = traced_datamodel,
		                         .trace = trace_story };
	const struct driver_options options = {
		.chart = traced.rig.chart, .env = &env, .script = script, .until_ms = -1
	};
	CHECK(driver_run(&options, &is_final, &err) == 0 && is_final);
	CHECK_STR(traced.story.logs, " a >a p x y >y >p b");
	json_decref(script);
	rig_release(&traced.rig);
}

int main(void)
{
	mem_install();
	test_endless();
	test_by_hand();
	test_trace();
	test_order();
	test_answers();
	test_until();
	test_each();
	test_failures();
	return check_done();
}
