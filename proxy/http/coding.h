#ifndef SPILLWAY_PROXY_HTTP_CODING_H
#define SPILLWAY_PROXY_HTTP_CODING_H

#include "transports/request.h"

/*
 * Content codings (RFC 9110 8.4.1) of what we have as a whole. Events are
 * compressed by their transports, see transports/ws_deflate.h.
 */

/* May the answer to this be in gzip (RFC 9110 12.5.3)? */
bool coding_accepts_gzip(const struct request *r);

/*
 * The bytes in gzip, as small as zlib gets them; `*out` is the caller's to
 * free. SW_ENOMEM.
 */
int coding_gzip(uint8_t **out, size_t *len, struct str bytes);

#endif
