#ifndef SPILLWAY_STORAGE_SQLITE_PAYLOAD_LOSS_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_PAYLOAD_LOSS_SQLITE_H

#include <stdbool.h>

#include "storage/sqlite/payload_dir.h"
#include "storage/sqlite/payload_place.h"
#include "storage/sqlite/sqlite_db.h"

/* How far syncs got, in the table `state`; nowhere, if it does not say it. */
enum { PAYLOAD_MARK_MAX = 48 };
void payload_mark_print(
    char out[PAYLOAD_MARK_MAX], const struct payload_mark *mark);
int payload_mark_load(struct db *db, struct payload_mark *out);

/*
 * Payloads that went with the power: their rows were written, they were not.
 * The history of their channels begins behind them, which is logged.
 *
 * Rows are looked at from the newest on, to the first one that a sync had
 * covered; `all`: to the oldest, because a file is shorter than it should be.
 */
int payload_loss_settle(struct db *db, const struct payload_dir *dir,
    const struct payload_mark *synced, bool all);

#endif
