#include "storage/sqlite/keys_sqlite.h"

#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

enum statement {
	SQL_FIND,
	SQL_ADD,
	SQL_NEXT,
	SQL_REMOVE,
	SQL_DATE,
	STATEMENTS
};

static const char *const sql[STATEMENTS] = {
	[SQL_FIND] = "SELECT id, time FROM idempotency"
		     " WHERE channel = ? AND key = ?",
	/* An expired key that was not removed yet gives way. */
	[SQL_ADD] = "INSERT OR REPLACE INTO idempotency"
		    " (channel, key, id, time) VALUES (?, ?, ?, ?)",
	[SQL_NEXT] = "SELECT channel, key, time FROM idempotency"
		     " WHERE (channel, key) > (?, ?)"
		     " ORDER BY channel, key LIMIT ?",
	[SQL_REMOVE] = "DELETE FROM idempotency"
		       " WHERE channel = ? AND key = ?",
	[SQL_DATE] = "UPDATE idempotency SET time = ?3"
		     " WHERE channel = ?1 AND key = ?2",
};

struct keys_sqlite {
	struct db *db;
	sqlite3_stmt *statements[STATEMENTS];
	/* Where keys_sqlite_expire goes on. */
	struct buf channel, key;
};

int
keys_sqlite_open(struct keys_sqlite **out, struct db *db)
{
	struct keys_sqlite *k = calloc(1, sizeof(*k));
	int err;

	if (k == NULL)
		return SW_ENOMEM;
	k->db = db;
	buf_init(&k->channel, 4096);
	buf_init(&k->key, 4096);
	for (size_t i = 0; i < STATEMENTS; i++)
		if ((err = db_prepare(db, &k->statements[i], sql[i])) !=
		    SW_OK) {
			keys_sqlite_close(k);
			return err;
		}
	*out = k;
	return SW_OK;
}

void
keys_sqlite_close(struct keys_sqlite *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(k->statements[i]);
	buf_fini(&k->channel);
	buf_fini(&k->key);
	free(k);
}

int
keys_sqlite_find(struct keys_sqlite *k, struct str channel, struct str key,
    uint64_t *id, uint64_t *time_ms)
{
	sqlite3_stmt *q = k->statements[SQL_FIND];
	int err;

	db_bind_text(q, 1, channel);
	db_bind_text(q, 2, key);
	if ((err = db_row(k->db, q)) != SW_OK)
		return err;
	*id = db_u64(q, 0);
	*time_ms = db_u64(q, 1);
	sqlite3_reset(q);
	return SW_OK;
}

int
keys_sqlite_add(struct keys_sqlite *k, struct str channel, struct str key,
    uint64_t id, uint64_t time_ms)
{
	sqlite3_stmt *q = k->statements[SQL_ADD];

	db_bind_text(q, 1, channel);
	db_bind_text(q, 2, key);
	db_bind_u64(q, 3, id);
	db_bind_u64(q, 4, time_ms);
	return db_run(k->db, q);
}

/* Run that for the key at which the walk stands. */
static int
run_here(struct keys_sqlite *k, enum statement which)
{
	sqlite3_stmt *q = k->statements[which];

	db_bind_text(q, 1, buf_str(&k->channel));
	db_bind_text(q, 2, buf_str(&k->key));
	return db_run(k->db, q);
}

static int
judge_here(struct keys_sqlite *k, uint64_t time_ms, uint64_t before_ms,
    uint64_t latest_ms)
{
	if (time_ms < before_ms)
		return run_here(k, SQL_REMOVE);
	if (time_ms <= latest_ms)
		return SW_OK;
	db_bind_u64(k->statements[SQL_DATE], 3, latest_ms);
	return run_here(k, SQL_DATE);
}

/* Keep a copy of where the walk over the keys stands. */
static int
remember_key(struct keys_sqlite *k, struct str channel, struct str key)
{
	buf_clear(&k->channel);
	buf_clear(&k->key);
	buf_put_str(&k->channel, channel);
	buf_put_str(&k->key, key);
	return buf_error(&k->channel) != SW_OK ? buf_error(&k->channel) :
						 buf_error(&k->key);
}

int
keys_sqlite_expire(struct keys_sqlite *k, uint64_t before_ms,
    uint64_t latest_ms, unsigned count)
{
	sqlite3_stmt *q = k->statements[SQL_NEXT];
	int err = SW_OK;

	/* Removing below the open walk is safe: the row was passed already. */
	for (unsigned i = 0; i < count && err == SW_OK; i++) {
		uint64_t time_ms;

		db_bind_text(q, 1, buf_str(&k->channel));
		db_bind_text(q, 2, buf_str(&k->key));
		sqlite3_bind_int(q, 3, 1);
		if ((err = db_row(k->db, q)) != SW_OK)
			break;
		time_ms = db_u64(q, 2);
		err = remember_key(k, db_text(q, 0), db_text(q, 1));
		sqlite3_reset(q);
		if (err == SW_OK)
			err = judge_here(k, time_ms, before_ms, latest_ms);
	}
	if (err == SW_ENOENT) /* the end: round again */
		return remember_key(k, STR(""), STR(""));
	return err;
}
