#ifndef SPILLWAY_PROXY_HTTP_HTTP_H
#define SPILLWAY_PROXY_HTTP_HTTP_H

#include <stdbool.h>

#include "proxy/auth/origin.h"
#include "proxy/edge/conn.h"
#include "transports/request.h"

/*
 * The door to libmicrohttpd: it reads requests and writes ordinary responses.
 * What lasts leaves it: for a stream or a poll its socket is duplicated, and
 * the library lets go of its own.
 *
 * Each worker drives a daemon of its own from its own loop.
 */
struct http;
struct worker;

int http_new(struct http **out, struct worker *w);
void http_free(struct http *h);

/* Does the installed library let go of sockets as this relies on? */
bool http_self_test(struct worker *w);

/* Lend the connection, of which nothing was read, to the library. */
void http_adopt(struct conn *c);
/*
 * Lend it one end of a socket pair instead, for a connection whose bytes we
 * pass on; see relay.h. SW_EIO: `fd` is closed.
 */
struct lent;
int http_adopt_pair(struct lent **out, struct conn *c, int fd);
/* The connection that it was lent for has ended. */
void http_forget(struct http *h, struct lent *l);

/* Is a request being read or answered? */
bool http_busy(const struct lent *l);
/*
 * The time of the connection is over: has the client read some of its answer
 * since then? If so it gets more. If not, the limit that it has reached is
 * counted. NULL: the library has let go, and only the client is left to read.
 */
bool http_goes_on(struct conn *c, struct lent *l);

extern const struct conn_role http_role; /* owner: its struct lent */

/* At the end of a turn: let the library work if it has to. */
void http_turn(struct http *h);
/* Milliseconds that the loop may sleep for its sake, -1: any. */
int http_may_sleep(struct http *h);

/* A request and its response, as handlers see them. */
struct exchange {
	struct worker *worker;
	struct conn *conn; /* NULL once the client is gone */
	struct request request;
	struct str body; /* complete */
	/* A channel's name, if the request has it with escapes. */
	char channel[CHANNEL_NAME_MAX];
	/* The answer: */
	int status;
	const char *content_type;
	struct buf reply;
	struct str kept;       /* the answer instead, if it outlives us */
	char *location;        /* what to ask for instead, or NULL; its own */
	char echoed[128];      /* a content type that is the client's */
	const char *cache;     /* Cache-Control */
	const char *etag;      /* ETag */
	const char *coding;    /* Content-Encoding, or NULL */
	const char *varies;    /* Vary, or NULL: by which headers we chose */
	const char *policy;    /* Content-Security-Policy */
	const char *allow;     /* of a 405 */
	const char *challenge; /* WWW-Authenticate, of a 401 or 403 */
	enum origin origin;    /* of the page that asks, where that matters */
	bool preflight;        /* a browser asks before a page may */
};

/* Answer now or later: exactly once, in the worker's thread. */
void exchange_answer(struct exchange *x, int status, const char *content_type);
void exchange_refuse(struct exchange *x, int status, const char *detail);
/* 405, with the methods that there are, such as "GET, HEAD". */
void exchange_refuse_method(struct exchange *x, const char *allow);
/* To another place: what stands in Location. */
void exchange_redirect(struct exchange *x, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * The answer will come in a later turn. The exchange stays until then, even if
 * the client does not.
 */
void exchange_wait(struct exchange *x);

#endif
