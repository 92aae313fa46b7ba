/* SPDX-License-Identifier: MIT */
/*
 * The life of a call, seen from the caller, against the plugin
 * tests/plugins/contract/contract.c and a wire that answers when told to.
 */
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/mem.h"
#include "check.h"
#include "fake_wire.h"
#include "plugin/plugin.h"
#include "plugin_dir.h"

/* One call with all it needs; what the hooks saw is written down as lines. */
struct stage {
	const struct plugin *plugin;
	struct plugin_call *call;
	struct wire *wire;
	struct wire_connection *connection;
	struct fake_loop loop;
	struct plugin_call_hooks hooks;
	struct buf seen; /* "request 0 held; ", "answer 0; ", "end ok; " */
	json_t *end;
	bool is_inside; /* by the on_enter hook */
	bool frees_at_end, cancels_on_request;
	json_t *recorded, *prompt;
};

static void on_request(void *ctx, struct plugin_call *call, const struct plugin_request *request)
{
	struct stage *stage = ctx;
	CHECK(!stage->is_inside);
	buf_printf(&stage->seen, "request %u %s; ", request->ordinal,
	           request->is_released ? "sent" : "held");
	if (stage->cancels_on_request)
		plugin_call_cancel(call);
}

static void on_answer(void *ctx, struct plugin_call *call, uint32_t ordinal,
                      const struct wire_reply *reply)
{
	struct stage *stage = ctx;
	(void)call;
	buf_printf(&stage->seen, "answer %u %d; ", ordinal, reply->code);
}

static void on_end(void *ctx, struct plugin_call *call, bool ok, json_t *value)
{
	struct stage *stage = ctx;
	CHECK(!stage->is_inside);
	buf_printf(&stage->seen, "end %s; ", ok ? "ok" : json_str(value, "error_type", "?"));
	json_decref(stage->end);
	stage->end = value;
	if (stage->frees_at_end) {
		plugin_call_free(call);
		stage->call = NULL;
	}
}

static json_t *on_prompt(void *ctx, struct plugin_call *call, const char *name,
                         const json_t *values, struct err *err)
{
	struct stage *stage = ctx;
	(void)call;
	buf_printf(&stage->seen, "prompt %s %s; ", name, json_str(values, "name", ""));
	if (!stage->prompt)
		err_set(err, ERR_ABSENT, "no prompt '%s'", name);
	return json_incref(stage->prompt);
}

static void on_enter(void *ctx, const char *plugin)
{
	struct stage *stage = ctx;
	stage->is_inside = plugin != NULL;
	if (plugin)
		CHECK_STR(plugin, "contract");
}

static void stage_init(struct stage *stage, const struct plugin *plugin)
{
	*stage = (struct stage){ .plugin = plugin };
	stage->wire = fake_wire_new();
	stage->connection = fake_connection_new("contract");
	fake_loop_init(&stage->loop);
	buf_init(&stage->seen, 65536);
	stage->hooks = (struct plugin_call_hooks){ stage,  on_request, on_answer,
		                                   on_end, on_prompt,  on_enter };
}

static void stage_release(struct stage *stage)
{
	plugin_call_free(stage->call);
	fake_wire_free(stage->wire);
	fake_connection_free(stage->connection);
	fake_loop_release(&stage->loop);
	buf_release(&stage->seen);
	json_decref(stage->end);
	json_decref(stage->recorded);
	json_decref(stage->prompt);
}

/* Everything up to and with start.  params is taken. */
static void begin(struct stage *stage, const char *action, json_t *params)
{
	struct plugin_call_options options = {
		.action = plugin_action_find(stage->plugin, action),
		.wire = stage->wire,
		.connection = stage->connection,
		.params = params,
		.run_id = "run-1",
		.correlation_id = "ACME 001\r\nBcc: x",
		.traceparent = "00-11111111111111111111111111111111-2222222222222222-01",
		.number = 7,
		.element = 2,
		.now_ms = 1700000000000,
		.timeout_ms = -1,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.recorded = stage->recorded,
		.hooks = &stage->hooks,
		.loop = &stage->loop.loop,
	};
	struct err err = { 0 };
	CHECK_MSG(plugin_call_new(&options, &stage->call, &err) == 0, "%s: %s", action, err.text);
	json_decref(params);
	plugin_call_start(stage->call);
}

/* The end that start brought about. */
static const json_t *early_end(struct stage *stage, bool *ok)
{
	json_t *value = NULL;
	*ok = false;
	CHECK(plugin_call_is_ended(stage->call));
	CHECK(plugin_call_take_end(stage->call, ok, &value));
	CHECK(!plugin_call_take_end(stage->call, ok, &value));
	CHECK(stage->seen.len == 0); /* no hook */
	stage->end = value;
	return value;
}

static void answer(struct stage *stage, size_t i, int code, const char *body)
{
	fake_wire_answer(fake_wire_at(stage->wire, i), code, body);
}

static const char *seen(struct stage *stage)
{
	return stage->seen.bytes ? stage->seen.bytes : "";
}

static const char *end_str(const struct stage *stage, const char *key)
{
	return json_str(stage->end, key, "?");
}

/* Runs an action that ends in start and compares two members of its end. */
static void check_failure(const struct plugin *plugin, const char *action, json_t *params,
                          const char *type, const char *says)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	begin(&stage, action, params);
	const json_t *end = early_end(&stage, &ok);
	CHECK_MSG(!ok && strcmp(json_str(end, "error_type", ""), type) == 0, "%s fails as %s: %s",
	          action, type, json_str(end, "error_type", "?"));
	CHECK_MSG(strstr(json_str(end, "message", ""), says) != NULL, "%s says \"%s\": %s", action,
	          says, json_str(end, "message", "?"));
	CHECK(plugin_call_request_count(stage.call) == 0);
	CHECK(fake_wire_at(stage.wire, 0) == NULL);
	stage_release(&stage);
}

/* --- PURE and reading --------------------------------------------------- */

static void test_pure(const struct plugin *plugin)
{
	struct err err = { 0 };
	json_t *params = json_pack("{s:s,s:f}", "text", "hi", "number", 0.5), *result = NULL;
	bool ok = false;
	const struct plugin_action *echo = plugin_action_find(plugin, "echo");
	CHECK(plugin_pure(echo, params, "run-9", 42, &ok, &result, &err) == 0 && ok);
	CHECK_STR(json_str(result, "text", ""), "hi");
	CHECK_STR(json_str(result, "number", ""), "0.5");
	CHECK_STR(json_str(result, "run", ""), "run-9");
	CHECK(json_int(result, "now", 0) == 42);
	json_decref(result);
	json_object_del(params, "text");
	CHECK(plugin_pure(echo, params, "run-9", 42, &ok, &result, &err) == ERR_INPUT);
	CHECK_MSG(strstr(err.text, "contract.echo") != NULL, "%s", err.text);
	json_decref(params);
}

static void test_json(const struct plugin *plugin)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	begin(&stage, "json", NULL);
	const json_t *end = early_end(&stage, &ok);
	CHECK(ok);
	CHECK(json_int(end, "absent", -1) == 0 && json_int(end, "bad", -1) == 0);
	CHECK_STR(json_str(end, "dotted", ""), "x");
	CHECK(json_int(end, "n", 0) == 12);
	CHECK(json_int(end, "big", 0) == 9007199254740993);
	CHECK(json_int(end, "no_int", 0) == -1);
	CHECK(json_is_real(json_at(end, "r")) && json_truth(end, "t", false));
	CHECK(json_int(end, "count", 0) == 2);
	CHECK_STR(json_str(end, "third", ""), "r");
	CHECK(json_at(end, "nothing") == NULL && json_is_null(json_at(end, "null")));
	CHECK(json_array_size(json_at(end, "list")) == 2);
	CHECK_STR(json_str(end, "text", ""), "replaced");
	CHECK_STR(json_str(end, "order", ""),
	          "{\"z\":[1,{\"a.b\":\"x\"}],\"n\":\"12\",\"r\":0.2,\"t\":\"T\","
	          "\"big\":9007199254740993}");
	CHECK_STR(json_str(end, "valid", "?"), "");
	CHECK(strlen(json_str(end, "invalid", "")) > 0);
	stage_release(&stage);
	check_failure(plugin, "json_loop", NULL, "plugin_bug", "would contain itself");
	check_failure(plugin, "json_deep", NULL, "malformed_reply", "too deep");
}

static void test_read(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	fake_connection_set(stage.connection, "api_version", "60.0");
	begin(&stage, "read", json_pack("{s:s}", "id", "a/../b c"));
	CHECK(!plugin_call_is_ended(stage.call) && plugin_call_request_count(stage.call) == 1);
	struct plugin_request request = plugin_call_request(stage.call, 0);
	CHECK(request.effect == WIRE_READ && !request.is_released);
	CHECK_STR(json_str(request.json, "effect", ""), "READ");
	CHECK(fake_wire_at(stage.wire, 0) == NULL); /* held */
	plugin_call_release(stage.call, UINT32_MAX);
	const struct wire_request *sent = fake_wire_at(stage.wire, 0);
	CHECK_STR(json_str(sent->sent, "path", ""), "/v60.0/things/a%2F..%2Fb%20c");
	CHECK_STR(json_str(sent->sent, "method", ""), "GET");
	CHECK(sent->key == NULL && sent->timeout_ms == 5000 && sent->retries == -1);
	CHECK_STR(sent->traceparent, "00-11111111111111111111111111111111-2222222222222222-01");
	plugin_call_release(stage.call, UINT32_MAX); /* once is enough */
	CHECK(fake_wire_at(stage.wire, 1) == NULL);
	CHECK(!plugin_call_has_left(stage.call));
	answer(&stage, 0, 200, "{\"id\":5}");
	CHECK_STR(seen(&stage), "answer 0 200; end ok; ");
	CHECK(json_int(stage.end, "id", 0) == 5);
	stage_release(&stage);
}

/* --- writing ------------------------------------------------------------ */

static void test_keyed(const struct plugin *plugin)
{
	struct stage stage;
	char key[65];
	stage_init(&stage, plugin);
	begin(&stage, "create", json_pack("{s:s}", "title", "disk"));
	plugin_key("run-1", 7, 2, 0, key);
	struct plugin_request request = plugin_call_request(stage.call, 0);
	char *text = json_canon(request.json);
	char *want =
		mem_format("{\"body\":\"{\\\"params\\\":{\\\"title\\\":\\\"disk\\\"},\\\"key\\\":"
	                   "\\\"%s\\\"}\",\"content_type\":\"application/json\",\"effect\":"
	                   "\"KEYED\",\"headers\":[[\"X-Reason\",\"test\"]],\"method\":\"POST\","
	                   "\"ordinal\":0,\"path\":\"/tickets\"}",
	                   key);
	CHECK_STR(text, want);
	CHECK(!plugin_call_has_left(stage.call));
	plugin_call_release(stage.call, 0);
	CHECK(plugin_call_has_left(stage.call));
	const struct wire_request *sent = fake_wire_at(stage.wire, 0);
	CHECK_STR(sent->key, key);
	CHECK_STR(json_str(json_at(sent->sent, "headers"), "X-Reason", ""), "test");
	CHECK_STR(json_str(sent->sent, "content_type", ""), "application/json");
	answer(&stage, 0, 201, "{\"id\":7}");
	CHECK_STR(seen(&stage), "answer 0 201; end ok; ");
	free(text);
	free(want);
	stage_release(&stage);
}

/* DESIGN 4: SHA-256 of (run, effect number, element, ordinal); these must never change. */
static void test_key(void)
{
	char a[65], b[65];
	plugin_key("run-1", 7, 2, 0, a);
	CHECK_STR(a, "e2e1369435a465c5db9cdd20fcc38a2b39ca701dd2e23d466ca215290fff7de3");
	plugin_key("run-1", 7, 2, 1, b);
	CHECK(strcmp(a, b) != 0);
	plugin_key("run-1", 7, 0, 0, b);
	CHECK(strcmp(a, b) != 0);
	plugin_key("run-1", 8, 2, 0, b);
	CHECK(strcmp(a, b) != 0);
	plugin_key("run-", 17, 2, 0, b);
	CHECK(strcmp(a, b) != 0);
}

static void test_mail(const struct plugin *plugin)
{
	struct stage stage;
	char key[65];
	stage_init(&stage, plugin);
	begin(&stage, "mail",
	      json_pack("{s:s,s:s}", "to", "ann@example.org", "subject", "Hi \xc3\xa4"));
	plugin_key("run-1", 7, 2, 0, key);
	const json_t *mail = json_at(plugin_call_request(stage.call, 0).json, "mail");
	char *id = mem_format("%.32s.ACME-001--Bcc--x@gangway", key);
	CHECK_STR(json_str(mail, "message_id", ""), id);
	CHECK_STR(json_str(mail, "subject", ""), "Hi \xc3\xa4");
	CHECK(json_at(mail, "from") == NULL && json_int(mail, "date_ms", 0) == 1700000000000);
	plugin_call_release(stage.call, UINT32_MAX);
	const json_t *sent = json_at(fake_wire_at(stage.wire, 0)->sent, "mail");
	CHECK_STR(json_str(sent, "message_id", ""), id);
	CHECK_STR(json_str(sent, "html", ""), "<p>Hello.</p>");
	CHECK_STR(json_str(json_at(sent, "headers"), "X-Kind", ""), "welcome");
	/* 550: no such mailbox. */
	fake_wire_reply(fake_wire_at(stage.wire, 0),
	                &(struct wire_reply){ .status = WIRE_STATUS,
	                                      .code = 550,
	                                      .text = "550 5.1.1 no such user" });
	CHECK_STR(end_str(&stage, "error_type"), "validation");
	CHECK(strstr(end_str(&stage, "message"), "550 5.1.1") != NULL);
	free(id);
	stage_release(&stage);
	check_failure(plugin, "mail", json_pack("{s:s,s:s}", "to", "a@b", "subject", "x\r\nBcc: y"),
	              "validation", "the subject of a mail contains a line break");
	check_failure(plugin, "mail", json_pack("{s:s,s:s}", "to", "a@b\nCc: c@d", "subject", "x"),
	              "validation", "the to of a mail contains a line break");
	check_failure(plugin, "mail", json_pack("{s:s}", "subject", "x"), "validation",
	              "without a recipient");
}

/* A call begun anew sends what is on record, whatever the plugin would build now. */
static void test_recorded(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	stage.recorded = json_pack("[{s:i,s:s,s:s,s:s,s:s}]", "ordinal", 0, "effect", "KEYED",
	                           "method", "PUT", "path", "/old", "body", "old");
	begin(&stage, "create", json_pack("{s:s}", "title", "new"));
	CHECK(json_equal(plugin_call_request(stage.call, 0).json,
	                 json_array_get(stage.recorded, 0)));
	plugin_call_release(stage.call, UINT32_MAX);
	const struct wire_request *sent = fake_wire_at(stage.wire, 0);
	CHECK_STR(json_str(sent->sent, "path", ""), "/old");
	CHECK_STR(json_str(sent->sent, "body", ""), "old");
	CHECK_STR(json_str(sent->sent, "method", ""), "PUT");
	answer(&stage, 0, 200, "{}");
	json_t *facts = plugin_call_facts(stage.call);
	CHECK(strstr(json_string_value(json_path(facts, "notes[0]")), "as it was recorded") !=
	      NULL);
	json_decref(facts);
	stage_release(&stage);
}

/* --- several requests, and time ----------------------------------------- */

static void test_both(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "both", NULL);
	CHECK(plugin_call_request_count(stage.call) == 2);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 1, 200, "{\"n\":40}");
	answer(&stage, 0, 200, "{\"n\":2}");
	CHECK_STR(seen(&stage), "answer 1 200; answer 0 200; end ok; ");
	CHECK(json_int(stage.end, "sum", 0) == 42);
	stage_release(&stage);
}

/* The first failure ends the call; what is still open is aborted and heard of no more. */
static void test_early(const struct plugin *plugin, bool cancels_at_once)
{
	struct stage stage;
	stage_init(&stage, plugin);
	stage.wire->cancels_at_once = cancels_at_once;
	stage.frees_at_end = true;
	begin(&stage, "both", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 1, 404, "");
	CHECK_STR(seen(&stage), "answer 1 404; end not_found; ");
	CHECK(stage.call == NULL && fake_wire_at(stage.wire, 0)->is_cancelled);
	fake_wire_pump(stage.wire);
	CHECK_STR(seen(&stage), "answer 1 404; end not_found; ");
	stage_release(&stage);
}

static void test_poll(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "poll", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 0, 202, "");
	CHECK(fake_loop_armed(&stage.loop) == 1);
	CHECK(fake_loop_fire(&stage.loop) == 2000);
	CHECK(fake_wire_open(stage.wire) == 1); /* READ: left at once */
	answer(&stage, 1, 200, "{}");
	CHECK_STR(seen(&stage), "answer 0 202; request 1 sent; answer 1 200; end ok; ");
	stage_release(&stage);
}

static void test_wait(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "wait", NULL);
	CHECK(!plugin_call_is_ended(stage.call) && fake_loop_armed(&stage.loop) == 0);
	plugin_call_release(stage.call, UINT32_MAX);
	CHECK(fake_loop_armed(&stage.loop) == 1 && fake_loop_fire(&stage.loop) == 1);
	CHECK_STR(seen(&stage), "end ok; ");
	CHECK(json_is_null(stage.end));
	stage_release(&stage);
}

/* A later request that is not READ is told and waits for its own release. */
static void test_later_request(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "look_then_post", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 0, 200, "{}");
	CHECK_STR(seen(&stage), "answer 0 200; request 1 held; ");
	CHECK(fake_wire_at(stage.wire, 1) == NULL && !plugin_call_has_left(stage.call));
	plugin_call_release(stage.call, 1);
	CHECK(fake_wire_at(stage.wire, 1)->effect == WIRE_ONCE);
	/* Nobody knows whether it happened: for ONCE that is its own answer. */
	fake_wire_reply(fake_wire_at(stage.wire, 1),
	                &(struct wire_reply){ .status = WIRE_TIMEOUT,
	                                      .may_have_left = true,
	                                      .attempts = 1,
	                                      .text = "no answer within 10 s" });
	CHECK_STR(end_str(&stage, "error_type"), "unsure");
	CHECK(strstr(end_str(&stage, "message"), "POST /tickets: no answer within 10 s") != NULL);
	CHECK(!json_truth(stage.end, "retryable", true));
	stage_release(&stage);
}

/* --- cancelling --------------------------------------------------------- */

static void test_cancel_held(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "create", NULL);
	plugin_call_cancel(stage.call);
	CHECK_STR(seen(&stage), "end cancelled; ");
	CHECK(fake_wire_at(stage.wire, 0) == NULL);
	plugin_call_cancel(stage.call);
	plugin_call_release(stage.call, UINT32_MAX);
	CHECK(fake_wire_at(stage.wire, 0) == NULL);
	stage_release(&stage);
}

static void test_cancel_read(const struct plugin *plugin, bool cancels_at_once)
{
	struct stage stage;
	stage_init(&stage, plugin);
	stage.wire->cancels_at_once = cancels_at_once;
	stage.frees_at_end = true;
	begin(&stage, "both", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	plugin_call_cancel(stage.call);
	fake_wire_pump(stage.wire);
	CHECK_STR(seen(&stage), "answer 0 0; end cancelled; ");
	CHECK(stage.call == NULL);
	stage_release(&stage);
}

/* What left and is not READ finishes: its answer is late evidence. */
static void test_cancel_keyed(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "create", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	plugin_call_cancel(stage.call);
	CHECK_STR(seen(&stage), "");
	CHECK(!fake_wire_at(stage.wire, 0)->is_cancelled);
	answer(&stage, 0, 200, "{\"id\":1}");
	CHECK_STR(seen(&stage), "answer 0 200; end ok; ");
	stage_release(&stage);
}

static void test_cancel_later(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "poll", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 0, 202, "");
	plugin_call_cancel(stage.call);
	CHECK(fake_loop_armed(&stage.loop) == 0);
	CHECK_STR(seen(&stage), "answer 0 202; end cancelled; ");
	stage_release(&stage);
	stage_init(&stage, plugin);
	stage.cancels_on_request = stage.frees_at_end = true;
	begin(&stage, "look_then_post", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 0, 200, "{}");
	CHECK_STR(seen(&stage), "answer 0 200; request 1 held; end cancelled; ");
	stage_release(&stage);
}

/* --- broken contracts --------------------------------------------------- */

static json_t *bad(const char *what, const char *value)
{
	return json_pack("{s:s,s:s}", "what", what, "value", value);
}

static void test_bad_requests(const struct plugin *plugin)
{
	check_failure(plugin, "bad", bad("size", ""), "plugin_bug", "does not say its size");
	check_failure(plugin, "bad", bad("method", "get"), "plugin_bug", "without a method");
	check_failure(plugin, "bad", bad("method", "CONNECT"), "plugin_bug", "without a method");
	check_failure(plugin, "bad", bad("path", "one"), "plugin_bug", "begins with '/'");
	check_failure(plugin, "bad", bad("path", ""), "plugin_bug", "begins with '/'");
	check_failure(plugin, "bad", bad("path", "//evil.example/x"), "validation", "no path may");
	check_failure(plugin, "bad", bad("path", "/a/../b"), "validation", "no path may");
	check_failure(plugin, "bad", bad("path", "/a/%2e%2E?x"), "validation", "no path may");
	check_failure(plugin, "bad", bad("path", "/a b"), "validation", "no path may");
	check_failure(plugin, "bad", bad("path", "/a\r\nHost: x"), "validation", "no path may");
	check_failure(plugin, "bad", bad("name", "X-A: b"), "plugin_bug", "name is not a name");
	check_failure(plugin, "bad", bad("name", "authorization"), "plugin_bug",
	              "the engine's to set");
	check_failure(plugin, "bad", bad("value", "a\r\nX: y"), "validation", "line break");
	check_failure(plugin, "bad", bad("headers", ""), "plugin_bug", "65 headers");
	check_failure(plugin, "bad", bad("body", ""), "validation", "not valid UTF-8");
	check_failure(plugin, "bad", bad("callback", ""), "plugin_bug", "without a callback");
	check_failure(plugin, "stricter", NULL, "plugin_bug", "declared KEYED but asks for");
	check_failure(plugin, "two_posts", NULL, "plugin_bug", "not READ");
	check_failure(plugin, "post_and_done", NULL, "plugin_bug", "the request was not sent");
	check_failure(plugin, "many", NULL, "plugin_bug", "more than 100 requests");
}

static void test_paths_that_may(const struct plugin *plugin)
{
	static const char *const fine[] = { "/", "/a/..b/c...", "/a?x=../..",
		                            "/a%20b/.well-known" };
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		struct stage stage;
		stage_init(&stage, plugin);
		begin(&stage, "bad", bad("path", fine[i]));
		CHECK_MSG(!plugin_call_is_ended(stage.call), "the path %s may be", fine[i]);
		stage_release(&stage);
	}
}

static void test_lost(const struct plugin *plugin)
{
	struct stage stage;
	check_failure(plugin, "never", NULL, "plugin_bug", "neither ended the call nor waits");
	check_failure(plugin, "wrong_result", NULL, "malformed_reply", "text");
	stage_init(&stage, plugin);
	begin(&stage, "never_again", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	answer(&stage, 0, 200, "{}");
	CHECK_STR(seen(&stage), "answer 0 200; end plugin_bug; ");
	CHECK_STR(end_str(&stage, "error_code"), "LOST_CALL");
	CHECK_STR(end_str(&stage, "owner"), "Plugin Author");
	stage_release(&stage);
}

static void test_twice(const struct plugin *plugin)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	begin(&stage, "twice", json_pack("{s:i}", "x", 1));
	const json_t *end = early_end(&stage, &ok);
	CHECK(ok && json_is_null(end));
	json_t *facts = plugin_call_facts(stage.call);
	CHECK(json_array_size(json_at(facts, "notes")) == 2);
	CHECK(strstr(json_string_value(json_path(facts, "notes[0]")), "a second time (fail)") !=
	      NULL);
	json_decref(facts);
	stage_release(&stage);
}

static int verdict_of(struct stage *stage, const char *value)
{
	struct wire_header header = { (char *)(uintptr_t) "x-verdict", (char *)(uintptr_t)value };
	struct wire_request *sent = fake_wire_at(stage->wire, 0);
	return sent->classify(sent->arg, &(struct wire_reply){ .code = 200,
	                                                       .headers = &header,
	                                                       .header_count = value ? 1 : 0 });
}

static void test_classify(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "create", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	CHECK(verdict_of(&stage, NULL) == 0);
	CHECK(verdict_of(&stage, "2") == 2);
	CHECK(verdict_of(&stage, "9") == 0); /* none */
	CHECK(verdict_of(&stage, "meddle") == 0);
	CHECK(!plugin_call_is_ended(stage.call));
	json_t *facts = plugin_call_facts(stage.call);
	CHECK(json_array_size(json_at(facts, "notes")) == 2);
	json_decref(facts);
	/* What the call was freed under asks nobody any more. */
	struct wire_request *sent = fake_wire_at(stage.wire, 0);
	plugin_call_free(stage.call);
	stage.call = NULL;
	CHECK(sent->is_cancelled && verdict_of(&stage, "2") == 0);
	stage_release(&stage);
}

/* --- prompts, facts, failures ------------------------------------------- */

static void test_prompt(const struct plugin *plugin)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	stage.prompt = json_pack("{s:s,s:s,s:{s:s,s:s}}", "name", "greeting", "user",
	                         "Greet [P1] and [P12]", "masks", "[P1", "Ann", "[P12]", "Bob");
	begin(&stage, "prompt", json_pack("{s:s}", "name", "Ann"));
	CHECK_STR(seen(&stage), "prompt greeting Ann; ");
	plugin_call_release(stage.call, UINT32_MAX);
	const struct wire_request *sent = fake_wire_at(stage.wire, 0);
	CHECK_STR(json_str(sent->sent, "body", ""), "Greet [P1] and [P12]");
	CHECK_STR(json_str(sent->sent, "content_type", ""), "text/plain");
	answer(&stage, 0, 200, "{\"a\":[\"Hi [P12]!\",7],\"[P1\":\"[P1\"}");
	char *text = json_canon(stage.end);
	CHECK_STR(text, "{\"[P1\":\"Ann\",\"a\":[\"Hi Bob!\",7]}");
	free(text);
	stage_release(&stage);
	stage_init(&stage, plugin);
	begin(&stage, "prompt", NULL);
	CHECK_STR(seen(&stage), "prompt greeting ; ");
	buf_clear(&stage.seen);
	CHECK_STR(json_str(early_end(&stage, &ok), "message", ""),
	          "contract.prompt: no prompt 'greeting'");
	stage_release(&stage);
}

static void test_facts(const struct plugin *plugin)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	begin(&stage, "facts", json_pack("{s:s}", "model", "m-1"));
	const json_t *end = early_end(&stage, &ok);
	CHECK_STR(json_str(end, "message", ""), "contract.facts failed");
	json_t *facts = plugin_call_facts(stage.call);
	char *text = json_canon(facts);
	CHECK_STR(text, "{\"facts\":{\"model\":{\"model\":\"m-1\"}},\"notes\":[\"looked twice\"]}");
	free(text);
	json_decref(facts);
	stage_release(&stage);
}

static void check_fail_as(const struct plugin *plugin, int status, int http, const char *code,
                          const char *want)
{
	struct stage stage;
	bool ok;
	stage_init(&stage, plugin);
	begin(&stage, "fail_as",
	      json_pack("{s:i,s:i,s:s,s:s}", "status", status, "http", http, "code", code,
	                "message", "m"));
	const json_t *end = early_end(&stage, &ok);
	char *got = mem_format(
		"%s %s %lld %s %s", json_str(end, "error_type", "?"),
		json_str(end, "error_code", "?"), (long long)json_int(end, "http_status", -1),
		json_str(end, "owner", "?"), json_truth(end, "retryable", false) ? "again" : "no");
	CHECK_STR(got, want);
	CHECK(strlen(json_str(end, "resolution", "")) > 0);
	CHECK(json_object_size(end) == 8);
	free(got);
	stage_release(&stage);
}

static void test_failures(const struct plugin *plugin)
{
	/* The plugin's own table: code and status, code alone, status alone. */
	check_fail_as(plugin, -2, 403, "REQUEST_LIMIT_EXCEEDED",
	              "rate_limit REQUEST_LIMIT_EXCEEDED 403 Integration Desk again");
	check_fail_as(plugin, -2, 401, "INVALID_SESSION_ID",
	              "authentication INVALID_SESSION_ID 401 IT no");
	check_fail_as(plugin, -2, 403, "OTHER", "authorization OTHER 403 System Admin no");
	check_fail_as(plugin, -2, 0, "REQUEST_LIMIT_EXCEEDED",
	              "rate_limit REQUEST_LIMIT_EXCEEDED 0 Integration Desk again");
	check_fail_as(plugin, -1, 400, "REQUEST_LIMIT_EXCEEDED",
	              "validation REQUEST_LIMIT_EXCEEDED 400 Data Admin no");
	/* What all share. */
	check_fail_as(plugin, -2, 401, "", "authentication HTTP_401 401 IT/DevOps no");
	check_fail_as(plugin, -1, 422, "", "validation HTTP_422 422 Data Admin no");
	check_fail_as(plugin, -3, 404, "", "not_found HTTP_404 404 Data Admin no");
	check_fail_as(plugin, -4, 409, "", "conflict HTTP_409 409 Data Admin no");
	check_fail_as(plugin, -5, 429, "", "rate_limit HTTP_429 429 Integration Admin again");
	check_fail_as(plugin, -5, 503, "", "server HTTP_503 503 Support Team again");
	check_fail_as(plugin, -10, 0, "", "timeout TIMEOUT 0 Support Team again");
	check_fail_as(plugin, -11, 0, "", "network NETWORK 0 IT/DevOps again");
	check_fail_as(plugin, -8, 200, "",
	              "malformed_reply MALFORMED_REPLY 200 Integration Admin no");
	check_fail_as(plugin, -6, 504, "", "unsure UNSURE 504 Operator no");
	check_fail_as(plugin, -7, 0, "", "cancelled CANCELLED 0 Operator no");
	check_fail_as(plugin, 3, 0, "", "plugin_bug PLUGIN_BUG 0 Plugin Author no");
	check_fail_as(plugin, -1, 200, "channel_not_found",
	              "validation channel_not_found 200 Data Admin no");
}

static void check_wire(const struct plugin *plugin, struct wire_reply reply, const char *type)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "create", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	reply.attempts = 3;
	fake_wire_reply(fake_wire_at(stage.wire, 0), &reply);
	CHECK_STR(end_str(&stage, "error_type"), type);
	CHECK(json_int(stage.end, "attempts", 0) == 3);
	CHECK(strlen(end_str(&stage, "message")) > 0);
	stage_release(&stage);
}

static void test_wire_statuses(const struct plugin *plugin)
{
	check_wire(plugin, (struct wire_reply){ .status = WIRE_TIMEOUT, .may_have_left = true },
	           "timeout"); /* KEYED: may be repeated with its key */
	check_wire(plugin, (struct wire_reply){ .status = WIRE_NETWORK }, "network");
	check_wire(plugin, (struct wire_reply){ .status = WIRE_CIRCUIT_OPEN }, "circuit_open");
	check_wire(plugin, (struct wire_reply){ .status = WIRE_AUTH }, "authentication");
	check_wire(plugin, (struct wire_reply){ .status = WIRE_REFUSED }, "policy");
	check_wire(plugin, (struct wire_reply){ .status = WIRE_TOO_LARGE }, "malformed_reply");
	check_wire(plugin, (struct wire_reply){ .status = WIRE_STATUS, .code = 500 }, "server");
	check_wire(plugin, (struct wire_reply){ .status = WIRE_STATUS, .code = 302 },
	           "malformed_reply");
	/* Fine in form, but no JSON. */
	check_wire(plugin, (struct wire_reply){ .code = 200, .body = STR_LIT("<html>") },
	           "malformed_reply");
}

/* Frees at every moment must leave nothing behind (the sanitizers look). */
static void test_free_early(const struct plugin *plugin)
{
	struct stage stage;
	stage_init(&stage, plugin);
	begin(&stage, "both", NULL);
	stage_release(&stage);
	stage_init(&stage, plugin);
	begin(&stage, "both", NULL);
	plugin_call_release(stage.call, 0);
	plugin_call_free(stage.call);
	stage.call = NULL;
	fake_wire_pump(stage.wire);
	CHECK_STR(seen(&stage), "");
	stage_release(&stage);
	stage_init(&stage, plugin);
	begin(&stage, "wait", NULL);
	plugin_call_release(stage.call, UINT32_MAX);
	plugin_call_free(stage.call);
	stage.call = NULL;
	CHECK(fake_loop_armed(&stage.loop) == 0);
	stage_release(&stage);
}

static void test_no_connection(const struct plugin *plugin)
{
	struct plugin_call_options options = { .action = plugin_action_find(plugin, "create"),
		                               .run_id = "r",
		                               .correlation_id = "c" };
	struct plugin_call *call = NULL;
	struct err err = { 0 };
	bool ok = true;
	json_t *end = NULL;
	CHECK(plugin_call_new(&options, &call, &err) == 0);
	plugin_call_start(call);
	CHECK(plugin_call_take_end(call, &ok, &end) && !ok);
	CHECK(strstr(json_str(end, "message", ""), "no connection") != NULL);
	json_decref(end);
	plugin_call_free(call);
}

static void test_newer(const struct plugins *plugins)
{
	const struct plugin_action *run = plugin_action_find(plugins_find(plugins, "newer"), "run");
	struct err err = { 0 };
	bool ok = false;
	json_t *result = NULL;
	CHECK(plugin_pure(run, NULL, "r", 0, &ok, &result, &err) == 0 && ok);
	CHECK(!json_truth(result, "has_future", true) && json_truth(result, "has_prompt", false));
	json_decref(result);
}

static void test_all(const struct plugin *plugin)
{
	test_pure(plugin);
	test_json(plugin);
	test_read(plugin);
	test_keyed(plugin);
	test_key();
	test_mail(plugin);
	test_recorded(plugin);
	test_both(plugin);
	test_early(plugin, false);
	test_early(plugin, true);
	test_poll(plugin);
	test_wait(plugin);
	test_later_request(plugin);
	test_cancel_held(plugin);
	test_cancel_read(plugin, false);
	test_cancel_read(plugin, true);
	test_cancel_keyed(plugin);
	test_cancel_later(plugin);
	test_bad_requests(plugin);
	test_paths_that_may(plugin);
	test_lost(plugin);
	test_twice(plugin);
	test_classify(plugin);
	test_prompt(plugin);
	test_facts(plugin);
	test_failures(plugin);
	test_wire_statuses(plugin);
	test_free_early(plugin);
	test_no_connection(plugin);
}

int main(void)
{
	mem_install();
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *folder = plugin_dir("GANGWAY_CONTRACT_DIR", "../plugins/contract");
	char *contract = mem_format("%s/contract.so", folder ? folder : "");
	char *newer = mem_format("%s/newer.so", folder ? folder : "");
	if (CHECK(plugins_load(plugins, contract, NULL, &err) == 0 &&
	          plugins_load(plugins, newer, NULL, &err) == 0)) {
		test_all(plugins_find(plugins, "contract"));
		test_newer(plugins);
	}
	free(contract);
	free(newer);
	free(folder);
	plugins_free(plugins);
	return check_done();
}
