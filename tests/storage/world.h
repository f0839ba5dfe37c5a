#ifndef SPILLWAY_TESTS_STORAGE_WORLD_H
#define SPILLWAY_TESTS_STORAGE_WORLD_H

#include <check.h>
#include <stdio.h>

#include "proxy/base/channel.h"
#include "proxy/base/err.h"
#include "proxy/base/event.h"

/*
 * Channels and their policies for a test. A policy goes for the names that
 * begin with its prefix; the last one that fits counts.
 */
struct world {
	struct channels *channels;
	struct {
		const char *prefix;
		struct policy policy;
	} rules[8];
	size_t rule_count;
};

static inline const struct policy *
world_find_policy(void *ctx, struct str name)
{
	static const struct policy keep_all = {
		.history_events = UINT64_MAX,
		.durability = DURABILITY_NORMAL,
	};
	const struct world *w = ctx;

	for (size_t i = w->rule_count; i > 0; i--)
		if (str_starts(name, w->rules[i - 1].prefix))
			return &w->rules[i - 1].policy;
	return &keep_all;
}

static inline void
world_init(struct world *w)
{
	*w = (struct world){ .rule_count = 0 };
	ck_assert_int_eq(channels_new(&w->channels, 100000), SW_OK);
	channels_reload(w->channels, world_find_policy, w);
}

/* One more policy, in force at once. */
static inline void
world_rule(struct world *w, const char *prefix, struct policy policy)
{
	size_t i = w->rule_count++;

	ck_assert_uint_lt(i, sizeof(w->rules) / sizeof(w->rules[0]));
	w->rules[i].prefix = prefix;
	w->rules[i].policy = policy;
	channels_reload(w->channels, world_find_policy, w);
}

static inline void
world_memory(struct world *w, const char *prefix)
{
	world_rule(w, prefix,
	    (struct policy){
		.history_events = UINT64_MAX,
		.durability = DURABILITY_MEMORY,
	    });
}

/* So many newest events are kept. */
static inline void
world_keep(struct world *w, const char *prefix, uint64_t history_events)
{
	world_rule(w, prefix,
	    (struct policy){
		.history_events = history_events,
		.durability = DURABILITY_NORMAL,
	    });
}

static inline void
world_fini(struct world *w)
{
	channels_free(w->channels);
}

/* A reference to the channel of that name. */
static inline struct channel *
world_channel(struct world *w, const char *name)
{
	struct channel *c;

	ck_assert_int_eq(channels_get(&c, w->channels, str_of(name)), SW_OK);
	return c;
}

/* The same for a number. */
static inline struct channel *
world_numbered(struct world *w, const char *prefix, unsigned number)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%u", prefix, number);
	return world_channel(w, name);
}

/* A new event of that text; a reference. */
static inline struct event *
make_event(struct channel *c, struct str data)
{
	struct event *e;

	ck_assert_int_eq(event_new(&e, c, EVENT_TEXT, STR("message"),
			     STR("text/plain"), data.len),
	    SW_OK);
	if (data.len > 0)
		memcpy(event_payload(e), data.p, data.len);
	return e;
}

/* So many bytes, any. */
static inline struct event *
make_sized_event(struct channel *c, size_t size)
{
	struct event *e;

	ck_assert_int_eq(event_new(&e, c, EVENT_BINARY, STR("message"),
			     STR("application/octet-stream"), size),
	    SW_OK);
	memset(event_payload(e), 'x', size);
	return e;
}

/* Random numbers that are the same in every run. */
static inline uint32_t
random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

static inline uint32_t
random_below(uint64_t *state, uint32_t n)
{
	return random_next(state) % n;
}

#endif
