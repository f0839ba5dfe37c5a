#include "proxy/base/log.h"

#include "tests/suite.h"

static const struct {
	const char *text, *quoted;
} quotes[] = {
	{ "", "\"\"" },
	{ "a b=c", "\"a b=c\"" },
	{ "\"\\", "\"\\\"\\\\\"" },
	{ "\n\t\x7f", "\"\\u000a\\u0009\\u007f\"" },
	/* A character each, whatever it is in UTF-8. */
	{ "a\xc3\xb1o", "\"a\\u00f1o\"" },
	{ "\xe2\x82\xac", "\"\\u20ac\"" },
	{ "\xf0\x9f\x98\x80!", "\"\\ud83d\\ude00!\"" },
	/* What is not UTF-8 is told byte by byte. */
	{ "\xe9", "\"\\u00e9\"" },
	{ "\xc3", "\"\\u00c3\"" },
	{ "\xc3(\xff", "\"\\u00c3(\\u00ff\"" },
	{ "\xed\xa0\x80", "\"\\u00ed\\u00a0\\u0080\"" },
	{ "\xe2\x82", "\"\\u00e2\\u0082\"" },
};

START_TEST(what_is_quoted_can_be_read_as_json)
{
	char out[LOG_QUOTED];

	ck_assert_str_eq(
	    log_quote(out, str_of(quotes[_i].text)), quotes[_i].quoted);
}
END_TEST

/* Of characters that need so many bytes, after so many others. */
START_TEST(what_is_too_long_is_cut_behind_a_character)
{
	static const char *const units[] = { "a", "\"", "\n", "\xc3\xb1",
		"\xf0\x9f\x98\x80" };

	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		char text[LOG_QUOTED * 4] = "", *out = malloc(LOG_QUOTED);
		size_t n;

		ck_assert_ptr_nonnull(out);
		memset(text, 'x', (size_t)_i);
		while (strlen(text) < LOG_QUOTED)
			strcat(text, units[u]);
		log_quote(out, str_of(text));
		n = strlen(out);
		ck_assert_uint_gt(n, LOG_QUOTED - 24);
		ck_assert_uint_lt(n, LOG_QUOTED);
		ck_assert_str_eq(out + n - 4, "...\"");
		free(out);
	}
}
END_TEST

SUITE("log",
    LOOP(
	what_is_quoted_can_be_read_as_json, sizeof(quotes) / sizeof(quotes[0])),
    LOOP(what_is_too_long_is_cut_behind_a_character, 16))
