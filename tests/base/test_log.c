#include "proxy/base/log.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

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

/* What a line becomes on standard error, in at most `size` bytes. */
static void
read_line(char *out, size_t size, const char *message)
{
	int ends[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	ck_assert_int_eq(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_write(LOG_INFO, "%s", message);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	n = read(ends[0], out, size - 1);
	close(ends[0]);
	ck_assert_int_gt(n, 0);
	out[n] = '\0';
}

static const struct {
	const char *message, *members;
} lines[] = {
	{ "ready", "\"message\":\"ready\"" },
	{ "closed id=42 why=stalled",
	    "\"message\":\"closed\",\"id\":\"42\",\"why\":\"stalled\"" },
	{ "a b-c=d e_f2=\"g \\\"h\\\\ i=j\"",
	    "\"message\":\"a\",\"b-c\":\"d\","
	    "\"e_f2\":\"g \\\"h\\\\ i=j\"" },
	{ "id=1  n=", "\"message\":\"\",\"id\":\"1\",\"n\":\"\"" },
	{ "a ", "\"message\":\"a\"" },
	{ "\"a\\b\"\n\x1f c=\x02",
	    "\"message\":\"\\\"a\\\\b\\\"\\u000a\\u001f\",\"c\":\"\\u0002\"" },
	/* What a sentence follows is a part of it, and so is what is no key. */
	{ "gone count=5: idle for too long",
	    "\"message\":\"gone count=5: idle for too long\"" },
	{ "user=a: none by=b", "\"message\":\"user=a: none\",\"by\":\"b\"" },
	{ "a=\"b\": c", "\"message\":\"a=\\\"b\\\": c\"" },
	{ "write A=b 2c=d =e", "\"message\":\"write A=b 2c=d =e\"" },
};

START_TEST(as_json_a_line_loses_nothing)
{
	char got[1000], want[1000];
	const char *members;

	log_set(LOG_INFO, true);
	read_line(got, sizeof(got), lines[_i].message);
	log_set(LOG_INFO, false);
	ck_assert_int_eq(strncmp(got, "{\"time\":\"2", 10), 0);
	members = strchr(got, ',');
	ck_assert_ptr_nonnull(members);
	snprintf(
	    want, sizeof(want), ",\"level\":\"info\",%s}\n", lines[_i].members);
	ck_assert_str_eq(members, want);
}
END_TEST

START_TEST(a_line_has_its_time_and_its_level_in_front)
{
	char got[200];

	read_line(got, sizeof(got), "closed id=42");
	ck_assert_str_eq(strchr(got, ' '), " info closed id=42\n");
	ck_assert_uint_eq(
	    strcspn(got, " "), strlen("2026-01-01T00:00:00.000Z"));
}
END_TEST

/* However long it is: one write takes it, and its end is there. */
START_TEST(a_long_line_is_cut)
{
	char message[3000], got[8000];

	memset(message, '"', sizeof(message));
	message[sizeof(message) - 1] = '\0';
	log_set(LOG_INFO, _i == 1);
	read_line(got, sizeof(got), message);
	log_set(LOG_INFO, false);
	ck_assert_uint_gt(strlen(got), 1000);
	ck_assert_uint_le(strlen(got), PIPE_BUF);
	ck_assert_str_eq(got + strlen(got) - 3, _i == 1 ? "\"}\n" : "\"\"\n");
}
END_TEST

SUITE("log",
    LOOP(
	what_is_quoted_can_be_read_as_json, sizeof(quotes) / sizeof(quotes[0])),
    LOOP(what_is_too_long_is_cut_behind_a_character, 16),
    LOOP(as_json_a_line_loses_nothing, COUNT(lines)),
    TEST(a_line_has_its_time_and_its_level_in_front),
    LOOP(a_long_line_is_cut, 2))
