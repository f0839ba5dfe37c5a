#ifndef SPILLWAY_STORAGE_FORGET_H
#define SPILLWAY_STORAGE_FORGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Forgetting channels: of those that were idle for long, of which nothing is
 * kept and to which nobody listens, not even the newest id stays.
 *
 * What remains is one number for all of them: the newest event that any of them
 * had. Until then a channel that comes anew may have had events, so that a
 * cursor from before it is told of a loss, even where there was none; a cursor
 * behind it is answered exactly, as always. Since the events of forgotten
 * channels are older than `age_ms`, so are the cursors that this concerns.
 *
 * How long a channel was idle is seen by its newest id, with no clock per
 * channel: a mark in the store says what the head was at a time. When the mark
 * is old enough, all channels that end before it are due, and a new one is set:
 * a channel is forgotten when it was idle for one to two times the age.
 *
 * Of the writer's thread.
 */
struct writer;

struct forget {
	_Atomic uint64_t age_ms; /* 0: no channel is forgotten */
	_Atomic uint64_t count;  /* channels, since the start */
	bool running;            /* a walk over all channels is under way: */
	uint64_t upto;           /* ids of channels that are due */
	uint64_t had;            /* count when it began */
	uint32_t hand;           /* number of the channel it has come to */
};

/* Is it time for a walk, or for a mark? */
void forget_once_a_second(struct forget *f, struct writer *w);

/*
 * Look at some channels of the walk, and forget those that are due. A failure
 * of the store ends the walk, and changes nothing.
 */
int forget_step(struct forget *f, struct writer *w);

#endif
