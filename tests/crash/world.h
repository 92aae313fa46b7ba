/* SPDX-License-Identifier: MIT */
/*
 * What the crash test works in: a folder of its own with a store, artifacts and
 * a configuration; the sandbox; the real program, run as a child, undisturbed
 * or with the shim that lets something happen at a boundary; and an engine in
 * this process (inside.h), for looking at what a child left behind.
 */
#ifndef TESTS_CRASH_WORLD_H
#define TESTS_CRASH_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/json.h"
#include "inside.h"

/* What deliveries to /webhook/hook carry in X-Webhook-Secret. */
#define HOOK_SECRET "a-secret-of-thirty-two-characters"

struct world {
	char *folder; /* ours: gangway.lua, state/, out/ */
	const char *program, *shim, *plugins, *root;
	pid_t sandbox;
	int control_port;
	struct inside *inside;
	json_t *before; /* path -> what the sandbox had been told when the world was kept */
};

enum crash_mode { CRASH_BEFORE, CRASH_AFTER, CRASH_HALF, CRASH_POWER, CRASH_ERROR };
extern const char *const crash_mode_names[5];

/* What happens to a command, and at which boundary; see shim.h. */
struct fault {
	enum crash_mode mode;
	long at; /* 0: nothing happens, boundaries are counted */
	unsigned long seed;
	const char *error;
	bool is_sticky;
};

/* How a command ended. */
struct ending {
	bool is_killed; /* by SIGKILL: the shim */
	int code;       /* exit code, -1 when killed by anything */
	json_t *lines;  /* the JSON values it printed, one a line, but an unfinished last line */
	char *errors;   /* what it wrote to stderr */
	bool is_late;   /* it did not end in time and was killed by us */
	long count, file_count; /* boundaries, and those of files alone; 0: it did not say */
	bool is_written_after;  /* it added to the log after a sync of it had failed */
};

/* Reads GANGWAY_BIN, GANGWAY_SANDBOX, GANGWAY_PLUGIN_DIR, CRASH_SHIM; says what is missing. */
bool world_open(struct world *world);
void world_close(struct world *world);
/* Nothing has happened yet: an empty store, no artifacts, a sandbox that was told nothing. */
void world_reset(struct world *world);
/* What the world is now becomes what world_restore() brings back: files, and what was heard. */
void world_keep(struct world *world);
void world_restore(struct world *world);
/* From now on the program works on the graphs of this folder, with these plugins ("slack clm";
 * NULL: all of them). */
void world_configure(struct world *world, const char *graphs, const char *plugins);

/* args: NULL-terminated, without the program's name; --json and --config are added.
 * fault NULL: without the shim. */
void world_run(struct world *world, const char *const *args, const struct fault *fault,
               struct ending *ret);
/* The same with "serve": talk() is called when it listens; then it is asked to stop. */
typedef void world_talk_cb(void *arg, int port);
void world_serve(struct world *world, const struct fault *fault, world_talk_cb *talk, void *arg,
                 struct ending *ret);
void ending_release(struct ending *ending);
/* The last JSON value printed; NULL when there is none. */
const json_t *ending_last(const struct ending *ending);

/* One HTTP request to a port of this machine; its status, 0: no answer came. ret_body: may be
 * NULL, to be freed. */
int world_talk(int port, const char *method, const char *path, const char *headers,
               const char *body, char **ret_body);
/* A list of the sandbox's control port (/_sandbox/...), with what it was told before; new. */
json_t *world_heard(const struct world *world, const char *path);
char *world_read(const char *path); /* a whole file, to be freed; it must be there */
/* A file below the folder gets this text; its folders are made. */
void world_write(const struct world *world, const char *name, const char *text);
/* What the store's file says of itself; true when all is well. */
bool world_store_is_sound(const struct world *world);
/* {"name": text} of the artifacts folder, temporary files included; new. */
json_t *world_artifacts(const struct world *world);

#endif
