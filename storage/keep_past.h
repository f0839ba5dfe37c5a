#ifndef SPILLWAY_STORAGE_KEEP_PAST_H
#define SPILLWAY_STORAGE_KEEP_PAST_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/channel.h"
#include "storage/past.h"

/*
 * What storage/past.h is about, in the store. Of the writer's thread, and of
 * the thread that opens the log before that starts.
 */
struct keep_past {
	struct buf stored;  /* the text that the store has */
	char *rules;        /* what holds now; NULL: as the text says */
	struct past before; /* of earlier runs: never changed after the start */
	bool changed; /* memory has not kept the same channels ever since */
};

struct writer;
void keep_past_init(struct keep_past *k);
void keep_past_fini(struct keep_past *k);

/*
 * After the records were loaded: read the text, and have channels that memory
 * kept end where that run did.
 */
int keep_past_load(
    struct keep_past *k, struct writer *w, struct channels *channels);

/* New rules hold; takes them. */
void keep_past_change(struct keep_past *k, struct writer *w, char *rules);
/* Those that the store did not take before. */
void keep_past_once_a_second(struct keep_past *k, struct writer *w);

#endif
