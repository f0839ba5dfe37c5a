#ifndef SPILLWAY_PROXY_COMPARE_FRAMES_H
#define SPILLWAY_PROXY_COMPARE_FRAMES_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "transports/ws_frame.h"

/*
 * WebSockets (RFC 6455) from the client's side: what a server sends, cut
 * anywhere, to messages; and what a client sends, masked. Extensions are not
 * offered, so there are none.
 */
enum {
	FRAMES_MESSAGE_MAX = 16 << 20,
	FRAMES_KEY_LENGTH = 24, /* Sec-WebSocket-Key */
};

struct frames {
	uint8_t head[10];
	uint8_t head_len;   /* bytes of the head that have come */
	uint8_t opcode;     /* of the unfinished message; 0: none */
	bool in_payload;    /* the head is whole */
	uint64_t left;      /* of the frame's payload */
	uint64_t size;      /* of the message on the wire, its heads with it */
	struct buf message; /* its payload */
	struct buf control;
};

struct frames_handler {
	/*
	 * A whole message or control frame, and what it took on the wire. What
	 * it returns but SW_OK ends the reading.
	 */
	int (*take)(void *ctx, enum ws_opcode opcode, struct str payload,
	    uint64_t size);
	void *ctx;
};

void frames_init(struct frames *f);
void frames_fini(struct frames *f);

/* SW_EPROTO, SW_ELIMIT, SW_ENOMEM, or what the handler returned. */
int frames_read(struct frames *f, const uint8_t *p, size_t n,
    const struct frames_handler *h);

/* Append a frame that is a whole message, masked with random bytes. */
int frames_put(struct buf *out, enum ws_opcode opcode, struct str payload);

/* A random key, and is `accept` the answer to it (RFC 6455 4.1)? */
void frames_make_key(char key[FRAMES_KEY_LENGTH]);
bool frames_accepts(const char key[FRAMES_KEY_LENGTH], struct str accept);

#endif
