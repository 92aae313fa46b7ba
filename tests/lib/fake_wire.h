/* SPDX-License-Identifier: MIT */
/*
 * A wire that goes nowhere: it keeps what was sent and answers when the test
 * says so.  It defines every wire_... function that plugin/ uses, so a test
 * links it instead of engine/wire.  With it comes a loop whose timers fire by
 * hand.
 */
#ifndef TESTS_FAKE_WIRE_H
#define TESTS_FAKE_WIRE_H

#include "base/vec.h"
#include "wire/wire.h"

struct wire_request {
	struct wire *wire;
	size_t index;
	json_t *sent; /* {"method","path","content_type","body","headers":{},"mail":{}} */
	char *key;    /* NULL: none */
	char *correlation_id, *traceparent;
	enum wire_effect effect;
	int64_t timeout_ms, backoff_min_ms, backoff_max_ms;
	int32_t retries;
	wire_classify_cb *classify;
	wire_done_cb *done;
	void *arg;
	bool is_open, is_cancelled;
};

struct wire {
	VEC(struct wire_request *) requests;
	bool cancels_at_once; /* wire_cancel runs the callback itself */
};

struct fake_timer {
	int64_t delay_ms;
	loop_timer_cb *cb;
	void *arg;
	bool is_armed;
};

struct fake_loop {
	struct loop loop; /* first */
	VEC(struct fake_timer *) timers;
};

struct wire *fake_wire_new(void);
void fake_wire_free(struct wire *wire);
/* Requests without an answer. */
size_t fake_wire_open(const struct wire *wire);
/* The i-th ever sent; NULL when there are fewer. */
struct wire_request *fake_wire_at(const struct wire *wire, size_t i);
/* Ends it; reply->attempts 0 becomes 1, a code without status WIRE_OK or WIRE_STATUS. */
void fake_wire_reply(struct wire_request *request, const struct wire_reply *reply);
/* The same with a code and a body alone. */
void fake_wire_answer(struct wire_request *request, int code, const char *body);
/* Ends those that were cancelled. */
void fake_wire_pump(struct wire *wire);

struct wire_connection *fake_connection_new(const char *name);
void fake_connection_set(struct wire_connection *connection, const char *name, const char *value);
void fake_connection_free(struct wire_connection *connection);

void fake_loop_init(struct fake_loop *loop);
void fake_loop_release(struct fake_loop *loop);
size_t fake_loop_armed(const struct fake_loop *loop);
/* Fires the first armed timer; its delay, or -1 when there is none. */
int64_t fake_loop_fire(struct fake_loop *loop);

#endif
