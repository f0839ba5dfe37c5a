#ifndef SPILLWAY_PROXY_PUBLISH_PUBLISH_H
#define SPILLWAY_PROXY_PUBLISH_PUBLISH_H

#include "proxy/edge/conn.h"
#include "storage/log.h"
#include "transports/http_head.h"

/*
 * Publishing one event, as the first look does it: POST
 * /v1/channels/C/events, many of them pipelined on one connection if the client
 * likes. Answers leave in the order of the requests, those of one commit in one
 * write.
 */

/* Is it one? Then `*channel` is its name. */
bool publish_matches(const struct request *r, struct str *channel);

enum publish_result {
	PUBLISH_TAKEN,   /* with the whole body, of content_length */
	PUBLISH_BODY,    /* taken; the rest of the body is being read */
	PUBLISH_WAIT,    /* not before earlier requests are answered */
	PUBLISH_REFUSED, /* answered; the connection may be closing */
	PUBLISH_OTHER,   /* for the HTTP library after all */
};

/* Take a request whose head was read; `body` is what came of it so far. */
enum publish_result publish_take(struct conn *c, const struct request *r,
    struct str channel, struct str body);

/* Write the answers that piled up during this turn. */
void publish_flush(struct worker *w);

/*
 * Append the answer to one published event:
 * {"id":...,"time":...,"duplicate":false,"durable":"normal",
 *  "subscribers":{"ws":2,"sse":1,"long":0}}
 */
void publish_put_answer(
    struct buf *out, struct worker *w, const struct append_item *item);

/* The HTTP status and sentence for a request that the log refused. */
int publish_failure(int err, const char *reason, const char **detail);

#endif
