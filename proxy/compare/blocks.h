#ifndef SPILLWAY_PROXY_COMPARE_BLOCKS_H
#define SPILLWAY_PROXY_COMPARE_BLOCKS_H

#include <stdbool.h>

#include "proxy/base/buf.h"

/*
 * Server-Sent Events (WHATWG HTML 9.2.6) as a client reads them: bytes, cut
 * anywhere, to blocks.
 */
enum { BLOCKS_BLOCK_MAX = 16 << 20 };

struct blocks {
	struct buf line, data, name;
	bool after_cr; /* a LF now belongs to the line's end before it */
	bool has_data;
	uint64_t size; /* bytes of the block so far */
};

struct blocks_handler {
	/*
	 * A block that has data, and what it took on the wire; its name is
	 * empty if it has none. What it returns but SW_OK ends the reading.
	 */
	int (*take)(void *ctx, struct str name, struct str data, uint64_t size);
	/* Bytes of blocks without any, and of their comments. */
	void (*skip)(void *ctx, uint64_t size);
	void *ctx;
};

void blocks_init(struct blocks *b);
void blocks_fini(struct blocks *b);

/* SW_ELIMIT, SW_ENOMEM, or what the handler returned. */
int blocks_read(struct blocks *b, const uint8_t *p, size_t n,
    const struct blocks_handler *h);

#endif
