#include "proxy/bridge/asking.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/base/err.h"
#include "proxy/bridge/bridge_connect.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/edge/look.h"
#include "proxy/sessions/visit.h"
#include "proxy/stream/stream.h"
#include "proxy/worker.h"

struct asking {
	struct conn *conn;
	struct auth auth;
	/* Of a stream that the backend hears of again; it takes it, or NULL. */
	struct bridge_lane *lane;
	uint64_t connection; /* its number, or that of its session */
	uint64_t made;       /* for a session that there was not yet; or 0 */
	struct str rest;
	struct request request;
	char texts[];
};

/* The request lasts no longer than the call that brings it. */
static struct asking *
asking_new(struct conn *c, const struct request *r, struct str rest)
{
	size_t size =
	    r->method_text.len + r->path.len + r->query.len + rest.len;
	struct asking *a;
	char *place;

	for (size_t i = 0; i < r->header_count; i++)
		size += r->headers[i].name.len + r->headers[i].value.len;
	if ((a = malloc(sizeof(*a) + size)) == NULL)
		return NULL;
	place = a->texts;
	a->conn = c;
	a->auth = (struct auth){ 0 };
	a->lane = NULL;
	a->connection = c->id;
	a->request = *r;
	a->request.method_text = str_keep(&place, r->method_text);
	a->request.path = str_keep(&place, r->path);
	a->request.query = str_keep(&place, r->query);
	a->rest = str_keep(&place, rest);
	for (size_t i = 0; i < r->header_count; i++)
		a->request.headers[i] = (struct header){
			.name = str_keep(&place, r->headers[i].name),
			.value = str_keep(&place, r->headers[i].value),
		};
	return a;
}

/* No stream has come of it: nothing is told of its end. */
static void
asking_free(struct asking *a)
{
	bridge_revoke_will(a->lane, a->connection, true);
	bridge_lane_release(a->lane);
	auth_fini(&a->auth);
	free(a);
}

static void
go_on(struct asking *a, const struct bridge_answer *answer)
{
	struct conn *c = a->conn;

	conn_set_role(c, &look_role, NULL);
	stream_go_on(
	    c, &a->request, a->rest, &a->auth, answer, &a->lane, a->made);
}

static void
on_answer(void *owner, const struct bridge_answer *answer)
{
	struct asking *a = owner;
	struct conn *c = a->conn;

	if (conn_answered(c) && c->role == &asking_role && c->owner == a)
		go_on(a, answer);
	asking_free(a);
}

/* Many sessions may come over one connection, and each has its own number. */
static void
number(struct asking *a, const struct stream_request *req,
    const struct grant *g, struct str forwarded)
{
	struct worker *w = a->conn->worker;

	a->connection = a->conn->id;
	a->made = 0;
	if (req->transport->streams || req->session.p == NULL)
		return;
	a->connection = visit_asking(a->conn, req->session, g, forwarded);
	if (a->connection == 0)
		a->connection = a->made = worker_next_id(w);
}

int
asking_begin(struct conn *c, const struct request *r, struct str rest,
    const struct stream_request *req, struct auth *auth)
{
	const struct conf *conf = c->worker->conf;
	struct asking *a = asking_new(c, r, rest);
	struct buf forwarded;
	struct connect_ask ask = {
		.transport = str_of(req->transport->name),
		.peer = &c->peer,
		.grant = auth->grant,
		.channels = req->channels,
		.channel_count = req->channel_count,
		.session = req->session,
		.answered = on_answer,
		.owner = a,
	};
	int err;

	if (a == NULL)
		return SW_ENOMEM;
	buf_init(&forwarded, SIZE_MAX / 2);
	err = bridge_forward_put(&forwarded, conf, r);
	number(a, req, auth->grant, buf_str(&forwarded));
	ask.connection = a->connection;
	if (err == SW_OK && req->transport->streams &&
	    bridge_connect_is_told(conf, req->channels, req->channel_count))
		err = bridge_lane_new(&a->lane, c->worker->bridge);
	ask.lane = a->lane;
	ask.leaves_will = a->lane != NULL;
	ask.forwarded = buf_str(&forwarded);
	if (err == SW_OK)
		err = bridge_connect_ask(c->worker->bridge, &ask);
	buf_fini(&forwarded);
	if (err != SW_OK) {
		asking_free(a);
		return err;
	}
	a->auth = *auth;
	auth->grant = NULL;
	conn_set_role(c, &asking_role, a);
	conn_expect(c);
	return SW_OK;
}

void
asking_end(struct conn *c)
{
	struct bridge_answer answer;

	bridge_answer_refuse(
	    &answer, SW_EBUSY, 503, "The gateway is restarting.");
	go_on(c->owner, &answer);
}

/* Answers to earlier requests may still be on their way out. */
static void
asking_ready(struct conn *c, uint32_t events)
{
	if (c->half_open ||
	    ((events & EPOLLOUT) != 0 && conn_pending(c) &&
		conn_flush(c) == SW_ECLOSED))
		conn_close(c);
}

/* Time is the bridge's. */
static void
asking_timeout(struct conn *c)
{
	(void)c;
}

/* What it holds goes with the answer, which comes in any case. */
static void
asking_closed(struct conn *c)
{
	(void)c;
}

const struct conn_role asking_role = {
	.name = "asking",
	.ready = asking_ready,
	.timeout = asking_timeout,
	.end = asking_closed,
};
