#ifndef SPILLWAY_TRANSPORTS_WS_DEFLATE_H
#define SPILLWAY_TRANSPORTS_WS_DEFLATE_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * The door to zlib: one message of RFC 7692 at a time, each compressed by
 * itself (no context takeover, in either direction), so that a compressed
 * message can be shared by all subscribers and a quiet connection holds no
 * window. One thread; what zlib needs is allocated with the first use.
 */
struct ws_deflate;

/* `level` as zlib's, 1 to 9. */
int ws_deflate_new(struct ws_deflate **out, int level);
void ws_deflate_free(struct ws_deflate *d);
/* From the next message on. */
void ws_deflate_set_level(struct ws_deflate *d, int level);

/*
 * Append the compressed message. `small` keeps to a window that every peer can
 * take (RFC 7692 7.1.2.1), for those that asked for less than 32 KiB.
 */
int ws_compress(
    struct ws_deflate *d, struct buf *out, struct str message, bool small);

/*
 * Append the message. SW_ELIMIT as soon as it would be larger than `out` may
 * hold, SW_EPROTO for what is not a compressed message.
 */
int ws_inflate(struct ws_deflate *d, struct buf *out, struct str bytes);

#endif
