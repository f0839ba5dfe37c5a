#ifndef SPILLWAY_PROXY_HTTP_RESPONSE_H
#define SPILLWAY_PROXY_HTTP_RESPONSE_H

#include "proxy/base/buf.h"
#include "proxy/worker.h"

/*
 * Heads of the responses that we write ourselves (RFC 9112), and the bodies of
 * refusals (RFC 9457), the same whoever writes them.
 */

const char *status_reason(int status);

/*
 * Append a status line and the headers that every response has; the caller
 * appends further ones and an empty line.
 */
void response_begin(
    struct buf *out, struct worker *w, int status, bool keep_alive);

/* The body of a refusal: application/problem+json. */
void problem_put(struct buf *out, int status, const char *detail);

/* A whole response that refuses, with Retry-After where that makes sense. */
void response_put_problem(struct buf *out, struct worker *w, int status,
    const char *detail, bool keep_alive);

/* The same with further headers, each with its end of line. */
void response_put_refusal(struct buf *out, struct worker *w, int status,
    const char *detail, bool keep_alive, struct str headers);

/* The response to a HEAD is a head: drop what is behind it. */
void response_keep_head(struct buf *out);

/* Seconds for Retry-After, or 0 for none. */
unsigned retry_after(int status);

#endif
