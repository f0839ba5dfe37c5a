#ifndef SPILLWAY_PROXY_STREAM_EVENT_STREAM_H
#define SPILLWAY_PROXY_STREAM_EVENT_STREAM_H

#include "proxy/stream/subscriber.h"

/*
 * The connection of an event stream (SSE): nothing is read, and its end is all
 * that is waited for.
 */
extern const struct conn_role sse_role;

/* The last words of an event stream; true if they need time. */
bool sse_farewell(struct subscriber *s, enum close_why why);

#endif
