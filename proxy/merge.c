#include "proxy/merge.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/hub.h"

struct merge_source {
	uint64_t id; /* of its next event */
	struct link *link;
	uint32_t at; /* of that event, in the window */
};

enum { SIZE_MIN = 64 };

static void
sift_down(struct merge *m, size_t i)
{
	struct merge_source moved = m->heap[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < m->count &&
		    m->heap[child + 1].id < m->heap[child].id)
			child++;
		if (child >= m->count || moved.id < m->heap[child].id)
			break;
		m->heap[i] = m->heap[child];
		i = child;
	}
	m->heap[i] = moved;
}

static int
add_source(struct merge *m, struct link *l)
{
	const struct window *w = &l->channel->window;
	uint32_t at = window_find(w, l->pos);

	if (at == w->count)
		return SW_OK;
	if (m->count == m->size) {
		size_t size = m->size == 0 ? SIZE_MIN : 2 * m->size;
		struct merge_source *p =
		    realloc(m->heap, size * sizeof(m->heap[0]));

		if (p == NULL)
			return SW_ENOMEM;
		m->heap = p;
		m->size = size;
	}
	m->heap[m->count++] =
	    (struct merge_source){ window_at(w, at)->id, l, at };
	return SW_OK;
}

int
merge_begin(struct merge *m, struct link *first)
{
	int err = SW_OK;

	m->count = 0;
	for (struct link *l = first; l != NULL && err == SW_OK; l = l->next)
		if (l->channel != NULL && !l->alone)
			err = add_source(m, l);
	for (size_t i = m->count / 2; i > 0; i--)
		sift_down(m, i - 1);
	return err;
}

struct event *
merge_peek(const struct merge *m, struct link **owner)
{
	const struct merge_source *top = m->heap;

	if (m->count == 0)
		return NULL;
	*owner = top->link;
	return window_at(&top->link->channel->window, top->at);
}

void
merge_advance(struct merge *m)
{
	struct merge_source *top = m->heap;
	const struct window *w = &top->link->channel->window;

	if (++top->at < w->count)
		top->id = window_at(w, top->at)->id;
	else
		*top = m->heap[--m->count];
	if (m->count > 0)
		sift_down(m, 0);
}

void
merge_free(struct merge *m)
{
	free(m->heap);
	*m = (struct merge){ .heap = NULL };
}
