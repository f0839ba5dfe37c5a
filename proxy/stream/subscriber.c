#include "proxy/stream/subscriber.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/bridge/bridge.h"
#include "proxy/bridge/bridge_presence.h"
#include "proxy/sessions/visit.h"
#include "proxy/stream/deliver.h"
#include "proxy/stream/event_stream.h"
#include "proxy/stream/link_index.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/remainder.h"
#include "proxy/stream/replay.h"
#include "proxy/stream/websocket.h"
#include "proxy/stream/websocket_auth.h"
#include "proxy/worker.h"

/*
 * Ten thousand of them are silent most of the time: with 8 bytes of malloc's
 * own each, the two take 496 bytes.
 */
_Static_assert(sizeof(void *) > 8 ||
	sizeof(struct conn) + sizeof(struct subscriber) <= 480,
    "a silent stream must fit in 512 bytes");

struct hub *
subscriber_hub(const struct subscriber *s)
{
	return &subscriber_worker(s)->hub;
}

uint64_t
subscriber_now(const struct subscriber *s)
{
	return loop_now_ms(subscriber_worker(s)->loop);
}

uint64_t
subscriber_lived(const struct subscriber *s)
{
	return loop_lived_ms(subscriber_worker(s)->loop);
}

struct transport_metrics *
subscriber_metrics(const struct subscriber *s)
{
	return &subscriber_worker(s)->metrics.transport[s->transport->id];
}

int
subscriber_new(struct subscriber **out, struct conn *c,
    const struct transport *t, bool raw, const struct conn_role *role)
{
	struct subscriber *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SW_ENOMEM;
	s->conn = c;
	s->transport = t;
	s->form = (uint8_t)(raw ? t->raw : t->json);
	s->raw = raw;
	s->first.subscriber = s;
	list_init(&s->waiting);
	/* One connection may have been of use for long before. */
	s->wrote_ms = c->subscribed_ms = loop_now_ms(c->worker->loop);
	s->read_ms = loop_lived_ms(c->worker->loop);
	conn_set_role(c, role, s);
	METRIC_ADD(c->worker->metrics.transport[t->id].requests, 1);
	if (t->counted)
		METRIC_ADD(c->worker->metrics.transport[t->id].connections, 1);
	*out = s;
	return SW_OK;
}

struct subscriber *
subscriber_of(const struct conn *c)
{
	return c->role == &websocket_role || c->role == &sse_role ||
		c->role == &poll_role ?
	    c->owner :
	    NULL;
}

/* Links. */

/* As many links are looked through as they are, before there is an index. */
enum { LINKS_WALKED = 16 };

struct link *
subscriber_find(struct subscriber *s, const struct channel *c)
{
	/* Who has ended has no links, and no index. */
	if (s->link_count > LINKS_WALKED && s->index != NULL)
		return link_index_find(s->index, c);
	for (struct link *l = &s->first; l != NULL; l = l->next)
		if (l->channel != NULL && l->channel->channel == c)
			return l;
	return NULL;
}

static void
forget_index(struct subscriber *s)
{
	link_index_free(s->index);
	s->index = NULL;
}

/* One more link. Without memory for an index links are walked along again. */
static void
index_link(struct subscriber *s, struct link *l)
{
	int err = SW_OK;

	if (s->index != NULL)
		err = link_index_add(&s->index, l);
	else if (s->link_count > LINKS_WALKED)
		for (l = &s->first; l != NULL && err == SW_OK; l = l->next)
			if (l->channel != NULL)
				err = link_index_add(&s->index, l);
	if (err != SW_OK)
		forget_index(s);
}

static void
count_audience(const struct subscriber *s, const struct link *l, uint32_t n)
{
	if (s->transport->counted)
		atomic_fetch_add_explicit(
		    &l->channel->channel->subscribers[s->transport->audience],
		    n, memory_order_relaxed);
}

int
subscriber_link(
    struct subscriber *s, struct str channel, uint64_t pos, struct link **out)
{
	struct hub *h = subscriber_hub(s);
	struct hub_channel *hc;
	struct link *l = &s->first;
	int err;

	if (s->link_count >=
	    subscriber_worker(s)->conf->channels_per_connection)
		return SW_ELIMIT;
	if ((err = hub_channel_get(&hc, h, channel)) != SW_OK)
		return err;
	if (subscriber_find(s, hc->channel) != NULL)
		return SW_EBUSY;
	/* The first one is part of the subscriber; is it taken? */
	if (l->channel != NULL && (l = calloc(1, sizeof(*l))) == NULL)
		return SW_ENOMEM;
	l->subscriber = s;
	l->alone = l->from_start = l->reads = l->reads_store = false;
	l->announced = false;
	if ((err = hub_link(h, l, hc, pos)) != SW_OK) {
		if (l != &s->first)
			free(l);
		return err;
	}
	if (l != &s->first) {
		l->next = s->first.next;
		s->first.next = l;
	}
	s->link_count++;
	index_link(s, l);
	count_audience(s, l, 1);
	*out = l;
	return SW_OK;
}

const char *
subscriber_link_limit(const struct subscriber *s)
{
	struct worker *w = subscriber_worker(s);

	if (s->link_count >= w->conf->channels_per_connection) {
		METRIC_LIMIT(w, LIMIT_CHANNELS_PER_CONNECTION);
		return "Too many channels: see channels-per-connection.";
	}
	METRIC_LIMIT(w, LIMIT_CHANNELS);
	return channels_too_many;
}

static void
unlink_one(struct subscriber *s, struct link *l)
{
	count_audience(s, l, (uint32_t)-1);
	if (s->partial != NULL && s->partial->channel == l->channel->channel)
		s->astray = true;
	loss_forget(s, l->channel->channel);
	if (s->index != NULL)
		link_index_remove(s->index, l);
	hub_unlink(subscriber_hub(s), l);
	s->link_count--;
}

int
subscriber_unlink(struct subscriber *s, struct str channel)
{
	struct link **p = &s->first.next;

	if (s->first.channel != NULL &&
	    str_is(channel, s->first.channel->channel->text)) {
		unlink_one(s, &s->first);
		return SW_OK;
	}
	for (; *p != NULL; p = &(*p)->next) {
		struct link *l = *p;

		if (!str_is(channel, l->channel->channel->text))
			continue;
		unlink_one(s, l);
		*p = l->next;
		free(l);
		return SW_OK;
	}
	return SW_ENOENT;
}

void
subscriber_release(struct subscriber *s, enum close_why why)
{
	struct worker *w = subscriber_worker(s);

	METRIC_ADD(w->metrics.closed[why], 1);
	if (s->transport->counted)
		METRIC_ADD(
		    w->metrics.transport[s->transport->id].connections, -1);
	replay_leave(s);
	presence_ended(s, why);
	visit_end(s);
	forget_index(s);
	if (s->first.channel != NULL)
		unlink_one(s, &s->first);
	for (struct link *l = s->first.next; l != NULL; l = l->next)
		unlink_one(s, l);
	s->ended = s->first.next;
	s->first.next = NULL;
	if (s->transport->id == TRANSPORT_WS)
		ws_decoder_fini(&s->ws);
	if (s->transport->streams) {
		free(s->forwarded);
		s->forwarded = NULL;
		bridge_lane_release(s->lane);
		s->lane = NULL;
	}
	event_unref(s->partial);
	s->partial = NULL;
	free(s->session);
	s->session = NULL;
	grant_free(s->grant);
	s->grant = NULL;
	free(s->unproven);
	s->unproven = NULL;
	if (!s->transport->streams) {
		free(
		    s->poll.html ? (void *)s->poll.view : (void *)s->poll.cors);
		s->poll.html = false;
		s->poll.cors = NULL;
	}
	loss_forget(s, NULL);
	s->conn->owner = NULL;
	list_append(&w->dead_subscribers, &s->waiting);
}

void
subscriber_free_dead(struct list *dead)
{
	struct list *node;

	while ((node = list_shift(dead)) != NULL) {
		struct subscriber *s =
		    container_of(node, struct subscriber, waiting);
		struct link *next;

		for (struct link *l = s->ended; l != NULL; l = next) {
			next = l->next;
			free(l);
		}
		free(s);
	}
}

static void
log_end(const struct subscriber *s, enum close_why why)
{
	/* Coming and going is usual; an end that somebody caused is not. */
	enum log_level level = why <= CLOSE_CLIENT ? LOG_DEBUG : LOG_INFO;
	const char *name = grant_user(s->grant);
	char peer[ADDRESS_TEXT], user[LOG_QUOTED] = "";

	if (!log_enabled(level))
		return;
	log_write(level,
	    "closed id=%" PRIu64 " transport=%s why=%s peer=%s tls=%s%s%s "
	    "events=%" PRIu64 " seconds=%.1f",
	    s->conn->id, s->transport->name, close_info(why)->name,
	    address_print(&s->conn->peer, peer), conn_tls_name(s->conn),
	    name != NULL ? " user=" : "",
	    name != NULL ? log_quote(user, str_of(name)) : "", s->events,
	    (double)(subscriber_now(s) - s->conn->subscribed_ms) / 1000);
}

/*
 * Is an event that was begun worth finishing? An event stream just ends, and
 * who takes nothing takes no more of it.
 */
static bool
may_finish(const struct subscriber *s, enum close_why why)
{
	return s->transport->id == TRANSPORT_WS && why != CLOSE_STALLED;
}

/* The last words, if the peer can still be told; true if they need time. */
static bool
farewell(struct subscriber *s, enum close_why why)
{
	if (why == CLOSE_PEER || why == CLOSE_IO ||
	    (s->partial != NULL && !may_finish(s, why)))
		return false;
	if (s->transport->id == TRANSPORT_WS)
		return websocket_farewell(s, why);
	if (!s->transport->streams)
		return poll_farewell(s, why);
	return sse_farewell(s, why);
}

void
subscriber_close(struct subscriber *s, enum close_why why)
{
	struct conn *c = s->conn;
	struct remainder *rest = NULL;
	bool lingers;

	if (subscriber_gone(s))
		return;
	if (s->transport->streams)
		log_end(s, why);
	lingers = farewell(s, why);
	if (lingers && s->partial != NULL) {
		rest = remainder_of(s);
		lingers = rest != NULL;
	}
	subscriber_release(s, why);
	if (rest != NULL)
		remainder_write(rest, c);
	else if (lingers)
		conn_linger(c);
	else
		conn_close(c);
}

/* Writing. */

void
subscriber_send(struct subscriber *s, enum bucket b, struct str bytes)
{
	int err;

	if (subscriber_gone(s))
		return;
	conn_count(s->conn, subscriber_metrics(s), b, bytes.len);
	s->wrote_ms = subscriber_now(s);
	err = s->partial != NULL ? conn_queue(s->conn, bytes.p, bytes.len) :
				   conn_send(s->conn, bytes.p, bytes.len);
	if (err != SW_OK)
		subscriber_close(
		    s, err == SW_ECLOSED ? CLOSE_IO : CLOSE_OVERLOAD);
	else if (s->conn->blocked)
		deliver_stuck(s, false);
}

void
subscriber_notice(struct subscriber *s, const struct notice *n)
{
	struct worker *w = subscriber_worker(s);
	struct buf out;

	if (s->quiet || subscriber_gone(s) || s->transport->notice == NULL)
		return;
	buf_init(&out, 1 << 20);
	if (s->transport->notice(&out, &w->codec.epoch, n) != SW_OK)
		subscriber_close(s, CLOSE_OVERLOAD);
	else
		subscriber_send(s,
		    n->type == NOTICE_HEARTBEAT ? BUCKET_HEARTBEAT :
						  BUCKET_FRAMING,
		    buf_str(&out));
	buf_fini(&out);
}

/* Time. */

uint64_t
subscriber_expiry_ms(const struct subscriber *s)
{
	uint64_t unix_ms = loop_unix_ms(subscriber_worker(s)->loop);
	uint64_t expires_ms;

	if (s->unproven != NULL)
		return s->unproven->due_ms;
	if (s->grant == NULL || (expires_ms = grant_expires_ms(s->grant)) == 0)
		return UINT64_MAX;
	return subscriber_now(s) +
	    (expires_ms > unix_ms ? expires_ms - unix_ms : 0);
}

bool
subscriber_expired(const struct subscriber *s)
{
	return subscriber_expiry_ms(s) <= subscriber_now(s);
}

/* What is left of a time that the loop has to live from then on. */
static uint64_t
left_ms(const struct subscriber *s, uint64_t since_ms, uint64_t ms)
{
	uint64_t lived_ms = subscriber_lived(s);

	return since_ms + ms > lived_ms ? since_ms + ms - lived_ms : 0;
}

static uint64_t
stall_left_ms(const struct subscriber *s)
{
	return left_ms(
	    s, s->stuck_ms, subscriber_worker(s)->conf->stall_timeout_ms);
}

/* A WebSocket that says nothing is closed after 2.5 heartbeats. */
static uint64_t
silence_left_ms(const struct subscriber *s)
{
	return left_ms(s, s->read_ms,
	    (subscriber_worker(s)->conf->heartbeat_ms * 5 + 1) / 2);
}

static uint64_t
sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void
subscriber_arm(struct subscriber *s)
{
	uint64_t now = subscriber_now(s), silence = silence_left_ms(s),
		 heartbeat_ms = subscriber_worker(s)->conf->heartbeat_ms,
		 due = s->wrote_ms + heartbeat_ms;

	if (subscriber_gone(s))
		return;
	if (due <= now)
		due = now + heartbeat_ms;
	if (s->stuck_ms != 0)
		due = sooner(due, now + stall_left_ms(s));
	/* Between two heartbeats: to wait for the next would be three. */
	if (s->transport->id == TRANSPORT_WS && silence > 0)
		due = sooner(due, now + silence);
	conn_arm(s->conn, sooner(due, subscriber_expiry_ms(s)));
}

bool
subscriber_tick(struct subscriber *s)
{
	const struct conf *conf = subscriber_worker(s)->conf;
	uint64_t now = subscriber_now(s);

	if (subscriber_expired(s)) {
		if (s->unproven != NULL)
			METRIC_LIMIT(subscriber_worker(s), LIMIT_AUTH_TIMEOUT);
		subscriber_close(s,
		    s->unproven != NULL ? CLOSE_UNAUTHORIZED : CLOSE_EXPIRED);
		return true;
	}
	if (s->stuck_ms != 0 && stall_left_ms(s) == 0) {
		METRIC_LIMIT(subscriber_worker(s), LIMIT_STALL_TIMEOUT);
		subscriber_close(s, CLOSE_STALLED);
		return true;
	}
	if (s->unproven == NULL && now >= s->wrote_ms + conf->heartbeat_ms &&
	    deliver_possible(s)) {
		const struct notice n = {
			.type = NOTICE_HEARTBEAT,
			.time_ms = loop_unix_ms(subscriber_worker(s)->loop),
		};

		subscriber_notice(s, &n);
	}
	if (subscriber_gone(s))
		return true;
	subscriber_arm(s);
	return false;
}
