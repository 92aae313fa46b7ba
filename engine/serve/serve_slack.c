/* SPDX-License-Identifier: MIT */
/*
 * Buttons in Slack.  A click comes signed (v0), names a Slack user, and carries
 * what its button was given: the task ("RUN.12"), with the hash of what was
 * shown behind a colon when the answer is to be bound to it, or only the run,
 * when it waits for one approval.  Who that user is and what they may do is
 * configuration; nobody else's click counts.  Slack wants an empty 200 within
 * three seconds: it comes once the answer is durable.  Any other status shows
 * the person a warning.
 *
 *   slack = { secret = "env:SLACK_SIGNING_SECRET",
 *             people = { U0ANN = { person = "ann", roles = {"approver"}, teams = {"cs-lead"} } } }
 */
#include "serve/serve_int.h"

enum { SECRETS_MAX = 2 };

struct slack {
	struct sign_secret secrets[SECRETS_MAX];
	size_t secret_count;
	json_t *people;
};

static int refuse(struct err *err, const char *text)
{
	return err_set_id(err, ERR_INPUT, "config.slack", "serve.slack: %s", text);
}

static int check_person(const char *user, const json_t *person, struct err *err)
{
	const json_t *roles = json_at(person, "roles"), *teams = json_at(person, "teams");
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)person, key, value)
		if (strcmp(key, "person") != 0 && strcmp(key, "roles") != 0 &&
		    strcmp(key, "teams") != 0)
			return err_set_id(err, ERR_INPUT, "config.unknown_key",
			                  "serve.slack.people.%s: there is no setting '%.60s'",
			                  user, key);
	if (!json_str(person, "person", NULL) || json_array_size(roles) == 0 ||
	    (teams && !json_is_array(teams)))
		return err_set_id(err, ERR_INPUT, "config.slack",
		                  "serve.slack.people.%s must name a person and roles", user);
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const char *role = json_string_value(json_array_get(roles, i));
		if (serve_role_check(role ? role : "?", err) < 0)
			return err_wrap(err, "serve.slack.people.%s", user);
	}
	return 0;
}

static int take_secret(struct serve *serve, struct slack *slack, const char *reference,
                       struct err *err)
{
	char *text;
	if (!reference || !(str_begins(reference, "env:") || str_begins(reference, "file:")))
		return refuse(err, "a secret must be env:NAME or file:PATH");
	if (serve->options.secret_read(reference, &text, err) < 0)
		return err_wrap(err, "serve.slack");
	int status = sign_secret_read(SIGN_SLACK, text, &slack->secrets[slack->secret_count], err);
	serve->options.secret_free(text);
	if (status < 0)
		return err_wrap(err, "serve.slack: %s", reference);
	slack->secret_count++;
	return 0;
}

int slack_read(struct serve *serve, const json_t *table, struct err *err)
{
	static const char *const known[] = { "secret", "old_secret", "people" };
	const char *key;
	json_t *value;
	if (!table)
		return 0;
	if (!json_is_object(table))
		return refuse(err, "it must be a table");
	json_object_foreach((json_t *)(uintptr_t)table, key, value)
		if (strcmp(key, known[0]) != 0 && strcmp(key, known[1]) != 0 &&
		    strcmp(key, known[2]) != 0)
			return err_set_id(err, ERR_INPUT, "config.unknown_key",
			                  "serve.slack: there is no setting '%.60s'", key);
	struct slack *slack = serve->slack = mem_alloc(sizeof(*slack));
	if (take_secret(serve, slack, json_str(table, "secret", NULL), err) < 0 ||
	    (json_at(table, "old_secret") &&
	     take_secret(serve, slack, json_str(table, "old_secret", NULL), err) < 0))
		return err->code;
	json_object_foreach(json_at(table, "people"), key, value)
		if (check_person(key, value, err) < 0)
			return err->code;
	slack->people = json_deep_copy(json_at(table, "people"));
	return 0;
}

void slack_release(struct serve *serve)
{
	struct slack *slack = serve->slack;
	if (!slack)
		return;
	for (size_t i = 0; i < slack->secret_count; i++) {
		explicit_bzero(slack->secrets[i].bytes, slack->secrets[i].len);
		free(slack->secrets[i].bytes);
	}
	json_decref(slack->people);
	free(slack);
	serve->slack = NULL;
}

/* --- a click ------------------------------------------------------------------------------ */

/* The value of payload=..., decoded; NULL: it is no such form. */
static char *payload_of(struct exchange *x)
{
	static const char name[] = "payload=";
	struct str body = buf_str(&x->body);
	if (body.len < sizeof(name) || memcmp(body.ptr, name, sizeof(name) - 1) != 0 ||
	    memchr(body.ptr, '&', body.len))
		return NULL;
	char *ret = arena_alloc(&x->arena, body.len);
	size_t out = 0;
	for (size_t i = sizeof(name) - 1; i < body.len; i++) {
		char c = body.ptr[i], pair[3] = { 0 };
		if (c == '%') {
			static const char hex[] = "0123456789abcdefABCDEF";
			if (i + 2 >= body.len || !memchr(hex, body.ptr[i + 1], 22) ||
			    !memchr(hex, body.ptr[i + 2], 22))
				return NULL;
			memcpy(pair, body.ptr + i + 1, 2);
			c = (char)strtol(pair, NULL, 16);
			i += 2;
		}
		ret[out++] = c == '+' && pair[0] == '\0' ? ' ' : c;
	}
	ret[out] = '\0';
	return strlen(ret) == out ? ret : NULL;
}

struct click {
	const char *outcome;
	char task[128], shown[80];
};

static void click_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	const json_t *error = json_at(reply, "error");
	if (!is_last)
		return;
	if (error)
		exchange_error(x, error);
	else
		exchange_text(x, 200, "text/plain; charset=utf-8", mem_dup_str(""), 0);
}

static void answer_click(struct exchange *x)
{
	const struct click *click = x->own;
	json_t *request = exchange_request(x, "task.answer");
	json_put_str(request, "task", click->task);
	json_put_str(request, "outcome", click->outcome);
	json_put_str(request, "comment", "in Slack");
	json_put_str(request, "shown_sha256", *click->shown ? click->shown : NULL);
	if (x->who.teams)
		json_put(request, "teams", json_incref((json_t *)(uintptr_t)x->who.teams));
	exchange_ask(x, request, click_replied);
}

/* The button knew only the run: it waits for one approval, or nothing is answered. */
static void tasks_replied(struct exchange *x, const json_t *reply, bool is_last)
{
	struct click *click = x->own;
	const json_t *error = json_at(reply, "error"), *tasks = json_at(reply, "tasks");
	const char *found = NULL;
	size_t count = 0;
	if (!is_last)
		return;
	if (error) {
		exchange_error(x, error);
		return;
	}
	for (size_t i = 0; i < json_array_size(tasks); i++) {
		const json_t *task = json_array_get(tasks, i);
		if (strcmp(json_str(task, "kind", ""), "approval") != 0)
			continue;
		found = json_str(task, "id", "");
		count++;
	}
	if (count != 1) {
		exchange_problem(x, 409, "task.closed", "body",
		                 count ? "the run waits for several approvals"
		                       : "the run waits for no approval",
		                 NULL);
		return;
	}
	snprintf(click->task, sizeof(click->task), "%s", found);
	answer_click(x);
}

static bool read_click(const json_t *payload, struct click *ret)
{
	const json_t *action = json_array_get(json_at(payload, "actions"), 0);
	const char *id = json_str(action, "action_id", ""), *value = json_str(action, "value", "");
	size_t len = strcspn(value, ":");
	bool is_hash = value[len] == '\0' || strlen(value + len + 1) == 64;
	if (strcmp(json_str(payload, "type", ""), "block_actions") != 0 || len == 0 ||
	    len >= sizeof(ret->task) || !is_hash)
		return false;
	snprintf(ret->task, sizeof(ret->task), "%.*s", (int)len, value);
	snprintf(ret->shown, sizeof(ret->shown), "%s", value[len] ? value + len + 1 : "");
	ret->outcome = str_begins(id, "approve")  ? "approved"
	               : str_begins(id, "reject") ? "rejected"
	               : str_begins(id, "done")   ? "done"
	                                          : NULL;
	return ret->outcome != NULL;
}

/* Who clicked, as configuration knows them; their roles decide. */
static bool admit_click(struct exchange *x, const json_t *payload, const struct click *click)
{
	const char *user = json_str(json_at(payload, "user"), "id", "");
	const json_t *person = json_at(x->serve->slack->people, user);
	const json_t *roles = json_at(person, "roles");
	enum permission needs = strcmp(click->outcome, "done") == 0 ? MAY_COMPLETE : MAY_APPROVE;
	for (size_t i = 0; i < json_array_size(roles); i++)
		x->who.roles |= 1u << role_find(json_string_value(json_array_get(roles, i)));
	snprintf(x->who.owner, sizeof(x->who.owner), "%s", json_str(person, "person", ""));
	json_t *teams = json_at(person, "teams");
	x->who.teams = json_array_size(teams) > 0 ? json_deep_copy(teams) : NULL;
	if (person && role_may(x->who.roles, false, needs))
		return true;
	exchange_deny(x, 403, person ? "role.denied" : "slack.unknown_user", "body",
	              person ? "this person may not answer" : "this Slack user is not known here");
	return false;
}

void handle_slack(struct exchange *x)
{
	struct slack *slack = x->serve->slack;
	struct click *click = arena_alloc(&x->arena, sizeof(*click));
	char ignored[LIMIT_CORRELATION_ID_BYTES + 1];
	struct err err = { 0 };
	x->own = click;
	if (!slack) {
		exchange_problem(x, 404, "http.path", "path", "there is nothing here", NULL);
		return;
	}
	struct sign_request sign = { .scheme = SIGN_SLACK,
		                     .secrets = slack->secrets,
		                     .secret_count = slack->secret_count,
		                     .frame = &x->frame,
		                     .body = buf_str(&x->body),
		                     .now_s = clock_wall_ms(&x->serve->options.clock) / 1000 };
	if (!sign_check(&sign, ignored)) {
		exchange_deny(x, 401, "webhook.signature", "header",
		              "the click is not signed as it should be");
		return;
	}
	const char *payload = payload_of(x);
	if (!payload || json_read(str_of(payload), LIMIT_JSON_BYTES, &x->json, &err) < 0 ||
	    !read_click(x->json, click)) {
		exchange_problem(x, 422, "slack.payload", "body",
		                 "this is no click on a button that asks for an answer",
		                 "block_actions with action_id approve, reject or done and the "
		                 "task as its value");
		return;
	}
	if (!admit_click(x, x->json, click))
		return;
	if (strchr(click->task, '.')) {
		answer_click(x);
		return;
	}
	json_t *request = exchange_request(x, "task.list");
	json_put_str(request, "run", click->task);
	json_put_str(request, "status", "open");
	exchange_ask(x, request, tasks_replied);
}
