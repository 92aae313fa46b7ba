/* SPDX-License-Identifier: MIT */
/* Deliveries that start runs: signed, once, durable, throttled (RELIABILITY rows 38-46). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"

static const char secret_a[] = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="; /* 0123...01 */
static const char secret_b[] = "whsec_YWJjZGVmZ2hpamFiY2RlZmdoaWphYmNkZWZnaGlqYWI="; /* abcd...ab */
static const char key_a[] = "01234567890123456789012345678901";

static const char config[] =
	"{\"per_address\":0,\"anonymous\":\"operator\",\"webhooks\":{"
	"\"orders\":{\"graph\":\"echo\",\"scheme\":\"standard\",\"secrets\":[\"env:GW_OLD\","
	"\"env:GW_NEW\"]},"
	"\"other\":{\"graph\":\"echo\",\"scheme\":\"standard\",\"secret\":\"env:GW_NEW\"},"
	"\"docs\":{\"graph\":\"echo\",\"scheme\":\"docusign\",\"secret\":\"env:GW_PLAIN\","
	"\"input\":\"data\"},"
	"\"idle\":{\"scheme\":\"secret\",\"secret\":\"env:GW_PLAIN\",\"header\":\"X-Key\"},"
	"\"slow\":{\"graph\":\"echo\",\"scheme\":\"secret\",\"secret\":\"env:GW_PLAIN\","
	"\"header\":\"X-Key\","
	"\"rate_per_s\":1,\"burst\":2}}}";

/* A Standard Webhooks delivery signed with key_a. */
static struct reply deliver(struct served *served, const char *source, const char *id,
                            const char *body)
{
	char head[300], signed_text[2000], path[100], more[600];
	unsigned char digest[SHA256_BYTES];
	struct buf base64;
	long now =
		(long)(clock_wall_ms(&(struct clock){ NULL, clock_system().wall_ms, NULL }) / 1000);
	snprintf(head, sizeof(head), "%s.%ld.", id, now);
	snprintf(signed_text, sizeof(signed_text), "%s%s", head, body);
	crypto_hmac_sha256(str_of(key_a), str_of(signed_text), digest);
	buf_init(&base64, 100);
	crypto_base64_put((struct str){ (char *)digest, sizeof(digest) }, &base64);
	snprintf(path, sizeof(path), "/webhook/%s", source);
	snprintf(more, sizeof(more),
	         "webhook-id: %s\r\nwebhook-timestamp: %ld\r\nwebhook-signature: v1,%s\r\n", id,
	         now, base64.bytes);
	buf_release(&base64);
	return client_call(served->port, "POST", path, NULL, more, body);
}

static size_t count_runs(struct served *served)
{
	json_t *reply = served_ask(served, json_pack("{s:s}", "op", "run.list"));
	size_t ret = json_array_size(json_at(reply, "runs"));
	json_decref(reply);
	return ret;
}

static void check_named(struct served *served)
{
	static const char body[] = "{\"say\":\"hello\",\"correlation_id\":\"order-1\"}";
	struct reply first = deliver(served, "orders", "msg_1", body);
	CHECK_MSG(first.status == 202, "a signed delivery: %d %s", first.status,
	          reply_code(&first));
	CHECK_STR(json_str(first.json, "correlation_id", ""), "order-1");
	struct reply again = deliver(served, "orders", "msg_1", body);
	CHECK_MSG(again.status == 200, "the same again: %d", again.status);
	CHECK_STR(json_str(again.json, "run", ""), json_str(first.json, "run", "?"));
	reply_release(&again);
	again = deliver(served, "orders", "msg_2", body);
	CHECK_MSG(again.status == 200, "the same order under another delivery: %d", again.status);
	reply_release(&again);
	again = deliver(served, "orders", "msg_1",
	                "{\"say\":\"else\",\"correlation_id\":\"order-1\"}");
	CHECK_MSG(again.status == 409, "the same order, another body: %d", again.status);
	reply_release(&again);
	again = deliver(served, "orders", "msg_1",
	                "{\"say\":\"hello\",\"correlation_id\":\"order-2\"}");
	CHECK_MSG(again.status == 409, "the same delivery, another order: %d", again.status);
	reply_release(&again);
	reply_release(&first);
	CHECK(count_runs(served) == 1);
}

static void check_unnamed(struct served *served)
{
	size_t before = count_runs(served);
	struct reply first = deliver(served, "orders", "msg_9", "{\"say\":\"x\"}");
	CHECK(first.status == 202);
	CHECK_STR(json_str(first.json, "correlation_id", ""), "msg_9");
	reply_release(&first);
	first = deliver(served, "orders", "msg_9", "{\"say\":\"x\"}");
	CHECK(first.status == 200);
	reply_release(&first);
	first = deliver(served, "orders", "msg_9", "{\"say\":\"y\"}");
	CHECK(first.status == 409);
	reply_release(&first);
	CHECK(count_runs(served) == before + 1);
}

static void check_refused(struct served *served)
{
	size_t before = count_runs(served);
	struct reply reply = deliver(served, "other", "msg_3", "{}");
	CHECK_MSG(reply.status == 401 && strcmp(reply_code(&reply), "webhook.signature") == 0,
	          "signed for another source: %d", reply.status);
	reply_release(&reply);
	reply = client_call(served->port, "POST", "/webhook/orders", NULL, NULL, "{}");
	CHECK_MSG(reply.status == 401, "not signed");
	reply_release(&reply);
	reply = client_call(served->port, "GET", "/webhook/orders", NULL, NULL, NULL);
	CHECK(reply.status == 405);
	reply_release(&reply);
	static const char *const bad[] = { "not json",
		                           "{\"a\":1,\"a\":2}",
		                           "[]",
		                           "{\"correlation_id\":\"a b\"}",
		                           "{\"correlation_id\":7}",
		                           "" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		reply = deliver(served, "orders", "msg_4", bad[i]);
		CHECK_MSG(reply.status == 400 || reply.status == 422, "signed nonsense '%s': %d",
		          bad[i], reply.status);
		reply_release(&reply);
	}
	CHECK(count_runs(served) == before);
}

static void check_schemes(struct served *served)
{
	unsigned char digest[SHA256_BYTES];
	struct buf more;
	static const char body[] = "{\"data\":{\"say\":\"doc\"},\"noise\":1}";
	buf_init(&more, 300);
	crypto_hmac_sha256(STR_LIT("plain secret"), str_of(body), digest);
	buf_put(&more, "X-DocuSign-Signature-1: ");
	crypto_base64_put((struct str){ (char *)digest, sizeof(digest) }, &more);
	buf_put(&more, "\r\n");
	struct reply reply = client_call(served->port, "POST", "/webhook/docs", NULL, more.bytes,
	                                 body);
	CHECK_MSG(reply.status == 202, "docusign: %d", reply.status);
	reply_release(&reply);
	reply = client_call(served->port, "POST", "/webhook/docs", NULL, more.bytes, body);
	CHECK_MSG(reply.status == 200, "the same bytes are the same delivery: %d", reply.status);
	reply_release(&reply);
	buf_release(&more);
	reply = client_call(served->port, "POST", "/webhook/idle", NULL,
	                    "X-Key: plain secret\r\nIdempotency-Key: i1\r\n", "{}");
	CHECK_MSG(reply.status == 202, "shared secret: %d", reply.status);
	CHECK_STR(json_str(reply.json, "correlation_id", ""), "i1");
	reply_release(&reply);
	reply = client_call(served->port, "POST", "/webhook/idle", NULL, "X-Key: plain secreT\r\n",
	                    "{}");
	CHECK(reply.status == 401);
	reply_release(&reply);
}

static void check_rate(struct served *served)
{
	size_t before = count_runs(served), taken = 0, throttled = 0;
	for (int i = 0; i < 10; i++) {
		char body[40];
		snprintf(body, sizeof(body), "{\"correlation_id\":\"rate-%d\"}", i);
		struct reply reply = client_call(served->port, "POST", "/webhook/slow", NULL,
		                                 "X-Key: plain secret\r\n", body);
		taken += reply.status == 202;
		throttled += reply.status == 429 && strstr(reply.text, "\r\nRetry-After: ");
		reply_release(&reply);
	}
	CHECK_MSG(taken >= 2 && throttled >= 1 && taken + throttled == 10,
	          "%zu taken, %zu told to come later", taken, throttled);
	CHECK_MSG(count_runs(served) == before + taken, "what was taken is there, the rest is not");
}

static void check_config(void)
{
	static const char *const bad[][2] = {
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"standard\"}}}", "config.webhook" },
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"guess\",\"secret\":\"env:GW_NEW\"}}}",
		  "config.webhook" },
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"github\",\"secret\":\"inline\"}}}",
		  "config.webhook" },
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"github\",\"secret\":\"env:GW_EMPTY\"}}}",
		  "secret.absent" },
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"github\",\"secret\":\"env:GW_ABSENT\"}}}",
		  "secret.absent" },
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"standard\",\"secret\":\"env:GW_PLAIN\"}}}",
		  "webhook.secret" },
		{ "{\"webhooks\":{\"x\":{\"scheme\":\"github\",\"secrt\":\"env:GW_NEW\"}}}",
		  "config.unknown_key" },
		{ "{\"webhooks\":{\"a/b\":{\"scheme\":\"github\",\"secret\":\"env:GW_NEW\"}}}",
		  "config.webhook" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_STR(served_refusal(bad[i][0]), bad[i][1]);
}

int main(void)
{
	struct served served;
	mem_install();
	setenv("GW_OLD", secret_b, 1);
	setenv("GW_NEW", secret_a, 1);
	setenv("GW_PLAIN", "plain secret", 1);
	setenv("GW_EMPTY", "", 1);
	served_start(&served, config);
	check_named(&served);
	check_unnamed(&served);
	check_schemes(&served);
	check_rate(&served);
	served_stop(&served);
	setenv("GW_NEW", secret_b, 1);
	setenv("GW_OLD", secret_a, 1);
	served_start(&served, config);
	check_refused(&served);
	served_stop(&served);
	check_config();
	return check_done();
}
