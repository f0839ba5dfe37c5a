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

/* Is the backend told who is in the channel? */
bool party_is_told(const struct channel *c);

/* spillway.join or spillway.leave, to all who listen to the channel. */
void party_publish(const struct party *p, struct channel *c, const char *type);
/* spillway.subscribe or spillway.unsubscribe; in the outbox, if messages are */
void party_tell(
    const struct party *p, enum bridge_kind kind, const struct channel *c);

/* The body of its spillway.disconnect: of the channels that it has by then. */
struct party_end {
	struct buf body;
	struct str only; /* the channel, if it is alone */
	size_t count;
};

void party_end_begin(struct party_end *e, const char *reason);
/* Those that the backend is not told of are left out. */
void party_end_add(struct party_end *e, const struct channel *c);

/*
 * What is to be told should the gateway be killed, in the place of what was;
 * of no channel: nothing. A channel that was left is in it until that is told.
 * `comes`: to a channel, which is in it at once. Takes the end. Who cannot have
 * a will is let in all the same.
 */
void party_keep_will(const struct party *p, struct party_end *e, bool comes);
/* It is gone. Takes the end; of no channel, nothing is told. */
void party_ended(const struct party *p, struct party_end *e);

#endif
