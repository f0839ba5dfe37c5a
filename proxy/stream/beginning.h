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

/*
 * Where who subscribes now and asks for nothing older begins: behind all that
 * was acknowledged, be it still on its way to this worker.
 */
uint64_t beginning_live(const struct worker *w);

/*
 * By what there is at this moment; `live` is where it begins if it asks for
 * nothing older: beginning_live, or the head of the backend's answer.
 */
struct beginning beginning_find(
    struct conn *c, const struct stream_request *req, uint64_t live);

#endif
