/* SPDX-License-Identifier: MIT */
/*
 * Was this body signed by who shares a secret with us, and lately?  The scheme
 * is configuration and never guessed: they look alike and differ in what is
 * signed, in what the secret's text stands for, and in how the digest is
 * written.  Over the raw bytes, before anybody parses them; compared in constant
 * time; any of several secrets will do, so that they can be changed.
 */
#include <strings.h>

#include "base/crypto.h"
#include "serve/serve_int.h"

enum { SIGNED_HEAD_BYTES = 512, SECRET_MIN_BYTES = 8 };

static const char *const schemes[] = {
	[SIGN_STANDARD] = "standard",     [SIGN_GITHUB] = "github",     [SIGN_STRIPE] = "stripe",
	[SIGN_SLACK] = "slack",           [SIGN_DOCUSIGN] = "docusign", [SIGN_SECRET] = "secret",
	[SIGN_SALESFORCE] = "salesforce",
};

int sign_scheme_find(const char *name)
{
	for (int i = 0; i < (int)(sizeof(schemes) / sizeof(*schemes)); i++)
		if (strcmp(schemes[i], name) == 0)
			return i;
	return -1;
}

/* --- secrets -------------------------------------------------------------------------------- */

static int base64_value(char c)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

/* The decoded bytes in *ret, or false: not base64. */
static bool decode_base64(const char *text, struct sign_secret *ret)
{
	size_t len = strcspn(text, "=");
	if (len % 4 == 1 || strspn(text + len, "=") != strlen(text + len) || strlen(text + len) > 2)
		return false;
	ret->bytes = mem_alloc(len / 4 * 3 + 4);
	ret->len = 0;
	uint32_t bits = 0;
	for (size_t i = 0; i < len; i++) {
		int value = base64_value(text[i]);
		if (value < 0) {
			free(ret->bytes);
			ret->bytes = NULL;
			return false;
		}
		bits = bits << 6 | (uint32_t)value;
		if (i % 4 != 0)
			ret->bytes[ret->len++] = (char)(bits >> (6 - i % 4 * 2) & 0xff);
	}
	return true;
}

int sign_secret_read(enum sign_scheme scheme, const char *text, struct sign_secret *ret,
                     struct err *err)
{
	if (*text == '\0')
		return err_set_id(err, ERR_INPUT, "webhook.secret", "the secret is empty");
	if (scheme != SIGN_STANDARD) {
		/* As it stands: also Stripe's, whose whsec_ is part of the key. */
		if (strlen(text) < SECRET_MIN_BYTES)
			return err_set_id(err, ERR_INPUT, "webhook.secret",
			                  "the secret is shorter than %d bytes", SECRET_MIN_BYTES);
		ret->bytes = mem_dup_str(text);
		ret->len = strlen(text);
		return 0;
	}
	const char *encoded = str_begins(text, "whsec_") ? text + strlen("whsec_") : text;
	if (!decode_base64(encoded, ret))
		return err_set_id(err, ERR_INPUT, "webhook.secret",
		                  "a Standard Webhooks secret is whsec_ and base64");
	if (ret->len >= 24 && ret->len <= 64)
		return 0;
	explicit_bzero(ret->bytes, ret->len);
	free(ret->bytes);
	ret->bytes = NULL;
	return err_set_id(err, ERR_INPUT, "webhook.secret",
	                  "a Standard Webhooks secret has 24 to 64 bytes");
}

/* --- digests -------------------------------------------------------------------------------- */

/* HMAC-SHA256 over head and body. */
static void digest_of(const struct sign_secret *secret, const char *head, struct str body,
                      unsigned char ret[SHA256_BYTES])
{
	struct buf all;
	size_t head_len = strlen(head);
	buf_init(&all, head_len + body.len + 1);
	buf_put_len(&all, head, head_len);
	if (body.len > 0)
		buf_put_len(&all, body.ptr, body.len);
	crypto_hmac_sha256((struct str){ secret->bytes, secret->len },
	                   (struct str){ all.bytes ? all.bytes : "", all.len }, ret);
	buf_release(&all);
}

/* The digest as this scheme writes it. */
static void write_digest(enum sign_scheme scheme, const unsigned char digest[SHA256_BYTES],
                         char ret[128])
{
	if (scheme != SIGN_STANDARD && scheme != SIGN_DOCUSIGN) {
		crypto_hex(digest, SHA256_BYTES, ret);
		return;
	}
	struct buf text;
	buf_init(&text, 128);
	crypto_base64_put((struct str){ (const char *)digest, SHA256_BYTES }, &text);
	snprintf(ret, 128, "%s", text.bytes);
	buf_release(&text);
}

/* One given signature against every secret; all are tried, so that time tells nothing. */
static bool matches(const struct sign_request *request, const char *head, struct str given)
{
	bool is_good = false;
	for (size_t i = 0; i < request->secret_count; i++) {
		unsigned char digest[SHA256_BYTES];
		char text[128];
		digest_of(&request->secrets[i], head, request->body, digest);
		write_digest(request->scheme, digest, text);
		is_good = crypto_equal(str_of(text), given) || is_good;
	}
	return is_good;
}

static bool is_lately(const struct sign_request *request, const char *seconds)
{
	size_t digits = seconds ? strspn(seconds, "0123456789") : 0;
	if (digits == 0 || digits > 12 || seconds[digits] != '\0')
		return false;
	int64_t away = strtoll(seconds, NULL, 10) - request->now_s;
	return away >= -SIGN_WINDOW_S && away <= SIGN_WINDOW_S;
}

/* --- the schemes ----------------------------------------------------------------------------- */

static const char *header(const struct sign_request *request, const char *name)
{
	return frame_get(request->frame, name, NULL);
}

static bool copy_id(const char *id, char ret[LIMIT_CORRELATION_ID_BYTES + 1])
{
	size_t len = id ? strlen(id) : 0;
	if (len == 0 || len > LIMIT_CORRELATION_ID_BYTES)
		return false;
	memcpy(ret, id, len + 1);
	return true;
}

static bool check_standard(const struct sign_request *request,
                           char ret_id[LIMIT_CORRELATION_ID_BYTES + 1])
{
	const char *id = header(request, "webhook-id"), *at = header(request, "webhook-timestamp");
	const char *list = header(request, "webhook-signature");
	char head[SIGNED_HEAD_BYTES];
	if (!id || !at || !list || strchr(id, '.') || !is_lately(request, at) ||
	    !copy_id(id, ret_id))
		return false;
	snprintf(head, sizeof(head), "%.200s.%.12s.", id, at);
	int tried = 0;
	for (size_t len; *list && tried < SIGN_TRIED_MAX;
	     list += len + (list[len] == ' '), tried++) {
		len = strcspn(list, " ");
		if (len > 3 && strncmp(list, "v1,", 3) == 0 &&
		    matches(request, head, (struct str){ list + 3, len - 3 }))
			return true;
	}
	return false;
}

static bool check_stripe(const struct sign_request *request)
{
	const char *list = header(request, "Stripe-Signature");
	struct str tried[SIGN_TRIED_MAX];
	size_t count = 0;
	char at[16] = "", head[32];
	for (size_t len; list && *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		if (len > 2 && strncmp(list, "t=", 2) == 0 && len - 2 < sizeof(at) && !*at)
			memcpy(at, list + 2, len - 2); /* the rest is zero already */
		else if (len > 3 && strncmp(list, "v1=", 3) == 0 && count < SIGN_TRIED_MAX)
			tried[count++] = (struct str){ list + 3, len - 3 };
	}
	if (!is_lately(request, at))
		return false;
	snprintf(head, sizeof(head), "%s.", at);
	bool is_good = false;
	for (size_t i = 0; i < count; i++)
		is_good = matches(request, head, tried[i]) || is_good;
	return is_good;
}

static bool check_prefixed(const struct sign_request *request, const char *name, const char *prefix,
                           const char *head)
{
	const char *given = header(request, name);
	if (!given || !str_begins(given, prefix))
		return false;
	return matches(request, head, str_of(given + strlen(prefix)));
}

static bool check_github(const struct sign_request *request,
                         char ret_id[LIMIT_CORRELATION_ID_BYTES + 1])
{
	(void)copy_id(header(request, "X-GitHub-Delivery"), ret_id);
	return check_prefixed(request, "X-Hub-Signature-256", "sha256=", "");
}

static bool check_slack(const struct sign_request *request)
{
	const char *at = header(request, "X-Slack-Request-Timestamp");
	char head[32];
	if (!is_lately(request, at))
		return false;
	snprintf(head, sizeof(head), "v0:%.12s:", at);
	return check_prefixed(request, "X-Slack-Signature", "v0=", head);
}

/* One header per active key: X-DocuSign-Signature-1, -2, ... */
static bool check_docusign(const struct sign_request *request)
{
	bool is_good = false;
	for (unsigned int i = 1; i <= SIGN_TRIED_MAX; i++) {
		char name[40];
		snprintf(name, sizeof(name), "X-DocuSign-Signature-%u", i);
		const char *given = header(request, name);
		if (given)
			is_good = matches(request, "", str_of(given)) || is_good;
	}
	return is_good;
}

static bool check_secret(const struct sign_request *request)
{
	const char *given = header(request, request->header);
	bool is_good = false;
	for (size_t i = 0; given && i < request->secret_count; i++)
		is_good = crypto_equal(str_of(given), (struct str){ request->secrets[i].bytes,
		                                                    request->secrets[i].len }) ||
		          is_good;
	return is_good;
}

bool sign_check(const struct sign_request *request, char ret_id[LIMIT_CORRELATION_ID_BYTES + 1])
{
	ret_id[0] = '\0';
	if (request->secret_count == 0)
		return false;
	switch (request->scheme) {
	case SIGN_STANDARD: return check_standard(request, ret_id);
	case SIGN_GITHUB: return check_github(request, ret_id);
	case SIGN_STRIPE: return check_stripe(request);
	case SIGN_SLACK: return check_slack(request);
	case SIGN_DOCUSIGN: return check_docusign(request);
	case SIGN_SECRET:
		(void)copy_id(header(request, "Idempotency-Key"), ret_id);
		return check_secret(request);
	case SIGN_SALESFORCE: return false; /* it is read before it is believed: serve_soap.c */
	}
	must_not_reach();
}
