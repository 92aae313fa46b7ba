/* SPDX-License-Identifier: MIT */
/* Once more, from there, all of them, and why: what people do to runs and tasks afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "engine_rig.h"

static void check_error(json_t *reply_taken, const char *want)
{
	CHECK_STR(rig_error(reply_taken), want);
	json_decref(reply_taken);
}

static void check_verified(struct engine_rig *rig, const char *run)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"audit.verify\",\"run\":\"%s\"}", run);
	char *text = json_canon(json_at(json_at(reply, "verify"), "findings"));
	CHECK_STR(text, "[]");
	free(text);
	json_decref(reply);
}

/* Until the run rests; its status. */
static void wait_for(struct engine_rig *rig, const char *run, const char *want)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"run.wait\",\"run\":\"%s\"}", run);
	CHECK_STR(json_str(json_at(reply, "run"), "status", ""), want);
	json_decref(reply);
}

/* --- retry and resume ------------------------------------------------------------------ */

/* Nobody handles the failure: the run blocks. */
#define CALLS(path)                                                                          \
	"<state id='a' gw:title='Ask the far side'><invoke id='c' type='http' src='post'>"   \
	"<param name='path' expr=\"'" path "'\"/><param name='body' expr='{n=1}'/></invoke>" \
	"<transition event='done.invoke.c' target='b'/></state><final id='b'/>"

static void key_of(const struct engine_rig *rig, size_t at, char ret[100])
{
	const char *line = json_string_value(json_array_get(rig->requests, at));
	const char *space = line ? strchr(strchr(line, ' ') + 1, ' ') : NULL;
	snprintf(ret, 100, "%.64s", space ? space + 1 : "none");
}

static void test_retry(void)
{
	struct engine_rig rig;
	char run[32], first[100], second[100];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", CALLS("/mend"));
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, run));
	CHECK_STR(engine_rig_status(&rig, run), "blocked");
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.retry\",\"run\":\"%s\",\"by\":\"ann\"}",
	                               run);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	wait_for(&rig, run, "ended");
	key_of(&rig, 0, first);
	key_of(&rig, 1, second);
	CHECK(json_array_size(rig.requests) == 2 && strlen(first) == 64);
	CHECK_STR(second, first);
	check_verified(&rig, run);
	check_error(engine_rig_ask(&rig, "{\"op\":\"run.retry\",\"run\":\"%s\",\"by\":\"a\"}", run),
	            "run.ended");
	engine_rig_reopen(&rig);
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

/* The engine dies when the retry is on record and its answer is not: the call goes out again. */
static void test_retry_recovers(void)
{
	struct engine_rig rig;
	char run[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", CALLS("/bad"));
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, run));
	json_decref(
		engine_rig_ask(&rig, "{\"op\":\"run.retry\",\"run\":\"%s\",\"by\":\"a\"}", run));
	engine_rig_reopen(&rig);
	wait_for(&rig, run, "blocked");
	CHECK(json_array_size(rig.requests) >= 2);
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

#define BLOCKS                                                                              \
	"<datamodel><data id='n' expr='0'/></datamodel><state id='a'>"                      \
	"<transition event='go' target='b'><script>n = n + 1; while n == 1 do end</script>" \
	"</transition></state><final id='b'/>"

static void test_resume(void)
{
	struct engine_rig rig;
	char run[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", BLOCKS);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c\"}");
	snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	check_error(
		engine_rig_ask(&rig, "{\"op\":\"run.resume\",\"run\":\"%s\",\"by\":\"a\"}", run),
		"run.not_blocked");
	json_decref(engine_rig_ask(&rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"go\"}",
	                           run));
	CHECK_STR(engine_rig_status(&rig, run), "blocked");
	check_error(engine_rig_ask(&rig, "{\"op\":\"run.retry\",\"run\":\"%s\",\"by\":\"a\"}", run),
	            "run.no_failed_call");
	reply = engine_rig_ask(&rig, "{\"op\":\"run.resume\",\"run\":\"%s\",\"by\":\"a\"}", run);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
	wait_for(&rig, run, "blocked"); /* the same cause, so the same end */
	CHECK(engine_rig_count(&rig, run, "resume") == 1 &&
	      engine_rig_count(&rig, run, "blocked") == 2);
	engine_rig_reopen(&rig);
	CHECK_STR(engine_rig_status(&rig, run), "blocked");
	check_verified(&rig, run);
	engine_rig_release(&rig);
}

/* --- fork ------------------------------------------------------------------------------ */

#define COUNTS                                                                              \
	"<datamodel><data id='n' expr='0'/></datamodel><state id='a'>"                      \
	"<transition event='tick'><assign location='n' expr='n + 1'/></transition>"         \
	"<transition event='ask' target='ask'/><transition event='go' target='b'/></state>" \
	"<state id='ask'><invoke id='ok' type='approval'><param name='role' "               \
	"expr=\"'lead'\"/></invoke><transition event='done.invoke.ok' target='b'/></state>" \
	"<final id='b'><donedata><param name='n' expr='n'/></donedata></final>"

static void signal_run(struct engine_rig *rig, const char *run, const char *event)
{
	json_t *reply = engine_rig_ask(
		rig, "{\"op\":\"run.signal\",\"run\":\"%s\",\"event\":\"%s\"}", run, event);
	CHECK_STR(rig_error(reply), "");
	json_decref(reply);
}

static json_t *fork_run(struct engine_rig *rig, const char *run, int record, const char *name,
                        char ret[32])
{
	json_t *reply = engine_rig_ask(rig,
	                               "{\"op\":\"run.fork\",\"run\":\"%s\",\"seq\":%d,"
	                               "\"correlation_id\":\"%s\",\"by\":\"ann\"}",
	                               run, record, name);
	snprintf(ret, 32, "%s", json_str(json_at(reply, "run"), "id", ""));
	return reply;
}

static void test_fork(void)
{
	struct engine_rig rig;
	char run[32], fork[32], again[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", COUNTS);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"c\"}");
	snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	signal_run(&rig, run, "tick");
	signal_run(&rig, run, "tick");
	signal_run(&rig, run, "ask"); /* record 4 */
	json_decref(
		engine_rig_ask(&rig, "{\"op\":\"run.cancel\",\"run\":\"%s\",\"by\":\"a\"}", run));

	reply = fork_run(&rig, run, 2, "f", fork);
	CHECK_STR(rig_error(reply), "");
	CHECK(json_truth(reply, "is_new", false) && strcmp(fork, run) != 0);
	json_decref(reply);
	reply = fork_run(&rig, run, 2, "f", again);
	CHECK_MSG(!json_truth(reply, "is_new", true) && strcmp(fork, again) == 0,
	          "the same fork is made once");
	json_decref(reply);
	engine_rig_reopen(&rig);
	signal_run(&rig, fork, "tick");
	check_verified(&rig, fork);
	signal_run(&rig, fork, "go");
	reply = engine_rig_ask(&rig, "{\"op\":\"run.show\",\"run\":\"%s\"}", fork);
	CHECK_MSG(json_int(json_path(reply, "run.result"), "n", -1) == 2,
	          "one tick of the origin's, one of its own");
	json_decref(reply);
	check_verified(&rig, fork);
	check_verified(&rig, run);

	/* A task that was open there is asked anew, under the fork's name. */
	reply = fork_run(&rig, run, 4, "g", fork);
	const char *task = json_str(json_array_get(json_path(reply, "run.tasks"), 0), "id", "");
	CHECK_MSG(strncmp(task, fork, 26) == 0, "its own task: %s", task);
	json_t *answer = engine_rig_ask(
		&rig,
		"{\"op\":\"task.answer\",\"task\":\"%s\",\"outcome\":\"approved\",\"by\":\"bob\"}",
		task);
	CHECK_STR(rig_error(answer), "");
	json_decref(answer);
	json_decref(reply);
	wait_for(&rig, fork, "ended");
	check_verified(&rig, fork);
	check_error(fork_run(&rig, run, 5, "h", fork), "fork.record"); /* it had ended there */
	check_error(fork_run(&rig, run, 9, "h", fork), "fork.record");
	check_error(fork_run(&rig, run, 0, "h", fork), "fork.record");
	engine_rig_release(&rig);
}

/* --- tasks ----------------------------------------------------------------------------- */

#define LIST                                                                                  \
	"<state id='a'><invoke id='l' type='checklist'><param name='items' expr=\""           \
	"{{id='x', title='X', owner='cs'}, {id='y', title='Y', owner='it', after={'x'}}}\"/>" \
	"</invoke><transition event='done.invoke.l' target='b'/></state><final id='b'/>"

static void test_assign(void)
{
	struct engine_rig rig;
	char run[32], etag[64];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", LIST);
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, run));
	json_t *reply =
		engine_rig_ask(&rig, "{\"op\":\"task.list\",\"run\":\"%s\",\"team\":\"cs\"}", run);
	CHECK(json_array_size(json_at(reply, "tasks")) == 1);
	char *task = mem_dup_str(json_str(json_array_get(json_at(reply, "tasks"), 0), "id", ""));
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"task.show\",\"task\":\"%s\"}", task);
	snprintf(etag, sizeof(etag), "%s", json_str(reply, "etag", ""));
	json_decref(reply);
	check_error(
		engine_rig_ask(&rig, "{\"op\":\"task.assign\",\"task\":\"%s\",\"by\":\"a\"}", task),
		"task.assign");
	check_error(engine_rig_ask(&rig,
	                           "{\"op\":\"task.assign\",\"task\":\"%s\",\"by\":\"a\","
	                           "\"owner\":\"fin\",\"etag\":\"other\"}",
	                           task),
	            "etag.changed");
	check_error(engine_rig_ask(&rig,
	                           "{\"op\":\"task.assign\",\"task\":\"%s\",\"by\":\"a\","
	                           "\"owner\":\"fin\",\"teams\":[\"it\"]}",
	                           task),
	            "task.team");
	reply = engine_rig_ask(&rig,
	                       "{\"op\":\"task.assign\",\"task\":\"%s\",\"by\":\"ann\","
	                       "\"owner\":\"fin\",\"etag\":\"%s\",\"due_ms\":1800000000000}",
	                       task, etag);
	CHECK_STR(json_str(json_at(reply, "task"), "owner", ""), "fin");
	CHECK(strcmp(json_str(reply, "etag", ""), etag) != 0 && *json_str(reply, "etag", ""));
	json_decref(reply);
	engine_rig_reopen(&rig);
	check_verified(&rig, run);
	check_error(engine_rig_ask(&rig,
	                           "{\"op\":\"task.answer\",\"task\":\"%s\",\"by\":\"sam\","
	                           "\"outcome\":\"done\",\"teams\":[\"cs\"]}",
	                           task),
	            "task.team");
	check_error(engine_rig_ask(&rig,
	                           "{\"op\":\"task.answer\",\"task\":\"%s\",\"by\":\"sam\","
	                           "\"outcome\":\"done\",\"teams\":[\"fin\"]}",
	                           task),
	            "");
	/* What it frees is not what was changed: the first item stays with whom it went to. */
	reply = engine_rig_ask(&rig, "{\"op\":\"task.show\",\"task\":\"%s\"}", task);
	CHECK_STR(json_str(json_at(reply, "task"), "owner", ""), "fin");
	CHECK_STR(json_str(json_at(reply, "task"), "status", ""), "done");
	json_decref(reply);
	check_verified(&rig, run);
	free(task);
	engine_rig_release(&rig);
}

/* Who started a run does not approve what it asks for, unless it says who asked. */
static void test_starter(void)
{
	struct engine_rig rig;
	char run[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", COUNTS);
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"by\":\"ann\","
	                                     "\"correlation_id\":\"c\"}");
	snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	engine_rig_reopen(&rig);
	signal_run(&rig, run, "ask");
	reply = engine_rig_ask(&rig, "{\"op\":\"task.list\",\"run\":\"%s\"}", run);
	const char *task = json_str(json_array_get(json_at(reply, "tasks"), 0), "id", "");
	check_error(engine_rig_ask(&rig,
	                           "{\"op\":\"task.answer\",\"task\":\"%s\",\"by\":\"ann\","
	                           "\"outcome\":\"approved\"}",
	                           task),
	            "task.self_approval");
	check_error(engine_rig_ask(&rig,
	                           "{\"op\":\"task.answer\",\"task\":\"%s\",\"by\":\"bob\","
	                           "\"outcome\":\"approved\"}",
	                           task),
	            "");
	json_decref(reply);
	engine_rig_release(&rig);
}

/* --- many ------------------------------------------------------------------------------ */

static int64_t commits(struct engine_rig *rig)
{
	json_t *reply = engine_rig_ask(rig, "{\"op\":\"figures\"}");
	int64_t ret = json_integer_value(
		json_path(reply, "figures.gw_commit_duration_seconds.samples[0].count"));
	json_decref(reply);
	return ret;
}

/* A thousand starts of runs that then wait; the text is to be freed. */
static char *thousand(void)
{
	struct buf out;
	buf_init(&out, 1 << 20);
	buf_put(&out, "{\"op\":\"run.batch\",\"by\":\"ann\",\"key\":\"k\",\"starts\":[");
	for (int i = 0; i < 1000; i++)
		buf_printf(&out, "%s{\"graph\":\"g\"}", i ? "," : "");
	buf_put(&out, "]}");
	return buf_take(&out);
}

static void test_batch(void)
{
	struct engine_rig rig;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", COUNTS);
	engine_rig_open(&rig);
	char *text = thousand();
	int64_t before = commits(&rig);
	json_t *reply = engine_rig_ask(&rig, "%s", text);
	CHECK_MSG(commits(&rig) - before == 1, "a thousand starts are one commit: %lld",
	          (long long)(commits(&rig) - before));
	size_t is_new = 0;
	for (size_t i = 0; i < json_array_size(json_at(reply, "results")); i++)
		is_new += json_truth(json_array_get(json_at(reply, "results"), i), "is_new", false);
	CHECK(is_new == 1000);
	json_decref(reply);
	engine_rig_reopen(&rig);
	reply = engine_rig_ask(&rig, "%s", text); /* the same key: the same runs */
	is_new = 0;
	for (size_t i = 0; i < json_array_size(json_at(reply, "results")); i++)
		is_new += json_truth(json_array_get(json_at(reply, "results"), i), "is_new", true);
	CHECK(is_new == 0);
	json_decref(reply);
	free(text);
	/* What cannot start is refused alone; twice the same name is one run. */
	reply = engine_rig_ask(&rig, "{\"op\":\"run.batch\",\"starts\":[{\"graph\":\"none\"},"
	                             "{\"graph\":\"g\",\"correlation_id\":\"one\"},"
	                             "{\"graph\":\"g\",\"correlation_id\":\"one\"},"
	                             "{\"graph\":\"g\",\"correlation_id\":\"a b\"}]}");
	const json_t *results = json_at(reply, "results");
	CHECK_STR(json_str(json_at(json_array_get(results, 0), "error"), "id", ""), "graph.absent");
	CHECK(json_truth(json_array_get(results, 1), "is_new", false));
	CHECK_STR(json_str(json_array_get(results, 2), "run", "?"),
	          json_str(json_array_get(results, 1), "run", "!"));
	CHECK_STR(json_str(json_at(json_array_get(results, 3), "error"), "id", ""),
	          "run.correlation_id");
	json_decref(reply);
	check_error(engine_rig_ask(&rig, "{\"op\":\"run.batch\",\"starts\":[]}"), "batch.starts");
	check_error(engine_rig_ask(&rig, "{\"op\":\"run.batch\",\"starts\":[{\"graph\":\"g\","
	                                 "\"by\":\"root\"}]}"),
	            "body.unknown_member");

	check_error(engine_rig_ask(&rig, "{\"op\":\"run.bulk\",\"action\":\"cancel\"}"),
	            "bulk.filter");
	check_error(engine_rig_ask(&rig, "{\"op\":\"run.bulk\",\"action\":\"delete\","
	                                 "\"graph\":\"g\"}"),
	            "bulk.action");
	reply = engine_rig_ask(&rig, "{\"op\":\"run.bulk\",\"action\":\"signal\",\"event\":\"go\","
	                             "\"by\":\"ann\",\"graph\":\"g\",\"status\":\"waiting\","
	                             "\"limit\":100,\"dry_run\":true}");
	CHECK(json_int(reply, "matched", 0) == 100 &&
	      json_is_string(json_array_get(json_at(reply, "results"), 0)));
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.bulk\",\"action\":\"signal\",\"event\":\"go\","
	                             "\"by\":\"ann\",\"graph\":\"g\",\"status\":\"waiting\","
	                             "\"limit\":100}");
	size_t ended = 0;
	for (size_t i = 0; i < json_array_size(json_at(reply, "results")); i++)
		ended +=
			strcmp(json_str(json_array_get(json_at(reply, "results"), i), "status", ""),
		               "ended") == 0;
	CHECK_MSG(ended == 100, "%zu of 100 ended", ended);
	json_decref(reply);
	engine_rig_release(&rig);
}

/* What is let in is bounded: the start that finds no room is refused, and nothing of it kept. */
static void test_room(void)
{
	struct engine_rig rig;
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", CALLS("/hold"));
	rig.options.resident_max = 1;
	engine_rig_open(&rig);
	json_t *reply = engine_rig_ask(
		&rig, "{\"op\":\"run.start\",\"graph\":\"g\",\"correlation_id\":\"a\"}");
	CHECK_STR(rig_error(reply), "");
	char run[32];
	snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	check_error(engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"g\","
	                                 "\"correlation_id\":\"b\"}"),
	            "engine.full");
	engine_rig_let_go(&rig);
	wait_for(&rig, run, "ended");
	for (const char *error = "engine.full"; strcmp(error, "engine.full") == 0;) {
		reply = engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"g\","
		                             "\"correlation_id\":\"b\"}");
		error = *rig_error(reply) ? "engine.full" : "";
		CHECK_MSG(*error || json_truth(reply, "is_new", false), "it was not kept before");
		json_decref(reply);
	}
	engine_rig_release(&rig);
}

/* --- why ------------------------------------------------------------------------------- */

static void test_explain(void)
{
	struct engine_rig rig;
	char run[32];
	engine_rig_init(&rig, true);
	engine_rig_graph(&rig, "g", "", CALLS("/bad"));
	engine_rig_graph(&rig, "h", "", COUNTS);
	engine_rig_open(&rig);
	json_decref(engine_rig_start(&rig, "g", "c", NULL, run));
	json_t *reply = engine_rig_ask(&rig, "{\"op\":\"run.explain\",\"run\":\"%s\"}", run);
	const json_t *explain = json_at(reply, "explain");
	const char *text = json_str(explain, "text", "");
	CHECK_MSG(strstr(text, "A call failed: "), "%s", text);
	CHECK_MSG(strstr(text, "Nothing could be decided"), "%s", text);
	CHECK_MSG(strstr(text, "operator must act"), "%s", text);
	CHECK(json_array_size(json_at(explain, "errors")) == 1);
	json_decref(reply);
	reply = engine_rig_ask(&rig, "{\"op\":\"run.start\",\"graph\":\"h\",\"by\":\"ann\","
	                             "\"correlation_id\":\"c\"}");
	snprintf(run, sizeof(run), "%s", json_str(json_at(reply, "run"), "id", ""));
	json_decref(reply);
	signal_run(&rig, run, "ask");
	reply = engine_rig_ask(&rig, "{\"op\":\"run.explain\",\"run\":\"%s\"}", run);
	explain = json_at(reply, "explain");
	CHECK_STR(json_str(explain, "waits_for", ""), "people");
	CHECK_STR(json_str(json_array_get(json_at(explain, "must_act"), 0), "who", ""), "lead");
	CHECK(strstr(json_str(explain, "text", ""), "It was started by ann."));
	json_decref(reply);
	engine_rig_release(&rig);
}

int main(void)
{
	mem_install();
	test_retry();
	test_retry_recovers();
	test_resume();
	test_fork();
	test_assign();
	test_starter();
	test_batch();
	test_room();
	test_explain();
	return check_done();
}
