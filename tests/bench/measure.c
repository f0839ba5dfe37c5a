#include "tests/bench/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* Below 64 ns a bin is one nanosecond, then 64 bins are one power of two. */
static size_t
bin_of(uint64_t ns)
{
	unsigned power;
	size_t bin;

	if (ns < HISTOGRAM_STEPS)
		return (size_t)ns;
	power = 63u - (unsigned)__builtin_clzll(ns) - 6u;
	bin = power * HISTOGRAM_STEPS + (size_t)(ns >> power);
	if (bin >= HISTOGRAM_POWERS * HISTOGRAM_STEPS)
		bin = HISTOGRAM_POWERS * HISTOGRAM_STEPS - 1;
	return bin;
}

static uint64_t
bin_top(size_t bin)
{
	size_t power = bin / HISTOGRAM_STEPS;

	if (power == 0)
		return bin;
	return ((uint64_t)(HISTOGRAM_STEPS + bin % HISTOGRAM_STEPS) + 1)
	    << (power - 1);
}

void
histogram_add(struct histogram *h, uint64_t ns)
{
	h->bins[bin_of(ns)]++;
	h->count++;
	if (ns > h->max)
		h->max = ns;
}

double
histogram_us(const struct histogram *h, double part)
{
	double wanted = part * (double)h->count;
	uint64_t seen = 0;
	size_t i;

	if (h->count == 0)
		return 0;
	for (i = 0; i < HISTOGRAM_POWERS * HISTOGRAM_STEPS; i++) {
		seen += h->bins[i];
		if ((double)seen >= wanted)
			break;
	}
	return (double)(bin_top(i) < h->max ? bin_top(i) : h->max) / 1000.0;
}

void
server_parse(struct server *s, const char *text)
{
	char *end;

	for (s->n = 0; s->n < SERVER_PROCESSES_MAX; text = end + 1) {
		s->pids[s->n++] = (pid_t)strtol(text, &end, 10);
		if (*end == '\0' && end != text)
			return;
		if (*end != ',' || end == text)
			break;
	}
	fprintf(stderr, "load: --pids takes process ids, as 12,13\n");
	exit(2);
}

uint64_t
server_cpu_ns(const struct server *s)
{
	struct timespec t;
	uint64_t sum = 0;
	clockid_t clock;
	size_t i;

	for (i = 0; i < s->n; i++) {
		if (clock_getcpuclockid(s->pids[i], &clock) != 0 ||
		    clock_gettime(clock, &t) != 0) {
			fprintf(stderr, "load: process %d is gone\n",
			    (int)s->pids[i]);
			exit(1);
		}
		sum += (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
	}
	return sum;
}

uint64_t
server_memory(const struct server *s)
{
	char path[64], line[256];
	uint64_t sum = 0;
	size_t i;
	FILE *f;

	for (i = 0; i < s->n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup",
		    (int)s->pids[i]);
		if ((f = fopen(path, "re")) == NULL) {
			perror(path);
			exit(1);
		}
		while (fgets(line, sizeof(line), f) != NULL)
			if (strncmp(line, "Pss:", 4) == 0)
				sum += strtoull(line + 4, NULL, 10) * 1024;
		fclose(f);
	}
	return sum;
}
