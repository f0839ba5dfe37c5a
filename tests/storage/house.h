#ifndef SPILLWAY_TESTS_STORAGE_HOUSE_H
#define SPILLWAY_TESTS_STORAGE_HOUSE_H

#include <check.h>
#include <time.h>

#include "storage/writer.h"
#include "tests/storage/engines.h"

/*
 * The housekeeping of a writer whose thread does not run: each test takes the
 * steps itself, on every engine.
 */
struct house {
	struct world world;
	struct writer writer;
	uint64_t now_ms;
	const struct store_ops *real; /* while the store has others: */
	struct store_ops changed;
};

static inline void
house_open(struct house *h, int engine)
{
	struct timespec now;

	scratch_make();
	world_init(&h->world);
	ck_assert_int_eq(writer_init(&h->writer), SW_OK);
	h->writer.store = engine_open(engine);
	h->writer.state = engine_state(h->writer.store);
	atomic_store(&h->writer.idempotency_age_ms, 1000);
	/* The second is over when a test says so. */
	h->writer.janitor.next_second_ms = UINT64_MAX;
	clock_gettime(CLOCK_REALTIME, &now);
	h->now_ms = (uint64_t)now.tv_sec * 1000;
}

static inline void
house_close(struct house *h)
{
	h->writer.store->ops->close(h->writer.store);
	writer_fini(&h->writer);
	world_fini(&h->world);
	scratch_remove();
}

static inline int
refuse_commit(struct store *s)
{
	snprintf(s->reason, sizeof(s->reason), "No room.");
	return SW_ESTORE;
}

/* What the store is to do until it is mended. */
static inline struct store_ops *
house_change(struct house *h)
{
	h->real = h->writer.store->ops;
	h->changed = *h->real;
	h->writer.store->ops = &h->changed;
	return &h->changed;
}

static inline void
house_mend(struct house *h)
{
	h->writer.store->ops = h->real;
}

static inline struct record *
house_record(struct house *h, const char *name)
{
	struct channel *c = world_channel(&h->world, name);
	struct store *s = h->writer.store;
	struct record *r;

	ck_assert_int_eq(records_get(&r, &h->writer.records, c), SW_OK);
	if (r->key == 0) {
		r->key = h->writer.records.next_key++;
		ck_assert_int_eq(records_bind(&h->writer.records, r), SW_OK);
		engine_begin(s);
		ck_assert_int_eq(
		    s->ops->add_channel(s, r->key, c->name), SW_OK);
		engine_commit(s);
	}
	channel_unref(c);
	return r;
}

/* Events of so many bytes to one channel, as the writer stores them. */
static inline void
house_store(struct house *h, const char *name, unsigned count, size_t size,
    uint64_t time_ms)
{
	struct record *r = house_record(h, name);
	struct writer *w = &h->writer;

	engine_begin(w->store);
	for (unsigned i = 0; i < count; i++) {
		struct event *e = make_sized_event(r->channel, size);

		e->id = ++w->last_id;
		e->time_ms = time_ms;
		e->previous = r->head;
		e->number = ++r->number;
		e->total = r->total += e->size;
		ck_assert_int_eq(
		    chain_append(&r->chain, e->id, e->number, &e->jump), SW_OK);
		ck_assert_int_eq(
		    w->store->ops->append(w->store, r->key, e), SW_OK);
		r->head = e->id;
		event_unref(e);
		janitor_count_garbage(&w->janitor, r);
	}
	engine_commit(w->store);
	atomic_store(&r->channel->head, r->head);
	records_touch(&w->records, r);
	janitor_notice(&w->janitor, count);
}

/* One second's work, and all that follows from it. */
static inline void
house_second(struct house *h)
{
	h->writer.janitor.next_second_ms = 0;
	ck_assert_uint_eq(
	    janitor_step(&h->writer.janitor, &h->writer, false), 0);
	h->writer.janitor.next_second_ms = UINT64_MAX;
	while (janitor_step(&h->writer.janitor, &h->writer, false) == 0)
		;
}

struct seen {
	uint64_t ids[20000];
	size_t count;
};

static inline bool
see_row(void *ctx, const struct store_row *row)
{
	struct seen *s = ctx;

	ck_assert_uint_lt(s->count, 20000);
	s->ids[s->count++] = row->id;
	return true;
}

static inline void
house_look(struct house *h, struct seen *s)
{
	s->count = 0;
	ck_assert_int_eq(
	    h->writer.store->ops->scan(h->writer.store, 0, see_row, s), SW_OK);
}

/* Exactly the ids from `first` to `last` are there. */
static inline void
check_rows(struct house *h, uint64_t first, uint64_t last)
{
	static struct seen s;

	house_look(h, &s);
	ck_assert_uint_eq(s.count, last - first + 1);
	for (size_t i = 0; i < s.count; i++)
		ck_assert_uint_eq(s.ids[i], first + i);
}

#endif
