#include "transports/transport.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"

static const struct epoch epoch = { "k3x9" };

START_TEST(rows_stand_under_their_ids_and_names)
{
	static const char *const names[] = { "ws", "sse", "long", "short" };

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		const struct transport *t = &transports[i];

		ck_assert_uint_eq(t->id, i);
		ck_assert_str_eq(t->name, names[i]);
		ck_assert_ptr_eq(transport_find(str_of(names[i])), t);
		/* A stream tells its notices, a poll has a body for them. */
		ck_assert(t->streams == (t->notice != NULL));
	}
}
END_TEST

START_TEST(unknown_names_are_not_found)
{
	static const struct str names[] = {
		BYTES(""),
		BYTES("w"),
		BYTES("wss"),
		BYTES("WS"),
		BYTES("ws\0"),
		BYTES("websocket"),
		BYTES("longpoll"),
		BYTES("sse "),
	};

	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_ptr_null(transport_find(names[i]));
}
END_TEST

/* Each kind of wait is counted apart, and a short poll does not wait. */
START_TEST(those_who_wait_are_counted_apart)
{
	bool used[AUDIENCE_COUNT] = { false };

	for (size_t i = 0; i < TRANSPORT_COUNT; i++) {
		const struct transport *t = &transports[i];

		ck_assert(t->counted == (t->id != TRANSPORT_SHORT));
		if (!t->counted)
			continue;
		ck_assert(!used[t->audience]);
		used[t->audience] = true;
	}
	for (size_t i = 0; i < AUDIENCE_COUNT; i++)
		ck_assert(used[i]);
}
END_TEST

START_TEST(a_notice_is_a_text_frame_or_an_event)
{
	const struct notice n = {
		.type = NOTICE_CAUGHTUP,
		.cursor = 7,
	};
	struct buf out;

	buf_init(&out, 1000);
	/* Behind what is there already. */
	buf_puts(&out, "head");
	ck_assert_int_eq(
	    transports[TRANSPORT_WS].notice(&out, &epoch, &n), SW_OK);
	assert_text(buf_str(&out),
	    "head\x81\x2e{\"type\":\"spillway.caughtup\","
	    "\"cursor\":\"k3x9-7\"}");
	buf_drop(&out, 4);
	buf_clear(&out);
	buf_puts(&out, "head");
	ck_assert_int_eq(
	    transports[TRANSPORT_SSE].notice(&out, &epoch, &n), SW_OK);
	assert_text(buf_str(&out),
	    "headevent: spillway.caughtup\n"
	    "data: {\"cursor\":\"k3x9-7\"}\n\n");
	buf_fini(&out);
}
END_TEST

/* The length of a frame has three sizes. */
static const size_t channel_counts[] = { 1, 10, 50, 1000, 20000 };

START_TEST(a_long_hello_has_a_longer_head)
{
	size_t count = channel_counts[_i], extra, length = 0, head;
	struct str *channels = calloc(count, sizeof(*channels));
	struct notice n = {
		.type = NOTICE_HELLO,
		.transport = "ws",
		.channels = channels,
		.channel_count = count,
	};
	struct buf out, json;
	const uint8_t *p;

	ck_assert_ptr_nonnull(channels);
	for (size_t i = 0; i < count; i++)
		channels[i] = STR("room");
	buf_init(&out, 1 << 20);
	buf_init(&json, 1 << 20);
	/* With bytes before it that were read already. */
	buf_puts(&out, "gone");
	buf_puts(&out, "kept");
	buf_drop(&out, 4);
	ck_assert_int_eq(
	    transports[TRANSPORT_WS].notice(&out, &epoch, &n), SW_OK);
	ck_assert_int_eq(notice_put(&json, &epoch, &n, true), SW_OK);
	assert_text(bytes_of(buf_head(&out), 4), "kept");
	p = buf_head(&out) + 4;
	ck_assert_uint_eq(p[0], 0x81);
	extra = p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0;
	for (size_t i = 0; i < extra; i++)
		length = length << 8 | p[2 + i];
	head = 2 + extra;
	ck_assert_uint_eq(extra == 0 ? p[1] : length, buf_len(&json));
	assert_bytes(
	    bytes_of(p + head, buf_len(&out) - 4 - head), buf_str(&json));
	buf_fini(&out);
	buf_fini(&json);
	free(channels);
}
END_TEST

/* A frame that is not whole would take the next one for its payload. */
START_TEST(half_a_notice_is_an_error_and_marks_the_buffer)
{
	const struct notice n = { .type = NOTICE_HEARTBEAT, .time_ms = 5 };

	for (size_t t = 0; t < TRANSPORT_COUNT; t++) {
		size_t whole;
		struct buf out;

		if (transports[t].notice == NULL)
			continue;
		buf_init(&out, 1000);
		transports[t].notice(&out, &epoch, &n);
		whole = buf_len(&out);
		buf_fini(&out);
		for (size_t max = 4; max < whole + 4; max++) {
			buf_init(&out, max);
			buf_puts(&out, "head");
			ck_assert_int_eq(
			    transports[t].notice(&out, &epoch, &n), SW_ELIMIT);
			ck_assert_int_eq(buf_error(&out), SW_ELIMIT);
			if (t == TRANSPORT_WS)
				assert_text(buf_str(&out), "head");
			buf_fini(&out);
		}
	}
}
END_TEST

static int
memory_story(void *arg)
{
	static const struct str channels[] = { { "room-1", 6 },
		{ "room-2", 6 } };
	const struct transport *t = arg;
	const struct notice n = {
		.type = NOTICE_HELLO,
		.transport = t->name,
		.channels = channels,
		.channel_count = 2,
	};
	struct buf out;
	int err;

	buf_init(&out, 1000);
	err = t->notice(&out, &epoch, &n);
	if (err != buf_error(&out))
		err = SW_EIO;
	buf_fini(&out);
	return err;
}

START_TEST(memory_may_run_out)
{
	struct transport t = transports[_i];

	oom_tell(memory_story, &t);
}
END_TEST

SUITE("transport", TEST(rows_stand_under_their_ids_and_names),
    TEST(unknown_names_are_not_found), TEST(those_who_wait_are_counted_apart),
    TEST(a_notice_is_a_text_frame_or_an_event),
    LOOP(a_long_hello_has_a_longer_head, COUNT(channel_counts)),
    TEST(half_a_notice_is_an_error_and_marks_the_buffer),
    LOOP(memory_may_run_out, 2))
