#ifndef SPILLWAY_CONF_TOKEN_KEY_H
#define SPILLWAY_CONF_TOKEN_KEY_H

#include "proxy/base/buf.h"
#include "proxy/base/signature.h"
#include "proxy/base/str.h"

/*
 * A key for tokens as a configuration names it:
 *
 *	HS256:file:/etc/spillway/token-key       the secret is its first line
 *	HS256:${TOKEN_KEY}                       the secret itself
 *	ES256:kid=2026:file:/etc/spillway/2026.pem
 */
struct token_key {
	struct signature_key *key;
	char *kid; /* or NULL: it has none */
};

enum { TOKEN_KID_MAX = 128 };

/*
 * Read the key, and the file that it is in. SW_EINVAL, with what to write
 * instead appended to `advice`, which never has a secret in it; SW_ENOMEM.
 */
int token_key_read(struct token_key *out, struct str text, struct buf *advice);
void token_key_fini(struct token_key *k);

/*
 * What a key is made of: the first line of a file with a secret, or all of one
 * in PEM. Appended to `out`; fails as above.
 */
int token_key_material(struct buf *out, enum signature_alg alg,
    struct str source, struct buf *advice);

#endif
