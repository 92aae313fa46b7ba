/* SPDX-License-Identifier: MIT */
/*
 * llm - asks a language model: any OpenAI-compatible endpoint, Anthropic
 * Messages or Amazon Bedrock Converse, as the connection's settings say.
 *
 * Each of the three is a pair of functions, one that writes the question and one
 * that reads the answer into struct answer; everything else is the same for all.
 * When a model cannot be had, the next of the settings' list is asked.
 *
 * The engine renders the prompt: only its allowed fields, masked.  The answer is
 * believed step by step: an error in it, no choice, a refusal, a text cut short,
 * no JSON, not the schema's JSON.  What passes is unmasked and handed over; it
 * is advice, and no graph can take it for more.
 */
#include <stdbool.h>
#include <string.h>

#include "gw_plugin.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 };

enum api { API_OPENAI, API_ANTHROPIC, API_BEDROCK };
enum ending { ENDED, CUT_SHORT, REFUSED, FILTERED };

struct complete {
	const struct gw_prompt *prompt;
	size_t at;           /* the model that is asked, of those that may be */
	bool no_temperature; /* the model takes none */
};

/* What came back, in our words. */
struct answer {
	const struct gw_json *content; /* the text; absent: there is no answer at all */
	const struct gw_json *usage;
	struct gw_str refusal;
	enum ending ending;
};

static bool is(struct gw_str text, const char *what)
{
	return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

/* --- what went wrong ------------------------------------------------------ */

/* A code is text, a number (llama.cpp) or null; then the type says more. */
static struct gw_str code_of(const struct gw_host *host, struct gw_call *call,
                             const struct gw_json *error)
{
	const struct gw_json *code = host->json->get(error, "code");
	if (host->json->type(code) == GW_JSON_INT)
		return host->json->text(call, code);
	struct gw_str text = host->json->str(code);
	return text.len > 0 ? text : host->json->str(host->json->get(error, "type"));
}

/* Money is used up: 429 like a rate limit, but no waiting helps. */
static bool is_quota(const struct gw_host *host, const struct gw_json *error)
{
	static const char *const codes[] = { "insufficient_quota", "credit_balance_exhausted",
		                             "organization_spend_limit_exceeded",
		                             "project_spend_limit_exceeded",
		                             "organization_usage_limit_exceeded" };
	struct gw_str code = host->json->str(host->json->get(error, "code"));
	struct gw_str type = host->json->str(host->json->get(error, "type"));
	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (is(code, codes[i]) || is(type, codes[i]))
			return true;
	return false;
}

static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	const struct gw_json *body = NULL;
	if (reply->code == 429)
		body = host->json->parse(call, reply->body);
	if (is_quota(host, host->json->get(body, "error")))
		return GW_REPLY_PERMANENT;
	struct gw_str advice = reply->header(reply, "x-should-retry");
	if (reply->code >= 400 && is(advice, "true"))
		return GW_REPLY_RETRY;
	if (reply->code >= 400 && is(advice, "false"))
		return GW_REPLY_PERMANENT;
	return reply->code == 529 ? GW_REPLY_RETRY : GW_REPLY_DEFAULT; /* Anthropic: overloaded */
}

/* Bedrock names its errors in a header, "ThrottlingException:http://...", or in __type. */
static struct gw_str bedrock_code(const struct gw_host *host, const struct gw_json *body,
                                  const struct gw_http_reply *reply)
{
	struct gw_str code = reply->header(reply, "x-amzn-ErrorType");
	if (code.len == 0) {
		code = host->json->str(host->json->get(body, "__type"));
		const char *hash = code.len ? memchr(code.ptr, '#', code.len) : NULL;
		if (hash)
			code = (struct gw_str){ hash + 1,
				                (size_t)(code.ptr + code.len - hash - 1) };
	}
	const char *colon = code.len ? memchr(code.ptr, ':', code.len) : NULL;
	return colon ? (struct gw_str){ code.ptr, (size_t)(colon - code.ptr) } : code;
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	const struct gw_json *error = host->json->get(body, "error");
	struct gw_str message = host->json->str(host->json->get(error, "message"));
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = GW_E_DENIED,
		                      .error_code = code_of(host, call, error),
		                      .message = message };
	if (message.len == 0)
		message = host->json->str(error); /* {"error": "text"} */
	if (!error) {
		failure.error_code = bedrock_code(host, body, reply);
		message = host->json->str(host->json->get(body, "message"));
	}
	if (message.len > 0)
		message = host->call->format(call, "LLM: %.*s", (int)message.len, message.ptr);
	failure.message = message;
	/* Without the 429, which would say that waiting helps. */
	if (is_quota(host, error))
		host->call->fail(call, &failure);
	else
		host->call->fail_reply(call, status, reply, failure.error_code, message);
}

/* The reply came, but what it holds is not to be used. */
static void reject(const struct gw_host *host, struct gw_call *call, struct gw_str code,
                   struct gw_str why)
{
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = GW_E_REPLY,
		                      .error_code = code };
	failure.message = host->call->format(call, "LLM: %.*s", (int)why.len, why.ptr);
	host->call->fail(call, &failure);
}

/* --- who is asked ------------------------------------------------------------- */

static enum api api_of(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str api = host->call->setting(call, "api", "openai");
	return is(api, "anthropic") ? API_ANTHROPIC : is(api, "bedrock") ? API_BEDROCK : API_OPENAI;
}

/* As OpenTelemetry names it. */
static const struct gw_json *provider_of(const struct gw_host *host, struct gw_call *call)
{
	enum api api = api_of(host, call);
	return host->json->parse(call, api == API_ANTHROPIC ? GW_LIT("\"anthropic\"")
	                               : api == API_BEDROCK ? GW_LIT("\"aws.bedrock\"")
	                                                    : GW_LIT("\"openai\""));
}

/* The prompt's own model first, then those of the list; without a list the one of the settings. */
static struct gw_str model_at(const struct gw_host *host, struct gw_call *call, size_t at)
{
	const struct complete *all = host->call->state(call);
	const struct gw_json *list = host->json->parse(call,
	                                               host->call->setting(call, "models", "[]"));
	if (all->prompt->model.len > 0 && at-- == 0)
		return all->prompt->model;
	if (host->json->count(list) == 0 && at == 0 && all->prompt->model.len == 0)
		return host->call->setting(call, "model", "gpt-4o-mini");
	return host->json->str(host->json->at(list, at));
}

/* --- OpenAI: Chat Completions --------------------------------------------------- */

static void add_message(const struct gw_host *host, struct gw_call *call, struct gw_json *messages,
                        struct gw_str role, const struct gw_json *content)
{
	struct gw_json *message = host->json->object(call);
	host->json->set_str(message, "role", role);
	host->json->set(message, "content", content);
	host->json->push(messages, message);
}

static void add_text(const struct gw_host *host, struct gw_call *call, struct gw_json *messages,
                     struct gw_str role, struct gw_str text)
{
	struct gw_json *holder = host->json->object(call);
	host->json->set_str(holder, "text", text);
	add_message(host, call, messages, role, host->json->get(holder, "text"));
}

/* The schema that the answer must keep to; checked here again, whatever the server promises. */
static const struct gw_json *format_of(const struct gw_host *host, struct gw_call *call,
                                       const struct gw_prompt *prompt)
{
	struct gw_json *format = host->json->object(call), *inner = host->json->object(call);
	if (!prompt->schema)
		return NULL;
	host->json->set_str(inner, "name", prompt->name);
	host->json->set_bool(inner, "strict", true);
	host->json->set(inner, "schema", prompt->schema);
	host->json->set_str(format, "type", GW_LIT("json_schema"));
	host->json->set(format, "json_schema", inner);
	return format;
}

static struct gw_json *openai_question(const struct gw_host *host, struct gw_call *call,
                                       struct gw_str model)
{
	const struct complete *all = host->call->state(call);
	const struct gw_prompt *prompt = all->prompt;
	struct gw_json *body = host->json->object(call), *messages = host->json->list(call);
	struct gw_str limit = host->call->setting(call, "max_tokens_field",
	                                          "max_completion_tokens");
	add_text(host, call, messages, GW_LIT("system"), prompt->system);
	add_text(host, call, messages, GW_LIT("user"), prompt->user);
	host->json->set_str(body, "model", model);
	host->json->set(body, "messages", messages);
	if (prompt->max_tokens > 0)
		host->json->set_int(body,
		                    host->call->format(call, "%.*s", (int)limit.len, limit.ptr).ptr,
		                    prompt->max_tokens);
	if (prompt->temperature >= 0 && !all->no_temperature)
		host->json->set_num(body, "temperature", prompt->temperature);
	host->json->set(body, "response_format", format_of(host, call, prompt));
	return body;
}

/* Tokens in our words: what was read from a cache is part of the prompt's. */
static const struct gw_json *tokens(const struct gw_host *host, struct gw_call *call,
                                    int64_t prompt, int64_t completion, int64_t total,
                                    int64_t cached)
{
	struct gw_json *usage = host->json->object(call);
	host->json->set_int(usage, "prompt_tokens", prompt);
	host->json->set_int(usage, "completion_tokens", completion);
	host->json->set_int(usage, "total_tokens", total);
	host->json->set_int(usage, "cached_tokens", cached);
	return usage;
}

static int64_t number_at(const struct gw_host *host, const struct gw_json *value, const char *path)
{
	return host->json->integer(host->json->get(value, path), 0);
}

static struct answer openai_answer(const struct gw_host *host, struct gw_call *call,
                                   const struct gw_json *body)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *choice = j->at(j->get(body, "choices"), 0);
	const struct gw_json *used = j->get(body, "usage");
	struct gw_str finish = j->str(j->get(choice, "finish_reason"));
	struct answer answer = { .content = j->get(choice, "message.content"),
		                 .refusal = j->str(j->get(choice, "message.refusal")) };
	answer.ending = answer.refusal.len > 0         ? REFUSED
	                : is(finish, "length")         ? CUT_SHORT
	                : is(finish, "content_filter") ? FILTERED
	                                               : ENDED;
	if (j->type(used) == GW_JSON_OBJECT)
		answer.usage = tokens(host, call, number_at(host, used, "prompt_tokens"),
		                      number_at(host, used, "completion_tokens"),
		                      number_at(host, used, "total_tokens"),
		                      number_at(host, used, "prompt_tokens_details.cached_tokens"));
	return answer;
}

/* --- Anthropic: Messages ---------------------------------------------------------- */

/* A text joined from the blocks that have one; the others (reasoning, tools) are passed over. */
static const struct gw_json *joined(const struct gw_host *host, struct gw_call *call,
                                    const struct gw_json *blocks)
{
	struct gw_str all = GW_LIT("");
	struct gw_json *holder = host->json->object(call);
	for (size_t i = 0; i < host->json->count(blocks); i++) {
		struct gw_str text =
			host->json->str(host->json->get(host->json->at(blocks, i), "text"));
		if (all.len > ANSWER_BYTES_MAX || text.len > ANSWER_BYTES_MAX)
			break;
		if (text.len > 0)
			all = host->call->format(call, "%.*s%.*s", (int)all.len, all.ptr,
			                         (int)text.len, text.ptr);
	}
	if (host->json->type(blocks) != GW_JSON_LIST)
		return NULL;
	host->json->set_str(holder, "text", all);
	return host->json->get(holder, "text");
}

static int64_t limit_of(const struct gw_prompt *prompt)
{
	enum { TOKENS = 1024 }; /* it must be said */
	return prompt->max_tokens > 0 ? prompt->max_tokens : TOKENS;
}

/* No temperature: newer models refuse it, even at its default. */
static struct gw_json *anthropic_question(const struct gw_host *host, struct gw_call *call,
                                          struct gw_str model)
{
	const struct complete *all = host->call->state(call);
	const struct gw_json_ops *j = host->json;
	struct gw_json *body = j->object(call), *messages = j->list(call);
	struct gw_json *config = j->object(call), *format = j->object(call);
	add_text(host, call, messages, GW_LIT("user"), all->prompt->user);
	j->set_str(body, "model", model);
	j->set_int(body, "max_tokens", limit_of(all->prompt));
	j->set_str(body, "system", all->prompt->system);
	j->set(body, "messages", messages);
	if (all->prompt->schema) {
		j->set_str(format, "type", GW_LIT("json_schema"));
		j->set(format, "schema", all->prompt->schema);
		j->set(config, "format", format);
		j->set(body, "output_config", config);
	}
	return body;
}

static enum ending ending_of(struct gw_str reason)
{
	if (is(reason, "max_tokens") || is(reason, "model_context_window_exceeded"))
		return CUT_SHORT;
	if (is(reason, "refusal"))
		return REFUSED;
	return is(reason, "content_filtered") || is(reason, "guardrail_intervened") ? FILTERED
	                                                                            : ENDED;
}

/* What was written to and read from the cache is not part of input_tokens. */
static struct answer anthropic_answer(const struct gw_host *host, struct gw_call *call,
                                      const struct gw_json *body)
{
	const struct gw_json *used = host->json->get(body, "usage");
	struct answer answer = { .content = joined(host, call, host->json->get(body, "content")) };
	int64_t cached = number_at(host, used, "cache_read_input_tokens");
	int64_t input = number_at(host, used, "input_tokens") + cached +
	                number_at(host, used, "cache_creation_input_tokens");
	int64_t output = number_at(host, used, "output_tokens");
	answer.ending = ending_of(host->json->str(host->json->get(body, "stop_reason")));
	if (host->json->type(used) == GW_JSON_OBJECT)
		answer.usage = tokens(host, call, input, output, input + output, cached);
	return answer;
}

/* --- Amazon Bedrock: Converse --------------------------------------------------------- */

static struct gw_json *list_of_text(const struct gw_host *host, struct gw_call *call,
                                    struct gw_str text)
{
	struct gw_json *list = host->json->list(call), *block = host->json->object(call);
	host->json->set_str(block, "text", text);
	host->json->push(list, block);
	return list;
}

/* The schema travels as a text here. */
static const struct gw_json *bedrock_format(const struct gw_host *host, struct gw_call *call,
                                            const struct gw_prompt *prompt)
{
	const struct gw_json_ops *j = host->json;
	struct gw_json *schema = j->object(call), *structure = j->object(call);
	struct gw_json *format = j->object(call), *config = j->object(call);
	if (!prompt->schema)
		return NULL;
	j->set_str(schema, "name", prompt->name);
	j->set_str(schema, "schema", j->text(call, prompt->schema));
	j->set(structure, "jsonSchema", schema);
	j->set_str(format, "type", GW_LIT("json_schema"));
	j->set(format, "structure", structure);
	j->set(config, "textFormat", format);
	return config;
}

static struct gw_json *bedrock_question(const struct gw_host *host, struct gw_call *call)
{
	const struct complete *all = host->call->state(call);
	const struct gw_json_ops *j = host->json;
	struct gw_json *body = j->object(call), *messages = j->list(call);
	struct gw_json *inference = j->object(call);
	add_message(host, call, messages, GW_LIT("user"),
	            list_of_text(host, call, all->prompt->user));
	j->set(body, "messages", messages);
	j->set(body, "system", list_of_text(host, call, all->prompt->system));
	j->set_int(inference, "maxTokens", limit_of(all->prompt));
	j->set(body, "inferenceConfig", inference);
	j->set(body, "outputConfig", bedrock_format(host, call, all->prompt));
	return body;
}

static struct answer bedrock_answer(const struct gw_host *host, struct gw_call *call,
                                    const struct gw_json *body)
{
	const struct gw_json *used = host->json->get(body, "usage");
	struct answer answer = {
		.content = joined(host, call, host->json->get(body, "output.message.content"))
	};
	int64_t cached = number_at(host, used, "cacheReadInputTokens");
	int64_t input = number_at(host, used, "inputTokens") + cached +
	                number_at(host, used, "cacheWriteInputTokens");
	int64_t output = number_at(host, used, "outputTokens");
	answer.ending = ending_of(host->json->str(host->json->get(body, "stopReason")));
	if (host->json->type(used) == GW_JSON_OBJECT)
		answer.usage = tokens(host, call, input, output, input + output, cached);
	return answer;
}

/* --- asking --------------------------------------------------------------------------- */

static void complete_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply);

static void ask(const struct gw_host *host, struct gw_call *call)
{
	const struct complete *all = host->call->state(call);
	struct gw_str model = model_at(host, call, all->at);
	enum api api = api_of(host, call);
	struct gw_header version = { GW_LIT("anthropic-version"),
		                     host->call->setting(call, "api_version", "2026-10-21") };
	struct gw_http_req req = { .size = sizeof(req), .method = "POST" };
	const struct gw_json *body = NULL;
	if (api == API_OPENAI) {
		req.path = GW_LIT("/chat/completions");
		body = openai_question(host, call, model);
	} else if (api == API_ANTHROPIC) {
		req.path = GW_LIT("/v1/messages");
		req.headers = &version;
		req.header_count = 1;
		body = anthropic_question(host, call, model);
	} else {
		struct gw_str segment = host->call->url(call, model);
		req.path = host->call->format(call, "/model/%.*s/converse", (int)segment.len,
		                              segment.ptr);
		body = bedrock_question(host, call);
	}
	req.body = host->json->text(call, body);
	host->http->send(call, &req, complete_done);
}

/* Another model may be there when this one is not; a wrong question is wrong for all of them. */
static bool ask_next(const struct gw_host *host, struct gw_call *call, int status,
                     const struct gw_http_reply *reply)
{
	struct complete *all = host->call->state(call);
	const struct gw_json *body = host->json->parse(call, reply->body);
	int32_t code = reply->code;
	bool is_away = status != GW_OK &&
	               (code == 404 || code == 408 || code == 424 || code == 429 || code >= 500 ||
	                (code == 0 && status == GW_E_TIMEOUT));
	if (!is_away || is_quota(host, host->json->get(body, "error")) ||
	    model_at(host, call, all->at + 1).len == 0)
		return false;
	struct gw_str model = model_at(host, call, all->at);
	host->call->note(call, host->call
	                               ->format(call, "the model %.*s is not to be had (HTTP %d)",
	                                        (int)model.len, model.ptr, (int)code)
	                               .ptr);
	all->at++;
	all->no_temperature = false;
	ask(host, call);
	return true;
}

/* --- believing ------------------------------------------------------------------ */

/* Millionths of the price table's currency, by the model that answered or that was asked. */
static const struct gw_json *cost_of(const struct gw_host *host, struct gw_call *call,
                                     struct gw_str model, const struct gw_json *usage)
{
	const struct gw_json_ops *j = host->json;
	const struct complete *all = host->call->state(call);
	const struct gw_json *table = j->parse(call, host->call->setting(call, "prices", "{}"));
	const struct gw_json *price = j->member(table, model);
	if (!price)
		price = j->member(table, model_at(host, call, all->at));
	if (!price || !usage)
		return NULL;
	double input = j->number(j->get(price, "input"), 0);
	double cached_price = j->number(j->get(price, "cached"), input);
	double cached = (double)number_at(host, usage, "cached_tokens");
	double micros = ((double)number_at(host, usage, "prompt_tokens") - cached) * input +
	                cached * cached_price +
	                (double)number_at(host, usage, "completion_tokens") *
	                        j->number(j->get(price, "output"), 0);
	struct gw_json *cost = j->object(call);
	j->set_str(cost, "currency", host->call->setting(call, "currency", "USD"));
	j->set_int(cost, "micros", micros > 0 && micros < 1e15 ? (int64_t)(micros + 0.5) : 0);
	return cost;
}

static const struct gw_json *prompt_facts(const struct gw_host *host, struct gw_call *call,
                                          const struct gw_prompt *prompt)
{
	struct gw_json *facts = host->json->object(call);
	host->json->set_str(facts, "name", prompt->name);
	host->json->set_str(facts, "version", prompt->version);
	host->json->set_str(facts, "sha256", prompt->sha256);
	return facts;
}

/* The answer's data, or NULL: the call has failed. */
static const struct gw_json *data_of(const struct gw_host *host, struct gw_call *call,
                                     const struct answer *answer)
{
	const struct complete *all = host->call->state(call);
	struct gw_str text = host->json->str(answer->content), why = GW_LIT("");
	const struct gw_json *data = answer->content;
	if (!answer->content && answer->ending == ENDED)
		reject(host, call, GW_LIT("NO_ANSWER"), GW_LIT("the answer holds no choice"));
	else if (answer->ending == REFUSED)
		reject(host, call, GW_LIT("REFUSED"),
		       answer->refusal.len > 0 ? answer->refusal
		       : text.len > 0          ? text
		                               : GW_LIT("the model refused"));
	else if (answer->ending == CUT_SHORT)
		reject(host, call, GW_LIT("TRUNCATED"), GW_LIT("the answer was cut short"));
	else if (answer->ending == FILTERED)
		reject(host, call, GW_LIT("CONTENT_FILTER"), GW_LIT("the answer was filtered"));
	else if (text.len == 0)
		reject(host, call, GW_LIT("NO_ANSWER"), GW_LIT("the answer holds no text"));
	else if (text.len > ANSWER_BYTES_MAX)
		reject(host, call, GW_LIT("INVALID_ANSWER"),
		       GW_LIT("the answer has more than 64 KiB"));
	else if (!all->prompt->schema)
		return data;
	else if (!(data = host->json->parse(call, text)))
		reject(host, call, GW_LIT("INVALID_ANSWER"), GW_LIT("the answer is no JSON"));
	else if ((why = host->json->invalid(call, all->prompt->schema, data)).len > 0)
		reject(host, call, GW_LIT("INVALID_ANSWER"), why);
	else
		return data;
	return NULL;
}

/* Bedrock does not say which model answered: the one that was asked. */
static const struct gw_json *model_of(const struct gw_host *host, struct gw_call *call,
                                      const struct gw_json *body)
{
	const struct complete *all = host->call->state(call);
	struct gw_json *holder = host->json->object(call);
	host->json->set_str(holder, "model", model_at(host, call, all->at));
	const struct gw_json *said = host->json->get(body, "model");
	return host->json->str(said).len > 0 ? said : host->json->get(holder, "model");
}

static void take_answer(const struct gw_host *host, struct gw_call *call,
                        const struct gw_json *body)
{
	const struct gw_json_ops *j = host->json;
	const struct complete *all = host->call->state(call);
	enum api api = api_of(host, call);
	struct answer answer = api == API_OPENAI      ? openai_answer(host, call, body)
	                       : api == API_ANTHROPIC ? anthropic_answer(host, call, body)
	                                              : bedrock_answer(host, call, body);
	const struct gw_json *model = model_of(host, call, body);
	const struct gw_json *cost = cost_of(host, call, j->str(model), answer.usage);
	host->call->fact(call, "model", model);
	if (answer.usage)
		host->call->fact(call, "usage", answer.usage);
	if (cost)
		host->call->fact(call, "cost", cost);
	const struct gw_json *data = data_of(host, call, &answer);
	if (!data)
		return;
	struct gw_json *result = j->object(call);
	j->set(result, "data", host->prompt->unmask(call, data));
	j->set(result, "model", model);
	j->set_null(result, "usage");
	j->set(result, "usage", answer.usage);
	j->set(result, "prompt", prompt_facts(host, call, all->prompt));
	host->call->done(call, result);
}

static void complete_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply)
{
	const struct gw_json_ops *j = host->json;
	struct complete *all = host->call->state(call);
	const struct gw_json *body = j->parse(call, reply->body), *error = j->get(body, "error");
	if (reply->code == 400 && !all->no_temperature &&
	    is(j->str(j->get(error, "param")), "temperature")) {
		all->no_temperature = true;
		ask(host, call);
		return;
	}
	if (ask_next(host, call, status, reply))
		return;
	if (status != GW_OK || j->type(body) != GW_JSON_OBJECT || j->type(error) > GW_JSON_NULL)
		fail(host, call, status, reply);
	else
		take_answer(host, call, body);
}

static void complete(const struct gw_host *host, struct gw_call *call)
{
	struct complete *all = host->call->state(call);
	all->prompt = host->prompt->render(call, host->call->str(call, "prompt"),
	                                   host->json->get(host->call->params(call), "values"));
	if (!all->prompt)
		return; /* the engine has said why */
	host->call->fact(call, "prompt", prompt_facts(host, call, all->prompt));
	host->call->fact(call, "provider", provider_of(host, call));
	ask(host, call);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
static const struct gw_action complete_action = {
	.size = sizeof(complete_action), .effect = GW_EFFECT_KEYED, .name = "complete",
	.summary = "Has a model answer a prompt; the answer is checked against the prompt's "
		   "schema.",
	.params =
		"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"prompt\"],"
		"\"properties\":{\"prompt\":{\"type\":\"string\","
		"\"pattern\":\"^[a-z][a-z0-9_-]{0,63}$\","
		"\"description\":\"The prompt's name\"},"
		"\"values\":{\"type\":\"object\",\"description\":\"What the prompt may choose its "
		"fields from\"}}}",
	.result =
		"{\"type\":\"object\",\"required\":[\"data\",\"model\",\"usage\",\"prompt\"],"
		"\"properties\":{\"data\":{\"description\":\"The answer: what the prompt's schema "
		"says, or text when it has none\"},"
		"\"model\":{\"type\":\"string\",\"description\":\"The model that answered\"},"
		"\"usage\":{\"type\":[\"object\",\"null\"],\"description\":\"Tokens\"},"
		"\"prompt\":{\"type\":\"object\",\"description\":\"Name, version and hash of the "
		"prompt\"}}}",
	.state_size = sizeof(struct complete), .start = complete,
};

static const struct gw_action *const actions[] = { &complete_action, NULL };

#define ROW(status, code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), status, code, type, text, who }
#define QUOTA "Raise the budget or the spend limit of the account that pays for the model."
#define ANSWER "Nothing: the rules answered in the model's place.  If it lasts, mend the prompt."

static const struct gw_error_row *const errors[] = {
	ROW(0, "invalid_api_key", "authentication", "Set a valid key for the LLM connection.",
	    "IT/DevOps"),
	ROW(401, NULL, "authentication", "Set a valid key for the LLM connection.", "IT/DevOps"),
	ROW(403, NULL, "authorization", "Ask for access to the model.", "System Admin"),
	ROW(0, "model_not_found", "not_found", "Name a model that the endpoint serves.",
	    "Integration Admin"),
	ROW(0, "insufficient_quota", "quota", QUOTA, "Integration Admin"),
	ROW(0, "credit_balance_exhausted", "quota", QUOTA, "Integration Admin"),
	ROW(0, "organization_spend_limit_exceeded", "quota", QUOTA, "Integration Admin"),
	ROW(0, "project_spend_limit_exceeded", "quota", QUOTA, "Integration Admin"),
	ROW(0, "organization_usage_limit_exceeded", "quota", QUOTA, "Integration Admin"),
	ROW(402, NULL, "quota", QUOTA, "Integration Admin"),
	ROW(429, NULL, "rate_limit", "Wait, or ask for a higher limit.", "Integration Admin"),
	ROW(400, NULL, "validation", "Correct the prompt, its schema or the model's name.",
	    "Integration Admin"),
	ROW(0, "REFUSED", "refusal", ANSWER, "Integration Admin"),
	ROW(0, "CONTENT_FILTER", "refusal", ANSWER, "Integration Admin"),
	ROW(0, "TRUNCATED", "malformed_reply", "Raise the prompt's max_tokens.",
	    "Integration Admin"),
	ROW(0, "NO_ANSWER", "malformed_reply", ANSWER, "Integration Admin"),
	ROW(0, "INVALID_ANSWER", "malformed_reply", ANSWER, "Integration Admin"),
	ROW(0, "server_error", "server", "Try again later.", "Support Team"),
	ROW(500, NULL, "server", "Try again later.", "Support Team"),
	ROW(503, NULL, "server", "Try again later.", "Support Team"),
	ROW(529, NULL, "server", "Try again later.", "Support Team"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "llm", .version = "1.0.0",
	.summary = "Asks a language model: OpenAI-compatible, Anthropic or Amazon Bedrock.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings =
		"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
		"\"model\":{\"type\":\"string\",\"minLength\":1,\"default\":\"gpt-4o-mini\","
		"\"description\":\"For prompts that name none\"},"
		"\"api\":{\"enum\":[\"openai\",\"anthropic\",\"bedrock\"],"
		"\"default\":\"openai\","
		"\"description\":\"What the endpoint speaks\"},"
		"\"api_version\":{\"type\":\"string\",\"default\":\"2026-10-21\","
		"\"description\":\"Of Anthropic\"},"
		"\"models\":{\"type\":\"array\",\"items\":{\"type\":\"string\","
		"\"minLength\":1},"
		"\"description\":\"Asked in this order while one is not to be had; in place of "
		"model\"},"
		"\"prices\":{\"type\":\"object\","
		"\"additionalProperties\":{\"type\":\"object\","
		"\"required\":[\"input\",\"output\"],\"properties\":{\"input\":{\"type\":"
		"\"number\"},"
		"\"cached\":{\"type\":\"number\"},\"output\":{\"type\":\"number\"}}},"
		"\"description\":\"Of a million tokens, by model\"},"
		"\"currency\":{\"type\":\"string\",\"default\":\"USD\",\"description\":\"Of the "
		"prices\"},"
		"\"max_tokens_field\":{\"enum\":[\"max_completion_tokens\",\"max_tokens\"],"
		"\"default\":\"max_completion_tokens\",\"description\":\"Ollama and older servers "
		"know only max_tokens\"}}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
