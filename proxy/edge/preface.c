#include "proxy/edge/preface.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/network.h"
#include "proxy/edge/handshake.h"
#include "proxy/edge/listener.h"
#include "proxy/edge/look.h"
#include "proxy/gateway.h"
#include "proxy/worker.h"
#include "transports/proxy_header.h"

/* What a connection has until its header is there: it is the owner. */
struct preface {
	struct address hop; /* the load balancer */
	enum listener_kind kind;
};

static void
count(struct conn *c, enum preface_end how)
{
	METRIC_ADD(c->worker->metrics.preface_ends[how], 1);
}

static void
leave(struct conn *c)
{
	free(c->owner);
	c->owner = NULL;
}

static void
refuse(struct conn *c)
{
	const struct preface *p = c->owner;
	char hop[ADDRESS_TEXT];

	log_info("proxy header refused id=%" PRIu64 " hop=%s", c->id,
	    address_print(&p->hop, hop));
	count(c, PREFACE_WRONG);
	conn_close(c);
}

/* It is the client's connection now, within the client's limits. */
static bool
become(struct conn *c, const struct address *peer, bool tls)
{
	struct worker *w = c->worker;
	enum limit why;

	if (!gateway_identify(
		w->gateway, peer, tls, loop_now_ms(w->loop), &why)) {
		listener_refuse(w, why, peer);
		return false;
	}
	c->peer = *peer;
	return true;
}

static void
go_on(struct conn *c, const struct proxy_header *h)
{
	const struct preface *p = c->owner;
	struct address peer = h->told ? h->peer : p->hop;
	bool tls = listener_is_secure(p->kind);
	uint8_t header[PROXY_HEADER_MAX];

	/* It was looked at only: what is behind it stays in the socket. */
	if (conn_read(c, header, h->size, false) != (ssize_t)h->size) {
		conn_close(c);
		return;
	}
	if (!become(c, &peer, tls)) {
		count(c, PREFACE_LIMITED);
		conn_close(c);
		return;
	}
	count(c, PREFACE_OK);
	leave(c);
	if (!tls) {
		look_take(c);
		return;
	}
	handshake_take(c);
	/* What is there already, nothing will tell of. */
	if (!c->closed)
		c->role->ready(c, EPOLLIN);
}

static void
preface_ready(struct conn *c, uint32_t events)
{
	char bytes[PROXY_HEADER_MAX];
	struct proxy_header h;
	ssize_t n = conn_read(c, bytes, sizeof(bytes), true);

	(void)events;
	if (n == SW_EAGAIN)
		return;
	if (n <= 0) {
		count(c, PREFACE_LEFT);
		conn_close(c);
		return;
	}
	switch (proxy_header_parse(&h, (struct str){ bytes, (size_t)n })) {
	case PROXY_HEADER_OK:
		go_on(c, &h);
		break;
	case PROXY_HEADER_MORE:
		/* Of one that is cut off, the rest will not come. */
		if (c->half_open) {
			count(c, PREFACE_LEFT);
			conn_close(c);
		}
		break;
	case PROXY_HEADER_WRONG:
		refuse(c);
		break;
	}
}

static void
preface_timeout(struct conn *c)
{
	METRIC_LIMIT(c->worker, LIMIT_HEADER_TIMEOUT);
	count(c, PREFACE_LEFT);
	conn_close(c);
}

const struct conn_role preface_role = {
	.name = "preface",
	.ready = preface_ready,
	.timeout = preface_timeout,
	.end = leave,
};

bool
preface_expects(const struct conf *conf, const struct address *peer,
    enum listener_kind kind)
{
	return listener_within(kind) != LISTENER_API &&
	    networks_have(
		conf->proxy_protocol, conf->proxy_protocol_count, peer);
}

void
preface_begin(struct worker *w, int fd, const struct address *peer,
    enum listener_kind kind)
{
	const struct address nobody = { .family = 0 };
	struct preface *p;
	struct conn *c;

	if (conn_open(&c, w, fd, &nobody, listener_within(kind),
		&preface_role) != SW_OK) {
		gateway_dismiss(w->gateway, &nobody);
		return;
	}
	METRIC_ADD(w->metrics.accepted, 1);
	p = malloc(sizeof(*p));
	if (p == NULL) {
		conn_close(c);
		return;
	}
	*p = (struct preface){ *peer, kind };
	c->owner = p;
	conn_arm(c, loop_now_ms(w->loop) + w->conf->header_timeout_ms);
}
