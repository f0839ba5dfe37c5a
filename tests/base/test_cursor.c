#include "proxy/base/cursor.h"

#include "tests/bytes.h"
#include "tests/suite.h"

static const struct {
	const char *text, *epoch;
	uint64_t seq;
} cursors[] = {
	{ "k3x9-1042", "k3x9", 1042 },
	{ "a-0", "a", 0 },
	{ "0-1", "0", 1 },
	{ "abcdefghijklmnop-1", "abcdefghijklmnop", 1 },
	{ "0123456789-10", "0123456789", 10 },
	{ "z-9223372036854775807", "z", SEQ_MAX },
	{ "abcdefghijklmnop-9223372036854775807", "abcdefghijklmnop", SEQ_MAX },
};

START_TEST(a_cursor_reads_and_writes_the_same_text)
{
	char text[CURSOR_MAX], *copy = bytes_copy(str_of(cursors[_i].text));
	struct cursor c;
	struct buf out;

	ck_assert_int_eq(
	    cursor_parse(&c, bytes_of(copy, strlen(cursors[_i].text))), SW_OK);
	ck_assert_str_eq(c.epoch.text, cursors[_i].epoch);
	ck_assert_uint_eq(c.seq, cursors[_i].seq);
	assert_text(bytes_of(text, cursor_format(text, &c.epoch, c.seq)),
	    cursors[_i].text);
	buf_init(&out, CURSOR_MAX);
	ck_assert_int_eq(cursor_put(&out, &c.epoch, c.seq), SW_OK);
	assert_text(buf_str(&out), cursors[_i].text);
	buf_fini(&out);
	free(copy);
}
END_TEST

static const struct str no_cursors[] = {
	{ "", 0 },
	{ "-", 1 },
	{ "a", 1 },
	{ "a-", 2 },
	{ "-1", 2 },
	{ "1042", 4 },
	{ "start", 5 },
	{ "k3x9_1042", 9 },
	{ "k3x9-1042 ", 10 },
	{ " k3x9-1042", 10 },
	{ "k3x9-1042\0", 10 },
	{ "k3x9--1", 7 },
	{ "k3x9-+1", 7 },
	{ "k3x9-1-2", 8 },
	{ "k3x9-0x1", 8 },
	{ "k3x9-1.5", 8 },
	/* One spelling for one place. */
	{ "k3x9-01", 7 },
	{ "k3x9-00", 7 },
	{ "K3X9-1", 6 },
	/* Letters of ours alone. */
	{ "k.x9-1", 6 },
	{ "k\xc3\xa9-1", 5 },
	{ "`-1", 3 },
	{ "{-1", 3 },
	{ "/-1", 3 },
	{ ":-1", 3 },
	/* Too long, too large. */
	{ "abcdefghijklmnopq-1", 19 },
	{ "a-9223372036854775808", 21 },
	{ "a-18446744073709551616", 22 },
	{ "a-99999999999999999999", 22 },
	{ "a-100000000000000000000", 23 },
};

START_TEST(what_is_no_cursor_is_refused)
{
	char *copy = bytes_copy(no_cursors[_i]);
	struct cursor c;

	ck_assert_int_eq(
	    cursor_parse(&c, bytes_of(copy, no_cursors[_i].len)), SW_EINVAL);
	free(copy);
}
END_TEST

START_TEST(no_text_is_no_cursor)
{
	struct cursor c;

	ck_assert_int_eq(cursor_parse(&c, (struct str){ NULL, 0 }), SW_EINVAL);
}
END_TEST

START_TEST(the_longest_cursor_fits)
{
	struct epoch e = { "abcdefghijklmnop" };
	char text[CURSOR_MAX];

	ck_assert_uint_eq(cursor_format(text, &e, UINT64_MAX), CURSOR_MAX);
	assert_bytes(ARRAY(text), STR("abcdefghijklmnop-18446744073709551615"));
}
END_TEST

START_TEST(a_full_buffer_takes_no_cursor)
{
	struct epoch e = { "k3x9" };
	struct buf out;

	buf_init(&out, 8);
	ck_assert_int_eq(cursor_put(&out, &e, 1042), SW_ELIMIT);
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_fini(&out);
}
END_TEST

START_TEST(epochs_that_are_made_are_valid_and_different)
{
	struct epoch made[100], read;

	for (size_t i = 0; i < COUNT(made); i++) {
		epoch_make(&made[i]);
		ck_assert_uint_eq(strlen(made[i].text), EPOCH_LEN);
		ck_assert_int_eq(
		    epoch_parse(&read, str_of(made[i].text)), SW_OK);
		ck_assert_str_eq(read.text, made[i].text);
	}
	/* Of 60 million, a few may meet by chance; not all. */
	ck_assert_str_ne(made[0].text, made[1].text);
	ck_assert_str_ne(made[1].text, made[2].text);
	ck_assert_str_ne(made[2].text, made[3].text);
}
END_TEST

SUITE("cursor", LOOP(a_cursor_reads_and_writes_the_same_text, COUNT(cursors)),
    LOOP(what_is_no_cursor_is_refused, COUNT(no_cursors)),
    TEST(no_text_is_no_cursor), TEST(the_longest_cursor_fits),
    TEST(a_full_buffer_takes_no_cursor),
    TEST(epochs_that_are_made_are_valid_and_different))
