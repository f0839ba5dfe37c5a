#ifndef SPILLWAY_STORAGE_SQLITE_READER_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_READER_SQLITE_H

#include "storage/sqlite/sqlite_db.h"
#include "storage/sqlite/tail.h"
#include "storage/sqlite/views.h"
#include "storage/store.h"

/*
 * The reading side of the SQLite store; see struct store_ops. `tail`: what else
 * belongs to a database that nothing can be added to; else NULL.
 */
int reader_sqlite_open(struct store_reader **out, const char *path,
    enum db_mode mode, struct views *views, const struct tail *tail);
void reader_sqlite_close(struct store_reader *r);
int reader_sqlite_begin(struct store_reader *r);
void reader_sqlite_end(struct store_reader *r);
int reader_sqlite_row(
    struct store_reader *r, uint64_t id, struct store_row *out);
int reader_sqlite_event(
    struct store_reader *r, uint64_t id, struct channel *c, struct event **out);

#endif
