/* SPDX-License-Identifier: MIT */
/*
 * Credentials, the last stage before the transfer: nothing above it ever sees
 * one.  What never changes is a line made once; OAuth 1.0a, AWS and hmac sign
 * each attempt anew (fresh nonce and time); OAuth 2.0 asks the token cache, which
 * may keep the request until a token is there (wire_token.c).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum { LINE_BYTES = 4 * LIMIT_SECRET_BYTES };

static char *basic_line(const char *user, const char *password)
{
	struct buf out;
	buf_init(&out, LINE_BYTES);
	char *pair = mem_format("%s:%s", user, password);
	buf_put(&out, "Authorization: Basic ");
	crypto_base64_put(str_of(pair), &out);
	wire_secret_free(pair);
	return buf_take(&out);
}

static int prepare_token(struct wire_connection *connection, struct err *err)
{
	struct wire_auth *auth = &connection->auth;
	if (!auth->token_path == !auth->token_url)
		return err_set(err, ERR_INPUT, "auth: needs either 'token_path' or 'token_url'");
	if (auth->client_auth && strcmp(auth->client_auth, "body") != 0 &&
	    strcmp(auth->client_auth, "basic") != 0)
		return err_set(err, ERR_INPUT, "auth.client_auth: must be \"body\" or \"basic\"");
	if (auth->token_path)
		return wire_path_check(auth->token_path, err) < 0 ? err_wrap(err, "auth.token_path")
		                                                  : 0;
	if (wire_url_read(auth->token_url, &auth->token_base, err) < 0)
		return err_wrap(err, "auth.token_url");
	if (auth->token_base.is_mail)
		return err_set(err, ERR_INPUT, "auth.token_url: must be http or https");
	return 0;
}

int wire_auth_prepare(struct wire_connection *connection, struct err *err)
{
	struct wire_auth *auth = &connection->auth;
	switch (auth->kind) {
	case WIRE_AUTH_NONE:
	case WIRE_AUTH_OAUTH1_TBA: return 0;
	case WIRE_AUTH_BEARER:
		auth->line = mem_format("Authorization: Bearer %s", auth->token);
		return 0;
	case WIRE_AUTH_BASIC:
		if (strchr(auth->user, ':'))
			return err_set(err, ERR_INPUT, "auth.user: must not contain ':'");
		if (!connection->url.is_mail)
			auth->line = basic_line(auth->user, auth->password);
		return 0;
	case WIRE_AUTH_HEADER:
		if (!wire_header_is_name(auth->header) ||
		    (wire_header_is_reserved(auth->header) &&
		     strcasecmp(auth->header, "Authorization") != 0))
			return err_set(err, ERR_INPUT, "auth.header: '%s' cannot be used",
			               auth->header);
		auth->line = mem_format("%s: %s", auth->header, auth->value);
		return 0;
	case WIRE_AUTH_OAUTH2_CLIENT: return prepare_token(connection, err);
	case WIRE_AUTH_OAUTH2_JWT:
	case WIRE_AUTH_OAUTH2_M2M:
		if (prepare_token(connection, err) < 0)
			return err->code;
		return wire_jwt_prepare(auth, err);
	case WIRE_AUTH_AWS_SIGV4:
		if (strcmp(auth->service, "s3") == 0)
			return err_set(err, ERR_INPUT,
			               "auth.service: s3 signs in another way, which is not here");
		return 0;
	case WIRE_AUTH_HMAC: return wire_signed_prepare(auth, err);
	}
	return 0;
}

void wire_chance(const struct rand *rand, unsigned char *ret, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t next = rand_next(rand);
		memcpy(ret + i, &next, len - i < sizeof(next) ? len - i : sizeof(next));
	}
}

int64_t wire_auth_now_s(const struct wire_request *request)
{
	struct wire_connection *connection = request->connection;
	int64_t now_s = clock_wall_ms(&request->wire->loop->clock) / 1000;
	pthread_mutex_lock(&connection->lock);
	if (connection->skew_s > 30 || connection->skew_s < -30)
		now_s -= connection->skew_s;
	pthread_mutex_unlock(&connection->lock);
	return now_s;
}

static void sign_oauth1(struct wire_request *request)
{
	const struct wire_auth *auth = &request->connection->auth;
	unsigned char chance[16];
	wire_chance(&request->wire->loop->rand, chance, sizeof(chance));
	char nonce[2 * sizeof(chance) + 1];
	crypto_hex(chance, sizeof(chance), nonce);
	struct wire_oauth1 oauth1 = { auth->realm,
		                      auth->consumer_key,
		                      auth->consumer_secret,
		                      auth->token,
		                      auth->token_secret,
		                      nonce,
		                      wire_auth_now_s(request) };
	char *value = wire_oauth1_sign(&oauth1, request->method, request->base, request->path);
	request->auth_lines[0] = mem_format("Authorization: %s", value);
	wire_secret_free(value);
}

static struct wire_signable signable(const struct wire_request *request)
{
	return (struct wire_signable){ request->method, request->base, request->path,
		                       request->content_type, request->sent_body };
}

static void sign_aws(struct wire_request *request)
{
	const struct wire_auth *auth = &request->connection->auth;
	struct wire_signable what = signable(request);
	struct wire_sigv4 v4 = { auth->access_key, auth->secret_key, auth->session_token,
		                 auth->region,     auth->service,    wire_auth_now_s(request) };
	wire_sigv4_sign(&v4, &what, request->auth_lines);
}

static void sign_hmac(struct wire_request *request)
{
	struct wire_signable what = signable(request);
	wire_signed_sign(&request->connection->auth, &what, wire_auth_now_s(request),
	                 request->auth_lines);
}

void wire_auth_clear(struct wire_request *request)
{
	for (size_t i = 0; i < WIRE_AUTH_LINES; i++) {
		wire_secret_free(request->auth_lines[i]);
		request->auth_lines[i] = NULL;
	}
	request->auth_shared = NULL;
}

static void auth_send(struct wire_request *request)
{
	struct err err = { 0 };
	wire_auth_clear(request);
	if (!request->envelope && wire_secrets_put(request, &err) < 0) {
		request->is_permanent = true;
		wire_answer(request, WIRE_REFUSED, 0, "%s", err.text);
		return;
	}
	switch (request->connection->auth.kind) {
	case WIRE_AUTH_NONE: break;
	case WIRE_AUTH_BEARER:
	case WIRE_AUTH_BASIC:
	case WIRE_AUTH_HEADER: request->auth_shared = request->connection->auth.line; break;
	case WIRE_AUTH_OAUTH1_TBA: sign_oauth1(request); break;
	case WIRE_AUTH_AWS_SIGV4: sign_aws(request); break;
	case WIRE_AUTH_HMAC: sign_hmac(request); break;
	case WIRE_AUTH_OAUTH2_CLIENT:
	case WIRE_AUTH_OAUTH2_JWT:
	case WIRE_AUTH_OAUTH2_M2M: wire_token_send(request); return;
	}
	wire_down(request);
}

static bool auth_cancel(struct wire_request *request)
{
	(void)wire_ungrant(request); /* a token is nothing to give back */
	wire_limit_unwatch(request);
	return true;
}

static void auth_resume(struct wire_request *request)
{
	wire_timer_stop(request);
	wire_limit_unwatch(request);
	auth_send(request);
}

const struct wire_stage wire_auth_stage = { "auth", auth_send, wire_up, auth_resume, auth_cancel };
