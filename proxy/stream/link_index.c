#include "proxy/stream/link_index.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/err.h"

enum { SIZE_MIN = 32 };

struct entry {
	uint32_t number; /* of the channel */
	struct link *link;
};

/* In the order of numbers. */
struct link_index {
	size_t count, size;
	struct entry entries[];
};

/* Where the number is, or would be. */
static size_t
place_of(const struct link_index *x, uint32_t number)
{
	size_t low = 0, high = x->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (x->entries[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
make_room(struct link_index **x)
{
	size_t count = *x == NULL ? 0 : (*x)->count;
	size_t size = *x == NULL ? SIZE_MIN : 2 * (*x)->size;
	struct link_index *p;

	if (*x != NULL && count < (*x)->size)
		return SW_OK;
	p = realloc(*x, sizeof(*p) + size * sizeof(p->entries[0]));
	if (p == NULL)
		return SW_ENOMEM;
	p->count = count;
	p->size = size;
	*x = p;
	return SW_OK;
}

int
link_index_add(struct link_index **x, struct link *l)
{
	uint32_t number = l->channel->channel->number;
	struct entry *e;
	size_t at;
	int err;

	if ((err = make_room(x)) != SW_OK)
		return err;
	at = place_of(*x, number);
	e = &(*x)->entries[at];
	memmove(e + 1, e, ((*x)->count - at) * sizeof(*e));
	*e = (struct entry){ number, l };
	(*x)->count++;
	return SW_OK;
}

void
link_index_remove(struct link_index *x, const struct link *l)
{
	size_t at = place_of(x, l->channel->channel->number);
	struct entry *e = &x->entries[at];

	x->count--;
	memmove(e, e + 1, (x->count - at) * sizeof(*e));
}

struct link *
link_index_find(const struct link_index *x, const struct channel *c)
{
	size_t at = place_of(x, c->number);

	return at < x->count && x->entries[at].number == c->number ?
	    x->entries[at].link :
	    NULL;
}

void
link_index_free(struct link_index *x)
{
	free(x);
}
