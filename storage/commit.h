#ifndef SPILLWAY_STORAGE_COMMIT_H
#define SPILLWAY_STORAGE_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/log.h"

/*
 * Committing a group of requests: ids, chains, keys, one transaction; then
 * everyone is told. Of the writer's thread.
 */
struct writer;

struct group {
	struct append *first; /* cut off the queue */
	size_t events;
	uint64_t bytes;
	uint64_t time_ms;
	struct log_batch *batch;
};

/* Commit it, or say why not; either way all of it is answered. */
void commit_group(struct writer *w, struct group *g);

#endif
