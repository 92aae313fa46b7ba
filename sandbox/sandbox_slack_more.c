/* SPDX-License-Identifier: MIT */
/*
 * The rest of what clients of Slack ask for beside posting: who and what there
 * is, what was said, reactions, deleting.  People are made up of their ids.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox_slack.h"

enum { PAGE_MAX = 1000 };

static json_t *good_new(void)
{
	json_t *body = json_object();
	json_put(body, "ok", json_true());
	return body;
}

/* --- conversations ------------------------------------------------------------------ */

static json_t *channel_new(const char *id, const char *name)
{
	json_t *channel = json_object();
	json_put_str(channel, "id", id);
	json_put_str(channel, "name", name);
	json_put(channel, "is_channel", json_true());
	json_put(channel, "is_archived", json_false());
	json_put(channel, "is_member", json_true());
	json_put(channel, "is_private", json_false());
	return channel;
}

static void channels_put(struct sandbox *box, json_t *list)
{
	json_t *file = scenario_file_new(box, "slack/channels.json");
	const json_t *channels = json_at(file, "channels");
	for (size_t i = 0; i < json_array_size(channels); i++) {
		const json_t *one = json_array_get(channels, i);
		struct slack_channel channel;
		slack_channel_set(&channel, json_str(one, "id", NULL), json_str(one, "name", ""));
		json_t *shown = channel_new(channel.id, channel.name);
		json_put(shown, "is_archived", json_boolean(json_truth(one, "is_archived", false)));
		json_put(shown, "is_member", json_boolean(json_truth(one, "is_member", true)));
		json_push(list, shown);
	}
	json_decref(file);
}

static void conversations_list(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	(void)arguments;
	json_t *body = good_new(), *list = json_array(), *metadata = json_object();
	channels_put(box, list);
	json_put_str(metadata, "next_cursor", "");
	json_put(body, "channels", list);
	json_put(body, "response_metadata", metadata);
	reply_json(reply, 200, body);
}

/* The channel that the arguments name by its id, or false with the reply filled. */
static bool channel_of(struct sandbox *box, const json_t *arguments, struct slack_channel *ret,
                       struct reply *reply)
{
	const char *id = json_str(arguments, "channel", "");
	const char *error = strchr("CGD", *id) && *id ? slack_channel_find(box, id, ret)
	                                              : "channel_not_found";
	if (error)
		slack_fail(reply, error);
	return !error;
}

static void conversations_info(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	struct slack_channel channel;
	if (!channel_of(box, arguments, &channel, reply))
		return;
	json_t *body = good_new();
	json_put(body, "channel", channel_new(channel.id, channel.name));
	reply_json(reply, 200, body);
}

static void conversations_open(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	(void)box;
	const char *users = json_str(arguments, "users", "");
	if (!*users) {
		slack_fail(reply, "users_list_not_supplied");
		return;
	}
	struct slack_channel channel;
	slack_channel_set(&channel, NULL, users);
	channel.id[0] = 'D';
	json_t *body = good_new();
	json_put(body, "channel", channel_new(channel.id, users));
	reply_json(reply, 200, body);
}

/* Newest first; with ts only that message and what answers it, oldest first. */
static void history(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	struct slack_channel channel;
	const char *ts = json_str(arguments, "ts", NULL);
	if (!channel_of(box, arguments, &channel, reply))
		return;
	json_t *body = good_new(), *list = json_array();
	for (size_t i = 0; i < json_array_size(box->messages); i++) {
		const json_t *message = json_array_get(box->messages, i);
		bool is_of = !ts || strcmp(json_str(message, "ts", ""), ts) == 0 ||
		             strcmp(json_str(message, "thread_ts", ""), ts) == 0;
		if (strcmp(json_str(message, "channel", ""), channel.id) != 0 || !is_of)
			continue;
		json_t *shown = slack_shown_new(message);
		if (ts)
			json_push(list, shown);
		else
			json_array_insert_new(list, 0, shown);
	}
	while (json_array_size(list) > PAGE_MAX)
		json_array_remove(list, json_array_size(list) - 1);
	json_put(body, "messages", list);
	json_put(body, "has_more", json_false());
	reply_json(reply, 200, body);
}

static void members(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	struct slack_channel channel;
	if (!channel_of(box, arguments, &channel, reply))
		return;
	json_t *body = good_new(), *list = json_array(), *metadata = json_object();
	json_push(list, json_string("U0SANDBOX"));
	json_put_str(metadata, "next_cursor", "");
	json_put(body, "members", list);
	json_put(body, "response_metadata", metadata);
	reply_json(reply, 200, body);
}

/* --- people ------------------------------------------------------------------------- */

static json_t *user_new(const char *id, const char *name, const char *email)
{
	json_t *user = json_object(), *profile = json_object();
	json_put_str(user, "id", id);
	json_put_str(user, "team_id", "T0SANDBOX");
	json_put_str(user, "name", name);
	json_put(user, "deleted", json_false());
	json_put(user, "is_bot", json_boolean(strcmp(id, "U0SANDBOX") == 0));
	json_put_str(profile, "real_name", name);
	json_put_str(profile, "email", email);
	json_put(user, "profile", profile);
	return user;
}

static void users_list(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	(void)box;
	(void)arguments;
	json_t *body = good_new(), *list = json_array(), *metadata = json_object();
	json_push(list, user_new("U0SANDBOX", "gangway", NULL));
	json_push(list, user_new("U0ANN", "ann", "ann@acme.example"));
	json_put_str(metadata, "next_cursor", "");
	json_put(body, "members", list);
	json_put(body, "response_metadata", metadata);
	reply_json(reply, 200, body);
}

static void user_info(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	(void)box;
	const char *id = json_str(arguments, "user", "");
	if (*id != 'U' && *id != 'W') {
		slack_fail(reply, "user_not_found");
		return;
	}
	json_t *body = good_new();
	json_put(body, "user", user_new(id, id, NULL));
	reply_json(reply, 200, body);
}

static void user_by_email(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	(void)box;
	const char *email = json_str(arguments, "email", "");
	const char *at = strchr(email, '@');
	char id[16];
	if (!at || at == email) {
		slack_fail(reply, "users_not_found");
		return;
	}
	snprintf(id, sizeof(id), "U0%08llX", (unsigned long long)(hash_text(email) & 0xFFFFFFFF));
	char *name = mem_dup(email, (size_t)(at - email));
	json_t *body = good_new();
	json_put(body, "user", user_new(id, name, email));
	reply_json(reply, 200, body);
	free(name);
}

/* --- messages ----------------------------------------------------------------------- */

static void delete_message(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	const char *channel = json_str(arguments, "channel", ""), *ts;
	ts = json_str(arguments, "ts", "");
	const json_t *message = slack_message_find(box, channel, ts);
	if (!message) {
		slack_fail(reply, "message_not_found");
		return;
	}
	json_t *body = good_new();
	json_put_str(body, "channel", channel);
	json_put_str(body, "ts", ts);
	for (size_t i = 0; i < json_array_size(box->messages); i++)
		if (json_array_get(box->messages, i) == message) {
			json_array_remove(box->messages, i);
			break;
		}
	reply_json(reply, 200, body);
}

static void permalink(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	const char *channel = json_str(arguments, "channel", ""), *ts;
	ts = json_str(arguments, "message_ts", "");
	if (!slack_message_find(box, channel, ts)) {
		slack_fail(reply, "message_not_found");
		return;
	}
	json_t *body = good_new();
	char *link = mem_format("https://gangway-sandbox.slack.example/archives/%s/p%s", channel,
	                        ts);
	json_put_str(body, "channel", channel);
	json_put_str(body, "permalink", link);
	reply_json(reply, 200, body);
	free(link);
}

static void ephemeral(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	struct slack_channel channel;
	const char *error = slack_channel_find(box, json_str(arguments, "channel", ""), &channel);
	if (!error && !*json_str(arguments, "user", ""))
		error = "user_not_in_channel";
	if (!error)
		error = slack_content_fault(arguments);
	if (error) {
		slack_fail(reply, error);
		return;
	}
	json_t *body = good_new();
	json_put_str(body, "message_ts", "1768473000.000001");
	reply_json(reply, 200, body);
}

/* One reaction of each name by one person. */
static void react(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	const char *name = json_str(arguments, "name", "");
	json_t *message = slack_message_find(box, json_str(arguments, "channel", ""),
	                                     json_str(arguments, "timestamp", ""));
	if (!message || !*name) {
		slack_fail(reply, message ? "invalid_name" : "message_not_found");
		return;
	}
	json_t *reactions = json_at(message, "reactions");
	if (!reactions) {
		reactions = json_object();
		json_put(message, "reactions", reactions);
	}
	if (json_at(reactions, name)) {
		slack_fail(reply, "already_reacted");
		return;
	}
	json_put_int(reactions, name, 1);
	reply_json(reply, 200, good_new());
}

static void team_info(struct sandbox *box, const json_t *arguments, struct reply *reply)
{
	(void)box;
	(void)arguments;
	json_t *body = good_new(), *team = json_object();
	json_put_str(team, "id", "T0SANDBOX");
	json_put_str(team, "name", "Gangway Sandbox");
	json_put_str(team, "domain", "gangway-sandbox");
	json_put(body, "team", team);
	reply_json(reply, 200, body);
}

bool slack_more_serve(struct sandbox *box, const char *method, const json_t *arguments,
                      struct reply *reply)
{
	static const struct {
		const char *name;
		void (*serve)(struct sandbox *box, const json_t *arguments, struct reply *reply);
	} methods[] = {
		{ "conversations.list", conversations_list },
		{ "conversations.info", conversations_info },
		{ "conversations.join", conversations_info },
		{ "conversations.open", conversations_open },
		{ "conversations.history", history },
		{ "conversations.replies", history },
		{ "conversations.members", members },
		{ "users.list", users_list },
		{ "users.info", user_info },
		{ "users.lookupByEmail", user_by_email },
		{ "chat.delete", delete_message },
		{ "chat.getPermalink", permalink },
		{ "chat.postEphemeral", ephemeral },
		{ "reactions.add", react },
		{ "team.info", team_info },
	};
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (strcmp(methods[i].name, method) == 0) {
			methods[i].serve(box, arguments, reply);
			return true;
		}
	return false;
}

/* --- clicks ------------------------------------------------------------------------- */

/* The button of that action_id, or the first, with its block. */
static const json_t *button_of(const json_t *message, const char *action, const char **ret_block)
{
	const json_t *blocks = json_at(message, "blocks");
	for (size_t i = 0; i < json_array_size(blocks); i++) {
		const json_t *block = json_array_get(blocks, i), *elements;
		elements = json_at(block, "elements");
		*ret_block = json_str(block, "block_id", "");
		for (size_t k = 0; k < json_array_size(elements); k++) {
			const json_t *one = json_array_get(elements, k);
			if (strcmp(json_str(one, "type", ""), "button") == 0 &&
			    (!action || strcmp(json_str(one, "action_id", ""), action) == 0))
				return one;
		}
	}
	return NULL;
}

static json_t *named_new(const char *id, const char *key, const char *name)
{
	json_t *object = json_object();
	json_put_str(object, "id", id);
	json_put_str(object, key, name);
	return object;
}

static json_t *payload_new(const struct request *request, const json_t *message,
                           const json_t *button, const char *block)
{
	json_t *payload = json_object(), *actions = json_array(), *action = json_object();
	json_t *container = json_object(), *shown = slack_shown_new(message), *user;
	const char *channel = json_str(message, "channel", "");
	const char *user_id = json_str(request->json, "user", "U0ANN");
	char at[32];
	snprintf(at, sizeof(at), "%lld.%06lld", (long long)(request->now_ms / 1000),
	         (long long)(request->now_ms % 1000 * 1000));
	user = named_new(user_id, "username", json_str(request->json, "username", "ann"));
	json_put_str(user, "team_id", "T0SANDBOX");
	json_put_str(payload, "type", "block_actions");
	json_put(payload, "team", named_new("T0SANDBOX", "domain", "gangway-sandbox"));
	json_put(payload, "user", user);
	json_put_str(payload, "api_app_id", "A0SANDBOX");
	json_put_str(container, "type", "message");
	json_put_str(container, "message_ts", json_str(message, "ts", ""));
	json_put_str(container, "channel_id", channel);
	json_put(container, "is_ephemeral", json_false());
	json_put(payload, "container", container);
	json_put_str(payload, "trigger_id", "1.2.sandbox");
	json_put(payload, "channel",
	         named_new(channel, "name", json_str(message, "channel_name", "")));
	json_put(payload, "message", shown);
	json_put_str(payload, "response_url",
	             "https://hooks.slack.com/actions/T0SANDBOX/1/sandbox");
	json_put_str(action, "type", "button");
	json_put_str(action, "block_id", block);
	json_put_str(action, "action_id", json_str(button, "action_id", ""));
	json_put_str(action, "action_ts", at);
	json_put_str(action, "value", json_str(button, "value", NULL));
	json_put(action, "text", json_incref(json_at(button, "text")));
	json_push(actions, action);
	json_put(payload, "actions", actions);
	return payload;
}

/*
 * {"ts","channel","action_id","user","username"} -> the request that Slack would
 * send when that button is pressed: {"headers","body"}, signed.
 */
void slack_click(struct sandbox *box, struct request *request, const struct parts *parts,
                 struct reply *reply)
{
	(void)parts;
	const char *block = "";
	const json_t *message = slack_message_find(box, json_str(request->json, "channel", ""),
	                                           json_str(request->json, "ts", ""));
	const json_t *button =
		message ? button_of(message, json_str(request->json, "action_id", NULL), &block)
			: NULL;
	if (!button) {
		json_t *error = json_object();
		json_put_str(error, "error", "there is no such message, or no such button in it");
		reply_json(reply, 404, error);
		return;
	}
	json_t *payload = payload_new(request, message, button, block);
	char *text = json_canon(payload);
	struct buf form;
	buf_init(&form, MAX_BODY_BYTES * 4);
	buf_put(&form, "payload=");
	url_encode_put(str_of(text), &form);
	slack_signed(request->now_ms / 1000, buf_str(&form), reply);
	buf_release(&form);
	free(text);
	json_decref(payload);
}
