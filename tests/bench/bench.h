#ifndef SPILLWAY_TESTS_BENCH_BENCH_H
#define SPILLWAY_TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/dialect.h"
#include "tests/bench/measure.h"
#include "tests/bench/wire.h"

/*
 * One run: what was asked for, everybody who takes part, and what was counted.
 *
 * Every channel counts what was published to it and every subscriber what it
 * has, so that each delivery is known to be the next one, or it is a fault.
 */
struct options {
	const char *mode;
	enum dialect dialect;
	enum wants wants;
	uint16_t sub_port, pub_port;
	struct server server;
	uint32_t subs, channels;
	uint32_t size;   /* bytes of a payload */
	uint32_t pubs;   /* connections that publish */
	uint32_t depth;  /* requests in flight on each */
	uint32_t batch;  /* events in one request; 0: one without NDJSON */
	uint32_t window; /* events not yet with everybody; 0: any number */
	uint32_t warm;   /* events per channel before measuring */
	uint32_t each;   /* most events per channel; 0: any number */
	double rate;     /* events a second; 0: as fast as may be */
	double seconds;  /* of measuring */
	uint32_t rounds; /* of leaving and coming back */
	uint32_t away;   /* events missed by who comes back */
	uint32_t slow;   /* subscribers that do not read for the whole run */
	double drop;     /* times a second that a subscriber leaves */
	uint32_t gap_ms; /* and is away */
	uint32_t live;   /* subscribers beside those who come back */
	uint32_t filler; /* events that push others out of memory */
	bool resumes;    /* subscribers come back with a cursor */
};

/* Channels without subscribers, whose events push others out of memory: one
 * channel alone may not have so much of it. */
enum { FILLERS = 16 };

struct channel {
	uint32_t published;
	uint32_t listeners; /* who everybody is, for the window */
	size_t head_len;    /* of the request that publishes to it */
	char *head;
};

struct tally {
	/* Deliveries that the window waits for, and those that came or never
	 * will. */
	uint64_t due, settled;
	uint64_t deliveries, polls, cycles, acks;
	/* What must be zero. */
	uint64_t lost, again, damaged, gaps, refused, closed;
	struct histogram delivery, ack;
};

struct subscriber;
struct publisher;

struct bench {
	struct options o;
	struct wires wires;
	char run[12]; /* begins the name of each channel */
	struct channel *channels;
	uint32_t nchannels;
	struct subscriber *subs;
	uint32_t nsubs, opening;
	struct publisher *pubs;
	uint32_t npubs;
	struct tally tally;
	uint64_t complaints;
	uint64_t moved_ns; /* when something was last seen to happen */
	uint64_t moved;    /* how much had happened until then */
	struct buf report; /* members of a JSON object */
	/* Called when a subscriber's stream stands, or its first poll waits. */
	void (*ready)(struct bench *b, struct subscriber *s);
	void (*turn)(struct bench *b); /* called between looks at the wires */
};

/* Who takes part: connections that publish, and `o.subs` who are away. */
void bench_publishers(struct bench *b);
void bench_subscribers(struct bench *b);

/* One look at the wires. Ends the program when nothing happens any more. */
void bench_turn(struct bench *b);
/* The same, which waits for `ns` at most if nothing is to be seen. */
void bench_turn_for(struct bench *b, uint64_t ns);
/* Nothing to do for `ns` but to answer pings. */
void bench_rest(struct bench *b, uint64_t ns);

/* Some subscribers open, with no more than a backlog of them on the way. */
void bench_open(
    struct bench *b, uint32_t from, uint32_t n, enum wire_reader reader);

enum until { ACKED, DELIVERED };
struct pace;
/* Publish, then wait for all answers, or for all deliveries too. */
void bench_drive(struct bench *b, struct pace *p, enum until until);
void bench_wait(struct bench *b, enum until until);

/* From a mark to a mark: what happened, and what it cost the server. */
struct span {
	uint64_t begin, cpu, busy;
	uint64_t deliveries, polls, cycles, acks;
	double seconds;
};
void span_begin(struct bench *b, struct span *s); /* clears the histograms */
void span_end(struct bench *b, struct span *s);   /* and reports */

void bench_report(struct bench *b, const char *name, double value);

/* A sentence about a fault, on standard error; the first few of them. */
void bench_complain(struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
