#ifndef SPILLWAY_PROXY_METRICS_H
#define SPILLWAY_PROXY_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/backend/upstream.h"
#include "proxy/base/buf.h"
#include "proxy/bridge/bridge_answer.h"
#include "proxy/bridge/bridge_event.h"
#include "proxy/edge/limits.h"
#include "storage/log.h"
#include "storage/outbox/outbox.h"
#include "transports/notice.h"
#include "transports/transport.h"

/*
 * What is counted. Each worker has counters of its own, which it alone writes
 * and anybody may read; sums are made when somebody asks (Prometheus text
 * format 0.0.4; names and units as its conventions have them).
 */

/* Where the bytes on a socket go. */
enum bucket {
	BUCKET_HANDSHAKE, /* WebSocket upgrades, both directions */
	BUCKET_REQUEST,   /* heads of requests */
	BUCKET_RESPONSE,  /* heads of responses */
	BUCKET_FRAMING,   /* what a transport adds to payloads */
	BUCKET_HEARTBEAT, /* heartbeats, pings and pongs */
	BUCKET_PAYLOAD,   /* what was published */
	BUCKET_COUNT,
};

/* How a TLS handshake ended. */
enum handshake_end {
	HANDSHAKE_FULL,
	HANDSHAKE_RESUMED,
	HANDSHAKE_FAILED,  /* no version, cipher or protocol in common, ... */
	HANDSHAKE_PLAIN,   /* the client speaks HTTP without TLS */
	HANDSHAKE_LEFT,    /* the client closed the connection */
	HANDSHAKE_TIMEOUT, /* tls-handshake-timeout */
	HANDSHAKE_CROWDED, /* tls-handshakes-max */
	HANDSHAKE_ENDS,
};

/* What became of the headers by which load balancers tell of clients. */
enum preface_end {
	PREFACE_OK,
	PREFACE_WRONG,   /* it was none */
	PREFACE_LEFT,    /* it did not come, or not all of it */
	PREFACE_LIMITED, /* the client was one too many */
	PREFACE_ENDS,
};

/* Why a subscriber's connection, or its poll, ended; see close.h. */
enum { CLOSE_REASONS_MAX = 24 };

/* Requests and commands that access was refused to. */
enum access_refusal {
	REFUSED_UNAUTHORIZED, /* 401: no token, or none that is valid */
	REFUSED_FORBIDDEN,    /* 403: the token does not allow it */
	REFUSED_ORIGIN,       /* 403: a page of another origin */
	REFUSED_COUNT,
};

/* Upper bounds of the delivery histogram, from 10 us to 10 s. */
enum { LATENCY_BUCKETS = 19 };

struct transport_metrics {
	_Atomic int64_t connections; /* now */
	_Atomic uint64_t requests;
	_Atomic uint64_t events;
	_Atomic uint64_t bytes[BUCKET_COUNT];
	_Atomic uint64_t latency[LATENCY_BUCKETS + 1];
	_Atomic uint64_t latency_ns; /* all together */
};

/* Of one route, and of the backend that it has. */
struct route_metrics {
	char *pattern; /* "" for what is outside of blocks */
	bool own;      /* it has a backend, or none, of its own */
	_Atomic uint64_t requests[6]; /* by the hundreds of their status */
	_Atomic uint64_t ends[UPSTREAM_ENDS];
};

struct metrics {
	struct transport_metrics transport[TRANSPORT_COUNT];
	_Atomic uint64_t accepted, refused_connections;
	_Atomic int64_t connections; /* now, of any kind */
	_Atomic int64_t handshakes;  /* under way, now */
	_Atomic uint64_t handshake_ends[HANDSHAKE_ENDS];
	_Atomic uint64_t preface_ends[PREFACE_ENDS];
	_Atomic uint64_t fast_requests; /* answered by the first look */
	_Atomic uint64_t http_requests; /* by the HTTP library */
	_Atomic uint64_t published, publish_refused;
	_Atomic uint64_t gaps[GAP_AHEAD + 1];
	_Atomic uint64_t closed[CLOSE_REASONS_MAX];
	_Atomic uint64_t catchup_reads, catchup_shared, catchup_events;
	_Atomic uint64_t window_bytes, window_events;
	_Atomic uint64_t messages; /* sent by clients */
	_Atomic uint64_t refused[REFUSED_COUNT];
	_Atomic uint64_t limited[LIMIT_COUNT];
	_Atomic uint64_t proxied[6]; /* by the hundreds of their status */
	_Atomic int64_t proxied_now;
	struct route_metrics *routes; /* fixed at start; NULL: no blocks */
	size_t route_count;
	_Atomic int64_t upstream_running, upstream_waiting, upstream_tunnels;
	_Atomic uint64_t upstream_ends[UPSTREAM_ENDS];
	_Atomic uint64_t upstream_probes[2]; /* failed, and well */
	_Atomic uint64_t upstream_retries, upstream_sent, upstream_received;
	_Atomic uint64_t bridge[BRIDGE_KINDS][BRIDGE_OUTCOMES];
};

/* By the worker that owns the counter: a plain addition, no locked one. */
#define METRIC_ADD(counter, n)                                            \
	atomic_store_explicit(&(counter),                                 \
	    atomic_load_explicit(&(counter), memory_order_relaxed) + (n), \
	    memory_order_relaxed)

/* Somebody has reached a limit. */
#define METRIC_LIMIT(w, l) METRIC_ADD((w)->metrics.limited[l], 1)

/* `n` events reached a socket `ns` after their commit. */
void metrics_latency(struct transport_metrics *m, uint64_t ns, uint64_t n);

const char *bucket_name(enum bucket b);

struct tls_context;

/* What is not a worker's. */
struct metrics_info {
	struct log_stats log;
	struct outbox_stats outbox;    /* zeroed: there is none */
	const struct tls_context *tls; /* NULL: no certificates */
	uint64_t started_unix_ms;
	uint64_t event_memory;
	uint64_t sessions;
	bool draining;
	const char *const *close_names;
	size_t close_count;
};

/* Append all of it. */
int metrics_print(struct buf *out, const struct metrics *const *workers,
    size_t count, const struct metrics_info *info);

/* The same as JSON, shorter: for people and for demo pages. */
int metrics_print_json(struct buf *out, const struct metrics *const *workers,
    size_t count, const struct metrics_info *info);

#endif
