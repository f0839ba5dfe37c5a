#include "tests/bench/modes.h"
#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

void
mode_idle(struct bench *b)
{
	struct pace p = {
		.count = b->o.channels, .each = b->o.each, .window = 1
	};
	uint64_t before, after, cpu;
	struct span s;

	bench_subscribers(b);
	before = server_memory(&b->o.server);
	bench_open(b, 0, b->o.subs, WIRE_FAST);
	bench_rest(b, SECOND);
	after = server_memory(&b->o.server);
	bench_report(b, "bytes_per_connection",
	    ((double)after - (double)before) / b->o.subs);
	cpu = server_cpu_ns(&b->o.server);
	bench_rest(b, (uint64_t)(b->o.seconds * (double)SECOND));
	bench_report(b, "idle_cpu_ms_per_s",
	    (double)(server_cpu_ns(&b->o.server) - cpu) / 1e6 / b->o.seconds);
	bench_publishers(b);
	span_begin(b, &s);
	bench_drive(b, &p, DELIVERED);
	span_end(b, &s);
	bench_report(b, "bytes_per_connection_after",
	    ((double)server_memory(&b->o.server) - (double)before) / b->o.subs);
}

/* Who stands has had a whole cycle, and leaves. */
static void
leave(struct bench *b, struct subscriber *s)
{
	b->tally.cycles++;
	subscriber_close(s);
}

void
mode_churn(struct bench *b)
{
	uint64_t end;
	struct span s;
	uint32_t i;

	bench_subscribers(b);
	b->ready = leave;
	bench_open(b, 0, b->o.subs, WIRE_FAST);
	span_begin(b, &s);
	end = s.begin + (uint64_t)(b->o.seconds * (double)SECOND);
	while (now_ns() < end) {
		for (i = 0; i < b->o.subs; i++)
			if (b->subs[i].state == SUB_AWAY)
				subscriber_open(&b->subs[i], WIRE_FAST);
		bench_turn(b);
	}
	span_end(b, &s);
	bench_wait(b, DELIVERED);
}
