/* SPDX-License-Identifier: MIT */
/*
 * llm - asks a language model, through any OpenAI-compatible endpoint.
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

struct complete {
	const struct gw_prompt *prompt;
	bool no_temperature; /* the model takes none */
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
	return reply->code >= 400 && is(advice, "false") ? GW_REPLY_PERMANENT : GW_REPLY_DEFAULT;
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

/* --- asking ------------------------------------------------------------------- */

static void add_message(const struct gw_host *host, struct gw_call *call, struct gw_json *messages,
                        struct gw_str role, struct gw_str content)
{
	struct gw_json *message = host->json->object(call);
	host->json->set_str(message, "role", role);
	host->json->set_str(message, "content", content);
	host->json->push(messages, message);
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

static void complete_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply);

static void ask(const struct gw_host *host, struct gw_call *call)
{
	const struct complete *all = host->call->state(call);
	const struct gw_prompt *prompt = all->prompt;
	struct gw_json *body = host->json->object(call), *messages = host->json->list(call);
	struct gw_str limit = host->call->setting(call, "max_tokens_field",
	                                          "max_completion_tokens");
	struct gw_str model = prompt->model;
	if (model.len == 0)
		model = host->call->setting(call, "model", "gpt-4o-mini");
	add_message(host, call, messages, GW_LIT("system"), prompt->system);
	add_message(host, call, messages, GW_LIT("user"), prompt->user);
	host->json->set_str(body, "model", model);
	host->json->set(body, "messages", messages);
	if (prompt->max_tokens > 0)
		host->json->set_int(body,
		                    host->call->format(call, "%.*s", (int)limit.len, limit.ptr).ptr,
		                    prompt->max_tokens);
	if (prompt->temperature >= 0 && !all->no_temperature)
		host->json->set_num(body, "temperature", prompt->temperature);
	host->json->set(body, "response_format", format_of(host, call, prompt));
	struct gw_http_req req = { .size = sizeof(req),
		                   .method = "POST",
		                   .path = GW_LIT("/chat/completions"),
		                   .body = host->json->text(call, body) };
	host->http->send(call, &req, complete_done);
}

/* --- believing ------------------------------------------------------------------ */

/* The usage in our words; details are part of the totals, not added to them. */
static const struct gw_json *usage_of(const struct gw_host *host, struct gw_call *call,
                                      const struct gw_json *body)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *given = j->get(body, "usage");
	struct gw_json *usage = j->object(call);
	if (j->type(given) != GW_JSON_OBJECT)
		return NULL;
	j->set_int(usage, "prompt_tokens", j->integer(j->get(given, "prompt_tokens"), 0));
	j->set_int(usage, "completion_tokens", j->integer(j->get(given, "completion_tokens"), 0));
	j->set_int(usage, "total_tokens", j->integer(j->get(given, "total_tokens"), 0));
	j->set_int(usage, "cached_tokens",
	           j->integer(j->get(given, "prompt_tokens_details.cached_tokens"), 0));
	return usage;
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
                                     const struct gw_json *choice)
{
	const struct complete *all = host->call->state(call);
	const struct gw_json *message = host->json->get(choice, "message");
	const struct gw_json *content = host->json->get(message, "content");
	struct gw_str refusal = host->json->str(host->json->get(message, "refusal"));
	struct gw_str finish = host->json->str(host->json->get(choice, "finish_reason"));
	struct gw_str text = host->json->str(content), why = GW_LIT("");
	const struct gw_json *data = content;
	if (!choice)
		reject(host, call, GW_LIT("NO_ANSWER"), GW_LIT("the answer holds no choice"));
	else if (refusal.len > 0)
		reject(host, call, GW_LIT("REFUSED"), refusal);
	else if (is(finish, "length"))
		reject(host, call, GW_LIT("TRUNCATED"), GW_LIT("the answer was cut short"));
	else if (is(finish, "content_filter"))
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

static void complete_done(const struct gw_host *host, struct gw_call *call, int status,
                          const struct gw_http_reply *reply)
{
	const struct gw_json_ops *j = host->json;
	struct complete *all = host->call->state(call);
	const struct gw_json *body = j->parse(call, reply->body), *error = j->get(body, "error");
	const struct gw_json *usage = usage_of(host, call, body);
	if (reply->code == 400 && !all->no_temperature &&
	    is(j->str(j->get(error, "param")), "temperature")) {
		all->no_temperature = true;
		ask(host, call);
		return;
	}
	if (status != GW_OK || j->type(body) != GW_JSON_OBJECT || j->type(error) > GW_JSON_NULL) {
		fail(host, call, status, reply);
		return;
	}
	host->call->fact(call, "model", j->get(body, "model"));
	if (usage)
		host->call->fact(call, "usage", usage);
	const struct gw_json *data = data_of(host, call, j->at(j->get(body, "choices"), 0));
	if (!data)
		return;
	struct gw_json *result = j->object(call);
	j->set(result, "data", host->prompt->unmask(call, data));
	j->set_str(result, "model", j->str(j->get(body, "model")));
	j->set_null(result, "usage");
	j->set(result, "usage", usage);
	j->set(result, "prompt", prompt_facts(host, call, all->prompt));
	host->call->done(call, result);
}

static void complete(const struct gw_host *host, struct gw_call *call)
{
	struct complete *all = host->call->state(call);
	all->prompt = host->prompt->render(call, host->call->str(call, "prompt"),
	                                   host->json->get(host->call->params(call), "values"));
	if (!all->prompt)
		return; /* the engine has said why */
	host->call->fact(call, "prompt", prompt_facts(host, call, all->prompt));
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
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "llm", .version = "1.0.0",
	.summary = "Asks a language model through an OpenAI-compatible endpoint.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings =
		"{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
		"\"model\":{\"type\":\"string\",\"minLength\":1,\"default\":\"gpt-4o-mini\","
		"\"description\":\"For prompts that name none\"},"
		"\"max_tokens_field\":{\"enum\":[\"max_completion_tokens\",\"max_tokens\"],"
		"\"default\":\"max_completion_tokens\",\"description\":\"Ollama and older servers "
		"know only max_tokens\"}}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
