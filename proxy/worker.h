#ifndef SPILLWAY_PROXY_WORKER_H
#define SPILLWAY_PROXY_WORKER_H

#include <pthread.h>

#include "conf/conf.h"
#include "proxy/base/channel.h"
#include "proxy/base/list.h"
#include "proxy/base/loop.h"
#include "proxy/drain.h"
#include "proxy/edge/conn.h"
#include "proxy/metrics.h"
#include "proxy/sessions/session_home.h"
#include "proxy/stream/hub.h"
#include "storage/log.h"
#include "transports/codec.h"
#include "transports/stream_request.h"

/*
 * One thread with everything it needs: its loop, its listeners and connections,
 * its share of the channels and subscribers, its counters. Workers share the
 * log, the registry of channels and the configuration; between them there are
 * only tasks.
 */
struct gateway;
struct bridge;
struct http;
struct lab;
struct listener;
struct outbox;
struct routes;
struct tls_context;
struct upstream;

enum {
	/* What is read from a socket at once, and the largest head. */
	WORKER_INPUT = 128 << 10,
};

struct worker {
	unsigned index;
	struct gateway *gateway;
	struct loop *loop;
	pthread_t thread;
	const struct conf *conf;            /* borrowed; a reload replaces it */
	struct stream_limits stream_limits; /* as the configuration says */
	struct tls_context *tls; /* borrowed likewise; NULL: no certificate */
	struct log *log;
	struct channels *channels;
	struct hub hub;
	struct codec codec;
	struct http *http;
	struct upstream *upstream; /* the backend outside of routes */
	struct routes *routes;     /* that one, and theirs */
	struct bridge *bridge;     /* to the backend */
	struct outbox *outbox;     /* the gateway's; NULL without a backend */
	struct lab *lab;           /* of the demo, or NULL */
	struct listener **listeners;
	size_t listener_count;
	struct list conns;
	struct list handshakes; /* under way, the oldest first */
	struct list unfinished; /* by their timers: see look_turn */
	struct list dead;       /* closed during this turn */
	struct list dead_relays;
	struct list dead_subscribers;
	struct conn *ack_conn; /* whose answers are being collected in: */
	struct buf acks;
	struct conn *looking; /* whose input is being read right now */
	struct metrics metrics;
	uint64_t next_id;
	struct log_stage stage; /* what was appended during this turn */
	struct {
		uint64_t quiet_until_ms;
		uint64_t count; /* since the last line */
	} refusals;             /* of connections, see listener_refuse */
	bool draining; /* new streams are refused, old ones are ending */
	struct drain drain;
	struct session_home session_home;
	struct task stop_task;
	struct buf text; /* scratch for whatever is being written */
	char date[32];   /* the Date header's value, for: */
	uint64_t date_s;
	uint8_t *input; /* WORKER_INPUT bytes of scratch for reading */
};

int worker_new(struct worker **out, struct gateway *g, unsigned index,
    const struct conf *conf, struct log *log, struct channels *channels);
/* The loop has ended; closes what is left. */
void worker_free(struct worker *w);

/* Accept connections from a socket; see listener_open. Before worker_start. */
int worker_listen(struct worker *w, int fd, enum listener_queue queue,
    enum listener_kind kind);
void worker_close_listeners(struct worker *w);

int worker_start(struct worker *w);
/* End its loop, after the tasks that were posted, and wait for its thread. */
void worker_stop(struct worker *w);

/* Use this configuration from now on; in the worker's thread. */
void worker_configure(struct worker *w, const struct conf *conf);

/* For connections: unlike any other in the process. */
uint64_t worker_next_id(struct worker *w);
/* They are above this number. */
void worker_number_from(struct worker *w, uint64_t number);

/* The value of a Date header (RFC 9110 5.6.7), renewed once a second. */
const char *worker_date(struct worker *w);

/*
 * Queue a request for the writer, to be started at the end of this turn. Takes
 * it; see log_append.
 */
int worker_append(struct worker *w, struct append *a);

#endif
