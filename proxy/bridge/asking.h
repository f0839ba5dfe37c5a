#ifndef SPILLWAY_PROXY_BRIDGE_ASKING_H
#define SPILLWAY_PROXY_BRIDGE_ASKING_H

#include "proxy/auth/auth.h"
#include "proxy/edge/conn.h"
#include "transports/stream_request.h"

/*
 * A request for a stream that waits for the backend's word (bridge_connect.h).
 * Its connection has a role of its own meanwhile; then stream_go_on. If the
 * backend is told of comers and goers as well, it has a will before.
 */

/*
 * Ask for all channels of the request. Takes the grant of `auth`. SW_EBUSY,
 * SW_ENOMEM: the backend is not asked, and nothing has changed.
 */
int asking_begin(struct conn *c, const struct request *r, struct str rest,
    const struct stream_request *req, struct auth *auth);

/* We are shutting down: it is told so, and the answer is for nobody. */
void asking_end(struct conn *c);

extern const struct conn_role asking_role;

#endif
