/* SPDX-License-Identifier: MIT */
/*
 * Is it plain where this request ends, and for whom it is?  libmicrohttpd takes
 * Content-Length together with Transfer-Encoding, two of either, two Hosts
 * (RELIABILITY M6); a proxy in front may see another request in the same bytes.
 * So anything that could be read in two ways is refused before the body is
 * looked at, and the connection is closed with it.
 */
#include <strings.h>

#include "serve/serve_int.h"

static void fault(struct frame *frame, int status, const char *where, const char *text)
{
	if (frame->fault)
		return;
	frame->fault = text;
	frame->where = where;
	frame->status = status;
}

void frame_begin(struct frame *frame, const char *version)
{
	frame->is_http_1_0 = strcmp(version, "HTTP/1.0") == 0;
	if (!frame->is_http_1_0 && strcmp(version, "HTTP/1.1") != 0)
		fault(frame, 505, "request line", "only HTTP/1.1 and HTTP/1.0 are spoken here");
}

static bool is_token(const char *name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	if (*name == '\0')
		return false;
	for (; *name; name++)
		if (!(*name >= 'a' && *name <= 'z') && !(*name >= 'A' && *name <= 'Z') &&
		    !(*name >= '0' && *name <= '9') && !strchr(others, *name))
			return false;
	return true;
}

static bool has_control(const char *value)
{
	for (; *value; value++)
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return true;
	return false;
}

static void take_length(struct frame *frame, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	if (frame->lengths++ > 0)
		fault(frame, 400, "header Content-Length", "there is more than one Content-Length");
	else if (digits == 0 || digits > 18 || value[digits] != '\0')
		fault(frame, 400, "header Content-Length", "Content-Length must be a plain number");
	else
		frame->length = strtoll(value, NULL, 10);
}

static void take_encoding(struct frame *frame, const char *value)
{
	if (frame->encodings++ > 0 || strcasecmp(value, "chunked") != 0)
		fault(frame, 400, "header Transfer-Encoding",
		      "the only transfer encoding is 'chunked', once");
}

static void take_host(struct frame *frame, const char *value)
{
	if (frame->hosts++ > 0)
		fault(frame, 400, "header Host", "there is more than one Host");
	else if (strpbrk(value, " \t/\\@,?#") || strlen(value) > 255)
		fault(frame, 400, "header Host", "this is no host");
	frame->host = value;
}

static void take_expect(struct frame *frame, const char *value)
{
	if (strcasecmp(value, "100-continue") != 0)
		fault(frame, 417, "header Expect", "nothing but 100-continue can be expected");
}

static void take_authorization(struct frame *frame, const char *value)
{
	if (frame->authorizations++ > 0)
		fault(frame, 400, "header Authorization", "there is more than one Authorization");
	frame->authorization = value;
}

void frame_header(struct frame *frame, const char *name, const char *value)
{
	if (!value)
		value = "";
	if (!is_token(name)) {
		fault(frame, 400, "header", "a header's name holds what no name may hold");
		return;
	}
	if (has_control(value))
		fault(frame, 400, "header", "a header's value holds a control character");
	if (frame->pair_count == FRAME_HEADERS) {
		fault(frame, 431, "header", "there are more than 100 headers");
		return;
	}
	frame->pairs[2 * frame->pair_count] = name;
	frame->pairs[2 * frame->pair_count++ + 1] = value;
	if (strcasecmp(name, "Host") == 0)
		take_host(frame, value);
	else if (strcasecmp(name, "Content-Length") == 0)
		take_length(frame, value);
	else if (strcasecmp(name, "Transfer-Encoding") == 0)
		take_encoding(frame, value);
	else if (strcasecmp(name, "Expect") == 0)
		take_expect(frame, value);
	else if (strcasecmp(name, "Authorization") == 0)
		take_authorization(frame, value);
	else if (strcasecmp(name, "Content-Type") == 0)
		frame->content_type = value;
	else if (strcasecmp(name, "Origin") == 0)
		frame->origin = value;
	else if (strcasecmp(name, "Sec-Fetch-Site") == 0)
		frame->fetch_site = value;
	else if (strcasecmp(name, "Idempotency-Key") == 0)
		frame->key = value;
	else if (strcasecmp(name, "Last-Event-ID") == 0)
		frame->last_event = value;
	else if (strcasecmp(name, "If-Match") == 0)
		frame->if_match = value;
}

void frame_end(struct frame *frame)
{
	if (frame->hosts == 0 && !frame->is_http_1_0)
		fault(frame, 400, "header Host", "there is no Host");
	if (frame->encodings > 0 && frame->lengths > 0)
		fault(frame, 400, "header Transfer-Encoding",
		      "Content-Length and Transfer-Encoding exclude each other");
	if (frame->encodings > 0 && frame->is_http_1_0)
		fault(frame, 400, "header Transfer-Encoding",
		      "HTTP/1.0 knows no transfer encoding");
	if (frame->encodings > 0)
		frame->length = -1;
}

const char *frame_get(const struct frame *frame, const char *name, size_t *ret_count)
{
	const char *ret = NULL;
	size_t count = 0;
	for (size_t i = 0; i < frame->pair_count; i++) {
		if (strcasecmp(frame->pairs[2 * i], name) != 0)
			continue;
		ret = frame->pairs[2 * i + 1];
		count++;
	}
	if (ret_count)
		*ret_count = count;
	return count == 1 ? ret : NULL;
}
