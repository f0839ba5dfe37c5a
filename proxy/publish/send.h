#ifndef SPILLWAY_PROXY_PUBLISH_SEND_H
#define SPILLWAY_PROXY_PUBLISH_SEND_H

#include <stdbool.h>

#include "proxy/base/channel.h"
#include "proxy/base/event.h"
#include "storage/log.h"
#include "transports/request.h"

/*
 * What becomes of a payload: the kinds of content, for everyone who publishes,
 * and the local handler for what clients send (`send publish|echo|off`).
 */
struct worker;

/*
 * Which kind is it, and which content type is worth keeping? Without a type (or
 * with a form's, which is what curl says by itself): JSON if it parses, else
 * text, else binary. `*type` becomes empty for a kind's default. SW_EINVAL if
 * it says JSON and is none.
 */
int content_classify(struct str data, struct str *type, enum event_kind *kind);
/*
 * What of a type can be told in JSON: a header may have bytes that are no UTF-8
 * (RFC 9110 5.5), and a WebSocket would be closed because of them (RFC 6455
 * 8.1). Its parameters are left out then.
 */
struct str content_tellable(struct str type);
/* Does the type say that it is JSON, whatever its parameters? */
bool content_is_json(struct str type);
/* The only type that it makes: what is neither JSON nor text. */
#define CONTENT_BINARY STR("application/octet-stream")

/* Does the body have a content coding? Nobody here would decode it. */
bool content_is_coded(const struct request *r);
extern const char content_coded_help[];

/*
 * Type of an event: 1 to 128 bytes of UTF-8 without control characters, none
 * of ours (`spillway.`); "message" becomes empty, as the default. SW_EINVAL.
 */
int event_type_check(struct str *type);

/* A message of a client, as its transport read it. */
struct address;
struct bridge_answer;
struct bridge_lane;
struct grant;

struct client_message {
	const struct grant *grant; /* what its sender's token allows, or NULL */
	struct str channel;
	struct str data;
	struct str content_type; /* p is NULL: none was given */
	struct str assumed_type; /* what the backend is told then */
	const char *session;     /* of idempotent sends, or NULL */
	bool has_seq;
	uint64_t seq;
	/* Who sent it, for the backend. */
	uint64_t connection;
	struct str transport;
	struct str forwarded; /* see bridge_forward_put */
	const struct address *peer;
	/* Its connection's, made when it is needed; NULL: it needs none. */
	struct bridge_lane **lane;
	/* Called with the outcome of SEND_PUBLISH; owner as in the append. */
	void (*done)(struct append *a);
	/* With that of SEND_BRIDGE. */
	void (*answered)(void *owner, const struct bridge_answer *a);
	void *owner;
};

enum send_outcome {
	SEND_QUEUED,  /* done() or answered() will be called */
	SEND_ECHOED,  /* the sender gets its message back */
	SEND_REFUSED, /* `*err` and `*why` say for what reason */
};

enum send_outcome client_send(struct worker *w, const struct client_message *m,
    int *err, const char **why);

#endif
