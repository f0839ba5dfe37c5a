#include "conf/api_token.h"

#include <stdlib.h>

#include "conf/secret.h"

/* Whoever administers may do everything. */
static const struct scope {
	const char *name;
	enum api_scope scope;
	unsigned allows;
} scopes[] = {
	{ "publish", API_PUBLISH, API_PUBLISH },
	{ "read", API_READ, API_READ },
	{ "admin", API_ADMIN, API_ALL },
};

enum { TOKEN_MIN = 16 };

enum { SCOPES = sizeof(scopes) / sizeof(scopes[0]) };

int
api_token_read(struct api_token *out, struct str text, struct buf *advice)
{
	struct str rest = text, name;

	out->scopes = API_ALL;
	/* A token of its own may have a colon in it, too. */
	str_cut(&rest, ':', &name);
	for (size_t i = 0; i < SCOPES && rest.p != NULL; i++)
		if (str_is(name, scopes[i].name)) {
			out->scopes = scopes[i].allows;
			text = rest;
		}
	return secret_resolve(&out->secret, text, "token", TOKEN_MIN, advice);
}

void
api_token_fini(struct api_token *t)
{
	if (t->secret != NULL)
		explicit_bzero(t->secret, strlen(t->secret));
	free(t->secret);
	t->secret = NULL;
}

const char *
api_scope_name(enum api_scope scope)
{
	for (size_t i = 0; i < SCOPES; i++)
		if (scopes[i].scope == scope)
			return scopes[i].name;
	return "";
}
