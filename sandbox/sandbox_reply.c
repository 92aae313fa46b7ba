/* SPDX-License-Identifier: MIT */
/* Requests taken apart, replies put together, routes. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "sandbox/sandbox.h"

bool request_split(struct request *request)
{
	size_t len = strcspn(request->target, "?#");
	request->path = mem_dup(request->target, len);
	if (request->path[0] != '/' || strstr(request->path, "%00"))
		return false;
	const char *query = request->target + len;
	return *query != '?' || url_form(str_of(query + 1), &request->query);
}

void request_release(struct request *request)
{
	free(request->method);
	free(request->target);
	free(request->path);
	free(request->account);
	pairs_release(&request->query);
	pairs_release(&request->headers);
	json_decref(request->json);
}

const char *request_header(const struct request *request, const char *name)
{
	const char *value = pairs_header(&request->headers, name);
	return value ? value : "";
}

bool request_is(const struct request *request, const char *content_type, bool absent_ok)
{
	const char *given = request_header(request, "Content-Type");
	size_t len = strlen(content_type);
	if (!*given)
		return absent_ok;
	return strncasecmp(given, content_type, len) == 0 && !isalnum((unsigned char)given[len]) &&
	       given[len] != '+' && given[len] != '-';
}

const char *request_bearer(const struct request *request)
{
	const char *given = request_header(request, "Authorization");
	return strncasecmp(given, "Bearer ", 7) == 0 ? given + 7 : NULL;
}

bool request_form(const struct request *request, struct pairs *ret)
{
	*ret = (struct pairs){ 0 };
	return request_is(request, "application/x-www-form-urlencoded", false) &&
	       url_form(request->body, ret);
}

char *request_base_new(const struct request *request)
{
	const char *host = request_header(request, "Host");
	char *base = mem_format("%s://%s", request->is_tls ? "https" : "http",
	                        *host ? host : "127.0.0.1");
	for (char *c = base; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	const char *port = request->is_tls ? ":443" : ":80";
	if (str_ends(base, port))
		base[strlen(base) - strlen(port)] = '\0';
	return base;
}

void request_account_set(struct request *request, const char *account)
{
	char *copy = mem_dup_str(account);
	free(request->account);
	request->account = copy;
}

void reply_init(struct reply *reply)
{
	*reply = (struct reply){ .status = 500 };
	buf_init(&reply->body, MAX_REPLY_BYTES);
}

void reply_release(struct reply *reply)
{
	buf_release(&reply->body);
	pairs_release(&reply->headers);
}

void reply_json(struct reply *reply, int status, json_t *body_taken)
{
	char *text = body_taken ? json_dumps(body_taken, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	reply_text(reply, status, "application/json;charset=UTF-8", text ? text : "");
	free(text);
	json_decref(body_taken);
}

void reply_text(struct reply *reply, int status, const char *content_type, const char *text)
{
	reply->status = status;
	reply->content_type = content_type;
	buf_clear(&reply->body);
	buf_put(&reply->body, text);
}

void reply_header(struct reply *reply, const char *name, const char *format, ...)
{
	char value[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	pairs_add(&reply->headers, str_of(name), str_of(value));
}

enum route_end route_serve(const struct route *routes, size_t count, struct sandbox *box,
                           struct request *request, struct reply *reply)
{
	enum route_end end = ROUTE_NONE;
	struct parts parts;
	for (size_t i = 0; i < count; i++) {
		if (!path_match(request->path, routes[i].pattern, &parts))
			continue;
		end = ROUTE_OTHER_METHOD;
		if (strcmp(request->method, routes[i].method) != 0)
			continue;
		routes[i].serve(box, request, &parts, reply);
		return ROUTE_SERVED;
	}
	return end;
}
