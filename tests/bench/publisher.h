#ifndef SPILLWAY_TESTS_BENCH_PUBLISHER_H
#define SPILLWAY_TESTS_BENCH_PUBLISHER_H

#include "tests/bench/bench.h"

/*
 * A connection that publishes, with several requests in flight. A channel
 * always has the same one, which keeps its order.
 */
enum { DEPTH_MAX = 256 };

struct publisher {
	struct wire wire;
	struct bench *bench;
	uint32_t in_flight;       /* requests */
	uint32_t first;           /* the oldest of them, in `sent` */
	uint64_t sent[DEPTH_MAX]; /* when */
	bool has_news;            /* requests not yet sent */
};

void publisher_open(struct publisher *p, struct bench *b);

/* What to publish, how fast, and until when. */
struct pace {
	uint32_t from, count; /* the channels */
	uint32_t each;        /* most events per channel; 0: any number */
	uint32_t window;      /* events not yet with everybody; 0: any number */
	double rate;          /* events a second; 0: as fast as may be */
	uint64_t ns;          /* what is due so long; 0: until `each` */
	/* Its own state: */
	uint64_t begin;
	uint64_t done;
	uint32_t next; /* channel, from 0 */
	uint32_t full; /* channels in a row that had `each` already */
};

/* Publish what may be published now. False once that was all. */
bool publish(struct bench *b, struct pace *p);
/* Nanoseconds until the next one is due, at its rate. */
uint64_t pace_rest_ns(const struct pace *p);
/* Requests that are not answered. */
uint32_t publishers_wait(const struct bench *b);

#endif
