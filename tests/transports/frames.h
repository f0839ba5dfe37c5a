#ifndef SPILLWAY_TESTS_TRANSPORTS_FRAMES_H
#define SPILLWAY_TESTS_TRANSPORTS_FRAMES_H

#include <inttypes.h>

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "transports/ws_frame.h"

/*
 * Frames as a client writes them, and what a decoder makes of them, as text: a
 * line for each message, so that one table says what was sent and what has to
 * come out.
 *
 *	text 5 Hello
 *	ping 0
 *	binary 65536 #c5c8f86b0b8ba325
 *	...                             (the rest of a message is to come)
 */
enum { FIN = 0x80, RSV1 = 0x40, RSV2 = 0x20, RSV3 = 0x10 };

/* RFC 6455 5.7 masks with this one. */
static const uint8_t frames_mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

/* The head of a masked frame, with so many bytes for its length: 1, 3 or 9. */
static inline void
frame_head(struct buf *out, unsigned first, unsigned size, uint64_t length)
{
	uint8_t head[14] = { (uint8_t)first };

	head[1] = (uint8_t)(0x80 |
	    (size == 1        ? (unsigned)length :
		    size == 3 ? 126 :
				127));
	for (unsigned i = size; i > 1; i--, length >>= 8)
		head[i] = (uint8_t)length;
	memcpy(head + 1 + size, frames_mask, 4);
	ck_assert_int_eq(buf_put(out, head, 5 + size), SW_OK);
}

/* A masked frame with the shortest head there is. */
static inline void
frame_put(struct buf *out, unsigned first, struct str payload)
{
	unsigned size = payload.len < 126 ? 1 : payload.len < 65536 ? 3 : 9;

	frame_head(out, first, size, payload.len);
	ck_assert_int_eq(buf_reserve(out, payload.len), SW_OK);
	for (size_t i = 0; i < payload.len; i++)
		buf_tail(out)[i] =
		    (uint8_t)((uint8_t)payload.p[i] ^ frames_mask[i % 4]);
	buf_commit(out, payload.len);
}

/* What came out of a decoder, and how it ended. */
struct reading {
	struct buf lines;
	int err;
	size_t taken; /* bytes until then, if they were fed one by one */
	bool busy;
	int stop_with; /* the handler's answer to every message */
};

static inline void
reading_init(struct reading *r)
{
	*r = (struct reading){ .err = SW_OK };
	buf_init(&r->lines, SIZE_MAX / 2);
}

static inline void
reading_fini(struct reading *r)
{
	buf_fini(&r->lines);
}

static inline uint64_t
frames_hash(struct str s)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (uint8_t)s.p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static inline int
reading_note(void *ctx, enum ws_opcode opcode, struct str payload)
{
	static const char *const names[16] = {
		[WS_TEXT] = "text",
		[WS_BINARY] = "binary",
		[WS_CLOSE] = "close",
		[WS_PING] = "ping",
		[WS_PONG] = "pong",
	};
	struct reading *r = ctx;

	buf_printf(&r->lines, "%s %zu", names[opcode], payload.len);
	if (payload.len > 200) {
		buf_printf(&r->lines, " #%016" PRIx64, frames_hash(payload));
	} else if (payload.len > 0) {
		buf_puts(&r->lines, " ");
		buf_put_str(&r->lines, payload);
	}
	buf_puts(&r->lines, "\n");
	return r->stop_with;
}

/* How a decoder is set up. */
struct reader {
	size_t max;                 /* of a message */
	struct ws_deflate *deflate; /* NULL: not negotiated */
};

/* Feed `wire` in pieces that end at the cuts, of which the last is its end. */
static inline void
reading_feed(struct reading *r, struct ws_decoder *d, const struct reader *how,
    struct str wire)
{
	const struct ws_handler h = {
		.message = reading_note,
		.control = reading_note,
		.ctx = r,
		.message_max = how->max,
		.deflate = how->deflate,
	};
	char *piece = bytes_copy(wire); /* it is unmasked in place */
	size_t rest;

	r->err = ws_decode(d, (uint8_t *)piece, wire.len, &h, &rest);
	r->busy = ws_decoder_busy(d);
	if (r->err == SW_OK)
		r->taken += wire.len - rest;
	free(piece);
}

/* All of it in pieces of `step` bytes, or until it fails. */
static inline void
read_steps(
    struct reading *r, const struct reader *how, struct str wire, size_t step)
{
	struct ws_decoder d;

	reading_init(r);
	ws_decoder_init(&d, how->deflate != NULL);
	for (size_t i = 0; i < wire.len && r->err == SW_OK; i += step)
		reading_feed(r, &d, how,
		    bytes_of(
			wire.p + i, wire.len - i < step ? wire.len - i : step));
	ws_decoder_fini(&d);
}

/* In two pieces. */
static inline void
read_cut(
    struct reading *r, const struct reader *how, struct str wire, size_t cut)
{
	struct ws_decoder d;

	reading_init(r);
	ws_decoder_init(&d, how->deflate != NULL);
	reading_feed(r, &d, how, bytes_of(wire.p, cut));
	if (r->err == SW_OK)
		reading_feed(
		    r, &d, how, bytes_of(wire.p + cut, wire.len - cut));
	ws_decoder_fini(&d);
}

static inline void
reading_expect(struct reading *r, struct str lines, int err)
{
	if (r->err == SW_OK && r->busy)
		buf_puts(&r->lines, "...\n");
	assert_bytes(buf_str(&r->lines), lines);
	ck_assert_int_eq(r->err, err);
	reading_fini(r);
}

/*
 * However the bytes come, the same messages and the same end must result.
 * `*taken`, if it is not NULL: how many bytes were fine, one by one.
 */
static inline void
read_every_way(const struct reader *how, struct str wire, struct str lines,
    int err, size_t *taken)
{
	struct reading r;

	read_steps(&r, how, wire, wire.len);
	reading_expect(&r, lines, err);
	read_steps(&r, how, wire, 1);
	if (taken != NULL)
		*taken = r.taken;
	reading_expect(&r, lines, err);
	if (wire.len > 2000)
		return;
	for (size_t cut = 0; cut <= wire.len; cut++) {
		read_cut(&r, how, wire, cut);
		reading_expect(&r, lines, err);
	}
	for (size_t step = 2; step < 20; step++) {
		read_steps(&r, how, wire, step);
		reading_expect(&r, lines, err);
	}
}

#endif
