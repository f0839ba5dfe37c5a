#include "proxy/compare/result.h"

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

uint64_t
phase_total_bytes(const struct phase *p)
{
	uint64_t total = 0;

	for (size_t b = 0; b < BUCKET_COUNT; b++)
		total += p->tally.bytes[b];
	return total;
}

double
phase_per_event(const struct phase *p, double n)
{
	return p->tally.received == 0 ? 0 : n / (double)p->tally.received;
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
