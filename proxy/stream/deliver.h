#ifndef SPILLWAY_PROXY_STREAM_DELIVER_H
#define SPILLWAY_PROXY_STREAM_DELIVER_H

#include "proxy/stream/subscriber.h"

/*
 * Writing to a subscriber what lies between its cursors and the heads: from the
 * windows, or from history where it fell behind them, as far as its socket
 * takes it.
 */
struct replay;

/*
 * Write what is waiting and what is new, and start reading history where that
 * is needed. Closes the subscriber on failure.
 */
void deliver_flush(struct subscriber *s);

/* Events became available to one of its links. */
void deliver_wake(struct link *l);

/* A read of history ended; its events are borrowed. */
void deliver_replayed(struct subscriber *s, struct replay *r);

/* Is there anything behind the positions of the links that are not alone? */
bool deliver_has_news(const struct subscriber *s);

/*
 * Must its link `alone`, or any of those that are not alone, be read from the
 * store? Losses that are certain are told on the way.
 */
bool deliver_needs_store(struct subscriber *s, const struct link *alone);

/*
 * Having caught up, up to where does it have everything of its link `only`, or
 * of those that are not alone? A read may have been ahead of this worker.
 */
uint64_t deliver_upto(const struct subscriber *s, const struct link *only);

/*
 * Close it if a channel of it was deleted, true then: what came after that in
 * its other channels would move its cursor past events that it never had.
 */
bool deliver_is_over(struct subscriber *s);

/* Would an event be written at once, if there were one? */
bool deliver_possible(const struct subscriber *s);

/* The socket is full; `progress`: it took something just now. */
void deliver_stuck(struct subscriber *s, bool progress);

#endif
