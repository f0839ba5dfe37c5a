#ifndef SPILLWAY_PROXY_HTTP_RELAY_H
#define SPILLWAY_PROXY_HTTP_RELAY_H

#include "proxy/edge/conn.h"

/*
 * Passes a connection's bytes to the HTTP library and back, through a pair of
 * sockets: for connections of which we have read bytes already, and for all of
 * them should the library not let go of sockets.
 */

/* Begin with `n` bytes that were read. Closes the connection on failure. */
void relay_begin(struct conn *c, const uint8_t *bytes, size_t n);

/*
 * A stream leaves the library: the connection is ours alone again. `fd` is the
 * library's end of the pair. What it has not read from there is kept as the
 * connection's input. SW_ECLOSED, SW_ENOMEM, SW_ELIMIT: the connection is
 * closed.
 */
int relay_end(struct conn *c, int fd);

/* All bytes that the library ever took off its end. */
uint64_t relay_taken(const struct conn *c, int fd);

/* The library closed its end of the pair. */
void relay_forsaken(struct conn *c);

/* Does the library work on a request of it? */
bool relay_busy(const struct conn *c);

extern const struct conn_role relay_role;

/* At the end of a turn. */
void relay_free_dead(struct list *dead);

#endif
