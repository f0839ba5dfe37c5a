#include "proxy/tls/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "proxy/base/err.h"
#include "proxy/tls/tls_private.h"

enum {
	/* What one record carries at most (RFC 8446 5.1). */
	RECORD = 16384,
	/* How often a client may change its keys. */
	KEY_UPDATES_MAX = 1000,
};

struct tls {
	SSL *ssl;
	struct tls_context *context;
	uint8_t *held; /* the record that was begun, or NULL */
	size_t held_len;
	const char *failure; /* static text, or NULL */
	bool broken;         /* OpenSSL says that nothing may follow */
	bool in_kernel;      /* the kernel encrypts */
	bool read_awaits_write, write_awaits_read;
	unsigned key_updates;
};

/*
 * A new key costs many times what asking for it does, and OpenSSL reads on by
 * itself behind each: so who does nothing else would hold us. It takes what
 * follows a goodbye for nothing, and that ends it.
 */
static void
on_message(int sent, int version, int type, const void *bytes, size_t n,
    SSL *ssl, void *arg)
{
	struct tls *t = arg;

	(void)version;
	if (sent || type != SSL3_RT_HANDSHAKE || n == 0 ||
	    *(const uint8_t *)bytes != SSL3_MT_KEY_UPDATE ||
	    ++t->key_updates <= KEY_UPDATES_MAX)
		return;
	t->broken = true;
	SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

int
tls_open(struct tls **out, struct tls_context *context, bool api, int fd,
    uint64_t now_ms)
{
	struct tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return SW_ENOMEM;
	t->context = tls_context_ref(context);
	t->ssl = tls_context_begin(context, api, now_ms);
	if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1) {
		ERR_clear_error();
		tls_free(t);
		return SW_ENOMEM;
	}
	SSL_set_msg_callback(t->ssl, on_message);
	SSL_set_msg_callback_arg(t->ssl, t);
	SSL_set_accept_state(t->ssl);
	*out = t;
	return SW_OK;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	tls_context_unref(t->context);
	free(t->held);
	free(t);
}

/*
 * What a call that gave nothing means; `awaits` is set when it needs the
 * direction that it is not about.
 */
static int
result_of(struct tls *t, int ret, int natural, bool *awaits)
{
	int what = SSL_get_error(t->ssl, ret);

	*awaits = false;
	if (what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE) {
		*awaits = what != natural;
		return SW_EAGAIN;
	}
	if (what == SSL_ERROR_ZERO_RETURN)
		return SW_ECLOSED;
	t->broken = true;
	if (what != SSL_ERROR_SSL)
		return SW_ECLOSED;
	t->failure = tls_error();
	ERR_clear_error();
	return SW_EPROTO;
}

int
tls_handshake(struct tls *t)
{
	bool awaits;
	int ret;

	ERR_clear_error();
	ret = SSL_accept(t->ssl);
	/* The socket is watched both ways, whatever it waits for. */
	if (ret != 1)
		return result_of(t, ret, SSL_ERROR_WANT_READ, &awaits);
	t->in_kernel = BIO_get_ktls_send(SSL_get_wbio(t->ssl));
	return SW_OK;
}

const char *
tls_failure(const struct tls *t)
{
	return t->failure == NULL ? "the peer left" : t->failure;
}

bool
tls_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

const char *
tls_version_name(const struct tls *t)
{
	return SSL_get_version(t->ssl);
}

ssize_t
tls_read(struct tls *t, void *p, size_t n, bool *more)
{
	size_t filled = 0, got;
	int err;

	*more = !t->broken;
	if (t->broken)
		return SW_ECLOSED;
	/* Record by record: a descriptor tells once of all that has come. */
	while (filled < n) {
		ERR_clear_error();
		if (SSL_read_ex(
			t->ssl, (uint8_t *)p + filled, n - filled, &got) == 1) {
			filled += got;
			continue;
		}
		err =
		    result_of(t, 0, SSL_ERROR_WANT_READ, &t->read_awaits_write);
		*more = err != SW_EAGAIN;
		/* The end will be told again, after what came before it. */
		if (filled > 0)
			break;
		if (err == SW_EAGAIN)
			return SW_EAGAIN;
		*more = false;
		return t->broken ? SW_ECLOSED : 0;
	}
	return (ssize_t)filled;
}

/* One record: SW_OK, SW_EAGAIN, SW_ECLOSED. */
static int
write_record(struct tls *t, const uint8_t *p, size_t n)
{
	size_t written;
	int err;

	ERR_clear_error();
	if (SSL_write_ex(t->ssl, p, n, &written) == 1) {
		assert(written == n); /* partial writes are not enabled */
		t->write_awaits_read = false;
		return SW_OK;
	}
	err = result_of(t, 0, SSL_ERROR_WANT_WRITE, &t->write_awaits_read);
	return err == SW_EAGAIN ? SW_EAGAIN : SW_ECLOSED;
}

/* Go on with the record that was begun. */
static int
write_held(struct tls *t)
{
	int err;

	if (t->held == NULL)
		return SW_OK;
	err = write_record(t, t->held, t->held_len);
	if (err != SW_EAGAIN) {
		free(t->held);
		t->held = NULL;
	}
	return err;
}

/*
 * The record is encrypted, and part of it may be out: nothing else can be
 * written before it, and OpenSSL wants to see the same bytes again. They stay
 * here, so that the caller may forget them.
 */
static int
hold(struct tls *t, const uint8_t *p, size_t n)
{
	t->held = malloc(n);
	if (t->held == NULL) {
		t->broken = true;
		return SW_ECLOSED;
	}
	memcpy(t->held, p, n);
	t->held_len = n;
	return SW_OK;
}

/* A place in a list of pieces. */
struct pieces {
	const struct iovec *iov, *end;
	size_t at; /* in the first */
};

/*
 * The next record's bytes: where they are, if they are in one piece, else
 * copied together.
 */
static size_t
next_record(struct pieces *from, uint8_t copy[RECORD], const uint8_t **out)
{
	size_t n = 0;

	while (n < RECORD && from->iov < from->end) {
		const uint8_t *p =
		    (const uint8_t *)from->iov->iov_base + from->at;
		size_t left = from->iov->iov_len - from->at;
		size_t take = left < RECORD - n ? left : RECORD - n;
		bool last = from->iov + 1 == from->end;

		from->at += take;
		if (take == left) {
			from->iov++;
			from->at = 0;
		}
		if (n == 0 && (take == RECORD || last)) {
			*out = p;
			return take;
		}
		if (take > 0)
			memcpy(copy + n, p, take);
		n += take;
	}
	*out = copy;
	return n;
}

ssize_t
tls_write(struct tls *t, const struct iovec *iov, int n)
{
	struct pieces from = { iov, iov + n, 0 };
	uint8_t copy[RECORD];
	const uint8_t *record;
	ssize_t taken = 0;
	size_t len;
	int err;

	if (t->broken)
		return SW_ECLOSED;
	if ((err = write_held(t)) != SW_OK)
		return err == SW_EAGAIN ? 0 : err;
	while ((len = next_record(&from, copy, &record)) > 0) {
		err = write_record(t, record, len);
		if (err == SW_ECLOSED)
			return err;
		taken += (ssize_t)len;
		if (err == SW_EAGAIN)
			return hold(t, record, len) == SW_OK ? taken :
							       SW_ECLOSED;
	}
	return taken;
}

bool
tls_holds(const struct tls *t)
{
	return t->held != NULL;
}

bool
tls_in_kernel(const struct tls *t)
{
	return t->in_kernel;
}

int
tls_goodbye(struct tls *t)
{
	bool awaits;
	int ret;

	if (t->broken || t->held != NULL || !SSL_is_init_finished(t->ssl))
		return SW_OK;
	ERR_clear_error();
	ret = SSL_shutdown(t->ssl);
	if (ret >= 0)
		return SW_OK; /* sent; the peer's own is not waited for */
	return result_of(t, ret, SSL_ERROR_WANT_WRITE, &awaits) == SW_EAGAIN ?
	    SW_EAGAIN :
	    SW_OK;
}

uint32_t
tls_events(struct tls *t, uint32_t events)
{
	if ((events & EPOLLOUT) != 0 && t->read_awaits_write) {
		t->read_awaits_write = false;
		events |= EPOLLIN;
	}
	if ((events & EPOLLIN) != 0 && t->write_awaits_read) {
		t->write_awaits_read = false;
		events |= EPOLLOUT;
	}
	return events;
}
