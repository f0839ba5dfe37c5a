#ifndef SPILLWAY_PROXY_EDGE_LOOK_H
#define SPILLWAY_PROXY_EDGE_LOOK_H

#include "proxy/edge/conn.h"

/*
 * The first look at a connection: it enforces the deadline of a request's head,
 * and answers by itself what comes by the thousand and is well-formed to the
 * byte: GETs of streams, and single events published. Everything else goes to
 * the HTTP library, which is the reference for all of it.
 */

/* A socket that was just accepted. */
void look_begin(struct worker *w, int fd, const struct address *peer,
    enum listener_kind kind);

/* A connection with TLS, whose handshake is done. */
void look_take(struct conn *c);

/*
 * The connection's last request was answered: go on with the next. Input that
 * came meanwhile is in conn->in, or still in the socket.
 */
void look_resume(struct conn *c, bool keep_alive);

/* Go on with those that have had their share; true: some have so again. */
bool look_turn(struct worker *w);

extern const struct conn_role look_role;

#endif
