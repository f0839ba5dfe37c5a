#include "proxy/bridge/bridge_event.h"

#include "tests/bytes.h"
#include "tests/suite.h"

static struct str
value_of(const struct bridge_head *h, const char *name)
{
	struct str found = { NULL, 0 };

	for (size_t i = 0; i < h->count; i++)
		if (str_is_nocase(h->headers[i].name, name)) {
			/* Twice would be two truths. */
			ck_assert_ptr_null(found.p);
			found = h->headers[i].value;
		}
	return found;
}

static const struct bridge_event message = {
	.kind = BRIDGE_MESSAGE,
	.id = STR("evt_1"),
	.time_ms = 1763634245123,
	.connection = 42,
	.transport = STR("ws"),
	.channel = STR("room"),
	.content_type = STR("text/plain"),
	.data = STR("hello"),
};

START_TEST(an_event_is_a_cloudevent)
{
	struct bridge_head h;

	ck_assert_int_eq(bridge_head_make(&h, &message, 0, NULL, 0), SW_OK);
	assert_text(value_of(&h, "ce-specversion"), "1.0");
	assert_text(value_of(&h, "ce-id"), "evt_1");
	assert_text(value_of(&h, "ce-type"), "spillway.message");
	assert_text(value_of(&h, "ce-source"), "/stream/room");
	assert_text(value_of(&h, "ce-time"), "2025-11-20T10:24:05.123Z");
	assert_text(value_of(&h, "ce-channel"), "room");
	assert_text(value_of(&h, "ce-connection"), "42");
	assert_text(value_of(&h, "Content-Type"), "text/plain");
	ck_assert_ptr_null(value_of(&h, "ce-user").p);
	ck_assert_ptr_null(value_of(&h, "ce-seq").p);
	ck_assert_ptr_null(value_of(&h, "webhook-signature").p);
	bridge_head_fini(&h);
}
END_TEST

/* HTTP protocol binding 3.1.3.2. */
START_TEST(attributes_are_percent_encoded)
{
	struct bridge_event e = message;
	struct bridge_head h;

	e.user = STR("J\xc3\xbcrgen \"50%\"\r\n");
	e.has_seq = true;
	e.seq = 9;
	ck_assert_int_eq(bridge_head_make(&h, &e, 0, NULL, 0), SW_OK);
	assert_text(value_of(&h, "ce-user"), "J%C3%BCrgen%20%2250%25%22%0D%0A");
	assert_text(value_of(&h, "ce-seq"), "9");
	bridge_head_fini(&h);
}
END_TEST

/* The example of the specification of Standard Webhooks. */
START_TEST(the_signature_is_that_of_standard_webhooks)
{
	static char secret[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	static char bare[] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
	char *const secrets[] = { secret, bare };
	struct bridge_event e = message;
	struct bridge_head h;

	e.id = STR("msg_p5jXN8AQM9LWM0D4loKWxJek");
	e.data = STR("{\"test\": 2432232314}");
	ck_assert_int_eq(
	    bridge_head_make(&h, &e, 1614265330999, secrets, 2), SW_OK);
	assert_text(value_of(&h, "webhook-id"), "msg_p5jXN8AQM9LWM0D4loKWxJek");
	assert_text(value_of(&h, "webhook-timestamp"), "1614265330");
	assert_text(value_of(&h, "webhook-signature"),
	    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
	    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
	bridge_head_fini(&h);
}
END_TEST

START_TEST(only_chosen_headers_are_forwarded)
{
	static char cookie[] = "cookie", length[] = "Content-Length",
		    forged[] = "ce-user", signature[] = "Webhook-Signature";
	char *names[] = { cookie, length, forged, signature };
	const struct conf conf = { .bridge_header = names,
		.bridge_header_count = 4 };
	const struct request r = {
		.header_count = 6,
		.headers = { { STR("Cookie"), STR("a=1; b=2") },
		    { STR("Content-Length"), STR("5") },
		    { STR("CE-User"), STR("root") },
		    { STR("webhook-signature"), STR("v1,x") },
		    { STR("Accept"), STR("*/*") }, { STR("Cookie"), STR("") } },
	};
	struct bridge_event e = message;
	struct bridge_head h;
	char *text = NULL;
	size_t before;

	ck_assert_int_eq(bridge_forward_keep(&text, &conf, &r), SW_OK);
	ck_assert_str_eq(text, "Cookie:a=1; b=2\nCookie:\n");
	ck_assert_int_eq(bridge_head_make(&h, &e, 0, NULL, 0), SW_OK);
	before = h.count;
	bridge_head_fini(&h);
	e.forwarded = str_of(text);
	ck_assert_int_eq(bridge_head_make(&h, &e, 0, NULL, 0), SW_OK);
	ck_assert_uint_eq(h.count, before + 2);
	assert_text(h.headers[before].value, "a=1; b=2");
	assert_text(h.headers[before + 1].value, "");
	bridge_head_fini(&h);
	free(text);
}
END_TEST

SUITE("bridge_event", TEST(an_event_is_a_cloudevent),
    TEST(attributes_are_percent_encoded),
    TEST(the_signature_is_that_of_standard_webhooks),
    TEST(only_chosen_headers_are_forwarded))
