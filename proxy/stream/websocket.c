#include "proxy/stream/websocket.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/bridge/bridge.h"
#include "proxy/bridge/bridge_connect.h"
#include "proxy/bridge/bridge_presence.h"
#include "proxy/edge/limits.h"
#include "proxy/stream/beginning.h"
#include "proxy/stream/deliver.h"
#include "proxy/stream/loss.h"
#include "proxy/stream/websocket_ask.h"
#include "proxy/stream/websocket_auth.h"
#include "proxy/stream/websocket_send.h"
#include "proxy/worker.h"
#include "transports/command.h"

enum {
	/* Answers that a client does not read hold its input back. */
	ANSWERS_MAX = 256 << 10,
	/* Messages of one client that wait for their answers likewise. */
	SENDS_MAX = 1024,
	/* The first message, if it has to be a token. */
	FIRST_MAX = 16 << 10,
};

void
websocket_answer(struct subscriber *s, struct str message, bool binary)
{
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	if (ws_put_frame(&out, binary ? WS_BINARY : WS_TEXT, message) != SW_OK)
		subscriber_close(s, CLOSE_OVERLOAD);
	else
		subscriber_send(s, BUCKET_FRAMING, buf_str(&out));
	buf_fini(&out);
}

bool
websocket_farewell(struct subscriber *s, enum close_why why)
{
	const struct close_info *info = close_info(why);
	struct conn *c = s->conn;
	struct buf out;
	int err;

	if (s->closing || info->code == 0)
		return s->closing;
	buf_init(&out, 256);
	err = ws_put_close(&out, info->code, info->sentence);
	if (err == SW_OK) {
		conn_count(
		    c, subscriber_metrics(s), BUCKET_FRAMING, buf_len(&out));
		err = s->partial != NULL ?
		    conn_queue(c, buf_head(&out), buf_len(&out)) :
		    conn_send(c, buf_head(&out), buf_len(&out));
	}
	buf_fini(&out);
	return err == SW_OK || s->partial == NULL;
}

void
websocket_settle(struct subscriber *s, enum bucket b, uint64_t n)
{
	/* A deflated payload was less on the wire. */
	if (n > s->unsettled)
		n = s->unsettled;
	s->unsettled -= (uint32_t)n;
	conn_count(s->conn, subscriber_metrics(s), b, n);
}

/* Commands. */

void
websocket_answer_text(struct subscriber *s, struct buf *text)
{
	if (buf_error(text) == SW_OK)
		websocket_answer(s, buf_str(text), false);
	else
		subscriber_close(s, CLOSE_OVERLOAD);
	buf_fini(text);
}

void
websocket_error(
    struct subscriber *s, struct str ref, const char *code, const char *message)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	command_put_error(&out, ref, code, message);
	websocket_answer_text(s, &out);
}

static void
answer_ok(
    struct subscriber *s, struct str ref, struct str channel, uint64_t cursor)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	command_answer_begin(&out, "ok", ref);
	if (channel.p != NULL) {
		buf_puts(&out, ",\"channel\":");
		json_put_string(&out, channel);
		buf_puts(&out, ",\"cursor\":\"");
		cursor_put(&out, &subscriber_worker(s)->codec.epoch, cursor);
		buf_puts(&out, "\"");
	}
	buf_puts(&out, "}");
	websocket_answer_text(s, &out);
}

/*
 * Where a later subscription begins: `after`, or live as `*pos` has it. What is
 * lost is told once the channel is linked.
 */
static int
subscribe_from(struct subscriber *s, const struct command *cmd, uint64_t *pos,
    enum gap_reason *gap, struct cursor *after)
{
	struct worker *w = subscriber_worker(s);

	*gap = GAP_NONE;
	if (cmd->after.p == NULL)
		return SW_OK;
	*pos = 0;
	if (str_is(cmd->after, "start"))
		return SW_OK;
	if (cursor_parse(after, cmd->after) != SW_OK)
		return SW_EINVAL;
	if (strcmp(after->epoch.text, w->codec.epoch.text) != 0)
		*gap = GAP_EPOCH;
	else if (after->seq > log_head(w->log))
		*gap = GAP_AHEAD;
	else
		*pos = after->seq;
	return SW_OK;
}

static void
refuse_link(struct subscriber *s, const struct command *cmd, int err)
{
	const char *code = err_info(err)->name, *why = err_info(err)->sentence;

	if (err == SW_EBUSY) {
		code = "subscribed";
		why = "Already subscribed.";
	} else if (err == SW_EINVAL) {
		why = "A channel's name has 1 to 128 characters of "
		      "A-Z a-z 0-9 . _ ~ : -";
	} else if (err == SW_ELIMIT) {
		why = subscriber_link_limit(s);
		/* As a request's 503: not too much of its own. */
		if (why == channels_too_many)
			code = err_info(SW_EBUSY)->name;
	}
	websocket_error(s, cmd->ref, code, why);
}

void
websocket_subscribe(
    struct subscriber *s, const struct command *cmd, uint64_t live)
{
	enum gap_reason gap;
	struct cursor after;
	struct link *l;
	const char *why;
	uint64_t pos = live;
	int err = auth_may(subscriber_worker(s)->conf, s->grant, AUTH_SUBSCRIBE,
	    cmd->channel, &why);

	if (err != SW_OK) {
		websocket_count_refusal(s, err);
		websocket_error(s, cmd->ref, err_info(err)->name, why);
		return;
	}
	err = subscribe_from(s, cmd, &pos, &gap, &after);
	if (err != SW_OK) {
		websocket_error(s, cmd->ref, "invalid",
		    "`after` is the id of an event, or `start`.");
		return;
	}
	err = subscriber_link(s, cmd->channel, pos, &l);
	if (err != SW_OK) {
		refuse_link(s, cmd, err);
		return;
	}
	presence_linked(s, l);
	answer_ok(s, cmd->ref, cmd->channel, pos);
	if (subscriber_gone(s) ||
	    (cmd->after.p == NULL && pos >= subscriber_hub(s)->seen))
		return;
	/* The others stay live while this one catches up. */
	l->alone = true;
	l->from_start = gap != GAP_NONE || str_is(cmd->after, "start");
	if (gap != GAP_NONE && loss_note(s, gap, &after, l) != SW_OK)
		subscriber_close(s, CLOSE_OVERLOAD);
	if (!subscriber_gone(s))
		loss_trim(s, l);
	if (!subscriber_gone(s))
		deliver_flush(s);
}

/* Where the backend decides, it is asked first. */
static void
do_subscribe(struct subscriber *s, const struct command *cmd)
{
	const struct conf *conf = subscriber_worker(s)->conf;
	const char *why;
	int err;

	if (!channel_name_valid(cmd->channel) ||
	    !bridge_connect_needed(conf, s->grant, &cmd->channel, 1)) {
		websocket_subscribe(
		    s, cmd, beginning_live(subscriber_worker(s)));
		return;
	}
	if ((err = auth_may_ask(conf, s->grant, cmd->channel, &why)) != SW_OK) {
		websocket_count_refusal(s, err);
		websocket_error(s, cmd->ref, err_info(err)->name, why);
	} else if ((err = websocket_ask(s, cmd)) != SW_OK) {
		websocket_error(
		    s, cmd->ref, err_info(err)->name, err_info(err)->sentence);
	}
}

static void
do_unsubscribe(struct subscriber *s, const struct command *cmd)
{
	struct channel *c;
	struct link *l = NULL;

	c = channels_find(subscriber_worker(s)->channels, cmd->channel);
	if (c != NULL)
		l = subscriber_find(s, c);
	if (l != NULL)
		presence_unlinked(s, l);
	channel_unref(c);
	if (l != NULL && subscriber_unlink(s, cmd->channel) == SW_OK)
		answer_ok(s, cmd->ref, (struct str){ NULL, 0 }, 0);
	else
		websocket_error(s, cmd->ref, "not-found", "Not subscribed.");
}

static void
do_command(struct subscriber *s, struct str text)
{
	struct command cmd;
	const char *why;
	int err = command_read(&cmd, text, &why);

	if (err != SW_OK) {
		if (err == SW_ENOMEM)
			subscriber_close(s, CLOSE_OVERLOAD);
		else
			websocket_error(s, cmd.ref, "invalid", why);
		command_fini(&cmd);
		return;
	}
	switch (cmd.op) {
	case COMMAND_SUBSCRIBE:
		do_subscribe(s, &cmd);
		break;
	case COMMAND_UNSUBSCRIBE:
		do_unsubscribe(s, &cmd);
		break;
	case COMMAND_SEND:
		websocket_send(s, &cmd);
		break;
	case COMMAND_AUTH:
		websocket_auth(s, &cmd);
		break;
	case COMMAND_PING:
		answer_ok(s, cmd.ref, (struct str){ NULL, 0 }, 0);
		break;
	}
	command_fini(&cmd);
}

/* Frames. */

/* What the decoder goes on with: the subscriber may have ended. */
static int
go_on(const struct conn *c)
{
	return c->closed || c->role != &websocket_role ? SW_ECLOSED : SW_OK;
}

/* Answers pile up, or are awaited: no more questions before they are out. */
static bool
holds_back(const struct conn *c)
{
	const struct subscriber *s = c->owner;

	return (c->out != NULL && buf_len(c->out) > ANSWERS_MAX) ||
	    c->answers >= SENDS_MAX || s->asking || bridge_lane_full(s->lane);
}

/*
 * Much may come in one read, if it is compressed; and the answer of the backend
 * may change what the next message means.
 */
static int
go_on_reading(const struct conn *c)
{
	int err = go_on(c);

	return err == SW_OK && holds_back(c) ? SW_EAGAIN : err;
}

/* Input that is being decoded. */
struct reading {
	struct conn *conn;
	struct ws_handler handler;
};

static int
on_message(void *ctx, enum ws_opcode opcode, struct str payload)
{
	struct reading *reading = ctx;
	struct conn *c = reading->conn;
	struct subscriber *s = c->owner;

	if (!conn_paces(c, payload.len)) {
		subscriber_close(s, CLOSE_FLOOD);
		return go_on(c);
	}
	/* What follows a token may be as large as anything. */
	reading->handler.message_max = c->worker->conf->message_max;
	if (s->unproven != NULL)
		websocket_auth_first(s, payload);
	else if (s->quiet)
		websocket_send_raw(s, payload, opcode == WS_BINARY);
	else if (opcode == WS_BINARY)
		return SW_EUNSUPPORTED; /* commands are text */
	else
		do_command(s, payload);
	return go_on_reading(c);
}

/* RFC 6455 5.5.1: answer with the same code, then the server closes. */
static int
on_close(struct subscriber *s, struct str payload)
{
	unsigned code = payload.len < 2 ?
	    0 :
	    (unsigned)(uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1];
	struct buf out;

	if (payload.len == 1 ||
	    (payload.len >= 2 && !ws_close_code_valid(code)))
		return SW_EPROTO;
	if (payload.len > 2 && !utf8_valid(payload.p + 2, payload.len - 2))
		return SW_EUTF8;
	buf_init(&out, 256);
	ws_put_frame(&out, WS_CLOSE,
	    (struct str){ payload.p, payload.len >= 2 ? 2 : 0 });
	subscriber_send(s, BUCKET_FRAMING, buf_str(&out));
	buf_fini(&out);
	s->closing = true;
	subscriber_close(s, CLOSE_CLIENT);
	return SW_ECLOSED;
}

static int
on_control(void *ctx, enum ws_opcode opcode, struct str payload)
{
	const struct reading *reading = ctx;
	struct conn *c = reading->conn;
	struct subscriber *s = c->owner;
	struct buf out;

	if (opcode == WS_CLOSE)
		return on_close(s, payload);
	if (!conn_paces(c, payload.len)) {
		subscriber_close(s, CLOSE_FLOOD);
		return go_on(c);
	}
	websocket_settle(s, BUCKET_HEARTBEAT, payload.len + 6);
	if (opcode == WS_PING) {
		buf_init(&out, 256);
		ws_put_frame(&out, WS_PONG, payload);
		subscriber_send(s, BUCKET_HEARTBEAT, buf_str(&out));
		buf_fini(&out);
	}
	return go_on(c);
}

/* The last so many bytes are left for later. */
static size_t
decode(struct subscriber *s, uint8_t *bytes, size_t n)
{
	struct conn *c = s->conn;
	struct worker *w = c->worker;
	struct reading reading = {
		.conn = c,
		.handler = {
			.message = on_message,
			.control = on_control,
			.message_max = s->unproven != NULL ?
			    FIRST_MAX :
			    w->conf->message_max,
			.deflate = w->codec.deflate,
		},
	};
	size_t rest;
	int err;

	s->read_ms = subscriber_lived(s);
	s->unsettled += (uint32_t)n;
	reading.handler.ctx = &reading;
	err = ws_decode(&s->ws, bytes, n, &reading.handler, &rest);
	/* What follows an end is not read again. */
	if (err != SW_OK)
		rest = 0;
	s->unsettled -= rest < s->unsettled ? (uint32_t)rest : s->unsettled;
	if (subscriber_gone(s) || !s->quiet || !ws_decoder_busy(&s->ws))
		websocket_settle(s, BUCKET_FRAMING, s->unsettled);
	if (err == SW_ELIMIT)
		METRIC_LIMIT(w, LIMIT_MESSAGE);
	if (err != SW_OK && err != SW_ECLOSED && !c->closed)
		subscriber_close(s, close_for_error(err));
	return rest;
}

/* What was read already, with the handshake or before a question. */
static void
read_kept(struct subscriber *s)
{
	struct conn *c = s->conn;

	while (go_on(c) == SW_OK && c->in != NULL && !holds_back(c)) {
		struct buf *in = c->in;
		size_t rest;

		c->in = NULL;
		rest = decode(s, buf_head(in), buf_len(in));
		if (rest > 0) {
			buf_drop(in, buf_len(in) - rest);
			c->in = in;
		} else {
			buf_fini(in);
			free(in);
		}
	}
}

static void
keep(struct subscriber *s, const uint8_t *bytes, size_t n)
{
	struct buf *in = malloc(sizeof(*in));

	if (in == NULL) {
		subscriber_close(s, CLOSE_OVERLOAD);
		return;
	}
	buf_init(in, WORKER_INPUT);
	s->conn->in = in;
	if (buf_put(in, bytes, n) != SW_OK)
		subscriber_close(s, CLOSE_OVERLOAD);
}

/* Presence fills a lane as messages do, but brings no answer to go on with. */
static void
on_eased(void *owner)
{
	const struct subscriber *s = owner;

	websocket_resume(s->conn);
}

static void
read_input(struct subscriber *s)
{
	struct conn *c = s->conn;
	uint8_t *input = c->worker->input;

	read_kept(s);
	while (go_on(c) == SW_OK && c->readable && !holds_back(c)) {
		ssize_t n = conn_read(c, input, WORKER_INPUT, false);
		size_t rest;

		if (n == SW_EAGAIN)
			return;
		if (n <= 0) {
			subscriber_close(s, n == 0 ? CLOSE_PEER : CLOSE_IO);
			return;
		}
		rest = decode(s, input, (size_t)n);
		if (rest > 0)
			keep(s, input + (size_t)n - rest, rest);
	}
	if (go_on(c) == SW_OK && bridge_lane_full(s->lane))
		bridge_lane_wait(s->lane, on_eased, s);
}

void
websocket_resume(struct conn *c)
{
	if (go_on(c) == SW_OK)
		read_input(c->owner);
}

void
websocket_begin(struct subscriber *s)
{
	read_input(s);
}

static void
websocket_ready(struct conn *c, uint32_t events)
{
	struct subscriber *s = c->owner;

	if ((events & EPOLLOUT) != 0 &&
	    (conn_pending(c) || s->partial != NULL || s->stuck_ms != 0))
		deliver_flush(s);
	if (go_on(c) != SW_OK)
		return;
	/* A reset, or the end of the stream: reading tells which. */
	if (c->half_open)
		c->readable = true;
	read_input(s);
}

/*
 * Is it still reading what was written before? A ping lies behind that. Who
 * takes nothing of it is as silent as anybody.
 */
static bool
reads_on(struct subscriber *s)
{
	uint32_t before = s->taken;

	return headway_is_made(s->conn->io.fd, &s->taken) &&
	    s->taken != before && conn_untaken(s->conn) > 0;
}

/* Whom we do not listen to, or cannot ask, is not reproached with silence. */
static bool
may_be_silent(struct subscriber *s, uint64_t silent)
{
	return holds_back(s->conn) || s->stuck_ms != 0 ||
	    (silent >= subscriber_worker(s)->conf->heartbeat_ms && reads_on(s));
}

static void
websocket_timeout(struct conn *c)
{
	struct subscriber *s = c->owner;
	const struct conf *conf = c->worker->conf;
	uint64_t silent;
	struct buf ping;

	silent = subscriber_lived(s) - s->read_ms;
	if (may_be_silent(s, silent)) {
		s->read_ms = subscriber_lived(s);
		silent = 0;
	}
	if (silent * 2 >= conf->heartbeat_ms * 5) {
		subscriber_close(s, CLOSE_SILENT);
		return;
	}
	if (subscriber_tick(s))
		return;
	if (silent >= conf->heartbeat_ms && !c->blocked && !s->closing) {
		buf_init(&ping, 16);
		ws_put_frame(&ping, WS_PING, STR(""));
		subscriber_send(s, BUCKET_HEARTBEAT, buf_str(&ping));
		buf_fini(&ping);
	}
}

static void
websocket_end(struct conn *c)
{
	if (c->owner != NULL)
		subscriber_release(c->owner, CLOSE_PEER);
}

const struct conn_role websocket_role = {
	.name = "ws",
	.ready = websocket_ready,
	.timeout = websocket_timeout,
	.end = websocket_end,
};
