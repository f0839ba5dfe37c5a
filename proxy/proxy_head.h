#ifndef SPILLWAY_PROXY_PROXY_HEAD_H
#define SPILLWAY_PROXY_PROXY_HEAD_H

#include "proxy/conn.h"
#include "proxy/upstream.h"
#include "transports/request.h"

/*
 * Heads as they pass through the reverse proxy: what is for one hop alone ends
 * here (RFC 9110 7.6.1), and what the next one should know is added.
 */

struct conf;

enum { FORWARDED_HEADERS_MAX = REQUEST_HEADERS_MAX + 10 };

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
struct str forwarded_upgrade(const struct conf *conf, const struct request *r);

/* SW_OK or SW_ENOMEM; forwarded_fini in both cases. */
int forwarded_init(struct forwarded *f, const struct conn *c,
    const struct request *r, struct str upgrade);
void forwarded_fini(struct forwarded *f);

/* How the body of a response ends. */
enum framing {
	FRAMING_NONE,   /* there is none */
	FRAMING_LENGTH, /* by its length */
	FRAMING_CHUNKS,
	FRAMING_CLOSE, /* with the connection */
};

/* Is this the switch to the protocol that was asked for? */
bool response_upgrades(const struct upstream_head *h, struct str upgrade);

/* Append the head of a response as the client gets it. */
void response_put_head(struct buf *out, struct worker *w,
    const struct upstream_head *h, enum framing framing, bool keep_alive);

#endif
