#ifndef SPILLWAY_TESTS_BENCH_WIRE_H
#define SPILLWAY_TESTS_BENCH_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"

/*
 * Connections to the server, thousands of them in one thread.
 *
 * Received bytes are handed over where they arrived; what the owner does not
 * take yet, because a message is cut short, is kept and comes again with more.
 * Only addresses on 127.0.0.0/8 are ever connected to.
 */
struct wire;

struct wire_kind {
	/*
	 * Bytes came in: how many of the `n` were taken, or WIRE_GONE if the
	 * owner closed the connection meanwhile.
	 */
	size_t (*input)(struct wire *w, const uint8_t *p, size_t n);
	/* The server ended it; it is closed already. */
	void (*ended)(struct wire *w);
};
#define WIRE_GONE SIZE_MAX

struct wire {
	int fd; /* -1: not connected */
	bool waits_to_write;
	const struct wire_kind *kind;
	struct wires *all;
	struct buf in;  /* the beginning of something cut short */
	struct buf out; /* what the socket has not taken yet */
};

struct wires {
	int epoll;
	uint32_t opened;   /* connections so far: spreads source addresses */
	uint64_t woken_ns; /* when there was work; 0: there was none */
	uint64_t busy_ns;  /* time with work so far */
	uint8_t *scratch;
};

void wires_init(struct wires *ws);
/* Wait for `timeout_ns` at most (0: only look) and serve what came. */
void wires_turn(struct wires *ws, uint64_t timeout_ns);

/* A connection still closed; `kind` is the caller's. */
void wire_init(struct wire *w, struct wires *ws, const struct wire_kind *kind);
enum wire_reader {
	WIRE_FAST,
	WIRE_SLOW /* the smallest buffers and segments there are */
};
/* Connect; ends the program if that fails. */
void wire_open(struct wire *w, uint16_t port, enum wire_reader reader);
void wire_close(struct wire *w); /* may be closed already */
/* Send `w->out`, now and whenever the socket takes more. */
void wire_flush(struct wire *w);
/* Read no more; read on. */
void wire_pause(struct wire *w);
void wire_resume(struct wire *w);

#endif
