#ifndef SPILLWAY_PROXY_COMPARE_CLIENT_PRIVATE_H
#define SPILLWAY_PROXY_COMPARE_CLIENT_PRIVATE_H

#include "proxy/compare/crowd.h"

/* What a client's own files share. */
static inline void
client_count(struct client *c, enum bucket b, uint64_t n)
{
	c->crowd->tally.bytes[b] += n;
}

/* The gateway has let it in. */
void client_arrived(struct client *c);

/* One message of a stream, which took `size` bytes; false: it is none. */
bool client_take_message(
    struct client *c, struct str name, struct str text, uint64_t size);

/* The body of a poll's answer; false: it is none. `*more`: ask at once. */
bool client_take_answer(struct client *c, bool *more);

#endif
