/* SPDX-License-Identifier: MIT */
/*
 * Requests through the whole chain against a scripted server on the same loop.
 * Pauses and breakers are waited for by moving the clock; only the attempts'
 * own time-outs are real, and short.
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
	int calls;
	bool is_done;
	enum wire_status status;
	int code, attempts;
	bool may_have_left;
	char text[256], body[256], header[64];
	json_t *log;
};

struct bench {
	struct loop_poll *poll;
	struct server *server;
	struct wire *wire;
	struct wire_connection *connection;
};

static void done(void *arg, const struct wire_reply *reply)
{
	struct outcome *outcome = arg;
	outcome->calls++;
	outcome->is_done = true;
	outcome->status = reply->status;
	outcome->code = reply->code;
	outcome->attempts = reply->attempts;
	outcome->may_have_left = reply->may_have_left;
	snprintf(outcome->text, sizeof(outcome->text), "%s", reply->text);
	snprintf(outcome->body, sizeof(outcome->body), "%.*s", (int)reply->body.len,
	         reply->body.ptr);
	for (size_t i = 0; i < reply->header_count; i++)
		if (strcasecmp(reply->headers[i].name, "X-Test") == 0)
			snprintf(outcome->header, sizeof(outcome->header), "%s",
			         reply->headers[i].value);
	json_decref(outcome->log);
	outcome->log = json_deep_copy(reply->log);
}

static void outcome_release(struct outcome *outcome)
{
	json_decref(outcome->log);
	*outcome = (struct outcome){ 0 };
}

static struct wire_connection *connect_to(const char *url, const char *more)
{
	struct err err = { 0 };
	json_t *json = NULL;
	struct wire_connection *ret = NULL;
	char *text = mem_format("{\"url\":\"%s\"%s%s}", url, *more ? "," : "", more);
	if (json_read(str_of(text), 65536, &json, &err) < 0 ||
	    wire_connection_new("crm", json, &ret, &err) < 0) {
		printf("# %s\n", err.text);
		abort();
	}
	json_decref(json);
	free(text);
	return ret;
}

#define FAST "\"private\":true,\"timeout_ms\":5000,\"backoff_min_ms\":1,\"backoff_max_ms\":2"

static struct bench bench_with(const char *config, const struct wire_options *extra)
{
	struct bench b = { .poll = loop_poll_new(7) };
	struct wire_options options = extra ? *extra : (struct wire_options){ 0 };
	options.loop = loop_poll_loop(b.poll);
	b.server = server_new(b.poll);
	b.wire = wire_new(&options);
	b.connection = connect_to(server_url(b.server), config);
	return b;
}

static struct bench bench_new(const char *config)
{
	return bench_with(config, NULL);
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

static struct wire_send_options get(struct bench *b, const char *path, struct outcome *outcome)
{
	return (struct wire_send_options){
		.connection = b->connection,
		.method = "GET",
		.path = path,
		.effect = WIRE_READ,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = done,
		.arg = outcome,
	};
}

static struct wire_send_options post(struct bench *b, enum wire_effect effect,
                                     struct outcome *outcome)
{
	struct wire_send_options ret = get(b, "/orders", outcome);
	ret.method = "POST";
	ret.body = STR_LIT("{\"a\":1}");
	ret.effect = effect;
	ret.key = "k1";
	return ret;
}

static void run(struct bench *b, const struct wire_send_options *options)
{
	struct outcome *outcome = options->arg;
	outcome_release(outcome);
	(void)wire_send(b->wire, options);
	CHECK_MSG(outcome->calls == 0, "the callback does not run inside wire_send");
	CHECK_MSG(loop_poll_until(b->poll, &outcome->is_done), "the request ends");
	loop_poll_once(b->poll, 0);
	CHECK_MSG(outcome->calls == 1, "the callback runs once");
}

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

/* --- retry ----------------------------------------------------------------------------------- */

static void test_retry_classes(void)
{
	struct bench b = bench_new(FAST ",\"breaker\":{\"window\":0}");
	struct outcome o = { 0 };
	static const int transient[] = { 408, 425, 429, 500, 502, 503, 504 };
	for (size_t i = 0; i < sizeof(transient) / sizeof(*transient); i++) {
		struct wire_send_options options = get(&b, "/a", &o);
		server_answer(b.server, transient[i], "", "");
		run(&b, &options);
		CHECK_MSG(o.status == WIRE_OK && o.attempts == 2, "READ repeats after %d",
		          transient[i]);
		options = post(&b, WIRE_ONCE, &o);
		server_answer(b.server, transient[i], "", "");
		run(&b, &options);
		bool repeats = transient[i] == 429;
		if (repeats)
			CHECK(o.status == WIRE_OK && o.attempts == 2);
		else
			CHECK_MSG(o.status == WIRE_STATUS && o.attempts == 1 && !o.may_have_left,
			          "ONCE does not repeat after %d", transient[i]);
	}
	static const int permanent[] = { 400, 401, 403, 404, 409, 422, 501 };
	for (size_t i = 0; i < sizeof(permanent) / sizeof(*permanent); i++) {
		struct wire_send_options options = get(&b, "/a", &o);
		server_answer(b.server, permanent[i], "", "");
		run(&b, &options);
		CHECK_MSG(o.status == WIRE_STATUS && o.attempts == 1, "%d is final", permanent[i]);
	}
	size_t first = server_count(b.server);
	struct wire_send_options keyed = post(&b, WIRE_KEYED, &o);
	keyed.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	for (int i = 0; i < 4; i++)
		server_answer(b.server, 503, "", "down");
	run(&b, &keyed);
	CHECK(o.status == WIRE_STATUS && o.code == 503 && o.attempts == 4);
	CHECK_STR(o.body, "down");
	char spans[4][17];
	for (size_t i = 0; i < 4; i++) {
		const char *sent = server_request(b.server, first + i);
		CHECK(strstr(sent, "\r\nIdempotency-Key: k1\r\n") != NULL);
		const char *span = strstr(sent, "traceparent: 00-");
		snprintf(spans[i], sizeof(spans[i]), "%.16s", span ? span + 16 + 33 : "");
	}
	CHECK_MSG(strcmp(spans[0], spans[1]) && strcmp(spans[1], spans[2]),
	          "each attempt is a span");
	outcome_release(&o);
	bench_free(&b);
}

static void test_may_have_left_is_kept(void)
{
	struct bench b = bench_new(FAST ",\"retries\":1");
	struct outcome o = { 0 };
	struct wire_send_options keyed = post(&b, WIRE_KEYED, &o);
	server_reply(b.server, NULL, SERVER_CLOSE);
	server_answer(b.server, 503, "", "");
	run(&b, &keyed);
	CHECK(o.status == WIRE_STATUS && o.code == 503 && o.attempts == 2);
	CHECK_MSG(o.may_have_left, "the unanswered first attempt may have had its effect");
	outcome_release(&o);
	bench_free(&b);
}

/* The clock stands between the attempts; the pause is exact to a millisecond. */
static void test_pauses(void)
{
	struct bench b = bench_new("\"private\":true,\"deadline_ms\":60000");
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/a", &o);
	static const int64_t least_ms[] = { 750, 1500, 3000 }, most_ms[] = { 1000, 2000, 4000 };
	for (int i = 0; i < 4; i++)
		server_answer(b.server, 503, "", "");
	(void)wire_send(b.wire, &options);
	for (size_t i = 0; i < 3; i++) {
		loop_poll_settle(b.poll);
		CHECK(server_count(b.server) == i + 1);
		loop_poll_skip(b.poll, least_ms[i] / 2); /* the rest is for a slow machine */
		loop_poll_settle(b.poll);
		CHECK_MSG(server_count(b.server) == i + 1, "not before %d ms",
		          (int)least_ms[i] / 2);
		loop_poll_skip(b.poll, most_ms[i] - least_ms[i] / 2);
	}
	CHECK(loop_poll_until(b.poll, &o.is_done));
	CHECK(o.attempts == 4 && o.code == 503 && server_count(b.server) == 4);
	outcome_release(&o);
	bench_free(&b);
}

static void wait_with(struct bench *b, const char *header, int64_t least_ms, int64_t most_ms)
{
	struct outcome o = { 0 };
	struct wire_send_options options = get(b, "/a", &o);
	size_t before = server_count(b->server);
	char line[96];
	snprintf(line, sizeof(line), "%s\r\n", header);
	server_answer(b->server, 429, line, "");
	(void)wire_send(b->wire, &options);
	loop_poll_settle(b->poll);
	loop_poll_skip(b->poll, least_ms / 2);
	loop_poll_settle(b->poll);
	CHECK_MSG(server_count(b->server) == before + 1, "%.20s: not before %d ms", header,
	          (int)least_ms);
	loop_poll_skip(b->poll, most_ms - least_ms / 2);
	CHECK(loop_poll_until(b->poll, &o.is_done) && o.status == WIRE_OK && o.attempts == 2);
	outcome_release(&o);
}

static void test_retry_after(void)
{
	struct bench b = bench_new("\"private\":true,\"deadline_ms\":60000");
	wait_with(&b, "Retry-After: 7", 7000, 7000);
	int64_t wall_ms = clock_wall_ms(&loop_poll_loop(b.poll)->clock);
	time_t at = (time_t)(wall_ms / 1000 + 20);
	struct tm tm;
	char date[80];
	gmtime_r(&at, &tm);
	strftime(date, sizeof(date), "Retry-After: %a, %d %b %Y %H:%M:%S GMT", &tm);
	wait_with(&b, date, 18500, 20000);
	wait_with(&b, "Retry-After: tomorrow", 750, 1000);
	/* Longer than the deadline: the answer is given now. */
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, "/a", &o);
	server_answer(b.server, 429, "Retry-After: 61\r\n", "");
	run(&b, &options);
	CHECK(o.status == WIRE_STATUS && o.code == 429 && o.attempts == 1);
	CHECK(strstr(o.text, "no time left") != NULL);
	outcome_release(&o);
	bench_free(&b);
}

static int classify_by_body(void *arg, const struct wire_reply *reply)
{
	(void)arg;
	bool is_digit = reply->body.len == 1 && reply->body.ptr[0] >= '0' &&
	                reply->body.ptr[0] <= '9';
	return is_digit ? reply->body.ptr[0] - '0' : 0;
}

static void test_classify(void)
{
	struct bench b = bench_new(FAST);
	struct outcome o = { 0 };
	struct wire_send_options options = post(&b, WIRE_ONCE, &o);
	options.classify = classify_by_body;
	server_answer(b.server, 400, "", "1");
	run(&b, &options);
	CHECK(o.status == WIRE_OK && o.code == 400);
	server_answer(b.server, 403, "", "2");
	run(&b, &options);
	CHECK_MSG(o.status == WIRE_OK && o.attempts == 2, "RETRY repeats even ONCE");
	server_answer(b.server, 429, "", "3");
	run(&b, &options);
	CHECK(o.status == WIRE_STATUS && o.code == 429 && o.attempts == 1);
	server_answer(b.server, 200, "", "3");
	run(&b, &options);
	CHECK_MSG(o.status == WIRE_STATUS && o.code == 200, "a failure inside HTTP 200");
	outcome_release(&o);
	bench_free(&b);
}

/* --- cancel, stop --------------------------------------------------------------- */

static void test_cancel(void)
{
	struct bench b = bench_new("\"private\":true,\"concurrency\":1");
	struct outcome flying = { 0 }, waiting = { 0 }, pausing = { 0 }, over = { 0 };
	struct wire_send_options options = get(&b, "/a", &flying);
	server_reply(b.server, NULL, SERVER_KEEP);
	struct wire_request *one = wire_send(b.wire, &options);
	options.arg = &waiting;
	struct wire_request *two = wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	CHECK(server_count(b.server) == 1);
	wire_cancel(two);
	wire_cancel(two);
	CHECK_MSG(waiting.calls == 0, "not inside wire_cancel either");
	CHECK(loop_poll_until(b.poll, &waiting.is_done));
	CHECK(waiting.status == WIRE_CANCELLED && !waiting.may_have_left && waiting.calls == 1);
	wire_cancel(one);
	CHECK(loop_poll_until(b.poll, &flying.is_done));
	CHECK(flying.status == WIRE_CANCELLED && flying.may_have_left && flying.calls == 1);
	options.arg = &pausing;
	server_answer(b.server, 503, "", "");
	struct wire_request *three = wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	wire_cancel(three);
	CHECK(loop_poll_until(b.poll, &pausing.is_done));
	CHECK(pausing.status == WIRE_CANCELLED && pausing.attempts == 1);
	/* The place is free again. */
	options.arg = &over;
	run(&b, &options);
	CHECK(over.status == WIRE_OK);
	outcome_release(&flying);
	outcome_release(&waiting);
	outcome_release(&pausing);
	outcome_release(&over);
	bench_free(&b);
}

static void test_free_ends_all(void)
{
	struct bench b = bench_new("\"private\":true,\"concurrency\":2");
	struct outcome o[5] = { { 0 } };
	for (int i = 0; i < 2; i++)
		server_reply(b.server, NULL, SERVER_KEEP);
	for (size_t i = 0; i < 5; i++) {
		struct wire_send_options options = get(&b, i == 4 ? "bad" : "/a", &o[i]);
		(void)wire_send(b.wire, &options);
	}
	loop_poll_once(b.poll, 0);
	wire_free(b.wire);
	for (size_t i = 0; i < 5; i++) {
		CHECK(o[i].calls == 1 && o[i].status == (i == 4 ? WIRE_REFUSED : WIRE_CANCELLED));
		outcome_release(&o[i]);
	}
	b.wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(b.poll) });
	bench_free(&b);
}

struct again {
	struct bench *b;
	int left;
	bool is_done;
};

static void send_again(void *arg, const struct wire_reply *reply)
{
	struct again *again = arg;
	(void)reply;
	again->is_done = again->left == 0;
	if (again->left-- > 0) {
		struct wire_send_options options = get(again->b, again->left % 2 ? "/a" : "bad",
		                                       NULL);
		options.done = send_again;
		options.arg = again;
		(void)wire_send(again->b->wire, &options);
	}
}

static void test_send_from_callback(void)
{
	struct bench b = bench_new(FAST);
	struct again again = { &b, 50, false };
	struct wire_send_options options = get(&b, "/a", NULL);
	options.done = send_again;
	options.arg = &again;
	(void)wire_send(b.wire, &options);
	CHECK(loop_poll_until(b.poll, &again.is_done));
	CHECK(server_connections(b.server) == 1);
	bench_free(&b);
}

/* --- tape and trace ------------------------------------------------------------- */

struct tape {
	json_t *entries, *spans;
	int replayed;
};

static void tape_record(void *ctx, const json_t *entry)
{
	struct tape *tape = ctx;
	json_push(tape->entries, json_deep_copy(entry));
}

static json_t *tape_replay(void *ctx, const json_t *request)
{
	struct tape *tape = ctx;
	const char *path = json_str(request, "path", "");
	if (strcmp(path, "/taped") != 0)
		return NULL;
	tape->replayed++;
	json_t *ret = NULL;
	struct err err = { 0 };
	if (json_read(STR_LIT("{\"status\":\"ok\",\"code\":200,\"headers\":[[\"X-Test\",\"t\"]],"
	                      "\"body\":\"from tape\"}"),
	              4096, &ret, &err) < 0)
		abort();
	return ret;
}

static void take_span(void *ctx, const json_t *span)
{
	struct tape *tape = ctx;
	json_push(tape->spans, json_deep_copy(span));
}

static void test_tape(void)
{
	struct tape tape = { json_array(), json_array(), 0 };
	struct wire_options options = { .tape = { &tape, tape_replay, tape_record },
		                        .trace = take_span,
		                        .trace_ctx = &tape };
	(void)setenv("WIRE_TEST_TOKEN", "s3cret-token", 1);
	struct bench b = bench_with(
		FAST ",\"auth\":{\"kind\":\"bearer\",\"token\":\"env:WIRE_TEST_TOKEN\"}", &options);
	struct outcome o = { 0 };
	struct wire_send_options send = get(&b, "/taped", &o);
	run(&b, &send);
	CHECK(o.status == WIRE_OK && tape.replayed == 1 && server_count(b.server) == 0);
	CHECK_STR(o.body, "from tape");
	CHECK_STR(o.header, "t");
	send = get(&b, "/live", &o);
	server_answer(b.server, 503, "", "");
	run(&b, &send);
	CHECK(o.status == WIRE_OK && strstr(server_request(b.server, 1), "Bearer s3cret-token"));
	CHECK(json_array_size(tape.entries) == 1 && json_array_size(tape.spans) == 2);
	char *entry = json_canon(json_array_get(tape.entries, 0));
	CHECK(strstr(entry, "/live") && !strstr(entry, "s3cret"));
	CHECK(json_int(json_path(json_array_get(tape.entries, 0), "reply"), "attempts", 0) == 2);
	free(entry);
	char *spans = json_canon(tape.spans);
	CHECK(!strstr(spans, "s3cret") && strstr(spans, "\"code\":503"));
	free(spans);
	json_decref(tape.entries);
	json_decref(tape.spans);
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
	test_retry_classes();
	test_may_have_left_is_kept();
	test_pauses();
	test_retry_after();
	test_classify();
	test_cancel();
	test_free_ends_all();
	test_send_from_callback();
	test_tape();
	return check_done();
}
