#include "proxy/compare/gauge.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"

/* The value of a line "NAME VALUE" of the Prometheus text format. */
static bool
find_value(double *out, struct str text, const char *name)
{
	size_t n = strlen(name);
	char number[64], *end;
	struct str line;

	while (str_cut(&text, '\n', &line)) {
		if (!str_starts(line, name) || line.len <= n + 1 ||
		    line.p[n] != ' ' || line.len - n - 1 >= sizeof(number))
			continue;
		memcpy(number, line.p + n + 1, line.len - n - 1);
		number[line.len - n - 1] = '\0';
		*out = strtod(number, &end);
		return end != number && *end == '\0' && isfinite(*out) &&
		    *out >= 0;
	}
	return false;
}

static bool
find_count(uint64_t *out, struct str text, const char *name)
{
	double value;

	if (!find_value(&value, text, name) || value >= 9e18)
		return false;
	*out = (uint64_t)value;
	return true;
}

void
gauge_read_metrics(struct gauge *out, struct str text, const char *transport)
{
	char name[128];

	*out = (struct gauge){ .there = true };
	snprintf(name, sizeof(name),
	    "spillway_requests_total{transport=\"%s\"}", transport);
	out->there &= find_count(&out->requests, text, name);
	snprintf(name, sizeof(name),
	    "spillway_events_delivered_total{transport=\"%s\"}", transport);
	out->there &= find_count(&out->events, text, name);
	for (size_t b = 0; b < BUCKET_COUNT; b++) {
		snprintf(name, sizeof(name),
		    "spillway_bytes_total{transport=\"%s\",bucket=\"%s\"}",
		    transport, bucket_name((enum bucket)b));
		out->there &= find_count(&out->bytes[b], text, name);
	}
	out->has_process =
	    find_value(&out->started, text, "process_start_time_seconds") &&
	    find_value(&out->cpu_seconds, text, "process_cpu_seconds_total") &&
	    find_count(&out->resident, text, "process_resident_memory_bytes");
}

static void
add_bytes(struct gauge *out, struct str object)
{
	struct json_iter it;
	struct str key, value;
	uint64_t n;

	if (!json_object(&it, object))
		return;
	while (json_member(&it, &key, &value))
		for (size_t b = 0; b < BUCKET_COUNT; b++)
			if (json_is(key, bucket_name((enum bucket)b)) &&
			    str_to_u64(&n, value, INT64_MAX) == SW_OK)
				out->bytes[b] += n;
}

/* One worker's part of a pane; of others it may know as well. */
static void
add_pane(struct gauge *out, struct str object, const char *pane)
{
	struct str key, value, bytes = { NULL, 0 };
	struct json_iter it;
	uint64_t requests = 0;
	bool ours = false;

	if (!json_object(&it, object))
		return;
	while (json_member(&it, &key, &value)) {
		if (json_is(key, "name"))
			ours = value.p[0] == '"' && json_is(value, pane);
		else if (json_is(key, "requests") &&
		    str_to_u64(&requests, value, INT64_MAX) != SW_OK)
			return;
		else if (json_is(key, "bytes"))
			bytes = value;
	}
	if (!ours || bytes.p == NULL)
		return;
	out->there = true;
	out->requests += requests;
	add_bytes(out, bytes);
}

void
gauge_read_panes(struct gauge *out, struct str json, const char *pane)
{
	struct json_iter it, panes;
	struct str key, value;

	*out = (struct gauge){ .there = false };
	if (!json_valid(json) || !json_object(&it, json))
		return;
	while (json_member(&it, &key, &value)) {
		if (!json_is(key, "panes") || !json_array(&panes, value))
			continue;
		while (json_element(&panes, &value))
			add_pane(out, value, pane);
	}
}
