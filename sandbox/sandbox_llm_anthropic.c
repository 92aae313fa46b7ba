/* SPDX-License-Identifier: MIT */
/*
 * Anthropic's Messages: the question is put into the words of Chat Completions,
 * the answer out of them.  What the real service insists on is insisted on here:
 * the version header, max_tokens, no sampling parameters with the newest version.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sandbox/sandbox_llm.h"

#define NEWEST "2026-10-21"

static void error(struct reply *reply, int status, const char *type, const char *message)
{
	json_t *body = json_object(), *inner = json_object();
	json_put_str(inner, "type", type);
	json_put_str(inner, "message", message);
	json_put_str(body, "type", "error");
	json_put(body, "error", inner);
	json_put_str(body, "request_id", "req_sandbox");
	reply_json(reply, status, body);
}

static bool bad(struct reply *reply, const char *message)
{
	error(reply, 400, "invalid_request_error", message);
	return false;
}

/* --- the question ----------------------------------------------------------------- */

static bool messages_are_good(const json_t *messages, struct reply *reply)
{
	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i), *content;
		const char *role = json_str(message, "role", "");
		content = json_at(message, "content");
		if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
			return bad(reply,
			           "messages: role must be 'user' or 'assistant'; the system "
			           "prompt is a parameter of its own");
		if (!(json_is_string(content) && json_string_length(content) > 0) &&
		    json_array_size(content) == 0)
			return bad(reply, "messages: text content blocks must be non-empty");
	}
	return json_array_size(messages) > 0 ||
	       bad(reply, "messages: at least one message is required");
}

static bool sampling_is_good(const struct request *request, struct reply *reply)
{
	static const char *const names[] = { "temperature", "top_p", "top_k" };
	bool is_newest = strcmp(request_header(request, "anthropic-version"), NEWEST) == 0;
	for (size_t i = 0; is_newest && i < sizeof(names) / sizeof(*names); i++)
		if (json_at(request->json, names[i])) {
			char *text = mem_format("%s: is not supported by this version", names[i]);
			(void)bad(reply, text);
			free(text);
			return false;
		}
	return true;
}

static bool request_is_good(const struct request *request, bool has_limit, struct reply *reply)
{
	const json_t *body = request->json;
	const char *model = json_str(body, "model", NULL);
	if (!request_is(request, "application/json", false) || !json_is_object(body))
		return bad(reply, "The request body is not valid JSON.");
	if (!model)
		return bad(reply, "model: Field required");
	if (!str_begins(model, "claude-") && !str_begins(model, "sandbox-")) {
		char *text = mem_format("model: %.100s", model);
		error(reply, 404, "not_found_error", text);
		free(text);
		return false;
	}
	if (has_limit && json_int(body, "max_tokens", 0) < 1)
		return bad(reply, json_at(body, "max_tokens")
		                          ? "max_tokens: must be greater than or equal to 1"
		                          : "max_tokens: Field required");
	return sampling_is_good(request, reply) &&
	       messages_are_good(json_at(body, "messages"), reply);
}

/* Tools and the choice of one, as Chat Completions has them. */
static void put_tools(const json_t *body, json_t *chat)
{
	json_t *tools = json_array();
	const json_t *given = json_at(body, "tools"), *choice = json_at(body, "tool_choice");
	for (size_t i = 0; i < json_array_size(given); i++) {
		json_t *tool = json_object(), *function = json_object();
		const json_t *one = json_array_get(given, i);
		json_put_str(function, "name", json_str(one, "name", ""));
		json_put(function, "parameters", json_deep_copy(json_at(one, "input_schema")));
		json_put(tool, "function", function);
		json_push(tools, tool);
	}
	json_put(chat, "tools", tools);
	if (strcmp(json_str(choice, "type", ""), "any") == 0) {
		json_put_str(chat, "tool_choice", "required");
	} else if (strcmp(json_str(choice, "type", ""), "tool") == 0) {
		json_t *made = json_object(), *function = json_object();
		json_put_str(function, "name", json_str(choice, "name", ""));
		json_put(made, "function", function);
		json_put(chat, "tool_choice", made);
	}
}

/* The schema has no name here; its title serves, so that canned answers are found. */
static json_t *format_new(const json_t *format)
{
	json_t *made = json_object(), *inner = json_object();
	const json_t *schema = json_at(format, "schema");
	if (strcmp(json_str(format, "type", ""), "json_schema") == 0) {
		json_put_str(made, "type", "json_schema");
		json_put_str(inner, "name", json_str(schema, "title", "answer"));
		json_put(inner, "schema", json_deep_copy(schema));
		json_put(made, "json_schema", inner);
	} else {
		json_decref(inner);
	}
	return made;
}

static json_t *chat_new(const json_t *body)
{
	json_t *chat = json_object(), *messages = json_array();
	const json_t *system = json_at(body, "system");
	if (system) {
		json_t *message = json_object();
		json_put_str(message, "role", "system");
		json_put(message, "content", json_deep_copy(system));
		json_push(messages, message);
	}
	json_array_extend(messages, json_at(body, "messages"));
	json_put(chat, "messages", messages);
	json_put(chat, "max_completion_tokens", json_incref(json_at(body, "max_tokens")));
	json_put(chat, "response_format", format_new(json_path(body, "output_config.format")));
	put_tools(body, chat);
	return chat;
}

/* --- the answer ------------------------------------------------------------------- */

static const char *stop_reason(const struct llm_said *said)
{
	if (llm_refusal(said))
		return "refusal";
	if (strcmp(said->finish, "length") == 0)
		return "max_tokens";
	return strcmp(said->finish, "tool_calls") == 0 ? "tool_use" : "end_turn";
}

static json_t *arguments_new(const json_t *call)
{
	struct err ignored = { 0 };
	json_t *input = NULL;
	const char *text = json_str(json_at(call, "function"), "arguments", "{}");
	return json_read(str_of(text), MAX_BODY_BYTES, &input, &ignored) < 0 ? json_object()
	                                                                     : input;
}

static json_t *content_new(const struct llm_said *said)
{
	json_t *content = json_array();
	const json_t *calls = json_at(said->message, "tool_calls");
	for (size_t i = 0; i < json_array_size(calls); i++) {
		json_t *block = json_object();
		char id[48];
		const json_t *call = json_array_get(calls, i);
		snprintf(id, sizeof(id), "toolu_sandbox%zu", i + 1);
		json_put_str(block, "type", "tool_use");
		json_put_str(block, "id", id);
		json_put_str(block, "name", json_str(json_at(call, "function"), "name", ""));
		json_put(block, "input", arguments_new(call));
		json_push(content, block);
	}
	if (json_array_size(calls) == 0 && !llm_refusal(said)) {
		json_t *block = json_object();
		json_put_str(block, "type", "text");
		json_put_str(block, "text", json_str(said->message, "content", ""));
		json_push(content, block);
	}
	return content;
}

static json_t *usage_new(const struct llm_said *said, bool is_over)
{
	json_t *usage = json_object();
	json_put_int(usage, "input_tokens", said->asked);
	json_put_int(usage, "cache_creation_input_tokens", 0);
	json_put_int(usage, "cache_read_input_tokens", 0);
	json_put_int(usage, "output_tokens", is_over ? said->said : 1);
	return usage;
}

static json_t *message_new(const struct sandbox *box, const struct request *request,
                           const struct llm_said *said, bool is_over)
{
	json_t *message = json_object();
	char id[64];
	snprintf(id, sizeof(id), "msg_sandbox%06lld", (long long)box->completion_count);
	json_put_str(message, "id", id);
	json_put_str(message, "type", "message");
	json_put_str(message, "role", "assistant");
	json_put_str(message, "model", json_str(request->json, "model", ""));
	json_put(message, "content", is_over ? content_new(said) : json_array());
	json_put(message, "stop_reason", is_over ? json_string(stop_reason(said)) : json_null());
	json_put(message, "stop_sequence", json_null());
	json_put(message, "usage", usage_new(said, is_over));
	return message;
}

/* --- streaming ---------------------------------------------------------------------- */

static void emit(struct reply *reply, const char *type, json_t *event_taken)
{
	json_put_str(event_taken, "type", type);
	llm_event_put(reply, type, event_taken);
	json_decref(event_taken);
}

static json_t *at_new(size_t index)
{
	json_t *event = json_object();
	json_put_int(event, "index", (int64_t)index);
	return event;
}

static void emit_block(struct reply *reply, size_t index, const json_t *block)
{
	bool is_text = strcmp(json_str(block, "type", ""), "text") == 0;
	json_t *start = at_new(index), *empty = json_deep_copy(block);
	char *text = is_text ? mem_dup_str(json_str(block, "text", ""))
	                     : json_canon(json_at(block, "input"));
	json_put(empty, is_text ? "text" : "input", is_text ? json_string("") : json_object());
	json_put(start, "content_block", empty);
	emit(reply, "content_block_start", start);
	for (size_t len, from = 0; (len = llm_piece_len(text + from)) > 0; from += len) {
		json_t *event = at_new(index), *delta = json_object();
		json_put_str(delta, "type", is_text ? "text_delta" : "input_json_delta");
		json_put(delta, is_text ? "text" : "partial_json",
		         json_text((struct str){ text + from, len }));
		json_put(event, "delta", delta);
		emit(reply, "content_block_delta", event);
	}
	emit(reply, "content_block_stop", at_new(index));
	free(text);
}

static void stream(const struct sandbox *box, const struct request *request,
                   const struct llm_said *said, struct reply *reply)
{
	json_t *content = content_new(said), *start = json_object(), *end = json_object();
	json_t *delta = json_object();
	reply_text(reply, 200, "text/event-stream; charset=utf-8", "");
	json_put(start, "message", message_new(box, request, said, false));
	emit(reply, "message_start", start);
	emit(reply, "ping", json_object());
	for (size_t i = 0; i < json_array_size(content); i++)
		emit_block(reply, i, json_array_get(content, i));
	json_put_str(delta, "stop_reason", stop_reason(said));
	json_put(delta, "stop_sequence", json_null());
	json_put(end, "delta", delta);
	json_put(end, "usage", usage_new(said, true));
	emit(reply, "message_delta", end);
	emit(reply, "message_stop", json_object());
	json_decref(content);
}

/* --- serving -------------------------------------------------------------------------- */

static void messages(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	(void)parts;
	struct llm_said said;
	if (!request_is_good(request, true, reply))
		return;
	json_t *chat = chat_new(request->json);
	llm_say(box, request, chat, &said);
	if (json_truth(request->json, "stream", false))
		stream(box, request, &said, reply);
	else
		reply_json(reply, 200, message_new(box, request, &said, true));
	llm_said_release(&said);
	json_decref(chat);
}

static void count_tokens(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	(void)parts;
	struct llm_said said;
	if (!request_is_good(request, false, reply))
		return;
	json_t *chat = chat_new(request->json), *body = json_object();
	llm_say(box, request, chat, &said);
	json_put_int(body, "input_tokens", said.asked);
	reply_json(reply, 200, body);
	llm_said_release(&said);
	json_decref(chat);
}

static void models(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	(void)box;
	(void)request;
	(void)parts;
	static const char *const names[] = { "claude-sonnet-5", "claude-haiku-5", "claude-opus-5" };
	json_t *body = json_object(), *list = json_array();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		json_t *model = json_object();
		json_put_str(model, "type", "model");
		json_put_str(model, "id", names[i]);
		json_put_str(model, "display_name", names[i]);
		json_put_str(model, "created_at", "2026-01-01T00:00:00Z");
		json_push(list, model);
	}
	json_put(body, "data", list);
	json_put(body, "has_more", json_false());
	json_put_str(body, "first_id", names[0]);
	json_put_str(body, "last_id", names[2]);
	reply_json(reply, 200, body);
}

static void put_limits(struct sandbox *box, struct reply *reply)
{
	reply_header(reply, "request-id", "req_sandbox%06lld", (long long)box->completion_count);
	reply_header(reply, "anthropic-ratelimit-requests-limit", "1000");
	reply_header(reply, "anthropic-ratelimit-requests-remaining", "%lld",
	             999 - (long long)(box->completion_count % 1000));
}

void anthropic_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "POST", "/v1/messages", messages },
		{ "POST", "/v1/messages/count_tokens", count_tokens },
		{ "GET", "/v1/models", models },
	};
	const char *version = request_header(request, "anthropic-version");
	const char *key = request_header(request, "x-api-key"), *bearer = request_bearer(request);
	bool good = strcmp(key, LLM_KEY) == 0 || (bearer && strcmp(bearer, LLM_KEY) == 0);
	request->auth = good ? AUTH_ACCEPTED : AUTH_REFUSED;
	if (!good) {
		error(reply, 401, "authentication_error", "invalid x-api-key");
	} else if (!*version) {
		(void)bad(reply, "anthropic-version: header is required");
	} else if (strcmp(version, "2023-06-01") != 0 && strcmp(version, NEWEST) != 0) {
		(void)bad(reply, "anthropic-version: is not a valid version");
	} else {
		switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request,
		                    reply)) {
		case ROUTE_SERVED: break;
		case ROUTE_OTHER_METHOD:
			error(reply, 405, "invalid_request_error", "Method Not Allowed");
			break;
		case ROUTE_NONE: error(reply, 404, "not_found_error", "Not Found"); break;
		}
	}
	put_limits(box, reply);
}

void anthropic_refuse(int status, struct reply *reply)
{
	switch (status) {
	case 400: (void)bad(reply, "messages: the request is not valid"); return;
	case 401: error(reply, 401, "authentication_error", "invalid x-api-key"); return;
	case 403:
		error(reply, 403, "permission_error",
		      "Your API key does not have permission to use the specified resource");
		return;
	case 404: error(reply, 404, "not_found_error", "model: not found"); return;
	case 429:
		error(reply, 429, "rate_limit_error", "This request would exceed your rate limit.");
		reply_header(reply, "retry-after", "1");
		return;
	case 503: /* says it with a number of its own */
		error(reply, 529, "overloaded_error", "Overloaded");
		return;
	default: error(reply, status, "api_error", "Internal server error"); return;
	}
}
