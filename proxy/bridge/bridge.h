#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_H

#include "proxy/bridge/bridge_answer.h"
#include "proxy/bridge/bridge_event.h"
#include "proxy/bridge/bridge_told.h"
#include "proxy/bridge/bridge_will.h"

/*
 * The bridge: what clients do is told to the backend, event by event, and what
 * that answers goes back to them. The way there is upstream.h.
 *
 * Each worker has one, and everything here belongs to its thread.
 */
struct bridge;
struct outbox_put;
struct worker;

enum { BRIDGE_ID_MAX = 72 };

int bridge_new(struct bridge **out, struct worker *w);
/* What is under way is refused; accepts NULL. */
void bridge_free(struct bridge *b);

/*
 * The events of one connection, which reach the backend in their order: each
 * when the one before it is answered. It outlives its connection until the last
 * of them is.
 */
struct bridge_lane;

int bridge_lane_new(struct bridge_lane **out, struct bridge *b);
/* The connection has ended; what it did before is told all the same. */
void bridge_lane_release(struct bridge_lane *l); /* accepts NULL */
/*
 * Post this when its last event is answered and its connection has ended, which
 * it is about to. False: there is none, and the put is still the caller's.
 */
bool bridge_lane_keep_last(struct bridge_lane *l, struct outbox_put *p);
/*
 * How many channels it has yet to tell of that they were left; visit (or NULL)
 * is called for each.
 */
size_t bridge_lane_leaving(const struct bridge_lane *l,
    void (*visit)(void *ctx, struct str channel), void *ctx);
struct bridge *bridge_lane_bridge(const struct bridge_lane *l);
struct bridge_will *bridge_lane_will(struct bridge_lane *l);
struct bridge_told *bridge_lane_told(struct bridge_lane *l);
/* Its will may hold it no longer. It may be gone after the call. */
void bridge_lane_go_on(struct bridge_lane *l);
/* So much is waiting that its client should be; NULL never is. */
bool bridge_lane_full(const struct bridge_lane *l);
/*
 * Call that once, from a later callback, when it is full no longer; not after
 * its release.
 */
void bridge_lane_wait(
    struct bridge_lane *l, void (*eased)(void *owner), void *owner);

enum bridge_way {
	BRIDGE_ONCE,    /* directly, and if that fails, not at all */
	BRIDGE_STORED,  /* the same, of a letter of the outbox */
	BRIDGE_LASTING, /* directly; as a letter if that fails; in a lane */
	BRIDGE_QUEUED,  /* as a letter; in a lane */
};

struct bridge_ask {
	/* All of it is copied; id and time are filled in, but for a letter. */
	struct bridge_event event;
	enum bridge_way way;
	struct bridge_lane *lane; /* NULL: it waits for no other */
	/*
	 * Called exactly once, in a later turn or callback, never from within
	 * bridge_tell. The answer is borrowed. Of what becomes a letter nobody
	 * hears anything: NULL.
	 */
	void (*answered)(void *owner, const struct bridge_answer *a);
	void *owner;
};

/*
 * Tell the backend. SW_EBUSY, too much is waiting (bridge-queue-bytes), which
 * makes a letter of what lasts; SW_ENOMEM. Then `answered` is not called.
 *
 * What lasts is told behind all letters that the lane has become, so that of
 * each channel it is told in its order. A subscribe for which there is no room
 * as a letter is left out, and with it the unsubscribe, which has always room.
 */
int bridge_tell(struct bridge *b, const struct bridge_ask *ask);

struct worker *bridge_worker(const struct bridge *b);
/* A name that no other run of the gateway has. */
const char *bridge_prefix(const struct bridge *b);
/*
 * An id that no other event has. A message with a session and a number has the
 * same one when the client sends it again, so that the backend knows it; and
 * the end of a connection, whether this run tells it or, after a kill, the
 * next.
 */
int bridge_event_id(
    struct bridge *b, const struct bridge_event *e, char id[BRIDGE_ID_MAX]);

#endif
