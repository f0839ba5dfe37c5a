#ifndef SPILLWAY_PROXY_COMPARE_SECURE_H
#define SPILLWAY_PROXY_COMPARE_SECURE_H

#include <stdbool.h>
#include <sys/types.h>

#include "proxy/base/buf.h"

/* TLS from the client's side: a door to libssl. */
struct secure_context;
struct secure;

struct secure_settings {
	const char *authorities; /* a file of certificates to trust; or NULL */
	bool trusting;           /* whoever it is */
	/* Files with ours, and its key, for who asks; or NULL. */
	const char *certificate, *key;
};

/* SW_EINVAL with the reason in `why`. */
int secure_context_new(struct secure_context **out,
    const struct secure_settings *settings, struct buf *why);
void secure_context_free(struct secure_context *c); /* accepts NULL */

/* Of a socket that is connected; `host` is whose certificate it must be. */
int secure_new(
    struct secure **out, struct secure_context *c, int fd, const char *host);
void secure_free(struct secure *s); /* accepts NULL; says goodbye */

/* SW_OK, SW_EAGAIN, or SW_EPROTO with the reason in `why`. */
int secure_handshake(struct secure *s, struct buf *why);

/*
 * How many bytes; 0 of a read: the peer has ended. SW_EAGAIN: not now. SW_EIO:
 * never again. What was written in part is written again with what follows.
 */
ssize_t secure_read(struct secure *s, void *out, size_t n);
ssize_t secure_write(struct secure *s, const void *bytes, size_t n);

/* Does what was said SW_EAGAIN to wait until the socket takes something? */
bool secure_waits_to_write(const struct secure *s);

#endif
