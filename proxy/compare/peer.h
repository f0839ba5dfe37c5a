#ifndef SPILLWAY_PROXY_COMPARE_PEER_H
#define SPILLWAY_PROXY_COMPARE_PEER_H

#include "proxy/base/buf.h"
#include "proxy/base/loop.h"
#include "proxy/compare/place.h"
#include "proxy/compare/secure.h"

/*
 * A connection to a gateway: bytes both ways, plain or over TLS, in a loop.
 * Embedded in what it belongs to, whose memory must outlast the loop's turn.
 */
enum { PEER_OUT_MAX = 64 << 20 };

struct peer;

struct peer_kind {
	void (*opened)(struct peer *p);
	/* All of them are the owner's; it may close or open the peer. */
	void (*input)(struct peer *p, const uint8_t *bytes, size_t n);
	/* It is closed; `why` is "" for a peer that ended in good order. */
	void (*ended)(struct peer *p, const char *why);
};

enum peer_state { PEER_CLOSED, PEER_CONNECTS, PEER_SHAKES_HANDS, PEER_OPEN };

struct peer {
	struct io io;
	enum peer_state state;
	const struct peer_kind *kind;
	struct loop *loop;
	const struct place *place;
	struct secure_context *context; /* for a place that is secure */
	struct secure *secure;
	struct buf out;
	uint32_t watched;
	uint64_t generation; /* connections so far */
};

void peer_init(struct peer *p, struct loop *l, const struct peer_kind *kind,
    const struct place *place, struct secure_context *context);
void peer_fini(struct peer *p);

/* What goes wrong is told later, by `ended`, but for SW_EIO, SW_ENOMEM now. */
int peer_open(struct peer *p);
void peer_close(struct peer *p); /* without a word to the owner */

/* Write what is in `out`, now or when the socket takes it. */
void peer_flush(struct peer *p);

#endif
