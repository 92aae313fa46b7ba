/* SPDX-License-Identifier: MIT */
/*
 * Amazon Bedrock's Converse and ConverseStream: signed requests (or an API key as
 * bearer), content as unions keyed by member name, errors by header, and streams
 * in AWS's binary framing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sandbox/sandbox_llm.h"

static void error(struct reply *reply, int status, const char *type, const char *message)
{
	json_t *body = json_object();
	json_put_str(body, "message", message);
	reply_json(reply, status, body);
	reply->content_type = "application/json";
	reply_header(reply, "x-amzn-ErrorType",
	             "%s:http://internal.amazon.com/coral/com.amazon.bedrock/", type);
}

static bool bad(struct reply *reply, const char *message)
{
	error(reply, 400, "ValidationException", message);
	return false;
}

/* --- the question ----------------------------------------------------------------- */

/* A model, an inference profile or an ARN. */
static bool model_is_known(const char *id)
{
	static const char *const makers[] = { "anthropic.", "amazon.", "meta.",
		                              "mistral.",   "cohere.", "sandbox." };
	if (str_begins(id, "arn:aws"))
		return strstr(id, ":bedrock:") != NULL;
	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++)
		if (strstr(id, makers[i]))
			return true;
	return false;
}

static bool messages_are_good(const json_t *messages, struct reply *reply)
{
	if (json_array_size(messages) == 0)
		return bad(reply, "A conversation must start with a user message.");
	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		const char *role = json_str(message, "role", "");
		bool is_user = strcmp(role, "user") == 0;
		if (i == 0 && !is_user)
			return bad(reply, "A conversation must start with a user message.");
		if (!is_user && strcmp(role, "assistant") != 0)
			return bad(reply, "messages: role must be 'user' or 'assistant'");
		if (json_array_size(json_at(message, "content")) == 0)
			return bad(reply, "The content field in the Message object is empty.");
	}
	return true;
}

static json_t *format_new(const json_t *body)
{
	json_t *made = json_object(), *inner = json_object(), *schema = NULL;
	const json_t *given = json_path(body, "outputConfig.textFormat.structure.jsonSchema");
	struct err ignored = { 0 };
	/* A JSON text within the JSON. */
	if (json_read(str_of(json_str(given, "schema", "")), MAX_BODY_BYTES, &schema, &ignored) ==
	    0) {
		json_put_str(made, "type", "json_schema");
		json_put_str(inner, "name", json_str(given, "name", "answer"));
		json_put(inner, "schema", schema);
	}
	json_put(made, "json_schema", inner);
	return made;
}

static void put_tools(const json_t *body, json_t *chat)
{
	json_t *tools = json_array();
	const json_t *given = json_path(body, "toolConfig.tools");
	const json_t *choice = json_path(body, "toolConfig.toolChoice");
	for (size_t i = 0; i < json_array_size(given); i++) {
		json_t *tool = json_object(), *function = json_object();
		const json_t *spec = json_at(json_array_get(given, i), "toolSpec");
		json_put_str(function, "name", json_str(spec, "name", ""));
		json_put(function, "parameters",
		         json_deep_copy(json_path(spec, "inputSchema.json")));
		json_put(tool, "function", function);
		json_push(tools, tool);
	}
	json_put(chat, "tools", tools);
	if (json_at(choice, "any")) {
		json_put_str(chat, "tool_choice", "required");
	} else if (json_at(choice, "tool")) {
		json_t *made = json_object();
		json_put(made, "function", json_deep_copy(json_at(choice, "tool")));
		json_put(chat, "tool_choice", made);
	}
}

static json_t *chat_new(const json_t *body)
{
	json_t *chat = json_object(), *messages = json_array(), *system = json_object();
	json_put_str(system, "role", "system");
	json_put(system, "content", json_deep_copy(json_at(body, "system")));
	json_push(messages, system);
	json_array_extend(messages, json_at(body, "messages"));
	json_put(chat, "messages", messages);
	json_put(chat, "response_format", format_new(body));
	json_put(chat, "max_completion_tokens",
	         json_incref(json_path(body, "inferenceConfig.maxTokens")));
	put_tools(body, chat);
	return chat;
}

/* --- the answer ------------------------------------------------------------------- */

static const char *stop_reason(const struct llm_said *said)
{
	if (llm_refusal(said))
		return "guardrail_intervened";
	if (strcmp(said->finish, "length") == 0)
		return "max_tokens";
	return strcmp(said->finish, "tool_calls") == 0 ? "tool_use" : "end_turn";
}

static json_t *member_new(const char *name, json_t *value_taken)
{
	json_t *object = json_object();
	json_put(object, name, value_taken);
	return object;
}

static json_t *tool_use_new(const json_t *call, bool with_input)
{
	json_t *use = json_object(), *input = NULL;
	struct err ignored = { 0 };
	const char *text = json_str(json_at(call, "function"), "arguments", "{}");
	json_put_str(use, "toolUseId", "tooluse_sandbox1");
	json_put_str(use, "name", json_str(json_at(call, "function"), "name", ""));
	if (with_input && json_read(str_of(text), MAX_BODY_BYTES, &input, &ignored) == 0)
		json_put(use, "input", input);
	return use;
}

static json_t *usage_new(const struct llm_said *said)
{
	json_t *usage = json_object();
	json_put_int(usage, "inputTokens", said->asked);
	json_put_int(usage, "outputTokens", said->said);
	json_put_int(usage, "totalTokens", said->asked + said->said);
	json_put_int(usage, "cacheReadInputTokens", 0);
	json_put_int(usage, "cacheWriteInputTokens", 0);
	return usage;
}

static json_t *answer_new(const struct llm_said *said)
{
	json_t *body = json_object(), *message = json_object(), *content = json_array();
	const json_t *call = json_array_get(json_at(said->message, "tool_calls"), 0);
	const char *text = llm_refusal(said);
	if (call)
		json_push(content, member_new("toolUse", tool_use_new(call, true)));
	else
		json_push(content,
		          member_new("text", json_text(str_of(text ? text
		                                                   : json_str(said->message,
		                                                              "content", "")))));
	json_put_str(message, "role", "assistant");
	json_put(message, "content", content);
	json_put(body, "output", member_new("message", message));
	json_put_str(body, "stopReason", stop_reason(said));
	json_put(body, "usage", usage_new(said));
	json_put(body, "metrics", member_new("latencyMs", json_integer(5)));
	return body;
}

/* --- the framing of a stream --------------------------------------------------------- */

static uint32_t crc32(const void *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;
	for (const unsigned char *at = bytes, *end = at + len; at < end; at++) {
		crc ^= *at;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xEDB88320) : 0);
	}
	return ~crc;
}

static void put_u32(struct buf *out, size_t number)
{
	const unsigned char bytes[] = { (unsigned char)(number >> 24),
		                        (unsigned char)(number >> 16), (unsigned char)(number >> 8),
		                        (unsigned char)number };
	buf_put_len(out, bytes, sizeof(bytes));
}

static void put_header(struct buf *out, const char *name, const char *value)
{
	enum { IS_TEXT = 7 };
	size_t len = strlen(value);
	const unsigned char kind[] = { IS_TEXT, (unsigned char)(len >> 8), (unsigned char)len };
	const unsigned char name_len = (unsigned char)strlen(name);
	buf_put_len(out, &name_len, 1);
	buf_put(out, name);
	buf_put_len(out, kind, sizeof(kind));
	buf_put(out, value);
}

/* Lengths, their CRC, headers, payload, the CRC of all. */
static void emit(struct reply *reply, const char *type, json_t *event_taken)
{
	enum { FRAME_BYTES = 64 * 1024, AROUND = 16 };
	struct buf headers, frame;
	char *payload = json_dumps(event_taken, JSON_COMPACT);
	if (!payload)
		mem_out();
	buf_init(&headers, FRAME_BYTES);
	buf_init(&frame, MAX_REPLY_BYTES);
	put_header(&headers, ":event-type", type);
	put_header(&headers, ":content-type", "application/json");
	put_header(&headers, ":message-type", "event");
	put_u32(&frame, headers.len + strlen(payload) + AROUND);
	put_u32(&frame, headers.len);
	put_u32(&frame, crc32(frame.bytes, frame.len));
	buf_put_len(&frame, headers.bytes, headers.len);
	buf_put(&frame, payload);
	put_u32(&frame, crc32(frame.bytes, frame.len));
	buf_put_len(&reply->body, frame.bytes, frame.len);
	buf_release(&headers);
	buf_release(&frame);
	free(payload);
	json_decref(event_taken);
}

static json_t *block_new(void)
{
	return member_new("contentBlockIndex", json_integer(0));
}

static void emit_piece(struct reply *reply, const char *text, size_t len, bool is_tool)
{
	json_t *event = block_new(), *piece = json_text((struct str){ text, len });
	json_put(event, "delta",
	         is_tool ? member_new("toolUse", member_new("input", piece))
	                 : member_new("text", piece));
	emit(reply, "contentBlockDelta", event);
}

static void stream(const struct llm_said *said, struct reply *reply)
{
	const json_t *call = json_array_get(json_at(said->message, "tool_calls"), 0);
	const char *text = call ? json_str(json_at(call, "function"), "arguments", "")
	                        : json_str(said->message, "content", "");
	reply_text(reply, 200, "application/vnd.amazon.eventstream", "");
	emit(reply, "messageStart", member_new("role", json_string("assistant")));
	if (call) {
		json_t *start = block_new();
		json_put(start, "start", member_new("toolUse", tool_use_new(call, false)));
		emit(reply, "contentBlockStart", start);
	}
	for (size_t len; (len = llm_piece_len(text)) > 0; text += len)
		emit_piece(reply, text, len, call != NULL);
	emit(reply, "contentBlockStop", block_new());
	emit(reply, "messageStop", member_new("stopReason", json_string(stop_reason(said))));
	json_t *last = member_new("usage", usage_new(said));
	json_put(last, "metrics", member_new("latencyMs", json_integer(5)));
	emit(reply, "metadata", last);
}

/* --- serving -------------------------------------------------------------------------- */

static void converse(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	struct llm_said said;
	if (!model_is_known(parts->at[0])) {
		(void)bad(reply, "The provided model identifier is invalid.");
		return;
	}
	if (!request_is(request, "application/json", false) || !json_is_object(request->json)) {
		(void)bad(reply, "The request body is not valid JSON.");
		return;
	}
	if (!messages_are_good(json_at(request->json, "messages"), reply))
		return;
	json_t *chat = chat_new(request->json);
	llm_say(box, request, chat, &said);
	if (str_ends(request->path, "-stream")) {
		stream(&said, reply);
	} else {
		reply_json(reply, 200, answer_new(&said));
		reply->content_type = "application/json";
	}
	llm_said_release(&said);
	json_decref(chat);
}

void bedrock_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "POST", "/model/{}/converse", converse },
		{ "POST", "/model/{}/converse-stream", converse },
	};
	const char *bearer = request_bearer(request);
	bool is_key = bearer && strcmp(bearer, LLM_KEY) == 0;
	const char *fault = is_key ? NULL : sigv4_fault(request);
	request->auth = fault ? AUTH_REFUSED : AUTH_ACCEPTED;
	if (fault) {
		error(reply, 403,
		      strstr(fault, "ignature") ? "InvalidSignatureException"
		      : bearer                  ? "AccessDeniedException"
		                                : "UnrecognizedClientException",
		      fault);
	} else {
		switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request,
		                    reply)) {
		case ROUTE_SERVED: break;
		case ROUTE_OTHER_METHOD:
		case ROUTE_NONE:
			error(reply, 404, "UnknownOperationException", "Unknown operation");
			break;
		}
	}
	reply_header(reply, "x-amzn-RequestId", "00000000-0000-4000-8000-%012lld",
	             (long long)box->completion_count);
}

void bedrock_refuse(int status, struct reply *reply)
{
	switch (status) {
	case 400: (void)bad(reply, "The request is not valid."); return;
	case 401: /* a bad signature is a 403 */
		error(reply, 403, "InvalidSignatureException",
		      "The request signature we calculated does not match.");
		return;
	case 403:
		error(reply, 403, "AccessDeniedException",
		      "You don't have access to the model with the specified model ID.");
		return;
	case 404:
		error(reply, 404, "ResourceNotFoundException", "Could not resolve the model.");
		return;
	case 429:
		error(reply, 429, "ThrottlingException", "Too many requests, please wait.");
		return;
	case 503: error(reply, 503, "ServiceUnavailableException", "Try again later."); return;
	default: error(reply, status, "InternalServerException", "Internal error."); return;
	}
}
