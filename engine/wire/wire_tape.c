/* SPDX-License-Identifier: MIT */
/*
 * Record and replay.  The tape is the first stage: it sees a request as the
 * plugin made it and the last answer, so one entry stands for all attempts and
 * no credential can be on it.  A replayed answer goes back up at once; the
 * stages below never hear of the request.
 */
#include <string.h>

#include "wire/wire_int.h"

static const char *effect_name(enum wire_effect effect)
{
	switch (effect) {
	case WIRE_READ: return "READ";
	case WIRE_KEYED: return "KEYED";
	case WIRE_ONCE: return "ONCE";
	}
	return "ONCE";
}

static json_t *headers_json(const struct wire_header *headers, size_t count)
{
	json_t *ret = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *pair = json_array();
		json_push(pair, json_text(str_of(headers[i].name)));
		json_push(pair, json_text(str_of(headers[i].value)));
		json_push(ret, pair);
	}
	return ret;
}

static json_t *request_json(const struct wire_request *request)
{
	json_t *ret = json_object();
	json_put_str(ret, "connection", request->connection->name);
	json_put_str(ret, "effect", effect_name(request->effect));
	json_put_str(ret, "key", request->key);
	if (request->envelope) {
		json_put(ret, "mail", json_incref(request->mail_json));
		return ret;
	}
	json_put_str(ret, "method", request->method);
	json_put_str(ret, "path", request->path);
	json_put_str(ret, "content_type", request->content_type);
	json_put(ret, "headers", headers_json(request->headers, request->header_count));
	json_put(ret, "body", json_text(request->body));
	return ret;
}

static json_t *reply_json(const struct wire_reply *reply)
{
	json_t *ret = json_object();
	json_put_str(ret, "status", wire_status_name(reply->status));
	json_put_int(ret, "code", reply->code);
	json_put(ret, "headers", headers_json(reply->headers, reply->header_count));
	json_put(ret, "body", json_text(reply->body));
	json_put_int(ret, "attempts", reply->attempts);
	return ret;
}

static enum wire_status status_named(const char *name)
{
	for (int i = WIRE_OK; i <= WIRE_CANCELLED; i++)
		if (strcmp(name, wire_status_name((enum wire_status)i)) == 0)
			return (enum wire_status)i;
	return WIRE_NETWORK;
}

/* The answer on the tape becomes the reply; the request keeps it alive. */
static void replay(struct wire_request *request)
{
	const json_t *taped = request->taped;
	struct wire_reply *reply = &request->reply;
	const json_t *headers = json_at(taped, "headers");
	size_t count = json_array_size(headers);
	struct wire_header *list = arena_alloc(&request->arena, (count + 1) * sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		const json_t *pair = json_array_get(headers, i);
		const char *name = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));
		if (name && value)
			list[reply->header_count++] =
				(struct wire_header){ arena_dup_str(&request->arena, name),
				                      arena_dup_str(&request->arena, value) };
	}
	reply->headers = list;
	const json_t *body = json_at(taped, "body");
	if (json_is_string(body))
		reply->body = (struct str){ json_string_value(body), json_string_length(body) };
	reply->attempts = (int)json_int(taped, "attempts", 1);
	wire_answer(request, status_named(json_str(taped, "status", "network")),
	            (int)json_int(taped, "code", 0), "from tape");
}

static void tape_send(struct wire_request *request)
{
	const struct wire_tape *tape = &request->wire->tape;
	if (tape->replay) {
		json_t *json = request_json(request);
		request->taped = tape->replay(tape->ctx, json);
		json_decref(json);
	}
	if (request->taped)
		replay(request);
	else
		wire_down(request);
}

static void tape_answer(struct wire_request *request)
{
	const struct wire_tape *tape = &request->wire->tape;
	if (tape->record && !request->taped) {
		json_t *entry = json_object();
		json_put(entry, "request", request_json(request));
		json_put(entry, "reply", reply_json(&request->reply));
		tape->record(tape->ctx, entry);
		json_decref(entry);
	}
	wire_up(request);
}

const struct wire_stage wire_tape_stage = { "tape", tape_send, tape_answer, NULL, NULL };
