#include "proxy/api/api_publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/api/api.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/http/response.h"
#include "proxy/publish/draft.h"
#include "proxy/publish/publish.h"
#include "proxy/publish/send.h"
#include "proxy/worker.h"

/* Answers. */

void
api_publish_refuse(struct exchange *x, int status, const char *detail)
{
	METRIC_ADD(x->worker->metrics.publish_refused, 1);
	exchange_refuse(x, status, detail);
}

static void
answer_failure(struct exchange *x, const struct append *a)
{
	const char *detail;
	int status = publish_failure(a->err, a->reason, &detail);

	api_publish_refuse(x, status, detail);
}

static void
on_published(struct append *a)
{
	struct exchange *x = a->owner;

	if (a->err != SW_OK) {
		answer_failure(x, a);
	} else {
		METRIC_ADD(x->worker->metrics.published, 1);
		publish_put_answer(&x->reply, x->worker, &a->items[0]);
		exchange_answer(
		    x, a->items[0].duplicate ? 200 : 201, "application/json");
	}
	append_free(a);
}

/* {"count":100,"duplicates":0,"ids":["k3x9-1",...]} */
static void
on_batch_published(struct append *a)
{
	struct exchange *x = a->owner;
	struct buf *out = &x->reply;
	size_t duplicates = 0;

	if (a->err != SW_OK) {
		answer_failure(x, a);
		append_free(a);
		return;
	}
	METRIC_ADD(x->worker->metrics.published, a->count);
	for (size_t i = 0; i < a->count; i++)
		duplicates += a->items[i].duplicate;
	buf_printf(out, "{\"count\":%zu,\"duplicates\":%zu,\"ids\":[", a->count,
	    duplicates);
	for (size_t i = 0; i < a->count; i++) {
		buf_puts(out, i == 0 ? "\"" : ",\"");
		cursor_put(out, &x->worker->codec.epoch, a->items[i].id);
		buf_puts(out, "\"");
	}
	buf_puts(out, "]}\n");
	exchange_answer(x, 201, "application/json");
	append_free(a);
}

static void
answer_empty(struct exchange *x)
{
	buf_puts(&x->reply, "{\"count\":0,\"duplicates\":0,\"ids\":[]}\n");
	exchange_answer(x, 200, "application/json");
}

/* Off to the writer; takes the append. */
static void
submit(struct exchange *x, struct append *a, void (*done)(struct append *a))
{
	const char *detail;
	int err, status;

	if (!api_paces(x->worker, &x->request, a->count)) {
		append_free(a);
		METRIC_LIMIT(x->worker, LIMIT_PUBLISH_RATE);
		api_publish_refuse(x, 429, API_TOO_FAST);
		return;
	}
	a->done = done;
	a->owner = x;
	if ((err = worker_append(x->worker, a)) == SW_OK) {
		exchange_wait(x);
		return;
	}
	append_free(a);
	status = publish_failure(err, NULL, &detail);
	api_publish_refuse(x, status, detail);
}

/* One event. */

static bool
read_one(struct exchange *x, struct draft *d, struct refusal *f)
{
	const struct request *r = &x->request;

	d->content_type = request_header(r, "Content-Type");
	d->data = x->body;
	if (content_is_coded(r))
		return draft_fault(f, 415, content_coded_help);
	if (media_is(d->content_type, "application/cloudevents+json")) {
		d->content_type = (struct str){ NULL, 0 };
		if (!json_valid(x->body))
			return draft_fault(f, 400, "The body is not JSON.");
		return draft_read_cloud_object(d, x->body, f);
	}
	/* Its first letters alone say that it is an event in some format. */
	if (str_starts_nocase(d->content_type, "application/cloudevents"))
		return draft_fault(f, 415,
		    "A CloudEvent is read as application/cloudevents+json; "
		    "batches go to /v1/events?channel=.");
	if (request_header(r, "ce-specversion").p != NULL ||
	    request_header(r, "ce-id").p != NULL)
		return draft_read_cloud_headers(x, d, f);
	d->type = request_header(r, "Event-Type");
	d->key = request_header(r, "Idempotency-Key");
	return true;
}

void
api_publish_one(struct exchange *x, struct str channel)
{
	struct append *a = append_new(1);
	struct draft d;
	struct refusal f = { 503, err_info(SW_ENOMEM)->sentence };

	draft_init(&d, 4 * x->body.len + (256 << 10));
	if (a != NULL && read_one(x, &d, &f)) {
		d.channel = channel;
		if (draft_event(&d, x->worker, &a->items[0], &f)) {
			submit(x, a, on_published);
			draft_fini(&d);
			return;
		}
	}
	api_publish_refuse(x, f.status, f.detail);
	draft_fini(&d);
	append_free(a);
}

/* Batches. */

/* Elements of a CloudEvents batch go to the channel named in the query. */
static bool
read_element(
    struct exchange *x, struct draft *d, struct str element, struct refusal *f)
{
	if (!request_param(&x->request, "channel", &d->channel) ||
	    !percent_plain(&d->channel, x->channel, sizeof(x->channel)))
		return draft_fault(
		    f, 400, "needs `?channel=`: a CloudEvent names no channel");
	return draft_read_cloud_object(d, element, f);
}

/* The pieces of a batch, one after the other. */
struct pieces {
	bool elements; /* of a JSON array; else lines */
	struct json_iter it;
	struct str rest;
	size_t line;
};

static bool
next_piece(struct pieces *p, struct str *out)
{
	if (p->elements) {
		p->line++;
		return json_element(&p->it, out);
	}
	while (str_cut(&p->rest, '\n', out)) {
		p->line++;
		*out = str_trim(*out);
		if (out->len > 0 && out->p[out->len - 1] == '\r')
			out->len--;
		if (out->len > 0)
			return true;
	}
	return false;
}

static size_t
count_pieces(struct pieces p)
{
	struct str piece;
	size_t n = 0;

	while (next_piece(&p, &piece))
		n++;
	return n;
}

/* Nothing of the batch is stored: every bad line is told. */
static void
answer_bad_lines(struct exchange *x, struct buf *lines, int status)
{
	struct buf *out = &x->reply;

	METRIC_ADD(x->worker->metrics.publish_refused, 1);
	buf_clear(out);
	buf_printf(out,
	    "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
	    "\"detail\":\"Nothing was stored: see the lines.\",\"lines\":[",
	    status_reason(status), status);
	buf_put_str(out, buf_str(lines));
	buf_puts(out, "]}\n");
	exchange_answer(x, status, "application/problem+json");
}

static void
note_bad_line(struct buf *lines, size_t line, const struct refusal *f)
{
	buf_printf(lines,
	    "%s{\"line\":%zu,\"detail\":", buf_len(lines) == 0 ? "" : ",",
	    line);
	json_put_string(lines, str_of(f->detail));
	buf_puts(lines, "}");
}

/* Read all pieces into the append; bad ones go to `lines`. */
static int
read_pieces(
    struct exchange *x, struct pieces *p, struct append *a, struct buf *lines)
{
	enum { BAD_LINES_MAX = 100 };
	struct str piece;
	size_t bad = 0;
	int status = 0;

	a->count = 0;
	while (bad < BAD_LINES_MAX && next_piece(p, &piece)) {
		struct draft d;
		struct refusal f = { 400, "" };
		bool good;

		draft_init(&d, 4 * piece.len + (64 << 10));
		good = p->elements ? read_element(x, &d, piece, &f) :
				     draft_read_object(&d, piece, &f);
		if (good)
			good =
			    draft_event(&d, x->worker, &a->items[a->count], &f);
		/* Counted first: a half-made item is freed with the others. */
		a->count++;
		if (!good) {
			note_bad_line(lines, p->line, &f);
			status = f.status > status ? f.status : status;
			bad++;
		}
		draft_fini(&d);
	}
	return status;
}

static bool
open_pieces(struct exchange *x, struct pieces *p)
{
	struct str type = request_header(&x->request, "Content-Type");

	*p = (struct pieces){ .rest = x->body };
	if (media_is(type, "application/cloudevents-batch+json")) {
		p->elements = true;
		if (!json_valid(x->body) || !json_array(&p->it, x->body)) {
			api_publish_refuse(x, 400, "The body is not an array.");
			return false;
		}
	}
	return true;
}

void
api_publish_batch(struct exchange *x)
{
	const struct conf *conf = x->worker->conf;
	struct pieces p;
	struct append *a;
	struct buf lines;
	size_t n;
	int status;

	if (content_is_coded(&x->request)) {
		api_publish_refuse(x, 415, content_coded_help);
		return;
	}
	if (x->body.len > conf->batch_max) {
		METRIC_LIMIT(x->worker, LIMIT_BATCH);
		api_publish_refuse(x, 413, "The body is above batch-max.");
		return;
	}
	if (!open_pieces(x, &p))
		return;
	n = count_pieces(p);
	/* "Also valid in a request" (CloudEvents' JSON format, 4). */
	if (n == 0 && p.elements) {
		answer_empty(x);
		return;
	}
	if (n == 0 || n > conf->batch_events_max) {
		if (n > 0)
			METRIC_LIMIT(x->worker, LIMIT_BATCH_EVENTS);
		api_publish_refuse(x, n == 0 ? 400 : 413,
		    n == 0 ? "The batch is empty: one JSON object a line." :
			     "The batch is above batch-events-max.");
		return;
	}
	a = append_new(n);
	if (a == NULL) {
		api_publish_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	buf_init(&lines, 1 << 20);
	status = read_pieces(x, &p, a, &lines);
	if (status == 0) {
		submit(x, a, on_batch_published);
	} else {
		answer_bad_lines(x, &lines, status);
		append_free(a);
	}
	buf_fini(&lines);
}
