#ifndef SPILLWAY_PROXY_TLS_TLS_STAPLE_H
#define SPILLWAY_PROXY_TLS_TLS_STAPLE_H

#include <openssl/x509.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/tls/tls.h"

/*
 * What the authority says of a certificate, sent along with it so that clients
 * need not ask there (OCSP stapling, RFC 6066 8 and RFC 6960).
 */
struct tls_staple {
	unsigned char *bytes; /* NULL: none that is of use */
	size_t len;
	int64_t until; /* Unix time; INT64_MAX if it does not say */
	enum tls_staple_state state;
};

/* Read a response about that certificate; without a file there is none. */
void tls_staple_read(
    struct tls_staple *s, const char *path, const X509 *certificate);
void tls_staple_free(struct tls_staple *s);

/* A copy that is OpenSSL's to free, or NULL: there is nothing to be said. */
unsigned char *tls_staple_copy(const struct tls_staple *s);

#endif
