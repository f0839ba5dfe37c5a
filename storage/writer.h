#ifndef SPILLWAY_STORAGE_WRITER_H
#define SPILLWAY_STORAGE_WRITER_H

#include <pthread.h>
#include <stdatomic.h>

#include "storage/janitor.h"
#include "storage/keep_past.h"
#include "storage/keys.h"
#include "storage/log.h"
#include "storage/records.h"

/*
 * The thread that gives out ids and commits: it takes all that waits, appends
 * it in one transaction, and hands it on. Between commits it does the store's
 * housekeeping, in small steps.
 */
struct writer {
	/* Shared with those who append, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t work, settled;
	struct append *first, **last;
	bool kicked, stop;
	bool settle_wanted, ended;
	char *rules;      /* new ones, see log_options; else NULL */
	uint64_t settles; /* how often the store was asked to */
	int settle_err;   /* what it said to that */

	/* Shared with everyone. */
	_Atomic bool closed;
	_Atomic uint64_t queued_events, queued_bytes; /* admitted */
	_Atomic uint64_t limit_events, limit_bytes;
	_Atomic uint64_t head;
	_Atomic uint64_t floor;
	_Atomic uint64_t idempotency_age_ms;
	_Atomic uint64_t events, commits, failures, duplicates, commit_ns;
	_Atomic uint64_t channels;
	_Atomic uint64_t turn_ms; /* when it turned to the store; 0: idle */
	struct {
		pthread_mutex_t lock;
		bool failing;
		char reason[256];
	} health;

	/* The thread's own. */
	pthread_t thread;
	bool started;
	struct store *store;
	struct store_reader *reader; /* looks chains up */
	struct store_state state;
	struct records records;
	struct keys *keys; /* of events that are not stored */
	uint64_t last_id, last_time_ms;
	struct keep_past past;
	bool in_transaction;
	bool sync; /* what the group stores must survive the loss of power */
	struct janitor janitor;
	const struct log_sink *sinks;
	uint32_t sink_count;
	struct task_chain *chains; /* per sink: what leaves next */
	struct undo *undo;         /* how records were before this group */
	size_t undo_count, undo_cap;
};

/* `state` and records are loaded by the caller before the thread starts. */
int writer_init(struct writer *w);
int writer_start(
    struct writer *w, const struct log_sink *sinks, uint32_t count);
/* Commits what is queued, saves everything, ends the thread. */
void writer_stop(struct writer *w);
void writer_fini(struct writer *w);

/* Is there room for the request? Then it counts as queued. */
int writer_admit(struct writer *w, struct append *a);
/* Takes a list of admitted requests, and begins with them. */
void writer_take(struct writer *w, struct append *first, struct append *last);

/*
 * Any other thread, before it reads: return when all that was committed so far
 * is there to be read. Fails as the store does.
 */
int writer_settle(struct writer *w);

/*
 * What the configuration says of memory, from now on; a copy is made. Any
 * thread. SW_ENOMEM.
 */
int writer_set_rules(struct writer *w, struct str rules);

/* How long it has waited for a store that does not come back; else 0. */
uint64_t writer_stalled_ms(const struct writer *w);

/* Is the event of that id in the store? Between groups, and at the start. */
int writer_has_row(struct writer *w, uint64_t id, bool *out);

/* Does the store accept events? Logs when that changes. */
void writer_set_health(struct writer *w, int err);

/*
 * Run `work` in a transaction of its own, which is taken back if it fails; then
 * the store is not healthy. In the writer's thread, between groups.
 */
int writer_in_transaction(
    struct writer *w, int (*work)(struct writer *w, void *ctx), void *ctx);

#endif
