#ifndef SPILLWAY_PROXY_AUTH_TOKEN_H
#define SPILLWAY_PROXY_AUTH_TOKEN_H

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

/* What the backend allows, see bridge_connect.h. */
struct granted {
	char *user;          /* or NULL */
	char *meta;          /* JSON, or NULL */
	uint64_t expires_ms; /* Unix time; 0: never */
	struct patterns subscribe, send;
};

struct grant {
	char *user;          /* sub, or NULL */
	uint64_t expires_ms; /* Unix time, with the leeway; 0: never */
	struct patterns subscribe, send;
	bool tokenless;          /* there was no token: see `granted` */
	struct granted *granted; /* or NULL: the backend was not asked */
};

/*
 * Check a token at that Unix time: its form, its signature, its claims. The
 * grant is the caller's. SW_EAUTH with a sentence in `*why`, which has nothing
 * of the token in it; SW_ENOMEM.
 */
int token_read(struct grant **out, const struct conf *conf, struct str token,
    uint64_t now_ms, const char **why);
void grant_free(struct grant *g);     /* accepts NULL */
void granted_free(struct granted *g); /* accepts NULL */
/*
 * Add the patterns of `more` to those of `g`; what else it says replaces what
 * `g` says. It is left empty. SW_ENOMEM: neither has changed.
 */
int granted_merge(struct granted *g, struct granted *more);
/* SW_ENOMEM. */
int granted_copy(struct granted **out, const struct granted *g);

/* Who it is: the backend knows better than the token. NULL: not known. */
const char *grant_user(const struct grant *g); /* accepts NULL */
/* When the first of the two ends; 0: never. */
uint64_t grant_expires_ms(const struct grant *g);

bool patterns_match(const struct patterns *p, struct str channel);
/*
 * Add those of a JSON array; p == NULL has none. SW_EINVAL if it is no array or
 * has anything else in it, SW_ENOMEM.
 */
int patterns_read(struct patterns *p, struct str list);
int patterns_add(struct patterns *p, struct str pattern);

/* What a raw string stands for; SW_EINVAL if it is above `max` or has NULs. */
int token_copy_string(char **out, struct str raw, size_t max);

/*
 * What follows the signature: the claims, as the JSON that they are. For
 * token_read, and for tests, which have no key.
 */
int token_claims(struct grant **out, const struct conf *conf, struct str json,
    uint64_t now_ms, const char **why);

#endif
