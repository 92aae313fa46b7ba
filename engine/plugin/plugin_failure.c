/* SPDX-License-Identifier: MIT */
/*
 * A failure as the graph sees it (_event.data), and as a person reads it.
 *
 * What the plugin says goes first; then its error table, by the service's own
 * code with its HTTP status, by the code alone, by the status alone; then the
 * classes below, which every plugin shares.  So every failure has a type, a
 * resolution and an owner, and a plugin only writes down what is its service's
 * own.
 */
#include <string.h>

#include "plugin/plugin_int.h"

enum { ERROR_CODE_BYTES = 128, MESSAGE_BYTES = 1000 };

struct failure_class {
	const char *type, *code, *resolution, *owner;
	bool is_retryable;
};

enum class_index {
	CLASS_AUTHENTICATION,
	CLASS_AUTHORIZATION,
	CLASS_VALIDATION,
	CLASS_NOT_FOUND,
	CLASS_CONFLICT,
	CLASS_RATE_LIMIT,
	CLASS_SERVER,
	CLASS_TIMEOUT,
	CLASS_NETWORK,
	CLASS_MALFORMED,
	CLASS_CIRCUIT,
	CLASS_POLICY,
	CLASS_CANCELLED,
	CLASS_UNSURE,
	CLASS_LOST,
	CLASS_BUG,
	CLASS_COUNT
};

/* clang-format off */
static const struct failure_class classes[CLASS_COUNT] = {
	[CLASS_AUTHENTICATION] = { "authentication", "AUTHENTICATION",
		"Check the connection's credentials and renew them if they have expired.",
		"IT/DevOps", false },
	[CLASS_AUTHORIZATION] = { "authorization", "DENIED",
		"Give the integration's user the permission that is missing.",
		"System Admin", false },
	[CLASS_VALIDATION] = { "validation", "INVALID",
		"Correct the data that was refused, then start again.",
		"Data Admin", false },
	[CLASS_NOT_FOUND] = { "not_found", "NOT_FOUND",
		"Check that the record exists and that its id is right.",
		"Data Admin", false },
	[CLASS_CONFLICT] = { "conflict", "CONFLICT",
		"Look at the current state of the record, then decide whether to repeat.",
		"Data Admin", false },
	[CLASS_RATE_LIMIT] = { "rate_limit", "RATE_LIMIT",
		"Wait for the limit to reset, or ask the service for a higher one.",
		"Integration Admin", true },
	[CLASS_SERVER] = { "server", "SERVER",
		"Try again later; if it lasts, open a case with the service's support.",
		"Support Team", true },
	[CLASS_TIMEOUT] = { "timeout", "TIMEOUT",
		"Try again later; if it lasts, check the service and the connection's time-out.",
		"Support Team", true },
	[CLASS_NETWORK] = { "network", "NETWORK",
		"Check that the service can be reached from here: name, port, certificate.",
		"IT/DevOps", true },
	[CLASS_MALFORMED] = { "malformed_reply", "MALFORMED_REPLY",
		"Compare the service's answer with what the plugin expects; one of them changed.",
		"Integration Admin", false },
	[CLASS_CIRCUIT] = { "circuit_open", "CIRCUIT_OPEN",
		"Wait: the service failed too often and is left alone for a while.",
		"Integration Admin", true },
	[CLASS_POLICY] = { "policy", "REFUSED",
		"Check the connection's address and settings.",
		"IT/DevOps", false },
	[CLASS_CANCELLED] = { "cancelled", "CANCELLED",
		"Nothing to do: the run no longer wanted the answer.",
		"Operator", false },
	[CLASS_UNSURE] = { "unsure", "UNSURE",
		"Look in the service whether it happened before anything is repeated.",
		"Operator", false },
	[CLASS_LOST] = { "plugin_bug", "LOST_CALL",
		"Report it to the plugin's author: the call was never ended.",
		"Plugin Author", false },
	[CLASS_BUG] = { "plugin_bug", "PLUGIN_BUG",
		"Report it to the plugin's author: the plugin broke its contract.",
		"Plugin Author", false },
};
/* clang-format on */

/* --- which class -------------------------------------------------------- */

static enum class_index class_of_http(int http_status)
{
	switch (http_status) {
	case 401:
	case 407: return CLASS_AUTHENTICATION;
	case 403: return CLASS_AUTHORIZATION;
	case 404:
	case 410: return CLASS_NOT_FOUND;
	case 408: return CLASS_TIMEOUT;
	case 409:
	case 412: return CLASS_CONFLICT;
	case 429: return CLASS_RATE_LIMIT;
	}
	if (http_status >= 500)
		return CLASS_SERVER;
	return http_status >= 400 ? CLASS_VALIDATION : CLASS_MALFORMED;
}

static enum class_index class_of_status(int status)
{
	switch ((enum gw_status)status) {
	case GW_OK:
	case GW_E_BUG: return CLASS_BUG;
	case GW_E_INPUT: return CLASS_VALIDATION;
	case GW_E_DENIED: return CLASS_AUTHORIZATION;
	case GW_E_ABSENT: return CLASS_NOT_FOUND;
	case GW_E_CONFLICT: return CLASS_CONFLICT;
	case GW_E_BUSY: return CLASS_SERVER;
	case GW_E_UNSURE: return CLASS_UNSURE;
	case GW_E_CANCELLED: return CLASS_CANCELLED;
	case GW_E_REPLY: return CLASS_MALFORMED;
	case GW_E_TIMEOUT: return CLASS_TIMEOUT;
	case GW_E_NETWORK: return CLASS_NETWORK;
	}
	return CLASS_BUG; /* a number that is no status */
}

/* What the wire knows better than the status; false when it knows nothing. */
static bool class_of_wire(enum wire_status status, enum class_index *ret)
{
	switch (status) {
	case WIRE_OK:
	case WIRE_STATUS:
	case WIRE_CANCELLED: return false;
	case WIRE_TIMEOUT: *ret = CLASS_TIMEOUT; return true;
	case WIRE_NETWORK: *ret = CLASS_NETWORK; return true;
	case WIRE_CIRCUIT_OPEN: *ret = CLASS_CIRCUIT; return true;
	case WIRE_AUTH: *ret = CLASS_AUTHENTICATION; return true;
	case WIRE_REFUSED: *ret = CLASS_POLICY; return true;
	case WIRE_TOO_LARGE: *ret = CLASS_MALFORMED; return true;
	}
	return false;
}

static enum class_index class_of(const struct plugin_failure *failure)
{
	enum class_index ret;
	if (failure->is_lost)
		return CLASS_LOST;
	if (failure->is_malformed)
		return CLASS_MALFORMED;
	/* These say what may be done next; no HTTP status may change that. */
	if (failure->status == GW_E_UNSURE || failure->status == GW_E_CANCELLED ||
	    failure->status == GW_E_BUG || failure->status == GW_E_REPLY)
		return class_of_status(failure->status);
	if (class_of_wire(failure->wire, &ret))
		return ret;
	if (failure->http_status >= 300 && failure->http_status <= 599)
		return class_of_http(failure->http_status);
	return class_of_status(failure->status);
}

static const struct failure_class *class_named(const char *type)
{
	for (size_t i = 0; i < CLASS_COUNT; i++)
		if (strcmp(classes[i].type, type) == 0)
			return &classes[i];
	return NULL;
}

/* --- the plugin's own table --------------------------------------------- */

/* 3: code and status, 2: code, 1: status, 0: it does not speak of this failure. */
static int fit(const struct gw_error_row *row, struct str code, int http_status)
{
	bool is_code = row->error_code && str_is(code, row->error_code);
	bool is_status = row->http_status != 0 && row->http_status == http_status;
	if (row->error_code && !is_code)
		return 0;
	if (is_code && is_status)
		return 3;
	if (is_code && (row->http_status == 0 || http_status == 0))
		return 2;
	return is_status && !row->error_code ? 1 : 0;
}

static const struct gw_error_row *row_of(const struct plugin *plugin, struct str code,
                                         int http_status)
{
	const struct gw_error_row *best = NULL;
	int best_fit = 0;
	for (size_t i = 0; i < plugin->errors.len; i++) {
		int one = fit(&plugin->errors.at[i], code, http_status);
		if (one > best_fit) {
			best = &plugin->errors.at[i];
			best_fit = one;
		}
	}
	return best;
}

/* --- the JSON ----------------------------------------------------------- */

static struct str cut(struct str text, size_t max)
{
	if (text.len <= max)
		return text;
	while (max > 0 && ((unsigned char)text.ptr[max] & 0xC0) == 0x80)
		max--; /* never in the middle of a character */
	return (struct str){ text.ptr, max };
}

static const char *first_of(const char *a, const char *b, const char *c)
{
	return a ? a : b ? b : c;
}

json_t *plugin_failure_json(const struct plugin *plugin, const struct plugin_failure *failure)
{
	static const struct gw_error_row no_row;
	const struct failure_class *own_class = &classes[class_of(failure)];
	struct buf own_code;
	buf_init(&own_code, ERROR_CODE_BYTES);
	if (failure->http_status >= 300 &&
	    own_class == &classes[class_of_http(failure->http_status)])
		buf_printf(&own_code, "HTTP_%d", failure->http_status);
	else
		buf_put(&own_code, own_class->code);
	struct str code = failure->error_code.len > 0 ? cut(failure->error_code, ERROR_CODE_BYTES)
	                                              : buf_str(&own_code);
	const struct gw_error_row *row = row_of(plugin, code, failure->http_status);
	row = row ? row : &no_row;
	const char *type = first_of(failure->error_type, row->error_type, own_class->type);
	/* A type named by the plugin brings its own resolution, owner and patience. */
	const struct failure_class *by_type = strcmp(type, own_class->type) == 0
	                                              ? own_class
	                                              : class_named(type);
	const struct failure_class *about = by_type ? by_type : own_class;
	json_t *json = json_object();
	json_put_str(json, "error_type", type);
	json_put(json, "error_code", json_text(code));
	json_put_int(json, "http_status", failure->http_status > 0 ? failure->http_status : 0);
	json_put(json, "message", json_text(cut(failure->message, MESSAGE_BYTES)));
	json_put_str(json, "resolution",
	             first_of(failure->resolution, row->resolution, about->resolution));
	json_put_str(json, "owner", first_of(failure->owner, row->owner, about->owner));
	json_put_int(json, "attempts", failure->attempts);
	/* A server that failed over a ONCE request may have done it all the same. */
	bool may_repeat = about->is_retryable &&
	                  !(failure->is_once && about == &classes[CLASS_SERVER]);
	json_put(json, "retryable", json_boolean(may_repeat));
	buf_release(&own_code);
	return json;
}
