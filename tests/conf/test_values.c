#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>

#include "conf/values.h"
#include "proxy/base/err.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct buf advice;

static void
setup(void)
{
	buf_init(&advice, 1024);
}

static void
teardown(void)
{
	buf_fini(&advice);
}

/* What was advised since the last call; the empty text if nothing was. */
static const char *
advised(void)
{
	static char text[1024];
	struct str s = buf_str(&advice);

	ck_assert_uint_lt(s.len, sizeof(text));
	if (s.len > 0)
		memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	buf_clear(&advice);
	return text;
}

static const struct {
	const char *text;
	uint64_t value;
	const char *printed;
} durations[] = {
	{ "0", 0, "0" },
	{ "0s", 0, "0" },
	{ "1ms", 1, "1ms" },
	{ "250ms", 250, "250ms" },
	{ "10s", 10 * 1000, "10s" },
	{ "1500ms", 1500, "1500ms" },
	{ "1000ms", 1000, "1s" },
	{ "5m", 5 * 60 * 1000, "5m" },
	{ "90s", 90 * 1000, "90s" },
	{ "60s", 60 * 1000, "1m" },
	{ "2h", 2 * 3600 * 1000, "2h" },
	{ "7d", 7 * 86400 * 1000, "7d" },
	{ "24h", 86400 * 1000, "1d" },
	{ "007s", 7 * 1000, "7s" },
	{ "3650d", UINT64_C(3650) * 86400 * 1000, "3650d" },
	{ "213503982334d", UINT64_C(213503982334) * 86400000, "213503982334d" },
};

START_TEST(a_duration_has_a_number_and_a_unit)
{
	uint64_t value = 77;
	struct buf out;

	ck_assert_int_eq(
	    value_msec(&value, str_of(durations[_i].text), &advice), SW_OK);
	ck_assert_uint_eq(value, durations[_i].value);
	ck_assert_str_eq(advised(), "");
	buf_init(&out, 64);
	ck_assert_int_eq(value_put_msec(&out, value), SW_OK);
	ck_assert(str_is(buf_str(&out), durations[_i].printed));
	buf_fini(&out);
}
END_TEST

#define ANY_DURATION \
	"write a whole number and one unit (ms, s, m, h or d), such as 15s"

static const struct {
	const char *text;
	const char *advice;
} bad_durations[] = {
	{ "15", "write the unit as well (ms, s, m, h or d), such as 15s" },
	{ "1", "write the unit as well (ms, s, m, h or d), such as 1s" },
	{ "", ANY_DURATION },
	{ "s", ANY_DURATION },
	{ "-1s", ANY_DURATION },
	{ "+1s", ANY_DURATION },
	{ "1.5s", ANY_DURATION },
	{ "1h30m", ANY_DURATION },
	{ "10 s", ANY_DURATION },
	{ " 10s", ANY_DURATION },
	{ "10s ", ANY_DURATION },
	{ "10S", ANY_DURATION },
	{ "5M", ANY_DURATION },
	{ "64k", ANY_DURATION },
	{ "10sec", ANY_DURATION },
	{ "0x10s", ANY_DURATION },
	{ "forever", ANY_DURATION },
};

START_TEST(what_is_no_duration_is_refused_with_advice)
{
	uint64_t value;

	ck_assert_int_eq(
	    value_msec(&value, str_of(bad_durations[_i].text), &advice),
	    SW_EINVAL);
	ck_assert_str_eq(advised(), bad_durations[_i].advice);
}
END_TEST

static const struct {
	const char *text;
	uint64_t value;
	const char *printed;
} sizes[] = {
	{ "0", 0, "0" },
	{ "0k", 0, "0" },
	{ "1", 1, "1" },
	{ "512", 512, "512" },
	{ "1023", 1023, "1023" },
	{ "1024", 1024, "1k" },
	{ "64k", 65536, "64k" },
	{ "64K", 65536, "64k" },
	{ "1536k", 1536 * 1024, "1536k" },
	{ "16m", 16 * 1048576, "16m" },
	{ "16M", 16 * 1048576, "16m" },
	{ "1024m", 1073741824, "1g" },
	{ "10g", UINT64_C(10) << 30, "10g" },
	{ "10G", UINT64_C(10) << 30, "10g" },
	{ "18446744073709551614", UINT64_MAX - 1, "18446744073709551614" },
};

START_TEST(a_size_is_in_bytes_or_has_a_unit)
{
	uint64_t value = 77;
	struct buf out;

	ck_assert_int_eq(
	    value_bytes(&value, str_of(sizes[_i].text), &advice), SW_OK);
	ck_assert_uint_eq(value, sizes[_i].value);
	ck_assert_str_eq(advised(), "");
	buf_init(&out, 64);
	ck_assert_int_eq(value_put_bytes(&out, value), SW_OK);
	ck_assert(str_is(buf_str(&out), sizes[_i].printed));
	buf_fini(&out);
}
END_TEST

static const char *const bad_sizes[] = { "", "k", "-1", "1.5m", "10 k", "10kb",
	"10KiB", "15s", "1t", "0x10", "unlimited", "1kk" };

START_TEST(what_is_no_size_is_refused_with_advice)
{
	uint64_t value;

	ck_assert_int_eq(
	    value_bytes(&value, str_of(bad_sizes[_i]), &advice), SW_EINVAL);
	ck_assert_str_eq(advised(),
	    "write bytes as a whole number, with k, m or g behind it for "
	    "larger units, such as 512 or 64k");
}
END_TEST

START_TEST(a_number_too_large_to_count_is_the_largest)
{
	uint64_t value = 0;

	ck_assert_int_eq(
	    value_count(&value, STR("18446744073709551616"), &advice), SW_OK);
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(
	    value_bytes(&value, STR("17179869184g"), &advice), SW_OK);
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(
	    value_msec(
		&value, STR("99999999999999999999999999999999ms"), &advice),
	    SW_OK);
	ck_assert_uint_eq(value, UINT64_MAX);
	ck_assert_int_eq(
	    value_msec(&value, STR("213503982335d"), &advice), SW_OK);
	ck_assert_uint_eq(value, UINT64_MAX);
}
END_TEST

START_TEST(a_count_is_a_whole_number)
{
	uint64_t value = 77;

	ck_assert_int_eq(value_count(&value, STR("0"), &advice), SW_OK);
	ck_assert_uint_eq(value, 0);
	ck_assert_int_eq(value_count(&value, STR("0123"), &advice), SW_OK);
	ck_assert_uint_eq(value, 123);
}
END_TEST

static const char *const bad_counts[] = { "", "-1", "+1", "1k", "1.0", "0x1f",
	"1 ", "many" };

START_TEST(what_is_no_count_is_refused_with_advice)
{
	uint64_t value;

	ck_assert_int_eq(
	    value_count(&value, str_of(bad_counts[_i]), &advice), SW_EINVAL);
	ck_assert_str_eq(advised(), "write a whole number");
}
END_TEST

static const struct {
	const char *text;
	bool value;
} flags[] = {
	{ "yes", true },
	{ "true", true },
	{ "on", true },
	{ "no", false },
	{ "false", false },
	{ "off", false },
};

START_TEST(a_flag_has_six_spellings)
{
	bool value = !flags[_i].value;

	ck_assert_int_eq(
	    value_flag(&value, str_of(flags[_i].text), &advice), SW_OK);
	ck_assert(value == flags[_i].value);
}
END_TEST

static const char *const bad_flags[] = { "", "1", "0", "Yes", "y", "yess" };

START_TEST(what_is_no_flag_is_refused_with_advice)
{
	bool value;

	ck_assert_int_eq(
	    value_flag(&value, str_of(bad_flags[_i]), &advice), SW_EINVAL);
	ck_assert_str_eq(advised(), "write yes or no");
}
END_TEST

START_TEST(a_word_is_its_place_in_the_list)
{
	static const char *const words[] = { "a", "bc", "d", NULL };
	unsigned value = 77;

	ck_assert_int_eq(value_word(&value, STR("a"), words, &advice), SW_OK);
	ck_assert_uint_eq(value, 0);
	ck_assert_int_eq(value_word(&value, STR("d"), words, &advice), SW_OK);
	ck_assert_uint_eq(value, 2);
	ck_assert_int_eq(
	    value_word(&value, STR("b"), words, &advice), SW_EINVAL);
	ck_assert_str_eq(advised(), "write a, bc or d");
	ck_assert_int_eq(
	    value_word(&value, STR(""), words, &advice), SW_EINVAL);
	ck_assert_str_eq(advised(), "write a, bc or d");
}
END_TEST

/* `host` is what inet_ntop says, or a path. */
static const struct {
	const char *text;
	int family;
	const char *host;
	unsigned port;
	bool any, loopback;
} addresses[] = {
	{ "127.0.0.1:8080", AF_INET, "127.0.0.1", 8080, false, true },
	{ "127.255.0.9:1", AF_INET, "127.255.0.9", 1, false, true },
	{ "128.0.0.1:1", AF_INET, "128.0.0.1", 1, false, false },
	{ "126.0.0.1:1", AF_INET, "126.0.0.1", 1, false, false },
	{ "0.0.0.0:80", AF_INET, "0.0.0.0", 80, false, false },
	{ "10.1.2.3:65535", AF_INET, "10.1.2.3", 65535, false, false },
	{ "127.0.0.1:0", AF_INET, "127.0.0.1", 0, false, true },
	{ "localhost:8080", AF_INET, "127.0.0.1", 8080, false, true },
	{ ":8080", AF_INET6, "::", 8080, true, false },
	{ "[::]:8080", AF_INET6, "::", 8080, false, false },
	{ "[::1]:8080", AF_INET6, "::1", 8080, false, true },
	{ "[2001:db8::7]:443", AF_INET6, "2001:db8::7", 443, false, false },
	{ "[::ffff:127.0.0.1]:1", AF_INET6, "::ffff:127.0.0.1", 1, false,
	    true },
	{ "[::ffff:10.0.0.1]:1", AF_INET6, "::ffff:10.0.0.1", 1, false, false },
	{ "unix:/run/spillway/api", AF_UNIX, "/run/spillway/api", 0, false,
	    true },
};

static void
check_host(const struct listen_address *a, const char *host, unsigned port)
{
	const struct sockaddr_in *in = (const void *)&a->addr;
	const struct sockaddr_in6 *in6 = (const void *)&a->addr;
	const struct sockaddr_un *un = (const void *)&a->addr;
	char text[128];

	if (a->addr.ss_family == AF_UNIX) {
		ck_assert_str_eq(un->sun_path, host);
		ck_assert_uint_eq(a->len, sizeof(*un));
	} else if (a->addr.ss_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		ck_assert_str_eq(text, host);
		ck_assert_uint_eq(ntohs(in->sin_port), port);
		ck_assert_uint_eq(a->len, sizeof(*in));
	} else {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		ck_assert_str_eq(text, host);
		ck_assert_uint_eq(ntohs(in6->sin6_port), port);
		ck_assert_uint_eq(a->len, sizeof(*in6));
	}
}

START_TEST(an_address_is_an_ip_address_with_a_port_or_a_path)
{
	struct listen_address a;

	memset(&a, 0xff, sizeof(a));
	ck_assert_int_eq(
	    value_address(&a, str_of(addresses[_i].text), &advice), SW_OK);
	ck_assert_str_eq(advised(), "");
	ck_assert_int_eq(a.addr.ss_family, addresses[_i].family);
	check_host(&a, addresses[_i].host, addresses[_i].port);
	ck_assert(a.any == addresses[_i].any);
	ck_assert(a.loopback == addresses[_i].loopback);
}
END_TEST

#define PORT "write a port of 0 to 65535 behind a colon, such as 127.0.0.1:8080"
#define HOST                                                                \
	"write an IP address, localhost or nothing before the port; names " \
	"are not looked up"
#define BRACKETS "write an IPv6 address in brackets, such as [::1]:8080"
#define UNIX "write unix: and an absolute path, such as unix:/run/spillway/api"
#define TEN "0123456789"

static const struct {
	const char *text;
	const char *advice;
} bad_addresses[] = {
	{ "", PORT },
	{ "8080", PORT },
	{ "127.0.0.1", PORT },
	{ "127.0.0.1:", PORT },
	{ "127.0.0.1:65536", PORT },
	{ "127.0.0.1:99999999999999999999999", PORT },
	{ "127.0.0.1:http", PORT },
	{ "127.0.0.1:-1", PORT },
	{ "127.0.0.1 :80", HOST },
	{ "127.0.0.1/8:80", HOST },
	{ "127.0.1:80", HOST },
	{ "256.0.0.1:80", HOST },
	{ "*:80", HOST },
	{ "example.org:80", HOST },
	{ "LOCALHOST:80", HOST },
	{ "[localhost]:80", HOST },
	{ "[127.0.0.1]:80", HOST },
	{ "[]:80", HOST },
	{ "[::1:80", HOST },
	{ "[::1]", PORT },
	{ "[fe80::1%eth0]:80", HOST },
	{ "::1:80", BRACKETS },
	{ "fe80::1:80", BRACKETS },
	{ "unix:", UNIX },
	{ "unix:relative", UNIX },
	{ "unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "1234567",
	    "write a path of at most 107 bytes: no socket has a longer one" },
	{ TEN TEN TEN TEN TEN ":80", HOST },
};

START_TEST(what_is_no_address_is_refused_with_advice)
{
	struct listen_address a;

	ck_assert_int_eq(
	    value_address(&a, str_of(bad_addresses[_i].text), &advice),
	    SW_EINVAL);
	ck_assert_str_eq(advised(), bad_addresses[_i].advice);
}
END_TEST

START_TEST(the_longest_path_of_a_socket_fits)
{
	static const char text[] =
	    "unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "123456";
	struct listen_address a;

	ck_assert_int_eq(value_address(&a, str_of(text), &advice), SW_OK);
	check_host(&a, text + 5, 0);
}
END_TEST

static const char *const origins[] = { "*", "https://example.com",
	"http://localhost:3000", "http://[::1]:80", "https://a-b.example",
	"http://127.0.0.1" };

START_TEST(an_origin_is_what_a_browser_makes_of_it)
{
	ck_assert_int_eq(value_origin(str_of(origins[_i]), &advice), SW_OK);
}
END_TEST

static const char *const bad_origins[] = { "", "null", "https://",
	"https:", "example.com", "https://example.com/", "https://Example.com",
	"ftp://example.com", "https://a b", "https://*.example.com",
	"https://example.com:", "https://user@example.com", "http://:80" };

START_TEST(what_is_no_origin_is_refused_with_advice)
{
	ck_assert_int_eq(
	    value_origin(str_of(bad_origins[_i]), &advice), SW_EINVAL);
	ck_assert(str_starts(buf_str(&advice), "write a scheme and a host"));
}
END_TEST

START_TEST(a_name_is_a_token)
{
	static const char *const bad[] = { "", "a b", "a=b", "a;", "\xc3\xa4" };

	ck_assert_int_eq(value_name(STR("__Host-Token.1"), &advice), SW_OK);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_int_eq(
		    value_name(str_of(bad[i]), &advice), SW_EINVAL);
}
END_TEST

/* The text is not terminated: what stands behind it must not matter. */
START_TEST(only_the_length_that_is_given_counts)
{
	struct listen_address a;
	uint64_t value = 0;

	ck_assert_int_eq(
	    value_msec(&value, (struct str){ "15ss", 3 }, &advice), SW_OK);
	ck_assert_uint_eq(value, 15000);
	ck_assert_int_eq(
	    value_bytes(&value, (struct str){ "64k4", 2 }, &advice), SW_OK);
	ck_assert_uint_eq(value, 64);
	ck_assert_int_eq(
	    value_address(&a, (struct str){ "127.0.0.1:80801", 14 }, &advice),
	    SW_OK);
	check_host(&a, "127.0.0.1", 8080);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf/values");
	TCase *tc = tcase_create("values");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(
	    tc, a_duration_has_a_number_and_a_unit, 0, COUNT(durations));
	tcase_add_loop_test(tc, what_is_no_duration_is_refused_with_advice, 0,
	    COUNT(bad_durations));
	tcase_add_loop_test(
	    tc, a_size_is_in_bytes_or_has_a_unit, 0, COUNT(sizes));
	tcase_add_loop_test(
	    tc, what_is_no_size_is_refused_with_advice, 0, COUNT(bad_sizes));
	tcase_add_test(tc, a_number_too_large_to_count_is_the_largest);
	tcase_add_test(tc, a_count_is_a_whole_number);
	tcase_add_loop_test(
	    tc, what_is_no_count_is_refused_with_advice, 0, COUNT(bad_counts));
	tcase_add_loop_test(tc, a_flag_has_six_spellings, 0, COUNT(flags));
	tcase_add_loop_test(
	    tc, what_is_no_flag_is_refused_with_advice, 0, COUNT(bad_flags));
	tcase_add_test(tc, a_word_is_its_place_in_the_list);
	tcase_add_loop_test(tc,
	    an_address_is_an_ip_address_with_a_port_or_a_path, 0,
	    COUNT(addresses));
	tcase_add_loop_test(tc, what_is_no_address_is_refused_with_advice, 0,
	    COUNT(bad_addresses));
	tcase_add_test(tc, the_longest_path_of_a_socket_fits);
	tcase_add_test(tc, only_the_length_that_is_given_counts);
	tcase_add_loop_test(
	    tc, an_origin_is_what_a_browser_makes_of_it, 0, COUNT(origins));
	tcase_add_loop_test(tc, what_is_no_origin_is_refused_with_advice, 0,
	    COUNT(bad_origins));
	tcase_add_test(tc, a_name_is_a_token);

	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
