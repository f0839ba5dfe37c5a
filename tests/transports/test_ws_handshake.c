#include "transports/ws_handshake.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"
#include "tests/transports/heads.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define ALL UPGRADE V13 KEY
#define ACCEPT                                 \
	"HTTP/1.1 101 Switching Protocols\r\n" \
	"Upgrade: websocket\r\n"               \
	"Connection: Upgrade\r\n"              \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* The answer to a request that must be accepted; the caller's. */
static struct buf
answer_to(const char *headers, bool allow_deflate, struct ws_handshake *h)
{
	const char *why = NULL;
	struct buf out;
	int err =
	    ws_handshake_read(h, head_of("/", headers), allow_deflate, &why);

	ck_assert_msg(err == SW_OK, "%s", why);
	buf_init(&out, 1000);
	ck_assert_int_eq(ws_handshake_answer(&out, h), SW_OK);
	return out;
}

/* RFC 6455 1.3. */
START_TEST(the_example_of_the_rfc_is_answered)
{
	struct ws_handshake h;
	struct buf out = answer_to("Upgrade: websocket\r\n"
				   "Connection: Upgrade\r\n"
				   "Sec-WebSocket-Key: "
				   "dGhlIHNhbXBsZSBub25jZQ==\r\n"
				   "Origin: http://example.com\r\n"
				   "Sec-WebSocket-Protocol: chat, superchat\r\n"
				   "Sec-WebSocket-Version: 13\r\n",
	    true, &h);

	/* Neither of the protocols is ours. */
	assert_text(buf_str(&out), ACCEPT "\r\n\r\n");
	ck_assert(!h.raw && !h.deflate && h.protocol.p == NULL);
	buf_fini(&out);
}
END_TEST

static const char *const accepted[] = {
	ALL,
	/* RFC 6455 4.2.1: tokens have no case, and may stand in a list. */
	"Upgrade: WebSocket\r\nConnection: upgrade\r\n" V13 KEY,
	"UPGRADE: WEBSOCKET\r\nconnection: UPGRADE\r\n" V13 KEY,
	"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" V13 KEY,
	"Upgrade: websocket\r\nConnection: keep-alive,upgrade\r\n" V13 KEY,
	"Upgrade: h2c, websocket\r\nConnection: a\r\nConnection: "
	"Upgrade\r\n" V13 KEY,
	/* What else a browser sends. */
	ALL "Origin: null\r\nCookie: a=b\r\nSec-WebSocket-Extensions: x\r\n",
};

START_TEST(an_upgrade_is_recognised)
{
	struct ws_handshake h;
	struct buf out = answer_to(accepted[_i], true, &h);

	assert_text(buf_str(&out), ACCEPT "\r\n\r\n");
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *headers;
	int err;
} refused[] = {
	{ "", SW_EINVAL },
	{ "Connection: Upgrade\r\n" V13 KEY, SW_EINVAL },
	{ "Upgrade: websocket\r\n" V13 KEY, SW_EINVAL },
	{ "Upgrade: websockets\r\nConnection: Upgrade\r\n" V13 KEY, SW_EINVAL },
	{ "Upgrade: websocket/13\r\nConnection: Upgrade\r\n" V13 KEY,
	    SW_EINVAL },
	{ "Upgrade: websocket\r\nConnection: keep-alive\r\n" V13 KEY,
	    SW_EINVAL },
	{ "Upgrade: web, socket\r\nConnection: Upgrade\r\n" V13 KEY,
	    SW_EINVAL },
	/* Another version, none, or more than one. */
	{ UPGRADE KEY, SW_EUNSUPPORTED },
	{ UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", SW_EUNSUPPORTED },
	{ UPGRADE KEY "Sec-WebSocket-Version: 013\r\n", SW_EUNSUPPORTED },
	{ UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n", SW_EUNSUPPORTED },
	{ UPGRADE KEY "Sec-WebSocket-Version:\r\n", SW_EUNSUPPORTED },
	{ ALL V13, SW_EUNSUPPORTED },
	/* A key that is not 16 bytes in base64, none, or two. */
	{ UPGRADE V13, SW_EINVAL },
	{ ALL KEY, SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key:\r\n", SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAA===\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=A\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAA AAAAAAAAAAA==\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAA-AAAAAAAAAAA==\r\n",
	    SW_EINVAL },
	{ UPGRADE V13 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==AAAA\r\n",
	    SW_EINVAL },
};

START_TEST(what_is_no_upgrade_is_refused_with_a_reason)
{
	const struct request *r = head_of("/", refused[_i].headers);
	struct ws_handshake h;
	const char *why = NULL;

	ck_assert_int_eq(ws_handshake_read(&h, r, true, &why), refused[_i].err);
	ck_assert_ptr_nonnull(why);
}
END_TEST

START_TEST(only_a_get_of_http_1_1_upgrades)
{
	struct request r = *head_of("/", ALL);
	struct ws_handshake h;
	const char *why;

	ck_assert_int_eq(ws_handshake_read(&h, &r, true, &why), SW_OK);
	r.http_1_0 = true;
	ck_assert_int_eq(ws_handshake_read(&h, &r, true, &why), SW_EINVAL);
	r.http_1_0 = false;
	for (int m = METHOD_GET + 1; m <= METHOD_OTHER; m++) {
		r.method = (enum method)m;
		ck_assert_int_eq(
		    ws_handshake_read(&h, &r, true, &why), SW_EINVAL);
	}
}
END_TEST

/*
 * RFC 6455 4.1 gives a key with bits that base64 has no use for; what such a
 * client computes comes from the text, not from the 16 bytes.
 */
START_TEST(a_key_may_have_bits_to_spare)
{
	struct ws_handshake h;
	struct buf out = answer_to(UPGRADE V13
	    "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC==\r\n",
	    true, &h);

	assert_bytes(ARRAY(h.accept), STR("OfS0wDaT5NoxF2gqm7Zj2YtetzM="));
	buf_fini(&out);
}
END_TEST

static const struct {
	const char *headers;
	const char *protocol; /* NULL: none */
} protocols[] = {
	{ ALL, NULL },
	{ ALL "Sec-WebSocket-Protocol: spillway.v1\r\n", "spillway.v1" },
	{ ALL "Sec-WebSocket-Protocol: spillway.raw\r\n", "spillway.raw" },
	/* The client's order, and headers that are split. */
	{ ALL "Sec-WebSocket-Protocol: spillway.raw, spillway.v1\r\n",
	    "spillway.raw" },
	{ ALL "Sec-WebSocket-Protocol: chat,spillway.v1 , spillway.raw\r\n",
	    "spillway.v1" },
	{ ALL "Sec-WebSocket-Protocol: chat\r\n"
	      "sec-websocket-protocol: spillway.raw\r\n",
	    "spillway.raw" },
	/* A token is never echoed. */
	{ ALL "Sec-WebSocket-Protocol: bearer.eyJhbGciOi.J9.x, spillway.v1\r\n",
	    "spillway.v1" },
	{ ALL "Sec-WebSocket-Protocol: bearer.eyJhbGciOi.J9.x\r\n", NULL },
	/* Names have a case, and are whole. */
	{ ALL "Sec-WebSocket-Protocol: SPILLWAY.V1\r\n", NULL },
	{ ALL "Sec-WebSocket-Protocol: spillway.v11, spillway\r\n", NULL },
};

START_TEST(the_first_protocol_that_is_known_is_chosen)
{
	const char *name = protocols[_i].protocol;
	struct ws_handshake h;
	struct buf out = answer_to(protocols[_i].headers, true, &h), want;

	buf_init(&want, 1000);
	buf_puts(&want, ACCEPT);
	if (name != NULL)
		buf_printf(&want, "\r\nSec-WebSocket-Protocol: %s", name);
	buf_puts(&want, "\r\n\r\n");
	assert_bytes(buf_str(&out), buf_str(&want));
	ck_assert(h.raw == (name != NULL && strcmp(name, "spillway.raw") == 0));
	buf_fini(&want);
	buf_fini(&out);
}
END_TEST

#define OFFER(text) ALL "Sec-WebSocket-Extensions: " text "\r\n"
#define DEFLATE "permessage-deflate"

/* What is offered, and what a peer with a window of 2^bits is promised. */
static const struct {
	const char *headers;
	unsigned bits; /* 0: declined */
	bool told;
} offers[] = {
	{ OFFER(DEFLATE), 15, false },
	/* Chrome's, Firefox's, python3-websockets'. */
	{ OFFER(DEFLATE "; client_max_window_bits"), 15, false },
	{ OFFER(DEFLATE "; server_max_window_bits=12; "
			"client_max_window_bits=12"),
	    12, true },
	/* No context in either direction: we keep none in any case. */
	{ OFFER(DEFLATE "; server_no_context_takeover"), 15, false },
	{ OFFER(DEFLATE "; client_no_context_takeover"), 15, false },
	{ OFFER(DEFLATE ";client_no_context_takeover;"
			"server_no_context_takeover ; "
			"server_max_window_bits=9;client_max_window_bits"),
	    9, true },
	/* Every window, also in quotes. */
	{ OFFER(DEFLATE "; server_max_window_bits=8"), 8, true },
	{ OFFER(DEFLATE "; server_max_window_bits=15"), 15, true },
	{ OFFER(DEFLATE "; server_max_window_bits=\"10\""), 10, true },
	{ OFFER(DEFLATE "; client_max_window_bits=8"), 15, false },
	{ OFFER(DEFLATE "; client_max_window_bits=\"15\""), 15, false },
	/* Names of extensions and parameters have no case. */
	{ OFFER("PerMessage-Deflate; Server_Max_Window_Bits = 11"), 11, true },
	/* RFC 7692 7.1.2.1: a value that is none; 8 to 15, without zeros. */
	{ OFFER(DEFLATE "; server_max_window_bits"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits="), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=7"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=16"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=08"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=010"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=+10"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=1e1"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=\"\""), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=\"10"), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=\""), 0, false },
	{ OFFER(DEFLATE "; server_max_window_bits=99999999999999999999"), 0,
	    false },
	{ OFFER(DEFLATE "; client_max_window_bits="), 0, false },
	{ OFFER(DEFLATE "; client_max_window_bits=7"), 0, false },
	{ OFFER(DEFLATE "; client_max_window_bits=16"), 0, false },
	{ OFFER(DEFLATE "; client_max_window_bits=x"), 0, false },
	/* 7.1.1: these have no value. */
	{ OFFER(DEFLATE "; server_no_context_takeover=1"), 0, false },
	{ OFFER(DEFLATE "; client_no_context_takeover="), 0, false },
	/* 7.1: a name that is unknown, or there twice. */
	{ OFFER(DEFLATE "; level=9"), 0, false },
	{ OFFER(DEFLATE ";"), 0, false },
	{ OFFER(DEFLATE "; client_max_window_bits; client_max_window_bits"), 0,
	    false },
	{ OFFER(DEFLATE "; server_no_context_takeover; "
			"SERVER_NO_CONTEXT_TAKEOVER"),
	    0, false },
	/* Several offers: the first one that is acceptable. */
	{ OFFER(DEFLATE "; server_max_window_bits=7, " DEFLATE
			"; server_max_window_bits=10, " DEFLATE),
	    10, true },
	{ OFFER(DEFLATE "; server_max_window_bits=10; x, " DEFLATE), 15,
	    false },
	{ OFFER("x-webkit-deflate-frame, " DEFLATE), 15, false },
	{ OFFER("mux; max-channels=4; flow-control, " DEFLATE), 15, false },
	{ OFFER("x") "sec-websocket-extensions: " DEFLATE
		     "; server_max_window_bits=13\r\n",
	    13, true },
	{ OFFER("permessage-deflates"), 0, false },
	{ OFFER("x; permessage-deflate"), 0, false },
	{ OFFER(""), 0, false },
	{ OFFER(", ,"), 0, false },
	{ ALL, 0, false },
};

START_TEST(permessage_deflate_is_negotiated)
{
	struct ws_handshake h;
	struct buf out = answer_to(offers[_i].headers, true, &h), want;

	buf_init(&want, 1000);
	buf_puts(&want, ACCEPT);
	if (offers[_i].bits != 0)
		buf_puts(&want,
		    "\r\nSec-WebSocket-Extensions: permessage-deflate; "
		    "server_no_context_takeover; "
		    "client_no_context_takeover");
	if (offers[_i].told)
		buf_printf(
		    &want, "; server_max_window_bits=%u", offers[_i].bits);
	buf_puts(&want, "\r\n\r\n");
	assert_bytes(buf_str(&out), buf_str(&want));
	ck_assert(h.deflate == (offers[_i].bits != 0));
	if (h.deflate)
		ck_assert_uint_eq(h.server_window_bits, offers[_i].bits);
	buf_fini(&want);
	buf_fini(&out);
}
END_TEST

START_TEST(no_offer_is_taken_when_compression_is_off)
{
	struct ws_handshake h;
	struct buf out = answer_to(OFFER(DEFLATE), false, &h);

	ck_assert(!h.deflate);
	assert_text(buf_str(&out), ACCEPT "\r\n\r\n");
	buf_fini(&out);
}
END_TEST

START_TEST(half_an_answer_is_an_error)
{
	struct ws_handshake h;
	struct buf out = answer_to(OFFER(DEFLATE), true, &h);

	for (size_t max = 0; max < buf_len(&out); max++) {
		struct buf small;

		buf_init(&small, max);
		ck_assert_int_eq(ws_handshake_answer(&small, &h), SW_ELIMIT);
		buf_fini(&small);
	}
	buf_fini(&out);
}
END_TEST

static int
memory_story(void *arg)
{
	struct ws_handshake h;
	struct buf out;
	const char *why;
	int err = ws_handshake_read(&h, arg, true, &why);

	buf_init(&out, 1000);
	if (err == SW_OK)
		err = ws_handshake_answer(&out, &h);
	buf_fini(&out);
	return err;
}

START_TEST(memory_may_run_out)
{
	struct request r = *head_of(
	    "/", OFFER(DEFLATE) "Sec-WebSocket-Protocol: spillway.v1\r\n");

	oom_tell(memory_story, &r);
}
END_TEST

SUITE("ws_handshake", TEST(the_example_of_the_rfc_is_answered),
    LOOP(an_upgrade_is_recognised, COUNT(accepted)),
    LOOP(what_is_no_upgrade_is_refused_with_a_reason, COUNT(refused)),
    TEST(only_a_get_of_http_1_1_upgrades), TEST(a_key_may_have_bits_to_spare),
    LOOP(the_first_protocol_that_is_known_is_chosen, COUNT(protocols)),
    LOOP(permessage_deflate_is_negotiated, COUNT(offers)),
    TEST(no_offer_is_taken_when_compression_is_off),
    TEST(half_an_answer_is_an_error), TEST(memory_may_run_out))
