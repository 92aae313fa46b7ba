/* SPDX-License-Identifier: MIT */
/*
 * OAuth 1.0a as NetSuite's token-based authentication wants it (RFC 5849 with
 * HMAC-SHA256): the signature covers the method, the URL without its query, and
 * the decoded parameters of the query together with those of OAuth itself, each
 * encoded once.  A JSON body is not covered.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum { TEXT_BYTES = 64 * LIMIT_URL_BYTES };

/* The value of oauth_signature, not yet encoded. */
static void put_signature(const struct wire_oauth1 *oauth1, struct str base, struct buf *out)
{
	char *consumer = wire_encoded(str_of(oauth1->consumer_secret));
	char *token = wire_encoded(str_of(oauth1->token_secret));
	char *key = mem_format("%s&%s", consumer, token);
	unsigned char digest[SHA256_BYTES];
	crypto_hmac_sha256(str_of(key), base, digest);
	crypto_base64_put((struct str){ (const char *)digest, sizeof(digest) }, out);
	wire_secret_free(consumer);
	wire_secret_free(token);
	wire_secret_free(key);
}

static void put_base_string(struct wire_parameters *parameters, const char *method,
                            const char *base, const char *path, struct buf *out)
{
	struct buf joined;
	buf_init(&joined, TEXT_BYTES);
	wire_parameters_put(parameters, &joined);
	buf_printf(out, "%s&", method);
	wire_put_encoded(out, str_of(base));
	wire_put_encoded(out, (struct str){ path, strcspn(path, "?") });
	buf_put(out, "&");
	wire_put_encoded(out, buf_str(&joined));
	buf_release(&joined);
}

char *wire_oauth1_sign(const struct wire_oauth1 *oauth1, const char *method, const char *base,
                       const char *path)
{
	struct wire_parameters parameters = { 0 };
	char *timestamp = mem_format("%lld", (long long)oauth1->timestamp_s);
	wire_parameters_add(&parameters, "oauth_consumer_key", oauth1->consumer_key);
	wire_parameters_add(&parameters, "oauth_token", oauth1->token);
	wire_parameters_add(&parameters, "oauth_nonce", oauth1->nonce);
	wire_parameters_add(&parameters, "oauth_timestamp", timestamp);
	wire_parameters_add(&parameters, "oauth_signature_method", "HMAC-SHA256");
	wire_parameters_add(&parameters, "oauth_version", "1.0");
	struct buf out, base_string, signature;
	buf_init(&out, TEXT_BYTES);
	buf_init(&base_string, 4 * TEXT_BYTES);
	buf_init(&signature, 128);
	/* The realm is a quoted string and no parameter: it is not signed. */
	buf_printf(&out, "OAuth realm=\"%s\"", oauth1->realm);
	for (size_t i = 0; i < parameters.list.len; i++)
		buf_printf(&out, ", %s=\"%s\"", parameters.list.at[i].name,
		           parameters.list.at[i].value);
	wire_parameters_add_query(&parameters, path);
	put_base_string(&parameters, method, base, path, &base_string);
	put_signature(oauth1, buf_str(&base_string), &signature);
	buf_put(&out, ", oauth_signature=\"");
	wire_put_encoded(&out, buf_str(&signature));
	buf_put(&out, "\"");
	wire_parameters_release(&parameters);
	buf_release(&base_string);
	buf_release(&signature);
	free(timestamp);
	return buf_take(&out);
}
