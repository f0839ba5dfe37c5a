#include "proxy/auth/origin.h"

#include "tests/proxy/auth/tokens.h"
#include "tests/suite.h"
#include "tests/transports/heads.h"

#define LISTED "allow-origin = { \"https://app.example.org\" }\n"
#define STARRED "allow-origin = { \"*\", \"https://app.example.org\" }\n"
#define ALLOW "Access-Control-Allow-Origin: "
#define CREDENTIALS "Access-Control-Allow-Credentials: true\r\n"

/* The host that is asked is example.com. */
static const struct {
	const char *conf, *headers;
	enum origin origin;
	const char *answer; /* but for what pages may read */
} cases[] = {
	{ "", "", ORIGIN_NONE, "" },
	{ LISTED, "", ORIGIN_NONE, "Vary: Origin\r\n" },
	{ "", "Origin: http://example.com\r\n", ORIGIN_SAME,
	    "Vary: Origin\r\n" },
	{ "", "Origin: https://EXAMPLE.com\r\n", ORIGIN_SAME,
	    "Vary: Origin\r\n" },
	{ "", "Origin: http://example.com:81\r\n", ORIGIN_FOREIGN,
	    "Vary: Origin\r\n" },
	{ "", "Origin: http://example.com.evil\r\n", ORIGIN_FOREIGN,
	    "Vary: Origin\r\n" },
	{ "", "Origin: http://evil.example.com\r\n", ORIGIN_FOREIGN,
	    "Vary: Origin\r\n" },
	{ "", "Origin: example.com\r\n", ORIGIN_FOREIGN, "Vary: Origin\r\n" },
	{ "", "Origin: null\r\n", ORIGIN_FOREIGN, "Vary: Origin\r\n" },
	{ "", "Origin: \r\n", ORIGIN_FOREIGN, "Vary: Origin\r\n" },
	{ LISTED, "Origin: https://app.example.org\r\n", ORIGIN_LISTED,
	    "Vary: Origin\r\n" ALLOW
	    "https://app.example.org\r\n" CREDENTIALS },
	{ LISTED, "Origin: http://app.example.org\r\n", ORIGIN_FOREIGN,
	    "Vary: Origin\r\n" },
	{ LISTED, "Origin: https://app.example.org:8443\r\n", ORIGIN_FOREIGN,
	    "Vary: Origin\r\n" },
	{ LISTED, "Origin: https://app.example.org\r\nOrigin: https://evil\r\n",
	    ORIGIN_FOREIGN, "Vary: Origin\r\n" },
	{ LISTED, "Origin: *\r\n", ORIGIN_FOREIGN, "Vary: Origin\r\n" },
	{ STARRED, "Origin: https://evil\r\n", ORIGIN_ANY,
	    "Vary: Origin\r\n" ALLOW "*\r\n" },
	{ STARRED, "Origin: null\r\n", ORIGIN_ANY,
	    "Vary: Origin\r\n" ALLOW "*\r\n" },
	{ STARRED, "Origin: https://app.example.org\r\n", ORIGIN_LISTED,
	    "Vary: Origin\r\n" ALLOW
	    "https://app.example.org\r\n" CREDENTIALS },
};

START_TEST(an_origin_is_judged_and_told)
{
	struct conf *conf = conf_of(cases[_i].conf);
	const struct request *r = head_of("/stream/a", cases[_i].headers);
	enum origin o = origin_judge(conf, r);
	struct buf out, expected;

	ck_assert_int_eq(o, cases[_i].origin);
	buf_init(&out, 4096);
	buf_init(&expected, 4096);
	origin_put(&out, o, conf, r);
	buf_puts(&expected, cases[_i].answer);
	if (strstr(cases[_i].answer, ALLOW) != NULL)
		buf_printf(&expected, "Access-Control-Expose-Headers: %s\r\n",
		    origin_exposed);
	buf_put(&expected, "", 1);
	buf_put(&out, "", 1);
	ck_assert_str_eq((char *)buf_head(&out), (char *)buf_head(&expected));
	buf_fini(&out);
	buf_fini(&expected);
	conf_free(conf);
}
END_TEST

START_TEST(a_star_never_comes_with_credentials)
{
	struct conf *conf = conf_of(STARRED);
	const struct request *r =
	    head_of("/stream/a", "Origin: https://evil\r\n");
	struct buf out;

	ck_assert(!origin_trusts_cookies(origin_judge(conf, r)));
	buf_init(&out, 4096);
	origin_put(&out, origin_judge(conf, r), conf, r);
	buf_put(&out, "", 1);
	ck_assert_ptr_null(strstr((char *)buf_head(&out), "Credentials"));
	buf_fini(&out);
	conf_free(conf);
}
END_TEST

START_TEST(elsewhere_nothing_is_said)
{
	struct conf *conf = conf_of(LISTED);
	struct buf out;

	buf_init(&out, 4096);
	origin_put(&out, ORIGIN_UNASKED, conf, head_of("/", ""));
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_fini(&out);
	conf_free(conf);
}
END_TEST

static const struct {
	const char *host;
	bool of_others;
} hosts[] = {
	{ "", false },
	{ "gateway", false },
	{ "gateway:8080", false },
	{ "127.0.0.1", false },
	{ "127.0.0.1:8080", false },
	{ "[::1]:8080", false },
	{ "localhost", false },
	{ "a.localhost", false },
	{ "a.LocalHost:8080", false },
	{ "a.b", true },
	{ "evil.example", true },
	{ "evil.example:8080", true },
	{ "127.0.0.1.example", true },
	{ "a.notlocalhost", true },
	{ "localhost.example:80", true },
};

/* Whoever gave out such a name may lead it here. */
START_TEST(a_name_with_a_dot_may_be_anybodys)
{
	ck_assert_int_eq(origin_is_name_of_others(str_of(hosts[_i].host)),
	    hosts[_i].of_others);
}
END_TEST

SUITE("origin", LOOP(an_origin_is_judged_and_told, COUNT(cases)),
    TEST(a_star_never_comes_with_credentials), TEST(elsewhere_nothing_is_said),
    LOOP(a_name_with_a_dot_may_be_anybodys, COUNT(hosts)))
