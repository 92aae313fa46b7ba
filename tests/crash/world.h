/* SPDX-License-Identifier: MIT */
/*
 * What the crash test works in: a folder of its own with a store, artifacts and
 * a configuration; the sandbox; and the real program, run as a child, undisturbed
 * or with the shim that ends it at a boundary.
 */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/json.h"

struct world {
	char *folder; /* ours: gangway.lua, state/, out/ */
	const char *program, *shim, *plugins, *root;
	pid_t sandbox;
	int control_port;
	const char *graphs; /* the folder of graphs the configuration names now */
};

/* How a command ended. */
struct ending {
	bool is_killed; /* by SIGKILL: the shim */
	int code;       /* exit code, -1 when killed by anything */
	json_t *lines;  /* the JSON values it printed, one a line, but an unfinished last line */
	char *errors;   /* what it wrote to stderr */
	bool is_late;   /* it did not end in time and was killed by us */
};

enum crash_mode { CRASH_BEFORE, CRASH_AFTER, CRASH_HALF };
extern const char *const crash_mode_names[3];

/* Reads GANGWAY_BIN, GANGWAY_SANDBOX, GANGWAY_PLUGIN_DIR, CRASH_SHIM; says what is missing. */
bool world_open(struct world *world);
void world_close(struct world *world);
/* Nothing has happened yet: an empty store, no artifacts, a sandbox that was told nothing. */
void world_reset(struct world *world);
void world_graphs(struct world *world, const char *folder);

/* args: NULL-terminated, without the program's name; --json and --config are added.
 * at 0: undisturbed; then *ret_count (may be NULL) gets how many boundaries there were. */
void world_run(struct world *world, const char *const *args, long at, enum crash_mode mode,
               struct ending *ret, long *ret_count);
void ending_release(struct ending *ending);
/* The last JSON value printed; NULL when there is none. */
const json_t *ending_last(const struct ending *ending);

/* GET of the sandbox's control port; new, NULL when it failed. */
json_t *world_sandbox(const struct world *world, const char *path);
char *world_read(const char *path); /* a whole file, to be freed; it must be there */
/* A file below the folder gets this text; its folders are made. */
void world_write(const struct world *world, const char *name, const char *text);
/* What the store's file says of itself; true when all is well. */
bool world_store_is_sound(const struct world *world);
/* {"name": text} of the artifacts folder, temporary files included; new. */
json_t *world_artifacts(const struct world *world);

#endif
