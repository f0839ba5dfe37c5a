#ifndef SPILLWAY_PROXY_STREAM_REPLAY_H
#define SPILLWAY_PROXY_STREAM_REPLAY_H

#include "proxy/stream/hub.h"
#include "storage/log.h"

/*
 * Reading history for subscribers that fell behind the window.
 *
 * The store answers in a thread of its own, so a subscriber waits for a replay.
 * After a restart of ours, or of a proxy, thousands come back with the same
 * cursor: those share one read, and for a moment its result is kept for the
 * ones that come a little later.
 */
struct subscriber;

struct replay {
	struct log_read read;
	struct hub *hub;
	struct list node;    /* of the hub's */
	struct list waiters; /* subscribers */
	uint64_t
	    upto; /* all events up to here are read, unless there are more */
	bool done;
	unsigned users; /* who look at the result right now */
	bool shared;    /* of one channel: others may join */
	uint64_t done_ms;
	size_t bytes; /* of its events, when it is kept */
	/* The newest events of channels that are in memory alone. */
	uint64_t *others;
	/* Of a link that catches up apart from the others. */
	bool alone;
	struct history_part parts[];
};

/*
 * Read on for the subscriber: for its link `alone`, or for all those that are
 * not alone. `last` above 0: the newest so many, instead of what comes after
 * their positions. It is called back through subscriber_replayed, perhaps
 * before this returns. SW_ENOMEM, SW_ECLOSED.
 */
int replay_start(struct hub *h, struct subscriber *s, struct link *alone,
    uint64_t last, size_t limit);

/*
 * The subscriber has seen all events up to this id that the read was for: its
 * positions follow, those of quiet channels too.
 */
void replay_advance(struct subscriber *s, uint64_t upto);

/*
 * A read of the newest: what is older than those is passed over in all of its
 * channels, before any of it is written.
 */
void replay_pass_older(struct subscriber *s, const struct replay *r);

/*
 * The subscriber's link to the channel, if the read was for it; NULL: it has
 * none, or a newer one, which begins elsewhere.
 */
struct link *replay_link(struct subscriber *s, const struct channel *c);

/*
 * Up to where the subscriber may be given what was read: a channel that it has
 * subscribed to meanwhile goes on from its own position, in the order of ids.
 */
uint64_t replay_bound(const struct subscriber *s, const struct replay *r);

/*
 * Put in what the windows have, up to where the read goes, of its channels that
 * are in memory alone; what those have lost is told. SW_ENOMEM.
 */
int replay_add_memory(struct subscriber *s, struct replay *r);

/* It ends, or does not want to know any more. */
void replay_leave(struct subscriber *s);

/* Forget kept results: all, or those of a channel, now and to come. */
void replay_forget(struct hub *h, const struct channel *c);

#endif
