#include "storage/sqlite/payload_place.h"

#include <check.h>

#include "proxy/base/err.h"
#include "tests/suite.h"

START_TEST(a_place_reads_back)
{
	const struct payload_place places[] = {
		{ 0, 0, 0, 0, true },
		{ 7, 512, 100000, 1, true },
		{ UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, true },
	};

	for (size_t i = 0; i < COUNT(places); i++) {
		const struct payload_place *want = &places[i];
		char text[PAYLOAD_PLACE_MAX];
		struct payload_place at;

		payload_place_print(text, want);
		ck_assert_int_eq(payload_place_parse(&at, str_of(text)), SW_OK);
		ck_assert_uint_eq(at.number, want->number);
		ck_assert_uint_eq(at.offset, want->offset);
		ck_assert_uint_eq(at.size, want->size);
		ck_assert_uint_eq(at.sum, want->sum);
		ck_assert(at.summed);
	}
}
END_TEST

START_TEST(a_place_of_the_first_schema_has_no_sum)
{
	struct payload_place at;

	ck_assert_int_eq(payload_place_parse(&at, STR("7 512 100000")), SW_OK);
	ck_assert_uint_eq(at.number, 7);
	ck_assert_uint_eq(at.offset, 512);
	ck_assert_uint_eq(at.size, 100000);
	ck_assert(!at.summed);
}
END_TEST

START_TEST(anything_else_is_no_place)
{
	static const char *const bad[] = { "", "1", "1 2", "1 2 3 4 5",
		"1 2 3 ", "1 2 3 4 ", "x 2 3", "1 2 x", "1 2 3 x",
		"18446744073709551616 1 1", "1  2 3", "+1 2 3", "1 2 3 -4" };
	struct payload_place at;

	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_int_eq(
		    payload_place_parse(&at, str_of(bad[i])), SW_ECORRUPT);
	ck_assert_int_eq(
	    payload_place_parse(&at, (struct str){ NULL, 0 }), SW_ECORRUPT);
}
END_TEST

/* _i: bytes. Around the sizes of words and of blocks of them. */
START_TEST(a_sum_tells_any_change)
{
	char data[80] = { 0 };
	uint64_t sum;

	for (int i = 0; i < _i; i++)
		data[i] = (char)(i * 37 + 11);
	sum = payload_sum((struct str){ data, (size_t)_i });
	ck_assert_uint_eq(payload_sum((struct str){ data, (size_t)_i }), sum);
	/* A byte more, of zero. */
	ck_assert_uint_ne(
	    payload_sum((struct str){ data, (size_t)_i + 1 }), sum);
	for (int bit = 0; bit < _i * 8; bit++) {
		data[bit / 8] = (char)(data[bit / 8] ^ (1 << bit % 8));
		ck_assert_uint_ne(
		    payload_sum((struct str){ data, (size_t)_i }), sum);
		data[bit / 8] = (char)(data[bit / 8] ^ (1 << bit % 8));
	}
}
END_TEST

START_TEST(a_sum_tells_the_order_of_words)
{
	char data[128], moved[128];
	uint64_t sum;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i / 8 * 3 + 1);
	sum = payload_sum((struct str){ data, sizeof(data) });
	for (size_t a = 0; a < sizeof(data); a += 8)
		for (size_t b = a + 8; b < sizeof(data); b += 8) {
			memcpy(moved, data, sizeof(data));
			memcpy(moved + a, data + b, 8);
			memcpy(moved + b, data + a, 8);
			ck_assert_uint_ne(
			    payload_sum((struct str){ moved, sizeof(moved) }),
			    sum);
		}
}
END_TEST

SUITE("payload_place", TEST(a_place_reads_back),
    TEST(a_place_of_the_first_schema_has_no_sum),
    TEST(anything_else_is_no_place), LOOP(a_sum_tells_any_change, 80),
    TEST(a_sum_tells_the_order_of_words))
