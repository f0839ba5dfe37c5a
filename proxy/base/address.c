#include "proxy/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

void
address_unmap(struct address *a)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family != AF_INET6 || memcmp(a->ip, mapped, sizeof(mapped)) != 0)
		return;
	a->family = AF_INET;
	memcpy(a->ip, a->ip + 12, 4);
	memset(a->ip + 4, 0, 12);
}

struct address
address_of(const struct sockaddr_storage *sa)
{
	struct address a = { .family = (uint8_t)sa->ss_family };

	if (sa->ss_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		memcpy(a.ip, &in.sin_addr, 4);
		a.port = ntohs(in.sin_port);
	} else if (sa->ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(a.ip, &in6.sin6_addr, 16);
		a.port = ntohs(in6.sin6_port);
		address_unmap(&a);
	}
	return a;
}

socklen_t
address_sockaddr(const struct address *a, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (a->family == AF_INET) {
		struct sockaddr_in in = {
			.sin_family = AF_INET,
			.sin_port = htons(a->port),
		};

		memcpy(&in.sin_addr, a->ip, 4);
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	if (a->family == AF_INET6) {
		struct sockaddr_in6 in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(a->port),
		};

		memcpy(&in6.sin6_addr, a->ip, 16);
		memcpy(out, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

const char *
address_print(const struct address *a, char out[ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "";

	if (a->family != AF_INET && a->family != AF_INET6) {
		snprintf(out, ADDRESS_TEXT, "unix");
		return out;
	}
	inet_ntop(a->family, a->ip, host, sizeof(host));
	snprintf(out, ADDRESS_TEXT, a->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
	    host, a->port);
	return out;
}

bool
address_is_loopback(const struct address *a)
{
	static const uint8_t six[16] = { [15] = 1 };

	switch (a->family) {
	case AF_INET:
		return a->ip[0] == 127;
	case AF_INET6:
		return memcmp(a->ip, six, 16) == 0;
	default:
		return a->family == AF_UNIX;
	}
}
