#include "proxy/lab/lab_api.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/auth/auth.h"
#include "proxy/base/err.h"
#include "proxy/lab/lab_private.h"
#include "proxy/survey.h"
#include "proxy/worker.h"

/* GET clock: for the page to know how far its own is off. */
static void
tell_time(struct exchange *x)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	buf_printf(&x->reply, "{\"now\":%" PRIu64 ".%03u}\n",
	    (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
	    (unsigned)(now.tv_nsec / 1000 % 1000));
	exchange_answer(x, 200, "application/json");
}

/* What is asked of the workers, whose threads cannot see the request. */
struct question {
	struct exchange *exchange;
	char prefix[LAB_NAME_MAX + 1];
	struct lab_order order;
	struct lab_break fault;
	_Atomic int err;
	uint64_t next;
};

static void
ask(struct exchange *x, const struct question *question,
    void (*part)(struct survey_part *p), void (*finish)(struct survey *s))
{
	struct question *q = malloc(sizeof(*q));
	struct survey *s;

	if (q == NULL || (s = survey_new(x->worker, part, finish, q)) == NULL) {
		free(q);
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	*q = *question;
	q->exchange = x;
	exchange_wait(x);
	survey_start(s);
}

/* GET panes/PREFIX */

static void
panes_part(struct survey_part *p)
{
	const struct question *q = p->survey->ctx;

	lab_put_panes(p->worker->lab, &p->out, str_of(q->prefix), &p->count);
}

static void
finish_panes(struct survey *s)
{
	struct question *q = s->ctx;
	struct exchange *x = q->exchange;
	bool first = true;

	buf_puts(&x->reply, "{\"panes\":[");
	for (size_t i = 0; i < s->parts_count; i++) {
		const struct survey_part *p = &s->parts[i];

		if (buf_error(&p->out) != SW_OK)
			x->reply.error = buf_error(&p->out);
		if (p->count == 0)
			continue;
		buf_puts(&x->reply, first ? "" : ",");
		buf_put_str(&x->reply, buf_str(&p->out));
		first = false;
	}
	buf_puts(&x->reply, "]}\n");
	exchange_answer(x, 200, "application/json");
	survey_free(s);
	free(q);
}

static void
tell_panes(struct exchange *x, struct str prefix)
{
	struct question q = { .exchange = x };

	if (!lab_name_valid(prefix)) {
		exchange_refuse(x, 400,
		    "Name the panes: panes/PREFIX, of 1 to 64 of a-z 0-9 -");
		return;
	}
	memcpy(q.prefix, prefix.p, prefix.len);
	ask(x, &q, panes_part, finish_panes);
}

/* PUT publisher/CHANNEL */

/* All publishers live in one place, whoever took the request. */
static void
publisher_part(struct survey_part *p)
{
	struct question *q = p->survey->ctx;

	if (p->worker->index == 0)
		q->err = lab_publish(p->worker->lab, &q->order, &q->next);
}

static void
finish_publisher(struct survey *s)
{
	struct question *q = s->ctx;
	struct exchange *x = q->exchange;
	int err = q->err;

	if (err != SW_OK) {
		exchange_refuse(
		    x, err_info(err)->http_status, err_info(err)->sentence);
	} else {
		buf_printf(&x->reply, "{\"next\":%" PRIu64 "}\n", q->next);
		exchange_answer(x, 200, "application/json");
	}
	survey_free(s);
	free(q);
}

/* A parameter that is a number; `fallback` if it is not there. */
static bool
read_number(const struct request *r, const char *name, uint64_t fallback,
    uint64_t low, uint64_t high, uint64_t *out)
{
	struct str text;

	*out = fallback;
	if (!request_param(r, name, &text))
		return true;
	return str_to_u64(out, text, high) == SW_OK && *out >= low;
}

static const char *
read_order(struct lab_order *o, const struct request *r, struct str channel)
{
	if (!channel_name_valid(channel))
		return "The channel has no valid name.";
	memcpy(o->channel, channel.p, channel.len);
	o->channel[channel.len] = '\0';
	if (!read_number(r, "rate", 1, 0, 1000, &o->rate) ||
	    !read_number(r, "size", 100, 1, 65536, &o->size) ||
	    !read_number(r, "burst", 1, 1, 100, &o->burst) ||
	    !read_number(r, "seconds", 15, 1, 3600, &o->seconds) ||
	    !read_number(r, "next", 1, 1, INT64_MAX, &o->next))
		return "rate is 0 to 1000 a second, size 1 to 65536, burst 1 "
		       "to 100, seconds 1 to 3600, next 1 or more.";
	return NULL;
}

static void
order_publisher(struct exchange *x, struct str channel)
{
	const struct conf *conf = x->worker->conf;
	struct question q = { .exchange = x };
	const char *fault = read_order(&q.order, &x->request, channel), *why;

	if (fault != NULL) {
		exchange_refuse(x, 400, fault);
	} else if (conf_policy(conf, channel)->send != SEND_PUBLISH) {
		/* What clients may not do, the demo does not do for them. */
		exchange_refuse(x, 403,
		    "The demo publishes where clients may: send = publish, in "
		    "a channel block.");
	} else if (auth_may(conf, NULL, AUTH_SEND, channel, &why) != SW_OK) {
		exchange_refuse(x, 403, why);
	} else {
		ask(x, &q, publisher_part, finish_publisher);
	}
}

/* PUT faults/PANE */

static void
break_part(struct survey_part *p)
{
	struct question *q = p->survey->ctx;
	int err = lab_break(p->worker->lab, &q->fault);

	if (err != SW_OK)
		q->err = err;
}

static void
finish_break(struct survey *s)
{
	struct question *q = s->ctx;
	struct exchange *x = q->exchange;

	if (q->err != SW_OK)
		exchange_refuse(x, 503, err_info(q->err)->sentence);
	else
		exchange_answer(x, 204, "application/json");
	survey_free(s);
	free(q);
}

/* "ws,sse" to a bit for each; 0 if one of them is none. */
static unsigned
find_transports(struct str list)
{
	const struct transport *t;
	unsigned found = 0;
	struct str name;

	while (str_cut(&list, ',', &name)) {
		if ((t = transport_find(name)) == NULL)
			return 0;
		found |= 1U << t->id;
	}
	return found;
}

/* All, if it is not there. Pages write a comma as %2C. */
static bool
read_transports(const struct request *r, enum lab_fault fault, unsigned *out)
{
	char room[64];
	struct str list;

	if (!request_param(r, "transports", &list)) {
		/* An answer that is whole is passed on by all of them. */
		*out = fault == LAB_HOLD ?
		    1U << TRANSPORT_WS | 1U << TRANSPORT_SSE :
		    (1U << TRANSPORT_COUNT) - 1;
		return true;
	}
	*out = percent_plain(&list, room, sizeof(room)) ?
	    find_transports(list) :
	    0;
	return *out != 0;
}

static const char *
read_break(struct lab_break *b, const struct request *r, struct str pane)
{
	static const struct {
		uint64_t fallback, low, high;
	} values[LAB_FAULTS + 1] = {
		[LAB_REFUSE] = { 403, 400, 599 },
		[LAB_HOLD] = { 4096, 1, 1 << 20 },
		[LAB_DELAY] = { 200, 0, 60000 },
		[LAB_CAP] = { 2000, 1, 100000000 },
	};
	struct str name;

	if (!lab_name_valid(pane))
		return "Name the pane: faults/NAME, of 1 to 64 of a-z 0-9 -";
	memcpy(b->pane, pane.p, pane.len);
	b->pane[pane.len] = '\0';
	if (!request_param(r, "fault", &name) ||
	    !lab_fault_find(&b->fault, name))
		return "`fault` is refuse, strip, swallow, trim, epoch, mute, "
		       "hold, delay, cap, blackhole, reset, cut, restart, "
		       "expire, or none.";
	if (!read_number(r, "value", values[b->fault].fallback,
		values[b->fault].low, values[b->fault].high, &b->value) ||
	    !read_number(r, "jitter", 0, 0, 60000, &b->jitter) ||
	    !read_number(r, "seconds", 600, 1, 3600, &b->seconds))
		return "value, jitter or seconds is out of bounds.";
	if (!read_transports(r, b->fault, &b->transports))
		return "transports is a list of ws, sse, long and short.";
	return NULL;
}

static void
order_fault(struct exchange *x, struct str pane)
{
	struct question q = { .exchange = x };
	const char *fault = read_break(&q.fault, &x->request, pane);

	if (fault != NULL)
		exchange_refuse(x, 400, fault);
	else
		ask(x, &q, break_part, finish_break);
}

/* Is the path this one, with something behind it? */
static bool
is_below(struct str *path, const char *name)
{
	size_t n = strlen(name);

	if (!str_starts(*path, name))
		return false;
	path->p += n;
	path->len -= n;
	return true;
}

void
lab_api_handle(struct exchange *x, struct str path)
{
	enum method m = x->request.method;
	enum origin origin = origin_judge(x->worker->conf, &x->request);
	bool reads = m == METHOD_GET;

	/* The loopback is no secret: any page in this browser could ask. */
	if (origin != ORIGIN_NONE && origin != ORIGIN_SAME)
		exchange_refuse(x, 403, origin_refusal);
	else if (origin_is_name_of_others(request_header(&x->request, "Host")))
		exchange_refuse(x, 403,
		    "The demo is asked by an address, or as localhost: a name "
		    "may be anybody's.");
	else if (reads && str_is(path, "clock"))
		tell_time(x);
	else if (reads && is_below(&path, "panes/"))
		tell_panes(x, path);
	else if (m == METHOD_PUT && is_below(&path, "publisher/"))
		order_publisher(x, path);
	else if (m == METHOD_PUT && is_below(&path, "faults/"))
		order_fault(x, path);
	else
		exchange_refuse(x, 404, "The demo does not know this request.");
}
