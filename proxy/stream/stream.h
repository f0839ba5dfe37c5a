#ifndef SPILLWAY_PROXY_STREAM_STREAM_H
#define SPILLWAY_PROXY_STREAM_STREAM_H

#include "proxy/edge/conn.h"
#include "transports/request.h"

/*
 * A GET of /stream/CHANNEL[,CHANNEL...]: makes the connection a subscriber on
 * the transport that the request asks for, and says what it needs to know, or
 * answers why not.
 */

/*
 * Open it. A HEAD gets the head of what a GET would get, and nothing is left of
 * it. `rest` is the path behind /stream/. The connection is ours: whoever
 * read the request has taken its bytes off the socket, and left in conn->in
 * what came behind them.
 */
void stream_open(struct conn *c, const struct request *r, struct str rest);
/* The same, behind the lab; see lab.h. */
void stream_begin(struct conn *c, const struct request *r, struct str rest);

/*
 * The backend was asked whether it may (asking.h), and has answered. Takes the
 * grant of `auth`, and, should it become a stream, the lane (or NULL). The
 * number is for its session, should that be new; 0: one is made then.
 */
struct auth;
struct bridge_answer;
struct bridge_lane;
void stream_go_on(struct conn *c, const struct request *r, struct str rest,
    struct auth *auth, const struct bridge_answer *a, struct bridge_lane **lane,
    uint64_t session_number);

/*
 * A WebSocket that was let in without a token has shown one: give it what it
 * asked for, from `live` on if that is nothing older (see beginning_find).
 * SW_EFORBIDDEN with a sentence in `*why` if the token does not allow that;
 * then nothing has changed. It may be closed on the way.
 */
struct subscriber;
int stream_admit(struct subscriber *s, uint64_t live, const char **why);

#endif
