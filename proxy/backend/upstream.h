#ifndef SPILLWAY_PROXY_BACKEND_UPSTREAM_H
#define SPILLWAY_PROXY_BACKEND_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/base/str.h"
#include "transports/request.h"

/*
 * HTTP towards the backend, and the door to libcurl: connections that are kept,
 * time limits, the choice among several origins, a bounded number of requests
 * at a time and a bounded queue for the rest.
 *
 * Each worker has one, in its own loop; everything here is called in, and calls
 * back in, the worker's thread. A request never calls back from within the call
 * that starts it, and every request that was started is `done` exactly once,
 * unless it is cancelled: then it is silent from there on.
 */
struct upstream;
struct upstream_request;
struct route;
struct worker;

/* The backend of a route, by its index among those of the configuration. */
int upstream_new(struct upstream **out, struct worker *w, size_t route);
/* The worker has another configuration, with the same routes. */
void upstream_configure(struct upstream *u);
void upstream_free(struct upstream *u); /* what is under way is not `done` */
/* Is there a backend at all? */
bool upstream_exists(const struct upstream *u);
/* At the end of a turn: start, finish, forget. True: there is more to do. */
bool upstream_turn(struct upstream *u);
/* Is there anything for such a turn to do? */
bool upstream_has_work(const struct upstream *u);

/* How a request ended. */
enum upstream_end {
	UPSTREAM_OK,          /* the answer is complete */
	UPSTREAM_UNREACHABLE, /* no connection; nothing was sent (502) */
	UPSTREAM_BROKEN,      /* the answer is broken, or breaks off (502) */
	UPSTREAM_TOO_LARGE,   /* the answer is above its limit (502) */
	UPSTREAM_TIMEOUT,     /* it took too long (504) */
	UPSTREAM_CROWDED,     /* too many are waiting already (503) */
	UPSTREAM_DOWN,        /* all origins failed of late (503) */
	UPSTREAM_REFUSED,     /* our side gave up: `body` or `data` said so */
	UPSTREAM_ENDS,
};

/* What it is to a client: 502, 503 or 504. */
int upstream_end_status(enum upstream_end end);
/* A word for logs and metrics; a sentence for people. */
const char *upstream_end_name(enum upstream_end end);
const char *upstream_end_sentence(enum upstream_end end);

/* A response's head; borrowed while the callback runs. */
struct upstream_head {
	int status;      /* 200 to 599, or 101 */
	bool http_1_0;   /* what the backend speaks */
	bool has_length; /* of the body as announced: */
	uint64_t content_length;
	size_t header_count;
	const struct header *headers; /* as they came */
};

/* The first header of that name; p is NULL if there is none. */
struct str upstream_header(const struct upstream_head *h, const char *name);

/*
 * What to ask for. All of it is copied by the call that starts it. Host comes
 * from the origin unless `headers` have one. A header's name and value are
 * checked: SW_EINVAL for a control character. Content-Length and
 * Transfer-Encoding are the upstream's to write and must not be among them.
 */
struct upstream_ask {
	struct str method; /* any token */
	struct str target; /* path and query, as they go on the wire */
	const struct header *headers;
	size_t header_count;
	/*
	 * May it be sent once more, should a connection that was kept turn out
	 * to be dead? True for what is idempotent.
	 */
	bool repeatable;
	/*
	 * `headers` ask to switch protocols. If the backend does, its head has
	 * the status 101, and from there on `body` and `data` have the bytes
	 * of the other protocol, until one side ends it; it is no longer one
	 * of the requests under way. `body` is asked before the head as well,
	 * and says SW_EAGAIN then; after any other status 0.
	 */
	bool upgrade;
	/* For all of it, from here on, in place of all others; 0: as
	 * configured. */
	uint64_t timeout_ms;
	/* Whose timeouts hold; NULL: those of the backend's own route. */
	const struct route *route;
};

/*
 * The simple way: one body there, one body back. `done` borrows the answer:
 * `head` and `body` count if `end` is UPSTREAM_OK. `detail` says more in words,
 * and is never NULL.
 */
struct upstream_answer {
	enum upstream_end end;
	const char *detail;
	struct upstream_head head;
	struct str body;
};

struct upstream_call {
	struct upstream_ask ask;
	struct str body;   /* copied; p NULL: none, "" has a length of 0 */
	size_t answer_max; /* most bytes of body in the answer */
	void (*done)(void *owner, const struct upstream_answer *a);
	void *owner;
};

/* SW_ENOMEM or SW_EINVAL; then `done` is not called. */
int upstream_call(struct upstream_request **out, struct upstream *u,
    const struct upstream_call *call);

/*
 * The streaming way: bodies of any length through constant memory.
 *
 * `body` fills in up to `n` bytes of the request's body: a count, 0 at its end,
 * SW_EAGAIN (upstream_resume when there is more), SW_ECLOSED to give up. NULL:
 * there is no body.
 * `head` has the final response's head, once, before any data.
 * `settle` says, if it is there, that all of the data which came together with
 * the head has been offered: so that both may go on as one.
 * `data` takes bytes of the response's body: all of them, or none by returning
 * SW_EAGAIN; then they are offered again after upstream_resume. SW_ECLOSED
 * gives up.
 * `moves` is asked, if it is there, when `data` has taken nothing for as long
 * as a response may stand still: true if what it took before gets on all the
 * same.
 */
struct upstream_flow {
	struct upstream_ask ask;
	bool has_length; /* of the request's body; else it goes in chunks */
	uint64_t content_length;
	ssize_t (*body)(void *owner, void *p, size_t n);
	void (*head)(void *owner, const struct upstream_head *h);
	void (*settle)(void *owner);
	int (*data)(void *owner, const void *p, size_t n);
	bool (*moves)(void *owner);
	void (*done)(void *owner, enum upstream_end end, const char *detail);
	void *owner;
};

int upstream_start(struct upstream_request **out, struct upstream *u,
    const struct upstream_flow *flow);
/* Ask again: `body` has more, or `data` would take some. */
void upstream_resume(struct upstream_request *r);

/*
 * No longer wanted: ends it without a callback. From any callback but not after
 * `done`, which ends the request by itself.
 */
void upstream_cancel(struct upstream_request *r);

#endif
