#ifndef SPILLWAY_PROXY_BASE_SIGNATURE_H
#define SPILLWAY_PROXY_BASE_SIGNATURE_H

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * Signatures of tokens (RFC 7518 section 3). A key is made for one algorithm
 * and serves no other, so a public key can never be taken for a secret.
 */
enum signature_alg {
	SIGNATURE_HS256, /* HMAC: who checks could also sign */
	SIGNATURE_RS256,
	SIGNATURE_ES256,
	SIGNATURE_PS256,
	SIGNATURE_ALGS,
};

const char *signature_alg_name(enum signature_alg alg);
/* SW_ENOENT for any other, "none" among them. */
int signature_alg_find(enum signature_alg *out, struct str name);

/* RFC 7518 3.2: a secret is as long as the hash. */
enum { SIGNATURE_SECRET_MIN = 32 };

/* Fixed once made; any thread may use it. */
struct signature_key;

/*
 * A key that checks, from a secret (HS256), or from a public key in PEM.
 * SW_EINVAL, with what to give instead appended to `advice`; SW_ENOMEM.
 */
int signature_key_new(struct signature_key **out, enum signature_alg alg,
    struct str material, struct buf *advice);
/* A key that signs: from a secret, or from a private key in PEM. */
int signature_key_new_private(struct signature_key **out,
    enum signature_alg alg, struct str material, struct buf *advice);
void signature_key_free(struct signature_key *k); /* accepts NULL */

enum signature_alg signature_key_alg(const struct signature_key *k);

/* Is it this key's signature of the text? */
bool signature_verify(
    const struct signature_key *k, struct str text, struct str signature);

/* Append the signature of the text. SW_EIO if the key does not sign. */
int signature_make(
    struct buf *out, const struct signature_key *k, struct str text);

#endif
