#include "proxy/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/json.h"
#include "proxy/tls/tls.h"

static const uint64_t latency_bounds_us[LATENCY_BUCKETS] = { 10, 25, 50, 100,
	250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000, 5000000, 10000000 };

const char *
bucket_name(enum bucket b)
{
	static const char *const names[BUCKET_COUNT] = {
		[BUCKET_HANDSHAKE] = "handshake",
		[BUCKET_REQUEST] = "request_headers",
		[BUCKET_RESPONSE] = "response_headers",
		[BUCKET_FRAMING] = "framing",
		[BUCKET_HEARTBEAT] = "heartbeat",
		[BUCKET_PAYLOAD] = "payload",
	};

	return names[b];
}

void
metrics_latency(struct transport_metrics *m, uint64_t ns, uint64_t n)
{
	unsigned i = 0;

	while (i < LATENCY_BUCKETS && ns > latency_bounds_us[i] * 1000)
		i++;
	METRIC_ADD(m->latency[i], n);
	METRIC_ADD(m->latency_ns, ns * n);
}

/* The sum of one counter over the workers, by its place in struct metrics. */
static int64_t
sum(const struct metrics *const *workers, size_t count, size_t offset)
{
	int64_t total = 0;

	for (size_t i = 0; i < count; i++)
		total += (int64_t)atomic_load_explicit(
		    (const _Atomic uint64_t *)(const void *)((const char *)
								 workers[i] +
			offset),
		    memory_order_relaxed);
	return total;
}

#define SUM(field) sum(workers, count, offsetof(struct metrics, field))
#define SUM_OF(t, field)                                 \
	sum(workers, count,                              \
	    offsetof(struct metrics, transport) +        \
		(t) * sizeof(struct transport_metrics) + \
		offsetof(struct transport_metrics, field))

static void
head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP spillway_%s %s\n# TYPE spillway_%s %s\n", name,
	    help, name, type);
}

static void
simple(struct buf *out, const char *name, const char *type, const char *help,
    double value)
{
	head(out, name, type, help);
	buf_printf(out, "spillway_%s %.17g\n", name, value);
}

static void
print_transports(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	head(out, "subscribers", "gauge",
	    "Subscribers now; of long polls: waiting.");
	for (size_t t = 0; t < TRANSPORT_COUNT; t++)
		buf_printf(out,
		    "spillway_subscribers{transport=\"%s\"} %" PRId64 "\n",
		    transports[t].name, SUM_OF(t, connections));
	head(out, "requests_total", "counter", "Streams and polls opened.");
	for (size_t t = 0; t < TRANSPORT_COUNT; t++)
		buf_printf(out,
		    "spillway_requests_total{transport=\"%s\"} %" PRId64 "\n",
		    transports[t].name, SUM_OF(t, requests));
	head(out, "events_delivered_total", "counter",
	    "Events written to sockets.");
	for (size_t t = 0; t < TRANSPORT_COUNT; t++)
		buf_printf(out,
		    "spillway_events_delivered_total{transport=\"%s\"} "
		    "%" PRId64 "\n",
		    transports[t].name, SUM_OF(t, events));
	head(out, "bytes_total", "counter",
	    "Bytes on subscribers' sockets, by what they are; of TLS, before "
	    "they are encrypted.");
	for (size_t t = 0; t < TRANSPORT_COUNT; t++)
		for (size_t b = 0; b < BUCKET_COUNT; b++)
			buf_printf(out,
			    "spillway_bytes_total{transport=\"%s\","
			    "bucket=\"%s\"} %" PRId64 "\n",
			    transports[t].name, bucket_name((enum bucket)b),
			    SUM_OF(t, bytes[b]));
}

static void
print_latency(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	head(out, "delivery_seconds", "histogram",
	    "From the commit of an event to the write to a live subscriber.");
	for (size_t t = 0; t < TRANSPORT_COUNT; t++) {
		const char *name = transports[t].name;
		int64_t total = 0;

		if (!transports[t].counted)
			continue;
		for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
			total += SUM_OF(t, latency[i]);
			buf_printf(out,
			    "spillway_delivery_seconds_bucket{transport="
			    "\"%s\",le=\"%g\"} %" PRId64 "\n",
			    name, (double)latency_bounds_us[i] / 1e6, total);
		}
		total += SUM_OF(t, latency[LATENCY_BUCKETS]);
		buf_printf(out,
		    "spillway_delivery_seconds_bucket{transport=\"%s\","
		    "le=\"+Inf\"} %" PRId64 "\n"
		    "spillway_delivery_seconds_sum{transport=\"%s\"} %.9f\n"
		    "spillway_delivery_seconds_count{transport=\"%s\"} %" PRId64
		    "\n",
		    name, total, name, (double)SUM_OF(t, latency_ns) / 1e9,
		    name, total);
	}
}

static void
print_ends(struct buf *out, const struct metrics *const *workers, size_t count,
    const struct metrics_info *info)
{
	static const char *const reasons[] = { "", "trimmed", "epoch",
		"ahead" };

	static const char *const refusals[REFUSED_COUNT] = {
		[REFUSED_UNAUTHORIZED] = "unauthorized",
		[REFUSED_FORBIDDEN] = "forbidden",
		[REFUSED_ORIGIN] = "origin",
	};

	head(out, "access_refused_total", "counter",
	    "Requests and commands refused for their token or origin.");
	for (size_t i = 0; i < REFUSED_COUNT; i++)
		buf_printf(out,
		    "spillway_access_refused_total{why=\"%s\"} %" PRId64 "\n",
		    refusals[i], SUM(refused[i]));
	head(out, "gaps_total", "counter", "Losses that clients were told of.");
	for (size_t i = GAP_TRIMMED; i <= GAP_AHEAD; i++)
		buf_printf(out,
		    "spillway_gaps_total{reason=\"%s\"} %" PRId64 "\n",
		    reasons[i], SUM(gaps[i]));
	head(out, "subscribers_closed_total", "counter",
	    "Subscribers that ended, by why.");
	for (size_t i = 0; i < info->close_count; i++)
		buf_printf(out,
		    "spillway_subscribers_closed_total{why=\"%s\"} %" PRId64
		    "\n",
		    info->close_names[i], SUM(closed[i]));
}

static void
print_limits(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	head(out, "limits_reached_total", "counter",
	    "How often clients have reached a limit, by its directive.");
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		buf_printf(out,
		    "spillway_limits_reached_total{limit=\"%s\"} %" PRId64 "\n",
		    limit_name((enum limit)i), SUM(limited[i]));
}

static void
print_connections(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	simple(out, "connections", "gauge", "Connections of any kind, now.",
	    (double)SUM(connections));
	simple(out, "connections_accepted_total", "counter",
	    "Connections accepted.", (double)SUM(accepted));
	simple(out, "connections_refused_total", "counter",
	    "Connections closed at once because of a limit.",
	    (double)SUM(refused_connections));
	simple(out, "requests_first_look_total", "counter",
	    "Requests answered by the first look.", (double)SUM(fast_requests));
	simple(out, "requests_http_total", "counter",
	    "Requests answered by the HTTP library.",
	    (double)SUM(http_requests));
	simple(out, "messages_total", "counter", "Messages sent by clients.",
	    (double)SUM(messages));
	simple(out, "catchup_reads_total", "counter",
	    "Reads of history for subscribers.", (double)SUM(catchup_reads));
	simple(out, "catchup_shared_total", "counter",
	    "Subscribers that shared the read of another.",
	    (double)SUM(catchup_shared));
	simple(out, "catchup_events_total", "counter",
	    "Events read from history.", (double)SUM(catchup_events));
}

static void
print_bridge(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	static const char *const outcomes[BRIDGE_OUTCOMES] = {
		[BRIDGE_TAKEN] = "taken",
		[BRIDGE_REPLY] = "reply",
		[BRIDGE_REFUSED] = "refused",
	};

	head(out, "bridge_events_total", "counter",
	    "Events that the backend was told, by what became of them.");
	for (int kind = 0; kind < BRIDGE_KINDS; kind++)
		for (int i = 0; i < BRIDGE_OUTCOMES; i++)
			buf_printf(out,
			    "spillway_bridge_events_total{type=\"%s\","
			    "outcome=\"%s\"} %" PRId64 "\n",
			    bridge_kind_name((enum bridge_kind)kind),
			    outcomes[i], SUM(bridge[kind][i]));
}

static void
print_outbox(struct buf *out, const struct outbox_stats *s)
{
	simple(out, "outbox_waiting", "gauge",
	    "Events that are stored for the backend.", (double)s->waiting);
	simple(out, "outbox_bytes", "gauge",
	    "Bytes of the events that are stored for the backend.",
	    (double)s->bytes);
	simple(out, "outbox_dead", "gauge",
	    "Events that were given up: see /v1/outbox/dead.", (double)s->dead);
	simple(out, "outbox_wills", "gauge",
	    "Streams whose end is told to the backend even after a kill.",
	    (double)s->wills);
	simple(out, "outbox_wills_executed_total", "counter",
	    "Streams whose end is told because the run before was killed.",
	    (double)s->executed);
	simple(out, "outbox_stored_total", "counter",
	    "Events that were stored for the backend.", (double)s->stored);
	simple(out, "outbox_delivered_total", "counter",
	    "Stored events that the backend has taken.", (double)s->delivered);
	simple(out, "outbox_refused_total", "counter",
	    "Stored events that the backend does not want.",
	    (double)s->refused);
	simple(out, "outbox_retries_total", "counter", "Attempts that failed.",
	    (double)s->retries);
	simple(out, "outbox_dead_total", "counter",
	    "Stored events that became dead letters.", (double)s->died);
}

static void
print_tls(struct buf *out, const struct metrics *const *workers, size_t count)
{
	static const char *const results[HANDSHAKE_ENDS] = {
		[HANDSHAKE_FULL] = "full",
		[HANDSHAKE_RESUMED] = "resumed",
		[HANDSHAKE_FAILED] = "failed",
		[HANDSHAKE_PLAIN] = "plain",
		[HANDSHAKE_LEFT] = "left",
		[HANDSHAKE_TIMEOUT] = "timeout",
		[HANDSHAKE_CROWDED] = "crowded",
	};

	simple(out, "tls_handshakes", "gauge", "Handshakes under way, now.",
	    (double)SUM(handshakes));
	head(out, "tls_handshakes_total", "counter",
	    "Handshakes that ended, by how.");
	for (size_t i = 0; i < HANDSHAKE_ENDS; i++)
		buf_printf(out,
		    "spillway_tls_handshakes_total{result=\"%s\"} %" PRId64
		    "\n",
		    results[i], SUM(handshake_ends[i]));
}

static void
print_log(struct buf *out, const struct metrics *const *workers, size_t count,
    const struct metrics_info *info)
{
	const struct log_stats *s = &info->log;

	simple(out, "events_published_total", "counter", "Events stored.",
	    (double)s->events);
	simple(out, "events_duplicate_total", "counter",
	    "Events refused as published before, by their key.",
	    (double)s->duplicates);
	simple(out, "publish_refused_total", "counter",
	    "Publishing requests that were not stored.",
	    (double)SUM(publish_refused));
	simple(out, "publish_queue_events", "gauge",
	    "Events that wait for the writer.", (double)s->queued_events);
	simple(out, "publish_queue_bytes", "gauge",
	    "Payload bytes that wait for the writer.", (double)s->queued_bytes);
	simple(out, "store_healthy", "gauge",
	    "1 while the store accepts events.", s->healthy ? 1 : 0);
	simple(out, "store_commits_total", "counter", "Transactions.",
	    (double)s->commits);
	simple(out, "store_commit_seconds_total", "counter",
	    "Time spent on transactions.", (double)s->commit_ns / 1e9);
	simple(out, "store_failures_total", "counter",
	    "Transactions that failed.", (double)s->failures);
	simple(out, "store_removed_total", "counter",
	    "Events removed by retention.", (double)s->removed);
	simple(out, "store_bytes", "gauge", "Size of the store in use.",
	    (double)s->store_bytes);
	simple(out, "store_reads_total", "counter", "Questions about history.",
	    (double)s->reads);
	simple(out, "store_read_queue", "gauge",
	    "Questions about history that wait.", (double)s->queued_reads);
	simple(out, "channels", "gauge",
	    "Channels that had an event and are not forgotten.",
	    (double)s->channels);
	simple(out, "channels_forgotten_total", "counter",
	    "Idle channels of which nothing was kept.", (double)s->forgotten);
	simple(out, "window_bytes", "gauge",
	    "Memory of the newest events, of all workers.",
	    (double)SUM(window_bytes));
	simple(out, "window_events", "gauge",
	    "Events in the windows of all workers.",
	    (double)SUM(window_events));
	simple(out, "event_memory_bytes", "gauge",
	    "Memory that events hold, with their forms.",
	    (double)info->event_memory);
	simple(out, "sessions", "gauge",
	    "Clients whose session has not ended, now.",
	    (double)info->sessions);
	simple(out, "draining", "gauge", "1 while shutting down.",
	    info->draining ? 1 : 0);
}

static uint64_t
resident_bytes(void)
{
	char line[128], *second = NULL;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL)
		second = strchr(line, ' ');
	fclose(f);
	return second == NULL ?
	    0 :
	    strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static unsigned
open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

static double
cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* As Prometheus' text has them. */
static void
put_label(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"' || *text == '\n')
			buf_puts(out, "\\");
		buf_put(out, *text == '\n' ? "n" : text, 1);
	}
}

static void
print_certificates(struct buf *out, const struct tls_context *tls)
{
	struct tls_certificate_info c;

	head(out, "tls_certificate_expires_seconds", "gauge",
	    "End of a certificate that is served, in Unix time.");
	for (size_t i = 0; tls_certificate_describe(tls, i, &c); i++) {
		buf_printf(out,
		    "spillway_tls_certificate_expires_seconds{place=\"%zu\","
		    "file=\"",
		    i + 1);
		put_label(out, c.path);
		buf_printf(out, "\"} %" PRId64 "\n", c.expires);
	}
}

static void
print_process(struct buf *out, const struct metrics_info *info)
{
	struct rlimit files = { 0, 0 };

	getrlimit(RLIMIT_NOFILE, &files);
	head(out, "build_info", "gauge", "1, of the version that runs.");
	buf_puts(
	    out, "spillway_build_info{version=\"" PACKAGE_VERSION "\"} 1\n");
	buf_printf(out,
	    "# HELP process_cpu_seconds_total Time of processors used.\n"
	    "# TYPE process_cpu_seconds_total counter\n"
	    "process_cpu_seconds_total %.3f\n"
	    "# HELP process_resident_memory_bytes Memory in use.\n"
	    "# TYPE process_resident_memory_bytes gauge\n"
	    "process_resident_memory_bytes %" PRIu64 "\n"
	    "# HELP process_open_fds Descriptors in use.\n"
	    "# TYPE process_open_fds gauge\n"
	    "process_open_fds %u\n"
	    "# HELP process_max_fds Descriptors that may be used.\n"
	    "# TYPE process_max_fds gauge\n"
	    "process_max_fds %" PRIu64 "\n"
	    "# HELP process_start_time_seconds Start, in Unix time.\n"
	    "# TYPE process_start_time_seconds gauge\n"
	    "process_start_time_seconds %.3f\n",
	    cpu_seconds(), resident_bytes(), open_descriptors(),
	    (uint64_t)files.rlim_cur, (double)info->started_unix_ms / 1000);
}

static void
print_prefaces(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	static const char *const results[PREFACE_ENDS] = {
		[PREFACE_OK] = "ok",
		[PREFACE_WRONG] = "wrong",
		[PREFACE_LEFT] = "left",
		[PREFACE_LIMITED] = "limited",
	};

	head(out, "proxy_headers_total", "counter",
	    "Headers of the PROXY protocol that were due, by what came.");
	for (size_t i = 0; i < PREFACE_ENDS; i++)
		buf_printf(out,
		    "spillway_proxy_headers_total{result=\"%s\"} %" PRId64 "\n",
		    results[i], SUM(preface_ends[i]));
}

/* The reverse proxy, and all that is asked of the backend. */
static void
print_backend(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	simple(out, "proxied_requests", "gauge",
	    "Requests on their way through the reverse proxy now.",
	    (double)SUM(proxied_now));
	head(out, "proxied_requests_total", "counter",
	    "Requests that were proxied, by the hundreds of their status.");
	for (size_t i = 1; i < 6; i++)
		buf_printf(out,
		    "spillway_proxied_requests_total{status=\"%zuxx\"} %" PRId64
		    "\n",
		    i, SUM(proxied[i]));
	simple(out, "backend_running", "gauge",
	    "Requests under way to the backend now.",
	    (double)SUM(upstream_running));
	simple(out, "backend_waiting", "gauge",
	    "Requests that wait for their turn now.",
	    (double)SUM(upstream_waiting));
	simple(out, "backend_tunnels", "gauge",
	    "Connections to the backend that have switched protocols.",
	    (double)SUM(upstream_tunnels));
	head(out, "backend_requests_total", "counter",
	    "Requests to the backend that ended, by how.");
	for (size_t i = 0; i < UPSTREAM_ENDS; i++)
		buf_printf(out,
		    "spillway_backend_requests_total{end=\"%s\"} %" PRId64 "\n",
		    upstream_end_name((enum upstream_end)i),
		    SUM(upstream_ends[i]));
	simple(out, "backend_retries_total", "counter",
	    "Requests that were asked once more, of another address of the "
	    "backend or on a new connection.",
	    (double)SUM(upstream_retries));
	head(out, "backend_probes_total", "counter",
	    "Probes of the backend's addresses that ended, by how.");
	for (size_t i = 0; i < 2; i++)
		buf_printf(out,
		    "spillway_backend_probes_total{result=\"%s\"} %" PRId64
		    "\n",
		    i == 0 ? "failed" : "ok", SUM(upstream_probes[i]));
	simple(out, "backend_sent_bytes_total", "counter",
	    "Bytes of bodies sent to the backend.", (double)SUM(upstream_sent));
	simple(out, "backend_received_bytes_total", "counter",
	    "Bytes of bodies received from the backend.",
	    (double)SUM(upstream_received));
}

/* What all workers have counted at that place in the counters of a route. */
static uint64_t
sum_route(const struct metrics *const *workers, size_t count, size_t route,
    size_t offset, size_t i)
{
	uint64_t total = 0;

	for (size_t w = 0; w < count; w++) {
		const void *m = &workers[w]->routes[route];
		const _Atomic uint64_t *counters =
		    (const void *)((const char *)m + offset);

		total +=
		    atomic_load_explicit(&counters[i], memory_order_relaxed);
	}
	return total;
}

/* By route, where there are any: all workers have the same ones. */
static void
print_routes(
    struct buf *out, const struct metrics *const *workers, size_t count)
{
	const struct route_metrics *m = count == 0 ? NULL : workers[0]->routes;
	size_t routes = m == NULL ? 0 : workers[0]->route_count;

	if (routes == 0)
		return;
	head(out, "route_requests_total", "counter",
	    "Requests that were proxied, by route and hundreds of status.");
	for (size_t r = 0; r < routes; r++)
		for (size_t i = 1; i < 6; i++)
			buf_printf(out,
			    "spillway_route_requests_total{route=\"%s\","
			    "status=\"%zuxx\"} %" PRIu64 "\n",
			    m[r].pattern, i,
			    sum_route(workers, count, r,
				offsetof(struct route_metrics, requests), i));
	head(out, "route_backend_requests_total", "counter",
	    "Requests to the backend of a route that ended, by how.");
	for (size_t r = 0; r < routes; r++)
		for (size_t i = 0; i < UPSTREAM_ENDS && m[r].own; i++)
			buf_printf(out,
			    "spillway_route_backend_requests_total{route="
			    "\"%s\",end=\"%s\"} %" PRIu64 "\n",
			    m[r].pattern,
			    upstream_end_name((enum upstream_end)i),
			    sum_route(workers, count, r,
				offsetof(struct route_metrics, ends), i));
}

int
metrics_print(struct buf *out, const struct metrics *const *workers,
    size_t count, const struct metrics_info *info)
{
	print_connections(out, workers, count);
	print_prefaces(out, workers, count);
	print_limits(out, workers, count);
	print_bridge(out, workers, count);
	print_outbox(out, &info->outbox);
	print_tls(out, workers, count);
	print_transports(out, workers, count);
	print_latency(out, workers, count);
	print_ends(out, workers, count, info);
	print_backend(out, workers, count);
	print_routes(out, workers, count);
	print_log(out, workers, count, info);
	if (info->tls != NULL)
		print_certificates(out, info->tls);
	print_process(out, info);
	return buf_error(out);
}

static void
print_transport_json(struct buf *out, const struct metrics *const *workers,
    size_t count, size_t t)
{
	buf_printf(out,
	    "\"%s\":{\"subscribers\":%" PRId64 ",\"requests\":%" PRId64
	    ",\"events\":%" PRId64 ",\"bytes\":{",
	    transports[t].name, SUM_OF(t, connections), SUM_OF(t, requests),
	    SUM_OF(t, events));
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		buf_printf(out, "%s\"%s\":%" PRId64, b == 0 ? "" : ",",
		    bucket_name((enum bucket)b), SUM_OF(t, bytes[b]));
	buf_puts(out, "}}");
}

int
metrics_print_json(struct buf *out, const struct metrics *const *workers,
    size_t count, const struct metrics_info *info)
{
	const struct log_stats *s = &info->log;

	buf_printf(out,
	    "{\"connections\":%" PRId64 ",\"sessions\":%" PRIu64
	    ",\"channels\":%" PRIu64
	    ",\"workers\":%zu,\"draining\":%s,\"transports\":{",
	    SUM(connections), info->sessions, s->channels, count,
	    info->draining ? "true" : "false");
	for (size_t t = 0; t < TRANSPORT_COUNT; t++) {
		if (t > 0)
			buf_puts(out, ",");
		print_transport_json(out, workers, count, t);
	}
	buf_printf(out,
	    "},\"published\":%" PRIu64 ",\"duplicates\":%" PRIu64
	    ",\"queued\":%" PRIu64 ",\"store\":{\"healthy\":%s",
	    s->events, s->duplicates, s->queued_events,
	    s->healthy ? "true" : "false");
	if (!s->healthy) {
		buf_puts(out, ",\"reason\":");
		json_put_string(out, str_of(s->reason));
	}
	buf_printf(out,
	    ",\"bytes\":%" PRIu64 ",\"commits\":%" PRIu64 ",\"reads\":%" PRIu64
	    ",\"removed\":%" PRIu64 "},\"memory\":{\"resident\":%" PRIu64
	    ",\"events\":%" PRIu64 "},\"cpuSeconds\":%.3f}\n",
	    s->store_bytes, s->commits, s->reads, s->removed, resident_bytes(),
	    info->event_memory, cpu_seconds());
	return buf_error(out);
}
