/* What a run has found out, as a page that needs nothing else. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "proxy/compare/result.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
    "'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Spillway: what each transport costs</title>\n<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem "
    "auto;padding:0 1rem}\n"
    "div{overflow-x:auto}\n"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}\n"
    "th,td{padding:.25rem .8rem;border-bottom:1px solid #8888;"
    "text-align:right}\n"
    "th:first-child{text-align:left}h1,h2{line-height:1.2}\n"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "rect{fill:#0b5cad}text{font:10px sans-serif;fill:currentColor}\n"
    "</style>\n</head>\n<body>\n"
    "<h1>Spillway: what each transport costs</h1>\n";

/* As text between tags, and in attributes. */
static void
put_text(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		switch (text.p[i]) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		case '\'':
			buf_puts(out, "&#39;");
			break;
		default:
			buf_put(out, &text.p[i], 1);
		}
}

static void
begin_table(struct buf *out, const char *title, const char *const *names)
{
	buf_printf(out, "<h2>%s</h2>\n<div><table>\n<tr>", title);
	for (; *names != NULL; names++)
		buf_printf(out, "<th scope=\"col\">%s</th>", *names);
	buf_puts(out, "</tr>\n");
}

static void
put_cell(struct buf *out, int places, double value)
{
	buf_puts(out, "<td>");
	result_put_number(out, 0, places, value);
	buf_puts(out, "</td>");
}

static void
begin_row(struct buf *out, const struct phase *p)
{
	buf_printf(out, "<tr><th scope=\"row\">%s</th>",
	    transports[p->transport].name);
}

static void
put_arrivals(struct buf *out, const struct result *r)
{
	static const char *const names[] = { "Transport", "Published",
		"Received", "Missing", "Twice", "Late", "p50 ms", "p95 ms",
		"p99 ms", "Max ms", NULL };
	static const double quantiles[] = { 0.5, 0.95, 0.99, 1 };

	begin_table(out, "What arrived, and how late", names);
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];
		const struct tally *t = &p->tally;

		if (!phase_is_measured(p))
			continue;
		begin_row(out, p);
		buf_printf(out,
		    "<td>%" PRIu64 "</td><td>%" PRIu64 "</td><td>%" PRIu64
		    "</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td>",
		    p->published, t->received, phase_missing(r, p),
		    t->duplicates, t->late);
		for (size_t q = 0; q < 4; q++)
			put_cell(out, 2,
			    t->latency.count == 0 ?
				(double)NAN :
				(double)latencies_at(
				    &t->latency, quantiles[q]) /
				    1e6);
		buf_puts(out, "</tr>\n");
	}
	buf_puts(out, "</table></div>\n");
}

static void
put_bytes(struct buf *out, const struct result *r)
{
	static const char *const names[] = { "Transport", "Handshake",
		"Request headers", "Response headers", "Framing, envelope",
		"Heartbeats", "Payload", "In all", "Requests", "Connections",
		NULL };

	begin_table(out,
	    "Bytes on the sockets for an event, as the client counted", names);
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];

		if (!phase_is_measured(p))
			continue;
		begin_row(out, p);
		for (size_t b = 0; b < BUCKET_COUNT; b++)
			put_cell(out, 1,
			    phase_per_event(p, (double)p->tally.bytes[b]));
		put_cell(
		    out, 1, phase_per_event(p, (double)phase_total_bytes(p)));
		buf_printf(out,
		    "<td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n",
		    p->tally.requests, p->tally.connections);
	}
	buf_puts(out, "</table></div>\n");
}

static void
put_process(struct buf *out, const struct phase *p)
{
	put_cell(out, 0, p->cpu_seconds * 1e3);
	put_cell(out, 1, phase_per_event(p, p->cpu_seconds * 1e6));
	put_cell(out, 1, (double)p->resident / 1e6);
	put_cell(out, 0, (double)p->growth / 1e3);
}

static void
put_counts(struct buf *out, const struct phase *p)
{
	buf_puts(out, "<td>");
	result_put_number(
	    out, 0, 1, phase_per_event(p, (double)phase_counted_bytes(p)));
	buf_printf(out, "%s</td><td>%" PRIu64 "</td></tr>\n",
	    p->counts_others ? " (with others)" : "", p->counts.requests);
}

static void
put_gateway(struct buf *out, const struct result *r)
{
	static const char *const names[] = { "Transport", "CPU ms",
		"\xc2\xb5s per event", "Memory MB", "Growth kB",
		"Bytes per event, by its count", "Requests", NULL };

	begin_table(out, "The gateway", names);
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];

		if (!phase_is_measured(p))
			continue;
		begin_row(out, p);
		if (p->has_process)
			put_process(out, p);
		else
			buf_puts(
			    out, "<td>-</td><td>-</td><td>-</td><td>-</td>");
		if (p->has_counts)
			put_counts(out, p);
		else
			buf_puts(out, "<td>-</td><td>-</td></tr>\n");
	}
	buf_puts(out, "</table></div>\n");
	if (r->no_gauge != NULL) {
		buf_puts(out, "<p>-: ");
		put_text(out, str_of(r->no_gauge));
		buf_puts(out, "</p>\n");
	}
}

/* How many took how long: three bars for a power of ten, from 10 us on. */
static void
put_chart(struct buf *out, const struct phase *p)
{
	enum { BARS = 21, WIDTH = 16, HEIGHT = 100 };
	static const double steps[] = { 1, 2.154, 4.642 };
	const struct latencies *l = &p->tally.latency;
	uint64_t counts[BARS], most = 1;
	double unit = 1e4;

	for (size_t i = 0; i < BARS; i++) {
		double from = i == 0 ? 0 : unit * steps[i % 3];
		double to = i % 3 == 2 ? unit * 10 : unit * steps[i % 3 + 1];

		/* The last one has all that took longer. */
		counts[i] = latencies_between(l, (uint64_t)from,
		    i == BARS - 1 ? UINT64_MAX : (uint64_t)to);
		most = counts[i] > most ? counts[i] : most;
		unit = i % 3 == 2 ? unit * 10 : unit;
	}
	buf_printf(out,
	    "<h3>%s</h3>\n<svg width=\"%d\" height=\"%d\" role=\"img\" "
	    "aria-label=\"Latencies of %s, from 10 microseconds to 100 "
	    "seconds\">\n",
	    transports[p->transport].name, BARS * WIDTH + 40, HEIGHT + 20,
	    transports[p->transport].name);
	for (size_t i = 0; i < BARS; i++) {
		double height = (double)counts[i] * HEIGHT / (double)most;

		buf_printf(out,
		    "<rect x=\"%zu\" y=\"%.1f\" width=\"%d\" height=\"%.1f\">"
		    "<title>%" PRIu64 "</title></rect>\n",
		    i * WIDTH, HEIGHT - height, WIDTH - 2, height, counts[i]);
	}
	for (size_t i = 0; i <= BARS / 3; i++) {
		static const char *const marks[] = { "10 \xc2\xb5s", "0.1 ms",
			"1 ms", "10 ms", "0.1 s", "1 s", "10 s", "100 s" };

		buf_printf(out, "<text x=\"%zu\" y=\"%d\">%s</text>\n",
		    i * 3 * WIDTH, HEIGHT + 14, marks[i]);
	}
	buf_puts(out, "</svg>\n");
}

static void
put_settings(struct buf *out, const struct result *r)
{
	const struct compare_options *o = r->options;

	buf_puts(out, "<p>");
	put_text(out, o->url.secure ? STR("https://") : STR("http://"));
	put_text(out, str_of(o->url.authority));
	put_text(out, str_of(o->url.base));
	buf_puts(out, ", channel ");
	put_text(out, str_of(o->channel));
	buf_printf(out,
	    ": %" PRIu64 " subscribers of each transport, %s; %" PRIu64
	    " events a second with %" PRIu64
	    " bytes each, for %.1f s; short polls every %.2f s. Published by "
	    "%s.</p>\n",
	    o->subscribers, result_manner(r), o->rate, o->size,
	    (double)o->duration_ms / 1000, (double)o->poll_interval_ms / 1000,
	    result_publisher(r));
}

static void
put_remarks(struct buf *out, const struct result *r)
{
	struct buf text;

	buf_init(&text, 1 << 16);
	result_put_remarks(&text, r);
	buf_puts(out, "<pre>");
	put_text(out, buf_str(&text));
	buf_puts(out, "</pre>\n");
	buf_fini(&text);
}

void
result_put_html(struct buf *out, const struct result *r)
{
	struct buf json;

	buf_puts(out, head);
	put_settings(out, r);
	put_arrivals(out, r);
	put_bytes(out, r);
	put_gateway(out, r);
	put_remarks(out, r);
	buf_puts(out, "<h2>Latencies</h2>\n");
	for (size_t i = 0; i < r->count; i++) {
		const struct phase *p = &r->phases[i];

		if (phase_is_measured(p))
			put_chart(out, p);
	}
	buf_init(&json, 1 << 20);
	result_put_json(&json, r);
	buf_puts(out, "<details><summary>All of it, as JSON</summary>\n<pre>");
	put_text(out, buf_str(&json));
	buf_puts(out, "</pre></details>\n</body>\n</html>\n");
	buf_fini(&json);
}
