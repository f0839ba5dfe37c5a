#ifndef SPILLWAY_STORAGE_SQLITE_KEYS_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_KEYS_SQLITE_H

#include "storage/sqlite/sqlite_db.h"

/*
 * Idempotency keys of stored events, in the database: what was published under
 * a key, and when. On the writer's connection, inside its transactions.
 */
struct keys_sqlite;

int keys_sqlite_open(struct keys_sqlite **out, struct db *db);
void keys_sqlite_close(struct keys_sqlite *k);

/* SW_ENOENT if there is none. */
int keys_sqlite_find(struct keys_sqlite *k, struct str channel, struct str key,
    uint64_t *id, uint64_t *time_ms);
int keys_sqlite_add(struct keys_sqlite *k, struct str channel, struct str key,
    uint64_t id, uint64_t time_ms);
/*
 * Forget keys older than `before_ms` among the next `count` ones, see
 * keys_expire; the next call goes on behind them, and round again.
 */
int keys_sqlite_expire(struct keys_sqlite *k, uint64_t before_ms,
    uint64_t latest_ms, unsigned count);

#endif
