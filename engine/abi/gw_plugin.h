/* SPDX-License-Identifier: MIT */
/*
 * gw_plugin.h - the contract between the engine and a plugin.
 *
 * This is the only engine header a plugin may include, and it needs nothing
 * but <stddef.h> and <stdint.h>.  A plugin reaches the world only through
 * struct gw_host: base URLs, credentials, idempotency keys, retries, rate and
 * concurrency limits, circuit breaking, deadlines, tracing and recording live
 * in the engine, once, and no plugin can forget them.
 *
 * What keeps the contract stable:
 *   - Fields are appended.  None is moved, retyped, removed or reused.
 *   - Every struct that may grow starts with its size as its maker knew it;
 *     the reader treats what lies beyond that size as zero.
 *   - Such structs cross by pointer, never inside an array by value.
 *   - Adding is a minor step.  Any other change is a major step, and the
 *     engine refuses a plugin of another major.
 *   - Nothing of libc or another library crosses but plain bytes.
 *
 * Threads: the calls of one run come from one thread, one at a time; calls of
 * different runs may come from several.  So a plugin has no mutable statics.
 * Nothing here may block.
 *
 * A call's life.  start() runs while the engine decides (DESIGN.md 4): it reads
 * the parameters and either asks for a request (http->send, mail->send), or
 * for time (later), or ends the call (done, fail).  Requests leave only after
 * the record of the step is durable.  The request's callback runs when its
 * answer is there and again asks or ends.  A call that neither waits for
 * anything nor has ended is lost and failed by the engine; a second end is
 * ignored and reported.  After a crash a call may be started anew: it must
 * build the same requests from the same parameters.
 */
#ifndef GW_PLUGIN_H
#define GW_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GW_ABI_MAJOR 1
#define GW_ABI_MINOR 1

#if defined(__GNUC__)
#define GW_EXPORT __attribute__((visibility("default")))
#else
#define GW_EXPORT
#endif

/* Does the table at ptr reach as far as this field, and is it filled in? */
#define GW_HAS(type, ptr, field) \
	((ptr)->size >= offsetof(type, field) + sizeof((ptr)->field) && (ptr)->field)

/* Borrowed bytes, not NUL-terminated.  Frozen: this struct never grows. */
struct gw_str {
	const char *ptr;
	size_t len;
};
#define GW_LIT(s) ((struct gw_str){ "" s, sizeof(s) - 1 })

/* A status names what the caller should do next, not what went wrong. */
enum gw_status {
	GW_OK = 0,
	GW_E_INPUT = -1,     /* the parameters are wrong; do not repeat */
	GW_E_DENIED = -2,    /* the credentials or the policy forbid it */
	GW_E_ABSENT = -3,    /* the thing named does not exist */
	GW_E_CONFLICT = -4,  /* the world has moved on; look again first */
	GW_E_BUSY = -5,      /* try later; the engine has already tried */
	GW_E_UNSURE = -6,    /* it may have happened; look before repeating */
	GW_E_CANCELLED = -7, /* the run no longer wants it */
	GW_E_REPLY = -8,     /* the other side answered nonsense */
	GW_E_BUG = -9,       /* the plugin broke this contract */
	GW_E_TIMEOUT = -10,  /* no answer in time */
	GW_E_NETWORK = -11   /* no connection, or it broke */
};

/* What repeating may do.  The engine retries and recovers by it. */
enum gw_effect {
	GW_EFFECT_READ = 1, /* changes nothing; repeat freely */
	GW_EFFECT_KEYED,    /* repeat only with the same idempotency key */
	GW_EFFECT_ONCE,     /* never repeat unless a person says so */
	GW_EFFECT_PURE      /* asks nothing of the world: start() ends the call itself */
};

/* What a reply means for the retry stage; see struct gw_plugin.classify. */
enum gw_verdict {
	GW_REPLY_DEFAULT = 0, /* by its HTTP status */
	GW_REPLY_OK,          /* give it to the callback as GW_OK, whatever the status */
	GW_REPLY_RETRY,       /* transient, surely nothing was done: ONCE too may be repeated */
	GW_REPLY_PERMANENT,   /* do not repeat */
	GW_REPLY_REAUTH       /* credentials: drop the token, log in once, repeat once */
};

struct gw_host;
struct gw_call; /* one action asked for by one run; owned by the engine */
struct gw_json; /* a JSON value; lives as long as its call; read-only unless built here */

/* A header a plugin adds.  Frozen.  CR, LF, NUL in either are refused. */
struct gw_header {
	struct gw_str name, value;
};

struct gw_http_req {
	uint32_t size;
	uint32_t timeout_ms;      /* of one attempt; 0: the connection's own */
	const char *method;       /* "GET", "POST", ... */
	const char *content_type; /* NULL: application/json when there is a body */
	struct gw_str path;       /* below the connection's URL; begins with '/'; with query */
	struct gw_str body;
	const struct gw_header *headers; /* copied during send */
	size_t header_count;
	/* enum gw_effect of this request; 0: the action's.  May be milder, never stricter. */
	int32_t effect;
};

struct gw_http_reply {
	uint32_t size;
	int32_t code;               /* HTTP status; 0: no reply was had */
	struct gw_str body;         /* valid until the callback returns */
	struct gw_str content_type; /* "" when absent */
	int32_t attempts;           /* how many it took */
	/* A reply header by name (any case); empty when absent.  Valid until the callback ends. */
	struct gw_str (*header)(const struct gw_http_reply *reply, const char *name);
	const void *own; /* the engine's */
};

/*
 * Called exactly once for each send unless the call has ended before, and never
 * before send has returned.
 * status is GW_OK for a 2xx (or GW_REPLY_OK), else the matching GW_E_*; reply
 * is never NULL (code 0 when there was none).
 */
typedef void gw_http_cb(const struct gw_host *host, struct gw_call *call, int status,
                        const struct gw_http_reply *reply);
typedef void gw_call_cb(const struct gw_host *host, struct gw_call *call);

/* A failure as the graph sees it (_event.data).  NULL texts are filled from the plugin's error
 * table by error_code, else by http_status, else from the status. */
struct gw_failure {
	uint32_t size;
	int32_t status;           /* enum gw_status */
	int32_t http_status;      /* 0: none */
	struct gw_str error_code; /* the service's own, such as INVALID_SESSION_ID */
	struct gw_str message;    /* what happened, for people; no secrets */
	const char *error_type, *resolution, *owner;
};

/* One row of a plugin's error table; data, shown by `gangway plugin describe`. */
struct gw_error_row {
	uint32_t size;
	int32_t http_status;    /* 0: any */
	const char *error_code; /* NULL: any with this status */
	const char *error_type; /* "authentication", "rate_limit", ... */
	const char *resolution; /* what to do, one sentence */
	const char *owner;      /* who does it */
};

/* Reading the call and ending it. */
struct gw_call_ops {
	uint32_t size;
	/* The parameters, an object that satisfies the action's schema. */
	const struct gw_json *(*params)(const struct gw_call *call);
	/* A parameter's text, "" when absent; a number's digits.  Borrowed until the call ends. */
	struct gw_str (*str)(struct gw_call *call, const char *path);
	/* A setting of the connection (gangway.lua) like "api_version"; fallback when absent. */
	struct gw_str (*setting)(struct gw_call *call, const char *name, const char *fallback);
	/* The idempotency key of the next request of this call (64 hex digits). */
	struct gw_str (*key)(struct gw_call *call);
	struct gw_str (*correlation_id)(const struct gw_call *call);
	struct gw_str (*run_id)(const struct gw_call *call);
	/* Recorded time of the step that asked, ms since the epoch: never ask the system. */
	int64_t (*now_ms)(const struct gw_call *call);
	/* action->state_size zeroed bytes, kept over callbacks.  Gone when the call ends. */
	void *(*state)(struct gw_call *call);
	/* Memory that lives as long as the call; never NULL. */
	void *(*alloc)(struct gw_call *call, size_t bytes);
	/* printf into call memory.  %.*s for gw_str. */
	struct gw_str (*format)(struct gw_call *call, const char *format, ...)
#if defined(__GNUC__)
		__attribute__((format(printf, 2, 3)))
#endif
		;
	/* Percent-encoded (RFC 3986: only A-Za-z0-9-._~ stay). */
	struct gw_str (*url)(struct gw_call *call, struct gw_str text);
	/* Exactly one of these ends a call.  The value is copied. */
	void (*done)(struct gw_call *call, const struct gw_json *result);
	void (*fail)(struct gw_call *call, const struct gw_failure *failure);
	/* Fails with what a reply and its status say: error_code and message may be empty.  With
	 * GW_OK: the service said no in its own words when there is an error_code, else it answered
	 * nonsense. */
	void (*fail_reply)(struct gw_call *call, int status, const struct gw_http_reply *reply,
	                   struct gw_str error_code, struct gw_str message);
	/* Adds a line to the call's record, for whoever looks into it.  No secrets. */
	void (*note)(struct gw_call *call, const char *message);
	/* Adds a fact to the call's record: which model answered, tokens used, ... */
	void (*fact)(struct gw_call *call, const char *name, const struct gw_json *value);
};

/*
 * HTTP.  The engine adds base URL, credentials, Idempotency-Key (KEYED) and
 * trace headers.  There is no error to check here: whatever goes wrong arrives
 * at the callback.  Several requests of one call may be open at once only when
 * all of them are READ.
 */
struct gw_http_ops {
	uint32_t size;
	void (*send)(struct gw_call *call, const struct gw_http_req *req, gw_http_cb *then);
};

/* A mail.  text and html make multipart/alternative; text alone text/plain.  Date and Message-ID
 * are the engine's: the Message-ID comes from the idempotency key, so a repeat is recognisable. */
struct gw_mail {
	uint32_t size;
	struct gw_str from; /* empty: the connection's own */
	struct gw_str to;   /* one address, or several separated by commas */
	struct gw_str cc;
	struct gw_str reply_to;
	struct gw_str subject;
	struct gw_str text, html;
	/* Further ones: X-..., Auto-Submitted, List-...; CR and LF are refused. */
	const struct gw_header *headers;
	size_t header_count;
};

struct gw_mail_ops {
	uint32_t size;
	/* reply->code is the SMTP code of the first refusal, or 250. */
	void (*send)(struct gw_call *call, const struct gw_mail *mail, gw_http_cb *then);
};

enum gw_json_type {
	GW_JSON_ABSENT = 0,
	GW_JSON_NULL,
	GW_JSON_BOOL,
	GW_JSON_INT,
	GW_JSON_REAL,
	GW_JSON_STR,
	GW_JSON_LIST,
	GW_JSON_OBJECT
};

/* JSON.  Nothing here fails or needs freeing; every reader takes NULL as "absent". */
struct gw_json_ops {
	uint32_t size;
	/* NULL when the text is not JSON within the engine's limits. */
	const struct gw_json *(*parse)(struct gw_call *call, struct gw_str text);
	int32_t (*type)(const struct gw_json *value);
	/* By path "a.b[0].c"; "" is the value itself. */
	const struct gw_json *(*get)(const struct gw_json *value, const char *path);
	/* The member of exactly this name, dots and all ("o:errorDetails", "a.b"). */
	const struct gw_json *(*member)(const struct gw_json *value, struct gw_str name);
	struct gw_str (*str)(const struct gw_json *value); /* "" when it is no string */
	/* A number; also of a string that is one. */
	int64_t (*integer)(const struct gw_json *value, int64_t fallback);
	double (*number)(const struct gw_json *value, double fallback);
	int32_t (*truth)(const struct gw_json *value); /* true, "true", "T" are 1; else 0 */
	size_t (*count)(const struct gw_json *value);  /* of a list or object */
	const struct gw_json *(*at)(const struct gw_json *value, size_t index);
	/* A member's name, in order. */
	struct gw_str (*key)(const struct gw_json *value, size_t index);

	struct gw_json *(*object)(struct gw_call *call);
	struct gw_json *(*list)(struct gw_call *call);
	/* Setting an absent (NULL) value sets nothing; a set member replaces.  The value is shared,
	 * not copied: what is added to it later is seen in both.  No value may come to contain
	 * itself. */
	void (*set)(struct gw_json *object, const char *key, const struct gw_json *value);
	void (*set_str)(struct gw_json *object, const char *key, struct gw_str value);
	void (*set_int)(struct gw_json *object, const char *key, int64_t value);
	void (*set_num)(struct gw_json *object, const char *key, double value);
	void (*set_bool)(struct gw_json *object, const char *key, int32_t value);
	void (*set_null)(struct gw_json *object, const char *key);
	void (*push)(struct gw_json *list, const struct gw_json *value);
	void (*push_str)(struct gw_json *list, struct gw_str value);
	/* Compact text, members in the order they were set; borrowed until the call ends. */
	struct gw_str (*text)(struct gw_call *call, const struct gw_json *value);
	/*
	 * Is the value valid by the JSON Schema (given as text or as a value)?  Empty
	 * string: yes; else what is wrong, in a sentence.
	 */
	struct gw_str (*invalid)(struct gw_call *call, const struct gw_json *schema,
	                         const struct gw_json *value);
};

/*
 * Prompts of the run's pinned versions.  The engine renders, keeps only the
 * fields the prompt allows, and masks personal data before the text gets here;
 * unmask() restores it in what people see.
 */
struct gw_prompt {
	uint32_t size;
	struct gw_str name, version, sha256;
	struct gw_str model;          /* "" : the connection's own */
	struct gw_str system, user;   /* rendered and masked */
	const struct gw_json *schema; /* of the answer; NULL: plain text */
	int64_t max_tokens;           /* 0: not said */
	double temperature;           /* below 0: not said */
};

struct gw_prompt_ops {
	uint32_t size;
	/* NULL when there is no such prompt: the call has failed already. */
	const struct gw_prompt *(*render)(struct gw_call *call, struct gw_str name,
	                                  const struct gw_json *values);
	/* A copy with the masks of this call replaced by what they stand for. */
	const struct gw_json *(*unmask)(struct gw_call *call, const struct gw_json *value);
};

struct gw_host {
	uint32_t size;
	uint32_t abi_minor;
	const struct gw_call_ops *call;
	const struct gw_http_ops *http;
	const struct gw_json_ops *json;
	const struct gw_mail_ops *mail;
	const struct gw_prompt_ops *prompt;
	/* Calls back after so many milliseconds (polling); at least 1, at most 1 hour.  Not while
	 * a request that is not READ is open. */
	void (*later)(struct gw_call *call, int64_t delay_ms, gw_call_cb *then);
};

struct gw_action {
	uint32_t size;
	int32_t effect;       /* enum gw_effect */
	const char *name;     /* "create_tenant": type="provision" src="create_tenant" in graphs */
	const char *summary;  /* one sentence */
	const char *params;   /* JSON Schema of the parameters; checked before start */
	const char *result;   /* JSON Schema of the result; checked before the graph sees it */
	const char *secret;   /* space-separated parameter paths never shown; NULL: none */
	const char *personal; /* space-separated paths (params.x, result.y) of personal data */
	size_t state_size;
	/* Begin.  Returns at once; the call may still be open. */
	void (*start)(const struct gw_host *host, struct gw_call *call);
	/*
	 * Since 1.1; NULL: there is none.  A ONCE request of this call may have
	 * arrived, and nobody knows.  Begins like start, in a call of its own with the
	 * same parameters and keys, may ask READ requests only, and ends with done (it
	 * happened: the action's result), with GW_E_ABSENT (it did not: the engine
	 * begins the call again), or with any other failure (a person is asked).
	 */
	void (*lookup)(const struct gw_host *host, struct gw_call *call);
};

struct gw_plugin {
	uint32_t abi_major; /* first, so that any engine can read it */
	uint32_t abi_minor;
	uint32_t size;
	const char *name;
	const char *version;
	const char *summary;
	const struct gw_action *const *actions;   /* ends with NULL */
	const struct gw_error_row *const *errors; /* ends with NULL; may be NULL */
	/* What a reply means for repeating it; NULL: by HTTP status.  Looks at the reply alone. */
	int32_t (*classify)(const struct gw_host *host, struct gw_call *call,
	                    const struct gw_http_reply *reply);
	/* JSON Schema of the connection's settings beyond the engine's own; NULL: none. */
	const char *settings;
};

/* The one symbol a plugin exports. */
GW_EXPORT const struct gw_plugin *gw_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif
