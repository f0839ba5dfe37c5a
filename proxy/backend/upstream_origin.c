/*
 * Which of the backend's origins is next, and which are better left alone.
 */
#include <stdlib.h>

#include "conf/backend.h"
#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

static bool
is_down(const struct upstream *u, const struct upstream_origin *o)
{
	return o->failures >= u->route->backend_failures &&
	    (o->probing || probes_are_on(u) ||
		loop_now_ms(u->worker->loop) < o->down_until_ms);
}

/* Its bit among those that a request has tried; beyond 64 there is none. */
static uint64_t
bit_of(const struct upstream *u, const struct upstream_origin *o)
{
	size_t at = (size_t)(o - u->origins);

	return at < 64 ? (uint64_t)1 << at : 0;
}

/*
 * Everyone gains its weight, the richest is chosen and pays for the round: so
 * the shares are exact, and those of a heavy one are spread over the round.
 */
struct upstream_origin *
origin_choose(struct upstream *u, uint64_t *tried)
{
	struct upstream_origin *best = NULL;
	int64_t total = 0;

	for (size_t i = 0; i < u->origin_count; i++) {
		struct upstream_origin *o = &u->origins[i];

		if (is_down(u, o) || (*tried & bit_of(u, o)) != 0)
			continue;
		o->credit += o->weight;
		total += o->weight;
		if (best == NULL || o->credit > best->credit)
			best = o;
	}
	if (best == NULL)
		return NULL;
	best->credit -= total;
	*tried |= bit_of(u, best);
	best->probing = best->failures >= u->route->backend_failures;
	return best;
}

void
origin_note(struct upstream *u, struct upstream_origin *o, bool failed)
{
	const struct route *route = u->route;

	o->probing = false;
	if (!failed) {
		if (o->failures >= route->backend_failures)
			log_info("backend is back origin=%s", o->url);
		o->failures = 0;
		return;
	}
	o->failures++;
	if (o->failures < route->backend_failures)
		return;
	o->down_until_ms =
	    loop_now_ms(u->worker->loop) + route->backend_fail_time_ms;
	if (o->failures == route->backend_failures)
		log_warn("backend fails origin=%s unix=%s failures=%llu",
		    o->url, o->unix_path == NULL ? "no" : o->unix_path,
		    (unsigned long long)o->failures);
}

void
origin_forget_ready(struct upstream_origin *o)
{
	while (o->ready_count > 0)
		curl_easy_cleanup(o->ready[--o->ready_count]);
}

int
origins_load(struct upstream *u)
{
	const struct route *route = u->route;
	struct buf advice;

	if (route->backend_count == 0)
		return SW_OK;
	u->origins = calloc(route->backend_count, sizeof(*u->origins));
	if (u->origins == NULL)
		return SW_ENOMEM;
	buf_init(&advice, 1024);
	for (size_t i = 0; i < route->backend_count; i++) {
		struct upstream_origin *o = &u->origins[i];
		struct backend_origin b;

		if (value_backend(&b, str_of(route->backend[i]), &advice) !=
		    SW_OK)
			break; /* the configuration was checked: memory */
		u->origin_count++;
		o->weight = (int64_t)b.weight;
		o->url = strndup(b.url.p, b.url.len);
		if (b.socket_path.p != NULL)
			o->unix_path =
			    strndup(b.socket_path.p, b.socket_path.len);
		if (o->url == NULL ||
		    (b.socket_path.p != NULL && o->unix_path == NULL))
			break;
	}
	buf_fini(&advice);
	return u->origin_count == route->backend_count &&
		u->origins[u->origin_count - 1].url != NULL ?
	    SW_OK :
	    SW_ENOMEM;
}

void
origins_free(struct upstream *u)
{
	for (size_t i = 0; i < u->origin_count; i++) {
		free(u->origins[i].url);
		free(u->origins[i].unix_path);
	}
	free(u->origins);
}
