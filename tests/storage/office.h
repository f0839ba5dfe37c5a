#ifndef SPILLWAY_TESTS_STORAGE_OFFICE_H
#define SPILLWAY_TESTS_STORAGE_OFFICE_H

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "storage/log.h"
#include "tests/scratch.h"
#include "tests/storage/world.h"

/*
 * A log at work: workers that write down what reaches them, one who publishes,
 * and a disk that can be full.
 */
enum {
	DESKS = 2,
	NOTES_MAX = 4096,
	DAY_MS = 86400000,
	FILE_LIMIT = 64 * 1024,     /* of the full disk */
	PAYLOAD_LIMIT = 512 * 1024, /* far from what the database takes */
	TOO_BIG = 2 * PAYLOAD_LIMIT,
};

/* What reaches a worker, in the order in which it does. */
enum kind { ANSWERED, DELIVERED, CLEARED, TOLD, KINDS };

struct note {
	enum kind kind;
	int err;
	bool duplicate, explained;
	uint64_t id, number, total;
	uint64_t head;  /* of the log, at that moment */
	uint64_t batch; /* a DELIVERED's: its batch's head */
	char name[16];  /* of the channel */
};

/* A worker: a loop in a thread of its own, that writes everything down. */
struct desk {
	struct log *log;
	struct loop *loop;
	pthread_t thread;
	struct task stop;
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct note notes[NOTES_MAX];
	size_t count;
	size_t counts[KINDS];
};

static inline void
desk_note(struct desk *d, struct note n, const struct channel *c)
{
	n.head = log_head(d->log);
	if (c != NULL)
		snprintf(n.name, sizeof(n.name), "%s", c->text);
	pthread_mutex_lock(&d->lock);
	if (d->count < NOTES_MAX)
		d->notes[d->count++] = n;
	d->counts[n.kind]++;
	pthread_cond_signal(&d->news);
	pthread_mutex_unlock(&d->lock);
}

static inline void
desk_answered(struct append *a)
{
	struct desk *d = a->owner;

	for (size_t i = 0; i < a->count; i++) {
		const struct append_item *it = &a->items[i];

		desk_note(d,
		    (struct note){
			.kind = ANSWERED,
			.err = a->err,
			.explained = a->reason != NULL,
			.duplicate = it->duplicate,
			.id = it->id,
		    },
		    it->event->channel);
	}
	if (a->count == 0)
		desk_note(d, (struct note){ .kind = ANSWERED, .err = a->err },
		    a->clear);
	append_free(a);
}

static inline void
desk_delivered(struct task *t)
{
	struct log_delivery *l = container_of(t, struct log_delivery, task);
	struct log_batch *b = l->batch;

	for (size_t i = 0; i < b->count; i++) {
		struct event *e = b->events[i];

		desk_note(l->ctx,
		    (struct note){
			.kind = DELIVERED,
			.id = e->id,
			.number = e->number,
			.total = e->total,
			.batch = b->head,
		    },
		    e->channel);
		event_unref(e);
	}
	if (b->clear != NULL)
		desk_note(l->ctx, (struct note){ .kind = CLEARED }, b->clear);
	log_batch_unref(b);
}

static inline void
desk_stop(struct task *t)
{
	loop_stop(container_of(t, struct desk, stop)->loop);
}

static inline void *
desk_main(void *arg)
{
	loop_run(((struct desk *)arg)->loop);
	return NULL;
}

/* Until so many of a kind have come, ever. */
static inline void
desk_wait(struct desk *d, enum kind kind, size_t n)
{
	pthread_mutex_lock(&d->lock);
	while (d->counts[kind] < n)
		pthread_cond_wait(&d->news, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

/* The nth of a kind, from 0; it must be there. */
static inline struct note
desk_nth(struct desk *d, enum kind kind, size_t n)
{
	struct note found = { .kind = KINDS };

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < d->count && found.kind == KINDS; i++)
		if (d->notes[i].kind == kind && n-- == 0)
			found = d->notes[i];
	pthread_mutex_unlock(&d->lock);
	ck_assert_int_eq(found.kind, kind);
	return found;
}

/* A log with its workers, and one who publishes. */
struct office {
	struct world world;
	struct log_options options;
	struct log *log;
	struct desk desks[DESKS];
	struct log_stage stage;
	size_t asked; /* answers that are owed, in this life */
};

static inline void
office_start(struct office *o, const char *file)
{
	struct log_sink sinks[DESKS];

	o->options = (struct log_options){
		.path = strcmp(file, "memory") == 0 ? file : scratch_path(file),
		.channels = o->world.channels,
		.readers = 2,
		.queue_events = 10000,
		.queue_bytes = 64 << 20,
		.idempotency_age_ms = DAY_MS,
	};
	o->asked = 0;
	ck_assert_int_eq(log_open(&o->log, &o->options), SW_OK);
	for (unsigned i = 0; i < DESKS; i++) {
		struct desk *d = &o->desks[i];

		memset(d, 0, sizeof(*d));
		d->log = o->log;
		d->stop.run = desk_stop;
		pthread_mutex_init(&d->lock, NULL);
		pthread_cond_init(&d->news, NULL);
		ck_assert_int_eq(loop_new(&d->loop), SW_OK);
		sinks[i] = (struct log_sink){ d->loop, desk_delivered, d };
	}
	ck_assert_int_eq(log_start(o->log, sinks, DESKS), SW_OK);
	for (unsigned i = 0; i < DESKS; i++)
		ck_assert_int_eq(pthread_create(&o->desks[i].thread, NULL,
				     desk_main, &o->desks[i]),
		    0);
}

static inline void
office_stop(struct office *o)
{
	log_stop(o->log);
	for (unsigned i = 0; i < DESKS; i++) {
		struct desk *d = &o->desks[i];

		loop_post(d->loop, &d->stop);
		pthread_join(d->thread, NULL);
		loop_free(d->loop);
		pthread_cond_destroy(&d->news);
		pthread_mutex_destroy(&d->lock);
	}
	log_close(o->log);
	o->log = NULL;
}

static inline struct office *
office_open(const char *file)
{
	struct office *o = calloc(1, sizeof(*o));

	ck_assert_ptr_nonnull(o);
	scratch_make();
	world_init(&o->world);
	world_memory(&o->world, "memory");
	office_start(o, file);
	return o;
}

static inline void
office_close(struct office *o)
{
	office_stop(o);
	ck_assert_uint_eq(event_memory(), 0);
	world_fini(&o->world);
	scratch_remove();
	free(o);
}

/* Start again as after the end of the process: no channel is remembered. */
static inline void
office_restart(struct office *o, const char *file)
{
	office_stop(o);
	ck_assert_uint_eq(event_memory(), 0);
	channels_free(o->world.channels);
	ck_assert_int_eq(channels_new(&o->world.channels, 1000), SW_OK);
	channels_reload(o->world.channels, world_find_policy, &o->world);
	office_start(o, file);
}

/* A request for so many events, answered at a desk. */
static inline struct append *
request_new(struct office *o, unsigned desk, size_t count)
{
	struct append *a = append_new(count);

	ck_assert_ptr_nonnull(a);
	a->sink = desk;
	a->owner = &o->desks[desk];
	a->done = desk_answered;
	return a;
}

static inline void
request_item(struct office *o, struct append *a, size_t at, const char *name,
    size_t size, const char *key)
{
	struct channel *c = world_channel(&o->world, name);

	a->items[at].event = make_sized_event(c, size);
	a->items[at].key = key == NULL ? NULL : strdup(key);
	channel_unref(c);
}

static inline void
stage(struct office *o, struct append *a)
{
	o->asked += a->count == 0 ? 1 : a->count;
	ck_assert_int_eq(log_append(o->log, &o->stage, a), SW_OK);
}

/* One event on the stage, to be answered at the first desk. */
static inline void
say(struct office *o, const char *name, size_t size, const char *key)
{
	struct append *a = request_new(o, 0, 1);

	request_item(o, a, 0, name, size, key);
	stage(o, a);
}

static inline void
kick(struct office *o)
{
	log_kick(o->log, &o->stage);
}

/* Let everything on the stage be answered by the first desk. */
static inline void
settle(struct office *o)
{
	kick(o);
	desk_wait(&o->desks[0], ANSWERED, o->asked);
}

/* Publish alone, and return the answer. */
static inline struct note
publish(struct office *o, const char *name, size_t size, const char *key)
{
	say(o, name, size, key);
	settle(o);
	return desk_nth(&o->desks[0], ANSWERED, o->asked - 1);
}

/* All answers from number `first` on. */
static inline void
check_answers(struct office *o, size_t first, int err)
{
	for (size_t i = first; i < o->asked; i++)
		ck_assert_int_eq(desk_nth(&o->desks[0], ANSWERED, i).err, err);
}

/* A question to the readers. */
struct reading {
	struct log_read read;
	struct history_part part;
	struct desk *desk;
};

static inline void
reading_done(struct task *t)
{
	struct reading *r = container_of(t, struct reading, read.task);

	desk_note(r->desk, (struct note){ .kind = TOLD }, NULL);
}

/* All that is kept of a channel; ended by history_query_fini. */
static inline void
read_all(struct office *o, struct reading *r, const char *name)
{
	struct desk *d = &o->desks[1];
	struct channel *c = world_channel(&o->world, name);
	size_t told = d->counts[TOLD];

	*r = (struct reading){
		.part = { .channel = c, .newest = channel_head(c) },
		.desk = d,
		.read = { .query = { .parts = &r->part,
			      .part_count = 1,
			      .limit = 1000,
			      .max_bytes = 1 << 24 },
		    .loop = d->loop,
		    .unix_ms = clock_unix_ms(),
		    .task.run = reading_done },
	};
	ck_assert_int_eq(log_read(o->log, &r->read), SW_OK);
	desk_wait(d, TOLD, told + 1);
	ck_assert_int_eq(r->read.err, SW_OK);
	channel_unref(c);
}

/* Exactly these ids are the history of the channel. */
static inline void
check_history(
    struct office *o, const char *name, const uint64_t *ids, size_t count)
{
	struct reading r;

	read_all(o, &r, name);
	ck_assert_uint_eq(r.read.query.count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(r.read.query.events[i]->id, ids[i]);
	history_query_fini(&r.read.query);
}

static inline struct log_stats
stats_of(struct office *o)
{
	struct log_stats s;

	log_stats(o->log, &s);
	return s;
}

/* The disk is full: files may not grow beyond this size; 0: any. */
static inline void
disk_limit(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Fill the write-ahead log beyond the limit, and then let nothing be added. */
static inline void
disk_full(struct office *o)
{
	for (unsigned i = 0; i < 12; i++)
		say(o, "filler", 8000, NULL);
	settle(o);
	ck_assert_uint_gt(scratch_size("log.db-wal"), FILE_LIMIT);
	disk_limit(FILE_LIMIT);
}

#endif
