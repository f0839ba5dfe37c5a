#include "proxy/bridge/bridge_party.h"

#include <inttypes.h>
#include <stdio.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/log.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/worker.h"

enum { BODY_MAX = 8 << 20 };

bool
party_is_told(const struct channel *c)
{
	return channel_policy(c)->bridge_presence;
}

static bool
is_queued(const struct channel *c)
{
	return channel_policy(c)->message_mode == MESSAGE_QUEUE;
}

static struct bridge_ask
ask_of(const struct party *p, enum bridge_kind kind, struct str channel,
    struct str body, char address[ADDRESS_TEXT])
{
	return (struct bridge_ask){
		.event = {
			.kind = kind,
			.connection = p->connection,
			.transport = str_of(p->transport),
			.address = str_of(address_print(p->peer, address)),
			.channel = channel,
			.user = p->user,
			.session = p->session,
			.content_type = body.p == NULL ?
			    (struct str){ NULL, 0 } :
			    STR("application/json"),
			.data = body,
			.forwarded = p->forwarded,
		},
		.lane = *p->lane,
	};
}

static int
need_lane(const struct party *p)
{
	return *p->lane != NULL ? SW_OK :
				  bridge_lane_new(p->lane, p->worker->bridge);
}

/* Telling the backend. */

static void
note_lost(const struct party *p, enum bridge_kind kind, int err)
{
	const struct bridge_event e = {
		.kind = kind,
		.connection = p->connection,
	};

	if (err != SW_OK)
		bridge_note_lost(p->worker->bridge, &e, err);
}

static int
tell(const struct party *p, enum bridge_kind kind, const struct channel *c)
{
	const struct str none = { NULL, 0 };
	char address[ADDRESS_TEXT];
	struct bridge_ask ask = ask_of(p, kind, c->name, none, address);
	int err;

	ask.way = is_queued(c) ? BRIDGE_QUEUED : BRIDGE_LASTING;
	err = bridge_tell(p->worker->bridge, &ask);
	note_lost(p, kind, err);
	return err;
}

bool
party_joins(const struct party *p, struct channel *c)
{
	int err;

	if (!party_is_told(c))
		return false;
	if ((err = need_lane(p)) == SW_OK)
		err = bridge_told_add(bridge_lane_told(*p->lane), c);
	note_lost(p, BRIDGE_SUBSCRIBE, err);
	return err == SW_OK;
}

static bool
is_known(const struct party *p, const struct channel *c)
{
	const struct bridge_told *told =
	    *p->lane == NULL ? NULL : bridge_lane_told(*p->lane);

	/* It has just come, if it has: from the end. */
	for (size_t i = told == NULL ? 0 : told->count; i > 0; i--)
		if (told->channels[i - 1] == c)
			return true;
	return false;
}

void
party_joined(const struct party *p, struct channel *c)
{
	if (is_known(p, c) && tell(p, BRIDGE_SUBSCRIBE, c) != SW_OK)
		bridge_told_remove(bridge_lane_told(*p->lane), c->name);
}

bool
party_left(const struct party *p, struct channel *c)
{
	struct bridge_told *told;

	if (*p->lane == NULL)
		return false;
	told = bridge_lane_told(*p->lane);
	if (!bridge_told_remove(told, c->name))
		return false;
	/* If that fails, its end tells of the channel. */
	if (tell(p, BRIDGE_UNSUBSCRIBE, c) != SW_OK)
		bridge_told_add(told, c);
	return true;
}

/* Telling the channel. */

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
put_who(struct buf *out, const struct party *p)
{
	buf_printf(out, "{\"connection\":%" PRIu64 ",\"transport\":\"%s\"",
	    p->connection, p->transport);
	if (p->user.p != NULL) {
		buf_puts(out, ",\"user\":");
		json_put_string(out, p->user);
	}
	if (p->meta.p != NULL) {
		buf_puts(out, ",\"meta\":");
		buf_put_str(out, p->meta);
	}
	return buf_puts(out, "}");
}

static int
publish(const struct party *p, struct channel *c, const char *type)
{
	struct append *a = append_new(1);
	struct buf data;
	int err = a == NULL ? SW_ENOMEM : SW_OK;

	buf_init(&data, 64 << 10);
	if (err == SW_OK && (err = put_who(&data, p)) == SW_OK)
		err = event_new(&a->items[0].event, c, EVENT_JSON, str_of(type),
		    STR(""), buf_len(&data));
	if (err == SW_OK) {
		memcpy(event_payload(a->items[0].event), buf_head(&data),
		    buf_len(&data));
		a->done = on_stored;
		err = worker_append(p->worker, a);
	}
	if (err != SW_OK)
		append_free(a);
	/* At the end of the gateway nobody is left to be told. */
	if (err != SW_OK && err != SW_ECLOSED)
		log_warn("presence type=%s connection=%" PRIu64 " lost=%s",
		    type, p->connection, err_info(err)->name);
	buf_fini(&data);
	return err;
}

bool
party_publish_joined(const struct party *p, struct channel *c)
{
	return channel_policy(c)->presence_events &&
	    publish(p, c, "spillway.join") == SW_OK;
}

void
party_publish_left(const struct party *p, struct channel *c)
{
	publish(p, c, "spillway.leave");
}

/* Its end. */

/* The body of its spillway.disconnect. */
struct end {
	struct buf body;
	struct str only; /* the channel, if it is alone */
	size_t count;
};

static void
add(struct end *e, struct str channel)
{
	if (e->count++ > 0)
		buf_puts(&e->body, ",");
	json_put_string(&e->body, channel);
	e->only = e->count == 1 ? channel : (struct str){ NULL, 0 };
}

/* Unless it has come back: then it is there already. */
static void
add_left(void *ctx, struct str channel)
{
	struct end *e = ctx;
	struct str list = buf_str(&e->body), head;
	char quoted[CHANNEL_NAME_MAX + 3];
	int n = snprintf(quoted, sizeof(quoted), "\"%.*s\"", STR_ARG(channel));

	str_cut(&list, '[', &head);
	if (memmem(list.p, list.len, quoted, (size_t)n) == NULL)
		add(e, channel);
}

/*
 * {"reason":"peer","channels":["a","b"]}, of those that the backend knows, and,
 * if it is a `wide` one, of those that it has yet to be told were left.
 */
static int
end_make(struct end *e, const struct party *p, const char *reason, bool wide)
{
	const struct bridge_told *told = bridge_lane_told(*p->lane);

	*e = (struct end){ 0 };
	buf_init(&e->body, BODY_MAX);
	buf_printf(&e->body, "{\"reason\":\"%s\",\"channels\":[", reason);
	for (size_t i = 0; i < told->count; i++)
		add(e, told->channels[i]->name);
	if (wide)
		bridge_lane_leaving(*p->lane, add_left, e);
	return buf_puts(&e->body, "]}");
}

static int
write_will(const struct party *p, bool wide)
{
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	struct end e;
	int err = end_make(&e, p, "crash", wide);

	if (err == SW_OK && e.count > 0) {
		ask = ask_of(
		    p, BRIDGE_DISCONNECT, e.only, buf_str(&e.body), address);
		err = bridge_post_will(p->worker->bridge, &ask, !wide);
	} else if (err == SW_OK) {
		err = bridge_revoke_will(*p->lane, p->connection, false);
	}
	buf_fini(&e.body);
	return err;
}

/* It has channels that the backend knows of, or had. */
static bool
has_will(const struct party *p)
{
	return *p->lane != NULL &&
	    (bridge_lane_told(*p->lane)->count > 0 ||
		bridge_lane_will(*p->lane)->exists);
}

void
party_keep_will(const struct party *p, bool comes)
{
	int err = SW_OK;

	if (!has_will(p))
		return;
	if (comes && bridge_lane_leaving(*p->lane, NULL, NULL) > 0)
		err = write_will(p, true);
	if (err == SW_OK)
		err = write_will(p, false);
	if (err != SW_OK)
		log_warn("bridge connection=%" PRIu64
			 " has no will, or an old one: %s",
		    p->connection, err_info(err)->sentence);
}

static int
tell_end(const struct party *p, const char *reason)
{
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	struct end e;
	int err = end_make(&e, p, reason, false);

	if (err == SW_OK) {
		ask = ask_of(
		    p, BRIDGE_DISCONNECT, e.only, buf_str(&e.body), address);
		err = bridge_post_last(p->worker->bridge, &ask);
	}
	buf_fini(&e.body);
	return err;
}

void
party_ended(const struct party *p, const char *reason)
{
	if (*p->lane == NULL)
		return;
	/* If the former fails, the next start tells of it all the same. */
	if (bridge_lane_told(*p->lane)->count == 0)
		bridge_revoke_will(*p->lane, p->connection, true);
	else
		note_lost(p, BRIDGE_DISCONNECT, tell_end(p, reason));
}
