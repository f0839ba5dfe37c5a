#ifndef SPILLWAY_PROXY_SESSIONS_SESSION_HOME_H
#define SPILLWAY_PROXY_SESSIONS_SESSION_HOME_H

#include <stdatomic.h>
#include <stdbool.h>

#include "proxy/base/loop.h"

/*
 * The worker at which sessions (sessions.h) are at home tells of them what
 * bridge_presence.h tells of streams: to the backend, and to the channels. It
 * does so when it is woken, and when leases end.
 */
struct worker;

struct session_home {
	struct task task;
	struct timer timer;
	_Atomic bool posted;
};

void session_home_init(struct worker *w);
/* For sessions_new; the context is the gateway. */
void session_home_wake(void *ctx, size_t home);
/* Once the worker drains: end them; true when all have ended. */
bool session_home_end(struct worker *w);
/* No loop turns any more: end what is left, and let go of its lanes. */
void session_home_fini(struct worker *w);

#endif
