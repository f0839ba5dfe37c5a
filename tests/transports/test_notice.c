#include "transports/notice.h"

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"

static const struct epoch epoch = { "k3x9" };

static const struct str one_channel[] = { { "a", 1 } };
static const struct str two_channels[] = { { "a", 1 }, { "b:c", 3 } };

static const struct {
	struct notice notice;
	const char *members; /* without braces */
} notices[] = {
	{ { .type = NOTICE_HELLO,
	      .cursor = 1042,
	      .connection = 17,
	      .transport = "ws",
	      .heartbeat_ms = 15000,
	      .retry_ms = 2000,
	      .channels = two_channels,
	      .channel_count = 2 },
	    "\"connection\":\"17\",\"cursor\":\"k3x9-1042\","
	    "\"transport\":\"ws\",\"heartbeat\":15000,\"retry\":2000,"
	    "\"channels\":[\"a\",\"b:c\"]" },
	{ { .type = NOTICE_HELLO,
	      .connection = UINT64_MAX,
	      .transport = "sse",
	      .channels = one_channel,
	      .channel_count = 1 },
	    "\"connection\":\"18446744073709551615\",\"cursor\":\"k3x9-0\","
	    "\"transport\":\"sse\",\"heartbeat\":0,\"retry\":0,"
	    "\"channels\":[\"a\"]" },
	{ { .type = NOTICE_HELLO, .transport = "ws" },
	    "\"connection\":\"0\",\"cursor\":\"k3x9-0\",\"transport\":\"ws\","
	    "\"heartbeat\":0,\"retry\":0,\"channels\":[]" },
	{ { .type = NOTICE_CAUGHTUP, .cursor = 1042 },
	    "\"cursor\":\"k3x9-1042\"" },
	{ { .type = NOTICE_CAUGHTUP, .cursor = 7, .channel = { "late", 4 } },
	    "\"cursor\":\"k3x9-7\",\"channel\":\"late\"" },
	{ { .type = NOTICE_GAP,
	      .reason = GAP_TRIMMED,
	      .after = { { "k3x9" }, 5 },
	      .first = 900 },
	    "\"reason\":\"trimmed\",\"after\":\"k3x9-5\","
	    "\"first\":\"k3x9-900\"" },
	/* What the client gave is repeated, with its own epoch. */
	{ { .type = NOTICE_GAP,
	      .reason = GAP_EPOCH,
	      .after = { { "old" }, 5 },
	      .first = 1 },
	    "\"reason\":\"epoch\",\"after\":\"old-5\",\"first\":\"k3x9-1\"" },
	{ { .type = NOTICE_GAP, .reason = GAP_EPOCH, .first = 1 },
	    "\"reason\":\"epoch\",\"after\":null,\"first\":\"k3x9-1\"" },
	{ { .type = NOTICE_GAP,
	      .reason = GAP_AHEAD,
	      .after = { { "k3x9" }, SEQ_MAX },
	      .channel = { "a", 1 } },
	    "\"reason\":\"ahead\",\"after\":\"k3x9-9223372036854775807\","
	    "\"first\":null,\"channel\":\"a\"" },
	{ { .type = NOTICE_HEARTBEAT, .time_ms = UINT64_C(1763634245123) },
	    "\"time\":1763634245123" },
};

static void
put_wanted(struct buf *want, size_t i, bool named)
{
	buf_clear(want);
	buf_puts(want, "{");
	if (named)
		buf_printf(want, "\"type\":\"%s\",",
		    notice_name(notices[i].notice.type));
	buf_puts(want, notices[i].members);
	buf_puts(want, "}");
}

START_TEST(a_notice_is_an_object_with_or_without_its_name)
{
	struct buf out, want;

	buf_init(&out, 1000);
	buf_init(&want, 1000);
	for (int named = 0; named < 2; named++) {
		put_wanted(&want, (size_t)_i, named);
		buf_clear(&out);
		ck_assert_int_eq(
		    notice_put(&out, &epoch, &notices[_i].notice, named),
		    SW_OK);
		assert_bytes(buf_str(&out), buf_str(&want));
		ck_assert(json_valid(buf_str(&out)));
		/* None has an id, which a client would take for a cursor. */
		ck_assert_ptr_null(
		    memmem(buf_head(&out), buf_len(&out), "\"id\"", 4));
	}
	buf_fini(&out);
	buf_fini(&want);
}
END_TEST

START_TEST(a_gap_stands_in_a_poll_as_it_stands_in_a_stream)
{
	struct buf poll, stream;

	buf_init(&poll, 1000);
	buf_init(&stream, 1000);
	for (size_t i = 0; i < COUNT(notices); i++) {
		if (notices[i].notice.type != NOTICE_GAP)
			continue;
		buf_clear(&poll);
		buf_clear(&stream);
		ck_assert_int_eq(
		    notice_put_gap(&poll, &epoch, &notices[i].notice), SW_OK);
		notice_put(&stream, &epoch, &notices[i].notice, false);
		assert_bytes(buf_str(&poll), buf_str(&stream));
	}
	buf_fini(&poll);
	buf_fini(&stream);
}
END_TEST

START_TEST(names_are_reserved_ones)
{
	ck_assert_str_eq(notice_name(NOTICE_HELLO), "spillway.hello");
	ck_assert_str_eq(notice_name(NOTICE_CAUGHTUP), "spillway.caughtup");
	ck_assert_str_eq(notice_name(NOTICE_GAP), "spillway.gap");
	ck_assert_str_eq(notice_name(NOTICE_HEARTBEAT), "spillway.heartbeat");
}
END_TEST

/* A part of a notice is worse than none: the caller must learn of it. */
START_TEST(half_a_notice_is_an_error)
{
	struct buf want;

	buf_init(&want, 1000);
	for (size_t i = 0; i < COUNT(notices); i++) {
		put_wanted(&want, i, true);
		for (size_t max = 0; max <= buf_len(&want); max++) {
			struct buf out;

			buf_init(&out, max);
			ck_assert_int_eq(
			    notice_put(&out, &epoch, &notices[i].notice, true),
			    max == buf_len(&want) ? SW_OK : SW_ELIMIT);
			buf_fini(&out);
		}
	}
	buf_fini(&want);
}
END_TEST

static int
memory_story(void *arg)
{
	const struct notice *n = arg;
	struct buf out;
	int err;

	buf_init(&out, 1 << 20);
	err = n->type == NOTICE_GAP ? notice_put_gap(&out, &epoch, n) :
				      notice_put(&out, &epoch, n, true);
	buf_fini(&out);
	return err;
}

START_TEST(memory_may_run_out)
{
	struct notice n = notices[_i].notice;

	oom_tell(memory_story, &n);
}
END_TEST

SUITE("notice",
    LOOP(a_notice_is_an_object_with_or_without_its_name, COUNT(notices)),
    TEST(a_gap_stands_in_a_poll_as_it_stands_in_a_stream),
    TEST(names_are_reserved_ones), TEST(half_a_notice_is_an_error),
    LOOP(memory_may_run_out, COUNT(notices)))
