#ifndef SPILLWAY_PROXY_COMPARE_TALLY_H
#define SPILLWAY_PROXY_COMPARE_TALLY_H

#include "proxy/compare/latencies.h"
#include "proxy/metrics.h"

/* What the subscribers of one transport have seen, all together. */
struct tally {
	uint64_t received;    /* events, each once */
	uint64_t duplicates;  /* that came again */
	uint64_t late;        /* that came behind a later one */
	uint64_t gaps;        /* losses that they were told of */
	uint64_t foreign;     /* events of somebody else in the channel */
	uint64_t reconnects;  /* connections that ended before their time */
	uint64_t connections; /* that were made */
	uint64_t requests;
	uint64_t bytes[BUCKET_COUNT]; /* on the sockets, both directions */
	struct latencies latency;     /* from publishing to arrival */
};

#endif
