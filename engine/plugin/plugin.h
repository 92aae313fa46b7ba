/* SPDX-License-Identifier: MIT */
/*
 * Plugins: loading them, and the life of one call.
 *
 * A call: plugin_call_new() checks the parameters against the action's schema;
 * plugin_call_start() runs the plugin's start, which asks for requests; these
 * are held.  The caller (run/) records them and then releases them one by one
 * with plugin_call_release(); an answer runs the plugin's callback, which may
 * ask for more (reported through on_request, held again unless READ) or end
 * the call (on_end, exactly once, never inside plugin_call_release).
 *
 * Thread: a registry is built once and then read-only, shared; a call lives on
 * one worker loop.
 */
#ifndef PLUGIN_H
#define PLUGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"
#include "wire/wire.h"

struct plugins; /* the registry */
struct plugin;
struct plugin_action;
struct plugin_call;

struct plugins *plugins_new(void);
void plugins_free(struct plugins *plugins);
/*
 * Loads one file: absolute path, regular file, not world-writable (nor its
 * folder), ABI major and name checked before any action is offered; mismatch
 * explained in words.  sha256 (hex) when pinned, or NULL.  The bytes that were
 * hashed are the bytes that are loaded.
 */
int plugins_load(struct plugins *plugins, const char *path, const char *sha256,
                 struct err *err) ATTR_MUST_USE;
/* All *.so of a folder, by name; one bad file does not keep the others out: its error goes to
 * findings as {"file","text","hint"}. */
int plugins_load_folder(struct plugins *plugins, const char *folder, json_t *findings,
                        struct err *err) ATTR_MUST_USE;
/* From now on the plugin of that name, in NAME.so,
 * is only loaded when its bytes have this SHA-256. */
void plugins_pin(struct plugins *plugins, const char *name, const char *sha256);
/*
 * A named plugin must not be used (it was inside a call at three deaths in a
 * row): it is no longer found, also when it is loaded later.
 */
void plugins_quarantine(struct plugins *plugins, const char *name, const char *why);
/* Why the plugin of that name must not be used; NULL when it may. */
const char *plugins_quarantine_why(const struct plugins *plugins, const char *name);

/* NULL when there is none, or when it is quarantined. */
const struct plugin *plugins_find(const struct plugins *plugins, const char *name);
/* Those that may be used, by name; at most max are written, all are counted. */
size_t plugins_names(const struct plugins *plugins, const char **ret, size_t max);
const char *plugin_name(const struct plugin *plugin);
const char *plugin_version(const struct plugin *plugin);
const char *plugin_sha256(const struct plugin *plugin);
/* {"name","version","sha256","file","summary","actions":[{"name","summary","effect","params",
 *  "result","secret","personal"}],"errors":[...]}; new. */
json_t *plugin_describe(const struct plugin *plugin);
/* NULL when there is none. */
const struct plugin_action *plugin_action_find(const struct plugin *plugin, const char *name);
/* By declaration; at most max are written, all are counted. */
size_t plugin_action_names(const struct plugin *plugin, const char **ret, size_t max);
/* {"params":schema,"result":schema,"effect":"READ"}; borrowed. */
const json_t *plugin_action_describe(const struct plugin_action *action);
bool plugin_action_is_pure(const struct plugin_action *action);
/* Can it ask whether a call of it happened (gw_action.lookup)? */
bool plugin_action_has_lookup(const struct plugin_action *action);
enum wire_effect plugin_action_effect(const struct plugin_action *action); /* not for PURE */
/* 0, or ERR_INPUT with what the schema says. */
int plugin_action_check(const struct plugin_action *action, const json_t *params,
                        struct err *err) ATTR_MUST_USE;
/* 0, or ERR_INPUT with what the plugin's schema says of a connection's settings (NULL: none). */
int plugin_settings_check(const struct plugin *plugin, const json_t *settings,
                          struct err *err) ATTR_MUST_USE;

/* A request as it is recorded and sent: stable JSON
 * {"ordinal","effect","method","path","content_type","headers":[[n,v]],"body","timeout_ms"} or
 * {"ordinal","effect","mail":{"message_id","from","to","cc","reply_to","subject","text","html",
 * "headers":[[n,v]],"date_ms"}}; what is empty is absent; a body that is JSON stays text. */
struct plugin_request {
	uint32_t ordinal; /* within the call, from 0 */
	enum wire_effect effect;
	const json_t *json; /* borrowed */
	bool is_released;
};

struct plugin_call_hooks {
	void *ctx;
	/*
	 * A request was asked for outside plugin_call_start (so: from a callback).
	 * READ ones have been sent already; others wait for plugin_call_release.
	 */
	void (*on_request)(void *ctx, struct plugin_call *call,
	                   const struct plugin_request *request);
	/* An attempt or answer of a request is known; log as in wire_reply. */
	void (*on_answer)(void *ctx, struct plugin_call *call, uint32_t ordinal,
	                  const struct wire_reply *reply);
	/* The end: result (new reference is the receiver's) or failure
	 * {error_type, error_code, http_status, message, resolution, owner, attempts, retryable};
	 * http_status 0: no reply was had.  May free the call. */
	void (*on_end)(void *ctx, struct plugin_call *call, bool ok, json_t *result_or_failure);
	/*
	 * Prompts: returns {"name","version","sha256","model","system","user","schema",
	 * "max_tokens","temperature","masks":{"token":"text"}} new, rendered from values and
	 * masked, or NULL with err.
	 */
	json_t *(*prompt)(void *ctx, struct plugin_call *call, const char *name,
	                  const json_t *values, struct err *err);
	/* May be NULL.  The plugin's code is about to run (its name), or has returned (NULL): the
	 * breadcrumb that names the culprit when the process dies in between. */
	void (*on_enter)(void *ctx, const char *plugin);
};

struct plugin_call_options {
	const struct plugin_action *action;
	struct wire *wire;                  /* NULL: for PURE actions */
	struct wire_connection *connection; /* NULL: the action needs none */
	const json_t *params;               /* referenced */
	bool is_lookup;  /* it asks whether the call happened, by the action's lookup; READ only */
	bool is_checked; /* plugin_action_check() took these parameters just now */
	const char *run_id, *correlation_id;
	const char *traceparent; /* NULL: none */
	uint64_t number;         /* effect number */
	uint32_t element;
	int64_t now_ms;     /* recorded time of the step */
	int64_t timeout_ms; /* -1: the connection's */
	int32_t retries;
	int64_t backoff_min_ms, backoff_max_ms;
	/* Requests on record of an earlier life of this call, by ordinal (array of plugin_request
	 * JSON, or NULL): they go out as recorded, whatever the plugin builds now. */
	const json_t *recorded;
	const struct plugin_call_hooks *hooks; /* NULL: none; outlives the call */
	struct loop *loop;                     /* for later(); NULL: later() fails the call */
};

/* ERR_INPUT when the parameters do not satisfy the schema. */
int plugin_call_new(const struct plugin_call_options *options, struct plugin_call **ret,
                    struct err *err) ATTR_MUST_USE;
/* Runs start.  Requests are held, also READ ones.  The call may have ended already
 * (plugin_call_is_ended): then on_end is NOT called; plugin_call_take_end gives the end. */
void plugin_call_start(struct plugin_call *call);
bool plugin_call_is_ended(const struct plugin_call *call);
bool plugin_call_take_end(struct plugin_call *call, bool *ok, json_t **result_or_failure);
size_t plugin_call_request_count(const struct plugin_call *call);
struct plugin_request plugin_call_request(const struct plugin_call *call, size_t i);
/* Sends all held requests up to and including this ordinal; timers asked for with later() begin
 * with the first release (release with UINT32_MAX also when there is no request). */
void plugin_call_release(struct plugin_call *call, uint32_t ordinal);
/*
 * Held requests and timers are dropped, READ requests are aborted; others finish
 * and are reported through on_answer and then on_end with error_type cancelled
 * unless the plugin ends the call by itself.  When nothing is in flight on_end
 * comes from inside this function.
 */
void plugin_call_cancel(struct plugin_call *call);
/* Has anything but READ been released? */
bool plugin_call_has_left(const struct plugin_call *call);
/* Facts and notes of this call so far, where there are any: {"facts":{...},"notes":[...]}; new. */
json_t *plugin_call_facts(const struct plugin_call *call);
/* At any time, also inside on_end; requests in flight are aborted and not reported. */
void plugin_call_free(struct plugin_call *call);

/* SHA-256 hex of (run, effect number, element, ordinal): DESIGN.md 4. */
void plugin_key(const char *run_id, uint64_t number, uint32_t element, uint32_t ordinal,
                char ret[65]);

/* Runs a PURE action to its end in place. */
int plugin_pure(const struct plugin_action *action, const json_t *params, const char *run_id,
                int64_t now_ms, bool *ok, json_t **result_or_failure,
                struct err *err) ATTR_MUST_USE;

#endif
