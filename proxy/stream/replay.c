#include "proxy/stream/replay.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/stream/deliver.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/subscriber.h"
#include "proxy/worker.h"

enum {
	KEEP_MAX = 64,  /* results kept for those who come later */
	KEEP_MS = 1000, /* how long */
	KEEP_SHARE = 8, /* of window-bytes, an eighth; but one of them always */
	/* One read: about what a socket takes at once. */
	READ_EVENTS = 1024,
	READ_BYTES = 256 << 10,
};

static void
replay_free(struct replay *r)
{
	struct history_query *q = &r->read.query;

	list_remove(&r->node);
	for (size_t i = 0; i < q->part_count; i++)
		channel_unref(r->parts[i].channel);
	history_query_fini(q);
	free(r->others);
	free(r);
}

static void
forget_one(struct hub *h, struct replay *r)
{
	h->kept_replay_count--;
	h->kept_replay_bytes -= r->bytes;
	replay_free(r);
}

void
replay_forget(struct hub *h, const struct channel *c)
{
	list_each_safe (node, after, &h->kept_replays) {
		struct replay *r = container_of(node, struct replay, node);

		if (r->users == 0 && (c == NULL || r->parts[0].channel == c))
			forget_one(h, r);
	}
	/* What is under way is for those who asked, and for nobody else. */
	list_each (node, &h->replays) {
		struct replay *r = container_of(node, struct replay, node);

		if (r->shared && r->parts[0].channel == c)
			r->shared = false;
	}
}

static void
keep(struct hub *h, struct replay *r)
{
	for (size_t i = 0; i < r->read.query.count; i++)
		r->bytes += r->read.query.events[i]->size;
	list_append(&h->kept_replays, &r->node);
	h->kept_replay_count++;
	h->kept_replay_bytes += r->bytes;
}

static bool
keeps_too_much(const struct hub *h)
{
	return h->kept_replay_count > KEEP_MAX ||
	    (h->kept_replay_count > 1 &&
		h->kept_replay_bytes >
		    h->worker->conf->window_bytes / KEEP_SHARE);
}

/* Drop kept results that are too old, or too many. */
static void
expire(struct hub *h)
{
	uint64_t now = loop_now_ms(h->worker->loop);

	while (!list_empty(&h->kept_replays)) {
		struct replay *r =
		    container_of(h->kept_replays.next, struct replay, node);

		if (r->users > 0 ||
		    (!keeps_too_much(h) && r->done_ms + KEEP_MS > now))
			break;
		forget_one(h, r);
	}
}

/* Everybody who waits gets the same events. */
static void
finish(struct replay *r)
{
	struct hub *h = r->hub;
	struct list *node;

	r->done = true;
	r->done_ms = loop_now_ms(h->worker->loop);
	METRIC_ADD(h->worker->metrics.catchup_reads, 1);
	METRIC_ADD(h->worker->metrics.catchup_events, r->read.query.count);
	list_remove(&r->node);
	while ((node = list_shift(&r->waiters)) != NULL) {
		struct subscriber *s =
		    container_of(node, struct subscriber, waiting);

		s->replay = NULL;
		deliver_replayed(s, r);
	}
	/* That there is nothing left of it may be wrong soon. */
	if (r->shared && r->read.err == SW_OK && r->read.query.count > 0)
		keep(h, r);
	else
		replay_free(r);
	expire(h);
}

static void
on_answer(struct task *t)
{
	struct log_read *read = container_of(t, struct log_read, task);

	finish(container_of(read, struct replay, read));
}

static void
add_part(struct replay *r, const struct link *l)
{
	struct history_query *q = &r->read.query;

	r->parts[q->part_count++] = (struct history_part){
		.channel = channel_ref(l->channel->channel),
		.after = l->pos,
		.newest = channel_head(l->channel->channel),
	};
}

/*
 * Up to where to read. One channel: as far as the window does not reach back.
 * Several: up to where this worker has taken events in, so that the windows go
 * on with what is newer in all of them, and the order of ids holds over both.
 */
static void
set_bound(struct replay *r, const struct hub *h, const struct link *only)
{
	const struct window *w;

	r->upto = h->seen;
	if (only == NULL) {
		r->read.query.upto = h->seen;
		return;
	}
	assert(only->channel != NULL);
	w = &only->channel->window;
	if (w->count > 0 && r->read.query.last == 0)
		r->parts[0].newest = window_at(w, 0)->previous;
	r->upto = r->parts[0].newest;
}

static bool
fits(const struct replay *r, const struct link *l, uint64_t last, size_t limit)
{
	return r->shared && r->parts[0].channel == l->channel->channel &&
	    r->read.query.last == last && r->read.query.limit == limit &&
	    (last > 0 || r->parts[0].after == l->pos);
}

/* A read for the same place, under way or just done. */
static struct replay *
find_shared(struct hub *h, const struct link *l, uint64_t last, size_t limit)
{
	expire(h);
	list_each (node, &h->replays) {
		struct replay *r = container_of(node, struct replay, node);

		if (fits(r, l, last, limit))
			return r;
	}
	/* "The newest" may have changed: only a read under way will do. */
	if (last > 0)
		return NULL;
	list_each (node, &h->kept_replays) {
		struct replay *r = container_of(node, struct replay, node);

		if (fits(r, l, last, limit))
			return r;
	}
	return NULL;
}

static int
join(struct hub *h, struct subscriber *s, struct replay *r)
{
	METRIC_ADD(h->worker->metrics.catchup_shared, 1);
	if (r->done) {
		r->users++;
		deliver_replayed(s, r);
		r->users--;
		return SW_OK;
	}
	s->replay = r;
	list_append(&r->waiters, &s->waiting);
	return SW_OK;
}

static struct replay *
replay_new(struct hub *h, size_t parts, uint64_t last, size_t limit)
{
	struct replay *r = calloc(1, sizeof(*r) + parts * sizeof(r->parts[0]));

	if (r == NULL)
		return NULL;
	r->hub = h;
	list_init(&r->node);
	list_init(&r->waiters);
	r->read.query = (struct history_query){
		.parts = r->parts,
		.last = last,
		.limit = limit,
		.max_bytes = READ_BYTES,
	};
	r->read.loop = h->worker->loop;
	r->read.unix_ms = loop_unix_ms(h->worker->loop);
	r->read.task.run = on_answer;
	return r;
}

/*
 * "The newest" are those of all channels: the ids of what the windows have of
 * those that are in memory alone. SW_ENOMEM.
 */
static int
count_memory(struct replay *r, struct hub *h, const struct subscriber *s)
{
	struct history_query *q = &r->read.query;

	for (const struct link *l = &s->first; l != NULL; l = l->next) {
		const struct window *w;
		uint64_t *p;
		uint32_t i;

		if (l->channel == NULL || hub_channel_stored(l->channel))
			continue;
		w = &l->channel->window;
		i = hub_channel_kept(h, l->channel, 0);
		if (w->count - i > q->last)
			i = w->count - (uint32_t)q->last;
		p = realloc(r->others,
		    (q->other_count + w->count - i + 1) * sizeof(*p));
		if (p == NULL)
			return SW_ENOMEM;
		q->others = r->others = p;
		for (; i < w->count; i++)
			p[q->other_count++] = window_at(w, i)->id;
	}
	return SW_OK;
}

/* For which links is the read? For `alone`, or for all that are not. */
static void
choose_links(struct subscriber *s, const struct link *alone)
{
	for (struct link *l = &s->first; l != NULL; l = l->next) {
		l->reads = l->channel != NULL &&
		    (alone == l || (alone == NULL && !l->alone));
		l->reads_store = l->reads && hub_channel_stored(l->channel);
	}
}

struct link *
replay_link(struct subscriber *s, const struct channel *c)
{
	struct link *l = subscriber_find(s, c);

	return l != NULL && l->reads ? l : NULL;
}

int
replay_start(struct hub *h, struct subscriber *s, struct link *alone,
    uint64_t last, size_t limit)
{
	struct link *only = subscriber_only_link(s);
	struct replay *r;
	int err;

	if (limit == 0 || limit > READ_EVENTS)
		limit = READ_EVENTS;
	choose_links(s, alone);
	if (only != NULL && !hub_channel_stored(only->channel))
		only = NULL;
	if (only != NULL && (r = find_shared(h, only, last, limit)) != NULL)
		return join(h, s, r);
	r = replay_new(h, s->link_count, last, limit);
	if (r == NULL)
		return SW_ENOMEM;
	r->shared = only != NULL;
	r->alone = alone != NULL;
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->reads_store)
			add_part(r, l);
	set_bound(r, h, alone != NULL ? alone : only);
	list_append(&h->replays, &r->node);
	err = last > 0 ? count_memory(r, h, s) : SW_OK;
	if (err == SW_OK)
		err = log_read(h->worker->log, &r->read);
	if (err != SW_OK) {
		replay_free(r);
		return err;
	}
	s->replay = r;
	list_append(&r->waiters, &s->waiting);
	return SW_OK;
}

uint64_t
replay_bound(const struct subscriber *s, const struct replay *r)
{
	uint64_t bound = UINT64_MAX;

	if (r->alone)
		return bound;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && !l->alone && !l->reads &&
		    l->pos < bound)
			bound = l->pos;
	return bound;
}

static int
compare_ids(const void *a, const void *b)
{
	const struct event *x = *(struct event *const *)a;
	const struct event *y = *(struct event *const *)b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* Add the window's events behind the link, up to that id. SW_ENOMEM. */
static int
add_window(struct history_query *q, struct link *l, uint64_t upto)
{
	const struct window *w = &l->channel->window;
	uint32_t i = window_find(w, l->pos), end = window_find(w, upto);
	struct event **p;

	if (i >= end)
		return SW_OK;
	p = realloc(q->events, (q->count + end - i) * sizeof(struct event *));
	if (p == NULL)
		return SW_ENOMEM;
	q->events = p;
	for (; i < end; i++)
		q->events[q->count++] = event_ref(window_at(w, i));
	return SW_OK;
}

int
replay_add_memory(struct subscriber *s, struct replay *r)
{
	struct history_query *q = &r->read.query;
	uint64_t upto = q->more ? q->events[q->count - 1]->id : r->upto;
	size_t before = q->count;
	int err = SW_OK;

	/* What the windows have dropped since it was asked for is nowhere. */
	loss_skip_memory(s, r->alone, true);
	for (struct link *l = &s->first; l != NULL && err == SW_OK;
	     l = l->next) {
		if (l->channel == NULL || !l->reads || l->reads_store)
			continue;
		if (q->last > 0 && q->newest_after != UINT64_MAX &&
		    l->pos < q->newest_after)
			l->pos = q->newest_after;
		err = add_window(q, l, upto);
	}
	if (q->count == before)
		return err;
	qsort(q->events, q->count, sizeof(struct event *), compare_ids);
	/* The rest is still there when its turn comes. */
	while (q->count > q->limit) {
		event_unref(q->events[--q->count]);
		q->more = true;
	}
	return err;
}

void
replay_advance(struct subscriber *s, uint64_t upto)
{
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && l->reads && l->pos < upto)
			l->pos = upto;
}

void
replay_pass_older(struct subscriber *s, const struct replay *r)
{
	const struct history_query *q = &r->read.query;

	if (q->last > 0 && q->newest_after != UINT64_MAX)
		replay_advance(s, q->newest_after);
}

void
replay_leave(struct subscriber *s)
{
	list_remove(&s->waiting);
	s->replay = NULL;
}
