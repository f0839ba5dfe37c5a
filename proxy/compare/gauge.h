#ifndef SPILLWAY_PROXY_COMPARE_GAUGE_H
#define SPILLWAY_PROXY_COMPARE_GAUGE_H

#include <stdbool.h>

#include "proxy/metrics.h"

/*
 * What the gateway says of itself: in its metrics, of all who use a transport;
 * or in the demo's ledger, of us alone. Bytes are foreign: what is not there,
 * or no number, is not counted, and then `there` is false.
 */
struct gauge {
	bool there;
	uint64_t requests, events;
	uint64_t bytes[BUCKET_COUNT];
	/* Of its process; of the metrics alone. */
	bool has_process;
	double started; /* Unix time */
	double cpu_seconds;
	uint64_t resident;
};

void gauge_read_metrics(
    struct gauge *out, struct str text, const char *transport);
void gauge_read_panes(struct gauge *out, struct str json, const char *pane);

#endif
