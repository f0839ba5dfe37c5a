#ifndef SPILLWAY_STORAGE_SQLITE_GROUPS_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_GROUPS_SQLITE_H

#include <stdatomic.h>

#include "storage/sqlite/checkpoint_sqlite.h"
#include "storage/sqlite/keys_sqlite.h"
#include "storage/sqlite/payloads_sqlite.h"
#include "storage/sqlite/sqlite_db.h"
#include "storage/sqlite/tail.h"

/*
 * The writer's groups of changes, each of which is committed as a whole.
 *
 * A commit of SQLite writes whole pages, so groups that follow each other
 * closely share one: their rows are in the tail as well, which outlives the
 * process, and the transaction goes on. It ends when it is some milliseconds
 * old, when a group is more than rows or is to be synced, and when readers want
 * to see it. If it fails, or the process ends before, the rows are inserted
 * again from the tail. Of the writer's thread.
 */
struct groups_sqlite;

/*
 * Adds what the last process left. What is given is borrowed; `*unsettled` says
 * whether readers do not see everything yet.
 */
int groups_open(struct groups_sqlite **out, struct db *db, const char *store,
    struct keys_sqlite *keys, struct payloads *payloads,
    struct checkpointer *checkpointer, _Atomic bool *unsettled);
/* A group that was not committed is not. */
void groups_close(struct groups_sqlite *g);

/* As in struct store_ops. */
int groups_begin(struct groups_sqlite *g, bool sync);
int groups_commit(struct groups_sqlite *g);
void groups_rollback(struct groups_sqlite *g);
int groups_settle(struct groups_sqlite *g);

int groups_append(struct groups_sqlite *g, const struct tail_row *row);
int groups_add_key(struct groups_sqlite *g, struct str channel, struct str key,
    uint64_t id, uint64_t time_ms);
/* This one changes something else, too. */
void groups_mix(struct groups_sqlite *g);

/*
 * What belongs to the database, and could not be added when it was opened: it
 * can be read alone, or the disk is full. It stays as it is. Else NULL.
 */
const struct tail *groups_tail(const struct groups_sqlite *g);

/* See store_sqlite_hurry. */
void groups_hurry(struct groups_sqlite *g, uint64_t hold_ns);

#endif
