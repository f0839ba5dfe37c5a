#ifndef SPILLWAY_PROXY_COMPARE_LATENCIES_H
#define SPILLWAY_PROXY_COMPARE_LATENCIES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Times and how they are spread, in a memory that does not grow. Up to 64 ns
 * each has a place of its own; above, every power of two has 32, so a quantile
 * is right to 3.2 % and never above what was really seen.
 */
enum {
	LATENCIES_STEP_BITS = 5,
	LATENCIES_STEPS = 1 << LATENCIES_STEP_BITS,
	LATENCIES_PLACES = (65 - LATENCIES_STEP_BITS) * LATENCIES_STEPS,
};

struct latencies {
	uint64_t counts[LATENCIES_PLACES];
	uint64_t count;
	uint64_t min_ns, max_ns;
	double sum_ns;
};

void latencies_add(struct latencies *l, uint64_t ns);
void latencies_join(struct latencies *to, const struct latencies *from);
/* The smallest time that `q` of all (0 to 1) do not exceed; 0 of nothing. */
uint64_t latencies_at(const struct latencies *l, double q);
double latencies_mean(const struct latencies *l); /* 0 of nothing */
/* How many took at least `from_ns` and less than `to_ns`, as places tell. */
uint64_t latencies_between(
    const struct latencies *l, uint64_t from_ns, uint64_t to_ns);

#endif
