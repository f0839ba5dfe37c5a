#include "proxy/backend/proxy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/backend/proxy_private.h"
#include "proxy/backend/routes.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/edge/look.h"
#include "proxy/edge/redirect.h"
#include "proxy/gateway.h"
#include "proxy/http/response.h"
#include "proxy/worker.h"

/* The backend's socket, and that once more to see its end. */
enum { TUNNEL_DESCRIPTORS = 2 };

static void
passage_free(struct passage *p)
{
	if (p->provided)
		gateway_give_descriptors(
		    p->conn->worker->gateway, TUNNEL_DESCRIPTORS);
	buf_fini(&p->head);
	free(p->method);
	free(p->target);
	free(p->upgrade);
	free(p);
}

/* What its route says, as configured now. */
static const struct route *
route_of(const struct passage *p)
{
	return routes_get(p->conn->worker->routes, p->route);
}

/* The line of the access log, and what is counted. */
static void
account(struct passage *p, const char *end)
{
	struct worker *w = p->conn->worker;
	char peer[ADDRESS_TEXT], method[LOG_QUOTED], target[LOG_QUOTED];
	char route[LOG_QUOTED] = "none";

	METRIC_ADD(w->metrics.proxied_now, -1);
	METRIC_ADD(w->metrics.proxied[p->status / 100], 1);
	if (w->metrics.routes != NULL)
		METRIC_ADD(
		    w->metrics.routes[p->route].requests[p->status / 100], 1);
	if (p->target == NULL)
		return;
	log_quote(method, str_of(p->method));
	log_quote(target, str_of(p->target));
	if (w->metrics.routes != NULL && p->route + 1 < w->metrics.route_count)
		log_quote(route, str_of(route_of(p)->pattern));
	log_info("request id=%" PRIu64 " peer=%s method=%s target=%s route=%s "
		 "status=%d ms=%" PRIu64 " received=%" PRIu64 " sent=%" PRIu64
		 " end=%s",
	    p->conn->id, address_print(&p->conn->peer, peer), method, target,
	    route, p->status, loop_now_ms(w->loop) - p->began_ms, p->received,
	    p->sent, end);
}

/* The response, to the client. */

/* Back to the first look, or away. The passage is gone. */
static void
part(struct passage *p, const char *end)
{
	struct conn *c = p->conn;
	bool keep_alive = p->keep_alive && !c->worker->draining;

	account(p, end);
	passage_free(p);
	conn_set_role(c, &look_role, NULL);
	look_resume(c, keep_alive);
}

/* With a 405 (RFC 9110 15.5.6): what is passed on, whatever else may be. */
static const char allowed[] =
    "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";

static void
refuse(struct passage *p, int status, const char *detail, const char *end)
{
	struct conn *c = p->conn;
	struct buf out;

	p->status = status;
	if (!p->body_ended)
		p->keep_alive = false;
	buf_init(&out, 1 << 16);
	response_put_refusal(&out, c->worker, status, detail, p->keep_alive,
	    str_of(status == 405 ? allowed : ""));
	if (p->is_head)
		response_keep_head(&out);
	if (buf_error(&out) == SW_OK &&
	    conn_send(c, buf_head(&out), buf_len(&out)) == SW_OK)
		part(p, end);
	else
		conn_close(c);
	buf_fini(&out);
}

static enum framing
choose_framing(const struct passage *p, const struct upstream_head *h)
{
	if (p->is_head || h->status == 204 || h->status == 304)
		return FRAMING_NONE;
	if (h->status == 101)
		return FRAMING_CLOSE;
	if (h->has_length)
		return FRAMING_LENGTH;
	return p->http_1_0 ? FRAMING_CLOSE : FRAMING_CHUNKS;
}

/* Is data still to come? Of a tunnel, nobody knows when. */
static bool
has_body(const struct passage *p, const struct upstream_head *h)
{
	return p->framing != FRAMING_NONE && !p->tunnel &&
	    (p->framing != FRAMING_LENGTH || h->content_length > 0);
}

static void
on_head(void *owner, const struct upstream_head *h)
{
	struct passage *p = owner;
	struct conn *c = p->conn;

	if (h->status == 101 && !response_upgrades(h, str_of(p->upgrade))) {
		upstream_cancel(p->up);
		p->up = NULL;
		refuse(p, 502, "The backend switches to another protocol.",
		    "broken");
		return;
	}
	p->has_head = true;
	loop_clear_timer(&c->timer);
	p->tunnel = h->status == 101;
	headway_begin(&p->headway, loop_lived_ms(c->worker->loop));
	/* Either what the client sends now, or that it is nothing. */
	if (p->upgrade != NULL)
		upstream_resume(p->up);
	p->status = h->status;
	p->framing = choose_framing(p, h);
	/* What is left of the request would be read as the next one. */
	if (!p->body_ended || p->framing == FRAMING_CLOSE ||
	    c->worker->draining)
		p->keep_alive = false;
	response_put_head(
	    &p->head, c->worker, route_of(p), h, p->framing, p->keep_alive);
	if (buf_error(&p->head) != SW_OK ||
	    (!has_body(p, h) && body_send_head(p) != SW_OK))
		conn_close(c);
}

/* The response breaks off, and the client has to see that it did. */
static void
break_off(struct passage *p)
{
	/* An end in good order would be the end of the response. */
	if (p->framing == FRAMING_CLOSE)
		conn_abort(p->conn);
	else
		conn_close(p->conn);
}

static void
on_done(void *owner, enum upstream_end end, const char *detail)
{
	struct passage *p = owner;
	struct conn *c = p->conn;
	char why[LOG_QUOTED];

	p->up = NULL;
	if (end != UPSTREAM_OK && !p->gone && !p->malformed)
		log_info("backend failed id=%" PRIu64 " end=%s detail=%s",
		    c->id, upstream_end_name(end),
		    log_quote(why, str_of(detail)));
	if (p->gone || body_send_head(p) != SW_OK ||
	    (end == UPSTREAM_OK && body_send_end(p) != SW_OK))
		conn_close(c);
	else if (end == UPSTREAM_OK || p->tunnel)
		part(p, upstream_end_name(end));
	else if (p->has_head)
		break_off(p);
	else if (p->malformed)
		refuse(p, 400, "The body is not chunked as RFC 9112 says.",
		    "malformed");
	else
		refuse(p, upstream_end_status(end), upstream_end_sentence(end),
		    upstream_end_name(end));
}

/* The role. */

static void
proxy_ready(struct conn *c, uint32_t events)
{
	struct passage *p = c->owner;

	if ((events & EPOLLOUT) != 0 && conn_flush(c) == SW_ECLOSED) {
		passage_lose_client(p, SW_ECLOSED);
		return;
	}
	/* Who has asked and then hangs up wants no answer. */
	if (c->half_open && p->body_ended && !p->tunnel) {
		p->gone = true;
		conn_close(c);
		return;
	}
	if (c->half_open) {
		p->leaves = true;
		c->readable = true;
	}
	if (p->held && !conn_pending(c) && !c->blocked) {
		p->held = false;
		upstream_resume(p->up);
	}
	if (p->wants_body && c->readable) {
		p->wants_body = false;
		upstream_resume(p->up);
	}
}

static void
proxy_timeout(struct conn *c)
{
	struct passage *p = c->owner;

	METRIC_LIMIT(c->worker, LIMIT_REQUEST_TIMEOUT);
	upstream_cancel(p->up);
	p->up = NULL;
	refuse(p, 408, "The body was not complete within request-timeout.",
	    "client");
}

static void
proxy_end(struct conn *c)
{
	struct passage *p = c->owner;

	if (p == NULL)
		return;
	if (p->up != NULL)
		upstream_cancel(p->up);
	if (!p->has_head)
		p->status = 499; /* nobody was there to be told */
	account(p, p->gone ? "client" : "broken-off");
	c->owner = NULL;
	passage_free(p);
}

const struct conn_role proxy_role = {
	.name = "proxy",
	.ready = proxy_ready,
	.timeout = proxy_timeout,
	.end = proxy_end,
};

void
proxy_drain(struct conn *c)
{
	struct passage *p = c->owner;

	if (!p->tunnel)
		return;
	upstream_cancel(p->up);
	p->up = NULL;
	part(p, "drained");
}

bool
proxy_takes(const struct conn *c, const struct request *r)
{
	return (c->listener == LISTENER_PUBLIC ||
		   (c->listener == LISTENER_REDIRECT && redirect_excepts(r))) &&
	    routes_exist(c->worker->routes) && !str_is(r->path, "*") &&
	    !str_starts(r->path, "/stream/") &&
	    !str_starts(r->path, "/spillway/") &&
	    !str_is(r->path, "/spillway") && !str_is(r->path, "/healthz") &&
	    !str_is(r->path, "/readyz");
}

/* What the gateway does not pass on, although it is well-formed. */
static const char *
find_refusal(const struct passage *p, const struct request *r, int *status)
{
	*status = 414;
	if (p->chosen == SW_ELIMIT)
		return "The path is above odd-path-max, and could be read in "
		       "several ways.";
	*status = 400;
	if (p->chosen == SW_EINVAL)
		return "The path can be read in several ways, which take "
		       "different routes.";
	if (p->is_head && !p->body_ended)
		return "A HEAD has no body.";
	*status = 417;
	if (request_header_count(r, "Expect") > 0 && !p->expects)
		return "Only `Expect: 100-continue` is understood.";
	*status = 405;
	if (str_is(r->method_text, "TRACE") ||
	    str_is(r->method_text, "CONNECT"))
		return "TRACE and CONNECT are not passed on.";
	*status = 404;
	if (routes_upstream(p->conn->worker->routes, p->route) == NULL)
		return "There is no backend for this path.";
	return NULL;
}

/*
 * What switches stays, like a stream, but there is no limit for it as there is
 * for requests: it has to leave room for clients, and for the store.
 */
static bool
provide(struct passage *p)
{
	p->provided = p->upgrade != NULL &&
	    gateway_take_descriptors(
		p->conn->worker->gateway, TUNNEL_DESCRIPTORS);
	return p->upgrade == NULL || p->provided;
}

/* Ask the backend: SW_OK, SW_ENOMEM or SW_EINVAL. */
static int
ask(struct passage *p, const struct request *r)
{
	struct conn *c = p->conn;
	const struct route *route = route_of(p);
	struct target target;
	struct forwarded f;
	int err = target_init(&target, r, route);

	if (err != SW_OK)
		return err;
	err =
	    forwarded_init(&f, c, r, route, target.prefix, str_of(p->upgrade));
	if (err == SW_OK) {
		struct upstream_flow flow = {
			.ask = {
			    .method = r->method_text,
			    .target = target.text,
			    .headers = f.headers,
			    .header_count = f.count,
			    .repeatable = method_is_repeatable(r->method_text),
			    .upgrade = p->upgrade != NULL,
			    .route = route,
			},
			.has_length = !p->chunked && p->upgrade == NULL,
			.content_length = p->left,
			.body = p->body_ended && !r->has_length &&
				p->upgrade == NULL ?
			    NULL :
			    body_upload,
			.head = on_head,
			.settle = body_settle,
			.data = body_download,
			.moves = body_moves,
			.done = on_done,
			.owner = p,
		};

		err = upstream_start(&p->up,
		    routes_upstream(c->worker->routes, p->route), &flow);
	}
	forwarded_fini(&f);
	target_fini(&target);
	return err;
}

static struct passage *
passage_new(struct conn *c, const struct request *r)
{
	struct passage *p = calloc(1, sizeof(*p));
	const struct route *route;
	struct str upgrade;

	if (p == NULL)
		return NULL;
	p->conn = c;
	p->chosen = routes_choose(&p->route, c->worker->routes, r->path);
	route = route_of(p);
	buf_init(&p->head, 4 << 20);
	p->left = r->has_length ? r->content_length : 0;
	p->chunked = r->chunked;
	p->body_ended = !p->chunked && p->left == 0;
	p->expects = str_is_nocase(request_header(r, "Expect"), "100-continue");
	p->keep_alive = r->keep_alive;
	p->http_1_0 = r->http_1_0;
	p->is_head = r->method == METHOD_HEAD;
	p->began_ms = loop_now_ms(c->worker->loop);
	upgrade = forwarded_upgrade(route, r);
	if (upgrade.p != NULL)
		p->upgrade = strndup(upgrade.p, upgrade.len);
	if (route->access_log) {
		p->method = strndup(r->method_text.p, r->method_text.len);
		p->target = strndup(r->path.p,
		    r->path.len + (r->query.p == NULL ? 0 : 1) + r->query.len);
	}
	if ((upgrade.p != NULL && p->upgrade == NULL) ||
	    (route->access_log && (p->method == NULL || p->target == NULL))) {
		passage_free(p);
		return NULL;
	}
	return p;
}

void
proxy_open(struct conn *c, const struct request *r)
{
	struct passage *p = passage_new(c, r);
	const char *refusal;
	int status;

	if (p == NULL) {
		conn_close(c);
		return;
	}
	METRIC_ADD(c->worker->metrics.proxied_now, 1);
	if (p->chosen == SW_ELIMIT)
		METRIC_LIMIT(c->worker, LIMIT_ODD_PATH);
	conn_set_role(c, &proxy_role, p);
	refusal = find_refusal(p, r, &status);
	if (refusal != NULL) {
		refuse(p, status, refusal, "refused");
		return;
	}
	if (!provide(p)) {
		METRIC_LIMIT(c->worker, LIMIT_DESCRIPTORS);
		refuse(p, 503, "There are too many connections.", "limited");
		return;
	}
	if (p->chosen != SW_OK || ask(p, r) != SW_OK)
		refuse(p, 503, err_info(SW_ENOMEM)->sentence, "memory");
}
