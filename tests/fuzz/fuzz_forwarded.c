/*
 * Headers of a request that the backend gets, each ended by CRLF, behind a
 * fixed request line. The first byte says whether they come from a trusted hop,
 * by which kind of address, and whether they ask to switch protocols.
 *
 * What is for one hop stays here, what says where it comes from is there once,
 * ends in what we have seen ourselves, and is ours alone if anybody wrote it;
 * nothing becomes another header on its way.
 */
#include <arpa/inet.h>

#include "proxy/backend/proxy_head.h"
#include "proxy/base/field.h"
#include "proxy/base/network.h"
#include "proxy/worker.h"
#include "tests/fuzz/heads.h"

static const struct {
	int family;
	const char *text, *seen;
} peers[] = {
	{ AF_INET, "10.0.0.1", "10.0.0.1" },
	{ AF_INET6, "2001:db8::1", "2001:db8::1" },
	{ AF_UNIX, NULL, "unknown" },
};

static struct address
peer_of(size_t i)
{
	struct address a = { .family = (uint8_t)peers[i].family };

	if (peers[i].text != NULL)
		must(inet_pton(a.family, peers[i].text, a.ip) == 1);
	return a;
}

static size_t
count_of(const struct forwarded *f, const char *name, struct str *value)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		if (str_is_nocase(f->headers[i].name, name)) {
			*value = f->headers[i].value;
			n++;
		}
	return n;
}

static bool
ends_with(struct str s, const char *end)
{
	size_t n = strlen(end);

	return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

static void
check_lines(const struct forwarded *f, bool upgrades)
{
	static const char *const here[] = { "Keep-Alive", "Proxy-Connection",
		"Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding",
		"HTTP2-Settings", "Expect", "Content-Length" };
	struct str value;

	must(f->count <= FORWARDED_HEADERS_MAX);
	for (size_t i = 0; i < f->count; i++) {
		struct str name = f->headers[i].name;

		must(field_is_token(name));
		must(memchr(name.p, '_', name.len) == NULL);
		must(field_is_value(f->headers[i].value));
	}
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		must(count_of(f, here[i], &value) == 0);
	must(count_of(f, "Connection", &value) == (size_t)upgrades);
	must(count_of(f, "Upgrade", &value) == (size_t)upgrades);
}

static void
check_origin(const struct forwarded *f, const char *seen, bool trust)
{
	struct str value;

	must(count_of(f, "Via", &value) == 1);
	must(ends_with(value, "1.1 spillway"));
	must(count_of(f, "X-Forwarded-For", &value) == 1);
	must(ends_with(value, seen));
	must(trust || str_is(value, seen));
	must(count_of(f, "Forwarded", &value) == 1);
	must(trust || str_starts(value, "for="));
	must(trust || count_of(f, "X-Real-IP", &value) == 0);
	must(count_of(f, "X-Forwarded-Proto", &value) >= 1);
	must(trust || str_is(value, "http"));
	/* What the route says, whoever else says something. */
	must(count_of(f, "Cookie", &value) == 0);
	must(count_of(f, "X-Team", &value) == 1 && str_is(value, "a"));
	must(count_of(f, "X-Forwarded-Prefix", &value) == 1);
	must(trust ? ends_with(value, "/p") : str_is(value, "/p"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct network any[] = { { .family = AF_INET },
		{ .family = AF_INET6 }, { .family = AF_UNIX } };
	char *upgrade[] = { (char *)(uintptr_t) "websocket" };
	char *edits[] = { (char *)(uintptr_t) "Cookie:",
		(char *)(uintptr_t) "X-Team: a" };
	struct route route = {
		.upgrade = upgrade,
		.upgrade_count = 1,
		.request_header = edits,
		.request_header_count = 2,
	};
	struct conf conf = { .trusted_proxy = any };
	static struct worker w;
	struct conn c = { .worker = &w };
	struct forwarded f;
	struct request r;
	struct buf text;
	struct str protocol;
	size_t peer;
	bool trust;

	if (size == 0)
		return 0;
	trust = (data[0] & 1) != 0;
	peer = (size_t)(data[0] >> 1) % 3;
	conf.trusted_proxy_count = trust ? 3 : 0;
	w.conf = &conf;
	c.peer = peer_of(peer);
	buf_init(&text, SIZE_MAX / 2);
	if (fuzz_head(&r, &text, "GET /p HTTP/1.1\r\n", data + 1, size - 1)) {
		protocol = forwarded_upgrade(&route, &r);
		must(forwarded_init(&f, &c, &r, &route, STR("/p"), protocol) ==
		    SW_OK);
		check_lines(&f, protocol.p != NULL);
		check_origin(&f, peers[peer].seen, trust);
		forwarded_fini(&f);
	}
	buf_fini(&text);
	return 0;
}
