/* SPDX-License-Identifier: MIT */
/*
 * The body of the Basic HTTP event I/O processor (SCXML appendix C.2): how an
 * event becomes a POST body and a POST body an event.  One encoder and one
 * decoder for all: sends to our own location use them without a socket.
 *
 * An object becomes form parameters, in the order of its members.  Anything else
 * is the body itself, form-encoded without a name (the W3C's test 520 wants that);
 * beside the name of an event it is the parameter "content".
 */
#ifndef MACHINE_HTTP_EVENT_H
#define MACHINE_HTTP_EVENT_H

#include "base/buf.h"
#include "base/json.h"
#include "machine/event.h"

#define HTTP_EVENT_TYPE "http://www.w3.org/TR/scxml/#BasicHTTPEventProcessor"

#define HTTP_EVENT_FORM "application/x-www-form-urlencoded"

/* name may be NULL; otherwise it goes out as _scxmleventname.  data may be NULL. */
int http_event_encode(const char *name, const json_t *data, struct buf *out,
                      struct err *err) ATTR_MUST_USE;
/*
 * method is "POST", ...; type is the Content-Type, with parameters or not; NULL is a form.
 * What is no form and no JSON is text.  ret is to be released.  ERR_INPUT: no UTF-8, or no
 * JSON where it says so; ERR_LIMIT.
 */
int http_event_decode(const char *method, const char *type, struct str body, struct event *ret,
                      struct err *err) ATTR_MUST_USE;

#endif
