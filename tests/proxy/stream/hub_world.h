#ifndef SPILLWAY_TESTS_PROXY_STREAM_HUB_WORLD_H
#define SPILLWAY_TESTS_PROXY_STREAM_HUB_WORLD_H

#include <stdlib.h>

#include "proxy/stream/hub.h"
#include "proxy/worker.h"
#include "tests/storage/world.h"
#include "tests/suite.h"

/* A hub of a worker that does nothing by itself, and a log that is empty. */
struct hub_world {
	struct world world;
	struct conf conf;
	struct worker worker;
	struct hub *hub;
	uint64_t id; /* of the newest event */
};

static inline void
hub_world_init(struct hub_world *w, size_t window_bytes, uint32_t window_events)
{
	struct log_options o = { .path = "memory" };

	memset(w, 0, sizeof(*w));
	world_init(&w->world);
	o.channels = w->world.channels;
	w->conf.window_bytes = window_bytes;
	w->conf.window_events = window_events;
	w->worker.conf = &w->conf;
	w->worker.channels = w->world.channels;
	ck_assert_int_eq(loop_new(&w->worker.loop), SW_OK);
	w->hub = &w->worker.hub;
	ck_assert_int_eq(log_open(&w->worker.log, &o), SW_OK);
	ck_assert_int_eq(hub_init(w->hub, &w->worker), SW_OK);
}

/* Nothing may be left behind, events included. */
static inline void
hub_world_fini(struct hub_world *w)
{
	hub_fini(w->hub);
	log_close(w->worker.log);
	loop_free(w->worker.loop);
	ck_assert_uint_eq(event_memory(), 0);
	world_fini(&w->world);
}

/* The channel's next event of so many bytes; a reference. */
static inline struct event *
hub_world_event(
    struct hub_world *w, struct hub_channel *hc, struct channel *c, size_t size)
{
	struct event *e = make_sized_event(c, size);

	e->previous = hc == NULL ? 0 : hub_channel_newest(hc);
	e->id = ++w->id;
	return e;
}

/* What the writer hands over: takes the events. */
static inline void
hub_world_commit(struct hub_world *w, struct event **events, size_t count,
    struct channel *clear)
{
	struct log_batch *b = calloc(
	    1, sizeof(*b) + sizeof(b->deliveries[0]) + count * sizeof(*events));

	ck_assert_ptr_nonnull(b);
	atomic_init(&b->refs, 1);
	b->events = (struct event **)(void *)&b->deliveries[1];
	b->count = count;
	b->head = w->id;
	b->clear = clear;
	b->deliveries[0].batch = b;
	b->deliveries[0].ctx = w->hub;
	for (size_t i = 0; i < count; i++)
		b->events[i] = events[i];
	hub_take(&b->deliveries[0].task);
}

/* Commit one event of a channel. */
static inline void
hub_world_publish(struct hub_world *w, const char *name, size_t size)
{
	struct channel *c = world_channel(&w->world, name);
	struct event *e =
	    hub_world_event(w, hub_channel_find(w->hub, str_of(name)), c, size);

	hub_world_commit(w, &e, 1, NULL);
	channel_unref(c);
}

static inline struct hub_channel *
hub_world_channel(struct hub_world *w, const char *name)
{
	struct hub_channel *hc;

	ck_assert_int_eq(hub_channel_get(&hc, w->hub, str_of(name)), SW_OK);
	return hc;
}

#endif
