#include "proxy/compare/result.h"

#include <math.h>

bool
phase_is_measured(const struct phase *p)
{
	return p->why[0] == '\0';
}

uint64_t
phase_expected(const struct result *r, const struct phase *p)
{
	return p->published * r->options->subscribers;
}

uint64_t
phase_missing(const struct result *r, const struct phase *p)
{
	uint64_t expected = phase_expected(r, p);

	return expected > p->tally.received ? expected - p->tally.received : 0;
}

bool
phase_is_clean(const struct result *r, const struct phase *p)
{
	const struct tally *t = &p->tally;

	return t->received == phase_expected(r, p) && t->duplicates == 0 &&
	    t->late == 0 && t->gaps == 0;
}

bool
phase_fell_short(const struct result *r, const struct phase *p)
{
	/* The demo has a clock of its own: one event more or less. */
	return phase_is_measured(p) && !r->by_demo && !p->cut_short &&
	    p->published + p->refused < compare_options_events(r->options);
}

static uint64_t
sum(const uint64_t *bytes)
{
	uint64_t total = 0;

	for (size_t b = 0; b < BUCKET_COUNT; b++)
		total += bytes[b];
	return total;
}

uint64_t
phase_total_bytes(const struct phase *p)
{
	return sum(p->tally.bytes);
}

uint64_t
phase_counted_bytes(const struct phase *p)
{
	return sum(p->counts.bytes);
}

double
phase_per_event(const struct phase *p, double n)
{
	return p->tally.received == 0 ? (double)NAN :
					n / (double)p->tally.received;
}

void
result_put_number(struct buf *out, int width, int places, double value)
{
	if (isnan(value))
		buf_printf(out, "%*s", width, "-");
	else
		buf_printf(out, "%*.*f", width, places, value);
}

const char *
result_publisher(const struct result *r)
{
	return r->by_demo ?
	    "the demo: latencies go by its clock and this machine's" :
	    "this program";
}

const char *
result_manner(const struct result *r)
{
	return r->options->together ? "all with the same events" :
				      "one transport after the other";
}

const char *
bucket_title(enum bucket b)
{
	static const char *const titles[BUCKET_COUNT] = {
		[BUCKET_HANDSHAKE] = "handshake",
		[BUCKET_REQUEST] = "req.head",
		[BUCKET_RESPONSE] = "resp.head",
		[BUCKET_FRAMING] = "framing",
		[BUCKET_HEARTBEAT] = "heartbeat",
		[BUCKET_PAYLOAD] = "payload",
	};

	return titles[b];
}
