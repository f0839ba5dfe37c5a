#ifndef SPILLWAY_CONF_API_TOKEN_H
#define SPILLWAY_CONF_API_TOKEN_H

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/* What the holder of a token of the API may do: one of these, or several. */
enum api_scope {
	API_PUBLISH = 1, /* events */
	API_READ = 2,    /* history, who is there, statistics, metrics */
	API_ADMIN = 4,   /* delete channels, end connections */
	API_ALL = API_PUBLISH | API_READ | API_ADMIN,
};

struct api_token {
	char *secret;
	unsigned scopes;
};

/*
 * Read a token as the configuration has it: the token, or file:/path, perhaps
 * with `publish:`, `read:` or `admin:` in front; without one it is for all.
 * SW_EINVAL, with what to write instead appended to `advice`; SW_ENOMEM.
 */
int api_token_read(struct api_token *out, struct str text, struct buf *advice);
void api_token_fini(struct api_token *t);

/* "publish", "read" or "admin". */
const char *api_scope_name(enum api_scope scope);

#endif
