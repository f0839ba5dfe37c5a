#ifndef SPILLWAY_TRANSPORTS_SSE_H
#define SPILLWAY_TRANSPORTS_SSE_H

#include "proxy/base/buf.h"
#include "proxy/base/cursor.h"
#include "proxy/base/event.h"

/* Server-Sent Events (WHATWG HTML, section 9.2): text/event-stream. */

/* What an event's block begins with, before its data. */
int sse_begin(
    struct buf *out, const struct epoch *epoch, const struct event *e);

/* Does a text fit into one `data:` line as it is? */
bool sse_is_line(struct str text);

/* An event as a block, ended by an empty line. */
int sse_encode(struct buf *out, const struct epoch *epoch,
    const struct event *e, bool raw);

/* `data:` lines for a text, split at CR, LF and CRLF. */
int sse_put_data(struct buf *out, struct str text);

/*
 * What a stream begins with: a byte of a comment, since Firefox reports `open`
 * with the first byte of the body, and the delay before a reconnect. A
 * `padding` of 2 kB is for clients that see nothing before it.
 */
int sse_put_preamble(struct buf *out, uint64_t retry_ms, bool padding);

#endif
