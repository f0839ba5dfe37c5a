#include "proxy/sessions/visit.h"

#include "proxy/base/err.h"
#include "proxy/bridge/bridge_connect.h"
#include "proxy/gateway.h"
#include "proxy/sessions/sessions.h"
#include "proxy/worker.h"

static bool
policy_matters(const struct policy *p)
{
	return p->bridge_connect || p->bridge_presence || p->presence_events;
}

/* Does it matter to one of its channels who is there? */
static bool
links_matter(const struct subscriber *s)
{
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL &&
		    policy_matters(channel_policy(l->channel->channel)))
			return true;
	return false;
}

/* A name that nobody guesses: 22 characters. */
static char *
new_name(void)
{
	uint8_t random[16];
	struct buf text;
	size_t len;
	char *name;

	digest_random(random, sizeof(random));
	buf_init(&text, 64);
	base64url_encode(
	    &text, (struct str){ (const char *)random, sizeof(random) });
	buf_put(&text, "", 1);
	name = buf_error(&text) == SW_OK ? (char *)buf_take(&text, &len) : NULL;
	buf_fini(&text);
	return name;
}

int
visit_offer(struct subscriber *s)
{
	if (s->session != NULL || !links_matter(s))
		return SW_OK;
	s->session = new_name();
	s->poll.offers = s->session != NULL;
	return s->poll.offers ? SW_OK : SW_ENOMEM;
}

static struct sessions *
sessions_of(const struct conn *c)
{
	return gateway_sessions(c->worker->gateway);
}

/* What it shows the backend. */
static int
read_forwarded(struct buf *out, const struct conn *c, const struct request *r)
{
	buf_init(out, SIZE_MAX / 2);
	return bridge_forward_put(out, c->worker->conf, r);
}

int
visit_recall(struct conn *c, const struct request *r, struct str session,
    const struct str *channels, size_t count, struct auth *auth)
{
	struct credentials who;
	struct buf forwarded;
	int err;

	if (session.p == NULL ||
	    !bridge_connect_needed(c->worker->conf, NULL, channels, count))
		return SW_OK;
	if ((err = read_forwarded(&forwarded, c, r)) == SW_OK)
		err = credentials_make(&who, session,
		    str_of(grant_user(auth->grant)), buf_str(&forwarded),
		    &c->peer);
	if (err == SW_OK)
		err = sessions_recall(sessions_of(c), &who,
		    loop_unix_ms(c->worker->loop), &auth->grant);
	buf_fini(&forwarded);
	return err == SW_ENOENT ? SW_OK : err;
}

static uint64_t
next_number(void *worker)
{
	return worker_next_id(worker);
}

/* Of the token alone: the backend may have said who it is meanwhile. */
static struct str
token_user(const struct grant *g)
{
	return str_of(g == NULL ? NULL : g->user);
}

/* With its headers, which a session keeps that is new, or has a new grant. */
static int
introduce(struct subscriber *s, struct visit v, const struct request *r)
{
	struct credentials who = { .code = { 0 } };
	struct buf forwarded;
	int err = read_forwarded(&forwarded, s->conn, r);

	if (err == SW_OK && v.asked)
		err = credentials_make(&who, v.session, token_user(s->grant),
		    buf_str(&forwarded), v.peer);
	v.forwarded = buf_str(&forwarded);
	v.credentials = v.asked ? &who : NULL;
	if (err == SW_OK)
		err = sessions_enter(
		    subscriber_session(s), sessions_of(s->conn), &v);
	buf_fini(&forwarded);
	return err;
}

static int
enter(struct subscriber *s, struct visit v, const struct request *r)
{
	int err = SW_EAGAIN;

	v.bare = !v.asked;
	if (v.bare)
		err = sessions_enter(
		    subscriber_session(s), sessions_of(s->conn), &v);
	v.bare = false;
	return err == SW_EAGAIN ? introduce(s, v, r) : err;
}

int
visit_begin(struct subscriber *s, const struct request *r, struct str session,
    bool asked, uint64_t number, const char **why)
{
	struct worker *w = subscriber_worker(s);
	bool polls = !s->transport->streams;
	const struct visit v = {
		.session = session,
		.grant = s->grant,
		.asked = asked,
		.peer = &s->conn->peer,
		.transport = s->transport->name,
		.links = polls ? &s->first : NULL,
		.connection = number,
		.number = next_number,
		.ctx = w,
		.home = w->index,
		.now_ms = loop_now_ms(w->loop),
		.unix_ms = loop_unix_ms(w->loop),
	};
	int err;

	if (session.p == NULL || s->transport->id == TRANSPORT_WS ||
	    (!polls && !asked))
		return SW_OK;
	err = enter(s, v, r);
	if (err != SW_EBUSY && err != SW_ELIMIT)
		return err;
	METRIC_LIMIT(w,
	    err == SW_EBUSY ? LIMIT_SESSIONS : LIMIT_CHANNELS_PER_CONNECTION);
	/* An event stream is there for itself, and only sends without. */
	if (!polls || !links_matter(s))
		return SW_OK;
	*why = err == SW_EBUSY ?
	    "There are too many sessions; the operator sets max-sessions." :
	    "The session has too many channels; the operator sets "
	    "channels-per-connection.";
	return err;
}

void
visit_replace(const struct subscriber *s)
{
	if (s->transport->streams && s->session != NULL)
		sessions_replace(sessions_of(s->conn), str_of(s->session),
		    s->grant, &s->first);
}

void
visit_end(struct subscriber *s)
{
	struct session **held = subscriber_session(s);

	if (s->transport->id == TRANSPORT_WS || *held == NULL)
		return;
	sessions_leave(
	    *held, s->transport->streams ? NULL : &s->first, subscriber_now(s));
	*held = NULL;
}

uint64_t
visit_connection(struct worker *w, struct str session, const struct grant *g)
{
	return session.p == NULL ? 0 :
				   sessions_touch(gateway_sessions(w->gateway),
				       session, g, NULL, loop_now_ms(w->loop));
}

uint64_t
visit_asking(const struct conn *c, struct str session, const struct grant *g,
    struct str forwarded)
{
	struct credentials who;
	int err = credentials_make(
	    &who, session, str_of(grant_user(g)), forwarded, &c->peer);

	return sessions_touch(sessions_of(c), session, g,
	    err == SW_OK ? &who : NULL, loop_now_ms(c->worker->loop));
}
