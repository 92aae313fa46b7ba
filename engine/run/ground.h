/* SPDX-License-Identifier: MIT */
/*
 * What an engine stands on.  main leaves it out and gets threads, libuv, curl,
 * SQLite and files.  Who hands one in (the simulator, tests/sim) owns time,
 * order and death: no thread is started, the engine runs only inside callbacks of
 * the ground's loops and inside engine_write(), and everything that it does to
 * the world passes here.  What runs is the same code.
 *
 * A process that dies is played like this: from the moment of death the ground
 * drops whatever the engine still tries to do, until control is back with it;
 * then engine_abandon() frees what the process had in memory.
 */
#ifndef RUN_GROUND_H
#define RUN_GROUND_H

#include "base/err.h"
#include "base/loop.h"
#include "base/rand.h"
#include "base/str.h"
#include "store/store.h"
#include "wire/wire.h"

struct engine;

struct engine_ground {
	void *ctx;
	struct store *store; /* the ground's: the engine does not close it */
	struct rand rand;
	const struct wire_far *far; /* where requests go instead of the network */
	/* The loop of a worker; the ground's.  All of its operations are there, also the wakes. */
	struct loop *(*loop)(void *ctx, int worker);
	/* Something waits to be committed: engine_write() must be called, later. */
	void (*write_soon)(void *ctx);
	/* The store failed: the process would stop here.  Returns; the engine does nothing more. */
	void (*stop)(void *ctx, const struct err *err);
	/* An artifact, whole. */
	void (*put_file)(void *ctx, const char *name, struct str text);
};

/* One turn of the writer: commits what waits. */
void engine_write(struct engine *engine);
/* The end of a process that died: frees, finishes nothing, tells nobody. */
void engine_abandon(struct engine *engine);

#endif
