#ifndef SPILLWAY_TESTS_BENCH_MODES_H
#define SPILLWAY_TESTS_BENCH_MODES_H

#include "tests/bench/bench.h"

/*
 * What a run does, from the first connection to the last figure. Who checks
 * whether everybody has everything is the caller.
 */

/* Subscribe, publish at a pace, wait for the last delivery. */
void mode_flow(struct bench *b);
/* Hold connections that are silent; then publish to all of them. */
void mode_idle(struct bench *b);
/* Subscribe, leave, subscribe, leave. */
void mode_churn(struct bench *b);
/* All leave, miss events, and come back at once. */
void mode_catchup(struct bench *b);
/* The same, half of it from the store, beside a stream that goes on. */
void mode_storm(struct bench *b);

#endif
