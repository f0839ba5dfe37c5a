#ifndef SPILLWAY_PROXY_BASE_DIGEST_H
#define SPILLWAY_PROXY_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/* The door to libcrypto: digests, random bytes; and base64 (RFC 4648). */

enum { SHA1_SIZE = 20, HMAC_SIZE = 32 };

/*
 * Have OpenSSL made ready, at the start of the program: it does not survive it
 * if memory runs out meanwhile. SW_ENOMEM.
 */
int digest_start(void);

/* For the WebSocket handshake only (RFC 6455 4.2.2). SW_ENOMEM. */
int digest_sha1(uint8_t out[SHA1_SIZE], struct str data);

/*
 * HMAC with SHA-256 (RFC 2104) of the pieces, one behind the other. The key is
 * not empty. SW_ENOMEM.
 */
int digest_hmac(uint8_t out[HMAC_SIZE], struct str key,
    const struct str *pieces, size_t count);

/* From the system's generator; ends the program if there is none. */
void digest_random(void *out, size_t n);

/* Equal? In a time that depends on the lengths alone. */
bool digest_equal(struct str a, struct str b);

#define BASE64_LENGTH(n) (((n) + 2) / 3 * 4)

/* BASE64_LENGTH(n) characters at `out`, not terminated. */
void base64_encode(char *out, const void *bytes, size_t n);

/*
 * Append what `text` stands for. Strict: padded, no blanks, no other alphabet.
 * SW_EINVAL, or what buf_put returns.
 */
int base64_decode(struct buf *out, struct str text);

/*
 * The same in the alphabet of URLs and without padding (RFC 4648 5), as tokens
 * have it (RFC 7515 2).
 */
int base64url_encode(struct buf *out, struct str bytes);
int base64url_decode(struct buf *out, struct str text);

#endif
