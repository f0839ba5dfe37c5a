#ifndef SPILLWAY_TESTS_BENCH_COMEBACK_H
#define SPILLWAY_TESTS_BENCH_COMEBACK_H

#include "tests/bench/bench.h"

/* What those who leave and come back have in common. */

/* Everybody opens, and gets one event: with it a cursor. */
void first_event(struct bench *b);
void all_leave(struct bench *b);
/* So many more in each of `count` channels, whoever may be there. */
void publish_more(
    struct bench *b, uint32_t from, uint32_t count, uint32_t more);

#endif
