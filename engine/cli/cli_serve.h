/* SPDX-License-Identifier: MIT */
/* A server and what may change while it runs; private to cli/. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include "cli/cli_int.h"

struct serve;

struct server {
	struct cli *cli;
	struct engine *engine; /* NULL: not open yet */
	struct serve *serve;   /* NULL: not started yet */
	pthread_mutex_t lock;  /* one reload at a time */
	struct timespec config_touched;
};

/* cli_notify.c: "READY=1", to whoever manages services; nothing happens when nobody does. */
void notify(const char *format, ...) ATTR_PRINTF(1, 2);
void notify_reloading(void);

/* cli_reload.c.  The commands of the program itself: engine_options.control and release_check. */
json_t *server_control(void *ctx, const json_t *request);
int server_check(void *ctx, struct release *release, struct err *err);
void server_begin(struct server *server); /* once all of it is open */
/* Whatever changed: graphs, rules, prompts, and (when it was touched, or always) the configuration.
 * [{"what","ok","text"}]; new. */
json_t *server_reload(struct server *server, bool always);

#endif
