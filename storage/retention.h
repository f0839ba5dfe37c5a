#ifndef SPILLWAY_STORAGE_RETENTION_H
#define SPILLWAY_STORAGE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/policy.h"

/*
 * What of a channel is history still, decided in one place for the window, for
 * readers and for the sweeper.
 *
 * The rule is exact at any moment, whether or not old rows have been removed
 * yet, and it only looks at one event and the channel's head. It is monotone:
 * where an event is kept, every newer one is. But for age, after a clock that
 * was ahead was set back: an event of then outlives newer ones.
 */
struct retention {
	uint64_t first_number; /* smallest number kept */
	uint64_t above_total;  /* totals must be above it, unless any is */
	bool any_total;
	uint64_t since_ms; /* oldest time kept */
	uint64_t floor;    /* ids must be above it */
};

/* The limits of a policy for a channel with this head, now. */
struct retention retention_of(const struct policy *p, uint64_t now_ms,
    uint64_t head_number, uint64_t head_total, uint64_t floor);

static inline bool
retention_keeps(const struct retention *r, uint64_t id, uint64_t number,
    uint64_t total, uint64_t time_ms)
{
	return number >= r->first_number && id > r->floor &&
	    (r->any_total || total > r->above_total) && time_ms >= r->since_ms;
}

#endif
