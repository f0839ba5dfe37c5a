#include "tests/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

enum {
	COMPLAINTS_MAX = 5,
	/* Fewer than a listening socket keeps waiting. */
	OPENING_MAX = 1000
};
#define STALLED (10 * SECOND)

void
bench_complain(struct bench *b, const char *format, ...)
{
	va_list args;

	if (b->complaints++ >= COMPLAINTS_MAX)
		return;
	va_start(args, format);
	fputs("load: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

void
bench_report(struct bench *b, const char *name, double value)
{
	buf_printf(&b->report, "%s\"%s\":%.6g",
	    buf_len(&b->report) > 0 ? "," : "", name, value);
}

static void *
make(size_t n, size_t size)
{
	void *p = calloc(n > 0 ? n : 1, size);

	if (p == NULL)
		abort();
	return p;
}

void
bench_publishers(struct bench *b)
{
	struct buf head;
	uint32_t i;

	for (i = 0; i < b->nchannels; i++) {
		buf_init(&head, 4096);
		dialect_publish(&head, b->o.dialect, b->run, i, b->o.size);
		b->channels[i].head =
		    (char *)buf_take(&head, &b->channels[i].head_len);
	}
	b->npubs = b->o.pubs;
	b->pubs = make(b->npubs, sizeof(*b->pubs));
	for (i = 0; i < b->npubs; i++)
		publisher_open(&b->pubs[i], b);
}

/* The slow ones are the last, and nobody waits for them. */
void
bench_subscribers(struct bench *b)
{
	uint32_t i;

	b->nsubs = b->o.subs + b->o.live;
	b->subs = make(b->nsubs, sizeof(*b->subs));
	for (i = 0; i < b->o.subs; i++)
		subscriber_init(&b->subs[i], b, i % b->o.channels,
		    i < b->o.subs - b->o.slow);
}

/* Has something happened lately? If not, it never will. */
static void
watch(struct bench *b)
{
	const struct tally *t = &b->tally;
	uint64_t moved =
	    t->deliveries + t->acks + t->polls + t->cycles + b->wires.opened;
	uint64_t now = now_ns();

	if (moved != b->moved || b->moved_ns == 0) {
		b->moved = moved;
		b->moved_ns = now;
	} else if (now - b->moved_ns > STALLED) {
		fprintf(stderr,
		    "load: LOST: nothing happens any more: %llu of %llu "
		    "deliveries, %u publishes unanswered, %u opening\n",
		    (unsigned long long)t->settled, (unsigned long long)t->due,
		    publishers_wait(b), b->opening);
		exit(1);
	}
}

void
bench_turn(struct bench *b)
{
	bench_turn_for(b, 0);
}

void
bench_turn_for(struct bench *b, uint64_t ns)
{
	wires_turn(&b->wires, ns);
	if (b->turn != NULL)
		b->turn(b);
	watch(b);
}

void
bench_rest(struct bench *b, uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	while (now_ns() < end)
		wires_turn(&b->wires, 10 * MS);
	b->moved_ns = 0;
}

void
bench_open(struct bench *b, uint32_t from, uint32_t n, enum wire_reader reader)
{
	while (n > 0 || b->opening > 0) {
		for (; n > 0 && b->opening < OPENING_MAX; n--)
			subscriber_open(&b->subs[from++], reader);
		bench_turn(b);
	}
}

void
bench_wait(struct bench *b, enum until until)
{
	while (publishers_wait(b) > 0 ||
	    (until == DELIVERED && b->tally.settled < b->tally.due))
		bench_turn(b);
}

void
bench_drive(struct bench *b, struct pace *p, enum until until)
{
	while (publish(b, p))
		bench_turn(b);
	bench_wait(b, until);
}

void
span_begin(struct bench *b, struct span *s)
{
	struct tally *t = &b->tally;

	memset(&t->delivery, 0, sizeof(t->delivery));
	memset(&t->ack, 0, sizeof(t->ack));
	*s = (struct span){ .cpu = server_cpu_ns(&b->o.server),
		.busy = b->wires.busy_ns,
		.deliveries = t->deliveries,
		.polls = t->polls,
		.cycles = t->cycles,
		.acks = t->acks };
	s->begin = now_ns();
}

void
span_end(struct bench *b, struct span *s)
{
	const struct tally *t = &b->tally;
	uint64_t ns = now_ns() - s->begin;

	s->seconds = (double)ns / 1e9;
	bench_report(b, "seconds", s->seconds);
	bench_report(
	    b, "cpu_s", (double)(server_cpu_ns(&b->o.server) - s->cpu) / 1e9);
	bench_report(
	    b, "load_busy", (double)(b->wires.busy_ns - s->busy) / (double)ns);
	bench_report(b, "deliveries", (double)(t->deliveries - s->deliveries));
	bench_report(b, "polls", (double)(t->polls - s->polls));
	bench_report(b, "cycles", (double)(t->cycles - s->cycles));
	bench_report(b, "acks", (double)(t->acks - s->acks));
	bench_report(b, "p50_us", histogram_us(&t->delivery, 0.5));
	bench_report(b, "p99_us", histogram_us(&t->delivery, 0.99));
	bench_report(b, "max_us", (double)t->delivery.max / 1000.0);
	bench_report(b, "ack_p50_us", histogram_us(&t->ack, 0.5));
	bench_report(b, "ack_p99_us", histogram_us(&t->ack, 0.99));
}
