#ifndef SPILLWAY_STORAGE_KEYS_H
#define SPILLWAY_STORAGE_KEYS_H

#include <stdint.h>

#include "proxy/base/str.h"

/*
 * Idempotency keys in memory, for events that live there: what was published
 * under a key, for as long as a retry is expected. One thread.
 */
struct keys;

int keys_new(struct keys **out);
void keys_free(struct keys *k);

/* SW_ENOENT if the key is new. */
int keys_find(const struct keys *k, struct str channel, struct str key,
    uint64_t *id, uint64_t *time_ms);
/* Replaces what was there. Times ascend, unless the clock is set back. */
int keys_add(struct keys *k, struct str channel, struct str key, uint64_t id,
    uint64_t time_ms);
/* Forget the keys of events from this id on: they were not published. */
void keys_undo(struct keys *k, uint64_t first_id);
/*
 * Forget the keys of before `before_ms`. Those later than `latest_ms` are of a
 * clock that was ahead: from now on they are of that moment.
 */
void keys_expire(struct keys *k, uint64_t before_ms, uint64_t latest_ms);

#endif
