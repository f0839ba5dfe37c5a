#include "proxy/stream/remainder.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/base/err.h"
#include "proxy/worker.h"

struct remainder {
	struct event *event; /* a reference */
	enum form form;
	uint32_t sent;
	struct transport_metrics *metrics;
};

struct remainder *
remainder_of(const struct subscriber *s)
{
	struct remainder *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	r->event = event_ref(s->partial);
	r->form = (enum form)s->form;
	r->sent = s->partial_sent;
	r->metrics = subscriber_metrics(s);
	return r;
}

static void
remainder_end(struct conn *c)
{
	struct remainder *r = c->owner;

	c->owner = NULL;
	event_unref(r->event);
	free(r);
}

static void
arm(struct conn *c)
{
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->stall_timeout_ms);
}

static void
write_on(struct conn *c)
{
	struct remainder *r = c->owner;
	struct iovec rest[ENCODING_PIECES];
	/* Begun, so it was made; and it stays with the event. */
	const struct encoding *form =
	    codec_form(&c->worker->codec, r->event, r->form);
	ssize_t sent;

	sent = form == NULL ?
	    SW_ENOMEM :
	    conn_write(
		c, rest, event_form_pieces(r->event, form, r->sent, rest));
	if (sent < 0) {
		conn_close(c);
		return;
	}
	r->sent += (uint32_t)sent;
	if (r->sent < form->len) {
		if (sent > 0)
			arm(c);
		return;
	}
	conn_count_events(c, r->metrics, 1, r->event->size, form->len);
	remainder_end(c);
	conn_linger_for_answer(c);
}

static void
remainder_ready(struct conn *c, uint32_t events)
{
	if ((events & EPOLLOUT) != 0)
		write_on(c);
}

static void
remainder_timeout(struct conn *c)
{
	METRIC_LIMIT(c->worker, LIMIT_STALL_TIMEOUT);
	conn_close(c);
}

static const struct conn_role remainder_role = {
	.name = "remainder",
	.ready = remainder_ready,
	.timeout = remainder_timeout,
	.end = remainder_end,
};

void
remainder_write(struct remainder *r, struct conn *c)
{
	conn_set_role(c, &remainder_role, r);
	arm(c);
	if (!c->blocked)
		write_on(c);
}
