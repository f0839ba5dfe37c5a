/* What streams bring, as a client reads it: blocks of SSE, WebSocket frames. */
#include <string.h>

#include "proxy/base/err.h"
#include "proxy/compare/blocks.h"
#include "proxy/compare/frames.h"
#include "tests/suite.h"
#include "transports/ws_handshake.h"

/* All that was told, as text; and how many bytes that took. */
struct heard {
	struct buf text;
	uint64_t taken, skipped;
};

static int
take_block(void *ctx, struct str name, struct str data, uint64_t size)
{
	struct heard *h = ctx;

	buf_printf(&h->text, "[%.*s|%.*s]", STR_ARG(name), STR_ARG(data));
	h->taken += size;
	return str_is(data, "stop") ? SW_ECLOSED : SW_OK;
}

static void
skip_block(void *ctx, uint64_t size)
{
	struct heard *h = ctx;

	h->skipped += size;
}

static int
read_blocks(struct heard *h, const char *text, size_t step)
{
	const struct blocks_handler handler = { take_block, skip_block, h };
	size_t left = strlen(text);
	struct blocks b;
	int err = SW_OK;

	*h = (struct heard){ .taken = 0 };
	buf_init(&h->text, 1000);
	blocks_init(&b);
	while (left > 0 && err == SW_OK) {
		size_t n = left < step ? left : step;

		err = blocks_read(&b, (const uint8_t *)text, n, &handler);
		text += n;
		left -= n;
	}
	blocks_fini(&b);
	return err;
}

static const char *const line_ends[] = {
	":\nretry: 1000\nevent: spillway.hello\ndata: {}\n\n: hi\n\n"
	"id: a-1\ndata: one\ndata:two\ndata\n\nevent: x\n\n",
	":\r\nretry: 1000\r\nevent: spillway.hello\r\ndata: {}\r\n\r\n: hi\r\n"
	"\r\nid: a-1\r\ndata: one\r\ndata:two\r\ndata\r\n\r\nevent: x\r\n\r\n",
	":\rretry: 1000\revent: spillway.hello\rdata: {}\r\r: hi\r\r"
	"id: a-1\rdata: one\rdata:two\rdata\r\revent: x\r\r",
};

START_TEST(blocks_are_the_same_across_any_cut)
{
	struct heard h;

	for (size_t i = 0; i < COUNT(line_ends); i++) {
		ck_assert_int_eq(
		    read_blocks(&h, line_ends[i], (size_t)_i + 1), SW_OK);
		ck_assert_msg(str_is(buf_str(&h.text),
				  "[spillway.hello|{}][|one\ntwo\n]"),
		    "%.*s", STR_ARG(buf_str(&h.text)));
		/* Every byte is counted, but for a LF at the very end. */
		ck_assert_uint_eq(
		    h.taken + h.skipped, strlen(line_ends[i]) - (i == 1));
		buf_fini(&h.text);
	}
}
END_TEST

START_TEST(a_handler_can_end_the_reading_of_blocks)
{
	struct heard h;

	ck_assert_int_eq(
	    read_blocks(&h, "data: stop\n\ndata: more\n\n", 100), SW_ECLOSED);
	ck_assert(str_is(buf_str(&h.text), "[|stop]"));
	buf_fini(&h.text);
}
END_TEST

static int
take_frame(void *ctx, enum ws_opcode opcode, struct str payload, uint64_t size)
{
	struct heard *h = ctx;

	if (payload.len > 100)
		buf_printf(&h->text, "[%d|%zu]", opcode, payload.len);
	else
		buf_printf(&h->text, "[%d|%.*s]", opcode, STR_ARG(payload));
	h->taken += size;
	return opcode == WS_CLOSE ? SW_ECLOSED : SW_OK;
}

static int
read_frames(struct heard *h, struct str bytes, size_t step)
{
	const struct frames_handler handler = { take_frame, h };
	struct frames f;
	int err = SW_OK;

	*h = (struct heard){ .taken = 0 };
	buf_init(&h->text, 1000);
	frames_init(&f);
	while (bytes.len > 0 && err == SW_OK) {
		size_t n = bytes.len < step ? bytes.len : step;

		err = frames_read(&f, (const uint8_t *)bytes.p, n, &handler);
		bytes.p += n;
		bytes.len -= n;
	}
	frames_fini(&f);
	return err;
}

START_TEST(frames_are_the_same_across_any_cut)
{
	static char large[70000];
	struct buf bytes;
	struct heard h;

	buf_init(&bytes, 100000);
	ws_put_frame(&bytes, WS_TEXT, STR("one"));
	ws_put_frame(&bytes, WS_TEXT, STR(""));
	/* In pieces, with a ping between them. */
	buf_put(&bytes, "\x01\x02tw", 4);
	ws_put_frame(&bytes, WS_PING, STR("p"));
	buf_put(&bytes, "\x80\x01o", 3);
	ws_put_frame(&bytes, WS_BINARY, (struct str){ large, 300 });
	ws_put_frame(&bytes, WS_BINARY, (struct str){ large, sizeof(large) });
	ck_assert_int_eq(
	    read_frames(&h, buf_str(&bytes), (size_t)_i + 1), SW_OK);
	ck_assert_msg(
	    str_is(buf_str(&h.text), "[1|one][1|][9|p][1|two][2|300][2|70000]"),
	    "%.*s", STR_ARG(buf_str(&h.text)));
	ck_assert_uint_eq(h.taken, buf_len(&bytes));
	buf_fini(&h.text);
	buf_fini(&bytes);
}
END_TEST

static const struct {
	struct str bytes;
	int err;
} broken[] = {
	{ { "\x81\x81mask", 6 }, SW_EPROTO }, /* a server's mask */
	{ { "\xc1\x01x", 3 }, SW_EPROTO },    /* a reserved bit */
	{ { "\x83\x00", 2 }, SW_EPROTO },     /* opcodes */
	{ { "\x8b\x00", 2 }, SW_EPROTO },
	{ { "\x80\x00", 2 }, SW_EPROTO },         /* continues nothing */
	{ { "\x01\x00\x81\x00", 4 }, SW_EPROTO }, /* two at once */
	{ { "\x09\x00", 2 }, SW_EPROTO },         /* a ping in pieces */
	{ { "\x89\x7e\x00\x7e", 4 }, SW_EPROTO }, /* a ping too long */
	{ { "\x81\x7e\x00\x05", 4 }, SW_EPROTO }, /* not the shortest */
	{ { "\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10 }, SW_EPROTO },
	{ { "\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10 }, SW_EPROTO },
	{ { "\x81\x7f\x00\x00\x00\x00\x7f\x00\x00\x00", 10 }, SW_ELIMIT },
	{ { "\x88\x00\x81\x01x", 5 }, SW_ECLOSED }, /* ends the reading */
};

START_TEST(frames_that_no_server_may_send_are_refused)
{
	struct heard h;

	ck_assert_int_eq(read_frames(&h, broken[_i].bytes, 1), broken[_i].err);
	buf_fini(&h.text);
	ck_assert_int_eq(
	    read_frames(&h, broken[_i].bytes, 100), broken[_i].err);
	buf_fini(&h.text);
}
END_TEST

static int
take_message(void *ctx, enum ws_opcode opcode, struct str payload)
{
	struct heard *h = ctx;

	buf_printf(&h->text, "[%d|%zu]", opcode, payload.len);
	for (size_t i = 0; i < payload.len; i++)
		ck_assert_int_eq(payload.p[i], 'a');
	return SW_OK;
}

/* What we write, our own gateway reads. */
START_TEST(a_gateway_understands_our_frames)
{
	static const size_t sizes[] = { 0, 1, 125, 126, 65535, 65536 };
	struct heard h = { .taken = 0 };
	const struct ws_handler handler = { .message = take_message,
		.control = take_message,
		.ctx = &h,
		.message_max = 1 << 20 };
	size_t n = sizes[_i];
	char *text = malloc(n + 1);
	struct ws_decoder d;
	struct buf bytes;

	ck_assert_ptr_nonnull(text);
	memset(text, 'a', n);
	buf_init(&h.text, 1000);
	buf_init(&bytes, 1 << 20);
	buf_puts(&bytes, "before");
	ck_assert_int_eq(
	    frames_put(&bytes, WS_TEXT, (struct str){ text, n }), SW_OK);
	buf_drop(&bytes, strlen("before"));
	ws_decoder_init(&d, false);
	ck_assert_int_eq(
	    ws_decode(&d, buf_head(&bytes), buf_len(&bytes), &handler, NULL),
	    SW_OK);
	ck_assert_uint_gt(buf_len(&h.text), 0);
	ck_assert(!ws_decoder_busy(&d));
	ws_decoder_fini(&d);
	buf_fini(&bytes);
	buf_fini(&h.text);
	free(text);
}
END_TEST

START_TEST(an_answer_to_another_key_is_none)
{
	static const char key[] = "dGhlIHNhbXBsZSBub25jZQ=="; /* RFC 6455 1.3 */
	char other[FRAMES_KEY_LENGTH];

	ck_assert(frames_accepts(key, STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
	ck_assert(!frames_accepts(key, STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo")));
	ck_assert(!frames_accepts(key, (struct str){ NULL, 0 }));
	frames_make_key(other);
	ck_assert(!frames_accepts(other, STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
}
END_TEST

SUITE("compare/streams", LOOP(blocks_are_the_same_across_any_cut, 40),
    TEST(a_handler_can_end_the_reading_of_blocks),
    LOOP(frames_are_the_same_across_any_cut, 30),
    LOOP(frames_that_no_server_may_send_are_refused, COUNT(broken)),
    LOOP(a_gateway_understands_our_frames, 6),
    TEST(an_answer_to_another_key_is_none))
