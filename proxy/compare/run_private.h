#ifndef SPILLWAY_PROXY_COMPARE_RUN_PRIVATE_H
#define SPILLWAY_PROXY_COMPARE_RUN_PRIVATE_H

#include "proxy/compare/crowd.h"
#include "proxy/compare/envelope.h"
#include "proxy/compare/publisher.h"
#include "proxy/compare/question.h"
#include "proxy/compare/run.h"

/* What a run's own files share. In this order they come. */
enum run_state {
	RUN_NEXT,       /* a phase is about to begin */
	RUN_BEFORE,     /* the gateway is asked, before anybody comes */
	RUN_OPENING,    /* they come */
	RUN_REFUSED,    /* or they may not: the next phase */
	RUN_READY,      /* asked again: they are there */
	RUN_PUBLISHING, /* until all is acknowledged */
	RUN_STOPPING,   /* the demo is told to */
	RUN_SETTLING,   /* until all has arrived */
	RUN_AFTER,      /* asked again: they have got it */
	RUN_CLOSING,    /* they go */
	RUN_COUNTS,     /* asked for its counts */
	RUN_AGAIN,      /* which were not yet what they will be */
};

struct run {
	struct loop *loop;
	const struct compare_options *options;
	struct secure_context *context;
	struct result *result;
	struct buf *why;
	bool failed, interrupted;
	bool has_api;
	char id[ENVELOPE_RUN_LENGTH + 1];
	char panes[TRANSPORT_COUNT][64];
	struct io signals;
	struct timer pulse;
	enum run_state state;
	uint64_t since_ms; /* this state */
	struct question api, public;
	/* Of the phases that are under way: one, or all of them together. */
	size_t abreast;
	struct crowd crowds[TRANSPORT_COUNT];
	struct gauge before[TRANSPORT_COUNT];
	struct gauge ready, after; /* for the process's part */
	struct publisher publisher;
	uint64_t numbers;       /* that were used up */
	uint64_t began_ms;      /* publishing */
	double own_cpu_seconds; /* by then */
	unsigned tries;
};

/* The i-th phase of those under way. */
static inline struct phase *
run_phase(struct run *r, size_t i)
{
	return &r->result->phases[r->result->count + i];
}

void run_fail(struct run *r, const char *why); /* ends it; the first counts */
void run_enter(struct run *r, enum run_state state);
void run_enter_publishing(struct run *r); /* and the measuring begins */

/*
 * Ask in this state for the gateway's figures: run_take_gauge goes on, with one
 * gauge for each phase under way.
 */
void run_ask_gauge(struct run *r, enum run_state state);
void run_take_gauge(struct run *r, const struct gauge *g);

/* What has come of the phases under way, and which time they took. */
double run_cpu_seconds(void); /* our own, so far */
void run_measure_published(struct run *r);
void run_measure_time(struct run *r);
void run_measure(struct run *r, const struct gauge *now);
/* Does the gateway count all of it already? */
bool run_is_counted(const struct run *r, const struct gauge *now);
/* The run is over within them: if anything was received they count as well. */
void run_measure_early(struct run *r);

/* The demo's publisher: RUN_PUBLISHING when it has begun, RUN_SETTLING. */
void run_begin_demo(struct run *r);
void run_stop_demo(struct run *r);

#endif
