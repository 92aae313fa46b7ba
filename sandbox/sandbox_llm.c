/* SPDX-License-Identifier: MIT */
/*
 * An OpenAI-compatible model that always says the same to the same question.
 *
 * An answer to a json_schema comes from the account's scenario (llm.answers),
 * else from scenarios/llm/<schema name>.json, else from the schema alone; in
 * each case sandbox_llm_answer.c makes it fit the schema, as strict structured
 * output does.  A scenario may also hold "raw" text, a "refusal" or a
 * "finish_reason", to see what a caller does with them.
 */
#include "sandbox/sandbox_llm.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { CHUNK_BYTES = 24 };

static const char *const models[] = { "gpt-4o-mini", "gpt-4o",     "gpt-4.1",  "gpt-4.1-mini",
	                              "gpt-5",       "gpt-5-mini", "sandbox-1" };

void llm_error(struct reply *reply, int status, const char *type, const char *code,
               const char *parameter, const char *message)
{
	json_t *body = json_object(), *inner = json_object();
	json_put_str(inner, "message", message);
	json_put_str(inner, "type", type);
	json_put(inner, "param", parameter ? json_text(str_of(parameter)) : json_null());
	json_put(inner, "code", code ? json_text(str_of(code)) : json_null());
	json_put(body, "error", inner);
	reply_json(reply, status, body);
}

static void bad_request(struct reply *reply, const char *parameter, const char *message)
{
	llm_error(reply, 400, "invalid_request_error", NULL, parameter, message);
}

/* --- the request ---------------------------------------------------------------- */

bool llm_model_is_known(const char *model)
{
	for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++)
		if (strcmp(models[i], model) == 0)
			return true;
	/* Dated snapshots: gpt-4o-mini-2024-07-18. */
	return str_begins(model, "gpt-4") || str_begins(model, "gpt-5");
}

static bool message_is_good(const json_t *message)
{
	static const char *const roles[] = { "system", "developer", "user", "assistant", "tool" };
	const char *role = json_str(message, "role", "");
	const json_t *content = json_at(message, "content");
	bool known = false;
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		known |= strcmp(roles[i], role) == 0;
	bool has_content = json_is_string(content) || json_array_size(content) > 0 ||
	                   json_at(message, "tool_calls");
	return known && has_content;
}

static bool name_is_good(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("_-", name[i]))
			return false;
	return len > 0 && len <= 64;
}

static bool format_is_good(const json_t *format, struct reply *reply)
{
	const json_t *schema = json_path(format, "json_schema.schema");
	const char *type = json_str(format, "type", "");
	const char *name = json_str(json_at(format, "json_schema"), "name", "");
	bool is_schema = strcmp(type, "json_schema") == 0;
	if (!is_schema && strcmp(type, "text") != 0 && strcmp(type, "json_object") != 0) {
		bad_request(reply, "response_format.type",
		            "Invalid value for response_format.type");
		return false;
	}
	if (is_schema && !name_is_good(name)) {
		bad_request(reply, "response_format.json_schema.name",
		            "Invalid 'response_format.json_schema.name': expected a string of "
		            "letters, digits, _ and -, 1 to 64 characters");
		return false;
	}
	if (is_schema && json_truth(json_at(format, "json_schema"), "strict", false)) {
		char fault[300];
		if (!llm_schema_is_strict(schema, fault)) {
			char *text = mem_format("Invalid schema for response_format '%s': %s", name,
			                        fault);
			bad_request(reply, "response_format", text);
			free(text);
			return false;
		}
	}
	return true;
}

static bool request_is_good(const struct request *request, struct reply *reply)
{
	const json_t *body = request->json, *messages = json_at(body, "messages");
	const char *model = json_str(body, "model", NULL);
	const json_t *temperature = json_at(body, "temperature");
	if (!request_is(request, "application/json", false) || !json_is_object(body)) {
		bad_request(reply, NULL, "We could not parse the JSON body of your request.");
		return false;
	}
	if (!model) {
		bad_request(reply, "model", "you must provide a model parameter");
		return false;
	}
	if (!llm_model_is_known(model)) {
		char *text = mem_format(
			"The model `%.100s` does not exist or you do not have access to it.",
			model);
		llm_error(reply, 404, "invalid_request_error", "model_not_found", NULL, text);
		free(text);
		return false;
	}
	if (json_array_size(messages) == 0) {
		bad_request(reply, "messages", "Invalid 'messages': expected a non-empty array");
		return false;
	}
	for (size_t i = 0; i < json_array_size(messages); i++)
		if (!message_is_good(json_array_get(messages, i))) {
			bad_request(reply, "messages",
			            "Invalid message: role or content is missing");
			return false;
		}
	if (temperature &&
	    !(json_number_value(temperature) >= 0 && json_number_value(temperature) <= 2)) {
		bad_request(reply, "temperature",
		            "Invalid 'temperature': expected a number from 0 to 2");
		return false;
	}
	const json_t *format = json_at(body, "response_format");
	return !format || json_is_null(format) || format_is_good(format, reply);
}

static void put_text(const json_t *content, struct buf *out)
{
	if (json_is_string(content))
		buf_printf(out, "%s\n", json_string_value(content));
	for (size_t i = 0; i < json_array_size(content); i++)
		buf_printf(out, "%s\n", json_str(json_array_get(content, i), "text", ""));
}

/* --- the answer ----------------------------------------------------------------- */

static size_t whole_len(const char *text, size_t len)
{
	while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
		len--;
	return len;
}

/* Cut short: where the scenario says so, or where the tokens run out. */
static json_t *content_new(const char *text, const json_t *chat, const char **finish)
{
	enum { BYTES_PER_TOKEN = 4 };
	int64_t most = json_int(chat, "max_completion_tokens", json_int(chat, "max_tokens", 0));
	size_t len = strlen(text);
	if (strcmp(*finish, "length") == 0) {
		len = whole_len(text, len / 2);
	} else if (most > 0 && (int64_t)len > most * BYTES_PER_TOKEN) {
		len = whole_len(text, (size_t)most * BYTES_PER_TOKEN);
		*finish = "length";
	}
	return json_text((struct str){ text, len });
}

static json_t *message_new(struct sandbox *box, const struct request *request, const json_t *chat,
                           const char *question, const char **ret_finish)
{
	json_t *message = json_object();
	const struct scenario *scenario = request->account ? scenario_find(box, request->account)
	                                                   : NULL;
	const json_t *own = scenario ? json_at(scenario->data, "llm") : NULL;
	json_t *calls = llm_tool_calls_new(chat, question);
	const char *refusal = json_str(own, "refusal", NULL);
	*ret_finish = calls ? "tool_calls" : json_str(own, "finish_reason", "stop");
	json_put_str(message, "role", "assistant");
	if (refusal || calls) {
		json_put(message, "content", json_null());
	} else {
		char *text = llm_answer_new(box, chat, own, question);
		json_put(message, "content", content_new(text, chat, ret_finish));
		free(text);
	}
	json_put(message, "refusal", refusal ? json_text(str_of(refusal)) : json_null());
	if (refusal)
		json_decref(calls);
	else
		json_put(message, "tool_calls", calls);
	return message;
}

void llm_say(struct sandbox *box, const struct request *request, const json_t *chat,
             struct llm_said *ret)
{
	struct buf question;
	const json_t *messages = json_at(chat, "messages");
	buf_init(&question, MAX_BODY_BYTES * 2);
	for (size_t i = 0; i < json_array_size(messages); i++)
		put_text(json_at(json_array_get(messages, i), "content"), &question);
	const char *text = buf_str(&question).ptr;
	ret->message = message_new(box, request, chat, text, &ret->finish);
	const json_t *calls = json_at(ret->message, "tool_calls");
	char *called = calls ? json_canon(calls) : mem_dup_str("");
	ret->asked = (int64_t)strlen(text) / 4 + 8;
	ret->said = (int64_t)(strlen(json_str(ret->message, "content", "")) + strlen(called)) / 4 +
	            1;
	box->completion_count++;
	free(called);
	buf_release(&question);
}

void llm_said_release(struct llm_said *said)
{
	json_decref(said->message);
}

const char *llm_refusal(const struct llm_said *said)
{
	return json_str(said->message, "refusal", NULL);
}

static json_t *usage_new(const struct llm_said *said)
{
	json_t *usage = json_object(), *prompt = json_object(), *completion = json_object();
	json_put_int(usage, "prompt_tokens", said->asked);
	json_put_int(usage, "completion_tokens", said->said);
	json_put_int(usage, "total_tokens", said->asked + said->said);
	json_put_int(prompt, "cached_tokens", 0);
	json_put(usage, "prompt_tokens_details", prompt);
	json_put_int(completion, "reasoning_tokens", 0);
	json_put(usage, "completion_tokens_details", completion);
	return usage;
}

static json_t *envelope_new(const struct request *request, const char *id, const char *object)
{
	json_t *envelope = json_object();
	json_put_str(envelope, "id", id);
	json_put_str(envelope, "object", object);
	json_put_int(envelope, "created", request->now_ms / 1000);
	json_put_str(envelope, "model", json_str(request->json, "model", ""));
	json_put_str(envelope, "system_fingerprint", "fp_sandbox");
	return envelope;
}

static json_t *choice_new(const char *key, json_t *content_taken, const char *finish)
{
	json_t *choice = json_object();
	json_put_int(choice, "index", 0);
	json_put(choice, key, content_taken);
	json_put(choice, "logprobs", json_null());
	json_put(choice, "finish_reason", finish ? json_string(finish) : json_null());
	return choice;
}

void llm_event_put(struct reply *reply, const char *name, const json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT);
	if (!text)
		mem_out();
	if (name)
		buf_printf(&reply->body, "event: %s\n", name);
	buf_printf(&reply->body, "data: %s\n\n", text);
	free(text);
}

static void put_delta(const struct request *request, const char *id, json_t *delta_taken,
                      const char *finish, struct reply *reply)
{
	json_t *event = envelope_new(request, id, "chat.completion.chunk"), *choices = json_array();
	json_push(choices, choice_new("delta", delta_taken, finish));
	json_put(event, "choices", choices);
	llm_event_put(reply, NULL, event);
	json_decref(event);
}

/* Whole characters only. */
size_t llm_piece_len(const char *text)
{
	size_t len = strlen(text) < CHUNK_BYTES ? strlen(text) : CHUNK_BYTES;
	while (text[len] && ((unsigned char)text[len] & 0xC0) == 0x80)
		len++;
	return len;
}

static json_t *streamed_calls_new(const json_t *calls)
{
	json_t *copy = json_deep_copy(calls);
	for (size_t i = 0; i < json_array_size(copy); i++)
		json_put_int(json_array_get(copy, i), "index", (int64_t)i);
	return copy;
}

static void stream(const struct request *request, const char *id, const json_t *message,
                   const char *finish, json_t *usage, struct reply *reply)
{
	json_t *delta = json_object();
	reply_text(reply, 200, "text/event-stream; charset=utf-8", "");
	json_put_str(delta, "role", "assistant");
	json_put_str(delta, "content", "");
	put_delta(request, id, delta, NULL, reply);
	const char *text = json_str(message, "content", "");
	for (size_t len; (len = llm_piece_len(text)) > 0; text += len) {
		delta = json_object();
		json_put(delta, "content", json_text((struct str){ text, len }));
		put_delta(request, id, delta, NULL, reply);
	}
	if (json_at(message, "tool_calls")) {
		delta = json_object();
		json_put(delta, "tool_calls", streamed_calls_new(json_at(message, "tool_calls")));
		put_delta(request, id, delta, NULL, reply);
	}
	put_delta(request, id, json_object(), finish, reply);
	if (json_truth(json_at(request->json, "stream_options"), "include_usage", false)) {
		json_t *last = envelope_new(request, id, "chat.completion.chunk");
		json_put(last, "choices", json_array());
		json_put(last, "usage", json_incref(usage));
		llm_event_put(reply, NULL, last);
		json_decref(last);
	}
	buf_put(&reply->body, "data: [DONE]\n\n");
}

static void completions(struct sandbox *box, struct request *request, const struct parts *parts,
                        struct reply *reply)
{
	(void)parts;
	if (!request_is_good(request, reply))
		return;
	char id[64];
	struct llm_said said;
	llm_say(box, request, request->json, &said);
	snprintf(id, sizeof(id), "chatcmpl-sandbox%06lld", (long long)box->completion_count);
	json_t *usage = usage_new(&said);
	if (json_truth(request->json, "stream", false)) {
		stream(request, id, said.message, said.finish, usage, reply);
	} else {
		json_t *body = envelope_new(request, id, "chat.completion"),
		       *choices = json_array();
		json_push(choices, choice_new("message", json_incref(said.message), said.finish));
		json_put(body, "choices", choices);
		json_put(body, "usage", json_incref(usage));
		reply_json(reply, 200, body);
	}
	json_decref(usage);
	llm_said_release(&said);
}

/* --- models and serving ----------------------------------------------------------- */

static json_t *model_new(const char *name)
{
	json_t *model = json_object();
	json_put_str(model, "id", name);
	json_put_str(model, "object", "model");
	json_put_int(model, "created", 1700000000);
	json_put_str(model, "owned_by", "gangway-sandbox");
	return model;
}

static void model_list(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	(void)box;
	(void)request;
	(void)parts;
	json_t *body = json_object(), *list = json_array();
	for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++)
		json_push(list, model_new(models[i]));
	json_put_str(body, "object", "list");
	json_put(body, "data", list);
	reply_json(reply, 200, body);
}

static void model_show(struct sandbox *box, struct request *request, const struct parts *parts,
                       struct reply *reply)
{
	(void)box;
	(void)request;
	if (llm_model_is_known(parts->at[0]))
		reply_json(reply, 200, model_new(parts->at[0]));
	else
		llm_error(reply, 404, "invalid_request_error", "model_not_found", "model",
		          "The model does not exist");
}

enum llm_api { LLM_OPENAI, LLM_ANTHROPIC, LLM_BEDROCK };

/* One port for the three: their paths differ, and for the list of models a header does. */
static enum llm_api api_of(const struct request *request)
{
	if (str_begins(request->path, "/model/"))
		return LLM_BEDROCK;
	bool is_anthropic = str_begins(request->path, "/v1/messages") ||
	                    *request_header(request, "anthropic-version");
	return is_anthropic ? LLM_ANTHROPIC : LLM_OPENAI;
}

static void put_limits(struct sandbox *box, struct reply *reply)
{
	reply_header(reply, "x-request-id", "req_sandbox%06lld", (long long)box->completion_count);
	reply_header(reply, "openai-version", "2020-10-01");
	reply_header(reply, "x-ratelimit-limit-requests", "10000");
	reply_header(reply, "x-ratelimit-remaining-requests", "%lld",
	             9999 - (long long)(box->completion_count % 10000));
	reply_header(reply, "x-ratelimit-reset-requests", "6ms");
}

void llm_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "POST", "/v1/chat/completions", completions },
		{ "POST", "/v1/responses", llm_responses },
		{ "GET", "/v1/responses/{}", llm_response_show },
		{ "DELETE", "/v1/responses/{}", llm_response_delete },
		{ "GET", "/v1/models", model_list },
		{ "GET", "/v1/models/{}", model_show },
	};
	enum llm_api api = api_of(request);
	if (api == LLM_ANTHROPIC) {
		anthropic_serve(box, request, reply);
		return;
	}
	if (api == LLM_BEDROCK) {
		bedrock_serve(box, request, reply);
		return;
	}
	const char *given = request_bearer(request);
	bool good = given && strcmp(given, LLM_KEY) == 0;
	request->auth = good ? AUTH_ACCEPTED : AUTH_REFUSED;
	if (!good) {
		llm_refuse(box, request, 401, reply);
		return;
	}
	switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request, reply)) {
	case ROUTE_SERVED: break;
	case ROUTE_OTHER_METHOD:
		llm_error(reply, 405, "invalid_request_error", "method_not_supported", NULL,
		          "Not allowed to use this method on this URL");
		break;
	case ROUTE_NONE:
		llm_error(reply, 404, "invalid_request_error", NULL, NULL, "Invalid URL");
		break;
	}
	put_limits(box, reply);
}

void llm_refuse(struct sandbox *box, const struct request *request, int status, struct reply *reply)
{
	(void)box;
	switch (api_of(request)) {
	case LLM_ANTHROPIC: anthropic_refuse(status, reply); return;
	case LLM_BEDROCK: bedrock_refuse(status, reply); return;
	case LLM_OPENAI: break;
	}
	switch (status) {
	case 400: bad_request(reply, "messages", "Invalid 'messages'"); return;
	case 401:
		llm_error(reply, 401, "invalid_request_error", "invalid_api_key", NULL,
		          "Incorrect API key provided.");
		return;
	case 403:
		llm_error(reply, 403, "invalid_request_error",
		          "unsupported_country_region_territory", NULL,
		          "Country, region, or territory not supported");
		return;
	case 404:
		llm_error(reply, 404, "invalid_request_error", "model_not_found", NULL,
		          "The model does not exist or you do not have access to it.");
		return;
	case 429:
		llm_error(reply, 429, "requests", "rate_limit_exceeded", NULL,
		          "Rate limit reached for requests");
		reply_header(reply, "Retry-After", "1");
		reply_header(reply, "x-ratelimit-remaining-requests", "0");
		reply_header(reply, "x-ratelimit-reset-requests", "1s");
		return;
	case 503:
		llm_error(reply, 503, "server_error", "slow_down", NULL,
		          "That model is currently overloaded with other requests.");
		return;
	default:
		llm_error(reply, status, "server_error", NULL, NULL,
		          "The server had an error while processing your request.");
		return;
	}
}
