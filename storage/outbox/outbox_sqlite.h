#ifndef SPILLWAY_STORAGE_OUTBOX_OUTBOX_SQLITE_H
#define SPILLWAY_STORAGE_OUTBOX_OUTBOX_SQLITE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/str.h"

/*
 * Where the letters of the outbox rest: a file of its own beside the log's, so
 * that neither waits for the other's commits. Everything here belongs to the
 * outbox's thread. Functions return SW_OK or a failure of the store, which the
 * reason explains.
 */
struct outbox_db;

/* `path` is that of the store, or "memory". Failures are logged. */
int outbox_db_open(struct outbox_db **out, const char *path);
void outbox_db_close(struct outbox_db *db); /* accepts NULL */
/* Why something has failed just now with `err`. */
const char *outbox_db_reason(const struct outbox_db *db, int err);
/* What former runs have reserved. */
uint64_t outbox_db_reserved(const struct outbox_db *db);

int outbox_db_begin(struct outbox_db *db);
int outbox_db_commit(struct outbox_db *db);
void outbox_db_rollback(struct outbox_db *db);

/* Inside a transaction. Ids ascend, and none is used twice. */
int outbox_db_add(struct outbox_db *db, struct str lane, uint64_t created_ms,
    struct str data, uint64_t *id);
int outbox_db_remove(struct outbox_db *db, uint64_t id);
/* It is given up: a dead letter from here on. */
int outbox_db_bury(
    struct outbox_db *db, uint64_t id, uint64_t now_ms, const char *reason);
/*
 * Wills, one per connection: the letter that its successor is to send should
 * this run end without a word. One more, or another one in its place
 * (`*added`: the former).
 */
int outbox_db_will(struct outbox_db *db, uint64_t connection, struct str lane,
    struct str data, bool *added);
/* It is void; `*removed`: there was one. */
int outbox_db_revoke(struct outbox_db *db, uint64_t connection, bool *removed);
/*
 * All of them become letters, behind those that their lanes have. `*count`: so
 * many, with the ids up to `*last`.
 */
int outbox_db_execute(
    struct outbox_db *db, uint64_t created_ms, uint64_t *count, uint64_t *last);
/* Connections below this number may have been told of; see outbox.h. */
int outbox_db_reserve(struct outbox_db *db, uint64_t connection);

/* Forget dead letters: this one, or all (0). `*count`: so many. */
int outbox_db_drop(struct outbox_db *db, uint64_t id, uint64_t *count);

/*
 * Dead letters, this one or all (0), become letters like any other, behind
 * those that their lanes have. `*count`: so many, with the ids up to `*last`.
 */
int outbox_db_revive(struct outbox_db *db, uint64_t id, uint64_t created_ms,
    uint64_t *count, uint64_t *last);

/* A letter as it is stored; borrowed during the visit. */
struct outbox_letter {
	uint64_t id;
	struct str lane;
	uint64_t created_ms;
	uint64_t died_ms; /* 0: it waits */
	struct str reason;
	struct str data; /* p is NULL while loading */
	uint64_t size;
};

/* The letters that wait, or the dead ones, in order of ids above `after`. */
int outbox_db_visit(struct outbox_db *db, bool dead, uint64_t after,
    uint64_t limit, int (*visit)(void *ctx, const struct outbox_letter *letter),
    void *ctx);
/*
 * Of one letter; the data are borrowed until outbox_db_let_go, which has to
 * come soon: until then the state that was read is kept. SW_ENOENT.
 */
int outbox_db_read(struct outbox_db *db, uint64_t id, struct str *data);
void outbox_db_let_go(struct outbox_db *db);

#endif
