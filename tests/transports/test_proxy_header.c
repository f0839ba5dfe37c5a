#include "transports/proxy_header.h"

#include "tests/bytes.h"
#include "tests/suite.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define IPS_4 "\xc0\0\2\1\xc0\0\2\2\x12\x34\1\xbb"
#define IPS_6                                           \
	"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"         \
	"\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x12\x34" \
	"\1\xbb"
#define IPS_MAPPED                                       \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"         \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2\x12\x34" \
	"\1\xbb"
#define RAW(literal) (literal), sizeof(literal) - 1

static const struct {
	const char *bytes;
	size_t n;
	const char *peer; /* NULL: it tells of none */
} headers[] = {
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n"),
	    "192.0.2.1:56324" },
	{ RAW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
	    "255.255.255.255:65535" },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), "192.0.2.1:0" },
	{ RAW("PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), "[2001:db8::1]:1" },
	{ RAW("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"),
	    "192.0.2.1:1" },
	{ RAW("PROXY TCP6 "
	      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
	      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	{ RAW("PROXY UNKNOWN\r\n"), NULL },
	{ RAW("PROXY UNKNOWN whatever this is\r\n"), NULL },
	{ RAW(V2 "\x21\x11\0\xc" IPS_4), "192.0.2.1:4660" },
	{ RAW(V2 "\x21\x11\0\xf" IPS_4 "\4\0\0"), "192.0.2.1:4660" },
	{ RAW(V2 "\x21\x21\0\x24" IPS_6), "[2001:db8::1]:4660" },
	{ RAW(V2 "\x21\x21\0\x24" IPS_MAPPED), "192.0.2.1:4660" },
	{ RAW(V2 "\x20\0\0\0"), NULL },
	{ RAW(V2 "\x20\x11\0\xc" IPS_4), NULL },
	{ RAW(V2 "\x21\0\0\0"), NULL },
	{ RAW(V2 "\x21\0\0\2xy"), NULL },
};

START_TEST(a_header_tells_of_the_client)
{
	struct proxy_header h;
	char text[ADDRESS_TEXT];

	ck_assert_int_eq(proxy_header_parse(&h,
			     (struct str){ headers[_i].bytes, headers[_i].n }),
	    PROXY_HEADER_OK);
	ck_assert_uint_eq(h.size, headers[_i].n);
	ck_assert(h.told == (headers[_i].peer != NULL));
	if (h.told)
		ck_assert_str_eq(
		    address_print(&h.peer, text), headers[_i].peer);
}
END_TEST

START_TEST(what_stands_behind_it_is_not_its_own)
{
	char bytes[256];
	struct proxy_header h;

	memcpy(bytes, headers[_i].bytes, headers[_i].n);
	memcpy(bytes + headers[_i].n, "GET / HTTP/1.1\r\n", 16);
	ck_assert_int_eq(
	    proxy_header_parse(&h, (struct str){ bytes, headers[_i].n + 16 }),
	    PROXY_HEADER_OK);
	ck_assert_uint_eq(h.size, headers[_i].n);
}
END_TEST

START_TEST(cut_after_any_byte_it_asks_for_more)
{
	struct proxy_header h;

	for (size_t n = 0; n < headers[_i].n; n++)
		ck_assert_int_eq(proxy_header_parse(
				     &h, (struct str){ headers[_i].bytes, n }),
		    PROXY_HEADER_MORE);
}
END_TEST

/* The first byte that cannot be right is not waited behind. */
START_TEST(another_version_is_refused_at_its_byte)
{
	struct proxy_header h;

	ck_assert_int_eq(proxy_header_parse(&h, (struct str){ V2 "\x31", 13 }),
	    PROXY_HEADER_WRONG);
	ck_assert_int_eq(proxy_header_parse(&h, (struct str){ V2 "\x31", 12 }),
	    PROXY_HEADER_MORE);
}
END_TEST

START_TEST(a_local_socket_of_the_client_has_no_address)
{
	static char bytes[16 + 216];
	struct proxy_header h;

	memcpy(bytes, V2 "\x21\x31\0\xd8", 16);
	ck_assert_int_eq(
	    proxy_header_parse(&h, (struct str){ bytes, sizeof(bytes) }),
	    PROXY_HEADER_OK);
	ck_assert(h.told);
	ck_assert_int_eq(h.peer.family, AF_UNIX);
}
END_TEST

static const struct {
	const char *bytes;
	size_t n;
} wrong[] = {
	{ RAW("GET / HTTP/1.1\r\n") },
	{ RAW("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ RAW("PROXYTCP4 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ RAW("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n") },
	{ RAW("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n") },
	{ RAW("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n") },
	{ RAW("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n") },
	{ RAW("PROXY TCP4 2001:db8::1 ::1 1 2\r\n") },
	{ RAW("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ RAW("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ RAW("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n") },
	{ RAW("PROXY unknown\r\n") },
	{ RAW("PROXY \r\n") },
	{ RAW("PROXY\r\n") },
	{ RAW("PROXY UNKNOWN\0\r\n") },
	{ RAW("PROXY UNKNOWN a\rb\r\n") },
	{ RAW("PROXY UNKNOWN ......................................"
	      "........................................................"
	      "................\r\n") },
	{ RAW("\r\n\r\n\0\r\nQUIT\r") },
	{ RAW(V2 "\x11\x11\0\xc" IPS_4) },
	{ RAW(V2 "\x22\x11\0\xc" IPS_4) },
	{ RAW(V2 "\x21\x12\0\xc" IPS_4) },
	{ RAW(V2 "\x21\x41\0\xc" IPS_4) },
	{ RAW(V2 "\x21\x11\0\xb" IPS_4) },
	{ RAW(V2 "\x21\x21\0\xc" IPS_4) },
	{ RAW(V2 "\x21\x31\0\x24" IPS_6) },
	{ RAW(V2 "\x21\x11\xff\xff" IPS_4) },
	{ RAW(V2 "\x20\0\x7\xf1") },
};

START_TEST(anything_else_is_refused)
{
	struct proxy_header h;

	ck_assert_int_eq(proxy_header_parse(
			     &h, (struct str){ wrong[_i].bytes, wrong[_i].n }),
	    PROXY_HEADER_WRONG);
}
END_TEST

SUITE("proxy_header", LOOP(a_header_tells_of_the_client, COUNT(headers)),
    LOOP(what_stands_behind_it_is_not_its_own, COUNT(headers)),
    LOOP(cut_after_any_byte_it_asks_for_more, COUNT(headers)),
    TEST(another_version_is_refused_at_its_byte),
    TEST(a_local_socket_of_the_client_has_no_address),
    LOOP(anything_else_is_refused, COUNT(wrong)))
