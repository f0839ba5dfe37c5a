#ifndef SPILLWAY_PROXY_BACKEND_PROXY_HEAD_H
#define SPILLWAY_PROXY_BACKEND_PROXY_HEAD_H

#include "conf/route.h"
#include "proxy/backend/upstream.h"
#include "proxy/edge/conn.h"
#include "transports/request.h"

/*
 * Heads as they pass through the reverse proxy: what is for one hop alone ends
 * here (RFC 9110 7.6.1), and what the next one should know is added.
 */

enum {
	FORWARDED_HEADERS_MAX = REQUEST_HEADERS_MAX + ROUTE_HEADERS_MAX + 10,
};

/* The head of a request as the backend gets it; its text is borrowed. */
struct forwarded {
	struct header headers[FORWARDED_HEADERS_MAX];
	size_t count;
	struct buf text; /* of what was added */
};

/*
 * The protocol to switch to, if the request asks for one that is allowed; p is
 * NULL otherwise.
 */
struct str forwarded_upgrade(
    const struct route *route, const struct request *r);

/*
 * `prefix` is what the route takes away from the path, or empty. SW_OK or
 * SW_ENOMEM; forwarded_fini in both cases.
 */
int forwarded_init(struct forwarded *f, const struct conn *c,
    const struct request *r, const struct route *route, struct str prefix,
    struct str upgrade);
void forwarded_fini(struct forwarded *f);

/* The path and the query without what the route takes away in front. */
struct target {
	struct str text, prefix;
	char *made; /* or NULL: it is a piece of the request */
};

/* SW_OK, and target_fini when it was used, or SW_ENOMEM. */
int target_init(
    struct target *t, const struct request *r, const struct route *route);
void target_fini(struct target *t);

/* How the body of a response ends. */
enum framing {
	FRAMING_NONE,   /* there is none */
	FRAMING_LENGTH, /* by its length */
	FRAMING_CHUNKS,
	FRAMING_CLOSE, /* with the connection */
};

/* May it be sent twice (RFC 9110 9.2.2)? */
bool method_is_repeatable(struct str method);

/* Is this the switch to the protocol that was asked for? */
bool response_upgrades(const struct upstream_head *h, struct str upgrade);

/* Append the head of a response as the client gets it. */
void response_put_head(struct buf *out, struct worker *w,
    const struct route *route, const struct upstream_head *h,
    enum framing framing, bool keep_alive);

#endif
