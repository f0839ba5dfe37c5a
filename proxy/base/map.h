#ifndef SPILLWAY_PROXY_BASE_MAP_H
#define SPILLWAY_PROXY_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/str.h"

/*
 * String to pointer, for channels. Entries are embedded in what they find, so
 * the map allocates nothing but its table. The hash has a random key: names
 * come from strangers. One thread, or the caller's lock.
 */
struct map_entry {
	struct map_entry *next;
	uint64_t hash;
	struct str key; /* borrowed: lives as long as the entry */
};

struct map {
	struct map_entry **slots;
	size_t size; /* a power of two, or 0 before the first entry */
	size_t count;
	uint64_t seed;
};

void map_init(struct map *m, uint64_t seed);
void map_fini(struct map *m); /* the entries stay with their owners */

/* NULL if there is none. */
struct map_entry *map_find(const struct map *m, struct str key);
/* The key must not be in the map yet. SW_ENOMEM leaves the map as it was. */
int map_add(struct map *m, struct map_entry *e, struct str key);
void map_remove(struct map *m, struct map_entry *e);

/* All entries, in no order: start with NULL; NULL ends. */
struct map_entry *map_next(const struct map *m, const struct map_entry *e);

#endif
