#include "proxy/stream/deliver.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/stream/gather.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/replay.h"
#include "proxy/worker.h"

/* The socket takes nothing: remember since when. */
void
deliver_stuck(struct subscriber *s, bool progress)
{
	if (s->stuck_ms != 0 && !progress)
		return;
	s->stuck_ms = subscriber_lived(s);
	subscriber_arm(s);
}

static void
note_unstuck(struct subscriber *s)
{
	if (s->stuck_ms == 0)
		return;
	s->stuck_ms = 0;
	subscriber_arm(s);
}

bool
deliver_is_over(struct subscriber *s)
{
	const struct hub *h = subscriber_hub(s);

	if (list_empty(&h->deleted))
		return false;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && hub_channel_is_over(h, l->channel)) {
			subscriber_close(s, CLOSE_DELETED);
			return true;
		}
	return false;
}

static void
count_events(
    struct subscriber *s, uint64_t events, uint64_t payload, uint64_t bytes)
{
	s->events += events;
	s->wrote_ms = subscriber_now(s);
	subscriber_hub(s)->delivered[s->transport->id] += events;
	conn_count_events(
	    s->conn, subscriber_metrics(s), events, payload, bytes);
}

/* The rest of an event that was begun. SW_OK when it is out. */
static int
finish_event(struct subscriber *s)
{
	struct event *e = s->partial;
	const struct encoding *form;
	struct iovec rest[ENCODING_PIECES];
	struct link *l;
	ssize_t sent;

	if (e == NULL)
		return SW_OK;
	if (s->conn->blocked)
		return SW_EAGAIN;
	/* Begun, so it was made; and it stays with the event. */
	form = codec_form(&subscriber_worker(s)->codec, e, (enum form)s->form);
	if (form == NULL)
		return SW_ENOMEM;
	sent = conn_write(
	    s->conn, rest, event_form_pieces(e, form, s->partial_sent, rest));
	if (sent < 0)
		return (int)sent;
	s->partial_sent += (uint32_t)sent;
	if (s->partial_sent < form->len) {
		deliver_stuck(s, sent > 0);
		return SW_EAGAIN;
	}
	/* A newer link to the channel stands where it was told to. */
	l = s->astray ? NULL : subscriber_find(s, e->channel);
	if (l != NULL && l->pos < e->id)
		l->pos = e->id;
	s->astray = false;
	count_events(s, 1, e->size, form->len);
	s->partial = NULL;
	event_unref(e);
	/* All of it was taken, but its last record is held. */
	if (s->conn->blocked)
		deliver_stuck(s, true);
	return SW_OK;
}

static uint64_t
payload_of(const struct gather *g, uint32_t count)
{
	uint64_t bytes = 0;

	if (count == g->count)
		return g->payload;
	for (uint32_t i = 0; i < count; i++)
		bytes += g->events[i]->size;
	return bytes;
}

/*
 * Write a gather: SW_OK if all of it went out, SW_EAGAIN if not. `l` is the
 * link that it belongs to; NULL: it names the owners itself.
 */
static int
write_gather(struct subscriber *s, struct gather *g, struct link *l)
{
	ssize_t sent = conn_write(s->conn, g->iov, g->iov_count);
	uint32_t whole;
	size_t start;

	if (sent < 0)
		return (int)sent;
	whole = g->written = gather_whole(g, (size_t)sent);
	start = gather_start(g, whole);
	if (whole > 0) {
		count_events(s, whole, payload_of(g, whole), start);
		if (l != NULL)
			l->pos = g->events[whole - 1]->id;
		for (uint32_t i = 0; l == NULL && i < whole; i++)
			if (g->owners[i] != NULL)
				g->owners[i]->pos = g->events[i]->id;
	}
	if ((size_t)sent == g->bytes) {
		/* The last record of it is held. */
		if (s->conn->blocked)
			deliver_stuck(s, true);
		return SW_OK;
	}
	if ((size_t)sent > start) {
		s->partial = event_ref(g->events[whole]);
		s->partial_sent = (uint32_t)((size_t)sent - start);
	}
	deliver_stuck(s, sent > 0);
	return SW_EAGAIN;
}

static struct gather *
reuse(struct gather **g)
{
	if (*g == NULL)
		*g = gather_new();
	return *g;
}

/* News of one channel, from its window. */
static int
write_window(struct subscriber *s, struct link *l)
{
	struct hub *h = subscriber_hub(s);
	struct gather *g = reuse(&h->gathers[s->form]);
	int err;

	if (g == NULL)
		return SW_ENOMEM;
	if ((err = gather_window(g, &h->worker->codec, l->channel,
		 (enum form)s->form, l->pos)) != SW_OK)
		return err;
	return g->count == 0 ? SW_OK : write_gather(s, g, l);
}

/* News of several channels, in order of ids over all of them. */
static int
write_merged(struct subscriber *s)
{
	struct hub *h = subscriber_hub(s);
	struct gather *g = reuse(&h->merged);
	struct link *owner;
	struct event *e;
	int err;

	if (g == NULL || merge_begin(&h->merge, &s->first) != SW_OK)
		return SW_ENOMEM;
	gather_begin(g, (enum form)s->form);
	err = SW_OK;
	while ((e = merge_peek(&h->merge, &owner)) != NULL &&
	    gather_add(g, &h->worker->codec, e, &err)) {
		g->owners[g->count - 1] = owner;
		merge_advance(&h->merge);
	}
	if (err != SW_OK && g->count == 0)
		return err;
	if (g->count == 0)
		return SW_OK;
	gather_end(g);
	return write_gather(s, g, NULL);
}

bool
deliver_has_news(const struct subscriber *s)
{
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && !l->alone && link_has_news(l))
			return true;
	return false;
}

bool
deliver_needs_store(struct subscriber *s, const struct link *alone)
{
	loss_skip_memory(s, alone != NULL, false);
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (link_is_of(l, alone) && !link_in_window(l))
			return true;
	loss_tell(s, alone, 0);
	return false;
}

uint64_t
deliver_upto(const struct subscriber *s, const struct link *only)
{
	uint64_t seen = subscriber_hub(s)->seen, upto = UINT64_MAX;

	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (link_is_of(l, only) && l->pos < upto)
			upto = l->pos;
	return upto == UINT64_MAX || upto < seen ? seen : upto;
}

static struct link *
find_alone(struct subscriber *s)
{
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && l->alone)
			return l;
	return NULL;
}

static void
tell_caughtup(struct subscriber *s, uint64_t cursor, struct str channel)
{
	const struct notice n = {
		.type = NOTICE_CAUGHTUP,
		.cursor = cursor,
		.channel = channel,
	};

	subscriber_notice(s, &n);
}

/*
 * One step of writing what is new: SW_OK if there may be more to do, SW_EAGAIN
 * if nothing can be done now.
 */
static int
write_joined(struct subscriber *s)
{
	struct link *l;

	if (deliver_is_over(s) || (s->replay != NULL && !s->replay->alone))
		return SW_EAGAIN;
	if (!deliver_has_news(s)) {
		loss_tell(s, NULL, 0);
		if (s->catching_up) {
			s->catching_up = false;
			loss_caught_up(s, NULL);
			tell_caughtup(s, deliver_upto(s, NULL), STR(""));
		}
		return SW_EAGAIN;
	}
	if (deliver_needs_store(s, NULL))
		return s->replay != NULL ?
		    SW_EAGAIN :
		    replay_start(subscriber_hub(s), s, NULL, 0, 0);
	/* A loss that could not be told has ended it, and its links. */
	if (subscriber_gone(s))
		return SW_EAGAIN;
	l = subscriber_only_link(s);
	return l != NULL ? write_window(s, l) : write_merged(s);
}

/* The same for the link that catches up apart from the others. */
static int
write_alone(struct subscriber *s)
{
	struct link *l = find_alone(s);

	if (l == NULL || s->replay != NULL)
		return SW_EAGAIN;
	if (!link_has_news(l)) {
		loss_tell(s, l, 0);
		if (subscriber_gone(s))
			return SW_EAGAIN;
		loss_caught_up(s, l);
		l->alone = false;
		tell_caughtup(s, deliver_upto(s, l), l->channel->channel->name);
		return SW_OK;
	}
	if (deliver_needs_store(s, l))
		return replay_start(subscriber_hub(s), s, l, 0, 0);
	return subscriber_gone(s) ? SW_EAGAIN : write_window(s, l);
}

bool
deliver_possible(const struct subscriber *s)
{
	return !subscriber_gone(s) && !s->conn->blocked && !s->closing &&
	    s->partial == NULL && !conn_pending(s->conn);
}

static void
flush_failed(struct subscriber *s, int err)
{
	subscriber_close(s,
	    err == SW_ENOMEM      ? CLOSE_OVERLOAD :
		err == SW_ECLOSED ? CLOSE_IO :
				    CLOSE_STORE);
}

void
deliver_flush(struct subscriber *s)
{
	struct conn *c = s->conn;
	size_t queued = conn_queued(c);
	int err;

	err = finish_event(s);
	if (err == SW_OK)
		err = conn_flush(c);
	if (err == SW_EAGAIN) {
		deliver_stuck(s, conn_queued(c) < queued);
		return;
	}
	while (err == SW_OK && deliver_possible(s)) {
		err = write_joined(s);
		if (err == SW_EAGAIN && deliver_possible(s))
			err = write_alone(s);
		/* A notice on the way may have ended it. */
		if (subscriber_gone(s))
			return;
	}
	if (err != SW_OK && err != SW_EAGAIN)
		flush_failed(s, err);
	else if (!c->blocked)
		note_unstuck(s);
}

void
deliver_wake(struct link *l)
{
	struct subscriber *s = l->subscriber;

	if (!s->transport->streams)
		poll_wake(s);
	else if (deliver_possible(s))
		deliver_flush(s);
}

/*
 * Also the channels of which the read has nothing there are past what was
 * written: their windows may hold events that are not kept any more.
 */
static void
pass_written(struct subscriber *s, const struct gather *g)
{
	if (s->partial != NULL)
		replay_advance(s, s->partial->id - 1);
	else if (g->written > 0)
		replay_advance(s, g->events[g->written - 1]->id);
}

/* Write events that were read; the position follows what went out. */
static int
write_events(struct subscriber *s, const struct replay *r)
{
	const struct history_query *q = &r->read.query;
	struct hub *h = subscriber_hub(s);
	struct gather *g = reuse(&h->merged);
	uint64_t bound = replay_bound(s, r);
	size_t i = 0, end = q->count;
	int err = SW_OK;

	if (g == NULL)
		return SW_ENOMEM;
	while (end > 0 && q->events[end - 1]->id > bound)
		end--;
	while (i < end && err == SW_OK && deliver_possible(s)) {
		gather_begin(g, (enum form)s->form);
		for (; i < end; i++) {
			struct event *e = q->events[i];
			struct link *l = replay_link(s, e->channel);

			if (l == NULL)
				continue;
			if (!gather_add(g, &h->worker->codec, e, &err))
				break;
			g->owners[g->count - 1] = l;
		}
		if (g->count == 0)
			return err;
		gather_end(g);
		err = write_gather(s, g, NULL);
		if (err == SW_OK || err == SW_EAGAIN)
			pass_written(s, g);
	}
	return err;
}

void
deliver_replayed(struct subscriber *s, struct replay *r)
{
	const struct history_query *q = &r->read.query;
	int err = r->read.err;

	if (subscriber_gone(s) || deliver_is_over(s))
		return;
	if (!s->transport->streams) {
		poll_replayed(s, r);
		return;
	}
	if (err == SW_OK && !loss_is_clear(s, r)) {
		deliver_flush(s);
		return;
	}
	if (err == SW_OK && (err = replay_add_memory(s, r)) == SW_OK)
		loss_after_read(s, r);
	replay_pass_older(s, r);
	if (err == SW_OK && deliver_possible(s))
		err = write_events(s, r);
	if (subscriber_gone(s))
		return;
	if (err == SW_OK && deliver_possible(s)) {
		uint64_t bound = replay_bound(s, r);

		if (!q->more)
			replay_advance(s, r->upto < bound ? r->upto : bound);
		deliver_flush(s);
	} else if (err != SW_OK && err != SW_EAGAIN) {
		flush_failed(s, err);
	}
}
