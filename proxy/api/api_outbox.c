#include "proxy/api/api_outbox.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/utf8.h"
#include "proxy/bridge/bridge_letter.h"
#include "proxy/publish/send.h"
#include "proxy/worker.h"
#include "storage/outbox/outbox.h"

enum {
	LIST_DEFAULT = 100,
	/* Of a letter's data that are shown. */
	SHOWN_MAX = 4096,
	ANSWER_MAX = 16 << 20,
};

/* A question that the outbox's thread works on. */
struct inquiry {
	struct outbox_query query;
	struct exchange *exchange;
	struct buf letters;
};

static void
put_member(struct buf *out, const char *name, struct str value)
{
	if (value.p == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	json_put_string(out, value);
}

/* As much as people look at, of what can be read. */
static void
put_data(struct buf *out, struct str data)
{
	if (data.p == NULL || data.len > SHOWN_MAX ||
	    !utf8_valid(data.p, data.len))
		return;
	put_member(out, "data", data);
}

/* In the outbox's thread. */
static int
put_letter(void *ctx, const struct outbox_letter *letter)
{
	struct inquiry *q = ctx;
	struct buf *out = &q->letters;
	struct bridge_event e;

	buf_puts(out, buf_len(out) == 0 ? "" : ",");
	buf_printf(out,
	    "{\"id\":%" PRIu64 ",\"created\":%" PRIu64 ",\"died\":%" PRIu64
	    ",\"size\":%" PRIu64,
	    letter->id, letter->created_ms, letter->died_ms, letter->size);
	put_member(out, "reason", letter->reason);
	if (bridge_letter_read(&e, letter->data) == SW_OK) {
		put_member(out, "type", str_of(bridge_kind_name(e.kind)));
		put_member(out, "webhookId", e.id);
		buf_printf(out, ",\"connection\":%" PRIu64, e.connection);
		put_member(out, "channel", e.channel);
		put_member(out, "user", e.user);
		put_member(out, "session", e.session);
		put_member(
		    out, "contentType", content_tellable(e.content_type));
		put_data(out, e.data);
	}
	return buf_puts(out, "}");
}

static void
on_answer(struct outbox_query *query)
{
	struct inquiry *q = container_of(query, struct inquiry, query);
	struct exchange *x = q->exchange;
	int err = query->err != SW_OK ? query->err : buf_error(&q->letters);

	if (err != SW_OK) {
		exchange_refuse(
		    x, err_info(err)->http_status, err_info(err)->sentence);
	} else if (query->order == OUTBOX_LIST) {
		buf_puts(&x->reply, "{\"letters\":[");
		buf_put_str(&x->reply, buf_str(&q->letters));
		buf_printf(
		    &x->reply, "],\"count\":%" PRIu64 "}\n", query->count);
		exchange_answer(x, 200, "application/json");
	} else if (query->count == 0 && query->id != 0) {
		exchange_refuse(x, 404, "There is no dead letter of this id.");
	} else {
		buf_printf(
		    &x->reply, "{\"count\":%" PRIu64 "}\n", query->count);
		exchange_answer(x, 200, "application/json");
	}
	buf_fini(&q->letters);
	free(q);
}

static void
ask(struct exchange *x, enum outbox_order order, uint64_t id, uint64_t after,
    uint64_t limit)
{
	struct inquiry *q = calloc(1, sizeof(*q));
	int err = SW_ENOMEM;

	if (q != NULL) {
		buf_init(&q->letters, ANSWER_MAX);
		q->exchange = x;
		q->query = (struct outbox_query){
			.order = order,
			.id = id,
			.after = after,
			.limit = limit,
			.visit = put_letter,
			.ctx = q,
			.loop = x->worker->loop,
			.done = on_answer,
		};
		err = outbox_ask(x->worker->outbox, &q->query);
	}
	if (err == SW_OK) {
		exchange_wait(x);
		return;
	}
	free(q);
	exchange_refuse(x, 503, err_info(err)->sentence);
}

static bool
read_number(struct exchange *x, const char *name, uint64_t max, uint64_t *out)
{
	struct str text;

	if (!request_param(&x->request, name, &text) ||
	    str_to_u64(out, text, max) == SW_OK)
		return true;
	exchange_refuse(x, 400,
	    "`after` is the id of a letter, `limit` a number up to 1000.");
	return false;
}

static void
describe(struct exchange *x)
{
	struct outbox_stats s;

	outbox_stats(x->worker->outbox, &s);
	buf_printf(&x->reply,
	    "{\"healthy\":%s,\"waiting\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"dead\":%" PRIu64 "}\n",
	    s.healthy ? "true" : "false", s.waiting, s.bytes, s.dead);
	exchange_answer(x, 200, "application/json");
}

/* A list has a page; a single letter is a page of one. */
static void
handle_dead(struct exchange *x, uint64_t id)
{
	uint64_t after = 0, limit = LIST_DEFAULT;
	bool lists =
	    x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;

	if (lists && id != 0) {
		exchange_refuse(x, 404,
		    "Letters are listed at /v1/outbox/dead?after=ID&limit=N.");
	} else if (lists) {
		if (read_number(x, "after", INT64_MAX, &after) &&
		    read_number(x, "limit", OUTBOX_LETTERS_MAX, &limit))
			ask(x, OUTBOX_LIST, 0, after, limit);
	} else if (x->request.method == METHOD_POST) {
		ask(x, OUTBOX_RETRY, id, 0, 0);
	} else if (x->request.method == METHOD_DELETE) {
		ask(x, OUTBOX_DROP, id, 0, 0);
	} else {
		x->allow = "GET, HEAD, POST, DELETE";
		exchange_refuse(x, 405,
		    "GET lists dead letters, POST sends them again, DELETE "
		    "drops them.");
	}
}

void
api_outbox(struct exchange *x, struct str rest)
{
	static const char dead[] = "/dead/";
	bool lists =
	    x->request.method == METHOD_GET || x->request.method == METHOD_HEAD;
	uint64_t id;

	if (x->worker->outbox == NULL) {
		exchange_refuse(x, 404, "There is no backend configured.");
	} else if (rest.len == 0 && lists) {
		describe(x);
	} else if (rest.len == 0) {
		exchange_refuse_method(x, "GET, HEAD");
	} else if (str_is(rest, "/dead")) {
		handle_dead(x, 0);
	} else if (str_starts(rest, dead) &&
	    str_to_u64(&id,
		(struct str){
		    rest.p + sizeof(dead) - 1, rest.len - sizeof(dead) + 1 },
		INT64_MAX) == SW_OK &&
	    id > 0) {
		handle_dead(x, id);
	} else {
		exchange_refuse(
		    x, 404, "This is at /v1/outbox and /v1/outbox/dead[/ID].");
	}
}
