#ifndef SPILLWAY_PROXY_TLS_TLS_H
#define SPILLWAY_PROXY_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "conf/conf.h"
#include "proxy/base/buf.h"

/*
 * The door to OpenSSL's TLS: certificates, and connections that are encrypted.
 * Nothing here blocks; what would is SW_EAGAIN, and the descriptor tells when
 * to go on.
 */

/*
 * The keys of session tickets. They are made here, never leave memory, and
 * outlive the certificates, so that sessions outlive a reload. Any thread.
 */
struct tls_tickets;

int tls_tickets_new(struct tls_tickets **out);
void tls_tickets_free(struct tls_tickets *t);

/*
 * Certificates with their keys, and how TLS is to be spoken. Fixed once made
 * and shared by counting: connections hold the one they began with. Any thread.
 */
struct tls_context;

/*
 * As the configuration says. The tickets are borrowed for as long as there are
 * connections; NULL: sessions are not resumed. SW_EINVAL when something is
 * wrong with a file: what, and what to do, is appended to `why`. SW_ENOMEM.
 */
int tls_context_new(struct tls_context **out, const struct conf *conf,
    struct tls_tickets *tickets, struct buf *why);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t); /* accepts NULL */

/* What tls-ocsp has about a certificate. */
enum tls_staple_state {
	TLS_STAPLE_NONE, /* there is none */
	TLS_STAPLE_GOOD, /* it is sent; the others are not */
	TLS_STAPLE_BAD,  /* revoked, or unknown to the authority */
	TLS_STAPLE_OUTDATED,
	TLS_STAPLE_FOREIGN,    /* about other certificates */
	TLS_STAPLE_UNREADABLE, /* no response in DER that says anything */
};

/* For the log, of certificate `i`; false: there are no more. */
struct tls_certificate_info {
	const char *path; /* borrowed from the context */
	const char *kind; /* RSA, ECDSA... */
	char names[256];  /* the DNS names, as far as there is room */
	int64_t expires;  /* Unix time */
	enum tls_staple_state staple;
};
bool tls_certificate_describe(
    const struct tls_context *t, size_t i, struct tls_certificate_info *out);

/* One connection, in one thread. */
struct tls;

/* Does a client that begins with this byte speak TLS? */
static inline bool
tls_begins_with(uint8_t first)
{
	return first == 0x16; /* RFC 8446 5.1: a handshake record */
}

/*
 * The server's side on a socket, which stays the caller's, and open for longer
 * than this. With `api` the client needs a certificate, if api-client-ca says
 * so. `now_ms` is what tickets age by.
 */
int tls_open(struct tls **out, struct tls_context *context, bool api, int fd,
    uint64_t now_ms);
/* Without a goodbye. Accepts NULL. */
void tls_free(struct tls *t);

/*
 * Go on with the handshake: SW_OK when it is done, SW_EAGAIN, SW_ECLOSED when
 * the peer left, SW_EPROTO when it failed; the peer was told then.
 */
int tls_handshake(struct tls *t);
/* Why it failed: a few words of OpenSSL's. */
const char *tls_failure(const struct tls *t);
/* Was an earlier session gone on with? */
bool tls_resumed(const struct tls *t);
/* "TLSv1.3" */
const char *tls_version_name(const struct tls *t);

/*
 * Read what is there: a count, 0 at the end of the stream, SW_EAGAIN, or
 * SW_ECLOSED. `*more`: there may be more at once; else an edge will tell.
 */
ssize_t tls_read(struct tls *t, void *p, size_t n, bool *more);

/*
 * Write as much as the socket takes: the count, or SW_ECLOSED. What a record
 * was begun with counts as written, and is held until the socket takes it
 * (tls_holds); the next call, be it with nothing, goes on with that first.
 */
ssize_t tls_write(struct tls *t, const struct iovec *iov, int n);
bool tls_holds(const struct tls *t);

/* The kernel encrypts what is written: write to the socket itself. */
bool tls_in_kernel(const struct tls *t);

/*
 * Say that nothing more comes (close_notify), if that can still be said: SW_OK
 * or SW_EAGAIN.
 */
int tls_goodbye(struct tls *t);

/*
 * What epoll told, as it concerns the connection: TLS may have to read before
 * it can write, and the other way round.
 */
uint32_t tls_events(struct tls *t, uint32_t events);

#endif
