/* SPDX-License-Identifier: MIT */
/*
 * One transfer: the options of an easy handle, the callbacks that receive the
 * reply within its limits, and what the end of it means.
 *
 * What curl would do on its own is switched off: no redirects, no proxy or netrc
 * of the environment, no Expect, no protocol but the connection's, no address
 * that is not public unless the connection says so - also for a connection taken
 * from the pool, which is why the address is looked at again before the request
 * is written.  A request that must not be sent twice is not sent again when a
 * kept connection dies under it (curl would do so silently).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/must.h"
#include "wire/wire_curl_int.h"

enum {
	KEEP_BYTES = 256 * 1024, /* of a slot's buffers between two transfers */
	CONNECTION_LIFE_S = 600,
	ONCE_IDLE_S = 2 /* a connection idle for longer may be closing: not for ONCE */
};

/* --- options ---------------------------------------------------------------------- */

void wire_slot_set_long(struct wire_slot *slot, CURLoption option, long value)
{
	must(curl_easy_setopt(slot->easy, option, value) == CURLE_OK);
}

void wire_slot_set_pointer(struct wire_slot *slot, CURLoption option, const void *value)
{
	CURLcode code = curl_easy_setopt(slot->easy, option, value);
	if (code == CURLE_OUT_OF_MEMORY)
		mem_out();
	must(code == CURLE_OK);
}

void wire_slot_set_size(struct wire_slot *slot, CURLoption option, size_t value)
{
	must(curl_easy_setopt(slot->easy, option, (curl_off_t)value) == CURLE_OK);
}

/* --- receiving ---------------------------------------------------------------------- */

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
	struct wire_slot *slot = arg;
	struct err err = { 0 };
	if (buf_add(&slot->body, bytes, size * count, &err) == 0)
		return size * count;
	slot->is_too_large = true;
	return 0;
}

/* "Name: value" CR LF, as offsets-to-be: pointers are made when the buffer stands still. */
static void take_header(struct wire_slot *slot, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	if (!colon || memchr(line, '\0', (size_t)(colon - line)))
		return;
	const char *value = colon + 1, *end = line + len;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value &&
	       (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	buf_put_len(&slot->head, line, (size_t)(colon - line));
	buf_put_len(&slot->head, "", 1);
	/* A NUL inside the value would hide what follows it. */
	const char *nul = memchr(value, '\0', (size_t)(end - value));
	buf_put_len(&slot->head, value, (size_t)((nul ? nul : end) - value));
	buf_put_len(&slot->head, "", 1);
	(void)vec_add(&slot->headers);
}

static size_t take_head(char *line, size_t size, size_t count, void *arg)
{
	struct wire_slot *slot = arg;
	size_t len = size * count;
	slot->head_bytes += len;
	slot->head_lines++;
	if (slot->head_bytes > LIMIT_REPLY_HEADERS_BYTES ||
	    slot->head_lines > LIMIT_REPLY_HEADERS) {
		slot->is_too_large = true;
		return 0;
	}
	if (slot->is_mail) {
		wire_smtp_line(slot, line, len);
	} else if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) {
		/* Another head (after 1xx): only the last one counts. */
		buf_clear(&slot->head);
		slot->headers.len = 0;
	} else {
		take_header(slot, line, len);
	}
	return len;
}

/* Just before the request is written, on a new or a kept connection. */
static int before_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct wire_slot *slot = arg;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (!slot->request->connection->is_private && !wire_address_text_is_public(ip)) {
		slot->was_private = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (slot->has_connected && slot->request->effect == WIRE_ONCE) {
		slot->was_resend = true;
		return CURL_PREREQFUNC_ABORT;
	}
	slot->has_connected = true;
	return CURL_PREREQFUNC_OK;
}

/* --- making one ---------------------------------------------------------------------- */

static void set_constants(struct wire_slot *slot)
{
	wire_slot_set_pointer(slot, CURLOPT_PRIVATE, slot);
	wire_slot_set_pointer(slot, CURLOPT_ERRORBUFFER, slot->error);
	wire_slot_set_long(slot, CURLOPT_NOSIGNAL, 1);
	wire_slot_set_pointer(slot, CURLOPT_PROXY, "");
	wire_slot_set_long(slot, CURLOPT_NETRC, CURL_NETRC_IGNORED);
	wire_slot_set_long(slot, CURLOPT_FOLLOWLOCATION, 0);
	wire_slot_set_long(slot, CURLOPT_UNRESTRICTED_AUTH, 0);
	wire_slot_set_long(slot, CURLOPT_SSL_VERIFYPEER, 1);
	wire_slot_set_long(slot, CURLOPT_SSL_VERIFYHOST, 2);
	wire_slot_set_long(slot, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	wire_slot_set_long(slot, CURLOPT_TCP_KEEPALIVE, 1);
	wire_slot_set_long(slot, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
	must(curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_WRITEDATA, slot);
	must(curl_easy_setopt(slot->easy, CURLOPT_HEADERFUNCTION, take_head) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_HEADERDATA, slot);
	must(curl_easy_setopt(slot->easy, CURLOPT_PREREQFUNCTION, before_request) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_PREREQDATA, slot);
	must(curl_easy_setopt(slot->easy, CURLOPT_OPENSOCKETFUNCTION, wire_curl_open) == CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_OPENSOCKETDATA, slot);
	if (slot->is_mail) {
		wire_smtp_constants(slot);
		return;
	}
	must(curl_easy_setopt(slot->easy, CURLOPT_CLOSESOCKETFUNCTION, wire_curl_close) ==
	     CURLE_OK);
	wire_slot_set_pointer(slot, CURLOPT_CLOSESOCKETDATA, slot->wire);
	wire_slot_set_pointer(slot, CURLOPT_PROTOCOLS_STR, "http,https");
	wire_slot_set_pointer(slot, CURLOPT_ACCEPT_ENCODING, "gzip");
	wire_slot_set_pointer(slot, CURLOPT_USERAGENT, "Gangway");
	wire_slot_set_long(slot, CURLOPT_PATH_AS_IS, 1);
}

struct wire_slot *wire_slot_new(struct wire *wire, bool is_mail)
{
	struct wire_slot *slot = mem_alloc(sizeof(*slot));
	slot->wire = wire;
	slot->is_mail = is_mail;
	buf_init(&slot->url, LIMIT_URL_BYTES + 1024);
	buf_init(&slot->body, LIMIT_REPLY_BYTES);
	buf_init(&slot->head, LIMIT_REPLY_HEADERS_BYTES + 2 * LIMIT_REPLY_HEADERS);
	slot->easy = curl_easy_init();
	if (!slot->easy)
		mem_out();
	set_constants(slot);
	return slot;
}

void wire_slot_free(struct wire_slot *slot)
{
	curl_easy_cleanup(slot->easy);
	buf_release(&slot->url);
	buf_release(&slot->body);
	buf_release(&slot->head);
	vec_release(&slot->list);
	vec_release(&slot->headers);
	free(slot->ca_file);
	free(slot);
}

void wire_slot_clear(struct wire_slot *slot)
{
	if (slot->body.size > KEEP_BYTES)
		buf_release(&slot->body);
	buf_clear(&slot->body);
	buf_clear(&slot->head);
	buf_clear(&slot->url);
	slot->headers.len = slot->list.len = 0;
	slot->head_bytes = slot->head_lines = slot->uploaded = 0;
	slot->was_private = slot->is_too_large = slot->has_connected = slot->was_resend = false;
	slot->error[0] = '\0';
	atomic_store(&slot->is_aborted, false);
	slot->request = NULL;
}

/* --- preparing one attempt --------------------------------------------------------------- */

static void add_line(struct wire_slot *slot, const char *line)
{
	vec_add(&slot->list)->data = (char *)(uintptr_t)line; /* curl only reads it */
}

static void link_list(struct wire_slot *slot)
{
	for (size_t i = 0; i < slot->list.len; i++)
		slot->list.at[i].next = i + 1 < slot->list.len ? &slot->list.at[i + 1] : NULL;
}

static void set_headers(struct wire_slot *slot)
{
	const struct wire_request *request = slot->request;
	for (size_t i = 0; i < request->line_count; i++)
		add_line(slot, request->lines[i]);
	if (request->trace.is_valid)
		add_line(slot, request->trace.line);
	for (size_t i = 0; i < WIRE_AUTH_LINES; i++)
		if (request->auth_lines[i])
			add_line(slot, request->auth_lines[i]);
	if (request->auth_shared)
		add_line(slot, request->auth_shared);
	link_list(slot);
	wire_slot_set_pointer(slot, CURLOPT_HTTPHEADER, slot->list.len ? slot->list.at : NULL);
}

static void set_method(struct wire_slot *slot)
{
	const struct wire_request *request = slot->request;
	const char *method = request->method;
	bool is_get = strcmp(method, "GET") == 0 && request->body.len == 0;
	bool is_head = strcmp(method, "HEAD") == 0;
	wire_slot_set_long(slot, CURLOPT_HTTPGET, 1); /* forget what the last transfer was */
	wire_slot_set_pointer(slot, CURLOPT_CUSTOMREQUEST, NULL);
	if (is_get)
		return;
	if (is_head) {
		wire_slot_set_long(slot, CURLOPT_NOBODY, 1);
		return;
	}
	wire_slot_set_pointer(slot, CURLOPT_POSTFIELDS, request->sent_body.ptr);
	wire_slot_set_size(slot, CURLOPT_POSTFIELDSIZE_LARGE, request->sent_body.len);
	if (strcmp(method, "POST") != 0)
		wire_slot_set_pointer(slot, CURLOPT_CUSTOMREQUEST, method);
}

static void set_tls(struct wire_slot *slot)
{
	const char *ca_file = slot->request->connection->ca_file;
	bool is_same = ca_file && slot->ca_file ? strcmp(ca_file, slot->ca_file) == 0
	                                        : ca_file == slot->ca_file;
	if (is_same)
		return;
	free(slot->ca_file);
	slot->ca_file = mem_dup_str(ca_file);
	/* NULL means "none at all" to curl, so the system's are asked for by name. */
	char *file = slot->ca_file, *folder = NULL;
	if (!file) {
		(void)curl_easy_getinfo(slot->easy, CURLINFO_CAINFO, &file);
		(void)curl_easy_getinfo(slot->easy, CURLINFO_CAPATH, &folder);
	}
	wire_slot_set_pointer(slot, CURLOPT_CAINFO, file);
	wire_slot_set_pointer(slot, CURLOPT_CAPATH, folder);
}

void wire_slot_prepare(struct wire_slot *slot)
{
	const struct wire_request *request = slot->request;
	int64_t left_ms = wire_left_ms(request);
	int64_t timeout_ms = request->timeout_ms < left_ms ? request->timeout_ms : left_ms;
	wire_slot_set_long(slot, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : 1));
	wire_slot_set_long(slot, CURLOPT_MAXAGE_CONN,
	                   request->effect == WIRE_ONCE ? ONCE_IDLE_S : 60);
	set_tls(slot);
	if (slot->is_mail) {
		wire_smtp_prepare(slot);
		link_list(slot);
		wire_slot_set_pointer(slot, CURLOPT_MAIL_RCPT, slot->list.at);
		return;
	}
	buf_put(&slot->url, request->base);
	buf_put(&slot->url, request->path);
	wire_slot_set_pointer(slot, CURLOPT_URL, slot->url.bytes);
	set_method(slot);
	set_headers(slot);
}

/* --- what the end means -------------------------------------------------------------------- */

bool wire_slot_may_have_left(const struct wire_slot *slot)
{
	return slot->is_mail ? slot->smtp.has_left : slot->has_connected;
}

static const char *reason(const struct wire_slot *slot, CURLcode result)
{
	return slot->error[0] ? slot->error : curl_easy_strerror(result);
}

/* No use to try these again: they are about what is configured. */
static bool is_permanent(CURLcode result)
{
	return result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CACERT_BADFILE ||
	       result == CURLE_USE_SSL_FAILED || result == CURLE_URL_MALFORMAT ||
	       result == CURLE_SSL_CERTPROBLEM;
}

static void collect_failure(struct wire_slot *slot, CURLcode result)
{
	struct wire_request *request = slot->request;
	const char *name = request->connection->name;
	request->reply.may_have_left = wire_slot_may_have_left(slot);
	request->is_permanent = is_permanent(result);
	if (slot->was_private && !slot->has_connected)
		wire_reply_set(
			request, WIRE_REFUSED, 0,
			"%s is not a public address; connection '%s' would need private = true",
			request->connection->url.host, name);
	else if (slot->is_too_large)
		wire_reply_set(
			request, WIRE_TOO_LARGE, 0,
			"the reply of connection '%s' exceeds %d bytes (LIMIT_REPLY_BYTES) or "
			"its headers %d lines",
			name, LIMIT_REPLY_BYTES, LIMIT_REPLY_HEADERS);
	else if (result == CURLE_OPERATION_TIMEDOUT)
		wire_reply_set(request, WIRE_TIMEOUT, 0, "no answer from connection '%s': %.180s",
		               name, reason(slot, result));
	else if (atomic_load(&slot->is_aborted))
		wire_reply_set(request, WIRE_CANCELLED, 0, "cancelled");
	else if (slot->was_resend)
		wire_reply_set(request, WIRE_NETWORK, 0,
		               "connection '%s' broke after the request was sent", name);
	else
		wire_reply_set(request, WIRE_NETWORK, 0, "connection '%s': %.200s", name,
		               reason(slot, result));
}

/* Remaining-quota headers, for whoever looks at the connection. */
static bool is_quota(const char *name)
{
	return strcasecmp(name, "Sforce-Limit-Info") == 0 ||
	       strncasecmp(name, "X-RateLimit-", strlen("X-RateLimit-")) == 0;
}

static void keep_quota(struct wire_connection *connection, const struct wire_header *header)
{
	size_t i = 0;
	pthread_mutex_lock(&connection->lock);
	while (i < connection->quota_count &&
	       strcasecmp(connection->quota[i].name, header->name) != 0)
		i++;
	if (i < WIRE_QUOTAS) {
		struct wire_quota *quota = &connection->quota[i];
		snprintf(quota->name, sizeof(quota->name), "%s", header->name);
		json_t *text = json_text(str_of(header->value)); /* it is shown as JSON */
		snprintf(quota->value, sizeof(quota->value), "%s", json_string_value(text));
		json_decref(text);
		connection->quota_count += i == connection->quota_count ? 1 : 0;
	}
	pthread_mutex_unlock(&connection->lock);
}

/* How far the clocks differ; looked at once a minute, which is enough to notice a wrong one. */
static int64_t note_skew(struct wire_request *request)
{
	enum { EVERY_MS = 60000 };
	struct wire_connection *connection = request->connection;
	int64_t now_ms = wire_now_ms(request->wire);
	pthread_mutex_lock(&connection->lock);
	bool is_due = connection->skew_checked_ms == 0 ||
	              now_ms - connection->skew_checked_ms >= EVERY_MS;
	const char *date = is_due ? wire_reply_header(&request->reply, "Date") : NULL;
	int64_t date_ms = date ? wire_http_date_ms(date) : -1;
	if (date_ms >= 0) {
		connection->skew_checked_ms = now_ms;
		connection->skew_s = (clock_wall_ms(&request->wire->loop->clock) - date_ms) / 1000;
	}
	int64_t ret = connection->skew_s;
	pthread_mutex_unlock(&connection->lock);
	return ret;
}

/* Pointers into the buffer, which does not move any more. */
static void point_headers(struct wire_slot *slot)
{
	struct wire_request *request = slot->request;
	char *at = slot->head.bytes;
	for (size_t i = 0; i < slot->headers.len; i++) {
		struct wire_header *header = &slot->headers.at[i];
		header->name = at;
		header->value = at + strlen(at) + 1;
		at = header->value + strlen(header->value) + 1;
		if (is_quota(header->name))
			keep_quota(request->connection, header);
	}
	request->reply.headers = slot->headers.at;
	request->reply.header_count = slot->headers.len;
}

static void collect_reply(struct wire_slot *slot)
{
	struct wire_request *request = slot->request;
	long code = 0;
	must(curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK);
	point_headers(slot);
	int64_t skew_s = note_skew(request);
	request->reply.body = buf_str(&slot->body);
	if (code >= 200 && code < 300) {
		wire_reply_set(request, WIRE_OK, (int)code, "%s", "");
		return;
	}
	if (code == 401 && (skew_s > 30 || skew_s < -30))
		wire_reply_set(request, WIRE_STATUS, 401,
		               "connection '%s' answered HTTP 401; the clock here is %lld s %s "
		               "of the server's",
		               request->connection->name,
		               (long long)(skew_s > 0 ? skew_s : -skew_s),
		               skew_s > 0 ? "ahead" : "behind");
	else
		wire_reply_set(request, WIRE_STATUS, (int)code, "connection '%s' answered HTTP %ld",
		               request->connection->name, code);
}

void wire_slot_collect(struct wire_slot *slot, CURLcode result)
{
	if (result != CURLE_OK)
		collect_failure(slot, result);
	if (slot->is_mail)
		wire_smtp_collect(slot, result);
	else if (result == CURLE_OK)
		collect_reply(slot);
}
