#ifndef SPILLWAY_TESTS_BENCH_PAYLOAD_H
#define SPILLWAY_TESTS_BENCH_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/str.h"

/*
 * What is published: text of a fixed length that says which channel it was
 * sent to, as which message of that channel (from 1), and when, so that every
 * delivery can be checked and timed without a memory of what was sent:
 *
 *	spill:CCCC:SSSSSSSS:TTTTTTTTTTTTTTTT:xxx...x;
 */
#define PAYLOAD_MARK "spill:"
enum { PAYLOAD_MIN = 40 };

struct payload {
	uint32_t channel;
	uint32_t seq;
	uint64_t stamp; /* nanoseconds */
};

/* `size` bytes at `out`. */
void payload_write(uint8_t *out, size_t size, struct payload what);

/*
 * Cut the next payload of `size` bytes off `*text`, with what stands before
 * it. 1: there was one; 0: no further one; -1: one that is damaged.
 */
int payload_next(struct payload *out, struct str *text, size_t size);

#endif
