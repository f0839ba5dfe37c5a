#include "storage/outbox/outbox_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/sqlite/sqlite_db.h"

/* "SPLO": tells the file from other SQLite databases; see file(1). */
#define APPLICATION_ID 0x53504c4f

/*
 * Never change a step that was released: add one. A file remembers how many it
 * has taken (user_version).
 *
 * Only what is dead is indexed: letters come and go at the ends of the table,
 * and are found by their ids. Wills likewise, by their connections' numbers,
 * which ascend.
 */
static const char *const steps[] = {
	/* 1 */
	"CREATE TABLE letter ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL,"
	" created INTEGER NOT NULL, died INTEGER NOT NULL DEFAULT 0,"
	" reason TEXT NOT NULL DEFAULT '', data BLOB NOT NULL);"
	"CREATE INDEX dead ON letter (id) WHERE died > 0;"
	"PRAGMA application_id = 0x53504c4f; PRAGMA user_version = 1;",
	/* 2: who was connected is told of after a kill -9 as well */
	"CREATE TABLE will ("
	" connection INTEGER PRIMARY KEY, lane TEXT NOT NULL,"
	" data BLOB NOT NULL);"
	"CREATE TABLE connections (reserved INTEGER NOT NULL);"
	"INSERT INTO connections VALUES (0); PRAGMA user_version = 2;",
};

enum { SCHEMA = sizeof(steps) / sizeof(steps[0]) };

enum statement {
	ADD,
	REMOVE,
	BURY,
	DROP,
	DROP_ALL,
	REVIVE,
	READ,
	WAITING,
	DEAD,
	WILL,
	REVOKE,
	EXECUTE,
	REVOKE_ALL,
	RESERVE,
	STATEMENTS,
};

static const char *const sql[STATEMENTS] = {
	[ADD] = "INSERT INTO letter (lane, created, data) VALUES (?, ?, ?)",
	[REMOVE] = "DELETE FROM letter WHERE id = ?",
	[BURY] = "UPDATE letter SET died = ?, reason = ? WHERE id = ?",
	[DROP] = "DELETE FROM letter WHERE id = ? AND died > 0",
	[DROP_ALL] = "DELETE FROM letter WHERE died > 0",
	[REVIVE] = ("INSERT INTO letter (lane, created, data)"
		    " SELECT lane, ?, data FROM letter"
		    " WHERE died > 0 AND id BETWEEN ? AND ? ORDER BY id"),
	[READ] = "SELECT data FROM letter WHERE id = ?",
	[WAITING] =
	    ("SELECT id, lane, created, died, reason, length(data), NULL"
	     " FROM letter WHERE died = 0 AND id > ? ORDER BY id"
	     " LIMIT ?"),
	[DEAD] = ("SELECT id, lane, created, died, reason, length(data), data"
		  " FROM letter WHERE died > 0 AND id > ? ORDER BY id LIMIT ?"),
	[WILL] = ("INSERT INTO will (connection, lane, data) VALUES (?, ?, ?)"
		  " ON CONFLICT (connection) DO UPDATE"
		  " SET lane = excluded.lane, data = excluded.data"),
	[REVOKE] = "DELETE FROM will WHERE connection = ?",
	[EXECUTE] = ("INSERT INTO letter (lane, created, data)"
		     " SELECT lane, ?, data FROM will ORDER BY connection"),
	[REVOKE_ALL] = "DELETE FROM will",
	[RESERVE] = "UPDATE connections SET reserved = ?",
};

struct outbox_db {
	struct db db;
	sqlite3_stmt *statements[STATEMENTS];
	uint64_t reserved; /* at the start */
	char reason[256];
};

static int
read_number(struct db *d, const char *query, int *out)
{
	sqlite3_stmt *s = NULL;
	int err = db_prepare(d, &s, query);

	if (err == SW_OK && (err = db_row(d, s)) == SW_OK)
		*out = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return err;
}

static int
migrate(struct outbox_db *o)
{
	int application = 0, version = 0, objects = 0, err;

	if ((err = read_number(
		 &o->db, "PRAGMA application_id", &application)) != SW_OK ||
	    (err = read_number(&o->db, "PRAGMA user_version", &version)) !=
		SW_OK ||
	    (err = read_number(&o->db, "SELECT count(*) FROM sqlite_schema",
		 &objects)) != SW_OK)
		return err;
	if ((objects > 0 && application != APPLICATION_ID) ||
	    version > SCHEMA) {
		snprintf(o->reason, sizeof(o->reason),
		    "this is a database of another program, or of a newer "
		    "Spillway");
		return SW_EUNSUPPORTED;
	}
	for (; version < SCHEMA && err == SW_OK; version++)
		if ((err = db_exec(&o->db, "BEGIN IMMEDIATE")) == SW_OK &&
		    (err = db_exec(&o->db, steps[version])) == SW_OK)
			err = db_exec(&o->db, "COMMIT");
	return err;
}

static int
read_reserved(struct outbox_db *o)
{
	sqlite3_stmt *s = NULL;
	int err =
	    db_prepare(&o->db, &s, "SELECT max(reserved) FROM connections");

	if (err == SW_OK && (err = db_row(&o->db, s)) == SW_OK)
		o->reserved = db_u64(s, 0);
	sqlite3_finalize(s);
	return err;
}

static int
open_file(struct outbox_db *o, const char *path)
{
	int err = db_open(&o->db, path, DB_WRITER, o->reason);

	/* As the log has it: survives kill -9, and is quick. */
	if (err == SW_OK)
		err = db_exec(&o->db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
		    "PRAGMA journal_size_limit = 67108864;");
	if (err == SW_OK)
		err = migrate(o);
	if (err == SW_OK)
		err = read_reserved(o);
	for (int i = 0; i < STATEMENTS && err == SW_OK; i++)
		err = db_prepare(&o->db, &o->statements[i], sql[i]);
	if (err == SW_OK)
		db_remember_files(&o->db);
	return err;
}

const char *
outbox_db_reason(const struct outbox_db *o, int err)
{
	return err == SW_ENOMEM || o->reason[0] == '\0' ?
	    err_info(err)->sentence :
	    o->reason;
}

int
outbox_db_open(struct outbox_db **out, const char *path)
{
	bool in_memory = strcmp(path, "memory") == 0;
	struct outbox_db *o = calloc(1, sizeof(*o));
	struct buf name;
	int err;

	if (o == NULL)
		return SW_ENOMEM;
	buf_init(&name, 1 << 16);
	buf_printf(&name, "%s%s", in_memory ? ":memory:" : path,
	    in_memory ? "" : "-outbox");
	buf_put(&name, "", 1);
	err = buf_error(&name);
	if (err == SW_OK)
		err = open_file(o, (const char *)buf_head(&name));
	if (err != SW_OK) {
		log_error("outbox: %s: %s; move the file away to begin with an "
			  "empty outbox",
		    buf_error(&name) == SW_OK ? (const char *)buf_head(&name) :
						path,
		    outbox_db_reason(o, err));
		outbox_db_close(o);
		o = NULL;
	}
	buf_fini(&name);
	*out = o;
	return err;
}

void
outbox_db_close(struct outbox_db *o)
{
	if (o == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(o->statements[i]);
	db_close(&o->db);
	free(o);
}

uint64_t
outbox_db_reserved(const struct outbox_db *o)
{
	return o->reserved;
}

int
outbox_db_begin(struct outbox_db *o)
{
	int err = db_check_files(&o->db);

	return err == SW_OK ? db_exec(&o->db, "BEGIN IMMEDIATE") : err;
}

int
outbox_db_commit(struct outbox_db *o)
{
	return db_exec(&o->db, "COMMIT");
}

void
outbox_db_rollback(struct outbox_db *o)
{
	/* There may be none: a failure can end the transaction by itself. */
	sqlite3_exec(o->db.handle, "ROLLBACK", NULL, NULL, NULL);
}

int
outbox_db_add(struct outbox_db *o, struct str lane, uint64_t created_ms,
    struct str data, uint64_t *id)
{
	sqlite3_stmt *s = o->statements[ADD];
	int err;

	db_bind_text(s, 1, lane);
	db_bind_u64(s, 2, created_ms);
	sqlite3_bind_blob64(s, 3, data.p, data.len, SQLITE_STATIC);
	err = db_run(&o->db, s);
	*id = (uint64_t)sqlite3_last_insert_rowid(o->db.handle);
	return err;
}

int
outbox_db_remove(struct outbox_db *o, uint64_t id)
{
	sqlite3_stmt *s = o->statements[REMOVE];

	db_bind_u64(s, 1, id);
	return db_run(&o->db, s);
}

int
outbox_db_bury(
    struct outbox_db *o, uint64_t id, uint64_t now_ms, const char *reason)
{
	sqlite3_stmt *s = o->statements[BURY];

	db_bind_u64(s, 1, now_ms);
	db_bind_text(s, 2, str_of(reason));
	db_bind_u64(s, 3, id);
	return db_run(&o->db, s);
}

int
outbox_db_will(struct outbox_db *o, uint64_t connection, struct str lane,
    struct str data, bool *added)
{
	sqlite3_stmt *s = o->statements[WILL];
	int err;

	/* A row that is changed leaves it as it is. */
	sqlite3_set_last_insert_rowid(o->db.handle, 0);
	db_bind_u64(s, 1, connection);
	db_bind_text(s, 2, lane);
	sqlite3_bind_blob64(s, 3, data.p, data.len, SQLITE_STATIC);
	err = db_run(&o->db, s);
	*added = err == SW_OK && sqlite3_last_insert_rowid(o->db.handle) != 0;
	return err;
}

int
outbox_db_revoke(struct outbox_db *o, uint64_t connection, bool *removed)
{
	sqlite3_stmt *s = o->statements[REVOKE];
	int err;

	db_bind_u64(s, 1, connection);
	err = db_run(&o->db, s);
	*removed = err == SW_OK && sqlite3_changes(o->db.handle) > 0;
	return err;
}

int
outbox_db_execute(
    struct outbox_db *o, uint64_t created_ms, uint64_t *count, uint64_t *last)
{
	sqlite3_stmt *s = o->statements[EXECUTE];
	int err;

	db_bind_u64(s, 1, created_ms);
	if ((err = db_run(&o->db, s)) != SW_OK)
		return err;
	*count = (uint64_t)sqlite3_changes(o->db.handle);
	*last = (uint64_t)sqlite3_last_insert_rowid(o->db.handle);
	return db_run(&o->db, o->statements[REVOKE_ALL]);
}

int
outbox_db_reserve(struct outbox_db *o, uint64_t connection)
{
	sqlite3_stmt *s = o->statements[RESERVE];

	db_bind_u64(s, 1, connection);
	return db_run(&o->db, s);
}

int
outbox_db_drop(struct outbox_db *o, uint64_t id, uint64_t *count)
{
	sqlite3_stmt *s = o->statements[id == 0 ? DROP_ALL : DROP];
	int err;

	if (id != 0)
		db_bind_u64(s, 1, id);
	err = db_run(&o->db, s);
	*count = err == SW_OK ? (uint64_t)sqlite3_changes(o->db.handle) : 0;
	return err;
}

int
outbox_db_revive(struct outbox_db *o, uint64_t id, uint64_t created_ms,
    uint64_t *count, uint64_t *last)
{
	sqlite3_stmt *s = o->statements[REVIVE];
	uint64_t dropped;
	int err;

	db_bind_u64(s, 1, created_ms);
	db_bind_u64(s, 2, id);
	db_bind_u64(s, 3, id == 0 ? INT64_MAX : id);
	if ((err = db_run(&o->db, s)) != SW_OK)
		return err;
	*count = (uint64_t)sqlite3_changes(o->db.handle);
	*last = (uint64_t)sqlite3_last_insert_rowid(o->db.handle);
	return outbox_db_drop(o, id, &dropped);
}

int
outbox_db_visit(struct outbox_db *o, bool dead, uint64_t after, uint64_t limit,
    int (*visit)(void *ctx, const struct outbox_letter *letter), void *ctx)
{
	sqlite3_stmt *s = o->statements[dead ? DEAD : WAITING];
	int err;

	db_bind_u64(s, 1, after);
	db_bind_u64(s, 2, limit);
	while ((err = db_row(&o->db, s)) == SW_OK) {
		const struct outbox_letter letter = {
			.id = db_u64(s, 0),
			.lane = db_text(s, 1),
			.created_ms = db_u64(s, 2),
			.died_ms = db_u64(s, 3),
			.reason = db_text(s, 4),
			.size = db_u64(s, 5),
			.data = { sqlite3_column_blob(s, 6),
			    (size_t)sqlite3_column_bytes(s, 6) },
		};

		if ((err = visit(ctx, &letter)) != SW_OK)
			break;
	}
	sqlite3_reset(s);
	return err == SW_ENOENT ? SW_OK : err;
}

int
outbox_db_read(struct outbox_db *o, uint64_t id, struct str *data)
{
	sqlite3_stmt *s = o->statements[READ];
	int err;

	db_bind_u64(s, 1, id);
	if ((err = db_row(&o->db, s)) == SW_OK)
		*data = (struct str){ sqlite3_column_blob(s, 0),
			(size_t)sqlite3_column_bytes(s, 0) };
	return err;
}

/* A WAL does not start over while a statement still reads from it. */
void
outbox_db_let_go(struct outbox_db *o)
{
	sqlite3_reset(o->statements[READ]);
}
