#include "storage/janitor.h"

#include <inttypes.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/retention.h"
#include "storage/writer.h"

enum {
	SAVE_AFTER_EVENTS = 100000, /* what a start has to read anew */
	SAVE_RECORDS = 128,         /* per step */
	SWEEP_ROWS = 512,           /* looked at per step */
	SWEEP_ROWS_BUSY = 256,
	/*
	 * However many come at once: so many for each, since the walk meets
	 * those that are to stay as well.
	 */
	ROWS_FOR_NEW = 4,
	SWEEP_ROWS_MAX = 8192,
	SWEEP_RUNS = 1024,  /* removed per step */
	PATROL_ROWS = 1024, /* per second, when nothing is known to be old */
	PACE_SECONDS = 64,  /* so slowly it forgets a busy time */
	FRONT_KEPT = 256,   /* kept rows in a row that end work at the front */
	GARBAGE_MIN = 4096, /* rows worth a sweep */
	ROW_BYTES = 512,    /* a larger one counts as several */
	EXPIRE_KEYS = 256,  /* looked at per step, and per second */
	EXPIRE_KEYS_MAX = 16384,
	/*
	 * The walk meets those that are to stay as well. Two for each that
	 * comes: then no more are too old than there are others.
	 */
	KEYS_FOR_NEW = 2,
	IDLE_MS = 1000,
	REST_MS = 60000, /* when there is nothing to watch either */
};

static int64_t
clock_ahead_ms(void)
{
	return (int64_t)clock_unix_ms() - (int64_t)clock_monotonic_ms();
}

void
janitor_init(struct janitor *j)
{
	*j = (struct janitor){ .ahead_ms = clock_ahead_ms() };
	list_init(&j->to_save);
}

void
janitor_notice(struct janitor *j, uint64_t events)
{
	j->unsaved += events;
	j->rows_due += ROWS_FOR_NEW * events;
	j->came += ROWS_FOR_NEW * events;
}

void
janitor_notice_key(struct janitor *j)
{
	j->keys_due += KEYS_FOR_NEW;
}

/* What the next row of a channel weighs, by the average so far. */
static uint64_t
weight(uint64_t number, uint64_t total)
{
	return 1 + (number > 0 ? total / number / ROW_BYTES : 0);
}

void
janitor_count_cleared(struct janitor *j, const struct record *r)
{
	j->garbage +=
	    (r->number - r->swept_number) * weight(r->number, r->total);
}

void
janitor_count_garbage(struct janitor *j, const struct record *r)
{
	const struct policy *p = channel_policy(r->channel);

	if (r->stored &&
	    (r->number - r->swept_number > p->history_events ||
		(p->history_bytes > 0 &&
		    r->total - r->swept_total > p->history_bytes)))
		j->garbage += weight(r->number, r->total);
}

/* Saving where chains end. */

static int
save_record(struct writer *w, const struct record *r)
{
	const struct store_channel c = {
		.key = r->key,
		.head = r->head,
		.number = r->number,
		.total = r->total,
		.floor = channel_floor(r->channel),
	};

	return r->key == 0 ? SW_OK : w->store->ops->save_channel(w->store, &c);
}

/* Records of one step, and whether they were the last of the pass. */
struct save_step {
	struct list records;
	bool last;
};

static int
save_records(struct writer *w, void *ctx)
{
	struct janitor *j = &w->janitor;
	struct save_step *step = ctx;
	struct store_state state = w->state;
	int err = SW_OK;

	for (unsigned i = 0; i < SAVE_RECORDS && err == SW_OK; i++) {
		struct list *node = list_shift(&j->to_save);

		if (node == NULL)
			break;
		list_append(&step->records, node);
		err = save_record(w, container_of(node, struct record, dirty));
	}
	step->last = list_empty(&j->to_save);
	if (err != SW_OK || !step->last)
		return err;
	state.saved = j->saving_head;
	return w->store->ops->save_state(w->store, &state);
}

static void
save_begin(struct janitor *j, struct writer *w)
{
	j->saving = true;
	j->saving_head = w->last_id;
	j->unsaved = 0;
	list_splice(&j->to_save, &w->records.dirty);
}

static int
save_some(struct janitor *j, struct writer *w)
{
	struct save_step step;
	int err;

	list_init(&step.records);
	err = writer_in_transaction(w, save_records, &step);
	if (err != SW_OK) {
		/* All of them are still to be saved, by another pass. */
		list_splice(&w->records.dirty, &step.records);
		list_splice(&w->records.dirty, &j->to_save);
		j->saving = false;
		return err;
	}
	list_each_safe (node, after, &step.records)
		list_remove(node);
	if (step.last) {
		w->state.saved = j->saving_head;
		j->saving = false;
	}
	return SW_OK;
}

/* Sweeping. */

struct run {
	uint64_t first, last;
};

/* One step over the rows behind `after`. */
struct sweep {
	struct writer *w;
	uint64_t now_ms; /* Unix */
	unsigned rows;   /* to look at, at most */
	unsigned kept_in_row;
	bool force;        /* remove whatever comes... */
	uint64_t excess;   /* ...until it had so many bytes */
	bool stop_at_kept; /* end after FRONT_KEPT of them */
	uint64_t removed;
	uint64_t removed_weight;
	bool aged;     /* some of it was too old */
	uint64_t last; /* looked at */
	bool end;      /* of the log */
	struct run runs[SWEEP_RUNS];
	unsigned run_count;
	bool run_open; /* the last row looked at belongs to the last run */
};

static bool
is_kept(struct sweep *s, const struct record *r, const struct store_row *row)
{
	struct retention keep;

	/* The start finds a channel's end by its newest row, or saved. */
	if (row->id == r->head && row->id > s->w->state.saved)
		return true;
	if (s->force || !r->stored)
		return false;
	keep = retention_of(channel_policy(r->channel), s->now_ms, r->number,
	    r->total, channel_floor(r->channel));
	if (retention_keeps(
		&keep, row->id, row->number, row->total, row->time_ms))
		return true;
	/* Other causes are counted when events come. */
	s->aged = s->aged || row->time_ms < keep.since_ms;
	return false;
}

static bool
look_at_row(void *ctx, const struct store_row *row)
{
	struct sweep *s = ctx;
	struct record *r = records_by_key(&s->w->records, row->channel);

	if (s->rows == 0 || (!s->run_open && s->run_count == SWEEP_RUNS) ||
	    (s->stop_at_kept && s->kept_in_row >= FRONT_KEPT) ||
	    (s->force && s->removed_weight * ROW_BYTES > s->excess)) {
		s->end = false;
		return false;
	}
	s->rows--;
	s->last = row->id;
	/* Of a channel that was forgotten: nothing of that was kept. */
	if (r != NULL && is_kept(s, r, row)) {
		s->run_open = false;
		s->kept_in_row++;
		return true;
	}
	s->kept_in_row = 0;
	if (r != NULL && row->number > r->swept_number) {
		r->swept_number = row->number;
		r->swept_total = row->total;
	}
	if (!s->run_open)
		s->runs[s->run_count++].first = row->id;
	s->run_open = true;
	s->runs[s->run_count - 1].last = row->id;
	s->removed++;
	s->removed_weight += weight(row->number, row->total);
	return true;
}

static int
remove_runs(struct writer *w, void *ctx)
{
	const struct sweep *s = ctx;
	struct store_state state = w->state;
	int err = SW_OK;

	for (unsigned i = 0; i < s->run_count && err == SW_OK; i++)
		err = w->store->ops->remove(
		    w->store, s->runs[i].first, s->runs[i].last);
	if (err != SW_OK || !s->force)
		return err;
	state.floor = s->last;
	return w->store->ops->save_state(w->store, &state);
}

/* Look at some rows behind `after` and remove what is not kept. */
static int
sweep(struct janitor *j, struct writer *w, uint64_t after, struct sweep *s)
{
	struct timespec now;
	int err;

	clock_gettime(CLOCK_REALTIME, &now);
	s->w = w;
	s->now_ms = (uint64_t)now.tv_sec * 1000;
	s->last = after;
	s->end = true;
	if ((err = w->store->ops->scan(w->store, after, look_at_row, s)) !=
	    SW_OK) {
		writer_set_health(w, err);
		return err;
	}
	if (s->run_count > 0)
		err = writer_in_transaction(w, remove_runs, s);
	if (err == SW_OK && s->force && s->run_count > 0) {
		/* Removed before its time, unlike what retention dropped. */
		w->state.floor = s->last;
		atomic_store(&w->floor, s->last);
	}
	if (err == SW_OK) {
		atomic_fetch_add(&j->removed, s->removed);
		j->garbage -= s->removed_weight < j->garbage ?
		    s->removed_weight :
		    j->garbage;
	}
	return err;
}

/* How many rows to look at now. */
static unsigned
rows_of_step(const struct janitor *j, bool busy)
{
	uint64_t rows = busy ? SWEEP_ROWS_BUSY : SWEEP_ROWS;

	if (rows < j->rows_due)
		rows = j->rows_due;
	return rows < SWEEP_ROWS_MAX ? (unsigned)rows : SWEEP_ROWS_MAX;
}

static void
count_down(uint64_t *due, uint64_t done)
{
	*due -= done < *due ? done : *due;
}

/* All events are gone, and it is too large all the same. Says so once. */
static void
note_overfull(struct janitor *j, struct writer *w, const struct sweep *s)
{
	bool overfull = s->force && s->end &&
	    w->store->ops->used_bytes(w->store) > atomic_load(&j->max_bytes);

	if (overfull && !j->overfull)
		log_error("store: no event is kept: the store is larger than "
			  "store-max-bytes without any, for its channels and "
			  "idempotency keys: raise it, or lower "
			  "idempotency-age");
	j->overfull = overfull || (j->overfull && s->force);
}

/* The oldest rows: where age and the limit of the whole store take effect. */
static int
sweep_front(struct janitor *j, struct writer *w, bool busy)
{
	uint64_t max = atomic_load(&j->max_bytes), used;
	unsigned rows = rows_of_step(j, busy);
	struct sweep s = { .rows = rows, .stop_at_kept = true };
	int err;

	if (!j->at_front)
		return SW_ENOENT;
	used = w->store->ops->used_bytes(w->store);
	atomic_store(&j->store_bytes, used);
	s.force = max > 0 && used > max;
	/* Rows may free more than they have: half, and then look again. */
	s.excess = s.force ? (used - max) / 2 : 0;
	err = sweep(j, w, 0, &s);
	count_down(&j->rows_due, rows - s.rows);
	j->at_front = err == SW_OK && s.removed > 0;
	if (err == SW_OK)
		note_overfull(j, w, &s);
	return err;
}

/* Round and round the log, for what is not kept between what is. */
static int
patrol(struct janitor *j, struct writer *w, unsigned rows)
{
	struct sweep s = { .rows = rows };
	uint64_t known = j->garbage;
	int err = sweep(j, w, j->hand, &s);

	if (err != SW_OK)
		return err;
	j->hand = s.end ? 0 : s.last;
	count_down(&j->rows_due, rows - s.rows);
	count_down(&j->patrol_due, rows - s.rows);
	/* A limit was lowered, say: go on while most of it is to go. */
	if (s.removed_weight > known && s.removed > (rows - s.rows) / 2 &&
	    j->patrol_due < SWEEP_ROWS)
		j->patrol_due = SWEEP_ROWS;
	j->aged = j->aged || s.aged;
	j->aged_in_round = j->aged_in_round || s.aged;
	if (s.end) {
		/* Nothing is left over that a whole round did not see. */
		j->garbage = 0;
		j->patrol_due = 0;
		j->aged = j->aged_in_round;
		j->aged_in_round = false;
	}
	return SW_OK;
}

/* Before the second is over: when there is enough that is worth it. */
static int
patrol_early(struct janitor *j, struct writer *w, bool busy)
{
	uint64_t worth = atomic_load(&j->store_bytes) / 2048;

	if (worth < GARBAGE_MIN)
		worth = GARBAGE_MIN;
	return j->garbage < worth && j->patrol_due == 0 ?
	    SW_ENOENT :
	    patrol(j, w, rows_of_step(j, busy));
}

/* Forgetting keys. */

struct expiry {
	uint64_t before_ms, latest_ms;
	unsigned count;
};

static int
expire_keys(struct writer *w, void *ctx)
{
	const struct expiry *e = ctx;

	return w->store->ops->expire_keys(
	    w->store, e->before_ms, e->latest_ms, e->count);
}

/* Forget some keys that are too old. */
static int
expire_some(struct janitor *j, struct writer *w, bool busy)
{
	uint64_t age = atomic_load(&w->idempotency_age_ms);
	struct expiry e;
	struct timespec now;

	(void)busy;
	if (j->keys_due < EXPIRE_KEYS)
		return SW_ENOENT;
	e.count = j->keys_due < EXPIRE_KEYS_MAX ? (unsigned)j->keys_due :
						  EXPIRE_KEYS_MAX;
	j->keys_due -= e.count;
	clock_gettime(CLOCK_REALTIME, &now);
	e.before_ms = (uint64_t)now.tv_sec * 1000;
	if (e.before_ms <= age)
		return SW_OK;
	e.latest_ms = e.before_ms + CLOCK_LEAP_MS;
	e.before_ms -= age;
	keys_expire(w->keys, e.before_ms, e.latest_ms);
	return writer_in_transaction(w, expire_keys, &e);
}

static int
save_early(struct janitor *j, struct writer *w, bool busy)
{
	(void)busy;
	if (!j->saving && j->unsaved >= SAVE_AFTER_EVENTS)
		save_begin(j, w);
	return j->saving ? save_some(j, w) : SW_ENOENT;
}

static int
forget_some(struct janitor *j, struct writer *w, bool busy)
{
	(void)busy;
	return j->saving || !j->forget.running ? SW_ENOENT :
						 forget_step(&j->forget, w);
}

/* The clock, beside time as it passes by itself. */
static void
watch_clock(struct janitor *j)
{
	int64_t ahead_ms = clock_ahead_ms();
	int64_t leap_ms = ahead_ms - j->ahead_ms;

	j->ahead_ms = ahead_ms;
	if (leap_ms > CLOCK_LEAP_MS)
		log_warn("clock: set forward by %" PRId64
			 " s, or the machine slept: history-age, "
			 "idempotency-age, outbox-max-age and the ends of "
			 "tokens go by it",
		    leap_ms / 1000);
	else if (leap_ms < -CLOCK_LEAP_MS)
		log_warn("clock: set back by %" PRId64
			 " s: times of events, history-age, idempotency-age, "
			 "outbox-max-age and the ends of tokens go by it",
		    -leap_ms / 1000);
}

static void
once_a_second(struct janitor *j, struct writer *w)
{
	bool failing;

	watch_clock(j);
	pthread_mutex_lock(&w->health.lock);
	failing = w->health.failing;
	pthread_mutex_unlock(&w->health.lock);
	if (failing) {
		writer_set_health(w, w->store->ops->probe(w->store));
		return;
	}
	j->resting = patrol(j, w, PATROL_ROWS) != SW_OK;
	if (j->resting)
		return;
	j->at_front = true;
	forget_once_a_second(&j->forget, w);
	keep_past_once_a_second(&w->past, w);
	j->pace -= j->pace / PACE_SECONDS;
	if (j->pace < j->came)
		j->pace = j->came;
	j->came = 0;
	if (j->aged && j->patrol_due < j->pace)
		j->patrol_due = j->pace;
	if (!j->saving && !list_empty(&w->records.dirty))
		save_begin(j, w);
	j->keys_due += EXPIRE_KEYS;
}

uint64_t
janitor_step(struct janitor *j, struct writer *w, bool busy)
{
	static int (*const works[])(struct janitor *, struct writer *, bool) = {
		expire_some,
		sweep_front,
		patrol_early,
		forget_some,
		save_early,
	};
	enum { WORKS = sizeof(works) / sizeof(works[0]) };
	uint64_t now = clock_monotonic_ms();

	if (now >= j->next_second_ms) {
		j->next_second_ms = now + IDLE_MS;
		j->resting = false;
		once_a_second(j, w);
		return 0;
	}
	for (unsigned i = 0; i < WORKS && !j->resting; i++) {
		unsigned turn = j->turn++ % WORKS;
		int err = works[turn](j, w, busy);

		if (err == SW_OK)
			return 0;
		/* Not at once again: the disk may be full for long. */
		j->resting = err != SW_ENOENT;
	}
	/* Nothing is to go: what came is no debt. */
	j->rows_due = 0;
	return j->next_second_ms - now;
}

void
janitor_finish(struct janitor *j, struct writer *w)
{
	struct store_state state;

	while (j->saving)
		save_some(j, w);
	save_begin(j, w);
	while (j->saving)
		if (save_some(j, w) != SW_OK)
			return; /* the next start reads the tail anew */
	/* Closed cleanly: ids go on without a jump. */
	state = w->state;
	state.head = state.reserved = w->last_id;
	if (w->store->ops->begin(w->store, true) != SW_OK ||
	    w->store->ops->save_state(w->store, &state) != SW_OK ||
	    w->store->ops->commit(w->store) != SW_OK)
		w->store->ops->rollback(w->store);
}
