#include "proxy/bridge_presence.h"

#include <inttypes.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/log.h"
#include "proxy/bridge_outbox.h"
#include "proxy/token.h"
#include "proxy/worker.h"

enum { BODY_MAX = 8 << 20 };

static bool
is_told(const struct channel *c)
{
	return channel_policy(c)->bridge_presence;
}

static bool
is_queued(const struct channel *c)
{
	return channel_policy(c)->message_mode == MESSAGE_QUEUE;
}

static bool
tells(const struct subscriber *s)
{
	/* A poll is nobody's coming or going. */
	if (!s->transport->streams)
		return false;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && is_told(l->channel->channel))
			return true;
	return false;
}

bool
presence_wants_headers(const struct subscriber *s)
{
	return s->transport->id == TRANSPORT_WS || tells(s);
}

/* `queued`: as the channel's messages are. */
static int
tell(struct subscriber *s, enum bridge_kind kind, struct str channel,
    struct str body, bool queued)
{
	struct worker *w = subscriber_worker(s);
	char address[ADDRESS_TEXT];
	struct bridge_ask ask = {
		.event = {
			.kind = kind,
			.connection = s->conn->id,
			.transport = str_of(s->transport->name),
			.address = str_of(
			    address_print(&s->conn->peer, address)),
			.channel = channel,
			.user = str_of(grant_user(s->grant)),
			.session = str_of(s->session),
			.content_type = body.p == NULL ?
			    (struct str){ NULL, 0 } :
			    STR("application/json"),
			.data = body,
			.forwarded = str_of(s->forwarded),
		},
	};
	int err;

	if (s->lane == NULL && !queued && kind != BRIDGE_DISCONNECT &&
	    (err = bridge_lane_new(&s->lane, w->bridge)) != SW_OK)
		return err;
	ask.lane = s->lane;
	if (kind == BRIDGE_DISCONNECT)
		return bridge_post_last(w->bridge, &ask);
	return queued ? bridge_post(w->bridge, &ask) :
			bridge_tell(w->bridge, &ask);
}

/* Nobody waits for an answer: what cannot be told is counted, and logged. */
static void
tell_or_log(struct subscriber *s, enum bridge_kind kind, struct str channel,
    struct str body, bool queued)
{
	struct metrics *m = &subscriber_worker(s)->metrics;
	int err = tell(s, kind, channel, body, queued);

	if (err == SW_OK)
		return;
	METRIC_ADD(m->bridge[kind][BRIDGE_REFUSED], 1);
	log_warn("bridge type=%s connection=%" PRIu64 " lost=%s",
	    bridge_kind_name(kind), s->conn->id, err_info(err)->name);
}

static void
on_stored(struct append *a)
{
	if (a->err != SW_OK)
		log_warn("presence: an event is lost: %s",
		    err_info(a->err)->sentence);
	append_free(a);
}

/* {"connection":1,"transport":"ws","user":"u","meta":...} */
static int
put_who(struct buf *out, const struct subscriber *s)
{
	const char *user = grant_user(s->grant);

	buf_printf(out, "{\"connection\":%" PRIu64 ",\"transport\":\"%s\"",
	    s->conn->id, s->transport->name);
	if (user != NULL) {
		buf_puts(out, ",\"user\":");
		json_put_string(out, str_of(user));
	}
	if (s->grant != NULL && s->grant->granted != NULL &&
	    s->grant->granted->meta != NULL)
		buf_printf(out, ",\"meta\":%s", s->grant->granted->meta);
	return buf_puts(out, "}");
}

/* All who listen to the channel are told, its history included. */
static void
publish(struct subscriber *s, struct channel *c, const char *type)
{
	struct worker *w = subscriber_worker(s);
	struct append *a = append_new(1);
	struct buf data;
	int err = a == NULL ? SW_ENOMEM : SW_OK;

	buf_init(&data, 64 << 10);
	if (err == SW_OK && (err = put_who(&data, s)) == SW_OK)
		err = event_new(&a->items[0].event, c, EVENT_JSON, str_of(type),
		    STR(""), buf_len(&data));
	if (err == SW_OK) {
		memcpy(event_payload(a->items[0].event), buf_head(&data),
		    buf_len(&data));
		a->done = on_stored;
		err = worker_append(w, a);
	}
	if (err != SW_OK)
		append_free(a);
	/* At the end of the gateway nobody is left to be told. */
	if (err != SW_OK && err != SW_ECLOSED)
		log_warn("presence type=%s connection=%" PRIu64 " lost=%s",
		    type, s->conn->id, err_info(err)->name);
	buf_fini(&data);
}

void
presence_linked(struct subscriber *s, struct channel *c)
{
	if (!s->transport->streams)
		return;
	s->present = true;
	if (channel_policy(c)->presence_events)
		publish(s, c, "spillway.join");
	if (!is_told(c))
		return;
	tell_or_log(s, BRIDGE_SUBSCRIBE, c->name, (struct str){ NULL, 0 },
	    is_queued(c));
}

void
presence_unlinked(struct subscriber *s, struct channel *c)
{
	if (!s->transport->streams)
		return;
	if (channel_policy(c)->presence_events)
		publish(s, c, "spillway.leave");
	if (is_told(c))
		tell_or_log(s, BRIDGE_UNSUBSCRIBE, c->name,
		    (struct str){ NULL, 0 }, is_queued(c));
}

void
presence_began(struct subscriber *s)
{
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL)
			presence_linked(s, l->channel->channel);
}

/* {"reason":"peer","channels":["a","b"]}; one channel is also the event's. */
void
presence_ended(struct subscriber *s, enum close_why why)
{
	struct str only = { NULL, 0 };
	struct buf body;
	size_t count = 0;

	if (!s->present)
		return;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL &&
		    channel_policy(l->channel->channel)->presence_events)
			publish(s, l->channel->channel, "spillway.leave");
	if (!tells(s))
		return;
	buf_init(&body, BODY_MAX);
	buf_printf(
	    &body, "{\"reason\":\"%s\",\"channels\":[", close_info(why)->name);
	for (const struct link *l = &s->first; l != NULL; l = l->next) {
		if (l->channel == NULL || !is_told(l->channel->channel))
			continue;
		if (count++ > 0)
			buf_puts(&body, ",");
		json_put_string(&body, l->channel->channel->name);
		only = l->channel->channel->name;
	}
	buf_puts(&body, "]}");
	if (count != 1)
		only = (struct str){ NULL, 0 };
	if (buf_error(&body) == SW_OK)
		tell_or_log(s, BRIDGE_DISCONNECT, only, buf_str(&body), true);
	else
		log_warn("bridge type=%s connection=%" PRIu64 " lost=%s",
		    bridge_kind_name(BRIDGE_DISCONNECT), s->conn->id,
		    err_info(buf_error(&body))->name);
	buf_fini(&body);
}
