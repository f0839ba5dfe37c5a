#include "proxy/stream/stream.h"

#include "proxy/auth/auth.h"
#include "proxy/auth/origin.h"
#include "proxy/base/err.h"
#include "proxy/bridge/asking.h"
#include "proxy/bridge/bridge_connect.h"
#include "proxy/lab/lab.h"
#include "proxy/sessions/visit.h"
#include "proxy/stream/opening.h"
#include "proxy/stream/subscriber.h"
#include "proxy/stream/websocket_auth.h"
#include "proxy/worker.h"

/* May it have all that it asks for? SW_EAUTH, SW_EFORBIDDEN: auth.why says. */
static int
check_channels(const struct conf *conf, const struct stream_request *req,
    const struct grant *grant, const char **why)
{
	int err = SW_OK;

	for (size_t i = 0; i < req->channel_count && err == SW_OK; i++)
		err = auth_may(
		    conf, grant, AUTH_SUBSCRIBE, req->channels[i], why);
	return err;
}

/* Does the backend decide? Then it is asked, and we go on when it answers. */
static bool
ask_backend(struct opening *o, int *err)
{
	struct conn *c = o->conn;
	const struct stream_request *req = &o->stream;

	if (!bridge_connect_needed(c->worker->conf, o->auth.grant,
		req->channels, req->channel_count))
		return false;
	for (size_t i = 0; i < req->channel_count && *err == SW_OK; i++)
		*err = auth_may_ask(c->worker->conf, o->auth.grant,
		    req->channels[i], &o->auth.why);
	if (*err == SW_OK &&
	    (*err = asking_begin(c, o->request, o->rest, req, &o->auth)) ==
		SW_OK)
		return true;
	if (o->auth.why == NULL)
		o->auth.why = err_info(*err)->sentence;
	return false;
}

/* Who is it, and may they? */
static void
judge(struct opening *o)
{
	struct worker *w = o->conn->worker;
	int err;

	o->auth.trusts_cookies = origin_trusts_cookies(o->origin);
	err =
	    auth_request(&o->auth, w->conf, o->request, loop_unix_ms(w->loop));
	if (err == SW_OK && !o->stream.transport->streams)
		err = visit_recall(o->conn, o->request, o->stream.session,
		    o->stream.channels, o->stream.channel_count, &o->auth);
	if (err == SW_OK && ask_backend(o, &err))
		return;
	if (err == SW_OK)
		err = check_channels(
		    w->conf, &o->stream, o->auth.grant, &o->auth.why);
	if (err == SW_ENOMEM)
		o->auth.why = err_info(err)->sentence;
	opening_go_on(o, err, err_info(err)->http_status);
}

/* Read what it asks for; false if that was refused. */
static bool
read_request(struct opening *o)
{
	const struct request *r = o->request;
	struct worker *w = o->conn->worker;
	struct refusal refusal;

	o->origin = origin_judge(w->conf, r);
	if (o->origin == ORIGIN_FOREIGN) {
		METRIC_ADD(w->metrics.refused[REFUSED_ORIGIN], 1);
		opening_refuse(o, 403, origin_refusal, r->keep_alive);
		return false;
	}
	if (stream_request_read(
		&o->stream, r, o->rest, &w->stream_limits, &refusal) != SW_OK) {
		if (refusal.detail == stream_channels_too_many)
			METRIC_LIMIT(w, LIMIT_CHANNELS_PER_CONNECTION);
		opening_refuse(
		    o, refusal.status, refusal.detail, r->keep_alive);
		stream_request_fini(&o->stream);
		return false;
	}
	if (w->draining && o->stream.transport->streams) {
		opening_refuse(o, 503, "The gateway is restarting.", false);
		stream_request_fini(&o->stream);
		return false;
	}
	/* Who only asks has not come. */
	if (r->method == METHOD_HEAD)
		o->stream.session = (struct str){ NULL, 0 };
	return true;
}

void
stream_open(struct conn *c, const struct request *r, struct str rest)
{
	if (c->worker->lab == NULL || r->method == METHOD_HEAD)
		stream_begin(c, r, rest);
	else
		lab_request(c, r, rest);
}

void
stream_begin(struct conn *c, const struct request *r, struct str rest)
{
	struct opening o = { .conn = c, .request = r, .rest = rest };
	struct stream_request *req = &o.stream;

	if (!read_request(&o))
		return;
	conn_count(c, &c->worker->metrics.transport[req->transport->id],
	    req->transport->id == TRANSPORT_WS ? BUCKET_HANDSHAKE :
						 BUCKET_REQUEST,
	    r->head_size);
	judge(&o);
	auth_fini(&o.auth);
	stream_request_fini(req);
}

/* A stream would end at once; a poll's answer would not be stopped by it. */
static bool
has_ended(const struct opening *o)
{
	uint64_t end_ms = grant_expires_ms(o->auth.grant);

	return end_ms != 0 && end_ms <= loop_unix_ms(o->conn->worker->loop);
}

/* What it said before has ended: it was asked for all channels again. */
static void
forget_ended(struct grant *g, uint64_t unix_ms)
{
	if (g == NULL || g->granted == NULL || g->granted->expires_ms == 0 ||
	    g->granted->expires_ms > unix_ms)
		return;
	granted_free(g->granted);
	g->granted = NULL;
}

void
stream_go_on(struct conn *c, const struct request *r, struct str rest,
    struct auth *auth, const struct bridge_answer *a, struct bridge_lane **lane,
    uint64_t session_number)
{
	struct opening o = {
		.conn = c,
		.request = r,
		.rest = rest,
		.auth = *auth,
		.asked = true,
		.head = a->head,
		.lane = *lane,
		.session_number = session_number,
	};
	int err, status;

	*auth = (struct auth){ 0 };
	if (read_request(&o)) {
		forget_ended(o.auth.grant, loop_unix_ms(c->worker->loop));
		err = bridge_connect_take(&o.auth.grant, a, o.stream.channels,
		    o.stream.channel_count, &o.auth.why, &status);
		if (err == SW_OK) {
			err = check_channels(c->worker->conf, &o.stream,
			    o.auth.grant, &o.auth.why);
			status = err_info(err)->http_status;
		}
		if (err == SW_OK && has_ended(&o)) {
			o.auth.why = "What the backend grants has ended.";
			err = SW_EAUTH;
			status = err_info(err)->http_status;
		}
		opening_go_on(&o, err, status);
		stream_request_fini(&o.stream);
	}
	*lane = o.lane;
	auth_fini(&o.auth);
}

int
stream_admit(struct subscriber *s, uint64_t live, const char **why)
{
	struct worker *w = subscriber_worker(s);
	struct stream_request req;
	struct refusal refusal;
	struct request r = { .method = METHOD_GET };
	int err;

	unproven_request(s->unproven, &r);
	/* It was fine before; limits may have been lowered since. */
	if (stream_request_read(
		&req, &r, r.path, &w->stream_limits, &refusal) != SW_OK) {
		*why = refusal.detail;
		stream_request_fini(&req);
		return SW_EFORBIDDEN;
	}
	err = check_channels(w->conf, &req, s->grant, why);
	if (err == SW_OK && w->draining)
		subscriber_close(s, CLOSE_RESTART);
	else if (err == SW_OK)
		opening_go_on_proven(s, &req, live);
	stream_request_fini(&req);
	return err;
}
