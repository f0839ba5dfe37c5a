#include "tests/bench/subscriber.h"

#include <string.h>

#include "proxy/base/list.h"
#include "tests/bench/payload.h"

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9 };

static const char accepted[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

static struct subscriber *
subscriber_of(struct wire *w)
{
	return (
	    struct subscriber *)((char *)w - offsetof(struct subscriber, wire));
}

static void
stands(struct subscriber *s)
{
	struct bench *b = s->bench;

	if (s->state != SUB_OPENING)
		return;
	s->state = SUB_STANDS;
	b->opening--;
	if (b->ready != NULL)
		b->ready(b, s);
}

/* What the subscriber got is behind it, also what it will never get. */
static void
advance(struct subscriber *s, uint32_t seq)
{
	struct tally *t = &s->bench->tally;
	uint32_t skipped = seq - s->seq - 1;

	if (skipped > 0) {
		t->lost += skipped;
		bench_complain(s->bench, "channel %u: %u came after %u",
		    s->channel, seq, s->seq);
	}
	if (s->counts)
		t->settled += skipped + 1;
	t->deliveries++;
	s->seq = seq;
}

static void
take_payload(struct subscriber *s, struct payload what)
{
	struct tally *t = &s->bench->tally;

	if (what.channel != s->channel) {
		t->damaged++;
		bench_complain(s->bench, "channel %u got an event of %u",
		    s->channel, what.channel);
	} else if (what.seq <= s->seq) {
		t->again++;
		bench_complain(s->bench, "channel %u: %u came again, after %u",
		    s->channel, what.seq, s->seq);
	} else {
		advance(s, what.seq);
		if (s->counts)
			histogram_add(&t->delivery, now_ns() - what.stamp);
	}
}

/* All events in a message, a block, or an answer's body. */
static void
take_text(struct subscriber *s, struct str text)
{
	struct bench *b = s->bench;
	struct payload what;
	int found;

	while ((found = payload_next(&what, &text, b->o.size)) == 1)
		take_payload(s, what);
	if (found < 0) {
		b->tally.damaged++;
		bench_complain(b, "channel %u: damaged: %.*s", s->channel,
		    (int)(text.len < 80 ? text.len : 80), text.p);
	}
	/* Behind the last event: notices, and what ends a poll's answer. */
	if (dialect_tells_gap(b->o.dialect, text)) {
		b->tally.gaps++;
		bench_complain(b, "channel %u: a gap: %.*s", s->channel,
		    (int)(text.len < 200 ? text.len : 200), text.p);
	}
}

static void
refused(struct subscriber *s, const uint8_t *p, size_t n)
{
	s->bench->tally.refused++;
	bench_complain(s->bench, "refused: %.*s", (int)(n < 400 ? n : 400),
	    (const char *)p);
	subscriber_close(s);
}

/* The head of the answer that begins a stream. */
static size_t
take_head(struct subscriber *s, const uint8_t *p, size_t n)
{
	const char *status =
	    s->bench->o.wants == WS ? "HTTP/1.1 101" : "HTTP/1.1 200";
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	size_t head;

	if (end == NULL)
		return 0;
	head = (size_t)(end - (const char *)p) + 4;
	if (memcmp(p, status, 12) != 0 ||
	    (s->bench->o.wants == WS &&
		memmem(p, head, accepted, sizeof(accepted) - 1) == NULL)) {
		refused(s, p, n);
		return WIRE_GONE;
	}
	stands(s);
	return s->state == SUB_AWAY ? WIRE_GONE : head;
}

static void
pong(struct subscriber *s, struct str ping)
{
	uint8_t head[6] = { 0x8a, (uint8_t)(0x80 | ping.len) };

	/* The mask is zero. */
	buf_put(&s->wire.out, head, sizeof(head));
	buf_put_str(&s->wire.out, ping);
	wire_flush(&s->wire);
}

static void
take_message(struct subscriber *s, unsigned opcode, struct str message)
{
	struct bench *b = s->bench;

	if (opcode == WS_TEXT || opcode == WS_BINARY) {
		if (b->o.resumes)
			cursor_of_message(&s->cursor, b->o.dialect, message);
		take_text(s, message);
	} else if (opcode == WS_PING) {
		pong(s, message);
	} else if (opcode == WS_CLOSE) {
		bench_complain(b, "closed: %.*s", STR_ARG(message));
	} else {
		b->tally.damaged++;
		bench_complain(b, "a frame with opcode %u", opcode);
	}
}

/* Whole messages in one frame each: that is how all of the servers send. */
static size_t
take_frames(struct subscriber *s, const uint8_t *p, size_t n)
{
	size_t used = 0, head, i;
	uint64_t len;

	for (; n - used >= 2; used += head + (size_t)len, p += head + len) {
		len = p[1] & 0x7f;
		head = len < 126 ? 2 : len == 126 ? 4 : 10;
		if (n - used < head)
			break;
		if (len >= 126)
			for (len = 0, i = 2; i < head; i++)
				len = len << 8 | p[i];
		if (n - used - head < len)
			break;
		take_message(s, p[0] & 0x8f ? p[0] & 0x0f : 0,
		    (struct str){ (const char *)p + head, (size_t)len });
	}
	return used;
}

static size_t
take_blocks(struct subscriber *s, const uint8_t *p, size_t n)
{
	struct str rest = { (const char *)p, n };
	const char *end;

	while ((end = memmem(rest.p, rest.len, "\n\n", 2)) != NULL) {
		struct str block = { rest.p, (size_t)(end - rest.p) + 2 };

		cursor_of_block(&s->cursor, s->bench->o.dialect, block);
		take_text(s, block);
		rest.p += block.len;
		rest.len -= block.len;
	}
	return n - rest.len;
}

static void
ask(struct subscriber *s)
{
	const struct options *o = &s->bench->o;
	struct subscription what = { .dialect = o->dialect,
		.wants = o->wants,
		.resumes = o->resumes,
		.run = s->bench->run,
		.channel = s->channel,
		.seq = s->seq,
		.cursor = &s->cursor };

	dialect_subscribe(&s->wire.out, &what);
	wire_flush(&s->wire);
}

/* One answer at a time, and with each the next question. */
static size_t
take_answer(struct subscriber *s, const uint8_t *p, size_t n)
{
	struct reply r;
	size_t used = reply_read(&r, p, n);

	if (used == 0)
		return 0;
	if (r.status != 200 && r.status != 304) {
		refused(s, p, n);
		return WIRE_GONE;
	}
	s->bench->tally.polls++;
	cursor_of_reply(&s->cursor, s->bench->o.dialect, &r);
	take_text(s, r.body);
	stands(s);
	if (s->state == SUB_AWAY)
		return WIRE_GONE;
	ask(s);
	return used;
}

static size_t
subscriber_input(struct wire *w, const uint8_t *p, size_t n)
{
	struct subscriber *s = subscriber_of(w);
	size_t used = 0, more;

	if (s->bench->o.wants >= LONG)
		return take_answer(s, p, n);
	if (s->state == SUB_OPENING) {
		used = take_head(s, p, n);
		if (used == 0 || used == WIRE_GONE)
			return used;
	}
	if (s->bench->o.wants == WS)
		more = take_frames(s, p + used, n - used);
	else
		more = take_blocks(s, p + used, n - used);
	return used + more;
}

static void
subscriber_ended(struct wire *w)
{
	struct subscriber *s = subscriber_of(w);
	struct bench *b = s->bench;

	b->tally.closed++;
	bench_complain(b, "channel %u: the server closed after event %u",
	    s->channel, s->seq);
	if (s->state == SUB_OPENING)
		b->opening--;
	s->state = SUB_AWAY;
}

static const struct wire_kind subscriber_kind = { subscriber_input,
	subscriber_ended };

void
subscriber_init(
    struct subscriber *s, struct bench *b, uint32_t channel, bool counts)
{
	*s = (struct subscriber){
		.bench = b, .channel = channel, .counts = counts
	};
	wire_init(&s->wire, &b->wires, &subscriber_kind);
	b->channels[channel].listeners += counts;
}

void
subscriber_open(struct subscriber *s, enum wire_reader reader)
{
	const struct options *o = &s->bench->o;

	s->state = SUB_OPENING;
	s->bench->opening++;
	wire_open(&s->wire, o->sub_port, reader);
	ask(s);
	/* Who polls a server that keeps events for newcomers is there now. */
	if (o->wants >= LONG && !dialect_poll_begins(o->dialect, o->wants))
		stands(s);
}

void
subscriber_close(struct subscriber *s)
{
	if (s->state == SUB_OPENING)
		s->bench->opening--;
	s->state = SUB_AWAY;
	wire_close(&s->wire);
}

uint32_t
subscriber_misses(const struct subscriber *s)
{
	return s->bench->channels[s->channel].published - s->seq;
}
