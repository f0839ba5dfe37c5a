#ifndef SPILLWAY_TRANSPORTS_HTTP_CHUNKS_H
#define SPILLWAY_TRANSPORTS_HTTP_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A strict reader of chunked bodies (RFC 9112 7.1), one that resumes after any
 * byte. Sizes are hexadecimal digits alone, lines end with CR and LF, chunk
 * extensions and trailers are read and dropped, up to a length: whatever could
 * be read in two ways is refused.
 */
enum chunks_state {
	CHUNKS_SIZE,      /* first digit of a size */
	CHUNKS_DIGITS,    /* further ones */
	CHUNKS_EXTENSION, /* up to the line's end */
	CHUNKS_SIZE_LF,
	CHUNKS_DATA,
	CHUNKS_DATA_CR, /* behind the data */
	CHUNKS_DATA_LF,
	CHUNKS_TRAILER, /* at the beginning of a line */
	CHUNKS_TRAILER_LINE,
	CHUNKS_TRAILER_LF,
	CHUNKS_LAST_LF, /* of the empty line */
	CHUNKS_END,
};

/* Extensions, trailers and needless zeros of one body, in bytes. */
enum { CHUNKS_DROPPED_MAX = 8 << 10 };

struct chunks {
	enum chunks_state state; /* 0 to begin with */
	uint64_t left;           /* of the chunk */
	size_t dropped;
};

/*
 * Read up to the next run of data. `*used` bytes of the input are done with;
 * the last `*data` of them are the body's. SW_OK, or SW_EPROTO. Call it until
 * all input is used, or `state` is CHUNKS_END: what follows is not the body's.
 */
int chunks_read(struct chunks *c, const uint8_t *p, size_t n, size_t max,
    size_t *used, size_t *data);

#endif
