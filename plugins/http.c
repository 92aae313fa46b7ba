/* SPDX-License-Identifier: MIT */
/*
 * http - calls any JSON service, for everyone who has no plugin for it yet.
 *
 * The connection says where and with which credentials; the graph says which
 * method, path, query, headers and body, and which statuses are fine.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "gw_plugin.h"

enum { HEADERS_MAX = 40 };

static bool is(struct gw_str text, const char *what)
{
	return text.len == strlen(what) && strncasecmp(text.ptr, what, text.len) == 0;
}

static void refuse(const struct gw_host *host, struct gw_call *call, struct gw_str message)
{
	struct gw_failure failure = { .size = sizeof(failure),
		                      .status = GW_E_INPUT,
		                      .error_code = GW_LIT("INVALID_REQUEST"),
		                      .message = message };
	host->call->fail(call, &failure);
}

/* --- which status is fine ------------------------------------------------------- */

static int32_t classify(const struct gw_host *host, struct gw_call *call,
                        const struct gw_http_reply *reply)
{
	const struct gw_json *ok = host->json->get(host->call->params(call), "ok");
	for (size_t i = 0; i < host->json->count(ok); i++)
		if (host->json->integer(host->json->at(ok, i), 0) == reply->code)
			return GW_REPLY_OK;
	return ok && reply->code < 400 ? GW_REPLY_PERMANENT : GW_REPLY_DEFAULT;
}

/* --- what came back -------------------------------------------------------------- */

static bool contains(struct gw_str text, const char *what)
{
	size_t len = strlen(what);
	for (size_t i = 0; i + len <= text.len; i++)
		if (strncasecmp(text.ptr + i, what, len) == 0)
			return true;
	return false;
}

/* The first of these that is a text; services agree on little. */
static struct gw_str first_text(const struct gw_host *host, const struct gw_json *body,
                                const char *const *paths)
{
	for (; *paths; paths++) {
		struct gw_str text = host->json->str(host->json->get(body, *paths));
		if (text.len > 0)
			return text;
	}
	return GW_LIT("");
}

static void fail(const struct gw_host *host, struct gw_call *call, int status,
                 const struct gw_http_reply *reply)
{
	static const char *const codes[] = { "error.code",    "error.type", "code", "errorCode",
		                             "[0].errorCode", "error",      NULL };
	static const char *const texts[] = {
		"error.message", "message", "[0].message", "error_description",
		"detail",        "title",   NULL
	};
	const struct gw_json *body = host->json->parse(call, reply->body);
	host->call->fail_reply(call, status, reply, first_text(host, body, codes),
	                       first_text(host, body, texts));
}

static const struct gw_json *headers_of(const struct gw_host *host, struct gw_call *call,
                                        const struct gw_http_reply *reply)
{
	static const char *const names[] = { "Content-Type",  "Location", "ETag",
		                             "Last-Modified", "Link",     "Retry-After",
		                             "X-Request-ID" };
	struct gw_json *headers = host->json->object(call);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct gw_str value = reply->header(reply, names[i]);
		if (value.len > 0)
			host->json->set_str(headers, names[i], value);
	}
	return headers;
}

static void answered(const struct gw_host *host, struct gw_call *call, int status,
                     const struct gw_http_reply *reply)
{
	const struct gw_json *body = host->json->parse(call, reply->body);
	struct gw_json *result = host->json->object(call);
	bool is_json = contains(reply->content_type, "json");
	if (status != GW_OK || (is_json && reply->body.len > 0 && !body)) {
		fail(host, call, status, reply);
		return;
	}
	host->json->set_int(result, "status", reply->code);
	host->json->set_null(result, "body");
	if (body && (is_json || reply->content_type.len == 0))
		host->json->set(result, "body", body);
	else if (reply->body.len > 0)
		host->json->set_str(result, "body", reply->body);
	host->json->set(result, "headers", headers_of(host, call, reply));
	host->call->done(call, result);
}

/* --- what is asked ------------------------------------------------------------------ */

static struct gw_str join(const struct gw_host *host, struct gw_call *call, struct gw_str a,
                          struct gw_str b)
{
	return host->call->format(call, "%.*s%.*s", (int)a.len, a.ptr, (int)b.len, b.ptr);
}

/* A text, number or boolean, percent-encoded; ptr NULL when it is none of them. */
static struct gw_str encoded(const struct gw_host *host, struct gw_call *call,
                             const struct gw_json *value)
{
	int32_t type = host->json->type(value);
	if (type == GW_JSON_STR)
		return host->call->url(call, host->json->str(value));
	if (type == GW_JSON_INT || type == GW_JSON_REAL || type == GW_JSON_BOOL)
		return host->call->url(call, host->json->text(call, value));
	return (struct gw_str){ NULL, 0 };
}

/* The path with each {name} replaced from values; false when the call has failed. */
static bool path_of(const struct gw_host *host, struct gw_call *call, const char *parameter,
                    struct gw_str *ret)
{
	const struct gw_json *values = host->json->get(host->call->params(call), "values");
	struct gw_str path = host->call->str(call, parameter);
	*ret = GW_LIT("");
	for (size_t i = 0, len; i < path.len; i += len) {
		const char *open = memchr(path.ptr + i, '{', path.len - i);
		len = open ? (size_t)(open - path.ptr) - i : path.len - i;
		struct gw_str piece = { path.ptr + i, len };
		const char *close = len == 0 ? memchr(open, '}', path.len - i) : NULL;
		if (close) {
			len = (size_t)(close - open) + 1;
			struct gw_str name = { open + 1, len - 2 };
			piece = encoded(host, call, host->json->member(values, name));
		}
		if (piece.len == 0) {
			refuse(host, call,
			       host->call->format(
				       call, "values has nothing for a {name} of the path %.*s",
				       (int)path.len, path.ptr));
			return false;
		}
		*ret = join(host, call, *ret, piece);
	}
	return true;
}

static struct gw_str with_pair(const struct gw_host *host, struct gw_call *call, struct gw_str path,
                               struct gw_str name, const struct gw_json *value)
{
	struct gw_str text = encoded(host, call, value);
	const char *mark = memchr(path.ptr, '?', path.len) ? "&" : "?";
	if (!text.ptr)
		return path; /* null: left out */
	name = host->call->url(call, name);
	return host->call->format(call, "%.*s%s%.*s=%.*s", (int)path.len, path.ptr, mark,
	                          (int)name.len, name.ptr, (int)text.len, text.ptr);
}

static struct gw_str with_query(const struct gw_host *host, struct gw_call *call,
                                struct gw_str path)
{
	const struct gw_json_ops *j = host->json;
	const struct gw_json *query = j->get(host->call->params(call), "query");
	for (size_t i = 0; i < j->count(query); i++) {
		const struct gw_json *value = j->at(query, i);
		if (j->type(value) != GW_JSON_LIST)
			path = with_pair(host, call, path, j->key(query, i), value);
		for (size_t k = 0; j->type(value) == GW_JSON_LIST && k < j->count(value); k++)
			path = with_pair(host, call, path, j->key(query, i), j->at(value, k));
	}
	return path;
}

/* False when the call has failed: credentials and framing are the connection's and the engine's. */
static bool put_headers(const struct gw_host *host, struct gw_call *call,
                        struct gw_header headers[HEADERS_MAX], size_t *count)
{
	static const char *const barred[] = { "Authorization",
		                              "Proxy-Authorization",
		                              "Host",
		                              "Cookie",
		                              "Content-Length",
		                              "Content-Type",
		                              "Transfer-Encoding",
		                              "Connection",
		                              "Upgrade",
		                              "TE",
		                              "Trailer",
		                              "Expect",
		                              "Idempotency-Key",
		                              "X-Correlation-ID",
		                              "traceparent",
		                              "tracestate" };
	const struct gw_json *given = host->json->get(host->call->params(call), "headers");
	for (*count = 0; *count < host->json->count(given) && *count < HEADERS_MAX; (*count)++) {
		struct gw_str name = host->json->key(given, *count);
		for (size_t i = 0; i < sizeof(barred) / sizeof(*barred); i++) {
			if (!is(name, barred[i]))
				continue;
			refuse(host, call,
			       host->call->format(call, "the header %s is set by the connection",
			                          barred[i]));
			return false;
		}
		headers[*count] =
			(struct gw_header){ name, host->json->str(host->json->at(given, *count)) };
	}
	return true;
}

static void send(const struct gw_host *host, struct gw_call *call, const char *method, int effect)
{
	struct gw_header headers[HEADERS_MAX];
	const struct gw_json *body = host->json->get(host->call->params(call), "body");
	struct gw_http_req req = {
		.size = sizeof(req), .method = method, .effect = effect, .headers = headers
	};
	if (!path_of(host, call, "path", &req.path) ||
	    !put_headers(host, call, headers, &req.header_count))
		return;
	req.path = with_query(host, call, req.path);
	if (body)
		req.body = host->json->text(call, body);
	host->http->send(call, &req, answered);
}

/* What repeating a method may do (RFC 9110 9.2): a POST has no key here that anybody promised. */
static void request(const struct gw_host *host, struct gw_call *call)
{
	static const struct {
		const char *method;
		int effect;
	} methods[] = { { "GET", GW_EFFECT_READ },  { "HEAD", GW_EFFECT_READ },
		        { "PUT", GW_EFFECT_KEYED }, { "DELETE", GW_EFFECT_KEYED },
		        { "POST", GW_EFFECT_ONCE }, { "PATCH", GW_EFFECT_ONCE } };
	struct gw_str method = host->call->str(call, "method");
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (is(method, methods[i].method))
			send(host, call, methods[i].method, methods[i].effect);
}

/* Did it happen?  What the path of "lookup" leads to is there, or it is not. */
static void look_up(const struct gw_host *host, struct gw_call *call)
{
	struct gw_http_req req = { .size = sizeof(req), .method = "GET" };
	struct gw_failure nobody_knows = { .size = sizeof(nobody_knows), .status = GW_E_UNSURE };
	if (host->call->str(call, "lookup").len == 0)
		host->call->fail(call, &nobody_knows);
	else if (path_of(host, call, "lookup", &req.path))
		host->http->send(call, &req, answered);
}

static void get(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, "GET", 0);
}

static void post(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, "POST", 0);
}

static void put(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, "PUT", 0);
}

static void patch(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, "PATCH", 0);
}

static void del(const struct gw_host *host, struct gw_call *call)
{
	send(host, call, "DELETE", 0);
}

/* --- what there is ------------------------------------------------------------ */

/* Schemas and tables have lines of their own. */
/* clang-format off */
#define WHERE \
	"\"path\":{\"type\":\"string\",\"pattern\":\"^/\",\"description\":\"Below the " \
	"connection's URL; {name} stands for a value of values\"}," \
	"\"values\":{\"type\":\"object\",\"description\":\"The values of the path, by name\"}," \
	"\"query\":{\"type\":\"object\",\"description\":\"Added to the path; a list repeats its " \
	"name, null is left out\"}," \
	"\"headers\":{\"type\":\"object\",\"maxProperties\":40,\"propertyNames\":{\"pattern\":" \
	"\"^[A-Za-z0-9_-]+$\"},\"additionalProperties\":{\"type\":\"string\"},\"description\":" \
	"\"Further headers\"}," \
	"\"ok\":{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"integer\"," \
	"\"minimum\":200," \
	"\"maximum\":599},\"description\":\"The statuses that are fine; 2xx when absent\"}"
#define BODY ",\"body\":{\"description\":\"Sent as JSON\"}"
#define PARAMS(required) "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[" \
	required "],\"properties\":{" WHERE
#define RESULT \
	"{\"type\":\"object\",\"required\":[\"status\",\"body\",\"headers\"],\"properties\":{" \
	"\"status\":{\"type\":\"integer\",\"description\":\"The HTTP status\"}," \
	"\"body\":{\"description\":\"JSON as a value, other text as text, null when empty\"}," \
	"\"headers\":{\"type\":\"object\",\"description\":\"Content-Type, Location, ETag, ...\"}}}"

static const struct gw_action request_action = {
	.size = sizeof(request_action), .effect = GW_EFFECT_ONCE, .name = "request",
	.summary = "Any method; GET and HEAD are read, PUT and DELETE keyed, POST and PATCH done "
		   "once.",
	.params = PARAMS("\"method\",\"path\"") BODY
	",\"method\":{\"enum\":[\"GET\",\"HEAD\",\"POST\","
		"\"PUT\",\"PATCH\",\"DELETE\"]},"
		"\"lookup\":{\"type\":\"string\",\"pattern\":\"^/\",\"description\":"
		"\"Read when nobody knows whether it happened: there, it did; 404, it did "
		"not\"}}}",
	.result = RESULT, .start = request, .lookup = look_up,
};

static const struct gw_action get_action = {
	.size = sizeof(get_action), .effect = GW_EFFECT_READ, .name = "get",
	.summary = "Reads.", .params = PARAMS("\"path\"") "}}", .result = RESULT, .start = get,
};

static const struct gw_action post_action = {
	.size = sizeof(post_action), .effect = GW_EFFECT_KEYED, .name = "post",
	.summary = "Posts to a service that honours the idempotency key.",
	.params = PARAMS("\"path\"") BODY "}}", .result = RESULT, .start = post,
};

static const struct gw_action put_action = {
	.size = sizeof(put_action), .effect = GW_EFFECT_KEYED, .name = "put",
	.summary = "Puts a whole resource.",
	.params = PARAMS("\"path\"") BODY "}}", .result = RESULT, .start = put,
};

static const struct gw_action patch_action = {
	.size = sizeof(patch_action), .effect = GW_EFFECT_KEYED, .name = "patch",
	.summary = "Changes a resource so that the same change twice is the same as once.",
	.params = PARAMS("\"path\"") BODY "}}", .result = RESULT, .start = patch,
};

static const struct gw_action delete_action = {
	.size = sizeof(delete_action), .effect = GW_EFFECT_KEYED, .name = "delete",
	.summary = "Deletes; with ok [200, 204, 404] also what is gone already.",
	.params = PARAMS("\"path\"") "}}", .result = RESULT, .start = del,
};

static const struct gw_action *const actions[] = { &request_action, &get_action, &post_action,
	                                           &put_action, &patch_action, &delete_action,
	                                           NULL };

static const struct gw_error_row *const errors[] = {
	&(const struct gw_error_row){ sizeof(struct gw_error_row), 0, "INVALID_REQUEST",
		                      "validation", "Correct the parameters of the call.",
		                      "Integration Admin" },
	NULL,
};

static const struct gw_plugin plugin = {
	.abi_major = GW_ABI_MAJOR, .abi_minor = GW_ABI_MINOR, .size = sizeof(plugin),
	.name = "http", .version = "1.0.0",
	.summary = "Calls any JSON service.",
	.actions = actions, .errors = errors, .classify = classify,
	.settings = "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{}}",
};
/* clang-format on */

GW_EXPORT const struct gw_plugin *gw_plugin_entry(void)
{
	return &plugin;
}
