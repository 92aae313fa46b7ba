/* SPDX-License-Identifier: MIT */
/*
 * The life of a request: begun by wire_send, walked down and up the chain of
 * stages, finished exactly once, delivered from wire_turn.  See wire_int.h for
 * the rules of the chain and of the locks.
 */
#include "wire/wire.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"
#include "wire/wire_int.h"

static const struct wire_stage *const full_chain[] = {
	&wire_tape_stage,  &wire_trace_stage, &wire_retry_stage, &wire_break_stage,
	&wire_limit_stage, &wire_auth_stage,  &wire_curl_stage,  NULL,
};
static const struct wire_stage *const far_chain[] = {
	&wire_tape_stage,  &wire_trace_stage, &wire_retry_stage, &wire_break_stage,
	&wire_limit_stage, &wire_auth_stage,  &wire_far_stage,   NULL,
};

const char *wire_status_name(enum wire_status status)
{
	switch (status) {
	case WIRE_OK: return "ok";
	case WIRE_STATUS: return "status";
	case WIRE_TIMEOUT: return "timeout";
	case WIRE_NETWORK: return "network";
	case WIRE_CIRCUIT_OPEN: return "circuit_open";
	case WIRE_AUTH: return "auth";
	case WIRE_REFUSED: return "refused";
	case WIRE_TOO_LARGE: return "too_large";
	case WIRE_CANCELLED: return "cancelled";
	}
	return "network";
}

int64_t wire_now_ms(const struct wire *wire)
{
	return clock_monotonic_ms(&wire->loop->clock);
}

int64_t wire_left_ms(const struct wire_request *request)
{
	int64_t left_ms = request->ends_ms - wire_now_ms(request->wire);
	return left_ms > 0 ? left_ms : 0;
}

/* --- queues --------------------------------------------------------------------- */

void wire_queue_insert(struct wire_queue *queue, struct wire_request *after,
                       struct wire_request *request)
{
	must(request->queue == NULL);
	request->queue = queue;
	request->wait_prev = after;
	request->wait_next = after ? after->wait_next : queue->head;
	if (request->wait_next)
		request->wait_next->wait_prev = request;
	else
		queue->tail = request;
	if (after)
		after->wait_next = request;
	else
		queue->head = request;
	queue->len++;
}

void wire_queue_push(struct wire_queue *queue, struct wire_request *request)
{
	wire_queue_insert(queue, queue->tail, request);
}

void wire_queue_remove(struct wire_queue *queue, struct wire_request *request)
{
	must(request->queue == queue);
	if (request->wait_prev)
		request->wait_prev->wait_next = request->wait_next;
	else
		queue->head = request->wait_next;
	if (request->wait_next)
		request->wait_next->wait_prev = request->wait_prev;
	else
		queue->tail = request->wait_prev;
	request->wait_prev = request->wait_next = NULL;
	request->queue = NULL;
	queue->len--;
}

void wire_grant(struct wire_request *request, const struct wire *own)
{
	struct wire *wire = request->wire;
	wire_queue_remove(request->queue, request);
	pthread_mutex_lock(&wire->inbox_lock);
	request->wait = WIRE_WAIT_GRANTED;
	wire_queue_push(&wire->inbox, request);
	/* Under the lock: a wire that is being freed takes it before it frees its wake. */
	if (wire->wake && wire != own)
		wire->loop->ops->wake_send(wire->wake);
	pthread_mutex_unlock(&wire->inbox_lock);
}

bool wire_ungrant(struct wire_request *request)
{
	struct wire *wire = request->wire;
	wire_timer_stop(request);
	pthread_mutex_lock(&request->connection->lock);
	bool was_granted = request->wait == WIRE_WAIT_GRANTED;
	if (was_granted) {
		pthread_mutex_lock(&wire->inbox_lock);
		wire_queue_remove(&wire->inbox, request);
		pthread_mutex_unlock(&wire->inbox_lock);
	} else if (request->wait == WIRE_WAIT_QUEUED) {
		wire_queue_remove(request->queue, request);
	}
	request->wait = WIRE_WAIT_NONE;
	pthread_mutex_unlock(&request->connection->lock);
	return was_granted;
}

/* --- the chain -------------------------------------------------------------------- */

static void kick_over(void *arg)
{
	struct wire *wire = arg;
	wire->kick_timer = NULL;
	wire_turn(wire);
}

/* Makes sure that wire_turn runs soon. */
static void kick(struct wire *wire)
{
	if (!wire->in_turn && !wire->kick_timer)
		wire->kick_timer = wire->loop->ops->timer_start(wire->loop, 0, kick_over, wire);
}

static void finish(struct wire_request *request)
{
	struct wire *wire = request->wire;
	must(!request->is_finished);
	request->is_finished = true;
	wire_timer_stop(request);
	if (wire->done_tail)
		wire->done_tail->next_done = request;
	else
		wire->done_head = request;
	wire->done_tail = request;
	kick(wire);
}

void wire_down(struct wire_request *request)
{
	request->at++;
	request->chain[request->at]->send(request);
}

void wire_up(struct wire_request *request)
{
	request->at--;
	if (request->at >= 0)
		request->chain[request->at]->answer(request);
	else
		finish(request);
}

static void reply_set_va(struct wire_request *request, enum wire_status status, int code,
                         const char *format, va_list args) ATTR_PRINTF(4, 0);

static void reply_set_va(struct wire_request *request, enum wire_status status, int code,
                         const char *format, va_list args)
{
	request->reply.status = status;
	request->reply.code = code;
	vsnprintf(request->reply.text, sizeof(request->reply.text), format, args);
}

void wire_reply_set(struct wire_request *request, enum wire_status status, int code,
                    const char *format, ...)
{
	va_list args;
	va_start(args, format);
	reply_set_va(request, status, code, format, args);
	va_end(args);
}

void wire_answer(struct wire_request *request, enum wire_status status, int code,
                 const char *format, ...)
{
	va_list args;
	va_start(args, format);
	reply_set_va(request, status, code, format, args);
	va_end(args);
	wire_up(request);
}

/* --- waiting ------------------------------------------------------------------------ */

void wire_timer_stop(struct wire_request *request)
{
	if (request->timer)
		request->wire->loop->ops->timer_stop(request->wire->loop, request->timer);
	request->timer = NULL;
}

static void wait_over(void *arg)
{
	struct wire_request *request = arg;
	struct wire *wire = request->wire;
	const struct wire_stage *stage = request->chain[request->at];
	request->timer = NULL;
	must(stage->cancel(request));
	wire_answer(request, WIRE_TIMEOUT, 0, "no time left while waiting for connection '%s' (%s)",
	            request->connection->name, stage->name);
	wire_turn(wire);
}

void wire_wait_until(struct wire_request *request, int64_t monotonic_ms)
{
	struct loop *loop = request->wire->loop;
	int64_t delay_ms = monotonic_ms - wire_now_ms(request->wire);
	must(!request->timer);
	request->timer = loop->ops->timer_start(loop, delay_ms > 0 ? delay_ms : 0, wait_over,
	                                        request);
}

/* --- delivery ------------------------------------------------------------------------ */

static void deliver(struct wire_request *request)
{
	struct wire *wire = request->wire;
	struct wire_reply *reply = &request->reply;
	if (request->prev)
		request->prev->next = request->next;
	else
		wire->requests = request->next;
	if (request->next)
		request->next->prev = request->prev;
	reply->took_ms = wire_now_ms(wire) - request->sent_ms;
	reply->log = request->log;
	if (!reply->body.ptr)
		reply->body = STR_LIT("");
	request->done(request->arg, reply);
	wire_request_free(request);
}

static bool resume_next(struct wire *wire)
{
	pthread_mutex_lock(&wire->inbox_lock);
	struct wire_request *request = wire->inbox.head;
	if (request) {
		wire_queue_remove(&wire->inbox, request);
		request->wait = WIRE_WAIT_NONE;
	}
	pthread_mutex_unlock(&wire->inbox_lock);
	if (request)
		request->chain[request->at]->resume(request);
	return request != NULL;
}

/*
 * Resumes what was granted and delivers what is finished.  Only what is there
 * now: callbacks may send again, and that must not keep the loop here.
 */
void wire_turn(struct wire *wire)
{
	if (wire->in_turn)
		return;
	wire->in_turn = true;
	for (int i = 0; i < LIMIT_WAITING && resume_next(wire); i++)
		;
	struct wire_request *request = wire->done_head;
	wire->done_head = wire->done_tail = NULL;
	while (request) {
		struct wire_request *next = request->next_done;
		deliver(request);
		request = next;
	}
	wire->in_turn = false;
	pthread_mutex_lock(&wire->inbox_lock);
	bool has_more = wire->done_head || wire->inbox.head;
	pthread_mutex_unlock(&wire->inbox_lock);
	if (has_more)
		kick(wire);
}

/* --- public ---------------------------------------------------------------------------- */

static void woken(void *arg)
{
	wire_turn(arg);
}

struct wire *wire_new(const struct wire_options *options)
{
	struct wire *wire = mem_alloc(sizeof(*wire));
	wire->loop = options->loop;
	wire->tape = options->tape;
	wire->trace = options->trace;
	wire->trace_ctx = options->trace_ctx;
	pthread_mutex_init(&wire->inbox_lock, NULL);
	if (wire->loop->ops->wake_new)
		wire->wake = wire->loop->ops->wake_new(wire->loop, woken, wire);
	wire->far = options->far;
	if (!wire->far)
		wire->curl = wire_curl_new(wire);
	return wire;
}

void wire_free(struct wire *wire)
{
	if (!wire)
		return;
	wire->is_closing = true;
	if (wire->curl)
		wire_smtp_stop(wire->curl);
	while (wire->requests) {
		for (struct wire_request *request = wire->requests; request;
		     request = request->next)
			wire_cancel(request);
		wire_turn(wire);
	}
	if (wire->kick_timer)
		wire->loop->ops->timer_stop(wire->loop, wire->kick_timer);
	if (wire->poll_timer)
		wire->loop->ops->timer_stop(wire->loop, wire->poll_timer);
	pthread_mutex_lock(&wire->inbox_lock);
	if (wire->wake)
		wire->loop->ops->wake_free(wire->wake);
	pthread_mutex_unlock(&wire->inbox_lock);
	if (wire->curl)
		wire_curl_free(wire->curl);
	vec_release(&wire->watched);
	pthread_mutex_destroy(&wire->inbox_lock);
	free(wire);
}

static void enlist(struct wire_request *request)
{
	struct wire *wire = request->wire;
	request->next = wire->requests;
	if (request->next)
		request->next->prev = request;
	wire->requests = request;
}

struct wire_request *wire_start(struct wire *wire, const struct wire_send_options *options,
                                const struct wire_stage *const *chain, const char *base)
{
	struct err err = { 0 };
	struct wire_request *request = wire_request_new(wire, options, base, &err);
	request->chain = chain;
	request->at = -1;
	enlist(request);
	if (err.code < 0)
		wire_reply_set(request, WIRE_REFUSED, 0, "%.250s", err.text);
	return request;
}

struct wire_request *wire_send(struct wire *wire, const struct wire_send_options *options)
{
	struct wire_request *request = wire_start(wire, options, wire->far ? far_chain : full_chain,
	                                          options->connection->url.base);
	if (wire->is_closing)
		wire_reply_set(request, WIRE_CANCELLED, 0, "the engine is stopping");
	if (request->reply.status != WIRE_OK)
		finish(request); /* refused before any stage saw it */
	else
		wire_down(request);
	return request;
}

void wire_cancel(struct wire_request *request)
{
	if (request->is_finished || request->is_cancelled)
		return;
	request->is_cancelled = true;
	if (request->chain[request->at]->cancel(request))
		wire_answer(request, WIRE_CANCELLED, 0, "cancelled");
}
