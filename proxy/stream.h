#ifndef SPILLWAY_PROXY_STREAM_H
#define SPILLWAY_PROXY_STREAM_H

#include "proxy/close.h"
#include "proxy/conn.h"
#include "transports/request.h"

/*
 * A GET of /stream/CHANNEL[,CHANNEL...]: makes the connection a subscriber on
 * the transport that the request asks for, and says what it needs to know, or
 * answers why not.
 */

/*
 * Open it. `rest` is the path behind /stream/. The connection is ours: whoever
 * read the request has taken its bytes off the socket, and left in conn->in
 * what came behind them.
 */
void stream_open(struct conn *c, const struct request *r, struct str rest);

/*
 * A WebSocket that was let in without a token has shown one: give it what it
 * asked for. SW_EFORBIDDEN with a sentence in `*why` if the token does not
 * allow that; then nothing has changed. It may be closed on the way.
 */
struct subscriber;
int stream_admit(struct subscriber *s, const char **why);

/* An event stream's. */
extern const struct conn_role sse_role;

/* The last words of an event stream; true if they need time. */
bool sse_farewell(struct subscriber *s, enum close_why why);

#endif
