#include "proxy/compare/publisher.h"

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/compare/envelope.h"
#include "proxy/compare/question.h"

/* Requests that wait for their answers, and a little more than they need. */
enum { WAITING_MAX = 64, ANSWER_MAX = 64 << 10, COME_BACK_MS = 250 };

static struct publisher *
publisher_of(struct peer *p)
{
	return container_of(p, struct publisher, peer);
}

static uint64_t
waiting(const struct publisher *p)
{
	return p->sent - p->stored - p->refused;
}

static void
fail(struct publisher *p, const char *why)
{
	publisher_stop(p);
	peer_close(&p->peer);
	p->failed(p, why);
}

/* When event `n` is due, counted from 0. */
static uint64_t
due_ns(const struct publisher *p, uint64_t n)
{
	return p->begun_ms * 1000000 + n * 1000000000 / p->options->rate;
}

/* Now; or before, if it is the gateway that we have waited for. */
static uint64_t
next_ns(struct publisher *p)
{
	uint64_t due = due_ns(p, p->sent), now = clock_ns(CLOCK_MONOTONIC);

	if (!p->waits || due >= now)
		return now;
	p->delayed++;
	return due;
}

/* The next event, as a request. */
static void
put_event(struct publisher *p)
{
	struct buf *out = &p->peer.out;
	struct stamp s = { .n = p->before + p->sent + 1,
		.run = str_of(p->run),
		.sent_ns = next_ns(p) };

	buf_clear(&p->payload);
	stamp_put(&p->payload, &s, (size_t)p->options->size);
	buf_printf(out,
	    "POST %s/v1/channels/%s/events HTTP/1.1\r\nHost: %s\r\n"
	    "Content-Type: application/json\r\nContent-Length: %zu\r\n",
	    p->options->api.base, p->options->channel,
	    p->options->api.authority, buf_len(&p->payload));
	if (p->options->api_token[0] != '\0')
		buf_printf(
		    out, "Authorization: Bearer %s\r\n", p->options->api_token);
	buf_puts(out, "\r\n");
	buf_put_str(out, buf_str(&p->payload));
	p->sent++;
}

static uint64_t
due_ms(const struct publisher *p)
{
	return due_ns(p, p->sent) / 1000000;
}

/* It will never keep up, or come back: what was sent by now has to do. */
static bool
is_too_late(const struct publisher *p)
{
	return loop_now_ms(p->peer.loop) >
	    p->begun_ms + p->options->duration_ms + p->options->grace_ms;
}

/* All that is due, as far as the gateway keeps up. */
static void
publish(struct publisher *p)
{
	uint64_t now = loop_now_ms(p->peer.loop);

	p->stopped |= is_too_late(p);
	while (!p->stopped && p->sent < p->total && waiting(p) < WAITING_MAX &&
	    due_ms(p) <= now) {
		put_event(p);
		/* Each by itself: the time in it is that of its sending. */
		peer_flush(&p->peer);
	}
	p->waits = waiting(p) >= WAITING_MAX;
	if (p->stopped || p->sent == p->total)
		loop_clear_timer(&p->timer);
	else if (waiting(p) < WAITING_MAX)
		loop_set_timer(p->peer.loop, &p->timer, due_ms(p));
}

static void
go_on(struct publisher *p)
{
	p->stopped |= is_too_late(p);
	if (p->peer.state == PEER_OPEN) {
		publish(p);
	} else if (p->peer.state == PEER_CLOSED && !publisher_is_done(p)) {
		p->heard_ms = loop_now_ms(p->peer.loop);
		if (peer_open(&p->peer) != SW_OK)
			fail(p,
			    "no connection to the operator's API can be "
			    "opened");
	}
}

static void
on_timer(struct timer *t)
{
	go_on(container_of(t, struct publisher, timer));
}

/* The id of the first event names the log. */
static void
read_epoch(struct publisher *p)
{
	struct str text = buf_str(&p->body);
	struct cursor cursor;
	struct envelope e;

	if (p->epoch.text[0] == '\0' && json_valid(text) &&
	    envelope_read(&e, text) && e.id.p != NULL &&
	    cursor_parse(&cursor, e.id) == SW_OK)
		p->epoch = cursor.epoch;
}

static void
refuse(struct publisher *p)
{
	struct buf why;

	buf_init(&why, 1 << 16);
	buf_printf(
	    &why, "the operator's API answers with %u: ", p->answer.status);
	question_put_detail(&why, buf_str(&p->body));
	if (p->answer.status == 401 || p->answer.status == 403)
		buf_puts(&why, " (--api-token-file)");
	buf_put(&why, "", 1);
	fail(p,
	    buf_error(&why) == SW_OK ? (const char *)buf_head(&why) :
				       "the operator's API refuses");
	buf_fini(&why);
}

/* False: it was the last one that is read on this connection. */
static bool
take_answer(struct publisher *p)
{
	unsigned status = p->answer.status;
	bool closes = p->answer.closes;

	p->heard_ms = loop_now_ms(p->peer.loop);
	if (waiting(p) == 0) {
		fail(p, "the operator's API answers what nobody has asked");
		return false;
	}
	if (status == 200 || status == 201) {
		read_epoch(p);
		p->stored++;
	} else if (status == 503 || status == 429) {
		p->refused++;
	} else {
		refuse(p);
		return false;
	}
	answer_again(&p->answer);
	buf_clear(&p->body);
	if (!closes)
		return true;
	/* What was sent behind it is not answered, and so it was not read. */
	p->sent -= waiting(p);
	p->waits = true;
	peer_close(&p->peer);
	if (!p->stopped)
		loop_set_timer(
		    p->peer.loop, &p->timer, loop_now_ms(p->peer.loop));
	return false;
}

static void
opened(struct peer *peer)
{
	struct publisher *p = publisher_of(peer);

	answer_again(&p->answer);
	buf_clear(&p->body);
	publish(p);
}

static void
input(struct peer *peer, const uint8_t *bytes, size_t n)
{
	struct publisher *p = publisher_of(peer);
	size_t used, data;

	while (n > 0) {
		if (answer_read(&p->answer, bytes, n, &used, &data) != SW_OK ||
		    buf_put(&p->body, bytes + used - data, data) != SW_OK) {
			fail(p, "what the operator's API says is no answer");
			return;
		}
		bytes += used;
		n -= used;
		if (p->answer.state == ANSWER_END && !take_answer(p))
			return;
	}
	publish(p);
}

static void
ended(struct peer *peer, const char *why)
{
	struct publisher *p = publisher_of(peer);
	char text[200];

	/* An idle one: there will be another, if the gateway comes back. */
	if (waiting(p) == 0 && p->sent > 0) {
		p->waits = true;
		if (!publisher_is_done(p))
			loop_set_timer(peer->loop, &p->timer,
			    loop_now_ms(peer->loop) + COME_BACK_MS);
		return;
	}
	snprintf(text, sizeof(text),
	    "the connection to the operator's API ended%s%s%s",
	    why[0] != '\0' ? ": " : "", why,
	    waiting(p) > 0 ? "; whether all events are stored is not known" :
			     "");
	fail(p, text);
}

static const struct peer_kind kind = { opened, input, ended };

void
publisher_init(struct publisher *p, struct loop *l,
    const struct compare_options *o, struct secure_context *context)
{
	*p = (struct publisher){ .options = o, .stopped = true };
	peer_init(&p->peer, l, &kind, &o->api, context);
	answer_init(&p->answer);
	buf_init(&p->body, ANSWER_MAX);
	buf_init(&p->payload, (size_t)o->size + ENVELOPE_SIZE_MIN);
	timer_init(&p->timer, on_timer);
}

void
publisher_fini(struct publisher *p)
{
	loop_clear_timer(&p->timer);
	peer_fini(&p->peer);
	answer_fini(&p->answer);
	buf_fini(&p->body);
	buf_fini(&p->payload);
}

void
publisher_begin(struct publisher *p, uint64_t before, uint64_t total)
{
	p->before = before;
	p->total = total;
	p->begun_ms = p->heard_ms = loop_now_ms(p->peer.loop);
	p->sent = p->stored = p->refused = p->delayed = 0;
	p->stopped = p->waits = false;
	go_on(p);
}

void
publisher_stop(struct publisher *p)
{
	p->stopped = true;
	loop_clear_timer(&p->timer);
}

/* One event a second is the least, so an API that answers is heard by then. */
void
publisher_watch(struct publisher *p)
{
	if (p->peer.state != PEER_CLOSED && !publisher_is_done(p) &&
	    loop_now_ms(p->peer.loop) >= p->heard_ms + QUESTION_MS)
		fail(p,
		    "no answer of the operator's API within 15 seconds; "
		    "whether all events are stored is not known");
}

bool
publisher_is_done(const struct publisher *p)
{
	return (p->stopped || p->sent == p->total) && waiting(p) == 0;
}
