#include "proxy/stream/loss.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/stream/replay.h"
#include "proxy/worker.h"

/* Tell it of a loss, and count that. */
static void
tell_gap(struct subscriber *s, enum gap_reason reason,
    const struct cursor *after, uint64_t first, struct str channel)
{
	const struct notice n = {
		.type = NOTICE_GAP,
		.reason = reason,
		.after = *after,
		.first = first,
		.channel = channel,
	};

	METRIC_ADD(subscriber_worker(s)->metrics.gaps[reason], 1);
	if (s->transport->streams) {
		subscriber_notice(s, &n);
		return;
	}
	/* The first one says from where; but a cursor of no use says it all. */
	if (s->poll.gap != GAP_NONE && reason == GAP_TRIMMED)
		return;
	s->poll.gap = reason;
	s->poll.gap_after = *after;
	s->poll.gap_first = first;
}

/* Events of this link behind its position are gone. */
static void
tell_trimmed(struct subscriber *s, const struct link *l, uint64_t first)
{
	struct cursor after = {
		.epoch = *log_epoch(subscriber_worker(s)->log),
		.seq = l->pos,
	};

	if (l->from_start && l->pos == 0)
		return;
	/* One channel needs no name: the subscriber has no other. */
	tell_gap(s, GAP_TRIMMED, &after, first,
	    s->link_count > 1 ? l->channel->channel->name : STR(""));
}

/* Where the window's events that are kept begin, behind the position. */
static uint32_t
first_kept(const struct subscriber *s, const struct link *l, uint64_t pos)
{
	return hub_channel_kept(subscriber_hub(s), l->channel, pos);
}

/*
 * The oldest event behind the positions that windows have, or 0: that is what
 * will be written, even if it is not kept any more.
 */
static uint64_t
oldest_in_windows(const struct subscriber *s, const struct link *alone)
{
	uint64_t id = 0;

	for (const struct link *l = &s->first; l != NULL; l = l->next) {
		const struct window *w;
		uint32_t i;

		if (!link_is_of(l, alone))
			continue;
		w = &l->channel->window;
		i = window_find(w, l->pos);
		if (i < w->count && (id == 0 || window_at(w, i)->id < id))
			id = window_at(w, i)->id;
	}
	return id;
}

static void
lost_free(struct lost *lost)
{
	channel_unref(lost->channel);
	free(lost);
}

void
loss_tell(struct subscriber *s, const struct link *alone, uint64_t first)
{
	struct lost **p = &s->lost, *lost;
	const struct channel *c;

	/* Who has ended has neither losses nor links. */
	if (s->lost == NULL)
		return;
	c = alone == NULL ? NULL : alone->channel->channel;
	while (*p != NULL && (*p)->channel != c)
		p = &(*p)->next;
	if ((lost = *p) == NULL)
		return;
	*p = lost->next;
	tell_gap(s, lost->reason, &lost->after,
	    first != 0 ? first : oldest_in_windows(s, alone),
	    lost->channel == NULL ? STR("") : lost->channel->name);
	lost_free(lost);
}

void
loss_forget(struct subscriber *s, const struct channel *c)
{
	struct lost **p = &s->lost, *lost;

	while ((lost = *p) != NULL) {
		if (c != NULL && lost->channel != c) {
			p = &lost->next;
			continue;
		}
		*p = lost->next;
		lost_free(lost);
	}
}

int
loss_note(struct subscriber *s, enum gap_reason reason,
    const struct cursor *after, const struct link *link)
{
	struct lost *lost = calloc(1, sizeof(*lost));

	if (lost == NULL)
		return SW_ENOMEM;
	lost->reason = reason;
	lost->after = *after;
	if (link != NULL)
		lost->channel = channel_ref(link->channel->channel);
	lost->next = s->lost;
	s->lost = lost;
	return SW_OK;
}

/* Go on with event `i` of the window, or behind all of them. */
static void
skip_to(struct link *l, uint32_t i, uint64_t *first)
{
	const struct window *w = &l->channel->window;

	*first = i < w->count ? window_at(w, i)->id : 0;
	if (i > 0 && window_at(w, i - 1)->id > l->pos)
		l->pos = window_at(w, i - 1)->id;
}

void
loss_trim(struct subscriber *s, struct link *l)
{
	uint32_t i = first_kept(s, l, l->pos);
	uint64_t first, from = l->pos;
	struct link before = *l;

	/* What a window has dropped may be in the store, if there is one. */
	if ((!link_in_window(l) && hub_channel_stored(l->channel)) ||
	    i == window_find(&l->channel->window, l->pos))
		return;
	skip_to(l, i, &first);
	before.pos = from;
	tell_trimmed(s, &before, first);
}

/*
 * What a window has dropped meanwhile may be kept in the store. If it was given
 * to memory alone since, all that is gone is told at once, as of others there.
 */
bool
loss_is_clear(struct subscriber *s, const struct replay *r)
{
	const struct history_query *q = &r->read.query;

	for (size_t i = 0; i < q->part_count; i++) {
		const struct history_part *p = &r->parts[i];
		const struct link *l = replay_link(s, p->channel);
		bool nothing = p->gap ? p->first == 0 : q->count == 0;

		if (nothing && l != NULL && l->channel->window.after > r->upto)
			return false;
	}
	return true;
}

/* What was noted of the links that the read was for. */
static void
tell_noted(struct subscriber *s, const struct history_query *q)
{
	const struct link *l = &s->first;
	uint64_t first = 0;

	while (l != NULL && (l->channel == NULL || !l->reads))
		l = l->next;
	if (l == NULL)
		return; /* they have gone meanwhile */
	for (size_t i = 0; i < q->count && first == 0; i++)
		if (replay_link(s, q->events[i]->channel) != NULL)
			first = q->events[i]->id;
	/* All of it is of channels that it has left: the next read knows. */
	if (first == 0 && q->more)
		return;
	loss_tell(s, l->alone ? l : NULL, first);
}

void
loss_after_read(struct subscriber *s, const struct replay *r)
{
	const struct history_query *q = &r->read.query;

	for (size_t i = 0; i < q->part_count; i++) {
		const struct history_part *p = &r->parts[i];
		struct link *l = replay_link(s, p->channel);
		struct link before;
		uint64_t first = p->first;

		if (!p->gap || l == NULL)
			continue;
		before = *l;
		if (first != 0)
			l->pos = first - 1;
		else
			skip_to(l, first_kept(s, l, r->upto), &first);
		if (l->pos < r->upto && p->first == 0)
			l->pos = r->upto;
		tell_trimmed(s, &before, first);
	}
	/* Where the windows go on is known by the positions. */
	tell_noted(s, q);
}

static bool
is_in_memory(const struct link *l, bool after_read)
{
	return after_read && l->reads ? !l->reads_store :
					!hub_channel_stored(l->channel);
}

void
loss_skip_memory(struct subscriber *s, bool alone, bool after_read)
{
	for (struct link *l = &s->first; l != NULL; l = l->next) {
		const struct window *w;
		struct link before = *l;

		if (l->channel == NULL || l->alone != alone ||
		    link_in_window(l) || !is_in_memory(l, after_read))
			continue;
		w = &l->channel->window;
		l->pos = w->after;
		tell_trimmed(
		    s, &before, w->count > 0 ? window_at(w, 0)->id : 0);
	}
}

void
loss_caught_up(struct subscriber *s, const struct link *alone)
{
	uint64_t seen = subscriber_hub(s)->seen;

	for (struct link *l = &s->first; l != NULL; l = l->next) {
		if (!link_is_of(l, alone) || !l->from_start)
			continue;
		l->from_start = false;
		if (l->pos < seen)
			l->pos = seen;
	}
}
