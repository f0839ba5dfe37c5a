#ifndef SPILLWAY_STORAGE_SQLITE_FILES_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_FILES_SQLITE_H

/*
 * The files of a store, which its name is the beginning of: the database, its
 * write-ahead log, the lock, the directory of large payloads, the tail.
 */

/*
 * Become the only daemon that uses the store, until `*fd` is closed. SW_ELOCKED
 * if another one is; the reason, of 256 bytes, says which.
 */
int lock_take(const char *path, int *fd, char *reason);

#endif
