/* SPDX-License-Identifier: MIT */
/*
 * Mail: the bytes of a message, and the dialogue with a scripted SMTP server:
 * who is accepted, what is tried again, what may have left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "loop_poll.h"
#include "server_poll.h"
#include "wire/wire_int.h"

struct outcome {
	bool is_done;
	enum wire_status status;
	int code, attempts;
	bool may_have_left;
	char text[256], body[1024];
};

static void done(void *arg, const struct wire_reply *reply)
{
	struct outcome *outcome = arg;
	outcome->is_done = true;
	outcome->status = reply->status;
	outcome->code = reply->code;
	outcome->attempts = reply->attempts;
	outcome->may_have_left = reply->may_have_left;
	snprintf(outcome->text, sizeof(outcome->text), "%s", reply->text);
	snprintf(outcome->body, sizeof(outcome->body), "%.*s", (int)reply->body.len,
	         reply->body.ptr);
}

struct bench {
	struct loop_poll *poll;
	struct server *server;
	struct wire *wire;
	struct wire_connection *connection;
};

static struct bench bench_new(const char *more)
{
	struct bench b = { .poll = loop_poll_new(7) };
	struct err err = { 0 };
	json_t *json = NULL;
	b.server = server_new_smtp(b.poll);
	b.wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(b.poll) });
	char *text = mem_format(
		"{\"url\":\"%s\",\"private\":true,\"from\":\"Gangway <gw@acme.example>\","
		"\"backoff_min_ms\":1,\"backoff_max_ms\":1,%s}",
		server_url(b.server), more);
	if (json_read(str_of(text), 65536, &json, &err) < 0 ||
	    wire_connection_new("mail", json, &b.connection, &err) < 0) {
		printf("# %s\n", err.text);
		abort();
	}
	json_decref(json);
	free(text);
	return b;
}

static void bench_free(struct bench *b)
{
	wire_free(b->wire);
	server_free(b->server);
	loop_poll_settle(b->poll);
	CHECK_MSG(loop_poll_handles(b->poll) == 0, "no timer or watch is left behind");
	wire_connection_free(b->connection);
	loop_poll_free(b->poll);
}

static void run(struct bench *b, const struct wire_mail *mail, struct outcome *outcome)
{
	const struct wire_send_options options = {
		.connection = b->connection,
		.mail = mail,
		.effect = WIRE_ONCE,
		.key = "k1",
		.correlation_id = "corr-1",
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = done,
		.arg = outcome,
	};
	*outcome = (struct outcome){ 0 };
	(void)wire_send(b->wire, &options);
	CHECK_MSG(loop_poll_until(b->poll, &outcome->is_done), "the mail ends");
}

static struct wire_mail letter(void)
{
	return (struct wire_mail){ .message_id = "run.1@acme.example",
		                   .to = "a@b.example",
		                   .subject = "Welcome",
		                   .text = STR_LIT("Hello\n"),
		                   .html = STR_LIT("<p>Hello</p>\n"),
		                   .date_ms = 1768300200000 };
}

#define CLEAR "\"starttls\":\"none\""

static void test_bytes(void)
{
	struct bench b = bench_new(CLEAR);
	struct outcome o;
	struct wire_mail mail = letter();
	struct wire_header headers[] = { { (char *)"X-Kind", (char *)"welcome" } };
	mail.headers = headers;
	mail.header_count = 1;
	mail.to = "\"Ann, A.\" <a@b.example>, J\xc3\xb6rg <j@b.example>";
	mail.cc = "c@b.example";
	mail.reply_to = "help@acme.example";
	mail.subject = "Gr\xc3\xbc\xc3\x9f"
		       "e";
	mail.text = STR_LIT("one \n.two\n=\xc3\xa9\nFrom here");
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_OK && o.code == 250 && !o.may_have_left, "%s", o.text);
	CHECK_STR(
		o.body,
		"{\"accepted\":[\"a@b.example\",\"j@b.example\",\"c@b.example\"],\"refused\":[]}");
	const char *got = server_request(b.server, 0);
	CHECK(strncmp(got, "Date: Tue, 13 Jan 2026 10:30:00 +0000\r\n", 39) == 0);
	CHECK(strstr(got, "\r\nFrom: \"Gangway\" <gw@acme.example>\r\n") != NULL);
	CHECK(strstr(
		got,
		"\r\nTo: \"Ann, A.\" <a@b.example>,\r\n =?UTF-8?B?SsO2cmc=?= <j@b.example>\r\n"));
	CHECK(strstr(got, "\r\nCc: c@b.example\r\nReply-To: help@acme.example\r\n") != NULL);
	CHECK(strstr(got, "\r\nSubject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n") != NULL);
	CHECK(strstr(got, "\r\nMessage-ID: <run.1@acme.example>\r\n") != NULL);
	CHECK(strstr(got, "\r\nX-Correlation-ID: corr-1\r\nX-Kind: welcome\r\n"
	                  "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n") != NULL);
	CHECK(strstr(got, "\r\nContent-Type: multipart/alternative;\r\n boundary=\"=_gangway_") !=
	      NULL);
	const char *plain = strstr(got, "text/plain; charset=utf-8");
	const char *html = strstr(got, "text/html; charset=utf-8");
	CHECK_MSG(plain && html && plain < html, "text first, html last");
	CHECK(strstr(got, "\r\n\r\none=20\r\n..two\r\n=3D=C3=A9\r\nFrom here\r\n") != NULL);
	bool is_crlf = true;
	for (const char *p = got; *p; p++)
		is_crlf = is_crlf && (*p != '\n' || (p > got && p[-1] == '\r'));
	CHECK_MSG(is_crlf, "every line ends in CR LF");
	CHECK(strstr(server_heard(b.server), "MAIL FROM:<gw@acme.example>") != NULL);
	CHECK(strstr(server_heard(b.server), "RCPT TO:<c@b.example>") != NULL);
	/* The same mail is the same bytes. */
	run(&b, &mail, &o);
	CHECK(strcmp(server_request(b.server, 0), server_request(b.server, 1)) == 0);
	bench_free(&b);
}

static void test_texts(void)
{
	struct buf out;
	buf_init(&out, 65536);
	char line[256];
	memset(line, 'a', 200);
	line[200] = '\0';
	wire_mail_put_quoted(&out, str_of(line));
	bool is_short = true;
	for (const char *p = out.bytes; p && *p; p = strstr(p, "\r\n") ? strstr(p, "\r\n") + 2 : "")
		is_short = is_short && strcspn(p, "\r") <= 76;
	CHECK_MSG(is_short && strstr(out.bytes, "=\r\n"), "soft breaks at 76");
	buf_clear(&out);
	wire_mail_put_header(&out, "Subject",
	                     "A subject of plain words that is a good deal longer than "
	                     "one line of mail may comfortably be");
	CHECK(strcmp(out.bytes,
	             "Subject: A subject of plain words that is a good deal longer than one "
	             "line\r\n of mail may comfortably be\r\n") == 0);
	buf_clear(&out);
	wire_mail_put_header(&out, "Subject", "odd =?x?= one");
	CHECK(strcmp(out.bytes, "Subject: =?UTF-8?B?b2RkID0/eD89IG9uZQ==?=\r\n") == 0);
	buf_clear(&out);
	char long_text[400] = "";
	for (size_t i = 0; i < 60; i++)
		memcpy(long_text + 3 * i, "\xe2\x82\xac", 4);
	wire_mail_put_header(&out, "Subject", long_text);
	is_short = true;
	for (const char *p = strstr(out.bytes, "=?"); p; p = strstr(p + 2, "=?UTF"))
		is_short = is_short && strcspn(p, "\r") <= 75;
	CHECK_MSG(is_short && strstr(out.bytes, "?=\r\n =?UTF-8?B?"),
	          "encoded words of 75 at most");
	buf_clear(&out);
	wire_mail_put_body(&out, "text/plain", str_of(long_text));
	CHECK(strstr(out.bytes, "Content-Transfer-Encoding: base64\r\n\r\n4oKs") != NULL);
	buf_release(&out);
}

static void test_injection(void)
{
	struct bench b = bench_new(CLEAR);
	struct outcome o;
	static const char *const addresses[] = {
		"a@b.example\r\nRCPT TO:<evil@x.example>",
		"a@b.example>\nBcc: x",
		"a b@c.example",
		"a",
		"@b.example",
		"a@",
		"a@b..example",
		"<a@b.example",
		"a@b.example>",
		"\xc3\xa9@b.example",
		"a@-b.example",
		".a@b.example",
		"a@b.example,",
		"x <a@b.example> y",
		"a@b@c.example",
		"",
	};
	for (size_t i = 0; i < sizeof(addresses) / sizeof(*addresses); i++) {
		struct wire_mail mail = letter();
		mail.to = addresses[i];
		run(&b, &mail, &o);
		CHECK_MSG(o.status == WIRE_REFUSED && o.attempts == 0, "address %zu is refused", i);
	}
	struct wire_mail mail = letter();
	mail.subject = "hi\r\nBcc: evil@x.example";
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_REFUSED);
	mail = letter();
	struct wire_header headers[] = { { (char *)"X-A", (char *)"a\nBcc: evil@x.example" } };
	mail.headers = headers;
	mail.header_count = 1;
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_REFUSED);
	headers[0] = (struct wire_header){ (char *)"Bcc", (char *)"evil@x.example" };
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_REFUSED);
	mail = letter();
	mail.from = "a@b.example, c@b.example";
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_REFUSED);
	mail = letter();
	mail.message_id = "a@b> <c@d";
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_REFUSED);
	CHECK(server_connections(b.server) == 0);
	/* A line of a lone dot does not end the message. */
	mail = letter();
	mail.text = STR_LIT("a\r\n.\r\nRCPT TO:<evil@x.example>\r\n");
	mail.html = STR_LIT("");
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_OK && server_count(b.server) == 1);
	CHECK(strstr(server_request(b.server, 0), "\r\n..\r\nRCPT") != NULL);
	bench_free(&b);
}

static void test_recipients(void)
{
	struct bench b = bench_new(CLEAR);
	struct outcome o;
	struct wire_mail mail = letter();
	mail.to = "a@b.example, bad@b.example, c@b.example";
	server_rule(b.server, "RCPT TO:<bad@", "550 no such user\r\n");
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_OK && o.code == 550 && o.attempts == 1, "%s", o.text);
	CHECK_STR(o.body,
	          "{\"accepted\":[\"a@b.example\",\"c@b.example\"],\"refused\":[{\"address\":"
	          "\"bad@b.example\",\"code\":550,\"text\":\"550 no such user\"}]}");
	CHECK(server_count(b.server) == 1);
	mail.to = "bad@b.example";
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_STATUS && o.code == 550 && o.attempts == 1 && !o.may_have_left,
	          "%s", o.text);
	/* Refused for now: tried again, and only that one. */
	mail.to = "grey@b.example, a@b.example";
	server_rule(b.server, "RCPT TO:<grey@", "451 later\r\n");
	size_t before = server_count(b.server);
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_OK && o.code == 451 && o.attempts == 4);
	CHECK_MSG(server_count(b.server) == before + 1, "who has it does not get it again");
	bench_free(&b);
}

static void test_dialogue(void)
{
	struct bench b = bench_new(CLEAR ",\"retries\":1");
	struct outcome o;
	struct wire_mail mail = letter();
	server_rule(b.server, "MAIL FROM:", "452 full\r\n");
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_STATUS && o.code == 452 && o.attempts == 2 && !o.may_have_left,
	          "%s", o.text);
	server_rule(b.server, "MAIL FROM:", "550 spam\r\n");
	run(&b, &mail, &o);
	CHECK(o.status == WIRE_STATUS && o.code == 550 && o.attempts == 1);
	server_rule(b.server, "MAIL FROM:", "250 ok\r\n");
	server_rule(b.server, "DATA", "554 no\r\n");
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_STATUS && o.code == 554 && !o.may_have_left, "%s", o.text);
	server_rule(b.server, "DATA", "354 go\r\n");
	server_rule_message(b.server, "554 rejected\r\n");
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_STATUS && o.code == 554 && !o.may_have_left && o.attempts == 1,
	          "%s", o.text);
	/* No word after the message: it may have been taken, so ONCE is not repeated. */
	server_rule_message(b.server, NULL);
	size_t before = server_count(b.server);
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_NETWORK && o.may_have_left && o.attempts == 1, "%s", o.text);
	CHECK(server_count(b.server) == before + 1);
	/* Cut off before DATA: nothing has left, so it is repeated. */
	server_rule(b.server, "RCPT TO:", NULL);
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_NETWORK && !o.may_have_left && o.attempts == 2, "%s", o.text);
	bench_free(&b);
}

static void test_starttls(void)
{
	struct bench b = bench_new("\"hello_name\":\"gw.example\"");
	struct outcome o;
	struct wire_mail mail = letter();
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_NETWORK && o.attempts == 1 && !o.may_have_left, "%s", o.text);
	CHECK_MSG(!strstr(server_heard(b.server), "MAIL FROM"), "nothing goes out in clear text");
	CHECK(strstr(server_heard(b.server), "EHLO gw.example\n") != NULL);
	bench_free(&b);
}

static void test_login(void)
{
	struct bench b = bench_new(CLEAR ",\"auth\":{\"kind\":\"basic\",\"user\":\"gw\","
	                                 "\"password\":\"env:WIRE_TEST_PASSWORD\"}");
	struct outcome o;
	struct wire_mail mail = letter();
	run(&b, &mail, &o);
	CHECK_MSG(o.status == WIRE_OK &&
	                  strstr(server_heard(b.server), "AUTH PLAIN\nAGd3AHBhNTU=\n"),
	          "%s", o.text);
	struct bench denied = bench_new(CLEAR ",\"auth\":{\"kind\":\"basic\",\"user\":\"gw\","
	                                      "\"password\":\"env:WIRE_TEST_PASSWORD\"}");
	server_rule(denied.server, "AUTH", "535 no\r\n");
	run(&denied, &mail, &o);
	CHECK_MSG(o.status == WIRE_AUTH && o.attempts == 1 && !o.may_have_left, "%s", o.text);
	CHECK(!strstr(o.text, "pa55"));
	bench_free(&denied);
	bench_free(&b);
}

static int count_of(const char *text, const char *word)
{
	int ret = 0;
	for (const char *at = text; (at = strstr(at, word)); at++)
		ret++;
	return ret;
}

/* The server falls silent: the loop goes on, and the mail can be cancelled. */
static void test_cancel(void)
{
	struct bench b = bench_new(CLEAR);
	struct outcome one = { 0 }, two = { 0 };
	struct wire_mail mail = letter();
	struct wire_send_options options = {
		.connection = b.connection,
		.mail = &mail,
		.effect = WIRE_ONCE,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = done,
		.arg = &one,
	};
	server_rule_message(b.server, "");
	struct wire_request *request = wire_send(b.wire, &options);
	while (server_count(b.server) == 0)
		loop_poll_once(b.poll, 100);
	wire_cancel(request);
	CHECK(loop_poll_until(b.poll, &one.is_done));
	CHECK_MSG(one.status == WIRE_CANCELLED && one.may_have_left, "after DATA it may be there");
	server_rule(b.server, "DATA", "");
	options.arg = &two;
	(void)wire_send(b.wire, &options);
	while (count_of(server_heard(b.server), "DATA\n") < 2)
		loop_poll_once(b.poll, 100);
	wire_free(b.wire);
	CHECK_MSG(two.is_done && two.status == WIRE_CANCELLED && !two.may_have_left,
	          "freeing the wire ends it");
	b.wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(b.poll) });
	bench_free(&b);
}

int main(void)
{
	mem_install();
	(void)setenv("WIRE_TEST_PASSWORD", "pa55", 1);
	test_bytes();
	test_texts();
	test_injection();
	test_recipients();
	test_dialogue();
	test_starttls();
	test_login();
	test_cancel();
	return check_done();
}
