#include "proxy/compare/question.h"

#include "proxy/base/err.h"
#include "proxy/base/json.h"

static void
finish(struct question *q, unsigned status, const char *why)
{
	struct question_answer a = { status, buf_str(&q->body), why };

	if (!q->asked)
		return;
	q->asked = false;
	loop_clear_timer(&q->timer);
	peer_close(&q->peer);
	q->done(q, &a);
}

static struct question *
question_of(struct peer *p)
{
	return container_of(p, struct question, peer);
}

static void
opened(struct peer *p)
{
	struct question *q = question_of(p);

	buf_put_str(&p->out, buf_str(&q->request));
	peer_flush(p);
}

static void
input(struct peer *p, const uint8_t *bytes, size_t n)
{
	struct question *q = question_of(p);
	size_t used, data;

	while (n > 0 && q->answer.state != ANSWER_END) {
		if (answer_read(&q->answer, bytes, n, &used, &data) != SW_OK ||
		    buf_put(&q->body, bytes + used - data, data) != SW_OK) {
			finish(q, 0, "what came is no answer to a request");
			return;
		}
		bytes += used;
		n -= used;
	}
	if (q->answer.state == ANSWER_END)
		finish(q, q->answer.status, "");
}

static void
ended(struct peer *p, const char *why)
{
	struct question *q = question_of(p);

	if (answer_closed(&q->answer) == SW_OK)
		finish(q, q->answer.status, "");
	else
		finish(q, 0,
		    why[0] != '\0' ? why :
				     "the connection ended without an answer");
}

static void
on_timer(struct timer *t)
{
	struct question *q = container_of(t, struct question, timer);

	finish(q, 0,
	    q->peer.state == PEER_CLOSED ? "no connection can be opened" :
					   "no answer within 15 seconds");
}

static const struct peer_kind kind = { opened, input, ended };

void
question_init(struct question *q, struct loop *l, const struct place *place,
    struct secure_context *context)
{
	*q = (struct question){ .asked = false };
	peer_init(&q->peer, l, &kind, place, context);
	answer_init(&q->answer);
	buf_init(&q->body, QUESTION_BODY_MAX);
	buf_init(&q->request, 64 << 10);
	timer_init(&q->timer, on_timer);
}

void
question_fini(struct question *q)
{
	loop_clear_timer(&q->timer);
	peer_fini(&q->peer);
	answer_fini(&q->answer);
	buf_fini(&q->body);
	buf_fini(&q->request);
}

void
question_ask(struct question *q, const char *method, const char *path,
    const char *token,
    void (*done)(struct question *q, const struct question_answer *a))
{
	const struct place *place = q->peer.place;
	uint64_t now = loop_now_ms(q->peer.loop);
	bool opens;

	buf_clear(&q->request);
	buf_clear(&q->body);
	answer_again(&q->answer);
	buf_printf(&q->request, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", method,
	    place->base, path, place->authority);
	if (token[0] != '\0')
		buf_printf(&q->request, "Authorization: Bearer %s\r\n", token);
	if (strcmp(method, "GET") != 0)
		buf_puts(&q->request, "Content-Length: 0\r\n");
	buf_puts(&q->request, "Connection: close\r\n\r\n");
	q->asked = true;
	q->done = done;
	opens = peer_open(&q->peer) == SW_OK;
	loop_set_timer(
	    q->peer.loop, &q->timer, opens ? now + QUESTION_MS : now);
}

void
question_put_detail(struct buf *out, struct str body)
{
	struct json_iter it;
	struct str key, value;

	if (!json_valid(body) || !json_object(&it, body))
		return;
	while (json_member(&it, &key, &value))
		if (json_is(key, "detail") && value.p[0] == '"')
			json_unescape(out, value);
}
