#include "tests/bench/modes.h"
#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

static void
all_leave(struct bench *b)
{
	uint32_t i;

	for (i = 0; i < b->o.subs; i++)
		subscriber_close(&b->subs[i]);
}

/* So many more in each of `count` channels, whoever may be there. */
static void
publish_more(struct bench *b, uint32_t from, uint32_t count, uint32_t more)
{
	struct pace p = { .from = from,
		.count = count,
		.each = b->channels[from].published + more };

	if (count > 0 && more > 0)
		bench_drive(b, &p, ACKED);
}

/* Everybody gets one event, and with it a cursor. */
static void
first_event(struct bench *b)
{
	bench_open(b, 0, b->o.subs, WIRE_FAST);
	publish_more(b, 0, b->o.channels, 1);
	bench_wait(b, DELIVERED);
}

void
mode_catchup(struct bench *b)
{
	double cpu = 0, seconds = 0, busy = 0;
	uint64_t begin, cpu_begin, busy_begin;
	uint32_t round;

	bench_subscribers(b);
	bench_publishers(b);
	first_event(b);
	for (round = 0; round < b->o.rounds; round++) {
		all_leave(b);
		publish_more(b, 0, b->o.channels, b->o.away);
		bench_rest(b, 100 * MS);
		cpu_begin = server_cpu_ns(&b->o.server);
		busy_begin = b->wires.busy_ns;
		begin = now_ns();
		bench_open(b, 0, b->o.subs, WIRE_FAST);
		bench_wait(b, DELIVERED);
		seconds += (double)(now_ns() - begin) / 1e9;
		cpu += (double)(server_cpu_ns(&b->o.server) - cpu_begin) / 1e9;
		busy += (double)(b->wires.busy_ns - busy_begin) / 1e9;
	}
	bench_report(b, "seconds", seconds);
	bench_report(b, "cpu_s", cpu);
	bench_report(b, "load_busy", busy / seconds);
	bench_report(
	    b, "deliveries", (double)b->o.rounds * b->o.subs * b->o.away);
}

/* Those of the stream that goes on, and its pace. */
static void
live_begin(struct bench *b, struct pace *p)
{
	uint32_t i, channel = b->o.channels + FILLERS;

	for (i = b->o.subs; i < b->nsubs; i++) {
		subscriber_init(&b->subs[i], b, channel, true);
		b->subs[i].wire.urgent = true;
	}
	bench_open(b, b->o.subs, b->o.live, WIRE_FAST);
	for (i = 0; i < b->o.subs; i++)
		b->subs[i].is_timed = false;
	*p = (struct pace){ .from = channel,
		.count = 1,
		.rate = b->o.rate,
		.ns = (uint64_t)(b->o.seconds * (double)SECOND) };
}

static struct pace storm_pace;

static void
live_on(struct bench *b)
{
	publish(b, &storm_pace);
}

void
mode_storm(struct bench *b)
{
	uint32_t near = b->o.channels / 2, far = b->o.channels - near;
	struct pace quiet;
	struct span s;
	uint32_t i;

	bench_subscribers(b);
	bench_publishers(b);
	first_event(b);
	all_leave(b);
	live_begin(b, &quiet);
	/* What the far half missed leaves the memory before the near half
	 * misses anything. */
	publish_more(b, near, far, b->o.away);
	publish_more(b, b->o.channels, FILLERS, b->o.filler / FILLERS);
	publish_more(b, 0, near, b->o.away);
	bench_rest(b, 500 * MS);
	storm_pace = quiet;
	storm_pace.ns = 0;
	span_begin(b, &s);
	while (publish(b, &quiet))
		bench_turn(b);
	bench_report(b, "quiet_p50_us", histogram_us(&b->tally.delivery, 0.5));
	bench_report(b, "quiet_p99_us", histogram_us(&b->tally.delivery, 0.99));
	span_begin(b, &s);
	b->turn = live_on;
	bench_open(b, 0, b->o.subs, WIRE_FAST);
	for (i = 0; i < b->o.subs; i++)
		while (subscriber_misses(&b->subs[i]) > 0)
			bench_turn(b);
	b->turn = NULL;
	bench_wait(b, DELIVERED);
	span_end(b, &s);
}
