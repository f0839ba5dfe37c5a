#include "proxy/api/api_history.h"

#include <stdlib.h>

#include "proxy/api/api.h"
#include "proxy/base/err.h"
#include "proxy/worker.h"

enum { HISTORY_BYTES = 8 << 20 };

struct history_inquiry {
	struct log_read read;
	struct exchange *x;
	struct cursor after;
	bool resumes; /* at `after`; what went before is no loss else */
	bool gap_epoch, gap_ahead;
	/* Where the log stood: an answer without events ends there. */
	uint64_t head;
	struct history_part part;
};

static void
put_history(struct buf *out, struct history_inquiry *h, struct event **events,
    size_t count, bool more)
{
	struct worker *w = h->x->worker;
	uint64_t cursor = count > 0 ? events[count - 1]->id : h->head;

	buf_puts(out, "{\"cursor\":\"");
	cursor_put(out, &w->codec.epoch, cursor);
	buf_puts(out, "\",\"events\":[");
	for (size_t i = 0; i < count; i++) {
		buf_puts(out, i == 0 ? "" : ",");
		envelope_put(out, &w->codec.epoch, events[i]);
	}
	buf_puts(out, "]");
	if (h->gap_epoch || h->gap_ahead || (h->resumes && h->part.gap)) {
		const struct notice n = {
			.type = NOTICE_GAP,
			.reason = h->gap_epoch ? GAP_EPOCH :
			    h->gap_ahead       ? GAP_AHEAD :
						 GAP_TRIMMED,
			.after = h->after,
			.first = count > 0 ? events[0]->id : 0,
		};

		buf_puts(out, ",\"gap\":");
		notice_put_gap(out, &w->codec.epoch, &n);
	}
	buf_puts(out, more ? ",\"more\":true}\n" : "}\n");
}

static void
on_history(struct task *t)
{
	struct log_read *r = container_of(t, struct log_read, task);
	struct history_inquiry *h =
	    container_of(r, struct history_inquiry, read);
	struct exchange *x = h->x;

	if (r->err != SW_OK) {
		exchange_refuse(x, 503, err_info(r->err)->sentence);
	} else {
		put_history(&x->reply, h, r->query.events, r->query.count,
		    r->query.more);
		history_query_fini(&r->query);
		exchange_answer(x, 200, "application/json");
	}
	channel_unref(h->part.channel);
	free(h);
}

/* The index of the window's first event that is asked for. */
static uint32_t
find_start(struct history_inquiry *h, const struct hub_channel *hc)
{
	const struct hub *hub = &h->x->worker->hub;
	const struct window *w = &hc->window;
	uint64_t last = h->read.query.last, after = h->part.after;
	uint32_t kept = hub_channel_kept(hub, hc, after);

	if (last > 0)
		return w->count - kept > last ? w->count - (uint32_t)last :
						kept;
	h->part.gap = after < w->after || kept > window_find(w, after);
	return kept;
}

/* A channel in memory: what the window has. */
static void
answer_from_window(struct history_inquiry *h)
{
	struct exchange *x = h->x;
	struct hub *hub = &x->worker->hub;
	struct channel *c = h->part.channel;
	struct hub_channel *hc = hub_channel_find(hub, c->name);
	struct history_query *q = &h->read.query;
	struct event **events = calloc(q->limit, sizeof(*events));
	uint32_t i, n = 0;

	if (events == NULL) {
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	/* The log may be ahead of the window. */
	h->head = h->part.after > hub->seen ? h->part.after : hub->seen;
	if (hc != NULL) {
		i = find_start(h, hc);
		while (n < q->limit && i < hc->window.count)
			events[n++] = window_at(&hc->window, i++);
		q->more = i < hc->window.count;
	} else {
		h->part.gap = h->part.after < hub_known_after(hub, c);
	}
	put_history(&x->reply, h, events, n, q->more);
	free(events);
	exchange_answer(x, 200, "application/json");
}

static bool
read_range(struct exchange *x, struct history_inquiry *h)
{
	struct worker *w = x->worker;
	struct history_query *q = &h->read.query;
	struct str text;
	uint64_t limit;

	if (!api_read_limit(
		x, w->conf->poll_limit, w->conf->poll_limit_max, &limit))
		return false;
	q->limit = (size_t)limit;
	q->max_bytes = HISTORY_BYTES;
	if (request_param(&x->request, "last", &text)) {
		if (str_to_u64(&q->last, text, limit) != SW_OK ||
		    q->last == 0) {
			exchange_refuse(
			    x, 400, "`last` is a number, from 1 to `limit`.");
			return false;
		}
		return true;
	}
	if (!request_param(&x->request, "after", &text) ||
	    str_is(text, "start"))
		return true;
	if (cursor_parse(&h->after, text) != SW_OK) {
		exchange_refuse(
		    x, 400, "`after` is the id of an event, or `start`.");
		return false;
	}
	h->gap_epoch = strcmp(h->after.epoch.text, w->codec.epoch.text) != 0;
	h->gap_ahead = !h->gap_epoch && h->after.seq > h->head;
	h->resumes = !h->gap_epoch && !h->gap_ahead;
	if (h->resumes)
		h->part.after = h->after.seq;
	return true;
}

void
api_history(struct exchange *x, struct str name)
{
	struct worker *w = x->worker;
	struct channel *c = channels_find(w->channels, name);
	struct history_inquiry *h = calloc(1, sizeof(*h));

	if (c == NULL || h == NULL) {
		exchange_refuse(x, c == NULL ? 404 : 503,
		    c == NULL ? "There is no such channel." :
				err_info(SW_ENOMEM)->sentence);
		channel_unref(c);
		free(h);
		return;
	}
	h->x = x;
	h->part.channel = c;
	/* Before the channel's: what comes in between is no part of it. */
	h->head = log_head(w->log);
	if (!read_range(x, h)) {
		channel_unref(c);
		free(h);
		return;
	}
	if (channel_policy(c)->durability == DURABILITY_MEMORY) {
		answer_from_window(h);
		channel_unref(c);
		free(h);
		return;
	}
	h->part.newest = channel_head(c);
	h->read.query.parts = &h->part;
	h->read.query.part_count = 1;
	h->read.loop = w->loop;
	h->read.unix_ms = loop_unix_ms(w->loop);
	h->read.task.run = on_history;
	if (log_read(w->log, &h->read) == SW_OK) {
		exchange_wait(x);
		return;
	}
	exchange_refuse(x, 503, err_info(SW_ECLOSED)->sentence);
	channel_unref(c);
	free(h);
}
