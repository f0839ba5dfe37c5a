#include "proxy/compare/latencies.h"

static size_t
place_of(uint64_t ns)
{
	unsigned power;

	if (ns < 2 * LATENCIES_STEPS)
		return (size_t)ns;
	power = 63 - (unsigned)__builtin_clzll(ns) - LATENCIES_STEP_BITS;
	return (size_t)power * LATENCIES_STEPS + (size_t)(ns >> power);
}

/* The largest time that has this place. */
static uint64_t
end_of(size_t place)
{
	size_t power;

	if (place < (size_t)2 * LATENCIES_STEPS)
		return place;
	power = place / LATENCIES_STEPS - 1;
	return ((uint64_t)(place - power * LATENCIES_STEPS) << power) +
	    ((UINT64_C(1) << power) - 1);
}

void
latencies_add(struct latencies *l, uint64_t ns)
{
	l->counts[place_of(ns)]++;
	if (l->count == 0 || ns < l->min_ns)
		l->min_ns = ns;
	if (ns > l->max_ns)
		l->max_ns = ns;
	l->count++;
	l->sum_ns += (double)ns;
}

void
latencies_join(struct latencies *to, const struct latencies *from)
{
	for (size_t i = 0; i < LATENCIES_PLACES; i++)
		to->counts[i] += from->counts[i];
	if (from->count > 0 && (to->count == 0 || from->min_ns < to->min_ns))
		to->min_ns = from->min_ns;
	if (from->max_ns > to->max_ns)
		to->max_ns = from->max_ns;
	to->count += from->count;
	to->sum_ns += from->sum_ns;
}

uint64_t
latencies_at(const struct latencies *l, double q)
{
	/* The product may come out a trifle above what is meant. */
	double rank = q * (double)l->count - 1e-6;
	uint64_t seen = 0;

	if (l->count == 0)
		return 0;
	for (size_t i = 0; i < LATENCIES_PLACES; i++) {
		seen += l->counts[i];
		if (seen > 0 && (double)seen >= rank) {
			uint64_t end = end_of(i);

			return end > l->max_ns ? l->max_ns :
			    end < l->min_ns    ? l->min_ns :
						 end;
		}
	}
	return l->max_ns;
}

double
latencies_mean(const struct latencies *l)
{
	return l->count == 0 ? 0 : l->sum_ns / (double)l->count;
}

uint64_t
latencies_between(const struct latencies *l, uint64_t from_ns, uint64_t to_ns)
{
	uint64_t n = 0;

	for (size_t i = 0; i < LATENCIES_PLACES; i++)
		if (end_of(i) >= from_ns && end_of(i) < to_ns)
			n += l->counts[i];
	return n;
}
