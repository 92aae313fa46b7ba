/* SPDX-License-Identifier: MIT */
/*
 * What the requests of a connection share: the circuit breaker, concurrency and
 * rate, and the OAuth token, over one wire and over two on threads of their own.
 */
#include <pthread.h>
#include <stdatomic.h>
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
	int code, attempts, order;
	char text[256];
	int *counter;
};

static void done(void *arg, const struct wire_reply *reply)
{
	struct outcome *outcome = arg;
	outcome->is_done = true;
	outcome->status = reply->status;
	outcome->code = reply->code;
	outcome->attempts = reply->attempts;
	snprintf(outcome->text, sizeof(outcome->text), "%s", reply->text);
	if (outcome->counter)
		outcome->order = (*outcome->counter)++;
}

struct bench {
	struct loop_poll *poll;
	struct server *server;
	struct wire *wire;
	struct wire_connection *connection;
};

static struct wire_connection *connect_to(const char *url, const char *more)
{
	struct err err = { 0 };
	json_t *json = NULL;
	struct wire_connection *ret = NULL;
	char *text = mem_format("{\"url\":\"%s\",\"private\":true,%s}", url, more);
	if (json_read(str_of(text), 65536, &json, &err) < 0 ||
	    wire_connection_new("crm", json, &ret, &err) < 0) {
		printf("# %s\n", err.text);
		abort();
	}
	json_decref(json);
	free(text);
	return ret;
}

static struct bench bench_new(const char *config)
{
	struct bench b = { .poll = loop_poll_new(7) };
	b.server = server_new(b.poll);
	b.wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(b.poll) });
	b.connection = connect_to(server_url(b.server), config);
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

static struct wire_send_options get(struct bench *b, struct outcome *outcome)
{
	*outcome = (struct outcome){ .counter = outcome->counter };
	return (struct wire_send_options){
		.connection = b->connection,
		.method = "GET",
		.path = "/a",
		.effect = WIRE_READ,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = done,
		.arg = outcome,
	};
}

static void run(struct bench *b, struct outcome *outcome)
{
	struct wire_send_options options = get(b, outcome);
	(void)wire_send(b->wire, &options);
	CHECK_MSG(loop_poll_until(b->poll, &outcome->is_done), "the request ends");
}

static const char *state_of(struct bench *b, char ret[32])
{
	json_t *about = wire_connection_describe(b->connection);
	snprintf(ret, 32, "%s", json_str(about, "state", ""));
	json_decref(about);
	return ret;
}

/* --- breaker ---------------------------------------------------------------------- */

static void test_breaker(void)
{
	struct bench b = bench_new("\"retries\":0,\"breaker\":{\"window\":4,\"error_percent\":50,"
	                           "\"open_ms\":30000,\"probes\":1}");
	struct outcome o = { 0 };
	char state[32];
	CHECK_STR(state_of(&b, state), "closed");
	server_answer(b.server, 500, "", "");
	run(&b, &o);
	server_answer(b.server, 404, "", "");
	run(&b, &o);
	CHECK_STR(state_of(&b, state), "closed");
	server_answer(b.server, 503, "", "");
	run(&b, &o);
	CHECK_STR(state_of(&b, state), "open");
	size_t count = server_count(b.server);
	run(&b, &o);
	CHECK(o.status == WIRE_CIRCUIT_OPEN && o.attempts == 0 && strstr(o.text, "crm"));
	CHECK(server_count(b.server) == count);
	loop_poll_skip(b.poll, 29000);
	run(&b, &o);
	CHECK(o.status == WIRE_CIRCUIT_OPEN);
	/* Half open: one probe; it fails, so the circuit is open for as long again. */
	loop_poll_skip(b.poll, 1100);
	server_reply(b.server, NULL, SERVER_KEEP);
	struct outcome probe = { 0 };
	struct wire_send_options options = get(&b, &probe);
	(void)wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	run(&b, &o);
	CHECK_MSG(o.status == WIRE_CIRCUIT_OPEN, "only one probe at a time");
	server_release(b.server, "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
	CHECK(loop_poll_until(b.poll, &probe.is_done) && probe.code == 500);
	run(&b, &o);
	CHECK(o.status == WIRE_CIRCUIT_OPEN);
	loop_poll_skip(b.poll, 30100);
	run(&b, &o);
	CHECK_MSG(o.status == WIRE_OK, "a probe that succeeds closes it");
	state_of(&b, state);
	server_answer(b.server, 500, "", "");
	run(&b, &o);
	CHECK_STR(state_of(&b, state), "closed");
	bench_free(&b);
}

static void test_breaker_and_retry(void)
{
	struct bench b = bench_new("\"retries\":5,\"backoff_min_ms\":1,\"backoff_max_ms\":1,"
	                           "\"breaker\":{\"window\":4,\"error_percent\":50}");
	struct outcome o = { 0 };
	for (int i = 0; i < 6; i++)
		server_answer(b.server, 503, "", "");
	run(&b, &o);
	CHECK_MSG(o.status == WIRE_CIRCUIT_OPEN && server_count(b.server) == 2 && o.attempts == 2,
	          "every attempt counts, and the circuit ends the repeating");
	bench_free(&b);
}

/* Who waits for a place when the circuit opens is told at once. */
static void test_breaker_and_waiting(void)
{
	struct bench b = bench_new("\"retries\":0,\"concurrency\":1,\"breaker\":{\"window\":1}");
	struct outcome one = { 0 }, two = { 0 };
	struct wire_send_options options = get(&b, &one);
	server_answer(b.server, 500, "", "");
	(void)wire_send(b.wire, &options);
	options = get(&b, &two);
	(void)wire_send(b.wire, &options);
	CHECK(loop_poll_until(b.poll, &one.is_done) && loop_poll_until(b.poll, &two.is_done));
	CHECK(one.code == 500 && two.status == WIRE_CIRCUIT_OPEN && server_count(b.server) == 1);
	bench_free(&b);
}

/* --- limits ------------------------------------------------------------------------- */

static void test_concurrency(void)
{
	enum { MANY = 12 };
	struct bench b = bench_new("\"concurrency\":3");
	struct outcome o[MANY] = { { 0 } };
	int counter = 0;
	for (size_t i = 0; i < MANY; i++) {
		o[i].counter = &counter;
		struct wire_send_options options = get(&b, &o[i]);
		server_reply(b.server, NULL, SERVER_KEEP);
		(void)wire_send(b.wire, &options);
	}
	loop_poll_settle(b.poll);
	CHECK(server_count(b.server) == 3);
	json_t *about = wire_connection_describe(b.connection);
	CHECK(json_int(about, "in_flight", 0) == 3 && json_int(about, "waiting", 0) == 9);
	json_decref(about);
	for (size_t i = 0; i < MANY / 3; i++) {
		CHECK(server_count(b.server) == 3 * (i + 1));
		server_release(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
		loop_poll_settle(b.poll);
	}
	bool is_fair = true;
	for (size_t i = 0; i < MANY; i++)
		is_fair = is_fair && o[i].is_done && o[i].status == WIRE_OK &&
		          o[i].order / 3 == (int)i / 3;
	CHECK_MSG(is_fair, "first in, first out");
	bench_free(&b);
}

/* One run asks for six things at once, two others for one each: they take turns. */
static void test_runs_take_turns(void)
{
	enum { MANY = 9 };
	static const char *const runs[MANY] = { "a", "a", "a", "a", "a", "a", "b", "c", "b" };
	static const int turns[MANY] = { 0, 1, 4, 6, 7, 8, 2, 3, 5 };
	struct bench b = bench_new("\"concurrency\":1");
	struct outcome o[MANY] = { { 0 } };
	int counter = 0;
	for (size_t i = 0; i < MANY; i++) {
		o[i].counter = &counter;
		struct wire_send_options options = get(&b, &o[i]);
		options.correlation_id = runs[i];
		(void)wire_send(b.wire, &options);
	}
	for (size_t i = 0; i < MANY; i++)
		CHECK(loop_poll_until(b.poll, &o[i].is_done));
	for (size_t i = 0; i < MANY; i++)
		CHECK_MSG(o[i].order == turns[i], "request %zu of run %s: %d, not %d", i, runs[i],
		          o[i].order, turns[i]);
	bench_free(&b);
}

/* Who gives up leaves nothing behind: the run's next request is not put back for it. */
static void test_turns_after_cancel(void)
{
	enum { MANY = 4 };
	static const char *const runs[MANY] = { "x", "a", "a", "b" };
	struct bench b = bench_new("\"concurrency\":1");
	struct outcome o[MANY + 1] = { { 0 } };
	struct wire_request *waiting[MANY];
	int counter = 0;
	server_reply(b.server, NULL, SERVER_KEEP);
	for (size_t i = 0; i < MANY; i++) {
		o[i].counter = &counter;
		struct wire_send_options options = get(&b, &o[i]);
		options.correlation_id = runs[i];
		waiting[i] = wire_send(b.wire, &options);
	}
	loop_poll_settle(b.poll);
	wire_cancel(waiting[1]);
	wire_cancel(waiting[2]);
	o[MANY].counter = &counter;
	struct wire_send_options options = get(&b, &o[MANY]);
	options.correlation_id = "a";
	(void)wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	CHECK(o[1].status == WIRE_CANCELLED && o[2].status == WIRE_CANCELLED);
	server_release(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	CHECK(loop_poll_until(b.poll, &o[MANY].is_done) && loop_poll_until(b.poll, &o[3].is_done));
	CHECK(o[0].is_done && o[3].order + 1 == o[MANY].order);
	bench_free(&b);
}

static void test_waiting_ends_by_deadline(void)
{
	struct bench b = bench_new("\"concurrency\":1,\"deadline_ms\":8000");
	struct outcome first = { 0 }, second = { 0 };
	struct wire_send_options options = get(&b, &first);
	options.deadline_ms = 60000;
	server_reply(b.server, NULL, SERVER_KEEP);
	(void)wire_send(b.wire, &options);
	options = get(&b, &second);
	(void)wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	loop_poll_skip(b.poll, 8001);
	CHECK(loop_poll_until(b.poll, &second.is_done));
	CHECK(second.status == WIRE_TIMEOUT && second.attempts == 0 && server_count(b.server) == 1);
	server_release(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	CHECK(loop_poll_until(b.poll, &first.is_done) && first.status == WIRE_OK);
	bench_free(&b);
}

static void test_rate(void)
{
	enum { MANY = 5 };
	struct bench b = bench_new("\"rate_per_s\":0.5,\"burst\":2");
	struct outcome o[MANY] = { { 0 } };
	for (size_t i = 0; i < MANY; i++) {
		struct wire_send_options options = get(&b, &o[i]);
		(void)wire_send(b.wire, &options);
	}
	loop_poll_settle(b.poll);
	CHECK_MSG(server_count(b.server) == 2, "the burst goes at once");
	for (size_t i = 2; i < MANY; i++) {
		loop_poll_skip(b.poll, 1000);
		loop_poll_settle(b.poll);
		CHECK(server_count(b.server) == i);
		loop_poll_skip(b.poll, 1010);
		loop_poll_settle(b.poll);
		CHECK_MSG(server_count(b.server) == i + 1, "one every two seconds");
	}
	bench_free(&b);
}

/* A token is there, but whoever comes now does not overtake the one who waits for it. */
static void test_rate_is_fair(void)
{
	struct bench b = bench_new("\"rate_per_s\":0.5,\"burst\":1");
	struct outcome o[3] = { { 0 } };
	int counter = 0;
	for (size_t i = 0; i < 3; i++) {
		o[i].counter = &counter;
		struct wire_send_options options = get(&b, &o[i]);
		(void)wire_send(b.wire, &options);
		loop_poll_settle(b.poll);
		loop_poll_skip(b.poll, i == 1 ? 2100 : 0);
	}
	loop_poll_skip(b.poll, 2100);
	CHECK(loop_poll_until(b.poll, &o[2].is_done));
	CHECK(o[1].is_done && o[1].order == 1 && o[2].order == 2);
	bench_free(&b);
}

static void test_every_attempt_pays(void)
{
	struct bench b = bench_new("\"rate_per_s\":0.1,\"burst\":1,\"backoff_min_ms\":1,"
	                           "\"backoff_max_ms\":1");
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, &o);
	server_answer(b.server, 503, "", "");
	(void)wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	loop_poll_skip(b.poll, 9000);
	loop_poll_settle(b.poll);
	CHECK(server_count(b.server) == 1 && !o.is_done);
	loop_poll_skip(b.poll, 1100);
	CHECK(loop_poll_until(b.poll, &o.is_done) && o.status == WIRE_OK);
	bench_free(&b);
}

static void test_too_many_wait(void)
{
	struct bench b = bench_new("\"concurrency\":1");
	struct outcome *o = mem_alloc((LIMIT_WAITING + 2) * sizeof(*o));
	server_reply(b.server, NULL, SERVER_KEEP);
	for (size_t i = 0; i < LIMIT_WAITING + 2; i++) {
		struct wire_send_options options = get(&b, &o[i]);
		(void)wire_send(b.wire, &options);
	}
	struct outcome *last = &o[LIMIT_WAITING + 1];
	CHECK(loop_poll_until(b.poll, &last->is_done));
	CHECK(last->status == WIRE_REFUSED && strstr(last->text, "LIMIT_WAITING"));
	CHECK(!o[LIMIT_WAITING].is_done);
	wire_free(b.wire);
	bool all = true;
	for (size_t i = 0; i < LIMIT_WAITING + 2; i++)
		all = all && o[i].is_done;
	CHECK_MSG(all, "all of them end when the wire is freed");
	b.wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(b.poll) });
	free(o);
	bench_free(&b);
}

static void test_quota_and_skew(void)
{
	struct bench b = bench_new("\"retries\":0");
	struct outcome o = { 0 };
	server_answer(b.server, 401,
	              "Sforce-Limit-Info: api-usage=18/15000\r\n"
	              "x-ratelimit-remaining-tokens: 7\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
	              "");
	run(&b, &o);
	CHECK_MSG(o.code == 401 && strstr(o.text, "ahead of the server's"), "%s", o.text);
	json_t *about = wire_connection_describe(b.connection);
	CHECK_STR(json_str(json_at(about, "quota"), "Sforce-Limit-Info", ""), "api-usage=18/15000");
	CHECK_STR(json_str(json_at(about, "quota"), "x-ratelimit-remaining-tokens", ""), "7");
	CHECK(json_int(about, "clock_skew_s", 0) > 1000000);
	json_decref(about);
	bench_free(&b);
}

/* --- token ---------------------------------------------------------------------------- */

#define OAUTH                                                                                  \
	"\"auth\":{\"kind\":\"oauth2_client\",\"token_path\":\"/token\",\"client_id\":\"id\"," \
	"\"client_secret\":\"env:WIRE_TEST_SECRET\",\"scope\":\"api x\"},"                     \
	"\"backoff_min_ms\":1,\"backoff_max_ms\":1"

static size_t token_calls(const struct bench *b)
{
	size_t ret = 0;
	for (size_t i = 0; i < server_count(b->server); i++)
		ret += strncmp(server_request(b->server, i), "POST /token ", 12) == 0 ? 1 : 0;
	return ret;
}

static void test_token_single_flight(void)
{
	enum { MANY = 8 };
	struct bench b = bench_new(OAUTH);
	struct outcome o[MANY] = { { 0 } };
	server_reply(b.server, NULL, SERVER_KEEP);
	for (size_t i = 0; i < MANY; i++) {
		struct wire_send_options options = get(&b, &o[i]);
		(void)wire_send(b.wire, &options);
	}
	loop_poll_settle(b.poll);
	CHECK_MSG(server_count(b.server) == 1 && token_calls(&b) == 1, "one fetch for all");
	const char *sent = server_request(b.server, 0);
	CHECK(strstr(sent, "grant_type=client_credentials&client_id=id&client_secret=a%2Fb%20c&"
	                   "scope=api%20x") != NULL);
	CHECK(strstr(sent, "Content-Type: application/x-www-form-urlencoded\r\n") != NULL);
	server_release(b.server, "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n"
	                         "{\"access_token\":\"tok1\"}");
	for (size_t i = 0; i < MANY; i++)
		CHECK(loop_poll_until(b.poll, &o[i].is_done) && o[i].status == WIRE_OK);
	CHECK(token_calls(&b) == 1 && server_count(b.server) == MANY + 1);
	CHECK(strstr(server_request(b.server, MANY), "\r\nAuthorization: Bearer tok1\r\n") != NULL);
	/* No expires_in: kept until it is refused. */
	loop_poll_skip(b.poll, 365LL * 86400 * 1000);
	run(&b, &o[0]);
	CHECK(o[0].status == WIRE_OK && token_calls(&b) == 1);
	bench_free(&b);
}

static void test_token_refused(void)
{
	struct bench b = bench_new(OAUTH);
	struct outcome o = { 0 };
	server_answer(b.server, 200, "", "{\"access_token\":\"tok1\"}");
	run(&b, &o);
	CHECK(o.status == WIRE_OK);
	server_answer(b.server, 401, "", "");
	server_answer(b.server, 200, "", "{\"access_token\":\"tok2\"}");
	run(&b, &o);
	CHECK(o.status == WIRE_OK && o.attempts == 2 && token_calls(&b) == 2);
	CHECK(strstr(server_request(b.server, server_count(b.server) - 1), "Bearer tok2") != NULL);
	/* Refused again with the new one: once is enough. */
	server_answer(b.server, 401, "", "");
	server_answer(b.server, 200, "", "{\"access_token\":\"tok3\"}");
	server_answer(b.server, 401, "", "");
	run(&b, &o);
	CHECK(o.status == WIRE_STATUS && o.code == 401 && o.attempts == 2 && token_calls(&b) == 3);
	/* 403 is no reason to log in. */
	server_answer(b.server, 403, "", "");
	run(&b, &o);
	CHECK(o.code == 403 && token_calls(&b) == 3);
	bench_free(&b);
}

/* Two requests are refused with the same token, one after the other: one new token serves both. */
static void test_token_refused_twice(void)
{
	static const char refusal[] = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n";
	struct bench b = bench_new(OAUTH);
	struct outcome one = { 0 }, two = { 0 };
	server_answer(b.server, 200, "", "{\"access_token\":\"tok1\"}");
	run(&b, &one);
	server_reply(b.server, NULL, SERVER_KEEP);
	server_reply(b.server, NULL, SERVER_KEEP);
	server_answer(b.server, 200, "", "{\"access_token\":\"tok2\"}");
	struct wire_send_options options = get(&b, &one);
	(void)wire_send(b.wire, &options);
	options = get(&b, &two);
	(void)wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	server_release_one(b.server, refusal);
	loop_poll_settle(b.poll);
	CHECK_MSG(one.is_done + two.is_done == 1, "one of them has its new token");
	server_release_one(b.server, refusal);
	CHECK(loop_poll_until(b.poll, &one.is_done) && loop_poll_until(b.poll, &two.is_done));
	CHECK(one.status == WIRE_OK && two.status == WIRE_OK);
	CHECK(token_calls(&b) == 2);
	bench_free(&b);
}

static void test_token_expiry(void)
{
	struct bench b = bench_new(OAUTH);
	struct outcome o = { 0 };
	server_answer(b.server, 200, "", "{\"access_token\":\"tok1\",\"expires_in\":\"3600\"}");
	run(&b, &o);
	loop_poll_skip(b.poll, 3200 * 1000);
	run(&b, &o);
	CHECK(token_calls(&b) == 1);
	/* Within the last tenth: the old one serves while a new one is fetched. */
	loop_poll_skip(b.poll, 100 * 1000);
	server_answer(b.server, 200, "", "{\"access_token\":\"tok2\",\"expires_in\":3600}");
	struct wire_send_options options = get(&b, &o);
	(void)wire_send(b.wire, &options);
	CHECK(loop_poll_until(b.poll, &o.is_done) && o.status == WIRE_OK);
	loop_poll_settle(b.poll);
	CHECK(token_calls(&b) == 2);
	run(&b, &o);
	CHECK(strstr(server_request(b.server, server_count(b.server) - 1), "Bearer tok2") != NULL);
	/* Past its end it is not used at all. */
	loop_poll_skip(b.poll, 3700 * 1000);
	server_answer(b.server, 200, "", "{\"access_token\":\"tok3\",\"expires_in\":3600}");
	run(&b, &o);
	CHECK(strstr(server_request(b.server, server_count(b.server) - 1), "Bearer tok3") != NULL);
	bench_free(&b);
}

static void test_token_failure(void)
{
	struct bench b = bench_new(OAUTH);
	struct outcome o = { 0 };
	server_answer(b.server, 400, "", "{\"error\":\"invalid_client\"}");
	run(&b, &o);
	CHECK(o.status == WIRE_AUTH && o.code == 400 && o.attempts == 0 && token_calls(&b) == 1);
	CHECK(strstr(o.text, "no token") && !strstr(o.text, "a/b c"));
	for (int i = 0; i < 4; i++)
		server_answer(b.server, 503, "", "");
	run(&b, &o);
	CHECK_MSG(o.status == WIRE_STATUS && o.code == 503 && token_calls(&b) == 5,
	          "an ill endpoint is no refusal, and is not asked 16 times");
	server_answer(b.server, 200, "", "<html>");
	run(&b, &o);
	CHECK(o.status == WIRE_AUTH);
	server_answer(b.server, 200, "", "{\"access_token\":\"a\\r\\nX: b\"}");
	run(&b, &o);
	CHECK(o.status == WIRE_AUTH);
	server_answer(b.server, 200, "", "{\"access_token\":\"tok\"}");
	run(&b, &o);
	CHECK(o.status == WIRE_OK);
	bench_free(&b);
}

static void test_token_basic_and_cancel(void)
{
	struct bench b = bench_new("\"auth\":{\"kind\":\"oauth2_client\",\"token_path\":\"/token\","
	                           "\"client_id\":\"id\",\"client_auth\":\"basic\","
	                           "\"client_secret\":\"env:WIRE_TEST_SECRET\"}");
	struct outcome o = { 0 };
	struct wire_send_options options = get(&b, &o);
	server_reply(b.server, NULL, SERVER_KEEP);
	struct wire_request *request = wire_send(b.wire, &options);
	loop_poll_settle(b.poll);
	CHECK(strstr(server_request(b.server, 0), "Authorization: Basic aWQ6YSUyRmIlMjBj\r\n") !=
	      NULL);
	CHECK(!strstr(server_request(b.server, 0), "client_secret"));
	wire_cancel(request);
	CHECK(loop_poll_until(b.poll, &o.is_done) && o.status == WIRE_CANCELLED);
	bench_free(&b);
}

/* --- two wires on two threads ------------------------------------------------------------ */

enum { PER_THREAD = 300 };

struct worker {
	struct wire_connection *connection;
	atomic_int *over; /* threads that are */
	int finished, good;
	bool is_over;
};

static void worker_done(void *arg, const struct wire_reply *reply)
{
	struct worker *worker = arg;
	worker->finished++;
	worker->good += reply->status == WIRE_OK ? 1 : 0;
	worker->is_over = worker->finished == PER_THREAD;
}

/* Each thread has its own loop, wire and requests; the server is on the main thread's loop. */
static void *work(void *arg)
{
	struct worker *worker = arg;
	struct loop_poll *poll = loop_poll_new(11);
	struct wire *wire = wire_new(&(struct wire_options){ .loop = loop_poll_loop(poll) });
	const struct wire_send_options options = {
		.connection = worker->connection,
		.method = "GET",
		.path = "/a",
		.effect = WIRE_READ,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = worker_done,
		.arg = worker,
	};
	for (int i = 0; i < PER_THREAD; i++)
		(void)wire_send(wire, &options);
	(void)loop_poll_until(poll, &worker->is_over);
	wire_free(wire);
	loop_poll_free(poll);
	atomic_fetch_add(worker->over, 1);
	return NULL;
}

static void test_two_wires(void)
{
	struct bench b = bench_new(
		"\"concurrency\":2,\"retries\":0,\"timeout_ms\":8000,"
		"\"auth\":{\"kind\":\"oauth2_client\",\"token_path\":\"/token\","
		"\"client_id\":\"id\",\"client_secret\":\"env:WIRE_TEST_SECRET\"}");
	atomic_int over = 0;
	struct worker workers[2];
	pthread_t threads[2];
	server_answer(b.server, 200, "", "{\"access_token\":\"tok1\"}");
	for (size_t i = 0; i < 2; i++) {
		workers[i] = (struct worker){ b.connection, &over, 0, 0, false };
		CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
	}
	while (atomic_load(&over) < 2)
		loop_poll_once(b.poll, 20);
	for (size_t i = 0; i < 2; i++) {
		(void)pthread_join(threads[i], NULL);
		CHECK_MSG(workers[i].good == PER_THREAD, "thread %zu: %d of %d", i, workers[i].good,
		          workers[i].finished);
	}
	CHECK_MSG(token_calls(&b) == 1, "both share one token");
	CHECK_MSG(server_connections(b.server) <= 5, "and the two places (%zu connections)",
	          server_connections(b.server));
	json_t *about = wire_connection_describe(b.connection);
	CHECK(json_int(about, "in_flight", -1) == 0 && json_int(about, "waiting", -1) == 0);
	json_decref(about);
	bench_free(&b);
}

int main(void)
{
	mem_install();
	(void)setenv("WIRE_TEST_SECRET", "a/b c", 1);
	test_breaker();
	test_breaker_and_retry();
	test_breaker_and_waiting();
	test_concurrency();
	test_runs_take_turns();
	test_turns_after_cancel();
	test_waiting_ends_by_deadline();
	test_rate();
	test_rate_is_fair();
	test_every_attempt_pays();
	test_too_many_wait();
	test_quota_and_skew();
	test_token_single_flight();
	test_token_refused();
	test_token_refused_twice();
	test_token_expiry();
	test_token_failure();
	test_token_basic_and_cancel();
	test_two_wires();
	return check_done();
}
