#ifndef SPILLWAY_PROXY_TOKEN_H
#define SPILLWAY_PROXY_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/base/str.h"

/*
 * Tokens that clients carry: JSON Web Tokens (RFC 7519) in the compact form,
 * signed with one of the configured keys. What a token allows becomes a grant.
 */
enum {
	TOKEN_MAX = 8192,
	TOKEN_USER_MAX = 255,
};

/* Patterns of channels, as in the blocks of the configuration. */
struct patterns {
	char **items;
	size_t count;
};

struct grant {
	char *user;          /* sub, or NULL */
	uint64_t expires_ms; /* Unix time, with the leeway; 0: never */
	struct patterns subscribe, send;
};

/*
 * Check a token at that Unix time: its form, its signature, its claims. The
 * grant is the caller's. SW_EAUTH with a sentence in `*why`, which has nothing
 * of the token in it; SW_ENOMEM.
 */
int token_read(struct grant **out, const struct conf *conf, struct str token,
    uint64_t now_ms, const char **why);
void grant_free(struct grant *g); /* accepts NULL */

bool patterns_match(const struct patterns *p, struct str channel);

/*
 * What follows the signature: the claims, as the JSON that they are. For
 * token_read, and for tests, which have no key.
 */
int token_claims(struct grant **out, const struct conf *conf, struct str json,
    uint64_t now_ms, const char **why);

#endif
