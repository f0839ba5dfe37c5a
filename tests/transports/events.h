#ifndef SPILLWAY_TESTS_TRANSPORTS_EVENTS_H
#define SPILLWAY_TESTS_TRANSPORTS_EVENTS_H

#include "proxy/base/err.h"
#include "proxy/base/event.h"
#include "tests/bytes.h"

/* One channel, and events as the writer hands them out. */

static struct channels *events_registry;
static struct channel *events_channel;

static inline void
events_setup(void)
{
	ck_assert_int_eq(channels_new(&events_registry, 10), SW_OK);
	ck_assert_int_eq(
	    channels_get(&events_channel, events_registry, STR("room-7")),
	    SW_OK);
}

/* Every event must be gone by now, with all its forms. */
static inline void
events_teardown(void)
{
	ck_assert_uint_eq(event_memory(), 0);
	channel_unref(events_channel);
	channels_free(events_registry);
}

/* Number 1042, of 2025-11-20; the caller's. */
static inline struct event *
event_of(enum event_kind kind, const char *type, const char *content_type,
    struct str payload)
{
	struct event *e = NULL;

	ck_assert_int_eq(event_new(&e, events_channel, kind, str_of(type),
			     str_of(content_type), payload.len),
	    SW_OK);
	if (payload.len > 0)
		memcpy(event_payload(e), payload.p, payload.len);
	e->id = 1042;
	e->time_ms = UINT64_C(1763634245123);
	return e;
}

#endif
