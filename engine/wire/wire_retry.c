/* SPDX-License-Identifier: MIT */
/*
 * Repeating by effect class (DESIGN 4):
 *   READ, KEYED  after anything transient; KEYED goes out with the same key
 *   ONCE         only where the other side surely did nothing: no byte left, it
 *                said 429, the plugin says so, or (mail) it refused for now
 * The pause doubles from min to max with jitter; what the other side asks for is
 * never undercut; a pause that would pass the total deadline is not begun.  A refused token is
 * dropped and fetched once, and the request repeated once.  Every attempt is in
 * the log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wire_int.h"

static void retry_send(struct wire_request *request)
{
	struct wire *wire = request->wire;
	request->attempt_ms = wire_now_ms(wire);
	request->attempt_wall_ms = clock_wall_ms(&wire->loop->clock);
	request->was_dispatched = false;
	request->is_permanent = false;
	request->verdict = WIRE_VERDICT_DEFAULT;
	request->reply.may_have_left = false;
	wire_trace_begin(request);
	wire_down(request);
}

static void log_attempt(struct wire_request *request)
{
	json_t *entry = json_object();
	int64_t took_ms = wire_now_ms(request->wire) - request->attempt_ms;
	json_put_int(entry, "at_ms", request->attempt_wall_ms);
	json_put_int(entry, "code", request->reply.code);
	json_put_str(entry, "status", wire_status_name(request->reply.status));
	json_put_int(entry, "took_ms", took_ms);
	json_push(request->log, entry);
	request->reply.attempts += request->was_dispatched ? 1 : 0;
	wire_trace_end(request);
}

/* What a reply's meaning makes of its status. */
static void judge(struct wire_request *request)
{
	struct wire_reply *reply = &request->reply;
	if (!request->was_dispatched || reply->code == 0 || request->envelope ||
	    (reply->status != WIRE_OK && reply->status != WIRE_STATUS))
		return;
	if (request->classify)
		request->verdict = request->classify(request->arg, reply);
	bool is_ok = request->verdict == WIRE_VERDICT_OK ||
	             (request->verdict == WIRE_VERDICT_DEFAULT && reply->status == WIRE_OK);
	reply->status = is_ok ? WIRE_OK : WIRE_STATUS;
	if (!is_ok && reply->text[0] == '\0')
		snprintf(reply->text, sizeof(reply->text),
		         "the answer of connection '%s' (HTTP %d) says that it failed",
		         request->connection->name, reply->code);
}

static bool is_transient_code(const struct wire_request *request)
{
	int code = request->reply.code;
	if (request->envelope)
		return code >= 400 && code < 500;
	return code == 408 || code == 425 || code == 429 || code == 500 || code == 502 ||
	       code == 503 || code == 504;
}

static bool is_transient(const struct wire_request *request)
{
	if (request->is_permanent)
		return false;
	switch (request->reply.status) {
	case WIRE_NETWORK:
	case WIRE_TIMEOUT: return true;
	case WIRE_OK:
		/* Some recipients were accepted, others refused for now. */
		return request->envelope && is_transient_code(request);
	case WIRE_STATUS:
		if (request->verdict == WIRE_VERDICT_DEFAULT)
			return is_transient_code(request);
		return request->verdict == WIRE_VERDICT_RETRY;
	case WIRE_CIRCUIT_OPEN:
	case WIRE_AUTH:
	case WIRE_REFUSED:
	case WIRE_TOO_LARGE:
	case WIRE_CANCELLED: return false;
	}
	return false;
}

/* May it be sent again as far as the other side is concerned? */
static bool is_repeatable(const struct wire_request *request)
{
	const struct wire_reply *reply = &request->reply;
	if (request->effect != WIRE_ONCE)
		return true;
	if (reply->code == 0)
		return !reply->may_have_left;
	return reply->code == 429 || request->verdict == WIRE_VERDICT_RETRY ||
	       request->envelope != NULL;
}

static int64_t backoff_ms(struct wire_request *request)
{
	int64_t pause_ms = request->backoff_min_ms;
	for (int32_t i = 0; i < request->repeats && pause_ms < request->backoff_max_ms; i++)
		pause_ms *= 2;
	if (pause_ms > request->backoff_max_ms)
		pause_ms = request->backoff_max_ms;
	/* Up to a quarter less, so that those who failed together do not come back together. */
	return pause_ms -
	       (int64_t)rand_below(&request->wire->loop->rand, (uint64_t)(pause_ms / 4 + 1));
}

/*
 * How long the other side asks to wait, in whichever way it says so; -1: it does
 * not.  retry-after-ms is OpenAI's.  X-RateLimit-Reset is DocuSign's, the time at
 * which the hour begins anew, which is the answer only when nothing is left of it.
 */
static int64_t asked_ms(const struct wire_request *request)
{
	enum { EXACT_MS_MAX = 60000 };
	const struct wire_reply *reply = &request->reply;
	int64_t wall_ms = clock_wall_ms(&request->wire->loop->clock);
	const char *exact = wire_reply_header(reply, "retry-after-ms");
	const char *after = wire_reply_header(reply, "Retry-After");
	const char *reset = wire_reply_header(reply, "X-RateLimit-Reset");
	const char *left = wire_reply_header(reply, "X-RateLimit-Remaining");
	char *end = NULL;
	double ms = exact ? strtod(exact, &end) : -1;
	if (exact && end != exact && ms >= 0 && ms <= EXACT_MS_MAX)
		return (int64_t)ms;
	if (after)
		return wire_retry_after_ms(after, wall_ms);
	if (!reset || (left && strcmp(left, "0") != 0))
		return -1;
	/* Seconds since 1970, or a date; a small number would be something else. */
	int64_t at_ms = wire_retry_after_ms(reset, 0);
	return at_ms > INT64_C(1000000000000) ? (at_ms > wall_ms ? at_ms - wall_ms : 0) : -1;
}

/* Until the next attempt; -1: there is none. */
static int64_t next_pause_ms(struct wire_request *request)
{
	struct wire_reply *reply = &request->reply;
	bool is_refused = request->verdict == WIRE_VERDICT_REAUTH ||
	                  (request->verdict == WIRE_VERDICT_DEFAULT && reply->code == 401 &&
	                   reply->status == WIRE_STATUS && request->was_dispatched &&
	                   !request->envelope);
	if (request->is_cancelled)
		return -1;
	if (is_refused && !request->has_reauthed && wire_token_drop(request)) {
		request->has_reauthed = true;
		return 0;
	}
	if (is_refused || !is_transient(request) || !is_repeatable(request) ||
	    request->repeats >= request->retries)
		return -1;
	int64_t pause_ms = backoff_ms(request);
	int64_t least_ms = asked_ms(request);
	if (least_ms > pause_ms)
		pause_ms = least_ms;
	if (pause_ms >= wire_left_ms(request)) {
		size_t len = strnlen(reply->text, sizeof(reply->text));
		snprintf(reply->text + len, sizeof(reply->text) - len,
		         "; no time left for another attempt");
		return -1;
	}
	request->repeats++;
	return pause_ms;
}

static void pause_over(void *arg)
{
	struct wire_request *request = arg;
	request->timer = NULL;
	retry_send(request);
	wire_turn(request->wire);
}

static void retry_answer(struct wire_request *request)
{
	judge(request);
	log_attempt(request);
	int64_t pause_ms = next_pause_ms(request);
	if (pause_ms < 0) {
		/* An answer in the end tells what became of the attempts before it. */
		if (request->has_left_before && request->reply.status != WIRE_OK)
			request->reply.may_have_left = true;
		if (request->envelope)
			wire_mail_settle(request);
		wire_up(request);
		return;
	}
	request->has_left_before = request->has_left_before || request->reply.may_have_left;
	wire_slot_release(request);
	if (pause_ms == 0)
		retry_send(request);
	else
		request->timer = request->wire->loop->ops->timer_start(
			request->wire->loop, pause_ms, pause_over, request);
}

/* Cancelled during the pause: the attempts before may have left their mark. */
static bool retry_cancel(struct wire_request *request)
{
	wire_timer_stop(request);
	request->reply.may_have_left = request->has_left_before;
	if (request->envelope)
		wire_mail_settle(request);
	return true;
}

const struct wire_stage wire_retry_stage = { "retry", retry_send, retry_answer, NULL,
	                                     retry_cancel };
