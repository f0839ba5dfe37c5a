#ifndef SPILLWAY_PROXY_API_API_PRESENCE_H
#define SPILLWAY_PROXY_API_API_PRESENCE_H

#include "proxy/http/http.h"

/*
 * Who listens to a channel, on all workers: GET /v1/channels/C/presence. It is
 * found out when it is asked, so that nobody pays for it before.
 */
void api_presence(struct exchange *x, struct str channel);

/*
 * End all streams of a user: DELETE /v1/connections?user=U, with
 * &reconnect=yes to have them come back.
 */
void api_presence_kick(struct exchange *x);

#endif
