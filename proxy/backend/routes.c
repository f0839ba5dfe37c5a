#include "proxy/backend/routes.h"

#include <stdlib.h>

#include "proxy/backend/upstream.h"
#include "proxy/base/err.h"
#include "proxy/worker.h"

struct routes {
	struct worker *worker;
	size_t count; /* of all routes; the last one is outside of blocks */
	struct upstream **upstreams; /* the blocks' own; NULL: it has none */
	bool exist;
};

static const struct route *
all_of(const struct routes *r)
{
	return r->worker->conf->routes;
}

/* The counters have names of their own: others read them. */
static int
make_counters(struct worker *w, size_t count)
{
	struct route_metrics *m = calloc(count, sizeof(*m));

	if (m == NULL)
		return SW_ENOMEM;
	w->metrics.routes = m;
	w->metrics.route_count = count;
	for (size_t i = 0; i < count; i++) {
		m[i].own = i + 1 == count || w->conf->routes[i].own;
		m[i].pattern =
		    strdup(i + 1 == count ? "" : w->conf->routes[i].pattern);
		if (m[i].pattern == NULL)
			return SW_ENOMEM;
	}
	return SW_OK;
}

int
routes_new(struct routes **out, struct worker *w)
{
	struct routes *r = calloc(1, sizeof(*r));
	const struct conf *conf = w->conf;
	int err = SW_OK;

	if (r == NULL)
		return SW_ENOMEM;
	r->worker = w;
	r->exist = upstream_exists(w->upstream);
	r->count = conf->route_count;
	if (r->count > 1) {
		r->upstreams = calloc(r->count, sizeof(struct upstream *));
		err = r->upstreams == NULL ? SW_ENOMEM :
					     make_counters(w, r->count);
	}
	for (size_t i = 0; i + 1 < r->count && err == SW_OK; i++) {
		if (!conf->routes[i].own || conf->routes[i].backend_count == 0)
			continue;
		r->exist = true;
		err = upstream_new(&r->upstreams[i], w, i);
	}
	if (err != SW_OK) {
		routes_free(r);
		return err;
	}
	*out = r;
	return SW_OK;
}

void
routes_configure(struct routes *r)
{
	upstream_configure(r->worker->upstream);
	for (size_t i = 0; i + 1 < r->count; i++)
		if (r->upstreams[i] != NULL)
			upstream_configure(r->upstreams[i]);
}

void
routes_free(struct routes *r)
{
	struct metrics *m;

	if (r == NULL)
		return;
	m = &r->worker->metrics;
	for (size_t i = 0; i + 1 < r->count && r->upstreams != NULL; i++)
		upstream_free(r->upstreams[i]);
	free(r->upstreams);
	while (m->route_count > 0)
		free(m->routes[--m->route_count].pattern);
	free(m->routes);
	m->routes = NULL;
	free(r);
}

bool
routes_turn(struct routes *r)
{
	struct upstream *outside = r->worker->upstream;
	bool more;

	upstream_turn(outside);
	for (size_t i = 0; i + 1 < r->count; i++)
		if (r->upstreams[i] != NULL)
			upstream_turn(r->upstreams[i]);
	/* The end of one request may begin another, at any of them. */
	more = upstream_has_work(outside);
	for (size_t i = 0; i + 1 < r->count; i++)
		more = more ||
		    (r->upstreams[i] != NULL &&
			upstream_has_work(r->upstreams[i]));
	return more;
}

bool
routes_exist(const struct routes *r)
{
	return r->exist;
}

int
routes_choose(size_t *out, const struct routes *r, struct str path)
{
	return route_choose(
	    out, all_of(r), r->count, path, r->worker->conf->odd_path_max);
}

const struct route *
routes_get(const struct routes *r, size_t route)
{
	return &all_of(r)[route];
}

struct upstream *
routes_upstream(const struct routes *r, size_t route)
{
	struct upstream *outside = r->worker->upstream;

	if (route + 1 < r->count && all_of(r)[route].own)
		return r->upstreams[route];
	return upstream_exists(outside) ? outside : NULL;
}
