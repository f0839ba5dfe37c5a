/*
 * Headers of an upgrade, each ended by CRLF, behind a fixed request line.
 *
 * A request that is accepted is answered with one well-formed head that has
 * nothing of the client's in it but what we offer ourselves. Cases of names,
 * blanks, and compression that is off change what they may and nothing else.
 */
#include "tests/fuzz/heads.h"
#include "transports/ws_handshake.h"

static void
check_window(const struct ws_handshake *h)
{
	must(h->server_window_bits >= 8 && h->server_window_bits <= 15);
	must(h->answer_window_bits || h->server_window_bits == 15);
}

/* Exactly the lines that a server of ours may write. */
static void
check_answer(const struct ws_handshake *h)
{
	struct buf out, want;

	buf_init(&out, 4096);
	buf_init(&want, 4096);
	must(ws_handshake_answer(&out, h) == SW_OK);
	buf_printf(&want,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n",
	    WS_ACCEPT_LENGTH, h->accept);
	if (h->protocol.p != NULL)
		buf_printf(&want, "Sec-WebSocket-Protocol: %s\r\n",
		    h->raw ? "spillway.raw" : "spillway.v1");
	if (h->deflate)
		buf_puts(&want,
		    "Sec-WebSocket-Extensions: permessage-deflate; "
		    "server_no_context_takeover; client_no_context_takeover");
	if (h->deflate && h->answer_window_bits)
		buf_printf(&want, "; server_max_window_bits=%u",
		    h->server_window_bits);
	buf_puts(&want, h->deflate ? "\r\n\r\n" : "\r\n");
	must(buf_error(&want) == SW_OK);
	must(fuzz_same(buf_str(&out), buf_str(&want)));
	buf_fini(&out);
	buf_fini(&want);
}

static bool
same_handshake(const struct ws_handshake *a, const struct ws_handshake *b)
{
	return memcmp(a->accept, b->accept, WS_ACCEPT_LENGTH) == 0 &&
	    fuzz_same(a->protocol, b->protocol) && a->raw == b->raw &&
	    a->deflate == b->deflate &&
	    a->server_window_bits == b->server_window_bits &&
	    a->answer_window_bits == b->answer_window_bits;
}

/* Names of headers have no case. */
static void
check_shouted(const struct request *r, int err, const struct ws_handshake *h)
{
	struct ws_handshake shouted;
	struct request again = *r;
	char *names[REQUEST_HEADERS_MAX];
	const char *why;

	for (size_t i = 0; i < r->header_count; i++) {
		struct str *name = &again.headers[i].name;

		name->p = names[i] = fuzz_copy(*name);
		for (size_t k = 0; k < name->len; k++)
			if (names[i][k] >= 'a' && names[i][k] <= 'z')
				names[i][k] = (char)(names[i][k] - 'a' + 'A');
	}
	must(ws_handshake_read(&shouted, &again, true, &why) == err);
	must(err != SW_OK || same_handshake(&shouted, h));
	for (size_t i = 0; i < r->header_count; i++)
		free(names[i]);
}

static void
check_without_deflate(
    const struct request *r, int err, const struct ws_handshake *h)
{
	struct ws_handshake plain;
	const char *why;

	must(ws_handshake_read(&plain, r, false, &why) == err);
	if (err != SW_OK)
		return;
	must(!plain.deflate);
	plain.deflate = h->deflate;
	plain.server_window_bits = h->server_window_bits;
	plain.answer_window_bits = h->answer_window_bits;
	must(same_handshake(&plain, h));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ws_handshake h;
	struct request r;
	struct buf text;
	const char *why = NULL;
	int err;

	buf_init(&text, SIZE_MAX / 2);
	if (fuzz_head(&r, &text, "GET / HTTP/1.1\r\nHost: a\r\n", data, size)) {
		err = ws_handshake_read(&h, &r, true, &why);
		must(
		    err == SW_OK || err == SW_EINVAL || err == SW_EUNSUPPORTED);
		must((err == SW_OK) == (why == NULL));
		check_shouted(&r, err, &h);
		check_without_deflate(&r, err, &h);
		if (err == SW_OK) {
			check_window(&h);
			check_answer(&h);
		}
	}
	buf_fini(&text);
	return 0;
}
