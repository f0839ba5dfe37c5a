#ifndef SPILLWAY_PROXY_DRAIN_H
#define SPILLWAY_PROXY_DRAIN_H

#include <stdatomic.h>

#include "proxy/base/loop.h"

/*
 * Emptying a worker in good order. Its listeners close, waiting polls are
 * answered, and streams are told to come back, a few at a time over drain-time,
 * so that they do not all arrive at the next gateway in the same moment.
 */
struct worker;

struct drain {
	struct task task; /* begins it, in the worker's thread */
	struct timer tick;
	uint64_t began_ms;
	uint64_t streams; /* when it began */
	_Atomic bool done;
};

void drain_init(struct worker *w);

/* From another thread. */
void drain_begin(struct worker *w);
bool drain_done(const struct worker *w);

#endif
