#include "proxy/compare/answer.h"

#include <string.h>

#include "proxy/base/err.h"
#include "tests/suite.h"

/* Read `text` in pieces of `step` bytes; the body is appended to `body`. */
static int
read_all(struct answer *a, const char *text, size_t step, struct buf *body,
    size_t *left)
{
	const uint8_t *p = (const uint8_t *)text;

	*left = strlen(text);
	while (*left > 0 && a->state != ANSWER_END) {
		size_t n = *left < step ? *left : step, used, data;
		bool in_head = a->state == ANSWER_HEAD;
		int err = answer_read(a, p, n, &used, &data);

		if (err != SW_OK)
			return err;
		ck_assert_uint_le(data, used);
		ck_assert_uint_le(used, n);
		ck_assert(!in_head || data == 0);
		buf_put(body, p + used - data, data);
		p += used;
		*left -= used;
	}
	return SW_OK;
}

static const char with_length[] = "HTTP/1.1 200 OK\r\n"
				  "Content-Type: application/json\r\n"
				  "content-length:  5 \r\n\r\nhelloHTTP/1.1";
static const char with_chunks[] =
    "HTTP/1.1 201 Created\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
    "2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\nHTTP/1.1";

START_TEST(reads_a_body_across_any_cut)
{
	static const char *const texts[] = { with_length, with_chunks };
	struct answer a;
	struct buf body;
	size_t left;

	answer_init(&a);
	buf_init(&body, 100);
	for (size_t i = 0; i < COUNT(texts); i++) {
		ck_assert_int_eq(
		    read_all(&a, texts[i], (size_t)_i + 1, &body, &left),
		    SW_OK);
		ck_assert_int_eq(a.state, ANSWER_END);
		ck_assert_uint_eq(a.status, 200 + i);
		ck_assert(!a.closes);
		ck_assert(str_is(buf_str(&body), "hello"));
		/* What follows is the next answer's. */
		ck_assert_uint_eq(left, strlen("HTTP/1.1"));
		buf_clear(&body);
		answer_again(&a);
	}
	buf_fini(&body);
	answer_fini(&a);
}
END_TEST

START_TEST(a_body_without_a_length_ends_with_the_connection)
{
	struct answer a;
	struct buf body;
	size_t left;

	answer_init(&a);
	buf_init(&body, 100);
	ck_assert_int_eq(
	    read_all(&a, "HTTP/1.1 200\r\n\r\nabc", 4, &body, &left), SW_OK);
	ck_assert_int_eq(a.state, ANSWER_REST);
	ck_assert(a.closes);
	ck_assert(str_is(buf_str(&body), "abc"));
	ck_assert_int_eq(answer_closed(&a), SW_OK);
	ck_assert_int_eq(a.state, ANSWER_END);
	buf_fini(&body);
	answer_fini(&a);
}
END_TEST

START_TEST(a_body_that_is_cut_short_is_told)
{
	static const char *const texts[] = {
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe",
	};
	struct answer a;
	struct buf body;
	size_t left;

	answer_init(&a);
	buf_init(&body, 100);
	ck_assert_int_eq(read_all(&a, texts[_i], 1000, &body, &left), SW_OK);
	ck_assert_int_eq(answer_closed(&a), SW_EPROTO);
	buf_fini(&body);
	answer_fini(&a);
}
END_TEST

START_TEST(answers_without_a_body_have_none)
{
	static const char *const texts[] = {
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
		 "HTTP/1.1 204 No Content\r\n\r\n"),
	};
	struct answer a;
	struct buf body;
	size_t left;

	answer_init(&a);
	buf_init(&body, 100);
	ck_assert_int_eq(read_all(&a, texts[_i], 3, &body, &left), SW_OK);
	ck_assert_int_eq(a.state, ANSWER_END);
	ck_assert_uint_eq(left, 0);
	ck_assert_uint_eq(buf_len(&body), 0);
	buf_fini(&body);
	answer_fini(&a);
}
END_TEST

static const char *const ambiguous[] = {
	"HTTP/2 200 OK\r\n\r\n",
	"HTTP/1.1 2000 OK\r\n\r\n",
	"HTTP/1.1 2x0 OK\r\n\r\n",
	"HTTP/1.1 099 OK\r\n\r\n",
	"\r\n\r\n",
	"HTTP/1.1 200 OK\r\nnothing\r\n\r\n",
	"HTTP/1.1 200 OK\r\n: empty\r\n\r\n",
	"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: y\r\n folded: z\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: y\nZ: a\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
	 "Transfer-Encoding: chunked\r\n\r\n"),
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
};

START_TEST(what_could_be_read_in_two_ways_is_refused)
{
	struct answer a;
	struct buf body;
	size_t left;

	answer_init(&a);
	buf_init(&body, 100);
	ck_assert_int_eq(
	    read_all(&a, ambiguous[_i], 1, &body, &left), SW_EPROTO);
	answer_again(&a);
	ck_assert_int_eq(
	    read_all(&a, ambiguous[_i], 1000, &body, &left), SW_EPROTO);
	buf_fini(&body);
	answer_fini(&a);
}
END_TEST

START_TEST(a_head_without_an_end_has_a_limit)
{
	static const char line[] = "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n";
	size_t used, data;
	struct answer a;
	int err = SW_OK;

	answer_init(&a);
	answer_read(
	    &a, (const uint8_t *)"HTTP/1.1 200 OK\r\n", 17, &used, &data);
	for (size_t i = 0; err == SW_OK && i < ANSWER_HEAD_MAX; i++)
		err = answer_read(
		    &a, (const uint8_t *)line, sizeof(line) - 1, &used, &data);
	ck_assert_int_eq(err, SW_ELIMIT);
	answer_fini(&a);
}
END_TEST

START_TEST(finds_headers_that_are_there_once)
{
	struct answer a;
	struct buf body;
	size_t left;

	answer_init(&a);
	buf_init(&body, 100);
	ck_assert_int_eq(read_all(&a,
			     "HTTP/1.1 204 x\r\nOne: 1\r\nTwo: a\r\n"
			     "two: b\r\nNone:\r\nConnection: close\r\n\r\n",
			     7, &body, &left),
	    SW_OK);
	ck_assert(str_is(answer_header(&a, "ONE"), "1"));
	ck_assert_ptr_null(answer_header(&a, "Two").p);
	ck_assert_ptr_null(answer_header(&a, "Three").p);
	ck_assert_uint_eq(answer_header(&a, "None").len, 0);
	ck_assert(a.closes);
	buf_fini(&body);
	answer_fini(&a);
}
END_TEST

SUITE("compare/answer", LOOP(reads_a_body_across_any_cut, 110),
    TEST(a_body_without_a_length_ends_with_the_connection),
    LOOP(a_body_that_is_cut_short_is_told, 3),
    LOOP(answers_without_a_body_have_none, 5),
    LOOP(what_could_be_read_in_two_ways_is_refused, COUNT(ambiguous)),
    TEST(a_head_without_an_end_has_a_limit),
    TEST(finds_headers_that_are_there_once))
