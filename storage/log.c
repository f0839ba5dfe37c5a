#include "storage/log.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/past.h"
#include "storage/readers.h"
#include "storage/writer.h"

struct log {
	struct log_options options;
	char *path;
	struct store *store;
	struct epoch epoch;
	uint64_t boot_head;
	struct writer writer;
	struct readers *readers;
	struct log_sink *sinks;
};

struct append *
append_new(size_t count)
{
	struct append *a = calloc(1, sizeof(*a) + count * sizeof(a->items[0]));

	if (a != NULL)
		a->count = count;
	return a;
}

void
append_free(struct append *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->count; i++) {
		event_unref(a->items[i].event);
		free(a->items[i].key);
	}
	channel_unref(a->clear);
	free(a->reason);
	free(a);
}

/* Loading: the channels as they were saved, then what came after. */

static int
load_channel(void *ctx, const struct store_channel *c)
{
	struct log *l = ctx;
	struct records *rs = &l->writer.records;
	struct channel *channel;
	struct record *r;
	int err;

	/* What we would never have stored. */
	if (!channel_name_valid(c->name) || c->key == 0 || c->key >= INT64_MAX)
		return SW_ECORRUPT;
	if ((err = channels_get(&channel, l->options.channels, c->name)) !=
	    SW_OK) {
		if (err == SW_ELIMIT)
			log_error("store: %s has more channels than "
				  "max-channels allows: raise it",
			    l->path);
		return err;
	}
	err = records_get(&r, rs, channel);
	channel_unref(channel);
	if (err != SW_OK)
		return err;
	r->key = c->key;
	r->head = c->head;
	r->number = c->number;
	r->total = c->total;
	atomic_store(&r->channel->head, c->head);
	atomic_store(&r->channel->floor, c->floor);
	return records_bind(rs, r);
}

static int
load_row(void *ctx, const struct store_row *row)
{
	struct log *l = ctx;
	struct record *r = records_by_key(&l->writer.records, row->channel);

	if (r == NULL)
		return SW_ECORRUPT;
	if (row->id > l->writer.last_id)
		l->writer.last_id = row->id;
	if (row->time_ms > l->writer.last_time_ms)
		l->writer.last_time_ms = row->time_ms;
	if (row->id <= r->head)
		return SW_OK;
	r->head = row->id;
	r->number = row->number;
	r->total = row->total;
	records_touch(&l->writer.records, r);
	atomic_store(&r->channel->head, r->head);
	return SW_OK;
}

bool
log_in_memory(const struct log *l)
{
	return strcmp(l->path, "memory") == 0;
}

static int
open_store(struct log *l)
{
	if (log_in_memory(l))
		return store_memory_open(&l->store);
	return store_sqlite_open(&l->store, l->path, l->options.shared);
}

static int
load(struct log *l)
{
	const struct store_visitor visitor = { load_channel, load_row, l };
	struct writer *w = &l->writer;
	int err;

	if ((err = open_store(l)) != SW_OK ||
	    (err = l->store->ops->load(l->store, &w->state, &visitor)) != SW_OK)
		return err;
	/* After a crash ids go on behind the block that was set aside. */
	if (w->last_id < w->state.reserved)
		w->last_id = w->state.reserved;
	w->store = l->store;
	if ((err = keep_past_load(&w->past, w, l->options.channels)) != SW_OK)
		return err;
	/* Not those that were loaded: what they had is known. */
	channels_forgot(l->options.channels, w->state.forgotten);
	l->epoch = w->state.epoch;
	l->boot_head = w->last_id;
	atomic_store(&w->head, w->last_id);
	atomic_store(&w->floor, w->state.floor);
	atomic_store(&w->channels, w->records.count);
	return SW_OK;
}

static void
unload(struct log *l)
{
	channels_set_past(l->options.channels, NULL, NULL);
	keep_past_fini(&l->writer.past);
	keep_past_init(&l->writer.past);
	records_fini(&l->writer.records);
	l->writer.last_id = 0;
	l->writer.last_time_ms = 0;
	if (l->store != NULL)
		l->store->ops->close(l->store);
	l->store = l->writer.store = NULL;
}

/* What memory alone keeps from now on. */
static int
tell_rules(struct log *l, const struct log_options *o)
{
	struct buf rules;
	int err;

	buf_init(&rules, PAST_TEXT_MAX);
	err = past_put_rules(&rules, o->policies, o->policy_count);
	if (err == SW_OK)
		err = writer_set_rules(&l->writer, buf_str(&rules));
	buf_fini(&rules);
	return err;
}

void
log_reload(struct log *l, const struct log_options *o)
{
	struct writer *w = &l->writer;
	int err = tell_rules(l, o);

	if (err != SW_OK)
		log_error("store: what was in memory alone may be lost "
			  "without a word: %s",
		    err_info(err)->sentence);

	atomic_store(&w->limit_events, o->queue_events);
	atomic_store(&w->limit_bytes, o->queue_bytes);
	atomic_store(&w->janitor.max_bytes, o->store_max_bytes);
	atomic_store(&w->idempotency_age_ms, o->idempotency_age_ms);
	atomic_store(&w->janitor.forget.age_ms, o->channel_age_ms);
}

int
log_open(struct log **out, const struct log_options *o)
{
	struct log *l = calloc(1, sizeof(*l));
	int err;

	if (l == NULL)
		return SW_ENOMEM;
	l->options = *o;
	if ((err = writer_init(&l->writer)) != SW_OK)
		goto fail;
	l->path = strdup(o->path);
	err = l->path == NULL ? SW_ENOMEM : load(l);
	if (err == SW_ECORRUPT && o->move_corrupt_aside) {
		unload(l);
		if ((err = store_sqlite_move_aside(l->path)) == SW_OK)
			err = load(l);
	} else if (err == SW_ECORRUPT) {
		log_error("store: %s is damaged: restore a copy (see "
			  "spillway(8)), or set corrupt-store = "
			  "\"move-aside\" to begin a new one",
		    l->path);
	}
	if (err != SW_OK)
		goto fail;
	log_reload(l, o);
	log_info("store opened path=%s epoch=%s head=%llu channels=%zu",
	    l->path, l->epoch.text, (unsigned long long)l->boot_head,
	    l->writer.records.count);
	*out = l;
	return SW_OK;

fail:
	log_close(l);
	return err;
}

int
log_start(struct log *l, const struct log_sink *sinks, uint32_t count)
{
	int err;

	l->sinks = calloc(count == 0 ? 1 : count, sizeof(*l->sinks));
	if (l->sinks == NULL)
		return SW_ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		l->sinks[i] = sinks[i];
	if ((err = readers_start(&l->readers, l->store, l->options.readers,
		 &l->writer)) != SW_OK)
		return err;
	return writer_start(&l->writer, l->sinks, count);
}

void
log_stop(struct log *l)
{
	writer_stop(&l->writer);
	readers_stop(l->readers);
}

void
log_close(struct log *l)
{
	if (l == NULL)
		return;
	log_stop(l);
	if (l->options.channels != NULL)
		channels_set_past(l->options.channels, NULL, NULL);
	readers_free(l->readers);
	writer_fini(&l->writer);
	if (l->store != NULL)
		l->store->ops->close(l->store);
	free(l->sinks);
	free(l->path);
	free(l);
}

const struct epoch *
log_epoch(const struct log *l)
{
	return &l->epoch;
}

uint64_t
log_head(const struct log *l)
{
	return atomic_load_explicit(&l->writer.head, memory_order_acquire);
}

uint64_t
log_floor(const struct log *l)
{
	return atomic_load_explicit(&l->writer.floor, memory_order_acquire);
}

uint64_t
log_boot_head(const struct log *l)
{
	return l->boot_head;
}

static void
run_done(struct task *t)
{
	struct append *a = container_of(t, struct append, task);

	a->done(a);
}

int
log_append(struct log *l, struct log_stage *stage, struct append *a)
{
	int err = writer_admit(&l->writer, a);

	if (err != SW_OK)
		return err;
	a->task.run = run_done;
	a->next = NULL;
	if (stage->first == NULL)
		stage->first = a;
	else
		stage->last->next = a;
	stage->last = a;
	return SW_OK;
}

void
log_kick(struct log *l, struct log_stage *stage)
{
	if (stage->first == NULL)
		return;
	writer_take(&l->writer, stage->first, stage->last);
	*stage = (struct log_stage){ NULL, NULL };
}

int
log_read(struct log *l, struct log_read *r)
{
	return readers_ask(l->readers, r);
}

void
log_stats(struct log *l, struct log_stats *out)
{
	struct writer *w = &l->writer;
	uint64_t stalled = writer_stalled_ms(w);

	*out = (struct log_stats){
		.queued_events = atomic_load(&w->queued_events),
		.queued_bytes = atomic_load(&w->queued_bytes),
		.events = atomic_load(&w->events),
		.commits = atomic_load(&w->commits),
		.failures = atomic_load(&w->failures),
		.duplicates = atomic_load(&w->duplicates),
		.removed = atomic_load(&w->janitor.removed),
		.commit_ns = atomic_load(&w->commit_ns),
		.store_bytes = atomic_load(&w->janitor.store_bytes),
		.channels = atomic_load(&w->channels),
		.forgotten = atomic_load(&w->janitor.forget.count),
	};
	pthread_mutex_lock(&w->health.lock);
	out->healthy = !w->health.failing;
	memcpy(out->reason, w->health.reason, sizeof(out->reason));
	pthread_mutex_unlock(&w->health.lock);
	if (out->healthy && stalled > 0) {
		out->healthy = false;
		snprintf(out->reason, sizeof(out->reason),
		    "the store has not answered for %llu s",
		    (unsigned long long)stalled / 1000);
	}
	readers_stats(l->readers, &out->queued_reads, &out->reads);
}
