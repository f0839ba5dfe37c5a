/* What a run asks the gateway: for its figures, and to publish. */
#include <inttypes.h>
#include <stdio.h>

#include "proxy/base/err.h"
#include "proxy/compare/run_private.h"

enum { LEASE_S = 60 }; /* that the demo may publish after we are gone */

static void
on_metrics(struct question *q, const struct question_answer *a)
{
	struct run *r = container_of(q, struct run, api);
	struct gauge g[TRANSPORT_COUNT] = { { .there = false } };
	char why[300];

	if (a->status == 403) {
		/* Such a token may still publish. */
		r->result->no_gauge =
		    "the token of the operator's API may not read /metrics";
		run_take_gauge(r, g);
		return;
	}
	if (a->status == 200) {
		for (size_t i = 0; i < r->abreast; i++)
			gauge_read_metrics(&g[i], a->body,
			    transports[run_phase(r, i)->transport].name);
		if (g[0].there)
			run_take_gauge(r, g);
		else
			run_fail(r,
			    "this is no operator's API of a gateway: its "
			    "/metrics says nothing of streams; --api says "
			    "where it is");
		return;
	}
	if (a->status == 0)
		snprintf(why, sizeof(why), "the operator's API: %s", a->why);
	else
		snprintf(why, sizeof(why),
		    "the operator's API answers with %u%s", a->status,
		    a->status == 401 ?
			": it wants another token (--api-token-file)" :
			"; --api says where it is");
	run_fail(r, why);
}

static void
on_panes(struct question *q, const struct question_answer *a)
{
	struct run *r = container_of(q, struct run, public);
	struct gauge g[TRANSPORT_COUNT] = { { .there = false } };

	if (a->status == 200)
		for (size_t i = 0; i < r->abreast; i++)
			gauge_read_panes(&g[i], a->body, r->panes[i]);
	run_take_gauge(r, g);
}

void
run_ask_gauge(struct run *r, enum run_state state)
{
	char path[100];

	run_enter(r, state);
	if (r->has_api) {
		question_ask(&r->api, "GET", "/metrics", r->options->api_token,
		    on_metrics);
		return;
	}
	snprintf(path, sizeof(path), "/spillway/lab/panes/cli-%s-", r->id);
	question_ask(&r->public, "GET", path, "", on_panes);
}

/* The demo's publisher. */

static void
on_order(struct question *q, const struct question_answer *a)
{
	struct run *r = container_of(q, struct run, public);
	struct buf why;

	if (a->status == 200) {
		run_enter_publishing(r);
		return;
	}
	buf_init(&why, 1 << 14);
	buf_printf(&why,
	    "neither the operator's API (--api) nor the demo of the gateway "
	    "publishes for us: %s",
	    a->why);
	if (a->status != 0) {
		buf_printf(&why, "the demo answers with %u: ", a->status);
		question_put_detail(&why, a->body);
	}
	buf_put(&why, "", 1);
	run_fail(r,
	    buf_error(&why) == SW_OK ? (const char *)buf_head(&why) :
				       "nobody publishes for us");
	buf_fini(&why);
}

/* {"next":17}: what it would have published next. */
static void
on_stopped(struct question *q, const struct question_answer *a)
{
	static const char begin[] = "{\"next\":";
	struct run *r = container_of(q, struct run, public);
	struct str text = a->body, number;
	uint64_t next;

	if (a->status != 200 || !str_starts(text, begin)) {
		run_fail(r, "the demo does not say what it has published");
		return;
	}
	text.p += sizeof(begin) - 1;
	text.len -= sizeof(begin) - 1;
	if (!str_cut(&text, '}', &number) ||
	    str_to_u64(&next, number, INT64_MAX) != SW_OK ||
	    next <= r->numbers) {
		run_fail(r, "the demo does not say what it has published");
		return;
	}
	for (size_t i = 0; i < r->abreast; i++)
		run_phase(r, i)->published = next - 1 - r->numbers;
	r->numbers = next - 1;
	run_enter(r, RUN_SETTLING);
}

static void
order_demo(struct run *r, uint64_t rate,
    void (*done)(struct question *q, const struct question_answer *a))
{
	const struct compare_options *o = r->options;
	uint64_t seconds = o->duration_ms / 1000 + LEASE_S;
	char path[400];

	snprintf(path, sizeof(path),
	    "/spillway/lab/publisher/%s?rate=%" PRIu64 "&size=%" PRIu64
	    "&burst=1&seconds=%" PRIu64 "&next=%" PRIu64,
	    o->channel, rate, o->size, seconds > 3600 ? 3600 : seconds,
	    r->numbers + 1);
	question_ask(&r->public, "PUT", path, "", done);
}

void
run_begin_demo(struct run *r)
{
	order_demo(r, r->options->rate, on_order);
}

void
run_stop_demo(struct run *r)
{
	order_demo(r, 0, on_stopped);
}
