#ifndef SPILLWAY_STORAGE_SQLITE_SCHEMA_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_SCHEMA_SQLITE_H

#include "storage/sqlite/sqlite_db.h"

/*
 * The tables of the store and how they came to be: an ordered list of steps, of
 * which a file remembers how many it has taken (user_version).
 */

/* The version that this program reads and writes. */
int schema_version(void);

/*
 * Is the file ours to change? SW_EUNSUPPORTED for one of a newer Spillway or of
 * another program, SW_ECORRUPT for a damaged one.
 */
int schema_check(struct db *d);

/*
 * Bring the file up to date, each step in a transaction of its own. An empty
 * file gets everything, and a new epoch.
 */
int schema_migrate(struct db *d);

#endif
