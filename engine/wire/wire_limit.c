/* SPDX-License-Identifier: MIT */
/*
 * Concurrency and rate of a connection: a count of requests in flight and a
 * token bucket.  Whoever does not get a place at once waits in one queue over all
 * runs and all worker loops.  Runs take turns in it: a run that asks for a hundred
 * things at once does not keep another waiting for more than one of them.  A place
 * that becomes free is granted to the head of the queue by whoever frees it; a wait
 * for the rate alone is watched by a timer of each wire that has requests waiting.
 * Every attempt passes here, so every attempt pays.
 */
#include "base/must.h"
#include "wire/wire_int.h"

enum { POLL_MS = 5 }; /* where the loop has no wake */

static void refill(struct wire_limit *limit, int64_t now_ns)
{
	if (limit->filled_ns != 0 && now_ns > limit->filled_ns)
		limit->tokens += (double)(now_ns - limit->filled_ns) * limit->rate_per_s / 1e9;
	if (limit->tokens > (double)limit->burst)
		limit->tokens = (double)limit->burst;
	limit->filled_ns = now_ns;
}

static bool take(struct wire_limit *limit, int64_t now_ns)
{
	if (limit->in_flight >= limit->concurrency)
		return false;
	if (limit->rate_per_s > 0) {
		refill(limit, now_ns);
		if (limit->tokens < 1 - 1e-9)
			return false;
		limit->tokens -= 1;
	}
	limit->in_flight++;
	return true;
}

/* Until the next token; -1 when the rate is not what is waited for. */
static int64_t wait_ms(struct wire_limit *limit, int64_t now_ns)
{
	if (limit->rate_per_s <= 0 || limit->in_flight >= limit->concurrency)
		return -1;
	refill(limit, now_ns);
	double ms = (1 - limit->tokens) * 1000 / limit->rate_per_s;
	return ms > 1 ? (int64_t)ms + 1 : 1;
}

/* --- whose turn it is; under lock ---------------------------------------------- */

/*
 * The n-th request that a run has waiting belongs to the n-th turn from now, so
 * those who came later but ask for less stand before the rest of it.
 */
static void enqueue(struct wire_limit *limit, struct wire_request *request)
{
	uint32_t *own = &limit->waiting_of[request->party % WIRE_PARTIES];
	request->turn = limit->turn + 1 + (request->party ? *own : 0);
	(*own)++;
	struct wire_request *after = limit->waiting.tail;
	while (after && after->turn > request->turn)
		after = after->wait_prev;
	wire_queue_insert(&limit->waiting, after, request);
}

static void forget(struct wire_limit *limit, const struct wire_request *request)
{
	uint32_t *own = &limit->waiting_of[request->party % WIRE_PARTIES];
	must(*own > 0);
	(*own)--;
}

/* Gives free places to the head of the queue; under lock. */
static void grant(struct wire_connection *connection, struct wire *own)
{
	struct wire_limit *limit = &connection->limit;
	int64_t now_ns = clock_monotonic_ns(&own->loop->clock);
	while (limit->waiting.head && take(limit, now_ns)) {
		struct wire_request *first = limit->waiting.head;
		limit->turn = first->turn;
		forget(limit, first);
		wire_grant(first, own);
	}
}

static void give_back(struct wire_connection *connection, struct wire *own)
{
	pthread_mutex_lock(&connection->lock);
	connection->limit.in_flight--;
	must(connection->limit.in_flight >= 0);
	grant(connection, own);
	pthread_mutex_unlock(&connection->lock);
}

/* --- the timer of a wire whose requests wait ---------------------------------- */

static struct wire_watched *watched_find(struct wire *wire, struct wire_connection *connection)
{
	for (size_t i = 0; i < wire->watched.len; i++)
		if (wire->watched.at[i].connection == connection)
			return &wire->watched.at[i];
	return NULL;
}

static void poll_over(void *arg)
{
	struct wire *wire = arg;
	wire->poll_timer = NULL;
	wire_limit_poll(wire);
	wire_turn(wire);
}

static void poll_arm(struct wire *wire, int64_t delay_ms)
{
	if (!wire->poll_timer)
		wire->poll_timer = wire->loop->ops->timer_start(wire->loop, delay_ms, poll_over,
		                                                wire);
}

void wire_limit_poll(struct wire *wire)
{
	int64_t delay_ms = -1;
	for (size_t i = 0; i < wire->watched.len; i++) {
		struct wire_connection *connection = wire->watched.at[i].connection;
		if (wire->watched.at[i].waiting == 0)
			continue;
		pthread_mutex_lock(&connection->lock);
		grant(connection, wire);
		int64_t more = connection->limit.waiting.head
		                       ? wait_ms(&connection->limit,
		                                 clock_monotonic_ns(&wire->loop->clock))
		                       : -1;
		pthread_mutex_unlock(&connection->lock);
		if (!wire->wake)
			more = POLL_MS;
		if (more >= 0 && (delay_ms < 0 || more < delay_ms))
			delay_ms = more;
	}
	if (delay_ms >= 0)
		poll_arm(wire, delay_ms);
}

void wire_limit_watch(struct wire_request *request)
{
	struct wire *wire = request->wire;
	struct wire_watched *watched = watched_find(wire, request->connection);
	if (!watched) {
		watched = vec_add(&wire->watched);
		watched->connection = request->connection;
	}
	watched->waiting++;
	wire_limit_poll(wire);
}

/* An entry nobody waits in goes, so that the connection may be freed. */
void wire_limit_unwatch(struct wire_request *request)
{
	struct wire *wire = request->wire;
	struct wire_watched *watched = watched_find(wire, request->connection);
	must(watched && watched->waiting > 0);
	if (--watched->waiting == 0)
		*watched = wire->watched.at[--wire->watched.len];
}

/* --- the stage ----------------------------------------------------------------- */

static void limit_send(struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	struct wire_limit *limit = &connection->limit;
	pthread_mutex_lock(&connection->lock);
	bool has_place = !limit->waiting.head &&
	                 take(limit, clock_monotonic_ns(&request->wire->loop->clock));
	bool is_full = !has_place && limit->waiting.len >= LIMIT_WAITING;
	if (!has_place && !is_full) {
		request->wait = WIRE_WAIT_QUEUED;
		enqueue(limit, request);
	}
	pthread_mutex_unlock(&connection->lock);
	if (has_place) {
		wire_down(request);
	} else if (is_full) {
		wire_answer(request, WIRE_REFUSED, 0,
		            "%d requests wait for connection '%s' already (LIMIT_WAITING)",
		            LIMIT_WAITING, connection->name);
	} else {
		wire_limit_watch(request);
		wire_wait_until(request, request->ends_ms);
	}
}

static void limit_answer(struct wire_request *request)
{
	give_back(request->connection, request->wire);
	wire_up(request);
}

static void limit_resume(struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	wire_timer_stop(request);
	wire_limit_unwatch(request);
	pthread_mutex_lock(&connection->lock);
	bool is_open = connection->breaker.window > 0 && !request->is_probe &&
	               wire_break_is_open(connection, wire_now_ms(request->wire));
	pthread_mutex_unlock(&connection->lock);
	if (!is_open) {
		wire_down(request);
		return;
	}
	give_back(connection, request->wire);
	wire_answer(request, WIRE_CIRCUIT_OPEN, 0,
	            "the circuit of connection '%s' opened while the request waited",
	            connection->name);
}

static bool limit_cancel(struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	if (wire_ungrant(request)) {
		give_back(connection, request->wire);
	} else {
		pthread_mutex_lock(&connection->lock);
		forget(&connection->limit, request);
		pthread_mutex_unlock(&connection->lock);
	}
	wire_limit_unwatch(request);
	return true;
}

const struct wire_stage wire_limit_stage = { "limit", limit_send, limit_answer, limit_resume,
	                                     limit_cancel };
