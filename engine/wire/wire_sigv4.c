/* SPDX-License-Identifier: MIT */
/*
 * AWS Signature Version 4, signed here because libcurl signs the path as it
 * stands, while AWS encodes the path of the wire once more before signing (all
 * services but S3): the ':' of a Bedrock model id, sent as %3A, is signed as
 * %253A.  Signed are host, date, session token and content type, the sorted
 * query and the hash of the body; the key is a chain of HMACs over day, region
 * and service.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

enum { TEXT_BYTES = 64 * LIMIT_URL_BYTES, DAY_CHARS = 8 };

/* The path once more encoded, '/' kept and runs of '/' made one. */
static void put_path(struct buf *out, const char *path, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t part = 0;
		while (i + part < len && path[i + part] != '/')
			part++;
		wire_put_encoded(out, (struct str){ path + i, part });
		i += part;
		if (i < len)
			buf_put(out, "/");
		while (i < len && path[i] == '/')
			i++;
	}
}

static void put_canonical(const struct wire_sigv4 *v4, const struct wire_signable *request,
                          const char *host, const char *date, const char *names, struct buf *out)
{
	struct wire_parameters query = { 0 };
	char hash[SHA256_HEX];
	char *path = wire_full_path(request);
	buf_printf(out, "%s\n", request->method);
	put_path(out, path, strcspn(path, "?"));
	buf_put(out, "\n");
	wire_parameters_add_query(&query, request->path);
	wire_parameters_put(&query, out);
	buf_put(out, "\n");
	if (request->content_type)
		buf_printf(out, "content-type:%s\n", request->content_type);
	buf_printf(out, "host:%s\nx-amz-date:%s\n", host, date);
	if (v4->session_token)
		buf_printf(out, "x-amz-security-token:%s\n", v4->session_token);
	crypto_sha256_hex(request->body, hash);
	buf_printf(out, "\n%s\n%s", names, hash);
	wire_parameters_release(&query);
	free(path);
}

static void chain(unsigned char key[SHA256_BYTES], const char *text)
{
	unsigned char next[SHA256_BYTES];
	crypto_hmac_sha256((struct str){ (const char *)key, SHA256_BYTES }, str_of(text), next);
	memcpy(key, next, sizeof(next));
}

static void sign(const struct wire_sigv4 *v4, const char *day, const char *to_sign,
                 char ret[SHA256_HEX])
{
	unsigned char key[SHA256_BYTES];
	char *first = mem_format("AWS4%s", v4->secret_key);
	crypto_hmac_sha256(str_of(first), str_of(day), key);
	wire_secret_free(first);
	chain(key, v4->region);
	chain(key, v4->service);
	chain(key, "aws4_request");
	chain(key, to_sign);
	crypto_hex(key, sizeof(key), ret);
	explicit_bzero(key, sizeof(key));
}

void wire_sigv4_sign(const struct wire_sigv4 *v4, const struct wire_signable *request,
                     char *ret[WIRE_AUTH_LINES])
{
	const char *authority = strstr(request->base, "://") + 3;
	size_t host_len = strcspn(authority, "/");
	char *host = mem_format("%.*s", (int)host_len, authority);
	time_t time = (time_t)v4->timestamp_s;
	struct tm tm;
	char date[32], hash[SHA256_HEX], signature[SHA256_HEX];
	gmtime_r(&time, &tm);
	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
	char *names = mem_format("%shost;x-amz-date%s",
	                         request->content_type ? "content-type;" : "",
	                         v4->session_token ? ";x-amz-security-token" : "");
	struct buf canonical;
	buf_init(&canonical, TEXT_BYTES);
	put_canonical(v4, request, host, date, names, &canonical);
	crypto_sha256_hex(buf_str(&canonical), hash);
	char *day = mem_dup(date, DAY_CHARS);
	char *scope = mem_format("%s/%s/%s/aws4_request", day, v4->region, v4->service);
	char *to_sign = mem_format("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
	sign(v4, day, to_sign, signature);
	ret[0] = mem_format("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, "
	                    "Signature=%s",
	                    v4->access_key, scope, names, signature);
	ret[1] = mem_format("X-Amz-Date: %s", date);
	ret[2] = v4->session_token ? mem_format("X-Amz-Security-Token: %s", v4->session_token)
	                           : NULL;
	buf_release(&canonical);
	free(host);
	free(names);
	free(day);
	free(scope);
	free(to_sign);
}
