#include "proxy/stream/poll.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/edge/look.h"
#include "proxy/http/response.h"
#include "proxy/stream/deliver.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/replay.h"
#include "proxy/worker.h"
#include "transports/html.h"

enum {
	/* Payload of one answer, unless a single event has more. */
	ANSWER_BYTES = 1 << 20,
};

const char poll_headers[] = "Content-Type: application/json\r\n"
			    "Cache-Control: no-store, no-transform\r\n";

/* The events of an answer, and where they end. */
struct answer {
	struct event **events;
	size_t count;
	bool more;
	uint64_t cursor;
};

struct poll_cache {
	/* What the response was made for: */
	const struct hub_channel *channel;
	uint64_t generation, from, limit;
	uint64_t date_s;
	enum form form;
	bool keep_alive;
	char *cors;
	/* The response, and what is in it: */
	struct buf response;
	uint64_t events, payload, head_bytes;
	uint64_t cursor;
};

struct poll_cache *
poll_cache_new(void)
{
	struct poll_cache *pc = calloc(1, sizeof(*pc));

	if (pc != NULL)
		buf_init(&pc->response, SIZE_MAX / 2);
	return pc;
}

void
poll_cache_free(struct poll_cache *pc)
{
	if (pc == NULL)
		return;
	buf_fini(&pc->response);
	free(pc->cors);
	free(pc);
}

static int
put_events(struct buf *out, struct subscriber *s, const struct answer *a)
{
	struct codec *c = &subscriber_worker(s)->codec;
	struct iovec pieces[ENCODING_PIECES];
	int n;

	for (size_t i = 0; i < a->count; i++) {
		const struct encoding *form =
		    codec_form(c, a->events[i], (enum form)s->form);

		if (form == NULL)
			return SW_ENOMEM;
		if (i > 0)
			buf_put(out, ",", 1);
		n = event_form_pieces(a->events[i], form, 0, pieces);
		for (int k = 0; k < n; k++)
			buf_put(out, pieces[k].iov_base, pieces[k].iov_len);
	}
	return buf_error(out);
}

static int
put_page(struct buf *out, struct subscriber *s, const struct answer *a)
{
	const struct epoch *epoch = &subscriber_worker(s)->codec.epoch;
	const struct notice n = {
		.type = NOTICE_GAP,
		.reason = s->poll.gap,
		.after = s->poll.gap_after,
	};

	html_begin(out, s->poll.view, epoch, a->cursor, a->more);
	if (s->poll.gap != GAP_NONE)
		html_put_gap(out, &n);
	for (size_t i = 0; i < a->count; i++)
		html_put_event(out, epoch, a->events[i]);
	return html_end(out, s->poll.view, epoch, a->cursor, a->count > 0);
}

static int
put_body(struct buf *out, struct subscriber *s, const struct answer *a)
{
	struct worker *w = subscriber_worker(s);
	int err;

	buf_puts(out, "{\"cursor\":\"");
	cursor_put(out, &w->codec.epoch, a->cursor);
	buf_puts(out, "\",\"events\":[");
	if ((err = put_events(out, s, a)) != SW_OK)
		return err;
	buf_put(out, "]", 1);
	if (s->poll.gap != GAP_NONE) {
		const struct notice n = {
			.type = NOTICE_GAP,
			.reason = s->poll.gap,
			.after = s->poll.gap_after,
			.first = s->poll.gap_first,
		};

		buf_puts(out, ",\"gap\":");
		notice_put_gap(out, &w->codec.epoch, &n);
	}
	if (a->more)
		buf_puts(out, ",\"more\":true");
	if (s->poll.offers) {
		buf_puts(out, ",\"session\":");
		json_put_string(out, str_of(s->session));
	}
	buf_puts(out, ",\"retry\":");
	buf_put_u64(out, w->conf->retry_ms);
	return buf_put(out, "}", 1);
}

/* The whole response; the head is written when the body's length is known. */
static int
put_response(
    struct poll_cache *pc, struct subscriber *s, const struct answer *a)
{
	struct worker *w = subscriber_worker(s);
	struct buf *out = &pc->response;
	struct buf *body = &w->text;
	int err;

	buf_clear(out);
	buf_clear(body);
	err = s->poll.html ? put_page(body, s, a) : put_body(body, s, a);
	if (err != SW_OK)
		return err;
	response_begin(out, w, 200, s->poll.keep_alive);
	buf_puts(out, s->poll.html ? html_headers : poll_headers);
	if (!s->poll.html && s->poll.cors != NULL)
		buf_puts(out, s->poll.cors);
	buf_puts(out, "Content-Length: ");
	buf_put_u64(out, buf_len(body));
	buf_puts(out, "\r\n\r\n");
	pc->head_bytes = buf_len(out);
	buf_put_str(out, buf_str(body));
	if (buf_error(body) != SW_OK || buf_error(out) != SW_OK)
		return SW_ENOMEM;
	pc->events = a->count;
	pc->cursor = a->cursor;
	pc->payload = 0;
	for (size_t i = 0; i < a->count; i++)
		pc->payload += a->events[i]->size;
	return SW_OK;
}

/* Write the response that was made, and let the connection go on. */
static void
send_response(struct subscriber *s, const struct poll_cache *pc)
{
	struct transport_metrics *m = subscriber_metrics(s);
	struct conn *c = s->conn;
	bool keep_alive = s->poll.keep_alive;
	size_t len = buf_len(&pc->response);

	s->events += pc->events;
	METRIC_ADD(m->events, pc->events);
	subscriber_worker(s)->hub.delivered[s->transport->id] += pc->events;
	conn_count(c, m, BUCKET_RESPONSE, pc->head_bytes);
	conn_count(c, m, BUCKET_PAYLOAD, pc->payload);
	conn_count(c, m, BUCKET_FRAMING,
	    len - pc->head_bytes > pc->payload ?
		len - pc->head_bytes - pc->payload :
		0);
	if (conn_send(c, buf_head(&pc->response), len) != SW_OK) {
		subscriber_close(s, CLOSE_IO);
		return;
	}
	subscriber_release(s, CLOSE_DONE);
	look_resume(c, keep_alive);
}

static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What an answer that gives nothing more says where the client stands. */
static uint64_t
head_cursor(const struct subscriber *s)
{
	uint64_t upto = deliver_upto(s, NULL);

	return s->poll.cursor > upto ? s->poll.cursor : upto;
}

/*
 * The windows' events behind the links, oldest first, as far as the answer has
 * room for them. SW_ENOMEM.
 */
static int
collect(struct subscriber *s, struct answer *a, size_t limit)
{
	struct merge *m = &subscriber_hub(s)->merge;
	struct link *owner;
	struct event *e;
	size_t bytes = 0;

	if (merge_begin(m, &s->first) != SW_OK)
		return SW_ENOMEM;
	for (size_t i = 0; i < a->count; i++)
		bytes += a->events[i]->size;
	for (; (e = merge_peek(m, &owner)) != NULL; merge_advance(m)) {
		if (a->count == limit ||
		    (a->count > 0 && bytes + e->size > ANSWER_BYTES)) {
			a->more = true;
			break;
		}
		bytes += e->size;
		a->events[a->count++] = e;
		owner->pos = e->id;
	}
	return SW_OK;
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
fits_cache(const struct poll_cache *pc, const struct subscriber *s)
{
	const struct link *l = &s->first;

	return pc->channel == l->channel &&
	    pc->generation == l->channel->generation && pc->from == l->pos &&
	    pc->limit == s->poll.limit && pc->form == (enum form)s->form &&
	    pc->keep_alive == s->poll.keep_alive &&
	    same_text(pc->cors, s->poll.cors) &&
	    pc->date_s == subscriber_worker(s)->date_s;
}

static void
remember_cache(struct poll_cache *pc, const struct subscriber *s, uint64_t from)
{
	const struct link *l = &s->first;

	free(pc->cors);
	pc->cors = s->poll.cors == NULL ? NULL : strdup(s->poll.cors);
	if (s->poll.cors != NULL && pc->cors == NULL)
		return; /* memory ran out: the next one is made anew */
	pc->channel = l->channel;
	pc->generation = l->channel->generation;
	pc->from = from;
	pc->limit = s->poll.limit;
	pc->form = (enum form)s->form;
	pc->keep_alive = s->poll.keep_alive;
	pc->date_s = subscriber_worker(s)->date_s;
}

/*
 * Answer with `count` events that were read, and, unless there are `more` of
 * those, with what the windows hold behind them.
 */
static void
answer_with(
    struct subscriber *s, struct event **events, size_t count, bool more)
{
	struct poll_cache *pc = subscriber_worker(s)->hub.poll_cache;
	size_t limit = (size_t)s->poll.limit;
	bool plain = s->link_count == 1 && s->poll.gap == GAP_NONE &&
	    count == 0 && !s->poll.html && !s->poll.offers;
	uint64_t from = s->first.pos;
	struct answer a = { .more = more };
	int err = SW_ENOMEM;

	if (deliver_is_over(s))
		return;
	worker_date(subscriber_worker(s));
	if (plain && fits_cache(pc, s)) {
		send_response(s, pc);
		return;
	}
	a.events = calloc(limit > count ? limit : count, sizeof(*a.events));
	if (a.events != NULL) {
		for (; a.count < count; a.count++)
			a.events[a.count] = events[a.count];
		err = more ? SW_OK : collect(s, &a, limit);
		a.cursor =
		    a.count > 0 ? a.events[a.count - 1]->id : head_cursor(s);
		pc->channel = NULL;
		if (err == SW_OK)
			err = put_response(pc, s, &a);
	}
	free(a.events);
	if (err != SW_OK) {
		subscriber_close(s, CLOSE_OVERLOAD);
		return;
	}
	/* An answer without events says where the log's head is: not kept. */
	if (plain && pc->events > 0)
		remember_cache(pc, s, from);
	send_response(s, pc);
}

/* Answer with what the windows hold. */
static void
answer_now(struct subscriber *s)
{
	answer_with(s, NULL, 0, false);
}

static void
wait_for_news(struct subscriber *s)
{
	/* It is gone already, and no event will tell us again. */
	if (s->conn->half_open) {
		subscriber_close(s, CLOSE_PEER);
		return;
	}
	conn_arm(s->conn, smaller(s->poll.until_ms, subscriber_expiry_ms(s)));
}

/* Answer, read history first, or wait. */
static void
proceed(struct subscriber *s)
{
	struct hub *h = &subscriber_worker(s)->hub;
	bool waits = s->poll.until_ms > loop_now_ms(h->worker->loop);

	if (deliver_needs_store(s, NULL)) {
		if (replay_start(h, s, NULL, 0, (size_t)s->poll.limit) != SW_OK)
			subscriber_close(s, CLOSE_STORE);
		return;
	}
	if (deliver_has_news(s) || s->poll.gap != GAP_NONE || !waits ||
	    h->worker->draining)
		answer_now(s);
	else
		wait_for_news(s);
}

void
poll_begin(
    struct subscriber *s, const struct stream_request *req, bool keep_alive)
{
	struct hub *h = &subscriber_worker(s)->hub;
	uint64_t now = loop_now_ms(h->worker->loop);

	s->poll.limit = (uint32_t)req->limit;
	s->poll.keep_alive = keep_alive && !h->worker->draining;
	/* Without a cursor it is told where the head is, at once. */
	if (s->transport->id == TRANSPORT_LONG && req->start != START_LIVE)
		s->poll.until_ms = now + req->wait_ms;
	if (req->start != START_LAST) {
		proceed(s);
		return;
	}
	if (replay_start(h, s, NULL, req->last, (size_t)s->poll.limit) != SW_OK)
		subscriber_close(s, CLOSE_STORE);
}

void
poll_wake(struct subscriber *s)
{
	if (s->replay == NULL && deliver_has_news(s))
		proceed(s);
}

void
poll_replayed(struct subscriber *s, struct replay *r)
{
	const struct history_query *q = &r->read.query;
	bool more;

	if (r->read.err != SW_OK) {
		subscriber_close(s, CLOSE_STORE);
		return;
	}
	if (!loss_is_clear(s, r)) {
		proceed(s);
		return;
	}
	if (replay_add_memory(s, r) != SW_OK) {
		subscriber_close(s, CLOSE_OVERLOAD);
		return;
	}
	loss_after_read(s, r);
	more = q->more;
	if (!more)
		replay_advance(s, r->upto);
	if (q->count == 0) {
		proceed(s); /* nothing of it is left: on to the windows */
		return;
	}
	/* The windows may have moved on while history was read. */
	more = more || deliver_needs_store(s, NULL);
	answer_with(s, q->events, q->count, more);
}

void
poll_release(struct subscriber *s)
{
	s->poll.keep_alive = false;
	s->poll.until_ms = 0;
	if (s->replay == NULL)
		proceed(s);
}

bool
poll_farewell(struct subscriber *s, enum close_why why)
{
	const struct close_info *info = close_info(why);
	struct worker *w = subscriber_worker(s);
	const char *challenge = auth_challenge(
	    info->http_status, why != CLOSE_KICKED && s->grant != NULL);
	struct buf out, headers;

	if (info->http_status < 400)
		return false;
	buf_init(&out, 1 << 16);
	buf_init(&headers, 1 << 16);
	if (!s->poll.html && s->poll.cors != NULL)
		buf_puts(&headers, s->poll.cors);
	if (challenge != NULL)
		buf_printf(&headers, "WWW-Authenticate: %s\r\n", challenge);
	response_put_refusal(&out, w, info->http_status, info->sentence, false,
	    buf_str(&headers));
	buf_fini(&headers);
	/* The connection closes next, whether or not it takes this. */
	if (buf_error(&out) == SW_OK)
		conn_send(s->conn, buf_head(&out), buf_len(&out));
	buf_fini(&out);
	return true;
}

/*
 * While it waits: the client goes away, or sends its next request early. Whose
 * history is being read may have said only that it will ask nothing more.
 */
static void
poll_ready(struct conn *c, uint32_t events)
{
	struct subscriber *s = c->owner;

	(void)events;
	/* Input stays in the socket until the answer is out. */
	if (c->half_open && s->replay == NULL)
		subscriber_close(s, CLOSE_PEER);
}

static void
poll_timeout(struct conn *c)
{
	struct subscriber *s = c->owner;

	if (subscriber_expired(s))
		subscriber_close(s, CLOSE_EXPIRED);
	else if (s->replay != NULL)
		return;
	else if (loop_now_ms(c->worker->loop) < s->poll.until_ms)
		wait_for_news(s); /* a clock was set back */
	else
		proceed(s); /* what comes in this turn may be past its window */
}

static void
poll_end(struct conn *c)
{
	if (c->owner != NULL)
		subscriber_release(c->owner, CLOSE_PEER);
}

const struct conn_role poll_role = {
	.name = "poll",
	.ready = poll_ready,
	.timeout = poll_timeout,
	.end = poll_end,
};
