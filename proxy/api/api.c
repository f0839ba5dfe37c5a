#include "proxy/api/api.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/api/api_channels.h"
#include "proxy/api/api_connections.h"
#include "proxy/api/api_history.h"
#include "proxy/api/api_outbox.h"
#include "proxy/api/api_presence.h"
#include "proxy/api/api_publish.h"
#include "proxy/auth/auth.h"
#include "proxy/auth/origin.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/gateway.h"
#include "proxy/sessions/sessions.h"
#include "proxy/stream/close.h"

static const char prefix[] = "/v1/channels/";

const char *
durability_name(enum durability d)
{
	static const char *const names[] = {
		[DURABILITY_MEMORY] = "memory",
		[DURABILITY_NORMAL] = "normal",
		[DURABILITY_FULL] = "full",
	};

	return names[d];
}

/* What a call asks for. What is not known yet is for administrators. */
static enum api_scope
scope_of(const struct request *r)
{
	static const char events[] = "/events";
	size_t n = sizeof(events) - 1;

	if (r->method == METHOD_GET || r->method == METHOD_HEAD)
		return API_READ;
	if (r->method == METHOD_POST && r->path.len > n &&
	    memcmp(r->path.p + r->path.len - n, events, n) == 0)
		return API_PUBLISH;
	return API_ADMIN;
}

bool
api_publishes(const struct request *r)
{
	return scope_of(r) == API_PUBLISH;
}

/*
 * What the tokens allow that are the one in the request, and the place of the
 * first of them, counted from 1; 0 if there is none.
 */
static unsigned
scopes_of(const struct conf *conf, const struct request *r, size_t *place)
{
	struct str value = request_header(r, "Authorization"), scheme;
	unsigned scopes = 0;

	*place = 0;
	/* Which of two is meant, nobody can say. */
	if (request_header_count(r, "Authorization") > 1 ||
	    !str_cut(&value, ' ', &scheme) ||
	    !str_is_nocase(scheme, "Bearer") || value.p == NULL)
		return 0;
	value = str_trim(value);
	/* All of them, always: the time must not tell which one fits. */
	for (size_t i = 0; i < conf->api_token_count; i++)
		if (digest_equal(value, str_of(conf->api_token[i].secret))) {
			scopes |= conf->api_token[i].scopes;
			*place = *place == 0 ? i + 1 : *place;
		}
	return scopes;
}

/* With TLS our certificate has the name, or no browser would ask. */
static bool
has_name_of_others(const struct conn *c, const struct request *r)
{
	return c->tls == NULL &&
	    origin_is_name_of_others(request_header(r, "Host"));
}

/*
 * Loopback keeps strangers out, but not their pages in a browser here. A list
 * of origins that ends in "*" is meant for streams.
 */
static bool
is_foreign(const struct conn *c, const struct request *r)
{
	enum origin o = origin_judge(c->worker->conf, r);

	return o == ORIGIN_ANY || o == ORIGIN_FOREIGN ||
	    has_name_of_others(c, r);
}

int
api_authorize(const struct conn *c, const struct request *r)
{
	const struct worker *w = c->worker;
	unsigned scopes;
	size_t place;

	if (w->conf->api_token_count == 0)
		return is_foreign(c, r) ? SW_EFORBIDDEN : SW_OK;
	scopes = scopes_of(w->conf, r, &place);
	if (scopes == 0)
		return SW_EAUTH;
	return (scopes & scope_of(r)) != 0 ? SW_OK : SW_EFORBIDDEN;
}

bool
api_paces(struct worker *w, const struct request *r, size_t events)
{
	uint64_t cost = pace_cost_us(events, w->conf->publish_rate);
	size_t place;

	if (cost == 0)
		return true;
	scopes_of(w->conf, r, &place);
	return gateway_paces(w->gateway, place, loop_now_ms(w->loop), cost);
}

/* RFC 6750 3: what was wrong with the token, and what it should allow. */
static void
refuse_access(struct exchange *x, int err)
{
	struct metrics *m = &x->worker->metrics;
	enum api_scope scope = scope_of(&x->request);
	char detail[128];

	if (err == SW_EAUTH) {
		METRIC_ADD(m->refused[REFUSED_UNAUTHORIZED], 1);
		x->challenge = auth_challenge(401,
		    request_header(&x->request, "Authorization").p != NULL);
		exchange_refuse(x, 401,
		    "This call needs `Authorization: Bearer` with an "
		    "api-token.");
		return;
	}
	if (x->worker->conf->api_token_count == 0) {
		METRIC_ADD(m->refused[REFUSED_ORIGIN], 1);
		exchange_refuse(x, 403,
		    has_name_of_others(x->conn, &x->request) ?
			"Without an api-token the API is asked by an address, "
			"or as localhost: a name may be anybody's. Write an "
			"api-token to use one." :
			"The API is for servers. Of pages, those whose origin "
			"allow-origin names can send to it, but read nothing "
			"of it.");
		return;
	}
	METRIC_ADD(m->refused[REFUSED_FORBIDDEN], 1);
	snprintf(detail, sizeof(detail),
	    "This call needs an api-token for `%s`%s.", api_scope_name(scope),
	    scope == API_ADMIN ? "" : ", or for `admin`");
	x->challenge = auth_challenge(403, true);
	exchange_refuse(x, 403, detail);
}

int
api_channel(struct worker *w, struct str name, struct channel **out)
{
	struct hub_channel *hc = hub_channel_find(&w->hub, name);

	/* This worker knows it already: no lock. */
	if (hc != NULL) {
		*out = channel_ref(hc->channel);
		return SW_OK;
	}
	return channels_get(out, w->channels, name);
}

bool
api_read_limit(
    struct exchange *x, uint64_t fallback, uint64_t max, uint64_t *out)
{
	struct str text;

	*out = fallback;
	if (request_param(&x->request, "limit", &text) &&
	    (str_to_u64(out, text, UINT32_MAX) != SW_OK || *out == 0)) {
		exchange_refuse(x, 400, "`limit` is a number, from 1.");
		return false;
	}
	if (*out > max)
		*out = max;
	return true;
}

void
api_answer_list(struct exchange *x)
{
	if (buf_error(&x->reply) == SW_OK)
		exchange_answer(x, 200, "application/json");
	else
		exchange_refuse(x, 503,
		    "The list has no room in memory: ask for less of it, with "
		    "`limit`.");
}

/* Metrics and statistics. */

static struct metrics_info
collect_info(struct exchange *x, const char **names)
{
	struct metrics_info info = {
		.started_unix_ms = gateway_started_ms(x->worker->gateway),
		.event_memory = event_memory(),
		.sessions =
		    sessions_count(gateway_sessions(x->worker->gateway)),
		.draining = x->worker->draining,
		.tls = x->worker->tls,
		.close_names = names,
		.close_count = CLOSE_COUNT,
	};

	log_stats(x->worker->log, &info.log);
	if (x->worker->outbox != NULL)
		outbox_stats(x->worker->outbox, &info.outbox);
	for (size_t i = 0; i < CLOSE_COUNT; i++)
		names[i] = close_info((enum close_why)i)->name;
	return info;
}

static void
answer_metrics(struct exchange *x, bool json)
{
	size_t n = gateway_worker_count(x->worker->gateway);
	const struct metrics **all = calloc(n, sizeof(*all));
	const char *names[CLOSE_COUNT];
	struct metrics_info info = collect_info(x, names);

	if (all == NULL) {
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	for (size_t i = 0; i < n; i++)
		all[i] = &gateway_worker(x->worker->gateway, i)->metrics;
	if (json)
		metrics_print_json(&x->reply, all, n, &info);
	else
		metrics_print(&x->reply, all, n, &info);
	free(all);
	exchange_answer(x, 200,
	    json ? "application/json" :
		   "text/plain; version=0.0.4; charset=utf-8");
}

/* Is it `part` behind a name? Then it is cut off. */
static bool
cut_part(struct str *rest, const char *part)
{
	size_t n = strlen(part);

	if (rest->len <= n || memcmp(rest->p + rest->len - n, part, n) != 0)
		return false;
	rest->len -= n;
	return true;
}

static void
refuse_channel_method(struct exchange *x)
{
	if (x->request.method != METHOD_POST) {
		exchange_refuse_method(x, "GET, HEAD, DELETE");
		return;
	}
	x->allow = "GET, HEAD, DELETE";
	exchange_refuse(
	    x, 405, "Events are POSTed to /v1/channels/CHANNEL/events.");
}

static void
refuse_name(struct exchange *x)
{
	static const char detail[] = "A channel's name has 1 to 128 characters "
				     "of A-Z a-z 0-9 . _ ~ : -";

	if (api_publishes(&x->request))
		api_publish_refuse(x, 400, detail);
	else
		exchange_refuse(x, 400, detail);
}

/* /v1/channels/NAME, with /events or /presence behind it */
static void
handle_channel(struct exchange *x, struct str rest)
{
	bool reads =
	    x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;
	bool of_events = cut_part(&rest, "/events");
	bool of_presence = !of_events && cut_part(&rest, "/presence");

	if (memchr(rest.p, '/', rest.len) != NULL) {
		exchange_refuse(x, 404,
		    "Of a channel there is /v1/channels/CHANNEL, and with "
		    "/events or /presence behind it.");
		return;
	}
	if (!percent_plain(&rest, x->channel, sizeof(x->channel)) ||
	    !channel_name_valid(rest)) {
		refuse_name(x);
		return;
	}
	if (of_events && x->request.method == METHOD_POST)
		api_publish_one(x, rest);
	else if (of_events && reads)
		api_history(x, rest);
	else if (of_events)
		exchange_refuse_method(x, "GET, HEAD, POST");
	else if (of_presence && reads)
		api_presence(x, rest);
	else if (of_presence)
		exchange_refuse_method(x, "GET, HEAD");
	else if (reads)
		api_channel_describe(x, rest);
	else if (x->request.method == METHOD_DELETE)
		api_channel_delete(x, rest);
	else
		refuse_channel_method(x);
}

static void
handle_connection(struct exchange *x, struct str rest)
{
	uint64_t id;

	if (str_to_u64(&id, rest, UINT64_MAX) != SW_OK) {
		exchange_refuse(x, 404, "A connection's id is a number.");
		return;
	}
	if (x->request.method == METHOD_GET || x->request.method == METHOD_HEAD)
		api_connection_describe(x, id);
	else if (x->request.method == METHOD_DELETE)
		api_connection_close(x, id);
	else
		exchange_refuse_method(x, "GET, HEAD, DELETE");
}

/* The calls whose path is fixed. */
static bool
handle_fixed(struct exchange *x)
{
	struct str path = x->request.path;
	bool reads =
	    x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;

	if (str_is(path, "/v1/events")) {
		if (x->request.method == METHOD_POST)
			api_publish_batch(x);
		else
			exchange_refuse_method(x, "POST");
		return true;
	}
	if (!str_is(path, "/v1/channels") && !str_is(path, "/v1/connections") &&
	    !str_is(path, "/v1/stats") && !str_is(path, "/metrics"))
		return false;
	if (str_is(path, "/v1/connections") &&
	    x->request.method == METHOD_DELETE)
		api_presence_kick(x);
	else if (!reads && str_is(path, "/v1/connections"))
		exchange_refuse_method(x, "GET, HEAD, DELETE");
	else if (!reads)
		exchange_refuse_method(x, "GET, HEAD");
	else if (str_is(path, "/v1/channels"))
		api_channels_list(x);
	else if (str_is(path, "/v1/connections"))
		api_connections_list(x);
	else
		answer_metrics(x, str_is(path, "/v1/stats"));
	return true;
}

void
api_handle(struct exchange *x)
{
	static const char connections[] = "/v1/connections/";
	static const char outbox[] = "/v1/outbox";
	struct str path = x->request.path, rest = path;
	int err;

	if ((err = api_authorize(x->conn, &x->request)) != SW_OK) {
		refuse_access(x, err);
		return;
	}
	if (handle_fixed(x))
		return;
	if (str_starts(path, prefix)) {
		rest.p += sizeof(prefix) - 1;
		rest.len -= sizeof(prefix) - 1;
		handle_channel(x, rest);
	} else if (str_starts(path, connections)) {
		rest.p += sizeof(connections) - 1;
		rest.len -= sizeof(connections) - 1;
		handle_connection(x, rest);
	} else if (str_starts(path, outbox)) {
		rest.p += sizeof(outbox) - 1;
		rest.len -= sizeof(outbox) - 1;
		api_outbox(x, rest);
	} else {
		exchange_refuse(x, 404,
		    "The API is at /v1/channels, /v1/events, "
		    "/v1/connections, /v1/outbox, /v1/stats and /metrics; "
		    "streams are at the addresses of listen.");
	}
}
