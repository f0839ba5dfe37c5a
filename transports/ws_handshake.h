#ifndef SPILLWAY_TRANSPORTS_WS_HANDSHAKE_H
#define SPILLWAY_TRANSPORTS_WS_HANDSHAKE_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "transports/request.h"

/*
 * The opening handshake (RFC 6455 section 4.2) and the negotiation of
 * permessage-deflate (RFC 7692 section 7).
 */
enum { WS_ACCEPT_LENGTH = 28 };

struct ws_handshake {
	char accept[WS_ACCEPT_LENGTH]; /* Sec-WebSocket-Accept */
	struct str protocol; /* chosen among the offered, or p is NULL */
	bool raw;            /* the protocol is spillway.raw */
	bool deflate;
	uint8_t server_window_bits; /* 15, or what the client asked for */
	bool answer_window_bits;    /* and must be told */
};

/*
 * Check an upgrade request and decide. SW_EINVAL with a sentence in `*why` if
 * it is none that RFC 6455 allows; SW_EUNSUPPORTED for another version, which
 * is answered with 426 and the version we speak; SW_ENOMEM.
 */
int ws_handshake_read(struct ws_handshake *out, const struct request *r,
    bool allow_deflate, const char **why);

/* Append the head of the 101 response, with its empty line. */
int ws_handshake_answer(struct buf *out, const struct ws_handshake *h);

#endif
