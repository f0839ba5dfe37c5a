#include "proxy/base/utf8.h"

#include "tests/bytes.h"
#include "tests/suite.h"

/* Check leaves a mark for each assertion: too slow for millions of them. */
#define expect(condition, ...)                     \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

/*
 * What RFC 3629 allows, from its definition: every code point but the
 * surrogates, encoded. The sets hold all beginnings of those encodings.
 */
static uint8_t is_whole_1[0x100], is_part_1[0x100];
static uint8_t is_whole_2[0x10000], is_part_2[0x10000];
static uint8_t is_whole_3[1 << 21], is_part_3[1 << 21]; /* bits */

static size_t
encode(uint32_t c, uint8_t out[4])
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xc0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xe0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

static bool
surrogate(uint32_t c)
{
	return c >= 0xd800 && c < 0xe000;
}

static void
learn(void)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		uint8_t b[4] = { 0 };
		size_t n = surrogate(c) ? 0 : encode(c, b);
		size_t two = (size_t)b[0] << 8 | b[1], three = two << 8 | b[2];

		if (n == 0)
			continue;
		if (n == 1)
			is_whole_1[b[0]] = 1;
		else
			is_part_1[b[0]] = 1;
		if (n == 2)
			is_whole_2[two] = 1;
		else if (n > 2)
			is_part_2[two] = 1;
		if (n == 3)
			is_whole_3[three / 8] |= (uint8_t)(1u << three % 8);
		else if (n > 3)
			is_part_3[three / 8] |= (uint8_t)(1u << three % 8);
	}
}

START_TEST(every_code_point_is_valid_and_every_part_of_it_unfinished)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		struct utf8 u = UTF8_START;
		uint8_t b[4];
		size_t n = encode(c, b);

		if (surrogate(c)) {
			expect(!utf8_valid(b, n), "U+%04x", c);
			continue;
		}
		expect(utf8_valid(b, n), "U+%04x", c);
		for (size_t i = 0; i < n; i++)
			expect((i == 0 || !utf8_valid(b, i)) &&
				utf8_feed(&u, b + i, 1) &&
				utf8_complete(&u) == (i + 1 == n),
			    "U+%04x at %zu", c, i);
	}
}
END_TEST

START_TEST(code_points_beyond_the_last_are_invalid)
{
	for (uint32_t c = 0x110000; c < 0x200000; c++) {
		uint8_t b[4];

		expect(encode(c, b) == 4 && !utf8_valid(b, 4), "U+%04x", c);
	}
}
END_TEST

/* One byte after the other: it fails at the first that cannot be right. */
START_TEST(every_sequence_of_one_and_two_bytes_is_judged)
{
	learn();
	for (unsigned a = 0; a < 0x100; a++) {
		uint8_t b[2] = { (uint8_t)a, 0 };
		struct utf8 u = UTF8_START;
		bool first = utf8_feed(&u, b, 1);

		expect(first == (is_whole_1[a] || is_part_1[a]), "%02x", a);
		ck_assert(utf8_valid(b, 1) == is_whole_1[a]);
		if (!is_part_1[a])
			continue;
		ck_assert(!utf8_complete(&u));
		for (unsigned c = 0; c < 0x100; c++) {
			struct utf8 v = u;
			size_t two = a << 8 | c;

			b[1] = (uint8_t)c;
			expect(utf8_feed(&v, b + 1, 1) ==
				(is_whole_2[two] || is_part_2[two]),
			    "%02x %02x", a, c);
			ck_assert(utf8_valid(b, 2) == is_whole_2[two]);
		}
	}
}
END_TEST

START_TEST(every_sequence_of_three_bytes_is_judged)
{
	learn();
	for (size_t two = 0; two < 0x10000; two++) {
		uint8_t b[3] = { (uint8_t)(two >> 8), (uint8_t)two, 0 };
		struct utf8 u = UTF8_START;

		if (!is_part_2[two])
			continue;
		ck_assert(utf8_feed(&u, b, 2));
		for (size_t c = 0; c < 0x100; c++) {
			size_t three = two << 8 | c;
			bool whole = is_whole_3[three / 8] >> three % 8 & 1;
			bool part = is_part_3[three / 8] >> three % 8 & 1;
			struct utf8 v = u;

			b[2] = (uint8_t)c;
			expect(utf8_feed(&v, b + 2, 1) == (whole || part) &&
				utf8_valid(b, 3) == whole,
			    "%06zx", three);
		}
	}
}
END_TEST

START_TEST(only_a_continuation_ends_a_sequence_of_four_bytes)
{
	learn();
	for (size_t three = 0; three < 1 << 24; three++) {
		uint8_t b[4] = { (uint8_t)(three >> 16), (uint8_t)(three >> 8),
			(uint8_t)three, 0 };

		if ((is_part_3[three / 8] >> three % 8 & 1) == 0)
			continue;
		for (unsigned c = 0; c < 0x100; c++) {
			b[3] = (uint8_t)c;
			expect(utf8_valid(b, 4) == ((c & 0xc0) == 0x80),
			    "%06zx %02x", three, c);
		}
	}
}
END_TEST

static const struct {
	const char *text;
	size_t len, fails_at;
} faults[] = {
	/* Longer than need be. */
	{ "\xc0\x80", 2, 0 },
	{ "\xc1\xbf", 2, 0 },
	{ "\xe0\x80\x80", 3, 1 },
	{ "\xe0\x9f\xbf", 3, 1 },
	{ "\xf0\x80\x80\x80", 4, 1 },
	{ "\xf0\x8f\xbf\xbf", 4, 1 },
	{ "\xf8\x88\x80\x80\x80", 5, 0 },
	{ "\xfc\x84\x80\x80\x80\x80", 6, 0 },
	/* Surrogates, alone and as a pair (CESU-8). */
	{ "\xed\xa0\x80", 3, 1 },
	{ "\xed\xbf\xbf", 3, 1 },
	{ "\xed\xa1\x8c\xed\xbe\xb4", 6, 1 },
	/* Beyond U+10FFFF. */
	{ "\xf4\x90\x80\x80", 4, 1 },
	{ "\xf5\x80\x80\x80", 4, 0 },
	{ "\xff", 1, 0 },
	{ "\xfe", 1, 0 },
	/* A continuation of nothing, or a character that does not end. */
	{ "\x80", 1, 0 },
	{ "a\xbf", 2, 1 },
	{ "\xc3(", 2, 1 },
	{ "\xe2\x82(", 3, 2 },
	{ "\xf0\x9f\x98(", 4, 3 },
	{ "\xc3\xc3\xa9", 3, 1 },
	{ "\xe2\x82\xac\xac", 4, 3 },
	/* RFC 6455's own example of failing early. */
	{ "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80"
	  "edited",
	    21, 12 },
};

/* The first byte at which feeding one by one fails; `n` if it does not. */
static size_t
failing_byte(const char *text, size_t n)
{
	struct utf8 u = UTF8_START;

	for (size_t i = 0; i < n; i++)
		if (!utf8_feed(&u, text + i, 1))
			return i;
	return n;
}

START_TEST(a_fault_is_seen_at_its_first_byte)
{
	const char *text = faults[_i].text;
	size_t len = faults[_i].len, at = faults[_i].fails_at;
	char shifted[64];

	ck_assert_uint_eq(failing_byte(text, len), at);
	/* Whole, and behind ASCII that is read eight bytes at a time. */
	for (size_t before = 0; before < 20; before++)
		for (size_t behind = 0; behind < 20; behind++) {
			struct utf8 u = UTF8_START;

			memset(shifted, 'x', sizeof(shifted));
			memcpy(shifted + before, text, len);
			ck_assert(!utf8_valid(shifted, before + len + behind));
			ck_assert(utf8_feed(&u, shifted, before + at));
			ck_assert(
			    !utf8_feed(&u, shifted + before + at, 1 + behind));
		}
}
END_TEST

/* Many bytes are looked at together, ASCII in one way, the rest in another. */
START_TEST(a_fault_is_seen_wherever_it_stands)
{
	static const char *const fillers[] = { "xx", "\xc3\xa9" };
	const char *text = faults[_i].text;
	size_t len = faults[_i].len;
	char shifted[256];

	for (size_t f = 0; f < COUNT(fillers); f++)
		for (size_t before = 0; before < 150; before += 2) {
			for (size_t i = 0; i < sizeof(shifted); i += 2)
				memcpy(shifted + i, fillers[f], 2);
			ck_assert(utf8_valid(shifted, sizeof(shifted)));
			memcpy(shifted + before, text, len);
			if (len % 2 != 0)
				shifted[before + len] = 'x';
			expect(!utf8_valid(shifted, sizeof(shifted)),
			    "fault %d at %zu", _i, before);
		}
}
END_TEST

static const char long_text[] =
    "plain ASCII, then h\xc3\xa9llo, \xe2\x82\xac 5, \xf0\x9f\x98\x80; "
    "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5 and \xf4\x8f\xbf\xbf\xee"
    "\x80\x80\xed\x9f\xbf\xef\xbf\xbf\xc2\x80\xdf\xbf\xe0\xa0\x80\xf0\x90\x80"
    "\x80 to the end, with more ASCII";

START_TEST(a_text_is_valid_cut_anywhere)
{
	size_t len = sizeof(long_text) - 1;

	ck_assert(utf8_valid(long_text, len));
	for (size_t a = 0; a <= len; a++)
		for (size_t b = a; b <= len; b++) {
			struct utf8 u = UTF8_START;

			expect(utf8_feed(&u, long_text, a) &&
				utf8_feed(&u, long_text + a, b - a) &&
				utf8_feed(&u, long_text + b, len - b) &&
				utf8_complete(&u),
			    "cut at %zu and %zu", a, b);
		}
}
END_TEST

START_TEST(nothing_is_valid)
{
	struct utf8 u = UTF8_START;

	ck_assert(utf8_valid("", 0));
	ck_assert(utf8_feed(&u, "\xe2\x82", 2));
	ck_assert(utf8_feed(&u, "", 0));
	ck_assert(!utf8_complete(&u));
	ck_assert(utf8_feed(&u, "\xac", 1));
	ck_assert(utf8_complete(&u));
}
END_TEST

SUITE("utf8", TEST(every_code_point_is_valid_and_every_part_of_it_unfinished),
    TEST(code_points_beyond_the_last_are_invalid),
    TEST(every_sequence_of_one_and_two_bytes_is_judged),
    TEST(every_sequence_of_three_bytes_is_judged),
    TEST(only_a_continuation_ends_a_sequence_of_four_bytes),
    LOOP(a_fault_is_seen_at_its_first_byte, COUNT(faults)),
    LOOP(a_fault_is_seen_wherever_it_stands, COUNT(faults)),
    TEST(a_text_is_valid_cut_anywhere), TEST(nothing_is_valid))
