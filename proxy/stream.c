#include "proxy/stream.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/deliver.h"
#include "proxy/look.h"
#include "proxy/loss.h"
#include "proxy/poll.h"
#include "proxy/replay.h"
#include "proxy/response.h"
#include "proxy/subscriber.h"
#include "proxy/websocket.h"
#include "proxy/worker.h"
#include "transports/sse.h"
#include "transports/ws_handshake.h"

static void
refuse(struct conn *c, int status, const char *detail, bool keep_alive)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	response_put_problem(&out, c->worker, status, detail, keep_alive);
	if (buf_error(&out) == SW_OK &&
	    conn_send(c, buf_head(&out), buf_len(&out)) == SW_OK)
		look_resume(c, keep_alive);
	else
		conn_close(c);
	buf_fini(&out);
}

/* An event stream: nothing is read, and its end is all that is waited for. */

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

static void
sse_timeout(struct conn *c)
{
	subscriber_tick(c->owner);
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

/* Where the request wants to begin, and what has to be said about that. */
struct beginning {
	uint64_t pos;
	uint64_t hello; /* the cursor that hello tells: never one too far */
	enum gap_reason gap;
};

static struct beginning
find_beginning(struct worker *w, const struct stream_request *req)
{
	struct beginning b = { .gap = GAP_NONE };

	switch (req->start) {
	case START_LIVE:
		b.pos = b.hello = w->hub.seen;
		break;
	case START_CURSOR:
		if (strcmp(req->after.epoch.text, w->codec.epoch.text) != 0)
			b.gap = GAP_EPOCH;
		else if (req->after.seq > log_head(w->log))
			b.gap = GAP_AHEAD;
		else
			b.pos = b.hello = req->after.seq;
		break;
	case START_OLDEST:
	case START_LAST:
		break;
	}
	return b;
}

static const struct conn_role *
role_of(const struct transport *t)
{
	switch (t->id) {
	case TRANSPORT_WS:
		return &websocket_role;
	case TRANSPORT_SSE:
		return &sse_role;
	default:
		return &poll_role;
	}
}

/* The subscriber with all its links; SW_ELIMIT, SW_ENOMEM. */
static int
subscribe(struct subscriber **out, struct conn *c,
    const struct stream_request *req, uint64_t pos)
{
	struct subscriber *s;
	struct link *l;
	int err;

	if ((err = subscriber_new(&s, c, req->transport, req->raw,
		 role_of(req->transport))) != SW_OK)
		return err;
	for (size_t i = 0; i < req->channel_count && err == SW_OK; i++) {
		err = subscriber_link(s, req->channels[i], pos, &l);
		if (err == SW_OK)
			l->from_start = pos == 0 && req->start != START_LIVE &&
			    (req->start != START_CURSOR || req->after.seq != 0);
	}
	if (err == SW_OK && req->session.p != NULL) {
		s->session = strndup(req->session.p, req->session.len);
		if (s->session == NULL)
			err = SW_ENOMEM;
	}
	if (err != SW_OK) {
		subscriber_release(s, CLOSE_OVERLOAD);
		conn_set_role(c, &look_role, NULL);
		return err;
	}
	*out = s;
	return SW_OK;
}

/*
 * What has to be settled before the first event: a cursor that is of no use,
 * and what the windows hold but retention does not. False: it was closed.
 */
static bool
set_out(struct subscriber *s, const struct stream_request *req,
    const struct beginning *b)
{
	struct conn *c = s->conn;

	if (b->gap != GAP_NONE &&
	    loss_note(s, b->gap, &req->after, NULL) != SW_OK) {
		subscriber_close(s, CLOSE_OVERLOAD);
		return false;
	}
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && req->start != START_LIVE) {
			loss_trim(s, l);
			if (c->closed || c->owner != s)
				return false;
		}
	return true;
}

static void
put_hello(struct buf *out, struct subscriber *s,
    const struct stream_request *req, uint64_t cursor)
{
	struct worker *w = subscriber_worker(s);
	const struct notice n = {
		.type = NOTICE_HELLO,
		.connection = s->conn->id,
		.cursor = cursor,
		.transport = s->transport->name,
		.heartbeat_ms = w->conf->heartbeat_ms,
		.retry_ms = w->conf->retry_ms,
		.channels = req->channels,
		.channel_count = req->channel_count,
	};

	s->transport->notice(out, &w->codec.epoch, &n);
}

static void
put_caughtup(struct buf *out, struct subscriber *s)
{
	struct worker *w = subscriber_worker(s);
	const struct notice n = {
		.type = NOTICE_CAUGHTUP,
		.cursor = w->hub.seen,
	};

	s->transport->notice(out, &w->codec.epoch, &n);
}

/*
 * A stream begins with everything that is known at once, in one write: the head
 * (which is in the buffer already), hello, and whether it is caught up.
 */
static void
begin_stream(struct subscriber *s, const struct stream_request *req,
    const struct beginning *b, struct buf *out)
{
	struct conn *c = s->conn;
	struct transport_metrics *m = subscriber_metrics(s);
	size_t head = buf_len(out);
	bool news;

	if (s->transport->id == TRANSPORT_SSE)
		sse_put_preamble(out, c->worker->conf->retry_ms, req->padding);
	if (!s->quiet)
		put_hello(out, s, req, b->hello);
	news = deliver_has_news(s) || req->start == START_LAST ||
	    b->gap != GAP_NONE;
	if (!news && !s->quiet)
		put_caughtup(out, s);
	conn_count(c, m,
	    s->transport->id == TRANSPORT_WS ? BUCKET_HANDSHAKE :
					       BUCKET_RESPONSE,
	    head);
	conn_count(c, m, BUCKET_FRAMING, buf_len(out) - head);
	if (buf_error(out) != SW_OK ||
	    conn_send(c, buf_head(out), buf_len(out)) != SW_OK) {
		subscriber_close(s, CLOSE_IO);
		return;
	}
	subscriber_arm(s);
	s->catching_up = news;
	if (!news)
		return;
	if (!set_out(s, req, b) || c->closed)
		return;
	if (req->start != START_LAST)
		deliver_flush(s);
	else if (replay_start(&c->worker->hub, s, NULL, req->last, 0) != SW_OK)
		subscriber_close(s, CLOSE_STORE);
}

static void
open_websocket(struct conn *c, const struct request *r,
    const struct stream_request *req, const struct beginning *b)
{
	struct worker *w = c->worker;
	struct ws_handshake handshake;
	struct buf *out = &w->text;
	struct subscriber *s;
	const char *why;
	int err;

	err = ws_handshake_read(&handshake, r, w->conf->deflate, &why);
	if (err != SW_OK) {
		refuse(c,
		    err == SW_EUNSUPPORTED ? 426 : err_info(err)->http_status,
		    why, false);
		return;
	}
	if ((err = subscribe(&s, c, req, b->pos)) != SW_OK) {
		refuse(c, 503, err_info(err)->sentence, false);
		return;
	}
	if (handshake.raw)
		s->raw = true;
	s->quiet = s->raw;
	ws_decoder_init(&s->ws, handshake.deflate);
	s->form = (uint8_t)(s->raw ? FORM_WS_RAW : FORM_WS_JSON);
	if (handshake.deflate) {
		bool small = handshake.server_window_bits < 15;

		s->form =
		    (uint8_t)(s->raw ? (small ? FORM_WS_RAW_DEFLATE_SMALL :
						FORM_WS_RAW_DEFLATE) :
				       (small ? FORM_WS_JSON_DEFLATE_SMALL :
						FORM_WS_JSON_DEFLATE));
	}
	buf_clear(out);
	ws_handshake_answer(out, &handshake);
	begin_stream(s, req, b, out);
	if (c->role == &websocket_role && !c->closed)
		websocket_begin(s);
}

static void
open_sse(
    struct conn *c, const struct stream_request *req, const struct beginning *b)
{
	struct worker *w = c->worker;
	struct buf *out = &w->text;
	struct subscriber *s;
	int err;

	if ((err = subscribe(&s, c, req, b->pos)) != SW_OK) {
		refuse(c, 503, err_info(err)->sentence, false);
		return;
	}
	buf_clear(out);
	response_begin(out, w, 200, false);
	buf_puts(out,
	    "Content-Type: text/event-stream\r\n"
	    "Cache-Control: no-store, no-transform\r\n"
	    "X-Accel-Buffering: no\r\n\r\n");
	begin_stream(s, req, b, out);
	/* Gone before it began: no event will tell us again. */
	if (!c->closed && c->role == &sse_role && c->half_open)
		subscriber_close(s, CLOSE_PEER);
}

static void
open_poll(struct conn *c, const struct request *r,
    const struct stream_request *req, const struct beginning *b)
{
	struct subscriber *s;
	int err = subscribe(&s, c, req, b->pos);

	if (err != SW_OK) {
		refuse(c, 503, err_info(err)->sentence, r->keep_alive);
		return;
	}
	s->poll.cursor = b->pos;
	if (set_out(s, req, b))
		poll_begin(s, req, r->keep_alive);
}

void
stream_open(struct conn *c, const struct request *r, struct str rest)
{
	struct worker *w = c->worker;
	struct stream_request req;
	struct refusal refusal;
	struct beginning b;

	if (stream_request_read(&req, r, rest, &w->stream_limits, &refusal) !=
	    SW_OK) {
		refuse(c, refusal.status, refusal.detail, r->keep_alive);
		stream_request_fini(&req);
		return;
	}
	conn_count(c, &w->metrics.transport[req.transport->id],
	    req.transport->id == TRANSPORT_WS ? BUCKET_HANDSHAKE :
						BUCKET_REQUEST,
	    r->head_size);
	if (w->draining && req.transport->streams) {
		refuse(c, 503, "The gateway is restarting.", false);
		stream_request_fini(&req);
		return;
	}
	b = find_beginning(w, &req);
	switch (req.transport->id) {
	case TRANSPORT_WS:
		open_websocket(c, r, &req, &b);
		break;
	case TRANSPORT_SSE:
		open_sse(c, &req, &b);
		break;
	default:
		open_poll(c, r, &req, &b);
		break;
	}
	stream_request_fini(&req);
}
