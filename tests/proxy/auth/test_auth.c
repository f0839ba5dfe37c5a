#include "proxy/auth/auth.h"

#include "tests/proxy/auth/tokens.h"
#include "tests/suite.h"
#include "tests/transports/heads.h"

static const uint64_t now_ms = UINT64_C(1700000000000);

#define EVERYWHERE KEY "token-cookie = jwt\ntoken-in-url = yes\n"

/* %s is the token. */
static const struct {
	const char *conf, *target, *headers;
	bool trusts_cookies;
	bool found;
} places[] = {
	{ KEY, "/stream/a", "Authorization: Bearer %s\r\n", false, true },
	{ KEY, "/stream/a", "authorization: bearer  %s\r\n", false, true },
	{ KEY, "/stream/a", "Authorization: Basic %s\r\n", false, false },
	{ KEY, "/stream/a",
	    "Sec-WebSocket-Protocol: spillway.v1, bearer.%s\r\n", false, true },
	{ KEY, "/stream/a",
	    "Sec-WebSocket-Protocol: x\r\n"
	    "Sec-WebSocket-Protocol: bearer.%s\r\n",
	    false, true },
	{ KEY, "/stream/a", "Sec-WebSocket-Protocol: Bearer.%s\r\n", false,
	    false },
	{ EVERYWHERE, "/stream/a?last=1&token=%s", "", false, true },
	{ KEY, "/stream/a?token=%s", "", false, false },
	{ EVERYWHERE, "/stream/a", "Cookie: a=b; jwt=%s; c=d\r\n", true, true },
	{ EVERYWHERE, "/stream/a", "Cookie: jwt=\"%s\"\r\n", true, true },
	{ EVERYWHERE, "/stream/a", "Cookie: a=b\r\nCookie: jwt=%s\r\n", true,
	    true },
	/* A page that is only let in by "*" cannot borrow a cookie. */
	{ EVERYWHERE, "/stream/a", "Cookie: jwt=%s\r\n", false, false },
	{ EVERYWHERE, "/stream/a", "Cookie: xjwt=%s; JWT=%s\r\n", true, false },
	{ KEY, "/stream/a", "Cookie: jwt=%s\r\n", true, false },
	{ "", "/stream/a", "Authorization: Bearer %s\r\n", false, false },
};

static const char *
fill(char out[4096], const char *format, const char *token)
{
	snprintf(out, 4096, format, token, token);
	return out;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
START_TEST(a_token_is_found_where_it_may_be)
{
	struct conf *conf = conf_of(places[_i].conf);
	const char *token = hs256("{\"sub\":\"ann\"}");
	struct auth a = { .trusts_cookies = places[_i].trusts_cookies };
	char target[4096], headers[4096];

	ck_assert_int_eq(auth_request(&a, conf,
			     head_of(fill(target, places[_i].target, token),
				 fill(headers, places[_i].headers, token)),
			     now_ms),
	    SW_OK);
	ck_assert_int_eq(a.carried, places[_i].found);
	ck_assert_int_eq(a.grant != NULL, places[_i].found);
	if (a.grant != NULL)
		ck_assert_str_eq(a.grant->user, "ann");
	auth_fini(&a);
	conf_free(conf);
}
END_TEST
#pragma GCC diagnostic pop

START_TEST(the_most_explicit_place_counts_alone)
{
	struct conf *conf = conf_of(EVERYWHERE);
	struct auth a = { .trusts_cookies = true };
	char headers[4096];

	/* The cookie's is fine, and is not looked at. */
	fill(headers, "Cookie: jwt=%s\r\nAuthorization: Bearer x\r\n",
	    hs256("{}"));
	ck_assert_int_eq(
	    auth_request(&a, conf, head_of("/stream/a", headers), now_ms),
	    SW_EAUTH);
	ck_assert(a.carried);
	ck_assert_ptr_null(a.grant);
	auth_fini(&a);
	/* Of two that are equally explicit nobody knows which is meant. */
	fill(headers,
	    "Authorization: Bearer %s\r\nAuthorization: Bearer %s\r\n",
	    hs256("{}"));
	ck_assert_int_eq(
	    auth_request(&a, conf, head_of("/stream/a", headers), now_ms),
	    SW_EAUTH);
	auth_fini(&a);
	conf_free(conf);
}
END_TEST

#define CHANNELS                                                       \
	"channel \"open\" { subscribe = anyone }\n"                    \
	"channel \"shut\" { subscribe = token send-access = token }\n" \
	"channel \"board\" { subscribe = token send-access = anyone }\n"

/* Of nobody, of a token for "open", and of one for everything. */
static const struct {
	const char *conf;
	enum auth_action action;
	const char *channel;
	int nobody, other, all;
} rights[] = {
	{ "", AUTH_SUBSCRIBE, "x", SW_OK, SW_OK, SW_OK },
	{ "", AUTH_SEND, "x", SW_OK, SW_OK, SW_OK },
	{ KEY CHANNELS, AUTH_SUBSCRIBE, "x", SW_EAUTH, SW_EFORBIDDEN, SW_OK },
	{ KEY CHANNELS, AUTH_SEND, "x", SW_EAUTH, SW_EFORBIDDEN, SW_OK },
	{ KEY CHANNELS, AUTH_SUBSCRIBE, "open", SW_OK, SW_OK, SW_OK },
	{ KEY CHANNELS, AUTH_SEND, "open", SW_EAUTH, SW_OK, SW_OK },
	{ KEY CHANNELS, AUTH_SEND, "board", SW_OK, SW_OK, SW_OK },
	{ KEY CHANNELS, AUTH_SUBSCRIBE, "board", SW_EAUTH, SW_EFORBIDDEN,
	    SW_OK },
	{ KEY CHANNELS "anonymous = yes\n", AUTH_SUBSCRIBE, "x", SW_OK, SW_OK,
	    SW_OK },
	{ KEY CHANNELS "anonymous = yes\n", AUTH_SEND, "x", SW_OK, SW_OK,
	    SW_OK },
	{ KEY CHANNELS "anonymous = yes\n", AUTH_SUBSCRIBE, "shut", SW_EAUTH,
	    SW_EFORBIDDEN, SW_OK },
	{ KEY CHANNELS "anonymous = yes\n", AUTH_SEND, "shut", SW_EAUTH,
	    SW_EFORBIDDEN, SW_OK },
};

START_TEST(the_channel_says_who_may)
{
	static char open[] = "open", star[] = "*";
	static char *opens[] = { open }, *stars[] = { star };
	static const struct grant other = { .subscribe = { opens, 1 },
		.send = { opens, 1 } };
	static const struct grant all = { .subscribe = { stars, 1 },
		.send = { stars, 1 } };
	struct conf *conf = conf_of(rights[_i].conf);
	struct str channel = str_of(rights[_i].channel);
	const char *why;

	ck_assert_int_eq(auth_may(conf, NULL, rights[_i].action, channel, &why),
	    rights[_i].nobody);
	ck_assert_int_eq(
	    auth_may(conf, &other, rights[_i].action, channel, &why),
	    rights[_i].other);
	ck_assert_int_eq(auth_may(conf, &all, rights[_i].action, channel, &why),
	    rights[_i].all);
	conf_free(conf);
}
END_TEST

#define BACKEND                                 \
	"backend = \"http://127.0.0.1:3000\"\n" \
	"bridge-secret = \"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\"\n"
#define ASKED                                                                  \
	"channel \"bridge\" { send = bridge bridge-connect = yes }\n"          \
	"channel \"room\" { send = publish bridge-connect = yes }\n"           \
	"channel \"all\" { send = publish bridge-connect = yes send-access = " \
	"anyone }\n"                                                           \
	"channel \"few\" { send = bridge bridge-connect = yes send-access = "  \
	"token }\n"

/* Of nobody, and of whom the backend has granted sending to the channel. */
static const struct {
	const char *conf, *channel;
	int nobody;
} granted_sending[] = {
	{ BACKEND ASKED, "bridge", SW_OK },
	{ BACKEND ASKED, "room", SW_EFORBIDDEN },
	{ BACKEND ASKED, "all", SW_OK },
	{ BACKEND ASKED, "few", SW_EFORBIDDEN },
	{ BACKEND ASKED "anonymous = yes\n", "room", SW_EFORBIDDEN },
	{ KEY BACKEND ASKED, "bridge", SW_EAUTH },
	{ KEY BACKEND ASKED, "room", SW_EAUTH },
	{ KEY BACKEND ASKED "anonymous = yes\n", "bridge", SW_OK },
	{ KEY BACKEND ASKED "anonymous = yes\n", "room", SW_EAUTH },
};

START_TEST(the_backend_grants_sending)
{
	struct conf *conf = conf_of(granted_sending[_i].conf);
	struct str channel = str_of(granted_sending[_i].channel);
	char *names[] = { (char *)(uintptr_t)channel.p };
	struct granted listens = { .subscribe = { names, 1 } };
	struct granted sends = { .send = { names, 1 } };
	const struct grant listener = { .tokenless = true,
		.granted = &listens };
	const struct grant sender = { .tokenless = true, .granted = &sends };
	const char *why;

	ck_assert_int_eq(auth_may(conf, NULL, AUTH_SEND, channel, &why),
	    granted_sending[_i].nobody);
	ck_assert_int_eq(auth_may(conf, &listener, AUTH_SEND, channel, &why),
	    granted_sending[_i].nobody);
	ck_assert_int_eq(
	    auth_may(conf, &sender, AUTH_SEND, channel, &why), SW_OK);
	conf_free(conf);
}
END_TEST

START_TEST(a_challenge_says_what_was_wrong)
{
	ck_assert_str_eq(
	    auth_challenge(401, false), "Bearer realm=\"spillway\"");
	ck_assert_ptr_nonnull(
	    strstr(auth_challenge(401, true), "error=\"invalid_token\""));
	ck_assert_ptr_nonnull(
	    strstr(auth_challenge(403, true), "error=\"insufficient_scope\""));
	ck_assert_ptr_null(auth_challenge(403, false));
	ck_assert_ptr_null(auth_challenge(503, true));
}
END_TEST

SUITE("auth", LOOP(a_token_is_found_where_it_may_be, COUNT(places)),
    TEST(the_most_explicit_place_counts_alone),
    LOOP(the_channel_says_who_may, COUNT(rights)),
    LOOP(the_backend_grants_sending, COUNT(granted_sending)),
    TEST(a_challenge_says_what_was_wrong))
