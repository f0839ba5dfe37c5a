#ifndef SPILLWAY_STORAGE_PAYLOADS_SQLITE_H
#define SPILLWAY_STORAGE_PAYLOADS_SQLITE_H

#include "proxy/base/str.h"
#include "storage/payload_dir.h"
#include "storage/sqlite_db.h"

/*
 * Large payloads, in files beside the database.
 *
 * SQLite keeps a large value in a chain of pages, each of which is written to
 * the write-ahead log, summed up, read again and written to the database: ten
 * times the cost of one write to a file. So a row with a large payload holds
 * its place instead, a text "FILE OFFSET SIZE".
 *
 * The table `payload_file` tells, with the same commit as the rows, how far
 * each file is written and how many of its bytes rows still refer to. Bytes
 * behind that length are of a transaction that failed, and written over. A file
 * that no row refers to is removed, a while later: readers may still look at an
 * older state of the database.
 *
 * Used by the writer's thread, but for payloads_sync, by any, and the reader,
 * each by its own.
 */
enum {
	PAYLOAD_LARGE = 16 * 1024, /* from here on */
	PAYLOAD_KIND = 16,         /* added to the kind of such rows */
	PAYLOAD_FILE_BYTES = 64 * 1024 * 1024, /* then another file is begun */
	PAYLOAD_PLACE_MAX = 64,
};

struct payloads;

/*
 * What the table says, checked against the files: if the loss of power took
 * payloads, the channels they belonged to begin behind them. Leaves reasons
 * where `db` does.
 */
int payloads_open(struct payloads **out, struct db *db, const char *store);
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

/* To be called before a checkpoint, which makes rows durable. */
void payloads_sync(struct payloads *p);

/* Bytes of all files. */
uint64_t payloads_bytes(const struct payloads *p);

/* A reader's eye on the files; it keeps the last one open. */
struct payload_reader {
	struct payload_dir dir;
	uint64_t number;
	int fd; /* -1: none */
};

int payload_reader_init(
    struct payload_reader *r, const char *store, char *reason);
void payload_reader_fini(struct payload_reader *r);
/* The size of the payload at a place; SW_ECORRUPT if it is none. */
int payload_place_size(struct str place, size_t *out);
int payload_read(struct payload_reader *r, struct str place, void *out);

#endif
