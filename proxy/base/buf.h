#ifndef SPILLWAY_PROXY_BASE_BUF_H
#define SPILLWAY_PROXY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/str.h"

/*
 * Growable bytes with a ceiling: written at the end, read from the front.
 *
 * A failed put leaves the contents as they were and also marks the buffer, so
 * that a run of puts may be checked once, at its end, with buf_failed().
 * One owner, one thread.
 */
struct buf {
	uint8_t *bytes;
	size_t head; /* first unread byte */
	size_t tail; /* behind the last one */
	size_t cap;
	size_t max; /* most unread bytes it may hold */
	int error;  /* first failure: SW_ELIMIT or SW_ENOMEM */
};

void buf_init(struct buf *b, size_t max); /* allocates nothing yet */
void buf_fini(struct buf *b);

static inline size_t
buf_len(const struct buf *b)
{
	return b->tail - b->head;
}

/* Borrowed until the next change; NULL before the first one. */
static inline uint8_t *
buf_head(const struct buf *b)
{
	return b->bytes == NULL ? NULL : b->bytes + b->head;
}

static inline struct str
buf_str(const struct buf *b)
{
	return (struct str){ (const char *)buf_head(b), buf_len(b) };
}

/* SW_OK, or the first failure since buf_init or buf_clear. */
static inline int
buf_error(const struct buf *b)
{
	return b->error;
}

/* Room for `n` more bytes at buf_tail(); SW_ELIMIT or SW_ENOMEM. */
int buf_reserve(struct buf *b, size_t n);

static inline uint8_t *
buf_tail(const struct buf *b)
{
	return b->bytes + b->tail;
}

/* `n` bytes were written at buf_tail(), within what was reserved. */
static inline void
buf_commit(struct buf *b, size_t n)
{
	b->tail += n;
}

static inline int
buf_put(struct buf *b, const void *p, size_t n)
{
	int err;

	/* The usual case in line: there is room. */
	if (n > b->cap - b->tail || n > b->max - buf_len(b)) {
		if ((err = buf_reserve(b, n)) != SW_OK)
			return err;
	}
	if (n > 0)
		memcpy(b->bytes + b->tail, p, n);
	b->tail += n;
	return SW_OK;
}

static inline int
buf_put_str(struct buf *b, struct str s)
{
	return buf_put(b, s.p, s.len);
}

static inline int
buf_puts(struct buf *b, const char *text)
{
	return buf_put(b, text, strlen(text));
}

int buf_put_u64(struct buf *b, uint64_t value); /* decimal */
int buf_printf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void buf_drop(struct buf *b, size_t n); /* from the front */
void buf_clear(struct buf *b);          /* keeps the memory */
void buf_release(struct buf *b);        /* empty: gives the memory back */

/* Take the bytes away from the buffer: a malloc'd block now the caller's. */
uint8_t *buf_take(struct buf *b, size_t *len);

#endif
