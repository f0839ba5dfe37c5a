#ifndef SPILLWAY_PROXY_COMPARE_ENVELOPE_H
#define SPILLWAY_PROXY_COMPARE_ENVELOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * What an event says of itself. Its payload has a number and a time, as that of
 * the demo's publisher, and which run of this program has published it:
 *
 *	{"n":17,"t":1763634245123.456,"run":"0badcafe","pad":"..."}
 *
 * `t` is in milliseconds of a clock that publisher and reader share.
 */
enum { ENVELOPE_RUN_LENGTH = 8, ENVELOPE_SIZE_MIN = 80 };

struct stamp {
	uint64_t n;
	uint64_t sent_ns;
	struct str run; /* without its quotes; p is NULL if there is none */
};

/* One JSON value in an answer or message; all of it is borrowed. */
struct envelope {
	struct str id;     /* without quotes, a cursor; or p is NULL */
	struct str type;   /* likewise, raw; of notices, their name */
	struct str data;   /* the payload as it was published */
	struct str cursor; /* of a notice; as the id */
};

/* False if it is no object. For text that json_valid accepted. */
bool envelope_read(struct envelope *out, struct str text);

/* Is it a notice of this name ("heartbeat")? NULL: of any. */
bool envelope_is_notice(const struct envelope *e, const char *name);

/* False if the payload is of somebody else. */
bool stamp_read(struct stamp *out, struct str data);

/* Append a payload of `size` bytes, at least ENVELOPE_SIZE_MIN. */
int stamp_put(struct buf *out, const struct stamp *s, size_t size);

/* What a raw string (in quotes) holds, unless it has escapes: p is NULL. */
struct str envelope_text(struct str raw);

#endif
