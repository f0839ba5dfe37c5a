#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_PRESENCE_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_PRESENCE_H

#include "proxy/stream/subscriber.h"

/*
 * The backend is told who subscribes to the channels that say
 * `bridge-presence`: spillway.subscribe and spillway.unsubscribe per channel,
 * and one spillway.disconnect for those that a stream had at its end, in the
 * order in which it happened, and in one order with what its client sends. The
 * disconnect is stored before all of them, as a will, for the case that the
 * gateway is killed. And where the channel says `presence-events`, coming is an
 * event of the channel, and so is then going, whatever it says by that time.
 */

/* Does it need headers of its request for that? Once it has its links. */
bool presence_wants_headers(const struct subscriber *s);

/* It has its first links. */
void presence_began(struct subscriber *s);
/* One more; or one less, which it still has. */
void presence_linked(struct subscriber *s, struct link *l);
void presence_unlinked(struct subscriber *s, struct link *l);
/* Its token is another one. */
void presence_renamed(struct subscriber *s);
/* It ends, and still has its links. */
void presence_ended(struct subscriber *s, enum close_why why);

#endif
