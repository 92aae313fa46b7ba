/* SPDX-License-Identifier: MIT */
/*
 * slack - posts messages to Slack channels and changes them.
 *
 * Slack says "no" with HTTP 200: only "ok" counts.  It knows no idempotency key,
 * so a post is done once; where it may have happened nobody repeats it.  Text is
 * sent as it is given: escaping & < > is the business of the template that made
 * it, for only the template knows which of them it meant.
 */
#include <stdbool.h>
#include <string.h>

#include "gw_plugin.h"

static bool is_one_of(struct gw_str text, const char *const *words)
{
	for (; *words; words++)
		if (text.len == strlen(*words) && memcmp(text.ptr, *words, text.len) == 0)
			return true;
	return false;
}

static struct gw_str error_of(const struct gw_host *host, const struct gw_json *body)
{
	return host->json->str(host->json->get(body, "error"));
}

/* Slack's own trouble: the message may stand in the channel all the same. */
static bool is_doubtful(struct gw_str error)
{
	static const char *const words[] = { "internal_error", "fatal_error", "request_timeout",
		                             "service_unavailable", NULL };
	return is_one_of(error, words);
}

/* Changing a message to the same text twice is changing it once. */
static bool is_update(const struct gw_host *host, struct gw_call *call)
{
	return host->json->get(host->call->params(call), "ts") != NULL;
}

static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	static const char *const limits[] = { "ratelimited", "rate_limited", NULL };
	struct gw_str error = error_of(host, host->json->parse(call, reply->body));
	if (is_one_of(error, limits))
		return GW_REPLY_RETRY;
	return is_doubtful(error) && is_update(host, call) ? GW_REPLY_RETRY : GW_REPLY_DEFAULT;
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_str error = error_of(host, body), message = GW_LIT("");
	struct gw_str needed = host->json->str(host->json->get(body, "needed"));
	if (needed.len > 0)
		message = host->call->format(call, "Slack: %.*s: the token lacks the scope %.*s",
		                             (int)error.len, error.ptr, (int)needed.len,
		                             needed.ptr);
	else if (error.len > 0)
		message = host->call->format(call, "Slack: %.*s", (int)error.len, error.ptr);
	else if (status == GW_OK)
		message = GW_LIT("Slack: that is no answer to the request");
	if (is_doubtful(error) && !is_update(host, call))
		status = GW_E_UNSURE;
	host->call->fail_reply(call, status, reply, error, message);
}

static void sent(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	const struct gw_json *ts = host->json->get(body, "ts"), *ok = host->json->get(body, "ok");
	struct gw_json *result = host->json->object(call);
	/* ts is a name, not a number: a double would lose its last digits. */
	if (status != GW_OK || !host->json->truth(ok) || host->json->str(ts).len == 0) {
		fail(host, call, status, reply);
		return;
	}
	host->json->set(result, "channel", host->json->get(body, "channel"));
	host->json->set(result, "ts", ts);
	host->call->done(call, result);
}

static void send(const struct gw_host *host, struct gw_call *call, struct gw_str path,
                 const struct gw_json *body)
{
	struct gw_http_req req = { .size = sizeof(req),
		                   .method = "POST",
		                   .path = path,
		                   .content_type = "application/json; charset=utf-8",
		                   .body = host->json->text(call, body) };
	host->http->send(call, &req, sent);
}

static struct gw_json *body_of(const struct gw_host *host, struct gw_call *call)
{
	static const char *const names[] = { "channel", "ts", "thread_ts", "text", "blocks" };
	const struct gw_json *params = host->call->params(call);
	struct gw_json *body = host->json->object(call);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		host->json->set(body, names[i], host->json->get(params, names[i]));
	return body;
}

static void post(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, GW_LIT("/api/chat.postMessage"), body_of(host, call));
}

static void update(const struct gw_host *host, struct gw_call *call)
{
	struct gw_json *body = body_of(host, call);
	/* Blocks that are not replaced stay, and their buttons can still be pressed. */
	if (!host->json->get(body, "blocks"))
		host->json->set(body, "blocks", host->json->list(call));
	send(host, call, GW_LIT("/api/chat.update"), body);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define PARAMS(required) "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" \
	required "],\"properties\":{"
#define TEXT "\"text\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":40000,\"description\":" \
	"\"The message in mrkdwn; with blocks the text of the notification\"}," \
	"\"blocks\":{\"type\":\"array\",\"maxItems\":50,\"items\":{\"type\":\"object\"}," \
	"\"description\":\"Block Kit\"}"
#define TS "{\"type\":\"string\",\"pattern\":\"^[0-9]+[.][0-9]+$\",\"description\":"
#define RESULT "{\"type\":\"object\",\"required\":[\"channel\",\"ts\"],\"properties\":{" \
	"\"channel\":{\"type\":\"string\",\"description\":\"The channel's id\"}," \
	"\"ts\":{\"type\":\"string\",\"description\":\"The message's id within it\"}}}"

static const struct gw_action post_action = {
	.size = sizeof(post_action), .effect = GW_EFFECT_ONCE, .name = "post",
	.summary = "Posts a message to a channel.",
	.params = PARAMS("\"channel\",\"text\"")
		"\"channel\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":100,"
		"\"description\":"
		"\"The channel's id, or its name with #\"}," TEXT ","
		"\"thread_ts\":" TS "\"The message that this one answers\"}}}",
	.result = RESULT, .start = post,
};

static const struct gw_action update_action = {
	.size = sizeof(update_action), .effect = GW_EFFECT_KEYED, .name = "update",
	.summary = "Changes a message of our own.",
	.params = PARAMS("\"channel\",\"ts\",\"text\"")
		"\"channel\":{\"type\":\"string\",\"pattern\":\"^[CGD][A-Z0-9]{2,}$\","
		"\"description\":"
		"\"The channel's id from the answer to the post; names do not serve\"}," TEXT ","
		"\"ts\":" TS "\"The message\"}}}",
	.result = RESULT, .start = update,
};

static const struct gw_action *const actions[] = { &post_action, &update_action, NULL };

#define ROW(code, type, text, who) \
	&(const struct gw_error_row){ sizeof(struct gw_error_row), 0, code, type, text, who }
#define LOGIN "Set a valid bot token for the Slack connection."
#define CHANNEL "Name a channel that exists, by its id or its name."
#define FORM "Correct the message's template."
#define LIMIT "Wait: Slack takes about one message a second and channel."

static const struct gw_error_row *const errors[] = {
	ROW("invalid_auth", "authentication", LOGIN, "IT/DevOps"),
	ROW("not_authed", "authentication", LOGIN, "IT/DevOps"),
	ROW("token_revoked", "authentication", LOGIN, "IT/DevOps"),
	ROW("token_expired", "authentication", LOGIN, "IT/DevOps"),
	ROW("account_inactive", "authentication", LOGIN, "IT/DevOps"),
	ROW("missing_scope", "authorization", "Give the Slack app the scope, then install it anew.",
	    "System Admin"),
	ROW("not_in_channel", "authorization", "Invite the Slack app to the channel.",
	    "System Admin"),
	ROW("restricted_action", "authorization", "Allow the Slack app to post there.",
	    "System Admin"),
	ROW("cant_update_message", "authorization", "Only the author can change a message.",
	    "Integration Admin"),
	ROW("channel_not_found", "not_found", CHANNEL, "Integration Admin"),
	ROW("is_archived", "not_found", CHANNEL, "Integration Admin"),
	ROW("message_not_found", "not_found", "The message is gone; post it anew.", "CS"),
	ROW("edit_window_closed", "conflict", "It is too old to be changed; post a new one.", "CS"),
	ROW("no_text", "validation", FORM, "Integration Admin"),
	ROW("invalid_blocks", "validation", FORM, "Integration Admin"),
	ROW("msg_too_long", "validation", FORM, "Integration Admin"),
	ROW("msg_blocks_too_long", "validation", FORM, "Integration Admin"),
	ROW("ratelimited", "rate_limit", LIMIT, "Integration Admin"),
	ROW("rate_limited", "rate_limit", LIMIT, "Integration Admin"),
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "slack", .version = "1.0.0",
	.summary = "Posts messages to Slack and changes them.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
