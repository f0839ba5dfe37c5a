#ifndef SPILLWAY_PROXY_STREAM_HUB_H
#define SPILLWAY_PROXY_STREAM_HUB_H

#include <stdbool.h>

#include "proxy/base/list.h"
#include "proxy/base/map.h"
#include "proxy/stream/gather.h"
#include "proxy/stream/merge.h"
#include "storage/log.h"
#include "storage/window.h"

/*
 * The channels and subscribers of one worker.
 *
 * The hub takes the batches that the log commits, keeps the newest events in
 * windows, and wakes subscribers. A subscriber is a set of links, each a cursor
 * on one channel; waking means writing what lies between cursor and head, so a
 * socket that is full simply leaves its cursor where it is. There are no queues
 * per subscriber, and nothing here is locked: all of it belongs to the worker's
 * thread.
 */
struct subscriber;
struct worker;

struct hub_channel {
	struct map_entry entry;
	struct channel *channel; /* a reference */
	struct window window;
	uint64_t generation;   /* changes with the window, see below */
	uint64_t committed_ns; /* of its newest batch */
	struct link **links;   /* everybody who wants to know */
	uint32_t link_count, link_cap;
	uint32_t left;     /* links that this delivery has still to visit */
	bool begun;        /* it has visited some */
	bool again;        /* more events came since then */
	struct list dirty; /* being delivered */
	/* By age of the newest event, if it has any; or of hub.deleted. */
	struct list recent;
};

/* A subscriber on a channel: everything up to `pos` was written to it. */
struct link {
	struct subscriber *subscriber;
	struct hub_channel *channel;
	struct link *next; /* of the same subscriber */
	uint64_t pos;
	uint32_t slot; /* in the channel's links */
	/*
	 * Subscribed later than others and still catching up: apart from them,
	 * so that they stay live.
	 */
	bool alone : 1;
	/* Began with whatever is kept: what went before is no loss to it. */
	bool from_start : 1;
	/* The read of history under way is for it, too: not if it is newer. */
	bool reads : 1;
	bool reads_store : 1; /* and it is the store that has the channel */
	bool announced : 1;   /* that it came was an event of the channel */
};

struct hub {
	struct worker *worker;
	struct map by_name;
	struct hub_channel **by_number; /* of the channel */
	size_t numbers;
	uint64_t seen; /* every event up to it has been taken in */
	/*
	 * Counts the states of all windows. What was made for one of them is
	 * known by it, even where a channel has the place of one that is gone.
	 */
	uint64_t generation;
	struct list dirty, recent;
	/*
	 * Channels that were deleted: no longer found, they have no events, and
	 * those who listen are closed, some in each turn.
	 */
	struct list deleted;
	struct timer look;                  /* for stale windows, */
	size_t hand;                        /* from this number on */
	size_t bytes, events;               /* in the windows */
	struct gather *gathers[FORM_COUNT]; /* made with first use */
	struct gather *merged;              /* for several channels at once */
	struct merge merge;                 /* likewise */
	struct poll_cache *poll_cache;
	struct list replays, kept_replays;
	unsigned kept_replay_count;
	size_t kept_replay_bytes;
	/* Deliveries since the clock was read last, see hub_deliver. */
	uint64_t delivered[TRANSPORT_COUNT];
};

int hub_init(struct hub *h, struct worker *w);
void hub_fini(struct hub *h); /* without subscribers */

/*
 * The worker's channel of that name, made if there is none yet; borrowed until
 * the turn ends, unless it is linked. Fails as channels_get does.
 */
int hub_channel_get(struct hub_channel **out, struct hub *h, struct str name);
/* The same, for one that is known. */
int hub_channel_of(struct hub_channel **out, struct hub *h, struct channel *c);
/* Only if it is here already. */
struct hub_channel *hub_channel_find(const struct hub *h, struct str name);

/* A sink's task: a log_delivery with the hub as its ctx. */
void hub_take(struct task *t);

/*
 * Write to subscribers whose channels have news, about `budget` of them, and
 * close some whose channels were deleted; true if there are more.
 */
bool hub_deliver(struct hub *h, unsigned budget);

/* Start and end a link; its subscriber hears of events above `pos`. */
int hub_link(
    struct hub *h, struct link *l, struct hub_channel *hc, uint64_t pos);
void hub_unlink(struct hub *h, struct link *l);

/* Newest event of the channel that this worker knows of, 0: none. */
uint64_t hub_channel_newest(const struct hub_channel *hc);

/* Is its history in the store, or do the windows alone have it? */
bool hub_channel_stored(const struct hub_channel *hc);

/* Index of the first event behind `pos` that its window has and is kept. */
uint32_t hub_channel_kept(
    const struct hub *h, const struct hub_channel *hc, uint64_t pos);

/* Was it deleted, and are those who listen to it yet to be closed? */
bool hub_channel_is_over(const struct hub *h, const struct hub_channel *hc);

/*
 * From where on this worker knows everything of a channel that it has not yet:
 * behind its head, unless events of it are still on their way here.
 */
uint64_t hub_known_after(const struct hub *h, const struct channel *c);

/* Are the events behind the position in the window, all of them? */
static inline bool
link_in_window(const struct link *l)
{
	return l->pos >= l->channel->window.after;
}

/* Is it the link `alone`, or without one, one of those that are not alone? */
static inline bool
link_is_of(const struct link *l, const struct link *alone)
{
	return l->channel != NULL && (alone == NULL ? !l->alone : alone == l);
}

static inline bool
link_has_news(const struct link *l)
{
	const struct window *w = &l->channel->window;

	return l->pos < w->after ||
	    (w->count > 0 && window_at(w, w->count - 1)->id > l->pos);
}

#endif
