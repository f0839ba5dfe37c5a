#include "storage/outbox/outbox.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"
#include "storage/outbox/outbox_private.h"

static void
on_store_retry(struct timer *t)
{
	(void)t; /* the end of this turn does it */
}

static bool
turn(void *ctx)
{
	struct outbox *o = ctx;

	outbox_commit(o);
	outbox_carry(o);
	return false;
}

/* Tasks from other threads. */

static void
on_put(struct task *t)
{
	struct outbox_put *p = container_of(t, struct outbox_put, task);

	p->created_ms = loop_unix_ms(p->outbox->loop);
	list_append(&p->outbox->puts, &p->node);
}

static void
on_settled(struct task *t)
{
	struct outbox_delivery *d =
	    container_of(t, struct outbox_delivery, task);
	struct outbox *o = d->outbox;

	d->bury = (d->outcome == OUTBOX_AGAIN || d->outcome == OUTBOX_AWAY) &&
	    loop_unix_ms(o->loop) >= d->created_ms + o->max_age_ms;
	list_append(&o->settled, &d->node);
}

static void
on_query(struct task *t)
{
	struct outbox_query *q = container_of(t, struct outbox_query, task);

	list_append(&q->outbox->queries, &q->node);
}

static void
on_begin(struct task *t)
{
	(void)t;
}

static void
on_hush(struct task *t)
{
	struct outbox *o = container_of(t, struct outbox, hush);

	/* A file that has failed is tried once more: there is no later. */
	loop_clear_timer(&o->store_retry);
	outbox_commit(o);
	pthread_mutex_lock(&o->lock);
	o->hushed = true;
	pthread_cond_signal(&o->hushed_now);
	pthread_mutex_unlock(&o->lock);
}

static void
on_stop(struct task *t)
{
	struct outbox *o = container_of(t, struct outbox, stop);

	outbox_commit(o);
	loop_stop(o->loop);
}

static void *
outbox_main(void *arg)
{
	struct outbox *o = arg;

	loop_run(o->loop);
	return NULL;
}

/* What other threads call. */

struct outbox_backlog {
	_Atomic uint32_t refs;
};

struct outbox_backlog *
outbox_backlog_new(void)
{
	struct outbox_backlog *b = malloc(sizeof(*b));

	if (b != NULL)
		atomic_init(&b->refs, 1);
	return b;
}

struct outbox_backlog *
outbox_backlog_ref(struct outbox_backlog *b)
{
	atomic_fetch_add(&b->refs, 1);
	return b;
}

void
outbox_backlog_unref(struct outbox_backlog *b)
{
	if (b != NULL && atomic_fetch_sub(&b->refs, 1) == 1)
		free(b);
}

bool
outbox_backlog_is_empty(const struct outbox_backlog *b)
{
	return atomic_load(&b->refs) == 1;
}

struct outbox_put *
outbox_put_new(struct str lane, struct str data)
{
	struct outbox_put *p = malloc(sizeof(*p) + lane.len + data.len);
	struct letter *letter = malloc(sizeof(*letter));

	if (p == NULL || letter == NULL) {
		free(p);
		free(letter);
		return NULL;
	}
	*p = (struct outbox_put){ .letter = letter };
	memcpy(p->texts, lane.p, lane.len);
	if (data.len > 0)
		memcpy(p->texts + lane.len, data.p, data.len);
	p->name = (struct str){ p->texts, lane.len };
	p->data = (struct str){ p->texts + lane.len, data.len };
	return p;
}

void
outbox_put_free(struct outbox_put *p)
{
	if (p == NULL)
		return;
	outbox_backlog_unref(p->backlog);
	free(p->letter);
	free(p);
}

/* Room for the letter, until the backend has taken it. */
static int
take_room(struct outbox *o, const struct outbox_put *p)
{
	uint64_t bytes = atomic_fetch_add(&o->stats.bytes, p->data.len);

	if (p->must || bytes + p->data.len <= atomic_load(&o->max_bytes))
		return SW_OK;
	atomic_fetch_sub(&o->stats.bytes, p->data.len);
	return SW_EBUSY;
}

int
outbox_put(struct outbox *o, struct outbox_put *p)
{
	int err;

	if (p->stored != NULL && atomic_load(&o->closed))
		return SW_ECLOSED;
	if (p->what == OUTBOX_LETTER && (err = take_room(o, p)) != SW_OK)
		return err;
	p->outbox = o;
	p->task.run = on_put;
	loop_post(o->loop, &p->task);
	return SW_OK;
}

void
outbox_settle(
    struct outbox_delivery *d, enum outbox_outcome outcome, const char *reason)
{
	size_t len = strnlen(reason, sizeof(d->reason) - 1);

	/* Do not cut a character in two. */
	while (len > 0 && ((uint8_t)reason[len] & 0xc0) == 0x80)
		len--;
	d->outcome = outcome;
	memcpy(d->reason, reason, len);
	d->reason[len] = '\0';
	d->task.run = on_settled;
	loop_post(d->outbox->loop, &d->task);
}

int
outbox_ask(struct outbox *o, struct outbox_query *q)
{
	if (atomic_load(&o->closed))
		return SW_ECLOSED;
	q->outbox = o;
	q->task.run = on_query;
	loop_post(o->loop, &q->task);
	return SW_OK;
}

void
outbox_stats(const struct outbox *o, struct outbox_stats *out)
{
	*out = (struct outbox_stats){
		.healthy = !atomic_load(&o->stats.failing),
		.waiting = atomic_load(&o->stats.waiting),
		.bytes = atomic_load(&o->stats.bytes),
		.dead = atomic_load(&o->stats.dead),
		.wills = atomic_load(&o->stats.wills),
		.executed = atomic_load(&o->stats.executed),
		.stored = atomic_load(&o->stats.stored),
		.delivered = atomic_load(&o->stats.delivered),
		.refused = atomic_load(&o->stats.refused),
		.retries = atomic_load(&o->stats.retries),
		.died = atomic_load(&o->stats.died),
	};
}

uint64_t
outbox_connections(const struct outbox *o)
{
	return outbox_db_reserved(o->db);
}

bool
outbox_failing(const struct outbox *o)
{
	return atomic_load(&o->stats.failing);
}

/* Life. */

static int
load_dead(void *ctx, const struct outbox_letter *found)
{
	struct outbox *o = ctx;

	(void)found;
	outbox_count(&o->stats.dead);
	return SW_OK;
}

void
outbox_reload(struct outbox *o, const struct outbox_limits *limits)
{
	atomic_store(&o->max_bytes, limits->max_bytes);
	atomic_store(&o->max_age_ms, limits->max_age_ms);
	atomic_store(&o->retry_max_ms, limits->retry_max_ms);
}

int
outbox_open(
    struct outbox **out, const char *path, const struct outbox_limits *limits)
{
	struct outbox *o = calloc(1, sizeof(*o));
	uint64_t seed;
	int err;

	if (o == NULL)
		return SW_ENOMEM;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->hushed_now, NULL);
	digest_random(&seed, sizeof(seed));
	map_init(&o->lanes, seed);
	list_init(&o->ready);
	list_init(&o->puts);
	list_init(&o->settled);
	list_init(&o->queries);
	outbox_brake_init(o);
	timer_init(&o->store_retry, on_store_retry);
	outbox_reload(o, limits);
	if ((err = loop_new(&o->loop)) != SW_OK ||
	    (err = outbox_db_open(&o->db, path)) != SW_OK)
		goto fail;
	if ((err = outbox_db_visit(
		 o->db, false, 0, INT64_MAX, outbox_lane_load, o)) != SW_OK ||
	    (err = outbox_db_visit(o->db, true, 0, INT64_MAX, load_dead, o)) !=
		SW_OK) {
		log_error("outbox: %s", outbox_db_reason(o->db, err));
		goto fail;
	}
	o->wills.left = true;
	if ((err = outbox_wills_execute(o)) != SW_OK)
		outbox_leave_store_alone(o, "reading wills", err);
	if (o->stats.waiting > 0)
		log_info("outbox waiting=%" PRIu64 " dead=%" PRIu64,
		    o->stats.waiting, o->stats.dead);
	loop_set_hooks(o->loop, (struct loop_hooks){ .turn = turn, .ctx = o });
	*out = o;
	return SW_OK;

fail:
	outbox_close(o);
	return err;
}

int
outbox_start(struct outbox *o, const struct outbox_carrier *carriers, size_t n)
{
	o->carriers = calloc(n, sizeof(*o->carriers));
	if (o->carriers == NULL)
		return SW_ENOMEM;
	memcpy(o->carriers, carriers, n * sizeof(*o->carriers));
	o->carrier_count = n;
	if (thread_start(&o->thread, "outbox", outbox_main, o) != SW_OK)
		return SW_EIO;
	o->started = true;
	/* A loop that nobody wakes would not carry what is there already. */
	o->begin.run = on_begin;
	loop_post(o->loop, &o->begin);
	return SW_OK;
}

void
outbox_hush(struct outbox *o)
{
	if (!o->started)
		return;
	atomic_store(&o->closed, true);
	o->hush.run = on_hush;
	loop_post(o->loop, &o->hush);
	pthread_mutex_lock(&o->lock);
	while (!o->hushed)
		pthread_cond_wait(&o->hushed_now, &o->lock);
	pthread_mutex_unlock(&o->lock);
}

static void
lane_free(struct lane *l)
{
	struct list *node;

	while ((node = list_shift(&l->letters)) != NULL)
		letter_free(container_of(node, struct letter, node));
	map_remove(&l->outbox->lanes, &l->entry);
	free(l);
}

void
outbox_close(struct outbox *o)
{
	struct map_entry *e;
	struct list *node;

	if (o == NULL)
		return;
	if (o->started) {
		o->stop.run = on_stop;
		loop_post(o->loop, &o->stop);
		pthread_join(o->thread, NULL);
	}
	while ((node = list_shift(&o->puts)) != NULL)
		outbox_put_free(container_of(node, struct outbox_put, node));
	while ((node = list_shift(&o->settled)) != NULL)
		free(container_of(node, struct outbox_delivery, node));
	while ((e = map_next(&o->lanes, NULL)) != NULL)
		lane_free(container_of(e, struct lane, entry));
	map_fini(&o->lanes);
	outbox_db_close(o->db);
	loop_free(o->loop);
	pthread_cond_destroy(&o->hushed_now);
	pthread_mutex_destroy(&o->lock);
	free(o->carriers);
	free(o);
}
