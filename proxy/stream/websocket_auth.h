#ifndef SPILLWAY_PROXY_STREAM_WEBSOCKET_AUTH_H
#define SPILLWAY_PROXY_STREAM_WEBSOCKET_AUTH_H

#include "proxy/stream/subscriber.h"
#include "transports/command.h"
#include "transports/request.h"

/*
 * Tokens as messages of a WebSocket: the first one, of a client that could give
 * none with the upgrade; and later ones, which take the place of a token that
 * is about to expire.
 */

/* What a client asked for that has yet to show its token. */
struct unproven {
	uint64_t due_ms; /* monotonic: until then */
	/* Of the request, to be read again: */
	struct str rest, query, last_event_id;
	char text[];
};

/* NULL when memory ran out; freed with free. */
struct unproven *unproven_new(
    const struct request *r, struct str rest, uint64_t due_ms);
/* The request again, as far as it matters. Borrows the texts. */
void unproven_request(const struct unproven *u, struct request *out);

/* {"op":"auth","token":"..."} */
void websocket_auth(struct subscriber *s, const struct command *cmd);

/* The first message of a client that is unproven. */
void websocket_auth_first(struct subscriber *s, struct str text);

/*
 * Its token is good, and the backend was asked if it has to be, which ended
 * with `err`: answer, and give it what it asked for, see stream_admit.
 */
void websocket_admit(struct subscriber *s, struct str ref, uint64_t live,
    int err, const char *why);

/* Count a refusal: SW_EAUTH or SW_EFORBIDDEN. */
void websocket_count_refusal(struct subscriber *s, int err);

#endif
