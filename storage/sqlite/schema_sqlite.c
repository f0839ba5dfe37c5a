#include "storage/sqlite/schema_sqlite.h"

#include <stdio.h>

#include "proxy/base/cursor.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

/* "SPLW": tells the file from other SQLite databases; see file(1). */
#define APPLICATION_ID 0x53504c57

/*
 * Never change a step that was released: add one.
 *
 * The log has no index but its ids: every index by channel would make a commit
 * dirty a page per row. A channel's past is found along `previous` and `jump`,
 * see storage/chain.h. `number` counts the channel's events, `total` its bytes.
 * A kind of 16 and above means that `data` is a place in a file, see
 * storage/sqlite/payloads_sqlite.h.
 */
static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE state ("
	" name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE channel ("
	" key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
	" head INTEGER NOT NULL DEFAULT 0, number INTEGER NOT NULL DEFAULT 0,"
	" total INTEGER NOT NULL DEFAULT 0, floor INTEGER NOT NULL DEFAULT 0);"
	"CREATE TABLE log ("
	" id INTEGER PRIMARY KEY, channel INTEGER NOT NULL,"
	" number INTEGER NOT NULL, previous INTEGER NOT NULL,"
	" jump INTEGER NOT NULL, total INTEGER NOT NULL,"
	" time INTEGER NOT NULL, kind INTEGER NOT NULL,"
	" type TEXT NOT NULL, content_type TEXT NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE TABLE idempotency ("
	" channel TEXT NOT NULL, key TEXT NOT NULL,"
	" id INTEGER NOT NULL, time INTEGER NOT NULL,"
	" PRIMARY KEY (channel, key)) WITHOUT ROWID;"
	"CREATE TABLE payload_file ("
	" number INTEGER PRIMARY KEY, size INTEGER NOT NULL,"
	" live INTEGER NOT NULL);"
	"INSERT INTO state VALUES ('reserved', 0), ('head', 0),"
	" ('floor', 0), ('saved', 0);",
	/* 2: places have sums, which tell what was lost with the power */
	"INSERT INTO state VALUES ('payloads_synced', '0 0');",
	/* 3: the last tail whose rows are in the log, see storage/sqlite/tail.h
	 */
	"INSERT INTO state VALUES ('tail', 0);",
	/* 4: channels can be forgotten, see storage/forget.h */
	("INSERT INTO state VALUES ('forgotten', 0), ('mark', 0),"
	 " ('mark_ms', 0);"),
};

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

int
schema_version(void)
{
	return STEPS;
}

static int
read_pragma(struct db *d, const char *sql, int *out)
{
	sqlite3_stmt *s = NULL;
	int err = db_prepare(d, &s, sql);

	if (err == SW_OK && (err = db_row(d, s)) == SW_OK)
		*out = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return err;
}

static int
take_step(struct db *d, int from)
{
	char sql[128];
	int err;

	if ((err = db_exec(d, "BEGIN IMMEDIATE")) != SW_OK)
		return err;
	if ((err = db_exec(d, steps[from])) != SW_OK)
		goto fail;
	if (from == 0) {
		struct epoch epoch;

		epoch_make(&epoch);
		snprintf(sql, sizeof(sql),
		    "INSERT INTO state VALUES ('epoch', '%s')", epoch.text);
		if ((err = db_exec(d, sql)) != SW_OK)
			goto fail;
	}
	snprintf(sql, sizeof(sql),
	    "PRAGMA user_version = %d; PRAGMA application_id = %d", from + 1,
	    APPLICATION_ID);
	if ((err = db_exec(d, sql)) != SW_OK ||
	    (err = db_exec(d, "COMMIT")) != SW_OK)
		goto fail;
	return SW_OK;

fail:
	sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

int
schema_check(struct db *d)
{
	int version = 0, application = 0, objects = 0, err;

	if ((err = read_pragma(d, "PRAGMA user_version", &version)) != SW_OK ||
	    (err = read_pragma(d, "PRAGMA application_id", &application)) !=
		SW_OK ||
	    (err = read_pragma(
		 d, "SELECT count(*) FROM sqlite_schema", &objects)) != SW_OK)
		return err;
	if (objects > 0 && application != APPLICATION_ID) {
		snprintf(
		    d->reason, 256, "this is a database of another program");
		return SW_EUNSUPPORTED;
	}
	if (version > STEPS) {
		snprintf(d->reason, 256,
		    "written by a newer Spillway (schema %d, this one knows "
		    "%d): run that one, or another store",
		    version, STEPS);
		return SW_EUNSUPPORTED;
	}
	return SW_OK;
}

int
schema_migrate(struct db *d)
{
	int found = 0, err;

	if ((err = read_pragma(d, "PRAGMA user_version", &found)) != SW_OK)
		return err;
	for (int version = found; version < STEPS; version++)
		if ((err = take_step(d, version)) != SW_OK)
			return err;
	if (found > 0 && found < STEPS)
		log_info("store brought up to date schema=%d before=%d: an "
			 "older Spillway refuses it from now on",
		    STEPS, found);
	return SW_OK;
}
