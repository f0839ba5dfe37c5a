#include "proxy/http/router.h"

#include <inttypes.h>

#include "proxy/api/api.h"
#include "proxy/auth/auth.h"
#include "proxy/backend/routes.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/bridge/bridge.h"
#include "proxy/edge/redirect.h"
#include "proxy/gateway.h"
#include "proxy/http/web.h"
#include "proxy/lab/lab_api.h"
#include "proxy/publish/send.h"
#include "proxy/sessions/visit.h"
#include "proxy/stream/close.h"
#include "proxy/worker.h"

/* GET /healthz: is the process alive? */
static void
health(struct exchange *x)
{
	buf_puts(&x->reply, "ok\n");
	exchange_answer(x, 200, "text/plain; charset=utf-8");
}

/* GET /readyz: would it take traffic? */
static void
readiness(struct exchange *x)
{
	struct log_stats stats;

	log_stats(x->worker->log, &stats);
	if (x->worker->draining) {
		exchange_refuse(x, 503, "The gateway is shutting down.");
	} else if (!stats.healthy) {
		exchange_refuse(x, 503, stats.reason);
	} else {
		buf_puts(&x->reply, "ready\n");
		exchange_answer(x, 200, "text/plain; charset=utf-8");
	}
}

/* POST /stream/CHANNEL: what clients without a WebSocket send. */

static void
on_sent(struct append *a)
{
	struct exchange *x = a->owner;
	const struct append_item *item = &a->items[0];

	if (a->err != SW_OK) {
		exchange_refuse(x,
		    a->err == SW_ECORRUPT ? 503 : err_info(a->err)->http_status,
		    a->reason != NULL ? a->reason : err_info(a->err)->sentence);
	} else {
		buf_puts(&x->reply, "{\"id\":\"");
		cursor_put(&x->reply, &x->worker->codec.epoch, item->id);
		buf_printf(&x->reply,
		    "\",\"time\":%" PRIu64 ",\"duplicate\":%s}\n",
		    item->time_ms, item->duplicate ? "true" : "false");
		exchange_answer(
		    x, item->duplicate ? 200 : 201, "application/json");
	}
	append_free(a);
}

static void
echo(struct exchange *x, const struct client_message *m)
{
	struct str type = m->content_type;

	if (type.p == NULL || type.len >= sizeof(x->echoed))
		type = STR("application/octet-stream");
	memcpy(x->echoed, type.p, type.len);
	x->echoed[type.len] = '\0';
	buf_put_str(&x->reply, m->data);
	exchange_answer(x, 200, x->echoed);
}

/* The reply is the response. */
static void
on_bridged(void *owner, const struct bridge_answer *a)
{
	struct exchange *x = owner;
	struct str type = a->content_type;

	switch (a->outcome) {
	case BRIDGE_TAKEN:
		exchange_answer(x, a->status == 202 ? 202 : 204, "text/plain");
		break;
	case BRIDGE_REFUSED:
		exchange_refuse(x, a->status, a->detail);
		break;
	case BRIDGE_REPLY:
		if (type.p == NULL)
			type = STR("application/json");
		else if (type.len >= sizeof(x->echoed))
			type = STR("application/octet-stream");
		memcpy(x->echoed, type.p, type.len);
		x->echoed[type.len] = '\0';
		buf_put_str(&x->reply, a->data);
		exchange_answer(x, 200, x->echoed);
		break;
	case BRIDGE_OUTCOMES:
		break;
	}
}

/*
 * The session and the number of an idempotent message, if they are given. NULL,
 * or what is wrong: without them its retry would be another message.
 */
static const char *
read_seq(struct exchange *x, struct client_message *m,
    char session[STREAM_SESSION_MAX + 1])
{
	struct str text;

	if (request_param(&x->request, "session", &text)) {
		if (text.len == 0 || text.len > STREAM_SESSION_MAX)
			return "`session` has 1 to 128 characters.";
		memcpy(session, text.p, text.len);
		session[text.len] = '\0';
		m->session = session;
	}
	m->has_seq = request_param(&x->request, "seq", &text);
	return m->has_seq && str_to_u64(&m->seq, text, INT64_MAX) != SW_OK ?
	    "`seq` is a whole number." :
	    NULL;
}

static void
refuse_token(
    struct exchange *x, int err, const struct auth *auth, const char *why)
{
	int status = err_info(err)->http_status;

	if (err == SW_EAUTH)
		METRIC_ADD(x->worker->metrics.refused[REFUSED_UNAUTHORIZED], 1);
	x->challenge = auth_challenge(status, auth->carried);
	exchange_refuse(
	    x, status, err == SW_EAUTH ? why : err_info(err)->sentence);
}

/* Who sends with a session is who polls, or listens, with it. */
static int
join_session(struct exchange *x, struct client_message *m, struct auth *auth)
{
	struct str session = str_of(m->session);
	uint64_t connection;
	int err =
	    visit_recall(x->conn, &x->request, session, &m->channel, 1, auth);

	connection = visit_connection(x->worker, session, auth->grant);
	if (connection != 0)
		m->connection = connection;
	return err;
}

static void
take_message(struct exchange *x, struct str channel)
{
	struct client_message m = {
		.channel = channel,
		.data = x->body,
		.content_type = request_header(&x->request, "Content-Type"),
		.assumed_type = STR("application/octet-stream"),
		.connection = x->conn->id,
		.transport = STR("post"),
		.peer = &x->conn->peer,
		.done = on_sent,
		.answered = on_bridged,
		.owner = x,
	};
	struct buf forwarded;
	struct auth auth = {
		.trusts_cookies = origin_trusts_cookies(x->origin),
	};
	char session[STREAM_SESSION_MAX + 1];
	const char *why;
	int err;

	if (!conn_paces(x->conn, x->body.len)) {
		exchange_refuse(x, 429, close_info(CLOSE_FLOOD)->sentence);
		return;
	}
	if (content_is_coded(&x->request)) {
		exchange_refuse(x, 415, content_coded_help);
		return;
	}
	if ((why = read_seq(x, &m, session)) != NULL) {
		exchange_refuse(x, 400, why);
		return;
	}
	err = auth_request(
	    &auth, x->worker->conf, &x->request, loop_unix_ms(x->worker->loop));
	if (err == SW_OK)
		err = join_session(x, &m, &auth);
	if (err != SW_OK) {
		refuse_token(x, err, &auth, auth.why);
		auth_fini(&auth);
		return;
	}
	m.grant = auth.grant;
	buf_init(&forwarded, SIZE_MAX / 2);
	bridge_forward_put(&forwarded, x->worker->conf, &x->request);
	m.forwarded = buf_str(&forwarded);
	switch (client_send(x->worker, &m, &err, &why)) {
	case SEND_QUEUED:
		exchange_wait(x);
		break;
	case SEND_ECHOED:
		echo(x, &m);
		break;
	case SEND_REFUSED:
		x->challenge =
		    auth_challenge(err_info(err)->http_status, auth.carried);
		exchange_refuse(x, err_info(err)->http_status, why);
		break;
	}
	buf_fini(&forwarded);
	auth_fini(&auth);
}

/* A browser asks what a page of another origin may do (CORS). */
static void
preflight(struct exchange *x)
{
	x->preflight = true;
	x->allow = "GET, HEAD, POST, OPTIONS";
	exchange_answer(x, 204, "text/plain");
}

static void
handle_stream(struct exchange *x, struct str channel)
{
	if (x->origin == ORIGIN_FOREIGN) {
		METRIC_ADD(x->worker->metrics.refused[REFUSED_ORIGIN], 1);
		exchange_refuse(x, 403, origin_refusal);
	} else if (x->request.method == METHOD_POST) {
		/* One that is malformed is no valid name either. */
		percent_plain(&channel, x->channel, sizeof(x->channel));
		take_message(x, channel);
	} else if (x->request.method == METHOD_OPTIONS) {
		preflight(x);
	} else if (x->request.method == METHOD_GET ||
	    x->request.method == METHOD_HEAD) {
		exchange_refuse(
		    x, 400, "Name the channels: /stream/CHANNEL[,CHANNEL...]");
	} else {
		x->allow = "GET, HEAD, POST, OPTIONS";
		exchange_refuse(
		    x, 405, "GET subscribes to a stream, POST sends to one.");
	}
}

static void
handle_public(struct exchange *x)
{
	static const char stream[] = "/stream/", lab[] = "/spillway/lab/";
	struct str path = x->request.path;

	if (str_starts(path, stream)) {
		path.p += sizeof(stream) - 1;
		path.len -= sizeof(stream) - 1;
		handle_stream(x, path);
	} else if (x->worker->lab != NULL && str_starts(path, lab)) {
		path.p += sizeof(lab) - 1;
		path.len -= sizeof(lab) - 1;
		lab_api_handle(x, path);
	} else if (str_is(path, "/") || str_is(path, "/spillway") ||
	    str_starts(path, "/spillway/")) {
		web_handle(x);
	} else {
		exchange_refuse(x, 404,
		    "Streams are at /stream/CHANNEL, the pages at /spillway/; "
		    "the API is at the addresses of api-listen.");
	}
}

/* OPTIONS *: what the gateway has at all (RFC 9110 9.3.7); also a ping. */
static void
options(struct exchange *x)
{
	x->allow = x->conn->listener == LISTENER_API ?
	    "GET, HEAD, POST, DELETE, OPTIONS" :
	    routes_exist(x->worker->routes) ?
	    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" :
	    "GET, HEAD, POST, OPTIONS";
	exchange_answer(x, 204, "text/plain");
}

static void
handle_ours(struct exchange *x)
{
	bool reads =
	    x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;
	bool alive = str_is(x->request.path, "/healthz");
	bool ready = str_is(x->request.path, "/readyz");

	if ((alive || ready) && !reads) {
		exchange_refuse_method(x, "GET, HEAD");
	} else if (str_is(x->request.path, "*")) {
		options(x);
	} else if (alive) {
		health(x);
	} else if (ready) {
		readiness(x);
	} else if (x->conn->listener == LISTENER_API) {
		api_handle(x);
	} else {
		handle_public(x);
	}
}

void
router_handle(struct exchange *x)
{
	if (x->conn->listener == LISTENER_REDIRECT)
		redirect_handle(x);
	else
		handle_ours(x);
}
