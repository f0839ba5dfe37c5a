#ifndef SPILLWAY_PROXY_COMPARE_CROWD_H
#define SPILLWAY_PROXY_COMPARE_CROWD_H

#include "proxy/compare/client.h"
#include "proxy/compare/options.h"
#include "proxy/compare/tally.h"

/*
 * All subscribers of one transport: they come a few at a time, read until they
 * are closed, and add to one tally.
 */
struct crowd {
	struct loop *loop;
	const struct compare_options *options;
	struct secure_context *context;
	enum transport_id transport;
	const char *run;  /* that the events are of; NULL: the demo's */
	const char *pane; /* the demo counts it under this name; or NULL */
	uint64_t before;  /* the number before the first event */
	struct client *clients;
	size_t count;
	size_t begun;   /* clients that were told to come */
	size_t coming;  /* of those, who are not there yet */
	size_t there;   /* who have been there */
	size_t leaving; /* whose goodbye is not answered yet */
	bool closing;
	struct tally tally;
	/* Somebody was refused; called more than once. */
	void (*refused)(struct crowd *c, const char *why);
	void *ctx;
};

/* Of `c`, what is above `clients` and `refused` are set. SW_ENOMEM. */
int crowd_open(struct crowd *c);
void crowd_close(struct crowd *c); /* says goodbye; see `leaving` */
void crowd_free(struct crowd *c);  /* at once; also if it was never opened */

/* For clients: one of them is there now, for the first time. */
void crowd_came(struct crowd *c);

#endif
