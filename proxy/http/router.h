#ifndef SPILLWAY_PROXY_HTTP_ROUTER_H
#define SPILLWAY_PROXY_HTTP_ROUTER_H

#include "proxy/http/http.h"

/*
 * Who answers an ordinary request: on the public listeners health, the pages
 * and what clients send; on `api-listen` the operator's API.
 */
void router_handle(struct exchange *x);

#endif
