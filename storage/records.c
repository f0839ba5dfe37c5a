#include "storage/records.h"

#include <stdlib.h>

#include "proxy/base/err.h"

void
records_init(struct records *rs)
{
	*rs = (struct records){ .next_key = 1 };
	list_init(&rs->dirty);
}

void
records_fini(struct records *rs)
{
	for (size_t i = 0; i < rs->numbers; i++) {
		struct record *r = rs->by_number[i];

		if (r == NULL)
			continue;
		chain_fini(&r->chain);
		channel_unref(r->channel);
		free(r);
	}
	free(rs->by_number);
	free(rs->buckets);
	records_init(rs);
}

/* Make room for a channel's number. */
static int
reach_number(struct records *rs, uint32_t number)
{
	size_t n = rs->numbers == 0 ? 64 : rs->numbers;
	struct record **p;

	if (number < rs->numbers)
		return SW_OK;
	while (n <= number)
		n *= 2;
	p = realloc(rs->by_number, n * sizeof(struct record *));
	if (p == NULL)
		return SW_ENOMEM;
	for (size_t k = rs->numbers; k < n; k++)
		p[k] = NULL;
	rs->by_number = p;
	rs->numbers = n;
	return SW_OK;
}

int
records_get(struct record **out, struct records *rs, struct channel *c)
{
	struct record *r;

	if (c->number < rs->numbers && rs->by_number[c->number] != NULL) {
		*out = rs->by_number[c->number];
		return SW_OK;
	}
	if (reach_number(rs, c->number) != SW_OK ||
	    (r = calloc(1, sizeof(*r))) == NULL)
		return SW_ENOMEM;
	r->channel = channel_ref(c);
	r->head = channel_head(c);
	r->stored = channel_policy(c)->durability != DURABILITY_MEMORY;
	list_init(&r->dirty);
	rs->by_number[c->number] = r;
	rs->count++;
	*out = r;
	return SW_OK;
}

/* They are given one by one: the last bits spread them. */
static struct record **
bucket_of(const struct records *rs, uint64_t key)
{
	return &rs->buckets[(size_t)key & (rs->bucket_count - 1)];
}

static void
insert(struct records *rs, struct record *r)
{
	struct record **bucket = bucket_of(rs, r->key);

	r->next = *bucket;
	*bucket = r;
}

/* Full buckets are slow, and work. */
static int
make_room(struct records *rs)
{
	size_t before = rs->bucket_count, n = before == 0 ? 64 : before * 2;
	struct record **old = rs->buckets, **buckets;

	if (rs->bound < before)
		return SW_OK;
	buckets = calloc(n, sizeof(struct record *));
	if (buckets == NULL)
		return before == 0 ? SW_ENOMEM : SW_OK;
	rs->buckets = buckets;
	rs->bucket_count = n;
	for (size_t i = 0; i < before; i++) {
		for (struct record *r = old[i], *next; r != NULL; r = next) {
			next = r->next;
			insert(rs, r);
		}
	}
	free(old);
	return SW_OK;
}

struct record *
records_by_key(const struct records *rs, uint64_t key)
{
	struct record *r = rs->bucket_count == 0 ? NULL : *bucket_of(rs, key);

	while (r != NULL && r->key != key)
		r = r->next;
	return r;
}

/* Each commit asks: without a look into the buckets. */
static bool
is_bound(const struct record *r)
{
	return r->key != 0 && channel_key(r->channel) == r->key;
}

int
records_bind(struct records *rs, struct record *r)
{
	int err;

	if (is_bound(r))
		return SW_OK;
	if ((err = make_room(rs)) != SW_OK)
		return err;
	insert(rs, r);
	rs->bound++;
	atomic_store(&r->channel->key, r->key);
	if (rs->top_key < r->key)
		rs->top_key = r->key;
	if (rs->next_key <= r->key)
		rs->next_key = r->key + 1;
	return SW_OK;
}

uint64_t
records_take_key(struct records *rs)
{
	return make_room(rs) == SW_OK ? rs->next_key++ : 0;
}

void
records_unbind(struct records *rs, struct record *r)
{
	struct record **at;

	if (is_bound(r)) {
		for (at = bucket_of(rs, r->key); *at != r; at = &(*at)->next)
			;
		*at = r->next;
		rs->bound--;
	}
	atomic_store(&r->channel->key, 0);
	r->key = 0;
}

bool
records_forget(struct records *rs, struct record *r)
{
	uint32_t number = r->channel->number;

	if (!channel_forget(r->channel))
		return false;
	rs->by_number[number] = NULL;
	rs->count--;
	chain_fini(&r->chain);
	free(r);
	return true;
}

void
records_touch(struct records *rs, struct record *r)
{
	if (r->stored && list_empty(&r->dirty))
		list_append(&rs->dirty, &r->dirty);
}
