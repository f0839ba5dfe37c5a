#ifndef SPILLWAY_TRANSPORTS_TRANSPORT_H
#define SPILLWAY_TRANSPORTS_TRANSPORT_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/event.h"
#include "transports/notice.h"

/*
 * A transport is a way to write down what lies between a cursor and the head.
 * A row says how events and notices look on its wire; it does no I/O and keeps
 * no queue.
 */
enum transport_id {
	TRANSPORT_WS,
	TRANSPORT_SSE,
	TRANSPORT_LONG,
	TRANSPORT_SHORT,
	TRANSPORT_COUNT,
};

struct transport {
	enum transport_id id;
	const char *name; /* in URLs, the log, the metrics */
	bool streams;     /* false: what is sent at once ends a response */
	bool counted;     /* its subscribers wait, as one of: */
	enum audience audience;
	enum form json, raw;
	/* Append a notice as this transport carries it; NULL: in its body. */
	int (*notice)(
	    struct buf *out, const struct epoch *epoch, const struct notice *n);
};

extern const struct transport transports[TRANSPORT_COUNT];

/* NULL for an unknown name. */
const struct transport *transport_find(struct str name);

#endif
