#include "storage/outbox/outbox_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

enum {
	/* Letters on their way at a time, of all lanes. */
	FLYING_MAX = 64,
	/* The first pause; each further one is twice as long. */
	RETRY_MS = 200,
};

static uint64_t
pause_ms(const struct outbox *o, unsigned attempts)
{
	uint64_t max = atomic_load(&o->retry_max_ms), pause = RETRY_MS;
	uint32_t random;

	for (unsigned i = 1; i < attempts && pause < max; i++)
		pause *= 2;
	if (pause > max)
		pause = max;
	digest_random(&random, sizeof(random));
	return pause / 2 + random % (pause / 2 + 1);
}

static void
make_ready(struct lane *l)
{
	list_remove(&l->ready);
	if (!l->flying && !list_empty(&l->letters))
		list_append(&l->outbox->ready, &l->ready);
}

static void
lane_retry(struct timer *t)
{
	make_ready(container_of(t, struct lane, timer));
}

int
outbox_lane_get(struct lane **out, struct outbox *o, struct str name)
{
	struct map_entry *e = map_find(&o->lanes, name);
	struct lane *l;
	int err;

	if (e != NULL) {
		*out = container_of(e, struct lane, entry);
		return SW_OK;
	}
	if ((l = calloc(1, sizeof(*l) + name.len)) == NULL)
		return SW_ENOMEM;
	memcpy(l->name, name.p, name.len);
	l->outbox = o;
	list_init(&l->letters);
	list_init(&l->ready);
	timer_init(&l->timer, lane_retry);
	err = map_add(&o->lanes, &l->entry, (struct str){ l->name, name.len });
	if (err != SW_OK) {
		free(l);
		return err;
	}
	*out = l;
	return SW_OK;
}

void
outbox_lane_free_idle(struct lane *l)
{
	if (!list_empty(&l->letters) || l->flying || l->holders > 0)
		return;
	list_remove(&l->ready);
	loop_clear_timer(&l->timer);
	map_remove(&l->outbox->lanes, &l->entry);
	free(l);
}

void
outbox_lane_append(struct lane *l, struct letter *letter)
{
	struct outbox *o = l->outbox;
	bool first = list_empty(&l->letters);

	list_append(&l->letters, &letter->node);
	atomic_fetch_add(&o->stats.waiting, 1);
	if (first)
		make_ready(l);
}

int
outbox_lane_load(void *ctx, const struct outbox_letter *found)
{
	struct outbox *o = ctx;
	struct letter *letter;
	struct lane *l;
	int err;

	if ((err = outbox_lane_get(&l, o, found->lane)) != SW_OK)
		return err;
	if ((letter = calloc(1, sizeof(*letter))) == NULL) {
		outbox_lane_free_idle(l);
		return SW_ENOMEM;
	}
	letter->id = found->id;
	letter->created_ms = found->created_ms;
	letter->size = found->size;
	atomic_fetch_add(&o->stats.bytes, found->size);
	outbox_lane_append(l, letter);
	return SW_OK;
}

static struct letter *
lane_first(const struct lane *l)
{
	return container_of(l->letters.next, struct letter, node);
}

/* Its first letter is through with, one way or the other. */
static void
lane_advance(struct lane *l)
{
	struct outbox *o = l->outbox;
	struct letter *letter = lane_first(l);

	atomic_fetch_sub(&o->stats.waiting, 1);
	atomic_fetch_sub(&o->stats.bytes, letter->size);
	list_remove(&letter->node);
	letter_free(letter);
	l->attempts = 0;
	make_ready(l);
	outbox_lane_free_idle(l);
}

/* Carrying. */

static void
release_brake(struct timer *t)
{
	struct outbox *o = container_of(t, struct outbox, brake);

	o->window = 1;
}

/* SW_ENOENT: somebody has deleted the row. */
static int
carry(struct outbox *o, struct lane *l)
{
	const struct outbox_carrier *to = &o->carriers[o->next_carrier];
	const struct letter *letter = lane_first(l);
	struct outbox_delivery *d;
	struct str data;
	int err = outbox_db_read(o->db, letter->id, &data);

	if (err != SW_OK)
		return err;
	if ((d = malloc(sizeof(*d) + data.len)) == NULL) {
		outbox_db_let_go(o->db);
		return SW_ENOMEM;
	}
	*d = (struct outbox_delivery){
		.task = { .run = to->run },
		.outbox = o,
		.ctx = to->ctx,
		.id = letter->id,
		.created_ms = letter->created_ms,
		.attempts = l->attempts,
		.lane = l,
	};
	if (data.len > 0)
		memcpy(d->bytes, data.p, data.len);
	d->data = (struct str){ d->bytes, data.len };
	outbox_db_let_go(o->db);
	o->next_carrier = (o->next_carrier + 1) % o->carrier_count;
	o->flying++;
	l->flying = true;
	loop_post(to->loop, &d->task);
	return SW_OK;
}

void
outbox_carry(struct outbox *o)
{
	struct list *node;
	int err;

	while (!o->hushed && !timer_is_set(&o->brake) &&
	    !timer_is_set(&o->store_retry) && o->flying < o->window &&
	    (node = list_shift(&o->ready)) != NULL) {
		struct lane *l = container_of(node, struct lane, ready);

		if ((err = carry(o, l)) == SW_OK)
			continue;
		if (err == SW_ENOENT) {
			lane_advance(l);
			continue;
		}
		list_append(&o->ready, &l->ready);
		outbox_leave_store_alone(o, "reading a letter", err);
	}
}

/* The first of its lane could not be delivered, and is not dead yet. */
static void
postpone(struct outbox *o, const struct outbox_delivery *d)
{
	struct lane *l = d->lane;
	uint64_t now = loop_now_ms(o->loop);

	if (d->outcome == OUTBOX_KEEP) {
		make_ready(l);
		return;
	}
	outbox_count(&o->stats.retries);
	l->attempts++;
	if (d->outcome == OUTBOX_AGAIN) {
		loop_set_timer(
		    o->loop, &l->timer, now + pause_ms(o, l->attempts));
		return;
	}
	make_ready(l);
	/* Those that left together fail together: that is one strike. */
	if (!timer_is_set(&o->brake))
		loop_set_timer(
		    o->loop, &o->brake, now + pause_ms(o, ++o->strikes));
}

/* What became of it is stored. */
void
outbox_conclude(struct outbox *o, struct outbox_delivery *d)
{
	struct lane *l = d->lane;

	o->flying--;
	l->flying = false;
	if (d->outcome == OUTBOX_DONE || d->outcome == OUTBOX_REFUSED ||
	    d->outcome == OUTBOX_AGAIN) {
		o->strikes = 0;
		if (!timer_is_set(&o->brake) && o->window < FLYING_MAX)
			o->window *= 2;
	}
	if (d->outcome == OUTBOX_DONE)
		outbox_count(&o->stats.delivered);
	else if (d->outcome == OUTBOX_REFUSED)
		outbox_count(&o->stats.refused);
	if (d->bury) {
		char why[LOG_QUOTED];

		outbox_count(&o->stats.died);
		outbox_count(&o->stats.dead);
		log_warn("outbox letter=%" PRIu64 " dead attempts=%u why=%s",
		    d->id, d->attempts + 1, log_quote(why, str_of(d->reason)));
	}
	if (d->bury || d->outcome == OUTBOX_DONE ||
	    d->outcome == OUTBOX_REFUSED)
		lane_advance(l);
	else
		postpone(o, d);
	free(d);
}

void
outbox_brake_init(struct outbox *o)
{
	timer_init(&o->brake, release_brake);
	o->window = FLYING_MAX;
}
