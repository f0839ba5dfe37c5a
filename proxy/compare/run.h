#ifndef SPILLWAY_PROXY_COMPARE_RUN_H
#define SPILLWAY_PROXY_COMPARE_RUN_H

#include "proxy/compare/result.h"
#include "proxy/compare/secure.h"

/*
 * A run: one transport after the other, each with its subscribers, its events
 * and what the gateway says of both. Takes as long as it takes, and SIGINT for
 * itself; a second one ends it at once.
 *
 * The places of `r->options` were found, that of the API if `has_api`. `r` is
 * filled in. SW_EIO with the reason in `why` when it cannot go on; what was
 * done by then is in `r`.
 */
int run_all(struct result *r, bool has_api, struct secure_context *context,
    struct buf *why);

#endif
