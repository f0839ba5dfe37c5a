#ifndef SPILLWAY_TESTS_PROXY_TLS_TLS_PEER_H
#define SPILLWAY_TESTS_PROXY_TLS_TLS_PEER_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/tls/tls.h"
#include "tests/scratch.h"
#include "tests/suite.h"

/*
 * Both ends of a connection: ours, and a client of OpenSSL's; and certificates,
 * made with the openssl command.
 */

/* A configuration with certificates, as much of it as TLS looks at. */
struct wanted {
	struct conf conf;
	char *certificates[8], *keys[8];
};

static inline void
wanted_init(struct wanted *w)
{
	memset(w, 0, sizeof(*w));
	w->conf.tls_certificate = w->certificates;
	w->conf.tls_key = w->keys;
	w->conf.tls_session_age_ms = 1000;
}

static inline void
wanted_fini(struct wanted *w)
{
	for (size_t i = 0; i < 8; i++) {
		free(w->certificates[i]);
		free(w->keys[i]);
	}
}

/* `key`: the algorithm, as openssl req -newkey takes it; `names`: with DNS: */
static inline void
make_certificate(const char *name, const char *key, const char *names)
{
	char command[2048];

	snprintf(command, sizeof(command),
	    "openssl req -x509 -newkey %s -nodes -keyout %s/%s.key -out "
	    "%s/%s.pem -days 3 -subj /O=%s %s%s >/dev/null 2>&1",
	    key, scratch_dir, name, scratch_dir, name, name,
	    *names == '\0' ? "" : "-addext subjectAltName=", names);
	ck_assert_msg(system(command) == 0, "%s", command);
}

#define EC "ec -pkeyopt ec_paramgen_curve:P-256"

static inline void
want_files(struct wanted *w, const char *certificate, const char *key)
{
	char path[512];
	size_t i = w->conf.tls_certificate_count++;

	snprintf(path, sizeof(path), "%s/%s", scratch_dir, certificate);
	w->certificates[i] = strdup(path);
	if (key == NULL)
		return;
	snprintf(path, sizeof(path), "%s/%s", scratch_dir, key);
	w->keys[i] = strdup(path);
	w->conf.tls_key_count++;
}

/* Make one, and use it. */
static inline void
want(struct wanted *w, const char *name, const char *key, const char *names)
{
	char certificate[64], file[64];

	make_certificate(name, key, names);
	snprintf(certificate, sizeof(certificate), "%s.pem", name);
	snprintf(file, sizeof(file), "%s.key", name);
	want_files(w, certificate, file);
}

static inline struct tls_context *
context_of(struct wanted *w, struct tls_tickets *tickets)
{
	struct tls_context *t = NULL;
	struct buf why;

	buf_init(&why, 4096);
	ck_assert_msg(tls_context_new(&t, &w->conf, tickets, &why) == SW_OK,
	    "%.*s", STR_ARG(buf_str(&why)));
	buf_fini(&why);
	return t;
}

/* What is wrong with it; borrowed until the next call. */
static inline const char *
fault_of(struct wanted *w)
{
	static char text[4096];
	struct tls_context *t = NULL;
	struct buf why;

	buf_init(&why, sizeof(text) - 1);
	ck_assert_int_eq(tls_context_new(&t, &w->conf, NULL, &why), SW_EINVAL);
	snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_str(&why)));
	buf_fini(&why);
	return text;
}

struct pair {
	int ours, theirs;
	struct tls *tls;
	SSL_CTX *client;
	SSL *ssl;
};

/* What a client says of itself; all may be NULL or 0. */
struct offer {
	const char *name;
	const char *signatures; /* as SSL_CTX_set1_sigalgs_list takes them */
	const char *protocols;  /* ALPN, with lengths */
	int version;
	SSL_SESSION *session;
	int buffer; /* of the server's socket */
};

static inline void
pair_open(struct pair *p, struct tls_context *t, const struct offer *o,
    uint64_t now_ms)
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	p->ours = fds[0];
	p->theirs = fds[1];
	if (o->buffer > 0)
		setsockopt(p->ours, SOL_SOCKET, SO_SNDBUF, &o->buffer,
		    sizeof(o->buffer));
	ck_assert_int_eq(tls_open(&p->tls, t, false, p->ours, now_ms), SW_OK);
	p->client = SSL_CTX_new(TLS_client_method());
	if (o->signatures != NULL)
		ck_assert_int_eq(
		    SSL_CTX_set1_sigalgs_list(p->client, o->signatures), 1);
	if (o->version != 0) {
		SSL_CTX_set_min_proto_version(p->client, o->version);
		SSL_CTX_set_max_proto_version(p->client, o->version);
	}
	if (o->protocols != NULL)
		SSL_CTX_set_alpn_protos(p->client,
		    (const unsigned char *)o->protocols,
		    (unsigned)strlen(o->protocols));
	p->ssl = SSL_new(p->client);
	ck_assert_ptr_nonnull(p->ssl);
	SSL_set_fd(p->ssl, p->theirs);
	if (o->name != NULL)
		SSL_set_tlsext_host_name(p->ssl, o->name);
	if (o->session != NULL)
		SSL_set_session(p->ssl, o->session);
	SSL_set_connect_state(p->ssl);
}

static inline void
pair_close(struct pair *p)
{
	tls_free(p->tls);
	SSL_free(p->ssl);
	SSL_CTX_free(p->client);
	close(p->ours);
	close(p->theirs);
}

/* Until our end knows how it ends; see tls_handshake. */
static inline int
pair_shake(struct pair *p)
{
	int err = SW_EAGAIN;

	for (int i = 0; i < 100 && err == SW_EAGAIN; i++) {
		SSL_do_handshake(p->ssl);
		ERR_clear_error();
		err = tls_handshake(p->tls);
	}
	/* The client may have the last word to read yet. */
	if (err == SW_OK)
		ck_assert_int_eq(SSL_do_handshake(p->ssl), 1);
	return err;
}

/* Open, and done with the handshake. */
static inline void
pair_make(struct pair *p, struct tls_context *t, const struct offer *o)
{
	pair_open(p, t, o, 1);
	ck_assert_int_eq(pair_shake(p), SW_OK);
}

#endif
