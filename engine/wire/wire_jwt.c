/* SPDX-License-Identifier: MIT */
/*
 * The signed assertion with which a token is asked for: Salesforce and DocuSign
 * take it as the grant (RFC 7523, 2.1), NetSuite as the client's credentials
 * (2.2).  What differs stands in the configuration; one thing is the same: a
 * short life, counted from the server's clock where that is known to differ.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum { LIFE_S = 180, JWT_BYTES = 64 * 1024, ID_BYTES = 16 };

int wire_jwt_prepare(struct wire_auth *auth, struct err *err)
{
	bool is_machine = auth->kind == WIRE_AUTH_OAUTH2_M2M;
	const char *name = auth->algorithm ? auth->algorithm : is_machine ? "PS256" : "RS256";
	enum crypto_algorithm algorithm;
	if (!crypto_algorithm_named(name, &algorithm))
		return err_set(err, ERR_INPUT,
		               "auth.algorithm: there is no '%s'; RS256, PS256, PS384, PS512, "
		               "ES256, ES384, ES512",
		               name);
	auth->signing = (int)algorithm;
	if (crypto_key_read(str_of(auth->key), &auth->signing_key, err) < 0 ||
	    crypto_key_check(auth->signing_key, algorithm, err) < 0)
		return err_wrap(err, "auth.key");
	/* A missing private half shows here and not with the first call. */
	struct buf out;
	buf_init(&out, JWT_BYTES);
	int status = crypto_sign(auth->signing_key, algorithm, STR_LIT("-"), &out, err);
	buf_release(&out);
	return status < 0 ? err_wrap(err, "auth.key") : 0;
}

static json_t *claims_of(const struct wire_auth *auth, const char *audience, const char *id,
                         int64_t now_s)
{
	json_t *claims = json_object();
	json_put_str(claims, "iss", auth->client_id);
	if (auth->subject)
		json_put_str(claims, "sub", auth->subject);
	json_put_str(claims, "aud", audience);
	json_put_int(claims, "iat", now_s);
	json_put_int(claims, "exp", now_s + LIFE_S);
	json_put_str(claims, "jti", id);
	if (auth->scope)
		json_put_str(claims, "scope", auth->scope);
	return claims;
}

static void put_part(struct buf *out, const json_t *json)
{
	char *text = json_canon(json);
	crypto_base64url_put(str_of(text), out);
	free(text);
}

int wire_jwt_make(const struct wire_auth *auth, const char *audience, const struct rand *rand,
                  int64_t now_s, char **ret, struct err *err)
{
	unsigned char chance[ID_BYTES];
	char id[2 * ID_BYTES + 1];
	wire_chance(rand, chance, sizeof(chance));
	crypto_hex(chance, sizeof(chance), id);
	enum crypto_algorithm algorithm = (enum crypto_algorithm)auth->signing;
	json_t *header = json_object(), *claims = claims_of(auth, audience, id, now_s);
	json_put_str(header, "typ", "JWT");
	json_put_str(header, "alg", crypto_algorithm_name(algorithm));
	if (auth->key_id)
		json_put_str(header, "kid", auth->key_id);
	struct buf out, signature;
	buf_init(&out, JWT_BYTES);
	buf_init(&signature, JWT_BYTES);
	put_part(&out, header);
	buf_put(&out, ".");
	put_part(&out, claims);
	int status = crypto_sign(auth->signing_key, algorithm, buf_str(&out), &signature, err);
	buf_put(&out, ".");
	crypto_base64url_put(buf_str(&signature), &out);
	buf_release(&signature);
	json_decref(header);
	json_decref(claims);
	*ret = buf_take(&out);
	return status;
}
