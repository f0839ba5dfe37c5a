#include "storage/past.h"

#include <stdio.h>

#include "proxy/base/err.h"
#include "tests/suite.h"

static char kept[4096];

/* The text after another configuration, which is kept for the next one. */
static const char *
turn(const char *rules, uint64_t head, uint64_t *dropped)
{
	struct buf out;

	buf_init(&out, sizeof(kept));
	ck_assert_int_eq(
	    past_turn(&out, str_of(kept), str_of(rules), head, dropped), SW_OK);
	buf_put(&out, "", 1);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	memcpy(kept, buf_head(&out), buf_len(&out));
	buf_fini(&out);
	return kept;
}

static void
check(const char *channel, uint64_t head, uint64_t from, uint64_t upto)
{
	struct past past;
	struct past_span s;

	ck_assert_int_eq(past_read(&past, str_of(kept), head), SW_OK);
	s = past_find(&past, str_of(channel));
	past_fini(&past);
	ck_assert_uint_eq(s.from, from);
	ck_assert_uint_eq(s.upto, upto);
}

static void
check_rules(const struct policy *policies, size_t count, const char *text)
{
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(past_put_rules(&out, policies, count), SW_OK);
	buf_put(&out, "", 1);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	ck_assert_str_eq((const char *)buf_head(&out), text);
	buf_fini(&out);
}

START_TEST(rules_end_with_the_last_one_in_memory)
{
	char a[] = "a*", b[] = "b", c[] = "c", any[] = "*";
	struct policy policies[] = {
		{ .pattern = a, .durability = DURABILITY_NORMAL },
		{ .pattern = b, .durability = DURABILITY_MEMORY },
		{ .pattern = c, .durability = DURABILITY_FULL },
		{ .pattern = any, .durability = DURABILITY_NORMAL },
	};

	check_rules(policies, 0, "");
	check_rules(policies, 1, "");
	check_rules(policies, 4, "stored a*\nmemory b\n");
	policies[3].durability = DURABILITY_MEMORY;
	check_rules(policies, 4, "stored a*\nmemory b\nstored c\nmemory *\n");
}
END_TEST

START_TEST(the_first_rule_that_matches_holds)
{
	uint64_t dropped;

	kept[0] = '\0';
	check("a", 9, 0, 0);
	turn("stored a.b*\nmemory a*\nstored c\nmemory *c\n", 5, &dropped);
	check("a", 9, 5, 9);
	check("a.b", 9, 0, 0);
	check("a.c", 9, 5, 9);
	check("c", 9, 0, 0);
	check("cc", 9, 5, 9);
	check("d", 9, 0, 0);
}
END_TEST

/* Of a channel that is stored now, what memory kept before. */
START_TEST(where_the_last_rules_say_stored_those_before_hold)
{
	uint64_t dropped;

	kept[0] = '\0';
	turn("memory *\n", 3, &dropped);
	turn("stored x\nmemory a\n", 5, &dropped);
	turn("stored a*\nstored b\nmemory *\n", 7, &dropped);
	check("a", 9, 5, 7);
	check("a.b", 9, 3, 5);
	check("b", 9, 3, 5);
	check("c", 9, 7, 9);
}
END_TEST

START_TEST(no_more_spans_are_read_than_are_kept)
{
	size_t len = 0;

	for (unsigned i = 1; i < 3 * PAST_SPANS; i++)
		len += (size_t)snprintf(kept + len, sizeof(kept) - len,
		    "%u %u\nmemory a%u.\n\n", i * 10, i * 10 + 9, i);
	check("a1.", 500, 10, 19);
	check("a9.", 500, 90, 99);
	check("a10.", 500, 0, 0);
}
END_TEST

START_TEST(a_span_ends_with_the_next_rules)
{
	uint64_t dropped;

	kept[0] = '\0';
	ck_assert_str_eq(turn("", 5, &dropped), "");
	ck_assert_str_eq(turn("memory a\n", 7, &dropped), "7 0\nmemory a\n\n");
	ck_assert_uint_eq(past_rules(str_of(kept)).len, 9);
	ck_assert_str_eq(turn("memory b\n", 9, &dropped),
	    "7 9\nmemory a\n\n9 0\nmemory b\n\n");
	check("a", 20, 7, 9);
	check("b", 20, 9, 20);
	ck_assert_str_eq(
	    turn("", 12, &dropped), "7 9\nmemory a\n\n9 12\nmemory b\n\n");
	ck_assert_uint_eq(past_rules(str_of(kept)).len, 0);
	check("b", 20, 9, 12);
	/* The newest one is told. */
	turn("memory a\n", 15, &dropped);
	check("a", 20, 15, 20);
	/* Both say the same of the same channels: the later one does. */
	ck_assert_str_eq(
	    turn("", 16, &dropped), "9 12\nmemory b\n\n15 16\nmemory a\n\n");
	ck_assert_uint_eq(dropped, 0);
}
END_TEST

START_TEST(without_ids_it_is_no_span)
{
	uint64_t dropped;

	kept[0] = '\0';
	turn("memory a\n", 0, &dropped);
	ck_assert_str_eq(turn("memory b\n", 0, &dropped), "0 0\nmemory b\n\n");
	turn("memory c\n", 8, &dropped);
	ck_assert_str_eq(turn("", 8, &dropped), "0 8\nmemory b\n\n");
}
END_TEST

START_TEST(old_spans_are_dropped)
{
	uint64_t dropped, all = 0;
	char rules[64];

	kept[0] = '\0';
	for (unsigned i = 0; i < 20; i++) {
		snprintf(rules, sizeof(rules), "memory a%u\n", i);
		turn(rules, i * 10, &dropped);
		if (dropped != 0) {
			ck_assert_uint_gt(dropped, all);
			all = dropped;
		}
	}
	check("a19", 500, 190, 500);
	check("a18", 500, 180, 190);
	check("a11", 500, 110, 120);
	check("a10", 500, 0, 0);
	ck_assert_uint_eq(all, 110);
}
END_TEST

/* Nobody but us writes it, so that much is enough. */
START_TEST(what_has_no_sense_says_nothing)
{
	static const char *const texts[] = { "x", "1", "1 ", " 1", "1 x",
		"-1 5\nmemory *\n", "1 5", "1 5\n", "1 5\nmemory", "1 5\n\n",
		"1 5\nmemory a", "99999999999999999999 5\nmemory *\n\n" };

	for (size_t i = 0; i < COUNT(texts); i++) {
		uint64_t dropped;

		strcpy(kept, texts[i]);
		check("b", 7, 0, 0);
		turn("memory b\n", 7, &dropped);
		check("b", 9, 7, 9);
	}
}
END_TEST

START_TEST(memory_may_run_out)
{
	uint64_t dropped;
	struct buf out;

	buf_init(&out, 10);
	ck_assert_int_eq(
	    past_turn(&out, STR(""), STR("memory abc\n"), 5, &dropped),
	    SW_ELIMIT);
	buf_fini(&out);
}
END_TEST

SUITE("past", TEST(rules_end_with_the_last_one_in_memory),
    TEST(the_first_rule_that_matches_holds),
    TEST(where_the_last_rules_say_stored_those_before_hold),
    TEST(no_more_spans_are_read_than_are_kept),
    TEST(a_span_ends_with_the_next_rules), TEST(without_ids_it_is_no_span),
    TEST(old_spans_are_dropped), TEST(what_has_no_sense_says_nothing),
    TEST(memory_may_run_out))
