#ifndef SPILLWAY_TESTS_FUZZ_HEADS_H
#define SPILLWAY_TESTS_FUZZ_HEADS_H

#include "tests/fuzz/fuzz.h"
#include "transports/http_head.h"

/* Heads of requests for targets whose input is a part of one. */

/* The head with `start` before the input and an end behind it, if it is one. */
static inline bool
fuzz_head(struct request *r, struct buf *text, const char *start,
    const uint8_t *data, size_t size)
{
	must(buf_puts(text, start) == SW_OK);
	must(buf_put(text, data, size) == SW_OK);
	must(buf_puts(text, "\r\n\r\n") == SW_OK);
	return head_parse(r, buf_str(text)) == HEAD_OK &&
	    r->head_size == buf_len(text);
}

/* As the parser found it, written down again. */
static inline void
fuzz_put_head(struct buf *out, const struct request *r)
{
	buf_puts(out, r->method == METHOD_GET ? "GET " : "POST ");
	buf_put_str(out, r->path);
	if (r->query.p != NULL) {
		buf_puts(out, "?");
		buf_put_str(out, r->query);
	}
	buf_puts(out, " HTTP/1.1\r\n");
	for (size_t i = 0; i < r->header_count; i++) {
		buf_put_str(out, r->headers[i].name);
		buf_puts(out, ": ");
		buf_put_str(out, r->headers[i].value);
		buf_puts(out, "\r\n");
	}
	must(buf_puts(out, "\r\n") == SW_OK);
}

#endif
