/* SPDX-License-Identifier: MIT */
/*
 * String-keyed map of pointers (open addressing, FNV-1a).  Keys are copied,
 * values are borrowed.  map_each() visits in insertion order, so that nothing
 * that is written down depends on hashing.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
	char *key; /* NULL: removed */
	uint64_t hash;
	void *value;
};

struct map {
	struct map_entry *entries; /* in insertion order */
	size_t len, size, live;
	uint32_t *slots; /* 0: free, else 1 + index of the entry */
	size_t slot_count;
};

void map_init(struct map *map);
void map_release(struct map *map);
void *map_get(const struct map *map, const char *key); /* NULL: absent */
void map_set(struct map *map, const char *key, void *value);
void *map_remove(struct map *map, const char *key); /* the value that was there, or NULL */
/* for (size_t i = 0; (entry = map_each(map, &i)); ) */
struct map_entry *map_each(const struct map *map, size_t *cursor);

#endif
