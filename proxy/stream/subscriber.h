#ifndef SPILLWAY_PROXY_STREAM_SUBSCRIBER_H
#define SPILLWAY_PROXY_STREAM_SUBSCRIBER_H

#include "proxy/edge/conn.h"
#include "proxy/stream/close.h"
#include "proxy/stream/hub.h"
#include "transports/stream_request.h"
#include "transports/transport.h"
#include "transports/ws_frame.h"

/*
 * One consumer: where it stands in each of its channels, and how it is written
 * to. It has no queue. What its socket does not take stays in the log; only an
 * event that was begun is held until it is whole on the wire.
 *
 * It ends in one place, subscriber_close, which tells the peer, the log and the
 * metrics why.
 */
struct replay;

struct lost;

struct bridge_lane;

struct grant;

struct unproven;

struct session;

struct subscriber {
	struct link first; /* further ones behind it */
	struct conn *conn;
	const struct transport *transport;
	struct event *partial; /* begun, not whole: a reference */
	uint32_t partial_sent; /* bytes of it that are out; below 4 GiB */
	uint32_t link_count;
	uint8_t form;          /* enum form of its events */
	bool raw;              /* no envelope */
	bool quiet;            /* no notices either */
	bool catching_up;      /* is told when that ends */
	bool closing;          /* a WebSocket that said goodbye */
	bool asking;           /* a WebSocket waits for the backend's word */
	bool astray;           /* what was begun is of a link that is gone */
	struct lost *lost;     /* a cursor that could not be used, or NULL */
	struct replay *replay; /* a read of history under way */
	struct list waiting;   /* for it, among others; at last, of the dead */
	union {
		/* Its links by channel, where they are many, or NULL. */
		struct link_index *index;
		struct link *ended; /* further links of one that has ended */
	};
	uint64_t wrote_ms; /* last activity */
	/* As subscriber_lived counts: */
	uint64_t read_ms;  /* last sign of life of the client's */
	uint64_t stuck_ms; /* since when the socket takes nothing; 0: it does */
	uint64_t events;
	uint32_t unsettled;  /* bytes of input that no bucket has yet */
	uint32_t taken;      /* see headway_is_made */
	char *session;       /* of idempotent sends, or NULL */
	struct grant *grant; /* what its token allows; NULL: it has none */
	/* A WebSocket whose first message has to be a token; else NULL. */
	struct unproven *unproven;
	union {
		struct {
			struct ws_decoder ws;
			/* For the backend, or NULL: what it does in order... */
			struct bridge_lane *lane;
			char *forwarded; /* ...and headers of its request */
			struct session *session_held; /* see visit.h */
		};
		struct {
			uint64_t until_ms; /* a long poll's end */
			uint64_t cursor;   /* of an answer without events */
			uint32_t limit;
			bool keep_alive;
			bool html;   /* its answer is a page */
			bool offers; /* its answer names a session */
			/* Something was lost: */
			enum gap_reason gap : 8;
			struct cursor gap_after;
			uint64_t gap_first;
			struct session *session_held; /* see visit.h */
			union {
				char *cors; /* headers for pages, or NULL */
				struct html_view *view;
			};
		} poll;
	};
};

/*
 * Make a connection a subscriber; it has no links yet. The connection's role is
 * the transport's. SW_ENOMEM.
 */
int subscriber_new(struct subscriber **out, struct conn *c,
    const struct transport *t, bool raw, const struct conn_role *role);

/* End it, tell everybody why, and close its connection. */
void subscriber_close(struct subscriber *s, enum close_why why);

/*
 * Release what it holds; by the role's `end`, and after a poll's answer. It may
 * be in use up the stack: its memory, and that of its links, goes at the end of
 * the turn.
 */
void subscriber_release(struct subscriber *s, enum close_why why);
void subscriber_free_dead(struct list *dead);

/* Has it ended? After whatever may have closed it. */
static inline bool
subscriber_gone(const struct subscriber *s)
{
	return s->conn->closed || s->conn->owner != s;
}

/* Of a connection; NULL if that is used for something else. */
struct subscriber *subscriber_of(const struct conn *c);

/*
 * A link to the channel, from `pos` on. SW_EINVAL for a bad name, SW_EBUSY for
 * one that it has already, SW_ELIMIT (subscriber_link_limit names it),
 * SW_ENOMEM.
 */
int subscriber_link(
    struct subscriber *s, struct str channel, uint64_t pos, struct link **out);
/* After SW_ELIMIT. */
const char *subscriber_link_limit(const struct subscriber *s);
/* SW_ENOENT if it has none. */
int subscriber_unlink(struct subscriber *s, struct str channel);
struct link *subscriber_find(struct subscriber *s, const struct channel *c);

/*
 * Write a notice or an answer: at once, or in its turn behind an event that was
 * begun. Closes the subscriber on failure.
 */
void subscriber_send(struct subscriber *s, enum bucket b, struct str bytes);
void subscriber_notice(struct subscriber *s, const struct notice *n);

/* Has its token expired? */
bool subscriber_expired(const struct subscriber *s);
/* When it will have, in monotonic ms; UINT64_MAX: never. */
uint64_t subscriber_expiry_ms(const struct subscriber *s);

/* Set its timer to whatever is due first: heartbeat, silence, stall, expiry */
void subscriber_arm(struct subscriber *s);
/* What every stream does when that time comes; true if it was closed. */
bool subscriber_tick(struct subscriber *s);

static inline struct worker *
subscriber_worker(const struct subscriber *s)
{
	return s->conn->worker;
}

/* Where the session is that it holds, or NULL. */
static inline struct session **
subscriber_session(struct subscriber *s)
{
	return s->transport->streams ? &s->session_held : &s->poll.session_held;
}

/* Is it a poll of a session? */
static inline bool
subscriber_visits(const struct subscriber *s)
{
	return !s->transport->streams && s->poll.session_held != NULL;
}

struct hub *subscriber_hub(const struct subscriber *s);
struct transport_metrics *subscriber_metrics(const struct subscriber *s);
uint64_t subscriber_now(const struct subscriber *s); /* monotonic ms */
/* To measure silence by: loop_lived_ms. */
uint64_t subscriber_lived(const struct subscriber *s);

/* Its link, if it has exactly one; else NULL. */
static inline struct link *
subscriber_only_link(struct subscriber *s)
{
	struct link *l = &s->first;

	if (s->link_count != 1)
		return NULL;
	return l->channel != NULL ? l : l->next;
}

#endif
