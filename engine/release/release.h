/* SPDX-License-Identifier: MIT */
/*
 * A release: the pinned set behind a run - graph, rule sets, prompts, plugin
 * builds, engine version - content-addressed (DESIGN.md 6).
 *
 * release_current() reads the folders as they are now; files that did not
 * change since the last look are not read again.  release_load() builds the
 * same thing from the store for a run that started earlier, so editing a file
 * never changes a running run.  A release is immutable and counted.
 *
 * Thread: releases may be shared; struct releases (the cache) is guarded inside.
 */
#ifndef RELEASE_H
#define RELEASE_H

#include "base/attr.h"
#include "base/err.h"
#include "base/json.h"
#include "chart/chart.h"
#include "store/store.h"

struct releases;

struct release {
	char sha256[65]; /* of the canonical pins */
	/*
	 * {"engine":{"version"}, "graph":{"name","file","sha256","files":{name: sha}},
	 *  "rules":{set:{"version","sha256","files":{}}}, "prompts":{name:{"version","sha256"}},
	 *  "plugins":{name:{"version","sha256"}}}
	 */
	json_t *pins;
	const struct chart *chart;
	json_t *graph_files; /* {file: text} of the graph's folder */
	json_t *rules;       /* {set: {"sha256", "files": {file: text}}} */
	json_t *prompts;     /* {name: {"version","sha256","text"}} */
	struct release_int *own;
};

struct release_folders {
	const char *graphs, *rules, *prompts;
	const char *engine_version;
	const json_t *plugins; /* {name: {"version","sha256"}} of what is loaded */
};

struct releases *releases_new(const struct release_folders *folders);
void releases_free(struct releases *releases);

/*
 * Who guards a server's releases: a graph whose files changed starts no run before
 * check has agreed (0), and the release before it stays when it has not, or when
 * the files cannot be read at all.  told says what came of each change, once:
 * err NULL: runs start with release from now on.  The cache is locked meanwhile.
 */
struct release_guard {
	void *ctx;
	int (*check)(void *ctx, struct release *release, struct err *err);
	void (*told)(void *ctx, const char *graph, const struct release *release,
	             const struct err *err);
};
/* Before the first release_current(). */
void releases_guard(struct releases *releases, const struct release_guard *guard);
/* Looks at every graph that has a release now, so that changes are told without a start. */
void releases_look(struct releases *releases);

/*
 * The release a run of this graph would start with now.  graph is a folder's
 * name ("onboarding": graphs/onboarding/onboarding.scxml) or FOLDER/FILE
 * ("onboarding/onboarding-sequential").  ERR_ABSENT, ERR_INPUT name the place.
 */
int release_current(struct releases *releases, const char *graph, struct release **ret,
                    struct err *err) ATTR_MUST_USE;
/* From the store by the hash of its pins. */
int release_load(struct releases *releases, struct store *store, const char *sha256,
                 struct release **ret, struct err *err) ATTR_MUST_USE;
struct release *release_ref(struct release *release);
void release_unref(struct release *release); /* NULL is fine */

/* May a file of the folder root be read: it is there, and no link leads out of the folder. */
bool release_is_inside(const char *root, const char *path);

/*
 * What must be in the store before a run may name this release: adds blobs
 * (pins and files) that this store has not been given yet.  Each is reported to
 * found; the strings live as long as the release.
 */
void release_blobs(struct release *release, void (*found)(void *arg, struct str bytes), void *arg);

/* Reads a file of the pinned graph folder; for charts, templates, schemas. */
struct chart_folder release_folder(const struct release *release);
/* The chart that <invoke type="scxml" src> names, compiled once per release; referenced. */
int release_child(struct release *release, const char *src, struct chart **ret,
                  struct err *err) ATTR_MUST_USE;
/* Names of the graphs that the folder offers, sorted; new array. */
json_t *release_graphs(const struct releases *releases);
/* A folder's text files: {file: text}, and the SHA-256 over names and contents. */
int release_read_folder(const char *path, json_t **ret_files, char ret_sha256[65],
                        struct err *err) ATTR_MUST_USE;

#endif
