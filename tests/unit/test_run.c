/* SPDX-License-Identifier: MIT */
/*
 * Runs through the engine's front door: starting once, signals, cancelling,
 * timers, what is blocked and mended, versions, restarts.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"

/* Waits for whatever it is told. */
#define WAITING                                                                                \
	"<datamodel><data id='n' gw:search='true'/><data id='got' expr='list()'/></datamodel>" \
	"<state id='w'>"                                                                       \
	"<transition event='add'><script>table.insert(got, _event.data)</script></transition>" \
	"<transition event='stop' target='end'/>"                                              \
	"<transition event='break'><assign location='nowhere' expr='1'/></transition>"         \
	"</state><final id='end'><donedata><param name='got' expr='got'/></donedata></final>"

static const char *status_of(const json_t *reply)
{
	return json_str(json_at(reply, "run"), "status", "?");
}

static char *result_of(const json_t *reply)
{
	const json_t *result = json_at(json_at(reply, "run"), "result");
	return result ? json_canon(result) : mem_dup_str("(none)");
}

static void check_result(const json_t *reply, const char *want)
{
	char *got = result_of(reply);
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

/* --- starting --------------------------------------------------------------------------------- */

static void test_start(void)
{
	struct engine_rig rig;
	char first[32], second[32];
	engine_rig_init(&rig, false);
	engine_rig_graph(&rig, "g", "",
	                 "<datamodel><data id='n' gw:search='true'/></datamodel><state id='a'>"
	                 "<transition target='b'/></state><final id='b'><donedata>"
	                 "<param name='twice' expr='2 * n'/></donedata></final>");
	engine_rig_open(&rig);
	json_t *reply = engine_rig_start(&rig, "g", "c1", "{\"n\":21}", first);
	CHECK_STR(status_of(reply), "ended");
	check_result(reply, "{\"twice\":42}");
	json_decref(reply);
	/* The same again is the same run. */
	reply = engine_rig_start(&rig, "g", "c1", "{\"n\":21}", second);
	CHECK_STR(second, first);
	json_decref(reply);
	reply = engine_rig_ask(&rig,
	                       "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c1\","
	                       "\"input\":{\"n\":21}}");
	CHECK(json_at(reply, "is_new") == json_false());
	json_decref(reply);
	/* Another input under its name is a conflict; another name is another run. */
	reply = engine_rig_start(&rig, "g", "c1", "{\"n\":22}", NULL);
	CHECK_STR(rig_error(reply), "run.conflict");
	CHECK(strstr(json_str(json_at(reply, "error"), "text", ""), first) != NULL);
	json_decref(reply);
	reply = engine_rig_start(&rig, "g", "c2", "{\"n\":22}", second);
	CHECK(strcmp(first, second) != 0);
	check_result(reply, "{\"twice\":44}");
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.list\",\"where\":{\"n\":\"22\"}}");
	CHECK(json_array_size(json_at(reply, "runs")) == 1);
	json_decref(reply);
	check_verified(&rig, first);
	engine_rig_release(&rig);
}

static void test_start_refused(void)
{
	static const struct {
		const char *request, *id;
	} cases[] = {
		{ "{\"op\":\"run.start\",\"graph\":\"h\"}", "graph.absent" },
		{ "{\"op\":\"run.start\",\"graph\":\"../g\"}", "graph.name" },
		{ "{\"op\":\"run.start\",\"graph\":\"g\",\"input\":[1]}", "run.input" },
		{ "{\"op\":\"run.start\",\"graph\":\"g\",\"input\":{\"n\":\"x\"}}", "schema" },
		{ "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"\"}",
		  "run.correlation_id" },
		{ "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"a b\"}",
		  "run.correlation_id" },
		{ "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"a\\nb\"}",
		  "run.correlation_id" },
		{ "{\"op\":\"run.show\",\"run\":\"nobody\"}", "run.absent" },
		{ "{\"op\":\"run.signal\",\"run\":\"nobody\",\"event\":\"x\"}", "run.absent" },
		{ "{\"op\":\"task.answer\",\"task\":\"nobody.1\",\"outcome\":\"done\"}",
		  "run.absent" },
		{ "{\"op\":\"run.dance\"}", "request.op" },
		{ "{}", "request.op" },
		{ "{\"op\":\"run.list\",\"status\":\"sleeping\"}", "run.status" },
	};
	struct engine_rig rig;
	engine_rig_init(&rig, false);
	engine_rig_graph(&rig, "g", "gw:input='in.json'",
	                 "<datamodel><data id='n'/></datamodel><final id='b'/>");
	engine_rig_file(&rig, "graphs/g/in.json",
	                "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}}}");
	engine_rig_open(&rig);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *reply = engine_rig_ask(&rig, "%s", cases[i].request);
		CHECK_MSG(strncmp(rig_error(reply), cases[i].id, strlen(cases[i].id)) == 0,
		          "%s is refused: %s", cases[i].request, rig_error(reply));
		json_decref(reply);
	}
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.list\"}");
	CHECK(json_array_size(json_at(reply, "runs")) == 0);
	json_decref(reply);
	engine_rig_release(&rig);
}

/* Many at once with one name: one run, and everybody is told of it. */
static void test_start_race(void)
{
	enum { MANY = 20 };
	struct engine_rig rig;
	struct rig_asker askers[MANY];
	char id[32] = "";
	int fresh = 0;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", WAITING);
	rig.options.workers = 4;
	engine_rig_open(&rig);
	for (int i = 0; i < MANY; i++) {
		rig_asker_init(&askers[i]);
		rig_asker_send(&askers[i], &rig,
		               "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c\"}");
	}
	for (int i = 0; i < MANY; i++) {
		const json_t *reply = rig_asker_last(&askers[i]);
		const char *run = json_str(json_at(reply, "run"), "id", "?");
		if (i == 0)
			snprintf(id, sizeof(id), "%s", run);
		CHECK_STR(run, id);
		fresh += json_truth(reply, "is_new", false);
		rig_asker_release(&askers[i]);
	}
	CHECK(fresh == 1);
	engine_rig_release(&rig);
}

static void test_exclusive(void)
{
	struct engine_rig rig;
	char first[32], second[32];
	engine_rig_init(&rig, false);
	engine_rig_graph(
		&rig, "g", "",
		"<datamodel><data id='acct' gw:exclusive='true'/></datamodel><state id='a'>"
		"<transition event='go' target='b'/><invoke type='approval'>"
		"<param name='role' expr=\"'x'\"/></invoke></state><final id='b'/>");
	engine_rig_open(&rig);
	json_t *reply = engine_rig_start(&rig, "g", "c1", "{\"acct\":\"A\"}", first);
	CHECK_STR(status_of(reply), "waiting_for_people");
	json_decref(reply);
	reply = engine_rig_start(&rig, "g", "c2", "{\"acct\":\"A\"}", NULL);
	CHECK_STR(rig_error(reply), "run.exclusive");
	CHECK_STR(json_str(json_at(json_at(reply, "error"), "run"), "id", ""), first);
	json_decref(reply);
	reply = engine_rig_start(&rig, "g", "c3", "{\"acct\":\"B\"}", NULL);
	CHECK_STR(status_of(reply), "waiting_for_people");
	json_decref(reply);
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"go\"}",
	                           first));
	reply = engine_rig_start(&rig, "g", "c2", "{\"acct\":\"A\"}", second);
	CHECK_STR(status_of(reply), "waiting_for_people");
	CHECK(strcmp(first, second) != 0);
	json_decref(reply);
	engine_rig_release(&rig);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void test_signals(void)
{
	static const char *const reserved[] = {
		"done.invoke.x", "error.communication", "done", "error", "", "two words", "a*",
		"x\\ny"
	};
	struct engine_rig rig;
	char id[32];
	engine_rig_init(&rig, false);
	engine_rig_graph(&rig, "g", "", WAITING);
	engine_rig_open(&rig);
	json_decref(engine_rig_ask(
		&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c\"}"));
	json_t *list = engine_rig_ask(&rig, "{\"op\":\"run.list\"}");
	snprintf(id, sizeof(id), "%s",
	         json_str(json_array_get(json_at(list, "runs"), 0), "id", ""));
	json_decref(list);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++) {
		json_t *reply = engine_rig_ask(
			&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"%s\"}", id,
			reserved[i]);
		CHECK_MSG(strncmp(rig_error(reply), "signal.", 7) == 0, "'%s' is refused",
		          reserved[i]);
		json_decref(reply);
	}
	/* The same id is taken once, also when both are under way at the same time. */
	struct rig_asker one, two;
	rig_asker_init(&one);
	rig_asker_init(&two);
	rig_asker_send(
		&one, &rig,
		"{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"add\",\"data\":1,\"id\":\"k\"}",
		id);
	rig_asker_send(
		&two, &rig,
		"{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"add\",\"data\":1,\"id\":\"k\"}",
		id);
	CHECK_STR(rig_error(rig_asker_last(&one)), "");
	CHECK(json_at(rig_asker_last(&two), "is_new") == json_false());
	rig_asker_release(&one);
	rig_asker_release(&two);
	json_decref(engine_rig_ask(
		&rig,
		"{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"add\",\"data\":2,\"id\":\"l\"}",
		id));
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"add\"}",
	                           id));
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"stop\",\"id\":\"m\"}", id);
	CHECK_STR(status_of(reply), "ended");
	json_decref(reply);
	reply = engine_rig_start(&rig, "g", "c", NULL, NULL);
	check_result(reply, "{\"got\":[1,2]}"); /* no data is nil: nothing was added */
	json_decref(reply);
	/* Ended: a new one is refused, one that was taken is still known. */
	reply = engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"add\"}",
	                       id);
	CHECK_STR(rig_error(reply), "run.ended");
	json_decref(reply);
	reply = engine_rig_ask(
		&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"stop\",\"id\":\"m\"}", id);
	CHECK(json_at(reply, "is_new") == json_false());
	json_decref(reply);
	check_verified(&rig, id);
	engine_rig_release(&rig);
}

/* Sent in one breath: whoever comes after the end is told so, and nobody waits for ever. */
static void test_signals_overtaken(void)
{
	enum { MANY = 12 };
	struct engine_rig rig;
	struct rig_asker askers[MANY];
	char id[32];
	int taken = 0, refused = 0;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", WAITING);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"g\"}");
	snprintf(id, sizeof(id), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	for (int i = 0; i < MANY; i++) {
		rig_asker_init(&askers[i]);
		rig_asker_send(&askers[i], &rig,
		               "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"%s\"}", id,
		               i == 3 ? "stop" : "add");
	}
	for (int i = 0; i < MANY; i++) {
		const char *error = rig_error(rig_asker_last(&askers[i]));
		taken += strcmp(error, "") == 0;
		refused += strcmp(error, "run.ended") == 0;
		rig_asker_release(&askers[i]);
	}
	CHECK_MSG(taken == 4 && refused == MANY - 4, "%d are taken, %d refused", taken, refused);
	CHECK_STR(engine_rig_status(&rig, id), "ended");
	engine_wait_rest(rig.engine);
	CHECK_MSG(true, "the engine comes to rest");
	engine_rig_release(&rig);
}

/* --- cancelling ------------------------------------------------------------------------------- */

static void test_cancel(void)
{
	struct engine_rig rig;
	char id[32];
	engine_rig_init(&rig, false);
	engine_rig_graph(
		&rig, "g", "",
		"<datamodel><data id='left' gw:search='true' expr=\"'no'\"/></datamodel>"
		"<state id='a'><onexit><assign location='left' expr=\"'yes'\"/></onexit>"
		"<invoke type='approval'><param name='role' expr=\"'x'\"/></invoke></state>"
		"<final id='b'/>");
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, id));
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.cancel\",\"run\":\"%s\",\"by\":\"ann\",\"reason\":\"typo\"}",
		id);
	CHECK_STR(status_of(reply), "cancelled");
	CHECK_STR(json_str(json_at(json_at(reply, "run"), "search"), "left", ""), "yes");
	json_decref(reply);
	/* Its task is withdrawn; again is no error. */
	reply = engine_rig_ask(&rig, "{\"op\":\"task.list\",\"status\":\"withdrawn\"}");
	CHECK(json_array_size(json_at(reply, "tasks")) == 1);
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.cancel\",\"run\":\"%s\",\"by\":\"bo\"}", id);
	CHECK_STR(status_of(reply), "cancelled");
	json_decref(reply);
	json_t *records = engine_rig_events(&rig, id);
	const json_t *last = json_array_get(records, json_array_size(records) - 1);
	CHECK_STR(json_str(last, "by", ""), "ann");
	CHECK(json_array_size(records) == 2);
	json_decref(records);
	check_verified(&rig, id);
	engine_rig_release(&rig);
}

/* --- blocked ---------------------------------------------------------------------------------- */

static void test_blocked_signal(void)
{
	struct engine_rig rig;
	char id[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", WAITING);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"g\"}");
	snprintf(id, sizeof(id), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	reply = engine_rig_ask(
		&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"break\",\"id\":\"k\"}",
		id);
	CHECK_STR(status_of(reply), "blocked");
	CHECK(strstr(json_str(json_at(json_at(reply, "run"), "reason"), "text", ""), "nowhere") !=
	      NULL);
	json_decref(reply);
	/* It takes nothing more, but it knows what it has: the signal waits,
	 * and is not taken twice. */
	reply = engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"add\"}",
	                       id);
	CHECK_STR(rig_error(reply), "run.blocked");
	json_decref(reply);
	reply = engine_rig_ask(
		&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"break\",\"id\":\"k\"}",
		id);
	CHECK(json_at(reply, "is_new") == json_false());
	json_decref(reply);
	engine_rig_reopen(&rig);
	CHECK_STR(engine_rig_status(&rig, id), "blocked");
	/* Not mended yet: the same again. */
	reply = engine_rig_ask(&rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}", id);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	engine_wait_rest(rig.engine);
	CHECK_STR(engine_rig_status(&rig, id), "blocked");
	engine_rig_graph(
		&rig, "g", "",
		"<datamodel><data id='n'/><data id='got' expr='list()'/></datamodel><state id='w'>"
		"<transition event='break' target='end'/></state><final id='end'/>");
	json_decref(
		engine_rig_ask(&rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}", id));
	engine_wait_rest(rig.engine);
	CHECK_STR(engine_rig_status(&rig, id), "ended");
	CHECK(engine_rig_count(&rig, id, "repin") == 2 &&
	      engine_rig_count(&rig, id, "blocked") == 2);
	check_verified(&rig, id);
	engine_rig_release(&rig);
}

#define RULES(body)                                                                     \
	"return { domain = 'd', subject = 'facts', rules = { { id = 'd.r', severity = " \
	"'violation', owner = 'o', fires = function(f) " body                           \
	" end, message = 'm', fix = 'x' } } }"

static void write_rules(struct engine_rig *rig, const char *rules)
{
	engine_rig_file(rig, "rules/set/ruleset.lua",
	                "return { name = 'set', version = '1', domains = { 'd' }, decide = "
	                "'decision.decide',"
	                " decisions = { 'YES', 'NO' } }");
	engine_rig_file(
		rig, "rules/set/decision.lua",
		"return { decide = function(v) return #v.violations > 0 and 'NO' or 'YES', {} end "
		"}");
	engine_rig_file(rig, "rules/set/d.lua", rules);
}

#define CHECKING                                                                                 \
	"<datamodel><data id='n'/><data id='decision' gw:search='true'/></datamodel>"            \
	"<state id='a'><invoke id='r' type='rules' src='set'><param name='facts' expr='{n=n}'/>" \
	"<param name='errors' expr='list()'/></invoke><transition event='done.invoke.r' "        \
	"target='b'>"                                                                            \
	"<assign location='decision' expr='_event.data.decision'/></transition></state>"         \
	"<final id='b'><donedata><param name='decision' expr='decision'/></donedata></final>"

/* A rule that errs never decides; the run that was blocked by it goes on with the mended one. */
static void test_blocked_rule(void)
{
	struct engine_rig rig;
	char broken[32], good[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", CHECKING);
	write_rules(&rig, RULES("return f.n + nil"));
	engine_rig_open(&rig);
	json_t *reply = engine_rig_start(&rig, "g", "c1", "{\"n\":1}", broken);
	CHECK_STR(status_of(reply), "blocked");
	CHECK(!json_at(json_at(json_at(reply, "run"), "search"), "decision"));
	json_decref(reply);
	write_rules(&rig, RULES("return f.n > 5"));
	reply = engine_rig_start(&rig, "g", "c2", "{\"n\":9}", good);
	check_result(reply, "{\"decision\":\"NO\"}");
	json_decref(reply);
	/* Mending the file changes no run by itself, nor does a restart. */
	CHECK_STR(engine_rig_status(&rig, broken), "blocked");
	engine_rig_reopen(&rig);
	CHECK_STR(engine_rig_status(&rig, broken), "blocked");
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}",
	                           broken));
	reply = engine_rig_start(&rig, "g", "c1", "{\"n\":1}", NULL);
	check_result(reply, "{\"decision\":\"YES\"}");
	json_decref(reply);
	check_verified(&rig, broken);
	check_verified(&rig, good);
	engine_rig_release(&rig);
}

static void test_blocked_cancel(void)
{
	struct engine_rig rig;
	char id[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", CHECKING);
	write_rules(&rig, RULES("error('no')"));
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c1", "{\"n\":1}", id));
	CHECK_STR(engine_rig_status(&rig, id), "blocked");
	json_t *reply = engine_rig_ask(&rig,
	                               "{\"op\":\"run.cancel\",\"run\":\"%s\",\"by\":\"ann\"}", id);
	CHECK_STR(status_of(reply), "cancelled");
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}", id);
	CHECK_STR(rig_error(reply), "run.ended");
	json_decref(reply);
	engine_rig_reopen(&rig);
	CHECK_STR(engine_rig_status(&rig, id), "cancelled");
	check_verified(&rig, id);
	/* Repinned to what is no graph any more: refused, and still blocked. */
	json_decref(engine_rig_start(&rig, "g", "c2", "{\"n\":1}", id));
	engine_rig_file(&rig, "graphs/g/g.scxml", "<scxml");
	reply = engine_rig_ask(&rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}", id);
	CHECK(rig_error(reply)[0] != '\0');
	json_decref(reply);
	CHECK_STR(engine_rig_status(&rig, id), "blocked");
	/* A state that the new graph does not have. */
	engine_rig_graph(&rig, "g", "", "<state id='elsewhere'/>");
	json_decref(
		engine_rig_ask(&rig, "{\"op\":\"run.repin\",\"run\":\"%s\",\"by\":\"ann\"}", id));
	engine_wait_rest(rig.engine);
	check_verified(&rig, id);
	engine_rig_release(&rig);
}

/* --- versions --------------------------------------------------------------------------------- */

#define VERSION(number)                                               \
	"<state id='w'><transition event='go' target='end'/></state>" \
	"<final id='end'><donedata><param name='version' expr='" number "'/></donedata></final>"

static void test_versions(void)
{
	struct engine_rig rig;
	char before[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", VERSION("1"));
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"a\"}");
	snprintf(before, sizeof(before), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	engine_rig_graph(&rig, "g", "", VERSION("2"));
	reply = engine_rig_ask(&rig,
	                       "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"b\"}");
	char after[32];
	snprintf(after, sizeof(after), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	engine_rig_reopen(&rig);
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"go\"}",
	                           before));
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"go\"}",
	                           after));
	reply = engine_rig_start(&rig, "g", "a", NULL, NULL);
	check_result(reply, "{\"version\":1}");
	json_decref(reply);
	reply = engine_rig_start(&rig, "g", "b", NULL, NULL);
	check_result(reply, "{\"version\":2}");
	json_decref(reply);
	check_verified(&rig, before);
	check_verified(&rig, after);
	engine_rig_release(&rig);
}

/* --- timers ----------------------------------------------------------------------------------- */

#define TIMERS                                                                                 \
	"<datamodel><data id='fired' expr='list()'/></datamodel><state id='w'><onentry>"       \
	"<send event='c' delay='3h'/><send event='a' delay='1h'/><send event='b' delay='2h'/>" \
	"<send event='end' delay='4h'/><send id='x' event='x' delay='90m'/></onentry>"         \
	"<transition event='a'><cancel sendid='x'/>"                                           \
	"<script>table.insert(fired, _event.name .. now())</script></transition>"              \
	"<transition event='end' target='e'/>"                                                 \
	"<transition event='*'><script>table.insert(fired, _event.name .. now())</script>"     \
	"</transition>"                                                                        \
	"</state><final id='e'><donedata><param name='fired' expr='fired'/></donedata></final>"

/* Due while nobody was there: fired once each, in order of their times, at the next start. */
static void test_timers(void)
{
	enum { HOUR_MS = 3600 * 1000 };
	struct engine_rig rig;
	char id[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", TIMERS);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c\"}");
	snprintf(id, sizeof(id), "%s", json_str(json_at(reply, "run"), "id", ""));
	CHECK_STR(status_of(reply), "waiting");
	json_decref(reply);
	engine_rig_close(&rig);
	atomic_fetch_add(&rig.now_ms, HOUR_MS - 1);
	engine_rig_open(&rig);
	engine_wait_rest(rig.engine);
	CHECK(engine_rig_count(&rig, id, "step") == 0); /* never early */
	engine_rig_close(&rig);
	atomic_fetch_add(&rig.now_ms, 2 * HOUR_MS + 1);
	engine_rig_open(&rig);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.show\",\"run\":\"%s\"}", id);
	json_decref(reply);
	/* Ask for something that needs the run's turn, so that all that is due has been taken. */
	atomic_fetch_add(&rig.now_ms, 5 * HOUR_MS);
	reply = engine_rig_start(&rig, "g", "c", NULL, NULL);
	const json_t *fired = json_at(json_at(json_at(reply, "run"), "result"), "fired");
	char *text = json_canon(fired);
	CHECK_MSG(json_array_size(fired) == 3, "three fired: %s", text);
	static const char *const order = "abc";
	for (size_t i = 0; i < json_array_size(fired); i++)
		CHECK(json_string_value(json_array_get(fired, i))[0] == order[i]);
	free(text);
	json_decref(reply);
	CHECK_STR(engine_rig_status(&rig, id), "ended");
	check_verified(&rig, id);
	engine_rig_release(&rig);
}

/* --- runs that start runs --------------------------------------------------------------------- */

static void test_child_run(void)
{
	struct engine_rig rig;
	char id[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "child", "",
	                 "<datamodel><data id='n' gw:search='true'/></datamodel><final id='e'/>");
	engine_rig_graph(
		&rig, "g", "",
		"<datamodel><data id='id'/><data id='why'/></datamodel><state id='a'>"
		"<invoke id='r' type='gw:run' src='child'><param name='correlation_id' "
		"expr=\"'k'\"/>"
		"<param name='input' expr='{n=5}'/></invoke>"
		"<transition event='done.invoke.r' target='b'>"
		"<assign location='id' expr='_event.data.run'/></transition>"
		"<transition event='error' target='b'>"
		"<assign location='why' expr='_event.data.error_code'/></transition></state>"
		"<final id='b'><donedata><param name='id' expr='id'/>"
		"<param name='why' expr='why'/></donedata></final>");
	engine_rig_open(&rig);
	json_t *reply = engine_rig_start(&rig, "g", "c1", NULL, id);
	const char *child = json_str(json_at(json_at(reply, "run"), "result"), "id", "?");
	json_t *list = engine_rig_ask(&rig, "{\"op\":\"run.list\",\"graph\":\"child\"}");
	CHECK(json_array_size(json_at(list, "runs")) == 1);
	CHECK_STR(json_str(json_array_get(json_at(list, "runs"), 0), "id", ""), child);
	CHECK_STR(json_str(json_array_get(json_at(list, "runs"), 0), "correlation_id", ""), "k");
	json_decref(list);
	json_decref(reply);
	/* A second parent of the same name and input has the same child. */
	json_decref(engine_rig_start(&rig, "g", "c2", NULL, NULL));
	list = engine_rig_ask(&rig, "{\"op\":\"run.list\",\"graph\":\"child\"}");
	CHECK(json_array_size(json_at(list, "runs")) == 1);
	json_decref(list);
	engine_rig_file(&rig, "graphs/child/child.scxml", "<scxml");
	engine_rig_graph(
		&rig, "h", "",
		"<datamodel><data id='why'/></datamodel><state id='a'>"
		"<invoke id='r' type='gw:run' src='gone'/><transition event='error' target='b'>"
		"<assign location='why' expr='_event.data.error_code'/></transition></state>"
		"<final id='b'><donedata><param name='why' expr='why'/></donedata></final>");
	reply = engine_rig_start(&rig, "h", "c", NULL, NULL);
	check_result(reply, "{\"why\":\"graph.absent\"}");
	json_decref(reply);
	check_verified(&rig, id);
	engine_rig_release(&rig);
}

int main(void)
{
	mem_install();
	test_start();
	test_start_refused();
	test_start_race();
	test_exclusive();
	test_signals();
	test_signals_overtaken();
	test_cancel();
	test_blocked_signal();
	test_blocked_rule();
	test_blocked_cancel();
	test_versions();
	test_timers();
	test_child_run();
	return check_done();
}
