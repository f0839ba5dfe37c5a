#ifndef SPILLWAY_PROXY_STREAM_MERGE_H
#define SPILLWAY_PROXY_STREAM_MERGE_H

#include "proxy/base/heap.h"

struct event;
struct link;

/*
 * What several links of one subscriber have not written yet, in the order of
 * ids over all of their windows: a heap, so that an event costs the logarithm
 * of the number of links. The windows must not change meanwhile. One thread.
 */
struct merge {
	struct heap_entry *heap; /* links, by the ids of their next events */
	size_t count, size;
};

/* Those of the links, from the first on, that are not alone. SW_ENOMEM. */
int merge_begin(struct merge *m, struct link *first);
/* The oldest event, borrowed, and its link; NULL: there are no more. */
struct event *merge_peek(const struct merge *m, struct link **owner);
void merge_advance(struct merge *m);
/* What it has allocated is kept for the next one until it is freed. */
void merge_free(struct merge *m);

#endif
