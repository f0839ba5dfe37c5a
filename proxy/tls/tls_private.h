#ifndef SPILLWAY_PROXY_TLS_TLS_PRIVATE_H
#define SPILLWAY_PROXY_TLS_TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "proxy/tls/tls.h"

/* What the files behind the door to OpenSSL's TLS share. */

/* The SSL of a new connection, with its context in hand. */
SSL *tls_context_begin(struct tls_context *t, bool api, uint64_t now_ms);

/* Give out tickets and take them back with these keys; see tls_tickets.c. */
int tls_tickets_use(struct tls_tickets *t, SSL_CTX *ctx);

/* Time passes: new keys when the newest are `age_ms` old. */
void tls_tickets_turn(struct tls_tickets *t, uint64_t now_ms, uint64_t age_ms);

/* OpenSSL's words for what failed last in this thread. */
const char *tls_error(void);

#endif
