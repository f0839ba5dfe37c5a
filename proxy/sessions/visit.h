#ifndef SPILLWAY_PROXY_SESSIONS_VISIT_H
#define SPILLWAY_PROXY_SESSIONS_VISIT_H

#include "proxy/auth/auth.h"
#include "proxy/stream/subscriber.h"

/*
 * A request that carries a session (sessions.h): a poll, which makes its client
 * one of those who are there, and an event stream, whose client may send what
 * the backend has granted it. WebSockets do without: they are there for
 * themselves.
 */

/*
 * A poll that carries none is offered one in its answer, if it matters to one
 * of its channels who is there. Once it has its links. SW_ENOMEM.
 */
int visit_offer(struct subscriber *s);

/*
 * What the backend has granted its session before, for these channels, becomes
 * part of the grant. SW_OK, also if there is nothing; SW_ENOMEM.
 */
int visit_recall(struct conn *c, const struct request *r, struct str session,
    const struct str *channels, size_t count, struct auth *auth);

/*
 * It has its links and its grant. `asked`: the backend, just now, as the
 * session with that number, if it is new (0: any). SW_EBUSY, max-sessions,
 * or SW_ELIMIT, channels-per-connection, where that matters, with a sentence in
 * `*why`; SW_ENOMEM.
 */
int visit_begin(struct subscriber *s, const struct request *r,
    struct str session, bool asked, uint64_t number, const char **why);
/*
 * A stream has come, with its links: it takes the place of what its client has
 * polled with the same session.
 */
void visit_replace(const struct subscriber *s);
/* It still has its links. */
void visit_end(struct subscriber *s);

/* The number of the session of another request; 0: there is none. */
uint64_t visit_connection(
    struct worker *w, struct str session, const struct grant *g);
/* The same of a poll that the backend is asked for, perhaps once more. */
uint64_t visit_asking(const struct conn *c, struct str session,
    const struct grant *g, struct str forwarded);

#endif
