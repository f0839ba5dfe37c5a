#ifndef SPILLWAY_PROXY_AUTH_AUTH_H
#define SPILLWAY_PROXY_AUTH_AUTH_H

#include <stdbool.h>

#include "proxy/auth/token.h"
#include "transports/request.h"

/*
 * Who may do what: the token that a request carries, and what the channel asks
 * for. Without a token-key nobody needs one, and none is looked at.
 */
enum auth_action { AUTH_SUBSCRIBE, AUTH_SEND };

/* What was found out about who asks. */
struct auth {
	struct grant *grant; /* of a valid token; NULL: none */
	bool carried;        /* there was a token, valid or not */
	bool trusts_cookies; /* to be set before: one may carry it */
	const char *why;     /* a sentence for the client, after a failure */
};

/*
 * Take the token out of the request and check it, at that Unix time. It is in
 * `Authorization: Bearer`, in the subprotocol `bearer.JWT` of a WebSocket, or,
 * where the configuration allows it, in `?token=` or a cookie; the first of
 * these counts. SW_OK also if there is none; SW_EAUTH, SW_ENOMEM.
 */
int auth_request(struct auth *a, const struct conf *conf,
    const struct request *r, uint64_t now_ms);
void auth_fini(struct auth *a);

/*
 * May the holder of the grant, or somebody without one, do so? SW_OK;
 * SW_EAUTH, a token is needed; SW_EFORBIDDEN, this one does not allow it. Then
 * with a sentence in `*why`. Where the backend decides who subscribes, it has
 * to be asked before (bridge_connect.h).
 */
int auth_may(const struct conf *conf, const struct grant *grant,
    enum auth_action action, struct str channel, const char **why);

/* May the backend be asked for that subscription? As auth_may. */
int auth_may_ask(const struct conf *conf, const struct grant *grant,
    struct str channel, const char **why);

/*
 * The value of WWW-Authenticate for a status (RFC 6750 3), or NULL. `carried`:
 * there was a token, which was not good enough.
 */
const char *auth_challenge(int status, bool carried);

#endif
