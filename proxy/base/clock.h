#ifndef SPILLWAY_PROXY_BASE_CLOCK_H
#define SPILLWAY_PROXY_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* A clock that differs by more all at once was set, or the machine slept. */
enum { CLOCK_LEAP_MS = 60000 };

/*
 * What time it is, where no loop knows: see loop_now_ms and loop_unix_ms. Any
 * thread.
 */
static inline uint64_t
clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Since some moment, on and on. */
static inline uint64_t
clock_monotonic_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* Since 1970; it may be set. */
static inline uint64_t
clock_unix_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000000;
}

#endif
