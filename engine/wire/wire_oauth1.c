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

struct parameter {
	char *name, *value; /* encoded */
};

struct parameters {
	VEC(struct parameter) list;
};

/* RFC 3986: only unreserved characters stay. */
static void put_encoded(struct buf *out, struct str text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool is_alnum =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
		if (is_alnum || c == '-' || c == '.' || c == '_' || c == '~') {
			buf_put_len(out, &c, 1);
		} else {
			char code[3] = { '%', digits[c >> 4], digits[c & 15] };
			buf_put_len(out, code, 3);
		}
	}
}

static char *encoded(struct str text)
{
	struct buf out;
	buf_init(&out, TEXT_BYTES);
	put_encoded(&out, text);
	return buf_take(&out);
}

static int hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A query's name or value, decoded and encoded once more; "+" is a space there. */
static char *recoded(const char *text, size_t len)
{
	char *plain = mem_alloc(len + 1);
	size_t plain_len = 0;
	for (size_t i = 0; i < len; i++) {
		int high = i + 2 < len && text[i] == '%' ? hex_of(text[i + 1]) : -1;
		int low = high >= 0 ? hex_of(text[i + 2]) : -1;
		if (low >= 0) {
			plain[plain_len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			plain[plain_len++] = text[i] == '+' ? ' ' : text[i];
		}
	}
	char *ret = encoded((struct str){ plain, plain_len });
	free(plain);
	return ret;
}

static void add(struct parameters *parameters, const char *name, const char *value)
{
	*vec_add(&parameters->list) =
		(struct parameter){ encoded(str_of(name)), encoded(str_of(value)) };
}

static void add_query(struct parameters *parameters, const char *query)
{
	while (*query) {
		size_t len = strcspn(query, "&"), name_len = strcspn(query, "=&");
		const char *value = query + name_len + (name_len < len ? 1 : 0);
		if (len > 0)
			*vec_add(&parameters->list) =
				(struct parameter){ recoded(query, name_len),
				                    recoded(value, (size_t)(query + len - value)) };
		query += len + (query[len] == '&' ? 1 : 0);
	}
}

static int compare(const void *a, const void *b)
{
	const struct parameter *one = a, *other = b;
	int order = strcmp(one->name, other->name);
	return order ? order : strcmp(one->value, other->value);
}

/* The value of oauth_signature, not yet encoded. */
static void put_signature(const struct wire_oauth1 *oauth1, struct str base, struct buf *out)
{
	char *consumer = encoded(str_of(oauth1->consumer_secret));
	char *token = encoded(str_of(oauth1->token_secret));
	char *key = mem_format("%s&%s", consumer, token);
	unsigned char digest[SHA256_BYTES];
	crypto_hmac_sha256(str_of(key), base, digest);
	crypto_base64_put((struct str){ (const char *)digest, sizeof(digest) }, out);
	wire_secret_free(consumer);
	wire_secret_free(token);
	wire_secret_free(key);
}

static void put_base_string(struct parameters *parameters, const char *method, const char *base,
                            const char *path, struct buf *out)
{
	struct buf joined;
	buf_init(&joined, TEXT_BYTES);
	qsort(parameters->list.at, parameters->list.len, sizeof(*parameters->list.at), compare);
	for (size_t i = 0; i < parameters->list.len; i++)
		buf_printf(&joined, "%s%s=%s", i ? "&" : "", parameters->list.at[i].name,
		           parameters->list.at[i].value);
	buf_printf(out, "%s&", method);
	put_encoded(out, str_of(base));
	put_encoded(out, (struct str){ path, strcspn(path, "?") });
	buf_put(out, "&");
	put_encoded(out, buf_str(&joined));
	buf_release(&joined);
}

char *wire_oauth1_sign(const struct wire_oauth1 *oauth1, const char *method, const char *base,
                       const char *path)
{
	struct parameters parameters = { 0 };
	char *timestamp = mem_format("%lld", (long long)oauth1->timestamp_s);
	add(&parameters, "oauth_consumer_key", oauth1->consumer_key);
	add(&parameters, "oauth_token", oauth1->token);
	add(&parameters, "oauth_nonce", oauth1->nonce);
	add(&parameters, "oauth_timestamp", timestamp);
	add(&parameters, "oauth_signature_method", "HMAC-SHA256");
	add(&parameters, "oauth_version", "1.0");
	struct buf out, base_string, signature;
	buf_init(&out, TEXT_BYTES);
	buf_init(&base_string, 4 * TEXT_BYTES);
	buf_init(&signature, 128);
	/* The realm is a quoted string and no parameter: it is not signed. */
	buf_printf(&out, "OAuth realm=\"%s\"", oauth1->realm);
	for (size_t i = 0; i < parameters.list.len; i++)
		buf_printf(&out, ", %s=\"%s\"", parameters.list.at[i].name,
		           parameters.list.at[i].value);
	const char *query = strchr(path, '?');
	add_query(&parameters, query ? query + 1 : "");
	put_base_string(&parameters, method, base, path, &base_string);
	put_signature(oauth1, buf_str(&base_string), &signature);
	buf_put(&out, ", oauth_signature=\"");
	put_encoded(&out, buf_str(&signature));
	buf_put(&out, "\"");
	for (size_t i = 0; i < parameters.list.len; i++) {
		free(parameters.list.at[i].name);
		free(parameters.list.at[i].value);
	}
	vec_release(&parameters.list);
	buf_release(&base_string);
	buf_release(&signature);
	free(timestamp);
	return buf_take(&out);
}
