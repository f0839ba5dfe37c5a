#include "proxy/base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tests/bytes.h"
#include "tests/suite.h"

static const struct {
	int family;
	const char *ip;
	uint16_t port;
	const char *printed;
	bool loopback;
} addresses[] = {
	{ AF_INET, "127.0.0.1", 8080, "127.0.0.1:8080", true },
	{ AF_INET, "127.255.255.254", 1, "127.255.255.254:1", true },
	{ AF_INET, "192.0.2.1", 80, "192.0.2.1:80", false },
	{ AF_INET, "0.0.0.0", 0, "0.0.0.0:0", false },
	{ AF_INET, "128.0.0.1", 65535, "128.0.0.1:65535", false },
	{ AF_INET, "1.0.0.127", 258, "1.0.0.127:258", false },
	{ AF_INET6, "::1", 443, "[::1]:443", true },
	{ AF_INET6, "::", 80, "[::]:80", false },
	{ AF_INET6, "::2", 80, "[::2]:80", false },
	{ AF_INET6, "2001:db8::1", 80, "[2001:db8::1]:80", false },
	{ AF_INET6, "100::1", 80, "[100::1]:80", false },
	{ AF_INET6, "fe80:1111:2222:3333:4444:5555:6666:7777", 65535,
	    "[fe80:1111:2222:3333:4444:5555:6666:7777]:65535", false },
};

static struct sockaddr_storage
system_address(int i)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };

	if (addresses[i].family == AF_INET) {
		struct sockaddr_in in = {
			.sin_family = AF_INET,
			.sin_port = htons(addresses[i].port),
		};

		ck_assert_int_eq(
		    inet_pton(AF_INET, addresses[i].ip, &in.sin_addr), 1);
		memcpy(&sa, &in, sizeof(in));
	} else {
		struct sockaddr_in6 in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(addresses[i].port),
		};

		ck_assert_int_eq(
		    inet_pton(AF_INET6, addresses[i].ip, &in6.sin6_addr), 1);
		memcpy(&sa, &in6, sizeof(in6));
	}
	return sa;
}

START_TEST(an_address_is_read_printed_and_judged)
{
	struct sockaddr_storage sa = system_address(_i);
	struct address a = address_of(&sa);
	char text[ADDRESS_TEXT];

	ck_assert_int_eq(a.family, addresses[_i].family);
	ck_assert_uint_eq(a.port, addresses[_i].port);
	ck_assert_ptr_eq(address_print(&a, text), text);
	ck_assert_str_eq(text, addresses[_i].printed);
	ck_assert(address_is_loopback(&a) == addresses[_i].loopback);
}
END_TEST

START_TEST(an_address_goes_back_to_the_system_as_it_came)
{
	struct sockaddr_storage sa = system_address(_i), back;
	struct address a = address_of(&sa);

	memset(&back, 0xee, sizeof(back));
	ck_assert_uint_eq(address_sockaddr(&a, &back),
	    a.family == AF_INET ? sizeof(struct sockaddr_in) :
				  sizeof(struct sockaddr_in6));
	ck_assert_mem_eq(&back, &sa, sizeof(back));
}
END_TEST

/* Of a socket for both: elsewhere the same client has this address. */
START_TEST(a_mapped_address_is_the_one_that_it_is_of)
{
	static const struct {
		const char *ip, *printed;
		bool loopback;
	} mapped[] = {
		{ "::ffff:192.0.2.1", "192.0.2.1:80", false },
		{ "::ffff:127.0.0.1", "127.0.0.1:80", true },
		{ "::fffe:192.0.2.1", "[::fffe:c000:201]:80", false },
		{ "::192.0.2.1", "[::192.0.2.1]:80", false },
	};
	static const uint8_t zeros[12] = { 0 };

	for (size_t i = 0; i < COUNT(mapped); i++) {
		struct sockaddr_in6 in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(80),
		};
		struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
		struct address a;
		char text[ADDRESS_TEXT];

		ck_assert_int_eq(
		    inet_pton(AF_INET6, mapped[i].ip, &in6.sin6_addr), 1);
		memcpy(&sa, &in6, sizeof(in6));
		a = address_of(&sa);
		ck_assert_str_eq(address_print(&a, text), mapped[i].printed);
		ck_assert(address_is_loopback(&a) == mapped[i].loopback);
		if (a.family == AF_INET)
			ck_assert_mem_eq(a.ip + 4, zeros, sizeof(zeros));
	}
}
END_TEST

START_TEST(a_local_socket_is_a_loopback_without_a_port)
{
	struct sockaddr_storage sa = { .ss_family = AF_UNIX }, back;
	struct address a = address_of(&sa);
	char text[ADDRESS_TEXT];

	ck_assert_str_eq(address_print(&a, text), "unix");
	ck_assert(address_is_loopback(&a));
	ck_assert_uint_eq(address_sockaddr(&a, &back), 0);
}
END_TEST

START_TEST(no_address_is_no_loopback)
{
	struct address a = { .family = 0 };

	ck_assert(!address_is_loopback(&a));
}
END_TEST

SUITE("address", LOOP(an_address_is_read_printed_and_judged, COUNT(addresses)),
    LOOP(an_address_goes_back_to_the_system_as_it_came, COUNT(addresses)),
    TEST(a_mapped_address_is_the_one_that_it_is_of),
    TEST(a_local_socket_is_a_loopback_without_a_port),
    TEST(no_address_is_no_loopback))
