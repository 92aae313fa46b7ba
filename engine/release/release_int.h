/* SPDX-License-Identifier: MIT */
#ifndef RELEASE_INT_H
#define RELEASE_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/map.h"
#include "release/release.h"

/* A folder as it was when last read; stamp changes when any file in it does. */
struct folder_cache {
	char *path;
	char stamp[65];
	char sha256[65];
	json_t *files; /* {name: text} */
};

/* release_watch.c: the kernel's word that files were touched. */
struct watch {
	int fd; /* -1: it tells nothing */
	uint64_t generation;
};
/* Which folder a path led to: it may be a link that is turned to another. */
struct watch_place {
	dev_t dev;
	ino_t ino;
};
void watch_init(struct watch *watch);
void watch_release(struct watch *watch);
/* Goes up when something was touched in any folder that is watched. */
uint64_t watch_generation(struct watch *watch);
/* False: changes in it may go unnoticed. */
bool watch_folder(struct watch *watch, const char *path);
struct watch_place watch_place(const char *path);

/* What release_current gave last for a graph, and the folders it came from as they were then. */
struct current_release {
	struct release *release;
	struct {
		char *path;
		char stamp[65];
	} * folders;
	size_t folder_count;
	/* Of the last look; when it and the places are the same, nothing was touched since. */
	uint64_t generation;
	bool is_watched;
	struct watch_place places[3]; /* graphs, rules, prompts */
};

struct releases {
	char *graphs, *rules, *prompts, *engine_version;
	json_t *plugins;
	pthread_mutex_t lock;
	struct map folders; /* path -> struct folder_cache */
	struct map by_hash; /* pins' hash -> struct release, referenced */
	struct map current; /* graph -> struct current_release */
	struct watch watch;
	struct release_guard guard; /* check NULL: none */
};

/* release_current.c: the release that a graph had last, if nothing was touched; referenced. */
struct release *current_find(struct releases *releases, const char *graph);
void current_keep(struct releases *releases, const char *graph, struct release *release);
/* Stays with what it has until something is touched again. */
void current_stay(struct releases *releases, struct current_release *current);
void current_free(struct current_release *current);

struct release_int {
	atomic_int refs;
	pthread_mutex_t lock;
	struct map children; /* file -> struct chart, referenced */
};

/* Cached release_read_folder; files and hash are borrowed from the cache.  The lock is held. */
int folder_read(struct releases *releases, const char *path, const struct folder_cache **ret,
                struct err *err) ATTR_MUST_USE;
/* What stat says of a folder's files, hashed: the same while nothing was touched. */
int folder_stamp(const char *path, char ret[65], struct err *err) ATTR_MUST_USE;
/* The names in a directory that are text, in byte order; new, empty when there is no directory. */
json_t *folder_names(const char *path);
void folder_cache_free(struct folder_cache *cache);

/* Builds a release from its parts and compiles the chart; steals pins and the three tables. */
int release_build(json_t *pins, json_t *graph_files, json_t *rules, json_t *prompts,
                  struct release **ret, struct err *err) ATTR_MUST_USE;

#endif
