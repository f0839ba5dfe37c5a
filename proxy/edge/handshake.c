#include "proxy/edge/handshake.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/edge/look.h"
#include "proxy/gateway.h"
#include "proxy/http/response.h"
#include "proxy/tls/tls.h"
#include "proxy/worker.h"

/* What a connection has while its handshake is under way: it is the owner. */
struct handshake {
	struct list node; /* of the worker's, the oldest first */
	struct conn *conn;
};

/* It is no longer under way. */
static void
leave(struct conn *c)
{
	struct handshake *h = c->owner;

	if (h == NULL)
		return;
	c->owner = NULL;
	list_remove(&h->node);
	METRIC_ADD(c->worker->metrics.handshakes, -1);
	free(h);
}

static void
count(struct conn *c, enum handshake_end how)
{
	METRIC_ADD(c->worker->metrics.handshake_ends[how], 1);
}

static void
drop(struct conn *c, enum handshake_end how)
{
	count(c, how);
	conn_close(c);
}

static void
succeed(struct conn *c)
{
	count(c, tls_resumed(c->tls) ? HANDSHAKE_RESUMED : HANDSHAKE_FULL);
	leave(c);
	look_take(c);
}

/* The alert that says why has been sent: let it arrive. */
static void
fail(struct conn *c, const char *why)
{
	char peer[ADDRESS_TEXT];

	log_debug("tls handshake failed id=%" PRIu64 " peer=%s why=\"%s\"",
	    c->id, address_print(&c->peer, peer), why);
	count(c, HANDSHAKE_FAILED);
	leave(c);
	conn_linger(c);
}

/* Somebody has forgotten the s of https. */
static void
answer_plain(struct conn *c)
{
	struct buf out;

	count(c, HANDSHAKE_PLAIN);
	leave(c);
	buf_init(&out, 1 << 16);
	response_put_problem(&out, c->worker, 400,
	    "This port speaks TLS: the address begins with https or wss.",
	    false);
	conn_say_last(c, &out);
	buf_fini(&out);
}

/*
 * TLS, or something else? It is decided by the first byte, so that who says
 * nothing costs no more than a plain connection. True: go on.
 */
static bool
sniff(struct conn *c)
{
	struct worker *w = c->worker;
	uint8_t first;
	ssize_t n = conn_read(c, &first, 1, true);

	if (n == SW_EAGAIN)
		return false;
	if (n <= 0) {
		drop(c, HANDSHAKE_LEFT);
	} else if (tls_begins_with(first)) {
		if (tls_open(&c->tls, w->tls, c->listener == LISTENER_API,
			c->io.fd, loop_now_ms(w->loop)) == SW_OK)
			return true;
		drop(c, HANDSHAKE_FAILED);
	} else if (first >= 'A' && first <= 'Z') {
		answer_plain(c);
	} else {
		fail(c, "this is neither TLS nor HTTP");
	}
	return false;
}

static void
handshake_ready(struct conn *c, uint32_t events)
{
	(void)events;
	if (c->tls == NULL && !sniff(c))
		return;
	switch (tls_handshake(c->tls)) {
	case SW_OK:
		succeed(c);
		break;
	case SW_EAGAIN:
		break;
	case SW_EPROTO:
		fail(c, tls_failure(c->tls));
		break;
	default:
		drop(c, HANDSHAKE_LEFT);
		break;
	}
}

static void
handshake_timeout(struct conn *c)
{
	METRIC_LIMIT(c->worker, LIMIT_HANDSHAKE_TIMEOUT);
	drop(c, HANDSHAKE_TIMEOUT);
}

const struct conn_role handshake_role = {
	.name = "handshake",
	.ready = handshake_ready,
	.timeout = handshake_timeout,
	.end = leave,
};

/* This worker's part of what there may be in all. */
static int64_t
limit(const struct worker *w)
{
	uint64_t workers = gateway_worker_count(w->gateway);

	return (int64_t)((w->conf->tls_handshakes_max + workers - 1) / workers);
}

static void
drop_oldest(struct worker *w)
{
	struct handshake *oldest =
	    container_of(w->handshakes.next, struct handshake, node);

	METRIC_LIMIT(w, LIMIT_HANDSHAKES);
	drop(oldest->conn, HANDSHAKE_CROWDED);
}

void
handshake_take(struct conn *c)
{
	struct worker *w = c->worker;
	struct handshake *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		conn_close(c);
		return;
	}
	if (w->metrics.handshakes >= limit(w))
		drop_oldest(w);
	h->conn = c;
	conn_set_role(c, &handshake_role, h);
	list_append(&w->handshakes, &h->node);
	METRIC_ADD(w->metrics.handshakes, 1);
	conn_arm(c, loop_now_ms(w->loop) + w->conf->tls_handshake_timeout_ms);
}

void
handshake_begin(struct worker *w, int fd, const struct address *peer,
    enum listener_kind kind)
{
	struct conn *c;

	if (conn_open(&c, w, fd, peer, listener_within(kind),
		&handshake_role) != SW_OK) {
		gateway_dismiss(w->gateway, peer);
		return;
	}
	METRIC_ADD(w->metrics.accepted, 1);
	handshake_take(c);
}
