#include "proxy/stream/hub.h"

#include <stdlib.h>

#include "proxy/base/clock.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/stream/deliver.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/replay.h"
#include "proxy/stream/subscriber.h"
#include "proxy/worker.h"

enum {
	/* A window keeps some events even of a channel without history: they
	 * are what slow sockets are written from. */
	WINDOW_EVENTS_MIN = 64,
	/* One channel must not push all others out. */
	WINDOW_SHARE = 4,
	/* Deliveries between two looks at the clock. */
	CLOCK_EVERY = 64,
	/* Windows that are looked at, and how often, in case they are stale. */
	LOOKED_AT = 64,
	LOOK_MS = 1000,
	PREFETCH = 4,
	/* A close is a last word and some calls of the system. */
	CLOSED_AT_ONCE = 64,
};

static void drop_stale(struct timer *t);

int
hub_init(struct hub *h, struct worker *w)
{
	uint64_t seed;

	*h = (struct hub){ .worker = w };
	digest_random(&seed, sizeof(seed));
	map_init(&h->by_name, seed);
	list_init(&h->dirty);
	list_init(&h->recent);
	list_init(&h->deleted);
	list_init(&h->replays);
	list_init(&h->kept_replays);
	timer_init(&h->look, drop_stale);
	h->seen = log_head(w->log);
	h->poll_cache = poll_cache_new();
	return h->poll_cache == NULL ? SW_ENOMEM : SW_OK;
}

/* It is not found any more; another one may have its name. */
static void
hide(struct hub *h, struct hub_channel *hc)
{
	map_remove(&h->by_name, &hc->entry);
	h->by_number[hc->channel->number] = NULL;
}

bool
hub_channel_is_over(const struct hub *h, const struct hub_channel *hc)
{
	/* Links keep it, but it is not found any more. */
	return h->by_number[hc->channel->number] != hc;
}

static void
channel_free(struct hub *h, struct hub_channel *hc)
{
	if (!hub_channel_is_over(h, hc))
		hide(h, hc);
	h->bytes -= hc->window.bytes;
	h->events -= hc->window.count;
	list_remove(&hc->dirty);
	list_remove(&hc->recent);
	window_fini(&hc->window);
	channel_unref(hc->channel);
	free(hc->links);
	free(hc);
}

void
hub_fini(struct hub *h)
{
	loop_clear_timer(&h->look);
	replay_forget(h, NULL);
	for (size_t i = 0; i < h->numbers; i++)
		if (h->by_number[i] != NULL)
			channel_free(h, h->by_number[i]);
	for (size_t f = 0; f < FORM_COUNT; f++)
		gather_free(h->gathers[f]);
	gather_free(h->merged);
	merge_free(&h->merge);
	poll_cache_free(h->poll_cache);
	map_fini(&h->by_name);
	free(h->by_number);
}

/* Nobody listens, nothing is remembered: it may go, and come again. */
static void
release_if_idle(struct hub *h, struct hub_channel *hc)
{
	if (hc->link_count == 0 && hc->window.count == 0 &&
	    list_empty(&hc->dirty))
		channel_free(h, hc);
}

static int
reach_number(struct hub *h, uint32_t number)
{
	size_t n = h->numbers == 0 ? 64 : h->numbers;
	struct hub_channel **p;

	if (number < h->numbers)
		return SW_OK;
	while (n <= number)
		n *= 2;
	p = realloc(h->by_number, n * sizeof(*p));
	if (p == NULL)
		return SW_ENOMEM;
	for (size_t i = h->numbers; i < n; i++)
		p[i] = NULL;
	h->by_number = p;
	h->numbers = n;
	return SW_OK;
}

/* What memory kept before a restart is gone, and not even counted. */
static uint64_t
behind_boot(const struct hub *h, const struct channel *c, uint64_t after)
{
	uint64_t boot = log_boot_head(h->worker->log);

	return after < boot &&
		channel_policy(c)->durability == DURABILITY_MEMORY ?
	    boot :
	    after;
}

uint64_t
hub_known_after(const struct hub *h, const struct channel *c)
{
	uint64_t head = channel_head(c);

	/* Its newest may be on their way, or all since the start. */
	if (head > h->seen)
		head = atomic_load_explicit(&c->before, memory_order_acquire);
	if (head > h->seen &&
	    atomic_load_explicit(&c->first, memory_order_acquire) > h->seen)
		head = c->start;
	return head > h->seen ? h->seen : behind_boot(h, c, head);
}

int
hub_channel_of(struct hub_channel **out, struct hub *h, struct channel *c)
{
	struct hub_channel *hc;
	int err;

	if (c->number < h->numbers && h->by_number[c->number] != NULL) {
		*out = h->by_number[c->number];
		return SW_OK;
	}
	if ((err = reach_number(h, c->number)) != SW_OK)
		return err;
	hc = calloc(1, sizeof(*hc));
	if (hc == NULL)
		return SW_ENOMEM;
	if ((err = map_add(&h->by_name, &hc->entry, c->name)) != SW_OK) {
		free(hc);
		return err;
	}
	hc->channel = channel_ref(c);
	hc->generation = ++h->generation;
	hc->window.after = hub_known_after(h, c);
	list_init(&hc->dirty);
	list_init(&hc->recent);
	h->by_number[c->number] = hc;
	*out = hc;
	return SW_OK;
}

struct hub_channel *
hub_channel_find(const struct hub *h, struct str name)
{
	struct map_entry *e = map_find(&h->by_name, name);

	return e == NULL ? NULL : container_of(e, struct hub_channel, entry);
}

int
hub_channel_get(struct hub_channel **out, struct hub *h, struct str name)
{
	struct channel *c;
	int err;

	if ((*out = hub_channel_find(h, name)) != NULL)
		return SW_OK;
	if ((err = channels_get(&c, h->worker->channels, name)) != SW_OK)
		return err;
	err = hub_channel_of(out, h, c);
	channel_unref(c);
	return err;
}

uint64_t
hub_channel_newest(const struct hub_channel *hc)
{
	const struct window *w = &hc->window;

	return w->count > 0 ? window_at(w, w->count - 1)->id : w->after;
}

bool
hub_channel_stored(const struct hub_channel *hc)
{
	return channel_policy(hc->channel)->durability != DURABILITY_MEMORY;
}

uint32_t
hub_channel_kept(
    const struct hub *h, const struct hub_channel *hc, uint64_t pos)
{
	const struct worker *w = h->worker;
	const struct channel *c = hc->channel;
	uint64_t floor = log_floor(w->log), own = channel_floor(c);

	return window_kept(&hc->window, window_find(&hc->window, pos),
	    channel_policy(c), loop_unix_ms(w->loop),
	    own > floor ? own : floor);
}

/* Windows. */

static void
pop_oldest(struct hub *h, struct hub_channel *hc)
{
	size_t before = hc->window.bytes;

	window_pop(&hc->window);
	h->bytes -= before - hc->window.bytes;
	h->events--;
	hc->generation = ++h->generation;
	if (hc->window.count == 0)
		list_remove(&hc->recent);
}

static uint32_t
window_limit(const struct hub *h, const struct hub_channel *hc)
{
	uint64_t history = channel_policy(hc->channel)->history_events;
	uint64_t limit = h->worker->conf->window_events;

	if (limit > history)
		limit = history;
	return limit < WINDOW_EVENTS_MIN ? WINDOW_EVENTS_MIN : (uint32_t)limit;
}

/* The channels that have been quiet longest lose their windows first. */
static void
make_room(struct hub *h, struct hub_channel *hc)
{
	uint64_t limit = h->worker->conf->window_bytes;

	while (hc->window.count > window_limit(h, hc) ||
	    (hc->window.count > 1 && hc->window.bytes > limit / WINDOW_SHARE))
		pop_oldest(h, hc);
	while (h->bytes > limit && !list_empty(&h->recent)) {
		struct hub_channel *oldest =
		    container_of(h->recent.next, struct hub_channel, recent);

		if (oldest == hc && hc->window.count == 1)
			break;
		pop_oldest(h, oldest);
		release_if_idle(h, oldest);
	}
}

/* As long as there is anything to look at. */
static void
look_later(struct hub *h)
{
	struct loop *l = h->worker->loop;

	if (h->events > 0)
		loop_set_timer(l, &h->look, loop_now_ms(l) + LOOK_MS);
}

static void
mark_dirty(struct hub *h, struct hub_channel *hc)
{
	if (hc->link_count == 0)
		return;
	if (!list_empty(&hc->dirty) && hc->begun) {
		hc->again = true;
		return;
	}
	hc->left = hc->link_count;
	hc->begun = hc->again = false;
	if (list_empty(&hc->dirty))
		list_append(&h->dirty, &hc->dirty);
}

/* Takes over the sink's reference to the event. */
static void
take_event(struct hub *h, struct event *e, uint64_t committed_ns)
{
	struct hub_channel *hc;
	size_t bytes;
	uint32_t count;

	if (hub_channel_of(&hc, h, e->channel) != SW_OK) {
		/* Nobody listens here, and it is found in the store. */
		event_unref(e);
		return;
	}
	bytes = hc->window.bytes;
	count = hc->window.count;
	window_push(&hc->window, e);
	/* The first event since the start knows of none before it. */
	hc->window.after = behind_boot(h, hc->channel, hc->window.after);
	h->bytes += hc->window.bytes - bytes;
	h->events += hc->window.count - count;
	hc->generation = ++h->generation;
	hc->committed_ns = committed_ns;
	list_remove(&hc->recent);
	if (hc->window.count > 0)
		list_append(&h->recent, &hc->recent);
	make_room(h, hc);
	mark_dirty(h, hc);
}

/*
 * The channel's history was dropped: whoever listens is told, and leaves. They
 * may be thousands, so it is put aside, and goes with the last of them. What is
 * published under its name from now on is not for them.
 */
static void
take_clear(struct hub *h, struct channel *c)
{
	struct hub_channel *hc;

	replay_forget(h, c);
	if (c->number >= h->numbers || (hc = h->by_number[c->number]) == NULL)
		return;
	while (hc->window.count > 0)
		pop_oldest(h, hc);
	/* What they have not read is no loss to be told any more. */
	hc->window.after = 0;
	list_remove(&hc->dirty);
	hide(h, hc);
	list_append(&h->deleted, &hc->recent);
	release_if_idle(h, hc);
}

/* They go with their last links, as `release_if_idle` does it. */
static void
close_deleted(struct hub *h)
{
	for (unsigned i = 0; i < CLOSED_AT_ONCE && !list_empty(&h->deleted);
	     i++) {
		struct hub_channel *hc =
		    container_of(h->deleted.next, struct hub_channel, recent);

		subscriber_close(
		    hc->links[hc->link_count - 1]->subscriber, CLOSE_DELETED);
	}
}

static void
count_windows(const struct hub *h)
{
	struct metrics *m = &h->worker->metrics;

	atomic_store_explicit(&m->window_bytes, h->bytes, memory_order_relaxed);
	atomic_store_explicit(
	    &m->window_events, h->events, memory_order_relaxed);
}

/* Nothing of it is history, and nobody listens. */
static bool
is_stale(const struct hub *h, const struct hub_channel *hc)
{
	/* A slow socket may need what is no history any more. */
	return hc->link_count == 0 &&
	    hub_channel_kept(h, hc, 0) == hc->window.count;
}

/*
 * The last events of idle channels leave the windows when they are too old to
 * be history: what a window holds, the store cannot forget.
 */
static void
drop_stale(struct timer *t)
{
	struct hub *h = container_of(t, struct hub, look);

	for (unsigned i = 0; i < LOOKED_AT; i++) {
		struct hub_channel *hc = h->by_number[h->hand++ % h->numbers];

		if (hc == NULL || !is_stale(h, hc))
			continue;
		while (hc->window.count > 0)
			pop_oldest(h, hc);
		release_if_idle(h, hc);
	}
	count_windows(h);
	look_later(h);
}

void
hub_take(struct task *t)
{
	struct log_delivery *d = container_of(t, struct log_delivery, task);
	struct log_batch *b = d->batch;
	struct hub *h = d->ctx;

	for (size_t i = 0; i < b->count; i++)
		take_event(h, b->events[i], b->committed_ns);
	if (b->head > h->seen)
		h->seen = b->head;
	if (b->clear != NULL)
		take_clear(h, b->clear);
	log_batch_unref(b);
	if (!timer_is_set(&h->look))
		look_later(h);
	count_windows(h);
}

/* Delivery. */

static void
count_latency(struct hub *h, const struct hub_channel *hc)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	for (size_t t = 0; t < TRANSPORT_COUNT; t++) {
		if (h->delivered[t] == 0)
			continue;
		metrics_latency(&h->worker->metrics.transport[t],
		    now - hc->committed_ns, h->delivered[t]);
		h->delivered[t] = 0;
	}
}

static void
forget_deliveries(struct hub *h)
{
	/* What was written for another reason than news. */
	for (size_t t = 0; t < TRANSPORT_COUNT; t++)
		h->delivered[t] = 0;
}

/*
 * Visit links from the last to the first: one that goes away on the way leaves
 * its slot to one that was visited already.
 */
static unsigned
deliver_channel(struct hub *h, struct hub_channel *hc, unsigned budget)
{
	unsigned visited = 0;

	hc->begun = true;
	if (hc->left > hc->link_count)
		hc->left = hc->link_count;
	forget_deliveries(h);
	while (hc->left > 0 && visited < budget) {
		hc->left--;
		if (hc->left >= PREFETCH)
			__builtin_prefetch(hc->links[hc->left - PREFETCH]);
		deliver_wake(hc->links[hc->left]);
		if (hc->left > hc->link_count)
			hc->left = hc->link_count;
		if (++visited % CLOCK_EVERY == 0)
			count_latency(h, hc);
	}
	count_latency(h, hc);
	return visited;
}

bool
hub_deliver(struct hub *h, unsigned budget)
{
	unsigned visited = 0;

	while (!list_empty(&h->dirty) && visited < budget) {
		struct hub_channel *hc =
		    container_of(h->dirty.next, struct hub_channel, dirty);

		visited += deliver_channel(h, hc, budget - visited);
		if (hc->left > 0)
			break;
		list_remove(&hc->dirty);
		if (hc->again)
			mark_dirty(h, hc);
		else
			release_if_idle(h, hc);
	}
	close_deleted(h);
	return !list_empty(&h->dirty) || !list_empty(&h->deleted);
}

/* Links. */

int
hub_link(struct hub *h, struct link *l, struct hub_channel *hc, uint64_t pos)
{
	(void)h;
	if (hc->link_count == hc->link_cap) {
		uint32_t cap = hc->link_cap == 0 ? 1 : hc->link_cap * 2;
		struct link **p = realloc(hc->links, cap * sizeof(*p));

		if (p == NULL)
			return SW_ENOMEM;
		hc->links = p;
		hc->link_cap = cap;
	}
	l->channel = hc;
	l->pos = pos;
	l->slot = hc->link_count;
	hc->links[hc->link_count++] = l;
	return SW_OK;
}

void
hub_unlink(struct hub *h, struct link *l)
{
	struct hub_channel *hc = l->channel;
	struct link *last = hc->links[hc->link_count - 1];

	hc->links[l->slot] = last;
	last->slot = l->slot;
	hc->link_count--;
	l->channel = NULL;
	release_if_idle(h, hc);
}
