/* SPDX-License-Identifier: MIT */
#include "base/map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/must.h"

void map_init(struct map *map)
{
	*map = (struct map){ 0 };
}

void map_release(struct map *map)
{
	for (size_t i = 0; i < map->len; i++)
		free(map->entries[i].key);
	free(map->entries);
	free(map->slots);
	map_init(map);
}

static uint64_t hash_of(const char *key)
{
	uint64_t hash = 14695981039346656037u;
	for (; *key; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return hash;
}

/* The slot that holds the key, or the free one where it would go. */
static size_t slot_of(const struct map *map, const char *key, uint64_t hash)
{
	size_t slot = hash & (map->slot_count - 1);
	for (; map->slots[slot] != 0; slot = (slot + 1) & (map->slot_count - 1)) {
		const struct map_entry *entry = &map->entries[map->slots[slot] - 1];
		if (entry->key && entry->hash == hash && strcmp(entry->key, key) == 0)
			break;
	}
	return slot;
}

/* Drops removed entries and makes the slots fit; slots only ever point to live entries after it. */
static void rebuild(struct map *map)
{
	size_t len = 0;
	for (size_t i = 0; i < map->len; i++)
		if (map->entries[i].key)
			map->entries[len++] = map->entries[i];
	map->len = len;
	size_t want = 16;
	while (want < (len + 1) * 3)
		want *= 2;
	free(map->slots);
	map->slots = mem_alloc(want * sizeof(*map->slots));
	map->slot_count = want;
	for (size_t i = 0; i < len; i++)
		map->slots[slot_of(map, map->entries[i].key, map->entries[i].hash)] = (uint32_t)i +
		                                                                      1;
}

void *map_get(const struct map *map, const char *key)
{
	if (map->slot_count == 0)
		return NULL;
	uint32_t at = map->slots[slot_of(map, key, hash_of(key))];
	return at ? map->entries[at - 1].value : NULL;
}

void map_set(struct map *map, const char *key, void *value)
{
	if ((map->len + 1) * 2 > map->slot_count)
		rebuild(map);
	uint64_t hash = hash_of(key);
	size_t slot = slot_of(map, key, hash);
	if (map->slots[slot] != 0) {
		map->entries[map->slots[slot] - 1].value = value;
		return;
	}
	if (map->len == map->size) {
		map->size = map->size ? map->size * 2 : 8;
		map->entries = mem_grow(map->entries, map->size, sizeof(*map->entries));
	}
	map->entries[map->len++] = (struct map_entry){ mem_dup_str(key), hash, value };
	map->slots[slot] = (uint32_t)map->len;
	map->live++;
}

void *map_remove(struct map *map, const char *key)
{
	if (map->slot_count == 0)
		return NULL;
	uint32_t at = map->slots[slot_of(map, key, hash_of(key))];
	if (at == 0)
		return NULL;
	struct map_entry *entry = &map->entries[at - 1];
	void *value = entry->value;
	free(entry->key);
	entry->key = NULL; /* the slot stays taken, so that probing goes on past it */
	entry->value = NULL;
	map->live--;
	return value;
}

struct map_entry *map_each(const struct map *map, size_t *cursor)
{
	while (*cursor < map->len) {
		struct map_entry *entry = &map->entries[(*cursor)++];
		if (entry->key)
			return entry;
	}
	return NULL;
}
