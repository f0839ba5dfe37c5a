#ifndef SPILLWAY_STORAGE_HISTORY_H
#define SPILLWAY_STORAGE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/event.h"
#include "storage/store.h"

/*
 * Reading the past of channels out of an engine: which events come after a
 * cursor, in order over all channels, and what of them is history no more.
 *
 * The walk starts at a known event (`newest`) and finds its way back along the
 * chain of the channel; see storage/chain.h.
 */
struct history_part {
	struct channel *channel; /* borrowed */
	uint64_t after;          /* read what is newer than this */
	uint64_t newest;         /* down from this event; 0: there is none */
	/* Out: */
	bool gap;       /* something newer than `after` was lost */
	uint64_t first; /* the oldest that is left of it, or 0 */
};

struct history_query {
	/* In: */
	struct history_part *parts;
	size_t part_count;
	uint64_t upto; /* above 0: nothing newer than this */
	uint64_t last; /* above 0: only so many newest, over all parts */
	/* Ids from elsewhere, which count among the newest; are sorted. */
	uint64_t *others;
	size_t other_count;
	size_t limit;     /* events per answer */
	size_t max_bytes; /* of payload, unless a single event has more */
	uint64_t floor;   /* of the log */
	uint64_t unix_ms; /* by which age is judged */
	/* Out: */
	struct event **events; /* references, in order of ids */
	size_t count;
	bool more; /* there are others behind the last event */
	/* Behind which id the newest begin; UINT64_MAX: there are none. */
	uint64_t newest_after;
};

/*
 * Answer the query with one consistent view of the store. On failure (what the
 * engine returns, SW_ENOMEM) the query holds no events.
 */
int history_read(struct store_reader *r, const struct store_ops *ops,
    struct history_query *q);

/* What is kept of a channel. */
struct history_span {
	struct channel *channel; /* borrowed */
	struct store_row first;  /* the oldest event kept; id 0: none is */
	struct store_row last;   /* and the newest */
};

/* Fill in the spans of some channels, as they are at that time. */
int history_spans(struct store_reader *r, const struct store_ops *ops,
    struct history_span *spans, size_t count, uint64_t floor, uint64_t unix_ms);

void history_query_fini(struct history_query *q); /* drops the events */

#endif
