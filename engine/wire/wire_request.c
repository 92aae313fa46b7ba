/* SPDX-License-Identifier: MIT */
/*
 * A request from its options: everything is copied into one arena, checked and
 * made ready once, so that an attempt only adds what differs (credentials,
 * trace).  What is wrong is refused here, before any stage sees it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/must.h"
#include "wire/wire_int.h"

static int check_method(const char *method, struct err *err)
{
	size_t len = strlen(method);
	bool is_word = len > 0 && len <= 16 && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == len;
	if (!is_word || strcmp(method, "CONNECT") == 0 || strcmp(method, "TRACE") == 0)
		return err_set(err, ERR_INPUT, "the method '%.20s' cannot be used",
		               is_word ? method : "?");
	return 0;
}

static int check_headers(const struct wire_send_options *options, struct err *err)
{
	const struct wire_auth *auth = &options->connection->auth;
	if (options->header_count > LIMIT_HEADERS)
		return err_set(err, ERR_LIMIT, "more than %d headers (LIMIT_HEADERS)",
		               LIMIT_HEADERS);
	for (size_t i = 0; i < options->header_count; i++) {
		const struct wire_header *header = &options->headers[i];
		if (!wire_header_is_name(header->name))
			return err_set(err, ERR_INPUT, "header %zu has a name that is none", i + 1);
		if (!wire_header_is_safe(header->value))
			return err_set(err, ERR_INPUT,
			               "the value of header '%s' contains a control character",
			               header->name);
		bool is_ours = strcasecmp(header->name, "X-Correlation-ID") == 0 ||
		               strcasecmp(header->name, "traceparent") == 0;
		bool is_credential = (auth->header &&
		                      strcasecmp(header->name, auth->header) == 0) ||
		                     (auth->timestamp_header &&
		                      strcasecmp(header->name, auth->timestamp_header) == 0) ||
		                     (auth->kind == WIRE_AUTH_AWS_SIGV4 &&
		                      strncasecmp(header->name, "X-Amz-", 6) == 0);
		if ((wire_header_is_reserved(header->name) && !is_ours) || is_credential)
			return err_set(err, ERR_INPUT, "the header '%s' belongs to the connection",
			               header->name);
	}
	return 0;
}

static int check_short(const char *value, const char *what, size_t max, struct err *err)
{
	if (value && !wire_header_is_safe(value))
		return err_set(err, ERR_INPUT, "the %s contains a control character", what);
	if (value && strlen(value) > max)
		return err_set(err, ERR_LIMIT, "the %s is longer than %zu bytes", what, max);
	return 0;
}

static int check(const struct wire_send_options *options, const char *base, struct err *err)
{
	const char *path = options->path ? options->path : "";
	if (check_short(options->correlation_id, "correlation id", LIMIT_CORRELATION_ID_BYTES,
	                err) < 0 ||
	    check_short(options->key, "idempotency key", 255, err) < 0)
		return err->code;
	if (options->connection->url.is_mail != (options->mail != NULL))
		return err_set(err, ERR_INPUT, "connection '%s' is for %s",
		               options->connection->name,
		               options->mail ? "HTTP, not for mail" : "mail, not for HTTP");
	if (options->mail)
		return 0;
	if (check_method(options->method ? options->method : "GET", err) < 0 ||
	    (*path && wire_path_check(path, err) < 0) || check_headers(options, err) < 0 ||
	    check_short(options->content_type, "content type", 255, err) < 0)
		return err->code;
	if (strlen(base) + strlen(path) > LIMIT_URL_BYTES)
		return err_set(err, ERR_LIMIT, "the URL is longer than %d bytes (LIMIT_URL_BYTES)",
		               LIMIT_URL_BYTES);
	if (options->body.len > LIMIT_REQUEST_BYTES)
		return err_set(err, ERR_LIMIT,
		               "the body is longer than %d bytes (LIMIT_REQUEST_BYTES)",
		               LIMIT_REQUEST_BYTES);
	return 0;
}

/* --- header lines ---------------------------------------------------------------- */

static void add_line(struct wire_request *request, const char *name, const char *value)
{
	/* curl's way to say that a header has no value is a semicolon. */
	const char *mark = *value ? ": " : ";";
	size_t name_len = strlen(name), mark_len = strlen(mark), value_len = strlen(value);
	char *line = arena_alloc(&request->arena, name_len + mark_len + value_len + 1);
	memcpy(line, name, name_len);
	memcpy(line + name_len, mark, mark_len);
	memcpy(line + name_len + mark_len, value, value_len + 1);
	request->lines[request->line_count++] = line;
}

/* A string as RFC 8941 writes it. */
static char *quoted(struct arena *arena, const char *text)
{
	char *ret = arena_alloc(arena, 2 * strlen(text) + 3), *at = ret;
	*at++ = '"';
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			*at++ = '\\';
		*at++ = *text;
	}
	*at = '"';
	return ret;
}

/* A run by its correlation id; 0: of nobody. */
static uint64_t party_of(const char *correlation_id)
{
	uint64_t hash = correlation_id ? UINT64_C(14695981039346656037) : 0;
	for (const char *p = correlation_id; p && *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(1099511628211);
	return hash;
}

static bool is_given(const struct wire_request *request, const char *line)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (wire_header_line_is(line, request->headers[i].name))
			return true;
	return false;
}

static void build_lines(struct wire_request *request, const struct wire_send_options *options)
{
	const struct wire_connection *connection = request->connection;
	const char *key_header = connection->idempotency_header;
	bool sends_key = request->key && options->effect == WIRE_KEYED && *key_header;
	request->lines = arena_alloc(&request->arena,
	                             (connection->line_count + request->header_count + 8) *
	                                     sizeof(*request->lines));
	for (size_t i = 0; i < connection->line_count; i++)
		if (!is_given(request, connection->lines[i]))
			request->lines[request->line_count++] = connection->lines[i];
	for (size_t i = 0; i < request->header_count; i++) {
		const char *name = request->headers[i].name;
		/* Ours says it better. */
		bool is_replaced = (sends_key && strcasecmp(name, key_header) == 0) ||
		                   strcasecmp(name, "Content-Type") == 0 ||
		                   strcasecmp(name, "X-Correlation-ID") == 0 ||
		                   strcasecmp(name, "traceparent") == 0;
		if (!is_replaced)
			add_line(request, name, request->headers[i].value);
		else if (strcasecmp(name, "Content-Type") == 0 && !options->content_type)
			request->content_type = request->headers[i].value;
	}
	if (!request->content_type && request->body.len > 0)
		request->content_type = "application/json";
	if (request->content_type)
		add_line(request, "Content-Type", request->content_type);
	else if (strcmp(request->method, "GET") != 0)
		request->lines[request->line_count++] =
			"Content-Type:"; /* curl would make one up */
	request->party = party_of(options->correlation_id);
	if (options->correlation_id)
		add_line(request, "X-Correlation-ID", options->correlation_id);
	if (sends_key)
		add_line(request, key_header,
		         connection->is_idempotency_quoted ? quoted(&request->arena, request->key)
		                                           : request->key);
	if (request->body.len > 0)
		request->lines[request->line_count++] = "Expect:"; /* never wait for 100 */
}

/* --- putting it together ----------------------------------------------------------- */

static int64_t chosen(int64_t given, bool is_given_value, int64_t configured, int64_t max)
{
	if (!is_given_value)
		return configured;
	return given < max ? given : max;
}

static void set_times(struct wire_request *request, const struct wire_send_options *options)
{
	const struct wire_connection *c = request->connection;
	request->timeout_ms = chosen(options->timeout_ms, options->timeout_ms > 0, c->timeout_ms,
	                             LIMIT_TIMEOUT_MS);
	request->deadline_ms = chosen(options->deadline_ms, options->deadline_ms > 0,
	                              c->deadline_ms, 6 * (int64_t)LIMIT_TIMEOUT_MS);
	request->retries = (int32_t)chosen(options->retries, options->retries >= 0, c->retries,
	                                   LIMIT_RETRIES);
	request->backoff_min_ms = chosen(options->backoff_min_ms, options->backoff_min_ms >= 0,
	                                 c->backoff_min_ms, LIMIT_TIMEOUT_MS);
	request->backoff_max_ms = chosen(options->backoff_max_ms, options->backoff_max_ms >= 0,
	                                 c->backoff_max_ms, LIMIT_TIMEOUT_MS);
	if (request->backoff_max_ms < request->backoff_min_ms)
		request->backoff_max_ms = request->backoff_min_ms;
	request->sent_ms = wire_now_ms(request->wire);
	request->ends_ms = request->sent_ms + request->deadline_ms;
}

static void copy(struct wire_request *request, const struct wire_send_options *options)
{
	struct arena *arena = &request->arena;
	request->method = arena_dup_str(arena, options->method ? options->method : "GET");
	request->path = arena_dup_str(arena, options->path ? options->path : "");
	request->content_type = arena_dup_str(arena, options->content_type);
	if (options->body.len > 0)
		request->body = (struct str){
			arena_dup(arena, options->body.ptr, options->body.len), options->body.len
		};
	else
		request->body = STR_LIT("");
	request->sent_body = request->body;
	struct wire_header *headers = arena_alloc(arena,
	                                          (options->header_count + 1) * sizeof(*headers));
	for (size_t i = 0; i < options->header_count; i++)
		headers[i] =
			(struct wire_header){ arena_dup_str(arena, options->headers[i].name),
			                      arena_dup_str(arena, options->headers[i].value) };
	request->headers = headers;
	request->header_count = options->header_count;
	build_lines(request, options);
}

struct wire_request *wire_request_new(struct wire *wire, const struct wire_send_options *options,
                                      const char *base, struct err *err)
{
	struct arena arena;
	arena_init(&arena);
	struct wire_request *request = arena_alloc(&arena, sizeof(*request));
	request->arena = arena;
	request->wire = wire;
	request->connection = options->connection;
	request->base = base;
	request->effect = options->effect;
	request->classify = options->classify;
	request->done = options->done;
	request->arg = options->arg;
	request->log = json_array();
	set_times(request, options);
	if (check(options, base, err) < 0)
		return request;
	request->key = arena_dup_str(&request->arena, options->key);
	request->traceparent = arena_dup_str(&request->arena, options->traceparent);
	int status = 0;
	if (options->mail)
		status = wire_mail_build(request, options, err);
	else
		copy(request, options);
	must(status == err->code); /* the caller looks at err */
	return request;
}

void wire_request_free(struct wire_request *request)
{
	wire_slot_release(request);
	wire_auth_clear(request);
	wire_secret_free(request->own_body);
	for (size_t i = 0; i < request->own_lines.len; i++)
		wire_secret_free(request->own_lines.at[i]);
	vec_release(&request->own_lines);
	if (request->has_secret_body)
		explicit_bzero((char *)(uintptr_t)request->body.ptr, request->body.len);
	json_decref(request->log);
	json_decref(request->taped);
	json_decref(request->mail_json);
	/* The arena holds the request too. */
	struct arena arena = request->arena;
	arena_release(&arena);
}
