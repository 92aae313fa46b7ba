/* SPDX-License-Identifier: MIT */
/*
 * HTTP in: the API, the webhooks, the streams and the figures of one engine
 * (docs/reference/http-api.md).  Everything that changes something is an
 * engine_request(); nothing here touches the store.
 *
 * Threads: libmicrohttpd's own, a few, each with its epoll; none per request or
 * connection.  A request that waits for the engine is suspended and costs no
 * thread.  The functions below are called from one thread.
 */
#ifndef SERVE_H
#define SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"

struct engine;
struct serve;

struct serve_options {
	struct engine *engine;
	/* The configuration's table `serve` (docs/reference/configuration.md); NULL: defaults. */
	const json_t *config;
	int port; /* instead of the configuration's; -1: the configuration's; 0: the kernel's */
	const char *version;
	struct clock clock;
	/* Reads "env:NAME" or "file:PATH"; *ret is freed by secret_free. */
	int (*secret_read)(const char *reference, char **ret, struct err *err);
	void (*secret_free)(char *secret);
	/* One structured line per event worth an operator's attention; may be NULL; any thread. */
	void (*log)(void *ctx, const json_t *line);
	void *log_ctx;
};

/* Binds and starts answering.  ERR_INPUT names the key, ERR_SYSTEM the address. */
int serve_start(const struct serve_options *options, struct serve **ret,
                struct err *err) ATTR_MUST_USE;
/* Other webhooks (serve.webhooks of the configuration, NULL: none), all or, with err, none. */
int serve_set_webhooks(struct serve *serve, const json_t *table, struct err *err) ATTR_MUST_USE;
/* "http://127.0.0.1:8080"; the health listener's, or NULL when there is none. */
const char *serve_address(const struct serve *serve);
const char *serve_health_address(const struct serve *serve);
/*
 * Stops taking connections, answers what waits, ends the streams, and returns
 * when nothing is under way (or after drain_seconds).  Before engine_close().
 */
void serve_drain(struct serve *serve);
/* After engine_close(): no reply can come any more. */
void serve_free(struct serve *serve);

/* --- tokens: gw_<kind>_ and 43 random characters and a checksum of 6 ------------------------- */

enum { SERVE_TOKEN_BYTES = 96 };
/* kind: a role's name.  The text is to be shown once; what is kept is its SHA-256. */
void serve_token_make(const char *kind, char ret[SERVE_TOKEN_BYTES], char ret_sha256[65]);
/* ERR_INPUT when there is no such role. */
int serve_role_check(const char *role, struct err *err) ATTR_MUST_USE;

#endif
