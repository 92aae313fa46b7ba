/* SPDX-License-Identifier: MIT */
/*
 * Requests through the whole chain against a scripted server on the same loop.
 * Pauses and breakers are waited for by moving the clock; only the attempts'
 * own time-outs are real, and short.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire_bench.h"

/* --- one request -------------------------------------------------------------------- */

static void test_request(void)
{
	struct bench b = bench_new(FAST ",\"headers\":{\"X-Tenant\":\"t1\",\"X-Both\":\"no\"}");
	struct outcome o = { 0 };
	struct wire_header headers[] = { { (char *)"X-Both", (char *)"yes" },
		                         { (char *)"X-Empty", (char *)"" } };
	struct wire_send_options options = post(&b, WIRE_KEYED, &o);
	options.path = "/orders?q=a%20b";
	options.headers = headers;
	options.header_count = 2;
	options.correlation_id = "corr-1";
	options.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	server_answer(b.server, 201, "X-Test: one\r\n", "{}");
	run(&b, &options);
	CHECK(o.status == WIRE_OK && o.code == 201 && o.attempts == 1 && !o.may_have_left);
	CHECK_STR(o.body, "{}");
	CHECK_STR(o.header, "one");
	const char *sent = server_request(b.server, 0);
	CHECK(strncmp(sent, "POST /orders?q=a%20b HTTP/1.1\r\n", 31) == 0);
	CHECK(strstr(sent, "\r\nX-Tenant: t1\r\n") != NULL);
	CHECK(strstr(sent, "\r\nX-Both: yes\r\n") && !strstr(sent, "X-Both: no"));
	CHECK(strstr(sent, "\r\nX-Empty:\r\n") != NULL);
	CHECK(strstr(sent, "\r\nContent-Type: application/json\r\n") != NULL);
	CHECK(strstr(sent, "\r\nIdempotency-Key: k1\r\n") != NULL);
	CHECK(strstr(sent, "\r\nX-Correlation-ID: corr-1\r\n") != NULL);
	CHECK(strstr(sent, "\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-") != NULL);
	CHECK(!strstr(sent, "b7ad6b7169203331"));
	CHECK(!strstr(sent, "Expect:") && strstr(sent, "\r\n\r\n{\"a\":1}"));

	struct wire_send_options plain = get(&b, "/a", &o);
	plain.key = "k2";
	server_answer(b.server, 404, "", "gone");
	run(&b, &plain);
	CHECK(o.status == WIRE_STATUS && o.code == 404 && o.attempts == 1);
	CHECK(!strstr(server_request(b.server, 1), "Idempotency-Key"));
	CHECK(!strstr(server_request(b.server, 1), "Content-Type"));
	CHECK_MSG(server_connections(b.server) == 1, "the connection is kept");
	static const char *const methods[] = { "PUT", "PATCH", "DELETE", "HEAD" };
	for (size_t i = 0; i < 4; i++) {
		plain.method = methods[i];
		run(&b, &plain);
		CHECK(o.status == WIRE_OK && o.code == 200);
		CHECK(strncmp(server_request(b.server, 2 + i), methods[i], strlen(methods[i])) ==
		      0);
	}
	outcome_release(&o);
	bench_free(&b);
}

static void test_big_post(void)
{
	struct bench b = bench_new(FAST ",\"idempotency_quoted\":true");
	struct outcome o = { 0 };
	struct wire_send_options options = post(&b, WIRE_KEYED, &o);
	size_t len = 2 * 1024 * 1024;
	char *big = mem_alloc(len + 1);
	memset(big, 'x', len);
	options.body = (struct str){ big, len };
	options.content_type = "text/plain";
	options.key = "a\"b";
	run(&b, &options);
	CHECK(o.status == WIRE_OK);
	CHECK(!strstr(server_request(b.server, 0), "Expect"));
	CHECK(strstr(server_request(b.server, 0), "\r\nIdempotency-Key: \"a\\\"b\"\r\n") != NULL);
	CHECK(strlen(server_request(b.server, 0)) > len);
	free(big);
	outcome_release(&o);
	bench_free(&b);
}

static void test_refused(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	static const char *const paths[] = { "//evil.example/",
		                             "http://evil.example/",
		                             "@evil.example",
		                             "",
		                             "/a b",
		                             "/a\r\nX: y",
		                             "/a/../b",
		                             "/%2e%2E/b",
		                             "/a#b",
		                             "/\xc3\xa9",
		                             "/a\\b" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		struct wire_send_options options = get(&b, paths[i], &o);
		if (*paths[i] == '\0')
			continue;
		run(&b, &options);
		CHECK_MSG(o.status == WIRE_REFUSED && o.attempts == 0, "path %zu is refused", i);
	}
	static const struct wire_header headers[] = {
		{ (char *)"X-A", (char *)"a\r\nX-B: c" },
		{ (char *)"X A", (char *)"a" },
		{ (char *)"Host", (char *)"evil" },
		{ (char *)"Authorization", (char *)"mine" },
		{ (char *)"Content-Length", (char *)"1" },
		{ (char *)"X-A", (char *)"a\x01" },
	};
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		struct wire_send_options options = get(&b, "/a", &o);
		options.headers = &headers[i];
		options.header_count = 1;
		run(&b, &options);
		CHECK_MSG(o.status == WIRE_REFUSED, "header %zu is refused: %s", i, o.text);
	}
	struct wire_send_options options = get(&b, "/a", &o);
	options.key = "a\nb";
	options.effect = WIRE_KEYED;
	run(&b, &options);
	CHECK(o.status == WIRE_REFUSED);
	options = get(&b, "/a", &o);
	options.method = "GET /evil HTTP/1.1";
	run(&b, &options);
	CHECK(o.status == WIRE_REFUSED);
	char *path = mem_alloc(LIMIT_URL_BYTES + 2);
	memset(path, 'a', LIMIT_URL_BYTES);
	path[0] = '/';
	options = get(&b, path, &o);
	run(&b, &options);
	CHECK(o.status == WIRE_REFUSED && strstr(o.text, "LIMIT_URL_BYTES"));
	free(path);
	CHECK(server_count(b.server) == 0);
	outcome_release(&o);
	bench_free(&b);
}

/* --- the other side misbehaves ---------------------------------------------------------- */

static void test_redirect(void)
{
	struct bench b = bench_new(FAST);
	struct server *other = server_new(b.poll);
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/a", &o);
	char *location = mem_format("Location: %s/stolen\r\n", server_url(other));
	server_answer(b.server, 302, location, "");
	run(&b, &options);
	CHECK(o.status == WIRE_STATUS && o.code == 302 && server_count(other) == 0);
	server_answer(b.server, 307, "Location: file:///etc/passwd\r\n", "");
	run(&b, &options);
	CHECK(o.code == 307 && o.body[0] == '\0');
	free(location);
	server_free(other);
	outcome_release(&o);
	bench_free(&b);
}

static void test_too_large(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/a", &o);
	size_t len = LIMIT_REPLY_BYTES + 1;
	char *bytes = mem_alloc(len + 128);
	int head = snprintf(bytes, 128, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
	memset(bytes + head, 'x', len);
	server_reply(b.server, bytes, SERVER_KEEP);
	run(&b, &options);
	CHECK(o.status == WIRE_TOO_LARGE && o.attempts == 1 && o.may_have_left);
	CHECK(strstr(o.text, "LIMIT_REPLY_BYTES") != NULL);
	/* Exactly the limit is fine. */
	head = snprintf(bytes, 128, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len - 1);
	memset(bytes + head, 'x', len - 1);
	bytes[(size_t)head + len - 1] = '\0';
	server_reply(b.server, bytes, SERVER_KEEP);
	run(&b, &options);
	CHECK(o.status == WIRE_OK);
	free(bytes);
	struct buf many;
	buf_init(&many, 1024 * 1024);
	buf_put(&many, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 10000; i++)
		buf_printf(&many, "X-%d: a\r\n", i);
	buf_put(&many, "Content-Length: 0\r\n\r\n");
	server_reply(b.server, many.bytes, SERVER_KEEP);
	run(&b, &options);
	CHECK(o.status == WIRE_TOO_LARGE);
	buf_release(&many);
	outcome_release(&o);
	bench_free(&b);
}

struct bits {
	struct buf out;
	unsigned int held, count;
};

static void put_bits(struct bits *bits, unsigned int value, unsigned int count)
{
	bits->held |= value << bits->count;
	for (bits->count += count; bits->count >= 8; bits->count -= 8, bits->held >>= 8) {
		unsigned char byte = (unsigned char)bits->held;
		buf_put_len(&bits->out, &byte, 1);
	}
}

/* 60 kB of gzip that become 9 MB: one 'x' and then "the last byte 258 times", again and again. */
static void test_gzip_bomb(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/a", &o);
	struct bits bits = { .held = 0 };
	buf_init(&bits.out, 1024 * 1024);
	buf_put(&bits.out, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
	buf_put_len(&bits.out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	put_bits(&bits, 3, 3);    /* last block, fixed codes */
	put_bits(&bits, 0x15, 8); /* the literal 'x': 0xa8, most significant bit first */
	for (int i = 0; i < 9 * 1024 * 1024 / 258; i++) {
		put_bits(&bits, 0xa3, 8); /* length 258: 0xc5, reversed */
		put_bits(&bits, 0, 5);    /* distance 1 */
	}
	CHECK(bits.out.len < 100 * 1024);
	server_reply_bytes(b.server, bits.out.bytes, bits.out.len, SERVER_CLOSE);
	run(&b, &options);
	CHECK_MSG(o.status == WIRE_TOO_LARGE, "counted as decoded: %s", o.text);
	CHECK(strstr(server_request(b.server, 0), "Accept-Encoding: gzip") != NULL);
	buf_release(&bits.out);
	outcome_release(&o);
	bench_free(&b);
}

static void test_half_reply(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/a", &o);
	server_reply(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", SERVER_CLOSE);
	server_answer(b.server, 200, "", "whole");
	run(&b, &options);
	CHECK(o.status == WIRE_OK && o.attempts == 2 && !o.may_have_left);
	CHECK_STR(o.body, "whole");
	CHECK(json_array_size(o.log) == 2);
	CHECK_STR(json_str(json_array_get(o.log, 0), "status", ""), "network");
	CHECK_STR(json_str(json_array_get(o.log, 1), "status", ""), "ok");

	struct wire_send_options once = post(&b, WIRE_ONCE, &o);
	server_reply(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", SERVER_CLOSE);
	size_t before = server_count(b.server);
	run(&b, &once);
	CHECK(o.status == WIRE_NETWORK && o.attempts == 1 && o.may_have_left);
	CHECK(server_count(b.server) == before + 1);
	server_reply(b.server, "garbage\r\n\r\n", SERVER_CLOSE);
	run(&b, &once);
	CHECK(o.status == WIRE_NETWORK && o.may_have_left);
	outcome_release(&o);
	bench_free(&b);
}

/* A kept connection that dies under a request: curl alone would send it again. */
static void test_no_silent_resend(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/warm", &o);
	run(&b, &options);
	struct wire_send_options once = post(&b, WIRE_ONCE, &o);
	server_reply(b.server, NULL, SERVER_CLOSE);
	run(&b, &once);
	CHECK(o.status == WIRE_NETWORK && o.may_have_left && o.attempts == 1);
	CHECK_MSG(server_count(b.server) == 2, "a ONCE request leaves once (%zu)",
	          server_count(b.server));
	CHECK_MSG(server_connections(b.server) <= 2, "and only the first connection carried it");
	run(&b, &options);
	server_reply(b.server, NULL, SERVER_CLOSE);
	struct wire_send_options keyed = post(&b, WIRE_KEYED, &o);
	run(&b, &keyed);
	CHECK(o.status == WIRE_OK);
	outcome_release(&o);
	bench_free(&b);
}

static void test_timeout(void)
{
	struct bench b = bench_new(FAST ",\"retries\":1");
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/slow", &o);
	options.timeout_ms = 30;
	server_reply(b.server, NULL, SERVER_KEEP);
	server_reply(b.server, NULL, SERVER_KEEP);
	run(&b, &options);
	CHECK(o.status == WIRE_TIMEOUT && o.attempts == 2 && o.may_have_left && o.code == 0);
	options = post(&b, WIRE_ONCE, &o);
	options.timeout_ms = 30;
	server_reply(b.server, NULL, SERVER_KEEP);
	run(&b, &options);
	CHECK(o.status == WIRE_TIMEOUT && o.attempts == 1 && o.may_have_left);
	/* A slow drip does not keep it alive. */
	options = get(&b, "/drip", &o);
	options.timeout_ms = 30;
	options.retries = 0;
	server_reply(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", SERVER_KEEP);
	run(&b, &options);
	CHECK(o.status == WIRE_TIMEOUT && o.may_have_left);
	outcome_release(&o);
	bench_free(&b);
}

static void test_refused_port(void)
{
	struct bench b = bench_new(FAST);
	struct server *gone = server_new(b.poll);
	char *url = mem_dup_str(server_url(gone));
	server_free(gone);
	struct wire_connection *nowhere = connect_to(url, FAST);
	struct outcome o = { 0 };
	struct wire_send_options once = post(&b, WIRE_ONCE, &o);
	once.connection = nowhere;
	run(&b, &once);
	CHECK_MSG(o.status == WIRE_NETWORK && !o.may_have_left, "%s", o.text);
	CHECK_MSG(o.attempts == 4, "nothing left, so even ONCE is repeated");
	free(url);
	outcome_release(&o);
	wire_free(b.wire);
	wire_connection_free(nowhere);
	b.wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(b.poll) });
	bench_free(&b);
}

static void test_private(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	static const char *const hosts[] = { "127.0.0.1",      "localhost",          "0x7f.1",
		                             "[::1]",          "[::ffff:127.0.0.1]", "10.0.0.1",
		                             "169.254.169.254" };
	for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++) {
		char *url = mem_format("http://%s:%d", hosts[i], server_port(b.server));
		struct wire_connection *connection = connect_to(url, "");
		struct wire_send_options options = get(&b, "/a", &o);
		options.connection = connection;
		run(&b, &options);
		CHECK_MSG(o.status == WIRE_REFUSED && strstr(o.text, "private = true"),
		          "%s is refused: %s", hosts[i], o.text);
		wire_connection_free(connection);
		free(url);
	}
	CHECK(server_count(b.server) == 0 && server_connections(b.server) == 0);
	/* Nor is a kept connection of another one a way in. */
	struct wire_send_options options = get(&b, "/warm", &o);
	run(&b, &options);
	CHECK(o.status == WIRE_OK);
	struct wire_connection *connection = connect_to(server_url(b.server), "");
	options.connection = connection;
	run(&b, &options);
	CHECK(o.status == WIRE_REFUSED && server_count(b.server) == 1);
	wire_connection_free(connection);
	outcome_release(&o);
	bench_free(&b);
}

int main(void)
{
	mem_install();
	test_request();
	test_big_post();
	test_refused();
	test_redirect();
	test_too_large();
	test_gzip_bomb();
	test_half_reply();
	test_no_silent_resend();
	test_timeout();
	test_refused_port();
	test_private();
	return check_done();
}
