#include "proxy/compare/client.h"

#include "proxy/base/err.h"
#include "proxy/compare/client_private.h"
#include "proxy/compare/question.h"

enum {
	BODY_MAX = 32 << 20,
	POLL_WAIT_S = 25,
	COME_BACK_MS = 500,
	CLOSE_NORMAL = 1000,
	CLOSE_REFUSALS = 4400, /* up to 4499: coming back would not help */
};

static struct client *
client_of(struct peer *p)
{
	return container_of(p, struct client, peer);
}

static bool
polls(const struct client *c)
{
	return c->crowd->transport == TRANSPORT_LONG ||
	    c->crowd->transport == TRANSPORT_SHORT;
}

static void
go(struct client *c)
{
	peer_close(&c->peer);
	loop_clear_timer(&c->timer);
	c->state = CLIENT_GONE;
	if (c->leaves)
		c->crowd->leaving--;
	c->leaves = false;
}

static void
refuse(struct client *c, const char *why)
{
	go(c);
	c->crowd->refused(c->crowd, why);
}

/* What cannot be understood will not be understood the next time. */
static void
refuse_bytes(struct client *c, const char *what)
{
	char why[160];

	snprintf(why, sizeof(why), "%s: %s",
	    transports[c->crowd->transport].name, what);
	refuse(c, why);
}

static void
set_timer(struct client *c, uint64_t ms)
{
	struct loop *l = c->crowd->loop;

	loop_set_timer(l, &c->timer, loop_now_ms(l) + ms);
}

static void
come_back(struct client *c, uint64_t ms)
{
	if (c->leaves) {
		go(c);
		return;
	}
	peer_close(&c->peer);
	c->state = CLIENT_AWAY;
	c->crowd->tally.reconnects++;
	set_timer(c, ms);
}

/* Asking. */

static void
put_path(struct client *c, struct buf *out)
{
	const struct crowd *crowd = c->crowd;

	buf_printf(out, "%s/stream/%s?transport=%s&format=json",
	    crowd->options->url.base, crowd->options->channel,
	    transports[crowd->transport].name);
	if (c->cursor[0] != '\0')
		buf_printf(out, "&after=%s", c->cursor);
	if (crowd->transport == TRANSPORT_LONG)
		buf_printf(out, "&wait=%d", POLL_WAIT_S);
	if (crowd->pane != NULL)
		buf_printf(out, "&lab=%s", crowd->pane);
}

static void
ask(struct client *c)
{
	const struct crowd *crowd = c->crowd;
	bool is_ws = crowd->transport == TRANSPORT_WS;
	struct buf *out = &c->peer.out;

	buf_puts(out, "GET ");
	put_path(c, out);
	buf_printf(
	    out, " HTTP/1.1\r\nHost: %s\r\n", crowd->options->url.authority);
	if (crowd->options->token[0] != '\0')
		buf_printf(
		    out, "Authorization: Bearer %s\r\n", crowd->options->token);
	if (is_ws) {
		frames_make_key(c->key);
		buf_printf(out,
		    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
		    "Sec-WebSocket-Version: 13\r\n"
		    "Sec-WebSocket-Key: %.*s\r\n",
		    FRAMES_KEY_LENGTH, c->key);
	} else if (crowd->transport == TRANSPORT_SSE) {
		buf_puts(out, "Accept: text/event-stream\r\n");
	}
	buf_puts(out, "\r\n");
	client_count(
	    c, is_ws ? BUCKET_HANDSHAKE : BUCKET_REQUEST, buf_len(out));
	c->crowd->tally.requests++;
	answer_again(&c->answer);
	buf_clear(&c->body);
	c->has_refusal = false;
	c->state = CLIENT_ASKED;
	c->asked_ms = loop_now_ms(crowd->loop);
	peer_flush(&c->peer);
}

static void
come(struct client *c)
{
	c->state = CLIENT_COMING;
	c->crowd->tally.connections++;
	/* Other connections may leave their descriptors to it. */
	if (peer_open(&c->peer) != SW_OK)
		come_back(c, COME_BACK_MS);
}

static void
on_timer(struct timer *t)
{
	struct client *c = container_of(t, struct client, timer);

	if (c->peer.state == PEER_OPEN)
		ask(c);
	else
		come(c);
}

/* What a stream brings. */

static int
take_block(void *ctx, struct str name, struct str data, uint64_t size)
{
	struct client *c = ctx;

	return client_take_message(c, name, data, size) ? SW_OK : SW_EPROTO;
}

static void
skip_block(void *ctx, uint64_t size)
{
	struct client *c = ctx;

	client_count(c, BUCKET_FRAMING, size);
}

static void
reply(struct client *c, enum ws_opcode opcode, struct str payload)
{
	size_t had = buf_len(&c->peer.out);

	frames_put(&c->peer.out, opcode, payload);
	client_count(c, opcode == WS_PONG ? BUCKET_HEARTBEAT : BUCKET_FRAMING,
	    buf_len(&c->peer.out) - had);
	peer_flush(&c->peer);
}

static int
take_close(struct client *c, struct str payload)
{
	char why[200];
	unsigned code = payload.len < 2 ?
	    1005 :
	    (unsigned)(uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1];

	if (c->state == CLIENT_LEAVING)
		return SW_ECLOSED;
	reply(c, WS_CLOSE, (struct str){ payload.p, payload.len < 2 ? 0 : 2 });
	if (code < CLOSE_REFUSALS || code >= CLOSE_REFUSALS + 100)
		return SW_ECLOSED;
	snprintf(why, sizeof(why), "ws: closed with %u: %.*s%s", code,
	    (int)(payload.len > 2 ? payload.len - 2 : 0), payload.p + 2,
	    code == 4401 || code == 4403 ? " (--token)" : "");
	refuse(c, why);
	return SW_ECLOSED;
}

static int
take_frame(void *ctx, enum ws_opcode opcode, struct str payload, uint64_t size)
{
	struct client *c = ctx;

	switch (opcode) {
	case WS_TEXT:
		return client_take_message(c, STR(""), payload, size) ?
		    SW_OK :
		    SW_EPROTO;
	case WS_PING:
		client_count(c, BUCKET_HEARTBEAT, size);
		reply(c, WS_PONG, payload);
		return SW_OK;
	case WS_PONG:
		client_count(c, BUCKET_HEARTBEAT, size);
		return SW_OK;
	case WS_CLOSE:
		client_count(c, BUCKET_FRAMING, size);
		return take_close(c, payload);
	default:
		return SW_EPROTO;
	}
}

/* Polls. */

static void
end_poll(struct client *c)
{
	uint64_t interval = c->crowd->options->poll_interval_ms, took;
	bool more;

	if (!client_take_answer(c, &more)) {
		refuse_bytes(c, "this is no answer to a poll");
		return;
	}
	if (c->leaves) {
		go(c);
		return;
	}
	if (c->answer.closes)
		peer_close(&c->peer);
	c->state = CLIENT_AWAY;
	buf_clear(&c->body);
	buf_release(&c->body);
	if (!c->is_there && c->crowd->transport == TRANSPORT_SHORT)
		/* They come together, but do not ask together for ever. */
		interval = interval * c->crowd->there / c->crowd->count + 1;
	client_arrived(c);
	took = loop_now_ms(c->crowd->loop) - c->asked_ms;
	if (c->crowd->transport == TRANSPORT_LONG || more)
		interval = 0;
	/* Not before the turn's end: a connection may be a new one then. */
	set_timer(c, interval > took ? interval - took : 0);
}

/* Answers. */

static void
end_refusal(struct client *c)
{
	unsigned status = c->answer.status;
	struct buf why;

	/* It has worked before: what is wrong now may pass. */
	if (c->is_there && (status >= 500 || status == 429)) {
		come_back(c, 2 * COME_BACK_MS);
		return;
	}
	buf_init(&why, 1 << 16);
	buf_printf(&why,
	    "%s: answered with %u: ", transports[c->crowd->transport].name,
	    status);
	question_put_detail(&why, buf_str(&c->body));
	if (status == 401 || status == 403)
		buf_puts(&why, " (--token)");
	buf_put(&why, "", 1);
	refuse(c,
	    buf_error(&why) == SW_OK ? (const char *)buf_head(&why) :
				       "refused");
	buf_fini(&why);
}

/* The head is whole: is it what was asked for? */
static void
take_head(struct client *c)
{
	unsigned status = c->answer.status;

	switch (c->crowd->transport) {
	case TRANSPORT_WS:
		c->has_refusal = status != 101 ||
		    !frames_accepts(c->key,
			answer_header(&c->answer, "Sec-WebSocket-Accept"));
		break;
	case TRANSPORT_SSE:
		c->has_refusal = status != 200 ||
		    !str_starts_nocase(
			answer_header(&c->answer, "Content-Type"),
			"text/event-stream");
		break;
	default:
		c->has_refusal = status != 200;
		break;
	}
	if (c->has_refusal && status < 400)
		refuse_bytes(c, "the answer is not of this transport");
	else if (!c->has_refusal && !polls(c))
		c->state = CLIENT_READING;
}

/* A run of an answer's body. */
static int
take_body(struct client *c, const uint8_t *bytes, size_t n)
{
	const struct blocks_handler handler = { take_block, skip_block, c };

	if (c->state == CLIENT_READING)
		return blocks_read(&c->blocks, bytes, n, &handler);
	return buf_put(&c->body, bytes, n);
}

/* HTTP. Returns how much is done with; what is left is a WebSocket's. */
static int
read_answer(struct client *c, const uint8_t *bytes, size_t n, size_t *done)
{
	bool is_ws = c->crowd->transport == TRANSPORT_WS;
	size_t used, data;
	int err;

	*done = 0;
	while (*done < n && c->answer.state != ANSWER_END) {
		bool in_head = c->answer.state == ANSWER_HEAD;

		err = answer_read(
		    &c->answer, bytes + *done, n - *done, &used, &data);
		if (err != SW_OK)
			return err;
		*done += used;
		client_count(c,
		    !in_head  ? BUCKET_FRAMING :
			is_ws ? BUCKET_HANDSHAKE :
				BUCKET_RESPONSE,
		    used - data);
		if (in_head && c->answer.state != ANSWER_HEAD)
			take_head(c);
		if (c->state == CLIENT_GONE)
			return SW_EPROTO;
		if (data > 0) {
			err = take_body(c, bytes + *done - data, data);
			if (err != SW_OK)
				return err;
		}
	}
	return SW_OK;
}

static void
end_answer(struct client *c)
{
	if (c->has_refusal)
		end_refusal(c);
	else if (polls(c))
		end_poll(c);
	else
		come_back(c, COME_BACK_MS); /* a stream that has an end */
}

static void
opened(struct peer *p)
{
	ask(client_of(p));
}

static void
read_frames(struct client *c, const uint8_t *bytes, size_t n)
{
	const struct frames_handler handler = { take_frame, c };
	int err = frames_read(&c->frames, bytes, n, &handler);

	if (err == SW_OK || c->state == CLIENT_GONE)
		return;
	if (c->leaves)
		go(c);
	else if (err == SW_ECLOSED) {
		come_back(c, COME_BACK_MS);
	} else {
		refuse_bytes(c, "what came is no WebSocket");
	}
}

static void
input(struct peer *p, const uint8_t *bytes, size_t n)
{
	struct client *c = client_of(p);
	size_t done = 0;

	if (c->state == CLIENT_AWAY)
		return; /* more than was asked for */
	if (c->state == CLIENT_ASKED ||
	    (c->state == CLIENT_READING &&
		c->crowd->transport == TRANSPORT_SSE)) {
		if (read_answer(c, bytes, n, &done) != SW_OK) {
			if (c->state != CLIENT_GONE)
				refuse_bytes(c, "what came is no answer");
			return;
		}
		if (c->answer.state == ANSWER_END &&
		    (c->state == CLIENT_ASKED ||
			c->crowd->transport == TRANSPORT_SSE)) {
			end_answer(c);
			return;
		}
	}
	if (done < n && c->peer.state == PEER_OPEN &&
	    c->crowd->transport == TRANSPORT_WS)
		read_frames(c, bytes + done, n - done);
}

static void
ended(struct peer *p, const char *why)
{
	struct client *c = client_of(p);
	char text[200];

	switch (c->state) {
	case CLIENT_LEAVING:
		go(c);
		return;
	case CLIENT_AWAY: /* its next poll has a connection of its own */
	case CLIENT_GONE:
		return;
	case CLIENT_ASKED:
		if (c->answer.state != ANSWER_HEAD &&
		    answer_closed(&c->answer) == SW_OK) {
			end_answer(c);
			return;
		}
		break;
	default:
		break;
	}
	if (c->is_there) {
		come_back(c, COME_BACK_MS);
		return;
	}
	snprintf(text, sizeof(text), "%s: the connection ended%s%s",
	    transports[c->crowd->transport].name, why[0] != '\0' ? ": " : "",
	    why);
	refuse(c, text);
}

static const struct peer_kind kind = { opened, input, ended };

void
client_init(struct client *c, struct crowd *crowd)
{
	peer_init(
	    &c->peer, crowd->loop, &kind, &crowd->options->url, crowd->context);
	c->crowd = crowd;
	timer_init(&c->timer, on_timer);
	answer_init(&c->answer);
	buf_init(&c->body, BODY_MAX);
	frames_init(&c->frames);
	blocks_init(&c->blocks);
	seen_init(&c->seen, crowd->before);
}

void
client_fini(struct client *c)
{
	loop_clear_timer(&c->timer);
	peer_fini(&c->peer);
	answer_fini(&c->answer);
	buf_fini(&c->body);
	frames_fini(&c->frames);
	blocks_fini(&c->blocks);
}

void
client_begin(struct client *c)
{
	come(c);
}

bool
client_leave(struct client *c)
{
	static const char normal[] = { CLOSE_NORMAL >> 8,
		(char)(CLOSE_NORMAL & 0xff) };

	loop_clear_timer(&c->timer);
	if (c->state == CLIENT_READING && c->crowd->transport == TRANSPORT_WS) {
		c->state = CLIENT_LEAVING;
		c->leaves = true;
		reply(c, WS_CLOSE, (struct str){ normal, sizeof(normal) });
		return true;
	}
	/* Its answer is counted by the gateway, and so it is by us. */
	if (c->state == CLIENT_ASKED &&
	    c->crowd->transport == TRANSPORT_SHORT) {
		c->leaves = true;
		return true;
	}
	go(c);
	return false;
}
