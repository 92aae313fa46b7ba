/* SPDX-License-Identifier: MIT */
/*
 * pagerduty - opens and closes alerts (Events API v2).
 *
 * The routing key in the body is the credential: it is written here as a
 * reference that the engine resolves when the request leaves.  The dedup_key is
 * ours and always sent, so a repeated trigger is the same alert.
 */
#include <stdbool.h>
#include <string.h>

#include "gw_plugin.h"

enum { SUMMARY_CHARS_MAX = 1024, EVENT_BYTES_MAX = 512000 };

/* Cut behind a whole character; bytes are no more than what may stand there. */
static struct gw_str shortened(struct gw_str text, size_t max)
{
	if (text.len <= max)
		return text;
	while (max > 0 && ((unsigned char)text.ptr[max] & 0xc0) == 0x80)
		max--;
	return (struct gw_str){ text.ptr, max };
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str said = host->json->str(host->json->get(body, "errors[0]"));
	struct gw_str code = GW_LIT(""), message = GW_LIT("");
	if (said.len == 0)
		said = host->json->str(host->json->get(body, "message"));
	if (said.len > 0)
		message = host->call->format(call, "PagerDuty: %.*s", (int)said.len, said.ptr);
	if (reply->code == 400)
		code = GW_LIT("invalid_event");
	host->call->fail_reply(call, status, reply, code, message);
}

/* 202: taken; what becomes of it is decided later. */
static void sent(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str said = host->json->str(host->json->get(body, "status"));
	struct gw_json *result = host->json->object(call);
	if (status != GW_OK || said.len != 7 || memcmp(said.ptr, "success", 7) != 0) {
		fail(host, call, status, reply);
		return;
	}
	host->json->set_str(result, "dedup_key", host->call->str(call, "dedup_key"));
	host->call->done(call, result);
}

static struct gw_json *event_of(const struct gw_host *host, struct gw_call *call,
                                struct gw_str action)
{
	struct gw_json *event = host->json->object(call);
	host->json->set_str(event, "routing_key", GW_LIT("${secret:routing_key}"));
	host->json->set_str(event, "event_action", action);
	host->json->set_str(event, "dedup_key", host->call->str(call, "dedup_key"));
	return event;
}

static void send(const struct gw_host *host, struct gw_call *call, struct gw_str body)
{
	struct gw_http_req req = {
		.size = sizeof(req), .method = "POST", .path = GW_LIT("/v2/enqueue"), .body = body
	};
	host->http->send(call, &req, sent);
}

static struct gw_json *payload_of(const struct gw_host *host, struct gw_call *call, bool is_whole)
{
	const struct gw_json *params = host->call->params(call);
	struct gw_str severity = host->call->str(call, "severity");
	struct gw_json *payload = host->json->object(call);
	host->json->set_str(payload, "summary",
	                    shortened(host->call->str(call, "summary"), SUMMARY_CHARS_MAX));
	host->json->set_str(payload, "source", host->call->str(call, "source"));
	host->json->set_str(payload, "severity", severity.len > 0 ? severity : GW_LIT("error"));
	host->json->set(payload, "timestamp", host->json->get(params, "timestamp"));
	host->json->set(payload, "component", host->json->get(params, "component"));
	if (is_whole)
		host->json->set(payload, "custom_details", host->json->get(params, "details"));
	return payload;
}

static void trigger(const struct gw_host *host, struct gw_call *call)
{
	const struct gw_json *params = host->call->params(call);
	struct gw_json *event = event_of(host, call, GW_LIT("trigger"));
	host->json->set(event, "links", host->json->get(params, "links"));
	host->json->set(event, "payload", payload_of(host, call, true));
	struct gw_str body = host->json->text(call, event);
	if (body.len > EVENT_BYTES_MAX) {
		host->call->note(call, "the details are too long for an event: left out");
		host->json->set(event, "payload", payload_of(host, call, false));
		body = host->json->text(call, event);
	}
	send(host, call, body);
}

static void resolve(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, host->json->text(call, event_of(host, call, GW_LIT("resolve"))));
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define DEDUP "\"dedup_key\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255," \
	"\"description\":\"The alert: the same key is the same alert\"}"
#define RESULT "{\"type\":\"object\",\"required\":[\"dedup_key\"],\"properties\":{" \
	"\"dedup_key\":{\"type\":\"string\",\"description\":\"The alert\"}}}"
#define TEXT(name, max, what) \
	"\"" name "\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":" max \
	",\"description\":\"" what "\"}"

static const struct gw_action trigger_action = {
	.size = sizeof(trigger_action), .effect = GW_EFFECT_KEYED, .name = "trigger",
	.summary = "Opens an alert, or adds to the one that is open under this key.",
	.params =
		"{\"type\":\"object\",\"additionalProperties\":false,"
		"\"required\":[\"dedup_key\",\"summary\",\"source\"],\"properties\":{" DEDUP ","
		TEXT("summary", "10000", "What is wrong, in a sentence; cut at 1024 bytes") ","
		TEXT("source", "1000", "Where") ","
		"\"severity\":{\"enum\":[\"critical\",\"error\",\"warning\",\"info\"],"
		"\"description\":\"error when it is not said\"},"
		TEXT("component", "1000", "The part of the source") ","
		TEXT("timestamp", "40", "When, ISO 8601") ","
		"\"details\":{\"type\":\"object\",\"description\":\"Shown with the alert\"},"
		"\"links\":{\"type\":\"array\",\"maxItems\":20,\"items\":{\"type\":\"object\","
		"\"additionalProperties\":false,\"required\":[\"href\"],\"properties\":{"
		"\"href\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"}}},"
		"\"description\":\"To the run\"}}}",
	.result = RESULT, .start = trigger,
};

static const struct gw_action resolve_action = {
	.size = sizeof(resolve_action), .effect = GW_EFFECT_KEYED, .name = "resolve",
	.summary = "Closes the alert that is open under this key; nothing when there is none.",
	.params =
		"{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"dedup_key\"],"
		"\"properties\":{" DEDUP "}}",
	.result = RESULT, .start = resolve,
};

static const struct gw_action *const actions[] = { &trigger_action, &resolve_action, NULL };

#define ROW(status, code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), status, code, type, text, who }

static const struct gw_error_row *const errors[] = {
	ROW(0, "invalid_event", "validation", "Correct the event or set a valid routing key.",
	    "Integration Admin"),
	ROW(429, NULL, "rate_limit", "Wait: a routing key takes about 120 events a minute.",
	    "Integration Admin"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "pagerduty", .version = "1.0.0",
	.summary = "Opens and closes alerts in PagerDuty.",
	.actions = actions, .errors = errors,
	.settings = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
