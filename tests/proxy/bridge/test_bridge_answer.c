#include "proxy/bridge/bridge_answer.h"

#include "tests/bytes.h"
#include "tests/suite.h"

#define NONE            \
	{               \
		NULL, 0 \
	}

static const struct {
	int status;
	struct str type, body, asked;
	enum bridge_outcome outcome;
	enum event_kind kind;
} answers[] = {
	{ 200, STR("application/json"), STR("{}"), NONE, BRIDGE_REPLY,
	    EVENT_JSON },
	{ 200, STR("application/json"), STR("{"), NONE, BRIDGE_REPLY,
	    EVENT_TEXT },
	{ 200, STR("text/html"), STR("{}"), NONE, BRIDGE_REPLY, EVENT_TEXT },
	{ 200, STR("text/plain"), STR("\xff"), NONE, BRIDGE_REPLY,
	    EVENT_BINARY },
	{ 201, STR("image/png"), STR("{}"), NONE, BRIDGE_REPLY, EVENT_BINARY },
	/* Nothing is a reply of nothing, of the type that was asked with. */
	{ 200, NONE, STR(""), STR("text/plain"), BRIDGE_REPLY, EVENT_TEXT },
	{ 200, NONE, STR(""), STR("application/octet-stream"), BRIDGE_REPLY,
	    EVENT_BINARY },
	{ 202, STR("text/plain"), STR("ok"), NONE, BRIDGE_TAKEN, EVENT_JSON },
	{ 204, NONE, STR(""), NONE, BRIDGE_TAKEN, EVENT_JSON },
	{ 205, NONE, STR(""), NONE, BRIDGE_TAKEN, EVENT_JSON },
	{ 200, STR("application/spillway+json"), STR("{\"reply\":1}"), NONE,
	    BRIDGE_REPLY, EVENT_JSON },
	{ 200, STR("application/spillway+json; charset=utf-8"), STR("{}"), NONE,
	    BRIDGE_TAKEN, EVENT_JSON },
	{ 202, STR("application/spillway+json"), STR("{\"publish\":[]}"), NONE,
	    BRIDGE_TAKEN, EVENT_JSON },
	{ 200, STR("application/spillway+json"), STR("{\"publish\":{}}"), NONE,
	    BRIDGE_REFUSED, EVENT_JSON },
	{ 200, STR("application/spillway+json"), STR(""), NONE, BRIDGE_REFUSED,
	    EVENT_JSON },
	{ 304, NONE, STR(""), NONE, BRIDGE_REFUSED, EVENT_JSON },
};

START_TEST(an_answer_is_a_reply_or_none)
{
	struct bridge_answer a;

	bridge_answer_read(&a, answers[_i].status, answers[_i].type,
	    answers[_i].body, answers[_i].asked);
	ck_assert_int_eq(a.outcome, answers[_i].outcome);
	if (a.outcome == BRIDGE_REPLY)
		ck_assert_int_eq(a.kind, answers[_i].kind);
}
END_TEST

static const struct {
	struct str type, body;
	bool garbled;
} garbles[] = {
	{ STR("application/json"), STR("{"), true },
	{ STR("application/problem+json; charset=utf-8"), STR("ok"), true },
	{ STR("application/json"), STR("1"), false },
	{ STR("application/json"), STR(""), false },
	{ STR("text/plain"), STR("{"), false },
	/* It is not the answer that says so. */
	{ NONE, STR("{"), false },
};

START_TEST(json_that_is_none_is_noticed)
{
	struct bridge_answer a;

	bridge_answer_read(&a, 200, garbles[_i].type, garbles[_i].body,
	    STR("application/json"));
	ck_assert_int_eq(a.outcome, BRIDGE_REPLY);
	ck_assert(a.garbled == garbles[_i].garbled);
}
END_TEST

static const struct {
	int status;
	const char *body;
	int err, shown;
	const char *detail;
} refusals[] = {
	{ 400, "", SW_EINVAL, 400, "The backend refused it (400)." },
	{ 401, "{\"title\":\"Log in\",\"detail\":\"Now\"}", SW_EAUTH, 401,
	    "Now" },
	{ 403, "{\"title\":\"No\"}", SW_EFORBIDDEN, 403, "No" },
	{ 404, " gone \n", SW_ENOENT, 404, "gone" },
	{ 413, "two\nlines", SW_ELIMIT, 413, "The backend refused it (413)." },
	{ 418, "tea", SW_EINVAL, 400, "tea" },
	{ 422, "\xff", SW_EINVAL, 422, "The backend refused it (422)." },
	{ 429, "<html>", SW_EBUSY, 429, "The backend refused it (429)." },
	{ 407, "", SW_EINVAL, 400, "The backend refused it (407)." },
	{ 500, "secret", SW_EBACKEND, 502, "The backend answered 500." },
	{ 503, "secret", SW_EBUSY, 503, "The backend answered 503." },
	{ 199, "", SW_EBACKEND, 502, "The backend answered 199." },
};

START_TEST(a_refusal_is_shown_and_a_failure_is_not)
{
	struct bridge_answer a;

	bridge_answer_read(&a, refusals[_i].status, STR("text/plain"),
	    str_of(refusals[_i].body), STR("text/plain"));
	ck_assert_int_eq(a.outcome, BRIDGE_REFUSED);
	ck_assert_int_eq(a.err, refusals[_i].err);
	ck_assert_int_eq(a.status, refusals[_i].shown);
	ck_assert_str_eq(a.detail, refusals[_i].detail);
}
END_TEST

START_TEST(a_detail_has_a_length_that_can_be_shown)
{
	char body[2 * BRIDGE_DETAIL_MAX];
	struct bridge_answer a;

	for (size_t n = BRIDGE_DETAIL_MAX - 2; n < sizeof(body); n++) {
		memset(body, 'x', n);
		bridge_answer_read(&a, 400, STR("text/plain"),
		    (struct str){ body, n }, STR(""));
		ck_assert_uint_eq(strlen(a.detail),
		    n < BRIDGE_DETAIL_MAX ?
			n :
			strlen("The backend refused it (400)."));
	}
}
END_TEST

SUITE("bridge_answer", LOOP(an_answer_is_a_reply_or_none, COUNT(answers)),
    LOOP(json_that_is_none_is_noticed, COUNT(garbles)),
    LOOP(a_refusal_is_shown_and_a_failure_is_not, COUNT(refusals)),
    TEST(a_detail_has_a_length_that_can_be_shown))
