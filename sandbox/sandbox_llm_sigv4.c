/* SPDX-License-Identifier: MIT */
/*
 * AWS Signature Version 4 from the other side: what the client says it signed is
 * put together again from the request as it came, and the signatures are
 * compared.  Written apart from the engine's signer, so that each proves the other.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "sandbox/sandbox_llm.h"

enum { SKEW_S = 300, NAMES_MAX = 50, DATE_CHARS = 16, DAY_CHARS = 8 };

#define ALGORITHM "AWS4-HMAC-SHA256"
#define REFUSED                                                                                 \
	"The request signature we calculated does not match the signature you provided. Check " \
	"your AWS Secret Access Key and signing method."

/* The value of NAME= in "Credential=..., SignedHeaders=..., Signature=..."; new, or NULL. */
static char *part_new(const char *header, const char *name)
{
	const char *at = strstr(header, name);
	return at ? mem_dup(at + strlen(name), strcspn(at + strlen(name), ", ")) : NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names and values encoded anew and sorted. */
static void put_query(const struct request *request, struct buf *out)
{
	char **all = mem_grow(NULL, request->query.len + 1, sizeof(*all));
	for (size_t i = 0; i < request->query.len; i++) {
		struct buf pair;
		buf_init(&pair, MAX_BODY_BYTES);
		url_encode_put(str_of(request->query.at[i].name), &pair);
		buf_put(&pair, "=");
		url_encode_put(str_of(request->query.at[i].value), &pair);
		all[i] = buf_take(&pair);
	}
	qsort(all, request->query.len, sizeof(*all), by_text);
	for (size_t i = 0; i < request->query.len; i++) {
		buf_printf(out, "%s%s", i ? "&" : "", all[i]);
		free(all[i]);
	}
	free(all);
}

/* The path of the wire, each segment encoded once more (every service but S3). */
static void put_path(const char *path, struct buf *out)
{
	while (*path) {
		size_t len = strcspn(path, "/");
		url_encode_put((struct str){ path, len }, out);
		path += len;
		if (*path)
			buf_put(out, "/");
		path += *path == '/';
	}
}

/* The headers that were signed, in the order in which they are listed. */
static bool put_headers(const struct request *request, const char *names, struct buf *out)
{
	bool has_host = false;
	for (int i = 0; *names && i < NAMES_MAX; i++) {
		size_t len = strcspn(names, ";");
		char *name = mem_dup(names, len);
		const char *value = pairs_header(&request->headers, name);
		has_host |= strcmp(name, "host") == 0;
		bool is_there = value != NULL;
		if (is_there)
			buf_printf(out, "%s:%.*s\n", name, (int)strlen(value), value);
		free(name);
		if (!is_there)
			return false;
		names += len + (names[len] == ';');
	}
	return has_host;
}

static void chain(unsigned char key[SHA256_BYTES], const char *text)
{
	unsigned char next[SHA256_BYTES];
	crypto_hmac_sha256((struct str){ (const char *)key, SHA256_BYTES }, str_of(text), next);
	memcpy(key, next, sizeof(next));
}

/* scope: day/region/service/aws4_request */
static void sign(const char *scope, const char *to_sign, char ret[SHA256_HEX])
{
	unsigned char key[SHA256_BYTES];
	char *first = mem_format("AWS4%s", BEDROCK_SECRET_KEY);
	size_t len = strcspn(scope, "/");
	crypto_hmac_sha256(str_of(first), (struct str){ scope, len }, key);
	for (scope += len; *scope == '/'; scope += len) {
		scope++;
		len = strcspn(scope, "/");
		char *part = mem_dup(scope, len);
		chain(key, part);
		free(part);
	}
	chain(key, to_sign);
	crypto_hex(key, sizeof(key), ret);
	free(first);
}

static bool signature_matches(const struct request *request, const char *scope, const char *names,
                              const char *date, const char *signature)
{
	struct buf canonical;
	char hash[SHA256_HEX], made[SHA256_HEX];
	const char *said = pairs_header(&request->headers, "x-amz-content-sha256");
	crypto_sha256_hex(request->body, hash);
	if (said && strcmp(said, hash) != 0)
		return false;
	buf_init(&canonical, MAX_BODY_BYTES);
	buf_printf(&canonical, "%s\n", request->method);
	put_path(request->path, &canonical);
	buf_put(&canonical, "\n");
	put_query(request, &canonical);
	buf_put(&canonical, "\n");
	bool is_complete = put_headers(request, names, &canonical);
	buf_printf(&canonical, "\n%s\n%s", names, hash);
	crypto_sha256_hex(buf_str(&canonical), hash);
	char *to_sign = mem_format(ALGORITHM "\n%s\n%s\n%s", date, scope, hash);
	sign(scope, to_sign, made);
	free(to_sign);
	buf_release(&canonical);
	return is_complete && crypto_equal(str_of(made), str_of(signature));
}

/* YYYYMMDDTHHMMSSZ; -1: it is none. */
static int64_t date_s(const char *date)
{
	struct tm tm = { 0 };
	const char *end = strlen(date) == DATE_CHARS ? strptime(date, "%Y%m%dT%H%M%SZ", &tm) : NULL;
	return end && !*end ? (int64_t)timegm(&tm) : -1;
}

/* AKIA.../20261130/us-east-1/bedrock/aws4_request */
static const char *credential_fault(const char *credential, const char *date)
{
	const char *scope = strchr(credential, '/');
	if (!scope || strncmp(credential, BEDROCK_ACCESS_KEY, (size_t)(scope - credential)) != 0 ||
	    strlen(BEDROCK_ACCESS_KEY) != (size_t)(scope - credential))
		return "The security token included in the request is invalid.";
	if (strncmp(scope + 1, date, DAY_CHARS) != 0)
		return "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
		       "date from HTTP";
	if (!str_ends(scope, "/bedrock/aws4_request"))
		return "Credential should be scoped to correct service: 'bedrock'.";
	return NULL;
}

const char *sigv4_fault(const struct request *request)
{
	const char *header = request_header(request, "Authorization");
	const char *date = request_header(request, "X-Amz-Date");
	const char *session = request_header(request, "X-Amz-Security-Token");
	if (strncmp(header, ALGORITHM " ", strlen(ALGORITHM " ")) != 0)
		return "Missing Authentication Token";
	char *credential = part_new(header, "Credential="),
	     *names = part_new(header, "SignedHeaders=");
	char *signature = part_new(header, "Signature=");
	int64_t sent_s = date_s(date);
	const char *fault = "Authorization header requires 'Credential', 'SignedHeaders' and "
			    "'Signature' parameters.";
	if (credential && names && signature)
		fault = credential_fault(credential, date);
	if (!fault && llabs(sent_s - request->now_ms / 1000) > SKEW_S)
		fault = "Signature expired: the date is more than 5 minutes off.";
	if (!fault && *session && strcmp(session, BEDROCK_SESSION_TOKEN) != 0)
		fault = "The security token included in the request is invalid.";
	if (!fault && *session && !strstr(names, "x-amz-security-token"))
		fault = REFUSED;
	if (!fault &&
	    !signature_matches(request, strchr(credential, '/') + 1, names, date, signature))
		fault = REFUSED;
	free(credential);
	free(names);
	free(signature);
	return fault;
}
