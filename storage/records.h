#ifndef SPILLWAY_STORAGE_RECORDS_H
#define SPILLWAY_STORAGE_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/channel.h"
#include "proxy/base/list.h"
#include "storage/chain.h"

/*
 * What the writer knows of every channel that ever had an event: where its
 * chain ends, and how much of it was removed already. Of the writer's thread,
 * and of the thread that opens the log before that starts.
 */
struct record {
	struct channel *channel; /* a reference, so that it stays */
	uint64_t key;            /* in the store; 0: not there (yet) */
	struct record *next;     /* of those in the same bucket */
	bool stored;             /* its events go to the store */
	uint64_t head, number, total;
	uint64_t swept_number, swept_total; /* of the newest removed row */
	struct chain chain;
	struct list dirty; /* changed since it was saved */
};

struct records {
	struct record **by_number; /* of the channel */
	size_t numbers;
	/* By key: buckets, a power of two. Keys go up for ever: no table. */
	struct record **buckets;
	size_t bucket_count, bound;
	uint64_t next_key, top_key; /* to be taken; the highest bound, ever */
	size_t count;
	struct list dirty;
};

void records_init(struct records *rs);
void records_fini(struct records *rs);

/* The channel's record, made if there is none yet. SW_ENOMEM. */
int records_get(struct record **out, struct records *rs, struct channel *c);
/* The record with that key in the store, or NULL. */
struct record *records_by_key(const struct records *rs, uint64_t key);
/* Make it found by its key; SW_ENOMEM, but not where the key was taken. */
int records_bind(struct records *rs, struct record *r);
/* A key for a new channel of the store, which can be bound. 0: no memory. */
uint64_t records_take_key(struct records *rs);
/* The store has forgotten the channel: no key, not found by it. */
void records_unbind(struct records *rs, struct record *r);
/*
 * Forget the record, and its channel with it. False if anything else refers to
 * that: then nothing has changed. It is neither bound nor dirty.
 */
bool records_forget(struct records *rs, struct record *r);

void records_touch(struct records *rs, struct record *r); /* is dirty now */

#endif
