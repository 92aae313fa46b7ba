/* SPDX-License-Identifier: MIT */
/*
 * One HTTP listener: collects a request, has it answered, sends the answer, or
 * spoils it as the fault says.  A thread per connection, because some faults
 * are nothing but waiting.  The target is taken as the client wrote it
 * (MHD_OPTION_URI_LOG_CALLBACK): a signature covers those bytes.
 */
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/must.h"
#include "sandbox/sandbox.h"

struct exchange {
	struct request request;
	struct buf body;
	bool has_begun, is_too_large;
};

static void *on_target(void *ctx, const char *target, struct MHD_Connection *connection)
{
	(void)ctx;
	(void)connection;
	struct exchange *exchange = mem_alloc(sizeof(*exchange));
	exchange->request.target = mem_dup_str(target);
	buf_init(&exchange->body, MAX_BODY_BYTES);
	return exchange;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
	(void)ctx;
	(void)connection;
	(void)code;
	struct exchange *exchange = *con_cls;
	if (!exchange)
		return;
	request_release(&exchange->request);
	buf_release(&exchange->body);
	free(exchange);
	*con_cls = NULL;
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
	(void)kind;
	struct request *request = ctx;
	pairs_add(&request->headers, str_of(name), str_of(value ? value : ""));
	return MHD_YES;
}

/* As it came, and decoded: a Composite request has URLs in its body. */
static void put_body(const struct request *request, struct buf *text)
{
	struct buf decoded;
	buf_init(&decoded, MAX_BODY_BYTES);
	buf_put_len(text, request->body.ptr, request->body.len);
	if (request->json && url_decode(request->body, false, &decoded))
		buf_put_len(text, decoded.bytes, decoded.len);
	buf_release(&decoded);
}

/* The account's own faults come from its file, so the request's account is looked up first. */
static void find_account(struct sandbox *box, struct request *request)
{
	struct buf text;
	buf_init(&text, MAX_BODY_BYTES * 3);
	buf_put(&text, request->path);
	buf_put(&text, " ");
	for (size_t i = 0; i < request->query.len; i++) {
		buf_put(&text, request->query.at[i].value);
		buf_put(&text, " ");
	}
	struct pairs form;
	if (request_form(request, &form))
		for (size_t i = 0; i < form.len; i++)
			buf_printf(&text, "%s ", form.at[i].value);
	else
		put_body(request, &text);
	pairs_release(&form);
	const struct scenario *scenario = scenario_mentioned(box, buf_str(&text));
	if (scenario)
		request_account_set(request, scenario->account_id);
	buf_release(&text);
}

static void serve_system(struct sandbox *box, struct request *request, struct reply *reply,
                         struct fault *ret_fault)
{
	const struct system_ops *ops = system_ops(request->system);
	scenario_refresh(box);
	find_account(box, request);
	*ret_fault = fault_next(box, request->system, request->target,
	                        request->account ? scenario_find(box, request->account) : NULL);
	int status = 0;
	if (ret_fault->kind == FAULT_STATUS)
		ops->refuse(box, request, ret_fault->status, reply);
	else if (ret_fault->kind != FAULT_TIMEOUT)
		ops->serve(box, request, reply);
	if (ret_fault->kind == FAULT_GARBAGE)
		reply_text(reply, 200, "text/html",
		           "<html><body><h1>Scheduled maintenance</h1></body></html>");
	if (ret_fault->kind != FAULT_TIMEOUT && ret_fault->kind != FAULT_LOST)
		status = reply->status;
	log_request(box, request, status, ret_fault->name);
}

/* Under the lock: decide, answer, log. */
static void serve(struct sandbox *box, struct exchange *exchange, struct reply *reply,
                  struct fault *ret_fault)
{
	struct request *request = &exchange->request;
	request->body = buf_str(&exchange->body);
	struct err ignored = { 0 };
	if (request->body.len > 0 && strchr("{[", request->body.ptr[0]) &&
	    json_read(request->body, MAX_BODY_BYTES, &request->json, &ignored) < 0)
		request->json = NULL;
	pthread_mutex_lock(&box->lock);
	request->now_ms = clock_wall_ms(&box->clock);
	if (!request_split(request))
		reply_text(reply, 400, "text/plain", "Bad Request: the target cannot be decoded\n");
	else if (exchange->is_too_large)
		reply_text(reply, 413, "text/plain", "Payload Too Large\n");
	else if (str_begins(request->path, "/_sandbox/"))
		control_serve(box, request, reply);
	else if (request->system == SYSTEM_CONTROL)
		control_serve(box, request, reply);
	else
		serve_system(box, request, reply, ret_fault);
	pthread_mutex_unlock(&box->lock);
}

/* --- sending ------------------------------------------------------------------ */

struct half {
	struct buf body;
	uint64_t stop;
};

static ssize_t half_read(void *ctx, uint64_t position, char *out, size_t max)
{
	struct half *half = ctx;
	if (position >= half->stop)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t left = (size_t)(half->stop - position);
	size_t len = left < max ? left : max;
	memcpy(out, half->body.bytes + position, len);
	return (ssize_t)len;
}

static void half_free(void *ctx)
{
	struct half *half = ctx;
	buf_release(&half->body);
	free(half);
}

/* Takes the reply's body. */
static struct MHD_Response *response_new(struct reply *reply, bool is_half)
{
	size_t len = reply->body.len;
	if (!is_half || len < 2)
		return MHD_create_response_from_buffer(len, buf_take(&reply->body),
		                                       MHD_RESPMEM_MUST_FREE);
	struct half *half = mem_alloc(sizeof(*half));
	half->body = reply->body;
	half->stop = len / 2;
	buf_init(&reply->body, MAX_REPLY_BYTES);
	return MHD_create_response_from_callback(len, 4096, half_read, half, half_free);
}

static enum MHD_Result send_reply(struct MHD_Connection *connection, struct reply *reply,
                                  const struct fault *fault)
{
	const char *content_type = reply->body.len > 0 ? reply->content_type : NULL;
	struct MHD_Response *response = response_new(reply, fault->kind == FAULT_HALF);
	must(response);
	if (content_type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	for (size_t i = 0; i < reply->headers.len; i++)
		MHD_add_response_header(response, reply->headers.at[i].name,
		                        reply->headers.at[i].value);
	enum MHD_Result sent = MHD_queue_response(connection, (unsigned int)reply->status,
	                                          response);
	MHD_destroy_response(response);
	return sent;
}

static enum MHD_Result on_complete(struct listener *listener, struct MHD_Connection *connection,
                                   struct exchange *exchange)
{
	struct sandbox *box = listener->box;
	struct fault fault = { .kind = FAULT_NONE };
	struct reply reply;
	reply_init(&reply);
	serve(box, exchange, &reply, &fault);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int fd = info ? info->connect_fd : -1;
	if (fault.kind == FAULT_TIMEOUT || fault.kind == FAULT_SLOW)
		sandbox_wait(box, fd, fault.delay_ms);
	enum MHD_Result result = MHD_NO; /* closes without a reply */
	if (fault.kind != FAULT_TIMEOUT && fault.kind != FAULT_LOST)
		result = send_reply(connection, &reply, &fault);
	reply_release(&reply);
	return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *len, void **con_cls)
{
	(void)url;
	(void)version;
	struct listener *listener = ctx;
	struct exchange *exchange = *con_cls;
	if (!exchange->has_begun) {
		exchange->has_begun = true;
		exchange->request.system = listener->system;
		exchange->request.is_tls = listener->is_tls;
		exchange->request.method = mem_dup_str(method);
		MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header,
		                          &exchange->request);
		return MHD_YES;
	}
	if (*len > 0) {
		struct err ignored = { 0 };
		if (!exchange->is_too_large && buf_add(&exchange->body, data, *len, &ignored) < 0)
			exchange->is_too_large = true;
		*len = 0;
		return MHD_YES;
	}
	return on_complete(listener, connection, exchange);
}

int http_start(struct listener *listener, int port, struct err *err)
{
	int fd = sandbox_listen(port, &listener->port, err);
	if (fd < 0)
		return err_wrap(err, "%s", system_ops(listener->system)->name);
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
	                     MHD_USE_POLL;
	struct MHD_OptionItem tls[] = { { MHD_OPTION_END, 0, NULL },
		                        { MHD_OPTION_END, 0, NULL },
		                        { MHD_OPTION_END, 0, NULL } };
	if (listener->is_tls) {
		flags |= MHD_USE_TLS;
		tls[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0,
			                          (char *)(uintptr_t)tls_key(listener->box) };
		tls[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0,
			                          (char *)(uintptr_t)tls_certificate(
							  listener->box) };
	}
	listener->server = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, listener, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)131072, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned int)120, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	if (listener->server)
		return 0;
	close(fd);
	return err_set(err, ERR_SYSTEM, "%s: the HTTP listener cannot be started",
	               system_ops(listener->system)->name);
}

void http_stop(struct listener *listener)
{
	if (listener->server)
		MHD_stop_daemon(listener->server);
	listener->server = NULL;
}
