#include "proxy/stream/opening.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/bridge/bridge_presence.h"
#include "proxy/edge/look.h"
#include "proxy/http/response.h"
#include "proxy/sessions/visit.h"
#include "proxy/stream/beginning.h"
#include "proxy/stream/deliver.h"
#include "proxy/stream/event_stream.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/replay.h"
#include "proxy/stream/subscriber.h"
#include "proxy/stream/websocket.h"
#include "proxy/stream/websocket_auth.h"
#include "proxy/worker.h"
#include "transports/html.h"
#include "transports/sse.h"
#include "transports/ws_handshake.h"

/* A whole answer, which is freed. */
static void
send_answer(struct conn *c, struct buf *out, bool keep_alive)
{
	if (buf_error(out) == SW_OK &&
	    conn_send(c, buf_head(out), buf_len(out)) == SW_OK)
		look_resume(c, keep_alive);
	else
		conn_close(c);
	buf_fini(out);
}

void
opening_refuse(
    const struct opening *o, int status, const char *detail, bool keep_alive)
{
	const char *challenge = auth_challenge(status, o->auth.carried);
	struct conn *c = o->conn;
	struct buf out, headers;

	buf_init(&out, 1 << 16);
	buf_init(&headers, 1 << 16);
	origin_put(&headers, o->origin, c->worker->conf, o->request);
	if (challenge != NULL)
		buf_printf(&headers, "WWW-Authenticate: %s\r\n", challenge);
	response_put_refusal(
	    &out, c->worker, status, detail, keep_alive, buf_str(&headers));
	buf_fini(&headers);
	if (o->request->method == METHOD_HEAD)
		response_keep_head(&out);
	send_answer(c, &out, keep_alive);
}

/* It may, but cannot. */
static void
refuse_busy(const struct opening *o, int err, bool keep_alive)
{
	opening_refuse(o, 503,
	    o->auth.why != NULL ? o->auth.why : err_info(err)->sentence,
	    keep_alive);
}

static void
count_refusal(struct worker *w, int err)
{
	if (err == SW_EAUTH || err == SW_EFORBIDDEN)
		METRIC_ADD(
		    w->metrics.refused[err == SW_EAUTH ? REFUSED_UNAUTHORIZED :
							 REFUSED_FORBIDDEN],
		    1);
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

/* All its links, and what else the request says; SW_ELIMIT, SW_ENOMEM. */
static int
link_all(struct subscriber *s, const struct stream_request *req,
    const struct beginning *b)
{
	struct link *l;
	int err = SW_OK;

	for (size_t i = 0; i < req->channel_count && err == SW_OK; i++) {
		err = subscriber_link(s, req->channels[i], b->pos, &l);
		if (err == SW_OK)
			l->from_start = b->gap != GAP_NONE ||
			    req->start == START_OLDEST ||
			    req->start == START_LAST;
	}
	if (err == SW_OK && req->session.p != NULL) {
		s->session = strndup(req->session.p, req->session.len);
		if (s->session == NULL)
			err = SW_ENOMEM;
	}
	return err;
}

/* What the answers of a poll tell pages. */
static int
keep_cors(struct subscriber *s, const struct opening *o)
{
	struct buf text;
	size_t len;
	int err;

	buf_init(&text, 1 << 16);
	origin_put(&text, o->origin, o->conn->worker->conf, o->request);
	if (buf_len(&text) > 0)
		buf_put(&text, "", 1);
	err = buf_error(&text);
	if (err == SW_OK && buf_len(&text) > 0)
		s->poll.cors = (char *)buf_take(&text, &len);
	buf_fini(&text);
	return err;
}

/* The subscriber, with its token; `linked`: and with all its links. */
static int
subscribe(struct subscriber **out, struct opening *o, bool linked)
{
	const struct stream_request *req = &o->stream;
	struct subscriber *s;
	int err;

	if ((err = subscriber_new(&s, o->conn, req->transport, req->raw,
		 role_of(req->transport))) != SW_OK)
		return err;
	s->grant = o->auth.grant;
	o->auth.grant = NULL;
	if (req->transport->streams) {
		s->lane = o->lane;
		o->lane = NULL;
	}
	if (linked)
		err = link_all(s, req, &o->beginning);
	if (err == SW_ELIMIT)
		o->auth.why = subscriber_link_limit(s);
	if (err == SW_OK && linked && !req->transport->streams)
		err = visit_offer(s);
	/* A page is for windows of its own: no other page's script reads it. */
	if (err == SW_OK && !req->transport->streams && !req->html)
		err = keep_cors(s, o);
	if (err == SW_OK && req->html) {
		s->poll.view =
		    html_view_new(req, o->request, str_of(s->session));
		s->poll.html = s->poll.view != NULL;
		err = s->poll.html ? SW_OK : SW_ENOMEM;
	}
	if (err == SW_OK && presence_wants_headers(s))
		err = bridge_forward_keep(
		    &s->forwarded, o->conn->worker->conf, o->request);
	if (err == SW_OK && linked)
		err = visit_begin(s, o->request, req->session, o->asked,
		    o->session_number, &o->auth.why);
	if (err == SW_OK && linked) {
		presence_began(s);
		visit_replace(s);
	}
	if (err != SW_OK) {
		subscriber_release(s, CLOSE_OVERLOAD);
		conn_set_role(o->conn, &look_role, NULL);
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
		.cursor = deliver_upto(s, NULL),
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
	if (!news) {
		loss_caught_up(s, NULL);
		return;
	}
	if (!set_out(s, req, b) || c->closed)
		return;
	if (req->start != START_LAST)
		deliver_flush(s);
	else if (replay_start(&c->worker->hub, s, NULL, req->last, 0) != SW_OK)
		subscriber_close(s, CLOSE_STORE);
}

/* How it speaks, as the handshake has settled it. */
static void
take_handshake(struct subscriber *s, const struct ws_handshake *h)
{
	bool small = h->server_window_bits < 15;

	s->raw = s->raw || h->raw;
	s->quiet = s->raw;
	ws_decoder_init(&s->ws, h->deflate);
	s->form = (uint8_t)(s->raw ? FORM_WS_RAW : FORM_WS_JSON);
	if (h->deflate)
		s->form =
		    (uint8_t)(s->raw ? (small ? FORM_WS_RAW_DEFLATE_SMALL :
						FORM_WS_RAW_DEFLATE) :
				       (small ? FORM_WS_JSON_DEFLATE_SMALL :
						FORM_WS_JSON_DEFLATE));
}

/*
 * A browser hides why an upgrade was refused from the page, which has to know:
 * so the upgrade is accepted, and the close says it.
 */
static void
refuse_websocket(const struct opening *o, struct ws_handshake *h, int err)
{
	struct conn *c = o->conn;
	struct buf out;

	/* The form of a token has passed for a protocol: never say it back. */
	buf_init(&out, 1 << 16);
	ws_handshake_answer(&out, h);
	ws_put_close(&out, err_info(err)->ws_close, o->auth.why);
	conn_say_last(c, &out);
	buf_fini(&out);
}

/* Open, but for nothing else than to take a token. */
static int
await_token(struct opening *o, const struct ws_handshake *h)
{
	struct worker *w = o->conn->worker;
	struct subscriber *s;
	struct buf *out = &w->text;
	int err = subscribe(&s, o, false);

	if (err != SW_OK)
		return err;
	take_handshake(s, h);
	s->unproven = unproven_new(o->request, o->rest,
	    loop_now_ms(w->loop) + w->conf->auth_timeout_ms);
	if (s->unproven == NULL) {
		subscriber_release(s, CLOSE_OVERLOAD);
		conn_set_role(o->conn, &look_role, NULL);
		return SW_ENOMEM;
	}
	buf_clear(out);
	ws_handshake_answer(out, h);
	subscriber_send(s, BUCKET_HANDSHAKE, buf_str(out));
	subscriber_arm(s);
	return SW_OK;
}

/* `access` says whether it may. */
static void
open_websocket(struct opening *o, int access)
{
	struct conn *c = o->conn;
	struct worker *w = c->worker;
	struct ws_handshake handshake;
	struct subscriber *s;
	const char *why;
	int err;

	err = ws_handshake_read(&handshake, o->request, w->conf->deflate, &why);
	if (err != SW_OK) {
		opening_refuse(o,
		    err == SW_EUNSUPPORTED ? 426 : err_info(err)->http_status,
		    why, false);
		return;
	}
	if (o->request->overread) {
		opening_refuse(o, 400,
		    "Wait for the answer to the handshake before you send "
		    "frames (RFC 6455 4.1).",
		    false);
		return;
	}
	if (access == SW_EAUTH && !o->asked && !o->auth.carried &&
	    !o->stream.raw && !handshake.raw && w->conf->auth_timeout_ms > 0) {
		o->auth.why = NULL;
		err = await_token(o, &handshake);
	} else if (access != SW_OK) {
		count_refusal(w, access);
		refuse_websocket(o, &handshake, access);
		return;
	} else if ((err = subscribe(&s, o, true)) == SW_OK) {
		take_handshake(s, &handshake);
		buf_clear(&w->text);
		ws_handshake_answer(&w->text, &handshake);
		begin_stream(s, &o->stream, &o->beginning, &w->text);
	}
	if (err != SW_OK)
		refuse_busy(o, err, false);
	else if (c->role == &websocket_role && !c->closed)
		websocket_begin(c->owner);
}

static const char sse_headers[] = "Content-Type: text/event-stream\r\n"
				  "Cache-Control: no-store, no-transform\r\n"
				  "X-Accel-Buffering: no\r\n";

static void
open_sse(struct opening *o)
{
	struct conn *c = o->conn;
	struct worker *w = c->worker;
	struct buf *out = &w->text;
	struct subscriber *s;
	int err;

	if ((err = subscribe(&s, o, true)) != SW_OK) {
		refuse_busy(o, err, false);
		return;
	}
	buf_clear(out);
	response_begin(out, w, 200, false);
	buf_puts(out, sse_headers);
	origin_put(out, o->origin, w->conf, o->request);
	buf_puts(out, "\r\n");
	begin_stream(s, &o->stream, &o->beginning, out);
	/* Gone before it began: no event will tell us again. */
	if (!c->closed && c->role == &sse_role && c->half_open)
		subscriber_close(s, CLOSE_PEER);
}

static void
open_poll(struct opening *o)
{
	bool keep_alive = o->request->keep_alive;
	struct subscriber *s;
	int err;

	if ((err = subscribe(&s, o, true)) != SW_OK) {
		refuse_busy(o, err, keep_alive);
		return;
	}
	s->poll.cursor = o->beginning.pos;
	if (set_out(s, &o->stream, &o->beginning))
		poll_begin(s, &o->stream, keep_alive);
}

/*
 * What a GET would be told before its events: without a length, since only a
 * GET finds out how much that would be (RFC 9110 8.6).
 */
static void
answer_head(const struct opening *o)
{
	struct conn *c = o->conn;
	struct worker *w = c->worker;
	bool keep_alive = o->request->keep_alive && !w->draining;
	struct buf out;

	buf_init(&out, 1 << 16);
	response_begin(&out, w, 200, keep_alive);
	buf_puts(&out,
	    o->stream.transport->streams ? sse_headers :
		o->stream.html           ? html_headers :
					   poll_headers);
	if (!o->stream.html)
		origin_put(&out, o->origin, w->conf, o->request);
	buf_puts(&out, "\r\n");
	conn_count(c, &w->metrics.transport[o->stream.transport->id],
	    BUCKET_RESPONSE, buf_len(&out));
	send_answer(c, &out, keep_alive);
}

void
opening_go_on(struct opening *o, int err, int status)
{
	struct worker *w = o->conn->worker;

	o->beginning = beginning_find(
	    o->conn, &o->stream, o->asked ? o->head : beginning_live(w));
	if (o->stream.transport->id == TRANSPORT_WS) {
		open_websocket(o, err);
	} else if (err != SW_OK) {
		count_refusal(w, err);
		opening_refuse(o, status, o->auth.why, o->request->keep_alive);
	} else if (o->request->method == METHOD_HEAD) {
		answer_head(o);
	} else if (o->stream.transport->id == TRANSPORT_SSE) {
		open_sse(o);
	} else {
		open_poll(o);
	}
}

void
opening_go_on_proven(
    struct subscriber *s, const struct stream_request *req, uint64_t live)
{
	struct worker *w = subscriber_worker(s);
	struct beginning b = beginning_find(s->conn, req, live);
	/* The texts of the request are its. */
	struct unproven *done = s->unproven;
	int err = link_all(s, req, &b);

	if (err == SW_ELIMIT)
		subscriber_link_limit(s);
	if (err != SW_OK) {
		subscriber_close(s, CLOSE_OVERLOAD);
		return;
	}
	s->unproven = NULL;
	presence_began(s);
	visit_replace(s);
	buf_clear(&w->text);
	begin_stream(s, req, &b, &w->text);
	free(done);
}
