#include "proxy/compare/secure.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "proxy/base/err.h"

struct secure_context {
	SSL_CTX *ssl;
};

struct secure {
	SSL *ssl;
	bool waits_to_write;
};

static const char *
reason(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text == NULL ? "no reason given" : text;
}

static int
complain(struct buf *why, const char *what)
{
	buf_printf(why, "%s: %s", what, reason());
	return SW_EINVAL;
}

/* Who we are, and whom we trust. */
static int
set_up(SSL_CTX *ssl, const struct secure_settings *s, struct buf *why)
{
	static const unsigned char http[] = "\x08http/1.1";
	const char *key = s->key != NULL ? s->key : s->certificate;

	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_mode(ssl,
	    SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_protos(ssl, http, sizeof(http) - 1);
	if (s->certificate != NULL &&
	    SSL_CTX_use_certificate_chain_file(ssl, s->certificate) != 1)
		return complain(why, s->certificate);
	if (key != NULL &&
	    SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1)
		return complain(why, key);
	if (s->trusting)
		return SW_OK;
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (s->authorities == NULL)
		return SSL_CTX_set_default_verify_paths(ssl) == 1 ?
		    SW_OK :
		    complain(why, "the system's certificates");
	return SSL_CTX_load_verify_locations(ssl, s->authorities, NULL) == 1 ?
	    SW_OK :
	    complain(why, s->authorities);
}

int
secure_context_new(struct secure_context **out,
    const struct secure_settings *settings, struct buf *why)
{
	struct secure_context *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return SW_ENOMEM;
	ERR_clear_error();
	c->ssl = SSL_CTX_new(TLS_client_method());
	err = c->ssl == NULL ? SW_ENOMEM : set_up(c->ssl, settings, why);
	if (err != SW_OK) {
		secure_context_free(c);
		return err;
	}
	*out = c;
	return SW_OK;
}

void
secure_context_free(struct secure_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ssl);
	free(c);
}

/* A certificate is for a name, or for an address (RFC 9525 6). */
static bool
expect(SSL *ssl, const char *host)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, host, &address) == 1 ||
	    inet_pton(AF_INET6, host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(
			   SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, host) == 1 &&
	    SSL_set_tlsext_host_name(ssl, host) == 1;
}

int
secure_new(
    struct secure **out, struct secure_context *c, int fd, const char *host)
{
	struct secure *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SW_ENOMEM;
	s->ssl = SSL_new(c->ssl);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, fd) != 1 ||
	    !expect(s->ssl, host)) {
		secure_free(s);
		return SW_ENOMEM;
	}
	SSL_set_connect_state(s->ssl);
	*out = s;
	return SW_OK;
}

void
secure_free(struct secure *s)
{
	if (s == NULL)
		return;
	if (s->ssl != NULL && SSL_is_init_finished(s->ssl))
		SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	free(s);
}

/* What became of a call that did not succeed. */
static int
judge(struct secure *s, int result)
{
	int error = SSL_get_error(s->ssl, result);

	s->waits_to_write = error == SSL_ERROR_WANT_WRITE;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return SW_EAGAIN;
	return error == SSL_ERROR_ZERO_RETURN ? 0 : SW_EIO;
}

int
secure_handshake(struct secure *s, struct buf *why)
{
	long verdict;
	int result, err;

	ERR_clear_error();
	result = SSL_do_handshake(s->ssl);
	if (result == 1) {
		s->waits_to_write = false;
		return SW_OK;
	}
	err = judge(s, result);
	if (err == SW_EAGAIN)
		return err;
	verdict = SSL_get_verify_result(s->ssl);
	if (verdict != X509_V_OK)
		buf_printf(why,
		    "its certificate is not trusted (%s): give "
		    "--ca-file FILE, or --insecure",
		    X509_verify_cert_error_string(verdict));
	else
		buf_printf(why, "no TLS: %s", reason());
	return SW_EPROTO;
}

static int
length(size_t n)
{
	return n > INT_MAX ? INT_MAX : (int)n;
}

ssize_t
secure_read(struct secure *s, void *out, size_t n)
{
	int got;

	ERR_clear_error();
	got = SSL_read(s->ssl, out, length(n));
	return got > 0 ? got : judge(s, got);
}

ssize_t
secure_write(struct secure *s, const void *bytes, size_t n)
{
	int sent;

	ERR_clear_error();
	sent = SSL_write(s->ssl, bytes, length(n));
	return sent > 0 ? sent : judge(s, sent);
}

bool
secure_waits_to_write(const struct secure *s)
{
	return s->waits_to_write;
}
