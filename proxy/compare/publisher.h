#ifndef SPILLWAY_PROXY_COMPARE_PUBLISHER_H
#define SPILLWAY_PROXY_COMPARE_PUBLISHER_H

#include "proxy/base/cursor.h"
#include "proxy/compare/answer.h"
#include "proxy/compare/options.h"
#include "proxy/compare/peer.h"

/*
 * Publishes events at a rate, with the operator's API: one connection, on which
 * some requests may wait for their answers. What is due while the gateway takes
 * no more is late already when it is sent: it says when it was due.
 */
struct publisher {
	struct peer peer;
	struct answer answer;
	struct buf body, payload;
	struct timer timer;
	const struct compare_options *options;
	const char *run;
	uint64_t before; /* the number before the first event */
	uint64_t total;
	uint64_t begun_ms;
	uint64_t heard_ms;  /* the last answer, or the last connection begun */
	uint64_t sent;      /* requests; the first ones are answered */
	uint64_t stored;    /* events that were acknowledged */
	uint64_t refused;   /* that were not, as the gateway was busy */
	uint64_t delayed;   /* that were due before the gateway took them */
	bool waits;         /* for the gateway, whatever is due meanwhile */
	bool stopped;       /* sends no more */
	struct epoch epoch; /* of the gateway's log; empty until it is known */
	void (*failed)(struct publisher *p, const char *why);
	void *ctx;
};

void publisher_init(struct publisher *p, struct loop *l,
    const struct compare_options *o, struct secure_context *context);
void publisher_fini(struct publisher *p);

/* Numbers go on behind `before`. */
void publisher_begin(struct publisher *p, uint64_t before, uint64_t total);
void publisher_stop(struct publisher *p);

/* Now and then: `failed` is told of an API that does not answer any more. */
void publisher_watch(struct publisher *p);

/* Nothing more will be sent, and all that was has its answer. */
bool publisher_is_done(const struct publisher *p);

#endif
