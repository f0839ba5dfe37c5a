#include "proxy/api/api_presence.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/api/api.h"
#include "proxy/api/api_connections.h"
#include "proxy/auth/token.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/gateway.h"
#include "proxy/sessions/sessions.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/subscriber.h"
#include "proxy/survey.h"

enum { LIST_DEFAULT = 1000, LIST_MAX = 100000 };

/* A question about a name: that of a channel, or of a user. */
struct inquiry {
	struct exchange *exchange;
	char name[TOKEN_USER_MAX + 1];
};

static void
put_text(struct buf *out, const char *name, struct str text)
{
	if (text.p == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	json_put_string(out, text);
}

/* As many as are asked for, of each worker: all are counted. */
static void
put_member(struct survey_part *p, const struct session_member *m)
{
	struct buf *out = &p->out;
	size_t from = buf_len(out);

	if (p->count++ >= p->survey->number)
		return;
	buf_printf(out,
	    "{\"connection\":%" PRIu64
	    ",\"transport\":\"%s\",\"since\":%" PRIu64,
	    m->connection, m->transport, m->since_ms);
	put_text(out, "user", m->user);
	put_text(out, "session", m->session);
	if (m->meta.p != NULL) {
		buf_puts(out, ",\"meta\":");
		buf_put_str(out, m->meta);
	}
	buf_puts(out, "}");
	survey_item(p, m->connection, from);
}

/* A stream, or a poll that is on its own. */
static void
put_subscriber(struct survey_part *p, const struct subscriber *s)
{
	const struct loop *loop = subscriber_worker(s)->loop;
	const struct granted *granted =
	    s->grant == NULL ? NULL : s->grant->granted;
	const struct session_member m = {
		.connection = s->conn->id,
		.since_ms = loop_unix_ms(loop) -
		    (loop_now_ms(loop) - s->conn->subscribed_ms),
		.transport = s->transport->name,
		.session = str_of(s->session),
		.user = str_of(grant_user(s->grant)),
		.meta = str_of(granted == NULL ? NULL : granted->meta),
	};

	put_member(p, &m);
}

static void
list_session(void *part, const struct session_member *m)
{
	put_member(part, m);
}

static void
list_part(struct survey_part *p)
{
	const struct inquiry *q = p->survey->ctx;
	const struct hub_channel *hc =
	    hub_channel_find(&p->worker->hub, str_of(q->name));

	for (uint32_t i = 0; hc != NULL && i < hc->link_count; i++) {
		struct subscriber *s = hc->links[i]->subscriber;

		/* Of a session, whatever it does just now, there is one. */
		if (!subscriber_visits(s))
			put_subscriber(p, s);
	}
	/* They are the gateway's: one of the workers tells of them. */
	if (p->worker->index == 0)
		sessions_each(gateway_sessions(p->worker->gateway),
		    str_of(q->name), list_session, p);
}

static void
finish_list(struct survey *s)
{
	struct inquiry *q = s->ctx;
	struct exchange *x = q->exchange;
	struct buf *out = &x->reply;
	uint64_t count = 0;

	for (size_t i = 0; i < s->parts_count; i++)
		count += s->parts[i].count;
	buf_printf(out, "{\"channel\":\"%s\",\"members\":[", q->name);
	survey_put_items(s, s->number, out);
	buf_printf(out, "],\"count\":%" PRIu64 "}\n", count);
	api_answer_list(x);
	survey_free(s);
	free(q);
}

static void
kick_part(struct survey_part *p)
{
	const struct inquiry *q = p->survey->ctx;

	list_each_safe (node, after, &p->worker->conns) {
		struct subscriber *s =
		    subscriber_of(container_of(node, struct conn, node));
		const char *user = s == NULL ? NULL : grant_user(s->grant);

		if (user == NULL || strcmp(user, q->name) != 0)
			continue;
		/* Of a session that ends, it is not its polls that do. */
		if (p->survey->flag || !subscriber_visits(s))
			p->count++;
		/* A poll that may come back is answered before its time. */
		if (p->survey->flag && !s->transport->streams)
			poll_release(s);
		else
			subscriber_close(s,
			    p->survey->flag ? CLOSE_RECONNECT : CLOSE_KICKED);
	}
	if (p->worker->index == 0 && !p->survey->flag)
		p->count += sessions_kick_user(
		    gateway_sessions(p->worker->gateway), str_of(q->name));
}

static void
finish_kick(struct survey *s)
{
	struct inquiry *q = s->ctx;
	uint64_t count = 0;

	for (size_t i = 0; i < s->parts_count; i++)
		count += s->parts[i].count;
	buf_printf(&q->exchange->reply, "{\"count\":%" PRIu64 "}\n", count);
	exchange_answer(q->exchange, 200, "application/json");
	survey_free(s);
	free(q);
}

static void
start(struct exchange *x, struct str name, void (*ask)(struct survey_part *p),
    void (*finish)(struct survey *s), uint64_t number, bool flag)
{
	struct inquiry *q = calloc(1, sizeof(*q));
	struct survey *s =
	    q == NULL ? NULL : survey_new(x->worker, ask, finish, q);

	if (s == NULL) {
		free(q);
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	q->exchange = x;
	memcpy(q->name, name.p, name.len);
	s->number = number;
	s->flag = flag;
	exchange_wait(x);
	survey_start(s);
}

void
api_presence(struct exchange *x, struct str channel)
{
	uint64_t limit;

	if (api_read_limit(x, LIST_DEFAULT, LIST_MAX, &limit))
		start(x, channel, list_part, finish_list, limit, false);
}

void
api_presence_kick(struct exchange *x)
{
	struct str raw;
	struct buf user;
	bool comes_back;
	int err = SW_EINVAL;

	if (!api_reads_reconnect(x, &comes_back))
		return;
	buf_init(&user, TOKEN_USER_MAX);
	if (request_param(&x->request, "user", &raw))
		err = percent_decode(&user, raw, true);
	if (err == SW_OK && buf_len(&user) > 0)
		start(x, buf_str(&user), kick_part, finish_kick, 0, comes_back);
	else
		exchange_refuse(x, 400,
		    "Name the user whose connections shall end: ?user=NAME.");
	buf_fini(&user);
}
