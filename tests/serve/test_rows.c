/* SPDX-License-Identifier: MIT */
/*
 * The catalogue of bad input (RELIABILITY.md, 6) against a running server, row by
 * row: 31 to 37 and 53 to 56 here; 38 to 46 in test_webhook and test_sign, 47 to 52
 * in test_frame, 57 to 70 in tests/hostile, tests/io and tests/audit.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

#define START(input) "{\"graph\":\"echo\",\"input\":" input "}"

static const struct {
	int row;
	const char *method, *path, *more, *body; /* body "@": made by the test */
	int status;
	const char *code; /* its beginning */
} rows[] = {
	{ 31, "POST", "/v1/runs", NULL, START("{\"a\":1,\"a\":2}"), 400, "json." },
	{ 31, "POST", "/v1/runs", NULL, "{\"graph\":\"idle\",\"graph\":\"echo\"}", 400, "json." },
	{ 33, "POST", "/v1/runs", NULL, START("{\"n\":9223372036854775808}"), 400, "json." },
	{ 33, "POST", "/v1/runs", NULL, START("{\"n\":1e400}"), 400, "json." },
	{ 33, "POST", "/v1/runs", NULL, START("{\"n\":1e-999}"), 400, "json." },
	{ 33, "POST", "/v1/runs", NULL, START("{\"n\":NaN}"), 400, "json." },
	{ 33, "POST", "/v1/runs", NULL, START("{\"n\":-0}"), 400, "json." },
	{ 35, "POST", "/v1/runs", NULL, START("{\"n\":\"\\u0000\"}"), 400, "json." },
	{ 35, "POST", "/v1/runs", NULL, START("{\"n\":\"\\ud800\"}"), 400, "json." },
	{ 35, "POST", "/v1/runs", NULL, START("{\"n\":\"\xc0\xaf\"}"), 400, "json." },
	{ 35, "POST", "/v1/runs", NULL, "\xef\xbb\xbf{}", 400, "json." },
	{ 35, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\"}{}", 400, "json." },
	{ 37, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"role\":\"admin\"}", 422,
	  "body.unknown_member" },
	{ 37, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"by\":\"root\"}", 422,
	  "body.unknown_member" },
	{ 37, "POST", "/v1/runs", NULL, "{\"graph\":\"echo\",\"epoch\":1}", 422,
	  "body.unknown_member" },
	{ 37, "POST", "/v1/tasks/x.1/approve", NULL, "{\"approved_by\":\"ann\"}", 422,
	  "body.unknown_member" },
	{ 37, "POST", "/v1/runs:batch", NULL, "{\"starts\":[{\"graph\":\"echo\",\"by\":\"root\"}]}",
	  422, "body.unknown_member" },
	{ 53, "GET", "/v1/tokens", "X-User-Id: ada\r\n", NULL, 403, "role.denied" },
	{ 53, "GET", "/v1/tokens", "X-Forwarded-For: 127.0.0.1\r\n", NULL, 401, "token." },
	{ 54, "GET", "/v1/runs/01h00000000000000000000000", NULL, NULL, 404, "run.absent" },
	{ 54, "POST", "/v1/tasks/01h00000000000000000000000.1/approve", NULL, "{}", 404, "" },
	{ 54, "DELETE", "/v1/tokens/0123456789ab", NULL, NULL, 403, "role.denied" },
	{ 55, "POST", "/v1/tasks/x.1/approve", "Origin: https://evil.example\r\n", "{}", 403,
	  "http.cross_site" },
	{ 55, "POST", "/v1/tasks/x.1/approve", "Sec-Fetch-Site: cross-site\r\n", "{}", 403,
	  "http.cross_site" },
	{ 55, "POST", "/v1/tasks/x.1/approve", "Content-Type: text/plain\r\n", "{\"a\":1}", 415,
	  "http.content_type" },
	{ 55, "GET", "/v1/tasks/x.1/approve", NULL, NULL, 405, "http.method" },
	{ 55, "GET", "/v1/runs/x/cancel", NULL, NULL, 405, "http.method" },
};

static void check_rows(struct served *served)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct reply reply = client_call(served->port, rows[i].method, rows[i].path, NULL,
		                                 rows[i].more, rows[i].body);
		CHECK_MSG(reply.status == rows[i].status &&
		                  str_begins(reply_code(&reply), rows[i].code) &&
		                  strstr(reply.text, "application/problem+json"),
		          "row %d: %s %s: %d %s", rows[i].row, rows[i].method, rows[i].path,
		          reply.status, reply_code(&reply));
		reply_release(&reply);
	}
}

static void expect_start(struct served *served, int row, const char *body, int status)
{
	struct reply reply = client_call(served->port, "POST", "/v1/runs", NULL, NULL, body);
	CHECK_MSG(reply.status == status, "row %d: %zu bytes: %d %s", row, strlen(body),
	          reply.status, reply_code(&reply));
	/* No more than 80 bytes of what was sent come back. */
	if (status >= 400)
		CHECK(strlen(json_str(reply.json, "detail", "")) < 300);
	reply_release(&reply);
}

/* Too deep, too long, too many: refused before a tree is built. */
static void check_sizes(struct served *served)
{
	struct buf body;
	buf_init(&body, 4 << 20);
	buf_put(&body, "{\"graph\":\"echo\",\"input\":{\"x\":");
	for (int i = 0; i < 100000; i++)
		buf_put(&body, "[");
	expect_start(served, 32, body.bytes, 413);
	buf_clear(&body);
	buf_put(&body, "{\"graph\":\"echo\",\"input\":{\"x\":[0");
	for (int i = 0; i < 60000; i++)
		buf_put(&body, ",0");
	buf_put(&body, "]}}");
	expect_start(served, 32, body.bytes, 413);
	buf_clear(&body);
	buf_put(&body, "{\"graph\":\"echo\",\"input\":{\"x\":0");
	for (int i = 0; i < 100000; i++)
		buf_printf(&body, ",\"%05x\":0", i);
	buf_put(&body, "}}");
	expect_start(served, 36, body.bytes, 413);
	buf_clear(&body);
	buf_put(&body, "{\"graph\":\"echo\",\"input\":{\"x\":\"");
	for (int i = 0; i < 1100; i++)
		buf_printf(&body, "%01000d", 7);
	buf_put(&body, "\"}}");
	expect_start(served, 32, body.bytes, 413);
	buf_release(&body);
}

/* Events in an order that nobody wants are taken, and ignored by rule. */
static void check_order(struct served *served)
{
	char path[200];
	struct reply reply = client_call(served->port, "POST", "/v1/runs", NULL, NULL,
	                                 "{\"graph\":\"idle\"}");
	snprintf(path, sizeof(path), "/v1/runs/%s/signal", json_str(reply.json, "id", ""));
	reply_release(&reply);
	static const char *const events[] = { "completed", "sent", "tick", "completed", "go" };
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		char body[60];
		snprintf(body, sizeof(body), "{\"event\":\"%s\"}", events[i]);
		reply = client_call(served->port, "POST", path, NULL, NULL, body);
		CHECK_MSG(reply.status == 200, "row 46: %s: %d", events[i], reply.status);
		if (strcmp(events[i], "go") == 0)
			CHECK_STR(json_str(reply.json, "status", ""), "ended");
		reply_release(&reply);
	}
}

/* Markup and formulas of data stay text: JSON by type, and never guessed. */
static void check_as_text(struct served *served)
{
	struct reply reply = client_call(
		served->port, "POST", "/v1/runs?wait=20", NULL, NULL,
		START("{\"say\":\"<script>alert(1)</script>=cmd|'/c calc'!A1\\njavascript:x\"}"));
	CHECK_MSG(reply.status == 200 && strstr(reply.text, "\r\nContent-Type: application/json") &&
	                  strstr(reply.text, "\r\nX-Content-Type-Options: nosniff") &&
	                  strstr(reply.text, "\r\nCache-Control: no-store"),
	          "row 56: shown as text");
	CHECK(strstr(json_str(json_at(reply.json, "result"), "said", ""), "<script>"));
	reply_release(&reply);
}

/* Who asked does not approve, with whatever token; a second click changes nothing. */
static void check_eyes(struct served *served)
{
	char path[200], one[SERVE_TOKEN_BYTES], two[SERVE_TOKEN_BYTES], other[SERVE_TOKEN_BYTES];
	served_token(served, "operator", "ann", false, one);
	served_token(served, "approver", "ann", false, two);
	served_token(served, "approver", "bob", false, other);
	struct reply reply =
		client_call(served->port, "POST", "/v1/runs?wait=20", one, NULL,
	                    "{\"graph\":\"ask\",\"input\":{\"requested_by\":\"ann\"}}");
	snprintf(path, sizeof(path), "/v1/tasks/%s/approve",
	         json_str(json_array_get(json_at(reply.json, "tasks"), 0), "id", ""));
	reply_release(&reply);
	static const struct {
		int who, status;
		const char *body, *code;
	} clicks[] = { { 2, 403, "{}", "task.self_approval" },
		       { 3, 409, "{\"shown_sha256\":\"another\"}", "task.changed" },
		       { 3, 200, "{}", "" },
		       { 3, 409, "{}", "task.closed" } };
	for (size_t i = 0; i < sizeof(clicks) / sizeof(*clicks); i++) {
		reply = client_call(served->port, "POST", path, clicks[i].who == 2 ? two : other,
		                    NULL, clicks[i].body);
		CHECK_MSG(reply.status == clicks[i].status &&
		                  strcmp(reply_code(&reply), clicks[i].code) == 0,
		          "row 71: %d %s", reply.status, reply_code(&reply));
		reply_release(&reply);
	}
}

int main(void)
{
	struct served served;
	mem_install();
	served_start(&served, "{\"anonymous\":[\"operator\",\"approver\"],\"per_address\":0}");
	check_rows(&served);
	check_sizes(&served);
	check_order(&served);
	check_as_text(&served);
	check_eyes(&served);
	served_stop(&served);
	return check_done();
}
