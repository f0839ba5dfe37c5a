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
	if (err == SW_OK)
		return;
	METRIC_ADD(p->worker->metrics.bridge[kind][BRIDGE_REFUSED], 1);
	log_warn("bridge type=%s connection=%" PRIu64 " lost=%s",
	    bridge_kind_name(kind), p->connection, err_info(err)->name);
}

void
party_tell(
    const struct party *p, enum bridge_kind kind, const struct channel *c)
{
	const struct str none = { NULL, 0 };
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	int err = SW_OK;

	if (!is_queued(c))
		err = need_lane(p);
	if (err == SW_OK) {
		ask = ask_of(p, kind, c->name, none, address);
		err = is_queued(c) ? bridge_post(p->worker->bridge, &ask) :
				     bridge_tell(p->worker->bridge, &ask);
	}
	note_lost(p, kind, err);
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

void
party_publish(const struct party *p, struct channel *c, const char *type)
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
}

/* Its end. */

/* {"reason":"peer","channels":["a","b"]} */
void
party_end_begin(struct party_end *e, const char *reason)
{
	buf_init(&e->body, BODY_MAX);
	e->only = (struct str){ NULL, 0 };
	e->count = 0;
	buf_printf(&e->body, "{\"reason\":\"%s\",\"channels\":[", reason);
}

static void
add(struct party_end *e, struct str channel)
{
	if (e->count++ > 0)
		buf_puts(&e->body, ",");
	json_put_string(&e->body, channel);
	e->only = e->count == 1 ? channel : (struct str){ NULL, 0 };
}

void
party_end_add(struct party_end *e, const struct channel *c)
{
	if (party_is_told(c))
		add(e, c->name);
}

static int
finish(struct party_end *e)
{
	return buf_puts(&e->body, "]}");
}

static int
write_will(const struct party *p, struct party_end *e, bool later)
{
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	int err;

	if ((err = need_lane(p)) != SW_OK || (err = finish(e)) != SW_OK)
		return err;
	ask = ask_of(p, BRIDGE_DISCONNECT, e->only, buf_str(&e->body), address);
	return bridge_post_will(p->worker->bridge, &ask, later);
}

/* Unless it has come back: then it is there already. */
static void
add_left(void *ctx, struct str channel)
{
	struct party_end *e = ctx;
	struct str list = buf_str(&e->body), head;
	char quoted[CHANNEL_NAME_MAX + 3];
	int n = snprintf(quoted, sizeof(quoted), "\"%.*s\"", STR_ARG(channel));

	str_cut(&list, '[', &head);
	if (memmem(list.p, list.len, quoted, (size_t)n) == NULL)
		add(e, channel);
}

/* With the channels that were left, until that is told. */
static int
write_wide_will(const struct party *p, const struct party_end *e)
{
	struct party_end wide = { .only = e->only, .count = e->count };
	int err;

	buf_init(&wide.body, BODY_MAX);
	buf_put_str(&wide.body, buf_str(&e->body));
	bridge_lane_leaving(*p->lane, add_left, &wide);
	err = write_will(p, &wide, false);
	buf_fini(&wide.body);
	return err;
}

void
party_keep_will(const struct party *p, struct party_end *e, bool comes)
{
	int err = SW_OK;

	if (comes && *p->lane != NULL &&
	    bridge_lane_leaving(*p->lane, NULL, NULL) > 0)
		err = write_wide_will(p, e);
	if (err == SW_OK)
		err = e->count > 0 ?
		    write_will(p, e, true) :
		    bridge_revoke_will(*p->lane, p->connection, false);

	if (err != SW_OK)
		log_warn("bridge connection=%" PRIu64
			 " has no will, or an old one: %s",
		    p->connection, err_info(err)->sentence);
	buf_fini(&e->body);
}

void
party_ended(const struct party *p, struct party_end *e)
{
	char address[ADDRESS_TEXT];
	struct bridge_ask ask;
	int err;

	if (e->count == 0) {
		/* If that fails, the next start tells of it all the same. */
		bridge_revoke_will(*p->lane, p->connection, true);
	} else {
		if ((err = finish(e)) == SW_OK) {
			ask = ask_of(p, BRIDGE_DISCONNECT, e->only,
			    buf_str(&e->body), address);
			err = bridge_post_last(p->worker->bridge, &ask);
		}
		note_lost(p, BRIDGE_DISCONNECT, err);
	}
	buf_fini(&e->body);
}
