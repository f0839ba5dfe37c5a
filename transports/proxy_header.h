#ifndef SPILLWAY_TRANSPORTS_PROXY_HEADER_H
#define SPILLWAY_TRANSPORTS_PROXY_HEADER_H

#include "proxy/base/address.h"
#include "proxy/base/str.h"

/*
 * The header by which a load balancer says who is at the other end of its
 * connection, in front of everything else: the PROXY protocol of HAProxy,
 * versions 1 (a line of text) and 2 (binary).
 */
enum proxy_header_result {
	PROXY_HEADER_OK,    /* complete */
	PROXY_HEADER_MORE,  /* every byte so far is fine */
	PROXY_HEADER_WRONG, /* this is none */
};

struct proxy_header {
	size_t size;         /* bytes that belong to it */
	bool told;           /* else the peer is who it is: a health check */
	struct address peer; /* the client; of family AF_UNIX perhaps */
};

/* The largest one that is understood, with whatever it may have behind. */
enum { PROXY_HEADER_MAX = 2048 };

enum proxy_header_result proxy_header_parse(
    struct proxy_header *out, struct str bytes);

#endif
