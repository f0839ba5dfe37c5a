#ifndef SPILLWAY_STORAGE_STORE_H
#define SPILLWAY_STORAGE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/cursor.h"
#include "proxy/base/event.h"

/*
 * Where rows of the log rest: the engine below storage/log.
 *
 * An engine stores rows under increasing ids in transactions and finds a row by
 * its id; which rows are still wanted, how they chain up and what is read in
 * which order is decided above, once for all engines. There is one writer
 * thread, which alone calls the functions without `reader`; readers work at the
 * same time, each in a thread of its own, and see committed rows only.
 *
 * Functions return SW_OK, SW_ENOENT, or a failure of the engine (SW_ESTORE,
 * SW_ECORRUPT, SW_ENOMEM), which `reason` explains.
 */
struct store;
struct store_reader;

/* What an engine remembers of a channel besides its rows. */
struct store_channel {
	uint64_t key;    /* the engine's own number for it, above 0 */
	struct str name; /* borrowed during the call */
	uint64_t head;   /* newest event, its number and total */
	uint64_t number;
	uint64_t total;
	uint64_t floor; /* nothing up to this id is history any more */
};

/* What it remembers of the log as a whole. */
struct store_state {
	struct epoch epoch;
	uint64_t reserved; /* no id above was ever given out */
	uint64_t head;     /* newest id of any kind, when closed cleanly */
	uint64_t floor;    /* nothing up to this id is history any more */
	uint64_t saved;    /* channels were saved when this was the head */
	/* See storage/forget.h: */
	uint64_t forgotten;     /* newest event of all forgotten channels */
	uint64_t mark, mark_ms; /* the head at a time (Unix) */
};

/* A row without its payload. In this order it stands in the tail's file. */
struct store_row {
	uint64_t id;
	uint64_t channel; /* key */
	uint64_t number;
	uint64_t previous;
	uint64_t jump;
	uint64_t total;
	uint64_t time_ms;
};

/* What store_open finds, row by row; a negative return ends the opening. */
struct store_visitor {
	int (*channel)(void *ctx, const struct store_channel *c);
	/* Rows above state.saved, in order of ids. */
	int (*row)(void *ctx, const struct store_row *row);
	void *ctx;
};

struct store_ops {
	const char *name;

	/* Fill `state` and tell the visitor what is stored. */
	int (*load)(struct store *s, struct store_state *state,
	    const struct store_visitor *visit);
	void (*close)(struct store *s);
	/* What save_past said last, see storage/past.h; nothing at first. */
	int (*load_past)(struct store *s, struct buf *out);

	/*
	 * `sync`: what is committed survives the loss of power, or is not
	 * there.
	 */
	int (*begin)(struct store *s, bool sync);
	/*
	 * From here on it outlives the process. Readers may see it later, see
	 * `unsettled`.
	 */
	int (*commit)(struct store *s);
	void (*rollback)(struct store *s);
	/* Between transactions: what was committed is there for readers. */
	int (*settle)(struct store *s);

	/* Inside a transaction. */
	int (*add_channel)(struct store *s, uint64_t key, struct str name);
	int (*save_channel)(struct store *s, const struct store_channel *c);
	/* It need not be there. Its rows, if any are left, stay. */
	int (*remove_channel)(struct store *s, uint64_t key);
	int (*save_state)(struct store *s, const struct store_state *state);
	int (*save_past)(struct store *s, struct str text);
	int (*append)(struct store *s, uint64_t channel, const struct event *e);
	/* The rows from `first` to `last`, all of them. */
	int (*remove)(struct store *s, uint64_t first, uint64_t last);

	/* Idempotency keys of stored events: when was it published, as what? */
	int (*find_key)(struct store *s, struct str channel, struct str key,
	    uint64_t *id, uint64_t *time_ms);
	int (*add_key)(struct store *s, struct str channel, struct str key,
	    uint64_t id, uint64_t time_ms);
	/*
	 * Forget keys older than `before_ms` among the next `count` ones, see
	 * keys_expire; the next call goes on behind them, and round again.
	 */
	int (*expire_keys)(struct store *s, uint64_t before_ms,
	    uint64_t latest_ms, unsigned count);

	/*
	 * Visit rows above `after` in order of ids until the visitor returns
	 * false. The row may not be removed during the visit.
	 */
	int (*scan)(struct store *s, uint64_t after,
	    bool (*visit)(void *ctx, const struct store_row *row), void *ctx);
	uint64_t (*used_bytes)(struct store *s);

	/* Write one thing: does the store accept events (again)? */
	int (*probe)(struct store *s);

	/* Any thread: opens what that thread will read with. */
	int (*reader_open)(struct store_reader **out, struct store *s);
	void (*reader_close)(struct store_reader *r);
	/* One consistent view between these two. */
	int (*reader_begin)(struct store_reader *r);
	void (*reader_end)(struct store_reader *r);
	int (*reader_row)(
	    struct store_reader *r, uint64_t id, struct store_row *out);
	/*
	 * The channel's event with its payload; a reference in `*out`.
	 * SW_ENOENT also for a row of another channel.
	 */
	int (*reader_event)(struct store_reader *r, uint64_t id,
	    struct channel *c, struct event **out);
};

/* The head of every engine's own struct. */
struct store {
	const struct store_ops *ops;
	/* Something was committed that readers do not see yet. Any thread. */
	_Atomic bool unsettled;
	char reason[256]; /* of the writer's last failure, a sentence */
};

struct store_reader {
	char reason[256]; /* of its last failure */
	/*
	 * Makes all that was committed visible, for who reads in a thread of
	 * its own: between looking where channels end and looking into the
	 * store. NULL: nothing does.
	 */
	int (*settle)(void *ctx);
	void *settle_ctx;
};

/*
 * Open an engine. Failures of opening and loading are logged with what to do
 * about them: SW_ELOCKED, SW_ECORRUPT, SW_EUNSUPPORTED, SW_ESTORE.
 */
int store_sqlite_open(struct store **out, const char *path, bool shared);
int store_memory_open(struct store **out);

/*
 * For tests: as if all groups came at once, whatever the clock says; a commit
 * waits for so long.
 */
void store_sqlite_hurry(struct store *s, uint64_t hold_ns);

/* Rename damaged files, so that a new store can take their place. */
int store_sqlite_move_aside(const char *path);

#endif
