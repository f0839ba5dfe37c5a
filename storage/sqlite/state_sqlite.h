#ifndef SPILLWAY_STORAGE_SQLITE_STATE_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_STATE_SQLITE_H

#include "proxy/base/cursor.h"
#include "storage/sqlite/sqlite_db.h"

/* What the database knows about the log as a whole: names and values. */

/*
 * The value of that name, to be read from `*q`, which is the caller's to
 * finalize, also after a failure. SW_ENOENT if there is none.
 */
int state_find(struct db *d, const char *name, sqlite3_stmt **q);
/* SW_ECORRUPT if there is none of that name. */
int state_number(struct db *d, const char *name, uint64_t *out);
int state_epoch(struct db *d, struct epoch *out);

#endif
