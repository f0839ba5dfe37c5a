#ifndef SPILLWAY_STORAGE_WINDOW_H
#define SPILLWAY_STORAGE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/event.h"
#include "storage/retention.h"

/*
 * The newest events of one channel in memory, oldest first, so that the usual
 * reconnect and every slow reader need no store.
 *
 * A window knows from where on it is complete: all the channel's events with an
 * id above `after` are in it. Small and open, to be embedded. One thread.
 */
struct window {
	struct event **ring;
	uint32_t cap; /* a power of two, or 0 */
	uint32_t first;
	uint32_t count;
	uint64_t after;
	size_t bytes; /* what its events hold, about */
};

void window_fini(struct window *w); /* drops the events */

static inline struct event *
window_at(const struct window *w, uint32_t i)
{
	return w->ring[(w->first + i) & (w->cap - 1)];
}

/*
 * Append the channel's next event; takes the reference. When memory runs out,
 * or an event in between is missing, what was there before is dropped: the
 * window always stays complete.
 */
void window_push(struct window *w, struct event *e);
void window_pop(struct window *w);   /* drop the oldest */
void window_clear(struct window *w); /* drop all */

/* Index of the first event with an id above `after`; `count` if none. */
uint32_t window_find(const struct window *w, uint64_t after);

/* Index of the first event, from `i` on, that retention keeps. */
uint32_t window_kept(const struct window *w, uint32_t i, const struct policy *p,
    uint64_t now_ms, uint64_t floor);

#endif
