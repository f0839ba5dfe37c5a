#ifndef SPILLWAY_STORAGE_READERS_H
#define SPILLWAY_STORAGE_READERS_H

#include "storage/log.h"
#include "storage/writer.h"

/*
 * The threads that read history, so that a loop never waits for a disk. They
 * answer in the order of the questions, as far as several can.
 */
struct readers;

/* They ask the writer to settle what it has before they look at the store. */
int readers_start(struct readers **out, struct store *store, unsigned count,
    struct writer *w);
/* Answers what is queued, then ends the threads. */
void readers_stop(struct readers *rs);
void readers_free(struct readers *rs);

int readers_ask(struct readers *rs, struct log_read *r);

/* Questions that wait, and all that were answered. */
void readers_stats(struct readers *rs, uint64_t *queued, uint64_t *answered);

#endif
