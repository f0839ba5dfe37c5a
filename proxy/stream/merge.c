#include "proxy/stream/merge.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/stream/hub.h"

enum { SIZE_MIN = 64 };

/* The link's first event behind `pos`; NULL: there is none. */
static struct event *
next_of(const struct link *l, uint64_t pos)
{
	const struct window *w = &l->channel->window;
	uint32_t at = window_find(w, pos);

	return at < w->count ? window_at(w, at) : NULL;
}

static int
make_room(struct merge *m)
{
	size_t size = m->size == 0 ? SIZE_MIN : 2 * m->size;
	struct heap_entry *p;

	if (m->count < m->size)
		return SW_OK;
	p = realloc(m->heap, size * sizeof(*p));
	if (p == NULL)
		return SW_ENOMEM;
	m->heap = p;
	m->size = size;
	return SW_OK;
}

int
merge_begin(struct merge *m, struct link *first)
{
	int err;

	m->count = 0;
	for (struct link *l = first; l != NULL; l = l->next) {
		const struct event *e;

		if (l->channel == NULL || l->alone ||
		    (e = next_of(l, l->pos)) == NULL)
			continue;
		if ((err = make_room(m)) != SW_OK)
			return err;
		m->heap[m->count++] = (struct heap_entry){ e->id, l };
	}
	heap_build(m->heap, m->count);
	return SW_OK;
}

struct event *
merge_peek(const struct merge *m, struct link **owner)
{
	if (m->count == 0)
		return NULL;
	*owner = m->heap[0].item;
	return next_of(*owner, m->heap[0].key - 1);
}

void
merge_advance(struct merge *m)
{
	struct heap_entry *first = &m->heap[0];
	const struct event *e = next_of(first->item, first->key);

	if (e != NULL)
		first->key = e->id;
	else
		*first = m->heap[--m->count];
	heap_settle(m->heap, m->count);
}

void
merge_free(struct merge *m)
{
	free(m->heap);
	*m = (struct merge){ .heap = NULL };
}
