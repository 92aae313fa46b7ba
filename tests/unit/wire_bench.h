/* SPDX-License-Identifier: MIT */
/* A connection to a scripted server on the same loop, for the tests of wire/. */
#ifndef TESTS_WIRE_BENCH_H
#define TESTS_WIRE_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
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

static ATTR_UNUSED void done(void *arg, const struct wire_reply *reply)
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

static ATTR_UNUSED void outcome_release(struct outcome *outcome)
{
	json_decref(outcome->log);
	*outcome = (struct outcome){ 0 };
}

static ATTR_UNUSED struct wire_connection *connect_to(const char *url, const char *more)
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

static ATTR_UNUSED struct bench bench_with(const char *config, const struct wire_options *extra)
{
	struct bench b = { .poll = loop_poll_new(7) };
	struct wire_options options = extra ? *extra : (struct wire_options){ 0 };
	options.loop = loop_poll_loop(b.poll);
	b.server = server_new(b.poll);
	b.wire = wire_new(&options);
	b.connection = connect_to(server_url(b.server), config);
	return b;
}

static ATTR_UNUSED struct bench bench_new(const char *config)
{
	return bench_with(config, NULL);
}

static ATTR_UNUSED void bench_free(struct bench *b)
{
	wire_free(b->wire);
	server_free(b->server);
	loop_poll_settle(b->poll);
	CHECK_MSG(loop_poll_handles(b->poll) == 0, "no timer or watch is left behind");
	wire_connection_free(b->connection);
	loop_poll_free(b->poll);
}

static ATTR_UNUSED struct wire_send_options get(struct bench *b, const char *path,
                                                struct outcome *outcome)
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

static ATTR_UNUSED struct wire_send_options post(struct bench *b, enum wire_effect effect,
                                                 struct outcome *outcome)
{
	struct wire_send_options ret = get(b, "/orders", outcome);
	ret.method = "POST";
	ret.body = STR_LIT("{\"a\":1}");
	ret.effect = effect;
	ret.key = "k1";
	return ret;
}

static ATTR_UNUSED void run(struct bench *b, const struct wire_send_options *options)
{
	struct outcome *outcome = options->arg;
	outcome_release(outcome);
	(void)wire_send(b->wire, options);
	CHECK_MSG(outcome->calls == 0, "the callback does not run inside wire_send");
	CHECK_MSG(loop_poll_until(b->poll, &outcome->is_done), "the request ends");
	loop_poll_once(b->poll, 0);
	CHECK_MSG(outcome->calls == 1, "the callback runs once");
}

#endif
