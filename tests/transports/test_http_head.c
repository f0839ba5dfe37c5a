#include "transports/http_head.h"

#include "tests/bytes.h"
#include "tests/suite.h"

/* What a parser made of a head, as text: one line for each thing it found. */
static struct buf
describe(const struct request *r)
{
	static const char *const methods[] = {
		[METHOD_GET] = "GET",
		[METHOD_POST] = "POST",
	};
	struct buf out;

	buf_init(&out, 1 << 20);
	buf_puts(&out, methods[r->method]);
	buf_puts(&out, " [");
	buf_put_str(&out, r->path);
	buf_puts(&out, "]");
	if (r->query.p != NULL) {
		buf_puts(&out, " [");
		buf_put_str(&out, r->query);
		buf_puts(&out, "]");
	}
	if (r->has_length) {
		buf_puts(&out, " body ");
		buf_put_u64(&out, r->content_length);
	}
	if (!r->keep_alive)
		buf_puts(&out, " close");
	for (size_t i = 0; i < r->header_count; i++) {
		buf_puts(&out, "\n[");
		buf_put_str(&out, r->headers[i].name);
		buf_puts(&out, "] [");
		buf_put_str(&out, r->headers[i].value);
		buf_puts(&out, "]");
	}
	return out;
}

#define HOST "Host: a\r\n"

static const struct {
	struct str head;
	const char *found;
} fine[] = {
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET [/]\n[Host] [a]" },
	{ BYTES("GET /stream/a,b%20c HTTP/1.1\r\nhOST: a:80\r\n\r\n"),
	    "GET [/stream/a,b%20c]\n[hOST] [a:80]" },
	{ BYTES("POST /v1/events HTTP/1.1\r\n" HOST "Content-Length: 12\r\n"
		"\r\n"),
	    "POST [/v1/events] body 12\n[Host] [a]\n[Content-Length] [12]" },
	/* A query, an empty one, and a second question mark in one. */
	{ BYTES("GET /a?b=c&d HTTP/1.1\r\n" HOST "\r\n"),
	    "GET [/a] [b=c&d]\n[Host] [a]" },
	{ BYTES("GET /a? HTTP/1.1\r\n" HOST "\r\n"),
	    "GET [/a] []\n[Host] [a]" },
	{ BYTES("GET /?a?b/ HTTP/1.1\r\n" HOST "\r\n"),
	    "GET [/] [a?b/]\n[Host] [a]" },
	{ BYTES("GET //x/../y HTTP/1.1\r\n" HOST "\r\n"),
	    "GET [//x/../y]\n[Host] [a]" },
	/* Blanks around a value, none, and inside of one. */
	{ BYTES("GET / HTTP/1.1\r\nHost:a\r\nX: \t b  c \t\r\nY:\r\nZ: \r\n"
		"\r\n"),
	    "GET [/]\n[Host] [a]\n[X] [b  c]\n[Y] []\n[Z] []" },
	/* Bytes above ASCII are a value's own business. */
	{ BYTES("GET / HTTP/1.1\r\n" HOST "X: h\xc3\xa9\xff\r\n\r\n"),
	    "GET [/]\n[Host] [a]\n[X] [h\xc3\xa9\xff]" },
	/* The same name twice: kept, in order. */
	{ BYTES("GET / HTTP/1.1\r\nAccept: a\r\n" HOST "Accept: b\r\n\r\n"),
	    "GET [/]\n[Accept] [a]\n[Host] [a]\n[Accept] [b]" },
	/* Connections that end, and one that does not. */
	{ BYTES("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
	    "GET [/] close\n[Host] [a]\n[Connection] [close]" },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "connection: x, CLOSE\r\n\r\n"),
	    "GET [/] close\n[Host] [a]\n[connection] [x, CLOSE]" },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\n"
		"Connection: closed\r\n\r\n"),
	    "GET [/]\n[Host] [a]\n[Connection] [Upgrade]\n"
	    "[Connection] [closed]" },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "content-length: 0\r\n\r\n"),
	    "POST [/] body 0\n[Host] [a]\n[content-length] [0]" },
	{ BYTES("POST / HTTP/1.1\r\n" HOST
		"Content-Length: 9223372036854775807\r\n\r\n"),
	    "POST [/] body 9223372036854775807\n[Host] [a]\n"
	    "[Content-Length] [9223372036854775807]" },
	/* Names that only begin like those with a meaning. */
	{ BYTES("GET / HTTP/1.1\r\n" HOST "Expected: 1\r\nHosts: b\r\n"
		"TE: trailers\r\nContent-Lengths: 1\r\n\r\n"),
	    "GET [/]\n[Host] [a]\n[Expected] [1]\n[Hosts] [b]\n"
	    "[TE] [trailers]\n[Content-Lengths] [1]" },
};

START_TEST(a_well_formed_head_is_understood_when_it_is_complete)
{
	struct str head = fine[_i].head;
	struct request r;

	for (size_t n = 0; n <= head.len; n++) {
		char *copy = bytes_copy(bytes_of(head.p, n));
		enum head_result result = head_parse(&r, bytes_of(copy, n));
		struct buf found;

		if (result != (n < head.len ? HEAD_MORE : HEAD_OK))
			ck_abort_msg("after %zu bytes: %d", n, (int)result);
		if (result == HEAD_OK) {
			ck_assert_uint_eq(r.head_size, head.len);
			ck_assert(!r.http_1_0);
			found = describe(&r);
			assert_text(buf_str(&found), fine[_i].found);
			buf_fini(&found);
		}
		free(copy);
	}
}
END_TEST

/* What follows is another request, or a body: it changes nothing. */
START_TEST(a_head_ends_where_it_ends)
{
	struct str head = fine[_i].head;
	struct buf text, found;
	struct request r;

	buf_init(&text, 1 << 20);
	buf_put_str(&text, head);
	buf_puts(&text, "\r\n\r\nX: y\r\n\r\nGET /next HTTP/1.1\r\n\r\n");
	ck_assert_int_eq(head_parse(&r, buf_str(&text)), HEAD_OK);
	ck_assert_uint_eq(r.head_size, head.len);
	found = describe(&r);
	assert_text(buf_str(&found), fine[_i].found);
	buf_fini(&found);
	buf_fini(&text);
}
END_TEST

/* `at`: the first byte that shows it, so that nobody waits for more. */
static const struct {
	struct str head;
	size_t at;
} odd[] = {
	/* Another method, or none. */
	{ BYTES("HEAD / HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("PUT / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 3 },
	{ BYTES("get / HTTP/1.1\r\n" HOST "\r\n"), 3 },
	{ BYTES("GETT / HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("PROPPATCH / HTTP/1.1\r\n" HOST "\r\n"), 8 },
	{ BYTES(" GET / HTTP/1.1\r\n" HOST "\r\n"), 0 },
	{ BYTES("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 0 },
	{ BYTES("\x16\x03\x01\x02\x00\x01\x00"), 0 },
	{ BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 3 },
	{ BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), 5 },
	/* Blanks that are not one blank. */
	{ BYTES("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 3 },
	{ BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("GET /  HTTP/1.1\r\n" HOST "\r\n"), 6 },
	{ BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n"), 14 },
	/* Other forms of a target, and what must be encoded in one. */
	{ BYTES("GET http://a/ HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("GET a HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("GET * HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("GET ?a HTTP/1.1\r\n" HOST "\r\n"), 4 },
	{ BYTES("GET /a#b HTTP/1.1\r\n" HOST "\r\n"), 6 },
	{ BYTES("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), 5 },
	{ BYTES("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 5 },
	{ BYTES("GET /a\"b HTTP/1.1\r\n" HOST "\r\n"), 6 },
	{ BYTES("GET /a\\b HTTP/1.1\r\n" HOST "\r\n"), 6 },
	/* Other versions. */
	{ BYTES("GET / HTTP/1.0\r\n" HOST "\r\n"), 13 },
	{ BYTES("GET / HTTP/2.0\r\n" HOST "\r\n"), 11 },
	{ BYTES("GET / HTTP/1.11\r\n" HOST "\r\n"), 14 },
	{ BYTES("GET / http/1.1\r\n" HOST "\r\n"), 6 },
	{ BYTES("GET /\r\n"), 5 },
	/* Line ends that are not CRLF. */
	{ BYTES("GET / HTTP/1.1\n" HOST "\n"), 14 },
	{ BYTES("GET / HTTP/1.1\r" HOST "\r\n"), 15 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\n\n"), 23 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\r\n"), 24 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\n\rX"), 26 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\n\n"), 25 },
	/* RFC 9112 5.1 and 5.2: no blank before a colon, no folding. */
	{ BYTES("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 20 },
	{ BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 16 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"), 25 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n"), 25 },
	{ BYTES("GET / HTTP/1.1\r\n: a\r\n\r\n"), 16 },
	{ BYTES("GET / HTTP/1.1\r\nHost\r\n\r\n"), 20 },
	{ BYTES("GET / HTTP/1.1\r\nH\xc3\xb6st: a\r\n\r\n"), 17 },
	{ BYTES("GET / HTTP/1.1\r\n(Host): a\r\n\r\n"), 16 },
	/* Control characters in a value. */
	{ BYTES("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n"), 23 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n"), 28 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n"), 28 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "X: \x0b\r\n\r\n"), 28 },
	/* From here on only the whole shows it. RFC 9112 3.2: one Host. */
	{ BYTES("GET / HTTP/1.1\r\n\r\n"), 17 },
	{ BYTES("GET / HTTP/1.1\r\nHosts: a\r\n\r\n"), 27 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 35 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "hOST: b\r\n\r\n"), 35 },
	/* A Host that is none, or two. */
	{ BYTES("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 28 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 28 },
	{ BYTES("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), 28 },
	{ BYTES("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), 28 },
	/* Framing: what there is more than one reading of, or none. */
	{ BYTES("POST / HTTP/1.1\r\n" HOST "\r\n"), 27 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 45 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
		"Content-Length: 1\r\n\r\n"),
	    65 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n"),
	    49 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n"), 47 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"), 47 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1a\r\n\r\n"), 47 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n"), 48 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"), 44 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST
		"Content-Length: 9223372036854775808\r\n\r\n"),
	    64 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
		"\r\n"),
	    55 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
		"transfer-encoding: identity\r\n\r\n"),
	    75 },
	{ BYTES("GET / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"), 46 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
		"Trailer: x\r\n\r\n"),
	    58 },
	{ BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
		"EXPECT: 100-continue\r\n\r\n"),
	    68 },
};

START_TEST(whatever_is_odd_is_left_to_others_at_its_first_byte)
{
	struct str head = odd[_i].head;
	struct request r;

	for (size_t n = 0; n <= head.len; n++) {
		char *copy = bytes_copy(bytes_of(head.p, n));
		enum head_result result = head_parse(&r, bytes_of(copy, n));

		if (result != (n <= odd[_i].at ? HEAD_MORE : HEAD_OTHER))
			ck_abort_msg("after %zu bytes: %d", n, (int)result);
		free(copy);
	}
}
END_TEST

/* RFC 9110 5.6.2. */
static bool
is_token_char(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* RFC 3986 3.3 and 3.4: pchar, slash and question mark. */
static bool
is_target_char(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("-._~%!$&'()*+,;=:@/?", c) != NULL);
}

/* RFC 9110 5.5: visible, blank, tab, and the upper half. */
static bool
is_value_char(int c)
{
	return c == '\t' || (c >= 0x20 && c <= 0xff && c != 0x7f);
}

enum { LONG = 50 };

START_TEST(every_byte_is_judged_in_every_place)
{
	static const struct {
		const char *before, *behind;
		bool (*allowed)(int c);
	} places[] = {
		{ "GET /a", "b HTTP/1.1\r\n" HOST "\r\n", is_target_char },
		{ "GET /?a", "b HTTP/1.1\r\n" HOST "\r\n", is_target_char },
		{ "GET / HTTP/1.1\r\n" HOST "a", "b: c\r\n\r\n",
		    is_token_char },
		{ "GET / HTTP/1.1\r\n" HOST "a: b", "c\r\n\r\n",
		    is_value_char },
	};

	for (size_t p = 0; p < COUNT(places); p++)
		for (int c = 0; c < 256; c++) {
			char text[100], byte = (char)c;
			size_t n = strlen(places[p].before);
			struct request r;
			bool taken, colon = p == 2 && c == ':';

			memcpy(text, places[p].before, n);
			text[n] = byte;
			strcpy(text + n + 1, places[p].behind);
			n += 1 + strlen(places[p].behind);
			taken = head_parse(&r, bytes_of(text, n)) == HEAD_OK;
			/* A colon ends the name, well before. */
			if (taken != (places[p].allowed(c) || colon))
				ck_abort_msg(
				    "place %zu, byte %02x", p, (unsigned)c);
		}
}
END_TEST

/* Many of a value are looked at together: _i is where the byte stands. */
START_TEST(every_byte_of_a_long_value_is_judged)
{
	static const char before[] = "GET / HTTP/1.1\r\n" HOST "a:";
	char text[sizeof(before) - 1 + LONG + 4];
	char *value = text + sizeof(before) - 1;
	struct request r;

	memcpy(text, before, sizeof(before) - 1);
	memcpy(value + LONG, "\r\n\r\n", 4);
	for (int c = 0; c < 256; c++) {
		bool taken;

		memset(value, 'x', LONG);
		value[_i] = (char)c;
		taken = head_parse(&r, bytes_of(text, sizeof(text))) == HEAD_OK;
		if (taken != is_value_char(c))
			ck_abort_msg("byte %02x", (unsigned)c);
		/* A blank at its end is not part of it. */
		ck_assert(!taken || strchr(" \t", c) != NULL ||
		    r.headers[1].value.len == LONG);
	}
}
END_TEST

/* Those that browsers do not escape, in what may be the backend's. */
START_TEST(of_any_request_the_target_is_as_browsers_write_it)
{
	for (int c = 0; c < 256; c++) {
		bool taken = is_target_char(c) ||
		    (c != '\0' && strchr("[]^`{|}", c) != NULL);
		struct request r;
		char text[100];
		int n = snprintf(
		    text, sizeof(text), "GET /a_b?c HTTP/1.1\r\n" HOST "\r\n");

		text[6] = (char)c;
		ck_assert_int_eq(head_parse_any(&r, bytes_of(text, (size_t)n)),
		    taken ? HEAD_OK : HEAD_OTHER);
		text[6] = '_';
		text[9] = (char)c;
		ck_assert_int_eq(head_parse_any(&r, bytes_of(text, (size_t)n)),
		    taken ? HEAD_OK : HEAD_OTHER);
	}
}
END_TEST

START_TEST(a_hundred_headers_are_taken_and_one_more_is_not)
{
	size_t n = (size_t)(REQUEST_HEADERS_MAX + _i);
	struct request r;
	struct buf text;

	buf_init(&text, 1 << 16);
	buf_puts(&text, "GET / HTTP/1.1\r\n" HOST);
	for (size_t i = 1; i < n; i++)
		buf_printf(&text, "X-%zu: %zu\r\n", i, i);
	ck_assert_int_eq(
	    head_parse(&r, buf_str(&text)), _i == 0 ? HEAD_MORE : HEAD_OTHER);
	buf_puts(&text, "\r\n");
	ck_assert_int_eq(
	    head_parse(&r, buf_str(&text)), _i == 0 ? HEAD_OK : HEAD_OTHER);
	if (_i == 0) {
		ck_assert_uint_eq(r.header_count, n);
		assert_text(r.headers[n - 1].value, "99");
	}
	buf_fini(&text);
}
END_TEST

/* A parser that is used again has forgotten the head before. */
START_TEST(nothing_stays_of_the_head_before)
{
	struct str first =
	    STR("POST /a?b HTTP/1.1\r\nHost: a\r\n"
		"Connection: close\r\nContent-Length: 5\r\n\r\n");
	struct str second = STR("GET /c HTTP/1.1\r\nHost: a\r\n\r\n");
	struct request r;
	struct buf found;

	ck_assert_int_eq(head_parse(&r, first), HEAD_OK);
	r.http_1_0 = true;
	ck_assert_int_eq(head_parse(&r, second), HEAD_OK);
	ck_assert(!r.http_1_0);
	found = describe(&r);
	assert_text(buf_str(&found), "GET [/c]\n[Host] [a]");
	buf_fini(&found);
}
END_TEST

SUITE("http_head",
    LOOP(a_well_formed_head_is_understood_when_it_is_complete, COUNT(fine)),
    LOOP(a_head_ends_where_it_ends, COUNT(fine)),
    LOOP(whatever_is_odd_is_left_to_others_at_its_first_byte, COUNT(odd)),
    TEST(every_byte_is_judged_in_every_place),
    LOOP(every_byte_of_a_long_value_is_judged, LONG),
    TEST(of_any_request_the_target_is_as_browsers_write_it),
    LOOP(a_hundred_headers_are_taken_and_one_more_is_not, 2),
    TEST(nothing_stays_of_the_head_before))
