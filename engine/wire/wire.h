/* SPDX-License-Identifier: MIT */
/*
 * HTTP and mail out.  One struct wire per worker loop; connections are shared
 * by all of them (their breaker and limits are guarded inside).
 *
 * A request passes the stages in this order: tape, trace, retry, break, limit,
 * auth, curl.  Each stage has the same shape (struct wire_stage); retry is
 * outside break and limit so that every attempt is counted and paid for, and
 * auth is last so that no tape and no span ever sees a credential.
 *
 * The callback of a request runs exactly once, on the loop's thread, and never
 * inside wire_send.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/str.h"

struct wire;
struct wire_request;
struct wire_connection;

enum wire_effect { WIRE_READ = 1, WIRE_KEYED, WIRE_ONCE };

/*
 * In the configuration: none, bearer, basic, header, oauth2_client, oauth1_tba, oauth2_jwt,
 * oauth2_m2m, aws_sigv4, hmac.
 */
enum wire_auth_kind {
	WIRE_AUTH_NONE,
	WIRE_AUTH_BEARER, /* secret: token */
	WIRE_AUTH_BASIC,  /* user, secret: password */
	WIRE_AUTH_HEADER, /* header, secret: value */
	/* token_path or token_url, client_id, secret: client_secret, scope,
	 * client_auth = "body" | "basic" */
	WIRE_AUTH_OAUTH2_CLIENT,
	/* NetSuite: realm, consumer_key, consumer_secret, token, token_secret */
	WIRE_AUTH_OAUTH1_TBA,
	/* RFC 7523 (Salesforce, DocuSign): token_path or token_url, client_id (iss), subject,
	 * audience, secret: key (PEM), scope, algorithm = "RS256" */
	WIRE_AUTH_OAUTH2_JWT,
	/* NetSuite machine to machine: token_path or token_url, client_id (iss), key_id, audience
	 * (the token's URL), secret: key (PEM), scope, algorithm = "PS256" */
	WIRE_AUTH_OAUTH2_M2M,
	/* region, service, secrets: access_key, secret_key, session_token */
	WIRE_AUTH_AWS_SIGV4,
	/* header, timestamp_header, signed, prefix, encoding = "hex" | "base64", secret: secret */
	WIRE_AUTH_HMAC
};

/*
 * A connection: a named endpoint with credentials and limits (configuration,
 * never in a graph).  Made from a JSON object, the `connections.NAME` table of
 * gangway.lua; unknown keys are refused by name.  Any text may be "env:NAME" or
 * "file:PATH" and is resolved here, once; a secret (token, password, value,
 * client_secret, consumer_secret, token_secret, key, access_key, secret_key,
 * session_token, secret) must be one of them, is never shown, and its file must
 * not be readable by others.
 *
 *   url                 base URL (http, https, smtp, smtps); required
 *   auth                {kind="bearer", token="env:X"} ...; kind "none" by default
 *   headers             {["X-Name"]="value"}
 *   secrets             {routing_key="env:X"}: put in, last of all and on no tape, where a request
 *                       has a header, or a JSON body a member of its top, of that very name
 *                       with the value "${secret:routing_key}"; nowhere else, so that no
 *                       data can ask for a secret
 *   timeout_ms          10000   of one attempt
 *   deadline_ms         60000   of all attempts together
 *   retries             3       backoff_min_ms 1000, backoff_max_ms 4000, doubling with jitter
 *   concurrency         16      requests at once
 *   rate_per_s, burst   0: no rate limit
 *   breaker             {window=20, error_percent=50, open_ms=30000, probes=1}; window 0: none
 *   private             false   may the address be loopback, private or link-local?
 *   idempotency_header  "Idempotency-Key"; "" sends none
 *   idempotency_quoted  false   (RFC 8941 string)
 *   key_lifetime_s      0       how long the other side knows a key; 0: for ever.  A call that is
 *                               older than 80 % of it is not repeated after a crash: it is unsure
 *   plugin              which plugin speaks here; by default the connection's own name
 *   settings            {api_version="60.0", ...} for the plugin
 *   ca_file             PEM file of the authorities to trust; the system's by default
 *   smtp: from, hello_name, starttls = "required" | "none", auth basic
 */
int wire_connection_new(const char *name, const json_t *json, struct wire_connection **ret,
                        struct err *err) ATTR_MUST_USE;
void wire_connection_free(struct wire_connection *connection);
const char *wire_connection_name(const struct wire_connection *connection);
const char *wire_connection_plugin(const struct wire_connection *connection);
const char *wire_connection_setting(const struct wire_connection *connection, const char *name);
/*
 * Does the absolute URL lie within this connection's?  *ret points to the path in url that
 * wire_send takes.
 */
bool wire_connection_reaches(const struct wire_connection *connection, const char *url,
                             const char **ret);
/* {"name","url","plugin","auth","state":"closed"|"open"|"half_open","in_flight","waiting",
 *  "quota":{header: value},"clock_skew_s" (when past 30 s)} without any secret; new.
 * Any thread. */
json_t *wire_connection_describe(const struct wire_connection *connection);
/* How long a request may be repeated with its key: 80 % of key_lifetime_s; INT64_MAX: for ever. */
int64_t wire_connection_repeatable_ms(const struct wire_connection *connection);
/* Every secret value of this connection, for redaction: calls found per value.  Any thread. */
void wire_connection_secrets(const struct wire_connection *connection,
                             void (*found)(void *arg, const char *secret), void *arg);

/* What ended a request. */
enum wire_status {
	WIRE_OK = 0,
	WIRE_STATUS,       /* a reply that is no success: see code */
	WIRE_TIMEOUT,      /* no answer within the attempt's or the total deadline */
	WIRE_NETWORK,      /* resolve, connect, TLS or transfer failed */
	WIRE_CIRCUIT_OPEN, /* refused by the breaker; nothing was sent */
	WIRE_AUTH,         /* no credentials could be had */
	WIRE_REFUSED,      /* policy: private address, foreign host, header with CR/LF, too long */
	WIRE_TOO_LARGE,    /* the reply exceeds LIMIT_REPLY_BYTES */
	WIRE_CANCELLED
};

/* "ok", "status", "timeout", "network", "circuit_open", ... */
const char *wire_status_name(enum wire_status status);

struct wire_header {
	char *name, *value;
};

struct wire_reply {
	enum wire_status status;
	int code;        /* HTTP or SMTP; 0: none */
	struct str body; /* valid during the callback; NUL behind it.  Of a mail:
	                            * {"accepted":[..],"refused":[{"address","code","text"}]} */
	const struct wire_header *headers;
	size_t header_count;
	int attempts;
	int64_t took_ms;    /* from wire_send to the callback */
	bool may_have_left; /* the request may have reached the other side, unanswered */
	char text[256];     /* what happened, for people; without secrets */
	/* [{"at_ms","code","status","took_ms"}] one per attempt; borrowed */
	const json_t *log;
};

typedef void wire_done_cb(void *arg, const struct wire_reply *reply);
/*
 * What a reply means for repeating it; the numbers of enum gw_verdict.  OK ends
 * with WIRE_OK, whatever the status; DEFAULT with WIRE_OK for a 2xx; the others
 * with WIRE_STATUS, also for a 2xx (a failure inside HTTP 200).
 */
enum wire_verdict {
	WIRE_VERDICT_DEFAULT = 0,
	WIRE_VERDICT_OK,
	WIRE_VERDICT_RETRY,
	WIRE_VERDICT_PERMANENT,
	WIRE_VERDICT_REAUTH
};
typedef int wire_classify_cb(void *arg, const struct wire_reply *reply);

/*
 * Addresses: "a@b.example", "Name <a@b.example>", several (but from) separated by
 * commas.  One transaction for all; a refused recipient does not lose the others:
 * WIRE_OK when anybody was accepted, with the code of the first refusal or 250.
 * Those refused for now (4xx) are tried again, and only they.
 */
struct wire_mail {
	const char *message_id; /* without <>; NULL: made from the key or by chance */
	const char *from, *to, *cc, *reply_to, *subject;
	struct str text, html;
	const struct wire_header *headers;
	size_t header_count;
	int64_t date_ms;
};

struct wire_send_options {
	struct wire_connection *connection;
	const char *method, *path; /* HTTP; copied */
	const char *content_type;
	struct str body; /* copied */
	const struct wire_header *headers;
	size_t header_count;
	const struct wire_mail *mail; /* instead of method..headers: a mail; copied */
	enum wire_effect effect;
	const char *key;            /* idempotency key; KEYED sends it */
	const char *correlation_id; /* goes out as X-Correlation-ID; who waits takes turns by it */
	const char *traceparent;    /* NULL: none; the span id is replaced per attempt */
	int64_t timeout_ms, deadline_ms;        /* 0: the connection's */
	int32_t retries;                        /* -1: the connection's */
	int64_t backoff_min_ms, backoff_max_ms; /* -1 */
	wire_classify_cb *classify;             /* NULL: by status */
	wire_done_cb *done;
	void *arg;
};

/* Record and replay of what connections are asked and answer; never a credential. */
struct wire_tape {
	void *ctx;
	/* An answer instead of the world's, new:
	 * {"status":"ok","code":200,"headers":[[n,v]],"body":".."}; or NULL: ask the world.
	 * May be NULL. */
	json_t *(*replay)(void *ctx, const json_t *request);
	/* {"request":{"connection","effect","method","path","content_type","key","headers","body"
	 * or "mail"}, "reply":{"status","code","headers","body","attempts"}}.  May be NULL. */
	void (*record)(void *ctx, const json_t *entry);
};

/*
 * Somewhere else than the network, for who plays the other side (tests/sim): the
 * end of the chain.  Everything above it is as ever.  Lines are "Name: value".
 */
struct wire_leaving {
	const char *connection, *method, *base, *path;
	const char *key; /* NULL: none goes out */
	const char *const *lines;
	size_t line_count;
	struct str body;
	bool is_mail;
};
struct wire_far {
	void *ctx;
	/* A request leaves.  wire_far_answer() comes later, never from inside. */
	void (*send)(void *ctx, struct wire_request *request, const struct wire_leaving *leaving);
	/* Nobody waits for its answer any more; the handle is not valid after this. */
	void (*forget)(void *ctx, struct wire_request *request);
};
/* The answer, once; code 0: none came.  may_have_left counts then. */
void wire_far_answer(struct wire_request *request, int code, const struct wire_header *headers,
                     size_t header_count, struct str body, bool may_have_left);

struct wire_options {
	struct loop *loop;
	const struct wire_far *far; /* NULL: the network */
	struct wire_tape tape;
	/* One span per attempt, for whoever traces; may be NULL. */
	void (*trace)(void *ctx, const json_t *span);
	void *trace_ctx;
};

struct wire *wire_new(const struct wire_options *options);
/* Ends all requests with WIRE_CANCELLED first. */
void wire_free(struct wire *wire);

/* Never fails: whatever is wrong arrives at the callback.  The handle is valid until then. */
struct wire_request *wire_send(struct wire *wire, const struct wire_send_options *options);
/* The callback comes with WIRE_CANCELLED (or with the answer, when it was already there). */
void wire_cancel(struct wire_request *request);

/* Checks that a value may stand in a header or address: no CR, LF, NUL, control bytes. */
bool wire_header_is_safe(const char *value);
/* "3" or an HTTP-date in all three forms (RFC 9110 10.2.3) to ms from now; -1 when neither. */
int64_t wire_retry_after_ms(const char *value, int64_t wall_ms);

/* "env:NAME" or "file:PATH" to what it stands for; *ret is to be freed with wire_secret_free(). */
int wire_secret_read(const char *reference, char **ret, struct err *err) ATTR_MUST_USE;
/* The same for a file of several lines. */
int wire_secret_read_lines(const char *reference, char **ret, struct err *err) ATTR_MUST_USE;
void wire_secret_free(char *secret); /* zeroes it first */

#endif
