#include "proxy/base/str.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

START_TEST(a_text_is_itself_and_nothing_else)
{
	ck_assert(str_is(STR("abc"), "abc"));
	ck_assert(!str_is(STR("abc"), "ab"));
	ck_assert(!str_is(STR("ab"), "abc"));
	ck_assert(!str_is(STR("abC"), "abc"));
	ck_assert(!str_is(BYTES("ab\0"), "ab"));
	ck_assert(str_is(STR(""), ""));
	ck_assert(str_is_nocase(STR("Content-LENGTH"), "content-length"));
	ck_assert(!str_is_nocase(STR("content-lengt"), "content-length"));
	ck_assert(!str_is_nocase(STR("content_length"), "content-length"));
	ck_assert(str_starts(STR("/stream/a"), "/stream/"));
	ck_assert(str_starts(STR("/stream/"), "/stream/"));
	ck_assert(!str_starts(STR("/stream"), "/stream/"));
}
END_TEST

START_TEST(no_text_is_not_an_empty_text)
{
	struct str none = str_of(NULL), empty = str_of("");

	ck_assert_ptr_null(none.p);
	ck_assert_uint_eq(none.len, 0);
	ck_assert_ptr_nonnull(empty.p);
	ck_assert_uint_eq(empty.len, 0);
}
END_TEST

static const struct {
	const char *text, *trimmed;
} trims[] = {
	{ "", "" }, { "a", "a" }, { " a", "a" }, { "a ", "a" },
	{ "\t \ta b\t ", "a b" }, { " ", "" }, { "\t\t\t", "" },
	{ "\na\n", "\na\n" }, /* blanks and tabs alone */
};

START_TEST(trimming_takes_blanks_and_tabs_off_both_ends)
{
	assert_text(str_trim(str_of(trims[_i].text)), trims[_i].trimmed);
}
END_TEST

static const struct {
	const char *text;
	size_t count;
	const char *parts[4];
} cuts[] = {
	{ "", 1, { "" } },
	{ "a", 1, { "a" } },
	{ "a,b", 2, { "a", "b" } },
	{ "a,", 2, { "a", "" } },
	{ ",a", 2, { "", "a" } },
	{ ",", 2, { "", "" } },
	{ "a,,b", 3, { "a", "", "b" } },
	{ "one,two,three,four", 4, { "one", "two", "three", "four" } },
};

START_TEST(cutting_gives_every_part_once)
{
	struct str rest = str_of(cuts[_i].text), part;

	for (size_t i = 0; i < cuts[_i].count; i++) {
		ck_assert(str_cut(&rest, ',', &part));
		assert_text(part, cuts[_i].parts[i]);
	}
	ck_assert(!str_cut(&rest, ',', &part));
	ck_assert(!str_cut(&rest, ',', &part));
}
END_TEST

static const struct {
	const char *list, *token;
	bool there;
} tokens[] = {
	{ "upgrade", "Upgrade", true },
	{ "keep-alive, Upgrade", "upgrade", true },
	{ "keep-alive,\tUPGRADE\t,x", "upgrade", true },
	{ ",,upgrade,,", "upgrade", true },
	{ "upgraded", "upgrade", false },
	{ "no-upgrade", "upgrade", false },
	{ "up grade", "upgrade", false },
	{ "upgrade;q=1", "upgrade", false },
	{ "", "upgrade", false },
	{ ",", "upgrade", false },
};

START_TEST(a_token_is_found_in_a_list)
{
	ck_assert(str_has_token(str_of(tokens[_i].list), tokens[_i].token) ==
	    tokens[_i].there);
}
END_TEST

static const struct {
	const char *text;
	uint64_t max, value;
} numbers[] = {
	{ "0", UINT64_MAX, 0 },
	{ "0", 0, 0 },
	{ "7", 7, 7 },
	{ "15", 15, 15 },
	{ "007", 7, 7 },
	{ "00000000000000000042", 42, 42 }, /* 20 digits */
	{ "4294967295", UINT32_MAX, UINT32_MAX },
	{ "9223372036854775807", INT64_MAX, INT64_MAX },
	{ "18446744073709551615", UINT64_MAX, UINT64_MAX },
	{ "18446744073709551614", UINT64_MAX, UINT64_MAX - 1 },
	{ "10000000000000000000", UINT64_MAX, 10000000000000000000u },
};

START_TEST(a_number_up_to_its_maximum_is_read)
{
	uint64_t value = 99;

	ck_assert_int_eq(
	    str_to_u64(&value, str_of(numbers[_i].text), numbers[_i].max),
	    SW_OK);
	ck_assert_uint_eq(value, numbers[_i].value);
}
END_TEST

static const struct {
	const char *text;
	uint64_t max;
} no_numbers[] = {
	{ "", UINT64_MAX },
	{ "-1", UINT64_MAX },
	{ "+1", UINT64_MAX },
	{ " 1", UINT64_MAX },
	{ "1 ", UINT64_MAX },
	{ "1.0", UINT64_MAX },
	{ "0x10", UINT64_MAX },
	{ "1e3", UINT64_MAX },
	{ "1,000", UINT64_MAX },
	{ "\xd9\xa1", UINT64_MAX }, /* an Arabic digit */
	{ "/", UINT64_MAX },        /* the character before 0 */
	{ ":", UINT64_MAX },        /* and behind 9 */
	{ "16", 15 },
	{ "101", 100 },
	{ "4294967296", UINT32_MAX },
	{ "9223372036854775808", INT64_MAX },
	{ "18446744073709551616", UINT64_MAX },
	{ "99999999999999999999", UINT64_MAX },
	{ "184467440737095516150", UINT64_MAX },
	{ "1", 0 },
};

START_TEST(what_is_no_number_is_refused)
{
	uint64_t value = 99;

	ck_assert_int_eq(
	    str_to_u64(&value, str_of(no_numbers[_i].text), no_numbers[_i].max),
	    SW_EINVAL);
	ck_assert_uint_eq(value, 99);
}
END_TEST

/* It once took 9 for a number up to 5: the maximum less the digit wrapped. */
START_TEST(a_digit_above_a_small_maximum_is_refused)
{
	for (uint64_t max = 0; max < 30; max++)
		for (uint64_t n = 0; n < 40; n++) {
			char text[8];
			uint64_t value;

			snprintf(text, sizeof(text), "%u", (unsigned)n);
			ck_assert_msg((str_to_u64(&value, str_of(text), max) ==
					  SW_OK) == (n <= max),
			    "%s of %u", text, (unsigned)max);
		}
}
END_TEST

START_TEST(texts_are_kept_one_behind_the_other)
{
	char place[8] = "xxxxxxx", *at = place;
	struct str first = str_keep(&at, STR("ab"));
	struct str none = str_keep(&at, (struct str){ NULL, 0 });
	struct str empty = str_keep(&at, STR(""));
	struct str last = str_keep(&at, STR("cde"));

	ck_assert_ptr_eq(at, place + 5);
	ck_assert_ptr_eq(first.p, place);
	ck_assert_ptr_null(none.p);
	ck_assert_ptr_nonnull(empty.p);
	ck_assert_uint_eq(empty.len, 0);
	ck_assert(str_is(last, "cde"));
	ck_assert_mem_eq(place, "abcdexx", 8);
}
END_TEST

SUITE("str", TEST(a_text_is_itself_and_nothing_else),
    TEST(no_text_is_not_an_empty_text),
    TEST(texts_are_kept_one_behind_the_other),
    LOOP(trimming_takes_blanks_and_tabs_off_both_ends, COUNT(trims)),
    LOOP(cutting_gives_every_part_once, COUNT(cuts)),
    LOOP(a_token_is_found_in_a_list, COUNT(tokens)),
    LOOP(a_number_up_to_its_maximum_is_read, COUNT(numbers)),
    LOOP(what_is_no_number_is_refused, COUNT(no_numbers)),
    TEST(a_digit_above_a_small_maximum_is_refused))
