/* SPDX-License-Identifier: MIT */
/* Signatures of deliveries: the vectors of WIRE.md 8, and what must not pass
 * (RELIABILITY rows 38-43). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"

/* One check: header pairs, NULL-terminated. */
static bool passes(enum sign_scheme scheme, const char *const *secrets, const char *body,
                   int64_t now_s, const char *const *headers, char *ret_id)
{
	struct sign_secret list[SIGN_SECRETS];
	struct frame frame = { 0 };
	struct err err = { 0 };
	char id[LIMIT_CORRELATION_ID_BYTES + 1];
	size_t count = 0;
	for (; secrets[count]; count++)
		if (sign_secret_read(scheme, secrets[count], &list[count], &err) < 0) {
			printf("# %s\n", err.text);
			return false;
		}
	frame_begin(&frame, "HTTP/1.1");
	for (size_t i = 0; headers[i]; i += 2)
		frame_header(&frame, headers[i], headers[i + 1]);
	const struct sign_request request = { .scheme = scheme,
		                              .secrets = list,
		                              .secret_count = count,
		                              .header = "X-Secret",
		                              .frame = &frame,
		                              .body = str_of(body),
		                              .now_s = now_s };
	bool ret = sign_check(&request, id);
	if (ret_id)
		snprintf(ret_id, sizeof(id), "%s", id);
	for (size_t i = 0; i < count; i++)
		free(list[i].bytes);
	return ret;
}

#define LIST(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void check_standard(void)
{
	const char *const a[] = { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", NULL };
	const char *const b[] = { "whsec_YWNtZS13ZWJob29rLXNlY3JldC0wMTIzNDU2Nzg5", NULL };
	const char *const both[] = { a[0], b[0], NULL };
	static const char body_a[] = "{\"test\": 2432232314}";
	static const char body_b[] =
		"{\"type\":\"contract.signed\",\"timestamp\":\"2026-01-15T10:30:00Z\","
		"\"data\":{\"id\":\"ACME-001\"}}";
	static const char id_a[] = "msg_p5jXN8AQM9LWM0D4loKWxJek";
	static const char good_a[] = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
	static const char good_b[] = "v1,3USQY30+EJ6MoYbZc3IZYN97VzwrPNzKRBbUHm1X0wQ=";
	char id[LIMIT_CORRELATION_ID_BYTES + 1], many[2000] = "";
	const int64_t at = 1614265330;
#define A(sig) LIST("webhook-id", id_a, "webhook-timestamp", "1614265330", "webhook-signature", sig)
	CHECK(passes(SIGN_STANDARD, a, body_a, at, A(good_a), id));
	CHECK_STR(id, id_a);
	CHECK(passes(SIGN_STANDARD, b, body_b, 1700000000,
	             LIST("webhook-id", "msg_ACME001", "webhook-timestamp", "1700000000",
	                  "webhook-signature", good_b),
	             NULL));
	CHECK_MSG(passes(SIGN_STANDARD, both, body_a, at, A(good_a), NULL),
	          "the first of two secrets");
	CHECK_MSG(passes(SIGN_STANDARD, LIST(b[0], a[0]), body_a, at, A(good_a), NULL),
	          "the second");
	CHECK_MSG(!passes(SIGN_STANDARD, b, body_a, at, A(good_a), NULL), "another's secret");
	CHECK_MSG(passes(SIGN_STANDARD, a, body_a, at + 300, A(good_a), NULL), "300 s old");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at + 301, A(good_a), NULL), "301 s old");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at - 301, A(good_a), NULL), "301 s early");
	CHECK_MSG(!passes(SIGN_STANDARD, a, "{\"test\":2432232314}", at, A(good_a), NULL),
	          "re-encoded");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at, A("v1,"), NULL), "empty");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at, A("v1,g0hM9SsE"), NULL), "cut short");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at, A(good_a + 3), NULL),
	          "without its version");
	CHECK_MSG(passes(SIGN_STANDARD, a, body_a, at,
	                 A("v1a,abc v1,zzz "
	                   "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
	                 NULL),
	          "one of a list");
	for (int i = 0; i < 100; i++)
		snprintf(many + strlen(many), sizeof(many) - strlen(many), "v1,AAAA ");
	snprintf(many + strlen(many), sizeof(many) - strlen(many), "%s", good_a);
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at, A(many), NULL), "at most ten are tried");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at,
	                  LIST("webhook-id", id_a, "webhook-timestamp", "1614265330"), NULL),
	          "no signature");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at,
	                  LIST("webhook-id", id_a, "webhook-timestamp", "1614265330",
	                       "webhook-signature", "v1,x", "webhook-signature", good_a),
	                  NULL),
	          "two headers are none");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at,
	                  LIST("webhook-id", "msg.1", "webhook-timestamp", "1614265330",
	                       "webhook-signature", good_a),
	                  NULL),
	          "a dot in the id");
	CHECK_MSG(!passes(SIGN_STANDARD, a, body_a, at,
	                  LIST("webhook-id", id_a, "webhook-timestamp", "1614265330x",
	                       "webhook-signature", good_a),
	                  NULL),
	          "a time that is no number");
#undef A
}

static void check_others(void)
{
	const char *const github[] = { "It's a Secret to Everybody", NULL };
	CHECK(passes(
		SIGN_GITHUB, github, "Hello, World!", 0,
		LIST("X-Hub-Signature-256",
	             "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
		NULL));
	CHECK_MSG(!passes(SIGN_GITHUB, github, "Hello, World?", 0,
	                  LIST("X-Hub-Signature-256",
	                       "sha256="
	                       "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
	                  NULL),
	          "github: another body");
	CHECK(!passes(SIGN_GITHUB, github, "Hello, World!", 0,
	              LIST("X-Hub-Signature",
	                   "sha1=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
	              NULL));
	const char *const stripe[] = { "whsec_YWNtZQ==", NULL };
	static const char v1[] =
		"v1=72ac7a44305a02c1691a6715d3bb0b49f6aa4c6801ed0d022bff99287da30bb7";
	char list[400];
	snprintf(list, sizeof(list), "t=1700000000,%s", v1);
	CHECK(passes(SIGN_STRIPE, stripe, "{}", 1700000000, LIST("Stripe-Signature", list), NULL));
	CHECK(!passes(SIGN_STRIPE, stripe, "{}", 1700000301, LIST("Stripe-Signature", list), NULL));
	snprintf(list, sizeof(list), "t=1700000000,v1=00,v0=11,%s", v1);
	CHECK_MSG(
		passes(SIGN_STRIPE, stripe, "{}", 1700000000, LIST("Stripe-Signature", list), NULL),
		"stripe: one of several");
	CHECK(!passes(SIGN_STRIPE, stripe, "{}", 1700000000, LIST("Stripe-Signature", v1), NULL));

	/* Slack and DocuSign: signed here as their documents say. */
	const char *const text[] = { "8f742231b10e8888abcd99yyyzzz85a5", NULL };
	unsigned char digest[SHA256_BYTES];
	char hex[SHA256_HEX], given[100];
	crypto_hmac_sha256(str_of(text[0]), STR_LIT("v0:1531420618:token=xyz"), digest);
	crypto_hex(digest, sizeof(digest), hex);
	snprintf(given, sizeof(given), "v0=%s", hex);
	CHECK(passes(SIGN_SLACK, text, "token=xyz", 1531420618,
	             LIST("X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", given),
	             NULL));
	CHECK(!passes(SIGN_SLACK, text, "token=xyz", 1531420618 + 400,
	              LIST("X-Slack-Request-Timestamp", "1531420618", "X-Slack-Signature", given),
	              NULL));
	struct buf base64;
	buf_init(&base64, 100);
	crypto_hmac_sha256(str_of(text[0]), STR_LIT("<xml/>"), digest);
	crypto_base64_put((struct str){ (char *)digest, sizeof(digest) }, &base64);
	CHECK(passes(SIGN_DOCUSIGN, text, "<xml/>", 0,
	             LIST("X-DocuSign-Signature-1", "old", "X-DocuSign-Signature-2", base64.bytes),
	             NULL));
	CHECK(!passes(SIGN_DOCUSIGN, text, "<xml>", 0, LIST("X-DocuSign-Signature-1", base64.bytes),
	              NULL));
	buf_release(&base64);
	CHECK(passes(SIGN_SECRET, text, "x", 0, LIST("X-Secret", text[0]), NULL));
	CHECK(!passes(SIGN_SECRET, text, "x", 0,
	              LIST("X-Secret", "8f742231b10e8888abcd99yyyzzz85a"), NULL));
	CHECK(!passes(SIGN_SECRET, text, "x", 0, LIST("X-Other", text[0]), NULL));
}

static void check_secrets(void)
{
	struct sign_secret secret;
	struct err err = { 0 };
	static const char *const bad[] = { "", "whsec_", "whsec_YWJj", "whsec_!!!!",
		                           "whsec_YWJjZ" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		err_clear(&err);
		CHECK_MSG(sign_secret_read(SIGN_STANDARD, bad[i], &secret, &err) < 0,
		          "no secret: '%s'", bad[i]);
	}
	err_clear(&err);
	CHECK(sign_secret_read(SIGN_GITHUB, "", &secret, &err) < 0);
}

int main(void)
{
	mem_install();
	check_standard();
	check_others();
	check_secrets();
	return check_done();
}
