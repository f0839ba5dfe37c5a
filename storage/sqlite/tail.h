#ifndef SPILLWAY_STORAGE_SQLITE_TAIL_H
#define SPILLWAY_STORAGE_SQLITE_TAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/cursor.h"
#include "proxy/base/str.h"
#include "storage/store.h"

/*
 * The end of the log that the database does not have yet: rows in a file, which
 * outlive the process as what is in SQLite's log does; neither has been synced.
 * A group of them costs one write of a few hundred bytes.
 *
 * Tails are counted, and the database says which was the last one whose rows it
 * has: the one after that is to be added, no other. A row has a sum with that
 * number, and with a random one of the process that wrote it, so that after a
 * loss of power whatever else is in the file ends the tail. Of the writer's
 * thread.
 */
struct tail;

/*
 * A row of the log; or, with kind TAIL_KEY, the idempotency key of one: `type`
 * is the name of the channel, `data` the key.
 */
struct tail_row {
	struct store_row row;
	uint64_t kind;
	struct str type, content_type, data; /* borrowed */
};

enum { TAIL_KEY = 255 };

enum tail_mode {
	TAIL_MAKE,
	TAIL_WRITE, /* if there is one */
	TAIL_READ,  /* likewise, and nothing else */
};

/*
 * What the file has, which counts if it belongs to the log of that epoch; else
 * an empty one of that number. SW_ENOENT if there is none and none is to be
 * made. Other failures have a reason, of 256 bytes.
 */
int tail_open(struct tail **out, const char *path, enum tail_mode mode,
    const struct epoch *epoch, uint64_t number, char *reason);
/* Before it is written to: an empty one of this process. Likewise. */
int tail_renew(struct tail *t, uint64_t number, char *reason);
/* The file is removed if the tail is empty, unless it was to be read alone. */
void tail_close(struct tail *t);

/* Add a row that is not part of the tail yet; false if there is no room. */
bool tail_stage(struct tail *t, const struct tail_row *row);
bool tail_has_staged(const struct tail *t);
/*
 * From here on all that is staged, one group, is part of it. False if it cannot
 * be written: then none is.
 */
bool tail_publish(struct tail *t);
void tail_unstage(struct tail *t);

bool tail_is_empty(const struct tail *t);
uint64_t tail_number(const struct tail *t);
/* An empty one takes its place. */
void tail_begin(struct tail *t, uint64_t number);

/*
 * Visit the rows in their order; what the visitor returns instead of SW_OK ends
 * the visit. Returns that.
 */
int tail_visit(const struct tail *t,
    int (*visit)(void *ctx, const struct tail_row *row), void *ctx);

/* The log's row of that id, borrowed, if it has one. Any thread, of TAIL_READ.
 */
bool tail_find(const struct tail *t, uint64_t id, struct tail_row *out);

#endif
