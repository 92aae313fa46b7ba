/* SPDX-License-Identifier: MIT */
/*
 * A plugin that uses, stretches and breaks the contract, one action for each
 * way.  tests/unit/test_plugin.c says what must come of it.
 */
#include <string.h>

#include "gw_plugin.h"

/* --- keeps the contract ------------------------------------------------- */

static void answer_body(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	if (status == GW_OK && body)
		host->call->done(call, body);
	else
		host->call->fail_reply(call, status, reply,
		                       host->json->str(host->json->get(body, "code")),
		                       host->json->str(host->json->get(body, "message")));
}

static void echo(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *result = host->json->object(call);
	host->json->set_str(result, "text", host->call->str(call, "text"));
	host->json->set_str(result, "number", host->call->str(call, "number"));
	host->json->set_str(result, "run", host->call->run_id(call));
	host->json->set_int(result, "now", host->call->now_ms(call));
	host->call->done(call, result);
}

static void read_one(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str id = host->call->url(call, host->call->str(call, "id"));
	struct gw_str version = host->call->setting(call, "api_version", "1.0");
	struct gw_http_req req = {
		.size = sizeof(req),
		.method = "GET",
		.path = host->call->format(call, "/v%.*s/things/%.*s", (int)version.len,
		                           version.ptr, (int)id.len, id.ptr),
		.timeout_ms = 5000,
	};
	host->http->send(call, &req, answer_body);
}

static void post(const struct gw_host *host, struct gw_call *call, const char *path,
                 gw_http_cb *then)
{
	struct gw_json *body = host->json->object(call);
	host->json->set(body, "params", host->call->params(call));
	host->json->set_str(body, "key", host->call->key(call));
	const struct gw_header header = { GW_LIT("X-Reason"), GW_LIT("test") };
	struct gw_http_req req = {
		.size = sizeof(req),
		.method = "POST",
		.path = { path, strlen(path) },
		.body = host->json->text(call, body),
		.headers = &header,
		.header_count = 1,
	};
	host->http->send(call, &req, then);
}

static void create(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "/tickets", answer_body);
}

static void send_mail(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_header header = { GW_LIT("X-Kind"), GW_LIT("welcome") };
	struct gw_mail mail = {
		.size = sizeof(mail),
		.to = host->call->str(call, "to"),
		.subject = host->call->str(call, "subject"),
		.text = GW_LIT("Hello.\n"),
		.html = GW_LIT("<p>Hello.</p>"),
		.headers = &header,
		.header_count = 1,
	};
	host->mail->send(call, &mail, answer_body);
}

struct join {
	int32_t left;
	int64_t sum;
};

static void join_one(const struct gw_host *host, struct gw_call *call, int status,
                     const struct gw_http_reply *reply)
{
	struct join *join = host->call->state(call);
	if (status < 0) {
		host->call->fail_reply(call, status, reply, GW_LIT(""), GW_LIT(""));
		return;
	}
	const struct gw_json *body = host->json->parse(call, reply->body);
	join->sum += host->json->integer(host->json->get(body, "n"), 0);
	if (--join->left > 0)
		return;
	struct gw_json *result = host->json->object(call);
	host->json->set_int(result, "sum", join->sum);
	host->call->done(call, result);
}

static void get(const struct gw_host *host, struct gw_call *call, struct gw_str path,
                gw_http_cb *then)
{
	struct gw_http_req req = {
		.size = sizeof(req), .method = "GET", .path = path, .effect = GW_EFFECT_READ
	};
	host->http->send(call, &req, then);
}

static void both(const struct gw_host *host, struct gw_call *call)
{
	struct join *join = host->call->state(call);
	join->left = 2;
	get(host, call, GW_LIT("/a"), join_one);
	get(host, call, GW_LIT("/b"), join_one);
}

static void poll_once(const struct gw_host *host, struct gw_call *call);

static void poll_done(const struct gw_host *host, struct gw_call *call, int status,
                      const struct gw_http_reply *reply)
{
	if (reply->code == 202)
		host->later(call, 2000, poll_once);
	else
		answer_body(host, call, status, reply);
}

static void poll_once(const struct gw_host *host, struct gw_call *call)
{
	get(host, call, GW_LIT("/job"), poll_done);
}

static void look_then_post_2(const struct gw_host *host, struct gw_call *call, int status,
                             const struct gw_http_reply *reply)
{
	if (status == GW_OK)
		post(host, call, "/tickets", answer_body);
	else
		host->call->fail_reply(call, status, reply, GW_LIT(""), GW_LIT(""));
}

static void look_then_post(const struct gw_host *host, struct gw_call *call)
{
	get(host, call, GW_LIT("/look"), look_then_post_2);
}

static void wait_end(const struct gw_host *host, struct gw_call *call)
{
	host->call->done(call, NULL);
}

static void wait_only(const struct gw_host *host, struct gw_call *call)
{
	host->later(call, 0, wait_end);
}

static void prompt_done(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	(void)status;
	const struct gw_json *body = host->json->parse(call, reply->body);
	host->call->done(call, host->prompt->unmask(call, body));
}

static void prompt(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_prompt *text = host->prompt->render(call, GW_LIT("greeting"),
	                                                    host->call->params(call));
	if (!text)
		return;
	struct gw_http_req req = { .size = sizeof(req),
		                   .method = "POST",
		                   .path = GW_LIT("/llm"),
		                   .content_type = "text/plain",
		                   .body = text->user };
	host->http->send(call, &req, prompt_done);
}

static void facts(const struct gw_host *host, struct gw_call *call)
{
	host->call->note(call, "looked twice");
	host->call->fact(call, "model", host->call->params(call));
	struct gw_failure failure = { .size = sizeof(failure), .status = GW_E_INPUT };
	host->call->fail(call, &failure);
}

static void fail_as(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json *params = host->call->params(call);
	struct gw_failure failure = {
		.size = sizeof(failure),
		.status = (int32_t)host->json->integer(host->json->get(params, "status"), 0),
		.http_status = (int32_t)host->json->integer(host->json->get(params, "http"), 0),
		.error_code = host->call->str(call, "code"),
		.message = host->call->str(call, "message"),
	};
	host->call->fail(call, &failure);
}

/* --- JSON --------------------------------------------------------------- */

static void json(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json_ops *ops = host->json;
	const struct gw_json *in = ops->parse(
		call, GW_LIT("{\"z\":[1,{\"a.b\":\"x\"}],\"n\":\"12\",\"r\":0.2,\"t\":\"T\","
	                     "\"big\":9007199254740993}"));
	struct gw_json *out = ops->object(call);
	ops->set_int(out, "absent", ops->type(ops->get(in, "nothing[3].x")));
	ops->set_int(out, "bad", ops->type(ops->parse(call, GW_LIT("{\"a\":1,}"))));
	ops->set_str(out, "dotted", ops->str(ops->member(ops->get(in, "z[1]"), GW_LIT("a.b"))));
	ops->set_int(out, "n", ops->integer(ops->get(in, "n"), -1));
	ops->set_int(out, "big", ops->integer(ops->get(in, "big"), -1));
	ops->set_int(out, "no_int", ops->integer(ops->get(in, "r"), -1));
	ops->set_num(out, "r", ops->number(ops->get(in, "r"), -1));
	ops->set_bool(out, "t", ops->truth(ops->get(in, "t")));
	ops->set_int(out, "count", (int64_t)ops->count(ops->get(in, "z")));
	ops->set_str(out, "third", ops->key(in, 2));
	ops->set(out, "nothing", NULL);
	ops->set_null(out, "null");
	struct gw_json *list = ops->list(call);
	ops->set(out, "list", list);
	ops->push_str(list, GW_LIT("later"));
	ops->push(list, ops->at(ops->get(in, "z"), 0));
	ops->set_str(out, "text", ops->text(call, list));
	ops->set_str(out, "order", ops->text(call, in));
	struct gw_json *schema = ops->object(call);
	ops->set_str(schema, "type", GW_LIT("object"));
	ops->set_str(out, "valid", ops->invalid(call, schema, in));
	ops->set_str(out, "invalid", ops->invalid(call, schema, list));
	ops->set_str(out, "text", GW_LIT("replaced"));
	host->call->done(call, out);
}

static void json_loop(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *a = host->json->object(call), *b = host->json->object(call);
	host->json->set(a, "b", b);
	host->json->set(b, "a", a);
	host->call->done(call, a);
}

static void json_deep(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *top = host->json->list(call), *inner = top;
	for (int i = 0; i < 100; i++) {
		struct gw_json *next = host->json->list(call);
		host->json->push(inner, next);
		inner = next;
	}
	host->call->done(call, top);
}

/* --- breaks the contract ------------------------------------------------ */

static void twice(const struct gw_host *host, struct gw_call *call)
{
	struct gw_failure failure = { .size = sizeof(failure), .status = GW_E_INPUT };
	host->call->done(call, NULL);
	host->call->fail(call, &failure);
	host->call->done(call, host->call->params(call));
}

static void never(const struct gw_host *host, struct gw_call *call)
{
	(void)host;
	(void)call;
}

static void never_after(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply)
{
	(void)host;
	(void)call;
	(void)status;
	(void)reply;
}

static void never_again(const struct gw_host *host, struct gw_call *call)
{
	get(host, call, GW_LIT("/a"), never_after);
}

static void wrong_result(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *result = host->json->object(call);
	host->json->set_int(result, "text", 7);
	host->call->done(call, result);
}

static void two_posts(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "/one", answer_body);
	post(host, call, "/two", answer_body);
}

static void post_and_done(const struct gw_host *host, struct gw_call *call)
{
	post(host, call, "/one", answer_body);
	host->call->done(call, NULL);
}

static void stricter(const struct gw_host *host, struct gw_call *call)
{
	struct gw_http_req req = { .size = sizeof(req),
		                   .method = "POST",
		                   .path = GW_LIT("/one"),
		                   .effect = GW_EFFECT_ONCE };
	host->http->send(call, &req, answer_body);
}

static void many(const struct gw_host *host, struct gw_call *call)
{
	for (int i = 0; i < 101; i++)
		get(host, call, GW_LIT("/a"), never_after);
}

/* A request that is wrong in the one way the parameter names. */
static void bad(const struct gw_host *host, struct gw_call *call)
{
	struct gw_str what = host->call->str(call, "what"), value = host->call->str(call, "value");
	struct gw_header headers[65];
	struct gw_http_req req = { .size = sizeof(req), .method = "POST", .path = GW_LIT("/one") };
	for (size_t i = 0; i < 65; i++)
		headers[i] = (struct gw_header){ GW_LIT("X-A"), GW_LIT("b") };
	req.headers = headers;
	req.header_count = 1;
	switch (what.len > 0 ? what.ptr[0] : ' ') {
	case 's': req.size = 0; break;
	case 'm':
		req.method = host->call->format(call, "%.*s", (int)value.len, value.ptr).ptr;
		break;
	case 'p': req.path = value; break;
	case 'n': headers[0].name = value; break;
	case 'v': headers[0].value = value; break;
	case 'h': req.header_count = 65; break;
	case 'b': req.body = (struct gw_str){ "\xff\xfe", 2 }; break;
	}
	host->http->send(call, &req, what.len > 0 && what.ptr[0] == 'c' ? NULL : answer_body);
}

static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	struct gw_str verdict = reply->header(reply, "X-Verdict");
	if (verdict.len == 0)
		return GW_REPLY_DEFAULT;
	if (verdict.ptr[0] == 'm')
		host->call->done(call, NULL); /* it may only look */
	return verdict.ptr[0] >= '0' && verdict.ptr[0] <= '9' ? verdict.ptr[0] - '0' : 0;
}

/* --- the tables --------------------------------------------------------- */

#define ANY "{\"type\":\"object\"}"
#define ACTION(its_name, its_effect, its_start)              \
	static const struct gw_action action_##its_start = { \
		.size = sizeof(struct gw_action),            \
		.effect = its_effect,                        \
		.name = its_name,                            \
		.summary = "For the test.",                  \
		.params = ANY,                               \
		.state_size = sizeof(struct join),           \
		.start = its_start,                          \
	}

ACTION("json", GW_EFFECT_PURE, json);
ACTION("json_loop", GW_EFFECT_PURE, json_loop);
ACTION("json_deep", GW_EFFECT_PURE, json_deep);
ACTION("read", GW_EFFECT_READ, read_one);
ACTION("create", GW_EFFECT_KEYED, create);
ACTION("mail", GW_EFFECT_ONCE, send_mail);
ACTION("both", GW_EFFECT_READ, both);
ACTION("poll", GW_EFFECT_READ, poll_once);
ACTION("look_then_post", GW_EFFECT_ONCE, look_then_post);
ACTION("wait", GW_EFFECT_READ, wait_only);
ACTION("prompt", GW_EFFECT_READ, prompt);
ACTION("facts", GW_EFFECT_PURE, facts);
ACTION("fail_as", GW_EFFECT_PURE, fail_as);
ACTION("twice", GW_EFFECT_PURE, twice);
ACTION("never", GW_EFFECT_PURE, never);
ACTION("never_again", GW_EFFECT_READ, never_again);
ACTION("two_posts", GW_EFFECT_KEYED, two_posts);
ACTION("post_and_done", GW_EFFECT_KEYED, post_and_done);
ACTION("stricter", GW_EFFECT_KEYED, stricter);
ACTION("many", GW_EFFECT_READ, many);
ACTION("bad", GW_EFFECT_ONCE, bad);

static const struct gw_action action_echo = {
	.size = sizeof(struct gw_action),
	.effect = GW_EFFECT_PURE,
	.name = "echo",
	.summary = "Answers with what it was given.",
	.params = "{\"type\":\"object\",\"required\":[\"text\"],"
		  "\"properties\":{\"text\":{\"type\":\"string\"}},\"additionalProperties\":true}",
	.result = "{\"type\":\"object\",\"required\":[\"text\"]}",
	.secret = "params.text",
	.personal = "params.text  result.text",
	.start = echo,
};

static const struct gw_action action_wrong_result = {
	.size = sizeof(struct gw_action),
	.effect = GW_EFFECT_PURE,
	.name = "wrong_result",
	.summary = "Answers with a number where it promised a text.",
	.result = "{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"}}}",
	.start = wrong_result,
};

static const struct gw_action *const actions[] = {
	&action_echo,        &action_json,           &action_json_loop, &action_json_deep,
	&action_read_one,    &action_create,         &action_send_mail, &action_both,
	&action_poll_once,   &action_look_then_post, &action_wait_only, &action_prompt,
	&action_facts,       &action_fail_as,        &action_twice,     &action_never,
	&action_never_again, &action_wrong_result,   &action_two_posts, &action_post_and_done,
	&action_stricter,    &action_many,           &action_bad,       NULL,
};

static const struct gw_error_row limit_row = {
	.size = sizeof(struct gw_error_row),
	.http_status = 403,
	.error_code = "REQUEST_LIMIT_EXCEEDED",
	.error_type = "rate_limit",
	.owner = "Integration Desk",
};
static const struct gw_error_row code_row = {
	.size = sizeof(struct gw_error_row),
	.error_code = "INVALID_SESSION_ID",
	.error_type = "authentication",
	.resolution = "Log in again.",
	.owner = "IT",
};
static const struct gw_error_row status_row = {
	.size = sizeof(struct gw_error_row),
	.http_status = 403,
	.resolution = "Ask for the right.",
};

static const struct gw_error_row *const errors[] = { &status_row, &limit_row, &code_row, NULL };

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR,
	.abi_minor = GW_ABI_MINOR,
	.size = sizeof(plugin),
	.name = "contract",
	.version = "1.2.0",
	.summary = "Keeps and breaks the contract.",
	.actions = actions,
	.errors = errors,
	.classify = classify,
	.settings = "{\"type\":\"object\",\"properties\":{\"api_version\":{\"type\":\"string\"}}}",
};

const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
