/* SPDX-License-Identifier: MIT */
/*
 * Slack: HTTP 200 even for failures, the answer's "ok" says which.  Bodies come
 * as JSON or as a form whose blocks are JSON text.  With a channel list
 * (scenarios/slack/channels.json) only its channels exist; without one every
 * well-formed name does.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/crypto.h"
#include "sandbox/sandbox_slack.h"

enum { TEXT_MAX = 40000, BLOCKS_MAX = 50 };

void slack_fail(struct reply *reply, const char *error)
{
	json_t *body = json_object();
	json_put(body, "ok", json_false());
	json_put_str(body, "error", error);
	reply_json(reply, 200, body);
}

/* --- arguments ------------------------------------------------------------------ */

/* Text that is JSON stays its value for the fields that Slack reads as JSON. */
static json_t *form_value_new(const char *name, const char *value)
{
	json_t *parsed = NULL;
	struct err ignored = { 0 };
	bool is_json = strcmp(name, "blocks") == 0 || strcmp(name, "attachments") == 0 ||
	               strcmp(name, "metadata") == 0;
	if (is_json && json_read(str_of(value), MAX_BODY_BYTES, &parsed, &ignored) == 0)
		return parsed;
	return json_text(str_of(value));
}

static json_t *arguments_new(const struct request *request)
{
	struct pairs form;
	if (json_is_object(request->json) && request_is(request, "application/json", false))
		return json_incref(request->json);
	json_t *arguments = json_object();
	if (request_form(request, &form))
		for (size_t i = 0; i < form.len; i++)
			json_put(arguments, form.at[i].name,
			         form_value_new(form.at[i].name, form.at[i].value));
	pairs_release(&form);
	for (size_t i = 0; i < request->query.len; i++)
		if (!json_at(arguments, request->query.at[i].name))
			json_put_str(arguments, request->query.at[i].name,
			             request->query.at[i].value);
	return arguments;
}

/* A token in a form is accepted by Slack, one in a JSON body is not. */
static bool token_is_accepted(struct request *request, struct reply *reply)
{
	const char *given = request_bearer(request);
	struct pairs form;
	bool is_form = request_form(request, &form);
	if (!given && is_form)
		given = pairs_get(&form, "token");
	bool good = given && strcmp(given, SLACK_TOKEN) == 0;
	request->auth = good ? AUTH_ACCEPTED : given ? AUTH_REFUSED : AUTH_UNCHECKED;
	if (!good)
		slack_fail(reply, given ? "invalid_auth" : "not_authed");
	pairs_release(&form);
	return good;
}

/* --- channels ------------------------------------------------------------------- */

static bool is_channel_name(const char *name)
{
	size_t len = strlen(name);
	for (size_t i = 0; i < len; i++)
		if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) &&
		    !strchr("-_", name[i]))
			return false;
	return len > 0 && len <= 80;
}

static void channel_id(const char *name, char ret[SLACK_CHANNEL_ID_BYTES])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	uint64_t hash = hash_text(name);
	ret[0] = 'C';
	ret[1] = '0';
	for (int i = 2; i < 11; i++, hash /= 36)
		ret[i] = digits[hash % 36];
	ret[11] = '\0';
}

void slack_channel_set(struct slack_channel *channel, const char *id, const char *name)
{
	snprintf(channel->name, sizeof(channel->name), "%s", name);
	if (id)
		snprintf(channel->id, sizeof(channel->id), "%s", id);
	else
		channel_id(name, channel->id);
}

/* The error, or NULL with the channel. */
static const char *find_listed(const json_t *list, const char *wanted, struct slack_channel *ret)
{
	const char *bare = *wanted == '#' ? wanted + 1 : wanted;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		slack_channel_set(ret, json_str(one, "id", NULL), json_str(one, "name", ""));
		if (strcmp(ret->name, bare) != 0 && strcmp(ret->id, wanted) != 0)
			continue;
		if (json_truth(one, "is_archived", false))
			return "is_archived";
		return json_truth(one, "is_member", true) ? NULL : "not_in_channel";
	}
	return "channel_not_found";
}

static bool is_posted_channel(const struct sandbox *box, const char *id, struct slack_channel *ret)
{
	for (size_t i = 0; i < json_array_size(box->messages); i++) {
		const json_t *message = json_array_get(box->messages, i);
		if (strcmp(json_str(message, "channel", ""), id) != 0)
			continue;
		slack_channel_set(ret, id, json_str(message, "channel_name", ""));
		return true;
	}
	return false;
}

const char *slack_channel_find(struct sandbox *box, const char *wanted, struct slack_channel *ret)
{
	json_t *file = scenario_file_new(box, "slack/channels.json");
	const json_t *list = json_at(file, "channels");
	const char *bare = *wanted == '#' ? wanted + 1 : wanted, *error = NULL;
	bool is_id = strchr("CGD", *wanted) && strlen(wanted) >= 9;
	if (!*wanted)
		error = "channel_not_found";
	else if (json_is_array(list))
		error = find_listed(list, wanted, ret);
	else if (is_posted_channel(box, wanted, ret))
		error = NULL;
	else if (is_id)
		slack_channel_set(ret, wanted, wanted);
	else if (is_channel_name(bare))
		slack_channel_set(ret, NULL, bare);
	else
		error = "channel_not_found";
	json_decref(file);
	return error;
}

/* --- messages ------------------------------------------------------------------- */

const char *slack_content_fault(const json_t *arguments)
{
	const json_t *blocks = json_at(arguments, "blocks");
	const char *text = json_str(arguments, "text", "");
	if (blocks && !json_is_array(blocks))
		return "invalid_blocks_format";
	if (json_array_size(blocks) > BLOCKS_MAX)
		return "invalid_blocks";
	for (size_t i = 0; i < json_array_size(blocks); i++)
		if (!*json_str(json_array_get(blocks, i), "type", ""))
			return "invalid_blocks";
	if (strlen(text) > TEXT_MAX)
		return "msg_too_long";
	if (!*text && json_array_size(blocks) == 0 &&
	    json_array_size(json_at(arguments, "attachments")) == 0)
		return "no_text";
	return NULL;
}

static void put_content(json_t *message, const json_t *arguments)
{
	static const char *const names[] = { "text",      "blocks",   "attachments",
		                             "thread_ts", "username", "metadata" };
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		json_t *value = json_at(arguments, names[i]);
		if (value)
			json_put(message, names[i], json_incref(value));
	}
}

static json_t *message_add(struct sandbox *box, const struct request *request,
                           const struct slack_channel *channel, const json_t *arguments)
{
	char ts[40];
	json_t *message = json_object();
	int64_t number = ++box->message_count;
	snprintf(ts, sizeof(ts), "%lld.%06lld", (long long)(request->now_ms / 1000),
	         (long long)(number % 1000000));
	json_put_int(message, "seq", number);
	json_put_str(message, "channel", channel->id);
	json_put_str(message, "channel_name", channel->name);
	json_put_str(message, "ts", ts);
	json_put(message, "account",
	         request->account ? json_text(str_of(request->account)) : json_null());
	json_put_int(message, "updates", 0);
	put_content(message, arguments);
	keep_push(box->messages, message, MAX_KEPT);
	return message;
}

json_t *slack_shown_new(const json_t *message)
{
	json_t *shown = json_object();
	json_put_str(shown, "type", "message");
	json_put_str(shown, "subtype", "bot_message");
	json_put_str(shown, "text", json_str(message, "text", ""));
	json_put_str(shown, "ts", json_str(message, "ts", ""));
	json_put_str(shown, "bot_id", "B0SANDBOX");
	json_put_str(shown, "thread_ts", json_str(message, "thread_ts", NULL));
	json_put(shown, "blocks", json_incref(json_at(message, "blocks")));
	return shown;
}

static void posted(struct reply *reply, const json_t *message)
{
	json_t *body = json_object();
	json_put(body, "ok", json_true());
	json_put_str(body, "channel", json_str(message, "channel", ""));
	json_put_str(body, "ts", json_str(message, "ts", ""));
	json_put_str(body, "text", json_str(message, "text", ""));
	json_put(body, "message", slack_shown_new(message));
	reply_json(reply, 200, body);
}

static void post_message(struct sandbox *box, struct request *request, const struct parts *parts,
                         struct reply *reply)
{
	(void)parts;
	struct slack_channel channel;
	if (!token_is_accepted(request, reply))
		return;
	json_t *arguments = arguments_new(request);
	const char *error = slack_channel_find(box, json_str(arguments, "channel", ""), &channel);
	if (!error)
		error = slack_content_fault(arguments);
	if (error)
		slack_fail(reply, error);
	else
		posted(reply, message_add(box, request, &channel, arguments));
	json_decref(arguments);
}

json_t *slack_message_find(const struct sandbox *box, const char *channel, const char *ts)
{
	for (size_t i = 0; i < json_array_size(box->messages); i++) {
		json_t *message = json_array_get(box->messages, i);
		if (strcmp(json_str(message, "channel", ""), channel) == 0 &&
		    strcmp(json_str(message, "ts", ""), ts) == 0)
			return message;
	}
	return NULL;
}

static void update_message(struct sandbox *box, struct request *request, const struct parts *parts,
                           struct reply *reply)
{
	(void)parts;
	if (!token_is_accepted(request, reply))
		return;
	json_t *arguments = arguments_new(request);
	const char *channel = json_str(arguments, "channel", "");
	const char *error = slack_content_fault(arguments);
	json_t *message = slack_message_find(box, channel, json_str(arguments, "ts", ""));
	/* A channel's name fails here: only the id of the post's reply will do. */
	if (*channel != 'C' && *channel != 'G' && *channel != 'D')
		error = "channel_not_found";
	else if (!message)
		error = "message_not_found";
	if (error) {
		slack_fail(reply, error);
	} else {
		json_object_del(message, "blocks");
		put_content(message, arguments);
		json_put_int(message, "updates", json_int(message, "updates", 0) + 1);
		posted(reply, message);
	}
	json_decref(arguments);
}

static void auth_test(struct sandbox *box, struct request *request, const struct parts *parts,
                      struct reply *reply)
{
	(void)box;
	(void)parts;
	if (!token_is_accepted(request, reply))
		return;
	json_t *body = json_object();
	json_put(body, "ok", json_true());
	json_put_str(body, "url", "https://gangway-sandbox.slack.example/");
	json_put_str(body, "team", "Gangway Sandbox");
	json_put_str(body, "user", "gangway");
	json_put_str(body, "team_id", "T0SANDBOX");
	json_put_str(body, "user_id", "U0SANDBOX");
	json_put_str(body, "bot_id", "B0SANDBOX");
	reply_json(reply, 200, body);
}

static void api_test(struct sandbox *box, struct request *request, const struct parts *parts,
                     struct reply *reply)
{
	(void)box;
	(void)request;
	(void)parts;
	json_t *body = json_object();
	json_put(body, "ok", json_true());
	reply_json(reply, 200, body);
}

/* The incoming webhook: its URL is the credential, its answers are plain text. */
static void hook(struct sandbox *box, struct request *request, const struct parts *parts,
                 struct reply *reply)
{
	(void)parts;
	json_t *arguments = arguments_new(request);
	struct slack_channel channel;
	slack_channel_set(&channel, NULL, "incoming-webhook");
	bool is_ours = strcmp(request->path, SLACK_HOOK) == 0;
	const char *error = slack_content_fault(arguments);
	request->auth = is_ours ? AUTH_ACCEPTED : AUTH_REFUSED;
	if (!is_ours)
		reply_text(reply, 404, "text/html", "no_service");
	else if (json_object_size(arguments) == 0)
		reply_text(reply, 400, "text/html", "invalid_payload");
	else if (error)
		reply_text(reply, 400, "text/html", error);
	else
		reply_text(reply, 200, "text/html", "ok");
	if (reply->status == 200)
		message_add(box, request, &channel, arguments);
	json_decref(arguments);
}

/* The methods that are no route of their own. */
static void more(struct sandbox *box, struct request *request, struct reply *reply)
{
	if (!token_is_accepted(request, reply))
		return;
	json_t *arguments = arguments_new(request);
	if (!slack_more_serve(box, request->path + strlen("/api/"), arguments, reply))
		slack_fail(reply, "unknown_method");
	json_decref(arguments);
}

/* Version 0 of Slack's signatures. */
void slack_signed(int64_t now_s, struct str body, struct reply *reply)
{
	unsigned char digest[SHA256_BYTES];
	char hex[SHA256_HEX];
	char *base = mem_format("v0:%lld:%.*s", (long long)now_s, (int)body.len, body.ptr);
	json_t *signed_request = json_object(), *headers = json_object();
	crypto_hmac_sha256(str_of(SLACK_SIGNING_SECRET), str_of(base), digest);
	crypto_hex(digest, SHA256_BYTES, hex);
	char *signature = mem_format("v0=%s", hex), *stamp = mem_format("%lld", (long long)now_s);
	json_put_str(headers, "Content-Type", "application/x-www-form-urlencoded");
	json_put_str(headers, "X-Slack-Request-Timestamp", stamp);
	json_put_str(headers, "X-Slack-Signature", signature);
	json_put(signed_request, "headers", headers);
	json_put(signed_request, "body", json_text(body));
	reply_json(reply, 200, signed_request);
	free(base);
	free(signature);
	free(stamp);
}

void slack_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	static const struct route routes[] = {
		{ "POST", "/api/chat.postMessage", post_message },
		{ "POST", "/api/chat.update", update_message },
		{ "POST", "/api/auth.test", auth_test },
		{ "GET", "/api/auth.test", auth_test },
		{ "POST", "/api/api.test", api_test },
		{ "GET", "/api/api.test", api_test },
		{ "POST", "/services/{}/{}/{}", hook },
	};
	switch (route_serve(routes, sizeof(routes) / sizeof(*routes), box, request, reply)) {
	case ROUTE_SERVED: return;
	case ROUTE_OTHER_METHOD: slack_fail(reply, "invalid_post_type"); return;
	case ROUTE_NONE:
		if (str_begins(request->path, "/api/"))
			more(box, request, reply);
		else
			reply_text(reply, 404, "text/plain", "Not Found\n");
		return;
	}
}

void slack_refuse(struct sandbox *box, const struct request *request, int status,
                  struct reply *reply)
{
	(void)box;
	(void)request;
	switch (status) {
	case 400: slack_fail(reply, "invalid_blocks"); return;
	case 401: slack_fail(reply, "invalid_auth"); return;
	case 403: slack_fail(reply, "missing_scope"); return;
	case 404: slack_fail(reply, "channel_not_found"); return;
	case 429:
		slack_fail(reply, "ratelimited");
		reply->status = 429;
		reply_header(reply, "Retry-After", "1");
		return;
	case 503:
		reply_text(reply, 503, "text/html",
		           "<html><body>Service Unavailable</body></html>");
		return;
	default:
		slack_fail(reply, "internal_error");
		reply->status = status;
		return;
	}
}
