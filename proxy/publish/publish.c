#include "proxy/publish/publish.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/api/api.h"
#include "proxy/base/err.h"
#include "proxy/edge/look.h"
#include "proxy/http/response.h"
#include "proxy/publish/send.h"
#include "proxy/worker.h"

enum {
	/* Requests of one connection that wait for the writer. */
	IN_FLIGHT_MAX = 4096,
	KEY_MAX = 255,
	/* After such a body another one is likely to come. */
	LARGE_BODY = 16 << 10,
};

/* An event to be, as its request describes it. */
struct publication {
	struct channel *channel; /* a reference */
	struct str type, content_type, key;
	struct str kept_type; /* the content type, unless it is a default */
	enum event_kind kind;
};

static const char prefix[] = "/v1/channels/";
static const char suffix[] = "/events";

bool
publish_matches(const struct request *r, struct str *channel)
{
	size_t head = sizeof(prefix) - 1, tail = sizeof(suffix) - 1;

	if (r->method != METHOD_POST || r->path.len <= head + tail ||
	    memcmp(r->path.p, prefix, head) != 0 ||
	    memcmp(r->path.p + r->path.len - tail, suffix, tail) != 0)
		return false;
	*channel = (struct str){ r->path.p + head, r->path.len - head - tail };
	return channel_name_valid(*channel);
}

/* What the first look leaves to others: CloudEvents, and the like. */
static bool
is_plain(const struct request *r, struct str content_type)
{
	if (str_starts_nocase(content_type, "application/cloudevents"))
		return false;
	return request_header(r, "ce-specversion").p == NULL &&
	    request_header(r, "ce-id").p == NULL &&
	    request_header(r, "Content-Encoding").p == NULL;
}

void
publish_put_answer(
    struct buf *out, struct worker *w, const struct append_item *item)
{
	struct channel *c = item->event->channel;
	enum durability durable = log_in_memory(w->log) ?
	    DURABILITY_MEMORY :
	    channel_policy(c)->durability;

	buf_puts(out, "{\"id\":\"");
	cursor_put(out, &w->codec.epoch, item->id);
	buf_puts(out, "\",\"time\":");
	buf_put_u64(out, item->time_ms);
	buf_puts(out,
	    item->duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
	buf_puts(out, ",\"durable\":\"");
	buf_puts(out, durability_name(durable));
	buf_puts(out, "\",\"subscribers\":{\"ws\":");
	buf_put_u64(out, item->audience[AUDIENCE_WS]);
	buf_puts(out, ",\"sse\":");
	buf_put_u64(out, item->audience[AUDIENCE_SSE]);
	buf_puts(out, ",\"long\":");
	buf_put_u64(out, item->audience[AUDIENCE_LONG]);
	buf_puts(out, "}}\n");
}

int
publish_failure(int err, const char *reason, const char **detail)
{
	*detail = reason != NULL ? reason : err_info(err)->sentence;
	if (err == SW_EBUSY)
		*detail = "The publish queue is full: see publish-queue-events "
			  "and publish-queue-bytes.";
	return err == SW_ECORRUPT ? 503 : err_info(err)->http_status;
}

/* Answers of one connection are collected until another one's come. */

static struct buf *
answer_buf(struct conn *c)
{
	struct worker *w = c->worker;

	if (w->ack_conn != c) {
		publish_flush(w);
		w->ack_conn = c;
		buf_clear(&w->acks);
	}
	return &w->acks;
}

/*
 * Is it the last one of the connection? Then its answer says so, and what is
 * asked behind it was not done.
 */
static bool
is_last(struct conn *c)
{
	if (c->answers > 0)
		return false;
	if (c->worker->draining && c->role == &look_role && c->in == NULL)
		c->close_after = true;
	return c->close_after;
}

static void
put_success(struct conn *c, const struct append_item *item)
{
	struct worker *w = c->worker;
	struct buf *out = answer_buf(c);
	struct buf *body = &w->text;

	buf_clear(body);
	publish_put_answer(body, w, item);
	response_begin(out, w, item->duplicate ? 200 : 201, !is_last(c));
	buf_puts(out, "Content-Type: application/json\r\nContent-Length: ");
	buf_put_u64(out, buf_len(body));
	buf_puts(out, "\r\n\r\n");
	buf_put_str(out, buf_str(body));
	if (buf_error(body) != SW_OK)
		out->error = buf_error(body);
}

static void
on_published(struct append *a)
{
	struct conn *c = a->owner;
	const char *detail;
	int status;

	if (conn_answered(c)) {
		if (a->err == SW_OK) {
			METRIC_ADD(c->worker->metrics.published, 1);
			put_success(c, &a->items[0]);
		} else {
			METRIC_ADD(c->worker->metrics.publish_refused, 1);
			status = publish_failure(a->err, a->reason, &detail);
			response_put_problem(answer_buf(c), c->worker, status,
			    detail, !is_last(c));
		}
		/* Memory ran out: half an answer is worse than none. */
		if (buf_error(&c->worker->acks) != SW_OK)
			conn_close(c);
	}
	append_free(a);
}

static enum publish_result
refuse(struct conn *c, const struct refusal *why, bool keep_alive)
{
	struct buf out;

	METRIC_ADD(c->worker->metrics.publish_refused, 1);
	METRIC_ADD(c->worker->metrics.fast_requests, 1);
	buf_init(&out, 1 << 16);
	response_put_problem(
	    &out, c->worker, why->status, why->detail, keep_alive);
	if (buf_error(&out) != SW_OK ||
	    conn_send(c, buf_head(&out), buf_len(&out)) != SW_OK)
		conn_close(c);
	else if (!keep_alive)
		look_resume(c, false);
	buf_fini(&out);
	return PUBLISH_REFUSED;
}

/* Why the log, or a channel's limit, does not take an event. */
static struct refusal
refusal_of(int err)
{
	struct refusal r;

	r.status = publish_failure(err, NULL, &r.detail);
	if (err == SW_EINVAL)
		r.detail = "The body is not the JSON that its type says.";
	return r;
}

static int
make_append(struct append **out, struct conn *c, const struct publication *p,
    size_t size)
{
	struct append *a = append_new(1);
	int err;

	if (a == NULL)
		return SW_ENOMEM;
	a->done = on_published;
	a->owner = c;
	err = event_new(&a->items[0].event, p->channel, p->kind, p->type,
	    p->kept_type, size);
	if (err == SW_OK && p->key.p != NULL) {
		a->items[0].key = strndup(p->key.p, p->key.len);
		if (a->items[0].key == NULL)
			err = SW_ENOMEM;
	}
	if (err == SW_OK)
		*out = a;
	else
		append_free(a);
	return err;
}

/* Off to the writer; takes the append. */
static int
submit(struct conn *c, struct append *a, bool keep_alive)
{
	int err = worker_append(c->worker, a);

	if (err != SW_OK) {
		append_free(a);
		return err;
	}
	METRIC_ADD(c->worker->metrics.fast_requests, 1);
	c->close_after = c->close_after || !keep_alive;
	conn_expect(c);
	return SW_OK;
}

/* A body that has not come whole: it is read right into the event. */

struct body {
	struct append *append;
	size_t filled;
	bool keep_alive;
	struct refusal refusal; /* for when earlier requests are answered */
	size_t type_len;
	char type[];
};

static void
body_end(struct conn *c)
{
	struct body *b = c->owner;

	if (b == NULL)
		return;
	append_free(b->append);
	free(b);
	c->owner = NULL;
}

/* What it is shows only now that it is complete. */
static int
settle_kind(struct body *b)
{
	struct event *e = b->append->items[0].event;
	struct str type = { b->type_len > 0 ? b->type : NULL, b->type_len };
	enum event_kind kind;
	int err = content_classify(event_data(e), &type, &kind);

	if (err == SW_OK)
		event_settle(e, kind, type);
	return err;
}

/* Earlier requests are answered: now this one may be refused. */
static void
body_refuse(struct conn *c)
{
	struct body *b = c->owner;
	struct refusal why = b->refusal;
	bool keep_alive = b->keep_alive;

	body_end(c);
	conn_set_role(c, &look_role, NULL);
	refuse(c, &why, keep_alive);
	if (!c->closed && c->role == &look_role)
		look_resume(c, true);
}

static void
body_complete(struct conn *c)
{
	struct body *b = c->owner;
	struct append *a = b->append;
	int err = settle_kind(b);

	if (err == SW_OK) {
		b->append = NULL;
		err = submit(c, a, b->keep_alive);
	}
	if (err == SW_OK) {
		body_end(c);
		conn_set_role(c, &look_role, NULL);
		look_resume(c, true);
		return;
	}
	b->refusal = refusal_of(err);
	loop_clear_timer(&c->timer);
	if (c->answers == 0)
		body_refuse(c);
}

static void
body_read(struct conn *c)
{
	struct body *b = c->owner;
	struct event *e;

	if (b->refusal.status != 0)
		return; /* its turn will come */
	e = b->append->items[0].event;
	while (c->readable && b->filled < e->size) {
		ssize_t n = conn_read(c, event_payload(e) + b->filled,
		    e->size - b->filled, false);

		if (n == SW_EAGAIN)
			return;
		if (n <= 0) {
			conn_close(c);
			return;
		}
		b->filled += (size_t)n;
	}
	if (b->filled < e->size)
		return;
	/* What was asked for came in full: there may be more behind it. */
	c->readable = true;
	body_complete(c);
}

static void
body_ready(struct conn *c, uint32_t events)
{
	if ((events & EPOLLOUT) != 0 && conn_flush(c) == SW_ECLOSED) {
		conn_close(c);
		return;
	}
	if (c->half_open)
		c->readable = true;
	body_read(c);
}

static void
body_timeout(struct conn *c)
{
	struct body *b = c->owner;

	METRIC_LIMIT(c->worker, LIMIT_REQUEST_TIMEOUT);
	b->refusal = (struct refusal){ 408,
		"The body was not complete within request-timeout." };
	b->keep_alive = false;
	if (c->answers == 0)
		body_refuse(c);
}

static const struct conn_role body_role = {
	.name = "publish",
	.ready = body_ready,
	.timeout = body_timeout,
	.end = body_end,
};

/* Takes the append, and reads on into its event. */
static int
await_body(struct conn *c, const struct request *r, struct append *a,
    struct str content_type, struct str body)
{
	struct body *b = calloc(1, sizeof(*b) + content_type.len);

	if (b == NULL) {
		append_free(a);
		return SW_ENOMEM;
	}
	c->large = r->content_length >= LARGE_BODY;
	b->append = a;
	b->filled = body.len;
	b->keep_alive = r->keep_alive;
	b->type_len = content_type.len;
	if (content_type.len > 0)
		memcpy(b->type, content_type.p, content_type.len);
	if (body.len > 0)
		memcpy(event_payload(a->items[0].event), body.p, body.len);
	conn_set_role(c, &body_role, b);
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->request_timeout_ms);
	if (c->readable)
		body_read(c);
	return SW_OK;
}

/*
 * Why it is not taken, and what that counts as (LIMIT_COUNT: as no limit).
 * While earlier requests wait for their answers this is found out, but not
 * told, and again in its turn: so it is counted where it is told.
 */
struct denial {
	struct refusal why;
	enum limit limit;
};

static bool
deny(struct denial *d, enum limit limit, int status, const char *detail)
{
	*d = (struct denial){ { status, detail }, limit };
	return false;
}

static bool
deny_for(struct denial *d, int err)
{
	*d = (struct denial){ refusal_of(err), LIMIT_COUNT };
	return false;
}

/* What the head says of the event; false, and why not. */
static bool
check_head(const struct request *r, struct worker *w, struct publication *p,
    struct denial *d)
{
	if (r->content_length > w->conf->message_max)
		return deny(
		    d, LIMIT_MESSAGE, 413, "The body is above message-max.");
	if (event_type_check(&p->type) != SW_OK)
		return deny(d, LIMIT_COUNT, 400,
		    "Event-Type has 1 to 128 bytes of text and does not "
		    "begin with `spillway.`.");
	if (p->key.p != NULL && (p->key.len == 0 || p->key.len > KEY_MAX))
		return deny(d, LIMIT_COUNT, 400,
		    "Idempotency-Key has 1 to 255 characters.");
	if (p->content_type.len > EVENT_CONTENT_TYPE_MAX)
		return deny(d, LIMIT_COUNT, 400,
		    "Content-Type is above 255 characters.");
	return true;
}

/* Only what else is fine uses up the pace: last of all. */
static bool
check_rest(struct conn *c, const struct request *r, struct str name,
    struct publication *p, struct str body, bool whole, struct denial *d)
{
	int err;

	p->kept_type = p->content_type;
	p->kind = EVENT_BINARY;
	/* Room for what it may turn out to be. */
	if (!whole && p->kept_type.len < CONTENT_BINARY.len)
		p->kept_type = CONTENT_BINARY;
	if (whole &&
	    (err = content_classify(body, &p->kept_type, &p->kind)) != SW_OK)
		return deny_for(d, err);
	err = api_channel(c->worker, name, &p->channel);
	if (err == SW_ELIMIT)
		return deny(d, LIMIT_CHANNELS, 503, channels_too_many);
	if (err != SW_OK)
		return deny_for(d, err);
	return api_paces(c->worker, r, 1) ||
	    deny(d, LIMIT_PUBLISH_RATE, 429, API_TOO_FAST);
}

static int
take(struct conn *c, const struct request *r, const struct publication *p,
    struct str body, bool whole)
{
	struct append *a;
	int err = make_append(&a, c, p, (size_t)r->content_length);

	if (err != SW_OK)
		return err;
	if (!whole)
		return await_body(c, r, a, p->content_type, body);
	c->large = false;
	if (body.len > 0)
		memcpy(event_payload(a->items[0].event), body.p, body.len);
	return submit(c, a, r->keep_alive);
}

/* Answers leave in the order of the requests. */
static enum publish_result
tell(struct conn *c, const struct denial *d, bool keep_alive)
{
	if (c->answers > 0)
		return PUBLISH_WAIT;
	if (d->limit != LIMIT_COUNT)
		METRIC_LIMIT(c->worker, d->limit);
	return refuse(c, &d->why, keep_alive);
}

enum publish_result
publish_take(
    struct conn *c, const struct request *r, struct str name, struct str body)
{
	struct publication p = {
		.type = request_header(r, "Event-Type"),
		.content_type = request_header(r, "Content-Type"),
		.key = request_header(r, "Idempotency-Key"),
	};
	bool whole = body.len >= r->content_length, taken;
	struct denial d;
	int err;

	if (!is_plain(r, p.content_type) || api_authorize(c, r) != SW_OK)
		return c->answers > 0 ? PUBLISH_WAIT : PUBLISH_OTHER;
	if (c->answers >= IN_FLIGHT_MAX)
		return PUBLISH_WAIT;
	if (whole)
		body.len = (size_t)r->content_length;
	taken = check_head(r, c->worker, &p, &d) &&
	    check_rest(c, r, name, &p, body, whole, &d);
	if (taken && (err = take(c, r, &p, body, whole)) != SW_OK)
		taken = deny_for(&d, err);
	channel_unref(p.channel);
	if (!taken)
		return tell(c, &d, whole && r->keep_alive);
	return whole ? PUBLISH_TAKEN : PUBLISH_BODY;
}

void
publish_flush(struct worker *w)
{
	struct conn *c = w->ack_conn;

	if (c == NULL)
		return;
	w->ack_conn = NULL;
	if (conn_send(c, buf_head(&w->acks), buf_len(&w->acks)) != SW_OK) {
		conn_close(c);
		return;
	}
	if (c->role == &look_role) {
		if (c->answers == 0)
			look_resume(c, !c->close_after);
	} else if (c->role == &body_role && c->answers == 0 &&
	    ((struct body *)c->owner)->refusal.status != 0) {
		body_refuse(c);
	}
}
