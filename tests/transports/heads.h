#ifndef SPILLWAY_TESTS_TRANSPORTS_HEADS_H
#define SPILLWAY_TESTS_TRANSPORTS_HEADS_H

#include <check.h>

#include "transports/http_head.h"

/*
 * A request for tests: a GET with a target and headers, each ended by CRLF. It
 * borrows a place of its own, until the next one.
 */
static inline const struct request *
head_of(const char *target, const char *headers)
{
	static struct request r;
	static struct buf text;

	buf_fini(&text);
	buf_init(&text, 1 << 20);
	buf_printf(&text, "GET %s HTTP/1.1\r\nHost: example.com\r\n%s\r\n",
	    target, headers);
	if (head_parse(&r, buf_str(&text)) != HEAD_OK)
		ck_abort_msg("not a head:\n%.*s", STR_ARG(buf_str(&text)));
	return &r;
}

#endif
