/* SPDX-License-Identifier: MIT */
/*
 * Requests signed with a shared secret (auth kind hmac): two headers, the time
 * and HMAC-SHA256 over a text that the configuration describes, such as
 * "{timestamp}.{method}.{path}.{body}".  The time must be in it, so that a
 * request that was overheard is worth little, and the body must be, so that it
 * cannot be exchanged.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "wire/wire_int.h"

static const char default_text[] = "{timestamp}.{method}.{path}.{body}";

enum { TEXT_BYTES = LIMIT_REQUEST_BYTES + 64 * 1024 };

static const char *text_of(const struct wire_auth *auth)
{
	return auth->signed_text ? auth->signed_text : default_text;
}

int wire_signed_prepare(const struct wire_auth *auth, struct err *err)
{
	const char *names[] = { auth->header, auth->timestamp_header };
	for (size_t i = 0; i < 2; i++)
		if (!wire_header_is_name(names[i]) ||
		    (wire_header_is_reserved(names[i]) &&
		     !wire_header_line_is("Authorization:", names[i])))
			return err_set(err, ERR_INPUT, "auth.%s: '%s' cannot be used",
			               i ? "timestamp_header" : "header", names[i]);
	if (auth->encoding && strcmp(auth->encoding, "hex") != 0 &&
	    strcmp(auth->encoding, "base64") != 0)
		return err_set(err, ERR_INPUT, "auth.encoding: must be \"hex\" or \"base64\"");
	const char *body = strstr(text_of(auth), "{body}"), *path = strstr(text_of(auth), "{path}");
	if (!strstr(text_of(auth), "{timestamp}") || !body)
		return err_set(err, ERR_INPUT, "auth.signed: must contain {timestamp} and {body}");
	if (strstr(body + 1, "{body}") || (path && strstr(path + 1, "{path}")))
		return err_set(err, ERR_INPUT, "auth.signed: takes {body} and {path} once");
	return 0;
}

char *wire_full_path(const struct wire_signable *request)
{
	const char *authority = strstr(request->base, "://") + 3;
	const char *path = authority + strcspn(authority, "/");
	bool is_empty = *path == '\0' && *request->path == '\0';
	return mem_format("%s%s", is_empty ? "/" : path, request->path);
}

static void put_signed(const char *text, const struct wire_signable *request, const char *timestamp,
                       struct buf *out)
{
	char *path = wire_full_path(request);
	const struct {
		const char *name;
		struct str value;
	} parts[] = { { "{timestamp}", str_of(timestamp) },
		      { "{method}", str_of(request->method) },
		      { "{path}", str_of(path) },
		      { "{body}", request->body } };
	while (*text) {
		size_t i = 0;
		while (i < 4 && !str_begins(text, parts[i].name))
			i++;
		if (i == 4) {
			buf_put_len(out, text++, 1);
			continue;
		}
		buf_put_len(out, parts[i].value.ptr, parts[i].value.len);
		text += strlen(parts[i].name);
	}
	free(path);
}

void wire_signed_sign(const struct wire_auth *auth, const struct wire_signable *request,
                      int64_t now_s, char *ret[WIRE_AUTH_LINES])
{
	char *timestamp = mem_format("%lld", (long long)now_s);
	unsigned char digest[SHA256_BYTES];
	struct buf text, out;
	buf_init(&text, TEXT_BYTES);
	buf_init(&out, 4096);
	put_signed(text_of(auth), request, timestamp, &text);
	crypto_hmac_sha256(str_of(auth->secret), buf_str(&text), digest);
	explicit_bzero(text.bytes, text.len);
	buf_release(&text);
	buf_printf(&out, "%s: %s", auth->header, auth->prefix ? auth->prefix : "");
	if (auth->encoding && strcmp(auth->encoding, "base64") == 0) {
		crypto_base64_put((struct str){ (const char *)digest, sizeof(digest) }, &out);
	} else {
		char hex[SHA256_HEX];
		crypto_hex(digest, sizeof(digest), hex);
		buf_put(&out, hex);
	}
	ret[0] = buf_take(&out);
	ret[1] = mem_format("%s: %s", auth->timestamp_header, timestamp);
	wire_secret_free(timestamp);
}
