#ifndef SPILLWAY_TESTS_BENCH_MEASURE_H
#define SPILLWAY_TESTS_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is read off: the clock, a spread of times, the server's use of itself.
 */

#define MS 1000000ull /* in nanoseconds */
#define SECOND 1000000000ull

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/*
 * Times by size: 64 steps for each power of two, so that a quantile is wrong
 * by 1.6 % at most. Zeroed is empty.
 */
#define HISTOGRAM_STEPS 64u
#define HISTOGRAM_POWERS 40u

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t bins[HISTOGRAM_POWERS * HISTOGRAM_STEPS];
};

void histogram_add(struct histogram *h, uint64_t ns);
/* The time that `part` of them (0.5, 0.99) do not exceed, in microseconds. */
double histogram_us(const struct histogram *h, double part);

/* The processes of the server. */
enum { SERVER_PROCESSES_MAX = 16 };

struct server {
	pid_t pids[SERVER_PROCESSES_MAX];
	size_t n;
};

/* "12,13": ends the program if that is not what it says. */
void server_parse(struct server *s, const char *text);
/*
 * CPU time of all of them so far: utime + stime of their /proc/PID/stat, but
 * read from their CPU clocks, which do not round to 10 ms.
 */
uint64_t server_cpu_ns(const struct server *s);
/* Their memory, shared pages by share: Pss of /proc/PID/smaps_rollup. */
uint64_t server_memory(const struct server *s);

#endif
