#include <stdlib.h>

#include "proxy/base/err.h"
#include "storage/chain.h"
#include "tests/suite.h"

enum { EVENTS = 20000 };

/* Rows of one channel, by their numbers; ids are not numbers. */
struct rows {
	uint64_t jump[EVENTS + 1];
	uint64_t missing_up_to; /* these are not in the store any more */
	unsigned asked;
};

static uint64_t
id_of(uint64_t number)
{
	return number * 7 + 3;
}

static uint64_t
number_of(uint64_t id)
{
	return (id - 3) / 7;
}

static uint64_t
jump_of(void *ctx, uint64_t id)
{
	struct rows *rows = ctx;
	uint64_t number = number_of(id);

	rows->asked++;
	return number <= rows->missing_up_to ? 0 : rows->jump[number];
}

static void
append(struct chain *c, struct rows *rows, uint64_t number)
{
	ck_assert_int_eq(
	    chain_append(c, id_of(number), number, &rows->jump[number]), SW_OK);
}

static unsigned
bits(uint64_t n)
{
	return n == 0 ? 1 : 64 - (unsigned)__builtin_clzll(n);
}

START_TEST(jump_numbers_follow_the_skew_binary_scheme)
{
	static const uint64_t jumps[] = { 0, 0, 1, 0, 3, 4, 3, 0, 7, 8, 7, 10,
		11, 10, 7, 0, 15, 16, 15, 18, 19, 18, 15, 22, 23, 22, 25, 26,
		25, 22, 15, 0, 31 };

	for (uint64_t n = 0; n < COUNT(jumps); n++)
		ck_assert_uint_eq(chain_jump_number(n), jumps[n]);
}
END_TEST

START_TEST(a_jump_goes_back_also_for_very_large_numbers)
{
	for (unsigned k = 1; k < 63; k++) {
		uint64_t n = (1ULL << k) - 1;

		ck_assert_uint_eq(chain_jump_number(n), 0);
		ck_assert_uint_eq(chain_jump_number(n + 1), n);
		ck_assert_uint_lt(chain_jump_number(n + 2), n + 2);
	}
}
END_TEST

/* Jump where that does not go too far, else step: counted, not timed. */
START_TEST(any_older_event_is_reached_in_logarithmic_steps)
{
	for (uint64_t from = 1; from <= usually(1025, 129); from++)
		for (uint64_t to = 1; to <= from; to++) {
			uint64_t at = from;
			unsigned steps = 0;

			while (at > to) {
				uint64_t jump = chain_jump_number(at);

				at = jump >= to ? jump : at - 1;
				steps++;
			}
			ck_assert_uint_eq(at, to);
			ck_assert_uint_le(steps, 3 * bits(from));
		}
}
END_TEST

START_TEST(a_search_over_a_million_million_events_is_short)
{
	uint64_t random = 1;

	for (int i = 0; i < 10000; i++) {
		uint64_t at = 1000000000000u, to;
		unsigned steps = 0;

		random = random * 6364136223846793005u + 1442695040888963407u;
		to = 1 + random % at;
		while (at > to) {
			uint64_t jump = chain_jump_number(at);

			at = jump >= to ? jump : at - 1;
			steps++;
		}
		ck_assert_uint_le(steps, 3 * 40);
	}
}
END_TEST

START_TEST(an_appended_event_gets_the_id_at_its_jump_number)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct chain c = { .spine = NULL };

	for (uint64_t n = 1; n <= usually(EVENTS, 2000); n++) {
		uint64_t target = chain_jump_number(n);

		append(&c, rows, n);
		ck_assert_uint_eq(
		    rows->jump[n], target == 0 ? 0 : id_of(target));
		ck_assert(chain_ends_with(&c, id_of(n)));
		ck_assert_uint_le(c.depth, 2 * bits(n));
	}
	chain_fini(&c);
	free(rows);
}
END_TEST

START_TEST(an_empty_chain_ends_with_nothing)
{
	struct chain c = { .spine = NULL };

	ck_assert(chain_ends_with(&c, 0));
	ck_assert(!chain_ends_with(&c, id_of(1)));
	chain_fini(&c);
	ck_assert(chain_ends_with(&c, 0));
}
END_TEST

START_TEST(a_rebuilt_spine_is_the_same)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct chain c = { .spine = NULL }, again = { .spine = NULL };

	for (uint64_t n = 1; n <= usually(3000, 300); n++) {
		append(&c, rows, n);
		rows->asked = 0;
		ck_assert_int_eq(
		    chain_rebuild(&again, id_of(n), n, jump_of, rows), SW_OK);
		ck_assert_uint_le(rows->asked, 2 * bits(n));
		ck_assert_uint_eq(again.depth, c.depth);
		for (size_t i = 0; i < c.depth; i++) {
			ck_assert_uint_eq(again.spine[i].id, c.spine[i].id);
			ck_assert_uint_eq(
			    again.spine[i].number, c.spine[i].number);
		}
	}
	chain_fini(&c);
	chain_fini(&again);
	free(rows);
}
END_TEST

/* What is appended after it jumps to the same events, as far as there are. */
START_TEST(a_spine_rebuilt_without_removed_rows_goes_on_right)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	uint64_t head = 200 + (uint64_t)_i;

	for (uint64_t gone = 0; gone <= head; gone += usually(7, 41)) {
		struct chain c = { .spine = NULL };

		for (uint64_t n = 1; n <= head; n++)
			append(&c, rows, n);
		rows->missing_up_to = gone;
		ck_assert_int_eq(
		    chain_rebuild(&c, id_of(head), head, jump_of, rows), SW_OK);
		ck_assert(chain_ends_with(&c, id_of(head)));
		for (uint64_t n = head + 1; n <= head + 300; n++) {
			uint64_t target = chain_jump_number(n);

			append(&c, rows, n);
			if (target > gone)
				ck_assert_uint_eq(rows->jump[n], id_of(target));
			else
				ck_assert(rows->jump[n] == 0 ||
				    rows->jump[n] == id_of(target));
		}
		chain_fini(&c);
	}
	free(rows);
}
END_TEST

START_TEST(a_chain_is_rebuilt_down_to_nothing)
{
	struct rows *rows = calloc(1, sizeof(*rows));
	struct chain c = { .spine = NULL };

	append(&c, rows, 1);
	ck_assert_int_eq(chain_rebuild(&c, 0, 0, jump_of, rows), SW_OK);
	ck_assert(chain_ends_with(&c, 0));
	ck_assert_uint_eq(rows->asked, 0);
	chain_fini(&c);
	free(rows);
}
END_TEST

SUITE("storage/chain", TEST(jump_numbers_follow_the_skew_binary_scheme),
    TEST(a_jump_goes_back_also_for_very_large_numbers),
    TEST(any_older_event_is_reached_in_logarithmic_steps),
    TEST(a_search_over_a_million_million_events_is_short),
    TEST(an_appended_event_gets_the_id_at_its_jump_number),
    TEST(an_empty_chain_ends_with_nothing), TEST(a_rebuilt_spine_is_the_same),
    LOOP(a_spine_rebuilt_without_removed_rows_goes_on_right, 3),
    TEST(a_chain_is_rebuilt_down_to_nothing))
