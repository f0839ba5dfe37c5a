#ifndef SPILLWAY_TRANSPORTS_WS_FRAME_H
#define SPILLWAY_TRANSPORTS_WS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/utf8.h"
#include "transports/ws_deflate.h"

/*
 * WebSocket framing (RFC 6455 section 5, RFC 7692 section 6): bytes to messages
 * as a server reads them, and messages to frames as it writes them.
 */
enum ws_opcode {
	WS_CONTINUATION = 0x0,
	WS_TEXT = 0x1,
	WS_BINARY = 0x2,
	WS_CLOSE = 0x8,
	WS_PING = 0x9,
	WS_PONG = 0xa,
};

enum {
	WS_HEAD_MAX = 14,     /* bytes before a payload, with the mask */
	WS_CONTROL_MAX = 125, /* payload of a control frame */
	/* Frames of one message without payload, which no length bounds. */
	WS_EMPTY_MAX = 1000,
};

/*
 * Reads one connection. Small while nothing is half read: whatever a message
 * needs is allocated when a part of it has come and freed at its end.
 */
struct ws_decoder {
	uint8_t state;
	uint8_t head_len; /* bytes of the head that have come */
	uint8_t head_need;
	uint8_t opcode;         /* of the frame */
	uint8_t message_opcode; /* of the unfinished message, 0: none */
	bool fin;
	bool compressed;    /* the unfinished message is */
	bool allow_deflate; /* it was negotiated */
	struct utf8 utf8;
	uint8_t head[WS_HEAD_MAX];
	uint8_t mask[4];
	uint64_t left;   /* of the frame's payload */
	uint64_t offset; /* of the next byte in it */
	struct ws_parts *parts;
};

void ws_decoder_init(struct ws_decoder *d, bool allow_deflate);
void ws_decoder_fini(struct ws_decoder *d);

/*
 * What was read. `payload` is borrowed during the call. SW_EAGAIN is enough for
 * now: what follows is left. Another code but SW_OK ends the reading and is
 * returned by ws_decode.
 */
struct ws_handler {
	int (*message)(void *ctx, enum ws_opcode opcode, struct str payload);
	int (*control)(void *ctx, enum ws_opcode opcode, struct str payload);
	void *ctx;
	size_t message_max;
	struct ws_deflate *deflate;
};

/*
 * Read `n` bytes, which are unmasked in place. They may be cut anywhere. The
 * last `*rest` of them were left; NULL if no handler leaves any. The failures
 * are for the close frame: SW_EPROTO, SW_EUTF8, SW_ELIMIT, SW_ENOMEM.
 */
int ws_decode(struct ws_decoder *d, uint8_t *bytes, size_t n,
    const struct ws_handler *h, size_t *rest);

/* Does a message wait for its rest? */
bool ws_decoder_busy(const struct ws_decoder *d);

/*
 * The head of a frame that is a whole message, unmasked (RFC 6455 5.1), written
 * so that it ends at `end`; returns its length, at most 10.
 */
size_t ws_put_head(
    uint8_t *end, enum ws_opcode opcode, bool deflated, size_t payload);

/* Append a whole frame. */
int ws_put_frame(struct buf *out, enum ws_opcode opcode, struct str payload);
/* A close frame; the reason is cut to fit. */
int ws_put_close(struct buf *out, int code, const char *reason);

/* May a peer close with this code (RFC 6455 7.4)? */
bool ws_close_code_valid(unsigned code);

/* XOR with the mask, beginning at byte `offset` of the payload. */
void ws_unmask(
    uint8_t *bytes, size_t n, const uint8_t mask[4], uint64_t offset);

#endif
