#include "proxy/api/api_connections.h"

#include <inttypes.h>

#include "proxy/api/api.h"
#include "proxy/auth/token.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/gateway.h"
#include "proxy/sessions/sessions.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/subscriber.h"
#include "proxy/survey.h"

enum { LIST_DEFAULT = 1000, LIST_MAX = 100000 };

static void
put_channels(struct buf *out, const struct subscriber *s)
{
	const struct worker *w = subscriber_worker(s);
	uint64_t lag = 0;
	bool first = true;

	buf_puts(out, "\"channels\":[");
	for (const struct link *l = &s->first; l != NULL; l = l->next) {
		if (l->channel == NULL)
			continue;
		buf_puts(out, first ? "{\"name\":\"" : ",{\"name\":\"");
		buf_put_str(out, l->channel->channel->name);
		buf_puts(out, "\",\"cursor\":\"");
		cursor_put(out, &w->codec.epoch, l->pos);
		buf_puts(out, "\"}");
		first = false;
		/* How many ids behind: what is in the window is exact. */
		if (link_has_news(l))
			lag += hub_channel_newest(l->channel) - l->pos;
	}
	buf_printf(out, "],\"lag\":%" PRIu64, lag);
}

static void
put_connection(
    struct buf *out, const struct conn *c, const struct subscriber *s)
{
	char peer[ADDRESS_TEXT];
	uint64_t now = loop_now_ms(c->worker->loop);

	buf_printf(out,
	    "{\"id\":\"%" PRIu64 "\",\"transport\":\"%s\",\"address\":\"%s\""
	    ",\"worker\":%u,\"ageSeconds\":%.3f,\"format\":\"%s\","
	    "\"blocked\":%s,\"events\":%" PRIu64 ",",
	    c->id, s->transport->name, address_print(&c->peer, peer),
	    c->worker->index, (double)(now - c->subscribed_ms) / 1000,
	    s->raw ? "raw" : "json", c->blocked ? "true" : "false", s->events);
	if (grant_user(s->grant) != NULL) {
		buf_puts(out, "\"user\":");
		json_put_string(out, str_of(grant_user(s->grant)));
		buf_puts(out, ",");
	}
	put_channels(out, s);
	buf_puts(out, ",\"bytes\":{");
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		buf_printf(out, "%s\"%s\":%" PRIu64, b == 0 ? "" : ",",
		    bucket_name((enum bucket)b), c->bytes[b]);
	buf_puts(out, "}}");
}

/* Listing: those behind `after`, in the order of ids, as many as asked for. */

/* One more than asked for tells that there are more. */
static void
list_part(struct survey_part *p)
{
	const struct survey *survey = p->survey;

	/* They stand in the order in which they came, and got their ids. */
	list_each (node, &p->worker->conns) {
		const struct conn *c = container_of(node, struct conn, node);
		const struct subscriber *s = subscriber_of(c);
		size_t from = buf_len(&p->out);

		if (s == NULL || c->id <= survey->after)
			continue;
		if (p->count++ > survey->number || !survey_has_room(p))
			return;
		put_connection(&p->out, c, s);
		survey_item(p, c->id, from);
	}
}

static void
finish_list(struct survey *s)
{
	struct exchange *x = s->ctx;
	uint64_t found = 0, count;

	for (size_t i = 0; i < s->parts_count; i++)
		found += s->parts[i].count;
	buf_puts(&x->reply, "{\"connections\":[");
	count = survey_put_items(s, s->number, &x->reply);
	buf_printf(&x->reply, "],\"count\":%" PRIu64 "%s}\n", count,
	    found > count ? ",\"more\":true" : "");
	api_answer_list(x);
	survey_free(s);
}

/* NULL: it was refused. */
static struct survey *
prepare(struct exchange *x, void (*ask)(struct survey_part *p),
    void (*finish)(struct survey *s), uint64_t number)
{
	struct survey *s = survey_new(x->worker, ask, finish, x);

	if (s == NULL)
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
	else
		s->number = number;
	return s;
}

static void
start(struct exchange *x, struct survey *s)
{
	exchange_wait(x);
	survey_start(s);
}

void
api_connections_list(struct exchange *x)
{
	struct survey *s;
	struct str text;
	uint64_t limit, after = 0;

	if (!api_read_limit(x, LIST_DEFAULT, LIST_MAX, &limit))
		return;
	if (request_param(&x->request, "after", &text) &&
	    str_to_u64(&after, text, UINT64_MAX) != SW_OK) {
		exchange_refuse(x, 400, "`after` is a connection's id.");
		return;
	}
	if ((s = prepare(x, list_part, finish_list, limit)) == NULL)
		return;
	s->after = after;
	start(x, s);
}

/* A single one. */

static bool
has_number(struct subscriber *s, uint64_t number)
{
	return s->conn->id == number ||
	    (subscriber_visits(s) &&
		session_connection(*subscriber_session(s)) == number);
}

static struct subscriber *
find(const struct worker *w, uint64_t number)
{
	list_each (node, &w->conns) {
		struct subscriber *s =
		    subscriber_of(container_of(node, struct conn, node));

		if (s != NULL && has_number(s, number))
			return s;
	}
	return NULL;
}

static void
describe_part(struct survey_part *p)
{
	const struct subscriber *s = find(p->worker, p->survey->number);

	if (s == NULL)
		return;
	put_connection(&p->out, s->conn, s);
	p->count = 1;
}

/* True: it counts. Of a session that ends, it is not its polls that do. */
static bool
close_one(struct subscriber *s, uint64_t number, bool comes_back)
{
	bool counts = comes_back || s->conn->id == number;

	/* A poll that may come back is just answered before its time. */
	if (comes_back && !s->transport->streams)
		poll_release(s);
	else
		subscriber_close(
		    s, comes_back ? CLOSE_RECONNECT : CLOSE_KICKED);
	return counts;
}

static void
close_part(struct survey_part *p)
{
	uint64_t number = p->survey->number;

	list_each_safe (node, after, &p->worker->conns) {
		struct subscriber *s =
		    subscriber_of(container_of(node, struct conn, node));

		if (s != NULL && has_number(s, number) &&
		    close_one(s, number, p->survey->flag))
			p->count++;
	}
	/* Sessions are the gateway's: one of the workers ends them. */
	if (p->worker->index == 0 && !p->survey->flag)
		p->count +=
		    sessions_kick(gateway_sessions(p->worker->gateway), number);
}

static const struct survey_part *
find_part(const struct survey *s)
{
	for (size_t i = 0; i < s->parts_count; i++)
		if (s->parts[i].count > 0)
			return &s->parts[i];
	return NULL;
}

static void
finish_one(struct survey *s)
{
	struct exchange *x = s->ctx;
	const struct survey_part *p = find_part(s);

	if (p == NULL) {
		exchange_refuse(x, 404,
		    "No subscriber has this id; a poll has one only while it "
		    "waits.");
	} else if (buf_error(&p->out) != SW_OK) {
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
	} else if (buf_len(&p->out) == 0) {
		exchange_answer(x, 204, "application/json");
	} else {
		buf_put_str(&x->reply, buf_str(&p->out));
		buf_puts(&x->reply, "\n");
		exchange_answer(x, 200, "application/json");
	}
	survey_free(s);
}

void
api_connection_describe(struct exchange *x, uint64_t id)
{
	struct survey *s = prepare(x, describe_part, finish_one, id);

	if (s != NULL)
		start(x, s);
}

/* Who shall be gone for good must not come back because of a misspelt word. */
bool
api_reads_reconnect(struct exchange *x, bool *out)
{
	struct str text;

	*out = false;
	if (!request_param(&x->request, "reconnect", &text))
		return true;
	*out = str_is(text, "yes");
	if (*out || str_is(text, "no"))
		return true;
	exchange_refuse(x, 400, "`reconnect` is yes or no.");
	return false;
}

void
api_connection_close(struct exchange *x, uint64_t id)
{
	struct survey *s;
	bool comes_back;

	if (!api_reads_reconnect(x, &comes_back) ||
	    (s = prepare(x, close_part, finish_one, id)) == NULL)
		return;
	s->flag = comes_back;
	start(x, s);
}
