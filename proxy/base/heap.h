#ifndef SPILLWAY_PROXY_BASE_HEAP_H
#define SPILLWAY_PROXY_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

/*
 * A binary heap in an array of the caller's: the smallest key comes first. To
 * take the first away, put the last in its place and call heap_settle.
 */
struct heap_entry {
	uint64_t key;
	void *item;
};

/* Any entries become a heap. */
void heap_build(struct heap_entry *h, size_t count);
/* The first one has another key now. */
void heap_settle(struct heap_entry *h, size_t count);

#endif
