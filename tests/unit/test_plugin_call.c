/* SPDX-License-Identifier: MIT */
/*
 * The life of a call, seen from the caller, against the plugin
 * tests/plugins/contract/contract.c and a wire that answers when told to.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin_stage.h"

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
}

int main(void)
{
	mem_install();
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *folder = plugin_dir("GANGWAY_CONTRACT_DIR", "../plugins/contract");
	char *contract = mem_format("%s/contract.so", folder ? folder : "");
	if (CHECK(plugins_load(plugins, contract, NULL, &err) == 0))
		test_all(plugins_find(plugins, "contract"));
	free(contract);
	free(folder);
	plugins_free(plugins);
	return check_done();
}
