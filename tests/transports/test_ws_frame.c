#include "transports/ws_frame.h"

#include "tests/suite.h"
#include "tests/transports/frames.h"

/* Reading frames to the byte: RFC 6455 section 5. */

static const struct reader plain = { .max = 1 << 20 };

enum { FRAMES_MAX = 6 };

struct frame {
	unsigned first;
	struct str payload;
};

static void
put_frames(struct buf *out, const struct frame *frames)
{
	buf_init(out, 1 << 20);
	for (size_t i = 0; i < FRAMES_MAX && frames[i].payload.p != NULL; i++)
		frame_put(out, frames[i].first, frames[i].payload);
}

#define NINES "999999999999999999999999999999"

static const struct {
	struct frame frames[FRAMES_MAX];
	struct str lines;
} conversations[] = {
	{ { { FIN | WS_TEXT, BYTES("Hello") } }, BYTES("text 5 Hello\n") },
	{ { { FIN | WS_TEXT, BYTES("") } }, BYTES("text 0\n") },
	{ { { FIN | WS_BINARY, BYTES("") } }, BYTES("binary 0\n") },
	{ { { FIN | WS_BINARY, BYTES("\0\xff\xc0\x80") } },
	    BYTES("binary 4 \0\xff\xc0\x80\n") },
	{ { { FIN | WS_TEXT, BYTES("one") }, { FIN | WS_BINARY, BYTES("two") },
	      { FIN | WS_TEXT, BYTES("three") } },
	    BYTES("text 3 one\nbinary 3 two\ntext 5 three\n") },
	/* Fragments, also empty ones. */
	{ { { WS_TEXT, BYTES("Hel") }, { FIN, BYTES("lo") } },
	    BYTES("text 5 Hello\n") },
	{ { { WS_BINARY, BYTES("a") }, { 0, BYTES("b") }, { 0, BYTES("c") },
	      { FIN, BYTES("d") } },
	    BYTES("binary 4 abcd\n") },
	{ { { WS_TEXT, BYTES("") }, { 0, BYTES("") }, { 0, BYTES("x") },
	      { 0, BYTES("") }, { FIN, BYTES("") } },
	    BYTES("text 1 x\n") },
	{ { { WS_TEXT, BYTES("") }, { FIN, BYTES("") } }, BYTES("text 0\n") },
	{ { { WS_TEXT, BYTES("one") }, { FIN, BYTES("") },
	      { WS_BINARY, BYTES("t") }, { FIN, BYTES("wo") } },
	    BYTES("text 3 one\nbinary 3 two\n") },
	/* Control frames alone, of all sizes, and between fragments. */
	{ { { FIN | WS_PING, BYTES("") } }, BYTES("ping 0\n") },
	{ { { FIN | WS_PONG, BYTES("Hello") } }, BYTES("pong 5 Hello\n") },
	{ { { FIN | WS_PING, BYTES(NINES NINES NINES NINES "12345") } },
	    BYTES("ping 125 " NINES NINES NINES NINES "12345\n") },
	{ { { FIN | WS_PING, BYTES("\xff\0") } }, BYTES("ping 2 \xff\0\n") },
	{ { { WS_TEXT, BYTES("Hel") }, { FIN | WS_PING, BYTES("between") },
	      { FIN, BYTES("lo") } },
	    BYTES("ping 7 between\ntext 5 Hello\n") },
	{ { { WS_TEXT, BYTES("a") }, { FIN | WS_PONG, BYTES("") },
	      { 0, BYTES("b") }, { FIN | WS_PING, BYTES("1") },
	      { FIN | WS_PING, BYTES("2") }, { FIN, BYTES("c") } },
	    BYTES("pong 0\nping 1 1\nping 1 2\ntext 3 abc\n") },
	{ { { WS_BINARY, BYTES("a") }, { FIN | WS_CLOSE, BYTES("\x03\xe8") } },
	    BYTES("close 2 \x03\xe8\n...\n") },
	{ { { FIN | WS_CLOSE, BYTES("") } }, BYTES("close 0\n") },
	{ { { FIN | WS_CLOSE,
	      BYTES("\x03\xe9"
		    "bye") } },
	    BYTES("close 5 \x03\xe9"
		  "bye\n") },
	/* What is unfinished waits. */
	{ { { WS_TEXT, BYTES("Hel") } }, BYTES("...\n") },
	{ { { WS_TEXT, BYTES("") } }, BYTES("...\n") },
	{ { { WS_TEXT, BYTES("a") }, { 0, BYTES("b") },
	      { FIN | WS_PING, BYTES("") } },
	    BYTES("ping 0\n...\n") },
	/* Characters cut by fragments, with a ping in the middle of one. */
	{ { { WS_TEXT, BYTES("\xe2") }, { 0, BYTES("\x82") },
	      { FIN | WS_PING, BYTES("\x82") }, { FIN, BYTES("\xac") } },
	    BYTES("ping 1 \x82\ntext 3 \xe2\x82\xac\n") },
	{ { { WS_TEXT, BYTES("\xf0\x9f") }, { 0, BYTES("") },
	      { FIN, BYTES("\x98\x80!") } },
	    BYTES("text 5 \xf0\x9f\x98\x80!\n") },
	{ { { FIN | WS_TEXT, BYTES("\xce\xba\xe1\xbd\xb9\xcf\x83") } },
	    BYTES("text 7 \xce\xba\xe1\xbd\xb9\xcf\x83\n") },
	/* A text's bytes are forgotten at its end. */
	{ { { WS_BINARY, BYTES("\xe2") }, { FIN, BYTES("") },
	      { FIN | WS_TEXT, BYTES("ok") } },
	    BYTES("binary 1 \xe2\ntext 2 ok\n") },
};

START_TEST(a_conversation_reads_the_same_however_it_is_cut)
{
	struct buf wire;

	put_frames(&wire, conversations[_i].frames);
	read_every_way(
	    &plain, buf_str(&wire), conversations[_i].lines, SW_OK, NULL);
	buf_fini(&wire);
}
END_TEST

/* RFC 6455 5.7, as its bytes stand there. */
START_TEST(the_masked_examples_of_the_rfc_are_read)
{
	static const uint8_t text[] = { 0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
		0x7f, 0x9f, 0x4d, 0x51, 0x58 };
	static const uint8_t pong[] = { 0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d,
		0x7f, 0x9f, 0x4d, 0x51, 0x58 };

	read_every_way(
	    &plain, ARRAY(text), BYTES("text 5 Hello\n"), SW_OK, NULL);
	read_every_way(
	    &plain, ARRAY(pong), BYTES("pong 5 Hello\n"), SW_OK, NULL);
}
END_TEST

static const size_t lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 124, 125, 126, 127,
	128, 255, 256, 257, 1000, 65534, 65535, 65536, 65537, 100000 };

START_TEST(a_payload_of_any_length_is_read)
{
	size_t n = lengths[_i];
	char *bytes = malloc(n + 1);
	uint64_t seed = 7;
	struct buf wire, lines;
	struct reading r;

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)bytes_random(&seed);
	buf_init(&wire, 1 << 20);
	frame_put(&wire, FIN | WS_BINARY, bytes_of(bytes, n));
	reading_init(&r);
	reading_note(&r, WS_BINARY, bytes_of(bytes, n));
	lines = r.lines;
	read_every_way(&plain, buf_str(&wire), buf_str(&lines), SW_OK, NULL);
	buf_fini(&wire);
	buf_fini(&lines);
	free(bytes);
}
END_TEST

START_TEST(a_length_has_its_shortest_form)
{
	static const struct {
		unsigned size; /* bytes that carry it */
		uint64_t length;
		int err;
	} forms[] = {
		{ 3, 0, SW_EPROTO },
		{ 3, 5, SW_EPROTO },
		{ 3, 125, SW_EPROTO },
		{ 3, 126, SW_OK },
		{ 3, 65535, SW_OK },
		{ 9, 0, SW_EPROTO },
		{ 9, 125, SW_EPROTO },
		{ 9, 126, SW_EPROTO },
		{ 9, 65535, SW_EPROTO },
		{ 9, 65536, SW_OK },
		/* 5.2: the most significant bit is zero. */
		{ 9, UINT64_C(1) << 63, SW_EPROTO },
		{ 9, UINT64_MAX, SW_EPROTO },
		/* Allowed, and larger than anything here. */
		{ 9, INT64_MAX, SW_ELIMIT },
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct buf wire;
		size_t taken;

		buf_init(&wire, 100);
		frame_head(
		    &wire, FIN | WS_BINARY, forms[i].size, forms[i].length);
		read_every_way(&plain, buf_str(&wire),
		    forms[i].err == SW_OK ? STR("...\n") : STR(""),
		    forms[i].err, &taken);
		/* Refused with the head, before the payload. */
		if (forms[i].err != SW_OK)
			ck_assert_uint_eq(taken, buf_len(&wire) - 1);
		buf_fini(&wire);
	}
}
END_TEST

/* Is this beginning of a frame allowed? After section 5, line by line. */
static bool
beginning_allowed(
    unsigned first, unsigned second, bool in_message, bool deflate)
{
	unsigned opcode = first & 0xf;
	bool control = opcode == 8 || opcode == 9 || opcode == 10;
	bool starts = opcode == 1 || opcode == 2;

	if ((second & 0x80) == 0 || (first & (RSV2 | RSV3)) != 0)
		return false;
	if (!control && !starts && opcode != 0)
		return false;
	if ((first & RSV1) != 0 && (!deflate || !starts))
		return false;
	if (control)
		return (first & FIN) != 0 && (second & 0x7f) <= 125;
	return starts ? !in_message : in_message;
}

START_TEST(every_beginning_of_a_frame_is_judged)
{
	bool in_message = (_i & 1) != 0, deflate = (_i & 2) != 0;
	struct ws_deflate *zlib;

	ck_assert_int_eq(ws_deflate_new(&zlib, 1), SW_OK);
	for (unsigned two = 0; two < 0x10000; two++) {
		struct ws_handler h = { .message_max = 1000, .deflate = zlib };
		uint8_t start[] = { WS_TEXT, 0x80, 0, 0, 0, 0 };
		uint8_t head[] = { (uint8_t)(two >> 8), (uint8_t)two };
		struct ws_decoder d;
		int err, want;

		ws_decoder_init(&d, deflate);
		if (in_message && ws_decode(&d, start, 6, &h, NULL) != SW_OK)
			ck_abort_msg("the message does not begin");
		err = ws_decode(&d, head, 2, &h, NULL);
		want = beginning_allowed(
			   two >> 8, two & 0xff, in_message, deflate) ?
		    SW_OK :
		    SW_EPROTO;
		if (err != want)
			ck_abort_msg("%04x: %d", two, err);
		if (err == SW_OK && !ws_decoder_busy(&d))
			ck_abort_msg("%04x is forgotten", two);
		ws_decoder_fini(&d);
	}
	ws_deflate_free(zlib);
}
END_TEST

static const struct {
	struct frame frames[FRAMES_MAX];
	struct str lines;
	int err;
	size_t fine; /* bytes before the one that fails */
} faults[] = {
	/* An unknown opcode, a new message inside of one, no message. */
	{ { { FIN | 0x3, BYTES("x") } }, BYTES(""), SW_EPROTO, 1 },
	{ { { FIN | 0xb, BYTES("x") } }, BYTES(""), SW_EPROTO, 1 },
	{ { { FIN | WS_TEXT, BYTES("a") }, { FIN, BYTES("b") } },
	    BYTES("text 1 a\n"), SW_EPROTO, 8 },
	{ { { WS_TEXT, BYTES("a") }, { FIN | WS_TEXT, BYTES("b") } }, BYTES(""),
	    SW_EPROTO, 8 },
	{ { { WS_TEXT, BYTES("a") }, { FIN | WS_PING, BYTES("") },
	      { WS_BINARY, BYTES("b") } },
	    BYTES("ping 0\n"), SW_EPROTO, 14 },
	/* Control frames are whole and short. */
	{ { { WS_PING, BYTES("x") } }, BYTES(""), SW_EPROTO, 1 },
	{ { { WS_CLOSE, BYTES("") } }, BYTES(""), SW_EPROTO, 1 },
	{ { { FIN | WS_PONG, BYTES(NINES NINES NINES NINES "123456") } },
	    BYTES(""), SW_EPROTO, 1 },
	/* Text fails at the first byte that cannot be right. */
	{ { { FIN | WS_TEXT, BYTES("ok\xff and more") } }, BYTES(""), SW_EUTF8,
	    8 },
	{ { { FIN | WS_TEXT,
	      BYTES("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80"
		    "\x80"
		    "edited") } },
	    BYTES(""), SW_EUTF8, 6 + 12 },
	{ { { FIN | WS_TEXT, BYTES("\xed\xa0\x80") } }, BYTES(""), SW_EUTF8,
	    6 + 1 },
	{ { { FIN | WS_TEXT, BYTES("\xc0\x80") } }, BYTES(""), SW_EUTF8, 6 },
	{ { { WS_TEXT, BYTES("\xe2\x82") }, { FIN | WS_PING, BYTES("") },
	      { 0, BYTES("(") }, { FIN, BYTES("never read") } },
	    BYTES("ping 0\n"), SW_EUTF8, 8 + 6 + 6 },
	/* Also when only its end shows it. */
	{ { { FIN | WS_TEXT, BYTES("\xe2\x82") } }, BYTES(""), SW_EUTF8, 7 },
	{ { { WS_TEXT, BYTES("a\xf0") }, { FIN, BYTES("\x9f\x98") } },
	    BYTES(""), SW_EUTF8, 8 + 7 },
	{ { { WS_TEXT, BYTES("\xe2") }, { FIN, BYTES("") } }, BYTES(""),
	    SW_EUTF8, 7 + 5 },
};

START_TEST(a_fault_ends_the_reading_at_its_byte)
{
	struct buf wire;
	size_t taken;

	put_frames(&wire, faults[_i].frames);
	read_every_way(
	    &plain, buf_str(&wire), faults[_i].lines, faults[_i].err, &taken);
	ck_assert_uint_eq(taken, faults[_i].fine);
	buf_fini(&wire);
}
END_TEST

/* Nothing else would ever end a message of them. */
START_TEST(frames_without_payload_are_counted)
{
	struct ws_decoder d;
	struct reading r;
	struct buf wire, more;

	buf_init(&wire, 1 << 20);
	buf_init(&more, 100);
	frame_put(&wire, WS_TEXT, STR(""));
	for (int i = 1; i < WS_EMPTY_MAX; i++)
		frame_put(&wire, WS_CONTINUATION, STR(""));
	frame_put(&wire, WS_CONTINUATION, STR("a"));
	reading_init(&r);
	ws_decoder_init(&d, false);
	/* Each message has as many. */
	for (int i = 0; i < 2; i++) {
		reading_feed(&r, &d, &plain, buf_str(&wire));
		ck_assert_int_eq(r.err, SW_OK);
		frame_put(&more, FIN, STR(""));
		reading_feed(&r, &d, &plain, buf_str(&more));
		buf_clear(&more);
	}
	reading_feed(&r, &d, &plain, buf_str(&wire));
	frame_put(&more, WS_CONTINUATION, STR(""));
	reading_feed(&r, &d, &plain, buf_str(&more));
	ws_decoder_fini(&d);
	reading_expect(&r, STR("text 1 a\ntext 1 a\n"), SW_ELIMIT);
	buf_fini(&wire);
	buf_fini(&more);
}
END_TEST

/* What the handler says goes to the caller, and nothing more is read. */
START_TEST(a_handler_ends_the_reading)
{
	struct ws_decoder d;
	struct reading r;
	struct buf wire;

	buf_init(&wire, 100);
	frame_put(&wire, FIN | WS_PING, STR("1"));
	frame_put(&wire, FIN | WS_TEXT, STR("2"));
	reading_init(&r);
	r.stop_with = SW_ECLOSED;
	ws_decoder_init(&d, false);
	reading_feed(&r, &d, &plain, buf_str(&wire));
	ws_decoder_fini(&d);
	reading_expect(&r, STR("ping 1 1\n"), SW_ECLOSED);
	buf_fini(&wire);
}
END_TEST

/* Message by message, though all of it is there. */
START_TEST(a_handler_leaves_what_follows)
{
	static const size_t ends[] = { 7, 14, 28, 35 };
	struct ws_decoder d;
	struct reading r;
	struct buf wire;

	buf_init(&wire, 100);
	frame_put(&wire, FIN | WS_TEXT, STR("1"));
	frame_put(&wire, FIN | WS_PING, STR("2"));
	frame_put(&wire, WS_TEXT, STR("3"));
	frame_put(&wire, FIN, STR("4"));
	frame_put(&wire, FIN | WS_TEXT, STR("5"));
	reading_init(&r);
	r.stop_with = SW_EAGAIN;
	ws_decoder_init(&d, false);
	for (size_t i = 0; i < COUNT(ends); i++) {
		reading_feed(&r, &d, &plain,
		    bytes_of((char *)buf_head(&wire) + r.taken,
			buf_len(&wire) - r.taken));
		ck_assert_int_eq(r.err, SW_OK);
		ck_assert_uint_eq(r.taken, ends[i]);
	}
	ck_assert(!ws_decoder_busy(&d));
	ws_decoder_fini(&d);
	reading_expect(
	    &r, STR("text 1 1\nping 1 2\ntext 2 34\ntext 1 5\n"), SW_OK);
	buf_fini(&wire);
}
END_TEST

/* The mask turns with the payload, wherever a piece of it begins. */
START_TEST(unmasking_any_piece_equals_unmasking_byte_by_byte)
{
	uint8_t bytes[64], want[64];

	for (size_t offset = 0; offset < 9; offset++)
		for (size_t n = 0; n <= sizeof(bytes) - 8; n++) {
			/* Unaligned as well. */
			uint8_t *p = bytes + n % 8;

			for (size_t i = 0; i < n; i++) {
				p[i] = (uint8_t)(i * 37 + n);
				want[i] = p[i] ^ frames_mask[(offset + i) % 4];
			}
			ws_unmask(p, n, frames_mask, offset);
			assert_bytes(bytes_of(p, n), bytes_of(want, n));
		}
}
END_TEST

/* An idle connection is the decoder alone: nothing is kept for it. */
START_TEST(nothing_is_kept_between_messages)
{
	struct ws_decoder d;
	struct reading r;
	struct buf wire;

	buf_init(&wire, 1000);
	frame_put(&wire, WS_TEXT, STR("a"));
	frame_put(&wire, FIN | WS_PING, STR("in pieces"));
	frame_put(&wire, FIN, STR("b"));
	frame_put(&wire, FIN | WS_PING, STR("again"));
	reading_init(&r);
	ws_decoder_init(&d, false);
	for (size_t i = 0; i < buf_len(&wire); i++)
		reading_feed(
		    &r, &d, &plain, bytes_of((char *)buf_head(&wire) + i, 1));
	ck_assert_ptr_null(d.parts);
	reading_expect(
	    &r, STR("ping 9 in pieces\ntext 2 ab\nping 5 again\n"), SW_OK);
	ws_decoder_fini(&d);
	ws_decoder_fini(&d);
	buf_fini(&wire);
}
END_TEST

SUITE("ws_frame",
    LOOP(a_conversation_reads_the_same_however_it_is_cut, COUNT(conversations)),
    TEST(the_masked_examples_of_the_rfc_are_read),
    LOOP(a_payload_of_any_length_is_read, COUNT(lengths)),
    TEST(a_length_has_its_shortest_form),
    LOOP(every_beginning_of_a_frame_is_judged, 4),
    LOOP(a_fault_ends_the_reading_at_its_byte, COUNT(faults)),
    TEST(frames_without_payload_are_counted), TEST(a_handler_ends_the_reading),
    TEST(a_handler_leaves_what_follows),
    TEST(unmasking_any_piece_equals_unmasking_byte_by_byte),
    TEST(nothing_is_kept_between_messages))
