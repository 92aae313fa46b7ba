/* SPDX-License-Identifier: MIT */
/*
 * The end of the chain where the other side is played, not spoken to
 * (struct wire_far).  What leaves is what curl would send; the time-out of an
 * attempt is kept here, as curl keeps it there.
 */
#include <string.h>

#include "base/must.h"
#include "wire/wire_int.h"

enum { LINES_MAX = 64 };

static void no_answer(void *arg)
{
	struct wire_request *request = arg;
	struct wire *wire = request->wire;
	request->timer = NULL;
	wire->far->forget(wire->far->ctx, request);
	request->reply.may_have_left = true;
	wire_answer(request, WIRE_TIMEOUT, 0, "no answer from connection '%s'",
	            request->connection->name);
	wire_turn(wire);
}

static size_t gather_lines(const struct wire_request *request, const char **lines)
{
	size_t count = 0;
	for (size_t i = 0; i < request->line_count && count < LINES_MAX; i++)
		lines[count++] = request->lines[i];
	if (request->trace.is_valid && count < LINES_MAX)
		lines[count++] = request->trace.line;
	for (size_t i = 0; i < WIRE_AUTH_LINES && count < LINES_MAX; i++)
		if (request->auth_lines[i])
			lines[count++] = request->auth_lines[i];
	if (request->auth_shared && count < LINES_MAX)
		lines[count++] = request->auth_shared;
	return count;
}

static void far_send(struct wire_request *request)
{
	struct wire *wire = request->wire;
	const char *lines[LINES_MAX];
	int64_t left_ms = wire_left_ms(request);
	if (left_ms == 0) {
		wire_answer(request, WIRE_TIMEOUT, 0, "no time left for an attempt");
		return;
	}
	int64_t timeout_ms = request->timeout_ms < left_ms ? request->timeout_ms : left_ms;
	const struct wire_leaving leaving = {
		.connection = request->connection->name,
		.method = request->envelope ? "MAIL" : request->method,
		.base = request->base,
		.path = request->envelope ? "" : request->path,
		.key = request->effect == WIRE_KEYED ? request->key : NULL,
		.lines = lines,
		.line_count = gather_lines(request, lines),
		.body = request->envelope ? request->envelope->bytes : request->sent_body,
		.is_mail = request->envelope != NULL,
	};
	request->was_dispatched = true;
	request->reply.headers = NULL; /* of the attempt before */
	request->reply.header_count = 0;
	request->reply.body = STR_LIT("");
	wire_timer_stop(request);
	request->timer = wire->loop->ops->timer_start(wire->loop, timeout_ms > 0 ? timeout_ms : 1,
	                                              no_answer, request);
	wire->far->send(wire->far->ctx, request, &leaving);
}

/* The bytes live as long as the request, as curl's slot does. */
static void keep_reply(struct wire_request *request, const struct wire_header *headers,
                       size_t header_count, struct str body)
{
	struct wire_header *kept = arena_alloc(&request->arena, (header_count + 1) * sizeof(*kept));
	for (size_t i = 0; i < header_count; i++) {
		kept[i].name = arena_dup_str(&request->arena, headers[i].name);
		kept[i].value = arena_dup_str(&request->arena, headers[i].value);
	}
	request->reply.headers = kept;
	request->reply.header_count = header_count;
	request->reply.body = (struct str){ arena_dup(&request->arena, body.ptr, body.len),
		                            body.len };
}

void wire_far_answer(struct wire_request *request, int code, const struct wire_header *headers,
                     size_t header_count, struct str body, bool may_have_left)
{
	const char *name = request->connection->name;
	must(request->chain[request->at] == &wire_far_stage);
	wire_timer_stop(request);
	if (code == 0) {
		request->reply.may_have_left = may_have_left;
		wire_answer(request, WIRE_NETWORK, 0, "connection '%s' broke", name);
	} else {
		keep_reply(request, headers, header_count, body);
		bool is_fine = code >= 200 && code < 300;
		if (is_fine)
			wire_answer(request, WIRE_OK, code, "%s", "");
		else
			wire_answer(request, WIRE_STATUS, code, "connection '%s' answered HTTP %d",
			            name, code);
	}
	wire_turn(request->wire);
}

static bool far_cancel(struct wire_request *request)
{
	struct wire *wire = request->wire;
	wire_timer_stop(request);
	wire->far->forget(wire->far->ctx, request);
	request->reply.may_have_left = true;
	return true;
}

const struct wire_stage wire_far_stage = { "far", far_send, NULL, NULL, far_cancel };
