#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_EVENT_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/base/buf.h"
#include "transports/request.h"

/*
 * What a client does, as the backend is told: a CloudEvent 1.0 in the binary
 * mode of HTTP, signed as Standard Webhooks have it. The attributes are in
 * `ce-` headers and the message is the body, untouched.
 */
enum bridge_kind {
	BRIDGE_CONNECT,     /* may it have what it asks for? */
	BRIDGE_MESSAGE,     /* it sent something */
	BRIDGE_SUBSCRIBE,   /* it listens to a channel */
	BRIDGE_UNSUBSCRIBE, /* and no longer does */
	BRIDGE_DISCONNECT,  /* it is gone */
	BRIDGE_KINDS,
};

/* "spillway.message" */
const char *bridge_kind_name(enum bridge_kind kind);

/* All text is borrowed; what is not known has p == NULL. */
struct bridge_event {
	enum bridge_kind kind;
	struct str id;       /* of this event alone; without a full stop */
	uint64_t time_ms;    /* Unix time */
	uint64_t connection; /* its number, as hello tells it */
	struct str transport, address, channel, user, session;
	bool has_seq;
	uint64_t seq;
	struct str content_type; /* of the data */
	struct str data;
	struct str forwarded; /* see bridge_forward_put */
};

enum { BRIDGE_HEADERS_MAX = 48 };

/* A request's headers, and the text that they are in. */
struct bridge_head {
	size_t count;
	struct header headers[BRIDGE_HEADERS_MAX];
	struct buf text;
};

/*
 * The headers that say what has happened, signed at that Unix time with every
 * one of the secrets, so that a backend which knows one of them is content.
 * SW_ENOMEM; either way bridge_head_fini.
 */
int bridge_head_make(struct bridge_head *out, const struct bridge_event *e,
    uint64_t now_ms, char *const *secrets, size_t secret_count);
void bridge_head_fini(struct bridge_head *h);

/*
 * Append those headers of the request that the configuration names, as lines.
 * What belongs to a connection, to a body or to the event itself is left out,
 * whoever asks for it; and cookies that do not speak for the client, see
 * origin_trusts_cookies.
 */
int bridge_forward_put(
    struct buf *out, const struct conf *conf, const struct request *r);
/* The same as a string of its own in `*out`, which stays NULL for none. */
int bridge_forward_keep(
    char **out, const struct conf *conf, const struct request *r);

#endif
