#ifndef SPILLWAY_PROXY_COMPARE_SEEN_H
#define SPILLWAY_PROXY_COMPARE_SEEN_H

#include <stdint.h>

/*
 * Which numbers one subscriber has got: enough to tell a late one from one that
 * came before. Of numbers further back than SEEN_BACK nothing is known any
 * more; they count as come before.
 */
enum { SEEN_BACK = 4096 };

struct seen {
	uint64_t highest;
	uint64_t bits[SEEN_BACK / 64]; /* of the last SEEN_BACK numbers */
};

enum seen_as {
	SEEN_NEXT,  /* behind all others; some may have been passed over */
	SEEN_LATE,  /* one that was passed over: out of order */
	SEEN_AGAIN, /* a duplicate */
};

/* Everything up to `before` is of no interest. */
void seen_init(struct seen *s, uint64_t before);
enum seen_as seen_take(struct seen *s, uint64_t n);

#endif
