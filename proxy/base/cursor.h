#ifndef SPILLWAY_PROXY_BASE_CURSOR_H
#define SPILLWAY_PROXY_BASE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * An event's id, and a place in the log: EPOCH-SEQ.
 *
 * SEQ is gateway-wide, strictly increasing in commit order and never issued
 * twice. EPOCH names the log, so that a cursor from another one is recognised.
 * A cursor stands behind its event: resuming goes on with the next one.
 */
enum {
	EPOCH_MAX = 16,                  /* characters, of a-z and 0-9 */
	EPOCH_LEN = 5,                   /* of the epochs that we make */
	CURSOR_MAX = EPOCH_MAX + 1 + 20, /* longest text */
};
#define SEQ_MAX ((uint64_t)INT64_MAX)

struct epoch {
	char text[EPOCH_MAX + 1];
};

struct cursor {
	struct epoch epoch;
	uint64_t seq;
};

/* SW_EINVAL for anything but EPOCH-SEQ. */
int cursor_parse(struct cursor *out, struct str text);

/* Returns the length; not terminated. */
size_t cursor_format(char out[CURSOR_MAX], const struct epoch *e, uint64_t seq);
int cursor_put(struct buf *out, const struct epoch *e, uint64_t seq);

/* SW_EINVAL unless 1 to EPOCH_MAX characters of a-z and 0-9. */
int epoch_parse(struct epoch *out, struct str text);
void epoch_make(struct epoch *out); /* a random one */

#endif
