/* SPDX-License-Identifier: MIT */
/*
 * What the files of plugin/ share.
 *
 *   plugin_load.c      a file's bytes -> sealed memory -> dlopen -> descriptor; the registry
 *   plugin_describe.c  a descriptor, checked word by word -> struct plugin
 *   plugin_call.c      the life of one call: turns, pending work, the end
 *   plugin_request.c   what a plugin asks of the world: checked, recorded as JSON, sent
 *   plugin_failure.c   a failure as the graph sees it
 *   plugin_host.c      struct gw_host: what a plugin can ask of us
 *   plugin_json.c      its JSON table
 *
 * A *turn* is one entry into the plugin's code (start or a callback).  What a
 * plugin does in a turn takes effect when the turn is over: then the call has
 * ended, or its new requests are announced, or it is lost.
 */
#ifndef PLUGIN_INT_H
#define PLUGIN_INT_H

#include "abi/gw_plugin.h"
#include "base/arena.h"
#include "base/crypto.h"
#include "base/vec.h"
#include "plugin/plugin.h"
#include "schema/schema.h"

/* --- plugins ------------------------------------------------------------ */

/* Texts point into the plugin's own constants: a plugin is never unloaded. */
struct plugin_action {
	const struct plugin *plugin;
	struct gw_action own;           /* as large as we know it, the rest zero */
	struct schema *params, *result; /* NULL: anything */
	json_t *describe;
};

struct plugin {
	char *file; /* as shown */
	char sha256[SHA256_HEX];
	struct gw_plugin own;
	struct schema *settings; /* NULL: none */
	VEC(struct plugin_action *) actions;
	VEC(struct gw_error_row) errors;
	json_t *describe;
};

/*
 * Checks all a descriptor says and makes a plugin of it, or says what is wrong.
 * descriptor may be anything a plugin returned, NULL too.
 */
int plugin_new(const struct gw_plugin *descriptor, const char *file, const char *sha256,
               struct plugin **ret, struct err *err) ATTR_MUST_USE;
void plugin_free(struct plugin *plugin);

/*
 * Copies a struct that begins (or for gw_plugin does not begin) with its size:
 * what lies beyond the maker's size becomes zero, what lies beyond ours is not
 * looked at.  False when the size is not set.
 */
bool plugin_sized(void *ret, size_t ret_bytes, const void *from, uint32_t size);

/* --- calls -------------------------------------------------------------- */

struct gw_call {
	struct plugin_call *own;
};

struct gw_json {
	json_t *json; /* lives as long as the call */
	struct plugin_call *call;
	bool is_built; /* made by the plugin: it may be changed */
};

enum plugin_phase {
	PLUGIN_HELD, /* not on record yet, or not released */
	PLUGIN_SENT,
	PLUGIN_ANSWERED,
	PLUGIN_DROPPED /* its call has ended before the answer */
};

struct plugin_sending {
	struct plugin_call *call; /* NULL: the call is gone, the answer interests nobody */
	uint32_t ordinal;
	enum wire_effect effect;
	enum plugin_phase phase;
	bool is_released;
	json_t *json; /* as recorded */
	gw_http_cb *then;
	struct wire_request *wire; /* in flight */
	int verdict;               /* what classify said last: enum gw_verdict */
};

struct plugin_timer {
	struct plugin_call *call;
	int64_t delay_ms;
	gw_call_cb *then;
	struct loop_timer *timer; /* NULL: not armed before the first release */
};

struct plugin_call {
	struct gw_call face;
	const struct plugin_action *action;
	struct wire *wire;
	struct wire_connection *connection;
	struct loop *loop;
	const struct plugin_call_hooks *hooks;
	struct arena arena;
	json_t *params, *recorded;
	char *run_id, *correlation_id, *traceparent;
	uint64_t number;
	uint32_t element;
	int64_t now_ms, timeout_ms, backoff_min_ms, backoff_max_ms;
	int32_t retries;

	VEC(struct plugin_sending *) requests;
	VEC(struct plugin_timer *) timers;
	size_t announced;                     /* requests before it are known to the caller */
	const struct plugin_sending *current; /* whose answer the plugin is looking at */
	const struct wire_reply *reply;
	void *state;
	json_t *facts, *notes, *masks;

	bool is_lookup;
	bool is_started;
	bool is_armed; /* the first release has been */
	bool is_cancelled;
	bool is_inside;                  /* in a turn */
	bool is_looking;                 /* in classify, which may only look */
	bool is_ended, is_told, is_kept; /* kept: for plugin_call_take_end */
	bool is_freed;                   /* as soon as depth is 0 */
	unsigned depth;
	bool end_ok;
	json_t *end; /* result or failure */
};

/* Ends the call; the first end counts.  Steals value. */
void plugin_end(struct plugin_call *call, bool ok, json_t *value);
/* The plugin broke the contract: ends the call as GW_E_BUG, saying so. */
void plugin_bug(struct plugin_call *call, const char *format, ...) ATTR_PRINTF(2, 3);
/* What was to be sent is wrong because of what is in it: ends the call as GW_E_INPUT. */
void plugin_refuse(struct plugin_call *call, const char *format, ...) ATTR_PRINTF(2, 3);
void plugin_note(struct plugin_call *call, const char *format, ...) ATTR_PRINTF(2, 3);
/* May the plugin do something now?  Says so in the notes when not. */
bool plugin_may_act(struct plugin_call *call, const char *what);
/* "salesforce.onboarding", in the call's memory. */
const char *plugin_call_name(struct plugin_call *call);
/* Work the plugin waits for: requests without an answer, and timers. */
size_t plugin_pending(const struct plugin_call *call);
bool plugin_pending_other_than_read(const struct plugin_call *call);

/* plugin_request.c */
void plugin_ask_http(struct plugin_call *call, const struct gw_http_req *given, gw_http_cb *then);
void plugin_ask_mail(struct plugin_call *call, const struct gw_mail *given, gw_http_cb *then);
void plugin_request_send(struct plugin_sending *sending, wire_done_cb *done,
                         wire_classify_cb *classify);
bool plugin_request_is_mail(const struct plugin_sending *sending);
/* "POST /tickets", or "the mail". */
const char *plugin_request_name(struct plugin_call *call, const struct plugin_sending *sending);
/* enum gw_status of an answer. */
int plugin_status(const struct plugin_sending *sending, const struct wire_reply *reply);

/* plugin_failure.c */
struct plugin_failure {
	int status, http_status;
	enum wire_status wire; /* WIRE_OK: it says nothing */
	bool is_lost, is_malformed;
	bool is_once;                                /* the request must not happen twice */
	struct str error_code, message;              /* may be empty */
	const char *error_type, *resolution, *owner; /* NULL: by the tables */
	int attempts;
};

/* New: {error_type, error_code, http_status, message, resolution, owner, attempts, retryable}. */
json_t *plugin_failure_json(const struct plugin *plugin, const struct plugin_failure *failure);

/* plugin_host.c */
extern const struct gw_host plugin_host;

/* plugin_json.c */
extern const struct gw_json_ops plugin_json_ops;
/* A value for the plugin's eyes; NULL gives NULL.  json stays alive by other means. */
struct gw_json *plugin_json(struct plugin_call *call, json_t *json);
/* The same for a new reference, which the call takes. */
struct gw_json *plugin_json_take(struct plugin_call *call, json_t *json);
struct gw_str plugin_json_text(struct plugin_call *call, const json_t *json);
/* Not deeper and not larger than our limits? */
bool plugin_json_is_sane(const json_t *json);

#endif
