/* What a run has found out, as a table for a terminal. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "proxy/compare/result.h"

static void
put_ms(struct buf *out, const struct latencies *l, double quantile)
{
	double ms = l->count == 0 ? (double)NAN :
				    (double)latencies_at(l, quantile) / 1e6;

	result_put_number(out, 10, ms < 99.95 ? 2 : 0, ms);
}

static void
put_arrivals(struct buf *out, const struct result *r)
{
	static const double quantiles[] = { 0.5, 0.9, 0.95, 0.99, 1 };

	buf_printf(out, "\n%-6s %9s %9s %7s %7s %7s %9s %9s %9s %9s %9s\n", "",
	    "published", "received", "missing", "twice", "late", "p50 ms",
	    "p90 ms", "p95 ms", "p99 ms", "max ms");
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];
		const struct tally *t = &p->tally;

		if (!phase_is_measured(p))
			continue;
		buf_printf(out,
		    "%-6s %9" PRIu64 " %9" PRIu64 " %7" PRIu64 " %7" PRIu64
		    " %7" PRIu64,
		    transports[p->transport].name, p->published, t->received,
		    phase_missing(r, p), t->duplicates, t->late);
		for (size_t q = 0; q < 5; q++)
			put_ms(out, &t->latency, quantiles[q]);
		buf_puts(out, "\n");
	}
}

static void
put_bytes(struct buf *out, const struct result *r)
{
	buf_puts(out,
	    "\nBytes on the sockets for each event that arrived, both "
	    "directions, as this\nprogram counted them (of TLS, before they "
	    "are encrypted)\n");
	buf_printf(out, "%-6s", "");
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		buf_printf(out, " %9s", bucket_title((enum bucket)b));
	buf_printf(out, " %9s %9s %11s\n", "in all", "requests", "connections");
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];

		if (!phase_is_measured(p))
			continue;
		buf_printf(out, "%-6s", transports[p->transport].name);
		for (size_t b = 0; b < BUCKET_COUNT; b++)
			result_put_number(out, 10, 1,
			    phase_per_event(p, (double)p->tally.bytes[b]));
		result_put_number(out, 10, 1,
		    phase_per_event(p, (double)phase_total_bytes(p)));
		buf_printf(out, " %9" PRIu64 " %11" PRIu64 "\n",
		    p->tally.requests, p->tally.connections);
	}
}

/* Its own count, beside ours. */
static void
put_counts(struct buf *out, const struct phase *p)
{
	uint64_t bytes = phase_counted_bytes(p);

	if (!p->has_counts) {
		buf_printf(out, " %12s %9s  -", "-", "-");
		return;
	}
	result_put_number(out, 13, 1, phase_per_event(p, (double)bytes));
	buf_printf(out, " %9" PRIu64 "  ", p->counts.requests);
	if (p->counts_others)
		buf_puts(out, "others were there");
	else if (bytes == phase_total_bytes(p))
		buf_puts(out, "the same");
	else
		buf_printf(out, "%+" PRId64 " bytes in all",
		    (int64_t)(bytes - phase_total_bytes(p)));
}

static void
put_process(struct buf *out, const struct phase *p)
{
	if (!p->has_process) {
		buf_printf(out, " %10s %12s %9s %12s", "-", "-", "-", "-");
		return;
	}
	buf_printf(out, " %10.0f", p->cpu_seconds * 1e3);
	result_put_number(out, 13, 1, phase_per_event(p, p->cpu_seconds * 1e6));
	buf_printf(out, " %9.1f %12.0f", (double)p->resident / 1e6,
	    (double)p->growth / 1e3);
}

static void
put_gateway(struct buf *out, const struct result *r)
{
	buf_printf(out, "\nThe gateway\n%-6s %10s %12s %9s %12s %12s %9s\n", "",
	    "CPU ms", "us per event", "memory MB", "growth kB", "bytes/event",
	    "requests");
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];

		if (!phase_is_measured(p))
			continue;
		buf_printf(out, "%-6s", transports[p->transport].name);
		put_process(out, p);
		put_counts(out, p);
		buf_puts(out, "\n");
	}
	if (r->no_gauge != NULL)
		buf_printf(out, "-: %s\n", r->no_gauge);
}

void
result_put_remarks(struct buf *out, const struct result *r)
{
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];
		const struct tally *t = &p->tally;
		const char *name = transports[p->transport].name;

		if (!phase_is_measured(p))
			buf_printf(out, "Not measured: %s\n", p->why);
		/* Then it is late by itself. */
		if (p->own_cpu_seconds > p->seconds / 2)
			buf_printf(out,
			    "%s: this program was busy for %.0f %% of the "
			    "time: some of the latency is its own\n",
			    name, 100 * p->own_cpu_seconds / p->seconds);
		if (t->gaps > 0)
			buf_printf(out,
			    "%s: %" PRIu64 " losses were told by the gateway\n",
			    name, t->gaps);
		if (t->reconnects > 0)
			buf_printf(out,
			    "%s: %" PRIu64 " connections ended early\n", name,
			    t->reconnects);
		if (t->foreign > 0)
			buf_printf(out,
			    "%s: %" PRIu64 " events were of somebody else\n",
			    name, t->foreign);
		if (p->refused > 0)
			buf_printf(out,
			    "%s: %" PRIu64
			    " events were not taken: the gateway was busy\n",
			    name, p->refused);
		if (phase_fell_short(r, p))
			buf_printf(out,
			    "%s: %" PRIu64 " of %" PRIu64
			    " events were published when the time was over\n",
			    name, p->published + p->refused,
			    compare_options_events(r->options));
		if (p->delayed > 0)
			buf_printf(out,
			    "%s: %" PRIu64
			    " events were due before the gateway took them; "
			    "their latency\ncounts from then\n",
			    name, p->delayed);
	}
	if (r->cut_short)
		buf_puts(out,
		    "Interrupted: what was on its way counts as missing.\n");
	if (r->broken_off != NULL)
		buf_printf(out,
		    "Broken off: %s. What was on its way counts as "
		    "missing.\n",
		    r->broken_off);
}

void
result_put_table(struct buf *out, const struct result *r)
{
	const struct compare_options *o = r->options;

	buf_printf(out,
	    "%" PRIu64 " subscribers of each transport, %s: %" PRIu64
	    " events a\nsecond with %" PRIu64
	    " bytes each, for %.1f s; short polls every %.2f s. Published by "
	    "%s.\n",
	    o->subscribers, result_manner(r), o->rate, o->size,
	    (double)o->duration_ms / 1000, (double)o->poll_interval_ms / 1000,
	    result_publisher(r));
	put_arrivals(out, r);
	put_bytes(out, r);
	put_gateway(out, r);
	result_put_remarks(out, r);
}
