/* SPDX-License-Identifier: MIT */
/*
 * W3C trace context: the caller's trace id and flags go on, and every attempt is
 * a span of its own with a fresh id (WIRE.md 9).  A traceparent that is not
 * valid is not sent on.  Spans go to the sink the wire was given; they hold
 * method, path and status, never a header or a body.
 */
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "wire/wire_int.h"

static bool is_hex(const char *text, size_t len)
{
	bool has_bit = false;
	for (size_t i = 0; i < len; i++) {
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
		has_bit = has_bit || text[i] != '0';
	}
	return has_bit;
}

/* "00-<32 hex>-<16 hex>-<2 hex>"; ids of zeros are none. */
static bool read_ids(const char *text, struct wire_trace_ids *ids)
{
	if (strlen(text) != 55 || strncmp(text, "00-", 3) != 0 || text[35] != '-' ||
	    text[52] != '-')
		return false;
	if (!is_hex(text + 3, 32) || !is_hex(text + 36, 16) ||
	    strspn(text + 53, "0123456789abcdef") != 2)
		return false;
	memcpy(ids->trace_id, text + 3, 32);
	memcpy(ids->parent_id, text + 36, 16);
	memcpy(ids->flags, text + 53, 2);
	return true;
}

void wire_trace_begin(struct wire_request *request)
{
	struct wire_trace_ids *ids = &request->trace;
	if (!ids->is_valid)
		return;
	uint64_t chance = 0;
	while (chance == 0)
		chance = rand_next(&request->wire->loop->rand);
	crypto_hex((const unsigned char *)&chance, sizeof(chance), ids->span_id);
	snprintf(ids->line, sizeof(ids->line), "traceparent: 00-%s-%s-%s", ids->trace_id,
	         ids->span_id, ids->flags);
}

void wire_trace_end(struct wire_request *request)
{
	struct wire *wire = request->wire;
	const struct wire_trace_ids *ids = &request->trace;
	if (!wire->trace)
		return;
	json_t *span = json_object();
	if (ids->is_valid) {
		json_put_str(span, "trace_id", ids->trace_id);
		json_put_str(span, "span_id", ids->span_id);
		json_put_str(span, "parent_id", ids->parent_id);
	}
	json_put_str(span, "connection", request->connection->name);
	json_put_str(span, "method", request->method);
	json_put(span, "path", request->path ? json_text(str_of(request->path)) : NULL);
	json_put_int(span, "attempt", (int64_t)json_array_size(request->log));
	json_put_int(span, "start_ms", request->attempt_wall_ms);
	json_put_int(span, "took_ms", wire_now_ms(wire) - request->attempt_ms);
	json_put_str(span, "status", wire_status_name(request->reply.status));
	json_put_int(span, "code", request->reply.code);
	wire->trace(wire->trace_ctx, span);
	json_decref(span);
}

static void trace_send(struct wire_request *request)
{
	struct wire_trace_ids *ids = &request->trace;
	ids->is_valid = request->traceparent && read_ids(request->traceparent, ids);
	wire_down(request);
}

const struct wire_stage wire_trace_stage = { "trace", trace_send, wire_up, NULL, NULL };
