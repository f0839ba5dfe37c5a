#ifndef SPILLWAY_PROXY_BASE_EVENT_H
#define SPILLWAY_PROXY_BASE_EVENT_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proxy/base/channel.h"
#include "proxy/base/str.h"

/*
 * One published event: an id, a channel and a payload, fixed once it is
 * committed.
 *
 * The writer, the workers' windows and every subscriber hold the same event, so
 * it is shared by counting: the payload is copied once, here. The bytes that
 * transports send are made once per form and kept with the event, so that a
 * thousand subscribers send the same memory. Counts and forms are atomic: any
 * thread may hold an event and ask for a form of it.
 */

/* What the payload is, which decides how text transports carry it. */
enum event_kind {
	EVENT_JSON,   /* a JSON text: stands in the envelope as it is */
	EVENT_TEXT,   /* UTF-8: a string in the envelope */
	EVENT_BINARY, /* anything else: base64 in text transports */
};

/* The ways in which an event looks on the wire; see transports/transport.h. */
enum form {
	FORM_WS_JSON,
	FORM_WS_RAW,
	FORM_WS_JSON_DEFLATE, /* any window */
	FORM_WS_RAW_DEFLATE,
	FORM_WS_JSON_DEFLATE_SMALL, /* for peers with a window below 32 KiB */
	FORM_WS_RAW_DEFLATE_SMALL,
	FORM_SSE_JSON,
	FORM_SSE_RAW,
	FORM_POLL_JSON,
	FORM_POLL_RAW,
	FORM_COUNT,
};

/*
 * The bytes of one form; owned by its event. Where a large payload stands in
 * them as it is, it is not there again: `bytes` are those around it.
 */
struct encoding {
	size_t len;  /* in all */
	size_t hole; /* where the payload belongs, or ENCODING_WHOLE */
	uint8_t bytes[];
};

#define ENCODING_WHOLE SIZE_MAX

enum { ENCODING_PIECES = 3 };

enum {
	EVENT_TYPE_MAX = 128,
	EVENT_CONTENT_TYPE_MAX = 255,
};

struct event {
	_Atomic uint32_t refs;
	uint8_t kind; /* enum event_kind */
	uint8_t type_len;
	uint8_t content_type_len;
	uint16_t data_at; /* where the payload begins in `text` */
	uint32_t size;    /* of the payload */

	/* Set by the writer, before anyone else sees the event. */
	uint64_t id;
	uint64_t previous; /* id of the channel's event before, or 0 */
	uint64_t jump;     /* id of an older one, see storage/chain.h */
	uint64_t number;   /* counts the channel's events from 1 */
	uint64_t total;    /* payload bytes of the channel up to this one */
	uint64_t time_ms;  /* Unix time */

	struct channel *channel; /* a reference */
	_Atomic(struct encoding *) forms[FORM_COUNT];
	char text[]; /* type, content type, payload */
};

/*
 * Make an event with room for `size` bytes of payload, which the caller fills
 * in at event_payload() before it is submitted. Takes a reference to the
 * channel of its own. One reference in `*out`. SW_ELIMIT if a text is too long,
 * SW_ENOMEM.
 */
int event_new(struct event **out, struct channel *c, enum event_kind kind,
    struct str type, struct str content_type, size_t size);
/*
 * Before it is submitted: say what the payload is, now that it has come. The
 * content type is at most as long as the one that the event was made with.
 */
void event_settle(
    struct event *e, enum event_kind kind, struct str content_type);

static inline struct event *
event_ref(struct event *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

/* `n` more owners at once. */
static inline void
event_ref_many(struct event *e, uint32_t n)
{
	atomic_fetch_add_explicit(&e->refs, n, memory_order_relaxed);
}

void event_unref(struct event *e); /* one owner less; accepts NULL */

/* Borrowed while the caller holds a reference. */
static inline struct str
event_type(const struct event *e)
{
	return (struct str){ e->text, e->type_len };
}

static inline struct str
event_content_type(const struct event *e)
{
	return (struct str){ e->text + e->type_len, e->content_type_len };
}

static inline char *
event_payload(struct event *e)
{
	return e->text + e->data_at;
}

static inline struct str
event_data(const struct event *e)
{
	return (struct str){ e->text + e->data_at, e->size };
}

/* NULL if that form was not made yet. */
static inline const struct encoding *
event_form(const struct event *e, enum form f)
{
	return atomic_load_explicit(&e->forms[f], memory_order_acquire);
}

/*
 * Keep a copy of `bytes` as that form of the event. When two threads make the
 * same form at once, one of the equal copies stays. NULL if memory ran out.
 */
const struct encoding *event_keep_form(
    struct event *e, enum form f, const void *bytes, size_t len);
/* The same of the bytes around the payload, which belongs at `hole`. */
const struct encoding *event_keep_form_around(
    struct event *e, enum form f, const void *bytes, size_t len, size_t hole);

/* The bytes of a form of `e` from `from` on; returns how many pieces. */
int event_form_pieces(const struct event *e, const struct encoding *form,
    size_t from, struct iovec out[ENCODING_PIECES]);

/* Bytes that all events of the process hold, with their forms. */
uint64_t event_memory(void);

#endif
