/*
 * History in SQLite: the writer's side. Reading is in reader_sqlite.c, the
 * tables are in schema_sqlite.c, checkpoints in checkpoint_sqlite.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/sqlite/checkpoint_sqlite.h"
#include "storage/sqlite/files_sqlite.h"
#include "storage/sqlite/groups_sqlite.h"
#include "storage/sqlite/keys_sqlite.h"
#include "storage/sqlite/payloads_sqlite.h"
#include "storage/sqlite/reader_sqlite.h"
#include "storage/sqlite/schema_sqlite.h"
#include "storage/sqlite/state_sqlite.h"
#include "storage/store.h"

/* The writer's statements. */
enum statement {
	SQL_ADD_CHANNEL,
	SQL_SAVE_CHANNEL,
	SQL_REMOVE_CHANNEL,
	SQL_SAVE_STATE,
	SQL_SAVE_PAST,
	SQL_REMOVE,
	SQL_SCAN,
	SQL_PAGES,
	SQL_FREE_PAGES,
	STATEMENTS,
};

static const char *const sql[STATEMENTS] = {
	[SQL_ADD_CHANNEL] = "INSERT INTO channel (key, name) VALUES (?, ?)",
	[SQL_SAVE_CHANNEL] = "UPDATE channel SET head = ?2, number = ?3,"
			     " total = ?4, floor = ?5 WHERE key = ?1",
	[SQL_REMOVE_CHANNEL] = "DELETE FROM channel WHERE key = ?",
	[SQL_SAVE_STATE] = "UPDATE state SET value = ?2 WHERE name = ?1",
	/* Not there in a file of an earlier release, which does not look. */
	[SQL_SAVE_PAST] = "INSERT OR REPLACE INTO state VALUES ('past', ?)",
	[SQL_REMOVE] = "DELETE FROM log WHERE id >= ? AND id <= ?",
	/* Columns in the order in which a row has them: none is skipped. */
	[SQL_SCAN] = "SELECT id, channel, number, previous, jump, total, time"
		     " FROM log WHERE id > ? ORDER BY id",
	[SQL_PAGES] = "PRAGMA page_count",
	[SQL_FREE_PAGES] = "PRAGMA freelist_count",
};

enum { PAGE_BYTES = 4096 };

struct store_sqlite {
	struct store base;
	char *path;
	bool shared; /* with other processes */
	struct store_lock lock;
	struct db db;
	sqlite3_stmt *statements[STATEMENTS];
	struct checkpointer *checkpointer;
	struct payloads *payloads;
	struct keys_sqlite *keys;
	struct groups_sqlite *groups;
	struct views views;
};

static struct store_sqlite *
self(struct store *s)
{
	return container_of(s, struct store_sqlite, base);
}

static int
run(struct store_sqlite *s, enum statement which)
{
	return db_run(&s->db, s->statements[which]);
}

static int
load_channels(struct store_sqlite *s, const struct store_visitor *visit)
{
	sqlite3_stmt *q = NULL;
	int err = db_prepare(&s->db, &q,
	    "SELECT key, name, head, number, total, floor FROM channel");

	while (err == SW_OK && (err = db_row(&s->db, q)) == SW_OK) {
		struct store_channel c = {
			.key = db_u64(q, 0),
			.name = db_text(q, 1),
			.head = db_u64(q, 2),
			.number = db_u64(q, 3),
			.total = db_u64(q, 4),
			.floor = db_u64(q, 5),
		};

		err = visit->channel(visit->ctx, &c);
	}
	sqlite3_finalize(q);
	return err == SW_ENOENT ? SW_OK : err;
}

static struct store_row
scanned_row(sqlite3_stmt *q)
{
	return (struct store_row){
		.id = db_u64(q, 0),
		.channel = db_u64(q, 1),
		.number = db_u64(q, 2),
		.previous = db_u64(q, 3),
		.jump = db_u64(q, 4),
		.total = db_u64(q, 5),
		.time_ms = db_u64(q, 6),
	};
}

static int
load_rows(
    struct store_sqlite *s, uint64_t after, const struct store_visitor *visit)
{
	sqlite3_stmt *q = s->statements[SQL_SCAN];
	int err = SW_OK;

	db_bind_u64(q, 1, after);
	while (err == SW_OK && (err = db_row(&s->db, q)) == SW_OK) {
		struct store_row row = scanned_row(q);

		err = visit->row(visit->ctx, &row);
	}
	sqlite3_reset(q);
	return err == SW_ENOENT ? SW_OK : err;
}

static int
load_tail_row(void *ctx, const struct tail_row *row)
{
	const struct store_visitor *visit = ctx;

	return row->kind == TAIL_KEY ? SW_OK :
				       visit->row(visit->ctx, &row->row);
}

/* Where it could not be added to the database. */
static int
load_tail(struct store_sqlite *s, const struct store_visitor *visit)
{
	const struct tail *t = groups_tail(s->groups);
	struct store_visitor to = *visit;

	return t == NULL ? SW_OK : tail_visit(t, load_tail_row, &to);
}

static void
explain_failure(const struct store_sqlite *s, int err)
{
	const char *reason = s->base.reason[0] != '\0' ?
	    s->base.reason :
	    err_info(err)->sentence;
	char dir[4096];
	struct stat st;
	char *slash;

	/* What to do about it depends on the configuration. */
	if (err == SW_ECORRUPT) {
		log_warn("store: %s: %s", s->path, reason);
		return;
	}
	/* It was told where it was found. */
	if (err == SW_ELIMIT)
		return;
	if (stat(s->path, &st) == 0 && S_ISDIR(st.st_mode)) {
		log_error("store: %s is a directory: set `store` to a file in "
			  "it, such as %s/spillway.db",
		    s->path, s->path);
		return;
	}
	snprintf(dir, sizeof(dir), "%s", s->path);
	slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (access(dir, F_OK) != 0 && errno == ENOENT) {
			log_error("store: %s: the directory %s does not exist: "
				  "create it, or set `store` to another place",
			    s->path, dir);
			return;
		}
		if (access(dir, W_OK) != 0) {
			log_error(
			    "store: %s: %s; nothing can be written to the "
			    "directory %s: %s",
			    s->path, reason, dir, strerror(errno));
			return;
		}
	}
	log_error("store: %s: %s", s->path, reason);
}

/* A file of an earlier release has none of it, if it cannot be changed. */
static int
load_forgotten(struct store_sqlite *s, struct store_state *state)
{
	int err = state_number(&s->db, "forgotten", &state->forgotten);

	if (err == SW_ECORRUPT && s->db.read_only)
		return SW_OK;
	if (err == SW_OK)
		err = state_number(&s->db, "mark", &state->mark);
	if (err == SW_OK)
		err = state_number(&s->db, "mark_ms", &state->mark_ms);
	return err;
}

static int
sqlite_load(struct store *base, struct store_state *state,
    const struct store_visitor *visit)
{
	struct store_sqlite *s = self(base);
	int err;

	*state = (struct store_state){ .reserved = 0 };
	if ((err = state_epoch(&s->db, &state->epoch)) != SW_OK ||
	    (err = state_number(&s->db, "reserved", &state->reserved)) !=
		SW_OK ||
	    (err = state_number(&s->db, "head", &state->head)) != SW_OK ||
	    (err = state_number(&s->db, "floor", &state->floor)) != SW_OK ||
	    (err = state_number(&s->db, "saved", &state->saved)) != SW_OK ||
	    (err = load_forgotten(s, state)) != SW_OK ||
	    (err = load_channels(s, visit)) != SW_OK ||
	    (err = load_rows(s, state->saved, visit)) != SW_OK ||
	    (err = load_tail(s, visit)) != SW_OK)
		explain_failure(s, err);
	return err;
}

static int
sqlite_load_past(struct store *base, struct buf *out)
{
	struct store_sqlite *s = self(base);
	sqlite3_stmt *q = NULL;
	int err = state_find(&s->db, "past", &q);

	if (err == SW_OK)
		err = buf_put_str(out, db_text(q, 0));
	else if (err == SW_ENOENT)
		err = SW_OK;
	sqlite3_finalize(q);
	return err;
}

static int
save_number(struct store_sqlite *s, const char *name, uint64_t value)
{
	sqlite3_stmt *q = s->statements[SQL_SAVE_STATE];

	db_bind_text(q, 1, str_of(name));
	db_bind_u64(q, 2, value);
	return db_run(&s->db, q);
}

static int
sqlite_begin(struct store *base, bool sync)
{
	struct store_sqlite *s = self(base);
	int err = db_check_files(&s->db);

	return err == SW_OK ? groups_begin(s->groups, sync) : err;
}

static int
sqlite_commit(struct store *base)
{
	return groups_commit(self(base)->groups);
}

static void
sqlite_rollback(struct store *base)
{
	groups_rollback(self(base)->groups);
}

static int
sqlite_settle(struct store *base)
{
	return groups_settle(self(base)->groups);
}

static int
sqlite_add_channel(struct store *base, uint64_t key, struct str name)
{
	struct store_sqlite *s = self(base);
	sqlite3_stmt *q = s->statements[SQL_ADD_CHANNEL];

	groups_mix(s->groups);
	db_bind_u64(q, 1, key);
	db_bind_text(q, 2, name);
	return db_run(&s->db, q);
}

static int
sqlite_save_channel(struct store *base, const struct store_channel *c)
{
	struct store_sqlite *s = self(base);
	sqlite3_stmt *q = s->statements[SQL_SAVE_CHANNEL];

	groups_mix(s->groups);
	db_bind_u64(q, 1, c->key);
	db_bind_u64(q, 2, c->head);
	db_bind_u64(q, 3, c->number);
	db_bind_u64(q, 4, c->total);
	db_bind_u64(q, 5, c->floor);
	return db_run(&s->db, q);
}

static int
sqlite_remove_channel(struct store *base, uint64_t key)
{
	struct store_sqlite *s = self(base);

	groups_mix(s->groups);
	db_bind_u64(s->statements[SQL_REMOVE_CHANNEL], 1, key);
	return run(s, SQL_REMOVE_CHANNEL);
}

static int
sqlite_save_state(struct store *base, const struct store_state *state)
{
	struct store_sqlite *s = self(base);
	const struct {
		const char *name;
		uint64_t value;
	} values[] = {
		{ "reserved", state->reserved },
		{ "head", state->head },
		{ "floor", state->floor },
		{ "saved", state->saved },
		{ "forgotten", state->forgotten },
		{ "mark", state->mark },
		{ "mark_ms", state->mark_ms },
	};
	int err = SW_OK;

	groups_mix(s->groups);
	for (size_t i = 0;
	     i < sizeof(values) / sizeof(values[0]) && err == SW_OK; i++)
		err = save_number(s, values[i].name, values[i].value);
	return err;
}

static int
sqlite_save_past(struct store *base, struct str text)
{
	struct store_sqlite *s = self(base);

	groups_mix(s->groups);
	db_bind_text(s->statements[SQL_SAVE_PAST], 1, text);
	return run(s, SQL_SAVE_PAST);
}

static int
sqlite_append(struct store *base, uint64_t channel, const struct event *e)
{
	struct store_sqlite *s = self(base);
	struct tail_row row = {
		.row = {
			.id = e->id,
			.channel = channel,
			.number = e->number,
			.total = e->total,
			.previous = e->previous,
			.jump = e->jump,
			.time_ms = e->time_ms,
		},
		.kind = e->kind,
		.type = event_type(e),
		.content_type = event_content_type(e),
		.data = event_data(e),
	};
	char place[PAYLOAD_PLACE_MAX];
	int err;

	if (row.data.len >= PAYLOAD_LARGE) {
		groups_mix(s->groups);
		if ((err = payloads_append(s->payloads, row.data, place)) !=
		    SW_OK)
			return err;
		row.kind += PAYLOAD_KIND;
		row.data = str_of(place);
	}
	return groups_append(s->groups, &row);
}

static int
sqlite_remove(struct store *base, uint64_t first, uint64_t last)
{
	struct store_sqlite *s = self(base);
	int err = payloads_release(s->payloads, first, last);

	groups_mix(s->groups);
	if (err != SW_OK)
		return err;
	db_bind_u64(s->statements[SQL_REMOVE], 1, first);
	db_bind_u64(s->statements[SQL_REMOVE], 2, last);
	return run(s, SQL_REMOVE);
}

static int
sqlite_find_key(struct store *base, struct str channel, struct str key,
    uint64_t *id, uint64_t *time_ms)
{
	return keys_sqlite_find(self(base)->keys, channel, key, id, time_ms);
}

static int
sqlite_add_key(struct store *base, struct str channel, struct str key,
    uint64_t id, uint64_t time_ms)
{
	struct store_sqlite *s = self(base);

	return groups_add_key(s->groups, channel, key, id, time_ms);
}

static int
sqlite_expire_keys(
    struct store *base, uint64_t before_ms, uint64_t latest_ms, unsigned count)
{
	struct store_sqlite *s = self(base);

	groups_mix(s->groups);
	return keys_sqlite_expire(s->keys, before_ms, latest_ms, count);
}

static int
sqlite_scan(struct store *base, uint64_t after,
    bool (*visit)(void *ctx, const struct store_row *row), void *ctx)
{
	struct store_sqlite *s = self(base);
	sqlite3_stmt *q = s->statements[SQL_SCAN];
	int err;

	db_bind_u64(q, 1, after);
	while ((err = db_row(&s->db, q)) == SW_OK) {
		struct store_row row = scanned_row(q);

		if (!visit(ctx, &row))
			break;
	}
	sqlite3_reset(q);
	return err == SW_ENOENT ? SW_OK : err;
}

static uint64_t
read_pages(struct store_sqlite *s, enum statement which)
{
	uint64_t n = 0;

	if (db_row(&s->db, s->statements[which]) == SW_OK)
		n = db_u64(s->statements[which], 0);
	sqlite3_reset(s->statements[which]);
	return n;
}

static uint64_t
sqlite_used_bytes(struct store *base)
{
	struct store_sqlite *s = self(base);

	return (read_pages(s, SQL_PAGES) - read_pages(s, SQL_FREE_PAGES)) *
	    PAGE_BYTES +
	    payloads_bytes(s->payloads);
}

static int
sqlite_probe(struct store *base)
{
	struct store_sqlite *s = self(base);
	struct timespec now;
	int err;

	if ((err = sqlite_begin(base, false)) != SW_OK)
		return err;
	groups_mix(s->groups);
	/* The row need not exist: a changed page is what is asked for. */
	clock_gettime(CLOCK_REALTIME, &now);
	err =
	    db_exec(&s->db, "INSERT OR IGNORE INTO state VALUES ('probed', 0)");
	if (err == SW_OK)
		err = save_number(s, "probed", (uint64_t)now.tv_sec);
	if (err == SW_OK)
		err = sqlite_commit(base);
	if (err != SW_OK)
		sqlite_rollback(base);
	return err;
}

static void
sqlite_close(struct store *base)
{
	struct store_sqlite *s;

	if (base == NULL)
		return;
	s = self(base);
	groups_close(s->groups);
	if (s->db.handle != NULL)
		sqlite3_wal_hook(s->db.handle, NULL, NULL);
	checkpointer_close(s->checkpointer);
	payloads_close(s->payloads);
	keys_sqlite_close(s->keys);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(s->statements[i]);
	/* The last connection moves all pages and removes the log's file. */
	db_close(&s->db);
	store_lock_drop(&s->lock);
	views_fini(&s->views);
	free(s->path);
	free(s);
}

static int
sqlite_reader_open(struct store_reader **out, struct store *base)
{
	struct store_sqlite *s = self(base);

	if (db_is_displaced(&s->db))
		return SW_ESTORE;
	return reader_sqlite_open(out, s->path,
	    s->shared ? DB_READER : DB_READER_ALONE, &s->views,
	    groups_tail(s->groups));
}

static const struct store_ops sqlite_ops = {
	.name = "sqlite",
	.load = sqlite_load,
	.close = sqlite_close,
	.load_past = sqlite_load_past,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.settle = sqlite_settle,
	.add_channel = sqlite_add_channel,
	.save_channel = sqlite_save_channel,
	.remove_channel = sqlite_remove_channel,
	.save_state = sqlite_save_state,
	.save_past = sqlite_save_past,
	.append = sqlite_append,
	.remove = sqlite_remove,
	.find_key = sqlite_find_key,
	.add_key = sqlite_add_key,
	.expire_keys = sqlite_expire_keys,
	.scan = sqlite_scan,
	.used_bytes = sqlite_used_bytes,
	.probe = sqlite_probe,
	.reader_open = sqlite_reader_open,
	.reader_close = reader_sqlite_close,
	.reader_begin = reader_sqlite_begin,
	.reader_end = reader_sqlite_end,
	.reader_row = reader_sqlite_row,
	.reader_event = reader_sqlite_event,
};

static int
on_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct store_sqlite *s = arg;

	(void)handle;
	(void)name;
	checkpointer_notice(s->checkpointer, pages);
	return SQLITE_OK;
}

static int
open_database(struct store_sqlite *s)
{
	enum db_mode mode = s->shared ? DB_WRITER : DB_WRITER_ALONE;
	int err;

	if ((err = db_open(&s->db, s->path, mode, s->base.reason)) != SW_OK ||
	    (err = schema_check(&s->db)) != SW_OK ||
	    (err = db_exec(&s->db,
		 "PRAGMA journal_mode = WAL;"
		 "PRAGMA synchronous = NORMAL;"
		 "PRAGMA wal_autocheckpoint = 0;"
		 "PRAGMA journal_size_limit = 67108864;"
		 "PRAGMA temp_store = MEMORY;")) != SW_OK)
		return err;
	if (!s->db.read_only && (err = schema_migrate(&s->db)) != SW_OK)
		return err;
	for (size_t i = 0; i < STATEMENTS; i++)
		if ((err = db_prepare(&s->db, &s->statements[i], sql[i])) !=
		    SW_OK)
			return err;
	if ((err = keys_sqlite_open(&s->keys, &s->db)) != SW_OK ||
	    (err = payloads_open(&s->payloads, &s->db, s->path, &s->views)) !=
		SW_OK ||
	    (err = checkpointer_open(
		 &s->checkpointer, s->path, mode, s->payloads)) != SW_OK)
		return err;
	sqlite3_wal_hook(s->db.handle, on_commit, s);
	db_remember_files(&s->db);
	return groups_open(&s->groups, &s->db, s->path, s->keys, s->payloads,
	    s->checkpointer, &s->base.unsettled);
}

void
store_sqlite_hurry(struct store *base, uint64_t hold_ns)
{
	groups_hurry(self(base)->groups, hold_ns);
}

int
store_sqlite_open(struct store **out, const char *path, bool shared)
{
	struct store_sqlite *s = calloc(1, sizeof(*s));
	int err;

	if (s == NULL)
		return SW_ENOMEM;
	s->base.ops = &sqlite_ops;
	s->shared = shared;
	views_init(&s->views);
	s->lock = (struct store_lock){ -1, -1 };
	s->path = strdup(path);
	if (s->path == NULL)
		err = SW_ENOMEM;
	else if ((err = store_lock_take(&s->lock, s->path, s->base.reason)) !=
		SW_OK ||
	    (err = open_database(s)) != SW_OK)
		explain_failure(s, err);
	if (err == SW_OK)
		*out = &s->base;
	else
		sqlite_close(&s->base);
	return err;
}
