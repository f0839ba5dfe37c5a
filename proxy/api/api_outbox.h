#ifndef SPILLWAY_PROXY_API_API_OUTBOX_H
#define SPILLWAY_PROXY_API_API_OUTBOX_H

#include "proxy/http/http.h"

/*
 * What waits for the backend, and what was given up: /v1/outbox, and
 * /v1/outbox/dead[/ID], of which `rest` is what stands behind "/v1/outbox".
 */
void api_outbox(struct exchange *x, struct str rest);

#endif
