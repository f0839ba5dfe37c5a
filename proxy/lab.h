#ifndef SPILLWAY_PROXY_LAB_H
#define SPILLWAY_PROXY_LAB_H

#include "proxy/base/map.h"
#include "proxy/conn.h"
#include "transports/request.h"

/*
 * What the compare page sees of the gateway, with `demo = yes` alone: how many
 * bytes each of its panes cost on the sockets.
 *
 * A pane gives itself a name, which all its requests carry as `lab=NAME`. Each
 * worker has a lab of its own and counts what it served; the page adds up.
 * Connections know of it by one flag: a browser's keep-alive connection serves
 * one pane now and another one then, so who pays is looked up here.
 */
struct lab;
struct worker;

enum { LAB_NAME_MAX = 64, LAB_PANES_MAX = 4096 };

struct lab_pane {
	struct map_entry entry;
	uint64_t requests;
	uint64_t connections; /* that served it; some may serve others, too */
	uint64_t bytes[BUCKET_COUNT];
	char name[];
};

int lab_new(struct lab **out, struct worker *w);
void lab_free(struct lab *l); /* accepts NULL; after its connections */

/* A request for a stream: from here on its connection is counted for a pane. */
void lab_request(struct conn *c, const struct request *r);

/* By a connection with the flag. */
void lab_count(struct conn *c, enum bucket b, uint64_t n);
void lab_end(struct conn *c);

/*
 * Append an object for each pane whose name begins so, with commas between;
 * how many there are is added to `*count`.
 */
void lab_put_panes(
    const struct lab *l, struct buf *out, struct str prefix, uint64_t *count);

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
