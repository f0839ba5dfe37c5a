#include "proxy/api/api_channels.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/api/api.h"
#include "proxy/base/err.h"
#include "proxy/worker.h"

enum {
	LIST_DEFAULT = 100,
	LIST_MAX = 10000,
};

/* A question about channels, on its way to the store and back. */
struct inquiry {
	struct log_read read;
	struct exchange *x;
	bool list;
	bool more; /* the list goes on */
	size_t count;
	struct history_span spans[];
};

static void
inquiry_free(struct inquiry *q)
{
	for (size_t i = 0; i < q->count; i++)
		channel_unref(q->spans[i].channel);
	free(q);
}

static void
put_cursor(
    struct buf *out, const struct worker *w, const char *name, uint64_t id)
{
	buf_printf(out, ",\"%s\":", name);
	if (id == 0) {
		buf_puts(out, "null");
		return;
	}
	buf_puts(out, "\"");
	cursor_put(out, &w->codec.epoch, id);
	buf_puts(out, "\"");
}

static const char *
send_name(enum send_mode mode)
{
	static const char *const names[] = {
		[SEND_OFF] = "off",
		[SEND_PUBLISH] = "publish",
		[SEND_ECHO] = "echo",
		[SEND_BRIDGE] = "bridge",
	};

	return names[mode];
}

/* What the window says, for channels that are in memory alone. */
static void
span_of_window(struct worker *w, struct history_span *span)
{
	struct hub_channel *hc = hub_channel_find(&w->hub, span->channel->name);
	const struct event *first, *last;
	uint32_t kept;

	if (hc == NULL)
		return;
	kept = hub_channel_kept(&w->hub, hc, 0);
	if (kept == hc->window.count)
		return;
	first = window_at(&hc->window, kept);
	last = window_at(&hc->window, hc->window.count - 1);
	span->first = (struct store_row){ .id = first->id,
		.number = first->number,
		.total = first->total - first->size };
	span->last = (struct store_row){
		.id = last->id, .number = last->number, .total = last->total
	};
}

static void
put_channel(struct buf *out, struct worker *w, struct history_span *span)
{
	struct channel *c = span->channel;
	const struct policy *p = channel_policy(c);
	uint64_t depth;

	if (p->durability == DURABILITY_MEMORY)
		span_of_window(w, span);
	depth = span->first.id == 0 ?
	    0 :
	    span->last.number - span->first.number + 1;
	buf_puts(out, "{\"name\":\"");
	buf_put_str(out, c->name);
	buf_printf(out, "\",\"depth\":%" PRIu64, depth);
	put_cursor(out, w, "first", span->first.id);
	put_cursor(out, w, "last", channel_has_head(c) ? channel_head(c) : 0);
	buf_printf(out,
	    ",\"subscribers\":{\"ws\":%u,\"sse\":%u,\"long\":%u}"
	    ",\"pattern\":\"%s\",\"durability\":\"%s\",\"send\":\"%s\""
	    ",\"retention\":{\"events\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"ageSeconds\":%" PRIu64 "}}",
	    atomic_load(&c->subscribers[AUDIENCE_WS]),
	    atomic_load(&c->subscribers[AUDIENCE_SSE]),
	    atomic_load(&c->subscribers[AUDIENCE_LONG]), p->pattern,
	    durability_name(p->durability), send_name(p->send),
	    p->history_events, p->history_bytes, p->history_age_ms / 1000);
}

static void
on_spans(struct task *t)
{
	struct log_read *r = container_of(t, struct log_read, task);
	struct inquiry *q = container_of(r, struct inquiry, read);
	struct exchange *x = q->x;
	struct buf *out = &x->reply;

	if (r->err != SW_OK) {
		exchange_refuse(x, 503, err_info(r->err)->sentence);
		inquiry_free(q);
		return;
	}
	if (q->list)
		buf_puts(out, "{\"channels\":[");
	for (size_t i = 0; i < q->count; i++) {
		buf_puts(out, i == 0 ? "" : ",");
		put_channel(out, x->worker, &q->spans[i]);
	}
	if (q->list)
		buf_puts(out, q->more ? "],\"more\":true}" : "]}");
	buf_puts(out, "\n");
	exchange_answer(x, 200, "application/json");
	inquiry_free(q);
}

static struct inquiry *
inquiry_new(struct exchange *x, size_t room)
{
	struct inquiry *q = calloc(1, sizeof(*q) + room * sizeof(q->spans[0]));

	if (q == NULL)
		return NULL;
	q->x = x;
	q->read.spans = q->spans;
	q->read.loop = x->worker->loop;
	q->read.unix_ms = loop_unix_ms(x->worker->loop);
	q->read.task.run = on_spans;
	return q;
}

/* Takes the inquiry. */
static void
ask(struct inquiry *q)
{
	struct exchange *x = q->x;

	q->read.span_count = q->count;
	if (log_read(x->worker->log, &q->read) == SW_OK) {
		exchange_wait(x);
		return;
	}
	exchange_refuse(x, 503, err_info(SW_ECLOSED)->sentence);
	inquiry_free(q);
}

static bool
is_known(const struct channel *c)
{
	return channel_has_head(c) ||
	    atomic_load(&c->subscribers[AUDIENCE_WS]) > 0 ||
	    atomic_load(&c->subscribers[AUDIENCE_SSE]) > 0 ||
	    atomic_load(&c->subscribers[AUDIENCE_LONG]) > 0;
}

void
api_channel_describe(struct exchange *x, struct str name)
{
	struct channel *c = channels_find(x->worker->channels, name);
	struct inquiry *q;

	if (c == NULL || !is_known(c)) {
		channel_unref(c);
		exchange_refuse(x, 404,
		    "The channel has no event that is known, and no "
		    "subscriber.");
		return;
	}
	q = inquiry_new(x, 1);
	if (q == NULL) {
		channel_unref(c);
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	q->spans[q->count++].channel = c;
	ask(q);
}

/*
 * Listing: the names behind `after`, in order, as many as asked for. There may
 * be a million: they are looked at some at a time, between a worker's turns.
 */
enum { LOOKED_AT = 4096 };

struct listing {
	struct task task;
	struct exchange *x;
	uint32_t hand;             /* number of the next channel to look at */
	struct channel **channels; /* references; room for limit + LOOKED_AT */
	size_t count, limit;       /* one more than asked for */
	struct channel *last;      /* what is behind it is not asked for */
	struct str after, prefix;  /* of `texts` */
	char texts[2][CHANNEL_NAME_MAX];
};

static int
compare_names(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

static int
compare_channels(const void *a, const void *b)
{
	const struct channel *x = *(struct channel *const *)a;
	const struct channel *y = *(struct channel *const *)b;

	return compare_names(x->name, y->name);
}

static bool
is_listed(const struct listing *l, const struct channel *c)
{
	return is_known(c) &&
	    (l->last == NULL || compare_names(c->name, l->last->name) < 0) &&
	    compare_names(c->name, l->after) > 0 &&
	    c->name.len >= l->prefix.len &&
	    memcmp(c->name.p, l->prefix.p, l->prefix.len) == 0;
}

static void
look_at(void *ctx, struct channel *c)
{
	struct listing *l = ctx;

	if (is_listed(l, c))
		l->channels[l->count++] = channel_ref(c);
}

/* Most of a million are behind those that are asked for: they need not stay. */
static void
keep_first(struct listing *l)
{
	if (l->count > 0)
		qsort(l->channels, l->count, sizeof(struct channel *),
		    compare_channels);
	while (l->count > l->limit)
		channel_unref(l->channels[--l->count]);
	if (l->count == l->limit)
		l->last = l->channels[l->count - 1];
}

static void
listing_free(struct listing *l)
{
	while (l->count > 0)
		channel_unref(l->channels[--l->count]);
	free(l->channels);
	free(l);
}

/* All were looked at: what is kept of those that are listed? */
static void
finish_listing(struct listing *l)
{
	size_t asked = l->limit - 1;
	struct inquiry *q =
	    inquiry_new(l->x, l->count < asked ? l->count : asked);

	if (q == NULL) {
		exchange_refuse(l->x, 503, err_info(SW_ENOMEM)->sentence);
		listing_free(l);
		return;
	}
	q->list = true;
	q->more = l->count > asked;
	for (size_t i = 0; i < l->count && i < asked; i++)
		q->spans[q->count++].channel = channel_ref(l->channels[i]);
	listing_free(l);
	ask(q);
}

static void
look_on(struct task *t)
{
	struct listing *l = container_of(t, struct listing, task);
	struct worker *w = l->x->worker;
	bool more;

	do {
		more =
		    channels_visit(w->channels, l->hand, LOOKED_AT, look_at, l);
		l->hand += LOOKED_AT;
		keep_first(l);
		/* There may be no further turn. */
	} while (more && w->draining);
	if (!more) {
		finish_listing(l);
		return;
	}
	exchange_wait(l->x);
	loop_post(w->loop, t);
}

static struct listing *
listing_new(struct exchange *x, size_t limit)
{
	struct listing *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->x = x;
	l->task.run = look_on;
	l->limit = limit + 1;
	l->channels = calloc(l->limit + LOOKED_AT, sizeof(struct channel *));
	if (l->channels == NULL) {
		free(l);
		return NULL;
	}
	return l;
}

/* A parameter, in a place that outlives the turn; "" without it. */
static bool
keep_param(
    const struct exchange *x, const char *name, char *room, struct str *out)
{
	struct str text = STR("");

	request_param(&x->request, name, &text);
	if (!percent_plain(&text, room, CHANNEL_NAME_MAX) ||
	    text.len > CHANNEL_NAME_MAX)
		return false;
	memmove(room, text.p, text.len);
	*out = (struct str){ room, text.len };
	return true;
}

void
api_channels_list(struct exchange *x)
{
	struct listing *l;
	uint64_t limit;

	if (!api_read_limit(x, LIST_DEFAULT, LIST_MAX, &limit))
		return;
	l = listing_new(x, (size_t)limit);
	if (l == NULL) {
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	if (!keep_param(x, "after", l->texts[0], &l->after) ||
	    !keep_param(x, "prefix", l->texts[1], &l->prefix)) {
		exchange_refuse(x, 400,
		    "`after` is a channel's name, `prefix` how it begins.");
		listing_free(l);
		return;
	}
	look_on(&l->task);
}

/* Deleting. */

static void
on_cleared(struct append *a)
{
	struct exchange *x = a->owner;

	if (a->err == SW_OK)
		exchange_answer(x, 204, "application/json");
	else
		exchange_refuse(x, 503,
		    a->reason != NULL ? a->reason : err_info(a->err)->sentence);
	append_free(a);
}

void
api_channel_delete(struct exchange *x, struct str name)
{
	struct channel *c = channels_find(x->worker->channels, name);
	struct append *a;

	if (c == NULL || !is_known(c)) {
		channel_unref(c);
		exchange_refuse(x, 404, "There is no such channel.");
		return;
	}
	a = append_new(0);
	if (a == NULL) {
		channel_unref(c);
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	a->clear = c;
	a->done = on_cleared;
	a->owner = x;
	if (worker_append(x->worker, a) == SW_OK) {
		exchange_wait(x);
		return;
	}
	append_free(a);
	exchange_refuse(x, 503, "The publish queue is full.");
}
