#ifndef SPILLWAY_STORAGE_OUTBOX_OUTBOX_PRIVATE_H
#define SPILLWAY_STORAGE_OUTBOX_OUTBOX_PRIVATE_H

#include <pthread.h>
#include <stdlib.h>

#include "proxy/base/map.h"
#include "storage/outbox/outbox.h"

/*
 * The parts of the outbox: outbox.c is its thread and what others call,
 * outbox_group.c what a commit has in it, outbox_lanes.c who is carried when,
 * outbox_wills.c what happens should there be no end.
 */

struct letter {
	struct list node;
	uint64_t id, created_ms, size;
	struct outbox_backlog *backlog;
};

static inline void
letter_free(struct letter *l)
{
	outbox_backlog_unref(l->backlog);
	free(l);
}

/* Letters in their order, of which the first may be on its way. */
struct lane {
	struct map_entry entry;
	struct outbox *outbox;
	struct list letters;
	struct list ready; /* to be carried */
	struct timer timer;
	unsigned attempts; /* of the first one, that failed */
	bool flying;
	uint32_t holders; /* puts that will join */
	char name[];
};

struct outbox {
	pthread_t thread;
	bool started;
	struct loop *loop;
	struct outbox_db *db;
	struct task begin, stop, hush;
	pthread_mutex_t lock;
	pthread_cond_t hushed_now;
	_Atomic bool closed; /* answers cannot be given any more */
	_Atomic uint64_t max_bytes, max_age_ms, retry_max_ms;
	struct {
		_Atomic bool failing;
		_Atomic uint64_t waiting, bytes, dead, wills, executed;
		_Atomic uint64_t stored, delivered, refused, retries, died;
	} stats;

	/* The thread's own. */
	struct outbox_carrier *carriers;
	size_t carrier_count, next_carrier;
	struct map lanes;
	struct list ready;
	unsigned flying;
	/* Nobody is there: everything waits. Later there are few at first. */
	struct timer brake;
	unsigned strikes, window;
	/* What the next commit is to have in it. */
	struct list puts, settled, queries;
	struct {
		uint64_t count, last;
	} revived; /* dead letters until that; the ids of what they become */
	struct timer store_retry;
	struct {
		bool left; /* those of the run before are still to be read */
		/*
		 * And then as letters: with ids above `loaded`, to `last`. So
		 * are dead ones that are sent again.
		 */
		uint64_t loaded, last;
		/* Numbers of connections, in the file; in the next commit. */
		uint64_t reserved, reserving;
	} wills;
	bool hushed;
};

/* Wills. */

/* Those that a run before this one has left become letters. */
int outbox_wills_execute(struct outbox *o);
static inline bool
outbox_wills_are_left(const struct outbox *o)
{
	return o->wills.left || o->wills.loaded < o->wills.last;
}
/* What a put means for wills, in a transaction... */
int outbox_wills_store(struct outbox *o, struct outbox_put *p);
/* ...and once that is over. */
void outbox_wills_stored(struct outbox *o, const struct outbox_put *p);
void outbox_wills_settle(struct outbox *o, bool stored);

/* Lanes. */

/* A letter that is in the file; ctx is the outbox. */
int outbox_lane_load(void *ctx, const struct outbox_letter *found);
int outbox_lane_get(struct lane **out, struct outbox *o, struct str name);
/* Nobody needs it any more? */
void outbox_lane_free_idle(struct lane *l);
/* Takes the letter. */
void outbox_lane_append(struct lane *l, struct letter *letter);
/* Hand out what may be carried now. */
void outbox_carry(struct outbox *o);
/* What became of the delivery is stored: takes it. */
void outbox_conclude(struct outbox *o, struct outbox_delivery *d);
void outbox_brake_init(struct outbox *o);

/* The file has failed: leave it alone for a while. */
void outbox_leave_store_alone(struct outbox *o, const char *doing, int err);

/* Groups. */

/* Store all that has come since the last one. */
void outbox_commit(struct outbox *o);

static inline void
outbox_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

#endif
