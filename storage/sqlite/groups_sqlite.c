#include "storage/sqlite/groups_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/sqlite/state_sqlite.h"

enum {
	/* A group so soon after the one before is one of many. */
	BUSY_NS = 1000000,
	/* So long rows may be in the tail alone while more of them come. */
	HOLD_NS = 5000000,
	REASON_BYTES = 256,
	PATH_BYTES = 4096,
};

#define RETRY_NS UINT64_C(60000000000)

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_APPEND,
	SQL_SAVE_TAIL,
	STATEMENTS
};

static const char *const sql[STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_APPEND] = ("INSERT INTO log (id, channel, number, previous, jump,"
			" total, time, kind, type, content_type, data)"
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
	[SQL_SAVE_TAIL] = "UPDATE state SET value = ? WHERE name = 'tail'",
};

struct groups_sqlite {
	struct db *db;
	const char *store;
	struct keys_sqlite *keys;
	struct payloads *payloads;
	struct checkpointer *checkpointer;
	_Atomic bool *unsettled;
	sqlite3_stmt *statements[STATEMENTS];
	struct epoch epoch;
	struct tail *left; /* what could not be added at the start, if any */
	struct tail *tail; /* NULL: none was wanted yet */
	uint64_t saved;    /* the number of the last one in the database */
	bool follows;      /* ...and nothing was committed since */
	bool in_group;     /* between begin and what ends it */
	bool sync;         /* a commit waits for the disk */
	bool mixed;        /* the group has more than rows */
	bool staged;       /* all rows of the group are in the tail, too */
	uint64_t group_ns; /* when the last group was committed */
	uint64_t began_ns; /* when the tail began */
	uint64_t next_ns;  /* when to try again to make one */
	uint64_t busy_ns, hold_ns;
};

static int
run(struct groups_sqlite *g, enum statement which)
{
	return db_run(g->db, g->statements[which]);
}

static bool
in_transaction(const struct groups_sqlite *g)
{
	return sqlite3_get_autocommit(g->db->handle) == 0;
}

/* The tail has rows that the database has lost, or never had. */
static bool
is_behind(const struct groups_sqlite *g)
{
	return g->tail != NULL && !tail_is_empty(g->tail) && !in_transaction(g);
}

static int
insert_row(void *ctx, const struct tail_row *row)
{
	struct groups_sqlite *g = ctx;
	sqlite3_stmt *q = g->statements[SQL_APPEND];

	if (row->kind == TAIL_KEY)
		return keys_sqlite_add(g->keys, row->type, row->data,
		    row->row.id, row->row.time_ms);
	db_bind_u64(q, 1, row->row.id);
	db_bind_u64(q, 2, row->row.channel);
	db_bind_u64(q, 3, row->row.number);
	db_bind_u64(q, 4, row->row.previous);
	db_bind_u64(q, 5, row->row.jump);
	db_bind_u64(q, 6, row->row.total);
	db_bind_u64(q, 7, row->row.time_ms);
	db_bind_u64(q, 8, row->kind);
	db_bind_text(q, 9, row->type);
	db_bind_text(q, 10, row->content_type);
	sqlite3_bind_blob(
	    q, 11, row->data.p, (int)row->data.len, SQLITE_STATIC);
	return db_run(g->db, q);
}

int
groups_append(struct groups_sqlite *g, const struct tail_row *row)
{
	if (g->staged)
		g->staged = !g->mixed && tail_stage(g->tail, row);
	return insert_row(g, row);
}

int
groups_add_key(struct groups_sqlite *g, struct str channel, struct str key,
    uint64_t id, uint64_t time_ms)
{
	const struct tail_row row = {
		.row = { .id = id, .time_ms = time_ms },
		.kind = TAIL_KEY,
		.type = channel,
		.data = key,
	};

	return groups_append(g, &row);
}

void
groups_mix(struct groups_sqlite *g)
{
	g->mixed = true;
}

static int
save_tail(struct groups_sqlite *g)
{
	db_bind_u64(g->statements[SQL_SAVE_TAIL], 1, tail_number(g->tail));
	return run(g, SQL_SAVE_TAIL);
}

/* The database has what the tail had: another one follows, or none. */
static void
settled(struct groups_sqlite *g, bool numbered)
{
	if (numbered) {
		g->saved = tail_number(g->tail);
		tail_begin(g->tail, g->saved + 1);
	} else if (g->tail != NULL) {
		tail_unstage(g->tail);
	}
	g->follows = numbered;
	atomic_store(g->unsettled, false);
}

/*
 * End the transaction. `numbered`: the database says that it has the rows of
 * the tail, which is a page more to write.
 */
static int
commit_all(struct groups_sqlite *g, bool numbered)
{
	int err;

	if (numbered && (err = save_tail(g)) != SW_OK)
		return err;
	if ((err = payloads_prepare(g->payloads, g->sync)) != SW_OK ||
	    (err = run(g, SQL_COMMIT)) != SW_OK)
		return err;
	payloads_committed(g->payloads);
	settled(g, numbered);
	if (payloads_pressing(g->payloads))
		checkpointer_hurry(g->checkpointer);
	return SW_OK;
}

void
groups_rollback(struct groups_sqlite *g)
{
	char reason[REASON_BYTES];

	/* Some failures have rolled back already: keep their reason. */
	memcpy(reason, g->db->reason, sizeof(reason));
	if (in_transaction(g))
		run(g, SQL_ROLLBACK);
	payloads_rolled_back(g->payloads);
	g->in_group = false;
	/*
	 * A commit that could not be synced stands in the log's file until one
	 * is written over it: a crash would find it before the tail.
	 */
	g->follows = false;
	if (g->tail != NULL)
		tail_unstage(g->tail);
	memcpy(g->db->reason, reason, sizeof(reason));
}

/*
 * SQLite itself syncs what it commits, or rolls back: rows that are committed
 * first and could not be synced then would be there, and refused.
 */
static int
begin(struct groups_sqlite *g, bool sync)
{
	int err = SW_OK;

	if (sync != g->sync)
		err = db_exec(g->db,
		    sync ? "PRAGMA synchronous = FULL" :
			   "PRAGMA synchronous = NORMAL");
	if (err != SW_OK)
		return err;
	g->sync = sync;
	return db_begin(g->db, g->statements[SQL_BEGIN]);
}

static int
catch_up(struct groups_sqlite *g)
{
	int err = begin(g, false);

	if (err == SW_OK && (err = tail_visit(g->tail, insert_row, g)) == SW_OK)
		err = commit_all(g, true);
	if (err != SW_OK)
		groups_rollback(g);
	return err;
}

static int
settle(struct groups_sqlite *g)
{
	int err = commit_all(g, true);

	if (err != SW_OK)
		groups_rollback(g);
	return err;
}

int
groups_begin(struct groups_sqlite *g, bool sync)
{
	int err;

	if (is_behind(g) && (err = catch_up(g)) != SW_OK)
		return err;
	/* Unless the one before goes on. */
	if (sync && in_transaction(g) && (err = settle(g)) != SW_OK)
		return err;
	if (!in_transaction(g)) {
		checkpointer_assist(g->checkpointer, g->db);
		if ((err = begin(g, sync)) != SW_OK)
			return err;
	}
	g->in_group = true;
	g->mixed = false;
	g->staged = g->tail != NULL && g->follows;
	return SW_OK;
}

int
groups_settle(struct groups_sqlite *g)
{
	if (is_behind(g))
		return catch_up(g);
	return atomic_load(g->unsettled) ? settle(g) : SW_OK;
}

static int
open_tail(struct groups_sqlite *g, struct tail **out, enum tail_mode mode,
    char *reason)
{
	char path[PATH_BYTES];

	if ((size_t)snprintf(path, sizeof(path), "%s-tail", g->store) >=
	    sizeof(path))
		return SW_EINVAL;
	return tail_open(out, path, mode, &g->epoch, g->saved + 1, reason);
}

/* Without one, each group is committed by itself: slower, and as safe. */
static void
make_tail(struct groups_sqlite *g, uint64_t now)
{
	char reason[REASON_BYTES] = "memory ran out";

	if (now < g->next_ns)
		return;
	g->next_ns = now + RETRY_NS;
	if (open_tail(g, &g->tail, TAIL_MAKE, reason) == SW_OK &&
	    tail_renew(g->tail, g->saved + 1, reason) == SW_OK)
		return;
	log_warn("store: no tail, publishing is slower: %s", reason);
	tail_close(g->tail);
	g->tail = NULL;
}

/* May the group be in the tail alone for now? */
static bool
keep_in_tail(struct groups_sqlite *g, uint64_t now)
{
	if (g->mixed || !g->staged || !tail_has_staged(g->tail))
		return false;
	if (tail_is_empty(g->tail))
		g->began_ns = now;
	else if (now - g->began_ns > g->hold_ns)
		return false;
	if (!tail_publish(g->tail))
		return false;
	atomic_store(g->unsettled, true);
	return true;
}

int
groups_commit(struct groups_sqlite *g)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);
	bool hurried = now - g->group_ns < g->busy_ns && !g->mixed && !g->sync;
	int err = SW_OK;

	g->group_ns = now;
	if (hurried && g->tail == NULL)
		make_tail(g, now);
	/* With a number only if a tail is to follow, or is to end. */
	if (!hurried || !keep_in_tail(g, now))
		err = commit_all(g,
		    g->tail != NULL && (hurried || atomic_load(g->unsettled)));
	if (err == SW_OK)
		g->in_group = false;
	return err;
}

static void
drop(struct tail **t)
{
	tail_close(*t);
	*t = NULL;
}

/*
 * What was committed last before the process ended without a word, if it
 * follows on what the database has.
 */
static int
find_left(struct groups_sqlite *g)
{
	int err = open_tail(g, &g->left, TAIL_READ, g->db->reason);

	if (err != SW_OK)
		return err == SW_ENOENT ? SW_OK : err;
	if (tail_number(g->left) > g->saved + 1)
		log_warn("store: %s-tail follows on what the database has "
			 "lost: it is left out",
		    g->store);
	if (tail_is_empty(g->left) || tail_number(g->left) != g->saved + 1)
		drop(&g->left);
	return SW_OK;
}

/* A disk that is full may have room later: it is read until the next start. */
static int
add_left(struct groups_sqlite *g)
{
	int err = open_tail(g, &g->tail, TAIL_WRITE, g->db->reason);

	if (err != SW_OK)
		return err;
	log_info("store: adding what %s-tail has", g->store);
	err = catch_up(g);
	if (err == SW_ESTORE) {
		log_error("store: %s-tail cannot be added yet: %s", g->store,
		    g->db->reason);
		return SW_OK;
	}
	if (err == SW_OK) {
		drop(&g->left);
		drop(&g->tail);
	}
	return err;
}

static int
recover(struct groups_sqlite *g)
{
	int err;

	if ((err = state_epoch(g->db, &g->epoch)) != SW_OK)
		return err;
	err = state_number(g->db, "tail", &g->saved);
	if (err == SW_ECORRUPT && g->db->read_only)
		return SW_OK; /* of an older schema, which had none */
	if (err == SW_OK)
		err = find_left(g);
	return err == SW_OK && g->left != NULL && !g->db->read_only ?
	    add_left(g) :
	    err;
}

static void
release(struct groups_sqlite *g)
{
	tail_close(g->left);
	tail_close(g->tail);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(g->statements[i]);
	free(g);
}

int
groups_open(struct groups_sqlite **out, struct db *db, const char *store,
    struct keys_sqlite *keys, struct payloads *payloads,
    struct checkpointer *checkpointer, _Atomic bool *unsettled)
{
	struct groups_sqlite *g = calloc(1, sizeof(*g));
	int err = SW_OK;

	if (g == NULL)
		return SW_ENOMEM;
	*g = (struct groups_sqlite){
		.db = db,
		.store = store,
		.keys = keys,
		.payloads = payloads,
		.checkpointer = checkpointer,
		.unsettled = unsettled,
		.busy_ns = BUSY_NS,
		.hold_ns = HOLD_NS,
	};
	for (size_t i = 0; i < STATEMENTS && err == SW_OK; i++)
		err = db_prepare(db, &g->statements[i], sql[i]);
	if (err == SW_OK)
		err = recover(g);
	if (err == SW_OK)
		*out = g;
	else
		release(g);
	return err;
}

void
groups_close(struct groups_sqlite *g)
{
	if (g == NULL)
		return;
	if (g->in_group)
		groups_rollback(g);
	if (groups_settle(g) != SW_OK)
		log_error("store: %s: %s; the next start adds what %s-tail has",
		    g->store, g->db->reason, g->store);
	release(g);
}

const struct tail *
groups_tail(const struct groups_sqlite *g)
{
	return g->left;
}

void
groups_hurry(struct groups_sqlite *g, uint64_t hold_ns)
{
	g->busy_ns = UINT64_MAX;
	g->hold_ns = hold_ns;
}
