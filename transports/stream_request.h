#ifndef SPILLWAY_TRANSPORTS_STREAM_REQUEST_H
#define SPILLWAY_TRANSPORTS_STREAM_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/cursor.h"
#include "transports/request.h"
#include "transports/transport.h"

/*
 * What a GET of /stream/CHANNEL[,CHANNEL...] asks for: which transport, which
 * channels, from where on.
 */
enum stream_start {
	START_LIVE,   /* what is published from now on */
	START_OLDEST, /* all that is retained */
	START_CURSOR, /* what comes after a cursor */
	START_LAST,   /* the newest N, and what follows */
};

/* A session has 1 to so many characters; what a client sends may have one. */
enum { STREAM_SESSION_MAX = 128 };

struct stream_request {
	const struct transport *transport;
	bool raw;  /* payloads alone, instead of the envelope */
	bool html; /* a short poll as a page */
	enum stream_start start;
	struct cursor after; /* no epoch: what was given is none of ours */
	uint64_t last;
	uint64_t limit;   /* events per poll answer */
	uint64_t wait_ms; /* of a long poll */
	bool padding;
	struct str session; /* raw; p is NULL if there is none */
	struct str *channels;
	size_t channel_count;
	/* Where the names are, unless the only one is in the path. */
	struct str one;
	struct buf names;
};

/* What applies where a request says nothing, or asks for too much. */
struct stream_limits {
	uint64_t poll_wait_ms, poll_wait_max_ms;
	uint64_t poll_limit, poll_limit_max;
	size_t channels;
};

/* Why a request is refused: a status and a sentence that says what to do. */
struct refusal {
	int status;
	const char *detail;
};

/* The detail for channels-per-connection, which is counted. */
extern const char stream_channels_too_many[];

/*
 * Read it. `rest` is the path behind /stream/. On failure (SW_EINVAL, or
 * SW_ENOMEM) the refusal is filled in. Either way stream_request_fini.
 */
int stream_request_read(struct stream_request *out, const struct request *r,
    struct str rest, const struct stream_limits *limits,
    struct refusal *refusal);
void stream_request_fini(struct stream_request *s);

/* The names in a path: CHANNEL[,CHANNEL...]; as above. */
int stream_channels_read(struct stream_request *out, struct str rest,
    size_t max, struct refusal *refusal);

#endif
