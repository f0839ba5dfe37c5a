#ifndef SPILLWAY_PROXY_API_API_H
#define SPILLWAY_PROXY_API_API_H

#include "proxy/http/http.h"
#include "proxy/worker.h"
#include "transports/request.h"

/*
 * Publishing and the operator's API, on `api-listen`: /v1/..., /metrics.
 */

/* Answer a request of the API; its body is complete. */
void api_handle(struct exchange *x);

/*
 * If there are tokens, does the request carry one that allows it? SW_EAUTH: it
 * carries none of them; SW_EFORBIDDEN: that one is for something else.
 */
int api_authorize(const struct conn *c, const struct request *r);

/* Is it a call that publishes? */
bool api_publishes(const struct request *r);

/*
 * May whoever sent this publish so many events more by now? If not, it gets a
 * 429 with these words, and that counts as LIMIT_PUBLISH_RATE.
 */
bool api_paces(struct worker *w, const struct request *r, size_t events);
#define API_TOO_FAST "This is above publish-rate: slow down."

/*
 * The channel of that name for publishing; a reference. As channels_get: a
 * refusal for SW_ELIMIT counts as LIMIT_CHANNELS.
 */
int api_channel(struct worker *w, struct str name, struct channel **out);

/*
 * How many things are asked for: `limit`, or `fallback` without it, and `max`
 * at most. False: it was refused.
 */
bool api_read_limit(
    struct exchange *x, uint64_t fallback, uint64_t max, uint64_t *out);

/* The reply is a list, and whole, unless memory ran out. */
void api_answer_list(struct exchange *x);

const char *durability_name(enum durability d);

#endif
