#include "proxy/base/err.h"

#include "tests/bytes.h"
#include "tests/suite.h"

/* What callers and clients rely on, code by code. */
static const struct {
	int code;
	const char *name;
	int http_status, ws_close;
} codes[] = {
	{ SW_OK, "ok", 200, 1000 },
	{ SW_ENOMEM, "no-memory", 503, 1013 },
	{ SW_EAGAIN, "again", 503, 1013 },
	{ SW_EIO, "io", 500, 1011 },
	{ SW_ELIMIT, "too-large", 413, 1009 },
	{ SW_EPROTO, "protocol", 400, 1002 },
	{ SW_EUTF8, "utf-8", 400, 1007 },
	{ SW_EINVAL, "invalid", 400, 1008 },
	{ SW_ENOENT, "not-found", 404, 4404 },
	{ SW_EBUSY, "overloaded", 503, 1013 },
	{ SW_ESTORE, "store", 503, 1013 },
	{ SW_EFORBIDDEN, "forbidden", 403, 4403 },
	{ SW_ECLOSED, "closed", 410, 1001 },
	{ SW_ECORRUPT, "corrupt", 503, 1011 },
	{ SW_ELOCKED, "locked", 503, 1011 },
	{ SW_EMETHOD, "method", 405, 1008 },
	{ SW_EUNSUPPORTED, "unsupported", 501, 1003 },
	{ SW_EAUTH, "unauthorized", 401, 4401 },
	{ SW_EBACKEND, "backend", 502, 1011 },
	{ SW_ETIMEOUT, "timeout", 504, 1013 },
};

START_TEST(every_code_has_its_row)
{
	const struct err_info *info = err_info(codes[_i].code);

	ck_assert_int_eq(codes[_i].code, -_i);
	ck_assert_str_eq(info->name, codes[_i].name);
	ck_assert_int_eq(info->http_status, codes[_i].http_status);
	ck_assert_int_eq(info->ws_close, codes[_i].ws_close);
}
END_TEST

START_TEST(sentences_are_for_people_and_have_no_full_stop)
{
	const char *sentence = err_info(-_i)->sentence;
	size_t len = strlen(sentence);

	ck_assert_uint_gt(len, 6);
	ck_assert_int_ne(sentence[len - 1], '.');
	ck_assert_int_ge(sentence[0], 'a');
	ck_assert_int_le(sentence[0], 'z');
}
END_TEST

START_TEST(an_unknown_code_is_an_error_of_the_system)
{
	static const int unknown[] = { 1, 2, 1000, -(int)COUNT(codes), -1000,
		INT32_MAX };

	ck_assert_ptr_eq(err_info(unknown[_i]), err_info(SW_EIO));
}
END_TEST

SUITE("err", LOOP(every_code_has_its_row, COUNT(codes)),
    LOOP(sentences_are_for_people_and_have_no_full_stop, COUNT(codes)),
    LOOP(an_unknown_code_is_an_error_of_the_system, 6))
