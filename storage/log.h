#ifndef SPILLWAY_STORAGE_LOG_H
#define SPILLWAY_STORAGE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/cursor.h"
#include "proxy/base/event.h"
#include "proxy/base/loop.h"
#include "storage/history.h"

/*
 * The one event log: what is appended gets an id, is committed, and only then
 * reaches anyone.
 *
 *   log_append ──▶ writer thread ──commit──▶ store
 *                       │
 *                       └──▶ every sink: the batch, in order of ids
 *
 *   log_read ──▶ reader threads ──▶ the asker's loop: events from the store
 *
 * Appending and reading are asynchronous and may be asked from any thread; the
 * answers come as tasks in the loops of the workers. Nothing here assumes that
 * the writer lives in this process.
 */
struct log;

/*
 * One request to append: one or more events that are committed together, or one
 * channel to clear. Made by append_new, filled in, given to log_append, and
 * answered by `done` in the thread of its sink (NO_SINK: in the writer's),
 * where it is the asker's again, to be freed with append_free. Its events keep
 * the asker's reference.
 */
#define NO_SINK UINT32_MAX

struct append_item {
	struct event *event; /* a reference */
	char *key;           /* idempotency, NULL: none; malloc'd */
	/* The answer: */
	bool duplicate; /* published before under this key, as: */
	uint64_t id;
	uint64_t time_ms;
	uint32_t audience[AUDIENCE_COUNT]; /* when it was committed */
};

struct append {
	struct append *next;
	struct task task;
	uint32_t sink;
	void (*done)(struct append *a);
	void *owner;           /* the asker's own */
	struct channel *clear; /* drop its history; a reference, or NULL */
	/* The answer: SW_OK, or SW_ESTORE or SW_ENOMEM: nothing is stored. */
	int err;
	char *reason; /* of a failure, a sentence; malloc'd or NULL */
	size_t count;
	struct append_item items[];
};

/* Zeroed, with room for `count` items; NULL if memory ran out. */
struct append *append_new(size_t count);
void append_free(struct append *a); /* accepts NULL */

/*
 * What the writer committed in one go, shared by all sinks. Each sink owns one
 * reference to every event in it, which it takes over or drops.
 */
struct log_delivery {
	struct task task;
	struct log_batch *batch;
	void *ctx; /* the sink's */
};

struct log_batch {
	_Atomic uint32_t refs;
	uint64_t head;         /* newest id of the log after it */
	uint64_t committed_ns; /* CLOCK_MONOTONIC */
	struct channel *clear; /* its history was dropped, or NULL */
	size_t count;
	struct event **events;
	struct log_delivery deliveries[]; /* one per sink */
};

/*
 * Where committed batches go: a task in a loop, run with a log_delivery. The
 * answers to appends arrive in the same loop just before the batch.
 */
struct log_sink {
	struct loop *loop;
	void (*run)(struct task *t);
	void *ctx;
};

/* In the sink's thread, when it is through with a delivery. */
void log_batch_unref(struct log_batch *b);

struct log_options {
	const char *path; /* a file; "memory" */
	bool move_corrupt_aside;
	bool shared; /* other processes may open the file, too */
	struct channels *channels;
	unsigned readers;
	uint64_t queue_events, queue_bytes; /* beyond: SW_EBUSY */
	uint64_t store_max_bytes;           /* 0: no limit */
	uint64_t idempotency_age_ms;
	uint64_t channel_age_ms; /* 0: no channel is forgotten */
	/* The first whose pattern matches is a channel's. Used during a call */
	const struct policy *policies;
	size_t policy_count;
};

/*
 * Open the store and load what it knows; failures are logged with what to do
 * about them. Threads start with log_start, when the sinks exist.
 */
int log_open(struct log **out, const struct log_options *o);
int log_start(struct log *l, const struct log_sink *sinks, uint32_t count);

/*
 * Commit what is queued and end the threads; deliveries have been posted then.
 * log_close frees the rest, when no loop runs any more.
 */
void log_stop(struct log *l);
void log_close(struct log *l);

/* Limits that a reload may change. */
void log_reload(struct log *l, const struct log_options *o);

const struct epoch *log_epoch(const struct log *l);
/* Is all of it in memory, whatever durability a channel asks for? */
bool log_in_memory(const struct log *l);
/* Newest id given out and committed; every event above it is still to come. */
uint64_t log_head(const struct log *l);
/* Nothing up to this id is history any more, in any channel. */
uint64_t log_floor(const struct log *l);
/* Events of channels kept in memory up to this id are from an earlier run. */
uint64_t log_boot_head(const struct log *l);

/*
 * Requests of one thread on their way to the writer: those of one turn of a
 * loop are handed over together, and committed together. Zeroed at first.
 */
struct log_stage {
	struct append *first, *last;
};

/*
 * Put a request on the stage; takes it. SW_EBUSY when the queue is full and
 * SW_ECLOSED after log_stop: then it is the caller's again, and done() is not
 * called.
 */
int log_append(struct log *l, struct log_stage *stage, struct append *a);
/* Hand over what is on the stage, and let the writer begin. */
void log_kick(struct log *l, struct log_stage *stage);

/* A query and where its answer goes: task.run in that loop's thread. */
struct log_read {
	struct log_read *next;
	struct history_query query;
	/* Instead of the query, if not NULL: what is kept of channels. */
	struct history_span *spans;
	size_t span_count;
	int err;
	struct loop *loop;
	/*
	 * Its present: age is judged by that, or what is gone for the reader
	 * might be there still for who compares with a window.
	 */
	uint64_t unix_ms;
	struct task task;
};

/* Takes the query until its task runs. SW_ECLOSED after log_stop. */
int log_read(struct log *l, struct log_read *r);

struct log_stats {
	bool healthy;     /* the store accepts events */
	char reason[256]; /* why it does not */
	uint64_t queued_events, queued_bytes, queued_reads;
	uint64_t events, commits, failures, duplicates, reads, removed;
	uint64_t commit_ns; /* all commits together */
	uint64_t store_bytes;
	uint64_t channels, forgotten;
};

void log_stats(struct log *l, struct log_stats *out);

#endif
