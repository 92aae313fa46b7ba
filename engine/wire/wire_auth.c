/* SPDX-License-Identifier: MIT */
/*
 * Credentials, the last stage before the transfer: nothing above it ever sees
 * one.  What never changes is a line made once; OAuth 1.0a signs each attempt
 * anew (fresh nonce and time); OAuth 2.0 asks the token cache, which may keep
 * the request until a token is there (wire_token.c).
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
	}
	return 0;
}

static void sign_oauth1(struct wire_request *request)
{
	const struct wire_auth *auth = &request->connection->auth;
	struct loop *loop = request->wire->loop;
	unsigned char chance[16];
	for (size_t i = 0; i < sizeof(chance); i += sizeof(uint64_t)) {
		uint64_t next = rand_next(&loop->rand);
		memcpy(chance + i, &next, sizeof(next));
	}
	char nonce[2 * sizeof(chance) + 1];
	crypto_hex(chance, sizeof(chance), nonce);
	struct wire_oauth1 oauth1 = { auth->realm,
		                      auth->consumer_key,
		                      auth->consumer_secret,
		                      auth->token,
		                      auth->token_secret,
		                      nonce,
		                      clock_wall_ms(&loop->clock) / 1000 };
	char *value = wire_oauth1_sign(&oauth1, request->method, request->base, request->path);
	request->auth_line = mem_format("Authorization: %s", value);
	wire_secret_free(value);
}

static void auth_send(struct wire_request *request)
{
	wire_secret_free(request->auth_line);
	request->auth_line = NULL;
	request->auth_shared = NULL;
	switch (request->connection->auth.kind) {
	case WIRE_AUTH_NONE: break;
	case WIRE_AUTH_BEARER:
	case WIRE_AUTH_BASIC:
	case WIRE_AUTH_HEADER: request->auth_shared = request->connection->auth.line; break;
	case WIRE_AUTH_OAUTH1_TBA: sign_oauth1(request); break;
	case WIRE_AUTH_OAUTH2_CLIENT: wire_token_send(request); return;
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
