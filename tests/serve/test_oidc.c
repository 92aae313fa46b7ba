/* SPDX-License-Identifier: MIT */
/* Tokens of an identity provider: whose signature counts, for whom, how long, and as what. */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/must.h"
#include "check.h"
#include "serve/serve_int.h"
#include "served.h"
#include "test_keys.h"

/* --- the provider: answers every request with its keys ---------------------------------- */

#define RSA_JWK                                                                                \
	"{\"kty\":\"RSA\",\"use\":\"sig\",\"kid\":\"r1\",\"e\":\"AQAB\",\"n\":\""              \
	"mYvALxV7Rgn1ZY3BDSkN8_pWLDOWUCPvrxK4uZL6VHp7K3l9wchGpgLsnbBXycw2wm7ZLVwr7SSb3vhTB3PG" \
	"TqN79lUOz4Gte2BxAin5PNErx0QDhTKiUxpKq1QkAnb9-OYrUbk16oRbRcdRhXYnEUgpsgckVI0WUEu_HCNd" \
	"Vw6W97_TE75TmtrgYMEwZ-9zHH36BajkgX2liaL_DJyiimEIl4AOFHWO-4eqrWTWe3L2y4f3J2BS4SxcunFf" \
	"8go0tCaQEnsGSaU47QhIZeRhsTDEqWARkA2mhu442O8Z1yACMVaPdjiROHYLUR6Su_Se-8l_oe_ipldJ9Ygl" \
	"fwtVEw\"}"
#define EC_JWK                                                      \
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e1\",\"x\":\"" \
	"ZSXpoKnVvjxpwdPkrWBMeQ_ahVP2Iga3aBLtwSC3OkI\",\"y\":\""    \
	"rv_MeQ1xcpZfjFr0_eijWMzP-sO2U_085RfgFuBnfos\"}"

static const char keys[] = "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"o\"}," RSA_JWK
			   "," EC_JWK ",{\"kty\":\"RSA\",\"kid\":\"short\",\"n\":\"AQAB\",\"e\":"
			   "\"AQAB\"}]}";

struct provider {
	int fd, port;
	pthread_t thread;
};

static void *answer_all(void *arg)
{
	const struct provider *provider = arg;
	char request[8192];
	for (;;) {
		int fd = accept(provider->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		(void)!recv(fd, request, sizeof(request), 0);
		char *reply = mem_format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		                         "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
		                         strlen(keys), keys);
		(void)!send(fd, reply, strlen(reply), MSG_NOSIGNAL);
		free(reply);
		close(fd);
	}
}

static void provider_start(struct provider *provider)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	provider->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(bind(provider->fd, (struct sockaddr *)&address, len) == 0 &&
	     listen(provider->fd, 16) == 0 &&
	     getsockname(provider->fd, (struct sockaddr *)&address, &len) == 0);
	provider->port = ntohs(address.sin_port);
	must(pthread_create(&provider->thread, NULL, answer_all, provider) == 0);
}

static void provider_stop(struct provider *provider)
{
	shutdown(provider->fd, SHUT_RDWR);
	pthread_join(provider->thread, NULL);
	close(provider->fd);
}

/* --- tokens ------------------------------------------------------------------------------ */

static void put_part(struct buf *out, const char *text)
{
	crypto_base64url_put(str_of(text), out);
}

/* To be freed.  pem NULL: no signature. */
static char *jwt(const char *header, const char *claims, const char *pem,
                 enum crypto_algorithm algorithm)
{
	struct buf out, signature;
	struct crypto_key *key;
	struct err err = { 0 };
	buf_init(&out, 1 << 16);
	buf_init(&signature, 4096);
	put_part(&out, header);
	buf_put(&out, ".");
	put_part(&out, claims);
	if (pem) {
		must(crypto_key_read(str_of(pem), &key, &err) == 0 &&
		     crypto_sign(key, algorithm, buf_str(&out), &signature, &err) == 0);
		crypto_key_free(key);
	}
	buf_put(&out, ".");
	crypto_base64url_put(buf_str(&signature), &out);
	buf_release(&signature);
	return buf_take(&out);
}

#define RS "{\"alg\":\"RS256\",\"kid\":\"r1\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"e1\"}"
/* The server's clock stands at 1800000000. */
#define CLAIMS(more)                                                                             \
	"{\"iss\":\"https://login.example\",\"aud\":[\"other\",\"gangway\"],\"exp\":1800000100," \
	"\"email\":\"ann@acme.example\",\"groups\":[\"ops\",\"ceo\"]" more "}"
#define GOOD CLAIMS("")

static const struct {
	const char *header, *claims, *pem;
	enum crypto_algorithm algorithm;
	int status;
} tokens[] = {
	{ RS, GOOD, TEST_RSA_KEY, CRYPTO_RS256, 200 },
	{ ES, GOOD, TEST_EC_KEY, CRYPTO_ES256, 200 },
	{ RS, CLAIMS(",\"nbf\":1799999000"), TEST_RSA_KEY, CRYPTO_RS256, 200 },
	{ RS, CLAIMS(",\"nbf\":1800000100"), TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS, CLAIMS(",\"nbf\":\"soon\""), TEST_RSA_KEY, CRYPTO_RS256, 401 },
	/* The signature and what it claims to be. */
	{ "{\"alg\":\"none\",\"kid\":\"r1\"}", GOOD, NULL, CRYPTO_RS256, 401 },
	{ "{\"alg\":\"HS256\",\"kid\":\"r1\"}", GOOD, TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ "{\"alg\":\"PS256\",\"kid\":\"r1\"}", GOOD, TEST_RSA_KEY, CRYPTO_PS256, 401 },
	{ "{\"alg\":\"ES256\",\"kid\":\"r1\"}", GOOD, TEST_EC_KEY, CRYPTO_ES256, 401 },
	{ "{\"alg\":\"RS256\",\"kid\":\"e1\"}", GOOD, TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ "{\"alg\":\"RS256\",\"kid\":\"unknown\"}", GOOD, TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ "{\"alg\":\"RS256\",\"kid\":\"short\"}", GOOD, TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ "{\"alg\":\"RS256\"}", GOOD, TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ "{\"alg\":\"RS256\",\"kid\":\"r1\",\"crit\":[\"x\"]}", GOOD, TEST_RSA_KEY, CRYPTO_RS256,
	  401 },
	{ RS, GOOD, NULL, CRYPTO_RS256, 401 },
	{ "[]", GOOD, TEST_RSA_KEY, CRYPTO_RS256, 401 },
	/* For whom, by whom, how long. */
	{ RS, "{}", TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS,
	  "{\"iss\":\"https://evil.example\",\"aud\":\"gangway\",\"exp\":1800000100,\"email\":"
	  "\"a\"}",
	  TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS,
	  "{\"iss\":\"https://login.example\",\"aud\":\"else\",\"exp\":1800000100,\"email\":"
	  "\"a\"}",
	  TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS, "{\"iss\":\"https://login.example\",\"aud\":\"gangway\",\"email\":\"a\"}",
	  TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS,
	  "{\"iss\":\"https://login.example\",\"aud\":\"gangway\",\"exp\":1799999900,"
	  "\"email\":\"a\"}",
	  TEST_RSA_KEY, CRYPTO_RS256, 401 },
	/* A person without a name, or with one of the engine's own; a role that is not mapped. */
	{ RS, "{\"iss\":\"https://login.example\",\"aud\":\"gangway\",\"exp\":1800000100}",
	  TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS,
	  "{\"iss\":\"https://login.example\",\"aud\":\"gangway\",\"exp\":1800000100,"
	  "\"email\":\"webhook:x\"}",
	  TEST_RSA_KEY, CRYPTO_RS256, 401 },
	{ RS,
	  "{\"iss\":\"https://login.example\",\"aud\":\"gangway\",\"exp\":1800000100,"
	  "\"email\":\"a\",\"groups\":[\"admin\"]}",
	  TEST_RSA_KEY, CRYPTO_RS256, 403 },
	{ RS,
	  "{\"iss\":\"https://login.example\",\"aud\":\"gangway\",\"exp\":1800000100,"
	  "\"email\":\"a\",\"groups\":\"x ops\"}",
	  TEST_RSA_KEY, CRYPTO_RS256, 200 },
};

/* The keys come a little after the start: until then the answer is 503. */
static void wait_for_keys(struct served *served)
{
	char *token = jwt(RS, GOOD, TEST_RSA_KEY, CRYPTO_RS256);
	for (int status = 503; status == 503;) {
		struct reply reply = client_call(served->port, "GET", "/v1/runs", token, NULL,
		                                 NULL);
		status = reply.status;
		if (status == 503)
			CHECK(strstr(reply.text, "\r\nRetry-After: 1"));
		reply_release(&reply);
	}
	free(token);
}

static void check_tokens(struct served *served)
{
	for (size_t i = 0; i < sizeof(tokens) / sizeof(*tokens); i++) {
		char *token = jwt(tokens[i].header, tokens[i].claims, tokens[i].pem,
		                  tokens[i].algorithm);
		struct reply reply = client_call(served->port, "GET", "/v1/runs", token, NULL,
		                                 NULL);
		CHECK_MSG(reply.status == tokens[i].status, "%s %.60s: %d %s", tokens[i].header,
		          tokens[i].claims, reply.status, reply_code(&reply));
		reply_release(&reply);
		free(token);
	}
	static const char *const broken[] = { "a.b.c", "..", "a.b", "a.b.c.d", "%.%.%" };
	for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
		struct reply reply = client_call(served->port, "GET", "/v1/runs", broken[i], NULL,
		                                 NULL);
		CHECK_MSG(reply.status == 401, "%s: %d", broken[i], reply.status);
		reply_release(&reply);
	}
	char *token = jwt(RS, GOOD, TEST_RSA_KEY, CRYPTO_RS256);
	token[strlen(token) / 2] ^= 1; /* in the claims, or where they end */
	struct reply reply = client_call(served->port, "GET", "/v1/runs", token, NULL, NULL);
	CHECK_MSG(reply.status == 401, "changed claims: %d", reply.status);
	reply_release(&reply);
	free(token);
}

/* The person is who acts, and what the map gives is all they may. */
static void check_person(struct served *served)
{
	char *token = jwt(ES, GOOD, TEST_EC_KEY, CRYPTO_ES256);
	struct reply reply = client_call(served->port, "POST", "/v1/runs", token, NULL,
	                                 "{\"graph\":\"idle\",\"correlation_id\":\"o\"}");
	CHECK(reply.status == 202);
	json_t *events = served_ask(served, json_pack("{s:s,s:s}", "op", "run.events", "run",
	                                              json_str(reply.json, "id", "")));
	reply_release(&reply);
	const json_t *start = json_array_get(json_at(events, "records"), 0);
	CHECK_STR(json_str(json_at(start, "start"), "by", ""), "ann@acme.example");
	json_decref(events);
	reply = client_call(served->port, "GET", "/v1/tokens", token, NULL, NULL);
	CHECK_MSG(reply.status == 403, "an operator sees no tokens: %d", reply.status);
	reply_release(&reply);
	free(token);
}

static void check_config(void)
{
	CHECK_STR(served_refusal("{\"oidc\":{}}"), "config.oidc");
	CHECK_STR(served_refusal("{\"oidc\":{\"issuer\":\"x\",\"audience\":\"y\"}}"),
	          "config.oidc");
	CHECK_STR(served_refusal("{\"oidc\":{\"isuer\":\"x\"}}"), "config.unknown_key");
	CHECK_STR(served_refusal("{\"oidc\":{\"issuer\":\"x\",\"audience\":\"y\",\"connection\":"
	                         "\"z\",\"map\":{\"a\":\"god\"}}}"),
	          "token.role");
}

int main(void)
{
	struct served served;
	struct provider provider;
	char connections[200];
	mem_install();
	provider_start(&provider);
	snprintf(connections, sizeof(connections),
	         "{\"login\":{\"url\":\"http://127.0.0.1:%d\",\"private\":true,\"retries\":0}}",
	         provider.port);
	served_start_with(
		&served,
		"{\"per_address\":0,\"oidc\":{\"issuer\":\"https://login.example\","
		"\"audience\":\"gangway\",\"connection\":\"login\",\"jwks_path\":\"/keys\","
		"\"person\":\"email\",\"roles\":\"groups\",\"map\":{\"ops\":\"operator\"}}}",
		connections);
	served.wall_ms = 1800000000000;
	wait_for_keys(&served);
	check_tokens(&served);
	check_person(&served);
	served_stop(&served);
	provider_stop(&provider);
	check_config();
	return check_done();
}
