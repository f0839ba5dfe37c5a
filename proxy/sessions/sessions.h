#ifndef SPILLWAY_PROXY_SESSIONS_SESSIONS_H
#define SPILLWAY_PROXY_SESSIONS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/address.h"
#include "proxy/base/channel.h"
#include "proxy/base/digest.h"
#include "proxy/base/str.h"

/*
 * Sessions: what is known of a client from one request to the next, because all
 * of them carry the same `session`. A session has what the backend granted, and
 * the channels that its polls listen to. Each request under way holds it, and
 * it lives session-lease beyond the last of them, and so does each of its
 * channels.
 *
 * Who it is belongs to its name: the same `session` with another user is
 * another session.
 *
 * Requests come to any worker, so all of this is under one lock, and any thread
 * may call what follows. What has changed is told by one worker, the session's
 * home (session_home.h), which hears of it by sessions_wake.
 */
struct grant;
struct granted;
struct link;
struct sessions;
struct session;

/*
 * `homes` is the number of workers; `wake` is called, from any thread and
 * without the lock, when one of them has something to tell.
 */
int sessions_new(struct sessions **out, size_t homes,
    void (*wake)(void *ctx, size_t home), void *ctx);
/* All are forgotten; nobody holds one any more. Accepts NULL. */
void sessions_free(struct sessions *ss);
/* What applies from now on. */
void sessions_configure(
    struct sessions *ss, uint64_t lease_ms, size_t max, size_t channels_max);
size_t sessions_count(struct sessions *ss);

/*
 * Whom the backend gave its grant to: the session, the user of the token, the
 * headers that it was shown, and the address. Who has guessed a session has
 * nothing of it without these.
 */
struct credentials {
	uint8_t code[HMAC_SIZE];
};

int credentials_make(struct credentials *out, struct str session,
    struct str user, struct str forwarded, const struct address *peer);

/*
 * Take what was granted to them, and has not expired, into `*g`, made if it is
 * NULL. SW_ENOENT if there is nothing; SW_ENOMEM.
 */
int sessions_recall(struct sessions *ss, const struct credentials *who,
    uint64_t unix_ms, struct grant **g);
/*
 * The number of a session's connection; 0: there is no such session. That is a
 * request, too: its lease begins anew. One that the backend has named is found
 * by its credentials (or NULL) as long as it lives, even when what was granted
 * to it has expired.
 */
uint64_t sessions_touch(struct sessions *ss, struct str session,
    const struct grant *g, const struct credentials *who, uint64_t now_ms);

/* A request. All of it is borrowed. */
struct visit {
	struct str session;
	const struct grant *grant;
	const struct credentials *credentials; /* or NULL */
	bool asked; /* the backend, just now: the grant has its answer */
	const struct address *peer;
	const char *transport; /* a constant */
	struct str forwarded;
	bool bare; /* that is not read yet: one that needs it is SW_EAGAIN */
	const struct link *links; /* what it listens to; NULL: nothing here */
	/* The number that it gets if it is new; 0: one is made then. */
	uint64_t connection;
	uint64_t (*number)(void *ctx);
	void *ctx;
	size_t home; /* who tells of it, if it is new */
	uint64_t now_ms, unix_ms;
};

/*
 * It begins: the session is held until sessions_leave. SW_EBUSY, there are too
 * many sessions; SW_ELIMIT, this one has too many channels; SW_EAGAIN, it is a
 * new one, and the visit is bare; SW_ENOMEM.
 */
int sessions_enter(
    struct session **out, struct sessions *ss, const struct visit *v);
/* It ends, and still has its links. */
void sessions_leave(
    struct session *s, const struct link *links, uint64_t now_ms);

/*
 * A stream of the same session listens to these from now on, in the place of
 * its polls: they have left as soon as no request holds them, unless one comes.
 */
void sessions_replace(struct sessions *ss, struct str session,
    const struct grant *g, const struct link *links);

/*
 * End those of a user, or the one with that number; returns how many. One that
 * a request holds ends with it, and no other request finds it.
 */
size_t sessions_kick_user(struct sessions *ss, struct str user);
size_t sessions_kick(struct sessions *ss, uint64_t connection);
/*
 * End those of a home, which is shutting down; returns how many it still has:
 * they are to be told, or held by a request.
 */
size_t sessions_end(struct sessions *ss, size_t home);
/* No loop turns any more: nobody is woken. */
void sessions_hush(struct sessions *ss);

/* Those who are in a channel. Called with the lock held. */
struct session_member {
	uint64_t connection, since_ms; /* Unix time */
	const char *transport;
	struct str session, user, meta; /* p is NULL: none */
};
typedef void sessions_visit_fn(void *ctx, const struct session_member *m);
void sessions_each(struct sessions *ss, struct str channel,
    sessions_visit_fn *visit, void *ctx);

/* The number of its connection. */
uint64_t session_connection(const struct session *s);

/* For homes. */

/* What has changed about a session. The texts and channels are its own. */
struct session_change {
	struct session *session; /* valid until its end is told */
	uint64_t connection;
	const char *transport;
	struct address peer;
	char *id, *user, *meta, *forwarded; /* or NULL, but for id */
	/* It listens to these now, first those that it did before... */
	struct channel **has;
	size_t has_count, joined; /* ...and this many of them are new */
	struct channel **left;
	bool *announced; /* for each that it left: see session_announced */
	size_t left_count;
	const char *ended; /* why it has ended; NULL: it has not */
};

/*
 * The next change of that home, if there is one by now. True, and then
 * session_change_fini; if that was the end of the session, it is gone with it.
 * On failure (memory ran out) it is false, and `*retry_ms` is when to ask
 * again; else when the next lease ends, or UINT64_MAX.
 */
bool sessions_next(struct sessions *ss, size_t home, uint64_t now_ms,
    struct session_change *out, uint64_t *retry_ms);
void session_change_fini(struct session_change *c);
/*
 * The channel, one that it has, has heard that it came: it is to hear that it
 * has left.
 */
void session_announced(struct session *s, const struct channel *c);

/* What its home keeps with it. */
struct bridge_lane;
struct bridge_lane **session_lane(struct session *s);
/* That of a session which ends with the gateway; NULL: there is none left. */
struct bridge_lane *sessions_take_lane(struct sessions *ss, size_t home);

#endif
