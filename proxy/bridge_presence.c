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

/* Is the backend told of the stream, for the sake of another channel? */
static bool
tells_but(const struct subscriber *s, const struct channel *but)
{
	/* A poll is nobody's coming or going. */
	if (!s->transport->streams)
		return false;
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && l->channel->channel != but &&
		    is_told(l->channel->channel))
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

static struct bridge_ask
ask_of(const struct subscriber *s, enum bridge_kind kind, struct str channel,
    struct str body, char address[ADDRESS_TEXT])
{
	return (struct bridge_ask){
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
		.lane = s->lane,
	};
}

static int
need_lane(struct subscriber *s)
{
	return s->lane != NULL ?
	    SW_OK :
	    bridge_lane_new(&s->lane, subscriber_worker(s)->bridge);
}

/* `queued`: as the channel's messages are. */
static int
tell(struct subscriber *s, enum bridge_kind kind, struct str channel,
    struct str body, bool queued)
{
	struct worker *w = subscriber_worker(s);
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	int err;

	if (!queued && kind != BRIDGE_DISCONNECT &&
	    (err = need_lane(s)) != SW_OK)
		return err;
	ask = ask_of(s, kind, channel, body, address);
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

/*
 * {"reason":"peer","channels":["a","b"]}: how it ends, and what it has by then;
 * a channel that is alone is also the event's.
 */
static int
put_end(struct buf *out, struct str *only, const struct subscriber *s,
    const struct channel *but, const char *reason)
{
	size_t count = 0;

	buf_printf(out, "{\"reason\":\"%s\",\"channels\":[", reason);
	for (const struct link *l = &s->first; l != NULL; l = l->next) {
		if (l->channel == NULL || l->channel->channel == but ||
		    !is_told(l->channel->channel))
			continue;
		if (count++ > 0)
			buf_puts(out, ",");
		json_put_string(out, l->channel->channel->name);
		*only = l->channel->channel->name;
	}
	if (count != 1)
		*only = (struct str){ NULL, 0 };
	return buf_puts(out, "]}");
}

static int
write_will(struct subscriber *s, const struct channel *but)
{
	struct str only = { NULL, 0 };
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	struct buf body;
	int err = need_lane(s);

	buf_init(&body, BODY_MAX);
	if (err == SW_OK)
		err = put_end(&body, &only, s, but, "crash");
	if (err == SW_OK) {
		ask =
		    ask_of(s, BRIDGE_DISCONNECT, only, buf_str(&body), address);
		err = bridge_post_will(subscriber_worker(s)->bridge, &ask);
	}
	buf_fini(&body);
	return err;
}

/*
 * What is to be told should the gateway be killed, once it listens no longer to
 * that channel (or NULL). Who cannot have a will is let in all the same.
 */
static void
keep_will(struct subscriber *s, const struct channel *but)
{
	int err = tells_but(s, but) ?
	    write_will(s, but) :
	    bridge_revoke_will(s->lane, s->conn->id, false);

	if (err != SW_OK)
		log_warn("bridge connection=%" PRIu64
			 " has no will, or an old one: %s",
		    s->conn->id, err_info(err)->sentence);
}

static void
joined(struct subscriber *s, struct channel *c)
{
	s->present = true;
	if (channel_policy(c)->presence_events)
		publish(s, c, "spillway.join");
	if (!is_told(c))
		return;
	tell_or_log(s, BRIDGE_SUBSCRIBE, c->name, (struct str){ NULL, 0 },
	    is_queued(c));
}

void
presence_linked(struct subscriber *s, struct channel *c)
{
	if (!s->transport->streams)
		return;
	/* First: the backend hears of nobody whose end it might not hear of. */
	if (is_told(c) ||
	    (s->lane != NULL && bridge_lane_will(s->lane)->exists))
		keep_will(s, NULL);
	joined(s, c);
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
	if (is_told(c))
		keep_will(s, c);
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
	struct str only = { NULL, 0 };
	struct buf body;

	if (!s->present) {
		if (s->transport->streams)
			bridge_revoke_will(s->lane, s->conn->id, true);
		return;
	}
	for (const struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL &&
		    channel_policy(l->channel->channel)->presence_events)
			publish(s, l->channel->channel, "spillway.leave");
	if (!tells(s)) {
		/* If that fails, the next start tells of it all the same. */
		bridge_revoke_will(s->lane, s->conn->id, true);
		return;
	}
	buf_init(&body, BODY_MAX);
	if (put_end(&body, &only, s, NULL, close_info(why)->name) == SW_OK)
		tell_or_log(s, BRIDGE_DISCONNECT, only, buf_str(&body), true);
	else
		log_warn("bridge type=%s connection=%" PRIu64 " lost=%s",
		    bridge_kind_name(BRIDGE_DISCONNECT), s->conn->id,
		    err_info(buf_error(&body))->name);
	buf_fini(&body);
}
