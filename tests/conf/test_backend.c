#include "conf/backend.h"

#include "proxy/base/err.h"
#include "tests/suite.h"

static const struct {
	const char *text, *url, *socket_path;
	uint64_t weight;
} good[] = {
	{ "http://a", "http://a", NULL, 1 },
	{ "http://a.b:80/", "http://a.b:80", NULL, 1 },
	{ "https://a:65535 weight=1000", "https://a:65535", NULL, 1000 },
	{ "http://az-AZ_09:1", "http://az-AZ_09:1", NULL, 1 },
	{ "http://127.0.0.1:3000", "http://127.0.0.1:3000", NULL, 1 },
	{ "http://[::1]", "http://[::1]", NULL, 1 },
	{ "http://[2001:db8::192.0.2.1]:1", "http://[2001:db8::192.0.2.1]:1",
	    NULL, 1 },
	{ "unix:/run/a  weight=3", "http://localhost", "/run/a", 3 },
};

START_TEST(a_backend_is_an_address_and_perhaps_a_weight)
{
	struct backend_origin b;
	struct buf advice;

	buf_init(&advice, 1024);
	ck_assert_int_eq(
	    value_backend(&b, str_of(good[_i].text), &advice), SW_OK);
	ck_assert(str_is(b.url, good[_i].url));
	ck_assert_uint_eq(b.weight, good[_i].weight);
	if (good[_i].socket_path == NULL)
		ck_assert_ptr_null(b.socket_path.p);
	else
		ck_assert(str_is(b.socket_path, good[_i].socket_path));
	buf_fini(&advice);
}
END_TEST

static const char *const bad[] = { "", "a", "http://", "http:///", "ftp://a",
	"http://a/b", "http://a:0", "http://a:65536", "http://a:", "http://a:b",
	"http://:80", "http://-a", "http://u@a", "http://a?b", "http://[]",
	"http://a`b", "http://a{b", "http://a;b", "http://a[b]:80", "http://a]",
	"http://[zz]:80", "http://[::1", "http://[::1]80",
	"http://[::1]:", "http://[::::]", "http://[1:2:3:4:5:6:7:8:9]",
	"http://[127.0.0.1]",
	"http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
	"unix:", "unix:a", "http://a weight=0", "http://a weight=1001",
	"http://a weight=", "http://a weights=1", "http://a weight=1 b" };

START_TEST(what_is_none_is_refused_with_advice)
{
	struct backend_origin b;
	struct buf advice;

	buf_init(&advice, 1024);
	ck_assert_int_eq(
	    value_backend(&b, str_of(bad[_i]), &advice), SW_EINVAL);
	ck_assert(str_starts(buf_str(&advice), "write "));
	buf_fini(&advice);
}
END_TEST

SUITE("backend",
    LOOP(a_backend_is_an_address_and_perhaps_a_weight, COUNT(good)),
    LOOP(what_is_none_is_refused_with_advice, COUNT(bad)))
