/* SPDX-License-Identifier: MIT */
/*
 * gangway-sandbox: the offline stand-in for the outside systems.
 *
 * One process, one listener per system, all on 127.0.0.1.  Every HTTP request
 * goes the same way: sandbox_http.c reads it, sandbox_fault.c may spoil it, the
 * system's own file answers it as the real service would, sandbox_log.c keeps
 * it for inspection.  What the systems know comes from scenario files
 * (sandbox_scenario.c), what they were told stays in memory.
 *
 * Threads: one per connection; everything in struct sandbox is guarded by its
 * one lock, which a handler holds from the fault decision to the log entry, so
 * a handler sees and changes the state alone.  Nobody waits under the lock.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"

/* The order in which they are printed, and in which --port N numbers them. */
enum system {
	SYSTEM_SALESFORCE,
	SYSTEM_NETSUITE,
	SYSTEM_CLM,
	SYSTEM_SLACK,
	SYSTEM_LLM,
	SYSTEM_PROVISION,
	SYSTEM_SMTP,
	SYSTEM_CONTROL
};
enum { SYSTEM_COUNT = SYSTEM_CONTROL + 1 };

/* What the sandbox keeps and takes at most; it must stay small however long a test runs. */
enum {
	MAX_BODY_BYTES = 4 * 1024 * 1024,
	MAX_SCENARIO_BYTES = 1024 * 1024,
	MAX_MAIL_BYTES = 16 * 1024 * 1024,
	MAX_REPLY_BYTES = 256 * 1024 * 1024, /* the request log is the largest reply */
	MAX_LOG_ENTRIES = 10000,
	MAX_LOG_BYTES = 64 * 1024 * 1024,
	MAX_LOG_BODY_BYTES = 256 * 1024,
	MAX_KEPT = 10000, /* messages, mails, tenants, created records, nonces */
	MAX_MAIL_STORE_BYTES = 64 * 1024 * 1024,
	MAX_CONNECTIONS = 500, /* per listener */
	TIMEOUT_FAULT_MS = 60000,
	SLOW_FAULT_MS = 1500
};

/*
 * The credentials that are accepted: constants, so that a configuration can
 * name them.  They open nothing but this sandbox.  sandbox/README.md has them
 * as a table.
 */
#define SALESFORCE_CLIENT_ID "sandbox-salesforce-client"
#define SALESFORCE_CLIENT_SECRET "sandbox-salesforce-secret"
#define SALESFORCE_TOKEN "00Dxx0000001gER!sandbox-salesforce-token"
#define SALESFORCE_ORG_ID "00Dxx0000001gEREAY"
#define SALESFORCE_USER_ID "005xx000001SwiUAAS"
#define NETSUITE_ACCOUNT "1234567_SB1"
#define NETSUITE_CONSUMER_KEY "ACMECK"
#define NETSUITE_CONSUMER_SECRET "acme cs+1"
#define NETSUITE_TOKEN_ID "ACMETK"
#define NETSUITE_TOKEN_SECRET "acme/ts=2"
#define NETSUITE_CLIENT_ID "sandbox-netsuite-client"
#define NETSUITE_TOKEN "sandbox-netsuite-token"
#define CLM_ACCOUNT "ac000001-0000-4000-8000-0000000ac001"
#define CLM_INTEGRATION_KEY "1b000001-0000-4000-8000-0000000ac001"
#define CLM_USER_ID "05000001-0000-4000-8000-0000000ac001"
#define CLM_TOKEN "sandbox-clm-token"
#define SLACK_TOKEN "xoxb-sandbox-slack-token"
#define SLACK_SIGNING_SECRET "sandbox-slack-signing-secret"
#define CLM_CONNECT_KEY "c2FuZGJveC1jb25uZWN0LWtleQ=="
#define SLACK_HOOK "/services/T0SANDBOX/B0SANDBOX/sandbox-slack-hook"
#define LLM_KEY "sk-sandbox-llm-key"
#define BEDROCK_ACCESS_KEY "AKIASANDBOXBEDROCK01"
#define BEDROCK_SECRET_KEY "sandbox/bedrock+secret"
#define BEDROCK_SESSION_TOKEN "sandbox-bedrock-session-token"
#define PROVISION_TOKEN "sandbox-provision-token"
#define SMTP_USER "sandbox-smtp-user"
#define SMTP_PASSWORD "sandbox-smtp-password"

/* --- names, values, addresses (sandbox_url.c) ----------------------------- */

struct pair {
	char *name, *value;
};
struct pairs {
	struct pair *at;
	size_t len, size;
};

void pairs_add(struct pairs *pairs, struct str name, struct str value); /* copies */
/* The first value of that name, or NULL; the name's case counts. */
const char *pairs_get(const struct pairs *pairs, const char *name);
/* The same for header names, whose case does not count. */
const char *pairs_header(const struct pairs *pairs, const char *name);
void pairs_release(struct pairs *pairs);

/* False for a bad escape or a NUL byte. */
bool url_decode(struct str text, bool plus_is_space, struct buf *out);
/* RFC 3986: all but A-Z a-z 0-9 - . _ ~ as %XX in upper case. */
void url_encode_put(struct str text, struct buf *out);
bool url_base64_decode(struct str text, struct buf *out); /* standard or url alphabet */
/* a=1&b=2; false when a part cannot be decoded. */
bool url_form(struct str text, struct pairs *ret);

enum { PARTS_MAX = 4, PART_BYTES = 256 };

/* What the {} of a pattern stood for, decoded. */
struct parts {
	size_t count;
	char at[PARTS_MAX][PART_BYTES];
};

/* Does the path (not decoded, without query) fit "/a/{}/b"?  {} is one segment or a part of one. */
bool path_match(const char *path, const char *pattern, struct parts *ret);

/* --- requests and replies (sandbox_http.c, sandbox_reply.c) ----------------- */

enum auth { AUTH_UNCHECKED, AUTH_ACCEPTED, AUTH_REFUSED };

struct request {
	enum system system;
	bool is_tls;
	char *method;
	char *target; /* path and query as sent */
	char *path;   /* not decoded */
	struct pairs query;
	struct pairs headers;
	struct str body;
	json_t *json;  /* the body when it is JSON, else NULL */
	char *account; /* the account it is about, or NULL */
	enum auth auth;
	int64_t now_ms;
};

struct reply {
	int status;
	const char *content_type;
	struct buf body;
	struct pairs headers;
};

/* Fills path and query from target; false when the target cannot be decoded. */
bool request_split(struct request *request);
void request_release(struct request *request);
const char *request_header(const struct request *request, const char *name); /* "" when absent */
/* Is the content type this one?  An absent one counts when absent_ok. */
bool request_is(const struct request *request, const char *content_type, bool absent_ok);
/* The token of "Authorization: Bearer ...", or NULL. */
const char *request_bearer(const struct request *request);
/* The body's form fields; the caller releases. */
bool request_form(const struct request *request, struct pairs *ret);
/* http://host:port or https://... as the client wrote it. */
char *request_base_new(const struct request *request);
void request_account_set(struct request *request, const char *account);

void reply_init(struct reply *reply);
void reply_release(struct reply *reply);
void reply_json(struct reply *reply, int status, json_t *body_taken);
void reply_text(struct reply *reply, int status, const char *content_type, const char *text);
void reply_header(struct reply *reply, const char *name, const char *format, ...) ATTR_PRINTF(3, 4);

struct sandbox;
struct tls;

struct route {
	const char *method;
	const char *pattern;
	void (*serve)(struct sandbox *box, struct request *request, const struct parts *parts,
	              struct reply *reply);
};
enum route_end { ROUTE_SERVED, ROUTE_OTHER_METHOD, ROUTE_NONE };

enum route_end route_serve(const struct route *routes, size_t count, struct sandbox *box,
                           struct request *request, struct reply *reply);

/* --- what the systems know (sandbox_scenario.c) ----------------------------- */

struct scenario {
	char *file; /* name within the directory */
	char *account_id;
	json_t *raw;   /* as written */
	json_t *data;  /* dates made absolute, borrowed ids made its own */
	json_t *marks; /* texts by which a request is known to be about this account */
	json_t *spent; /* system -> how often its fault was used */
	char *error;   /* why the file's newest content is not in use, or NULL */
	int64_t mtime_ns, size, loaded_ms;
	uint64_t inode;
	int64_t day; /* that the dates are relative to */
	bool seen;
};

struct scenarios {
	char *dir;
	struct scenario **at;
	size_t len, size;
};

/* ERR_ABSENT when there is no such directory, ERR_INPUT when a file in it is wrong. */
int scenario_open(struct sandbox *box, const char *dir, struct err *err) ATTR_MUST_USE;
/* Takes over what changed on disk since the last call. */
void scenario_refresh(struct sandbox *box);
void scenario_close(struct sandbox *box);
struct scenario *scenario_find(struct sandbox *box, const char *account_id);
/* The account a text mentions (the longest mark found wins), or NULL. */
struct scenario *scenario_mentioned(struct sandbox *box, struct str text);
/* The records of a kind as a new list: "invoice" gives data.<system>.invoice or .invoices. */
json_t *scenario_records_new(const struct scenario *scenario, const char *system,
                             const char *singular, const char *plural);
/* Has it the shape of a Salesforce id, 15 or 18 characters? */
bool salesforce_id_is(const char *id);
/* Adds the three characters that make 18 of 15. */
void salesforce_id_close(char id[19]);
/* A further data file of the directory ("slack/channels.json"); NULL when absent or broken. */
json_t *scenario_file_new(struct sandbox *box, const char *name);

/* --- things that go wrong (sandbox_fault.c) --------------------------------- */

enum fault_kind {
	FAULT_NONE,
	FAULT_STATUS,  /* the system's real error of that status, nothing performed */
	FAULT_TIMEOUT, /* nothing performed, never answered */
	FAULT_HALF,    /* performed, half the reply, then closed */
	FAULT_LOST,    /* performed, closed without a reply */
	FAULT_SLOW,    /* performed, answered late */
	FAULT_GARBAGE  /* performed, answered with what is no reply of that system */
};

struct fault {
	enum fault_kind kind;
	int status;
	int64_t delay_ms;
	const char *name; /* as the user wrote it: "401" ... "garbage" */
};

struct fault_rule {
	enum system system;
	struct fault fault;
	double rate;
	int64_t left; /* requests it may still spoil; -1: no end */
	uint64_t random;
	char *path; /* only requests whose target contains this, or NULL */
	int64_t seen, spoiled;
};

struct faults {
	struct fault_rule *at;
	size_t len, size;
};

/* {"system","kind","rate","count","seed","path","delay_ms"} */
int fault_add(struct sandbox *box, const json_t *rule, struct err *err) ATTR_MUST_USE;
/* "netsuite=500:0.2" */
int fault_add_text(struct sandbox *box, const char *text, struct err *err) ATTR_MUST_USE;
void fault_clear(struct sandbox *box);
json_t *fault_list_new(const struct sandbox *box);
/* What happens to this request. */
struct fault fault_next(struct sandbox *box, enum system system, const char *target,
                        struct scenario *scenario);

/* --- what was received (sandbox_log.c) -------------------------------------- */

struct log_entry {
	char *json; /* serialised: the log is long, and read seldom */
	enum system system;
	int64_t seq;
};

struct request_log {
	struct log_entry *at; /* a ring */
	size_t first, len;
	size_t bytes;
	int64_t seq;
};

void log_open(struct sandbox *box);
void log_close(struct sandbox *box);
/* status 0: never answered. */
void log_request(struct sandbox *box, const struct request *request, int status, const char *fault);
/* system < 0: all. */
void log_list_put(const struct sandbox *box, int system, const char *account, struct buf *out);
void log_clear(struct sandbox *box, int system);

/* --- the sandbox ------------------------------------------------------------ */

struct listener {
	struct sandbox *box;
	enum system system;
	bool is_tls;
	int port;
	void *server; /* struct MHD_Daemon or struct smtp */
};

struct sandbox {
	struct clock clock;
	uint64_t seed;
	int stop_fd; /* readable once the sandbox ends */
	/* The public half; NULL: signatures of assertions are not checked. */
	struct crypto_key *jwt_key;
	struct listener listeners[SYSTEM_COUNT];
	struct tls *tls;                             /* NULL: none */
	struct listener tls_listeners[SYSTEM_COUNT]; /* of all but control */
	bool wants_mail_login; /* SMTP takes nothing from a client that has not logged in */

	pthread_mutex_t lock; /* guards what follows */
	struct scenarios scenarios;
	struct faults faults;
	struct request_log log;
	uint64_t token_count;
	unsigned token_generation[SYSTEM_COUNT]; /* an older token is expired */
	json_t *salesforce_created;              /* [{type, record}] */
	json_t *salesforce_changes;              /* Id -> fields; null: deleted */
	json_t *salesforce_cursors;              /* locator -> SOQL */
	int64_t salesforce_calls;
	json_t *netsuite_created; /* customers */
	json_t *netsuite_changes; /* id -> fields */
	json_t *nonces;           /* NetSuite: nonce -> timestamp */
	json_t *envelopes;        /* CLM: those that clients created, as contracts */
	json_t *envelope_changes; /* CLM: envelope id -> fields */
	json_t *document_changes; /* CLM: document id -> attribute groups */
	json_t *workflows;        /* CLM: id -> workflow */
	json_t *messages;
	json_t *mails;
	size_t mail_bytes;
	json_t *tenants;
	json_t *operations;     /* id -> operation */
	json_t *responses;      /* OpenAI: id -> response that was stored */
	json_t *stored_replies; /* idempotency key -> {fingerprint, status, body, location} */
	int64_t message_count, mail_count, completion_count, envelope_count, record_count;
};

struct system_ops {
	const char *name;
	const char *base_path; /* printed behind the address */
	void (*serve)(struct sandbox *box, struct request *request, struct reply *reply);
	/* The error body that this system sends with such a status. */
	void (*refuse)(struct sandbox *box, const struct request *request, int status,
	               struct reply *reply);
};

const struct system_ops *system_ops(enum system system);
int system_by_name(const char *name); /* -1: none */
const char *system_names(void);       /* for messages */

void sandbox_init(struct sandbox *box, uint64_t seed);
void sandbox_release(struct sandbox *box);
/* Forgets what the systems were told: records, messages, mails, tenants, the log. */
void sandbox_reset(struct sandbox *box);
/* Sleeps until the time is over, the peer of fd is gone, or the sandbox ends (false). */
bool sandbox_wait(const struct sandbox *box, int fd, int64_t ms);
/* Listening socket on 127.0.0.1; port 0: the kernel's choice.  *ret_port is set. */
int sandbox_listen(int port, int *ret_port, struct err *err) ATTR_MUST_USE;

int http_start(struct listener *listener, int port, struct err *err) ATTR_MUST_USE;
void http_stop(struct listener *listener);
int smtp_start(struct listener *listener, int port, struct err *err) ATTR_MUST_USE;
void smtp_stop(struct listener *listener);

/* --- TLS (sandbox_tls.c) ---------------------------------------------------- */

struct tls_session; /* of one connection */

/* Makes box->tls; the authority's certificate goes to the file (PEM). */
int tls_open(struct sandbox *box, const char *ca_file, struct err *err) ATTR_MUST_USE;
void tls_close(struct sandbox *box);
const char *tls_key(const struct sandbox *box);         /* PEM */
const char *tls_certificate(const struct sandbox *box); /* PEM */
/* Shakes hands on a connected socket, which stays the caller's; NULL: the client would not. */
struct tls_session *tls_accept(const struct sandbox *box, int fd);
bool tls_has_more(const struct tls_session *session); /* bytes that poll() does not know of */
long tls_read(struct tls_session *session, char *bytes, size_t max); /* -1: it is over */
long tls_write(struct tls_session *session, const char *bytes, size_t len);
void tls_end(struct tls_session *session);

/* Bearer tokens that the sandbox issued itself: they carry their own proof. */
char *token_new(struct sandbox *box, enum system system, const char *prefix, int64_t now_ms);
bool token_is_good(const struct sandbox *box, enum system system, const char *prefix,
                   const char *token, int64_t now_ms, int64_t life_s);
/* The claims of a JWT by its shape, and by its signature when the sandbox has a key; NULL: it is
 * none. */
json_t *token_claims_new(const struct sandbox *box, const char *jwt, json_t **ret_header);

/* A list that forgets its oldest entries. */
void keep_push(json_t *list, json_t *entry_taken, size_t max);
uint64_t hash_text(const char *text);

void salesforce_serve(struct sandbox *, struct request *, struct reply *);
void salesforce_refuse(struct sandbox *, const struct request *, int, struct reply *);
void netsuite_serve(struct sandbox *, struct request *, struct reply *);
void netsuite_refuse(struct sandbox *, const struct request *, int, struct reply *);
void clm_serve(struct sandbox *, struct request *, struct reply *);
void clm_refuse(struct sandbox *, const struct request *, int, struct reply *);
void slack_serve(struct sandbox *, struct request *, struct reply *);
void slack_refuse(struct sandbox *, const struct request *, int, struct reply *);
void llm_serve(struct sandbox *, struct request *, struct reply *);
void llm_refuse(struct sandbox *, const struct request *, int, struct reply *);
void provision_serve(struct sandbox *, struct request *, struct reply *);
void provision_refuse(struct sandbox *, const struct request *, int, struct reply *);
/* What Slack, or DocuSign Connect, would send; for the control listener. */
void slack_click(struct sandbox *, struct request *, const struct parts *, struct reply *);
void clm_connect(struct sandbox *, struct request *, const struct parts *, struct reply *);
/* The control listener, and /_sandbox/requests of every other. */
void control_serve(struct sandbox *, struct request *, struct reply *);

#endif
