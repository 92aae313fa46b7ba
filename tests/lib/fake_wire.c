/* SPDX-License-Identifier: MIT */
#include "fake_wire.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct wire_connection {
	char *name;
	json_t *settings;
};

/* --- connections -------------------------------------------------------- */

struct wire_connection *fake_connection_new(const char *name)
{
	struct wire_connection *connection = mem_alloc(sizeof(*connection));
	connection->name = mem_dup_str(name);
	connection->settings = json_object();
	return connection;
}

void fake_connection_set(struct wire_connection *connection, const char *name, const char *value)
{
	json_put_str(connection->settings, name, value);
}

void fake_connection_free(struct wire_connection *connection)
{
	if (!connection)
		return;
	free(connection->name);
	json_decref(connection->settings);
	free(connection);
}

const char *wire_connection_name(const struct wire_connection *connection)
{
	return connection->name;
}

const char *wire_connection_setting(const struct wire_connection *connection, const char *name)
{
	return json_str(connection->settings, name, NULL);
}

/* --- requests ----------------------------------------------------------- */

struct wire *fake_wire_new(void)
{
	return mem_alloc(sizeof(struct wire));
}

void fake_wire_free(struct wire *wire)
{
	for (size_t i = 0; i < wire->requests.len; i++) {
		struct wire_request *request = wire->requests.at[i];
		if (request->is_open)
			fake_wire_reply(request, &(struct wire_reply){ .status = WIRE_CANCELLED });
		json_decref(request->sent);
		free(request->key);
		free(request->correlation_id);
		free(request->traceparent);
		free(request);
	}
	vec_release(&wire->requests);
	free(wire);
}

size_t fake_wire_open(const struct wire *wire)
{
	size_t count = 0;
	for (size_t i = 0; i < wire->requests.len; i++)
		if (wire->requests.at[i]->is_open && !wire->requests.at[i]->is_cancelled)
			count++;
	return count;
}

struct wire_request *fake_wire_at(const struct wire *wire, size_t i)
{
	return i < wire->requests.len ? wire->requests.at[i] : NULL;
}

static json_t *headers_of(const struct wire_header *headers, size_t count)
{
	json_t *json = json_object();
	for (size_t i = 0; i < count; i++)
		json_put_str(json, headers[i].name, headers[i].value);
	return json;
}

static json_t *mail_of(const struct wire_mail *mail)
{
	json_t *json = json_object();
	json_put_str(json, "message_id", mail->message_id);
	json_put_str(json, "from", mail->from);
	json_put_str(json, "to", mail->to);
	json_put_str(json, "cc", mail->cc);
	json_put_str(json, "reply_to", mail->reply_to);
	json_put_str(json, "subject", mail->subject);
	if (mail->text.len > 0)
		json_put(json, "text", json_text(mail->text));
	if (mail->html.len > 0)
		json_put(json, "html", json_text(mail->html));
	json_put_int(json, "date_ms", mail->date_ms);
	json_put(json, "headers", headers_of(mail->headers, mail->header_count));
	return json;
}

struct wire_request *wire_send(struct wire *wire, const struct wire_send_options *options)
{
	struct wire_request *request = mem_alloc(sizeof(*request));
	json_t *sent = json_object();
	if (options->mail) {
		json_put(sent, "mail", mail_of(options->mail));
	} else {
		json_put_str(sent, "method", options->method);
		json_put_str(sent, "path", options->path);
		json_put_str(sent, "content_type", options->content_type);
		json_put(sent, "body", json_text(options->body));
		json_put(sent, "headers", headers_of(options->headers, options->header_count));
	}
	*request = (struct wire_request){
		.wire = wire,
		.index = wire->requests.len,
		.sent = sent,
		.key = mem_dup_str(options->key),
		.correlation_id = mem_dup_str(options->correlation_id),
		.traceparent = mem_dup_str(options->traceparent),
		.effect = options->effect,
		.timeout_ms = options->timeout_ms,
		.backoff_min_ms = options->backoff_min_ms,
		.backoff_max_ms = options->backoff_max_ms,
		.retries = options->retries,
		.classify = options->classify,
		.done = options->done,
		.arg = options->arg,
		.is_open = true,
	};
	*vec_add(&wire->requests) = request;
	return request;
}

void fake_wire_reply(struct wire_request *request, const struct wire_reply *given)
{
	struct wire_reply reply = *given;
	if (reply.attempts == 0)
		reply.attempts = 1;
	if (reply.status == WIRE_OK && reply.code >= 300)
		reply.status = WIRE_STATUS;
	request->is_open = false;
	request->done(request->arg, &reply);
}

void fake_wire_answer(struct wire_request *request, int code, const char *body)
{
	struct wire_header type = { (char *)(uintptr_t) "content-type",
		                    (char *)(uintptr_t) "application/json" };
	fake_wire_reply(request, &(struct wire_reply){ .code = code,
	                                               .body = str_of(body),
	                                               .headers = &type,
	                                               .header_count = 1 });
}

static void end_cancelled(struct wire_request *request)
{
	fake_wire_reply(request,
	                &(struct wire_reply){ .status = WIRE_CANCELLED, .text = "cancelled" });
}

void wire_cancel(struct wire_request *request)
{
	request->is_cancelled = true;
	if (request->wire->cancels_at_once)
		end_cancelled(request);
}

void fake_wire_pump(struct wire *wire)
{
	for (size_t i = 0; i < wire->requests.len; i++)
		if (wire->requests.at[i]->is_open && wire->requests.at[i]->is_cancelled)
			end_cancelled(wire->requests.at[i]);
}

/* --- the loop ----------------------------------------------------------- */

static struct loop_timer *timer_start(struct loop *loop, int64_t delay_ms, loop_timer_cb *cb,
                                      void *arg)
{
	struct fake_loop *fake = (struct fake_loop *)loop;
	struct fake_timer *timer = mem_alloc(sizeof(*timer));
	*timer = (struct fake_timer){ delay_ms, cb, arg, true };
	*vec_add(&fake->timers) = timer;
	return (struct loop_timer *)timer;
}

static void timer_stop(struct loop *loop, struct loop_timer *timer)
{
	(void)loop;
	((struct fake_timer *)timer)->is_armed = false;
}

void fake_loop_init(struct fake_loop *loop)
{
	static const struct loop_ops ops = { .timer_start = timer_start, .timer_stop = timer_stop };
	*loop = (struct fake_loop){ .loop.ops = &ops };
}

void fake_loop_release(struct fake_loop *loop)
{
	for (size_t i = 0; i < loop->timers.len; i++)
		free(loop->timers.at[i]);
	vec_release(&loop->timers);
}

size_t fake_loop_armed(const struct fake_loop *loop)
{
	size_t count = 0;
	for (size_t i = 0; i < loop->timers.len; i++)
		count += loop->timers.at[i]->is_armed;
	return count;
}

int64_t fake_loop_fire(struct fake_loop *loop)
{
	for (size_t i = 0; i < loop->timers.len; i++) {
		struct fake_timer *timer = loop->timers.at[i];
		if (!timer->is_armed)
			continue;
		timer->is_armed = false;
		int64_t delay_ms = timer->delay_ms;
		timer->cb(timer->arg);
		return delay_ms;
	}
	return -1;
}
