/* What a run has found out, as JSON and as CSV (RFC 4180). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "proxy/base/json.h"
#include "proxy/compare/result.h"

static void
put_time(struct buf *out, uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	buf_puts(out, text);
}

static void
put_flag(struct buf *out, const char *name, bool value)
{
	buf_printf(out, "\"%s\":%s", name, value ? "true" : "false");
}

static void
put_place(struct buf *out, const char *name, const struct place *p)
{
	buf_printf(out, "\"%s\":\"%s://", name, p->secure ? "https" : "http");
	/* Their bytes are plain, see place_parse. */
	buf_printf(out, "%s%s\"", p->authority, p->base);
}

static void
put_settings(struct buf *out, const struct result *r)
{
	const struct compare_options *o = r->options;

	buf_puts(out, "\"settings\":{");
	put_place(out, "url", &o->url);
	buf_puts(out, ",");
	put_place(out, "api", &o->api);
	buf_printf(out,
	    ",\"channel\":\"%s\",\"subscribers\":%" PRIu64 ",\"rate\":%" PRIu64
	    ",\"size\":%" PRIu64 ",\"seconds\":%.3f,\"pollIntervalMs\":%" PRIu64
	    "}",
	    o->channel, o->subscribers, o->rate, o->size,
	    (double)o->duration_ms / 1000, o->poll_interval_ms);
}

static void
put_buckets(struct buf *out, const char *name, const uint64_t *bytes)
{
	buf_printf(out, ",\"%s\":{", name);
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		buf_printf(out, "%s\"%s\":%" PRIu64, b == 0 ? "" : ",",
		    bucket_name((enum bucket)b), bytes[b]);
	buf_puts(out, "}");
}

static void
put_latency(struct buf *out, const struct latencies *l)
{
	static const struct {
		const char *name;
		double q;
	} quantiles[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p95", 0.95 },
		{ "p99", 0.99 }, { "p999", 0.999 } };

	buf_printf(out, ",\"latencyMs\":{\"count\":%" PRIu64, l->count);
	if (l->count > 0) {
		buf_printf(out, ",\"min\":%.4f,\"mean\":%.4f",
		    (double)l->min_ns / 1e6, latencies_mean(l) / 1e6);
		for (size_t i = 0; i < 5; i++)
			buf_printf(out, ",\"%s\":%.4f", quantiles[i].name,
			    (double)latencies_at(l, quantiles[i].q) / 1e6);
		buf_printf(out, ",\"max\":%.4f", (double)l->max_ns / 1e6);
	}
	buf_puts(out, "}");
}

/* What is not known is null. */
static void
put_per_event(
    struct buf *out, const char *name, const struct phase *p, double n)
{
	double each = phase_per_event(p, n);

	buf_printf(out, ",\"%s\":", name);
	if (isnan(each))
		buf_puts(out, "null");
	else
		buf_printf(out, "%.3f", each);
}

static void
put_process(struct buf *out, const struct phase *p)
{
	buf_printf(out, ",\"cpuSeconds\":%.3f,\"openingCpuSeconds\":%.3f",
	    p->cpu_seconds, p->opening_cpu_seconds);
	put_per_event(out, "cpuMicrosecondsPerEvent", p, p->cpu_seconds * 1e6);
	buf_printf(out,
	    ",\"memoryBytes\":%" PRIu64 ",\"memoryGrowthBytes\":%" PRId64 "}",
	    p->resident, p->growth);
}

static void
put_gateway(struct buf *out, const struct phase *p)
{
	buf_puts(out, ",\"gateway\":{");
	if (p->has_counts) {
		buf_printf(out, "\"requests\":%" PRIu64, p->counts.requests);
		buf_puts(out, ",");
		put_flag(out, "countsOthers", p->counts_others);
		put_buckets(out, "bytes", p->counts.bytes);
	} else {
		buf_puts(out,
		    "\"requests\":null,\"countsOthers\":null,\"bytes\":null");
	}
	if (p->has_process)
		put_process(out, p);
	else
		buf_puts(out,
		    ",\"cpuSeconds\":null,\"openingCpuSeconds\":null"
		    ",\"cpuMicrosecondsPerEvent\":null"
		    ",\"memoryBytes\":null,\"memoryGrowthBytes\":null}");
}

static void
put_text(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, "\"%s\":", name);
	if (text == NULL)
		buf_puts(out, "null");
	else
		json_put_string(out, str_of(text));
}

static void
put_phase(struct buf *out, const struct result *r, const struct phase *p)
{
	const struct tally *t = &p->tally;

	buf_printf(
	    out, "{\"transport\":\"%s\",", transports[p->transport].name);
	if (!phase_is_measured(p)) {
		buf_puts(out, "\"error\":");
		json_put_string(out, str_of(p->why));
		buf_puts(out, "}");
		return;
	}
	put_flag(out, "clean", phase_is_clean(r, p));
	buf_puts(out, ",");
	put_flag(out, "cutShort", p->cut_short);
	buf_printf(out,
	    ",\"openingSeconds\":%.3f,\"seconds\":%.3f"
	    ",\"ownCpuSeconds\":%.3f"
	    ",\"published\":%" PRIu64 ",\"refused\":%" PRIu64
	    ",\"delayed\":%" PRIu64 ",\"expected\":%" PRIu64
	    ",\"received\":%" PRIu64 ",\"missing\":%" PRIu64
	    ",\"duplicates\":%" PRIu64 ",\"late\":%" PRIu64 ",\"gaps\":%" PRIu64
	    ",\"foreign\":%" PRIu64 ",\"reconnects\":%" PRIu64
	    ",\"requests\":%" PRIu64 ",\"connections\":%" PRIu64,
	    p->opening_seconds, p->seconds, p->own_cpu_seconds, p->published,
	    p->refused, p->delayed, phase_expected(r, p), t->received,
	    phase_missing(r, p), t->duplicates, t->late, t->gaps, t->foreign,
	    t->reconnects, t->requests, t->connections);
	put_buckets(out, "bytes", t->bytes);
	put_per_event(out, "bytesPerEvent", p, (double)phase_total_bytes(p));
	put_latency(out, &t->latency);
	put_gateway(out, p);
	buf_puts(out, "}");
}

void
result_put_json(struct buf *out, const struct result *r)
{
	buf_puts(out, "{\"about\":\"spillway compare\",\"began\":\"");
	put_time(out, r->began_unix_ms);
	buf_puts(out, "\",");
	put_flag(out, "cutShort", r->cut_short);
	buf_puts(out, ",");
	put_text(out, "brokenOff", r->broken_off);
	buf_puts(out, ",");
	put_flag(out, "together", r->options->together);
	buf_printf(out,
	    ",\"publisher\":\"%s\",\"bytesCountedBy\":\"client\","
	    "\"gatewayCountedBy\":\"%s\",",
	    r->by_demo ? "demo" : "api", r->demo_counts ? "demo" : "metrics");
	put_text(out, "noGateway", r->no_gauge);
	buf_puts(out, ",");
	put_settings(out, r);
	buf_puts(out, ",\"transports\":[");
	for (size_t i = 0; i < r->count; i++) {
		buf_puts(out, i == 0 ? "" : ",");
		put_phase(out, r, &r->phases[i]);
	}
	buf_puts(out, "]}\n");
}

/* Names and numbers, none of which a spreadsheet takes for a formula. */
static void
put_row(struct buf *out, const struct result *r, const struct phase *p)
{
	static const double quantiles[] = { 0.5, 0.9, 0.95, 0.99, 1 };
	const struct tally *t = &p->tally;

	buf_printf(out,
	    "%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
	    ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64,
	    transports[p->transport].name, p->published, t->received,
	    phase_missing(r, p), t->duplicates, t->late, t->gaps, t->reconnects,
	    t->requests, t->connections);
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		buf_printf(out, ",%" PRIu64, t->bytes[b]);
	for (size_t i = 0; i < 5; i++) {
		buf_puts(out, ",");
		if (t->latency.count > 0)
			buf_printf(out, "%.4f",
			    (double)latencies_at(&t->latency, quantiles[i]) /
				1e6);
	}
	if (p->has_process)
		buf_printf(out, ",%.3f,%" PRIu64 ",%" PRId64, p->cpu_seconds,
		    p->resident, p->growth);
	else
		buf_puts(out, ",,,");
	if (p->has_counts)
		buf_printf(out, ",%" PRIu64 ",%" PRIu64, phase_counted_bytes(p),
		    p->counts.requests);
	else
		buf_puts(out, ",,");
	buf_puts(out, "\r\n");
}

void
result_put_csv(struct buf *out, const struct result *r)
{
	buf_puts(out,
	    "transport,published,received,missing,duplicates,late,gaps,"
	    "reconnects,requests,connections");
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		buf_printf(out, ",bytes_%s", bucket_name((enum bucket)b));
	buf_puts(out,
	    ",p50_ms,p90_ms,p95_ms,p99_ms,max_ms,gateway_cpu_seconds,"
	    "gateway_memory_bytes,gateway_memory_growth_bytes,"
	    "gateway_counted_bytes,gateway_counted_requests\r\n");
	for (size_t i = 0; i < r->count; i++)
		if (phase_is_measured(&r->phases[i]))
			put_row(out, r, &r->phases[i]);
}
