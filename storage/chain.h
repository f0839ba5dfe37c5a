#ifndef SPILLWAY_STORAGE_CHAIN_H
#define SPILLWAY_STORAGE_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How one channel's past is found in a log that has no index but its ids.
 *
 * Every row names the channel's event before it (`previous`) and one further
 * back (`jump`). The jumps follow E. W. Myers' skew-binary scheme: event number
 * n jumps to a number that depends on n alone, in such a way that any older
 * event is reached from any newer one in O(log n) steps. Appending needs the
 * ids along the jumps from the head, which the chain keeps: some two dozen for
 * a million events.
 *
 * Numbers count a channel's events from 1; number 0 with id 0 stands for
 * "before all". One thread.
 */
struct chain_link {
	uint64_t id;
	uint64_t number;
};

struct chain {
	struct chain_link *spine; /* the last is the head, below it its jumps */
	size_t depth, cap;
};

/* The number that event `number` jumps to. */
uint64_t chain_jump_number(uint64_t number);

/*
 * The jump of a new head with the given number, and its place in the spine.
 * The chain must be complete up to number - 1. SW_ENOMEM changes nothing.
 */
int chain_append(struct chain *c, uint64_t id, uint64_t number, uint64_t *jump);

/*
 * Rebuild the spine below an existing head. `jump_of` returns the jump of the
 * event with that id, or 0 if the event is gone: what lies below is gone too
 * and is not needed.
 */
typedef uint64_t chain_jump_fn(void *ctx, uint64_t id);
int chain_rebuild(struct chain *c, uint64_t head, uint64_t number,
    chain_jump_fn *jump_of, void *ctx);

/* Is it complete up to that head? False after a failure: rebuild it. */
static inline bool
chain_ends_with(const struct chain *c, uint64_t head)
{
	return c->depth == 0 ? head == 0 : c->spine[c->depth - 1].id == head;
}

void chain_fini(struct chain *c);

#endif
