#include "proxy/drain.h"

#include <sys/socket.h>

#include "proxy/backend/proxy.h"
#include "proxy/bridge/asking.h"
#include "proxy/edge/handshake.h"
#include "proxy/edge/look.h"
#include "proxy/edge/preface.h"
#include "proxy/http/http.h"
#include "proxy/http/relay.h"
#include "proxy/publish/publish.h"
#include "proxy/sessions/session_home.h"
#include "proxy/stream/event_stream.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/subscriber.h"
#include "proxy/stream/websocket.h"
#include "proxy/worker.h"

enum { TICK_MS = 20 };

static bool
is_stream(const struct conn *c)
{
	return (c->role == &websocket_role || c->role == &sse_role) &&
	    c->owner != NULL;
}

static uint64_t
count_streams(struct worker *w)
{
	uint64_t n = 0;

	list_each (node, &w->conns)
		n += is_stream(container_of(node, struct conn, node));
	return n;
}

/* Streams that are left after part of the time has passed. */
static uint64_t
streams_left(const struct worker *w)
{
	uint64_t time = w->conf->drain_time_ms;
	uint64_t passed = loop_now_ms(w->loop) - w->drain.began_ms;

	return passed >= time ? 0 : w->drain.streams * (time - passed) / time;
}

static void
end_streams(struct worker *w, uint64_t left)
{
	uint64_t now = count_streams(w);

	list_each_safe (node, after, &w->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (now <= left)
			return;
		if (!is_stream(c))
			continue;
		subscriber_close(c->owner, CLOSE_RESTART);
		now--;
	}
}

/* Has it sent what nobody has looked at? Then it will be, in this turn. */
static bool
has_unread(const struct conn *c)
{
	int fd = c->io.fd >= 0 ? c->io.fd : c->lent_fd;
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Nothing was asked by it that is still to be answered. */
static bool
is_idle(const struct conn *c)
{
	if (c->role == &look_role)
		return c->answers == 0 && c->in == NULL &&
		    (c->in_head || !has_unread(c));
	if (c->role == &http_role)
		return !http_busy(c->owner) && !has_unread(c);
	if (c->role == &relay_role)
		return !relay_busy(c) && !has_unread(c);
	if (c->role == &preface_role)
		return !has_unread(c);
	return c->role == &handshake_role;
}

/*
 * May idle connections end? A client that asks and asks does not know yet, and
 * its next request would be lost with the connection: for a tenth of the time
 * such ones are answered, and told with that answer.
 */
static bool
idle_may_end(const struct worker *w)
{
	return loop_now_ms(w->loop) - w->drain.began_ms >=
	    w->conf->drain_time_ms / 10;
}

/* Polls that wait are answered; idle connections need nothing more. */
static void
end_others(struct worker *w)
{
	bool idle_too = idle_may_end(w);

	list_each_safe (node, after, &w->conns) {
		struct conn *c = container_of(node, struct conn, node);

		if (c->role == &poll_role)
			poll_release(c->owner);
		else if (c->role == &asking_role)
			asking_end(c);
		else if (c->role == &proxy_role)
			proxy_drain(c);
		else if (idle_too && is_idle(c) && c->role == &look_role)
			conn_linger(c);
		else if (idle_too && is_idle(c))
			conn_close(c);
	}
}

static void
tick(struct timer *t)
{
	struct drain *d = container_of(t, struct drain, tick);
	struct worker *w = container_of(d, struct worker, drain);

	/* Answers that wait for the turn's end: who has them is not idle. */
	publish_flush(w);
	end_streams(w, streams_left(w));
	end_others(w);
	if (session_home_end(w) && list_empty(&w->conns))
		atomic_store(&d->done, true);
	loop_set_timer(w->loop, t, loop_now_ms(w->loop) + TICK_MS);
}

static void
begin(struct task *t)
{
	struct drain *d = container_of(t, struct drain, task);
	struct worker *w = container_of(d, struct worker, drain);

	if (w->draining)
		return;
	w->draining = true;
	worker_close_listeners(w);
	d->began_ms = loop_now_ms(w->loop);
	d->streams = count_streams(w);
	tick(&d->tick);
}

void
drain_init(struct worker *w)
{
	w->drain.task.run = begin;
	timer_init(&w->drain.tick, tick);
}

void
drain_begin(struct worker *w)
{
	loop_post(w->loop, &w->drain.task);
}

bool
drain_done(const struct worker *w)
{
	return atomic_load(&w->drain.done);
}
