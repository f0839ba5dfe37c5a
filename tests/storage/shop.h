#ifndef SPILLWAY_TESTS_STORAGE_SHOP_H
#define SPILLWAY_TESTS_STORAGE_SHOP_H

#include "tests/storage/engines.h"

/* An engine with one channel, and what the tests ask of it. */
struct shop {
	struct world world;
	struct store *store;
	const struct store_ops *ops;
	struct store_reader *reader;
	struct scribe room;
};

static inline void
shop_open(struct shop *t, int engine)
{
	*t = (struct shop){ .store = NULL };
	scratch_make();
	world_init(&t->world);
	t->store = engine_open(engine);
	t->ops = t->store->ops;
	engine_begin(t->store);
	scribe_init(&t->room, t->store, world_channel(&t->world, "room"), 1);
	engine_commit(t->store);
	t->reader = engine_reader(t->store);
}

static inline void
shop_close(struct shop *t)
{
	t->ops->reader_close(t->reader);
	t->ops->close(t->store);
	scribe_fini(&t->room);
	ck_assert_uint_eq(event_memory(), 0);
	world_fini(&t->world);
	scratch_remove();
}

/* Inside a transaction. */
static inline void
shop_write(struct shop *t, uint64_t id)
{
	scribe_write(&t->room, t->store, make_event(t->room.channel, STR("x")),
	    id, id * 100);
}

/* As a plain SQLite store, in a hurry or not before. */
static inline void
shop_reopen(struct shop *t)
{
	t->ops->reader_close(t->reader);
	t->ops->close(t->store);
	t->store = engine_open(ENGINE_SQLITE);
	t->reader = engine_reader(t->store);
}

#endif
