#include "transports/ws_handshake.h"

#include "proxy/base/digest.h"
#include "proxy/base/err.h"

/* RFC 6455 4.2.1: the key is 16 bytes in base64. */
enum { KEY_LENGTH = 24 };

/*
 * 22 characters and the padding. The last one may have bits to spare, as that
 * of the RFC's own example has (4.1), so this is no strict decoder's work.
 */
static bool
is_key(struct str key)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789+/";

	if (key.len != KEY_LENGTH || memcmp(key.p + 22, "==", 2) != 0)
		return false;
	for (size_t i = 0; i < 22; i++)
		if (memchr(alphabet, key.p[i], sizeof(alphabet) - 1) == NULL)
			return false;
	return true;
}

static int
read_key(struct ws_handshake *out, struct str key)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_LENGTH + sizeof(guid) - 1];
	uint8_t digest[SHA1_SIZE];
	int err;

	if (!is_key(key))
		return SW_EINVAL;
	memcpy(text, key.p, KEY_LENGTH);
	memcpy(text + KEY_LENGTH, guid, sizeof(guid) - 1);
	if ((err = digest_sha1(digest, (struct str){ text, sizeof(text) })) !=
	    SW_OK)
		return err;
	base64_encode(out->accept, digest, sizeof(digest));
	return SW_OK;
}

/* The first protocol offered that we speak. */
static void
choose_protocol(struct ws_handshake *out, const struct request *r)
{
	for (size_t i = 0; i < r->header_count; i++) {
		struct str rest = r->headers[i].value, item;

		if (!str_is_nocase(
			r->headers[i].name, "Sec-WebSocket-Protocol"))
			continue;
		while (str_cut(&rest, ',', &item)) {
			item = str_trim(item);
			out->raw = str_is(item, "spillway.raw");
			if (out->raw || str_is(item, "spillway.v1")) {
				out->protocol = item;
				return;
			}
		}
	}
}

/* RFC 7692 7.1.2.1: 8 to 15, without leading zeros; may be quoted. */
static bool
window_bits(struct str value, uint8_t *out)
{
	uint64_t bits;

	if (value.len >= 2 && value.p[0] == '"' &&
	    value.p[value.len - 1] == '"') {
		value.p++;
		value.len -= 2;
	}
	if (value.len == 0 || value.p[0] == '0' ||
	    str_to_u64(&bits, value, 15) != SW_OK || bits < 8)
		return false;
	*out = (uint8_t)bits;
	return true;
}

/* What one offer of permessage-deflate asks for. */
enum param { SERVER_TAKEOVER, CLIENT_TAKEOVER, SERVER_BITS, CLIENT_BITS };

static const char *const param_names[] = {
	[SERVER_TAKEOVER] = "server_no_context_takeover",
	[CLIENT_TAKEOVER] = "client_no_context_takeover",
	[SERVER_BITS] = "server_max_window_bits",
	[CLIENT_BITS] = "client_max_window_bits",
};

/* A parameter of the offer; false if it makes the offer unacceptable. */
static bool
accept_param(struct ws_handshake *out, struct str text, unsigned *seen)
{
	struct str name;
	uint8_t bits = 15;

	str_cut(&text, '=', &name);
	name = str_trim(name);
	text = str_trim(text);
	for (unsigned i = 0; i < 4; i++) {
		if (!str_is_nocase(name, param_names[i]))
			continue;
		if ((*seen & 1u << i) != 0)
			return false; /* 7.1: at most once */
		*seen |= 1u << i;
		switch ((enum param)i) {
		case SERVER_TAKEOVER:
		case CLIENT_TAKEOVER:
			return text.p == NULL;
		case SERVER_BITS:
			if (text.p == NULL || !window_bits(text, &bits))
				return false;
			out->server_window_bits = bits;
			out->answer_window_bits = true;
			return true;
		case CLIENT_BITS:
			return text.p == NULL || window_bits(text, &bits);
		}
	}
	return false;
}

/* The parameters behind the name; false: decline this offer. */
static bool
accept_offer(struct ws_handshake *out, struct str params)
{
	struct str param;
	unsigned seen = 0;

	out->server_window_bits = 15;
	out->answer_window_bits = false;
	while (str_cut(&params, ';', &param))
		if (!accept_param(out, str_trim(param), &seen))
			return false;
	return true;
}

/* The first acceptable offer wins, in the client's order. */
static void
choose_extension(struct ws_handshake *out, const struct request *r)
{
	for (size_t i = 0; i < r->header_count; i++) {
		struct str rest = r->headers[i].value, offer, name;

		if (!str_is_nocase(
			r->headers[i].name, "Sec-WebSocket-Extensions"))
			continue;
		while (str_cut(&rest, ',', &offer)) {
			str_cut(&offer, ';', &name);
			if (!str_is_nocase(
				str_trim(name), "permessage-deflate"))
				continue;
			if (accept_offer(out, offer)) {
				out->deflate = true;
				return;
			}
		}
	}
}

int
ws_handshake_read(struct ws_handshake *out, const struct request *r,
    bool allow_deflate, const char **why)
{
	int err = SW_EINVAL;

	*out = (struct ws_handshake){ .server_window_bits = 15 };
	if (r->method != METHOD_GET || r->http_1_0) {
		*why = "A WebSocket opens with a GET of HTTP/1.1.";
		return SW_EINVAL;
	}
	if (!request_has_token(r, "Upgrade", "websocket") ||
	    !request_has_token(r, "Connection", "Upgrade")) {
		*why = "A WebSocket needs `Upgrade: websocket` and "
		       "`Connection: Upgrade`; a proxy on the way may have "
		       "removed them.";
		return SW_EINVAL;
	}
	if (request_header_count(r, "Sec-WebSocket-Version") != 1 ||
	    !str_is(request_header(r, "Sec-WebSocket-Version"), "13")) {
		*why = "Only version 13 of the WebSocket protocol is spoken "
		       "here.";
		return SW_EUNSUPPORTED;
	}
	if (request_header_count(r, "Sec-WebSocket-Key") == 1)
		err = read_key(out, request_header(r, "Sec-WebSocket-Key"));
	if (err != SW_OK) {
		*why = err == SW_EINVAL ?
		    "Sec-WebSocket-Key must be 16 bytes in base64." :
		    err_info(err)->sentence;
		return err;
	}
	choose_protocol(out, r);
	if (allow_deflate)
		choose_extension(out, r);
	return SW_OK;
}

int
ws_handshake_answer(struct buf *out, const struct ws_handshake *h)
{
	buf_puts(out,
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: ");
	buf_put(out, h->accept, WS_ACCEPT_LENGTH);
	if (h->protocol.p != NULL) {
		buf_puts(out, "\r\nSec-WebSocket-Protocol: ");
		buf_put_str(out, h->protocol);
	}
	if (h->deflate) {
		/* Each message alone: so it can be shared, and costs no
		 * memory between messages. */
		buf_puts(out,
		    "\r\nSec-WebSocket-Extensions: "
		    "permessage-deflate; server_no_context_takeover; "
		    "client_no_context_takeover");
		if (h->answer_window_bits)
			buf_printf(out, "; server_max_window_bits=%u",
			    h->server_window_bits);
	}
	buf_puts(out, "\r\n\r\n");
	return buf_error(out);
}
