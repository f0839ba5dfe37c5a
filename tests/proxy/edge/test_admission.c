#include "proxy/edge/admission.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "tests/suite.h"

static struct admission *admission;
static const struct admission_limits few = {
	.total = 5,
	.per_address = 2,
};

static struct address
at(const char *text)
{
	struct address a = { .family = AF_INET };

	if (strchr(text, ':') != NULL)
		a.family = AF_INET6;
	ck_assert_int_eq(inet_pton(a.family, text, a.ip), 1);
	return a;
}

static void
begin(const struct admission_limits *limits)
{
	ck_assert_int_eq(admission_new(&admission, limits), SW_OK);
}

static void
end(void)
{
	admission_free(admission);
}

/* LIMIT_COUNT: it may come. */
static enum limit
enter(const char *text, bool tls, uint64_t now_ms)
{
	struct address a = at(text);
	enum limit why;

	return admission_enter(admission, &a, tls, false, now_ms, &why) ?
	    LIMIT_COUNT :
	    why;
}

static void
leave(const char *text)
{
	struct address a = at(text);

	admission_leave(admission, &a);
}

START_TEST(each_address_has_so_many_and_all_have_so_many)
{
	begin(&few);
	ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.1", true, 0), LIMIT_COUNT);
	ck_assert_int_eq(
	    enter("192.0.2.1", false, 0), LIMIT_CONNECTIONS_PER_ADDRESS);
	ck_assert_int_eq(enter("192.0.2.2", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.3", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.4", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.5", false, 0), LIMIT_CONNECTIONS);
	leave("192.0.2.1");
	ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_COUNT);
	end();
}
END_TEST

START_TEST(of_ipv6_a_network_of_64_bits_is_one_address)
{
	begin(&few);
	ck_assert_int_eq(enter("2001:db8:0:1::1", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("2001:db8:0:1:ffff::2", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("2001:db8:0:1:2:3:4:5", false, 0),
	    LIMIT_CONNECTIONS_PER_ADDRESS);
	ck_assert_int_eq(enter("2001:db8:0:2::1", false, 0), LIMIT_COUNT);
	end();
}
END_TEST

START_TEST(this_machine_is_exempt_unless_it_is_told_not_to_be)
{
	struct admission_limits limits = few;

	limits.total = 100;
	begin(&limits);
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(enter("127.0.0.1", false, 0), LIMIT_COUNT);
		ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	}
	limits.loopback = true;
	admission_configure(admission, &limits);
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_CONNECTIONS_PER_ADDRESS);
	/* Those from before leave, and nobody is counted below zero. */
	for (int i = 0; i < 12; i++)
		leave("::1");
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	/* Who was counted leaves, though it is exempt by then. */
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	limits.loopback = false;
	admission_configure(admission, &limits);
	leave("::1");
	leave("::1");
	limits.loopback = true;
	admission_configure(admission, &limits);
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_COUNT);
	ck_assert_int_eq(enter("::1", false, 0), LIMIT_CONNECTIONS_PER_ADDRESS);
	end();
}
END_TEST

START_TEST(connections_come_at_a_pace_after_a_burst)
{
	const struct admission_limits limits = {
		.total = 1000,
		.rate = 10,
		.tls_rate = 1,
	};
	uint64_t now = 5000;

	begin(&limits);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(enter("192.0.2.1", false, now), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.1", false, now), LIMIT_CONNECTION_RATE);
	/* Leaving does not help, nor does it hurt others. */
	for (int i = 0; i < 100; i++)
		leave("192.0.2.1");
	ck_assert_int_eq(
	    enter("192.0.2.1", false, now + 99), LIMIT_CONNECTION_RATE);
	ck_assert_int_eq(enter("192.0.2.2", false, now), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.1", false, now + 100), LIMIT_COUNT);
	ck_assert_int_eq(
	    enter("192.0.2.1", false, now + 100), LIMIT_CONNECTION_RATE);
	/* Handshakes have a pace of their own. */
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(enter("192.0.2.3", true, now), LIMIT_COUNT);
	ck_assert_int_eq(enter("192.0.2.3", true, now), LIMIT_HANDSHAKE_RATE);
	end();
}
END_TEST

START_TEST(addresses_are_forgotten_when_their_pace_does_not_matter)
{
	const struct admission_limits limits = { .total = 1000, .rate = 100 };
	char text[32];

	begin(&limits);
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "192.0.2.%d", i);
		ck_assert_int_eq(enter(text, false, 1000), LIMIT_COUNT);
		leave(text);
	}
	ck_assert_uint_eq(admission_addresses(admission), 200);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(
		    enter("198.51.100.1", false, 1020), LIMIT_COUNT);
		leave("198.51.100.1");
	}
	ck_assert_uint_eq(admission_addresses(admission), 1);
	end();
}
END_TEST

START_TEST(without_limits_nothing_is_remembered)
{
	const struct admission_limits limits = { .total = 10 };

	begin(&limits);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_COUNT);
	ck_assert_uint_eq(admission_addresses(admission), 0);
	ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_CONNECTIONS);
	end();
}
END_TEST

START_TEST(what_a_connection_needs_besides_takes_the_place_of_others)
{
	static const struct admission_limits fit = { .total = 9,
		.descriptors = 6 };

	begin(&fit);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_COUNT);
		ck_assert(admission_take(admission, 2));
	}
	ck_assert(!admission_take(admission, 1));
	ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_CONNECTIONS);
	admission_give(admission, 2);
	leave("192.0.2.1");
	ck_assert_int_eq(enter("192.0.2.1", false, 0), LIMIT_COUNT);
	ck_assert(!admission_take(admission, 3));
	ck_assert(admission_take(admission, 2));
	end();
}
END_TEST

START_TEST(nothing_is_too_large_for_a_pace_but_it_has_to_be_paid_for)
{
	uint64_t due = 0, cost = pace_cost_us(5000, 100), now = 1000;

	ck_assert_uint_eq(cost, 50 * 1000000);
	/* Ten seconds may come at once, and one more goes beyond them. */
	ck_assert(pace_spends(&due, now, cost, 10000));
	ck_assert(!pace_spends(&due, now, 1, 10000));
	ck_assert(!pace_spends(&due, now + 40000, 1, 10000));
	ck_assert(pace_spends(&due, now + 40001, 1, 10000));
	/* No rate: no cost, whatever there was before. */
	ck_assert_uint_eq(pace_cost_us(5000, 0), 0);
	ck_assert(pace_spends(&due, now, 0, 10000));
}
END_TEST

START_TEST(a_pace_does_not_save_up_what_was_not_used)
{
	uint64_t due = 0, cost = pace_cost_us(1, 1);

	for (uint64_t now = 1000; now < 1000000; now += 500000) {
		for (int i = 0; i < 10; i++)
			ck_assert(pace_spends(&due, now, cost, 10000));
		ck_assert(!pace_spends(&due, now, cost, 10000));
	}
}
END_TEST

SUITE("admission", TEST(each_address_has_so_many_and_all_have_so_many),
    TEST(of_ipv6_a_network_of_64_bits_is_one_address),
    TEST(this_machine_is_exempt_unless_it_is_told_not_to_be),
    TEST(connections_come_at_a_pace_after_a_burst),
    TEST(addresses_are_forgotten_when_their_pace_does_not_matter),
    TEST(without_limits_nothing_is_remembered),
    TEST(what_a_connection_needs_besides_takes_the_place_of_others),
    TEST(nothing_is_too_large_for_a_pace_but_it_has_to_be_paid_for),
    TEST(a_pace_does_not_save_up_what_was_not_used))
