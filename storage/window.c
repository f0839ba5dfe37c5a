#include "storage/window.h"

#include <stdlib.h>

/*
 * What an event holds in memory: its payload twice, since at least one form of
 * it is made as soon as anybody listens.
 */
static size_t
footprint(const struct event *e)
{
	return sizeof(*e) + e->type_len + e->content_type_len +
	    2 * (size_t)e->size;
}

void
window_fini(struct window *w)
{
	window_clear(w);
	free(w->ring);
	w->ring = NULL;
	w->cap = 0;
}

void
window_pop(struct window *w)
{
	struct event *e = window_at(w, 0);

	w->after = e->id;
	w->bytes -= footprint(e);
	w->first = (w->first + 1) & (w->cap - 1);
	w->count--;
	event_unref(e);
}

void
window_clear(struct window *w)
{
	while (w->count > 0)
		window_pop(w);
}

static bool
grow(struct window *w)
{
	uint32_t cap = w->cap == 0 ? 4 : w->cap * 2;
	struct event **ring = malloc(cap * sizeof(struct event *));

	if (ring == NULL)
		return false;
	for (uint32_t i = 0; i < w->count; i++)
		ring[i] = window_at(w, i);
	free(w->ring);
	w->ring = ring;
	w->cap = cap;
	w->first = 0;
	return true;
}

void
window_push(struct window *w, struct event *e)
{
	uint64_t newest =
	    w->count == 0 ? w->after : window_at(w, w->count - 1)->id;

	if (e->previous != newest) {
		window_clear(w);
		w->after = e->previous;
	}
	if (w->count == w->cap && !grow(w)) {
		window_clear(w);
		if (w->cap == 0) {
			w->after = e->id;
			event_unref(e);
			return;
		}
		w->after = e->previous;
	}
	w->ring[(w->first + w->count++) & (w->cap - 1)] = e;
	w->bytes += footprint(e);
}

uint32_t
window_find(const struct window *w, uint64_t after)
{
	uint32_t low = 0, high = w->count;

	/* Nearly everybody has all but the newest. */
	if (high > 0 && window_at(w, high - 1)->previous == after)
		return high - 1;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (window_at(w, mid)->id <= after)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t
window_kept(const struct window *w, uint32_t i, const struct policy *p,
    uint64_t now_ms, uint64_t floor)
{
	uint32_t low = i, high = w->count;
	const struct event *newest;
	struct retention keep;

	if (i >= w->count)
		return w->count;
	newest = window_at(w, w->count - 1);
	keep = retention_of(p, now_ms, newest->number, newest->total, floor);
	while (low < high) {
		uint32_t mid = low == i ? i : low + (high - low) / 2;
		const struct event *e = window_at(w, mid);

		if (retention_keeps(
			&keep, e->id, e->number, e->total, e->time_ms))
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}
