#ifndef SPILLWAY_PROXY_API_API_PUBLISH_H
#define SPILLWAY_PROXY_API_API_PUBLISH_H

#include "proxy/http/http.h"

/*
 * Publishing through the HTTP library: single events and batches, plain or as
 * CloudEvents 1.0. What the first look does faster means the same here.
 */
void api_publish_one(struct exchange *x, struct str channel);
void api_publish_batch(struct exchange *x);

/* Nothing of it is stored, and that is counted. */
void api_publish_refuse(struct exchange *x, int status, const char *detail);

#endif
