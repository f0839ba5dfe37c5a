/*
 * The demo's own publisher. It stands in the gateway so that a rate is a rate,
 * whatever the browser does with the timers of a page that nobody looks at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/lab/lab_private.h"
#include "proxy/worker.h"

enum {
	PUBLISHERS_MAX = 64,
	/* Late by more than this, it leaves out what it should have said. */
	LATE_MS = 1000,
};

struct publisher {
	struct list node; /* of the lab's */
	struct timer timer;
	struct lab *lab;
	struct channel *channel; /* a reference */
	struct lab_order order;
	uint64_t begun_ms; /* when this rate began */
	uint64_t bursts;   /* since then */
	uint64_t until_ms;
	uint64_t next; /* the number of the next event */
};

static void
publisher_free(struct publisher *p)
{
	loop_clear_timer(&p->timer);
	list_remove(&p->node);
	channel_unref(p->channel);
	free(p);
}

void
lab_stop_publishers(struct lab *l)
{
	list_each_safe (node, after, &l->publishers)
		publisher_free(container_of(node, struct publisher, node));
}

/*
 * Letters without a pattern: of a row of dots a WebSocket's compression would
 * leave next to nothing, which is no news that anybody has.
 */
static void
put_pad(char *out, size_t len, uint64_t number)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz0123456789-_";
	uint64_t bits = (number + 1) * 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < len; i++) { /* Marsaglia's xorshift64 */
		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		out[i] = letters[bits >> 58];
	}
}

/* {"n":17,"t":1763634245123.456,"pad":"..."}: size is that of the whole. */
static size_t
print_payload(
    char *out, size_t room, const struct publisher *p, uint64_t number)
{
	struct timespec now;
	size_t len, total = (size_t)p->order.size;

	clock_gettime(CLOCK_REALTIME, &now);
	len = (size_t)snprintf(out, room,
	    "{\"n\":%" PRIu64 ",\"t\":%" PRIu64 ".%03u,\"pad\":\"", number,
	    (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
	    (unsigned)(now.tv_nsec / 1000 % 1000));
	if (len + 2 < total) {
		put_pad(out + len, total - len - 2, number);
		len = total - 2;
	}
	out[len++] = '"';
	out[len++] = '}';
	return len;
}

/* As many as one burst has, in one request to the writer. */
static int
publish_burst(struct publisher *p)
{
	enum { HEAD_ROOM = 96 };
	size_t room = (size_t)p->order.size + HEAD_ROOM;
	struct append *a = append_new((size_t)p->order.burst);
	char *text = malloc(room);
	int err = a == NULL || text == NULL ? SW_ENOMEM : SW_OK;

	for (size_t i = 0; err == SW_OK && i < p->order.burst; i++) {
		size_t len = print_payload(text, room, p, p->next + i);

		err = event_new(&a->items[i].event, p->channel, EVENT_JSON,
		    STR(""), STR(""), len);
		if (err == SW_OK)
			memcpy(event_payload(a->items[i].event), text, len);
	}
	free(text);
	if (err == SW_OK) {
		a->done = append_free;
		err = worker_append(p->lab->worker, a);
	}
	if (err != SW_OK) {
		append_free(a);
		return err;
	}
	p->next += p->order.burst;
	return SW_OK;
}

/* When the burst of that number is due. */
static uint64_t
due_ms(const struct publisher *p, uint64_t burst)
{
	return p->begun_ms + burst * 1000 * p->order.burst / p->order.rate;
}

static void
on_time(struct timer *t)
{
	struct publisher *p = container_of(t, struct publisher, timer);
	struct worker *w = p->lab->worker;
	uint64_t now = loop_now_ms(w->loop);

	if (now >= p->until_ms || w->draining) {
		log_debug("demo: nobody renews the publisher of channel=%s",
		    p->order.channel);
		publisher_free(p);
		return;
	}
	if (now > due_ms(p, p->bursts) + LATE_MS) {
		p->begun_ms = now;
		p->bursts = 0;
	}
	/* The queue is full: the same numbers, a little later. */
	while (due_ms(p, p->bursts) <= now && publish_burst(p) == SW_OK)
		p->bursts++;
	loop_set_timer(w->loop, &p->timer,
	    due_ms(p, p->bursts) > now ? due_ms(p, p->bursts) :
					 now + LOOP_TICK_MS);
}

static struct publisher *
find(const struct lab *l, const char *channel)
{
	list_each (node, &l->publishers) {
		struct publisher *p =
		    container_of(node, struct publisher, node);

		if (strcmp(p->order.channel, channel) == 0)
			return p;
	}
	return NULL;
}

static int
begin(struct publisher **out, struct lab *l, const struct lab_order *o)
{
	struct publisher *p;
	size_t count = 0;
	int err;

	list_each (node, &l->publishers)
		count++;
	if (count >= PUBLISHERS_MAX)
		return SW_ELIMIT;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return SW_ENOMEM;
	err =
	    channels_get(&p->channel, l->worker->channels, str_of(o->channel));
	if (err != SW_OK) {
		free(p);
		return err;
	}
	timer_init(&p->timer, on_time);
	p->lab = l;
	p->next = o->next;
	list_append(&l->publishers, &p->node);
	*out = p;
	return SW_OK;
}

int
lab_publish(struct lab *l, const struct lab_order *o, uint64_t *next)
{
	struct publisher *p = find(l, o->channel);
	uint64_t now = loop_now_ms(l->worker->loop);
	int err;

	*next = p == NULL ? o->next : p->next;
	if (o->rate == 0) {
		if (p != NULL)
			publisher_free(p);
		return SW_OK;
	}
	if (p == NULL && (err = begin(&p, l, o)) != SW_OK)
		return err;
	if (o->rate != p->order.rate || o->burst != p->order.burst) {
		p->begun_ms = now;
		p->bursts = 0;
	}
	p->order = *o;
	p->until_ms = now + o->seconds * 1000;
	if (!timer_is_set(&p->timer))
		loop_set_timer(l->worker->loop, &p->timer, now);
	return SW_OK;
}
