#include "transports/ws_deflate.h"

#include "proxy/base/err.h"
#include "tests/suite.h"
#include "tests/transports/zlib_oom.h"
#include "tests/transports/zlib_peer.h"

static struct ws_deflate *
open_level(int level)
{
	struct ws_deflate *d = NULL;

	ck_assert_int_eq(ws_deflate_new(&d, level), SW_OK);
	return d;
}

static const struct {
	struct str bytes, message;
} messages[] = {
	/* RFC 7692 7.2.3.1, one block. */
	{ BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello") },
	/* 7.2.3.3, a block without compression. */
	{ BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
	    BYTES("Hello") },
	/* 7.2.3.4, a block that is marked as the last. */
	{ BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), BYTES("Hello") },
	/* The same without what follows: nothing is left open. */
	{ BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), BYTES("Hello") },
	/* And twice, with a plain one behind. */
	{ BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00\xf2"
		"\x48\xcd\xc9\xc9\x07\x00"),
	    BYTES("HelloHelloHello") },
	/* 7.2.3.5, two blocks. */
	{ BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
	    BYTES("Hello") },
	/* 7.2.3.6, nothing; and nothing at all. */
	{ BYTES("\x00"), BYTES("") },
	{ BYTES(""), BYTES("") },
	/* Flushed, and flushed again. */
	{ BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00\x00\x00\xff"
		"\xff\x00"),
	    BYTES("Hello") },
};

START_TEST(a_compressed_message_is_read)
{
	struct ws_deflate *d = open_level(1);
	char *copy = bytes_copy(messages[_i].bytes);
	struct buf out;

	/* Twice: the second one finds everything as the first one did. */
	for (int k = 0; k < 2; k++) {
		buf_init(&out, 100);
		buf_puts(&out, "before ");
		ck_assert_int_eq(
		    ws_inflate(d, &out, bytes_of(copy, messages[_i].bytes.len)),
		    SW_OK);
		buf_drop(&out, 7);
		assert_bytes(buf_str(&out), messages[_i].message);
		buf_fini(&out);
	}
	free(copy);
	ws_deflate_free(d);
}
END_TEST

static const struct str no_messages[] = {
	/* 7.2.3.2: it refers to the message before, of which nothing is kept */
	BYTES("\xf2\x00\x11\x00\x00"),
	/* Cut short: inside of a block, and between the bytes of a length. */
	BYTES("\xf2"),
	BYTES("\xf2\x48"),
	BYTES("\xf2\x48\xcd"),
	BYTES("\xf2\x48\xcd\xc9"),
	BYTES("\x00\x05"),
	BYTES("\x00\x05\x00\xfa\xff"),
	BYTES("\x00\x05\x00\xfa\xff\x48\x65"),
	/* A block of a kind that is reserved. */
	BYTES("\x07"),
	BYTES("\x06\x00\x00"),
	/* A length and its complement that are none. */
	BYTES("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"),
	/* Headers of zlib and gzip. */
	BYTES("\x78\x9c\xf2\x48\xcd\xc9\xc9\x07\x00"),
	BYTES("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xf2\x48\xcd\xc9\xc9\x07"
	      "\x00"),
	/* Behind the last block comes no text. */
	BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00Hello, and more"),
	/* A distance too far back. */
	BYTES("\x73\x04\x11\x00"),
};

START_TEST(what_is_no_compressed_message_is_refused)
{
	struct ws_deflate *d = open_level(1);
	char *copy = bytes_copy(no_messages[_i]);
	struct buf out;

	buf_init(&out, 1000);
	ck_assert_int_eq(
	    ws_inflate(d, &out, bytes_of(copy, no_messages[_i].len)),
	    SW_EPROTO);
	/* The next message, of another connection, does not suffer. */
	buf_clear(&out);
	ck_assert_int_eq(ws_inflate(d, &out, messages[0].bytes), SW_OK);
	assert_text(buf_str(&out), "Hello");
	buf_fini(&out);
	free(copy);
	ws_deflate_free(d);
}
END_TEST

static const size_t sizes[] = { 0, 1, 2, 5, 100, 255, 256, 257, 4095, 4096,
	4097, 32767, 32768, 32769, 65535, 65536, 70000, 1 << 20 };

/* Text that shrinks, or noise that does not. */
static char *
make_message(size_t n, bool noise)
{
	static const char words[] = "the same words come again and again, ";
	char *bytes = malloc(n + 1);
	uint64_t seed = 99;

	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < n; i++)
		bytes[i] = noise ? (char)bytes_random(&seed) :
				   words[(i + i / 1000) % (sizeof(words) - 1)];
	return bytes;
}

START_TEST(a_message_comes_back_from_every_compressor)
{
	struct ws_deflate *d = open_level(_i % 9 + 1);
	bool small = _i / 9 % 2 != 0, noise = _i / 18 != 0;

	for (size_t k = 0; k < usually(COUNT(sizes), COUNT(sizes) - 1); k++) {
		char *bytes = make_message(sizes[k], noise);
		struct str message = bytes_of(bytes, sizes[k]);
		struct buf packed, back;

		buf_init(&packed, 2 << 20);
		buf_puts(&packed, "head");
		ck_assert_int_eq(
		    ws_compress(d, &packed, message, small), SW_OK);
		buf_drop(&packed, 4);
		buf_init(&back, sizes[k]);
		ck_assert_int_eq(ws_inflate(d, &back, buf_str(&packed)), SW_OK);
		assert_bytes(buf_str(&back), message);
		/* It is worth it for texts, and harmless for the rest. */
		if (!noise && sizes[k] > 1000)
			ck_assert_uint_lt(buf_len(&packed), sizes[k] / 4);
		ck_assert_uint_le(
		    buf_len(&packed), sizes[k] + sizes[k] / 100 + 20);
		buf_fini(&packed);
		buf_fini(&back);
		free(bytes);
	}
	ws_deflate_free(d);
}
END_TEST

/* RFC 7692 7.1.2.1: a window of 2^8 is the smallest that a peer may have. */
START_TEST(a_small_window_is_enough_for_any_peer)
{
	struct ws_deflate *d = open_level(_i + 1);

	for (size_t k = 0; k < COUNT(sizes) - 1; k++) {
		char *bytes = make_message(sizes[k], false);
		struct str message = bytes_of(bytes, sizes[k]);
		struct buf packed, back;

		buf_init(&packed, 1 << 20);
		ck_assert_int_eq(ws_compress(d, &packed, message, true), SW_OK);
		back = peer_inflate(buf_str(&packed), 8);
		assert_bytes(buf_str(&back), message);
		buf_fini(&packed);
		buf_fini(&back);
		free(bytes);
	}
	ws_deflate_free(d);
}
END_TEST

/* The same bytes each time: so that they can be shared. */
START_TEST(no_message_depends_on_the_one_before)
{
	struct ws_deflate *d = open_level(6);
	struct str message = STR("a message that repeats, a message that "
				 "repeats");
	struct buf first, second;

	buf_init(&first, 1000);
	buf_init(&second, 1000);
	for (int small = 0; small < 2; small++) {
		buf_clear(&first);
		buf_clear(&second);
		ck_assert_int_eq(ws_compress(d, &first, message, small), SW_OK);
		ck_assert_int_eq(
		    ws_compress(d, &second, STR("another"), small), SW_OK);
		buf_clear(&second);
		ck_assert_int_eq(
		    ws_compress(d, &second, message, small), SW_OK);
		assert_bytes(buf_str(&second), buf_str(&first));
	}
	buf_fini(&first);
	buf_fini(&second);
	ws_deflate_free(d);
}
END_TEST

START_TEST(a_message_of_any_peer_is_read)
{
	static const struct peer_settings peers[] = {
		{ 0, 15, 8 },
		{ 1, 9, 1 },
		{ 1, 15, 1 },
		{ 6, 15, 8 },
		{ 9, 10, 9 },
		{ 9, 15, 9 },
	};
	struct ws_deflate *d = open_level(1);

	for (size_t p = 0; p < COUNT(peers); p++)
		for (size_t k = 0; k < usually(COUNT(sizes), COUNT(sizes) - 1);
		     k++) {
			char *bytes = make_message(sizes[k], p % 2 != 0);
			struct buf packed, back;

			buf_init(&packed, 4 << 20);
			peer_deflate(
			    &packed, bytes_of(bytes, sizes[k]), peers[p]);
			buf_init(&back, sizes[k]);
			ck_assert_int_eq(
			    ws_inflate(d, &back, buf_str(&packed)), SW_OK);
			assert_bytes(buf_str(&back), bytes_of(bytes, sizes[k]));
			buf_fini(&packed);
			buf_fini(&back);
			free(bytes);
		}
	ws_deflate_free(d);
}
END_TEST

/* As large as allowed is fine; a byte more is refused, and never stored. */
START_TEST(inflation_stops_at_the_limit)
{
	struct ws_deflate *d = open_level(1);

	for (size_t k = 1; k < COUNT(sizes); k++) {
		size_t n = sizes[k];
		char *bytes = make_message(n, _i == 1);
		struct buf packed, back;

		buf_init(&packed, 4 << 20);
		peer_deflate(&packed, bytes_of(bytes, n),
		    (struct peer_settings){ 6, 15, 8 });
		buf_init(&back, n);
		ck_assert_int_eq(ws_inflate(d, &back, buf_str(&packed)), SW_OK);
		buf_fini(&back);
		buf_init(&back, n - 1);
		ck_assert_int_eq(
		    ws_inflate(d, &back, buf_str(&packed)), SW_ELIMIT);
		ck_assert_uint_le(buf_len(&back), n - 1);
		buf_fini(&back);
		buf_fini(&packed);
		free(bytes);
	}
	ws_deflate_free(d);
}
END_TEST

/* 64 MiB of zeros in 64 kB: no more is allocated than the limit asks for. */
START_TEST(a_bomb_costs_no_more_than_the_limit)
{
	enum { BOMB = 64 << 20, LIMIT = 100000 };
	struct ws_deflate *d = open_level(1);
	char *zeros = calloc(1, BOMB);
	struct buf packed, back;

	ck_assert_ptr_nonnull(zeros);
	buf_init(&packed, (size_t)3 * BOMB);
	peer_deflate(
	    &packed, bytes_of(zeros, BOMB), (struct peer_settings){ 9, 15, 9 });
	free(zeros);
	ck_assert_uint_lt(buf_len(&packed), BOMB / 1000);
	buf_init(&back, LIMIT);
	ck_assert_int_eq(ws_inflate(d, &back, buf_str(&packed)), SW_ELIMIT);
	ck_assert_uint_le(back.cap, 2 * LIMIT);
	buf_fini(&back);
	buf_fini(&packed);
	ws_deflate_free(d);
}
END_TEST

START_TEST(a_full_buffer_takes_no_compressed_message)
{
	struct ws_deflate *d = open_level(1);
	struct buf out;

	buf_init(&out, 16);
	ck_assert_int_eq(
	    ws_compress(d, &out, STR("more than sixteen bytes"), false),
	    SW_ELIMIT);
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_fini(&out);
	ws_deflate_free(d);
}
END_TEST

/* Larger than what one reads at once, so that the window is needed. */
static int
roundtrip(struct ws_deflate *d, struct str message, bool small)
{
	struct buf packed, back;
	int err;

	buf_init(&packed, 1 << 20);
	buf_init(&back, 1 << 20);
	err = ws_compress(d, &packed, message, small);
	if (err == SW_OK)
		err = ws_inflate(d, &back, buf_str(&packed));
	if (err == SW_OK && buf_len(&back) != message.len)
		err = SW_EIO;
	buf_fini(&packed);
	buf_fini(&back);
	return err;
}

static int
memory_story(void *arg)
{
	struct str *message = arg;
	struct ws_deflate *d = NULL;
	int err;

	if ((err = ws_deflate_new(&d, 1)) == SW_OK &&
	    (err = roundtrip(d, *message, false)) == SW_OK)
		err = roundtrip(d, *message, true);
	ws_deflate_free(d);
	return err;
}

START_TEST(memory_may_run_out_at_any_time)
{
	char *bytes = make_message(70000, true);
	struct str message = bytes_of(bytes, 70000);

	oom_tell(memory_story, &message);
	free(bytes);
}
END_TEST

/* What failed once works when there is memory again. */
static int
recovery_story(void *arg)
{
	struct str *message = arg;
	struct ws_deflate *d = NULL;
	int err = ws_deflate_new(&d, 1);

	if (err == SW_OK) {
		err = roundtrip(d, *message, false);
		if (err == SW_ENOMEM && roundtrip(d, *message, false) != SW_OK)
			err = SW_EIO;
	}
	ws_deflate_free(d);
	return err;
}

START_TEST(it_recovers_when_memory_is_back)
{
	char *bytes = make_message(70000, false);
	struct str message = bytes_of(bytes, 70000);

	ck_assert_uint_gt(
	    oom_tell_all(recovery_story, &message, false, false), 3);
	free(bytes);
}
END_TEST

SUITE("ws_deflate", LOOP(a_compressed_message_is_read, COUNT(messages)),
    LOOP(what_is_no_compressed_message_is_refused, COUNT(no_messages)),
    LOOP(a_message_comes_back_from_every_compressor, 36),
    LOOP(a_small_window_is_enough_for_any_peer, 9),
    TEST(no_message_depends_on_the_one_before),
    TEST(a_message_of_any_peer_is_read), LOOP(inflation_stops_at_the_limit, 2),
    TEST(a_bomb_costs_no_more_than_the_limit),
    TEST(a_full_buffer_takes_no_compressed_message),
    TEST(memory_may_run_out_at_any_time), TEST(it_recovers_when_memory_is_back))
