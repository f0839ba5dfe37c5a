#include "proxy/bridge/bridge_presence.h"

#include "proxy/auth/token.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/bridge/bridge_party.h"
#include "proxy/worker.h"

/* Is the backend told of the stream, for the sake of another channel? */
static bool
tells_but(const struct subscriber *s, const struct channel *but)
{
	/* Polls come and go in sessions; see session_home.h. */
	if (!s->transport->streams)
		return false;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && l->channel->channel != but &&
		    party_is_told(l->channel->channel))
			return true;
	return false;
}

static bool
tells(const struct subscriber *s)
{
	return tells_but(s, NULL);
}

bool
presence_wants_headers(const struct subscriber *s)
{
	return s->transport->id == TRANSPORT_WS || tells(s);
}

/* Of a stream: polls have no lane. */
static struct party
party_of(struct subscriber *s)
{
	const struct granted *granted =
	    s->grant == NULL ? NULL : s->grant->granted;

	return (struct party){
		.worker = subscriber_worker(s),
		.connection = s->conn->id,
		.transport = s->transport->name,
		.peer = &s->conn->peer,
		.user = str_of(grant_user(s->grant)),
		.session = str_of(s->session),
		.meta = str_of(granted == NULL ? NULL : granted->meta),
		.forwarded = str_of(s->forwarded),
		.lane = &s->lane,
	};
}

static struct party_end
end_of(
    const struct subscriber *s, const struct channel *but, const char *reason)
{
	struct party_end e;

	party_end_begin(&e, reason);
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && l->channel->channel != but)
			party_end_add(&e, l->channel->channel);
	return e;
}

/*
 * What is to be told should the gateway be killed, once it listens no longer to
 * that channel (or NULL).
 */
static void
keep_will(struct subscriber *s, const struct channel *but)
{
	const struct party p = party_of(s);
	struct party_end e = end_of(s, but, "crash");

	party_keep_will(&p, &e, but == NULL);
}

static void
joined(struct subscriber *s, struct channel *c)
{
	const struct party p = party_of(s);

	s->present = true;
	if (channel_policy(c)->presence_events)
		party_publish(&p, c, "spillway.join");
	if (party_is_told(c))
		party_tell(&p, BRIDGE_SUBSCRIBE, c);
}

void
presence_linked(struct subscriber *s, struct channel *c)
{
	if (!s->transport->streams)
		return;
	/* First: the backend hears of nobody whose end it might not hear of. */
	if (party_is_told(c) ||
	    (s->lane != NULL && bridge_lane_will(s->lane)->exists))
		keep_will(s, NULL);
	joined(s, c);
}

void
presence_unlinked(struct subscriber *s, struct channel *c)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	if (channel_policy(c)->presence_events)
		party_publish(&p, c, "spillway.leave");
	if (party_is_told(c)) {
		party_tell(&p, BRIDGE_UNSUBSCRIBE, c);
		keep_will(s, c);
	}
}

void
presence_renamed(struct subscriber *s)
{
	if (tells(s))
		keep_will(s, NULL);
}

void
presence_began(struct subscriber *s)
{
	if (!s->transport->streams)
		return;
	if (tells(s))
		keep_will(s, NULL);
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL)
			joined(s, l->channel->channel);
}

void
presence_ended(struct subscriber *s, enum close_why why)
{
	struct party p;
	struct party_end e;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	if (!s->present) {
		bridge_revoke_will(s->lane, s->conn->id, true);
		return;
	}
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL &&
		    channel_policy(l->channel->channel)->presence_events)
			party_publish(
			    &p, l->channel->channel, "spillway.leave");
	e = end_of(s, NULL, close_info(why)->name);
	party_ended(&p, &e);
}
