/* SPDX-License-Identifier: MIT */
/*
 * Tokens: who may ask over HTTP.  What is kept is the SHA-256 of each, with its
 * owner, roles and end; the text was shown once, by who made it.  They stand in
 * the store as one value under "tokens", are changed on the first worker alone,
 * one after the other, and are looked up by any thread.  A revoked one is gone
 * at once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "run/run_commit.h"

enum { TOKENS_MAX = 1000, OWNER_BYTES = 100 };

struct tokens {
	pthread_mutex_t lock;
	json_t *by_hash; /* {sha256: TOKEN}; each TOKEN never changes */
};

static void keep_body(void *arg, int64_t seq, struct str body)
{
	(void)seq;
	*(json_t **)arg = json_loadb(body.ptr, body.len, 0, NULL);
}

int tokens_open(struct engine *engine, struct err *err)
{
	json_t *found = NULL;
	int status = engine->store->ops->meta(engine->store, "tokens", keep_body, &found, err);
	if (status < 0 && status != ERR_ABSENT)
		return status;
	err_clear(err);
	engine->tokens = mem_alloc(sizeof(*engine->tokens));
	pthread_mutex_init(&engine->tokens->lock, NULL);
	engine->tokens->by_hash = json_is_object(found) ? found : json_object();
	return 0;
}

void tokens_close(struct engine *engine)
{
	if (!engine->tokens)
		return;
	json_decref(engine->tokens->by_hash);
	pthread_mutex_destroy(&engine->tokens->lock);
	free(engine->tokens);
	engine->tokens = NULL;
}

bool engine_token_find(struct engine *engine, const char *sha256, engine_token_cb *cb, void *arg)
{
	int64_t now = engine_now(engine);
	pthread_mutex_lock(&engine->tokens->lock);
	const json_t *token = json_at(engine->tokens->by_hash, sha256);
	int64_t end = json_int(token, "expires_ms", -1);
	bool is_valid = token && (end < 0 || end > now);
	if (is_valid)
		cb(arg, token);
	pthread_mutex_unlock(&engine->tokens->lock);
	return is_valid;
}

bool token_is_op(const char *op)
{
	return str_begins(op, "token.");
}

/* --- changing them ------------------------------------------------------------------------- */

static void change_is_durable(struct commit *commit)
{
	commit->worker->commits_open--;
	reply_last(&commit->asker, json_pack("{s:O}", "token", commit->line));
	commit_free(commit);
}

/* Swaps in the new table and has it written; the asker is told once it is durable. */
static void submit(struct worker *worker, json_t *by_hash_taken, json_t *token_taken,
                   const struct asker *asker)
{
	struct tokens *tokens = worker->engine->tokens;
	pthread_mutex_lock(&tokens->lock);
	json_t *before = tokens->by_hash;
	tokens->by_hash = by_hash_taken;
	pthread_mutex_unlock(&tokens->lock);
	json_decref(before);
	struct commit *commit = mem_alloc(sizeof(*commit));
	commit->message.commit = commit;
	commit->worker = worker;
	commit->asker = *asker;
	commit->done = change_is_durable;
	commit->line = token_taken;
	struct store_op *op = vec_add(&commit->ops);
	op->kind = STORE_OP_META;
	op->name = "tokens";
	op->body = str_of(commit_keep(commit, json_canon(by_hash_taken)));
	commit->item = (struct store_item){ .ops = commit->ops.at, .count = commit->ops.len };
	worker->commits_open++;
	writer_post(worker->engine, &commit->message);
}

static bool is_hash(const char *text)
{
	return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int check_new(const json_t *request, const json_t *by_hash, struct err *err)
{
	const char *owner = json_str(request, "owner", "");
	const json_t *roles = json_at(request, "roles");
	if (!is_hash(json_str(request, "sha256", "")))
		return err_set_id(err, ERR_INPUT, "token.sha256",
		                  "a token is given as its SHA-256");
	if (*owner == '\0' || strlen(owner) > OWNER_BYTES)
		return err_set_id(err, ERR_INPUT, "token.owner",
		                  "say whose token it is (1 to %d bytes)", OWNER_BYTES);
	if (json_array_size(roles) == 0)
		return err_set_id(err, ERR_INPUT, "token.role", "a token has at least one role");
	if (json_object_size(by_hash) >= TOKENS_MAX)
		return err_set_id(err, ERR_LIMIT, "token.count", "there are %d tokens", TOKENS_MAX);
	if (json_at(by_hash, json_str(request, "sha256", "")))
		return err_set_id(err, ERR_CONFLICT, "token.known", "this token is known already");
	return 0;
}

static void new_token(struct worker *worker, const json_t *request, const struct asker *asker)
{
	struct err err = { 0 };
	char at[CLOCK_ISO_BYTES];
	const json_t *by_hash = worker->engine->tokens->by_hash;
	if (check_new(request, by_hash, &err) < 0) {
		reply_error(asker, &err);
		return;
	}
	const char *hash = json_str(request, "sha256", "");
	char id[13];
	memcpy(id, hash, 12);
	id[12] = '\0';
	clock_iso(engine_now(worker->engine), at);
	json_t *token = json_pack("{s:s,s:s,s:O,s:O,s:b,s:s,s:s}", "id", id, "sha256", hash,
	                          "owner", json_at(request, "owner"), "roles",
	                          json_at(request, "roles"), "data",
	                          (int)json_truth(request, "data", false), "created_at", at, "by",
	                          json_str(request, "by", "someone"));
	if (json_array_size(json_at(request, "teams")) > 0)
		json_put(token, "teams", json_incref(json_at(request, "teams")));
	if (json_at(request, "expires_ms"))
		json_put_int(token, "expires_ms", json_int(request, "expires_ms", 0));
	json_t *after = json_copy((json_t *)(uintptr_t)by_hash);
	json_put(after, hash, json_incref(token));
	engine_log(worker->engine, "info", "token.new",
	           json_pack("{s:s,s:O,s:O,s:s}", "token", id, "owner", json_at(token, "owner"),
	                     "roles", json_at(token, "roles"), "by",
	                     json_str(request, "by", "someone")));
	access_note(worker, json_pack("{s:s,s:s,s:s,s:O,s:O}", "what", "token.new", "about", id,
	                              "by", json_str(request, "by", "someone"), "owner",
	                              json_at(token, "owner"), "roles", json_at(token, "roles")));
	submit(worker, after, token, asker);
}

static void revoke_token(struct worker *worker, const json_t *request, const struct asker *asker)
{
	const char *id = json_str(request, "id", ""), *hash;
	json_t *token;
	json_object_foreach(worker->engine->tokens->by_hash, hash, token) {
		if (strcmp(json_str(token, "id", ""), id) != 0)
			continue;
		json_incref(token);
		json_t *after = json_copy(worker->engine->tokens->by_hash);
		json_object_del(after, hash);
		engine_log(worker->engine, "info", "token.revoke",
		           json_pack("{s:s,s:s}", "token", id, "by",
		                     json_str(request, "by", "someone")));
		access_note(worker, json_pack("{s:s,s:s,s:s}", "what", "token.revoke", "about", id,
		                              "by", json_str(request, "by", "someone")));
		submit(worker, after, token, asker);
		return;
	}
	struct err err = { 0 };
	err_set_id(&err, ERR_ABSENT, "token.absent", "there is no token '%.40s'", id);
	err_hint(&err, "gangway token list shows them");
	reply_error(asker, &err);
}

static void list_tokens(struct worker *worker, const struct asker *asker)
{
	json_t *list = json_array();
	const char *hash;
	json_t *token;
	json_object_foreach(worker->engine->tokens->by_hash, hash, token)
		json_push(list, json_incref(token));
	reply_last(asker, json_pack("{s:o}", "tokens", list));
}

void token_request(struct worker *worker, const json_t *request, const struct asker *asker)
{
	const char *op = json_str(request, "op", "");
	struct err err = { 0 };
	if (strcmp(op, "token.new") == 0) {
		new_token(worker, request, asker);
	} else if (strcmp(op, "token.revoke") == 0) {
		revoke_token(worker, request, asker);
	} else if (strcmp(op, "token.list") == 0) {
		list_tokens(worker, asker);
	} else {
		err_set_id(&err, ERR_INPUT, "request.op", "the engine knows no request '%.60s'",
		           op);
		reply_error(asker, &err);
	}
}
