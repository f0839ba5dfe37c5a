#ifndef SPILLWAY_TESTS_STORAGE_ENGINES_H
#define SPILLWAY_TESTS_STORAGE_ENGINES_H

#include "proxy/base/err.h"
#include "storage/chain.h"
#include "storage/store.h"
#include "tests/scratch.h"
#include "tests/storage/world.h"

/*
 * The engines, which all must behave alike: tests of the interface run once
 * for each. And rows for them, chained up as the writer does it.
 */
enum engine {
	ENGINE_MEMORY,
	ENGINE_SQLITE,
	ENGINE_BUSY, /* SQLite, as if all groups came at once */
	ENGINES
};

/* In the test's directory. */
static inline struct store *
engine_open(int engine)
{
	struct store *s = NULL;

	if (engine == ENGINE_MEMORY)
		ck_assert_int_eq(store_memory_open(&s), SW_OK);
	else
		ck_assert_int_eq(
		    store_sqlite_open(&s, scratch_path("store.db"), true),
		    SW_OK);
	ck_assert_ptr_nonnull(s);
	if (engine == ENGINE_BUSY)
		store_sqlite_hurry(s, UINT64_MAX);
	return s;
}

static inline int
engine_skip_channel(void *ctx, const struct store_channel *c)
{
	(void)ctx;
	(void)c;
	return SW_OK;
}

static inline int
engine_skip_row(void *ctx, const struct store_row *row)
{
	(void)ctx;
	(void)row;
	return SW_OK;
}

static inline struct store_state
engine_state(struct store *s)
{
	const struct store_visitor visitor = { engine_skip_channel,
		engine_skip_row, NULL };
	struct store_state state;

	ck_assert_int_eq(s->ops->load(s, &state, &visitor), SW_OK);
	return state;
}

static inline void
engine_begin(struct store *s)
{
	ck_assert_int_eq(s->ops->begin(s, false), SW_OK);
}

/* Readers do not need to see it. */
static inline void
engine_commit_unseen(struct store *s)
{
	ck_assert_int_eq(s->ops->commit(s), SW_OK);
}

static inline void
engine_commit(struct store *s)
{
	engine_commit_unseen(s);
	ck_assert_int_eq(s->ops->settle(s), SW_OK);
}

static inline struct store_reader *
engine_reader(struct store *s)
{
	struct store_reader *r;

	ck_assert_int_eq(s->ops->reader_open(&r, s), SW_OK);
	return r;
}

/* Who writes to one channel: where its chain ends. */
struct scribe {
	struct channel *channel; /* a reference */
	uint64_t key, head, number, total;
	struct chain chain;
};

/* Begin a channel; inside a transaction. */
static inline void
scribe_init(struct scribe *w, struct store *s, struct channel *c, uint64_t key)
{
	*w = (struct scribe){ .channel = c, .key = key };
	atomic_store(&c->key, key);
	ck_assert_int_eq(s->ops->add_channel(s, key, c->name), SW_OK);
}

static inline void
scribe_fini(struct scribe *w)
{
	chain_fini(&w->chain);
	channel_unref(w->channel);
}

/* Append an event, inside a transaction; takes the reference. */
static inline void
scribe_write(struct scribe *w, struct store *s, struct event *e, uint64_t id,
    uint64_t time_ms)
{
	e->id = id;
	e->time_ms = time_ms;
	e->previous = w->head;
	e->number = ++w->number;
	e->total = w->total += e->size;
	ck_assert_int_eq(
	    chain_append(&w->chain, id, e->number, &e->jump), SW_OK);
	ck_assert_int_eq(s->ops->append(s, w->key, e), SW_OK);
	w->head = id;
	event_unref(e);
}

/* The channel's head is known to everyone: after the commit. */
static inline void
scribe_publish(struct scribe *w)
{
	atomic_store(&w->channel->head, w->head);
}

#endif
