#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_WILL_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_WILL_H

#include <stdbool.h>

/*
 * The will of a connection (storage/outbox/outbox.h): what the backend is told
 * of its end should the gateway be killed. It is part of the connection's lane,
 * which waits for it: the backend hears of nobody whose end it might not hear
 * of.
 */
struct bridge_lane;
struct outbox_put;

struct bridge_will {
	struct outbox_put *next;  /* in the place of the one that flies */
	struct outbox_put *later; /* once it is told who leaves, or NULL */
	bool flying;              /* one is on its way to the file */
	bool holds;               /* and the lane waits for it */
	bool exists;              /* or did once */
	bool voided;              /* the connection's end is a letter by now */
};

/*
 * Store it, or what makes it void; takes it. A file that fails holds up nobody:
 * it is tried until the end is told in another way, by this run or the next.
 */
void bridge_will_put(struct bridge_lane *l, struct outbox_put *p);

/* The same, but not before the lane has told of all channels that were left. */
void bridge_will_put_later(struct bridge_lane *l, struct outbox_put *p);
/* It has told something. */
void bridge_will_catch_up(struct bridge_lane *l);
/* The connection has ended: it is as good as it is. */
void bridge_will_settle(struct bridge_will *w);

/* The outbox has what tells of the end: nothing is tried any more. */
void bridge_will_make_void(struct bridge_will *w);

/* No loop turns any more. */
void bridge_will_close(struct bridge_lane *l);

#endif
