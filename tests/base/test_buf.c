#include "proxy/base/buf.h"

#include "tests/bytes.h"
#include "tests/suite.h"

START_TEST(a_new_buffer_is_empty_and_holds_no_memory)
{
	struct buf b;

	buf_init(&b, 100);
	ck_assert_uint_eq(buf_len(&b), 0);
	ck_assert_ptr_null(b.bytes);
	/* All of these are defined for it. */
	ck_assert_ptr_null(buf_head(&b));
	ck_assert_uint_eq(buf_str(&b).len, 0);
	buf_drop(&b, 0);
	buf_clear(&b);
	buf_release(&b);
	ck_assert_int_eq(buf_put(&b, NULL, 0), SW_OK);
	ck_assert_ptr_null(b.bytes);
	buf_fini(&b);
	buf_fini(&b);
}
END_TEST

START_TEST(what_is_put_comes_out_in_order)
{
	struct buf b;

	buf_init(&b, 1000);
	ck_assert_int_eq(buf_puts(&b, "one"), SW_OK);
	ck_assert_int_eq(buf_put(&b, "\0two", 4), SW_OK);
	ck_assert_int_eq(buf_put_str(&b, STR("three")), SW_OK);
	assert_bytes(buf_str(&b), BYTES("one\0twothree"));
	buf_drop(&b, 4);
	assert_text(buf_str(&b), "twothree");
	buf_puts(&b, "four");
	assert_text(buf_str(&b), "twothreefour");
	buf_fini(&b);
}
END_TEST

START_TEST(a_buffer_takes_its_maximum_and_not_a_byte_more)
{
	char bytes[301];
	struct buf b;

	memset(bytes, 'x', sizeof(bytes));
	buf_init(&b, 300);
	ck_assert_int_eq(buf_put(&b, bytes, 301), SW_ELIMIT);
	buf_clear(&b);
	ck_assert_int_eq(buf_put(&b, bytes, 300), SW_OK);
	ck_assert_int_eq(buf_put(&b, bytes, 0), SW_OK);
	ck_assert_int_eq(buf_put(&b, bytes, 1), SW_ELIMIT);
	ck_assert_uint_eq(buf_len(&b), 300);
	/* It is the unread bytes that count. */
	buf_clear(&b);
	buf_put(&b, bytes, 300);
	buf_drop(&b, 5);
	ck_assert_int_eq(buf_put(&b, bytes, 6), SW_ELIMIT);
	buf_clear(&b);
	buf_put(&b, bytes, 300);
	buf_drop(&b, 5);
	ck_assert_int_eq(buf_put(&b, bytes, 5), SW_OK);
	ck_assert_uint_eq(buf_len(&b), 300);
	buf_fini(&b);
}
END_TEST

START_TEST(a_size_that_would_wrap_is_refused)
{
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	buf_puts(&b, "0123456789");
	buf_drop(&b, 3);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), SW_ELIMIT);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX - 6), SW_ELIMIT);
	assert_text(buf_str(&b), "3456789");
	buf_fini(&b);
}
END_TEST

START_TEST(a_failed_put_leaves_the_contents_and_marks_the_buffer)
{
	struct buf b;

	buf_init(&b, 8);
	buf_puts(&b, "12345");
	ck_assert_int_eq(buf_error(&b), SW_OK);
	ck_assert_int_eq(buf_puts(&b, "6789"), SW_ELIMIT);
	assert_text(buf_str(&b), "12345");
	ck_assert_int_eq(buf_error(&b), SW_ELIMIT);
	/* What fits is still taken, and the mark stays. */
	ck_assert_int_eq(buf_puts(&b, "678"), SW_OK);
	assert_text(buf_str(&b), "12345678");
	ck_assert_int_eq(buf_error(&b), SW_ELIMIT);
	buf_clear(&b);
	ck_assert_int_eq(buf_error(&b), SW_OK);
	buf_fini(&b);
}
END_TEST

START_TEST(a_failed_printf_leaves_the_contents)
{
	struct buf b;

	buf_init(&b, 8);
	ck_assert_int_eq(buf_printf(&b, "%s-%d", "ab", 12), SW_OK);
	assert_text(buf_str(&b), "ab-12");
	ck_assert_int_eq(buf_printf(&b, "%d", 1234), SW_ELIMIT);
	assert_text(buf_str(&b), "ab-12");
	ck_assert_int_eq(buf_error(&b), SW_ELIMIT);
	ck_assert_int_eq(buf_printf(&b, "%s", ""), SW_OK);
	ck_assert_int_eq(buf_printf(&b, "%d", 34), SW_OK);
	assert_text(buf_str(&b), "ab-1234");
	buf_fini(&b);
}
END_TEST

START_TEST(a_long_printf_grows_the_buffer)
{
	char text[5000];
	struct buf b;

	memset(text, 'y', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	buf_init(&b, 1 << 20);
	buf_puts(&b, "<");
	ck_assert_int_eq(buf_printf(&b, "%s>", text), SW_OK);
	ck_assert_uint_eq(buf_len(&b), 5001);
	ck_assert_int_eq(buf_head(&b)[0], '<');
	ck_assert_mem_eq(buf_head(&b) + 1, text, 4999);
	ck_assert_int_eq(buf_head(&b)[5000], '>');
	buf_fini(&b);
}
END_TEST

static const struct {
	uint64_t value;
	const char *text;
} numbers[] = {
	{ 0, "0" },
	{ 9, "9" },
	{ 10, "10" },
	{ 1042, "1042" },
	{ 1763634245123, "1763634245123" },
	{ INT64_MAX, "9223372036854775807" },
	{ UINT64_MAX, "18446744073709551615" },
};

START_TEST(a_number_is_written_in_decimal)
{
	struct buf b;

	buf_init(&b, 20);
	ck_assert_int_eq(buf_put_u64(&b, numbers[_i].value), SW_OK);
	assert_text(buf_str(&b), numbers[_i].text);
	buf_fini(&b);
}
END_TEST

START_TEST(a_buffer_used_as_a_queue_stays_small)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < 10000; i++) {
		char text[48];
		int n = snprintf(text, sizeof(text), "item %u of many", i);

		ck_assert_int_eq(buf_put(&b, text, (size_t)n), SW_OK);
		ck_assert_int_eq(buf_put(&b, text, (size_t)n), SW_OK);
		assert_text(
		    bytes_of(buf_head(&b) + buf_len(&b) - n, (size_t)n), text);
		buf_drop(&b, i == 0 ? (size_t)n : (size_t)n * 2);
		if (i == 0)
			continue;
		/* One item is left over from the beginning. */
		ck_assert_uint_le(b.cap, 256);
	}
	buf_fini(&b);
}
END_TEST

START_TEST(reserved_room_can_be_written_and_committed)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_puts(&b, "head:");
	ck_assert_int_eq(buf_reserve(&b, 4000), SW_OK);
	memset(buf_tail(&b), 'z', 4000);
	assert_text(buf_str(&b), "head:");
	buf_commit(&b, 3);
	assert_text(buf_str(&b), "head:zzz");
	buf_fini(&b);
}
END_TEST

START_TEST(the_bytes_can_be_taken_away)
{
	struct buf b;
	uint8_t *bytes;
	size_t len;

	buf_init(&b, 100);
	ck_assert_ptr_null(buf_take(&b, &len));
	ck_assert_uint_eq(len, 0);
	buf_puts(&b, "skip the rest");
	buf_drop(&b, 5);
	bytes = buf_take(&b, &len);
	assert_text(bytes_of(bytes, len), "the rest");
	ck_assert_uint_eq(buf_len(&b), 0);
	/* The buffer goes on with the same ceiling. */
	buf_puts(&b, "again");
	assert_text(buf_str(&b), "again");
	ck_assert_uint_eq(b.max, 100);
	free(bytes);
	buf_fini(&b);
}
END_TEST

START_TEST(only_an_empty_buffer_gives_its_memory_back)
{
	struct buf b;

	buf_init(&b, 100);
	buf_puts(&b, "ab");
	buf_release(&b);
	assert_text(buf_str(&b), "ab");
	buf_drop(&b, 2);
	ck_assert_ptr_nonnull(b.bytes);
	buf_release(&b);
	ck_assert_ptr_null(b.bytes);
	buf_puts(&b, "cd");
	assert_text(buf_str(&b), "cd");
	buf_fini(&b);
}
END_TEST

/* Against the simplest model there is: an array that is moved. */
START_TEST(random_use_agrees_with_an_array)
{
	uint64_t random = 0x9e3779b97f4a7c15u;
	unsigned char model[700], piece[300];
	size_t len = 0;
	struct buf b;

	buf_init(&b, 600);
	for (unsigned i = 0; i < 20000; i++) {
		size_t n = (size_t)(bytes_random(&random) % sizeof(piece));
		unsigned what = (unsigned)(bytes_random(&random) % 8);

		if (what < 4) {
			memset(piece, (int)(i & 0xff), n);
			if (len + n > 600) {
				ck_assert_int_eq(
				    buf_put(&b, piece, n), SW_ELIMIT);
			} else {
				ck_assert_int_eq(buf_put(&b, piece, n), SW_OK);
				memcpy(model + len, piece, n);
				len += n;
			}
		} else if (what < 7) {
			n = n < len ? n : len;
			buf_drop(&b, n);
			memmove(model, model + n, len - n);
			len -= n;
		} else {
			buf_release(&b);
		}
		assert_bytes(buf_str(&b), bytes_of(model, len));
	}
	buf_fini(&b);
}
END_TEST

SUITE("buf", TEST(a_new_buffer_is_empty_and_holds_no_memory),
    TEST(what_is_put_comes_out_in_order),
    TEST(a_buffer_takes_its_maximum_and_not_a_byte_more),
    TEST(a_size_that_would_wrap_is_refused),
    TEST(a_failed_put_leaves_the_contents_and_marks_the_buffer),
    TEST(a_failed_printf_leaves_the_contents),
    TEST(a_long_printf_grows_the_buffer),
    LOOP(a_number_is_written_in_decimal, COUNT(numbers)),
    TEST(a_buffer_used_as_a_queue_stays_small),
    TEST(reserved_room_can_be_written_and_committed),
    TEST(the_bytes_can_be_taken_away),
    TEST(only_an_empty_buffer_gives_its_memory_back),
    TEST(random_use_agrees_with_an_array))
