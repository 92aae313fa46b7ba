/* SPDX-License-Identifier: MIT */
/*
 * What release_current() gave a moment ago, and whether anything was touched
 * since.  While nothing was, a start reads no file and compiles nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "release/release_int.h"

void current_free(struct current_release *current)
{
	for (size_t i = 0; i < current->folder_count; i++)
		free(current->folders[i].path);
	free(current->folders);
	release_unref(current->release);
	free(current);
}

static void find_places(const struct releases *releases, struct watch_place ret[3])
{
	const char *roots[3] = { releases->graphs, releases->rules, releases->prompts };
	for (size_t i = 0; i < 3; i++)
		ret[i] = watch_place(roots[i]);
}

static bool is_untouched(const struct releases *releases, const struct current_release *current,
                         uint64_t generation)
{
	struct watch_place places[3];
	if (!current->is_watched || current->generation != generation)
		return false;
	find_places(releases, places);
	for (size_t i = 0; i < 3; i++)
		if (places[i].ino != current->places[i].ino ||
		    places[i].dev != current->places[i].dev)
			return false;
	return true;
}

/* What a folder looks like; one that is not there looks like nothing else. */
static void stamp_of(const char *path, char ret[65])
{
	struct err err = { 0 };
	if (folder_stamp(path, ret, &err) < 0)
		snprintf(ret, 65, "%s", err.code == ERR_ABSENT ? "absent" : "");
}

/* Watches first, so that what is touched while we look counts as touched since. */
static void look_again(struct releases *releases, struct current_release *current)
{
	current->is_watched = true;
	for (size_t i = 0; i < current->folder_count; i++)
		if (!watch_folder(&releases->watch, current->folders[i].path))
			current->is_watched = false;
	current->generation = watch_generation(&releases->watch);
	find_places(releases, current->places);
}

/* Nothing touched since: the same release, without reading or compiling anything. */
struct release *current_find(struct releases *releases, const char *graph)
{
	struct current_release *current = map_get(&releases->current, graph);
	if (!current)
		return NULL;
	if (is_untouched(releases, current, watch_generation(&releases->watch)))
		return release_ref(current->release);
	look_again(releases, current);
	for (size_t i = 0; i < current->folder_count; i++) {
		char stamp[65];
		stamp_of(current->folders[i].path, stamp);
		if (*stamp && strcmp(stamp, current->folders[i].stamp) == 0)
			continue;
		current->is_watched = false; /* what is read next takes its place */
		return NULL;
	}
	return release_ref(current->release);
}

void current_stay(struct releases *releases, struct current_release *current)
{
	look_again(releases, current);
	for (size_t i = 0; i < current->folder_count; i++)
		stamp_of(current->folders[i].path, current->folders[i].stamp);
}

/* Remembers the folders that the caches hold the stamps of; an empty stamp never matches. */
void current_keep(struct releases *releases, const char *graph, struct release *release)
{
	struct current_release *current = mem_alloc(sizeof(*current));
	struct current_release *before = map_get(&releases->current, graph);
	size_t count = json_object_size(release->rules) + 2;
	current->release = release_ref(release);
	current->folders = mem_alloc(count * sizeof(*current->folders));
	char *paths[2] = { mem_format("%s/%.*s", releases->graphs, (int)strcspn(graph, "/"), graph),
		           mem_dup_str(releases->prompts) };
	const char *set;
	json_t *ignored;
	for (size_t i = 0; i < 2; i++)
		if (paths[i])
			current->folders[current->folder_count++].path = paths[i];
	json_object_foreach(release->rules, set, ignored)
		current->folders[current->folder_count++].path = mem_format("%s/%s",
		                                                            releases->rules, set);
	for (size_t i = 0; i < current->folder_count; i++) {
		const char *path = current->folders[i].path;
		const struct folder_cache *cache = map_get(&releases->folders, path);
		if (cache)
			snprintf(current->folders[i].stamp, sizeof(current->folders[i].stamp), "%s",
			         cache->stamp);
		else
			stamp_of(path, current->folders[i].stamp);
	}
	if (before)
		current_free(before);
	map_set(&releases->current, graph, current);
}
