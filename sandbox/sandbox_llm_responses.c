/* SPDX-License-Identifier: MIT */
/*
 * OpenAI's Responses: the question is put into the words of Chat Completions,
 * the answer out of them.  Here tools are flat, the schema stands in text.format,
 * and what is asked is kept unless "store" is false.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sandbox/sandbox_llm.h"

enum { STORED_MAX = 1000 };

/* --- the question --------------------------------------------------------------- */

static void push_message(json_t *messages, const char *role, json_t *content_taken)
{
	json_t *message = json_object();
	json_put_str(message, "role", role);
	json_put(message, "content", content_taken);
	json_push(messages, message);
}

/* A message, or what a tool answered; false for what is neither. */
static bool item_put(const json_t *item, json_t *messages)
{
	const char *type = json_str(item, "type", "message");
	if (strcmp(type, "function_call_output") == 0) {
		const json_t *output = json_at(item, "output");
		if (!*json_str(item, "call_id", "") || !output)
			return false;
		push_message(messages, "tool", json_deep_copy(output));
		return true;
	}
	if (strcmp(type, "function_call") == 0 || strcmp(type, "reasoning") == 0)
		return true;
	const json_t *content = json_at(item, "content");
	const char *role = json_str(item, "role", "");
	bool is_role = strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0 ||
	               strcmp(role, "system") == 0 || strcmp(role, "developer") == 0;
	if (strcmp(type, "message") != 0 || !is_role ||
	    (!json_is_string(content) && json_array_size(content) == 0))
		return false;
	push_message(messages, role, json_deep_copy(content));
	return true;
}

static json_t *messages_new(const json_t *body)
{
	json_t *messages = json_array();
	const json_t *input = json_at(body, "input");
	const char *instructions = json_str(body, "instructions", NULL);
	if (instructions)
		push_message(messages, "system", json_string(instructions));
	if (json_is_string(input))
		push_message(messages, "user", json_incref((json_t *)(uintptr_t)input));
	bool is_good = json_is_string(input) || json_array_size(input) > 0;
	for (size_t i = 0; is_good && i < json_array_size(input); i++)
		is_good = item_put(json_array_get(input, i), messages);
	if (is_good)
		return messages;
	json_decref(messages);
	return NULL;
}

/* {"type":"function","name",...} becomes {"type":"function","function":{...}}. */
static json_t *tools_new(const json_t *flat)
{
	json_t *tools = json_array();
	for (size_t i = 0; i < json_array_size(flat); i++) {
		json_t *tool = json_object();
		json_put(tool, "function", json_deep_copy(json_array_get(flat, i)));
		json_push(tools, tool);
	}
	return tools;
}

static json_t *choice_new(const json_t *choice)
{
	if (!json_is_object(choice))
		return json_incref((json_t *)(uintptr_t)choice);
	json_t *made = json_object();
	json_put(made, "function", json_deep_copy(choice));
	return made;
}

static json_t *format_new(const json_t *flat)
{
	json_t *format = json_object();
	json_put_str(format, "type", json_str(flat, "type", "text"));
	if (strcmp(json_str(flat, "type", ""), "json_schema") == 0)
		json_put(format, "json_schema", json_deep_copy(flat));
	return format;
}

/* The request in the words of Chat Completions; NULL when it was refused. */
static json_t *chat_new(const struct request *request, struct reply *reply)
{
	const json_t *body = request->json, *format = json_path(body, "text.format");
	const char *model = json_str(body, "model", NULL);
	char fault[300];
	json_t *messages = messages_new(body);
	if (!request_is(request, "application/json", false) || !json_is_object(body))
		llm_error(reply, 400, "invalid_request_error", NULL, NULL,
		          "We could not parse the JSON body of your request.");
	else if (!model)
		llm_error(reply, 400, "invalid_request_error", "missing_required_parameter",
		          "model", "Missing required parameter: 'model'.");
	else if (!llm_model_is_known(model))
		llm_error(reply, 400, "invalid_request_error", "model_not_found", "model",
		          "The requested model does not exist.");
	else if (!messages)
		llm_error(reply, 400, "invalid_request_error", "invalid_value", "input",
		          "Invalid value for 'input': a text or a list of items is expected.");
	else if (strcmp(json_str(format, "type", "text"), "json_schema") == 0 &&
	         (!*json_str(format, "name", "") ||
	          (json_truth(format, "strict", true) &&
	           !llm_schema_is_strict(json_at(format, "schema"), fault))))
		llm_error(reply, 400, "invalid_request_error", "invalid_json_schema",
		          "text.format.schema",
		          *json_str(format, "name", "") ? fault : "'text.format.name' is missing");
	else {
		json_t *chat = json_object();
		json_put(chat, "messages", messages);
		json_put(chat, "response_format", format_new(format));
		json_put(chat, "tools", tools_new(json_at(body, "tools")));
		json_put(chat, "tool_choice", choice_new(json_at(body, "tool_choice")));
		json_put(chat, "max_completion_tokens",
		         json_incref(json_at(body, "max_output_tokens")));
		return chat;
	}
	json_decref(messages);
	return NULL;
}

/* --- the answer ------------------------------------------------------------------- */

static json_t *part_new(const char *type, const char *key, const char *text)
{
	json_t *part = json_object();
	json_put_str(part, "type", type);
	json_put(part, key, json_text(str_of(text)));
	if (strcmp(type, "output_text") == 0) {
		json_put(part, "annotations", json_array());
		json_put(part, "logprobs", json_array());
	}
	return part;
}

static json_t *message_item_new(const struct llm_said *said, const char *id, const char *status)
{
	json_t *item = json_object(), *content = json_array();
	const char *refusal = llm_refusal(said);
	json_put_str(item, "id", id);
	json_put_str(item, "type", "message");
	json_put_str(item, "status", status);
	json_put_str(item, "role", "assistant");
	json_push(content, refusal ? part_new("refusal", "refusal", refusal)
	                           : part_new("output_text", "text",
	                                      json_str(said->message, "content", "")));
	json_put(item, "content", content);
	return item;
}

static json_t *call_item_new(const json_t *call, size_t index)
{
	json_t *item = json_object();
	char id[48];
	snprintf(id, sizeof(id), "fc_sandbox%zu", index + 1);
	json_put_str(item, "id", id);
	json_put_str(item, "type", "function_call");
	json_put_str(item, "status", "completed");
	json_put_str(item, "call_id", json_str(call, "id", ""));
	json_put_str(item, "name", json_str(json_at(call, "function"), "name", ""));
	json_put_str(item, "arguments", json_str(json_at(call, "function"), "arguments", ""));
	return item;
}

static json_t *output_new(const struct llm_said *said, bool is_cut)
{
	json_t *output = json_array();
	const json_t *calls = json_at(said->message, "tool_calls");
	for (size_t i = 0; i < json_array_size(calls); i++)
		json_push(output, call_item_new(json_array_get(calls, i), i));
	if (json_array_size(calls) == 0)
		json_push(output, message_item_new(said, "msg_sandbox1",
		                                   is_cut ? "incomplete" : "completed"));
	return output;
}

static json_t *usage_new(const struct llm_said *said)
{
	json_t *usage = json_object(), *input = json_object(), *output = json_object();
	json_put_int(usage, "input_tokens", said->asked);
	json_put_int(input, "cached_tokens", 0);
	json_put(usage, "input_tokens_details", input);
	json_put_int(usage, "output_tokens", said->said);
	json_put_int(output, "reasoning_tokens", 0);
	json_put(usage, "output_tokens_details", output);
	json_put_int(usage, "total_tokens", said->asked + said->said);
	return usage;
}

/* Without output and usage: as it is while it is being made. */
static json_t *response_new(const struct sandbox *box, const struct request *request,
                            const char *status)
{
	json_t *response = json_object();
	const json_t *body = request->json;
	char id[64];
	snprintf(id, sizeof(id), "resp_sandbox%06lld", (long long)box->completion_count);
	json_put_str(response, "id", id);
	json_put_str(response, "object", "response");
	json_put_int(response, "created_at", request->now_ms / 1000);
	json_put_str(response, "status", status);
	json_put(response, "error", json_null());
	json_put(response, "incomplete_details", json_null());
	json_put(response, "instructions",
	         json_at(body, "instructions") ? json_deep_copy(json_at(body, "instructions"))
	                                       : json_null());
	json_put_str(response, "model", json_str(body, "model", ""));
	json_put(response, "output", json_array());
	json_put(response, "parallel_tool_calls", json_true());
	json_put(response, "store", json_boolean(json_truth(body, "store", true)));
	json_put(response, "tools", json_array());
	json_put_str(response, "tool_choice", "auto");
	json_put(response, "usage", json_null());
	json_put(response, "metadata", json_object());
	return response;
}

static json_t *finished_new(const struct sandbox *box, const struct request *request,
                            const struct llm_said *said)
{
	bool is_cut = strcmp(said->finish, "length") == 0;
	json_t *response = response_new(box, request, is_cut ? "incomplete" : "completed");
	if (is_cut) {
		json_t *details = json_object();
		json_put_str(details, "reason", "max_output_tokens");
		json_put(response, "incomplete_details", details);
	}
	json_put(response, "output", output_new(said, is_cut));
	json_put(response, "usage", usage_new(said));
	return response;
}

/* --- streaming ---------------------------------------------------------------------- */

struct stream {
	struct reply *reply;
	int64_t count;
};

static void emit(struct stream *stream, const char *type, json_t *event_taken)
{
	json_put_str(event_taken, "type", type);
	json_put_int(event_taken, "sequence_number", stream->count++);
	llm_event_put(stream->reply, type, event_taken);
	json_decref(event_taken);
}

static json_t *event_new(const char *key, json_t *value_taken)
{
	json_t *event = json_object();
	json_put(event, key, value_taken);
	return event;
}

static json_t *place_new(const char *item_id, bool with_content)
{
	json_t *event = json_object();
	json_put_str(event, "item_id", item_id);
	json_put_int(event, "output_index", 0);
	if (with_content)
		json_put_int(event, "content_index", 0);
	return event;
}

/* The pieces of a text, then the whole: NAME.delta and NAME.done. */
static void emit_text(struct stream *stream, const char *name, const char *item_id, const char *key,
                      const char *whole, bool with_content)
{
	char *delta = mem_format("%s.delta", name), *done = mem_format("%s.done", name);
	for (size_t len, at = 0; (len = llm_piece_len(whole + at)) > 0; at += len) {
		json_t *event = place_new(item_id, with_content);
		json_put(event, "delta", json_text((struct str){ whole + at, len }));
		emit(stream, delta, event);
	}
	json_t *event = place_new(item_id, with_content);
	json_put(event, key, json_text(str_of(whole)));
	emit(stream, done, event);
	free(delta);
	free(done);
}

static void emit_message(struct stream *stream, const json_t *item)
{
	const char *id = json_str(item, "id", "");
	const json_t *part = json_array_get(json_at(item, "content"), 0);
	bool is_refusal = strcmp(json_str(part, "type", ""), "refusal") == 0;
	const char *key = is_refusal ? "refusal" : "text";
	json_t *empty = json_deep_copy(item), *event = place_new(id, true);
	json_put_str(empty, "status", "in_progress");
	json_put(empty, "content", json_array());
	json_t *added = event_new("item", empty);
	json_put_int(added, "output_index", 0);
	emit(stream, "response.output_item.added", added);
	json_put(event, "part", part_new(json_str(part, "type", ""), key, ""));
	emit(stream, "response.content_part.added", event);
	emit_text(stream, is_refusal ? "response.refusal" : "response.output_text", id, key,
	          json_str(part, key, ""), true);
	event = place_new(id, true);
	json_put(event, "part", json_deep_copy(part));
	emit(stream, "response.content_part.done", event);
}

static void emit_call(struct stream *stream, const json_t *item)
{
	json_t *empty = json_deep_copy(item);
	json_put_str(empty, "status", "in_progress");
	json_put_str(empty, "arguments", "");
	json_t *added = event_new("item", empty);
	json_put_int(added, "output_index", 0);
	emit(stream, "response.output_item.added", added);
	emit_text(stream, "response.function_call_arguments", json_str(item, "id", ""), "arguments",
	          json_str(item, "arguments", ""), false);
}

static void stream(const struct sandbox *box, const struct request *request, const json_t *finished,
                   struct reply *reply)
{
	struct stream stream = { reply, 0 };
	const json_t *item = json_array_get(json_at(finished, "output"), 0);
	reply_text(reply, 200, "text/event-stream; charset=utf-8", "");
	emit(&stream, "response.created",
	     event_new("response", response_new(box, request, "in_progress")));
	emit(&stream, "response.in_progress",
	     event_new("response", response_new(box, request, "in_progress")));
	if (strcmp(json_str(item, "type", ""), "message") == 0)
		emit_message(&stream, item);
	else
		emit_call(&stream, item);
	json_t *done = event_new("item", json_deep_copy(item));
	json_put_int(done, "output_index", 0);
	emit(&stream, "response.output_item.done", done);
	bool is_cut = strcmp(json_str(finished, "status", ""), "incomplete") == 0;
	emit(&stream, is_cut ? "response.incomplete" : "response.completed",
	     event_new("response", json_deep_copy(finished)));
}

/* --- serving -------------------------------------------------------------------------- */

static void unknown(struct reply *reply, const char *id)
{
	char *text = mem_format("Response with id '%.100s' not found.", id);
	llm_error(reply, 404, "invalid_request_error", NULL, NULL, text);
	free(text);
}

void llm_responses(struct sandbox *box, struct request *request, const struct parts *parts,
                   struct reply *reply)
{
	(void)parts;
	const char *previous = json_str(request->json, "previous_response_id", NULL);
	if (previous && !json_at(box->responses, previous)) {
		llm_error(reply, 400, "invalid_request_error", "previous_response_not_found",
		          "previous_response_id", "The previous response does not exist.");
		return;
	}
	json_t *chat = chat_new(request, reply);
	if (!chat)
		return;
	struct llm_said said;
	llm_say(box, request, chat, &said);
	json_t *finished = finished_new(box, request, &said);
	if (json_truth(request->json, "store", true)) {
		if (json_object_size(box->responses) >= STORED_MAX)
			json_object_clear(box->responses);
		json_put(box->responses, json_str(finished, "id", ""), json_deep_copy(finished));
	}
	if (json_truth(request->json, "stream", false))
		stream(box, request, finished, reply);
	else
		reply_json(reply, 200, json_incref(finished));
	json_decref(finished);
	json_decref(chat);
	llm_said_release(&said);
}

void llm_response_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	(void)request;
	json_t *stored = json_at(box->responses, parts->at[0]);
	if (stored)
		reply_json(reply, 200, json_incref(stored));
	else
		unknown(reply, parts->at[0]);
}

void llm_response_delete(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	(void)request;
	if (!json_at(box->responses, parts->at[0])) {
		unknown(reply, parts->at[0]);
		return;
	}
	json_object_del(box->responses, parts->at[0]);
	json_t *body = json_object();
	json_put_str(body, "id", parts->at[0]);
	json_put_str(body, "object", "response");
	json_put(body, "deleted", json_true());
	reply_json(reply, 200, body);
}
