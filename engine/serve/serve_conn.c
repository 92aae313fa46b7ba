/* SPDX-License-Identifier: MIT */
/*
 * Connections and their deadlines.  libmicrohttpd's own time-out is about
 * silence only; a client that drips a byte every other second would stay for
 * ever.  So each connection has an absolute deadline for what it is doing, and
 * one thread looks once a second at those there are.  With no connection it
 * sleeps.
 *
 * A connection between two requests cannot show us the first bytes of the next
 * header; the kernel's count of received bytes can.
 */
#include <errno.h>
#include <linux/tcp.h> /* glibc's own stops before tcpi_bytes_received */
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include "serve/serve_int.h"

enum { SWEEP_MS = 1000, EXPIRED_MAX = 64 };

static uint64_t bytes_received(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	return info.tcpi_bytes_received;
}

struct conn *conn_open(struct serve *serve, int fd)
{
	struct conn *conn = mem_alloc(sizeof(*conn));
	conn->serve = serve;
	conn->fd = fd;
	conn_enter(conn, CONN_HEADER, serve->config.header_seconds);
	pthread_mutex_lock(&serve->lock);
	conn->next = serve->conns;
	if (conn->next)
		conn->next->prev = conn;
	serve->conns = conn;
	if (serve->conn_count++ == 0)
		pthread_cond_broadcast(&serve->changed);
	pthread_mutex_unlock(&serve->lock);
	return conn;
}

void conn_close(struct conn *conn)
{
	struct serve *serve = conn->serve;
	pthread_mutex_lock(&serve->lock);
	if (conn->prev)
		conn->prev->next = conn->next;
	else
		serve->conns = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	serve->conn_count--;
	pthread_mutex_unlock(&serve->lock);
	free(conn);
}

void conn_enter(struct conn *conn, enum conn_state state, int64_t seconds)
{
	atomic_store_explicit(&conn->deadline_ms, serve_ms(conn->serve) + seconds * 1000,
	                      memory_order_relaxed);
	atomic_store_explicit(&conn->state, (int)state, memory_order_release);
}

void conn_idle(struct conn *conn)
{
	const struct serve_config *config = &conn->serve->config;
	conn->idle_until_ms = serve_ms(conn->serve) + config->idle_seconds * 1000;
	conn->bytes_seen = 0; /* looked up when it is first needed */
	conn_enter(conn, CONN_IDLE, config->header_seconds);
}

/* The deadline of a connection that seemed idle: a dripping header, or really idle? */
static void look_at_idle(struct conn *conn, int64_t now)
{
	uint64_t bytes = bytes_received(conn->fd);
	bool is_first_look = conn->bytes_seen == 0;
	if (!is_first_look && bytes != conn->bytes_seen)
		conn_enter(conn, CONN_HEADER, conn->serve->config.header_seconds);
	else if (now >= conn->idle_until_ms)
		shutdown(conn->fd, SHUT_RDWR);
	else
		atomic_store(&conn->deadline_ms, now + SWEEP_MS);
	conn->bytes_seen = bytes;
}

static void look_at(struct conn *conn, int64_t now, struct exchange **expired, size_t *count)
{
	if (now < atomic_load_explicit(&conn->deadline_ms, memory_order_relaxed))
		return;
	switch ((enum conn_state)atomic_load_explicit(&conn->state, memory_order_acquire)) {
	case CONN_IDLE: look_at_idle(conn, now); return;
	case CONN_HEADER:
	case CONN_BODY:
	case CONN_ANSWER:
		atomic_fetch_add(&conn->serve->timeouts, 1);
		shutdown(conn->fd,
		         SHUT_RDWR); /* its thread sees the end of the stream and cleans up */
		return;
	case CONN_ASKING:
		if (!conn->exchange || *count == EXPIRED_MAX)
			return;
		exchange_ref(conn->exchange);
		expired[(*count)++] = conn->exchange;
		atomic_store(&conn->deadline_ms, now + conn->serve->config.wait_seconds * 1000);
		return;
	}
}

static void sleep_a_turn(struct serve *serve)
{
	if (serve->conn_count == 0) {
		pthread_cond_wait(&serve->changed, &serve->lock);
		return;
	}
	struct timespec until = clock_deadline(SWEEP_MS);
	pthread_cond_timedwait(&serve->changed, &serve->lock, &until);
}

static void *sweep(void *arg)
{
	struct serve *serve = arg;
	pthread_mutex_lock(&serve->lock);
	while (!serve->is_stopping) {
		struct exchange *expired[EXPIRED_MAX];
		size_t count = 0;
		int64_t now = serve_ms(serve);
		for (struct conn *conn = serve->conns; conn; conn = conn->next)
			look_at(conn, now, expired, &count);
		pthread_mutex_unlock(&serve->lock);
		for (size_t i = 0; i < count; i++) {
			exchange_expire(expired[i]);
			exchange_unref(expired[i]);
		}
		streams_beat(serve, now);
		pthread_mutex_lock(&serve->lock);
		if (!serve->is_stopping && count < EXPIRED_MAX)
			sleep_a_turn(serve);
	}
	pthread_mutex_unlock(&serve->lock);
	return NULL;
}

int sweep_start(struct serve *serve)
{
	int status = pthread_create(&serve->sweeper, NULL, sweep, serve);
	serve->has_sweeper = status == 0;
	return status;
}

void sweep_stop(struct serve *serve)
{
	if (!serve->has_sweeper)
		return;
	pthread_mutex_lock(&serve->lock);
	serve->is_stopping = true;
	pthread_cond_broadcast(&serve->changed);
	pthread_mutex_unlock(&serve->lock);
	pthread_join(serve->sweeper, NULL);
	serve->has_sweeper = false;
}
