#include "transports/http_chunks.h"

#include <string.h>

#include "proxy/base/err.h"
#include "tests/suite.h"

/* Read `text` in pieces of `step` bytes; the data is appended to `out`. */
static int
read_all(const char *text, size_t step, char *out, struct chunks *c)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t left = strlen(text), len = 0;

	*c = (struct chunks){ 0 };
	while (left > 0 && c->state != CHUNKS_END) {
		size_t n = left < step ? left : step, used, data;
		int err = chunks_read(c, p, n, n, &used, &data);

		if (err != SW_OK)
			return err;
		memcpy(out + len, p + used - data, data);
		len += data;
		p += used;
		left -= used;
	}
	out[len] = '\0';
	return left == 0 ? SW_OK : SW_ELIMIT;
}

static const char body[] = "5;name=\"value\"\r\nhello\r\n"
			   "00b\r\n, wonderful\r\n"
			   "A\r\n big world\r\n"
			   "0\r\nTrailer: x\r\nOther: y\r\n\r\n";

START_TEST(reads_across_any_cut)
{
	char out[sizeof(body)];
	struct chunks c;

	ck_assert_int_eq(read_all(body, (size_t)_i + 1, out, &c), SW_OK);
	ck_assert_int_eq(c.state, CHUNKS_END);
	ck_assert_str_eq(out, "hello, wonderful big world");
}
END_TEST

START_TEST(leaves_what_follows_the_body)
{
	static const char two[] = "1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n";
	char out[sizeof(two)];
	struct chunks c;

	ck_assert_int_eq(read_all(two, sizeof(two), out, &c), SW_ELIMIT);
	ck_assert_int_eq(c.state, CHUNKS_END);
	ck_assert_str_eq(out, "x");
}
END_TEST

static const char *const malformed[] = { "\r\n", " 5\r\n", "5 \r\n", "+5\r\n",
	"0x5\r\n", "5\n", "g\r\n", ";a\r\n", "5\r\nhelloX", "5\r\nhello\n",
	"5\r\nhello\rX", "5;a\nb\r\n", "5\rx", "fffffffffffffffff\r\n",
	"0\r\n\n", "0\r\nA\nb\r\n", "0\r\nA\rb", "0\r\n\rX" };

START_TEST(refuses_what_could_be_read_in_two_ways)
{
	char out[64];
	struct chunks c;

	ck_assert_int_eq(read_all(malformed[_i], 1, out, &c), SW_EPROTO);
}
END_TEST

START_TEST(drops_only_so_much)
{
	char text[CHUNKS_DROPPED_MAX + 16], out[sizeof(text)];
	struct chunks c;

	memset(text, 'x', sizeof(text));
	memcpy(text, "5;", 2);
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(read_all(text, 1000, out, &c), SW_EPROTO);
	/* A size of zeros alone would be no shorter. */
	memset(text, '0', sizeof(text) - 1);
	ck_assert_int_eq(read_all(text, 1000, out, &c), SW_EPROTO);
}
END_TEST

SUITE("http_chunks", LOOP(reads_across_any_cut, 60),
    TEST(leaves_what_follows_the_body),
    LOOP(refuses_what_could_be_read_in_two_ways,
	sizeof(malformed) / sizeof(malformed[0])),
    TEST(drops_only_so_much))
