#ifndef SPILLWAY_PROXY_RELAY_H
#define SPILLWAY_PROXY_RELAY_H

#include "proxy/conn.h"

/*
 * Passes a connection's bytes to the HTTP library and back, through a pair of
 * sockets: for connections of which we have read bytes already, and for all of
 * them should the library not let go of sockets.
 */

/* Begin with `n` bytes that were read. Closes the connection on failure. */
void relay_begin(struct conn *c, const uint8_t *bytes, size_t n);

/* A stream leaves the library: the connection is ours alone again. */
void relay_end(struct conn *c);

/* The library closed its end of the pair. */
void relay_forsaken(struct conn *c);

/* Does the library work on a request of it? */
bool relay_busy(const struct conn *c);

extern const struct conn_role relay_role;

/* At the end of a turn. */
void relay_free_dead(struct list *dead);

#endif
