/*
 * Frames of a client. The first byte says how the decoder is set up, the second
 * one how the input is cut; then come the bytes of the wire.
 *
 * Cut in any way, they give the same messages and the same end. Each message
 * is within its limits, and gives itself again when it is framed again.
 */
#include "proxy/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include "transports/ws_frame.h"

/* What came out: for each message its opcode, length and payload. */
struct reading {
	struct buf messages;
	int err;
	bool busy;
	size_t max;
};

enum { ENTRY_HEAD = 5 };

static struct ws_deflate *deflate;

static int
note(void *ctx, enum ws_opcode opcode, struct str payload)
{
	struct reading *r = ctx;
	uint8_t head[ENTRY_HEAD] = { (uint8_t)opcode,
		(uint8_t)(payload.len >> 24), (uint8_t)(payload.len >> 16),
		(uint8_t)(payload.len >> 8), (uint8_t)payload.len };

	if (opcode >= WS_CLOSE) {
		must(opcode <= WS_PONG);
		must(payload.len <= WS_CONTROL_MAX);
	} else {
		must(opcode == WS_TEXT || opcode == WS_BINARY);
		must(payload.len <= r->max);
		must(opcode != WS_TEXT || utf8_valid(payload.p, payload.len));
	}
	must(buf_put(&r->messages, head, sizeof(head)) == SW_OK);
	must(buf_put_str(&r->messages, payload) == SW_OK);
	return SW_OK;
}

/* Pieces of 1 to `step` bytes in turn, or all at once if it is 0. */
static struct reading
read_all(struct str wire, size_t max, bool compressed, size_t step)
{
	struct reading r = { .err = SW_OK, .max = max };
	const struct ws_handler h = {
		.message = note,
		.control = note,
		.ctx = &r,
		.message_max = max,
		.deflate = deflate,
	};
	struct ws_decoder d;
	size_t n, turn = 0;

	buf_init(&r.messages, SIZE_MAX / 2);
	ws_decoder_init(&d, compressed);
	for (size_t i = 0; i < wire.len && r.err == SW_OK; i += n) {
		char *piece;

		n = step == 0 ? wire.len : 1 + turn++ % step;
		n = n < wire.len - i ? n : wire.len - i;
		piece = fuzz_copy((struct str){ wire.p + i, n });
		r.err = ws_decode(&d, (uint8_t *)piece, n, &h, NULL);
		free(piece);
	}
	r.busy = r.err == SW_OK && ws_decoder_busy(&d);
	ws_decoder_fini(&d);
	must(r.err == SW_OK || r.err == SW_EPROTO || r.err == SW_EUTF8 ||
	    r.err == SW_ELIMIT);
	return r;
}

/* Append a message as a client would send it: one frame, masked. */
static void
put_masked(struct buf *wire, enum ws_opcode opcode, struct str payload)
{
	static const uint8_t mask[4] = { 0xca, 0xfe, 0x00, 0x7f };
	uint8_t head[10];
	size_t n = ws_put_head(head + sizeof(head), opcode, false, payload.len);

	head[sizeof(head) - n + 1] |= 0x80;
	must(buf_put(wire, head + sizeof(head) - n, n) == SW_OK);
	must(buf_put(wire, mask, sizeof(mask)) == SW_OK);
	must(buf_put_str(wire, payload) == SW_OK);
	ws_unmask(buf_tail(wire) - payload.len, payload.len, mask, 0);
}

static void
check_again(struct str messages, size_t max)
{
	struct reading again;
	struct buf wire;
	size_t n;

	buf_init(&wire, SIZE_MAX / 2);
	for (size_t i = 0; i < messages.len; i += ENTRY_HEAD + n) {
		const uint8_t *p = (const uint8_t *)messages.p + i;

		n = (size_t)p[1] << 24 | (size_t)p[2] << 16 |
		    (size_t)p[3] << 8 | p[4];
		put_masked(&wire, (enum ws_opcode)p[0],
		    (struct str){ (const char *)p + ENTRY_HEAD, n });
	}
	again = read_all(buf_str(&wire), max, false, 0);
	must(again.err == SW_OK && !again.busy);
	must(fuzz_same(buf_str(&again.messages), messages));
	buf_fini(&again.messages);
	buf_fini(&wire);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t limits[] = { 0, 1, 125, 126, 1000, 65536, 1 << 20,
		100 << 20 };
	struct reading whole, cut;
	struct str wire;
	bool compressed;
	size_t max;

	if (size < 2)
		return 0;
	if (deflate == NULL)
		must(ws_deflate_new(&deflate, 1) == SW_OK);
	compressed = (data[0] & 0x80) != 0;
	max = limits[data[0] & 7];
	wire = (struct str){ (const char *)data + 2, size - 2 };
	whole = read_all(wire, max, compressed, 0);
	for (size_t i = 0; i < 2; i++) {
		cut = read_all(
		    wire, max, compressed, i == 0 ? 1 : 1 + data[1] % 32);
		must(cut.err == whole.err);
		must(cut.busy == whole.busy);
		must(fuzz_same(
		    buf_str(&cut.messages), buf_str(&whole.messages)));
		buf_fini(&cut.messages);
	}
	check_again(buf_str(&whole.messages), max);
	buf_fini(&whole.messages);
	return 0;
}
