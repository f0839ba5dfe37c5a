#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_ANSWER_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_ANSWER_H

#include "proxy/base/buf.h"
#include "proxy/base/event.h"

/*
 * What the backend makes of an event, as its client is told.
 */
enum bridge_outcome {
	BRIDGE_TAKEN,   /* and nothing to say */
	BRIDGE_REPLY,   /* data, for the client alone */
	BRIDGE_REFUSED, /* by the backend, or because that failed */
	BRIDGE_OUTCOMES,
};

enum { BRIDGE_DETAIL_MAX = 512 };

struct bridge_answer {
	enum bridge_outcome outcome;
	/* A reply; borrowed from the body. */
	enum event_kind kind;
	struct str content_type; /* p is NULL: the kind's default */
	struct str data;
	bool garbled; /* it is not the JSON that its own type says */
	/* What is to be published: a JSON array; p is NULL: nothing. */
	struct str publish;
	/*
	 * The log's head when the answer came: what it publishes is above it,
	 * and so is where who is let in with it begins.
	 */
	uint64_t head;
	/*
	 * What the backend itself said: its status, 502 for an answer that is
	 * broken; 0: nothing, nobody was there, or had time.
	 */
	int said;
	/* A refusal: its code, the status of HTTP, and a sentence. */
	int err;
	int status;
	char detail[BRIDGE_DETAIL_MAX];
};

/*
 * Read what the backend answered. `asked` is the type of what was sent, which a
 * reply without a type is taken to have. Everything is borrowed.
 *
 * 2xx: the body is the reply; 202, 204 and 205 have none. With the type
 * application/spillway+json the body is an object with `reply`, which is any
 * JSON, and `publish`, an array of events, both of which may be missing. 4xx is
 * the backend's refusal, shown with its `detail`; anything else its failure,
 * the particulars of which are for nobody.
 */
void bridge_answer_read(struct bridge_answer *out, int status,
    struct str content_type, struct str body, struct str asked);

/* Make it a refusal. */
void bridge_answer_refuse(
    struct bridge_answer *out, int err, int status, const char *detail);

#endif
