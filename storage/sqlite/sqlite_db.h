#ifndef SPILLWAY_STORAGE_SQLITE_SQLITE_DB_H
#define SPILLWAY_STORAGE_SQLITE_SQLITE_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/str.h"

/* Which file it is, whatever its name; all of it 0: not known. */
struct db_file {
	uint64_t device, number;
};

/*
 * A connection to the database file and the few things that all parts of the
 * SQLite store do with one. A connection belongs to one thread at a time.
 */
struct db {
	sqlite3 *handle;
	struct db_file file, log; /* see db_remember_files */
	uint64_t looked_ms;       /* at them, last */
	bool displaced;           /* they were not there */
	bool read_only; /* the file could be opened for reading alone */
	bool locked;    /* by another process, when it was waited for last */
	char *reason;   /* where failures are explained, of 256 bytes */
};

enum db_mode {
	DB_WRITER,
	DB_READER,
	/*
	 * The same for a file that no other process may open meanwhile: locks
	 * between our own connections are a matter of memory then, instead of
	 * six system calls a commit.
	 */
	DB_WRITER_ALONE,
	DB_READER_ALONE,
};

/* SW_ENOENT without a file to read; else as db_error. */
int db_open(struct db *d, const char *path, enum db_mode mode, char *reason);
void db_close(struct db *d);

/*
 * Remember which files the names of the database and of its write-ahead log
 * lead to. They are displaced when these names lead elsewhere by now, or
 * nowhere: what is written to a file that was removed ends with the process,
 * one that was renamed is not found by the next, and a connection that is
 * opened to another file takes the memory that it shares with the others from
 * below them.
 */
void db_remember_files(struct db *d);
bool db_is_displaced(const struct db *d); /* any thread */
/* SW_ESTORE, with the reason, while they are; looks once a second. */
int db_check_files(struct db *d);

/* The code for what the connection's last call returned; sets the reason. */
int db_error(struct db *d, int code);

/* Statements without results; several, separated by semicolons. */
int db_exec(struct db *d, const char *sql);

int db_prepare(struct db *d, sqlite3_stmt **out, const char *sql);

/*
 * Run a prepared statement that returns no row, and reset it. Bound values are
 * the caller's again afterwards.
 */
int db_run(struct db *d, sqlite3_stmt *s);

/* SW_OK with a row to read (reset it afterwards), SW_ENOENT without. */
int db_row(struct db *d, sqlite3_stmt *s);

/*
 * With synchronous = NORMAL a commit is in the write-ahead log, which a later
 * checkpoint syncs. Syncing that file now is all that FULL would add.
 */
int db_sync_log(struct db *d);

/*
 * Begin a transaction with that statement. Another process's lock is waited
 * for, but once: until it is gone, later calls fail at once.
 */
int db_begin(struct db *d, sqlite3_stmt *s);

/* The text in column `i` of a row; borrowed until the statement is reset. */
struct str db_text(sqlite3_stmt *s, int i);

static inline uint64_t
db_u64(sqlite3_stmt *s, int i)
{
	return (uint64_t)sqlite3_column_int64(s, i);
}

static inline void
db_bind_u64(sqlite3_stmt *s, int i, uint64_t value)
{
	sqlite3_bind_int64(s, i, (sqlite3_int64)value);
}

/* No text is the empty one: NULL would compare with nothing. */
static inline void
db_bind_text(sqlite3_stmt *s, int i, struct str text)
{
	sqlite3_bind_text(
	    s, i, text.p == NULL ? "" : text.p, (int)text.len, SQLITE_STATIC);
}

#endif
