/* SPDX-License-Identifier: MIT */
/*
 * Credentials that sign: keys and algorithms, assertions for a token, AWS
 * Signature 4 (its public test vectors, and a model id with a colon), hmac; and
 * secrets put into a request by name, where they are on no tape.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "check.h"
#include "loop_poll.h"
#include "server_poll.h"
#include "test_keys.h"
#include "wire/wire_int.h"

#define HMAC_HEX "16a0c4450427914ff2ef28380ad7ce65cef192c847e6d96eafae526b0c84e2d2"
#define BEDROCK_HEX "0b2f1ebb14910477c2fd1a540db742c913e4a61e2b1fd26e8050664ef2cd7be2"

/* --- keys ---------------------------------------------------------------------- */

static struct crypto_key *key_of(const char *pem)
{
	struct crypto_key *key = NULL;
	struct err err = { 0 };
	if (crypto_key_read(str_of(pem), &key, &err) < 0)
		abort();
	return key;
}

static size_t unhex(const char *hex, unsigned char *ret)
{
	size_t len = strlen(hex) / 2;
	for (size_t i = 0; i < len; i++) {
		unsigned int byte = 0;
		(void)sscanf(hex + 2 * i, "%2x", &byte);
		ret[i] = (unsigned char)byte;
	}
	return len;
}

static bool is_verified(const char *pem, enum crypto_algorithm algorithm, const char *text,
                        const char *hex)
{
	unsigned char bytes[512];
	struct crypto_key *key = key_of(pem);
	size_t len = unhex(hex, bytes);
	bool ret = crypto_verify(key, algorithm, str_of(text),
	                         (struct str){ (const char *)bytes, len });
	crypto_key_free(key);
	return ret;
}

/* Signatures that another program made. */
static void test_foreign_signatures(void)
{
	CHECK(is_verified(TEST_RSA_PUBLIC, CRYPTO_RS256, "header.claims", TEST_RS256));
	CHECK(!is_verified(TEST_RSA_PUBLIC, CRYPTO_RS256, "header.claimz", TEST_RS256));
	CHECK(is_verified(TEST_RSA_PUBLIC, CRYPTO_PS256, "header.claims", TEST_PS256));
	CHECK_MSG(!is_verified(TEST_RSA_PUBLIC, CRYPTO_PS256, "header.claims", TEST_PS256_LONGEST),
	          "PSS: another salt length is refused");
	CHECK(is_verified(TEST_EC_PUBLIC, CRYPTO_ES256, "header.claims", TEST_ES256));
	CHECK(!is_verified(TEST_EC_PUBLIC, CRYPTO_ES256, "header.claimz", TEST_ES256));
	CHECK(!is_verified(TEST_EC_PUBLIC, CRYPTO_RS256, "header.claims", TEST_RS256));
}

static void sign_and_verify(const char *pem, const char *public, enum crypto_algorithm algorithm,
                            size_t expected_len)
{
	struct crypto_key *key = key_of(pem), *other = key_of(public);
	struct err err = { 0 };
	struct buf out;
	buf_init(&out, 4096);
	int status = crypto_sign(key, algorithm, STR_LIT("some text"), &out, &err);
	CHECK_MSG(status == 0 && out.len == expected_len, "%s signs: %zu bytes, %s",
	          crypto_algorithm_name(algorithm), out.len, err.text);
	CHECK(crypto_verify(other, algorithm, STR_LIT("some text"), buf_str(&out)));
	CHECK(!crypto_verify(other, algorithm, STR_LIT("some texT"), buf_str(&out)));
	CHECK_MSG(crypto_sign(other, algorithm, STR_LIT("x"), &out, &err) < 0,
	          "a public key does not sign");
	buf_release(&out);
	crypto_key_free(key);
	crypto_key_free(other);
}

static void test_sign(void)
{
	sign_and_verify(TEST_RSA_KEY, TEST_RSA_PUBLIC, CRYPTO_RS256, 256);
	sign_and_verify(TEST_RSA_KEY, TEST_RSA_PUBLIC, CRYPTO_PS256, 256);
	sign_and_verify(TEST_RSA_KEY, TEST_RSA_PUBLIC, CRYPTO_PS512, 256);
	for (int i = 0; i < 20; i++) /* r or s is sometimes shorter and must be padded */
		sign_and_verify(TEST_EC_KEY, TEST_EC_PUBLIC, CRYPTO_ES256, 64);
	struct crypto_key *key = key_of(TEST_EC_KEY);
	struct err err = { 0 };
	CHECK(crypto_key_check(key, CRYPTO_ES384, &err) < 0 && strstr(err.text, "P-384"));
	err = (struct err){ 0 };
	CHECK(crypto_key_check(key, CRYPTO_RS256, &err) < 0 && strstr(err.text, "RSA"));
	crypto_key_free(key);
	err = (struct err){ 0 };
	CHECK(crypto_key_read(STR_LIT("s3cret"), &key, &err) < 0 && !strstr(err.text, "s3cret"));
}

/* --- signatures over requests ------------------------------------------------------ */

static void check_sigv4(const struct wire_sigv4 *v4, const struct wire_signable *request,
                        const char *names, const char *signature)
{
	char *lines[WIRE_AUTH_LINES] = { NULL };
	wire_sigv4_sign(v4, request, lines);
	char *expected =
		mem_format("Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/"
	                   "us-east-1/%s/aws4_request, SignedHeaders=%s, Signature=%s",
	                   v4->service, names, signature);
	CHECK_STR(lines[0], expected);
	CHECK_STR(lines[1], "X-Amz-Date: 20150830T123600Z");
	if (v4->session_token)
		CHECK_STR(lines[2], "X-Amz-Security-Token: TOKEN/1==");
	else
		CHECK(lines[2] == NULL);
	free(expected);
	for (size_t i = 0; i < WIRE_AUTH_LINES; i++)
		wire_secret_free(lines[i]);
}

static void test_sigv4(void)
{
	struct wire_sigv4 v4 = { "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
		                 NULL,          "us-east-1",
		                 "service",     1440938160 };
	struct wire_signable request = { "GET", "https://example.amazonaws.com", "/", NULL,
		                         STR_LIT("") };
	check_sigv4(&v4, &request, "host;x-amz-date",
	            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	request.path = "";
	check_sigv4(&v4, &request, "host;x-amz-date",
	            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
	request.path = "/?Param2=value2&Param1=value1";
	check_sigv4(&v4, &request, "host;x-amz-date",
	            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
	v4.service = "iam";
	request = (struct wire_signable){ "GET", "https://iam.amazonaws.com",
		                          "/?Action=ListUsers&Version=2010-05-08",
		                          "application/x-www-form-urlencoded; charset=utf-8",
		                          STR_LIT("") };
	check_sigv4(&v4, &request, "content-type;host;x-amz-date",
	            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
	v4.service = "bedrock";
	v4.session_token = "TOKEN/1==";
	request = (struct wire_signable){ "POST", "https://bedrock-runtime.us-east-1.amazonaws.com",
		                          "/model/acme.m-v1%3A0/converse", "application/json",
		                          STR_LIT("{\"a\":1}") };
	check_sigv4(&v4, &request, "content-type;host;x-amz-date;x-amz-security-token",
	            BEDROCK_HEX);
}

static void test_hmac(void)
{
	char header[] = "X-Sign", when[] = "X-When", secret[] = "acme-hmac-secret",
	     base64[] = "base64";
	char prefix[] = "v1=";
	struct wire_auth auth = { .header = header, .timestamp_header = when, .secret = secret };
	const struct wire_signable request = { "POST", "https://a.example/v1", "/orders?a=1",
		                               "application/json", STR_LIT("{\"a\":1}") };
	char *lines[WIRE_AUTH_LINES] = { NULL };
	wire_signed_sign(&auth, &request, 1700000000, lines);
	CHECK_STR(lines[0], "X-Sign: " HMAC_HEX);
	CHECK_STR(lines[1], "X-When: 1700000000");
	free(lines[0]);
	free(lines[1]);
	auth.prefix = prefix;
	auth.encoding = base64;
	wire_signed_sign(&auth, &request, 1700000000, lines);
	CHECK_STR(lines[0], "X-Sign: v1=FqDERQQnkU/y7yg4CtfOZc7xkshH5tlur65SawyE4tI=");
	free(lines[0]);
	free(lines[1]);
}

/* --- with a server ------------------------------------------------------------------ */

struct bench {
	struct loop_poll *poll;
	struct server *server;
	struct wire *wire;
	struct wire_connection *connection;
	json_t *tape;
	enum wire_status status;
	bool is_done;
	char text[256];
};

static void record(void *ctx, const json_t *entry)
{
	json_push(((struct bench *)ctx)->tape, json_deep_copy(entry));
}

static void done(void *arg, const struct wire_reply *reply)
{
	struct bench *b = arg;
	b->status = reply->status;
	b->is_done = true;
	snprintf(b->text, sizeof(b->text), "%s", reply->text);
}

static void bench_open(struct bench *b, const char *more)
{
	*b = (struct bench){ .poll = loop_poll_new(7), .tape = json_array() };
	struct wire_options options = { .loop = loop_poll_loop(b->poll),
		                        .tape = { b, NULL, record } };
	b->server = server_new(b->poll);
	b->wire = wire_new(&options);
	struct err err = { 0 };
	json_t *json = NULL;
	char *text = mem_format("{\"url\":\"%s\",\"private\":true,\"backoff_min_ms\":1,"
	                        "\"backoff_max_ms\":2,%s}",
	                        server_url(b->server), more);
	if (json_read(str_of(text), 65536, &json, &err) < 0 ||
	    wire_connection_new("crm", json, &b->connection, &err) < 0) {
		printf("# %s\n", err.text);
		abort();
	}
	json_decref(json);
	free(text);
}

static void bench_close(struct bench *b)
{
	wire_free(b->wire);
	server_free(b->server);
	loop_poll_settle(b->poll);
	wire_connection_free(b->connection);
	loop_poll_free(b->poll);
	json_decref(b->tape);
}

static void run(struct bench *b, const char *body, const struct wire_header *headers, size_t count)
{
	const struct wire_send_options options = {
		.connection = b->connection,
		.method = "POST",
		.path = "/enqueue",
		.body = str_of(body),
		.headers = headers,
		.header_count = count,
		.effect = WIRE_KEYED,
		.key = "k1",
		.retries = -1,
		.backoff_min_ms = -1,
		.backoff_max_ms = -1,
		.done = done,
		.arg = b,
	};
	b->is_done = false;
	(void)wire_send(b->wire, &options);
	CHECK(loop_poll_until(b->poll, &b->is_done));
}

static bool tape_has(const struct bench *b, const char *word)
{
	char *text = json_canon(b->tape);
	bool ret = strstr(text, word) != NULL;
	free(text);
	return ret;
}

static void test_secret_in_request(void)
{
	struct bench b;
	(void)setenv("WA_ROUTING", "R0\"ACME", 1);
	(void)setenv("WA_HEADER", "h3ader-s3cret", 1);
	bench_open(&b, "\"secrets\":{\"routing_key\":\"env:WA_ROUTING\","
	               "\"X-Route\":\"env:WA_HEADER\"}");
	char name[] = "X-Route", value[] = "${secret:X-Route}";
	char other[] = "X-Other", stray[] = "${secret:X-Route}";
	const struct wire_header headers[] = { { name, value }, { other, stray } };
	server_answer(b.server, 503, "", "");
	run(&b,
	    "{\"routing_key\":\"${secret:routing_key}\",\"payload\":{\"routing_key\":"
	    "\"${secret:routing_key}\"},\"summary\":\"${secret:routing_key}\"}",
	    headers, 2);
	CHECK(b.status == WIRE_OK && server_count(b.server) == 2);
	for (size_t i = 0; i < 2; i++) {
		const char *sent = server_request(b.server, i);
		CHECK_MSG(strstr(sent, "\"routing_key\":\"R0\\\"ACME\"") != NULL,
		          "the secret is in its place, escaped");
		CHECK_MSG(strstr(sent, "\"payload\":{\"routing_key\":\"${secret:routing_key}\"}") &&
		                  strstr(sent, "\"summary\":\"${secret:routing_key}\""),
		          "and in no other");
		CHECK(strstr(sent, "X-Route: h3ader-s3cret\r\n") &&
		      strstr(sent, "X-Other: ${secret:X-Route}\r\n"));
	}
	CHECK_MSG(!tape_has(&b, "R0") && !tape_has(&b, "h3ader"), "the tape has neither");
	CHECK(tape_has(&b, "${secret:routing_key}"));
	bench_close(&b);
}

static void test_secret_absent(void)
{
	struct bench b;
	(void)setenv("WA_ROUTING", "R0ACME", 1);
	bench_open(&b, "\"secrets\":{\"other\":\"env:WA_ROUTING\"}");
	run(&b, "{\"routing_key\":\"${secret:routing_key}\"}", NULL, 0);
	CHECK(b.status == WIRE_REFUSED && server_count(b.server) == 0);
	CHECK_MSG(strstr(b.text, "no secret 'routing_key'") != NULL, "%s", b.text);
	bench_close(&b);
}

/* --- assertions ------------------------------------------------------------------------ */

static char *key_file(const char *pem)
{
	char *path = mem_dup_str("/tmp/test_wire_auth.XXXXXX");
	int fd = path ? mkstemp(path) : -1; /* made 0600 */
	if (!path || fd < 0 || write(fd, pem, strlen(pem)) != (ssize_t)strlen(pem))
		abort();
	close(fd);
	return path;
}

static size_t unbase64url(const char *text, size_t len, unsigned char *ret)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned int bits = 0, count = 0;
	size_t out = 0;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 6 | (unsigned int)(strchr(digits, text[i]) - digits);
		count += 6;
		if (count >= 8) {
			count -= 8;
			ret[out++] = (unsigned char)(bits >> count);
		}
	}
	return out;
}

/* The assertion of a form: verified, and its claims as text (to be freed). */
static char *claims_of(const char *request, const char *field, const char *public,
                       enum crypto_algorithm algorithm, const char *header_word)
{
	unsigned char bytes[4096];
	const char *at = strstr(request, field);
	if (!CHECK_MSG(at != NULL, "the form has the assertion"))
		return mem_dup_str("");
	at += strlen(field);
	const char *dot = strchr(at, '.'), *second = strchr(dot + 1, '.');
	size_t len = unbase64url(at, (size_t)(dot - at), bytes);
	bytes[len] = '\0';
	CHECK_MSG(strstr((const char *)bytes, header_word) != NULL, "header: %s", (char *)bytes);
	len = unbase64url(second + 1, strcspn(second + 1, "& \r\n"), bytes);
	struct crypto_key *key = key_of(public);
	CHECK_MSG(crypto_verify(key, algorithm, (struct str){ at, (size_t)(second - at) },
	                        (struct str){ (const char *)bytes, len }),
	          "the assertion's signature holds");
	crypto_key_free(key);
	len = unbase64url(dot + 1, (size_t)(second - dot - 1), bytes);
	return mem_dup((const char *)bytes, len);
}

static void test_jwt(void)
{
	struct bench b;
	char *path = key_file(TEST_RSA_KEY);
	char *config = mem_format(
		"\"auth\":{\"kind\":\"oauth2_jwt\",\"token_path\":\"/oauth/token\",\"client_id\":"
		"\"ik\",\"subject\":\"user-1\",\"audience\":\"account-d.docusign.com\",\"scope\":"
		"\"signature impersonation\",\"key\":\"file:%s\"}",
		path);
	bench_open(&b, config);
	server_answer(b.server, 200, "", "{\"access_token\":\"t0ken\",\"token_type\":\"Bearer\"}");
	run(&b, "{}", NULL, 0);
	CHECK(b.status == WIRE_OK && server_count(b.server) == 2);
	const char *form = server_request(b.server, 0);
	CHECK(strstr(form, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"));
	CHECK_MSG(!strstr(form, "client_secret") && !strstr(form, "&scope="), "no more than asked");
	char *claims = claims_of(form, "&assertion=", TEST_RSA_PUBLIC, CRYPTO_RS256,
	                         "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
	CHECK(strstr(claims, "\"aud\":\"account-d.docusign.com\"") &&
	      strstr(claims, "\"iss\":\"ik\"") && strstr(claims, "\"sub\":\"user-1\"") &&
	      strstr(claims, "\"scope\":\"signature impersonation\""));
	CHECK(strstr(server_request(b.server, 1), "Authorization: Bearer t0ken\r\n"));
	/* Refused once: the token is dropped, another fetched, the request repeated. */
	server_answer(b.server, 401, "", "");
	server_answer(b.server, 200, "", "{\"access_token\":\"t1ken\"}");
	run(&b, "{}", NULL, 0);
	CHECK(b.status == WIRE_OK && server_count(b.server) == 5);
	CHECK(strstr(server_request(b.server, 4), "Authorization: Bearer t1ken\r\n"));
	CHECK(!tape_has(&b, "t0ken") && !tape_has(&b, "assertion"));
	free(claims);
	bench_close(&b);
	unlink(path);
	free(path);
	free(config);
}

static void machine(const char *pem, const char *public, enum crypto_algorithm algorithm)
{
	struct bench b;
	char *path = key_file(pem), *word = mem_format("\"alg\":\"%s\",\"kid\":\"cert-1\"",
	                                               crypto_algorithm_name(algorithm));
	char *config = mem_format(
		"\"auth\":{\"kind\":\"oauth2_m2m\",\"token_path\":\"/v1/token\",\"client_id\":"
		"\"c1\",\"key_id\":\"cert-1\",\"scope\":\"rest_webservices\",\"algorithm\":\"%s\","
		"\"key\":\"file:%s\"}",
		crypto_algorithm_name(algorithm), path);
	bench_open(&b, config);
	server_answer(b.server, 200, "", "{\"access_token\":\"t0ken\",\"expires_in\":\"3600\"}");
	run(&b, "{}", NULL, 0);
	CHECK(b.status == WIRE_OK);
	const char *form = server_request(b.server, 0);
	CHECK(strstr(form, "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams"
	                   "%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion="));
	char *claims = claims_of(form, "client_assertion=", public, algorithm, word);
	char *audience = mem_format("\"aud\":\"%s/v1/token\"", server_url(b.server));
	CHECK_MSG(strstr(claims, audience) && strstr(claims, "\"scope\":\"rest_webservices\""),
	          "%s", claims);
	free(audience);
	free(claims);
	bench_close(&b);
	unlink(path);
	free(path);
	free(word);
	free(config);
}

/* Whose clock is wrong?  Not the server's, as far as its signatures go. */
static void test_skew(void)
{
	struct bench b;
	(void)setenv("WA_SECRET", "acme-hmac-secret", 1);
	bench_open(&b, "\"auth\":{\"kind\":\"hmac\",\"secret\":\"env:WA_SECRET\",\"header\":"
	               "\"X-Sign\",\"timestamp_header\":\"X-When\",\"signed\":"
	               "\"{timestamp}.{body}\"}");
	server_answer(b.server, 200, "Date: Tue, 13 Jan 2015 10:30:00 GMT\r\n", "");
	run(&b, "{}", NULL, 0);
	CHECK(!strstr(server_request(b.server, 0), "X-When: 14211450"));
	run(&b, "{}", NULL, 0);
	CHECK_MSG(strstr(server_request(b.server, 1), "X-When: 14211450") != NULL,
	          "the second is signed with the server's time: %s", server_request(b.server, 1));
	bench_close(&b);
}

static void refuse(const char *auth, const char *word)
{
	struct err err = { 0 };
	json_t *json = NULL;
	struct wire_connection *connection = NULL;
	char *text = mem_format("{\"url\":\"https://a.example\",\"auth\":{%s}}", auth);
	if (json_read(str_of(text), 65536, &json, &err) < 0)
		abort();
	CHECK_MSG(wire_connection_new("crm", json, &connection, &err) < 0 &&
	                  strstr(err.text, word) && !strstr(err.text, "PRIVATE"),
	          "refused for %s: %s", word, err.text);
	json_decref(json);
	free(text);
}

static void test_refused(void)
{
	char *rsa = key_file(TEST_RSA_KEY), *public = key_file(TEST_RSA_PUBLIC);
	if (!rsa || !public)
		abort();
#define M2M "\"kind\":\"oauth2_m2m\",\"token_path\":\"/t\",\"client_id\":\"c\","
	char *text = mem_format(M2M "\"algorithm\":\"ES256\",\"key\":\"file:%s\"", rsa);
	refuse(text, "P-256");
	free(text);
	text = mem_format(M2M "\"algorithm\":\"HS256\",\"key\":\"file:%s\"", rsa);
	refuse(text, "HS256");
	free(text);
	text = mem_format(M2M "\"key\":\"file:%s\"", public);
	refuse(text, "cannot sign");
	free(text);
	refuse(M2M "\"key\":\"-----BEGIN PRIVATE KEY-----\"", "must not stand");
	(void)chmod(rsa, 0644);
	text = mem_format(M2M "\"key\":\"file:%s\"", rsa);
	refuse(text, "0644");
	free(text);
	(void)setenv("WA_SECRET", "s", 1);
	refuse("\"kind\":\"aws_sigv4\",\"region\":\"r\",\"service\":\"s3\",\"access_key\":"
	       "\"env:WA_SECRET\",\"secret_key\":\"env:WA_SECRET\"",
	       "s3");
#define HMAC_OF(signed)                                                         \
	"\"kind\":\"hmac\",\"secret\":\"env:WA_SECRET\",\"header\":\"X-Sign\"," \
	"\"timestamp_header\":\"X-When\",\"signed\":\"" signed "\""
	refuse(HMAC_OF("{body}"), "{timestamp}");
	refuse(HMAC_OF("{timestamp}{body}{body}"), "once");
	unlink(rsa);
	unlink(public);
	free(rsa);
	free(public);
}

int main(void)
{
	mem_install();
	test_foreign_signatures();
	test_sign();
	test_sigv4();
	test_hmac();
	test_secret_in_request();
	test_secret_absent();
	test_jwt();
	machine(TEST_RSA_KEY, TEST_RSA_PUBLIC, CRYPTO_PS256);
	machine(TEST_EC_KEY, TEST_EC_PUBLIC, CRYPTO_ES256);
	test_skew();
	test_refused();
	return check_done();
}
