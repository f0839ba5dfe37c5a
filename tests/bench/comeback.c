#include "tests/bench/comeback.h"

#include "tests/bench/modes.h"
#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

void
all_leave(struct bench *b)
{
	uint32_t i;

	for (i = 0; i < b->o.subs; i++)
		subscriber_close(&b->subs[i]);
}

void
publish_more(struct bench *b, uint32_t from, uint32_t count, uint32_t more)
{
	struct pace p = { .from = from,
		.count = count,
		.each = b->channels[from].published + more };

	if (count > 0 && more > 0)
		bench_drive(b, &p, ACKED);
}

void
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
