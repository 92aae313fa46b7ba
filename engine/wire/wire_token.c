/* SPDX-License-Identifier: MIT */
/*
 * OAuth 2.0 (client credentials, or a signed assertion): one token per
 * connection, fetched by one request at a time (single flight) that all others wait for.  A token
 * with a lifetime is renewed ahead of its end while the old one still serves; one
 * without (Salesforce) is kept until it is refused.  Time is monotonic from the
 * moment of receipt.
 *
 * The fetch is a request of the wire that needed it, through retry and curl
 * alone: it pays no rate, waits for no place and is on no tape.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum { FORM_BYTES = 32 * LIMIT_SECRET_BYTES, TOKEN_BYTES = 64 * 1024 };

static const struct wire_stage *const token_chain[] = { &wire_retry_stage, &wire_curl_stage, NULL };
static const struct wire_stage *const far_token_chain[] = { &wire_retry_stage, &wire_far_stage,
	                                                    NULL };

struct fetch {
	struct wire *wire;
	struct wire_connection *connection;
};

/* --- what the token's endpoint answered ------------------------------------------ */

/* "expires_in" as a number or as digits; -1 when it is not said. */
static int64_t lifetime_s(const json_t *answer)
{
	const json_t *value = json_at(answer, "expires_in");
	if (json_is_number(value))
		return (int64_t)json_number_value(value);
	return json_is_string(value) ? (int64_t)strtoll(json_string_value(value), NULL, 10) : -1;
}

/* Under lock.  Renewal is due max(60 s, a tenth) ahead, but never in the first half of the life. */
static void store_token(struct wire_token *token, const char *text, int64_t life_s, int64_t now_ms)
{
	wire_secret_free(token->line);
	token->line = mem_format("Authorization: Bearer %s", text);
	token->version++;
	token->expires_ms = token->refresh_ms = INT64_MAX;
	if (life_s > 0 && life_s < INT64_MAX / 4000) {
		int64_t ahead_ms = life_s * 100 > 60000 ? life_s * 100 : 60000;
		if (ahead_ms > life_s * 500)
			ahead_ms = life_s * 500;
		token->expires_ms = now_ms + life_s * 1000;
		token->refresh_ms = token->expires_ms - ahead_ms;
	}
}

static bool take_token(struct fetch *fetch, const struct wire_reply *reply)
{
	struct err err = { 0 };
	json_t *answer = NULL;
	if (reply->status != WIRE_OK || json_read(reply->body, TOKEN_BYTES, &answer, &err) < 0)
		return false;
	const char *text = json_str(answer, "access_token", "");
	bool is_good = *text && wire_header_is_safe(text) && strlen(text) < LIMIT_SECRET_BYTES;
	if (is_good)
		store_token(&fetch->connection->token_cache, text, lifetime_s(answer),
		            wire_now_ms(fetch->wire));
	json_decref(answer);
	return is_good;
}

/* Why there is no token: refused credentials are WIRE_AUTH, an ill endpoint is what it is. */
static enum wire_status failure_of(const struct wire_reply *reply)
{
	if (reply->status == WIRE_OK)
		return WIRE_AUTH;
	bool is_denied = reply->status == WIRE_STATUS && reply->code >= 400 && reply->code < 500 &&
	                 reply->code != 408 && reply->code != 429;
	return is_denied ? WIRE_AUTH : reply->status;
}

static void deny(struct wire_request *request, const struct wire_reply *reply)
{
	enum wire_status status = failure_of(reply);
	wire_timer_stop(request);
	wire_limit_unwatch(request);
	request->is_permanent = true; /* the fetch was repeated already */
	if (reply->status == WIRE_OK)
		wire_answer(request, status, 0,
		            "no token for connection '%s': the answer has no "
		            "usable access_token",
		            request->connection->name);
	else
		wire_answer(request, status, reply->code, "no token for connection '%s': %.160s",
		            request->connection->name, reply->text);
}

/*
 * Everybody who waits goes on: with the token; or, when the fetch failed, those
 * of this wire end with its failure and those of other wires look again (one of
 * them fetches next, so that a failure is never passed between threads).
 */
static void token_done(void *arg, const struct wire_reply *reply)
{
	struct fetch *fetch = arg;
	struct wire_connection *connection = fetch->connection;
	struct wire_token *token = &connection->token_cache;
	struct wire_queue failed = { 0 };
	pthread_mutex_lock(&connection->lock);
	token->is_fetching = false;
	bool has_token = take_token(fetch, reply);
	for (struct wire_request *request = token->waiting.head, *next; request; request = next) {
		next = request->wait_next;
		if (has_token || request->wire != fetch->wire || reply->status == WIRE_CANCELLED) {
			wire_grant(request, fetch->wire);
			continue;
		}
		wire_queue_remove(&token->waiting, request);
		request->wait = WIRE_WAIT_NONE;
		wire_queue_push(&failed, request);
	}
	pthread_mutex_unlock(&connection->lock);
	while (failed.head) {
		struct wire_request *request = failed.head;
		wire_queue_remove(&failed, request);
		deny(request, reply);
	}
	free(fetch);
}

/* --- asking for one ---------------------------------------------------------------- */

static void put_form(struct buf *out, const char *name, const char *value)
{
	static const char digits[] = "0123456789ABCDEF";
	buf_printf(out, "%s%s=", out->len ? "&" : "", name);
	for (const char *p = value; *p; p++) {
		unsigned char c = (unsigned char)*p;
		bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		                (c >= 'a' && c <= 'z');
		if (is_alnum || strchr("-._~", c)) {
			buf_put_len(out, p, 1);
		} else {
			char code[3] = { '%', digits[c >> 4], digits[c & 15] };
			buf_put_len(out, code, 3);
		}
	}
}

/* RFC 6749 2.3.1: id and secret are form-encoded before base64. */
static char *client_header(const struct wire_auth *auth)
{
	struct buf id, secret, out;
	buf_init(&id, FORM_BYTES);
	buf_init(&secret, FORM_BYTES);
	buf_init(&out, 4 * FORM_BYTES);
	put_form(&id, "", auth->client_id);
	put_form(&secret, "", auth->client_secret);
	char *pair = mem_format("%s:%s", id.bytes + 1, secret.bytes + 1);
	buf_put(&out, "Authorization: Basic ");
	crypto_base64_put(str_of(pair), &out);
	wire_secret_free(pair);
	wire_secret_free(buf_take(&secret));
	buf_release(&id);
	return buf_take(&out);
}

/* By default the assertion is for the URL that it is sent to. */
static int put_assertion(struct wire_request *request, struct buf *form, struct err *err)
{
	const struct wire_connection *connection = request->connection;
	const struct wire_auth *auth = &connection->auth;
	char *url = auth->token_path ? mem_format("%s%s", connection->url.base, auth->token_path)
	                             : mem_dup_str(auth->token_base.base);
	char *jwt = NULL;
	int status = wire_jwt_make(auth, auth->audience ? auth->audience : url,
	                           &request->wire->loop->rand, wire_auth_now_s(request), &jwt, err);
	if (auth->kind == WIRE_AUTH_OAUTH2_JWT) {
		put_form(form, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
		put_form(form, "assertion", jwt);
	} else {
		put_form(form, "grant_type", "client_credentials");
		put_form(form, "client_assertion_type",
		         "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
		put_form(form, "client_assertion", jwt);
	}
	wire_secret_free(jwt);
	free(url);
	return status;
}

static void put_client(const struct wire_auth *auth, bool in_header, struct buf *form)
{
	put_form(form, "grant_type", "client_credentials");
	if (!in_header) {
		put_form(form, "client_id", auth->client_id);
		put_form(form, "client_secret", auth->client_secret);
	}
	if (auth->scope)
		put_form(form, "scope", auth->scope);
}

static struct wire_request *fetch_request(struct wire *wire, struct wire_connection *connection,
                                          const struct buf *form)
{
	const struct wire_auth *auth = &connection->auth;
	struct fetch *fetch = mem_alloc(sizeof(*fetch));
	*fetch = (struct fetch){ wire, connection };
	const struct wire_send_options options = {
		.connection = connection,
		.method = "POST",
		.path = auth->token_path ? auth->token_path : "",
		.content_type = "application/x-www-form-urlencoded",
		.body = buf_str(form),
		.effect = WIRE_READ,
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = token_done,
		.arg = fetch,
	};
	const char *base = auth->token_path ? connection->url.base : auth->token_base.base;
	return wire_start(wire, &options, wire->far ? far_token_chain : token_chain, base);
}

/* A repeated attempt sends the same assertion: it lives longer than the fetch may last. */
static void start_fetch(struct wire_request *asking)
{
	const struct wire_auth *auth = &asking->connection->auth;
	struct err err = { 0 };
	bool in_header = auth->client_auth && strcmp(auth->client_auth, "basic") == 0;
	struct buf form;
	buf_init(&form, FORM_BYTES);
	if (auth->kind == WIRE_AUTH_OAUTH2_CLIENT)
		put_client(auth, in_header, &form);
	else
		(void)!put_assertion(asking, &form, &err);
	struct wire_request *request = fetch_request(asking->wire, asking->connection, &form);
	request->has_secret_body = true;
	request->auth_lines[0] = in_header ? client_header(auth) : NULL;
	wire_secret_free(buf_take(&form));
	if (err.code < 0) {
		request->is_permanent = true;
		wire_answer(request, WIRE_AUTH, 0, "%s", err.text);
	} else {
		wire_down(request);
	}
}

bool wire_auth_has_token(enum wire_auth_kind kind)
{
	return kind == WIRE_AUTH_OAUTH2_CLIENT || kind == WIRE_AUTH_OAUTH2_JWT ||
	       kind == WIRE_AUTH_OAUTH2_M2M;
}

/* The token into the request, or the request into the queue; starts a fetch where one is due. */
void wire_token_send(struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	struct wire_token *token = &connection->token_cache;
	int64_t now_ms = wire_now_ms(request->wire);
	pthread_mutex_lock(&connection->lock);
	bool has_token = token->line && now_ms < token->expires_ms;
	bool must_fetch = !token->is_fetching && (!has_token || now_ms >= token->refresh_ms);
	if (must_fetch)
		token->is_fetching = true;
	if (has_token) {
		request->auth_lines[0] = mem_dup_str(token->line);
		request->token_version = token->version;
	} else {
		request->wait = WIRE_WAIT_QUEUED;
		wire_queue_push(&token->waiting, request);
	}
	pthread_mutex_unlock(&connection->lock);
	if (must_fetch)
		start_fetch(request);
	if (has_token) {
		wire_down(request);
	} else {
		wire_limit_watch(request);
		int64_t until_ms = now_ms + request->timeout_ms;
		wire_wait_until(request, until_ms < request->ends_ms ? until_ms : request->ends_ms);
	}
}

bool wire_token_drop(struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	struct wire_token *token = &connection->token_cache;
	if (!wire_auth_has_token(connection->auth.kind))
		return false;
	pthread_mutex_lock(&connection->lock);
	if (token->line && token->version == request->token_version) {
		wire_secret_free(token->line);
		token->line = NULL;
		token->version++;
	}
	pthread_mutex_unlock(&connection->lock);
	return true;
}
