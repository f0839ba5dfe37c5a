#ifndef SPILLWAY_PROXY_BASE_NETWORK_H
#define SPILLWAY_PROXY_BASE_NETWORK_H

#include "proxy/base/address.h"

/* A range of addresses: those that begin with the same bits. */
struct network {
	uint8_t ip[16]; /* as in struct address; zero behind the bits */
	uint8_t bits;
	uint8_t family; /* AF_INET, AF_INET6; AF_UNIX: all local sockets */
};

/*
 * 192.0.2.1, 10.0.0.0/8, 2001:db8::/32 or `unix`; ::ffff:10.0.0.0/104 is
 * 10.0.0.0/8. SW_EINVAL for anything else, bits behind the mask included: who
 * sets them means something different.
 */
int network_parse(struct network *out, struct str text);

/* An address is never a mapped one, see address_of. */
bool network_has(const struct network *n, const struct address *a);

/* Is it in any of them? */
bool networks_have(
    const struct network *list, size_t count, const struct address *a);

#endif
