#ifndef SPILLWAY_TESTS_BENCH_SUBSCRIBER_H
#define SPILLWAY_TESTS_BENCH_SUBSCRIBER_H

#include "tests/bench/bench.h"

/*
 * One client: it opens a stream or polls, checks that each event is the next
 * one of its channel, whole and for it, and keeps its cursor for coming back.
 */
enum subscriber_state {
	SUB_AWAY,
	SUB_OPENING, /* asked, and not answered */
	SUB_STANDS
};

struct subscriber {
	struct wire wire;
	struct bench *bench;
	enum subscriber_state state;
	uint32_t channel;
	uint32_t seq; /* of the last event */
	bool counts;  /* among those whom the window waits for */
	struct cursor cursor;
};

/* Away, on channel `channel`; counted as one of its listeners if `counts`. */
void subscriber_init(
    struct subscriber *s, struct bench *b, uint32_t channel, bool counts);
/* Ask, for what is behind its cursor if it has one. */
void subscriber_open(struct subscriber *s, enum wire_reader reader);
void subscriber_close(struct subscriber *s); /* comes back where it was */
/* Events of its channel that it does not have. */
uint32_t subscriber_misses(const struct subscriber *s);

#endif
