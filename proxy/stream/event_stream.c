#include "proxy/stream/event_stream.h"

#include <sys/epoll.h>

#include "proxy/base/digest.h"
#include "proxy/stream/deliver.h"
#include "proxy/worker.h"

static void
sse_ready(struct conn *c, uint32_t events)
{
	struct subscriber *s = c->owner;

	if (c->half_open)
		subscriber_close(s, CLOSE_PEER);
	else if ((events & EPOLLOUT) != 0 &&
	    (conn_pending(c) || s->partial != NULL || s->stuck_ms != 0))
		deliver_flush(s);
}

/*
 * A client that vanished without a word takes nothing, and its socket would go
 * on taking for a quarter of an hour. Looked at with each heartbeat.
 */
static bool
takes_nothing(struct subscriber *s)
{
	uint64_t now = subscriber_lived(s);

	if (headway_is_made(s->conn->io.fd, &s->taken))
		s->read_ms = now;
	return now >= s->read_ms + subscriber_worker(s)->conf->stall_timeout_ms;
}

static void
sse_timeout(struct conn *c)
{
	struct subscriber *s = c->owner;

	if (takes_nothing(s)) {
		METRIC_LIMIT(c->worker, LIMIT_STALL_TIMEOUT);
		subscriber_close(s, CLOSE_STALLED);
		return;
	}
	subscriber_tick(s);
}

static void
sse_end(struct conn *c)
{
	if (c->owner != NULL)
		subscriber_release(c->owner, CLOSE_PEER);
}

/*
 * An event stream just ends, and the client comes back with its cursor. When we
 * are leaving it is told to take its time, and each client another one.
 */
bool
sse_farewell(struct subscriber *s, enum close_why why)
{
	const struct conf *conf = subscriber_worker(s)->conf;
	struct buf out;
	uint32_t random;

	if (why != CLOSE_RESTART)
		return true;
	digest_random(&random, sizeof(random));
	buf_init(&out, 64);
	buf_puts(&out, "retry: ");
	buf_put_u64(&out, conf->retry_ms + random % (conf->drain_time_ms + 1));
	buf_puts(&out, "\n\n");
	if (buf_error(&out) == SW_OK) {
		conn_count(s->conn, subscriber_metrics(s), BUCKET_FRAMING,
		    buf_len(&out));
		conn_send(s->conn, buf_head(&out), buf_len(&out));
	}
	buf_fini(&out);
	return true;
}

const struct conn_role sse_role = {
	.name = "sse",
	.ready = sse_ready,
	.timeout = sse_timeout,
	.end = sse_end,
};
