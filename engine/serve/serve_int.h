/* SPDX-License-Identifier: MIT */
/*
 * What the files of serve/ share.  An exchange is one request and its answer;
 * it belongs to the connection's thread until it is handed to the engine, whose
 * reply makes the answer.  Whoever claims the answer first gives it.
 */
#ifndef SERVE_INT_H
#define SERVE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/str.h"
#include "base/vec.h"
#include "run/engine.h"
#include "serve/serve.h"

struct MHD_Connection;
struct MHD_Daemon;
struct exchange;
struct listener;
struct stream;

/* --- who may (serve_role.c) ------------------------------------------------------------------ */

enum role {
	ROLE_VIEWER,
	ROLE_OPERATOR,
	ROLE_APPROVER,
	ROLE_ANALYST,
	ROLE_ENGINEER,
	ROLE_ADMIN,
	ROLE_SENDER, /* a program, not a person: it sends events to sessions, and nothing else */
	ROLE_COUNT
};

enum permission {
	MAY_ANYONE, /* health alone */
	MAY_SIGNED, /* a webhook: its signature is what counts */
	MAY_READ,
	MAY_DATA, /* what a run knows: journal, data, artifacts */
	MAY_RUN,  /* start, cancel, signal, repin, replay */
	MAY_APPROVE,
	MAY_COMPLETE, /* checklists, what was unsure; giving tasks to others */
	MAY_AUDIT,
	MAY_TOKENS,
	MAY_SEND, /* the BasicHTTP event processor of SCXML */
	MAY_COUNT
};

/* Who asks. */
struct principal {
	unsigned int roles;  /* bits 1 << enum role */
	bool has_grant;      /* to read data, where the role leaves it to a grant */
	char owner[128];     /* the person; empty: nobody */
	const json_t *teams; /* [name]: only these teams' tasks; NULL: any; the exchange's */
};

int role_find(const char *name); /* -1: none */
const char *role_name(int role);
const char *permission_name(enum permission permission);
bool role_may(unsigned int roles, bool has_grant, enum permission permission);

/* --- routes (serve_routes.c) ----------------------------------------------------------------- */

enum { ROUTE_IDS = 2, ROUTE_FIELDS = 12, ROUTE_QUERY = 9 };

/* A member of a request's body; everything else is refused. */
struct field {
	const char *name;
	char type; /* 's' string, 'o' object, 'a' array, 'i' integer, 'b' boolean, 'j' any JSON */
	bool is_required;
	const char *note;
};

struct route {
	const char *method, *path; /* path segments in braces are ids */
	enum permission permission;
	size_t body_max; /* 0: none is taken */
	bool is_raw;     /* the body is not read as JSON here */
	void (*handle)(struct exchange *x);
	const char *summary;
	const char *query[ROUTE_QUERY]; /* names of parameters; "where.*" is a prefix */
	struct field fields[ROUTE_FIELDS];
	int ok;           /* the status of success */
	const char *type; /* of the answer; NULL: application/json */
};

extern const struct route serve_routes[];
extern const size_t serve_route_count;
/* NULL when there is none. */
const struct route *route_find(const char *method, char *const *segments, size_t count,
                               const char *ids[ROUTE_IDS]);
void route_methods(char *const *segments, size_t count, struct buf *ret);

/* --- the request's target (serve_target.c) --------------------------------------------------- */

enum { TARGET_SEGMENTS = 8, TARGET_PARAMS = 64 };

struct target {
	char *segments[TARGET_SEGMENTS];
	size_t count;
	char *names[TARGET_PARAMS], *values[TARGET_PARAMS];
	size_t params;
};
/* Splits and decodes, once; everything lives in arena.  ERR_INPUT for what row 49 names. */
int target_read(const char *raw, struct arena *arena, struct target *ret,
                struct err *err) ATTR_MUST_USE;
const char *target_param(const struct target *target, const char *name); /* NULL: absent */

/* --- framing (serve_frame.c): what RFC 9112 demands and libmicrohttpd does not check --------- */

enum { FRAME_HEADERS = 100 };

struct frame {
	int hosts, lengths, encodings, authorizations;
	int64_t length; /* of the body; -1: chunked */
	const char *host, *authorization, *content_type, *origin, *fetch_site, *key, *last_event,
		*if_match;
	const char *fault; /* what is wrong, or NULL */
	const char *where;
	int status;
	bool is_http_1_0;
	const char *pairs[2 * FRAME_HEADERS]; /* name, value, ...: all of them, for signatures */
	size_t pair_count;
};
void frame_begin(struct frame *frame, const char *version);
void frame_header(struct frame *frame, const char *name, const char *value);
void frame_end(struct frame *frame);
/* The header's only value; NULL when it is absent or there is more than one. */
const char *frame_get(const struct frame *frame, const char *name, size_t *ret_count);

/* --- connections and their deadlines (serve_conn.c) ------------------------------------------ */

enum conn_state {
	CONN_IDLE,   /* nothing of a request is there, as far as we know */
	CONN_HEADER, /* some of it is */
	CONN_BODY,
	CONN_ASKING, /* suspended */
	CONN_ANSWER  /* being written */
};

struct conn {
	struct conn *prev, *next;
	struct serve *serve;
	int fd;
	atomic_int state;
	atomic_llong deadline_ms; /* monotonic */
	int64_t idle_until_ms;
	uint64_t bytes_seen;       /* received when it became idle */
	struct exchange *exchange; /* guarded by serve->lock */
};

struct conn *conn_open(struct serve *serve, int fd);
void conn_close(struct conn *conn);
void conn_enter(struct conn *conn, enum conn_state state, int64_t seconds);
void conn_idle(struct conn *conn);
int sweep_start(struct serve *serve);
void sweep_stop(struct serve *serve);

/* --- exchanges (serve_http.c, serve_exchange.c) ---------------------------------------------- */

enum exchange_phase { PHASE_NEW, PHASE_SUSPENDED, PHASE_ANSWERED };

struct exchange {
	struct serve *serve;
	struct listener *listener;
	struct conn *conn;
	struct MHD_Connection *mhd;
	struct arena arena;
	char *raw; /* the request's target as it came */
	const char *method;
	struct target target;
	struct frame frame;
	const struct route *route;
	const char *ids[ROUTE_IDS];
	struct principal who;
	char client[64]; /* the address of who asks */
	bool is_local;   /* he is on this machine, and nobody asks on his behalf */
	struct buf body;
	json_t *json;    /* the body, when the route wants JSON */
	bool is_framed;  /* the first callback has been */
	bool is_refused; /* answered already; the rest of the body is only swallowed */
	bool must_close;
	int64_t began_ns;

	atomic_int refs;
	atomic_int phase;    /* enum exchange_phase */
	atomic_flag claimed; /* somebody is answering */
	void (*on_reply)(struct exchange *x, const json_t *reply, bool is_last);
	int64_t wait_ms; /* 0: it does not wait for a run's end */
	char run_id[64]; /* that it waits for */
	atomic_bool may_leave, has_left;

	int status;
	char *text; /* the answer's body; malloc */
	size_t len;
	const char *type;
	char *location;
	char etag[40]; /* without quotes; empty: none */
	char *allow;
	int retry_after;
	bool is_replayed;
	struct stream *stream; /* instead of a body */
	void *own;             /* of the handler; freed with the arena */
};

/* Requests of the engine: who asks; and the run, task or the like that the path names. */
json_t *exchange_request(const struct exchange *x, const char *op);
json_t *exchange_about(const struct exchange *x, const char *op, const char *member);
json_t *exchange_with_body(const struct exchange *x, json_t *request); /* and the body's members */
/* Parameters of the query; what is no number, no time was answered: -1, false. */
int64_t exchange_number(struct exchange *x, const char *name, int64_t min, int64_t max,
                        int64_t fallback);
bool exchange_time(struct exchange *x, json_t *request, const char *name, const char *member);
void exchange_param(json_t *request, const struct exchange *x, const char *name);
void exchange_where(const struct exchange *x, json_t *request);
/* What If-Match wants, without quotes; NULL: whatever is there.  The arena's. */
const char *exchange_if_match(struct exchange *x);

/* Each gives the answer, unless somebody else did. */
void exchange_json(struct exchange *x, int status, const json_t *body);
/* With a Location. */
void exchange_json_at(struct exchange *x, int status, const json_t *body, char *location_taken);
void exchange_text(struct exchange *x, int status, const char *type, char *text_taken, size_t len);
void exchange_problem(struct exchange *x, int status, const char *code, const char *where,
                      const char *text, const char *hint);
void exchange_err(struct exchange *x, const struct err *err, const char *where);
/* A problem that is counted and put on record: somebody asked for what they may not have. */
void exchange_deny(struct exchange *x, int status, const char *code, const char *where,
                   const char *text);
void exchange_error(struct exchange *x, const json_t *error); /* of an engine reply */
/* Asks the engine; on_reply runs on any thread and answers.  request is taken. */
void exchange_ask(struct exchange *x, json_t *request,
                  void (*on_reply)(struct exchange *x, const json_t *reply, bool is_last));
/* The usual reply: its member becomes the body (NULL: all of it but "last"). */
void exchange_ask_member(struct exchange *x, json_t *request, const char *member);
bool exchange_claim(struct exchange *x);
void exchange_ready(struct exchange *x); /* after a claim */
void exchange_ref(struct exchange *x);
void exchange_unref(struct exchange *x);
/* serve_http.c: the connection sleeps, and goes on. */
void http_suspend(struct MHD_Connection *mhd);
void http_resume(struct MHD_Connection *mhd);
/* It took too long: it leaves the run it waits for, or gets an error. */
void exchange_expire(struct exchange *x);
/* Fills who from the token or the configuration; false: a problem was answered. */
bool exchange_admit(struct exchange *x);
/* The body has come: reads it and carries the request out. */
void exchange_begin(struct exchange *x);

int status_of_error(int code, const char *id);
const char *status_text(int status);

/* --- webhooks (serve_sign.c, serve_webhook.c) ------------------------------------------------ */

enum sign_scheme {
	SIGN_STANDARD,
	SIGN_GITHUB,
	SIGN_STRIPE,
	SIGN_SLACK,
	SIGN_DOCUSIGN,
	SIGN_SECRET,
	SIGN_SALESFORCE /* an Outbound Message: serve_soap.c */
};
enum { SIGN_WINDOW_S = 300, SIGN_TRIED_MAX = 10, SIGN_SECRETS = 8 };

struct sign_secret {
	char *bytes;
	size_t len;
};

struct sign_request {
	enum sign_scheme scheme;
	const struct sign_secret *secrets;
	size_t secret_count;
	const char *header; /* SIGN_SECRET: where it stands */
	const struct frame *frame;
	struct str body;
	int64_t now_s;
};

int sign_scheme_find(const char *name); /* -1: none */
/* What the configured text stands for; ERR_INPUT when it is no secret of this scheme. */
int sign_secret_read(enum sign_scheme scheme, const char *text, struct sign_secret *ret,
                     struct err *err) ATTR_MUST_USE;
/* True: it was signed with one of the secrets, lately.  ret_id: the delivery's id, or "". */
bool sign_check(const struct sign_request *request, char ret_id[LIMIT_CORRELATION_ID_BYTES + 1]);

struct source {
	char *name, *graph;
	enum sign_scheme scheme;
	struct sign_secret secrets[SIGN_SECRETS];
	size_t secret_count;
	char *header;
	char *correlation;  /* path in the body */
	char *input;        /* path in the body; NULL: all of it */
	char *organization; /* SIGN_SALESFORCE: whose messages; NULL: whoever knows the key */
	json_t *map;        /* SIGN_SALESFORCE: {field: member of the input}; NULL: all, as named */
	int64_t rate, burst; /* per second; 0: none */
	pthread_mutex_t lock;
	double tokens;
	int64_t filled_ms;
	atomic_ullong accepted, refused, throttled;
};
/* Instead of those there are; with err nothing changed. */
int sources_read(struct serve *serve, const json_t *table, struct err *err) ATTR_MUST_USE;
void sources_release(struct serve *serve);
void handle_webhook(struct exchange *x);

/* Too many lately: 429 was answered.  Only once it is known who sends. */
bool source_is_throttled(struct exchange *x, struct source *source);
/* A Salesforce Outbound Message (serve_soap.c). */
void soap_deliver(struct exchange *x, struct source *source);
/* Each element without children, as the path to it (local names) and its text (serve_xml.c). */
typedef void xml_leaf_cb(void *arg, const char *const *path, size_t depth, const char *text);
int xml_leaves(struct str text, xml_leaf_cb *found, void *arg, struct err *err) ATTR_MUST_USE;

/* --- clicks in Slack (serve_slack.c) --------------------------------------------------------- */

struct slack;
int slack_read(struct serve *serve, const json_t *table, struct err *err) ATTR_MUST_USE;
void slack_release(struct serve *serve);
void handle_slack(struct exchange *x);

/* --- the demonstration (serve_demo.c) -------------------------------------------------------- */

int demo_read(struct serve *serve, const json_t *table, struct err *err) ATTR_MUST_USE;
void handle_demo_run(struct exchange *x);
void handle_demo_run_all(struct exchange *x);
void handle_demo_errors_on(struct exchange *x);
void handle_demo_errors_off(struct exchange *x);

/* --- tokens of an identity provider (serve_oidc.c) ------------------------------------------- */

struct oidc;
enum oidc_answer { OIDC_GOOD, OIDC_BAD, OIDC_LATER /* its key is being asked for */ };
int oidc_read(struct serve *serve, const json_t *table, struct err *err) ATTR_MUST_USE;
void oidc_begin(struct serve *serve); /* asks for the keys */
void oidc_release(struct serve *serve);
enum oidc_answer oidc_admit(struct serve *serve, const char *token, struct principal *who);

/* --- the access journal (serve_access.c) ----------------------------------------------------- */

void access_tell(struct exchange *x, const char *outcome, const char *code);
void handle_access_list(struct exchange *x);
void handle_access_verify(struct exchange *x);

/* --- streams (serve_stream.c) ---------------------------------------------------------------- */

void handle_run_events(struct exchange *x);
void handle_all_events(struct exchange *x);
void streams_begin(struct serve *serve);
void streams_end(struct serve *serve);
void streams_beat(struct serve *serve, int64_t now_ms);
void stream_free(struct stream *stream);
long stream_read(struct stream *stream, struct MHD_Connection *mhd, char *ret, size_t max);

/* --- figures (serve_metrics.c) --------------------------------------------------------------- */

void metrics_begin(struct serve *serve);
void metrics_count(struct exchange *x);
void handle_metrics(struct exchange *x);

/* --- the whole ------------------------------------------------------------------------------- */

enum { ADDRESS_BYTES = 16, ADDRESS_TEXT = 64 };
struct address_range {
	unsigned char bytes[ADDRESS_BYTES];
	int bits;
};

struct serve_config {
	char *address, *health_address;
	char *tls_certificate, *tls_key; /* PEM; NULL: no TLS */
	struct address_range *proxies;
	size_t proxy_count;
	int64_t port, health_port; /* health_port -1: none */
	int64_t threads, connections, per_address, body_bytes;
	int64_t header_seconds, body_seconds, idle_seconds, wait_seconds, drain_seconds,
		heartbeat_seconds;
	unsigned int anonymous; /* roles of who brings no token */
	bool is_anonymous;
};
/* serve_tls.c */
int tls_read(struct serve *serve, const json_t *table, struct err *err) ATTR_MUST_USE;
void tls_release(struct serve *serve);
/* serve_proxy.c: who asks, behind the proxies that are trusted; fills client and is_local. */
int proxies_read(const json_t *value, struct serve_config *ret, struct err *err) ATTR_MUST_USE;
void client_find(struct exchange *x, const unsigned char peer[ADDRESS_BYTES]);
void address_write(const unsigned char address[ADDRESS_BYTES], char ret[ADDRESS_TEXT]);
int serve_config_read(const json_t *table, struct serve_config *ret, struct err *err) ATTR_MUST_USE;
void serve_config_release(struct serve_config *config);

struct listener {
	struct serve *serve;
	struct MHD_Daemon *daemon;
	int fd;
	bool is_health; /* offers what anyone may, nothing else */
	char *address;
};

struct serve {
	struct serve_options options;
	struct serve_config config;
	struct listener main, health;
	struct slack *slack; /* NULL: not configured */
	json_t *demo;        /* NULL: not configured */
	struct oidc *oidc;   /* NULL: not configured */
	struct map sources;  /* name -> struct source; guarded by lock */
	VEC(struct source *) old_sources;
	pthread_mutex_t lock; /* conns, exchanges' places, draining */
	pthread_cond_t changed;
	struct conn *conns;
	size_t conn_count;
	struct stream *streams;
	atomic_size_t stream_count;
	pthread_t sweeper;
	bool has_sweeper, is_stopping;
	atomic_bool is_draining;
	atomic_llong under_way;   /* exchanges that are not answered yet */
	atomic_llong engine_owes; /* replies */
	atomic_ullong denied, framing_faults, timeouts;
};

struct timespec serve_in(const struct serve *serve, int64_t ms); /* for the condition `changed` */
int64_t serve_ms(const struct serve *serve);                     /* monotonic */
void serve_log(struct serve *serve, const char *level, const char *event, json_t *fields_taken);
int http_start(struct listener *listener, const char *address, int64_t port,
               struct err *err) ATTR_MUST_USE;
void http_quiesce(struct listener *listener);
void http_stop(struct listener *listener);

/* Handlers, by the file that holds them. */
void handle_health(struct exchange *x);
void handle_ready(struct exchange *x);
void handle_openapi(struct exchange *x);
void handle_run_start(struct exchange *x);
void handle_run_list(struct exchange *x);
void handle_run_show(struct exchange *x);
void handle_run_journal(struct exchange *x);
void handle_run_artifacts(struct exchange *x);
void handle_run_artifact(struct exchange *x);
void handle_run_cancel(struct exchange *x);
void handle_run_signal(struct exchange *x);
void handle_session_post(struct exchange *x);
void handle_run_repin(struct exchange *x);
void handle_run_replay(struct exchange *x);
void handle_run_resume(struct exchange *x);
void handle_run_retry(struct exchange *x);
void handle_run_fork(struct exchange *x);
void handle_run_batch(struct exchange *x);
void handle_run_bulk(struct exchange *x);
void handle_run_explain(struct exchange *x);
void handle_task_show(struct exchange *x);
void handle_task_reassign(struct exchange *x);
void handle_task_list(struct exchange *x);
void handle_task_approve(struct exchange *x);
void handle_task_reject(struct exchange *x);
void handle_task_complete(struct exchange *x);
void handle_schedule_list(struct exchange *x);
void handle_schedule_add(struct exchange *x);
void handle_schedule_set(struct exchange *x);
void handle_schedule_show(struct exchange *x);
void handle_schedule_pause(struct exchange *x);
void handle_schedule_resume(struct exchange *x);
void handle_schedule_remove(struct exchange *x);
void handle_schedule_trigger(struct exchange *x);
void handle_schedule_backfill(struct exchange *x);
void handle_audit_show(struct exchange *x);
void handle_audit_verify(struct exchange *x);
void handle_graphs(struct exchange *x);
void handle_graph(struct exchange *x);
void handle_rules(struct exchange *x);
void handle_prompts(struct exchange *x);
void handle_plugins(struct exchange *x);
void handle_connections(struct exchange *x);
void handle_tokens(struct exchange *x);
void handle_token_revoke(struct exchange *x);

#endif
