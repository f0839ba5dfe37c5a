#include "tests/bench/publisher.h"

#include <stdlib.h>

#include "proxy/base/list.h"
#include "tests/bench/payload.h"

static struct publisher *
publisher_of(struct wire *w)
{
	return (
	    struct publisher *)((char *)w - offsetof(struct publisher, wire));
}

static size_t
publisher_input(struct wire *w, const uint8_t *p, size_t n)
{
	struct publisher *pub = publisher_of(w);
	struct bench *b = pub->bench;
	size_t used = 0, one;
	struct reply r;

	while (used < n && (one = reply_read(&r, p + used, n - used)) > 0) {
		used += one;
		if (pub->in_flight == 0 || r.status < 200 || r.status > 202) {
			b->tally.refused++;
			bench_complain(b, "a publish was answered %u: %.*s",
			    r.status, STR_ARG(r.body));
		}
		if (pub->in_flight == 0)
			continue;
		histogram_add(&b->tally.ack, now_ns() - pub->sent[pub->first]);
		pub->first = (pub->first + 1) % DEPTH_MAX;
		pub->in_flight--;
		b->tally.acks += b->o.batch > 0 ? b->o.batch : 1;
	}
	return used;
}

static void
publisher_ended(struct wire *w)
{
	/* Without it there is nothing left to measure. */
	bench_complain(publisher_of(w)->bench, "the server left a publisher");
	exit(1);
}

static const struct wire_kind publisher_kind = { publisher_input,
	publisher_ended };

void
publisher_open(struct publisher *p, struct bench *b)
{
	*p = (struct publisher){ .bench = b };
	wire_init(&p->wire, &b->wires, &publisher_kind);
	wire_open(&p->wire, b->o.pub_port, WIRE_FAST);
}

/* One more for channel `c`, in `out`. */
static void
put_payload(struct bench *b, struct buf *out, uint32_t c, uint64_t stamp)
{
	struct channel *ch = &b->channels[c];
	struct payload what = { c, ++ch->published, stamp };

	b->tally.due += ch->listeners;
	if (buf_reserve(out, b->o.size) != SW_OK)
		abort();
	payload_write(buf_tail(out), b->o.size, what);
	buf_commit(out, b->o.size);
}

static void
put_batch(
    struct bench *b, struct buf *out, const struct pace *p, uint64_t stamp)
{
	struct buf line, lines;
	uint32_t i, c;

	buf_init(&line, SIZE_MAX / 2);
	buf_init(&lines, SIZE_MAX / 2);
	for (i = 0; i < b->o.batch; i++) {
		c = p->from + (p->next + i * b->npubs) % p->count;
		buf_clear(&line);
		put_payload(b, &line, c, stamp);
		dialect_line(&lines, b->run, c, buf_str(&line));
	}
	dialect_publish_lines(out, b->o.dialect, buf_len(&lines));
	buf_put_str(out, buf_str(&lines));
	buf_fini(&line);
	buf_fini(&lines);
}

static void
put_request(struct bench *b, struct pace *p, uint32_t c, uint64_t stamp)
{
	struct publisher *pub = &b->pubs[c % b->npubs];
	struct channel *ch = &b->channels[c];

	pub->sent[(pub->first + pub->in_flight++) % DEPTH_MAX] = now_ns();
	pub->has_news = true;
	if (b->o.batch > 0) {
		put_batch(b, &pub->wire.out, p, stamp);
	} else {
		buf_put(&pub->wire.out, ch->head, ch->head_len);
		put_payload(b, &pub->wire.out, c, stamp);
	}
}

static uint64_t
due_ns(const struct pace *p)
{
	return p->begin +
	    (uint64_t)((double)p->done / p->rate * (double)SECOND);
}

/* Does the pace allow one more now? If so, when was it due? */
static bool
is_due(
    const struct bench *b, const struct pace *p, uint64_t now, uint64_t *stamp)
{
	uint32_t listeners = b->channels[p->from].listeners;
	const struct tally *t = &b->tally;

	*stamp = now;
	if (p->rate > 0) {
		*stamp = due_ns(p);
		return *stamp <= now;
	}
	/* Counted in deliveries: at most `window` events' worth is open. */
	return p->window == 0 || t->due < t->settled ||
	    t->due - t->settled <= (uint64_t)(p->window - 1) * listeners;
}

/* To the next channel whose connection has room, if there is one. */
static bool
put_next(struct bench *b, struct pace *p, uint64_t stamp)
{
	uint32_t tries = p->count < b->npubs ? p->count : b->npubs, c;

	while (tries > 0 && p->full < p->count) {
		c = p->from + p->next;
		if (p->each > 0 && b->channels[c].published >= p->each) {
			p->full++;
		} else if (b->pubs[c % b->npubs].in_flight < b->o.depth) {
			put_request(b, p, c, stamp);
			p->next = (p->next + 1) % p->count;
			p->full = 0;
			p->done++;
			return true;
		} else {
			p->full = 0;
			tries--;
		}
		p->next = (p->next + 1) % p->count;
	}
	return false;
}

/* What was due in its time is published, however long a server stalls. */
static bool
is_over(const struct pace *p, uint64_t now)
{
	if (p->ns == 0)
		return false;
	return p->rate > 0 ?
	    (double)p->done >= p->rate * (double)p->ns / (double)SECOND :
	    now - p->begin >= p->ns;
}

bool
publish(struct bench *b, struct pace *p)
{
	uint64_t now = now_ns(), stamp;
	uint32_t i;

	if (p->begin == 0)
		p->begin = now;
	while (!is_over(p, now)) {
		if (!is_due(b, p, now, &stamp) || !put_next(b, p, stamp))
			break;
	}
	for (i = 0; i < b->npubs; i++) {
		if (!b->pubs[i].has_news)
			continue;
		b->pubs[i].has_news = false;
		wire_flush(&b->pubs[i].wire);
	}
	return !is_over(p, now) && (p->each == 0 || p->full < p->count);
}

uint64_t
pace_rest_ns(const struct pace *p)
{
	uint64_t due = due_ns(p), now = now_ns();

	return due > now ? due - now : 0;
}

uint32_t
publishers_wait(const struct bench *b)
{
	uint32_t i, sum = 0;

	for (i = 0; i < b->npubs; i++)
		sum += b->pubs[i].in_flight;
	return sum;
}
