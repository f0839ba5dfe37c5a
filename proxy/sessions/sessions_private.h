#ifndef SPILLWAY_PROXY_SESSIONS_SESSIONS_PRIVATE_H
#define SPILLWAY_PROXY_SESSIONS_SESSIONS_PRIVATE_H

#include <pthread.h>

#include "proxy/base/list.h"
#include "proxy/base/map.h"
#include "proxy/sessions/sessions.h"

/* What sessions.c and sessions_changes.c have in common, under the lock. */

/* A channel that sessions listen to. */
struct place {
	struct map_entry entry;
	struct channel *channel; /* a reference */
	struct list members;
};

/* A session in a channel; or, without a place, the session itself. */
struct member {
	struct session *session;
	struct place *place;
	struct list of_session, of_place;
	struct list resting; /* of its home, while no request holds it */
	uint32_t holders;
	uint64_t touched_ms; /* the end of its last request */
	bool told;           /* its home knows of it, */
	bool announced;      /* and has published that */
	bool replaced;       /* by a stream: it ends with its last request */
};

struct session {
	struct sessions *all;
	struct map_entry by_name;        /* while it lives */
	struct map_entry by_credentials; /* while it has any, likewise */
	bool credited;
	struct credentials credentials;
	struct granted *granted; /* by the backend, or NULL */
	struct str key;          /* id, and behind a NUL the user */
	struct str id, user;     /* parts of it */
	char *forwarded;         /* or NULL */
	const char *transport;
	struct address peer;
	uint64_t connection, since_ms;
	struct member self;
	struct list members;
	size_t member_count;
	size_t home;
	struct list node; /* of the home */
	struct list news; /* likewise, while there is something to tell */
	const char *ended;
	struct bridge_lane *lane; /* the home's alone */
	char text[];
};

struct home {
	struct list sessions, news;
	struct list resting; /* members, by touched_ms */
	size_t count;
};

struct sessions {
	pthread_mutex_t lock;
	void (*wake)(void *ctx, size_t home);
	void *ctx;
	uint64_t lease_ms;
	size_t max, channels_max;
	struct map by_name, by_credentials, places;
	size_t count, home_count;
	struct home homes[];
};

uint64_t member_due_ms(const struct member *m);
void member_remove(struct member *m);
struct member *member_find(const struct session *s, const struct channel *c);

/* No request finds it any more. */
void session_end(struct session *s, const char *why);
void session_has_news(struct session *s);
void session_free(struct session *s);

#endif
