/* SPDX-License-Identifier: MIT */
/*
 * What the files of wire/ share.
 *
 * A request walks down a chain of stages and its answer walks up again:
 * wire_down() calls the next stage's send, wire_up() the previous one's answer.
 * A stage either passes on at once or keeps the request and goes on later, on
 * the loop's thread.  Above the first stage the request is finished: it is put
 * on the wire's done list and its callback runs from wire_turn(), which is
 * called at the end of every loop callback of ours and never from wire_send().
 *
 * Connections are shared by wires on several threads.  What they share (breaker,
 * limits, token, quota) is guarded by connection->lock.  Who frees a place
 * grants it to the first waiter, whichever wire that belongs to: the request
 * moves to its wire's inbox (guarded by inbox_lock) and that wire is woken.
 * Locks are taken in this order: connection->lock, wire->inbox_lock.
 */
#ifndef WIRE_INT_H
#define WIRE_INT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/rand.h"
#include "base/vec.h"
#include "wire/wire.h"

struct wire_slot; /* one transfer: an easy handle and its buffers */
struct wire_curl; /* the multi handle on the loop */

/* --- the chain ------------------------------------------------------------ */

struct wire_stage {
	const char *name;
	/* Passes on with wire_down(), answers with wire_answer(), or keeps the request. */
	void (*send)(struct wire_request *request);
	/* request->reply is there: wire_up(), or once more wire_down(). */
	void (*answer)(struct wire_request *request);
	/* What it waited for has been granted (from the inbox).  NULL: never waits for others. */
	void (*resume)(struct wire_request *request);
	/* It waits here and must end: let go of it, and the caller answers; or false: it will be
	 * answered soon.  NULL: never waits. */
	bool (*cancel)(struct wire_request *request);
};

extern const struct wire_stage wire_tape_stage, wire_trace_stage, wire_retry_stage,
	wire_break_stage, wire_limit_stage, wire_auth_stage, wire_curl_stage, wire_far_stage;

/* --- connections ---------------------------------------------------------- */

struct wire_queue {
	struct wire_request *head, *tail;
	size_t len;
};

struct wire_url {
	char *base; /* "https://host:8443/path", no slash at the end, default port left out */
	char *host;
	bool is_mail, is_tls;
};

enum { WIRE_AUTH_LINES = 3 };

struct wire_auth {
	enum wire_auth_kind kind;
	char *user, *password;
	char *header, *value;
	char *token, *token_secret;
	char *token_path, *token_url, *client_id, *client_secret, *scope, *client_auth;
	char *realm, *consumer_key, *consumer_secret;
	/* an assertion */
	char *subject, *audience, *key, *key_id, *algorithm;
	struct crypto_key *signing_key;
	int signing; /* enum crypto_algorithm */
	/* AWS */
	char *access_key, *secret_key, *session_token, *region, *service;
	/* hmac */
	char *secret, *timestamp_header, *signed_text, *prefix, *encoding;
	char *line;                 /* the header line where it never changes */
	struct wire_url token_base; /* of token_url */
};

enum wire_circuit { WIRE_CIRCUIT_CLOSED, WIRE_CIRCUIT_IS_OPEN, WIRE_CIRCUIT_HALF_OPEN };
enum { WIRE_WINDOW_MAX = 1000 };

struct wire_breaker {
	int64_t window, error_percent, open_ms, probes;
	enum wire_circuit state;
	int64_t opened_ms; /* monotonic */
	int64_t probing;
	int64_t failed; /* set bits of outcomes */
	size_t at;
	bool outcomes[WIRE_WINDOW_MAX]; /* true: failed */
};

enum { WIRE_PARTIES = 256 };

struct wire_limit {
	int64_t concurrency, burst;
	double rate_per_s;
	int64_t in_flight;
	double tokens;
	int64_t filled_ns; /* monotonic, of the last refill; 0: never */
	/* By turn: each run's next request comes before any run's next but one. */
	struct wire_queue waiting;
	uint64_t turn;                     /* of whom got a place last */
	uint32_t waiting_of[WIRE_PARTIES]; /* requests of a run, by its hash */
};

struct wire_token {
	char *line;                     /* "Authorization: Bearer ..."; NULL: none */
	uint64_t version;               /* changes with every new or dropped token */
	int64_t expires_ms, refresh_ms; /* monotonic; INT64_MAX: not said */
	bool is_fetching;
	struct wire_queue waiting;
};

struct wire_quota {
	char name[48], value[96];
};
enum { WIRE_QUOTAS = 16 };

/* A secret that a body or a header may ask for by "${secret:NAME}". */
struct wire_named_secret {
	char *name, *value;
};

struct wire_connection {
	char *name, *plugin, *ca_file;
	struct wire_url url;
	struct wire_auth auth;
	char **lines; /* configured headers, "Name: value" */
	size_t line_count;
	int64_t timeout_ms, deadline_ms, retries, backoff_min_ms, backoff_max_ms;
	int64_t key_lifetime_s;
	bool is_private, is_idempotency_quoted;
	char *idempotency_header;
	char *from, *hello_name;
	bool is_clear_text;  /* mail without STARTTLS */
	json_t *settings;    /* texts by name */
	VEC(char *) secrets; /* owned; zeroed when freed */
	VEC(struct wire_named_secret) named_secrets;

	pthread_mutex_t lock; /* of all below */
	struct wire_breaker breaker;
	struct wire_limit limit;
	struct wire_token token_cache;
	struct wire_quota quota[WIRE_QUOTAS];
	size_t quota_count;
	int64_t skew_s, skew_checked_ms;
};

/* --- requests ------------------------------------------------------------- */

enum wire_wait { WIRE_WAIT_NONE, WIRE_WAIT_QUEUED, WIRE_WAIT_GRANTED };

struct wire_recipient {
	char *address;
	int code; /* 0: no answer yet */
	bool is_accepted;
	char text[128]; /* the server's words about it */
};

/* A mail ready to leave: envelope and bytes. */
struct wire_envelope {
	char *from;
	struct wire_recipient *recipients;
	size_t count;
	struct str bytes; /* the whole message, CRLF lines */
};

struct wire_trace_ids {
	char trace_id[33], parent_id[17], flags[3];
	char span_id[17]; /* of the attempt */
	char line[80];    /* "traceparent: ..." */
	bool is_valid;
};

struct wire_request {
	struct arena arena; /* holds the request itself and all it copies */
	struct wire *wire;
	struct wire_connection *connection;
	const struct wire_stage *const *chain;
	int at;                           /* the stage that has it */
	struct wire_request *prev, *next; /* of the wire's list */
	struct wire_request *next_done;
	bool is_finished, is_cancelled;
	bool has_secret_body; /* zero it when freed */

	/* What to send; fixed by wire_send. */
	const char *base; /* of the URL */
	const char *method, *path, *content_type, *key, *traceparent;
	struct str body;      /* as given: what the tape sees */
	struct str sent_body; /* with its secrets */
	char **lines;         /* header lines; some are the connection's */
	size_t line_count;
	const struct wire_header *headers; /* as given, for the tape */
	size_t header_count;
	struct wire_envelope *envelope; /* a mail */
	json_t *mail_json;              /* for the tape */
	enum wire_effect effect;
	int64_t timeout_ms, deadline_ms, backoff_min_ms, backoff_max_ms;
	int32_t retries;
	wire_classify_cb *classify;
	wire_done_cb *done;
	void *arg;
	int64_t sent_ms, ends_ms; /* monotonic: wire_send, total deadline */

	/* retry, trace */
	int32_t repeats;
	int64_t attempt_ms, attempt_wall_ms;
	bool has_left_before; /* in an earlier attempt */
	bool has_reauthed;
	bool was_dispatched; /* this attempt got as far as a transfer */
	bool is_permanent;   /* this answer is no use repeating */
	int verdict;
	json_t *log;
	struct wire_trace_ids trace;
	struct loop_timer *timer; /* backoff, or the end of waiting */

	/* break, limit, auth */
	bool is_probe;
	enum wire_wait wait;
	uint64_t party, turn;     /* the run, by hash; its place among those who wait */
	struct wire_queue *queue; /* the one it is in */
	struct wire_request *wait_prev, *wait_next;
	char *auth_lines[WIRE_AUTH_LINES]; /* this attempt's own; zeroed when freed */
	const char *auth_shared;           /* the connection's */
	uint64_t token_version;
	char *own_body;        /* sent_body with secrets put in; zeroed when freed */
	VEC(char *) own_lines; /* those of lines with secrets put in; zeroed when freed */

	struct wire_slot *slot; /* holds the reply's bytes while there is one */
	json_t *taped;          /* the replayed answer */
	struct wire_reply reply;
};

struct wire_watched {
	struct wire_connection *connection;
	size_t waiting; /* requests of this wire */
};

struct wire {
	struct loop *loop;
	struct wire_tape tape;
	void (*trace)(void *ctx, const json_t *span);
	void *trace_ctx;
	struct wire_curl *curl; /* NULL where there is a far side */
	const struct wire_far *far;
	struct wire_request *requests; /* all that are not delivered */
	struct wire_request *done_head, *done_tail;
	bool in_turn, is_closing;
	struct loop_timer *kick_timer;
	struct loop_timer *poll_timer; /* rate, and waiting without wake */
	VEC(struct wire_watched) watched;
	struct loop_wake *wake;
	pthread_mutex_t inbox_lock;
	struct wire_queue inbox;
};

/* wire.c */
void wire_down(struct wire_request *request);
void wire_up(struct wire_request *request);
/* Sets status, code and text, and goes up. */
void wire_answer(struct wire_request *request, enum wire_status status, int code,
                 const char *format, ...) ATTR_PRINTF(4, 5);
void wire_reply_set(struct wire_request *request, enum wire_status status, int code,
                    const char *format, ...) ATTR_PRINTF(4, 5);
void wire_turn(struct wire *wire);
int64_t wire_now_ms(const struct wire *wire);
int64_t wire_left_ms(const struct wire_request *request); /* of the total deadline; at least 0 */
void wire_timer_stop(struct wire_request *request);
/* Ends the waiting of a request with WIRE_TIMEOUT at the given time, unless it went on before. */
void wire_wait_until(struct wire_request *request, int64_t monotonic_ms);
void wire_queue_push(struct wire_queue *queue, struct wire_request *request);
/* Behind that one; NULL: at the head. */
void wire_queue_insert(struct wire_queue *queue, struct wire_request *after,
                       struct wire_request *request);
void wire_queue_remove(struct wire_queue *queue, struct wire_request *request);
/* Under connection->lock: out of its queue, into its wire's inbox; wakes unless it is `own`. */
void wire_grant(struct wire_request *request, const struct wire *own);
/* Lets go of a waiting request; true when it had been granted already. */
bool wire_ungrant(struct wire_request *request);
/* A request of wire's own through a given chain (the token); options as for wire_send. */
struct wire_request *wire_start(struct wire *wire, const struct wire_send_options *options,
                                const struct wire_stage *const *chain, const char *base);

/* wire_request.c */
struct wire_request *wire_request_new(struct wire *wire, const struct wire_send_options *options,
                                      const char *base, struct err *err);
void wire_request_free(struct wire_request *request);

/* wire_secret.c */
bool wire_secret_is_reference(const char *text);

/* wire_header.c */
bool wire_header_is_name(const char *name);
bool wire_header_is_reserved(const char *name);
bool wire_header_line_is(const char *line, const char *name);
int wire_path_check(const char *path, struct err *err) ATTR_MUST_USE;
int64_t wire_http_date_ms(const char *text);                                     /* -1: none */
const char *wire_reply_header(const struct wire_reply *reply, const char *name); /* or NULL */

/* wire_url.c, wire_address.c */
int wire_url_read(const char *text, struct wire_url *ret, struct err *err) ATTR_MUST_USE;
void wire_url_release(struct wire_url *url);
bool wire_address_is_public(const struct sockaddr *address);
bool wire_address_text_is_public(const char *text); /* "127.0.0.1", "::1"; false when it is none */

/* wire_trace.c */
void wire_trace_begin(struct wire_request *request);
void wire_trace_end(struct wire_request *request);

/* wire_break.c */
bool wire_break_is_open(struct wire_connection *connection, int64_t now_ms); /* under lock */
const char *wire_break_state(const struct wire_breaker *breaker, int64_t now_ms);

/* wire_limit.c */
void wire_limit_poll(struct wire *wire);
void wire_limit_watch(struct wire_request *request);
void wire_limit_unwatch(struct wire_request *request);

/* wire_auth.c, wire_token.c, wire_oauth1.c */
int wire_auth_prepare(struct wire_connection *connection, struct err *err) ATTR_MUST_USE;
bool wire_auth_has_token(enum wire_auth_kind kind);
void wire_token_send(struct wire_request *request);
/* Drops the token the request used, unless there is another by now; false: the kind has none. */
bool wire_token_drop(struct wire_request *request);

/* Drops what the last attempt said. */
void wire_auth_clear(struct wire_request *request);
/* The other side's time as far as it is known to differ: what signatures say. */
int64_t wire_auth_now_s(const struct wire_request *request);
void wire_chance(const struct rand *rand, unsigned char *ret, size_t len);

/* wire_auth_secret.c: puts the connection's secrets where the request asks for them by name. */
int wire_secrets_put(struct wire_request *request, struct err *err) ATTR_MUST_USE;

/* wire_jwt.c */
int wire_jwt_prepare(struct wire_auth *auth, struct err *err) ATTR_MUST_USE;
/* *ret is to be freed as a secret, also when signing failed. */
int wire_jwt_make(const struct wire_auth *auth, const char *audience, const struct rand *rand,
                  int64_t now_s, char **ret, struct err *err) ATTR_MUST_USE;

/* wire_query.c */
struct wire_parameter {
	char *name, *value; /* encoded */
};
struct wire_parameters {
	VEC(struct wire_parameter) list;
};
void wire_put_encoded(struct buf *out, struct str text);
char *wire_encoded(struct str text);
void wire_parameters_add(struct wire_parameters *parameters, const char *name, const char *value);
void wire_parameters_add_query(struct wire_parameters *parameters, const char *path);
void wire_parameters_put(struct wire_parameters *parameters, struct buf *out); /* sorted */
void wire_parameters_release(struct wire_parameters *parameters);

/* What a signature covers: of a request as it leaves. */
struct wire_signable {
	const char *method, *base, *path, *content_type; /* NULL: none */
	struct str body;
};

/* wire_sigv4.c, wire_signed.c: header lines, each to be freed as a secret. */
struct wire_sigv4 {
	const char *access_key, *secret_key, *session_token, *region, *service;
	int64_t timestamp_s;
};
void wire_sigv4_sign(const struct wire_sigv4 *v4, const struct wire_signable *request,
                     char *ret[WIRE_AUTH_LINES]);
int wire_signed_prepare(const struct wire_auth *auth, struct err *err) ATTR_MUST_USE;
void wire_signed_sign(const struct wire_auth *auth, const struct wire_signable *request,
                      int64_t now_s, char *ret[WIRE_AUTH_LINES]);
/* The whole path of the URL, with the query; to be freed. */
char *wire_full_path(const struct wire_signable *request);

/* wire_oauth1.c */
struct wire_oauth1 {
	const char *realm, *consumer_key, *consumer_secret, *token, *token_secret;
	const char *nonce;
	int64_t timestamp_s;
};
/* The value of the Authorization header; to be freed. */
char *wire_oauth1_sign(const struct wire_oauth1 *oauth1, const char *method, const char *base,
                       const char *path);

/* wire_mail.c, wire_mail_text.c */
int wire_mail_build(struct wire_request *request, const struct wire_send_options *options,
                    struct err *err) ATTR_MUST_USE;
/* After the last attempt: who was accepted, into reply. */
void wire_mail_settle(struct wire_request *request);
json_t *wire_mail_json(const struct wire_mail *mail);
void wire_mail_put_header(struct buf *out, const char *name, const char *value);
void wire_mail_put_quoted(struct buf *out, struct str text);
void wire_mail_put_base64(struct buf *out, struct str text);
void wire_mail_put_words(struct buf *out, struct str text);
void wire_mail_put_body(struct buf *out, const char *type, struct str text);

/* wire_curl.c, wire_transfer.c, wire_smtp.c */
struct wire_curl *wire_curl_new(struct wire *wire);
void wire_curl_free(struct wire_curl *curl);
void wire_slot_release(struct wire_request *request);
/* Ends the mails that are on their way; blocks until their threads let go. */
void wire_smtp_stop(struct wire_curl *curl);

#endif
