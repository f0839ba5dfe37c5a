#ifndef SPILLWAY_STORAGE_SQLITE_FILES_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_FILES_SQLITE_H

/*
 * The files of a store, which its name is the beginning of: the database, its
 * write-ahead log, the lock, the directory of large payloads, the tail.
 */

/*
 * Lock files beside the database: SQLite's own locks would let a second daemon
 * in between two transactions, and give the same ids out again. If the store's
 * name is a link, the name that it leads to has one as well, as others may know
 * the file by that or by another link.
 */
struct store_lock {
	int named, linked; /* descriptors; -1: none */
};

/*
 * Become the only daemon that uses the store. SW_ELOCKED if another one is; the
 * reason, of 256 bytes, says which. Whatever it returns, the lock is to be
 * dropped.
 */
int store_lock_take(struct store_lock *l, const char *path, char *reason);
void store_lock_drop(struct store_lock *l);

#endif
