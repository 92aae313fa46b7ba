/* SPDX-License-Identifier: MIT */
/*
 * A scripted server on the test's own loop (loop_poll.h), for HTTP and SMTP, on
 * 127.0.0.1 and a port the kernel chose.  It keeps every byte it was sent.
 */
#ifndef TESTS_SERVER_POLL_H
#define TESTS_SERVER_POLL_H

#include <stdbool.h>
#include <stddef.h>

#include "loop_poll.h"

struct server;

enum server_then {
	SERVER_KEEP,  /* the connection stays open */
	SERVER_CLOSE, /* after the reply */
	SERVER_RESET  /* with RST instead of FIN */
};

struct server *server_new(struct loop_poll *poll);
/* The same speaking SMTP: agrees to everything that no rule refuses. */
struct server *server_new_smtp(struct loop_poll *poll);
void server_free(struct server *server);
int server_port(const struct server *server);
/* "http://127.0.0.1:PORT" or smtp. */
const char *server_url(const struct server *server);

/* The next request is answered with these bytes (NULL: none).  When no reply is left, with 200. */
void server_reply(struct server *server, const char *bytes, enum server_then then);
void server_reply_bytes(struct server *server, const char *bytes, size_t len,
                        enum server_then then);
/* "HTTP/1.1 STATUS X", Content-Length and further header lines (each with CRLF) and a body. */
void server_answer(struct server *server, int status, const char *headers, const char *body);
/* SMTP: a command that begins so is answered so (with CRLF); NULL closes the connection. */
void server_rule(struct server *server, const char *command, const char *reply);
/* SMTP: what follows the message. */
void server_rule_message(struct server *server, const char *reply);

size_t server_count(const struct server *server); /* requests, or messages */
const char *server_request(const struct server *server, size_t i);
size_t server_connections(const struct server *server);
/* Everything a client said (SMTP). */
const char *server_heard(const struct server *server);
/* Answers what SERVER "NULL" replies left waiting. */
void server_release(struct server *server, const char *bytes);
/* Only the one whose connection is oldest. */
void server_release_one(struct server *server, const char *bytes);

#endif
