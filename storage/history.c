#include "storage/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/heap.h"
#include "proxy/base/log.h"
#include "storage/chain.h"
#include "storage/retention.h"

/* Rows that one part of a merge loads at a time. */
enum { MERGE_CHUNK = 32 };

/* A walk over the past of one channel. */
struct walk {
	struct store_reader *reader;
	const struct store_ops *ops;
	uint64_t key; /* whose rows they are */
	struct retention keep;
	uint64_t hole; /* a row that is gone though an older one is kept */
};

/*
 * The channel's row of that id. Where memory kept the channel before, a link
 * leads to the id that others had come to: that may be a row of theirs.
 */
static int
find_row(const struct walk *w, uint64_t id, struct store_row *out)
{
	int err = w->ops->reader_row(w->reader, id, out);

	return err == SW_OK && out->channel != w->key ? SW_ENOENT : err;
}

/*
 * Begin at the channel's head, whose numbers say what is kept. It must have
 * been looked up before the view of the store began, which has it then.
 * SW_ENOENT when even the head is gone: then everything is.
 */
static int
walk_begin(struct walk *w, struct store_reader *r, const struct store_ops *ops,
    const struct channel *c, uint64_t head_id, uint64_t floor, uint64_t unix_ms)
{
	uint64_t own_floor = channel_floor(c);
	struct store_row head;
	int err;

	*w = (struct walk){ .reader = r, .ops = ops, .key = channel_key(c) };
	err = find_row(w, head_id, &head);
	if (err == SW_OK)
		w->keep = retention_of(channel_policy(c), unix_ms, head.number,
		    head.total, own_floor > floor ? own_floor : floor);
	return err;
}

static bool
kept(const struct walk *w, const struct store_row *row)
{
	return retention_keeps(
	    &w->keep, row->id, row->number, row->total, row->time_ms);
}

/* The event `id`, if it comes after the cursor and is kept still. */
static int
step(struct walk *w, uint64_t id, uint64_t after, struct store_row *out)
{
	int err;

	if (id <= after)
		return SW_ENOENT;
	err = find_row(w, id, out);
	return err == SW_OK && !kept(w, out) ? SW_ENOENT : err;
}

/* The oldest kept event after the cursor; SW_ENOENT if there is none. */
static int
walk_first(
    struct walk *w, uint64_t newest, uint64_t after, struct store_row *out)
{
	struct store_row at, older;
	int err = step(w, newest, after, &at);

	while (err == SW_OK) {
		err = step(w, at.jump, after, &older);
		if (err == SW_ENOENT && at.previous != at.jump)
			err = step(w, at.previous, after, &older);
		if (err == SW_ENOENT) {
			*out = at;
			return SW_OK;
		}
		at = older;
	}
	return err;
}

/* Jump as long as that stays on the newer side; SW_ENOENT if it does not. */
static int
jump_back(const struct walk *w, const struct store_row *at,
    const struct store_row *first, uint64_t number, uint64_t total,
    struct store_row *out)
{
	int err;

	if (at->jump <= first->id)
		return SW_ENOENT;
	err = find_row(w, at->jump, out);
	return err == SW_OK && out->number <= number && out->total <= total ?
	    SW_ENOENT :
	    err;
}

/*
 * The newest event at or below `newest` with at most this number and total, but
 * not below `first`.
 */
static int
walk_last(struct walk *w, uint64_t newest, const struct store_row *first,
    uint64_t number, uint64_t total, struct store_row *out)
{
	struct store_row at, older;
	int err = find_row(w, newest, &at);

	while (err == SW_OK && at.id != first->id &&
	    (at.number > number || at.total > total)) {
		err = jump_back(w, &at, first, number, total, &older);
		if (err == SW_ENOENT)
			err = find_row(w, at.previous, &older);
		if (err == SW_ENOENT)
			w->hole = at.previous;
		at = older;
	}
	if (err == SW_OK)
		*out = at;
	return err;
}

/* One part of a query as it is being merged. */
struct source {
	struct history_part *part;
	uint64_t head;   /* of the channel */
	uint64_t newest; /* to be read; 0: none */
	struct walk walk;
	struct event **events;
	size_t count, at;
	uint64_t after;        /* loaded up to here; at the newest: all of it */
	bool loaded;           /* something was */
	uint64_t id, previous; /* the row that "the newest" has got to */
};

static void
source_drop(struct source *s)
{
	for (; s->at < s->count; s->at++)
		event_unref(s->events[s->at]);
	free(s->events);
	s->events = NULL;
	s->count = s->at = 0;
}

/* Load the events from `first` to `last`, walking back along the chain. */
static int
source_load(struct source *s, const struct store_row *first,
    const struct store_row *last)
{
	size_t n = (size_t)(last->number - first->number) + 1;
	uint64_t id = last->id;

	s->events = calloc(n, sizeof(*s->events));
	if (s->events == NULL)
		return SW_ENOMEM;
	for (size_t i = n; i > 0; i--) {
		int err = s->walk.ops->reader_event(
		    s->walk.reader, id, s->part->channel, &s->events[i - 1]);

		if (err != SW_OK) {
			if (err == SW_ENOENT)
				s->walk.hole = id;
			s->at = i;
			s->count = n;
			source_drop(s);
			return err;
		}
		id = s->events[i - 1]->previous;
	}
	s->at = 0;
	s->count = n;
	return SW_OK;
}

/* Make sure that there is a next event, or that the part is exhausted. */
static int
source_fill(struct source *s, size_t limit, size_t max_bytes)
{
	struct store_row first, last;
	int err;

	if (s->at < s->count || s->after >= s->newest)
		return SW_OK;
	source_drop(s);
	err = walk_first(&s->walk, s->newest, s->after, &first);
	if (err == SW_ENOENT) {
		s->after = s->newest;
		return SW_OK;
	}
	if (err != SW_OK)
		return err;
	/* What lies before the first events of all was looked at already. */
	if (s->loaded && first.previous > s->after) {
		s->walk.hole = first.previous;
		return SW_ENOENT;
	}
	if ((err = walk_last(&s->walk, s->newest, &first,
		 first.number + limit - 1, first.total + max_bytes, &last)) !=
		SW_OK ||
	    (err = source_load(s, &first, &last)) != SW_OK)
		return err;
	s->after = last.id;
	s->loaded = true;
	return SW_OK;
}

/*
 * From which event on the source is read: the newest that the query allows.
 * SW_ENOENT if the way to it is gone.
 */
static int
settle_newest(struct source *s, uint64_t upto)
{
	struct store_row at = { .id = s->part->newest };
	int err = SW_OK;

	while (upto > 0 && at.id > upto && at.id > s->part->after) {
		uint64_t id = at.id;

		err = find_row(&s->walk, id, &at);
		if (err != SW_OK)
			return err;
		at.id = at.jump > upto ? at.jump : at.previous;
	}
	s->newest = at.id;
	return SW_OK;
}

/* Ready for reading; SW_ENOENT if everything of the channel is gone. */
static int
source_open(struct source *s, struct store_reader *r,
    const struct store_ops *ops, const struct history_query *q)
{
	int err = walk_begin(
	    &s->walk, r, ops, s->part->channel, s->head, q->floor, q->unix_ms);

	return err == SW_OK ? settle_newest(s, q->upto) : err;
}

/* What was lost between the cursor and the oldest event that is left? */
static int
source_begin(struct source *s, struct store_reader *r,
    const struct store_ops *ops, const struct history_query *q)
{
	struct history_part *p = s->part;
	struct store_row first;
	int err;

	s->after = p->after;
	if (p->newest <= p->after)
		return SW_OK;
	err = source_open(s, r, ops, q);
	if (err == SW_OK && s->newest <= p->after)
		return SW_OK;
	if (err == SW_OK)
		err = walk_first(&s->walk, s->newest, p->after, &first);
	if (err == SW_ENOENT) {
		p->gap = true;
		p->first = 0;
		s->after = s->newest;
		return SW_OK;
	}
	if (err == SW_OK) {
		p->gap = first.previous > p->after;
		p->first = first.id;
	}
	return err;
}

static bool
any_left(const struct source *sources, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sources[i].at < sources[i].count ||
		    sources[i].after < sources[i].newest)
			return true;
	return false;
}

static bool
has_event(const struct source *s)
{
	return s->at < s->count;
}

/* Take the oldest event of all parts, until the limits are reached. */
static int
merge(
    struct history_query *q, struct source *sources, struct heap_entry *oldest)
{
	size_t chunk = q->part_count == 1 || q->limit < MERGE_CHUNK ?
	    q->limit :
	    MERGE_CHUNK;
	size_t bytes = 0, n = 0;
	int err = SW_OK;

	for (size_t i = 0; i < q->part_count && err == SW_OK; i++) {
		struct source *s = &sources[i];

		err = source_fill(s, chunk, q->max_bytes);
		if (has_event(s))
			oldest[n++] =
			    (struct heap_entry){ s->events[s->at]->id, s };
	}
	heap_build(oldest, n);
	while (err == SW_OK && q->count < q->limit && n > 0) {
		struct source *s = oldest[0].item;
		struct event *e = s->events[s->at];

		if (q->count > 0 && bytes + e->size > q->max_bytes)
			break;
		q->events[q->count++] = e;
		bytes += e->size;
		s->at++;
		if (q->count < q->limit)
			err = source_fill(s, chunk, q->max_bytes);
		if (has_event(s))
			oldest[0].key = s->events[s->at]->id;
		else
			oldest[0] = oldest[--n];
		heap_settle(oldest, n);
	}
	q->more = any_left(sources, q->part_count);
	return err;
}

static int
compare_ids(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Get to the row of that id; SW_ENOENT if it is not kept. */
static int
source_back_to(struct source *s, uint64_t id)
{
	struct store_row row;
	int err = step(&s->walk, id, 0, &row);

	if (err == SW_OK) {
		s->id = row.id;
		s->previous = row.previous;
	}
	return err;
}

/* The Nth newest event of the only part, or the oldest that is kept. */
static int
nth_newest(struct source *s, uint64_t n, uint64_t *id)
{
	struct store_row newest, first, row;
	int err = step(&s->walk, s->newest, 0, &newest);

	if (err == SW_OK)
		err = walk_first(&s->walk, newest.id, 0, &first);
	if (err != SW_OK)
		return err;
	/* What lies before the first one may be removed already. */
	if (newest.number - first.number < n) {
		*id = first.id;
		return SW_OK;
	}
	err = walk_last(&s->walk, newest.id, &first, newest.number - n + 1,
	    UINT64_MAX, &row);
	if (err == SW_OK)
		*id = row.id;
	return err;
}

/* All parts, the one with the newest event first. */
static int
rank_newest(const struct history_query *q, struct source *sources,
    struct heap_entry *newest, size_t *n)
{
	for (size_t i = 0; i < q->part_count; i++) {
		struct source *s = &sources[i];
		int err = source_back_to(s, s->newest);

		if (err == SW_OK)
			newest[(*n)++] =
			    (struct heap_entry){ UINT64_MAX - s->id, s };
		else if (err != SW_ENOENT)
			return err;
	}
	heap_build(newest, *n);
	return SW_OK;
}

/* The same over several parts, and others: the newest of all, N times. */
static int
nth_newest_of_all(struct history_query *q, struct source *sources,
    struct heap_entry *newest, uint64_t *id)
{
	uint64_t left = q->last;
	size_t n = 0, k = 0;
	int err = rank_newest(q, sources, newest, &n);

	if (q->other_count > 1)
		qsort(
		    q->others, q->other_count, sizeof(*q->others), compare_ids);
	for (; err == SW_OK && left > 0; left--) {
		struct source *s = n > 0 ? newest[0].item : NULL;

		if (k < q->other_count && (s == NULL || q->others[k] > s->id)) {
			*id = q->others[k++];
			continue;
		}
		if (s == NULL)
			break;
		*id = s->id;
		err = source_back_to(s, s->previous);
		if (err == SW_OK) {
			newest[0].key = UINT64_MAX - s->id;
		} else if (err == SW_ENOENT) {
			newest[0] = newest[--n];
			err = SW_OK;
		}
		heap_settle(newest, n);
	}
	return err == SW_OK && *id == 0 ? SW_ENOENT : err;
}

/* Turn "the newest N" into a cursor: just before the Nth newest of all. */
static int
resolve_last(struct store_reader *r, const struct store_ops *ops,
    struct history_query *q, struct source *sources, struct heap_entry *room)
{
	uint64_t id = 0;
	int err = SW_OK;

	for (size_t i = 0; i < q->part_count && err == SW_OK; i++) {
		sources[i].part->after = 0;
		err = source_open(&sources[i], r, ops, q);
		/* All of it is gone: nothing of this part will be found. */
		if (err == SW_ENOENT) {
			sources[i].newest = 0;
			err = SW_OK;
		}
	}
	if (err == SW_OK)
		err = q->part_count == 1 && q->other_count == 0 ?
		    nth_newest(&sources[0], q->last, &id) :
		    nth_newest_of_all(q, sources, room, &id);
	if (err != SW_OK && (err != SW_ENOENT || sources[0].walk.hole != 0))
		return err;
	/* Nothing is kept at all: begin behind it, which is no gap. */
	q->newest_after = err == SW_OK ? id - 1 : UINT64_MAX;
	for (size_t i = 0; i < q->part_count; i++)
		q->parts[i].after = q->newest_after;
	return SW_OK;
}

static int
read_parts(struct store_reader *r, const struct store_ops *ops,
    struct history_query *q, struct source *sources, struct heap_entry *room)
{
	int err = SW_OK;

	if (q->last > 0)
		err = resolve_last(r, ops, q, sources, room);
	for (size_t i = 0; i < q->part_count && err == SW_OK; i++) {
		err = source_begin(&sources[i], r, ops, q);
		/* Who asks for the newest does not miss what was before. */
		if (q->last > 0)
			q->parts[i].gap = false;
	}
	return err == SW_OK ? merge(q, sources, room) : err;
}

/* Where channels end is known by now: all of it is there to be seen. */
static int
begin(struct store_reader *r, const struct store_ops *ops)
{
	int err = r->settle == NULL ? SW_OK : r->settle(r->settle_ctx);

	if (err == SW_OK)
		return ops->reader_begin(r);
	snprintf(r->reason, sizeof(r->reason),
	    "what came last could not be written");
	return err;
}

static void
drop_events(struct history_query *q)
{
	for (; q->count > 0; q->count--)
		event_unref(q->events[q->count - 1]);
}

/*
 * Rows are gone though older ones are kept: an older policy, another clock or
 * memory did not keep them. What is older is no history then, or it would be
 * one with a hole. Returns whether reading can go on without it.
 */
static bool
leave_behind_holes(struct history_query *q, struct source *sources)
{
	bool any = false;

	drop_events(q);
	for (size_t i = 0; i < q->part_count; i++) {
		struct source *s = &sources[i];
		struct channel *c = s->part->channel;
		uint64_t hole = s->walk.hole;

		source_drop(s);
		s->loaded = false;
		s->walk.hole = 0;
		if (hole == 0 || !channel_raise_floor(c, hole))
			continue;
		log_warn("store: the history of channel %s begins behind %llu "
			 "now: not all of what is older was kept",
		    c->text, (unsigned long long)hole);
		any = true;
	}
	return any;
}

int
history_read(struct store_reader *r, const struct store_ops *ops,
    struct history_query *q)
{
	size_t parts = q->part_count == 0 ? 1 : q->part_count;
	struct source *sources = calloc(parts, sizeof(*sources));
	struct heap_entry *room = calloc(parts, sizeof(*room));
	int err;

	q->count = 0;
	q->more = false;
	q->events = calloc(q->limit, sizeof(*q->events));
	for (size_t i = 0; sources != NULL && i < q->part_count; i++) {
		sources[i].part = &q->parts[i];
		sources[i].head = channel_head(q->parts[i].channel);
	}
	if (sources == NULL || room == NULL || q->events == NULL) {
		err = SW_ENOMEM;
	} else if ((err = begin(r, ops)) == SW_OK) {
		do
			err = read_parts(r, ops, q, sources, room);
		while (err == SW_ENOENT && leave_behind_holes(q, sources));
		for (size_t i = 0; i < q->part_count; i++)
			source_drop(&sources[i]);
		ops->reader_end(r);
	}
	/* A link of the chain leads nowhere: nothing we do leaves one. */
	if (err == SW_ENOENT)
		err = SW_ECORRUPT;
	free(sources);
	free(room);
	if (err != SW_OK)
		history_query_fini(q);
	return err;
}

static int
read_span(struct store_reader *r, const struct store_ops *ops,
    struct history_span *span, uint64_t head, uint64_t floor, uint64_t unix_ms)
{
	struct walk w;
	int err = walk_begin(&w, r, ops, span->channel, head, floor, unix_ms);

	if (err == SW_OK)
		err = walk_first(&w, head, 0, &span->first);
	if (err == SW_OK)
		err = find_row(&w, head, &span->last);
	if (err == SW_ENOENT) {
		span->first = span->last = (struct store_row){ .id = 0 };
		err = SW_OK;
	}
	return err;
}

int
history_spans(struct store_reader *r, const struct store_ops *ops,
    struct history_span *spans, size_t count, uint64_t floor, uint64_t unix_ms)
{
	uint64_t *heads = calloc(count == 0 ? 1 : count, sizeof(*heads));
	int err;

	if (heads == NULL)
		return SW_ENOMEM;
	for (size_t i = 0; i < count; i++)
		heads[i] = channel_head(spans[i].channel);
	if ((err = begin(r, ops)) == SW_OK) {
		for (size_t i = 0; i < count && err == SW_OK; i++)
			err = read_span(
			    r, ops, &spans[i], heads[i], floor, unix_ms);
		ops->reader_end(r);
	}
	free(heads);
	return err;
}

void
history_query_fini(struct history_query *q)
{
	drop_events(q);
	free(q->events);
	q->events = NULL;
}
