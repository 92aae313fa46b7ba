/* SPDX-License-Identifier: MIT */
/*
 * An engine on the bench: a folder of its own with graphs, rules and artifacts,
 * a clock that the test sets, the shipped plugin http, and a far side that
 * answers as the path says:
 *
 *   /ok...     200 {"ok":true}
 *   /bad...    400 {"error":"no"}
 *   /mend...   as /bad the first time, then as /ok
 *   /lost...   takes the request and closes without an answer
 *   /hold...   waits for engine_rig_let_go(), then as /ok
 *
 * Nothing sleeps: a request ends when its last reply has come.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/attr.h"
#include "run/engine.h"

struct engine_rig {
	char *folder;
	char *store_path;
	struct engine *engine;
	struct engine_options options;
	struct plugins *plugins;
	json_t *connections;
	atomic_llong now_ms;
	bool has_plugins;
	/* the far side */
	int listener, port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_released, is_closing;
	atomic_int mend_count, slip_count;
	int open_clients;
	json_t *requests; /* ["POST /ok key body"] */
	json_t *log;      /* lines of the engine's log */
};

/* is_durable: a SQLite file, so that it can be reopened; else the store that forgets. */
void engine_rig_init(struct engine_rig *rig, bool is_durable);
void engine_rig_release(struct engine_rig *rig);
void engine_rig_open(struct engine_rig *rig);
void engine_rig_close(struct engine_rig *rig);
/* As after kill -9, as far as one process can: nothing that is open is waited for. */
void engine_rig_reopen(struct engine_rig *rig);

/* graphs/NAME/NAME.scxml: body goes into <scxml datamodel="lua" gw:on-error="block">. */
void engine_rig_graph(struct engine_rig *rig, const char *name, const char *attributes,
                      const char *body);
void engine_rig_file(struct engine_rig *rig, const char *name, const char *text);
char *engine_rig_read(struct engine_rig *rig, const char *name); /* NULL: there is none */

/* Asks and waits for the last reply; new.  The request is JSON text with printf's signs. */
json_t *engine_rig_ask(struct engine_rig *rig, const char *format, ...) ATTR_PRINTF(2, 3);
/* The id of the error of such a reply; "" when it is none. */
const char *rig_error(const json_t *reply);
/* A run started and waited for; its id goes to id.  NULL input: {}. */
json_t *engine_rig_start(struct engine_rig *rig, const char *graph, const char *correlation_id,
                         const char *input, char id[32]);
/* "status" of a run as it is shown now; good until the next call. */
const char *engine_rig_status(struct engine_rig *rig, const char *run);
/* The run's records; new. */
json_t *engine_rig_events(struct engine_rig *rig, const char *run);
/* How many of them are of this kind. */
int engine_rig_count(struct engine_rig *rig, const char *run, const char *kind);

/* A request whose replies come while the test goes on. */
struct rig_asker {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	json_t *replies;
	bool has_last;
};
void rig_asker_init(struct rig_asker *asker);
void rig_asker_send(struct rig_asker *asker, struct engine_rig *rig, const char *format, ...)
	ATTR_PRINTF(3, 4);
/* Waits until there are so many replies, or the last one; borrowed. */
const json_t *rig_asker_wait(struct rig_asker *asker, size_t count);
/* Waits for the last one; borrowed. */
const json_t *rig_asker_last(struct rig_asker *asker);
void rig_asker_release(struct rig_asker *asker);

/* What is held is answered, now and from now on. */
void engine_rig_let_go(struct engine_rig *rig);
/* Waits until the far side has seen so many requests. */
void engine_rig_seen(struct engine_rig *rig, size_t count);
size_t engine_rig_requests(struct engine_rig *rig);

#endif
