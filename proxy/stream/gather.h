#ifndef SPILLWAY_PROXY_STREAM_GATHER_H
#define SPILLWAY_PROXY_STREAM_GATHER_H

#include <sys/uio.h>

#include "transports/codec.h"
#include "transports/transport.h"

/*
 * What lies between a cursor and the head, in one form, ready to be written.
 *
 * Subscribers that stand at the same place write the same bytes, so a gather is
 * kept and used again as long as it fits; several small events are laid out in
 * one piece, which costs one copy for all of them instead of one scatter list
 * for each.
 */
struct hub_channel;
struct link;

enum {
	GATHER_EVENTS = 1024,
	GATHER_PIECES = 1024,     /* what a system call takes */
	GATHER_BYTES = 256 << 10, /* but always one event */
};

struct gather {
	/* What it was made for: */
	const struct hub_channel *channel;
	uint64_t generation;
	uint64_t from;
	enum form form;
	/* What it holds; events are borrowed from a window or a replay. */
	uint32_t count;
	uint32_t written; /* went out whole, when it was written last */
	uint64_t payload; /* bytes */
	size_t bytes;
	size_t ends[GATHER_EVENTS]; /* of each event's bytes, in all of them */
	struct event *events[GATHER_EVENTS];
	struct link *owners[GATHER_EVENTS]; /* if of several channels */
	struct iovec iov[GATHER_PIECES];
	int iov_count;
	struct buf flat;
};

struct gather *gather_new(void);
void gather_free(struct gather *g);

void gather_begin(struct gather *g, enum form form);
/* Add an event; false when it is full. SW_ENOMEM in `*err`. */
bool gather_add(struct gather *g, struct codec *c, struct event *e, int *err);
/* Nothing more comes: prepare iov. */
void gather_end(struct gather *g);

/* All events of a channel's window behind `from`; reuses what fits. */
int gather_window(struct gather *g, struct codec *c,
    const struct hub_channel *hc, enum form form, uint64_t from);

/* How many events are whole within the first `bytes` of it. */
uint32_t gather_whole(const struct gather *g, size_t bytes);

/* Where event `i` begins. */
static inline size_t
gather_start(const struct gather *g, uint32_t i)
{
	return i == 0 ? 0 : g->ends[i - 1];
}

#endif
