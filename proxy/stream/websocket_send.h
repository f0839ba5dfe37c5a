#ifndef SPILLWAY_PROXY_STREAM_WEBSOCKET_SEND_H
#define SPILLWAY_PROXY_STREAM_WEBSOCKET_SEND_H

#include "proxy/stream/subscriber.h"
#include "transports/command.h"

/*
 * Messages that a WebSocket sends, and what comes back: at once, when they are
 * stored, or when the backend has answered.
 */

/* {"op":"send","channel":"a","data":...} */
void websocket_send(struct subscriber *s, const struct command *cmd);

/* A message of one that speaks without envelopes: to its first channel. */
void websocket_send_raw(struct subscriber *s, struct str data, bool binary);

#endif
