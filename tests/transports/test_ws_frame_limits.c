#include "transports/ws_frame.h"

#include "tests/suite.h"
#include "tests/transports/frames.h"
#include "tests/transports/zlib_oom.h"
#include "tests/transports/zlib_peer.h"

/*
 * Messages that are large, in many pieces, compressed, or more than we take:
 * RFC 6455 section 5.4, RFC 7692 sections 6 and 7.
 */

enum { MIB = 1 << 20 };

static char *
noise(size_t n)
{
	char *bytes = malloc(n + 1);
	uint64_t seed = 4711;

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)bytes_random(&seed);
	return bytes;
}

/* The line for a message that is read whole. */
static struct buf
line_of(enum ws_opcode opcode, struct str message)
{
	struct reading r;

	reading_init(&r);
	reading_note(&r, opcode, message);
	return r.lines;
}

START_TEST(a_message_of_65536_fragments_is_read)
{
	enum { FRAGMENTS = 65536 };
	const struct reader how = { .max = FRAGMENTS };
	struct reading want;
	struct buf wire, message;

	buf_init(&wire, MIB);
	buf_init(&message, FRAGMENTS);
	reading_init(&want);
	for (unsigned i = 0; i < FRAGMENTS; i++) {
		char c = (char)('a' + i % 26);
		unsigned fin = i + 1 == FRAGMENTS ? FIN : 0;

		buf_put(&message, &c, 1);
		frame_put(&wire, (i == 0 ? WS_TEXT : 0) | fin, bytes_of(&c, 1));
		if (fin != 0 || i % 1000 != 0)
			continue;
		frame_put(&wire, FIN | WS_PING, STR("alive?"));
		reading_note(&want, WS_PING, STR("alive?"));
	}
	reading_note(&want, WS_TEXT, buf_str(&message));
	read_every_way(&how, buf_str(&wire), buf_str(&want.lines), SW_OK, NULL);
	reading_fini(&want);
	buf_fini(&message);
	buf_fini(&wire);
}
END_TEST

/* 16 MiB, as one frame and as 256 of them. */
START_TEST(a_message_of_16_mib_is_read_when_the_limit_allows)
{
	enum { SIZE = 16 * MIB };
	size_t fragments = _i == 0 ? 1 : 256, n = SIZE / fragments;
	const struct reader how = { .max = SIZE };
	char *bytes = noise(SIZE);
	struct buf wire, lines = line_of(WS_BINARY, bytes_of(bytes, SIZE));
	struct reading r;

	buf_init(&wire, SIZE + MIB);
	for (size_t i = 0; i < fragments; i++)
		frame_put(&wire,
		    (i == 0 ? WS_BINARY : 0) | (i + 1 == fragments ? FIN : 0),
		    bytes_of(bytes + i * n, n));
	/* Whole, and as reads from a socket cut it. */
	read_steps(&r, &how, buf_str(&wire), buf_len(&wire));
	reading_expect(&r, buf_str(&lines), SW_OK);
	read_steps(&r, &how, buf_str(&wire), 99991);
	reading_expect(&r, buf_str(&lines), SW_OK);
	buf_fini(&lines);
	buf_fini(&wire);
	free(bytes);
}
END_TEST

START_TEST(a_byte_above_the_limit_is_refused_with_the_head)
{
	static const size_t limits[] = { 0, 1, 125, 126, 65535, 65536,
		(size_t)16 * MIB };
	size_t limit = limits[_i], taken;
	const struct reader how = { .max = limit };
	unsigned size = limit + 1 < 126 ? 1 : limit + 1 < 65536 ? 3 : 9;
	struct buf wire;

	buf_init(&wire, 100);
	frame_head(&wire, FIN | WS_BINARY, size, limit + 1);
	read_every_way(&how, buf_str(&wire), STR(""), SW_ELIMIT, &taken);
	ck_assert_uint_eq(taken, buf_len(&wire) - 1);
	buf_clear(&wire);
	/* No sum of lengths wraps around. */
	frame_put(&wire, WS_BINARY, STR(""));
	frame_head(&wire, FIN, 9, INT64_MAX);
	read_every_way(&how, buf_str(&wire), STR(""), SW_ELIMIT, &taken);
	ck_assert_uint_eq(taken, buf_len(&wire) - 1);
	buf_fini(&wire);
}
END_TEST

/* It is the message that counts, not the frame. */
START_TEST(fragments_are_counted_together)
{
	const struct reader how = { .max = 10 };
	struct buf wire;
	size_t taken, head;

	buf_init(&wire, 1000);
	frame_put(&wire, WS_TEXT, STR("12345"));
	frame_put(&wire, 0, STR("1234"));
	frame_put(&wire, FIN, STR("0"));
	frame_put(&wire, FIN | WS_TEXT, STR("1234567890"));
	read_every_way(&how, buf_str(&wire),
	    STR("text 10 1234512340\ntext 10 1234567890\n"), SW_OK, NULL);
	buf_clear(&wire);
	frame_put(&wire, WS_TEXT, STR("12345"));
	frame_put(&wire, FIN | WS_PING, STR("above the limit, yet no message"));
	frame_put(&wire, 0, STR("1234"));
	head = buf_len(&wire) + 6;
	frame_put(&wire, FIN, STR("01"));
	read_every_way(&how, buf_str(&wire),
	    STR("ping 31 above the limit, yet no message\n"), SW_ELIMIT,
	    &taken);
	ck_assert_uint_eq(taken, head - 1);
	buf_fini(&wire);
}
END_TEST

/* Compressed messages. */

static struct reader
deflating(size_t max)
{
	struct reader how = { .max = max };

	ck_assert_int_eq(ws_deflate_new(&how.deflate, 1), SW_OK);
	return how;
}

static const struct {
	struct {
		unsigned first;
		struct str payload;
	} frames[5];
	struct str lines;
	int err;
} compressed[] = {
	/* RFC 7692 7.2.3.1, whole and in two frames. */
	{ { { FIN | RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00") } },
	    BYTES("text 5 Hello\n"), SW_OK },
	{ { { RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd") },
	      { FIN, BYTES("\xc9\xc9\x07\x00") } },
	    BYTES("text 5 Hello\n"), SW_OK },
	/* With a ping between, and a plain message behind. */
	{ { { RSV1 | WS_BINARY, BYTES("\xf2\x48\xcd") },
	      { FIN | WS_PING, BYTES("?") }, { 0, BYTES("") },
	      { FIN, BYTES("\xc9\xc9\x07\x00") },
	      { FIN | WS_TEXT, BYTES("plain") } },
	    BYTES("ping 1 ?\nbinary 5 Hello\ntext 5 plain\n"), SW_OK },
	/* The bit is the message's: only its first frame has it. */
	{ { { RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd") },
	      { FIN | RSV1, BYTES("\xc9\xc9\x07\x00") } },
	    BYTES(""), SW_EPROTO },
	{ { { WS_TEXT, BYTES("a") }, { FIN | RSV1, BYTES("b") } }, BYTES(""),
	    SW_EPROTO },
	{ { { FIN | RSV1 | WS_PING, BYTES("") } }, BYTES(""), SW_EPROTO },
	/* Empty, in both ways. */
	{ { { FIN | RSV1 | WS_TEXT, BYTES("\x00") },
	      { FIN | RSV1 | WS_TEXT, BYTES("") } },
	    BYTES("text 0\ntext 0\n"), SW_OK },
	/* What is not UTF-8: stored as it is, it is the inflated that counts */
	{ { { FIN | RSV1 | WS_TEXT,
	      BYTES("\x00\x02\x00\xfd\xff\xc3\x28\x00") } },
	    BYTES(""), SW_EUTF8 },
	{ { { FIN | RSV1 | WS_TEXT, BYTES("\x00\x01\x00\xfe\xff\xc3\x00") } },
	    BYTES(""), SW_EUTF8 },
	{ { { FIN | RSV1 | WS_BINARY,
	      BYTES("\x00\x02\x00\xfd\xff\xc3\x28\x00") } },
	    BYTES("binary 2 \xc3\x28\n"), SW_OK },
	/* What is not compressed at all, and what is cut short. */
	{ { { FIN | RSV1 | WS_TEXT, BYTES("Hello") } }, BYTES(""), SW_EPROTO },
	{ { { RSV1 | WS_TEXT, BYTES("\xf2\x48") }, { FIN, BYTES("\xcd") } },
	    BYTES(""), SW_EPROTO },
	/* RFC 7692 7.2.3.2: no context is kept between messages. */
	{ { { FIN | RSV1 | WS_TEXT, BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00") },
	      { FIN | RSV1 | WS_TEXT, BYTES("\xf2\x00\x11\x00\x00") } },
	    BYTES("text 5 Hello\n"), SW_EPROTO },
	/* A text behind a compressed one is checked from its beginning. */
	{ { { FIN | RSV1 | WS_TEXT, BYTES("\x00\x01\x00\xfe\xff\x61\x00") },
	      { FIN | WS_TEXT, BYTES("\x80") } },
	    BYTES("text 1 a\n"), SW_EUTF8 },
};

START_TEST(a_compressed_conversation_reads_the_same_however_it_is_cut)
{
	struct reader how = deflating(1000);
	struct buf wire;

	buf_init(&wire, 1000);
	for (size_t i = 0; i < 5; i++)
		if (compressed[_i].frames[i].payload.p != NULL)
			frame_put(&wire, compressed[_i].frames[i].first,
			    compressed[_i].frames[i].payload);
	read_every_way(&how, buf_str(&wire), compressed[_i].lines,
	    compressed[_i].err, NULL);
	buf_fini(&wire);
	ws_deflate_free(how.deflate);
}
END_TEST

/* A small frame that becomes more than we take is refused like a large one. */
START_TEST(a_bomb_is_refused)
{
	enum { SIZE = 4 * MIB };
	struct reader how = deflating(SIZE - 1);
	char *zeros = calloc(1, SIZE);
	struct buf packed, wire, lines;

	ck_assert_ptr_nonnull(zeros);
	buf_init(&packed, (size_t)3 * SIZE);
	buf_init(&wire, MIB);
	peer_deflate(
	    &packed, bytes_of(zeros, SIZE), (struct peer_settings){ 9, 15, 9 });
	frame_put(&wire, FIN | RSV1 | WS_BINARY, buf_str(&packed));
	ck_assert_uint_lt(buf_len(&wire), SIZE / 500);
	read_every_way(&how, buf_str(&wire), STR(""), SW_ELIMIT, NULL);
	how.max = SIZE;
	lines = line_of(WS_BINARY, bytes_of(zeros, SIZE));
	read_every_way(&how, buf_str(&wire), buf_str(&lines), SW_OK, NULL);
	buf_fini(&lines);
	buf_fini(&packed);
	buf_fini(&wire);
	free(zeros);
	ws_deflate_free(how.deflate);
}
END_TEST

/* The limit is the message's: noise grows when it is compressed. */
START_TEST(noise_as_large_as_allowed_is_read_when_it_is_compressed)
{
	static const struct peer_settings peers[] = {
		{ 0, 15, 8 },
		{ 1, 9, 1 },
		{ 6, 15, 8 },
		{ 9, 15, 1 },
	};
	const size_t sizes[] = { 1, 10, 1000, 100000,
		usually(3 * (size_t)MIB, 300000) };

	for (size_t p = 0; p < COUNT(peers); p++) {
		struct reader how = deflating(sizes[_i]);
		char *bytes = noise(sizes[_i]);
		struct str message = bytes_of(bytes, sizes[_i]);
		struct buf packed, wire, lines = line_of(WS_BINARY, message);
		struct reading r;

		buf_init(&packed, (size_t)8 * MIB);
		buf_init(&wire, (size_t)8 * MIB);
		peer_deflate(&packed, message, peers[p]);
		ck_assert_uint_gt(buf_len(&packed), sizes[_i]);
		frame_put(&wire, FIN | RSV1 | WS_BINARY, buf_str(&packed));
		read_steps(&r, &how, buf_str(&wire), 5003);
		reading_expect(&r, buf_str(&lines), SW_OK);
		buf_fini(&lines);
		buf_fini(&wire);
		buf_fini(&packed);
		free(bytes);
		ws_deflate_free(how.deflate);
	}
}
END_TEST

/* What cannot become a message within the limit is not collected. */
START_TEST(a_compressed_payload_has_a_limit_as_well)
{
	struct reader how = deflating(1000);
	struct buf wire;
	size_t taken;

	buf_init(&wire, 4000);
	frame_head(&wire, FIN | RSV1 | WS_BINARY, 3, 2000);
	read_every_way(&how, buf_str(&wire), STR(""), SW_ELIMIT, &taken);
	ck_assert_uint_eq(taken, buf_len(&wire) - 1);
	/* The room is for compressed messages alone. */
	buf_clear(&wire);
	frame_head(&wire, FIN | WS_BINARY, 3, 1001);
	read_every_way(&how, buf_str(&wire), STR(""), SW_ELIMIT, &taken);
	ck_assert_uint_eq(taken, buf_len(&wire) - 1);
	buf_fini(&wire);
	ws_deflate_free(how.deflate);
}
END_TEST

/* Memory. */

struct memory {
	struct str wire;
	size_t step;
};

static int
ignore(void *ctx, enum ws_opcode opcode, struct str payload)
{
	(void)ctx;
	(void)opcode;
	(void)payload;
	return SW_OK;
}

static int
memory_story(void *arg)
{
	struct memory *m = arg;
	struct ws_handler h = {
		.message = ignore,
		.control = ignore,
		.message_max = MIB,
	};
	uint8_t piece[64];
	struct ws_decoder d;
	int err = ws_deflate_new(&h.deflate, 1);

	ws_decoder_init(&d, true);
	for (size_t i = 0; err == SW_OK && i < m->wire.len; i += m->step) {
		size_t n = m->wire.len - i;

		n = n < m->step ? n : m->step;
		memcpy(piece, m->wire.p + i, n);
		err = ws_decode(&d, piece, n, &h, NULL);
	}
	ws_decoder_fini(&d);
	ws_deflate_free(h.deflate);
	return err;
}

START_TEST(memory_may_run_out_at_any_byte)
{
	struct memory m = { .step = _i == 0 ? 1 : 64 };
	char *bytes = noise(500);
	struct buf wire;

	buf_init(&wire, MIB);
	frame_put(&wire, FIN | WS_PING, STR("in pieces, if they are small"));
	frame_put(&wire, WS_BINARY, bytes_of(bytes, 500));
	frame_put(&wire, FIN | WS_PING, STR("in between"));
	frame_put(&wire, FIN, bytes_of(bytes, 300));
	frame_put(
	    &wire, FIN | RSV1 | WS_TEXT, STR("\xf2\x48\xcd\xc9\xc9\x07\x00"));
	/* The end stays open: what is half read is freed as well. */
	frame_put(&wire, WS_TEXT, STR("unfinished"));
	m.wire = buf_str(&wire);
	oom_tell(memory_story, &m);
	buf_fini(&wire);
	free(bytes);
}
END_TEST

SUITE("ws_frame_limits", TEST(a_message_of_65536_fragments_is_read),
    LOOP(a_message_of_16_mib_is_read_when_the_limit_allows, 2),
    LOOP(a_byte_above_the_limit_is_refused_with_the_head, 7),
    TEST(fragments_are_counted_together),
    LOOP(a_compressed_conversation_reads_the_same_however_it_is_cut,
	COUNT(compressed)),
    TEST(a_bomb_is_refused),
    LOOP(noise_as_large_as_allowed_is_read_when_it_is_compressed, 5),
    TEST(a_compressed_payload_has_a_limit_as_well),
    LOOP(memory_may_run_out_at_any_byte, 2))
