#ifndef SPILLWAY_PROXY_BASE_ADDRESS_H
#define SPILLWAY_PROXY_BASE_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/str.h"

/* Where a peer is, or where we listen: an IP address and a port, compactly. */
struct address {
	uint8_t ip[16]; /* IPv4: the first four bytes */
	uint16_t port;
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX, or 0 */
};

/* What is written ::ffff:192.0.2.1 becomes the IPv4 address that it is. */
void address_unmap(struct address *a);
/* Never one that is mapped. */
struct address address_of(const struct sockaddr_storage *sa);
/* For connect and bind; returns the length. */
socklen_t address_sockaddr(
    const struct address *a, struct sockaddr_storage *out);

#define ADDRESS_TEXT 64
/* 192.0.2.1:80, [2001:db8::1]:80, or "unix". Returns `out`. */
const char *address_print(const struct address *a, char out[ADDRESS_TEXT]);

bool address_is_loopback(const struct address *a);

#endif
