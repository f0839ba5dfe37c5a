/*
 * Whether the backend's origins are well, asked before a client has to find
 * out. Each worker asks for itself, as each has its own view of them.
 */
#include <stdlib.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

/* What is said of the answer, of which only the status counts. */
enum { PROBE_ANSWER_MAX = 64 << 10 };

/* A probe on its way; the origin has it. */
struct probe {
	struct upstream *upstream;
	struct upstream_origin *origin;
	struct upstream_request *request;
};

static bool
is_well(const struct upstream_answer *a)
{
	/* Nobody reads more of it than that. */
	return (a->end == UPSTREAM_OK || a->end == UPSTREAM_TOO_LARGE) &&
	    a->head.status >= 200 && a->head.status < 400;
}

static void
on_probed(void *owner, const struct upstream_answer *a)
{
	struct probe *p = owner;
	struct upstream *u = p->upstream;
	bool well = is_well(a);
	char why[LOG_QUOTED];

	p->origin->probe = NULL;
	/* One that never had its turn says nothing about the origin. */
	if (p->request->origin != NULL && a->end != UPSTREAM_CROWDED) {
		METRIC_ADD(u->worker->metrics.upstream_probes[well], 1);
		if (!well)
			log_debug("probe failed origin=%s status=%d detail=%s",
			    p->origin->url,
			    a->end == UPSTREAM_OK ? a->head.status : 0,
			    log_quote(why, str_of(a->detail)));
		origin_note(u, p->origin, !well);
	}
	free(p);
}

static void
probe(struct upstream *u, struct upstream_origin *o)
{
	const struct header agent = { STR("User-Agent"),
		STR("spillway-probe") };
	const struct route *route = u->route;
	struct probe *p = malloc(sizeof(*p));
	struct upstream_call call = {
		.ask = {
		    .method = STR("GET"),
		    .target = str_of(route->backend_probe_path),
		    .headers = &agent,
		    .header_count = 1,
		    .repeatable = true,
		    .timeout_ms = route->backend_probe_timeout_ms,
		},
		.answer_max = PROBE_ANSWER_MAX,
		.done = on_probed,
		.owner = p,
	};

	if (p == NULL)
		return; /* there is a next time */
	*p = (struct probe){ u, o, NULL };
	if (upstream_call(&p->request, u, &call) != SW_OK) {
		free(p);
		return;
	}
	p->request->only = o;
	o->probe = p;
}

static void
on_probe_time(struct timer *t)
{
	struct upstream *u = container_of(t, struct upstream, probe_timer);

	for (size_t i = 0; i < u->origin_count; i++)
		if (u->origins[i].probe == NULL)
			probe(u, &u->origins[i]);
	loop_set_timer(u->worker->loop, t,
	    loop_now_ms(u->worker->loop) + u->route->backend_probe_interval_ms);
}

bool
probes_are_on(const struct upstream *u)
{
	return strcmp(u->route->backend_probe_path, "off") != 0;
}

void
probes_begin(struct upstream *u)
{
	timer_init(&u->probe_timer, on_probe_time);
	probes_configure(u);
}

void
probes_configure(struct upstream *u)
{
	loop_clear_timer(&u->probe_timer);
	if (u->origin_count > 0 && probes_are_on(u))
		loop_set_timer(u->worker->loop, &u->probe_timer,
		    loop_now_ms(u->worker->loop));
}

void
probes_end(struct upstream *u)
{
	loop_clear_timer(&u->probe_timer);
	for (size_t i = 0; i < u->origin_count; i++)
		free(u->origins[i].probe);
}
