/* SPDX-License-Identifier: MIT */
/*
 * The circuit breaker of a connection: a ring of the last outcomes.  When the
 * failures in it reach their share of the window the circuit opens and requests
 * fail at once, without a byte sent.  After a while it is half open: a few probes
 * go through; the first that succeeds closes it, a failure opens it again.
 * Only what says that the other side is ill counts as a failure: no answer, a
 * broken one, or 5xx.
 */
#include <string.h>

#include "wire/wire_int.h"

static void reset(struct wire_breaker *breaker)
{
	memset(breaker->outcomes, 0, sizeof(breaker->outcomes));
	breaker->failed = 0;
	breaker->at = 0;
}

/* Also moves on from open to half open when it is time. */
bool wire_break_is_open(struct wire_connection *connection, int64_t now_ms)
{
	struct wire_breaker *breaker = &connection->breaker;
	if (breaker->state == WIRE_CIRCUIT_IS_OPEN &&
	    now_ms - breaker->opened_ms >= breaker->open_ms) {
		breaker->state = WIRE_CIRCUIT_HALF_OPEN;
		breaker->probing = 0;
	}
	return breaker->state == WIRE_CIRCUIT_IS_OPEN;
}

const char *wire_break_state(const struct wire_breaker *breaker, int64_t now_ms)
{
	switch (breaker->state) {
	case WIRE_CIRCUIT_CLOSED: return "closed";
	case WIRE_CIRCUIT_IS_OPEN:
		return now_ms - breaker->opened_ms >= breaker->open_ms ? "half_open" : "open";
	case WIRE_CIRCUIT_HALF_OPEN: return "half_open";
	}
	return "closed";
}

static void break_send(struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	struct wire_breaker *breaker = &connection->breaker;
	bool may_pass = true;
	request->is_probe = false;
	if (breaker->window > 0) {
		pthread_mutex_lock(&connection->lock);
		may_pass = !wire_break_is_open(connection, wire_now_ms(request->wire));
		if (may_pass && breaker->state == WIRE_CIRCUIT_HALF_OPEN) {
			may_pass = breaker->probing < breaker->probes;
			request->is_probe = may_pass;
			breaker->probing += may_pass ? 1 : 0;
		}
		pthread_mutex_unlock(&connection->lock);
	}
	if (may_pass)
		wire_down(request);
	else
		wire_answer(request, WIRE_CIRCUIT_OPEN, 0,
		            "the circuit of connection '%s' is open after repeated failures",
		            connection->name);
}

enum outcome { OUTCOME_NONE, OUTCOME_GOOD, OUTCOME_BAD };

static enum outcome judge(const struct wire_request *request)
{
	if (!request->was_dispatched)
		return OUTCOME_NONE; /* the other side was not asked */
	switch (request->reply.status) {
	case WIRE_TIMEOUT:
	case WIRE_NETWORK: return OUTCOME_BAD;
	case WIRE_OK:
	case WIRE_STATUS:
		if (request->envelope)
			return request->reply.code == 421 ? OUTCOME_BAD : OUTCOME_GOOD;
		return request->reply.code >= 500 && request->reply.code != 501 ? OUTCOME_BAD
		                                                                : OUTCOME_GOOD;
	case WIRE_AUTH:
	case WIRE_TOO_LARGE: return OUTCOME_GOOD;
	case WIRE_CIRCUIT_OPEN:
	case WIRE_REFUSED:
	case WIRE_CANCELLED: return OUTCOME_NONE;
	}
	return OUTCOME_NONE;
}

static void open_circuit(struct wire_breaker *breaker, int64_t now_ms)
{
	breaker->state = WIRE_CIRCUIT_IS_OPEN;
	breaker->opened_ms = now_ms;
	breaker->probing = 0;
}

static void count(struct wire_breaker *breaker, bool is_bad, int64_t now_ms)
{
	bool *at = &breaker->outcomes[breaker->at];
	breaker->failed += (is_bad ? 1 : 0) - (*at ? 1 : 0);
	*at = is_bad;
	breaker->at = (breaker->at + 1) % (size_t)breaker->window;
	if (breaker->failed * 100 >= breaker->window * breaker->error_percent)
		open_circuit(breaker, now_ms);
}

static void settle_probe(struct wire_breaker *breaker, enum outcome outcome, int64_t now_ms)
{
	breaker->probing -= breaker->probing > 0 ? 1 : 0;
	if (outcome == OUTCOME_BAD) {
		open_circuit(breaker, now_ms);
	} else if (outcome == OUTCOME_GOOD) {
		breaker->state = WIRE_CIRCUIT_CLOSED;
		reset(breaker);
	}
}

static void break_answer(struct wire_request *request)
{
	struct wire_breaker *breaker = &request->connection->breaker;
	if (breaker->window > 0) {
		enum outcome outcome = judge(request);
		int64_t now_ms = wire_now_ms(request->wire);
		pthread_mutex_lock(&request->connection->lock);
		/* What was sent before the circuit changed says nothing about it now. */
		if (request->is_probe && breaker->state == WIRE_CIRCUIT_HALF_OPEN)
			settle_probe(breaker, outcome, now_ms);
		else if (breaker->state == WIRE_CIRCUIT_CLOSED && outcome != OUTCOME_NONE)
			count(breaker, outcome == OUTCOME_BAD, now_ms);
		pthread_mutex_unlock(&request->connection->lock);
	}
	wire_up(request);
}

const struct wire_stage wire_break_stage = { "break", break_send, break_answer, NULL, NULL };
