#ifndef SPILLWAY_PROXY_EDGE_HANDSHAKE_H
#define SPILLWAY_PROXY_EDGE_HANDSHAKE_H

#include "proxy/edge/conn.h"

/*
 * The first moments of a connection with TLS: until its handshake is done, the
 * client has given up, or its time is over. There are only so many at a time;
 * one more ends the oldest, which is more likely than any other to be held open
 * on purpose.
 */

/* A socket that was just accepted. */
void handshake_begin(struct worker *w, int fd, const struct address *peer,
    enum listener_kind kind);

/* The same for a connection that there is already. */
void handshake_take(struct conn *c);

extern const struct conn_role handshake_role;

#endif
