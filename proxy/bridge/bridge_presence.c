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
joined(const struct party *p, struct link *l)
{
	l->announced = party_publish_joined(p, l->channel->channel);
	party_joined(p, l->channel->channel);
}

/* Of whom the channel has heard. */
static void
publish_left(const struct party *p, struct link *l)
{
	if (l->announced)
		party_publish_left(p, l->channel->channel);
	l->announced = false;
}

void
presence_linked(struct subscriber *s, struct link *l)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	/* First: the backend hears of nobody whose end it might not hear of. */
	if (party_joins(&p, l->channel->channel))
		party_keep_will(&p, true);
	joined(&p, l);
}

void
presence_unlinked(struct subscriber *s, struct link *l)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	publish_left(&p, l);
	if (party_left(&p, l->channel->channel))
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
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL)
			joined(&p, l);
}

void
presence_ended(struct subscriber *s, enum close_why why)
{
	struct party p;

	if (!s->transport->streams)
		return;
	p = party_of(s);
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL)
			publish_left(&p, l);
	party_ended(&p, close_info(why)->name);
}
