#include <stdlib.h>

#include "tests/bench/modes.h"
#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

/* Who left on purpose, in the order in which they come back. */
struct absent {
	uint32_t *who;
	uint64_t *until;
	uint32_t first, n, size;
	double owed; /* leaves that are due */
	uint64_t seen_ns;
	uint64_t seed;
	bool over; /* nobody leaves any more */
};

static struct absent absent;

static uint32_t
random_below(uint32_t n)
{
	/* xorshift: the same run leaves in the same order. */
	absent.seed ^= absent.seed << 13;
	absent.seed ^= absent.seed >> 7;
	absent.seed ^= absent.seed << 17;
	return (uint32_t)((absent.seed >> 32) * n >> 32);
}

static void
absent_init(struct bench *b)
{
	absent = (struct absent){ .size = b->nsubs,
		.who = calloc(b->nsubs, sizeof(uint32_t)),
		.until = calloc(b->nsubs, sizeof(uint64_t)),
		.seen_ns = now_ns(),
		.seed = 0x9e3779b97f4a7c15 };
	if (absent.who == NULL || absent.until == NULL)
		abort();
}

static void
absent_put(struct bench *b, uint32_t who, uint64_t now)
{
	uint32_t at = (absent.first + absent.n) % absent.size;

	subscriber_close(&b->subs[who]);
	absent.who[at] = who;
	absent.until[at] = now + b->o.gap_ms * MS;
	absent.n++;
	b->tally.cycles++;
}

static void
leave_and_return(struct bench *b)
{
	uint64_t now = now_ns();
	uint32_t who;

	absent.owed += b->o.drop * b->nsubs * (double)(now - absent.seen_ns) /
	    (double)SECOND;
	absent.seen_ns = now;
	while (absent.owed >= 1 && !absent.over) {
		absent.owed -= 1;
		who = random_below(b->nsubs);
		if (b->subs[who].state == SUB_STANDS)
			absent_put(b, who, now);
	}
	while (absent.n > 0 && absent.until[absent.first] <= now) {
		subscriber_open(&b->subs[absent.who[absent.first]], WIRE_FAST);
		absent.first = (absent.first + 1) % absent.size;
		absent.n--;
	}
}

/* A cursor is needed to come back: an event for everybody, a few more. */
static void
warm_up(struct bench *b)
{
	struct pace p = { .count = b->o.channels,
		.each = b->o.warm,
		.window = b->o.window > 0 ? b->o.window : 1000 };

	if (b->o.warm > 0)
		bench_drive(b, &p, DELIVERED);
}

static void
slow_stop(struct bench *b)
{
	uint32_t i;

	for (i = b->o.subs - b->o.slow; i < b->o.subs; i++)
		wire_pause(&b->subs[i].wire);
}

/* They read on: whatever became of it, they are to have everything. */
static void
slow_go_on(struct bench *b)
{
	uint32_t i;

	for (i = b->o.subs - b->o.slow; i < b->o.subs; i++)
		wire_resume(&b->subs[i].wire);
	for (i = b->o.subs - b->o.slow; i < b->o.subs; i++)
		while (subscriber_misses(&b->subs[i]) > 0)
			bench_turn(b);
}

void
mode_flow(struct bench *b)
{
	const struct options *o = &b->o;
	struct pace p = { .count = o->channels,
		.each = o->each,
		.window = o->window,
		.rate = o->rate,
		.ns = (uint64_t)(o->seconds * (double)SECOND) };
	uint64_t memory;
	struct span s;

	bench_subscribers(b);
	bench_open(b, 0, o->subs - o->slow, WIRE_FAST);
	bench_open(b, o->subs - o->slow, o->slow, WIRE_SLOW);
	bench_publishers(b);
	warm_up(b);
	slow_stop(b);
	memory = server_memory(&o->server);
	if (o->drop > 0) {
		absent_init(b);
		b->turn = leave_and_return;
	}
	span_begin(b, &s);
	while (publish(b, &p))
		bench_turn(b);
	absent.over = true;
	bench_wait(b, DELIVERED);
	span_end(b, &s);
	bench_report(
	    b, "grown", (double)server_memory(&o->server) - (double)memory);
	slow_go_on(b);
}
