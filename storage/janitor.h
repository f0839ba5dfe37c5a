#ifndef SPILLWAY_STORAGE_JANITOR_H
#define SPILLWAY_STORAGE_JANITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "storage/forget.h"

/*
 * The store's housekeeping, in steps of about a millisecond between commits, so
 * that no publisher waits for it:
 *
 * - saving where each channel's chain ends, so that a start reads only the tail
 *   of the log anew;
 * - sweeping: removing rows that retention no longer keeps, and the oldest ones
 *   when the store is larger than it may be;
 * - forgetting idempotency keys that are too old, and idle channels, see
 *   storage/forget.h;
 * - asking a store that failed whether it works again;
 * - telling when the clock, by which age is judged, was set.
 *
 * Of the writer's thread.
 */
struct record;
struct writer;

struct janitor {
	_Atomic uint64_t max_bytes; /* of the store; 0: any */
	_Atomic uint64_t removed;   /* rows, ever */
	_Atomic uint64_t store_bytes;

	/* Saving: */
	bool saving;
	struct list to_save;  /* records of the pass under way */
	uint64_t saving_head; /* it covers rows up to here */
	uint64_t unsaved;     /* events since it began */

	/* Sweeping: */
	uint64_t garbage;  /* weight of rows beyond what is kept, about */
	uint64_t hand;     /* the patrol looked at rows up to it */
	bool at_front;     /* the oldest rows are being removed */
	bool overfull;     /* said: the store is too large without events */
	uint64_t rows_due; /* to look at, for the events that came */
	/*
	 * Rows that are too old behind others that stay. Nobody counts them, so
	 * once some were met, the patrol keeps pace with what comes.
	 */
	bool aged, aged_in_round;
	uint64_t came;       /* rows to look at for the events of this second */
	uint64_t pace;       /* the same, of the busiest one lately */
	uint64_t patrol_due; /* rows that are left for this second */

	uint64_t keys_due; /* idempotency keys to look at, before long */
	struct forget forget;

	unsigned turn; /* of what is due, what comes first */
	bool resting;  /* something failed: until the second is over */

	int64_t ahead_ms; /* the clock, of time as it passes by itself */

	uint64_t next_second_ms; /* monotonic: what is done once a second */
};

void janitor_init(struct janitor *j);

/* A group of `events` was committed; a record changed. */
void janitor_notice(struct janitor *j, uint64_t events);
/* An idempotency key was stored. */
void janitor_notice_key(struct janitor *j);
void janitor_count_garbage(struct janitor *j, const struct record *r);
/* Nothing of its channel's history is kept. */
void janitor_count_cleared(struct janitor *j, const struct record *r);

/*
 * Take one step; what is due takes turns. `busy`: others wait, do no more than
 * keeps up with them.
 * Returns for how many milliseconds there is nothing to do; 0: go on.
 */
uint64_t janitor_step(struct janitor *j, struct writer *w, bool busy);

/* At the end: save everything that is not yet. */
void janitor_finish(struct janitor *j, struct writer *w);

#endif
