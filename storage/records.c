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
	free(rs->by_key);
	records_init(rs);
}

/* Make room for index `i` in a table of records. */
static int
table_reach(struct record ***table, size_t *size, size_t i)
{
	size_t n = *size == 0 ? 64 : *size;
	struct record **p;

	if (i < *size)
		return SW_OK;
	while (n <= i)
		n *= 2;
	p = realloc(*table, n * sizeof(*p));
	if (p == NULL)
		return SW_ENOMEM;
	for (size_t k = *size; k < n; k++)
		p[k] = NULL;
	*table = p;
	*size = n;
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
	if (table_reach(&rs->by_number, &rs->numbers, c->number) != SW_OK ||
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

struct record *
records_by_key(const struct records *rs, uint64_t key)
{
	return key < rs->keys ? rs->by_key[key] : NULL;
}

int
records_bind(struct records *rs, struct record *r)
{
	int err = table_reach(&rs->by_key, &rs->keys, r->key);

	if (err != SW_OK)
		return err;
	rs->by_key[r->key] = r;
	if (rs->top_key < r->key)
		rs->top_key = r->key;
	if (rs->next_key <= r->key)
		rs->next_key = r->key + 1;
	return SW_OK;
}

uint64_t
records_take_key(struct records *rs)
{
	return table_reach(&rs->by_key, &rs->keys, rs->next_key) == SW_OK ?
	    rs->next_key++ :
	    0;
}

void
records_unbind(struct records *rs, struct record *r)
{
	if (records_by_key(rs, r->key) == r)
		rs->by_key[r->key] = NULL;
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
