#ifndef SPILLWAY_PROXY_STREAM_POLL_H
#define SPILLWAY_PROXY_STREAM_POLL_H

#include "proxy/stream/subscriber.h"

/*
 * Long and short polls: one file, two rows. A poll is answered with what lies
 * behind its cursor; a long one that has nothing yet waits for it.
 */

extern const char poll_headers[]; /* of answers in JSON */

/* The last answer that was made: polls that wait at one place get the same. */
struct poll_cache;
struct poll_cache *poll_cache_new(void);
void poll_cache_free(struct poll_cache *pc);

/*
 * The links of the subscriber stand where the request wants them: answer it, or
 * let it wait. `last` above 0: it asked for the newest so many.
 */
void poll_begin(
    struct subscriber *s, const struct stream_request *req, bool keep_alive);

void poll_wake(struct subscriber *s);
void poll_replayed(struct subscriber *s, struct replay *r);
/* It is about to be closed: tell the client why, if there is a reason. */
bool poll_farewell(struct subscriber *s, enum close_why why);
/* Answer now, with whatever there is: we are shutting down. */
void poll_release(struct subscriber *s);

extern const struct conn_role poll_role;

#endif
