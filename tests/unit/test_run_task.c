/* SPDX-License-Identifier: MIT */
/* What people do: approvals, checklists, and calls that nobody but they can know of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"

static void check_result(const json_t *reply, const char *want)
{
	const json_t *result = json_at(json_at(reply, "run"), "result");
	char *got = result ? json_canon(result) : mem_dup_str("(none)");
	CHECK_STR(got, want);
	free(got);
}

/* Every request is answered, whatever came of it; its error's id, "" when it was taken. */
static void check_answer(struct engine_rig *rig, const char *task, const char *outcome,
                         const char *by, const char *want)
{
	json_t *reply = engine_rig_ask(
		rig, "{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"%s\",\"by\":\"%s\"}",
		task, outcome, by);
	CHECK_MSG(strcmp(rig_error(reply), want) == 0, "%s by %s: \"%s\" is \"%s\"", outcome, by,
	          rig_error(reply), want);
	json_decref(reply);
}

/* The open (or otherwise) tasks as "suffix:status:title"; to be freed. */
static char *tasks_of(struct engine_rig *rig, const char *run, const char *status)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"task.list\",\"run\":\"%s\"%s%s%s}", run,
	                               *status ? ",\"status\":\"" : "", status,
	                               *status ? "\"" : "");
	const json_t *tasks = json_at(reply, "tasks");
	struct buf text;
	buf_init(&text, 1 << 16);
	buf_put(&text, "");
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		buf_printf(&text, "%s%s:%s", i ? " " : "",
		           strchr(json_str(task, "id", "."), '.') + 1,
		           json_str(task, "status", ""));
	}
	json_decref(reply);
	return buf_take(&text);
}

static void check_tasks(struct engine_rig *rig, const char *run, const char *status,
                        const char *want)
{
	char *got = tasks_of(rig, run, status);
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

/* --- approvals -------------------------------------------------------------------------------- */

#define APPROVAL                                                                            \
	"<datamodel><data id='who'/><data id='outcome'/></datamodel><state id='a'>"         \
	"<invoke id='ok' type='approval'><param name='role' expr=\"'lead'\"/>"              \
	"<param name='requested_by' expr=\"'ann'\"/><param name='shown' expr='{total=5}'/>" \
	"<param name='due' expr=\"'2h'\"/></invoke>"                                        \
	"<transition event='done.invoke.ok' target='b'>"                                    \
	"<assign location='who' expr='_event.data.by'/>"                                    \
	"<assign location='outcome' expr='_event.data.outcome'/></transition></state>"      \
	"<final id='b'><donedata><param name='who' expr='who'/><param name='outcome' "      \
	"expr='outcome'/>"                                                                  \
	"</donedata></final>"

/* Who started a run asks for its approvals, also after the process was away. */
static void test_asked_by_starter(void)
{
	struct engine_rig rig;
	char run[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "",
	                 "<state id='a'><transition event='go' target='b'/></state><state id='b'>"
	                 "<invoke id='ok' type='approval'><param name='role' expr=\"'lead'\"/>"
	                 "</invoke><transition event='done.invoke.ok' target='c'/></state>"
	                 "<final id='c'/>");
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"g\","
	                                     "\"correlation_id\":\"c\",\"by\":\"ann\"}");
	snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	engine_rig_reopen(&rig);
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"go\"}",
	                           run));
	reply = engine_rig_ask(&rig, "{\"op\":\"task.list\",\"run\":\"%s\"}", run);
	const json_t *task = json_array_get(json_at(reply, "tasks"), 0);
	CHECK_STR(json_str(task, "requested_by", ""), "ann");
	check_answer(&rig, json_str(task, "id", ""), "approved", "ann", "task.self_approval");
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"audit.show\",\"run\":\"%s\"}", run);
	CHECK_STR(json_str(json_at(reply, "audit"), "started_by", ""), "ann");
	json_decref(reply);
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

static void test_approval(void)
{
	struct engine_rig rig;
	char run[32], *task;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", APPROVAL);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_start(&rig, "g", "c", NULL, run);
	const json_t *shown = json_array_get(json_at(json_at(reply, "run"), "tasks"), 0);
	task = mem_dup_str(json_str(shown, "id", ""));
	CHECK_STR(json_str(shown, "role", ""), "lead");
	CHECK(json_int(shown, "due_ms", 0) - json_int(shown, "created_ms", 0) == 2 * 3600 * 1000);
	char hash[65];
	snprintf(hash, sizeof(hash), "%s", json_str(shown, "shown_sha256", ""));
	CHECK(strlen(hash) == 64);
	json_decref(reply);
	check_answer(&rig, task, "approved", "ann", "task.self_approval");
	check_answer(&rig, task, "approved", "", "task.by");
	check_answer(&rig, task, "done", "bo", "task.outcome");
	reply = engine_rig_ask(&rig,
	                       "{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"approved\","
	                       "\"by\":\"bo\",\"shown_sha256\":\"00\"}",
	                       task);
	CHECK_STR(rig_error(reply), "task.changed");
	json_decref(reply);
	check_tasks(&rig, run, "open", "1:open");
	/* Both at once: one counts. */
	struct rig_asker one, two;
	rig_asker_init(&one);
	rig_asker_init(&two);
	rig_asker_send(
		&one, &rig,
		"{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"approved\",\"by\":\"bo\","
		"\"shown_sha256\":\"%s\"}",
		task, hash);
	rig_asker_send(
		&two, &rig,
		"{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"rejected\",\"by\":\"cy\"}",
		task);
	CHECK_STR(rig_error(rig_asker_last(&one)), "");
	CHECK_STR(rig_error(rig_asker_last(&two)), "task.closed");
	rig_asker_release(&one);
	rig_asker_release(&two);
	check_answer(&rig, task, "approved", "bo", "task.closed");
	reply = engine_rig_start(&rig, "g", "c", NULL, NULL);
	check_result(reply, "{\"outcome\":\"approved\",\"who\":\"bo\"}");
	json_decref(reply);
	check_tasks(&rig, run, "", "1:done");
	json_t *audit = engine_rig_ask(&rig, "{\"op\":\"audit.show\",\"run\":\"%s\"}", run);
	const json_t *person = json_array_get(json_path(audit, "audit.people"), 0);
	CHECK_STR(json_str(person, "by", ""), "bo");
	CHECK_STR(json_str(person, "shown_sha256", ""), hash);
	json_decref(audit);
	check_verified(&rig, run);
	free(task);
	engine_rig_release(&rig);
}

static void test_approval_after_restart(void)
{
	struct engine_rig rig;
	char run[32], task[48];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", APPROVAL);
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, run));
	snprintf(task, sizeof(task), "%s.1", run);
	for (int i = 0; i < 3; i++)
		engine_rig_reopen(&rig);
	check_tasks(&rig, run, "open", "1:open");
	check_answer(&rig, task, "rejected", "bo", "");
	engine_rig_reopen(&rig);
	check_answer(&rig, task, "approved", "bo", "task.closed");
	json_t *reply = engine_rig_start(&rig, "g", "c", NULL, NULL);
	check_result(reply, "{\"outcome\":\"rejected\",\"who\":\"bo\"}");
	json_decref(reply);
	engine_rig_release(&rig);
}

static void test_overdue(void)
{
	struct engine_rig rig;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", APPROVAL);
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, NULL));
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"task.list\",\"overdue\":true}");
	CHECK(json_array_size(json_at(reply, "tasks")) == 0);
	json_decref(reply);
	atomic_fetch_add(&rig.now_ms, 2 * 3600 * 1000 + 1);
	reply = engine_rig_ask(&rig, "{\"op\":\"task.list\",\"overdue\":true,\"role\":\"lead\"}");
	CHECK(json_array_size(json_at(reply, "tasks")) == 1);
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"task.list\",\"overdue\":true,\"role\":\"other\"}");
	CHECK(json_array_size(json_at(reply, "tasks")) == 0);
	json_decref(reply);
	engine_rig_release(&rig);
}

/* --- checklists ------------------------------------------------------------------------------- */

#define CHECKLIST(items)                                                          \
	"<datamodel><data id='n' expr='0'/></datamodel><state id='a'>"            \
	"<invoke id='l' type='checklist'><param name='items' expr=\"list({" items \
	"})\"/></invoke>"                                                         \
	"<transition event='done.invoke.l' target='b'>"                           \
	"<assign location='n' expr='#_event.data.items'/></transition></state>"   \
	"<final id='b'><donedata><param name='n' expr='n'/></donedata></final>"

static void test_checklist(void)
{
	struct engine_rig rig;
	char run[32], task[64];
	engine_rig_init(&rig, true);
	engine_rig_graph(
		&rig, "g", "",
		CHECKLIST("{id='one',title='1',owner='CS',due='1d'},"
	                  "{id='two',title='2',after=list({'one'})},"
	                  "{id='auto',title='3',after=list({'one'}),automatic=true},"
	                  "{id='had',title='4',done=true},"
	                  "{id='all',title='5',after=list({'two','auto','had'}),automatic=true}"));
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, run));
	check_tasks(&rig, run, "",
	            "1.all:waiting 1.had:done 1.one:open 1.two:waiting 1.auto:waiting");
	snprintf(task, sizeof(task), "%s.1.two", run);
	check_answer(&rig, task, "done", "sam", "task.waiting");
	snprintf(task, sizeof(task), "%s.1.one", run);
	check_answer(&rig, task, "approved", "sam", "task.outcome");
	/* Twice at once, over a restart of everything in between: one counts. */
	struct rig_asker one, two;
	rig_asker_init(&one);
	rig_asker_init(&two);
	rig_asker_send(
		&one, &rig,
		"{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"done\",\"by\":\"sam\"}",
		task);
	rig_asker_send(
		&two, &rig,
		"{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"done\",\"by\":\"tom\"}",
		task);
	CHECK_STR(rig_error(rig_asker_last(&one)), "");
	CHECK_STR(rig_error(rig_asker_last(&two)), "task.closed");
	rig_asker_release(&one);
	rig_asker_release(&two);
	engine_rig_reopen(&rig);
	check_tasks(&rig, run, "", "1.all:waiting 1.had:done 1.one:done 1.two:open 1.auto:done");
	snprintf(task, sizeof(task), "%s.1.two", run);
	check_answer(&rig, task, "done", "sam", "");
	engine_wait_rest(rig.engine);
	json_t *reply = engine_rig_start(&rig, "g", "c", NULL, NULL);
	check_result(reply, "{\"n\":5}");
	json_decref(reply);
	check_tasks(&rig, run, "", "1.all:done 1.had:done 1.one:done 1.two:done 1.auto:done");
	CHECK(engine_rig_count(&rig, run, "task") == 2);
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

/* Nothing for people in it: over at once, in order, and after a restart too. */
static void test_checklist_done_at_once(void)
{
	struct engine_rig rig;
	char run[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "",
	                 CHECKLIST("{id='a',title='1',automatic=true},"
	                           "{id='b',title='2',automatic=true,after=list({'a'})}"));
	engine_rig_open(&rig);
	json_t *reply = engine_rig_start(&rig, "g", "c", NULL, run);
	check_result(reply, "{\"n\":2}");
	json_decref(reply);
	check_tasks(&rig, run, "", "1.a:done 1.b:done");
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

static void test_checklist_wrong(void)
{
	static const struct {
		const char *items, *text;
	} cases[] = {
		{ "", "no list of items" },
		{ "{title='1'}", "an id and a title" },
		{ "{id='a',title='1'},{id='a',title='2'}", "the id 'a' is there twice" },
		{ "{id='a',title='1',after=list({'z'})}", "waits for 'z'" },
		{ "{id='a',title='1',after=list({'a'})}", "waits for 'a'" },
		{ "{id='a',title='1',after=list({'b'})},{id='b',title='2',after=list({'a'})}",
		  "circle" },
		{ "{id='a',title='1',due='soon'}", "due date of 'a'" },
	};
	struct engine_rig rig;
	engine_rig_init(&rig, false);
	engine_rig_open(&rig);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *body = mem_format(
			"<datamodel><data id='why'/></datamodel><state id='a'>"
			"<invoke id='l' type='checklist'><param name='items' expr=\"list({%s})\"/>"
			"</invoke>"
			"<transition event='error.execution' target='b'>"
			"<assign location='why' expr='_event.data.message'/></transition></state>"
			"<final id='b'><donedata><param name='why' expr='why'/></donedata></final>",
			cases[i].items);
		char name[8];
		snprintf(name, sizeof(name), "g%zu", i);
		engine_rig_graph(&rig, name, "", body);
		json_t *reply = engine_rig_start(&rig, name, "c", NULL, NULL);
		const char *why = json_str(json_at(json_at(reply, "run"), "result"), "why",
		                           "(taken)");
		CHECK_MSG(strstr(why, cases[i].text) != NULL, "'%s' has '%s'", why, cases[i].text);
		json_decref(reply);
		free(body);
	}
	engine_rig_release(&rig);
}

/* --- unsure ----------------------------------------------------------------------------------- */

#define ONCE(path)                                                                             \
	"<datamodel><data id='what'/></datamodel><state id='a'>"                               \
	"<invoke id='c' type='http' src='request'><param name='method' expr=\"'POST'\"/>"      \
	"<param name='path' expr=\"'" path "'\"/></invoke>"                                    \
	"<transition event='done.invoke.c' target='b'><assign location='what' expr=\"'ok'\"/>" \
	"</transition>"                                                                        \
	"<transition event='error.communication.c' target='b'>"                                \
	"<assign location='what' expr='_event.data.error_code'/></transition></state>"         \
	"<final id='b'><donedata><param name='what' expr='what'/></donedata></final>"

/* One run whose call was lost on the way; the unsure task's id goes to task. */
static void lose_one(struct engine_rig *rig, const char *correlation_id, char run[32],
                     char task[64])
{
	json_t *reply = engine_rig_start(rig, "g", correlation_id, NULL, run);
	CHECK_STR(json_str(json_at(reply, "run"), "status", ""), "waiting_for_people");
	json_decref(reply);
	snprintf(task, 64, "%s.1.unsure0", run);
	check_tasks(rig, run, "open", "1.unsure0:open");
}

static void test_unsure(void)
{
	struct engine_rig rig;
	char run[32], task[64];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", ONCE("/lost"));
	engine_rig_open(&rig);
	if (!rig.has_plugins) {
		check_skip("the plugin http is not built");
		engine_rig_release(&rig);
		return;
	}
	lose_one(&rig, "c1", run, task);
	check_answer(&rig, task, "approved", "op", "task.outcome");
	check_answer(&rig, task, "happened", "op", "");
	json_t *reply = engine_rig_start(&rig, "g", "c1", NULL, NULL);
	check_result(reply, "{\"what\":\"ok\"}");
	json_decref(reply);
	check_tasks(&rig, run, "", "1.unsure0:done");
	check_answer(&rig, task, "repeat", "op", "task.closed");
	check_verified(&rig, run);

	lose_one(&rig, "c2", run, task);
	engine_rig_reopen(&rig);
	check_answer(&rig, task, "failed", "op", "");
	reply = engine_rig_start(&rig, "g", "c2", NULL, NULL);
	check_result(reply, "{\"what\":\"not_happened\"}");
	json_decref(reply);
	check_verified(&rig, run);
	CHECK(engine_rig_requests(&rig) == 2);

	/* Repeated, it is lost again: the same task is open again, and a person decides again. */
	lose_one(&rig, "c3", run, task);
	check_answer(&rig, task, "repeat", "op", "");
	engine_wait_rest(rig.engine);
	CHECK(engine_rig_requests(&rig) == 4);
	check_tasks(&rig, run, "", "1.unsure0:open");
	CHECK(engine_rig_count(&rig, run, "unsure") == 2 &&
	      engine_rig_count(&rig, run, "repeat") == 1);
	engine_rig_reopen(&rig);
	CHECK(engine_rig_requests(&rig) == 4); /* a restart repeats nothing by itself */
	check_answer(&rig, task, "happened", "op", "");
	check_verified(&rig, run);
	/* The three requests of one call were the same to the byte. */
	const char *a = json_string_value(json_array_get(rig.requests, 2));
	CHECK_STR(json_string_value(json_array_get(rig.requests, 3)), a);
	engine_rig_release(&rig);
}

/* In flight when the process ends: unsure at the next start, whatever the far side did. */
static void test_unsure_after_restart(void)
{
	struct engine_rig rig;
	struct rig_asker asker;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", ONCE("/hold"));
	engine_rig_open(&rig);
	if (!rig.has_plugins) {
		check_skip("the plugin http is not built");
		engine_rig_release(&rig);
		return;
	}
	rig_asker_init(&asker);
	rig_asker_send(&asker, &rig,
	               "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c\"}");
	char run[32], task[64];
	snprintf(run, sizeof(run), "%s",
	         json_str(json_at(rig_asker_last(&asker), "run"), "id", ""));
	rig_asker_release(&asker);
	engine_rig_seen(&rig, 1);
	engine_rig_reopen(&rig);
	engine_wait_rest(rig.engine);
	check_tasks(&rig, run, "", "1.unsure0:open");
	engine_rig_reopen(&rig);
	engine_wait_rest(rig.engine);
	check_tasks(&rig, run, "", "1.unsure0:open"); /* one task, however often */
	CHECK(engine_rig_count(&rig, run, "unsure") == 1 && engine_rig_requests(&rig) == 1);
	engine_rig_let_go(&rig);
	snprintf(task, sizeof(task), "%s.1.unsure0", run);
	check_answer(&rig, task, "repeat", "op", "");
	json_t *reply = engine_rig_start(&rig, "g", "c", NULL, NULL);
	check_result(reply, "{\"what\":\"ok\"}");
	json_decref(reply);
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

/* --- lookup --------------------------------------------------------------------------------- */

#define LOOKED_UP(path, lookup)                                                                \
	"<datamodel><data id='what'/></datamodel><state id='a'>"                               \
	"<invoke id='c' type='http' src='request'><param name='method' expr=\"'POST'\"/>"      \
	"<param name='path' expr=\"'" path "'\"/><param name='lookup' expr=\"'" lookup "'\"/>" \
	"</invoke>"                                                                            \
	"<transition event='done.invoke.c' target='b'><assign location='what' expr=\"'ok'\"/>" \
	"</transition></state>"                                                                \
	"<final id='b'><donedata><param name='what' expr='what'/></donedata></final>"

/* Starts a run of that graph; how many requests it took, how it stands, and that it verifies. */
static void check_lookup(struct engine_rig *rig, const char *graph, size_t requests,
                         const char *status, const char *tasks)
{
	char run[32];
	size_t before = engine_rig_requests(rig);
	json_t *reply = engine_rig_start(rig, graph, graph, NULL, run);
	CHECK_MSG(strcmp(json_str(json_at(reply, "run"), "status", ""), status) == 0, "%s: %s",
	          graph, json_str(json_at(reply, "run"), "status", ""));
	CHECK_MSG(engine_rig_requests(rig) == before + requests, "%s: %zu requests", graph,
	          engine_rig_requests(rig) - before);
	check_tasks(rig, run, "", tasks);
	check_verified(rig, run);
	json_decref(reply);
}

/* Nobody knows whether it happened, but the action can ask: only where that fails, a person is. */
static void test_lookup(void)
{
	struct engine_rig rig;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "there", "", LOOKED_UP("/lost", "/there"));
	engine_rig_graph(&rig, "gone", "", LOOKED_UP("/slip", "/gone"));
	engine_rig_graph(&rig, "bad", "", LOOKED_UP("/lost", "/bad"));
	engine_rig_graph(&rig, "never", "", LOOKED_UP("/lost", "/gone"));
	engine_rig_graph(&rig, "held", "", LOOKED_UP("/hold", "/there"));
	engine_rig_open(&rig);
	if (!rig.has_plugins) {
		check_skip("the plugin http is not built");
		engine_rig_release(&rig);
		return;
	}
	check_lookup(&rig, "there", 2, "ended", "");
	check_lookup(&rig, "gone", 3, "ended", "");
	check_lookup(&rig, "bad", 2, "waiting_for_people", "1.unsure0:open");
	/* It does not go on for ever. */
	check_lookup(&rig, "never", 7, "waiting_for_people", "1.unsure0:open");

	struct rig_asker asker;
	rig_asker_init(&asker);
	rig_asker_send(&asker, &rig,
	               "{\"op\":\"run.start\",\"graph\":\"held\",\"correlation_id\":\"c\"}");
	char run[32];
	snprintf(run, sizeof(run), "%s",
	         json_str(json_at(rig_asker_last(&asker), "run"), "id", ""));
	rig_asker_release(&asker);
	engine_rig_seen(&rig, 15);
	engine_rig_reopen(&rig);
	engine_wait_rest(rig.engine);
	CHECK(engine_rig_requests(&rig) == 16);
	check_tasks(&rig, run, "", "");
	check_verified(&rig, run);
	engine_rig_let_go(&rig);
	engine_rig_release(&rig);
}

/* An unsure send holds up nothing, not even the end of its run; it is settled afterwards. */
static void test_unsure_send(void)
{
	struct engine_rig rig;
	char run[32], task[64];
	engine_rig_init(&rig, true);
	engine_rig_graph(
		&rig, "g", "",
		"<datamodel><data id='who' gw:exclusive='true'/></datamodel><state id='a'><onentry>"
		"<send id='m' type='http' event='request'><param name='method' expr=\"'POST'\"/>"
		"<param name='path' expr=\"'/lost'\"/></send></onentry><transition target='b'/>"
		"</state><final id='b'/>");
	engine_rig_open(&rig);
	if (!rig.has_plugins) {
		check_skip("the plugin http is not built");
		engine_rig_release(&rig);
		return;
	}
	json_t *reply = engine_rig_start(&rig, "g", "c1", "{\"who\":\"A\"}", run);
	CHECK_STR(json_str(json_at(reply, "run"), "status", ""), "ended");
	json_decref(reply);
	check_tasks(&rig, run, "open", "1.unsure0:open");
	/* Another run has what this one gave up, also while its send goes out once more. */
	reply = engine_rig_start(&rig, "g", "c2", "{\"who\":\"A\"}", NULL);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	snprintf(task, sizeof(task), "%s.1.unsure0", run);
	check_answer(&rig, task, "repeat", "op", "");
	engine_wait_rest(rig.engine);
	CHECK_STR(engine_rig_status(&rig, run), "ended");
	engine_rig_reopen(&rig);
	check_answer(&rig, task, "happened", "op", "");
	check_tasks(&rig, run, "", "1.unsure0:done");
	CHECK_STR(engine_rig_status(&rig, run), "ended");
	check_verified(&rig, run);
	char *name = mem_format("out/audit_%s.json", run), *audit = engine_rig_read(&rig, name);
	CHECK(audit && strstr(audit, "\"happened\"") == NULL && strstr(audit, "\"ok\"") != NULL);
	free(audit);
	free(name);
	engine_rig_release(&rig);
}

int main(void)
{
	mem_install();
	test_asked_by_starter();
	test_approval();
	test_approval_after_restart();
	test_overdue();
	test_checklist();
	test_checklist_done_at_once();
	test_checklist_wrong();
	test_unsure();
	test_lookup();
	test_unsure_after_restart();
	test_unsure_send();
	return check_done();
}
