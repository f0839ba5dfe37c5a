#ifndef SPILLWAY_PROXY_STREAM_WEBSOCKET_H
#define SPILLWAY_PROXY_STREAM_WEBSOCKET_H

#include "proxy/stream/subscriber.h"

/*
 * The subscriber's side of a WebSocket: what it says, besides listening. With
 * spillway.v1 it says JSON commands; with spillway.raw every message is sent to
 * its first channel.
 */
extern const struct conn_role websocket_role;

/* Read what came with the handshake, and what is there by now. */
void websocket_begin(struct subscriber *s);

/* An answer that was awaited is out: read on, if that was held back. */
void websocket_resume(struct conn *c);

/* Input is counted when it is clear what it was. */
void websocket_settle(struct subscriber *s, enum bucket b, uint64_t n);

/* Send the close frame; true if the peer's should be waited for. */
bool websocket_farewell(struct subscriber *s, enum close_why why);

/* The same for a text that was made for it: takes it. */
void websocket_answer_text(struct subscriber *s, struct buf *text);

/* Answer a command with {"op":"error",...}. */
void websocket_error(struct subscriber *s, struct str ref, const char *code,
    const char *message);

/* Write an answer as a text message, or as a binary one. */
void websocket_answer(struct subscriber *s, struct str message, bool binary);

/*
 * {"op":"subscribe",...}, once the backend was asked if it has to be. Without
 * `after` it begins at `live`, see beginning_find.
 */
struct command;
void websocket_subscribe(
    struct subscriber *s, const struct command *cmd, uint64_t live);

#endif
