#include "storage/commit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/writer.h"

/* Ids are set aside in blocks, so that none is given out twice. */
enum { RESERVE_IDS = 1 << 20 };

/* 2020: a clock that is before it was never set. */
#define CLOCK_SET_MS UINT64_C(1577836800000)

/* How a record was before this group changed it. */
struct undo {
	struct record *record;
	uint64_t key, head, number, total;
};

void
writer_set_health(struct writer *w, int err)
{
	bool failing = err != SW_OK, changed;

	pthread_mutex_lock(&w->health.lock);
	changed = w->health.failing != failing;
	w->health.failing = failing;
	if (failing)
		snprintf(w->health.reason, sizeof(w->health.reason), "%s",
		    err == SW_ENOMEM ? err_info(err)->sentence :
				       w->store->reason);
	pthread_mutex_unlock(&w->health.lock);
	if (!changed)
		return;
	if (failing)
		log_error("store: events are refused: %s",
		    err == SW_ENOMEM ? err_info(err)->sentence :
				       w->store->reason);
	else
		log_info("store: events are accepted again");
}

int
writer_in_transaction(
    struct writer *w, int (*work)(struct writer *w, void *ctx), void *ctx)
{
	const struct store_ops *ops = w->store->ops;
	int err;

	if ((err = ops->begin(w->store, false)) == SW_OK &&
	    (err = work(w, ctx)) == SW_OK)
		err = ops->commit(w->store);
	if (err != SW_OK) {
		ops->rollback(w->store);
		writer_set_health(w, err);
	}
	return err;
}

/* Give the answer where it is wanted; it leaves with post_answers. */
static void
answer(struct writer *w, struct append *a)
{
	if (a->sink < w->sink_count)
		task_chain_add(&w->chains[a->sink], &a->task);
	else
		a->done(a);
}

static int
undo_push(struct writer *w, struct record *r)
{
	if (w->undo_count == w->undo_cap) {
		size_t cap = w->undo_cap == 0 ? 256 : w->undo_cap * 2;
		struct undo *p = realloc(w->undo, cap * sizeof(*p));

		if (p == NULL)
			return SW_ENOMEM;
		w->undo = p;
		w->undo_cap = cap;
	}
	w->undo[w->undo_count++] =
	    (struct undo){ r, r->key, r->head, r->number, r->total };
	return SW_OK;
}

/* Newest first: a record may have changed more than once. */
static void
undo_all(struct writer *w)
{
	while (w->undo_count > 0) {
		const struct undo *u = &w->undo[--w->undo_count];

		u->record->key = u->key;
		u->record->head = u->head;
		u->record->number = u->number;
		u->record->total = u->total;
	}
}

static int
transaction(struct writer *w)
{
	int err;

	if (w->in_transaction)
		return SW_OK;
	if ((err = w->store->ops->begin(w->store, w->sync)) == SW_OK)
		w->in_transaction = true;
	return err;
}

/* Whose chain is looked up. */
struct rebuilding {
	const struct writer *writer;
	uint64_t key;
};

static uint64_t
jump_of(void *ctx, uint64_t id)
{
	const struct rebuilding *b = ctx;
	const struct writer *w = b->writer;
	struct store_row row;

	return w->store->ops->reader_row(w->reader, id, &row) == SW_OK &&
		row.channel == b->key ?
	    row.jump :
	    0;
}

/* After a start or a failure the chain is looked up in the store again. */
static int
complete_chain(struct writer *w, struct record *r)
{
	struct rebuilding b = { w, r->key };
	int err;

	if (r->number == 0 || chain_ends_with(&r->chain, r->head))
		return SW_OK;
	if (w->reader == NULL &&
	    (err = w->store->ops->reader_open(&w->reader, w->store)) != SW_OK)
		return err;
	if ((err = w->store->ops->reader_begin(w->reader)) != SW_OK)
		return err;
	err = chain_rebuild(&r->chain, r->head, r->number, jump_of, &b);
	w->store->ops->reader_end(w->reader);
	return err;
}

static int
store_event(struct writer *w, struct record *r, struct event *e)
{
	const struct store_ops *ops = w->store->ops;
	int err;

	/* In this order: what a failure took back is there again then. */
	if ((err = transaction(w)) != SW_OK ||
	    (err = complete_chain(w, r)) != SW_OK)
		return err;
	if (r->key == 0) {
		if ((r->key = records_take_key(&w->records)) == 0)
			return SW_ENOMEM;
		if ((err = ops->add_channel(
			 w->store, r->key, r->channel->name)) != SW_OK)
			return err;
	}
	if ((err = chain_append(&r->chain, e->id, e->number, &e->jump)) !=
	    SW_OK)
		return err;
	return ops->append(w->store, r->key, e);
}

/* SW_ENOENT: too old, but not removed yet. */
static int
judge_age(const struct writer *w, int err, uint64_t time_ms)
{
	uint64_t age = atomic_load(&w->idempotency_age_ms);

	return err == SW_OK && time_ms + age < w->last_time_ms ? SW_ENOENT :
								 err;
}

/* Was the item published before? SW_OK: yes. SW_ENOENT: no. */
static int
find_duplicate(struct writer *w, const struct record *r, struct append_item *it)
{
	struct str name = r->channel->name, key = str_of(it->key);
	uint64_t id = 0, time_ms = 0;
	int err = keys_find(w->keys, name, key, &id, &time_ms);

	err = judge_age(w, err, time_ms);
	/*
	 * A reload or a start may have come in between: it is where it was. Of
	 * a channel that the store knows this holds before we hear of that.
	 */
	if (err == SW_ENOENT && (r->stored || r->key != 0 || w->past.changed) &&
	    (err = transaction(w)) == SW_OK) {
		err =
		    w->store->ops->find_key(w->store, name, key, &id, &time_ms);
		err = judge_age(w, err, time_ms);
	}
	if (err != SW_OK)
		return err;
	it->duplicate = true;
	it->id = id;
	it->time_ms = time_ms;
	return SW_OK;
}

static int
remember_key(struct writer *w, const struct record *r, struct append_item *it)
{
	struct str name = r->channel->name, key = str_of(it->key);

	if (!r->stored)
		return keys_add(w->keys, name, key, it->id, it->time_ms);
	janitor_notice_key(&w->janitor);
	return w->store->ops->add_key(w->store, name, key, it->id, it->time_ms);
}

/* Does the channel's history go to the store? */
static bool
is_stored(const struct channel *c)
{
	return channel_policy(c)->durability != DURABILITY_MEMORY;
}

static int
append_one(struct writer *w, struct group *g, struct append_item *it)
{
	struct event *e = it->event;
	struct record *r;
	int err;

	if ((err = records_get(&r, &w->records, e->channel)) != SW_OK ||
	    (err = undo_push(w, r)) != SW_OK)
		return err;
	/* A reload may have changed it; `durable` in the answer counts on it */
	r->stored = is_stored(e->channel);
	if (it->key != NULL) {
		err = find_duplicate(w, r, it);
		if (err != SW_ENOENT)
			return err;
	}
	e->id = it->id = ++w->last_id;
	e->time_ms = it->time_ms = g->time_ms;
	e->previous = r->head;
	e->number = r->number + 1;
	e->total = r->total + e->size;
	if (r->stored && (err = store_event(w, r, e)) != SW_OK)
		return err;
	if (it->key != NULL && (err = remember_key(w, r, it)) != SW_OK)
		return err;
	r->head = e->id;
	r->number = e->number;
	r->total = e->total;
	g->batch->events[g->batch->count++] = e;
	return SW_OK;
}

static int
clear_channel(struct writer *w, struct channel *c)
{
	struct record *r;
	struct store_channel saved;
	int err;

	if ((err = records_get(&r, &w->records, c)) != SW_OK || r->key == 0)
		return err;
	saved = (struct store_channel){
		.key = r->key,
		.head = r->head,
		.number = r->number,
		.total = r->total,
		.floor = r->head,
	};
	if ((err = transaction(w)) != SW_OK)
		return err;
	return w->store->ops->save_channel(w->store, &saved);
}

/* No id above `reserved` may be used: set more aside when they run out. */
static int
reserve_ids(struct writer *w, size_t count)
{
	struct store_state state = w->state;
	int err;

	if (w->last_id + count <= w->state.reserved)
		return SW_OK;
	state.reserved = w->last_id + count + RESERVE_IDS;
	if ((err = transaction(w)) != SW_OK ||
	    (err = w->store->ops->save_state(w->store, &state)) != SW_OK)
		return err;
	/* If the commit fails these ids are merely skipped. */
	w->state.reserved = state.reserved;
	return SW_OK;
}

static bool
wants_sync(const struct append *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (channel_policy(a->items[i].event->channel)->durability ==
		    DURABILITY_FULL)
			return true;
	return false;
}

static int
append_group(struct writer *w, struct group *g)
{
	uint64_t reserved = w->state.reserved;
	int err;

	/* One of them makes all of the group wait for the disk. */
	w->sync = false;
	for (const struct append *a = g->first; a != NULL; a = a->next)
		w->sync = w->sync || wants_sync(a);
	err = reserve_ids(w, g->events);
	for (struct append *a = g->first; a != NULL && err == SW_OK;
	     a = a->next) {
		if (a->clear != NULL)
			err = clear_channel(w, a->clear);
		for (size_t i = 0; i < a->count && err == SW_OK; i++)
			err = append_one(w, g, &a->items[i]);
	}
	if (err == SW_OK && w->in_transaction) {
		err = w->store->ops->commit(w->store);
		if (err == SW_OK)
			writer_set_health(w, SW_OK);
	}
	if (err != SW_OK) {
		if (w->in_transaction)
			w->store->ops->rollback(w->store);
		w->state.reserved = reserved;
	}
	w->in_transaction = false;
	return err;
}

/* The group is committed: from here on everyone may know. */
static void
publish_records(struct writer *w)
{
	for (size_t i = 0; i < w->undo_count; i++) {
		struct record *r = w->undo[i].record;

		if (r->key != 0)
			records_bind(&w->records, r); /* its key was taken */
		records_touch(&w->records, r);
		janitor_count_garbage(&w->janitor, r);
		if (r->head > channel_head(r->channel))
			channel_advance(r->channel, r->head);
	}
	w->undo_count = 0;
	atomic_store(&w->channels, w->records.count);
}

static void
batch_free(struct log_batch *b)
{
	channel_unref(b->clear);
	free(b);
}

void
log_batch_unref(struct log_batch *b)
{
	if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		batch_free(b);
}

/* Allocated before the commit: a committed group must be delivered. */
static struct log_batch *
batch_new(const struct writer *w, size_t events)
{
	struct log_batch *b = calloc(1,
	    sizeof(*b) + w->sink_count * sizeof(b->deliveries[0]) +
		events * sizeof(b->events[0]));

	if (b == NULL)
		return NULL;
	b->events = (struct event **)(void *)&b->deliveries[w->sink_count];
	atomic_init(&b->refs, w->sink_count);
	return b;
}

/* Every sink owns the events too; before an asker may drop its own. */
static void
share_events(const struct writer *w, const struct log_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		event_ref_many(b->events[i], w->sink_count);
}

static bool
has_answers(const struct writer *w, uint32_t sink)
{
	return w->chains[sink].newest != NULL;
}

/* The answers of each sink, with one wake-up. */
static void
post_answers(struct writer *w)
{
	for (uint32_t i = 0; i < w->sink_count; i++)
		loop_post_chain(w->sinks[i].loop, &w->chains[i]);
}

/*
 * Hand the batch to all sinks, and then give the answers: whoever was answered
 * finds the event wherever it asks. A sink that alone has answers gets them
 * first, and with the same wake-up: a publisher's next event may then join the
 * next group.
 */
static void
post_batch(struct writer *w, struct log_batch *b)
{
	uint32_t answering = 0;

	for (uint32_t i = 0; i < w->sink_count; i++) {
		struct log_delivery *d = &b->deliveries[i];

		d->batch = b;
		d->ctx = w->sinks[i].ctx;
		d->task.run = w->sinks[i].run;
		answering += has_answers(w, i);
	}
	for (uint32_t i = 0; i < w->sink_count; i++)
		if (answering > 1 || !has_answers(w, i))
			loop_post(w->sinks[i].loop, &b->deliveries[i].task);
	if (answering == 1)
		for (uint32_t i = 0; i < w->sink_count; i++)
			if (has_answers(w, i))
				task_chain_add(
				    &w->chains[i], &b->deliveries[i].task);
}

static void
deliver(struct writer *w, struct log_batch *b)
{
	b->head = w->last_id;
	b->committed_ns = clock_ns(CLOCK_MONOTONIC);
	if (w->sink_count == 0 || (b->count == 0 && b->clear == NULL))
		batch_free(b);
	else
		post_batch(w, b);
	post_answers(w);
}

/* Before the batch is delivered: that ends the polls that wait for it. */
static void
count_audience(struct append_item *it)
{
	const struct channel *c = it->event->channel;

	for (size_t i = 0; i < AUDIENCE_COUNT; i++)
		it->audience[i] = atomic_load_explicit(
		    &c->subscribers[i], memory_order_relaxed);
}

static void
answer_group(struct writer *w, struct group *g, int err)
{
	struct append *next;

	for (struct append *a = g->first; a != NULL; a = next) {
		next = a->next;
		a->err = err;
		if (err == SW_ESTORE || err == SW_ECORRUPT)
			a->reason = strdup(w->store->reason);
		for (size_t i = 0; i < a->count; i++) {
			count_audience(&a->items[i]);
			if (a->items[i].duplicate)
				atomic_fetch_add(&w->duplicates, 1);
		}
		answer(w, a);
	}
}

static void
finish_clear(struct writer *w, struct group *g)
{
	struct channel *c = g->first->clear;
	struct record *r;

	if (c == NULL || records_get(&r, &w->records, c) != SW_OK)
		return;
	channel_raise_floor(c, r->head);
	g->batch->clear = channel_ref(c);
	janitor_count_cleared(&w->janitor, r);
}

static int
try_group(struct writer *w, struct group *g)
{
	uint64_t first_id = w->last_id + 1;
	int err;

	g->batch = batch_new(w, g->events);
	err = g->batch == NULL ? SW_ENOMEM : append_group(w, g);
	if (err == SW_OK)
		return SW_OK;
	undo_all(w);
	keys_undo(w->keys, first_id);
	if (g->batch != NULL)
		batch_free(g->batch);
	return err;
}

/*
 * Time does not run backwards in the log when a clock is put right by a little.
 * One that is put right by more was wrong for what is there: to wait until it
 * has caught up might take years, in which nothing grows old. But one that has
 * lost its battery is wrong now, and what got its time would be too old as soon
 * as it is right again.
 */
static uint64_t
time_of_log(uint64_t last_ms, uint64_t now_ms)
{
	bool set_back =
	    now_ms >= CLOCK_SET_MS && now_ms + CLOCK_LEAP_MS < last_ms;

	return now_ms > last_ms || set_back ? now_ms : last_ms;
}

static int
commit_once(struct writer *w, struct group *g)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	int err;

	w->last_time_ms = time_of_log(w->last_time_ms, clock_unix_ms());
	g->time_ms = w->last_time_ms;
	err = try_group(w, g);
	if (err != SW_OK)
		return err;
	publish_records(w);
	finish_clear(w, g);
	atomic_fetch_add(&w->events, g->batch->count);
	atomic_fetch_add(&w->commits, 1);
	janitor_notice(&w->janitor, g->batch->count);
	/* Before anyone can ask about an id that an answer gave away. */
	atomic_store_explicit(&w->head, w->last_id, memory_order_release);
	/* Collects the answers, which drop the askers' references later. */
	share_events(w, g->batch);
	answer_group(w, g, SW_OK);
	deliver(w, g->batch);
	atomic_fetch_add(&w->commit_ns, clock_ns(CLOCK_MONOTONIC) - start);
	return SW_OK;
}

/* The group was refused: everyone in it learns why. */
static void
refuse_group(struct writer *w, struct group *g, int err)
{
	atomic_fetch_add(&w->failures, 1);
	writer_set_health(w, err);
	answer_group(w, g, err);
	post_answers(w);
}

/*
 * One bad apple, or a store that refuses while others need none, must not fail
 * the whole group: after a failure each request is tried by itself.
 */
void
commit_group(struct writer *w, struct group *g)
{
	struct append *a = g->first, *next;
	int err = commit_once(w, g);

	if (err == SW_OK)
		return;
	if (a->next == NULL) {
		refuse_group(w, g, err);
		return;
	}
	for (; a != NULL; a = next) {
		struct group alone = { .first = a, .events = a->count };

		next = a->next;
		a->next = NULL;
		for (size_t i = 0; i < a->count; i++)
			a->items[i].duplicate = false;
		if ((err = commit_once(w, &alone)) != SW_OK)
			refuse_group(w, &alone, err);
	}
}
