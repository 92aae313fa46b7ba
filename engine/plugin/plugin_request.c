/* SPDX-License-Identifier: MIT */
/*
 * What a plugin asks of the world.
 *
 * A request is checked, written down as JSON, and from then on that JSON is the
 * request: what is recorded is what is sent, at every attempt and after a crash
 * too.  A call that is started anew with requests on record sends those,
 * whatever the plugin builds now.
 *
 * What is wrong in form (no method, a header the engine owns) is the plugin's
 * bug; what is wrong in content (a line break in a subject) came with the
 * parameters: both end the call before anything leaves, with different words.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/mem.h"
#include "plugin/plugin_int.h"

enum {
	METHOD_BYTES = 16,
	HEADER_NAME_BYTES = 128,
	HEADER_VALUE_BYTES = 8192,
	SUBJECT_BYTES = 998,
	MESSAGE_ID_TAIL_BYTES = 64
};

static struct str str_from(struct gw_str text)
{
	return text.ptr ? (struct str){ text.ptr, text.len } : (struct str){ "", 0 };
}

/* No control bytes, no CR, LF, NUL; UTF-8. */
static bool is_line(struct gw_str text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 127)
			return false;
	return str_is_utf8(str_from(text));
}

static bool is_token(struct gw_str text)
{
	if (text.len == 0 || text.len > HEADER_NAME_BYTES)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		if (c <= ' ' || c >= 127 || strchr("\"(),/:;<=>?@[\\]{}", c))
			return false;
	}
	return true;
}

/* --- headers ------------------------------------------------------------ */

static bool is_one_of(struct gw_str name, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == name.len && strncasecmp(*names, name.ptr, name.len) == 0)
			return true;
	return false;
}

static bool begins_with(struct gw_str name, const char *prefix)
{
	size_t len = strlen(prefix);
	return name.len > len && strncasecmp(name.ptr, prefix, len) == 0;
}

static bool is_http_header(struct gw_str name)
{
	static const char *const engines[] = {
		"Authorization",
		"Proxy-Authorization",
		"Host",
		"Content-Length",
		"Content-Type",
		"Transfer-Encoding",
		"Connection",
		"Upgrade",
		"TE",
		"Trailer",
		"Expect",
		"Cookie",
		"Idempotency-Key",
		"X-Correlation-ID",
		"traceparent",
		"tracestate",
		NULL,
	};
	return !is_one_of(name, engines);
}

static bool is_mail_header(struct gw_str name)
{
	static const char *const known[] = { "Auto-Submitted", "Importance", "Precedence",
		                             "In-Reply-To",    "References", NULL };
	return begins_with(name, "X-") || begins_with(name, "List-") || is_one_of(name, known);
}

static bool add_header(struct plugin_call *call, const struct gw_header *header,
                       bool (*may_be)(struct gw_str name), json_t *list)
{
	struct gw_str name = header->name, value = header->value;
	if (!name.ptr || !is_token(name))
		plugin_bug(call, "a header's name is not a name");
	else if (!may_be(name))
		plugin_bug(call, "the header '%.*s' is the engine's to set", (int)name.len,
		           name.ptr);
	else if (value.len > HEADER_VALUE_BYTES || (value.len > 0 && !is_line(value)))
		plugin_refuse(call,
		              "the value of the header '%.*s' is longer than %d bytes or "
		              "contains a line break or control byte",
		              (int)name.len, name.ptr, HEADER_VALUE_BYTES);
	else
		json_push(list,
		          json_pack("[oo]", json_text(str_from(name)), json_text(str_from(value))));
	return !call->is_ended;
}

/* NULL when there are none, or when the call has ended over one. */
static json_t *headers_new(struct plugin_call *call, const struct gw_header *headers, size_t count,
                           bool (*may_be)(struct gw_str name))
{
	if (count == 0)
		return NULL;
	if (!headers || count > LIMIT_HEADERS) {
		plugin_bug(call, "%zu headers on one request; the limit is %d", count,
		           LIMIT_HEADERS);
		return NULL;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (!add_header(call, &headers[i], may_be, list)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* --- HTTP --------------------------------------------------------------- */

static bool is_method(const char *method)
{
	if (!method)
		return false;
	size_t len = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return len > 0 && len <= METHOD_BYTES && method[len] == '\0' &&
	       strcmp(method, "CONNECT") != 0 && strcmp(method, "TRACE") != 0;
}

/* One segment of a path, is it "." or ".." in any spelling? */
static bool is_dots(const char *segment, size_t len)
{
	size_t dots = 0;
	for (size_t i = 0; i < len; dots++) {
		if (segment[i] == '.')
			i++;
		else if (len - i >= 3 && strncasecmp(segment + i, "%2e", 3) == 0)
			i += 3;
		else
			return false;
	}
	return dots == 1 || dots == 2;
}

static bool has_dots(struct gw_str path)
{
	size_t from = 0;
	for (size_t i = 0; i <= path.len; i++) {
		bool is_end = i == path.len || path.ptr[i] == '?';
		if (!is_end && path.ptr[i] != '/')
			continue;
		if (is_dots(path.ptr + from, i - from))
			return true;
		if (is_end)
			break;
		from = i + 1;
	}
	return false;
}

static bool is_path_byte(char c)
{
	return c > ' ' && c < 127 && !strchr("\"#<>\\^`{|}", c);
}

static bool check_path(struct plugin_call *call, struct gw_str path)
{
	if (!path.ptr || path.len == 0 || path.ptr[0] != '/') {
		plugin_bug(call, "the path of a request begins with '/'; the base URL is the "
		                 "connection's");
		return false;
	}
	if (path.len > LIMIT_URL_BYTES) {
		plugin_refuse(call, "the path of a request has %zu bytes; the limit is %d",
		              path.len, LIMIT_URL_BYTES);
		return false;
	}
	bool is_fine = !(path.len > 1 && path.ptr[1] == '/') && !has_dots(path);
	for (size_t i = 0; i < path.len; i++)
		is_fine = is_fine && is_path_byte(path.ptr[i]);
	if (!is_fine)
		plugin_refuse(call, "the path of a request contains what no path may (a space, a "
		                    "line break, '#', a part '..'): a parameter that stands in it "
		                    "is wrong, or was not percent-encoded");
	return is_fine;
}

static bool check_http(struct plugin_call *call, const struct gw_http_req *req)
{
	const char *type = req->content_type;
	if (!is_method(req->method))
		plugin_bug(call, "a request without a method such as \"GET\" or \"POST\"");
	else if (!check_path(call, req->path))
		return false;
	else if (type && (strlen(type) > HEADER_NAME_BYTES ||
	                  !is_line((struct gw_str){ type, strlen(type) })))
		plugin_bug(call, "the content type of a request is none");
	else if (req->body.len > 0 && !req->body.ptr)
		plugin_bug(call, "a request's body has a length but no bytes");
	else if (req->body.len > LIMIT_REQUEST_BYTES)
		plugin_refuse(call, "the body of a request has %zu bytes; the limit is %d",
		              req->body.len, LIMIT_REQUEST_BYTES);
	else if (!str_is_utf8(str_from(req->body)))
		plugin_refuse(call, "the body of a request is not valid UTF-8");
	return !call->is_ended;
}

static json_t *http_new(struct plugin_call *call, const struct gw_http_req *req)
{
	if (!check_http(call, req))
		return NULL;
	json_t *headers = headers_new(call, req->headers, req->header_count, is_http_header);
	if (call->is_ended)
		return NULL;
	json_t *json = json_object();
	const char *type = req->content_type;
	json_put_str(json, "method", req->method);
	json_put(json, "path", json_text(str_from(req->path)));
	if (type ? type[0] != '\0' : req->body.len > 0)
		json_put_str(json, "content_type", type ? type : "application/json");
	json_put(json, "headers", headers);
	if (req->body.len > 0)
		json_put(json, "body", json_text(str_from(req->body)));
	if (req->timeout_ms > 0)
		json_put_int(json, "timeout_ms",
		             req->timeout_ms < LIMIT_TIMEOUT_MS ? req->timeout_ms
		                                                : LIMIT_TIMEOUT_MS);
	return json;
}

/* --- mail --------------------------------------------------------------- */

static void key_of(const struct plugin_call *call, uint32_t ordinal, char ret[SHA256_HEX])
{
	plugin_key(call->run_id, call->number, call->element, ordinal, ret);
}

/* The key makes it unique, the correlation id makes it readable (RFC 5322 3.6.4). */
static char *message_id(struct plugin_call *call, uint32_t ordinal)
{
	char key[SHA256_HEX];
	key_of(call, ordinal, key);
	size_t len = strlen(call->correlation_id);
	char *tail = arena_dup(&call->arena, call->correlation_id,
	                       len < MESSAGE_ID_TAIL_BYTES ? len : MESSAGE_ID_TAIL_BYTES);
	for (char *c = tail; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", *c))
			*c = '-';
	return arena_format(&call->arena, "%.32s%s%s@gangway", key, tail[0] ? "." : "", tail);
}

static bool put_line(struct plugin_call *call, json_t *json, const char *what, struct gw_str text)
{
	if (text.len == 0)
		return true;
	if (!text.ptr || !is_line(text)) {
		plugin_refuse(call,
		              "the %s of a mail contains a line break or control byte, or is "
		              "not valid UTF-8",
		              what);
		return false;
	}
	json_put(json, what, json_text(str_from(text)));
	return true;
}

static bool put_text(struct plugin_call *call, json_t *json, const char *what, struct gw_str text)
{
	if (text.len == 0)
		return true;
	bool is_fine = text.ptr && text.len <= LIMIT_REQUEST_BYTES && str_is_utf8(str_from(text)) &&
	               !memchr(text.ptr, '\0', text.len);
	if (is_fine)
		json_put(json, what, json_text(str_from(text)));
	else
		plugin_refuse(call, "the %s of a mail is longer than %d bytes, or not valid UTF-8",
		              what, LIMIT_REQUEST_BYTES);
	return is_fine;
}

static bool fill_mail(struct plugin_call *call, const struct gw_mail *mail, json_t *json)
{
	if (!put_line(call, json, "from", mail->from) || !put_line(call, json, "to", mail->to) ||
	    !put_line(call, json, "cc", mail->cc) ||
	    !put_line(call, json, "reply_to", mail->reply_to) ||
	    !put_line(call, json, "subject", mail->subject) ||
	    !put_text(call, json, "text", mail->text) || !put_text(call, json, "html", mail->html))
		return false;
	if (mail->to.len == 0)
		plugin_refuse(call, "a mail without a recipient");
	else if (mail->to.len > LIMIT_URL_BYTES || mail->cc.len > LIMIT_URL_BYTES)
		plugin_refuse(call, "the recipients of a mail have more than %d bytes",
		              LIMIT_URL_BYTES);
	else if (mail->subject.len > SUBJECT_BYTES)
		plugin_refuse(call, "the subject of a mail has %zu bytes; the limit is %d",
		              mail->subject.len, SUBJECT_BYTES);
	else if (mail->text.len == 0 && mail->html.len == 0)
		plugin_refuse(call, "a mail without text");
	else
		json_put(json, "headers",
		         headers_new(call, mail->headers, mail->header_count, is_mail_header));
	return !call->is_ended;
}

static json_t *mail_new(struct plugin_call *call, const struct gw_mail *mail)
{
	json_t *json = json_object();
	json_put_str(json, "message_id", message_id(call, (uint32_t)call->requests.len));
	json_put_int(json, "date_ms", call->now_ms);
	if (!fill_mail(call, mail, json)) {
		json_decref(json);
		return NULL;
	}
	json_t *ret = json_object();
	json_put(ret, "mail", json);
	return ret;
}

/* --- asking ------------------------------------------------------------- */

static const char *const effect_names[] = { "", "READ", "KEYED", "ONCE" };

/* 0: the action's own.  A request may be milder than its action, never stricter. */
static int effect_of(struct plugin_call *call, int32_t asked)
{
	int most = call->is_lookup ? GW_EFFECT_READ : call->action->own.effect;
	int effect = asked == 0 ? most : asked;
	if (most == GW_EFFECT_PURE) {
		plugin_bug(call, "the action is declared PURE but asks for a request");
		return 0;
	}
	if (effect < GW_EFFECT_READ || effect > GW_EFFECT_ONCE) {
		plugin_bug(call, "the effect of a request is %d, which is none", effect);
		return 0;
	}
	if (effect > most) {
		plugin_bug(call, "the action is declared %s but asks for a request that is %s",
		           effect_names[most], effect_names[effect]);
		return 0;
	}
	return effect;
}

static bool may_ask(struct plugin_call *call, int effect, gw_http_cb *then)
{
	if (!then)
		plugin_bug(call, "a request without a callback");
	else if (call->requests.len >= LIMIT_REQUESTS_PER_CALL)
		plugin_bug(call, "more than %d requests in one call", LIMIT_REQUESTS_PER_CALL);
	else if (effect == WIRE_READ ? plugin_pending_other_than_read(call)
	                             : plugin_pending(call) > 0)
		plugin_bug(call, "several requests at once of which one is not READ");
	else if (!call->wire || !call->connection)
		plugin_refuse(call, "no connection is configured for this plugin");
	return !call->is_ended;
}

static enum wire_effect recorded_effect(const json_t *json, enum wire_effect fallback)
{
	const char *name = json_str(json, "effect", "");
	for (int i = WIRE_READ; i <= WIRE_ONCE; i++)
		if (strcmp(name, effect_names[i]) == 0)
			return (enum wire_effect)i;
	return fallback;
}

/* The request of this ordinal in an earlier life of the call; borrowed, NULL: none. */
static json_t *find_recorded(const struct plugin_call *call, uint32_t ordinal)
{
	for (size_t i = 0; i < json_array_size(call->recorded); i++) {
		json_t *json = json_array_get(call->recorded, i);
		if (json_int(json, "ordinal", -1) == (int64_t)ordinal)
			return json;
	}
	return NULL;
}

static void add_request(struct plugin_call *call, json_t *json, int effect, gw_http_cb *then)
{
	struct plugin_sending *sending = mem_alloc(sizeof(*sending));
	sending->call = call;
	sending->ordinal = (uint32_t)call->requests.len;
	sending->then = then;
	json_put_int(json, "ordinal", sending->ordinal);
	json_put_str(json, "effect", effect_names[effect]);
	json_t *recorded = find_recorded(call, sending->ordinal);
	if (recorded && !json_equal(recorded, json))
		plugin_note(call,
		            "request %u goes out as it was recorded; this build of the plugin "
		            "would send another",
		            sending->ordinal);
	sending->json = recorded ? json_incref(recorded) : json_incref(json);
	sending->effect = recorded_effect(sending->json, (enum wire_effect)effect);
	json_decref(json);
	*vec_add(&call->requests) = sending;
}

/* After the end, or once cancelled, nothing is asked for any more: the call ends anyway. */
static bool is_over(const struct plugin_call *call)
{
	return call->is_ended || call->is_cancelled;
}

void plugin_ask_http(struct plugin_call *call, const struct gw_http_req *given, gw_http_cb *then)
{
	struct gw_http_req req;
	if (!plugin_may_act(call, "http->send") || is_over(call))
		return;
	if (!given || !plugin_sized(&req, sizeof(req), given, given->size)) {
		plugin_bug(call, "a request does not say its size (.size = sizeof(req))");
		return;
	}
	int effect = effect_of(call, req.effect);
	if (effect == 0 || !may_ask(call, effect, then))
		return;
	json_t *json = http_new(call, &req);
	if (json)
		add_request(call, json, effect, then);
}

void plugin_ask_mail(struct plugin_call *call, const struct gw_mail *given, gw_http_cb *then)
{
	struct gw_mail mail;
	if (!plugin_may_act(call, "mail->send") || is_over(call))
		return;
	if (!given || !plugin_sized(&mail, sizeof(mail), given, given->size)) {
		plugin_bug(call, "a mail does not say its size (.size = sizeof(mail))");
		return;
	}
	int effect = effect_of(call, 0);
	if (effect == GW_EFFECT_READ)
		plugin_bug(call, "the action is declared READ but sends a mail");
	if (call->is_ended || !may_ask(call, effect, then))
		return;
	json_t *json = mail_new(call, &mail);
	if (json)
		add_request(call, json, effect, then);
}

/* --- sending ------------------------------------------------------------ */

struct header_list {
	struct wire_header at[LIMIT_HEADERS];
	size_t len;
};

/* struct wire_header has no const; the wire copies and does not write. */
static char *borrow(const json_t *text)
{
	return (char *)(uintptr_t)json_string_value(text);
}

static void fill_headers(struct header_list *list, const json_t *json)
{
	list->len = 0;
	for (size_t i = 0; i < json_array_size(json) && i < LIMIT_HEADERS; i++) {
		const json_t *pair = json_array_get(json, i);
		char *name = borrow(json_array_get(pair, 0)),
		     *value = borrow(json_array_get(pair, 1));
		if (name && value)
			list->at[list->len++] = (struct wire_header){ name, value };
	}
}

static struct str bytes_at(const json_t *json, const char *key)
{
	const json_t *text = json_at(json, key);
	return json_is_string(text)
	               ? (struct str){ json_string_value(text), json_string_length(text) }
	               : (struct str){ "", 0 };
}

static struct wire_mail mail_of(const json_t *json, const struct header_list *headers)
{
	return (struct wire_mail){
		.message_id = json_str(json, "message_id", ""),
		.from = json_str(json, "from", NULL),
		.to = json_str(json, "to", ""),
		.cc = json_str(json, "cc", NULL),
		.reply_to = json_str(json, "reply_to", NULL),
		.subject = json_str(json, "subject", ""),
		.text = bytes_at(json, "text"),
		.html = bytes_at(json, "html"),
		.headers = headers->at,
		.header_count = headers->len,
		.date_ms = json_int(json, "date_ms", 0),
	};
}

/* The graph's time-out bounds the plugin's; 0 leaves it to the connection. */
static int64_t timeout_of(const struct plugin_call *call, const json_t *json)
{
	int64_t own = json_int(json, "timeout_ms", 0);
	int64_t graph = call->timeout_ms > 0 ? call->timeout_ms : 0;
	if (own == 0 || graph == 0)
		return own + graph;
	return own < graph ? own : graph;
}

void plugin_request_send(struct plugin_sending *sending, wire_done_cb *done,
                         wire_classify_cb *classify)
{
	struct plugin_call *call = sending->call;
	const json_t *json = sending->json, *mail_json = json_at(json, "mail");
	struct header_list headers;
	char key[SHA256_HEX];
	fill_headers(&headers, json_at(mail_json ? mail_json : json, "headers"));
	key_of(call, sending->ordinal, key);
	struct wire_mail mail = mail_of(mail_json, &headers);
	struct wire_send_options options = {
		.connection = call->connection,
		.effect = sending->effect,
		.key = sending->effect == WIRE_READ ? NULL : key,
		.correlation_id = call->correlation_id,
		.traceparent = call->traceparent,
		.timeout_ms = timeout_of(call, json),
		.retries = call->retries,
		.backoff_min_ms = call->backoff_min_ms,
		.backoff_max_ms = call->backoff_max_ms,
		.classify = call->action->plugin->own.classify ? classify : NULL,
		.done = done,
		.arg = sending,
	};
	if (mail_json) {
		options.mail = &mail;
	} else {
		options.method = json_str(json, "method", "GET");
		options.path = json_str(json, "path", "/");
		options.content_type = json_str(json, "content_type", NULL);
		options.body = bytes_at(json, "body");
		options.headers = headers.at;
		options.header_count = headers.len;
	}
	sending->phase = PLUGIN_SENT;
	sending->is_released = true;
	sending->wire = wire_send(call->wire, &options);
}

bool plugin_request_is_mail(const struct plugin_sending *sending)
{
	return json_at(sending->json, "mail") != NULL;
}

const char *plugin_request_name(struct plugin_call *call, const struct plugin_sending *sending)
{
	if (plugin_request_is_mail(sending))
		return "the mail";
	const char *path = json_str(sending->json, "path", "");
	return arena_format(&call->arena, "%s %.*s", json_str(sending->json, "method", ""),
	                    (int)strcspn(path, "?"), path);
}

/* --- what an answer means ----------------------------------------------- */

static int status_of_http(int code)
{
	if (code == 401 || code == 403 || code == 407)
		return GW_E_DENIED;
	if (code == 404 || code == 410)
		return GW_E_ABSENT;
	if (code == 409 || code == 412)
		return GW_E_CONFLICT;
	if (code == 408)
		return GW_E_TIMEOUT;
	if (code == 429 || code >= 500)
		return GW_E_BUSY;
	return code >= 400 ? GW_E_INPUT : GW_E_REPLY;
}

/* RFC 5321 4.2.1 and RFC 4954: 4yz passes, 5yz stays; 530 to 538 speak of authentication. */
static int status_of_smtp(int code)
{
	if (code >= 530 && code <= 538)
		return GW_E_DENIED;
	if (code >= 500)
		return GW_E_INPUT;
	return code >= 400 ? GW_E_BUSY : GW_E_REPLY;
}

/* A reply that the plugin knows better than its code says, such as 200 {"ok":false}. */
static int status_of_reply(const struct plugin_sending *sending, int code)
{
	if (sending->verdict == GW_REPLY_RETRY)
		return GW_E_BUSY;
	if (sending->verdict == GW_REPLY_REAUTH)
		return GW_E_DENIED;
	if (plugin_request_is_mail(sending))
		return status_of_smtp(code);
	if (sending->verdict == GW_REPLY_PERMANENT && code >= 200 && code < 300)
		return GW_E_INPUT;
	return status_of_http(code);
}

int plugin_status(const struct plugin_sending *sending, const struct wire_reply *reply)
{
	if (reply->status == WIRE_OK)
		return GW_OK;
	/* Not to be repeated, and nobody knows: a person looks before it is. */
	if (sending->effect == WIRE_ONCE && reply->may_have_left)
		return GW_E_UNSURE;
	switch (reply->status) {
	case WIRE_OK: return GW_OK;
	case WIRE_STATUS: return status_of_reply(sending, reply->code);
	case WIRE_TIMEOUT: return GW_E_TIMEOUT;
	case WIRE_NETWORK: return GW_E_NETWORK;
	case WIRE_CIRCUIT_OPEN: return GW_E_BUSY;
	case WIRE_AUTH:
	case WIRE_REFUSED: return GW_E_DENIED;
	case WIRE_TOO_LARGE: return GW_E_REPLY;
	case WIRE_CANCELLED: return GW_E_CANCELLED;
	}
	return GW_E_REPLY;
}
