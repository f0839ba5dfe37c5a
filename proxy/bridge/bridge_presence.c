#include "proxy/bridge/bridge_presence.h"

#include "proxy/auth/token.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/bridge/bridge_party.h"
#include "proxy/worker.h"

/* Is the backend told of the stream? */
static bool
tells(const struct subscriber *s)
{
	/* Polls come and go in sessions; see session_home.h. */
	if (!s->transport->streams)
		return false;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && party_is_told(l->channel->channel))
			return true;
	return false;
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

static void
joined(struct subscriber *s, const struct party *p, struct channel *c)
{
	s->present = true;
	if (channel_policy(c)->presence_events)
		party_publish(p, c, "spillway.join");
	party_joined(p, c);
}

void
presence_linked(struct subscriber *s, struct channel *c)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	/* First: the backend hears of nobody whose end it might not hear of. */
	if (party_joins(&p, c))
		party_keep_will(&p, true);
	joined(s, &p, c);
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
	if (party_left(&p, c))
		party_keep_will(&p, false);
}

void
presence_renamed(struct subscriber *s)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	party_keep_will(&p, true);
}

void
presence_began(struct subscriber *s)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL)
			party_joins(&p, l->channel->channel);
	party_keep_will(&p, true);
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL)
			joined(s, &p, l->channel->channel);
}

void
presence_ended(struct subscriber *s, enum close_why why)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	for (const struct link *l = s->present ? &s->first : NULL; l != NULL;
	     l = l->next)
		if (l->channel != NULL &&
		    channel_policy(l->channel->channel)->presence_events)
			party_publish(
			    &p, l->channel->channel, "spillway.leave");
	party_ended(&p, close_info(why)->name);
}
