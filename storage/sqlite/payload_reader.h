#ifndef SPILLWAY_STORAGE_SQLITE_PAYLOAD_READER_H
#define SPILLWAY_STORAGE_SQLITE_PAYLOAD_READER_H

#include "storage/sqlite/payload_dir.h"
#include "storage/sqlite/payload_place.h"

/* A reader's eye on the files; it keeps the last one open. */
struct payload_reader {
	struct payload_dir dir;
	uint64_t number;
	int fd; /* -1: none */
};

int payload_reader_init(
    struct payload_reader *r, const char *store, char *reason);
void payload_reader_fini(struct payload_reader *r);
/* All of it; SW_ECORRUPT if it is not there. */
int payload_read(
    struct payload_reader *r, const struct payload_place *at, void *out);

#endif
