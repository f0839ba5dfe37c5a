#include "transports/ws_deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "proxy/base/err.h"

/* Window sizes as powers of two; negative: a raw stream, without a header. */
enum {
	WINDOW_LARGE = -15,
	/*
	 * zlib's smallest. It never looks back further than 512 - 262 bytes, so
	 * that a peer with a window of 2^8 can follow as well.
	 */
	WINDOW_SMALL = -9,
	MEMORY_LEVEL = 8,
	CHUNK = 4096,
	BLOCK_END = 128, /* in data_type: inflate stopped behind a block */
};

struct ws_deflate {
	int level;
	struct {
		z_stream stream;
		bool ready;
	} large, small, inflate;
};

int
ws_deflate_new(struct ws_deflate **out, int level)
{
	struct ws_deflate *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return SW_ENOMEM;
	d->level = level;
	*out = d;
	return SW_OK;
}

/* They are made anew with their next use. */
static void
end_compressors(struct ws_deflate *d)
{
	if (d->large.ready)
		deflateEnd(&d->large.stream);
	if (d->small.ready)
		deflateEnd(&d->small.stream);
	d->large.ready = d->small.ready = false;
}

void
ws_deflate_set_level(struct ws_deflate *d, int level)
{
	if (level == d->level)
		return;
	end_compressors(d);
	d->level = level;
}

void
ws_deflate_free(struct ws_deflate *d)
{
	if (d == NULL)
		return;
	end_compressors(d);
	if (d->inflate.ready)
		inflateEnd(&d->inflate.stream);
	free(d);
}

/* A stream at its beginning; NULL if memory ran out. */
static z_stream *
compressor(struct ws_deflate *d, bool small)
{
	z_stream *z = small ? &d->small.stream : &d->large.stream;
	bool *ready = small ? &d->small.ready : &d->large.ready;

	if (*ready)
		return deflateReset(z) == Z_OK ? z : NULL;
	if (deflateInit2(z, d->level, Z_DEFLATED,
		small ? WINDOW_SMALL : WINDOW_LARGE, MEMORY_LEVEL,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	*ready = true;
	return z;
}

static z_stream *
decompressor(struct ws_deflate *d)
{
	if (d->inflate.ready)
		return inflateReset(&d->inflate.stream) == Z_OK ?
		    &d->inflate.stream :
		    NULL;
	if (inflateInit2(&d->inflate.stream, WINDOW_LARGE) != Z_OK)
		return NULL;
	d->inflate.ready = true;
	return &d->inflate.stream;
}

int
ws_compress(
    struct ws_deflate *d, struct buf *out, struct str message, bool small)
{
	z_stream *z = compressor(d, small);
	size_t start = buf_len(out), bound;
	int err, code;

	if (z == NULL)
		return SW_ENOMEM;
	/* Room for all of it, with the marker of the flush. */
	bound = deflateBound(z, message.len) + 16;
	if ((err = buf_reserve(out, bound)) != SW_OK)
		return err;
	z->next_in = (Bytef *)(uintptr_t)message.p;
	z->avail_in = (uInt)message.len;
	z->next_out = buf_tail(out);
	z->avail_out = (uInt)bound;
	code = deflate(z, Z_SYNC_FLUSH);
	if (code != Z_OK || z->avail_in != 0 || z->avail_out == 0)
		return SW_EIO;
	buf_commit(out, bound - z->avail_out);
	/* RFC 7692 7.2.1: without the 00 00 ff ff of the flush. */
	if (buf_len(out) - start < 4)
		return SW_EIO;
	out->tail -= 4;
	return SW_OK;
}

/*
 * Feed some input; output goes to `out` until zlib wants more input. Does it
 * stand `*between` two blocks then?
 */
static int
inflate_some(
    z_stream *z, struct buf *out, const uint8_t *bytes, size_t n, bool *between)
{
	int code = Z_OK;

	z->next_in = (Bytef *)(uintptr_t)bytes;
	z->avail_in = (uInt)n;
	while (code == Z_OK) {
		size_t room = CHUNK;
		int err;

		if (out->max - buf_len(out) < room)
			room = out->max - buf_len(out);
		/* Full: one byte more would be one too many. */
		if (room == 0) {
			uint8_t extra;

			z->next_out = &extra;
			z->avail_out = 1;
			code = inflate(z, Z_SYNC_FLUSH);
			z->next_out = NULL;
			if (z->avail_out == 0)
				return SW_ELIMIT;
		} else {
			if ((err = buf_reserve(out, room)) != SW_OK)
				return err;
			z->next_out = buf_tail(out);
			z->avail_out = (uInt)room;
			code = inflate(z, Z_SYNC_FLUSH);
			buf_commit(out, room - z->avail_out);
		}
		/* A call in vain, the last one, forgets where it stands. */
		*between = (code == Z_BUF_ERROR && *between) ||
		    (z->data_type & BLOCK_END) != 0;
		/* RFC 7692 7.2.3.4: a message may end its stream, and go on. */
		if (code == Z_STREAM_END) {
			if (inflateReset(z) != Z_OK)
				return SW_ENOMEM;
			code = Z_OK;
			*between = true;
			if (z->avail_in == 0)
				return SW_OK;
		}
	}
	if (code == Z_BUF_ERROR && z->avail_in == 0)
		return SW_OK;
	return code == Z_MEM_ERROR ? SW_ENOMEM : SW_EPROTO;
}

int
ws_inflate(struct ws_deflate *d, struct buf *out, struct str bytes)
{
	static const uint8_t tail[4] = { 0x00, 0x00, 0xff, 0xff };
	z_stream *z = decompressor(d);
	bool between = true;
	int err;

	if (z == NULL)
		return SW_ENOMEM;
	err =
	    inflate_some(z, out, (const uint8_t *)bytes.p, bytes.len, &between);
	/* Nothing is open behind a final block: no more is needed. */
	if (err != SW_OK || z->total_in == 0)
		return err;
	err = inflate_some(z, out, tail, sizeof(tail), &between);
	/* The tail closes a block, or a part of the message is missing. */
	return err == SW_OK && !between ? SW_EPROTO : err;
}
