#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_PARTY_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_PARTY_H

#include "proxy/base/address.h"
#include "proxy/base/buf.h"
#include "proxy/base/channel.h"
#include "proxy/bridge/bridge_event.h"

/*
 * Somebody who comes and goes, a stream or a session of polls: what the backend
 * and the channels are told of it. Nobody waits for an answer; what cannot be
 * told is counted, and logged.
 */
struct bridge_lane;
struct worker;

struct party {
	struct worker *worker;
	uint64_t connection;
	const char *transport;
	const struct address *peer;
	struct str user, session, meta, forwarded; /* p is NULL: none */
	struct bridge_lane **lane;                 /* made when it is needed */
};

/* Is the backend told who comes to the channel, as things are now? */
bool party_is_told(const struct channel *c);

/*
 * It comes to a channel: spillway.join to all who listen, where the channel
 * says `presence-events`. True: then it is party_publish_left that tells of its
 * end, whatever the channel says by then.
 */
bool party_publish_joined(const struct party *p, struct channel *c);
/* spillway.leave. */
void party_publish_left(const struct party *p, struct channel *c);

/*
 * It comes to a channel, should the backend be told who does: from here on that
 * is part of its will and of its end. True: then party_joined.
 */
bool party_joins(const struct party *p, struct channel *c);
/* spillway.subscribe, of a channel that it joins; of others nothing. */
void party_joined(const struct party *p, struct channel *c);
/* spillway.unsubscribe. False: the backend does not know that it was there. */
bool party_left(const struct party *p, struct channel *c);

/*
 * What is to be told should the gateway be killed, in the place of what was: of
 * the channels of which the backend knows; of none, nothing. One that was left
 * is in it until that is told. `comes`: to a channel, which is in it at once.
 * Who cannot have a will is let in all the same.
 */
void party_keep_will(const struct party *p, bool comes);
/* It is gone: spillway.disconnect, of those channels; of none, nothing. */
void party_ended(const struct party *p, const char *reason);

#endif
