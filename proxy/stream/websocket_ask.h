#ifndef SPILLWAY_PROXY_STREAM_WEBSOCKET_ASK_H
#define SPILLWAY_PROXY_STREAM_WEBSOCKET_ASK_H

#include "proxy/stream/subscriber.h"
#include "transports/command.h"

/*
 * What a WebSocket subscribes to once it is open, where the backend decides:
 * its client's input is held back until that has answered.
 */

/* Ask, then websocket_subscribe. As bridge_tell. */
int websocket_ask(struct subscriber *s, const struct command *cmd);

/*
 * One that was let in without a token has shown one: ask for all channels of
 * its request if that is necessary, and then websocket_admit. True: it is
 * asked, or the subscriber has ended.
 */
bool websocket_ask_admission(struct subscriber *s, struct str ref);

#endif
