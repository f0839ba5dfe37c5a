#ifndef SPILLWAY_TESTS_BENCH_DIALECT_H
#define SPILLWAY_TESTS_BENCH_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * How each of the servers wants to be asked, and where it tells its cursor.
 */
enum dialect { SPILLWAY, NCHAN, LIMIT };
enum wants { WS, SSE, LONG, SHORT };

/* Where a client is: what it sends to go on behind what it has. */
struct cursor {
	char text[120]; /* empty: nowhere yet */
};

struct subscription {
	enum dialect dialect;
	enum wants wants;
	bool resumes; /* every event is to tell its cursor */
	const char *run;
	uint32_t channel;
	uint32_t seq; /* of the last event that it has */
	const struct cursor *cursor;
};

/* Append the request that opens a stream, or polls. */
void dialect_subscribe(struct buf *out, const struct subscription *s);

/* Does a first poll, without a cursor, answer at once with one? */
static inline bool
dialect_poll_begins(enum dialect d, enum wants w)
{
	return d == SPILLWAY && w >= LONG;
}

/* Append the head of a request that publishes `size` bytes. */
void dialect_publish(struct buf *out, enum dialect d, const char *run,
    uint32_t channel, size_t size);
/* The same for lines of NDJSON, and one line (Spillway, and the limit). */
void dialect_publish_lines(struct buf *out, enum dialect d, size_t size);
void dialect_line(
    struct buf *out, const char *run, uint32_t channel, struct str payload);

/* An answer over HTTP/1.1, with its length told in its head. */
struct reply {
	unsigned status;
	struct str head;
	struct str body;
};
/* Bytes of the first answer in `p`; 0: not all of it is there. */
size_t reply_read(struct reply *out, const uint8_t *p, size_t n);

/* The cursor in a poll's answer, a WebSocket message, the block of an event. */
void cursor_of_reply(struct cursor *c, enum dialect d, const struct reply *r);
void cursor_of_message(struct cursor *c, enum dialect d, struct str message);
void cursor_of_block(struct cursor *c, enum dialect d, struct str block);

/* Does a notice, or an answer without events, tell of a loss? */
bool dialect_tells_gap(enum dialect d, struct str text);

#endif
