#ifndef SPILLWAY_PROXY_STREAM_OPENING_H
#define SPILLWAY_PROXY_STREAM_OPENING_H

#include "proxy/auth/auth.h"
#include "proxy/auth/origin.h"
#include "proxy/edge/conn.h"
#include "proxy/stream/beginning.h"
#include "transports/request.h"
#include "transports/stream_request.h"

/*
 * How each transport begins, once it is known who asks and whether they may
 * (stream.h).
 */

/* A stream that is being opened. */
struct opening {
	struct conn *conn;
	const struct request *request;
	struct str rest; /* of the path, behind /stream/ */
	struct stream_request stream;
	struct beginning beginning;
	enum origin origin;
	struct auth auth;
	bool asked;    /* the backend has answered; auth has all of it, */
	uint64_t head; /* and this was the log's */
	struct bridge_lane *lane; /* in which it was asked, or NULL */
	uint64_t session_number;  /* should it be new; 0: any */
};

/* In HTTP. */
void opening_refuse(
    const struct opening *o, int status, const char *detail, bool keep_alive);

/*
 * Begin, or say why not: `err` says whether it may, `status` how a refusal is
 * told in HTTP; `auth.why` has the sentence. What the subscriber takes is gone
 * from `o`.
 */
void opening_go_on(struct opening *o, int err, int status);

/* A WebSocket that waited for its token may. It may be closed on the way. */
struct subscriber;
void opening_go_on_proven(
    struct subscriber *s, const struct stream_request *req, uint64_t live);

#endif
