#ifndef SPILLWAY_PROXY_EDGE_LIMITS_H
#define SPILLWAY_PROXY_EDGE_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The limits that a client can reach: each has the name of its directive, in
 * the metrics as well. SECURITY.md says what each defends against.
 */
enum limit {
	LIMIT_CONNECTIONS,
	LIMIT_CONNECTIONS_PER_ADDRESS,
	LIMIT_CONNECTION_RATE,
	LIMIT_HANDSHAKE_RATE,
	LIMIT_DESCRIPTORS, /* of the system */
	LIMIT_HANDSHAKES,
	LIMIT_HANDSHAKE_TIMEOUT,
	LIMIT_HEADER,
	LIMIT_HEADER_TIMEOUT,
	LIMIT_ODD_PATH,
	LIMIT_REQUEST_TIMEOUT,
	LIMIT_IDLE_TIMEOUT,
	LIMIT_MESSAGE,
	LIMIT_MESSAGE_RATE,
	LIMIT_MESSAGE_BYTE_RATE,
	LIMIT_BATCH,
	LIMIT_BATCH_EVENTS,
	LIMIT_PUBLISH_RATE,
	LIMIT_PUBLISH_QUEUE,
	LIMIT_CHANNELS_PER_CONNECTION,
	LIMIT_CHANNELS,
	LIMIT_STALL_TIMEOUT,
	LIMIT_AUTH_TIMEOUT,
	LIMIT_BRIDGE_QUEUE,
	LIMIT_OUTBOX,
	LIMIT_BACKEND_QUEUE,
	LIMIT_SESSIONS,
	LIMIT_COUNT,
};

/* How much of a pace may come at once. */
enum { PACE_BURST_MS = 10000 };

/* As the metrics and the configuration call it. */
const char *limit_name(enum limit l);

/* What is said of LIMIT_CHANNELS, with a 503. */
extern const char channels_too_many[];

/*
 * So many a second, and no more than those of `burst_ms` at once. All that has
 * to be kept is when the next one would be due at an even pace (GCRA, of ATM
 * Forum's traffic management), in microseconds; zeroed, it begins. `per_s` 0:
 * no limit.
 */
bool pace_allows(
    uint64_t *due_us, uint64_t now_ms, uint64_t per_s, uint64_t burst_ms);

/*
 * The same for what differs in size: `cost_us` is how long it would take at an
 * even pace. Who has not used up the burst may go beyond it once, so that
 * nothing is too large for ever.
 */
bool pace_spends(
    uint64_t *due_us, uint64_t now_ms, uint64_t cost_us, uint64_t burst_ms);

/* How long so many take at so many a second, in microseconds; 0: no limit. */
uint64_t pace_cost_us(uint64_t n, uint64_t per_s);

#endif
