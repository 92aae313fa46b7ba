/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a call whose plugin breaks the contract, fails, or is of
 * another version; prompts and facts.  Against tests/plugins/contract/.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin_stage.h"

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

/* Built for 1.0, it is called by every later 1.x. */
static void check_frozen(const struct plugin *plugin)
{
	struct err err = { 0 };
	json_t *params = json_pack("{s:s}", "text", "as ever"), *result = NULL;
	bool ok = false;
	const struct plugin_action *action = plugin ? plugin_action_find(plugin, "run") : NULL;
	CHECK(action && !plugin_action_has_lookup(action));
	CHECK(action && plugin_pure(action, params, "r1", 0, &ok, &result, &err) == 0 && ok);
	CHECK_STR(json_str(result, "text", ""), "as ever");
	json_decref(result);
	json_decref(params);
}

int main(void)
{
	mem_install();
	struct plugins *plugins = plugins_new();
	struct err err = { 0 };
	char *folder = plugin_dir("GANGWAY_CONTRACT_DIR", "../plugins/contract");
	char *contract = mem_format("%s/contract.so", folder ? folder : "");
	char *newer = mem_format("%s/newer.so", folder ? folder : "");
	char *frozen = mem_format("%s/frozen.so", folder ? folder : "");
	if (CHECK(plugins_load(plugins, contract, NULL, &err) == 0 &&
	          plugins_load(plugins, newer, NULL, &err) == 0 &&
	          plugins_load(plugins, frozen, NULL, &err) == 0)) {
		test_all(plugins_find(plugins, "contract"));
		test_newer(plugins);
		check_frozen(plugins_find(plugins, "frozen"));
	}
	free(contract);
	free(newer);
	free(frozen);
	free(folder);
	plugins_free(plugins);
	return check_done();
}
