#ifndef SPILLWAY_PROXY_EDGE_CONN_H
#define SPILLWAY_PROXY_EDGE_CONN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "proxy/base/address.h"
#include "proxy/base/buf.h"
#include "proxy/base/headway.h"
#include "proxy/base/loop.h"
#include "proxy/metrics.h"

/*
 * A client's connection: a byte pipe over a socket, and what it is used for at
 * the moment. It begins with the first look, may be lent to the HTTP library,
 * and becomes a subscriber; a long poll is one again and again.
 *
 * A connection belongs to one worker. Closing it marks it and closes the
 * socket; its memory goes at the end of the loop's turn, so that any callback
 * may close any connection, its own included.
 */
struct conn;
struct tls;
struct worker;

/* What a connection is used for. All run in the worker's thread. */
struct conn_role {
	const char *name;
	/* EPOLLIN, EPOLLOUT...; edge-triggered: read until SW_EAGAIN. */
	void (*ready)(struct conn *c, uint32_t events);
	void (*timeout)(struct conn *c);
	/* The connection is being closed: release what the role holds. */
	void (*end)(struct conn *c);
};

/*
 * What an address is for. Those of TLS are LISTENER_PUBLIC and LISTENER_API
 * once TLS is taken off, and connections are that from the beginning.
 */
enum listener_kind {
	LISTENER_PUBLIC,
	LISTENER_API,
	LISTENER_REDIRECT,
	LISTENER_TLS,
	LISTENER_API_TLS,
	LISTENER_KINDS,
};

/* Whose is the queue of those who have connected? */
enum listener_queue {
	QUEUE_OF_WORKER,
	QUEUE_OF_ALL,     /* all workers take from it */
	QUEUE_OF_SYSTEMD, /* so do they, and the next daemon goes on with it */
};

static inline bool
listener_is_secure(enum listener_kind kind)
{
	return kind == LISTENER_TLS || kind == LISTENER_API_TLS;
}

static inline enum listener_kind
listener_within(enum listener_kind kind)
{
	return kind == LISTENER_TLS  ? LISTENER_PUBLIC :
	    kind == LISTENER_API_TLS ? LISTENER_API :
				       kind;
}

static inline bool
listener_is_api(enum listener_kind kind)
{
	return listener_within(kind) == LISTENER_API;
}

struct conn {
	struct io io; /* fd -1: closed, or lent to the HTTP library */
	const struct conn_role *role;
	struct worker *worker;
	struct tls *tls; /* NULL: plain */
	void *owner;     /* the role's own */
	struct buf *in;  /* input that is not whole yet, or NULL */
	struct buf *out; /* output that the socket did not take, or NULL */
	struct timer timer;
	struct list node; /* of the worker's connections, or of dead ones */
	uint64_t id;
	uint64_t subscribed_ms;  /* since when it is a subscriber's */
	uint64_t message_due_us; /* see pace_allows */
	uint64_t bytes[BUCKET_COUNT];
	struct address peer;
	uint8_t listener; /* enum listener_kind; those of TLS are public */
	bool readable;    /* there may be something to read */
	bool closed : 1;
	bool fresh : 1;     /* nothing was read yet: bytes may still be lent */
	bool blocked : 1;   /* the socket is full; EPOLLOUT will tell */
	bool half_open : 1; /* the peer will send nothing more */
	bool resumed : 1;   /* look_resume was called while it is looked at */
	bool close_after : 1; /* when everything has been written */
	bool held : 1;        /* part of a TLS record waits for the socket */
	bool in_head : 1;     /* a head has begun, and its time is running */
	bool in_lab : 1;      /* counted, perhaps hindered; see lab.h */
	bool large : 1;       /* its last request had a large body */
	bool said_all : 1;    /* the peer was told that nothing more comes */
	bool unfinished : 1;  /* its next requests wait for the next turn */
	int lent_fd;          /* the HTTP library closes it; -1: not lent */
	uint32_t answers;     /* that are still to come; they keep its memory */
};

/*
 * Take over a socket: non-blocking, not in any loop. On failure (SW_ENOMEM,
 * SW_EIO) the socket is closed.
 */
int conn_open(struct conn **out, struct worker *w, int fd,
    const struct address *peer, enum listener_kind kind,
    const struct conn_role *role);

/* Mark it closed, with everything that belongs to it. Twice is harmless. */
void conn_close(struct conn *c);
/*
 * Close it in good order: write what is waiting, say that nothing more comes,
 * and read (and drop) what the peer still sends, so that our last words are not
 * lost to a reset. Bounded by close-timeout; but who still takes what is
 * waiting, by stall-timeout since it took some.
 */
void conn_linger(struct conn *c);
/* The same for an answer that the peer only begins to read. */
void conn_linger_for_answer(struct conn *c);
/*
 * Close it so that the peer sees that this was no good order: a reset, and of
 * TLS no last word. For where the end of the connection is the end of what was
 * sent, and it was not the end.
 */
void conn_abort(struct conn *c);
/* Write this, then the same; if it cannot be written, close at once. */
void conn_say_last(struct conn *c, const struct buf *last);
/* At the end of a turn: give the memory back. */
void conn_free(struct conn *c);

/* The library has the socket from here on. */
void conn_lend(struct conn *c);
/* Take over a duplicate of a socket that was lent. SW_EIO: it is closed. */
int conn_take_back(struct conn *c, int fd);

/*
 * An answer will come in a later turn, to a conn that may be closed by then:
 * conn_expect keeps its memory, conn_answered ends that. False: it is closed,
 * and gone after the call.
 */
void conn_expect(struct conn *c);
bool conn_answered(struct conn *c);

/* Change what it is used for; the old role is not told. */
void conn_set_role(struct conn *c, const struct conn_role *role, void *owner);

/* Its only timer; see loop_set_timer. */
void conn_arm(struct conn *c, uint64_t due_ms);
/*
 * In so many milliseconds; but while an answer waits for the peer to take it,
 * after stall-timeout.
 */
void conn_arm_behind_answer(struct conn *c, uint64_t ms);

/*
 * Read what is there: a count, 0 at the end of the stream, SW_EAGAIN, or
 * SW_ECLOSED. `peek` leaves it unread.
 */
ssize_t conn_read(struct conn *c, void *p, size_t n, bool peek);

/*
 * Write as much as the socket takes: the count, less than asked (and `blocked`)
 * when it is full, or SW_ECLOSED. Not while output is waiting. Of TLS, what a
 * record was made of counts as written: it may be `blocked` although the count
 * is what was asked for.
 */
ssize_t conn_write(struct conn *c, const struct iovec *iov, int n);
/* The same for the lab, in whose hands it may be: really to the socket. */
ssize_t conn_write_now(struct conn *c, const struct iovec *iov, int n);

/*
 * Write, and keep what the socket does not take. SW_OK, SW_ECLOSED, or
 * SW_ENOMEM.
 */
int conn_send(struct conn *c, const void *p, size_t n);
/* The same in pieces; while no output is waiting. */
int conn_send_pieces(struct conn *c, struct iovec *iov, int n);

/* Keep it behind what is waiting, without writing yet. */
int conn_queue(struct conn *c, const void *p, size_t n);

/* Write what is waiting: SW_OK when all of it is gone, SW_EAGAIN, SW_ECLOSED */
int conn_flush(struct conn *c);
/* Bytes that were written, and that the peer's system has not taken yet. */
size_t conn_untaken(const struct conn *c);

/* One message more from the client: false, and counted, if it is too fast. */
bool conn_paces(struct conn *c, size_t bytes);

static inline bool
conn_pending(const struct conn *c)
{
	return c->out != NULL || c->held;
}

/* Bytes of it: fewer than before, and the peer has taken some. */
static inline size_t
conn_queued(const struct conn *c)
{
	return c->out == NULL ? 0 : buf_len(c->out);
}

/* "TLSv1.3"; "no": it is plain. */
const char *conn_tls_name(const struct conn *c);

/* Count bytes as what they are, for the connection and for its transport. */
void conn_count(
    struct conn *c, struct transport_metrics *m, enum bucket b, uint64_t n);
/* So many events, of which `bytes` went out for what was published. */
void conn_count_events(struct conn *c, struct transport_metrics *m,
    uint64_t events, uint64_t payload, uint64_t bytes);

#endif
