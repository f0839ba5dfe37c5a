#ifndef SPILLWAY_CONF_BACKEND_H
#define SPILLWAY_CONF_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * One origin of the backend, as a configuration names it: where it is, and how
 * large its share of the requests. All text is borrowed.
 */
struct backend_origin {
	struct str url;         /* http://host:port or https://host:port */
	struct str socket_path; /* the path of a Unix socket; p is NULL: TCP */
	struct str host; /* what Host says if the client does not: host:port */
	uint64_t weight;
};

/*
 * http://host[:port], https://host[:port] or unix:/path, and behind a blank
 * perhaps weight=N. SW_EINVAL, with what to write instead in `advice`.
 */
int value_backend(
    struct backend_origin *out, struct str text, struct buf *advice);

#endif
