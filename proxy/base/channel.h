#ifndef SPILLWAY_PROXY_BASE_CHANNEL_H
#define SPILLWAY_PROXY_BASE_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/base/map.h"
#include "proxy/base/policy.h"
#include "proxy/base/str.h"

/*
 * The registry of channels: one counted object per name, known to all threads.
 *
 * A channel lives while anything refers to it: its events, the channels of the
 * workers, the store's records. It has a small `number`, reused after its end,
 * with which each thread finds its own things about it in an array.
 *
 * What is known of a channel is forgotten when it was idle for long and nothing
 * of it is kept. One that comes anew may have been such a one: up to the newest
 * event of all that were forgotten, it is not known what it had.
 *
 * Any thread may call everything here.
 */
enum { CHANNEL_NAME_MAX = 128 };

/* The transports whose subscribers are counted per channel. */
enum audience { AUDIENCE_WS, AUDIENCE_SSE, AUDIENCE_LONG, AUDIENCE_COUNT };

struct channel {
	struct channels *registry;
	struct map_entry entry; /* under the registry's lock */
	_Atomic uint32_t refs;
	uint32_t number;
	_Atomic(const struct policy *) policy; /* the configuration's */
	_Atomic uint64_t key;  /* whose rows the store has for it; 0: none */
	uint64_t born;         /* up to this id, what it had may be forgotten */
	_Atomic uint64_t head; /* id of its newest committed event, or `born` */
	uint64_t start;        /* `head` before its first events of this run */
	_Atomic uint64_t first; /* the newest of those; 0: `start` is not set */
	_Atomic uint64_t before; /* `head` before its newest events */
	_Atomic uint64_t floor;  /* up to this id its history was deleted */
	_Atomic uint32_t subscribers[AUDIENCE_COUNT];
	struct str name; /* terminated as well */
	char text[];
};

struct channels;

/* `limit` channels at most. */
int channels_new(struct channels **out, size_t limit);
/* Every channel must be gone. */
void channels_free(struct channels *cs);

/*
 * How policies are found: called for each new channel, and for all of them by
 * channels_reload. What it returns is borrowed for as long as channels use it.
 */
typedef const struct policy *channels_policy_fn(void *ctx, struct str name);
void channels_reload(struct channels *cs, channels_policy_fn *find, void *ctx);
/* Another number after each reload; odd while one is at work. */
uint32_t channels_reloads(const struct channels *cs);

/* 1 to 128 of A-Z a-z 0-9 . _ ~ : - */
bool channel_name_valid(struct str name);

/*
 * The channel of that name, made if there is none yet; a new reference.
 * SW_EINVAL for a bad name, SW_ELIMIT when there are too many channels.
 */
int channels_get(struct channel **out, struct channels *cs, struct str name);
/* A new reference, or NULL if there is none of that name. */
struct channel *channels_find(struct channels *cs, struct str name);

struct channel *channel_ref(struct channel *c);
void channel_unref(struct channel *c); /* accepts NULL */

/* Channels made from here on may have had events up to this id. */
void channels_forgot(struct channels *cs, uint64_t upto);
/* And up to what this returns for their name, or 0; it must not call back. */
typedef uint64_t channels_past_fn(void *ctx, struct str name);
void channels_set_past(struct channels *cs, channels_past_fn *past, void *ctx);
/*
 * End the channel, as channel_unref does, and forget what it had. False if
 * anything but the caller refers to it: then nothing has changed.
 */
bool channel_forget(struct channel *c);

/* Every number ever given out is below this. */
uint32_t channels_numbers(struct channels *cs);

/*
 * Call `visit` for each channel with a number from `first` on, `count` numbers
 * at most, with the registry locked: it may take a reference, and must not call
 * back. Of a million channels some thousand at a time, so that nobody waits. A
 * channel that is there all the while is met once. False: there are no further
 * numbers.
 */
typedef void channels_visit_fn(void *ctx, struct channel *c);
bool channels_visit(struct channels *cs, uint32_t first, uint32_t count,
    channels_visit_fn *visit, void *ctx);

static inline const struct policy *
channel_policy(const struct channel *c)
{
	return atomic_load_explicit(&c->policy, memory_order_acquire);
}

static inline uint64_t
channel_head(const struct channel *c)
{
	return atomic_load_explicit(&c->head, memory_order_acquire);
}

/* Its newest committed event is another one; the writer's. */
static inline void
channel_advance(struct channel *c, uint64_t head)
{
	if (atomic_load_explicit(&c->first, memory_order_relaxed) == 0) {
		c->start = channel_head(c);
		atomic_store_explicit(&c->first, head, memory_order_release);
	}
	/* Who sees the one sees the other. */
	atomic_store_explicit(
	    &c->before, channel_head(c), memory_order_release);
	atomic_store_explicit(&c->head, head, memory_order_release);
}

/* Did it have an event that is not forgotten? */
static inline bool
channel_has_head(const struct channel *c)
{
	return channel_head(c) > c->born;
}

/* Does anything but the caller refer to it? It may change at any time. */
static inline bool
channel_is_shared(const struct channel *c)
{
	return atomic_load_explicit(&c->refs, memory_order_acquire) > 1;
}

static inline uint64_t
channel_key(const struct channel *c)
{
	return atomic_load_explicit(&c->key, memory_order_acquire);
}

static inline uint64_t
channel_floor(const struct channel *c)
{
	return atomic_load_explicit(&c->floor, memory_order_acquire);
}

/* Nothing up to this id is history any more. Returns whether that is news. */
static inline bool
channel_raise_floor(struct channel *c, uint64_t id)
{
	uint64_t floor = channel_floor(c);

	while (floor < id)
		if (atomic_compare_exchange_weak(&c->floor, &floor, id))
			return true;
	return false;
}

#endif
