#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_TOLD_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_TOLD_H

#include "proxy/base/channel.h"

/*
 * The channels that a connection is in as far as the backend knows, or is about
 * to hear, in the order in which it came. It is told of the end of these, and
 * of no others: a reload may have changed `bridge-presence` since. It holds a
 * reference to each; zero is an empty one.
 */
struct bridge_told {
	struct channel **channels;
	size_t count, room;
};

/* One that is not among them. SW_ENOMEM. */
int bridge_told_add(struct bridge_told *t, struct channel *c);
/* False: it was not among them. After that, one can be added in any case. */
bool bridge_told_remove(struct bridge_told *t, struct str channel);
void bridge_told_fini(struct bridge_told *t);

#endif
