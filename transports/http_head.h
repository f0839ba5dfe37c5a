#ifndef SPILLWAY_TRANSPORTS_HTTP_HEAD_H
#define SPILLWAY_TRANSPORTS_HTTP_HEAD_H

#include "transports/request.h"

/*
 * A strict reader of request heads, for the requests that come by the thousand.
 *
 * It understands a well-formed subset of HTTP/1.1 (RFC 9112) to the byte, and
 * leaves everything else to the HTTP library: whatever is rare, whatever is
 * odd, whatever could be read in two ways. So it never refuses anything, and
 * what it accepts means the same to everybody on the way.
 */
enum head_result {
	HEAD_OK,    /* complete: `*out` describes it */
	HEAD_MORE,  /* every byte so far is fine, but it has no end yet */
	HEAD_OTHER, /* not for us: the library's */
};

/*
 * Read the head at the beginning of `bytes`. On HEAD_OK, `out->head_size` bytes
 * belong to it, and a body of `out->content_length` follows.
 */
enum head_result head_parse(struct request *out, struct str bytes);

/*
 * The same, as strictly, for requests that are passed on: any method, a body in
 * chunks or none or one with a length, `Expect: 100-continue`.
 */
enum head_result head_parse_any(struct request *out, struct str bytes);

#endif
