/* SPDX-License-Identifier: MIT */
/*
 * What is repeated and when, what ends early, and what is written down, against
 * a scripted server.  Pauses are waited for by moving the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire_bench.h"

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
	char line[160];
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
	wait_with(&b, "retry-after-ms: 3500.5\r\nRetry-After: 50", 3500, 3501);
	wait_with(&b, "retry-after-ms: soon\r\nRetry-After: 5", 5000, 5000);
	/* DocuSign: the hour begins anew at that time; while something is left of it, that is no
	 * answer. */
	char reset[120];
	wall_ms = clock_wall_ms(&loop_poll_loop(b.poll)->clock);
	snprintf(reset, sizeof(reset), "X-RateLimit-Reset: %lld\r\nX-RateLimit-Remaining: 0",
	         (long long)(wall_ms / 1000 + 30));
	wait_with(&b, reset, 28500, 30000);
	wall_ms = clock_wall_ms(&loop_poll_loop(b.poll)->clock);
	snprintf(reset, sizeof(reset), "X-RateLimit-Reset: %lld\r\nX-RateLimit-Remaining: 7",
	         (long long)(wall_ms / 1000 + 30));
	wait_with(&b, reset, 750, 1000);
	wait_with(&b, "X-RateLimit-Reset: 20\r\nX-RateLimit-Remaining: 0", 750, 1000);
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
