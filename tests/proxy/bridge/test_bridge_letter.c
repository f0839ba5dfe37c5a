#include "proxy/bridge/bridge_letter.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

static const struct bridge_event whole = {
	.kind = BRIDGE_DISCONNECT,
	.id = STR("evt_1"),
	.time_ms = 1763634245123,
	.connection = UINT64_MAX,
	.transport = STR("ws"),
	.address = STR("::1"),
	.channel = STR("room"),
	.user = STR(""),
	.has_seq = true,
	.seq = 1,
	.content_type = STR("text/plain"),
	.forwarded = STR("Cookie:a=1\n"),
	.data = { "a\0b", 3 },
};

START_TEST(a_letter_says_what_the_event_said)
{
	struct bridge_event e;
	struct buf letter;

	buf_init(&letter, 4096);
	ck_assert_int_eq(bridge_letter_put(&letter, &whole), SW_OK);
	ck_assert_int_eq(bridge_letter_read(&e, buf_str(&letter)), SW_OK);
	ck_assert_int_eq(e.kind, BRIDGE_DISCONNECT);
	ck_assert_uint_eq(e.time_ms, whole.time_ms);
	ck_assert_uint_eq(e.connection, UINT64_MAX);
	ck_assert(e.has_seq);
	ck_assert_uint_eq(e.seq, 1);
	assert_text(e.id, "evt_1");
	assert_text(e.transport, "ws");
	assert_text(e.address, "::1");
	assert_text(e.channel, "room");
	assert_text(e.content_type, "text/plain");
	assert_text(e.forwarded, "Cookie:a=1\n");
	ck_assert_uint_eq(e.data.len, 3);
	ck_assert_mem_eq(e.data.p, "a\0b", 3);
	/* Empty is not the same as not known. */
	ck_assert_ptr_nonnull(e.user.p);
	ck_assert_uint_eq(e.user.len, 0);
	ck_assert_ptr_null(e.session.p);
	buf_fini(&letter);
}
END_TEST

START_TEST(what_is_cut_or_longer_or_newer_is_not_understood)
{
	struct bridge_event e;
	struct buf letter;
	struct str bytes;

	buf_init(&letter, 4096);
	ck_assert_int_eq(bridge_letter_put(&letter, &whole), SW_OK);
	bytes = buf_str(&letter);
	for (size_t n = 0; n < bytes.len; n++)
		ck_assert_int_eq(
		    bridge_letter_read(&e, (struct str){ bytes.p, n }),
		    SW_EINVAL);
	buf_puts(&letter, "x");
	ck_assert_int_eq(bridge_letter_read(&e, buf_str(&letter)), SW_EINVAL);
	buf_head(&letter)[0] = 99;
	ck_assert_int_eq(bridge_letter_read(&e, bytes), SW_EINVAL);
	buf_fini(&letter);
}
END_TEST

SUITE("bridge_letter", TEST(a_letter_says_what_the_event_said),
    TEST(what_is_cut_or_longer_or_newer_is_not_understood))
