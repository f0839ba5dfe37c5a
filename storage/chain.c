#include "storage/chain.h"

#include <stdlib.h>

#include "proxy/base/err.h"

/*
 * A number is a sum of terms 2^k - 1, taken greedily from the largest; its jump
 * drops the last, smallest term. (Two equal smallest terms are possible, which
 * is what makes the scheme "skew".)
 */
uint64_t
chain_jump_number(uint64_t number)
{
	uint64_t rest = number, term = 0;

	while (rest > 0) {
		/* The largest 2^k - 1 that is not above the rest. */
		term = (1ULL << (63 - __builtin_clzll(rest + 1))) - 1;
		rest -= term;
	}
	return number - term;
}

static int
push(struct chain *c, uint64_t id, uint64_t number)
{
	if (c->depth == c->cap) {
		size_t cap = c->cap == 0 ? 4 : c->cap * 2;
		struct chain_link *p = realloc(c->spine, cap * sizeof(*p));

		if (p == NULL)
			return SW_ENOMEM;
		c->spine = p;
		c->cap = cap;
	}
	c->spine[c->depth++] = (struct chain_link){ id, number };
	return SW_OK;
}

int
chain_append(struct chain *c, uint64_t id, uint64_t number, uint64_t *jump)
{
	uint64_t target = chain_jump_number(number);
	size_t depth = c->depth;
	int err;

	/* The target stands at most two links below the old head. */
	while (c->depth > 0 && c->spine[c->depth - 1].number > target)
		c->depth--;
	*jump = c->depth > 0 && c->spine[c->depth - 1].number == target ?
	    c->spine[c->depth - 1].id :
	    0;
	if ((err = push(c, id, number)) != SW_OK)
		c->depth = depth;
	return err;
}

int
chain_rebuild(struct chain *c, uint64_t head, uint64_t number,
    chain_jump_fn *jump_of, void *ctx)
{
	size_t n = 0;
	int err = SW_OK;

	c->depth = 0;
	while (head != 0 && number != 0 && err == SW_OK) {
		err = push(c, head, number);
		head = jump_of(ctx, head);
		number = chain_jump_number(number);
	}
	if (err != SW_OK) {
		c->depth = 0;
		return err;
	}
	/* Collected from the head down: turn it round. */
	for (n = 0; n < c->depth / 2; n++) {
		struct chain_link link = c->spine[n];

		c->spine[n] = c->spine[c->depth - 1 - n];
		c->spine[c->depth - 1 - n] = link;
	}
	return SW_OK;
}

void
chain_fini(struct chain *c)
{
	free(c->spine);
	*c = (struct chain){ .spine = NULL };
}
