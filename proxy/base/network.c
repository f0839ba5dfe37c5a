#include "proxy/base/network.h"

#include <arpa/inet.h>

#include "proxy/base/err.h"

/* Do the first `bits` agree? */
static bool
agree(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

/* Is everything behind the mask zero? */
static bool
is_bare(const struct network *n, unsigned width)
{
	for (unsigned i = n->bits; i < width; i++)
		if ((n->ip[i / 8] & (0x80 >> (i % 8))) != 0)
			return false;
	return true;
}

/* One of mapped addresses is the IPv4 network that they are of. */
static void
unmap(struct network *n)
{
	struct address a = { .family = n->family };

	memcpy(a.ip, n->ip, sizeof(a.ip));
	address_unmap(&a);
	if (a.family == n->family || n->bits < 96)
		return;
	n->family = a.family;
	n->bits -= 96;
	memcpy(n->ip, a.ip, sizeof(a.ip));
}

int
network_parse(struct network *out, struct str text)
{
	char ip[INET6_ADDRSTRLEN];
	struct str head = text;
	const char *slash;
	uint64_t bits;
	unsigned width;

	*out = (struct network){ .family = AF_UNIX };
	if (str_is(text, "unix"))
		return SW_OK;
	slash = memchr(text.p, '/', text.len);
	if (slash != NULL)
		head.len = (size_t)(slash - text.p);
	if (head.len == 0 || head.len >= sizeof(ip))
		return SW_EINVAL;
	memcpy(ip, head.p, head.len);
	ip[head.len] = '\0';
	out->family = memchr(ip, ':', head.len) == NULL ? AF_INET : AF_INET6;
	width = out->family == AF_INET ? 32 : 128;
	if (inet_pton(out->family, ip, out->ip) != 1)
		return SW_EINVAL;
	bits = width;
	if (slash != NULL &&
	    str_to_u64(&bits,
		(struct str){ slash + 1, text.len - head.len - 1 },
		width) != SW_OK)
		return SW_EINVAL;
	out->bits = (uint8_t)bits;
	if (!is_bare(out, width))
		return SW_EINVAL;
	unmap(out);
	return SW_OK;
}

bool
network_has(const struct network *n, const struct address *a)
{
	return a->family == n->family && agree(a->ip, n->ip, n->bits);
}

bool
networks_have(const struct network *list, size_t count, const struct address *a)
{
	for (size_t i = 0; i < count; i++)
		if (network_has(&list[i], a))
			return true;
	return false;
}
