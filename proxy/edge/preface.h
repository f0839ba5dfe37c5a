#ifndef SPILLWAY_PROXY_EDGE_PREFACE_H
#define SPILLWAY_PROXY_EDGE_PREFACE_H

#include "conf/conf.h"
#include "proxy/edge/conn.h"

/*
 * A connection from a load balancer that says first who is at its other end,
 * by the PROXY protocol. From then on the client's address is the connection's,
 * for limits, logs and the backend alike.
 */

/* Does a connection from there begin so? Never one for the API. */
bool preface_expects(const struct conf *conf, const struct address *peer,
    enum listener_kind kind);

/*
 * Take a socket that was just accepted, and admitted as nobody: with an
 * address of family 0.
 */
void preface_begin(struct worker *w, int fd, const struct address *peer,
    enum listener_kind kind);

extern const struct conn_role preface_role;

#endif
