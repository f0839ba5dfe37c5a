#include "transports/request.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"
#include "tests/transports/heads.h"

START_TEST(methods_are_known_by_their_exact_names)
{
	static const struct {
		struct str text;
		enum method method;
	} methods[] = {
		{ BYTES("GET"), METHOD_GET },
		{ BYTES("HEAD"), METHOD_HEAD },
		{ BYTES("POST"), METHOD_POST },
		{ BYTES("PUT"), METHOD_PUT },
		{ BYTES("DELETE"), METHOD_DELETE },
		{ BYTES("OPTIONS"), METHOD_OPTIONS },
		{ BYTES("PATCH"), METHOD_OTHER },
		/* RFC 9110 9.1: methods have a case. */
		{ BYTES("get"), METHOD_OTHER },
		{ BYTES("Get"), METHOD_OTHER },
		{ BYTES("GETS"), METHOD_OTHER },
		{ BYTES("GE"), METHOD_OTHER },
		{ BYTES("GET\0"), METHOD_OTHER },
		{ BYTES(""), METHOD_OTHER },
	};

	for (size_t i = 0; i < COUNT(methods); i++)
		ck_assert_int_eq(
		    method_parse(methods[i].text), methods[i].method);
}
END_TEST

START_TEST(headers_are_found_without_regard_to_case)
{
	const struct request *r = head_of("/",
	    "Accept: one\r\nX-Long-Name: long\r\naccept: two\r\n"
	    "Accepts: no\r\nEmpty:\r\n");

	assert_text(request_header(r, "Accept"), "one");
	assert_text(request_header(r, "ACCEPT"), "one");
	assert_text(request_header(r, "x-long-name"), "long");
	assert_text(request_header(r, "host"), "example.com");
	ck_assert_uint_eq(request_header_count(r, "aCCEPT"), 2);
	ck_assert_uint_eq(request_header_count(r, "Host"), 1);
	ck_assert_uint_eq(request_header_count(r, "Accep"), 0);
	/* Empty is not the same as none. */
	ck_assert_ptr_nonnull(request_header(r, "Empty").p);
	ck_assert_uint_eq(request_header(r, "Empty").len, 0);
	ck_assert_ptr_null(request_header(r, "Accep").p);
	ck_assert_ptr_null(request_header(r, "Bccept").p);
	/* The first byte is compared as a letter, not as any byte. */
	ck_assert_ptr_null(request_header(r, "!ccept").p);
}
END_TEST

START_TEST(tokens_are_found_in_all_lists_of_a_name)
{
	const struct request *r = head_of("/",
	    "Connection: keep-alive\r\nUpgrade: h2c, WebSocket\r\n"
	    "connection:  TE ,Upgrade\t,x\r\n");

	ck_assert(request_has_token(r, "Connection", "keep-alive"));
	ck_assert(request_has_token(r, "Connection", "upgrade"));
	ck_assert(request_has_token(r, "CONNECTION", "X"));
	ck_assert(request_has_token(r, "Upgrade", "websocket"));
	ck_assert(!request_has_token(r, "Upgrade", "web"));
	ck_assert(!request_has_token(r, "Upgrade", "websocket2"));
	ck_assert(!request_has_token(r, "Connection", "alive"));
	ck_assert(!request_has_token(r, "Connection", "TE ,Upgrade"));
	ck_assert(!request_has_token(r, "X", "upgrade"));
}
END_TEST

static const struct {
	const char *target, *name;
	const char *value; /* NULL: not there */
} params[] = {
	{ "/?a=1", "a", "1" },
	{ "/?a=1&b=2", "b", "2" },
	{ "/?a=1&b=2", "a", "1" },
	{ "/?a", "a", "" },
	{ "/?a=", "a", "" },
	{ "/?b&a&c", "a", "" },
	/* The first one counts. */
	{ "/?a=1&a=2", "a", "1" },
	{ "/?a&a=2", "a", "" },
	/* Raw, with everything behind the first `=`. */
	{ "/?a=b=c", "a", "b=c" },
	{ "/?a==", "a", "=" },
	{ "/?a=%41+b", "a", "%41+b" },
	{ "/?a=1?2", "a", "1?2" },
	{ "/?&&a=1&", "a", "1" },
	/* Names are whole, exact and not decoded. */
	{ "/?aa=1", "a", NULL },
	{ "/?A=1", "a", NULL },
	{ "/?%61=1", "a", NULL },
	{ "/?b=a", "a", NULL },
	{ "/?b=a=1", "a", NULL },
	{ "/?", "a", NULL },
	{ "/", "a", NULL },
	{ "/a=1", "a", NULL },
	{ "/?=1", "a", NULL },
	{ "/?b;a=1", "a", NULL },
};

START_TEST(parameters_of_a_query_are_found)
{
	const struct request *r = head_of(params[_i].target, "");
	struct str value = { NULL, 0 };
	bool found = request_param(r, params[_i].name, &value);

	ck_assert(found == (params[_i].value != NULL));
	if (found) {
		ck_assert_ptr_nonnull(value.p);
		assert_text(value, params[_i].value);
	}
}
END_TEST

static const struct {
	struct str text, decoded;
	bool plus;
	int err;
} escapes[] = {
	{ BYTES(""), BYTES(""), false, SW_OK },
	{ BYTES("abc"), BYTES("abc"), false, SW_OK },
	{ BYTES("a%20b"), BYTES("a b"), false, SW_OK },
	{ BYTES("%41%7e%7E"), BYTES("A~~"), false, SW_OK },
	{ BYTES("%c3%A9%ff"), BYTES("\xc3\xa9\xff"), false, SW_OK },
	{ BYTES("%2525"), BYTES("%25"), false, SW_OK },
	{ BYTES("a+b"), BYTES("a+b"), false, SW_OK },
	{ BYTES("a+b%2B"), BYTES("a b+"), true, SW_OK },
	{ BYTES("%"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%4"), BYTES(""), false, SW_EINVAL },
	{ BYTES("a%"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%zz"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%4z"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%z4"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%%41"), BYTES(""), false, SW_EINVAL },
	{ BYTES("% 41"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%+1"), BYTES(""), true, SW_EINVAL },
	{ BYTES("%00"), BYTES(""), false, SW_EINVAL },
	{ BYTES("a%00b"), BYTES(""), false, SW_EINVAL },
	{ BYTES("%u0041"), BYTES(""), false, SW_EINVAL },
};

START_TEST(percent_escapes_are_decoded_once)
{
	char *copy = bytes_copy(escapes[_i].text);
	struct buf out;

	buf_init(&out, 100);
	ck_assert_int_eq(
	    percent_decode(
		&out, bytes_of(copy, escapes[_i].text.len), escapes[_i].plus),
	    escapes[_i].err);
	if (escapes[_i].err == SW_OK)
		assert_bytes(buf_str(&out), escapes[_i].decoded);
	buf_fini(&out);
	free(copy);
}
END_TEST

START_TEST(what_is_decoded_has_a_limit)
{
	struct buf out;

	buf_init(&out, 3);
	ck_assert_int_eq(percent_decode(&out, STR("%41%42%43"), false), SW_OK);
	buf_clear(&out);
	ck_assert_int_eq(
	    percent_decode(&out, STR("%41%42%43d"), false), SW_ELIMIT);
	buf_fini(&out);
}
END_TEST

START_TEST(a_host_is_a_name_or_an_address_with_a_port)
{
	static const struct {
		struct str host;
		bool valid;
	} hosts[] = {
		{ BYTES(""), true },
		{ BYTES("example.com"), true },
		{ BYTES("EXAMPLE.com:8080"), true },
		{ BYTES("127.0.0.1"), true },
		{ BYTES("[::1]:80"), true },
		{ BYTES("xn--bcher-kva.example"), true },
		{ BYTES("a_b~c"), true },
		{ BYTES("%41"), true },
		{ BYTES("a,b"), false },
		{ BYTES(",a"), false },
		{ BYTES("a,"), false },
		{ BYTES("a b"), false },
		{ BYTES("a/b"), false },
		{ BYTES("a?b"), false },
		{ BYTES("a#b"), false },
		{ BYTES("user@a"), false },
		{ BYTES("a\\b"), false },
		{ BYTES("a\0b"), false },
		{ BYTES("b\xc3\xbc"), false },
		{ BYTES("<a>"), false },
		{ BYTES("\"a\""), false },
	};

	for (size_t i = 0; i < COUNT(hosts); i++)
		if (host_valid(hosts[i].host) != hosts[i].valid)
			ck_abort_msg("%s", bytes_show(hosts[i].host));
}
END_TEST

START_TEST(a_text_without_escapes_is_taken_as_it_is)
{
	static const struct {
		const char *text, *plain; /* NULL: refused */
	} texts[] = { { "", "" }, { "a+b", "a+b" }, { "%41b%2B", "Ab+" },
		{ "1234%35", "12345" }, { "12345%36", NULL }, { "%4", NULL },
		{ "%g1", NULL }, { "%", NULL } };

	for (size_t i = 0; i < COUNT(texts); i++) {
		struct str text = str_of(texts[i].text);
		char room[5];

		ck_assert(percent_plain(&text, room, sizeof(room)) ==
		    (texts[i].plain != NULL));
		assert_text(text,
		    texts[i].plain != NULL ? texts[i].plain : texts[i].text);
	}
}
END_TEST

static int
memory_story(void *arg)
{
	struct str *text = arg;
	struct buf out;
	int err;

	buf_init(&out, 1000);
	err = percent_decode(&out, *text, false);
	buf_fini(&out);
	return err;
}

START_TEST(memory_may_run_out)
{
	char text[300];
	struct str all = bytes_of(text, sizeof(text));

	memset(text, 'x', sizeof(text));
	oom_tell(memory_story, &all);
}
END_TEST

SUITE("request", TEST(methods_are_known_by_their_exact_names),
    TEST(headers_are_found_without_regard_to_case),
    TEST(tokens_are_found_in_all_lists_of_a_name),
    LOOP(parameters_of_a_query_are_found, COUNT(params)),
    LOOP(percent_escapes_are_decoded_once, COUNT(escapes)),
    TEST(what_is_decoded_has_a_limit),
    TEST(a_host_is_a_name_or_an_address_with_a_port),
    TEST(a_text_without_escapes_is_taken_as_it_is), TEST(memory_may_run_out))
