#ifndef SPILLWAY_PROXY_COMPARE_ANSWER_H
#define SPILLWAY_PROXY_COMPARE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "transports/http_chunks.h"

/*
 * A reader of responses (RFC 9112), one that resumes after any byte. It is for
 * GET, POST and PUT; what could be read in two ways is refused.
 */
enum { ANSWER_HEAD_MAX = 32 << 10 };

enum answer_state {
	ANSWER_HEAD,
	ANSWER_LENGTH, /* a body of `left` more bytes */
	ANSWER_CHUNKS,
	ANSWER_REST, /* a body that ends with the connection */
	ANSWER_END,  /* what follows is not the answer's */
};

struct answer {
	enum answer_state state;
	struct buf head; /* whole, once the state is another one */
	unsigned status;
	bool closes; /* the connection ends behind it */
	uint64_t left;
	struct chunks chunks;
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);
void answer_again(struct answer *a); /* for the next one */

/*
 * Read up to the next run of the body. `*used` bytes are done with; the last
 * `*data` of them are the body's. SW_OK, SW_EPROTO, SW_ELIMIT for a head that
 * is too long, SW_ENOMEM. Call it until all is used or the state is ANSWER_END.
 * A head is never told of together with a part of its body.
 */
int answer_read(
    struct answer *a, const uint8_t *p, size_t n, size_t *used, size_t *data);

/* The connection has ended: SW_EPROTO if the answer was not whole. */
int answer_closed(struct answer *a);

/* The only value of a header; p is NULL if there is none, or several. */
struct str answer_header(const struct answer *a, const char *name);

#endif
