#ifndef SPILLWAY_PROXY_STREAM_BEGINNING_H
#define SPILLWAY_PROXY_STREAM_BEGINNING_H

#include "proxy/edge/conn.h"
#include "transports/notice.h"
#include "transports/stream_request.h"

/* Where the request wants to begin, and what has to be said about that. */
struct beginning {
	uint64_t pos;
	uint64_t hello; /* the cursor that hello tells: never one too far */
	enum gap_reason gap;
};

/* By what there is at this moment. */
struct beginning beginning_find(
    struct conn *c, const struct stream_request *req);

#endif
