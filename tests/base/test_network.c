#include "proxy/base/network.h"

#include <arpa/inet.h>

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

static struct address
address(const char *ip)
{
	struct address a = { .family = AF_UNIX };

	if (strcmp(ip, "unix") == 0)
		return a;
	a.family = strchr(ip, ':') == NULL ? AF_INET : AF_INET6;
	ck_assert_int_eq(inet_pton(a.family, ip, a.ip), 1);
	address_unmap(&a);
	return a;
}

static const struct {
	const char *network, *ip;
	bool inside;
} places[] = {
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1/32", "192.0.2.1", true },
	{ "10.0.0.0/8", "10.255.0.1", true },
	{ "10.0.0.0/8", "11.0.0.0", false },
	{ "172.16.0.0/12", "172.31.255.255", true },
	{ "172.16.0.0/12", "172.32.0.0", false },
	{ "172.16.0.0/12", "172.15.255.255", false },
	{ "0.0.0.0/0", "203.0.113.9", true },
	{ "0.0.0.0/0", "::1", false },
	{ "0.0.0.0/0", "unix", false },
	{ "128.0.0.0/1", "127.255.255.255", false },
	{ "::1", "::1", true },
	{ "::1", "127.0.0.1", false },
	{ "2001:db8::/32", "2001:db8:ffff::", true },
	{ "2001:db8::/32", "2001:db9::", false },
	{ "2001:db8::/127", "2001:db8::1", true },
	{ "2001:db8::/127", "2001:db8::2", false },
	{ "::/0", "::ffff:192.0.2.1", false },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "192.0.2.1", false },
	{ "::ffff:192.0.2.0/120", "192.0.2.1", true },
	{ "::ffff:192.0.2.0/120", "192.0.3.1", false },
	{ "::ffff:0.0.0.0/96", "192.0.2.1", true },
	{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", true },
	{ "::fffe:0.0.0.0/95", "192.0.2.1", false },
	{ "192.0.2.0/24", "::ffff:192.0.2.1", true },
	{ "192.0.2.0/24", "::fffe:192.0.2.1", false },
	{ "unix", "unix", true },
	{ "unix", "127.0.0.1", false },
};

START_TEST(an_address_is_inside_or_not)
{
	struct address a = address(places[_i].ip);
	struct network n;

	ck_assert_int_eq(network_parse(&n, str_of(places[_i].network)), SW_OK);
	ck_assert(network_has(&n, &a) == places[_i].inside);
	ck_assert(networks_have(&n, 1, &a) == places[_i].inside);
	ck_assert(!networks_have(&n, 0, &a));
}
END_TEST

static const char *const wrong[] = { "", "/", "/8", "10.0.0.0/", "10.0.0.0/33",
	"10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0",
	"10.0.0.0.0", "256.0.0.0", "::/129", "::1/64", "2001:db8::1/127",
	"localhost", "unix:", "unix/8", " 10.0.0.1", "10.0.0.1 ", "[::1]",
	"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
	/* One byte more than the longest that there is. */
	"0000:0000:0000:0000:0000:0000:255.255.255.2550" };

START_TEST(what_is_no_network_is_refused)
{
	struct network n;

	ck_assert_int_eq(network_parse(&n, str_of(wrong[_i])), SW_EINVAL);
}
END_TEST

SUITE("network", LOOP(an_address_is_inside_or_not, COUNT(places)),
    LOOP(what_is_no_network_is_refused, COUNT(wrong)))
