#ifndef SPILLWAY_PROXY_BACKEND_ROUTES_H
#define SPILLWAY_PROXY_BACKEND_ROUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/route.h"
#include "proxy/base/str.h"

/*
 * The backends of one worker: that of the world outside of `route` blocks,
 * which is worker->upstream, and one for each block that has its own, with its
 * own connections, limits and troubles. Their number is fixed at the start.
 */
struct routes;
struct upstream;
struct worker;

/* With counters in the worker's metrics, if there are any blocks. */
int routes_new(struct routes **out, struct worker *w);
/* The worker has another configuration, with the same routes. */
void routes_configure(struct routes *r);
void routes_free(struct routes *r);
/* At the end of a turn, for all backends. True: there is more to do. */
bool routes_turn(struct routes *r);

/* Is there a backend for any path? */
bool routes_exist(const struct routes *r);

/*
 * The index of the route that such a path takes; SW_EINVAL if that can be read
 * in several ways, SW_ELIMIT if it is too long to look, or SW_ENOMEM.
 */
int routes_choose(size_t *out, const struct routes *r, struct str path);

/* What the route says, until the worker's configuration changes. */
const struct route *routes_get(const struct routes *r, size_t route);

/* Its backend; NULL: there is none. */
struct upstream *routes_upstream(const struct routes *r, size_t route);

#endif
