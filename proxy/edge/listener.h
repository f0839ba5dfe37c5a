#ifndef SPILLWAY_PROXY_EDGE_LISTENER_H
#define SPILLWAY_PROXY_EDGE_LISTENER_H

#include <sys/stat.h>

#include "proxy/edge/conn.h"

/*
 * Sockets that listen. Each worker has its own for every TCP address
 * (SO_REUSEPORT), so that the kernel spreads the connections; local sockets,
 * and those that systemd hands over, are one for all workers.
 */
struct listener;

/*
 * Open a socket for an address as the configuration has it; `shared`: the one
 * socket for all workers. A local socket gets the permissions `mode`, and never
 * has more. Logs why it fails. SW_EIO.
 */
int listener_socket(int *fd, const char *address, bool shared, mode_t mode);
/* Do workers have to share the socket of this address? */
bool listener_is_shared(const char *address);
/* Of a shared one: the file of its Unix socket. */
const char *listener_path(const char *address);

/* Begin to accept; takes `fd`. */
int listener_open(struct listener **out, struct worker *w, int fd,
    enum listener_queue queue, enum listener_kind kind);
/* What its worker's configuration says of connections accepted from now on. */
void listener_configure(const struct listener *l);
/*
 * A connection from there was not let in: count it, and say so, but not more
 * often than each ten seconds.
 */
void listener_refuse(
    struct worker *w, enum limit why, const struct address *peer);
/*
 * Accept no more than who is in the queue by now. Its memory stays until it is
 * freed: the loop may have an event for it in hand.
 */
void listener_close(struct listener *l);
void listener_free(struct listener *l);

#endif
