/* SPDX-License-Identifier: MIT */
/*
 * The sandbox as a whole: its systems, its memory, its sockets, the tokens it
 * issues, and waiting.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/mem.h"
#include "base/must.h"
#include "sandbox/sandbox.h"

static void nobody_serve(struct sandbox *box, struct request *request, struct reply *reply)
{
	(void)box;
	(void)request;
	reply_text(reply, 404, "text/plain", "Not Found\n");
}

static void nobody_refuse(struct sandbox *box, const struct request *request, int status,
                          struct reply *reply)
{
	(void)box;
	(void)request;
	reply_text(reply, status, "text/plain", "refused\n");
}

const struct system_ops *system_ops(enum system system)
{
	static const struct system_ops ops[SYSTEM_COUNT] = {
		[SYSTEM_SALESFORCE] = { "salesforce", "", salesforce_serve, salesforce_refuse },
		[SYSTEM_NETSUITE] = { "netsuite", "", netsuite_serve, netsuite_refuse },
		[SYSTEM_CLM] = { "clm", "", clm_serve, clm_refuse },
		[SYSTEM_SLACK] = { "slack", "", slack_serve, slack_refuse },
		[SYSTEM_LLM] = { "llm", "/v1", llm_serve, llm_refuse },
		[SYSTEM_PROVISION] = { "provision", "", provision_serve, provision_refuse },
		[SYSTEM_SMTP] = { "smtp", "", nobody_serve, nobody_refuse },
		[SYSTEM_CONTROL] = { "control", "", control_serve, nobody_refuse },
	};
	return &ops[system];
}

int system_by_name(const char *name)
{
	for (int i = 0; name && i < SYSTEM_CONTROL; i++)
		if (strcmp(system_ops((enum system)i)->name, name) == 0)
			return i;
	return -1;
}

const char *system_names(void)
{
	return "salesforce, netsuite, clm, slack, llm, provision, smtp";
}

static void memory_open(struct sandbox *box)
{
	box->salesforce_created = json_array();
	box->salesforce_changes = json_object();
	box->salesforce_cursors = json_object();
	box->netsuite_created = json_array();
	box->netsuite_changes = json_object();
	box->nonces = json_object();
	box->envelopes = json_array();
	box->envelope_changes = json_object();
	box->document_changes = json_object();
	box->workflows = json_object();
	box->messages = json_array();
	box->mails = json_array();
	box->mail_bytes = 0;
	box->tenants = json_array();
	box->operations = json_object();
	box->responses = json_object();
	box->stored_replies = json_object();
}

static void memory_close(struct sandbox *box)
{
	json_decref(box->salesforce_created);
	json_decref(box->salesforce_changes);
	json_decref(box->salesforce_cursors);
	json_decref(box->netsuite_created);
	json_decref(box->netsuite_changes);
	json_decref(box->nonces);
	json_decref(box->envelopes);
	json_decref(box->envelope_changes);
	json_decref(box->document_changes);
	json_decref(box->workflows);
	json_decref(box->messages);
	json_decref(box->mails);
	json_decref(box->tenants);
	json_decref(box->operations);
	json_decref(box->responses);
	json_decref(box->stored_replies);
}

void sandbox_init(struct sandbox *box, uint64_t seed)
{
	*box = (struct sandbox){ .clock = clock_system(), .seed = seed };
	box->stop_fd = eventfd(0, EFD_CLOEXEC);
	must(box->stop_fd >= 0);
	must(pthread_mutex_init(&box->lock, NULL) == 0);
	for (int i = 0; i < SYSTEM_COUNT; i++) {
		box->listeners[i] = (struct listener){ .box = box, .system = (enum system)i };
		box->tls_listeners[i] = box->listeners[i];
		box->tls_listeners[i].is_tls = true;
	}
	memory_open(box);
	log_open(box);
}

void sandbox_release(struct sandbox *box)
{
	scenario_close(box);
	fault_clear(box);
	log_close(box);
	memory_close(box);
	crypto_key_free(box->jwt_key);
	tls_close(box);
	pthread_mutex_destroy(&box->lock);
	close(box->stop_fd);
}

void sandbox_reset(struct sandbox *box)
{
	memory_close(box);
	memory_open(box);
	log_clear(box, -1);
}

bool sandbox_wait(const struct sandbox *box, int fd, int64_t ms)
{
	struct pollfd polls[2] = { { .fd = box->stop_fd, .events = POLLIN },
		                   { .fd = fd, .events = POLLRDHUP } };
	struct clock clock = box->clock;
	int64_t end = clock_monotonic_ms(&clock) + ms;
	for (;;) {
		int64_t left = end - clock_monotonic_ms(&clock);
		if (left <= 0)
			return true;
		int ready = poll(polls, fd >= 0 ? 2 : 1, (int)left);
		if (ready < 0 && errno != EINTR)
			return false;
		if (ready > 0 && polls[0].revents)
			return false;
		if (ready > 0 && fd >= 0 && polls[1].revents)
			return true;
	}
}

int sandbox_listen(int port, int *ret_port, struct err *err)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	socklen_t len = sizeof(at);
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return err_set(err, ERR_SYSTEM, "no socket: %s", strerror(errno));
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
		err_set(err, ERR_SYSTEM, "127.0.0.1:%d cannot be listened on: %s", port,
		        strerror(errno));
		close(fd);
		return err_hint(
			err, "another process may have the port; --port 0 lets the kernel choose");
	}
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* --- tokens ------------------------------------------------------------------- */

/* "<generation>.<count>.<issued>" and a keyed hash of it and the system. */
static void token_proof(const struct sandbox *box, enum system system, const char *claim,
                        char ret[SHA256_HEX])
{
	char *text = mem_format("%d/%s", (int)system, claim);
	char *key = mem_format("gangway-sandbox/%llu", (unsigned long long)box->seed);
	unsigned char digest[SHA256_BYTES];
	crypto_hmac_sha256(str_of(key), str_of(text), digest);
	crypto_hex(digest, SHA256_BYTES, ret);
	ret[32] = '\0';
	free(text);
	free(key);
}

char *token_new(struct sandbox *box, enum system system, const char *prefix, int64_t now_ms)
{
	char proof[SHA256_HEX];
	char *claim = mem_format("%u.%llu.%lld", box->token_generation[system],
	                         (unsigned long long)++box->token_count,
	                         (long long)(now_ms / 1000));
	token_proof(box, system, claim, proof);
	char *token = mem_format("%s%s.%s", prefix, claim, proof);
	free(claim);
	return token;
}

bool token_is_good(const struct sandbox *box, enum system system, const char *prefix,
                   const char *token, int64_t now_ms, int64_t life_s)
{
	const char *dot = token && str_begins(token, prefix) ? strrchr(token, '.') : NULL;
	if (!dot)
		return false;
	token += strlen(prefix);
	if (dot < token)
		return false;
	char *claim = mem_dup(token, (size_t)(dot - token));
	char proof[SHA256_HEX];
	token_proof(box, system, claim, proof);
	unsigned generation = 0;
	unsigned long long count;
	long long issued_s = 0;
	bool good = crypto_equal(str_of(proof), str_of(dot + 1)) &&
	            sscanf(claim, "%u.%llu.%lld", &generation, &count, &issued_s) == 3 &&
	            generation == box->token_generation[system] &&
	            (life_s <= 0 || now_ms / 1000 < issued_s + life_s);
	free(claim);
	return good;
}

static json_t *jwt_part_new(struct str part)
{
	struct buf text;
	struct err ignored = { 0 };
	json_t *value = NULL;
	buf_init(&text, MAX_BODY_BYTES);
	if (part.len > 0 && url_base64_decode(part, &text) &&
	    json_read(buf_str(&text), MAX_BODY_BYTES, &value, &ignored) < 0)
		value = NULL;
	buf_release(&text);
	return value;
}

static bool is_signed(const struct crypto_key *key, const json_t *header, const char *jwt,
                      const char *last_dot)
{
	enum crypto_algorithm algorithm;
	struct buf signature;
	if (!crypto_algorithm_named(json_str(header, "alg", ""), &algorithm))
		return false;
	buf_init(&signature, MAX_BODY_BYTES);
	bool good = url_base64_decode(str_of(last_dot + 1), &signature) &&
	            crypto_verify(key, algorithm, (struct str){ jwt, (size_t)(last_dot - jwt) },
	                          buf_str(&signature));
	buf_release(&signature);
	return good;
}

json_t *token_claims_new(const struct sandbox *box, const char *jwt, json_t **ret_header)
{
	*ret_header = NULL;
	const char *dot = jwt ? strchr(jwt, '.') : NULL;
	const char *second = dot ? strchr(dot + 1, '.') : NULL;
	if (!second || !second[1] || strchr(second + 1, '.'))
		return NULL;
	json_t *header = jwt_part_new((struct str){ jwt, (size_t)(dot - jwt) });
	json_t *claims = jwt_part_new((struct str){ dot + 1, (size_t)(second - dot - 1) });
	if (json_is_object(header) && json_is_object(claims) &&
	    (!box->jwt_key || is_signed(box->jwt_key, header, jwt, second))) {
		*ret_header = header;
		return claims;
	}
	json_decref(header);
	json_decref(claims);
	return NULL;
}

/* --- small things ------------------------------------------------------------- */

void keep_push(json_t *list, json_t *entry_taken, size_t max)
{
	if (json_array_size(list) >= max)
		json_array_remove(list, 0);
	json_push(list, entry_taken);
}

uint64_t hash_text(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	/* FNV leaves the last bytes in the low bits; mix so that any bits can be used. */
	hash ^= hash >> 31;
	hash *= UINT64_C(0x9E3779B97F4A7C15);
	return hash ^ (hash >> 29);
}
