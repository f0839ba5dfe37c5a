#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_CONNECT_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_CONNECT_H

#include "proxy/auth/token.h"
#include "proxy/base/address.h"
#include "proxy/bridge/bridge.h"

/*
 * Before a subscription is granted the backend is asked (spillway.connect),
 * where the channel says `bridge-connect`. A 2xx grants it; its body may be an
 * object, every member of which may be missing:
 *
 *   user      who it is, a text
 *   channels  what it may subscribe to: an array of patterns, or an object
 *             {"subscribe": [...], "send": [...]}; without it, what it asked
 *             for, and sending is as for anybody
 *   expires   when that ends, in ms of Unix time
 *   meta      any JSON, for those who ask who is there
 */
struct connect_ask {
	uint64_t connection;
	struct str transport;
	const struct address *peer;
	const struct grant *grant; /* of its token, or NULL */
	const struct str *channels;
	size_t channel_count;
	struct str session;
	struct str forwarded;     /* see bridge_forward_put */
	struct bridge_lane *lane; /* or NULL */
	bool leaves_will;         /* first; of a stream that has none yet */
	void (*answered)(void *owner, const struct bridge_answer *a);
	void *owner;
};

/* Is there a channel among them that the backend has yet to grant? */
bool bridge_connect_needed(const struct conf *conf, const struct grant *g,
    const struct str *channels, size_t count);

/* Is there one whose comers and goers the backend is told of? */
bool bridge_connect_is_told(
    const struct conf *conf, const struct str *channels, size_t count);

/* Ask, once the will is stored. As bridge_tell. */
int bridge_connect_ask(struct bridge *b, const struct connect_ask *ask);

/*
 * Take what it answered into `*g`, made if it is NULL. SW_OK, and then auth_may
 * says which channels it is for. Else the code of a refusal, with its sentence
 * in `*why` and its status in `*status`; borrowed from the answer.
 */
int bridge_connect_take(struct grant **g, const struct bridge_answer *a,
    const struct str *channels, size_t count, const char **why, int *status);

#endif
