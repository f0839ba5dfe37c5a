#ifndef SPILLWAY_TESTS_TRANSPORTS_ZLIB_PEER_H
#define SPILLWAY_TESTS_TRANSPORTS_ZLIB_PEER_H

#include <zlib.h>

#include "proxy/base/err.h"
#include "tests/bytes.h"

/* The other end of permessage-deflate, as zlib itself would be it. */

struct peer_settings {
	int level, window_bits, memory_level;
};

/* Append a message as RFC 7692 7.2.1 says; no context is kept. */
static inline void
peer_deflate(struct buf *out, struct str message, struct peer_settings how)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)message.p,
		.avail_in = (uInt)message.len };
	size_t room = 2 * message.len + 100;

	ck_assert_int_eq(
	    deflateInit2(&z, how.level, Z_DEFLATED, -how.window_bits,
		how.memory_level, Z_DEFAULT_STRATEGY),
	    Z_OK);
	ck_assert_int_eq(buf_reserve(out, room), SW_OK);
	z.next_out = buf_tail(out);
	z.avail_out = (uInt)room;
	ck_assert_int_eq(deflate(&z, Z_SYNC_FLUSH), Z_OK);
	ck_assert_uint_eq(z.avail_in, 0);
	buf_commit(out, room - z.avail_out - 4);
	deflateEnd(&z);
}

/*
 * The message that bytes stand for, to a peer with such a window; the caller's.
 * Output goes byte by byte: zlib then has nothing but its window to look back.
 */
static inline struct buf
peer_inflate(struct str bytes, int window_bits)
{
	static const Bytef tail[] = { 0x00, 0x00, 0xff, 0xff };
	z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes.p,
		.avail_in = (uInt)bytes.len };
	struct buf out;
	bool at_tail = false;
	int code;

	buf_init(&out, 64 << 20);
	ck_assert_int_eq(inflateInit2(&z, -window_bits), Z_OK);
	for (;;) {
		if (buf_reserve(&out, 1) != SW_OK)
			ck_abort_msg("too much");
		z.next_out = buf_tail(&out);
		z.avail_out = 1;
		code = inflate(&z, Z_SYNC_FLUSH);
		buf_commit(&out, 1 - z.avail_out);
		if (code == Z_OK && z.avail_out == 0)
			continue;
		if (code != Z_OK && code != Z_BUF_ERROR)
			ck_abort_msg(
			    "zlib: %d, %s", code, z.msg == NULL ? "" : z.msg);
		if (at_tail)
			break;
		at_tail = true;
		z.next_in = (Bytef *)(uintptr_t)tail;
		z.avail_in = sizeof(tail);
	}
	ck_assert_uint_eq(z.avail_in, 0);
	inflateEnd(&z);
	return out;
}

#endif
