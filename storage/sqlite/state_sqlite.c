#include "storage/sqlite/state_sqlite.h"

#include "proxy/base/err.h"

int
state_find(struct db *d, const char *name, sqlite3_stmt **q)
{
	int err = db_prepare(d, q, "SELECT value FROM state WHERE name = ?");

	if (err != SW_OK)
		return err;
	db_bind_text(*q, 1, str_of(name));
	return db_row(d, *q);
}

/* The same of what is in every file of ours. */
static int
find(struct db *d, const char *name, sqlite3_stmt **q)
{
	int err = state_find(d, name, q);

	return err == SW_ENOENT ? SW_ECORRUPT : err;
}

int
state_number(struct db *d, const char *name, uint64_t *out)
{
	sqlite3_stmt *q = NULL;
	int err = find(d, name, &q);

	if (err == SW_OK)
		*out = db_u64(q, 0);
	sqlite3_finalize(q);
	return err;
}

int
state_epoch(struct db *d, struct epoch *out)
{
	sqlite3_stmt *q = NULL;
	int err = find(d, "epoch", &q);

	if (err == SW_OK && epoch_parse(out, db_text(q, 0)) != SW_OK)
		err = SW_ECORRUPT;
	sqlite3_finalize(q);
	return err;
}
