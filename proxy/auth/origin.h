#ifndef SPILLWAY_PROXY_AUTH_ORIGIN_H
#define SPILLWAY_PROXY_AUTH_ORIGIN_H

#include "conf/conf.h"
#include "proxy/base/buf.h"
#include "transports/request.h"

/*
 * Which pages may use the streams: the Origin that browsers send (RFC 6454),
 * and the answers by which they let a page of another origin read what it asked
 * for (CORS, in the Fetch standard).
 */
enum origin {
	ORIGIN_UNASKED, /* of no concern here */
	ORIGIN_NONE,    /* no page: a program, or a page of our own */
	ORIGIN_SAME,    /* a page of our own */
	ORIGIN_LISTED,  /* named by allow-origin: with cookies */
	ORIGIN_ANY,     /* let in by "*": without */
	ORIGIN_FOREIGN, /* to be refused */
};

enum origin origin_judge(const struct conf *conf, const struct request *r);

/*
 * A name that somebody else may have made to point here, which would make a
 * page of theirs one of ours (DNS rebinding). Addresses and `localhost` are not
 * for others to give out, nor are names without a dot.
 */
bool origin_is_name_of_others(struct str host);

/* May cookies speak for the client? */
static inline bool
origin_trusts_cookies(enum origin o)
{
	return o != ORIGIN_ANY && o != ORIGIN_FOREIGN;
}

/* Why ORIGIN_FOREIGN is answered with 403. */
extern const char origin_refusal[];

/*
 * The value of Access-Control-Allow-Origin, or p is NULL: none. Borrowed from
 * the request.
 */
struct str origin_allowed(enum origin o, const struct request *r);

/* Does the answer depend on the Origin? Then caches have to know. */
static inline bool
origin_varies(enum origin o, const struct conf *conf)
{
	return o > ORIGIN_NONE ||
	    (o == ORIGIN_NONE && conf->allow_origin_count > 0);
}

/* What a page may read of an answer's head; the value of a header. */
extern const char origin_exposed[];
/* What a preflight allows. */
extern const char origin_methods[];
extern const char origin_headers[];
enum { ORIGIN_MAX_AGE_S = 600 };

/* Append all headers that the answer needs, each with its end of line. */
void origin_put(struct buf *out, enum origin o, const struct conf *conf,
    const struct request *r);

#endif
