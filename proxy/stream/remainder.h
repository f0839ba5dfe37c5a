#ifndef SPILLWAY_PROXY_STREAM_REMAINDER_H
#define SPILLWAY_PROXY_STREAM_REMAINDER_H

#include "proxy/stream/subscriber.h"

/*
 * The rest of an event that was begun for a subscriber which has ended: the
 * peer could not tell our last words from the event's bytes before it is whole.
 */
struct remainder;

/* Of what the subscriber has begun; NULL if memory ran out. */
struct remainder *remainder_of(const struct subscriber *s);
/*
 * Write it, then what is waiting behind it, and close in good order. Takes the
 * remainder; the connection is nobody's else.
 */
void remainder_write(struct remainder *r, struct conn *c);

#endif
