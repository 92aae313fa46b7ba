/* SPDX-License-Identifier: MIT */
/*
 * libmicrohttpd to struct exchange; nothing else sees the library.
 *
 * One request's way: the URI callback makes the exchange and keeps the target
 * as it came; the first call of the access handler checks the framing, finds
 * the route and who asks; later calls bring the body; the last one begins the
 * work.  An exchange that waits for the engine is suspended: its connection
 * sleeps in no thread, and the engine's reply wakes it.  A request whose framing
 * is in doubt is answered at once and its connection closed, so that what was
 * pipelined behind it never runs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/serve_int.h"

enum {
	MEMORY_PER_CONNECTION = 32 * 1024,
	SWALLOW_BYTES = 64 * 1024,
	SILENCE_S = 120,
	BACKLOG = 1024,
	STREAM_BLOCK = 2048
};

/* --- answering ------------------------------------------------------------------------------- */

static ssize_t read_stream(void *cls, uint64_t pos, char *ret, size_t max)
{
	struct exchange *x = cls;
	(void)pos;
	long got = stream_read(x->stream, x->mhd, ret, max);
	return got < 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)got;
}

static struct MHD_Response *make_response(struct exchange *x)
{
	if (x->stream)
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
		                                         read_stream, x, NULL);
	struct MHD_Response *ret = MHD_create_response_from_buffer(
		x->len, x->text ? x->text : "",
		x->text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (ret)
		x->text = NULL; /* it is the response's now */
	return ret;
}

static void put_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* A value that libmicrohttpd refuses is left out; the answer itself stands. */
	if (value)
		(void)MHD_add_response_header(response, name, value);
}

static enum MHD_Result give_answer(struct exchange *x)
{
	struct MHD_Response *response = make_response(x);
	char seconds[24];
	if (!response)
		mem_out();
	conn_enter(x->conn, x->stream ? CONN_ASKING : CONN_ANSWER, x->serve->config.body_seconds);
	put_header(response, "Content-Type", x->type ? x->type : "application/json");
	put_header(response, "Cache-Control", "no-store");
	put_header(response, "X-Content-Type-Options", "nosniff");
	put_header(response, "Location", x->location);
	put_header(response, "Allow", x->allow);
	if (*x->etag) {
		char quoted[sizeof(x->etag) + 2];
		snprintf(quoted, sizeof(quoted), "\"%s\"", x->etag);
		put_header(response, "ETag", quoted);
	}
	if (x->status == 401)
		put_header(response, "WWW-Authenticate", "Bearer realm=\"gangway\"");
	if (x->is_replayed)
		put_header(response, "Idempotent-Replayed", "true");
	if (x->retry_after > 0) {
		snprintf(seconds, sizeof(seconds), "%d", x->retry_after);
		put_header(response, "Retry-After", seconds);
	}
	if (x->must_close || atomic_load(&x->serve->is_draining))
		put_header(response, "Connection", "close");
	enum MHD_Result ok = MHD_queue_response(x->mhd, (unsigned int)x->status, response);
	MHD_destroy_response(response);
	return ok;
}

void http_suspend(struct MHD_Connection *mhd)
{
	MHD_suspend_connection(mhd);
}

void http_resume(struct MHD_Connection *mhd)
{
	MHD_resume_connection(mhd);
}

/* --- the first call -------------------------------------------------------------------------- */

static enum MHD_Result each_header(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
	(void)kind;
	frame_header(cls, name, value);
	return MHD_YES;
}

/* Answers now and closes: where this request ends is not known for certain. */
static enum MHD_Result refuse_framing(struct exchange *x)
{
	atomic_fetch_add(&x->serve->framing_faults, 1);
	x->must_close = true;
	exchange_problem(x, x->frame.status, "http.framing", x->frame.where, x->frame.fault, NULL);
	return give_answer(x);
}

static void find_route(struct exchange *x)
{
	struct buf allow;
	const char *method = strcmp(x->method, "HEAD") == 0 ? "GET" : x->method;
	x->route = route_find(method, x->target.segments, x->target.count, x->ids);
	if (x->route && x->listener->is_health && x->route->permission != MAY_ANYONE)
		x->route = NULL;
	if (x->route)
		return;
	buf_init(&allow, 256);
	route_methods(x->target.segments, x->target.count, &allow);
	if (allow.len > 0 && !x->listener->is_health) {
		x->allow = arena_dup(&x->arena, allow.bytes, allow.len);
		exchange_problem(x, 405, "http.method", "request line",
		                 "this path knows other methods", NULL);
	} else {
		exchange_problem(x, 404, "http.path", "request line", "there is nothing here",
		                 "GET /v1/openapi.json lists what there is");
	}
	buf_release(&allow);
}

static void check_body_size(struct exchange *x)
{
	size_t max = x->route->body_max;
	if (max > (size_t)x->serve->config.body_bytes)
		max = (size_t)x->serve->config.body_bytes;
	buf_init(&x->body, max);
	if (x->frame.length > 0 && (uint64_t)x->frame.length > max) {
		char text[80];
		snprintf(text, sizeof(text),
		         max > 0 ? "the body is longer than %zu bytes"
		                 : "no body is taken here (%zu bytes)",
		         max);
		x->must_close = true;
		exchange_problem(x, 413, "http.body", "body", text, NULL);
	}
}

static void find_client(struct exchange *x, struct MHD_Connection *mhd)
{
	static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *peer = info ? info->client_addr : NULL;
	unsigned char address[ADDRESS_BYTES] = { 0 };
	if (peer && peer->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)peer;
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + sizeof(mapped), &v4->sin_addr, sizeof(v4->sin_addr));
	} else if (peer && peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)peer;
		memcpy(address, &v6->sin6_addr, sizeof(address));
	}
	client_find(x, address);
}

static enum MHD_Result first_call(struct exchange *x, struct MHD_Connection *mhd,
                                  const char *method, const char *version)
{
	struct err err = { 0 };
	x->mhd = mhd;
	x->method = method;
	x->is_framed = true;
	frame_begin(&x->frame, version);
	MHD_get_connection_values(mhd, MHD_HEADER_KIND, each_header, &x->frame);
	frame_end(&x->frame);
	if (!x->frame.fault && target_read(x->raw, &x->arena, &x->target, &err) < 0) {
		x->frame.fault = arena_dup_str(&x->arena, err.text);
		x->frame.where = "request line";
		x->frame.status = 400;
	}
	if (x->frame.fault)
		return refuse_framing(x);
	conn_enter(x->conn, CONN_BODY, x->serve->config.body_seconds);
	find_client(x, mhd);
	find_route(x);
	if (x->route)
		(void)exchange_admit(x);
	if (x->route && atomic_load(&x->phase) != PHASE_ANSWERED)
		check_body_size(x);
	if (atomic_load(&x->phase) != PHASE_ANSWERED)
		return MHD_YES;
	/* A short body is read and thrown away, so that the client gets to see the answer. */
	if (x->frame.length == 0 || (x->frame.length > 0 && x->frame.length <= SWALLOW_BYTES)) {
		x->is_refused = true;
		return MHD_YES;
	}
	x->must_close = true;
	return give_answer(x);
}

/* --- the other calls ------------------------------------------------------------------------- */

static enum MHD_Result take_body(struct exchange *x, const char *bytes, size_t *len)
{
	struct err err = { 0 };
	if (!x->is_refused && buf_add(&x->body, bytes, *len, &err) < 0) {
		x->must_close = true;
		x->is_refused = true;
		exchange_problem(x, 413, "http.body", "body", "the body is too long", NULL);
	}
	*len = 0;
	return MHD_YES;
}

/* Sleeps until the engine answers, unless it has. */
static enum MHD_Result wait_for_engine(struct exchange *x)
{
	struct serve *serve = x->serve;
	int expected = PHASE_NEW;
	pthread_mutex_lock(&serve->lock);
	x->conn->exchange = x;
	pthread_mutex_unlock(&serve->lock);
	conn_enter(x->conn, CONN_ASKING,
	           x->wait_ms > 0 ? (x->wait_ms + 999) / 1000 : serve->config.wait_seconds);
	MHD_suspend_connection(x->mhd);
	if (!atomic_compare_exchange_strong(&x->phase, &expected, PHASE_SUSPENDED))
		MHD_resume_connection(x->mhd);
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *len, void **con_cls)
{
	struct exchange *x = *con_cls;
	(void)cls;
	(void)url;
	if (!x)
		return MHD_NO;
	if (!x->is_framed)
		return first_call(x, mhd, method, version);
	if (*len > 0)
		return take_body(x, bytes, len);
	if (atomic_load(&x->phase) == PHASE_NEW) {
		exchange_begin(x);
		if (atomic_load(&x->phase) == PHASE_NEW)
			return wait_for_engine(x);
	}
	return give_answer(x);
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct listener *listener = cls;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (!info || !info->socket_context)
		return NULL;
	struct exchange *x = mem_alloc(sizeof(*x));
	x->serve = listener->serve;
	x->listener = listener;
	x->conn = info->socket_context;
	x->raw = mem_dup_str(target ? target : "");
	x->began_ns = clock_monotonic_ns(&x->serve->options.clock);
	atomic_init(&x->refs, 1);
	atomic_flag_clear(&x->claimed);
	arena_init(&x->arena);
	atomic_fetch_add(&x->serve->under_way, 1);
	if (atomic_load(&x->conn->state) == CONN_IDLE)
		conn_enter(x->conn, CONN_HEADER, x->serve->config.header_seconds);
	return x;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *con_cls;
	(void)cls;
	(void)mhd;
	if (!x)
		return;
	*con_cls = NULL;
	struct serve *serve = x->serve;
	metrics_count(x);
	pthread_mutex_lock(&serve->lock);
	x->conn->exchange = NULL;
	pthread_mutex_unlock(&serve->lock);
	if (x->stream)
		stream_free(x->stream);
	x->stream = NULL;
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		conn_idle(x->conn);
	if (atomic_fetch_sub(&serve->under_way, 1) == 1) {
		pthread_mutex_lock(&serve->lock);
		pthread_cond_broadcast(&serve->changed);
		pthread_mutex_unlock(&serve->lock);
	}
	exchange_unref(x);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
	struct listener *listener = cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		*socket_context = conn_open(listener->serve, info ? info->connect_fd : -1);
	} else if (*socket_context) {
		conn_close(*socket_context);
		*socket_context = NULL;
	}
}

/* --- listening ------------------------------------------------------------------------------- */

static int bind_to(struct listener *listener, const char *address, int64_t port, struct err *err)
{
	char service[16];
	struct addrinfo *found = NULL;
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
		                        .ai_socktype = SOCK_STREAM,
		                        .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
	snprintf(service, sizeof(service), "%lld", (long long)port);
	if (getaddrinfo(address, service, &hints, &found) != 0) {
		err_set_id(err, ERR_INPUT, "serve.address", "'%.80s' is no address", address);
		return err_hint(err, "an IPv4 or IPv6 address of this machine, such as 127.0.0.1");
	}
	int one = 1;
	listener->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int status = 0;
	if (listener->fd < 0 ||
	    setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(listener->fd, found->ai_addr, found->ai_addrlen) < 0 ||
	    listen(listener->fd, BACKLOG) < 0) {
		err_set_id(err, ERR_SYSTEM, "serve.bind", "%s port %s: %s", address, service,
		           strerror(errno));
		status = err_hint(err, "choose another with --port, or 0 for any that is free");
	}
	freeaddrinfo(found);
	return status;
}

/* Health is asked from inside: orchestrators know no certificate. */
static bool is_tls(const struct listener *listener)
{
	return !listener->is_health && listener->serve->config.tls_key;
}

static void name_address(struct listener *listener, const char *address)
{
	struct sockaddr_storage bound = { 0 };
	socklen_t len = sizeof(bound);
	int port = 0;
	if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) == 0)
		port = bound.ss_family == AF_INET6
		               ? ntohs(((struct sockaddr_in6 *)&bound)->sin6_port)
		               : ntohs(((struct sockaddr_in *)&bound)->sin_port);
	listener->address = mem_format(bound.ss_family == AF_INET6 ? "%s://[%s]:%d" : "%s://%s:%d",
	                               is_tls(listener) ? "https" : "http", address, port);
}

static void log_quietly(void *cls, const char *format, va_list args)
{
	/* What a client did wrong is no news; what matters is counted. */
	(void)cls;
	(void)format;
	(void)args;
}

int http_start(struct listener *listener, const char *address, int64_t port, struct err *err)
{
	const struct serve_config *config = &listener->serve->config;
	unsigned int threads = listener->is_health ? 1 : (unsigned int)config->threads;
	unsigned int connections = listener->is_health ? 64 : (unsigned int)config->connections;
	listener->fd = -1;
	if (bind_to(listener, address, port, err) < 0) {
		if (listener->fd >= 0)
			close(listener->fd);
		listener->fd = -1;
		return err->code;
	}
	name_address(listener, address);
	struct MHD_OptionItem more[] = {
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, config->tls_key },
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, config->tls_certificate },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		  (void *)(uintptr_t) "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
		{ MHD_OPTION_END, 0, NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem *rest = is_tls(listener) ? more : more + 3;
	if (threads > 1)
		more[3] = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads,
			                           NULL };
	listener->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			(is_tls(listener) ? (unsigned int)MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER, log_quietly, NULL,
		MHD_OPTION_LISTEN_SOCKET, listener->fd, MHD_OPTION_CONNECTION_LIMIT, connections,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		(unsigned int)(listener->is_health ? 0 : config->per_address),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_PER_CONNECTION,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)SILENCE_S,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, listener,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, listener, MHD_OPTION_ARRAY, rest, MHD_OPTION_END);
	if (!listener->daemon) {
		close(listener->fd);
		listener->fd = -1;
		return err_set_id(
			err, ERR_SYSTEM, "serve.start", "the HTTP server cannot start: %s",
			is_tls(listener) ? "are certificate and key a pair?" : strerror(errno));
	}
	return 0;
}

void http_quiesce(struct listener *listener)
{
	/* From here on the listening socket is ours again. */
	if (listener->daemon && listener->fd >= 0) {
		(void)MHD_quiesce_daemon(listener->daemon);
		close(listener->fd);
		listener->fd = -1;
	}
}

void http_stop(struct listener *listener)
{
	if (listener->daemon)
		MHD_stop_daemon(listener->daemon);
	listener->daemon = NULL;
	free(listener->address);
	listener->address = NULL;
}
