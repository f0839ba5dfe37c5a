#ifndef SPILLWAY_PROXY_LAB_LAB_H
#define SPILLWAY_PROXY_LAB_LAB_H

#include "proxy/base/map.h"
#include "proxy/edge/conn.h"
#include "transports/notice.h"
#include "transports/request.h"
#include "transports/stream_request.h"
#include "transports/transport.h"

/*
 * What the compare page sees of the gateway, with `demo = yes` alone: how many
 * bytes each of its panes cost on the sockets; and what it may do to them: the
 * faults that networks, proxies and servers have.
 *
 * A pane gives itself a name, which all its requests carry as `lab=NAME`. Each
 * worker has a lab of its own and counts what it served; the page adds up.
 * Connections know of it by one flag: a browser's keep-alive connection serves
 * one pane now and another one then, so who pays is looked up here.
 */
struct lab;
struct worker;

enum { LAB_NAME_MAX = 64, LAB_PANES_MAX = 4096 };

/* What may be wrong between the gateway and a pane. */
enum lab_fault {
	/* A request, as it comes: */
	LAB_REFUSE,  /* is answered by some proxy; value: the status */
	LAB_STRIP,   /* loses its Upgrade on the way */
	LAB_SWALLOW, /* is never answered */
	LAB_TRIM,    /* finds that nothing behind its cursor was kept */
	/* Connections are told of a restart, and the next request: */
	LAB_EPOCH, /* that its cursor is of another log; once a worker */
	/* What goes to the client, as long as the fault lasts: */
	LAB_MUTE,      /* nothing behind the head of an answer */
	LAB_HOLD,      /* only when there is more than that: bytes */
	LAB_DELAY,     /* later: ms, and up to `jitter` more */
	LAB_CAP,       /* slowly: bytes a second */
	LAB_BLACKHOLE, /* nothing, until it is over */
	/* Connections there are, at once: */
	LAB_RESET,   /* end with a RST */
	LAB_CUT,     /* end with a FIN, without a word */
	LAB_RESTART, /* are told that the gateway restarts */
	LAB_EXPIRE,  /* are told that their token has expired */
	LAB_FAULTS,
};

struct lab_rule {
	uint64_t until_ms; /* monotonic; 0: there is none */
	uint64_t value, jitter;
	unsigned transports; /* one bit for each */
};

struct lab_pane {
	struct map_entry entry;
	uint64_t used;  /* a larger number was asked for later */
	size_t serving; /* connections that are its own at the moment */
	uint64_t requests;
	uint64_t connections; /* that served it; some may serve others, too */
	uint64_t bytes[BUCKET_COUNT];
	struct lab_rule rules[LAB_FAULTS];
	char name[];
};

int lab_new(struct lab **out, struct worker *w);
void lab_free(struct lab *l); /* accepts NULL; after its connections */

/*
 * A request for a stream: from here on its connection is counted for a pane.
 * It goes on to stream_begin, if nothing is wrong on the way.
 */
void lab_request(struct conn *c, const struct request *r, struct str rest);

/*
 * What history has lost for the one who asks for it: GAP_TRIMMED, GAP_EPOCH.
 * Nothing is, in fact: it goes on with what is live, as if it were so.
 */
enum gap_reason lab_gap(struct conn *c, const struct stream_request *req);

/* By a connection with the flag: */
void lab_count(struct conn *c, enum bucket b, uint64_t n);
/* As conn_write; what is taken may be kept for a while. */
ssize_t lab_write(struct conn *c, const struct iovec *iov, int n);
bool lab_holds(struct conn *c);
void lab_leave(struct conn *c); /* what comes next is no pane's */
void lab_end(struct conn *c);

/*
 * Append an object for each pane whose name begins so, with commas between;
 * how many there are is added to `*count`.
 */
void lab_put_panes(
    const struct lab *l, struct buf *out, struct str prefix, uint64_t *count);

/* A fault for a pane from now on, or, of connections, once. SW_ENOMEM. */
struct lab_break {
	char pane[LAB_NAME_MAX + 1];
	enum lab_fault fault; /* LAB_FAULTS: all is well again */
	uint64_t value, jitter, seconds;
	unsigned transports;
};

int lab_break(struct lab *l, const struct lab_break *b);

const char *lab_fault_name(enum lab_fault f);
/* LAB_FAULTS for "none"; false for a name that there is not. */
bool lab_fault_find(enum lab_fault *out, struct str name);

/*
 * Publish to a channel: `burst` events at a time, `rate` a second, each with
 * `size` bytes, until `seconds` have passed or it is told otherwise. Numbers go
 * on where they stopped; `next` is for one that begins. A rate of 0 stops it.
 */
struct lab_order {
	char channel[129];
	uint64_t rate, size, burst, seconds, next;
};

/* Tells `*next`, the number of the next event; SW_ELIMIT, SW_ENOMEM. */
int lab_publish(struct lab *l, const struct lab_order *order, uint64_t *next);

#endif
