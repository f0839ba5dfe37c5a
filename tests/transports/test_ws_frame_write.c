#include "transports/ws_frame.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"

/* Writing frames, as a server does: RFC 6455 sections 5.2, 5.5.1, 5.7, 7.4. */

static const struct {
	enum ws_opcode opcode;
	struct str payload, frame;
} frames[] = {
	/* 5.7, those that are not masked. */
	{ WS_TEXT, BYTES("Hello"), BYTES("\x81\x05\x48\x65\x6c\x6c\x6f") },
	{ WS_PING, BYTES("Hello"), BYTES("\x89\x05\x48\x65\x6c\x6c\x6f") },
	{ WS_TEXT, BYTES(""), BYTES("\x81\x00") },
	{ WS_BINARY, BYTES("\0\xff"), BYTES("\x82\x02\x00\xff") },
	{ WS_PONG, BYTES(""), BYTES("\x8a\x00") },
	{ WS_CLOSE, BYTES("\x03\xe8"), BYTES("\x88\x02\x03\xe8") },
};

START_TEST(a_frame_is_written_to_the_byte)
{
	struct buf out;

	buf_init(&out, 100);
	buf_puts(&out, "before");
	ck_assert_int_eq(
	    ws_put_frame(&out, frames[_i].opcode, frames[_i].payload), SW_OK);
	buf_drop(&out, 6);
	assert_bytes(buf_str(&out), frames[_i].frame);
	buf_fini(&out);
}
END_TEST

static const struct {
	size_t payload;
	struct str head;
} heads[] = {
	{ 0, BYTES("\x82\x00") },
	{ 125, BYTES("\x82\x7d") },
	{ 126, BYTES("\x82\x7e\x00\x7e") },
	/* 5.7: 256 bytes, and 64 KiB. */
	{ 256, BYTES("\x82\x7e\x01\x00") },
	{ 65535, BYTES("\x82\x7e\xff\xff") },
	{ 65536, BYTES("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00") },
#if SIZE_MAX > UINT32_MAX
	{ 0x123456789, BYTES("\x82\x7f\x00\x00\x00\x01\x23\x45\x67\x89") },
#endif
};

START_TEST(a_head_has_the_shortest_length_and_ends_where_told)
{
	uint8_t room[12] = { 0 };
	size_t n = ws_put_head(room + 11, WS_BINARY, false, heads[_i].payload);

	assert_bytes(bytes_of(room + 11 - n, n), heads[_i].head);
	/* And nothing else is touched. */
	for (size_t i = 0; i < 11 - n; i++)
		ck_assert_uint_eq(room[i], 0);
	ck_assert_uint_eq(room[11], 0);
	/* RFC 7692 6: RSV1. */
	ws_put_head(room + 11, WS_BINARY, true, heads[_i].payload);
	ck_assert_uint_eq(room[11 - n], 0xc2);
}
END_TEST

START_TEST(half_a_frame_is_never_written)
{
	struct buf out;

	buf_init(&out, 10);
	ck_assert_int_eq(
	    ws_put_frame(&out, WS_TEXT, STR("nine more")), SW_ELIMIT);
	ck_assert_uint_eq(buf_len(&out), 0);
	ck_assert_int_eq(ws_put_frame(&out, WS_TEXT, STR("eight is")), SW_OK);
	ck_assert_uint_eq(buf_len(&out), 10);
	buf_fini(&out);
}
END_TEST

START_TEST(a_close_frame_has_its_code_and_its_reason)
{
	struct buf out;

	buf_init(&out, 1000);
	ck_assert_int_eq(ws_put_close(&out, 1001, "going away"), SW_OK);
	assert_bytes(buf_str(&out), BYTES("\x88\x0c\x03\xe9going away"));
	buf_clear(&out);
	ck_assert_int_eq(ws_put_close(&out, 4410, ""), SW_OK);
	assert_bytes(buf_str(&out), BYTES("\x88\x02\x11\x3a"));
	buf_fini(&out);
}
END_TEST

/* 123 bytes are left, and no character is cut in two. */
START_TEST(a_long_reason_is_cut_between_characters)
{
	char reason[200];
	struct buf out;
	size_t before = (size_t)_i; /* ASCII before the euros */

	memset(reason, 'x', before);
	for (size_t i = before; i + 3 < sizeof(reason); i += 3)
		memcpy(reason + i, "\xe2\x82\xac", 4);
	buf_init(&out, 1000);
	ck_assert_int_eq(ws_put_close(&out, 1000, reason), SW_OK);
	ck_assert_uint_eq(buf_len(&out), 2u + buf_head(&out)[1]);
	ck_assert_uint_gt(buf_len(&out), 127 - 3);
	ck_assert_uint_le(buf_len(&out), 127);
	ck_assert(utf8_valid(buf_head(&out) + 4, buf_len(&out) - 4));
	buf_fini(&out);
}
END_TEST

START_TEST(a_reason_that_just_fits_is_not_cut)
{
	char reason[124 + 1];
	struct buf out;

	memset(reason, 'r', sizeof(reason));
	reason[123] = '\0';
	buf_init(&out, 1000);
	ck_assert_int_eq(ws_put_close(&out, 1000, reason), SW_OK);
	ck_assert_uint_eq(buf_len(&out), 127);
	reason[123] = 'r';
	reason[124] = '\0';
	buf_clear(&out);
	ck_assert_int_eq(ws_put_close(&out, 1000, reason), SW_OK);
	ck_assert_uint_eq(buf_len(&out), 127);
	buf_fini(&out);
}
END_TEST

/* 7.4.1, 7.4.2, and what is registered with IANA. */
START_TEST(a_peer_may_close_with_registered_and_free_codes)
{
	static const struct {
		unsigned first, last;
		bool valid;
	} ranges[] = {
		{ 0, 999, false },
		{ 1000, 1003, true },
		{ 1004, 1006, false },
		{ 1007, 1014, true },
		{ 1015, 2999, false },
		{ 3000, 4999, true },
		{ 5000, 65535, false },
	};
	unsigned next = 0;

	for (size_t i = 0; i < COUNT(ranges); i++) {
		ck_assert_uint_eq(ranges[i].first, next);
		for (; next <= ranges[i].last; next++)
			if (ws_close_code_valid(next) != ranges[i].valid)
				ck_abort_msg("%u", next);
	}
}
END_TEST

/* Whatever we close with is a code that a peer accepts. */
START_TEST(every_error_has_a_valid_close_code)
{
	for (int code = SW_OK; code >= SW_EUNSUPPORTED; code--)
		if (!ws_close_code_valid((unsigned)err_info(code)->ws_close))
			ck_abort_msg("%d", code);
}
END_TEST

static int
memory_story(void *arg)
{
	static char payload[1000];
	struct buf out;
	int err;

	(void)arg;
	buf_init(&out, 10000);
	if ((err = ws_put_close(&out, 1000, "reason")) == SW_OK)
		err = ws_put_frame(
		    &out, WS_TEXT, bytes_of(payload, sizeof(payload)));
	/* A frame is there or not, but not a part of it. */
	if (err == SW_ENOMEM && buf_len(&out) != 0 && buf_len(&out) != 10)
		err = SW_EIO;
	buf_fini(&out);
	return err;
}

START_TEST(memory_may_run_out)
{
	oom_tell(memory_story, NULL);
}
END_TEST

SUITE("ws_frame_write", LOOP(a_frame_is_written_to_the_byte, COUNT(frames)),
    LOOP(a_head_has_the_shortest_length_and_ends_where_told, COUNT(heads)),
    TEST(half_a_frame_is_never_written),
    TEST(a_close_frame_has_its_code_and_its_reason),
    LOOP(a_long_reason_is_cut_between_characters, 130),
    TEST(a_reason_that_just_fits_is_not_cut),
    TEST(a_peer_may_close_with_registered_and_free_codes),
    TEST(every_error_has_a_valid_close_code), TEST(memory_may_run_out))
