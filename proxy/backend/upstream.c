#include "proxy/backend/upstream.h"

#include <stddef.h>
#include <stdlib.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/field.h"
#include "proxy/base/log.h"
#include "proxy/gateway.h"

/* How often libcurl may work before others have their turn. */
enum { RUNS_PER_TURN = 16 };

static const struct {
	const char *name;
	int status;
	const char *sentence;
} ends[UPSTREAM_ENDS] = {
	[UPSTREAM_OK] = { "ok", 200, "The response is complete." },
	[UPSTREAM_UNREACHABLE] = { "unreachable", 502,
	    "There is no connection to the backend." },
	[UPSTREAM_BROKEN] = { "broken", 502,
	    "The backend's response is not valid." },
	[UPSTREAM_TOO_LARGE] = { "too-large", 502,
	    "The backend's response is too large." },
	[UPSTREAM_TIMEOUT] = { "timeout", 504,
	    "The backend did not respond in time." },
	[UPSTREAM_CROWDED] = { "crowded", 503,
	    "Too many requests wait for the backend." },
	[UPSTREAM_DOWN] = { "down", 503,
	    "The backend has failed and gets a moment of rest." },
	[UPSTREAM_REFUSED] = { "refused", 502,
	    "The request was given up on the way." },
};

int
upstream_end_status(enum upstream_end end)
{
	return ends[end].status;
}

const char *
upstream_end_name(enum upstream_end end)
{
	return ends[end].name;
}

const char *
upstream_end_sentence(enum upstream_end end)
{
	return ends[end].sentence;
}

bool
upstream_exists(const struct upstream *u)
{
	return u->origin_count > 0;
}

size_t
upstream_share(const struct upstream *u, uint64_t of_all)
{
	size_t workers = gateway_worker_count(u->worker->gateway);

	return workers == 0 ? (size_t)of_all :
			      (size_t)((of_all + workers - 1) / workers);
}

/* A request's life. */

static void
whole_free(struct whole *w)
{
	if (w == NULL)
		return;
	buf_fini(&w->answer);
	free(w->body);
	free(w);
}

static void
request_free(struct upstream_request *r)
{
	if (r == NULL)
		return;
	transfer_end(r);
	loop_clear_timer(&r->timer);
	list_remove(&r->node);
	list_remove(&r->resume_node);
	list_remove(&r->headed_node);
	free(r->headers);
	name_forget(r);
	whole_free(r->whole);
	buf_fini(&r->head);
	buf_fini(&r->rescued);
	free(r->method);
	free(r->target);
	free(r);
}

/* Out of the list that it is in, and of what is counted. */
static void
leave(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	list_remove(&r->node);
	list_remove(&r->resume_node);
	switch (r->state) {
	case REQUEST_WAITING:
		u->waiting_count--;
		METRIC_ADD(u->worker->metrics.upstream_waiting, -1);
		break;
	case REQUEST_RUNNING:
		u->running_count--;
		METRIC_ADD(u->worker->metrics.upstream_running, -1);
		break;
	case REQUEST_TUNNEL:
		METRIC_ADD(u->worker->metrics.upstream_tunnels, -1);
		break;
	}
}

static void
enter(struct upstream_request *r, enum request_state state)
{
	struct upstream *u = r->upstream;

	r->state = state;
	list_append(
	    state == REQUEST_WAITING ? &u->waiting : &u->running, &r->node);
	switch (state) {
	case REQUEST_WAITING:
		u->waiting_count++;
		METRIC_ADD(u->worker->metrics.upstream_waiting, 1);
		break;
	case REQUEST_RUNNING:
		u->running_count++;
		METRIC_ADD(u->worker->metrics.upstream_running, 1);
		break;
	case REQUEST_TUNNEL:
		METRIC_ADD(u->worker->metrics.upstream_tunnels, 1);
		break;
	}
}

void
request_becomes_tunnel(struct upstream_request *r)
{
	bool resumed = !list_empty(&r->resume_node);

	leave(r);
	enter(r, REQUEST_TUNNEL);
	if (resumed)
		list_append(&r->upstream->resumed, &r->resume_node);
}

/* The last that is heard of it. */
static void
finish(struct upstream_request *r, enum upstream_end end, const char *detail)
{
	struct upstream *u = r->upstream;

	METRIC_ADD(u->worker->metrics.upstream_ends[end], 1);
	if (u->worker->metrics.routes != NULL)
		METRIC_ADD(
		    u->worker->metrics.routes[u->route_index].ends[end], 1);
	leave(r);
	if (!r->cancelled)
		r->flow.done(r->flow.owner, end, detail);
	request_free(r);
}

/* Is the origin to blame, as far as one can tell? */
static bool
blames_origin(const struct upstream_request *r, enum upstream_end end)
{
	switch (end) {
	case UPSTREAM_UNREACHABLE:
		return true;
	case UPSTREAM_TIMEOUT:
		if (!transfer_sent(r))
			return true;
		/* fall through */
	case UPSTREAM_BROKEN:
		/* If it is the only one, to ask it is better than not to. */
		return r->upstream->origin_count > 1 && !r->has_head;
	default:
		return false;
	}
}

/* Nothing was sent yet: another origin may do what this one did not. */
static bool
try_another(struct upstream_request *r, enum upstream_end end)
{
	struct upstream *u = r->upstream;

	if (r->only != NULL || r->tries >= u->origin_count ||
	    (end != UPSTREAM_UNREACHABLE &&
		((end != UPSTREAM_TIMEOUT && end != UPSTREAM_CROWDED) ||
		    transfer_sent(r))))
		return false;
	transfer_end(r);
	leave(r);
	enter(r, REQUEST_WAITING);
	METRIC_ADD(u->worker->metrics.upstream_retries, 1);
	return true;
}

void
request_begins_again(struct upstream_request *r)
{
	METRIC_ADD(r->upstream->worker->metrics.upstream_retries, 1);
	transfer_end(r);
	leave(r);
	enter(r, REQUEST_WAITING);
	r->again = r->origin;
	r->tries--;
}

static void
complete(struct upstream_request *r, CURLcode code)
{
	enum upstream_end end;
	bool failed;

	if (code != CURLE_OK && buf_len(&r->rescued) > 0)
		code = rescue_replay(r);
	if (r->cancelled) {
		request_free(r);
		return;
	}
	if (name_fails(r, code)) {
		request_begins_again(r);
		return;
	}
	end = transfer_judge(r, code);
	failed = blames_origin(r, end);
	if (failed)
		name_doubt(r);
	if (r->only == NULL && failed)
		origin_note(r->upstream, r->origin, true);
	else if (r->only == NULL && !r->has_head)
		r->origin->probing = false;
	/* Ports that are used up are used up towards that one. */
	if ((failed || end == UPSTREAM_CROWDED) && try_another(r, end))
		return;
	finish(r, end, r->detail);
}

static void
on_timeout(struct timer *t)
{
	struct upstream_request *r =
	    container_of(t, struct upstream_request, timer);

	if (r->state == REQUEST_WAITING)
		finish(r, UPSTREAM_TIMEOUT, "It waited too long for its turn.");
	else if (r->held && r->flow.moves != NULL &&
	    r->flow.moves(r->flow.owner))
		transfer_arm(r); /* it is our side that is slow */
	else
		complete(r, CURLE_OPERATION_TIMEDOUT);
}

static void
read_messages(struct upstream *u)
{
	const CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(u->multi, &left)) != NULL) {
		struct upstream_request *r = NULL;
		CURLcode code;

		if (m->msg != CURLMSG_DONE)
			continue;
		code = m->data.result; /* the message goes with the handle */
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r);
		if (r->cancelled)
			request_free(r);
		else
			complete(r, code);
	}
}

static void
begin(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	r->origin = r->again != NULL ? r->again :
	    r->only != NULL          ? r->only :
				       origin_choose(u, &r->tried);
	r->again = NULL;
	if (r->origin == NULL) {
		finish(r, UPSTREAM_DOWN, ends[UPSTREAM_DOWN].sentence);
		return;
	}
	r->tries++;
	leave(r);
	enter(r, REQUEST_RUNNING);
	if (transfer_begin(r) != SW_OK) {
		r->origin->probing = false;
		finish(r, UPSTREAM_CROWDED, err_info(SW_ENOMEM)->sentence);
	}
}

static void
ask_again(struct upstream_request *r)
{
	if (r->easy == NULL)
		return;
	transfer_arm(r);
	library_resume(r);
}

static void
forget_cancelled(struct upstream *u)
{
	struct list *node;

	while ((node = list_shift(&u->cancelled)) != NULL)
		request_free(container_of(node, struct upstream_request, node));
}

/* Everything that was put off because libcurl was in the middle of work. */
static void
catch_up(struct upstream *u)
{
	size_t most = upstream_share(u, u->route->backend_requests_max);
	struct list *node;

	forget_cancelled(u);
	while ((node = list_shift(&u->resumed)) != NULL)
		ask_again(
		    container_of(node, struct upstream_request, resume_node));
	while (!list_empty(&u->refused))
		finish(container_of(
			   u->refused.next, struct upstream_request, node),
		    UPSTREAM_CROWDED, ends[UPSTREAM_CROWDED].sentence);
	if (u->running_count < most && !list_empty(&u->waiting))
		upstream_sockets_weed(u);
	while (u->running_count < most && !list_empty(&u->waiting))
		begin(container_of(
		    u->waiting.next, struct upstream_request, node));
}

bool
upstream_has_work(const struct upstream *u)
{
	return u->due || u->stirred || !list_empty(&u->cancelled) ||
	    !list_empty(&u->resumed) || !list_empty(&u->refused) ||
	    (!list_empty(&u->waiting) &&
		u->running_count <
		    upstream_share(u, u->route->backend_requests_max));
}

void
upstream_settle(struct upstream *u)
{
	struct list *node;

	while ((node = list_shift(&u->headed)) != NULL) {
		struct upstream_request *r =
		    container_of(node, struct upstream_request, headed_node);

		if (!r->cancelled)
			r->flow.settle(r->flow.owner);
	}
}

/* With libcurl goes what it has in its hands. */
static void
give_library_up(struct upstream *u)
{
	while (!list_empty(&u->running))
		finish(container_of(
			   u->running.next, struct upstream_request, node),
		    UPSTREAM_CROWDED, err_info(SW_ENOMEM)->sentence);
	forget_cancelled(u);
	library_end(u);
}

bool
upstream_turn(struct upstream *u)
{
	for (int i = 0; i < RUNS_PER_TURN && upstream_has_work(u); i++) {
		/* Without, requests fail until there is memory for it again. */
		if (u->multi == NULL)
			library_start(u);
		catch_up(u);
		u->stirred = false;
		if (u->due) {
			u->due = false;
			library_act(u, CURL_SOCKET_TIMEOUT, 0);
		}
		upstream_settle(u);
		read_messages(u);
		if (u->used_up)
			give_library_up(u);
	}
	upstream_sockets_sweep(u);
	return upstream_has_work(u);
}

/* Asking. */

static struct upstream_times
times_of(const struct upstream *u, const struct upstream_ask *ask)
{
	const struct route *route = ask->route != NULL ? ask->route : u->route;

	/* A time for all of it is the only one. */
	if (ask->timeout_ms != 0)
		return (struct upstream_times){ ask->timeout_ms,
			ask->timeout_ms, ask->timeout_ms, ask->timeout_ms };
	return (struct upstream_times){
		.response_ms = route->backend_response_timeout_ms,
		.idle_ms = route->backend_idle_timeout_ms,
		.total_ms = ask->upgrade ? 0 : route->backend_total_timeout_ms,
		.tunnel_ms = route->upgrade_idle_timeout_ms,
	};
}

int
upstream_start(struct upstream_request **out, struct upstream *u,
    const struct upstream_flow *flow)
{
	const struct upstream_ask *ask = &flow->ask;
	struct upstream_request *r = malloc(sizeof(*r));
	int err;

	if (r == NULL)
		return SW_ENOMEM;
	memset(r, 0, offsetof(struct upstream_request, places));
	r->upstream = u;
	r->flow = *flow;
	r->times = times_of(u, ask);
	if (ask->timeout_ms != 0)
		r->due_ms = loop_now_ms(u->worker->loop) + ask->timeout_ms;
	r->hang_up.fd = -1;
	list_init(&r->node);
	list_init(&r->resume_node);
	list_init(&r->headed_node);
	r->sockets[0] = r->sockets[1] = -1;
	timer_init(&r->timer, on_timeout);
	timer_init(&r->nudge, upstream_sockets_nudge);
	buf_init(&r->head, (size_t)u->route->backend_header_max + 1);
	r->method = strndup(ask->method.p, ask->method.len);
	r->target = strndup(ask->target.p, ask->target.len);
	err = r->method == NULL || r->target == NULL ? SW_ENOMEM :
						       headers_copy(r, ask);
	if (err == SW_OK &&
	    (!field_is_token(ask->method) || !field_is_value(ask->target)))
		err = SW_EINVAL;
	if (err != SW_OK) {
		request_free(r);
		return err;
	}
	enter(r, REQUEST_WAITING);
	/* It is told so in the turn, not in this call. */
	if (u->waiting_count + u->running_count >
	    upstream_share(u, u->route->backend_queue_max) +
		upstream_share(u, u->route->backend_requests_max)) {
		METRIC_LIMIT(u->worker, LIMIT_BACKEND_QUEUE);
		list_remove(&r->node);
		list_append(&u->refused, &r->node);
	}
	loop_set_timer(u->worker->loop, &r->timer,
	    loop_now_ms(u->worker->loop) + r->times.response_ms);
	*out = r;
	return SW_OK;
}

void
upstream_resume(struct upstream_request *r)
{
	if (r->state != REQUEST_WAITING && !r->cancelled &&
	    list_empty(&r->resume_node))
		list_append(&r->upstream->resumed, &r->resume_node);
}

void
upstream_cancel(struct upstream_request *r)
{
	if (r->cancelled)
		return;
	r->cancelled = true;
	if (r->origin != NULL)
		r->origin->probing = false;
	leave(r);
	loop_clear_timer(&r->timer);
	list_append(&r->upstream->cancelled, &r->node);
}

int
upstream_new(struct upstream **out, struct worker *w, size_t route)
{
	struct upstream *u = calloc(1, sizeof(*u));
	int err;

	if (u == NULL)
		return SW_ENOMEM;
	u->worker = w;
	u->route = &w->conf->routes[route];
	u->route_index = route;
	list_init(&u->waiting);
	list_init(&u->refused);
	list_init(&u->running);
	list_init(&u->resumed);
	list_init(&u->cancelled);
	list_init(&u->idle);
	list_init(&u->dead_watches);
	list_init(&u->headed);
	timer_init(&u->timer, NULL);
	timer_init(&u->probe_timer, NULL);
	if ((err = origins_load(u)) != SW_OK || !library_start(u)) {
		log_error("upstream: libcurl does not start");
		upstream_free(u);
		return err != SW_OK ? err : SW_ENOMEM;
	}
	probes_begin(u);
	*out = u;
	return SW_OK;
}

void
upstream_configure(struct upstream *u)
{
	u->route = &u->worker->conf->routes[u->route_index];
	u->generation++;
	for (size_t i = 0; i < u->origin_count; i++)
		origin_forget_ready(&u->origins[i]);
	probes_configure(u);
}

static void
free_requests(struct list *l)
{
	struct list *node;

	while ((node = list_shift(l)) != NULL)
		request_free(container_of(node, struct upstream_request, node));
}

void
upstream_free(struct upstream *u)
{
	if (u == NULL)
		return;
	free_requests(&u->waiting);
	free_requests(&u->refused);
	free_requests(&u->running);
	free_requests(&u->cancelled);
	probes_end(u);
	library_end(u);
	origins_free(u);
	upstream_sockets_sweep(u);
	free(u);
}
