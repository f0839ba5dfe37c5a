#ifndef SPILLWAY_PROXY_BACKEND_PROXY_H
#define SPILLWAY_PROXY_BACKEND_PROXY_H

#include "proxy/edge/conn.h"
#include "transports/request.h"

/*
 * The reverse proxy: what is not the gateway's own goes to the backend, and its
 * response comes back, both as streams: who is slow holds the other side back,
 * and nothing is kept but what one socket did not take.
 */

/* Is it for the backend? */
bool proxy_takes(const struct conn *c, const struct request *r);

/*
 * Pass it on. The connection is ours, as for stream_open: the head's bytes were
 * taken off the socket, and conn->in has what came behind them, the body first.
 * Afterwards the connection goes back to the first look.
 */
void proxy_open(struct conn *c, const struct request *r);

/* The daemon ends: a connection that has switched protocols ends, too. */
void proxy_drain(struct conn *c);

extern const struct conn_role proxy_role;

#endif
