#ifndef SPILLWAY_TRANSPORTS_NOTICE_H
#define SPILLWAY_TRANSPORTS_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/cursor.h"

/*
 * What the gateway itself tells a subscriber. The same JSON on every transport;
 * a notice has no id and moves no cursor.
 */
enum notice_type {
	NOTICE_HELLO,     /* first on a stream */
	NOTICE_CAUGHTUP,  /* replay ended, what follows is live */
	NOTICE_GAP,       /* history could not cover the cursor */
	NOTICE_HEARTBEAT, /* silence, but alive */
};

enum gap_reason {
	GAP_NONE,
	GAP_TRIMMED, /* retention dropped what came after the cursor */
	GAP_EPOCH,   /* the cursor is of another log */
	GAP_AHEAD,   /* the cursor is newer than everything there is */
};

struct notice {
	enum notice_type type;
	/* hello, caughtup: */
	uint64_t cursor;
	/* caughtup after a later subscription: its channel; else empty */
	struct str channel;
	/* hello: */
	uint64_t connection;
	const char *transport;
	uint64_t heartbeat_ms, retry_ms;
	const struct str *channels;
	size_t channel_count;
	/* gap: */
	enum gap_reason reason;
	struct cursor after; /* as the client gave it; no epoch: null */
	uint64_t first;      /* oldest event left, 0: none */
	/* heartbeat: */
	uint64_t time_ms;
};

/* "spillway.hello" and so on. */
const char *notice_name(enum notice_type t);

/* Append it as an object; `named`: with its name as `type`. */
int notice_put(struct buf *out, const struct epoch *epoch,
    const struct notice *n, bool named);

/* The members of a gap as an object, as polls carry it. */
int notice_put_gap(
    struct buf *out, const struct epoch *epoch, const struct notice *n);

#endif
