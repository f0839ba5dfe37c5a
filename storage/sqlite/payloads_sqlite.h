#ifndef SPILLWAY_STORAGE_SQLITE_PAYLOADS_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_PAYLOADS_SQLITE_H

#include "proxy/base/str.h"
#include "storage/sqlite/payload_place.h"
#include "storage/sqlite/sqlite_db.h"
#include "storage/sqlite/views.h"

/*
 * Large payloads, in files beside the database.
 *
 * SQLite keeps a large value in a chain of pages, each of which is written to
 * the write-ahead log, summed up, read again and written to the database: ten
 * times the cost of one write to a file. So a row with a large payload holds
 * its place instead, see payload_place.h.
 *
 * The table `payload_file` tells, with the same commit as the rows, how far
 * each file is written and how many of its bytes rows still refer to. Bytes
 * behind that length are of a transaction that failed, and written over.
 *
 * A file that no row refers to, in no state that a reader still looks at, is
 * kept as a spare, to be written over under the next number: pages that the
 * system has for a file already cost a fraction of new ones. So what stands
 * behind the length of a file may be an older payload. Rows that a sync has not
 * covered when the power goes are told from those by their sums; how far syncs
 * got is in the table `state`.
 *
 * Used by the writer's thread, but for payloads_sync, by any.
 */
enum {
	PAYLOAD_LARGE = 16 * 1024, /* from here on */
	PAYLOAD_KIND = 16,         /* added to the kind of such rows */
	PAYLOAD_FILE_BYTES = 16 * 1024 * 1024, /* then another file is begun */
	PAYLOAD_SPARES = 4,                    /* at most */
};

struct payloads;

/*
 * What the table says, checked against the files: if the loss of power took
 * payloads, the channels they belonged to begin behind them. Leaves reasons
 * where `db` does.
 */
int payloads_open(struct payloads **out, struct db *db, const char *store,
    struct views *views); /* borrowed */
void payloads_close(struct payloads *p);

/* Inside a transaction; the text of the place in `place`. */
int payloads_append(
    struct payloads *p, struct str data, char place[PAYLOAD_PLACE_MAX]);
/* The rows of these ids are about to be removed. */
int payloads_release(struct payloads *p, uint64_t first, uint64_t last);

/* Before the commit; `sync`: the payloads survive the loss of power then. */
int payloads_prepare(struct payloads *p, bool sync);
void payloads_committed(struct payloads *p);
void payloads_rolled_back(struct payloads *p);

/* Should they be synced soon? Says so once; later the writer does it itself. */
bool payloads_pressing(struct payloads *p);

/* To be called before a checkpoint, which makes rows durable. */
void payloads_sync(struct payloads *p);

/*
 * Bytes of all files but the spares; of the oldest one, what rows refer to:
 * else all of them would have to go before there were any less.
 */
uint64_t payloads_bytes(const struct payloads *p);

#endif
