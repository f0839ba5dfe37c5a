#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_PRIVATE_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_PRIVATE_H

#include "proxy/base/digest.h"
#include "proxy/base/list.h"
#include "proxy/bridge/bridge.h"

/*
 * The parts of the bridge: bridge.c has the lanes, and what is told directly;
 * bridge_lasting.c what becomes a letter of the outbox if that fails.
 */
struct outbox_backlog;
struct upstream_request;

/* A name that no other run of the gateway has. */
enum { PREFIX_BYTES = 12 };

struct bridge {
	struct worker *worker;
	struct list calls; /* all of them */
	struct list lanes; /* likewise */
	size_t bytes;      /* that they hold */
	uint64_t next;
	char prefix[BASE64_LENGTH(PREFIX_BYTES) + 1];
};

/* An event on its way. */
struct bridge_call {
	struct list node;    /* of the bridge */
	struct list waiting; /* of its lane */
	struct bridge *bridge;
	struct bridge_lane *lane;
	struct upstream_request *request; /* NULL: not on the wire */
	struct bridge_event event;
	void (*answered)(void *owner, const struct bridge_answer *a);
	void *owner;
	/* The answer, while what it publishes is being committed: */
	struct bridge_answer answer;
	struct buf kept;
	size_t size;
	enum bridge_way way;
	bool spared;  /* it need not be told any more */
	bool crowded; /* there is no room for it in memory */
	char id[BRIDGE_ID_MAX];
	char texts[];
};

struct bridge_lane {
	struct list node; /* of the bridge */
	struct bridge *bridge;
	struct bridge_call *running;
	struct list waiting;
	size_t calls, bytes;        /* that wait */
	bool orphaned;              /* no connection any more */
	struct outbox_put *last;    /* of its events, or NULL */
	void (*eased)(void *owner); /* when it is full no longer, or NULL */
	void *owner;
	struct bridge_will will;
	struct bridge_told told;
	/* Letters that were not taken before; those of `message-mode`; NULL */
	struct outbox_backlog *failed, *queued;
	uint32_t queued_under; /* channels_reloads, before the first of these */
};

/* Out of all lists; nobody hears of it. */
void bridge_call_free(struct bridge_call *c);

/* Does it tell that somebody leaves? Of NULL: no. */
static inline bool
bridge_call_leaves(const struct bridge_call *c)
{
	return c != NULL && c->event.kind == BRIDGE_UNSUBSCRIBE;
}

static inline bool
bridge_way_lasts(enum bridge_way way)
{
	return way == BRIDGE_LASTING || way == BRIDGE_QUEUED;
}

/* To the outbox, behind what of its lane is there; lets go of it. */
void bridge_hand_over(struct bridge_call *c);
/*
 * Would it be told before letters about the same channel that are older? What
 * is queued is about others, unless a reload has changed that.
 */
bool bridge_would_overtake(const struct bridge_call *c);
/*
 * Is another one about the same channel in the lane? If it is told in another
 * way: there is no room, or a reload has changed `message-mode`.
 */
bool bridge_waits_for_the_same(
    const struct bridge_lane *l, const struct bridge_call *c);

#endif
