/* SPDX-License-Identifier: MIT */
/*
 * Connections from their configuration, and the small pure parts of wire/:
 * header and path checks, Retry-After, addresses, OAuth 1.0a signatures.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "check.h"
#include "wire/wire_int.h"

static struct wire_connection *load(const char *text, struct err *err)
{
	json_t *json = NULL;
	struct wire_connection *ret = NULL;
	*err = (struct err){ 0 };
	if (json_read(str_of(text), 65536, &json, err) < 0) {
		printf("# %s\n", err->text);
		abort();
	}
	(void)!wire_connection_new("crm", json, &ret, err);
	json_decref(json);
	return ret;
}

/* The configuration is refused, and the text and the hint say so. */
static void refuse(const char *text, const char *word, const char *hint)
{
	struct err err;
	struct wire_connection *connection = load(text, &err);
	CHECK_MSG(!connection && err.code < 0 && strstr(err.text, word) &&
	                  strstr(err.text, "connection 'crm'"),
	          "refused for %s: %s", word, err.text);
	if (hint)
		CHECK_MSG(strstr(err.hint, hint) != NULL, "hint: %s", err.hint);
	wire_connection_free(connection);
}

static void test_refused(void)
{
	refuse("{}", "'url' is missing", NULL);
	refuse("{\"url\":\"https://a.example\",\"timout_ms\":1}", "timout_ms", "timeout_ms");
	refuse("{\"url\":\"https://a.example\",\"timeout_ms\":\"1\"}", "timeout_ms", NULL);
	refuse("{\"url\":\"https://a.example\",\"timeout_ms\":0}", "timeout_ms", NULL);
	refuse("{\"url\":\"https://a.example\",\"private\":1}", "private", NULL);
	refuse("{\"url\":\"https://a.example\",\"ca_file\":\"/nowhere/ca.pem\"}", "ca_file", NULL);
	refuse("{\"url\":7}", "url", NULL);
	refuse("{\"url\":\"ftp://a.example\"}", "http, https, smtp or smtps", NULL);
	refuse("{\"url\":\"a.example\"}", "url", NULL);
	refuse("{\"url\":\"https://u:p@a.example\"}", "credentials", NULL);
	refuse("{\"url\":\"https://a.example/?q=1\"}", "query", NULL);
	refuse("{\"url\":\"https://a.example\",\"breaker\":{\"windw\":1}}", "breaker.windw",
	       "window");
	refuse("{\"url\":\"https://a.example\",\"breaker\":7}", "breaker", NULL);
	refuse("{\"url\":\"https://a.example\",\"backoff_min_ms\":9000}", "backoff_min_ms", NULL);
	refuse("{\"url\":\"https://a.example\",\"idempotency_header\":\"a b\"}",
	       "idempotency_header", NULL);
	refuse("{\"url\":\"https://a.example\",\"headers\":{\"Host\":\"b\"}}", "headers.Host",
	       NULL);
	refuse("{\"url\":\"https://a.example\",\"headers\":{\"X-A\":\"a\\nb\"}}", "headers.X-A",
	       NULL);
	refuse("{\"url\":\"https://a.example\",\"from\":\"a@b.example\"}", "from", NULL);
	refuse("{\"url\":\"https://a.example\",\"auth\":{}}", "kind", NULL);
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"baerer\"}}", "baerer",
	       "bearer");
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\"}}",
	       "'token' is missing", NULL);
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\","
	       "\"token\":\"env:WT_A\","
	       "\"user\":\"x\"}}",
	       "auth.user", NULL);
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"none\",\"tokn\":\"x\"}}",
	       "auth.tokn", "token");
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"oauth2_client\","
	       "\"client_id\":\"x\",\"client_secret\":\"env:WT_A\"}}",
	       "token_path", NULL);
	refuse("{\"url\":\"smtp://a.example\",\"auth\":{\"kind\":\"bearer\","
	       "\"token\":\"env:WT_A\"}}",
	       "mail takes", NULL);
	refuse("{\"url\":\"smtp://a.example\",\"starttls\":\"maybe\"}", "starttls", NULL);
	refuse("{\"url\":\"smtp://a.example\",\"starttls\":\"none\",\"auth\":{\"kind\":\"basic\","
	       "\"user\":\"x\",\"password\":\"env:WT_A\"}}",
	       "clear text", NULL);
}

static void test_secrets_refused(const char *folder)
{
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\","
	       "\"token\":\"s3cret\"}}",
	       "auth.token", "env:NAME");
	struct err err;
	wire_connection_free(load("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\","
	                          "\"token\":\"s3cret\"}}",
	                          &err));
	CHECK_MSG(!strstr(err.text, "s3cret"), "the error does not repeat the secret");
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\","
	       "\"token\":\"env:WT_NONE\"}}",
	       "WT_NONE", "export WT_NONE");
	(void)setenv("WT_BAD", "a\nb", 1);
	refuse("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\","
	       "\"token\":\"env:WT_BAD\"}}",
	       "control character", NULL);
	char *path = mem_format("%s/token", folder);
	char *text = mem_format("{\"url\":\"https://a.example\",\"auth\":{\"kind\":\"bearer\","
	                        "\"token\":\"file:%s\"}}",
	                        path);
	refuse(text, "No such file", NULL);
	FILE *file = fopen(path, "w");
	fputs("file-secret\n", file);
	fclose(file);
	(void)chmod(path, 0644);
	refuse(text, "0644", "chmod 0600");
	(void)chmod(path, 0600);
	struct wire_connection *connection = load(text, &err);
	CHECK_STR(connection ? connection->auth.line : "", "Authorization: Bearer file-secret");
	wire_connection_free(connection);
	file = fopen(path, "w");
	fclose(file);
	refuse(text, "is empty", NULL);
	unlink(path);
	free(path);
	free(text);
}

static void count_secret(void *arg, const char *secret)
{
	int *bits = arg;
	*bits |= strcmp(secret, "one") == 0 ? 1 : strcmp(secret, "two") == 0 ? 2 : 4;
}

static void test_good(void)
{
	struct err err;
	struct wire_connection *c = load(
		"{\"url\":\"HTTPS://API.Example.com:443/v1/\",\"auth\":{\"kind\":\"header\","
		"\"header\":\"X-Api-Key\",\"value\":\"env:WT_A\"},"
		"\"headers\":{\"X-B\":\"env:WT_B\"},"
		"\"settings\":{\"api_version\":60,\"model\":\"env:WT_MODEL\",\"flags\":{\"b\":1,"
		"\"a\":[]},"
		"\"name\":\"x\"},\"plugin\":\"salesforce\",\"rate_per_s\":2.5,\"retries\":0}",
		&err);
	if (!CHECK_MSG(c != NULL, "accepted: %s", err.text))
		return;
	CHECK_STR(c->url.base, "https://api.example.com/v1");
	CHECK_STR(wire_connection_name(c), "crm");
	CHECK_STR(wire_connection_plugin(c), "salesforce");
	CHECK_STR(wire_connection_setting(c, "api_version"), "60");
	CHECK_STR(wire_connection_setting(c, "flags"), "{\"a\":[],\"b\":1}");
	CHECK_STR(wire_connection_setting(c, "model"), "gpt");
	CHECK(wire_connection_setting(c, "absent") == NULL);
	CHECK(c->retries == 0 && c->timeout_ms == 10000 && c->limit.burst == 2);
	int bits = 0;
	wire_connection_secrets(c, count_secret, &bits);
	CHECK_MSG(bits == 3, "two secrets, and the model's name is none");
	json_t *about = wire_connection_describe(c);
	char *text = json_canon(about);
	CHECK(strstr(text, "\"auth\":\"header\"") && !strstr(text, "one") && !strstr(text, "two"));
	free(text);
	json_decref(about);
	wire_connection_free(c);
	c = load("{\"url\":\"smtp://mail.example:587\",\"from\":\"a@b.example\","
	         "\"hello_name\":\"gw.example\"}",
	         &err);
	CHECK(c && c->url.is_mail && !c->is_clear_text);
	wire_connection_free(c);
	c = load("{\"url\":\"http://[::1]:8080\"}", &err);
	CHECK_STR(c ? c->url.base : "", "http://[::1]:8080");
	wire_connection_free(c);
}

static void test_headers(void)
{
	CHECK(wire_header_is_safe("a b; \xc3\xa9") && wire_header_is_safe(""));
	CHECK(!wire_header_is_safe("a\r") && !wire_header_is_safe("a\nb") &&
	      !wire_header_is_safe("\x7f") && !wire_header_is_safe("\t"));
	CHECK(wire_header_is_name("X-A_1") && !wire_header_is_name("") &&
	      !wire_header_is_name("X:") && !wire_header_is_name("X \xc3"));
}

static void test_retry_after(void)
{
	const int64_t now_ms = 784111767000 + 500; /* Sun, 06 Nov 1994 08:49:27.5 GMT */
	CHECK(wire_retry_after_ms("3", now_ms) == 3000);
	CHECK(wire_retry_after_ms("0", now_ms) == 0);
	CHECK(wire_retry_after_ms("99999999999999999999", now_ms) > 1000000);
	CHECK(wire_retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", now_ms) == 9500);
	CHECK(wire_retry_after_ms("Sunday, 06-Nov-94 08:49:37 GMT", now_ms) ==
	      784111777000 - now_ms);
	CHECK(wire_retry_after_ms("Sun Nov  6 08:49:37 1994", now_ms) == 784111777000 - now_ms);
	CHECK(wire_retry_after_ms("Sun, 06 Nov 1994 08:49:17 GMT", now_ms) == 0);
	static const char *const bad[] = { "",
		                           "-1",
		                           "3s",
		                           "3.5",
		                           "soon",
		                           "Sun, 06 Nov 1994 08:49:37",
		                           "Sun, 06 Nox 1994 08:49:37 GMT",
		                           "Sun, 06 Nov 1994 25:49:37 GMT",
		                           "Sun, 06 Nov 1994 08:49:37 GMT and more" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_MSG(wire_retry_after_ms(bad[i], now_ms) == -1, "'%s' is neither", bad[i]);
}

static void test_addresses(void)
{
	static const char *const private[] = {
		"127.0.0.1",
		"127.255.255.255",
		"10.1.2.3",
		"172.16.0.1",
		"172.31.255.255",
		"192.168.0.1",
		"169.254.169.254",
		"0.0.0.0",
		"100.64.0.1",
		"224.0.0.1",
		"255.255.255.255",
		"198.18.0.1",
		"::1",
		"::",
		"fe80::1",
		"fc00::1",
		"fd00:ec2::254",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:8.8.8.8",
		"64:ff9b::7f00:1",
		"2002:7f00:1::",
		"2001::1",
		"::127.0.0.1",
		"nonsense",
	};
	static const char *const public[] = { "8.8.8.8",         "172.32.0.1",
		                              "100.128.0.1",     "1.1.1.1",
		                              "2606:4700::1111", "64:ff9b::808:808",
		                              "2002:808:808::" };
	for (size_t i = 0; i < sizeof(private) / sizeof(*private); i++)
		CHECK_MSG(!wire_address_text_is_public(private[i]), "private: %zu", i);
	for (size_t i = 0; i < sizeof(public) / sizeof(*public); i++)
		CHECK_MSG(wire_address_text_is_public(public[i]), "%s is public", public[i]);
}

/* The two vectors of WIRE.md 2. */
static void test_oauth1(void)
{
	const struct wire_oauth1 oauth1 = { "1234567_SB1", "ACMECK",       "acme cs+1", "ACMETK",
		                            "acme/ts=2",   "n0nceACME001", 1700000000 };
	char *one = wire_oauth1_sign(&oauth1, "GET",
	                             "https://1234567-sb1.suitetalk.api.netsuite.com",
	                             "/services/rest/record/v1/invoice/1215?fields=tranId,status&"
	                             "expandSubResources=true");
	CHECK(strstr(one, "oauth_signature=\"8ra7GLyt6QCfnAD7aywk8NppsMzmvziSVCb0J2ue0H8%3D\"") !=
	      NULL);
	CHECK(strncmp(one, "OAuth realm=\"1234567_SB1\", ", 27) == 0);
	CHECK(strstr(one, "oauth_timestamp=\"1700000000\"") &&
	      strstr(one, "oauth_version=\"1.0\""));
	char *encoded =
		wire_oauth1_sign(&oauth1, "GET", "https://1234567-sb1.suitetalk.api.netsuite.com",
	                         "/services/rest/record/v1/invoice/1215?fields=tranId%2Cstatus&"
	                         "expandSubResources=true");
	CHECK_MSG(strcmp(one, encoded) == 0, "the decoded value is signed");
	char *two = wire_oauth1_sign(&oauth1, "POST", "http://127.0.0.1:8080",
	                             "/services/rest/query/v1/suiteql?limit=10&offset=0");
	CHECK(strstr(two,
	             "oauth_signature=\"lbeki1XgNiYrqi35X%2BGfPaWuqg3H6Ztk93%2BTVRSKP90%3D\"") !=
	      NULL);
	free(one);
	free(encoded);
	free(two);
}

int main(void)
{
	mem_install();
	char folder[] = "/tmp/gw-wire-XXXXXX";
	if (!mkdtemp(folder))
		abort();
	(void)setenv("WT_A", "one", 1);
	(void)setenv("WT_B", "two", 1);
	(void)setenv("WT_MODEL", "gpt", 1);
	test_refused();
	test_secrets_refused(folder);
	test_good();
	test_headers();
	test_retry_after();
	test_addresses();
	test_oauth1();
	rmdir(folder);
	return check_done();
}
