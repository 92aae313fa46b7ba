/* SPDX-License-Identifier: MIT */
/*
 * An engine with a store that forgets and a server in front of it, in this
 * process, and a client that sends exactly the bytes it is told to.
 */
#ifndef TESTS_SERVED_H
#define TESTS_SERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "run/engine.h"
#include "serve/serve.h"

struct plugins;

struct served {
	struct engine *engine;
	struct serve *serve;
	struct plugins *plugins;
	int port, health_port;
	int64_t wall_ms; /* the server's idea of now, for signatures; 0: the system's */
};

/* config: JSON text of the table `serve`; stops the test when it cannot start. */
void served_start(struct served *served, const char *config);
/* The same with connections: the configuration's table as JSON text. */
void served_start_with(struct served *served, const char *config, const char *connections);
/* The error's id, or "" when it did start (and was stopped again); static buffer. */
const char *served_refusal(const char *config);
void served_stop(struct served *served);
void served_release(struct served *served); /* the same after serve_drain() */

/* A token with these roles ("operator,approver"), made through the engine. */
void served_token(struct served *served, const char *roles, const char *owner, bool has_grant,
                  char *ret);
/* One request of the engine's; the last reply, new. */
json_t *served_ask(struct served *served, json_t *request_taken);

/* --- the client ----------------------------------------------------------------- */

int client_dial(int port);
void client_send(int fd, const char *bytes, size_t len);
/* Reads until text is there or the other side closes; everything read, to be freed. */
char *client_until(int fd, const char *text);
/* Reads one whole response; to be freed.  NULL: closed before one came. */
char *client_response(int fd);
bool client_is_closed(int fd); /* reads on until the end: true when it comes */

struct reply {
	int status;
	char *text;   /* all of it */
	json_t *json; /* the body, when it is JSON */
};
/* One request on a connection of its own.  token, type, body may be NULL; more:
 * further header lines. */
struct reply client_call(int port, const char *method, const char *path, const char *token,
                         const char *more, const char *body);
void reply_release(struct reply *reply);
const char *reply_code(const struct reply *reply); /* of a problem; "" */

#endif
