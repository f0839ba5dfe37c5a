#ifndef SPILLWAY_PROXY_WATCHDOG_H
#define SPILLWAY_PROXY_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/loop.h"

/*
 * Do all loops turn still? Each is given a task now and then, and who watches
 * us is told only if all of them have been run: a worker that is stuck serves
 * nobody, and does not end by itself either.
 *
 * It belongs to one thread, and outlives the loops.
 */
struct pulse {
	struct task task;
	struct loop *loop;
	_Atomic bool due; /* it has not been run */
};

struct watchdog {
	struct pulse *pulses;
	size_t count;
	uint64_t period_ms; /* between two turns; 0: nobody watches */
	uint64_t next_ms;   /* monotonic */
	uint64_t well_ms;   /* when all loops were seen to turn */
	bool late;          /* and that was said */
};

/* `period_ms` as above. SW_ENOMEM. */
int watchdog_init(struct watchdog *d, size_t loops, uint64_t period_ms);
void watchdog_fini(struct watchdog *d);
void watchdog_add(struct watchdog *d, struct loop *l);

/*
 * Look whether the time for a turn has come. Returns true if it has, and all
 * loops have turned since the one before.
 */
bool watchdog_turn(struct watchdog *d, uint64_t now_ms);

/* How long until the next turn: at least 1; 0 if there is none. */
uint64_t watchdog_wait_ms(const struct watchdog *d, uint64_t now_ms);

#endif
