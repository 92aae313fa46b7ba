/* SPDX-License-Identifier: MIT */
/*
 * What the systems received, in order: a ring of serialised entries, bounded in
 * number and in bytes.  Credentials are never kept: of an Authorization header
 * the log shows the scheme and whether it was accepted, of a secret form field
 * that it was given.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox.h"

void log_open(struct sandbox *box)
{
	box->log.at = mem_grow(NULL, MAX_LOG_ENTRIES, sizeof(*box->log.at));
}

static struct log_entry *entry(const struct request_log *log, size_t i)
{
	return &log->at[(log->first + i) % MAX_LOG_ENTRIES];
}

static void drop_first(struct request_log *log)
{
	struct log_entry *first = entry(log, 0);
	log->bytes -= strlen(first->json);
	free(first->json);
	log->first = (log->first + 1) % MAX_LOG_ENTRIES;
	log->len--;
}

void log_close(struct sandbox *box)
{
	while (box->log.len > 0)
		drop_first(&box->log);
	free(box->log.at);
	box->log.at = NULL;
}

static const char *auth_word(enum auth auth)
{
	switch (auth) {
	case AUTH_UNCHECKED: return "not checked";
	case AUTH_ACCEPTED: return "accepted";
	case AUTH_REFUSED: return "refused";
	}
	return "not checked";
}

static json_t *headers_new(const struct request *request)
{
	json_t *headers = json_object();
	for (size_t i = 0; i < request->headers.len; i++) {
		const struct pair *pair = &request->headers.at[i];
		if (strcasecmp(pair->name, "Authorization") == 0) {
			char *shown = mem_format("%.*s %s", (int)strcspn(pair->value, " "),
			                         pair->value, auth_word(request->auth));
			json_put_str(headers, pair->name, shown);
			free(shown);
		} else {
			json_put_str(headers, pair->name, pair->value);
		}
	}
	return headers;
}

static bool is_secret(const char *field)
{
	return strcmp(field, "client_secret") == 0 || strcmp(field, "assertion") == 0 ||
	       strcmp(field, "client_assertion") == 0 || strcmp(field, "password") == 0 ||
	       strcmp(field, "token") == 0;
}

static json_t *fields_new(const struct pairs *pairs)
{
	json_t *fields = json_object();
	for (size_t i = 0; i < pairs->len; i++)
		json_put_str(fields, pairs->at[i].name,
		             is_secret(pairs->at[i].name) ? "(given)" : pairs->at[i].value);
	return fields;
}

static json_t *body_new(const struct request *request)
{
	if (request->json && request->body.len <= MAX_LOG_BODY_BYTES)
		return json_incref(request->json);
	struct pairs form;
	json_t *body = NULL;
	if (request_form(request, &form) && request->body.len <= MAX_LOG_BODY_BYTES)
		body = fields_new(&form);
	pairs_release(&form);
	if (body)
		return body;
	struct str text = request->body;
	if (text.len > MAX_LOG_BODY_BYTES)
		text.len = MAX_LOG_BODY_BYTES;
	return text.len > 0 ? json_text(text) : json_null();
}

void log_request(struct sandbox *box, const struct request *request, int status, const char *fault)
{
	struct request_log *log = &box->log;
	char at[CLOCK_ISO_BYTES];
	clock_iso(request->now_ms, at);
	json_t *line = json_object();
	json_put_int(line, "seq", ++log->seq);
	json_put_str(line, "system", system_ops(request->system)->name);
	json_put_str(line, "at", at);
	json_put_str(line, "method", request->method);
	json_put_str(line, "path", request->target);
	if (request->query.len > 0)
		json_put(line, "query", fields_new(&request->query));
	json_put(line, "headers", headers_new(request));
	json_put(line, "body", body_new(request));
	json_put_int(line, "status", status);
	json_put(line, "account",
	         request->account ? json_text(str_of(request->account)) : json_null());
	json_put_str(line, "fault", fault);
	char *text = json_dumps(line, JSON_COMPACT);
	json_decref(line);
	if (!text)
		mem_out();
	size_t len = strlen(text);
	while (log->len > 0 && (log->len == MAX_LOG_ENTRIES || log->bytes + len > MAX_LOG_BYTES))
		drop_first(log);
	*entry(log, log->len++) = (struct log_entry){ text, request->system, log->seq };
	log->bytes += len;
}

static bool entry_is_about(const struct log_entry *item, const char *account)
{
	struct err ignored = { 0 };
	json_t *line = NULL;
	if (json_read(str_of(item->json), MAX_LOG_BYTES, &line, &ignored) < 0)
		return false;
	bool found = strcmp(json_str(line, "account", ""), account) == 0;
	json_decref(line);
	return found;
}

void log_list_put(const struct sandbox *box, int system, const char *account, struct buf *out)
{
	bool is_first = true;
	buf_put(out, "[");
	for (size_t i = 0; i < box->log.len; i++) {
		const struct log_entry *item = entry(&box->log, i);
		if (system >= 0 && (int)item->system != system)
			continue;
		if (account && !entry_is_about(item, account))
			continue;
		buf_put(out, is_first ? "\n" : ",\n");
		buf_put(out, item->json);
		is_first = false;
	}
	buf_put(out, "]\n");
}

void log_clear(struct sandbox *box, int system)
{
	struct request_log *log = &box->log;
	size_t count = log->len;
	for (size_t i = 0; i < count; i++) {
		struct log_entry first = *entry(log, 0);
		log->first = (log->first + 1) % MAX_LOG_ENTRIES;
		log->len--;
		if (system < 0 || (int)first.system == system) {
			log->bytes -= strlen(first.json);
			free(first.json);
		} else {
			*entry(log, log->len++) = first;
		}
	}
}
