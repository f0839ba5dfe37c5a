#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_OUTBOX_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_OUTBOX_H

#include "proxy/bridge/bridge.h"
#include "storage/outbox/outbox.h"

/*
 * Events that reach the backend although nobody waits for its answer: they are
 * stored first (storage/outbox/outbox.h), and told then, until it has taken
 * them.
 */

/*
 * Store it. `answered` is called when that is done (BRIDGE_TAKEN, status 202)
 * or has failed; NULL: it is stored as soon as that is possible. The lane is
 * not asked; see bridge_lane_post. SW_EBUSY, the outbox is full; SW_ECLOSED, it
 * is about to end; SW_ESTORE, there is none; SW_ENOMEM.
 */
int bridge_post(struct bridge *b, const struct bridge_ask *ask);

/*
 * That somebody comes or goes, with the id and the time that it has by now,
 * which is part of the backlog. For who goes there is always room, as there are
 * no more of these than of those that are known to be there. As above.
 */
int bridge_post_lasting(struct bridge *b, const struct bridge_event *e,
    struct outbox_backlog *backlog);
/* Count, and log, what is not told and will not be. */
void bridge_note_lost(struct bridge *b, const struct bridge_event *e, int err);

/*
 * The last event of a connection, behind all that its lane (or NULL) still has
 * to tell; the outbox has always room for it. Else, codes as above.
 */
int bridge_post_last(struct bridge *b, const struct bridge_ask *ask);

/*
 * What is to be told of the connection should the gateway be killed, in the
 * place of what was. Its lane (not NULL) tells nothing before that is stored.
 * `later`: in the place of what has the channels as well of which the lane has
 * yet to tell that they were left. SW_ENOMEM; SW_ESTORE, there is no outbox.
 */
int bridge_post_will(
    struct bridge *b, const struct bridge_ask *ask, bool later);
/*
 * Nothing is to be told, once the lane has told of all channels that were left;
 * of a lane without a will (or NULL), nothing was. `ends`: the connection does.
 */
int bridge_revoke_will(struct bridge_lane *l, uint64_t connection, bool ends);

/* Has the backend answered, whatever it says? Else it is told again. */
bool bridge_has_arrived(const struct bridge_answer *a);

/* A carrier's: tell the backend one letter. ctx is the worker. */
void bridge_carry(struct task *t);

#endif
