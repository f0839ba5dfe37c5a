#include "proxy/base/digest.h"

#include "tests/bytes.h"
#include "tests/suite.h"

/* FIPS 180-1 appendices A and B, and RFC 6455 1.3. */
static const struct {
	const char *text;
	uint8_t sha1[SHA1_SIZE];
} vectors[] = {
	{ "",
	    { 0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55, 0xbf,
		0xef, 0x95, 0x60, 0x18, 0x90, 0xaf, 0xd8, 0x07, 0x09 } },
	{ "abc",
	    { 0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e, 0x25,
		0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d } },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	    { 0x84, 0x98, 0x3e, 0x44, 0x1c, 0x3b, 0xd2, 0x6e, 0xba, 0xae, 0x4a,
		0xa1, 0xf9, 0x51, 0x29, 0xe5, 0xe5, 0x46, 0x70, 0xf1 } },
	{ "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
	    { 0xb3, 0x7a, 0x4f, 0x2c, 0xc0, 0x62, 0x4f, 0x16, 0x90, 0xf6, 0x46,
		0x06, 0xcf, 0x38, 0x59, 0x45, 0xb2, 0xbe, 0xc4, 0xea } },
};

START_TEST(sha1_agrees_with_its_standard)
{
	uint8_t out[SHA1_SIZE];

	ck_assert_int_eq(digest_sha1(out, str_of(vectors[_i].text)), SW_OK);
	assert_bytes(ARRAY(out), ARRAY(vectors[_i].sha1));
}
END_TEST

START_TEST(sha1_of_a_million_letters)
{
	static const uint8_t want[SHA1_SIZE] = { 0x34, 0xaa, 0x97, 0x3c, 0xd4,
		0xc4, 0xda, 0xa4, 0xf6, 0x1e, 0xeb, 0x2b, 0xdb, 0xad, 0x27,
		0x31, 0x65, 0x34, 0x01, 0x6f };
	char *letters = malloc(1000000);
	uint8_t out[SHA1_SIZE];

	ck_assert_ptr_nonnull(letters);
	memset(letters, 'a', 1000000);
	ck_assert_int_eq(digest_sha1(out, bytes_of(letters, 1000000)), SW_OK);
	assert_bytes(ARRAY(out), ARRAY(want));
	free(letters);
}
END_TEST

/* RFC 4231 4.3 and 4.7: a short key, and one above the block's size. */
START_TEST(hmac_agrees_with_its_standard)
{
	static const uint8_t want[][HMAC_SIZE] = {
		{ 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04,
		    0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00, 0x3f, 0x08,
		    0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec,
		    0x38, 0x43 },
		{ 0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a,
		    0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f, 0x8e, 0x0b, 0xc6, 0x21,
		    0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3,
		    0x7f, 0x54 },
	};
	const struct str short_text[] = { STR("what do ya want "), STR(""),
		STR("for nothing?") };
	const struct str long_text[] = { STR(
	    "Test Using Larger Than Block-Size Key - Hash Key First") };
	char long_key[131];
	uint8_t out[HMAC_SIZE];

	memset(long_key, 0xaa, sizeof(long_key));
	ck_assert_int_eq(
	    digest_hmac(out, STR("Jefe"), short_text, COUNT(short_text)),
	    SW_OK);
	assert_bytes(ARRAY(out), ARRAY(want[0]));
	ck_assert_int_eq(
	    digest_hmac(out, ARRAY(long_key), long_text, COUNT(long_text)),
	    SW_OK);
	assert_bytes(ARRAY(out), ARRAY(want[1]));
}
END_TEST

/* RFC 4648 section 10, and the two characters beyond letters and digits. */
static const struct {
	struct str bytes;
	const char *text;
} base64[] = {
	{ { "", 0 }, "" },
	{ { "f", 1 }, "Zg==" },
	{ { "fo", 2 }, "Zm8=" },
	{ { "foo", 3 }, "Zm9v" },
	{ { "foob", 4 }, "Zm9vYg==" },
	{ { "fooba", 5 }, "Zm9vYmE=" },
	{ { "foobar", 6 }, "Zm9vYmFy" },
	{ { "\0", 1 }, "AA==" },
	{ { "\0\0\0", 3 }, "AAAA" },
	{ { "\xff", 1 }, "/w==" },
	{ { "\xff\xff\xff", 3 }, "////" },
	{ { "\xfb\xef\xbe", 3 }, "++++" },
	{ { "\x00\x10\x83\x10\x51\x87\x20\x92\x8b\x30\xd3\x8f\x41\x14\x93\x51"
	    "\x55\x97\x61\x96\x9b\x71\xd7\x9f\x82\x18\xa3\x92\x59\xa7\xa2\x9a"
	    "\xab\xb2\xdb\xaf\xc3\x1c\xb3\xd3\x5d\xb7\xe3\x9e\xbb\xf3\xdf\xbf",
	      48 },
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+"
	    "/" },
};

START_TEST(base64_agrees_with_its_standard)
{
	size_t n = BASE64_LENGTH(base64[_i].bytes.len);
	char *text = malloc(n + 1);
	struct buf out;

	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(n, strlen(base64[_i].text));
	/* A guard behind it: not terminated, not a byte more. */
	text[n] = '#';
	base64_encode(text, base64[_i].bytes.p, base64[_i].bytes.len);
	assert_text(bytes_of(text, n), base64[_i].text);
	ck_assert_int_eq(text[n], '#');
	free(text);
	buf_init(&out, 64);
	ck_assert_int_eq(base64_decode(&out, str_of(base64[_i].text)), SW_OK);
	assert_bytes(buf_str(&out), base64[_i].bytes);
	buf_fini(&out);
}
END_TEST

START_TEST(base64_brings_all_bytes_back)
{
	uint8_t bytes[300];
	char text[BASE64_LENGTH(sizeof(bytes))];
	struct buf out;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	buf_init(&out, sizeof(bytes));
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		base64_encode(text, bytes, n);
		buf_clear(&out);
		ck_assert_int_eq(
		    base64_decode(&out, bytes_of(text, BASE64_LENGTH(n))),
		    SW_OK);
		assert_bytes(buf_str(&out), bytes_of(bytes, n));
	}
	buf_fini(&out);
}
END_TEST

static const char *const no_base64[] = {
	"Z",
	"Zg",
	"Zg=",
	"Zg===",
	"=",
	"==",
	"====",
	"Z===",
	"Zm9vYg=",
	"Zg==Zg==", /* padding inside */
	"Zm8=Zm9v",
	"Zm=v",
	"=m9v",
	"Zh==", /* bits left over that are not zero */
	"Zm9=",
	"Zm 9",
	" Zm9v",
	"Zm9v\n",
	"Zm9v\r\nZm9v",
	"Zm9-", /* the other alphabet */
	"Zm9_",
	"Zm9\x80",
	"Zm9@",
	"Zm9[",
	"Zm9`",
	"Zm9{",
	"Zm9:",
	"Zm9.",
};

START_TEST(base64_is_read_strictly)
{
	char *copy = bytes_copy(str_of(no_base64[_i]));
	struct buf out;

	buf_init(&out, 64);
	ck_assert_int_eq(
	    base64_decode(&out, bytes_of(copy, strlen(no_base64[_i]))),
	    SW_EINVAL);
	buf_fini(&out);
	free(copy);
}
END_TEST

START_TEST(base64_stops_at_the_ceiling)
{
	struct buf out;

	buf_init(&out, 5);
	ck_assert_int_eq(base64_decode(&out, STR("Zm9vYmE=")), SW_OK);
	buf_clear(&out);
	ck_assert_int_eq(base64_decode(&out, STR("Zm9vYmFy")), SW_ELIMIT);
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *bytes, *text;
} base64url[] = {
	{ "", "" },
	{ "f", "Zg" },
	{ "fo", "Zm8" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg" },
	{ "\xff\xef\xbe", "_---" },
	{ "\xfb\xff", "-_8" },
};

START_TEST(base64url_has_no_padding_and_its_own_alphabet)
{
	struct str bytes = str_of(base64url[_i].bytes);
	struct buf out;

	buf_init(&out, 64);
	ck_assert_int_eq(base64url_encode(&out, bytes), SW_OK);
	ck_assert_uint_eq(buf_len(&out), strlen(base64url[_i].text));
	if (bytes.len > 0)
		ck_assert(str_is(buf_str(&out), base64url[_i].text));
	buf_clear(&out);
	ck_assert_int_eq(
	    base64url_decode(&out, str_of(base64url[_i].text)), SW_OK);
	ck_assert_uint_eq(buf_len(&out), bytes.len);
	if (bytes.len > 0)
		ck_assert_mem_eq(buf_head(&out), bytes.p, bytes.len);
	buf_fini(&out);
}
END_TEST

static const char *const no_base64url[] = { "Z", "Zg==", "Zg=", "Zm9vY",
	"Zm8=", "Zm9v+w", "Zm9v/w", "Zm 9v", "Zh", "Zm9v\n", "Zm9vZ!",
	"====", "=" };

START_TEST(base64url_is_read_strictly)
{
	struct buf out;

	buf_init(&out, 64);
	ck_assert_int_eq(
	    base64url_decode(&out, str_of(no_base64url[_i])), SW_EINVAL);
	buf_fini(&out);
}
END_TEST

START_TEST(equal_texts_are_equal_and_others_are_not)
{
	ck_assert(digest_equal(STR("secret"), STR("secret")));
	ck_assert(!digest_equal(STR("secret"), STR("secreT")));
	ck_assert(!digest_equal(STR("secret"), STR("Secret")));
	ck_assert(!digest_equal(STR("secret"), STR("secret1")));
	ck_assert(!digest_equal(STR("secret"), STR("")));
	ck_assert(digest_equal(STR(""), STR("")));
}
END_TEST

START_TEST(random_bytes_fill_the_whole_room)
{
	uint8_t seen[32] = { 0 }, bytes[34];

	for (int k = 0; k < 32; k++) {
		bytes[0] = bytes[33] = 0xa5;
		digest_random(bytes + 1, 32);
		for (size_t i = 0; i < 32; i++)
			seen[i] |= bytes[i + 1];
		ck_assert_uint_eq(bytes[0], 0xa5);
		ck_assert_uint_eq(bytes[33], 0xa5);
	}
	for (size_t i = 0; i < 32; i++)
		ck_assert_uint_ne(seen[i], 0);
}
END_TEST

SUITE("digest", LOOP(sha1_agrees_with_its_standard, COUNT(vectors)),
    TEST(sha1_of_a_million_letters), TEST(hmac_agrees_with_its_standard),
    LOOP(base64_agrees_with_its_standard, COUNT(base64)),
    TEST(base64_brings_all_bytes_back),
    LOOP(base64_is_read_strictly, COUNT(no_base64)),
    TEST(base64_stops_at_the_ceiling),
    LOOP(base64url_has_no_padding_and_its_own_alphabet, COUNT(base64url)),
    LOOP(base64url_is_read_strictly, COUNT(no_base64url)),
    TEST(equal_texts_are_equal_and_others_are_not),
    TEST(random_bytes_fill_the_whole_room))
