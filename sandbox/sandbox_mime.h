/* SPDX-License-Identifier: MIT */
/* A mail as data: what a test wants to read of it. */
#ifndef SANDBOX_MIME_H
#define SANDBOX_MIME_H

#include "base/json.h"
#include "base/str.h"

/*
 * {"headers": {name: value}, "subject", "parts": [{"content_type", "charset",
 * "filename", "body"}], "text", "html"} of a message with CRLF line ends.  A
 * header that occurs several times has a list of values.  Never fails: what
 * cannot be decoded stays as it is.
 */
json_t *mime_mail_new(struct str message);

#endif
