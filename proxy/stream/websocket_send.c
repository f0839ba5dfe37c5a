#include "proxy/stream/websocket_send.h"

#include <stdlib.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/bridge/bridge.h"
#include "proxy/publish/draft.h"
#include "proxy/publish/send.h"
#include "proxy/stream/websocket.h"
#include "proxy/worker.h"

/* What a queued message's answer needs; `conn` lives until then. */
struct sending {
	struct conn *conn;
	bool quiet; /* raw: no news is good news */
	size_t ref_len;
	char ref[];
};

static struct str
ref_of(const struct sending *sending)
{
	return (struct str){ sending->ref_len > 0 ? sending->ref : NULL,
		sending->ref_len };
}

static void
answer_sent(struct subscriber *s, struct str ref, const struct append *a)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	command_answer_begin(&out, "ok", ref);
	buf_puts(&out, ",\"id\":\"");
	cursor_put(&out, &subscriber_worker(s)->codec.epoch, a->items[0].id);
	buf_puts(&out,
	    a->items[0].duplicate ? "\",\"duplicate\":true}" :
				    "\",\"duplicate\":false}");
	websocket_answer_text(s, &out);
}

static void
on_sent(struct append *a)
{
	struct sending *sending = a->owner;
	struct conn *c = sending->conn;

	if (conn_answered(c) && c->role == &websocket_role) {
		struct subscriber *s = c->owner;

		if (a->err != SW_OK && sending->quiet)
			subscriber_close(s, CLOSE_OVERLOAD);
		else if (a->err != SW_OK)
			websocket_error(s, ref_of(sending),
			    err_info(a->err)->name,
			    a->reason != NULL ? a->reason :
						err_info(a->err)->sentence);
		else if (!sending->quiet)
			answer_sent(s, ref_of(sending), a);
		websocket_resume(c);
	}
	free(sending);
	append_free(a);
}

static struct sending *
sending_new(struct subscriber *s, struct str ref)
{
	struct sending *sending = malloc(sizeof(*sending) + ref.len);

	if (sending == NULL)
		return NULL;
	sending->conn = s->conn;
	sending->quiet = s->quiet;
	sending->ref_len = ref.len;
	if (ref.len > 0)
		memcpy(sending->ref, ref.p, ref.len);
	return sending;
}

static struct str
first_channel(const struct subscriber *s)
{
	const struct link *l = &s->first;

	while (l != NULL && l->channel == NULL)
		l = l->next;
	return l == NULL ? STR("") : l->channel->channel->name;
}

/* The backend's reply to a command. */
static void
put_reply(struct buf *out, struct str ref, const struct bridge_answer *a)
{
	size_t room = BASE64_LENGTH(a->data.len);

	command_answer_begin(out, "reply", ref);
	if (a->content_type.p != NULL &&
	    !media_is(a->content_type, "application/json") &&
	    !media_is(a->content_type, "text/plain")) {
		buf_puts(out, ",\"contentType\":");
		json_put_string(out, content_tellable(a->content_type));
	}
	if (a->kind == EVENT_BINARY) {
		buf_puts(out, ",\"encoding\":\"base64\",\"data\":\"");
		if (buf_reserve(out, room + 2) == SW_OK) {
			base64_encode(
			    (char *)buf_tail(out), a->data.p, a->data.len);
			buf_commit(out, room);
		}
		buf_puts(out, "\"");
	} else if (a->kind == EVENT_TEXT) {
		buf_puts(out, ",\"data\":");
		json_put_string(out, a->data);
	} else {
		buf_puts(out, ",\"data\":");
		buf_put_str(out, a->data);
	}
	buf_puts(out, "}");
}

static void
answer_bridged(
    struct subscriber *s, struct str ref, const struct bridge_answer *a)
{
	struct buf out;

	if (a->outcome == BRIDGE_REFUSED) {
		websocket_error(s, ref, err_info(a->err)->name, a->detail);
		return;
	}
	buf_init(&out, SIZE_MAX / 2);
	if (a->outcome == BRIDGE_REPLY) {
		put_reply(&out, ref, a);
	} else {
		command_answer_begin(&out, "ok", ref);
		buf_puts(&out, "}");
	}
	websocket_answer_text(s, &out);
}

static enum close_why
close_for_refusal(int err)
{
	return err == SW_EAUTH   ? CLOSE_UNAUTHORIZED :
	    err == SW_EFORBIDDEN ? CLOSE_POLICY :
	    err == SW_ENOENT     ? CLOSE_POLICY :
				   close_for_error(err);
}

static void
on_bridged(void *owner, const struct bridge_answer *a)
{
	struct sending *sending = owner;
	struct conn *c = sending->conn;

	if (conn_answered(c) && c->role == &websocket_role) {
		struct subscriber *s = c->owner;

		if (!sending->quiet)
			answer_bridged(s, ref_of(sending), a);
		else if (a->outcome == BRIDGE_REPLY)
			websocket_answer(s, a->data, a->kind == EVENT_BINARY);
		else if (a->outcome == BRIDGE_REFUSED)
			subscriber_close(s, close_for_refusal(a->err));
		websocket_resume(c);
	}
	free(sending);
}

/* Take the message; SEND_REFUSED also for what has no room here. */
static enum send_outcome
take_message(struct subscriber *s, struct client_message *m, struct str ref,
    int *err, const char **why)
{
	struct sending *sending = sending_new(s, ref);
	enum send_outcome outcome;

	if (sending == NULL) {
		*err = SW_ENOMEM;
		*why = err_info(SW_ENOMEM)->sentence;
		return SEND_REFUSED;
	}
	m->grant = s->grant;
	m->session = s->session;
	m->connection = s->conn->id;
	m->transport = str_of(s->transport->name);
	m->forwarded = str_of(s->forwarded);
	m->peer = &s->conn->peer;
	m->lane = &s->lane;
	m->done = on_sent;
	m->answered = on_bridged;
	m->owner = sending;
	if (s->quiet)
		websocket_settle(s, BUCKET_PAYLOAD, m->data.len);
	outcome = client_send(subscriber_worker(s), m, err, why);
	if (outcome == SEND_QUEUED)
		conn_expect(s->conn);
	else
		free(sending);
	return outcome;
}

void
websocket_send(struct subscriber *s, const struct command *cmd)
{
	struct client_message m = {
		.channel =
		    cmd->channel.p != NULL ? cmd->channel : first_channel(s),
		.data = cmd->data,
		.content_type = STR("application/json"),
		.has_seq = cmd->has_seq,
		.seq = cmd->seq,
	};
	const char *why;
	struct buf out;
	int err;

	switch (take_message(s, &m, cmd->ref, &err, &why)) {
	case SEND_QUEUED:
		break;
	case SEND_REFUSED:
		websocket_error(s, cmd->ref, err_info(err)->name, why);
		break;
	case SEND_ECHOED:
		buf_init(&out, SIZE_MAX / 2);
		command_answer_begin(&out, "reply", cmd->ref);
		buf_puts(&out, ",\"data\":");
		buf_put_str(&out, cmd->data);
		buf_puts(&out, "}");
		websocket_answer_text(s, &out);
		break;
	}
}

void
websocket_send_raw(struct subscriber *s, struct str data, bool binary)
{
	struct client_message m = {
		.channel = first_channel(s),
		.data = data,
		.content_type = binary ? STR("application/octet-stream") :
					 (struct str){ NULL, 0 },
		.assumed_type = STR("text/plain; charset=utf-8"),
	};
	const char *why;
	int err;

	switch (take_message(s, &m, STR(""), &err, &why)) {
	case SEND_QUEUED:
		break;
	case SEND_REFUSED:
		subscriber_close(s, close_for_refusal(err));
		break;
	case SEND_ECHOED:
		websocket_answer(s, data, binary);
		break;
	}
}
